"""Forecasts against the demand that followed: tables of losses and calibration, probability integral transforms.

Item-periods out of stock count as bounds on demand (`stock_outs="bound"`, the default; "mask" leaves them out), by the
rule that `outcomes` states.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..base import targets_of
from ..data.panel import SalesPanel
from ..forecast import QuantileForecast
from .losses import check_score_levels, share_of
from .outcomes import StockOuts, Transforms, follow, transform


def actual_demand(forecast: QuantileForecast, panel: SalesPanel, truth: FloatArray | None = None) -> FloatArray:
    """Return the demand of the periods that were forecast, NaN where it is not known: stock-outs are left out.

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
    forecast: QuantileForecast,
    panel: SalesPanel,
    levels: ArrayLike,
    *,
    truth: FloatArray | None = None,
    stock_outs: StockOuts = "bound",
) -> tuple[FloatArray, FloatArray]:
    """Return the loss of each cell and the demand it is weighed with, for intervals of their ratio.

    The sum of the losses over the sum of demand is the mean weighted quantile loss.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins; its listed item-periods count.
        levels: quantile levels, shape (Q,), interpolated where they were not forecast. [τ]
        truth: demand to score against instead of sales, shape (items, periods); all of it counts but NaN.
        stock_outs: "bound": item-periods out of stock count by the rule of `outcomes`; "mask": they do not.

    Returns:
        `2 ρ_τ(y − q_τ)` averaged over the levels, and demand (what was sold, where stock ran out), both in units, of
        shape (items, origins, horizon), NaN where nothing is known.
    """
    outcomes = follow(forecast, panel, truth=truth, stock_outs=stock_outs)
    levels, quantiles = quantiles_at(forecast, levels)
    return 2.0 * outcomes.pinball_losses(quantiles, levels).mean(-1), outcomes.sales


