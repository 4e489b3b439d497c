"""Learned policies reach the known optimum: Zipkin's (2008) lost sales, Poisson(5), b = 4, L = 2."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import fractile as fr
from fractile.envs.gym.sources import DemandSource

OPTIMUM = fr.instances["zipkin2008-poisson-b4-L2"].optimal
PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1.0)


def gap(policy) -> float:
    """Cost above the optimum, as a share of it, on 400 000 fresh periods: its standard error is near 0.001."""
    scenario = fr.draw_scenario(fr.Poisson(5.0), 99, 1024, 450, 3)
    return fr.simulate(policy, scenario, PARAMS, warm_up=50).mean_cost / OPTIMUM - 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_backprop_is_within_four_per_mille(seed):
    from fractile.training import BackpropConfig
    from fractile.training.backprop import train_backprop

    start = time.process_time()
    policy = train_backprop(DemandSource(fr.Poisson(5.0), PARAMS), BackpropConfig(seed=seed))
    print(f"backprop seed {seed}: {time.process_time() - start:.0f} CPU-seconds")
    above = fr.exact.exact_cost(policy, fr.Poisson(5.0), PARAMS).average_cost / OPTIMUM - 1.0
    print(f"{above:.3%} above the optimum")
    assert -1e-5 < above < 0.004


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_is_within_three_per_cent(seed):
    from fractile.training import AGENTS, train_ppo

    start = time.process_time()
    policy = train_ppo(DemandSource(fr.Poisson(5.0), PARAMS), replace(AGENTS["ppo"], seed=seed))
    print(f"ppo seed {seed}: {time.process_time() - start:.0f} CPU-seconds")
    above = gap(policy)
    print(f"{above:.2%} above the optimum")
    assert above < 0.03
