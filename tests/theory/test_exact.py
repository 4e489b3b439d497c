"""Exact policies, closed forms and simulations against the literature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import fractile as fr
from fractile import (
    InventoryState,
    Scenario,
)
from fractile.envs.core.backend import positive_part
from fractile.envs.core.period import advance
from fractile.envs.core.types import ItemParams
from fractile.envs.instances import tables as table
from fractile.policies.base_stock import BaseStock, CappedBaseStock, ConstantOrder
from fractile.policies.exact.dynamic_programming import DynamicProgramming

OPTIMAL = {key: row[0] for key, row in table.LOST_SALES_POISSON.items()}
DEMAND = fr.Poisson(5.0)
PATHS, PERIODS, WARM_UP = 256, 450, 50


def params_of(instance: tuple[int, int], **more) -> ItemParams:
    stockout_cost, lead_time = instance
    return ItemParams(lead_time=lead_time, holding_cost=1.0, stockout_cost=float(stockout_cost), **more)


def simulated(policy, params: ItemParams, demand=DEMAND, seed: int = 11) -> tuple[float, float]:
    """Average cost and its standard error over independent paths."""
    scenario = fr.draw_scenario(demand, seed, PATHS, PERIODS, params.slots + 1)
    cost = fr.simulate(policy, scenario, params, warm_up=WARM_UP).cost.mean((1, 2))
    return float(cost.mean()), float(cost.std(ddof=1) / np.sqrt(PATHS))


def assert_agrees(policy, params: ItemParams, exact: float, demand=DEMAND) -> None:
    mean, error = simulated(policy, params, demand)
    assert error < 0.02 * exact
    assert abs(mean - exact) < 4 * error + 5e-5


@pytest.mark.parametrize("instance", OPTIMAL, ids=str)
def test_optimal_lost_sales_poisson(instance):
    got = DynamicProgramming(DEMAND, params_of(instance)).average_cost
    assert got == pytest.approx(OPTIMAL[instance], abs=1e-5)


GEOMETRIC = [
    pytest.param(instance, marks=pytest.mark.slow if instance in ((19, 4), (39, 4)) else ())
    for instance in table.LOST_SALES_GEOMETRIC
]


@pytest.mark.parametrize("instance", GEOMETRIC, ids=str)
def test_optimal_lost_sales_geometric(instance):
    got = DynamicProgramming(fr.Geometric(5.0), params_of(instance)).average_cost
    assert got == pytest.approx(table.LOST_SALES_GEOMETRIC[instance][0], abs=1e-4)


def test_optimal_lost_sales_with_fixed_cost():
    instance = fr.instances["bijvank2015-fixed-cost"]
    got = DynamicProgramming(instance.demand, instance.params).average_cost
    assert got == pytest.approx(instance.optimal, abs=1e-5)


@pytest.mark.parametrize("mean", table.REORDER_POINT_ORDER_UP_TO)
def test_optimal_reorder_point_and_order_up_to(mean):
    point, level, cost = table.REORDER_POINT_ORDER_UP_TO[mean]
    params = ItemParams(lead_time=0, stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder")
    optimal = DynamicProgramming(fr.Poisson(float(mean)), params)
    assert optimal.average_cost == pytest.approx(cost, abs=1e-4)
    position = np.arange(point - 20, level + 1)
    obs = fr.Observation(0, position[:, None].astype(float), np.zeros((0, len(position), 1)), params)
    order = optimal.order(obs)[:, 0]
    # At or below s order up to S, above it nothing.
    np.testing.assert_array_equal(order, np.where(position <= point, level - position, 0))


def test_optimal_backorder_is_the_newsvendor():
    known = table.BACKORDER_POISSON
    params = ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
    units = np.arange(200)
    total = stats.poisson(15.0).pmf(units)
    closed = (np.maximum(20 - units, 0) + 9.0 * np.maximum(units - 20, 0)) @ total
    assert closed == pytest.approx(known["cost"], abs=1e-5)
    assert stats.poisson(15.0).ppf(0.9) == known["level"]
    assert DynamicProgramming(DEMAND, params).average_cost == pytest.approx(closed, abs=1e-6)


def test_backorder_newsvendor_costs_what_the_formula_says():
    params = ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
    assert_agrees(fr.make_policy("newsvendor"), params, table.BACKORDER_POISSON["cost"])


@pytest.mark.parametrize("stockout_cost", [4, 9, 19, 39])
@pytest.mark.parametrize("lead_time", [1, 2])
def test_lost_sales_cost_no_more_than_backorders(stockout_cost, lead_time):
    lost = DynamicProgramming(DEMAND, params_of((stockout_cost, lead_time)))
    wait = DynamicProgramming(DEMAND, params_of((stockout_cost, lead_time), unmet_demand="backorder"))
    assert lost.average_cost < wait.average_cost


def test_without_lead_time_lost_sales_and_backorders_cost_the_same():
    lost, wait = (
        DynamicProgramming(DEMAND, ItemParams(stockout_cost=4.0, unmet_demand=unmet)) for unmet in ("lost", "backorder")
    )
    units = np.arange(100)
    closed = (np.maximum(7 - units, 0) + 4.0 * np.maximum(units - 7, 0)) @ stats.poisson(5.0).pmf(units)
    assert lost.average_cost == pytest.approx(closed, abs=1e-6)
    assert wait.average_cost == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize("instance", table.LOST_SALES_POISSON, ids=str)
def test_simulated_base_stock_costs_what_is_known(instance):
    level, cost = table.LOST_SALES_POISSON[instance][1]
    assert_agrees(BaseStock(level), params_of(instance), cost)


@pytest.mark.parametrize("instance", table.LOST_SALES_POISSON, ids=str)
def test_simulated_capped_base_stock_costs_what_is_known(instance):
    level, cap, cost = table.LOST_SALES_POISSON[instance][2]
    assert_agrees(CappedBaseStock(level, cap), params_of(instance), cost)


@pytest.mark.parametrize("stockout_cost", table.CONSTANT_ORDER_POISSON)
def test_simulated_constant_order_costs_what_is_known(stockout_cost):
    assert_agrees(ConstantOrder(4), params_of((stockout_cost, 0)), table.CONSTANT_ORDER_POISSON[stockout_cost])


@pytest.mark.parametrize("instance", [(4, 2), (9, 1), (39, 3)], ids=str)
def test_simulated_optimum_costs_what_it_says(instance):
    params = params_of(instance)
    optimal = DynamicProgramming(DEMAND, params)
    assert_agrees(optimal, params, optimal.average_cost)


def test_simulated_optimum_with_fixed_cost_costs_what_it_says():
    params = ItemParams(lead_time=1, stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder")
    optimal = DynamicProgramming(fr.Poisson(10.0), params)
    assert_agrees(optimal, params, optimal.average_cost, fr.Poisson(10.0))


def test_optimum_counts_purchases():
    # Backorders: every unit is bought in the end, so the unit cost adds its mean and changes no order.
    plain, bought = (
        DynamicProgramming(DEMAND, params_of((9, 1), unmet_demand="backorder", unit_cost=c)) for c in (0.0, 2.0)
    )
    assert bought.average_cost == pytest.approx(plain.average_cost + 10.0, abs=1e-5)


def test_newsvendor_of_a_textbook():
    known = table.NEWSVENDOR_NORMAL
    demand = fr.Normal(known["mean"], known["standard_deviation"])
    params = ItemParams(holding_cost=known["holding_cost"], stockout_cost=known["stockout_cost"])
    level = demand.quantile(params.critical_ratio)
    assert level == pytest.approx(known["level"], abs=1e-7)
    z = stats.norm.ppf(params.critical_ratio)
    both = known["holding_cost"] + known["stockout_cost"]
    assert both * known["standard_deviation"] * stats.norm.pdf(z) == pytest.approx(known["cost"], abs=1e-8)
    assert_agrees(fr.make_policy("newsvendor"), params, known["cost"], demand)
    assert_agrees(BaseStock(known["level"]), params, known["cost"], demand)


def test_mismatch_cost_is_the_pinball_loss():
    rng = np.random.default_rng(0)
    stock, demand = rng.gamma(2.0, 5.0, 400), rng.gamma(2.0, 5.0, 400)
    params = ItemParams(holding_cost=0.7, stockout_cost=3.0)
    scenario = Scenario(demand.reshape(-1, 1, 1))
    start = InventoryState(stock.reshape(-1, 1), np.zeros((0, 400, 1)))
    cost = fr.simulate(ConstantOrder(0), scenario, params, initial_state=start).cost.ravel()
    level = params.critical_ratio
    pinball = np.maximum(level * (demand - stock), (level - 1) * (demand - stock))
    np.testing.assert_allclose(cost, (0.7 + 3.0) * pinball, rtol=1e-12, atol=1e-12)


def test_gradient_of_the_cost_in_the_level_is_the_newsvendors():
    # d/dS E[cost] = (h + b) F(S) − b with F of demand over L + 1 periods; at S = 20.5 that is 0.1703.
    params = ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
    paths, periods = 2000, 20
    drawn = fr.draw_scenario(DEMAND, 5, paths, periods).demand
    scenario = Scenario(torch.as_tensor(drawn))
    level = torch.full((paths, 1), 20.5, dtype=torch.float64, requires_grad=True)
    state = InventoryState(torch.full((paths, 1), 20.5, dtype=torch.float64), torch.zeros((2, paths, 1)).double())
    total = 0.0
    for period in range(periods):
        position = state.net_inventory + state.pipeline.sum(0)
        state, out = advance(state, positive_part(level - position), scenario, period, params)
        # The first order arrives in period 2: costs before it do not depend on the level.
        total = total + out.cost.sum() if period >= 2 else total
    total.backward()
    gradient = level.grad.numpy().ravel() / (periods - 2)
    exact = 10.0 * stats.poisson(15.0).cdf(20) - 9.0
    assert exact == pytest.approx(0.1703, abs=5e-5)
    assert abs(gradient.mean() - exact) < 4 * gradient.std(ddof=1) / np.sqrt(paths)


@pytest.mark.parametrize("demand", [fr.Normal(5.0, 1.0), fr.Poisson(np.array([3.0, 4.0])), None], ids=repr)
def test_dynamic_programming_needs_discrete_demand(demand):
    with pytest.raises(fr.FractileError, match="discrete demand of one item"):
        DynamicProgramming(demand, ItemParams())
