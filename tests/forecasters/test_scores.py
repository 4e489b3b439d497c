"""Scores against scoringrules, closed forms and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scoringrules
from scipy.special import ndtri

import fractile as fr
from fractile import FractileError, QuantileForecast, SalesPanel
from fractile.forecasters.scores import (
    bias,
    coverage,
    crps,
    crps_ensemble,
    interval_score,
    mean_weighted_quantile_loss,
    pinball_loss,
    quantile_error,
    quantile_loss_cells,
    score_forecast,
    sharpness,
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


def test_score_forecast_counts_informative_weeks_only_where_stock_outs_are_masked():
    panel = tiny_panel([[1, 1, 4, 100, 2]], [[True, True, True, False, True]])
    values = np.broadcast_to([3.0, 5.0], (1, 1, 3, 2)).copy()
    forecast = QuantileForecast(np.array([0.5, 0.9]), values, np.array([2]), panel.item_ids)
    table = score_forecast(forecast, panel, stock_outs="mask").set_index(["horizon", "level"])
    assert table.loc[(0, 0.5), "weeks"] == 2
    assert table.loc[(2, 0.5), "weeks"] == 0
    np.testing.assert_allclose(table.loc[(0, 0.5), "wql"], (1 + 1) / 6)
    np.testing.assert_allclose(table.loc[(0, 0.9), "coverage"], 1.0)
    np.testing.assert_allclose(table.loc[(1, 0.9), "pinball"], 0.1 * 1)
    masked = mean_weighted_quantile_loss(forecast, panel, stock_outs="mask")
    np.testing.assert_allclose(masked, table.loc[0, "wql"].to_numpy().mean())


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


def test_scores_are_part_of_the_public_face():
    assert fr.scores.pinball_loss is pinball_loss
    assert {"excess_volatility", "calibration_table", "pit", "crps_ensemble"} <= set(fr.scores.__all__)
    assert all(hasattr(fr.scores, name) for name in fr.scores.__all__)


@pytest.mark.parametrize(("fair", "estimator"), [(False, "nrg"), (True, "fair")])
def test_crps_of_draws_agrees_with_scoringrules(fair, estimator):
    rng = np.random.default_rng(3)
    demand, draws = rng.gamma(2, 3, (4, 5)), rng.gamma(2, 3, (11, 4, 5))
    expected = scoringrules.crps_ensemble(demand, draws, m_axis=0, estimator=estimator)
    np.testing.assert_allclose(crps_ensemble(demand, draws, fair=fair), expected, rtol=1e-10)


def test_fair_crps_needs_two_draws():
    with pytest.raises(FractileError, match="draws must be 2 or more"):
        crps_ensemble(1.0, [1.0], fair=True)


def test_interval_score_agrees_with_scoringrules():
    rng = np.random.default_rng(4)
    demand, low, width = rng.gamma(2, 3, 100), rng.gamma(2, 2, 100), rng.gamma(2, 2, 100)
    expected = scoringrules.interval_score(demand, low, low + width, 0.2)
    np.testing.assert_allclose(interval_score(demand, low, low + width, 0.8), expected, rtol=1e-10)


def test_quantile_error_is_the_weighted_loss_of_one_level():
    demand = np.array([10.0, 0.0, np.nan])
    # 2 * (0.9 * 3 + 0.1 * 1) / 10
    assert quantile_error(demand, np.array([7.0, 1.0, 5.0]), 0.9) == pytest.approx(0.56)


def test_sharpness_leaves_unknown_demand_out():
    assert sharpness([4.0, np.nan], [1.0, 0.0], [3.0, 99.0]) == pytest.approx(0.5)


def test_loss_cells_sum_to_the_weighted_quantile_loss():
    panel = tiny_panel([[1, 1, 4, 100, 2], [5, 5, 0, 7, 3]], [[True, True, True, False, True], [True] * 5])
    values = np.broadcast_to([2.0, 4.0, 8.0], (2, 2, 2, 3)).copy()
    forecast = QuantileForecast(np.array([0.2, 0.5, 0.8]), values, np.array([2, 3]), panel.item_ids)
    loss, demand = quantile_loss_cells(forecast, panel, forecast.levels, stock_outs="mask")
    assert loss.shape == demand.shape == (2, 2, 2)
    np.testing.assert_array_equal(demand[0], [[4, np.nan], [np.nan, 2]])
    # 2/3 * (0.2 * (4 - 2) + 0 + 0.2 * (8 - 4))
    np.testing.assert_allclose(loss[0, 0], [2 / 3 * 1.2, np.nan])
    whole = np.nansum(loss) / np.nansum(demand)
    np.testing.assert_allclose(whole, mean_weighted_quantile_loss(forecast, panel, stock_outs="mask"))
    truth = np.where(panel.sales == 100, 6.0, panel.sales)
    np.testing.assert_array_equal(quantile_loss_cells(forecast, panel, [0.5], truth=truth)[1][0], [[4, 6], [6, 2]])


def test_loss_cells_interpolate_levels_that_were_not_forecast():
    panel = tiny_panel([[1, 9]])
    forecast = QuantileForecast(np.array([0.2, 0.6]), np.full((1, 1, 1, 2), [2.0, 6.0]), np.array([1]), panel.item_ids)
    loss, _ = quantile_loss_cells(forecast, panel, [0.4, 0.5])
    # quantiles 4 and 5: 2 * (0.4 * 5 + 0.5 * 4) / 2
    np.testing.assert_allclose(loss, 4.0)
    np.testing.assert_allclose(mean_weighted_quantile_loss(forecast, panel, levels=[0.4, 0.5]), 4 / 9)


def test_loss_cells_refuse_levels_out_of_order():
    panel = tiny_panel([[1, 9]])
    forecast = QuantileForecast(np.array([0.2, 0.6]), np.zeros((1, 1, 1, 2)), np.array([1]), panel.item_ids)
    with pytest.raises(FractileError, match="levels must be strictly increasing"):
        quantile_loss_cells(forecast, panel, [0.5, 0.4])
