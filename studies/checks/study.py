"""The checks of a study, as warnings, as questions with answers, and as a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np

from ...arrays import FloatArray
from ...envs.core.types import Trajectory
from ...policies.base import Planner, Policy
from ...policies.rollout import prepare_scenario, simulate, starting_state, state_after
from ...training.train import needs_training
from ..backtest import Backtest, Study
from ..compare import Comparison
from ..folds import PolicyByFold
from ..report.text import interval, label, number, percent, period_of
from ..statistics import Saving
from .baseline import (
    OFF,
    TOO_SURE,
    WORTH_SAYING,
    BaselineChecks,
    CheckWarning,
    Subject,
    check_baseline,
    edge_warnings,
    form_warnings,
)
from .held_out import (
    ItemsWorseOff,
    Pair,
    StockOuts,
    check_items,
    check_stock_outs,
    draw_hidden_demand,
    unrecorded,
    value_of_end,
)
from .replay import Replay

Verdict = Literal["good", "note", "warning"]
HIDDEN = 0.1
"""Share of a policy's cost in item-periods without a record of demand that is said in the terminal."""
MOVED = 0.01
"""Change of a saving that is worth saying."""


@dataclass(frozen=True)
class Answer:
    """One question that a careful reader has, and its answer.

    Attributes:
        code: of the check.
        question: as a reader would ask it.
        answer: in numbers.
        verdict: "good", "note" (worth knowing) or "warning".
    """

    code: str
    question: str
    answer: str
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Checks:
    """What a careful statistician would ask of a study, and the answers.

    Attributes:
        warnings: what must be known before a saving is believed.
        answers: all questions.
        notes: sentences for the terminal, beside the warnings.
        figures: the numbers, by check.
    """

    warnings: tuple[CheckWarning, ...]
    answers: tuple[Answer, ...]
    notes: tuple[str, ...]
    figures: Mapping[str, Any]

    def to_record(self) -> dict[str, Any]:
        """Return it as `checks.json` keeps it."""
        return {
            "warnings": self.warning_records(),
            "notes": list(self.notes),
            "answers": [asdict(answer) for answer in self.answers],
            "figures": dict(self.figures),
        }

    @property
    def sentences(self) -> list[str]:
        """Warnings and notes for the terminal."""
        return [f"Warning: {warning.text}." for warning in self.warnings] + list(self.notes)

    def warning_records(self) -> list[dict[str, str]]:
        """Return the warnings as a manifest keeps them."""
        return [asdict(warning) for warning in self.warnings]


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
    scenario, params = study.replay(backtest), study.data.params
    state = state_after(cast(Policy, policies[baseline]), scenario, params, backtest.warm_up)
    held_out = scenario.window(backtest.warm_up, scenario.periods)
    return {name: simulate(bound, held_out, params, initial_state=state) for name, bound in bounds.items()}


def check_study(study: Study, backtest: Backtest, comparison: Comparison) -> Checks:
    """Ask what a careful statistician would ask of a study.

    Args:
        study: the study in progress.
        backtest: forecasts, policies and trajectories.
        comparison: of its policies.
    """
    with study.stage("checking"):
        warnings, answers, figures = _check_baseline(study, backtest, comparison)
        notes: list[str] = []
        pair = _pair(study, comparison)
        if pair is not None:
            _check_stock_outs(study, backtest, comparison, pair, (answers, notes, figures))
            _check_end(study, comparison, pair, answers, figures)
            _check_start(study, pair, answers, figures)
            _check_items(study, pair, answers, figures)
        _check_bound(study, backtest, comparison, answers, figures)
    return Checks(tuple(warnings), tuple(answers), tuple(notes), figures)


