"""One period of a scenario, whatever the system: what is known before the order, and what the order leads to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from ...arrays import Array
from ..systems.capacity import CapacitySystem
from ..systems.perishable import PerishableState, PerishableSystem
from .backend import like
from .params import ItemParams
from .system import ItemSystem, OwnSystem, System
from .types import InventoryState, Observation, Scenario

SystemParams: TypeAlias = ItemParams | System
"""What describes a system: the parameters of items, or a system in one object, as a `Network` is."""

StockState: TypeAlias = InventoryState | PerishableState
"""What a period begins with, before the order, in the systems of this package."""


def system_of(params: SystemParams | Any) -> System:
    """Return the system that parameters stand for.

    Items whose stock perishes, items that share a capacity, or any other items; a system in one object is itself; an
    object of a user's own that has a `step` is taken for items whose physics it is.

    >>> type(system_of(ItemParams(shelf_life=3))).__name__
    'PerishableSystem'
    """
    if isinstance(params, ItemParams):
        if params.shelf_life is not None:
            return PerishableSystem(params)
        return ItemSystem(params) if params.capacity is None else CapacitySystem(params)
    return params if isinstance(params, System) else OwnSystem(params)


def observation(
    state: StockState, period: int, params: Any, scenario: Scenario, history: Array | None = None
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
        order: units requested, shape (paths, items or links).
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
    state, outcome = system_of(params).step(state, order, scenario.demand[:, period], arrivals)
    if scenario.prices is not None:
        unmet = scenario.demand[:, period] - outcome.sales
        accepted = outcome.sales + (1.0 - like(params.lost_share, outcome.sales)) * unmet
        revenue = (scenario.prices[:, period] - like(params.price, outcome.sales)) * accepted
        outcome = outcome._replace(cost=outcome.cost - revenue)
    return state, outcome
