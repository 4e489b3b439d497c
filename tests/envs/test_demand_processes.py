"""Demand whose distribution moves: what is drawn, and whether the forecasts are the true conditional distributions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile.envs.demand import autoregressive
from fractile.envs.demand.modifiers import UNSOLD

SEASONS = [0.5, 1.0, 2.0, 0.8]
TRANSITION = [[0.85, 0.15], [0.3, 0.7]]
PRICES = np.array([10.0, 8.0, 10.0, 9.0, 7.0, 10.0, 10.0, 8.0] * 10)


def seasonal(base):
    return fr.Seasonal(base, SEASONS, trend=0.01, phase=1)


def regimes(low, high, **options):
    return fr.MarkovModulated((low, high), TRANSITION, **options)


PROCESSES = {
    "seasonal poisson": seasonal(fr.Poisson(np.array([6.0, 1.5]))),
    "seasonal negative binomial": seasonal(fr.NegativeBinomial(8.0, 2.0)),
    "seasonal compound": seasonal(fr.demand.CompoundPoisson(3.0, [0.0, 0.6, 0.0, 0.4])),
    "seasonal rounded": seasonal(fr.demand.Rounded(fr.Gamma(6.0, cv=0.5))),
    "seasonal gamma": seasonal(fr.Gamma(6.0, cv=np.array([0.4, 1.2]))),
    "seasonal normal": seasonal(fr.Normal(40.0, 8.0)),
    "ramp": fr.demand.NewItemRamp(
        fr.Poisson(np.array([20.0, 10.0])), half_way=4.0, launch=np.array([-3, 2]), shape="logistic"
    ),
    "new item with seasons": fr.demand.NewItemRamp(seasonal(fr.NegativeBinomial(20.0, 5.0)), half_way=3.0),
    "promotions": fr.demand.Promotions(fr.NegativeBinomial(6.0, 3.0), PRICES, 2.5, list_price=10.0),
    "correlated": fr.demand.Correlated(seasonal(fr.Poisson(np.array([6.0, 1.5, 30.0]))), 0.5),
    "autoregressive": fr.AR1(np.array([30.0, 20.0]), np.array([0.7, -0.5]), np.array([4.0, 2.0])),
    "clipped autoregressive": fr.AR1(4.0, 0.8, 2.5),
    "regimes": regimes(fr.Poisson(np.array([2.0, 5.0])), fr.Poisson(np.array([9.0, 6.0]))),
    "hidden regimes": regimes(fr.Poisson(3.0), fr.Poisson(8.0), hidden=True),
    "shared hidden regimes": regimes(fr.Poisson(np.array([2.0, 5.0])), fr.Geometric(7.0), hidden=True, shared=True),
    "continuous regimes": regimes(fr.Normal(10.0, 2.0), fr.Normal(20.0, 6.0), hidden=True),
}
EVERY = pytest.mark.parametrize("model", PROCESSES.values(), ids=PROCESSES)
DISCRETE = {name for name, model in PROCESSES.items() if getattr(model, "discrete", False)}


def ranks_of(demand: np.ndarray, cdf, rng: np.random.Generator) -> np.ndarray:
    """P(demand below what came), spread evenly where demand has a probability of its own: uniform if cdf is true."""
    upto, below = cdf(demand), cdf(demand - 1e-9)
    return below + rng.random(demand.shape) * (upto - below)


def assert_uniform(ranks: np.ndarray, bins: int = 20) -> None:
    seen = np.bincount(np.minimum((ranks * bins).astype(int), bins - 1).ravel(), minlength=bins)
    chi_square = ((seen - ranks.size / bins) ** 2).sum() / (ranks.size / bins)
    assert chi_square < bins - 1 + 4 * np.sqrt(2 * (bins - 1))


@EVERY
def test_the_next_period_is_forecast_as_it_is(model):
    scenario = fr.draw_scenario(model, 5, 300, 24, 3)
    rng, found = np.random.default_rng(0), []
    for t in range(scenario.periods):
        cdf = scenario.forecast(t).outlook.window(0, 1).periods().cdf
        found.append(ranks_of(scenario.demand[:, t], lambda units, cdf=cdf: cdf(units[None])[0], rng))
    ranks = np.stack(found)
    for item in range(model.items):
        assert_uniform(ranks[:, :, item])
    # Given all that is known, what comes next says nothing more: ranks of successive periods are independent.
    normal = stats.norm.ppf(np.clip(ranks, 1e-9, 1 - 1e-9))
    assert abs((normal[1:] * normal[:-1]).mean()) < 4 / np.sqrt(normal[1:].size)


@EVERY
@pytest.mark.parametrize("period", [0, 7])
def test_later_periods_and_sums_are_forecast_as_they_are(model, period):
    scenario = fr.draw_scenario(model, 6, 1500, 12, 4)
    forecast, rng = scenario.forecast(period), np.random.default_rng(1)
    later = forecast.after(2).head(1).outlook.periods().cdf
    ranks = ranks_of(scenario.demand[:, period + 2], lambda units: later(units[None])[0], rng)
    for item in range(model.items):
        assert_uniform(ranks[:, item], bins=10)
    for first, span in ((0, 3), (1, 3)):
        total = (forecast.after(first) if first else forecast).total(span).outlook.periods()
        drawn = scenario.demand[:, period + first : period + first + span].sum(1)
        ranks = ranks_of(drawn, lambda units, total=total: total.cdf(units[None])[0], rng)
        for item in range(model.items):
            assert_uniform(ranks[:, item], bins=10)


@EVERY
def test_forecasts_agree_with_themselves(model):
    forecast = fr.draw_scenario(model, 7, 8, 6, 4).forecast(3)
    items, origins, horizon, _ = forecast.values.shape
    assert (items, horizon) == (model.items, 4)
    assert origins in (1, 8)
    for k, level in enumerate(forecast.levels):
        np.testing.assert_allclose(forecast.quantile(level), forecast.values[..., k], rtol=1e-9)
    assert (np.diff(forecast.values) >= 0).all()
    sums = [forecast.total(n).mean()[:, :, 0] for n in (1, 2, 3, 4)]
    np.testing.assert_allclose(np.diff(sums, axis=0, prepend=0.0), np.moveaxis(forecast.mean(), 2, 0), rtol=5e-3)
    # Quasi-random draws stand for the same distributions.
    drawn = forecast.draws(2048)
    assert drawn.shape == (2048, items, origins, 4)
    np.testing.assert_allclose(drawn.mean(0), forecast.mean(), rtol=0.05)
    whole, parts = drawn[..., :3].sum(-1).mean(0), forecast.total(3)
    np.testing.assert_allclose(whole, parts.mean()[..., 0], rtol=0.03)
    high = np.quantile(drawn[..., :3].sum(-1), 0.9, axis=0)
    np.testing.assert_allclose(high, parts.quantile(0.9)[..., 0], rtol=0.06, atol=1.0)


@EVERY
def test_the_first_paths_and_their_forecasts_are_the_same_however_many_follow(model):
    few, many = (fr.draw_scenario(model, 3, paths, 5, 2) for paths in (3, 300))
    np.testing.assert_array_equal(few.demand, many.demand[:3])
    shown = many.forecast(4).values
    np.testing.assert_allclose(few.forecast(4).values, shown if shown.shape[1] == 1 else shown[:, :3], rtol=1e-12)
    if model.items > 1 or "normal" in repr(model).lower():
        assert len(np.unique(many.demand[:, 0])) > 3
    sampled = model.sample(np.random.default_rng(0), 2, 5)
    assert sampled.shape == (2, 5, model.items)


@EVERY
def test_episodes_hold_the_item_that_was_asked_for(model):
    item = np.array([model.items - 1, 0, 0, model.items - 1])
    scenario = model.episodes(np.random.default_rng(0), item, 6, 3)
    assert scenario.demand.shape == (4, 6, 1)
    forecast = scenario.forecast(2)
    assert forecast.values.shape[:3] == (1, 4, 3)
    assert np.isfinite(forecast.total(3).quantile(0.9)).all()
    assert forecast.total(2).quantile(np.full((1, 4), 0.8)).shape == (1, 4, 1)
    # Over many episodes an item's demand is that of the model.
    many = np.tile([0, model.items - 1], 1000)
    drawn = model.episodes(np.random.default_rng(1), many, 3, 1).demand[:, 2, 0]
    whole = fr.draw_scenario(model, 0, 2000, 3).demand[:, 2]
    for which in (0, model.items - 1):
        own, other = drawn[many == which], whole[:, which]
        error = np.hypot(own.std() / np.sqrt(own.size), other.std() / np.sqrt(other.size))
        assert abs(own.mean() - other.mean()) < 4 * error + 1e-9


@EVERY
def test_scenarios_survive_pickling(model):
    scenario = fr.draw_scenario(model, 1, 4, 5, 2)
    again = pickle.loads(pickle.dumps(scenario))
    np.testing.assert_array_equal(again.demand, scenario.demand)
    np.testing.assert_allclose(again.forecast(3).values, scenario.forecast(3).values)
    window = again.window(2, 4)
    np.testing.assert_allclose(window.forecast(1).values, scenario.forecast(3).values)
    np.testing.assert_array_equal(window.forecast(1).values, window.forecast(1).values)


def test_seasons_and_trend_set_the_mean():
    model = fr.Seasonal(fr.Poisson(10.0), SEASONS, trend=0.05, phase=1)
    expected = 10.0 * np.array([1.0, 2.0, 0.8, 0.5, 1.0, 2.0]) * 1.05 ** np.arange(6)
    drawn = fr.draw_scenario(model, 0, 4000, 6).demand[:, :, 0]
    assert (np.abs(drawn.mean(0) - expected) < 4 * np.sqrt(expected / 4000)).all()
    by_item = fr.Seasonal(fr.Poisson(np.array([10.0, 20.0])), np.array([[1.0, 2.0], [0.5, 1.0]]))
    np.testing.assert_allclose(by_item.forecast(3).mean()[:, 0], [[10.0, 5.0, 10.0], [40.0, 20.0, 40.0]])


def test_seasons_come_back_as_the_same_forecast():
    scenario = fr.draw_scenario(fr.Seasonal(fr.Poisson(10.0), SEASONS), 0, 2, 9, 3)
    assert scenario.forecast(1) is scenario.forecast(5)
    assert scenario.forecast(1) is not scenario.forecast(2)


@pytest.mark.parametrize(("shape", "reached"), [("exponential", 1 - 0.5**0.25), ("logistic", 1 / (1 + np.exp(3.0)))])
def test_a_ramp_rises_to_half_of_its_level_and_on(shape, reached):
    model = fr.demand.NewItemRamp(fr.Poisson(100.0), half_way=4.0, launch=2, shape=shape)
    factor = model.factors(0, 60)[:, 0]
    np.testing.assert_allclose(factor[:2], UNSOLD)
    assert factor[2] == pytest.approx(reached)
    assert factor[5] == pytest.approx(0.5)
    assert (np.diff(factor[1:]) >= 0).all()
    assert factor[-1] > 0.99
    drawn = fr.draw_scenario(model, 0, 2000, 8).demand[:, :, 0]
    assert not drawn[:, :2].any()
    assert (np.abs(drawn.mean(0) - 100 * factor[:8])[2:] < 4 * np.sqrt(factor[2:8] * 100 / 2000)).all()


def test_promotions_answer_to_prices_with_constant_elasticity():
    model = fr.demand.Promotions(fr.Poisson(np.array([20.0, 5.0])), PRICES, np.array([2.0, 0.5]), list_price=10.0)
    scenario = fr.draw_scenario(model, 0, 4000, 8)
    expected = np.array([20.0, 5.0]) * (PRICES[:8, None] / 10.0) ** -np.array([2.0, 0.5])
    assert (np.abs(scenario.demand.mean(0) - expected) < 4 * np.sqrt(expected / 4000)).all()
    np.testing.assert_array_equal(scenario.prices, np.broadcast_to(PRICES[:8, None], (1, 8, 2)))
    # The elasticity can be read off log demand against log price.
    slope = np.polyfit(np.log(PRICES[:8]), np.log(scenario.demand.mean(0)), 1)[0]
    np.testing.assert_allclose(slope, [-2.0, -0.5], atol=0.1)
    episodes = model.episodes(np.random.default_rng(0), np.array([1, 0, 1]), 8, 1)
    np.testing.assert_array_equal(episodes.prices[:, :, 0], np.broadcast_to(PRICES[:8], (3, 8)))


def test_relative_prices_stay_out_of_the_scenario():
    model = fr.Seasonal(fr.demand.Promotions(fr.Poisson(20.0), PRICES / 10.0, 2.0), SEASONS)
    assert fr.draw_scenario(model, 0, 2, 3).prices is None
    listed = fr.demand.Correlated(
        fr.Seasonal(fr.demand.Promotions(fr.Poisson(np.ones(2)), PRICES, 2.0, 10.0), SEASONS), 0.2
    )
    np.testing.assert_array_equal(fr.draw_scenario(listed, 0, 2, 3).prices[0, :, 1], PRICES[:3])


def test_moving_models_answer_for_any_period():
    model = fr.Seasonal(fr.Poisson(np.array([10.0, 4.0])), SEASONS)
    exact = stats.poisson(np.array([10.0, 4.0]) * 2.8)
    units = np.arange(60)[:, None]
    np.testing.assert_allclose(model.cdf(units, 2, period=2), exact.cdf(units))
    np.testing.assert_allclose(model.pmf(units, 2, period=6), exact.pmf(units))
    np.testing.assert_array_equal(model.quantile(0.9, 2, period=2), exact.ppf(0.9))
    assert model.cdf(3.0).shape == (2,)
    with pytest.raises(fr.FractileError, match="has no pmf; use cdf"):
        seasonal(fr.Gamma(3.0, 0.5)).pmf(3)


def test_sums_without_closed_form_are_convolutions():
    model = fr.Seasonal(fr.NegativeBinomial(8.0, 2.0), SEASONS)
    one = [model.pmf(np.arange(400), period=t) for t in (1, 2, 3)]
    expected = np.convolve(np.convolve(one[0], one[1]), one[2])[:400]
    np.testing.assert_allclose(model.pmf(np.arange(400), 3, period=1), expected, atol=1e-13)
    # A gamma whose shape stays and whose scale moves not at all: the grid against the closed form.
    same = fr.Seasonal(fr.Gamma(6.0, cv=0.5), [1.0, 1.0])
    units = np.linspace(5.0, 40.0, 20)
    np.testing.assert_allclose(same.cdf(units, 3), fr.Gamma(6.0, cv=0.5).cdf(units, 3), atol=2e-5)


@pytest.mark.parametrize("rho", [0.6, -0.4])
@pytest.mark.parametrize("base", [fr.Normal(np.array([50.0, 80.0]), 8.0), fr.Poisson(np.array([40.0, 90.0]))], ids=str)
def test_correlation_is_reached_and_marginals_stay(base, rho):
    demand = fr.draw_scenario(fr.demand.Correlated(base, rho), 0, 2000, 10).demand.reshape(-1, 2)
    # Rank correlation of a Gaussian copula; ties of whole units take a little from it.
    expected = 6 / np.pi * np.arcsin(rho / 2)
    assert stats.spearmanr(demand).statistic == pytest.approx(expected, abs=4 / np.sqrt(len(demand)) + 0.003)
    rng, cdf = np.random.default_rng(0), base.distribution().cdf
    for item in range(2):
        assert_uniform(ranks_of(demand, cdf, rng)[:, item])


def test_a_matrix_correlates_items_pair_by_pair():
    matrix = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 1.0]])
    model = fr.demand.Correlated(fr.Normal(np.array([50.0, 50.0, 50.0]), 5.0), matrix)
    demand = fr.draw_scenario(model, 0, 4000, 5).demand.reshape(-1, 3)
    np.testing.assert_allclose(np.corrcoef(demand.T), matrix, atol=4 / np.sqrt(len(demand)))
    np.testing.assert_array_equal(model.select(np.array([2, 1])).matrix, [[1.0, -0.3], [-0.3, 1.0]])
    alike = fr.draw_scenario(fr.demand.Correlated(fr.Poisson(np.array([5.0, 5.0])), 1.0), 0, 50, 4).demand
    np.testing.assert_array_equal(alike[..., 0], alike[..., 1])


def test_an_autoregression_remembers_as_it_should():
    model = fr.AR1(np.array([100.0, 100.0]), np.array([0.8, -0.5]), np.array([6.0, 6.0]))
    demand = fr.draw_scenario(model, 0, 2000, 30).demand
    centred = demand - 100.0
    np.testing.assert_allclose(demand[:, 0].std(0), model.stationary_deviation, rtol=4 / np.sqrt(2 * 2000))
    np.testing.assert_allclose(demand[:, -1].std(0), model.stationary_deviation, rtol=4 / np.sqrt(2 * 2000))
    variance = (centred**2).mean((0, 1))
    for lag in (1, 2, 3):
        got = (centred[:, lag:] * centred[:, :-lag]).mean((0, 1)) / variance
        np.testing.assert_allclose(got, np.array([0.8, -0.5]) ** lag, atol=4 / np.sqrt(2000 * 10))


def test_forecasts_of_an_autoregression_know_the_path_so_far():
    model = fr.AR1(50.0, 0.6, 4.0)
    scenario = fr.draw_scenario(model, 0, 5, 6, 3)
    last = scenario.demand[:, 3, 0]
    forecast = scenario.forecast(4)
    expected = 50.0 + np.array([0.6, 0.36, 0.216]) * (last[:, None] - 50.0)
    np.testing.assert_allclose(forecast.mean()[0], expected, rtol=1e-9)
    width = forecast.quantile(0.9) - forecast.quantile(0.5)
    spread = 4.0 * np.sqrt([1.0, 1.36, 1.36 + 0.6**4])
    np.testing.assert_allclose(width[0], np.tile(stats.norm.ppf(0.9) * spread, (5, 1)), rtol=1e-9)
    # X_1 + X_2 = (1 + φ) ε_1 + ε_2 + what is known.
    total = forecast.total(2)
    gap = total.quantile(0.9) - total.quantile(0.5)
    np.testing.assert_allclose(gap[0, :, 0], stats.norm.ppf(0.9) * 4.0 * np.hypot(1.6, 1.0), rtol=1e-9)


def test_dependence_of_an_autoregression_is_in_its_forecast():
    forecast = fr.draw_scenario(fr.AR1(50.0, 0.6, 4.0), 0, 2, 3, 3).forecast(1)
    drawn = forecast.sample(20_000, np.random.default_rng(0))[:, 0, 0]
    expected = 0.6 / np.sqrt(1.36)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(expected, abs=4 / np.sqrt(20_000))


def test_both_ways_to_sum_an_autoregression_agree_where_clipping_is_rare(monkeypatch):
    forecast = fr.draw_scenario(fr.AR1(50.0, 0.6, 4.0), 0, 3, 3, 3).forecast(1)
    closed = forecast.total(3).quantile(0.9)
    monkeypatch.setattr(autoregressive, "RARE", -1.0)
    drawn = fr.draw_scenario(fr.AR1(50.0, 0.6, 4.0), 0, 3, 3, 3).forecast(1).total(3).quantile(0.9)
    np.testing.assert_allclose(drawn, closed, rtol=2e-3)
    assert (drawn != closed).all()


@pytest.mark.parametrize("shared", [False, True])
def test_regimes_come_as_often_as_the_chain_says(shared):
    model = regimes(fr.Poisson(np.array([1.0, 1.0])), fr.Poisson(np.array([50.0, 50.0])), shared=shared)
    np.testing.assert_allclose(model.stationary, [2 / 3, 1 / 3])
    demand, regime = model.draw(np.random.default_rng(0), 3000, 20)
    np.testing.assert_array_equal(demand > 15, regime > 0)
    for t in (0, 19):
        assert abs(regime[:, t].mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 3000)
    left = (regime[:, 1:] == 1)[regime[:, :-1] == 0]
    assert abs(left.mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / left.size)
    together = np.corrcoef(regime[:, 5].T)[0, 1]
    assert together == pytest.approx(1.0 if shared else 0.0, abs=4 / np.sqrt(3000))


def test_episodes_of_a_shared_chain_have_regimes_of_their_own():
    model = regimes(fr.Poisson(np.array([1.0, 1.0])), fr.Poisson(np.array([50.0, 50.0])), shared=True)
    assert model.select(np.array([1])).shared
    demand = model.episodes(np.random.default_rng(0), np.tile([0, 1], 500), 2, 1).demand[:, 0, 0]
    assert 0.2 < (demand > 15).mean() < 0.5


def test_seen_regimes_are_known_before_demand():
    low, high = fr.Poisson(2.0), fr.Poisson(30.0)
    scenario = fr.draw_scenario(regimes(low, high), 0, 200, 10, 2)
    for t in (0, 5):
        first = scenario.forecast(t).quantile(0.5)[0, :, 0]
        np.testing.assert_array_equal(first > 15, scenario.demand[:, t, 0] > 14)
        mean = scenario.forecast(t).mean()[0]
        second = np.where(mean[:, 0] == 2.0, 0.85 * 2.0 + 0.15 * 30.0, 0.3 * 2.0 + 0.7 * 30.0)
        np.testing.assert_allclose(mean[:, 1], second)


def test_hidden_regimes_are_inferred_by_bayes_rule():
    model = regimes(fr.Poisson(3.0), fr.Poisson(8.0), hidden=True)
    demand = np.array([4.0, 11.0, 2.0]).reshape(1, 3, 1)
    belief, expected = model.stationary, []
    for units in demand.ravel():
        expected.append(belief)
        weight = belief * stats.poisson([3.0, 8.0]).pmf(units)
        belief = weight / weight.sum() @ np.array(TRANSITION)
    np.testing.assert_allclose(model.beliefs(demand)[:, :, 0, 0].T, expected, rtol=1e-12)


def test_hidden_regimes_that_explain_nothing_leave_the_belief():
    model = fr.MarkovModulated((fr.demand.Discrete.uniform(2), fr.demand.Discrete.uniform(3)), TRANSITION, hidden=True)
    beliefs = model.beliefs(np.array([9.0, 1.0]).reshape(1, 2, 1))
    np.testing.assert_allclose(beliefs[:, 1, 0, 0], model.stationary)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fr.Seasonal(fr.Poisson(1.0), [1.0, 0.0]), "indices of demand must be a finite number above 0"),
        (lambda: fr.Seasonal(fr.Poisson(1.0), [1.0], trend=-1.0), r"trend of demand must be a number in \(-1, inf\)"),
        (
            lambda: fr.Seasonal(fr.Poisson(np.ones(3)), np.ones((4, 2))),
            "same items as its base, which has 3; got indices",
        ),
        (
            lambda: fr.draw_scenario(fr.Seasonal(fr.demand.Discrete.uniform(4), [1.0]), 0, 2, 2),
            "Discrete demand cannot move",
        ),
        (
            lambda: fr.demand.NewItemRamp(fr.Poisson(1.0), 3.0, shape="linear"),
            "shape must be 'exponential' or 'logistic'",
        ),
        (lambda: fr.demand.NewItemRamp(fr.Poisson(1.0), -3.0), "half_way of demand must be a finite number above 0"),
        (lambda: fr.demand.Promotions(fr.Poisson(1.0), [1.0, -1.0], -0.5), "prices of demand .*\nelasticity of demand"),
        (
            lambda: fr.draw_scenario(fr.demand.Promotions(fr.Poisson(1.0), PRICES[:5], 2.0), 0, 2, 5, 2),
            "prices cover 5 periods, 6 are needed",
        ),
        (lambda: fr.demand.Correlated(fr.Poisson(np.ones(3)), -0.6), "for 3 items must be from -0.5"),
        (lambda: fr.demand.Correlated(fr.Poisson(np.ones(3)), np.eye(2)), r"matrix of shape \(3, 3\), got \(2, 2\)"),
        (lambda: fr.demand.Correlated(fr.Poisson(np.ones(2)), [[1.0, 0.2], [0.3, 1.0]]), "symmetric, with ones"),
        (
            lambda: fr.demand.Correlated(fr.Poisson(np.ones(3)), [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]),
            "positive semi-definite, its least eigenvalue is -0.8",
        ),
        (lambda: fr.AR1(5.0, 1.0, 0.0), "autocorrelation of demand .*\nnoise_deviation of demand"),
        (lambda: fr.AR1(np.ones(2), 0.1, np.ones(3)), "must be of the same items"),
        (lambda: fr.MarkovModulated((), []), "regimes must be independent demand models"),
        (lambda: regimes(fr.Poisson(1.0), fr.Normal(5.0, 1.0)), "all discrete or all continuous"),
        (lambda: regimes(fr.Poisson(np.ones(2)), fr.Poisson(np.ones(3))), "regimes must have the same items"),
        (lambda: fr.MarkovModulated((fr.Poisson(1.0),), TRANSITION), r"transition must have the shape \(1, 1\)"),
        (
            lambda: fr.MarkovModulated((fr.Poisson(1.0), fr.Poisson(2.0)), [[0.5, 0.6], [0.5, 0.5]]),
            "each row adding up to 1",
        ),
        (lambda: fr.MarkovModulated((fr.Poisson(1.0), fr.Poisson(2.0)), np.eye(2)), "so that shares are defined"),
    ],
)
def test_faults_are_named(make, message):
    with pytest.raises(fr.FractileError, match=message):
        make()
