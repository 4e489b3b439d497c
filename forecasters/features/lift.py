"""The lift of what is known ahead (calendar, prices, promotions): a log-linear model of demand above an item's level.

It has few coefficients, shared by the items of a category. What demand must have been where stock ran out is judged
under it, and networks read sales divided by it and forecast demand on top of it, so that they need not learn from a
few hundred items what all of them have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray
from ..base import cumulative_sums
from ..data.calendar import phase_of, season_of
from ..data.panel import SalesPanel
from .history import against_past
from .kinds import Covariate, classify_attributes, classify_covariates, codes_of, require_covariate, to_scale
from .season import year_waves

HARMONICS = 3
YEARLY_DAYS = 500
"""Days of history from which on a season of the year can be separated from a trend."""
LARGEST = 8.0
"""Standard deviations at which a covariate is cut off."""
COMMON_RIDGE = 4.0
"""Information that pulls each common coefficient to zero, as of as many unit observations."""
CATEGORY_RIDGE = 12.0
"""The same for what a category adds to it: a prior with a deviation near 0.3."""
MAX_CATEGORIES = 12
MAX_ITEMS = 1500
"""Items that the coefficients are fitted to, at most."""
DISPERSION = 3.0
"""Size of the negative binomial by which periods with large demand weigh less."""
FREE_SHARE = 0.5
"""Share of a coefficient that the ridge leaves free, in the criterion that chooses the attribute."""
ROUNDS = 8
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a lift that are tried on the last periods of a history."""
LEAST_SALES = 0.1
MAX_LOG_LIFT = 1.6
"""Largest log lift: a factor of five."""


@dataclass(frozen=True)
class Adjustment:
    """A fitted log-linear lift.

    Attributes:
        attribute: static attribute whose categories have coefficients of their own; empty where there is none.
        categories: its values.
        common: coefficient of each column. [β]
        own: what each category adds, a row each.
    """

    attribute: str = ""
    categories: tuple[str, ...] = ()
    common: tuple[float, ...] = ()
    own: tuple[tuple[float, ...], ...] = ()

    def lift(self, columns: FloatArray, panel: SalesPanel) -> FloatArray:
        """Return the log lift of each item and period, shape (items, periods).

        Args:
            columns: what is known ahead, shape (items, periods, columns).
            panel: whose items they are.
        """
        if not self.common:
            return np.zeros(columns.shape[:2])
        own = np.asarray(self.own).reshape(len(self.categories), len(self.common))
        return log_lift(columns, np.asarray(self.common) + membership(panel, self.attribute, self.categories) @ own)

    def scale(self, share: float) -> Adjustment:
        """Return the adjustment with a share of each coefficient."""
        common = tuple(share * value for value in self.common)
        return replace(self, common=common, own=tuple(tuple(share * value for value in row) for row in self.own))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from what `dataclasses.asdict` gave."""
        own = tuple(tuple(row) for row in config["own"])
        return cls(config["attribute"], tuple(config["categories"]), tuple(config["common"]), own)


NO_ADJUSTMENT = Adjustment()


@dataclass(frozen=True)
class Column:
    """One covariate or number and its scaling: logs of prices and counts stand against the item's past."""

    name: str
    kind: str
    mean: float
    scale: float


