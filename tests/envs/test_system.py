"""What every system says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.conformance import ITEM_CASES, OTHER_CASES
from fractile.envs.core.period import system_of
from fractile.envs.core.system import ItemSystem, OwnSystem, System
from fractile.envs.gym.sources import JointSource
from fractile.envs.systems.capacity import CapacitySystem
from fractile.envs.systems.perishable import PerishableSystem

CASES = {**ITEM_CASES, **OTHER_CASES}
every_case = pytest.mark.parametrize("name", CASES)
PATHS, ITEMS = 3, 4


def test_parameters_of_items_stand_for_the_system_that_they_describe():
    shared = fr.ItemParams(capacity=fr.systems.SharedCapacity(3.0))
    assert type(system_of(fr.ItemParams())) is ItemSystem
    assert type(system_of(fr.ItemParams(shelf_life=2))) is PerishableSystem
    assert type(system_of(shared)) is CapacitySystem
    assert [system_of(p).plain for p in (fr.ItemParams(), fr.ItemParams(shelf_life=2), shared)] == [True, False, False]
    network = fr.networks.serial((1, 2), (0.5, 1.0), 9.0)
    assert system_of(network) is network


@every_case
def test_an_empty_state_holds_nothing_and_a_fresh_one_what_is_given(name):
    system, rng = system_of(CASES[name]), np.random.default_rng(0)
    columns = system.columns(ITEMS)
    assert len(system.column_names(ITEMS)) == columns
    for slots in (system.slots, system.slots + 2):
        empty = system.empty_state(PATHS, ITEMS, slots)
        assert empty.net_inventory.shape == (PATHS, columns)
        assert empty.pipeline.shape == (slots, PATHS, columns)
        assert not any(part.any() for part in empty)
    net, pipeline = rng.integers(-5, 9, (PATHS, columns)) * 1.0, rng.uniform(size=(system.slots, PATHS, columns))
    fresh = system.fresh_state(net, pipeline)
    np.testing.assert_array_equal(fresh.net_inventory, net)
    np.testing.assert_array_equal(fresh.pipeline, pipeline)


@every_case
def test_demand_is_placed_where_it_occurs(name):
    system = system_of(CASES[name])
    where = np.arange(ITEMS) if system.demand_at is None else system.demand_at
    demand = np.random.default_rng(0).integers(1, 9, (PATHS, 5, len(where))) * 1.0
    placed = system.place(demand)
    np.testing.assert_array_equal(placed[..., where], demand)
    assert placed.shape == (PATHS, 5, system.columns(ITEMS))
    assert placed.sum() == demand.sum()


@every_case
def test_what_orders_bring_and_cost_is_what_the_step_says(name):
    params, system = CASES[name], system_of(CASES[name])
    state = system.empty_state(1, ITEMS)
    order = np.full((1, system.orders(ITEMS)), 8.0)
    after, outcome = system.step(state, order, np.zeros((1, system.columns(ITEMS))))
    arrived = outcome.received + after.pipeline.sum(0)
    np.testing.assert_allclose(arrived, system.shipped_in(outcome.order), atol=1e-12)
    left = outcome.on_hand + getattr(outcome, "waste", 0.0)
    np.testing.assert_allclose(left, outcome.received - system.shipped_out(outcome.order), atol=1e-12)
    fixed, unit = system.order_costs(ITEMS)
    charged = (fixed * (outcome.order > 0) + unit * outcome.order).sum()
    np.testing.assert_allclose(charged, params.ordering_cost(outcome.order).sum())


def test_forecasts_reach_over_the_review_period():
    params = fr.ItemParams(lead_time=np.array([1, 2]), review_period=3)
    scenario, _ = JointSource(fr.Poisson([3.0, 4.0]), params).draw(np.random.default_rng(0), 2, 5)
    assert system_of(params).horizon == scenario.forecasts[0].horizon == 5


def test_an_object_of_ones_own_says_what_it_knows():
    silent = SimpleNamespace(slots=2, step=None)
    assert isinstance(system_of(silent), OwnSystem)
    assert (system_of(silent).horizon, system_of(silent).stock) == (3, None)
    assert system_of(SimpleNamespace(slots=2, protection_interval=np.array([2, 6]))).horizon == 6
    kept = SimpleNamespace(slots=2, empty_state=lambda paths, items: ("own", paths, items))
    assert system_of(kept).empty_state(3, 4, 7) == ("own", 3, 4)


class TwoOrders(System):
    """An item that is ordered twice in a period, both without lead time."""

    slots, review_period, every_period, salvage_value = 0, 1, True, 0.0

    def step(self, state, order, demand, arrivals=None):
        received = order.reshape(*order.shape[:-1], -1, 2).sum(-1)
        after, outcome = fr.step(state, received, demand, fr.ItemParams(), arrivals)
        return after, outcome._replace(order=order)

    def orders(self, items):
        return 2 * items

    def ordering_cost(self, order):
        return 0.0 * order


def test_a_system_of_ones_own_may_have_other_orders_than_items():
    fr.check_dynamics(TwoOrders())
    scenario = fr.Scenario(np.full((2, 3, 1), 5.0))
    twice = SimpleNamespace(order=lambda obs: np.full((2, 2), 2.0))
    assert (fr.simulate(twice, scenario, TwoOrders()).sales == 4.0).all()
