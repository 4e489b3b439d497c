"""The main jobs: a whole study, one pair that is kept, and a forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..envs.types import Scenario, Trajectory
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
from ..forecasters.storage import save_forecaster
from ..policies.storage import save_policy
from ..training.trainers import TrainingProblem, train_policy
from . import artifacts
from .backtest import (
    Windows,
    fit_forecaster,
    forecasts_from,
    held_out_scenario,
    replay,
    run_held_out,
    training_scenario,
    windows,
)
from .compare import Comparison, summarise
from .config import StudyConfig
from .data import StudyData, load_data
from .folder import RunFolder, new_run
from .orders import orders_at_end

if TYPE_CHECKING:
    from .terminal import Progress

NEEDS_A_MODEL = ("dynamic_programming",)
"""Policies that need a theoretical demand model, which a sales history is not."""
BOUNDS = ("hindsight",)
VALUED = ("newsvendor", "tuned_newsvendor")
"""Policies that show what a forecaster is worth."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes:
        comparison: every policy on the held-out periods.
        folder: the run folder.
    """

    comparison: Comparison
    folder: Path


@dataclass(frozen=True, eq=False)
class _Study:
    """What the stages of a study share."""

    config: StudyConfig
    data: StudyData
    window: Windows
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say what is done, and add up its CPU time."""
        self.progress(name)
        began = process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - began

    @property
    def block(self) -> int:
        """Periods in a time block of the interval: about the memory of the inventory, but six blocks at least."""
        if self.config.statistics.block is not None:
            return self.config.statistics.block
        return max(1, min(self.window.span, self.config.backtest.periods // 6))


@dataclass(frozen=True, eq=False)
class _Forecasts:
    """A forecaster's forecasts: before the cutoff from a first fit, behind it from a second one.

    Attributes:
        fitted: the second fit.
        before: from the origins of the validation window.
        after: from the held-out origins.
        training: what policies are tuned on.
    """

    fitted: Forecaster
    before: QuantileForecast
    after: QuantileForecast
    training: Scenario


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
    study = _begin(config, config.backtest.periods, progress)
    with new_run(out, overwrite=overwrite) as run:
        main = _forecast(study, config.forecast.forecaster, config.training.simulated_paths)
        policies = _ready_policies(study, main.training)
        trajectories = _met(study, policies, main)
        comparison = summarise(
            trajectories,
            baseline=config.policies.baseline,
            level=config.statistics.level,
            clusters=config.statistics.clusters,
            block=study.block,
            bounds=BOUNDS,
        )
        value, scores = _forecast_value(study, main, trajectories)
        with study.stage("writing"):
            _keep(run, main.fitted, policies)
            _write(run, study, comparison, value, scores, main, command)
            if study.data.state is not None:
                _write_orders(run, study, main.fitted, policies, comparison)
        from .report.build import build_report

        build_report(run.path)
    return StudyResult(comparison, run.target)


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
    study = _begin(config, 0, progress)
    with new_run(out, overwrite=overwrite) as run:
        name = config.forecast.forecaster
        training = None
        if _is_trained(policy, config.policies.options):
            training = _training(study, name, config.training.simulated_paths)[0]
        with study.stage(f"fitting {name}"):
            fitted = _fit(study, name, study.window.end)
        ready = _ready_policy(study, policy, training)
        _keep(run, fitted, {policy: ready})
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
    return fitted.predict(data.panel, horizon, levels or DEFAULT_LEVELS).to_frame()


def _begin(config: StudyConfig, held_out: int, progress: Progress) -> _Study:
    impossible = [name for name in config.policies.names if name in NEEDS_A_MODEL]
    if impossible:
        raise InputError(
            f"policies.names: {name!r} needs a theoretical demand model, not a history; leave it out"
            for name in impossible
        )
    progress("reading")
    data = load_data(config)
    window = windows(data, held_out, config.backtest.validation, config.forecast.horizon)
    return _Study(config, data, window, progress)


def _fit(study: _Study, name: str, until: int) -> Forecaster:
    options = study.config.forecast.options.get(name, {})
    return fit_forecaster(name, options, study.data, until, study.window.horizon, study.config.seed)


def _training(study: _Study, name: str, paths: int) -> tuple[Scenario, QuantileForecast]:
    with study.stage(f"fitting {name}"):
        first = _fit(study, name, study.window.start)
    with study.stage(f"sampling demand from {name}"):
        return training_scenario(study.data, first, study.window, paths, study.config.seed)


def _forecast(study: _Study, name: str, paths: int) -> _Forecasts:
    training, before = _training(study, name, paths)
    with study.stage(f"fitting {name}"):
        fitted = _fit(study, name, study.window.cutoff)
        after = forecasts_from(fitted, study.data, study.window.cutoff, study.window.end, study.window.horizon)
    return _Forecasts(fitted, before, after, training)


def _problem(study: _Study, training: Scenario) -> TrainingProblem:
    settings = study.config.training
    return TrainingProblem(
        training,
        study.data.params,
        seed=study.config.seed,
        backprop_steps=settings.backprop_steps,
        ppo_steps=settings.ppo_steps,
        progress=study.progress,
    )


def _ready_policies(study: _Study, training: Scenario) -> dict[str, Any]:
    problem = _problem(study, training)
    policies = {}
    for name in study.config.policies.names:
        with study.stage(f"training {name}"):
            policies[name] = train_policy(name, problem, study.config.policies.options.get(name))
    return policies


def _ready_policy(study: _Study, name: str, training: Scenario | None) -> Any:
    with study.stage(f"training {name}"):
        options = study.config.policies.options.get(name)
        nothing = Scenario(study.data.demand[:, :0].T[None])
        return train_policy(name, _problem(study, nothing if training is None else training), options)


def _met(study: _Study, policies: Mapping[str, Any], main: _Forecasts) -> dict[str, Trajectory]:
    scenario = held_out_scenario(study.data, main.before, main.after, study.window)
    trajectories = {}
    for name, policy in policies.items():
        with study.stage("simulating"):
            trajectories[name] = run_held_out(policy, scenario, study.data, study.window)
    return trajectories


def _forecast_value(
    study: _Study, main: _Forecasts, trajectories: Mapping[str, Trajectory]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what each forecaster is worth to a newsvendor, and how each one scores."""
    config = study.config
    baseline = trajectories[config.policies.baseline]
    values, scores = [], []
    for name in config.forecast.names:
        forecasts = main if name == config.forecast.forecaster else _forecast(study, name, 0)
        problem = _problem(study, replay(study.data, forecasts.before, study.window.span))
        met = _met(study, {policy: train_policy(policy, problem) for policy in VALUED}, forecasts)
        values.append(artifacts.forecast_value(name, met, baseline, config.statistics, study.block))
        scores.append(artifacts.scores(name, forecasts.after, study.data))
    return pd.concat(values, ignore_index=True), pd.concat(scores, ignore_index=True)


def _keep(run: RunFolder, fitted: Forecaster, policies: Mapping[str, Any]) -> None:
    save_forecaster(fitted, run.path / "models")
    for name, policy in policies.items():
        if name not in BOUNDS:
            save_policy(name, policy, run.path / "models")


def _write(
    run: RunFolder,
    study: _Study,
    comparison: Comparison,
    value: pd.DataFrame,
    scores: pd.DataFrame,
    main: _Forecasts,
    command: str,
) -> None:
    run.write_frame("forecast_value.parquet", value)
    run.write_frame("scores.parquet", scores)
    artifacts.write_comparison(run, study, comparison, BOUNDS)
    artifacts.write_telling_items(run, study, comparison, main.after)
    artifacts.write_manifest(run, study, command, kind="study", policy=None)
    for stage, seconds in study.seconds.items():
        run.append_metrics({"stage": stage, "cpu_seconds": round(seconds, 3)})


def _write_orders(
    run: RunFolder, study: _Study, fitted: Forecaster, policies: Mapping[str, Any], comparison: Comparison
) -> None:
    """Next period's orders by the policy that cost least, from the state that was given."""
    table = comparison.table
    best = table.loc[[name for name in table.index if name not in BOUNDS], "cost"].idxmin()
    run.write_frame("orders.csv", orders_at_end(study.data, fitted, policies[str(best)]))


def _is_trained(policy: str, options: Mapping[str, Any]) -> bool:
    tuned = ("tuned_newsvendor", "base_stock", "constant_order")
    return policy in ("backprop", "ppo") or (policy in tuned and not options.get(policy))


def _refuse_bounds(policy: str) -> None:
    if policy in BOUNDS:
        raise InputError([f"--policy: {policy!r} is a bound that is shown the future; choose a policy"])
