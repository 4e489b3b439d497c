"""Gymnasium's conventions: module prefixes, lengths in specs, wrappers, automatic resets as in its own vectors."""

from __future__ import annotations

import pickle
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers

from fractile import FractileError, Poisson
from fractile.envs.gym.inventory_env import InventoryEnv
from fractile.envs.gym.registration import ENVIRONMENTS, default_periods
from fractile.envs.gym.vector_env import InventoryVectorEnv

IDS = sorted(ENVIRONMENTS)
MODES = [mode.value for mode in AutoresetMode]
LOST_SALES = "fractile/LostSales-v0"
PERIODS = 4
FAST = {"fractile/ForecastDriven-v0": {"forecast": Poisson(5.0).forecast(60)}}
"""Options by id that spare the making of the embedded panel."""

every_id = pytest.mark.parametrize("id_", IDS)
every_mode = pytest.mark.parametrize("mode", MODES)


def assert_alike(one, other, values=True):
    """Two results of a step or a reset agree: in keys, types and shapes, and in their values."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_alike(one[name], other[name], values)
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b, values)
    else:
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        if one.dtype == object:
            assert_alike(tuple(one), tuple(other), values)
        elif values:
            np.testing.assert_array_equal(one, other)


def pair(id_, mode, num_envs, **options):
    """Return Gymnasium's vector of our single environments, and ours."""
    theirs = gym.make_vec(
        id_,
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
        periods=PERIODS,
        **options,
    )
    return theirs, gym.make_vec(id_, num_envs=num_envs, autoreset_mode=mode, periods=PERIODS, **options)


def play_both(theirs, ours, mode, values):
    """Play two episodes and the beginning of a third on both, comparing all that comes back."""
    rng = np.random.default_rng(0)
    assert_alike(theirs.reset(seed=7), ours.reset(seed=7), values)
    ends = 0
    for _ in range(2 * PERIODS + 3):
        action = rng.uniform(-1.0, 1.0, theirs.action_space.shape).astype(np.float32)
        action[:] = action[:1]
        one, other = theirs.step(action), ours.step(action)
        assert_alike(one, other, values)
        ends += bool(other[3].all())
        if mode == "Disabled" and other[3].all():
            everyone = np.ones(ours.num_envs, dtype=bool)
            assert_alike(
                theirs.reset(options={"reset_mask": everyone}), ours.reset(options={"reset_mask": everyone}), values
            )
    assert ends == 2


@every_mode
@every_id
def test_one_episode_is_that_of_gymnasiums_own_vector_class(id_, mode):
    theirs, ours = pair(id_, mode, 1, **FAST.get(id_, {}))
    assert theirs.metadata["autoreset_mode"] is ours.metadata["autoreset_mode"] is AutoresetMode(mode)
    play_both(theirs, ours, mode, values=True)


@every_mode
@pytest.mark.parametrize("id_", [LOST_SALES, "fractile/Serial-v0", "fractile/SharedCapacity-v0"])
def test_several_episodes_have_the_form_of_gymnasiums_own_vector_class(id_, mode):
    play_both(*pair(id_, mode, 3), mode, values=False)


class Planned:
    """Demand that is written down, whoever draws it."""

    def sample(self, rng, paths, periods):
        return np.tile(np.resize([3.0, 0.0, 7.0, 5.0], periods)[:, None], (paths, 1, 1))


@every_mode
def test_several_episodes_are_alike_where_the_future_is_written_down(mode):
    play_both(*pair(LOST_SALES, mode, 3, demand=Planned(), start="empty"), mode, values=True)


@every_id
def test_episodes_after_the_first_differ(id_):
    for mode, steps in (("SameStep", PERIODS), ("NextStep", PERIODS + 1)):
        env = gym.make_vec(id_, num_envs=2, autoreset_mode=mode, periods=PERIODS, **FAST.get(id_, {}))
        first, _ = env.reset(seed=0)
        for _ in range(steps):
            obs, *_ = env.step(np.zeros(env.action_space.shape, dtype=np.float32))
        assert (obs != first).any()
        assert env.unwrapped.batch.period == 0


