"""ARIMA models of many items as one recursion over time, whatever their orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray


class Order(NamedTuple):
    """Orders of a seasonal ARIMA model, (p, d, q)(P, D, Q), and the periods of its season."""

    p: int = 0
    d: int = 0
    q: int = 0
    P: int = 0
    D: int = 0
    Q: int = 0
    season: int = 1

    @property
    def has_mean(self) -> bool:
        """Whether the series has a mean to return to: where nothing is differenced."""
        return self.d + self.D == 0

    @property
    def coefficients(self) -> int:
        """Coefficients of all polynomials."""
        return self.p + self.q + self.P + self.Q

    @property
    def memory(self) -> int:
        """Past values that the next one depends on."""
        return self.p + self.d + self.season * (self.P + self.D)


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Models `z_t = Σ_j a_j z_{t−j} + e_t + Σ_j b_j e_{t−j}` of demand less its mean, z = y − mean.

    Attributes:
        past: a, differences and seasons multiplied out, shape (items, longest). [a]
        errors: b, shape (items, longest). [b]
        mean: units, shape (items,); 0 where something is differenced.
        memory: how many values an item's a reaches back: errors count from then on, shape (items,).
    """

    past: FloatArray
    errors: FloatArray
    mean: FloatArray
    memory: IntArray


class Innovations(NamedTuple):
    """Values with gaps filled by their own forecasts, and one-step errors, each (items, periods)."""

    values: FloatArray
    errors: FloatArray


def expanded(order: Order, coefficients: FloatArray, mean: FloatArray) -> Polynomials:
    """Multiply the polynomials out: `φ(B) Φ(B^m) (1 − B)^d (1 − B^m)^D` and `θ(B) Θ(B^m)`.

    Args:
        order: of all items.
        coefficients: φ, θ, Φ, Θ one after another as Box and Jenkins sign them but for θ and Θ, which are
            added (as R and statsforecast do), shape (items, p + q + P + Q).
        mean: units, shape (items,).
    """
    phi, theta, seasonal_phi, seasonal_theta = np.split(coefficients, np.cumsum([order.p, order.q, order.P]), axis=1)
    past = _product(_lags(-phi, 1), _lags(-seasonal_phi, order.season))
    for lag, times in ((1, order.d), (order.season, order.D)):
        for _ in range(times):
            past = _product(past, _lags(-np.ones((len(mean), 1)), lag))
    errors = _product(_lags(theta, 1), _lags(seasonal_theta, order.season))
    return Polynomials(-past[:, 1:], errors[:, 1:], mean, np.full(len(mean), order.memory))


def innovations(model: Polynomials, sales: FloatArray, known: NDArray[np.bool_]) -> Innovations:
    """Run through the record of every item, one step ahead at a time.

    Before an item's first known period nothing happens. The first values that others depend on have no error
    (conditional least squares). A period that is not known has its own forecast for a value, so no error; one
    so early that there is no forecast repeats the value before.

    Args:
        model: of the items.
        sales: units, shape (items, periods).
        known: where sales were demand, the same shape.
    """
    items, periods = sales.shape
    reach, echo = model.past.shape[1], model.errors.shape[1]
    values, errors = np.zeros((items, reach + periods)), np.zeros((items, echo + periods))
    past, moving = model.past[:, ::-1], model.errors[:, ::-1]
    centred = sales - model.mean[:, None]
    age = np.arange(periods) - np.where(known.any(axis=1), known.argmax(axis=1), periods)[:, None]
    for t in range(periods):
        foretold = np.einsum("ij,ij->i", past, values[:, t : t + reach])
        foretold += np.einsum("ij,ij->i", moving, errors[:, t : t + echo])
        early = age[:, t] < model.memory
        before = values[:, reach + t - 1] if reach else np.zeros(items)
        unknown = np.where(early, before, foretold)
        now = np.where(known[:, t], centred[:, t], np.where(age[:, t] < 0, 0.0, unknown))
        values[:, reach + t] = now
        errors[:, echo + t] = np.where(early | ~known[:, t], 0.0, now - foretold)
    return Innovations(values[:, reach:], errors[:, echo:])


def projected(model: Polynomials, record: Innovations, origins: IntArray, horizon: int) -> FloatArray:
    """Return forecasts from every origin, units, shape (items, origins, horizon); later errors are zero."""
    reach, echo = model.past.shape[1], model.errors.shape[1]
    values = _window(record.values, origins, reach, horizon)
    errors = _window(record.errors, origins, echo, horizon)
    past, moving = model.past[:, None, ::-1], model.errors[:, None, ::-1]
    for step in range(horizon):
        foretold = (past * values[..., step : step + reach]).sum(-1)
        values[..., reach + step] = foretold + (moving * errors[..., step : step + echo]).sum(-1)
    return values[..., reach:] + model.mean[:, None, None]


def _window(values: FloatArray, origins: IntArray, reach: int, horizon: int) -> FloatArray:
    """The `reach` values before each origin, with room for the horizon: (items, origins, reach + horizon)."""
    out = np.zeros((len(values), len(origins), reach + horizon))
    if reach:
        padded = np.pad(values, ((0, 0), (reach, 0)))
        out[..., :reach] = sliding_window_view(padded, reach, axis=1)[:, origins]
    return out


def _lags(coefficients: FloatArray, lag: int) -> FloatArray:
    """`1 + Σ_k c_k B^(k·lag)` as coefficients of B^0, B^1, …, shape (items, degree + 1)."""
    items, number = coefficients.shape
    out = np.zeros((items, number * lag + 1))
    out[:, 0] = 1.0
    out[:, lag::lag] = coefficients
    return out


def _product(one: FloatArray, other: FloatArray) -> FloatArray:
    """Multiply polynomials item by item."""
    out = np.zeros((len(one), one.shape[1] + other.shape[1] - 1))
    for k in range(one.shape[1]):
        out[:, k : k + other.shape[1]] += one[:, k : k + 1] * other
    return out
