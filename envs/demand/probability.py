"""Probability distributions of demand: those of textbooks, clipped normals, mixtures, and those of draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray, IntArray

ROUNDING = 1e-15
"""Levels this far above a step of the distribution function count as met: sums of floats end there."""


PRECISION = 1e-10
"""Relative error of a continuous quantile."""

HALVINGS = 100
"""Steps of the bisection at most; each halves what is between the components' quantiles."""


class Distribution(Protocol):
    """What scipy's frozen distributions offer, too; parameters broadcast to (..., items)."""

    def cdf(self, units: ArrayLike) -> Any:
        """P(demand <= units)."""

    def sf(self, units: ArrayLike) -> Any:
        """P(demand > units), precise in the upper tail."""

    def ppf(self, level: ArrayLike) -> Any:
        """The smallest demand that is exceeded with probability <= 1 − level."""

    def mean(self) -> Any:
        """Expected demand, units."""

    def var(self) -> Any:
        """Variance of demand, units squared."""

    def std(self) -> Any:
        """Standard deviation of demand, units."""


@dataclass(frozen=True, eq=False)
class ScipyDistribution:
    """A scipy distribution with its parameters: what `family(*shapes, scale=scale)` is, without what that costs.

    Freezing a scipy distribution takes longer than most of what is computed of it, and demand models make one for
    every item, period and sum.

    Attributes:
        family: e.g. `scipy.stats.poisson`.
        shapes: its shape parameters, which broadcast to (..., items).
        options: `scale` or `loc`, where it has them.
    """

    family: Any
    shapes: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def pmf(self, units: ArrayLike) -> Any:
        """P(demand = units), where demand is discrete."""
        return self.family.pmf(units, *self.shapes, **self.options)

    def pdf(self, units: ArrayLike) -> Any:
        """Density, where demand is continuous."""
        return self.family.pdf(units, *self.shapes, **self.options)

    def cdf(self, units: ArrayLike) -> Any:
        """P(demand <= units)."""
        return self.family.cdf(units, *self.shapes, **self.options)

    def sf(self, units: ArrayLike) -> Any:
        """P(demand > units), precise in the upper tail."""
        return self.family.sf(units, *self.shapes, **self.options)

    def ppf(self, level: ArrayLike) -> Any:
        """The smallest demand that is exceeded with probability <= 1 − level."""
        return self.family.ppf(level, *self.shapes, **self.options)

    def mean(self) -> Any:
        """Expected demand, units."""
        return self.family.mean(*self.shapes, **self.options)

    def var(self) -> Any:
        """Variance of demand, units squared."""
        return self.family.var(*self.shapes, **self.options)

    def std(self) -> Any:
        """Standard deviation of demand, units."""
        return self.family.std(*self.shapes, **self.options)


@dataclass(frozen=True, eq=False)
class ClippedNormal:
    """The distribution of max(X, 0) with X normal: all that lies below zero is moved to zero.

    Attributes:
        location: mean of X, units, shape (..., items). [μ]
        scale: standard deviation of X, units, broadcasts with `location`. [σ]
    """

    location: FloatArray
    scale: FloatArray

    def cdf(self, units: ArrayLike) -> FloatArray:
        """P(demand <= units)."""
        return np.where(np.asarray(units) < 0, 0.0, ndtr(self._score(units)))

    def sf(self, units: ArrayLike) -> FloatArray:
        """P(demand > units), precise in the upper tail."""
        return np.where(np.asarray(units) < 0, 1.0, ndtr(-self._score(units)))

    def pdf(self, units: ArrayLike) -> FloatArray:
        """Density above zero; at zero the probability of zero; nothing below."""
        density = np.exp(-0.5 * self._score(units) ** 2) / (np.sqrt(2 * np.pi) * self.scale)
        units = np.asarray(units)
        return np.where(units > 0, density, np.where(units == 0, ndtr(self._score(0.0)), 0.0))

    def ppf(self, level: ArrayLike) -> FloatArray:
        """The smallest demand that is exceeded with probability <= 1 − level."""
        return np.maximum(self.location + self.scale * ndtri(level), 0.0)

    def mean(self) -> FloatArray:
        """Expected demand, units: μΦ(μ/σ) + σφ(μ/σ)."""
        share, density = self._at_zero()
        return self.location * share + self.scale * density

    def var(self) -> FloatArray:
        """Variance of demand, units squared: (μ² + σ²)Φ(μ/σ) + μσφ(μ/σ) − mean²."""
        share, density = self._at_zero()
        second = (self.location**2 + self.scale**2) * share + self.location * self.scale * density
        return np.maximum(second - self.mean() ** 2, 0.0)

    def std(self) -> FloatArray:
        """Standard deviation of demand, units."""
        return np.sqrt(self.var())

    def _score(self, units: ArrayLike) -> FloatArray:
        return (np.asarray(units, dtype=np.float64) - self.location) / self.scale

    def _at_zero(self) -> tuple[FloatArray, FloatArray]:
        """Φ and φ at μ/σ."""
        ratio = self.location / self.scale
        return ndtr(ratio), np.exp(-0.5 * ratio**2) / np.sqrt(2 * np.pi)


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


@dataclass(frozen=True, eq=False)
class SampleDistribution:
    """The distribution that (quasi-random) draws stand for, interpolated between them by the midpoint rule.

    Attributes:
        ordered: draws in increasing order along the first axis, units, shape (draws, ..., items).
    """

    ordered: FloatArray

    @classmethod
    def of(cls, draws: FloatArray) -> SampleDistribution:
        """Return the distribution of draws, shape (draws, ..., items)."""
        return cls(np.sort(draws, axis=0))

    def cdf(self, units: ArrayLike) -> FloatArray:
        """P(demand <= units)."""
        below = np.asarray(units)[..., None] >= np.moveaxis(self.ordered, 0, -1)
        return below.mean(-1)

    def sf(self, units: ArrayLike) -> FloatArray:
        """P(demand > units)."""
        return 1.0 - self.cdf(units)

    def ppf(self, level: ArrayLike) -> FloatArray:
        """The smallest demand that is exceeded with probability <= 1 − level."""
        number, shape = len(self.ordered), self.ordered.shape[1:]
        level = np.asarray(level, dtype=np.float64)
        position = np.clip(level * number - 0.5, 0, number - 1)
        whole = np.broadcast_shapes(level.shape, shape)
        # The draws' own axes lie last; levels may have more in front of them.
        position = np.broadcast_to(position, whole).reshape(-1, *shape)
        low = np.floor(position).astype(np.int64)
        pair = [np.take_along_axis(self.ordered, np.minimum(low + k, number - 1), axis=0) for k in (0, 1)]
        return (pair[0] + (position - low) * (pair[1] - pair[0])).reshape(whole)

    def mean(self) -> FloatArray:
        """Expected demand, units."""
        return self.ordered.mean(0)

    def var(self) -> FloatArray:
        """Variance of demand, units squared."""
        return self.ordered.var(0)

    def std(self) -> FloatArray:
        """Standard deviation of demand, units."""
        return self.ordered.std(0)
