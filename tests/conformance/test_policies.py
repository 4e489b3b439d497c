"""Every policy keeps the contract, and policies that break it are found."""

from __future__ import annotations

from dataclasses import fields, replace
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
from fractile.envs.gym.discrete import ActionGrid
from fractile.envs.gym.encoders import StandardisedEncoder
from fractile.envs.gym.observation import ObservationEncoder
from fractile.policies.actors import MlpActor
from fractile.policies.neural import NeuralPolicy
from fractile.policies.sb3 import SB3Policy
from fractile.policies.storage import load_policy, save_policy

PARAMS = ItemParams(
    lead_time=np.array([1, 2, 4]),
    review_period=np.array([1, 2, 1]),
    stockout_cost=np.array([4.0, 9.0, 19.0]),
    unmet_demand="backorder",
    pack_size=np.array([1.0, 6.0, 2.0]),
)
DEMAND = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)


def layers_of(inputs: int, outputs: int):
    rng = np.random.default_rng(0)
    return tuple((rng.normal(0, 0.2, (n, m)), np.zeros(m)) for n, m in pairwise((inputs, 8, outputs)))


def network() -> NeuralPolicy:
    encoder = ObservationEncoder(4)
    return NeuralPolicy(encoder, layers_of(encoder.size, 1), np.zeros(encoder.size), np.ones(encoder.size))


def agent(name: str) -> SB3Policy:
    encoder = ObservationEncoder(4)
    grid = ActionGrid(21) if name == "dqn" else None
    ends = ("relu", "identity") if name in ("ppo", "a2c", "dqn") else ("relu", "tanh")
    actor = MlpActor(layers_of(encoder.size, 1 if grid is None else grid.size), ends, grid)
    standardised = StandardisedEncoder(encoder, np.full(encoder.size, 0.5), np.full(encoder.size, 2.0))
    return SB3Policy(actor, encoder=standardised, algorithm=name)


MADE = {
    "newsvendor": lambda: make_policy("newsvendor"),
    "tuned_newsvendor": lambda: make_policy("tuned_newsvendor", scale=0.9, shift=-0.5),
    "projected": lambda: make_policy("projected"),
    "tuned_projected": lambda: make_policy("tuned_projected", scale=0.9, shift=-0.5),
    "myopic": lambda: make_policy("myopic"),
    "myopic2": lambda: make_policy("myopic2"),
    "lookahead": lambda: make_policy("lookahead", scale=1.1, shift=-0.2),
    "base_stock": lambda: make_policy("base_stock", level=[10, 40, 5]),
    "capped_base_stock": lambda: make_policy("capped_base_stock", level=30, cap=[5, 20, 3]),
    "constant_order": lambda: make_policy("constant_order", quantity=3),
    "ss": lambda: make_policy("ss", reorder_point=[5, 20, 2], order_up_to=[10, 40, 5]),
    "rq": lambda: make_policy("rq", reorder_point=[5, 20, 2], quantity=[10, 40, 5]),
    "projected_level": lambda: make_policy("projected_level", level=[4.0, 14.0, 2.0], demand=DEMAND),
    "generalist": lambda: make_policy("generalist"),
    "backprop": lambda: network(),
    **{name: (lambda name=name: agent(name)) for name in ("ppo", "a2c", "sac", "td3", "ddpg", "dqn")},
}
APART = {"dynamic_programming", "hindsight"}
"""Checked below: the one is for one item, the other is no policy."""
ELSEWHERE = {
    *("single_index", "dual_index", "capped_dual_index", "tailored_base_surge"),
    *("echelon_base_stock", "estimated_waste", "forecast_dp"),
}
"""Checked in tests/policies, on the systems that they are for."""


DUAL = fr.networks.dual_sourcing(holding_cost=1.0, stockout_cost=9.0)
SERIAL = fr.networks.serial([2, 1], [0.5, 1.0], 9.0)
MIXED = ItemParams(lead_time=np.array([1, 2, 4]), stockout_cost=np.array([4.0, 9.0, 19.0]))
ONE_ITEM = ItemParams(lead_time=1, stockout_cost=4.0)

