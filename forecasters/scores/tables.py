"""How good quantile forecasts are: every score, and the tables of a forecast against what came.

`pinball_loss` has no factor 2. `weighted_quantile_loss`, `quantile_error` and `crps` carry it, as their
definitions in the literature do: at the level 0.5 the weighted quantile loss is then the sum of absolute errors
over the sum of demand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...arrays import FloatArray
from ..data.panel import SalesPanel
from ..forecast import (
    QuantileForecast,
)
from .actuals import actual_demand, quantiles_at
from .losses import (
    known_rows,
    mean_quantile_loss,
    pinball_loss,
    weighted_quantile_loss,
)


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
    """Score a forecast against what came.

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