@dataclass(frozen=True)
class LiftPlan:
    """What lifts demand above an item's level, and by how much.

    Attributes:
        known: covariates known ahead.
        days: whether the day of the week matters.
        yearly: whether the history is long enough for a season of the year.
        adjustment: the fitted lift.
    """

    known: tuple[Column, ...]
    days: bool
    yearly: bool
    adjustment: Adjustment = NO_ADJUSTMENT

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `to_config()`."""
        known = tuple(Column(**column) for column in config["known"])
        return cls(known, config["days"], config["yearly"], Adjustment.from_config(config["adjustment"]))

    def columns(self, panel: SalesPanel) -> FloatArray:
        """Return what the lift depends on, shape (items, periods, columns): known covariates, then the calendar."""
        known = [scaled(require_covariate(panel, c.name, ahead=True), c) for c in self.known]
        calendar = self._calendar(panel.dates)
        columns = [*known, *(np.broadcast_to(wave, panel.sales.shape) for wave in calendar.T)]
        return np.stack(columns, axis=-1) if columns else np.zeros((*panel.sales.shape, 0))

    def lift(self, panel: SalesPanel) -> FloatArray:
        """Return the log lift of each item and period, shape (items, periods)."""
        return self.adjustment.lift(self.columns(panel), panel)

    def _calendar(self, dates: pd.DatetimeIndex) -> FloatArray:
        """Return harmonics of the year and, where days matter, of the week: shape (periods, columns).

        A history that is too short for a season gets no harmonics: they would be carried on into parts of the year
        that nobody has seen.
        """
        waves = [wave for pair in year_waves(dates, HARMONICS) for wave in pair] if self.yearly else []
        if self.days:
            waves += list(np.eye(7)[phase_of(dates, 7)].T)
        return np.stack(waves, axis=-1) if waves else np.zeros((len(dates), 0))


def plan_lift(panel: SalesPanel) -> LiftPlan:
    """Choose what may lift demand, and fit by how much it does."""
    season = season_of(panel.freq)
    plan = LiftPlan(
        known=tuple(scale_covariate(one, panel.known[one.name]) for one in classify_covariates(panel, ahead=True)),
        days=season == 7,
        yearly=(panel.dates[-1] - panel.dates[0]).days >= YEARLY_DAYS,
    )
    columns = plan.columns(panel)
    if not columns.shape[-1]:
        return plan
    attributes = classify_attributes(panel.attributes).items()
    categories = {name: labels for name, (kind, labels) in attributes if kind != "number"}
    days = max(1.0, (panel.dates[-1] - panel.dates[0]).days / max(1, panel.periods - 1))
    window = round(365 / days) if plan.yearly else 2 * max(7, min(season, 13))
    return replace(plan, adjustment=fit_adjustment(columns, panel, categories, window + 1))


def fit_adjustment(
    columns: FloatArray, panel: SalesPanel, categories: Mapping[str, tuple[str, ...]], window: int
) -> Adjustment:
    """Fit the lift to a training panel, choose its attribute, and shrink it by what it is worth out of sample.

    Args:
        columns: what is known ahead, shape (items, periods, columns).
        panel: the history.
        categories: values of the static attributes that are text.
        window: periods that an item's level is averaged over; a full season where there is one.
    """
    candidates = ["", *(name for name, values in categories.items() if len(values) <= MAX_CATEGORIES)]
    fits = [
        fit_coefficients(columns, panel, attribute=name, categories=categories.get(name, ()), window=window)
        for name in candidates
    ]
    best = min(fits, key=lambda fit: fit[0])[1]
    # The last periods decide how much of a lift that was fitted before them is kept.
    first = panel.periods - max(2, min(window // 2, panel.periods // 4))
    _, early = fit_coefficients(
        columns[:, :first], panel.until(first), attribute=best.attribute, categories=best.categories, window=window
    )
    return best.scale(best_share(early.lift(columns, panel), panel, first))


def fit_coefficients(
    columns: FloatArray, panel: SalesPanel, *, attribute: str, categories: tuple[str, ...], window: int
) -> tuple[float, Adjustment]:
    """Return the criterion that chooses an attribute (a penalised deviance, the less the better) and the fit.

    Ridge regression by Newton steps of the penalised quasi-likelihood: log demand is an item's level in a window
    around each period plus the columns under slopes β of all items and of the item's category.

    Args:
        columns: what is known ahead, shape (items, periods, columns).
        panel: the history.
        attribute: static attribute whose categories have coefficients of their own; empty for none.
        categories: its values.
        window: periods that an item's level is averaged over.
    """
    chosen = np.unique(np.linspace(0, panel.items - 1, min(panel.items, MAX_ITEMS)).astype(int))
    columns, panel = columns[chosen], panel.select(chosen)
    known = panel.informative.astype(np.float64)
    sales = np.where(panel.informative, panel.sales, 0.0)
    design = np.concatenate([np.ones((panel.items, 1)), membership(panel, attribute, categories)], axis=1)
    groups, number = design.shape[1], columns.shape[-1]
    ridge = np.repeat([COMMON_RIDGE, *[CATEGORY_RIDGE] * (groups - 1)], number)
    sums = centred_sums(sales, window)

    def mean_demand(slopes: FloatArray) -> FloatArray:
        """Return the level under the lift of slopes (groups, columns), units, shape (items, periods)."""
        raised = np.exp(log_lift(columns, slopes[0] + design[:, 1:] @ slopes[1:]))
        return sums / np.maximum(centred_sums(known * raised, window), 1e-9) * raised

    slopes = np.zeros((groups, number))
    for _ in range(ROUNDS):
        mean = mean_demand(slopes)
        weight = known / (1.0 + mean / DISPERSION)  # periods with large demand weigh less
        slope = np.einsum("it,itc->ic", weight * (sales - mean), columns)
        bend = np.einsum("it,itc,itd->icd", weight * mean, columns, columns, optimize=True)
        gradient = (design.T @ slope).ravel()
        hessian = np.einsum("ik,il,icd->kcld", design, design, bend, optimize=True).reshape(slopes.size, slopes.size)
        change = np.linalg.solve(hessian + np.diag(ridge), gradient - ridge * slopes.ravel())
        slopes = slopes + np.clip(change, -1.0, 1.0).reshape(slopes.shape)
    criterion = misfit(sales, mean_demand(slopes), panel.informative) + FREE_SHARE * slopes.size
    own = tuple(tuple(row) for row in slopes[1:])
    return criterion, Adjustment(attribute, categories, tuple(slopes[0]), own)


def best_share(lift: FloatArray, panel: SalesPanel, first: int) -> float:
    """Return the share of a log lift, fitted before period `first`, that forecasts the periods from there on best.

    The forecast is an item's mean sales over lift in as many periods before, under the lift of each period.
    """
    known = panel.informative
    before = slice(max(0, 2 * first - panel.periods), first)
    sales = np.where(known, panel.sales, 0.0)

    def loss(share: float) -> float:
        raised = np.where(known, np.exp(share * lift), 0.0)
        level = (sales[:, before].sum(1) + LEAST_SALES) / (raised[:, before].sum(1) + LEAST_SALES)
        return misfit(sales[:, first:], level[:, None] * np.exp(share * lift[:, first:]), known[:, first:])

    return min(SHARES, key=loss)


def log_lift(columns: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return the log lift of columns (items, periods, columns) under the slopes of each item (items, columns)."""
    return np.asarray(np.clip(np.einsum("itc,ic->it", columns, slopes), -MAX_LOG_LIFT, MAX_LOG_LIFT))


