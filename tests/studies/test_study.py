"""The main jobs, small."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile import InputError
from fractile.forecasters.storage import load_forecaster
from fractile.policies.storage import load_policy
from fractile.studies.backtest import begin
from fractile.studies.checks.forecasts import forecaster_warnings
from fractile.studies.config import PoliciesConfig, load_config
from fractile.studies.data import load_data
from fractile.studies.kept_orders import next_orders
from fractile.studies.kept_runs import forecast_file, orders_at_end, train_run
from fractile.studies.record import describe_setting
from fractile.studies.study import run_study
from fractile.training.train import is_learned

SMALL = {
    "backtest.periods": 8,
    "backtest.validation": 16,
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": ["ets"],
    "training.simulated_paths": 1,
    "training.backprop_steps": 4,
    "training.ppo_steps": 2000,
    "training.seeds": 2,
}

COLUMNS = ["item_id", "date", "order", "order_up_to", "critical_quantile", "policy", "forecaster", "assumed"]


def silent(message, share=None):
    pass


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    history, items, state = fr.retail_panel(items=10, periods=80, seed=1).write(folder)
    return {"data.history": history, "data.items": items, "data.state": state}


@pytest.fixture(scope="module")
def study(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "small"
    return run_study(load_config(None, {**SMALL, **files}), out, command="fractile study", progress=silent)


def test_a_study_leaves_a_whole_run_folder(study):
    names = {path.name for path in study.folder.iterdir()}
    assert {
        "config.toml",
        "manifest.json",
        "metrics.jsonl",
        "comparison.parquet",
        "forecast_value.parquet",
        "scores.parquet",
        "trajectories.parquet",
        "fans.parquet",
        "history.parquet",
        "items.parquet",
        "orders.csv",
        "report.html",
        "models",
    } <= names


def test_what_is_written_is_what_was_found(study):
    table = pd.read_parquet(study.folder / "comparison.parquet").set_index("policy")
    pd.testing.assert_frame_equal(table, study.comparison.table, check_names=False)
    paths = pd.read_parquet(study.folder / "trajectories.parquet")
    per_period = paths.groupby(["policy", "period"])["cost"].sum().groupby("policy").mean()
    np.testing.assert_allclose(per_period[table.index], table["cost"])


def test_there_is_one_list_of_orders(study, files):
    """Those of the study are those that `fractile order --run` gives, and of the policy that is advised."""
    manifest = json.loads((study.folder / "manifest.json").read_text())
    assert manifest["policy"] == study.advice.policy == manifest["advice"]["policy"]
    written = pd.read_csv(study.folder / "orders.csv", dtype={"item_id": str})
    later = next_orders(study.folder, files["data.history"], files["data.state"]).table
    assert list(written) == COLUMNS
    written = written.assign(date=pd.to_datetime(written["date"]), assumed=written["assumed"].fillna(""))
    pd.testing.assert_frame_equal(written, later, check_dtype=False)


def test_the_orders_are_those_of_the_advice(study, files):
    data, models = load_data(load_config(None, {**SMALL, **files})), study.folder / "models"
    table = study.comparison.table
    ranked = list(table.index[table["kind"] == "policy"])
    written = pd.read_csv(study.folder / "orders.csv")["order"].to_numpy()
    advised, dearest = (
        orders_at_end(data, load_forecaster(models), load_policy(name, models))["order"].to_numpy()
        for name in (study.advice.policy, ranked[-1])
    )
    np.testing.assert_array_equal(written, advised)
    assert (written != dearest).any()


def test_the_text_ends_with_advice_and_all_costs_were_given(study):
    text = " ".join(study.to_text().split())
    assert study.advice.sentence.replace("\xa0", " ") in text
    assert "default" not in text
    document = study.to_document()
    assert document["assumed"] == ""
    assert document["advice"]["sentence"] == study.advice.sentence
    assert {row["name"]: row["source"] for row in document["assumptions"]}["lead_time"] == "items"


def test_each_forecaster_is_scored_and_valued_on_its_own_forecasts(study, files):
    config = load_config(None, {**SMALL, **files})
    scores = pd.read_parquet(study.folder / "scores.parquet").groupby("forecaster")["pinball"].sum()
    assert scores["ets"] != scores["seasonal_naive"]
    own = begin(config, 8, silent)
    after = own.forecast("ets", 0).after
    expected = fr.scores.score_forecast(after, own.data.panel)["pinball"].sum()
    np.testing.assert_allclose(scores["ets"], expected, rtol=1e-12)
    params, sums = own.data.params, pd.read_parquet(study.folder / "scores.parquet").groupby("forecaster")
    bought = fr.scores.protection_interval_loss(
        after, own.data.panel, params.protection_interval, params.critical_ratio
    )
    np.testing.assert_allclose(sums["protection_loss"].unique()["ets"], [bought], rtol=1e-12)
    assert sums["protection_loss"].unique()["seasonal_naive"] != bought
    value = pd.read_parquet(study.folder / "forecast_value.parquet").set_index(["forecaster", "policy"])
    table = study.comparison.table
    # The headline's policies see the first forecaster, so its value is theirs; another one's is not.
    for policy in ("newsvendor", "tuned_newsvendor"):
        assert value.loc[("seasonal_naive", policy), "cost"] == table.loc[policy, "cost"]
        assert value.loc[("ets", policy), "cost"] != table.loc[policy, "cost"]


def test_the_manifest_says_what_was_done(study):
    manifest = json.loads((study.folder / "manifest.json").read_text())
    assert manifest["kind"] == "study"
    assert manifest["status"] == "complete"
    assert manifest["backtest"]["periods"] == 8
    assert set(manifest["data"]["hashes"]) == {"history.csv", "items.csv", "state.csv"}
    assert len(manifest["timeline"]) == 5


def test_the_manifest_holds_what_policies_learned_from_and_what_was_found(study):
    manifest = json.loads((study.folder / "manifest.json").read_text())
    learning, test = manifest["learning"], manifest["backtest"]
    assert (learning["items"], learning["periods"], learning["simulated_paths"]) == (10, test["learning_periods"], 1)
    assert learning["item_periods"] == 10 * learning["periods"] * (learning["history_paths"] + 1)
    assert learning["kept_periods"] == test["validation_periods"]
    assert len(test["refits"]) == 2
    costs = manifest["kept_cost"]
    assert "hindsight" not in costs
    assert manifest["baseline_rule"] == "cheapest"
    assert manifest["baseline"] == study.comparison.baseline
    assert costs[manifest["baseline"]] == min(cost for name, cost in costs.items() if not is_learned(name))
    assert manifest["policy_notes"]["backprop"]


def test_a_tuned_policy_is_never_dearer_than_its_untuned_form_where_policies_are_chosen(study):
    costs = json.loads((study.folder / "manifest.json").read_text())["kept_cost"]
    assert costs["tuned_newsvendor"] <= costs["newsvendor"]
    assert costs["tuned_projected"] <= costs["projected"]


def test_policies_begin_alike_whatever_the_baseline_is(files):
    config = load_config(None, {**SMALL, **files, "policies.names": ["projected", "newsvendor"]})
    own = begin(config, 8, silent)
    forecasts = own.forecast("seasonal_naive", 0)
    policies = {"projected": fr.make_policy("projected"), "big": fr.make_policy("base_stock", level=1000.0)}
    alone = own.simulate(forecasts, {"projected": policies["projected"]})["projected"]
    np.testing.assert_array_equal(own.simulate(forecasts, policies)["projected"].cost, alone.cost)


def test_a_baseline_can_be_named(files, tmp_path):
    config = {**SMALL, **files, "policies.names": ["newsvendor", "projected"], "policies.baseline": "newsvendor"}
    run = run_study(load_config(None, config), tmp_path / "named", command="x", progress=silent)
    assert run.comparison.baseline == "newsvendor"


def test_a_bound_that_cannot_be_planned_is_left_out_unless_it_is_named(files, tmp_path):
    table = pd.read_csv(files["data.items"]).assign(shelf_life=4, waste_cost=0.5)
    table.to_csv(tmp_path / "items.csv", index=False)
    perishing = {**files, "data.items": tmp_path / "items.csv", "backtest.validation": 20}
    usual = begin(load_config(None, perishing), 8, silent)
    assert "hindsight" not in usual.config.policies.names
    assert "No bound is shown: 'hindsight' plans for stock that keeps" in describe_setting(usual)
    more = [*PoliciesConfig().names, "capped_base_stock"]  # one more than the usual ones, as --baseline adds it
    assert (
        "hindsight"
        not in begin(load_config(None, {**perishing, "policies.names": more}), 8, silent).config.policies.names
    )
    named = load_config(None, {**perishing, "policies.names": ["newsvendor", "hindsight"]})
    with pytest.raises(InputError, match=r"'hindsight' plans for stock that keeps.*leave it out"):
        begin(named, 8, silent)


def test_a_forecaster_worse_than_the_simplest_one_is_a_warning():
    frame = pd.DataFrame(
        [("mqcnn", 0, 0.15), ("mqcnn", 0, 0.13), ("mqcnn", 1, 9.0), ("seasonal_naive", 0, 0.12)],
        columns=["forecaster", "horizon", "wql"],
    )
    (warning,) = forecaster_warnings(frame, "mqcnn")
    assert warning.sentence.startswith("Warning: the forecaster mqcnn is less accurate")
    assert "0.140, not 0.120" in warning.text
    assert "--forecaster seasonal_naive" in warning.text
    assert forecaster_warnings(frame, "seasonal_naive") == ()
    assert forecaster_warnings(frame[frame["forecaster"] == "mqcnn"], "mqcnn") == ()
    assert forecaster_warnings(frame.assign(wql=0.12), "mqcnn") == ()


def test_the_same_study_twice_gives_the_same_numbers(study, files, tmp_path):
    again = run_study(load_config(None, {**SMALL, **files}), tmp_path / "again", command="x", progress=silent)
    pd.testing.assert_frame_equal(again.comparison.table, study.comparison.table)


def test_hindsight_costs_least(study):
    assert study.comparison.table.index[0] == "hindsight"


@pytest.mark.parametrize("policy", ["newsvendor", "projected", "tuned_newsvendor", "base_stock", "backprop", "ppo"])
def test_a_kept_pair_orders_the_same_twice(files, tmp_path, policy):
    config = load_config(None, {**SMALL, **files, "policies.names": [policy], "policies.baseline": policy})
    run = train_run(config, tmp_path / "run", policy=policy, command="fractile train", progress=silent)
    first, second = (next_orders(run, files["data.history"], files["data.state"]).table for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert list(first.columns) == COLUMNS
    assert len(first) == 10
    assert first["order"].dtype == np.int64
    assert (first["order"] >= 0).all()


def test_a_newsvendors_order_covers_its_critical_ratio(files, tmp_path):
    config = load_config(None, {**SMALL, **files, "policies.names": ["newsvendor"], "policies.baseline": "newsvendor"})
    run = train_run(config, tmp_path / "run", policy="newsvendor", command="fractile train", progress=silent)
    orders = next_orders(run, files["data.history"], files["data.state"]).table
    items = pd.read_csv(files["data.items"])
    ratio = items["stockout_cost"] / (items["stockout_cost"] + items["holding_cost"])
    # Zero-heavy demand has the same quantile at many levels: the level read off may be higher, never lower.
    assert (orders["critical_quantile"] >= ratio.to_numpy() - 0.002).all()
    assert np.median(np.abs(orders["critical_quantile"] - ratio.to_numpy())) < 0.002


def test_a_bound_cannot_be_trained(files, tmp_path):
    config = load_config(None, {**SMALL, **files, "policies.names": ["hindsight"], "policies.baseline": "hindsight"})
    with pytest.raises(fr.InputError, match="is a bound"):
        train_run(config, tmp_path / "run", policy="hindsight", command="fractile train", progress=silent)
    assert not (tmp_path / "run").exists()


def test_stock_that_arrives_too_late_is_refused(files, tmp_path):
    state = pd.read_csv(files["data.state"])
    items = pd.read_csv(files["data.items"])
    late = state.columns[-1]
    state.loc[items["lead_time"].idxmin(), late] = 5
    state.to_csv(tmp_path / "state.csv", index=False)
    with pytest.raises(fr.InputError, match="correct the state or the lead time"):
        run_study(
            load_config(None, {**SMALL, **files, "data.state": tmp_path / "state.csv"}),
            tmp_path / "run",
            command="x",
            progress=silent,
        )
    assert not (tmp_path / "run").exists()


def test_forecast_file_is_long_and_monotone(files):
    frame = forecast_file(load_config(None, {**SMALL, **files}), 3, [0.1, 0.5, 0.9])
    assert len(frame) == 10 * 3 * 3
    wide = frame.pivot(index=["item_id", "horizon"], columns="level", values="value").to_numpy()
    assert (np.diff(wide, axis=1) >= 0).all()
