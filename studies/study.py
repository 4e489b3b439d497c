"""The main job: a study with its run folder."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from ..envs.core.types import Trajectory
from ..parts import Parts
from ..policies.base import Policy
from ..progress import Progress, no_progress, plan_stages
from .advice import Advice, advise
from .assumptions import Assumption, assumption_record, begin_with, describe_defaults, list_assumptions
from .backtest import Backtest, Study, begin
from .checks.forecasts import forecaster_warnings
from .checks.study import Checks, check_study, simulate_bounds
from .compare import Comparison, summarise
from .config import StudyConfig
from .engine import Engine, begin_compared, open_engine, study_pieces
from .fold_savings import savings_by_fold
from .folder import RunFolder
from .headline import choose_baseline
from .histories import gap_sentence, with_histories
from .impact.accuracy import score_rows
from .impact.grid import run_grid
from .interrupted import PARTS, interruptible_run
from .kept_runs import orders_at_end, save_models
from .league.run import study_lineage
from .locks import locks_target
from .orders import label_orders, write_orders
from .outside import forecast_notes
from .record import backtest_record, describe_setting, write_manifest
from .report.page import build_report
from .report.text import note_lines
from .sections import BOUNDS, OWN_ORDERS
from .stages import study_stages, valued_policies
from .sweeps import Sweep, sweep_study

VALUE_COLUMNS = ["forecaster", "policy", "cost", "fill_rate", "saving", "saving_low", "saving_high"]
SERIES = ("demand", "order", "received", "sales", "shortfall", "on_hand", "cost")
ITEM_COLUMNS = ("lead_time", "review_period", "holding_cost", "stockout_cost", "fixed_order_cost", "critical_ratio")
DRAWN = 6
"""Items that the report draws."""
WIDTH = 100
"""Columns of text."""
RECENT = 60
"""Periods of history that are drawn before the held-out ones."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The outcome of a study.

    Attributes:
        comparison: every policy on the held-out periods.
        folder: the run folder.
        failed: errors of forecasters that failed in the league, by name.
        advice: what to do, and the policy that orders are made with.
        assumptions: what was taken for granted.
        setting: how many periods were held out, in how many folds, and how many training seeds networks have.
        notes: what a reader should know of forecasts made elsewhere.
        checks: what a careful statistician would ask.
    """

    comparison: Comparison
    folder: Path
    failed: Mapping[str, str] = field(default_factory=dict)
    advice: Advice | None = None
    assumptions: tuple[Assumption, ...] = ()
    checks: Checks | None = None
    setting: str = ""
    notes: tuple[str, ...] = ()

    @property
    def report(self) -> Path:
        """Its page."""
        return self.folder / "report.html"

    def to_text(self) -> str:
        """Return what nobody gave, the table, how it was come by, the advice, and where the report is."""
        gap = gap_sentence(self.comparison.table, self.comparison.intervals.candidate)
        said = [textwrap.fill(text, WIDTH) for text in (self.setting, gap) if text]
        said += [] if self.checks is None else [textwrap.fill(text, WIDTH) for text in self.checks.sentences]
        said += note_lines(self.notes)
        said += [] if self.advice is None else [textwrap.fill(self.advice.sentence, WIDTH)]
        text = "\n\n".join([self.comparison.to_text(), *said, f"Report: {self.report}"])
        return begin_with(describe_defaults(self.assumptions), text)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # what a notebook shows
        printer.text(self.to_text())

    def to_document(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "folder": self.folder,
            "report": self.report,
            "baseline": self.comparison.baseline,
            "table": self.comparison.table.reset_index().to_dict("records"),
            "advice": self.advice and self.advice.to_record(),
            **assumption_record(self.assumptions),
            "warnings": [] if self.checks is None else self.checks.warning_records(),
            "notes": self.notes,
        }


@locks_target
def run_study(
    config: StudyConfig,
    out: Path | str,
    *,
    command: str = "fr.run_study(config, out)",
    progress: Progress = no_progress,
    overwrite: bool = False,
    resume: bool = False,
) -> StudyResult:
    """Compare policies on held-out periods and write the run folder with its report.

    Args:
        config: of the study: see `load_config`.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        resume: go on with an interrupted run of the same config.

    Raises:
        InputError: with the faults of data or configuration; no folder is left then.
    """
    study = begin(config, config.backtest.periods, progress)
    kept = interruptible_run(
        out, config, kind="study", command=command, overwrite=overwrite, resume=resume, seconds=study.seconds
    )
    plan_stages(progress, study_stages(study))
    with kept as run:
        study = replace(study, parts=Parts(run.path / PARTS))
        with open_engine(study, config, begin_compared) as engine:
            found = analyse(study, run, engine)
        advice = advise_on(found.comparison, found.checks, study)
        with study.stage("writing", counted=True):
            write_analysis(run, study, found)
            if study.data.state is not None and advice.policy != OWN_ORDERS:  # theirs go on as the user knows best
                chosen = cast(Policy, found.backtest.trained.policies[advice.policy])  # never a bound
                orders = orders_at_end(study.data, found.backtest.fitted, chosen, study.shown)
                said = {"policy": advice.policy, "forecaster": found.backtest.forecaster}
                assumed = describe_defaults(list_assumptions(study.config, study.data))
                write_orders(run.path / "orders.csv", label_orders(orders, **said, assumed=assumed))
        write_manifest(run, study, command, kind="study", **study_record(study, found, found.comparison, advice))
        build_report(run.path)
    return result_of(run, study, found, found.comparison, advice)


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a study found on its items.

    Attributes:
        backtest: of the forecaster that policies see.
        comparison: of all policies, with the savings in simulated histories.
        checks: what a careful statistician would ask.
        value: what forecasters are worth: a row a forecaster and policy.
        scores: of the forecasters.
        failed: errors of forecasters that failed in the league, by name.
        sweep: what the best policy saves under other parameters; None where the config leaves it out.
    """

    backtest: Backtest
    comparison: Comparison
    checks: Checks
    value: pd.DataFrame
    scores: pd.DataFrame
    failed: Mapping[str, str]
    sweep: Sweep | None

    @property
    def baseline(self) -> str:
        """The policy that savings are measured against."""
        return self.comparison.baseline


