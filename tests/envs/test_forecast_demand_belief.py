"""Forecast-driven demand whose policy believes something else than the truth, in every mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile import (
    DEFAULT_LEVELS,
    Believed,
    Distortion,
    ForecastDemand,
    FractileError,
    Poisson,
    QuantileForecast,
    make_forecaster,
)
from fractile.envs.demand import ForecastEvolution
from fractile.envs.demand.model import draw_scenario
from fractile.forecasters.conformance import small_panel

PANEL = small_panel(items=3)
MODES = ("fixed", "rolled", "evolved")
PERIODS, SPAN = 5, 3
EVOLUTION = ForecastEvolution(
    np.array([0.2, 0.1]), np.array([[1.0, 0.4, 0.2], [0.4, 1.0, 0.5], [0.2, 0.5, 1.0]]), np.ones(3), PANEL.item_ids
)


@pytest.fixture(scope="module")
def truth():
    return make_forecaster("seasonal_naive").fit(PANEL)


@pytest.fixture(scope="module")
def other():
    return make_forecaster("ets").fit(PANEL)


def model(source, mode, **options) -> ForecastDemand:
    return ForecastDemand(source, PANEL, mode=mode, evolution=EVOLUTION, **options)


def scenario_of(source, mode, **options):
    return draw_scenario(model(source, mode, **options), 0, 6, PERIODS, SPAN)


def flat_forecast() -> QuantileForecast:
    values = np.broadcast_to(np.arange(1.0, 14.0), (3, 1, PERIODS + SPAN - 1, len(DEFAULT_LEVELS)))
    return QuantileForecast(np.array(DEFAULT_LEVELS), values, np.array([60]), PANEL.item_ids)


@pytest.mark.parametrize("mode", MODES)
def test_demand_does_not_move_when_belief_moves(mode, truth, other):
    known = scenario_of(truth, mode)
    for belief in (other, flat_forecast(), Distortion(bias=0.5, spread=0.3, noise=0.2)):
        believed = scenario_of(truth, mode, belief=belief)
        np.testing.assert_array_equal(believed.demand, known.demand)
        for t in (0, PERIODS - 1):
            assert believed.forecast(t).values.shape[2] == SPAN
            assert (believed.forecast(t).values != known.forecast(t).values).any()


@pytest.mark.parametrize("mode", MODES)
def test_belief_in_the_truth_is_the_truth(mode, truth):
    known = scenario_of(truth, mode)
    for belief in (truth, Distortion()):
        believed = scenario_of(truth, mode, belief=belief)
        np.testing.assert_array_equal(believed.demand, known.demand)
        for t in range(PERIODS):
            np.testing.assert_allclose(believed.forecast(t).values, known.forecast(t).values, rtol=1e-9)


def test_fixed_belief_is_what_the_other_forecaster_says_at_the_end(truth, other):
    believed = scenario_of(truth, "fixed", belief=other)
    said = other.predict(PANEL, PERIODS + SPAN - 1).values
    for t in range(PERIODS):
        np.testing.assert_allclose(believed.forecast(t).values, said[:, :, t : t + SPAN], rtol=1e-9)


def test_rolled_belief_runs_along_the_path_that_the_truth_drew(truth, other):
    believed = scenario_of(truth, "rolled", belief=other)
    for path in (0, 5):
        for t in range(PERIODS):
            known = believed.demand[path].T.copy()
            known[:, t:] = 1000.0
            said = other.predict(PANEL.extended(known), SPAN, origins=[PANEL.periods + t])
            np.testing.assert_allclose(believed.forecast(t).values[:, path], said.values[:, 0], rtol=1e-6)


def test_rolled_belief_in_one_forecast_goes_on_as_time_does(truth):
    believed, said = scenario_of(truth, "rolled", belief=flat_forecast()), flat_forecast().values
    for t in range(PERIODS):
        expected = np.broadcast_to(said[:, :, t : t + SPAN], (3, 6, SPAN, said.shape[-1]))
        np.testing.assert_array_equal(believed.forecast(t).values, expected)


def test_evolved_belief_hears_the_news_that_the_truth_hears(truth, other):
    known, believed = scenario_of(truth, "evolved"), scenario_of(truth, "evolved", belief=other)
    for t in range(1, PERIODS):
        heard = [s.forecast(t).mean() / s.forecast(t).mean()[:, :1] for s in (known, believed)]
        np.testing.assert_allclose(heard[0], heard[1], rtol=1e-6)
    first = other.predict(PANEL, SPAN).mean()[:, 0]
    np.testing.assert_allclose(believed.forecast(0).mean()[:, 2], first, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_distortions_are_those_of_the_general_wrapper(mode, truth):
    distortion = Distortion(bias=0.5, spread=0.3)
    inside = scenario_of(truth, mode, belief=distortion)
    around = draw_scenario(Believed(model(truth, mode), distortion), 0, 6, PERIODS, SPAN)
    for t in range(PERIODS):
        np.testing.assert_allclose(inside.forecast(t).values, around.forecast(t).values)
        np.testing.assert_allclose(inside.forecast(t).total(2).quantile(0.9), around.forecast(t).total(2).quantile(0.9))


@pytest.mark.parametrize("mode", MODES)
def test_noise_of_an_item_does_not_move_when_others_are_dropped(mode, truth):
    belief = Distortion(noise=0.4)
    every = scenario_of(truth, mode, belief=belief)
    one = ForecastDemand(truth, PANEL.select(np.array([1])), mode=mode, evolution=EVOLUTION, belief=belief)
    alone = draw_scenario(one, 0, 6, PERIODS, SPAN)
    np.testing.assert_array_equal(alone.demand[:, :, 0], every.demand[:, :, 1])
    for t in (0, 3):
        np.testing.assert_allclose(alone.forecast(t).values[0], every.forecast(t).values[1])
    assert len(np.unique(every.forecast(3).quantile(0.9)[1, :, 0])) > 3


@pytest.mark.parametrize("mode", MODES)
def test_episodes_show_the_belief(mode, truth, other):
    item = np.array([2, 0, 0, 1])
    known = model(truth, mode).episodes(np.random.default_rng(1), item, PERIODS, SPAN)
    said = other.predict(PANEL, SPAN).values[item, 0]
    for belief in (other, flat_forecast(), Distortion(noise=0.3)):
        got = model(truth, mode, belief=belief).episodes(np.random.default_rng(1), item, PERIODS, SPAN)
        np.testing.assert_array_equal(got.demand, known.demand)
        assert got.forecast(PERIODS - 1).values.shape == (1, 4, SPAN, len(DEFAULT_LEVELS))
        if belief is other:
            np.testing.assert_allclose(got.forecast(0).mean()[0], other.predict(PANEL, SPAN).mean()[item, 0], rtol=1e-6)
            if mode != "evolved":
                np.testing.assert_allclose(got.forecast(0).values[0], said, rtol=1e-6)


def test_a_wrong_forecaster_costs_more_than_the_right_one(truth):
    panel = small_panel(items=6, periods=120)
    right = make_forecaster("seasonal_naive").fit(panel)
    wrong = right.predict(panel, 14).head(14)
    wrong = replace(wrong, values=1.6 * wrong.values)
    params = fr.ItemParams(lead_time=1, unmet_demand="backorder")
    cost = {}
    for name, belief in (("right", None), ("wrong", wrong)):
        scenario = draw_scenario(ForecastDemand(right, panel, belief=belief), 0, 150, 12, 2)
        cost[name] = fr.simulate(fr.make_policy("newsvendor"), scenario, params).cost.mean((1, 2))
    gap = cost["wrong"] - cost["right"]
    assert gap.mean() > 4 * gap.std() / np.sqrt(len(gap))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"belief": 0.2}, "belief must be a fitted forecaster, a QuantileForecast or a Distortion, got float"),
        ({"belief": Poisson(5.0)}, r"for another demand model use Believed\(truth, belief\)"),
        (
            {"belief": flat_forecast().select(np.array([0]))},
            "belief must forecast the 3 items that demand is drawn for, got 1",
        ),
    ],
)
def test_beliefs_are_checked(options, message, truth):
    with pytest.raises(FractileError, match=message):
        ForecastDemand(truth, PANEL, **options)


def test_every_fault_is_named_at_once():
    forecast = flat_forecast()
    with pytest.raises(FractileError) as caught:
        ForecastDemand(forecast, mode="rolled", belief=make_forecaster("ets"))
    assert "give a fitted forecaster" in str(caught.value)
    assert "a forecaster as belief needs the panel" in str(caught.value)
