"""Policies compared on the same demand."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.system import COMPARED, SIMULATED, check_attributes
from ..envs.core.types import InventoryState, ItemParams, Scenario, Trajectory
from ..errors import FractileError, did_you_mean
from ..policies.base import Planner, Policy
from ..policies.neural import NeuralPolicy
from ..policies.newsvendor import TunedNewsvendor, TunedProjected
from ..policies.rollout import prepare_scenario, simulate, state_after
from ..policies.sb3 import SB3Policy
from .advice import rivals_of
from .checks.baseline import check_comparison
from .report.savings import plot_savings
from .report.text import align_columns, saving_text
from .statistics import Clusters, Intervals, Ranking, describe_intervals, power_sentence, rank_policies

LARGE = 10_000.0
"""Costs at and above which a table in text has no cents."""
UNTUNED: Mapping[type, str] = {TunedNewsvendor: "newsvendor", TunedProjected: "projected"}
"""What tuned policies order as while nothing has tuned them."""
LONGEST_NAME = 18
WIDTH = 100
"""Columns of a table in text."""
NUMBERED = re.compile(r"[\s_.#-]*(seed[\s_.#-]*)?\d+$", re.IGNORECASE)
"""What tells the training runs of one learner apart in their names, e.g. "ppo seed 3"."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Costs and savings of policies on the same demand.

    Attributes:
        table: a row a policy, cheapest first: `cost`, `holding`, `stockout`, `ordering`, `waste` (money a period,
            over all items), `fill_rate`, `mean_on_hand` (units a period, over all items), `volatility_ratio`, `saving`,
            `saving_low`, `saving_high` (shares of the baseline's cost), `proven` (whether it saves though several were
            compared), `among_best` (whether it cannot be told from the cheapest), `seeds` (of its training),
            `seed_sd` (standard deviation between them, a share of the baseline's cost), `kind` ("policy", or "bound":
            not attainable).
        shape: demand paths, periods that count, and items.
        trajectories: the simulation of each policy; none where only sums were kept, of more items than memory holds.
        baseline: the policy that savings are measured against.
        level: of the intervals.
        clusters: what the intervals treat as independent: "path" or "item_time".
        ranking: what can be said of all policies at once.
        intervals: how they were computed, and how far they hold.
        warnings: what a careful reader should know, each a sentence.
        notes: on policies that are not what their name leads to expect: not tuned, or trained for other lead times.
    """

    table: pd.DataFrame
    shape: tuple[int, int, int]
    trajectories: Mapping[str, Trajectory]
    baseline: str
    level: float
    clusters: str
    ranking: Ranking
    intervals: Intervals
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> int:
        """Demand paths."""
        return self.shape[0]

    @property
    def periods(self) -> int:
        """Periods that count."""
        return self.shape[1]

    @property
    def items(self) -> int:
        """Items."""
        return self.shape[2]

    @property
    def cheapest(self) -> str:
        """The policy that costs least; bounds do not count, the baseline does."""
        costs = self.table.loc[self.table["kind"] == "policy", "cost"]
        return str(costs.idxmin())

    @property
    def rival(self) -> str:
        """The cheapest policy beside the baseline, of those that do not place its orders; the baseline where none."""
        rivals = rivals_of(self.table.reset_index(), self.baseline)["policy"]
        return str(rivals.iloc[0]) if len(rivals) else self.baseline

    def per_item(self, item_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the cost a period of each item under each policy, and the saving against the baseline.

        Args:
            item_ids: names for the rows.

        Returns:
            Columns (`cost`, policy) and (`saving`, policy), both in money a period.

        Raises:
            FractileError: where only sums were kept: a study in blocks writes `item_costs.parquet`.
        """
        if not self.trajectories:
            raise FractileError("costs of single items were not kept here; read item_costs.parquet of the run folder")
        cost = pd.DataFrame(
            {name: t.cost.mean((0, 1)) for name, t in self.trajectories.items()},
            index=None if item_ids is None else list(item_ids),
        )
        saving = cost.rsub(cost[self.baseline], axis=0)
        return pd.concat({"cost": cost, "saving": saving}, axis=1)

    def to_text(self) -> str:
        """Return the table as text of at most 100 columns."""
        titles = {"cost": "cost", "holding": "holding", "stockout": "stock-out", "ordering": "ordering"}
        if self.table["waste"].any():  # a column of its own only where anything perishes
            titles["waste"] = "waste"
        places = 2 if self.table["cost"].abs().max() < LARGE else 0
        rows = [["policy", *titles.values(), "fill rate", f"saving [{self.level:.0%} interval]"]]
        for index, row in self.table.iterrows():
            name = str(index)
            shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
            rows.append(
                [
                    f"{shown} *" if row["kind"] == "bound" else shown,
                    *(f"{row[column]:,.{places}f}" for column in titles),
                    f"{row['fill_rate']:.1%}",
                    "baseline" if name == self.baseline else self.describe_saving(name),
                ]
            )
        lines = align_columns(rows)
        lines.append(
            f"{self.items} item{'s' * (self.items != 1)}, {self.periods} periods, "
            f"{self.paths} demand path{'s' * (self.paths > 1)}; "
            "costs are a period's, over all items"
        )
        if (self.table["kind"] == "bound").any():
            lines.append("* a bound: knows the future, from the baseline's first stock on; no policy can reach it")
        for sentence in (*self.statements(), *self.warnings, *self.notes):
            lines.extend(wrap(sentence, WIDTH))
        return "\n".join(lines)

    def describe_saving(self, policy: str) -> str:
        """Return a policy's saving against the baseline with its interval, as text: "9.0 % [8.6, 9.4]".

        Args:
            policy: its name.

        Raises:
            FractileError: where no policy has this name.
        """
        if policy not in self.table.index:
            raise FractileError(
                f"{policy!r} is none of the policies{did_you_mean(policy, list(map(str, self.table.index)))}"
            )
        return saving_text(self.table.loc[policy])

    def statements(self) -> tuple[str, ...]:
        """Return what is proven, what cannot be told apart, what would prove more, and what cannot be trusted."""
        if not self.ranking.together:
            return ()
        saving = self.ranking.savings[self.intervals.candidate].saving
        found = (*self.intervals.sentences, power_sentence(self.intervals, saving), self.intervals.note)
        return tuple(sentence for sentence in found if sentence)

    def plot(self, ax: Any = None) -> Any:
        """Draw each policy's saving with its interval, as the report does, and return matplotlib's axes.

        Args:
            ax: axes to draw on; None: a new figure.
        """
        return plot_savings(self.table.reset_index(), baseline=self.baseline, level=self.level, ax=ax)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # what a notebook shows
        printer.text(self.to_text())


