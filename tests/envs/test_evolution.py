"""The martingale model of forecast evolution: fitted to revisions that are known, and drawn again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from fractile import (
    DEFAULT_LEVELS,
    ForecastDemand,
    FractileError,
    QuantileForecast,
    SalesPanel,
    make_forecaster,
)
from fractile.envs.demand import ForecastEvolution
from fractile.envs.demand.evolved_forecasts import EvolvedForecasts
from fractile.envs.demand.model import draw_scenario
from fractile.forecasters.calibration.sampling import cdf_bounds
from fractile.forecasters.conformance import small_panel

LEVELS = np.array(DEFAULT_LEVELS)
FINE = np.arange(1, 200) / 200.0
DEVIATION = np.array([0.2, 0.15, 0.1, 0.05])
CORRELATION = np.array(
    [
        [1.0, 0.5, 0.3, 0.2, 0.0],
        [0.5, 1.0, 0.8, 0.5, 0.2],
        [0.3, 0.8, 1.0, 0.6, 0.3],
        [0.2, 0.5, 0.6, 1.0, 0.4],
        [0.0, 0.2, 0.3, 0.4, 1.0],
    ]
)
MODEL = ForecastEvolution(DEVIATION, CORRELATION, np.ones(2), ("tea", "coffee"))
RESIDUAL = 0.3


def lognormal_forecast(evolution=MODEL, horizon: int = 12, levels=LEVELS, residual: float = RESIDUAL):
    """Two items whose first forecast is just as uncertain as revisions and the residual add up to."""
    mean = np.array([40.0, 7.0])[:, None] * (1.0 + 0.3 * np.sin(np.arange(horizon)))
    deviation = np.sqrt(residual**2 + evolution.resolved(horizon)[:horizon])[:, None]
    values = mean[..., None] * np.exp(deviation * ndtri(levels) - deviation**2 / 2)
    return QuantileForecast(levels, values[:, None], np.array([30]), ("tea", "coffee"))


class Revised:
    """A forecaster whose forecasts were revised by the model, and a panel whose demand came from them."""

    def __init__(self, items: int = 40, periods: int = 120, horizon: int = 5, scale: float = 1.0) -> None:
        rng = np.random.default_rng(3)
        reach = periods + horizon
        scales = np.full(items, scale)
        scales[: items // 4] *= 2.0
        self.mean = np.zeros((items, periods + 1, horizon))
        sales = np.zeros((items, periods))
        for i in range(items):
            normal = rng.standard_normal((1, reach, 5))
            news = MODEL.carry(normal[..., 0], normal[..., 1:], horizon, scales[i : i + 1])[0]
            level = 20.0 * np.exp(news)
            self.mean[i] = level[: periods + 1]
            sales[i] = level[:periods, 0] * np.exp(RESIDUAL * normal[0, :periods, 0] - RESIDUAL**2 / 2)
        self.scales, self.periods = scales, periods
        true = np.ones(sales.shape, dtype=bool)
        names = tuple(f"item-{i:02d}" for i in range(items))
        dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
        self.panel = SalesPanel(sales, true, true, dates, names, "W-MON")

    def predict(self, panel, horizon, levels=LEVELS, origins=None, future=None):
        origins = np.array([self.periods] if origins is None else origins)
        if horizon > self.mean.shape[2]:
            raise FractileError(f"this forecaster reaches {self.mean.shape[2]} periods")
        mean = self.mean[:, origins, :horizon]
        values = mean[..., None] * np.exp(RESIDUAL * ndtri(np.asarray(levels)) - RESIDUAL**2 / 2)
        return QuantileForecast(np.asarray(levels), values, origins, panel.item_ids)


@pytest.fixture(scope="module")
def revised():
    return Revised()


@pytest.fixture(scope="module")
def fitted(revised):
    return ForecastEvolution.fit(revised, revised.panel, origins=range(1, 121), horizon=4)


def test_fit_recovers_the_revisions(fitted, revised):
    # 40 items with 119 revisions each; the deviation of one that a quarter of items of scale two brings along.
    number = 40 * 119
    common = np.sqrt((revised.scales**2).mean())
    error = 4 / np.sqrt(2 * number)
    np.testing.assert_allclose(fitted.deviation / common, DEVIATION, rtol=2.5 * error)
    # Shrinkage takes one per cent of each correlation.
    np.testing.assert_allclose(fitted.correlation, CORRELATION, atol=4 / np.sqrt(number) + 0.01)


def test_fit_tells_volatile_items_from_calm_ones(fitted, revised):
    relative = fitted.scale / np.sqrt((fitted.scale**2).mean())
    true = revised.scales / np.sqrt((revised.scales**2).mean())
    # 119 revisions a lead, of four leads that are correlated; 20 more say one.
    np.testing.assert_allclose(relative, true, rtol=4 / np.sqrt(2 * 119) + 0.1)
    assert relative[:10].min() > 1.5 * relative[10:].max()


def test_fit_forgets_what_a_demand_surprise_says_where_there_is_none(revised):
    other = replace(revised.panel, in_stock=np.zeros_like(revised.panel.in_stock))
    made = ForecastEvolution.fit(revised, other, origins=range(1, 121), horizon=4)
    np.testing.assert_array_equal(made.correlation[0, 1:], 0.0)
    assert np.linalg.eigvalsh(made.correlation)[0] > 0


def test_whole_units_do_not_hide_that_surprises_move_forecasts(revised, fitted):
    coarse = replace(revised.panel, sales=np.rint(revised.panel.sales))
    made = ForecastEvolution.fit(revised, coarse, origins=range(1, 121), horizon=4)
    np.testing.assert_allclose(made.correlation[0], fitted.correlation[0], atol=0.03)


def test_few_revisions_are_refused(revised):
    with pytest.raises(FractileError, match="origins must hold at least 10 revisions of forecasts above zero, got 0"):
        ForecastEvolution.fit(revised, revised.panel, origins=[1, 3, 5, 7], horizon=4)


def test_fit_of_a_forecaster_that_never_revises_is_still_a_model():
    panel = small_panel()
    made = make_forecaster("seasonal_naive").fit(panel)
    evolution = ForecastEvolution.fit(made, panel, horizon=6)
    assert evolution.horizon == 6
    assert np.isfinite(evolution.deviation).all()
    assert np.linalg.eigvalsh(evolution.correlation)[0] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deviation": np.array([0.1, -0.2, 0.1, 0.1])}, "deviation must be finite numbers >= 0"),
        ({"correlation": np.eye(4)}, r"correlation must have the shape \(5, 5\)"),
        ({"correlation": np.ones((5, 5))}, "correlation must be positive definite"),
        ({"scale": np.ones(3)}, "scale must be one number >= 0 for each of 2 items"),
    ],
)
def test_models_check_their_parts(change, message):
    with pytest.raises(FractileError, match=message):
        replace(MODEL, **change)


def test_news_has_the_covariance_of_the_model():
    paths = 40_000
    news = MODEL.sample(np.random.default_rng(0), paths, 2, 4)
    joint = np.cov(np.column_stack([news.score[:, 0], news.log_factor[:, 1]]).T)
    expected = CORRELATION * np.outer([1.0, *DEVIATION], [1.0, *DEVIATION])
    diagonal = np.diagonal(expected)
    error = np.sqrt((np.outer(diagonal, diagonal) + expected**2) / paths)
    assert (np.abs(joint - expected) < 4 * error).all()
    np.testing.assert_array_equal(news.log_factor[:, 0], 0.0)


def test_factors_are_martingales():
    paths = 20_000
    factor = np.exp(MODEL.sample(np.random.default_rng(1), paths, 9, 3, scale=1.5).log_factor)
    error = factor.std(0) / np.sqrt(paths)
    assert (np.abs(factor.mean(0) - 1.0) <= 4 * error).all()
    # The forecast of one period, t + k: what changes from t to t + 1 has mean zero whatever t knew.
    gain = factor[:, 1:, 0] - factor[:, :-1, 1]
    for t in range(1, 8):
        high = factor[:, t, 1] > 1.0
        assert abs(gain[high, t].mean()) < 4 * gain[high, t].std() / np.sqrt(high.sum())


def test_log_variance_adds_up_over_leads():
    log_factor = MODEL.sample(np.random.default_rng(2), 20_000, 8, 1).log_factor[:, :, 0]
    expected = MODEL.resolved(7)
    assert expected[7] == pytest.approx((DEVIATION**2).sum() + 3 * DEVIATION[3] ** 2)
    np.testing.assert_allclose(log_factor.var(0), expected, rtol=4 * np.sqrt(2 / 20_000), atol=1e-12)


def test_first_paths_of_the_news_are_the_same_however_many_follow():
    few, many = (MODEL.sample(np.random.default_rng(0), paths, 6, 3) for paths in (5, 700))
    np.testing.assert_array_equal(few.log_factor, many.log_factor[:5])
    np.testing.assert_array_equal(few.score, many.score[:5])


def test_demand_correlation_is_that_of_the_draws():
    paths, span, residual, scale = 60_000, 4, 0.09, 1.5
    news = MODEL.sample(np.random.default_rng(5), paths, span, 1, scale=scale)
    log_demand = news.log_factor[:, :, 0] + np.sqrt(residual) * news.score
    expected = MODEL.demand_correlation(np.full((1, span), residual), np.array([scale]))[0]
    np.testing.assert_allclose(np.corrcoef(log_demand.T), expected, atol=4 / np.sqrt(paths))
    assert expected[0, 1] > 0.2


def evolved(first=None, evolution=MODEL, periods=8, span=3, paths=4000, **options):
    first = lognormal_forecast(levels=FINE) if first is None else first
    model = ForecastDemand(first, mode="evolved", evolution=evolution, integer=False, **options)
    return draw_scenario(model, 0, paths, periods, span)


def test_the_first_forecast_is_shown_as_it_is():
    first, calmer = lognormal_forecast(), replace(MODEL, deviation=0.8 * DEVIATION)
    shown = evolved(first, calmer, paths=3, span=4).forecast(0)
    np.testing.assert_allclose(shown.values[:, 2], first.values[:, 0, :4], rtol=1e-9)
    assert shown.item_ids == first.item_ids
    # Where revisions take all that the first forecast grows by, interpolation between levels moves its spread a little.
    shown = evolved(first, paths=3, span=4).forecast(0)
    np.testing.assert_allclose(shown.values[:, 2], first.values[:, 0, :4], rtol=1e-3)


def test_mean_forecasts_of_a_period_stay_where_the_first_one_was():
    first, paths = lognormal_forecast(levels=FINE), 4000
    scenario = evolved(first, paths=paths)
    for t in range(8):
        mean = scenario.forecast(t).mean()
        error = mean.std(1) / np.sqrt(paths)
        assert (np.abs(mean.mean(1) - first.mean()[:, 0, t : t + 3]) <= 4 * error + 1e-9).all()
    assert error.min() > 0


def test_demand_has_the_mean_of_the_first_forecast():
    first, paths = lognormal_forecast(levels=FINE), 4000
    demand = evolved(first, paths=paths).demand
    error = demand.std(0) / np.sqrt(paths)
    assert (np.abs(demand.mean(0) - first.mean()[:, 0, :8].T) < 4 * error).all()


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_demand_is_calibrated_to_every_forecast_seen(lead):
    # Probability integral transforms of demand in t under the forecasts of t, t − 1 and t − 2.
    scenario, paths = evolved(), 4000
    edges = np.linspace(0, 1, 11)
    for t in range(lead, 8):
        forecast = scenario.forecast(t - lead)
        seen = forecast.after(lead).head(1)
        demand = scenario.demand[:, t].T[:, :, None]
        pit = cdf_bounds(seen, demand, whole_units=False)[1][..., 0]
        for item in pit:
            counts = np.histogram(item, edges)[0]
            chi_square = ((counts - paths / 10) ** 2 / (paths / 10)).sum()
            # 9 degrees of freedom: mean 9, variance 18.
            assert chi_square < 9 + 4 * np.sqrt(2 * 18)


def test_sums_over_the_lead_time_are_calibrated():
    scenario = evolved(lognormal_forecast(), paths=3000)
    level = 0.8
    for t in (0, 4):
        bound = scenario.forecast(t).total(3).quantile(level)[:, :, 0].T
        met = scenario.demand[:, t : t + 3].sum(1) <= bound
        assert (np.abs(met.mean(0) - level) < 4 * np.sqrt(level * (1 - level) / 3000) + 0.01).all()


def test_sums_are_those_of_the_forecast_on_its_own():
    first = lognormal_forecast()
    model = ForecastDemand(first, mode="evolved", evolution=MODEL)
    item = np.array([1, 0, 0, 1, 1])
    scenarios = (evolved(first, paths=9, span=4), model.episodes(np.random.default_rng(0), item, 5, 4))
    for scenario in scenarios:
        forecast = scenario.forecast(3)
        plain = QuantileForecast(
            forecast.levels, forecast.values, forecast.origins, forecast.item_ids, dependence=forecast.dependence
        )
        for span in (1, 2, 4, np.broadcast_to([[3], [2]], (2, 1))[: len(forecast.values)]):
            np.testing.assert_allclose(forecast.total(span).values, plain.total(span).values, rtol=1e-9)
        assert forecast.take(np.array([0]), np.array([2])).total(4).values.shape == (1, 1, 1, len(LEVELS))
        np.testing.assert_allclose(forecast.after(1).head(2).values, forecast.values[:, :, 1:3])


def test_uncertainty_shrinks_as_periods_come_nearer():
    curve = EvolvedForecasts.of(lognormal_forecast(), MODEL, 8, 4)
    mean = np.broadcast_to(curve.base.mean(-1)[..., None], curve.base.shape)
    width = (curve.base[..., -1] - curve.base[..., 0]) / mean[..., 0]
    assert (np.diff(width, axis=-1) > 0).all()
    # What is left at lead 0 is the same in every period.
    np.testing.assert_allclose(width[:, :, 0], width[:, :1, 0].repeat(8, 1), rtol=1e-3)


def test_revisions_larger_than_the_spread_admits_make_forecasts_wider():
    sure = lognormal_forecast(replace(MODEL, deviation=0.0 * DEVIATION))
    curve = EvolvedForecasts.of(sure, MODEL, 6, 3)
    ratio = np.log(curve.base[..., -1] / curve.base[..., 5])
    own = np.log(sure.values[0, 0, 0, -1] / sure.values[0, 0, 0, 5])
    np.testing.assert_allclose(ratio[:, :, 0], own, rtol=1e-3)
    assert (ratio[:, :, 2] > 1.1 * own).all()


def test_zeros_keep_their_probability():
    levels = np.array([0.1, 0.3, 0.5, 0.6, 0.8, 0.95])
    values = np.broadcast_to([0.0, 0.0, 0.0, 1.0, 3.0, 6.0], (2, 1, 12, 6))
    first = QuantileForecast(levels, values, np.array([30]), ("tea", "coffee"))
    scenario = evolved(first, paths=4000)
    for t in range(8):
        share = (scenario.demand[:, t] == 0).mean(0)
        assert (np.abs(share - 0.5) < 4 * np.sqrt(0.25 / 4000)).all()
        assert np.isfinite(scenario.forecast(t).values).all()
        assert (np.diff(scenario.forecast(t).values) >= 0).all()


def test_a_surprise_moves_the_next_forecast():
    scenario = evolved(paths=4000)
    demand, next_mean = scenario.demand[:, 0, 0], scenario.forecast(1).mean()[0, :, 0]
    correlation = np.corrcoef(np.log(demand), np.log(next_mean))[0, 1]
    assert correlation == pytest.approx(CORRELATION[0, 1], abs=4 / np.sqrt(4000))


def test_evolved_draws_go_by_their_key():
    one, again = evolved(paths=5), evolved(paths=300)
    np.testing.assert_array_equal(one.demand, again.demand[:5])
    for t in (0, 7):
        np.testing.assert_array_equal(one.forecast(t).values, again.forecast(t).values[:, :5])
    assert (one.demand[0] != one.demand[1]).all()


def test_evolved_draws_of_an_item_do_not_move_when_others_are_dropped():
    first = lognormal_forecast()
    every, one = evolved(first, paths=7), evolved(first.select(np.array([1])), paths=7)
    np.testing.assert_array_equal(one.demand[:, :, 0], every.demand[:, :, 1])


def test_forecasts_do_not_know_the_demand_of_their_period():
    # Log demand over the forecast's mean is the score of the period, which nothing before depends on.
    scenario = evolved(paths=4000)
    for t in (2, 6):
        mean = scenario.forecast(t).mean()[:, :, 0].T
        surprise = np.log(scenario.demand[:, t] / mean)
        for i in range(2):
            assert abs(np.corrcoef(surprise[:, i], np.log(mean[:, i]))[0, 1]) < 4 / np.sqrt(4000)


def test_episodes_evolve_as_scenarios_do():
    first = lognormal_forecast()
    model = ForecastDemand(first, mode="evolved", evolution=MODEL, integer=False)
    item = np.repeat([1, 0], 3000)
    scenario = model.episodes(np.random.default_rng(0), item, 5, 2)
    assert scenario.demand.shape == (6000, 5, 1)
    np.testing.assert_allclose(scenario.forecast(0).values[0, 0], first.values[1, 0, :2], rtol=1e-9)
    assert scenario.forecast(4).values.shape == (1, 6000, 2, len(LEVELS))
    for i, rows in ((1, slice(0, 3000)), (0, slice(3000, 6000))):
        mean = scenario.forecast(4).mean()[0, rows, 0]
        assert abs(mean.mean() - first.mean()[i, 0, 4]) < 4 * mean.std() / np.sqrt(3000)
    assert scenario.forecast(4).total(2).values.shape == (1, 6000, 1, len(LEVELS))


def test_without_a_model_it_is_fitted_on_what_precedes_the_start():
    panel = small_panel(periods=80)
    made = make_forecaster("ets").fit(panel.until(60))
    model = ForecastDemand(made, panel, mode="evolved", start=60)
    spoiled = replace(panel, sales=np.where(np.arange(80) >= 60, 500.0, panel.sales))
    one, other = (draw_scenario(m, 0, 20, 6, 2) for m in (model, replace(model, panel=spoiled)))
    np.testing.assert_array_equal(one.demand, other.demand)
    assert (one.demand % 1 == 0).all()
    first = made.predict(panel, 2, origins=[60])
    np.testing.assert_allclose(one.forecast(0).mean()[:, 0], first.mean()[:, 0], rtol=1e-6)


def test_a_fitted_model_asks_for_no_more_than_the_first_forecast_does(revised):
    model = ForecastDemand(revised, revised.panel, mode="evolved")
    scenario = draw_scenario(model, 0, 4, 3, 3)
    assert scenario.demand.shape == (4, 3, 40)
    np.testing.assert_allclose(model.fitted_evolution(4).deviation, DEVIATION, rtol=0.5)


def test_fixed_rolled_and_evolved_share_their_random_numbers():
    panel = small_panel()
    made = make_forecaster("seasonal_naive").fit(panel)
    # In the first period nothing has been learnt nor revised yet.
    first = {
        mode: draw_scenario(ForecastDemand(made, panel, mode=mode, integer=False), 0, 30, 2).demand[:, 0]
        for mode in ("fixed", "rolled", "evolved")
    }
    np.testing.assert_allclose(first["evolved"], first["rolled"], rtol=1e-6)
    np.testing.assert_allclose(first["evolved"], first["fixed"], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ForecastDemand(lognormal_forecast(), mode="evolved"), "mode 'evolved' needs a fitted forecaster"),
        (
            lambda: ForecastDemand(lognormal_forecast(), mode="evolving"),
            "mode must be 'fixed' or 'rolled' or 'evolved'",
        ),
    ],
)
def test_evolved_mode_checks_what_it_needs(make, message):
    with pytest.raises(FractileError, match=message):
        make()
