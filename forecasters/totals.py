"""Quantiles of demand summed over several periods: those of sums of dependent draws.

Per-period quantiles do not add up, sums of draws do. The draws are quasi-random levels, the same for all items of a
band, at which the quantile function of each period is read: a draw is a weighted mean of that period's quantiles, and
the draws of a sum are one product of a matrix of weights with the quantiles of all its periods. Where a quantile
function reaches zero below its lowest level, the few draws that lie there are summed period by period.

A sum depends on its own quantiles, band and span alone, to the last bit: not on what else is summed in the same call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import FloatArray, IntArray
from .calibration.dependence import Dependence
from .demand_forecast import DRAWS
from .interpolation import OrderStatistics, interpolation_weights

CELLS = 64
"""Sums whose draws are held at once, so that they stay in the processor's cache."""
STEP = 16
"""Sums are computed in multiples of so many: a product of fewer rows may be rounded in another way."""
ALIKE = 0.9
"""Share of cells with quantiles of their own up to which those that are alike are found and summed once."""


class SumWeights(NamedTuple):
    """How the draws of a sum read the quantiles of its periods.

    Attributes:
        weights: of each quantile in each draw, shape (span, Q, draws).
        low: how many draws, the first ones, lie below the lowest level in some period.
    """

    weights: FloatArray
    low: int

    @classmethod
    def of(cls, levels: FloatArray, dependence: Dependence, band: int, span: int) -> SumWeights:
        """Draw the levels of a band over the first `span` periods."""
        uniform = dependence.over(0, span).uniforms(band, DRAWS)
        low = (uniform < levels[0]).any(axis=1)
        uniform = np.concatenate([uniform[low], uniform[~low]])
        weights = interpolation_weights(levels, uniform).transpose(1, 2, 0)
        return cls(np.ascontiguousarray(weights), int(low.sum()))

    def sums(self, values: FloatArray, out: FloatArray, *, linear: bool) -> None:
        """Write the draws of sums, units, in no order.

        Args:
            values: quantiles of each period, units, shape (cells, span · Q).
            out: where to, shape (cells, draws).
            linear: whether no quantile function reaches zero below its lowest level.
        """
        span, levels, draws = self.weights.shape
        np.matmul(values, self.weights.reshape(span * levels, draws), out=out)
        if linear:
            return
        ends = np.zeros((len(values), self.low))
        for period, weights in enumerate(self.weights):
            drawn = values[:, period * levels : (period + 1) * levels] @ weights[:, : self.low]
            ends += np.maximum(drawn, 0.0, out=drawn)
        out[:, : self.low] = ends


def sum_quantiles(levels: FloatArray, values: FloatArray, dependence: Dependence | None, spans: IntArray) -> FloatArray:
    """Return the quantiles of demand summed over the first periods of a forecast.

    Args:
        levels: shape (Q,). [τ]
        values: quantiles of each period, units, shape (items, origins, horizon, Q).
        dependence: of the periods; independent where None.
        spans: periods to sum over, integers from 1 to the horizon, shape (items, origins, n).

    Returns:
        units, shape (items, origins, n, Q).
    """
    items, origins, number = spans.shape
    # Simulations read one origin after another: what is read together lies side by side.
    out = np.empty((origins, items, number, len(levels))).swapaxes(0, 1)
    # The sum over one period is that period, without the error of draws.
    out[:] = values[:, :, :1]
    dependence = dependence or Dependence.independent(values.shape[2])
    band = np.broadcast_to(dependence.band, values.shape[:2])[..., None]
    for span in np.unique(spans).tolist():
        for b in np.unique(band).tolist() if span > 1 else ():
            item, origin, place = np.nonzero((spans == span) & (band == b))
            if len(item):
                weights = SumWeights.of(levels, dependence, b, span)
                cells = values[item, origin, :span]
                each, which = distinct_cells(cells.reshape(len(cells), -1))
                out[item, origin, place] = _cells(levels, cells[each], weights)[which]
    return out


def distinct_cells(cells: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the positions of cells that are summed, and which of these each cell equals.

    Demand in whole units repeats itself: a slow item's forecast is the same from many origins, and for many items.
    Where few cells are alike, all are summed.

    Args:
        cells: shape (cells, numbers).
    """
    every = np.arange(len(cells))
    if len(cells) <= CELLS:
        return every, every
    # Equal cells have equal keys, as long as they are summed in the same way; a pair that is missed is summed twice.
    key = cells @ np.random.default_rng(0).random(cells.shape[1])
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    if len(first) > ALIKE * len(cells) or not np.array_equal(cells[first][which], cells):
        return every, every
    return first, which


def _cells(levels: FloatArray, values: FloatArray, weights: SumWeights) -> FloatArray:
    """Return the quantiles of sums of one band and span, (cells, span, Q) → (cells, Q)."""
    out = np.empty((len(values), len(levels)))
    room = np.empty((CELLS, weights.weights.shape[-1]))
    quantiles = OrderStatistics.of(levels, room.shape[1])
    steepest = levels[0] / (levels[1] - levels[0])
    ends = (values[..., 0] < steepest * (values[..., 1] - values[..., 0])).any(axis=1)
    for linear in (True, False):
        chosen = np.flatnonzero(ends != linear)
        for first in range(0, len(chosen), CELLS):
            some = chosen[first : first + CELLS]
            cells = np.zeros((-(-len(some) // STEP) * STEP, values.shape[1] * values.shape[2]))
            cells[: len(some)] = values[some].reshape(len(some), -1)
            weights.sums(cells, room[: len(cells)], linear=linear)
            sums = room[: len(some)]
            sums.sort(axis=-1)
            out[some] = quantiles.read(sums)
    return np.maximum(out, 0.0, out=out)
