"""Quantile forecasts as value objects: interpolation, tails, draws, sums, cuts and frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from fractile import (
    DEFAULT_LEVELS,
    FractileError,
    QuantileForecast,
)
from fractile.forecasters.forecast import (
    Dependence,
    concatenate_origins,
    interpolation_weights,
)

LEVELS = np.array(DEFAULT_LEVELS)


def forecast_of(items: int = 3, origins: int = 2, horizon: int = 4, seed: int = 0) -> QuantileForecast:
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.gamma(1.0, 2.0, (items, origins, horizon, len(LEVELS))), axis=-1)
    dates = pd.date_range("2024-01-01", periods=20, freq="W-MON")
    starts = np.arange(5, 5 + origins)
    names = tuple(f"item-{k}" for k in range(items))
    return QuantileForecast(LEVELS, values, starts, names, dates[starts], "W-MON")


def normal_forecast(rho: float, horizon: int = 4) -> QuantileForecast:
    levels = np.array([0.001, 0.005, *np.arange(0.01, 0.995, 0.01), 0.995, 0.999])
    values = np.broadcast_to(100 + 10 * ndtri(levels), (1, 1, horizon, len(levels)))
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    dependence = Dependence((rho**lag)[None], np.zeros((1, 1), dtype=np.int64))
    return QuantileForecast(levels, values, np.array([1]), ("a",), dependence=dependence)


def test_quantiles_at_the_levels_are_the_values():
    forecast = forecast_of()
    for k, level in enumerate(LEVELS):
        np.testing.assert_allclose(forecast.quantile(level), forecast.values[..., k], rtol=1e-12)


def test_between_levels_quantiles_are_linear():
    forecast = forecast_of()
    middle = (forecast.values[..., 5] + forecast.values[..., 6]) / 2
    np.testing.assert_allclose(forecast.quantile(0.55), middle, rtol=1e-12)


def test_the_upper_tail_is_exponential():
    values = np.array([1.0, 2.0, 5.0]).reshape(1, 1, 1, 3)
    forecast = QuantileForecast(np.array([0.5, 0.9, 0.99]), values, np.array([1]), ("a",))
    # scale = log(0.1 / 0.01) = log 10; at 0.999 log(0.01 / 0.001) = log 10: one step of 3 further.
    np.testing.assert_allclose(forecast.quantile(0.999), 8.0, rtol=1e-9)
    np.testing.assert_allclose(forecast.quantile(0.9999), 11.0, rtol=1e-9)


def test_the_lower_tail_goes_on_down_to_zero():
    values = np.array([2.0, 4.0, 5.0]).reshape(1, 1, 1, 3)
    forecast = QuantileForecast(np.array([0.2, 0.4, 0.6]), values, np.array([1]), ("a",))
    np.testing.assert_allclose(forecast.quantile(0.1), 1.0, rtol=1e-12)
    falling = QuantileForecast(np.array([0.2, 0.3, 0.6]), values, np.array([1]), ("a",))
    np.testing.assert_array_equal(falling.quantile(0.05), 0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 0.9999), min_size=2, max_size=2, unique=True))
def test_quantiles_never_fall(pair: list[float]):
    low, high = sorted(pair)
    forecast = forecast_of()
    assert np.all(forecast.quantile(low) <= forecast.quantile(high) + 1e-9)


def test_a_level_for_each_item_and_origin():
    forecast = forecast_of()
    level = np.array([[0.3, 0.5], [0.9, 0.975], [0.02, 0.995]])
    mixed = forecast.quantile(level)
    for i in range(3):
        for o in range(2):
            np.testing.assert_allclose(mixed[i, o], forecast.quantile(level[i, o])[i, o], rtol=1e-12)


def test_weights_sum_to_one():
    np.testing.assert_allclose(interpolation_weights(LEVELS, np.linspace(0.001, 0.9999, 50)).sum(-1), 1.0)


def test_inverse_transform_agrees_with_quantile():
    forecast = forecast_of()
    for level in (0.01, 0.2, 0.66, 0.995):
        uniform = np.full((5, *forecast.values.shape[:3]), level)
        np.testing.assert_allclose(forecast.at_uniforms(uniform)[0], forecast.quantile(level), rtol=1e-9)


def test_the_mean_is_that_of_the_interpolated_distribution():
    forecast = forecast_of()
    draws = forecast.sample(40_000, np.random.default_rng(0))
    error = draws.std(0) / np.sqrt(len(draws))
    # the lowest draws are cut at zero, which the mean of unclipped quantiles may sit a little below
    assert np.all(np.abs(draws.mean(0) - forecast.mean()) < 4 * error + 0.02 * forecast.mean())


def test_samples_have_the_marginals_and_the_dependence():
    forecast = normal_forecast(0.8)
    draws = forecast.sample(20_000, np.random.default_rng(1))[:, 0, 0]
    for level in (0.1, 0.5, 0.9):
        share = np.mean(draws <= forecast.quantile(level)[0, 0], axis=0)
        np.testing.assert_allclose(share, level, atol=4 * np.sqrt(level * (1 - level) / 20_000))
    np.testing.assert_allclose(np.corrcoef(draws.T)[0], 0.8 ** np.arange(4), atol=0.03)


def test_quasi_random_draws_are_the_same_at_every_call():
    forecast = forecast_of()
    np.testing.assert_array_equal(forecast.draws(64), forecast.draws(64))
    assert forecast.draws(64, 2).shape == (64, 3, 2, 2)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_total_of_normals_is_normal(rho: float):
    forecast = normal_forecast(rho)
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    spread = 10 * np.sqrt((rho**lag).sum())
    for level in (0.1, 0.5, 0.8, 0.9, 0.98):
        expected = norm.ppf(level, 400, spread)
        # two standard errors of 512 independent draws; quasi-random ones err less
        error = np.sqrt(level * (1 - level) / 512) / norm.pdf(norm.ppf(level))
        np.testing.assert_allclose(forecast.total(4).quantile(level), expected, atol=2 * error * spread)


def test_the_total_over_one_period_is_that_period():
    forecast = forecast_of()
    np.testing.assert_array_equal(forecast.total(1).values, forecast.values[:, :, :1])


def test_totals_grow_with_the_span_and_may_differ_by_item():
    forecast = forecast_of()
    each = np.stack([forecast.total(k).values[:, :, 0] for k in (1, 2, 3, 4)])
    assert np.all(np.diff(each, axis=0) >= -1e-9)
    span = np.array([[1, 2], [3, 4], [2, 2]])
    mixed = forecast_of().total(span)
    for i in range(3):
        for o in range(2):
            expected = forecast_of().total(int(span[i, o])).values[i, o]
            np.testing.assert_allclose(mixed.values[i, o], expected, rtol=1e-12)


def test_totals_of_all_spans_are_those_of_each():
    forecast = normal_forecast(0.6)
    every = forecast.totals(4)
    assert every.shape == (1, 1, 4, len(forecast.levels))
    for span in (1, 2, 3, 4):
        np.testing.assert_allclose(every[:, :, span - 1], forecast.total(span).values[:, :, 0], rtol=1e-12)
    with pytest.raises(FractileError, match="has a horizon of 4 periods, 5 are needed"):
        forecast.totals(5)


def test_totals_do_not_depend_on_what_was_asked_before():
    fresh, used = forecast_of(), forecast_of()
    used.total(4)
    np.testing.assert_allclose(used.total(2).values, fresh.total(2).values, rtol=1e-12)
    np.testing.assert_allclose(used.head(3).total(3).values, fresh.head(3).total(3).values, rtol=1e-12)


def test_a_total_beyond_the_horizon_is_refused():
    with pytest.raises(FractileError, match="has a horizon of 4 periods, 5 are needed"):
        forecast_of().total(5)
    with pytest.raises(FractileError, match="span must be at least 1"):
        forecast_of().total(0)


def test_after_and_head_cut_the_horizon():
    forecast = normal_forecast(0.6)
    later = forecast.after(1)
    assert later.horizon == 3
    np.testing.assert_array_equal(later.origins, forecast.origins + 1)
    np.testing.assert_array_equal(later.values, forecast.values[:, :, 1:])
    np.testing.assert_array_equal(later.dependence.correlation, forecast.dependence.correlation[:, 1:, 1:])
    assert forecast.head(2).horizon == 2
    np.testing.assert_allclose(forecast.head(2).total(2).values, forecast.total(2).values, rtol=1e-12)
    dated = forecast_of()
    np.testing.assert_array_equal(dated.after(2).dates, dated.dates + pd.Timedelta(weeks=2))


def test_after_the_whole_horizon_nothing_is_left():
    with pytest.raises(FractileError, match="has a horizon of 4 periods"):
        forecast_of().after(4)


def test_take_lays_pairs_side_by_side():
    forecast = forecast_of().with_dependence(
        Dependence(np.stack([np.eye(4), np.full((4, 4), 0.9) + 0.1 * np.eye(4)]), np.array([[0], [1], [0]]))
    )
    item, origin = np.array([2, 1, 1]), np.array([0, 1, 0])
    taken = forecast.take(item, origin)
    assert taken.values.shape == (1, 3, 4, len(LEVELS))
    np.testing.assert_array_equal(taken.values[0], forecast.values[item, origin])
    np.testing.assert_allclose(taken.total(3).values[0], forecast.total(3).values[item, origin], rtol=1e-12)
    np.testing.assert_array_equal(taken.origins, forecast.origins[origin])


@pytest.mark.parametrize("index", [0, 1, -1, -2])
def test_one_origin_keeps_its_axis(index: int):
    forecast = forecast_of()
    forecast.total(3)
    alone = forecast.at_origin(index)
    np.testing.assert_array_equal(alone.values[:, 0], forecast.values[:, index])
    np.testing.assert_array_equal(alone.total(3).values[:, 0], forecast.total(3).values[:, index])
    assert alone.dates[0] == forecast.dates[index]


def test_concatenated_origins_come_apart_again():
    forecast = forecast_of()
    whole = concatenate_origins([forecast.at_origin(0), forecast.at_origin(1)])
    np.testing.assert_array_equal(whole.values, forecast.values)
    np.testing.assert_array_equal(whole.dates, forecast.dates)


def test_concatenated_origins_keep_the_band_of_each():
    correlation = np.stack([np.eye(4), np.full((4, 4), 0.9) + 0.1 * np.eye(4)])
    band = np.array([[0, 1], [1, 0], [1, 1]])
    forecast = forecast_of().with_dependence(Dependence(correlation, band))
    whole = concatenate_origins([forecast.at_origin(0), forecast.at_origin(1)])
    np.testing.assert_allclose(whole.total(3).values, forecast.total(3).values, rtol=1e-12)


def test_frames_hold_every_number_once():
    forecast = forecast_of()
    frame = forecast.to_frame()
    assert list(frame.columns) == ["item_id", "origin_date", "origin", "date", "horizon", "level", "value"]
    row = frame.query("item_id == 'item-1' and origin == 6 and horizon == 3 and level == 0.9").iloc[0]
    assert row["value"] == forecast.values[1, 1, 2, list(LEVELS).index(0.9)]
    assert row["date"] == forecast.dates[1] + pd.Timedelta(weeks=2)
    assert len(frame) == forecast.values.size


def test_nixtla_frames_are_wide_and_their_cutoff_is_the_last_known_period():
    forecast = forecast_of()
    wide = forecast.to_nixtla()
    assert list(wide.columns[:3]) == ["unique_id", "cutoff", "ds"]
    assert "q0.5" in wide.columns
    first = wide.query("unique_id == 'item-0'").iloc[0]
    assert first["cutoff"] == forecast.dates[0] - pd.Timedelta(weeks=1)
    assert first["ds"] == forecast.dates[0]
    np.testing.assert_allclose(first["q0.9"], forecast.values[0, 0, 0, list(LEVELS).index(0.9)])


def test_bad_levels_and_shapes_are_refused():
    values = np.zeros((1, 1, 1, 2))
    with pytest.raises(FractileError, match="strictly increasing"):
        QuantileForecast(np.array([0.5, 0.4]), values, np.array([1]), ("a",))
    with pytest.raises(FractileError, match="values must have the shape"):
        QuantileForecast(np.array([0.4, 0.5, 0.6]), values, np.array([1]), ("a",))
    with pytest.raises(FractileError, match="strictly between 0 and 1"):
        forecast_of().quantile(1.0)


@pytest.mark.parametrize(
    ("number", "what"),
    [(np.nan, "finite demand >= 0, got nan"), (np.inf, "finite demand >= 0, got inf"), (-0.5, ">= 0, got -0.5")],
)
def test_values_that_are_no_demand_are_refused_by_their_place(number, what):
    values = forecast_of().values.copy()
    values[1, 1, 2, 3] = number
    place = r"item 'item-1', origin 6 \(2024-02-12\), step 3 of the horizon, level 0.3; fill gaps"
    with pytest.raises(FractileError, match=f"{what} at {place}"):
        replace(forecast_of(), values=values)


def test_quantiles_that_cross_are_refused_by_their_place():
    values = forecast_of().values.copy()
    values[2, 0, 0, 6] = values[2, 0, 0, 5] - 0.01
    place = r"at level 0.5 and .* at 0.6 at item 'item-2', origin 5 \(2024-02-05\), step 1 of the horizon; .*np.sort"
    with pytest.raises(FractileError, match=place):
        replace(forecast_of(), values=values)
    # Rounding is not crossing.
    values[2, 0, 0, 6] = values[2, 0, 0, 5] * (1.0 - 1e-12)
    replace(forecast_of(), values=values)


def test_origins_that_are_not_there_are_refused():
    with pytest.raises(FractileError, match="the forecast has 2 origins, at positions 0 to 1, got 2"):
        forecast_of().at_origin(2)
