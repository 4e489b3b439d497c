"""Networks whose optimum or lower bound is known: serial systems, a warehouse and its stores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

import fractile as fr
from fractile import (
    FractileError,
    InventoryState,
    Scenario,
)
from fractile.policies.base_stock import EchelonBaseStock
from fractile.policies.exact import clark_scarf, exact_cost, optimal_policy, transshipment_bound
from fractile.randomness import keyed_generator

SMALL = [
    ((1, 1), (0.5, 1.0), 9.0, fr.demand.Discrete.uniform(2)),
    ((2, 1), (0.5, 1.0), 4.0, fr.demand.Discrete.uniform(2)),
    ((1, 2), (0.3, 1.0), 9.0, fr.demand.Discrete.uniform(3)),
    ((1, 1, 1), (0.3, 0.6, 1.0), 5.0, fr.demand.Discrete([0.3, 0.5, 0.2])),
]
"""Lead times and holding costs upstream to downstream, stock-out cost, demand."""


@pytest.mark.parametrize(("lead_times", "holding", "stockout", "demand"), SMALL)
def test_clark_scarf_exact_cost_and_value_iteration_agree(lead_times, holding, stockout, demand):
    network = fr.networks.serial(lead_times, holding, stockout)
    solution = clark_scarf(demand, lead_times[::-1], holding[::-1], stockout)
    policy = EchelonBaseStock(solution.levels[::-1])
    assert exact_cost(policy, demand, network).average_cost == pytest.approx(solution.cost, abs=1e-8)
    assert optimal_policy(demand, network).average_cost == pytest.approx(solution.cost, abs=1e-6)


HDPO = {
    1: (6.899, 8.367, 9.608, 10.701),
    2: (7.599, 9.261, 10.671, 11.913),
    3: (8.206, 10.037, 11.592, 12.965),
    4: (8.753, 10.734, 12.420, 13.910),
}
"""Lead time of the last stage → optimal cost for b = 4, 9, 19, 39.

Alvo, Russo and Kanoria (2023): four stages, lead times 2, 4, 3 and the last, holding costs 0.1, 0.2, 0.5, 1 from
upstream to downstream, demand normal with mean 5 and standard deviation 2; recomputed, no charge on the way.
"""


def simulated(network, policy, demand, warm_up=60):
    """Average cost per period, and its standard error over paths."""
    scenario = Scenario(network.place(demand))
    cost = fr.simulate(policy, scenario, network, warm_up=warm_up).cost.sum(2).mean(1)
    return float(cost.mean()), float(cost.std(ddof=1) / np.sqrt(len(cost)))


@pytest.mark.parametrize(("last", "stockout"), [(1, 4), (4, 39)])
def test_simulated_serial_system_costs_what_clark_and_scarf_say(last, stockout):
    lead_times, holding, demand = (2, 4, 3, last), (0.1, 0.2, 0.5, 1.0), fr.Normal(5.0, 2.0)
    known = HDPO[last][(4, 9, 19, 39).index(stockout)]
    solution = clark_scarf(demand, lead_times[::-1], holding[::-1], float(stockout), step=1 / 32)
    assert solution.cost == pytest.approx(known, abs=2e-3)
    network = fr.networks.serial(lead_times, holding, float(stockout))
    drawn = demand.sample(np.random.default_rng(8), 500, 460)
    mean, error = simulated(network, EchelonBaseStock(solution.levels[::-1]), drawn)
    assert error < 0.01 * known
    assert abs(mean - known) < 4 * error + 5e-4


BOUNDS = {
    (3, 0.5): (5.753735, 7.213631, 7.717182, 9.675263),
    (5, 0.5): (5.296388, 6.640241, 7.169472, 8.988583),
    (10, 0.5): (5.535855, 6.940467, 7.546230, 9.460935),
    (3, 0.0): (5.151388, 6.458450, 7.279164, 9.126106),
    (5, 0.0): (4.591193, 5.756116, 6.665482, 8.356715),
    (10, 0.0): (4.673492, 5.859297, 6.938402, 8.698883),
}
"""Stores, correlation → bound for (L, b) = (2, 4), (2, 9), (6, 4), (6, 9): Alvo, Russo and Kanoria (2023)."""


def stores_of(n):
    """Mean and standard deviation of each store's demand in those instances, drawn as the authors drew them."""
    mean = np.random.RandomState(33).uniform(2.5, 7.5, n)
    ratio = np.random.RandomState(92).uniform(0.25, 0.5, n)
    return mean, np.round(mean * ratio, 3)


@pytest.mark.parametrize("instance", BOUNDS, ids=str)
def test_transshipment_bound(instance):
    stores, correlation = instance
    found = [
        transshipment_bound(stores_of(stores)[1], correlation=correlation, store_lead_time=lead_time, stockout_cost=b)
        for lead_time, b in ((2, 4.0), (2, 9.0), (6, 4.0), (6, 9.0))
    ]
    np.testing.assert_allclose(found, BOUNDS[instance], atol=6e-7)


