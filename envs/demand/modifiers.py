"""Demand models that modify another: means that move (seasons, ramps, promotions), items that move together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.forecast import DEFAULT_LEVELS
from ...randomness import draw_by_item, item_keys
from ..core.params import Number
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast
from .independent import (
    IndependentDemand,
    IndependentOutlook,
    PreparedIndependent,
    draw_each,
    draw_independent,
    prepare_independent,
)
from .model import paths_first, require, take_root

SINGULAR = 1e-10
"""Share of an item's variance below which it is taken to follow from the items before it."""

UNSOLD = 1e-12
"""Share of its level that an item sells before its launch: nothing, for all that a simulation can tell."""


@dataclass(frozen=True, eq=False)
class MovingMean:
    """Demand that is independent over periods, with a mean that moves by known factors.

    `base` may move by itself: factors multiply, so that a new item may have seasons and promotions. Sums of Poisson,
    compound Poisson and normal demand have closed forms; those of other discrete demand are convolved exactly, those
    of other continuous demand on a grid of 1/256 of the sum's standard deviation.

    Attributes:
        base: demand where the factor is one: an independent model with a mean, or another one whose mean moves.
    """

    by_item: ClassVar[dict[str, int]] = {}
    """Parameters that may differ over items, and how many axes they have then; the items come last."""

    base: Any

    def factors(self, first: int, periods: int) -> FloatArray:
        """Return the mean of `periods` periods from `first` on over that of the base, shape (periods, 1 or items)."""
        raise NotImplementedError

    @property
    def items(self) -> int:
        """Number of items."""
        own = [np.shape(getattr(self, name)) for name, axes in self.by_item.items()]
        widths = [shape[-1] for shape, axes in zip(own, self.by_item.values(), strict=True) if len(shape) == axes]
        return int(np.broadcast_shapes((self.base.items,), *((width,) for width in widths))[-1])

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return bool(self.base.discrete)

    def during(self, first: int, periods: int) -> IndependentDemand:
        """Return the model of `periods` periods from `first` on, parameters (periods, items)."""
        factors = np.broadcast_to(self.factors(first, periods), (periods, self.items))
        moved: IndependentDemand = self.base.during(first, periods).scaled(factors)
        return moved

    def price_path(self, periods: int) -> FloatArray | None:
        """Return prices, money per unit, shape (periods, 1 or items), or None where they play no part."""
        path: FloatArray | None = self.base.price_path(periods)
        return path

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items); items are keyed by their positions."""
        return paths_first(draw_each(self.during(0, periods), take_root(rng), paths, periods))

    def draw_paths(self, rng: np.random.Generator, periods: int) -> FloatArray:
        """Draw one path of each item from one generator: see `IndependentDemand.draw_paths`."""
        return self.during(0, periods).draw(rng, (periods, self.items))

    def cdf(self, units: ArrayLike, span: int = 1, *, period: int = 0) -> FloatArray:
        """Return P(demand of `span` periods from `period` on <= units)."""
        return self._of_sum("cdf", units, span, period)

    def pmf(self, units: ArrayLike, span: int = 1, *, period: int = 0) -> FloatArray:
        """Return P(demand of `span` periods from `period` on = units).

        Raises:
            FractileError: where demand is continuous.
        """
        if not self.discrete:
            raise FractileError(f"{type(self).__name__} of continuous demand has no pmf; use cdf")
        return self._of_sum("pmf", units, span, period)

    def quantile(self, level: ArrayLike, span: int = 1, *, period: int = 0) -> FloatArray:
        """Return the demand of `span` periods from `period` on that is exceeded with probability <= 1 − level."""
        return np.maximum(self._of_sum("ppf", level, span, period), 0.0)

    def outlook(self, period: int, span: int) -> IndependentOutlook:
        """Return what is known of `span` periods when `period` begins."""
        # All origins know the same: their axis stands between the horizon and the items, with length one.
        model = self.during(period, span).map_parameters(lambda parameter: np.swapaxes(parameter, -2, -3), 3)
        return IndependentOutlook(model, span, moving=True)

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS, *, period: int = 0) -> DistributionForecast:
        """Return the true distribution as a forecast, made when `period` begins."""
        return DistributionForecast.of(self.outlook(period, horizon), levels, period)

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        chosen: dict[str, Any] = {}
        for name, axes in self.by_item.items():
            value = getattr(self, name)
            if np.ndim(value) == axes:
                chosen[name] = np.broadcast_to(value, (*np.shape(value)[:-1], self.items))[..., item]
        base = self.base.select(item) if self.base.items == self.items else self.base
        return replace(self, base=base, **chosen)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is the truth, and prices are given where they play a part."""
        return draw_independent(self, rng, paths, periods, span)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedIndependent:
        """Make the true forecasts of all periods once for many episodes: see `PreparedDemand`."""
        return prepare_independent(self, periods, span)

    def _require(self, **rules: str) -> None:
        require(self, same_items=False, **rules)
        try:
            self.items  # noqa: B018  # raises where axes do not fit
        except ValueError as error:
            own = ", ".join(f"{name} {np.shape(getattr(self, name))}" for name in self.by_item)
            raise FractileError(
                f"{type(self).__name__} must be of the same items as its base, which has {self.base.items}; got {own}"
            ) from error

    def _of_sum(self, name: str, argument: ArrayLike, span: int, period: int) -> FloatArray:
        """Evaluate the distribution of a sum; the result has no more axes than the argument, or the items'."""
        total = self.outlook(period, span).total(np.full((1, 1, 1), span))
        found = np.asarray(getattr(total, name)(argument))
        return found.reshape(found.shape[max(0, 3 - max(1, np.ndim(argument))) :])


