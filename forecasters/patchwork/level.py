"""The base series model: an exponentially weighted level whose weight goes by how much a sale tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import BoolArray, FloatArray
from .effects import DISPERSION

CLIP = 4.0
"""Standard deviations above its forecast at which a sale stops raising a settled level further."""
ODD = 6.0
"""The same for the dispersion."""
SETTLED = 0.3
"""Variance of a log level below which an item is known well enough for errors to be called odd."""
DISPERSION_WEIGHT = 20.0
"""Periods that the usual dispersion is worth against an item's own."""
NEWTON_STEPS = 3


class Levels(NamedTuple):
    """What is known of each item before each period 0 ... periods, arrays of shape (items, periods + 1).

    Attributes:
        log_level: logarithm of demand over its factors.
        variance: of `log_level`.
        dispersion: variance of demand = mean + dispersion · mean².
    """

    log_level: FloatArray
    variance: FloatArray
    dispersion: FloatArray


class Start(NamedTuple):
    """What is believed of items before their first sale.

    Attributes:
        log_level: shape (items,).
        variance: of `log_level`, shape (items,).
        dispersion: of all items.
    """

    log_level: FloatArray
    variance: FloatArray
    dispersion: float


def filtered(sales: FloatArray, known: FloatArray, factor: FloatArray, start: Start, drift: float) -> Levels:
    """Follow every item's level through its record.

    The log level is a random walk seen through negative binomial demand. A sale y moves it from η₀, of
    variance P, to the posterior mode, `(η − η₀) / P = (y − μ) / (1 + α μ)` with `μ = factor · exp(η)`: near
    η₀ that is exponential smoothing with weight `P / (P + 1/μ + α)`, larger the less is known of the item and
    the more its sales tell. A period that says nothing lets the variance grow, nothing else. Sales far above
    their forecast count as if they were nearer.

    Args:
        sales: units, shape (items, periods). [y]
        known: 1.0 where sales were demand, the same shape.
        factor: what season, price and launch multiply demand by, the same shape.
        start: before the first sale.
        drift: variance that a log level gains in a period.
    """
    items, periods = sales.shape
    now = _State.before(start, items)
    kept = Levels(*(np.empty((items, periods + 1)) for _ in range(3)))
    for t in range(periods + 1):
        kept.log_level[:, t], kept.variance[:, t], kept.dispersion[:, t] = now.log_level, now.variance, now.dispersion
        if t < periods:
            now = now.after(sales[:, t], factor[:, t], known[:, t] > 0, drift)
    return kept


class _State(NamedTuple):
    """Where each item stands, arrays of shape (items,); the dispersion is `excess / weight`."""

    log_level: FloatArray
    variance: FloatArray
    excess: FloatArray
    weight: FloatArray
    seen: BoolArray

    @classmethod
    def before(cls, start: Start, items: int) -> _State:
        """Return where items stand before their first sale."""
        weight = np.full(items, DISPERSION_WEIGHT)
        return cls(start.log_level, start.variance, start.dispersion * weight, weight, np.zeros(items, dtype=bool))

    @property
    def dispersion(self) -> FloatArray:
        """Variance of demand = mean + dispersion · mean²."""
        return np.clip(self.excess / self.weight, *DISPERSION)

    def after(self, sales: FloatArray, factor: FloatArray, told: BoolArray, drift: float) -> _State:
        """Return where items stand after a period; a level drifts from its item's first sale on."""
        dispersion, mean = self.dispersion, np.exp(self.log_level) * factor
        blur = np.expm1(np.minimum(self.variance, 3.0))
        expected = mean * (1 + dispersion * mean) + mean**2 * blur
        settled = self.variance < SETTLED
        square = np.minimum((sales - mean) ** 2, ODD**2 * expected) - mean
        share = _telling(mean, dispersion) * (told & settled)
        likely = np.where(settled, np.minimum(sales, mean + CLIP * np.sqrt(expected)), sales)
        moved = _mode(likely, factor, self.log_level, self.variance, dispersion)
        information = np.where(told, _information(np.exp(moved) * factor, dispersion), 0.0)
        seen = self.seen | told
        return _State(
            log_level=np.where(told, moved, self.log_level),
            variance=self.variance / (1 + self.variance * information) + np.where(seen, drift, 0.0),
            excess=self.excess + share * (square / np.maximum(mean**2, 1e-4) - blur),
            weight=self.weight + share,
            seen=seen,
        )


def _mode(
    y: FloatArray, factor: FloatArray, before: FloatArray, variance: FloatArray, dispersion: FloatArray
) -> FloatArray:
    """The log level that is likeliest after a sale, by Newton's method with steps of at most one."""
    now = before
    for _ in range(NEWTON_STEPS):
        mean = np.exp(now) * factor
        slope = (y - mean) / (1 + dispersion * mean) - (now - before) / variance
        bend = mean * (1 + dispersion * y) / (1 + dispersion * mean) ** 2 + 1 / variance
        now = now + np.clip(slope / bend, -1.0, 1.0)
    return now


def _information(mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    return mean / (1 + dispersion * mean)


def _telling(mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """How much an error tells of the dispersion: little where the mean is small."""
    square = _information(mean, dispersion) ** 2
    return square / (0.1 + square)
