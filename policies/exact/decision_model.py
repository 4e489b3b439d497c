"""A small system with orders to choose from: every state within bounds, and where each order leads from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...envs.core.dynamics import feasible_order
from ...envs.core.params import ItemParams
from ...envs.core.period import StockState, system_of
from ...envs.networks.network import OUTSIDE, Network
from ...envs.systems.perishable import PerishableState
from ...errors import FractileError
from .enumeration import SmallSystem
from .row_table import RowTable

MAX_CHOICES = 50_000_000
"""States times orders at which an instance is called too large: some gigabytes."""

BLOCK = 500_000
"""States times orders times demands that are looked at together."""

RARE = 1e-9
"""Probability of demand above the largest order, or below the lowest position, of the default bounds."""


class Bounds(NamedTuple):
    """What value iteration looks at.

    Attributes:
        largest: order on each link, or of the item, units, shape (columns,).
        highest: units in the whole system after ordering, on hand and under way, less backorders.
        lowest: net inventory where demand is, units; backorders beyond it are charged once and then forgotten.
    """

    largest: IntArray
    highest: int
    lowest: int


def default_bounds(system: SmallSystem) -> Bounds:
    """Return bounds that the optimum stays within as a rule; `optimal_policy` says where it does not.

    Largest order: a period's demand, but for one in a billion. Highest: the critical fractile of demand over the
    longest way from outside and a period. Lowest: as much below zero as demand over the shortest way and a period,
    but for one in a billion. One unit more each; where orders have a fixed cost K, `2 √(2Kμ/h)` more above, where they
    come in batches, one batch, and where they are limited, room for a queue.

    Args:
        system: demand and parameters.
    """
    params = system.params
    network = isinstance(params, Network)
    stock = params.stock if network else params
    fixed = float(np.max(params.link_costs[0] if network else params.fixed_order_cost))
    holding = np.min(np.asarray(stock.holding_cost), where=np.asarray(stock.holding_cost) > 0, initial=np.inf)
    lot = int(np.ceil(2.0 * np.sqrt(2.0 * fixed * system.points.mean / holding) + _batch(params)))
    longest, shortest = (params.horizon, _shortest(params) + 1) if network else (params.slots + 1,) * 2
    largest = system.fractile(1.0 - RARE) + 1 + lot
    ratio = float(np.max(stock.critical_ratio))
    highest = system.fractile(ratio, longest) + 1 + lot + _queue(system, 1e-3 * (1.0 - ratio))
    backorder = bool(np.any(np.asarray(params.lost_share) < 1))
    lowest = -system.fractile(1.0 - RARE, shortest) - 1 - _queue(system, RARE) if backorder else 0
    return Bounds(np.full(system_of(params).orders(1), largest), highest, lowest)


def _batch(params: Any) -> float:
    """Return the smallest order of an item, units; 0 where it is one unit."""
    rules = (getattr(params, name, None) for name in ("pack_size", "minimum_order"))
    smallest = max(0.0 if rule is None else float(np.max(rule)) for rule in rules)
    return smallest if smallest > 1 else 0.0


def _queue(system: SmallSystem, tail: float) -> int:
    """Room for limited orders, units: stock falls short like a queue, with the tail e^(−θx), θ = 2 (C − μ) / σ²."""
    limit = system.params.maximum_order if isinstance(system.params, ItemParams) else None
    if limit is None or not np.all(np.isfinite(limit)):
        return 0
    units, probability = system.points
    mean = system.points.mean
    spare = max(abs(float(np.max(limit)) - mean), 0.05 * mean)
    return int(np.ceil(-np.log(tail) * float((units - mean) ** 2 @ probability) / (2.0 * spare)))


def _shortest(network: Network) -> int:
    """Return the least periods that units need from outside to where demand is."""
    known = np.full(network.locations + 1, np.inf)
    known[OUTSIDE] = 0.0  # the last entry stands for outside
    for _ in network.links:
        for link in network.links:
            known[link.destination] = min(known[link.destination], known[link.source] + link.lead_time)
    return int(known[int(np.asarray(network.demand_at).item())])


@dataclass(frozen=True, eq=False)
class DecisionModel:
    """States, the orders that may be placed in each, and the lotteries over next states that they amount to.

    Many orders in many states amount to the same lottery: with Q of them, looking ahead costs Q times the demands.

    `v(s) = min_a c(s, a) + γ Σ_d p(d) v(next(s, a, d))`

    Attributes:
        states: with what is due received, as rows, the empty system first, shape (states, width).
        orders: that may be placed, units, shape (orders, columns).
        cost: expected cost of a period, money, infinite where an order leads beyond the bounds, (states, orders). [c]
        lottery: index of the lottery that an order amounts to, shape (states, orders).
        following: index of the next state by lottery and demand, shape (lotteries, points).
        probability: of each demand, shape (points,). [p]
        discount: factor a period. [γ]
    """

    states: RowTable
    orders: FloatArray
    cost: FloatArray
    lottery: IntArray
    following: NDArray[np.int32]
    probability: FloatArray
    discount: float

    @cached_property
    def reachable(self) -> NDArray[np.bool_]:
        """Every state."""
        return np.ones(len(self.cost), dtype=bool)

    def update(self, value: FloatArray) -> FloatArray:
        """Return the least expected cost from each state, shape (states,). [Tv]"""
        return self._candidates(value).min(1)

    def choose(self, value: FloatArray) -> IntArray:
        """Return the index of the order that attains it, shape (states,)."""
        return self._candidates(value).argmin(1)

    def _candidates(self, value: FloatArray) -> FloatArray:
        ahead = self.discount * (value[self.following] @ self.probability)
        return self.cost + ahead[self.lottery]


def enumerate_decisions(system: SmallSystem, bounds: Bounds, discount: float, max_states: int) -> DecisionModel:
    """List the states that the empty system can get to within the bounds, and where each order leads.

    Args:
        system: demand and parameters.
        bounds: of orders and positions.
        discount: factor a period. [γ]
        max_states: number of states at which it is given up.

    Raises:
        FractileError: where there are too many.
    """
    _check_size(1, int(np.prod(bounds.largest + 1.0)), max_states)
    orders = _orders(system.params, bounds.largest)
    states, lotteries, parts = RowTable(system.width), RowTable(len(system.points.units)), []
    states.add(system.rows(system.receive(system.empty)))
    size, done = max(1, BLOCK // (len(orders) * len(system.points.units))), 0
    while done < len(states):
        _check_size(len(states), len(orders), max_states)
        rows = states.rows[done : done + size]
        parts.append(_outlook(system, bounds, orders, rows, states, lotteries))
        done += len(rows)
    cost, lottery = (np.concatenate(part) for part in zip(*parts, strict=True))
    following = lotteries.rows.astype(np.int32)
    return DecisionModel(states, orders, cost, lottery, following, system.points.probability, discount)


def _orders(params: Any, largest: IntArray) -> FloatArray:
    """List orders in whole units that the rules allow, none first, shape (orders, columns)."""
    listed = np.array(list(product(*(range(int(most) + 1) for most in largest))), dtype=np.float64)
    if isinstance(params, ItemParams):
        return listed[(feasible_order(listed, params) == listed).all(1)]
    return listed[(listed <= params.maximum_order).all(1)] if isinstance(params, Network) else listed


def _outlook(
    system: SmallSystem, bounds: Bounds, orders: FloatArray, rows: FloatArray, states: RowTable, lotteries: RowTable
) -> tuple[FloatArray, IntArray]:
    """Return cost and lottery of each order in some states, each (states, orders); list what is new."""
    points = len(system.points.units)
    allowed = (position(system.state(rows))[:, None] + inflow(system.params, orders) <= bounds.highest).ravel()
    allowed[:: len(orders)] = True  # no order is always allowed
    chosen = np.flatnonzero(allowed)
    following, charged = system.advance(rows[chosen // len(orders)], orders[chosen % len(orders)])
    state = _not_below(system, system.receive(system.state(following)), bounds.lowest)
    cost, lottery = np.full(len(allowed), np.inf), np.zeros(len(allowed), dtype=np.int64)
    cost[chosen] = charged
    lottery[chosen] = lotteries.add(states.add(system.rows(state)).reshape(-1, points).astype(np.float64))
    return cost.reshape(-1, len(orders)), lottery.reshape(-1, len(orders))


def position(state: StockState) -> FloatArray:
    """Return units in the whole system, on hand and under way less backorders, shape (paths,)."""
    total: FloatArray = state.net_inventory.sum(1) + state.pipeline.sum((0, 2))
    return total


def inflow(params: Any, orders: FloatArray) -> FloatArray:
    """Return units that orders (orders, columns) bring into the system, shape (orders,)."""
    return orders[:, params.source == OUTSIDE].sum(1) if isinstance(params, Network) else orders.sum(1)


def net_inventory(system: SmallSystem, state: StockState) -> FloatArray:
    """Return net inventory where demand is, units, shape (paths,)."""
    where = system_of(system.params).demand_at
    at = 0 if where is None else int(where.item())
    net: FloatArray = state.net_inventory[:, at]
    return net


def _not_below(system: SmallSystem, state: StockState, lowest: int) -> StockState:
    """Forget backorders as far as they take net inventory below the lowest."""
    short = np.maximum(lowest - net_inventory(system, state), 0.0)[:, None]
    if not short.any():
        return state
    if isinstance(state, PerishableState):
        return state._replace(backorders=state.backorders - short)
    # Only one location has demand, and it alone is below zero.
    return state._replace(net_inventory=state.net_inventory + np.where(state.net_inventory < 0, short, 0.0))


def _check_size(states: int, orders: int, max_states: int) -> None:
    if states > max_states or states * orders > MAX_CHOICES:
        raise FractileError(
            f"{states} states and more with {orders} orders each are too many for value iteration: "
            "lower largest_order or highest, or take a policy that is not exact"
        )
