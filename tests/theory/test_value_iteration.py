"""Exact policies: long lead times, bounds, discounting, order rules, and the exact cost of other policies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile import (
    FractileError,
    FractileWarning,
)
from fractile.envs.instances import tables as table
from fractile.policies.base_stock import BaseStock, CappedBaseStock, ConstantOrder
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.exact.value_iteration import PipelineModel, solve, stationary

DEMAND = fr.Poisson(5.0)

LEAD_TIME_6 = {4: (4.87256, 4.872515), 9: (7.22921, 7.228960), 19: (9.64804, 9.647877), 39: (11.94911, 11.948816)}
"""b → optimal cost for L = 6, lost sales, Poisson(5), h = 1: the reference's, and ours.

Ours lie up to 0.0003 below. Upper and lower bound of value iteration meet at them, and the stationary distribution
of the policy, which is computed another way, has the same cost.
"""


def params_of(stockout_cost: float, lead_time: int, **more) -> fr.ItemParams:
    return fr.ItemParams(lead_time=lead_time, holding_cost=1.0, stockout_cost=float(stockout_cost), **more)


def mismatch_cost(params: fr.ItemParams, levels: np.ndarray, mean: float = 5.0) -> np.ndarray:
    """Expected cost of a period by the position L periods before it, Poisson demand, backorders. [G]"""
    units = np.arange(400)
    total = stats.poisson(mean * (params.lead_time + 1)).pmf(units)
    gap = levels[:, None] - units
    return (params.holding_cost * np.maximum(gap, 0) + params.stockout_cost * np.maximum(-gap, 0)) @ total


def assert_simulated(optimal: DynamicProgramming, params: fr.ItemParams, demand=DEMAND) -> None:
    scenario = fr.draw_scenario(demand, 7, 256, 300, params.slots + 1)
    cost = fr.simulate(optimal, scenario, params, warm_up=50).cost.mean((1, 2))
    assert abs(cost.mean() - optimal.average_cost) < 4 * cost.std(ddof=1) / np.sqrt(len(cost))


@pytest.mark.parametrize("stockout_cost", [4, *(pytest.param(b, marks=pytest.mark.slow) for b in (9, 19, 39))])
def test_optimal_lost_sales_with_a_long_lead_time(stockout_cost):
    reference, exact = LEAD_TIME_6[stockout_cost]
    got = DynamicProgramming(DEMAND, params_of(stockout_cost, 6), tolerance=1e-6).average_cost
    assert got == pytest.approx(exact, abs=2e-6)
    assert got == pytest.approx(reference, abs=3e-4)


@pytest.mark.parametrize("instance", [(4, 2), (39, 1), (9, 3)], ids=str)
def test_wider_bounds_change_nothing(instance):
    lead_time = instance[1]
    plain = DynamicProgramming(DEMAND, params_of(*instance))
    order, position = stats.poisson(5 * np.array([1, lead_time + 1])).ppf(instance[0] / (instance[0] + 1)).astype(int)
    wide = DynamicProgramming(DEMAND, params_of(*instance), order_bound=order + 3, position_bound=position + 6)
    assert plain.orders.shape == (position + 1, *[order + 1] * (lead_time - 1))
    assert wide.orders.shape == (position + 7, *[order + 4] * (lead_time - 1))
    assert wide.average_cost == pytest.approx(plain.average_cost, abs=2e-7)


@pytest.mark.parametrize(
    ("bounds", "unmet_demand"),
    [
        ({"order_bound": 5}, "lost"),
        ({"position_bound": 15}, "lost"),
        ({"order_bound": 6}, "backorder"),
        ({"position_bound": 15}, "backorder"),
    ],
    ids=str,
)
def test_bounds_that_bind_are_said(bounds, unmet_demand):
    params = params_of(9, 2, unmet_demand=unmet_demand)
    free = DynamicProgramming(DEMAND, params)
    bound = DynamicProgramming(DEMAND, params, **bounds)
    with pytest.warns(FractileWarning, match=f"runs into .*{next(iter(bounds))} in 0.*raise what binds"):
        cost = bound.average_cost
    assert cost > free.average_cost + 0.1


def test_no_order_lifts_the_position_above_its_bound():
    optimal = DynamicProgramming(DEMAND, params_of(9, 2), position_bound=15)
    with pytest.warns(FractileWarning, match="position_bound"):
        orders = optimal.orders
    after = np.add(*np.indices(orders.shape)) + orders
    assert after[orders > 0].max() == 15


def test_bounds_that_do_not_bind_are_not_said():
    # Bounds far below the default ones, but above what the optimal policy orders: a warning would be an error here.
    params = params_of(14, 2, fixed_order_cost=5.0)
    plain = DynamicProgramming(DEMAND, params)
    largest = int(plain.orders[plain.occupancy > 0].max())
    tight = DynamicProgramming(DEMAND, params, order_bound=largest + 1, position_bound=28)
    assert tight.orders.size < plain.orders.size / 3
    assert tight.average_cost == pytest.approx(plain.average_cost, abs=2e-7)


@pytest.mark.parametrize(("unmet_demand", "lead_time"), [("lost", 0), ("lost", 1), ("lost", 3), ("backorder", 2)])
def test_the_stationary_distribution_has_the_optimal_cost(unmet_demand, lead_time):
    params = params_of(9, lead_time, unmet_demand=unmet_demand, fixed_order_cost=0.0 if lead_time == 3 else 12.0)
    optimal = DynamicProgramming(DEMAND, params)
    assert optimal.occupancy.shape == optimal.orders.shape == optimal.values.shape
    assert optimal.occupancy.sum() == pytest.approx(1.0, abs=1e-12)
    assert optimal.average_cost_of(optimal) == pytest.approx(optimal.average_cost, abs=2e-7)
    assert_simulated(optimal, params)


def test_an_order_table_is_read_in_the_order_of_the_pipeline():
    # Of two states with equal stock and position, the one whose orders arrive later needs more.
    optimal = DynamicProgramming(DEMAND, params_of(4, 3))
    pipeline = np.array([[[0.0], [0.0]], [[6.0], [0.0]], [[0.0], [6.0]]])
    obs = fr.Observation(0, np.array([[3.0], [3.0]]), pipeline, params_of(4, 3))
    soon, late = optimal.order(obs)[:, 0]
    assert (soon, late) == (optimal.orders[3, 6, 0], optimal.orders[3, 0, 6])
    assert soon != late


@pytest.mark.parametrize("instance", [(4, 1), (9, 2), (39, 2), (4, 3)], ids=str)
def test_exact_cost_of_base_stock_policies(instance):
    optimal = DynamicProgramming(DEMAND, params_of(*instance), order_bound=18, position_bound=36)
    level, cost = table.LOST_SALES_POISSON[instance][1]
    assert optimal.average_cost_of(BaseStock(level)) == pytest.approx(cost, abs=5.1e-5)
    level, cap, cost = table.LOST_SALES_POISSON[instance][2]
    assert optimal.average_cost_of(CappedBaseStock(level, cap)) == pytest.approx(cost, abs=5.1e-5)


def test_exact_cost_of_a_constant_order():
    # Stock drifts down slowly under four units a period, so the grid reaches far up.
    optimal = DynamicProgramming(DEMAND, params_of(4, 1), position_bound=160)
    assert optimal.average_cost_of(ConstantOrder(4)) == pytest.approx(table.CONSTANT_ORDER_POISSON[4], abs=5.1e-5)


def test_exact_cost_of_a_backorder_policy_is_the_newsvendors():
    params = params_of(9, 2, unmet_demand="backorder")
    got = DynamicProgramming(DEMAND, params, position_bound=25).average_cost_of(BaseStock(22))
    assert got == pytest.approx(mismatch_cost(params, np.array([22])).item(), abs=1e-8)


def test_policies_that_leave_the_grid_have_no_exact_cost():
    optimal = DynamicProgramming(DEMAND, params_of(4, 1))
    with pytest.raises(FractileError, match=r"BaseStock orders what the grid does not hold: orders up to 7.*raise"):
        optimal.average_cost_of(BaseStock(12))


def discounted_by_hand(gamma: float, fixed: float, mean: float, top: int) -> np.ndarray:
    """Lost sales, L = 1, h = 1, b = 4: value by stock with this period's arrival, state by state and order by order."""
    demand = stats.poisson(mean).pmf(np.arange(40))
    value = np.zeros(2 * top + 1)
    for _ in range(230):
        new = np.empty(2 * top + 1)
        for stock in range(2 * top + 1):
            left = np.maximum(stock - np.arange(40), 0)
            cost = (left + 4.0 * np.maximum(np.arange(40) - stock, 0)) @ demand
            orders = range(min(top, 2 * top - stock) + 1)
            ahead = [(fixed if q else 0.0) + gamma * (value[np.minimum(left + q, 2 * top)] @ demand) for q in orders]
            new[stock] = cost + min(ahead)
        value = new
    return value