def analyse(study: Study, run: RunFolder, engine: Engine | None = None) -> Analysis:
    """Forecast, train and compare on held-out periods, and ask what the savings rest on.

    Args:
        study: with its data.
        run: where the league of forecasters is written, if there is one.
        engine: runs the independent pieces; None: this process does.
    """
    config, settings = study.config, study.config.statistics
    valued = valued_policies(config)
    if engine is not None:
        engine.prepare(study_pieces(config, valued))
    backtest = study.backtest(config.forecast.forecaster, config.policies.names, also=valued)
    # The rule is decided before anything is held out, and holds for all folds.
    baseline = choose_baseline(config.policies.baseline, backtest.folds[0].trained)
    bounds = simulate_bounds(study, backtest, baseline)
    comparison = summarise(
        {**backtest.trajectories, **bounds},
        baseline=baseline,
        level=settings.level,
        clusters=settings.clusters,
        bounds=BOUNDS,
    )
    comparison = with_histories(study, backtest, comparison)
    checks = check_study(study, backtest, comparison)
    value, scores = value_forecasters(study, backtest, valued, comparison.trajectories[baseline])
    league = study_lineage(study, run, None if engine is None else engine.executor)
    sweep = sweep_study(study, backtest, comparison, engine) if config.sweep.enabled else None
    return Analysis(backtest, comparison, checks, value, scores, league.failed if league else {}, sweep)


def advise_on(comparison: Comparison, checks: Checks, study: Study) -> Advice:
    """Return what to do after a comparison.

    Args:
        comparison: of the policies.
        checks: of its savings.
        study: whose periods they are.
    """
    weeks = comparison.intervals.weeks_to_prove  # None: no number of them would do
    return advise(
        comparison.table.reset_index(),
        comparison.baseline,
        freq=study.data.panel.freq,
        periods_to_prove=math.inf if weeks is None else weeks,
        trusted=comparison.intervals.trusted,
        doubts=checks.doubts,
    )


def write_analysis(run: RunFolder, study: Study, found: Analysis) -> None:
    """Write models, tables and what the report draws; orders and the manifest are written apart."""
    backtest = found.backtest
    save_models(run, backtest.fitted, backtest.trained.policies, study.data)
    run.write_frame("forecast_value.parquet", found.value)
    run.write_frame("scores.parquet", found.scores)
    run.write_frame("folds.parquet", savings_by_fold(backtest.trajectories, backtest.ends, found.baseline))
    run.write_json("checks.json", all_checks(found).to_record())
    _write_comparison(run, study, found.comparison, backtest)
    for name, frame in ({} if found.sweep is None else found.sweep.frames()).items():
        run.write_frame(f"{name}.parquet", frame)


