"""Accuracy against money: whether they rank forecasters alike, and what one per cent of loss is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..statistics import Clusters, paired_saving
from .accuracy import LOSSES, Accuracy
from .grid import Grid

GROUPS = 100
"""Groups of items at most of which the jackknife leaves out one at a time."""
HALVES = 200
"""Random halves of the items that the interval of a rank correlation rests on."""
FEWEST = 3
"""Forecasters at least that a correlation or a slope is taken over."""


class Estimate(NamedTuple):
    """A number with its interval.

    Attributes:
        value: the estimate.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


NOTHING = Estimate(np.nan, np.nan, np.nan)


def item_costs(grid: Grid, forecasters: Sequence[str], policy: str) -> FloatArray:
    """Return the cost a period of each item under one policy, money, shape (forecasters, items)."""
    return np.stack([grid.mean_cost((name, policy)).mean(0) for name in forecasters])


def shared_forecasters(grid: Grid, policy: str) -> list[str]:
    """Return the forecasters that a policy was simulated with."""
    return [name for name in grid.forecasters if (name, policy) in grid.trajectories]


def rank_table(grid: Grid, accuracy: Accuracy, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return how alike each loss and the cost under each policy rank the forecasters.

    Spearman's rank correlation of losses and costs over the forecasters: 1 where the more accurate one is always the
    cheaper one. Intervals are those of the delete-half jackknife over items (Shao and Wu 1989), which holds for
    statistics that jump, as ranks do.

    Args:
        grid: the costs.
        accuracy: the losses.
        level: of the intervals.
        seed: of the halves.

    Returns:
        A row a policy and loss: `policy`, `loss`, `forecasters` (how many), `correlation`, `correlation_low`,
        `correlation_high`.
    """
    order = {name: k for k, name in enumerate(accuracy.table["forecaster"])}
    rows = []
    for policy in grid.policies:
        names = shared_forecasters(grid, policy)
        costs, chosen = item_costs(grid, names, policy), [order[name] for name in names]
        for loss in LOSSES:
            found = rank_correlation(accuracy.losses[loss][chosen], costs, level=level, seed=seed)
            rows.append({"policy": policy, "loss": loss, "forecasters": len(names), **_columns("correlation", found)})
    return pd.DataFrame(rows)


def rank_correlation(losses: FloatArray, costs: FloatArray, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """Return Spearman's correlation of summed losses and summed costs, over forecasters: see `rank_table`.

    Args:
        losses: shape (forecasters, items).
        costs: likewise.
        level: of the interval.
        seed: of the halves.
    """
    forecasters, items = losses.shape
    if forecasters < FEWEST:
        return NOTHING
    value = _spearman(losses.sum(1), costs.sum(1))
    half = items // 2
    if half < 2 or np.isnan(value):
        return Estimate(value, np.nan, np.nan)
    rng = keyed_generator(seed, "halves of the items")
    kept = np.stack([rng.permutation(items) < half for _ in range(HALVES)]).astype(np.float64)
    repeated = np.array([_spearman(*sums) for sums in zip(kept @ losses.T, kept @ costs.T, strict=True)])
    # Deleting d of n: n − d over d times the variance, which is one at a half.
    error = np.sqrt(np.nanmean((repeated - value) ** 2) * half / (items - half))
    reach = float(stats.norm.ppf((1 + level) / 2) * error)
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))


def worth_table(grid: Grid, accuracy: Accuracy, *, level: float = 0.95) -> pd.DataFrame:
    """Return what one per cent of each loss is worth under each policy.

    The slope of the logarithm of cost on that of the loss, by least squares over the forecasters: one per cent less
    loss costs about so many per cent less. Intervals by the jackknife over items (in groups where there are many): they
    hold for these forecasters.

    Returns:
        A row a policy and loss: `policy`, `loss`, `forecasters`, `slope`, `slope_low`, `slope_high`, and `worth`,
        `worth_low`, `worth_high`: money a period of one per cent of loss, at the forecasters' mean cost.
    """
    order = {name: k for k, name in enumerate(accuracy.table["forecaster"])}
    rows = []
    for policy in grid.policies:
        names = shared_forecasters(grid, policy)
        costs, chosen = item_costs(grid, names, policy), [order[name] for name in names]
        cent = costs.sum() / len(names) / 100
        for loss in LOSSES:
            found = loss_slope(accuracy.losses[loss][chosen], costs, level=level)
            worth = Estimate(*(cent * number for number in found))
            row = {"policy": policy, "loss": loss, "forecasters": len(names)}
            rows.append({**row, **_columns("slope", found), **_columns("worth", worth)})
    return pd.DataFrame(rows)


def loss_slope(losses: FloatArray, costs: FloatArray, *, level: float = 0.95) -> Estimate:
    """Return by how many per cent cost rises with one per cent of loss, over forecasters: see `worth_table`.

    Args:
        losses: shape (forecasters, items).
        costs: likewise.
        level: of the interval.
    """
    if len(losses) < FEWEST:
        return NOTHING

    def slope(sums: FloatArray) -> FloatArray:
        """Return slopes of (2, forecasters, n) sums, shape (n,)."""
        x, y = np.log(np.maximum(sums, np.finfo(float).tiny))
        x, y = x - x.mean(0), y - y.mean(0)
        spread = (x**2).sum(0)
        return np.asarray(np.divide((x * y).sum(0), spread, out=np.full(spread.shape, np.nan), where=spread > 0))

    return jackknife(slope, np.stack([losses, costs]), level=level)


def jackknife(statistic: Callable[[FloatArray], FloatArray], parts: FloatArray, *, level: float = 0.95) -> Estimate:
    """Return a statistic of sums over items, with the interval of the jackknife that leaves out items.

    Args:
        statistic: from sums (..., n) to n values.
        parts: of each item, shape (..., items).
        level: of the interval.
    """
    items, total = parts.shape[-1], parts.sum(-1, keepdims=True)
    value = float(statistic(total)[0])
    groups = min(items, GROUPS)
    if groups < 2:
        return Estimate(value, np.nan, np.nan)
    # Every group holds items from all parts of the panel's order.
    sums = np.stack([parts[..., k::groups].sum(-1) for k in range(groups)], axis=-1)
    without = statistic(total - sums)
    error = float(np.sqrt((groups - 1) / groups * ((without - without.mean()) ** 2).sum()))
    reach = float(stats.t.ppf((1 + level) / 2, groups - 1)) * error
    return Estimate(value, value - reach, value + reach)


def disagreements(
    grid: Grid, accuracy: Accuracy, policy: str, *, level: float = 0.95, clusters: Clusters = "item_time"
) -> pd.DataFrame:
    """Return the pairs of forecasters of which the one with more loss on the protection interval costs less.

    Returns:
        A row a pair: `accurate`, `cheap`, `loss_gap` (by which share the cheap one's loss is higher), `saving` (share
        of the accurate one's cost that it saves), `saving_low`, `saving_high`.
    """
    losses = accuracy.table.set_index("forecaster")["protection_loss"]
    rows = []
    for one, other in combinations(shared_forecasters(grid, policy), 2):
        accurate, cheap = (one, other) if losses[one] <= losses[other] else (other, one)
        base, cost = grid.mean_cost((accurate, policy)), grid.mean_cost((cheap, policy))
        if cost.sum() >= base.sum() or losses[accurate] == losses[cheap]:
            continue
        found = paired_saving(base[None], cost[None], level=level, clusters=clusters)
        gap = float(losses[cheap] / losses[accurate] - 1.0)
        row = {"accurate": accurate, "cheap": cheap, "loss_gap": gap, "saving": found.saving}
        rows.append({**row, "saving_low": found.low, "saving_high": found.high})
    columns = ["accurate", "cheap", "loss_gap", "saving", "saving_low", "saving_high"]
    return pd.DataFrame(rows, columns=columns).sort_values("saving", ascending=False, ignore_index=True)


def _spearman(losses: FloatArray, costs: FloatArray) -> float:
    ranks = [stats.rankdata(each) for each in (losses, costs)]
    if any(np.ptp(each) == 0 for each in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _columns(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