def test_discounted_value_is_that_of_plain_recursion():
    params = params_of(4, 1, fixed_order_cost=2.0, discount=0.9)
    optimal = DynamicProgramming(fr.Poisson(1.0), params, tolerance=1e-9)
    expected = discounted_by_hand(0.9, 2.0, 1.0, 10)
    stock = np.arange(8)
    state = fr.InventoryState(np.zeros((8, 1)), stock.reshape(1, 8, 1).astype(float))
    np.testing.assert_allclose(optimal.discounted_value(state)[:, 0], expected[:8], atol=1e-7)


def test_discounted_value_with_backorders_is_the_newsvendors():
    # Orders replace demand at once: cost is that of the level S in every period from L on, and fixed before.
    params = params_of(9, 2, unmet_demand="backorder", discount=0.95, price=2.0)
    optimal = DynamicProgramming(DEMAND, params, tolerance=1e-9)
    state = fr.InventoryState(np.array([[8.0]]), np.array([[[3.0]], [[9.0]]]))
    early = [mismatch_cost(params_of(9, k), np.array([level])).item() for k, level in enumerate((11, 20))]
    later = mismatch_cost(params, np.array([20])).item()
    expected = early[0] + 0.95 * early[1] + 0.95**2 * later / 0.05 - 2.0 * 5.0 / 0.05
    assert optimal.discounted_value(state).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("unmet_demand", "lead_time"), [("lost", 0), ("lost", 2), ("backorder", 1)])
