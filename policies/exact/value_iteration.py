"""Value iteration, for average and for discounted cost, and the two grids that the stock of one item is solved on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError

ITERATIONS = 50_000
"""Sweeps after which an iteration is given up."""


class ValueModel(Protocol):
    """States with orders to choose from: two kinds for one item stand below, `markov_decision` has its own.

    Value functions have the shape of `reachable`.
    """

    @property
    def discount(self) -> float:
        """Factor a period on later costs, in (0, 1]; 1 = average cost. [γ]"""

    @property
    def reachable(self) -> BoolArray:
        """States that the bounds on the value are taken over; no choice leaves them."""

    def update(self, value: FloatArray) -> FloatArray:
        """Return the least expected cost of this period and the discounted value of what follows. [Tv]"""

    def choose(self, value: FloatArray) -> IntArray:
        """Return the index of the choice that attains it, in each state."""


class Solution(NamedTuple):
    """The result of value iteration.

    Attributes:
        average_cost: money per period; NaN where later costs are discounted.
        value: relative to the first state of the grid (average cost), or discounted cost, money.
        choice: index of the optimal order, the shape of `value`.
    """

    average_cost: float
    value: FloatArray
    choice: IntArray


def solve(model: ValueModel, tolerance: float, iterations: int = ITERATIONS) -> Solution:
    """Iterate until the optimum is known to within a tolerance.

    With δ = Tv − v over the reachable states, the least average cost lies between min δ and max δ (Odoni 1969), the
    least discounted cost between Tv + γ/(1−γ) min δ and Tv + γ/(1−γ) max δ (MacQueen 1966): the middle is returned
    when the two are close enough.

    Args:
        model: states, orders, costs.
        tolerance: money between lower and upper bound.
        iterations: sweeps after which it is given up.

    Raises:
        FractileError: where the bounds are further apart than that by then.
    """
    averaged = model.discount == 1.0
    factor = 1.0 if averaged else model.discount / (1.0 - model.discount)
    reachable = model.reachable
    value = np.zeros(reachable.shape)
    for _ in range(iterations):
        new = model.update(value)
        change = np.subtract(new, value, out=value)
        low = float(change.min(where=reachable, initial=np.inf))
        high = float(change.max(where=reachable, initial=-np.inf))
        value = new - float(new.flat[0]) if averaged else new
        if factor * (high - low) < tolerance:
            middle = (low + high) / 2
            value = value if averaged else value + factor * middle
            return Solution(middle if averaged else np.nan, value, model.choose(value))
    raise FractileError(
        f"value iteration did not reach a tolerance of {tolerance:g} in {iterations} iterations; "
        "demand that hardly varies makes costs cycle: raise the tolerance"
    )


def stationary(
    model: StockModel, choice: IntArray, tolerance: float = 1e-12, iterations: int = ITERATIONS
) -> FloatArray:
    """Return the share of periods that begin in each state under a policy, from an empty system.

    Args:
        model: states and orders.
        choice: index of the order in each state.
        tolerance: on the change of the distribution from sweep to sweep, summed over states.
        iterations: sweeps after which it is given up.

    Raises:
        FractileError: where the distribution has not settled by then.
    """
    probability = np.zeros(model.reachable.shape)
    probability.flat[0] = 1.0
    for _ in range(iterations):
        # Half of the mass waits a period: that leaves the shares alone, and cycles die out.
        following = (probability + model.push(probability, choice)) / 2
        if np.abs(following - probability).sum() < tolerance:
            return following / following.sum()
        probability = following
    raise FractileError(f"the distribution over states did not settle in {iterations} periods; raise the tolerance")


BLOCK = 500_000
"""Numbers that are looked at together in one block of a large grid: about what stays in cache."""


@dataclass(frozen=True, eq=False)
class LevelModel:
    """Orders that move one number, the level i, to i + q at once: no lead time, or backorders.

    `v(i) = min_q K(q) + g(i + q) + γ Σ_j P(i + q, j) v(j)`

    Attributes:
        cost: expected cost of a period from each level after ordering, money, shape (levels,). [g]
        transition: from the level after ordering to the next period's, shape (levels, levels). [P]
        quantities: orders to choose from, units, from 0 up, shape (orders,). [q]
        ordering: what each costs, money, shape (orders,). [K]
        discount: factor a period. [γ]
    """

    cost: FloatArray
    transition: FloatArray
    quantities: IntArray
    ordering: FloatArray
    discount: float = 1.0
    _charge: FloatArray = field(init=False, repr=False)  # (orders, levels), infinite beyond the highest level
    _reached: IntArray = field(init=False, repr=False)  # level after each order, (orders, levels)

    def __post_init__(self) -> None:
        level = self.quantities[:, None] + self.position
        object.__setattr__(self, "_charge", np.where(level > self.highest, np.inf, self.ordering[:, None]))
        object.__setattr__(self, "_reached", np.minimum(level, self.highest))

    @property
    def highest(self) -> int:
        """The largest level of the grid."""
        return len(self.cost) - 1

    @property
    def position(self) -> IntArray:
        """The level before the order."""
        return np.arange(len(self.cost))

    @property
    def reachable(self) -> BoolArray:
        """Every level."""
        return np.ones(len(self.cost), dtype=bool)

    def update(self, value: FloatArray) -> FloatArray:
        """Return the least expected cost from each level. [Tv]"""
        return self._candidates(value).min(0)

    def choose(self, value: FloatArray) -> IntArray:
        """Return the choice that attains it."""
        return self._candidates(value).argmin(0)

    def push(self, probability: FloatArray, choice: IntArray) -> FloatArray:
        """Return the distribution over levels one period later."""
        return self._ordered(probability, choice) @ self.transition

    def mean_cost(self, probability: FloatArray, choice: IntArray) -> float:
        """Return the expected cost of a period, money."""
        return float(self._ordered(probability, choice) @ self.cost + probability @ self.ordering[choice])

    def _ordered(self, probability: FloatArray, choice: IntArray) -> FloatArray:
        """The distribution over levels once the order has been added."""
        level = np.minimum(self.position + self.quantities[choice], self.highest)
        return np.bincount(level, weights=probability, minlength=len(self.cost)).astype(np.float64)

    def _candidates(self, value: FloatArray) -> FloatArray:
        return (self.cost + self.discount * (self.transition @ value))[self._reached] + self._charge


@dataclass(frozen=True, eq=False)
class PipelineModel:
    """Lost sales with a lead time L >= 1: stock with this period's arrival, and the orders that arrive after it.

    With x the stock, q_1 … q_{L−1} the orders that arrive later, and y what demand leaves of x,

    `v(x, q_1 … q_{L−1}) = g(x) + min_q K(q) + γ Σ_y P(x, y) v(y + q_1, q_2 … q_{L−1}, q)`

    for orders q that keep the inventory position within `highest`. Values are kept newest order first and stock
    last: one matrix product then looks ahead from all states at once, without an index in memory.

    Attributes:
        cost: expected cost of a period from each stock, money, shape (levels,). [g]
        transition: from the stock before demand to that after it, shape (levels, levels). [P]
        quantities: orders to choose from, units, from 0 up, shape (orders,). [q]
        ordering: what each costs, money, shape (orders,). [K]
        lead_time: periods, at least 1. [L]
        discount: factor a period. [γ]
    """

    cost: FloatArray
    transition: FloatArray
    quantities: IntArray
    ordering: FloatArray
    lead_time: int
    discount: float = 1.0
    position: IntArray = field(init=False, repr=False)  # stock and orders under way before the order, units
    _room: IntArray = field(init=False, repr=False)  # position up to which each order may be placed, (orders, 1, 1)
    _moves: FloatArray = field(init=False, repr=False)  # probability of x′ = y + q_1, (x′, (q_1, x))

    def __post_init__(self) -> None:
        levels, quantities = np.arange(len(self.cost)), self.quantities
        # Small integers: on large grids, the memory of the positions counts.
        kind = np.int16 if quantities[-1] * self.lead_time + self.highest < 2**15 else np.int64
        position = np.zeros(self.shape, dtype=kind)
        for axis in np.ix_(*[quantities.astype(kind)] * (self.lead_time - 1), levels.astype(kind)):
            position += axis
        room = self.highest - quantities
        room[0] = np.iinfo(kind).max  # no order may always be placed
        moves = np.zeros((len(levels), len(quantities), len(levels)))
        for j, quantity in enumerate(quantities):
            np.add.at(moves[:, j], np.minimum(levels + quantity, self.highest), self.transition.T)
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "_room", room.astype(kind)[:, None, None])
        object.__setattr__(self, "_moves", moves.reshape(len(levels), -1))

    @property
    def highest(self) -> int:
        """The largest inventory position."""
        return len(self.cost) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of value functions: an axis for each later order, newest first, and stock."""
        return (*[len(self.quantities)] * (self.lead_time - 1), len(self.cost))

    @property
    def reachable(self) -> BoolArray:
        """States with a position within the highest."""
        return self.position <= self.highest

    def update(self, value: FloatArray) -> FloatArray:
        """Return the least expected cost from each state. [Tv]"""
        new = np.empty(self._flat)
        charged = np.tile(self.cost, self._flat[1] // len(self.cost))
        for rows in self._blocks:
            new[rows] = self._candidates(value, rows).min(0) + charged
        return new.reshape(self.shape)

    def choose(self, value: FloatArray) -> IntArray:
        """Return the choice that attains it."""
        choice = np.empty(self._flat, dtype=np.int64)
        for rows in self._blocks:
            choice[rows] = self._candidates(value, rows).argmin(0)
        return choice.reshape(self.shape)

    def push(self, probability: FloatArray, choice: IntArray) -> FloatArray:
        """Return the distribution over states one period later."""
        following = np.zeros((len(self.quantities), self._flat[0], len(self.cost)))
        for a in np.unique(choice[probability > 0]):
            mass = np.where(choice == a, probability, 0.0).reshape(self._flat)
            # What of the moves an order a leads through: with L = 1 it is itself the next to arrive.
            columns = slice(None) if self.lead_time > 1 else slice(a * len(self.cost), (a + 1) * len(self.cost))
            following[a] = mass @ self._moves[:, columns].T
        return (following if self.lead_time > 1 else following.sum(0)).reshape(self.shape)

    def mean_cost(self, probability: FloatArray, choice: IntArray) -> float:
        """Return the expected cost of a period, money."""
        return float((probability * (self.cost + self.ordering[choice])).sum())

    @property
    def _flat(self) -> tuple[int, int]:
        """The grid as a matrix: the oldest of the later orders and stock are the columns."""
        width = len(self.cost) * (len(self.quantities) if self.lead_time > 1 else 1)
        return int(np.prod(self.shape)) // width, width

    @property
    def _blocks(self) -> Iterator[slice]:
        rows = max(1, BLOCK // (self._flat[1] * len(self.quantities)))
        return (slice(first, first + rows) for first in range(0, self._flat[0], rows))

    def _candidates(self, value: FloatArray, rows: slice) -> FloatArray:
        """Cost of each order and of what follows it, shape (orders, rows, columns)."""
        orders = len(self.quantities)
        if self.lead_time > 1:
            ahead = (self.discount * value.reshape(orders, -1, len(self.cost))[:, rows]) @ self._moves
        else:
            ahead = ((self.discount * value) @ self._moves).reshape(orders, 1, -1)
        ahead += self.ordering[:, None, None]
        np.putmask(ahead, self.position.reshape(self._flat)[rows] > self._room, np.inf)
        return ahead


StockModel: TypeAlias = LevelModel | PipelineModel
"""Either: states, `reachable` ones and their inventory `position`; one sweep (`update`, `choose`); one period under a
choice of orders (`push`, `mean_cost`)."""
