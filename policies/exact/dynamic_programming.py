"""Dynamic programming for one item with discrete demand: grid of states, costs by `step`, optimal policy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...envs.core.dynamics import feasible_order, step
from ...envs.core.types import InventoryState, ItemParams, Observation
from ...envs.demand.independent import IndependentDemand
from ...errors import Faults, FractileError, FractileWarning
from ..base import Policy, fit_pipeline
from .small_system import (
    DISCRETE_ITEM,
    ONE_ITEM_TAIL,
    DemandPoints,
    check_one_item,
    fractile,
    is_discrete_item,
    mean_of,
    number,
)
from .value_iteration import LevelModel, PipelineModel, Solution, solve, stationary

STATES = 150_000_000
"""The largest grid: it takes some five gigabytes."""

TOUCHED = 1e-7
"""Share of periods at a bound from which on a warning says that the bound may matter."""


@dataclass(frozen=True, eq=False)
class OneItemGrid:
    """One item as a grid of states: its bounds, its orders and its costs, from demand, parameters and `step`.

    Attributes:
        demand: a discrete demand model of one item.
        params: lead time, costs, discount, and order rules in whole units.
        order_bound: the largest order that is considered, units; None = a default.
        position_bound: the largest inventory position that is considered, units; None = a default.
        lowest: the smallest inventory position, units: with backorders, one that demand does not get below.
        highest: the largest inventory position, units. By default the critical fractile of demand over L + 1 periods,
            and room for lots and for limited orders.
        largest: the largest order, units, before the order rules. By default the critical fractile of one period's
            demand, and a lot; all there is room for where orders cost.
        proven: whether theory says that wider bounds change nothing: no fixed cost, no order rules, default bounds.
        quantities: the orders that the rules allow, units, from 0 up.
        model: states, costs and where demand leads.

    Raises:
        FractileError: where value iteration cannot solve it.
    """

    demand: IndependentDemand
    params: ItemParams
    order_bound: int | None = None
    position_bound: int | None = None
    lowest: int = field(init=False)
    highest: int = field(init=False)
    largest: int = field(init=False)
    proven: bool = field(init=False)
    quantities: IntArray = field(init=False)
    model: LevelModel | PipelineModel = field(init=False)

    def __post_init__(self) -> None:
        self._check()
        self._set_bounds()
        units = np.arange(self.largest + 1)
        quantities = units[feasible_order(units.astype(np.float64), self.params) == units]
        if len(quantities) == 1 and self.largest:
            raise FractileError(
                f"the order rules and bounds allow no order from 1 to {self.largest} units: raise order_bound"
            )
        object.__setattr__(self, "quantities", quantities)
        object.__setattr__(self, "model", self._model())

    @property
    def backorder(self) -> bool:
        """Whether unmet demand waits."""
        return self.params.lost_share == 0.0

    @property
    def in_pipeline(self) -> bool:
        """Whether the state holds the orders under way one by one: lost sales with a lead time."""
        return self.params.slots > 0 and not self.backorder

    @property
    def steady_revenue(self) -> float:
        """Revenue a period that no order changes: with backorders, all demand is sold in the end."""
        return number(self.params.price) * mean_of(self.demand) if self.backorder else 0.0

    def committed_cost(self, state: InventoryState) -> FloatArray:
        """Discounted cost of the first L periods with backorders, shape (paths, 1): no order changes it any more."""
        gamma, plain = self.params.discount, replace(self.params, price=0.0)
        pipeline = fit_pipeline(state.pipeline, self.params.slots)
        level = np.rint(state.net_inventory + np.cumsum(pipeline, 0)).astype(np.int64)
        total = np.zeros((len(state.net_inventory), 1))
        for k in range(self.params.slots):
            total[:, 0] += gamma**k * expected_cost(level[k].ravel(), self.demand, k + 1, plain)
        return total

    def _check(self) -> None:
        faults, params = Faults(), self.params
        check_one_item(params, "dynamic_programming")
        if not is_discrete_item(self.demand):
            faults.add(f"dynamic_programming needs {DISCRETE_ITEM}")
        if np.any(np.asarray(params.review_period) != 1):
            faults.add(f"dynamic_programming needs review_period = 1, got {params.review_period}")
        if params.lost_share not in (0.0, 1.0):
            faults.add(f"dynamic_programming needs unmet_demand 'lost' or 'backorder', got {params.unmet_demand}")
        for name in ("order_bound", "position_bound"):
            bound = getattr(self, name)
            if bound is not None and (bound < 0 or bound != int(bound)):
                faults.add(f"{name} must be an integer >= 0, got {bound}")
        faults.raise_if_any()
        if number(params.holding_cost) <= 0:
            faults.add("dynamic_programming needs holding_cost above 0: without it, more stock is never too much")
        if self.backorder and number(params.stockout_cost) <= 0:
            faults.add("dynamic_programming with backorders needs stockout_cost above 0: nothing else makes one order")
        if number(params.pack_size) % 1:
            faults.add(f"dynamic_programming orders whole units: pack_size must be an integer, got {params.pack_size}")
        if self.backorder and _limit(params) <= mean_of(self.demand):
            faults.add(f"maximum_order must exceed mean demand where it can wait, got {_limit(params):g}: too little")
        faults.raise_if_any()

    def _set_bounds(self) -> None:
        """Set lowest, highest, largest and proven."""
        demand, params, mean = self.demand, self.params, mean_of(self.demand)
        fixed, limit = number(params.fixed_order_cost), _limit(params)
        pack, least = number(params.pack_size), number(params.minimum_order)
        smallest = np.ceil(max(pack, np.ceil(least / pack) * pack if pack else least))
        batch = int(smallest) if smallest > 1 else 0  # the smallest order, units; 0 where it is one unit
        # A sale that is lost costs its price, too.
        lost = number(params.stockout_cost) + number(params.price) * (not self.backorder)
        ratio = lost / (lost + number(params.holding_cost))

        def lot(cost: Any) -> int:
            """Twice the economic order quantity, `2 √(2Kμ/cost)`."""
            return int(np.ceil(2.0 * np.sqrt(2.0 * fixed * mean / cost)))

        def slack(tail: float) -> int:
            """Room for limited orders: the position falls short like a queue, e^(−θx) with θ = 2(C − μ)/σ²."""
            if np.isinf(limit):
                return 0
            spare = max(abs(limit - mean), 0.05 * mean)
            return int(np.ceil(-np.log(tail) * number(demand.distribution().var()) / (2.0 * spare)))

        lowest = 0
        if self.backorder:
            worst = fractile(demand, 1 - ONE_ITEM_TAIL, params.slots + 1) + 2 * batch
            lowest = -worst - lot(params.stockout_cost) - slack(ONE_ITEM_TAIL)
        usual_highest = fractile(demand, ratio, params.slots + 1) + lot(params.holding_cost) + 2 * batch
        usual_highest += slack(1e-3 * (1.0 - ratio))
        highest = usual_highest if self.position_bound is None else int(self.position_bound)
        usual_largest = highest - lowest
        if self.in_pipeline and not fixed:
            usual_largest = fractile(demand, ratio, 1) + 2 * batch
        largest = usual_largest if self.order_bound is None else int(self.order_bound)
        ruled = batch or np.isfinite(limit) or fixed
        proven = not ruled and highest >= usual_highest and largest >= usual_largest
        for name, value in (("lowest", lowest), ("highest", highest), ("largest", largest), ("proven", proven)):
            object.__setattr__(self, name, value)

    def _model(self) -> LevelModel | PipelineModel:
        """States, costs and where demand leads."""
        params, quantities, slots = self.params, self.quantities, self.params.slots
        levels = np.arange(self.lowest, self.highest + 1)
        states = len(levels) * len(quantities) ** (slots - 1) if self.in_pipeline else len(levels)
        if states > STATES:
            raise FractileError(
                f"dynamic_programming would need {states:.2g} states, more than {STATES:.2g}: "
                "lower order_bound or position_bound, or take a policy that is not exact"
            )
        ordering = number(params.fixed_order_cost) * (quantities > 0) + number(params.unit_cost) * quantities
        if self.backorder:
            # The position after ordering decides the cost of the period L later.
            cost = params.discount**slots * expected_cost(levels, self.demand, slots + 1, replace(params, price=0.0))
        else:
            cost = expected_cost(levels, self.demand, 1, params)
        moves = transition(levels, demand_over(self.demand), params)
        if self.in_pipeline:
            return PipelineModel(cost, moves, quantities, ordering, slots, params.discount)
        return LevelModel(cost, moves, quantities, ordering, params.discount)


def _limit(params: ItemParams) -> float:
    return np.inf if params.maximum_order is None else number(params.maximum_order)


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
    points = demand_over(demand, span)
    return _after_demand(levels, points, params)[1] @ points.probability


def transition(levels: IntArray, points: DemandPoints, params: ItemParams) -> FloatArray:
    """Return the probability of going from one level to another by a period's demand, shape (levels, levels)."""
    after, _ = _after_demand(levels, points, params)
    index = np.clip(np.rint(after).astype(np.int64) - levels[0], 0, len(levels) - 1)
    moves = np.zeros((len(levels), len(levels)))
    np.add.at(moves, (np.arange(len(levels))[:, None], index), np.broadcast_to(points.probability, index.shape))
    return moves


