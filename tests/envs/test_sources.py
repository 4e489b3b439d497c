"""Options that reach the environments: arrivals as data, and beliefs apart from the truth."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.sources import DemandSource, JointSource, PoolSource


def run(env, seed=1, steps=30):
    env.reset(seed=seed)
    rows = [env.step(np.zeros(env.action_space.shape, dtype=np.float32)) for _ in range(steps)]
    return [row[1] for row in rows], [row[4] for row in rows]


def test_random_lead_times_come_as_data():
    arrivals = fr.arrivals.RandomLeadTime([0.0, 0.5, 0.0, 0.5])
    env = gym.make("fractile/LostSales-v0", arrivals=arrivals).unwrapped
    _, infos = run(env)
    assert "arriving_3" in env.feature_names
    received, ordered = (np.array([info[name] for info in infos]) for name in ("received", "order"))
    assert received.sum() > 0.6 * ordered.sum()
    rewards, _ = run(gym.make("fractile/LostSales-v0").unwrapped)
    assert rewards != run(env)[0]


def test_constant_arrivals_are_the_constant_lead_time():
    one = run(gym.make("fractile/LostSales-v0", arrivals=fr.arrivals.ConstantLeadTime(2)))[0]
    assert one == run(gym.make("fractile/LostSales-v0"))[0]


def test_arrivals_of_links():
    network = fr.networks.dual_sourcing(regular_lead_time=2)
    source = JointSource(fr.demand.Discrete.uniform(4), network, arrivals=fr.arrivals.RandomLeadTime([0.5, 0.0, 0.5]))
    scenario, _ = source.draw(np.random.default_rng(0), 6, 5)
    assert scenario.arrivals.shape == (3, 6, 5, 2)
    batch = InventoryBatch(source, paths=6, periods=5)
    batch.reset(np.random.default_rng(0))
    assert batch.step(np.ones((6, 2))).cost.shape == (6, 1)


def test_pools_keep_the_arrivals_of_their_scenario():
    demand = fr.draw_scenario(fr.Poisson(np.array([2.0, 5.0])), seed=1, paths=3, periods=12, span=3)
    scenario = fr.arrivals.with_arrivals(demand, fr.arrivals.RandomLeadTime([0.2, 0.3, 0.5]), seed=2)
    pool = PoolSource(scenario, fr.ItemParams(lead_time=2))
    path, item = np.array([0, 2, 1]), np.array([1, 0, 1])
    cut, _ = pool.cut(path, item, start=4, periods=5)
    for row in range(3):
        expected = scenario.arrivals[:, path[row], 4:9, item[row]]
        np.testing.assert_array_equal(cut.arrivals[:, row, :, 0], expected)


def test_beliefs_move_forecasts_and_leave_demand_alone():
    true, wrong = (
        make_source("lost_sales", belief=belief).draw(np.random.default_rng(0), 4, 6)[0]
        for belief in (None, fr.Distortion(bias=0.5))
    )
    np.testing.assert_array_equal(true.demand, wrong.demand)
    for one, other in zip(true.forecasts, wrong.forecasts, strict=True):
        np.testing.assert_allclose(other.quantile(0.5), 1.5 * one.quantile(0.5))


def test_another_demand_model_can_be_believed():
    source = make_source("backorder", belief=fr.Poisson(8.0))
    scenario, _ = source.draw(np.random.default_rng(0), 2, 3)
    assert scenario.forecasts[0].mean().max() == pytest.approx(8.0)
    assert isinstance(source, DemandSource)


def test_forecast_driven_demand_evolves_and_is_believed_otherwise():
    options = {"mode": "evolved", "belief": fr.Distortion(spread=2.0)}
    env = gym.make("fractile/ForecastDriven-v0", **options)
    rewards, _ = run(env, steps=8)
    assert np.isfinite(rewards).all()


def test_a_network_needs_demand_for_each_of_its_stores():
    with pytest.raises(fr.FractileError, match="demand must be of 3 items, one for each location with demand, got 1"):
        JointSource(fr.Poisson(5.0), fr.networks.distribution(3))


def test_joint_systems_have_no_item_to_choose():
    with pytest.raises(fr.FractileError, match="simulates all together"):
        make_source("serial", item=0)


@pytest.mark.parametrize("system", ["serial", "distribution"])
def test_costs_that_a_constructor_joins_are_not_options_of_their_own(system):
    wrong = {"holding_cost": 1.0}
    with pytest.raises(fr.FractileError, match="unknown option 'holding_cost'; did you mean"):
        make_source(system, **wrong)


def test_short_networks_conform():
    fr.check_dynamics(fr.networks.serial((1, 1), (0.5, 1.0), 9.0))
    fr.check_dynamics(fr.networks.dual_sourcing(regular_lead_time=1))
