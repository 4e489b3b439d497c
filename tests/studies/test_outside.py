"""Forecasts made elsewhere in studies, leagues and kept runs: what is refused, what is learned, what is noted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fractile import InputError, make_forecaster, retail_panel
from fractile.cli import app
from fractile.progress import no_progress
from fractile.studies.backtest import begin
from fractile.studies.config import load_config

HELD_OUT, PERIODS = 8, 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A history, and forecasts of `ets` from every origin that a study looks at."""
    path = tmp_path_factory.mktemp("outside")
    retail = retail_panel(items=8, periods=PERIODS, seed=2)
    retail.write(path)
    fitted = make_forecaster("ets", horizon=6).fit(retail.panel.until(40))
    frame = fitted.predict(retail.panel, 6, origins=np.arange(20, PERIODS + 1)).to_frame()
    frame[["item_id", "origin_date", "date", "level", "value"]].to_csv(path / "whole.csv", index=False)
    frame[frame["origin"] >= 62].to_parquet(path / "late.parquet")
    frame[frame["origin"] >= PERIODS - HELD_OUT].to_parquet(path / "held_out.parquet")
    frame[frame["origin"] >= PERIODS - HELD_OUT + 2].to_parquet(path / "gap.parquet")
    frame[frame["horizon"] <= 2].to_parquet(path / "short.parquet")
    return path


def config_of(folder, file, **more):
    files = {f"data.{name}": folder / f"{name}.csv" for name in ("history", "items", "state")}
    given = {"backtest.periods": HELD_OUT, "backtest.validation": 20, "forecast.files": {"mine": folder / file}}
    given |= {"forecast.forecaster": "mine", "forecast.also": [], "training.simulated_paths": 1}
    return load_config(None, {**files, **given, **more})


def begun(folder, file, **more):
    return begin(config_of(folder, file, **more), HELD_OUT, no_progress)


def test_policies_see_the_forecasts_of_the_file(folder):
    study = begun(folder, "whole.csv")
    backtest = study.backtest("mine", ["newsvendor", "tuned_newsvendor"])
    own = study.data.given["mine"].forecast
    shown = backtest.after
    np.testing.assert_array_equal(shown.values, own.values[:, -HELD_OUT - 1 : -1, : shown.horizon])
    assert set(backtest.trajectories) == {"newsvendor", "tuned_newsvendor"}
    assert backtest.trajectories["newsvendor"].cost.shape == (1, HELD_OUT, 8)
    assert study.config.forecast.names == ("mine",)


def test_policies_learn_from_the_origins_that_are_there(folder):
    whole, late = (begun(folder, file).forecast("mine", 0).learning for file in ("whole.csv", "late.parquet"))
    assert late.history.periods < whole.history.periods
    assert late.history.periods <= PERIODS - HELD_OUT - 62
    assert any("policies learn from the" in note for note in begun(folder, "late.parquet").window.notes)


def test_without_earlier_origins_untuned_policies_are_left(folder):
    study = begun(folder, "held_out.parquet")
    backtest = study.backtest("mine", ["newsvendor", "tuned_newsvendor", "generalist"])
    assert set(backtest.trajectories) == {"newsvendor", "generalist"}
    assert backtest.warm_up == 0
    assert backtest.trained.notes["tuned_newsvendor"] == [
        "left out: mine has no forecasts of earlier origins to learn from"
    ]
    notes = " ".join(study.window.notes)
    assert "policies with parameters to find are left out" in notes
    assert "taken to be independent" in notes
    with pytest.raises(InputError, match="mine: no origins to learn from"):
        study.learn("mine", 0)


def test_held_out_origins_must_be_there(folder):
    with pytest.raises(InputError, match="forecasts mine: no forecast was made at 2 of 8 origins: '2025-05-12', "):
        begun(folder, "gap.parquet")


def test_forecasts_must_reach_over_the_protection_interval(folder):
    with pytest.raises(InputError, match="mine: reach 2 periods ahead, and the longest protection interval"):
        begun(folder, "short.parquet")


def test_critical_ratios_beyond_the_levels_are_noted(folder):
    frame = pd.read_csv(folder / "whole.csv", dtype={"item_id": str})
    frame[frame["level"].between(0.2, 0.8)].to_csv(folder / "narrow.csv", index=False)
    notes = " ".join(begun(folder, "narrow.csv").window.notes)
    assert "lie beyond its levels, 0.2 to 0.8" in notes


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_kept_run_orders_what_the_forecaster_would(folder, tmp_path):
    files = [*("--history", folder / "history.csv"), *("--items", folder / "items.csv")]
    asked = ["--forecaster", "ets", "--horizon", 8, "--out", tmp_path / "f.csv"]
    assert run("forecast", *files, *asked).exit_code == 0
    orders = []
    for forecaster in (["--forecaster", "ets"], ["--forecasts", f"mine={tmp_path / 'f.csv'}", "--forecaster", "mine"]):
        out = tmp_path / forecaster[-1]
        done = run("train", *files, *forecaster, "--policy", "newsvendor", "--out", out, "--periods", HELD_OUT)
        assert done.exit_code == 0, done.output
        state = ["--history", folder / "history.csv", "--state", folder / "state.csv"]
        assert run("order", "--run", out, *state, "--out", out / "orders.csv").exit_code == 0
        orders.append(pd.read_csv(out / "orders.csv").drop(columns="forecaster"))
    pd.testing.assert_frame_equal(*orders)
    assert orders[0]["order"].sum() > 0


