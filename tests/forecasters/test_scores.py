"""Scores against scoringrules, closed forms and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scoringrules
from scipy.special import ndtri

from fractile.errors import FractileError
from fractile.forecasters.forecast import QuantileForecast
from fractile.forecasters.panel import SalesPanel
from fractile.forecasters.scores import (
    bias,
    coverage,
    crps,
    mean_weighted_quantile_loss,
    pinball_loss,
    score_forecast,
    weighted_quantile_loss,
)


def tiny_panel(sales: list[list[float]], in_stock: list[list[bool]] | None = None) -> SalesPanel:
    array = np.array(sales, dtype=float)
    known = np.ones(array.shape, dtype=bool) if in_stock is None else np.array(in_stock)
    dates = pd.date_range("2024-01-01", periods=array.shape[1], freq="W-MON")
    names = tuple(f"i{k}" for k in range(len(array)))
    return SalesPanel(array, known, np.ones(array.shape, dtype=bool), dates, names, "W-MON")


def test_pinball_loss_agrees_with_scoringrules():
    rng = np.random.default_rng(0)
    demand, forecast, level = rng.gamma(2, 3, 200), rng.gamma(2, 3, 200), rng.uniform(0.01, 0.99, 200)
    expected = scoringrules.quantile_score(demand, forecast, level)
    np.testing.assert_allclose(pinball_loss(demand, forecast, level), expected, rtol=1e-12)


def test_pinball_loss_is_the_newsvendor_cost():
    holding, stockout, order = 0.18, 0.70, 55.0
    demand = np.random.default_rng(1).normal(50, 8, 1000)
    cost = holding * np.maximum(order - demand, 0) + stockout * np.maximum(demand - order, 0)
    loss = (holding + stockout) * pinball_loss(demand, order, stockout / (holding + stockout))
    np.testing.assert_allclose(loss, cost, rtol=1e-12)


def test_crps_agrees_with_scoringrules_at_midpoint_levels():
    rng = np.random.default_rng(2)
    levels = (np.arange(20) + 0.5) / 20
    quantiles = np.sort(rng.gamma(2, 3, (50, 20)), axis=-1)
    demand = rng.gamma(2, 3, 50)
    expected = scoringrules.crps_quantile(demand, quantiles, levels)
    np.testing.assert_allclose(crps(demand, quantiles, levels), expected, rtol=1e-12)


def test_crps_of_normal_quantiles_nears_the_closed_form():
    levels = (np.arange(2000) + 0.5) / 2000
    expected = scoringrules.crps_normal(0.7, 0.0, 1.0)
    np.testing.assert_allclose(crps(0.7, ndtri(levels), levels), expected, rtol=1e-3)


def test_weighted_quantile_loss_at_the_median_is_the_absolute_percentage_error():
    demand = np.array([10.0, 0.0, 4.0, np.nan])
    quantiles = np.array([[8.0, 9.0], [1.0, 2.0], [4.0, 6.0], [99.0, 99.0]])
    # |10-8| + |0-1| + |4-4| = 3 of 14; at 0.9: 2 * (0.9*1 + 0.1*2 + 0.1*2) = 2.6 of 14
    np.testing.assert_allclose(weighted_quantile_loss(demand, quantiles, [0.5, 0.9]), (3 + 2.6) / 14 / 2)


def test_coverage_and_bias_leave_unknown_demand_out():
    demand, forecast = np.array([1.0, 5.0, np.nan, 3.0]), np.array([2.0, 4.0, 0.0, 3.0])
    assert coverage(demand, forecast) == pytest.approx(2 / 3)
    assert bias(demand, forecast) == pytest.approx((1 - 1 + 0) / 9)


def test_score_forecast_counts_informative_weeks_only():
    panel = tiny_panel([[1, 1, 4, 100, 2]], [[True, True, True, False, True]])
    values = np.broadcast_to([3.0, 5.0], (1, 1, 3, 2)).copy()
    forecast = QuantileForecast(np.array([0.5, 0.9]), values, np.array([2]), panel.item_ids)
    table = score_forecast(forecast, panel).set_index(["horizon", "level"])
    assert table.loc[(0, 0.5), "weeks"] == 2
    assert table.loc[(2, 0.5), "weeks"] == 0
    np.testing.assert_allclose(table.loc[(0, 0.5), "wql"], (1 + 1) / 6)
    np.testing.assert_allclose(table.loc[(0, 0.9), "coverage"], 1.0)
    np.testing.assert_allclose(table.loc[(1, 0.9), "pinball"], 0.1 * 1)
    np.testing.assert_allclose(mean_weighted_quantile_loss(forecast, panel), table.loc[0, "wql"].to_numpy().mean())


def test_score_forecast_against_a_truth_counts_all_of_it():
    panel = tiny_panel([[1, 1, 4, 100, 2]], [[True, True, True, False, True]])
    values = np.broadcast_to([3.0, 5.0], (1, 1, 3, 2)).copy()
    forecast = QuantileForecast(np.array([0.5, 0.9]), values, np.array([2]), panel.item_ids)
    table = score_forecast(forecast, panel, truth=np.array([[1.0, 1, 4, 6, 2]]))
    np.testing.assert_allclose(table["wql"].iloc[0], (1 + 3 + 1) / 12)


def test_score_forecast_refuses_other_items():
    panel = tiny_panel([[1, 2, 3]])
    forecast = QuantileForecast(np.array([0.5, 0.9]), np.zeros((1, 1, 1, 2)), np.array([2]), ("other",))
    with pytest.raises(FractileError, match="items are not the panel's"):
        score_forecast(forecast, panel)
