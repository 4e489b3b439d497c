"""Classical policies tuned by simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..policies.base_stock import BaseStock, ConstantOrder
from ..policies.newsvendor import TunedNewsvendor
from ..policies.rollout import simulate

SCALES = np.linspace(0.6, 1.3, 8)
SHIFTS = np.linspace(-2.0, 1.5, 8)
REFINEMENTS = 3
LEVELS = np.concatenate([np.arange(0.0, 4.0, 0.25), np.arange(4.0, 12.1, 1.0)])


def tune_newsvendor(scenario: Scenario, params: ItemParams) -> TunedNewsvendor:
    """Find the scale and the safety factor that cost least in total on a scenario.

    A grid, then finer grids around the best point, with ties going to the plainest newsvendor. Every item shares
    the two numbers, so that thousands of item-periods stand behind them.

    Args:
        scenario: demand and forecasts to tune on.
        params: lead times and costs.
    """
    scenario = with_protection_totals(scenario, params)  # once for all candidates
    best = TunedNewsvendor()
    lowest = _cost(best, scenario, params)
    scales, shifts = SCALES, SHIFTS
    for _ in range(REFINEMENTS):
        for scale, shift in product(scales, shifts):
            candidate = TunedNewsvendor(float(scale), float(shift))
            cost = _cost(candidate, scenario, params)
            if cost < lowest:
                best, lowest = candidate, cost
        scales, shifts = _around(best.scale, scales), _around(best.shift, shifts)
    return best


def tune_base_stock(scenario: Scenario, params: ItemParams) -> BaseStock:
    """Find each item's cheapest fixed level on a scenario: multiples of its mean demand over L + R periods."""
    mean = _mean_demand(scenario) * np.asarray(params.protection_interval)
    return BaseStock(_best_per_item(BaseStock, np.outer(LEVELS, mean), scenario, params))


def tune_constant_order(scenario: Scenario, params: ItemParams) -> ConstantOrder:
    """Find each item's cheapest fixed order on a scenario: multiples of its mean demand per review."""
    mean = _mean_demand(scenario) * np.asarray(params.review_period)
    shares = np.linspace(0.0, 1.5, 31)
    return ConstantOrder(_best_per_item(ConstantOrder, np.outer(shares, mean), scenario, params))


def _best_per_item(
    make: Callable[[Any], Any], candidates: FloatArray, scenario: Scenario, params: ItemParams
) -> FloatArray:
    """Return, of candidates (n, items), each item's cheapest; items do not meet, so one run judges all of them."""
    packed = np.rint(candidates) if params.pack_size is not None else candidates
    cost = [simulate(make(row), scenario, params, warm_up=_warm_up(scenario, params)).cost for row in packed]
    best = np.argmin([c.mean((0, 1)) for c in cost], axis=0)
    return packed[best, np.arange(packed.shape[1])]


def _mean_demand(scenario: Scenario) -> FloatArray:
    mean: FloatArray = np.asarray(scenario.demand).mean((0, 1))
    return mean


def _cost(policy: TunedNewsvendor, scenario: Scenario, params: ItemParams) -> float:
    return simulate(policy, scenario, params, warm_up=_warm_up(scenario, params)).mean_cost


def _warm_up(scenario: Scenario, params: ItemParams) -> int:
    return min(params.slots, scenario.periods - 1)


def _around(centre: float, grid: FloatArray) -> FloatArray:
    """A grid of five points between the neighbours of the centre."""
    width = (grid[1] - grid[0]) / 2
    finer: FloatArray = centre + width * np.linspace(-1, 1, 5)
    return np.maximum(finer, 0.0) if grid[0] > 0 else finer
