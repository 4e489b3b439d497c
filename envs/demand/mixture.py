"""Mixtures of distributions, with weights that may differ over origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arrays import FloatArray, IntArray
from .lattice import ROUNDING, Distribution

PRECISION = 1e-10
"""Relative error of a continuous quantile."""

HALVINGS = 100
"""Steps of the bisection at most; each halves what is between the components' quantiles."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """The distribution Σ_r w_r F_r.

    Attributes:
        components: the F_r, of shape (horizon or 1, origins or 1, items); the same for all origins of a belief.
        weights: one array a component, shape (horizon, beliefs, items); many origins may share a belief. [w_r]
        belief: which belief each origin holds, integers of shape (origins, items); None = each its own.
        discrete: whether demand is in whole units.
    """

    components: Sequence[Distribution]
    weights: Sequence[FloatArray]
    belief: IntArray | None
    discrete: bool

    def pmf(self, units: ArrayLike) -> FloatArray:
        """P(demand = units), where demand is discrete."""
        return self._sum("pmf", np.asarray(units, dtype=np.float64))

    def cdf(self, units: ArrayLike) -> FloatArray:
        """P(demand <= units)."""
        return self._sum("cdf", np.asarray(units, dtype=np.float64))

    def sf(self, units: ArrayLike) -> FloatArray:
        """P(demand > units), precise in the upper tail."""
        return self._sum("sf", np.asarray(units, dtype=np.float64))

    def ppf(self, level: ArrayLike) -> FloatArray:
        """The smallest demand that is exceeded with probability <= 1 − level, by bisection."""
        level = np.asarray(level, dtype=np.float64)
        alike = level.ndim < 1 or (level.ndim > 1 and level.shape[-2:] == (1, 1))
        if self.belief is None or not alike:
            return self._solved(self._by_origin, level)
        # Origins of one belief share their quantiles.
        found = self._solved(self.weights, level)
        return np.take_along_axis(found, _fitted(self.belief, found), axis=-2)

    def mean(self) -> FloatArray:
        """Expected demand, units."""
        return np.asarray(sum(w * d.mean() for w, d in self._pairs))

    def var(self) -> FloatArray:
        """Variance of demand, units squared."""
        second = sum(w * (d.var() + d.mean() ** 2) for w, d in self._pairs)
        return np.asarray(second - self.mean() ** 2)

    def std(self) -> FloatArray:
        """Standard deviation of demand, units."""
        return np.sqrt(self.var())

    @property
    def _by_origin(self) -> list[FloatArray]:
        if self.belief is None:
            return list(self.weights)
        return [np.take_along_axis(w, _fitted(self.belief, w), axis=-2) for w in self.weights]

    @property
    def _pairs(self) -> list[tuple[FloatArray, Distribution]]:
        return list(zip(self._by_origin, self.components, strict=True))

    def _sum(self, name: str, units: FloatArray) -> FloatArray:
        return np.asarray(sum(w * getattr(d, name)(units) for w, d in self._pairs))

    def _solved(self, weights: Sequence[FloatArray], level: FloatArray) -> FloatArray:
        """Quantiles, which lie between those of the components that have weight."""
        each = [np.broadcast_arrays(d.ppf(level), w) for d, w in zip(self.components, weights, strict=True)]
        low = np.min([np.where(w > 0, q, np.inf) for q, w in each], axis=0)
        high = np.max([np.where(w > 0, q, -np.inf) for q, w in each], axis=0)
        for _ in range(HALVINGS):
            if not (high - low > (0.5 if self.discrete else PRECISION * high)).any():
                break
            middle = np.floor((low + high) / 2) if self.discrete else (low + high) / 2
            met = sum(w * d.cdf(middle) for w, d in zip(weights, self.components, strict=True)) >= level - ROUNDING
            low, high = np.where(met, low, np.minimum(middle + self.discrete, high)), np.where(met, middle, high)
        return np.asarray(high)


def _fitted(index: NDArray[np.int64], array: FloatArray) -> IntArray:
    """An index over the last axis but one, with the array's other axes."""
    return np.broadcast_to(index, (*array.shape[:-2], *index.shape))
