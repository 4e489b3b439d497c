"""Loose slots are the pipeline they stand for, and nothing is written into what was passed in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import fractile as fr
from fractile import InventoryState
from fractile.envs.core import backend
from fractile.envs.core.backend import LooseSlots, move_up
from fractile.envs.core.types import ItemParams
from fractile.envs.gym.observation import fit_slots

PARAMS = ItemParams(lead_time=3, stockout_cost=4.0, unmet_demand=0.5, price=1.5)


@pytest.fixture
def always_loose(monkeypatch):
    monkeypatch.setattr(backend, "WORTH_IT", 0)


def rolled(state, orders, demand):
    """States and outcomes of some periods, every pipeline as one array."""
    rows = []
    for order, units in zip(orders, demand, strict=True):
        state, out = fr.step(state, order, units, PARAMS)
        rows += [plain(state.net_inventory), plain(state.pipeline), *map(plain, out)]
    return rows


def plain(x):
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def inputs():
    rng = np.random.default_rng(0)
    state = InventoryState(rng.integers(-3, 9, (4, 2)) * 1.0, rng.integers(0, 5, (3, 4, 2)) * 1.0)
    return state, rng.integers(0, 9, (7, 4, 2)) * 1.0, rng.integers(0, 9, (7, 4, 2)) * 1.0


def test_periods_are_the_same_loose_or_not(monkeypatch):
    state, orders, demand = inputs()
    kept = [np.array(x) for x in (*state, orders, demand)]
    plain = rolled(state, orders, demand)
    monkeypatch.setattr(backend, "WORTH_IT", 0)
    for got, expected in zip(rolled(state, orders, demand), plain, strict=True):
        np.testing.assert_array_equal(got, expected)
    for array, before in zip((*state, orders, demand), kept, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.usefixtures("always_loose")
def test_torch_and_its_gradients_are_the_same():
    state, orders, demand = inputs()
    tensors = InventoryState(*map(torch.as_tensor, state))
    got = rolled(tensors, map(torch.as_tensor, orders), map(torch.as_tensor, demand))
    for a, b in zip(got, rolled(state, orders, demand), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    order = torch.as_tensor(orders[0] + 1.0).requires_grad_()
    after, _ = fr.step(tensors, order, torch.as_tensor(demand[0]), PARAMS)
    assert isinstance(after.pipeline, LooseSlots)
    torch.cat([after.pipeline, after.pipeline[:1]]).sum().backward()
    np.testing.assert_array_equal(order.grad, np.ones((4, 2)))


@pytest.mark.usefixtures("always_loose")
def test_an_order_that_is_changed_afterwards_is_not_the_one_that_was_placed():
    state, orders, demand = inputs()
    order = orders[0].copy()
    after, _ = fr.step(state, order, demand[0], PARAMS)
    order[...] = 99.0
    np.testing.assert_array_equal(after.pipeline[-1], orders[0])


@pytest.mark.usefixtures("always_loose")
def test_loose_slots_read_like_an_array():
    state, orders, _ = inputs()
    loose, whole = move_up(state.pipeline, orders[0]), np.concatenate([state.pipeline[1:], orders[:1]])
    assert isinstance(loose, LooseSlots)
    assert (len(loose), loose.shape, loose.dtype, loose.ndim) == (3, whole.shape, whole.dtype, 3)
    np.testing.assert_array_equal(loose, whole)
    np.testing.assert_array_equal(loose[1], whole[1])
    np.testing.assert_array_equal(loose[:, [0, 2]], whole[:, [0, 2]])
    np.testing.assert_array_equal(loose.sum(0), whole.sum(0))
    np.testing.assert_array_equal(loose.sum(1), whole.sum(1))
    np.testing.assert_array_equal(np.concatenate([loose, loose]), np.concatenate([whole, whole]))
    np.testing.assert_array_equal(2.0 * loose - whole, whole)
    np.testing.assert_array_equal(loose * loose, whole * whole)
    np.testing.assert_array_equal(whole + loose, 2 * whole)
    np.testing.assert_array_equal(loose > 2, whole > 2)
    np.testing.assert_array_equal(np.sum(loose, axis=0), whole.sum(0))
    assert loose.sum() == whole.sum()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loose)), whole)
    with pytest.raises(AttributeError):
        _ = loose.no_such_thing


@pytest.mark.usefixtures("always_loose")
def test_a_short_pipeline_is_read_as_a_long_one_and_keeps_its_gradients():
    slots = torch.ones((2, 4, 3), requires_grad=True)
    read = fit_slots(LooseSlots(tuple(slots)), 5, slots[0])
    np.testing.assert_array_equal(read.detach().sum((1, 2)), [12, 12, 0, 0, 0])
    (read[0] - 2 * read[4]).sum().backward()
    np.testing.assert_array_equal(slots.grad.sum((1, 2)), [12, 0])


def test_every_check_passes_with_loose_slots():
    fr.check_dynamics()
    fr.check_policy(fr.make_policy("newsvendor"))
