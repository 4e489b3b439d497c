"""Demand of textbook distributions, and discrete demand by its probabilities."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...arrays import FloatArray
from ...errors import FractileError
from ..core.params import Number
from .independent import IndependentDemand
from .lattice import (
    CELLS_PER_DEVIATION,
    GridDistribution,
    LatticeDistribution,
    grid_cells,
    power,
    sum_over,
    trim,
)
from .model import require
from .probability import ClippedNormal, Distribution, ScipyDistribution

RARE = 1e-4
"""Probability of a clipped period up to which sums of normals are taken as normal."""

PARTS = 256.0
"""Customers a period up to which the recursion is run; the demand of more is a sum of equal parts."""


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
        return ScipyDistribution(stats.poisson, (np.asarray(span) * self.mean,))

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
        return ScipyDistribution(stats.nbinom, (np.asarray(span) * self.size, self._success))

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
        return ScipyDistribution(stats.nbinom, (np.asarray(span), 1.0 / (1.0 + np.asarray(self.mean))))

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
        if not (self._clips and np.any(span != 1)):
            return ClippedNormal(span * mean, np.sqrt(span) * deviation)
        # Sums of clipped normals have no closed form: they are convolved on a grid, equal ones once.
        shape = np.broadcast_shapes(mean.shape, np.shape(deviation), span.shape)
        columns = np.stack([np.broadcast_to(part, shape).reshape(-1) for part in (mean, deviation, span)])
        rows, steps = [], []
        unlike, row = np.unique(columns, axis=1, return_inverse=True)
        for one_mean, one_deviation, number in unlike.T:
            one = ClippedNormal(one_mean, one_deviation)
            step = float(np.sqrt(number) * one.std()) / CELLS_PER_DEVIATION
            rows.append(power(trim(grid_cells(one, step, ())[0]), int(number)))
            steps.append(step)
        return GridDistribution(LatticeDistribution.of(rows, row.reshape(shape)), np.array(steps))

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
        return ScipyDistribution(stats.gamma, (np.asarray(span) / squared,), {"scale": squared * self.mean})

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand by numpy."""
        squared = np.asarray(self.cv) ** 2
        return rng.gamma(1.0 / squared, squared * self.mean, shape)

    def scaled(self, factor: ArrayLike) -> Gamma:
        """Gamma with another mean and the same coefficient of variation."""
        return replace(self, mean=np.asarray(factor) * self.mean)


@dataclass(frozen=True)
class Discrete(IndependentDemand):
    """Demand with given probabilities on 0, 1, ..., n; sums by convolution.

    Attributes:
        probabilities: of 0, 1, ..., n, shape (n + 1,) or (items, n + 1); what each item's add up to is made one.

    >>> Discrete.uniform(4).quantile(0.9, span=2).item()
    7.0
    """

    vectors: ClassVar[tuple[str, ...]] = ("probabilities",)

    probabilities: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", _shares("probabilities", self.probabilities))

    @classmethod
    def uniform(cls, largest: int, smallest: int = 0) -> Discrete:
        """Return demand that takes every whole number from `smallest` to `largest` with equal probability."""
        return cls((np.arange(largest + 1) >= smallest).astype(np.float64))

    @classmethod
    def empirical(cls, units: ArrayLike) -> Discrete:
        """Return the demand whose probabilities are the frequencies of what was seen.

        Args:
            units: whole numbers, shape (periods,) or, item by item, (periods, items).
        """
        seen = np.asarray(units, dtype=np.float64)
        if not (seen.size and (seen >= 0).all() and (seen == np.floor(seen)).all()):
            raise FractileError("units of empirical demand must be whole numbers >= 0; round them first")
        return cls((seen[..., None] == np.arange(seen.max() + 1)).mean(0))

    def distribution(self, span: ArrayLike = 1) -> LatticeDistribution:
        """The probabilities, and those of sums by convolution."""
        shape = self.probabilities.shape
        row = np.arange(int(np.prod(shape[:-1]))).reshape(shape[:-1] or (1,))
        return _sums(LatticeDistribution(self.probabilities.reshape(-1, shape[-1]), row), span)


