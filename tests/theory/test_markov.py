"""Exact cost and exact optima of small systems, against closed forms, dynamic programming and simulation."""

from __future__ import annotations

import numpy as np
import pytest

import fractile as fr
from fractile import (
    FractileError,
    FractileWarning,
    InventoryState,
)
from fractile.envs.core.period import system_of
from fractile.envs.core.types import ItemParams
from fractile.policies.base_stock import BaseStock, CappedBaseStock, ConstantOrder
from fractile.policies.exact import best_policy, exact_cost, optimal_policy, policy_evaluation
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.exact.small_system import RowTable, SmallSystem, demand_points

COIN = fr.demand.Discrete([0.5, 0.5])
ALWAYS_ONE = fr.demand.Discrete([0.0, 1.0])


class Policy:
    """Orders what a function of the observation says."""

    def __init__(self, rule):
        self.rule = rule

    def order(self, obs):
        return self.rule(obs)


def birth_and_death():
    """One unit comes a period, and two are asked for with probability 0.7: x goes up or down by one."""
    return exact_cost(
        ConstantOrder(1), fr.demand.Discrete([0.3, 0.0, 0.7]), ItemParams(holding_cost=1.0, stockout_cost=5.0)
    )


def test_two_states_by_hand():
    # Up to one unit, no lead time: demand 0 leaves it (cost 2), demand 1 takes it (nothing).
    exact = exact_cost(BaseStock(1), COIN, ItemParams(holding_cost=2.0, stockout_cost=3.0))
    np.testing.assert_allclose(exact.states, [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(exact.transition.toarray(), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(exact.cost, [1.0, 1.0])
    np.testing.assert_allclose(exact.stationary, [0.5, 0.5])
    assert exact.average_cost == pytest.approx(1.0, abs=1e-12)


def test_stock_without_an_upper_bound_is_cut_where_it_does_not_matter():
    # Stationary stock is geometric with ratio ρ = 3/7: cost ρ / (1 − ρ) + 5 · 0.7 · (1 − ρ).
    exact = birth_and_death()
    assert exact.average_cost == pytest.approx(0.75 + 5 * 0.7 * 4 / 7, abs=1e-9)
    assert 0 < exact.truncated < 1e-11
    on_hand = exact.states[:, 0]
    np.testing.assert_allclose(exact.stationary[np.argsort(on_hand)][:5], 4 / 7 * (3 / 7) ** np.arange(5), atol=1e-10)


def test_a_constant_order_costs_what_a_linear_system_says():
    exact = exact_cost(ConstantOrder(4), fr.Poisson(5.0), ItemParams(stockout_cost=4.0)).average_cost
    assert exact == pytest.approx(5.27479429, abs=1e-7)


def test_cycles_have_an_average():
    # Two units every other period: one on hand at the end of one period, none at that of the next.
    policy = Policy(lambda obs: np.where(obs.net_inventory > 0, 0.0, 2.0))
    exact = exact_cost(policy, ALWAYS_ONE, ItemParams(holding_cost=1.0))
    assert exact.average_cost == pytest.approx(0.5, abs=1e-10)
    np.testing.assert_allclose(exact.by_period(5), [1.0, 0.0, 1.0, 0.0, 1.0])
    assert exact.discounted_cost(0.9) == pytest.approx(1 / (1 - 0.81), abs=1e-10)


@pytest.mark.parametrize(("level", "instance", "cost"), [(12, (4, 1), 4.1628), (19, (9, 2), 6.3163)])
def test_best_base_stock_of_the_literature(level, instance, cost):
    # Zipkin (2008), Table 3.
    params = ItemParams(lead_time=instance[1], holding_cost=1.0, stockout_cost=float(instance[0]))
    assert exact_cost(BaseStock(level), fr.Poisson(5.0), params).average_cost == pytest.approx(cost, abs=5.1e-5)
    found = best_policy(BaseStock, {"level": level + 2}, fr.Poisson(5.0), params)
    assert found.parameters == {"level": level}
    assert found.cost == pytest.approx(cost, abs=5.1e-5)


def test_best_capped_base_stock_of_the_literature():
    params = ItemParams(lead_time=3, holding_cost=1.0, stockout_cost=4.0)
    exact = exact_cost(CappedBaseStock(21, 5), fr.Poisson(5.0), params).average_cost
    assert exact == pytest.approx(4.6308, abs=5.1e-5)


def test_backorders_are_the_newsvendors():
    params = ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
    exact = exact_cost(BaseStock(20), fr.Poisson(5.0), params).average_cost
    units = np.arange(200)
    total = fr.Poisson(15.0).pmf(units)
    assert exact == pytest.approx(np.maximum(20 - units, 0) @ total + 9 * np.maximum(units - 20, 0) @ total, abs=1e-7)


def test_reorder_point_of_the_literature():
    # Zheng and Federgruen (1991), Table 1.
    params = ItemParams(stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder")
    policy = fr.make_policy("ss", reorder_point=6, order_up_to=40)
    assert exact_cost(policy, fr.Poisson(10.0), params).average_cost == pytest.approx(35.0216, abs=5.1e-5)


def test_a_policy_may_tell_stock_from_what_is_due():
    # Stock on hand counts twice: the same position leads to different orders.
    params = ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=4.0)
    policy = Policy(lambda obs: np.maximum(6.0 - 2 * obs.net_inventory - obs.pipeline[0], 0.0))
    assert_simulation_agrees(policy, fr.Poisson(2.0), params, exact_cost(policy, fr.Poisson(2.0), params))


@pytest.mark.parametrize("unmet", ["lost", "backorder"])
def test_expected_costs_by_period_are_those_of_simulation(unmet):
    params = ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=6.0, unmet_demand=unmet, discount=0.95)
    policy, demand, paths = CappedBaseStock(9, 4), fr.Poisson(2.0), 4000
    exact = exact_cost(policy, demand, params)
    scenario = fr.draw_scenario(demand, 3, paths, 12, 3)
    start = InventoryState.empty(paths, 1, 2)
    cost = fr.simulate(policy, scenario, params, initial_state=start).cost[:, :, 0]
    error = cost.std(0, ddof=1) / np.sqrt(paths)
    assert (np.abs(exact.by_period(12) - cost.mean(0)) <= 4 * error + 1e-9).all()
    long = exact.by_period(600)
    assert exact.discounted_cost() == pytest.approx(long @ 0.95 ** np.arange(600), abs=1e-7)
    assert exact.average_cost == pytest.approx(long[-1], abs=1e-8)


def test_the_start_decides_the_first_periods_alone():
    params = ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=4.0)
    start = InventoryState(np.array([[30.0]]), np.zeros((1, 1, 1)))
    empty, full = (exact_cost(BaseStock(12), fr.Poisson(5.0), params, start=s) for s in (None, start))
    assert full.average_cost == pytest.approx(empty.average_cost, abs=1e-8)
    assert full.by_period(1)[0] == pytest.approx(25.0, abs=1e-4)
    assert empty.by_period(1)[0] == pytest.approx(20.0, abs=1e-9)


def test_forecasts_are_the_truth():
    params = ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=9.0, unmet_demand="backorder")
    level = int(fr.Poisson(10.0).quantile(0.9).item())
    newsvendor = exact_cost(fr.make_policy("newsvendor"), fr.Poisson(5.0), params).average_cost
    assert newsvendor == pytest.approx(exact_cost(BaseStock(level), fr.Poisson(5.0), params).average_cost, abs=1e-9)


