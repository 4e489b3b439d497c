"""Reorder-point policies: what they order, position by position."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fractile as fr
from fractile import FractileError
from fractile.policies.base_stock import BaseStock, ReorderPointOrderUpTo, ReorderPointQuantity
from fractile.policies.storage import load_policy, save_policy

PARAMS = fr.ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder")
POSITION = np.arange(-7.0, 12.0)


def at(position: np.ndarray, library=np.asarray) -> fr.Observation:
    """Observations with these inventory positions, part of them under way, one item."""
    net = (position - 3.0)[:, None]
    pipeline = np.stack([np.full_like(net, 1.0), np.full_like(net, 2.0)])
    return fr.Observation(0, library(net), library(pipeline), PARAMS)


def test_orders_up_to_the_level_at_or_below_the_point():
    got = fr.make_policy("ss", reorder_point=4, order_up_to=10).order(at(POSITION))[:, 0]
    np.testing.assert_array_equal(got, [10 - p if p <= 4 else 0 for p in POSITION])


def test_a_cap_limits_the_order():
    got = fr.make_policy("ss", reorder_point=4, order_up_to=10, cap=7).order(at(POSITION))[:, 0]
    np.testing.assert_array_equal(got, [min(10 - p, 7) if p <= 4 else 0 for p in POSITION])


def test_lots_are_the_fewest_that_lift_the_position_above_the_point():
    got = fr.make_policy("rq", reorder_point=4, quantity=5).order(at(POSITION))[:, 0]
    # From 4 down to 0 one lot, from -1 down to -5 two, from -6 down three.
    np.testing.assert_array_equal(got, [15, 15, *[10] * 5, *[5] * 5, *[0] * 7])
    after = POSITION + got
    assert (after[got > 0] > 4).all()
    assert (after[got > 0] <= 4 + 5).all()


def test_points_and_levels_of_each_item():
    obs = fr.Observation(0, np.array([[2.0, 2.0]]), np.zeros((0, 1, 2)), fr.ItemParams())
    np.testing.assert_array_equal(ReorderPointOrderUpTo([1, 2], [9, 8], [np.inf, 5]).order(obs), [[0, 5]])
    np.testing.assert_array_equal(ReorderPointQuantity([1, 2], [4, 3]).order(obs), [[0, 3]])


def test_a_point_one_below_the_level_is_base_stock_on_whole_units():
    scenario = fr.draw_scenario(fr.Poisson(5.0), 2, 30, 60, 3)
    base, other, lots = (
        fr.simulate(policy, scenario, PARAMS).order
        for policy in (BaseStock(20), ReorderPointOrderUpTo(19, 20), ReorderPointQuantity(19, 1))
    )
    np.testing.assert_array_equal(other, base)
    np.testing.assert_array_equal(lots, base)


@pytest.mark.parametrize(
    "policy", [ReorderPointOrderUpTo(4, 10), ReorderPointOrderUpTo(4, 10, 7), ReorderPointQuantity(4, 5)], ids=repr
)
def test_torch_orders_the_same(policy):
    expected = policy.order(at(POSITION))
    got = policy.order(at(POSITION, torch.as_tensor))
    assert isinstance(got, torch.Tensor)
    np.testing.assert_array_equal(got.numpy(), expected)


def test_simulations_start_from_the_highest_position():
    obs = at(POSITION)
    assert ReorderPointOrderUpTo(4, 10).target(obs).tolist() == [[10.0]]
    assert ReorderPointQuantity(4, 5).target(obs).tolist() == [[9.0]]


MIXED = {
    "ss": {"reorder_point": [5, 20, 2], "order_up_to": [10, 40, 5], "cap": [4, 15, np.inf]},
    "rq": {"reorder_point": [5, 20, 2], "quantity": [10, 40, 5]},
}


@pytest.mark.parametrize("name", MIXED)
def test_reorder_point_policies_conform(name):
    fr.check_policy(fr.make_policy(name, **MIXED[name]))


@pytest.mark.parametrize("name", MIXED)
def test_reorder_point_policies_come_back_from_disk(name, tmp_path):
    policy = fr.make_policy(name, **MIXED[name])
    save_policy(name, policy, tmp_path)
    obs = fr.Observation(0, np.array([[2.0, 9.0, 1.0]]), np.zeros((0, 1, 3)), fr.ItemParams())
    np.testing.assert_array_equal(load_policy(name, tmp_path).order(obs), policy.order(obs))


def test_no_cap_comes_back_from_disk(tmp_path):
    save_policy("ss", ReorderPointOrderUpTo(4, 10), tmp_path)
    assert load_policy("ss", tmp_path).cap == np.inf


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ss", {"reorder_point": 5, "order_up_to": 4}, r"order_up_to must be a number >= reorder_point \(5.0\), got 4"),
        ("ss", {"reorder_point": np.nan, "order_up_to": 4}, "reorder_point must be a number, got nan"),
        ("ss", {"reorder_point": 1, "order_up_to": 4, "cap": 0}, "cap must be a number above 0"),
        ("rq", {"reorder_point": 1, "quantity": 0}, "quantity must be a number above 0, got 0"),
        ("rq", {"reorder_point": np.inf, "quantity": 1}, "reorder_point must be a number, got inf"),
    ],
)
def test_parameters_out_of_range_are_refused(name, options, message):
    with pytest.raises(FractileError, match=message):
        fr.make_policy(name, **options)


def test_both_faults_are_said():
    with pytest.raises(FractileError, match=r"(?s)order_up_to.*cap"):
        fr.make_policy("ss", reorder_point=5, order_up_to=4, cap=-1)
