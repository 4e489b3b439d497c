"""Tuning and training, small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fractile as fr
from fractile import train_policy
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.observation import ObservationEncoder
from fractile.envs.gym.sources import DemandSource, PoolSource
from fractile.policies.neural import NeuralPolicy
from fractile.policies.newsvendor import TunedNewsvendor
from fractile.policies.rollout import roll
from fractile.policies.storage import load_policy, save_policy
from fractile.training import AGENTS, AgentConfig, BackpropConfig, TrainingProblem
from fractile.training.agents import train_ppo
from fractile.training.backprop import (
    rollout_cost,
    train_backprop,
)
from fractile.training.tune import tune_policy

PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1)
SOURCE = DemandSource(fr.Poisson(5.0), PARAMS)
TINY = BackpropConfig(steps=20, paths=32, periods=20, warm_up=4, evaluate_every=10, validation_paths=64)


def scenario_of(seed, paths=64, periods=60):
    return fr.draw_scenario(fr.Poisson(5.0), seed=seed, paths=paths, periods=periods, span=3)


def in_torch(policy):
    layers = [tuple(torch.as_tensor(x, dtype=torch.float32) for x in layer) for layer in policy.layers]
    shift, spread = (torch.as_tensor(x, dtype=torch.float32) for x in (policy.shift, policy.spread))
    return replace(policy, layers=tuple(layers), shift=shift, spread=spread)


def constant_network(action, **options):
    """A network that puts out the same action whatever it reads."""
    encoder = ObservationEncoder(2, **options)
    layers = ((np.zeros((encoder.size, 1)), np.array([action])),)
    return NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size))


def test_the_tuned_newsvendor_beats_the_plain_one_on_fresh_demand():
    tuned = tune_policy("tuned_newsvendor", scenario_of(0), PARAMS).policy
    fresh = scenario_of(1)
    plain, better = (fr.simulate(p, fresh, PARAMS, warm_up=10).mean_cost for p in (fr.make_policy("newsvendor"), tuned))
    assert better < 0.96 * plain


def test_the_tuned_base_stock_finds_the_best_level():
    # Zipkin's instance: the best level is 16 (4.6386); its neighbours cost within a few hundredths.
    level = tune_policy("base_stock", scenario_of(0, paths=256), PARAMS).policy.level
    assert abs(level[0] - 16) <= 3


def test_the_tuned_constant_order_is_below_mean_demand():
    assert 3.0 <= tune_policy("constant_order", scenario_of(0), PARAMS).policy.quantity[0] <= 5.0


def test_gradients_of_the_simulator_match_differences():
    # Continuous demand and orders: whole units would sit on the kinks of the cost.
    source = DemandSource(fr.Normal(5.0, 1.6), replace(PARAMS, pack_size=None))
    batch = InventoryBatch(source, paths=256, periods=12)
    batch.reset(np.random.default_rng(0))
    config = replace(TINY, periods=12)
    policy = train_backprop(source, replace(TINY, steps=1, evaluate_every=1))
    weight, bias = policy.layers[-1]

    def cost(shift):
        moved = in_torch(replace(policy, layers=(*policy.layers[:-1], (weight, bias + shift))))
        moved.layers[-1][1].requires_grad_(True)
        value = rollout_cost(moved, batch, config)
        value.backward()
        return value.item(), moved.layers[-1][1].grad.item()

    (low, _), (high, _), (_, slope) = cost(-0.01), cost(0.01), cost(0.0)
    np.testing.assert_allclose((high - low) / 0.02, slope, rtol=0.1)


def test_the_cost_of_a_rollout_leaves_the_warm_up_out():
    batch = InventoryBatch(SOURCE, paths=16, periods=12)
    batch.reset(np.random.default_rng(0))
    config = replace(TINY, periods=12, warm_up=5, weighting="money")
    rollout = roll(constant_network(0.3), batch.scenario.window(0, 12), batch.params, batch.state)
    expected = np.mean([outcome.cost for _, outcome in rollout][5:])
    np.testing.assert_allclose(rollout_cost(in_torch(constant_network(0.3)), batch, config).item(), expected, rtol=1e-5)


def test_the_best_network_is_returned_and_not_the_last_one():
    reports = []
    config = replace(TINY, steps=3, evaluate_every=1, learning_rate=10.0)
    policy = train_backprop(SOURCE, config, progress=lambda *report: reports.append(report[0]))
    assert min(float(message.rpartition("cost ")[2]) for message in reports) > 1.0
    # Every step made it worse: what is returned is the newsvendor that training started from.
    assert not policy.layers[-1][0].any()


def test_episodes_of_the_validation_source_choose_the_network():
    class Recorded:
        def __init__(self):
            self.paths = []

        def __getattr__(self, name):
            return getattr(SOURCE, name)

        def prepare(self, periods, encoder):
            return self

        def draw(self, rng, paths, periods):
            self.paths.append(paths)
            return SOURCE.draw(rng, paths, periods)

    training, validation = Recorded(), Recorded()
    train_backprop(training, replace(TINY, steps=2), validation=validation)
    assert validation.paths == [TINY.validation_paths]
    assert training.paths == [TINY.paths] * 2


def test_backprop_is_deterministic_and_starts_from_the_newsvendor():
    first, second = (train_backprop(SOURCE, TINY) for _ in range(2))
    np.testing.assert_array_equal(first.layers[-1][0], second.layers[-1][0])
    untrained = train_backprop(SOURCE, replace(TINY, learning_rate=1e-12))
    scenario = scenario_of(2)
    newsvendor = fr.simulate(fr.make_policy("newsvendor"), scenario, PARAMS, initial_state=None)
    np.testing.assert_allclose(
        fr.simulate(untrained, scenario, PARAMS, warm_up=10).mean_cost,
        newsvendor.cost[:, 10:].mean(),
        rtol=0.02,
    )


def test_a_few_steps_of_backprop_help():
    trained = train_backprop(SOURCE, replace(TINY, steps=60, learning_rate=1e-2))
    scenario = scenario_of(3)
    costs = [fr.simulate(p, scenario, PARAMS, warm_up=10).mean_cost for p in (trained, fr.make_policy("newsvendor"))]
    assert costs[0] < 0.95 * costs[1]


def test_ppo_is_deterministic_and_returns_a_policy_without_its_library(tmp_path):
    config = AgentConfig(steps=4096, num_envs=32, periods=20, options={"n_steps": 32, "batch_size": 256})
    first, second = (train_ppo(SOURCE, config) for _ in range(2))
    for a, b in zip(first.model.layers, second.model.layers, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    save_policy("ppo", first, tmp_path)
    kept = load_policy("ppo", tmp_path)
    scenario = scenario_of(4, paths=8)
    np.testing.assert_array_equal(fr.simulate(kept, scenario, PARAMS).order, fr.simulate(first, scenario, PARAMS).order)


def test_classical_policies_are_tuned_on_what_is_set_apart_for_them():
    cheap, dear = scenario_of(0), fr.draw_scenario(fr.Poisson(9.0), seed=0, paths=16, periods=40, span=3)
    problem = TrainingProblem(cheap, PARAMS, tuning=dear)
    assert train_policy("constant_order", problem).quantity[0] > 6


def test_given_parameters_are_not_tuned():
    problem = TrainingProblem(scenario_of(0), PARAMS)
    assert train_policy("base_stock", problem, {"level": 17}).level == 17.0
    assert train_policy("tuned_newsvendor", problem, {"scale": 0.5}).scale == 0.5


def test_unknown_training_options_are_refused():
    problem = TrainingProblem(scenario_of(0), PARAMS)
    with pytest.raises(fr.FractileError, match="did you mean 'learning_rate'"):
        train_policy("backprop", problem, {"learning_rat": 1})


def test_networks_begin_at_the_tuned_newsvendor():
    # Too short to keep periods for choosing: the network itself is returned.
    problem = TrainingProblem(scenario_of(0, periods=8), PARAMS, backprop_steps=1)
    policy = train_policy("backprop", problem, {"learning_rate": 1e-12})
    assert isinstance(problem.newsvendor, TunedNewsvendor)
    assert policy.encoder.level_scale == problem.newsvendor.scale
    assert policy.encoder.level_shift == problem.newsvendor.shift


@pytest.mark.parametrize("name", ["backprop", "ppo", "sac"])
def test_history_trains_with_its_own_defaults(name, monkeypatch):
    given = {}

    def trainer(*arguments, **start):
        given.update(config=arguments[-1], source=arguments[-2], **start)
        return constant_network(0.0)

    trainers = {"backprop": "backprop.train_backprop"}
    monkeypatch.setattr(f"fractile.training.{trainers.get(name, 'agents.train_agent')}", trainer)
    problem = TrainingProblem(scenario_of(0, periods=30), PARAMS, seed=5, backprop_steps=7, ppo_steps=9)
    train_policy(name, problem, {"hidden": [4, 4]})
    config = given["config"]
    assert (config.seed, config.periods, config.warm_up, config.hidden) == (5, 19, 2, (4, 4))
    assert (given["level_scale"], given["level_shift"]) == (problem.newsvendor.scale, problem.newsvendor.shift)
    steps = {"backprop": 7, "ppo": 9, "sac": AGENTS["sac"].steps}
    assert config.steps == steps[name]
    if name != "backprop":
        assert config.learning_rate == pytest.approx(0.3 * AGENTS[name].learning_rate)


def test_items_that_validate_are_none_that_train():
    demand = fr.Poisson(np.arange(1.0, 11.0))
    problem = TrainingProblem(fr.draw_scenario(demand, seed=0, paths=2, periods=10, span=3), PARAMS)
    train, held = problem.split_items()
    assert isinstance(train, PoolSource)
    assert (train.scenario.items, held.scenario.items) == (8, 2)
    means = np.concatenate([s.scenario.demand.mean((0, 1)) for s in (train, held)])
    np.testing.assert_allclose(
        np.sort(means), np.sort(problem.scenario.demand[:, : problem.judging_start].mean((0, 1)))
    )


def test_nobody_trains_on_the_stretch_that_is_kept():
    scenario = scenario_of(0, paths=32, periods=30)
    problem = TrainingProblem(scenario, PARAMS, kept=scenario_of(1, paths=8, periods=20))
    assert problem.judging_start == 30  # all of the scenario is trained on
    assert problem.training_size == 32 * 30
    assert problem.choosing == (problem.kept, 2)


@pytest.mark.parametrize("item", [None, 1])
def test_a_problem_of_a_source_draws_its_items_side_by_side(item):
    params = fr.ItemParams(lead_time=np.array([1, 2]), holding_cost=1.0, stockout_cost=np.array([4.0, 9.0]))
    source = DemandSource(fr.Poisson(np.array([2.0, 20.0])), params, item=item)
    problem = TrainingProblem.of_source(source, seed=3, paths=40, periods=50)
    means = problem.scenario.demand.mean((0, 1))
    expected = np.array([2.0, 20.0]) if item is None else np.array([20.0])
    np.testing.assert_allclose(means, expected, atol=4 * np.sqrt(20.0 / 2000))
    np.testing.assert_array_equal(problem.params.lead_time, [1, 2] if item is None else [2])
    assert (problem.kept.demand != problem.scenario.demand).any()
    assert problem.source is source
    again = TrainingProblem.of_source(source, seed=3, paths=40, periods=50)
    np.testing.assert_array_equal(again.kept.demand, problem.kept.demand)


def test_networks_train_on_the_source_and_classical_policies_on_what_was_drawn(monkeypatch):
    given = {}

    def trainer(source, config, **start):
        given.update(source=source, config=config)
        return constant_network(0.0)

    monkeypatch.setattr("fractile.training.backprop.train_backprop", trainer)
    problem = TrainingProblem.of_source(SOURCE, seed=7)
    train_policy("backprop", problem, {"steps": 5})
    assert given["source"] is SOURCE
    assert (given["config"].seed, given["config"].steps, given["config"].periods) == (7, 5, BackpropConfig().periods)
    level = train_policy("base_stock", problem).level
    assert level.shape == (1,)
    assert abs(level[0] - 16) <= 2


def test_a_source_of_a_network_gives_a_problem_of_all_its_locations():
    from fractile.envs.gym.sources import JointSource
    from fractile.envs.networks import dual_sourcing

    network = dual_sourcing(
        regular_lead_time=2, holding_cost=5.0, stockout_cost=95.0, regular_cost=0.0, expedited_cost=5.0
    )
    problem = TrainingProblem.of_source(JointSource(fr.Poisson(4.0), network), paths=3, periods=20)
    assert problem.scenario.items == network.locations
    assert problem.params is network
