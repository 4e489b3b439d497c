"""Echelon base-stock, and base-stock with estimated waste: what they order, by hand and on batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fractile as fr
from fractile import FractileError, Observation
from fractile.envs.core.types import ItemParams
from fractile.policies.base_stock import BaseStock, EchelonBaseStock, EstimatedWaste, estimated_waste

NETWORKS = {
    "serial": (fr.networks.serial((2, 1, 1), (0.2, 0.5, 1.0), 9.0), [30.0, 20.0, 12.0]),
    "distribution": (fr.networks.distribution(2, whole_units=True), [40.0, 12.0, 9.0]),
    "transshipment": (fr.networks.distribution(2, warehouses=2, transshipment_cost=0.5), [50.0, 50.0, 12.0, 9.0]),
}


def test_an_echelon_is_a_location_and_all_it_supplies():
    chain = fr.networks.serial((1, 1), (0.5, 1.0), 9.0)
    obs = Observation(0, np.array([[6.0, -2.0]]), np.array([[[4.0, 3.0]]]), chain)
    # Upstream: 20 − (6 + 4 − 2 + 3); downstream: 10 − (−2 + 3), more than there is to ship.
    np.testing.assert_array_equal(EchelonBaseStock([20.0, 10.0]).order(obs), [[9.0, 9.0]])
    np.testing.assert_array_equal(EchelonBaseStock([5.0, 1.0]).order(obs), [[0.0, 0.0]])


def test_stores_order_for_themselves_and_share_their_warehouses():
    network = fr.networks.distribution(2, warehouses=2, transshipment_cost=1.0)
    obs = Observation(0, np.array([[1.0, 2.0, 3.0, 4.0]]), np.zeros((3, 1, 4)), network)
    order = EchelonBaseStock([20.0, 30.0, 7.0, 5.0]).order(obs)[0]
    np.testing.assert_array_equal(order, [20 - 8, 30 - 9, 2.0, 0.5, 2.0, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("name", NETWORKS)
def test_echelon_base_stock_conforms(name):
    network, levels = NETWORKS[name]
    stores = len(np.asarray(network.demand_at))
    demand = fr.Poisson(np.full(stores, 2.0)).sample(np.random.default_rng(0), 6, 16)
    fr.check_policy(fr.make_policy("echelon_base_stock", levels=levels), fr.Scenario(network.place(demand)), network)


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_orders_what_numpy_orders(name):
    network, levels = NETWORKS[name]
    rng = np.random.default_rng(0)
    net = rng.normal(5, 5, (40, network.locations))
    pipeline = rng.gamma(1.0, 1.0, (network.slots, 40, network.locations))
    plain = EchelonBaseStock(levels).order(Observation(0, net, pipeline, network))
    tensors = EchelonBaseStock(levels).order(Observation(0, torch.as_tensor(net), torch.as_tensor(pipeline), network))
    np.testing.assert_allclose(tensors.numpy(), plain, atol=1e-12)


def test_the_target_puts_every_echelon_at_its_level():
    network, levels = NETWORKS["serial"]
    obs = Observation(0, np.zeros((1, 3)), np.zeros((2, 1, 3)), network)
    target = EchelonBaseStock(levels).target(obs)
    np.testing.assert_array_equal(target, [[10.0, 8.0, 12.0]])
    np.testing.assert_array_equal(EchelonBaseStock(levels).order(replace(obs, net_inventory=target)), 0.0)


def test_echelon_base_stock_refuses():
    with pytest.raises(FractileError, match="levels must be finite numbers"):
        EchelonBaseStock([3.0, np.nan])
    network, _ = NETWORKS["serial"]
    obs = Observation(0, np.zeros((1, 3)), np.zeros((2, 1, 3)), network)
    with pytest.raises(FractileError, match="levels must be one number a location, 3, got 2"):
        EchelonBaseStock([3.0, 2.0]).order(obs)
    with pytest.raises(FractileError, match="echelon_base_stock is for a network"):
        EchelonBaseStock(3.0).order(replace(obs, params=ItemParams(lead_time=2)))


def perishing(stock, pipeline, params, demand=4.0):
    """One item with units by remaining life and on order, and the forecast of its demand."""
    stock, pipeline = (np.array(part, dtype=float)[:, None, None] for part in (stock, pipeline))
    forecast = fr.Poisson(demand).forecast(4)
    return Observation(0, stock.sum(0), pipeline, params, forecast, stock)


def test_estimated_waste_by_hand():
    # L = 1: six units are in their last period, four are sold from them, two perish before the order comes.
    params = ItemParams(lead_time=1, shelf_life=2)
    obs = perishing([6, 1], [0], params)
    assert estimated_waste(obs).item() == pytest.approx(2.0)
    assert EstimatedWaste(10).order(obs).item() == pytest.approx(10 - 7 + 2)
    # LIFO sells the fresh one first, and only three of the old ones.
    assert estimated_waste(replace(obs, params=replace(params, issuing="lifo"))).item() == pytest.approx(3.0)
    # What arrives now is issued first under LIFO.
    late = perishing([6, 1], [2], replace(params, issuing="lifo"))
    assert estimated_waste(late).item() == pytest.approx(5.0)


def test_estimated_waste_looks_as_far_as_the_order_takes():
    # L = 2: 6 − 4 perish in the first period, 9 − 4 in the second.
    params = ItemParams(lead_time=2, shelf_life=3)
    assert estimated_waste(perishing([6, 9, 1], [0, 0], params)).item() == pytest.approx(2 + 5)
    # A review period more, one period further: 1 < 4 is sold.
    later = replace(params, review_period=2)
    assert estimated_waste(perishing([6, 9, 7], [0, 0], later)).item() == pytest.approx(2 + 5 + 3)


def test_without_waste_in_time_it_is_base_stock():
    params = ItemParams(lead_time=0, shelf_life=3)
    obs = perishing([6, 9, 1], [], params)
    np.testing.assert_array_equal(EstimatedWaste(30).order(obs), BaseStock(30).order(obs))


@pytest.mark.parametrize("issuing", ["fifo", "lifo"])
def test_estimated_waste_conforms(issuing):
    params = ItemParams(
        lead_time=np.array([1, 2, 0]), shelf_life=np.array([2, 3, 1]), issuing=issuing, unmet_demand=0.5, pack_size=1.0
    )
    demand = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)
    policy = fr.make_policy("estimated_waste", level=[10, 50, 3])
    fr.check_policy(policy, fr.draw_scenario(demand, 0, 6, 16, 3), params)


def test_estimated_waste_in_torch():
    params = ItemParams(lead_time=2, shelf_life=3, issuing="lifo")
    rng = np.random.default_rng(0)
    stock, pipeline = rng.gamma(2.0, 2.0, (3, 20, 1)), rng.gamma(2.0, 2.0, (2, 20, 1))
    forecast = fr.Poisson(4.0).forecast(3)
    obs = Observation(0, stock.sum(0), pipeline, params, forecast, stock)
    as_torch = [torch.as_tensor(part) for part in (obs.net_inventory, pipeline, stock)]
    tensors = replace(obs, net_inventory=as_torch[0], pipeline=as_torch[1], stock=as_torch[2])
    np.testing.assert_allclose(EstimatedWaste(20).order(tensors).numpy(), EstimatedWaste(20).order(obs), atol=1e-12)


def test_estimated_waste_refuses():
    with pytest.raises(FractileError, match="level must be a number >= 0, got -1"):
        EstimatedWaste(-1)
    obs = perishing([6, 1], [0], ItemParams(lead_time=1, shelf_life=2))
    with pytest.raises(FractileError, match="give the items a shelf_life"):
        EstimatedWaste(9).order(replace(obs, stock=None))
    far = perishing([6, 1], [0] * 9, ItemParams(lead_time=9, shelf_life=2))
    with pytest.raises(FractileError, match="the forecast must reach L"):
        EstimatedWaste(9).order(far)
