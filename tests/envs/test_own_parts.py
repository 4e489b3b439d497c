"""Systems and demand models of a user's own: what they must have, and what is said where they lack it."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile.envs.core.backend import concatenate, minimum
from fractile.envs.core.system import COMPARED, OBSERVED, SIMULATED
from fractile.envs.gym.sources import JointSource
from fractile.errors import FractileError


class Spoiling:
    """Unmet demand is lost, and a share of what is left at a period's end spoils."""

    slots, review_period, every_period, salvage_value = 1, 1, True, 0.0
    holding_cost, stockout_cost, unit_cost = 0.1, 1.0, 0.5
    lead_time, protection_interval, critical_ratio, pack_size, ages, capacity = 1, 2, 0.9, None, 0, None

    def step(self, state, order, demand, params, arrivals=None):
        received = state.pipeline[0]
        available = state.net_inventory + received
        sales = minimum(available, demand)
        on_hand, shortfall = available - sales, demand - sales
        cost = 0.1 * on_hand + 1.0 * shortfall + 0.5 * order
        outcome = fr.PeriodOutcome(order, received, sales, shortfall, on_hand, cost)
        return fr.InventoryState(0.8 * on_hand, concatenate([state.pipeline[1:], order[None]])), outcome

    def ordering_cost(self, order):
        return self.unit_cost * order


def without(name):
    """Return the system without one attribute."""
    kept = {k: v for k, v in vars(Spoiling).items() if k not in (name, "__dict__", "__weakref__")}
    return type("Spoiling", (), kept)()


def scenario():
    return fr.draw_scenario(fr.Poisson(20.0), seed=1, paths=4, periods=10, span=2)


def two_levels(system):
    policies = {name: fr.make_policy("base_stock", level=level) for name, level in (("a", 40.0), ("b", 44.0))}
    return str(fr.compare(policies, scenario(), system, baseline="a"))


@pytest.mark.parametrize("name", [*SIMULATED, *COMPARED, *OBSERVED])
def test_the_check_of_a_system_names_each_attribute_that_is_read_of_it(name):
    with pytest.raises(FractileError, match=f"a Spoiling lacks {name}, which"):
        fr.check_dynamics(without(name))


def test_the_check_of_a_system_names_all_that_is_missing_at_once():
    bare = SimpleNamespace(step=Spoiling().step, every_period=False)
    missing = ", ".join(("slots", "salvage_value", *COMPARED, *OBSERVED, "review_period"))
    with pytest.raises(FractileError, match=f"lacks {missing}, which"):
        fr.check_dynamics(bare)


def test_a_system_that_passes_the_check_can_be_compared_and_played():
    fr.check_dynamics(Spoiling())
    assert "baseline" in two_levels(Spoiling())
    env = gym.make("fractile/LostSales-v0", source=JointSource(fr.Poisson(20.0), Spoiling()))
    env.reset(seed=1)
    assert env.step([0.0])[1] < 0


@pytest.mark.parametrize("name", [*SIMULATED, *COMPARED])
def test_a_comparison_names_what_a_system_lacks(name):
    with pytest.raises(FractileError, match=f"a Spoiling lacks {name}, which"):
        two_levels(without(name))


@pytest.mark.parametrize("name", [*SIMULATED[:2], *OBSERVED])
def test_an_environment_names_what_a_system_lacks(name):
    with pytest.raises(FractileError, match=f"a Spoiling lacks {name}, which an environment reads"):
        gym.make("fractile/LostSales-v0", source=JointSource(fr.Poisson(20.0), without(name)))


@pytest.mark.parametrize(
    ("name", "reader", "attribute"),
    [("projected", "Projected", "lost_share"), ("lookahead", "Lookahead", "order_charges")],
)
def test_a_policy_that_reads_more_of_a_system_than_it_has_is_named(name, reader, attribute):
    with pytest.raises(FractileError, match=f"a Spoiling lacks {attribute}, which is read where {reader} orders"):
        fr.simulate(fr.make_policy(name), scenario(), Spoiling())


@pytest.mark.parametrize("name", ["myopic", "myopic2", "generalist", "hindsight"])
def test_policies_that_plan_for_items_say_so(name):
    with pytest.raises(FractileError, match=rf"{name}.* plans? for items|{name} orders for items"):
        fr.simulate(fr.make_policy(name), scenario(), Spoiling())


def test_an_error_of_a_policys_own_stays_as_it_is():
    lost = SimpleNamespace(order=lambda obs: obs.no_such_thing)
    with pytest.raises(AttributeError, match="no_such_thing"):
        fr.simulate(lost, scenario(), Spoiling())


class Bursts:
    """Demand that has `sample` alone."""

    def sample(self, rng, paths, periods):
        return (rng.random((paths, periods, 1)) < 0.3) * rng.poisson(10.0, (paths, periods, 1))


@pytest.mark.parametrize("truth", [Bursts(), fr.Poisson(3.0)])
@pytest.mark.parametrize("belief", [Bursts(), fr.Poisson(3.0), fr.Distortion(bias=-0.3)])
def test_truth_and_belief_may_have_sample_alone(truth, belief):
    model = fr.Believed(truth, belief)
    drawn = fr.draw_scenario(model, seed=1, paths=5, periods=10, span=4)
    np.testing.assert_array_equal(drawn.demand, fr.draw_scenario(truth, seed=1, paths=5, periods=10, span=4).demand)
    if not isinstance(belief, fr.Distortion):
        seen = fr.draw_scenario(belief, seed=2, paths=5, periods=10, span=4).forecast(3).mean()
        np.testing.assert_allclose(drawn.forecast(3).mean(), seen)
    gym.make("fractile/LostSales-v0", demand=model).reset(seed=1)


def test_a_belief_about_other_items_is_refused():
    with pytest.raises(FractileError, match="about the truth's 1 items, got 2"):
        fr.Believed(Bursts(), fr.Poisson([3.0, 4.0]))
