"""The bridge: agents of Stable-Baselines3 as policies, kept without pickle."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

import fractile as fr
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.encoders import make_encoder
from fractile.envs.gym.observation import ObservationEncoder
from fractile.policies.actors import MlpActor, ModelActor
from fractile.policies.sb3 import SB3Policy
from fractile.policies.storage import load_policy, save_policy

LOST_SALES = "fractile/LostSales-v0"
PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1.0)
SMALL = {"net_arch": [8, 8]}


def env_of(**options):
    return fr.make_sb3_env(LOST_SALES, num_envs=4, periods=10, seed=0, **options)


def untrained(algorithm, env, **options):
    """An agent with random weights, whose outputs vary from state to state."""
    kwargs = {**SMALL, **options.pop("policy_kwargs", {})}
    agent = algorithm("MlpPolicy", env, seed=0, device="cpu", policy_kwargs=kwargs, **options)
    rng = np.random.default_rng(0)
    state = agent.policy.state_dict()
    for name, tensor in state.items():
        if name.endswith(("weight", "bias")):
            tensor.copy_(torch.as_tensor(rng.normal(0.0, 0.4, tuple(tensor.shape))))
    return agent


AGENTS = {
    "ppo": lambda env: untrained(PPO, env),
    "ppo_relu": lambda env: untrained(PPO, env, policy_kwargs={"activation_fn": torch.nn.ReLU}),
    "ppo_squashed": lambda env: untrained(PPO, env, use_sde=True, policy_kwargs={"squash_output": True}),
    "a2c_elu": lambda env: untrained(A2C, env, policy_kwargs={"activation_fn": torch.nn.ELU}),
    "sac": lambda env: untrained(SAC, env),
    "sac_sde": lambda env: untrained(SAC, env, use_sde=True),
    "td3_silu": lambda env: untrained(TD3, env, policy_kwargs={"activation_fn": torch.nn.SiLU}),
    "ddpg": lambda env: untrained(DDPG, env),
}
every_agent = pytest.mark.parametrize("name", AGENTS)


@every_agent
def test_the_actor_in_numpy_is_the_agent(name):
    env = env_of()
    agent = AGENTS[name](env)
    policy = SB3Policy(agent, env)
    assert isinstance(policy.model, MlpActor)
    rows = np.random.default_rng(1).normal(size=(50, env.observation_space.shape[0])).astype(np.float32)
    expected, _ = agent.predict(rows, deterministic=True)
    np.testing.assert_allclose(policy.model.act(rows.astype(np.float64)), expected, atol=1e-5)
    assert np.ptp(expected) > 0.5


def test_a_grid_agent_takes_the_action_of_highest_value():
    env = env_of(discrete=9)
    agent = untrained(DQN, env)
    policy = SB3Policy(agent, env)
    assert isinstance(policy.model, MlpActor)
    rows = np.random.default_rng(1).normal(size=(50, env.observation_space.shape[0])).astype(np.float32)
    expected, _ = agent.predict(rows, deterministic=True)
    assert len(set(expected.tolist())) > 3
    np.testing.assert_allclose(policy.model.act(rows.astype(np.float64))[:, 0], -1.0 + 0.25 * expected)


def mean_cost(policy, **options):
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=3, paths=64, periods=40, span=3)
    return fr.simulate(policy, scenario, PARAMS, **options).mean_cost


@pytest.mark.parametrize("discrete", [None, 9])
def test_the_policy_costs_in_a_simulation_what_the_agent_pays_in_its_environment(discrete):
    env = fr.make_sb3_env(LOST_SALES, num_envs=64, periods=40, seed=0, discrete=discrete)
    agent = untrained(PPO, env)
    policy = SB3Policy(agent, env)
    observed, rewards = env.reset(), []
    state, scenario = env.batch.state, env.batch.scenario.window(0, 40)
    for _ in range(40):
        action, _ = agent.predict(observed, deterministic=True)
        observed, reward, *_ = env.step(action)
        rewards.append(reward)
    run = fr.simulate(policy, scenario, PARAMS, initial_state=state)
    # float32 and float64 may round an order, rarely, to different whole units.
    np.testing.assert_allclose(run.cost[:, :, 0].T, -np.array(rewards), atol=0.05 * run.mean_cost * 40)
    assert np.mean(np.isclose(run.cost[:, :, 0].T, -np.array(rewards))) > 0.98


def test_agents_keep_the_contract_of_policies():
    env = fr.make_sb3_env(LOST_SALES, num_envs=2, lead_time=4)
    fr.check_policy(SB3Policy(untrained(SAC, env), env))


def normalised(env):
    wrapped = VecNormalize(env, clip_obs=3.0)
    wrapped.obs_rms.mean = np.linspace(-1.0, 1.0, env.observation_space.shape[0])
    wrapped.obs_rms.var = np.linspace(0.5, 4.0, env.observation_space.shape[0])
    return wrapped


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: normalised(env_of()),
        lambda: VecMonitor(normalised(env_of())),
        lambda: env_of(standardise=True),
        lambda: DummyVecEnv([lambda: Monitor(gym.make(LOST_SALES, periods=10))]),
        lambda: normalised(DummyVecEnv([lambda: gym.make(LOST_SALES, periods=10)])),
    ],
)
def test_statistics_of_wrappers_are_carried(wrap):
    env = wrap()
    if isinstance(env, VecNormalize):
        env.training = False
    agent = untrained(PPO, env)
    policy = SB3Policy(agent)  # the agent knows its environment
    core = env
    while hasattr(core, "venv"):
        core = core.venv
        if isinstance(core, VecNormalize):
            core.training = False
    owner = core.envs[0].unwrapped if isinstance(core, DummyVecEnv) else core
    observed = env.reset()
    for _ in range(5):
        expected, _ = agent.predict(observed, deterministic=True)
        np.testing.assert_allclose(policy.action(owner.batch.observe()), expected, atol=1e-4)
        observed, *_ = env.step(expected)


def test_vector_environments_of_gymnasium_are_read():
    env = gym.make_vec(LOST_SALES, num_envs=3, vectorization_mode="vector_entry_point")
    agent = untrained(PPO, env_of())
    assert SB3Policy(agent, env).encoder.size == env.unwrapped.single_observation_space.shape[0]


@every_agent
def test_policies_come_back_from_disk(name, tmp_path):
    env = normalised(env_of())
    policy = SB3Policy(AGENTS[name](env), env)
    policy.save(tmp_path)
    loaded = SB3Policy.load(tmp_path)
    assert mean_cost(loaded) == mean_cost(policy)
    assert loaded.algorithm == name.partition("_")[0]
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    save_policy("sac", policy, tmp_path)
    assert mean_cost(load_policy("sac", tmp_path)) == mean_cost(policy)


def test_a_kept_policy_orders_without_torch(tmp_path):
    env = env_of(standardise=True)
    SB3Policy(untrained(SAC, env), env).save(tmp_path)
    program = (
        "import sys, fractile as fr\n"
        f"policy = fr.SB3Policy.load({str(tmp_path)!r})\n"
        "scenario = fr.draw_scenario(fr.Poisson(5.0), seed=0, paths=2, periods=5, span=3)\n"
        "fr.simulate(policy, scenario, fr.ItemParams(lead_time=2))\n"
        "print(sorted({'torch', 'stable_baselines3'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[]", result.stderr


@every_agent
def test_a_zip_is_read_by_weights_alone(name, tmp_path, monkeypatch):
    env = env_of()
    agent = AGENTS[name](env)
    agent.save(tmp_path / "agent.zip")

    def refuse(*_, **__):
        raise AssertionError("a pickle was loaded")

    monkeypatch.setattr("cloudpickle.loads", refuse)
    monkeypatch.setattr("stable_baselines3.common.save_util.json_to_data", refuse)
    read = SB3Policy.from_zip(tmp_path / "agent.zip", env)
    assert mean_cost(read) == pytest.approx(mean_cost(SB3Policy(agent, env)), rel=1e-9)


def test_a_zip_of_a_grid_agent(tmp_path):
    env = env_of(discrete=9)
    agent = untrained(DQN, env)
    agent.save(tmp_path / "agent.zip")
    read = SB3Policy.from_zip(tmp_path / "agent.zip", env)
    assert mean_cost(read) == mean_cost(SB3Policy(agent, env))
    assert read.algorithm == "dqn"


class Extractor(BaseFeaturesExtractor):
    """A network of one's own."""

    def __init__(self, space):
        super().__init__(space, 6)
        self.linear = torch.nn.Linear(space.shape[0], 6)

    def forward(self, observations):
        return torch.sin(self.linear(observations))


