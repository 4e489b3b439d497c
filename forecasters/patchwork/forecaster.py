"""The patchwork: point forecasts of a series model with add-ons, and the Distribution Engine around them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import (
    Arrays,
    Config,
    Request,
    State,
    calibration_origins,
    check_horizon,
    targets_of,
)
from ..calibration.point_errors import CALIBRATION, ErrorDistribution, fit_error_distribution
from ..calibration.sampling import ErrorDependence, fit_errors
from ..censoring import History, check_censoring
from ..forecast import DEFAULT_LEVELS, QuantileForecast
from ..forecaster import BaseForecaster
from .series import Expected, Series, SeriesOptions, fit_series

CLASSES = 3
"""Classes of items by how much their demand varies."""
ERRORS_PER_CLASS = 300
"""Errors at each horizon that a class needs."""


@dataclass(frozen=True, eq=False)
class DistributionEngine:
    """Past errors by class: items of like dispersion, and promoted item-periods where there are enough.

    Within a class errors are scaled and banded by size, and taken by horizon; see `ErrorDistribution`.

    Attributes:
        edges: dispersions at which the next class begins, shape (classes − 1,).
        classes: one a class of dispersion, and one of promoted item-periods after them where there is one.
    """

    edges: FloatArray
    classes: tuple[ErrorDistribution, ...]

    def quantiles(self, expected: Expected, levels: FloatArray) -> FloatArray:
        """Return quantiles of demand, units, shape (items, origins, horizon, levels)."""
        member = _classes(expected, self.edges, promotions=len(self.classes) > len(self.edges) + 1)
        values = np.empty((*expected.point.shape, len(levels)))
        step = np.broadcast_to(np.arange(member.shape[-1]), member.shape)
        for number, errors in enumerate(self.classes):
            chosen = member == number
            if chosen.any():
                point, typical = expected.point[chosen], expected.typical[chosen]
                values[chosen] = errors.quantiles_of_cells(point, typical, step[chosen], levels)
        return values

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        named = {f"class{n}_{name}": a for n, one in enumerate(self.classes) for name, a in one.arrays().items()}
        return {"engine_edges": self.edges, **named}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> DistributionEngine:
        """Rebuild from `arrays()`."""
        classes: list[ErrorDistribution] = []
        while f"class{len(classes)}_error_table" in arrays:
            prefix = f"class{len(classes)}_"
            own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            classes.append(ErrorDistribution.from_arrays(own))
        return cls(arrays["engine_edges"], tuple(classes))


def fit_engine(expected: Expected, actual: FloatArray) -> DistributionEngine:
    """Fit the classes and their errors to forecasts beyond the history that they were made from.

    Args:
        expected: the forecasts.
        actual: demand, units, shape (items, origins, horizon), NaN where unknown.
    """
    known = ~np.isnan(actual)
    horizon = actual.shape[-1]
    promotions = bool((known & expected.promoted).sum() >= ERRORS_PER_CLASS * horizon)
    plain = known & ~expected.promoted if promotions else known
    dispersion = np.broadcast_to(expected.dispersion[..., None], actual.shape)[plain]
    number = int(np.clip(len(dispersion) // (ERRORS_PER_CLASS * horizon), 1, CLASSES))
    edges = np.unique(np.quantile(dispersion, np.arange(1, number) / number)) if number > 1 else np.zeros(0)
    edges = edges[edges > dispersion.min()] if number > 1 else edges
    member = _classes(expected, edges, promotions=promotions)
    parts = [
        fit_error_distribution(expected.point, np.where(member == n, actual, np.nan), expected.typical)
        for n in range(len(edges) + 1 + promotions)
    ]
    return DistributionEngine(edges, tuple(parts))


def textbook_quantiles(point: FloatArray, unit: float, levels: FloatArray, *, whole: bool) -> FloatArray:
    """Return the quantiles of a textbook: Poisson around the point, or normal where units are not whole.

    Args:
        point: units, shape (...).
        unit: variance over mean.
        levels: shape (Q,).
        whole: whether demand is counted.
    """
    from scipy.special import ndtri
    from scipy.stats import poisson

    if whole:
        return np.asarray(poisson.ppf(levels, np.maximum(point, 1e-9)[..., None]))
    return np.maximum(point[..., None] + ndtri(levels) * np.sqrt(unit * point)[..., None], 0.0)


def _whole_units(values: FloatArray) -> FloatArray:
    """Round quantiles to whole units, halves up, in place."""
    values += 0.5
    return np.floor(values, out=values)


def _classes(expected: Expected, edges: FloatArray, *, promotions: bool) -> IntArray:
    by_item = np.searchsorted(edges, expected.dispersion, side="right")[..., None]
    if not promotions:
        return np.broadcast_to(by_item, expected.point.shape)
    return np.where(expected.promoted, len(edges) + 1, by_item)


@dataclass(frozen=True, eq=False)
class Patches:
    """The result of a fit.

    Attributes:
        series: for point forecasts.
        engine: for quantiles around them; None where they are taken from a textbook.
        dependence: how errors of successive periods move together.
        whole: whether demand is counted.
    """

    series: Series
    engine: DistributionEngine | None
    dependence: ErrorDependence
    whole: bool

    def quantiles(self, expected: Expected, levels: FloatArray) -> FloatArray:
        """Return quantiles, in whole units where demand is counted."""
        if self.engine is None:
            return textbook_quantiles(expected.point, self.series.unit, levels, whole=self.whole)
        values = self.engine.quantiles(expected, levels)
        return _whole_units(values) if self.whole else values


class Patchwork(BaseForecaster[Patches]):
    """A base series model with add-ons, as retailers forecast before forests and networks.

    Demand is a level times effects. The *level* is followed item by item, faster where little is known of the
    item or its sales are informative. The *seasonal* component multiplies it by a yearly curve (weeks), by day of
    week or month, and by holidays (known 0/1 covariates that all items share); the *elasticity* component by
    a power of the price against its running median, and by promotions (other known 0/1 covariates); codes
    (known covariates of few whole numbers) belong to one or the other in the same way; the
    *cold-start* component starts new items at the level of items with their attributes and price, and on the
    launch curve that others went through. All effects are estimated together, an item's drawn to those of
    its category and a category's to everyone's. The *Distribution Engine* puts quantiles around the point
    forecast that come from errors of past forecasts: of items whose demand varies as much, of like size, as
    far ahead, promoted or not.

    Args:
        horizon: periods ahead over which errors are estimated; a longer forecast keeps those of the last one.
        base: the base series model: "level", or "ets" (exponential smoothing of each item by AICc).
        seasonal: whether there is a seasonal component.
        elasticity: whether there is a price and promotion component.
        cold_start: whether there is a cold-start component; without one, an item starts at its first sale.
        distribution: whether quantiles come from past errors; if not, from a Poisson around the point
            forecast, or a normal of its variance where demand is not counted in whole units.
        censoring: how stock-outs count, "bound" (sales are a lower bound of demand) or "mask" (not at all).
    """

    name = "patchwork"

    def __init__(
        self,
        horizon: int = 12,
        *,
        base: str = "level",
        seasonal: bool = True,
        elasticity: bool = True,
        cold_start: bool = True,
        distribution: bool = True,
        censoring: str = "bound",
    ) -> None:
        self._censoring = check_censoring(censoring)
        self.horizon = check_horizon(horizon)
        self.options = SeriesOptions(base, seasonal, elasticity, cold_start)
        self.distribution = distribution

    @property
    def censoring(self) -> str:
        """How stock-outs count."""
        return self._censoring

    def _fit(self, history: History) -> Patches:
        """Fit all components, and estimate the errors of components that were fitted without the last periods."""
        panel, whole = history.expected, history.record.integer_demand
        origins = calibration_origins(panel, CALIBRATION)
        before = panel.until(int(origins[0]))
        early = fit_series(before if before.informative.any() else panel, self.options, self.horizon, whole=whole)
        longer = panel.extended(np.zeros((panel.items, self.horizon)))
        expected = early.expected(longer, origins, self.horizon)
        drawn = targets_of(history.drawn, origins, self.horizon)
        engine = fit_engine(expected, drawn) if self.distribution else None
        levels = np.asarray(DEFAULT_LEVELS)
        if engine is None:
            values = textbook_quantiles(expected.point, early.unit, levels, whole=whole)
        else:
            values = engine.quantiles(expected, levels)
        past = QuantileForecast(levels, values, origins, panel.item_ids, longer.dates[origins], panel.freq)
        dependence = fit_errors(past, history, relative=True)
        series = fit_series(panel, self.options, self.horizon, whole=whole)
        return Patches(series, engine, dependence, whole)

    def _predict(self, request: Request, fitted: Patches) -> QuantileForecast:
        """Forecast with the series and the errors around it."""
        expected = fitted.series.expected(request.panel, request.origins, request.horizon)
        dependence = fitted.dependence
        values = dependence.widen(request, fitted.quantiles(expected, dependence.levels(request.levels)))
        values = _whole_units(values) if fitted.whole else values
        return request.forecast(values, dependence.at(request.panel, request.origins, request.horizon))

    def _to_state(self, fitted: Patches) -> State:
        """Return configuration and arrays."""
        config, arrays = fitted.series.to_state()
        engine = {} if fitted.engine is None else fitted.engine.arrays()
        own = {"horizon": self.horizon, "distribution": self.distribution, "censoring": self.censoring}
        own |= asdict(self.options)
        return {**own, "whole": fitted.whole, "series": config}, {**arrays, **engine, **fitted.dependence.arrays()}

    @classmethod
    def _from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `_to_state()`."""
        config = dict(config)
        series, whole = Series.from_state(config.pop("series"), arrays), config.pop("whole")
        made = cls(**config)
        engine = DistributionEngine.from_arrays(arrays) if made.distribution else None
        made._fitted = Patches(series, engine, ErrorDependence.from_arrays(arrays), whole)
        return made
