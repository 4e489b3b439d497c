"""The checks of a study: its baseline, and what the savings of its policies rest on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from ...arrays import BoolArray
from ...envs.core.period import StockState
from ...envs.core.types import Scenario, Trajectory
from ...policies.base import Planner, Policy
from ...policies.rollout import simulate, state_after
from ...training.train import needs_training
from ..backtest import Backtest, Study
from ..compare import Comparison
from ..folds import follow_each_other
from .answers import (
    Answer,
    describe_baseline,
    describe_bound,
    describe_end,
    describe_items,
    describe_start,
    describe_stock_outs,
)
from .baseline import CheckWarning, Subject, check_baseline, edge_warnings, form_warnings
from .held_out import Pair, check_items, check_stock_outs, draw_hidden_demand, unrecorded, value_of_end
from .replay import Replay


@dataclass(frozen=True, eq=False)
class Checks:
    """What a careful statistician would ask of a study, and the answers.

    Attributes:
        warnings: what must be known before a saving is believed.
        answers: all questions.
    """

    warnings: tuple[CheckWarning, ...]
    answers: tuple[Answer, ...]

    @property
    def notes(self) -> list[str]:
        """Answers that are said in the terminal."""
        return [answer.sentence for answer in self.answers if answer.aloud]

    @property
    def doubts(self) -> list[str]:
        """Codes of all warnings, and of the questions whose answer is one."""
        answers = [answer.code for answer in self.answers if answer.verdict == "warning"]
        return list(dict.fromkeys([*(warning.code for warning in self.warnings), *answers]))

    @property
    def sentences(self) -> list[str]:
        """Warnings and notes for the terminal."""
        return [warning.sentence for warning in self.warnings] + self.notes

    def warning_records(self) -> list[dict[str, str]]:
        """Return the warnings as a manifest keeps them."""
        return [asdict(warning) for warning in self.warnings]

    def to_record(self) -> dict[str, Any]:
        """Return it as `checks.json` keeps it."""
        answers = [asdict(answer) for answer in self.answers]
        return {"warnings": self.warning_records(), "notes": self.notes, "answers": answers}


def simulate_bounds(study: Study, backtest: Backtest, baseline: str) -> dict[str, Trajectory]:
    """Simulate bounds from the stock that the baseline has at the first held-out period: nothing of it is free.

    Args:
        study: the study in progress.
        backtest: with its policies.
        baseline: name of the policy that savings are measured against.
    """
    policies = backtest.folds[0].trained.policies
    bounds = {name: policy for name, policy in policies.items() if isinstance(policy, Planner)}
    if not bounds or baseline in bounds:
        return {}
    held_out, state = _held_out_from(study, backtest, cast(Policy, policies[baseline]))
    params = study.data.params
    return {name: simulate(bound, held_out, params, initial_state=state) for name, bound in bounds.items()}


def _held_out_from(study: Study, backtest: Backtest, baseline: Policy) -> tuple[Scenario, StockState]:
    """Return the held-out periods, and the stock that the baseline has at the first one."""
    scenario = study.replay(backtest)
    state = state_after(baseline, scenario, study.data.params, backtest.warm_up)
    return scenario.window(backtest.warm_up, scenario.periods), state


def check_study(study: Study, backtest: Backtest, comparison: Comparison) -> Checks:
    """Ask what a careful statistician would ask of a study.

    Args:
        study: the study in progress.
        backtest: forecasts, policies and trajectories.
        comparison: of its policies.
    """
    with study.stage("checking", counted=True):
        warnings, answers = _check_baseline(study, backtest, comparison)
        pair = _pair(study, comparison)
        if pair is not None:
            study.progress("stock-outs", 1 / 4)
            answers += _check_stock_outs(study, backtest, comparison, pair)
            study.progress("ends and items", 2 / 4)
            answers += _check_ends(study, comparison, pair)
            worse = check_items(pair)
            answers += [] if worse is None else describe_items(worse, pair, study.data.panel.freq)
        study.progress("perfect information", 3 / 4)
        answers += _check_bound(study, backtest, comparison)
    return Checks(tuple(warnings), tuple(answers))


def replay_of(study: Study, backtest: Backtest, name: str) -> Replay:
    """Return how a policy of a backtest is simulated again: fold after fold, a learned one with its first seed.

    Args:
        study: the study in progress.
        backtest: with its policies.
        name: of the policy.
    """
    policies = [cast(Policy, fold.trained.policies[name]) for fold in backtest.folds]
    scenario, params = study.replay(backtest), study.data.params
    policy, state = follow_each_other(policies, [backtest.warm_up + end for end in backtest.ends], scenario, params)
    return Replay(policy, scenario, params, backtest.warm_up, state)


def _pair(study: Study, comparison: Comparison) -> Pair | None:
    """Return the baseline and the cheapest policy that is not like it; None where a saving means nothing."""
    base = comparison.trajectories[comparison.baseline].cost
    rival, options = comparison.rival, study.config.statistics
    if rival == comparison.baseline or base.sum() <= 0:
        return None
    cost = comparison.trajectories[rival].cost
    return Pair(comparison.baseline, rival, base, cost, {"level": options.level, "clusters": options.clusters})


def _check_baseline(
    study: Study, backtest: Backtest, comparison: Comparison
) -> tuple[list[CheckWarning], list[Answer]]:
    name, config = comparison.baseline, study.config
    trained, clusters = backtest.trained, config.statistics.clusters
    at_edge: dict[str, tuple[str, ...]] = {}
    for fold in backtest.folds:
        at_edge |= fold.trained.at_edge
    compared = {n: trained.policies[n] for n in comparison.trajectories if n in trained.policies}
    warnings = [*form_warnings(compared, comparison.trajectories, clusters), *edge_warnings(at_edge)]
    form = trained.policies[name]
    if isinstance(form, Planner):
        return warnings, []
    subject = Subject(name, form, needs_training(name, config.policies.options.get(name, {})))
    replay, own = replay_of(study, backtest, name), comparison.trajectories[name]
    found = check_baseline(subject, replay, own, clusters=clusters)
    if found is None:
        return warnings, []
    return [*found.warnings, *warnings], describe_baseline(found, name)


def _check_stock_outs(study: Study, backtest: Backtest, comparison: Comparison, pair: Pair) -> list[Answer]:
    panel, first = study.data.panel, study.window.cutoff
    hidden = unrecorded(panel, first)
    if not hidden.any():
        return []
    names = [str(n) for n in comparison.table.index if comparison.table.loc[n, "kind"] == "policy"]
    costs = {name: comparison.trajectories[name].cost for name in names}
    replays = replay_of(study, backtest, pair.baseline), replay_of(study, backtest, pair.rival)
    demand = draw_hidden_demand(panel, first - backtest.warm_up)
    found = check_stock_outs(pair, costs, hidden, replays, demand)
    return [describe_stock_outs(found, pair, known=study.config.data.history is None)]


def _check_ends(study: Study, comparison: Comparison, pair: Pair) -> list[Answer]:
    """Ask what the last period's stock and the first periods decide."""
    params, items, answers = study.data.params, study.data.items, []
    values: dict[str, Any] = {"a period's holding cost": params.holding_cost}
    if items is not None and "unit_cost" in items and items["unit_cost"].notna().all():
        values["its unit cost"] = items["unit_cost"].to_numpy(float)
    trajectories = {name: comparison.trajectories[name] for name in (pair.baseline, pair.rival)}
    whole = pair.saving()
    if whole is None:
        return []
    found = {name: value_of_end(pair, trajectories, params, value) for name, value in values.items()}
    valued = {name: saving for name, saving in found.items() if saving is not None}
    if valued:
        answers.append(describe_end(whole, valued))
    span = study.window.span
    later = pair.part(slice(span, None)).saving() if pair.base.shape[1] > span else None
    if later is not None:
        answers.append(describe_start(whole, later, span, study.data.panel.freq))
    return answers


def _check_bound(study: Study, backtest: Backtest, comparison: Comparison) -> list[Answer]:
    table = comparison.table
    bounds, cost = table[table["kind"] == "bound"], cast(float, table.loc[comparison.baseline, "cost"])
    if not len(bounds) or cost <= 0:
        return []
    policies = backtest.folds[0].trained.policies
    bound, baseline = policies[str(bounds["cost"].idxmin())], policies[comparison.baseline]
    exact = 0
    if hasattr(bound, "exact_items") and not isinstance(baseline, Planner):
        held_out, state = _held_out_from(study, backtest, baseline)
        items: BoolArray = bound.exact_items(held_out, study.data.params, state)
        exact = int(np.sum(items))
    return [describe_bound(1 - float(bounds["cost"].min()) / cost, exact, study.data.panel.items)]
