"""A tile of items: forecast, simulated on the held-out periods and on simulated histories, and summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import numpy as np

from ...arrays import FloatArray
from ...envs.core.forecast_features import ProtectionTotals, by_origin, protection_total
from ...envs.core.types import ItemParams, Scenario, Trajectory
from ...forecasters.base import Forecaster
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.forecast import QuantileForecast
from ...forecasters.several import first_period_demand
from ...policies.base import Planner, Policy
from ...policies.newsvendor import Newsvendor, TunedNewsvendor
from ...policies.recorded import RecordedOrders
from ...policies.registry import make_policy
from ...policies.rollout import prepare_scenario, roll, simulate, state_after
from ...policies.transfer import for_items, is_for_items
from ...progress import Progress, no_progress
from ..backtest import Backtest, Fold, Forecasts, Study, Trained
from ..data import StudyData
from ..folds import follow_each_other, policies_by_seed
from ..own import own_policy
from ..refits import Refits
from ..sections import OWN
from ..statistics.sums import CostSums
from .plan import BlockPlan

FIGURES = (
    *("cost", "holding", "stockout", "ordering", "waste", "on_hand", "sales", "demand"),
    *("order_variance", "demand_variance"),
)
"""What is summed up of each policy: money, units, and variances over time; means over training seeds."""


@dataclass(frozen=True, eq=False)
class TileSums:
    """What is kept of a tile.

    Attributes:
        costs: what savings and their intervals come from.
        figures: of each policy and item, sums over the held-out periods, shape (`FIGURES`, policies, items).
        periods: cost of all items by policy, money, shape (training seeds, held-out periods).
        histories: cost of all items in simulated histories by policy, money, shape (training seeds, histories); none
            of bounds and of orders on record, which belong to one demand.
    """

    costs: CostSums
    figures: FloatArray
    periods: Mapping[str, FloatArray]
    histories: Mapping[str, FloatArray]


def simulate_tile(plan: BlockPlan, data: StudyData, seconds: dict[str, float] | None = None) -> TileSums:
    """Forecast the items of a tile and simulate all policies on them.

    Args:
        plan: of the study.
        data: of the tile's items.
        seconds: CPU time by stage, to which the tile's is added.
    """
    study = Study(plan.config, data, plan.windows, no_progress, {} if seconds is None else seconds)
    with study.stage("forecasting"):
        backtest = forecast_tile(plan, study)
    backtest = with_policies(plan, study, backtest)
    trajectories = study.simulate(backtest)
    trajectories |= _simulate_bounds(plan, study, backtest)
    trajectories = {name: trajectories[name] for name in plan.names}
    return TileSums(
        costs=CostSums.of({name: trajectory.cost for name, trajectory in trajectories.items()}, plan.baseline),
        figures=np.stack([_figures(trajectory) for trajectory in trajectories.values()], axis=1),
        periods={name: trajectory.cost.sum(2) for name, trajectory in trajectories.items()},
        histories=_simulate_histories(plan, study, backtest) if plan.histories else {},
    )


def forecast_tile(plan: BlockPlan, study: Study, *, last: bool = False) -> Backtest:
    """Return the forecasts of a tile by the sample's forecasters; no policies yet.

    What is forecast is what is used: the origins of the warm-up and of the held-out periods, as far ahead as policies
    are shown. Earlier origins are forecast only where policies are tuned on the tile.

    Args:
        plan: of the study.
        study: of the tile.
        last: the last fold alone, and of its origins the first one: what policies are brought to other items by.
    """
    windows, panel, shown = study.windows, study.data.panel, shown_of(plan, study)

    def fitted(name: str, until: int, progress: Progress) -> Forecaster:  # noqa: ARG001  # fitted on the sample
        return plan.fitted[until]

    refits, folds = Refits(plan.forecaster, fitted, panel, study.window.horizon, study.stage), list[Fold]()
    for window in windows[-1:] if last else windows:
        learning = study._learn(refits, window, 0) if plan.by_tile else None
        origins = np.arange(window.cutoff, window.cutoff + 1 if last else window.end)
        after = refits.fitted(window.cutoff).predict(panel, shown, origins=origins)
        folds.append(
            Fold(
                window.cutoff,
                window.end,
                Forecasts(refits.fitted(window.cutoff), learning, None, after),
                Trained({}, {}, {}),
            )
        )
    near = [fold.forecasts.after for fold in folds]
    warm_up = study.window.warm_up
    if windows[0].fits and warm_up and not last:
        first, end = windows[0].forecast[-1]
        origins = np.arange(max(first, end - warm_up), end)
        near = [refits.fitted(first).predict(panel, shown, origins=origins), *near]
        warm_up = len(origins)
    else:
        warm_up = 0
    return Backtest(plan.forecaster, tuple(folds), _scenario(near, study.data), warm_up, {})


def shown_of(plan: BlockPlan, study: Study) -> int:
    """Return the periods ahead that policies are shown.

    Where all are newsvendors, which read no further, they are those of the longest protection interval.
    """
    found = [policy for name in plan.names for seeds in plan.policies.get(name, [[None]]) for policy in seeds]
    if not all(type(policy) in (Newsvendor, TunedNewsvendor) for policy in found):
        return study.shown
    return min(study.shown, int(np.max(study.data.params.protection_interval)))


def _scenario(near: Sequence[QuantileForecast], data: StudyData) -> Scenario:
    """Return the demand of the periods that forecasts have origins for, with these and their protection totals."""
    span = by_origin(data.params.protection_interval)
    forecasts: list[DemandForecast] = []
    totals: list[DemandForecast] = []
    for forecast in near:
        total = protection_total(forecast, data.params)
        for at in range(len(forecast.origins)):
            forecasts.append(forecast.at_origin(at))
            totals.append(total.at_origin(at))
    origins = np.concatenate([forecast.origins for forecast in near])
    demand = data.demand[:, origins].T[None]
    return Scenario(demand, forecasts, protection_totals=ProtectionTotals(forecasts, span, totals))


def with_policies(plan: BlockPlan, study: Study, backtest: Backtest) -> Backtest:
    """Return the backtest of a tile with the policies of the sample, those tuned on the tile, and the user's own."""
    data, folds = study.data, list[Fold]()
    # The folds of a backtest are the plan's last ones.
    for k, fold in enumerate(backtest.folds, len(plan.windows) - len(backtest.folds)):
        seeds: dict[str, tuple[Policy | Planner, ...]] = {}
        if plan.by_tile:
            seeds.update(study.train(plan.by_tile, fold.forecasts.learning).seeds)
        for name in set(plan.names) & set(plan.policies):
            pairs = zip(plan.policies[name][k], plan.pooled[name][k], strict=True)
            seeds[name] = tuple(_for_tile(plan, policy, pooled, fold, data) for policy, pooled in pairs)
        seeds |= {name: (own_policy(name, data),) for name in plan.names if name in OWN}
        trained = Trained({name: seeds[name] for name in plan.names if name in seeds}, {}, {})
        folds.append(replace(fold, trained=trained))
    return replace(backtest, folds=tuple(folds))