def score_forecast(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    truth: FloatArray | None = None,
    stock_outs: StockOuts = "bound",
) -> pd.DataFrame:
    """Score a forecast against the demand that followed.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins; its listed item-periods count.
        truth: demand to score against instead of sales, shape (items, periods); all of it counts but NaN.
        stock_outs: "bound": item-periods out of stock count by the rule of `outcomes`; "mask": they do not.

    Returns:
        a row for each horizon and level, and for all horizons together (`horizon` 0): `pinball` (mean,
        units), `wql` (of that level, relative to what was sold), `coverage`, `bias` (of that quantile, against demand
        that is expected where stock ran out), `weeks` (item-periods).
    """
    outcomes = follow(forecast, panel, truth=truth, stock_outs=stock_outs)
    found = transform(forecast, outcomes, whole_units=panel.integer_demand)
    losses, demand = outcomes.pinball_losses(forecast.values, forecast.levels), found.expected_demand()
    covered = np.stack([found.covered(quantile) for quantile in np.moveaxis(forecast.values, -1, 0)], axis=-1)
    frames = []
    for h in range(forecast.horizon + 1):
        ahead = slice(None) if h == 0 else slice(h - 1, h)
        known = outcomes.known[:, :, ahead]
        sold, expected = (np.abs(each[:, :, ahead][known]) for each in (outcomes.sales, demand))
        number = max(len(sold), 1)
        loss, below = losses[:, :, ahead][known].sum(0), covered[:, :, ahead][known].sum(0)
        excess = (forecast.values[:, :, ahead][known] - demand[:, :, ahead][known][:, None]).sum(0)
        columns = {
            "horizon": h,
            "level": forecast.levels,
            "pinball": loss / number,
            "wql": share_of(2.0 * loss, float(sold.sum())),
            "coverage": below / number,
            "bias": share_of(excess, float(expected.sum())),
            "weeks": len(sold),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def mean_weighted_quantile_loss(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    truth: FloatArray | None = None,
    levels: ArrayLike | None = None,
    stock_outs: StockOuts = "bound",
) -> float:
    """Return the weighted quantile loss of a forecast over all its horizons.

    Args:
        forecast: of the panel's items.
        panel: as in `score_forecast`.
        truth: as in `score_forecast`.
        levels: that the mean is over; those of the forecast where None.
        stock_outs: as in `score_forecast`.
    """
    levels = forecast.levels if levels is None else levels
    loss, demand = quantile_loss_cells(forecast, panel, levels, truth=truth, stock_outs=stock_outs)
    return float(np.nansum(loss) / np.nansum(np.abs(demand)))


def pit(
    forecast: QuantileForecast,
    panel: SalesPanel,
    rng: np.random.Generator,
    *,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
    stock_outs: StockOuts = "bound",
) -> FloatArray:
    """Return randomised probability integral transforms: uniform where the forecast is calibrated.

    A demand on a jump of the distribution stands for all probabilities of the jump; one of them is drawn
    (Brockwell 2007; Czado, Gneiting and Held 2009). Where stock ran out, it is drawn from the transforms' own
    distribution above `P(D < sales)`, as the product limit estimates it: all together are distributed like that
    estimate, whatever the forecast says.

    Args:
        forecast: of the panel's items.
        panel: the demand that followed; its listed item-periods count.
        rng: where the draws come from.
        truth: demand to compare with instead of sales, shape (items, periods).
        whole_units: whether demand is counted; as the panel's sales are where None.
        stock_outs: "mask" leaves item-periods out of stock out.

    Returns:
        in [0, 1], shape (items, origins, horizon), NaN where nothing is known.
    """
    return _transforms(forecast, panel, truth, whole_units, stock_outs).draws(rng)


def pit_bounds(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
    stock_outs: StockOuts = "bound",
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities that the transform of each cell lies between; arguments as in `pit`.

    Where stock ran out: `P(D < sales)` and 1.
    """
    found = _transforms(forecast, panel, truth, whole_units, stock_outs)
    return found.low, found.high


def _transforms(
    forecast: QuantileForecast,
    panel: SalesPanel,
    truth: FloatArray | None,
    whole_units: bool | None,
    stock_outs: StockOuts,
) -> Transforms:
    whole = panel.integer_demand if whole_units is None else whole_units
    return transform(forecast, follow(forecast, panel, truth=truth, stock_outs=stock_outs), whole_units=whole)


def calibration_table(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    levels: ArrayLike | None = None,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
    confidence: float = 0.95,
    stock_outs: StockOuts = "bound",
) -> pd.DataFrame:
    """Return nominal levels against observed shares, with intervals.

    `coverage` counts demand at or below the quantile. Where demand is counted, a right quantile covers more
    than its level, because it covers a whole jump. `share` puts that right: it is the chance that a
    randomised `pit` lies at or below the level, which equals the level where the forecast is calibrated.
    An item-period out of stock counts with the probability that the product limit gives it above what was sold.
    Intervals take whole items and whole target periods as the units that vary (two-way clusters: Cameron,
    Gelbach and Miller 2011); they take those probabilities as given.

    Args:
        forecast: of the panel's items.
        panel: the demand that followed; its listed item-periods count.
        levels: shape (Q,); those of the forecast where None. [τ]
        truth: demand to compare with instead of sales, shape (items, periods).
        whole_units: whether demand is counted; as the panel's sales are where None.
        confidence: of the intervals.
        stock_outs: "mask" leaves item-periods out of stock out.

    Returns:
        a row a level: `level, coverage, coverage_low, coverage_high, share, share_low, share_high, weeks`.
    """
    found = _transforms(forecast, panel, truth, whole_units, stock_outs)
    levels, quantiles = quantiles_at(forecast, forecast.levels if levels is None else levels)
    targets = forecast.origins[:, None] + np.arange(forecast.horizon)
    rows = []
    for k, level in enumerate(levels):
        covered = found.covered(quantiles[..., k])
        row = {"level": level, **_share("coverage", covered, targets, confidence)}
        rows.append({**row, **_share("share", found.below(level), targets, confidence)})
    return pd.DataFrame(rows).assign(weeks=int(found.outcomes.known.sum()))


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
