"""Stock that ages: transitions worked by hand, and what holds for every one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fractile as fr
from fractile.envs.core.types import ItemParams
from fractile.envs.systems import (
    PerishableState,
    perishable_step,
)

COSTS = {"holding_cost": 1.0, "stockout_cost": 5.0, "waste_cost": 7.0}

# stock by remaining life, pipeline, backorders | order, demand | parameters | stock, pipeline, owed after, waste, cost
ROWS = [
    # FIFO: 5 asked of 2 old and 4 fresh ones: 2 old and 3 fresh are sold, 1 is left. cost 1·1
    ([2, 4], [], 0, 0, 5, {}, [1, 0], [], 0, 0, 1.0),
    # LIFO: 4 fresh and 1 old are sold, the other old one perishes. cost 7·1
    ([2, 4], [], 0, 0, 5, {"issuing": "lifo"}, [0, 0], [], 0, 1, 7.0),
    # nothing is asked for: the old ones perish. cost 1·4 + 7·2
    ([2, 4], [], 0, 0, 0, {}, [4, 0], [], 0, 2, 18.0),
    # L = 0: the order is fresh and sold last under FIFO: 2 + 4 + 3 − 8 = 1 fresh one. cost 1·1 + 2·3
    ([2, 4], [], 0, 3, 8, {"unit_cost": 2.0}, [1, 0], [], 0, 0, 7.0),
    # L = 1: 6 arrive fresh, the order of 3 is under way; 1 of 8 units is left over, fresh. cost 1·1
    ([2, 0], [6], 0, 3, 7, {"lead_time": 1}, [1, 0], [3], 0, 0, 1.0),
    # lost sales: 3 of 9 are short. cost 5·3
    ([2, 4], [], 0, 0, 9, {}, [0, 0], [], 0, 0, 15.0),
    # backorders: 3 are owed from now on. cost 5·3
    ([2, 4], [], 0, 0, 9, {"unmet_demand": "backorder"}, [0, 0], [], 3, 0, 15.0),
    # 5 owed, 6 arrive: 1 is left for a demand of 2, so that 1 is owed. cost 5·1
    ([0, 0], [6], 5, 0, 2, {"lead_time": 1, "unmet_demand": "backorder"}, [0, 0], [0], 1, 0, 5.0),
    # half of the unmet demand of 4 is lost: 2 are owed; stock-out is charged on all 4. cost 5·4
    ([0, 1], [], 0, 0, 5, {"unmet_demand": 0.5}, [0, 0], [], 2, 0, 20.0),
    # a shelf life of one period: what is not sold at once perishes. cost 7·2
    ([0], [], 0, 5, 3, {"shelf_life": 1}, [0], [], 0, 2, 14.0),
    # three ages: one of each is left behind a FIFO sale of 2; the oldest were sold. cost 1·4
    ([2, 2, 2], [], 0, 0, 2, {"shelf_life": 3}, [2, 2, 0], [], 0, 0, 4.0),
    # fixed cost and packs of 4: 5 asked for become 4; 2 sold from the old ones. cost 1·(4 + 4) + 10
    ([2, 4], [], 0, 5, 2, {"pack_size": 4.0, "fixed_order_cost": 10.0}, [8, 0], [], 0, 0, 18.0),
]


def column(values, shape):
    return np.asarray(values, dtype=float).reshape(len(values), *shape)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_worked_transitions(row):
    stock, pipeline, owed, order, demand, changed, stock_after, pipeline_after, owed_after, waste, cost = row
    params = ItemParams(**{**COSTS, "shelf_life": len(stock), **changed})
    state = PerishableState(column(stock, (1, 1)), column(pipeline, (1, 1)), np.full((1, 1), float(owed)))
    after, out = perishable_step(state, np.full((1, 1), float(order)), np.full((1, 1), float(demand)), params)
    np.testing.assert_array_equal(after.stock.ravel(), stock_after)
    np.testing.assert_array_equal(after.pipeline.ravel(), pipeline_after)
    assert after.backorders.item() == owed_after
    assert out.waste.item() == waste
    assert out.cost.item() == cost


@st.composite
def calls(draw):
    """A state and inputs of three paths and two items with shelf lives of 2 and 3."""
    unmet = draw(st.sampled_from(["lost", "backorder", 0.25]))

    def array(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=float).reshape(shape)

    life = np.array([2, 3])
    stock = array(3, 3, 2) * (np.arange(3)[:, None, None] < life)
    owed = array(3, 2) * (stock.sum(0) == 0) * (unmet != "lost")
    params = ItemParams(
        lead_time=1, shelf_life=life, unmet_demand=unmet, issuing=draw(st.sampled_from(["fifo", "lifo"])), **COSTS
    )
    return PerishableState(stock, array(1, 3, 2), owed), array(3, 2), array(3, 2), params


@given(calls())
@settings(max_examples=60, deadline=None)
def test_units_are_conserved_from_order_to_sale_or_waste(call):
    state, _, demand, _ = call
    after, out = perishable_step(*call)
    served_late = state.backorders + demand - out.sales - out.shortfall
    closing = state.stock.sum(0) + out.received - out.sales - served_late - out.waste
    np.testing.assert_array_equal(after.stock.sum(0), closing)
    np.testing.assert_array_equal(out.on_hand, closing)
    np.testing.assert_array_equal(out.received + after.pipeline.sum(0), state.pipeline.sum(0) + out.order)
    assert after.stock.min() >= 0
    assert served_late.min() >= 0
    # A unit never outlives its shelf life.
    assert not after.stock[1:, :, 0].any()


@given(calls())
@settings(max_examples=40, deadline=None)
def test_fifo_wastes_least_and_sells_as_much(call):
    state, order, demand, params = call
    fifo, lifo = (perishable_step(state, order, demand, replace(params, issuing=way))[1] for way in ("fifo", "lifo"))
    np.testing.assert_array_equal(fifo.sales, lifo.sales)
    assert (fifo.waste <= lifo.waste).all()


def test_a_shelf_life_that_never_ends_is_the_ordinary_system():
    keeps = fr.ItemParams(lead_time=2, stockout_cost=4.0, unmet_demand=0.5)
    ages = fr.ItemParams(lead_time=2, stockout_cost=4.0, unmet_demand=0.5, shelf_life=60, waste_cost=100.0)
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=1, paths=20, periods=40, span=3)
    policy = fr.make_policy("base_stock", level=16)
    one, other = (fr.simulate(policy, scenario, params) for params in (keeps, ages))
    np.testing.assert_allclose(one.cost, other.cost, atol=1e-9)
    np.testing.assert_allclose(one.order, other.order, atol=1e-9)


def test_trajectories_hold_waste_and_compare_counts_it():
    params = fr.ItemParams(lead_time=1, shelf_life=2, waste_cost=7.0, stockout_cost=5.0, unit_cost=3.0)
    scenario = fr.draw_scenario(fr.Poisson(4.0), seed=1, paths=50, periods=60, span=2)
    run = fr.simulate(fr.make_policy("base_stock", level=12), scenario, params, warm_up=10)
    parts = run.holding + run.stockout + run.ordering + 7.0 * run.waste
    np.testing.assert_allclose(run.cost, parts, atol=1e-9)
    assert run.waste.sum() > 0


def test_a_policy_sees_stock_by_remaining_life():
    seen = []

    class Looks:
        def order(self, obs):
            seen.append(obs.stock)
            return np.full(obs.net_inventory.shape, 3.0)

    params = fr.ItemParams(lead_time=1, shelf_life=3)
    scenario = fr.draw_scenario(fr.Poisson(2.0), seed=1, paths=4, periods=5, span=2)
    fr.simulate(Looks(), scenario, params)
    assert seen[-1].shape == (3, 4, 1)


def test_an_item_that_keeps_stands_beside_one_that_perishes():
    both = fr.ItemParams(lead_time=1, shelf_life=np.array([2, np.inf]), waste_cost=3.0)
    keeps = fr.ItemParams(lead_time=1)
    scenario = fr.draw_scenario(fr.Poisson(np.array([4.0, 4.0])), seed=1, paths=10, periods=30, span=2)
    run, plain = (fr.simulate(fr.make_policy("base_stock", level=14), scenario, p) for p in (both, keeps))
    np.testing.assert_allclose(run.cost[..., 1], plain.cost[..., 1], atol=1e-9)
    assert not run.waste[..., 1].any()
    assert run.waste[..., 0].sum() > 0
