"""One item with discrete demand as a grid of states: its bounds, its orders, its costs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...envs.core.dynamics import feasible_order, step
from ...envs.core.types import InventoryState, ItemParams
from ...envs.demand.independent import IndependentDemand
from ...errors import Faults, FractileError
from .stock_models import LevelModel, PipelineModel

TAIL = 1e-13
"""Probability of demand beyond the largest one that is enumerated."""

DISCRETE_ITEM = "discrete demand of one item, independent over periods: Poisson, NegativeBinomial, Geometric, …"
"""What `is_discrete_item` asks for, in messages."""

STATES = 150_000_000
"""The largest grid: it takes some five gigabytes."""


@dataclass(frozen=True, eq=False)
class SingleItem:
    """What value iteration is told about one item, built from its demand, its parameters and `step`.

    Attributes:
        demand: a discrete demand model of one item.
        params: lead time, costs, discount, and order rules in whole units.
        order_bound: the largest order that is considered, units; None = `default_largest`.
        position_bound: the largest inventory position that is considered, units; None = `default_highest`.

    Raises:
        FractileError: where value iteration cannot solve it.
    """

    demand: IndependentDemand
    params: ItemParams
    order_bound: int | None = None
    position_bound: int | None = None

    def __post_init__(self) -> None:
        _check_kind(self)
        _check_numbers(self)

    @property
    def backorder(self) -> bool:
        """Whether unmet demand waits."""
        return self.params.lost_share == 0.0

    @property
    def in_pipeline(self) -> bool:
        """Whether the state holds the orders under way one by one: lost sales with a lead time."""
        return self.params.slots > 0 and not self.backorder

    @cached_property
    def highest(self) -> int:
        """The largest inventory position, units."""
        return self.default_highest if self.position_bound is None else int(self.position_bound)

    @cached_property
    def largest(self) -> int:
        """The largest order, units, before the order rules."""
        return self.default_largest if self.order_bound is None else int(self.order_bound)

    @cached_property
    def default_highest(self) -> int:
        """The critical fractile of demand over L + 1 periods, and room for lots and for limited orders."""
        level = fractile(self.demand, self._ratio, self.params.slots + 1)
        return level + self._lot + 2 * self._batch + self._slack(1e-3 * (1.0 - self._ratio))

    @cached_property
    def default_largest(self) -> int:
        """The critical fractile of one period's demand, and a lot; all there is room for where orders cost."""
        if not self.in_pipeline or number(self.params.fixed_order_cost):
            return self.highest - self.lowest
        return fractile(self.demand, self._ratio, 1) + 2 * self._batch

    @cached_property
    def lowest(self) -> int:
        """The smallest inventory position, units: with backorders, one that demand does not get below."""
        if not self.backorder:
            return 0
        worst = fractile(self.demand, 1 - TAIL, self.params.slots + 1) + 2 * self._batch
        return -worst - self._twice_root(self.params.stockout_cost) - self._slack(TAIL)

    @property
    def vouched(self) -> bool:
        """Whether theory says that wider bounds change nothing: no fixed cost, no order rules, default bounds."""
        rules = self._batch or np.isfinite(self._limit) or number(self.params.fixed_order_cost)
        return not rules and self.highest >= self.default_highest and self.largest >= self.default_largest

    @cached_property
    def quantities(self) -> IntArray:
        """The orders that the rules allow, units, from 0 up."""
        units = np.arange(self.largest + 1)
        return units[feasible_order(units.astype(np.float64), self.params) == units]

    @cached_property
    def model(self) -> LevelModel | PipelineModel:
        """States, costs and where demand leads."""
        levels, gamma = np.arange(self.lowest, self.highest + 1), self.params.discount
        if self.in_pipeline:
            _check_size(len(levels), len(self.quantities), self.params.slots)
        moves = transition(levels, self.demand, self.params)
        ordering = _ordering_cost(self.quantities, self.params)
        cost = self.cost(levels)
        if self.in_pipeline:
            return PipelineModel(cost, moves, self.quantities, ordering, self.params.slots, gamma)
        return LevelModel(cost, moves, self.quantities, ordering, gamma)

    def cost(self, levels: IntArray) -> FloatArray:
        """Expected cost that the position after ordering decides: with backorders, that of the period L later."""
        if not self.backorder:
            return expected_cost(levels, self.demand, 1, self.params)
        later = expected_cost(levels, self.demand, self.params.slots + 1, replace(self.params, price=0.0))
        return self.params.discount**self.params.slots * later

    @property
    def steady_revenue(self) -> float:
        """Revenue a period that no order changes: with backorders, all demand is sold in the end."""
        return number(self.params.price) * mean_of(self.demand) if self.backorder else 0.0

    def committed(self, state: InventoryState) -> FloatArray:
        """Discounted cost of the first L periods with backorders, shape (paths, 1): no order changes it any more."""
        gamma, plain = self.params.discount, replace(self.params, price=0.0)
        level = np.rint(state.net_inventory + np.cumsum(state.pipeline, 0)).astype(np.int64)
        total = np.zeros((len(state.net_inventory), 1))
        for k in range(self.params.slots):
            total[:, 0] += gamma**k * expected_cost(level[k].ravel(), self.demand, k + 1, plain)
        return total

    @property
    def _ratio(self) -> float:
        """The critical ratio; a sale that is lost costs its price, too."""
        lost = number(self.params.stockout_cost) + number(self.params.price) * (not self.backorder)
        return lost / (lost + number(self.params.holding_cost))

    @property
    def _lot(self) -> int:
        """Twice the economic order quantity, √(2Kμ/h)."""
        return self._twice_root(self.params.holding_cost)

    def _twice_root(self, cost: Any) -> int:
        """`2 √(2Kμ/cost)`, units."""
        return int(np.ceil(2.0 * np.sqrt(2.0 * number(self.params.fixed_order_cost) * mean_of(self.demand) / cost)))

    @property
    def _batch(self) -> int:
        """The smallest order, units; 0 where it is one unit."""
        pack, least = number(self.params.pack_size), number(self.params.minimum_order)
        smallest = np.ceil(max(pack, np.ceil(least / pack) * pack if pack else least))
        return int(smallest) if smallest > 1 else 0

    @property
    def _limit(self) -> float:
        return np.inf if self.params.maximum_order is None else number(self.params.maximum_order)

    def _slack(self, tail: float) -> int:
        """Room for limited orders: the position falls short like a queue, e^(−θx) with θ = 2(C − μ)/σ²."""
        if np.isinf(self._limit):
            return 0
        spare = max(abs(self._limit - mean_of(self.demand)), 0.05 * mean_of(self.demand))
        return int(np.ceil(-np.log(tail) * number(self.demand.distribution().var()) / (2.0 * spare)))


