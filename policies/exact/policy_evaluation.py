"""The exact cost of a given policy, from the Markov chain it makes of a small system, and its best parameters by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from ...arrays import BoolArray, FloatArray, IntArray
from ...envs.core.period import StockState, SystemParams
from ...envs.demand.independent import IndependentDemand
from ...envs.networks.network import Network
from ...errors import FractileError
from ..base import Policy
from ..dual_sourcing import SingleIndex
from .small_system import RowTable, SmallSystem

NEGLIGIBLE = 1e-12
"""Share of periods up to which a state is not looked into."""

MAX_STATES = 1_000_000
"""States at which an exploration is given up."""

ROUND = 12
"""Sweeps of the distribution between two looks for states that matter."""

SWEEPS = 200_000
"""Sweeps after which a distribution that does not settle is given up."""

ROUNDING = 1e-15
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
    params: SystemParams,
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
        first = self._with_orders(start)
        self.table = RowTable(first.shape[1])
        self.table.add(first)
        self.cost: FloatArray = np.zeros(1)
        self.explored: BoolArray = np.zeros(1, dtype=bool)
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
            self._targets.append(self.table.add(self._with_orders(self.system.state(following))))
            self._sources.append(block)
            if len(self.table) > self.max_states:
                raise FractileError(
                    f"{type(self.policy).__name__} leads to more than {self.max_states} states: "
                    "take a smaller instance, raise max_states, or simulate"
                )
            new = np.zeros(len(self.table) - len(self.cost))
            self.cost, self.share = np.concatenate([self.cost, new]), np.concatenate([self.share, new])
            self.explored = np.concatenate([self.explored, new > 0])
            self.cost[block], self.explored[block] = cost, True
        probability, closed = self.system.points.probability, np.flatnonzero(~self.explored)
        sources = np.concatenate(self._sources)
        entries = np.concatenate([np.tile(probability, len(sources)), np.ones(len(closed))])
        origin = np.concatenate([np.repeat(sources, len(probability)), closed])
        target = np.concatenate([*self._targets, np.zeros_like(closed)])
        self.transition = sparse.csr_array((entries, (origin, target)), shape=(len(self.table),) * 2)

    def _with_orders(self, state: StockState) -> FloatArray:
        """Return states with what is due received, and the orders that the policy places in them, as rows.

        Beside the order, it no longer matters how much of the stock has come just now: that makes for fewer states.
        """
        order = np.asarray(self.policy.order(self.system.observe(state)), dtype=np.float64)
        return np.concatenate([self.system.rows(self.system.receive(state)), order], axis=1)

    def sweep(self) -> float:
        """Move the distribution on by a round; return about how far it still is from the stationary one."""
        self._sweeps += ROUND
        _check_sweeps(self._sweeps, type(self.policy).__name__, len(self.table))
        self.share, remaining = _sweep(self.share, self.transition)
        return remaining


def stationary_shares(
    share: FloatArray, transition: sparse.csr_array, name: str, tolerance: float = 1e-11
) -> FloatArray:
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
        share, remaining = _sweep(share, transition)
    return share


def _sweep(share: FloatArray, transition: sparse.csr_array) -> tuple[FloatArray, float]:
    """Return the distribution a round of sweeps later, and an estimate of how far from stationary it is."""
    changes, into = [], transition.T
    for _ in range(ROUND):
        # Half of the mass waits a period: that leaves the shares alone in the end, and cycles die out.
        following = (share + into @ share) / 2
        changes.append(float(np.abs(following - share).sum()))
        share = following / following.sum()
    if changes[-1] < ROUNDING:
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


Point: TypeAlias = tuple[int, ...]

SEARCH_STATES = 100_000
"""States at which a candidate is passed over."""


class Best(NamedTuple):
    """The result of a search.

    Attributes:
        policy: with the best parameters.
        parameters: by name.
        cost: of a period in the long run, or what else was minimised, money.
        evaluations: candidates that were evaluated.
    """

    policy: Any
    parameters: dict[str, int]
    cost: float
    evaluations: int


def best_policy(
    make: Callable[..., Policy],
    start: Mapping[str, int],
    demand: IndependentDemand,
    params: SystemParams,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    criterion: Callable[[ExactCost], float] | None = None,
    **options: Any,
) -> Best:
    """Search whole-number parameters of a policy for the lowest exact cost.

    From the start on, the search moves to the best of all neighbours, each parameter one lower, the same or one
    higher, until none is better: the optimum where costs have one valley.

    Args:
        make: returns the policy with given parameters, by name.
        start: where the search begins, values by name.
        demand: see `exact_cost`.
        params: see `exact_cost`.
        limits: lowest and highest value of parameters, by name.
        criterion: what is minimised; average cost where None.
        **options: of `exact_cost`.

    Raises:
        FractileError: where the start itself cannot be evaluated; other candidates are passed over.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.envs.core.types import ItemParams
    >>> from fractile.policies.base_stock import BaseStock
    >>> params = ItemParams(lead_time=1, holding_cost=1, stockout_cost=4)
    >>> found = best_policy(BaseStock, {"level": 15}, Poisson(5.0), params)
    >>> found.parameters, round(found.cost, 4)
    ({'level': 12}, 4.1628)
    """
    bounds = [(limits or {}).get(name, (-np.inf, np.inf)) for name in start]

    def policy(point: Point) -> Policy:
        return make(**dict(zip(start, point, strict=True)))

    def cost(point: Point) -> float:
        exact = exact_cost(policy(point), demand, params, **{"max_states": SEARCH_STATES, **options})
        return exact.average_cost if criterion is None else criterion(exact)

    first = tuple(int(value) for value in start.values())
    costs = _descend({first: cost(first)}, cost, bounds)
    best = min(costs, key=costs.__getitem__)
    return Best(policy(best), dict(zip(start, best, strict=True)), costs[best], len(costs))


def _descend(
    costs: dict[Point, float], cost: Callable[[Point], float], bounds: list[tuple[float, float]]
) -> dict[Point, float]:
    """Move on to the best neighbour of the best point until there is none; return every cost on the way."""
    costs, left = dict(costs), True
    while left:
        best = min(costs, key=costs.__getitem__)
        around = [tuple(np.add(best, move).tolist()) for move in product((0, -1, 1), repeat=len(best))]
        left = False
        for point in around:
            inside = all(low <= value <= high for value, (low, high) in zip(point, bounds, strict=True))
            if not inside or point in costs:
                continue
            left = True
            try:
                costs[point] = cost(point)
            except FractileError:  # e.g. stock that grows without end: passed over
                costs[point] = np.inf
    return costs


def best_dual_sourcing(make: Callable[..., Policy], demand: IndependentDemand, network: Network) -> Best:
    """Search the best parameters of a policy for two suppliers: see `dual_sourcing` and `best_policy`.

    The search begins at newsvendor levels. The single-index policy has a valley for every gap between its two levels:
    each gap up to the largest demand is searched on its own.

    Args:
        make: `SingleIndex`, `DualIndex`, `CappedDualIndex` or `TailoredBaseSurge`.
        demand: discrete, of one item.
        network: of one item, with a slow and a fast supplier.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.envs.networks.shapes import dual_sourcing
    >>> from fractile.policies.dual_sourcing import TailoredBaseSurge
    >>> network = dual_sourcing(holding_cost=1.0, stockout_cost=9.0, regular_cost=0.0, expedited_cost=2.0)
    >>> best_dual_sourcing(TailoredBaseSurge, Poisson(2.0), network).parameters
    {'quantity': 1, 'expedited_level': 4}
    """
    system, ratio = SmallSystem(demand, network), float(np.max(network.stock.critical_ratio))
    slow, fast = (int(lead_time) for lead_time in network.lead_time)
    most = max(int(np.ceil(system.points.mean)) - 1, 0)
    level = system.fractile(ratio, slow + 1)
    if make is SingleIndex:
        gaps = range(int(system.points.units[-1]) + 1)
        return min((_best_with_gap(gap, level, demand, network) for gap in gaps), key=lambda best: best.cost)
    usual = {
        "regular_level": level,
        "expedited_level": system.fractile(ratio, fast + 1),
        "cap": most + 1,
        "quantity": most,
    }
    start = {name: usual[name] for name in getattr(make, "__dataclass_fields__", usual)}
    # A base of mean demand and more makes stock grow without end.
    return best_policy(make, start, demand, network, limits={"quantity": (0, most), "cap": (0, np.inf)})


def _best_with_gap(gap: int, level: int, demand: IndependentDemand, network: Network) -> Best:
    def make(regular_level: int) -> Policy:
        return SingleIndex(regular_level, regular_level - gap)

    best = best_policy(make, {"regular_level": level}, demand, network)
    return best._replace(parameters={**best.parameters, "expedited_level": best.parameters["regular_level"] - gap})
