"""Demand of textbook distributions, and what every demand model offers."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...arrays import FloatArray
from ...errors import FractileError
from ..core.params import Number
from .clipped_normal import ClippedNormal
from .independent import IndependentDemand
from .lattice import (
    CELLS_PER_DEVIATION,
    Distribution,
    GridDistribution,
    LatticeDistribution,
    grid_cells,
    power,
    trimmed,
)
from .model import DemandModel, draw_scenario, require

RARE = 1e-4
"""Probability of a clipped period up to which sums of normals are taken as normal."""


@dataclass(frozen=True)
class Poisson(IndependentDemand):
    """Poisson demand.

    Attributes:
        mean: units per period, scalar or (items,). [μ]

    >>> Poisson(5.0).quantile(0.9, span=3).item()
    20.0
    """

    mean: Number

    def __post_init__(self) -> None:
        require(self, mean="positive")

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Poisson with mean span·μ."""
        return stats.poisson(np.asarray(span) * self.mean)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy."""
        return rng.poisson(self.mean, shape).astype(np.float64)

    def scaled(self, factor: ArrayLike) -> Poisson:
        """Poisson with another mean."""
        return replace(self, mean=np.asarray(factor) * self.mean)

    def cumulative(self) -> Poisson:
        """Sums of Poisson numbers are Poisson numbers."""
        return replace(self, mean=np.cumsum(self.mean, axis=0))


@dataclass(frozen=True)
class NegativeBinomial(IndependentDemand):
    """Negative binomial demand: a Poisson whose mean is gamma distributed.

    Attributes:
        mean: units per period, scalar or (items,). [μ]
        size: the gamma's shape; the variance is μ + μ²/r. [r]
    """

    mean: Number
    size: Number

    def __post_init__(self) -> None:
        require(self, mean="positive", size="positive")

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Negative binomial with size span·r and the same success probability r / (r + μ)."""
        return stats.nbinom(np.asarray(span) * self.size, self._success)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy."""
        return rng.negative_binomial(self.size, self._success, shape).astype(np.float64)

    def scaled(self, factor: ArrayLike) -> NegativeBinomial:
        """Negative binomial with another mean and the same size."""
        return replace(self, mean=np.asarray(factor) * self.mean)

    @property
    def _success(self) -> FloatArray:
        size = np.asarray(self.size, dtype=np.float64)
        return np.asarray(size / (size + self.mean))


@dataclass(frozen=True)
class Geometric(IndependentDemand):
    """Geometric demand on 0, 1, 2 and so on.

    Attributes:
        mean: units per period, scalar or (items,). [μ]
    """

    mean: Number

    def __post_init__(self) -> None:
        require(self, mean="positive")

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Negative binomial with size `span`: a sum of geometrics."""
        return stats.nbinom(np.asarray(span), 1.0 / (1.0 + np.asarray(self.mean)))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy, which counts from 1."""
        return rng.geometric(1.0 / (1.0 + np.asarray(self.mean)), shape).astype(np.float64) - 1.0

    def scaled(self, factor: ArrayLike) -> Geometric:
        """Geometric with another mean."""
        return replace(self, mean=np.asarray(factor) * self.mean)


@dataclass(frozen=True)
class Normal(IndependentDemand):
    """Normal demand, clipped at zero: max(X, 0) with X normal.

    One period's distribution, mean and quantiles are those of the clipped normal, exactly. Sums are taken as the
    clipped normal of the sum of X where a period is clipped with a probability of at most `RARE`; where clipping is
    more frequent, they are convolved on a grid.

    Attributes:
        mean: of X, units per period, scalar or (items,). [μ]
        standard_deviation: of X, units, scalar or (items,). [σ]
    """

    discrete: ClassVar[bool] = False

    mean: Number
    standard_deviation: Number

    def __post_init__(self) -> None:
        require(self, mean="positive", standard_deviation="positive")

    def distribution(self, span: ArrayLike = 1) -> Distribution:
        """Clipped normal; of a sum with mean span·μ and standard deviation √span·σ, unless clipping is frequent."""
        mean, deviation, span = np.asarray(self.mean, dtype=np.float64), self.standard_deviation, np.asarray(span)
        if self._clips and np.any(span != 1):
            return _clipped_sums(mean, np.asarray(deviation), span)
        return ClippedNormal(span * mean, np.sqrt(span) * deviation)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy."""
        return np.maximum(rng.normal(self.mean, self.standard_deviation, shape), 0.0)

    def scaled(self, factor: ArrayLike) -> Normal:
        """Normal with another mean and the same coefficient of variation."""
        factor = np.asarray(factor)
        return replace(self, mean=factor * self.mean, standard_deviation=factor * self.standard_deviation)

    def cumulative(self) -> Normal | None:
        """Sums of normals are normal, as long as clipping is rare."""
        if self._clips:
            return None
        mean, deviation = np.broadcast_arrays(self.mean, self.standard_deviation)
        return replace(self, mean=np.cumsum(mean, 0), standard_deviation=np.sqrt(np.cumsum(deviation**2, 0)))

    @property
    def _clips(self) -> bool:
        # Φ(−μ/σ) > RARE, where a period's mean is that few deviations above zero.
        return bool(np.any(np.asarray(self.mean) / self.standard_deviation < -stats.norm.ppf(RARE)))


