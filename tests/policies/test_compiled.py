"""Compiled rollouts: the same numbers and gradients as `simulate` and `step`, and clear errors."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import fractile as fr
from fractile.envs.core.backend import LooseSlots
from fractile.envs.gym.observation import ObservationEncoder
from fractile.policies.compiled import _compiler
from fractile.policies.neural import NeuralPolicy, initial_layers

needs_compiler = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which(_compiler()) is None, reason="there is no C++ compiler"
)
PARAMS = fr.ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)


def poisson(paths, periods, items=1, seed=0):
    return np.random.default_rng(seed).poisson(5.0, (paths, periods, items)).astype(float)


def assert_as_simulated(policy, params, demand, *, warm_up=0, forecast=None, **options):
    """Compare cost and final state with those of a plain simulation of the same paths."""
    forecasts = None if forecast is None else [forecast] * demand.shape[1]
    plain = fr.simulate(policy, fr.Scenario(demand, forecasts), params, warm_up=warm_up)
    cost, state = fr.policies.compile_rollout(policy, params, forecast=forecast, **options)(demand, warm_up=warm_up)
    np.testing.assert_allclose(cost, plain.cost.sum(1), rtol=1e-12, atol=1e-12)
    assert isinstance(cost, np.ndarray)
    return cost, state


@needs_compiler
def test_a_base_stock_policy_costs_what_simulate_says():
    # 700 paths in blocks of 300 overlap; 11 periods behind a warm-up of 3 leave a rest of either phase.
    demand = poisson(700, 14)
    policy = fr.make_policy("base_stock", level=26.0)
    _, state = assert_as_simulated(policy, PARAMS, demand, warm_up=3, chunk=2, block=300)
    by_hand = fr.InventoryState(np.full((700, 1), 26.0), np.zeros((4, 700, 1)))
    for t in range(14):
        order = np.maximum(26.0 - by_hand.net_inventory - by_hand.pipeline.sum(0), 0.0)
        by_hand, _ = fr.step(by_hand, order, demand[:, t], PARAMS)
    np.testing.assert_allclose(state.net_inventory, by_hand.net_inventory, rtol=0, atol=1e-12)
    np.testing.assert_allclose(state.pipeline, by_hand.pipeline, rtol=0, atol=1e-12)


CASES = {
    "capped, two items": (
        fr.make_policy("capped_base_stock", level=np.array([26.0, 20.0]), cap=np.array([6.0, 5.0])),
        replace(PARAMS, unit_cost=0.5, price=np.array([1.0, 2.0])),
    ),
    "constant, packs": (
        fr.make_policy("constant_order", quantity=5.0),
        replace(PARAMS, pack_size=2.0, minimum_order=3.0, fixed_order_cost=2.0),
    ),
    "partial backorders": (fr.make_policy("base_stock", level=30.0), replace(PARAMS, unmet_demand=0.3)),
    "mixed lead times": (fr.make_policy("base_stock", level=20.0), replace(PARAMS, lead_time=np.array([0, 3]))),
    "no lead time": (fr.make_policy("base_stock", level=7.0), replace(PARAMS, lead_time=0, unmet_demand="backorder")),
    "reviews": (fr.make_policy("base_stock", level=35.0), replace(PARAMS, review_period=2)),
    "salvage": (fr.make_policy("base_stock", level=30.0), replace(PARAMS, salvage_value=np.array([0.5, 2.0]))),
    "perishable": (fr.make_policy("base_stock", level=14.0), replace(PARAMS, lead_time=1, shelf_life=3)),
    "shared capacity": (
        fr.make_policy("base_stock", level=26.0),
        replace(PARAMS, capacity=fr.systems.SharedCapacity(limit=9.0)),
    ),
}


@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_every_system_costs_the_same_where_no_chunk_is_filled(case):
    # Nine periods in chunks of forty: what is played is what would be compiled, without the ten seconds.
    policy, params = CASES[case]
    assert_as_simulated(policy, params, poisson(40, 9, 2), chunk=40, block=30)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_every_system_costs_what_simulate_says(case):
    policy, params = CASES[case]
    assert_as_simulated(policy, params, poisson(40, 9, 2), chunk=4)


@pytest.mark.slow
@needs_compiler
def test_single_precision_is_good_to_six_digits():
    policy, demand = fr.make_policy("base_stock", level=26.0), poisson(200, 40)
    double, _ = fr.policies.compile_rollout(policy, PARAMS)(demand)
    single, _ = fr.policies.compile_rollout(policy, PARAMS, dtype="float32")(demand)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-6)


def network(seed=0):
    """A neural policy of two hidden layers whose last one is not zero, and the forecast it reads."""
    encoder, rng = ObservationEncoder(PARAMS.slots), np.random.default_rng(seed)
    layers = initial_layers(rng, (encoder.size, 8, 8, 1))
    layers = (*layers[:-1], (rng.normal(0.0, 0.2, (8, 1)), np.zeros(1)))
    policy = NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size))
    return policy, fr.Poisson(5.0).forecast(5)


def as_tensors(policy):
    """The policy in torch, double precision, and its weights as one tuple."""
    layers = [[torch.as_tensor(x).requires_grad_(True) for x in layer] for layer in policy.layers]
    statistics = {name: torch.as_tensor(getattr(policy, name)) for name in ("shift", "spread")}
    return replace(policy, **statistics), [x for layer in layers for x in layer]


@pytest.mark.slow
@needs_compiler
def test_gradients_of_a_neural_policy_are_those_of_the_simulator():
    policy, forecast = network()
    policy, weights = as_tensors(policy)
    demand = torch.as_tensor(poisson(64, 7))

    def rebuilt(*flat):
        return replace(policy, layers=tuple(zip(flat[::2], flat[1::2], strict=True)))

    start = fr.InventoryState(torch.full((64, 1), 12.0).double(), torch.full((4, 64, 1), 4.0).double())
    rollout = fr.policies.compile_rollout(rebuilt, PARAMS, forecast=forecast, weights=weights, chunk=3)
    cost, _ = rollout(demand, start)
    compiled = torch.autograd.grad(cost.mean(), weights)
    scenario, costs = fr.Scenario(demand, [forecast] * 7), []
    for _, outcome in fr.policies.rollout.roll(rebuilt(*weights), scenario, PARAMS, start):
        costs.append(outcome.cost)
    plain = torch.autograd.grad(torch.stack(costs).sum(0).mean(), weights)
    np.testing.assert_allclose(cost.detach(), torch.stack(costs).sum(0).detach(), rtol=1e-12)
    for a, b in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(rollout(demand, start).cost, cost.detach(), rtol=1e-12)


@pytest.mark.slow
@needs_compiler
def test_a_trained_policy_in_numpy_is_compiled_as_it_is():
    policy, forecast = network()
    assert_as_simulated(policy, PARAMS, poisson(64, 6), forecast=forecast, chunk=3)


@needs_compiler
def test_a_policy_that_reads_numbers_out_of_tensors_is_refused():
    class Peeks:
        def order(self, obs):
            return np.maximum(26.0 - np.asarray(obs.inventory_position), 0.0)

    start = fr.InventoryState(np.zeros((8, 1)), np.zeros((4, 8, 1)))
    with pytest.raises(fr.FractileError, match=r"cannot be compiled.*fr\.simulate"):
        fr.policies.compile_rollout(Peeks(), PARAMS, chunk=2)(poisson(8, 4), start)


@needs_compiler
def test_parameters_that_differ_from_path_to_path_are_refused():
    params = replace(PARAMS, holding_cost=np.linspace(1.0, 2.0, 6)[:, None])
    with pytest.raises(fr.FractileError, match=r"cannot be compiled|same in every path"):
        fr.policies.compile_rollout(fr.make_policy("base_stock", level=26.0), params, chunk=2, block=1)(
            poisson(6, 4, 1)
        )


def test_a_missing_compiler_is_said(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(fr.FractileError, match="'no-such-compiler', which is not there: install one"):
        fr.policies.compile_rollout(fr.make_policy("base_stock", level=26.0), PARAMS)


def test_all_faults_of_a_setting_are_said_at_once():
    params = replace(PARAMS, review_period=3)
    with pytest.raises(fr.FractileError) as caught:
        fr.policies.compile_rollout(fr.make_policy("base_stock", level=26.0), params, chunk=10, block=0, dtype="int8")
    for part in ("chunk must be a multiple of the review period, 3", "block must be an integer >= 1", "dtype must be"):
        assert part in str(caught.value)


@needs_compiler
def test_what_a_call_cannot_do_is_said():
    rollout = fr.policies.compile_rollout(fr.make_policy("base_stock", level=26.0), PARAMS)
    with pytest.raises(fr.FractileError, match="warm_up must be from 0 to 3, got 4"):
        rollout(poisson(2, 4), warm_up=4)
    with pytest.raises(fr.FractileError, match="pipeline of 4 slots"):
        rollout(poisson(2, 4), fr.InventoryState(np.zeros((2, 1)), np.zeros((3, 2, 1))))
    with pytest.raises(fr.FractileError, match=r"demand must have the shape"):
        rollout(poisson(2, 4)[0])


def test_loose_slots_answer_as_one_tensor_does():
    whole = torch.arange(12.0).reshape(3, 2, 2)
    loose = LooseSlots(tuple(whole.unbind(0)))
    assert len(loose) == 3
    for a, b in (
        (loose[1], whole[1]),
        (loose[:2], whole[:2]),
        (loose.sum(0), whole.sum(0)),
        (loose.sum(1), whole.sum(1)),
        (loose.amax(0), whole.amax(0)),
        (torch.cat([whole[:1], loose]), torch.cat([whole[:1], whole])),
    ):
        np.testing.assert_array_equal(a, b)
    assert loose.shape == whole.shape
