"""What a backtest is made of: forecasts on both sides of a cutoff, policies that are ready, folds and trajectories."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.period import StockState
from ..envs.core.types import ItemParams, Observation, PeriodOutcome, Scenario, Trajectory
from ..forecasters.base import Forecaster
from ..forecasters.demand_forecast import DemandForecast
from ..forecasters.forecast import QuantileForecast, concatenate_origins
from ..parts import Parts
from ..policies.base import Planner, Policy
from ..policies.rollout import prepare_scenario, simulate_cost, starting_state
from ..progress import Progress, no_progress
from ..training.train import TrainingProblem
from .config import StudyConfig
from .data import StudyData


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
        simulated: paths of `training` that are simulated.
    """

    history: Scenario
    training: Scenario
    kept: Scenario | None
    run_in: int
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
    """A forecaster on both sides of a cutoff.

    Attributes:
        fitted: on everything before the cutoff.
        learning: from earlier fits; None where there are no forecasts of earlier origins.
        before: forecasts from the last origins before the cutoff, of an earlier fit; None likewise.
        after: forecasts from the held-out origins.
    """

    fitted: Forecaster
    learning: Learning | None
    before: QuantileForecast | None
    after: QuantileForecast


@dataclass(frozen=True, eq=False)
class Trained:
    """Policies that are ready, and what was found on the way.

    Attributes:
        seeds: by name; one policy a training seed where a policy is learned, else one.
        notes: by name, what a reader should know of how a policy came about.
        kept_cost: of each policy but bounds, money a period over all items, on the periods kept for choosing, the mean
            over training seeds; empty where nothing had to be learned.
        at_edge: by name, parameters whose search ended at the edge of its grid.
        networks: by name, what learned policies follow as far as the periods kept for choosing bear out; one a seed.
    """

    seeds: Mapping[str, tuple[Policy | Planner, ...]]
    notes: Mapping[str, list[str]]
    kept_cost: Mapping[str, float]
    at_edge: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: Mapping[str, tuple[Policy, ...]] = field(default_factory=dict)

    @property
    def policies(self) -> dict[str, Policy | Planner]:
        """The policies by name, those that are learned with the first seed."""
        return {name: seeds[0] for name, seeds in self.seeds.items()}


@dataclass(frozen=True, eq=False)
class Fold:
    """A stretch of held-out periods, and what was ready before it.

    Attributes:
        first: its first period.
        end: the one after its last.
        forecasts: of a forecaster fitted on everything before `first`.
        trained: policies tuned and trained on periods before `first`.
    """

    first: int
    end: int
    forecasts: Forecasts
    trained: Trained


@dataclass(frozen=True, eq=False)
class Backtest:
    """One forecaster and the policies on it over all held-out periods, fold after fold.

    Attributes:
        forecaster: its name.
        folds: in the order of time.
        scenario: demand and forecasts of the held-out periods, after those of a warm-up; one path.
        warm_up: periods at its start that do not count.
        trajectories: of each policy, arrays (seeds, held-out periods, items): one path for a policy that is not
            learned, one a training seed for a learned one. Stock is carried from fold to fold.
    """

    forecaster: str
    folds: tuple[Fold, ...]
    scenario: Scenario
    warm_up: int
    trajectories: Mapping[str, Trajectory]

    @property
    def ends(self) -> tuple[int, ...]:
        """Held-out periods up to the end of each fold."""
        return tuple(fold.end - self.folds[0].first for fold in self.folds)

    @property
    def after(self) -> QuantileForecast:
        """Forecasts from all held-out origins, each by its own fold's forecaster."""
        if len(self.folds) == 1:
            return self.folds[0].forecasts.after
        return concatenate_origins([fold.forecasts.after for fold in self.folds])

    @property
    def totals(self) -> QuantileForecast | None:
        """Forecasts of demand over the protection interval from all held-out origins, as policies saw them."""
        totals = self.scenario.protection_totals
        return None if totals is None else concatenate_origins(totals.totals[self.warm_up :])

    @property
    def fitted(self) -> Forecaster:
        """The last fold's forecaster."""
        return self.folds[-1].forecasts.fitted

    @property
    def trained(self) -> Trained:
        """The last fold's policies."""
        return self.folds[-1].trained

    @property
    def learning(self) -> Learning | None:
        """What the last fold's policies learned from; None where there was nothing to learn from."""
        return self.folds[-1].forecasts.learning


@dataclass(frozen=True, eq=False)
class PolicyByFold:
    """Order by one policy in each fold.

    Attributes:
        policies: one a fold.
        ends: the period after each fold's last, counted from the simulation's first.
    """

    reads_protection_total: ClassVar[bool] = True

    policies: tuple[Policy, ...]
    ends: tuple[int, ...]

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return self.policies[bisect_right(self.ends, obs.period)].order(obs)

    def prepare(self, scenario: Scenario, params: ItemParams) -> Scenario:
        """Return the scenario with what the policies read of its forecasts, as far as they read the same."""
        for policy in self.policies:
            scenario = prepare_scenario(policy, scenario, params)
        return scenario


