"""A demand model of one's own needs `sample` alone."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile.envs.demand.sampled import SampledDemand
from fractile.envs.gym.sources import DemandSource


class Own:
    """Two items; the second sells four times as much."""

    def sample(self, rng, paths, periods):
        return rng.poisson([5.0, 20.0], (paths, periods, 2)).astype(float)


class Walk:
    """Demand that moves slowly: sums over periods vary more than independent ones."""

    def sample(self, rng, paths, periods):
        level = 20.0 + 6.0 * rng.standard_normal((paths, 1, 1))
        return np.maximum(level + rng.standard_normal((paths, periods, 1)), 0.0)


class Flat:
    def sample(self, rng, paths, periods):
        return np.ones((paths, periods))


def test_scenarios_of_ones_own_demand():
    scenario = fr.draw_scenario(Own(), seed=3, paths=50, periods=20, span=3)
    assert scenario.demand.shape == (50, 20, 2)
    np.testing.assert_array_equal(scenario.demand, fr.draw_scenario(Own(), seed=3, paths=50, periods=20, span=3).demand)
    # Sampled from 1 024 paths: the standard error of a mean of 5 and of 20 is 0.07 and 0.14.
    np.testing.assert_allclose(scenario.forecasts[7].mean()[:, 0, 0], [5.0, 20.0], atol=0.6)
    np.testing.assert_allclose(scenario.forecasts[7].total(3).quantile(0.9)[:, 0, 0], [20.0, 70.0], rtol=0.05)


def test_sums_over_periods_know_that_demand_lasts():
    forecast = SampledDemand(Walk()).forecasts(5, 4)[2]
    low, high = (forecast.total(4).quantile(level)[0, 0, 0] for level in (0.1, 0.9))
    # Standard deviation of a sum over four periods: 4 · 6 for the level and 2 for the rest; 12 where independent.
    assert (high - low) / (2 * 1.2816) == pytest.approx(24.1, rel=0.08)


def test_equal_demand_is_not_taken_for_dependence():
    correlation = SampledDemand(Own()).forecasts(4, 3)[0].dependence.correlation
    # Standard error of a correlation of 1 024 pairs: 0.03.
    np.testing.assert_allclose(correlation, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=4 * 0.03125)


def test_policies_order_by_it_and_networks_train_on_it():
    params = fr.ItemParams(lead_time=1, stockout_cost=4.0)
    scenario = fr.draw_scenario(Own(), seed=0, paths=200, periods=40, span=2)
    known = fr.draw_scenario(fr.Poisson(np.array([5.0, 20.0])), seed=0, paths=200, periods=40, span=2)
    costs = [fr.simulate(fr.make_policy("newsvendor"), s, params, warm_up=5).mean_cost for s in (scenario, known)]
    assert costs[0] == pytest.approx(costs[1], rel=0.05)
    config = fr.training.BackpropConfig(steps=4, paths=16, periods=10, warm_up=2, evaluate_every=2, validation_paths=16)
    assert fr.training.train_backprop(DemandSource(Own(), params), config).layers


def test_environments_take_it():
    env = gym.make("fractile/LostSales-v0", demand=Own(), item=1).unwrapped
    env.reset(seed=0)
    drawn = [env.step(np.zeros(1, dtype=np.float32))[4]["demand"] for _ in range(60)]
    assert np.mean(drawn) == pytest.approx(20.0, abs=4 * np.sqrt(20 / 60))
    together = gym.make("fractile/SharedCapacity-v0", demand=Own()).unwrapped
    assert together.action_space.shape == (2,)


def test_what_is_no_demand_is_refused():
    with pytest.raises(fr.FractileError, match=r"a demand model must have sample\(rng, paths, periods\), int has none"):
        fr.draw_scenario(3, seed=0, paths=1, periods=2)
    message = r"sample of Flat must return demand of shape \(paths, periods, items\) = \(1, 2, items\), got \(1, 2\)"
    with pytest.raises(fr.FractileError, match=message):
        fr.draw_scenario(Flat(), seed=0, paths=1, periods=2)