def test_other_networks_order_through_the_agent_and_are_not_kept(tmp_path):
    env = env_of()
    agent = untrained(PPO, env, policy_kwargs={"features_extractor_class": Extractor})
    policy = SB3Policy(agent, env)
    assert isinstance(policy.model, ModelActor)
    assert mean_cost(policy) > 0
    with pytest.raises(fr.FractileError, match=r"network of its own, which cannot be kept .* model.save"):
        policy.save(tmp_path)
    agent.save(tmp_path / "agent.zip")
    with pytest.raises(fr.FractileError, match="no multi-layer perceptron"):
        SB3Policy.from_zip(tmp_path / "agent.zip", env)


def test_a_layer_of_ones_own_between_usual_names_is_found_out():
    env = env_of()
    agent = untrained(PPO, env)
    net = agent.policy.mlp_extractor.policy_net
    agent.policy.mlp_extractor.policy_net = torch.nn.Sequential(net[0], torch.nn.Softplus(), net[2], torch.nn.Tanh())
    assert isinstance(SB3Policy(agent, env).model, ModelActor)


class Halved(ObservationEncoder):
    """An encoder of one's own: half of the usual order."""

    def decode(self, action, obs):
        return 0.5 * super().decode(action, obs)

    def to_config(self):
        raise AttributeError("nothing to be said")


