"""The physics of one stock-keeping location: one pure function, the same source for numpy and torch.

The period (DESIGN: the one timeline). In period t

1. the policy observes net inventory and pipeline;
2. it orders; the nearest feasible order is placed;
3. what is due arrives: the order placed L periods ago (L = 0: this one);
4. demand occurs; what stock cannot meet is lost, backordered, or a share of each;
5. costs are charged on the period's end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from .backend import (
    concatenate,
    floor,
    indicator,
    is_torch,
    like,
    minimum,
    move_up,
    positive_part,
    straight_through,
    where,
    zeros,
)
from .types import InventoryState, ItemParams, PeriodOutcome


def step(
    state: InventoryState,
    order: Array,
    demand: Array,
    params: ItemParams,
    arrivals: Array | None = None,
) -> tuple[InventoryState, PeriodOutcome]:
    """Advance one period.

    With `gap = net_inventory + received − demand`, stock on hand is `max(gap, 0)` and the shortfall is
    `max(−gap, 0)`. Of the unmet demand of this period, `min(shortfall, demand)`, the lost share leaves; the rest
    stays outstanding. Cost is `h·on_hand + b·shortfall + K·1[q > 0] + c·q − p·(demand − lost)`.

    Args:
        state: what the period begins with.
        order: units requested, shape (paths, items); the nearest feasible order is placed. [q]
        demand: units, shape (paths, items). [D]
        params: costs, lead times and order rules.
        arrivals: share of this order that arrives k periods later, shape (slots + 1, paths or 1, items); the
            constant lead times of `params` where None.

    Returns:
        The state that the next period begins with, and what this one did.

    >>> import numpy as np
    >>> state = InventoryState(np.array([[3.0]]), np.array([[[2.0]]]))
    >>> state, outcome = step(state, np.array([[4.0]]), np.array([[6.0]]), ItemParams(lead_time=1))
    >>> outcome.sales.item(), outcome.shortfall.item(), outcome.cost.item(), state.pipeline.item()
    (5.0, 1.0, 9.0, 4.0)
    """
    order = feasible_order(order, params)
    received, pipeline = deliver(state.pipeline, order, params, arrivals)
    after = meet_demand(state.net_inventory + received, demand, params)
    cost = stock_cost(after.on_hand, after.shortfall, demand, after.lost, params)
    if any(params.order_charges):
        cost = cost + order_cost(order, params)
    outcome = PeriodOutcome(order, received, after.sales, after.shortfall, after.on_hand, cost)
    return InventoryState(after.net_inventory, pipeline), outcome


class StockAfterDemand(NamedTuple):
    """Stock after a period's demand, each in units and of shape (paths, items)."""

    net_inventory: Array
    sales: Array
    shortfall: Array
    on_hand: Array
    lost: Array


def meet_demand(available: Array, demand: Array, params: ItemParams) -> StockAfterDemand:
    """Meet demand from stock; what stock cannot meet is lost, waits, or a share of each.

    Args:
        available: net inventory with what has arrived, units, shape (paths, items).
        demand: units, shape (paths, items). [D]
        params: the share that is lost.
    """
    gap = available - demand
    on_hand = positive_part(gap)
    shortfall = on_hand - gap
    unmet = minimum(shortfall, demand)
    share = params.lost_share
    # All is lost, or all waits: no products in the usual case.
    if isinstance(share, float) and share in (0.0, 1.0):
        net_inventory, lost = (on_hand, unmet) if share else (gap, 0.0 * unmet)
    else:
        lost = like(share, gap) * unmet
        net_inventory = gap + lost
    return StockAfterDemand(net_inventory, demand - unmet, shortfall, on_hand, lost)


def deliver(pipeline: Array, order: Array, params: ItemParams, arrivals: Array | None = None) -> tuple[Array, Array]:
    """Return what arrives now, shape (paths, items), and the pipeline of the next period.

    Args:
        pipeline: units under way, shape (slots, paths, items).
        order: units placed, shape (paths, items).
        params: lead times, where arrivals are not given.
        arrivals: see `step`.
    """
    shares = params.arrivals_into(len(pipeline)) if arrivals is None else arrivals
    if shares is not None:
        due = concatenate([pipeline, zeros((1, *order.shape), order)]) + like(shares, order) * order[None]
        return due[0], due[1:]
    if not len(pipeline):
        return order, pipeline
    return pipeline[0], move_up(pipeline, order)


def stock_cost(on_hand: Array, shortfall: Array, demand: Array, lost: Array, params: ItemParams) -> Array:
    """Return `h·on_hand + b·shortfall − p·(demand − lost)`, money, shape (paths, items)."""
    cost = like(params.holding_cost, on_hand) * on_hand + like(params.stockout_cost, on_hand) * shortfall
    return cost - like(params.price, on_hand) * (demand - lost) if params.priced else cost


def feasible_order(order: Array, params: ItemParams) -> Array:
    """Return the nearest order that the rules allow: non-negative, in packs, zero or within [minimum, maximum].

    Ties go up. In torch the gradient passes straight through the rounding.
    """
    order = positive_part(order)
    if not params.order_rules:
        return order
    least, most = params.order_range
    if is_torch(order):
        least, most = (like(np.asarray(x, dtype=np.float64), order) for x in (least, most))
    placed = order
    if params.pack_size is not None:
        size = like(params.pack_size, order)
        one = isinstance(size, float) and size == 1.0  # the usual case: nothing to divide by
        placed = floor(order + 0.5) if one else floor(order / size + 0.5) * size
    if params.maximum_order is not None:
        placed = minimum(placed, most)
    if params.minimum_order is not None:
        worthwhile = (2 * order >= least) & (least <= most)
        placed = where(placed < least, indicator(worthwhile, order) * least, placed)
    return straight_through(placed, order)


def order_cost(order: Array, params: ItemParams) -> Array:
    """Return `K·1[q > 0] + c·q`, money, shape (paths, items); 0.0 where orders cost nothing."""
    fixed, unit = params.order_charges
    cost = like(params.fixed_order_cost, order) * indicator(order > 0, order) if fixed else 0.0
    return cost + like(params.unit_cost, order) * order if unit else cost
