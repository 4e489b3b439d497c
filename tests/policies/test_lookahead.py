"""Policies that try orders on the forecast's own paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile import InventoryState, make_policy
from fractile.envs.core.types import Observation
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.lookahead import DRAWS, Lookahead, Myopic, MyopicTwo

POISSON = fr.Poisson(5.0)
LOST = fr.ItemParams(lead_time=2, stockout_cost=9.0, pack_size=1)


def gap(policy, demand, params, paths=96, periods=110, warm_up=30):
    """Per cent above the optimum on common paths, and four standard errors of it."""
    optimal = DynamicProgramming(demand, params)
    scenario = fr.draw_scenario(demand, seed=3, paths=paths, periods=periods, span=params.protection_interval)
    best, cost = (fr.simulate(p, scenario, params, warm_up=warm_up).cost.mean((1, 2)) for p in (optimal, policy))
    error = 4 * (cost - best).std() / np.sqrt(paths)
    return 100 * (cost - best).mean() / optimal.average_cost, 100 * error / optimal.average_cost


def observation(stock, pipeline, params, demand=POISSON, span=None):
    forecast = fr.draw_scenario(demand, 0, 1, 1, span or int(np.max(params.protection_interval))).forecasts[0]
    return Observation(0, np.array([[stock]], float), np.array(pipeline, float).reshape(-1, 1, 1), params, forecast)


def test_the_myopic_order_by_hand():
    """Demand 0 or 4, evenly; stock 3, 1 to come, L = 1, b = 3: is the order the three-quarter fractile of D₁ − x₁?

    After the first demand stock is 4 or 0; the second demand less that is −4, 0, 0 or 4, so three quarters of the
    draws are at 0 or below: nothing is ordered. With b = 4 it is the four-fifths fractile, 4.
    """
    demand = fr.demand.Discrete(np.array([0.5, 0.0, 0.0, 0.0, 0.5]))
    for b, expected in ((3.0, 0.0), (4.0, 4.0)):
        params = fr.ItemParams(lead_time=1, stockout_cost=b, pack_size=1)
        order = Myopic().order(observation(3, [1], params, demand))
        assert order.item() == expected


def test_without_lead_time_all_are_the_newsvendor():
    params = fr.ItemParams(lead_time=0, stockout_cost=9.0, pack_size=1)
    state = observation(2, [], params)
    level = make_policy("newsvendor").order(state).item()
    for policy in (Myopic(), MyopicTwo(), Lookahead()):
        assert abs(policy.order(state).item() - level) <= 1


@pytest.mark.parametrize("policy", [Myopic(), Lookahead()], ids=["myopic", "lookahead"])
def test_with_backorders_they_order_up_to_the_newsvendors_level(policy):
    params = replace(LOST, unmet_demand="backorder")
    for stock, pipeline in ((8, [4, 5]), (-3, [6, 2]), (2, [0, 9])):
        state = observation(stock, pipeline, params)
        assert abs(policy.order(state).item() - make_policy("newsvendor").order(state).item()) <= 1


@pytest.mark.parametrize(
    ("policy", "most", "paths"),
    [(Lookahead(), 1.0, 64), (MyopicTwo(), 2.5, 24), (Myopic(), 6.0, 96)],
    ids=["lookahead", "myopic2", "myopic"],
)
def test_gaps_to_the_optimum(policy, most, paths):
    above, error = gap(policy, fr.Poisson(6.0), replace(LOST, stockout_cost=6.0), paths)
    assert -error < above < most + error


@pytest.mark.slow
@pytest.mark.parametrize("lead_time", [1, 3, 4])
@pytest.mark.parametrize("b", [4.0, 19.0])
def test_lookahead_stays_near_the_optimum(b, lead_time):
    above, error = gap(Lookahead(), POISSON, replace(LOST, stockout_cost=b, lead_time=lead_time))
    assert -error < above < 1.0 + error


def test_orders_keep_to_packs_minimum_and_maximum():
    params = replace(LOST, pack_size=4, minimum_order=8, maximum_order=12)
    scenario = fr.draw_scenario(POISSON, 0, 8, 20, 3)
    for name in ("lookahead", "myopic2"):
        orders = [make_policy(name).order(observation(stock, [0, 4], params)).item() for stock in range(12)]
        assert set(orders) <= {0.0, 8.0, 12.0}
    assert (
        fr.simulate(Lookahead(), scenario, params).mean_cost
        < 1.05 * fr.simulate(make_policy("projected"), scenario, params).mean_cost
    )


def test_with_a_fixed_cost_orders_are_few_and_large():
    params = fr.ItemParams(stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder", pack_size=1)
    scenario = fr.draw_scenario(fr.Poisson(10.0), 0, 24, 80, 1)
    costs = {n: fr.simulate(make_policy(n), scenario, params, warm_up=10) for n in ("lookahead", "newsvendor")}
    best = fr.simulate(make_policy("ss", reorder_point=6, order_up_to=40), scenario, params, warm_up=10)
    assert (costs["lookahead"].order > 0).mean() < 0.5
    assert costs["lookahead"].mean_cost < 1.1 * best.mean_cost
    assert costs["newsvendor"].mean_cost > 1.5 * best.mean_cost


def test_items_with_other_lead_times_reviews_and_forecasts_are_decided_as_each_alone():
    mean = np.array([3.0, 8.0, 5.0])
    params = fr.ItemParams(
        lead_time=np.array([1, 2, 0]), review_period=np.array([1, 1, 2]), stockout_cost=np.array([4.0, 9.0, 19.0])
    )
    scenario = fr.draw_scenario(fr.Poisson(mean), 0, 4, 6, 6)
    for name in ("myopic", "myopic2", "lookahead"):
        together = fr.simulate(make_policy(name), scenario, params).order
        for item in range(3):
            one = np.array([item])
            alone = fr.simulate(make_policy(name), scenario.select(one), params.select(one)).order
            np.testing.assert_allclose(together[..., item], alone[..., 0])


def test_scale_and_shift_move_what_is_planned_for():
    state = observation(3, [5, 5], LOST)
    usual, more, surer = (p.order(state).item() for p in (Lookahead(), Lookahead(scale=1.3), Lookahead(shift=1.5)))
    assert more > usual
    assert surer > usual
    assert DRAWS & (DRAWS - 1) == 0


def test_the_state_is_not_changed():
    state = InventoryState(np.array([[4.0]]), np.array([[[3.0]], [[2.0]]]))
    obs = observation(4, [3, 2], LOST)
    Lookahead().order(obs)
    np.testing.assert_array_equal(obs.pipeline, state.pipeline)
