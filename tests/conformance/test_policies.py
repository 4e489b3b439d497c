"""Every policy keeps the contract, and policies that break it are found."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import fractile as fr
from fractile import (
    POLICIES,
    FractileError,
    make_policy,
)
from fractile.envs.core.types import ItemParams
from fractile.envs.demand.model import draw_scenario
from fractile.envs.gym.observation import ObservationEncoder
from fractile.policies.neural import NeuralPolicy

PARAMS = ItemParams(
    lead_time=np.array([1, 2, 4]),
    review_period=np.array([1, 2, 1]),
    stockout_cost=np.array([4.0, 9.0, 19.0]),
    unmet_demand="backorder",
    pack_size=np.array([1.0, 6.0, 2.0]),
)
DEMAND = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)


def network(bounded: bool) -> NeuralPolicy:
    encoder = ObservationEncoder(4)
    rng = np.random.default_rng(0)
    sizes = (encoder.size, 8, 1)
    layers = tuple((rng.normal(0, 0.2, (n, m)), np.zeros(m)) for n, m in pairwise(sizes))
    return NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size), bounded=bounded)


MADE = {
    "newsvendor": lambda: make_policy("newsvendor"),
    "tuned_newsvendor": lambda: make_policy("tuned_newsvendor", scale=0.9, shift=-0.5),
    "projected": lambda: make_policy("projected"),
    "base_stock": lambda: make_policy("base_stock", level=[10, 40, 5]),
    "capped_base_stock": lambda: make_policy("capped_base_stock", level=30, cap=[5, 20, 3]),
    "constant_order": lambda: make_policy("constant_order", quantity=3),
    "ss": lambda: make_policy("ss", reorder_point=[5, 20, 2], order_up_to=[10, 40, 5]),
    "rq": lambda: make_policy("rq", reorder_point=[5, 20, 2], quantity=[10, 40, 5]),
    "projected_level": lambda: make_policy("projected_level", level=[4.0, 14.0, 2.0], demand=DEMAND),
    "backprop": lambda: network(bounded=False),
    "ppo": lambda: network(bounded=True),
}
APART = {"dynamic_programming", "hindsight"}
"""Checked below: the one is for one item, the other is no policy."""
ELSEWHERE = {
    *("single_index", "dual_index", "capped_dual_index", "tailored_base_surge"),
    *("echelon_base_stock", "estimated_waste"),
}
"""Checked in tests/policies, on the systems that they are for."""


def rolled_forecasts() -> fr.Scenario:
    """Forecasts of their own for every path."""
    scenario = draw_scenario(DEMAND, 1, 5, 8, 6)
    forecasts = []
    for t in range(8):
        factor = 1.0 + 0.1 * np.arange(5) + 0.05 * t
        values = scenario.forecast(t).values * factor[None, :, None, None]
        forecast = scenario.forecast(t)
        forecasts.append(fr.QuantileForecast(forecast.levels, values, np.full(5, t), forecast.item_ids))
    return fr.Scenario(scenario.demand, forecasts=forecasts)


def test_every_policy_is_checked():
    assert set(MADE) | APART | ELSEWHERE == set(POLICIES)


@pytest.mark.parametrize("name", sorted(MADE))
def test_policy_conforms(name):
    fr.check_policy(MADE[name]())


@pytest.mark.parametrize("name", sorted(MADE))
def test_policy_conforms_with_forecasts_by_path_reviews_and_packs(name):
    fr.check_policy(MADE[name](), rolled_forecasts(), PARAMS)


@pytest.mark.parametrize("unmet", ["lost", "backorder"])
def test_dynamic_programming_conforms(unmet):
    params = ItemParams(lead_time=1, stockout_cost=4.0, unmet_demand=unmet)
    demand = fr.Poisson(5.0)
    policy = make_policy("dynamic_programming", demand=demand, params=params)
    fr.check_policy(policy, draw_scenario(demand, 0, 6, 10, 2), params)


def test_planners_are_not_checked():
    with pytest.raises(FractileError, match="Hindsight is a planner: it is shown the future"):
        fr.check_policy(make_policy("hindsight"))


class Broken:
    """Orders three of everything, as a start for what breaks a rule."""

    def order(self, obs):
        return np.full(obs.net_inventory.shape, 3.0)


class Peeking(Broken):
    """Holds on to the demand, and orders what the next period will need."""

    def __init__(self, demand):
        self.demand = demand

    def order(self, obs):
        return self.demand[:, min(obs.period + 1, self.demand.shape[1] - 1)].copy()


class Squeezed(Broken):
    def order(self, obs):
        return super().order(obs)[:, 0]


class Negative(Broken):
    def order(self, obs):
        return 5.0 - obs.inventory_position


class Infinite(Broken):
    def order(self, obs):
        return super().order(obs) / np.where(obs.period == 3, 0.0, 1.0)


class Moody(Broken):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def order(self, obs):
        return super().order(obs) * self.rng.random()


class Scribbling(Broken):
    def order(self, obs):
        obs.pipeline[...] += 1.0
        return super().order(obs)


class Averaging(Broken):
    """Buys for all paths what the first one needs."""

    def order(self, obs):
        wanted = np.maximum(20.0 - obs.inventory_position, 0.0)
        return np.broadcast_to(wanted[:1], wanted.shape)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Squeezed(), r"Squeezed fails the check 'shape': expected orders of shape .* = \(6, 3\), got \(6,\)"),
        (Negative(), r"Negative fails the check 'non-negative': expected orders >= 0, got -"),
        (Infinite(), "Infinite fails the check 'finite'"),
        (Moody(), "Moody fails the check 'determinism'"),
        (Scribbling(), "Scribbling fails the check '(no mutation|determinism)'"),
        (Averaging(), "Averaging fails the check 'paths do not meet'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_policies_are_found(policy, message):
    with pytest.raises(FractileError, match=message):
        fr.check_policy(policy)


def test_a_policy_that_peeks_is_found_and_demand_is_put_back():
    params = ItemParams(lead_time=1)
    scenario = draw_scenario(DEMAND, 0, 6, 10, 2)
    demand = scenario.demand.copy()
    with pytest.raises(FractileError, match=r"Peeking fails the check 'no peeking'.*read nothing but the observation"):
        fr.check_policy(Peeking(scenario.demand), scenario, params)
    np.testing.assert_array_equal(scenario.demand, demand)


def test_a_policy_that_reads_its_own_past_is_found():
    class Remembering(Broken):
        def __init__(self):
            self.last = 0.0

        def order(self, obs):
            order, self.last = np.full(obs.net_inventory.shape, self.last), float(obs.period)
            return order

    with pytest.raises(FractileError, match="determinism"):
        fr.check_policy(Remembering())
