"""The stages of a study: fit, sample, tune, train, simulate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time
from typing import TYPE_CHECKING, Any

from ..envs.core.types import Scenario, Trajectory
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import QuantileForecast
from ..training.trainers import TrainingProblem, train_policy
from .backtest import (
    Windows,
    fit_forecaster,
    forecasts_from,
    held_out_scenario,
    replay,
    run_held_out,
    windows,
    with_imagined,
)
from .config import StudyConfig
from .data import StudyData, load_data

if TYPE_CHECKING:
    from .commands.terminal import Progress

NEEDS_A_MODEL = ("dynamic_programming", "projected_level")
"""Policies that need a theoretical demand model, which a sales history is not."""

NEEDS_A_NETWORK = (
    "single_index",
    "dual_index",
    "capped_dual_index",
    "tailored_base_surge",
    "echelon_base_stock",
)
"""Policies that order on the links of a network, which a sales history of single items is not."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study under way: its stages, in the order in which they are run.

    Attributes:
        config: what to do.
        data: panel, parameters and demand.
        window: where validation and held-out periods begin.
        progress: told what goes on.
        seconds: CPU time of each stage so far.
    """

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

    def fit(self, name: str, until: int) -> Forecaster:
        """Fit a forecaster on the periods before `until`."""
        options = self.config.forecast.options.get(name, {})
        with self.stage(f"fitting {name}"):
            return fit_forecaster(name, options, self.data, until, self.window.horizon, self.config.seed)

    def tuning(self, name: str, paths: int) -> Tuning:
        """Fit a forecaster before the validation window, and return what policies are tuned and trained on."""
        first = self.fit(name, self.window.start)
        with self.stage(f"sampling demand from {name}"):
            forecast = forecasts_from(first, self.data, self.window.start, self.window.cutoff, self.window.horizon)
            real = replay(self.data, forecast, self.window.span)
            if not paths:
                return Tuning(real, real)
            return Tuning(real, with_imagined(self.data, first, self.window, real, paths, self.config.seed))

    def forecasts(self, name: str, paths: int) -> Forecasts:
        """Forecast with a name before the cutoff and, fitted anew, behind it."""
        tuning = self.tuning(name, paths)
        fitted = self.fit(name, self.window.cutoff)
        with self.stage(f"forecasting with {name}"):
            after = forecasts_from(fitted, self.data, self.window.cutoff, self.window.end, self.window.horizon)
        return Forecasts(fitted, tuning, after)

    def trained(self, names: Iterable[str], tuning: Tuning | None) -> dict[str, Any]:
        """Return policies by name, tuned or trained; a newsvendor found on the way serves all."""
        problem = self._problem(tuning)
        policies = {}
        for name in names:
            with self.stage(f"training {name}"):
                policies[name] = train_policy(name, problem, self.config.policies.options.get(name))
        return policies

    def met(self, policies: Mapping[str, Any], forecasts: Forecasts) -> dict[str, Trajectory]:
        """Let policies meet the held-out periods; those without a target start at the baseline's, where it is there."""
        baseline = policies.get(self.config.policies.baseline)
        scenario = held_out_scenario(self.data, forecasts.tuning.real, forecasts.after, self.window)
        with self.stage("simulating"):
            return {
                name: run_held_out(policy, scenario, self.data, self.window, baseline)
                for name, policy in policies.items()
            }

    def _problem(self, tuning: Tuning | None) -> TrainingProblem:
        settings = self.config.training
        nothing = Scenario(self.data.demand[:, :0].T[None])
        return TrainingProblem(
            nothing if tuning is None else tuning.training,
            self.data.params,
            tuning=None if tuning is None else tuning.real,
            seed=self.config.seed,
            backprop_steps=settings.backprop_steps,
            ppo_steps=settings.ppo_steps,
            progress=self.progress,
        )


@dataclass(frozen=True, eq=False)
class Tuning:
    """What policies are tuned and trained on, all of it before the cutoff.

    Attributes:
        real: the validation window as it was, with forecasts from each of its origins by a forecaster fitted
            before it; classical policies are tuned on it.
        training: the same and, beside it, imagined paths; networks are trained on them.
    """

    real: Scenario
    training: Scenario


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A forecaster on both sides of the cutoff.

    Attributes:
        fitted: on everything before the cutoff.
        tuning: what came of an earlier fit.
        after: forecasts from the held-out origins.
    """

    fitted: Forecaster
    tuning: Tuning
    after: QuantileForecast


def begin(config: StudyConfig, held_out: int, progress: Progress, data: StudyData | None = None) -> Study:
    """Load the data of a study and place its windows.

    Args:
        config: what to do.
        held_out: periods to hold out; 0 = none.
        progress: told what goes on.
        data: data in place of what the config names.

    Raises:
        InputError: with the faults of data or configuration.
    """
    impossible = [name for name in config.policies.names if name in NEEDS_A_MODEL]
    if impossible:
        raise InputError(
            f"policies.names: {name!r} needs a theoretical demand model, not a history; leave it out"
            for name in impossible
        )
    impossible = [name for name in config.policies.names if name in NEEDS_A_NETWORK]
    if impossible:
        raise InputError(
            f"policies.names: {name!r} orders on the links of a network, not for single items; leave it out"
            for name in impossible
        )
    progress("reading")
    data = data or load_data(config)
    if data.params.shelf_life is not None and "hindsight" in config.policies.names:
        raise InputError(
            [
                "policies.names: 'hindsight' plans for stock that keeps, and items have a shelf_life; leave it out, or "
                "leave shelf_life out of the items file"
            ]
        )
    return Study(config, data, windows(data, held_out, config.backtest.validation, config.forecast.horizon), progress)
