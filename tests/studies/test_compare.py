"""Policies compared on the same demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from IPython.lib.pretty import pretty

import fractile as fr
from fractile import compare
from fractile.policies.neural import NeuralPolicy
from fractile.policies.newsvendor import TunedNewsvendor
from fractile.studies.compare import find_training_runs

PARAMS = fr.ItemParams(lead_time=1, holding_cost=1.0, stockout_cost=4.0, pack_size=1)


@pytest.fixture(scope="module")
def comparison():
    scenario = fr.draw_scenario(fr.Poisson(np.array([5.0, 2.0])), seed=4, paths=40, periods=30, span=2)
    policies = {name: fr.make_policy(name) for name in ("newsvendor", "projected", "hindsight")}
    return compare(policies, scenario, PARAMS, baseline="newsvendor", warm_up=5)


def test_costs_add_up(comparison):
    table = comparison.table
    np.testing.assert_allclose(table["cost"], table["holding"] + table["stockout"] + table["ordering"])


def test_savings_follow_from_costs(comparison):
    table = comparison.table
    np.testing.assert_allclose(table["saving"], 1 - table["cost"] / table.loc["newsvendor", "cost"])
    assert (table["saving_low"] <= table["saving"]).all()
    assert (table["saving"] <= table["saving_high"]).all()


def test_projected_stock_beats_the_newsvendor_on_lost_sales(comparison):
    assert comparison.table.loc["projected", "saving_low"] > 0


def test_hindsight_is_a_bound(comparison):
    assert comparison.table.index[0] == "hindsight"
    assert comparison.table.loc["hindsight", "kind"] == "bound"


def test_a_bound_begins_with_what_the_baseline_has():
    """Without it the bound would begin with a pipeline that knew the future, or spend a warm-up on stocking up."""
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=4, paths=30, periods=20, span=3)
    params = replace(PARAMS, lead_time=2)
    policies = {name: fr.make_policy(name) for name in ("newsvendor", "hindsight")}
    bound = compare(policies, scenario, params, baseline="newsvendor", warm_up=6).trajectories["hindsight"]
    base = fr.simulate(policies["newsvendor"], scenario, params, warm_up=6)
    # Orders of the bound arrive two periods later: until then it sells what the baseline sells.
    np.testing.assert_array_equal(bound.sales[:, :2], base.sales[:, :2])
    np.testing.assert_array_equal(bound.received[:, :2], base.received[:, :2])
    assert (bound.cost.sum(1) <= base.cost.sum(1) + 1e-9).all()


def test_items_add_up_to_the_table(comparison):
    per_item = comparison.per_item(["a", "b"])
    assert list(per_item.index) == ["a", "b"]
    np.testing.assert_allclose(per_item["cost"].sum()[comparison.table.index], comparison.table["cost"])
    assert (per_item["saving"]["newsvendor"] == 0).all()


def test_text_fits_a_terminal_and_names_the_baseline(comparison):
    text = str(comparison)
    assert max(map(len, text.splitlines())) <= 100
    assert "baseline" in text
    assert "hindsight *" in text
    assert (comparison.paths, comparison.periods, comparison.items) == (40, 25, 2)


def test_a_saving_is_described_as_in_the_table(comparison):
    said = comparison.describe_saving("projected")
    assert said in comparison.to_text()
    assert said.startswith(f"{100 * comparison.table.loc['projected', 'saving']:.1f} % [")
    with pytest.raises(fr.FractileError, match="'projectd' is none of the policies; did you mean"):
        comparison.describe_saving("projectd")


def test_a_policy_that_nothing_has_tuned_is_named():
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=4, paths=10, periods=20, span=2)
    tuned = TunedNewsvendor(scale=0.9, shift=0.0)
    policies = {"newsvendor": fr.make_policy("newsvendor"), "plain": fr.make_policy("tuned_newsvendor"), "tuned": tuned}
    found = compare(policies, scenario, PARAMS, baseline="newsvendor", checks=False)
    (note,) = found.notes
    assert note.startswith("plain has scale 1 and shift 0, as before tuning, and orders as newsvendor does; ")
    assert "fr.train_policy('tuned_newsvendor'" in note
    assert "as before tuning" in " ".join(found.to_text().split())


def test_an_unknown_baseline_is_refused():
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=0, paths=2, periods=5, span=2)
    with pytest.raises(fr.FractileError, match="did you mean 'newsvendor'"):
        compare({"newsvendor": fr.make_policy("newsvendor")}, scenario, PARAMS, baseline="newsvender")


def test_the_optimums_interval_covers_its_exact_cost():
    optimal = fr.make_policy("dynamic_programming", demand=fr.Poisson(5.0), params=PARAMS)
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=7, paths=200 * 20, periods=60, span=2)
    cost = fr.simulate(optimal, scenario, PARAMS, warm_up=20).cost.reshape(200, 20, 40, 1)
    from fractile.studies.statistics import mean_interval

    intervals = [mean_interval(replication) for replication in cost]
    share = np.mean([i.low <= optimal.average_cost <= i.high for i in intervals])
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)


def test_text_fits_a_terminal_where_costs_are_large_and_names_are_long(comparison):
    money = ["cost", "holding", "stockout", "ordering"]
    dear = comparison.table.assign(**{name: 1e6 * comparison.table[name] for name in money})
    dear = dear.rename(index={"projected": "projected_with_a_name_that_goes_on_and_on"})
    text = replace(comparison, table=dear.assign(saving_low=-1.485, saving_high=-0.992)).to_text()
    assert max(map(len, text.splitlines())) <= 100


def test_text_says_what_is_proven_and_what_cannot_be_told_apart(comparison):
    lines = str(comparison).splitlines()
    assert "Proven savings against newsvendor: projected." in lines
    assert "projected is cheaper than all others." in lines
    table = comparison.table
    assert table.loc["projected", "proven"]
    assert list(table.index[table["among_best"]]) == ["projected"]
    assert (table["seeds"] == 1).all()


def test_one_history_says_what_would_prove_more():
    scenario = fr.draw_scenario(fr.Poisson(np.full(10, 5.0)), seed=8, paths=1, periods=46, span=2)
    policies = {name: fr.make_policy(name) for name in ("newsvendor", "projected")}
    found = compare(policies, scenario, PARAMS, baseline="newsvendor", warm_up=20)
    text = " ".join(str(found).split())
    if found.intervals.proven:
        assert found.intervals.weeks_to_prove == 0
        assert "power 80 %" not in text
    else:
        assert "would be proven by" in text or "would prove" in text
    assert max(map(len, str(found).splitlines())) <= 100


def test_numbered_networks_of_one_kind_are_training_runs_of_one_learner():
    encoder = object()  # nothing is asked of it
    nets = {f"net seed {k}": NeuralPolicy(encoder, (), np.zeros(1), np.ones(1)) for k in (1, 2)}
    found = find_training_runs({**nets, "other 1": nets["net seed 1"], "newsvendor": fr.make_policy("newsvendor")})
    assert set(found) == {"net seed 1", "net seed 2"}
    assert len(set(found.values())) == 1


def test_a_notebook_shows_the_text(comparison):
    assert pretty(comparison) == comparison.to_text()
