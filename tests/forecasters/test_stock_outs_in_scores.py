"""Stock-outs as bounds in scores: hand-worked losses, the product limit, and that honest forecasts win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import CensoredData, ecdf, kstest, nbinom, poisson

import fractile as fr
from fractile import FractileError, QuantileForecast, SalesPanel
from fractile.forecasters.scores import (
    calibration_table,
    mean_weighted_quantile_loss,
    pit,
    pit_bounds,
    protection_interval_cells,
    protection_interval_loss,
    quantile_loss_cells,
    score_forecast,
)
from fractile.forecasters.scores.outcomes import GRID, stock_survival, transform_law

LEVELS = np.array([0.5, 0.9])


def make_panel(sales, ran_out=None, listed=None):
    sales = np.asarray(sales, dtype=float)
    out = np.zeros(sales.shape, dtype=bool) if ran_out is None else np.asarray(ran_out, dtype=bool)
    there = np.ones(sales.shape, dtype=bool) if listed is None else np.asarray(listed, dtype=bool)
    dates = pd.date_range("2024-01-01", periods=sales.shape[1], freq="W-MON")
    return SalesPanel(sales, ~out, there, dates, tuple(f"i{k}" for k in range(len(sales))), "W-MON")


def constant_forecast(panel, quantiles, origins, horizon, levels=LEVELS):
    shape = (panel.items, len(origins), horizon, len(levels))
    values = np.broadcast_to(np.asarray(quantiles, dtype=float), shape).copy()
    return QuantileForecast(np.asarray(levels), values, np.asarray(origins), panel.item_ids)


SALES, OUT = [3.0, 5.0, 2.0, 6.0, 4.0, 8.0], [False, False, True, False, True, False]
"""Stock ran out at 2, one of six, and at 4, one of four: P(C > x) = 1 below 2, 5/6 below 4, 5/8 from there on."""


def test_losses_of_stock_outs_by_hand():
    panel = make_panel([[1.0, *SALES]], [[False, *OUT]])  # the first sale is not at risk at 2
    forecast = constant_forecast(panel, [5.0, 7.0], [1], 6)
    loss, demand = quantile_loss_cells(forecast, panel, LEVELS)
    np.testing.assert_array_equal(demand[0, 0], SALES)
    # In stock at 3: 5 is above by 1 + 1 · (5/8)/(5/6) = 1.75, and 7 by 1 + 3 · (5/8)/(5/6) = 3.25. At 5: by 0 and 2.
    # At 6: 5 is below by 1, 7 above by 1. At 8: below by 3 and 1. Where stock ran out, both may be right.
    half = 0.5 * np.array([1.75, 0.0, 0.0, 1.0, 0.0, 3.0])
    ninety = np.array([0.1 * 3.25, 0.1 * 2.0, 0.0, 0.1 * 1.0, 0.0, 0.9 * 1.0])
    np.testing.assert_allclose(loss[0, 0], half + ninety)  # 2 · the mean of two levels
    low = constant_forecast(panel, [1.0, 1.5], [1], 6)
    np.testing.assert_allclose(quantile_loss_cells(low, panel, LEVELS)[0][0, 0, 2], 0.5 * 1.0 + 0.9 * 0.5)


def test_table_of_scores_counts_stock_outs():
    panel = make_panel([[1.0, *SALES]], [[False, *OUT]])
    forecast = constant_forecast(panel, [5.0, 7.0], [1], 6)
    table = score_forecast(forecast, panel).set_index(["horizon", "level"])
    assert table.loc[(0, 0.5), "weeks"] == 6
    np.testing.assert_allclose(table.loc[(0, 0.9), "pinball"], (0.325 + 0.2 + 0.1 + 0.9) / 6)
    np.testing.assert_allclose(table.loc[(0, 0.9), "wql"], 2 * (0.325 + 0.2 + 0.1 + 0.9) / sum(SALES))
    assert table.loc[(5, 0.5), "pinball"] == 0.0  # sold 4, at least 4 asked for: 5 may be right
    np.testing.assert_allclose(mean_weighted_quantile_loss(forecast, panel), table.loc[0, "wql"].to_numpy().mean())


def test_charge_is_the_integral_of_conditional_survival():
    rng = np.random.default_rng(0)
    sales, out = rng.poisson(6, (3, 40)).astype(float), rng.random((3, 40)) < [[0.0], [0.2], [0.9]]
    stock = stock_survival(sales, out)
    quantiles = rng.gamma(3, 4, (3, 40, 2))
    charged = stock.charged(sales, quantiles)
    for item in range(3):
        knots, survival = stock.knots[item], stock.survival[item]
        for cell in np.flatnonzero(~out[item]):
            grid = np.arange(0, 60, 1e-3) + 5e-4
            curve = survival[np.searchsorted(knots, grid, side="right")]
            for level in range(2):
                inside = (grid > sales[item, cell]) & (grid < quantiles[item, cell, level])
                expected = curve[inside].sum() * 1e-3 / survival[np.searchsorted(knots, sales[item, cell])]
                np.testing.assert_allclose(charged[item, cell, level], expected, atol=4e-3)


def test_without_stock_outs_nothing_changes():
    rng = np.random.default_rng(1)
    panel = make_panel(rng.poisson(4, (5, 12)))
    forecast = constant_forecast(panel, [3.0, 7.0], [4, 8], 4)
    rng_a, rng_b = np.random.default_rng(2), np.random.default_rng(2)
    for score in (score_forecast, calibration_table):
        pd.testing.assert_frame_equal(score(forecast, panel), score(forecast, panel, stock_outs="mask"))
    np.testing.assert_array_equal(pit(forecast, panel, rng_a), pit(forecast, panel, rng_b, stock_outs="mask"))


def test_product_limit_agrees_with_scipy():
    rng = np.random.default_rng(3)
    edges = np.linspace(0, 1, GRID + 1)
    values, bound = (rng.integers(1, GRID, n) / GRID for n in (300, 80))
    # In the middle of bins, and censored at their upper ends, so that the order of ties does not matter.
    law = transform_law(
        np.concatenate([values - 0.5 / GRID, bound + 1e-9]),
        np.concatenate([values - 0.5 / GRID, np.ones(80)]),
        np.arange(380) >= 300,
    )
    found = ecdf(CensoredData(uncensored=values - 0.5 / GRID, right=bound)).cdf
    expected = np.array([found.evaluate(edge) for edge in edges[1:]])
    np.testing.assert_allclose(law.below[1:], expected, atol=1.5 / 80)
    middle = law.given(np.array([0.4]), 0.7)
    np.testing.assert_allclose(middle, (law.below[140] - law.below[80]) / (1 - law.below[80]))


def censored_world(items=500, periods=80, seed=4):
    """Poisson demand; stock is what demand of the three periods before left of a level: it runs out after peaks."""
    rng = np.random.default_rng(seed)
    rate = np.geomspace(1.0, 30.0, items)[:, None]
    demand = rng.poisson(rate, (items, periods)).astype(float)
    level = np.ceil(4 * rate + 0.6 * np.sqrt(4 * rate))
    before = np.cumsum(np.pad(demand, ((0, 0), (3, 0))), axis=1)
    before = before[:, 2:-1] - np.pad(before, ((0, 0), (1, 0)))[:, : before.shape[1] - 3]
    stock = np.maximum(level - before, 0.0)
    panel = make_panel(np.minimum(demand, stock), demand >= stock)
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
    quantiles = poisson(rate[:, :, None]).ppf(levels)[:, None]  # (items, 1, 1, Q)
    origins = np.arange(10, periods - 1)
    values = np.broadcast_to(quantiles, (items, len(origins), 1, len(levels))).copy()
    return QuantileForecast(levels, values, origins, panel.item_ids), panel, demand


def paired_excess(forecast, other, panel, levels, **how):
    """By how much the other forecast loses more an item, in standard errors of items."""
    first, second = (quantile_loss_cells(f, panel, levels, **how)[0] for f in (forecast, other))
    excess = np.nansum(second - first, axis=(1, 2))
    return excess.mean() / (excess.std(ddof=1) / np.sqrt(len(excess)))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_true_quantiles_lose_least_though_demand_drives_stock_outs(level, factor):
    forecast, panel, _ = censored_world()
    assert 0.1 < (~panel.in_stock).mean() < 0.3
    biased = replace(forecast, values=forecast.values * factor)
    assert paired_excess(forecast, biased, panel, [level]) > 4


def moving_world(planner, items=300, periods=100, seed=7):
    """Negative binomial demand with a season and a slow level, all of it forecast; a planner who knows less."""
    rng = np.random.default_rng(seed)
    base, week, size = np.geomspace(1.0, 30.0, items)[:, None], np.arange(periods), 4.0
    level = np.zeros((items, periods))
    for t in range(1, periods):
        level[:, t] = 0.9 * level[:, t - 1] + 0.15 * rng.normal(size=items)
    mean = base * np.exp(0.5 * np.sin(2 * np.pi * (week / 52 + rng.random((items, 1)))) + level)
    demand = rng.negative_binomial(size, size / (size + mean)).astype(float)
    stock = np.zeros((items, periods))
    for t in range(4, periods):
        seen = {
            "knows the season": mean[:, t - 3 : t + 1].sum(1),
            "smooths demand": 4 * demand[:, max(0, t - 8) : t].mean(1),
            "never moves": 4 * base[:, 0],
        }[planner]
        up_to = np.ceil(seen + 0.6 * np.sqrt(seen * (1 + seen / 4 / size)))
        stock[:, t] = np.maximum(up_to - demand[:, t - 3 : t].sum(1), 0.0)
    panel, origins = make_panel(np.minimum(demand, stock), demand >= stock), np.arange(20, periods)
    levels = np.array([0.5, 0.8, 0.95])
    values = nbinom(size, (size / (size + mean[:, origins]))[..., None]).ppf(levels)[:, :, None]
    return QuantileForecast(levels, values, origins, panel.item_ids), panel


@pytest.mark.parametrize("planner", ["knows the season", "smooths demand", "never moves"])
def test_true_quantiles_lose_least_whatever_the_planner_knows(planner):
    forecast, panel = moving_world(planner)
    assert 0.2 < (~panel.in_stock[:, 20:]).mean() < 0.4
    for factor in (0.8, 1.2):
        biased = replace(forecast, values=forecast.values * factor)
        for level in forecast.levels:
            assert paired_excess(forecast, biased, panel, [level]) > 4, (factor, level)
    low = replace(forecast, values=forecast.values * 0.8)
    assert paired_excess(forecast, low, panel, [0.95], stock_outs="mask") < -4


def test_masking_rewards_a_forecast_that_is_too_low():
    forecast, panel, _ = censored_world()
    low = replace(forecast, values=forecast.values * 0.95)
    assert paired_excess(forecast, low, panel, [0.9], stock_outs="mask") < -4


def test_shares_of_a_right_forecast_hold_its_levels_under_censoring():
    forecast, panel, demand = censored_world()
    levels = [0.3, 0.5, 0.8, 0.9]
    fine = np.arange(1, 100) / 100
    rate = np.geomspace(1.0, 30.0, panel.items)[:, None]
    values = np.broadcast_to(poisson(rate[:, :, None]).ppf(fine)[:, None], (*forecast.values.shape[:3], 99)).copy()
    right = QuantileForecast(fine, values, forecast.origins, panel.item_ids)
    found, masked, true = (
        calibration_table(right, panel, levels=levels, **how) for how in ({}, {"stock_outs": "mask"}, {"truth": demand})
    )
    error = np.sqrt(np.multiply(levels, np.subtract(1, levels)) / (panel.items * len(forecast.origins)))
    np.testing.assert_array_less(np.abs(found["share"] - true["share"]), 4 * error + 0.002)  # the grid's width
    np.testing.assert_array_less(np.abs(found["coverage"] - true["coverage"]), 4 * error + 0.006)
    assert (masked["share"] - true["share"]).min() > 0.02
    assert (found["weeks"] == panel.items * len(forecast.origins)).all()
    drawn = pit(right, panel, np.random.default_rng(5))[::7]
    assert kstest(drawn.ravel(), "uniform").pvalue > 0.01
    low, high = pit_bounds(right, panel)
    out = ~panel.in_stock[:, forecast.origins][..., None]
    assert (high[out] == 1).all()
    assert (drawn >= low[::7]).all()


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_shares_of_a_wrong_forecast_are_those_of_true_demand(factor):
    forecast, panel, demand = censored_world()
    rate = factor * np.geomspace(1.0, 30.0, panel.items)[:, None, None]
    fine = np.arange(1, 100) / 100
    values = np.broadcast_to(poisson(rate).ppf(fine)[:, None], (*forecast.values.shape[:3], 99)).copy()
    wrong = QuantileForecast(fine, values, forecast.origins, panel.item_ids)
    levels = [0.3, 0.5, 0.8, 0.9]
    found, true = (calibration_table(wrong, panel, levels=levels, **how) for how in ({}, {"truth": demand}))
    assert (np.abs(true["share"] - levels) > 0.05).all()
    error = np.sqrt(np.multiply(levels, np.subtract(1, levels)) / (panel.items * len(forecast.origins)))
    np.testing.assert_array_less(np.abs(found["share"] - true["share"]), 4 * error + 0.002)


def test_a_period_without_any_stock_tells_nothing():
    panel = make_panel([[1.0, *SALES, 0.0, 0.0]], [[False, *OUT, True, True]])
    with_none = constant_forecast(panel, [5.0, 7.0], [1], 8)
    loss, demand = quantile_loss_cells(with_none, panel, LEVELS)
    np.testing.assert_array_equal(demand[0, 0, 6:], 0.0)
    np.testing.assert_array_equal(loss[0, 0, 6:], 0.0)
    before = panel.until(7)
    np.testing.assert_array_equal(
        loss[0, 0, :6], quantile_loss_cells(constant_forecast(before, [5.0, 7.0], [1], 6), before, LEVELS)[0][0, 0]
    )


def test_ranking_on_the_embedded_panel_is_that_of_true_demand():
    retail = fr.retail_panel(80, 120)
    panel, levels = retail.panel, np.arange(1, 10) / 10
    origins = np.array([88, 96, 104, 112])
    truth = retail.true_forecast(8, origins=origins, known="record")
    forecasts = {
        f"{share:g} of the truth": replace(truth, values=truth.values * share) for share in (0.75, 0.85, 1, 1.2)
    }
    for name in ("seasonal_naive", "croston", "patchwork"):
        forecaster = fr.make_forecaster(name).fit(panel.until(88))
        forecasts[name] = forecaster.predict(panel, 8, truth.levels, origins=origins)
    demand = np.where(panel.listed, retail.demand, np.nan)
    true = {k: mean_weighted_quantile_loss(f, panel, levels=levels, truth=demand) for k, f in forecasts.items()}
    found = {k: mean_weighted_quantile_loss(f, panel, levels=levels) for k, f in forecasts.items()}
    assert sorted(found, key=lambda k: found[k]) == sorted(true, key=lambda k: true[k])
    masked = {k: mean_weighted_quantile_loss(f, panel, levels=levels, stock_outs="mask") for k, f in forecasts.items()}
    assert masked["0.85 of the truth"] < masked["1 of the truth"]


def test_words_for_stock_outs_are_checked():
    panel = make_panel([[1, 2, 3]])
    forecast = constant_forecast(panel, [1, 2], [1], 1)
    with pytest.raises(FractileError, match=r"stock_outs must be 'bound' \(.*got 'masked'; did you mean 'mask'"):
        score_forecast(forecast, panel, stock_outs="masked")


def test_protection_interval_loss_by_hand():
    panel = make_panel([[9, 2, 4, 6], [9, 1, 1, 1]])
    forecast = constant_forecast(panel, [[[[3.0, 5.0]]], [[[1.0, 2.0]]]], [1, 2], 2)
    loss, demand = protection_interval_cells(forecast, panel, [2, 1], [0.9, 0.5])
    np.testing.assert_array_equal(demand, [[6, 10], [1, 1]])
    total = forecast.total(2).quantile(0.9)[0, :, 0]
    expected = [np.maximum(0.9 * (y - q), -0.1 * (y - q)) for y, q in zip([6, 10], total, strict=True)]
    np.testing.assert_allclose(loss[0], expected)
    np.testing.assert_array_equal(loss[1], 0.0)
    whole = protection_interval_loss(forecast, panel, [2, 1], [0.9, 0.5])
    np.testing.assert_allclose(whole, 2 * sum(expected) / 18)
    plain = protection_interval_loss(forecast, panel, [2, 1], [0.9, 0.5], weighted=False)
    np.testing.assert_allclose(plain, sum(expected) / 4)


def test_sums_that_are_not_known_do_not_count():
    listed = [[True] * 5, [False, False, True, True, True]]
    panel = make_panel([[1, 2, 3, 4, 5], [0, 0, 3, 4, 5]], [[False] * 5, [False, False, False, True, False]], listed)
    forecast = constant_forecast(panel, [3.0, 5.0], [1, 2, 4], 2)
    np.testing.assert_array_equal(
        protection_interval_cells(forecast, panel, 2, 0.5)[1], [[5, 7, np.nan], [np.nan, 7, np.nan]]
    )
    masked = protection_interval_cells(forecast, panel, 2, 0.5, stock_outs="mask")[1]
    np.testing.assert_array_equal(masked, [[5, 7, np.nan], [np.nan, np.nan, np.nan]])
    truth = np.array([[1.0, 2, 3, 4, 5], [np.nan, 1, 3, 9, 5]])
    true = protection_interval_cells(forecast, panel, 2, 0.5, truth=truth)[1]
    np.testing.assert_array_equal(true, [[5, 7, np.nan], [4, 12, np.nan]])


def test_a_sum_with_a_stock_out_is_a_bound():
    panel = make_panel([[5, 5, 2, 3, 4]], [[False, False, True, False, False]])
    high = constant_forecast(panel, [9.0, 9.5], [2], 2)
    np.testing.assert_array_equal(protection_interval_cells(high, panel, 2, 0.5)[0], 0.0)
    low = constant_forecast(panel, [1.0, 1.0], [2], 2)
    np.testing.assert_allclose(protection_interval_cells(low, panel, 2, 0.5)[0], 0.5 * (5 - 2))


def test_sums_of_a_forecast_too_low_are_not_rewarded():
    retail = fr.retail_panel(150, 130)
    panel, origins = retail.panel, np.arange(100, 125, 2)
    truth = retail.true_forecast(5, origins=origins, known="record")
    span = panel.static["lead_time"].to_numpy() + 1
    low = replace(truth, values=truth.values * 0.8)
    for how, better in (({}, truth), ({"truth": retail.demand}, truth), ({"stock_outs": "mask"}, low)):
        losses = {id(f): protection_interval_loss(f, panel, span, 0.9, **how) for f in (truth, low)}
        assert min(losses, key=losses.get) == id(better), how


@pytest.mark.parametrize(
    ("span", "level", "message"),
    [
        (1.5, 0.5, "span must be whole periods, got 1.5"),
        ([1, 2, 1], 0.5, r"span must be one number or one an item \(2\), got the shape \(3,\)"),
        (3, 0.5, "horizon of 2 periods, 3 are needed"),
        (2, 1.0, "level must lie strictly between 0 and 1"),
    ],
)
def test_arguments_of_protection_interval_loss_are_checked(span, level, message):
    panel = make_panel([[1, 2, 3], [1, 2, 3]])
    with pytest.raises(FractileError, match=message):
        protection_interval_loss(constant_forecast(panel, [1, 2], [1], 2), panel, span, level)
