"""Parameters of classical policies, found by simulation on a scenario."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TypeVar

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..policies.base_stock import BaseStock, ConstantOrder
from ..policies.newsvendor import TunedNewsvendor
from ..policies.rollout import simulate
from .config import TuningConfig

PolicyT = TypeVar("PolicyT", BaseStock, ConstantOrder)


def tune_newsvendor(scenario: Scenario, params: ItemParams, config: TuningConfig | None = None) -> TunedNewsvendor:
    """Find the scale and the safety factor that cost least in total on a scenario.

    A grid, then finer grids around the best point, with ties going to the plainest newsvendor. Every item shares
    the two numbers, so that thousands of item-periods support them.

    Args:
        scenario: demand and forecasts to tune on.
        params: lead times and costs.
        config: the grids.
    """
    config = config or TuningConfig()
    scenario = with_protection_totals(scenario, params)  # once for all candidates
    warm_up = _warm_up(scenario, params)
    best = TunedNewsvendor()
    lowest = simulate(best, scenario, params, warm_up=warm_up).mean_cost
    scales, shifts = np.linspace(*config.scales, config.points), np.linspace(*config.shifts, config.points)
    for _ in range(config.refinements):
        for scale, shift in product(scales, shifts):
            candidate = TunedNewsvendor(float(scale), float(shift))
            cost = simulate(candidate, scenario, params, warm_up=warm_up).mean_cost
            if cost < lowest:
                best, lowest = candidate, cost
        scales = _refine(scales, best.scale, config.finer_points)
        shifts = _refine(shifts, best.shift, config.finer_points)
    return best


def tune_base_stock(scenario: Scenario, params: ItemParams, config: TuningConfig | None = None) -> BaseStock:
    """Find each item's cheapest fixed level on a scenario: multiples of its mean demand over L + R periods."""
    stretches = (np.arange(*stretch) for stretch in (config or TuningConfig()).levels)
    return _tune_each_item(BaseStock, np.concatenate([*stretches]), params.protection_interval, scenario, params)


def tune_constant_order(scenario: Scenario, params: ItemParams, config: TuningConfig | None = None) -> ConstantOrder:
    """Find each item's cheapest fixed order on a scenario: multiples of its mean demand per review."""
    config = config or TuningConfig()
    multiples = np.linspace(0.0, config.largest_quantity, config.quantities)
    return _tune_each_item(ConstantOrder, multiples, params.review_period, scenario, params)


def _tune_each_item(
    make: Callable[[FloatArray], PolicyT],
    multiples: FloatArray,
    periods: int | IntArray,
    scenario: Scenario,
    params: ItemParams,
) -> PolicyT:
    """Choose each item's cheapest multiple of its mean demand over some periods.

    One run judges all items, since none affects another.
    """
    mean = np.asarray(scenario.demand).mean((0, 1)) * np.asarray(periods)
    candidates = np.outer(multiples, mean)
    if params.pack_size is not None:
        candidates = np.rint(candidates)
    warm_up = _warm_up(scenario, params)
    runs = (simulate(make(row), scenario, params, warm_up=warm_up) for row in candidates)
    best = np.argmin([run.cost.mean((0, 1)) for run in runs], axis=0)
    return make(candidates[best, np.arange(candidates.shape[1])])


def _warm_up(scenario: Scenario, params: ItemParams) -> int:
    """Periods whose cost no order of the policy decides."""
    return min(params.slots, scenario.periods - 1)


def _refine(grid: FloatArray, centre: float, points: int) -> FloatArray:
    """Return a grid between the neighbours of the best point; scales stay at or above zero."""
    width = (grid[1] - grid[0]) / 2
    finer: FloatArray = centre + width * np.linspace(-1, 1, points)
    return np.maximum(finer, 0.0) if grid[0] > 0 else finer