@dataclass(frozen=True, eq=False)
class Seasonal(MovingMean):
    """Seasons and a trend: in period t the mean is `μ · index[(t + phase) mod m] · (1 + trend)^t`.

    Attributes:
        base: demand at an index of one.
        indices: factors of a cycle's periods, shape (m,) or (m, items).
        trend: relative growth per period, above −1, scalar or (items,).
        phase: where in the cycle the first period lies, an integer.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> Seasonal(Poisson(10.0), [0.5, 1.5]).forecast(3).mean()[0, 0]
    array([ 5., 15.,  5.])
    """

    by_item: ClassVar[dict[str, int]] = {"indices": 2, "trend": 1}

    indices: ArrayLike
    trend: Number = 0.0
    phase: int = 0

    def __post_init__(self) -> None:
        self._require(indices="positive", trend="(-1, inf)")

    def factors(self, first: int, periods: int) -> FloatArray:
        """Return index times growth, shape (periods, 1 or items)."""
        period = np.arange(first, first + periods)[:, None]
        indices = np.asarray(self.indices, dtype=np.float64)
        indices = indices if indices.ndim == 2 else indices.reshape(-1, 1)
        return indices[(period[:, 0] + self.phase) % len(indices)] * (1.0 + np.asarray(self.trend)) ** period


Shape = Literal["exponential", "logistic"]


@dataclass(frozen=True, eq=False)
class NewItemRamp(MovingMean):
    """A new item's way up to the level of its base, from its launch on.

    With age a = t − launch + 1: exponential `1 − 2^(−a / half_way)`, fast at first; logistic
    `1 / (1 + exp(4 − 4 a / half_way))`, slow at first. Before the launch nothing is sold.

    Attributes:
        base: demand once the item is established.
        half_way: age at which half of the level is reached, periods, scalar or (items,).
        launch: first period in which the item is sold; negative for items launched before, scalar or (items,).
        shape: "exponential" or "logistic".
    """

    by_item: ClassVar[dict[str, int]] = {"half_way": 1, "launch": 1}

    half_way: Number
    launch: Number = 0
    shape: Shape = "exponential"

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise FractileError(f"shape must be 'exponential' or 'logistic', got {self.shape!r}")
        self._require(half_way="positive", launch="(-inf, inf)")

    def factors(self, first: int, periods: int) -> FloatArray:
        """Return the share of the level that is reached, shape (periods, 1 or items)."""
        age = np.arange(first, first + periods)[:, None] - np.asarray(self.launch) + 1.0
        halves = np.maximum(age, 0.0) / self.half_way
        reached = 1.0 - 0.5**halves if self.shape == "exponential" else 1.0 / (1.0 + np.exp(4.0 - 4.0 * halves))
        return np.where(age > 0, np.maximum(reached, UNSOLD), UNSOLD)


