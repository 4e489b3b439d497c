"""Orders that share a capacity: the projection, its price, and the system around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize

import fractile as fr
from fractile import InventoryState
from fractile.envs.core.types import ItemParams
from fractile.envs.systems import (
    SharedCapacity,
    project_orders,
    shared_capacity_step,
)

ITEMS = 4
lists = st.lists(st.floats(0.0, 20.0, width=32), min_size=ITEMS, max_size=ITEMS)
positive = st.lists(st.floats(0.125, 4.0, width=32), min_size=ITEMS, max_size=ITEMS)


def projected(order, capacity, position=None):
    order = np.array([order], dtype=float)
    return project_orders(order, np.zeros_like(order) if position is None else position, capacity)


@given(lists, positive, positive, st.floats(0.0, 60.0))
@settings(max_examples=200, deadline=None)
def test_the_projection_meets_its_optimality_conditions(order, use, curvature, limit):
    use, curvature, asked = np.array(use), np.array(curvature), np.array(order)
    placed, price = projected(order, SharedCapacity(limit, use, curvature=curvature))
    used = (use * placed[0]).sum()
    assert used <= limit + 1e-6
    assert (placed >= 0).all()
    assert price.item() >= 0
    if price.item() == 0:
        np.testing.assert_array_equal(placed[0], asked)
    else:
        # Complementary slackness, and each item's marginal cost equals the price of what it uses.
        np.testing.assert_allclose(used, limit, atol=1e-5)
        marginal = curvature * (asked - placed[0]) / use
        np.testing.assert_allclose(marginal[placed[0] > 0], price.item(), rtol=1e-6, atol=1e-7)
        assert (marginal[placed[0] == 0] <= price.item() + 1e-6).all()


def test_the_projection_is_what_a_solver_finds():
    asked, use, curvature = np.array([5.0, 9.0, 2.0, 7.0]), np.array([1.0, 2.0, 1.0, 0.5]), np.array([1, 4, 0.5, 2.0])
    placed, price = projected(asked, SharedCapacity(12.0, use, curvature=curvature))
    found = minimize(
        lambda q: (curvature * (q - asked) ** 2 / 2).sum(),
        np.ones(ITEMS),
        bounds=[(0, None)] * ITEMS,
        constraints={"type": "ineq", "fun": lambda q: 12.0 - use @ q},
        tol=1e-12,
    )
    np.testing.assert_allclose(placed[0], found.x, atol=1e-5)
    # The price is what a further unit of capacity saves.
    wider = projected(asked, SharedCapacity(12.001, use, curvature=curvature))[0]
    cost = lambda q: (curvature * (q - asked) ** 2 / 2).sum()  # noqa: E731
    assert (cost(placed[0]) - cost(wider[0])) / 0.001 == pytest.approx(price.item(), rel=1e-3)


def test_storage_counts_what_is_there_and_under_way():
    capacity = SharedCapacity(20.0, limited="storage")
    position = np.array([[4.0, -3.0, 6.0, 0.0]])
    placed, _ = projected([5.0] * 4, capacity, position)
    assert placed.sum() == pytest.approx(10.0)


def test_storage_never_overflows_whatever_demand_does():
    params = ItemParams(lead_time=2, pack_size=1.0, capacity=SharedCapacity(30.0, limited="storage"))
    scenario = fr.draw_scenario(fr.Poisson(np.full(ITEMS, 2.0)), seed=1, paths=30, periods=60, span=3)
    start = InventoryState.empty(30, ITEMS, 2)
    run = fr.simulate(fr.make_policy("base_stock", level=15), scenario, params, initial_state=start)
    assert run.on_hand.sum(2).max() <= 30.0
    assert run.on_hand.sum(2).max() > 20.0


def test_orders_fit_in_packs_and_minimum_orders():
    params = ItemParams(pack_size=4.0, minimum_order=8.0, capacity=SharedCapacity(33.0))
    state = InventoryState.empty(1, ITEMS, 0)
    _, out = shared_capacity_step(state, np.array([[20.0, 13.0, 9.0, 1.0]]), np.zeros((1, ITEMS)), params)
    assert out.order.sum() <= 33.0
    np.testing.assert_array_equal(out.order % 4, 0)
    assert ((out.order == 0) | (out.order >= 8)).all()


def test_a_capacity_that_never_binds_changes_nothing():
    free, tied = ItemParams(lead_time=1), ItemParams(lead_time=1, capacity=SharedCapacity(1e6))
    scenario = fr.draw_scenario(fr.Poisson(np.array([2.0, 7.0])), seed=1, paths=10, periods=30, span=2)
    one, other = (fr.simulate(fr.make_policy("newsvendor"), scenario, params) for params in (free, tied))
    np.testing.assert_array_equal(one.cost, other.cost)
    assert not other.extra["capacity_price"].any()


def test_capacity_that_moves_over_time_is_data():
    params = ItemParams(unmet_demand="backorder", capacity=SharedCapacity(1.0))
    demand, capacity = np.full((2, 3, 2), 4.0), np.array([[8.0, 0.0, 3.0]])
    scenario = fr.Scenario(demand, capacity=capacity)
    run = fr.simulate(
        fr.make_policy("base_stock", level=4), scenario, params, initial_state=InventoryState.empty(2, 2, 0)
    )
    np.testing.assert_allclose(run.order.sum(2), np.broadcast_to([8.0, 0.0, 3.0], (2, 3)))
    assert run.extra["capacity_price"][0, :, 0].tolist() == [0.0, 4.0, 6.5]


def test_torch_gives_what_numpy_gives_and_gradients_are_right():
    use, curvature = np.array([1.0, 2.0, 0.5, 1.0]), np.array([1.0, 3.0, 2.0, 0.7])
    capacity = SharedCapacity(13.0, use, curvature=curvature)
    order = np.array([[6.1, 5.2, 0.3, 8.4], [1.0, 1.0, 1.0, 1.0]])
    expected = project_orders(order, np.zeros_like(order), capacity)
    tensor = torch.as_tensor(order).requires_grad_()
    got = project_orders(tensor, torch.zeros_like(tensor), capacity)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda q: project_orders(q, torch.zeros_like(q), capacity)[0], (tensor,), eps=1e-6)


BAD = [
    ({"limit": -1.0}, "capacity.limit must be finite and >= 0, got -1.0"),
    ({"limit": 5.0, "use": 0.0}, "capacity.use must be finite and > 0"),
    ({"limit": 5.0, "curvature": -1.0}, "capacity.curvature must be finite and > 0"),
    ({"limit": 5.0, "limited": "space"}, "capacity.limited must be 'orders' or 'storage', got 'space'"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_capacities_give_clear_errors(options, message):
    with pytest.raises(fr.FractileError, match=message):
        SharedCapacity(**options)


def test_items_that_share_a_capacity_cannot_be_told_apart():
    with pytest.raises(fr.FractileError, match="simulated together"):
        ItemParams(capacity=SharedCapacity(5.0)).per_path(np.zeros(3, dtype=int))
