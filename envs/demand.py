"""Demand models: where demand paths, and the forecasts that policies see, come from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..errors import FractileError
from ..forecasters.forecast import DEFAULT_LEVELS, DRAWS, QuantileForecast
from ..forecasters.interpolation import FloatArray, IntArray, sobol_uniforms
from ..randomness import PATH_BLOCK, keyed_generator
from .types import Number, Scenario


class DemandModel(Protocol):
    """Anything that demand can be drawn from."""

    @property
    def items(self) -> int:
        """Number of items."""

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand together with the forecasts that policies may see, each `span` periods ahead."""

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: `item` says which, shape (paths,)."""


def draw_scenario(model: DemandModel, seed: int, paths: int, periods: int, span: int = 1) -> Scenario:
    """Draw a scenario that is keyed by its seed.

    The same seed gives the same paths; more paths are added behind the first ones.

    Args:
        model: where demand comes from.
        seed: integer >= 0.
        paths: number of demand paths.
        periods: number of periods.
        span: periods ahead that each forecast reaches; at least the longest protection interval.
    """
    return model.scenario(keyed_generator(seed, "demand"), paths, periods, span)


@dataclass(frozen=True)
class IndependentDemand:
    """Demand that is independent over periods and items, of a known distribution."""

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Return the frozen scipy distribution of demand summed over `span` periods, one per item."""
        raise NotImplementedError

    @property
    def items(self) -> int:
        """Number of items."""
        return int(np.broadcast(*(np.asarray(getattr(self, f.name)) for f in fields(self)), np.zeros(1)).size)

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return hasattr(self.distribution(), "pmf")

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        shape = (paths, periods, self.items)
        drawn = self.distribution().rvs(size=shape, random_state=rng)
        return np.maximum(np.asarray(drawn, dtype=np.float64), 0.0)

    def cdf(self, units: ArrayLike, span: int = 1) -> FloatArray:
        """Return P(demand over `span` periods <= units)."""
        return np.asarray(self.distribution(span).cdf(units))

    def pmf(self, units: ArrayLike, span: int = 1) -> FloatArray:
        """Return P(demand over `span` periods = units).

        Raises:
            FractileError: where demand is continuous.
        """
        if not self.discrete:
            raise FractileError(f"{type(self).__name__} demand is continuous and has no pmf; use cdf")
        return np.asarray(self.distribution(span).pmf(units))

    def quantile(self, level: ArrayLike, span: ArrayLike = 1) -> FloatArray:
        """Return the smallest demand over `span` periods that is exceeded with probability <= 1 − level."""
        return np.maximum(self.distribution(span).ppf(level), 0.0)

    def select(self, item: IntArray) -> IndependentDemand:
        """Return the model of these items."""
        chosen = {f.name: np.broadcast_to(getattr(self, f.name), (self.items,))[item] for f in fields(self)}
        return replace(self, **chosen)

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS) -> DistributionForecast:
        """Return the true distribution as a forecast."""
        level = np.asarray(levels, dtype=np.float64)
        quantiles = np.broadcast_to(self.quantile(level[:, None]), (len(level), self.items))
        values = np.broadcast_to(quantiles.T[:, None, None], (self.items, 1, horizon, len(level)))
        ids = tuple(f"item {i}" for i in range(self.items))
        return DistributionForecast(level, values, np.zeros(1, dtype=np.int64), ids, model=self)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is the truth.

        Paths come in blocks with generators of their own, so that the first n are the same however many follow.
        """
        root = int(rng.integers(2**62))
        blocks = [
            self.sample(keyed_generator(root, block), PATH_BLOCK, periods) for block in range(-(-paths // PATH_BLOCK))
        ]
        return Scenario(np.concatenate(blocks)[:paths], forecasts=[self.forecast(span)] * periods)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        model = self.select(item)
        demand = model.sample(rng, 1, periods)[0].T[:, :, None]
        nowhere = np.zeros(len(item), dtype=np.int64)
        return Scenario(demand, forecasts=[self.forecast(span).take(item, nowhere)] * periods)


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
        _require_positive("mean", self.mean)

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Poisson with mean span·μ."""
        return stats.poisson(np.asarray(span) * self.mean)

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        return rng.poisson(self.mean, (paths, periods, self.items)).astype(np.float64)


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
        _require_positive("mean", self.mean)
        _require_positive("size", self.size)

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Negative binomial with size span·r and the same success probability r / (r + μ)."""
        size = np.asarray(self.size)
        return stats.nbinom(np.asarray(span) * size, size / (size + self.mean))


@dataclass(frozen=True)
class Geometric(IndependentDemand):
    """Geometric demand on 0, 1, 2 and so on.

    Attributes:
        mean: units per period, scalar or (items,). [μ]
    """

    mean: Number

    def __post_init__(self) -> None:
        _require_positive("mean", self.mean)

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Negative binomial with size `span`: a sum of geometrics."""
        return stats.nbinom(np.asarray(span), 1.0 / (1.0 + np.asarray(self.mean)))


