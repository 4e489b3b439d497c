"""How good quantile forecasts are.

`pinball_loss` has no factor 2. `weighted_quantile_loss` and `crps` carry it, as their definitions in the
literature do: at the level 0.5 the weighted quantile loss is then the sum of absolute errors over the sum of
demand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import FractileError
from .base import targets_of
from .forecast import FloatArray, QuantileForecast
from .panel import SalesPanel


def pinball_loss(demand: ArrayLike, quantile: ArrayLike, level: ArrayLike) -> FloatArray:
    """Return `ρ_τ(y − q) = max(τ (y − q), (τ − 1)(y − q))`, without a factor 2.

    Its expectation is least at the τ-quantile of y. With b = underage and h = overage cost,
    `(b + h) ρ_τ` at τ = b / (b + h) is the newsvendor's cost of having q units.

    Args:
        demand: units; shapes broadcast. [y]
        quantile: forecast, units. [q]
        level: in (0, 1). [τ]

    >>> float(pinball_loss(10.0, 7.0, 0.9))
    2.7
    """
    excess = np.asarray(demand, dtype=np.float64) - np.asarray(quantile, dtype=np.float64)
    level = np.asarray(level, dtype=np.float64)
    return np.asarray(np.maximum(level * excess, (level - 1.0) * excess))


def weighted_quantile_loss(demand: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the mean over levels of `2 Σ ρ_τ(y − q_τ) / Σ |y|`; NaN demand is left out.

    The factor 2 is the literature's (GluonTS, M-competitions), so that the level 0.5 gives the weighted
    absolute percentage error.

    Args:
        demand: units, shape (...). [y]
        quantiles: units, shape (..., Q).
        levels: shape (Q,). [τ]

    >>> round(weighted_quantile_loss([10.0, 10.0], [[9.0, 12.0], [9.0, 12.0]], [0.5, 0.9]), 3)
    0.07
    """
    known, forecast = _known(demand, quantiles)
    loss = pinball_loss(known[:, None], forecast, levels).sum(0).mean()
    return float(2.0 * loss / np.abs(known).sum())


def coverage(demand: ArrayLike, quantile: ArrayLike) -> float:
    """Return the share of known demand that is at or below the forecast quantile."""
    demand, quantile = np.broadcast_arrays(np.asarray(demand, dtype=np.float64), quantile)
    known = ~np.isnan(demand)
    return float(np.mean(demand[known] <= quantile[known]))


def bias(demand: ArrayLike, forecast: ArrayLike) -> float:
    """Return `Σ (forecast − demand) / Σ |demand|` over known demand: above zero where forecasts are high."""
    demand, forecast = np.broadcast_arrays(np.asarray(demand, dtype=np.float64), forecast)
    known = ~np.isnan(demand)
    return float((forecast[known] - demand[known]).sum() / np.abs(demand[known]).sum())


def crps(demand: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> FloatArray:
    """Return the continuous ranked probability score from quantiles, `2 ∫ ρ_τ(y − q_τ) dτ`.

    Each level stands for the levels nearest to it; at the midpoint levels (k − ½)/Q all weigh the same
    (Laio and Tamea 2007).

    Args:
        demand: units, shape (...). [y]
        quantiles: units, shape (..., Q).
        levels: shape (Q,). [τ]

    Returns:
        units, the shape of `demand`.
    """
    levels = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]])
    loss = pinball_loss(np.asarray(demand, dtype=np.float64)[..., None], quantiles, levels)
    return np.asarray(2.0 * loss @ np.diff(edges))


def score_forecast(forecast: QuantileForecast, panel: SalesPanel, *, truth: FloatArray | None = None) -> pd.DataFrame:
    """Score a forecast against what came.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins; only item-periods that were listed and in stock count.
        truth: demand to score against instead of sales, shape (items, periods); all of it counts but NaN.

    Returns:
        a row for each horizon and level, and for all horizons together (`horizon` 0): `pinball` (mean,
        units), `wql` (of that level), `coverage`, `bias` (of that quantile), `weeks` (item-periods).
    """
    demand = _actual(forecast, panel, truth)
    rows = [_scores(demand, forecast.values, forecast.levels, 0)]
    for h in range(forecast.horizon):
        rows.append(_scores(demand[:, :, h], forecast.values[:, :, h], forecast.levels, h + 1))
    return pd.concat(rows, ignore_index=True)


def mean_weighted_quantile_loss(
    forecast: QuantileForecast, panel: SalesPanel, *, truth: FloatArray | None = None
) -> float:
    """Return the weighted quantile loss of a forecast over all its levels and horizons."""
    return weighted_quantile_loss(_actual(forecast, panel, truth), forecast.values, forecast.levels)


def _actual(forecast: QuantileForecast, panel: SalesPanel, truth: FloatArray | None) -> FloatArray:
    if forecast.item_ids != panel.item_ids:
        raise FractileError("the forecast's items are not the panel's, or stand in another order")
    if truth is None:
        return targets_of(panel, forecast.origins, forecast.horizon)
    if truth.shape[0] != panel.items:
        raise FractileError(f"truth must have {panel.items} rows, one an item, got {truth.shape[0]}")
    padded = np.concatenate([truth, np.full((panel.items, forecast.horizon), np.nan)], axis=1)
    return np.asarray(padded[:, forecast.origins[:, None] + np.arange(forecast.horizon)])


def _scores(demand: FloatArray, values: FloatArray, levels: FloatArray, horizon: int) -> pd.DataFrame:
    known, forecast = _known(demand, values)
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


def _known(demand: ArrayLike, quantiles: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Lay all known demands in a row: (n,) and (n, Q)."""
    demand, quantiles = np.asarray(demand, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    known = ~np.isnan(demand)
    return demand[known], quantiles[known]