def test_discounted_value_is_what_simulation_pays(unmet_demand, lead_time):
    params = params_of(
        9, lead_time, unmet_demand=unmet_demand, discount=0.9, fixed_order_cost=5.0, unit_cost=1.0, price=3.0
    )
    optimal = DynamicProgramming(DEMAND, params)
    start = fr.InventoryState(np.full((4000, 1), 6.0), np.full((lead_time, 4000, 1), 4.0))
    scenario = fr.draw_scenario(DEMAND, 5, 4000, 150, lead_time + 1)
    paid = fr.simulate(optimal, scenario, params, initial_state=start).discounted_cost[:, 0]
    value = optimal.discounted_value(start)
    assert np.ptp(value) == 0.0
    # What comes after period 150 is discounted by 0.9^150, to nothing.
    assert abs(paid.mean() - value[0, 0]) < 4 * paid.std(ddof=1) / np.sqrt(len(paid)) + 1e-3


@pytest.mark.parametrize("unmet_demand", ["lost", "backorder"])
def test_discounted_value_tends_to_the_average_cost(unmet_demand):
    average, discounted = (
        DynamicProgramming(DEMAND, params_of(4, 2, unmet_demand=unmet_demand, discount=discount))
        for discount in (1.0, 0.9999)
    )
    value = discounted.discounted_value(fr.InventoryState(np.full((1, 1), 5.0), np.full((2, 1, 1), 5.0))).item()
    assert 1e-4 * value == pytest.approx(average.average_cost, rel=1e-3)


@pytest.mark.parametrize("lead_time", [0, 1, 2])
def test_with_packs_and_backorders_positions_are_uniform_over_a_pack(lead_time):
    # (r, nQ) policies are optimal (Veinott 1965), and the position after ordering is uniform on r + 1 … r + Q.
    params = params_of(9, lead_time, unmet_demand="backorder", pack_size=6)
    cost = mismatch_cost(params, np.arange(40))
    expected = min(cost[first : first + 6].mean() for first in range(34))
    optimal = DynamicProgramming(DEMAND, params)
    assert optimal.average_cost == pytest.approx(expected, abs=1e-6)
    assert set(np.unique(optimal.orders % 6)) == {0}


