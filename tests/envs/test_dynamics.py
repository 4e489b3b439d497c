"""Transitions worked by hand, and what `advance` adds to `step`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fractile import (
    InventoryState,
    Scenario,
    step,
)
from fractile.envs.core.dynamics import feasible_order
from fractile.envs.core.period import advance
from fractile.envs.core.types import ItemParams


@dataclass(frozen=True)
class Row:
    """One period of one item: what goes in, and what must come out; h = 1, b = 9 unless params say otherwise."""

    about: str
    params: dict
    net: float
    pipeline: list
    order: float
    demand: float
    received: float
    sales: float
    shortfall: float
    on_hand: float
    cost: float
    net_after: float
    pipeline_after: list
    placed: float | None = None


LOST = {"unmet_demand": "lost"}
WAIT = {"unmet_demand": "backorder"}

ROWS = [
    # about, params, net, pipeline, q, D | received, sales, short, on hand, cost, net', pipeline' [, placed]
    # 3 + 4 = 7 there, 5 sold, 2 stay: cost 1·2
    Row("lost L0 enough", LOST, 3, [], 4, 5, 4, 5, 0, 2, 2, 2, []),
    # 1 + 2 = 3 there, 5 wanted: 2 lost, cost 9·2; nothing is owed
    Row("lost L0 short", LOST, 1, [], 2, 5, 2, 3, 2, 0, 18, 0, []),
    # 3 + 2 due = 5 there, 6 wanted: 1 lost, cost 9·1; the 4 just ordered come next period
    Row("lost L1", LOST | {"lead_time": 1}, 3, [2], 4, 6, 2, 5, 1, 0, 9, 0, [4]),
    # 0 + 5 due − 4 = 1 on hand, cost 1·1; 1 moves up, 3 enter behind it
    Row("lost L2", LOST | {"lead_time": 2}, 0, [5, 1], 3, 4, 5, 4, 0, 1, 1, 1, [1, 3]),
    # −2 + 5 − 4 = −1: of this period's 4, min(1, 4) = 1 is unmet, 3 are sold; cost 9·1
    Row("backorder L0", WAIT, -2, [], 5, 4, 5, 3, 1, 0, 9, -1, []),
    # −3 + 2 − 1 = −2: both due units go to who waited, 0 sold at once; cost 9·2
    Row("backorder L1, old debts first", WAIT | {"lead_time": 1}, -3, [2], 6, 1, 2, 0, 2, 0, 18, -2, [6]),
    # 4 + 0 − 3 = 1 on hand, cost 1; 7 move up, an order of nothing enters
    Row("backorder L2", WAIT | {"lead_time": 2}, 4, [0, 7], 0, 3, 0, 3, 0, 1, 1, 1, [7, 0]),
    # 2 + 0 − 6 = −4: 4 unmet, a quarter lost, 3 wait; cost 9·4
    Row("partial L1", {"unmet_demand": 0.25, "lead_time": 1}, 2, [0], 3, 6, 0, 2, 4, 0, 36, -3, [3]),
    # −2 + 0 − 2 = −4: only this period's 2 can be lost, half of them: −4 + 1 = −3; cost 9·4
    Row("partial L0, old debts are not lost", {"unmet_demand": 0.5}, -2, [], 0, 2, 0, 0, 4, 0, 36, -3, []),
    # 3 + 0 − 1 = 2: holding 2, K 5, purchase 2·4 = 8: 15
    Row(
        "fixed and unit cost",
        LOST | {"lead_time": 1, "fixed_order_cost": 5, "unit_cost": 2},
        *(3, [0], 4, 1, 0, 1, 0, 2, 15, 2, [4]),
    ),
    # no order, no K: holding 2 alone
    Row("no order, no fixed cost", LOST | {"lead_time": 1, "fixed_order_cost": 5}, 3, [0], 0, 1, 0, 1, 0, 2, 2, 2, [0]),
    # 0 + 2 − 5 = −3 lost: 9·3 − 3·(5 − 3) = 21
    Row("price, lost", LOST | {"price": 3}, 0, [], 2, 5, 2, 2, 3, 0, 21, 0, []),
    # the 3 that wait are paid as well: 9·3 − 3·5 = 12
    Row("price, backorder", WAIT | {"price": 3}, 0, [], 2, 5, 2, 2, 3, 0, 12, -3, []),
    # a quarter of 4 lost: accepted 6 − 1 = 5: 9·4 − 2·5 = 26
    Row("price, partial", {"unmet_demand": 0.25, "price": 2}, 2, [], 0, 6, 0, 2, 4, 0, 26, -3, []),
    # holding at 0.5, stock-outs at 4: 0.5·2
    Row("other costs", LOST | {"holding_cost": 0.5, "stockout_cost": 4}, 5, [], 0, 3, 0, 3, 0, 2, 1, 2, []),
    # 6 lies between one and two packs of 4: up to 8; 8 − 3 = 5
    Row("pack, tie goes up", LOST | {"pack_size": 4}, 0, [], 6, 3, 8, 3, 0, 5, 5, 5, [], placed=8),
    # 9 is held at 6; 6 − 6 = 0
    Row("maximum", LOST | {"maximum_order": 6}, 0, [], 9, 6, 6, 6, 0, 0, 0, 0, [], placed=6),
    # 4 of 10 is nearer to nothing: 0 ordered, no fixed cost, 3 lost
    Row(
        "minimum, down",
        LOST | {"minimum_order": 10, "fixed_order_cost": 5},
        0,
        [],
        4,
        3,
        0,
        0,
        3,
        0,
        27,
        0,
        [],
        placed=0,
    ),
    # less than nothing is nothing
    Row("negative order", LOST, 2, [], -3, 1, 0, 1, 0, 1, 1, 1, [], placed=0),
    # nothing wanted, nothing there
    Row("no demand", LOST | {"lead_time": 1}, 0, [0], 0, 0, 0, 0, 0, 0, 0, 0, [0]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.about)
def test_worked_transition(row):
    state = InventoryState(np.array([[float(row.net)]]), np.array(row.pipeline, dtype=float).reshape(-1, 1, 1))
    order, demand = np.array([[float(row.order)]]), np.array([[float(row.demand)]])
    after, outcome = step(state, order, demand, ItemParams(**row.params))
    got = {name: value.item() for name, value in outcome._asdict().items()}
    expected = {
        "order": float(row.order if row.placed is None else row.placed),
        **{name: float(getattr(row, name)) for name in ("received", "sales", "shortfall", "on_hand", "cost")},
    }
    assert got == pytest.approx(expected)
    assert after.net_inventory.item() == pytest.approx(row.net_after)
    assert after.pipeline.ravel().tolist() == pytest.approx(row.pipeline_after)


def test_mixed_lead_times_enter_their_own_slot():
    # L = 0, 1, 2 in a pipeline of two slots, 5 ordered of each: now, next period, the one after.
    state = InventoryState(np.zeros((1, 3)), np.array([[[0.0, 1.0, 2.0]], [[0.0, 0.0, 3.0]]]))
    after, outcome = step(state, np.full((1, 3), 5.0), np.zeros((1, 3)), ItemParams(lead_time=np.array([0, 1, 2])))
    np.testing.assert_array_equal(outcome.received, [[5.0, 1.0, 2.0]])
    np.testing.assert_array_equal(after.pipeline[:, 0], [[0.0, 5.0, 3.0], [0.0, 0.0, 5.0]])


def test_split_shipment():
    # 8 ordered: half now, a quarter in one period, a quarter in two.
    state = InventoryState(np.zeros((1, 1)), np.array([[[1.0]], [[2.0]]]))
    shares = np.array([0.5, 0.25, 0.25]).reshape(3, 1, 1)
    after, outcome = step(state, np.array([[8.0]]), np.array([[0.0]]), ItemParams(lead_time=2), shares)
    assert outcome.received.item() == 1.0 + 4.0
    np.testing.assert_array_equal(after.pipeline.ravel(), [2.0 + 2.0, 2.0])


def test_short_shipment():
    # A quarter of the order never comes; what was ordered is paid.
    state = InventoryState(np.zeros((1, 1)), np.zeros((1, 1, 1)))
    shares = np.array([0.5, 0.25]).reshape(2, 1, 1)
    after, outcome = step(state, np.array([[8.0]]), np.array([[1.0]]), ItemParams(lead_time=1, unit_cost=2.0), shares)
    assert outcome.received.item() == 4.0
    assert after.pipeline.item() == 2.0
    assert outcome.cost.item() == 3.0 + 16.0


def test_random_lead_times_of_each_path_may_cross():
    state = InventoryState(np.zeros((2, 1)), np.zeros((2, 2, 1)))
    shares = np.zeros((3, 2, 1))
    shares[2, 0], shares[0, 1] = 1.0, 1.0
    after, outcome = step(state, np.full((2, 1), 3.0), np.zeros((2, 1)), ItemParams(lead_time=2), shares)
    np.testing.assert_array_equal(outcome.received, [[0.0], [3.0]])
    np.testing.assert_array_equal(after.pipeline[:, 0, 0], [0.0, 3.0])


def orders_placed(params: ItemParams, periods: int = 5, items: int = 1) -> np.ndarray:
    scenario = Scenario(np.zeros((1, periods, items)))
    state = InventoryState.empty(1, items, params.slots)
    placed = []
    for period in range(periods):
        state, outcome = advance(state, np.full((1, items), 2.0), scenario, period, params)
        placed.append(outcome.order[0])
    return np.array(placed)


def test_orders_are_placed_in_review_periods_only():
    np.testing.assert_array_equal(orders_placed(ItemParams(review_period=3))[:, 0], [2, 0, 0, 2, 0])


def test_each_item_has_its_own_review_period():
    placed = orders_placed(ItemParams(review_period=np.array([1, 2])), items=2)
    np.testing.assert_array_equal(placed.T, [[2, 2, 2, 2, 2], [2, 0, 2, 0, 2]])


def test_an_order_that_is_not_reviewed_costs_nothing():
    params = ItemParams(review_period=2, fixed_order_cost=5.0, holding_cost=0.0)
    scenario = Scenario(np.zeros((1, 2, 1)))
    _, outcome = advance(InventoryState.empty(1, 1, 0), np.array([[2.0]]), scenario, 1, params)
    assert outcome.cost.item() == 0.0


def test_arrivals_of_a_scenario_are_those_of_the_period():
    arrivals = np.zeros((2, 1, 2, 1))
    arrivals[0, :, 0], arrivals[1, :, 1] = 1.0, 1.0
    scenario = Scenario(np.zeros((1, 2, 1)), arrivals=arrivals)
    params = ItemParams(lead_time=1)
    state = InventoryState.empty(1, 1, 1)
    state, now = advance(state, np.array([[4.0]]), scenario, 0, params)
    state, later = advance(state, np.array([[3.0]]), scenario, 1, params)
    assert now.received.item() == 4.0
    assert later.received.item() == 0.0
    assert state.pipeline.item() == 3.0


@pytest.mark.parametrize(
    ("unmet", "expected"),
    # Stock 2, demand 5, three short: 27; at price 4, lost sales earn 4·2, backorders 4·5, a third lost 4·4.
    [("lost", 27.0 - 8.0), ("backorder", 27.0 - 20.0), (1 / 3, 27.0 - 16.0)],
)
def test_scenario_prices_replace_the_price(unmet, expected):
    scenario = Scenario(np.full((1, 1, 1), 5.0), prices=np.full((1, 1, 1), 4.0))
    state = InventoryState(np.array([[2.0]]), np.zeros((0, 1, 1)))
    _, outcome = advance(state, np.zeros((1, 1)), scenario, 0, ItemParams(price=3.0, unmet_demand=unmet))
    assert outcome.cost.item() == pytest.approx(expected)


RULES = [
    # pack, minimum, maximum, asked, placed
    (None, None, None, 3.7, 3.7),
    (4, None, None, 5, 4),
    (4, None, None, 6, 8),
    (4, None, None, 1.9, 0),
    (2.5, None, None, 4, 5),
    (None, 10, None, 4.9, 0),
    (None, 10, None, 5, 10),
    (None, 10, None, 12.5, 12.5),
    (None, None, 6, 6.5, 6),
    (4, None, 10, 100, 8),
    (4, 6, None, 4, 8),
    (4, 6, 10, 100, 8),
    (4, 8, None, 3, 0),
]


@pytest.mark.parametrize(("pack", "least", "most", "asked", "placed"), RULES)
def test_nearest_feasible_order(pack, least, most, asked, placed):
    params = ItemParams(pack_size=pack, minimum_order=least, maximum_order=most)
    assert feasible_order(np.array([[float(asked)]]), params).item() == placed


def test_order_rules_differ_over_items():
    params = ItemParams(pack_size=np.array([4.0, 1.0, 6.0]), maximum_order=np.array([np.inf, 3.0, np.inf]))
    np.testing.assert_array_equal(feasible_order(np.full((2, 3), 7.0), params), [[8.0, 3.0, 6.0]] * 2)


def test_packs_of_one_unit_are_whole_units_however_they_are_given():
    order = np.random.default_rng(0).normal(3.0, 3.0, (4, 50)).round(1)
    one, each = ItemParams(pack_size=1.0), ItemParams(pack_size=np.ones(50))
    np.testing.assert_array_equal(feasible_order(order, one), feasible_order(order, each))
    np.testing.assert_array_equal(feasible_order(np.array([[0.5, 1.5, 2.49]]), one), [[1.0, 2.0, 2.0]])
