"""A backtest: the last periods are held out, and every decision uses only what was known at its time.

See `windows` for what is fitted, learned, chosen and compared when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import FloatArray
from ..envs.core.types import Scenario, Trajectory, with_protection_totals
from ..envs.demand.forecast_demand import ForecastDemand
from ..envs.demand.model import uncensored
from ..envs.demand.shock_moments import FEWEST_PERIODS
from ..envs.demand.shocks import CommonShocks
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.demand_forecast import DemandForecast
from ..forecasters.forecast import QuantileForecast, concatenate_origins
from ..forecasters.registry import FORECASTERS, make_forecaster
from ..policies.base import Planner, Policy
from ..policies.rollout import simulate
from ..randomness import keyed_generator
from ..registry import option_names
from ..training.train import TrainingProblem, train_policy
from .config import StudyConfig
from .data import StudyData, load_data
from .windows import Windows, place_windows

if TYPE_CHECKING:
    from ..progress import Progress

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


def new_forecaster(name: str, options: Mapping[str, Any], horizon: int, seed: int) -> Forecaster:
    """Build a forecaster with this horizon and seed, where it has such options and `options` lack them."""
    known = option_names(FORECASTERS.known(name))
    defaults = {k: v for k, v in {"horizon": horizon, "seed": seed}.items() if k in known}
    return make_forecaster(name, **{**defaults, **options})


@dataclass(frozen=True, eq=False)
class Learning:
    """What policies learn from and are chosen on, all of it before the cutoff.

    Attributes:
        history: the learning window as it was, with forecasts from each of its origins by forecasters that did not
            know it; a path for each draw of the demand that stock-outs hid. Classical policies are tuned on it.
        training: the same and, beside it, simulated paths; networks are trained on them.
        kept: the validation window, likewise, after a run-in of the periods before it; None where the history is too
            short for a learning window, so that policies learn from the validation window.
        run_in: periods at the start of `kept` that do not count.
        before: the validation window as it was, one path: what a comparison runs through before the held-out periods.
        simulated: paths of `training` that are simulated.
    """

    history: Scenario
    training: Scenario
    kept: Scenario | None
    run_in: int
    before: Scenario
    simulated: int = 0

    @property
    def size(self) -> dict[str, int]:
        """How much policies learn from, for the record."""
        return {
            "items": self.history.items,
            "periods": self.history.periods,
            "history_paths": self.training.paths - self.simulated,
            "simulated_paths": self.simulated,
            "item_periods": int(self.training.demand.size),
            "kept_periods": 0 if self.kept is None else self.kept.periods - self.run_in,
        }


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A forecaster on both sides of the cutoff.

    Attributes:
        fitted: on everything before the cutoff.
        learning: from earlier fits.
        after: forecasts from the held-out origins.
    """

    fitted: Forecaster
    learning: Learning
    after: QuantileForecast


