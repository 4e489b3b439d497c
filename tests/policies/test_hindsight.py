"""Perfect information: a bound below every policy, and the optimum where everything can be tried."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import fractile as fr
from fractile import (
    FractileError,
    InventoryState,
    Scenario,
)
from fractile.envs.core.dynamics import feasible_order
from fractile.envs.core.types import ItemParams
from fractile.policies.base_stock import BaseStock, CappedBaseStock, ConstantOrder
from fractile.policies.exact.hindsight import Hindsight
from fractile.policies.newsvendor import Newsvendor, Projected
from fractile.policies.rollout import roll

POLICIES = (
    Newsvendor(),
    Newsvendor(scale=0.6),
    Projected(),
    BaseStock(15),
    BaseStock(40),
    CappedBaseStock(25, 6),
    ConstantOrder(4),
    ConstantOrder(0),
)

INSTANCES = {
    "lost sales": {"lead_time": 2},
    "lost sales, fixed cost": {"lead_time": 1, "fixed_order_cost": 20.0},
    "lost sales, mixed lead times": {"lead_time": np.array([0, 1, 4]), "fixed_order_cost": np.array([0.0, 9.0, 30.0])},
    "lost sales, reviews": {"lead_time": 1, "review_period": 3, "fixed_order_cost": 8.0},
    "backorders": {"lead_time": 2, "unmet_demand": "backorder"},
    "backorders, fixed cost": {"lead_time": 2, "unmet_demand": "backorder", "fixed_order_cost": 20.0},
    "backorders, reviews": {"lead_time": np.array([0, 2, 3]), "unmet_demand": "backorder", "review_period": 2},
    "partial": {"lead_time": 1, "unmet_demand": 0.4},
    "partial, fixed cost": {"lead_time": 2, "unmet_demand": 0.4, "fixed_order_cost": 15.0},
    "partial, mixed": {"lead_time": np.array([0, 1, 2]), "unmet_demand": np.array([0.0, 0.5, 1.0]), "review_period": 2},
    "packs": {"lead_time": 1, "pack_size": 6.0, "minimum_order": 12.0, "fixed_order_cost": 5.0},
    "packs, backorders": {"lead_time": 2, "pack_size": 4.0, "unmet_demand": "backorder", "review_period": 2},
    "largest order": {"lead_time": 1, "pack_size": 1.0, "maximum_order": 5.0},
    "mixed rules": {
        "lead_time": np.array([0, 1, 2]),
        "pack_size": np.array([1.0, 5.0, 2.0]),
        "minimum_order": np.array([0.0, 10.0, 2.0]),
        "maximum_order": np.array([4.0, np.inf, 6.0]),
        "unmet_demand": np.array([1.0, 0.0, 0.5]),
        "fixed_order_cost": np.array([0.0, 3.0, 2.0]),
    },
    "packs of half units": {"lead_time": 1, "pack_size": 1.5, "unmet_demand": "backorder"},
}


def start_of(params: ItemParams, shape: tuple[int, int], rng: np.random.Generator) -> InventoryState:
    # Only where demand can wait does anybody wait at the start.
    low = np.broadcast_to(np.where(np.asarray(params.lost_share) < 1, -6, 0), shape)
    net = rng.integers(low, 12).astype(float)
    due = np.arange(params.slots)[:, None, None] < np.asarray(params.lead_time)
    return InventoryState(net, np.where(due, rng.integers(0, 7, (params.slots, *shape)), 0).astype(float))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", INSTANCES)
def test_no_policy_costs_less(name, seed):
    rng = np.random.default_rng(seed)
    params = ItemParams(holding_cost=1.0, stockout_cost=np.array([2.0, 9.0, 30.0]), **INSTANCES[name])
    demand = fr.NegativeBinomial(np.array([3.0, 8.0, 0.7]), 1.5)
    scenario = fr.draw_scenario(demand, seed, 20, 15, int(np.max(params.protection_interval)))
    state = start_of(params, (20, 3), rng)
    bound = fr.simulate(Hindsight(), scenario, params, initial_state=state).cost.sum(1)
    for policy in POLICIES:
        cost = fr.simulate(policy, scenario, params, initial_state=state).cost.sum(1)
        assert (bound <= cost + 1e-9).all(), (policy, float((bound - cost).max()))


class Tried:
    """Every sequence of orders at once: one a path."""

    def __init__(self, sequences: np.ndarray) -> None:
        self.sequences = sequences

    def order(self, obs):
        return self.sequences[:, obs.period, None]


def cheapest(demand: np.ndarray, params: ItemParams, state: InventoryState, most: int) -> float:
    """The least cost over all whole orders up to `most`, by trying them."""
    sequences = np.array(list(product(range(most + 1), repeat=len(demand))), dtype=float)
    paths = len(sequences)
    scenario = Scenario(np.broadcast_to(demand[None, :, None], (paths, len(demand), 1)))
    net = np.broadcast_to(state.net_inventory, (paths, 1))
    pipeline = np.broadcast_to(state.pipeline, (params.slots, paths, 1))
    total = sum(out.cost for _, out in roll(Tried(sequences), scenario, params, InventoryState(net, pipeline)))
    return float(total.min())


TINY = [
    {"lead_time": 0},
    {"lead_time": 0, "fixed_order_cost": 4.0},
    {"lead_time": 1, "fixed_order_cost": 4.0},
    {"lead_time": 1, "fixed_order_cost": 2.5, "review_period": 2},
    {"lead_time": 0, "fixed_order_cost": 4.0, "unmet_demand": "backorder"},
    {"lead_time": 1, "fixed_order_cost": 6.0, "unmet_demand": "backorder"},
    {"lead_time": 2, "fixed_order_cost": 3.0, "unmet_demand": "backorder"},
    {"lead_time": 0, "review_period": 2, "unmet_demand": "backorder", "fixed_order_cost": 1.0},
    {"lead_time": 1, "unmet_demand": "backorder"},
    {"lead_time": 0, "pack_size": 3.0},
    {"lead_time": 1, "pack_size": 2.0, "fixed_order_cost": 1.5},
    {"lead_time": 1, "pack_size": 3.0, "unmet_demand": "backorder", "fixed_order_cost": 2.0},
    {"lead_time": 0, "minimum_order": 3.0, "pack_size": 1.0},
    {"lead_time": 1, "minimum_order": 4.0, "unmet_demand": "backorder"},
    {"lead_time": 0, "maximum_order": 2.0},
    {"lead_time": 1, "maximum_order": 4.0, "pack_size": 2.0, "unmet_demand": "backorder", "review_period": 2},
    {"lead_time": 0, "minimum_order": 2.0, "maximum_order": 3.0, "fixed_order_cost": 2.0},
]


@pytest.mark.parametrize("options", TINY, ids=str)
def test_hindsight_is_the_best_of_all_plans(options):
    rng = np.random.default_rng(3)
    params = ItemParams(holding_cost=1.0, stockout_cost=3.0, **options)
    for periods in (2, 3, 4, 4, 4):
        demand = rng.integers(0, 4, periods).astype(float)
        low = -2 if params.lost_share == 0 else 0
        net = np.array([[float(rng.integers(low, 3))]])
        state = InventoryState(net, rng.integers(0, 3, (params.slots, 1, 1)).astype(float))
        scenario, most = Scenario(demand[None, :, None]), int(demand.sum() + max(-net.item(), 0.0))
        if params.order_rules:  # a lot may hold more than is ever needed
            most = min(most + int(max(params.pack_size or 1, params.minimum_order or 1)) - 1, 12)
        best = cheapest(demand, params, state, most)
        got = fr.simulate(Hindsight(), scenario, params, initial_state=state)
        assert got.cost.sum() == pytest.approx(best, abs=1e-9), (demand, net, state.pipeline.ravel())
        assert Hindsight().exact_items(scenario, params, state).all()
        # What is planned can be ordered.
        np.testing.assert_array_equal(feasible_order(got.order, params), got.order)


@pytest.mark.parametrize("fixed", [0.0, 3.0])
def test_hindsight_costs_no_more_than_any_plan_of_partial_backorders(fixed):
    rng = np.random.default_rng(4)
    params = ItemParams(lead_time=0, unmet_demand=0.5, stockout_cost=3.0, fixed_order_cost=fixed, review_period=2)
    for _ in range(6):
        demand = rng.integers(0, 5, 4).astype(float)
        state = InventoryState(np.array([[float(rng.integers(-2, 3))]]), np.zeros((0, 1, 1)))
        best = cheapest(demand, params, state, 8)
        got = fr.simulate(Hindsight(), Scenario(demand[None, :, None]), params, initial_state=state).cost.sum()
        assert got <= best + 1e-9, (demand, state.net_inventory.item())


def test_without_fixed_cost_nothing_is_held_or_short_once_orders_arrive():
    params = ItemParams(lead_time=2, stockout_cost=9.0)
    scenario = fr.draw_scenario(fr.Poisson(5.0), 0, 10, 12, 3)
    got = fr.simulate(Hindsight(), scenario, params, initial_state=InventoryState.empty(10, 1, 2))
    np.testing.assert_allclose(got.cost[:, 2:], 0.0, atol=1e-12)
    np.testing.assert_allclose(got.shortfall[:, :2], scenario.demand[:, :2])


def test_plans_are_of_the_scenarios_shape():
    params = ItemParams(lead_time=np.array([0, 2]), fixed_order_cost=4.0)
    scenario = fr.draw_scenario(fr.Poisson(np.array([3.0, 5.0])), 0, 7, 9, 3)
    plan = Hindsight().plan(scenario, params, InventoryState.empty(7, 2, 2))
    assert plan.shape == (7, 9, 2)
    assert plan.min() >= 0.0
    # An order of item 2 in the last two periods arrives too late to serve anything.
    assert not plan[:, -2:, 1].any()


@pytest.mark.parametrize("unmet", ["lost", "backorder"])
def test_no_whole_order_sequence_costs_less(unmet):
    """Random rules against all orders of up to three packs beyond what is needed."""
    rng = np.random.default_rng(11)
    for _ in range(25):
        pack = float(rng.integers(1, 4))
        params = ItemParams(
            lead_time=int(rng.integers(0, 3)),
            review_period=int(rng.integers(1, 3)),
            holding_cost=float(rng.integers(1, 3)),
            stockout_cost=float(rng.integers(1, 8)),
            fixed_order_cost=float(rng.integers(0, 5)),
            pack_size=pack,
            minimum_order=pack * rng.integers(0, 3),
            maximum_order=pack * rng.integers(2, 4),
            unmet_demand=unmet,
        )
        demand = rng.integers(0, 4, 4).astype(float)
        net = np.array([[float(rng.integers(0 if unmet == "lost" else -2, 3))]])
        state = InventoryState(net, rng.integers(0, 3, (params.slots, 1, 1)).astype(float))
        best = cheapest(demand, params, state, 9)
        got = fr.simulate(Hindsight(), Scenario(demand[None, :, None]), params, initial_state=state).cost.sum()
        assert got == pytest.approx(best, abs=1e-9), (params, demand, net)


def test_it_is_known_where_the_bound_is_a_relaxation():
    params = ItemParams(
        pack_size=np.array([3.0, 3.0, 1.0, 1.5]), unmet_demand=np.array([1.0, 0.5, 1.0, 1.0]), stockout_cost=4.0
    )
    scenario = fr.draw_scenario(fr.Poisson(np.full(4, 3.0)), 0, 2, 6, 1)
    state = InventoryState.empty(2, 4, 0)
    assert Hindsight().exact_items(scenario, params, state).tolist() == [True, False, True, False]
    # Demand that is not whole has no lattice of stock.
    halves = Scenario(scenario.demand + 0.5)
    assert not Hindsight().exact_items(halves, params, state).any()


def test_series_of_unlike_size_are_planned_as_one_by_one(monkeypatch):
    params = ItemParams(lead_time=1, pack_size=4.0, stockout_cost=5.0, fixed_order_cost=2.0)
    scenario = fr.draw_scenario(fr.Poisson(np.array([0.4, 3.0, 25.0])), 0, 4, 9, 2)
    state = InventoryState.empty(4, 3, 1)
    whole = Hindsight().plan(scenario, params, state)
    for item in range(3):
        one = Hindsight().plan(scenario.select(np.array([item])), params, InventoryState.empty(4, 1, 1))
        np.testing.assert_array_equal(whole[:, :, [item]], one)
    monkeypatch.setattr("fractile.policies.exact.lot_sizing.MEMORY", 300)
    np.testing.assert_array_equal(Hindsight().plan(scenario, params, state), whole)


def test_blocks_change_nothing(monkeypatch):
    params = ItemParams(lead_time=np.array([0, 2]), fixed_order_cost=4.0)
    scenario = fr.draw_scenario(fr.Poisson(np.array([3.0, 5.0])), 0, 7, 9, 3)
    state = InventoryState.empty(7, 2, 2)
    whole = Hindsight().plan(scenario, params, state)
    monkeypatch.setattr("fractile.policies.exact.hindsight.MEMORY", 300)
    np.testing.assert_array_equal(Hindsight().plan(scenario, params, state), whole)


@pytest.mark.parametrize(
    ("options", "extra", "message"),
    [
        ({}, {"arrivals": np.ones((1, 1, 3, 1))}, "constant lead times"),
        ({"unit_cost": 1.0}, {}, "unit_cost must be 0"),
        ({"price": 1.0}, {}, "price must be 0"),
        ({"salvage_value": 1.0}, {}, "salvage_value must be 0"),
        ({}, {"prices": np.ones((1, 3, 1))}, "leave out Scenario.prices"),
    ],
)
def test_hindsight_refuses_what_it_does_not_bound(options, extra, message):
    with pytest.raises(FractileError, match=message):
        fr.simulate(Hindsight(), Scenario(np.ones((1, 3, 1)), **extra), ItemParams(**options))