def fractile(demand: IndependentDemand, level: float, span: int) -> int:
    """Return the fractile of demand over `span` periods, units."""
    return int(np.asarray(demand.quantile(level, span)).item())


def expected_cost(levels: IntArray, demand: IndependentDemand, span: int, params: ItemParams) -> FloatArray:
    """Return the expected cost of meeting `span` periods' demand from each level, without that of ordering.

    Args:
        levels: stock, units, shape (levels,).
        demand: discrete, of one item.
        span: periods whose demand is met before costs are charged.
        params: costs.

    Returns:
        money, shape (levels,).
    """
    units, probability = _demand_of(demand, span)
    return _met(levels, units, params)[1] @ probability


def transition(levels: IntArray, demand: IndependentDemand, params: ItemParams) -> FloatArray:
    """Return the probability of going from one level to another by a period's demand, shape (levels, levels)."""
    units, probability = _demand_of(demand, 1)
    after, _ = _met(levels, units, params)
    index = np.clip(np.rint(after).astype(np.int64) - levels[0], 0, len(levels) - 1)
    moves = np.zeros((len(levels), len(levels)))
    np.add.at(moves, (np.arange(len(levels))[:, None], index), np.broadcast_to(probability, index.shape))
    return moves


def _demand_of(demand: IndependentDemand, span: int) -> tuple[IntArray, FloatArray]:
    units = np.arange(fractile(demand, 1 - TAIL, span) + 1)
    probability = np.asarray(demand.pmf(units, span), dtype=np.float64).reshape(-1)
    return units, probability / probability.sum()


