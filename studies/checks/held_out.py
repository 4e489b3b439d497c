"""What a saving on held-out periods rests on: weeks without a record of demand, the end, the start, a few items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...envs.core.types import ItemParams, Trajectory
from ...envs.demand.model import uncensored
from ...forecasters.data.panel import SalesPanel
from ..statistics import Saving, paired_saving
from .replay import Replay

DRAWS = 20
"""Draws of the demand that stock-outs hid."""
TENTH = 0.1
"""Share of the items that a decile holds."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A baseline and the policy that is held against it, on the same held-out periods.

    Attributes:
        baseline: its name.
        rival: name of the other policy.
        base: money, shape (1, periods, items).
        cost: of the rival, shape (paths, periods, items).
        options: level and clusters of intervals: see `paired_saving`.
    """

    baseline: str
    rival: str
    base: FloatArray
    cost: FloatArray
    options: dict[str, Any]

    def saving(self, kept: Any = True) -> Saving | None:
        """Return the saving on some cells; None where the baseline costs nothing there.

        Args:
            kept: which cells count, broadcasts to (1, periods, items).
        """
        weight = np.broadcast_to(kept, self.base.shape).astype(np.float64)
        base, cost = self.base * weight, self.cost * weight
        return paired_saving(base, cost, **self.options) if base.sum() > 0 else None

    def part(self, periods: slice) -> Pair:
        """Return some of the periods."""
        return replace(self, base=self.base[:, periods], cost=self.cost[:, periods])

    def select(self, items: Any) -> Pair:
        """Return some of the items."""
        return replace(self, base=self.base[..., items], cost=self.cost[..., items])

    @property
    def loss(self) -> FloatArray:
        """What an item costs more under the rival, money, shape (items,)."""
        lost: FloatArray = self.cost.mean(0).sum(0) - self.base.mean(0).sum(0)
        return lost


@dataclass(frozen=True, eq=False)
class StockOuts:
    """Held-out item-periods whose demand is not on record.

    Attributes:
        share: of all held-out item-periods.
        cost_shares: by policy, share of its cost that falls into them.
        informative: the saving on all others.
        draws: the saving with each of the draws of D | D >= sales, shape (draws,).
    """

    share: float
    cost_shares: dict[str, float]
    informative: Saving | None
    draws: FloatArray


def unrecorded(panel: SalesPanel, first: int) -> BoolArray:
    """Return which held-out item-periods have no record of demand, shape (periods, items)."""
    hidden: BoolArray = panel.ran_out[:, first:].T
    return hidden


def check_stock_outs(
    pair: Pair, costs: dict[str, FloatArray], hidden: BoolArray, replays: tuple[Replay, Replay], demand: FloatArray
) -> StockOuts:
    """Measure how much of the comparison rests on demand that nobody saw.

    Args:
        pair: the baseline and its rival.
        costs: of every policy, money, (paths, periods, items).
        hidden: see `unrecorded`.
        replays: how both of the pair are simulated again.
        demand: draws of demand for the whole of the replays, units, shape (draws, periods, items).
    """
    shares = {name: float((cost * hidden).sum() / cost.sum()) if cost.sum() else 0.0 for name, cost in costs.items()}
    base, cost = (replay.on_demand(demand).cost.sum((1, 2)) for replay in replays)
    draws = np.where(base > 0, 1 - cost / np.where(base > 0, base, 1.0), np.nan)
    return StockOuts(float(hidden.mean()), shares, pair.saving(~hidden), draws)


def draw_hidden_demand(panel: SalesPanel, first: int) -> FloatArray:
    """Draw the demand that stock-outs hid, `DRAWS` times, units, shape (draws, periods, items).

    Args:
        panel: the history, held-out periods included.
        first: of the periods that are returned.
    """
    return np.stack([uncensored(panel, seed=seed)[:, first:].T for seed in range(1, DRAWS + 1)])


def stock_at_end(trajectory: Trajectory, lead_time: Any) -> FloatArray:
    """Return units on hand and under way after the last period, shape (paths, items)."""
    _, periods, items = trajectory.order.shape
    lag = periods - np.arange(periods)[:, None]  # periods since the order, at the end
    under_way = lag <= np.broadcast_to(np.asarray(lead_time), (items,))
    ordered: FloatArray = (trajectory.order * under_way).sum(1)
    return np.asarray(trajectory.on_hand[:, -1] + ordered)


def value_of_end(pair: Pair, trajectories: dict[str, Trajectory], params: ItemParams, value: Any) -> Saving | None:
    """Return the saving where what is left at the end is worth something, as a share of the baseline's cost as it was.

    The rival is credited with what it leaves more than the baseline, or charged with what it leaves less.

    Args:
        pair: the baseline and its rival.
        trajectories: of both.
        params: lead times.
        value: money per unit, scalar or (items,).
    """
    base, rival = (stock_at_end(trajectories[name], params.lead_time) for name in (pair.baseline, pair.rival))
    cost = pair.cost.copy()
    cost[:, -1] -= value * (rival - base)
    return replace(pair, cost=cost).saving()


@dataclass(frozen=True, eq=False)
class ItemsWorseOff:
    """Items that cost more under the rival.

    Attributes:
        share: of the items.
        money: what they cost more, a period, together.
        again: of the items that cost more in the first half of the periods, the share that does so in the second.
        gained: of those that cost less in the first half, the share that costs more in the second.
        decile: the saving in the second half of the tenth of the items that lost most in the first; None where there
            are too few.
        decile_items: how many these are.
    """

    share: float
    money: float
    again: float
    gained: float
    decile: Saving | None
    decile_items: int


def check_items(pair: Pair) -> ItemsWorseOff | None:
    """Find items that are worse off, in one half of the periods, and see how they fare in the other.

    Among many items some lose by chance: who is named for the loss that names him is always a loser.
    """
    periods, items = pair.base.shape[1:]
    if periods < 2 or items < 2:
        return None
    lost = pair.loss
    first, second = pair.part(slice(0, periods // 2)), pair.part(slice(periods // 2, periods))
    worse, later = first.loss > 0, second.loss > 0
    number = max(1, round(TENTH * items))
    worst = np.argsort(-first.loss, kind="stable")[:number]
    decile = second.select(worst).saving() if number > 1 else None
    return ItemsWorseOff(
        float((lost > 0).mean()),
        float(lost[lost > 0].sum() / periods),
        float(later[worse].mean()) if worse.any() else 0.0,
        float(later[~worse].mean()) if (~worse).any() else 0.0,
        decile,
        number,
    )
