"""Any number of items, block by block: the same sums as at once, whatever follows, in little memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fractile as fr
from fractile.policies import rollout, stream
from fractile.randomness import keyed_generator

ITEMS = 10
MEANS = np.linspace(1.0, 9.0, ITEMS)
PARAMS = fr.ItemParams(lead_time=np.arange(ITEMS) % 3, stockout_cost=np.linspace(4.0, 19.0, ITEMS))
SETTING = {"seed": 3, "paths": 7, "periods": 25, "warm_up": 5}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(rollout, "ITEM_BLOCK", 4)


def summed(run):
    return run.cost.sum((0, 1)), run.holding.sum((0, 1)), run.stockout.sum((0, 1)), run.sales.sum((0, 1))


@pytest.mark.usefixtures("small_blocks")
def test_sums_are_those_of_a_simulation_of_all_items():
    policy = fr.make_policy("base_stock", level=3.0 * MEANS)
    totals = stream(policy, fr.Poisson(MEANS), PARAMS, **SETTING)
    blocks = [
        fr.Poisson(MEANS[4 * block : 4 * block + 4]).sample(keyed_generator(3, "stream", block), 7, 25)
        for block in range(3)
    ]
    demand = np.concatenate(blocks, axis=2)
    run = fr.simulate(policy, fr.Scenario(demand), PARAMS, warm_up=5)
    for got, expected in zip((totals.cost, totals.holding, totals.stockout, totals.sales), summed(run), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert totals.mean_cost == pytest.approx(run.mean_cost, rel=1e-12)
    assert totals.fill_rate == pytest.approx(run.fill_rate, rel=1e-12)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("demand", [fr.Poisson, fr.Geometric, lambda mean: fr.Gamma(mean, cv=0.5)])
def test_items_of_whole_blocks_do_not_depend_on_what_follows(demand):
    policy = fr.make_policy("base_stock", level=20)
    few, many = (stream(policy, demand(MEANS[:n]), PARAMS.select(np.arange(n)), **SETTING).cost for n in (6, ITEMS))
    np.testing.assert_array_equal(few[:4], many[:4])


@pytest.mark.usefixtures("small_blocks")
def test_forecasts_are_shown_on_request():
    policy = fr.make_policy("newsvendor")
    totals = stream(policy, fr.Poisson(MEANS), PARAMS, forecasts=True, **SETTING)
    assert 0.5 < totals.fill_rate < 1.0
    with pytest.raises(fr.FractileError, match="needs a forecast"):
        stream(policy, fr.Poisson(MEANS), PARAMS, **SETTING)


def test_progress_and_errors():
    reports = []
    policy = fr.make_policy("base_stock", level=20)
    stream(policy, fr.Poisson(MEANS), PARAMS, progress=lambda *report: reports.append(report), **SETTING)
    assert reports == [(f"{ITEMS} of {ITEMS} items", 1.0)]
    with pytest.raises(fr.FractileError, match="warm_up must be from 0 to 24, got 25"):
        stream(policy, fr.Poisson(MEANS), PARAMS, **{**SETTING, "warm_up": 25})
    with pytest.raises(fr.FractileError, match="cannot be streamed"):
        stream(policy, fr.Replay(None), PARAMS, **SETTING)


MILLION = """
import resource, time
import numpy as np
import fractile as fr
means = np.linspace(0.5, 20.0, 1_000_000)
params = fr.ItemParams(lead_time=2, stockout_cost=9.0)
began = time.process_time()
policy = fr.make_policy("base_stock", level=4.0 * means)
totals = fr.policies.stream(policy, fr.Poisson(means), params, seed=1, paths=20, periods=52, warm_up=8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, time.process_time() - began, totals.mean_cost)
"""


@pytest.mark.slow
def test_a_million_items_stream_in_two_gibibytes():
    done = subprocess.run([sys.executable, "-P", "-c", MILLION], capture_output=True, text=True, check=True)
    gibibytes, seconds, cost = map(float, done.stdout.split())
    print(f"{gibibytes:.2f} GiB, {seconds:.0f} CPU-s, mean cost {cost:.3f}")
    assert gibibytes < 2.0
    assert np.isfinite(cost)
