"""The distribution of draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray


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
