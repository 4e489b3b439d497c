"""One item played in plain numbers is the same item played on arrays, to the last bit."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile import InventoryState, step
from fractile.envs.core.backend import LooseSlots
from fractile.envs.core.types import ItemParams
from fractile.envs.gym.inventory_env import InventoryEnv

SYSTEMS = {
    "lost sales": {},
    "no lead time": {"lead_time": 0},
    "one period": {"lead_time": 1, "pack_size": None},
    "backorders": {"system": "backorder"},
    "partly lost": {"unmet_demand": 0.3, "pack_size": None, "price": 2.0},
    "fixed cost": {"system": "fixed_cost", "unit_cost": 1.5},
    "order rules": {"pack_size": 4.0, "minimum_order": 8.0, "maximum_order": 20.0},
    "a minimum without packs": {"pack_size": None, "minimum_order": 3.0, "unit_cost": 0.5},
    "one of many items": {"demand": fr.Poisson(np.array([2.0, 9.0])), "lead_time": 3},
    "orders as actions": {"action": "order"},
    "a lead time shorter than others": {
        "demand": fr.Poisson(np.array([2.0, 9.0])),
        "params": fr.ItemParams(lead_time=np.array([0, 3]), pack_size=np.array([2.0, 1.0])),
        "item": 0,
    },
    "forecasts that differ by period": {"demand": fr.Seasonal(fr.Poisson(5.0), [0.5, 1.0, 1.5])},
    "items of a panel": {"system": "forecast_driven"},
    "an item of a panel": {"system": "forecast_driven", "item": 3},
    "a panel's forecast, distorted": {"system": "forecast_driven", "belief": fr.Distortion(bias=0.2)},
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_numbers_are_arrays(name):
    numbers, arrays = (InventoryEnv(**SYSTEMS[name], periods=25) for _ in range(2))
    rng = np.random.default_rng(0)
    for seed in (3, 4):
        np.testing.assert_array_equal(numbers.reset(seed=seed)[0], arrays.reset(seed=seed)[0])
        for _ in range(25):
            action = rng.uniform(-1.2, 1.2, 1).astype(np.float32)
            assert numbers._in_numbers
            assert arrays.batch is not None  # looking at the batch has the rest played on arrays
            got, expected = numbers.step(action), arrays.step(action)
            np.testing.assert_array_equal(got[0], expected[0])
            assert got[1:] == expected[1:]
            assert {key: type(value) for key, value in got[4].items()} == {
                key: type(value) for key, value in expected[4].items()
            }


def test_what_is_unusual_is_played_on_arrays():
    for options in (
        {"memory": 2},
        {"arrivals": fr.arrivals.RandomLeadTime([0.5, 0.5])},
        {"review_period": 2},
        {"system": "perishable"},
        {"system": "serial"},
        {"render_mode": "rgb_array"},
    ):
        env = InventoryEnv(**options)
        env.reset(seed=0)
        assert not env._in_numbers


def test_the_batch_can_be_looked_at_and_changed_on_the_way():
    env, other = (gym.make("fractile/LostSales-v0").unwrapped for _ in range(2))
    env.reset(seed=1), other.reset(seed=1)
    action = np.array([0.3], dtype=np.float32)
    for _ in range(4):
        env.step(action), other.step(action)
    assert env.batch.period == 4
    np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])
    env.batch.put(env.batch.state._replace(net_inventory=np.full((1, 1), 500.0)))
    assert env.step(action)[4]["on_hand"] > 400


def test_numbers_can_be_pickled_on_the_way():
    env = gym.make("fractile/LostSales-v0").unwrapped
    env.reset(seed=1)
    action = np.array([0.1], dtype=np.float32)
    env.step(action)
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(5):
        np.testing.assert_array_equal(copy.step(action)[0], env.step(action)[0])


def test_worked_transition_in_numbers():
    # 3 on hand + 2 due − 6: 1 short at 9; the order of 4 is under way.
    state = InventoryState(3.0, LooseSlots((2.0,)))
    after, out = step(state, 4.0, 6.0, ItemParams(lead_time=1))
    assert (out.sales, out.shortfall, out.cost, after.net_inventory) == (5.0, 1.0, 9.0, 0.0)
    assert after.pipeline.parts == (4.0,)
    assert all(type(value) is float for value in out)
