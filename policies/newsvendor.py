"""Policies that order up to a fractile of forecast demand: newsvendor, and projected inventory level.

The newsvendor orders up to its level on the inventory position. The level itself is computed in
`envs.core.forecast_features`, below policies, because environments start from it and let actions move it.

Projected-inventory-level policies carry stock to the period in which an order arrives, then order up to a level:
`Projected` works from forecasts and draws of demand, `ProjectedLevel` from a known distribution, exactly. Stock is
carried through the L periods of `ItemParams.lead_time`. Where deliveries are data (`Scenario.arrivals`), units may
arrive after that: they are no stock yet when the order arrives, but they need not be ordered again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from ..arrays import Array, FloatArray, IntArray
from ..envs.core.backend import like, positive_part
from ..envs.core.forecast_features import by_origin, fractile_of, shifted_ratio
from ..envs.core.types import ItemParams, Observation
from ..envs.demand.distributions import Normal
from ..envs.demand.independent import IndependentDemand
from ..errors import FractileError
from .base import NOT_NEGATIVE, check_fractile, fit_pipeline, keep_parameters
from .exact.dynamic_programming import demand_over, transition
from .exact.small_system import DemandPoints

DRAWS = 128
"""Demand draws that stock is projected with."""


@dataclass(frozen=True, eq=False)
class Newsvendor:
    """Order up to the critical fractile of demand over the protection interval, on the inventory position.

    `q = max(scale · F⁻¹(critical ratio) − inventory position, 0)` with F the forecast of demand summed over L + R
    periods. Optimal for backorders without fixed cost; too high for lost sales, where not all of the demand that
    it protects against can happen to the stock.

    Attributes:
        critical_ratio: the fractile, in (0, 1), one for all or per item; b / (b + h) where None.
        scale: factor on the level, one for all or per item.
    """

    reads_protection_total: ClassVar[bool] = True

    critical_ratio: Any = None
    scale: Any = 1.0

    def __post_init__(self) -> None:
        check_fractile(self.critical_ratio, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return positive_part(like(self.target(obs), obs.net_inventory) - obs.inventory_position)

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units, shape (1 or paths, items). [S]"""
        return np.asarray(self.scale) * fractile_of(obs.protection_total(), self.fractile(obs.params))

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return params.critical_ratio if self.critical_ratio is None else self.critical_ratio


