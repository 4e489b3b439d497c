"""Numbers at the edge: each gives a right result, or a fault that names the place, the value and the rule."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile import FractileError
from fractile.arrays import MOST, MOST_PERIODS
from fractile.studies.orders import next_orders

LEVELS = np.array([0.1, 0.5, 0.9])
ONES = np.ones((1, 1, 2, 3))


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def forecast(values, levels=LEVELS):
    return fr.QuantileForecast(levels, values, np.arange(1), ("tea",))


def panel(sales):
    items, periods = sales.shape
    dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
    names = np.repeat([f"item {k}" for k in range(items)], periods)
    frame = pd.DataFrame({"item_id": names, "date": np.tile(dates, items), "sales": sales.reshape(-1)})
    return fr.SalesPanel.from_frame(frame, freq="W-MON")


@pytest.mark.parametrize("values", [0.0 * ONES, -0.0 * ONES, 5e-324 * ONES, 1e12 * ONES, MOST * ONES, ONES.astype(int)])
def test_quantiles_at_the_edge_are_read_and_summed_without_a_warning(values):
    found = forecast(values)
    read = [found.quantile(tau) for tau in (1e-9, 0.75, 1 - 1e-9)]
    rest = [found.mean(), found.total(2).values, found.sample(3, np.random.default_rng(0)), found.draws()]
    for array in (*read, *rest):
        assert np.isfinite(array).all()
        assert (array >= 0).all()


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (np.nan * ONES, "finite demand >= 0, got nan at item 'tea', origin 0, step 1 of the horizon, level 0.1"),
        (np.inf * ONES, "finite demand >= 0, got inf at item 'tea'"),
        (1e300 * ONES, "demand of at most 1e[+]15 units, got 1e[+]300 at item 'tea', origin 0, step 1"),
        (ONES + 0j, "real numbers, got an array of complex128"),
        (np.full(ONES.shape, "x"), "real numbers, got an array of <U1"),
        (np.full(ONES.shape, {}), "real numbers, got an array of object"),
        (None, "the shape [(]items, origins, horizon, levels[)]"),
    ],
)
def test_faulty_quantiles_are_named(values, rule):
    with pytest.raises(FractileError, match=f"^values must (be|have) {rule}"):
        forecast(values)


def test_quantiles_of_objects_and_lists_are_numbers():
    np.testing.assert_array_equal(forecast(ONES.astype(object)).quantile(0.5), forecast(ONES).quantile(0.5))
    np.testing.assert_array_equal(forecast(ONES.tolist()).total(2).values, forecast(ONES).total(2).values)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.quantile("x"), "a quantile level must be a number between 0 and 1, got 'x'"),
        (lambda f: f.quantile(np.nan), "between 0 and 1, got nan"),
        (lambda f: f.quantile(np.array([[1.0]])), "between 0 and 1, got 1.0 for item 0; a critical ratio"),
        (lambda f: f.total(np.nan), "span must be whole periods, got nan"),
        (lambda f: f.total(1.5), "span must be whole periods, got 1.5"),
        (lambda f: f.total("x"), "span must be whole periods, got 'x'"),
        (lambda f: f.total(2**70), "the forecast has a horizon of 2 periods"),
        (lambda f: f.sample(0, np.random.default_rng(0)), "paths must be a whole number >= 1, got 0"),
        (lambda f: f.sample(-1, np.random.default_rng(0)), "paths must be a whole number >= 1, got -1"),
        (lambda f: f.draws(1.5), "number must be a whole number >= 1, got 1.5"),
    ],
)
def test_what_is_read_of_a_forecast_is_checked(ask, message):
    with pytest.raises(FractileError, match=message):
        ask(forecast(ONES))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lead_time", 1e19, f"lead_time must be at most {MOST_PERIODS}, got 1e[+]19"),
        ("lead_time", 2**70, f"lead_time must be at most {MOST_PERIODS}"),
        ("review_period", 1e300, f"review_period must be at most {MOST_PERIODS}"),
        ("shelf_life", 1e19, f"shelf_life must be at most {MOST_PERIODS}"),
        ("lead_time", None, "lead_time must be an integer >= 0, got nan"),
        ("holding_cost", None, "holding_cost must be a number >= 0, got nan"),
        ("holding_cost", 1e300, "holding_cost must be at most 1e[+]15, got 1e[+]300"),
        ("stockout_cost", [1.0, 1e300], "stockout_cost must be at most 1e[+]15, got 1e[+]300"),
        ("pack_size", 1e19, "pack_size must be at most 1e[+]15"),
        ("discount", "x", "discount must lie in"),
        ("discount", np.nan, "discount must lie in"),
    ],
)
def test_parameters_out_of_range_are_named(name, value, message):
    with pytest.raises(FractileError, match=message):
        fr.ItemParams(**{name: value})


def test_an_item_without_costs_has_no_critical_ratio():
    with pytest.raises(FractileError, match="is not defined: holding_cost and stockout_cost are 0"):
        _ = fr.ItemParams(holding_cost=0.0, stockout_cost=0.0).critical_ratio
    with pytest.raises(FractileError, match="of item 1 is not defined"):
        _ = fr.ItemParams(holding_cost=[1.0, 0.0], stockout_cost=[2.0, 0.0]).critical_ratio


@pytest.mark.parametrize("costs", [{"holding_cost": 0.0}, {"holding_cost": 1e-300}, {"stockout_cost": 0.0}])
def test_a_critical_ratio_of_one_or_nothing_is_a_fault_and_no_endless_order(costs):
    scenario = fr.Scenario(np.ones((1, 4, 1)), forecasts=[forecast(ONES)] * 4)
    with pytest.raises(FractileError, match=r"strictly between 0 and 1, got [01]\.0; a critical ratio"):
        fr.simulate(fr.make_policy("newsvendor"), scenario, fr.ItemParams(**costs))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1.0])
def test_faulty_demand_is_named_by_path_period_and_item(value):
    demand = np.ones((2, 3, 4))
    demand[1, 2, 3] = value
    with pytest.raises(FractileError, match=r"demand must be .* on path 1 in period 2 of item 3"):
        fr.Scenario(demand)


@pytest.mark.parametrize("shape", [(0, 3, 1), (2, 0, 1), (2, 3, 0)])
def test_nothing_to_simulate_is_a_fault(shape):
    with pytest.raises(FractileError, match="demand must have a path, a period and an item at least"):
        fr.simulate(fr.make_policy("base_stock", level=3.0), fr.Scenario(np.ones(shape)), fr.ItemParams())


@pytest.mark.parametrize("factor", [1e-100, 1.0, 1e12])
def test_costs_of_a_simulation_grow_with_the_unit(factor):
    """Counted in other units, the same policy costs as much more, and saves the same share."""
    demand = np.random.default_rng(0).poisson(4.0, (2, 12, 3)) * factor
    policies = {name: fr.make_policy("base_stock", level=level * factor) for name, level in (("a", 6), ("b", 9))}
    params = fr.ItemParams(lead_time=1)
    table = fr.compare(policies, fr.Scenario(demand), params, baseline="a").table
    plain = {name: fr.make_policy("base_stock", level=level) for name, level in (("a", 6), ("b", 9))}
    usual = fr.compare(plain, fr.Scenario(demand / factor), params, baseline="a").table
    np.testing.assert_allclose(table["cost"], usual["cost"] * factor, rtol=1e-9)
    np.testing.assert_allclose(table["saving"], usual["saving"], rtol=1e-9, atol=1e-12)


def test_savings_of_next_to_nothing_are_a_fault():
    policies = {name: fr.make_policy("base_stock", level=level * 5e-324) for name, level in (("a", 6), ("b", 9))}
    scenario = fr.Scenario(5e-324 * np.random.default_rng(0).poisson(4.0, (2, 12, 3)))
    with pytest.raises(FractileError, match="a saving is a share of a positive cost"):
        fr.compare(policies, scenario, fr.ItemParams(), baseline="a")


@pytest.mark.parametrize("name", ["newsvendor", "projected", "tuned_newsvendor", "generalist", "hindsight"])
@pytest.mark.parametrize("demand", [np.zeros((1, 5, 1)), np.ones((1, 1, 1)), 1e12 * np.ones((1, 5, 2))])
def test_policies_order_finite_numbers_at_the_edge(name, demand):
    """All-zero items, one item over one period, and very large demand; a lead time longer than the horizon."""
    most = float(demand.max())
    values = np.sort(most * LEVELS * np.ones((demand.shape[2], 1, 9, 1)), axis=-1)
    made = fr.QuantileForecast(LEVELS, values, np.arange(1), tuple("ab")[: demand.shape[2]])
    scenario = fr.Scenario(demand, forecasts=[made] * demand.shape[1])
    found = fr.simulate(fr.make_policy(name), scenario, fr.ItemParams(lead_time=7))
    for values in (found.order, found.cost, found.on_hand, found.fill_rate, found.mean_cost):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("factor", [1e300, 1e16])
def test_sales_too_large_to_count_are_a_fault_of_their_row(factor):
    with pytest.raises(FractileError, match=r"sales must be at most 1e\+15, got"):
        panel(np.ones((2, 12)) * factor)


CASES = {
    "one item": np.random.default_rng(0).poisson(5.0, (1, 40)),
    "two periods": np.array([[3.0, 4.0], [0.0, 2.0]]),
    "all zero": np.zeros((2, 40)),
    "constant": np.full((2, 40), 7.0),
    "large": 1e12 * np.random.default_rng(1).poisson(5.0, (2, 40)),
    "denormal": 5e-324 * np.ones((2, 40)),
    "mixed": np.random.default_rng(2).poisson(5.0, (3, 40)) * np.array([[1.0], [1e12], [1e-12]]),
}


def check_forecaster_at_the_edge(name, case, options, horizon):
    history, refused = panel(CASES[case]), None
    try:
        forecaster = fr.make_forecaster(name, **options).fit(history)
        found = forecaster.predict(history, horizon)
    except FractileError as fault:
        refused = str(fault)
    if refused is not None:  # a clear fault, that names what it is of
        assert any(word in refused for word in (name, "item", "periods")), refused
        return
    for values in (found.values, found.mean(), found.total(2).values):
        assert np.isfinite(values).all()
    if case in ("constant", "large"):
        ratio = found.quantile(0.5).mean((1, 2)) / CASES[case].mean(1)
        assert (ratio > 0.1).all()  # four trees, three steps: rough, but of the size of what was sold
        assert (ratio < 10.0).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["seasonal_naive", "croston", "patchwork"])
def test_quick_forecasters_at_the_edge(name, case):
    check_forecaster_at_the_edge(name, case, {}, 60)  # further ahead than the history is long


TREES = {"random_forest": {"trees": 4}, "quantile_forest": {"trees": 4}, "sqrf": {"trees": 4}, "lightgbm": {"trees": 4}}
NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["ets", "arima", *TREES, *NETWORKS])
def test_every_forecaster_at_the_edge(name, case):
    options = {"horizon": 3, "steps": 3} if name in NETWORKS else TREES.get(name, {})
    check_forecaster_at_the_edge(name, case, options, 3)


def test_a_network_refuses_sales_beyond_its_largest_forecast():
    with pytest.raises(FractileError, match=r"mqmlp forecasts 1,202,603 units a period at most, and item 'item 0'.*on"):
        fr.make_forecaster("mqmlp", horizon=3, steps=1).fit(panel(CASES["large"]))


def test_an_order_too_large_to_count_is_a_fault_that_names_the_item():
    history = panel(CASES["constant"])
    forecaster = fr.make_forecaster("seasonal_naive").fit(history)
    policy = fr.make_policy("base_stock", level=MOST)
    with pytest.raises(FractileError, match=r"orders 1e\+19 units of item item 0, more than can be"):
        next_orders(fr.make_policy("base_stock", level=1e19), forecaster, history, fr.ItemParams(lead_time=1))
    found = next_orders(policy, forecaster, history, fr.ItemParams(lead_time=1, pack_size=1))
    assert found["order"].dtype == np.int64
    assert (found["order"] == int(MOST)).all()


def test_no_forecast_is_longer_than_memory():
    history = panel(CASES["constant"])
    forecaster = fr.make_forecaster("seasonal_naive").fit(history)
    with pytest.raises(FractileError, match="horizon must be at most 10000 periods, got 100000000"):
        forecaster.predict(history, 10**8)
    with pytest.raises(FractileError, match="horizon must be a whole number of periods >= 1, got nan"):
        forecaster.predict(history, np.nan)


def test_scores_without_demand_are_no_number_and_no_warning():
    """Where nothing was sold a loss has no share; where nothing was lost either it is 0."""
    history = panel(np.hstack([CASES["constant"], np.zeros((2, 10))]))
    found = fr.make_forecaster("seasonal_naive").fit(history.until(40)).predict(history, 3, origins=[42, 43])
    table = fr.scores.score_forecast(found, history)
    assert not np.isinf(table.to_numpy(dtype=float)).any()
    assert np.isnan(table.loc[table["horizon"] == 0, "wql"]).any()
    assert fr.scores.weighted_quantile_loss(np.zeros(2), np.zeros((2, 3)), LEVELS) == 0.0
