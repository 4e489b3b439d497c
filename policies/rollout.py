"""A policy meets a scenario, period by period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..envs.backend import Array
from ..envs.batch import target_state
from ..envs.dynamics import advance
from ..envs.types import InventoryState, ItemParams, Observation, PeriodOutcome, Scenario, Trajectory
from ..errors import FractileError
from .base import OrderUpToPolicy, Planner, Policy


def simulate(
    policy: Policy | Planner,
    scenario: Scenario,
    params: ItemParams,
    *,
    initial_state: InventoryState | None = None,
    warm_up: int = 0,
) -> Trajectory:
    """Let a policy meet a scenario.

    Args:
        policy: turns observations into orders; a planner is shown the whole scenario.
        scenario: demand (paths, periods, items), forecasts, arrivals, prices.
        params: lead times, costs and order rules of the items.
        initial_state: what the first period begins with; None = the policy's own target (`starting_state`).
        warm_up: periods at the start that are simulated but left out of the result.

    Returns:
        Everything that happened, arrays (paths, periods − warm_up, items).

    Raises:
        FractileError: where warm_up leaves no period.
    """
    if not 0 <= warm_up < scenario.periods:
        raise FractileError(f"warm_up must be from 0 to {scenario.periods - 1}, got {warm_up}")
    state = starting_state(policy, scenario, params) if initial_state is None else initial_state
    slots = _slots(scenario, params)
    if len(state.pipeline) < slots or (scenario.arrivals is not None and len(state.pipeline) != slots):
        raise FractileError(
            f"initial_state needs a pipeline of {slots} slots for what may be under way, got {len(state.pipeline)}"
        )
    if isinstance(policy, Planner):
        plan = _Planned(policy.plan(scenario, params, state))
        params = policy.relaxed(params)
        policy = plan
    outcomes = [outcome for _, outcome in roll(policy, scenario, params, state)][warm_up:]
    arrays = {name: np.stack([getattr(o, name) for o in outcomes], axis=1) for name in PeriodOutcome._fields}
    return Trajectory(**arrays, demand=np.asarray(scenario.demand)[:, warm_up:], params=params)


def roll(
    policy: Policy, scenario: Scenario, params: ItemParams, state: InventoryState
) -> Iterator[tuple[InventoryState, PeriodOutcome]]:
    """Yield the state after each period and what the period did; in torch, gradients flow through it."""
    for period in range(scenario.periods):
        obs = Observation(period, state.net_inventory, state.pipeline, params, scenario.forecast(period))
        state, outcome = advance(state, policy.order(obs), scenario, period, params)
        if np.any(params.salvage_value) and period == scenario.periods - 1:
            outcome = outcome._replace(cost=outcome.cost - params.salvage_value * outcome.on_hand)
        yield state, outcome


def starting_state(policy: Any, scenario: Scenario, params: ItemParams) -> InventoryState:
    """Return the state that a simulation starts from where none is given: the policy's own target.

    The pipeline holds mean demand, stock on hand the rest of the policy's order-up-to level; policies without one
    start from the newsvendor's, a planner from what the first L periods will need. Without forecasts a policy with
    a fixed level starts with all of it on hand, any other with nothing.
    """
    slots = _slots(scenario, params)
    empty = InventoryState.empty(scenario.paths, scenario.items, slots)
    if isinstance(policy, Planner):
        needed = np.moveaxis(np.asarray(scenario.demand), 1, 0)[:slots]
        due = np.arange(len(needed))[:, None, None] < np.asarray(params.lead_time)
        pipeline = np.concatenate([np.where(due, needed, 0.0), empty.pipeline[len(needed) :]])
        return empty._replace(pipeline=pipeline)
    obs = Observation(0, empty.net_inventory, empty.pipeline, params, scenario.forecast(0))
    target = policy.target(obs) if isinstance(policy, OrderUpToPolicy) else None
    if obs.forecast is None:
        level = np.zeros((1, 1)) if target is None else target
        return empty._replace(net_inventory=np.broadcast_to(level, empty.net_inventory.shape).astype(np.float64))
    return target_state(obs.forecast, params, scenario.paths, slots, target)


def _slots(scenario: Scenario, params: ItemParams) -> int:
    return params.slots if scenario.arrivals is None else len(scenario.arrivals) - 1


class _Planned:
    """Plays orders that were made beforehand."""

    def __init__(self, orders: Array) -> None:
        self.orders = orders

    def order(self, obs: Observation) -> Array:
        """Return the planned order of this period."""
        return self.orders[:, obs.period]