def follow_each_other(
    policies: Sequence[Policy], ends: Sequence[int], scenario: Scenario, params: ItemParams
) -> tuple[Policy, StockState]:
    """Return policies that follow each other as one, and the state that a simulation of it starts from: the first's.

    Args:
        policies: one a fold.
        ends: the period after each fold's last, counted from the scenario's first.
        scenario: that they are simulated on.
        params: lead times, costs and order rules.
    """
    first = policies[0]
    state = starting_state(first, prepare_scenario(first, scenario, params), params)
    same = all(policy is first for policy in policies)
    return first if same else PolicyByFold(tuple(policies), tuple(ends)), state


def policies_by_seed(
    backtest: Backtest, policies: Mapping[str, Policy | Planner | Sequence[Policy | Planner]] | None
) -> dict[str, list[Sequence[Policy | Planner]]]:
    """Return, by name, one policy a fold for each path that is simulated."""
    folds = backtest.folds
    if policies is None:
        seeds = {name: [fold.trained.seeds[name] for fold in folds] for name in folds[0].trained.seeds}
        return {name: list(zip(*of_folds, strict=True)) for name, of_folds in seeds.items()}
    return {
        name: [policy if isinstance(policy, Sequence) else [policy] * len(folds)] for name, policy in policies.items()
    }


def cost_by_seed(backtest: Backtest, name: str, scenario: Scenario, params: ItemParams) -> FloatArray:
    """Return what each training seed of a policy costs on a scenario, money, shape (seeds, paths, periods, items).

    Args:
        backtest: with the policy of each fold.
        name: of the policy, which orders by observations: no bound, no orders on record.
        scenario: a warm-up and all held-out periods, with any number of demand paths.
        params: lead times, costs and order rules.
    """
    runs = cast(list[Sequence[Policy]], policies_by_seed(backtest, None)[name])
    ends = [backtest.warm_up + end for end in backtest.ends]
    costs: dict[tuple[int, ...], FloatArray] = {}
    for run in runs:
        if tuple(map(id, run)) not in costs:  # seeds that were put back to one policy are one simulation
            policy, state = follow_each_other(run, ends, scenario, params)
            cost = simulate_cost(policy, scenario, params, initial_state=state, warm_up=backtest.warm_up)
            costs[tuple(map(id, run))] = cost
    found = [costs[tuple(map(id, run))] for run in runs]
    return found[0][None] if len(found) == 1 else np.stack(found)


def concatenate_paths(trajectories: Sequence[Trajectory]) -> Trajectory:
    """Return trajectories of one scenario as paths beside each other."""
    first = trajectories[0]
    if len(trajectories) == 1:
        return first
    arrays = {
        name: np.concatenate([getattr(t, name) for t in trajectories]) for name in (*PeriodOutcome._fields, "demand")
    }
    extra = {name: np.concatenate([t.extra[name] for t in trajectories]) for name in first.extra}
    return replace(first, **arrays, extra=extra)


def join_periods(first: Scenario, then: Scenario) -> Scenario:
    """Return the periods of one scenario after those of another, of the same paths and items."""
    forecasts = [*(first.forecasts or ()), *(then.forecasts or ())]
    totals = None
    if first.protection_totals is not None and then.protection_totals is not None:
        both = [*first.protection_totals.totals, *then.protection_totals.totals]
        totals = replace(first.protection_totals, forecasts=forecasts, totals=both)
    demand = np.concatenate([first.demand, then.demand], axis=1)
    return Scenario(demand, forecasts, protection_totals=totals)


def lay_beside(history: Scenario, draws: int, simulated: Scenario) -> Scenario:
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


def training_problem(
    config: StudyConfig,
    data: StudyData,
    learning: Learning | None,
    *,
    progress: Progress = no_progress,
    parts: Parts | None = None,
) -> TrainingProblem:
    """Return what the policies of a study are tuned and trained on.

    Args:
        config: of the study.
        data: of the study.
        learning: what policies learn from; None where none of them learns.
        progress: called as training moves on.
        parts: where what was tuned and trained is kept.
    """
    settings = config.training
    nothing = Scenario(data.demand[:, :0].T[None])
    return TrainingProblem(
        nothing if learning is None else learning.training,
        data.params,
        tuning=None if learning is None else learning.history,
        kept=None if learning is None else learning.kept,
        run_in=None if learning is None else learning.run_in,
        seed=config.seed,
        backprop_steps=settings.backprop_steps,
        ppo_steps=settings.ppo_steps,
        progress=progress,
        parts=parts or Parts(),
    )
