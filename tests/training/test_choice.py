"""Learned policies against classical ones on periods kept for choosing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.policies.blended import Blended
from fractile.policies.rollout import policy_of_items
from fractile.policies.storage import load_policy, save_policy
from fractile.training import HistoryConfig, TrainingProblem
from fractile.training.choice import follow, saving_of

PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1)
MEANS = np.arange(3.0, 23.0)


def scenario_of(seed, paths=1, periods=40):
    return fr.draw_scenario(fr.Poisson(MEANS), seed=seed, paths=paths, periods=periods, span=3)


class Multiple:
    """Orders a multiple of mean demand, whatever there is."""

    def __init__(self, factor):
        self.factor = factor

    def order(self, obs):
        return np.broadcast_to(self.factor * MEANS, obs.net_inventory.shape)


def problem_of(kept, **options):
    history = HistoryConfig(references=("newsvendor", "tuned_newsvendor"))
    return TrainingProblem(scenario_of(0), PARAMS, kept=kept, history=history, **options)


def test_a_harmful_network_is_not_followed_and_the_reason_is_noted():
    problem = problem_of(scenario_of(1))
    name, baseline = problem.reference
    assert follow("backprop", Multiple(2.0), problem) is baseline
    (note,) = problem.notes["backprop"]
    assert note.startswith(f"orders as {name.replace('_', ' ')}, the cheapest there: on the 38 periods kept")
    assert "more" in note


def test_a_network_that_saves_is_followed_in_full():
    kept = scenario_of(1)
    doubled = replace(kept, demand=2.0 * kept.demand)  # the forecasts know nothing of it
    problem = problem_of(doubled)
    network = Multiple(2.0)
    assert follow("ppo", network, problem) is network
    assert problem.notes["ppo"][0].startswith("following the network saves")


def test_a_network_that_overshoots_is_followed_in_part():
    kept = scenario_of(1)
    doubled = replace(kept, demand=1.5 * kept.demand)
    chosen = follow("ppo", Multiple(2.0), problem_of(doubled))
    assert isinstance(chosen, Blended)
    assert 0 < chosen.share < 1


def test_a_saving_within_chance_is_not_followed():
    problem = problem_of(scenario_of(1))
    _, baseline = problem.reference

    class AlmostTheSame:
        def order(self, obs):
            order = np.array(baseline.order(obs))
            if obs.period == 20:
                order[:, 0] = np.maximum(order[:, 0] - 1, 0)
            return order

    sure = replace(problem.history, margin=-1000.0, shares=(1.0,))
    network = AlmostTheSame()
    assert follow("backprop", network, replace(problem, history=sure)) is network
    assert follow("backprop", network, problem) is not network


def test_a_tuned_policy_that_costs_more_on_the_periods_kept_is_its_untuned_form():
    # Tuned on twice the demand that is forecast, kept are periods in which forecasts are right.
    scenario = scenario_of(0, periods=60)
    problem = TrainingProblem(replace(scenario, demand=2.0 * scenario.demand), PARAMS, kept=scenario_of(1), run_in=4)
    policy = problem.tune("tuned_newsvendor")
    assert type(policy).__name__ == "Newsvendor"
    assert problem.notes["tuned_newsvendor"][-1].startswith("orders as its untuned form: tuning costs")
    without = replace(problem, kept=None)
    assert without.tune("tuned_newsvendor").scale != 1.0 or without.tune("tuned_newsvendor").shift != 0.0


def test_stock_left_when_demand_has_ended_decides_nothing():
    kept = scenario_of(1, periods=60)
    ended = np.array(kept.demand)
    ended[:, 10:, 10:] = 0.0  # half of the items end early, and what is left of them costs till the end
    problem = problem_of(replace(kept, demand=ended), run_in=4)
    cost = problem.cost_on_kept(fr.make_policy("base_stock", level=100.0))
    assert cost.shape == (1, 56, 20)
    assert (cost[:, 6:, 10:] == 0.0).all()
    assert (cost[:, :, :10] > 0.0).all()


def test_the_reference_is_the_cheapest_on_the_periods_kept():
    problem = problem_of(scenario_of(1, periods=80), run_in=6)
    name, _ = problem.reference
    policies = {n: problem.tune(n) if n.startswith("tuned") else fr.make_policy(n) for n in problem.history.references}
    costs = {n: fr.simulate(p, problem.kept, PARAMS, warm_up=6).mean_cost for n, p in policies.items()}
    assert costs[name] == min(costs.values())


def test_the_error_of_a_saving_counts_items_as_clusters():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        level = rng.gamma(2.0, 1.0, (1, 1, 50))  # what an item saves lasts over its periods
        base = np.full((1, 30, 50), 10.0)
        found.append(saving_of(base - 0.1 * (level - 2.0), base))
    shares, errors = np.array([s.share for s in found]), np.array([s.error for s in found])
    expected = 0.01 * np.sqrt(2.0 / 50)
    np.testing.assert_allclose(shares.std(), expected, rtol=0.15)
    np.testing.assert_allclose(errors.mean(), expected, rtol=0.05)


def test_a_blend_orders_between_its_policies_and_is_kept_on_disk(tmp_path):
    scenario = scenario_of(2, paths=3)
    parts = fr.make_policy("newsvendor"), fr.make_policy("base_stock", level=4.0 * MEANS)
    blend = Blended(*parts, 0.25)
    state = fr.InventoryState.empty(3, 20, 2)
    any_unit = replace(PARAMS, pack_size=None)
    first = [fr.simulate(p, scenario, any_unit, initial_state=state).order[:, 0] for p in (*parts, blend)]
    np.testing.assert_allclose(first[2], 0.75 * first[0] + 0.25 * first[1])
    save_policy("backprop", blend, tmp_path)
    again = load_policy("backprop", tmp_path)
    for policy in (blend, again):
        np.testing.assert_array_equal(
            fr.simulate(policy, scenario, PARAMS, initial_state=state).order,
            fr.simulate(blend, scenario, PARAMS, initial_state=state).order,
        )


def test_a_blend_of_some_items_is_cut_in_both_parts():
    parts = fr.make_policy("base_stock", level=2.0 * MEANS), fr.make_policy("base_stock", level=4.0 * MEANS)
    some = policy_of_items(Blended(*parts, 0.5), np.array([3, 5]), 20)
    np.testing.assert_array_equal(some.baseline.level, 2.0 * MEANS[[3, 5]])
    np.testing.assert_array_equal(some.policy.level, 4.0 * MEANS[[3, 5]])


def test_a_learned_policy_that_is_a_classical_one_is_kept_as_that(tmp_path):
    save_policy("ppo", fr.make_policy("projected", scale=0.9), tmp_path)
    again = load_policy("ppo", tmp_path)
    assert type(again).__name__ == "Projected"
    assert again.scale == 0.9


def test_a_share_beyond_one_is_refused():
    with pytest.raises(fr.FractileError, match="share must be a number from 0 to 1"):
        Blended(Multiple(1.0), Multiple(1.0), 1.5)