def test_steps_after_the_end_are_refused():
    nothing = np.zeros((2, 1), dtype=np.float32)
    vector = InventoryVectorEnv(2, periods=1, autoreset_mode=AutoresetMode.DISABLED)
    vector.reset(seed=0)
    vector.step(nothing)
    with pytest.raises(FractileError, match=r"the episode is over: call reset\(\) before the next step"):
        vector.step(nothing)
    for demand in (None, Planned()):  # played in numbers, and on arrays
        single = InventoryEnv(periods=1, demand=demand)
        single.reset(seed=0)
        single.step(nothing[0])
        with pytest.raises(FractileError, match=r"the episode is over: call reset\(\)"):
            single.step(nothing[0])


@every_id
def test_specs_hold_the_length_of_an_episode(id_):
    usual = default_periods(ENVIRONMENTS[id_])
    for options, length in (({}, usual), ({"periods": 3}, 3), ({"periods": usual + 3}, usual + 3)):
        single = gym.make(id_, **options, **FAST.get(id_, {}))
        assert single.spec.max_episode_steps == length
        assert not isinstance(single, wrappers.TimeLimit)
        assert gym.make_vec(id_, **options, **FAST.get(id_, {})).spec.max_episode_steps == length
    assert gym.spec(id_).kwargs["periods"] == usual


@pytest.mark.parametrize("periods", [3, 130])
def test_episodes_are_as_long_as_their_spec_says(periods):
    env = gym.make(LOST_SALES, periods=periods)
    again = gym.make(env.spec)
    for made in (env, again):
        made.reset(seed=0)
        ends = [made.step(np.zeros(1, dtype=np.float32))[3] for _ in range(periods)]
        assert ends == [False] * (periods - 1) + [True]
    assert again.spec.max_episode_steps == periods
    shorter = gym.make(LOST_SALES, max_episode_steps=2)
    shorter.reset(seed=0)
    assert shorter.spec.max_episode_steps == 2
    assert [shorter.step(np.zeros(1, dtype=np.float32))[3] for _ in range(2)] == [False, True]


SINGLE = {
    "ClipAction": wrappers.ClipAction,
    "RescaleAction": partial(wrappers.RescaleAction, min_action=np.float32(0.0), max_action=np.float32(1.0)),
    "DiscretizeAction": partial(wrappers.DiscretizeAction, bins=3),
    "RepeatAction": partial(wrappers.RepeatAction, num_repeats=2),
    "ClipReward": partial(wrappers.ClipReward, min_reward=-10.0, max_reward=0.0),
    "NormalizeReward": wrappers.NormalizeReward,
    "NormalizeObservation": wrappers.NormalizeObservation,
    "TimeAwareObservation": wrappers.TimeAwareObservation,
    "TimeAwareObservation, a share": partial(wrappers.TimeAwareObservation, normalize_time=True),
    "FrameStackObservation": partial(wrappers.FrameStackObservation, stack_size=3),
    "DelayObservation": partial(wrappers.DelayObservation, delay=2),
    "FlattenObservation": wrappers.FlattenObservation,
    "DtypeObservation": partial(wrappers.DtypeObservation, dtype=np.float64),
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
}


@pytest.mark.parametrize("wrap", SINGLE.values(), ids=SINGLE)
@every_id
def test_wrappers_of_single_environments_work(id_, wrap):
    env = wrap(gym.make(id_, periods=PERIODS, **FAST.get(id_, {})))
    for _ in range(2):
        obs, _ = env.reset(seed=0)
        over = False
        while not over:
            assert obs in env.observation_space
            obs, reward, terminated, over, info = env.step(env.action_space.sample())
            assert np.isfinite(reward)
            assert not terminated
    if wrap is wrappers.RecordEpisodeStatistics:
        assert info["episode"]["l"] == PERIODS


