"""Conditional least squares for ARIMA models of many items at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray
from .arima_recursion import Order, Polynomials, expanded, innovations

STEPS = 25
DIFFERENCE = 1e-4
EARLY = 0.3
"""Where the search begins: partial autocorrelations, as their inverse hyperbolic tangent."""
LARGEST = 3.0
"""Bound of these tangents: partial autocorrelations stay within 0.995 of zero."""


class Fit(NamedTuple):
    """Models of one order.

    Attributes:
        model: of the items.
        criterion: Akaike's criterion, corrected for short records, shape (items,).
    """

    model: Polynomials
    criterion: FloatArray


def fit_order(sales: FloatArray, known: NDArray[np.bool_], order: Order, warm_up: int) -> Fit:
    """Fit one order to every item by the method of Levenberg and Marquardt.

    Autoregressions stay stationary and moving averages invertible: the search runs over partial
    autocorrelations (Monahan 1984).

    Args:
        sales: units, shape (items, periods).
        known: where sales were demand, the same shape.
        order: of all items.
        warm_up: periods from an item's first known one on whose errors do not count, at least `order.memory`.
    """
    scale = np.maximum(np.sqrt(_mean(sales**2, known)), 1e-9)
    since = np.arange(sales.shape[1]) - known.argmax(axis=1)[:, None]
    counted = known & (since >= warm_up)
    problem = _Problem(sales / scale[:, None], known, counted, order)
    parameters, loss = problem.solved()
    model = problem.model(parameters)
    number = np.maximum(counted.sum(axis=1), 1)
    free = parameters.shape[1] + 1
    correction = 2 * free * (free + 1) / np.maximum(number - free - 1, 1e-3)
    criterion = number * np.log(loss / number + 1e-12) + 2 * free + correction
    return Fit(Polynomials(model.past, model.errors, model.mean * scale, model.memory), criterion)


def stationary(partial: FloatArray) -> FloatArray:
    """Return the autoregressions with these partial autocorrelations, (items, order): Durbin and Levinson.

    >>> stationary(np.array([[0.5, 0.2]])).round(3)
    array([[0.4, 0.2]])
    """
    out = partial.copy()
    for k in range(1, partial.shape[1]):
        earlier = out[:, :k].copy()
        out[:, :k] = earlier - partial[:, k : k + 1] * earlier[:, ::-1]
    return out


class _Problem(NamedTuple):
    """Sales of unit size, where they are known and counted, and the order to fit."""

    sales: FloatArray
    known: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    order: Order

    def solved(self) -> tuple[FloatArray, FloatArray]:
        """Return the best parameters, and the sum of squared errors."""
        now = self._first()
        errors = self.errors(now)
        loss, damping = (errors**2).sum(1), np.full(len(now), 1e-2)
        for _ in range(STEPS if now.shape[1] else 0):
            tried = self._bounded(now + _step(self._slopes(now, errors), errors, damping))
            other = self.errors(tried)
            better = (other**2).sum(1) < loss
            now = np.where(better[:, None], tried, now)
            errors = np.where(better[:, None], other, errors)
            loss = np.where(better, (other**2).sum(1), loss)
            damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-8, 1e8)
        return now, loss

    def errors(self, parameters: FloatArray) -> FloatArray:
        """Return one-step errors where they count, (rows, periods); the rows may repeat the items."""
        times = len(parameters) // len(self.sales)
        sales, known = np.tile(self.sales, (times, 1)), np.tile(self.known, (times, 1))
        run = innovations(self.model(parameters), sales, known)
        return np.where(np.tile(self.counted, (times, 1)), run.errors, 0.0)

    def model(self, parameters: FloatArray) -> Polynomials:
        """Return the polynomials that parameters stand for."""
        order = self.order
        partial = np.tanh(parameters[:, : order.coefficients])
        blocks = np.split(partial, np.cumsum([order.p, order.q, order.P]), axis=1)
        # A moving average is invertible where the autoregression of the opposite sign is stationary.
        signed = [sign * stationary(block) for sign, block in zip((1.0, -1.0, 1.0, -1.0), blocks, strict=True)]
        mean = parameters[:, -1] if order.has_mean else np.zeros(len(parameters))
        return expanded(order, np.concatenate(signed, axis=1), mean)

    def _first(self) -> FloatArray:
        start = np.full((len(self.sales), self.order.coefficients), EARLY)
        mean = [_mean(self.sales, self.known)[:, None]] if self.order.has_mean else []
        return np.concatenate([start, *mean], axis=1)

    def _bounded(self, parameters: FloatArray) -> FloatArray:
        number = self.order.coefficients
        return np.concatenate([np.clip(parameters[:, :number], -LARGEST, LARGEST), parameters[:, number:]], axis=1)

    def _slopes(self, now: FloatArray, errors: FloatArray) -> FloatArray:
        """Derivatives of errors, shape (items, periods, parameters), all differences in one run."""
        number = now.shape[1]
        moved = np.concatenate([now + DIFFERENCE * np.eye(number)[k] for k in range(number)])
        run = self.errors(moved).reshape(number, *errors.shape)
        return np.moveaxis((run - errors) / DIFFERENCE, 0, -1)


def _step(slopes: FloatArray, errors: FloatArray, damping: FloatArray) -> FloatArray:
    across = slopes.transpose(0, 2, 1)
    normal = across @ slopes
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    heavy = (damping[:, None] * diagonal + 1e-9)[..., None] * np.eye(normal.shape[1])
    direction = -np.linalg.solve(normal + heavy, across @ errors[..., None])[..., 0]
    return np.asarray(np.clip(direction, -1.0, 1.0))


def _mean(values: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(np.where(known, values, 0.0).sum(1) / np.maximum(known.sum(1), 1))
