"""Many candidates in one simulation: each takes a block of paths, and all see the same demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ...arrays import Array, BoolArray, FloatArray, IntArray
from ...envs.core.params import ItemParams
from ...envs.core.period import advance, observation, system_of
from ...envs.core.types import InventoryState, Scenario
from ...envs.networks.network import Network
from ...policies.base import OrderUpToPolicy, Policy
from ...policies.rollout import starting_state
from ...randomness import keyed_generator

BLOCK = 65_536
"""Numbers in an array of the state: as many candidates as fit are simulated together."""

ENDED = 1e-3
"""An item's demand has ended where its silence up to the end had less than this probability."""

Make = Callable[[FloatArray], Policy]
"""From parameters (rows, columns, coordinates) to the policy that has them row by row; the rows are paths."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What candidates are judged on.

    Attributes:
        scenario: demand, forecasts and what else the policy cannot change.
        params: lead times and costs of the items, or the network.
        warm_up: periods at the start that do not count.
        folds: parts into which the stretch is divided: paths where there are as many, else successive periods.
        counts: what counts, (paths, periods, columns), boolean.
        part: the part of each path and period, (paths, periods).
    """

    scenario: Scenario
    params: Any
    warm_up: int
    folds: int
    counts: BoolArray = field(init=False, repr=False)
    part: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        paths, periods = self.scenario.paths, self.scenario.periods
        counts = selling(self.scenario)
        counts[:, : self.warm_up] = False
        if not counts.any():
            counts[:, self.warm_up :] = True
        object.__setattr__(self, "counts", counts)
        if paths >= 2 * self.folds:
            part = np.broadcast_to(np.arange(paths)[:, None] * self.folds // paths, (paths, periods))
        else:
            counted = periods - self.warm_up
            by_period = np.maximum(np.arange(periods) - self.warm_up, 0) * self.folds // max(counted, self.folds)
            part = np.broadcast_to(by_period, (paths, periods))
        object.__setattr__(self, "part", part)

    @property
    def ended(self) -> BoolArray:
        """Items whose demand has ended by the end of the stretch, on all paths, (columns,)."""
        sold = np.asarray(self.scenario.demand) > 0
        return np.asarray(sold.any((0, 1)) & ~self.counts[:, -1].any(0))

    def without(self, columns: BoolArray) -> Trial:
        """Return the same, with columns that do not count."""
        trial = replace(self)
        object.__setattr__(trial, "counts", self.counts & ~columns)
        return trial

    @property
    def columns(self) -> int:
        """Items, or locations of a network."""
        return int(self.scenario.demand.shape[2])

    def costs(self, make: Make, theta: FloatArray, start: Policy) -> FloatArray:
        """Simulate candidates.

        Args:
            make: from parameters to a policy; see `Make`.
            theta: parameters of each candidate, shape (candidates, columns, coordinates).
            start: whose starting state, but for its level, candidates begin with.

        Returns:
            money, sums over what counts, shape (candidates, folds, columns); units are paid for when they leave.
        """
        size = max(1, BLOCK // (self.scenario.paths * self.columns))
        state = starting_state(start, self.scenario, self.params)
        blocks = [theta[first : first + size] for first in range(0, len(theta), size)]
        return np.concatenate([self._run(make, block, state) for block in blocks])

    def _run(self, make: Make, theta: FloatArray, state: Any) -> FloatArray:
        candidates, paths = len(theta), self.scenario.paths
        policy = make(np.repeat(theta, paths, axis=0))
        params = _tiled_params(self.params, paths, candidates)
        scenario = _tiled(self.scenario, candidates)
        state = type(state)(*(np.tile(part, (*[1] * (part.ndim - 2), candidates, 1)) for part in state))
        state = _at_target(policy, state, scenario, params)
        total, value = np.zeros((candidates, self.folds, self.columns)), unit_value(params, self.columns)
        for period in range(self.scenario.periods):
            obs = observation(state, period, params, scenario)
            before = obs.inventory_position
            state, outcome = advance(state, policy.order(obs), scenario, period, params)
            counts = self.counts[:, period]
            if not counts.any():
                continue
            cost = outcome.cost
            if np.any(params.salvage_value) and period == self.scenario.periods - 1:
                cost = cost - params.salvage_value * outcome.on_hand
            if np.any(value):
                cost = cost + value * (before - state.net_inventory - state.pipeline.sum(0))
            cost = cost.reshape(candidates, paths, -1) * counts
            for part in np.unique(self.part[:, period]):
                total[:, part] += cost[:, self.part[:, period] == part].sum(1)
        return total


def some_of(scenario: Scenario, params: Any, most: int, seed: int) -> tuple[Scenario, Any]:
    """Return fewer items or paths, at random, where there are more path-item-periods than wanted.

    Args:
        scenario: demand and forecasts.
        params: of its items.
        most: path-item-periods that are wanted at most.
        seed: of the choice.
    """
    rng = keyed_generator(seed, "tuned on")
    columns = max(1, most // scenario.periods)
    items = min(scenario.items, columns)
    if items < scenario.items:
        chosen = np.sort(rng.permutation(scenario.items)[:items])
        scenario, params = scenario.select(chosen), params.select(chosen)
    paths = max(1, columns // items)
    if paths < scenario.paths:
        rows = np.arange(paths)
        forecasts = scenario.forecasts
        if forecasts is not None and any(len(forecast.origins) > 1 for forecast in forecasts):
            forecasts = [f.at_origin(rows) if len(f.origins) > 1 else f for f in forecasts]
        by_path = {
            "arrivals": scenario.arrivals if scenario.arrivals is None else scenario.arrivals[:, :paths],
            "prices": scenario.prices if scenario.prices is None else scenario.prices[:paths],
            "capacity": scenario.capacity if scenario.capacity is None else scenario.capacity[:paths],
        }
        scenario, params = Scenario(scenario.demand[:paths], forecasts, **by_path), _first_paths(params, paths)
    return scenario, params


def _first_paths(params: Any, paths: int) -> Any:
    """The parameters of the first paths."""
    values = {f.name: getattr(params, f.name) for f in fields(params) if f.init}
    rows: dict[str, Any] = {k: v[:paths] for k, v in values.items() if np.ndim(v) == 2 and len(v) > 1}
    return replace(params, **rows) if rows else params


def unit_value(params: Any, columns: int) -> FloatArray:
    """Return what a unit costs at the least where it lies, money, (columns,) or (paths, columns).

    Stock that is sold off without being bought again would make a policy look cheap: it is charged when it leaves.
    """
    if not isinstance(params, Network):
        return np.asarray(getattr(params, "unit_cost", 0.0), dtype=np.float64)
    cost, value = params.link_costs[1], np.full(columns, np.inf)
    for _ in range(columns):
        at_source = np.where(params.source >= 0, value[params.source], 0.0)
        through = np.where((params.into > 0) & ~params.lateral[:, None], (at_source + cost)[:, None], np.inf)
        value = np.minimum(value, through.min(0))
    return np.where(np.isfinite(value), value, 0.0)


def selling(scenario: Scenario) -> BoolArray:
    """Return where an item's demand has not ended, (paths, periods, items).

    Stock that is left when demand ends for good costs in every period after: no order can change that any more, and
    a few such items would outweigh all others. After its last sale an item counts only if its silence is plausible:
    by the forecasts of these periods, or by the share of periods with demand before it.
    """
    demand = np.asarray(scenario.demand)
    sold = demand > 0
    later = np.cumsum(sold[:, ::-1], axis=1)[:, ::-1] > 0
    forecasts = scenario.forecasts
    if forecasts is not None and len(forecasts[0].values) == demand.shape[2]:
        silent = np.stack([_log_no_demand(forecast) for forecast in forecasts], axis=1)
    else:
        share = sold.sum(1, keepdims=True) / np.maximum(later.sum(1, keepdims=True), 1)
        silent = np.broadcast_to(np.log1p(-np.minimum(share, 0.999)), demand.shape)
    unlikely = np.where(later, 0.0, silent).sum(1, keepdims=True) < np.log(ENDED)
    kept: BoolArray = later | ~unlikely
    return kept


def _log_no_demand(forecast: Any) -> FloatArray:
    """The log-probability that the next period has no demand, (origins, items)."""
    below = (forecast.values[:, :, 0] < 0.5).sum(-1)
    # Between the lowest and the highest level the probability is read off; beyond the highest, silence says nothing.
    levels = np.concatenate([forecast.levels[:1], forecast.levels[:-1], [1.0]])
    log: FloatArray = np.log(levels[below]).T
    return log


def _at_target(policy: Policy, state: Any, scenario: Scenario, params: Any) -> Any:
    """The state with each candidate's own level as its position: what is under way stays, the rest is on hand."""
    if not isinstance(policy, OrderUpToPolicy):
        return state
    target = np.asarray(policy.target(observation(state, 0, params, scenario)))
    level = np.maximum(target - state.pipeline.sum(0), 0.0) + np.zeros_like(state.net_inventory)
    if getattr(params, "pack_size", None) is not None:
        level = np.rint(level)
    fresh: InventoryState = system_of(params).fresh_state(level, state.pipeline)
    return fresh


def _tiled(scenario: Scenario, times: int) -> Scenario:
    """The scenario with its paths repeated; demand period by period, forecasts as they are where one is for all."""
    if times == 1:
        return scenario
    forecasts = scenario.forecasts
    if forecasts is not None and any(len(forecast.origins) > 1 for forecast in forecasts):
        rows = np.tile(np.arange(scenario.paths), times)
        forecasts = [f.at_origin(rows) if len(f.origins) > 1 else f for f in forecasts]
    demand: Any = _Repeated(np.asarray(scenario.demand), times)
    by_path = {
        "arrivals": None if scenario.arrivals is None else _repeat(scenario.arrivals, times, 1),
        "prices": None if scenario.prices is None else _repeat(scenario.prices, times, 0),
        "capacity": None if scenario.capacity is None else _repeat(scenario.capacity, times, 0),
    }
    return Scenario(demand, forecasts, protection_totals=scenario.protection_totals, **by_path)


def _repeat(array: Array, times: int, axis: int) -> Array:
    return array if array.shape[axis] == 1 else np.concatenate([array] * times, axis)


class _Repeated:
    """Demand whose paths are repeated, made one period at a time: all of it would not fit into the cache."""

    ndim = 3

    def __init__(self, demand: FloatArray, times: int) -> None:
        self.demand, self.times = demand, times
        self.shape = (len(demand) * times, *demand.shape[1:])

    def __getitem__(self, index: tuple[slice, int]) -> FloatArray:
        return np.tile(self.demand[:, index[1]], (self.times, 1))


def _tiled_params(params: Any, paths: int, times: int) -> Any:
    """The parameters with those of single paths repeated."""
    if not isinstance(params, ItemParams) or times == 1:
        return params
    values = {f.name: getattr(params, f.name) for f in fields(params) if f.init}
    rows: dict[str, Any] = {
        k: np.tile(v, (times, 1)) for k, v in values.items() if np.ndim(v) == 2 and len(v) == paths > 1
    }
    return replace(params, **rows) if rows else params
