"""Simulate a policy on a scenario, period by period, or on more items than memory holds, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..arrays import MOST, Array, FloatArray, IntArray
from ..envs.core.backend import are_quantities, first_fault, is_torch
from ..envs.core.params import ItemParams
from ..envs.core.period import StockState, advance, observation, system_of
from ..envs.core.system import SIMULATED, check_attributes, naming_what_lacks
from ..envs.core.types import HistoryView, Observation, PeriodOutcome, Scenario, Trajectory, with_protection_totals
from ..envs.gym.batch import target_state
from ..errors import FractileError
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .base import OrderUpToPolicy, Planner, Policy, PreparingPolicy

NO_HISTORY = HistoryView()
"""No past in the observation: stock, pipeline and forecast say it all."""

ITEM_BLOCK = 4096
"""Items that are drawn and simulated together; it never changes, since draws are keyed by it."""


def simulate(
    policy: Policy | Planner,
    scenario: Scenario,
    params: Any,
    *,
    initial_state: StockState | None = None,
    warm_up: int = 0,
    view: HistoryView = NO_HISTORY,
) -> Trajectory:
    """Simulate a policy on a scenario.

    Args:
        policy: turns observations into orders; a planner gets the whole scenario.
        scenario: demand (paths, periods, items or locations), forecasts, arrivals, prices, capacity.
        params: lead times, costs and order rules of the items; a `Network`; or an object of your own with `step`.
        initial_state: what the first period begins with; None = the policy's own target (`starting_state`).
        warm_up: periods at the start that are simulated but left out of the result.
        view: what observations hold of the past.

    Returns:
        Everything that happened, arrays (paths, periods − warm_up, items); in a network orders are by link.

    Raises:
        FractileError: where warm_up leaves no period, a system of your own lacks what the policy or the simulation
            reads of it, or an order cannot be placed: see `roll`.
    """
    kept: dict[str, FloatArray] = {}
    params, outcomes = _outcomes(policy, scenario, params, initial_state, warm_up, view)
    for period, outcome in enumerate(outcomes):
        for name, values in zip(outcome._fields, outcome, strict=True):
            if not period:
                kept[name] = np.empty((len(values), scenario.periods - warm_up, *values.shape[1:]))
            kept[name][:, period] = values
    common = {name: kept.pop(name) for name in PeriodOutcome._fields}
    demand = np.asarray(scenario.demand)[:, warm_up:]
    return Trajectory(**common, demand=demand, params=params, extra=kept)


def simulate_cost(
    policy: Policy | Planner,
    scenario: Scenario,
    params: Any,
    *,
    initial_state: StockState | None = None,
    warm_up: int = 0,
) -> FloatArray:
    """Return what a policy costs on a scenario: `simulate(...).cost`, without the memory that all else takes.

    Args:
        policy: see `simulate`, as for all arguments.
        scenario: with any number of paths.
        params: of the system.
        initial_state: what the first period begins with.
        warm_up: periods at the start that are simulated but left out.

    Returns:
        money, shape (paths, periods − warm_up, items).

    Raises:
        FractileError: as `simulate` does.
    """
    _, outcomes = _outcomes(policy, scenario, params, initial_state, warm_up, NO_HISTORY)
    cost = np.empty((scenario.paths, scenario.periods - warm_up, scenario.items))
    for period, outcome in enumerate(outcomes):
        cost[:, period] = outcome.cost
    return cost


def _outcomes(
    policy: Policy | Planner,
    scenario: Scenario,
    params: Any,
    initial_state: StockState | None,
    warm_up: int,
    view: HistoryView,
) -> tuple[Any, Iterator[Any]]:
    """Return what costs are charged with, and the outcomes of the periods after the warm-up: see `simulate`."""
    if not all(scenario.demand.shape):
        raise FractileError(f"demand must have a path, a period and an item at least, got {scenario.demand.shape}")
    if not 0 <= warm_up < scenario.periods:
        raise FractileError(f"warm_up must be from 0 to {scenario.periods - 1}, got {warm_up}")
    check_attributes(params, SIMULATED, "a simulation")
    columns = system_of(params).columns(scenario.items)
    if scenario.items != columns:
        raise FractileError(
            f"the network has {columns} locations, the scenario demand for {scenario.items}; "
            "spread demand over all locations with network.place(demand)"
        )
    reader = type(policy).__name__
    scenario = prepare_scenario(policy, scenario, params)
    with naming_what_lacks(params, reader):
        state = starting_state(policy, scenario, params) if initial_state is None else initial_state
    slots = _slots(scenario, params)
    if len(state.pipeline) < slots or (scenario.arrivals is not None and len(state.pipeline) != slots):
        raise FractileError(
            f"initial_state needs a pipeline of {slots} slots for what may be under way, got {len(state.pipeline)}"
        )
    if isinstance(policy, Planner):
        orders = policy.plan(scenario, params, state)  # type: ignore[arg-type]  # planners check the system
        plan = _Planned(orders, type(policy).__name__)
        params = policy.relaxed(params)
        policy = plan

    def rolled(policy: Policy) -> Iterator[Any]:
        with naming_what_lacks(params, reader):
            for _, outcome in islice(roll(policy, scenario, params, state, view), warm_up, None):
                yield outcome

    return params, rolled(policy)


def state_after(
    policy: Policy, scenario: Scenario, params: Any, periods: int, *, initial_state: StockState | None = None
) -> StockState:
    """Return what a policy leaves after the first periods of a scenario: what the next one begins with.

    Args:
        policy: turns observations into orders; no planner.
        scenario: see `simulate`.
        params: likewise.
        periods: how many the policy orders in, at most the scenario's; 0 returns what the first period begins with.
        initial_state: what the first period begins with; None = the policy's own target.

    >>> from fractile.policies.base_stock import BaseStock
    >>> params = ItemParams(lead_time=1, stockout_cost=4.0)
    >>> scenario = Scenario(np.full((1, 3, 1), 5.0))
    >>> state = state_after(BaseStock(12.0), scenario, params, 2)
    >>> state.net_inventory.item(), state.pipeline.item()
    (2.0, 5.0)
    """
    scenario = prepare_scenario(policy, scenario, params)
    state = starting_state(policy, scenario, params) if initial_state is None else initial_state
    for after, _ in islice(roll(policy, scenario, params, state), periods):
        state = after
    return state


def prepare_scenario(policy: Any, scenario: Scenario, params: Any) -> Scenario:
    """Return the scenario with all that a policy reads of its forecasts, computed once.

    A policy that orders by demand over the protection interval says so with an attribute `reads_protection_total`
    (True) and calls `obs.protection_total()`; for every other one nothing is computed. `compare` prepares a scenario
    for all of its policies; policies that are simulated on it one by one then find it prepared.
    """
    reads = getattr(policy, "reads_protection_total", False) or scenario.protection_totals is not None
    if reads and hasattr(params, "protection_interval"):  # in a network each link has a lead time of its own
        scenario = with_protection_totals(scenario, params)
    if not isinstance(policy, PreparingPolicy):
        return scenario
    with naming_what_lacks(params, type(policy).__name__):
        return policy.prepare(scenario, params)


def roll(
    policy: Policy, scenario: Scenario, params: Any, state: StockState, view: HistoryView = NO_HISTORY
) -> Iterator[tuple[StockState, Any]]:
    """Yield the state after each period and what the period did; in torch, gradients flow through it.

    Raises:
        FractileError: where an order in numpy has another shape than (paths, items or links), is negative, infinite or
            not a number.
    """
    history = view.begin(state.net_inventory)
    shape = (scenario.paths, system_of(params).orders(scenario.items))
    for period in range(scenario.periods):
        obs = observation(state, period, params, scenario, history)
        order = policy.order(obs)
        if not (isinstance(order, np.ndarray) and order.shape == shape and are_quantities(order)):
            _check_order(policy, order, shape, obs)
        state, outcome = advance(state, order, scenario, period, params)
        if np.any(params.salvage_value) and period == scenario.periods - 1:
            outcome = outcome._replace(cost=outcome.cost - params.salvage_value * outcome.on_hand)
        history = view.after(history, scenario.demand[:, period], outcome.sales)
        yield state, outcome


def _check_order(policy: Policy, order: Any, shape: tuple[int, int], obs: Observation) -> None:
    """Refuse an order that cannot be placed; orders in torch are left to whoever trains with them."""
    if is_torch(order):
        return
    name = getattr(policy, "planner", type(policy).__name__)
    if not isinstance(order, np.ndarray) or order.shape != shape:
        got = order.shape if isinstance(order, np.ndarray) else f"a {type(order).__name__}"
        raise FractileError(
            f"{name} must return orders of shape (paths, items or links) = {shape}, got {got} in period {obs.period}; "
            "return an order for every path and item"
        )
    if not are_quantities(order):
        path, item = first_fault(order)
        ids = () if obs.forecast is None else obs.forecast.item_ids
        known = f" ({ids[item]})" if len(ids) == shape[1] else ""
        raise FractileError(
            f"{name} must order a finite number >= 0, got {order[path, item]:g} for item {item}{known} on path {path} "
            f"in period {obs.period}; look for 0 / 0, and take max(order, 0): stock cannot be sent back, and no order "
            f"is larger than {MOST:g}"
        )


def starting_state(policy: Any, scenario: Scenario, params: Any) -> StockState:
    """Return the state that a simulation starts from where none is given: the policy's own target.

    The pipeline holds mean demand, stock on hand the rest of the policy's order-up-to level; policies without one
    start from the newsvendor's, a planner from what the first L periods will need. Without forecasts a policy with
    a fixed level starts with all of it on hand, any other with nothing. A network starts with a policy's target on
    hand at each location, or with nothing.
    """
    slots = _slots(scenario, params)
    system = system_of(params)
    empty = system.empty_state(scenario.paths, scenario.items, slots)
    if isinstance(policy, Planner):
        needed = np.moveaxis(np.asarray(scenario.demand), 1, 0)[:slots]
        due = np.arange(len(needed))[:, None, None] < np.asarray(params.lead_time)
        pipeline = np.concatenate([np.where(due, needed, 0.0), empty.pipeline[len(needed) :]])
        return empty._replace(pipeline=pipeline)
    obs = observation(empty, 0, params, scenario)
    target = policy.target(obs) if isinstance(policy, OrderUpToPolicy) else None
    shape = empty.net_inventory.shape
    if obs.forecast is None or system.orders(shape[1]) != shape[1] or not hasattr(params, "critical_ratio"):
        level = np.zeros((1, 1)) if target is None else target
        return system.fresh_state(np.broadcast_to(level, shape).astype(np.float64), empty.pipeline)
    start = target_state(obs.forecast, params, scenario.paths, slots, target)
    return system.fresh_state(start.net_inventory, start.pipeline)


def _slots(scenario: Scenario, params: Any) -> int:
    return int(params.slots) if scenario.arrivals is None else len(scenario.arrivals) - 1


class _Planned:
    """Plays orders that were made beforehand."""

    def __init__(self, orders: Array, planner: str) -> None:
        self.orders, self.planner = orders, planner

    def order(self, obs: Observation) -> Array:
        """Return the planned order of this period."""
        return self.orders[:, obs.period]


@dataclass(frozen=True, eq=False)
class StreamTotals:
    """Costs and units of a policy, item by item: sums over paths and periods, without the warm-up.

    Attributes:
        cost: money, shape (items,).
        holding: likewise.
        stockout: likewise.
        demand: units, shape (items,).
        sales: units met from stock at once, shape (items,).
        paths: demand paths of each item.
        periods: periods that count.
    """

    cost: FloatArray
    holding: FloatArray
    stockout: FloatArray
    demand: FloatArray
    sales: FloatArray
    paths: int
    periods: int

    @property
    def mean_cost(self) -> float:
        """Cost per period and item, money."""
        return float(self.cost.mean() / (self.paths * self.periods))

    @property
    def fill_rate(self) -> float:
        """Share of demanded units met from stock at once."""
        return float(self.sales.sum() / self.demand.sum()) if self.demand.any() else 1.0


def stream(
    policy: Policy,
    model: Any,
    params: ItemParams,
    *,
    seed: int,
    paths: int,
    periods: int,
    warm_up: int = 0,
    forecasts: bool = False,
    progress: Progress = no_progress,
) -> StreamTotals:
    """Simulate a policy on any number of items, in the memory that a few thousand need.

    Args:
        policy: turns observations into orders; parameters of shape (items,) go with their items.
        model: demand that is independent over items, with `select`, e.g. `Poisson(mean)`.
        params: lead times, costs and order rules, scalars or (items,).
        seed: of the demand, keyed by blocks of `ITEM_BLOCK` items and by positions within them: items, paths and
            periods that are added change nothing of what is drawn without them.
        paths: demand paths of each item.
        periods: periods in all.
        warm_up: periods at the start that do not count.
        forecasts: put the true distribution into observations as the forecast; off, they hold stock and pipeline alone.
        progress: called after every block of items.

    Returns:
        Sums for every item.

    Raises:
        FractileError: where demand cannot be cut into blocks of items.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.policies.base_stock import BaseStock
    >>> params = ItemParams(lead_time=2, stockout_cost=4.0)
    >>> totals = stream(BaseStock(16), Poisson(np.full(10_000, 5.0)), params, seed=1, paths=2, periods=30, warm_up=10)
    >>> 4.6 < totals.mean_cost < 4.7
    True
    """
    if not hasattr(model, "select"):
        raise FractileError(
            f"{type(model).__name__} demand cannot be streamed: it has no select(items), so its items cannot be cut "
            "into blocks; use fr.simulate"
        )
    if params.capacity is not None:
        raise FractileError("items that share a capacity are simulated together: use fr.simulate")
    if not 0 <= warm_up < periods:
        raise FractileError(f"warm_up must be from 0 to {periods - 1}, got {warm_up}")
    parts = []
    for first in range(0, model.items, ITEM_BLOCK):
        chosen = np.arange(first, min(first + ITEM_BLOCK, model.items))
        rng = keyed_generator(seed, "stream", first // ITEM_BLOCK)
        some = model.select(chosen)
        truth = [some.forecast(int(np.max(params.protection_interval)))] * periods if forecasts else None
        scenario = Scenario(some.sample(rng, paths, periods), forecasts=truth)
        of_items, item_params = policy_of_items(policy, chosen, model.items), params.select(chosen)
        # Cost, holding, stock-out, demand and sales of each item.
        totals = np.zeros((5, scenario.items))
        rolled = roll(of_items, scenario, item_params, starting_state(of_items, scenario, item_params))
        for period, (_, out) in islice(enumerate(rolled), warm_up, None):
            held, short = item_params.holding_cost * out.on_hand, item_params.stockout_cost * out.shortfall
            totals += [x.sum(0) for x in (out.cost, held, short, scenario.demand[:, period], out.sales)]
        parts.append(totals)
        done = int(chosen[-1]) + 1
        progress(f"{done} of {model.items} items", done / model.items)
    cost, holding, stockout, demand, sales = np.concatenate(parts, axis=1)
    return StreamTotals(cost, holding, stockout, demand, sales, paths, periods - warm_up)


def policy_of_items(policy: Policy, chosen: IntArray, items: int) -> Policy:
    """Return the policy of some items: parameters with a number for each item are cut, those of its parts, too.

    Args:
        policy: of all items.
        chosen: positions of the items that are kept.
        items: number of all items.
    """
    whole: Any = policy
    if hasattr(whole, "select"):
        selected: Policy = whole.select(chosen)
        return selected
    if not is_dataclass(whole):
        return policy
    values = {f.name: getattr(whole, f.name) for f in fields(whole) if f.init}
    cut: dict[str, Any] = {k: v[chosen] for k, v in values.items() if isinstance(v, np.ndarray) and v.shape == (items,)}
    cut |= {k: policy_of_items(v, chosen, items) for k, v in values.items() if hasattr(v, "order")}
    return replace(whole, **cut) if cut else policy  # type: ignore[type-var, return-value]
