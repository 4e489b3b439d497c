"""Tuners of classical policies: they reach what is known, pool items, and never cost more than formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.arrivals.models import with_arrivals
from fractile.envs.core.params import SharedCapacity
from fractile.envs.instances.catalogue import instances
from fractile.forecasters.forecast import concatenate_origins
from fractile.training.config import TuningConfig
from fractile.training.tune import TUNERS, tune_policy
from fractile.training.tuning.candidates import Trial, selling
from fractile.training.tuning.fractiles import Fractiles

PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0, pack_size=1)


def scenario_of(seed, paths=64, periods=60, demand=None):
    return fr.draw_scenario(demand or fr.Poisson(5.0), seed=seed, paths=paths, periods=periods, span=3)


def forecast_of(mean, levels=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95), span=3):
    """Quantiles of a Poisson-like demand with a mean per item."""
    spread = np.quantile(np.random.default_rng(0).poisson(5.0, 4096) / 5.0, levels)
    values = np.broadcast_to(np.asarray(mean)[:, None, None, None] * spread, (len(mean), 1, span, len(levels)))
    ids = tuple(f"item {i}" for i in range(len(mean)))
    return fr.QuantileForecast(np.array(levels), values.copy(), np.array([0]), ids)


@pytest.mark.parametrize("name", ["zipkin2008-poisson-b4-L2", "zipkin2008-poisson-b19-L4"])
def test_tuners_reach_the_best_parameters_that_are_known(name):
    instance = instances[name]
    scenario = fr.draw_scenario(instance.demand, seed=0, paths=512, periods=100, span=5)
    for policy in ("base_stock", "capped_base_stock"):
        tuned = tune_policy(policy, scenario, instance.params).policy
        known = instance.known[policy].parameters
        assert {key: getattr(tuned, key).item() for key in known} == known


@pytest.mark.parametrize("name", ["tuned_newsvendor", "tuned_projected"])
@pytest.mark.parametrize("origins", [1, 3])
def test_candidates_of_a_fractile_cost_what_each_costs_alone(name, origins):
    scenario = scenario_of(0, paths=3, periods=12)
    if origins == 3:  # each path has forecasts of its own
        scenario = replace(scenario, forecasts=[concatenate_origins([f, f, f]) for f in scenario.forecasts])
        scenario.forecasts[4].values[:, 1] *= 1.5
    trial = Trial(scenario, PARAMS, 2, 4)
    candidates = Fractiles(scenario, PARAMS, name == "tuned_projected")
    theta = np.broadcast_to(np.array([[[0.1, -0.5]], [[-0.2, 1.0]]]), (2, 1, 2))
    paid = trial.costs(candidates.make, theta, fr.make_policy("newsvendor"))
    for cost, (scale, shift) in zip(paid, theta[:, 0], strict=True):
        policy = fr.make_policy(name, scale=1.0 + scale, shift=shift)
        alone = fr.simulate(policy, scenario, PARAMS, warm_up=2).cost.sum()
        # Fewer draws of demand stand for the distribution where candidates project stock.
        np.testing.assert_allclose(cost.sum(), alone, rtol=0.03 if name == "tuned_projected" else 1e-12)


def test_candidates_cost_what_each_costs_alone_with_rules_prices_and_random_lead_times():
    params = fr.ItemParams(
        lead_time=np.array([1, 2]),
        review_period=np.array([2, 1]),
        pack_size=np.array([1.0, 6.0]),
        fixed_order_cost=2.0,
        salvage_value=0.5,
    )
    scenario = scenario_of(0, paths=3, periods=13, demand=fr.Poisson(np.array([5.0, 9.0])))
    scenario = replace(scenario, prices=1.0 + np.random.default_rng(0).random((3, 13, 2)))
    late = fr.arrivals.RandomLeadTime([0.2, 0.5, 0.3])
    for case in (scenario, with_arrivals(scenario, late, seed=1)):
        _check_levels(case, params)


@pytest.mark.parametrize("issuing", ["fifo", "lifo"])
def test_candidates_cost_what_each_costs_alone_where_stock_perishes(issuing):
    params = replace(PARAMS, shelf_life=np.array([2.0, np.inf]), waste_cost=7.0, issuing=issuing)
    _check_levels(scenario_of(0, paths=3, periods=13, demand=fr.Poisson(np.array([5.0, 9.0]))), params)


def _check_levels(scenario, params):
    levels = np.array([[[20.0], [30.0]], [[25.0], [41.0]]])
    trial = Trial(scenario, params, 2, 4)
    one = fr.make_policy("base_stock", level=1)
    paid = trial.costs(lambda theta: fr.make_policy("base_stock", level=theta[..., 0]), levels, one)
    for cost, level in zip(paid, levels, strict=True):
        run = fr.simulate(fr.make_policy("base_stock", level=level[:, 0]), scenario, params, warm_up=2)
        np.testing.assert_allclose(cost.sum(0), run.cost.sum((0, 1)))


DUAL = fr.networks.dual_sourcing(holding_cost=1.0, stockout_cost=9.0, expedited_cost=102.0, whole_units=True)
SERIAL = fr.networks.serial([2, 1], [0.5, 1.0], 9.0)
SYSTEMS = {
    "estimated_waste": replace(PARAMS, shelf_life=3, waste_cost=2.0),
    **dict.fromkeys(("single_index", "dual_index", "capped_dual_index", "tailored_base_surge"), DUAL),
    "echelon_base_stock": SERIAL,
}
"""Where `PARAMS` are not what a policy is for."""


def placed(scenario, system):
    if isinstance(system, fr.ItemParams):
        return scenario
    return replace(scenario, demand=system.place(scenario.demand), forecasts=None)


@pytest.mark.parametrize("name", sorted(TUNERS))
def test_every_tuner_costs_less_than_formulas(name):
    params = SYSTEMS.get(name, PARAMS)
    tuned = tune_policy(name, placed(scenario_of(0), params), params)
    fresh = placed(scenario_of(1), params)
    cost, plain = (fr.simulate(p, fresh, params, warm_up=10).mean_cost for p in (tuned.policy, tuned.untuned))
    # These two are near their best as they are.
    assert cost < (1.01 if name in ("projected_level", "lookahead") else 1.0) * plain


def cost_of(policy, instance, paths=1000, periods=130, warm_up=30):
    """Cost a period of the whole system on fresh demand, and four standard errors."""
    scenario = placed(fr.draw_scenario(instance.demand, seed=7, paths=paths, periods=periods, span=5), instance.params)
    cost = fr.simulate(policy, scenario, instance.params, warm_up=warm_up).cost.sum(2).mean(1)
    return cost.mean(), 4 * cost.std() / np.sqrt(paths)


KNOWN = [
    *(("gijsbrechts2022-dual-L2-c105", name) for name in ("single_index", "dual_index", "tailored_base_surge")),
    ("gijsbrechts2022-dual-L3-c105", "single_index"),  # a valley for each gap between the levels
    ("gijsbrechts2022-dual-L3-c110", "capped_dual_index"),
    ("bijvank2015-fixed-cost", "ss"),
    ("bijvank2015-fixed-cost", "rq"),
    ("zheng1991-poisson-25", "ss"),
    ("zheng1991-poisson-70", "ss"),  # the best level has two valleys: lots of one period's demand, and of two
    ("zipkin2008-poisson-b9-L3", "projected_level"),
    ("snyder2019-serial", "echelon_base_stock"),
]


@pytest.mark.parametrize(("name", "policy"), KNOWN)
def test_tuned_policies_cost_what_the_best_of_their_kind_is_known_to(name, policy):
    instance = instances[name]
    scenario = placed(fr.draw_scenario(instance.demand, seed=0, paths=256, periods=100, span=5), instance.params)
    tuned = tune_policy(policy, scenario, instance.params, demand=instance.demand)
    cost, error = cost_of(tuned.policy, instance)
    assert cost < 1.004 * instance.known[policy].cost + error


@pytest.mark.parametrize(("issuing", "level"), [("fifo", 7), ("lifo", 5)])
def test_the_best_level_of_perishable_stock(issuing, level):
    instance = instances[f"demoor2022-perishable-{issuing}"]
    scenario = fr.draw_scenario(instance.demand, seed=0, paths=256, periods=100, span=2)
    assert tune_policy("base_stock", scenario, instance.params).policy.level.item() == level


def test_echelons_reach_the_optimum_of_a_chain():
    instance = instances["alvo2023-serial-b9-L2"]
    scenario = placed(fr.draw_scenario(instance.demand, seed=0, paths=256, periods=100, span=5), instance.params)
    cost, error = cost_of(tune_policy("echelon_base_stock", scenario, instance.params).policy, instance)
    assert abs(cost - instance.optimal) < 0.006 * instance.optimal + error


def test_stock_that_is_only_sold_off_is_paid_for():
    """A policy that orders nothing lives on what it starts with: units are charged when they leave."""
    scenario = placed(scenario_of(0, periods=12), DUAL)
    trial = Trial(scenario, DUAL, 0, 4)

    def make(theta):
        return fr.make_policy("tailored_base_surge", quantity=theta[..., 0], expedited_level=theta[..., 1])

    start = fr.make_policy("tailored_base_surge", quantity=0, expedited_level=60)
    nothing = trial.costs(make, np.array([[[0.0, 60.0]]]), start).sum()
    assert nothing / trial.counts.sum() > 100.0 * 5.0 * 0.95


def test_items_that_share_a_capacity_share_a_setting():
    limited = SharedCapacity(limit=14.0)
    params = replace(PARAMS, capacity=limited)
    demand = fr.Poisson(np.array([3.0, 5.0, 4.0]))
    tuned = tune_policy("base_stock", scenario_of(0, demand=demand), params)
    fresh = scenario_of(1, demand=demand)
    cost, plain = (fr.simulate(p, fresh, params, warm_up=10).mean_cost for p in (tuned.policy, tuned.untuned))
    assert tuned.policy.level.shape == (3,)
    assert cost < plain


def test_the_untuned_form_is_kept_where_it_costs_less_later():
    # Tuned where demand is twice the forecast, judged where the forecast is right.
    scenario = scenario_of(0)
    double = replace(scenario, demand=2.0 * scenario.demand)
    tuned = tune_policy("tuned_newsvendor", double, PARAMS, kept=scenario_of(1))
    assert tuned.policy is tuned.untuned
    assert tuned.cost == tuned.untuned_cost
    assert "the untuned form costs less on the periods kept for choosing" in tuned.notes[-1]
    better = tune_policy("tuned_newsvendor", double, PARAMS, kept=double)
    assert better.policy is not better.untuned
    assert better.cost < better.untuned_cost


def test_a_search_that_ends_at_the_edge_of_its_grid_widens_it_and_says_so():
    # A quarter of the demand that was forecast: the best scale is far below the lowest of the first grid.
    scenario = scenario_of(0)
    quarter = replace(scenario, demand=np.floor(scenario.demand / 4))
    tuned = tune_policy("tuned_newsvendor", quarter, PARAMS)
    assert tuned.policy.scale < 0.6 or tuned.policy.shift < -2.0
    assert any("came to the edge of its grid, which was widened to" in note for note in tuned.notes)
    stuck = tune_policy("tuned_newsvendor", quarter, PARAMS, config=TuningConfig(widenings=0))
    assert any("a better value may lie beyond" in note for note in stuck.notes)
    assert "the scale" in stuck.at_edge
    assert tuned.at_edge == ()


def test_items_whose_demand_has_ended_do_not_tune_the_others():
    """Two thirds of the items stop selling, and forecasts take a few periods to follow.

    Their stock costs in all later periods whatever is ordered. A tuner that counts it buys too little for the items
    that live on: this panel's like was tuned to twice the newsvendor's cost.
    """
    rng = np.random.default_rng(3)
    items, periods, live = 24, 26, np.arange(24) < 8
    demand = rng.poisson(6.0, (1, periods, items)).astype(float)
    demand[:, 2:, ~live] = 0.0
    after = np.where(live, 6.0, 6.0 * 0.5 ** np.maximum(np.arange(periods) - 2, 0)[:, None])
    scenario = fr.Scenario(demand, forecasts=[forecast_of(mean) for mean in after])
    later = rng.poisson(6.0, (1, 50, items)) * live.astype(float)
    kept = fr.Scenario(later, forecasts=[forecast_of(np.where(live, 6.0, 0.0))] * 50)
    params = fr.ItemParams(lead_time=1, stockout_cost=9.0, pack_size=1)
    counted = selling(scenario)
    assert counted[..., live].all()
    assert not counted[:, 2:, ~live].any()
    tuned = tune_policy("tuned_newsvendor", scenario, params)
    cost, plain = (fr.simulate(p, kept, params, warm_up=2).mean_cost for p in (tuned.policy, tuned.untuned))
    assert cost < 1.05 * plain
    # A fixed level has no forecast to tell it that nothing is sold any more.
    for name in ("base_stock", "capped_base_stock", "ss", "constant_order"):
        fixed = tune_policy(name, scenario, params)
        assert "16 items whose demand has ended are not ordered any more" in fixed.notes
        run = fr.simulate(fixed.policy, kept, params, warm_up=2)
        assert not run.order[..., ~live].any()
        assert run.order[..., live].any()


def test_a_later_stretch_shows_which_items_have_ended():
    rng = np.random.default_rng(0)
    sold = rng.poisson(6.0, (1, 30, 3)).astype(float)
    after = sold[:, :12] * [1.0, 0.0, 1.0]
    forecasts = [forecast_of(np.full(3, 6.0))] * 30
    params = fr.ItemParams(lead_time=1, stockout_cost=9.0, pack_size=1)
    tuned = tune_policy(
        "base_stock", fr.Scenario(sold, forecasts=forecasts), params, later=fr.Scenario(after, forecasts=forecasts[:12])
    )
    assert (tuned.policy.level > 0).tolist() == [True, False, True]


def test_slow_items_count_while_they_are_silent():
    demand = np.zeros((1, 26, 1))
    demand[:, [3, 11]] = 1.0
    assert selling(fr.Scenario(demand)).all()


def test_items_of_one_law_share_a_setting_and_items_of_many_laws_do_not():
    mean = np.full(60, 5.0)
    short = fr.draw_scenario(fr.Poisson(mean), seed=0, paths=1, periods=20, span=3)
    shared = tune_policy("base_stock", short, PARAMS)
    assert any("share one setting" in note for note in shared.notes)
    # Lost sales: long lead times want levels further below the newsvendor's than short ones.
    several = replace(PARAMS, lead_time=np.where(np.arange(60) < 30, 1, 6))
    long = fr.draw_scenario(fr.Poisson(mean), seed=0, paths=32, periods=80, span=7)
    own = tune_policy("base_stock", long, several)
    assert any("a setting of its own" in note or "follows its own costs" in note for note in own.notes)
    fresh = fr.draw_scenario(fr.Poisson(mean), seed=1, paths=32, periods=80, span=7)
    for tuned, params in ((shared, PARAMS), (own, several)):
        cost, plain = (fr.simulate(p, fresh, params, warm_up=12).mean_cost for p in (tuned.policy, tuned.untuned))
        assert cost < plain


@pytest.mark.parametrize("name", ["ss", "rq"])
def test_without_fixed_costs_reorder_points_come_near_base_stock(name):
    """The economic lot is a unit then: the level must move by more than that."""
    mean = np.array([0.4, 3.0, 11.0, 40.0])
    params = replace(PARAMS, lead_time=3)
    scenario, fresh = (
        fr.draw_scenario(fr.NegativeBinomial(mean, 2.0), seed=seed, paths=24, periods=60, span=4) for seed in (0, 1)
    )
    cost, best = (
        fr.simulate(tune_policy(n, scenario, params).policy, fresh, params, warm_up=10).mean_cost
        for n in (name, "base_stock")
    )
    assert cost < 1.03 * best


def test_what_has_no_tuner_is_refused():
    with pytest.raises(fr.FractileError, match="policy 'hindsight' has no tuner"):
        tune_policy("hindsight", scenario_of(0), PARAMS)
    with pytest.raises(fr.FractileError, match="base_stock is tuned for items, got Network"):
        tune_policy("base_stock", scenario_of(0), fr.networks.dual_sourcing())
    with pytest.raises(fr.FractileError, match="reads forecasts"):
        tune_policy("tuned_newsvendor", replace(scenario_of(0), forecasts=None), PARAMS)
