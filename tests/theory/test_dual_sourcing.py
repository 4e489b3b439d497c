"""Two suppliers: Gijsbrechts et al. (2022), section 6.2, c_r = 100, l_e = 0, h = 5, b = 495, demand uniform on 0 … 4.

Gijsbrechts, Boute, Van Mieghem and Zhang (2022), "Can deep reinforcement learning improve inventory management?",
Manufacturing & Service Operations Management 24(3). Optima and gaps were recomputed with this timing.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import fractile as fr
from fractile import InventoryState
from fractile.envs.networks import network_step
from fractile.policies.dual_sourcing import CappedDualIndex, DualIndex, SingleIndex, TailoredBaseSurge
from fractile.policies.exact import best_dual_sourcing, exact_cost, optimal_policy

DEMAND = fr.demand.Discrete.uniform(4)

OPTIMAL = {
    (2, 105): 216.7698,
    (2, 110): 219.7333,
    (3, 105): 216.8767,
    (3, 110): 220.3411,
    (4, 105): 216.8931,
    (4, 110): 220.6122,
}
"""(l_r, c_e) → optimal cost per period."""

GAPS = {
    (2, 105): (0.568, 0.116, 0.006, 0.061),
    (2, 110): (1.032, 0.178, 0.030, 0.987),
    (3, 105): (0.979, 0.268, 0.001, 0.012),
    (3, 110): (2.114, 0.360, 0.057, 0.709),
}
"""(l_r, c_e) → per cent above the optimum: best single-index, dual-index, capped dual-index, base-surge policy."""

PUBLISHED = {(4, 105): (1.43, 0.36, 0.00, 0.00), (4, 110): (2.44, 0.49, 0.11, 0.58)}
"""The same for l_r = 4: labels of Figure 9, which agree with ours above to their two decimals or the last of them."""

KINDS = (SingleIndex, DualIndex, CappedDualIndex, TailoredBaseSurge)


def network_of(instance):
    return fr.networks.dual_sourcing(regular_lead_time=instance[0], expedited_cost=float(instance[1]))


def gap(cost, instance):
    return 100 * (cost / OPTIMAL[instance] - 1)


def test_a_period_by_hand():
    # On hand 8 with what is due, then 3 and 1: order 2 and 1, demand 4. 200 + 105 + 5 · 5 = 330.
    state = InventoryState(np.array([[5.0]]), np.array([[[3.0]], [[3.0]], [[1.0]]]))
    after, outcome = network_step(state, np.array([[2.0, 1.0]]), np.array([[4.0]]), network_of((3, 105)))
    assert outcome.cost.item() == 330.0
    assert after.net_inventory.item() == 5.0
    np.testing.assert_array_equal(after.pipeline.ravel(), [3.0, 1.0, 2.0])


@pytest.mark.parametrize("instance", OPTIMAL, ids=str)
def test_optimal_cost(instance):
    optimal = optimal_policy(DEMAND, network_of(instance))
    assert optimal.average_cost == pytest.approx(OPTIMAL[instance], abs=5.1e-5)
    assert exact_cost(optimal, DEMAND, network_of(instance)).average_cost == pytest.approx(
        optimal.average_cost, abs=1e-6
    )


@pytest.mark.parametrize("instance", GAPS, ids=str)
def test_gaps_of_the_best_policies(instance):
    found = [gap(best_dual_sourcing(kind, DEMAND, network_of(instance)).cost, instance) for kind in KINDS]
    np.testing.assert_allclose(found, GAPS[instance], atol=5.3e-4)


@pytest.mark.slow
@pytest.mark.parametrize("instance", PUBLISHED, ids=str)
def test_published_gaps(instance):
    found = [gap(best_dual_sourcing(kind, DEMAND, network_of(instance)).cost, instance) for kind in KINDS]
    np.testing.assert_allclose(found, PUBLISHED[instance], atol=0.01)


@pytest.mark.slow
def test_the_search_finds_what_a_whole_grid_does():
    network = network_of((2, 105))
    costs = {
        (top, bottom, cap): exact_cost(CappedDualIndex(top, bottom, cap), DEMAND, network).average_cost
        for top, bottom, cap in product(range(3, 13), range(1, 8), range(1, 6))
    }
    best = best_dual_sourcing(CappedDualIndex, DEMAND, network)
    assert best.cost == pytest.approx(min(costs.values()), abs=1e-9)
    costs = {
        (top, bottom): exact_cost(SingleIndex(top, bottom), DEMAND, network).average_cost
        for top, bottom in product(range(3, 13), range(13))
        if bottom <= top
    }
    assert best_dual_sourcing(SingleIndex, DEMAND, network).cost == pytest.approx(min(costs.values()), abs=1e-9)


SIMULATED = [SingleIndex(8, 6), DualIndex(8, 4), CappedDualIndex(8, 4, 2), TailoredBaseSurge(1, 4)]


@pytest.mark.parametrize("policy", SIMULATED, ids=lambda policy: type(policy).__name__)
def test_simulated_cost_is_the_exact_one(policy):
    network, paths = network_of((2, 110)), 400
    exact = exact_cost(policy, DEMAND, network).average_cost
    scenario = fr.draw_scenario(DEMAND, 5, paths, 650)
    cost = fr.simulate(policy, scenario, network, warm_up=50).cost.mean((1, 2))
    error = cost.std(ddof=1) / np.sqrt(paths)
    assert error < 0.002 * exact
    assert abs(cost.mean() - exact) < 4 * error


def test_simulated_optimum_costs_what_it_says():
    network, paths = network_of((3, 110)), 400
    optimal = optimal_policy(DEMAND, network)
    cost = fr.simulate(optimal, fr.draw_scenario(DEMAND, 6, paths, 450), network, warm_up=50).cost.mean((1, 2))
    assert abs(cost.mean() - optimal.average_cost) < 4 * cost.std(ddof=1) / np.sqrt(paths)


def test_special_cases_of_the_capped_policy():
    network = network_of((3, 110))
    plain, uncapped = (
        exact_cost(policy, DEMAND, network).average_cost for policy in (DualIndex(9, 4), CappedDualIndex(9, 4, np.inf))
    )
    assert plain == pytest.approx(uncapped, abs=1e-9)
    surge, high = (
        exact_cost(policy, DEMAND, network).average_cost
        for policy in (TailoredBaseSurge(1, 4), CappedDualIndex(90, 4, 1))
    )
    assert surge == pytest.approx(high, abs=1e-6)


def test_single_index_orders_add_up_to_the_last_demand():
    network, level, below = network_of((2, 110)), 8, 6
    scenario = fr.draw_scenario(DEMAND, 2, 3, 40)
    order = fr.simulate(SingleIndex(level, below), scenario, network).order[:, 1:]
    demand = scenario.demand[:, :-1, 0]
    np.testing.assert_array_equal(order[..., 1], np.maximum(demand - (level - below), 0))
    np.testing.assert_array_equal(order.sum(-1), demand)
