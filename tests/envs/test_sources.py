"""Options that reach the environments: arrivals as data, and beliefs apart from the truth."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile import Observation
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.encoders import make_encoder
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


class Counting:
    """A fitted forecaster that counts how often it forecasts."""

    def __init__(self, forecaster):
        self.forecaster, self.calls = forecaster, 0

    def predict(self, *args, **kwargs):
        self.calls += 1
        return self.forecaster.predict(*args, **kwargs)


def counting():
    panel = fr.retail_panel(items=6, periods=60, seed=0).panel
    return Counting(fr.make_forecaster("seasonal_naive").fit(panel)), panel


@pytest.mark.parametrize("item", [None, 2])
def test_forecasts_and_features_are_made_once_for_all_episodes(item):
    forecaster, panel = counting()
    params = fr.ItemParams(lead_time=np.array([0, 1, 2, 3, 1, 0]), stockout_cost=np.arange(4.0, 10.0))
    source = make_source("forecast_driven", forecaster=forecaster, panel=panel, params=params, item=item)
    batch = InventoryBatch(source, paths=5, periods=4)
    assert forecaster.calls == 1
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(2):
        obs = batch.reset(rng)
        drawn, own = source.draw(same, 5, 5)
        np.testing.assert_array_equal(batch.scenario.demand, drawn.demand)
        np.testing.assert_array_equal(batch.params.lead_time, own.lead_time)
        same.uniform(0.0, 1.5, (5, 1))  # where the batch's episodes begin
        for period in range(5):
            plain = Observation(period, obs.net_inventory, obs.pipeline, own, drawn.forecasts[period])
            ready = replace(plain, features=batch.scenario.features.at(period))
            assert ready.features is not None
            np.testing.assert_allclose(batch.encoder.encode(ready), batch.encoder.encode(plain), rtol=1e-12)
            seen = batch.scenario.forecasts[period]
            np.testing.assert_array_equal(seen.values, drawn.forecasts[period].values)
    assert forecaster.calls == 1 + 2  # once for the batch, once for each draw that was not prepared


def test_what_was_prepared_has_its_periods():
    source = make_source("lost_sales")
    prepared = source.prepare(5, make_encoder(source))
    with pytest.raises(fr.FractileError, match="prepared for 5 periods, got 6"):
        prepared.draw(np.random.default_rng(0), 2, 6)


def test_pools_sum_their_forecasts_once():
    forecaster, panel = counting()
    params = fr.ItemParams(lead_time=np.array([0, 1, 2, 3, 1, 0]))
    model = fr.ForecastDemand(forecaster, panel, mode="rolled")
    pool = PoolSource(fr.draw_scenario(model, seed=0, paths=3, periods=6, span=4), params)
    prepared = pool.prepare(4, make_encoder(pool))
    path, item = np.array([0, 2, 1, 1]), np.array([1, 5, 3, 3])
    scenario, own = prepared.cut(path, item, start=2, periods=4)
    assert scenario.protection_totals.fits(own)
    for period in range(4):
        np.testing.assert_allclose(
            scenario.protection_totals.totals[period].values,
            scenario.forecasts[period].total(own.protection_interval.T).values,
            rtol=1e-12,
        )
    np.testing.assert_array_equal(scenario.demand[2, :, 0], pool.scenario.demand[1, 2:, 3])


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
