"""Simulation of more items than memory holds: blocks of items are drawn, simulated, added up and dropped."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.params import ItemParams
from ..envs.core.types import Scenario
from ..errors import FractileError
from ..randomness import keyed_generator
from .base import Policy, Progress, no_progress
from .rollout import roll, starting_state

ITEM_BLOCK = 4096
"""Items that are drawn with one generator and simulated together; it never changes, since draws depend on it."""


@dataclass(frozen=True, eq=False)
class StreamTotals:
    """Costs and units of a policy, item by item: sums over paths and periods, without the warm-up.

    Attributes:
        cost: money, shape (items,).
        holding: likewise.
        stockout: likewise.
        demand: units, shape (items,).
        sales: units met from stock at once, shape (items,).
        paths: demand paths of each item.
        periods: periods that count.
    """

    cost: FloatArray
    holding: FloatArray
    stockout: FloatArray
    demand: FloatArray
    sales: FloatArray
    paths: int
    periods: int

    @property
    def mean_cost(self) -> float:
        """Cost per period and item, money."""
        return float(self.cost.mean() / (self.paths * self.periods))

    @property
    def fill_rate(self) -> float:
        """Share of demanded units met from stock at once."""
        return float(self.sales.sum() / self.demand.sum()) if self.demand.any() else 1.0


def stream(
    policy: Policy,
    model: Any,
    params: ItemParams,
    *,
    seed: int,
    paths: int,
    periods: int,
    warm_up: int = 0,
    forecasts: bool = False,
    progress: Progress = no_progress,
) -> StreamTotals:
    """Simulate a policy on any number of items, in the memory that a few thousand need.

    Args:
        policy: turns observations into orders; parameters of shape (items,) go with their items.
        model: demand that is independent over items, with `select`, e.g. `Poisson(mean)`.
        params: lead times, costs and order rules, scalars or (items,).
        seed: of the demand, keyed by blocks of `ITEM_BLOCK` items: the items of a whole block have the same paths
            however many follow.
        paths: demand paths of each item.
        periods: periods in all.
        warm_up: periods at the start that do not count.
        forecasts: show the policy the true distribution as its forecast; off, it sees stock and pipeline alone.
        progress: called after every block of items.

    Returns:
        Sums for every item.

    Raises:
        FractileError: where demand cannot be cut into blocks of items.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> from fractile.policies.base_stock import BaseStock
    >>> params = ItemParams(lead_time=2, stockout_cost=4.0)
    >>> totals = stream(BaseStock(16), Poisson(np.full(10_000, 5.0)), params, seed=1, paths=2, periods=30, warm_up=10)
    >>> 4.6 < totals.mean_cost < 4.7
    True
    """
    if not hasattr(model, "select"):
        raise FractileError(
            f"{type(model).__name__} demand cannot be streamed: it has no select(items), so its items cannot be cut "
            "into blocks; use fr.simulate"
        )
    if params.capacity is not None:
        raise FractileError("items that share a capacity are simulated together: use fr.simulate")
    if not 0 <= warm_up < periods:
        raise FractileError(f"warm_up must be from 0 to {periods - 1}, got {warm_up}")
    parts = []
    for first in range(0, model.items, ITEM_BLOCK):
        chosen = np.arange(first, min(first + ITEM_BLOCK, model.items))
        rng = keyed_generator(seed, "stream", first // ITEM_BLOCK)
        some = model.select(chosen)
        truth = [some.forecast(int(np.max(params.protection_interval)))] * periods if forecasts else None
        scenario = Scenario(some.sample(rng, paths, periods), forecasts=truth)
        of_items, theirs = _of_items(policy, chosen, model.items), params.select(chosen)
        # Cost, holding, stock-out, demand and sales of each item.
        totals = np.zeros((5, scenario.items))
        rolled = roll(of_items, scenario, theirs, starting_state(of_items, scenario, theirs))
        for period, (_, out) in islice(enumerate(rolled), warm_up, None):
            held, short = theirs.holding_cost * out.on_hand, theirs.stockout_cost * out.shortfall
            totals += [x.sum(0) for x in (out.cost, held, short, scenario.demand[:, period], out.sales)]
        parts.append(totals)
        done = int(chosen[-1]) + 1
        progress(f"{done} of {model.items} items", done / model.items)
    cost, holding, stockout, demand, sales = np.concatenate(parts, axis=1)
    return StreamTotals(cost, holding, stockout, demand, sales, paths, periods - warm_up)


def _of_items(policy: Policy, chosen: IntArray, items: int) -> Policy:
    """Return the policy of some items: parameters with a number for each item are cut."""
    whole: Any = policy
    if hasattr(whole, "select"):
        selected: Policy = whole.select(chosen)
        return selected
    if not is_dataclass(whole):
        return policy
    values = {f.name: getattr(whole, f.name) for f in fields(whole) if f.init}
    cut = {k: v[chosen] for k, v in values.items() if isinstance(v, np.ndarray) and v.shape == (items,)}
    return replace(whole, **cut) if cut else policy  # type: ignore[type-var, return-value]
