"""Simulate a policy on a scenario, period by period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.period import StockState, advance, observation, system_of
from ..envs.core.types import (
    HistoryView,
    Observation,
    PeriodOutcome,
    Scenario,
    Trajectory,
    with_protection_totals,
)
from ..envs.gym.batch import target_state
from ..errors import FractileError
from .base import OrderUpToPolicy, Planner, Policy

NO_HISTORY = HistoryView()
"""No past in the observation: stock, pipeline and forecast say it all."""


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
        policy: turns observations into orders; a planner is shown the whole scenario.
        scenario: demand (paths, periods, items or locations), forecasts, arrivals, prices, capacity.
        params: lead times, costs and order rules of the items; a `Network`; or an object of your own with `step`.
        initial_state: what the first period begins with; None = the policy's own target (`starting_state`).
        warm_up: periods at the start that are simulated but left out of the result.
        view: what the policy is shown of the past.

    Returns:
        Everything that happened, arrays (paths, periods − warm_up, items); in a network orders are by link.

    Raises:
        FractileError: where warm_up leaves no period.
    """
    if not 0 <= warm_up < scenario.periods:
        raise FractileError(f"warm_up must be from 0 to {scenario.periods - 1}, got {warm_up}")
    columns = system_of(params).columns(scenario.items)
    if scenario.items != columns:
        raise FractileError(
            f"the network has {columns} locations, the scenario demand for {scenario.items}; "
            "spread demand over all locations with network.place(demand)"
        )
    scenario = prepare_scenario(policy, scenario, params)
    state = starting_state(policy, scenario, params) if initial_state is None else initial_state
    slots = _slots(scenario, params)
    if len(state.pipeline) < slots or (scenario.arrivals is not None and len(state.pipeline) != slots):
        raise FractileError(
            f"initial_state needs a pipeline of {slots} slots for what may be under way, got {len(state.pipeline)}"
        )
    if isinstance(policy, Planner):
        plan = _Planned(policy.plan(scenario, params, state))  # type: ignore[arg-type]  # planners check the system
        params = policy.relaxed(params)
        policy = plan
    outcomes = [outcome for _, outcome in roll(policy, scenario, params, state, view)][warm_up:]
    arrays = {name: np.stack([getattr(o, name) for o in outcomes], axis=1) for name in outcomes[0]._fields}
    common = {name: arrays.pop(name) for name in PeriodOutcome._fields}
    demand = np.asarray(scenario.demand)[:, warm_up:]
    return Trajectory(**common, demand=demand, params=params, extra=arrays)


def prepare_scenario(policy: Any, scenario: Scenario, params: Any) -> Scenario:
    """Return the scenario with all that a policy reads of its forecasts, computed once.

    A policy that orders by demand over the protection interval says so with an attribute `reads_protection_total`
    (True) and calls `obs.protection_total()`; for every other one nothing is computed. `compare` prepares a scenario
    for all of its policies; policies that are simulated on it one by one then find it prepared.
    """
    if getattr(policy, "reads_protection_total", False) or scenario.protection_totals is not None:
        return with_protection_totals(scenario, params)
    return scenario


def roll(
    policy: Policy, scenario: Scenario, params: Any, state: StockState, view: HistoryView = NO_HISTORY
) -> Iterator[tuple[StockState, Any]]:
    """Yield the state after each period and what the period did; in torch, gradients flow through it."""
    history = view.begin(state.net_inventory)
    for period in range(scenario.periods):
        obs = observation(state, period, params, scenario, history)
        state, outcome = advance(state, policy.order(obs), scenario, period, params)
        if np.any(params.salvage_value) and period == scenario.periods - 1:
            outcome = outcome._replace(cost=outcome.cost - params.salvage_value * outcome.on_hand)
        history = view.after(history, scenario.demand[:, period], outcome.sales)
        yield state, outcome


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

    def __init__(self, orders: Array) -> None:
        self.orders = orders

    def order(self, obs: Observation) -> Array:
        """Return the planned order of this period."""
        return self.orders[:, obs.period]
