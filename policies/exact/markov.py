"""What a policy costs, exactly: the Markov chain that it makes of a small system, without simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...arrays import FloatArray, IntArray
from ...envs.core.period import StockState
from ...envs.demand.distributions import IndependentDemand
from ...errors import FractileError
from ..base import Policy
from .enumeration import SmallSystem
from .row_table import RowTable

NEGLIGIBLE = 1e-12
"""Share of periods up to which a state is not looked into."""

MAX_STATES = 1_000_000
"""States at which an exploration is given up."""

ROUND = 12
"""Sweeps of the distribution between two looks for states that matter."""

SWEEPS = 200_000
"""Sweeps after which a distribution that does not settle is given up."""

SETTLED = 1e-15
"""Change in a sweep that is no more than rounding."""

BLOCK = 1_000_000
"""States times demands that are looked at together."""


@dataclass(frozen=True, eq=False)
class ExactCost:
    """The Markov chain of a system under a policy, and what it costs.

    Attributes:
        system: demand and parameters.
        states: everything the system is ever in, the start first: a state with what is due received, and the orders
            placed in it, as one row; see `SmallSystem.rows`.
        cost: expected cost of a period that begins in each state, money, shape (states,).
        transition: probability of going from state to state in a period, shape (states, states).
        stationary: share of periods that begin in each state, shape (states,). [π]
        truncated: share of periods in states that were not looked into: together, they hardly matter.
    """

    system: SmallSystem
    states: FloatArray
    cost: FloatArray
    transition: sparse.csr_array
    stationary: FloatArray
    truncated: float

    @property
    def average_cost(self) -> float:
        """Average cost per period in the long run, money: `Σ_s π(s) c(s)`."""
        return float(self.stationary @ self.cost)

    def by_period(self, periods: int) -> FloatArray:
        """Return the expected cost of the first periods, money, shape (periods,).

        Args:
            periods: number of periods, from the start on.
        """
        costs, share = np.empty(periods), self._begin()
        for t in range(periods):
            costs[t] = share @ self.cost
            share = share @ self.transition
        return costs

    def discounted_cost(self, discount: float | None = None) -> float:
        """Return the expected discounted cost from the start on, money: `Σ_t γ^t E[c(s_t)]`, t = 0, 1, …

        Args:
            discount: factor a period, below 1; the parameters' where None. [γ]
        """
        gamma = float(self.system.params.discount) if discount is None else discount
        if not 0 < gamma < 1:
            raise FractileError(f"discount must lie in (0, 1) for a discounted cost, got {gamma}; see average_cost")
        total, weight, share = 0.0, 1.0, self._begin()
        while weight > 1e-14 and np.abs(share - self.stationary).sum() > 1e-13:
            total += weight * float(share @ self.cost)
            share, weight = share @ self.transition, gamma * weight
        # From here on, every period costs the average.
        return total + weight / (1.0 - gamma) * self.average_cost

    def _begin(self) -> FloatArray:
        share = np.zeros(len(self.cost))
        share[0] = 1.0
        return share


def exact_cost(
    policy: Policy,
    demand: IndependentDemand,
    params: Any,
    *,
    start: StockState | None = None,
    tolerance: float = 1e-11,
    negligible: float = NEGLIGIBLE,
    max_states: int = MAX_STATES,
) -> ExactCost:
    """Evaluate a policy exactly on a small system: lost sales or backorders, perishable stock, networks.

    States are found from the start on through the system's own `step`, with every demand at once. A state is looked
    into when more than a negligible share of periods begins in it, so that stock without an upper bound does no harm
    as long as its tail is light. The distribution over states is then iterated until it has settled. Shares of units,
    as when part of the unmet demand waits, make states without end.

    Args:
        policy: its order may depend on the observation alone: neither on the period nor on chance.
        demand: discrete and independent over periods, of one item or one location. [D]
        params: of the item, or a `Network` with demand at one location.
        start: one path's state in the first period; nothing on hand and nothing under way where None.
        tolerance: on the distribution over states, summed over them.
        negligible: share of periods up to which a state is not looked into.
        max_states: number of states at which it is given up.

    Returns:
        Average cost, distribution over states, expected cost by period, discounted cost.

    Raises:
        FractileError: where the system cannot be listed, has too many states, or never settles.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.envs.core.types import ItemParams
    >>> from fractile.policies.base_stock import BaseStock
    >>> params = ItemParams(lead_time=2, holding_cost=1, stockout_cost=9, unmet_demand="backorder")
    >>> round(exact_cost(BaseStock(20), Poisson(5.0), params).average_cost, 4)
    7.123
    """
    system = SmallSystem(demand, params)
    chain = _Chain(policy, system, system.empty if start is None else start, max_states)
    while True:
        remaining = chain.sweep()
        wanted = np.flatnonzero(~chain.explored & (chain.share > negligible))
        if len(wanted):
            chain.expand(wanted)
        elif remaining < tolerance:
            break
    left_out = float(chain.share[~chain.explored].sum())
    return ExactCost(system, chain.table.rows, chain.cost, chain.transition, chain.share, left_out)


class _Chain:
    """A Markov chain that is explored from its start on; states that are not explored lead back to the start."""

    def __init__(self, policy: Policy, system: SmallSystem, start: StockState, max_states: int) -> None:
        self.policy, self.system, self.max_states = policy, system, max_states
        first = self._decided(start)
        self.table = RowTable(first.shape[1])
        self.table.add(first)
        self.cost: FloatArray = np.zeros(1)
        self.explored: NDArray[np.bool_] = np.zeros(1, dtype=bool)
        self.share: FloatArray = np.ones(1)
        self.transition: sparse.csr_array
        self._sources: list[IntArray] = []
        self._targets: list[IntArray] = []
        self._sweeps = 0
        self.expand(np.zeros(1, dtype=np.int64))

    def expand(self, index: IntArray) -> None:
        """Find where these states lead."""
        size, width = max(1, BLOCK // len(self.system.points.units)), self.system.width
        for block in np.split(index, range(size, len(index), size)):
            rows = self.table.rows[block]
            following, cost = self.system.advance(rows[:, :width], rows[:, width:])
            self._targets.append(self.table.add(self._decided(self.system.state(following))))
            self._sources.append(block)
            self._grow()
            self.cost[block], self.explored[block] = cost, True
        self.transition = self._linked()

    def _decided(self, state: StockState) -> FloatArray:
        """Return states with what is due received, and the orders that the policy places in them, as rows.

        Beside the order, it no longer matters how much of the stock has come just now: that makes for fewer states.
        """
        order = np.asarray(self.policy.order(self.system.observe(state)), dtype=np.float64)
        return np.concatenate([self.system.rows(self.system.receive(state)), order], axis=1)

    def sweep(self) -> float:
        """Move the distribution on by a round; return how far it still is from where it settles, about."""
        self._sweeps += ROUND
        _check_sweeps(self._sweeps, type(self.policy).__name__, len(self.table))
        self.share, remaining = _swept(self.share, self.transition)
        return remaining

    def _grow(self) -> None:
        if len(self.table) > self.max_states:
            raise FractileError(
                f"{type(self.policy).__name__} leads to more than {self.max_states} states: "
                "take a smaller instance, raise max_states, or simulate"
            )
        new = np.zeros(len(self.table) - len(self.cost))
        self.cost, self.share = np.concatenate([self.cost, new]), np.concatenate([self.share, new])
        self.explored = np.concatenate([self.explored, new > 0])

    def _linked(self) -> sparse.csr_array:
        """The transition matrix."""
        probability, closed = self.system.points.probability, np.flatnonzero(~self.explored)
        sources = np.concatenate(self._sources)
        entries = np.concatenate([np.tile(probability, len(sources)), np.ones(len(closed))])
        origin = np.concatenate([np.repeat(sources, len(probability)), closed])
        target = np.concatenate([*self._targets, np.zeros_like(closed)])
        return sparse.csr_array((entries, (origin, target)), shape=(len(self.table),) * 2)


def settle(share: FloatArray, transition: sparse.csr_array, name: str, tolerance: float = 1e-11) -> FloatArray:
    """Return the share of periods that begin in each state of a chain in the long run, shape (states,).

    Args:
        share: distribution to start from, shape (states,).
        transition: probability of going from state to state, shape (states, states).
        name: of what leads to the chain, for messages.
        tolerance: on the distribution, summed over states.

    Raises:
        FractileError: where it does not settle.
    """
    remaining, sweeps = np.inf, 0
    while remaining > tolerance:
        sweeps += ROUND
        _check_sweeps(sweeps, name, len(share))
        share, remaining = _swept(share, transition)
    return share


def _swept(share: FloatArray, transition: sparse.csr_array) -> tuple[FloatArray, float]:
    """Return the distribution a round of sweeps later, and an estimate of how far from settled it is."""
    changes, into = [], transition.T
    for _ in range(ROUND):
        # Half of the mass waits a period: that leaves the shares alone in the end, and cycles die out.
        following = (share + into @ share) / 2
        changes.append(float(np.abs(following - share).sum()))
        share = following / following.sum()
    if changes[-1] < SETTLED:
        return share, 0.0
    # Changes shrink by a constant factor in the end, so that the rest is a geometric series.
    factor = (changes[-1] / changes[0]) ** (1 / (ROUND - 1))
    return share, changes[-1] / (1 - factor) if factor < 1 else np.inf


def _check_sweeps(sweeps: int, name: str, states: int) -> None:
    if sweeps > SWEEPS:
        raise FractileError(
            f"{name} leads to no steady state over {states} states: stock or backorders may grow without end; "
            "take smaller orders, or simulate"
        )
