"""Which physics belongs to which parameters, and one period of a scenario, whatever the system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from ...arrays import Array
from ..networks.dynamics import network_step
from ..networks.network import Network
from ..systems.perishable import PerishableState, perishable_step
from ..systems.shared_capacity import shared_capacity_step
from .backend import (
    like,
)
from .dynamics import step
from .params import ItemParams
from .types import InventoryState, Observation, Scenario

SystemParams: TypeAlias = ItemParams | Network
"""What describes a system: the parameters of items, or a network."""

State: TypeAlias = InventoryState | PerishableState
Step: TypeAlias = Callable[..., tuple[Any, Any]]
"""`(state, order, demand, params, arrivals) -> (state, outcome)`."""


def step_of(params: Any) -> Step:
    """Return the physics that parameters stand for.

    Items whose stock perishes, items that share a capacity, any other items, networks; and an object of a user's own
    that brings its physics along as an attribute `step`.
    """
    if isinstance(params, ItemParams):
        if params.shelf_life is not None:
            return perishable_step
        return step if params.capacity is None else shared_capacity_step
    return network_step if isinstance(params, Network) else params.step


def columns_of(params: Any, items: int) -> tuple[int, int]:
    """Return the columns of stock and of orders: items and items, or locations and links."""
    return (params.locations, len(params.links)) if isinstance(params, Network) else (items, items)


def empty_state(params: Any, paths: int, items: int, slots: int | None = None) -> State:
    """Return nothing on hand and nothing under way.

    Args:
        params: of the system.
        paths: number of paths.
        items: number of items, or of locations.
        slots: pipeline slots; the longest lead time's where None.
    """
    slots = params.slots if slots is None else slots
    if hasattr(params, "empty_state"):
        return params.empty_state(paths, items)
    if isinstance(params, ItemParams) and params.shelf_life is not None:
        return PerishableState.empty(paths, items, slots, params.ages)
    return InventoryState.empty(paths, items, slots)


def state_of(params: Any, net_inventory: Array, pipeline: Array) -> State:
    """Return the state with this net inventory and pipeline; stock that ages is fresh."""
    if not isinstance(params, ItemParams) or params.shelf_life is None:
        return InventoryState(net_inventory, pipeline)
    slot = np.broadcast_to(np.minimum(params.shelf_life, params.ages) - 1, net_inventory.shape)
    fresh = np.arange(params.ages)[:, None, None] == slot
    on_hand = np.maximum(net_inventory, 0.0)
    return PerishableState(np.where(fresh, on_hand, 0.0), pipeline, on_hand - net_inventory)


def observation(
    state: State, period: int, params: Any, scenario: Scenario, history: Array | None = None
) -> Observation:
    """Return what is known before the order of a period: see `Observation`."""
    stock = state.stock if isinstance(state, PerishableState) else None
    totals, features = scenario.protection_totals, scenario.features
    return Observation(
        period,
        state.net_inventory,
        state.pipeline,
        params,
        scenario.forecast(period),
        stock,
        history,
        None if totals is None else totals.totals[period],
        None if features is None else features.at(period),
    )


def advance(state: Any, order: Array, scenario: Scenario, period: int, params: Any) -> tuple[Any, Any]:
    """Advance one period of a scenario: the system's `step`, with orders placed in review periods only.

    Args:
        state: what the period begins with.
        order: units asked for, shape (paths, items or links).
        scenario: demand, arrivals, prices and capacity.
        period: t, counted from 0.
        params: of the system.
    """
    if not params.every_period:
        order = order * like(np.asarray(period % np.asarray(params.review_period) == 0, dtype=np.float64), order)
    if scenario.capacity is not None:
        limit = scenario.capacity[:, period, None]
        params = replace(params, capacity=replace(params.capacity, limit=limit))
    arrivals = None if scenario.arrivals is None else scenario.arrivals[:, :, period]
    state, outcome = step_of(params)(state, order, scenario.demand[:, period], params, arrivals)
    if scenario.prices is not None:
        unmet = scenario.demand[:, period] - outcome.sales
        accepted = outcome.sales + (1.0 - like(params.lost_share, outcome.sales)) * unmet
        revenue = (scenario.prices[:, period] - like(params.price, outcome.sales)) * accepted
        outcome = outcome._replace(cost=outcome.cost - revenue)
    return state, outcome