def assert_simulation_agrees(policy, demand, params, exact):
    paths = 600
    scenario = fr.draw_scenario(demand, 7, paths, 260, int(np.max(params.slots)) + 1)
    cost = fr.simulate(policy, scenario, params, warm_up=60).cost.mean((1, 2))
    error = cost.std(ddof=1) / np.sqrt(paths)
    assert error < 0.02 * exact.average_cost
    assert abs(cost.mean() - exact.average_cost) < 4 * error


SYSTEMS = {
    "lost sales": ItemParams(lead_time=2, stockout_cost=4.0, price=1.5),
    "backorder, mixed": ItemParams(lead_time=1, unmet_demand=0.5, fixed_order_cost=3.0),
    "perishable": ItemParams(lead_time=2, shelf_life=3, waste_cost=7.0, unmet_demand="backorder"),
    "perishable, LIFO": ItemParams(lead_time=1, shelf_life=2, waste_cost=7.0, issuing="lifo"),
    "serial": fr.networks.serial((2, 1), (0.5, 1.0), 9.0),
    "dual sourcing": fr.networks.dual_sourcing(regular_lead_time=3),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_receiving_what_is_due_first_changes_nothing(name):
    system, rng = SmallSystem(fr.Poisson(2.0), SYSTEMS[name]), np.random.default_rng(0)
    rows = rng.integers(0, 5, (40, system.width)).astype(float)
    state = system.state(rows)
    np.testing.assert_array_equal(system.rows(state), rows)
    columns = 2 if name in ("serial", "dual sourcing") else 1
    order = rng.integers(0, 6, (40, columns)).astype(float)
    demand = np.zeros((40, state.net_inventory.shape[1]))
    demand[:, -1] = rng.integers(0, 9, 40)
    step = system_of(SYSTEMS[name]).step
    (raw, before), (received, after) = (step(s, order, demand) for s in (state, system.receive(state)))
    np.testing.assert_allclose(system.rows(raw), system.rows(received))
    np.testing.assert_allclose(before.cost, after.cost)
    assert (system.receive(state).pipeline[0] == 0).all()


OPTIMA = [
    {"lead_time": 2, "stockout_cost": 4.0},
    {"lead_time": 1, "stockout_cost": 9.0, "unmet_demand": "backorder"},
    {"lead_time": 1, "stockout_cost": 9.0, "fixed_order_cost": 20.0},
    {"lead_time": 1, "stockout_cost": 4.0, "pack_size": 3.0},
    {"lead_time": 0, "stockout_cost": 4.0, "maximum_order": 4.0, "unmet_demand": "backorder"},
]


@pytest.mark.filterwarnings("ignore::fractile.errors.FractileWarning")
@pytest.mark.parametrize("options", OPTIMA, ids=str)
def test_the_optimum_is_that_of_dynamic_programming(options):
    params = ItemParams(holding_cost=1.0, **options)
    optimal = optimal_policy(fr.Poisson(3.0), params)
    assert optimal.average_cost == pytest.approx(DynamicProgramming(fr.Poisson(3.0), params).average_cost, abs=1e-6)
    assert exact_cost(optimal, fr.Poisson(3.0), params).average_cost == pytest.approx(optimal.average_cost, abs=1e-6)


def test_the_discounted_optimum_is_that_of_dynamic_programming():
    params = ItemParams(holding_cost=1.0, stockout_cost=6.0, lead_time=1, discount=0.95)
    optimal, start = optimal_policy(fr.Poisson(3.0), params), InventoryState.empty(1, 1, 1)
    expected = DynamicProgramming(fr.Poisson(3.0), params).discounted_value(start).item()
    assert optimal.discounted_cost().item() == pytest.approx(expected, abs=1e-5)
    assert exact_cost(optimal, fr.Poisson(3.0), params).discounted_cost() == pytest.approx(expected, abs=1e-5)
    with pytest.raises(FractileError, match="later costs are discounted"):
        _ = optimal.average_cost


def test_no_other_policy_costs_less():
    params = ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0)
    optimal = optimal_policy(fr.Poisson(3.0), params).average_cost
    others = [BaseStock(10), BaseStock(11), CappedBaseStock(11, 3), ConstantOrder(2)]
    assert all(exact_cost(p, fr.Poisson(3.0), params).average_cost > optimal for p in others)


