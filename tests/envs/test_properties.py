"""What holds for every state, order and demand; and gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from fractile import FractileError, InventoryState, check_dynamics, step
from fractile.envs.core.dynamics import feasible_order
from fractile.envs.core.types import ItemParams
from fractile.forecasters.data.rules import no_order_possible

quick = settings(max_examples=60, deadline=None)
PATHS, ITEMS, SLOTS = 3, 4, 2
UNMET = st.sampled_from(["lost", "backorder", 0.3, np.array([0.0, 0.25, 0.9, 1.0])])


def units(shape: tuple[int, ...], low: float = 0.0) -> st.SearchStrategy:
    return hnp.arrays(np.float64, shape, elements=st.floats(low, 30.0, allow_nan=False, width=32))


@st.composite
def instances(draw):
    """A state, order, demand and parameters of three paths and four items with mixed lead times."""
    unmet = draw(UNMET)
    low = 0.0 if isinstance(unmet, str) and unmet == "lost" else -20.0
    state = InventoryState(draw(units((PATHS, ITEMS), low)), draw(units((SLOTS, PATHS, ITEMS))))
    params = ItemParams(
        lead_time=np.array(draw(st.lists(st.integers(0, SLOTS), min_size=ITEMS, max_size=ITEMS))),
        holding_cost=np.array([1.0, 0.5, 2.0, 1.0]),
        stockout_cost=9.0,
        fixed_order_cost=draw(st.sampled_from([0.0, 5.0])),
        price=draw(st.sampled_from([0.0, 3.0])),
        unmet_demand=unmet,
        pack_size=draw(st.sampled_from([None, 1.0, 6.0])),
    )
    return state, draw(units((PATHS, ITEMS))), draw(units((PATHS, ITEMS))), params


def every(result) -> list[np.ndarray]:
    return [np.asarray(x) for part in result for x in part]


@given(instances())
@quick
def test_units_are_conserved(instance):
    state, order, demand, params = instance
    after, out = step(state, order, demand, params)
    lost = params.lost_share * (demand - out.sales)
    closing = state.net_inventory + out.received - demand + lost
    np.testing.assert_allclose(after.net_inventory, closing, atol=1e-9)
    under_way = state.pipeline.sum(0) + out.order - out.received
    np.testing.assert_allclose(after.pipeline.sum(0), under_way, atol=1e-9)


@given(instances())
@quick
def test_lost_sales_opening_and_received_are_sales_and_closing(instance):
    state, order, demand, params = instance
    if not isinstance(params.unmet_demand, str) or params.unmet_demand != "lost":
        return
    after, out = step(state, order, demand, params)
    np.testing.assert_allclose(state.net_inventory + out.received, out.sales + after.net_inventory, atol=1e-9)
    np.testing.assert_allclose(out.sales + out.shortfall, demand, atol=1e-9)


@given(instances())
@quick
def test_backorders_the_position_moves_by_order_less_demand(instance):
    state, order, demand, params = instance
    if not isinstance(params.unmet_demand, str) or params.unmet_demand != "backorder":
        return
    after, out = step(state, order, demand, params)
    before = state.net_inventory + state.pipeline.sum(0)
    np.testing.assert_allclose(after.net_inventory + after.pipeline.sum(0), before + out.order - demand, atol=1e-9)


@given(instances())
@quick
def test_nothing_is_negative_or_both_on_hand_and_short(instance):
    _, out = step(*instance)
    for name in ("order", "received", "sales", "shortfall", "on_hand"):
        assert getattr(out, name).min() >= 0.0
    assert (np.minimum(out.on_hand, out.shortfall) == 0.0).all()
    assert (out.sales <= instance[2]).all()


@given(instances())
@quick
def test_a_batch_is_its_episodes_one_by_one(instance):
    state, order, demand, params = instance
    after, out = step(state, order, demand, params)
    for path in range(PATHS):
        for item in range(ITEMS):
            p, i = slice(path, path + 1), slice(item, item + 1)
            one = InventoryState(state.net_inventory[p, i], state.pipeline[:, p, i])
            got, alone = step(one, order[p, i], demand[p, i], params.select(np.array([item])))
            np.testing.assert_array_equal(got.net_inventory, after.net_inventory[p, i])
            np.testing.assert_array_equal(got.pipeline, after.pipeline[:, p, i])
            for a, b in zip(alone, out, strict=True):
                np.testing.assert_array_equal(a, b[p, i])


@given(instances())
@quick
def test_torch_gives_what_numpy_gives(instance):
    state, order, demand, params = instance
    tensors = InventoryState(*(torch.as_tensor(x) for x in state))
    got = step(tensors, torch.as_tensor(order), torch.as_tensor(demand), params)
    for a, b in zip(every(got), every(step(*instance)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@given(instances(), st.permutations(range(PATHS)), st.permutations(range(ITEMS)))
@quick
def test_permuting_paths_and_items_permutes_results(instance, paths, items):
    state, order, demand, params = instance
    paths, items = np.array(paths), np.array(items)
    mixed = InventoryState(state.net_inventory[paths][:, items], state.pipeline[:, paths][:, :, items])
    got = step(mixed, order[paths][:, items], demand[paths][:, items], params.select(items))
    for a, b in zip(every(got), every(step(*instance)), strict=True):
        np.testing.assert_allclose(a, b[..., paths, :][..., items], rtol=0, atol=1e-12)


@given(
    st.floats(-5.0, 60.0, width=32),
    st.sampled_from([None, 1.0, 4.0, 7.0]),
    st.sampled_from([None, 3.0, 9.0]),
    st.sampled_from([None, 10.0, 23.0]),
)
@quick
def test_no_feasible_order_is_nearer(asked, pack, least, most):
    assume(not no_order_possible(least, most, pack))
    params = ItemParams(pack_size=pack, minimum_order=least, maximum_order=most)
    placed = feasible_order(np.array([[asked]]), params).item()
    # With packs the feasible orders can be listed; without, the ends of the range and the order itself can.
    options = np.arange(0, 62) * pack if pack else np.array([least or 0.0, most or 1e9, asked])
    allowed = (options >= (least or 0.0)) & (options <= (most or 1e9))
    options = np.append(options[allowed], 0.0)
    distance = np.abs(options - max(asked, 0.0))
    assert placed == options[distance == distance.min()].max()


def smooth(params: ItemParams):
    """The cost of three periods as a function of stock, pipeline and orders."""
    demand = torch.tensor([[[3.0, 4.1]], [[2.2, 6.3]], [[5.4, 1.5]]], dtype=torch.float64)

    def cost(net, pipeline, orders):
        state, total = InventoryState(net, pipeline), 0.0
        for t in range(3):
            state, out = step(state, orders[t], demand[t], params)
            total = total + out.cost.sum()
        return total

    return cost


@pytest.mark.parametrize("unmet", ["lost", "backorder", 0.4])
@pytest.mark.parametrize("lead_time", [0, 1, np.array([1, 0])])
def test_gradients_are_right_away_from_kinks(unmet, lead_time):
    params = ItemParams(lead_time=lead_time, unmet_demand=unmet, unit_cost=0.7, price=2.0, holding_cost=1.3)
    make = {"dtype": torch.float64, "requires_grad": True}
    net = torch.tensor([[1.17, 2.31]], **make)
    pipeline = torch.tensor([[[0.61, 0.83]]][: params.slots], **make).reshape(params.slots, 1, 2)
    orders = torch.tensor([[[4.03, 1.19]], [[0.71, 3.07]], [[2.29, 2.43]]], **make)
    assert torch.autograd.gradcheck(smooth(params), (net, pipeline.detach().requires_grad_(), orders), eps=1e-6)


def test_gradients_pass_straight_through_packs():
    order = torch.tensor([[5.0]], dtype=torch.float64, requires_grad=True)
    placed = feasible_order(order, ItemParams(pack_size=4.0, minimum_order=2.0, maximum_order=20.0))
    placed.sum().backward()
    assert placed.item() == 4.0
    assert order.grad.item() == 1.0


def test_our_dynamics_conform():
    check_dynamics()


def made_up_unit(state, order, demand, params, arrivals=None):
    after, out = step(state, order, demand, params, arrivals)
    return after._replace(net_inventory=after.net_inventory + 1.0), out


def late(state, order, demand, params, arrivals=None):
    after, out = step(state, order, demand, params, arrivals)
    return after._replace(pipeline=state.pipeline), out


def scribbles(state, order, demand, params, arrivals=None):
    result = step(state, order, demand, params, arrivals)
    order += 0.0
    state.net_inventory[...] = 0.0
    return result


def averages(state, order, demand, params, arrivals=None):
    return step(state, 0.0 * order + order.mean(), demand, params, arrivals)


def wrong_sign(state, order, demand, params, arrivals=None):
    after, out = step(state, order, demand, params, arrivals)
    return after, out._replace(cost=-out.cost)


def ignores_rules(state, order, demand, params, arrivals=None):
    free = replace(params, pack_size=None, minimum_order=None, maximum_order=None)
    return step(state, order, demand, free, arrivals)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (made_up_unit, "closing = opening"),
        (late, "the pipeline moves up"),
        (scribbles, "no mutation"),
        (averages, "placed as it is"),
        (wrong_sign, "cost ="),
        (ignores_rules, "whole packs"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_broken_dynamics_are_found(broken, check):
    with pytest.raises(FractileError, match=check):
        check_dynamics(broken)


def test_own_parameters_can_be_checked():
    check_dynamics(step, {"mine": ItemParams(lead_time=2, unmet_demand=0.5)})