def _for_tile(plan: BlockPlan, policy: Policy, pooled: Mapping[str, float], fold: Fold, data: StudyData) -> Policy:
    """Return a policy of the sample for a tile's items; of parameters item by item, new items take the pool's."""
    if not plan.sample or not is_for_items(policy, len(plan.sample)):
        return policy
    near = fold.forecasts.after.at_origin(0)
    found: Policy = for_items(policy, plan.sample, data.panel.item_ids, data.params, pooled=pooled, forecast=near)
    return found


def _simulate_bounds(plan: BlockPlan, study: Study, backtest: Backtest) -> dict[str, Trajectory]:
    """Simulate bounds from the stock that the baseline has at the first held-out period, as `simulate_bounds` does."""
    names = [name for name in plan.names if name not in backtest.folds[0].trained.seeds]
    if not names:
        return {}
    scenario, params = backtest.scenario, study.data.params
    baseline = cast(Policy, backtest.folds[0].trained.policies[plan.baseline])
    state = state_after(baseline, scenario, params, backtest.warm_up)
    held_out = scenario.window(backtest.warm_up, scenario.periods)
    options = plan.config.policies.options
    bounds = {name: make_policy(name, **options.get(name, {})) for name in names}
    return {name: simulate(bound, held_out, params, initial_state=state) for name, bound in bounds.items()}


def _figures(trajectory: Trajectory) -> FloatArray:
    """Return what is summed up of a policy, shape (`FIGURES`, items)."""
    parts = {
        "cost": trajectory.cost,
        "holding": trajectory.holding,
        "stockout": trajectory.stockout,
        "ordering": trajectory.ordering,
        "waste": trajectory.waste_cost,
        "on_hand": trajectory.on_hand,
        "sales": trajectory.sales,
        "demand": trajectory.demand,
    }
    sums = [parts[name].sum(1).mean(0) for name in FIGURES[: len(parts)]]
    return np.stack([*sums, trajectory.order.var(1).mean(0), trajectory.demand.var(1).mean(0)])


def _simulate_histories(plan: BlockPlan, study: Study, backtest: Backtest) -> dict[str, FloatArray]:
    """Return what each policy costs in simulated histories, money, by name, shape (training seeds, histories)."""
    with study.stage("drawing histories"):
        demand = _draw_demand(plan, study, backtest.scenario)
    scenario, costs = replace(backtest.scenario, demand=demand), dict[str, FloatArray]()
    params, ends = study.data.params, [backtest.warm_up + end for end in backtest.ends]
    with study.stage("simulating histories"):
        for name, runs in policies_by_seed(backtest, None).items():
            if isinstance(runs[0][0], RecordedOrders):
                continue
            different = {tuple(map(id, run)): cast(Sequence[Policy], run) for run in runs}
            found = {
                key: _history_costs(run, ends, scenario, params, backtest.warm_up) for key, run in different.items()
            }
            costs[name] = np.stack([found[tuple(map(id, run))] for run in runs])
    return costs


def _draw_demand(plan: BlockPlan, study: Study, scenario: Scenario) -> FloatArray:
    """Draw demand of simulated histories, units, shape (histories, periods, items): see `histories.draw_histories`."""
    panel, shocks = study.data.panel, plan.shocks
    items = shocks.of(panel.item_ids, None if shocks.attribute is None else panel.attributes)
    normal = items.sample(plan.history_seed, plan.histories, scenario.periods).swapaxes(1, 2)
    demand = first_period_demand(scenario.forecasts or (), normal)
    return np.rint(demand, out=demand) if plan.whole else demand


def _history_costs(
    policies: Sequence[Policy], ends: Sequence[int], scenario: Scenario, params: ItemParams, warm_up: int
) -> FloatArray:
    """Return what policies that follow each other, fold after fold, cost on each path, money, shape (paths,)."""
    policy, state = follow_each_other(policies, ends, scenario, params)
    scenario = prepare_scenario(policy, scenario, params)
    costs = np.zeros(scenario.paths)
    for _, outcome in islice(roll(policy, scenario, params, state), warm_up, None):
        costs += outcome.cost.sum(1)
    return costs
