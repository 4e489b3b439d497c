"""What docs/demand.py measures with: true laws, the second generator, and estimates on cases known by hand."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

import fractile as fr
from fractile.forecasters.retail.filter import filter_levels
from fractile.forecasters.retail.market import SHOCK, state_effects
from fractile.randomness import keyed_generator

DOCS = Path(fr.__file__).parent / "docs"
LEVELS = np.arange(1, 10) / 10


@pytest.fixture
def script(monkeypatch):
    """Import a script of the docs folder; scripts import each other by bare names."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module


def test_the_joint_law_is_the_panels_own_law_item_by_item_with_shocks_in_common(script):
    retail, origin, weeks, number = fr.retail_panel(80), 131, 8, 3000
    drawn = script("demand_truth").JointLaw(retail).paths(origin, weeks, number, keyed_generator(0, "joint"))
    alone = retail.true_paths(number, keyed_generator(0, "alone"), weeks, [origin], known="record")
    alone = alone[:, :, 0].swapaxes(1, 2)
    listed = retail.market.listed[:, origin]
    gap = (drawn - alone).mean(0)[:, listed]
    error = np.sqrt((drawn.var(0) + alone.var(0))[:, listed] / number)
    assert np.abs(gap / error).max() < 5.0  # the largest of 600 cells
    # What the items of a category share: the shock as it is believed, and their levels as far as they depend on it.
    own, category = [0, 2, 3], retail.traits.category
    covariance = filter_levels(retail.panel.until(origin), retail.traits, retail.market, stock_outs=True).covariance
    believed, effects = covariance[:, origin], state_effects(retail.traits.attention, weeks)
    variance = believed[:, 1, 1, None]
    reads = effects[:, :, 1] + np.einsum("ihs,is->ih", effects[:, :, own], believed[:, own, 1] / variance)
    shared = np.einsum("ih,jk->ijhk", reads * variance, reads) + SHOCK.spread(weeks)
    mean = alone.mean(0).T
    pairs = (category[:, None] == category) & ~np.eye(80, dtype=bool)
    expected = (np.einsum("ih,jk->ijhk", mean, mean) * np.expm1(shared)).sum((2, 3))[pairs].sum()
    found = drawn.sum((1, 2)).var() - drawn.sum(1).var(0).sum()
    error = np.sqrt(2 / number) * drawn.sum((1, 2)).var()
    assert 4 * error < expected
    assert abs(found - expected) < 4 * error


def test_items_of_the_second_generator_are_the_same_however_many_there_are(script):
    chain = script("demand_generator").chain
    few, many = chain(5, 60), chain(9, 60)
    np.testing.assert_array_equal(few.demand, many.demand[:5])
    np.testing.assert_array_equal(few.panel.sales, many.panel.sales[:5])
    assert (few.demand != chain(5, 60, seed=1).demand).any()


def test_the_second_generator_censors_sales_and_says_so(script):
    made = script("demand_generator").chain(60)
    panel = made.panel
    np.testing.assert_array_equal(panel.sales[panel.informative], made.demand[panel.informative])
    out = panel.listed & ~panel.in_stock
    assert (panel.sales[out] <= made.demand[out]).all()
    assert 0.04 < out[panel.listed].mean() < 0.2


def test_true_quantiles_of_the_second_generator_hold_what_they_say(script):
    """Items share shocks of origins 20 weeks apart: 4 standard errors are taken over the origins' shares."""
    made = script("demand_generator").chain(100, 140)
    origins = list(range(40, 136, 8))
    values = made.quantiles(origins, 1, LEVELS, 400)
    demand = made.demand[:, origins, None, None]
    counted = made.alive[:, origins]
    u = keyed_generator(0, "spread").random(demand.shape)
    # The jump at a whole number is split at random: the share is then the level itself.
    below, equal = (demand < values).astype(float), demand == values
    jump = _jump(made, origins, values)
    share = np.where(equal, u < jump, below)[:, :, 0]
    each = np.array([share[counted[:, o], o].mean(0) for o in range(len(origins))])
    error = each.std(0, ddof=1) / np.sqrt(len(origins))
    np.testing.assert_array_less(np.abs(each.mean(0) - LEVELS), 4 * error)


