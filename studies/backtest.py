"""A backtest: the last periods are held out, and every decision uses only what was known at its time.

    |…… history ……|…… validation ……|…… held out ……|
                  ^ start           ^ cutoff         ^ end

A first forecaster, fitted before `start`, forecasts from every origin of the validation window. On these forecasts,
on the demand that followed, and on demand sampled from the forecaster along the same weeks, policies are tuned and
trained. A second one, fitted before `cutoff`, forecasts from every held-out origin; there policies are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.core.types import Scenario, Trajectory, with_protection_totals
from ..envs.demand.forecast_demand import ForecastDemand
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import QuantileForecast, concatenate_origins
from ..forecasters.registry import FORECASTERS, make_forecaster
from ..policies.base import OrderUpToPolicy, Planner, Policy
from ..policies.rollout import simulate, starting_state
from ..randomness import keyed_generator
from ..registry import option_names
from ..training.train import TrainingProblem, train_policy
from .config import StudyConfig
from .data import StudyData, load_data

if TYPE_CHECKING:
    from ..progress import Progress

SHORTEST_HISTORY = 8
"""Periods at least that a forecaster is fitted on."""
USUAL_HORIZON = 8
"""Periods that are forecast where decisions need fewer, so that scores and pictures show something."""
NEEDS_A_MODEL = ("dynamic_programming", "projected_level")
"""Policies that need a theoretical demand model; a sales history is none."""
NEEDS_A_NETWORK = (
    "single_index",
    "dual_index",
    "capped_dual_index",
    "tailored_base_surge",
    "echelon_base_stock",
)
"""Policies that order on the links of a network, which a sales history of single items is not."""


@dataclass(frozen=True)
class Windows:
    """Where the validation window and the held-out periods begin.

    Attributes:
        start: first period of the validation window.
        cutoff: first held-out period.
        end: the panel's number of periods.
        span: the longest protection interval: periods ahead that decisions need.
        horizon: periods ahead that are forecast.
        notes: what a reader should know, e.g. that the validation window had to be shortened.
    """

    start: int
    cutoff: int
    end: int
    span: int
    horizon: int
    notes: tuple[str, ...] = ()

    @property
    def warm_up(self) -> int:
        """Periods before the cutoff that a comparison runs through first, so that the start does not count."""
        return min(2 * self.span, self.cutoff - self.start)


def place_windows(data: StudyData, periods: int, validation: int, horizon: int | None) -> Windows:
    """Place the windows of a backtest; `periods` = 0 holds nothing out.

    Raises:
        InputError: where the history is too short.
    """
    end, span = data.panel.periods, int(np.max(data.params.protection_interval))
    cutoff = end - periods
    # The first forecaster keeps half of what precedes the cutoff, however long a validation is configured.
    fits = min(validation, cutoff - max(SHORTEST_HISTORY, cutoff // 2))
    if fits < span + 1:
        least = periods + 2 * max(SHORTEST_HISTORY, span + 1)
        raise InputError(
            [
                f"history: has {end} periods; {periods} held out and protection intervals of {span} need about "
                f"{least}; give a longer history, hold out fewer (backtest.periods) or use finer periods (data.freq)"
            ]
        )
    notes: tuple[str, ...] = ()
    if fits < validation:
        notes = (f"the history is short: policies were tuned on {fits} periods, not on {validation}",)
    return Windows(cutoff - fits, cutoff, end, span, max(horizon or USUAL_HORIZON, span), notes)


def new_forecaster(name: str, options: Mapping[str, Any], horizon: int, seed: int) -> Forecaster:
    """Build a forecaster with this horizon and seed, where it has such options and `options` lack them."""
    known = option_names(FORECASTERS.known(name))
    defaults = {k: v for k, v in {"horizon": horizon, "seed": seed}.items() if k in known}
    return make_forecaster(name, **{**defaults, **options})


@dataclass(frozen=True, eq=False)
class Tuning:
    """What policies are tuned and trained on, all of it before the cutoff.

    Attributes:
        real: the validation window as it was, with forecasts from each of its origins by a forecaster fitted
            before it; classical policies are tuned on it.
        training: the same and, beside it, sampled paths; networks are trained on them.
    """

    real: Scenario
    training: Scenario


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A forecaster on both sides of the cutoff.

    Attributes:
        fitted: on everything before the cutoff.
        tuning: from an earlier fit.
        after: forecasts from the held-out origins.
    """

    fitted: Forecaster
    tuning: Tuning
    after: QuantileForecast


