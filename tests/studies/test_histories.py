"""What policies save in simulated histories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.envs.core.params import params_from_items
from fractile.envs.demand.model import uncensored
from fractile.envs.demand.shocks import CommonShocks
from fractile.studies import histories as module
from fractile.studies.backtest import begin
from fractile.studies.config import load_config
from fractile.studies.data import StudyData
from fractile.studies.histories import (
    COLUMNS,
    draw_histories,
    gap_sentence,
    past_shocks,
    simulate_histories,
    simulated_table,
)
from fractile.studies.record import backtest_record

POLICIES = ["newsvendor", "tuned_newsvendor", "base_stock", "hindsight"]


def silent(message, share=None):
    pass


@pytest.fixture(scope="module")
def tested():
    retail = fr.retail_panel(items=20, periods=110, seed=5)
    given = {"forecast.forecaster": "patchwork", "policies.names": POLICIES, "policies.baseline": "newsvendor"}
    data = StudyData(retail.panel, params_from_items(retail.items, {}), uncensored(retail.panel))
    study = begin(load_config(None, given), None, silent, data)
    return study, study.backtest("patchwork", POLICIES, paths=0)


def test_each_periods_demand_is_drawn_from_the_forecast_made_just_before_it(tested, monkeypatch):
    study, backtest = tested
    monkeypatch.setattr(module, "past_shocks", lambda *_: CommonShocks())
    paths = 4000
    demand = draw_histories(study, backtest, paths, 1)
    assert demand.shape == (paths, backtest.warm_up + 26, 20)
    for period in (0, backtest.warm_up, backtest.warm_up + 13, backtest.warm_up + 25):
        forecast = backtest.scenario.forecasts[period].head(1)
        for level in (0.5, 0.9):
            # Units are whole: the share at or below a quantile is that of the unit it rounds to.
            bound = np.rint(forecast.quantile(level)[:, 0, 0])
            below, strictly = ((demand[:, period] <= bound).mean(0), (demand[:, period] < bound).mean(0))
            error = 4 * np.sqrt(level * (1 - level) / paths)
            assert (below >= level - error).all()
            assert (strictly <= level + error).all()


def test_shocks_come_from_forecasts_made_before_the_first_fold(tested):
    study, backtest = tested
    found = past_shocks(study, backtest)
    changed = study.data.panel.sales.copy()
    changed[:, backtest.folds[0].first :] = 999.0
    other = replace(study, data=replace(study.data, panel=replace(study.data.panel, sales=changed)))
    assert past_shocks(other, backtest).common == found.common
    changed[:, backtest.folds[0].first - 8 : backtest.folds[0].first] = 999.0
    other = replace(study, data=replace(study.data, panel=replace(study.data.panel, sales=changed)))
    assert past_shocks(other, backtest).common != found.common


def test_histories_are_many_simulations_of_the_backtest(tested):
    study, backtest = tested
    costs = simulate_histories(study, backtest, 3)
    assert set(costs) == set(POLICIES) - {"hindsight"}
    again = simulate_histories(study, backtest, 3)
    for name, cost in costs.items():
        assert cost.shape == (1, 3)
        np.testing.assert_array_equal(again[name], cost)
        assert len(set(cost[0])) == 3
    # On the real demand they cost what the backtest says.
    real = study.cost_by_seed(backtest, "newsvendor", backtest.scenario)
    np.testing.assert_array_equal(real[0], backtest.trajectories["newsvendor"].cost)


def test_very_large_panels_have_fewer_histories(tested, monkeypatch):
    study, backtest = tested
    monkeypatch.setattr(module, "MOST_CELLS", 5 * backtest.scenario.periods * backtest.scenario.items)
    monkeypatch.setattr(module, "FEWEST", 2)
    monkeypatch.setattr(module, "CELLS", 2 * backtest.scenario.periods * backtest.scenario.items)
    assert simulate_histories(study, backtest, 60)["newsvendor"].shape == (1, 5)


def test_a_record_has_the_costs_before_the_first_fold_and_the_notes_of_all(tested):
    _, backtest = tested
    first, second = backtest.folds
    notes = {"newsvendor": ["a"], "base_stock": ["b"]}, {"newsvendor": ["a", "c"]}
    folds = [replace(f, trained=replace(f.trained, notes=n)) for f, n in zip((first, second), notes, strict=True)]
    record = backtest_record(replace(backtest, folds=tuple(folds)))
    assert record["policy_notes"] == {"newsvendor": ["a", "fold 2: c"], "base_stock": ["fold 1: b"]}
    assert record["kept_cost"] == first.trained.kept_cost != second.trained.kept_cost
    assert record["learning"] == first.forecasts.learning.size


def test_savings_stand_beside_each_other():
    rng = np.random.default_rng(0)
    base = rng.gamma(50.0, 2.0, (1, 200))
    costs = {"base": base, "better": np.stack([0.9 * base[0], 0.9 * base[0] + rng.normal(0, 2.0, 200)])}
    table = simulated_table(costs, {"base": 0.0, "better": 0.3, "bound": 0.9}, "base", 0.95)
    assert list(table.columns) == list(COLUMNS)
    assert table.loc["better", "simulated_saving"] == pytest.approx(0.1, abs=0.01)
    assert table.loc["better", "simulated_low"] < 0.1 < table.loc["better", "simulated_high"]
    # Other histories lie close together, and the real one far away from them.
    assert 0.25 < table.loc["better", "history_low"] < 0.3 < table.loc["better", "history_high"] < 0.35
    assert table.loc["bound"].isna().all()
    shown = table.assign(saving=[0.0, 0.3, 0.9])
    text = gap_sentence(shown, "better")
    assert "the gap of +20.0 points is beyond what chance gives" in text
    assert "inside what chance gives" in gap_sentence(
        shown.assign(saving=[0.0, 0.101, 0.9], history_low=0.05), "better"
    )
    assert gap_sentence(shown, "base") == ""
    assert gap_sentence(shown, "bound") == ""
    assert gap_sentence(pd.DataFrame({"saving": [0.1]}, index=["better"]), "better") == ""