def _met(levels: IntArray, units: IntArray, params: ItemParams) -> tuple[FloatArray, FloatArray]:
    """Stock behind each demand and what it costs, both (levels, units), by `step`."""
    plain = replace(params, lead_time=0, fixed_order_cost=0.0, unit_cost=0.0)
    plain = replace(plain, pack_size=None, minimum_order=None, maximum_order=None)
    shape = (len(levels), len(units))
    state = InventoryState(np.broadcast_to(levels[:, None], shape).astype(np.float64), np.zeros((0, *shape)))
    after, outcome = step(state, np.zeros(shape), np.broadcast_to(units, shape).astype(np.float64), plain)
    return after.net_inventory, outcome.cost


def _ordering_cost(order: IntArray, params: ItemParams) -> FloatArray:
    cost: FloatArray = number(params.fixed_order_cost) * (order > 0) + number(params.unit_cost) * order
    return cost


def number(value: Any) -> float:
    """Return a parameter of one item as a number; None, which is no rule, as 0."""
    return 0.0 if value is None else float(np.asarray(value).item())


def mean_of(demand: IndependentDemand) -> float:
    """Return mean demand a period of one item, units. [μ]"""
    return number(demand.distribution().mean())


def is_discrete_item(demand: Any) -> bool:
    """Whether demand is independent over periods, in whole units, and of one item with a constant distribution."""
    return isinstance(demand, IndependentDemand) and demand.discrete and np.size(demand.distribution().mean()) == 1


def check_one_item(params: ItemParams, name: str) -> None:
    """Raise a `FractileError` where a parameter has more than one value."""
    several = [f.name for f in fields(params) if f.init and np.size(getattr(params, f.name)) > 1]
    if several:
        raise FractileError(f"{name} is for one item: give one constant {several[0].replace('_', ' ')}")


def _check_size(levels: int, orders: int, lead_time: int) -> None:
    states = levels * orders ** (lead_time - 1)
    if states > STATES:
        raise FractileError(
            f"dynamic_programming would need {states:.2g} states, more than {STATES:.2g}: "
            "lower order_bound or position_bound, or take a policy that is not exact"
        )


def _check_kind(instance: SingleItem) -> None:
    faults, demand, params = Faults(), instance.demand, instance.params
    check_one_item(params, "dynamic_programming")
    if not is_discrete_item(demand):
        faults.add(f"dynamic_programming needs {DISCRETE_ITEM}")
    if np.any(np.asarray(params.review_period) != 1):
        faults.add(f"dynamic_programming needs review_period = 1, got {params.review_period}")
    if params.lost_share not in (0.0, 1.0):
        faults.add(f"dynamic_programming needs unmet_demand 'lost' or 'backorder', got {params.unmet_demand}")
    for name in ("order_bound", "position_bound"):
        bound = getattr(instance, name)
        if bound is not None and (bound < 0 or bound != int(bound)):
            faults.add(f"{name} must be an integer >= 0, got {bound}")
    faults.raise_if_any()


def _check_numbers(instance: SingleItem) -> None:
    faults, params = Faults(), instance.params
    if number(params.holding_cost) <= 0:
        faults.add("dynamic_programming needs holding_cost above 0: without it, more stock is never too much")
    if instance.backorder and number(params.stockout_cost) <= 0:
        faults.add("dynamic_programming with backorders needs stockout_cost above 0: nothing else makes one order")
    if number(params.pack_size) % 1:
        faults.add(f"dynamic_programming orders whole units: pack_size must be an integer, got {params.pack_size}")
    if instance.backorder and instance._limit <= mean_of(instance.demand):
        faults.add(f"maximum_order must exceed mean demand where it can wait, got {instance._limit:g}: too little")
    faults.raise_if_any()
    if len(instance.quantities) == 1 and instance.largest:
        raise FractileError(
            f"the order rules and bounds allow no order from 1 to {instance.largest} units: raise order_bound"
        )
