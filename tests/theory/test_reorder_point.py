"""Optimal (s, S) policies with backorders, and reorder-point policies under lost sales, against the literature."""

from __future__ import annotations

import numpy as np
import pytest

import fractile as fr
from fractile import FractileError
from fractile.envs.instances import tables as table
from fractile.policies.base_stock import ReorderPointOrderUpTo, ReorderPointQuantity
from fractile.policies.exact import zheng_federgruen
from fractile.policies.exact.dynamic_programming import DynamicProgramming


def params_of(**options) -> fr.ItemParams:
    return fr.ItemParams(**{"stockout_cost": 9.0, "fixed_order_cost": 64.0, "unmet_demand": "backorder", **options})


@pytest.mark.parametrize("mean", table.REORDER_POINT_ORDER_UP_TO)
def test_zheng_and_federgruens_table(mean):
    point, level, cost = table.REORDER_POINT_ORDER_UP_TO[mean]
    got = zheng_federgruen(fr.Poisson(float(mean)), params_of())
    assert got[:2] == (point, level)
    assert got.cost == pytest.approx(cost, abs=5.1e-5)


def test_a_textbook_example():
    # Snyder and Shen (2019), "Fundamentals of Supply Chain Theory", 2nd edition, example 4.7, as stockpyl computes it.
    got = zheng_federgruen(fr.Poisson(6.0), params_of(stockout_cost=4.0, fixed_order_cost=5.0))
    assert got[:2] == (4, 10)
    assert got.cost == pytest.approx(8.034111561471644, abs=1e-9)


AGAINST_DP = [
    (fr.Geometric(4.0), {"lead_time": 3, "fixed_order_cost": 20.0}),
    (fr.NegativeBinomial(6.0, 2.5), {"lead_time": 1, "unit_cost": 2.0, "price": 3.0}),
    (fr.Poisson(5.0), {"lead_time": 2, "stockout_cost": 0.2, "fixed_order_cost": 30.0}),
    (fr.Poisson(0.4), {"lead_time": 4, "fixed_order_cost": 3.0}),
    (fr.Poisson(5.0), {"lead_time": 2, "fixed_order_cost": 0.0}),
]


@pytest.mark.parametrize(("demand", "options"), AGAINST_DP, ids=str)
def test_the_algorithm_and_value_iteration_agree(demand, options):
    params = params_of(**options)
    found, optimal = zheng_federgruen(demand, params), DynamicProgramming(demand, params)
    assert found.cost == pytest.approx(optimal.average_cost, abs=1e-6)
    assert optimal.average_cost_of(ReorderPointOrderUpTo(*found[:2])) == pytest.approx(found.cost, abs=1e-6)


def test_without_a_fixed_cost_it_is_the_newsvendor():
    known = table.BACKORDER_POISSON
    got = zheng_federgruen(fr.Poisson(known["mean"]), params_of(lead_time=known["lead_time"], fixed_order_cost=0.0))
    assert got[:2] == (known["level"] - 1, known["level"])
    assert got.cost == pytest.approx(known["cost"], abs=1e-5)


def test_the_reorder_point_is_ordered_from():
    # One unit lower or higher costs more, and s = 6 is itself a position that is ordered from.
    params = params_of()
    optimal = DynamicProgramming(fr.Poisson(10.0), params, position_bound=90)
    costs = [optimal.average_cost_of(ReorderPointOrderUpTo(s, 40)) for s in (5, 6, 7)]
    assert costs[1] < min(costs[0], costs[2]) - 1e-4
    assert costs[1] == pytest.approx(table.REORDER_POINT_ORDER_UP_TO[10][2], abs=5.1e-5)


LOST_SALES = {
    "(s, S) = (17, 23)": (ReorderPointOrderUpTo(17, 23), 11.62),
    "(s, nQ) = (17, 7)": (ReorderPointQuantity(17, 7), 11.56),
    "(s, S, q) = (17, 23, 7)": (ReorderPointOrderUpTo(17, 23, 7), 11.50),
}
"""Bijvank, Bhulai and Huh (2015), Table 1, L = 2, b = 14, K = 5, Poisson(5); positions at s are ordered from."""


@pytest.mark.parametrize("name", LOST_SALES)
def test_lost_sales_with_a_fixed_cost(name):
    policy, cost = LOST_SALES[name]
    instance = fr.instances["bijvank2015-fixed-cost"]
    demand, params = instance.demand, instance.params
    exact = DynamicProgramming(demand, params).average_cost_of(policy)
    assert exact == pytest.approx(cost, abs=0.005)
    assert exact > instance.optimal
    scenario = fr.draw_scenario(demand, 4, 256, 1050, 3)
    simulated = fr.simulate(policy, scenario, params, warm_up=50).cost.mean((1, 2))
    assert abs(simulated.mean() - exact) < 4 * simulated.std(ddof=1) / np.sqrt(len(simulated))


@pytest.mark.parametrize("changed", [ReorderPointOrderUpTo(16, 23), ReorderPointQuantity(16, 7)], ids=repr)
def test_ordering_below_the_reorder_point_only_does_not_give_these_costs(changed):
    # Were a position of 17 not ordered from, the table's costs would come out 0.02 to 0.06 higher.
    params = fr.ItemParams(lead_time=2, stockout_cost=14.0, fixed_order_cost=5.0)
    expected = {ReorderPointOrderUpTo: 11.62, ReorderPointQuantity: 11.56}[type(changed)]
    assert DynamicProgramming(fr.Poisson(5.0), params).average_cost_of(changed) > expected + 0.015


@pytest.mark.parametrize(
    ("demand", "options", "message"),
    [
        (fr.Normal(5.0, 1.0), {}, "discrete demand of one item"),
        (fr.Poisson(5.0), {"unmet_demand": "lost"}, "unmet_demand 'backorder', got lost"),
        (fr.Poisson(5.0), {"holding_cost": 0.0}, "holding_cost above 0, got 0"),
        (fr.Poisson(5.0), {"discount": 0.9}, "discount = 1"),
        (fr.Poisson(5.0), {"pack_size": 6}, "knows no order rules"),
        (fr.Poisson(5.0), {"stockout_cost": np.array([1.0, 2.0])}, "one constant stockout cost"),
    ],
    ids=str,
)
def test_other_instances_are_refused(demand, options, message):
    with pytest.raises(FractileError, match=message):
        zheng_federgruen(demand, params_of(**options))
