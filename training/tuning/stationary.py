"""Which items `forecast_dp` solves: nearly stationary ones with a short lead time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...envs.core.params import ItemParams
from ...envs.core.types import Scenario
from ...policies.forecast_dp import ForecastDynamicProgramming

NEARLY = 0.15
"""A forecast is nearly stationary where its means vary by less over the stretch: standard deviation over mean."""

LONGEST_LEAD_TIME = 2
"""Periods; the states of an item grow with the power of its lead time."""

LARGEST_POSITION = 60.0
"""Mean demand over L + 1 periods up to which items are solved, units."""

QUANTILES = 127
"""Equally likely values that stand for a period's demand."""

ORIGINS = 8
"""Forecasts of the stretch that the distribution is averaged over."""


def forecast_dp(scenario: Scenario, params: ItemParams) -> ForecastDynamicProgramming | None:
    """Return the policy with all items solved that can be; None where there is none.

    Args:
        scenario: forecasts of the stretch.
        params: of its items.
    """
    some = [scenario.forecast(int(t)) for t in np.linspace(0, scenario.periods - 1, ORIGINS)]
    means = np.stack([f.mean()[:, :, 0].mean(1) for f in some if f is not None])
    solvable = _solvable(params, means)
    if not solvable.any():
        return None
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    # Quantiles averaged level by level keep the shape; probabilities averaged would widen it by what means move.
    values = np.stack([np.mean([f.quantile(t)[:, :, 0].mean(1) for f in some if f is not None], 0) for t in levels])
    units = np.rint(values)
    probabilities = (units[..., None] == np.arange(units[:, solvable].max() + 1)).mean(0)
    solvable &= probabilities[:, 1:].sum(1) > 0
    return ForecastDynamicProgramming(probabilities, solvable.astype(np.float64), params)


def _solvable(params: ItemParams, means: FloatArray) -> BoolArray:
    """Which items are nearly stationary, small enough, and of a kind that dynamic programming solves, (items,)."""
    items = means.shape[1]

    def of_items(value: Any) -> FloatArray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), items)

    if params.capacity is not None or params.shelf_life is not None:
        return np.zeros(items, dtype=bool)
    if any(np.ndim(value) > 1 for value in (params.lead_time, params.holding_cost, params.stockout_cost)):
        return np.zeros(items, dtype=bool)
    mean, lead_time, lost = means.mean(0), of_items(params.lead_time), of_items(params.lost_share)
    pack = of_items(0.0 if params.pack_size is None else params.pack_size)
    nearly: BoolArray = means.std(0) <= NEARLY * mean
    small = (lead_time <= LONGEST_LEAD_TIME) & (mean * (lead_time + 1) <= LARGEST_POSITION) & (mean > 0)
    usual = (of_items(params.review_period) == 1) & ((lost == 0) | (lost == 1)) & (pack >= 1) & (pack % 1 == 0)
    return nearly & small & usual & (of_items(params.holding_cost) > 0)
