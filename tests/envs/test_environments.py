"""Every registered environment: checkers, determinism, pickling, and one dynamics behind three interfaces."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from scipy import stats
from stable_baselines3.common.env_checker import check_env as check_sb3_env

import fractile as fr
from fractile import FractileError, Poisson
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.inventory_env import InventoryEnv
from fractile.envs.gym.observation import SMALLEST_SCALE
from fractile.envs.gym.registration import ENVIRONMENTS
from fractile.envs.gym.vector_env import InventoryVectorEnv
from fractile.policies.rollout import roll

IDS = sorted(ENVIRONMENTS)
every_id = pytest.mark.parametrize("id_", IDS)


def actions(n: int, envs: int = 1, seed: int = 0, width: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, (n, envs, width)).astype(np.float32)


def width_of(id_: str) -> int:
    """Orders in a period: items, or links of a network."""
    return gym.make(id_).action_space.shape[0]


def episode(env: gym.Env, seed: int, steps: int = 6) -> list:
    rows = [env.reset(seed=seed)[0]]
    for action in actions(steps, width=env.action_space.shape[0]):
        obs, reward, *_ = env.step(action[0])
        rows.extend([obs, reward])
    return rows


def same(one: list, other: list) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@every_id
def test_gymnasium_checks_pass(id_):
    with warnings.catch_warnings():
        # Inventory has no bound in units: the one remark of the checker on observations.
        warnings.filterwarnings("ignore", message=".*observation space m.*value is.*infinity.*")
        check_env(gym.make(id_, render_mode="rgb_array").unwrapped)


@every_id
def test_stable_baselines_checks_pass(id_):
    check_sb3_env(gym.make(id_).unwrapped)


@every_id
def test_seeds_decide_everything(id_):
    env = gym.make(id_)
    one, again, other = (episode(env, seed) for seed in (3, 3, 4))
    assert same(one, again)
    assert not same(one, other)
    assert same(one, episode(gym.make(id_), 3))


@every_id
def test_without_a_seed_episodes_differ_and_go_on_from_the_seed(id_):
    env = gym.make(id_)
    runs = []
    for _ in range(2):
        env.reset(seed=1)
        runs.append([env.reset()[0] for _ in range(3)])
    assert same(runs[0], runs[1])
    assert not np.array_equal(runs[0][1], runs[0][2])


@every_id
def test_specs_are_json(id_):
    spec = EnvSpec.from_json(gym.make(id_).spec.to_json())
    assert spec.id == id_
    assert isinstance(gym.make(spec).unwrapped, InventoryEnv)


@every_id
def test_pickled_environments_go_on_alike(id_):
    env = gym.make(id_).unwrapped
    episode(env, 3)
    copy = pickle.loads(pickle.dumps(env))
    for action in actions(5, seed=1, width=width_of(id_)):
        for a, b in zip(env.step(action[0])[:2], copy.step(action[0])[:2], strict=True):
            np.testing.assert_array_equal(a, b)


@every_id
def test_spaces_are_those_of_the_docstring(id_):
    env = gym.make(id_).unwrapped
    assert env.observation_space.dtype == np.float32
    assert env.observation_space.shape == (len(env.feature_names),)
    assert env.action_space == gym.spaces.Box(-1.0, 1.0, (width_of(id_),), np.float32)
    obs, info = env.reset(seed=0)
    assert obs.dtype == np.float32
    assert info == {"period": 0}


@pytest.mark.parametrize("id_", [id_ for id_ in IDS if width_of(id_) == 1])
def test_forecast_quantiles_are_in_the_observation(id_):
    env = gym.make(id_).unwrapped
    obs, _ = env.reset(seed=0)
    forecast, params = env.batch.scenario.forecast(0), env.batch.params
    span = int(np.asarray(params.protection_interval).item())
    scale = max(forecast.total(span).mean().item() / span, SMALLEST_SCALE)
    for level in (0.1, 0.9):
        nearest = obs[env.feature_names.index(f"next_period_quantile_{level:g}")]
        assert nearest == pytest.approx(forecast.quantile(level)[0, 0, 0] / scale, rel=1e-5)
        protection = obs[env.feature_names.index(f"protection_quantile_{level:g}")]
        assert protection == pytest.approx(forecast.total(span).quantile(level).item() / scale, rel=1e-5)


@every_id
def test_types_of_a_step(id_):
    env = gym.make(id_).unwrapped
    env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(np.zeros(width_of(id_), dtype=np.float32))
    assert obs.dtype == np.float32
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert reward == pytest.approx(-np.sum(info["cost"]), rel=1e-12)
    more = {"fractile/Perishable-v0": {"waste"}, "fractile/SharedCapacity-v0": {"capacity_price"}}.get(id_, set())
    usual = {"order", "received", "sales", "shortfall", "on_hand", "cost", "demand", "period"}
    assert set(info) == usual | more


@every_id
def test_episodes_end_by_truncation_only(id_):
    env = gym.make(id_, periods=4)
    env.reset(seed=0)
    ends = [env.step(action[0])[2:4] for action in actions(4, width=width_of(id_))]
    assert ends == [(False, False)] * 3 + [(False, True)]


@every_id
def test_single_vector_and_stable_baselines_are_one(id_):
    periods, steps, seed = 5, 13, 7
    single = gym.make(id_, periods=periods).unwrapped
    vector = gym.make_vec(id_, num_envs=1, periods=periods, autoreset_mode="SameStep")
    native = fr.make_sb3_env(id_, num_envs=1, periods=periods, seed=seed)
    one, _ = single.reset(seed=seed)
    many, _ = vector.reset(seed=seed)
    np.testing.assert_array_equal(many[0], one)
    np.testing.assert_array_equal(native.reset()[0], one)
    for action in actions(steps, width=width_of(id_)):
        one, reward, _, truncated, _ = single.step(action[0])
        many, rewards, _, truncations, info = vector.step(action)
        rows, native_rewards, dones, infos = native.step(action)
        assert rewards[0] == reward
        assert native_rewards[0] == np.float32(reward)
        assert truncations[0] == dones[0] == truncated
        if truncated:
            np.testing.assert_array_equal(info["final_obs"][0], one)
            np.testing.assert_array_equal(infos[0]["terminal_observation"], one)
            one, _ = single.reset()
        np.testing.assert_array_equal(many[0], one)
        np.testing.assert_array_equal(rows[0], one)


@every_id
def test_vector_spaces(id_):
    env = gym.make_vec(id_, num_envs=4, vectorization_mode="vector_entry_point")
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space
    assert env.action_space.shape == (4, width_of(id_))
    assert env.unwrapped.feature_names == gym.make(id_).unwrapped.feature_names


def test_max_episode_steps_of_a_vector_environment():
    options = {"num_envs": 2, "max_episode_steps": 3, "autoreset_mode": "SameStep"}
    env = gym.make_vec("fractile/LostSales-v0", **options)
    env.reset(seed=0)
    ends = [bool(env.step(np.zeros((2, 1), dtype=np.float32))[3].all()) for _ in range(6)]
    assert ends == [False, False, True, False, False, True]


@every_id
def test_what_was_returned_is_not_overwritten(id_):
    vector = gym.make_vec(id_, num_envs=2, vectorization_mode="vector_entry_point", periods=3)
    native = fr.make_sb3_env(id_, num_envs=2, periods=3, seed=0)
    vector.reset(seed=0)
    native.reset()
    for step in (vector.step, native.step):
        kept = []
        for action in actions(7, 2, width=width_of(id_)):
            parts = step(action)[:2]
            kept.append((parts, [part.copy() for part in parts]))
            parts[1].flags.writeable = True
        for parts, copies in kept:
            for part, copy in zip(parts, copies, strict=True):
                np.testing.assert_array_equal(part, copy)


def test_returned_arrays_can_be_changed_without_harm():
    # PPO adds the bootstrap value to rewards in place, VecNormalize overwrites observations.
    one, other = (fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, periods=4, seed=1) for _ in range(2))
    one.reset()[...] = np.nan
    other.reset()
    for action in actions(9, 3):
        got, expected = one.step(action), other.step(action)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])
        got[0][...], got[1][...] = np.nan, np.nan


def test_one_empty_info_serves_all_that_are_not_done():
    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, periods=2, seed=0)
    env.reset()
    _, _, done, infos = env.step(np.zeros((3, 1)))
    assert not done.any()
    assert infos[0] == {}
    assert infos[0] is infos[1] is infos[2]


@every_id
def test_ends_of_native_environments(id_):
    env = fr.make_sb3_env(id_, num_envs=3, periods=2, seed=0)
    env.reset()
    env.step(np.zeros((3, width_of(id_))))
    obs, _, done, infos = env.step(np.zeros((3, width_of(id_))))
    assert done.all()
    for row, info in zip(obs, infos, strict=True):
        assert info["TimeLimit.truncated"] is True
        assert info["terminal_observation"].shape == row.shape
        assert (info["terminal_observation"] != row).any()


def test_native_environments_repeat_their_seed():
    runs = []
    for seed in (1, 1, 2):
        env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=4, seed=seed)
        runs.append([env.reset(), *(env.step(action)[0] for action in actions(4, 4))])
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_rewards_can_be_scaled():
    plain, tenth = (fr.make_sb3_env("fractile/LostSales-v0", num_envs=2, seed=0, reward_scale=s) for s in (1.0, 0.1))
    plain.reset(), tenth.reset()
    for action in actions(5, 2):
        np.testing.assert_allclose(0.1 * plain.step(action)[1], tenth.step(action)[1], rtol=1e-6)


def test_scale_free_rewards_are_costs_over_holding_cost_and_mean():
    options = {"num_envs": 2, "seed": 0, "holding_cost": 2.0, "demand": Poisson(8.0)}
    plain = fr.make_sb3_env("fractile/LostSales-v0", **options)
    free = fr.make_sb3_env("fractile/LostSales-v0", **options, scale_free_reward=True)
    plain.reset(), free.reset()
    for action in actions(5, 2):
        np.testing.assert_allclose(plain.step(action)[1] / 16.0, free.step(action)[1], rtol=1e-6)


def test_scale_free_rewards_are_over_the_highest_holding_cost_of_items_together():
    params = fr.ItemParams(lead_time=1, holding_cost=np.array([1.0, 4.0, 1.0, 1.0, 1.0]), unmet_demand="backorder")
    options = {"num_envs": 2, "seed": 0, "params": params, "demand": Poisson(np.full(5, 2.0))}
    plain = fr.make_sb3_env("fractile/SharedCapacity-v0", **options)
    free = fr.make_sb3_env("fractile/SharedCapacity-v0", **options, scale_free_reward=True)
    plain.reset(), free.reset()
    for action in actions(5, 2, width=5):
        np.testing.assert_allclose(plain.step(action)[1] / (10.0 * 4.0), free.step(action)[1], rtol=1e-6)


def test_episodes_begin_around_the_newsvendors_target():
    # Mean demand is under way in both slots; of what is then left of the level, 0 to 1.5 times as much is on hand.
    source = make_source("lost_sales", lead_time=2, stockout_cost=9.0, pack_size=None)
    batch = InventoryBatch(source, paths=4000, periods=3)
    batch.reset(np.random.default_rng(0))
    np.testing.assert_array_equal(batch.state.pipeline, 5.0)
    on_hand, rest = batch.state.net_inventory, stats.poisson(15).ppf(0.9) - 10.0
    assert 0 <= on_hand.min() < 0.05 * rest
    assert 1.45 * rest < on_hand.max() <= 1.5 * rest
    assert abs(on_hand.mean() - 0.75 * rest) < 4 * on_hand.std() / np.sqrt(4000)


def test_attributes_of_native_environments():
    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, seed=0)
    assert env.get_attr("num_envs") == [3, 3, 3]
    assert env.get_attr("num_envs", indices=[0]) == [3]
    assert env.env_is_wrapped(gym.Wrapper) == [False] * 3
    with pytest.raises(ValueError, match="leave out `indices`"):
        env.set_attr("render_mode", None, indices=[0])


def test_an_item_can_be_chosen():
    demand = Poisson(np.array([1.0, 500.0]))
    env = gym.make("fractile/LostSales-v0", demand=demand, item=1, params=fr.ItemParams(lead_time=1)).unwrapped
    for seed in range(4):
        env.reset(seed=seed)
        assert env.step(np.zeros(1))[4]["demand"] > 300


def test_options_are_fields_of_the_parameters():
    env = gym.make("fractile/Backorder-v0", lead_time=4, stockout_cost=19.0).unwrapped
    assert env.batch.source.params.lead_time == 4
    assert env.batch.source.params.unmet_demand == "backorder"
    assert "arriving_4" in env.feature_names


def test_starting_empty():
    env = InventoryEnv("lost_sales", start="empty")
    env.reset(seed=0)
    assert not env.batch.state.net_inventory.any()
    assert not env.batch.state.pipeline.any()


FORECAST = Poisson(5.0).forecast(200)

BAD = [
    (lambda: InventoryEnv("lost_sale"), "unknown system 'lost_sale'; did you mean 'lost_sales'"),
    (lambda: InventoryEnv(lead_tmie=3), "unknown option 'lead_tmie'; did you mean 'lead_time'"),
    (lambda: InventoryEnv(lead_time=1.5), "lead_time must be an integer >= 0"),
    (lambda: InventoryEnv(start="full"), "start must be 'target' or 'empty', got 'full'"),
    (lambda: InventoryEnv(action="quantity"), "action"),
    (lambda: InventoryEnv(periods=0), "at least one period"),
    (lambda: InventoryEnv(item=7), "item"),
    (lambda: InventoryEnv(params=fr.ItemParams(), lead_time=2), "either params or single fields, not both: lead_time"),
    (lambda: InventoryEnv("forecast_driven", mode="evolve"), "mode must be"),
    (lambda: InventoryEnv("forecast_driven", forecast=FORECAST, mode="rolled"), "rolled"),
    (lambda: InventoryEnv("lost_sales", forecast=FORECAST), "forecast"),
    (lambda: InventoryVectorEnv(num_envs=0), "one path"),
    (lambda: fr.make_sb3_env("fractile/LostSale-v0"), "unknown environment 'fractile/LostSale-v0'; did you mean"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_options_give_clear_errors(make, message):
    with pytest.raises(FractileError, match=message):
        make()


def test_bad_render_mode():
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        InventoryEnv(render_mode="human")


@every_id
def test_pictures(id_):
    env = gym.make(id_, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    first = env.render()
    for action in actions(3, width=width_of(id_)):
        env.step(action[0])
    assert first.shape == env.render().shape == (600, 960, 3)
    assert first.dtype == np.uint8
    assert (env.render() != first).any()
    assert gym.make(id_).unwrapped.render() is None


class Replays:
    """Plays actions that were written down, on tensors."""

    def __init__(self, encoder, played):
        self.encoder, self.played = encoder, played

    def order(self, obs):
        action = torch.as_tensor(self.played[obs.period].astype(np.float64))
        return self.encoder.decode(action.clip(-1.0, 1.0), obs)


@every_id
def test_the_differentiable_rollout_is_the_environment(id_):
    steps, env = 8, gym.make(id_, periods=8).unwrapped
    env.reset(seed=5)
    batch, played = env.batch, actions(steps, width=width_of(id_))
    state = type(batch.state)(*(torch.as_tensor(np.array(x)).requires_grad_() for x in batch.state))
    scenario = replace(batch.scenario, demand=torch.as_tensor(batch.scenario.demand)).window(0, steps)
    rolled = list(roll(Replays(batch.encoder, played), scenario, batch.params, state))
    for action, (_, outcome) in zip(played, rolled, strict=True):
        _, reward, *_, info = env.step(action[0])
        np.testing.assert_allclose(-outcome.cost.sum().item(), reward, rtol=0, atol=1e-9)
        for name, value in outcome._asdict().items():
            np.testing.assert_allclose(value.detach().numpy().ravel(), np.ravel(info[name]), rtol=0, atol=1e-9)
    sum(outcome.cost.sum() for _, outcome in rolled).backward()
    assert any(x.grad is not None and x.grad.abs().sum() > 0 for x in state)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("id_", ["fractile/LostSales-v0", "fractile/SharedCapacity-v0"])
def test_actions_that_are_no_numbers_are_refused(id_, value):
    width = width_of(id_)
    single = gym.make(id_).unwrapped
    single.reset(seed=0)
    single.step(np.zeros(width, dtype=np.float32))
    bad = np.zeros((2, width), dtype=np.float32)
    bad[1, -1] = value
    with pytest.raises(
        FractileError, match=f"must be a finite number, got {value} for order {width - 1} of episode 0 in p"
    ):
        single.step(bad[1])
    vector = gym.make_vec(id_, num_envs=2, vectorization_mode="vector_entry_point")
    vector.reset(seed=0)
    with pytest.raises(FractileError, match=f"got {value} for order {width - 1} of episode 1 in period 0; an agent"):
        vector.step(bad)
    native = fr.make_sb3_env(id_, num_envs=2)
    native.reset()
    with pytest.raises(FractileError, match=f"got {value} for order {width - 1} of episode 1 in period 0; an agent"):
        native.step(bad)


def test_actions_of_another_shape_are_refused():
    single = gym.make("fractile/LostSales-v0").unwrapped
    single.reset(seed=0)
    with pytest.raises(
        FractileError, match=r"action in period 0 must have the shape \(1,\), a number for each order, got \(2"
    ):
        single.step(np.zeros(2))
    native = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3)
    native.reset()
    with pytest.raises(FractileError, match=r"must have the shape \(3, 1\), a number for each order, got \(2, 1\)"):
        native.step(np.zeros((2, 1)))


def test_a_grid_of_actions():
    boxed = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, seed=0)
    gridded = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, seed=0, discrete=5)
    single = gym.make("fractile/LostSales-v0", discrete=5)
    assert gridded.action_space == single.action_space == gym.spaces.Discrete(5)
    np.testing.assert_array_equal(boxed.reset(), gridded.reset())
    for numbers in ([0, 2, 4], [1, 1, 3]):
        first, second = boxed.step(np.array(numbers)[:, None] / 2.0 - 1.0), gridded.step(np.array(numbers))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
    both = fr.make_sb3_env("fractile/DualSourcing-v0", num_envs=2, seed=0, discrete=3)
    assert both.action_space == gym.spaces.Discrete(9)
    np.testing.assert_array_equal(both.grid.values[[0, 1, 5, 8]], [[-1, -1], [-1, 0], [0, 1], [1, 1]])


@pytest.mark.parametrize("id_", ["fractile/LostSales-v0", "fractile/DualSourcing-v0"])
def test_environments_on_a_grid_pass_the_checkers(id_):
    check_sb3_env(gym.make(id_, discrete=3, periods=6).unwrapped)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discrete": 1}, "discrete must be an integer >= 2, the number of actions, got 1"),
        ({"discrete": 2.5}, "discrete must be an integer >= 2"),
        ({"reward": "money"}, "reward must be 'cost', 'scale_free' or a function, got 'money'"),
        ({"infos": "all"}, "infos must be 'none' or 'costs', got 'all'"),
    ],
)
def test_options_of_native_environments_are_checked(options, message):
    with pytest.raises(FractileError, match=message):
        fr.make_sb3_env("fractile/LostSales-v0", **options)


def test_grids_with_too_many_combinations_are_refused():
    with pytest.raises(FractileError, match="discrete=9 has 59049 combinations for 5 orders, at most 4096"):
        fr.make_sb3_env("fractile/SharedCapacity-v0", discrete=9)
    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=2, discrete=4)
    env.reset()
    with pytest.raises(FractileError, match="action must be an integer from 0 to 3"):
        env.step(np.array([1, 4]))


def test_standardised_environments_have_features_and_rewards_of_unit_size():
    raw = fr.make_sb3_env("fractile/LostSales-v0", num_envs=64, seed=0)
    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=64, seed=0, standardise=True)
    raw.reset(), env.reset()
    rows, rewards, costs = [], [], []
    nothing = np.zeros((64, 1))
    for _ in range(90):
        obs, reward, *_ = env.step(nothing)
        rows.append(obs)
        rewards.append(reward)
        costs.append(-raw.step(nothing)[1])
    features = np.concatenate(rows)[:, :4]
    np.testing.assert_allclose(features.mean(0), 0.0, atol=0.25)
    np.testing.assert_allclose(features.std(0), 1.0, atol=0.25)
    # The newsvendor itself saves nothing of its mean cost; 0.02 is four standard errors.
    assert abs(np.mean(rewards)) < 0.03
    rewards, costs = np.array(rewards), np.array(costs)
    np.testing.assert_allclose(np.polyfit(costs.ravel(), rewards.ravel(), 1), [-1.0 / costs.mean(), 1.0], rtol=0.03)


def test_rewards_of_ones_own():
    seen = []

    def service(outcome, params):
        seen.append(params.stockout_cost)
        return outcome.sales.sum(1) / np.maximum((outcome.sales + outcome.shortfall).sum(1), 1.0)

    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, seed=0, reward=service)
    env.reset()
    _, reward, *_ = env.step(np.ones((3, 1)))
    assert ((reward >= 0) & (reward <= 1)).all()
    assert seen[0] == 4.0
    broken = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, reward=lambda outcome, _: outcome.cost)
    broken.reset()
    with pytest.raises(FractileError, match=r"reward must return one number an episode, shape \(3,\), got \(3, 1\)"):
        broken.step(np.ones((3, 1)))


@every_id
def test_infos_can_hold_the_cost_split(id_):
    env = fr.make_sb3_env(id_, num_envs=3, periods=4, seed=0, infos="costs")
    env.reset()
    for action in actions(4, 3, width=width_of(id_)):
        _, reward, done, infos = env.step(action)
        for info, gained in zip(infos, reward, strict=True):
            assert info["cost"] == pytest.approx(-gained, rel=1e-5, abs=1e-5)
            assert {"holding", "stockout", "ordering"} <= set(info)
        if "waste" not in infos[0] and id_ not in ("fractile/DualSourcing-v0",):
            np.testing.assert_allclose(
                [info["holding"] + info["stockout"] + info["ordering"] for info in infos], -reward, rtol=1e-4, atol=1e-4
            )
    assert done.all()


def test_ends_of_episodes_tell_their_sums():
    env = fr.make_sb3_env("fractile/LostSales-v0", num_envs=3, periods=4, seed=0)
    env.reset()
    rewards = []
    for action in actions(8, 3):
        _, reward, done, infos = env.step(action)
        rewards.append(reward)
        if done.all():
            sums = np.sum(rewards[-4:], axis=0)
            np.testing.assert_allclose([info["episode"]["r"] for info in infos], sums, rtol=1e-5)
            assert all(info["episode"]["l"] == 4 for info in infos)


def test_what_stable_baselines_offers_stays_usable(tmp_path):
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecCheckNan, VecMonitor, VecNormalize

    def made(seed):
        return fr.make_sb3_env("fractile/LostSales-v0", num_envs=4, periods=8, seed=seed)

    env = VecNormalize(VecCheckNan(VecMonitor(made(0))))
    judge = VecNormalize(VecCheckNan(VecMonitor(made(1))), training=False)
    agent = PPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    callbacks = [
        EvalCallback(judge, eval_freq=16, n_eval_episodes=4, best_model_save_path=str(tmp_path), verbose=0, warn=False),
        CheckpointCallback(16, str(tmp_path)),
    ]
    agent.learn(128, callback=callbacks)
    assert (tmp_path / "best_model.zip").is_file()
    assert len(agent.ep_info_buffer) > 0
    mean, _ = evaluate_policy(agent, judge, n_eval_episodes=4, warn=False)
    assert mean < 0
    plain = PPO("MlpPolicy", made(0), n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu").learn(64)
    # Without a wrapper, sums of rewards are logged all the same.
    assert np.mean([info["r"] for info in plain.ep_info_buffer]) < 0