def replay_of(study: Study, backtest: Backtest, name: str) -> Replay:
    """Return how a policy of a backtest is simulated again: fold after fold, a learned one with its first seed.

    Args:
        study: the study in progress.
        backtest: with its policies.
        name: of the policy.
    """
    policies = [cast(Policy, fold.trained.policies[name]) for fold in backtest.folds]
    scenario, params = study.replay(backtest), study.data.params
    state = starting_state(policies[0], prepare_scenario(policies[0], scenario, params), params)
    ends = tuple(backtest.warm_up + fold.end - backtest.folds[0].first for fold in backtest.folds)
    policy = policies[0] if len(policies) == 1 else PolicyByFold(tuple(policies), ends)
    return Replay(policy, scenario, params, backtest.warm_up, state)


def _pair(study: Study, comparison: Comparison) -> Pair | None:
    """Return the baseline and the cheapest other policy."""
    table = comparison.table
    rivals = table[(table["kind"] == "policy") & (table.index != comparison.baseline)]
    if not len(rivals):
        return None
    rival, options = str(rivals["cost"].idxmin()), study.config.statistics
    base, cost = (comparison.trajectories[name].cost for name in (comparison.baseline, rival))
    return Pair(comparison.baseline, rival, base, cost, {"level": options.level, "clusters": options.clusters})


def _check_baseline(
    study: Study, backtest: Backtest, comparison: Comparison
) -> tuple[list[CheckWarning], list[Answer], dict[str, Any]]:
    name, options = comparison.baseline, study.config.policies.options
    trained = backtest.trained
    form = trained.policies[name]
    at_edge: dict[str, tuple[str, ...]] = {}
    for fold in backtest.folds:
        at_edge |= fold.trained.at_edge
    compared = {n: trained.policies[n] for n in comparison.trajectories if n in trained.policies}
    further = [*form_warnings(compared, comparison.trajectories, study.config.statistics.clusters)]
    further += edge_warnings(at_edge)
    if isinstance(form, Planner):
        return further, [], {}
    tuned = needs_training(name, options.get(name, {}))
    found = check_baseline(
        Subject(name, form, tuned),
        replay_of(study, backtest, name),
        comparison.trajectories[name],
        clusters=study.config.statistics.clusters,
    )
    if found is None:
        return further, [], {}
    answers, figures = _describe_baseline(found, name)
    return [*found.warnings, *further], answers, figures


def _describe_baseline(found: BaselineChecks, name: str) -> tuple[list[Answer], dict[str, Any]]:
    codes = {warning.code for warning in found.warnings}
    again, met = found.retuning, found.service
    if again.shift == 0:
        text = "no other safety stock would have cost less"
    elif again.saving > 0:
        text = (
            f"{again.shift:+g} periods of demand would have cost {percent(again.saving)} less "
            f"{interval(again.low, again.high)} on cells that it was not chosen on"
        )
    else:
        text = f"{again.shift:+g} periods of demand looked cheaper, and were not on cells that it was not chosen on"
    bad = bool({"retuning", "weak_baseline"} & codes)
    answers = [
        Answer(
            "retuning",
            f"Would another safety stock make the baseline, {label(name)}, cheaper?",
            text,
            "warning" if bad else "note" if again.saving > WORTH_SAYING else "good",
        ),
        Answer(
            "service",
            "Does the baseline cover what its critical ratio asks for?",
            f"{percent(met.share)} of item-periods end without a shortfall; the mean critical ratio is "
            f"{percent(met.promised)}",
            "warning" if "service" in codes else "note" if abs(met.gap.mean) > 0.05 else "good",
        ),
    ]
    figures: dict[str, Any] = {
        "retuning": asdict(again),
        "service": {"share": met.share, "promised": met.promised, "low": met.gap.low, "high": met.gap.high},
    }
    if found.coverage is not None:
        most, least = found.coverage
        off = most.falls_short(OFF) or least.exceeds(OFF)
        answers.append(
            Answer(
                "forecast_coverage",
                "Does demand stay below the critical fractile that is forecast as often as it should?",
                f"in {percent(least.share)} to {percent(most.share)} of cases (without and with the unit that the "
                f"fractile falls into), where {percent(most.promised)} is right",
                "warning" if "forecast_coverage" in codes else "note" if off else "good",
            )
        )
        figures["forecast_coverage"] = {"low": least.share, "high": most.share, "promised": most.promised}
    if found.spread is not None:
        times = float(np.mean(found.spread))
        sure = min(found.spread) > TOO_SURE
        answers.append(
            Answer(
                "forecast_spread",
                "Are forecasts as unsure as they should be?",
                f"within a period items deviate from their forecasts {times:.2f} times as far as these say (1 is "
                "right; less where items share shocks)",
                "warning" if "forecast_spread" in codes else "note" if sure else "good",
            )
        )
        figures["forecast_spread"] = {"times": times}
    return answers, figures


