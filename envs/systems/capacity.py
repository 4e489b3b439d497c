"""Items that share a capacity: orders that do not fit are cut first, then every item moves by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ..core.backend import (
    cumulative,
    floor,
    indicator,
    largest,
    like,
    positive_part,
    sort_descending,
    straight_through,
)
from ..core.dynamics import feasible_order, step
from ..core.params import ItemParams, SharedCapacity
from ..core.system import ItemSystem
from ..core.types import InventoryState

__all__ = ["CapacityOutcome", "CapacitySystem", "SharedCapacity", "project_orders", "shared_capacity_step"]


@dataclass(frozen=True, eq=False)
class CapacitySystem(ItemSystem):
    """Items that share a capacity."""

    def step(self, state: Any, order: Array, demand: Array, arrivals: Array | None = None) -> tuple[Any, Any]:
        """Advance one period: see `shared_capacity_step`."""
        return shared_capacity_step(state, order, demand, self.params, arrivals)


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
        order: units requested, shape (paths, items).
        demand: units, shape (paths, items). [D]
        params: costs, lead times, order rules and the capacity.
        arrivals: see `dynamics.step`.

    Returns:
        The state that the next period begins with, and what this one did.
    """
    assert params.capacity is not None
    asked = feasible_order(order, params)
    position = state.net_inventory + state.pipeline.sum(0) if len(state.pipeline) else state.net_inventory
    fitted, price = project_orders(asked, position, params.capacity)
    # Rounding goes down, so that orders still fit; gradients pass straight through it.
    rounded = fitted
    if params.pack_size is not None:
        pack = like(np.asarray(params.pack_size), order)
        rounded = floor(fitted / pack + 1e-9) * pack
    if params.minimum_order is not None:
        rounded = rounded * indicator(rounded >= like(np.asarray(params.minimum_order), order), order)
    state, outcome = step(state, straight_through(rounded, fitted), demand, params, arrivals)
    return state, CapacityOutcome(*outcome, price)


def project_orders(order: Array, position: Array, capacity: SharedCapacity) -> tuple[Array, Array]:
    """Return the nearest orders that fit, and the capacity's price.

    They solve `min Σ κᵢ/2 (qᵢ − q̂ᵢ)²` subject to `Σ aᵢ qᵢ ≤ C` and `q ≥ 0`: with the multiplier λ,
    `qᵢ = max(q̂ᵢ − λ aᵢ/κᵢ, 0)`. Sorted by `q̂ᵢ κᵢ/aᵢ`, the price at which an item would order nothing, λ is the
    largest of `(Σ_{i≤k} aᵢ q̂ᵢ − C) / Σ_{i≤k} aᵢ²/κᵢ` over k, and zero where the orders fit as they are.

    Args:
        order: units requested, shape (paths, items), >= 0. [q̂]
        position: units on hand and under way, shape (paths, items).
        capacity: what the items share.

    Returns:
        orders, shape (paths, items), and the multiplier, money per unit of capacity, shape (paths, 1). [λ]

    >>> orders, price = project_orders(np.array([[4.0, 2.0]]), np.zeros((1, 2)), SharedCapacity(4.0))
    >>> orders.tolist(), price.item()
    ([[3.0, 1.0]], 1.0)
    """
    each = (np.asarray(x, dtype=np.float64) for x in (capacity.use, capacity.curvature))
    use, curvature = (like(np.broadcast_to(x, (1, order.shape[-1])).copy(), order) for x in each)
    needed, cut = use * order, use * use / curvature
    price_of_none = order * curvature / use
    needed, cut = sort_descending(price_of_none, [needed + 0.0 * price_of_none, cut + 0.0 * price_of_none])
    excess = cumulative(needed) - capacity.left(position)
    price = positive_part(largest(excess / cumulative(cut)))
    return positive_part(order - price * use / curvature), price
