"""The optimal policy of any small system: its Markov decision process within bounds, solved by value iteration."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from ...arrays import BoolArray, FloatArray, IntArray
from ...envs.core.dynamics import feasible_order
from ...envs.core.params import ItemParams
from ...envs.core.period import StockState, SystemParams
from ...envs.core.system import System
from ...envs.core.types import Observation
from ...envs.demand.independent import IndependentDemand
from ...envs.networks.network import OUTSIDE, Network
from ...envs.systems.perishable import PerishableState
from ...errors import Faults, FractileError, FractileWarning
from .policy_evaluation import stationary_shares
from .small_system import UNKNOWN, RowTable, SmallSystem
from .value_iteration import Solution, solve

MAX_STATES = 500_000
"""States at which an instance is called too large."""

MAX_CHOICES = 50_000_000
"""States times orders at which an instance is called too large: some gigabytes."""

BLOCK = 500_000
"""States times orders times demands that are looked at together."""

TOUCHED = 1e-7
"""Share of periods at a bound from which on a warning says that the bound may matter."""

RARE = 1e-9
"""Probability of demand above the largest order, or below the lowest position, of the default bounds."""


class Bounds(NamedTuple):
    """The bounds of value iteration.

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
    params, physics = system.params, system.system
    stock: Any = params if physics.stock is None else physics.stock
    fixed = float(np.max(physics.order_costs(1)[0]))
    holding = np.min(np.asarray(stock.holding_cost), where=np.asarray(stock.holding_cost) > 0, initial=np.inf)
    rules = (getattr(params, name, None) for name in ("pack_size", "minimum_order"))
    batch = max(0.0 if rule is None else float(np.max(rule)) for rule in rules)
    economic = 2.0 * np.sqrt(2.0 * fixed * system.points.mean / holding)
    lot = int(np.ceil(economic + (batch if batch > 1 else 0.0)))
    longest = max(physics.horizon, physics.slots + 1)
    shortest = _shortest(params) + 1 if isinstance(params, Network) else longest
    largest = system.fractile(1.0 - RARE) + 1 + lot
    ratio = float(np.max(stock.critical_ratio))
    highest = system.fractile(ratio, longest) + 1 + lot + _queue(system, 1e-3 * (1.0 - ratio))
    backorder = bool(np.any(np.asarray(stock.lost_share) < 1))
    lowest = -system.fractile(1.0 - RARE, shortest) - 1 - _queue(system, RARE) if backorder else 0
    return Bounds(np.full(physics.orders(1), largest), highest, lowest)


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

    @property
    def reachable(self) -> BoolArray:
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
    params, points = system.params, len(system.points.units)
    # Orders in whole units that the rules allow, none first.
    orders = np.array(list(product(*(range(int(most) + 1) for most in bounds.largest))), dtype=np.float64)
    if isinstance(params, ItemParams):
        orders = orders[(feasible_order(orders, params) == orders).all(1)]
    elif isinstance(params, Network):
        orders = orders[(orders <= params.maximum_order).all(1)]
    states, lotteries, parts = RowTable(system.width), RowTable(points), []
    states.add(system.rows(system.receive(system.empty)))
    size, done = max(1, BLOCK // (len(orders) * points)), 0
    while done < len(states):
        _check_size(len(states), len(orders), max_states)
        rows = states.rows[done : done + size]
        after = position(system.state(rows))[:, None] + inflow(system.system, orders)
        allowed = (after <= bounds.highest).ravel()
        allowed[:: len(orders)] = True  # no order is always allowed
        chosen = np.flatnonzero(allowed)
        following, charged = system.advance(rows[chosen // len(orders)], orders[chosen % len(orders)])
        state = _forget_backorders(system, system.receive(system.state(following)), bounds.lowest)
        cost, lottery = np.full(len(allowed), np.inf), np.zeros(len(allowed), dtype=np.int64)
        cost[chosen] = charged
        lottery[chosen] = lotteries.add(states.add(system.rows(state)).reshape(-1, points).astype(np.float64))
        parts.append((cost.reshape(-1, len(orders)), lottery.reshape(-1, len(orders))))
        done += len(rows)
    cost, lottery = (np.concatenate(part) for part in zip(*parts, strict=True))
    leads_to = lotteries.rows.astype(np.int32)
    return DecisionModel(states, orders, cost, lottery, leads_to, system.points.probability, discount)


def position(state: StockState) -> FloatArray:
    """Return units in the whole system, on hand and under way less backorders, shape (paths,)."""
    total: FloatArray = state.net_inventory.sum(1) + state.pipeline.sum((0, 2))
    return total


def inflow(system: System, orders: FloatArray) -> FloatArray:
    """Return units that orders (orders, columns) bring into the system, shape (orders,)."""
    units: FloatArray = (system.shipped_in(orders) - system.shipped_out(orders)).sum(1)
    return units


def net_inventory(system: SmallSystem, state: StockState) -> FloatArray:
    """Return net inventory where demand is, units, shape (paths,)."""
    where = system.system.demand_at
    at = 0 if where is None else int(where.item())
    net: FloatArray = state.net_inventory[:, at]
    return net


def _forget_backorders(system: SmallSystem, state: StockState, lowest: int) -> StockState:
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


@dataclass(frozen=True, eq=False)
class OptimalPolicy:
    """The optimal policy of a small system, as a table; made by `optimal_policy`.

    Attributes:
        system: demand and parameters.
        model: states within bounds, orders, and where they lead.
        bounds: of orders and positions.
        solution: values and choices by state.
        stationary: share of periods that begin in each state, shape (states,). [π]
        nearest: finds the listed state nearest to one that is not listed.
    """

    system: SmallSystem
    model: DecisionModel
    bounds: Bounds
    solution: Solution
    stationary: FloatArray
    nearest: cKDTree

    @property
    def average_cost(self) -> float:
        """The least average cost per period, money.

        Raises:
            FractileError: where later costs are discounted.
        """
        if self.model.discount < 1:
            raise FractileError(f"later costs are discounted by {self.model.discount}: use discounted_cost()")
        return self.solution.average_cost

    @property
    def states(self) -> FloatArray:
        """Every state within the bounds, with what is due received, as rows: see `SmallSystem.rows`."""
        return self.model.states.rows

    @property
    def orders(self) -> FloatArray:
        """The optimal order in each state, units, shape (states, items or links)."""
        return self.model.orders[self.solution.choice]

    @property
    def values(self) -> FloatArray:
        """The value of each state, money: discounted cost, or relative to the empty system, shape (states,)."""
        return self.solution.value

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items or links); beyond the table, the order in the nearest state."""
        return self.model.orders[self.solution.choice[self._index(self.system.observed(obs))]]

    def discounted_cost(self, state: StockState | None = None) -> FloatArray:
        """Return the least expected discounted cost, money, shape (paths,): `Σ_t γ^t E[c_t]`, t = 0, 1, …

        Args:
            state: what the first period begins with; one path with nothing on hand or under way where None.

        Raises:
            FractileError: where later costs are not discounted.
        """
        if self.model.discount == 1:
            raise FractileError("discount is 1, and undiscounted costs grow for ever: use average_cost")
        return self.values[self._index(self.system.empty if state is None else state)]

    def _index(self, state: StockState) -> IntArray:
        rows = self.system.rows(self.system.receive(state))
        index = self.model.states.find(rows)
        unknown = index == UNKNOWN
        if unknown.any():
            index[unknown] = self.nearest.query(rows[unknown], p=1)[1]
        return index


def optimal_policy(
    demand: IndependentDemand,
    params: SystemParams,
    *,
    discount: float | None = None,
    largest_order: Any = None,
    highest: int | None = None,
    lowest: int | None = None,
    tolerance: float = 1e-7,
    max_states: int = MAX_STATES,
) -> OptimalPolicy:
    """Return the optimal policy of a small system: two suppliers, perishable stock, a short chain, or one item.

    It minimises the average cost, or, with a discount below 1, the expected discounted cost. For one item without
    shelf life, `dynamic_programming` reaches much longer lead times.

    Args:
        demand: discrete and independent over periods, of one item or one location. [D]
        params: of the item, or a `Network` with demand at one location.
        discount: factor a period on later costs; the parameters' where None. [γ]
        largest_order: on each link, or of the item, units, one for all or one each; None = `default_bounds`.
        highest: units on hand and under way, less backorders, up to which orders are considered; None = likewise.
        lowest: net inventory, with backorders, below which nothing is looked at; None = likewise.
        tolerance: on the average or discounted cost, money.
        max_states: number of states at which it is given up.

    Returns:
        A policy, with its cost, its orders and the value of every state. A `FractileWarning` says where it runs into
        a bound.

    Raises:
        FractileError: where the system cannot be listed, or is too large.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.envs.core.types import ItemParams
    >>> params = ItemParams(lead_time=1, holding_cost=1, stockout_cost=4, shelf_life=2, waste_cost=3)
    >>> round(optimal_policy(Poisson(3.0), params).average_cost, 3)
    3.412
    """
    system = SmallSystem(demand, params)
    gamma = float(system.params.discount) if discount is None else float(discount)
    usual = default_bounds(system)
    bounds = Bounds(
        usual.largest if largest_order is None else np.broadcast_to(np.asarray(largest_order), usual.largest.shape),
        usual.highest if highest is None else highest,
        usual.lowest if lowest is None else lowest,
    )
    faults = Faults()
    if not 0 < gamma <= 1:
        faults.add(f"discount must lie in (0, 1], got {gamma}; 1 means no discount")
    for name, value, low, high in (
        ("largest_order", bounds.largest, 0, np.inf),
        ("highest", bounds.highest, 0, np.inf),
        ("lowest", bounds.lowest, -np.inf, 0),
    ):
        if np.any((np.asarray(value) < low) | (np.asarray(value) > high) | (np.asarray(value) != np.rint(value))):
            faults.add(f"{name} must be an integer {'<= 0' if high == 0 else '>= 0'}, got {value}")
    faults.raise_if_any()
    model = enumerate_decisions(system, bounds, gamma, max_states)
    if gamma < 1:
        solution = solve(model, tolerance)
    else:
        solution = solve(_HalfSteps(model), tolerance / 2)
        solution = solution._replace(average_cost=2 * solution.average_cost)
    # The chain of states under these choices, for the share of periods that begin in each.
    states = np.arange(len(solution.choice))
    following = model.following[model.lottery[states, solution.choice]]
    entries, origin = np.tile(model.probability, len(states)), np.repeat(states, len(model.probability))
    transition = sparse.csr_array((entries, (origin, following.ravel())), shape=(len(states),) * 2)
    share = stationary_shares(np.eye(1, len(states))[0], transition, "the optimal policy")
    policy = OptimalPolicy(system, model, bounds, solution, share, cKDTree(model.states.rows))
    _warn_at_bounds(policy)
    return policy


@dataclass(frozen=True, eq=False)
class _HalfSteps:
    """A model in which each half of a period costs half: an average is reached where costs would go in circles."""

    model: DecisionModel

    @property
    def discount(self) -> float:
        return 1.0

    @property
    def reachable(self) -> BoolArray:
        return self.model.reachable

    def update(self, value: FloatArray) -> FloatArray:
        return (value + self.model.update(value)) / 2

    def choose(self, value: FloatArray) -> IntArray:
        return self.model.choose(value)


def _warn_at_bounds(policy: OptimalPolicy) -> None:
    """Warn where the policy runs into a bound that may matter."""
    orders, bounds, params = policy.orders, policy.bounds, policy.system.params
    state = policy.system.state(policy.states)
    limit = getattr(params, "maximum_order", None)
    ruled = np.inf if limit is None else np.asarray(limit)
    after = position(state) + inflow(policy.system.system, orders)
    touched = {
        "largest_order": ((orders == bounds.largest) & (bounds.largest < ruled) & (orders > 0)).any(1),
        "highest": (after == bounds.highest) & (orders > 0).any(1),
        "lowest": (net_inventory(policy.system, state) <= bounds.lowest) & (bounds.lowest < 0),
    }
    for name, where in touched.items():
        share = float(policy.stationary[where].sum())
        if share > TOUCHED:
            warnings.warn(
                f"the optimal policy runs into {name} in {share:.2g} of all periods: widen it and compare costs",
                FractileWarning,
                stacklevel=3,
            )