@dataclass(frozen=True, eq=False)
class Promotions(MovingMean):
    """Demand that reacts to a known path of prices, with constant elasticity: `μ_t = μ · (p_t / p)^(−ε)`.

    Attributes:
        base: demand at the list price.
        prices: money per unit, shape (periods,) or (periods, items); shares of the list price where there is none.
            They must reach as far as forecasts do. [p_t]
        elasticity: at least 0; at 2 a tenth off the price adds 23 % to demand; scalar or (items,). [ε]
        list_price: money per unit, scalar or (items,); with it scenarios hold the prices. [p]
    """

    by_item: ClassVar[dict[str, int]] = {"prices": 2, "elasticity": 1, "list_price": 1}

    prices: ArrayLike
    elasticity: Number
    list_price: Number | None = None

    def __post_init__(self) -> None:
        rules = {"prices": "positive", "elasticity": "[0, inf)"}
        self._require(**rules, **({} if self.list_price is None else {"list_price": "positive"}))

    def factors(self, first: int, periods: int) -> FloatArray:
        """Return the reaction to the price, shape (periods, 1 or items)."""
        listed = 1.0 if self.list_price is None else np.asarray(self.list_price)
        return (self._path(first, periods) / listed) ** -np.asarray(self.elasticity, dtype=np.float64)

    def price_path(self, periods: int) -> FloatArray | None:
        """Return the prices, shape (periods, items), where there is a list price."""
        if self.list_price is None:
            return super().price_path(periods)
        return np.broadcast_to(self._path(0, periods), (periods, self.items))

    def _path(self, first: int, periods: int) -> FloatArray:
        prices = np.asarray(self.prices, dtype=np.float64)
        if first + periods > len(prices):
            raise FractileError(
                f"prices cover {len(prices)} periods, {first + periods} are needed: give prices for all periods "
                "of a scenario and of the forecasts beyond it (periods + span − 1)"
            )
        return (prices if prices.ndim == 2 else prices[:, None])[first : first + periods]


