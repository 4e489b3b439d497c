"""Point forecasts: a base series model of what is left of demand when its effects are taken out, and its fit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError
from ..base import Arrays, Config, State, cumulative_sums, targets_of
from ..classical.ets import Smoothing, fit_smoothing
from ..data.calendar import season_of
from ..data.panel import SalesPanel
from ..features.history import launches
from .effects import Factors, FittedEffects, Record, fit_effects, make_factors, smooth_level, smoothing_kernel
from .levels import LaunchLevels, Levels, Start, filter_levels, fit_launch_levels
from .plan import Plan, find_promotions, log_prices, make_columns, make_plan

logger = logging.getLogger(__name__)

BASES = ("level", "ets")
DRIFTS = (0.0003, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06)
"""Variances that a log level may gain in a period."""
USUAL_DRIFT = 0.005
LEAST_WIDTH = 12.0
"""Periods: standard deviation of the window of a smooth level, where the season is shorter."""
YEARLY_WIDTH = 0.4
OWN_PERIODS = 12
"""Periods after which an item's own exponential smoothing stands for itself."""
NOTHING = 1e-6


class Expected(NamedTuple):
    """A point forecast, and what its error depends on.

    Attributes:
        point: units, shape (items, origins, horizon).
        typical: what the item sells in the long run under the same effects, units, the same shape.
        dispersion: how much more its demand varies than a Poisson, shape (items, origins).
        promoted: whether the item is promoted or its price cut then, shape (items, origins, horizon).
    """

    point: FloatArray
    typical: FloatArray
    dispersion: FloatArray
    promoted: BoolArray


@dataclass(frozen=True, eq=False)
class Series:
    """Everything that point forecasts need.

    Attributes:
        plan: what explains log demand.
        effects: of what explains it.
        launch: where items without a history stand; None without a cold start.
        smoothing: base series models of the items, of demand without its effects; None where a level serves.
        unit: variance of demand over its mean where means are small; 1 for counts.
        drift: variance that a log level gains in a period.
    """

    plan: Plan
    effects: FittedEffects
    launch: LaunchLevels | None
    smoothing: Smoothing | None
    unit: float
    drift: float

    def expected(self, panel: SalesPanel, origins: IntArray, horizon: int) -> Expected:
        """Forecast a panel that reaches to the end of every horizon."""
        factor = make_factors(panel, self.plan, self.effects)
        levels = self.levels(panel, factor, int(origins.max()))
        seen = Known.of(panel, factor.past, origins)
        prior = np.exp(self.prior(panel, origins))
        ahead = factor.ahead(origins, horizon)
        level = np.where(seen.listed, np.exp(levels.log_level[:, origins]), prior)
        if self.launch is None:
            level = np.where(seen.periods > 0, level, NOTHING)
        point = level[..., None] * ahead * self.unit
        if self.smoothing is not None:
            own = self.smoothing.forecast(remove_effects(panel, factor), origins, horizon)
            share = np.minimum(seen.periods / OWN_PERIODS, 1.0)[..., None]
            point = (share * own + (1 - share) * level[..., None] * self.unit) * ahead
        typical = (seen.sales / self.unit + prior) / (seen.factors + 1.0)
        # A level that is still uncertain makes errors as wide as a large dispersion does.
        dispersion = (1 + levels.dispersion[:, origins]) * np.exp(np.minimum(levels.variance[:, origins], 3.0)) - 1
        cut = find_promotions(panel, self.plan)[:, origins[:, None] + np.arange(horizon)]
        return Expected(point, typical[..., None] * ahead * self.unit, dispersion, cut)

    def levels(self, panel: SalesPanel, factor: Factors, periods: int) -> Levels:
        """Return each item's level before each period 0 ... periods."""
        known = panel.informative[:, :periods]
        sales = np.where(known, panel.sales[:, :periods], 0.0) / self.unit
        past = factor.past[:, :periods]
        if self.launch is not None:
            log_level = self.prior(panel, np.array([periods]))[:, 0]
            variance = np.full(panel.items, self.launch.variance)
        else:
            # Without a cold start, an item's first sale is its prior.
            rows, first = np.arange(panel.items), known.argmax(axis=1)
            log_level = np.log(np.maximum(sales[rows, first] / past[rows, first], 0.1))
            variance = np.ones(panel.items)
        start = Start(log_level, variance, self.effects.usual_dispersion)
        return filter_levels(sales, known.astype(np.float64), past, start, self.drift)

    def prior(self, panel: SalesPanel, origins: IntArray) -> FloatArray:
        """Return the log level, in the model's units, of items as if they had no history, (items, origins)."""
        if self.launch is None:
            return np.full((panel.items, len(origins)), np.log(NOTHING))
        price = log_prices(panel)
        first = np.minimum(launches(panel)[:, None], origins)
        at_launch = np.take_along_axis(price, np.minimum(first, panel.periods - 1), axis=1)
        attributes, out = panel.attributes, np.empty(first.shape)
        columns, which = np.unique(at_launch, axis=1, return_inverse=True)
        for k, column in enumerate(columns.T):  # one for all origins, where items keep the price of their launch
            out[:, which == k] = self.launch.of(attributes, column)[:, None]
        return out

    def to_state(self) -> State:
        """Return configuration and arrays."""
        own: Config = {"plan": self.plan.to_config(), "unit": self.unit, "drift": self.drift}
        config, arrays = self.effects.to_state()
        own["effects"] = config
        if self.launch is not None:
            own["launch"], more = self.launch.to_state()
            arrays |= more
        if self.smoothing is not None:
            own["smoothing"], more = self.smoothing.to_state()
            arrays |= more
        return own, arrays

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Series:
        """Rebuild from `to_state()`."""
        return cls(
            plan=Plan.from_config(config["plan"]),
            effects=FittedEffects.from_state(config["effects"], arrays),
            launch=LaunchLevels.from_state(config["launch"], arrays) if "launch" in config else None,
            smoothing=Smoothing.from_state(config["smoothing"], arrays) if "smoothing" in config else None,
            unit=config["unit"],
            drift=config["drift"],
        )


