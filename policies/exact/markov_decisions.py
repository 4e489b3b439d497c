"""The optimal policy of any small system, by value iteration over states and orders found through its own `step`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ...arrays import FloatArray, IntArray
from ...envs.core.period import StockState
from ...envs.core.types import InventoryState, Observation
from ...envs.demand.distributions import IndependentDemand
from ...envs.systems.perishable import PerishableState
from ...errors import Faults, FractileError, FractileWarning
from .decision_model import (
    Bounds,
    DecisionModel,
    default_bounds,
    enumerate_decisions,
    inflow,
    net_inventory,
    position,
)
from .enumeration import SmallSystem
from .markov import settle
from .row_table import UNKNOWN
from .value_iteration import Solution, solve

MAX_STATES = 500_000
"""States at which an instance is called too large."""

TOUCHED = 1e-7
"""Share of periods at a bound from which on it is said that the bound may matter."""


@dataclass(frozen=True, eq=False)
class OptimalPolicy:
    """The optimal policy of a small system, as a table; made by `optimal_policy`.

    Attributes:
        system: demand and parameters.
        model: states within bounds, orders, and where they lead.
        bounds: of orders and positions.
        solution: values and choices by state.
    """

    system: SmallSystem
    model: DecisionModel
    bounds: Bounds
    solution: Solution

    @property
    def average_cost(self) -> float:
        """The least average cost per period, money.

        Raises:
            FractileError: where later costs are discounted.
        """
        if self.model.discount < 1:
            raise FractileError(f"later costs are discounted by {self.model.discount}: ask discounted_cost()")
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
        return self.orders[self._index(self._state_of(obs))]

    def discounted_cost(self, state: StockState | None = None) -> FloatArray:
        """Return the least expected discounted cost, money, shape (paths,): `Σ_t γ^t E[c_t]`, t = 0, 1, …

        Args:
            state: what the first period begins with; one path with nothing on hand or under way where None.

        Raises:
            FractileError: where later costs are not discounted.
        """
        if self.model.discount == 1:
            raise FractileError("discount is 1, and undiscounted costs grow for ever: ask average_cost")
        return self.values[self._index(self.system.empty if state is None else state)]

    @cached_property
    def stationary(self) -> FloatArray:
        """Share of periods that begin in each state, shape (states,). [π]"""
        model, states = self.model, np.arange(len(self.values))
        following = model.following[model.lottery[states, self.solution.choice]]
        entries = np.tile(model.probability, len(states))
        origin = np.repeat(states, len(model.probability))
        transition = sparse.csr_array((entries, (origin, following.ravel())), shape=(len(states),) * 2)
        return settle(np.eye(1, len(states))[0], transition, "the optimal policy")

    def _index(self, state: StockState) -> IntArray:
        rows = self.system.rows(self.system.receive(state))
        index = self.model.states.find(rows)
        unknown = index == UNKNOWN
        if unknown.any():
            index[unknown] = self._tree.query(rows[unknown], p=1)[1]
        return index

    @cached_property
    def _tree(self) -> Any:
        return cKDTree(self.states)

    def _state_of(self, obs: Observation) -> StockState:
        net, pipeline = np.asarray(obs.net_inventory), np.asarray(obs.pipeline)
        if obs.stock is None:
            return InventoryState(net, pipeline)
        stock = np.asarray(obs.stock)
        return PerishableState(stock, pipeline, stock.sum(0) - net)


def optimal_policy(
    demand: IndependentDemand,
    params: Any,
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
    gamma = float(params.discount) if discount is None else float(discount)
    bounds = _bounds(default_bounds(system), largest_order, highest, lowest)
    _check(gamma, bounds)
    model = enumerate_decisions(system, bounds, gamma, max_states)
    policy = OptimalPolicy(system, model, bounds, _solved(model, tolerance))
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
    def reachable(self) -> Any:
        return self.model.reachable

    def update(self, value: FloatArray) -> FloatArray:
        return (value + self.model.update(value)) / 2

    def choose(self, value: FloatArray) -> IntArray:
        return self.model.choose(value)


def _solved(model: DecisionModel, tolerance: float) -> Solution:
    # The solver asks of a model no more than what these have.
    if model.discount < 1:
        return solve(cast(Any, model), tolerance)
    halved = solve(cast(Any, _HalfSteps(model)), tolerance / 2)
    return halved._replace(average_cost=2 * halved.average_cost)


def _bounds(usual: Bounds, largest: Any, highest: int | None, lowest: int | None) -> Bounds:
    return Bounds(
        usual.largest if largest is None else np.broadcast_to(np.asarray(largest), usual.largest.shape),
        usual.highest if highest is None else highest,
        usual.lowest if lowest is None else lowest,
    )


def _check(gamma: float, bounds: Bounds) -> None:
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


def _warn_at_bounds(policy: OptimalPolicy) -> None:
    """Say where the policy runs into a bound that may matter."""
    orders, bounds, params = policy.orders, policy.bounds, policy.system.params
    state = policy.system.state(policy.states)
    limit = getattr(params, "maximum_order", None)
    ruled = np.inf if limit is None else np.asarray(limit)
    after = position(state) + inflow(params, orders)
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
