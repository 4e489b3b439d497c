"""The Distribution Engine: quantiles around a point forecast, from the errors of forecasts like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Arrays
from ..calibration.error_distribution import ErrorDistribution, fit_error_distribution
from .series import Expected

CLASSES = 3
"""Classes of items by how much their demand varies."""
FEWEST = 300
"""Errors at each horizon that a class needs."""


@dataclass(frozen=True, eq=False)
class DistributionEngine:
    """Past errors by class: items of like dispersion, and promoted item-periods where there are enough.

    Within a class errors are scaled and banded by size, and taken by horizon; see `ErrorDistribution`.

    Attributes:
        edges: dispersions at which the next class begins, shape (classes − 1,).
        classes: one a class of dispersion, and one of promoted item-periods behind them where there is one.
    """

    edges: FloatArray
    classes: tuple[ErrorDistribution, ...]

    def quantiles(self, expected: Expected, levels: FloatArray) -> FloatArray:
        """Return quantiles of demand, units, shape (items, origins, horizon, levels)."""
        member = _classes(expected, self.edges, promotions=len(self.classes) > len(self.edges) + 1)
        values = np.empty((*expected.point.shape, len(levels)))
        for number, errors in enumerate(self.classes):
            chosen = member == number
            if chosen.any():
                values[chosen] = errors.quantiles(expected.point, expected.typical, levels)[chosen]
        return values

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        named = {f"class{n}_{name}": a for n, one in enumerate(self.classes) for name, a in one.arrays().items()}
        return {"engine_edges": self.edges, **named}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> DistributionEngine:
        """Rebuild from `arrays()`."""
        classes: list[ErrorDistribution] = []
        while f"class{len(classes)}_error_table" in arrays:
            prefix = f"class{len(classes)}_"
            own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            classes.append(ErrorDistribution.from_arrays(own))
        return cls(arrays["engine_edges"], tuple(classes))


def fit_engine(expected: Expected, actual: FloatArray) -> DistributionEngine:
    """Learn from forecasts that did not know what came.

    Args:
        expected: the forecasts.
        actual: what came, units, shape (items, origins, horizon), NaN where unknown.
    """
    known = ~np.isnan(actual)
    horizon = actual.shape[-1]
    promotions = bool((known & expected.promoted).sum() >= FEWEST * horizon)
    plain = known & ~expected.promoted if promotions else known
    dispersion = np.broadcast_to(expected.dispersion[..., None], actual.shape)[plain]
    number = int(np.clip(len(dispersion) // (FEWEST * horizon), 1, CLASSES))
    edges = np.unique(np.quantile(dispersion, np.arange(1, number) / number)) if number > 1 else np.zeros(0)
    edges = edges[edges > dispersion.min()] if number > 1 else edges
    member = _classes(expected, edges, promotions=promotions)
    parts = [
        fit_error_distribution(expected.point, np.where(member == n, actual, np.nan), expected.typical)
        for n in range(len(edges) + 1 + promotions)
    ]
    return DistributionEngine(edges, tuple(parts))


def textbook_quantiles(point: FloatArray, unit: float, levels: FloatArray, *, whole: bool) -> FloatArray:
    """Return quantiles as a textbook takes them: Poisson around the point, or normal where units are not whole.

    Args:
        point: units, shape (...).
        unit: variance over mean.
        levels: shape (Q,).
        whole: whether demand is counted.
    """
    from scipy.special import ndtri
    from scipy.stats import poisson

    if whole:
        return np.asarray(poisson.ppf(levels, np.maximum(point, 1e-9)[..., None]))
    return np.maximum(point[..., None] + ndtri(levels) * np.sqrt(unit * point)[..., None], 0.0)


def _classes(expected: Expected, edges: FloatArray, *, promotions: bool) -> IntArray:
    by_item = np.searchsorted(edges, expected.dispersion, side="right")[..., None]
    if not promotions:
        return np.broadcast_to(by_item, expected.point.shape)
    return np.where(expected.promoted, len(edges) + 1, by_item)
