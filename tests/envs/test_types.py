"""Parameters that check themselves, scenarios, observations and trajectories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fractile as fr
from fractile import (
    FractileError,
    InputError,
    InventoryState,
    Observation,
    Scenario,
    Trajectory,
)
from fractile.envs.core.params import SharedCapacity, params_from_items
from fractile.envs.core.period import observation
from fractile.envs.core.types import ItemParams, with_protection_totals
from fractile.envs.gym.observation import ObservationEncoder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lead_time": 1.5}, "lead_time must be an integer >= 0, got 1.5; round it or model it as random"),
        ({"lead_time": -1}, "lead_time must be an integer >= 0, got -1"),
        ({"lead_time": np.array([1, 2.5])}, "lead_time must be an integer >= 0, got 2.5"),
        ({"lead_time": "two"}, "lead_time must be an integer >= 0, got 'two'"),
        ({"review_period": 0}, "review_period must be an integer >= 1, got 0"),
        ({"holding_cost": -1.0}, "holding_cost must be a number >= 0, got -1"),
        ({"stockout_cost": float("nan")}, "stockout_cost must be a number >= 0, got nan"),
        ({"fixed_order_cost": float("inf")}, "fixed_order_cost must be a number >= 0, got inf"),
        ({"unit_cost": -0.5}, "unit_cost must be a number >= 0, got -0.5"),
        ({"unmet_demand": "backlog"}, "unmet_demand must be 'lost', 'backorder' or a share"),
        ({"unmet_demand": 1.5}, "unmet_demand as a share that is lost must be at most 1, got 1.5"),
        ({"pack_size": 0}, "pack_size must be a number > 0, got 0; leave it out"),
        ({"maximum_order": 0}, "maximum_order must be a number > 0"),
        (
            {"minimum_order": 10, "maximum_order": 8},
            "no order is possible: minimum_order 10 exceeds maximum_order 8; correct one of them",
        ),
        (
            {"pack_size": 6, "minimum_order": 7, "maximum_order": 11},
            "no order is possible: pack_size 6 has no multiple in [7, 11]; correct pack_size",
        ),
        (
            {"pack_size": np.array([1.0, 6.0]), "maximum_order": 4},
            "item 1 can never be ordered: pack_size 6 has no multiple in (0, 4]; correct pack_size",
        ),
        (
            {"minimum_order": [1, 9, 2], "maximum_order": [[8, 10, 8], [8, 8, 8]]},
            "item 1 can never be ordered: minimum_order 9 exceeds maximum_order 8",
        ),
        (
            {"pack_size": [2, 6], "capacity": SharedCapacity(10, use=2)},
            "item 1 can never be ordered: its smallest order takes 12 of the capacity 10; correct capacity.limit",
        ),
        (
            {"pack_size": 4, "minimum_order": 9, "capacity": SharedCapacity([[10], [11]])},
            "item 0 can never be ordered: its smallest order takes 12 of the capacity 11",
        ),
        ({"shelf_life": 0}, "shelf_life must be an integer >= 1, got 0"),
        ({"discount": 0.0}, "discount must lie in"),
        ({"discount": 1.01}, "discount must lie in"),
    ],
)
def test_params_refuse_what_makes_no_sense(options, message):
    with pytest.raises(FractileError, match=message.replace("(", r"\(").replace("[", r"\[")):
        ItemParams(**options)


def test_params_name_every_item_that_can_never_be_ordered_and_count_the_rest():
    with pytest.raises(InputError) as caught:
        ItemParams(pack_size=6, maximum_order=np.arange(1, 13))
    assert [fault.split(" can")[0] for fault in caught.value.faults] == [
        *(f"item {k}" for k in range(5)),  # 6 and more fit a pack
    ]
    with pytest.raises(InputError, match="2 more items can never be ordered"):
        ItemParams(minimum_order=7, maximum_order=[1, 2, 3, 4, 5, 6, 6, 8])


def test_params_of_a_table_name_items_by_their_ids_whatever_came_from_defaults():
    table = pd.DataFrame({"item_id": ["00123", "00124"], "maximum_order": [4.0, 12.0]})
    with pytest.raises(InputError) as caught:
        params_from_items(table, {"pack_size": 6})
    assert caught.value.faults == (
        "items: item '00123' can never be ordered: pack_size 6 has no multiple in (0, 4]; correct pack_size, "
        "minimum_order or maximum_order",
    )
    assert params_from_items(table, {"pack_size": 4}).pack_size == 4


def test_params_report_every_fault_at_once():
    with pytest.raises(InputError) as caught:
        ItemParams(lead_time=-1, holding_cost=-2, unmet_demand="no")
    assert len(caught.value.faults) == 3


def test_params_keep_scalars_and_arrays():
    params = ItemParams(lead_time=np.array([1.0, 2.0]), holding_cost=2)
    assert params.holding_cost == 2.0
    assert params.lead_time.dtype == np.int64
    assert ItemParams(maximum_order=np.array([np.inf, 3.0])).maximum_order[0] == np.inf


def test_params_derive_ratio_interval_share_and_slots():
    params = ItemParams(lead_time=np.array([0, 3]), review_period=2, holding_cost=1.0, stockout_cost=4.0)
    assert params.critical_ratio == pytest.approx(0.8)
    np.testing.assert_array_equal(params.protection_interval, [2, 5])
    assert params.slots == 3
    assert params.lost_share == 1.0
    assert ItemParams(unmet_demand="backorder").lost_share == 0.0
    assert ItemParams(unmet_demand=0.25).lost_share == 0.25


def test_arrivals_are_one_hot_in_the_lead_time():
    params = ItemParams(lead_time=np.array([0, 2]))
    np.testing.assert_array_equal(params.arrivals_into(2)[:, 0, :], [[1, 0], [0, 0], [0, 1]])
    assert ItemParams(lead_time=2).arrivals_into(2) is None
    np.testing.assert_array_equal(ItemParams(lead_time=1).arrivals_into(2)[:, 0, 0], [0, 1, 0])


def test_params_of_some_items():
    params = ItemParams(lead_time=np.array([0, 1, 2]), stockout_cost=np.array([4.0, 9.0, 19.0]), holding_cost=2.0)
    some = params.select(np.array([2, 0]))
    np.testing.assert_array_equal(some.lead_time, [2, 0])
    np.testing.assert_array_equal(some.stockout_cost, [19.0, 4.0])
    assert some.holding_cost == 2.0
    assert some.slots == 2
    per_path = params.per_path(np.array([1, 1, 2]))
    np.testing.assert_array_equal(per_path.lead_time, [[1], [1], [2]])


def test_scenario_checks_its_shapes():
    with pytest.raises(FractileError, match=r"demand must have the shape \(paths, periods, items\)"):
        Scenario(np.ones((3, 4)))
    with pytest.raises(FractileError, match="forecasts must be one a period: 4 periods, 1 forecasts"):
        Scenario(np.ones((3, 4, 2)), forecasts=[None])
    scenario = Scenario(np.ones((3, 4, 2)))
    assert (scenario.paths, scenario.periods, scenario.items) == (3, 4, 2)
    assert scenario.forecast(3) is None


def forecast_scenario() -> Scenario:
    params = ItemParams(lead_time=np.array([0, 2]))
    return with_protection_totals(fr.draw_scenario(fr.Poisson(np.array([2.0, 5.0])), 0, 3, 4, span=3), params)


def test_totals_over_the_protection_interval_are_computed_once():
    params, scenario = ItemParams(lead_time=np.array([0, 2])), forecast_scenario()
    totals = scenario.protection_totals.totals
    assert with_protection_totals(scenario, params) is scenario
    assert all(total is totals[0] for total in totals)  # one forecast serves all periods, and so does its total
    expected = stats.poisson([2.0, 15.0]).ppf(0.9)
    np.testing.assert_array_equal(totals[0].quantile(0.9)[:, 0, 0], expected)
    np.testing.assert_array_equal(scenario.window(1, 3).protection_totals.totals, totals[1:3])
    # Other protection intervals have other totals.
    longer = with_protection_totals(scenario, ItemParams(lead_time=2))
    np.testing.assert_array_equal(
        longer.protection_totals.totals[0].quantile(0.9)[:, 0, 0], stats.poisson([6.0, 15.0]).ppf(0.9)
    )
    nothing = Scenario(np.ones((3, 4, 2)))
    assert with_protection_totals(nothing, params) is nothing


def test_items_are_selected_with_their_totals():
    some = forecast_scenario().select(np.array([1]))
    assert some.demand.shape == (3, 4, 1)
    assert some.protection_totals.fits(ItemParams(lead_time=np.array([2])))
    np.testing.assert_array_equal(some.protection_totals.totals[2].quantile(0.9).item(), stats.poisson(15).ppf(0.9))
    assert some.forecasts[0].values.shape[0] == 1


def test_totals_and_features_of_other_forecasts_are_left_out():
    params, scenario = ItemParams(lead_time=np.array([0, 2])), forecast_scenario()
    scenario = ObservationEncoder(2).prepare(scenario, params)
    other = [forecast.head(3) for forecast in scenario.forecasts]
    changed = replace(scenario, forecasts=other)
    assert changed.protection_totals is changed.features is None
    kept = replace(scenario, demand=2 * scenario.demand)
    assert kept.protection_totals is scenario.protection_totals
    assert kept.features is scenario.features


def test_observations_give_the_total_that_was_computed_or_compute_it():
    params, scenario = ItemParams(lead_time=np.array([0, 2])), forecast_scenario()
    state = InventoryState.empty(3, 2, 2)
    known = observation(state, 1, params, scenario)
    assert known.protection_total() is scenario.protection_totals.totals[1]
    plain = observation(state, 1, params, replace(scenario, protection_totals=None))
    np.testing.assert_array_equal(plain.protection_total().values, known.protection_total().values)
    with pytest.raises(FractileError, match="this policy needs a forecast"):
        observation(state, 0, params, Scenario(np.ones((3, 4, 2)))).protection_total()


def test_observation_adds_up_what_is_under_way():
    obs = Observation(0, np.array([[-2.0, 5.0]]), np.array([[[1.0, 0.0]], [[4.0, 3.0]]]), ItemParams(lead_time=2))
    np.testing.assert_array_equal(obs.on_order, [[5.0, 3.0]])
    np.testing.assert_array_equal(obs.inventory_position, [[3.0, 8.0]])
    empty = Observation(0, np.array([[-2.0]]), np.zeros((0, 1, 1)), ItemParams())
    np.testing.assert_array_equal(empty.inventory_position, [[-2.0]])
    np.testing.assert_array_equal(empty.on_order, [[0.0]])


def test_a_forecast_that_is_not_there_is_named():
    obs = Observation(0, np.zeros((1, 1)), np.zeros((0, 1, 1)), ItemParams())
    with pytest.raises(FractileError, match="this policy needs a forecast"):
        obs.known_forecast()


def test_empty_state():
    state = InventoryState.empty(3, 2, 4)
    assert state.net_inventory.shape == (3, 2)
    assert state.pipeline.shape == (4, 3, 2)
    assert not state.net_inventory.any()


def trajectory() -> Trajectory:
    # Two periods of one item: orders 4, 0; demand 3, 5; on hand 1, 0; short 0, 4.
    column = {
        "order": [4.0, 0.0],
        "received": [4.0, 0.0],
        "sales": [3.0, 1.0],
        "shortfall": [0.0, 4.0],
        "on_hand": [1.0, 0.0],
        "cost": [2.0 + 5.0 + 12.0, 36.0],
        "demand": [3.0, 5.0],
    }
    arrays = {name: np.array(values)[None, :, None] for name, values in column.items()}
    params = ItemParams(holding_cost=2.0, stockout_cost=9.0, fixed_order_cost=5.0, unit_cost=3.0, discount=0.5)
    return Trajectory(**arrays, params=params)


def test_trajectory_splits_its_cost():
    got = trajectory()
    np.testing.assert_array_equal(got.holding.ravel(), [2.0, 0.0])
    np.testing.assert_array_equal(got.stockout.ravel(), [0.0, 36.0])
    np.testing.assert_array_equal(got.ordering.ravel(), [17.0, 0.0])
    np.testing.assert_allclose(got.holding + got.stockout + got.ordering, got.cost)
    assert got.mean_cost == pytest.approx((19.0 + 36.0) / 2)
    np.testing.assert_allclose(got.discounted_cost, [[19.0 + 0.5 * 36.0]])


def test_trajectory_service_and_volatility():
    got = trajectory()
    assert got.fill_rate == pytest.approx(4.0 / 8.0)
    assert got.volatility_ratio == pytest.approx(4.0 / 1.0)  # Var(4, 0) = 4, Var(3, 5) = 1


def test_a_table_of_items_may_hold_shelf_lives_of_some():
    table = pd.DataFrame(
        {"item_id": ["a", "b"], "shelf_life": [3.0, np.nan], "holding_cost": 1.0, "stockout_cost": 9.0}
    )
    assert params_from_items(table).shelf_life.tolist() == [3.0, np.inf]
    assert params_from_items(table).ages == 3
    assert params_from_items(table.assign(shelf_life=np.nan)).shelf_life is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_demand_that_cannot_be_is_refused(value, dtype):
    demand = np.ones((2, 5, 3), dtype=dtype)
    demand[1, 3, 2] = value
    text = f"demand must be finite and >= 0, got {value:g} on path 1 in period 3 of item 2"
    with pytest.raises(FractileError, match=text):
        Scenario(demand)


def test_demand_may_be_whole_numbers_and_negative_zero():
    Scenario(np.full((2, 5, 3), -0.0))
    Scenario(np.ones((2, 5, 3), dtype=np.int64))
    Scenario(np.ones((2, 5, 0)))


@pytest.mark.parametrize("exact", [True, False], ids=["distribution", "quantiles"])
def test_a_policy_reads_a_quantile_of_the_protection_interval_by_item(exact):
    params = ItemParams(lead_time=np.array([1, 2]), stockout_cost=np.array([4.0, 9.0]))
    scenario = fr.draw_scenario(fr.Poisson(np.array([2.0, 5.0])), 0, 3, 4, span=3)
    forecast = scenario.forecasts[0]
    if not exact:
        forecast = fr.QuantileForecast(forecast.levels, forecast.values, forecast.origins, forecast.item_ids)
    obs = fr.Observation(0, np.zeros((3, 2)), np.zeros((2, 3, 2)), params, forecast)
    levels = [4.0 / 5.0, 9.0 / 10.0]
    expected = [obs.protection_total().quantile(level)[item, 0, 0] for item, level in enumerate(levels)]
    np.testing.assert_array_equal(obs.protection_quantile(), [expected])
    np.testing.assert_array_equal(obs.protection_quantile(np.array(levels)), [expected])
    with pytest.raises(fr.FractileError, match=r"\(items, origins\) = \(2, 1\), got \(2,\); .* level\[:, None\]"):
        forecast.quantile(np.array(levels))
