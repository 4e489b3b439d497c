"""Optimal (s, S) policies with backorders, by the algorithm of Zheng and Federgruen (1991)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import FloatArray
from ...envs.core.types import ItemParams
from ...envs.demand.independent import IndependentDemand
from ...errors import Faults
from .single_item import DISCRETE_ITEM, TAIL, check_one_item, fractile, is_discrete_item, mean_of, number


class ReorderSolution(NamedTuple):
    """An optimal (s, S) policy: order up to S when the inventory position is at or below s.

    Attributes:
        reorder_point: units. [s]
        order_up_to: units. [S]
        cost: average cost per period, money.
    """

    reorder_point: int
    order_up_to: int
    cost: float


def zheng_federgruen(demand: IndependentDemand, params: ItemParams) -> ReorderSolution:
    """Return an (s, S) policy of least average cost: backorders, a fixed cost, any lead time, discrete demand.

    With the cost G(y) of meeting demand over L + 1 periods from the position y, and m(j) the expected number of
    periods in which the position stays j below S, a policy costs

    `c(s, S) = (K + Σ_{j=0}^{S−s−1} m(j) G(S − j)) / Σ_{j=0}^{S−s−1} m(j)`

    Reorder points and levels are then improved in turn, until no level above can be better: G(S) > c.
    Positions at or below s are ordered from: s = S − 1 is the base-stock policy.

    Args:
        demand: a discrete demand model of one item, independent over periods.
        params: lead time and costs; unit cost and price add what all demand costs and brings.

    Raises:
        FractileError: where the instance is not of this kind.

    Source: Y.-S. Zheng and A. Federgruen, "Finding optimal (s, S) policies is about as simple as evaluating a single
    policy", Operations Research 39(4), 1991.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> costs = dict(holding_cost=1, stockout_cost=9, fixed_order_cost=64, unmet_demand="backorder")
    >>> s, S, cost = zheng_federgruen(Poisson(10.0), ItemParams(**costs))
    >>> s, S, round(cost, 4)
    (6, 40, 35.0216)
    """
    _check(demand, params)
    cycle = _Cycle(demand, params)
    point, level = _first_pair(cycle)
    least = cycle.cost(point, level)
    candidate = level + 1
    while cycle.mismatch(candidate) <= least:
        if cycle.cost(point, candidate) < least:
            level = candidate
            while point + 1 < level and cycle.cost(point, level) <= cycle.mismatch(point + 1):
                point += 1
            least = cycle.cost(point, level)
        candidate += 1
    every_unit = (number(params.unit_cost) - number(params.price)) * cycle.mean
    return ReorderSolution(point, level, least + every_unit)


class _Cycle:
    """What happens between two orders: costs of positions, and how long the position stays at each."""

    def __init__(self, demand: IndependentDemand, params: ItemParams) -> None:
        self.holding, self.stockout = number(params.holding_cost), number(params.stockout_cost)
        self.fixed, self.mean = number(params.fixed_order_cost), mean_of(demand)
        self.fractile = fractile(demand, self.stockout / (self.stockout + self.holding), params.slots + 1)
        self._demand = demand
        self._backorders = _loss(demand, params.slots + 1)
        self._stays = np.zeros(0)

    def mismatch(self, position: int) -> float:
        """Holding and stock-out cost of a period that is decided by a position after ordering. [G(y)]"""
        mean, table = self._backorders[0], self._backorders
        short = mean - position if position < 0 else table[position] if position < len(table) else 0.0
        return float(self.holding * (position - mean) + (self.holding + self.stockout) * short)

    def cost(self, point: int, level: int) -> float:
        """Average cost of the policy with this reorder point and level. [c(s, S)]"""
        stays = self._stays_until(level - point)
        mismatch = np.array([self.mismatch(position) for position in range(level, point, -1)])
        return float((self.fixed + stays @ mismatch) / stays.sum())

    def _stays_until(self, depth: int) -> FloatArray:
        """Expected periods at each depth below the level, shape (depth,). [m(j)]

        `m(j) = Σ_k P(D = k) m(j − k)` for j > 0, and m(0) = 1 / (1 − P(D = 0)).
        """
        if depth > len(self._stays):
            probability = np.asarray(self._demand.pmf(np.arange(2 * depth)), dtype=np.float64).reshape(-1)
            moving = 1.0 - probability[0]
            stays = np.zeros(2 * depth)
            stays[0] = 1.0 / moving
            for j in range(1, len(stays)):
                stays[j] = probability[1 : j + 1] @ stays[j - 1 :: -1] / moving
            self._stays = stays
        return self._stays[:depth]


def _first_pair(cycle: _Cycle) -> tuple[int, int]:
    """The best reorder point under the level that is cheapest for one period."""
    level = cycle.fractile
    point = level - 1
    while cycle.cost(point, level) > cycle.mismatch(point):
        point -= 1
    return point, level


def _loss(demand: IndependentDemand, span: int) -> FloatArray:
    """Expected demand beyond each number of units from 0 up: `E[(D − y)⁺] = Σ_{k ≥ y} P(D > k)`."""
    units = np.arange(fractile(demand, 1 - TAIL, span) + 2)
    beyond = 1.0 - np.asarray(demand.cdf(units, span), dtype=np.float64).reshape(-1)
    loss: FloatArray = np.cumsum(beyond[::-1])[::-1]
    return loss


def _check(demand: IndependentDemand, params: ItemParams) -> None:
    check_one_item(params, "zheng_federgruen")
    faults = Faults()
    if not is_discrete_item(demand):
        faults.add(f"zheng_federgruen needs {DISCRETE_ITEM}")
    if np.any(np.asarray(params.lost_share) != 0.0):
        faults.add(f"zheng_federgruen needs unmet_demand 'backorder', got {params.unmet_demand}")
    for name in ("holding_cost", "stockout_cost"):
        if np.any(np.asarray(getattr(params, name)) <= 0):
            faults.add(f"zheng_federgruen needs {name} above 0, got {getattr(params, name)}")
    if np.any(np.asarray(params.review_period) != 1) or params.discount < 1:
        faults.add("zheng_federgruen needs review_period = 1 and discount = 1: it minimises the average cost")
    if params.pack_size not in (None, 1.0) or params.minimum_order is not None or params.maximum_order is not None:
        faults.add("zheng_federgruen knows no order rules: leave them out, or take dynamic_programming")
    faults.raise_if_any()
