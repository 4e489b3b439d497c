"""Every forecaster under every policy over the same held-out periods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import process_time

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...envs.core.types import Trajectory
from ...errors import FractileError, did_you_mean
from ...files import is_disk_fault
from ...forecasters.forecast import QuantileForecast
from ...policies.registry import make_policy
from ..backtest import Backtest, Study
from ..compare import per_period
from ..statistics import Clusters, paired_saving

HINDSIGHT = "hindsight"
"""The planner that knows demand beforehand."""
Pair = tuple[str, str]
"""A forecaster and a policy."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Forecasters crossed with policies.

    Attributes:
        trajectories: of each pair that could be simulated, arrays (1 or training seeds, held-out periods, items).
        forecasts: of each forecaster from the held-out origins.
        totals: of each forecaster, the same summed over the protection interval, where policies saw that.
        notes: by forecaster and policy, what a reader should know of a pair.
        failed: errors of forecasters that failed, by name.
        seconds: CPU time of each forecaster, its policies included.
        hindsight: what perfect information would have cost, money, shape (periods, items); None where it is not known.
        kept: the backtest that `run_grid` was asked to keep.
    """

    trajectories: Mapping[Pair, Trajectory]
    forecasts: Mapping[str, QuantileForecast]
    totals: Mapping[str, QuantileForecast | None] = field(default_factory=dict)
    notes: Mapping[Pair, Sequence[str]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    hindsight: FloatArray | None = None
    kept: Backtest | None = None

    @property
    def forecasters(self) -> tuple[str, ...]:
        """Names, in the order in which they were run."""
        return tuple(dict.fromkeys(forecaster for forecaster, _ in self.trajectories))

    @property
    def policies(self) -> tuple[str, ...]:
        """Names, likewise."""
        return tuple(dict.fromkeys(policy for _, policy in self.trajectories))

    def cost(self, pair: Pair) -> FloatArray:
        """Return the cost of a pair, money, shape (1 or training seeds, periods, items)."""
        return self.trajectories[pair].cost

    def mean_cost(self, pair: Pair) -> FloatArray:
        """Return the cost of a pair, the mean over training seeds, money, shape (periods, items)."""
        return np.asarray(self.cost(pair).mean(0))

    def table(
        self, reference: Pair | Trajectory, *, level: float = 0.95, clusters: Clusters = "item_time"
    ) -> pd.DataFrame:
        """Return a row a pair: what it costs, holds and serves, and what it saves against a reference.

        Args:
            reference: a pair of the grid, or a trajectory over the same periods.
            level: of the intervals.
            clusters: what they treat as independent: see `paired_saving`.
        """
        base = self.cost(reference) if isinstance(reference, tuple) else reference.cost
        rows = []
        for (forecaster, policy), trajectory in self.trajectories.items():
            saving = paired_saving(base, trajectory.cost, level=level, clusters=clusters, seeds=True)
            rows.append(
                {
                    "forecaster": forecaster,
                    "policy": policy,
                    "cost": per_period(trajectory.cost),
                    "holding": per_period(trajectory.holding),
                    "stockout": per_period(trajectory.stockout),
                    "fill_rate": trajectory.fill_rate,
                    "mean_on_hand": per_period(trajectory.on_hand),
                    "saving": saving.saving,
                    "saving_low": saving.low,
                    "saving_high": saving.high,
                }
            )
        return pd.DataFrame(rows)


def run_grid(
    study: Study,
    forecasters: Iterable[str],
    policies: Sequence[str],
    *,
    ready: Mapping[str, Backtest] | None = None,
    paths: int = 0,
    tolerant: bool = False,
    keep: str | None = None,
    spent: Mapping[str, float] | None = None,
) -> Grid:
    """Backtest forecasters one after the other, each with all policies.

    Args:
        study: whose folds are held out.
        forecasters: names.
        policies: names.
        ready: backtests that are there, by forecaster; their policies are taken where they have all of them, and
            their forecasts.
        paths: simulated, beside the history, for policies to learn from.
        tolerant: whether a forecaster that fails is left out and reported in `failed`; else its error is raised.
        keep: the forecaster whose backtest the grid keeps, and beside which perfect information is planned for.
        spent: CPU-seconds of tasks that were done for each forecaster before.
    """
    kept: Backtest | None = None
    trajectories: dict[Pair, Trajectory] = {}
    forecasts: dict[str, QuantileForecast] = {}
    totals: dict[str, QuantileForecast | None] = {}
    notes: dict[Pair, Sequence[str]] = {}
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in forecasters:
        began = process_time()
        try:
            found = (ready or {}).get(name) or study.forecast(name, paths)
            if not set(policies) <= set(found.trajectories):
                found = study.with_policies(found, policies)
        except Exception as fault:  # whatever a forecaster raises, the others must not go down with it
            if not tolerant or is_disk_fault(fault):
                raise
            failed[name] = " ".join(f"{type(fault).__name__}: {fault}".split())
            continue
        forecasts[name], totals[name] = found.after, found.totals
        seconds[name] = process_time() - began + (spent or {}).get(name, 0.0)
        trajectories |= {
            (name, policy): found.trajectories[policy] for policy in policies if policy in found.trajectories
        }
        notes |= {(name, policy): texts for policy, texts in found.trained.notes.items() if policy in policies}
        if name == keep or (keep is not None and kept is None):
            kept = found
    hindsight = None if kept is None else _hindsight(study, kept)
    return Grid(trajectories, forecasts, totals, notes, failed, seconds, hindsight, kept)


def _hindsight(study: Study, backtest: Backtest) -> FloatArray | None:
    """Return what perfect information would have cost; None for items that it does not plan for."""
    try:
        return np.asarray(study.simulate(backtest, {HINDSIGHT: make_policy(HINDSIGHT)})[HINDSIGHT].cost.mean(0))
    except FractileError:
        return None  # stock that perishes, or an objective with revenue


def read_pair(text: str | None, grid: Grid) -> Pair:
    """Return the pair of a text "forecaster/policy"; the grid's first one where None.

    Raises:
        FractileError: where it is no pair of the grid.
    """
    if text is None:
        return next(iter(grid.trajectories))
    forecaster, _, policy = text.rpartition("/")
    if (forecaster, policy) not in grid.trajectories:
        known = [f"{one}/{other}" for one, other in grid.trajectories]
        raise FractileError(f"reference must be a pair that was simulated, got {text!r}{did_you_mean(text, known)}")
    return forecaster, policy
