"""Savings fold by fold and seed by seed: whether they hold from one stretch of time, and one training, to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ..arrays import FloatArray
from ..envs.core.types import Trajectory


def savings_by_fold(trajectories: Mapping[str, Trajectory], ends: Sequence[int], baseline: str) -> pd.DataFrame:
    """Return what each policy saves in each fold, for each of its training seeds.

    Args:
        trajectories: by policy; their paths are training seeds.
        ends: the held-out periods up to the end of each fold; the last is all of them.
        baseline: its mean over seeds is what is saved against.

    Returns:
        `policy`, `fold` and `seed` (both from 1), `periods`, `cost` and `baseline_cost` (money a period, over all
        items), `saving` (share of the baseline's cost in the same fold).
    """
    return savings_of_periods({name: t.cost.sum(2) for name, t in trajectories.items()}, ends, baseline)


def savings_of_periods(costs: Mapping[str, FloatArray], ends: Sequence[int], baseline: str) -> pd.DataFrame:
    """Return the same from the cost of all items in each period.

    Args:
        costs: by policy, money, shape (training seeds, held-out periods).
        ends: see `savings_by_fold`.
        baseline: likewise.
    """
    rows = []
    for fold, (first, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True), 1):
        base = float(costs[baseline][:, first:end].mean())
        for policy, cost in costs.items():
            for seed, paid in enumerate(cost[:, first:end].mean(1).tolist(), 1):
                money = {"cost": paid, "baseline_cost": base, "saving": 1.0 - paid / base if base else 0.0}
                rows.append({"policy": policy, "fold": fold, "seed": seed, "periods": end - first, **money})
    return pd.DataFrame(rows)