@dataclass(frozen=True)
class Rounded(IndependentDemand):
    """Continuous demand rounded to whole units: P(D = k) = F(k + ½) − F(k − ½), sums by convolution.

    De Moor, Gijsbrechts and Boute (2022) round a gamma with mean 4 and coefficient of variation 0.5.

    Attributes:
        base: the continuous demand, e.g. `Gamma(4.0, cv=0.5)`.
    """

    base: IndependentDemand

    def __post_init__(self) -> None:
        if not isinstance(self.base, IndependentDemand) or self.base.discrete:
            raise FractileError(f"base of Rounded must be continuous demand such as Gamma or Normal, got {self.base!r}")

    def distribution(self, span: ArrayLike = 1) -> LatticeDistribution:
        """Differences of the distribution function of the base, and sums by convolution."""
        shape = np.broadcast_shapes((1,), *(array.shape for _, array in self.arrays()))
        row = np.arange(int(np.prod(shape))).reshape(shape)
        return _sums(LatticeDistribution(grid_cells(self.base.distribution(), 1.0, shape), row), span)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw from the base, and round."""
        return np.floor(self.base.draw(rng, shape) + 0.5)

    def scaled(self, factor: ArrayLike) -> Rounded:
        """The base with another mean, rounded."""
        return replace(self, base=self.base.scaled(factor))


@dataclass(frozen=True)
class CompoundPoisson(IndependentDemand):
    """Compound Poisson demand: a Poisson number of customers, each of whom wants a random number of units.

    Panjer's (1981) recursion gives the probabilities, `p_k = (λ/k) Σ_j j f_j p_{k−j}` with `p_0 = exp(−λ(1 − f_0))`;
    demand over a span is compound Poisson, too, with rate span·λ.

    Attributes:
        rate: customers per period, scalar or (items,). [λ]
        sizes: probabilities that a customer wants 0, 1, ..., n units, shape (n + 1,) or (items, n + 1); what they
            add up to is made one. [f]

    >>> CompoundPoisson(2.0, [0.0, 0.5, 0.5]).quantile(0.9).item()
    6.0
    """

    vectors: ClassVar[tuple[str, ...]] = ("sizes",)

    rate: Number
    sizes: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _shares("sizes", self.sizes))
        require(self, rate="positive")
        if len({np.shape(self.rate)[-1:], self.sizes.shape[:-1][-1:]} - {(), (1,)}) > 1:
            raise FractileError(
                "rate and sizes of demand must be of the same items: "
                f"rate has {np.shape(self.rate)[-1]}, sizes {self.sizes.shape[-2]}"
            )

    def distribution(self, span: ArrayLike = 1) -> LatticeDistribution:
        """Compound Poisson with rate span·λ."""
        rate = np.asarray(self.rate, dtype=np.float64) * np.asarray(span)
        shape = np.broadcast_shapes((1,), rate.shape, self.sizes.shape[:-1])
        sizes = np.broadcast_to(self.sizes, (*shape, self.sizes.shape[-1])).reshape(-1, self.sizes.shape[-1])
        columns = np.concatenate([np.broadcast_to(rate, shape).reshape(-1, 1), sizes], axis=1)
        unlike, row = np.unique(columns, axis=0, return_inverse=True)
        return LatticeDistribution.of([_compound(*one) for one in unlike.tolist()], row.reshape(shape))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw the numbers of customers of each size, which are independent Poisson numbers."""
        rates = np.asarray(self.rate)[..., None] * self.sizes
        # All sizes of one draw before the next draw: what is drawn further on changes nothing of what was before.
        customers = rng.poisson(rates[..., 1:], (*shape, rates.shape[-1] - 1))
        return customers @ np.arange(1.0, rates.shape[-1])

    def scaled(self, factor: ArrayLike) -> CompoundPoisson:
        """More customers of the same sizes."""
        return replace(self, rate=np.asarray(factor) * self.rate)

    def cumulative(self) -> CompoundPoisson:
        """Sums have the rates' sums."""
        return replace(self, rate=np.cumsum(self.rate, axis=0))


def _sums(one: LatticeDistribution, span: ArrayLike) -> LatticeDistribution:
    return one if np.all(np.asarray(span) == 1) else sum_over(one, span)


@lru_cache(maxsize=1024)
def _compound(rate: float, *sizes: float) -> FloatArray:
    """Probabilities of compound Poisson demand."""
    if rate > PARTS:
        # exp(−rate) would be too small for a float.
        return power(_compound(rate / 2, *sizes), 2)
    weights = rate * np.arange(len(sizes)) * np.asarray(sizes)
    deviation = np.sqrt(weights @ np.arange(len(sizes)))
    # Beyond this many units lies less than a float can tell from nothing, whether customers are many or few.
    number = int(weights.sum() + 12 * deviation + 40 * len(sizes))
    found = np.zeros(number + 1)
    found[0] = np.exp(-rate * (1.0 - sizes[0]))
    for k in range(1, number + 1):
        reach = min(k, len(sizes) - 1)
        found[k] = weights[1 : reach + 1] @ found[k - reach : k][::-1] / k
    return trim(found)


def _shares(name: str, value: ArrayLike) -> FloatArray:
    """Check probabilities, and make each item's add up to one."""
    array = np.asarray(value, dtype=np.float64)
    total = array.sum(-1, keepdims=True) if array.ndim else array
    if not (array.ndim and np.isfinite(array).all() and (array >= 0).all() and (total > 0).all()):
        raise FractileError(
            f"{name} of demand must be numbers >= 0 that do not all vanish, shape (n + 1,) or (items, n + 1), "
            f"got {value!r}"
        )
    return array / total
