"""Exact dynamic programming on the forecast's distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile import FractileError, make_policy
from fractile.envs.demand.modifiers import Seasonal
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.forecast_dp import ForecastDynamicProgramming
from fractile.policies.lookahead import Lookahead
from fractile.policies.rollout import starting_state
from fractile.training.tune import tune_policy

MEAN = np.array([1.0, 3.0, 6.0])
PARAMS = fr.ItemParams(lead_time=np.array([1, 2, 1]), stockout_cost=np.array([4.0, 9.0, 19.0]), pack_size=1)
DEMAND = fr.NegativeBinomial(MEAN, 3.0)


def scenario_of(seed, paths=2, periods=20):
    return fr.draw_scenario(DEMAND, seed=seed, paths=paths, periods=periods, span=3)


def poisson(mean, units=25):
    return fr.Poisson(mean).pmf(np.arange(units)).reshape(1, -1)


def test_stationary_items_are_solved_and_reach_their_optimum():
    tuned = tune_policy("forecast_dp", scenario_of(0), PARAMS)
    assert tuned.notes[0].startswith("3 of 3 items are nearly stationary")
    fresh = scenario_of(1, paths=100, periods=80)
    cost = fr.simulate(tuned.policy, fresh, PARAMS, warm_up=20).cost.mean(1)
    for item in range(3):
        one = np.array([item])
        params = PARAMS.select(one)
        optimal = DynamicProgramming(fr.NegativeBinomial(MEAN[item], 3.0), params.as_numbers())
        best = fr.simulate(optimal, fresh.select(one), params, warm_up=20).cost.mean((1, 2))
        apart = cost[:, item] - best
        # 127 values stand for the distribution.
        assert abs(apart.mean()) < 0.003 * best.mean() + 4 * apart.std() / 10


def test_items_that_move_come_late_or_are_large_are_left_to_lookahead():
    longer = fr.draw_scenario(DEMAND, seed=0, paths=2, periods=20, span=6)
    late = tune_policy("forecast_dp", longer, replace(PARAMS, lead_time=5))
    assert late.policy is late.untuned
    large = fr.draw_scenario(fr.Poisson(np.array([90.0, 3.0])), seed=0, paths=2, periods=20, span=3)
    params = fr.ItemParams(lead_time=2, pack_size=1)
    assert tune_policy("forecast_dp", large, params).policy.solved.tolist() == [0.0, 1.0]
    seasons = Seasonal(fr.Poisson(np.array([5.0])), [0.4, 1.6, 1.0])
    moving = fr.draw_scenario(seasons, seed=0, paths=2, periods=20, span=3)
    assert isinstance(tune_policy("forecast_dp", moving, params).policy, Lookahead)


def test_the_order_is_lookaheads_where_the_forecast_is_another_one():
    params = fr.ItemParams(lead_time=1, stockout_cost=9.0, pack_size=1)
    policy = ForecastDynamicProgramming(poisson(5.0), np.array([1.0]), params)
    near, far = (fr.draw_scenario(fr.Poisson(mean), seed=0, paths=40, periods=20, span=2) for mean in (5.2, 9.0))
    lookahead, exact = make_policy("lookahead"), DynamicProgramming(fr.demand.Discrete(poisson(5.0)[0]), params)
    for scenario, expected in ((far, lookahead), (near, exact)):
        state = starting_state(lookahead, scenario, params)
        orders = [fr.simulate(p, scenario, params, initial_state=state).order for p in (policy, expected)]
        np.testing.assert_array_equal(*orders)


def test_it_keeps_the_contract():
    tuned = tune_policy("forecast_dp", scenario_of(0), PARAMS)
    fr.check_policy(tuned.policy, scenario_of(2, paths=6, periods=8), PARAMS)


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(FractileError, match=r"probabilities must be \(items, units \+ 1\) and solved \(items,\)"):
        ForecastDynamicProgramming(poisson(5.0), np.ones(2), PARAMS)
