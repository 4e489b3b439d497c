"""Quantiles around point forecasts: the distribution of their past errors, and the dependence between periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Request, at_levels, targets_of, velocity
from ..censoring import History
from ..forecast import DEFAULT_LEVELS, QuantileForecast
from ..interpolation import AT_ONCE, lift_crossings
from .sampling import ErrorDependence, fit_errors

CALIBRATION = 40
"""Most origins whose errors are calibrated on."""
GRID = np.concatenate([[0.005, 0.01, 0.02], np.arange(0.04, 0.97, 0.02), [0.97, 0.98, 0.99, 0.995]])
"""Levels at which error quantiles are kept."""
BANDS = 8
"""Most bands of size."""
BAND_ERRORS = 150
"""Errors that a band needs at each horizon."""
HORIZON_ERRORS = 50
"""Errors of its own that a horizon needs within a band; with fewer it takes those of all horizons."""
LEAST_ERRORS = 10
"""Errors that a distribution, or a band of it, is estimated from at all."""
FLOOR = 0.05
"""Smallest size, units per period."""


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
            speed: typical sales, units per period: mean past sales, shape (items, origins), or what is usual
                under the conditions of each target, shape (items, origins, horizon).
            levels: shape (Q,). [τ]

        Returns:
            units, shape (items, origins, horizon, Q), not below zero and not decreasing.
        """
        usual = speed if speed.ndim == point.ndim else speed[..., None]
        usual = np.broadcast_to(usual, point.shape).reshape(-1)
        step = np.broadcast_to(np.arange(point.shape[-1]), point.shape).reshape(-1)
        return self.quantiles_of_cells(point.reshape(-1), usual, step, levels).reshape(*point.shape, len(levels))

    def quantiles_of_cells(
        self, point: FloatArray, usual: FloatArray, step: IntArray, levels: FloatArray
    ) -> FloatArray:
        """Return the quantiles of demand in single periods.

        Args:
            point: forecast, units, shape (cells,).
            usual: typical sales, units per period, shape (cells,).
            step: periods ahead, from 0, shape (cells,).
            levels: shape (Q,). [τ]

        Returns:
            units, shape (cells, Q), not below zero and not decreasing.
        """
        # Errors may be negative, quantiles of demand may not: they are lifted above zero for the interpolation.
        lift = max(0.0, -float(self.table.min())) * 2.0 + 1.0
        bands, horizon = self.table.shape[:2]
        table = (at_levels(GRID, self.table + lift, levels) - lift).reshape(bands * horizon, len(levels))
        point, row = np.maximum(point, 0.0), np.minimum(step, horizon - 1)
        size = _size(point, usual)
        # Between the middles of two bands, errors are interpolated by the log of the size.
        share, further = np.zeros(size.shape), 0
        if bands > 1:
            log_size, further = np.log(size), horizon
            below = np.clip(np.searchsorted(self.middle, log_size) - 1, 0, bands - 2)
            width = self.middle[below + 1] - self.middle[below]
            share = np.clip((log_size - self.middle[below]) / width, 0.0, 1.0)
            row = row + below * horizon
        scale, out = size**self.power, np.empty((len(point), len(levels)))
        for first in range(0, len(point), AT_ONCE // 16):
            part = slice(first, first + AT_ONCE // 16)
            values = np.take(table, row[part], axis=0, out=out[part], mode="clip")
            values *= (1 - share[part])[:, None]
            above = table.take(row[part] + further, axis=0)
            above *= share[part, None]
            values += above
            values *= scale[part, None]
            values += point[part, None]
            lift_crossings(np.maximum(values, 0.0, out=values))
        return out

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {"error_table": self.table, "error_middle": self.middle, "error_power": self.power}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ErrorDistribution:
        """Rebuild from `arrays()`."""
        return cls(arrays["error_table"], arrays["error_middle"], arrays["error_power"])


def fit_error_distribution(point: FloatArray, actual: FloatArray, speed: FloatArray) -> ErrorDistribution:
    """Estimate the error distribution of forecasts that were made without knowing what they forecast.

    Args:
        point: forecasts, units, shape (items, origins, horizon).
        actual: demand, the same shape, NaN where unknown.
        speed: typical sales, as in `ErrorDistribution.quantiles`.
    """
    size = _size(point, speed)
    error = actual - np.maximum(point, 0.0)
    known = ~np.isnan(error)
    if known.sum() < LEAST_ERRORS:
        # Too little to estimate from: normal errors of a Poisson's size.
        row = np.broadcast_to(ndtri(GRID), (1, point.shape[-1], len(GRID)))
        return ErrorDistribution(np.array(row), np.zeros(1), np.asarray(0.5))
    log_size = np.log(size)
    power = error_power(log_size[known], np.abs(error[known]))
    scaled = error / size**power
    edges = _band_edges(log_size[known], point.shape[-1])
    band = np.searchsorted(edges, log_size, side="right")
    table, middle = np.empty((len(edges) + 1, point.shape[-1], len(GRID))), np.empty(len(edges) + 1)
    for b in range(len(edges) + 1):
        inside = known & (band == b)
        middle[b] = np.median(log_size[inside])
        for h in range(point.shape[-1]):
            # A horizon of few errors has those of all horizons.
            own = scaled[..., h][inside[..., h]]
            table[b, h] = np.quantile(own if len(own) >= HORIZON_ERRORS else scaled[inside], GRID)
    return ErrorDistribution(table, middle, np.asarray(power))


def error_power(log_size: FloatArray, error: FloatArray) -> float:
    """Return the slope of the log mean absolute error in the log size, over twenty groups of like size."""
    order = np.argsort(log_size, kind="stable")
    groups = [g for g in np.array_split(order, 20) if len(g)]
    x = np.array([log_size[g].mean() for g in groups])
    y = np.log(np.array([error[g].mean() for g in groups]) + 1e-6)
    spread = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread if spread > 1e-9 else 0.7
    return float(np.clip(slope, 0.4, 1.0))


def _size(point: FloatArray, speed: FloatArray) -> FloatArray:
    """Return the size that errors are scaled by, shape of `point`: half forecast, half velocity."""
    usual = speed if speed.ndim == point.ndim else speed[..., None]
    return np.asarray(0.5 * np.maximum(point, 0.0) + 0.5 * usual + FLOOR)


def _band_edges(log_size: FloatArray, horizon: int) -> FloatArray:
    """Return the log sizes at which the next band begins, for known errors of these log sizes, shape (errors,).

    Bands hold about as many errors each. Where sizes tie (nothing was ever sold, so that all are `FLOOR`), a
    quantile of the sizes may leave next to nothing below it: an edge counts only where enough errors lie between
    it and the one before, and beyond it.
    """
    bands = int(np.clip(len(log_size) / horizon // BAND_ERRORS, 1, BANDS))
    edges: list[float] = []
    below = 0
    for edge in np.unique(np.quantile(log_size, np.arange(1, bands) / bands)):
        smaller = int((log_size < edge).sum())
        if smaller - below >= LEAST_ERRORS and len(log_size) - smaller >= LEAST_ERRORS:
            edges.append(float(edge))
            below = smaller
    return np.asarray(edges)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The errors of past point forecasts: how large they are, and how they move together."""

    errors: ErrorDistribution
    dependence: ErrorDependence

    def forecast(self, request: Request, point: FloatArray) -> QuantileForecast:
        """Turn point forecasts (items, origins, horizon) into quantiles."""
        speed = velocity(request.panel, request.origins)
        values = self.errors.quantiles(point, speed, self.dependence.levels(request.levels))
        return self.dependence.forecast(request, values)

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {**self.errors.arrays(), **self.dependence.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Calibration:
        """Rebuild from `arrays()`."""
        return cls(ErrorDistribution.from_arrays(arrays), ErrorDependence.from_arrays(arrays))


def calibrate(history: History, origins: IntArray, point: FloatArray) -> Calibration:
    """Estimate the errors of point forecasts that were made without knowing what they forecast.

    Args:
        history: reaches beyond the origins.
        origins: of the forecasts, shape (origins,).
        point: units, shape (items, origins, horizon).
    """
    horizon = point.shape[-1]
    panel = history.expected
    speed = velocity(panel, origins)
    errors = fit_error_distribution(point, targets_of(history.drawn, origins, horizon), speed)
    levels = np.asarray(DEFAULT_LEVELS)
    values = errors.quantiles(point, speed, levels)
    dates = panel.extended(np.zeros((panel.items, horizon))).dates[origins]
    forecast = QuantileForecast(levels, values, origins, panel.item_ids, dates, panel.freq)
    return Calibration(errors, fit_errors(forecast, history, relative=True))
