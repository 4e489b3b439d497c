"""Networks: transitions worked by hand, special cases that have to agree, and what holds for every one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import fractile as fr
from fractile import InventoryState
from fractile.envs.networks import (
    OUTSIDE,
    Link,
    Network,
    network_step,
)
from fractile.envs.networks.network import ration

CHAIN = Network(("warehouse", "store"), (Link(OUTSIDE, 0, 1), Link(0, 1, 1)), holding_cost=np.array([0.5, 1.0]))
FAN = fr.networks.distribution(2, warehouse_lead_time=1, store_lead_time=0, unmet_demand="lost")


def state(net, *pipeline):
    return InventoryState(np.array([net], dtype=float), np.array([[row] for row in pipeline], dtype=float))


def moved(network, before, order, demand):
    after, out = network_step(before, np.array([order], dtype=float), np.array([demand], dtype=float), network)
    slots = [row.tolist() for row in after.pipeline[:, 0]]
    return after.net_inventory[0].tolist(), slots, out.order[0].tolist(), out.cost[0].tolist()


# network, state, order by link, demand | net inventory, pipeline, shipped, cost by location
ROWS = [
    # 3 on hand + 1 due cover 4 of 9; store 4 + 2 − 8 = −2. cost 0.5·0; 9·2
    (CHAIN, state([3, 4], [1, 2]), [5, 9], [0, 8], [0, -2], [[5, 4]], [5, 4], [0.0, 18.0]),
    # what the store asks for is there: 10 + 1 − 6 = 5 stay. cost 0.5·5; 1·3
    (CHAIN, state([10, 4], [1, 2]), [0, 6], [0, 3], [5, 3], [[0, 6]], [0, 6], [2.5, 3.0]),
    # nothing is there to ship. store −3 + 0 − 2. cost 0; 9·5
    (CHAIN, state([0, -3], [0, 0]), [7, 6], [0, 2], [0, -5], [[7, 0]], [7, 0], [0.0, 45.0]),
    # 6 for two stores that ask for 8 and 4: 4 and 2, there at once. cost 0; 1·1; 9·1
    (FAN, state([6, 0, 0], [0, 0, 0]), [3, 8, 4], [0, 3, 3], [0, 1, 0], [[3, 0, 0]], [3, 4, 2], [0.0, 1.0, 9.0]),
    # an arrival from outside can be shipped on in its own period: 2 + 5 due. cost 0.5·1; 1·2; 1·1
    (FAN, state([2, 0, 0], [5, 0, 0]), [0, 4, 2], [0, 2, 1], [1, 2, 1], [[0, 0, 0]], [0, 4, 2], [0.5, 2.0, 1.0]),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_worked_transitions(row):
    network, before, order, demand, net, pipeline, shipped, cost = row
    assert moved(network, before, order, demand) == (net, pipeline, shipped, cost)


def test_dual_sourcing_step_of_gijsbrechts():
    """State (8, 3, 1), regular 2, expedited 1, demand 4: next (8, 1, 2), cost 330 (invman's worked step)."""
    network = fr.networks.dual_sourcing(regular_lead_time=3)
    net, pipeline, _, cost = moved(network, state([0], [8], [3], [1]), [2, 1], [4])
    assert (net[0] + pipeline[0][0], pipeline[1][0], pipeline[2][0]) == (8, 1, 2)
    assert cost == [330.0]


def test_transshipment_moves_stock_before_demand():
    network = fr.networks.distribution(2, transshipment_cost=0.25, store_lead_time=1, unmet_demand="lost")
    links = [(link.source, link.destination) for link in network.links]
    order = np.zeros(len(links))
    order[links.index((1, 2))] = 3.0
    before = InventoryState(np.array([[0.0, 5.0, 0.0]]), np.zeros((3, 1, 3)))
    after, out = network_step(before, order[None], np.array([[0.0, 1.0, 3.0]]), network)
    assert after.net_inventory.tolist() == [[0.0, 1.0, 0.0]]
    assert out.sales.tolist() == [[0.0, 1.0, 3.0]]
    assert out.cost.tolist() == [[0.0, 1.0, 0.75]]  # 1·1 on hand; 3 units at 0.25


def test_one_link_from_outside_is_the_single_location():
    network = Network(
        ("shop",), (Link(OUTSIDE, 0, 2, unit_cost=1.5, fixed_order_cost=4.0),), stockout_cost=4.0, unmet_demand=0.5
    )
    params = fr.ItemParams(lead_time=2, unit_cost=1.5, fixed_order_cost=4.0, stockout_cost=4.0, unmet_demand=0.5)
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=1, paths=20, periods=30, span=3)
    start = InventoryState(np.full((20, 1), 8.0), np.full((2, 20, 1), 5.0))
    policy = fr.make_policy("base_stock", level=17)
    one, other = (fr.simulate(policy, scenario, p, initial_state=start) for p in (network, params))
    for name in ("order", "received", "sales", "shortfall", "on_hand", "cost", "ordering"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_two_items_with_two_suppliers_each_do_not_meet():
    rng = np.random.default_rng(0)
    both, alone = fr.networks.dual_sourcing(items=2), fr.networks.dual_sourcing()
    before = InventoryState(rng.integers(-3, 9, (5, 2)) * 1.0, rng.integers(0, 5, (2, 5, 2)) * 1.0)
    order, demand = rng.integers(0, 5, (5, 4)) * 1.0, rng.integers(0, 5, (5, 2)) * 1.0
    whole, _ = network_step(before, order, demand, both)
    for i in range(2):
        part = InventoryState(before.net_inventory[:, [i]], before.pipeline[:, :, [i]])
        got, _ = network_step(part, order[:, [i, 2 + i]], demand[:, [i]], alone)
        np.testing.assert_array_equal(got.net_inventory, whole.net_inventory[:, [i]])
        np.testing.assert_array_equal(got.pipeline, whole.pipeline[:, :, [i]])


@st.composite
def networks(draw):
    shape = draw(st.sampled_from(["serial", "fan", "many"]))
    unmet = draw(st.sampled_from(["lost", "backorder", 0.5]))
    whole = draw(st.booleans())
    if shape == "serial":
        return fr.networks.serial((2, 0, 1), (0.1, 0.5, 1.0), 9.0, unmet_demand=unmet, whole_units=whole)
    if shape == "fan":
        return fr.networks.distribution(3, unmet_demand=unmet, whole_units=whole)
    return fr.networks.distribution(2, warehouses=2, transshipment_cost=1.0, unmet_demand=unmet, whole_units=whole)


@st.composite
def runs(draw):
    """A network, orders and demand for a few periods of three paths."""
    network, periods = draw(networks()), 6
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    orders = rng.integers(0, 12, (periods, 3, len(network.links))) * 1.0
    demand = network.place(rng.integers(0, 9, (3, periods, len(network.demand_at))) * 1.0)
    return network, orders, demand


class Plays:
    """Orders what was written down."""

    def __init__(self, orders):
        self.orders = orders

    def order(self, obs):
        return self.orders[obs.period]


@given(runs())
@settings(max_examples=60, deadline=None)
def test_units_are_conserved_from_order_to_sale(run):
    network, orders, demand = run
    start = InventoryState(np.full((3, network.locations), 4.0), np.zeros((network.slots, 3, network.locations)))
    out = fr.simulate(Plays(orders), fr.Scenario(demand), network, initial_state=start)
    outside = network.source == OUTSIDE
    for path in range(3):
        bought = out.order[path][:, outside].sum()
        # Sold at once, sold late to those who waited, on hand, or still under way.
        lost = (network.lost_share * np.minimum(out.shortfall, demand))[path].sum() if network.lost_share == 1 else None
        on_hand, owed = out.on_hand[path, -1].sum(), out.shortfall[path, -1].sum()
        under_way = out.order[path].sum() - out.received[path].sum()
        if network.lost_share == 1:
            left_the_system = demand[path].sum() - lost
        elif network.lost_share == 0:
            left_the_system = demand[path].sum() - owed
        else:
            continue
        total = 4.0 * network.locations + bought
        np.testing.assert_allclose(total, left_the_system + on_hand + under_way, atol=1e-9)


@given(runs())
@settings(max_examples=40, deadline=None)
def test_rationing_ships_all_that_is_asked_or_all_there_is(run):
    network, orders, _ = run
    available = np.random.default_rng(0).integers(0, 15, (3, network.locations)) * 1.0
    shipped = ration(orders[0], available, network)
    asked = orders[0] @ network.out_of
    np.testing.assert_allclose(shipped @ network.out_of, np.minimum(asked, available), atol=1e-9)
    assert (shipped <= orders[0] + 1e-9).all()
    np.testing.assert_array_equal(shipped[:, network.source == OUTSIDE], orders[0][:, network.source == OUTSIDE])
    if network.whole_units:
        np.testing.assert_array_equal(shipped, np.rint(shipped))


@given(runs())
@settings(max_examples=25, deadline=None)
def test_torch_gives_what_numpy_gives(run):
    network, orders, demand = run
    before = InventoryState(np.full((3, network.locations), 4.0), np.ones((network.slots, 3, network.locations)))
    expected = network_step(before, orders[0], demand[:, 0], network)
    tensors = InventoryState(*map(torch.as_tensor, before))
    got = network_step(tensors, torch.as_tensor(orders[0]), torch.as_tensor(demand[:, 0]), network)
    for a, b in zip((*got[0], *got[1]), (*expected[0], *expected[1]), strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=0, atol=1e-12)


def test_gradients_through_a_chain():
    make = {"dtype": torch.float64, "requires_grad": True}
    orders = torch.tensor([[[3.3, 2.1]], [[4.2, 6.7]], [[1.4, 0.6]]], **make)
    demand = torch.tensor([[0.0, 4.6]], dtype=torch.float64)

    def cost(orders):
        now, total = InventoryState(torch.tensor([[2.5, 3.1]]).double(), torch.tensor([[[1.2, 0.7]]]).double()), 0.0
        for order in orders:
            now, out = network_step(now, order, demand, CHAIN)
            total = total + out.cost.sum()
        return total

    assert torch.autograd.gradcheck(cost, (orders,), eps=1e-6)


BAD = [
    ({"links": ()}, "at least one Link"),
    ({"links": (Link(5, 0),)}, r"links\[0\].source must be OUTSIDE or a location from 0 to 1, got 5"),
    ({"links": (Link(0, 0),)}, r"links\[0\].destination must be another location"),
    ({"links": (Link(OUTSIDE, 0, -1),)}, r"links\[0\].lead_time must be an integer >= 0, got -1"),
    ({"links": (Link(OUTSIDE, 0, unit_cost=-1.0),)}, r"links\[0\].unit_cost must be a number >= 0"),
    ({"holding_cost": -1.0}, "holding_cost must be a number >= 0"),
    ({"unmet_demand": 2.0}, "unmet_demand"),
    ({"transit_cost": -1.0}, "transit_cost must be >= 0"),
    ({"demand_at": (7,)}, "demand_at must hold locations from 0 to 1, got 7"),
]


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_bad_networks_give_clear_errors(changed, message):
    with pytest.raises(fr.FractileError, match=message):
        Network(**{"names": ("a", "b"), "links": (Link(OUTSIDE, 0, 1), Link(0, 1, 1)), **changed})


def test_scenarios_need_demand_for_every_location():
    with pytest.raises(fr.FractileError, match=r"network\.place"):
        fr.simulate(Plays(np.zeros((2, 1, 2))), fr.Scenario(np.ones((1, 2, 1))), CHAIN)
