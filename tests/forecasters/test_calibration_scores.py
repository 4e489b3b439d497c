"""Probability integral transforms and calibration tables, on forecasts that are right and on wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma, kstest, poisson

from fractile import QuantileForecast, SalesPanel
from fractile.forecasters.scores import (
    calibration_table,
    pit,
    pit_bounds,
)

FINE = np.arange(1, 100) / 100


def world(law, believed=None, items=400, periods=8, levels=FINE, seed=0):
    """Demand drawn from a law of one mean an item, forecast by that law or another from one origin."""
    rng = np.random.default_rng(seed)
    sales = law.rvs(size=(items, periods), random_state=rng).astype(float)
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    names = tuple(f"i{k}" for k in range(items))
    true = np.ones(sales.shape, dtype=bool)
    panel = SalesPanel(sales, true, true, dates, names, "W-MON")
    ahead = (believed or law).ppf(levels[:, None, None]).reshape(len(levels), -1, 1)
    values = np.broadcast_to(np.moveaxis(ahead, 0, -1)[:, None], (items, 1, periods - 1, len(levels)))
    return QuantileForecast(levels, values.astype(float), np.array([1]), names), panel


def rates(low=0.3, high=30.0, items=400):
    return np.geomspace(low, high, items)[:, None]


@pytest.mark.parametrize("law", [poisson(rates()), gamma(2.0, scale=rates())], ids=["counts", "continuous"])
def test_pit_of_a_right_forecast_is_uniform(law):
    values = pit(*world(law), np.random.default_rng(1))
    assert kstest(values.ravel(), "uniform").pvalue > 0.01


def test_pit_of_a_forecast_too_low_leans_to_one():
    values = pit(*world(poisson(rates()), poisson(0.7 * rates())), np.random.default_rng(1))
    assert values.mean() > 0.55


def test_pit_is_drawn_from_the_generator_given():
    forecast, panel = world(poisson(rates()))
    first, again = (pit(forecast, panel, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, pit(forecast, panel, np.random.default_rng(6)))


def test_pit_of_unknown_demand_is_unknown():
    forecast, panel = world(poisson(rates()))
    truth = panel.sales.copy()
    truth[3, 2] = np.nan
    values = pit(forecast, panel, np.random.default_rng(0), truth=truth)
    np.testing.assert_array_equal(np.argwhere(np.isnan(values)), [[3, 0, 1]])


def test_pit_bounds_of_a_count_hold_its_jump():
    forecast, panel = world(poisson(np.full((1, 1), 1.0)), items=1, periods=6)
    low, high = pit_bounds(forecast, panel)
    came = panel.sales[:, None, 1:]
    np.testing.assert_allclose(low, poisson(1.0).cdf(came - 1), atol=0.011)
    np.testing.assert_allclose(high, poisson(1.0).cdf(came), atol=0.011)


def test_calibration_table_of_a_right_forecast_holds_the_levels():
    levels = np.array([0.1, 0.5, 0.9])
    table = calibration_table(*world(poisson(rates(), loc=0)), levels=levels, confidence=0.9999)
    assert ((table["share_low"] <= levels) & (levels <= table["share_high"])).all()
    # A right quantile of a count covers its whole jump: more than its level.
    assert (table["coverage_low"] > levels).any()
    assert (table["coverage"] >= table["share"]).all()
    assert (table["weeks"] == 400 * 7).all()


def test_calibration_table_sees_a_wrong_forecast():
    table = calibration_table(*world(poisson(rates()), poisson(0.7 * rates())), levels=[0.5])
    assert table["share_high"][0] < 0.5


def test_coverage_and_its_interval_by_hand():
    names = ("a", "b", "c", "d")
    sales = np.array([[1.0, 2.5], [1.0, 4.5], [1.0, 2.5], [1.0, 4.5]])
    true = np.ones(sales.shape, dtype=bool)
    panel = SalesPanel(sales, true, true, pd.date_range("2024-01-01", periods=2), names, "D")
    forecast = QuantileForecast(np.array([0.5, 0.9]), np.full((4, 1, 1, 2), [3.0, 5.0]), np.array([1]), names)
    row = calibration_table(forecast, panel, confidence=0.6826894921370859).iloc[0]
    assert row["coverage"] == 0.5
    # Four items of one period: sqrt(0.25 / 4) to either side at one standard error.
    np.testing.assert_allclose([row["coverage_low"], row["coverage_high"]], [0.25, 0.75])


def test_intervals_take_an_item_as_one():
    """An item whose periods all say the same tells no more than one period."""
    names = tuple(f"i{k}" for k in range(50))
    sales = np.repeat(np.arange(50.0)[:, None] + 0.25, 41, axis=1)
    true = np.ones(sales.shape, dtype=bool)
    panel = SalesPanel(sales, true, true, pd.date_range("2024-01-01", periods=41), names, "D")
    forecast = QuantileForecast(np.array([0.5, 0.9]), np.full((50, 1, 40, 2), [24.9, 45.0]), np.array([1]), names)
    row = calibration_table(forecast, panel, confidence=0.6826894921370859).iloc[0]
    np.testing.assert_allclose(row["coverage_high"] - row["coverage"], np.sqrt(0.25 / 50), rtol=0.02)