def all_checks(found: Analysis) -> Checks:
    """Return the checks with what the forecasters' scores give reason to doubt."""
    weak = forecaster_warnings(found.scores, found.backtest.forecaster)
    return replace(found.checks, warnings=(*found.checks.warnings, *weak))


def study_record(study: Study, found: Analysis, comparison: Comparison, advice: Advice) -> dict[str, Any]:
    """Return what a manifest keeps of a study beside its data and windows.

    Args:
        study: that was made.
        found: what it found.
        comparison: its headline.
        advice: on it.
    """
    sweep = found.sweep
    return {
        "policy": advice.policy,  # what `fractile order` orders with: the same list
        "baseline": comparison.baseline,
        "clusters": comparison.clusters,
        "intervals": comparison.intervals.to_record(),
        "advice": advice.to_record(),
        "currency": study.config.report.currency,
        "warnings": all_checks(found).warning_records(),
        "sweep": None if sweep is None else {"policy": sweep.best, "notes": sweep.notes},
        **backtest_record(found.backtest),
    }


def result_of(
    run: RunFolder, study: Study, found: Analysis, comparison: Comparison, advice: Advice, notes: Iterable[str] = ()
) -> StudyResult:
    """Return the outcome of a study; arguments as for `study_record`, and further notes."""
    return StudyResult(
        comparison,
        run.target,
        found.failed,
        advice,
        list_assumptions(study.config, study.data),
        all_checks(found),
        describe_setting(study),
        (*notes, *forecast_notes(study.data, study.window)),
    )


def value_forecasters(
    study: Study, main: Backtest, policies: Sequence[str], baseline: Trajectory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Value each forecaster by the cost of policies on it, and score it: each period, and what is bought on.

    Stock-outs in the history count as bounds on demand.

    Args:
        study: the study in progress.
        main: of the forecaster that policies see, which need not be fitted again.
        policies: names: see `valued_policies`.
        baseline: of the headline; savings are measured against it.
    """
    names, settings = study.config.forecast.names, study.config.statistics
    grid = run_grid(study, names, policies, ready={main.forecaster: main})
    value = grid.table(baseline, level=settings.level, clusters=settings.clusters)
    panel, params = study.data.panel, study.data.params
    with study.stage("scoring forecasts"):
        scores = [
            score_rows(name, forecast, panel, params, total=grid.totals[name])
            for name, forecast in grid.forecasts.items()
        ]
    return value.reindex(columns=VALUE_COLUMNS), pd.concat(scores, ignore_index=True)


def _write_comparison(run: RunFolder, study: Study, comparison: Comparison, backtest: Backtest) -> None:
    """Write the table, each item's series under each policy, the items' parameters, and what the report draws."""
    run.write_frame("comparison.parquet", comparison.table.rename_axis("policy").reset_index())
    panel, cutoff = study.data.panel, study.window.cutoff
    dates, items = panel.dates[cutoff:], panel.items
    frames = []
    for policy, trajectory in comparison.trajectories.items():
        keys = {
            "policy": policy,
            "item_id": np.repeat(np.array(panel.item_ids, dtype=object), len(dates)),
            "period": np.tile(np.arange(len(dates)), items),
            "date": np.tile(dates.to_numpy(), items),
        }
        # Of a learned policy the mean over its training seeds, as in the table.
        series = {name: getattr(trajectory, name).mean(0).T.reshape(-1) for name in SERIES}
        frames.append(pd.DataFrame(keys | series))
    run.write_frame("trajectories.parquet", pd.concat(frames, ignore_index=True))
    columns = {name: np.broadcast_to(getattr(study.data.params, name), (items,)) for name in ITEM_COLUMNS}
    run.write_frame("items.parquet", pd.DataFrame({"item_id": panel.item_ids, **columns}))
    # Drawn: the costliest items under the baseline, those won and lost most by the best policy, and a median one.
    base = comparison.trajectories[comparison.baseline].cost.sum((0, 1))
    gain = base - comparison.trajectories[comparison.rival].cost.sum((0, 1))
    by_cost, by_gain = np.argsort(-base), np.argsort(-gain)
    picks = [*by_cost[:2], *by_gain[:2], by_gain[-1], by_cost[len(by_cost) // 2], *by_cost[2:]]
    drawn = np.array(list(dict.fromkeys(picks))[:DRAWN], dtype=np.int64)
    run.write_frame("fans.parquet", backtest.after.select(drawn).to_frame())
    recent = panel.select(drawn).window(max(0, cutoff - RECENT), panel.periods).to_frame()
    run.write_frame("history.parquet", recent[["item_id", "date", "sales", "in_stock"]])
