"""The best parameters of a policy on a small system, judged by exact cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...envs.demand.independent import IndependentDemand
from ...envs.networks.network import Network
from ...errors import FractileError
from ..base import Policy
from ..dual_sourcing import SingleIndex
from .enumeration import SmallSystem
from .markov import ExactCost, exact_cost

Point: TypeAlias = tuple[int, ...]

SEARCH_STATES = 100_000
"""States at which a candidate is passed over."""


class Best(NamedTuple):
    """What a search found.

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
    params: Any,
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
            if inside and point not in costs:
                costs[point], left = _or_infinite(cost, point), True
    return costs


def _or_infinite(cost: Callable[[Point], float], point: Point) -> float:
    try:
        return cost(point)
    except FractileError:
        return np.inf


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