@dataclass(frozen=True, eq=False)
class Correlated:
    """Items that move together within a period, by a Gaussian copula over any independent marginals.

    In each period Z is normal with the given correlation, and D_i = F_i⁻¹(Φ(Z_i)). Each item's own distribution, its
    forecasts and its sums stay what they are in `base`. Demand's own correlation is that of Z for normal demand, and
    a little nearer to zero for other demand. Items may be added after the last one, where their correlation with the
    others is added to the matrix: the draws of the others stay.

    Attributes:
        base: demand of each item on its own: an independent model, or one whose mean moves.
        correlation: of Z: one number for all pairs of items, or a matrix (items, items). [ρ]
    """

    base: Any
    correlation: ArrayLike

    def __post_init__(self) -> None:
        _check_correlation(np.asarray(self.correlation, dtype=np.float64), self.items)

    @property
    def items(self) -> int:
        """Number of items."""
        return int(self.base.items)

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return bool(self.base.discrete)

    @property
    def matrix(self) -> FloatArray:
        """The correlation of Z, shape (items, items)."""
        given = np.asarray(self.correlation, dtype=np.float64)
        return given if given.ndim else np.where(np.eye(self.items) > 0, 1.0, given)

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        matrix, root = np.asarray(self.correlation, dtype=np.float64), take_root(rng)
        own = draw_by_item(
            root, item_keys(self.items), paths, periods, lambda one, _, n: one.standard_normal((periods, n))
        )
        if matrix.ndim == 0 and matrix >= 0:
            # One factor in common, whatever the number of items.
            common = draw_by_item(
                root, ["all items"], paths, periods, lambda one, _, n: one.standard_normal((periods, n))
            )
            normal = np.sqrt(matrix) * common + np.sqrt(1.0 - matrix) * own
        else:
            # Each item from its own draws and those of the items before it: items may be added at the end.
            # Sums are added up in this order whatever the shape, so that not even their rounding changes.
            weight, normal = lower_root(self.matrix), np.zeros_like(own)
            for period in range(periods):
                for j in range(self.items):
                    normal[j:, period] += weight[j:, j, None] * own[j, period]
        return self.base.during(0, periods).invert(ndtr(paths_first(normal)))

    def draw_paths(self, rng: np.random.Generator, periods: int) -> FloatArray:
        """Draw one path of each item, on its own, from one generator: see `IndependentDemand.draw_paths`."""
        return np.asarray(self.base.draw_paths(rng, periods))

    def cdf(self, units: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return P(demand <= units) of each item: see the base."""
        return np.asarray(self.base.cdf(units, span, **when))

    def pmf(self, units: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return P(demand = units) of each item: see the base."""
        return np.asarray(self.base.pmf(units, span, **when))

    def quantile(self, level: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return quantiles of each item: see the base."""
        return np.asarray(self.base.quantile(level, span, **when))

    def during(self, first: int, periods: int) -> IndependentDemand:
        """Return each item on its own: see the base."""
        alone: IndependentDemand = self.base.during(first, periods)
        return alone

    def price_path(self, periods: int) -> FloatArray | None:
        """Return prices: see the base."""
        path: FloatArray | None = self.base.price_path(periods)
        return path

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS, *, period: int = 0) -> DistributionForecast:
        """Return each item's true distribution as a forecast, made when `period` begins."""
        forecast: DistributionForecast = self.base.forecast(horizon, levels, period=period)
        return forecast

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        return replace(self, base=self.base.select(item), correlation=self.matrix[np.ix_(item, item)])

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is the truth about each item."""
        return draw_independent(self, rng, paths, periods, span)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each, on its own: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedIndependent:
        """Make the true forecasts of all periods once for many episodes, each of an item on its own."""
        return prepare_independent(self.base, periods, span)


def lower_root(matrix: FloatArray) -> FloatArray:
    """Return a lower triangular root L of a correlation matrix, L Lᵀ = matrix, which may be of less than full rank.

    Row by row (Cholesky, Banachiewicz), so that rows do not depend on those below. An item that follows from the items
    before it has a zero on the diagonal.
    """
    items = len(matrix)
    root, free = np.zeros((items, items)), np.zeros(items, dtype=bool)
    for i in range(items):
        before = np.flatnonzero(free)
        root[i, before] = solve_triangular(root[np.ix_(before, before)], matrix[i, before], lower=True)
        left = matrix[i, i] - root[i, before] @ root[i, before]
        free[i] = left > SINGULAR
        root[i, i] = np.sqrt(left) if free[i] else 0.0
    return root


def _check_correlation(correlation: FloatArray, items: int) -> None:
    if correlation.ndim == 0:
        lowest = -1.0 / (items - 1) if items > 1 else -1.0
        if not lowest <= correlation <= 1.0:
            raise FractileError(
                f"one correlation for {items} items must be from {lowest:.4g} (−1/(items − 1)) to 1, got {correlation}"
            )
        return
    if correlation.shape != (items, items):
        raise FractileError(
            f"correlation must be one number or a matrix of shape {(items, items)}, got {correlation.shape}"
        )
    unlike = np.abs(correlation - correlation.T).max(initial=0.0) + np.abs(np.diag(correlation) - 1.0).max(initial=0.0)
    if not unlike < 1e-9:
        raise FractileError("correlation must be symmetric, with ones on its diagonal")
    least = np.linalg.eigvalsh(correlation).min()
    if least < -1e-9:
        raise FractileError(
            f"correlation must be positive semi-definite, its least eigenvalue is {least:.3g}; "
            "move its entries towards zero"
        )
