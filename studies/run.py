"""The main jobs: a whole study, one pair that is kept, and a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..envs.core.types import Trajectory
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import DEFAULT_LEVELS
from ..forecasters.storage import save_forecaster
from ..policies.storage import save_policy
from ..training.trainers import is_trained
from . import artifacts
from .backtest import fit_forecaster
from .compare import Comparison, summarise
from .config import StudyConfig
from .data import load_data
from .folder import RunFolder, new_run
from .league.run import study_lineage
from .orders import orders_at_end
from .pipeline import Forecasts, Study, begin

if TYPE_CHECKING:
    from .commands.terminal import Progress

BOUNDS = ("hindsight",)
"""What is shown the future: a bound, not a policy."""
VALUED = ("newsvendor", "tuned_newsvendor")
"""Policies that show what a forecaster is worth."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes:
        comparison: every policy on the held-out periods.
        folder: the run folder.
        failed: errors of forecasters that failed in the league, by name.
    """

    comparison: Comparison
    folder: Path
    failed: Mapping[str, str] = field(default_factory=dict)


def run_study(
    config: StudyConfig, out: Path, *, command: str, progress: Progress, overwrite: bool = False
) -> StudyResult:
    """Compare policies on held-out periods and write the run folder with its report.

    Args:
        config: what to do.
        out: the run folder.
        command: how the study was called, for the record.
        progress: told what goes on.
        overwrite: replace a run folder that stands there.

    Raises:
        InputError: with the faults of data or configuration; nothing is left behind then.
    """
    study = begin(config, config.backtest.periods, progress)
    with new_run(out, overwrite=overwrite) as run:
        forecasts = study.forecasts(config.forecast.forecaster, config.training.simulated_paths)
        policies = study.trained(config.policies.names, forecasts.tuning)
        comparison = compared(study, study.met(policies, forecasts))
        value, scores = forecast_value(study, forecasts, comparison.trajectories)
        league = study_lineage(study, run)
        with study.stage("writing"):
            _keep(run, forecasts.fitted, policies)
            run.write_frame("forecast_value.parquet", value)
            run.write_frame("scores.parquet", scores)
            artifacts.write_comparison(run, study, comparison)
            artifacts.write_telling_items(run, study, comparison, forecasts.after)
            if study.data.state is not None:
                _write_orders(run, study, forecasts.fitted, policies, comparison)
        artifacts.write_manifest(
            run, study, command, kind="study", policy=config.policies.baseline, clusters=comparison.clusters
        )
        from .report.build import build_report

        build_report(run.path)
    return StudyResult(comparison, run.target, league.failed if league else {})


def compared(study: Study, trajectories: Mapping[str, Trajectory]) -> Comparison:
    """Return the comparison of what policies went through, as the study's config wants it."""
    settings = study.config.statistics
    return summarise(
        trajectories,
        baseline=study.config.policies.baseline,
        level=settings.level,
        clusters=settings.clusters,
        block=study.block,
        bounds=BOUNDS,
    )


def forecast_value(
    study: Study, main: Forecasts, trajectories: Mapping[str, Trajectory]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what each forecaster is worth to a newsvendor, and how each one scores."""
    config = study.config
    baseline = trajectories[config.policies.baseline]
    values, scores = [], []
    for name in config.forecast.names:
        forecasts = main if name == config.forecast.forecaster else study.forecasts(name, 0)
        met = study.met(study.trained(VALUED, forecasts.tuning), forecasts)
        values.append(artifacts.forecast_value(name, met, baseline, config.statistics, study.block))
        scores.append(artifacts.scores(name, forecasts.after, study.data))
    return pd.concat(values, ignore_index=True), pd.concat(scores, ignore_index=True)


def train_run(
    config: StudyConfig, out: Path, *, policy: str, command: str, progress: Progress, overwrite: bool = False
) -> Path:
    """Fit a forecaster on the whole history, tune or train a policy on its last part, and keep both.

    Args:
        config: what to do.
        out: the run folder.
        policy: name of the policy.
        command: how it was called, for the record.
        progress: told what goes on.
        overwrite: replace a run folder that stands there.
    """
    _refuse_bounds(policy)
    study = begin(config, 0, progress)
    with new_run(out, overwrite=overwrite) as run:
        name = config.forecast.forecaster
        trained = is_trained(policy, config.policies.options.get(policy, {}))
        tuning = study.tuning(name, config.training.simulated_paths) if trained else None
        ready = study.trained([policy], tuning)
        _keep(run, study.fit(name, study.window.end), ready)
        artifacts.write_manifest(run, study, command, kind="train", policy=policy)
    return run.target


def forecast_file(config: StudyConfig, horizon: int, levels: list[float] | None) -> pd.DataFrame:
    """Return quantile forecasts of every item behind the history's end, a long frame.

    Args:
        config: data and forecaster.
        horizon: periods ahead.
        levels: quantile levels; `DEFAULT_LEVELS` where None.
    """
    data = load_data(config)
    name = config.forecast.forecaster
    fitted = fit_forecaster(name, config.forecast.options.get(name, {}), data, data.panel.periods, horizon, config.seed)
    wanted = set(levels or DEFAULT_LEVELS)
    frame = fitted.predict(data.panel, horizon, sorted(wanted | set(DEFAULT_LEVELS))).to_frame()
    return frame[frame["level"].isin(wanted)].reset_index(drop=True)


def _keep(run: RunFolder, fitted: Forecaster, policies: Mapping[str, Any]) -> None:
    save_forecaster(fitted, run.path / "models")
    for name, policy in policies.items():
        if name not in BOUNDS:
            save_policy(name, policy, run.path / "models")


def _write_orders(
    run: RunFolder, study: Study, fitted: Forecaster, policies: Mapping[str, Any], comparison: Comparison
) -> None:
    """Next period's orders by the policy that cost least, from the state that was given."""
    table = comparison.table
    best = table.loc[[name for name in table.index if name not in BOUNDS], "cost"].idxmin()
    run.write_frame("orders.csv", orders_at_end(study.data, fitted, policies[str(best)]))


def _refuse_bounds(policy: str) -> None:
    if policy in BOUNDS:
        raise InputError([f"--policy: {policy!r} is a bound that is shown the future; choose a policy"])