def _jump(made, origins, values):
    """Return which part of the jump at each quantile lies below its level."""
    beliefs, parts = made.beliefs(origins), []
    for o, origin in enumerate(origins):
        drawn = made.paths(origin, 1, 400, keyed_generator(0, "quantiles", origin), beliefs[origin])[:, 0]
        at = values[:, o, 0]
        under, upto = (drawn[:, :, None] < at).mean(0), (drawn[:, :, None] <= at).mean(0)
        parts.append((LEVELS - under) / np.maximum(upto - under, 1e-9))
    return np.clip(np.stack(parts, axis=1)[:, :, None], 0, 1)


def test_runs_are_counted_by_their_length(script):
    flags = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1]], dtype=bool)
    np.testing.assert_array_equal(script("demand_measures").run_lengths(flags, 3), [1, 1, 1])


def test_a_law_is_measured_as_by_hand(script):
    measures = script("demand_measures")
    demand = np.zeros((2, 8, 2))
    demand[0, :, 0] = demand[0, :, 1] = [4, 0, 4, 0, 4, 0, 4, 0]
    demand[1, :, 0] = 1.0
    found = measures.law_measures(demand)
    assert (found["first"], found["last"]) == (2.5, 2.5)
    assert found["zeros"] == 0.5  # half of two series, all of one and none of one
    np.testing.assert_allclose(found["total_sd"], np.std([32.0, 8.0], ddof=1))
    np.testing.assert_allclose(found["lag1"], -7 / 8)  # of the two series that move
    np.testing.assert_allclose(measures.pair_correlation(demand[0]), 1.0)


def test_transforms_see_through_stock_outs_where_those_in_stock_do_not(script):
    """Poisson demand cut by an independent stock, under its own forecast, 25 origins."""
    measures, items, periods = script("demand_measures"), 300, 50
    rng = keyed_generator(0, "censored sums")
    demand, stock = rng.poisson(20.0, (items, periods)), 16 + rng.poisson(8.0, (items, periods))
    panel = script("demand_generator").chain(items, periods).panel
    every = np.ones(demand.shape, dtype=bool)
    sold = np.minimum(demand, stock).astype(float)
    panel = replace(panel, sales=sold, in_stock=demand < stock, listed=every)
    levels = np.arange(1, 100) / 100
    origins = np.arange(0, 50, 2)
    values = np.broadcast_to(poisson.ppf(levels, 20.0), (items, len(origins), 1, len(levels)))
    forecast = fr.QuantileForecast(levels, values, origins, panel.item_ids)
    shares = {}
    for way in ("mask", "bound"):
        rows = measures.transform_shares(measures.transforms(forecast, panel, np.full(items, 1), way), LEVELS)
        shares[way] = np.array([row["share"] for row in rows])
        assert all(row["low"] < row["share"] < row["high"] for row in rows)
    # The forecast's own smoothing of whole numbers moves shares by about 0.01.
    error = np.sqrt(LEVELS * (1 - LEVELS) / (items * len(origins)))
    np.testing.assert_array_less(np.abs(shares["bound"] - LEVELS), 4 * error + 0.01)
    assert shares["mask"][4] > 0.55


def test_the_page_is_made_by_one_command(tmp_path):
    page = tmp_path / "demand.md"
    places = ["--work", str(tmp_path / "work"), "--page", str(page), "--data", str(tmp_path)]
    chosen = ["--quick", "--only", "second,vn2,page", "--names", "croston"]
    command = [sys.executable, str(DOCS / "demand.py"), *places, *chosen]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "vn2: left out" in done.stderr
    piece = json.loads((tmp_path / "work" / "second" / "croston-0.json").read_text())
    truth = json.loads((tmp_path / "work" / "second" / "truth-0.json").read_text())
    text = page.read_text(encoding="utf-8")
    assert f"{piece['law']['first'] / truth['law']['first']:.3f} ±" in text
    assert "## Real panels" not in text
