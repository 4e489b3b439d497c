"""From point forecasts and their past errors to quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Arrays, at_levels

GRID = np.concatenate([[0.005, 0.01, 0.02], np.arange(0.04, 0.97, 0.02), [0.97, 0.98, 0.99, 0.995]])
"""Levels at which error quantiles are kept."""

BANDS = 8
FEWEST = 150
"""Errors that a band needs at each horizon."""
FLOOR = 0.05


@dataclass(frozen=True, eq=False)
class ErrorDistribution:
    """Scaled errors by horizon and by band of the forecast's size.

    An error is divided by `(½ forecast + ½ velocity + floor) ** power`; its quantiles are pooled over the
    items and origins of a band. Between the middles of two bands they are interpolated in the logarithm of
    the size.

    Attributes:
        table: quantiles of scaled errors at `GRID`, shape (bands, horizon, levels).
        middle: log size in the middle of each band, increasing, shape (bands,).
        power: how errors grow with size, a scalar array.
    """

    table: FloatArray
    middle: FloatArray
    power: FloatArray

    def quantiles(self, point: FloatArray, speed: FloatArray, levels: FloatArray) -> FloatArray:
        """Return the quantiles of demand.

        Args:
            point: forecast, units, shape (items, origins, horizon).
            speed: what is usually sold, units per period: mean past sales, shape (items, origins), or what
                is usual under the conditions of each target, shape (items, origins, horizon).
            levels: shape (Q,). [τ]

        Returns:
            units, shape (items, origins, horizon, Q), not below zero and not decreasing.
        """
        size = size_of(point, speed)
        table = at_levels_signed(self.table, levels)
        steps = np.minimum(np.arange(point.shape[-1]), self.table.shape[1] - 1)
        below, share = self._between(np.log(size))
        errors = table[below, steps] * (1 - share) + table[np.minimum(below + 1, len(table) - 1), steps] * share
        values = np.maximum(point, 0.0)[..., None] + errors * (size**self.power)[..., None]
        return np.maximum.accumulate(np.maximum(values, 0.0), axis=-1)

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {"error_table": self.table, "error_middle": self.middle, "error_power": self.power}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ErrorDistribution:
        """Rebuild from `arrays()`."""
        return cls(arrays["error_table"], arrays["error_middle"], arrays["error_power"])

    def _between(self, log_size: FloatArray) -> tuple[IntArray, FloatArray]:
        """The band whose middle lies below each size, and how far on the way to the next one it is."""
        if len(self.middle) == 1:
            return np.zeros(log_size.shape, dtype=np.int64), np.zeros((*log_size.shape, 1))
        below = np.clip(np.searchsorted(self.middle, log_size) - 1, 0, len(self.middle) - 2)
        width = self.middle[below + 1] - self.middle[below]
        share = np.clip((log_size - self.middle[below]) / width, 0.0, 1.0)
        return below, share[..., None]


def fit_error_distribution(point: FloatArray, actual: FloatArray, speed: FloatArray) -> ErrorDistribution:
    """Learn from forecasts that did not know what came.

    Args:
        point: forecasts, units, shape (items, origins, horizon).
        actual: what came, the same shape, NaN where unknown.
        speed: what is usually sold, as in `ErrorDistribution.quantiles`.
    """
    size = size_of(point, speed)
    error = actual - np.maximum(point, 0.0)
    known = ~np.isnan(error)
    if known.sum() < 10:
        return _prior(point.shape[-1])
    power = error_power(np.log(size[known]), np.abs(error[known]))
    scaled = error / size**power
    edges = _edges(np.log(size), known)
    band = np.searchsorted(edges, np.log(size), side="right")
    each = [_band_table(np.where(band == b, scaled, np.nan)) for b in range(len(edges) + 1)]
    middle = np.array([np.median(np.log(size)[known & (band == b)]) for b in range(len(edges) + 1)])
    return ErrorDistribution(np.stack(each), middle, np.asarray(power))


def size_of(point: FloatArray, speed: FloatArray) -> FloatArray:
    """Return the size that errors are scaled by, shape of `point`: half forecast, half velocity."""
    usual = speed if speed.ndim == point.ndim else speed[..., None]
    return np.asarray(0.5 * np.maximum(point, 0.0) + 0.5 * usual + FLOOR)


def error_power(log_size: FloatArray, error: FloatArray) -> float:
    """Return the slope of the log mean absolute error in the log size, over twenty groups of like size."""
    order = np.argsort(log_size, kind="stable")
    groups = [g for g in np.array_split(order, 20) if len(g)]
    x = np.array([log_size[g].mean() for g in groups])
    y = np.log(np.array([error[g].mean() for g in groups]) + 1e-6)
    spread = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread if spread > 1e-9 else 0.7
    return float(np.clip(slope, 0.4, 1.0))


def at_levels_signed(table: FloatArray, levels: FloatArray) -> FloatArray:
    """Interpolate error quantiles, which may be negative, by the rules of `QuantileForecast`."""
    lift = max(0.0, -float(table.min())) * 2.0 + 1.0
    return at_levels(GRID, table + lift, levels) - lift


def _edges(log_size: FloatArray, known: np.ndarray) -> FloatArray:
    a_horizon = known.sum() / known.shape[-1]
    bands = int(np.clip(a_horizon // FEWEST, 1, BANDS))
    return np.unique(np.quantile(log_size[known], np.arange(1, bands) / bands))


def _band_table(scaled: FloatArray) -> FloatArray:
    """Quantiles by horizon, shape (horizon, levels); a horizon with few errors borrows all of them."""
    every = scaled[~np.isnan(scaled)]
    rows = []
    for h in range(scaled.shape[-1]):
        own = scaled[..., h][~np.isnan(scaled[..., h])]
        rows.append(np.quantile(own if len(own) >= FEWEST // 3 else every, GRID))
    return np.stack(rows)


def _prior(horizon: int) -> ErrorDistribution:
    """Errors of a Poisson's size, for a history too short to learn from."""
    from scipy.special import ndtri

    row = np.broadcast_to(ndtri(GRID), (1, horizon, len(GRID)))
    return ErrorDistribution(np.array(row), np.zeros(1), np.asarray(0.5))
