"""Systems with backorders, solved without a grid of states.

Optimal (s, S) policies of one item (Zheng and Federgruen 1991), optimal echelon levels of a serial system (Clark and
Scarf 1960), and a lower bound for a warehouse and its stores (after Federgruen and Zipkin 1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from ...arrays import FloatArray
from ...envs.core.types import ItemParams
from ...envs.demand.independent import IndependentDemand
from ...errors import Faults
from .small_system import (
    DISCRETE_ITEM,
    ONE_ITEM_TAIL,
    TAIL,
    check_one_item,
    fractile,
    is_discrete_item,
    mean_of,
    number,
)

RESOLUTION = 128
"""Grid steps in a standard deviation of one period's demand, where demand is continuous."""


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
    _check_reorder(demand, params)
    cycle = _Cycle(demand, params)
    # To begin with, the level that is cheapest for one period, and the best reorder point under it.
    level = cycle.fractile
    point = level - 1
    while cycle.cost(point, level) > cycle.mismatch(point):
        point -= 1
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
    """The time between two orders: costs of positions, and how long the position stays at each."""

    def __init__(self, demand: IndependentDemand, params: ItemParams) -> None:
        self.holding, self.stockout = number(params.holding_cost), number(params.stockout_cost)
        self.fixed, self.mean = number(params.fixed_order_cost), mean_of(demand)
        self.fractile = fractile(demand, self.stockout / (self.stockout + self.holding), params.slots + 1)
        self._demand = demand
        # Expected demand beyond each number of units from 0 up: `E[(D − y)⁺] = Σ_{k ≥ y} P(D > k)`.
        units = np.arange(fractile(demand, 1 - ONE_ITEM_TAIL, params.slots + 1) + 2)
        beyond = 1.0 - np.asarray(demand.cdf(units, params.slots + 1), dtype=np.float64).reshape(-1)
        self._backorders: FloatArray = np.cumsum(beyond[::-1])[::-1]
        self._stays = np.zeros(0)

    def mismatch(self, position: int) -> float:
        """Holding and stock-out cost of a period that is decided by a position after ordering. [G(y)]"""
        mean, table = self._backorders[0], self._backorders
        short = mean - position if position < 0 else table[position] if position < len(table) else 0.0
        return float(self.holding * (position - mean) + (self.holding + self.stockout) * short)

    def cost(self, point: int, level: int) -> float:
        """Average cost of the policy with this reorder point and level. [c(s, S)]"""
        depth = level - point
        if depth > len(self._stays):
            # Expected periods at each depth below the level, for twice the depths that are needed now:
            # m(j) = Σ_k P(D = k) m(j − k) for j > 0, and m(0) = 1 / (1 − P(D = 0)).
            probability = np.asarray(self._demand.pmf(np.arange(2 * depth)), dtype=np.float64).reshape(-1)
            moving = 1.0 - probability[0]
            self._stays = np.zeros(2 * depth)
            self._stays[0] = 1.0 / moving
            for j in range(1, 2 * depth):
                self._stays[j] = probability[1 : j + 1] @ self._stays[j - 1 :: -1] / moving
        stays = self._stays[:depth]
        mismatch = np.array([self.mismatch(position) for position in range(level, point, -1)])
        return float((self.fixed + stays @ mismatch) / stays.sum())


def _check_reorder(demand: IndependentDemand, params: ItemParams) -> None:
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


class EchelonSolution(NamedTuple):
    """The optimal policy of a serial system.

    Attributes:
        levels: echelon base-stock levels, units, downstream to upstream, shape (stages,). [S_1 … S_N]
        cost: average cost of the system per period, money.
    """

    levels: FloatArray
    cost: float


class _Lattice(NamedTuple):
    """A function or distribution on the points `first`, `first + 1`, …, `spacing` units apart."""

    first: int
    values: FloatArray
    spacing: float = 1.0

    @property
    def units(self) -> FloatArray:
        """The points, units."""
        return self.spacing * np.arange(self.first, self.first + len(self.values), dtype=np.float64)

    @property
    def mean(self) -> float:
        """Of a distribution, units."""
        return float(self.units @ self.values)