@dataclass(frozen=True, eq=False)
class Trained:
    """Policies that are ready, and what was found on the way.

    Attributes:
        policies: by name.
        notes: by name, what a reader should know of how a policy came about.
        kept_cost: of each policy but bounds, money a period over all items, on the periods kept for choosing; empty
            where nothing had to be learned.
    """

    policies: Mapping[str, Policy | Planner]
    notes: Mapping[str, list[str]]
    kept_cost: Mapping[str, float]


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

    def learn(self, name: str, paths: int) -> Learning:
        """Fit a forecaster at each refit and before the validation window, and forecast what policies learn from.

        Args:
            name: of the forecaster.
            paths: simulated, beside the history.
        """
        window, settings = self.window, self.config.training
        past = self.data.panel.until(window.cutoff)
        draws = settings.history_draws if past.ran_out.any() else 1
        demand = np.stack([uncensored(past, seed=k) for k in range(draws)])
        fits = [self.fit(name, first) for first, _ in window.stretches]
        last = self.fit(name, window.start) if window.refits else fits[0]
        with self.stage(f"forecasting with {name}"):
            found = [self._predict(f, *stretch) for f, stretch in zip(fits, window.stretches, strict=True)]
            chosen = self._predict(last, window.start, window.cutoff) if window.refits else found[0]
            # Policies are tuned in hundreds of simulations of it, and networks trained on pieces of it.
            history = self._prepared(self._replay(found, demand))
            before = self._replay([chosen], self.data.demand[None])
        kept, run_in = None, 0
        if window.refits:
            after = self._prepared(self._replay([chosen], demand))
            run_in = min(2 * window.span, history.periods)
            kept = join_periods(history.window(history.periods - run_in, history.periods), after)
        training = history
        if paths:
            with self.stage(f"simulating demand from {name}"):
                training = self._beside(history, settings.history_draws, self._simulate_demand(fits, found, paths))
        return Learning(history, training, kept, run_in, before, paths)

    def _simulate_demand(self, fits: Sequence[Forecaster], found: Sequence[QuantileForecast], paths: int) -> Scenario:
        """Draw demand from forecasters along the stretches that they were fitted for."""
        window, parts = self.window, []
        past = self.data.panel.until(window.start if window.refits else window.cutoff)
        shocks: Any = "fitted"
        if window.learning >= FEWEST_PERIODS and window.refits:
            # Errors of forecasts that did not know what came, not of those that were fitted to it.
            shocks = CommonShocks.from_forecast(concatenate_origins([f.head(1) for f in found]), past)
        rng = keyed_generator(self.config.seed, "training demand")
        for forecaster, (first, end) in zip(fits, window.stretches, strict=True):
            model = ForecastDemand(forecaster, self.data.panel.until(end), mode="rolled", start=first, shocks=shocks)
            parts.append(self._prepared(model.scenario(rng, paths, end - first, window.span)))
        return reduce(join_periods, parts)

    def _beside(self, history: Scenario, draws: int, simulated: Scenario) -> Scenario:
        """Lay simulated paths beside the history's, each of whose draws counts once: `draws` paths in all."""
        rows = np.resize(np.arange(history.paths), draws)

        def pair(one: DemandForecast, other: DemandForecast) -> DemandForecast:
            return concatenate_origins([*[one] * draws, other])

        forecasts = list(map(pair, history.forecasts or (), simulated.forecasts or ()))
        totals = None
        if history.protection_totals is not None and simulated.protection_totals is not None:
            pairs = zip(history.protection_totals.totals, simulated.protection_totals.totals, strict=True)
            totals = replace(history.protection_totals, forecasts=forecasts, totals=[pair(*p) for p in pairs])
        demand = np.concatenate([np.asarray(history.demand)[rows], simulated.demand])
        return Scenario(demand, forecasts, protection_totals=totals)

    def forecast(self, name: str, paths: int) -> Forecasts:
        """Forecast with one forecaster before the cutoff and, fitted again, after it."""
        learning = self.learn(name, paths)
        fitted = self.fit(name, self.window.cutoff)
        with self.stage(f"forecasting with {name}"):
            return Forecasts(fitted, learning, self._predict(fitted, self.window.cutoff, self.window.end))

    def train(self, names: Iterable[str], learning: Learning | None) -> Trained:
        """Tune or train policies by name, and cost them where they are chosen."""
        settings = self.config.training
        nothing = Scenario(self.data.demand[:, :0].T[None])
        problem = TrainingProblem(
            nothing if learning is None else learning.training,
            self.data.params,
            tuning=None if learning is None else learning.history,
            kept=None if learning is None else learning.kept,
            run_in=None if learning is None else learning.run_in,
            seed=self.config.seed,
            backprop_steps=settings.backprop_steps,
            ppo_steps=settings.ppo_steps,
            progress=self.progress,
        )
        policies: dict[str, Policy | Planner] = {}
        costs: dict[str, float] = {}
        for name in names:
            with self.stage(f"training {name}"):
                policy = policies[name] = train_policy(name, problem, self.config.policies.options.get(name))
                if learning is not None and not isinstance(policy, Planner):
                    costs[name] = float(problem.cost_on_kept(policy).sum(2).mean())
        return Trained(policies, problem.notes, costs)

    def simulate(self, policies: Mapping[str, Policy | Planner], forecasts: Forecasts) -> dict[str, Trajectory]:
        """Simulate policies on the held-out periods, after a warm-up on the last periods before them.

        A policy with a target of its own starts there, any other at the newsvendor's. A bound needs no warm-up and
        begins at the cutoff.
        """
        warm_up, params = self.window.warm_up, self.data.params
        before, held_out = forecasts.learning.before, self._replay([forecasts.after], self.data.demand[None])
        warm = before.window(before.periods - warm_up, before.periods)
        scenario = with_protection_totals(join_periods(warm, held_out), params)
        trajectories = {}
        with self.stage("simulating"):
            for name, policy in policies.items():
                if isinstance(policy, Planner):
                    trajectories[name] = simulate(policy, scenario.window(warm_up, scenario.periods), params)
                    continue
                trajectories[name] = simulate(policy, scenario, params, warm_up=warm_up)
        return trajectories

    def _predict(self, forecaster: Forecaster, first: int, last: int) -> QuantileForecast:
        """Forecast from each of the origins first … last − 1."""
        return forecaster.predict(self.data.panel, self.window.horizon, origins=np.arange(first, last))

    def _replay(self, found: Sequence[QuantileForecast], demand: FloatArray) -> Scenario:
        """Return demand of the periods that forecasts have origins for, with those forecasts.

        Args:
            found: whose origins follow each other.
            demand: units, shape (paths, items, periods).
        """
        origins = np.concatenate([forecast.origins for forecast in found])
        near = [forecast.head(self.window.span) for forecast in found]
        forecasts = [forecast.at_origin(i) for forecast in near for i in range(len(forecast.origins))]
        return Scenario(np.swapaxes(demand[:, :, origins], 1, 2), forecasts=forecasts)

    def _prepared(self, scenario: Scenario) -> Scenario:
        return with_protection_totals(scenario, self.data.params)


def join_periods(first: Scenario, then: Scenario) -> Scenario:
    """Return the periods of one scenario after those of another, of the same paths and items."""
    forecasts = [*(first.forecasts or ()), *(then.forecasts or ())]
    totals = None
    if first.protection_totals is not None and then.protection_totals is not None:
        both = [*first.protection_totals.totals, *then.protection_totals.totals]
        totals = replace(first.protection_totals, forecasts=forecasts, totals=both)
    demand = np.concatenate([first.demand, then.demand], axis=1)
    return Scenario(demand, forecasts, protection_totals=totals)


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
    settings = config.backtest.validation, config.forecast.horizon, config.training.refits
    window = place_windows(data, held_out, *settings)
    return Study(config, data, window, progress)
