"""Each item's forecasts are as wide as its own errors say, and as those of all items where it has few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from fractile import DEFAULT_LEVELS, SalesPanel, make_forecaster
from fractile.forecasters.calibration.spread import LEVELS, ItemSpread, fit_item_spread, fit_moves
from fractile.forecasters.interpolation import mean_weights

FINE = np.arange(1, 100) / 100
NONE = np.zeros(len(LEVELS))
STEADY, VOLATILE = 5.0, 60.0


def scores_of(spread, origins=60, horizon=4, seed=0):
    rng = np.random.default_rng(seed)
    return spread[:, None, None] * rng.standard_normal((len(spread), origins, horizon))


def test_spreads_that_differ_are_found_and_those_that_do_not_are_pooled():
    true = np.repeat([0.5, 1.5], 20)
    names = tuple(f"item {k}" for k in range(40))
    mean = scores_of(true)
    found = fit_item_spread(names, mean, np.zeros_like(mean))
    # Relative to the mean square of all items, (0.25 + 2.25) / 2.
    np.testing.assert_allclose(found.spread, true / np.sqrt(1.25), rtol=0.2)
    mean = scores_of(np.full(40, 1.2))
    alike = fit_item_spread(names, mean, np.zeros_like(mean))
    np.testing.assert_allclose(alike.spread, 1.0, rtol=0.05)
    assert alike.spread.std() < 0.25 * np.sqrt((mean**2).mean((1, 2))).std()


def test_scores_that_are_not_known_and_few_items_leave_forecasts_as_they_are():
    names = ("a", "b", "c", "d", "e")
    unknown = np.full((5, 20, 4), np.nan)
    np.testing.assert_array_equal(fit_item_spread(names, unknown, unknown).spread, 1.0)
    mean = scores_of(np.full(3, 2.0))
    np.testing.assert_array_equal(fit_item_spread(names[:3], mean, np.zeros_like(mean)).spread, 1.0)


def test_a_wider_forecast_of_lumpy_demand_keeps_its_mean():
    levels = np.asarray(DEFAULT_LEVELS)
    values = np.where(levels < 0.8, 0.0, 40.0 * (levels - 0.8) / 0.2)[None, None, None]
    for spread in (0.5, 1.5):
        wide = ItemSpread(("a",), np.array([spread]), NONE).widen(("a",), levels, values, levels)
        average = mean_weights(DEFAULT_LEVELS)
        np.testing.assert_allclose(wide @ average, values @ average, rtol=1e-6)
        finer = ItemSpread(("a",), np.array([spread]), NONE).widen(("a",), levels, values, np.array([0.9, 0.93]))
        np.testing.assert_allclose(finer[..., 0], wide[..., DEFAULT_LEVELS.index(0.9)])


def test_a_widened_normal_is_the_wider_normal_as_far_as_levels_reach():
    values = np.broadcast_to(100.0 + 10.0 * ndtri(FINE), (2, 1, 1, 99))
    spread = ItemSpread(("a", "b"), np.array([0.5, 1.3]), NONE)
    wide = spread.widen(("a", "b"), FINE, values, np.array([0.2, 0.5, 0.9, 0.999]))
    scores = np.minimum(ndtri([0.2, 0.5, 0.9, 0.999]), ndtri(0.99))
    expected = 100.0 + 10.0 * np.array([0.5, 1.3])[:, None] * scores
    np.testing.assert_allclose(wide[:, 0, 0], expected, rtol=1e-3)


def test_an_item_without_a_record_is_left_as_it_is():
    spread = ItemSpread(("a",), np.array([0.5]), 0.1 * np.arange(len(LEVELS)))
    np.testing.assert_array_equal(spread.of(("b", "a")), [1.0, 0.5])
    again = ItemSpread.from_arrays(spread.arrays())
    assert again.item_ids == ("a",)
    np.testing.assert_array_equal(again.moves, spread.moves)


def test_forecasts_that_are_too_narrow_and_too_low_are_read_at_other_levels():
    rng = np.random.default_rng(0)
    # Demand has a score of 0.2 + 1.3 z under its forecast.
    transform = ndtr(0.2 + 1.3 * rng.standard_normal((50, 400, 3)))
    moves = fit_moves(transform, transform)
    expected = 400 / 410 * (0.2 + 0.3 * ndtri(LEVELS))
    np.testing.assert_allclose(moves, expected, atol=0.03)
    few = fit_moves(transform[:, :5], transform[:, :5])
    np.testing.assert_allclose(few, expected / (400 / 410) / 3, atol=0.06)
    np.testing.assert_array_equal(fit_moves(np.full((2, 3, 4), np.nan), np.full((2, 3, 4), np.nan)), 0.0)


@pytest.mark.parametrize("name", ["seasonal_naive", "croston", "ets", "random_forest", "quantile_forest", "lightgbm"])
def test_steady_and_volatile_items_of_one_mean_keep_their_own_sums(name):
    """Normal demand of mean 100: the 0.95 quantile of four weeks is 416 with a deviation of 5, 597 with one of 60."""
    rng = np.random.default_rng(0)
    deviation = np.repeat([STEADY, VOLATILE], 20)[:, None]
    sales = np.maximum(np.rint(100.0 + deviation * rng.standard_normal((40, 156))), 0.0)
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=156, freq="W-MON")
    panel = SalesPanel(sales, true, true, dates, tuple(f"item {k}" for k in range(40)), "W-MON")
    total = make_forecaster(name, horizon=4).fit(panel).predict(panel, 4).total(4).quantile(0.95)[:, 0, 0]
    assert 405 < total[:20].mean() < 450
    assert 560 < total[20:].mean() < 665