def compare(
    policies: Mapping[str, Policy | Planner],
    scenario: Scenario,
    params: ItemParams,
    *,
    baseline: str,
    level: float = 0.95,
    clusters: Clusters = "auto",
    initial_state: InventoryState | None = None,
    warm_up: int = 0,
    checks: bool = True,
) -> Comparison:
    """Simulate policies on the same scenario and compare their costs, pair by pair.

    Args:
        policies: by name; planners (e.g. hindsight) count as bounds.
        scenario: demand and forecasts.
        params: lead times, costs and order rules.
        baseline: the name of the policy that savings are measured against.
        level: of the intervals.
        clusters: what the intervals treat as independent; see `paired_saving`.
        initial_state: what the first period begins with; None = each policy's own target.
        warm_up: periods at the start that do not count.
        checks: check the baseline, which simulates it some ten times again, on 30,000 path-item-periods at most.
    """
    _check_baseline(baseline, policies)
    check_attributes(params, (*SIMULATED, *COMPARED), "a comparison")
    for policy in policies.values():
        scenario = prepare_scenario(policy, scenario, params)
    bounds = [name for name, policy in policies.items() if isinstance(policy, Planner)]
    against, begins = policies[baseline], None
    if bounds and not isinstance(against, Planner):
        # A bound begins with what the baseline has when costs begin to count: nothing of it is free.
        begins = state_after(against, scenario, params, warm_up, initial_state=initial_state)
    counted = scenario.window(warm_up, scenario.periods) if begins is not None else scenario
    trajectories = {
        name: simulate(policy, counted, params, initial_state=begins)
        if name in bounds and begins is not None
        else simulate(policy, scenario, params, initial_state=initial_state, warm_up=warm_up)
        for name, policy in policies.items()
    }
    runs = find_training_runs(policies)
    found = summarise(trajectories, baseline=baseline, level=level, clusters=clusters, bounds=bounds, families=runs)
    found = replace(found, notes=policy_notes(policies, params))
    if not checks:
        return found
    options: Any = {"clusters": clusters, "initial_state": initial_state, "warm_up": warm_up}
    warnings = check_comparison(policies, scenario, params, trajectories, baseline=baseline, **options)
    return replace(found, warnings=tuple(warning.sentence for warning in warnings))


