"""Histories whose true savings are known: items with shocks in common, and policies that play them with `fr.step`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

import fractile as fr

WARM_UP = 20
"""Weeks before those that count."""


@dataclass(frozen=True)
class World:
    """A law of demand.

    Attributes:
        sd: standard deviation of the logarithm of the shock that all items share.
        memory: its AR(1) coefficient.
        items: of a history, drawn anew for each.
        skew: standard deviation of the logarithm of the items' sizes.
    """

    sd: float
    memory: float
    items: int = 100
    skew: float = 0.6


@dataclass(frozen=True)
class Policy:
    """How orders are made.

    Attributes:
        kind: "up_to", "capped" (order up to, but at most `factor` times the mean), or "constant" (`factor` times it).
        factor: of the safety stock, or as `kind` says.
    """

    kind: str
    factor: float


@dataclass(frozen=True, eq=False)
class Items:
    """Items of many histories, each array of shape (histories, items).

    Attributes:
        size: mean demand of a week.
        variation: coefficient of variation of an item's own mean demand.
        shortage: stock-out cost of a unit; holding one costs 1.
    """

    size: np.ndarray
    variation: np.ndarray
    shortage: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, histories: int, world: World) -> Items:
        """Draw items from their population."""
        shape = (histories, world.items)
        size = 8.0 * np.exp(world.skew * rng.standard_normal(shape))
        variation = 0.5 * np.exp(0.3 * rng.standard_normal(shape))
        return cls(size, variation, 4.0 * np.exp(0.5 * rng.standard_normal(shape)))

    def level(self, world: World, lead_time: int, factor: float) -> np.ndarray:
        """Return the newsvendor's level of demand over the protection interval, its safety stock times `factor`."""
        span = lead_time + 1
        own = span * ((self.variation * self.size) ** 2 + self.size)
        sd = np.sqrt(own + 0.5 * (world.sd * self.size * span) ** 2)
        return span * self.size + factor * stats.norm.ppf(self.shortage / (1 + self.shortage)) * sd


def play(
    rng: np.random.Generator,
    world: World,
    policies: Mapping[str, Policy],
    *,
    histories: int,
    weeks: int,
    lead_time: int,
) -> dict[str, np.ndarray]:
    """Return what each policy costs on the same demand, unmet demand being lost.

    Returns:
        Money by policy, shape (histories, weeks, items).
    """
    items = Items.draw(rng, histories, world)
    params = fr.ItemParams(lead_time=lead_time, holding_cost=1.0, stockout_cost=1.0, unmet_demand="lost")
    mean = np.repeat(items.size[None], lead_time, axis=0)
    levels = {
        name: items.level(world, lead_time, policy.factor if policy.kind == "up_to" else 1.0)
        for name, policy in policies.items()
    }
    states = {
        name: fr.InventoryState(np.maximum(level - lead_time * items.size, 0.0), mean) for name, level in levels.items()
    }
    costs = {name: np.empty((histories, weeks, world.items)) for name in policies}
    shock = world.sd * rng.standard_normal(histories)
    shape = 1 / items.variation**2
    for week in range(-WARM_UP, weeks):
        expected = items.size * np.exp(shock - world.sd**2 / 2)[:, None]
        demand = rng.poisson(rng.gamma(shape, expected / shape)).astype(float)
        for name, policy in policies.items():
            state = states[name]
            order = np.maximum(levels[name] - state.net_inventory - state.pipeline.sum(0), 0.0)
            if policy.kind == "capped":
                order = np.minimum(order, policy.factor * items.size)
            elif policy.kind == "constant":
                order = policy.factor * items.size
            states[name], outcome = fr.step(state, order, demand, params)
            if week >= 0:
                costs[name][:, week] = outcome.on_hand + items.shortage * outcome.shortfall
        news = world.sd * np.sqrt(1 - world.memory**2) * rng.standard_normal(histories)
        shock = world.memory * shock + news
    return costs


def two_way_interval(baseline: np.ndarray, cost: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval that Fractile gave before: two-way clusters, items × twelve blocks of weeks.

    Args:
        baseline: money, shape (weeks, items).
        cost: likewise.
    """
    total = baseline.sum()
    ratio = cost.sum() / total
    both = np.stack([(ratio * baseline - cost) / total, baseline / total])
    weeks = both.shape[1]
    size = max(1, min(weeks // 12, weeks // 4))
    cells = np.add.reduceat(both, np.arange(0, weeks - weeks % size, size), axis=1)

    def one_way(sums: np.ndarray) -> float:
        moves = sums[0] / (1 - sums[1])
        return float((moves**2).sum() * (len(moves) - 1) / len(moves))

    parts = one_way(cells.sum(1)), one_way(cells.sum(2))
    variance = max(sum(parts) - one_way(cells.reshape(2, -1)), *parts)
    freedom = min(cells.shape[1:]) - 1
    reach = float(stats.t.ppf(0.975, freedom)) * np.sqrt(variance)
    return float(1 - ratio - reach), float(1 - ratio + reach)
