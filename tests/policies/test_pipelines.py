"""Pipelines that are longer or shorter than the lead time policies plan with: random lead times, deliveries as data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.policies.base import fit_pipeline
from fractile.policies.dual_sourcing import expedited_position
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.newsvendor import Projected, ProjectedLevel

DEMAND = fr.Poisson(5.0)
PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0)
PERISHABLE = replace(PARAMS, shelf_life=3, waste_cost=2.0)
DUAL = fr.networks.dual_sourcing(regular_lead_time=3, expedited_lead_time=1, holding_cost=1.0, stockout_cost=9.0)
SERIAL = fr.networks.serial([2, 1], [0.5, 1.0], 9.0)


def optimal():
    return fr.exact.optimal_policy(fr.Poisson(2.0), fr.ItemParams(lead_time=1, stockout_cost=4.0), highest=12)


CASES = {
    "newsvendor": (lambda: fr.make_policy("newsvendor"), PARAMS),
    "projected": (Projected, PARAMS),
    "projected, lead times by item": (Projected, replace(PARAMS, lead_time=np.array([1, 3]))),
    "projected, backorders": (Projected, replace(PARAMS, unmet_demand="backorder")),
    "projected_level": (lambda: ProjectedLevel(6.0, DEMAND), PARAMS),
    "projected_level, by item": (lambda: ProjectedLevel(6.0, DEMAND), replace(PARAMS, lead_time=np.array([0, 3]))),
    "projected_level, backorders": (lambda: ProjectedLevel(6.0, DEMAND), replace(PARAMS, unmet_demand="backorder")),
    "dynamic_programming": (lambda: DynamicProgramming(DEMAND, PARAMS), PARAMS),
    "optimal policy": (optimal, fr.ItemParams(lead_time=1, stockout_cost=4.0)),
    "single_index": (lambda: fr.make_policy("single_index", regular_level=25, expedited_level=12), DUAL),
    "dual_index": (lambda: fr.make_policy("dual_index", regular_level=25, expedited_level=12), DUAL),
    "capped_dual_index": (
        lambda: fr.make_policy("capped_dual_index", regular_level=25, expedited_level=12, cap=6),
        DUAL,
    ),
    "tailored_base_surge": (lambda: fr.make_policy("tailored_base_surge", quantity=4, expedited_level=12), DUAL),
    "estimated_waste": (lambda: fr.make_policy("estimated_waste", level=18), PERISHABLE),
    "echelon_base_stock": (lambda: fr.make_policy("echelon_base_stock", levels=[25.0, 12.0]), SERIAL),
}


def scenario_of(params, delays, paths=4, periods=12):
    """Demand with its forecasts, and orders that take a random one of these numbers of periods."""
    network = isinstance(params, fr.networks.Network)
    items = 1 if network else np.size(params.lead_time)
    span = params.horizon if network else int(np.max(params.protection_interval))
    scenario = fr.draw_scenario(fr.Poisson(np.full(items, 5.0)), 0, paths, periods, span)
    if network:
        scenario = replace(scenario, demand=params.place(scenario.demand))
    model = fr.arrivals.RandomLeadTime(np.bincount(delays) / len(delays))
    orders = len(params.links) if network else items
    return replace(scenario, arrivals=model.sample(np.random.default_rng(1), paths, periods, orders))


@pytest.mark.parametrize("delays", [(0,), (1,), (3, 5, 6), (2, 9)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_every_policy_plans_with_any_pipeline(case, delays):
    make, params = CASES[case]
    policy, scenario = make(), scenario_of(params, delays)
    fr.check_policy(policy, scenario, params)
    run = fr.simulate(policy, scenario, params)
    assert run.order.sum() > 0.0


def observation(pipeline, params, net=3.0):
    """What a policy knows of two paths of one item with these units under way, a number a slot."""
    units = np.broadcast_to(np.asarray(pipeline, dtype=float)[:, None, None], (len(pipeline), 2, 1))
    return fr.Observation(0, np.full((2, 1), net), units, params, DEMAND.forecast(int(params.protection_interval)))


@pytest.mark.parametrize("policy", [Projected(), ProjectedLevel(6.0, DEMAND)], ids=["projected", "projected_level"])
def test_units_that_come_after_the_lead_time_are_not_ordered_again(policy):
    none, late, later = (policy.order(observation(x, PARAMS)) for x in ((4, 0), (4, 0, 2), (4, 0, 0, 0, 2)))
    np.testing.assert_allclose(late, none - 2.0)
    np.testing.assert_array_equal(later, late)


@pytest.mark.parametrize("policy", [Projected(), ProjectedLevel(6.0, DEMAND)], ids=["projected", "projected_level"])
def test_a_pipeline_that_is_too_short_is_one_with_empty_slots(policy):
    short, whole = (policy.order(observation(x, PARAMS)) for x in ((4,), (4, 0)))
    np.testing.assert_array_equal(short, whole)
    # All L periods of demand are taken off, whatever the pipeline holds.
    np.testing.assert_array_equal(policy.order(observation((), PARAMS)), policy.order(observation((0, 0), PARAMS)))


@pytest.mark.parametrize("pipeline", [(4.0, 1.0, 2.0), (4.0,)], ids=str)
def test_dynamic_programming_sums_what_comes_later_into_its_last_slot(pipeline):
    optimal, padded = DynamicProgramming(DEMAND, PARAMS), (*pipeline, 0.0)
    np.testing.assert_array_equal(
        optimal.order(observation(pipeline, PARAMS)),
        optimal.order(observation((padded[0], sum(padded[1:])), PARAMS)),
    )


def test_expedited_position_of_a_short_pipeline():
    obs = fr.Observation(0, np.array([[3.0]]), np.full((1, 1, 1), 4.0), DUAL)
    assert expedited_position(obs).item() == 7.0


@pytest.mark.parametrize(("slots", "expected"), [(0, []), (1, [10.0]), (2, [1.0, 9.0]), (5, [1.0, 2.0, 3.0, 4.0, 0.0])])
def test_pipelines_are_fitted_to_slots(slots, expected):
    got = fit_pipeline(np.arange(1.0, 5.0).reshape(4, 1, 1), slots)
    np.testing.assert_array_equal(got.reshape(-1), expected)


@pytest.mark.parametrize("lead_time", [2, np.array([2, 1])], ids=["alike", "by item"])
def test_projected_scales_its_level(lead_time):
    # Nothing on hand or under way, so that the order is the level itself.
    params = replace(PARAMS, lead_time=lead_time)
    demand = fr.Poisson(np.array([5.0, 9.0]))
    obs = fr.Observation(0, np.zeros((3, 2)), np.zeros((2, 3, 2)), params, demand.forecast(3))
    np.testing.assert_allclose(Projected(scale=1.5).order(obs), 1.5 * Projected().order(obs))
    assert (Projected().order(obs) > 0).all()
