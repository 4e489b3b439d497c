"""Policies compared on the same demand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..envs.core.types import InventoryState, ItemParams, Scenario, Trajectory
from ..errors import FractileError, did_you_mean
from ..policies.base import Planner
from ..policies.rollout import simulate
from .statistics import Clusters, paired_saving

LARGE = 10_000.0
"""Costs from which on a table in text shows no cents."""
LONGEST_NAME = 18


@dataclass(frozen=True, eq=False)
class Comparison:
    """Costs and savings of policies that met the same demand.

    Attributes:
        table: a row a policy, cheapest first: `cost`, `holding`, `stockout`, `ordering`, `waste` (money a period,
            over all items), `fill_rate`, `mean_on_hand` (units a period, over all items), `volatility_ratio`, `saving`,
            `saving_low`, `saving_high` (shares of the baseline's cost), `kind` ("policy", or "bound": not attainable).
        trajectories: what each policy went through.
        baseline: the policy that savings are measured against.
        level: of the intervals.
        clusters: what the intervals treat as independent: "path" or "item_time".
    """

    table: pd.DataFrame
    trajectories: Mapping[str, Trajectory]
    baseline: str
    level: float
    clusters: str

    @property
    def paths(self) -> int:
        """Demand paths."""
        return int(self._shape[0])

    @property
    def periods(self) -> int:
        """Periods that count."""
        return int(self._shape[1])

    @property
    def items(self) -> int:
        """Items."""
        return int(self._shape[2])

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.trajectories[self.baseline].cost.shape

    def per_item(self, item_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the cost a period of each item under each policy, and the saving against the baseline.

        Args:
            item_ids: names for the rows.

        Returns:
            Columns (`cost`, policy) and (`saving`, policy), both in money a period.
        """
        cost = pd.DataFrame(
            {name: t.cost.mean((0, 1)) for name, t in self.trajectories.items()},
            index=None if item_ids is None else list(item_ids),
        )
        saving = cost.rsub(cost[self.baseline], axis=0)
        return pd.concat({"cost": cost, "saving": saving}, axis=1)

    def to_text(self) -> str:
        """Return the table as text of at most 100 columns."""
        titles = {
            "cost": "cost",
            "holding": "holding",
            "stockout": "stock-out",
            "ordering": "ordering",
            "waste": "waste",
        }
        money = [titles[column] for column in self._money]
        head = ["policy", *money, "fill rate", f"saving [{self.level:.0%} interval]"]
        rows = [head, *(self._text_row(str(name)) for name in self.table.index)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        lines.insert(1, "-" * max(map(len, lines)))
        return "\n".join([*lines, *self._footnotes()])

    def __str__(self) -> str:
        return self.to_text()

    @property
    def _money(self) -> list[str]:
        """Columns of money in text; waste only where anything perishes."""
        columns = ["cost", "holding", "stockout", "ordering"]
        return [*columns, "waste"] if self.table["waste"].any() else columns

    def _text_row(self, name: str) -> list[str]:
        row: Any = self.table.loc[name]
        places = 2 if self.table["cost"].abs().max() < LARGE else 0
        money = [f"{row[column]:,.{places}f}" for column in self._money]
        label = (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…") + (
            " *" if row["kind"] == "bound" else ""
        )
        return [label, *money, f"{row['fill_rate']:.1%}", self._saving_text(name, row)]

    def _saving_text(self, name: str, row: Any) -> str:
        if name == self.baseline:
            return "baseline"
        low, high = 100 * row["saving_low"], 100 * row["saving_high"]
        return f"{100 * row['saving']:.1f} % [{low:.1f}, {high:.1f}]"

    def _footnotes(self) -> list[str]:
        notes = [
            f"{self.items} items, {self.periods} periods, {self.paths} demand path{'s' * (self.paths > 1)}; "
            "costs are a period's, over all items"
        ]
        if (self.table["kind"] == "bound").any():
            notes.append("* a bound: shown the future, free of packs and minimum orders; no policy can reach it")
        return notes


def compare(
    policies: Mapping[str, Any],
    scenario: Scenario,
    params: ItemParams,
    *,
    baseline: str,
    level: float = 0.95,
    clusters: Clusters = "auto",
    block: int | None = None,
    initial_state: InventoryState | None = None,
    warm_up: int = 0,
) -> Comparison:
    """Let policies meet the same scenario and compare what they cost, pair by pair.

    Args:
        policies: by name; planners (e.g. hindsight) count as bounds.
        scenario: demand and forecasts.
        params: lead times, costs and order rules.
        baseline: the name of the policy that savings are measured against.
        level: of the intervals.
        clusters: what the intervals treat as independent; see `paired_saving`.
        block: periods in a time block; see `paired_saving`.
        initial_state: what the first period begins with; None = each policy's own target.
        warm_up: periods at the start that do not count.
    """
    _check_baseline(baseline, policies)
    trajectories = {
        name: simulate(policy, scenario, params, initial_state=initial_state, warm_up=warm_up)
        for name, policy in policies.items()
    }
    bounds = [name for name, policy in policies.items() if isinstance(policy, Planner)]
    return summarise(trajectories, baseline=baseline, level=level, clusters=clusters, block=block, bounds=bounds)


def summarise(
    trajectories: Mapping[str, Trajectory],
    *,
    baseline: str,
    level: float = 0.95,
    clusters: Clusters = "auto",
    block: int | None = None,
    bounds: Collection[str] = ("hindsight",),
) -> Comparison:
    """Return the comparison of trajectories over the same demand.

    Args:
        trajectories: by policy.
        baseline: see `compare`.
        level: likewise.
        clusters: likewise.
        block: likewise.
        bounds: names that no policy can reach.
    """
    _check_baseline(baseline, trajectories)
    base = trajectories[baseline]
    rows, used = {}, ""
    for name, trajectory in trajectories.items():
        saving = paired_saving(base.cost, trajectory.cost, level=level, clusters=clusters, block=block)
        used = saving.clusters
        rows[name] = {
            **_row(trajectory),
            "saving": saving.saving,
            "saving_low": saving.low,
            "saving_high": saving.high,
            "kind": "bound" if name in bounds else "policy",
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy").sort_values("cost", kind="stable")
    return Comparison(table, trajectories, baseline, level, used)


def _row(trajectory: Trajectory) -> dict[str, float]:
    def a_period(array: Any) -> float:
        return float(np.asarray(array).sum(2).mean())

    return {
        "cost": a_period(trajectory.cost),
        "holding": a_period(trajectory.holding),
        "stockout": a_period(trajectory.stockout),
        "ordering": a_period(trajectory.ordering),
        "waste": a_period(trajectory.waste_cost),
        "fill_rate": trajectory.fill_rate,
        "mean_on_hand": a_period(trajectory.on_hand),
        "volatility_ratio": trajectory.volatility_ratio,
    }


def _check_baseline(baseline: str, policies: Collection[str]) -> None:
    if baseline not in policies:
        raise FractileError(f"baseline {baseline!r} is none of the policies{did_you_mean(baseline, policies)}")
