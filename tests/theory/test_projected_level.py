"""The projected-inventory-level policy with a fixed level: exact projections, and costs known from the literature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile import FractileError
from fractile.policies.exact.dynamic_programming import DynamicProgramming, demand_over
from fractile.policies.newsvendor import project_stock

DEMAND = fr.Poisson(5.0)
POINTS = demand_over(DEMAND)

BEST = {
    (4, 1): (6.3, 4.0423),
    (4, 2): (6.4, 4.4059),
    (4, 3): (6.2, 4.6233),
    (4, 4): (6.2, 4.7433),
    (9, 1): (8.1, 5.4566),
    (9, 2): (8.3, 6.1264),
    (9, 3): (8.4, 6.5755),
    (9, 4): (8.4, 6.8972),
    (19, 1): (9.2, 6.6805),
    (19, 2): (10.1, 7.7072),
    (19, 3): (10.3, 8.4148),
    (19, 4): (10.4, 8.9732),
    (39, 1): (10.2, 7.8388),
    (39, 2): (11.2, 9.1252),
    (39, 3): (12.1, 10.0895),
    (39, 4): (12.3, 10.9031),
}
"""(b, L) → level U, on a grid of 0.1, and exact cost of the best policy, lost sales, Poisson(5), h = 1."""


LARGE = {(19, 4), (39, 4)}


@pytest.mark.parametrize("instance", [pytest.param(i, marks=[pytest.mark.slow] * (i in LARGE)) for i in BEST], ids=str)
def test_exact_cost_of_the_best_level(instance):
    (stockout_cost, lead_time), (level, cost) = instance, BEST[instance]
    params = fr.ItemParams(lead_time=lead_time, stockout_cost=float(stockout_cost))
    policy = fr.make_policy("projected_level", level=level, demand=DEMAND)
    grid = DynamicProgramming(DEMAND, params, order_bound=int(np.ceil(level)), position_bound=5 * lead_time + 22)
    assert grid.average_cost_of(policy) == pytest.approx(cost, abs=1e-4)


@pytest.mark.parametrize("instance", [(4, 4), (39, 2)], ids=str)
def test_simulated_cost_is_the_exact_one(instance):
    (stockout_cost, lead_time), (level, cost) = instance, BEST[instance]
    params = fr.ItemParams(lead_time=lead_time, stockout_cost=float(stockout_cost))
    policy = fr.make_policy("projected_level", level=level, demand=DEMAND)
    scenario = fr.draw_scenario(DEMAND, 1, 512, 550, lead_time + 1)
    paid = fr.simulate(policy, scenario, params, warm_up=50).cost.mean((1, 2))
    assert abs(paid.mean() - cost) < 4 * paid.std(ddof=1) / np.sqrt(len(paid)) + 5e-5


@pytest.mark.parametrize("state", [(0,), (9,), (4, 3), (0, 7), (6, 2, 5), (3, 0, 0)], ids=str)
def test_projected_stock_is_the_mean_over_all_demand(state):
    probability = stats.poisson(1.5).pmf(np.arange(14))
    expected = 0.0
    for demands in itertools.product(range(14), repeat=len(state)):
        stock = 0
        for arriving, demand in zip(state, demands, strict=True):
            stock = max(stock + arriving - demand, 0)
        expected += probability[list(demands)].prod() * stock
    got = project_stock(demand_over(fr.Poisson(1.5)), np.array(state)[:, None]).item()
    assert got == pytest.approx(expected, abs=1e-6)


def test_projections_do_not_depend_on_what_is_projected_with_them():
    rng = np.random.default_rng(3)
    many = [rng.integers(0, top, (3, 50)) for top in (4, 20, 9)]
    together = project_stock(POINTS, np.concatenate(many, axis=1)).reshape(3, 50)
    for state, among in zip(many, together, strict=True):
        np.testing.assert_allclose(among, project_stock(POINTS, state), atol=1e-12)
        np.testing.assert_allclose(among, project_stock(POINTS, state[:, ::-1])[::-1], atol=1e-12)


def test_long_pipelines_are_projected():
    state = np.array([[40, 3], *[[2, 1]] * 12])
    got = project_stock(POINTS, state)
    np.testing.assert_allclose(got, [project_stock(POINTS, state[:, [k]]).item() for k in (0, 1)])
    assert got[0] > 0.0
    assert project_stock(POINTS, state[:, :0]).shape == (0,)


def test_backorders_leave_the_position_less_mean_demand():
    params = fr.ItemParams(lead_time=2, unmet_demand="backorder")
    obs = fr.Observation(0, np.array([[-3.0], [6.0]]), np.full((2, 2, 1), 4.0), params)
    policy = fr.make_policy("projected_level", level=7.5, demand=DEMAND)
    np.testing.assert_allclose(policy.projected_stock(obs)[:, 0], [-5.0, 4.0])
    np.testing.assert_array_equal(policy.order(obs)[:, 0], [13.0, 4.0])


def test_items_with_lead_times_of_their_own_are_projected_apart():
    demand = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)
    params = fr.ItemParams(lead_time=np.array([0, 1, 3]))
    obs = fr.Observation(0, np.full((2, 3), 4.0), np.full((3, 2, 3), 2.0), params)
    got = fr.make_policy("projected_level", level=5, demand=demand).projected_stock(obs)
    expected = [4.0]
    for item, state in ((1, [6]), (2, [6, 2, 2])):
        expected.append(project_stock(demand_over(demand.select(np.array([item]))), np.array(state)[:, None]).item())
    np.testing.assert_allclose(got, [expected, expected])


def test_the_policy_conforms():
    demand = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)
    fr.check_policy(fr.make_policy("projected_level", level=[4.0, 14.0, 2.0], demand=demand))


def test_demand_and_level_are_checked():
    with pytest.raises(FractileError, match="needs discrete demand, got Normal"):
        fr.make_policy("projected_level", level=5, demand=fr.Normal(5.0, 1.0))
    with pytest.raises(FractileError, match="level must be a number >= 0, got -1"):
        fr.make_policy("projected_level", level=-1, demand=DEMAND)


def test_partly_lost_demand_is_refused():
    obs = fr.Observation(0, np.ones((1, 1)), np.ones((1, 1, 1)), fr.ItemParams(lead_time=1, unmet_demand=0.5))
    with pytest.raises(FractileError, match="not a share of each"):
        fr.make_policy("projected_level", level=5, demand=DEMAND).order(obs)
