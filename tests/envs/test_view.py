"""What policies and agents are shown of the past."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr


class Looks:
    """Orders a fixed quantity and keeps what it is shown."""

    def __init__(self, quantity):
        self.quantity, self.seen = quantity, []

    def order(self, obs):
        self.seen.append(obs.history)
        return np.full(obs.net_inventory.shape, self.quantity)


PARAMS = fr.ItemParams(lead_time=1)


def shown(view, quantity=2.0):
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=3, paths=4, periods=7, span=2)
    policy = Looks(quantity)
    run = fr.simulate(policy, scenario, PARAMS, view=view)
    return policy.seen, scenario.demand, run


def test_nothing_is_remembered_unless_asked_for():
    assert shown(fr.HistoryView())[0] == [None] * 7


def test_history_is_demand_the_last_period_first():
    seen, demand, _ = shown(fr.HistoryView(memory=3))
    assert not seen[0].any()
    np.testing.assert_array_equal(seen[1][0], demand[:, 0])
    assert not seen[1][1:].any()
    for lag in range(3):
        np.testing.assert_array_equal(seen[6][lag], demand[:, 5 - lag])


def test_censored_history_is_sales():
    seen, demand, run = shown(fr.HistoryView(memory=2, censored=True))
    np.testing.assert_array_equal(seen[6][0], run.sales[:, 5])
    np.testing.assert_array_equal(seen[6][1], run.sales[:, 4])
    assert (seen[6][0] < demand[:, 5]).any()
    # Where there is always enough, sales are demand.
    seen, demand, _ = shown(fr.HistoryView(memory=2, censored=True), quantity=50.0)
    np.testing.assert_array_equal(seen[6][0], demand[:, 5])


def test_a_policy_that_learns_from_history_passes_the_check():
    class Average:
        def order(self, obs):
            return obs.history.mean(0) if obs.history is not None else 0.0 * obs.net_inventory

    fr.check_policy(Average())


@pytest.mark.parametrize("id_", ["fractile/LostSales-v0", "fractile/Distribution-v0", "fractile/SharedCapacity-v0"])
@pytest.mark.parametrize("censored", [False, True])
def test_environments_show_the_past_on_request(id_, censored):
    env = gym.make(id_, memory=2, censored=censored).unwrapped
    env.reset(seed=1)
    action = -np.ones(env.action_space.shape, dtype=np.float32)
    for _ in range(12):
        obs, *_, info = env.step(action)
    past = [i for i, name in enumerate(env.feature_names) if name.startswith("past_1")]
    told = np.atleast_1d(info["sales" if censored else "demand"])
    assert len(past) == len(told)
    np.testing.assert_array_equal(obs[past] > 0, told > 0)
    single, batch = env, fr.make_sb3_env(id_, num_envs=1, memory=2, censored=censored, seed=1)
    batch.reset()
    for _ in range(12):
        rows = batch.step(action[None])[0]
    np.testing.assert_array_equal(rows[0], obs)
    assert single.feature_names == batch.feature_names


def test_memory_is_checked():
    with pytest.raises(fr.FractileError, match="memory must be an integer >= 0, got -1"):
        fr.HistoryView(memory=-1)
