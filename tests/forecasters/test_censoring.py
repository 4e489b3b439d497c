"""Stock-outs as bounds: conditional means and draws, forecasts that are not biased by them, and discontinued items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma

from fractile import FORECASTERS, SalesPanel, make_forecaster
from fractile.forecasters.censoring import RunningLaw, demand_above, draw_demand, impute_demand
from fractile.forecasters.data.discontinued import discontinued

QUICK = {
    **{
        name: {"steps": 150, "horizon": 4}
        for name in ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
    },
    **{name: {"trees": 40, "horizon": 4} for name in ("random_forest", "quantile_forest", "sqrf", "lightgbm")},
    "arima": {"searched": 4},
    "ensemble": {"horizon": 4, "members": ("patchwork", "croston")},
}


def panel_of(sales, in_stock=None, static=None, listed=None):
    sales = np.atleast_2d(np.asarray(sales, dtype=np.float64))
    true = np.ones(sales.shape, dtype=bool)
    return SalesPanel(
        sales=sales,
        in_stock=true if in_stock is None else in_stock,
        listed=true if listed is None else listed,
        dates=pd.date_range("2022-01-03", periods=sales.shape[1], freq="W-MON"),
        item_ids=tuple(f"item {i}" for i in range(len(sales))),
        freq="W-MON",
        static=pd.DataFrame() if static is None else static,
    )


def test_mean_and_draws_above_a_bound_are_those_of_the_gamma_law():
    law, bound = RunningLaw(np.full(3, 10.0), np.full(3, 20.0), np.full(3, 1e9)), np.array([0.0, 9.0, 20.0])
    known = gamma(a=5.0, scale=2.0)
    expected = [known.expect(lambda x: x, lb=b, conditional=True) for b in bound]
    np.testing.assert_allclose(demand_above(bound, law), expected, rtol=1e-6)
    many = RunningLaw(np.full(20_000, 10.0), np.full(20_000, 20.0), np.full(20_000, 1e9))
    uniform = (np.arange(20_000) + 0.5) / 20_000
    drawn = demand_above(np.full(20_000, 9.0), many, uniform=uniform)
    assert drawn.min() >= 9.0
    assert drawn.mean() == pytest.approx(expected[1], rel=1e-3)


def test_a_bound_beyond_all_that_is_likely_is_taken_for_demand():
    law = RunningLaw(np.array([1.0]), np.array([0.5]), np.array([1e9]))
    np.testing.assert_array_equal(demand_above(np.array([500.0]), law), [500.0])


def test_whole_demand_is_drawn_in_whole_units():
    rng = np.random.default_rng(0)
    sales = rng.poisson(5.0, (4, 80)).astype(float)
    out = rng.random(sales.shape) < 0.3
    drawn = draw_demand(panel_of(np.where(out, np.floor(sales / 2), sales), ~out))
    np.testing.assert_array_equal(drawn.sales, np.rint(drawn.sales))
    np.testing.assert_array_equal(drawn.sales[~out], sales[~out])
    assert (drawn.sales[out] >= np.floor(sales / 2)[out]).all()


def test_what_stands_in_comes_from_the_periods_before_it():
    rng = np.random.default_rng(1)
    sales, out = rng.poisson(5.0, (5, 60)).astype(float), rng.random((5, 60)) < 0.3
    panel = panel_of(np.where(out, 1.0, sales), ~out)
    other = panel_of(np.where(np.arange(60) >= 30, 99.0, panel.sales), panel.in_stock)
    for fill in (impute_demand, draw_demand):
        np.testing.assert_array_equal(fill(panel).sales[:, :30], fill(other).sales[:, :30])
        longer = panel.select(np.array([3, 0]))
        np.testing.assert_array_equal(fill(longer).sales, fill(panel).sales[[3, 0]])


def censored_world(items=40, periods=110, seed=0):
    """Poisson(8) demand met from a stock of 9 in two weeks of three and without limit otherwise."""
    rng = np.random.default_rng(seed)
    demand = rng.poisson(8.0, (items, periods)).astype(float)
    limit = np.where(rng.random(demand.shape) < 2 / 3, 9.0, np.inf)
    return panel_of(np.minimum(demand, limit), demand <= limit)


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_forecasts_are_of_demand_and_not_of_demand_in_stock(name):
    """The mean of what is in stock is 7.0 where demand has 8.0: a forecast must come at least half way."""
    panel = censored_world()
    assert panel.sales[panel.informative].mean() < 7.4
    made = make_forecaster(name, **QUICK.get(name, {})).fit(panel)
    forecast = made.predict(panel, 4, origins=[100, panel.periods])
    assert 7.6 < forecast.mean().mean() < 8.5


def world_with_dead_items(dead, seed=0):
    rng = np.random.default_rng(seed)
    sales = rng.poisson(6.0, (8 + dead, 150)).astype(float)
    sales[8:, 110:] = 0.0
    return panel_of(sales)


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_discontinued_items_change_nothing_for_the_others_and_are_forecast_at_zero(name):
    panel = world_with_dead_items(6)
    alive = panel.select(np.arange(8))
    options = QUICK.get(name, {}) | ({"steps": 20} if "steps" in QUICK.get(name, {}) else {})
    alone = make_forecaster(name, **options).fit(alive).predict(alive, 4)
    beside = make_forecaster(name, **options).fit(panel).predict(panel, 4)
    np.testing.assert_allclose(beside.values[:8], alone.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(beside.total(4).values[:8], alone.total(4).values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(beside.values[8:], 0.0)


def test_an_item_is_alive_until_its_run_without_a_sale_is_too_long_and_again_when_it_sells():
    sales = np.random.default_rng(0).poisson(6.0, (1, 120)).astype(float)
    sales[0, 60:100] = 0.0
    gone = discontinued(panel_of(sales), np.arange(1, 121))[0]
    assert not gone[:72].any()
    assert gone[72:100].all()
    assert not gone[100:].any()


def test_daily_items_are_dead_after_four_weeks():
    sales = np.random.default_rng(0).poisson(4.0, (1, 90)).astype(float)
    sales[0, 50:] = 0.0
    daily = replace(panel_of(sales), dates=pd.date_range("2024-01-01", periods=90, freq="D"), freq="D")
    gone = discontinued(daily, np.arange(1, 91))[0]
    assert not gone[:77].any()
    assert gone[77:].all()


def test_slow_seasonal_and_sold_out_items_are_not_dead():
    rng = np.random.default_rng(0)
    slow = (rng.random(200) < 0.04).astype(float)
    slow[[3, 60]] = 1.0
    seasonal = np.where(np.arange(200) % 52 < 6, 20.0, 0.0)
    sold_out = rng.poisson(6.0, 200).astype(float)
    sold_out[120:] = 0.0
    in_stock = np.ones((3, 200), dtype=bool)
    in_stock[2, 120:] = False
    gone = discontinued(panel_of([slow, seasonal, sold_out], in_stock), np.arange(1, 201))
    assert not gone[:, 104:].any()


def test_what_the_data_says_of_discontinued_items_counts_and_not_the_rule():
    panel = world_with_dead_items(2)
    none = replace(panel, static=pd.DataFrame({"discontinued": [pd.NaT] * 10}, index=list(panel.item_ids)))
    assert not discontinued(none, np.array([150])).any()
    listed = panel.listed.copy()
    listed[0, 140:] = False
    gone = discontinued(replace(none, listed=listed), np.array([140, 141, 150]))
    np.testing.assert_array_equal(gone[0], [False, True, True])
    assert not gone[1:].any()


def test_a_period_partly_in_stock_is_what_was_sold_and_the_rate_for_the_rest():
    law, share = RunningLaw(np.full(3, 14.0), np.full(3, 14.0), np.full(3, 1e9)), np.array([0.0, 4 / 7, 6 / 7])
    sales = np.array([0.0, 9.0, 12.0])
    expected = [14.0, 9 + 3 / 7 * (9 + 3.5) / (4 / 7 + 0.25), 12 + 1 / 7 * (12 + 3.5) / (6 / 7 + 0.25)]
    np.testing.assert_allclose(demand_above(sales, law, share=share), expected)
    many = [np.repeat(each, 20_000) for each in (sales, share)]
    uniform = np.tile((np.arange(20_000) + 0.5) / 20_000, 3)
    drawn = demand_above(many[0], RunningLaw(*(np.full(60_000, 14.0),) * 3), share=many[1], uniform=uniform)
    np.testing.assert_allclose(drawn.reshape(3, -1).mean(1), expected, rtol=1e-3)


def test_weeks_partly_in_stock_hardly_change_a_forecast():
    rng = np.random.default_rng(3)
    demand = rng.poisson(40.0, (12, 100)).astype(float)
    share = np.where(rng.random(demand.shape) < 0.5, 6 / 7, 1.0)
    sold = rng.binomial(demand.astype(int), share).astype(float)
    panel = replace(panel_of(sold, share == 1.0), availability=share)
    got = make_forecaster("croston").fit(panel).predict(panel, 4).mean()
    np.testing.assert_allclose(got.mean(), 40.0, rtol=0.03)
