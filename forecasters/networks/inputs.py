"""From a sales panel to the numbers a network reads, with nothing in them that an origin must not know.

Three tables: what is known once a period is over (`past`), what is known of a period ahead (`ahead`), and
what never changes (`static`). An origin t reads `past` of periods < t and `ahead` of periods < t + horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from ...arrays import Float32Array, FloatArray, IntArray
from ..data.calendar import season_of
from ..data.panel import SalesPanel
from ..features.history import SalesSums, mean_of, running_means, sum_between
from ..features.kinds import (
    classify_attributes,
    classify_covariates,
    codes_of,
    frequent_labels,
    numbers_of,
    require_attributes,
    require_covariate,
)
from ..features.lift import NO_ADJUSTMENT, Column, LiftPlan, plain_column, plan_lift, scale_covariate, scaled
from ..features.season import week_of_year

MOST_LABELS = 60
"""Values of a category, the most frequent ones, that a network has a column for; the others share none."""
UNITS = (1.0, 0.5, 0.1, 0.01)
LEVEL_RATE = 0.12
"""Weight of the newest period in an item's running level, once there are enough of them."""
LOG_OVER_LEVEL, LEVEL, KNOWN, SEEN = 0, 1, 6, 8
"""Channels of `Inputs.past`, as `sales_columns` orders them: log sales above the level, the level, whether they are
known, and for how long the item has been seen."""
SEEN_MOST, SEEN_SCALE = 104.0, 4.0


@dataclass(frozen=True)
class InputPlan:
    """Which numbers a network reads, chosen from the training panel and kept with the weights.

    Attributes:
        lift: what is known ahead, and by how much it lifts demand above the level.
        observed: covariates known once their period is over.
        categories: values of each attribute that is a category or a code, by name.
        numeric: attributes that are numbers.
        season: periods in a season. [m]
        shift: periods that a seasonal lag goes back: the least multiple of a season beyond the horizon.
        level: log level of an item without history.
        unit: step that sales move in: 1 where they are whole.
    """

    lift: LiftPlan
    observed: tuple[Column, ...]
    categories: Mapping[str, tuple[str, ...]]
    numeric: tuple[Column, ...]
    season: int
    shift: int
    level: float
    unit: float

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `to_config()`."""
        columns: dict[str, Any] = {k: tuple(Column(**c) for c in config[k]) for k in ("observed", "numeric")}
        categories = {name: tuple(values) for name, values in config["categories"].items()}
        rest = {k: config[k] for k in ("season", "shift", "level", "unit")}
        return cls(lift=LiftPlan.from_config(config["lift"]), **columns, categories=categories, **rest)


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
    lift = plan_lift(panel)
    season = season_of(panel.freq)
    attributes = classify_attributes(panel.attributes)
    mean = panel.sales[panel.informative].mean()
    return InputPlan(
        lift=lift if adjust else replace(lift, adjustment=NO_ADJUSTMENT),
        observed=tuple(
            scale_covariate(one, panel.observed[one.name]) for one in classify_covariates(panel, ahead=False)
        ),
        categories={
            name: frequent_labels(panel.attributes, name, labels, MOST_LABELS)
            for name, (kind, labels) in attributes.items()
            if kind != "number"
        },
        numeric=tuple(
            plain_column(name, "number", numbers_of(panel.attributes, name))
            for name, (kind, _) in attributes.items()
            if kind == "number"
        ),
        season=season,
        shift=season * ((horizon + 1) // season + 1),
        level=float(np.log1p(mean)),
        unit=unit_of(panel.sales[panel.informative]),
    )


def build_inputs(panel: SalesPanel, plan: InputPlan) -> Inputs:
    """Return the tables of a panel.

    Raises:
        FractileError: where the panel lacks a covariate or an attribute that the network was trained with.
    """
    observed = [scaled(require_covariate(panel, c.name, ahead=False), c) for c in plan.observed]
    columns = plan.lift.columns(panel)
    lift = plan.lift.adjustment.lift(columns, panel)
    panel = replace(panel, sales=panel.sales * np.exp(-lift))
    sums = SalesSums.of(panel)
    level = running_level(sums, plan.level)
    known, calendar = np.split(columns, [len(plan.lift.known)], axis=-1)
    lags = np.stack([lift, *seasonal_lag(sums, plan.shift)], axis=-1)
    ahead = np.concatenate([known, lags, calendar], axis=-1)
    own = np.stack([*sales_columns(panel, sums, level), *observed], axis=-1)
    return Inputs(
        past=np.concatenate([own, ahead], axis=-1).astype(np.float32),
        ahead=ahead.astype(np.float32),
        week=week_of_year(panel.dates) * plan.lift.yearly,
        static=static_table(panel, plan).astype(np.float32),
        level=level.astype(np.float32),
        lift=lift.astype(np.float32),
    )


def static_table(panel: SalesPanel, plan: InputPlan) -> FloatArray:
    """Return attributes as numbers, shape (items, attributes); a category new to the plan is all zeros."""
    static = require_attributes(panel, (*plan.categories, *(column.name for column in plan.numeric)))
    columns: list[FloatArray] = [np.ones((panel.items, 1))]
    for name, labels in plan.categories.items():
        columns.append((codes_of(static, name, labels)[:, None] == np.arange(len(labels))).astype(np.float64))
    columns += [scaled(numbers_of(static, column.name)[:, None], column) for column in plan.numeric]
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