@dataclass(eq=False)
class Study:
    """A study in progress: its stages, in the order in which they are run. Only `seconds` changes.

    Attributes:
        config: of the study.
        data: panel, parameters and demand.
        window: where validation and held-out periods begin.
        progress: receives what is being done.
        seconds: CPU time of each stage so far.
    """

    config: StudyConfig
    data: StudyData
    window: Windows
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report a stage's name, and add up its CPU time."""
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
            forecaster = new_forecaster(name, options, self.window.horizon, self.config.seed)
            return forecaster.fit(self.data.panel.until(until))

    def forecast_tuning(self, name: str, paths: int) -> Tuning:
        """Fit a forecaster before the validation window, and forecast what policies are tuned and trained on."""
        window = self.window
        first = self.fit(name, window.start)
        with self.stage(f"sampling demand from {name}"):
            real = self._replay(self._predict(first, window.start, window.cutoff))
            # Policies are tuned in hundreds of simulations of it, and networks trained on pieces of both.
            real = with_protection_totals(real, self.data.params)
            if not paths:
                return Tuning(real, real)
            model = ForecastDemand(first, self.data.panel.until(window.cutoff), mode="rolled", start=window.start)
            rng = keyed_generator(self.config.seed, "training demand")
            sampled = model.scenario(rng, paths, real.periods, window.span)
            pairs = zip(real.forecasts or (), sampled.forecasts or (), strict=True)
            both = [concatenate_origins([a, b]) for a, b in pairs]
            training = Scenario(np.concatenate([real.demand, sampled.demand]), forecasts=both)
            return Tuning(real, with_protection_totals(training, self.data.params))

    def forecast(self, name: str, paths: int) -> Forecasts:
        """Forecast with one forecaster before the cutoff and, fitted again, after it."""
        tuning = self.forecast_tuning(name, paths)
        fitted = self.fit(name, self.window.cutoff)
        with self.stage(f"forecasting with {name}"):
            return Forecasts(fitted, tuning, self._predict(fitted, self.window.cutoff, self.window.end))

    def train(self, names: Iterable[str], tuning: Tuning | None) -> dict[str, Policy | Planner]:
        """Tune or train policies by name; a tuned newsvendor is reused by all."""
        settings = self.config.training
        nothing = Scenario(self.data.demand[:, :0].T[None])
        problem = TrainingProblem(
            nothing if tuning is None else tuning.training,
            self.data.params,
            tuning=None if tuning is None else tuning.real,
            seed=self.config.seed,
            backprop_steps=settings.backprop_steps,
            ppo_steps=settings.ppo_steps,
            progress=self.progress,
        )
        policies: dict[str, Policy | Planner] = {}
        for name in names:
            with self.stage(f"training {name}"):
                policies[name] = train_policy(name, problem, self.config.policies.options.get(name))
        return policies

    def simulate(self, policies: Mapping[str, Policy | Planner], forecasts: Forecasts) -> dict[str, Trajectory]:
        """Simulate policies on the held-out periods, after a warm-up on the last periods before them.

        A policy with a target of its own starts there, any other at the baseline's, where that is among them. A bound
        needs no warm-up and begins at the cutoff.
        """
        warm_up, params = self.window.warm_up, self.data.params
        before, held_out = forecasts.tuning.real, self._replay(forecasts.after)
        warm = before.window(before.periods - warm_up, before.periods)
        demand = np.concatenate([warm.demand, held_out.demand], axis=1)
        whole = Scenario(demand, forecasts=[*(warm.forecasts or ()), *(held_out.forecasts or ())])
        scenario = with_protection_totals(whole, params)
        baseline = policies.get(self.config.policies.baseline)
        trajectories = {}
        with self.stage("simulating"):
            for name, policy in policies.items():
                if isinstance(policy, Planner):
                    trajectories[name] = simulate(policy, scenario.window(warm_up, scenario.periods), params)
                    continue
                own = policy if isinstance(policy, OrderUpToPolicy) else baseline
                start = starting_state(own, scenario, params)
                trajectories[name] = simulate(policy, scenario, params, initial_state=start, warm_up=warm_up)
        return trajectories

    def _predict(self, forecaster: Forecaster, first: int, last: int) -> QuantileForecast:
        """Forecast from each of the origins first … last − 1."""
        return forecaster.predict(self.data.panel, self.window.horizon, origins=np.arange(first, last))

    def _replay(self, forecast: QuantileForecast) -> Scenario:
        """Return the demand of the periods that a forecast has origins for, with those forecasts; one path."""
        demand = self.data.demand[:, forecast.origins].T[None]
        near = forecast.head(self.window.span)
        return Scenario(demand, forecasts=[near.at_origin(i) for i in range(len(forecast.origins))])


def begin(config: StudyConfig, held_out: int, progress: Progress, data: StudyData | None = None) -> Study:
    """Load the data of a study and place its windows.

    Args:
        config: of the study.
        held_out: periods to hold out; 0 = none.
        progress: receives what is being done.
        data: data in place of what the config names.

    Raises:
        InputError: with the faults of data or configuration.
    """
    reasons = {name: "needs a theoretical demand model, not a history" for name in NEEDS_A_MODEL}
    reasons |= {name: "orders on the links of a network, not for single items" for name in NEEDS_A_NETWORK}
    impossible = [name for name in config.policies.names if name in reasons]
    if impossible:
        raise InputError(f"policies.names: {name!r} {reasons[name]}; leave it out" for name in impossible)
    progress("reading")
    data = data or load_data(config)
    if data.params.shelf_life is not None and "hindsight" in config.policies.names:
        raise InputError(
            [
                "policies.names: 'hindsight' plans for stock that keeps, and items have a shelf_life; leave it out, or "
                "leave shelf_life out of the items file"
            ]
        )
    window = place_windows(data, held_out, config.backtest.validation, config.forecast.horizon)
    return Study(config, data, window, progress)