def test_a_lead_time_of_zero_with_packs_by_hand():
    # With one order of 12 or none, lost sales: a policy is a reorder point, and each has a small Markov chain.
    demand = stats.poisson(5.0).pmf(np.arange(60))
    left = np.maximum(np.arange(40)[:, None] - np.arange(60), 0)
    cost = (left + 9.0 * np.maximum(np.arange(60) - np.arange(40)[:, None], 0)) @ demand
    moves = np.zeros((40, 40))
    np.add.at(moves, (np.broadcast_to(np.arange(40)[:, None], left.shape), left), np.broadcast_to(demand, left.shape))
    best = np.inf
    for point in range(20):
        after = np.arange(40) + np.where(np.arange(40) <= point, 12, 0)
        chain = moves[np.minimum(after, 39)]
        share = np.linalg.matrix_power(chain, 2**12)[0]
        best = min(best, share @ cost[np.minimum(after, 39)])
    got = DynamicProgramming(DEMAND, params_of(9, 0, pack_size=12, maximum_order=12)).average_cost
    assert got == pytest.approx(best, abs=1e-6)


RULES = [
    ("lost", 1, {"pack_size": 4, "minimum_order": 7, "maximum_order": 12}),
    ("lost", 2, {"minimum_order": 8}),
    ("lost", 2, {"maximum_order": 5, "fixed_order_cost": 3.0}),
    ("lost", 1, {"fixed_order_cost": 20.0, "pack_size": 3}),
    ("backorder", 2, {"maximum_order": 7}),
    ("backorder", 1, {"minimum_order": 9, "unit_cost": 1.0, "price": 2.0}),
]


@pytest.mark.parametrize(("unmet_demand", "lead_time", "rules"), RULES, ids=str)
def test_order_rules_hold_and_cost_what_simulation_says(unmet_demand, lead_time, rules):
    params = params_of(9, lead_time, unmet_demand=unmet_demand, **rules)
    optimal = DynamicProgramming(DEMAND, params)
    placed = optimal.orders[optimal.orders > 0]
    assert placed.min() >= rules.get("minimum_order", 1)
    assert placed.max() <= rules.get("maximum_order", np.inf)
    assert (placed % rules.get("pack_size", 1) == 0).all()
    assert_simulated(optimal, params)


def test_limited_orders_with_backorders_need_higher_positions():
    # The position after ordering falls short of its target like a queue, which the newsvendor's level ignores.
    params = params_of(9, 2, unmet_demand="backorder", maximum_order=6)
    optimal = DynamicProgramming(DEMAND, params)
    reached = np.arange(len(optimal.orders))[optimal.orders > 0].max()
    newsvendor = DynamicProgramming(DEMAND, params_of(9, 2, unmet_demand="backorder"))
    assert newsvendor.average_cost + 1.0 < optimal.average_cost
    wide = DynamicProgramming(DEMAND, params, position_bound=120)
    assert wide.average_cost == pytest.approx(optimal.average_cost, abs=2e-7)
    assert 0 < reached < len(optimal.orders)


@pytest.mark.parametrize("lead_time", [0, 1, 2])
def test_a_price_is_a_stockout_cost_less_the_revenue_of_all_demand(lead_time):
    priced = DynamicProgramming(DEMAND, params_of(4, lead_time, price=3.0))
    plain = DynamicProgramming(DEMAND, params_of(7, lead_time))
    assert priced.average_cost == pytest.approx(plain.average_cost - 15.0, abs=1e-6)


def test_with_backorders_a_price_brings_the_revenue_of_all_demand():
    priced, plain = (
        DynamicProgramming(DEMAND, params_of(4, 2, unmet_demand="backorder", price=price)) for price in (3.0, 0.0)
    )
    assert priced.average_cost == pytest.approx(plain.average_cost - 15.0, abs=1e-6)