def demand_over(demand: IndependentDemand, span: int = 1) -> DemandPoints:
    """List the demand of one item over some periods, but for its last `ONE_ITEM_TAIL`."""
    units = np.arange(fractile(demand, 1 - ONE_ITEM_TAIL, span) + 1)
    probability = np.asarray(demand.pmf(units, span), dtype=np.float64).reshape(-1)
    return DemandPoints(units.astype(np.float64), probability / probability.sum())


def _after_demand(levels: IntArray, points: DemandPoints, params: ItemParams) -> tuple[FloatArray, FloatArray]:
    """Stock after each demand and its cost, both (levels, points), by `step`."""
    plain = replace(params, lead_time=0, fixed_order_cost=0.0, unit_cost=0.0)
    plain = replace(plain, pack_size=None, minimum_order=None, maximum_order=None)
    shape = (len(levels), len(points.units))
    state = InventoryState(np.broadcast_to(levels[:, None], shape).astype(np.float64), np.zeros((0, *shape)))
    after, outcome = step(state, np.zeros(shape), np.broadcast_to(points.units, shape), plain)
    return after.net_inventory, outcome.cost


@dataclass(eq=False)
class DynamicProgramming:
    """The optimal policy of one item with discrete, independent demand and a constant lead time.

    It minimises the average cost, or, where `params.discount` is below 1, the expected discounted cost.

    Lost sales: the state is stock with this period's arrival, and the orders that arrive later, oldest first. Without
    fixed cost and order rules, no optimal order exceeds the critical fractile of one period's demand and no position
    that of L + 1 periods, so these are the bounds of the grid (Zipkin 2008). Backorders, and lost sales without lead
    time: the state is the inventory position, charged with the cost of the period L later, which the order decides.
    Where orders cost money or obey rules, the bounds are wider by rules of thumb, and a `FractileWarning` says where
    the optimal policy runs into them.

    Faults of an instance are raised at once; it is solved when its orders or values are first needed, and kept.

    Attributes:
        demand: a discrete demand model of one item.
        params: lead time, costs, discount, and order rules in whole units.
        tolerance: on the average or discounted cost, money.
        order_bound: the largest order that is considered, units; None = as above.
        position_bound: the largest inventory position that is considered, units; None = as above.
        grid: its states, orders and costs.

    Raises:
        FractileError: where the instance is not of this kind, or too large.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> optimal = DynamicProgramming(Poisson(5.0), ItemParams(lead_time=1, holding_cost=1, stockout_cost=4))
    >>> round(optimal.average_cost, 4)
    4.0407
    """

    never_trained: ClassVar[bool] = True

    demand: IndependentDemand
    params: ItemParams
    tolerance: float = 1e-7
    order_bound: int | None = None
    position_bound: int | None = None
    grid: OneItemGrid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.grid = OneItemGrid(self.demand, self.params, self.order_bound, self.position_bound)

    @cached_property
    def solution(self) -> Solution:
        """Cost, values and choices, in the shape of the grid's model."""
        solution = solve(self.grid.model, self.tolerance)
        if not self.grid.proven:
            _warn_at_bounds(self.grid, solution.choice)
        return solution

    @property
    def average_cost(self) -> float:
        """The least average cost per period, money.

        Raises:
            FractileError: where later costs are discounted.
        """
        self._require_average()
        return self.solution.average_cost - self.grid.steady_revenue

    @cached_property
    def orders(self) -> IntArray:
        """The optimal order in each state, units, indexed as the class says."""
        return self.grid.quantities[self.solution.choice].T

    @property
    def values(self) -> FloatArray:
        """The value of each state, money, indexed like `orders`: relative to the first, or discounted."""
        return self.solution.value.T

    @cached_property
    def occupancy(self) -> FloatArray:
        """Share of periods that begin in each state under the optimal policy, indexed like `orders`."""
        return stationary(self.grid.model, self.solution.choice).T

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items); states beyond the grid count as its edge."""
        index, _ = self._index(obs)
        return self.orders[index].astype(np.float64)

    def discounted_value(self, state: InventoryState) -> FloatArray:
        """Return the expected discounted cost of the optimal policy, seen from the start of a period.

        `E Σ_t γ^t cost_t`, t = 0, 1, …, with the costs of `step`.

        Args:
            state: what that period begins with, in whole units.

        Returns:
            money, shape (paths, 1).

        Raises:
            FractileError: where nothing is discounted, or a state lies beyond the grid.
        """
        gamma = self.params.discount
        if gamma == 1:
            raise FractileError("discount is 1, and undiscounted costs grow for ever: use average_cost")
        index, inside = self._index(state)
        if not inside.all():
            raise FractileError(
                f"a state lies beyond the grid: positions from {self.grid.lowest} to {self.grid.highest}, orders up "
                f"to {self.grid.quantities[-1]}; raise position_bound or order_bound"
            )
        value = self.values[index] - self.grid.steady_revenue / (1 - gamma)
        return value + self.grid.committed_cost(state) if self.grid.backorder else value

    def average_cost_of(self, policy: Policy) -> float:
        """Return the exact average cost of another policy on this instance, money per period.

        Args:
            policy: orders whole units; with backorders, it looks at the inventory position alone.

        Raises:
            FractileError: where later costs are discounted, or it orders what the grid does not hold.
        """
        self._require_average()
        grid, model, params = self.grid, self.grid.model, self.params
        # What the policy orders in each state of the grid, units, in the shape of the model's values.
        shape = model.reachable.T.shape
        stock, *later = (index.ravel() for index in np.indices(shape))
        pipeline = np.zeros((params.slots, stock.size, 1))
        for k, index in enumerate(later, start=1):
            pipeline[k, :, 0] = grid.quantities[index]
        net_inventory = (stock + grid.lowest).astype(np.float64)[:, None]
        obs = Observation(0, net_inventory, pipeline, params, self.demand.forecast(params.slots + 1))
        order = np.asarray(feasible_order(policy.order(obs), params))
        wanted = np.rint(order).astype(np.int64).reshape(shape).T
        # States may lack the room for it: what matters is whether the policy ever comes to one of them.
        room = np.minimum(wanted, np.maximum(model.highest - model.position, 0))
        choice = np.searchsorted(model.quantities, room, side="right") - 1
        possible = model.quantities[choice] == wanted
        probability = stationary(model, choice)
        if probability[~possible].sum() > TOUCHED:
            raise FractileError(
                f"{type(policy).__name__} orders what the grid does not hold: orders up to {model.quantities[-1]}, "
                f"positions up to {grid.highest}; raise order_bound or position_bound"
            )
        return model.mean_cost(probability, choice) - grid.steady_revenue

    def _require_average(self) -> None:
        if self.params.discount < 1:
            raise FractileError(f"discount is {self.params.discount}: use discounted_value, or set it to 1")

    def _index(self, state: Observation | InventoryState) -> tuple[tuple[IntArray, ...], BoolArray]:
        """Return the index into `orders` of each path, and whether the grid holds its state."""
        grid, slots = self.grid, self.params.slots
        pipeline = fit_pipeline(np.asarray(state.pipeline), slots)
        later = list(pipeline[1:]) if grid.in_pipeline else []
        level = state.net_inventory + (pipeline[0] if grid.in_pipeline else pipeline.sum(0)) - grid.lowest
        stock = np.clip(np.rint(level).astype(np.int64), 0, grid.highest - grid.lowest)
        last = len(grid.quantities) - 1
        index = [np.searchsorted(grid.quantities, np.rint(order)).clip(0, last) for order in later]
        exact = [grid.quantities[i] == order for i, order in zip(index, later, strict=True)]
        in_time = ~np.asarray(state.pipeline[slots:]).any(0)
        return (stock, *index), np.all([stock == level, in_time, *exact], 0)


def _warn_at_bounds(grid: OneItemGrid, choice: IntArray) -> None:
    """Warn where a policy runs into a bound that no theory gives."""
    model, quantities = grid.model, grid.quantities
    probability = stationary(model, choice)
    limited = feasible_order(np.array([1e12]), grid.params).item() == quantities[-1]
    at_most = (choice == len(quantities) - 1) & (not limited) & (grid.largest < model.highest)
    following = np.append(quantities[1:], 0 if limited else np.iinfo(np.int64).max // 2)[choice]
    touched = {
        "order_bound": at_most,
        "position_bound": (choice > 0) & ~at_most & (model.position + following > model.highest),
    }
    shares = {name: float(probability[where].sum()) for name, where in touched.items()}
    said = " and ".join(f"{name} in {share:.2g}" for name, share in shares.items() if share > TOUCHED)
    if said:
        message = (
            f"the optimal policy runs into {said} of all periods: raise what binds, and see whether the cost falls"
        )
        warnings.warn(message, FractileWarning, stacklevel=5)