def membership(panel: SalesPanel, attribute: str, categories: tuple[str, ...]) -> FloatArray:
    """Return 1 where an item belongs to a category, shape (items, categories)."""
    if not categories:
        return np.zeros((panel.items, 0))
    return (codes_of(panel.attributes, attribute, categories)[:, None] == np.arange(len(categories))).astype(np.float64)


def misfit(sales: FloatArray, mean: FloatArray, known: BoolArray) -> float:
    """Return minus the log likelihood of known sales under negative binomials, up to a constant.

    Args:
        sales: units, shape (items, periods).
        mean: of the distributions, the same shape.
        known: what counts.
    """
    mean = np.maximum(mean, 1e-9)
    likelihood = sales * np.log(mean) - (sales + DISPERSION) * np.log(mean + DISPERSION)
    return float(-likelihood[known].sum())


def centred_sums(values: FloatArray, window: int) -> FloatArray:
    """Return sums over a window centred on each period, cut at the ends: the shape of `values`."""
    total = cumulative_sums(values)
    at = np.arange(values.shape[1])
    half = window // 2
    return np.asarray(total[:, np.minimum(at + half + 1, values.shape[1])] - total[:, np.maximum(at - half, 0)])


def scale_covariate(one: Covariate, values: FloatArray) -> Column:
    """Return a covariate with its scaling: mean and spread, of logs against the item's past where it is a price."""
    if one.kind == "counts":
        return Column(one.name, one.kind, 0.0, 1.0)
    if one.kind == "price":
        relative = against_past(to_scale(values, one.kind))
        return Column(one.name, one.kind, 0.0, _spread(relative[np.isfinite(relative)]))
    return plain_column(one.name, one.kind, values)


def plain_column(name: str, kind: str, values: FloatArray) -> Column:
    """Return a column with mean and spread of its values."""
    finite = values[np.isfinite(values)]
    return Column(name, kind, float(finite.mean()), _spread(finite))


def _spread(values: FloatArray) -> float:
    spread = float(values.std())
    return spread if spread > 1e-9 else 1.0


def scaled(values: FloatArray, column: Column) -> FloatArray:
    """Return a column's values on its scale, 0 where they are missing."""
    if column.kind in ("price", "counts"):
        values = against_past(to_scale(values, column.kind))
    return np.clip(np.nan_to_num((values - column.mean) / column.scale), -LARGEST, LARGEST)