def test_encoders_of_ones_own_are_given_again(tmp_path):
    env = env_of(encoder=Halved(2))
    policy = SB3Policy(untrained(PPO, env), env)
    policy.save(tmp_path)
    with pytest.raises(fr.FractileError, match=r"encoder of its own, Halved: give it, SB3Policy.load\(folder, encoder"):
        SB3Policy.load(tmp_path)
    assert mean_cost(SB3Policy.load(tmp_path, encoder=Halved(2))) == mean_cost(policy)


def test_environments_that_cannot_be_read_are_refused():
    agent = untrained(PPO, env_of())
    with pytest.raises(fr.FractileError, match="VecFrameStack may change what agents see"):
        SB3Policy(agent, VecFrameStack(env_of(), 2))
    with pytest.raises(fr.FractileError, match="RescaleAction may change what agents see"):
        SB3Policy(agent, gym.wrappers.RescaleAction(gym.make(LOST_SALES), np.float32(0.0), np.float32(1.0)))
    with pytest.raises(fr.FractileError, match="is no environment of this package"):
        SB3Policy(agent, gym.make("CartPole-v1"))
    with pytest.raises(fr.FractileError, match=r"the agent reads observations of shape \(\d+,\)"):
        SB3Policy(agent, fr.make_sb3_env(LOST_SALES, lead_time=5))
    with pytest.raises(fr.FractileError, match="model must be a Stable-Baselines3 agent, got a str"):
        SB3Policy("ppo", env_of())


def test_zips_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(fr.FractileError, match="is no zip file of a Stable-Baselines3 model"):
        SB3Policy.from_zip(tmp_path / "text.zip", env_of())
    untrained(PPO, env_of()).save(tmp_path / "agent.zip")
    with pytest.raises(fr.FractileError, match="make it with the options of training"):
        SB3Policy.from_zip(tmp_path / "agent.zip", fr.make_sb3_env(LOST_SALES, lead_time=5))


@pytest.mark.parametrize("id_", ["fractile/DualSourcing-v0", "fractile/SharedCapacity-v0", "fractile/Perishable-v0"])
def test_policies_of_other_systems(id_):
    env = fr.make_sb3_env(id_, num_envs=3, periods=5, seed=0, standardise=True)
    policy = SB3Policy(untrained(PPO, env), env)
    env.reset()
    order = policy.order(env.batch.observe())
    assert order.shape == (3, env.batch.orders)


def test_a_policy_says_what_it_is_in_a_line():
    policy = SB3Policy(untrained(SAC, env_of()), algorithm="sac")
    assert repr(policy) == f"SB3Policy(sac, MlpActor({policy.encoder.size} → 8 → 8 → 1), share=1)"


def test_other_lead_times_than_those_of_training_are_said():
    env = env_of(lead_time=3, standardise=True)
    policies = {"mine": SB3Policy(untrained(SAC, env), env), "newsvendor": fr.make_policy("newsvendor")}
    notes = {}
    for lead_time in (2, 3):
        scenario = fr.draw_scenario(fr.Poisson(5.0), seed=1, paths=5, periods=10, span=lead_time + 1)
        params = fr.ItemParams(lead_time=lead_time, stockout_cost=4.0)
        notes[lead_time] = fr.compare(policies, scenario, params, baseline="newsvendor", checks=False).notes
    assert notes[2][0].startswith("mine was trained for lead times of up to 3, and the longest one here is 2: ")
    assert notes[3] == ()


def test_a_policy_of_one_item_orders_for_many():
    env = fr.make_sb3_env(LOST_SALES, num_envs=2, demand=fr.Poisson(np.array([2.0, 9.0, 30.0])), item=1)
    policy = SB3Policy(untrained(PPO, env), env)
    source_of_all = fr.draw_scenario(fr.Poisson(np.array([2.0, 9.0, 30.0])), seed=0, paths=4, periods=6, span=3)
    orders = fr.simulate(policy, source_of_all, PARAMS).order
    assert orders.shape == (4, 6, 3)
    alone = fr.simulate(policy, source_of_all.select(np.array([1])), PARAMS).order
    np.testing.assert_array_equal(orders[:, :, [1]], alone)


def test_shares_move_actions_towards_the_level():
    from dataclasses import replace

    env = env_of()
    policy = SB3Policy(untrained(PPO, env), env)
    batch = InventoryBatch(env.batch.source, paths=3, periods=4, encoder=make_encoder(env.batch.source))
    obs = batch.reset(np.random.default_rng(0))
    np.testing.assert_allclose(replace(policy, share=0.5).action(obs), 0.5 * policy.action(obs))
    nothing = replace(policy, share=0.0).order(obs)
    np.testing.assert_allclose(nothing, np.maximum(policy.target(obs) - obs.inventory_position, 0.0))


def test_agents_of_networks_are_simulated_and_compared():
    env = fr.make_sb3_env("fractile/DualSourcing-v0", num_envs=3, periods=5, seed=0)
    policy = SB3Policy(untrained(PPO, env), env)
    scenario, params = env.batch.source.draw(np.random.default_rng(0), 6, 12)
    other = fr.make_policy("single_index", regular_level=10, expedited_level=3)
    table = fr.compare({"agent": policy, "index": other}, scenario, params, baseline="index").table
    assert (table["cost"] > 0).all()
