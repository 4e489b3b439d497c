"""Whether demand falls below each quantile as often as it was promised to."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ..calibration.sampling import cdf_bounds
from ..data.panel import SalesPanel
from ..forecast import (
    QuantileForecast,
)
from .actuals import actual_demand, quantiles_at


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
        panel: what came; item-periods that were out of stock or not listed are left out.
        rng: where the draws come from.
        truth: demand to hold against instead of sales, shape (items, periods).
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
        panel: what came; item-periods that were out of stock or not listed are left out.
        levels: shape (Q,); those of the forecast where None. [τ]
        truth: demand to hold against instead of sales, shape (items, periods).
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
        row = {"level": level, **_share("coverage", covered, targets, confidence)}
        rows.append({**row, **_share("share", _chance_below(low, high, float(level)), targets, confidence)})
    return pd.DataFrame(rows).assign(weeks=int((~np.isnan(demand)).sum()))


def _chance_below(low: FloatArray, high: FloatArray, level: float) -> FloatArray:
    """The chance that a uniform draw between two probabilities lies at or below a level."""
    width = high - low
    inside = (level - low) / np.where(width > 0, width, 1.0)
    return np.asarray(np.where(width > 0, np.clip(inside, 0.0, 1.0), np.where(np.isnan(low), np.nan, low <= level)))


def _share(name: str, cells: FloatArray, targets: IntArray, confidence: float) -> dict[str, float]:
    """Mean of the known cells (items, origins, horizon) with its interval, as columns."""
    known = ~np.isnan(cells)
    number = max(int(known.sum()), 1)
    mean = float(np.where(known, cells, 0.0).sum() / number)
    error = _standard_error(np.where(known, cells - mean, 0.0), targets) / number
    half = float(ndtri(0.5 + confidence / 2)) * error
    return {name: mean, f"{name}_low": max(mean - half, 0.0), f"{name}_high": min(mean + half, 1.0)}


def _standard_error(errors: FloatArray, targets: IntArray) -> float:
    """Standard error of a sum of errors (items, origins, horizon) that vary by item and by target period."""
    periods, position = np.unique(targets, return_inverse=True)
    cells = np.zeros((len(periods), len(errors)))
    np.add.at(cells, position.reshape(-1), errors.reshape(len(errors), -1).T)
    by_item, by_period, by_cell = (cells.sum(0) ** 2).sum(), (cells.sum(1) ** 2).sum(), (cells**2).sum()
    return float(np.sqrt(max(by_item + by_period - by_cell, by_item, by_period)))