Said = tuple[list[Answer], list[str], dict[str, Any]]
"""Where answers, notes and figures are added."""


def _check_stock_outs(study: Study, backtest: Backtest, comparison: Comparison, pair: Pair, said: Said) -> None:
    answers, notes, figures = said
    panel, first = study.data.panel, study.window.cutoff
    hidden = unrecorded(panel, first)
    if not hidden.any():
        return
    names = [str(n) for n in comparison.table.index if comparison.table.loc[n, "kind"] == "policy"]
    costs = {name: comparison.trajectories[name].cost for name in names}
    replays = replay_of(study, backtest, pair.baseline), replay_of(study, backtest, pair.rival)
    demand = draw_hidden_demand(panel, first - backtest.warm_up)
    found = check_stock_outs(pair, costs, hidden, replays, demand)
    share = found.cost_shares[pair.baseline]
    known = study.config.data.history is None
    text = (
        f"{percent(share)} of the baseline's cost falls in {percent(found.share)} of the item-periods, where the item "
        f"was out of stock and demand is {'known only because the panel is synthetic' if known else 'made up'}"
    )
    rest, whole = found.informative, pair.saving()
    if rest is not None:
        within = interval(rest.low, rest.high)
        text += f"; on all others the saving of {label(pair.rival)} is {percent(rest.saving)} {within}"
    text += (
        f", and {percent(found.draws.mean())} on average over {len(found.draws)} draws of the hidden demand "
        f"({percent(found.draws.min())} to {percent(found.draws.max())})"
    )
    verdict: Verdict = "warning" if _is_lost(whole, rest) else "note" if share > HIDDEN else "good"
    answers.append(Answer("stock_outs", "How much rests on demand that is not on record?", text, verdict))
    if share > HIDDEN:
        notes.append(f"{text[0].upper()}{text[1:]}.")
    figures["stock_outs"] = _stock_out_figures(found)


def _stock_out_figures(found: StockOuts) -> dict[str, Any]:
    return {
        "share": found.share,
        "cost_shares": found.cost_shares,
        "informative": _interval_record(found.informative),
        "draws": [float(saving) for saving in found.draws],
    }


def _check_end(
    study: Study, comparison: Comparison, pair: Pair, answers: list[Answer], figures: dict[str, Any]
) -> None:
    params, items = study.data.params, study.data.items
    values: dict[str, Any] = {"a period's holding cost": params.holding_cost}
    if items is not None and "unit_cost" in items and items["unit_cost"].notna().all():
        values["its unit cost"] = items["unit_cost"].to_numpy(float)
    trajectories = {name: comparison.trajectories[name] for name in (pair.baseline, pair.rival)}
    plain = pair.saving()
    found = {name: value_of_end(pair, trajectories, params, value) for name, value in values.items()}
    kept = {name: saving for name, saving in found.items() if saving is not None}
    if plain is None or not kept:
        return
    parts = [f"{percent(saving.saving)} where a unit is worth {name}" for name, saving in kept.items()]
    lost = any(_is_lost(plain, saving) for saving in kept.values())
    moved = any(abs(saving.saving - plain.saving) > MOVED for saving in kept.values())
    answers.append(
        Answer(
            "end",
            "Is stock that is left at the end worth something?",
            f"the saving is {percent(plain.saving)}; {', '.join(parts)}",
            "warning" if lost else "note" if moved else "good",
        )
    )
    figures["end"] = {name: _interval_record(saving) for name, saving in kept.items()}