def clark_scarf(
    demand: IndependentDemand,
    lead_times: Sequence[int],
    holding_costs: Sequence[float],
    stockout_cost: float,
    *,
    continuous_review: bool = False,
    charge_pipeline: bool = False,
    step: float | None = None,
) -> EchelonSolution:
    """Return the optimal echelon base-stock levels of a serial system with backorders, and what they cost.

    Stages are numbered and listed downstream to upstream: stage 1 serves the demand, stage N buys from a supplier that
    always delivers. An order placed in period t arrives in t + L_j, in time to be passed on or sold then. Each stage
    orders its echelon position (stock, what is under way to it, and the same of all stages downstream, less backorders)
    up to its level, as far as the stage above has stock.

    With y_j the echelon position of stage j after ordering, D_j the demand over L_j periods, and D_1 that over L_1 + 1
    (the period of arrival is served before costs are charged), the expected cost is found from stage 1 up:

    `G_1(y) = E[h_1 (y − D_1)⁺ + b (D_1 − y)⁺] − h_2 y`
    `G_j(y) = h_j (y − E D_j) + E G_{j−1}(min(S_{j−1}, y − D_j)) − h_{j+1} y`, `S_j = argmin G_j`, `h_{N+1} = 0`

    and G_N(S_N) is the average cost: h_j on what stage j has in stock, b on backorders, nothing on what is under way.

    Args:
        demand: of one item per period, independent over periods; discrete demand is solved exactly, continuous demand
            on a grid, as it is drawn: nothing below zero.
        lead_times: periods from order to receipt of each stage, integers >= 0. [L_j]
        holding_costs: money per unit in stock at each stage at a period's end, not increasing upstream. [h_j]
        stockout_cost: money per unit backordered at stage 1 at a period's end. [b]
        continuous_review: D_1 is the demand over L_1, not over L_1 + 1: costs are charged as in systems that are
            watched all the time (Snyder and Shen 2019, section 6.2).
        charge_pipeline: units under way from stage j + 1 to stage j cost h_{j+1} as well, as in Clark and Scarf: a
            constant, L_j times mean demand, which changes no level.
        step: units between points of the grid where demand is continuous; None = 1/128 of a standard deviation.

    Raises:
        FractileError: where an argument is out of its range.

    Source: A. J. Clark and H. Scarf, "Optimal policies for a multi-echelon inventory problem", Management Science 6(4),
    1960; in the form of F. Chen and Y.-S. Zheng, "Lower bounds for multi-echelon stochastic inventory systems",
    Management Science 40(11), 1994.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> levels, cost = clark_scarf(Poisson(5.0), [1, 2], [1.0, 0.5], 9.0)
    >>> [float(level) for level in levels], round(cost, 4)
    ([15.0, 27.0], 7.7389)
    """
    _check_serial(demand, lead_times, holding_costs, stockout_cost, step)
    spacing = 1.0 if demand.discrete else step or number(demand.distribution().std()) / RESOLUTION
    spans = [lead_times[0] + (not continuous_review), *lead_times[1:]]
    cost, levels = 0.0, []
    below = _Lattice(0, np.zeros(1))
    for stage, span in enumerate(spans):
        drawn = _demand_over(demand, span, spacing)
        holding, above = [*holding_costs, 0.0][stage : stage + 2]
        if not stage:
            # E[h (y − D)⁺ + b (D − y)⁺] on the points of D: below them it is linear.
            left = spacing * np.append(0.0, np.cumsum(np.cumsum(drawn.values))[:-1])
            own = drawn._replace(values=holding * left + stockout_cost * (left - drawn.units + drawn.mean))
        else:
            # h (y − E D) + E G(min(S, y − D)) with G up to its minimum at S; below its points G falls by b + h a unit.
            width = len(drawn.values) - 1
            falling = (stockout_cost + holding) * spacing * np.arange(width, 0, -1)
            padded = np.concatenate([below.values[0] + falling, below.values, np.full(width, below.values[-1])])
            passed = _Lattice(below.first + drawn.first, np.convolve(padded, drawn.values, "valid"), spacing)
            own = passed._replace(values=passed.values + holding * (passed.units - drawn.mean))
        charged = own.values - above * own.units
        best = int(np.argmin(charged))
        levels.append(own.units[best])
        cost = float(charged[best])
        below = own._replace(values=charged[: best + 1])
    under_way = float(np.dot(holding_costs[1:], lead_times[:-1])) * mean_of(demand)
    return EchelonSolution(np.array(levels), cost + under_way * charge_pipeline)


def _demand_over(demand: IndependentDemand, span: int, spacing: float) -> _Lattice:
    """The distribution of demand over some periods."""
    if not span:
        return _Lattice(0, np.ones(1), spacing)
    if demand.discrete:
        low, high = (int(number(demand.quantile(level, span))) for level in (TAIL, 1 - TAIL))
        probability = np.asarray(demand.pmf(np.arange(low, high + 1), span)).reshape(-1)
        return _Lattice(low, probability / probability.sum(), spacing)
    # Continuous demand as it is drawn, at the nearest points: what a distribution puts below zero is at zero.
    points = np.arange(np.ceil(number(demand.quantile(1 - TAIL)) / spacing) + 1)
    up_to = np.asarray(demand.cdf((points + 0.5) * spacing), dtype=np.float64).reshape(-1)
    total = one = np.diff(up_to, prepend=0.0)
    for _ in range(span - 1):
        total = np.convolve(total, one)
    low, high = np.searchsorted(np.cumsum(total), (TAIL, 1 - TAIL))
    return _Lattice(int(low), total[low : high + 1] / total[low : high + 1].sum(), spacing)


