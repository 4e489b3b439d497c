"""The patchwork as a forecaster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from ...arrays import FloatArray
from ..base import (
    Arrays,
    BaseForecaster,
    Config,
    Request,
    State,
    calibration_origins,
    checked_horizon,
    require_history,
    targets_of,
)
from ..calibration.point_errors import CALIBRATION
from ..calibration.sampling import ErrorDependence, fit_error_dependence
from ..data.panel import SalesPanel
from ..forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from .engine import DistributionEngine, fit_engine, textbook_quantiles
from .fit import Options, fit_series
from .series import Expected, Series


@dataclass(frozen=True, eq=False)
class Patches:
    """What a fit has learnt.

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
        return np.floor(values + 0.5) if self.whole else values


class Patchwork(BaseForecaster[Patches]):
    """A base series model with add-ons, as retailers forecast before forests and networks.

    Demand is a level times effects. The *level* is followed item by item, faster where little is known of the
    item or its sales tell much. The *seasonal* component multiplies it by a yearly curve (weeks), by day of
    week or month, and by holidays (known 0/1 covariates that all items share); the *elasticity* component by
    a power of the price against its running median, and by promotions (other known 0/1 covariates); the
    *cold-start* component starts new items at the level of items with their attributes and price, and on the
    launch curve that others went through. All effects are estimated together, an item's drawn to those of
    its category and a category's to everyone's. The *Distribution Engine* puts quantiles around the point
    forecast that come from errors of past forecasts: of items whose demand varies as much, of like size, as
    far ahead, promoted or not.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
        base: the base series model: "level", or "ets" (exponential smoothing of each item by AICc).
        seasonal: whether there is a seasonal component.
        elasticity: whether there is a price and promotion component.
        cold_start: whether there is a cold-start component; without one, an item starts at its first sale.
        distribution: whether quantiles come from past errors; if not, from a Poisson around the point
            forecast, or a normal of its variance where demand is not counted in whole units.
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
    ) -> None:
        self.horizon = checked_horizon(horizon)
        self.options = Options(base, seasonal, elasticity, cold_start)
        self.distribution = distribution

    def fit(self, panel: SalesPanel) -> Self:
        """Fit all components, and learn from the errors of a fit that had not seen the last part."""
        require_history(panel)
        origins = calibration_origins(panel, CALIBRATION)
        early = fit_series(panel.until(int(origins[0])), self.options, self.horizon)
        longer = panel.extended(np.zeros((panel.items, self.horizon)))
        expected = early.expected(longer, origins, self.horizon)
        engine = fit_engine(expected, targets_of(panel, origins, self.horizon)) if self.distribution else None
        levels = np.asarray(DEFAULT_LEVELS)
        values = _textbook(early, expected, panel) if engine is None else engine.quantiles(expected, levels)
        past = QuantileForecast(levels, values, origins, panel.item_ids, longer.dates[origins], panel.freq)
        dependence = fit_error_dependence(past, panel)
        series = fit_series(panel, self.options, self.horizon)
        self._fitted = Patches(series, engine, dependence, panel.integer_demand)
        return self

    def _predict(self, request: Request, learnt: Patches) -> QuantileForecast:
        """Forecast what was asked for."""
        expected = learnt.series.expected(request.panel, request.origins, request.horizon)
        dependence = learnt.dependence.at(request.panel, request.origins, request.horizon)
        return request.forecast(learnt.quantiles(expected, request.levels), dependence)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        patches = self.fitted
        config, arrays = patches.series.to_state()
        engine = {} if patches.engine is None else patches.engine.arrays()
        own = {"horizon": self.horizon, "distribution": self.distribution, **asdict(self.options)}
        return {**own, "whole": patches.whole, "series": config}, {**arrays, **engine, **patches.dependence.arrays()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        config = dict(config)
        series, whole = Series.from_state(config.pop("series"), arrays), config.pop("whole")
        made = cls(**config)
        engine = DistributionEngine.from_arrays(arrays) if made.distribution else None
        made._fitted = Patches(series, engine, ErrorDependence.from_arrays(arrays), whole)
        return made


def _textbook(series: Series, expected: Expected, panel: SalesPanel) -> FloatArray:
    return textbook_quantiles(expected.point, series.unit, np.asarray(DEFAULT_LEVELS), whole=panel.integer_demand)
