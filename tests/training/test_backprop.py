"""Training by gradients: heads, weights, noise for rounding, and what happens when training goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fractile as fr
from fractile.envs.demand.belief import Believed
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.encoders import make_encoder
from fractile.envs.gym.observation import ObservationEncoder
from fractile.envs.gym.sources import DemandSource, PoolSource
from fractile.policies.neural import NeuralPolicy, feature_statistics
from fractile.policies.rollout import roll
from fractile.training import BackpropConfig
from fractile.training.backprop import candidate_heads, train_backprop
from fractile.training.rollout_loss import Episodes, NoisyOrders, RandomReorders, in_torch, unit_value

PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1)
SOURCE = DemandSource(fr.Poisson(5.0), PARAMS)
TINY = BackpropConfig(steps=20, paths=32, periods=20, warm_up=4, evaluate_every=10, validation_paths=64)


def random_network(source, head, seed=0, **options):
    """A network with random layers, its features standardised over some episodes."""
    encoder = make_encoder(source, together=False)
    assert isinstance(encoder, ObservationEncoder)
    encoder = replace(encoder, action=head)
    rng = np.random.default_rng(seed)
    batch = InventoryBatch(source, paths=50, periods=8, encoder=encoder)
    batch.reset(rng)
    layers = [
        (rng.normal(0, 0.4, (n, m)), rng.normal(0, 0.2, m))
        for n, m in ((encoder.size, 6), (6, 5), (5, encoder.outputs))
    ]
    return NeuralPolicy(encoder, tuple(layers), *feature_statistics(encoder, batch), **options)


MANY = fr.ItemParams(
    lead_time=np.array([0, 2, 3]),
    review_period=np.array([1, 1, 2]),
    stockout_cost=np.array([4.0, 9.0, 30.0]),
    fixed_order_cost=np.array([0.0, 5.0, 20.0]),
)
SOURCES = {
    "one item": SOURCE,
    "items of all kinds": DemandSource(fr.Poisson(np.array([0.5, 4.0, 20.0])), MANY),
    "seasons": DemandSource(fr.Seasonal(fr.Poisson(5.0), (0.5, 1.5, 1.0)), PARAMS),
    "perishable": DemandSource(fr.Poisson(5.0), replace(PARAMS, shelf_life=2, waste_cost=3.0)),
}


@pytest.mark.parametrize("head", ["order_up_to", "order", "direct", "reorder"])
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_computed_beforehand_changes_no_order(name, head):
    source = SOURCES[name]
    policy = random_network(source, head, activation="relu")
    batch = InventoryBatch(source, paths=40, periods=12, encoder=policy.encoder)
    batch.reset(np.random.default_rng(1))
    # Without packs: a quantity at half a pack may round either way in float32.
    params = replace(batch.params, pack_size=None)
    expected = [o for _, o in roll(policy, batch.scenario.window(0, 12), params, batch.state)]
    batch.params = params
    config = BackpropConfig(periods=12, warm_up=3, weighting="money")
    played = Episodes(batch, config).play(in_torch(policy))
    assert max(o.order.max() for o in expected) > 0
    for (_, outcome), wanted in zip(played, expected, strict=True):
        np.testing.assert_allclose(outcome.order.numpy(), wanted.order, rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(outcome.cost.numpy(), wanted.cost, rtol=2e-3, atol=2e-2)


def test_the_direct_head_orders_the_mean_at_zero_and_ever_less_below():
    encoder = replace(make_encoder(SOURCE, together=False), action="direct")
    batch = InventoryBatch(SOURCE, paths=3, periods=4, encoder=encoder)
    obs = batch.reset(np.random.default_rng(0))
    np.testing.assert_allclose(encoder.decode(np.zeros((3, 1)), obs), 5.0)
    low, high = encoder.decode(np.full((3, 1), -4.0), obs), encoder.decode(np.full((3, 1), 9.0), obs)
    assert ((low > 0) & (low < 0.2)).all()
    np.testing.assert_allclose(high, 5.0 * 9.5413, rtol=1e-3)


def test_a_share_of_zero_is_the_newsvendor_whatever_the_head():
    newsvendor = fr.make_policy("newsvendor")
    for head in ("order_up_to", "direct"):
        none = random_network(SOURCE, head, share=0.0)
        obs = InventoryBatch(SOURCE, paths=9, periods=4, encoder=none.encoder).reset(np.random.default_rng(0))
        np.testing.assert_allclose(none.order(obs), newsvendor.order(obs))
    half, whole = random_network(SOURCE, "direct", share=0.5), random_network(SOURCE, "direct")
    np.testing.assert_allclose(half.order(obs), 0.5 * (whole.order(obs) + newsvendor.order(obs)))


def test_reorder_at_zero_is_an_s_s_policy_with_the_economic_quantity():
    params = fr.ItemParams(lead_time=0, stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder")
    source = DemandSource(fr.Poisson(10.0), params)
    encoder = replace(make_encoder(source, together=False), action="reorder")
    batch = InventoryBatch(source, paths=2, periods=4, encoder=encoder)
    batch.reset(np.random.default_rng(0))
    lot = np.sqrt(2 * 64 * 10 / 0.9)
    level = 14.0 + lot / 2  # 14 is the nine in ten fractile of one period
    batch.put(batch.state._replace(net_inventory=np.array([[level - lot - 0.1], [level - lot + 0.1]])))
    np.testing.assert_allclose(encoder.decode(np.zeros((2, 1, 2)), batch.observe()), [[lot + 0.1], [0.0]])


def test_features_that_never_change_are_not_read():
    policy = train_backprop(SOURCE, TINY)
    read = [name for name, spread in zip(policy.encoder.names, policy.spread, strict=True) if np.isfinite(spread)]
    assert read == ["net_inventory", "arriving_1", "arriving_2", "order_up_to_gap"]
    # So another lead time or mean, which training has never seen, moves nothing by itself.
    obs = InventoryBatch(SOURCE, paths=9, periods=4, encoder=policy.encoder).reset(np.random.default_rng(0))
    odd = replace(policy, shift=policy.shift + np.where(np.isfinite(policy.spread), 0.0, 5.0))
    np.testing.assert_array_equal(policy.order(obs), odd.order(obs))


def test_a_dear_item_weighs_no_more_than_a_cheap_one():
    params = fr.ItemParams(holding_cost=np.array([1.0, 100.0]), stockout_cost=np.array([4.0, 400.0]))
    source = DemandSource(fr.Poisson(np.array([5.0, 5.0])), params)
    batch = InventoryBatch(source, paths=64, periods=5)
    batch.reset(np.random.default_rng(0))
    dear = batch.params.holding_cost > 50
    weight = Episodes(batch, replace(TINY, periods=5)).weight.numpy()
    np.testing.assert_allclose(weight[~dear].mean() / weight[dear].mean(), 100.0, rtol=1e-5)
    # By the true distribution one period's newsvendor costs 2.93; seven quantiles come near.
    demand = np.random.default_rng(0).poisson(5.0, 200_000)
    exact = np.where(demand > 7, 4.0 * (demand - 7), 7 - demand).mean()
    np.testing.assert_allclose(1.0 / weight[~dear], exact, rtol=0.15)
    assert Episodes(batch, replace(TINY, periods=5, weighting="money")).weight == 1.0


def test_noise_for_rounding_averages_to_nothing_and_leaves_no_order_alone():
    class Fixed:
        def __init__(self, order):
            self.given = order

        def order(self, obs):
            return self.given

    obs = InventoryBatch(SOURCE, paths=1, periods=2).reset(np.random.default_rng(0))
    noise = torch.linspace(-1.5, 1.5, 101)[None, :, None]  # packs of three
    for wanted, spread in ((0.0, 0.0), (0.5, 0.5), (7.4, 1.5)):
        order = NoisyOrders(Fixed(torch.full((101, 1), wanted)), noise, torch.tensor(1.5)).order(obs)
        np.testing.assert_allclose(order.mean(), wanted, atol=1e-5)
        np.testing.assert_allclose(order.max() - wanted, spread, atol=1e-5)


def test_units_at_the_end_are_worth_what_they_cost():
    assert unit_value(fr.ItemParams(unit_cost=3.0)) == 3.0
    np.testing.assert_array_equal(unit_value(fr.networks.dual_sourcing(regular_cost=100.0, expedited_cost=105.0)), 100)
    # Ordering what is demanded costs its units, in every period alike: none are free at the end.
    params = replace(PARAMS, unit_cost=2.0, holding_cost=1e-9, pack_size=None)
    batch = InventoryBatch(DemandSource(fr.Poisson(5.0), params), paths=64, periods=12)
    batch.reset(np.random.default_rng(0))
    batch.put(batch.state._replace(net_inventory=batch.state.net_inventory + 200.0))
    config = replace(TINY, periods=12, weighting="money")
    idle = replace(random_network(SOURCE, "direct"), layers=((np.zeros((8 + 14, 1)), np.array([-50.0])),))
    sold = batch.scenario.demand[:, 4:12].mean()
    np.testing.assert_allclose(Episodes(batch, config).cost(in_torch(idle)).item(), 2.0 * sold, rtol=1e-4)


def test_training_that_goes_wrong_from_the_first_step_returns_what_it_started_from_and_says_so():
    reports = []
    config = replace(TINY, steps=60, learning_rate=1e30)
    policy = train_backprop(SOURCE, config, progress=lambda message, _: reports.append(message))
    assert sum("diverged" in message or "begun anew" in message for message in reports) >= 2
    assert all(np.isfinite(x).all() for layer in policy.layers for x in layer)
    assert not policy.layers[-1][0].any()


def test_without_any_demand_there_is_nothing_to_learn():
    never = fr.draw_scenario(fr.Poisson(1e-12), seed=0, paths=4, periods=30, span=3)
    source = PoolSource(never, PARAMS)
    policy = train_backprop(source, replace(TINY, steps=5))
    assert not policy.layers[-1][0].any()  # the newsvendor, which orders nothing and pays nothing


def test_training_goes_on_after_a_loss_that_is_no_number(monkeypatch):
    clean, calls = Episodes.cost, []

    def cost(self, policy):
        calls.append(1)
        return clean(self, policy) * (float("nan") if len(calls) == 12 else 1.0)

    monkeypatch.setattr(Episodes, "cost", cost)
    reports = []
    config = replace(TINY, steps=60, head="order_up_to")
    policy = train_backprop(SOURCE, config, progress=lambda message, _: reports.append(message))
    assert sum("diverged" in message for message in reports) == 1
    assert len(calls) == 60
    assert float(reports[-1].rpartition("cost ")[2]) < 0.97
    assert policy.layers[-1][0].any()


def test_a_policy_that_stops_ordering_for_ever_is_noticed_and_begun_anew():
    # Forecast to sell half a unit, an item sells two: its newsvendor orders nothing, and no gradient says otherwise.
    params = fr.ItemParams(lead_time=0, holding_cost=1.0, stockout_cost=1.5)
    source = DemandSource(Believed(fr.Poisson(2.0), fr.Poisson(0.5)), params)
    reports = []
    config = replace(TINY, steps=60, head="order_up_to")
    policy = train_backprop(source, config, progress=lambda message, _: reports.append(message))
    assert any("begun anew" in message for message in reports)
    scenario = source.draw(np.random.default_rng(0), 500, 30)[0]
    trajectory = fr.simulate(policy, scenario, params)
    assert trajectory.order.mean() > 0.5
    assert trajectory.mean_cost < 0.8 * 3.0  # never ordering costs 1.5 · 2


def test_heads_are_chosen_by_the_system():
    encoder, config = make_encoder(SOURCE, together=False), BackpropConfig()
    assert candidate_heads(PARAMS, encoder, config) == ("direct", "order_up_to")
    assert candidate_heads(PARAMS, encoder, replace(config, steps=20)) == ("order_up_to",)
    assert candidate_heads(PARAMS, encoder, replace(config, head="direct")) == ("direct",)
    assert candidate_heads(replace(PARAMS, unmet_demand="backorder"), encoder, config) == ("order_up_to",)
    assert candidate_heads(replace(PARAMS, fixed_order_cost=5.0), encoder, config) == ("reorder",)
    network = fr.networks.dual_sourcing()
    assert candidate_heads(network, make_encoder(make_source("dual_sourcing")), config) == (None,)


def test_the_head_that_costs_less_after_a_trial_is_trained_on():
    reports = []
    config = replace(TINY, steps=60, trial_steps=20)
    train_backprop(SOURCE, config, progress=lambda message, _: reports.append(message))
    tried = [message.partition(":")[0] for message in reports]
    assert {"backprop (direct)", "backprop (order_up_to)"} == set(tried)
    assert sum(message.endswith("step 60 of 60, cost 1") or "step 60 of" in message for message in reports) == 1


def test_forecasts_that_differ_by_path_and_period_are_read_beforehand():
    scenario = fr.draw_scenario(fr.Seasonal(fr.Poisson(np.array([2.0, 9.0])), (0.5, 1.5)), 0, 20, 40, 3)
    params = fr.ItemParams(lead_time=2, stockout_cost=np.array([4.0, 9.0]))
    policy = train_backprop(PoolSource(scenario, params), replace(TINY, steps=30, periods=15))
    costs = [fr.simulate(p, scenario, params, warm_up=5).mean_cost for p in (policy, fr.make_policy("newsvendor"))]
    assert costs[0] <= costs[1]


FIXED = fr.ItemParams(lead_time=0, stockout_cost=9.0, fixed_order_cost=40.0, unmet_demand="backorder", pack_size=1)


def test_reorders_at_random_differ_in_one_period_alone_and_agree_on_chance():
    source = DemandSource(fr.Poisson(12.0), FIXED)
    policy = in_torch(random_network(source, "reorder"))
    batch = InventoryBatch(source, paths=40, periods=9, encoder=policy.encoder)
    batch.reset(np.random.default_rng(0))
    episodes = Episodes(batch, replace(TINY, periods=9))
    assert episodes.features is not None
    chance = torch.rand((9, 40, 1), generator=torch.Generator().manual_seed(0))
    both = [RandomReorders(policy, episodes.features, chance, 0.5, 4, orders) for orders in (True, False)]
    yes, no = (episodes.play(policy, one) for one in both)
    for t in range(4):
        np.testing.assert_array_equal(yes[t][1].order, no[t][1].order)
    assert (no[4][1].order == 0).all()
    assert (yes[4][1].order > 0).any()
    np.testing.assert_array_equal(both[0].probability.detach(), both[1].probability.detach())


def test_the_gradient_in_the_smallest_order_is_that_of_the_cost():
    # A constant (s, S) network: the derivative of its exact average cost by differences, for reorders at random.
    source = DemandSource(fr.Poisson(12.0), replace(FIXED, pack_size=None))
    encoder = replace(make_encoder(source, together=False), action="reorder")
    config = BackpropConfig(periods=160, warm_up=40, weighting="money")

    def at(smallest):
        layers = ((torch.zeros(encoder.size, 2), torch.tensor([0.0, smallest])),)
        policy = NeuralPolicy(encoder, layers, torch.zeros(encoder.size), torch.ones(encoder.size))
        policy.layers[0][1].requires_grad_(True)
        return policy

    slopes, costs = [], {-0.6: [], -0.4: []}
    for k in range(5):
        batch = InventoryBatch(source, paths=1500, periods=160, encoder=encoder)
        batch.reset(np.random.default_rng(k))
        episodes = Episodes(batch, config)
        policy = at(-0.5)
        episodes.reorder_cost(policy, 0.2, np.random.default_rng(k)).backward()
        slopes.append(policy.layers[0][1].grad[1].item())
        for smallest, found in costs.items():
            with torch.no_grad():
                found.append(episodes.reorder_cost(at(smallest), 0.2, np.random.default_rng(k)).item())
    differences = (np.array(costs[-0.4]) - np.array(costs[-0.6])) / 0.2
    error = np.hypot(np.std(slopes, ddof=1), np.std(differences, ddof=1)) / np.sqrt(5)
    assert abs(np.mean(differences)) > 10 * error  # a slope that can be told from none
    assert abs(np.mean(slopes) - np.mean(differences)) < 4 * error + 0.1 * abs(np.mean(differences))


def test_whether_to_reorder_is_learnt_in_a_period_of_review():
    source = DemandSource(fr.Poisson(12.0), replace(FIXED, review_period=5))
    policy = in_torch(random_network(source, "reorder"))
    bias = policy.layers[-1][1].requires_grad_(True)
    batch = InventoryBatch(source, paths=200, periods=20, encoder=policy.encoder)
    batch.reset(np.random.default_rng(0))
    episodes = Episodes(batch, replace(TINY, periods=20, warm_up=4))
    assert episodes.first_review() == 5
    episodes.reorder_cost(policy, 0.5, np.random.default_rng(0)).backward()
    assert abs(bias.grad[1]) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("mean", [12.0, 35.0])
def test_fixed_costs_are_learnt(mean):
    params = replace(FIXED, fixed_order_cost=64.0)
    policy = train_backprop(DemandSource(fr.Poisson(mean), params), BackpropConfig(seed=3))
    scenario = fr.draw_scenario(fr.Poisson(mean), 5, 2000, 300, 1)
    cost = fr.simulate(policy, scenario, params, warm_up=50).mean_cost
    assert cost < 1.01 * fr.exact.zheng_federgruen(fr.Poisson(mean), params).cost


def test_orders_with_a_fixed_cost_begin_in_the_cheapest_valley():
    """K = 64, mean 27: orders for two periods cost 3.4 % less than those for three, where training ended before."""
    params = fr.ItemParams(lead_time=0, stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder", pack_size=1)
    demand = fr.Poisson(27.0)
    policy = train_backprop(DemandSource(demand, params), replace(TINY, steps=2, periods=40, validation_paths=256))
    scenario = fr.draw_scenario(demand, seed=3, paths=400, periods=150, span=2)
    ways = {"two periods": (20, 61), "three periods": (20, 82)}
    costs = {
        name: fr.simulate(fr.make_policy("ss", reorder_point=s, order_up_to=up), scenario, params, warm_up=50).mean_cost
        for name, (s, up) in ways.items()
    }
    assert costs["three periods"] > 1.03 * costs["two periods"]
    assert fr.simulate(policy, scenario, params, warm_up=50).mean_cost < 1.02 * costs["two periods"]


@pytest.mark.parametrize("head", ["auto", pytest.param("reorder", marks=pytest.mark.slow)])
def test_a_training_that_is_interrupted_goes_on_to_the_last_bit(head, tmp_path):
    params = PARAMS if head == "auto" else replace(PARAMS, fixed_order_cost=60.0, pack_size=None)
    source = DemandSource(fr.Poisson(5.0), params)
    config = replace(TINY, steps=30, evaluate_every=5, trial_steps=10, head=head, seed=3)
    whole = train_backprop(source, config)
    stops, resumed, steps = [2, 1, 1], 0, []
    for stop in [*stops, 99]:
        seen = []

        def progress(message, share=None, seen=seen, stop=stop):
            seen.append(message)
            if len(seen) > stop:
                raise KeyboardInterrupt

        try:
            found = train_backprop(source, config, checkpoint=tmp_path, progress=progress)
        except KeyboardInterrupt:
            resumed += 1
        steps.append(seen)
    assert resumed == len(stops)
    assert not any("step 5 of" in message for message in steps[-1]), "it goes on from its checkpoint"
    for (weight, bias), (expected, expected_bias) in zip(found.layers, whole.layers, strict=True):
        np.testing.assert_array_equal(weight, expected)
        np.testing.assert_array_equal(bias, expected_bias)
    np.testing.assert_array_equal(found.spread, whole.spread)
    assert found.encoder == whole.encoder
    assert any(np.any(weight) for weight, _ in whole.layers[-1:]), "the newsvendor itself would prove nothing"


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    train_backprop(SOURCE, TINY, checkpoint=tmp_path)
    with pytest.raises(fr.FractileError, match="belongs to a fit with other options or other data"):
        train_backprop(SOURCE, replace(TINY, steps=30), checkpoint=tmp_path)