def test_orders_beyond_the_table_are_those_of_the_nearest_state():
    params = ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=4.0)
    optimal = optimal_policy(fr.Poisson(3.0), params)
    net = np.array([[0.0], [500.0], [1.3]])
    obs = fr.Observation(0, net, np.zeros((1, 3, 1)), params)
    order = optimal.order(obs)
    assert order[1] == 0
    np.testing.assert_array_equal(
        order[2], optimal.order(fr.Observation(0, net[:1] + 1, np.zeros((1, 1, 1)), params))[0]
    )
    fr.check_policy(optimal, fr.draw_scenario(fr.Poisson(3.0), 0, 6, 10, 2), params)


@pytest.mark.parametrize(
    ("bound", "where"),
    [({"largest_order": 3}, "largest_order"), ({"highest": 5}, "highest"), ({"lowest": -1}, "lowest")],
)
def test_bounds_that_matter_are_named(bound, where):
    params = ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=9.0, unmet_demand="backorder")
    with pytest.warns(FractileWarning, match=f"runs into {where} in"):
        optimal_policy(fr.Poisson(2.0), params, **bound)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discount": 0.0}, r"discount must lie in \(0, 1\]"),
        ({"largest_order": -1}, "largest_order must be an integer >= 0"),
        ({"highest": 2.5}, "highest must be an integer >= 0"),
        ({"lowest": 3}, "lowest must be an integer <= 0"),
        ({"max_states": 3}, "too many for value iteration"),
    ],
)
def test_optimal_policy_refuses(options, message):
    with pytest.raises(FractileError, match=message):
        optimal_policy(fr.Poisson(2.0), ItemParams(lead_time=1), **options)