@dataclass(frozen=True)
class Gamma(IndependentDemand):
    """Gamma demand.

    Give the coefficient of variation or the standard deviation.

    Attributes:
        mean: units per period, scalar or (items,). [μ]
        cv: coefficient of variation, σ/μ; the shape is 1/cv². [c]
        standard_deviation: units, turned into `cv`. [σ]

    >>> round(Gamma(4.0, cv=0.5).cdf(4.0).item(), 4)
    0.5665
    """

    discrete: ClassVar[bool] = False

    mean: Number
    cv: Number | None = None
    standard_deviation: InitVar[Number | None] = None

    def __post_init__(self, standard_deviation: Number | None) -> None:
        if (self.cv is None) == (standard_deviation is None):
            raise FractileError("gamma demand needs cv or standard_deviation, one of them: Gamma(4.0, cv=0.5)")
        require(self, mean="positive")
        if standard_deviation is not None:
            object.__setattr__(self, "cv", np.asarray(standard_deviation, dtype=np.float64) / self.mean)
        require(self, cv="positive")

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Gamma with shape span/c² and scale μ·c²."""
        squared = np.asarray(self.cv) ** 2
        return stats.gamma(np.asarray(span) / squared, scale=squared * self.mean)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy."""
        squared = np.asarray(self.cv) ** 2
        return rng.gamma(1.0 / squared, squared * self.mean, shape)

    def scaled(self, factor: ArrayLike) -> Gamma:
        """Gamma with another mean and the same coefficient of variation."""
        return replace(self, mean=np.asarray(factor) * self.mean)


def _clipped_sums(mean: FloatArray, deviation: FloatArray, span: FloatArray) -> GridDistribution:
    """Sums of clipped normals, convolved on a grid."""
    shape = np.broadcast_shapes(mean.shape, deviation.shape, span.shape)
    columns = np.stack([np.broadcast_to(part, shape).reshape(-1) for part in (mean, deviation, span)])
    rows, steps = [], []
    unlike, row = np.unique(columns, axis=1, return_inverse=True)
    for one_mean, one_deviation, number in unlike.T:
        one = ClippedNormal(one_mean, one_deviation)
        step = float(np.sqrt(number) * one.std()) / CELLS_PER_DEVIATION
        rows.append(power(trimmed(grid_cells(one, step, ())[0]), int(number)))
        steps.append(step)
    return GridDistribution(LatticeDistribution.of(rows, row.reshape(shape)), np.array(steps))


__all__ = [
    "DemandModel",
    "Gamma",
    "Geometric",
    "IndependentDemand",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "draw_scenario",
]
