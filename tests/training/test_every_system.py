"""Gradients and agents on every system: training moves, keeps, loads, and learns to allocate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import SYSTEMS, make_source
from fractile.envs.gym.encoders import make_encoder
from fractile.envs.gym.sources import JointSource
from fractile.policies.neural import NeuralPolicy
from fractile.policies.rollout import roll
from fractile.policies.storage import load_policy, save_policy
from fractile.randomness import keyed_generator
from fractile.training import BackpropConfig
from fractile.training.backprop import train_backprop

QUICK = BackpropConfig(
    steps=12, paths=64, periods=20, warm_up=6, validation_paths=64, evaluate_every=6, learning_rate=1e-2
)
NEW = [name for name in SYSTEMS if name not in ("lost_sales", "backorder", "forecast_driven")]


def cost_of(policy, source, paths=400, periods=60, warm_up=20):
    """Mean cost a period of a policy on episodes of its own, and the standard error."""
    encoder = make_encoder(source)
    batch = InventoryBatch(source, paths=paths, periods=periods, encoder=encoder)
    batch.reset(keyed_generator(99, "judge"))
    scenario = batch.scenario.window(0, periods)
    outcomes = [out for _, out in roll(policy, scenario, batch.params, batch.state)]
    cost = np.stack([out.cost.sum(1) for out in outcomes[warm_up:]]).mean(0)
    return cost.mean(), cost.std(ddof=1) / np.sqrt(paths)


class Untouched:
    """What action zero orders: where training starts."""

    def __init__(self, source):
        self.encoder = make_encoder(source)
        self.orders = InventoryBatch(source, paths=1, periods=1).orders

    def order(self, obs):
        return self.encoder.decode(np.zeros((len(obs.net_inventory), self.orders)), obs)


@pytest.mark.parametrize("system", NEW)
def test_gradients_lower_the_cost_and_the_network_is_kept(system, tmp_path):
    source, reports = make_source(system), []
    policy = train_backprop(source, QUICK, progress=lambda *report: reports.append(report))
    assert isinstance(policy, NeuralPolicy)
    messages, shares = zip(*reports, strict=True)
    assert min(float(message.rpartition("cost ")[2]) for message in messages) < 1.0
    assert shares == (0.5, 1.0)
    save_policy("backprop", policy, tmp_path)
    again = load_policy("backprop", tmp_path)
    batch = InventoryBatch(source, paths=5, periods=3, encoder=policy.encoder)
    obs = batch.reset(keyed_generator(0, "kept"))
    np.testing.assert_allclose(again.order(obs), policy.order(obs), rtol=1e-12)


@pytest.mark.parametrize("system", ["shared_capacity", "distribution", "dual_sourcing"])
def test_an_agent_trains_and_is_the_policy_that_is_kept(system, tmp_path):
    from fractile.training import AgentConfig
    from fractile.training.agents import train_ppo

    source = make_source(system)
    policy = train_ppo(
        source, AgentConfig(steps=2048, num_envs=32, periods=20, options={"n_steps": 16, "batch_size": 256})
    )
    save_policy("ppo", policy, tmp_path)
    batch = InventoryBatch(source, paths=3, periods=3, encoder=policy.encoder)
    obs = batch.reset(keyed_generator(0, "kept"))
    order = policy.order(obs)
    assert order.shape == (3, batch.orders)
    np.testing.assert_allclose(load_policy("ppo", tmp_path).order(obs), order, rtol=1e-12)


@pytest.mark.slow
def test_learned_allocation_beats_proportional_rationing():
    """Stores whose stock-outs cost very differently: a network that sees all of them allocates better."""
    network = fr.networks.distribution(
        3, stockout_cost=np.array([4.0, 19.0, 39.0]), warehouse_holding_cost=0.9, unmet_demand="lost"
    )
    source = JointSource(fr.Poisson(np.array([5.0, 5.0, 5.0])), network)
    before, _ = cost_of(Untouched(source), source)
    policy = train_backprop(source, replace(QUICK, steps=300, paths=256, periods=40, warm_up=15, evaluate_every=50))
    after, error = cost_of(policy, source)
    assert after < 0.95 * before - 4 * error
