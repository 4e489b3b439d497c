"""Fitting the base series model and its effects to a history."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...errors import FractileError
from ..base import season_of, targets_of
from ..classical.smoothing import fit_smoothing
from ..data.panel import SalesPanel
from .columns import log_prices
from .effects import Record, fit_effects, smooth_level
from .factors import Factors, all_columns, factors_of
from .launch import LaunchLevels, fit_launch_levels
from .plan import Plan, planned
from .series import Series, without_effects

logger = logging.getLogger(__name__)

BASES = ("level", "ets")
DRIFTS = (0.0003, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06)
"""Variances that a log level may gain in a period."""
USUAL_DRIFT = 0.005
LEAST_WIDTH = 12.0
"""Periods: standard deviation of the window of a smooth level, where the season is shorter."""
YEARLY_WIDTH = 0.4


@dataclass(frozen=True)
class Options:
    """Which parts a series is made of; see `Patchwork`."""

    base: str = "level"
    seasonal: bool = True
    elasticity: bool = True
    cold_start: bool = True

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise FractileError(f"base must be {' or '.join(map(repr, BASES))}, got {self.base!r}")


def fit_series(panel: SalesPanel, options: Options, horizon: int) -> Series:
    """Estimate effects, the drift of levels, and where new items stand.

    How fast levels drift says how much of an apparent season is drift, and effects say what is left to
    drift: both are estimated twice.

    Args:
        panel: the history.
        options: which parts.
        horizon: periods ahead that the drift is to serve.
    """
    if panel.periods < season_of(panel.freq):
        # In less than a season a launch cannot be told from the season: every launch falls into another part of it.
        options = replace(options, cold_start=False)
    plan = planned(panel, seasonal=options.seasonal, elasticity=options.elasticity, cold_start=options.cold_start)
    unit = 1.0 if panel.integer_demand else unit_of(panel)
    record = _record(panel, plan, unit)
    effects = fit_effects(record, panel, noise_of(plan, record, USUAL_DRIFT), None)
    first = _with_drift(Series(plan, effects, None, None, unit, USUAL_DRIFT), panel, record, options, horizon)
    effects = fit_effects(record, panel, noise_of(plan, record, first.drift), effects)
    series = _with_drift(replace(first, effects=effects), panel, record, options, horizon)
    logger.info("patchwork: categories by %s, drift %g", effects.attribute or "nothing", series.drift)
    if options.base == "level":
        return series
    bare = without_effects(panel, factors_of(panel, plan, effects))
    return replace(series, smoothing=fit_smoothing(bare, 1))


def _with_drift(series: Series, panel: SalesPanel, record: Record, options: Options, horizon: int) -> Series:
    """Return the series with the levels of new items and the drift that go with its effects."""
    factor = factors_of(panel, series.plan, series.effects)
    launch = _launch_levels(panel, record, factor) if options.cold_start else None
    series = replace(series, launch=launch)
    return replace(series, drift=best_drift(series, panel, factor, horizon))


def unit_of(panel: SalesPanel) -> float:
    """Return the variance of demand over its mean where means are small: the unit that it comes in.

    Least squares of `variance = unit · mean + dispersion · mean²` over groups of item-periods of like mean.
    """
    record = _record(panel, Plan(), 1.0)
    mean = np.exp(smooth_level(record, np.zeros((panel.items, 0))))[record.known > 0]
    square = np.minimum((record.sales[record.known > 0] - mean) ** 2, 36 * mean**2)
    groups = np.array_split(np.argsort(mean, kind="stable"), min(20, len(mean)))
    middle = np.array([mean[g].mean() for g in groups])
    variance = np.maximum([square[g].mean() for g in groups], 1e-12)
    terms = np.stack([middle / variance, middle**2 / variance], axis=1)
    unit = np.linalg.lstsq(terms, np.ones(len(groups)), rcond=None)[0][0]
    return float(np.clip(unit, 0.02 * middle.mean(), 5 * middle.mean() + 1e-9))


def noise_of(plan: Plan, record: Record, drift: float) -> FloatArray:
    """Return the variance that a drifting level adds to the estimate of each effect, shape (columns,).

    A random walk has the power `drift / ω²` at the frequency ω of a wave, which a record of n periods takes
    for a wave of variance `4 drift / (n ω²)`; over a launch of pace τ it drifts by `drift · τ`.
    """
    noise = np.zeros(record.columns.shape[-1])
    periods = max(record.known.sum(1).mean(), 1.0)
    for k in range(plan.harmonics):
        noise[2 * k : 2 * k + 2] = 4 * drift / periods / (2 * np.pi * (k + 1) / 52.0) ** 2
    if plan.ages:
        noise[-len(plan.ages) :] = drift * np.asarray(plan.ages)
    return noise


def best_drift(series: Series, panel: SalesPanel, factor: Factors, horizon: int) -> float:
    """Return the drift whose forecasts, 1 to `horizon` periods ahead, were best in the history's second half."""
    origins = np.arange(max(1, panel.periods // 2), panel.periods)
    actual = targets_of(panel, origins, horizon)
    known = ~np.isnan(actual)
    targets = np.minimum(origins[:, None] + np.arange(horizon), panel.periods - 1)
    ahead = factor.past[:, targets]
    losses = []
    for drift in DRIFTS:
        levels = replace(series, drift=drift).levels(panel, factor, panel.periods)
        point = np.exp(levels.log_level[:, origins])[..., None] * ahead * series.unit
        losses.append(_deviance(actual[known], point[known]))
    return DRIFTS[int(np.argmin(losses))]


def _deviance(actual: FloatArray, mean: FloatArray) -> float:
    """The Poisson deviance, which is least at the mean whatever demand is distributed like."""
    mean = np.maximum(mean, 1e-3)
    relative = np.where(actual > 0, actual, 1.0) / mean
    return float((actual * np.log(relative) - (actual - mean)).sum())


def _record(panel: SalesPanel, plan: Plan, unit: float) -> Record:
    known = panel.informative
    season = season_of(panel.freq)
    width = max(YEARLY_WIDTH * season, LEAST_WIDTH)
    sales = np.where(known, panel.sales, 0.0) / unit
    return Record(sales, known.astype(np.float64), all_columns(panel, plan), width)


def _launch_levels(panel: SalesPanel, record: Record, factor: Factors) -> LaunchLevels:
    sales = (record.known * record.sales).sum(1)
    weight = (record.known * factor.past).sum(1)
    middle = min(1.0, sales.sum() / max(weight.sum(), 1e-9))
    log_level = np.log((sales + 0.25 * max(middle, 1e-3)) / (weight + 0.25))
    price = log_prices(panel)
    seen = record.known > 0
    log_price = np.where(seen, price, 0.0).sum(1) / np.maximum(seen.sum(1), 1)
    return fit_launch_levels(log_level, seen.sum(1).astype(np.float64), panel.attributes, log_price)
