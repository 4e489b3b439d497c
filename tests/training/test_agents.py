"""Training of agents: the best actor, options, checkpoints, tracking."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.gym.sources import DemandSource
from fractile.policies.actors import MlpActor
from fractile.training import AGENTS, AgentConfig, Tracking, TrainingProblem, train_agent, train_policy

PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1.0)
SOURCE = DemandSource(fr.Poisson(5.0), PARAMS)
REPLAYED = {"learning_starts": 32, "buffer_size": 400, "batch_size": 32, "gradient_steps": 1}
TINY = {
    "ppo": {"steps": 2048, "num_envs": 32, "options": {"n_steps": 8, "batch_size": 128}},
    "a2c": {"steps": 2048, "num_envs": 32},
    **{name: {"steps": 240, "num_envs": 8, "options": REPLAYED} for name in ("sac", "td3", "ddpg", "dqn")},
}


def tiny(name, **more):
    rest = {"periods": 20, "warm_up": 4, "evaluations": 4, "validation_paths": 32, "hidden": (8, 8)}
    return replace(AGENTS[name], **{**rest, **TINY[name], **more})


every_agent = pytest.mark.parametrize("name", AGENTS)


def simulated(policy):
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=3, paths=16, periods=30, span=3)
    return fr.simulate(policy, scenario, PARAMS).order


@every_agent
def test_every_agent_trains_and_is_a_policy(name, tmp_path):
    curve = []
    policy = train_agent(name, SOURCE, tiny(name), track=Tracking(record=curve.append))
    assert isinstance(policy.model, MlpActor)
    assert policy.algorithm == name
    assert [point["step"] for point in curve] == sorted({point["step"] for point in curve})
    assert curve[0]["step"] == 0
    assert curve[-1]["step"] >= tiny(name).steps
    np.testing.assert_allclose([p["best"] for p in curve], np.minimum.accumulate([p["cost"] for p in curve]))
    policy.save(tmp_path)
    np.testing.assert_array_equal(simulated(fr.SB3Policy.load(tmp_path)), simulated(policy))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_training_repeats_itself(name):
    first, second = (train_agent(name, SOURCE, tiny(name)) for _ in range(2))
    np.testing.assert_array_equal(simulated(first), simulated(second))


def test_the_best_actor_is_returned_and_not_the_last_one():
    curve, config = [], tiny("ppo", learning_rate=0.3, evaluations=16)  # so fast that it gets worse
    policy = train_agent("ppo", SOURCE, config, track=Tracking(record=curve.append))
    costs = [point["cost"] for point in curve]
    assert costs[-1] > min(costs)
    # The actor that was kept costs on the validation episodes what the curve says of the best.
    from fractile.envs.gym.batch import InventoryBatch
    from fractile.randomness import keyed_generator
    from fractile.training.agents import Validation

    judge = InventoryBatch(SOURCE, paths=32, periods=20, encoder=policy.encoder.encoder)
    judge.reset(keyed_generator(0, "ppo", "validation"))
    assert Validation(judge, config).cost(policy) == pytest.approx(min(costs), rel=1e-6)


@pytest.mark.parametrize("name", ["ppo", "sac", "td3", "dqn"])
def test_an_interrupted_training_continues(name, tmp_path):
    config = tiny(name)

    class StoppedError(Exception):
        pass

    def stop(point):
        if point["step"] > 0:
            raise StoppedError

    whole, rest = [], []
    with pytest.raises(StoppedError):
        train_agent(name, SOURCE, config, track=Tracking(stop, tmp_path))
    first = tmp_path / "state.json"
    assert not first.exists() or '"step": 0' in first.read_text()
    train_agent(name, SOURCE, config, track=Tracking(whole.append, tmp_path))
    assert not list(tmp_path.glob("*.pkl"))
    # It is over: there is nothing left to train, and the same actor comes back.
    again = train_agent(name, SOURCE, config, track=Tracking(rest.append, tmp_path))
    assert rest == []
    other = train_agent(name, SOURCE, config, track=Tracking(rest.append, tmp_path))
    np.testing.assert_array_equal(simulated(again), simulated(other))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_continued_training_goes_on_where_it_stood(name, tmp_path):
    points = []

    def stop_later(point):
        points.append(point)
        if len(points) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_agent(name, SOURCE, tiny(name), track=Tracking(stop_later, tmp_path))
    rest = []
    train_agent(name, SOURCE, tiny(name), track=Tracking(rest.append, tmp_path))
    # The point that the interruption fell on was not kept yet; those before it are not made again.
    assert rest[0]["step"] > points[1]["step"]
    assert rest[-1]["step"] >= tiny(name).steps


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    train_agent("ppo", SOURCE, tiny("ppo"), track=Tracking(checkpoint=tmp_path))
    with pytest.raises(fr.FractileError, match="holds a training with another configuration"):
        train_agent("ppo", SOURCE, tiny("ppo", seed=1), track=Tracking(checkpoint=tmp_path))
    next(tmp_path.glob("weights-*.pt")).write_bytes(b"broken")
    with pytest.raises(fr.FractileError, match=r"cannot be read .* begin it anew"):
        train_agent("ppo", SOURCE, tiny("ppo"), track=Tracking(checkpoint=tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_tensorboard_is_an_extra(tmp_path):
    with pytest.raises(fr.FractileError, match=r"TensorBoard is not installed: pip install 'fractile\[track\]'"):
        train_agent("ppo", SOURCE, tiny("ppo"), track=Tracking(tensorboard=tmp_path))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pp0", {}, "unknown algorithm 'pp0'; did you mean 'ppo'"),
        ("ppo", {"options": {"n_stpes": 3}}, "ppo has no option 'n_stpes'; did you mean 'n_steps'"),
        ("sac", {"options": {"n_epochs": 3}}, "sac has no option 'n_epochs'"),
        ("ppo", {"action_noise": 0.1}, "ppo takes no action_noise"),
        ("dqn", {"discrete": None}, "dqn chooses one of a few actions: give discrete"),
    ],
)
def test_options_of_agents_are_checked(name, options, message):
    with pytest.raises(fr.FractileError, match=message):
        train_agent(name, SOURCE, replace(AgentConfig(), **options))


@pytest.mark.skipif(importlib.util.find_spec("sb3_contrib") is not None, reason="sb3-contrib is installed")
def test_algorithms_of_other_packages_say_what_to_install():
    with pytest.raises(fr.FractileError, match="tqc needs the package sb3_contrib: pip install sb3-contrib"):
        train_agent("tqc", SOURCE)


def test_policies_are_trained_by_name_with_arguments_of_their_class():
    problem = TrainingProblem.of_source(SOURCE, paths=16, periods=30)
    config = tiny("a2c")
    options = {"steps": 1024, "num_envs": 16, "periods": 10, "n_steps": 4, "hidden": [8]}
    policy = train_policy("a2c", problem, options)
    assert policy.model.layers[0][0].shape[1] == 8
    assert config.options["n_steps"] == 8
    with pytest.raises(fr.FractileError, match="unknown training option 'n_stepz'; did you mean 'n_steps'"):
        train_policy("a2c", problem, {"n_stepz": 4})


def test_a_reward_may_be_scale_free():
    params = fr.ItemParams(lead_time=1, stockout_cost=4.0, holding_cost=np.array([1.0, 30.0]))
    source = DemandSource(fr.Poisson(np.array([2.0, 20.0])), params)
    curve = []
    train_agent("a2c", source, tiny("a2c", scale_free_reward=True), track=Tracking(record=curve.append))
    assert 0.1 < curve[0]["cost"] < 10.0
