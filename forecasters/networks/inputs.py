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
from numpy.typing import NDArray

from ...arrays import Float32Array, FloatArray
from ...errors import FractileError
from ..base import season_of
from ..data.calendar import year_angle
from ..data.panel import SalesPanel
from .adjustment import Adjustment, fit_adjustment
from .history import running_level, sales_columns, seasonal_lag

MOST_CATEGORIES = 60
HARMONICS = 3
NOTHING = Adjustment()
YEARLY_DAYS = 500
"""Days of history that it takes to tell a season of the year from a trend."""
UNITS = (1.0, 0.5, 0.1, 0.01)


@dataclass(frozen=True)
class Column:
    """One covariate and its scaling: "price" and "counts" are logs against the item's past."""

    name: str
    kind: str
    mean: float
    scale: float


@dataclass(frozen=True)
class InputPlan:
    """Which numbers a network reads; learnt once from the training panel and kept with the weights.

    Attributes:
        known: covariates known ahead.
        observed: covariates known once their period is over.
        categories: values of each static attribute that is text or a small whole number, by name.
        numeric: static attributes that are measured.
        season: periods in a season. [m]
        shift: periods that a seasonal lag goes back: the least multiple of a season beyond the horizon.
        days: whether the day of the week matters.
        level: log level of an item without history.
        unit: step that sales move in: 1 where they are whole.
        yearly: whether the history is long enough to tell a season of the year.
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
    adjustment: Adjustment = NOTHING

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
        week: week of the year of each period, 0 ... 52, shape (periods,); 0 where no season can be told.
        static: shape (items, attributes).
        level: log1p of the running level before each period, of sales over lift, shape (items, periods + 1).
        lift: log of what is known ahead to lift each period's demand, shape (items, periods).
    """

    past: Float32Array
    ahead: Float32Array
    week: NDArray[np.int64]
    static: Float32Array
    level: Float32Array
    lift: Float32Array


def plan_inputs(panel: SalesPanel, horizon: int, *, adjust: bool = True) -> InputPlan:
    """Learn names, scales, categories and, where `adjust`, the lift from the training panel."""
    season = season_of(panel.freq)
    categories, numeric = _static_columns(panel.attributes)
    mean = panel.sales[panel.informative].mean()
    plan = InputPlan(
        known=tuple(_column(name, panel.known[name]) for name in sorted(panel.known)),
        observed=tuple(_observed_column(name, panel.observed[name]) for name in sorted(panel.observed)),
        categories=categories,
        numeric=numeric,
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
        return Adjustment()
    days = max(1.0, (panel.dates[-1] - panel.dates[0]).days / max(1, panel.periods - 1))
    window = round(365 / days) if plan.yearly else 2 * max(7, min(plan.season, 13))
    return fit_adjustment(columns, panel, plan.categories, window + 1)


def unit_of(sales: FloatArray) -> float:
    """Return the step that sales move in: the largest of 1, 0.5, 0.1, 0.01 that divides them, else a hundredth.

    >>> unit_of(np.array([0.0, 0.3, 1.2]))
    0.1
    """
    for unit in UNITS:
        if np.allclose(sales / unit, np.round(sales / unit), atol=1e-6):
            return unit
    return UNITS[-1]


def build_inputs(panel: SalesPanel, plan: InputPlan) -> Inputs:
    """Return the tables of a panel.

    Raises:
        FractileError: where the panel lacks a covariate that the network was trained with.
    """
    observed = [_scaled(_get(panel.observed, c.name, "observed"), c) for c in plan.observed]
    columns = lift_columns(panel, plan)
    lift = plan.adjustment.lift(columns, panel)
    panel = replace(panel, sales=panel.sales * np.exp(-lift))
    level = running_level(panel, plan.level)
    known, calendar = np.split(columns, [len(plan.known)], axis=-1)
    lags = np.stack([lift, *seasonal_lag(panel, plan.shift)], axis=-1)
    ahead = np.concatenate([known, lags, calendar], axis=-1)
    own = np.stack([*sales_columns(panel, level), *observed], axis=-1)
    return Inputs(
        past=np.concatenate([own, ahead], axis=-1).astype(np.float32),
        ahead=ahead.astype(np.float32),
        week=_week(panel.dates) * plan.yearly,
        static=static_table(panel, plan).astype(np.float32),
        level=level.astype(np.float32),
        lift=lift.astype(np.float32),
    )


def lift_columns(panel: SalesPanel, plan: InputPlan) -> FloatArray:
    """Return what the lift depends on, shape (items, periods, columns): known covariates and the calendar."""
    known = [_scaled(_get(panel.known, c.name, "known"), c) for c in plan.known]
    calendar = calendar_columns(panel.dates, plan)
    columns = [*known, *(np.broadcast_to(wave, panel.sales.shape) for wave in calendar.T)]
    return np.stack(columns, axis=-1) if columns else np.zeros((*panel.sales.shape, 0))


def calendar_columns(dates: pd.DatetimeIndex, plan: InputPlan) -> FloatArray:
    """Return harmonics of the year and, where days matter, of the week: shape (periods, columns).

    A history that is too short to tell a season gets no harmonics: a network would carry them on into parts of the
    year that it has never seen.
    """
    angle = year_angle(dates)
    waves = [wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)] if plan.yearly else []
    if plan.days:
        waves += list(np.eye(7)[dates.dayofweek.to_numpy()].T)
    return np.stack(waves, axis=-1) if waves else np.zeros((len(dates), 0))


