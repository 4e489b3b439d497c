"""The projected-inventory-level policy with a fixed level, exact for demand of a known distribution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.types import ItemParams, Observation
from ..envs.demand.distributions import IndependentDemand
from ..errors import FractileError
from .base import per_item
from .exact.dynamic_programming import transition

KEPT = 1_000_000
"""States whose projection is remembered; beyond that the memory starts again."""


@dataclass(frozen=True, eq=False)
class ProjectedLevel:
    """Order so that expected stock, when the order arrives, is a fixed level U.

    `q = ⌈max(U − E[stock when the order arrives], 0)⌉`: stock is carried through the L periods until then,
    exactly, so that demand that is lost on the way is not bought a second time. With backorders, where
    nothing is lost, it is the base-stock policy with the level U + L·μ. The policy is that of van Jaarsveld and Arts,
    "Projected inventory level policies for lost sales inventory systems".

    Attributes:
        level: expected stock to order up to, units, one for all or per item. [U]
        demand: a discrete demand model of the items.

    Raises:
        FractileError: where the level is out of its range, or demand is continuous.
    """

    level: Any
    demand: IndependentDemand
    # What was projected once is looked up the next time: a pure function's memory.
    _projections: dict[tuple[int, int], Projection] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", per_item(self.level))
        if not (np.isfinite(self.level) & (np.asarray(self.level) >= 0)).all():
            raise FractileError(f"level must be a number >= 0, got {self.level}")
        if not isinstance(self.demand, IndependentDemand) or not self.demand.discrete:
            raise FractileError(
                f"projected_level needs discrete demand, got {type(self.demand).__name__}; "
                "the policy 'projected' works from forecasts"
            )

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items); stock and pipeline count in whole units."""
        expected = self.projected_stock(obs)
        # Rounding errors of the expectation must not add a unit.
        return np.ceil(np.maximum(self.level - expected, 0.0) - 1e-9)

    def projected_stock(self, obs: Observation) -> FloatArray:
        """Return expected stock when an order placed now arrives, without that order, units, (paths, items)."""
        share = obs.params.lost_share
        if np.all(np.asarray(share) == 0.0):
            return self._without_loss(obs)
        if np.any(np.asarray(share) != 1.0):
            raise FractileError("projected_level needs unmet_demand 'lost' or 'backorder', not a share of each")
        shape = obs.net_inventory.shape
        lead_time = np.broadcast_to(obs.params.lead_time, shape)
        expected = np.empty(shape)
        for item in range(shape[1]):
            for periods in np.unique(lead_time[:, item]):
                paths = np.flatnonzero(lead_time[:, item] == periods)
                expected[paths, item] = self._expected(obs, item, int(periods), paths)
        return expected

    def _expected(self, obs: Observation, item: int, lead_time: int, paths: IntArray) -> FloatArray:
        stock = obs.net_inventory[paths, item]
        if not lead_time:
            return stock
        state = np.array(obs.pipeline[:lead_time, paths, item])
        state[0] += stock
        return self._projection(item, lead_time).look_up(np.rint(state.clip(0)).astype(np.int64))

    def _without_loss(self, obs: Observation) -> FloatArray:
        lead_time = np.asarray(obs.params.lead_time)
        due = np.arange(len(obs.pipeline)).reshape(-1, 1, 1) < lead_time
        arriving = np.where(due, obs.pipeline, 0.0).sum(0)
        expected: FloatArray = obs.net_inventory + arriving - lead_time * self.demand.distribution().mean()
        return expected

    def _projection(self, item: int, lead_time: int) -> Projection:
        if (item, lead_time) not in self._projections:
            one = self.demand.select(np.array([min(item, self.demand.items - 1)]))
            self._projections[item, lead_time] = Projection(one)
        return self._projections[item, lead_time]


class Projection:
    """Expected stock behind the lead time under lost sales, exact, and remembered by state.

    Args:
        demand: a discrete demand model of one item.
    """

    def __init__(self, demand: IndependentDemand) -> None:
        self.demand = demand
        self._moves: FloatArray = np.ones((1, 1))
        self._bits = 0
        self._keys: IntArray = np.zeros(0, dtype=np.int64)
        self._values: FloatArray = np.zeros(0)

    def look_up(self, state: IntArray) -> FloatArray:
        """Return expected stock behind the last period of `state`.

        Args:
            state: stock with this period's arrival, then what arrives later, units, shape (L, paths), L >= 1.

        Returns:
            units, shape (paths,).
        """
        bits = max(int(state.max(initial=1)).bit_length(), self._bits)
        if bits * len(state) > 63:
            return self._project(state)  # a state does not fit into one integer: nothing is remembered
        if bits > self._bits or len(self._keys) > KEPT:
            self._bits, self._keys, self._values = bits, np.zeros(0, dtype=np.int64), np.zeros(0)
        key, first, back = np.unique(_packed(state, bits), return_index=True, return_inverse=True)
        at = np.searchsorted(self._keys, key)
        fresh = np.append(self._keys, -1)[at] != key
        self._values = np.insert(self._values, at[fresh], self._project(state[:, first[fresh]]))
        self._keys = np.insert(self._keys, at[fresh], key[fresh])
        return self._values[np.searchsorted(self._keys, key)][back]

    def _project(self, state: IntArray) -> FloatArray:
        """Carry the distribution of stock from period to period."""
        if not state.size:
            return np.zeros(state.shape[1])
        moves = self._moves_up_to(int(state.sum(0).max()))
        left = moves @ np.arange(len(moves))
        if len(state) == 1:
            return left[state[0]]
        stock = moves[state[0]]
        for arriving in state[1:-1]:
            stock = _after(stock, arriving, moves)
        return _after(stock, state[-1], left[:, None])[:, 0]

    def _moves_up_to(self, highest: int) -> FloatArray:
        """Probability of what a period's demand leaves of stock, shape (stock, left)."""
        if highest >= len(self._moves):
            self._moves = transition(np.arange(highest + 1), self.demand, ItemParams(unmet_demand="lost"))
        return self._moves


def _after(stock: FloatArray, arriving: IntArray, moves: FloatArray) -> FloatArray:
    """Add what arrives to the distribution of stock, path by path, and let demand occur."""
    after = np.empty((len(stock), moves.shape[1]))
    for units in np.unique(arriving):
        paths = arriving == units
        after[paths] = stock[paths, : len(moves) - units] @ moves[units:]
    return after


def _packed(state: IntArray, bits: int) -> IntArray:
    """Each path's state as one integer."""
    key = np.zeros(state.shape[1], dtype=np.int64)
    for units in state:
        key = (key << bits) | units
    return key
