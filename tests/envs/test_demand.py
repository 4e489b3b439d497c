"""Demand models against scipy, their seeds, and demand drawn from forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fractile import (
    DEFAULT_LEVELS,
    ForecastDemand,
    FractileError,
    Geometric,
    NegativeBinomial,
    Normal,
    Poisson,
    QuantileForecast,
    Replay,
    SalesPanel,
    make_forecaster,
)
from fractile.envs.demand.model import draw_scenario, uncensored
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.forecast import Dependence
from fractile.randomness import keyed_generator

UNITS = np.arange(40)
DISCRETE = [
    # Model and what scipy calls it: the negative binomial's variance is 5 + 25 / 2, the geometric counts failures.
    (Poisson(5.0), stats.poisson(5.0)),
    (NegativeBinomial(5.0, 2.0), stats.nbinom(2.0, 2.0 / 7.0)),
    (Geometric(5.0), stats.geom(1.0 / 6.0, loc=-1)),
]
MODELS = [*[model for model, _ in DISCRETE], Normal(50.0, 8.0)]


def name_of(value):
    return type(value).__name__ if hasattr(value, "sample") else ""


@pytest.mark.parametrize(("model", "exact"), DISCRETE, ids=name_of)
def test_distribution_is_scipys(model, exact):
    np.testing.assert_allclose(model.pmf(UNITS), exact.pmf(UNITS), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(model.cdf(UNITS), exact.cdf(UNITS), rtol=1e-9)
    levels = np.array([0.05, 0.5, 0.9, 0.99])
    np.testing.assert_array_equal(model.quantile(levels), exact.ppf(levels))


@pytest.mark.parametrize(("model", "exact"), DISCRETE, ids=name_of)
def test_sums_are_convolutions(model, exact):
    one = exact.pmf(np.arange(200))
    three = np.convolve(np.convolve(one, one), one)
    np.testing.assert_allclose(model.pmf(np.arange(100), span=3), three[:100], rtol=1e-7, atol=1e-12)


def test_moments_are_those_of_the_docstring():
    model = NegativeBinomial(6.0, 3.0).distribution()
    assert model.mean() == pytest.approx(6.0)
    assert model.var() == pytest.approx(6.0 + 36.0 / 3.0)
    assert Normal(50.0, 8.0).distribution(4).std() == pytest.approx(16.0)


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_sample_moments_are_right(model):
    demand = model.sample(np.random.default_rng(7), 400, 50)
    exact = model.distribution()
    assert demand.shape == (400, 50, 1)
    assert abs(demand.mean() - exact.mean()) < 4 * exact.std() / np.sqrt(demand.size)
    kurtosis = float(stats.kurtosis(demand, axis=None)) + 2.0
    assert abs(demand.var() - exact.var()) < 4 * exact.var() * np.sqrt(kurtosis / demand.size)


def test_continuous_demand_has_no_pmf():
    with pytest.raises(FractileError, match="Normal demand is continuous and has no pmf; use cdf"):
        Normal(5.0, 1.0).pmf(3)


def test_normal_demand_is_never_negative():
    assert Normal(1.0, 3.0).sample(np.random.default_rng(0), 20, 20).min() == 0.0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Poisson(0.0), "mean"),
        (lambda: Geometric(-1.0), "mean"),
        (lambda: NegativeBinomial(2.0, float("nan")), "size"),
        (lambda: Normal(2.0, np.array([1.0, 0.0])), "standard_deviation"),
    ],
)
def test_demand_parameters_are_checked(make, name):
    with pytest.raises(FractileError, match=f"{name} of demand must be a finite number above 0"):
        make()


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_the_first_paths_are_the_same_however_many_follow(model):
    few, many = (draw_scenario(model, 3, paths, 5).demand for paths in (7, 600))
    np.testing.assert_array_equal(few, many[:7])
    assert len(np.unique(many[:, 0, 0])) > 5


def test_seeds_give_the_same_demand_and_other_seeds_another():
    model = Poisson(np.array([5.0, 20.0]))
    one, again, other = (draw_scenario(model, seed, 20, 10).demand for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one.shape == (20, 10, 2)


def test_episodes_hold_the_item_that_was_asked_for():
    model = Poisson(np.array([1.0, 400.0]))
    item = np.array([1, 0, 1, 1, 0])
    scenario = model.episodes(np.random.default_rng(0), item, 6, 3)
    assert scenario.demand.shape == (5, 6, 1)
    np.testing.assert_array_equal(scenario.demand.mean(1)[:, 0] > 100, item == 1)
    np.testing.assert_array_equal(scenario.forecast(0).mean()[0, :, 0] > 100, item == 1)


def test_forecast_of_a_model_is_the_truth():
    forecast = Poisson(np.array([5.0, 8.0])).forecast(4)
    np.testing.assert_array_equal(forecast.quantile(0.9)[:, 0, 0], stats.poisson([5.0, 8.0]).ppf(0.9))
    np.testing.assert_array_equal(forecast.total(3).quantile(0.9)[:, 0, 0], stats.poisson([15.0, 24.0]).ppf(0.9))
    np.testing.assert_allclose(forecast.total(3).mean()[:, 0, 0], [15.0, 24.0])
    spans = np.array([[1], [4]])
    np.testing.assert_array_equal(forecast.total(spans).quantile(0.5)[:, 0, 0], stats.poisson([5.0, 32.0]).ppf(0.5))


def test_replay_gives_windows_of_the_history():
    panel = small_panel()
    demand = Replay(panel).sample(np.random.default_rng(0), 8, 12)
    history = uncensored(panel).T
    windows = np.stack([history[k : k + 12] for k in range(panel.periods - 11)])
    for path in demand:
        assert (windows == path).all((1, 2)).any()


def test_replay_of_one_item_is_that_item():
    panel = small_panel()
    item = np.array([2, 0, 2])
    scenario = Replay(panel).episodes(np.random.default_rng(0), item, 10, 1)
    history = uncensored(panel)
    for path, i in enumerate(item):
        windows = np.lib.stride_tricks.sliding_window_view(history[i], 10)
        assert (windows == scenario.demand[path, :, 0]).all(1).any()


def test_replay_of_more_than_there_is():
    with pytest.raises(FractileError, match="the history has 60 periods, 61 are needed; replay fewer"):
        Replay(small_panel()).sample(np.random.default_rng(0), 1, 61)


def test_stand_ins_of_stock_outs_come_from_the_past():
    panel = small_panel()
    first_known = panel.informative[:, 0]
    late = replace(panel, sales=np.where(np.arange(60) >= 30, 99.0, panel.sales))
    now, then = uncensored(panel), uncensored(late)
    np.testing.assert_array_equal(now[first_known, :30], then[first_known, :30])
    assert first_known.any()


def test_what_stands_in_for_stock_outs_has_the_mean_of_demand():
    """Poisson(8) met from a stock of 9 in two weeks of three: sales have 7.6, sales in stock 7.0."""
    rng = np.random.default_rng(0)
    true = rng.poisson(8.0, (60, 200)).astype(float)
    stock = np.where(rng.random(true.shape) < 2 / 3, 9.0, np.inf)
    everywhere = np.ones(true.shape, dtype=bool)
    dates = pd.date_range("2020-01-06", periods=200, freq="W-MON")
    panel = SalesPanel(
        np.minimum(true, stock), true <= stock, everywhere, dates, tuple(f"item {i}" for i in range(60)), "W-MON"
    )
    demand = uncensored(panel)
    np.testing.assert_array_equal(demand[panel.in_stock], true[panel.in_stock])
    assert (demand >= panel.sales).all()
    assert demand[:, 20:].mean() == pytest.approx(8.0, abs=0.35)


def test_stock_outs_before_the_first_period_in_stock_have_what_was_sold_in_it():
    panel = small_panel(items=2, periods=6)
    panel = replace(
        panel,
        sales=np.array([[4.0, 0.0, 7.0, 2.0, 3.0, 5.0], [1.0, 9.0, 0.0, 3.0, 2.0, 0.0]]),
        in_stock=np.array([[1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 1]], dtype=bool),
        listed=np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]], dtype=bool),
    )
    # Item 2: 0 before it was listed, then 9 sold while short of stock, more than the 3 of its first period in stock.
    np.testing.assert_array_equal(uncensored(panel), [[4, 0, 7, 2, 3, 5], [0, 9, 3, 3, 2, 0]])


def fixed_forecast(items: int = 3, horizon: int = 10) -> QuantileForecast:
    rng = np.random.default_rng(5)
    values = np.cumsum(rng.gamma(2.0, 3.0, (items, 1, horizon, len(DEFAULT_LEVELS))), axis=-1)
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    dependence = Dependence((0.6**lag)[None], np.zeros((1, 1), dtype=np.int64))
    names = tuple(f"item-{i}" for i in range(items))
    return QuantileForecast(np.array(DEFAULT_LEVELS), values, np.array([60]), names, dependence=dependence)


def rolled_model(items: int = 4, **options) -> ForecastDemand:
    panel = small_panel(items=items)
    return ForecastDemand(make_forecaster("seasonal_naive").fit(panel), panel, mode="rolled", **options)


def test_fixed_forecasts_are_what_the_one_forecast_says_of_later():
    forecast = fixed_forecast()
    scenario = draw_scenario(ForecastDemand(forecast), 0, 50, 6, span=3)
    for t in range(6):
        assert scenario.forecast(t).values.shape == (3, 1, 3, len(DEFAULT_LEVELS))
        np.testing.assert_array_equal(scenario.forecast(t).values, forecast.values[:, :, t : t + 3])


def test_a_fixed_forecast_that_is_too_short_is_named():
    with pytest.raises(FractileError, match="forecast with a longer horizon"):
        draw_scenario(ForecastDemand(fixed_forecast(horizon=5)), 0, 2, 5, span=2)


def test_fixed_marginals_are_the_forecasts_quantiles():
    forecast, paths = fixed_forecast(), 4000
    demand = draw_scenario(ForecastDemand(forecast, integer=False), 1, paths, 8).demand
    for k, level in enumerate(DEFAULT_LEVELS):
        below = (demand <= forecast.values[:, 0, :8, k].T).mean(0)
        assert (np.abs(below - level) < 4 * np.sqrt(level * (1 - level) / paths) + 1e-12).all()


def test_fixed_demand_depends_on_itself_as_the_forecast_says():
    forecast = fixed_forecast()
    demand = draw_scenario(ForecastDemand(forecast), 1, 4000, 2).demand
    # The rank correlation of a Gaussian copula with correlation r is 6/π · asin(r / 2).
    rank = stats.spearmanr(demand[:, 0, 0], demand[:, 1, 0]).statistic
    assert rank == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=4 / np.sqrt(4000))


def test_draws_of_an_item_do_not_move_when_others_are_dropped():
    forecast = fixed_forecast()
    every = draw_scenario(ForecastDemand(forecast), 2, 20, 5).demand
    one = draw_scenario(ForecastDemand(forecast.select(np.array([1]))), 2, 20, 5).demand
    np.testing.assert_array_equal(one[:, :, 0], every[:, :, 1])


def test_rolled_draws_of_an_item_do_not_move_when_others_are_dropped():
    model = rolled_model()
    every = draw_scenario(model, 2, 4, 3).demand
    one = draw_scenario(replace(model, panel=model.panel.select(np.array([1]))), 2, 4, 3).demand
    np.testing.assert_array_equal(one[:, :, 0], every[:, :, 1])


def test_rolled_forecasts_see_the_path_so_far_and_nothing_later():
    model = rolled_model()
    scenario = draw_scenario(model, 4, 5, 4, span=2)
    panel, periods = model.panel, scenario.periods
    start = panel.periods
    for path in (0, 3):
        for t in range(periods):
            known = scenario.demand[path].T.copy()
            known[:, t:] = 1000.0
            seen = model.source.predict(panel.extended(known), 2, origins=[start + t])
            np.testing.assert_allclose(scenario.forecast(t).values[:, path], seen.values[:, 0], rtol=1e-6)


def test_rolled_marginals_are_the_first_periods_quantiles():
    model = rolled_model(items=2, integer=False)
    scenario = draw_scenario(model, 9, 600, 2)
    checked = 0
    for t in range(2):
        values = scenario.forecast(t).values[:, :, 0]
        for k, level in enumerate(DEFAULT_LEVELS[:-1]):
            # Where the next quantile is the same number, more than this one's share of demand lies at or below it.
            apart = values[..., k] + 1e-3 < values[..., k + 1]
            below = (values[..., k] >= scenario.demand[:, t].T)[apart]
            if below.size:
                checked += 1
                assert abs(below.mean() - level) < 4 * np.sqrt(level * (1 - level) / below.size)
    assert checked > 15


def test_whole_units_where_the_history_is_whole():
    assert (draw_scenario(rolled_model(), 0, 3, 3).demand % 1 == 0).all()
    assert (draw_scenario(rolled_model(integer=False), 0, 3, 3).demand % 1 != 0).any()


def test_rolled_demand_from_an_earlier_start_ignores_later_sales():
    model = rolled_model(start=50)
    later = np.arange(model.panel.periods) >= 50
    spoiled = replace(model.panel, sales=np.where(later, 500.0, model.panel.sales))
    one, other = (draw_scenario(m, 0, 3, 4, span=2) for m in (model, replace(model, panel=spoiled)))
    np.testing.assert_array_equal(one.demand, other.demand)
    np.testing.assert_array_equal(one.forecast(3).values, other.forecast(3).values)


@pytest.mark.parametrize("mode", ["fixed", "rolled"])
def test_episodes_of_a_forecast_hold_their_item(mode):
    panel = small_panel(items=4)
    model = ForecastDemand(make_forecaster("seasonal_naive").fit(panel), panel, mode=mode)
    item = np.array([3, 0, 0])
    scenario = model.episodes(np.random.default_rng(0), item, 3, 2)
    assert scenario.demand.shape == (3, 3, 1)
    first = model.source.predict(panel, 2).values[item, 0]
    np.testing.assert_allclose(scenario.forecast(0).values[0], first, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ForecastDemand(fixed_forecast(), mode="evolving"), "mode must be 'fixed' or 'rolled'"),
        (lambda: ForecastDemand(fixed_forecast(), mode="rolled"), "give a fitted forecaster"),
        (lambda: ForecastDemand(make_forecaster("seasonal_naive")), "needs the panel"),
    ],
)
def test_forecast_demand_checks_its_options(make, message):
    with pytest.raises(FractileError, match=message):
        make()


def test_keyed_generators_depend_on_their_key_alone():
    one = keyed_generator(1, "demand", "tea").random(3)
    keyed_generator(1, "demand", "coffee").random(100)
    np.testing.assert_array_equal(one, keyed_generator(1, "demand", "tea").random(3))
    assert (one != keyed_generator(1, "demand", "coffee").random(3)).all()