KEPT = {
    **{name: (make, MIXED) for name, make in MADE.items()},
    "capped_base_stock": (lambda: make_policy("capped_base_stock", level=[30, 40, 50], cap=np.inf), MIXED),
    "newsvendor": (lambda: make_policy("newsvendor", critical_ratio=[0.5, 0.6, 0.7], scale=1.1), MIXED),
    "ss": (lambda: make_policy("ss", reorder_point=2, order_up_to=[10, 40, 5]), MIXED),
    "single_index": (lambda: make_policy("single_index", regular_level=25, expedited_level=12), DUAL),
    "dual_index": (lambda: make_policy("dual_index", regular_level=25, expedited_level=12), DUAL),
    "capped_dual_index": (
        lambda: make_policy("capped_dual_index", regular_level=25, expedited_level=12, cap=np.inf),
        DUAL,
    ),
    "tailored_base_surge": (lambda: make_policy("tailored_base_surge", quantity=4, expedited_level=12), DUAL),
    "echelon_base_stock": (lambda: make_policy("echelon_base_stock", levels=[25.0, 12.0]), SERIAL),
    "estimated_waste": (
        lambda: make_policy("estimated_waste", level=[9, 18, 9]),
        ItemParams(lead_time=1, shelf_life=np.array([2.0, 3.0, np.inf])),
    ),
    "forecast_dp": (
        lambda: make_policy(
            "forecast_dp", probabilities=fr.Poisson(5.0).pmf(np.arange(20)).reshape(1, -1), solved=[1], params=ONE_ITEM
        ),
        ONE_ITEM,
    ),
    "dynamic_programming": (
        lambda: make_policy("dynamic_programming", demand=fr.Poisson(5.0), params=ONE_ITEM),
        ONE_ITEM,
    ),
    "hindsight": (lambda: make_policy("hindsight"), MIXED),
}
"""Every registered policy, and a system that it is for."""


def scenario_of(params) -> fr.Scenario:
    if isinstance(params, fr.networks.Network):
        scenario = draw_scenario(fr.Poisson(5.0), 0, 6, 10, params.horizon)
        return replace(scenario, demand=params.place(scenario.demand))
    demand = fr.Poisson(5.0) if params is ONE_ITEM else DEMAND
    return draw_scenario(demand, 0, 6, 10, int(np.max(params.protection_interval)))


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
    assert set(MADE) | APART | ELSEWHERE == set(POLICIES) == set(KEPT)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_comes_back_from_disk(name, tmp_path):
    make, params = KEPT[name]
    policy, scenario = make(), scenario_of(params)
    save_policy(name, policy, tmp_path)
    loaded = load_policy(name, tmp_path)
    assert type(loaded) is type(policy)
    runs = [fr.simulate(one, scenario, params).order for one in (policy, loaded)]
    np.testing.assert_array_equal(*runs)
    assert runs[0].any()
    for field in fields(policy):
        kept, given = getattr(loaded, field.name), getattr(policy, field.name)
        if isinstance(given, (float, np.ndarray)):
            np.testing.assert_array_equal(kept, given, strict=isinstance(given, np.ndarray))


def test_nested_demand_and_parameters_come_back_from_disk(tmp_path):
    demand = fr.demand.Rounded(fr.Gamma(4.0, cv=0.5))
    params = replace(ONE_ITEM, holding_cost=0.1, unmet_demand="backorder", maximum_order=np.inf)
    save_policy("dynamic_programming", make_policy("dynamic_programming", demand=demand, params=params), tmp_path)
    loaded = load_policy("dynamic_programming", tmp_path)
    np.testing.assert_array_equal(loaded.demand.pmf(np.arange(9)), demand.pmf(np.arange(9)))
    assert loaded.params.unmet_demand == "backorder"
    assert loaded.params.maximum_order == np.inf


def test_what_no_file_can_hold_is_refused(tmp_path):
    class Own(fr.Poisson):
        """Demand that is not in `storage.NESTED`."""

    policy = make_policy("projected_level", level=4, demand=Own(3.0))
    with pytest.raises(FractileError, match="demand of ProjectedLevel cannot be kept on disk: it is a Own"):
        save_policy("projected_level", policy, tmp_path)


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
        (Averaging(), "Averaging fails the check 'independent paths'"),
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


def test_a_policy_that_is_another_one_after_loading_is_found():
    class Forgetful(Broken):
        def __init__(self, quantity=3.0):
            self.quantity = quantity

        def order(self, obs):
            return np.full(obs.net_inventory.shape, self.quantity)

        def to_state(self):
            return {}, {"quantity": np.array([self.quantity])}

        @classmethod
        def from_state(cls, config, arrays):
            return cls(**config)

    fr.check_policy(Forgetful())
    with pytest.raises(FractileError, match=r"Forgetful fails the check 'storage'.*restore it in from_state"):
        fr.check_policy(Forgetful(4.0))


def test_a_policy_that_reads_its_own_past_is_found():
    class Remembering(Broken):
        def __init__(self):
            self.last = 0.0

        def order(self, obs):
            order, self.last = np.full(obs.net_inventory.shape, self.last), float(obs.period)
            return order

    with pytest.raises(FractileError, match="determinism"):
        fr.check_policy(Remembering())
