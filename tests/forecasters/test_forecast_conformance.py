"""Every forecast of the house keeps the contract, and the suite finds those that do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.envs.demand.evolution import ForecastEvolution
from fractile.forecasters.calibration.dependence import Dependence
from fractile.forecasters.conformance import small_panel

HORIZON = 4
MEANS = np.array([5.0, 8.0, 2.0])
REGIMES = (fr.Poisson(MEANS), fr.Poisson(3.0 * MEANS))
CHAIN = [[0.8, 0.2], [0.4, 0.6]]


def quantiles(origins: int = 3, *, dependent: bool = True) -> fr.QuantileForecast:
    rng = np.random.default_rng(5)
    values = np.cumsum(rng.gamma(2.0, 3.0, (3, origins, HORIZON, len(fr.DEFAULT_LEVELS))), axis=-1)
    lag = np.abs(np.subtract.outer(np.arange(HORIZON), np.arange(HORIZON)))
    bands = Dependence(np.stack([0.3**lag, 0.8**lag]), np.array([[0], [1], [0]]))
    dates = pd.date_range("2024-01-01", periods=9 + origins, freq="W-MON")[9:]
    levels, start, names = np.array(fr.DEFAULT_LEVELS), 9 + np.arange(origins), ("tea", "coffee", "milk")
    return fr.QuantileForecast(levels, values, start, names, dates, "W-MON", bands if dependent else None)


def drawn(model, period: int = 1, paths: int = 5):
    return fr.draw_scenario(model, 0, paths, 3, HORIZON).forecast(period)


def shown(base, *, spread: float):
    normal = np.random.default_rng(0).standard_normal((3, max(4, len(base.origins))))
    return fr.Distortion(bias=0.2, spread=spread, noise=0.3).apply(base, normal)


def forecast_demand(mode: str, period: int = 1, **options):
    panel = small_panel(items=3)
    evolution = ForecastEvolution(np.array([0.2, 0.1]), np.eye(3) + 0.3 * (1 - np.eye(3)), np.ones(3), panel.item_ids)
    made = fr.make_forecaster("seasonal_naive").fit(panel)
    return drawn(fr.ForecastDemand(made, panel, mode=mode, evolution=evolution, integer=False, **options), period)


FORECASTS = {
    "quantiles": quantiles,
    "one origin": partial(quantiles, 1),
    "independent quantiles": partial(quantiles, dependent=False),
    "stationary": lambda: fr.Poisson(MEANS).forecast(HORIZON),
    "single item": lambda: fr.Poisson(5.0).forecast(HORIZON),
    "continuous": lambda: fr.Gamma(MEANS, cv=0.5).forecast(HORIZON),
    "compound": lambda: fr.demand.CompoundPoisson(MEANS, [0.0, 0.5, 0.5]).forecast(HORIZON),
    "moving": lambda: fr.Seasonal(fr.NegativeBinomial(MEANS, 3.0), [0.5, 1.0, 2.0]).forecast(HORIZON),
    "moving sums": lambda: fr.Seasonal(fr.Poisson(MEANS), [0.5, 1.0, 2.0]).forecast(HORIZON),
    "autoregressive": lambda: drawn(fr.AR1(10.0 * MEANS, 0.6, np.array([4.0, 2.0, 3.0]))),
    "clipped autoregressive": lambda: drawn(fr.AR1(MEANS, 0.6, 4.0)),
    "one path": lambda: drawn(fr.AR1(10.0 * MEANS, 0.6, np.array([4.0, 2.0, 3.0])), paths=1),
    "one path of regimes": lambda: drawn(fr.MarkovModulated(REGIMES, CHAIN), paths=1),
    "continuous regimes": lambda: drawn(fr.MarkovModulated((fr.Gamma(9.0, cv=0.5), fr.Gamma(2.0, cv=0.5)), CHAIN)),
    "regimes": lambda: drawn(fr.MarkovModulated(REGIMES, CHAIN)),
    "hidden regimes": lambda: drawn(fr.MarkovModulated(REGIMES, CHAIN, hidden=True)),
    "fixed": lambda: forecast_demand("fixed"),
    "rolled": lambda: forecast_demand("rolled"),
    "carried": lambda: forecast_demand("evolved", 2),
    "distorted quantiles": lambda: shown(quantiles(4), spread=0.6),
    "distorted over paths": lambda: shown(quantiles(1), spread=1.5),
    "distorted distribution": lambda: shown(fr.Poisson(10.0 * MEANS).forecast(HORIZON), spread=0.6),
    "distorted carried": lambda: shown(forecast_demand("evolved", 2), spread=1.3),
}


@pytest.mark.parametrize("make", FORECASTS.values(), ids=FORECASTS)
def test_every_forecast_of_the_house_conforms(make):
    fr.check_quantile_forecast(make())


@pytest.mark.parametrize("make", FORECASTS.values(), ids=FORECASTS)
def test_totals_and_cuts_conform_as_well(make):
    forecast = make()
    for part in (forecast.total(3), forecast.head(2), forecast.take(np.array([0, 0]), np.array([0, 0]))):
        fr.check_quantile_forecast(part)


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A user's own forecast, which passes everything on and breaks one promise."""

    base: fr.QuantileForecast
    broken: str = ""
    kept: dict = field(default_factory=dict, repr=False)

    def __getattr__(self, name: str):
        return getattr(object.__getattribute__(self, "base"), name)

    def total(self, span):
        if self.broken == "independent":
            return self.base.with_dependence(None).total(span)
        if self.broken == "memory":
            self.kept[0] = self.kept.get(0, 0) + 1
            return replace(self.base.total(span), values=self.base.total(span).values + 0.01 * self.kept[0])
        return self.base.total(span)

    def quantile(self, level):
        return 1.01 * self.base.quantile(level) if self.broken == "quantile" else self.base.quantile(level)

    def mean(self):
        return 100.0 * self.base.mean() if self.broken == "mean" else self.base.mean()

    def take(self, item, origin):
        return self.base.take(item, origin[::-1] if self.broken == "take" else origin)

    def head(self, horizon):
        return self.base.head(min(horizon, HORIZON)) if self.broken == "head" else self.base.head(horizon)

    def with_dependence(self, dependence):
        return self if self.broken == "dependence" else self.base.with_dependence(dependence)

    def after(self, periods):
        later = self.base.after(periods)
        return replace(later, origins=self.base.origins) if self.broken == "after" else later


def test_a_forecast_of_ones_own_conforms():
    fr.check_quantile_forecast(Wrapped(quantiles()))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ("quantile", "'quantile'"),
        ("mean", "'mean'"),
        ("memory", "'total of one period'"),
        ("take", "'take'"),
        ("independent", "'at_origin\\(0\\)': totals"),
        ("head", "'cuts refused'"),
        ("after", "'after': origins"),
        ("dependence", "'with_dependence'"),
    ],
)
def test_broken_promises_are_found(broken, check):
    with pytest.raises(fr.FractileError, match=check):
        fr.check_quantile_forecast(Wrapped(quantiles(), broken))


def test_what_is_no_forecast_is_named():
    with pytest.raises(fr.FractileError, match=r"fails the check 'members': it lacks after, at_normals"):
        fr.check_quantile_forecast(small_panel())
