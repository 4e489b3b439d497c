"""The physics of stock that ages: one pure function, the same source for numpy and torch.

The period is that of `dynamics`; what is new in it:

3. what arrives is fresh: it can be sold in this period and the m − 1 that follow;
4. demand, backorders first, is met from the oldest units (FIFO) or from the freshest (LIFO);
5. what is left of the units whose last period this was perishes and is charged; holding is charged on the rest.

De Moor, Gijsbrechts and Boute (2022) study this system with lost sales; Nahmias (2011) surveys it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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
from ..core.params import ItemParams
from ..core.system import ItemSystem


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


@dataclass(frozen=True, eq=False)
class PerishableSystem(ItemSystem):
    """Items whose stock perishes."""

    def step(self, state: Any, order: Array, demand: Array, arrivals: Array | None = None) -> tuple[Any, Any]:
        """Advance one period: see `perishable_step`."""
        return perishable_step(state, order, demand, self.params, arrivals)

    def empty_state(self, paths: int, items: int, slots: int | None = None) -> PerishableState:
        """Return nothing on hand and nothing under way."""
        return PerishableState.empty(paths, items, self.slots if slots is None else slots, self.params.ages)

    def fresh_state(self, net_inventory: Array, pipeline: Array) -> PerishableState:
        """Return the state with this net inventory and pipeline; all of the stock is fresh."""
        ages, life = self.params.ages, np.asarray(self.params.shelf_life)
        slot = np.broadcast_to(np.minimum(life, ages) - 1, net_inventory.shape)
        fresh = np.arange(ages)[:, None, None] == slot
        on_hand = np.maximum(net_inventory, 0.0)
        return PerishableState(np.where(fresh, on_hand, 0.0), pipeline, on_hand - net_inventory)


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
        order: units requested, shape (paths, items); the nearest feasible order is placed. [q]
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
    life, slots = np.atleast_2d(np.asarray(params.shelf_life, dtype=np.float64)), len(state.stock)
    # What arrives enters the slot of its full life; an item that keeps has the last slot to itself.
    enters = (np.arange(slots)[:, None, None] == np.minimum(life, slots) - 1).astype(np.float64)
    stock = state.stock + like(enters, order) * received[None]
    by_life, shortfall = list(stock), state.backorders + demand
    for age in range(slots) if params.issuing == "fifo" else reversed(range(slots)):
        gap = by_life[age] - shortfall
        by_life[age] = positive_part(gap)
        shortfall = by_life[age] - gap
    left = stack_first(by_life)
    unmet = minimum(shortfall, demand)
    lost = like(params.lost_share, unmet) * unmet
    ages = like(np.isfinite(life).astype(np.float64), order)
    waste = left[0] * ages
    kept = concatenate([left[1:], zeros((1, *order.shape), order)]) * ages + left * (1.0 - ages)
    on_hand = kept.sum(0)
    cost = stock_cost(on_hand, shortfall, demand, lost, params) + order_cost(order, params)
    cost = cost + like(params.waste_cost, waste) * waste
    outcome = PerishableOutcome(order, received, demand - unmet, shortfall, on_hand, cost, waste)
    return PerishableState(kept, pipeline, shortfall - lost), outcome
