"""The physics of items that share a capacity: orders that do not fit are cut first, then every item moves by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ..core.backend import (
    floor,
    indicator,
    like,
    straight_through,
)
from ..core.dynamics import feasible_order, step
from ..core.types import InventoryState, ItemParams
from .capacity import project_orders


class CapacityOutcome(NamedTuple):
    """What one period did: a `PeriodOutcome`, and what a further unit of capacity would have been worth.

    Attributes:
        order: the order that was placed, shape (paths, items). [q]
        received: units that arrived.
        sales: demand met from stock at once.
        shortfall: units short at the period's end: lost, or outstanding as backorders.
        on_hand: units in stock at the period's end.
        cost: holding + stock-out + ordering + purchase − revenue.
        capacity_price: money per unit of capacity, shape (paths, 1): the multiplier of the limit. [λ]
    """

    order: Array
    received: Array
    sales: Array
    shortfall: Array
    on_hand: Array
    cost: Array
    capacity_price: Array


def shared_capacity_step(
    state: InventoryState,
    order: Array,
    demand: Array,
    params: ItemParams,
    arrivals: Array | None = None,
) -> tuple[InventoryState, CapacityOutcome]:
    """Advance one period.

    Orders are first made feasible one by one; where they do not fit together they are cut as `project_orders` says,
    and then rounded down to packs, or to zero below the minimum order. The rest is `dynamics.step`.

    Args:
        state: what the period begins with.
        order: units asked for, shape (paths, items).
        demand: units, shape (paths, items). [D]
        params: costs, lead times, order rules and the capacity.
        arrivals: see `dynamics.step`.

    Returns:
        The state that the next period begins with, and what this one did.
    """
    assert params.capacity is not None
    asked = feasible_order(order, params)
    position = state.net_inventory + state.pipeline.sum(0) if len(state.pipeline) else state.net_inventory
    placed, price = project_orders(asked, position, params.capacity)
    state, outcome = step(state, _rounded(placed, params), demand, params, arrivals)
    return state, CapacityOutcome(*outcome, price)


def _rounded(order: Array, params: ItemParams) -> Array:
    """Round down to what the rules allow, so that orders still fit; gradients pass straight through."""
    rounded = order
    if params.pack_size is not None:
        pack = like(np.asarray(params.pack_size), order)
        rounded = floor(order / pack + 1e-9) * pack
    if params.minimum_order is not None:
        rounded = rounded * indicator(rounded >= like(np.asarray(params.minimum_order), order), order)
    return straight_through(rounded, order)