@dataclass(frozen=True, eq=False)
class TunedNewsvendor:
    """The newsvendor with a scale and a safety factor found by simulation: the headline baseline.

    `S = scale · F⁻¹(σ(logit(b / (b + h)) + shift))`: the two numbers absorb what the formula leaves out, such as lost
    sales, packs and a forecaster that is too sure of itself. `training.tune_policy` finds them.

    Attributes:
        scale: factor on the level.
        shift: added to the critical ratio's log-odds.
    """

    reads_protection_total: ClassVar[bool] = True

    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_fractile(None, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return self._newsvendor(obs.params).order(obs)

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units, shape (1 or paths, items). [S]"""
        return self._newsvendor(obs.params).target(obs)

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return shifted_ratio(params.critical_ratio, self.shift)

    def _newsvendor(self, params: ItemParams) -> Newsvendor:
        return Newsvendor(critical_ratio=self.fractile(params), scale=self.scale)


def normal_newsvendor(demand: Normal, params: ItemParams) -> tuple[float, float]:
    """Return the optimal level and its cost per period for normal demand with backorders and no fixed cost.

    `S = (L + R) μ + z σ √(L + R)` and cost `(h + b) φ(z) σ √(L + R)` with `z = Φ⁻¹(b/(b + h))`: demand is taken as
    normal, below zero as well (Snyder and Shen 2019, section 4.3).

    Args:
        demand: of one item.
        params: lead time and costs; backorders, or one period without lead time.

    >>> level, cost = normal_newsvendor(Normal(50.0, 8.0), ItemParams(holding_cost=0.18, stockout_cost=0.70))
    >>> round(level, 4), round(cost, 4)
    (56.604, 1.9976)
    """
    span = float(params.protection_interval)
    z = float(ndtri(params.critical_ratio))
    spread = float(np.asarray(demand.standard_deviation).item()) * np.sqrt(span)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    level = span * float(np.asarray(demand.mean).item()) + z * spread
    return float(level), float((params.holding_cost + params.stockout_cost) * density * spread)


@dataclass(frozen=True, eq=False)
class Projected:
    """Project stock to the period in which the order arrives, then order up to a fractile of what it must serve.

    `q = max(U − E[stock when the order arrives] − units due later, 0)`: stock is carried through the lead time with
    lost sales, so that demand that was lost on the way is not bought a second time. U is the critical fractile of
    demand over the R periods that the order serves, times `scale`. The form is van Jaarsveld and Arts' projected
    inventory level.

    Attributes:
        critical_ratio: the fractile, in (0, 1); b / (b + h) where None.
        scale: factor on U.
    """

    critical_ratio: Any = None
    scale: Any = 1.0

    def __post_init__(self) -> None:
        check_fractile(self.critical_ratio, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        demand = demand_draws(obs)
        wanted = np.asarray(self.scale) * fractile_served(obs, demand, self.fractile(obs.params))
        return np.maximum(wanted - projected_stock(obs, demand), 0.0)

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return params.critical_ratio if self.critical_ratio is None else self.critical_ratio


@dataclass(frozen=True, eq=False)
class TunedProjected:
    """`Projected` with a scale and a safety factor found by simulation, as in `TunedNewsvendor`.

    Attributes:
        scale: factor on the fractile that stock is projected up to.
        shift: added to the critical ratio's log-odds.
    """

    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_fractile(None, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return Projected(critical_ratio=self.fractile(obs.params), scale=self.scale).order(obs)

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return shifted_ratio(params.critical_ratio, self.shift)


def demand_draws(obs: Observation, number: int = DRAWS) -> FloatArray:
    """Return quasi-random demand over the longest protection interval, shape (draws, horizon, 1 or paths, items)."""
    longest = int(np.max(obs.params.protection_interval))
    return obs.known_forecast().draws(number, longest).transpose(0, 3, 2, 1)


def projected_stock(obs: Observation, demand: FloatArray) -> FloatArray:
    """Return expected stock at the start of the period in which an order placed now arrives, and units due later.

    Args:
        obs: stock and pipeline.
        demand: see `demand_draws`.

    Returns:
        units, shape (paths, items).
    """
    expected = np.array(obs.net_inventory, dtype=np.float64)
    lead_time = np.broadcast_to(obs.params.lead_time, expected.shape)
    stock = np.broadcast_to(obs.net_inventory, (len(demand), *expected.shape))
    for k, arriving in enumerate(_first_slots(obs.pipeline, int(lead_time.max()))):
        gap = stock + arriving - demand[:, k]
        stock = gap + obs.params.lost_share * np.minimum(np.maximum(-gap, 0.0), demand[:, k])
        expected = np.where(lead_time == k + 1, stock.mean(0), expected)
    return expected + _due_later(obs)


def fractile_served(obs: Observation, demand: FloatArray, ratio: Any) -> FloatArray:
    """Return the fractile of demand over the periods that this order serves, units, shape (1 or paths, items).

    Args:
        obs: with a forecast.
        demand: see `demand_draws`.
        ratio: the fractile, in (0, 1), one for all or per item.
    """
    first, review = np.asarray(obs.params.lead_time), np.asarray(obs.params.review_period)
    if not np.ptp(first) and not np.ptp(review):
        served = obs.known_forecast().after(int(np.max(first))).total(int(np.max(review)))
        level: FloatArray = served.quantile(by_origin(ratio))[:, :, 0].T
        return level
    # Items that are served in different periods: fractiles of the draws, one sum an item, each at its own level.
    period = np.arange(demand.shape[1])[:, None, None]
    draws = np.sort(np.where((period >= first) & (period < first + review), demand, 0.0).sum(1), axis=0)
    last = len(draws) - 1
    position = np.clip(np.broadcast_to(ratio, draws.shape[1:]) * len(draws) - 0.5, 0, last)
    low = np.floor(position).astype(np.int64)
    below, above = (np.take_along_axis(draws, np.minimum(low + k, last)[None], 0)[0] for k in (0, 1))
    fractile: FloatArray = below + (position - low) * (above - below)
    return fractile


@dataclass(frozen=True, eq=False)
class ProjectedLevel:
    """Order so that expected stock, when the order arrives, is a fixed level U.

    `q = ⌈max(U − E[stock when the order arrives] − units due later, 0)⌉`: stock is carried through the L periods until
    then, exactly, so that demand that is lost on the way is not bought a second time. With backorders, where
    nothing is lost, it is the base-stock policy with the level U + L·μ. The policy is that of van Jaarsveld and Arts,
    "Projected inventory level policies for lost sales inventory systems".

    Attributes:
        level: expected stock to order up to, units, one for all or per item. [U]
        demand: a discrete demand model of the items.
        points: what each item's demand can be in a period.

    Raises:
        FractileError: where the level is out of its range, or demand is continuous.
    """

    level: Any
    demand: IndependentDemand
    points: tuple[DemandPoints, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keep_parameters(self, level=NOT_NEGATIVE)
        if not isinstance(self.demand, IndependentDemand) or not self.demand.discrete:
            raise FractileError(
                f"projected_level needs discrete demand, got {type(self.demand).__name__}; "
                "the policy 'projected' works from forecasts"
            )
        items = (self.demand.select(np.array([item])) for item in range(self.demand.items))
        object.__setattr__(self, "points", tuple(map(demand_over, items)))

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items); stock and pipeline count in whole units."""
        expected = self.projected_stock(obs) + _due_later(obs)
        # Rounding errors of the expectation must not add a unit.
        return np.ceil(np.maximum(self.level - expected, 0.0) - 1e-9)

    def projected_stock(self, obs: Observation) -> FloatArray:
        """Return expected stock when an order placed now arrives, without that order, units, (paths, items)."""
        share, shape = np.asarray(obs.params.lost_share), obs.net_inventory.shape
        lead_time = np.broadcast_to(obs.params.lead_time, shape)
        if np.all(share == 0.0):
            due = np.arange(len(obs.pipeline)).reshape(-1, 1, 1) < lead_time
            arriving = np.where(due, obs.pipeline, 0.0).sum(0)
            without_loss: FloatArray = obs.net_inventory + arriving - lead_time * self.demand.distribution().mean()
            return without_loss
        if np.any(share != 1.0):
            raise FractileError("projected_level needs unmet_demand 'lost' or 'backorder', not a share of each")
        expected = np.array(obs.net_inventory, dtype=np.float64)
        for item in range(shape[1]):
            points = self.points[min(item, len(self.points) - 1)]
            for periods in np.unique(lead_time[:, item][lead_time[:, item] > 0]):
                paths = np.flatnonzero(lead_time[:, item] == periods)
                state = _first_slots(obs.pipeline[:, paths, item, None], int(periods))[:, :, 0]
                state[0] += obs.net_inventory[paths, item]
                expected[paths, item] = project_stock(points, np.rint(state.clip(0)).astype(np.int64))
        return expected


def project_stock(demand: DemandPoints, state: IntArray) -> FloatArray:
    """Return expected stock under lost sales after the last period of a state, exactly.

    Args:
        demand: what one item's demand can be in a period.
        state: stock with this period's arrival, then what arrives later, units, shape (L, paths), L >= 1.

    Returns:
        units, shape (paths,).
    """
    if not state.size:
        return np.zeros(state.shape[1])
    # Probability of what a period's demand leaves of stock, shape (stock, left), and its mean.
    moves = transition(np.arange(int(state.sum(0).max()) + 1), demand, ItemParams(unmet_demand="lost"))
    left: FloatArray = moves @ np.arange(len(moves))
    if len(state) == 1:
        return left[state[0]]
    stock = moves[state[0]]
    for arriving, outcome in zip(state[1:], [*[moves] * (len(state) - 2), left[:, None]], strict=True):
        after = np.empty((len(stock), outcome.shape[1]))
        for units in np.unique(arriving):
            paths = arriving == units
            after[paths] = stock[paths, : len(moves) - units] @ outcome[units:]
        stock = after
    return stock[:, 0]


def _first_slots(pipeline: Array, slots: int) -> FloatArray:
    """What arrives within the lead time: the first slots, empty ones where the pipeline is shorter."""
    return np.array(fit_pipeline(pipeline[:slots], slots), dtype=np.float64)


def _due_later(obs: Observation) -> FloatArray:
    """Units under way that arrive after an order placed now would, shape (paths, items)."""
    late = np.arange(len(obs.pipeline)).reshape(-1, 1, 1) >= np.asarray(obs.params.lead_time)
    return np.where(late, obs.pipeline, 0.0).sum(0)