@every_id
def test_time_aware_observations_end_at_one(id_):
    env = wrappers.TimeAwareObservation(gym.make(id_, periods=PERIODS, **FAST.get(id_, {})), normalize_time=True)
    times = [env.reset(seed=0)[0][-1]]
    while not times[-1] >= 1.0:
        obs, _, _, over, _ = env.step(np.zeros(env.action_space.shape, dtype=np.float32))
        times.append(obs[-1])
    assert over
    np.testing.assert_allclose(times, np.arange(PERIODS + 1) / PERIODS)


VECTOR = {
    "RecordEpisodeStatistics": (vector_wrappers.RecordEpisodeStatistics, MODES),
    "NormalizeObservation": (vector_wrappers.NormalizeObservation, ["NextStep"]),
    "FlattenObservation": (vector_wrappers.FlattenObservation, ["NextStep", "Disabled"]),
    "DtypeObservation": (partial(vector_wrappers.DtypeObservation, dtype=np.float64), ["NextStep", "Disabled"]),
    "NormalizeReward": (vector_wrappers.NormalizeReward, MODES),
    "ClipReward": (partial(vector_wrappers.ClipReward, min_reward=-10.0, max_reward=0.0), MODES),
    "ClipAction": (vector_wrappers.ClipAction, MODES),
    "RescaleAction": (
        partial(vector_wrappers.RescaleAction, min_action=np.float32(0.0), max_action=np.float32(1.0)),
        MODES,
    ),
    "DictInfoToList": (vector_wrappers.DictInfoToList, MODES),
}


@pytest.mark.parametrize(("wrap", "modes"), VECTOR.values(), ids=VECTOR)
@every_id
def test_wrappers_of_vector_environments_work(id_, wrap, modes):
    for mode in modes:
        env = wrap(gym.make_vec(id_, num_envs=2, periods=PERIODS, autoreset_mode=mode, **FAST.get(id_, {})))
        env.reset(seed=0)
        for _ in range(2 * PERIODS + 2):
            obs, rewards, _, truncated, _ = env.step(env.action_space.sample())
            assert obs in env.observation_space
            assert np.isfinite(rewards).all()
            if truncated.all() and mode == "Disabled":
                env.reset(options={"reset_mask": truncated})
        if wrap is vector_wrappers.RecordEpisodeStatistics:
            assert list(env.length_queue) == [PERIODS] * 4


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_wrappers_say_which_automatic_reset_they_need(mode):
    env = gym.make_vec(LOST_SALES, num_envs=2, autoreset_mode=mode)
    with pytest.raises(ValueError, match=r"Expected .*NEXT_STEP"):
        vector_wrappers.NormalizeObservation(env)
    vector_wrappers.NormalizeObservation(gym.make_vec(LOST_SALES, num_envs=2))


