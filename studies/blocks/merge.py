"""The blocks of a study put together: the comparison of all items, and the files of all items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...arrays import FloatArray
from ..compare import Comparison, tabulate
from ..histories import simulated_table
from ..sections import BOUNDS
from ..statistics.ranking import rank_estimates
from ..statistics.sums import CostSums
from .block import COUNTS, BlockSums
from .plan import BlockPlan
from .tile import FIGURES


@dataclass(frozen=True, eq=False)
class AllItems:
    """What the blocks of a study say of all items.

    Attributes:
        comparison: of all policies on the held-out periods, with the savings in simulated histories.
        periods: cost of all items by policy, money, shape (training seeds, held-out periods).
        counts: item-periods, see `block.COUNTS`.
        seconds: CPU time of the blocks by stage.
    """

    comparison: Comparison
    periods: Mapping[str, FloatArray]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]


def merge_blocks(plan: BlockPlan, folders: Sequence[Path]) -> AllItems:
    """Add up the blocks of a study, tile by tile, so that it does not matter how many blocks there are.

    Args:
        plan: of the study.
        folders: of the blocks' parts, in the order of the items.
    """
    found = BlockSums.join([BlockSums.load(folder) for folder in folders])
    costs = CostSums.join([tile.costs for tile in found.tiles])
    level = plan.config.statistics.level
    ranking = rank_estimates(costs.names, costs.estimates(), level=level, bounds=BOUNDS, order=plan.names)
    figures = found.figures.sum(0)
    number = costs.periods.shape[1]
    table = {
        name: _row(dict(zip(FIGURES, figures[:, k].tolist(), strict=True)), number) for k, name in enumerate(plan.names)
    }
    comparison = tabulate(table, ranking, (1, number, costs.items.shape[1]), bounds=BOUNDS)
    if plan.histories:
        comparison = with_simulated(comparison, add_tiles([tile.histories for tile in found.tiles]))
    counts = dict(zip(COUNTS, found.counts.tolist(), strict=True))
    return AllItems(comparison, add_tiles([tile.periods for tile in found.tiles]), counts, found.seconds)


def with_simulated(comparison: Comparison, costs: Mapping[str, FloatArray]) -> Comparison:
    """Return a comparison whose table holds the savings in simulated histories, too.

    Args:
        comparison: on the held-out periods.
        costs: in the histories by policy, money, shape (training seeds, histories).
    """
    savings = {str(name): float(saving) for name, saving in comparison.table["saving"].items()}
    simulated = simulated_table(costs, savings, comparison.baseline, comparison.level)
    return replace(comparison, table=comparison.table.join(simulated))


def add_tiles(tiles: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    """Return sums over tiles of arrays by name."""
    return {name: np.sum([tile[name] for tile in tiles], axis=0) for name in tiles[0]}


def _row(sums: Mapping[str, float], periods: int) -> dict[str, float]:
    """Return the figures of a policy, as `compare.read_figures` does from a trajectory."""
    money = {name: sums[name] / periods for name in ("cost", "holding", "stockout", "ordering", "waste")}
    variance = sums["demand_variance"]
    return {
        **money,
        "fill_rate": sums["sales"] / sums["demand"] if sums["demand"] else 1.0,
        "mean_on_hand": sums["on_hand"] / periods,
        "volatility_ratio": sums["order_variance"] / variance if variance > 0 else float("nan"),
    }
