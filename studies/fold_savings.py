"""Savings fold by fold and seed by seed: whether they hold from one stretch of time, and one training, to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

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
    rows = []
    for fold, (first, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True), 1):
        base = float(np.mean(trajectories[baseline].cost[:, first:end].sum(2)))
        for policy, trajectory in trajectories.items():
            for seed, cost in enumerate(np.mean(trajectory.cost[:, first:end].sum(2), axis=1), 1):
                paid = {"cost": float(cost), "baseline_cost": base, "saving": 1.0 - float(cost) / base if base else 0.0}
                rows.append({"policy": policy, "fold": fold, "seed": seed, "periods": end - first, **paid})
    return pd.DataFrame(rows)