def cycling(lead_time: int = 1) -> PipelineModel:
    """Demand of exactly one unit and packs of three: costs repeat every three periods."""
    levels = np.arange(10)
    moves = np.zeros((10, 10))
    moves[levels, np.maximum(levels - 1, 0)] = 1.0
    cost = np.maximum(levels - 1.0, 0.0) + 9.0 * (levels == 0)
    return PipelineModel(cost, moves, np.array([0, 3]), np.zeros(2), lead_time)


def test_iteration_that_cycles_is_given_up():
    with pytest.raises(FractileError, match=r"did not reach a tolerance of 1e-06 in 50 iterations; demand that hardly"):
        solve(cycling(), 1e-6, iterations=50)


def test_distributions_settle_where_costs_cycle():
    model = cycling()
    # Order three when one unit is left: stock runs 3, 2, 1.
    choice = np.where(np.arange(10) <= 1, 1, 0)
    share = stationary(model, choice)
    np.testing.assert_allclose(share[1:4], 1 / 3, atol=1e-9)
    assert model.mean_cost(share, choice) == pytest.approx(1.0, abs=1e-9)


def test_distributions_that_do_not_settle_are_given_up():
    with pytest.raises(FractileError, match="did not settle in 3 periods"):
        stationary(cycling(), np.zeros(10, dtype=int), tolerance=0.0, iterations=3)


@pytest.mark.parametrize(
    ("options", "bounds", "message"),
    [
        ({"lead_time": np.array([1, 2])}, {}, "one constant lead time"),
        ({"stockout_cost": np.array([1.0, 2.0])}, {}, "one constant stockout cost"),
        ({"unmet_demand": 0.5}, {}, "'lost' or 'backorder'"),
        ({"pack_size": 2.5}, {}, "pack_size must be an integer, got 2.5"),
        ({"review_period": 2}, {}, "review_period = 1"),
        ({"holding_cost": 0}, {}, "holding_cost above 0"),
        ({"unmet_demand": "backorder", "stockout_cost": 0}, {}, "stockout_cost above 0"),
        ({"unmet_demand": "backorder", "maximum_order": 5}, {}, "maximum_order must exceed mean demand"),
        ({"pack_size": 20}, {"order_bound": 10}, "allow no order from 1 to 10 units"),
        ({}, {"order_bound": -1}, "order_bound must be an integer >= 0, got -1"),
        ({}, {"position_bound": 2.5}, "position_bound must be an integer >= 0, got 2.5"),
    ],
    ids=str,
)
def test_instances_that_cannot_be_solved_are_refused(options, bounds, message):
    with pytest.raises(FractileError, match=message):
        DynamicProgramming(DEMAND, fr.ItemParams(**options), **bounds)


def test_several_faults_are_said_at_once():
    params = fr.ItemParams(review_period=2, unmet_demand=0.5)
    with pytest.raises(FractileError, match=r"(?s)review_period.*unmet_demand"):
        DynamicProgramming(DEMAND, params)


def test_grids_beyond_memory_are_refused():
    with pytest.raises(FractileError, match=r"would need 1.*e\+11 states.*lower order_bound"):
        DynamicProgramming(DEMAND, params_of(39, 10))


def test_average_and_discounted_cost_are_asked_by_their_names():
    state = fr.InventoryState(np.zeros((1, 1)), np.zeros((1, 1, 1)))
    average, discounted = (DynamicProgramming(DEMAND, params_of(4, 1, discount=discount)) for discount in (1.0, 0.9))
    with pytest.raises(FractileError, match="use average_cost"):
        average.discounted_value(state)
    with pytest.raises(FractileError, match=r"discount is 0.9: use discounted_value"):
        _ = discounted.average_cost
    with pytest.raises(FractileError, match=r"discount is 0.9"):
        discounted.average_cost_of(BaseStock(10))


@pytest.mark.parametrize(("stock", "arriving", "later"), [(99.0, 0.0, 0.0), (2.5, 0.0, 0.0), (0.0, 0.0, 30.0)])
def test_states_beyond_the_grid_have_no_value(stock, arriving, later):
    optimal = DynamicProgramming(DEMAND, params_of(4, 2, discount=0.9))
    state = fr.InventoryState(np.array([[stock]]), np.array([[[arriving]], [[later]]]))
    with pytest.raises(FractileError, match="beyond the grid: positions from 0 to 18, orders up to 7"):
        optimal.discounted_value(state)