def test_forecasts_stand_in_the_league(folder, tmp_path):
    arguments = ["--forecasters", "seasonal_naive", "--forecasts", f"mine={folder / 'whole.csv'}", "--json"]
    done = run("lineage", "--history", folder / "history.csv", *arguments, "--out", tmp_path / "league")
    assert done.exit_code == 0, done.output
    table = pd.DataFrame(json.loads(done.stdout)["table"])
    assert table["forecaster"].tolist() == ["seasonal_naive", "mine"]
    assert table["wql"].notna().all()
    assert (tmp_path / "league" / "lineage.html").is_file()


FAULTS = {
    "no file": ("mine", "--forecasts: must be NAME=FILE, e.g. mine=forecasts.csv, got 'mine'"),
    "taken": ("ets={}", "must be a name of letters, digits, '_', '-' and '.' that no forecaster has, got 'ets'"),
    "not there": ("mine=none.csv", "none.csv: no such file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_options_that_name_no_forecasts_are_refused(folder, tmp_path, name):
    text, message = FAULTS[name]
    given = ["--history", folder / "history.csv", "--forecasts", text.format(folder / "whole.csv")]
    done = run("study", *given, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert message in done.output


def test_files_of_a_config_are_relative_to_it(folder):
    (folder / "study.toml").write_text('[forecast]\nforecaster = "mine"\n[forecast.files]\nmine = "whole.csv"\n')
    config = load_config(folder / "study.toml")
    assert config.forecast.files["mine"] == folder / "whole.csv"
    assert load_config(None, {"forecast.files": config.forecast.files}).forecast.files == config.forecast.files


def test_forecasts_of_a_protection_interval_alone_are_enough_to_order(folder, tmp_path):
    frame = pd.read_csv(folder / "whole.csv", dtype={"item_id": str})
    ahead = (pd.to_datetime(frame["date"]) - pd.to_datetime(frame["origin_date"])).dt.days // 7
    frame[ahead < 5].to_csv(folder / "five.csv", index=False)
    arguments = ["--forecasts", f"mine={folder / 'five.csv'}", "--forecaster", "mine", "--policy", "newsvendor"]
    files = ["--history", folder / "history.csv", "--items", folder / "items.csv"]
    done = run("train", *files, *arguments, "--periods", HELD_OUT, "--out", tmp_path / "kept")
    assert done.exit_code == 0, done.output
    state = ["--history", folder / "history.csv", "--state", folder / "state.csv"]
    done = run("order", "--run", tmp_path / "kept", *state, "--out", tmp_path / "orders.csv")
    assert done.exit_code == 0, done.output
    assert (pd.read_csv(tmp_path / "orders.csv")["order"] >= 0).all()


def test_later_forecasts_are_read_for_later_orders(folder, tmp_path):
    """Trained without the last forecasts, a run orders with them once they are given, as if it had had them."""
    frame = pd.read_csv(folder / "whole.csv", dtype={"item_id": str})
    frame[frame["origin_date"] < frame["origin_date"].max()].to_csv(folder / "old.csv", index=False)
    files = [*("--history", folder / "history.csv"), *("--items", folder / "items.csv")]
    state, orders = ["--history", folder / "history.csv", "--state", folder / "state.csv"], []
    for name in ("old", "whole"):
        given = ["--forecasts", f"mine={folder / name}.csv", "--forecaster", "mine", "--policy", "newsvendor"]
        assert run("train", *files, *given, "--periods", HELD_OUT, "--out", tmp_path / name).exit_code == 0
        later = ["--forecasts", f"mine={folder / 'whole.csv'}", "--out", tmp_path / f"{name}.csv"]
        done = run("order", "--run", tmp_path / name, *state, *later)
        assert done.exit_code == 0, done.output
        orders.append(pd.read_csv(tmp_path / f"{name}.csv"))
    pd.testing.assert_frame_equal(*orders)
    other = run("order", "--run", tmp_path / "old", *state, "--forecasts", f"ets={folder / 'whole.csv'}")
    assert "--forecasts: 'ets' is not the run's forecaster; give mine=FILE" in other.output


def test_an_order_needs_a_forecast_from_the_history_s_end(folder, tmp_path):
    frame = pd.read_csv(folder / "whole.csv", dtype={"item_id": str})
    frame[frame["origin_date"] < frame["origin_date"].max()].to_csv(folder / "old.csv", index=False)
    arguments = ["--forecasts", f"mine={folder / 'old.csv'}", "--forecaster", "mine", "--policy", "newsvendor"]
    files = ["--history", folder / "history.csv", "--items", folder / "items.csv"]
    assert run("train", *files, *arguments, "--periods", HELD_OUT, "--out", tmp_path / "kept").exit_code == 0
    state = ["--history", folder / "history.csv", "--state", folder / "state.csv"]
    done = run("order", "--run", tmp_path / "kept", *state)
    assert done.exit_code == 2
    assert "mine: no forecast was made at 1 of 1 origins: '2025-07-07'" in done.output


def test_a_study_says_what_the_file_lacks(folder, tmp_path):
    files = ["--history", folder / "history.csv", "--items", folder / "items.csv", "--periods", HELD_OUT]
    given = ["--forecasts", f"mine={folder / 'held_out.parquet'}", "--forecaster", "mine", "--policy", "newsvendor"]
    done = run("study", "--quick", *files, *given, "--out", tmp_path / "run", "--quiet")
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "note: mine: no forecasts before the held-out periods: errors of successive periods are taken to be" in text