@dataclass(frozen=True)
class Normal(IndependentDemand):
    """Normal demand, clipped at zero when drawn.

    The distribution of sums is that of the unclipped normal: exact as long as clipping is rare.

    Attributes:
        mean: units per period, scalar or (items,). [μ]
        standard_deviation: units, scalar or (items,). [σ]
    """

    mean: Number
    standard_deviation: Number

    def __post_init__(self) -> None:
        _require_positive("mean", self.mean)
        _require_positive("standard_deviation", self.standard_deviation)

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Normal with mean span·μ and standard deviation √span·σ."""
        span = np.asarray(span)
        return stats.norm(span * self.mean, np.sqrt(span) * self.standard_deviation)


@dataclass(frozen=True, eq=False)
class DistributionForecast(QuantileForecast):
    """The forecast of someone who knows the distribution: exact quantiles, exact sums.

    Attributes:
        model: the distribution.
        span: periods that are summed; 1 unless this is a `total`.
    """

    model: IndependentDemand = None  # type: ignore[assignment]  # dataclass fields behind defaults need one
    span: Any = 1
    # Stationary demand has one forecast for all periods: what is asked of it again and again is kept.
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the exact quantile, shape (items, origins, horizon)."""
        return self._kept("quantile", self._quantile, np.asarray(level, dtype=np.float64))

    def total(self, span: ArrayLike) -> DistributionForecast:
        """Return the exact distribution of demand summed over the first `span` periods."""
        return self._kept("total", self._total, np.asarray(span, dtype=np.int64))

    def _kept(self, name: str, compute: Any, argument: NDArray[Any]) -> Any:
        key = (name, argument.shape, argument.tobytes())
        if key not in self._memo:
            self._memo[key] = compute(argument)
        return self._memo[key]

    def _quantile(self, level: FloatArray) -> FloatArray:
        items, origins, horizon, _ = self.values.shape
        span = np.broadcast_to(self.span, (items, origins)).T
        exact = self.model.quantile(np.broadcast_to(level, (items, origins)).T, span).T
        return np.broadcast_to(exact[:, :, None], (items, origins, horizon))

    def mean(self) -> FloatArray:
        """Return the exact mean, shape (items, origins, horizon)."""
        items, origins, horizon, _ = self.values.shape
        mean = self.model.distribution(np.broadcast_to(self.span, (items, origins)).T).mean().T
        return np.broadcast_to(mean[:, :, None], (items, origins, horizon))

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return exact quasi-random draws, shape (number, items, origins, horizon)."""
        horizon = self.horizon if horizon is None else horizon
        self._check_span(horizon)
        uniform = sobol_uniforms(number, horizon)[:, :, None]
        drawn = np.moveaxis(np.broadcast_to(self.model.quantile(uniform), (number, horizon, self.model.items)), 2, 1)
        return np.broadcast_to(drawn[:, :, None], (number, *self.values.shape[:2], horizon))

    def _total(self, span: IntArray) -> DistributionForecast:
        self._check_span(int(span.max()))
        items, origins = self.values.shape[:2]
        shaped = np.broadcast_to(span, (items, origins)).T
        exact = np.stack([self.model.quantile(level, shaped).T for level in self.levels], -1)
        return replace(self, values=exact[:, :, None], span=span, _memo={})

    def take(self, item: IntArray, origin: IntArray) -> QuantileForecast:
        """Pick pairs of items and origins: see `QuantileForecast.take`."""
        if np.size(item) and np.ptp(item) == 0:
            values = np.broadcast_to(self.values[item[:1], 0], (1, len(item), *self.values.shape[2:]))
            origins = np.broadcast_to(self.origins[:1], len(item))
            return replace(
                self,
                values=values,
                origins=origins,
                item_ids=("*",),
                model=self.model.select(item[:1]),
                _memo={},
            )
        return QuantileForecast(self.levels, self.values, self.origins, self.item_ids).take(item, origin)


def _require_positive(name: str, value: Number) -> None:
    array = np.asarray(value, dtype=np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        raise FractileError(f"{name} of demand must be a finite number above 0, got {value}")