def policy_notes(policies: Mapping[str, Policy | Planner], params: Any) -> tuple[str, ...]:
    """Return a sentence on each policy that is tuned but has not been, or that was trained for other lead times.

    Args:
        policies: by the names that they are compared under.
        params: lead times and costs of the comparison.
    """
    notes = []
    for name, policy in policies.items():
        plain = UNTUNED.get(type(policy))
        if plain is not None and (policy.scale, policy.shift) == (1.0, 0.0):  # type: ignore[union-attr]
            tuned = f"tuned_{plain}"
            notes.append(
                f"{name} has scale 1 and shift 0, as before tuning, and orders as {plain} does; "
                f"fr.train_policy({tuned!r}, fr.training.TrainingProblem(...)) tunes it"
            )
        slots = policy.slots if isinstance(policy, SB3Policy) else None
        if slots is not None and slots != int(params.slots):
            notes.append(
                f"{name} was trained for lead times of up to {slots}, and the longest one here is {int(params.slots)}: "
                "what it learned need not hold; train it on the lead times that it is to order with"
            )
    return tuple(notes)


def find_training_runs(policies: Mapping[str, Policy | Planner]) -> dict[str, str]:
    """Return the learner of each policy that is one of several training runs of it: by name, and by what it is.

    Networks of one type whose names differ by a number alone, "ppo 1" and "ppo 2", are runs of "ppo".
    """
    found: dict[str, str] = {}
    for name, policy in policies.items():
        if isinstance(policy, NeuralPolicy | SB3Policy) and NUMBERED.search(name):
            found[name] = f"{NUMBERED.sub('', name)} ({type(policy).__name__})"
    return {name: run for name, run in found.items() if list(found.values()).count(run) > 1}


def summarise(
    trajectories: Mapping[str, Trajectory],
    *,
    baseline: str,
    level: float = 0.95,
    clusters: Clusters = "auto",
    bounds: Collection[str] = ("hindsight",),
    seeds: bool | None = None,
    families: Mapping[str, str] | None = None,
) -> Comparison:
    """Return the comparison of trajectories over the same demand.

    Args:
        trajectories: by policy.
        baseline: see `compare`.
        level: likewise.
        clusters: likewise.
        bounds: names that no policy can reach.
        seeds: whether paths are training seeds on one history; None: where policies have different numbers of them.
        families: learner by policy, where several policies are training runs of one; see `rank_policies`.
    """
    ranking = rank_policies(
        {name: trajectory.cost for name, trajectory in trajectories.items()},
        baseline=baseline,
        level=level,
        clusters=clusters,
        seeds=seeds,
        bounds=bounds,
        families=families,
    )
    figures = {name: read_figures(trajectory) for name, trajectory in trajectories.items()}
    shape = trajectories[baseline].cost.shape
    return tabulate(figures, ranking, (shape[0], shape[1], shape[2]), trajectories=trajectories, bounds=bounds)


def read_figures(trajectory: Trajectory) -> dict[str, float]:
    """Return what a table says of a policy beside its saving: see `Comparison.table`."""
    money = {
        "cost": trajectory.cost,
        "holding": trajectory.holding,
        "stockout": trajectory.stockout,
        "ordering": trajectory.ordering,
        "waste": trajectory.waste_cost,
    }
    return {
        **{column: per_period(values) for column, values in money.items()},
        "fill_rate": trajectory.fill_rate,
        "mean_on_hand": per_period(trajectory.on_hand),
        "volatility_ratio": trajectory.volatility_ratio,
    }


def tabulate(
    figures: Mapping[str, Mapping[str, float]],
    ranking: Ranking,
    shape: tuple[int, int, int],
    *,
    trajectories: Mapping[str, Trajectory] | None = None,
    bounds: Collection[str] = ("hindsight",),
) -> Comparison:
    """Return a comparison of policies that were ranked.

    Args:
        figures: what the table says of each policy beside its saving, as `read_figures` returns it.
        ranking: of the policies.
        shape: demand paths, periods and items.
        trajectories: of the policies, where they were kept.
        bounds: names that no policy can reach.
    """
    intervals, rows = describe_intervals(ranking), {}
    for name, found in figures.items():
        saving = ranking.savings[name]
        rows[name] = {
            **found,
            "saving": saving.saving,
            "saving_low": saving.low,
            "saving_high": saving.high,
            "proven": name in intervals.proven,
            "among_best": name in intervals.among_best,
            "seeds": saving.seeds,
            "seed_sd": saving.seed_sd,
            "kind": "bound" if name in bounds else "policy",
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy").sort_values("cost", kind="stable")
    used = ranking.savings[ranking.baseline].clusters
    return Comparison(table, shape, trajectories or {}, ranking.baseline, ranking.level, used, ranking, intervals)


def per_period(values: FloatArray) -> float:
    """Return the mean over paths and periods of what all items have together, of shape (paths, periods, items)."""
    return float(np.asarray(values).sum(2).mean())


def _check_baseline(baseline: str, policies: Collection[str]) -> None:
    if baseline not in policies:
        raise FractileError(f"baseline {baseline!r} is none of the policies{did_you_mean(baseline, policies)}")
