"""Forecasts against the demand that followed: tables of losses and calibration, probability integral transforms."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..base import targets_of
from ..calibration.sampling import cdf_bounds
from ..data.panel import SalesPanel
from ..forecast import QuantileForecast
from .losses import check_score_levels, known_rows, mean_quantile_loss, pinball_loss, weighted_quantile_loss


def actual_demand(forecast: QuantileForecast, panel: SalesPanel, truth: FloatArray | None = None) -> FloatArray:
    """Return the demand of the periods that were forecast, NaN where it is not known.

    Args:
        forecast: of the panel's items.
        panel: its sales count where an item was listed and in stock.
        truth: demand to compare with instead of sales, units, shape (items, periods); all of it counts but NaN.

    Returns:
        units, shape (items, origins, horizon).
    """
    if forecast.item_ids != panel.item_ids:
        raise FractileError("the forecast's items are not the panel's, or stand in another order")
    return demand_at(panel, forecast.origins, forecast.horizon, truth)


def demand_at(panel: SalesPanel, origins: IntArray, horizon: int, truth: FloatArray | None = None) -> FloatArray:
    """Return the demand over the horizon of each origin; see `actual_demand`."""
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
    levels = check_score_levels(levels)
    if np.array_equal(levels, forecast.levels):
        return levels, forecast.values
    return levels, np.stack([forecast.quantile(level) for level in levels], axis=-1)


def quantile_loss_cells(
    forecast: QuantileForecast, panel: SalesPanel, levels: ArrayLike, *, truth: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the loss of each cell and the demand it is weighed with, for intervals of their ratio.

    The sum of the losses over the sum of absolute demand is the mean weighted quantile loss.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins; only item-periods that were listed and in stock count.
        levels: quantile levels, shape (Q,), interpolated where they were not forecast. [τ]
        truth: demand to score against instead of sales, shape (items, periods); all of it counts but NaN.

    Returns:
        `2 ρ_τ(y − q_τ)` averaged over the levels, and demand, both in units, of shape (items, origins,
        horizon), NaN where demand is not known.
    """
    demand = actual_demand(forecast, panel, truth)
    levels, quantiles = quantiles_at(forecast, levels)
    return mean_quantile_loss(demand, quantiles, levels), demand


def score_forecast(forecast: QuantileForecast, panel: SalesPanel, *, truth: FloatArray | None = None) -> pd.DataFrame:
    """Score a forecast against the demand that followed.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins; only item-periods that were listed and in stock count.
        truth: demand to score against instead of sales, shape (items, periods); all of it counts but NaN.

    Returns:
        a row for each horizon and level, and for all horizons together (`horizon` 0): `pinball` (mean,
        units), `wql` (of that level), `coverage`, `bias` (of that quantile), `weeks` (item-periods).
    """
    demand = actual_demand(forecast, panel, truth)
    rows = [_scores(demand, forecast.values, forecast.levels, 0)]
    for h in range(forecast.horizon):
        rows.append(_scores(demand[:, :, h], forecast.values[:, :, h], forecast.levels, h + 1))
    return pd.concat(rows, ignore_index=True)


def mean_weighted_quantile_loss(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    truth: FloatArray | None = None,
    levels: ArrayLike | None = None,
) -> float:
    """Return the weighted quantile loss of a forecast over all its horizons.

    Args:
        forecast: of the panel's items.
        panel: as in `score_forecast`.
        truth: as in `score_forecast`.
        levels: that the mean is over; those of the forecast where None.
    """
    levels, quantiles = quantiles_at(forecast, forecast.levels if levels is None else levels)
    return weighted_quantile_loss(actual_demand(forecast, panel, truth), quantiles, levels)


def _scores(demand: FloatArray, values: FloatArray, levels: FloatArray, horizon: int) -> pd.DataFrame:
    known, forecast = known_rows(demand, values)
    loss = pinball_loss(known[:, None], forecast, levels)
    units = max(float(np.abs(known).sum()), np.finfo(float).tiny)
    number = max(len(known), 1)
    return pd.DataFrame(
        {
            "horizon": horizon,
            "level": levels,
            "pinball": loss.sum(0) / number,
            "wql": 2.0 * loss.sum(0) / units,
            "coverage": (known[:, None] <= forecast).sum(0) / number,
            "bias": (forecast - known[:, None]).sum(0) / units,
            "weeks": len(known),
        }
    )


