"""What is known of demand that is independent over the periods ahead, whether or not its mean moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...forecasters.interpolation import (
    sobol_uniforms,
)
from .distribution_forecast import Pick
from .lattice import (
    CELLS_PER_DEVIATION,
    Distribution,
    GridDistribution,
    LatticeDistribution,
    convolve,
    grid_cells,
    lattice_of,
    trimmed,
)

if TYPE_CHECKING:
    from .independent import IndependentDemand


@dataclass(frozen=True, eq=False)
class IndependentOutlook:
    """Demand of the periods ahead is independent, each of a known distribution.

    Attributes:
        model: parameters of shape (items,) or (1, origins, items) where the distribution stays, (horizon, origins,
            items) where it moves.
        horizon: periods ahead.
        moving: whether it moves.
    """

    model: IndependentDemand
    horizon: int
    moving: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items."""
        _, origins, items = _shape(self.model)
        return self.horizon, origins, items

    @property
    def dependence(self) -> None:
        """Independent."""
        return

    def periods(self) -> Distribution:
        """Return the distribution of each period's demand."""
        return self.model.distribution()

    def total(self, span: IntArray) -> Distribution:
        """Return the distribution of sums: in closed form where there is one, else convolved."""
        if not self.moving:
            return self.model.distribution(span)
        if np.all(span == 1):
            return self.window(0, 1).periods()
        running = self.model.cumulative()
        if running is None:
            return convolved(self.model, np.broadcast_to(span, (1, *self.shape[1:])))
        return running.mapped(lambda parameter: _at_span(_over(parameter, self.horizon), span), 3).distribution()

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, shape (number, horizon, origins, items)."""
        return self.model.quantile(sobol_uniforms(number, self.horizon)[:, :, None, None])

    def window(self, first: int, last: int) -> IndependentOutlook:
        """Return what is known of periods first ... last - 1 ahead."""
        if not self.moving:
            return IndependentOutlook(self.model, last - first)
        model = self.model.mapped(lambda parameter: _over(parameter, self.horizon)[..., first:last, :, :], 3)
        return IndependentOutlook(model, last - first, moving=True)

    def picked(self, pick: Pick, origins: int) -> IndependentOutlook:
        """Return what is known of some origins and items."""

        def change(parameter: FloatArray) -> FloatArray:
            return pick(np.broadcast_to(parameter, (*parameter.shape[:-2], origins, parameter.shape[-1])))

        return IndependentOutlook(self.model.mapped(change, 3), self.horizon, self.moving)


def convolved(model: IndependentDemand, span: IntArray) -> Distribution:
    """Return the distribution of sums over the first periods of demand whose distribution moves.

    Discrete demand is convolved exactly, continuous demand on a grid (`lattice.CELLS_PER_DEVIATION`).

    Args:
        model: parameters of shape (periods, origins, items).
        span: periods to sum, integers of shape (1, origins, items).
    """
    horizon = int(span.max())
    columns = np.moveaxis(model.columns((_shape(model)[0], *span.shape[1:]))[:horizon], 0, -2)
    pairs = np.concatenate([columns.reshape(span.size, -1), span.reshape(-1, 1)], axis=1)
    # Origins and items of equal parameters share a row.
    _, first, row = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    sums = [_one_sum(model, divmod(int(k), span.shape[2]), int(span.flat[k])) for k in first]
    lattice = LatticeDistribution.of([total for total, _ in sums], row.reshape(span.shape))
    return lattice if model.discrete else GridDistribution(lattice, np.array([step for _, step in sums]))


def _one_sum(model: IndependentDemand, place: tuple[int, int], span: int) -> tuple[FloatArray, float]:
    """Probabilities of the sum of one origin and item, and the step between its values."""
    origin, item = place

    def change(parameter: FloatArray) -> FloatArray:
        at = min(origin, parameter.shape[-2] - 1)
        return parameter[..., :span, at : at + 1, item : item + 1]

    one: Any = model.mapped(change, 3).distribution()
    shape = (span, 1, 1)
    if model.discrete:
        lattice = lattice_of(one, shape)
        cells, step = lattice.rows[lattice.row.reshape(-1)], 1.0
    else:
        variance = np.broadcast_to(one.var(), shape)
        step = float(np.sqrt(variance.sum())) / CELLS_PER_DEVIATION
        cells = grid_cells(one, step, shape)
    total = np.ones(1)
    for period in cells:
        total = convolve(total, trimmed(period))
    return total, step


def _over(parameter: FloatArray, horizon: int) -> FloatArray:
    """Give each period ahead its parameter, the same one where it stays."""
    return np.broadcast_to(parameter, (*parameter.shape[:-3], horizon, *parameter.shape[-2:]))


def _at_span(parameter: FloatArray, span: IntArray) -> FloatArray:
    """Pick from running sums over the third axis from the end; a vector's own axis, in front, stays."""
    shape = np.broadcast_shapes(parameter.shape[-2:], span.shape[-2:])
    full = np.broadcast_to(parameter, (*parameter.shape[:-2], *shape))
    index = np.broadcast_to(span - 1, (*full.shape[:-3], 1, *shape))
    return np.take_along_axis(full, index, axis=-3)


def _shape(model: IndependentDemand) -> tuple[int, int, int]:
    """Of the parameters, (periods or 1, origins or 1, items)."""
    periods, origins, items = np.broadcast_shapes((1, 1, 1), *(array.shape for _, array in model.arrays()))
    return periods, origins, items
