"""The generalist: its bounds, its projection, its weights, and what it costs where the optimum is known."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.core.types import InventoryState, ItemParams, Observation
from fractile.envs.demand.model import draw_scenario
from fractile.errors import FractileError
from fractile.policies import generalist as module
from fractile.policies.generalist import Generalist, project, summarise
from fractile.policies.newsvendor import Newsvendor
from fractile.randomness import keyed_generator

MIXED = ItemParams(lead_time=np.array([1, 2, 4]), stockout_cost=np.array([4.0, 9.0, 19.0]))
DEMAND = fr.NegativeBinomial(np.array([3.0, 12.0, 0.8]), 2.0)


def observe(demand, params, seed=0, paths=50):
    """Return an observation with random stock and pipeline."""
    rng = keyed_generator(seed, "state")
    items = demand.items
    due = np.arange(params.slots)[:, None, None] < np.asarray(params.lead_time)
    pipeline = np.where(due, rng.integers(0, 9, (params.slots, paths, items)), 0).astype(float)
    stock = rng.integers(0, 12, (paths, items)).astype(float)
    return Observation(0, stock, pipeline, params, demand.forecast(int(np.max(params.protection_interval))))


@pytest.mark.parametrize(
    "params", [replace(MIXED, unmet_demand="backorder"), ItemParams(stockout_cost=[4.0, 9.0, 19.0])]
)
def test_without_lost_sales_or_lead_time_it_is_the_newsvendor(params):
    obs = observe(DEMAND, params)
    np.testing.assert_allclose(Generalist().order(obs), Newsvendor().order(obs), atol=1e-9)


def test_orders_stay_within_what_theory_allows():
    obs = observe(DEMAND, MIXED)
    order = Generalist().order(obs)
    assert (order > 0).any()
    assert (order <= Newsvendor().order(obs) + 1e-9).all()
    served = DEMAND.quantile(MIXED.critical_ratio)
    assert (order <= served + 1e-9).all()


def test_units_do_not_matter():
    """Demand of a hundred times as many units is bought in a hundred times as many."""
    obs = observe(DEMAND, MIXED)
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
    values = np.stack([DEMAND.quantile(level) for level in levels], -1)[:, None, None] * np.ones((3, 1, 5, 1))
    one = fr.QuantileForecast(levels, values, np.array([0]), ("a", "b", "c"))
    many = fr.QuantileForecast(levels, 100 * values, np.array([0]), ("a", "b", "c"))
    larger = replace(obs, net_inventory=100 * obs.net_inventory, pipeline=100 * obs.pipeline, forecast=many)
    policy = Generalist()
    np.testing.assert_allclose(
        policy.order(larger), 100 * policy.order(replace(obs, forecast=one)), rtol=1e-9, atol=1e-7
    )


@pytest.mark.parametrize("unmet", ["lost", "backorder", 0.4])
def test_projected_stock_is_the_mean_of_simulated_stock(unmet):
    """Normal demand: after one period the projection is exact, after more of them good to a few percent."""
    params = ItemParams(lead_time=3, stockout_cost=9.0, unmet_demand=unmet)
    demand = fr.Normal(20.0, 4.0)
    state = InventoryState(np.array([[18.0]]), np.array([14.0, 25.0, 20.0])[:, None, None])
    forecast = demand.forecast(4)
    obs = Observation(0, *state, params, forecast)
    found = summarise(forecast, obs.protection_total(), params)
    draws, paths = keyed_generator(1, "demand").normal(20.0, 4.0, (3, 40_000)), 40_000
    stock = np.full(paths, 18.0)
    lost_in_all = np.zeros(paths)
    for k in range(3):
        gap = stock + state.pipeline[k, 0, 0] - draws[k]
        lost = float(params.lost_share) * np.maximum(-gap, 0.0)
        stock, lost_in_all = gap + lost, lost_in_all + lost
        got = project(replace(obs, params=replace(params, lead_time=k + 1)), found)
        error = 4 * stock.std() / np.sqrt(paths)
        np.testing.assert_allclose(got.mean.item(), stock.mean(), atol=error + (0.0 if k == 0 else 0.1))
        np.testing.assert_allclose(got.spread.item(), stock.std(), rtol=0.05)
        np.testing.assert_allclose(got.lost.item(), lost_in_all.mean(), atol=error + (0.0 if k == 0 else 0.1))


@pytest.mark.parametrize("params", [MIXED, ItemParams(lead_time=2, fixed_order_cost=30.0, unmet_demand=0.5)])
def test_numpy_and_torch_agree(params):
    torch = pytest.importorskip("torch")
    obs, policy = observe(DEMAND, params), Generalist()

    def convert(x):
        return torch.as_tensor(np.asarray(x, dtype=np.float64))

    tensors = Generalist(
        tuple((convert(w), convert(b)) for w, b in policy.layers), convert(policy.shift), convert(policy.spread)
    )
    given = replace(obs, net_inventory=convert(obs.net_inventory), pipeline=convert(obs.pipeline))
    np.testing.assert_allclose(tensors.order(given).numpy(), policy.order(obs), rtol=1e-9, atol=1e-9)


def test_forecasts_read_beforehand_lead_to_the_same_orders():
    scenario = draw_scenario(DEMAND, 0, 6, 8, 5)
    policy = Generalist()
    prepared = policy.prepare(scenario, MIXED)
    assert prepared.features is not None
    runs = [fr.simulate(policy, s, MIXED, initial_state=InventoryState.empty(6, 3, 4)) for s in (scenario, prepared)]
    np.testing.assert_array_equal(runs[0].order, runs[1].order)


def test_a_mixture_of_lead_times_is_each_item_on_its_own():
    obs, policy = observe(DEMAND, MIXED), Generalist()
    together = policy.order(obs)
    for item, lead_time in enumerate((1, 2, 4)):
        one = np.array([item])
        alone = replace(
            obs,
            net_inventory=obs.net_inventory[:, one],
            pipeline=obs.pipeline[:lead_time, :, one],
            params=ItemParams(lead_time=lead_time, stockout_cost=float(MIXED.stockout_cost[item])),
            forecast=DEMAND.select(one).forecast(lead_time + 1),
        )
        np.testing.assert_allclose(policy.order(alone), together[:, one], atol=1e-9)


def test_units_due_after_the_order_are_not_bought_again():
    params = ItemParams(lead_time=1, stockout_cost=9.0)
    obs = observe(fr.Poisson(5.0), params)
    longer = np.concatenate([obs.pipeline, np.full((1, *obs.net_inventory.shape), 3.0)])
    late = replace(obs, pipeline=longer)
    policy = Generalist()
    assert (policy.order(late) <= policy.order(obs)).all()
    assert (policy.order(late) < policy.order(obs)).any()


def test_networks_are_refused():
    params = fr.networks.serial([2, 1], [0.5, 1.0], 9.0)
    obs = Observation(0, np.zeros((1, 2)), np.zeros((2, 1, 2)), params)
    with pytest.raises(FractileError, match="generalist orders for items, not for a Network"):
        Generalist().order(obs)
    scenario = fr.Poisson(5.0).scenario(keyed_generator(0, "network"), 1, 5, params.horizon)
    assert Generalist().prepare(scenario, params) is scenario


def test_the_shipped_file_says_how_it_was_made_and_is_small():
    files = [module.WEIGHTS / f"generalist.{ending}" for ending in ("json", "safetensors")]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    made = json.loads(files[0].read_text(encoding="utf-8"))
    assert made["command"].startswith("python -m fractile.training.generalist")
    assert made["settings"]["seed"] == 0
    assert {"numpy", "torch"} <= set(made["versions"])


def test_ordering_needs_no_torch():
    program = (
        "import sys, numpy as np, fractile as fr; p = fr.make_policy('generalist'); "
        "s = fr.Poisson(5.0).scenario(np.random.default_rng(0), 2, 5, 3); "
        "print(fr.simulate(p, s, fr.ItemParams(lead_time=2)).order.sum() > 0, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(("lead_time", "most"), [(1, 0.01), (2, 0.01), (3, 0.012)])
def test_gaps_to_known_optima_are_small(lead_time, most):
    """Zipkin's Poisson instances, which no training saw; gaps are exact."""
    gaps = []
    for b in (4, 9, 19, 39):
        instance = fr.instances[f"zipkin2008-poisson-b{b}-L{lead_time}"]
        optimal = fr.make_policy("dynamic_programming", demand=instance.demand, params=instance.params)
        gaps.append(optimal.average_cost_of(Generalist()) / instance.optimal - 1.0)
    assert np.mean(gaps) <= most
    assert max(gaps) <= 2.0 * most


def test_fixed_costs_lead_to_few_orders():
    """Zheng and Federgruen's (s, S) instance with K = 64: within a few percent of the optimum."""
    params = ItemParams(stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder", pack_size=1.0)
    scenario = draw_scenario(fr.Poisson(10.0), 0, 200, 250, 1)
    run = fr.simulate(Generalist(), scenario, params, warm_up=50)
    best = fr.simulate(fr.make_policy("ss", reorder_point=6, order_up_to=40), scenario, params, warm_up=50)
    assert run.mean_cost <= 1.05 * best.mean_cost
    assert 0.2 < (run.order > 0).mean() < 0.5
