"""How good forecasts are: losses item by item, so that they can be compared with money, and single scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...envs.core.types import ItemParams
from ...errors import FractileError
from ...forecasters.data.panel import SalesPanel
from ...forecasters.forecast import QuantileForecast
from ...forecasters.scores import (
    bias,
    calibration_table,
    protection_interval_cells,
    quantile_loss_cells,
    score_forecast,
    volatility_cells,
)
from ...forecasters.scores.losses import level_widths, share_of
from ...forecasters.scores.outcomes import follow, transform
from ..league.task import LOSS_LEVELS

LOSSES = ("protection_loss", "priced_loss", "wql", "crps")
"""Losses that are sums over items."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Scores of forecasts from the same origins, over the same horizon.

    Attributes:
        table: a row a forecaster: `protection_loss` (weighted quantile loss of demand summed over the protection
            interval, at the critical ratio), `priced_loss` (the same weighed with what it costs, h + b, money a
            period), `wql` (mean weighted quantile loss over the levels 0.1 … 0.9), `crps` (as a share of demand),
            `bias` (of the mean), `calibration` (mean distance of the share of demand below a quantile from its level),
            `volatility` (excess volatility: revisions that news does not justify).
        losses: of each of `LOSSES`, the sums by forecaster and item, shape (forecasters, items).
        weights: what each of them is divided by, by item, shape (items,): demand, or the number of periods for money.
        scores: a row a forecaster, horizon (0: all) and level: see `score_forecast`.
    """

    table: pd.DataFrame
    losses: Mapping[str, FloatArray]
    weights: Mapping[str, FloatArray]
    scores: pd.DataFrame


def measure_accuracy(
    forecasts: Mapping[str, QuantileForecast], panel: SalesPanel, params: ItemParams, truth: FloatArray | None = None
) -> Accuracy:
    """Score forecasts against the demand that followed.

    Args:
        forecasts: by name, from the same origins.
        panel: the history with the periods that were forecast.
        params: lead times, review periods and costs of its items.
        truth: demand to score against, shape (items, periods), where it is known; else sales, which are bounds on
            demand where stock ran out.
    """
    horizon = min(forecast.horizon for forecast in forecasts.values())
    span = int(np.max(params.protection_interval))
    if horizon < span:
        raise FractileError(f"forecasts reach {horizon} periods ahead, and protection intervals last {span}")
    truth = None if truth is None else np.where(panel.listed, truth, np.nan)
    rows, sums, frames = [], [], []
    for name, forecast in forecasts.items():
        found, row = _losses(forecast.head(horizon), panel, params, truth)
        sums.append(found)
        rows.append({"forecaster": name, **row})
        frames.append(score_rows(name, forecast.head(horizon), panel, params, truth))
    losses = {key: np.stack([each[key][0] for each in sums]) for key in LOSSES}
    weights = {key: sums[0][key][1] for key in LOSSES}
    table = pd.DataFrame(rows)
    for k, key in enumerate(LOSSES):
        table.insert(1 + k, key, losses[key].sum(1) / weights[key].sum())
    return Accuracy(table, losses, weights, pd.concat(frames, ignore_index=True))


def score_rows(
    name: str,
    forecast: QuantileForecast,
    panel: SalesPanel,
    params: ItemParams,
    truth: FloatArray | None = None,
    total: QuantileForecast | None = None,
) -> pd.DataFrame:
    """Return the scores of one forecaster by horizon and level, with the loss of what is bought on.

    Args:
        name: of the forecaster.
        forecast: of the panel's items.
        panel: reaches beyond the origins.
        params: lead times and costs.
        truth: demand to score against instead of sales.
        total: the forecast of demand over the protection interval, where it was computed before.
    """
    span, ratio = params.protection_interval, params.critical_ratio
    loss, demand = protection_interval_cells(forecast, panel, span, ratio, truth=truth, total=total)
    known = ~np.isnan(loss)
    bought = float(share_of(2.0 * loss[known].sum(), np.abs(demand[known]).sum())) if known.any() else np.nan
    table = score_forecast(forecast, panel, truth=truth).assign(protection_loss=bought)
    table.insert(0, "forecaster", name)
    return table


def _losses(
    forecast: QuantileForecast, panel: SalesPanel, params: ItemParams, truth: FloatArray | None
) -> tuple[dict[str, tuple[FloatArray, FloatArray]], dict[str, float]]:
    """Return each loss and its weight by item, and the single scores."""
    span, ratio = params.protection_interval, params.critical_ratio
    bought, summed = protection_interval_cells(forecast, panel, span, ratio, truth=truth)
    price = np.broadcast_to(np.asarray(params.holding_cost) + np.asarray(params.stockout_cost), (panel.items,))
    known = ~np.isnan(bought)
    origins = np.maximum(known.sum(1), 1)
    losses, demand = quantile_loss_cells(forecast, panel, LOSS_LEVELS, truth=truth)
    outcomes = follow(forecast, panel, truth=truth)
    crps = 2.0 * outcomes.pinball_losses(forecast.values, forecast.levels) @ level_widths(forecast.levels)
    sold = np.nansum(np.abs(demand), axis=(1, 2))
    parts = {
        "protection_loss": (2.0 * np.nansum(bought, axis=1), np.nansum(np.abs(summed), axis=1)),
        "priced_loss": (price * np.nansum(bought, axis=1) / origins, np.full(panel.items, 1.0 / panel.items)),
        "wql": (np.nansum(losses, axis=(1, 2)), sold),
        "crps": (np.nansum(crps, axis=(1, 2)), np.nansum(np.abs(outcomes.sales), axis=(1, 2))),
    }
    expected = transform(forecast, outcomes, whole_units=panel.integer_demand).expected_demand()
    shares = calibration_table(forecast, panel, truth=truth)
    excess = volatility_cells(forecast, panel, truth=truth).excess
    return parts, {
        "bias": bias(expected, forecast.mean()),
        "calibration": float((shares["share"] - shares["level"]).abs().mean()),
        "volatility": float(np.nanmean(excess)) if np.isfinite(excess).any() else np.nan,
    }
