"""The normal distribution, clipped at zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray


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
