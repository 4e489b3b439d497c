"""Textbook methods against statsforecast, hand-worked numbers and their own promise of coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson
from statsforecast.models import AutoETS

import fractile.forecasters.classical.ets as module
from fractile import DEFAULT_LEVELS, FractileError, SalesPanel
from fractile.forecasters.base import targets_of
from fractile.forecasters.calibration.point_errors import error_power, fit_error_distribution
from fractile.forecasters.classical.ets import ETS, fill_gaps, fit_smoothing
from fractile.forecasters.classical.naive import SeasonalNaive, last_mean, season_ago
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.scores import coverage

LEVELS = np.array(DEFAULT_LEVELS)


def panel_of(sales: np.ndarray, known: np.ndarray | None = None, freq: str = "W-MON") -> SalesPanel:
    in_stock = np.ones(sales.shape, dtype=bool) if known is None else known
    dates = pd.date_range("2020-01-06", periods=sales.shape[1], freq=freq)
    names = tuple(f"i{k}" for k in range(len(sales)))
    return SalesPanel(sales.astype(float), in_stock, np.ones(sales.shape, dtype=bool), dates, names, freq)


def test_season_ago_is_the_same_week_of_last_year():
    panel = panel_of(np.arange(2 * 120).reshape(2, 120))
    point = season_ago(panel, np.array([60, 110]), 4)
    np.testing.assert_array_equal(point[0], [[8, 9, 10, 11], [58, 59, 60, 61]])


def test_beyond_a_season_the_last_known_one_repeats():
    panel = panel_of(np.arange(30)[None], freq="D")
    np.testing.assert_array_equal(season_ago(panel, np.array([21]), 9)[0, 0], [*range(14, 21), 14, 15])


def test_without_a_season_the_last_four_informative_weeks_stand_in():
    known = np.ones((1, 20), dtype=bool)
    known[0, [17, 19]] = False
    panel = panel_of(np.arange(20)[None], known)
    np.testing.assert_array_equal(season_ago(panel, np.array([20]), 2)[0, 0], np.mean([14, 15, 16, 18]))


def test_last_mean_by_hand():
    known = np.array([[True, False, True, True, False, True], [False] * 6])
    panel = panel_of(np.array([[1, 50, 3, 5, 50, 9], [7] * 6]), known)
    got = last_mean(panel, np.array([1, 2, 4, 6]), 2)
    np.testing.assert_allclose(got, [[1, 1, 4, 7], [0, 0, 0, 0]])


@pytest.mark.parametrize(("kind", "season"), [("ZZN", 1), ("AAN", 1), ("MAN", 1), ("ZZA", 7)])
def test_smoothing_repeats_statsforecast(kind: str, season: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    time = np.arange(90)
    wave = 6 * np.sin(2 * np.pi * time / 7) * (season > 1)
    sales = np.round(40 + 0.3 * time + wave + rng.normal(0, 3, 90))
    panel = panel_of(sales[None], freq="D")
    model = AutoETS(season_length=season, model=kind).fit(sales)
    monkeypatch.setattr(module, "PLAIN_MODELS", (kind,))
    monkeypatch.setattr(module, "SEASONAL_MODELS", (kind,))
    smoothing = fit_smoothing(panel, season)
    np.testing.assert_allclose(
        smoothing.forecast(panel, np.array([90]), 10)[0, 0], model.predict(h=10)["mean"], rtol=1e-6
    )
    early = model.forward(y=sales[:60], h=10)["mean"]
    np.testing.assert_allclose(smoothing.forecast(panel, np.array([60]), 10)[0, 0], early, rtol=1e-6)


def test_of_all_models_the_one_with_the_least_criterion_is_kept():
    """Days that repeat each week but for a little noise: the seasonal model wins by far."""
    week = np.array([5.0, 9, 7, 6, 12, 30, 25])
    sales = np.tile(week, 12) + np.random.default_rng(6).normal(0, 0.5, 84)
    got = fit_smoothing(panel_of(sales[None], freq="D"), 7).forecast(panel_of(sales[None], freq="D"), np.array([84]), 7)
    np.testing.assert_allclose(got[0, 0], week, atol=1.5)


def test_a_week_out_of_stock_leaves_the_state_alone():
    rng = np.random.default_rng(1)
    sales = rng.poisson(20, (1, 60)).astype(float)
    panel = panel_of(sales)
    smoothing = fit_smoothing(panel, 1)
    flat = replace(smoothing, parameters=np.array([[0.3, 0.0, 0.0, 0.0]]))
    known = np.ones((1, 60), dtype=bool)
    known[0, 50:60] = False
    stopped = flat.forecast(replace(panel, in_stock=known), np.array([60]), 1)
    np.testing.assert_allclose(stopped, flat.forecast(panel, np.array([50]), 1))


def test_gaps_are_filled_by_straight_lines():
    known = np.array([False, True, False, False, True, True, False])
    np.testing.assert_allclose(fill_gaps(np.array([9.0, 1, 0, 0, 4, 5, 0]), known), [1, 2, 3, 4, 5, 5])


def test_an_item_never_fitted_is_fitted_before_the_first_origin():
    panel = small_panel()
    forecaster = ETS().fit(panel.select([0, 1, 2]))
    changed = panel.sales.copy()
    changed[:, 40:] += 50
    first = forecaster.predict(panel, 4, origins=[40])
    other = forecaster.predict(replace(panel, sales=changed), 4, origins=[40])
    np.testing.assert_array_equal(first.values, other.values)


def test_season_length_is_checked():
    with pytest.raises(FractileError, match="season_length must be 1"):
        ETS(season_length=52)


@pytest.mark.parametrize("kind", [SeasonalNaive, ETS])
def test_quantiles_cover_what_they_promise(kind: type):
    """Stationary Poisson demand over a wide range of speeds; later weeks than those that were learnt from."""
    rng = np.random.default_rng(2)
    mean = np.exp(rng.uniform(np.log(0.3), np.log(60), 120))
    panel = panel_of(rng.poisson(mean[:, None], (120, 150)))
    forecaster = kind(horizon=4).fit(panel.until(130))
    forecast = forecaster.predict(panel, 4, origins=[130, 134, 138, 142, 146])
    actual = targets_of(panel, forecast.origins, 4)
    for k, level in enumerate(LEVELS):
        # Counts: the level must lie within the jump of the share covered.
        low = coverage(actual + 0.5, forecast.values[..., k])
        high = coverage(actual - 0.5, forecast.values[..., k])
        assert low - 0.03 <= level <= high + 0.03


def test_ets_of_poisson_demand_is_near_the_truth():
    rng = np.random.default_rng(3)
    mean = np.full(60, 20.0)
    panel = panel_of(rng.poisson(mean[:, None], (60, 120)))
    forecast = ETS(horizon=4).fit(panel).predict(panel, 4)
    expected = poisson.ppf(LEVELS, 20.0)
    np.testing.assert_allclose(forecast.values.mean((0, 1, 2)), expected, atol=1.5)


def test_error_power_finds_how_errors_grow():
    rng = np.random.default_rng(4)
    log_size = rng.uniform(0, 5, 20_000)
    error = np.abs(rng.standard_normal(20_000)) * np.exp(0.7 * log_size)
    assert error_power(log_size, error) == pytest.approx(0.7, abs=0.02)


def test_unknown_errors_teach_nothing():
    rng = np.random.default_rng(5)
    point, speed = np.full((50, 10, 3), 5.0), np.full((50, 10), 5.0)
    actual = rng.poisson(5.0, point.shape).astype(float)
    actual[:25] = np.nan
    half = fit_error_distribution(point[25:], actual[25:], speed[25:])
    whole = fit_error_distribution(point, actual, speed)
    np.testing.assert_allclose(whole.table, half.table)


def test_errors_without_any_history_are_of_a_poissons_size():
    point, speed = np.full((2, 1, 3), 16.0), np.full((2, 1), 16.0)
    errors = fit_error_distribution(point, np.full(point.shape, np.nan), speed)
    values = errors.quantiles(point, speed, np.array([0.5, 0.841345]))
    np.testing.assert_allclose(values[0, 0, 0], [16.0, 20.0], atol=0.2)


def test_a_longer_horizon_than_learnt_keeps_the_last_errors():
    panel = small_panel()
    forecaster = SeasonalNaive(horizon=3).fit(panel)
    forecast = forecaster.predict(panel, 8)
    assert forecast.values.shape[2] == 8
    assert np.isfinite(forecast.total(8).values).all()