def _check_start(study: Study, pair: Pair, answers: list[Answer], figures: dict[str, Any]) -> None:
    span, periods = study.window.span, pair.base.shape[1]
    plain, later = pair.saving(), pair.part(slice(span, None)).saving() if periods > span else None
    if plain is None or later is None:
        return
    word = period_of(study.data.panel.freq, span)
    moved = abs(later.saving - plain.saving) > MOVED
    answers.append(
        Answer(
            "start",
            "Does the start decide?",
            f"without the first {span} {word}, a protection interval, the saving is {percent(later.saving)} "
            f"{interval(later.low, later.high)}",
            "warning" if _is_lost(plain, later) else "note" if moved else "good",
        )
    )
    figures["start"] = {"periods": span, **(_interval_record(later) or {})}


def _check_items(study: Study, pair: Pair, answers: list[Answer], figures: dict[str, Any]) -> None:
    found = check_items(pair)
    if found is None:
        return
    word = period_of(study.data.panel.freq, 1)
    answers.append(
        Answer(
            "items",
            f"Which items are worse off under {label(pair.rival)}?",
            f"{percent(found.share, 0)} of them, by {number(found.money)} a {word} together; of those that lost in the "
            f"first half, {percent(found.again, 0)} lost in the second, of the others {percent(found.gained, 0)}",
            "note" if found.again > found.gained + 0.1 else "good",
        )
    )
    if found.decile is not None:
        saving = found.decile
        answers.append(
            Answer(
                "decile",
                "How does the tenth of the items fare that lost most at first?",
                f"{found.decile_items} items, named by the first half of the held-out time: in the second half the "
                f"saving on them is {percent(saving.saving)} {interval(saving.low, saving.high)}",
                "warning" if saving.high < 0 else "note" if saving.saving < 0 else "good",
            )
        )
    figures["items"] = _item_figures(found)


def _item_figures(found: ItemsWorseOff) -> dict[str, Any]:
    return {**asdict(found), "decile": _interval_record(found.decile)}


def _check_bound(
    study: Study, backtest: Backtest, comparison: Comparison, answers: list[Answer], figures: dict[str, Any]
) -> None:
    bounds = comparison.table[comparison.table["kind"] == "bound"]
    if not len(bounds):
        return
    name = str(bounds["cost"].idxmin())
    cost = cast(float, comparison.table.loc[comparison.baseline, "cost"])
    if cost <= 0:
        return
    left = 1 - float(bounds["cost"].min()) / cost
    exact = _exact_share(study, backtest, comparison.baseline, name)
    limits = "" if exact == 1 else f" ({percent(exact, 0)} of the items; the others free of order rules)"
    answers.append(
        Answer(
            "bound",
            "What is the most that any policy could save?",
            f"{percent(left)} of the baseline's cost, by orders that know all demand to come, from the same stock, in "
            f"the same packs and lead times{limits}",
            "good",
        )
    )
    figures["bound"] = {"saving": left, "exact_items": exact}


def _exact_share(study: Study, backtest: Backtest, baseline: str, name: str) -> float:
    """Return the share of items whose bound is the cheapest plan of all, not a relaxation."""
    bound = backtest.folds[0].trained.policies[name]
    exact_items = getattr(bound, "exact_items", None)
    if exact_items is None:
        return 0.0
    scenario, params = study.replay(backtest), study.data.params
    policy = backtest.folds[0].trained.policies[baseline]
    state = state_after(cast(Policy, policy), scenario, params, backtest.warm_up)
    exact: FloatArray = exact_items(scenario.window(backtest.warm_up, scenario.periods), params, state)
    return float(np.mean(exact))


def _is_lost(whole: Saving | None, part: Saving | None) -> bool:
    """Whether a saving whose interval lies above zero no longer does."""
    return whole is not None and part is not None and whole.low > 0 >= part.low


def _interval_record(saving: Saving | None) -> dict[str, float] | None:
    return None if saving is None else {"saving": saving.saving, "low": saving.low, "high": saving.high}
