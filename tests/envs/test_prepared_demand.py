"""Prepared demand draws what the model draws, without making its forecasts again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.demand.evolution import ForecastEvolution
from fractile.forecasters.conformance import small_panel

PANEL = small_panel(items=3)
PERIODS, SPAN = 5, 3
ITEM = np.array([2, 0, 0, 1])
MEANS = np.array([5.0, 8.0, 2.0])
EVOLUTION = ForecastEvolution(np.array([0.2, 0.1]), np.eye(3), np.array([1.0, 3.0, 0.5]), PANEL.item_ids)


class Counted:
    """A fitted forecaster that counts how often it forecasts."""

    def __init__(self) -> None:
        self.made, self.calls = fr.make_forecaster("seasonal_naive").fit(PANEL), 0

    def predict(self, *args, **options):
        self.calls += 1
        return self.made.predict(*args, **options)


def forecast_demand(mode: str = "fixed", **options) -> fr.ForecastDemand:
    return fr.ForecastDemand(Counted(), PANEL, mode=mode, evolution=EVOLUTION, **options)


MODELS = {
    "stationary": lambda: fr.Poisson(MEANS),
    "moving": lambda: fr.demand.Promotions(fr.Poisson(MEANS), np.linspace(1.0, 0.7, 9), 2.0, list_price=1.0),
    "correlated": lambda: fr.demand.Correlated(fr.Poisson(MEANS), 0.4),
    "regimes": lambda: fr.MarkovModulated((fr.Poisson(MEANS), fr.Poisson(3.0 * MEANS)), [[0.8, 0.2], [0.4, 0.6]]),
    "fixed": forecast_demand,
    "rolled": lambda: forecast_demand("rolled"),
    "evolved": lambda: forecast_demand("evolved"),
    "distorted": lambda: forecast_demand(belief=fr.Distortion(bias=0.2)),
    "noisy": lambda: forecast_demand(belief=fr.Distortion(noise=0.2)),
    "believed": lambda: fr.Believed(fr.Poisson(MEANS), fr.Gamma(MEANS, cv=0.5)),
    "believed in noise": lambda: fr.Believed(fr.Poisson(MEANS), fr.Distortion(noise=0.2)),
    "believed of history": lambda: fr.Believed(fr.Replay(PANEL), fr.Poisson(MEANS)),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_prepared_episodes_are_those_of_the_model(make):
    model = make()
    prepared = model.prepare(PERIODS, SPAN)
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(2):
        got, expected = prepared.episodes(one, ITEM), model.episodes(other, ITEM, PERIODS, SPAN)
        np.testing.assert_array_equal(got.demand, expected.demand)
        for t in (0, PERIODS - 1):
            np.testing.assert_array_equal(got.forecast(t).values, expected.forecast(t).values)
            np.testing.assert_array_equal(got.forecast(t).total(2).values, expected.forecast(t).total(2).values)
    if prepared.forecasts is not None:
        for whole, own in zip(prepared.forecasts, got.forecasts, strict=True):
            np.testing.assert_allclose(own.values[0], whole.values[ITEM, 0], rtol=1e-12)


@pytest.mark.parametrize("name", ["noisy", "believed in noise", "rolled", "evolved", "regimes"])
def test_forecasts_that_depend_on_the_path_are_not_shared(name):
    assert MODELS[name]().prepare(PERIODS, SPAN).forecasts is None


def test_a_fixed_forecast_is_made_once():
    model = forecast_demand(shocks="none")
    prepared = model.prepare(PERIODS, SPAN)
    for seed in range(3):
        prepared.episodes(np.random.default_rng(seed), ITEM)
        prepared.scenario(np.random.default_rng(seed), 4)
    assert model.source.calls == 1


def test_periods_that_say_the_same_share_a_forecast():
    stays = fr.Poisson(MEANS).prepare(PERIODS, SPAN).forecasts
    assert all(forecast is stays[0] for forecast in stays)
    season = fr.Seasonal(fr.Poisson(MEANS), [0.5, 2.0])
    for model in (season, fr.Believed(season, fr.Distortion(bias=0.5))):
        first, second, third = model.prepare(3, SPAN).forecasts
        assert third is first
        assert second is not first


def test_whole_demand_is_rounded_to_the_nearest_unit():
    model = forecast_demand(integer=False)
    raw, whole = (fr.draw_scenario(m, 0, 50, PERIODS).demand for m in (model, replace(model, integer=True)))
    np.testing.assert_array_equal(whole, np.rint(raw))
    assert (whole > raw).any()


def test_news_is_as_large_as_the_item_is_volatile():
    scenario = fr.draw_scenario(forecast_demand("evolved"), 0, 2000, 3, 2)
    spread = np.log(scenario.forecast(1).mean()[:, :, 0]).std(axis=1)
    np.testing.assert_allclose(spread, 0.2 * EVOLUTION.scale, rtol=4 / np.sqrt(2 * 2000))


def test_drawn_demand_is_known_whatever_the_panel_holds_of_later_stock():
    gone = replace(PANEL, in_stock=PANEL.in_stock & (np.arange(PANEL.periods) < 50))
    made = fr.make_forecaster("ets").fit(PANEL.until(50))
    models = [fr.ForecastDemand(made, panel, mode="rolled", start=50) for panel in (PANEL, gone)]
    one, other = (fr.draw_scenario(model, 0, 4, 6, 2) for model in models)
    np.testing.assert_array_equal(one.demand, other.demand)
    np.testing.assert_array_equal(one.forecast(5).values, other.forecast(5).values)
