"""Point forecasts: a base series model of what is left of demand when its effects are taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ..base import Arrays, Config, State, cumulated
from ..classical.smoothing import Smoothing
from ..data.panel import (
    SalesPanel,
)
from .columns import launches, log_prices, promoted
from .effects import FittedEffects
from .factors import Factors, factors_of
from .launch import LaunchLevels
from .level import Levels, Start, filtered
from .plan import Plan

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
        factor = factors_of(panel, self.plan, self.effects)
        levels = self.levels(panel, factor, int(origins.max()))
        seen = Known.of(panel, factor.past, origins)
        prior = np.exp(self.prior(panel, origins))
        ahead = factor.ahead(origins, horizon)
        level = np.where(seen.listed, np.exp(levels.log_level[:, origins]), prior)
        if self.launch is None:
            level = np.where(seen.periods > 0, level, NOTHING)
        point = level[..., None] * ahead * self.unit
        if self.smoothing is not None:
            own = self._smoothed(panel, factor, origins, horizon)
            share = np.minimum(seen.periods / OWN_PERIODS, 1.0)[..., None]
            point = (share * own + (1 - share) * level[..., None] * self.unit) * ahead
        typical = (seen.sales / self.unit + prior) / (seen.factors + 1.0)
        # A level that is still uncertain makes errors as wide as a large dispersion does.
        dispersion = (1 + levels.dispersion[:, origins]) * np.exp(np.minimum(levels.variance[:, origins], 3.0)) - 1
        cut = promoted(panel, self.plan)[:, origins[:, None] + np.arange(horizon)]
        return Expected(point, typical[..., None] * ahead * self.unit, dispersion, cut)

    def _smoothed(self, panel: SalesPanel, factor: Factors, origins: IntArray, horizon: int) -> FloatArray:
        """Exponential smoothing of demand without its effects, units, shape (items, origins, horizon)."""
        assert self.smoothing is not None  # the caller asks only then
        bare = without_effects(panel, factor)
        return self.smoothing.forecast(bare, origins, horizon)

    def levels(self, panel: SalesPanel, factor: Factors, periods: int) -> Levels:
        """Return each item's level before each period 0 ... periods."""
        known = panel.informative[:, :periods]
        sales = np.where(known, panel.sales[:, :periods], 0.0) / self.unit
        start = self._start(panel, sales, factor.past[:, :periods])
        return filtered(sales, known.astype(np.float64), factor.past[:, :periods], start, self.drift)

    def prior(self, panel: SalesPanel, origins: IntArray) -> FloatArray:
        """Return the log level, in the model's units, of items as if they had no history, (items, origins)."""
        if self.launch is None:
            return np.full((panel.items, len(origins)), np.log(NOTHING))
        price = log_prices(panel)
        first = np.minimum(launches(panel)[:, None], origins)
        at_launch = np.take_along_axis(price, np.minimum(first, panel.periods - 1), axis=1)
        return np.stack([self.launch.of(panel.attributes, column) for column in at_launch.T], axis=1)

    def _start(self, panel: SalesPanel, sales: FloatArray, factor: FloatArray) -> Start:
        """What is believed before the first sale; without a cold start, that sale itself."""
        usual = self.effects.usual_dispersion
        if self.launch is not None:
            first = np.array([sales.shape[1]])
            variance = np.full(panel.items, float(self.launch.variance))
            return Start(self.prior(panel, first)[:, 0], variance, usual)
        known = panel.informative[:, : sales.shape[1]]
        rows, first = np.arange(panel.items), known.argmax(axis=1)
        level = sales[rows, first] / factor[rows, first]
        return Start(np.log(np.maximum(level, 0.1)), np.ones(panel.items), usual)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        own: Config = {"plan": self.plan.to_config(), "unit": self.unit, "drift": self.drift}
        config, arrays = self.effects.to_state()
        own["effects"] = config
        if self.launch is not None:
            own["launch"] = self.launch.config()
            arrays |= self.launch.arrays()
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
        sales, factors, periods = (np.where(known, values, 0.0) for values in (panel.sales, factor, 1.0))
        listed = launches(panel)[:, None] < origins
        return cls(_before(sales, origins), _before(factors, origins), _before(periods, origins), listed)


def without_effects(panel: SalesPanel, factor: Factors) -> SalesPanel:
    """Return the panel with sales divided by what effects multiplied them by."""
    return replace(panel, sales=panel.sales / factor.past)


def _before(values: FloatArray, origins: IntArray) -> FloatArray:
    return cumulated(values)[:, origins]