@pytest.mark.parametrize(
    ("demand", "params", "message"),
    [
        (fr.Normal(5.0, 1.0), ItemParams(), "discrete demand of one item"),
        (fr.Poisson(np.array([1.0, 2.0])), ItemParams(), "discrete demand of one item"),
        (fr.Poisson(1.0), ItemParams(review_period=2), "review_period must be 1"),
        (fr.Poisson(1.0), fr.networks.distribution(2), "demand at one location, got 2"),
    ],
)
def test_systems_that_cannot_be_listed(demand, params, message):
    with pytest.raises(FractileError, match=message):
        exact_cost(BaseStock(3), demand, params)


def test_stock_that_grows_without_end_is_found(monkeypatch):
    with pytest.raises(FractileError, match="ConstantOrder leads to more than 200 states"):
        exact_cost(ConstantOrder(6), fr.Poisson(5.0), ItemParams(), max_states=200)
    monkeypatch.setattr(policy_evaluation, "SWEEPS", 600)
    with pytest.raises(FractileError, match="ConstantOrder leads to no steady state"):
        exact_cost(ConstantOrder(2), fr.demand.Discrete.uniform(4), ItemParams())


def test_discounted_cost_needs_a_discount():
    with pytest.raises(FractileError, match="see average_cost"):
        birth_and_death().discounted_cost()


def test_demand_points_add_up():
    points = demand_points(fr.NegativeBinomial(3.0, 1.5))
    assert points.probability.sum() == pytest.approx(1.0, abs=1e-14)
    assert points.mean == pytest.approx(3.0, abs=1e-8)
    np.testing.assert_array_equal(demand_points(ALWAYS_ONE).units, [1.0])


def test_rows_are_told_apart():
    rng = np.random.default_rng(0)
    rows = rng.integers(-3, 4, (5000, 6)) / 2.0
    table = RowTable(6)
    index = np.concatenate([table.add(rows[:2000]), table.add(rows[1000:])])
    np.testing.assert_array_equal(table.rows[index], np.concatenate([rows[:2000], rows[1000:]]))
    assert len(table) == len(np.unique(rows, axis=0))
    np.testing.assert_array_equal(table.find(rows), table.add(rows))
    np.testing.assert_array_equal(table.find(np.full((1, 6), 9.0)), [-1])
    np.testing.assert_array_equal(table.find(-0.0 * rows[:1]), table.find(0.0 * rows[:1]))