def _check_serial(
    demand: IndependentDemand,
    lead_times: Sequence[int],
    holding_costs: Sequence[float],
    stockout_cost: float,
    step: float | None,
) -> None:
    faults = Faults()
    if not isinstance(demand, IndependentDemand) or np.size(demand.distribution().mean()) != 1:
        faults.add("clark_scarf needs demand of one item, independent over periods: Poisson, Normal, …")
    if not len(lead_times) or len(lead_times) != len(holding_costs):
        faults.add(
            "lead_times and holding_costs must be one a stage, downstream to upstream, "
            f"got {len(lead_times)} and {len(holding_costs)}"
        )
    if any(periods < 0 or periods != int(periods) for periods in lead_times):
        faults.add(f"lead_times must be integers >= 0, got {list(lead_times)}")
    if not all(cost > 0 for cost in holding_costs) or any(np.diff(holding_costs) > 0):
        faults.add(
            "holding_costs must be above 0 and not increase from stage 1 upstream, "
            f"got {list(holding_costs)}; list stage 1, next to the demand, first"
        )
    if not stockout_cost > 0:
        faults.add(f"stockout_cost must be a number above 0, got {stockout_cost}")
    if step is not None and not step > 0:
        faults.add(f"step must be a number above 0 or None, got {step}")
    faults.raise_if_any()


def transshipment_bound(
    standard_deviation: Any,
    *,
    correlation: float = 0.0,
    warehouse_lead_time: int = 3,
    store_lead_time: int = 2,
    holding_cost: float = 1.0,
    stockout_cost: float = 9.0,
) -> float:
    """Return a lower bound on the cost per store and period of a warehouse that holds no stock and its n stores.

    `(b + h) φ(z) √(L_w Var(Σ_i D_i) + (L_s + 1) (Σ_i σ_i)²) / n` with `z = Φ⁻¹(b / (b + h))`

    for normal demand, independent over periods, backorders, and the same costs in all stores. Allow the warehouse to
    take stock back from stores when it allocates (Federgruen and Zipkin 1984, "Approximations of dynamic, multilocation
    production and inventory problems", Management Science 30(1), relax allocation in this way). Then it can give every
    store the same fractile of its L_s + 1 periods of demand, and the stores together cost what one store with the
    standard deviation `√(L_s + 1) Σ σ_i` would. The position that is allocated was ordered L_w periods before, during
    which demand with the variance `L_w Var(Σ D_i)` was met. Alvo, Russo and Kanoria (2023), "Neural inventory control
    in networks via hindsight differentiable policy optimization", compare with this number; the derivation is our own.

    Args:
        standard_deviation: of each store's demand per period, units, shape (stores,). [σ_i]
        correlation: of any two stores' demand in a period.
        warehouse_lead_time: periods from an order to the warehouse's receipt. [L_w]
        store_lead_time: periods from the warehouse to a store. [L_s]
        holding_cost: money per unit on hand in a store at a period's end. [h]
        stockout_cost: money per unit short. [b]

    >>> round(transshipment_bound([1.0, 2.0], correlation=0.5, store_lead_time=2, stockout_cost=4.0), 4)
    4.8491
    """
    sigma: FloatArray = np.atleast_1d(np.asarray(standard_deviation, dtype=np.float64))
    faults, stores = Faults(), len(sigma)
    if sigma.ndim != 1 or not ((sigma >= 0) & np.isfinite(sigma)).all():
        faults.add(f"standard_deviation must hold numbers >= 0, one a store, got {sigma}")
    # Below this, no joint distribution of that many stores exists.
    lowest = -1.0 / (stores - 1) if stores > 1 else -1.0
    if not lowest <= correlation <= 1:
        faults.add(f"correlation must lie in [{lowest:.3g}, 1] for {stores} stores, got {correlation}")
    if min(warehouse_lead_time, store_lead_time) < 0:
        faults.add(f"lead times must be integers >= 0, got {(warehouse_lead_time, store_lead_time)}")
    if not min(holding_cost, stockout_cost) > 0:
        faults.add(f"holding_cost and stockout_cost must be above 0, got {(holding_cost, stockout_cost)}")
    faults.raise_if_any()
    total = (1.0 - correlation) * (sigma**2).sum() + correlation * sigma.sum() ** 2
    spread = np.sqrt(warehouse_lead_time * total + (store_lead_time + 1) * sigma.sum() ** 2)
    z = ndtri(stockout_cost / (stockout_cost + holding_cost))
    return float((stockout_cost + holding_cost) * norm.pdf(z) * spread / stores)
