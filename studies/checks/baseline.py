"""Whether the baseline of a comparison is a good one: savings against a poor baseline are not worth their figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...envs.core.types import ItemParams, Scenario, Trajectory
from ...policies.base import Planner, Policy
from ...policies.newsvendor import Newsvendor, Projected, TunedNewsvendor, TunedProjected
from ...policies.rollout import prepare_scenario
from ..report.text import interval, percent
from ..statistics import Clusters, paired_saving
from .replay import CELLS, Replay
from .retuning import SURE, Retuning, retune
from .service import Coverage, forecast_coverage, forecast_spread, service

WORTH_SAYING = 0.02
"""Share of the baseline's cost that retuning must save to be a warning."""
BEATS = 0.01
"""Share that an untuned form must save against the tuned one."""
OFF = 0.03
"""Distance from the critical ratio that is a warning."""
TOO_SURE = 1.25
"""How many times as far as forecast items must deviate for a warning."""
MORE = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Shifts on demand as forecasts have it: drawn period by period it spreads less over an interval than is forecast, so
that only too little stock is told apart there."""
FEWEST_CELLS = 40
"""Path-item-periods below which nothing can be said."""
WEAK = "weak_baseline"
"""Code of a formula that is used where it does not hold."""
TUNED_FORMS = ((Newsvendor, TunedNewsvendor), (Projected, TunedProjected))
"""Untuned forms that orders by formula, and what they are tuned to."""


@dataclass(frozen=True)
class CheckWarning:
    """What a reader must know before a saving is believed.

    Attributes:
        code: "retuning", "weak_baseline", "service", "forecast_coverage", "forecast_spread", "untuned_beats_tuned",
            "grid_edge" or "weak_forecaster".
        text: one sentence on what was found, and what to do about it.
    """

    code: str
    text: str

    @property
    def sentence(self) -> str:
        """The warning as text is printed; a baseline that is right by its formula and weak is worth a note."""
        return f"{'Note' if self.code == WEAK else 'Warning'}: {self.text}."


@dataclass(frozen=True, eq=False)
class BaselineChecks:
    """What was found out about a baseline.

    Attributes:
        retuning: by other safety stocks, on the periods themselves.
        believed: likewise, on demand as the forecasts have it; None for tuned policies, and without such forecasts.
        service: item-periods without a shortfall.
        coverage: forecasts of demand over the protection interval, with and without the unit that the fractile falls
            into; None where nothing is forecast.
        spread: how many times as far as forecast items deviate, by half of the items; None likewise.
        warnings: what follows.
    """

    retuning: Retuning
    believed: Retuning | None
    service: Coverage
    coverage: tuple[Coverage, Coverage] | None
    spread: tuple[float, float] | None
    warnings: tuple[CheckWarning, ...]


def check_comparison(
    policies: Mapping[str, Policy | Planner],
    scenario: Scenario,
    params: Any,
    trajectories: Mapping[str, Trajectory],
    *,
    baseline: str,
    clusters: Clusters = "auto",
    initial_state: Any = None,
    warm_up: int = 0,
    at_edge: Mapping[str, Sequence[str]] | None = None,
) -> list[CheckWarning]:
    """Check the baseline of a comparison on one scenario.

    Args:
        policies: by name, as they were compared.
        scenario: demand and forecasts.
        params: lead times, costs and order rules; only items of their own are checked, no networks.
        trajectories: of each policy.
        baseline: name of the policy that savings are measured against.
        clusters: see `paired_saving`.
        initial_state: what the first period began with; None = each policy's own target.
        warm_up: periods at the start that do not count.
        at_edge: by policy, parameters whose search ended at the edge of its grid.

    Returns:
        Warnings; none where nothing was found.
    """
    warnings = [*form_warnings(policies, trajectories, clusters), *edge_warnings(at_edge or {})]
    policy = policies[baseline]
    if isinstance(policy, Planner) or not isinstance(params, ItemParams):
        return warnings
    replay = Replay(policy, scenario, params, warm_up, initial_state)
    found = check_baseline(Subject.of(baseline, policy), replay, trajectories[baseline], clusters=clusters)
    return [*(found.warnings if found else ()), *warnings]


@dataclass(frozen=True, eq=False)
class Subject:
    """The baseline that is checked.

    Attributes:
        name: in texts.
        form: the policy, whose kind decides which mistakes are possible.
        tuned: whether its safety stock was found by simulation; then no formula says what it should be.
    """

    name: str
    form: Policy
    tuned: bool

    @property
    def buys_fractile(self) -> bool:
        """Whether it orders by the forecast's fractile as it is."""
        return not self.tuned and bool(getattr(self.form, "reads_protection_total", False))

    @classmethod
    def of(cls, name: str, policy: Policy) -> Subject:
        """Return a policy whose kind says whether it was tuned."""
        return cls(name, policy, isinstance(policy, tuple(tuned for _, tuned in TUNED_FORMS)))


