"""The physics of stock that ages: one pure function, the same source for numpy and torch.

The period is that of `dynamics`; what is new in it:

3. what arrives is fresh: it can be sold in this period and the m − 1 that follow;
4. demand, backorders first, is met from the oldest units (FIFO) or from the freshest (LIFO);
5. what is left of the units whose last period this was perishes and is charged; holding is charged on the rest.

De Moor, Gijsbrechts and Boute (2022) study this system with lost sales; Nahmias (2011) surveys it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ..core.backend import (
    concatenate,
    like,
    minimum,
    positive_part,
    stack_first,
    zeros,
)
from ..core.dynamics import deliver, feasible_order, order_cost, stock_cost
from ..core.types import ItemParams


class PerishableState(NamedTuple):
    """What a period begins with, before the order.

    Attributes:
        stock: units on hand by remaining life, shape (ages, paths, items); those of slot k can be sold in this
            period and k more; units of an item that keeps stay in the last slot.
        pipeline: orders under way, units, shape (slots, paths, items); slot k arrives in k periods.
        backorders: units of demand that wait, shape (paths, items).
    """

    stock: Array
    pipeline: Array
    backorders: Array

    @property
    def net_inventory(self) -> Array:
        """On hand minus backorders, units, shape (paths, items). [IN]"""
        return self.stock.sum(0) - self.backorders

    @classmethod
    def empty(cls, paths: int, items: int, slots: int, ages: int) -> PerishableState:
        """Nothing on hand, nothing under way."""
        shape = (paths, items)
        return cls(np.zeros((ages, *shape)), np.zeros((slots, *shape)), np.zeros(shape))


class PerishableOutcome(NamedTuple):
    """What one period did: a `PeriodOutcome`, and the units that perished.

    Attributes:
        order: the feasible order that was placed. [q]
        received: units that arrived.
        sales: demand met from stock at once.
        shortfall: units short at the period's end: lost, or outstanding as backorders.
        on_hand: units in stock at the period's end, without those that perished.
        cost: holding + stock-out + ordering + purchase + waste − revenue.
        waste: units that perished at the period's end.
    """

    order: Array
    received: Array
    sales: Array
    shortfall: Array
    on_hand: Array
    cost: Array
    waste: Array


def perishable_step(
    state: PerishableState,
    order: Array,
    demand: Array,
    params: ItemParams,
    arrivals: Array | None = None,
) -> tuple[PerishableState, PerishableOutcome]:
    """Advance one period.

    Cost is `h·on_hand + b·shortfall + w·waste + K·1[q > 0] + c·q − p·(demand − lost)`.

    Args:
        state: what the period begins with; `params.ages` ages, or more.
        order: units asked for, shape (paths, items); the nearest feasible order is placed. [q]
        demand: units, shape (paths, items). [D]
        params: costs, lead times, shelf life, issuing and order rules.
        arrivals: see `dynamics.step`.

    Returns:
        The state that the next period begins with, and what this one did.

    >>> import numpy as np
    >>> params = ItemParams(lead_time=1, shelf_life=2, waste_cost=7.0, stockout_cost=5.0)
    >>> state = PerishableState(np.array([[[3.0]], [[2.0]]]), np.array([[[4.0]]]), np.zeros((1, 1)))
    >>> state, outcome = perishable_step(state, np.array([[1.0]]), np.array([[2.0]]), params)
    >>> outcome.waste.item(), outcome.on_hand.item(), outcome.cost.item(), state.stock.ravel().tolist()
    (1.0, 6.0, 13.0, [6.0, 0.0])
    """
    order = feasible_order(order, params)
    received, pipeline = deliver(state.pipeline, order, params, arrivals)
    stock = state.stock + _fresh(params, len(state.stock), order) * received[None]
    needed = state.backorders + demand
    left, shortfall = _issue(stock, needed, params.issuing)
    unmet = minimum(shortfall, demand)
    lost = like(params.lost_share, unmet) * unmet
    ages = like(_perishes(params), order)
    waste = left[0] * ages
    kept = concatenate([left[1:], zeros((1, *order.shape), order)]) * ages + left * (1.0 - ages)
    on_hand = kept.sum(0)
    cost = stock_cost(on_hand, shortfall, demand, lost, params) + order_cost(order, params)
    cost = cost + like(params.waste_cost, waste) * waste
    outcome = PerishableOutcome(order, received, demand - unmet, shortfall, on_hand, cost, waste)
    return PerishableState(kept, pipeline, shortfall - lost), outcome


def _fresh(params: ItemParams, ages: int, order: Array) -> Array:
    """Which slot a unit enters that arrives now, one-hot, shape (ages, 1 or paths, 1 or items)."""
    slot = np.minimum(np.atleast_2d(np.asarray(params.shelf_life)), ages) - 1
    return like((np.arange(ages)[:, None, None] == slot).astype(np.float64), order)


def _perishes(params: ItemParams) -> Array:
    """1 where an item's stock ages, 0 where it keeps, shape (1 or paths, 1 or items)."""
    return np.isfinite(np.atleast_2d(np.asarray(params.shelf_life, dtype=np.float64))).astype(np.float64)


def _issue(stock: Array, needed: Array, issuing: str) -> tuple[Array, Array]:
    """Meet what is needed from stock by remaining life; return what is left, of that shape, and the shortfall."""
    ages = range(len(stock)) if issuing == "fifo" else reversed(range(len(stock)))
    left = list(stock)
    for age in ages:
        gap = left[age] - needed
        left[age] = positive_part(gap)
        needed = left[age] - gap
    return stack_first(left), needed
