"""From the simplest forecast over each step of the lineage to perfect information, in money."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..league.task import era_of, sort_by_history
from ..sections import TRUTH
from ..statistics import Clusters, paired_saving
from .grid import Grid

FIRST = "seasonal_naive"
"""Where the staircase begins, if it was run."""
PERFECT = "perfect information"
"""The last step: demand that is known beforehand."""


def staircase(
    grid: Grid,
    policy: str,
    hindsight: np.ndarray | None = None,
    *,
    level: float = 0.95,
    clusters: Clusters = "item_time",
) -> pd.DataFrame:
    """Return what each step of the lineage costs and saves under one policy.

    Steps stand in the order of history, the true quantiles after all forecasters; steps may go up. The last one is
    from the last forecaster to perfect information, which no policy can reach.

    Args:
        grid: forecasters crossed with policies.
        policy: under which all of them are compared.
        hindsight: cost of perfect information, money, shape (periods, items); no such step where None.
        level: of the intervals.
        clusters: what they treat as independent.

    Returns:
        A row a step: `policy`, `step` (the forecaster), `era`, `cost` (a period, over all items), `saved` (money a
        period, against the step before), `saved_low`, `saved_high`, `total` (against the first), `total_low`,
        `total_high`.
    """
    names = steps(grid, policy)
    costs = [(name, grid.mean_cost((name, policy))) for name in names]
    if hindsight is not None:
        costs.append((PERFECT, hindsight))
    rows = []
    for k, (name, cost) in enumerate(costs):
        row = {"policy": policy, "step": name, "era": era_of(name), "cost": float(cost.sum(1).mean())}
        for what, (_, base) in (("saved", costs[max(k - 1, 0)]), ("total", costs[0])):
            found = paired_saving(base[None], cost[None], level=level, clusters=clusters)
            whole = float(base.sum(1).mean())
            row |= {what: whole * found.saving, f"{what}_low": whole * found.low, f"{what}_high": whole * found.high}
        rows.append(row)
    return pd.DataFrame(rows)


def steps(grid: Grid, policy: str) -> Sequence[str]:
    """Return the forecasters of a staircase in order: the first one, the history's, others, the true quantiles."""
    names = [name for name in grid.forecasters if (name, policy) in grid.trajectories]
    ordered = sorted(sort_by_history(names), key=lambda name: (name == TRUTH, name != FIRST))
    return tuple(ordered)
