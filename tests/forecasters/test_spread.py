"""Each item's forecasts are as wide as its own errors say, and as those of all items where it has few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from fractile import SalesPanel, make_forecaster
from fractile.forecasters.calibration.spread import ItemSpread, fit_item_spread
from fractile.forecasters.interpolation import mean_weights

LEVELS = np.arange(1, 100) / 100
STEADY, VOLATILE = 5.0, 60.0


def scores_of(spread, origins=60, horizon=4, seed=0):
    rng = np.random.default_rng(seed)
    return spread[:, None, None] * rng.standard_normal((len(spread), origins, horizon))


def test_spreads_that_differ_are_found_and_those_that_do_not_are_pooled():
    true = np.repeat([0.5, 1.5], 20)
    names = tuple(f"item {k}" for k in range(40))
    mean = scores_of(true)
    found = fit_item_spread(names, mean, np.zeros_like(mean))
    np.testing.assert_allclose(found.spread, true, rtol=0.2)
    mean = scores_of(np.full(40, 1.2))
    alike = fit_item_spread(names, mean, np.zeros_like(mean))
    np.testing.assert_allclose(alike.spread, 1.2, rtol=0.05)
    assert alike.spread.std() < 0.25 * np.sqrt((mean**2).mean((1, 2))).std()
    assert fit_item_spread(names, mean, np.zeros_like(mean), relative=True).spread.mean() == pytest.approx(1, abs=0.02)


def test_scores_that_are_not_known_and_few_items_leave_forecasts_as_they_are():
    names = ("a", "b", "c", "d", "e")
    unknown = np.full((5, 20, 4), np.nan)
    np.testing.assert_array_equal(fit_item_spread(names, unknown, unknown).spread, 1.0)
    mean = scores_of(np.full(3, 2.0))
    np.testing.assert_array_equal(fit_item_spread(names[:3], mean, np.zeros_like(mean)).spread, 1.0)


def test_a_widened_normal_is_the_wider_normal():
    values = np.broadcast_to(100.0 + 10.0 * ndtri(LEVELS), (2, 1, 1, 99))
    wide = ItemSpread(("a", "b"), np.array([0.5, 1.3]), 1.0).widen(
        ("a", "b"), LEVELS, values, np.array([0.2, 0.5, 0.9])
    )
    expected = 100.0 + 10.0 * np.array([0.5, 1.3])[:, None] * ndtri([0.2, 0.5, 0.9])
    np.testing.assert_allclose(wide[:, 0, 0], expected, rtol=5e-3)


def test_a_wider_lumpy_forecast_has_the_mean_that_it_had():
    """Zero in three periods of four: widened about its median alone, the mean would be 2.4 times what it was."""
    lumpy = np.where(LEVELS > 0.75, 20.0 * np.exp(0.8 * ndtri(np.clip(4 * LEVELS - 3, 0.01, 0.99))), 0.0)
    values = np.broadcast_to(lumpy, (2, 1, 1, 99))
    wide = ItemSpread(("a", "b"), np.array([1.0, 2.0]), 1.0).widen(("a", "b"), LEVELS, values, LEVELS)
    average = mean_weights(tuple(LEVELS))
    np.testing.assert_allclose(wide @ average, values @ average, rtol=0.03)
    assert (wide[1, 0, 0] > 0).sum() > (wide[0, 0, 0] > 0).sum()


def test_an_item_without_a_record_has_the_usual_spread():
    spread = ItemSpread(("a",), np.array([0.5]), 1.1)
    np.testing.assert_array_equal(spread.of(("b", "a")), [1.1, 0.5])
    again = ItemSpread.from_arrays(spread.arrays())
    assert (again.item_ids, again.usual) == (("a",), 1.1)


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
