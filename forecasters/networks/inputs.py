"""From a sales panel to the numbers a network reads, with nothing in them that an origin must not know.

Three tables: what is known once a period is over (`past`), what is known of a period ahead (`ahead`), and
what never changes (`static`). An origin t reads `past` of periods < t and `ahead` of periods < t + horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from ...arrays import Float32Array, FloatArray, IntArray
from ..data.calendar import phase_of, season_of
from ..data.panel import SalesPanel
from ..features.history import SalesSums, against_past, mean_of, running_means, sum_between
from ..features.kinds import (
    Covariate,
    classify_attributes,
    classify_covariates,
    codes_of,
    frequent_labels,
    numbers_of,
    require_attributes,
    require_covariate,
    to_scale,
)
from ..features.season import week_of_year, year_waves
from .adjustment import Adjustment, fit_adjustment

MOST_LABELS = 60
"""Values of a category, the most frequent ones, that a network has a column for; the others share none."""
HARMONICS = 3
NO_ADJUSTMENT = Adjustment()
YEARLY_DAYS = 500
"""Days of history from which on a season of the year can be separated from a trend."""
UNITS = (1.0, 0.5, 0.1, 0.01)
LARGEST = 8.0
"""Standard deviations at which a covariate is cut off."""
LEVEL_RATE = 0.12
"""Weight of the newest period in an item's running level, once there are enough of them."""
LOG_OVER_LEVEL, LEVEL, KNOWN, SEEN = 0, 1, 6, 8
"""Channels of `Inputs.past`, as `sales_columns` orders them: log sales above the level, the level, whether they are
known, and for how long the item has been seen."""
SEEN_MOST, SEEN_SCALE = 104.0, 4.0


@dataclass(frozen=True)
class Column:
    """One covariate or number and its scaling: logs of prices and counts stand against the item's past."""

    name: str
    kind: str
    mean: float
    scale: float


@dataclass(frozen=True)
class InputPlan:
    """Which numbers a network reads, chosen from the training panel and kept with the weights.

    Attributes:
        known: covariates known ahead.
        observed: covariates known once their period is over.
        categories: values of each attribute that is a category or a code, by name.
        numeric: attributes that are numbers.
        season: periods in a season. [m]
        shift: periods that a seasonal lag goes back: the least multiple of a season beyond the horizon.
        days: whether the day of the week matters.
        level: log level of an item without history.
        unit: step that sales move in: 1 where they are whole.
        yearly: whether the history is long enough for a season of the year.
        adjustment: by how much what is known ahead lifts demand above the level.
    """

    known: tuple[Column, ...]
    observed: tuple[Column, ...]
    categories: Mapping[str, tuple[str, ...]]
    numeric: tuple[Column, ...]
    season: int
    shift: int
    days: bool
    level: float
    unit: float
    yearly: bool = False
    adjustment: Adjustment = NO_ADJUSTMENT

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `to_config()`."""
        columns: dict[str, Any] = {k: tuple(Column(**c) for c in config[k]) for k in ("known", "observed", "numeric")}
        categories = {name: tuple(values) for name, values in config["categories"].items()}
        rest = {k: config[k] for k in ("season", "shift", "days", "level", "unit", "yearly")}
        adjustment = Adjustment.from_config(config["adjustment"])
        return cls(**columns, categories=categories, **rest, adjustment=adjustment)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network reads of a panel.

    Attributes:
        past: shape (items, periods, channels); row t is known once period t is over.
        ahead: shape (items, periods, channels); row t is known `horizon` periods before.
        week: week of the year of each period, 0 ... 52, (periods,); 0 where the history is too short for a season.
        static: shape (items, attributes).
        level: log1p of the running level before each period, of sales over lift, shape (items, periods + 1).
        lift: log of what is known ahead to lift each period's demand, shape (items, periods).
    """

    past: Float32Array
    ahead: Float32Array
    week: IntArray
    static: Float32Array
    level: Float32Array
    lift: Float32Array