def test_wrappers_that_need_bounds_say_so():
    with pytest.raises(ValueError, match="unbounded components"):
        wrappers.RescaleObservation(gym.make(LOST_SALES), 0.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        wrappers.DiscretizeObservation(gym.make(LOST_SALES), 3)


def test_single_wrappers_go_on_each_episode_of_a_vector():
    options = {"num_envs": 2, "vectorization_mode": "sync", "periods": PERIODS}
    env = gym.make_vec(LOST_SALES, wrappers=(wrappers.TimeAwareObservation,), **options)
    env.reset(seed=0)
    assert [env.step(np.zeros((2, 1), dtype=np.float32))[0][0, -1] for _ in range(PERIODS)] == [1, 2, 3, 4]


BAD = [
    ({"autoreset_mode": "NextStp"}, "unknown autoreset_mode 'NextStp'; did you mean 'NextStep'? known: Disabled"),
    ({"autoreset_mode": None}, "unknown autoreset_mode None"),
    ({"render_mode": "rgb_array"}, "pictures are drawn of single episodes: use vectorization_mode='sync'"),
    ({"autoreset_mode": "SameStep", "vectorization_mode": "sync"}, "vector_kwargs={'autoreset_mode': 'SameStep'}"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_options_of_the_wrong_kind_of_environment_are_refused(options, message):
    with pytest.raises(FractileError, match=message.replace("?", r"\?")):
        gym.make_vec(LOST_SALES, num_envs=2, **options)


def test_names_of_modes_are_read_in_gymnasiums_spelling():
    for mode in AutoresetMode:
        for name in (mode, mode.value, mode.name):
            assert InventoryVectorEnv(1, autoreset_mode=name).metadata["autoreset_mode"] is mode
    assert InventoryVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_seeds_and_masks_of_vector_environments():
    env = InventoryVectorEnv(2, periods=PERIODS)
    first = {str(seeds): env.reset(seed=seeds)[0] for seeds in (1, [1, 2], [1, 3], [2, 1])}
    again = env.reset(seed=[1, 3])[0]
    np.testing.assert_array_equal(again, first["[1, 3]"])
    different = list(first.values())
    assert all((a != b).any() for i, a in enumerate(different) for b in different[:i])
    with pytest.raises(FractileError, match="one for each of 2 episodes, got 3"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(FractileError, match="reset_mask must be true for all 2 episodes"):
        env.reset(options={"reset_mask": np.array([True, False])})


@every_id
def test_pickled_vector_environments_go_on_alike(id_):
    env = gym.make_vec(id_, num_envs=2, periods=PERIODS, **FAST.get(id_, {})).unwrapped
    env.reset(seed=0)
    copy = pickle.loads(pickle.dumps(env))
    assert copy.spec.max_episode_steps == PERIODS
    for _ in range(PERIODS + 2):
        action = env.action_space.sample()
        assert_alike(env.step(action), copy.step(action))


@every_id
def test_ids_name_the_module_that_registers_them(id_):
    assert gym.make(f"fractile:{id_}", **FAST.get(id_, {})).spec.id == id_
    assert gym.make_vec(f"fractile:{id_}", num_envs=2, **FAST.get(id_, {})).spec.id == id_


def test_spawned_workers_of_gymnasium():
    makers = [partial(gym.make, f"fractile:{LOST_SALES}", periods=PERIODS)] * 2
    here, workers = gym.vector.SyncVectorEnv(makers), gym.vector.AsyncVectorEnv(makers, context="spawn")
    try:
        np.testing.assert_array_equal(workers.reset(seed=3)[0], here.reset(seed=3)[0])
        action = np.full((2, 1), 0.3, dtype=np.float32)
        for _ in range(PERIODS + 1):
            for one, other in zip(here.step(action)[:4], workers.step(action)[:4], strict=True):
                np.testing.assert_array_equal(one, other)
    finally:
        workers.close()


def test_spawned_workers_of_stable_baselines():
    from stable_baselines3.common.vec_env import SubprocVecEnv

    here = gym.make(LOST_SALES, periods=PERIODS)
    workers = SubprocVecEnv([partial(gym.make, f"fractile:{LOST_SALES}", periods=PERIODS)], start_method="spawn")
    try:
        workers.seed(3)
        np.testing.assert_array_equal(workers.reset()[0], here.reset(seed=3)[0])
        for _ in range(PERIODS - 1):
            obs, rewards, *_ = workers.step(np.full((1, 1), 0.3, dtype=np.float32))
            expected, reward, *_ = here.step(np.full(1, 0.3, dtype=np.float32))
            np.testing.assert_array_equal(obs[0], expected)
            assert rewards[0] == np.float32(reward)
        _, _, done, infos = workers.step(np.zeros((1, 1), dtype=np.float32))
        assert done.all()
        assert infos[0]["TimeLimit.truncated"]
    finally:
        workers.close()