def static_table(panel: SalesPanel, plan: InputPlan) -> FloatArray:
    """Return attributes as numbers, shape (items, attributes); a category new to the plan is all zeros."""
    columns: list[FloatArray] = [np.ones((panel.items, 1))]
    for name, values in plan.categories.items():
        text = _attribute(panel, name).astype(str).to_numpy()
        columns.append((text[:, None] == np.asarray(values)[None]).astype(np.float64))
    for column in plan.numeric:
        measured = pd.to_numeric(_attribute(panel, column.name), errors="coerce").to_numpy(dtype=np.float64)
        columns.append(_scaled(measured[:, None], column))
    return np.concatenate(columns, axis=1)


def _static_columns(static: pd.DataFrame) -> tuple[dict[str, tuple[str, ...]], tuple[Column, ...]]:
    categories: dict[str, tuple[str, ...]] = {}
    numeric: list[Column] = []
    for name in static.columns:
        values = static[name]
        distinct = sorted(values.dropna().astype(str).unique())
        measured = pd.api.types.is_float_dtype(values) or len(distinct) > MOST_CATEGORIES
        if not measured and len(distinct) > 1:
            categories[str(name)] = tuple(distinct)
        elif pd.api.types.is_float_dtype(values) and len(distinct) > 1:
            numeric.append(_plain_column(str(name), values.to_numpy(dtype=np.float64)))
    return categories, tuple(numeric)


def _column(name: str, values: FloatArray) -> Column:
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and len(np.unique(finite)) > 12:
        relative = _against_own_past(values)
        return Column(name, "price", 0.0, _spread(relative[np.isfinite(relative)]))
    return _plain_column(name, values)


def _observed_column(name: str, values: FloatArray) -> Column:
    finite = values[np.isfinite(values)]
    kind = "counts" if len(finite) and finite.min() >= 0 and finite.max() > 5 else "plain"
    return _column(name, values) if kind == "plain" else Column(name, kind, 0.0, 1.0)


def _plain_column(name: str, values: FloatArray) -> Column:
    finite = values[np.isfinite(values)]
    return Column(name, "plain", float(finite.mean()) if len(finite) else 0.0, _spread(finite))


def _spread(values: FloatArray) -> float:
    spread = float(values.std()) if len(values) else 0.0
    return spread if spread > 1e-9 else 1.0


def _scaled(values: FloatArray, column: Column) -> FloatArray:
    if column.kind in ("price", "counts"):
        values = _against_own_past(values if column.kind == "price" else values + 1.0)
    return np.clip(np.nan_to_num((values - column.mean) / column.scale), -8.0, 8.0)


def _against_own_past(values: FloatArray) -> FloatArray:
    """Log of each value against the mean log of the item's values up to and with it."""
    log = np.log(np.maximum(values, 1e-6))
    known = np.isfinite(log)
    total = np.cumsum(np.where(known, log, 0.0), axis=1)
    return np.asarray(log - total / np.maximum(np.cumsum(known, axis=1), 1))


def _week(dates: pd.DatetimeIndex) -> NDArray[np.int64]:
    return np.asarray(np.minimum((dates.dayofyear.to_numpy() - 1) // 7, 52), dtype=np.int64)


def _get(table: Mapping[str, FloatArray], name: str, what: str) -> FloatArray:
    if name not in table:
        raise FractileError(f"the panel lacks the {what} covariate {name!r} that the network was fitted with")
    return table[name]


def _attribute(panel: SalesPanel, name: str) -> pd.Series[Any]:
    if name not in panel.attributes.columns:
        raise FractileError(f"the panel lacks the static attribute {name!r} that the network was fitted with")
    return panel.attributes[name]
