"""A backtest: the last periods are held out, and every decision uses only what was known at its time.

See `windows` for what is fitted, learned, chosen and compared when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from time import process_time
from typing import Any, cast

import numpy as np

from ..arrays import FloatArray
from ..envs.core.types import ItemParams, Scenario, Trajectory, with_protection_totals
from ..envs.demand.forecast_demand import ForecastDemand
from ..envs.demand.model import uncensored
from ..envs.demand.shock_moments import FEWEST_PERIODS
from ..envs.demand.shocks import CommonShocks
from ..errors import FractileError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import QuantileForecast, concatenate_origins
from ..forecasters.outside import OutsideForecaster
from ..parts import Parts
from ..policies.base import Planner, Policy
from ..policies.recorded import RecordedOrders
from ..policies.rollout import simulate
from ..progress import Progress, begin_stage
from ..randomness import keyed_generator
from ..training.seeds import follow_networks, train_networks
from ..training.train import is_trained, needs_training, train_policy
from .config import StudyConfig
from .data import StudyData, load_data
from .folds import (
    Backtest,
    Fold,
    Forecasts,
    Learning,
    Trained,
    concatenate_paths,
    cost_by_seed,
    follow_each_other,
    join_periods,
    lay_beside,
    policies_by_seed,
    training_problem,
)
from .outside import own_windows, with_outside
from .own import own_note, own_policy, replay_orders, with_own
from .pieces import fit_key, keep_fit
from .refits import Refits, looks_back, new_forecaster
from .refused import nothing_to_learn_from, refuse_policies, without_bounds
from .sections import OWN
from .windows import Windows, place_folds, shown_periods

# What `Study` works with: read from here by whoever reads `Study`.
__all__ = ["Backtest", "Fold", "Forecasts", "Learning", "Study", "Trained", "begin", "new_forecaster"]


@dataclass(eq=False)
class Study:
    """A study in progress: its stages, in the order in which they are run. Only `seconds` changes.

    Attributes:
        config: of the study.
        data: panel, parameters and demand.
        windows: of each fold, in the order of time.
        progress: receives what is being done.
        seconds: CPU time of each stage so far.
        parts: where finished fits, forecasts and policies are kept, and read from.
    """

    config: StudyConfig
    data: StudyData
    windows: tuple[Windows, ...]
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)

    @contextmanager
    def stage(self, name: str, *, counted: bool = False) -> Iterator[None]:
        """Report a stage, one of those announced where it is `counted`, and add up its CPU time."""
        if counted:
            begin_stage(self.progress, name)
        else:
            self.progress(name)
        began = process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - began

    @property
    def window(self) -> Windows:
        """The windows before the first fold, and the end of the last one."""
        return replace(self.windows[0], end=self.windows[-1].end)

    @property
    def shown(self) -> int:
        """Periods ahead that policies are shown of a forecast."""
        return self.windows[0].shown

    def along(self, forecaster: str) -> Study:
        """Return the study with the windows that a forecaster's origins allow: its own, where they are not limited."""
        given = self.data.given.get(forecaster)
        if not isinstance(given, OutsideForecaster):
            return self
        return replace(self, windows=tuple(own_windows(given, self.data.panel, window) for window in self.windows))

    def fit(self, name: str, until: int, progress: Progress | None = None) -> Forecaster:
        """Fit a forecaster on the periods before `until`; `progress` is called in place of the study's."""
        config, given = self.config, self.data.given
        parts = Parts() if name in given else self.parts
        with self.stage(f"fitting {name}"):

            def fit() -> Forecaster:
                options = config.forecast.options.get(name, {})
                more = {"progress": progress or self.progress, "checkpoint": parts.checkpoint(fit_key(name, until))}
                forecaster = new_forecaster(name, options, self.window.horizon, config.seed, given, **more)
                return forecaster.fit(self.data.panel.until(until))

            return keep_fit(parts, name, until, fit)

    def fold_words(self, k: int) -> str:
        """Return which fold it is, for people; "" where there is but one."""
        return f", fold {k + 1} of {len(self.windows)}" if len(self.windows) > 1 else ""

    def refits(self, name: str) -> Refits:
        """Return a forecaster's fits along the history, none made yet."""
        return Refits(name, self.fit, self.data.panel, self.window.horizon, self.stage, self.progress, self.parts)

    def learn(self, name: str, paths: int) -> Learning:
        """Fit a forecaster before each stretch of the history, and forecast what policies learn from.

        Args:
            name: of the forecaster.
            paths: simulated, beside the history.

        Raises:
            InputError: where forecasts made elsewhere have no origins to learn from.
        """
        own = self.along(name)
        refits, window = own.refits(name), own.windows[0]
        refits.begin(first for first, _ in window.forecast)
        found = own._learn(refits, window, paths)
        if found is None:
            raise nothing_to_learn_from(name, self.data.panel.dates[self.window.fits[0]].date())
        return found

    def _learn(self, refits: Refits, window: Windows, paths: int) -> Learning | None:
        if not window.fits:
            return None
        settings = self.config.training
        past = self.data.panel.until(window.cutoff)
        draws = settings.history_draws if past.ran_out.any() else 1
        demand = np.stack([uncensored(past, seed=k) for k in range(draws)])
        found = [refits.forecast(*stretch) for stretch in window.forecast]
        with self.stage(f"forecasting with {refits.name}"):
            # Policies are tuned in hundreds of simulations of it, and networks trained on pieces of it.
            whole = self._prepared(self._replay(found, demand))
        history = whole.window(0, window.learning)
        kept, run_in = None, 0
        if window.refits:
            run_in = min(2 * window.span, history.periods)
            kept = whole.window(history.periods - run_in, whole.periods)
        training = history
        if paths:
            with self.stage(f"simulating demand from {refits.name}"):
                training = lay_beside(history, settings.history_draws, self._simulate_demand(refits, window, paths))
        return Learning(history, training, kept, run_in, paths)

    def _simulate_demand(self, refits: Refits, window: Windows, paths: int) -> Scenario:
        """Draw demand from forecasters along the stretches that they were fitted for."""
        parts = []
        past = self.data.panel.until(window.start if window.refits else window.cutoff)
        shocks: Any = "none" if refits.name in self.data.given else "fitted"  # which needs forecasts from the past
        if window.learning >= FEWEST_PERIODS and window.refits:
            # Errors of forecasts that did not know what came, not of those that were fitted to it.
            found = zip(window.forecast, window.stretches, strict=False)
            near = [refits.forecast(*whole).at_origin(np.arange(end - first)) for whole, (first, end) in found]
            shocks = CommonShocks.from_forecast(concatenate_origins([f.head(1) for f in near]), past)
        rng = keyed_generator(self.config.seed, "training demand")
        for first, end in window.stretches:
            forecaster = refits.fitted(first)
            model = ForecastDemand(forecaster, self.data.panel.until(end), mode="rolled", start=first, shocks=shocks)
            parts.append(self._prepared(model.scenario(rng, paths, end - first, self.shown)))
        return reduce(join_periods, parts)

    def forecast(self, name: str, paths: int, *, back: bool = True) -> Backtest:
        """Forecast with one forecaster in every fold; no policies yet.

        Args:
            name: of the forecaster.
            paths: simulated, beside the history, for policies to learn from.
            back: whether earlier origins are forecast, too: see `looks_back`; else those of a warm-up alone.
        """
        own = self.along(name)
        refits = own.refits(name)
        folds: list[Fold] = []
        for k, window in enumerate(own.windows):
            earlier = window.fits if back else () if folds else window.fits[-1:]
            refits.begin((*earlier, window.cutoff), self.fold_words(k))
            # Networks are trained before the first fold: simulated demand is for them alone.
            learning = own._learn(refits, window, 0 if folds else paths) if back else None
            first = earlier[-1] if back and earlier else window.cutoff - window.warm_up
            before = refits.forecast(first, window.cutoff, earlier[-1]) if earlier else None
            after = refits.forecast(window.cutoff, window.end)
            forecasts = Forecasts(refits.fitted(window.cutoff), learning, before, after)
            folds.append(Fold(window.cutoff, window.end, forecasts, Trained({}, {}, {})))
        with self.stage(f"forecasting with {name}"):
            scenario = self._prepared(own._held_out(folds, own.shown, self.data.demand))
        return Backtest(name, tuple(folds), scenario, own.window.warm_up, {})

    def backtest(
        self, forecaster: str, policies: Iterable[str], *, paths: int | None = None, also: Iterable[str] = ()
    ) -> Backtest:
        """Forecast, train and simulate in every fold, each on what was known before it.

        Args:
            forecaster: name of the forecaster that policies see.
            policies: names.
            paths: simulated, beside the history, for networks to learn from; as configured where None.
            also: names of policies that are to come on the same forecasts later: see `with_policies`.
        """
        names = list(policies)
        if paths is None:
            paths = self.config.training.simulated_paths if any(map(is_trained, names)) else 0
        back = looks_back(self.config, [*names, *also])
        return self.with_policies(self.forecast(forecaster, paths, back=back), names)

    def with_policies(self, backtest: Backtest, names: Iterable[str]) -> Backtest:
        """Return a backtest of other policies on the same forecasts.

        Args:
            backtest: with its forecasts.
            names: of the policies. Where there are no forecasts to learn from, those with parameters to find are left
                out, and a note says so.
        """
        names, left_out = list(names), dict[str, list[str]]()
        if any(fold.forecasts.learning is None for fold in backtest.folds):
            given, why = self.config.policies.options, f"{backtest.forecaster} has no forecasts of earlier origins"
            left_out = {n: [f"left out: {why} to learn from"] for n in names if needs_training(n, given.get(n, {}))}
        names, seeds = [name for name in names if name not in left_out], self.config.training.seeds
        folds, networks = list[Fold](), dict[str, tuple[Policy, ...]]()
        for k, fold in enumerate(backtest.folds):
            # Networks are dear: they are trained before the first fold, and followed in each as far as it bears out.
            parts = self.parts.under("policy", backtest.forecaster, fold.first)
            where = f" on {backtest.forecaster}{self.fold_words(k)}"
            trained = self.train(
                names, fold.forecasts.learning, seeds=seeds, networks=networks, parts=parts, where=where
            )
            networks = dict(trained.networks)
            folds.append(replace(fold, trained=replace(trained, notes={**left_out, **trained.notes})))
        backtest = replace(backtest, folds=tuple(folds), trajectories={})
        return replace(backtest, trajectories=self.simulate(backtest))

    def train(
        self,
        names: Iterable[str],
        learning: Learning | None,
        *,
        seeds: int = 1,
        networks: Mapping[str, Sequence[Policy]] | None = None,
        parts: Parts | None = None,
        where: str = "",
    ) -> Trained:
        """Tune or train policies by name, and cost them where they are chosen.

        Args:
            names: of the policies.
            learning: what they learn from; None where none of them learns.
            seeds: with which each network is trained.
            networks: by name, networks that were trained earlier, one a seed; they are not trained again, and held
                against the classical policies of this fold.
            parts: where what was tuned and trained is kept.
            where: on which forecaster and in which fold, for people.
        """
        problem = training_problem(self.config, self.data, learning, progress=self.progress, parts=parts or Parts())
        policies: dict[str, tuple[Policy | Planner, ...]] = {}
        costs: dict[str, float] = {}
        found = {name: tuple(parts) for name, parts in (networks or {}).items()}
        for name in names:
            options = self.config.policies.options.get(name, {})
            if needs_training(name, options) and name not in found:
                begin_stage(self.progress, f"training {name}{where}", f"training {name}")
            with self.stage(f"training {name}"):
                if name in OWN:
                    ready: tuple[Policy | Planner, ...] = (own_policy(name, self.data),)
                    problem.note(name, own_note(name, self.data))
                elif is_trained(name):
                    if name not in found:
                        found[name] = train_networks(name, problem, options, seeds)
                    ready = follow_networks(name, found[name], problem)
                else:
                    ready = (train_policy(name, problem, options),)
                policies[name] = ready
                paid = [p for p in ready if not isinstance(p, Planner | RecordedOrders)]
                if learning is not None and paid:
                    costs[name] = float(np.mean([problem.cost_on_kept(p).sum(2).mean() for p in paid]))
        return Trained(policies, problem.notes, costs, problem.at_edge, found)

    def simulate(
        self,
        backtest: Backtest,
        policies: Mapping[str, Policy | Planner | Sequence[Policy | Planner]] | None = None,
        *,
        params: ItemParams | None = None,
        demand: FloatArray | None = None,
    ) -> dict[str, Trajectory]:
        """Simulate policies on the held-out periods of all folds, after a warm-up on the last periods before them.

        Stock and what is under way are carried from fold to fold. A policy with a target of its own starts there, any
        other at the newsvendor's. A bound needs no warm-up and begins at the first fold.

        Args:
            backtest: whose folds and forecasts are replayed.
            policies: by name, one policy, or one a fold; those that were trained in each fold where None, every
                training seed on a path of its own.
            params: lead times, costs and order rules in place of the study's.
            demand: units, shape (items, periods of the panel), in place of the study's.

        Returns:
            A trajectory a policy, arrays (1 or seeds, held-out periods, items).

        Raises:
            FractileError: where forecasts do not reach as far as the parameters need.
        """
        scenario, params = self.replay(backtest, params, demand), params or self.data.params
        trajectories = {}
        with self.stage("simulating policies"):
            for name, runs in policies_by_seed(backtest, policies).items():
                trajectories[name] = concatenate_paths(self._simulate_seeds(runs, backtest, scenario, params))
        return trajectories

    def cost_by_seed(self, backtest: Backtest, name: str, scenario: Scenario) -> FloatArray:
        """Simulate a trained policy on other demand, and return its cost, money, shape (seeds, paths, periods, items).

        Args:
            backtest: whose folds are replayed.
            name: of the policy, which orders by observations: no bound, no orders on record.
            scenario: as `replay` returns it, with any number of demand paths.
        """
        return cost_by_seed(backtest, name, scenario, self.data.params)

    def replay(
        self, backtest: Backtest, params: ItemParams | None = None, demand: FloatArray | None = None
    ) -> Scenario:
        """Return what policies are simulated on: a warm-up and all held-out periods; arguments as for `simulate`."""
        if params is None or int(np.max(params.protection_interval)) <= self.window.span:
            scenario = backtest.scenario
        else:
            span, horizon = int(np.max(params.protection_interval)), backtest.folds[0].forecasts.after.horizon
            if span > horizon:
                raise FractileError(
                    f"forecasts reach {horizon} periods ahead, and a protection interval of {span} needs as many; "
                    f"set forecast.horizon to {span} or more"
                )
            scenario = self._held_out(backtest.folds, shown_periods(params, horizon), self.data.demand)
        if demand is not None:
            first = self.window.cutoff - backtest.warm_up
            scenario = replace(scenario, demand=demand[:, first : self.window.end].T[None])
        return with_protection_totals(scenario, params or self.data.params)

    def _held_out(self, folds: Sequence[Fold], span: int, demand: FloatArray) -> Scenario:
        """Return a warm-up and all held-out periods with forecasts that reach `span` periods ahead."""
        before, after = folds[0].forecasts.before, [fold.forecasts.after for fold in folds]
        if before is None:
            return self._replay(after, demand[None], span)
        scenario = self._replay([before, *after], demand[None], span)
        return scenario.window(max(0, len(before.origins) - self.window.warm_up), scenario.periods)

    def _simulate_seeds(
        self,
        runs: Sequence[Sequence[Policy | Planner]],
        backtest: Backtest,
        scenario: Scenario,
        params: ItemParams,
    ) -> list[Trajectory]:
        """Simulate each training seed; those that were put back to one policy are one simulation."""
        alike = {tuple(map(id, run)): run for run in runs}
        done = {key: self._simulate_folds(run, backtest, scenario, params) for key, run in alike.items()}
        return [done[tuple(map(id, run))] for run in runs]

    def _simulate_folds(
        self, policies: Sequence[Policy | Planner], backtest: Backtest, scenario: Scenario, params: ItemParams
    ) -> Trajectory:
        """Simulate one policy a fold as one history without a break."""
        first, warm_up = policies[0], backtest.warm_up
        if isinstance(first, Planner):
            return simulate(first, scenario.window(warm_up, scenario.periods), params)
        if isinstance(first, RecordedOrders):  # they are what was done from the stock that there was
            return replay_orders(
                first, self.data, params, scenario.window(warm_up, scenario.periods), self.window.cutoff
            )
        ends = [warm_up + end for end in backtest.ends]
        policy, state = follow_each_other(cast(Sequence[Policy], policies), ends, scenario, params)
        return simulate(policy, scenario, params, initial_state=state, warm_up=warm_up)

    def _replay(self, found: Sequence[QuantileForecast], demand: FloatArray, span: int | None = None) -> Scenario:
        """Return demand of the periods that forecasts have origins for, with those forecasts.

        Args:
            found: whose origins follow each other.
            demand: units, shape (paths, items, periods).
            span: periods ahead that forecasts are shown; as `shown` where None.
        """
        origins = np.concatenate([forecast.origins for forecast in found])
        near = [forecast.head(span or self.shown) for forecast in found]
        forecasts = [forecast.at_origin(i) for forecast in near for i in range(len(forecast.origins))]
        return Scenario(np.swapaxes(demand[:, :, origins], 1, 2), forecasts=forecasts)

    def _prepared(self, scenario: Scenario) -> Scenario:
        return with_protection_totals(scenario, self.data.params)


def begin(config: StudyConfig, held_out: int | None, progress: Progress, data: StudyData | None = None) -> Study:
    """Load the data of a study and place its windows.

    Args:
        config: of the study.
        held_out: periods to hold out; 0 = none, None = 26 or as many as the history bears.
        progress: receives what is being done.
        data: data in place of what the config names.

    Raises:
        InputError: with the faults of data or configuration.
    """
    refuse_policies(config.policies.names)
    progress("reading")
    data = data or load_data(config)
    config, left_out = without_bounds(config, data.params)
    config = with_own(config, data, compared=held_out != 0)
    settings = config.backtest.folds, config.backtest.validation, config.forecast.horizon, config.training.refits
    windows = place_folds(data, held_out, *settings)
    data, whole = with_outside(data, replace(windows[0], end=windows[-1].end), config.forecast.files)
    return Study(config, data, (replace(windows[0], notes=(*whole.notes, *left_out)), *windows[1:]), progress)
