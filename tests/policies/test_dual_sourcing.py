"""Policies for two suppliers: what they order, by hand and on batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fractile as fr
from fractile import FractileError, Observation
from fractile.envs.core.types import ItemParams
from fractile.policies.dual_sourcing import CappedDualIndex, DualIndex, SingleIndex, TailoredBaseSurge
from fractile.policies.exact import best_dual_sourcing

POLICIES = {
    "single_index": SingleIndex([9.0, 5.0], [6.0, 4.0]),
    "dual_index": DualIndex([9.0, 5.0], [4.0, 2.0]),
    "capped_dual_index": CappedDualIndex([9.0, 5.0], 3.0, [2.0, np.inf]),
    "tailored_base_surge": TailoredBaseSurge([1.0, 2.0], 4.0),
}
NETWORK = fr.networks.dual_sourcing(regular_lead_time=3, expedited_lead_time=1, items=2)


def observed(net, *pipeline, network=None):
    """One item: net inventory, and what arrives now, in one period, in two …"""
    slots = np.array(pipeline, dtype=float)[:, None, None]
    return Observation(
        0, np.array([[float(net)]]), slots, network or fr.networks.dual_sourcing(regular_lead_time=len(pipeline))
    )


def test_the_single_index_looks_at_all_that_is_under_way():
    # Position 1 + 1 + 2 = 4: two are missing to 6 and ordered fast, then three more to 9.
    np.testing.assert_array_equal(SingleIndex(9, 6).order(observed(1, 1, 2)), [[3.0, 2.0]])
    np.testing.assert_array_equal(SingleIndex(9, 6).order(observed(8, 1, 2)), [[0.0, 0.0]])


def test_the_dual_index_looks_at_what_comes_in_time():
    # Expedited position 1 + 1 = 2, so two go fast; regular position 4 + 2 = 6, so three go slow.
    np.testing.assert_array_equal(DualIndex(9, 4).order(observed(1, 1, 2)), [[3.0, 2.0]])
    # Nothing that comes later keeps the fast supplier idle.
    np.testing.assert_array_equal(DualIndex(9, 4).order(observed(1, 0, 7)), [[0.0, 3.0]])


def test_an_expedited_order_that_takes_a_period_waits_for_what_is_due_then():
    network = fr.networks.dual_sourcing(regular_lead_time=3, expedited_lead_time=1)
    np.testing.assert_array_equal(DualIndex(9, 5).order(observed(1, 1, 2, 3, network=network)), [[1.0, 1.0]])


def test_the_cap_binds_on_regular_orders_alone():
    np.testing.assert_array_equal(CappedDualIndex(9, 4, 2).order(observed(-3, 0, 0)), [[2.0, 7.0]])
    np.testing.assert_array_equal(CappedDualIndex(9, 4, np.inf).order(observed(-3, 0, 0)), [[5.0, 7.0]])


def test_the_base_comes_in_any_case():
    np.testing.assert_array_equal(TailoredBaseSurge(2, 4).order(observed(50, 0)), [[2.0, 0.0]])
    np.testing.assert_array_equal(TailoredBaseSurge(2, 4).order(observed(1, 2)), [[2.0, 1.0]])


@pytest.mark.parametrize("name", POLICIES)
def test_policies_conform(name):
    scenario = fr.draw_scenario(fr.Poisson(np.array([2.0, 1.0])), 0, 6, 16)
    fr.check_policy(POLICIES[name], scenario, NETWORK)


@pytest.mark.parametrize("name", POLICIES)
def test_torch_orders_what_numpy_orders(name):
    rng = np.random.default_rng(0)
    net, pipeline = rng.normal(3, 4, (50, 2)), rng.gamma(1.0, 1.0, (3, 50, 2))
    plain = POLICIES[name].order(Observation(0, net, pipeline, NETWORK))
    tensors = POLICIES[name].order(Observation(0, torch.as_tensor(net), torch.as_tensor(pipeline), NETWORK))
    assert plain.shape == (50, 4)
    assert tensors.dtype == torch.float64
    np.testing.assert_allclose(tensors.numpy(), plain, atol=1e-12)


@pytest.mark.parametrize("name", POLICIES)
def test_items_are_on_their_own(name):
    options = {k: np.broadcast_to(v, 2) for k, v in vars(POLICIES[name]).items()}
    rng = np.random.default_rng(1)
    net, pipeline = rng.normal(3, 4, (20, 2)), rng.gamma(1.0, 1.0, (3, 20, 2))
    both = POLICIES[name].order(Observation(0, net, pipeline, NETWORK))
    single = fr.networks.dual_sourcing(regular_lead_time=3, expedited_lead_time=1)
    for item in (0, 1):
        alone = fr.make_policy(name, **{k: v[item] for k, v in options.items()})
        order = alone.order(Observation(0, net[:, [item]], pipeline[:, :, [item]], single))
        np.testing.assert_allclose(both[:, [item, 2 + item]], order)


@pytest.mark.parametrize("name", POLICIES)
def test_simulations_start_at_the_target(name):
    scenario = fr.draw_scenario(fr.Poisson(np.array([2.0, 1.0])), 0, 4, 8)
    target = POLICIES[name].target(Observation(0, np.zeros((4, 2)), np.zeros((3, 4, 2)), NETWORK))
    run = fr.simulate(POLICIES[name], scenario, NETWORK)
    left = np.broadcast_to(target, (4, 2)) - scenario.demand[:, 0]
    np.testing.assert_allclose(run.on_hand[:, 0], np.maximum(left, 0))


@pytest.mark.parametrize(
    "params",
    [ItemParams(lead_time=2), fr.networks.serial((1, 1), (0.5, 1.0), 9.0), fr.networks.distribution(2)],
    ids=lambda p: type(p).__name__,
)
@pytest.mark.parametrize("name", POLICIES)
def test_other_systems_are_refused(name, params):
    columns = getattr(params, "locations", 2)
    obs = Observation(0, np.zeros((1, columns)), np.zeros((3, 1, columns)), params)
    with pytest.raises(FractileError, match="a slow and a fast supplier for every item"):
        POLICIES[name].order(obs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SingleIndex(np.nan, 3), "regular_level must be a finite number, got nan"),
        (lambda: DualIndex(5, np.inf), "expedited_level must be a finite number, got inf"),
        (lambda: CappedDualIndex(5, 3, -1), "cap must be a number >= 0, got -1"),
        (lambda: TailoredBaseSurge(-2, np.nan), "quantity must be a number >= 0, got -2\nexpedited_level must be"),
    ],
)
def test_parameters_out_of_range_are_named(make, message):
    with pytest.raises(FractileError, match=message):
        make()


def test_the_best_policies_of_two_fast_suppliers_know_their_lead_time():
    # The fast supplier takes a period: its level covers two.
    network = fr.networks.dual_sourcing(
        regular_lead_time=2,
        expedited_lead_time=1,
        regular_cost=0.0,
        expedited_cost=1.0,
        holding_cost=1.0,
        stockout_cost=9.0,
    )
    demand = fr.demand.Discrete.uniform(3)
    optimal = fr.exact.optimal_policy(demand, network).average_cost
    costs = [best_dual_sourcing(kind, demand, network).cost for kind in (SingleIndex, DualIndex, CappedDualIndex)]
    assert optimal - 1e-6 < costs[2] <= costs[1] + 1e-9
    assert costs[1] < costs[0] + 1e-9
    assert costs[2] < 1.01 * optimal