class Known(NamedTuple):
    """What is on record before each origin, arrays of shape (items, origins).

    Attributes:
        sales: units sold in informative periods.
        factors: what effects multiplied demand by in these periods, summed.
        periods: how many they are.
        listed: whether the item was listed.
    """

    sales: FloatArray
    factors: FloatArray
    periods: FloatArray
    listed: BoolArray

    @classmethod
    def of(cls, panel: SalesPanel, factor: FloatArray, origins: IntArray) -> Known:
        """Sum up what came before each origin."""
        known = panel.informative
        sales, factors, periods = (
            cumulative_sums(np.where(known, values, 0.0))[:, origins] for values in (panel.sales, factor, 1.0)
        )
        return cls(sales, factors, periods, launches(panel)[:, None] < origins)


def remove_effects(panel: SalesPanel, factor: Factors) -> SalesPanel:
    """Return the panel with sales divided by what effects multiplied them by."""
    return replace(panel, sales=panel.sales / factor.past)


@dataclass(frozen=True)
class SeriesOptions:
    """Which parts a series is made of; see `Patchwork`."""

    base: str = "level"
    seasonal: bool = True
    elasticity: bool = True
    cold_start: bool = True

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise FractileError(f"base must be {' or '.join(map(repr, BASES))}, got {self.base!r}")


def fit_series(panel: SalesPanel, options: SeriesOptions, horizon: int, *, whole: bool | None = None) -> Series:
    """Estimate effects, the drift of levels, and where new items stand.

    How fast levels drift decides how much of an apparent season is drift, and effects decide what is left to
    drift: both are estimated twice.

    Args:
        panel: the history.
        options: which parts.
        horizon: periods ahead that the drift is to serve.
        whole: whether demand is counted; as the panel's sales are where None.
    """
    if panel.periods < season_of(panel.freq):
        # In less than a season, launch and season cannot be separated: every launch falls into another part of it.
        options = replace(options, cold_start=False)
    plan = make_plan(panel, seasonal=options.seasonal, elasticity=options.elasticity, cold_start=options.cold_start)
    whole = panel.integer_demand if whole is None else whole
    unit = 1.0 if whole else fit_unit(panel)
    record = make_record(panel, plan, unit)
    effects = fit_effects(record, panel, noise_of(plan, record, USUAL_DRIFT), None)
    first = _fit_levels(Series(plan, effects, None, None, unit, USUAL_DRIFT), panel, record, options, horizon)
    effects = fit_effects(record, panel, noise_of(plan, record, first.drift), effects)
    series = _fit_levels(replace(first, effects=effects), panel, record, options, horizon)
    logger.info("patchwork: categories by %s, drift %g", effects.attribute or "nothing", series.drift)
    if options.base == "level":
        return series
    bare = remove_effects(panel, make_factors(panel, plan, effects))
    return replace(series, smoothing=fit_smoothing(bare, 1))


def _fit_levels(series: Series, panel: SalesPanel, record: Record, options: SeriesOptions, horizon: int) -> Series:
    """Return the series with the levels of new items and the drift that go with its effects."""
    factor = make_factors(panel, series.plan, series.effects)
    launch = None
    if options.cold_start:
        # Each item's own level, drawn to that of all where little is on record, and its price meanwhile.
        sales = (record.known * record.sales).sum(1)
        weight = (record.known * factor.past).sum(1)
        middle = min(1.0, sales.sum() / max(weight.sum(), 1e-9))
        log_level = np.log((sales + 0.25 * max(middle, 1e-3)) / (weight + 0.25))
        seen = record.known > 0
        log_price = np.where(seen, log_prices(panel), 0.0).sum(1) / np.maximum(seen.sum(1), 1)
        launch = fit_launch_levels(log_level, seen.sum(1).astype(np.float64), panel.attributes, log_price)
    series = replace(series, launch=launch)
    return replace(series, drift=best_drift(series, panel, factor, horizon))


def fit_unit(panel: SalesPanel) -> float:
    """Return the variance of demand over its mean where means are small: the unit that it comes in.

    Least squares of `variance = unit · mean + dispersion · mean²` over groups of item-periods of like mean.
    """
    record = make_record(panel, Plan(), 1.0)
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
    """Return the Poisson deviance, which is least at the mean whatever demand is distributed like."""
    mean = np.maximum(mean, 1e-3)
    relative = np.where(actual > 0, actual, 1.0) / mean
    return float((actual * np.log(relative) - (actual - mean)).sum())


def make_record(panel: SalesPanel, plan: Plan, unit: float) -> Record:
    """Return the sales of a panel in units of the model, with what explains them."""
    known = panel.informative
    kernel = smoothing_kernel(panel.periods, max(YEARLY_WIDTH * season_of(panel.freq), LEAST_WIDTH))
    sales = np.where(known, panel.sales, 0.0) / unit
    return Record(sales, known.astype(np.float64), make_columns(panel, plan), kernel)
