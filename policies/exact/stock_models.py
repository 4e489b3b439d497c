"""The two kinds of grid that the stock of one item is solved on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray

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

    @property
    def highest(self) -> int:
        """The largest level of the grid."""
        return len(self.cost) - 1

    @property
    def position(self) -> IntArray:
        """The level before the order."""
        return np.arange(len(self.cost))

    @cached_property
    def reachable(self) -> NDArray[np.bool_]:
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

    @cached_property
    def _blocked(self) -> FloatArray:
        """Ordering cost, infinite where the order leads beyond the highest level, shape (orders, levels)."""
        beyond = self.quantities[:, None] + self.position > self.highest
        return np.where(beyond, np.inf, self.ordering[:, None])

    @cached_property
    def _reached(self) -> IntArray:
        return np.minimum(self.quantities[:, None] + self.position, self.highest)

    def _candidates(self, value: FloatArray) -> FloatArray:
        return (self.cost + self.discount * (self.transition @ value))[self._reached] + self._blocked


@dataclass(frozen=True, eq=False)
class PipelineModel:
    """Lost sales with a lead time L >= 1: stock with this period's arrival, and the orders behind it.

    With x the stock, q_1 … q_{L−1} the orders that arrive later, and y what demand leaves of x,

    `v(x, q_1 … q_{L−1}) = g(x) + min_q K(q) + γ Σ_y P(x, y) v(y + q_1, q_2 … q_{L−1}, q)`

    for orders q that keep the inventory position within `highest`. Values are kept newest order first and stock
    last: one matrix product then looks ahead from all states at once, without an index in memory.

    Attributes:
        cost: expected cost of a period from each stock, money, shape (levels,). [g]
        transition: from the stock before demand to that behind it, shape (levels, levels). [P]
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

    @property
    def highest(self) -> int:
        """The largest inventory position."""
        return len(self.cost) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of value functions: an axis for each later order, newest first, and stock."""
        return (*[len(self.quantities)] * (self.lead_time - 1), len(self.cost))

    @cached_property
    def position(self) -> IntArray:
        """Stock and orders under way before the order, units."""
        # Small integers: on large grids, the memory of this counts.
        kind = np.int16 if self.quantities[-1] * self.lead_time + self.highest < 2**15 else np.int64
        orders = [self.quantities.astype(kind)] * (self.lead_time - 1)
        axes = np.ix_(*orders, np.arange(len(self.cost), dtype=kind))
        total = np.zeros(self.shape, dtype=kind)
        for axis in axes:
            total += axis
        return total

    @cached_property
    def reachable(self) -> NDArray[np.bool_]:
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
            following[a] = mass @ self._moves[:, self._columns(a)].T
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

    @cached_property
    def _moves(self) -> FloatArray:
        """Probability of x′ = y + q_1, shape (x′, (q_1, x))."""
        levels = np.arange(len(self.cost))
        moves = np.zeros((len(levels), len(self.quantities), len(levels)))
        for j, quantity in enumerate(self.quantities):
            np.add.at(moves[:, j], np.minimum(levels + quantity, self.highest), self.transition.T)
        return moves.reshape(len(levels), -1)

    def _columns(self, a: int) -> slice:
        """What of the moves an order a leads through: with L = 1 it is itself the next to arrive."""
        return slice(None) if self.lead_time > 1 else slice(a * len(self.cost), (a + 1) * len(self.cost))

    @cached_property
    def _room(self) -> IntArray:
        """The position up to which each order may be placed; no order always may."""
        room = self.highest - self.quantities
        room[0] = np.iinfo(self.position.dtype).max
        return room.astype(self.position.dtype)[:, None, None]

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