def check_baseline(
    subject: Subject, replay: Replay, own: Trajectory, *, clusters: Clusters = "auto"
) -> BaselineChecks | None:
    """Check a baseline by simulating it again with other safety stocks, and by what it covers.

    Args:
        subject: the baseline.
        replay: how it was simulated.
        own: its trajectory.
        clusters: see `paired_saving`.

    Returns:
        None where there are too few item-periods, or parameters differ between paths.
    """
    replay = replace(replay, scenario=prepare_scenario(replay.policy, replay.scenario, replay.params))
    scenario, params = replay.scenario, replay.params
    per_path = any(np.ndim(getattr(params, f.name)) > 1 for f in fields(params) if f.init)
    if own.cost.size < FEWEST_CELLS or per_path or own.cost.sum() <= 0:
        return None
    paths = max(2, CELLS // (scenario.periods * scenario.items))
    if paths < scenario.paths:
        replay, own = replay.first_paths(paths), _first_paths(own, paths)
        scenario = replay.scenario
    retuning = retune(replay.shifted, own, clusters=clusters)
    world = None if subject.tuned else replay.believed()
    met, there_met = service(own, params, clusters=clusters), None
    believed = None
    if world is not None:
        there = world.shifted(0.0)
        believed, there_met = retune(world.shifted, there, shifts=MORE), service(there, params)
    covered = forecast_coverage(scenario, params, replay.warm_up, clusters=clusters)
    warnings = _retuning_warnings(subject, retuning, params)
    if not warnings and believed is not None and believed.exceeds(WORTH_SAYING):
        here = paired_saving(own.cost, replay.shifted(believed.shift).cost, level=SURE, clusters=clusters)
        if here.saving > WORTH_SAYING:  # the periods themselves say the same, if less surely
            warnings = _retuning_warnings(subject, believed, params, "under the scenario's own forecasts, ")
    spread = forecast_spread(scenario, params, replay.warm_up)
    short = met.falls_short(OFF) or (there_met is not None and there_met.falls_short(OFF) and met.gap.mean < 0)
    warnings += _coverage_warnings(subject, met if short else None, covered, params)
    if subject.buys_fractile and spread is not None and min(spread) > TOO_SURE:
        text = (
            f"forecasts are too sure of themselves: items deviate from them {np.mean(spread):.1f} times as far as they "
            f"say, and {subject.name} buys their fractile as it is: take a tuned baseline, or calibrate the forecaster"
        )
        warnings.append(CheckWarning("forecast_spread", text))
    return BaselineChecks(retuning, believed, met, covered, spread, tuple(warnings))


def form_warnings(
    policies: Mapping[str, Any], trajectories: Mapping[str, Trajectory], clusters: Clusters = "auto"
) -> list[CheckWarning]:
    """Warn where an untuned form costs less than its tuned one, beyond chance.

    Args:
        policies: by name.
        trajectories: of each policy.
        clusters: see `paired_saving`.
    """
    warnings = []
    for plain, better in TUNED_FORMS:
        for tuned in (n for n, p in policies.items() if isinstance(p, better)):
            for untuned in (n for n, p in policies.items() if type(p) is plain):
                costs = trajectories[tuned].cost, trajectories[untuned].cost
                if costs[0].shape != costs[1].shape or costs[0].sum() <= 0:
                    continue
                saving = paired_saving(*costs, level=SURE, clusters=clusters)
                if saving.saving > BEATS and saving.low > 0:
                    warnings.append(
                        CheckWarning(
                            "untuned_beats_tuned",
                            f"{untuned} costs {percent(saving.saving)} less than {tuned}, its tuned form: what was "
                            "tuned does not hold on these periods; tune on more or on later demand",
                        )
                    )
    return warnings


def edge_warnings(at_edge: Mapping[str, Sequence[str]]) -> list[CheckWarning]:
    """Warn of searches that ended at the edge of their grid.

    Args:
        at_edge: by policy, the parameters.
    """
    return [
        CheckWarning(
            "grid_edge",
            f"the search of {name} ended at the edge of its grid ({', '.join(parameters)}): a better value may lie "
            "beyond; widen the grid (TuningConfig) or look for a wrong cost or forecast",
        )
        for name, parameters in at_edge.items()
        if parameters
    ]


def _retuning_warnings(subject: Subject, found: Retuning, params: ItemParams, where: str = "") -> list[CheckWarning]:
    if not found.exceeds(WORTH_SAYING):
        return []
    name, more = subject.name, found.shift > 0
    within = interval(found.low, found.high)
    gain = f"{where}a safety stock of {found.amount} would save {percent(found.saving)} {within}"
    lost = bool(np.any(np.asarray(params.lost_share) > 0))
    if subject.tuned:
        text = (
            f"the baseline {name} was tuned, and is not well set on these periods: {gain}; has demand, or its "
            "forecast, changed since? Tune on later periods"
        )
        return [CheckWarning("retuning", text)]
    if not _by_the_book(params) or (lost and not more):
        cause = "takes lost sales for backorders" if lost and not more else "ignores packs, limits or fixed costs"
        text = f"the baseline {name} {cause}: {gain}; a tuned one, e.g. tuned_newsvendor, is harder to beat"
        return [CheckWarning(WEAK, text)]
    cause = (
        "does it cover L + R periods of demand, with their whole spread?"
        if more
        else "does it cover more than L + R periods of demand, or too wide a spread?"
    )
    text = f"the baseline {name} is not well set: {gain}; {cause} Savings against it say little until that is mended"
    return [CheckWarning("retuning", text)]


def _coverage_warnings(
    subject: Subject, short: Coverage | None, covered: tuple[Coverage, Coverage] | None, params: ItemParams
) -> list[CheckWarning]:
    """Warn of coverage that is not what was promised; what a tuned policy covers is what costs least, not b/(b + h).

    Args:
        subject: the baseline.
        short: its service where that falls short, on these periods or on demand as forecast.
        covered: by the forecasts.
        params: costs and rules.
    """
    if subject.tuned or not _by_the_book(params):
        return []
    warnings = []
    backorders = bool(np.all(np.asarray(params.lost_share) == 0))
    if (backorders or isinstance(subject.form, Newsvendor)) and short is not None:
        text = (
            f"the baseline {subject.name} ends {percent(short.share, 0)} of item-periods without a shortfall, its "
            f"critical ratio asks for {percent(short.promised, 0)}: check its level, its spread and its protection "
            "interval"
        )
        warnings.append(CheckWarning("service", text))
    if covered is None or not subject.buys_fractile:
        return warnings
    for cover, off in zip(covered, (covered[0].falls_short(OFF), covered[1].exceeds(OFF)), strict=True):
        if off:
            text = (
                "demand over the protection interval stays below the forecast's critical fractile in "
                f"{percent(cover.share, 0)} of cases, not in {percent(cover.promised, 0)}, and {subject.name} buys "
                "that fractile as it is: take a tuned baseline, or calibrate the forecaster"
            )
            warnings.append(CheckWarning("forecast_coverage", text))
    return warnings


def _by_the_book(params: ItemParams) -> bool:
    """Whether formulas for a fractile are meant for these items: no fixed cost, packs or order limits."""
    pack = 0.0 if params.pack_size is None else params.pack_size
    least, most = params.order_range
    rules = np.any(np.asarray(pack) > 1) or np.any(np.asarray(least) > 1) or np.any(np.isfinite(most))
    return not rules and not np.any(params.fixed_order_cost) and params.capacity is None


def _first_paths(trajectory: Trajectory, paths: int) -> Trajectory:
    names = ("order", "received", "sales", "shortfall", "on_hand", "cost", "demand")
    cut = {name: getattr(trajectory, name)[:paths] for name in names}
    extra = {name: values[:paths] for name, values in trajectory.extra.items()}
    return replace(trajectory, **cut, extra=extra)
