"""A policy meets a scenario: states, starts, warm-up and what is left at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile import (
    FractileError,
    InventoryState,
    Observation,
    Scenario,
)
from fractile.envs.core.period import advance
from fractile.envs.core.types import ItemParams, with_protection_totals
from fractile.policies.base_stock import BaseStock, ConstantOrder
from fractile.policies.exact.hindsight import Hindsight
from fractile.policies.newsvendor import Newsvendor
from fractile.policies.rollout import simulate_cost, starting_state

PARAMS = ItemParams(lead_time=np.array([0, 2]), stockout_cost=9.0, fixed_order_cost=3.0)
DEMAND = fr.Poisson(np.array([5.0, 8.0]))


def drawn(paths: int = 6, periods: int = 9) -> Scenario:
    return fr.draw_scenario(DEMAND, 0, paths, periods, 3)


class Watching:
    """Keeps what it is shown, and orders up to ten."""

    def __init__(self) -> None:
        self.seen = []

    def order(self, obs: Observation) -> np.ndarray:
        self.seen.append(obs)
        return np.maximum(10.0 - obs.inventory_position, 0.0)


def test_simulation_is_advance_period_by_period():
    scenario, policy = drawn(), Newsvendor()
    state = InventoryState(np.full((6, 2), 4.0), np.full((2, 6, 2), 3.0))
    got = fr.simulate(policy, scenario, PARAMS, initial_state=state)
    for period in range(scenario.periods):
        obs = Observation(period, state.net_inventory, state.pipeline, PARAMS, scenario.forecast(period))
        state, outcome = advance(state, policy.order(obs), scenario, period, PARAMS)
        for name, value in outcome._asdict().items():
            np.testing.assert_array_equal(getattr(got, name)[:, period], value)


def test_policies_are_shown_the_state_before_the_period():
    scenario, policy = drawn(), Watching()
    start = InventoryState(np.full((6, 2), 4.0), np.zeros((2, 6, 2)))
    got = fr.simulate(policy, scenario, PARAMS, initial_state=start)
    assert [obs.period for obs in policy.seen] == list(range(9))
    np.testing.assert_array_equal(policy.seen[0].net_inventory, start.net_inventory)
    for period in range(1, 9):
        np.testing.assert_array_equal(policy.seen[period].net_inventory, got.on_hand[:, period - 1])
        assert policy.seen[period].forecast is scenario.forecast(period)


class Counted:
    """A forecast that counts how often it is summed."""

    def __init__(self, forecast) -> None:
        self.forecast, self.sums = forecast, 0

    def __getattr__(self, name):
        return getattr(self.forecast, name)

    def total(self, span):
        self.sums += 1
        return self.forecast.total(span)


def counted() -> Scenario:
    scenario = drawn()
    return replace(scenario, forecasts=[Counted(scenario.forecast(0)) for _ in range(9)])


def sums(scenario: Scenario) -> list[int]:
    return [forecast.sums for forecast in scenario.forecasts]


def test_forecasts_are_summed_once_in_a_simulation_and_once_for_all_policies():
    scenario = counted()
    fr.simulate(Newsvendor(), scenario, PARAMS)
    assert sums(scenario) == [1] * 9
    scenario = counted()
    tuned = fr.make_policy("tuned_newsvendor", scale=0.9, shift=0.1)
    got = fr.compare({"one": Newsvendor(), "other": tuned}, scenario, PARAMS, baseline="one")
    assert sums(scenario) == [1] * 9
    np.testing.assert_array_equal(got.trajectories["other"].cost, fr.simulate(tuned, drawn(), PARAMS).cost)


def test_policies_that_look_at_no_forecast_do_not_pay_for_sums():
    scenario, start = counted(), InventoryState(np.full((6, 2), 4.0), np.zeros((2, 6, 2)))
    fr.simulate(BaseStock(30), scenario, PARAMS, initial_state=start)
    assert sums(scenario) == [0] * 9


def test_totals_of_other_lead_times_are_computed_anew():
    prepared = with_protection_totals(drawn(), ItemParams(lead_time=0))
    for policy in (Newsvendor(), ConstantOrder(3)):
        got, expected = (fr.simulate(policy, scenario, PARAMS) for scenario in (prepared, drawn()))
        np.testing.assert_array_equal(got.order, expected.order)
        np.testing.assert_array_equal(got.cost, expected.cost)


def test_warm_up_leaves_out_the_first_periods():
    scenario = drawn()
    whole, rest = fr.simulate(Newsvendor(), scenario, PARAMS), fr.simulate(Newsvendor(), scenario, PARAMS, warm_up=4)
    for name in ("order", "received", "sales", "shortfall", "on_hand", "cost", "demand"):
        np.testing.assert_array_equal(getattr(rest, name), getattr(whole, name)[:, 4:])
    assert rest.cost.shape == (6, 5, 2)


@pytest.mark.parametrize("warm_up", [-1, 9, 20])
def test_warm_up_must_leave_a_period(warm_up):
    with pytest.raises(FractileError, match="warm_up must be from 0 to 8"):
        fr.simulate(Newsvendor(), drawn(), PARAMS, warm_up=warm_up)


def test_pipelines_that_are_too_short_are_named():
    with pytest.raises(
        FractileError, match="initial_state needs a pipeline of 2 slots for what may be under way, got 1"
    ):
        fr.simulate(Newsvendor(), drawn(), PARAMS, initial_state=InventoryState.empty(6, 2, 1))


def test_longer_pipelines_are_fine():
    scenario = drawn()
    short, long = (
        fr.simulate(Newsvendor(), scenario, PARAMS, initial_state=InventoryState.empty(6, 2, slots)) for slots in (2, 5)
    )
    np.testing.assert_array_equal(short.cost, long.cost)


def test_simulation_changes_nothing_it_was_given():
    scenario = drawn()
    demand = scenario.demand.copy()
    start = InventoryState(np.full((6, 2), 4.0), np.full((2, 6, 2), 3.0))
    fr.simulate(Newsvendor(), scenario, PARAMS, initial_state=start)
    np.testing.assert_array_equal(scenario.demand, demand)
    np.testing.assert_array_equal(start.net_inventory, 4.0)
    np.testing.assert_array_equal(start.pipeline, 3.0)


def test_costs_are_the_parts():
    got = fr.simulate(Newsvendor(), drawn(), PARAMS)
    np.testing.assert_allclose(got.cost, got.holding + got.stockout + got.ordering)
    assert got.mean_cost == pytest.approx(got.cost.mean())


def test_start_is_the_policys_own_target():
    # Base stock 30: mean demand (5, 8) in each slot that the lead time has, the rest on hand.
    state = starting_state(BaseStock(30), drawn(), PARAMS)
    np.testing.assert_allclose(state.pipeline[:, 0], [[0.0, 8.0], [0.0, 8.0]])
    np.testing.assert_allclose(state.net_inventory[0], [30.0, 14.0])
    np.testing.assert_allclose(state.net_inventory + state.pipeline.sum(0), 30.0)


def test_start_of_a_policy_without_target_is_the_newsvendors():
    scenario = drawn()
    one, other = (starting_state(policy, scenario, PARAMS) for policy in (ConstantOrder(3), Newsvendor()))
    np.testing.assert_array_equal(one.net_inventory, other.net_inventory)
    np.testing.assert_array_equal(one.pipeline, other.pipeline)


def test_start_without_forecast():
    scenario = Scenario(drawn().demand)
    level = starting_state(BaseStock([12, 20]), scenario, PARAMS)
    np.testing.assert_array_equal(level.net_inventory[3], [12.0, 20.0])
    assert not level.pipeline.any()
    assert not starting_state(ConstantOrder(3), scenario, PARAMS).net_inventory.any()


def test_start_of_a_planner_is_what_the_first_periods_need():
    scenario = drawn()
    got = fr.simulate(Hindsight(), scenario, PARAMS)
    free = fr.simulate(Hindsight(), scenario, ItemParams(lead_time=np.array([0, 2]), stockout_cost=9.0))
    assert free.cost.max() == 0.0
    assert got.shortfall[:, :2, 1].max() == 0.0


def test_slots_of_random_lead_times_come_from_the_arrivals():
    arrivals = np.zeros((5, 1, 9, 2))
    arrivals[4] = 1.0
    scenario = Scenario(np.zeros((6, 9, 2)), arrivals=arrivals)
    got = fr.simulate(ConstantOrder(1), scenario, ItemParams(lead_time=2))
    np.testing.assert_array_equal(got.received[0, :, 0], [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_salvage_value_comes_back_in_the_last_period():
    params = ItemParams(lead_time=0, salvage_value=2.0, holding_cost=1.0)
    scenario = Scenario(np.ones((1, 3, 1)))
    start = InventoryState(np.full((1, 1), 5.0), np.zeros((0, 1, 1)))
    got = fr.simulate(ConstantOrder(0), scenario, params, initial_state=start)
    # Stock 4, 3, 2 at 1 each; 2 units come back at 2 each.
    np.testing.assert_array_equal(got.cost.ravel(), [4.0, 3.0, 2.0 - 4.0])


def test_salvage_value_of_each_item():
    params = ItemParams(salvage_value=np.array([2.0, 0.0]), holding_cost=np.array([1.0, 1.0]))
    start = InventoryState(np.full((1, 2), 3.0), np.zeros((0, 1, 2)))
    got = fr.simulate(ConstantOrder(0), Scenario(np.zeros((1, 1, 2))), params, initial_state=start)
    np.testing.assert_array_equal(got.cost[0, 0], [3.0 - 6.0, 3.0])


def test_planners_are_charged_without_the_rules_they_ignore():
    params = ItemParams(pack_size=50.0, fixed_order_cost=3.0, unmet_demand=0.5)
    got = fr.simulate(Hindsight(), drawn(), params)
    assert (got.order % 50.0 != 0).any()
    assert got.params.pack_size is None


def test_paired_scenarios_give_paired_costs():
    scenario = drawn(paths=300, periods=60)
    params = ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
    one, other = (fr.simulate(BaseStock(s), scenario, params).cost.mean((1, 2)) for s in (20, 21))
    assert (one - other).var() < 0.25 * (one.var() + other.var())


def test_a_pipeline_too_short_for_the_arrivals_is_refused():
    arrivals = np.zeros((4, 1, 5, 1))
    arrivals[3] = 1.0
    scenario = fr.Scenario(np.ones((2, 5, 1)), arrivals=arrivals)
    with pytest.raises(fr.FractileError, match="pipeline of 3 slots"):
        fr.simulate(
            fr.make_policy("base_stock", level=3),
            scenario,
            fr.ItemParams(lead_time=1),
            initial_state=fr.InventoryState.empty(2, 1, 2),
        )


class Ordering:
    """Orders what a function says of the period and the shape."""

    def __init__(self, say):
        self.say = say

    def order(self, obs):
        return self.say(obs.period, obs.net_inventory.shape)


def one_bad(value):
    def say(period, shape):
        order = np.ones(shape)
        if period == 3:
            order[1, 2] = value
        return order

    return say


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_orders_that_cannot_be_placed_are_refused(value):
    scenario = fr.draw_scenario(fr.Poisson(np.array([5.0, 2.0, 3.0])), 0, 4, 6, 2)
    text = f"Ordering must order a finite number >= 0, got {value:g} for item 2 .*on path 1 in period 3"
    with pytest.raises(fr.FractileError, match=text):
        fr.simulate(Ordering(one_bad(value)), scenario, fr.ItemParams(lead_time=1))


@pytest.mark.parametrize(
    ("say", "got"),
    [
        (lambda _, shape: np.ones(shape[0]), r"\(4,\)"),
        (lambda _, shape: np.ones((1, shape[1])), r"\(1, 3\)"),
        (lambda _, shape: np.ones((*shape, 1)), r"\(4, 3, 1\)"),
        (lambda *_: 1.0, "a float"),
        (lambda *_: None, "a NoneType"),
    ],
)
def test_orders_of_another_shape_are_refused(say, got):
    scenario = fr.draw_scenario(fr.Poisson(np.array([5.0, 2.0, 3.0])), 0, 4, 6, 2)
    text = rf"Ordering must return orders of shape \(paths, items or links\) = \(4, 3\), got {got} in period 0"
    with pytest.raises(fr.FractileError, match=text):
        fr.simulate(Ordering(say), scenario, fr.ItemParams(lead_time=1))


def test_whole_numbers_and_negative_zeros_are_orders():
    scenario = fr.draw_scenario(fr.Poisson(5.0), 0, 4, 6, 2)
    for order in (np.full((4, 1), 5), np.full((4, 1), 5, dtype=np.float32), np.full((4, 1), -0.0)):
        fr.simulate(Ordering(lambda *_, order=order: order), scenario, fr.ItemParams(lead_time=1))


def test_costs_alone_are_those_of_the_simulation():
    rng = np.random.default_rng(0)
    scenario = Scenario(rng.poisson(5.0, (3, 12, 2)).astype(np.float64))
    charged = ItemParams(lead_time=np.array([1, 2]), stockout_cost=4.0, salvage_value=0.5)
    for policy, params in ((BaseStock(14.0), charged), (Hindsight(), replace(charged, salvage_value=0.0))):
        whole = fr.simulate(policy, scenario, params, warm_up=3)
        np.testing.assert_array_equal(simulate_cost(policy, scenario, params, warm_up=3), whole.cost)
    with pytest.raises(FractileError, match="warm_up must be from 0 to 11, got 12"):
        simulate_cost(BaseStock(14.0), scenario, params, warm_up=12)