def test_one_store_and_no_warehouse_is_the_newsvendor():
    # h = 1, b = 9, normal demand of deviation 1.6 over five periods: Snyder and Shen's formula.
    found = transshipment_bound([1.6], warehouse_lead_time=0, store_lead_time=4)
    assert found == pytest.approx(6.2788, abs=5e-5)


class EqualFractiles:
    """The warehouse orders up to an echelon level and sends on all it has, to equal fractiles of the stores' demand."""

    def __init__(self, mean, deviation, level, lead_time):
        self.level, self.mean, self.spread = level, mean * (lead_time + 1), deviation * np.sqrt(lead_time + 1)

    def order(self, obs):
        position = obs.inventory_position
        here, stores = obs.net_inventory[:, :1] + obs.pipeline[0][:, :1], position[:, 1:]
        safety = (here + stores.sum(1, keepdims=True) - self.mean.sum()) / self.spread.sum()
        wanted = np.maximum(self.mean + safety * self.spread - stores, 0.0)
        sent = wanted * np.minimum(here / np.maximum(wanted.sum(1, keepdims=True), 1e-9), 1.0)
        return np.concatenate([np.maximum(self.level - position.sum(1, keepdims=True), 0.0), sent], axis=1)


def test_a_policy_comes_close_to_the_transshipment_bound():
    (mean, deviation), lead_time, stockout = stores_of(3), 2, 9.0
    bound = transshipment_bound(deviation, correlation=0.5, store_lead_time=lead_time, stockout_cost=stockout)
    pooled = 0.5 * (deviation**2).sum() + 0.5 * deviation.sum() ** 2
    spread = np.sqrt(3 * pooled + (lead_time + 1) * deviation.sum() ** 2)
    level = mean.sum() * (3 + lead_time + 1) + ndtri(stockout / (stockout + 1)) * spread
    network = fr.networks.distribution(
        3, warehouse_lead_time=3, store_lead_time=lead_time, warehouse_holding_cost=0.0, stockout_cost=stockout
    )
    covariance = np.outer(deviation, deviation) * (0.5 + 0.5 * np.eye(3))
    # The bound is that of the whole normal distribution; demand below zero, which is rare, is none.
    drawn = np.maximum(keyed_generator(0, "transshipment").multivariate_normal(mean, covariance, (600, 400)), 0.0)
    cost, error = simulated(network, EqualFractiles(mean, deviation, level, lead_time), drawn)
    assert bound - 4 * error / 3 < cost / 3 < 1.01 * bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correlation": -0.8}, r"correlation must lie in \[-0.5, 1\] for 3 stores"),
        ({"stockout_cost": 0.0}, "must be above 0"),
        ({"store_lead_time": -1}, "lead times must be integers >= 0"),
    ],
)
def test_transshipment_bound_refuses(options, message):
    with pytest.raises(FractileError, match=message):
        transshipment_bound([1.0, 1.0, 2.0], **options)


@pytest.mark.parametrize("whole_units", [False, True])
def test_proportional_allocation_conserves_units(whole_units):
    network = fr.networks.distribution(3, warehouse_lead_time=1, store_lead_time=[1, 2, 1], whole_units=whole_units)
    policy = EchelonBaseStock([40.0, 12.0, 9.0, 15.0])
    demand = fr.Poisson(np.array([3.0, 2.0, 5.0])).sample(np.random.default_rng(1), 20, 60)
    start = InventoryState(np.full((20, 4), 4.0), np.zeros((2, 20, 4)))
    run = fr.simulate(policy, Scenario(network.place(demand)), network, initial_state=start)
    bought, sent = run.order[..., 0], run.order[..., 1:]
    # The warehouse never sends more than it has: what it had, and what came in, less what it sent, is on hand.
    on_hand = 4.0 + np.cumsum(run.received[..., 0], 1) - np.cumsum(sent.sum(-1), 1)
    np.testing.assert_allclose(on_hand, run.on_hand[..., 0], atol=1e-9)
    np.testing.assert_allclose(run.received[:, 1:, 0], bought[:, :-1], atol=1e-9)
    for store, lead_time in ((0, 1), (1, 2), (2, 1)):
        np.testing.assert_allclose(run.received[:, lead_time:, store + 1], sent[:, :-lead_time, store], atol=1e-9)
        net = 4.0 + np.cumsum(run.received[..., store + 1] - demand[..., store], 1)
        np.testing.assert_allclose(np.maximum(net, 0), run.on_hand[..., store + 1], atol=1e-9)
        np.testing.assert_allclose(np.maximum(-net, 0), run.shortfall[..., store + 1], atol=1e-9)
    assert (bought.sum(1) <= demand.sum((1, 2)) + 40).all()
