"""The demand that a forecast is held against, and its quantiles at the levels that a score asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..base import targets_of
from ..data.panel import SalesPanel
from ..forecast import (
    QuantileForecast,
)
from .losses import checked_score_levels


def actual_demand(forecast: QuantileForecast, panel: SalesPanel, truth: FloatArray | None = None) -> FloatArray:
    """Return what came in the periods that were forecast, NaN where nobody knows.

    Args:
        forecast: of the panel's items.
        panel: its sales count where an item was listed and in stock.
        truth: demand to hold against instead of sales, units, shape (items, periods); all of it counts but NaN.

    Returns:
        units, shape (items, origins, horizon).
    """
    if forecast.item_ids != panel.item_ids:
        raise FractileError("the forecast's items are not the panel's, or stand in another order")
    return demand_at(panel, forecast.origins, forecast.horizon, truth)


def demand_at(panel: SalesPanel, origins: IntArray, horizon: int, truth: FloatArray | None = None) -> FloatArray:
    """Return what came in the horizon of each origin; see `actual_demand`."""
    if truth is None:
        return targets_of(panel, origins, horizon)
    if truth.shape[0] != panel.items:
        raise FractileError(f"truth must have {panel.items} rows, one an item, got {truth.shape[0]}")
    padded = np.concatenate([truth, np.full((panel.items, horizon), np.nan)], axis=1)
    return np.asarray(padded[:, origins[:, None] + np.arange(horizon)])


def quantiles_at(forecast: QuantileForecast, levels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return levels and the quantiles at them, shapes (Q,) and (items, origins, horizon, Q).

    Levels that were not forecast are interpolated by the rules of `QuantileForecast`.
    """
    levels = checked_score_levels(levels)
    if np.array_equal(levels, forecast.levels):
        return levels, forecast.values
    return levels, np.stack([forecast.quantile(level) for level in levels], axis=-1)