def plan_inputs(panel: SalesPanel, horizon: int, *, adjust: bool = True) -> InputPlan:
    """Choose the covariates, their scales and the categories, and fit the lift where `adjust`."""
    season = season_of(panel.freq)
    attributes = classify_attributes(panel.attributes)
    mean = panel.sales[panel.informative].mean()
    plan = InputPlan(
        known=tuple(_scale_covariate(one, panel.known[one.name]) for one in classify_covariates(panel, ahead=True)),
        observed=tuple(
            _scale_covariate(one, panel.observed[one.name]) for one in classify_covariates(panel, ahead=False)
        ),
        categories={
            name: frequent_labels(panel.attributes, name, labels, MOST_LABELS)
            for name, (kind, labels) in attributes.items()
            if kind != "number"
        },
        numeric=tuple(
            _plain_column(name, "number", numbers_of(panel.attributes, name))
            for name, (kind, _) in attributes.items()
            if kind == "number"
        ),
        season=season,
        shift=season * ((horizon + 1) // season + 1),
        days=season == 7,
        level=float(np.log1p(mean)),
        unit=unit_of(panel.sales[panel.informative]),
        yearly=(panel.dates[-1] - panel.dates[0]).days >= YEARLY_DAYS,
    )
    return replace(plan, adjustment=_adjustment(panel, plan)) if adjust else plan


def _adjustment(panel: SalesPanel, plan: InputPlan) -> Adjustment:
    columns = lift_columns(panel, plan)
    if not columns.shape[-1]:
        return NO_ADJUSTMENT
    days = max(1.0, (panel.dates[-1] - panel.dates[0]).days / max(1, panel.periods - 1))
    window = round(365 / days) if plan.yearly else 2 * max(7, min(plan.season, 13))
    return fit_adjustment(columns, panel, plan.categories, window + 1)


def build_inputs(panel: SalesPanel, plan: InputPlan) -> Inputs:
    """Return the tables of a panel.

    Raises:
        FractileError: where the panel lacks a covariate or an attribute that the network was trained with.
    """
    observed = [_scaled(require_covariate(panel, c.name, ahead=False), c) for c in plan.observed]
    columns = lift_columns(panel, plan)
    lift = plan.adjustment.lift(columns, panel)
    panel = replace(panel, sales=panel.sales * np.exp(-lift))
    sums = SalesSums.of(panel)
    level = running_level(sums, plan.level)
    known, calendar = np.split(columns, [len(plan.known)], axis=-1)
    lags = np.stack([lift, *seasonal_lag(sums, plan.shift)], axis=-1)
    ahead = np.concatenate([known, lags, calendar], axis=-1)
    own = np.stack([*sales_columns(panel, sums, level), *observed], axis=-1)
    return Inputs(
        past=np.concatenate([own, ahead], axis=-1).astype(np.float32),
        ahead=ahead.astype(np.float32),
        week=week_of_year(panel.dates) * plan.yearly,
        static=static_table(panel, plan).astype(np.float32),
        level=level.astype(np.float32),
        lift=lift.astype(np.float32),
    )


def lift_columns(panel: SalesPanel, plan: InputPlan) -> FloatArray:
    """Return what the lift depends on, shape (items, periods, columns): known covariates and the calendar."""
    known = [_scaled(require_covariate(panel, c.name, ahead=True), c) for c in plan.known]
    calendar = calendar_columns(panel.dates, plan)
    columns = [*known, *(np.broadcast_to(wave, panel.sales.shape) for wave in calendar.T)]
    return np.stack(columns, axis=-1) if columns else np.zeros((*panel.sales.shape, 0))


def calendar_columns(dates: pd.DatetimeIndex, plan: InputPlan) -> FloatArray:
    """Return harmonics of the year and, where days matter, of the week: shape (periods, columns).

    A history that is too short for a season gets no harmonics: a network would carry them on into parts of the
    year that it has never seen.
    """
    waves = [wave for pair in year_waves(dates, HARMONICS) for wave in pair] if plan.yearly else []
    if plan.days:
        waves += list(np.eye(7)[phase_of(dates, 7)].T)
    return np.stack(waves, axis=-1) if waves else np.zeros((len(dates), 0))


def static_table(panel: SalesPanel, plan: InputPlan) -> FloatArray:
    """Return attributes as numbers, shape (items, attributes); a category new to the plan is all zeros."""
    static = require_attributes(panel, (*plan.categories, *(column.name for column in plan.numeric)))
    columns: list[FloatArray] = [np.ones((panel.items, 1))]
    for name, labels in plan.categories.items():
        columns.append((codes_of(static, name, labels)[:, None] == np.arange(len(labels))).astype(np.float64))
    columns += [_scaled(numbers_of(static, column.name)[:, None], column) for column in plan.numeric]
    return np.concatenate(columns, axis=1)


def sales_columns(panel: SalesPanel, sums: SalesSums, level: FloatArray) -> list[FloatArray]:
    """Return channels of past sales, known once a period is over: (items, periods) each; unknown ones are the level."""
    known, after = panel.informative, level[:, 1:]
    end = np.arange(1, panel.periods + 1)

    def log_mean(width: int) -> FloatArray:
        return np.log1p(np.nan_to_num(sums.mean(end - width, end)))

    square = mean_of(sum_between(sums.square, end - 26, end), sum_between(sums.count, end - 26, end))
    return [
        np.where(known, np.log1p(panel.sales), level[:, :-1]) - after,
        after,
        log_mean(4) - after,
        log_mean(52) - after,
        log_mean(panel.periods) - after,
        np.where(known, panel.sales == 0, 0.0),
        known.astype(np.float64),
        panel.listed.astype(np.float64),
        np.log1p(np.minimum(sums.count[:, 1:], SEEN_MOST)) / SEEN_SCALE,
        np.log1p(np.sqrt(np.nan_to_num(square))) - after,
    ]


def running_level(sums: SalesSums, start: float) -> FloatArray:
    """Return log1p of the weighted mean sales before each period, `start` where none: (items, periods + 1)."""
    level = np.log1p(running_means(sums.known, sums.sales[None], LEVEL_RATE)[0])
    return np.where(np.isnan(level), start, level)


def seasonal_lag(sums: SalesSums, shift: int) -> list[FloatArray]:
    """Return how sales `shift` periods ago stood against the year before them, and whether it is known."""
    end = np.arange(1, sums.sales.shape[1] + 1)
    # The three periods around each one; the later one is known, since `shift` lies beyond the horizon.
    around = sums.mean(end - 2, end + 1)
    trailing = np.log1p(np.nan_to_num(sums.mean(end - 52, end)))
    known = np.isfinite(around) & (sums.count[:, 1:] >= 8)
    stand = np.where(known, np.log1p(np.nan_to_num(around)) - trailing, 0.0)
    moved = np.zeros((2, *stand.shape))
    moved[..., shift:] = np.stack([stand, known])[..., : max(stand.shape[1] - shift, 0)]
    return list(moved)


def unit_of(sales: FloatArray) -> float:
    """Return the step that sales move in: the largest of 1, 0.5, 0.1, 0.01 that divides them, else a hundredth.

    >>> unit_of(np.array([0.0, 0.3, 1.2]))
    0.1
    """
    for unit in UNITS:
        if np.allclose(sales / unit, np.round(sales / unit), atol=1e-6):
            return unit
    return UNITS[-1]


def _scale_covariate(one: Covariate, values: FloatArray) -> Column:
    if one.kind == "counts":
        return Column(one.name, one.kind, 0.0, 1.0)
    if one.kind == "price":
        relative = against_past(to_scale(values, one.kind))
        return Column(one.name, one.kind, 0.0, _spread(relative[np.isfinite(relative)]))
    return _plain_column(one.name, one.kind, values)


def _plain_column(name: str, kind: str, values: FloatArray) -> Column:
    finite = values[np.isfinite(values)]
    return Column(name, kind, float(finite.mean()), _spread(finite))


def _spread(values: FloatArray) -> float:
    spread = float(values.std())
    return spread if spread > 1e-9 else 1.0


def _scaled(values: FloatArray, column: Column) -> FloatArray:
    if column.kind in ("price", "counts"):
        values = against_past(to_scale(values, column.kind))
    return np.clip(np.nan_to_num((values - column.mean) / column.scale), -LARGEST, LARGEST)
