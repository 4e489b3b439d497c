"""Belief apart from truth: distortions of any forecast, and what they cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fractile as fr
from fractile import (
    DEFAULT_LEVELS,
    Believed,
    Distortion,
    ForecastDemand,
    FractileError,
    NegativeBinomial,
    Normal,
    Poisson,
    QuantileForecast,
    Replay,
    make_forecaster,
)
from fractile.envs.demand.model import draw_scenario
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.forecast import Dependence

SEED = 4


def gamma_forecast(items: int = 3, origins: int = 1, horizon: int = 8) -> QuantileForecast:
    rng = np.random.default_rng(5)
    values = np.cumsum(rng.gamma(2.0, 3.0, (items, origins, horizon, len(DEFAULT_LEVELS))), axis=-1)
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    dependence = Dependence((0.6**lag)[None], np.zeros((1, 1), dtype=np.int64))
    names = tuple(f"item {i}" for i in range(items))
    return QuantileForecast(np.array(DEFAULT_LEVELS), values, 60 + np.arange(origins), names, dependence=dependence)


FORECASTS = {
    "quantiles": gamma_forecast(),
    "many origins": gamma_forecast(origins=4),
    "distribution": Poisson(np.array([5.0, 20.0, 0.3])).forecast(8),
}
RIGHT = Distortion()
WRONG = {
    "biased": Distortion(bias=0.25),
    "too sure": Distortion(spread=0.5),
    "too unsure": Distortion(spread=2.0),
    "all": Distortion(bias=-0.3, spread=1.5, noise=0.4),
}


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
def test_nothing_distorts_nothing(forecast):
    assert RIGHT.apply(forecast) is forecast
    assert RIGHT.apply(forecast, np.ones((3, 1))) is forecast


def test_a_scenario_that_is_not_distorted_is_the_truths():
    model = Poisson(np.array([5.0, 8.0]))
    truth, believed = (draw_scenario(m, SEED, 30, 6, 3) for m in (model, Believed(model, RIGHT)))
    np.testing.assert_array_equal(believed.demand, truth.demand)
    for t in range(6):
        np.testing.assert_array_equal(
            believed.forecast(t).total(3).quantile(0.9), truth.forecast(t).total(3).quantile(0.9)
        )


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
def test_bias_multiplies_everything(forecast):
    shown = Distortion(bias=0.25).apply(forecast)
    np.testing.assert_allclose(shown.quantile(0.83), 1.25 * forecast.quantile(0.83))
    np.testing.assert_allclose(shown.mean(), 1.25 * forecast.mean())
    np.testing.assert_allclose(shown.values, 1.25 * forecast.values)
    np.testing.assert_allclose(shown.draws(64, 3), 1.25 * forecast.draws(64, 3))
    np.testing.assert_allclose(shown.total(3).quantile(0.9), 1.25 * forecast.total(3).quantile(0.9))
    np.testing.assert_allclose(shown.total(3).mean(), 1.25 * forecast.total(3).mean())


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
def test_spread_scales_the_distance_from_the_median(forecast):
    median, shown = forecast.quantile(0.5), Distortion(spread=0.5).apply(forecast)
    np.testing.assert_allclose(shown.quantile(0.5), median)
    np.testing.assert_allclose(shown.quantile(0.95) - median, 0.5 * (forecast.quantile(0.95) - median))
    np.testing.assert_allclose(shown.mean(), median + 0.5 * (forecast.mean() - median))
    total, median = forecast.total(3), forecast.total(3).quantile(0.5)
    np.testing.assert_allclose(shown.total(3).quantile(0.2) - median, 0.5 * (total.quantile(0.2) - median))
    flat = Distortion(spread=0.0).apply(forecast)
    np.testing.assert_allclose(flat.quantile(0.99), flat.quantile(0.01))


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
@pytest.mark.parametrize("distortion", WRONG.values(), ids=WRONG)
def test_distorted_quantiles_are_monotone_and_not_negative(forecast, distortion):
    normal = np.random.default_rng(0).standard_normal((3, forecast.values.shape[1]))
    shown = distortion.apply(forecast, normal)
    for one in (shown, shown.total(4), shown.after(2), shown.head(2), shown.total(2)):
        levels = np.stack([one.quantile(level) for level in np.linspace(0.01, 0.99, 50)], -1)
        assert (np.diff(levels) >= -1e-9).all()
        assert levels.min() >= 0
        assert (np.diff(one.values) >= -1e-9).all()
        assert one.values.min() >= 0


def test_means_are_those_of_the_draws_where_zero_cuts_off():
    shown = Distortion(spread=2.0).apply(gamma_forecast())
    uniform = ((np.arange(20_000) + 0.5) / 20_000)[:, None, None, None]
    drawn = shown.at_uniforms(np.broadcast_to(uniform, (20_000, 3, 1, 8)))
    assert (drawn == 0).any()
    np.testing.assert_allclose(shown.mean(), drawn.mean(0), rtol=0.01)


def test_sums_and_draws_tell_the_same():
    # Sums are distorted about their own median, draws about that of each period: a little apart for skewed demand.
    shown = Distortion(bias=0.1, spread=0.6).apply(gamma_forecast())
    sums = np.quantile(shown.draws(1024, 3).sum(-1), 0.9, axis=0)
    np.testing.assert_allclose(shown.total(3).quantile(0.9)[..., 0], sums, rtol=0.02)


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
def test_views_of_a_distorted_forecast_are_distorted_views(forecast):
    normal = np.random.default_rng(1).standard_normal((3, 4))
    distortion = Distortion(bias=0.2, spread=0.7, noise=0.5)
    shown = distortion.apply(forecast, normal)
    assert shown.values.shape == (3, 4, 8, len(DEFAULT_LEVELS))
    assert len(shown.origins) == 4
    item, origin = np.array([2, 0, 0, 1, 2]), np.array([3, 1, 0, 2, 2])
    few, level = shown.take(item, origin), np.array([[0.9], [0.5], [0.8]])
    np.testing.assert_allclose(few.values[0], shown.values[item, origin])
    nowhere = origin if forecast.values.shape[1] > 1 else 0 * origin
    plain = distortion.apply(forecast.take(item, nowhere), normal[item, origin][None])
    np.testing.assert_allclose(few.total(2).quantile(0.9), plain.total(2).quantile(0.9))
    np.testing.assert_allclose(shown.at_origin(2).quantile(0.9)[:, 0], shown.quantile(0.9)[:, 2])
    np.testing.assert_allclose(shown.at_origin(-1).mean()[:, 0], shown.mean()[:, 3])
    np.testing.assert_allclose(shown.after(3).head(2).quantile(0.4), shown.quantile(0.4)[:, :, 3:5])
    np.testing.assert_allclose(shown.quantile(level)[1], shown.quantile(0.5)[1])
    drawn = shown.sample(2000, np.random.default_rng(0))
    assert drawn.shape == (2000, 3, 4, 8)
    error = 4 * drawn.std(0) / np.sqrt(2000)
    assert (np.abs(drawn.mean(0) - shown.mean()) < error + 0.02 * shown.mean()).all()


def test_items_of_a_distorted_forecast():
    shown = Distortion(bias=0.2, noise=0.5).apply(gamma_forecast(), np.arange(12.0).reshape(3, 4) / 10)
    np.testing.assert_allclose(shown.select(np.array([2, 0])).mean(), shown.mean()[[2, 0]])


def test_noise_has_mean_one_and_the_deviation_asked_for():
    paths = 20_000
    model = Believed(Poisson(np.array([5.0, 50.0])), Distortion(noise=0.5))
    scenario = draw_scenario(model, SEED, paths, 3, 2)
    ratio = np.stack([f.mean()[:, :, 0] / np.array([[5.0], [50.0]]) for f in scenario.forecasts])
    logs = np.log(ratio)
    assert (np.abs(ratio.mean(-1) - 1.0) < 4 * ratio.std(-1) / np.sqrt(paths)).all()
    np.testing.assert_allclose(logs.std(-1), 0.5, rtol=4 / np.sqrt(2 * paths))
    # Anew for each item and period.
    flat = logs.reshape(6, paths)
    assert np.abs(np.corrcoef(flat) - np.eye(6)).max() < 4 / np.sqrt(paths)


def test_noise_goes_by_its_key():
    model = Believed(Poisson(5.0), Distortion(noise=0.3))
    few, many, other = (draw_scenario(model, s, n, 3, 2) for s, n in ((SEED, 5), (SEED, 400), (SEED + 1, 5)))
    np.testing.assert_array_equal(few.forecast(2).values, many.forecast(2).values[:, :5])
    assert (few.forecast(2).mean() != other.forecast(2).mean()).all()
    # The same noise whatever else is distorted.
    biased = draw_scenario(Believed(Poisson(5.0), Distortion(bias=1.0, noise=0.3)), SEED, 5, 3, 2)
    np.testing.assert_allclose(biased.forecast(1).mean(), 2.0 * few.forecast(1).mean())


TRUTHS = {
    "Poisson": lambda: Poisson(np.array([5.0, 20.0])),
    "fixed": lambda: ForecastDemand(gamma_forecast(items=2)),
    "rolled": lambda: ForecastDemand(
        make_forecaster("seasonal_naive").fit(small_panel(2)), small_panel(2), mode="rolled"
    ),
}


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("distortion", WRONG.values(), ids=WRONG)
def test_demand_does_not_move_when_belief_moves(truth, distortion):
    model = truth()
    known, believed = (draw_scenario(m, SEED, 4, 4, 2) for m in (model, Believed(model, distortion)))
    np.testing.assert_array_equal(known.demand, believed.demand)
    np.testing.assert_array_equal(
        model.sample(np.random.default_rng(0), 3, 4), Believed(model, distortion).sample(np.random.default_rng(0), 3, 4)
    )
    assert (known.forecast(3).values != believed.forecast(3).values[:, :1]).any()


@pytest.mark.parametrize("distortion", WRONG.values(), ids=WRONG)
def test_episodes_and_what_is_drawn_behind_them_do_not_move(distortion):
    model, item = Poisson(np.array([5.0, 20.0])), np.array([1, 0, 1])
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    known = model.episodes(one, item, 4, 2)
    believed = Believed(model, distortion).episodes(other, item, 4, 2)
    np.testing.assert_array_equal(known.demand, believed.demand)
    assert one.random() == other.random()
    assert believed.forecast(0).values.shape == (1, 3, 2, len(DEFAULT_LEVELS))
    ratio = believed.forecast(0).quantile(0.5) / known.forecast(0).quantile(0.5)
    assert (ratio[0, :, 0] > 0).all()
    assert len(np.unique(np.round(ratio[0, :, 0], 9))) == (3 if distortion.noise else 1)


def test_another_model_is_believed():
    truth, belief = NegativeBinomial(np.array([5.0, 9.0]), 2.0), Poisson(np.array([6.0, 6.0]))
    model = Believed(truth, belief)
    scenario = draw_scenario(model, SEED, 50, 5, 3)
    np.testing.assert_array_equal(scenario.demand, draw_scenario(truth, SEED, 50, 5, 3).demand)
    np.testing.assert_array_equal(
        scenario.forecast(4).total(3).quantile(0.9), belief.forecast(3).total(3).quantile(0.9)
    )
    episodes = model.episodes(np.random.default_rng(0), np.array([1, 1, 0]), 4, 2)
    np.testing.assert_array_equal(
        episodes.demand, truth.episodes(np.random.default_rng(0), np.array([1, 1, 0]), 4, 2).demand
    )
    np.testing.assert_allclose(episodes.forecast(0).mean(), 6.0, rtol=0.02)


def test_one_forecast_is_believed_as_time_goes_on():
    belief = gamma_forecast(items=2)
    scenario = draw_scenario(Believed(Poisson(np.array([5.0, 9.0])), belief), SEED, 6, 5, 3)
    np.testing.assert_array_equal(scenario.forecast(4).values, belief.values[:, :, 4:7])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distortion(bias=-1.0), "bias must be a finite number above -1, got -1.0"),
        (
            lambda: Distortion(spread=-0.1, noise=np.inf),
            "spread must be .*\nnoise must be a finite number >= 0, got inf",
        ),
        (
            lambda: Believed(Poisson(5.0), Poisson(np.array([5.0, 6.0]))),
            "belief must be about the truth's 1 items, got 2",
        ),
        (
            lambda: draw_scenario(Believed(Poisson(np.ones(2)), TRUTHS["rolled"]()), 0, 2, 2),
            "belief must be a model whose forecasts do not depend on the path",
        ),
        (lambda: draw_scenario(Believed(Replay(small_panel()), WRONG["all"]), 0, 2, 2), "a distortion needs forecasts"),
    ],
)
def test_what_cannot_be_believed(make, message):
    with pytest.raises(FractileError, match=message):
        make()


def cost_of(distortion: Distortion, model=None) -> np.ndarray:
    params = fr.ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=9.0, unmet_demand="backorder")
    scenario = draw_scenario(Believed(model or Normal(100.0, 20.0), distortion), SEED, 200, 40, 2)
    return fr.simulate(fr.make_policy("newsvendor"), scenario, params, warm_up=5).cost.mean((1, 2))


def dearer(one: Distortion, other: Distortion) -> bool:
    """Whether `one` costs more than `other` on the same paths, beyond error."""
    gap = cost_of(one) - cost_of(other)
    return bool(gap.mean() > 4 * gap.std() / np.sqrt(len(gap)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cost_grows_with_bias(sign):
    for small, large in itertools.pairwise([0.0, 0.1, 0.2, 0.4]):
        assert dearer(Distortion(bias=sign * large), Distortion(bias=sign * small))


def test_cost_grows_with_false_confidence_and_with_noise():
    assert dearer(Distortion(spread=0.4), Distortion())
    assert dearer(Distortion(spread=2.5), Distortion())
    assert dearer(Distortion(noise=0.3), Distortion(noise=0.1))
    assert dearer(Distortion(noise=0.1), Distortion())


def test_policies_take_distorted_forecasts():
    params = fr.ItemParams(lead_time=np.array([1, 2]), stockout_cost=np.array([4.0, 9.0]))
    model = Believed(Poisson(np.array([5.0, 8.0])), Distortion(bias=0.2, spread=1.3, noise=0.2))
    scenario = draw_scenario(model, SEED, 20, 8, 3)
    for name in ("newsvendor", "tuned_newsvendor", "projected"):
        got = fr.simulate(fr.make_policy(name), scenario, params)
        assert np.isfinite(got.cost).all()
        assert got.order.sum() > 0
