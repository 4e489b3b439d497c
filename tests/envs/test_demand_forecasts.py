"""The forecast of someone who knows the distribution, under everything that forecasts are put through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile.envs.demand.distribution_forecast import DistributionForecast, ForecastsOnPaths
from fractile.envs.demand.probability import SampleDistribution
from fractile.forecasters.calibration.dependence import Dependence

MEANS = np.array([5.0, 8.0, 2.0])
STAYS = fr.Poisson(MEANS).forecast(4)
MOVES = fr.Seasonal(fr.NegativeBinomial(MEANS, 3.0), [0.5, 1.0, 2.0]).forecast(4)
REMEMBERS = fr.draw_scenario(fr.AR1(10.0 * MEANS, 0.6, np.array([4.0, 2.0, 3.0])), 0, 5, 3, 4).forecast(1)
FOLLOWS = fr.draw_scenario(
    fr.MarkovModulated((fr.Poisson(MEANS), fr.Poisson(3.0 * MEANS)), [[0.8, 0.2], [0.4, 0.6]]), 0, 5, 3, 4
).forecast(1)
CLIPPED = fr.draw_scenario(fr.AR1(MEANS, 0.6, 4.0), 0, 5, 3, 4).forecast(1)
FORECASTS = {"stays": STAYS, "moves": MOVES, "remembers": REMEMBERS, "follows": FOLLOWS, "clipped": CLIPPED}
EVERY = pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)


def answers(forecast: DistributionForecast) -> list[np.ndarray]:
    """What policies ask of a forecast, each of shape (items, origins, ...)."""
    longest = forecast.horizon
    return [
        forecast.values,
        forecast.quantile(0.83),
        forecast.mean(),
        forecast.total(longest).quantile(0.83),
        forecast.total(longest).values,
        forecast.total(1).mean(),
        forecast.after(1).total(longest - 1).quantile(0.2),
        forecast.head(2).total(2).mean(),
        np.moveaxis(forecast.draws(32, 2), 0, -1),
    ]


def assert_alike(got, expected) -> None:
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@EVERY
def test_items_picked_are_the_items_as_they_were(forecast):
    items = np.array([2, 0])
    assert_alike(answers(forecast.select(items)), [answer[items] for answer in answers(forecast)])


@EVERY
def test_origins_picked_are_the_origins_as_they_were(forecast):
    last = forecast.values.shape[1] - 1
    assert_alike(answers(forecast.at_origin(-1)), [answer[:, last:] for answer in answers(forecast)])
    some = np.array([last, 0, last])
    assert_alike(answers(forecast.at_origin(some)), [answer[:, some] for answer in answers(forecast)])


@EVERY
@pytest.mark.parametrize("item", [[1, 1, 1, 1], [2, 0, 1, 0]], ids=["one item", "many items"])
def test_pairs_lie_side_by_side(forecast, item):
    item = np.array(item)
    origin = np.array([0, 3, 1, 3]) if forecast.values.shape[1] > 1 else np.zeros(4, dtype=int)
    taken = forecast.take(item, origin)
    assert taken.values.shape[:2] == (1, 4)
    assert_alike(answers(taken), [answer[item, origin][None] for answer in answers(forecast)])
    # What was taken can be taken from again: an environment does, episode by episode.
    again = taken.take(np.zeros(2, dtype=int), np.array([3, 1]))
    assert_alike(answers(again), [answer[item[[3, 1]], origin[[3, 1]]][None] for answer in answers(forecast)])
    total = forecast.total(3).take(item, origin)
    np.testing.assert_allclose(total.quantile(0.7), forecast.total(3).quantile(0.7)[item, origin][None])


@EVERY
def test_spans_and_levels_may_differ_over_items_and_origins(forecast):
    items, origins = forecast.values.shape[:2]
    spans, levels = np.array([[1], [4], [2]]), np.linspace(0.1, 0.9, items * origins).reshape(items, origins)
    got = forecast.total(spans).quantile(levels)
    for item in range(items):
        for origin in range(origins):
            expected = forecast.total(int(spans[item, 0])).quantile(levels[item, origin])[item, origin]
            np.testing.assert_allclose(got[item, origin], expected, rtol=2e-3, atol=0.02)
    np.testing.assert_allclose(forecast.quantile(levels[:, :1])[:, 0], forecast.quantile(levels)[:, 0])


@EVERY
def test_every_call_gives_the_same_again_and_keeps_nothing(forecast):
    before = dict(vars(forecast))
    np.testing.assert_array_equal(forecast.total(2).values, forecast.total(2).values)
    np.testing.assert_array_equal(forecast.quantile(0.4), forecast.quantile(0.4))
    assert vars(forecast).keys() == before.keys()
    assert all(vars(forecast)[name] is value for name, value in before.items())


@EVERY
def test_uniform_draws_are_inverted_exactly(forecast):
    uniform = np.random.default_rng(0).uniform(0.001, 0.999, (6, *forecast.values.shape[:3]))
    got = forecast.at_uniforms(uniform)
    assert got.shape == uniform.shape
    for level in (0.03, 0.6):
        same = forecast.at_uniforms(np.full(forecast.values.shape[:3], level))
        np.testing.assert_allclose(same, forecast.quantile(level), rtol=1e-9)
    assert (np.diff(forecast.at_uniforms(np.sort(uniform, axis=0)), axis=0) >= 0).all()


def test_totals_of_stationary_demand_are_exact():
    exact = stats.poisson(3 * MEANS)
    np.testing.assert_array_equal(STAYS.total(3).quantile(0.97)[:, 0, 0], exact.ppf(0.97))
    np.testing.assert_array_equal(STAYS.after(2).total(2).quantile(0.5)[:, 0, 0], stats.poisson(2 * MEANS).ppf(0.5))
    np.testing.assert_allclose(STAYS.mean()[:, 0], np.repeat(MEANS[:, None], 4, axis=1))
    moved = fr.Poisson(np.array([1.0, 300.0])).forecast(2).select(np.array([1]))
    assert moved.quantile(0.5).max() == 300.0


def test_totals_of_moving_demand_skip_what_is_over():
    model = fr.Seasonal(fr.Poisson(10.0), [0.5, 1.0, 2.0])
    later = model.forecast(4, period=1).after(2).total(2)
    np.testing.assert_array_equal(later.quantile(0.9).item(), stats.poisson(15.0).ppf(0.9))


def test_a_known_distribution_refuses_another_dependence():
    with pytest.raises(fr.FractileError, match="with_dependence cannot change a known distribution"):
        STAYS.with_dependence(Dependence.independent(4))


def test_another_outlook_changes_values_and_quantiles_alike():
    other = replace(STAYS, outlook=fr.Poisson(2.0 * MEANS).forecast(4).outlook)
    np.testing.assert_array_equal(other.values, fr.Poisson(2.0 * MEANS).forecast(4).values)
    np.testing.assert_array_equal(other.quantile(0.9)[:, 0, 0], stats.poisson(2.0 * MEANS).ppf(0.9))


def test_levels_may_be_named():
    forecast = fr.Poisson(5.0).forecast(2, levels=[0.25, 0.75])
    np.testing.assert_array_equal(forecast.levels, [0.25, 0.75])
    np.testing.assert_array_equal(forecast.values[0, 0, 1], stats.poisson(5.0).ppf([0.25, 0.75]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: STAYS.quantile(1.0), "a quantile level must lie strictly between 0 and 1, got 1.0"),
        (lambda: STAYS.total(5), "the forecast has a horizon of 4 periods, 5 are needed"),
        (lambda: STAYS.total(0), "span must be at least 1 period, got 0"),
        (lambda: MOVES.draws(64, 7), "the forecast has a horizon of 4 periods, 7 are needed"),
        (lambda: REMEMBERS.after(4), "the forecast has a horizon of 4 periods, 5 are needed"),
    ],
)
def test_questions_without_an_answer_are_refused(call, message):
    with pytest.raises(fr.FractileError, match=message):
        call()


def test_forecasts_on_paths_are_made_when_they_are_read():
    asked = []

    def make(period):
        asked.append(period)
        return replace(STAYS, origins=np.array([period]))

    forecasts = ForecastsOnPaths(make, range(6))
    assert (len(forecasts), asked) == (6, [])
    assert forecasts[-1].origins[0] == 5
    assert [f.origins[0] for f in forecasts[2:5]] == [2, 3, 4]
    np.testing.assert_array_equal(forecasts[3].values, forecasts[3].values)
    assert asked == [5, 2, 3, 4, 3, 3]
    with pytest.raises(IndexError):
        forecasts[6]


def test_the_distribution_of_draws():
    draws = np.array([[3.0, 1.0, 2.0, 4.0], [8.0, 8.0, 0.0, 0.0]]).T[:, None]
    distribution = SampleDistribution.of(draws)
    np.testing.assert_allclose(distribution.cdf(np.array([2.0, 0.0])), [[0.5, 0.5]])
    np.testing.assert_allclose(distribution.sf(np.array([2.5, 9.0])), [[0.5, 0.0]])
    np.testing.assert_allclose(distribution.ppf(0.5), [[2.5, 4.0]])
    np.testing.assert_allclose(distribution.ppf(np.array([[[0.01]], [[0.99]]])), [[[1.0, 0.0]], [[4.0, 8.0]]])
    np.testing.assert_allclose(distribution.mean(), [[2.5, 4.0]])
    np.testing.assert_allclose(distribution.std() ** 2, distribution.var())