def pit(
    forecast: QuantileForecast,
    panel: SalesPanel,
    rng: np.random.Generator,
    *,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
) -> FloatArray:
    """Return randomised probability integral transforms: uniform where the forecast is calibrated.

    A demand on a jump of the distribution stands for all probabilities of the jump; one of them is drawn
    (Brockwell 2007; Czado, Gneiting and Held 2009).

    Args:
        forecast: of the panel's items.
        panel: the demand that followed; item-periods that were out of stock or not listed are left out.
        rng: where the draws come from.
        truth: demand to compare with instead of sales, shape (items, periods).
        whole_units: whether demand is counted; as the panel's sales are where None.

    Returns:
        in [0, 1], shape (items, origins, horizon), NaN where demand is not known.
    """
    low, high = pit_bounds(forecast, panel, truth=truth, whole_units=whole_units)
    return low + rng.random(low.shape) * (high - low)


def pit_bounds(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities that `pit` draws between; arguments as there."""
    whole = panel.integer_demand if whole_units is None else whole_units
    return cdf_bounds(forecast, actual_demand(forecast, panel, truth), whole_units=whole)


def calibration_table(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    levels: ArrayLike | None = None,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return nominal levels against observed shares, with intervals.

    `coverage` counts demand at or below the quantile. Where demand is counted, a right quantile covers more
    than its level, because it covers a whole jump. `share` puts that right: it is the chance that a
    randomised `pit` lies at or below the level, which equals the level where the forecast is calibrated.
    Intervals take whole items and whole target periods as the units that vary (two-way clusters: Cameron,
    Gelbach and Miller 2011).

    Args:
        forecast: of the panel's items.
        panel: the demand that followed; item-periods that were out of stock or not listed are left out.
        levels: shape (Q,); those of the forecast where None. [τ]
        truth: demand to compare with instead of sales, shape (items, periods).
        whole_units: whether demand is counted; as the panel's sales are where None.
        confidence: of the intervals.

    Returns:
        a row a level: `level, coverage, coverage_low, coverage_high, share, share_low, share_high, weeks`.
    """
    demand = actual_demand(forecast, panel, truth)
    levels, quantiles = quantiles_at(forecast, forecast.levels if levels is None else levels)
    low, high = pit_bounds(forecast, panel, truth=truth, whole_units=whole_units)
    targets = forecast.origins[:, None] + np.arange(forecast.horizon)
    rows = []
    for k, level in enumerate(levels):
        covered = np.where(np.isnan(demand), np.nan, demand <= quantiles[..., k])
        # The chance that a uniform draw between the two probabilities lies at or below the level.
        width = high - low
        inside = np.clip((level - low) / np.where(width > 0, width, 1.0), 0.0, 1.0)
        below = np.where(width > 0, inside, np.where(np.isnan(low), np.nan, low <= level))
        row = {"level": level, **_share("coverage", covered, targets, confidence)}
        rows.append({**row, **_share("share", below, targets, confidence)})
    return pd.DataFrame(rows).assign(weeks=int((~np.isnan(demand)).sum()))


def _share(name: str, cells: FloatArray, targets: IntArray, confidence: float) -> dict[str, float]:
    """Return the mean of the known cells (items, origins, horizon) with its interval, as columns."""
    known = ~np.isnan(cells)
    number = max(int(known.sum()), 1)
    mean = float(np.where(known, cells, 0.0).sum() / number)
    error = _standard_error(np.where(known, cells - mean, 0.0), targets) / number
    half = float(ndtri(0.5 + confidence / 2)) * error
    return {name: mean, f"{name}_low": max(mean - half, 0.0), f"{name}_high": min(mean + half, 1.0)}


def _standard_error(errors: FloatArray, targets: IntArray) -> float:
    """Return the standard error of a sum of errors (items, origins, horizon): two-way clusters, item and period."""
    periods, position = np.unique(targets, return_inverse=True)
    cells = np.zeros((len(periods), len(errors)))
    np.add.at(cells, position.reshape(-1), errors.reshape(len(errors), -1).T)
    by_item, by_period, by_cell = (cells.sum(0) ** 2).sum(), (cells.sum(1) ** 2).sum(), (cells**2).sum()
    return float(np.sqrt(max(by_item + by_period - by_cell, by_item, by_period)))
