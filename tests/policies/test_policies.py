"""Classical policies against theory, the registry, and policies on disk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile import (
    POLICIES,
    FractileError,
    Observation,
    Scenario,
    make_policy,
)
from fractile.envs.core.forecast_features import order_up_to_level
from fractile.envs.core.types import ItemParams
from fractile.envs.gym.observation import ObservationEncoder
from fractile.policies.base_stock import BaseStock, CappedBaseStock, ConstantOrder
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.neural import NeuralPolicy, initial_layers
from fractile.policies.newsvendor import Newsvendor, Projected, TunedNewsvendor
from fractile.policies.storage import load_policy, save_policy

BACKORDER = ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=9.0, unmet_demand="backorder")
LOST = ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0)
MIXED = ItemParams(lead_time=np.array([0, 1, 3]), stockout_cost=np.array([4.0, 9.0, 19.0]))
DEMAND = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)


def observed(params: ItemParams, demand=None, paths: int = 5, seed: int = 0) -> Observation:
    demand = fr.Poisson(5.0) if demand is None else demand
    rng = np.random.default_rng(seed)
    net = rng.integers(0, 9, (paths, demand.items)).astype(float)
    pipeline = rng.integers(0, 7, (params.slots, paths, demand.items)).astype(float)
    forecast = demand.forecast(int(np.max(params.protection_interval)))
    return Observation(0, net, pipeline, params, forecast)


def network(slots: int = 3, seed: int = 0) -> NeuralPolicy:
    encoder = ObservationEncoder(slots, level_scale=0.9, level_shift=0.2)
    rng = np.random.default_rng(seed)
    layers = initial_layers(rng, (encoder.size, 8, 1))
    layers = (*layers[:-1], (rng.normal(0.0, 0.3, (8, 1)), np.array([0.1])))
    return NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size))


def test_newsvendor_orders_up_to_the_exact_fractile():
    obs = observed(BACKORDER)
    policy = make_policy("newsvendor")
    assert policy.target(obs).item() == 20.0
    np.testing.assert_array_equal(policy.order(obs), np.maximum(20.0 - obs.inventory_position, 0.0))


def test_newsvendor_ratio_and_scale():
    obs = observed(BACKORDER)
    assert Newsvendor(critical_ratio=0.5).target(obs).item() == stats.poisson(15).ppf(0.5)
    assert Newsvendor(scale=0.5).target(obs).item() == 10.0


def test_newsvendor_of_mixed_lead_times_and_costs():
    expected = [
        stats.nbinom(2.0 * span, 2.0 / (2.0 + mean)).ppf(ratio)
        for span, mean, ratio in ((1, 3.0, 0.8), (2, 12.0, 0.9), (4, 0.8, 0.95))
    ]
    np.testing.assert_array_equal(Newsvendor().target(observed(MIXED, DEMAND))[0], expected)


def test_newsvendor_ratio_of_each_item():
    target = Newsvendor(critical_ratio=np.array([0.5, 0.6, 0.7])).target(observed(MIXED, DEMAND))
    assert target[0, 0] == stats.nbinom(2.0, 0.4).ppf(0.5)
    assert target[0, 1] == stats.nbinom(4.0, 2.0 / 14.0).ppf(0.6)


def test_longer_reviews_protect_longer():
    params = ItemParams(lead_time=2, review_period=3, stockout_cost=9.0)
    assert Newsvendor().target(observed(params)).item() == stats.poisson(25).ppf(0.9)


def test_tuned_newsvendor_without_tuning_is_the_newsvendor():
    obs = observed(MIXED, DEMAND)
    np.testing.assert_array_equal(TunedNewsvendor().order(obs), Newsvendor().order(obs))


def test_tuned_newsvendor_scales_and_shifts():
    obs = observed(BACKORDER)
    ratio = 1.0 / (1.0 + np.exp(-(np.log(9.0) - 1.0)))
    assert TunedNewsvendor(1.2, -1.0).target(obs).item() == pytest.approx(1.2 * stats.poisson(15).ppf(ratio))


def test_base_stock_fills_up_to_its_level():
    obs = observed(LOST)
    np.testing.assert_array_equal(BaseStock(12).order(obs), np.maximum(12.0 - obs.inventory_position, 0.0))


def test_base_stock_level_of_each_item():
    obs = observed(MIXED, DEMAND)
    expected = np.maximum(np.array([5.0, 30.0, 2.0]) - obs.inventory_position, 0.0)
    np.testing.assert_array_equal(BaseStock([5, 30, 2]).order(obs), expected)


@pytest.mark.parametrize("cap", [np.inf, 1e9])
def test_capped_base_stock_without_a_cap_is_base_stock(cap):
    scenario = fr.draw_scenario(DEMAND, 0, 20, 30, 4)
    one, other = (fr.simulate(p, scenario, MIXED).order for p in (CappedBaseStock(14, cap), BaseStock(14)))
    np.testing.assert_array_equal(one, other)


def test_a_cap_is_never_exceeded():
    obs = observed(LOST)
    expected = np.minimum(np.maximum(30.0 - obs.inventory_position, 0.0), 4.0)
    np.testing.assert_array_equal(CappedBaseStock(30, 4).order(obs), expected)


def test_constant_order_orders_what_it_says():
    np.testing.assert_array_equal(ConstantOrder([1, 2, 3]).order(observed(MIXED, DEMAND)), [[1.0, 2.0, 3.0]] * 5)


@pytest.mark.parametrize("policy", [BaseStock(20), Newsvendor()], ids=["base_stock", "newsvendor"])
def test_backorder_base_stock_orders_the_last_demand(policy):
    scenario = fr.draw_scenario(fr.Poisson(5.0), 1, 50, 200, 3)
    got = fr.simulate(policy, scenario, BACKORDER)
    np.testing.assert_array_equal(got.order[:, 1:], scenario.demand[:, :-1])
    settled = fr.simulate(policy, scenario, BACKORDER, warm_up=20)
    assert settled.volatility_ratio == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("lead_time", [2, 4])
def test_projected_beats_the_newsvendor_on_lost_sales(lead_time):
    params = ItemParams(lead_time=lead_time, stockout_cost=4.0, pack_size=1.0)
    scenario = fr.draw_scenario(fr.Poisson(5.0), 1, 200, 220, lead_time + 1)
    runs = [fr.simulate(p, scenario, params, warm_up=20).cost.mean((1, 2)) for p in (Newsvendor(), Projected())]
    saving = runs[0] - runs[1]
    assert saving.mean() > 4 * saving.std(ddof=1) / np.sqrt(len(saving))


def test_projected_without_lead_time_is_the_newsvendor():
    obs = observed(ItemParams(lead_time=0, stockout_cost=9.0))
    np.testing.assert_allclose(Projected().order(obs), Newsvendor().order(obs))


def test_projected_with_backorders_takes_mean_demand_off_the_position():
    # Nothing is lost on the way, so stock at the arrival is the position less the mean demand of L periods.
    obs = observed(ItemParams(lead_time=2, stockout_cost=9.0, unmet_demand="backorder"))
    mean = stats.poisson(5).ppf(0.9) - (obs.inventory_position - 10.0)
    np.testing.assert_allclose(Projected().order(obs), np.maximum(mean, 0.0), atol=0.1)


def test_projected_of_mixed_lead_times_is_that_of_each_item():
    obs = observed(MIXED, DEMAND)
    together = Projected().order(obs)
    for item in range(3):
        params = MIXED.select(np.array([item]))
        slots = params.slots
        alone = Observation(
            0,
            obs.net_inventory[:, item : item + 1],
            obs.pipeline[:, :, item : item + 1],
            params,
            DEMAND.select(np.array([item])).forecast(slots + 1),
        )
        one = Projected().order(alone)[:, 0]
        np.testing.assert_allclose(together[:, item], one, atol=0.15 * one.max() + 0.5)


def test_optimum_orders_by_state():
    params = ItemParams(lead_time=1, stockout_cost=4.0)
    optimal = DynamicProgramming(fr.Poisson(5.0), params)
    obs = observed(params)
    state = (obs.net_inventory + obs.pipeline[0]).astype(int)[:, 0]
    np.testing.assert_array_equal(optimal.order(obs)[:, 0], optimal.orders[state])
    # More stock, no larger order.
    assert (np.diff(optimal.orders) <= 0).all()


def test_a_network_with_a_last_layer_of_zeros_is_the_newsvendor():
    encoder = ObservationEncoder(3)
    layers = initial_layers(np.random.default_rng(0), (encoder.size, 8, 1))
    policy = NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size))
    obs = observed(MIXED, DEMAND)
    np.testing.assert_allclose(policy.order(obs), Newsvendor().order(obs))


def test_bounded_networks_hold_their_action():
    encoder, obs = ObservationEncoder(2), observed(LOST)
    layers = ((np.zeros((encoder.size, 1)), np.array([50.0])),)
    policy = NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size), bounded=True)
    np.testing.assert_allclose(policy.order(obs), encoder.decode(np.ones((5, 1)), obs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_policy("newsvender"), "unknown policy 'newsvender'; did you mean 'newsvendor'"),
        (lambda: POLICIES.known("sarsa"), "unknown policy 'sarsa'; known: a2c, backprop, base_stock"),
        (lambda: make_policy("base_stock", levle=3), "no option 'levle'; did you mean 'level'"),
        (lambda: make_policy("capped_base_stock", level=3), "policy 'capped_base_stock' needs cap"),
        (lambda: make_policy("base_stock"), "needs level; give them, or train it"),
        (lambda: make_policy("dynamic_programming"), "needs demand, params; give them$"),
        (lambda: make_policy("base_stock", level=-1), "level must be a number >= 0, got -1"),
        (lambda: make_policy("base_stock", level=np.inf), "level must be a number >= 0, got inf"),
        (lambda: make_policy("constant_order", quantity=np.nan), "quantity must be a number >= 0, got nan"),
        (lambda: make_policy("newsvendor", critical_ratio=1.0), "critical_ratio must lie strictly between 0 and 1"),
        (lambda: make_policy("newsvendor", scale=-0.1), "scale must be at least 0"),
        (lambda: make_policy("projected", critical_ratio=2.0), "critical_ratio must lie strictly between 0 and 1"),
        (lambda: make_policy("tuned_newsvendor", scale=-1.0), "scale must be at least 0"),
    ],
)
def test_registry_errors_say_what_to_do(make, message):
    with pytest.raises(FractileError, match=message):
        make()


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_name_has_a_class(name):
    assert hasattr(POLICIES.known(name), "order") or hasattr(POLICIES.known(name), "plan")


STORED = {
    "newsvendor": lambda: Newsvendor(critical_ratio=0.8, scale=1.1),
    "tuned_newsvendor": lambda: TunedNewsvendor(0.93, -0.4),
    "projected": lambda: Projected(critical_ratio=np.array([0.7, 0.8, 0.9]), scale=1.05),
    "base_stock": lambda: BaseStock([9.0, 40.0, 3.0]),
    "capped_base_stock": lambda: CappedBaseStock(20.0, np.array([3.0, 9.0, np.inf])),
    "constant_order": lambda: ConstantOrder(3.0),
    "backprop": network,
}


@pytest.mark.parametrize("name", sorted(STORED))
def test_policies_come_back_from_disk(name, tmp_path):
    policy, obs = STORED[name](), observed(MIXED, DEMAND)
    save_policy(name, policy, tmp_path)
    copy = load_policy(name, tmp_path)
    assert type(copy) is type(policy)
    np.testing.assert_array_equal(copy.order(obs), policy.order(obs))


def test_an_infinite_cap_comes_back_from_disk(tmp_path):
    save_policy("capped_base_stock", CappedBaseStock(20.0, np.inf), tmp_path)
    assert load_policy("capped_base_stock", tmp_path).cap == np.inf


def test_a_newsvendor_of_lists_comes_back_from_disk(tmp_path):
    obs = observed(MIXED, DEMAND)
    policy = make_policy("newsvendor", critical_ratio=[0.5, 0.6, 0.7])
    save_policy("newsvendor", policy, tmp_path)
    np.testing.assert_array_equal(load_policy("newsvendor", tmp_path).order(obs), policy.order(obs))


def test_a_network_used_before_it_is_kept_comes_back_alike(tmp_path):
    policy, obs = network(), observed(MIXED, DEMAND)
    before = policy.order(obs)
    save_policy("backprop", policy, tmp_path)
    np.testing.assert_array_equal(load_policy("backprop", tmp_path).order(obs), before)


def test_a_policy_that_is_not_there(tmp_path):
    with pytest.raises(FractileError, match="policy-newsvendor"):
        load_policy("newsvendor", tmp_path)


def test_policies_without_forecast_say_so():
    obs = Observation(0, np.zeros((1, 1)), np.zeros((2, 1, 1)), LOST)
    with pytest.raises(FractileError, match="this policy needs a forecast"):
        Newsvendor().order(obs)


def test_fixed_levels_need_no_forecast():
    scenario = Scenario(np.full((2, 5, 1), 4.0))
    assert fr.simulate(BaseStock(12), scenario, LOST).order[:, 1:].min() == 4.0


def test_levels_of_forecasts_by_path_are_those_of_each_path():
    forecast = fr.Poisson(np.array([3.0, 9.0])).forecast(3).take(np.array([0, 1, 1]), np.zeros(3, dtype=int))
    level = order_up_to_level(forecast, BACKORDER)
    assert level.shape == (3, 1)
    assert level[0, 0] < level[1, 0] == level[2, 0]
