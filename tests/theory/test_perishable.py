"""Stock that perishes: De Moor et al. (2022), m = 2, L = 1.

De Moor, Gijsbrechts and Boute (2022), "Reward shaping to improve the performance of deep reinforcement learning in
perishable inventory management", European Journal of Operational Research 301(2): lost sales, gamma demand of mean 4
and coefficient of variation 0.5 in whole units, h = 1, b = 5, 7 per unit wasted, 3 per unit ordered, discount 0.99.

The costs are those reported by Farrington, Li, Wong and Utley (2023), "Going faster to see further: GPU-accelerated
value iteration and simulation for perishable inventory control using JAX", arXiv:2303.10672: means of simulations, read
in a secondary source. They are what 365 periods cost, discounted to the first of them, behind 100 periods of warm-up
from an empty store.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.core.types import ItemParams
from fractile.policies.base_stock import BaseStock, EstimatedWaste
from fractile.policies.exact import best_policy, exact_cost, optimal_policy

DEMAND = fr.demand.Rounded(fr.Gamma(4.0, cv=0.5))
FIFO = ItemParams(
    lead_time=1,
    holding_cost=1.0,
    stockout_cost=5.0,
    waste_cost=7.0,
    unit_cost=3.0,
    shelf_life=2,
    pack_size=1.0,
    maximum_order=10.0,
    discount=0.99,
)
LIFO = replace(FIFO, issuing="lifo")

BEST = {"fifo": (1457, 7, 1474), "lifo": (1553, 5, None)}
"""Issuing → reported cost of the optimal policy, level of the best base-stock policy, its reported cost."""

FIFO_ORDERS = """
1 0 0 0 0 0 0 0 0
1 1 0 0 0 0 0 0 0
2 1 1 0 0 0 0 0 0
2 2 1 1 0 0 0 0 0
3 2 2 1 1 1 1 0 0
3 3 2 2 1 1 1 1 1
4 3 3 3 2 2 2 2 2
4 4 3 3 3 3 3 3 3
4 4 4 4 4 4 4 4 4
"""
"""Figure 3 of the paper: the optimal order by fresh units (rows, 8 … 0) and units in their last period (columns)."""

LIFO_ORDERS = "\n".join(" ".join([str(order)] * 9) for order in (0, 0, 0, 0, 1, 2, 3, 3, 3))


def params_of(issuing):
    return FIFO if issuing == "fifo" else LIFO


def reported(exact):
    """Cost in the convention of the reports."""
    return float(exact.by_period(465)[100:] @ 0.99 ** np.arange(365))


@pytest.mark.parametrize("issuing", BEST)
def test_optimal_cost(issuing):
    optimal = optimal_policy(DEMAND, params_of(issuing))
    exact = exact_cost(optimal, DEMAND, params_of(issuing))
    assert reported(exact) == pytest.approx(BEST[issuing][0], abs=0.5)
    assert exact.discounted_cost() == pytest.approx(optimal.discounted_cost().item(), abs=1e-4)


@pytest.mark.parametrize(("issuing", "table"), [("fifo", FIFO_ORDERS), ("lifo", LIFO_ORDERS)])
def test_optimal_orders(issuing, table):
    optimal = optimal_policy(DEMAND, params_of(issuing), highest=30)
    fresh, last = (
        grid.ravel().astype(float)[:, None] for grid in np.meshgrid(np.arange(8, -1, -1), np.arange(9), indexing="ij")
    )
    stock = np.stack([last, fresh])
    obs = fr.Observation(0, stock.sum(0), np.zeros((1, 81, 1)), params_of(issuing), None, stock)
    expected = [[int(order) for order in line.split()] for line in table.strip().splitlines()]
    np.testing.assert_array_equal(optimal.order(obs).reshape(9, 9), expected)


@pytest.mark.parametrize("issuing", BEST)
def test_best_base_stock(issuing):
    _, level, cost = BEST[issuing]
    best = best_policy(BaseStock, {"level": 8}, DEMAND, params_of(issuing), criterion=reported)
    assert best.parameters == {"level": level}
    # The report is a simulation's mean.
    assert cost is None or best.cost == pytest.approx(cost, abs=1.0)


@pytest.mark.parametrize("issuing", BEST)
def test_estimated_waste_lies_between_base_stock_and_the_optimum(issuing):
    params = params_of(issuing)
    plain = best_policy(BaseStock, {"level": 6}, DEMAND, params).cost
    waste = best_policy(EstimatedWaste, {"level": 6}, DEMAND, params).cost
    optimal = optimal_policy(DEMAND, params, discount=1.0).average_cost
    assert optimal < waste < plain


@pytest.mark.parametrize("policy", [BaseStock(7), EstimatedWaste(6)], ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("issuing", BEST)
def test_simulated_cost_is_the_exact_one(issuing, policy):
    params, paths = replace(params_of(issuing), shelf_life=3, lead_time=2), 400
    exact = exact_cost(policy, fr.Poisson(3.0), params).average_cost
    scenario = fr.draw_scenario(fr.Poisson(3.0), 4, paths, 350, 3)
    cost = fr.simulate(policy, scenario, params, warm_up=50).cost.mean((1, 2))
    error = cost.std(ddof=1) / np.sqrt(paths)
    assert error < 0.01 * exact
    assert abs(cost.mean() - exact) < 4 * error


def test_stock_that_never_perishes_in_time_is_stock_that_keeps():
    # Twelve periods of life for at most a few periods of demand: waste has probability zero, to all intents.
    keeps = ItemParams(lead_time=1, stockout_cost=4.0)
    exact = [
        exact_cost(BaseStock(5), fr.demand.Discrete([0.1, 0.5, 0.4]), params).average_cost
        for params in (keeps, replace(keeps, shelf_life=12, waste_cost=9.0))
    ]
    assert exact[0] == pytest.approx(exact[1], abs=1e-6)
