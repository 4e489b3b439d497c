"""A study runs what its table, its baseline or its orders need, and nothing else."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import fractile as fr
from fractile.progress import Stages
from fractile.studies import backtest, histories
from fractile.studies.backtest import begin
from fractile.studies.config import load_config
from fractile.studies.refits import looks_back
from fractile.studies.stages import study_stages
from fractile.studies.study import run_study

GIVEN = {
    "backtest.periods": 12,
    "backtest.validation": 20,
    "forecast.forecaster": "seasonal_naive",
    "backtest.simulated_histories": 4,
}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return fr.retail_panel(items=8, periods=90, seed=3).write(tmp_path_factory.mktemp("data"))[0]


class Listed(Stages):
    """Stages that were announced, and those that were run."""

    def __init__(self):
        super().__init__(None)
        self.announced, self.run = [], []

    def plan(self, kinds):
        self.announced = list(kinds)
        super().plan(kinds)

    def begin(self, name, kind, *, kept=False):
        self.run.append(kind)
        super().begin(name, kind, kept=kept)


def run(history, folder, names, **more):
    given = {"data.history": history, "policies.names": names, "policies.baseline": names[0]}
    stages = Listed()
    result = run_study(load_config(None, {**GIVEN, **given, **more}), folder, progress=stages)
    return result, stages, json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))


def test_one_policy_costs_a_fit_a_fold_and_one_before_the_warm_up(history, tmp_path, monkeypatch):
    fits = []
    monkeypatch.setattr(backtest, "keep_fit", lambda parts, name, until, fit: fits.append((name, until)) or fit())
    monkeypatch.setattr(histories, "simulate_histories", None)  # fails where it is called
    result, stages, manifest = run(history, tmp_path / "run", ["newsvendor"])
    assert stages.run == stages.announced == ["fitting seasonal_naive"] * 2 + ["checking", "writing"]
    assert [name for name, _ in fits] == ["seasonal_naive"] * 3
    assert manifest["learning"] is None
    assert not any("simulating demand" in stage or "tuned" in stage for stage in manifest["cpu_seconds"])
    assert "newsvendor" in result.report.read_text(encoding="utf-8")
    assert "simulated_saving" not in result.comparison.table
    value = pd.read_parquet(result.folder / "forecast_value.parquet")
    assert value[["forecaster", "policy"]].to_numpy().tolist() == [["seasonal_naive", "newsvendor"]]


def test_a_policy_costs_the_same_beside_others(history, tmp_path, monkeypatch):
    """Whatever else is compared or not, on however many forecasts of earlier origins."""
    monkeypatch.setattr("fractile.studies.study.build_report", lambda _: None)
    names = ["newsvendor", "projected", "tuned_newsvendor"]
    alone, _, _ = run(history, tmp_path / "alone", names[:1])
    beside, stages, manifest = run(history, tmp_path / "beside", names)
    assert alone.comparison.table.loc["newsvendor", "cost"] == beside.comparison.table.loc["newsvendor", "cost"]
    assert stages.run == stages.announced
    assert stages.run.count("simulating histories") == 1
    assert manifest["learning"]["simulated_paths"] == 0  # no network is trained on them


def test_bounds_and_fixed_policies_look_back_only_for_what_is_chosen_or_drawn(history):
    def looks(names, **more):
        given = {"data.history": history, "policies.names": names, **GIVEN, **more}
        config = load_config(None, given)
        assert ("simulating histories" in study_stages(begin(config, 12, Listed()))) == bool(config.drawn_policies)
        return looks_back(config, names)

    none = {"backtest.simulated_histories": 0}
    assert not looks(["newsvendor"])
    assert not looks(["newsvendor", "hindsight"])
    assert looks(["tuned_newsvendor"])
    assert looks(["newsvendor", "projected"], **none)  # the cheaper one is the baseline
    assert not looks(["newsvendor", "projected"], **none, **{"policies.baseline": "newsvendor"})
    assert looks(["newsvendor", "projected"], **{"policies.baseline": "newsvendor"})  # its shocks, for histories


def test_naming_forecaster_and_policies_scores_no_other_forecaster():
    usual = load_config().forecast.also
    both = {"forecast.forecaster": "patchwork", "policies.names": ["newsvendor"]}
    assert load_config(None, both).forecast.also == ()
    assert load_config(None, {**both, "forecast.also": ["ets"]}).forecast.also == ("ets",)
    assert usual == load_config(None, {"forecast.forecaster": "patchwork"}).forecast.also
    # What a study adds to the policies by itself is not named by the user.
    named = load_config(None, {"forecast.forecaster": "patchwork"}).with_overrides({"policies.names": ["newsvendor"]})
    assert named.forecast.also == usual


def test_one_forecaster_under_other_policies_is_not_valued(history, tmp_path):
    result, stages, _ = run(history, tmp_path / "run", ["projected", "constant_order"], **{"backtest.folds": 1})
    assert stages.run.count("training tuned_newsvendor") == 0
    assert len(pd.read_parquet(result.folder / "forecast_value.parquet")) == 0
    assert "The run holds no valuation" not in result.report.read_text(encoding="utf-8")
