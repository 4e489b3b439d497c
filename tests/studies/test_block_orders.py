"""Orders and forecasts in blocks of items: the same whatever the blocks and the engine, and as those of the whole."""

from __future__ import annotations

import importlib.util
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.errors import InputError
from fractile.parts import sha256
from fractile.studies.blocks.forecasts import forecast_in_blocks
from fractile.studies.blocks.orders import order_in_blocks
from fractile.studies.config import load_config
from fractile.studies.kept_orders import next_orders
from fractile.studies.kept_runs import forecast_file
from fractile.studies.orders import write_orders
from fractile.studies.scale_section import ScaleConfig

ITEMS, WEEKS = 24, 70
TILE = 4


def silent(message, share=None):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of items of which the last three came, and one went, after the run."""
    folder = tmp_path_factory.mktemp("data")
    retail = fr.retail_panel(items=ITEMS, periods=WEEKS, seed=3)
    retail.write(folder)
    history = pd.read_csv(folder / "history.csv", dtype={"item_id": str}, parse_dates=["date"])
    ids = list(retail.panel.item_ids)
    old = history["item_id"].isin(ids[:-3]) & (history["date"] <= retail.panel.dates[-5])
    history[old].to_parquet(folder / "old.parquet", index=False)
    now = history["item_id"] != ids[1]
    history[now].to_parquet(folder / "history.parquet", row_group_size=300, index=False)
    for name in ("items", "state"):
        frame = pd.read_csv(folder / f"{name}.csv", dtype={"item_id": str})
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    items = pd.read_parquet(folder / "items.parquet")
    items[items["item_id"].isin(ids[:-3])].to_parquet(folder / "old_items.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def keep(folder, train_once):
    """Return a function that trains a policy on the old files, each once."""
    return partial(train_once, folder / "old.parquet", folder / "old_items.parquet")


def _files(folder):
    return {"state": folder / "state.parquet", "items": folder / "items.parquet"}


@pytest.mark.parametrize("policy", ["newsvendor", "base_stock"])
def test_orders_in_blocks_are_those_of_the_whole(folder, keep, tmp_path, policy):
    run, history = keep(policy), folder / "history.parquet"
    whole = next_orders(run, history, **_files(folder))
    written = []
    for blocks in (1, 3, 64):
        out = tmp_path / f"{blocks}.parquet"
        done = order_in_blocks(run, history, out, **_files(folder), scale=ScaleConfig(blocks=blocks), tile=TILE)
        written.append(out.read_bytes())
    assert len(set(written)) == 1
    found = pd.read_parquet(tmp_path / "1.parquet")
    pd.testing.assert_frame_equal(found, whole.table.astype({"date": found["date"].dtype}))
    assert done.notes == whole.notes
    assert done.rows == len(found) == ITEMS - 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["process", "ray"])
def test_orders_of_other_engines_and_as_csv_are_the_same(folder, keep, tmp_path, engine):
    if engine == "ray" and importlib.util.find_spec("ray") is None:  # loaded here, it would take another address
        pytest.skip("needs the extra ray")
    run, history = keep("newsvendor"), folder / "history.parquet"
    given = {"on_hand": 2.0, "items": folder / "items.parquet"}
    whole = next_orders(run, history, **given)
    given["tile"] = TILE
    order_in_blocks(run, history, tmp_path / "s.csv", **given, scale=ScaleConfig(blocks=3))
    order_in_blocks(run, history, tmp_path / "p.csv", **given, scale=ScaleConfig(engine=engine, workers=2, blocks=2))
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()
    write_orders(tmp_path / "whole.csv", whole.table)
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_items_without_a_count_and_old_counts_are_faults_of_all_blocks(folder, keep, tmp_path):
    run, history = keep("newsvendor"), folder / "history.parquet"
    state = pd.read_parquet(folder / "state.parquet")
    state["date"] = "2019-01-01"
    state.iloc[:-6].to_parquet(tmp_path / "state.parquet", index=False)
    files = {"state": tmp_path / "state.parquet", "items": folder / "items.parquet"}
    with pytest.raises(InputError) as whole:
        next_orders(run, history, **files)
    with pytest.raises(InputError) as blocks:
        order_in_blocks(run, history, tmp_path / "o.csv", **files, scale=ScaleConfig(blocks=9), tile=TILE)
    assert blocks.value.faults == whole.value.faults
    assert not (tmp_path / "o.csv").exists()


def test_forecasts_in_blocks_are_the_same_whatever_the_blocks(folder, tmp_path):
    settings = {"data.history": folder / "history.parquet", "forecast.forecaster": "ets", "scale.sample": 9}
    written = []
    for blocks in (1, 5):
        config = load_config(None, {**settings, "scale.blocks": blocks})
        done = forecast_in_blocks(config, 3, [0.5, 0.9], tmp_path / f"{blocks}.parquet", tile=TILE)
        written.append((tmp_path / f"{blocks}.parquet").read_bytes())
    assert written[0] == written[1]
    assert done.notes[0] == f"ets is fitted on 9 of {ITEMS - 1} items, drawn at random (scale.sample)"
    config = load_config(None, {**settings, "scale.sample": 1000})
    forecast_in_blocks(config, 3, [0.5, 0.9], tmp_path / "all.csv", tile=TILE)
    found = pd.read_csv(tmp_path / "all.csv", dtype={"item_id": str})
    whole = forecast_file(config, 3, [0.5, 0.9])
    assert list(found["item_id"]) == list(whole["item_id"])
    np.testing.assert_allclose(found["value"], whole["value"], rtol=1e-9)


def test_commands_go_to_blocks_where_they_are_told_or_items_are_many(folder, keep, tmp_path):
    run, history = keep("newsvendor"), folder / "history.parquet"
    order = ["order", "--run", str(run), "--history", str(history), "--on-hand", "0", "--json"]
    order += ["--items", str(folder / "items.parquet")]
    result = CliRunner().invoke(app, [*order, "--blocks", "2"])
    assert result.exit_code == 2
    assert "--out: is missing" in result.stdout
    result = CliRunner().invoke(app, [*order, "--blocks", "2", "--out", str(tmp_path / "o.parquet")])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["rows"] == ITEMS - 1
    assert document["new"]["items"] == 3
    config = tmp_path / "c.toml"
    config.write_text(f'[data]\nhistory = "{history}"\n[scale]\nwhole = 5\n')
    forecast = ["forecast", str(config), "--forecaster", "seasonal_naive", "--horizon", "2", "--json"]
    result = CliRunner().invoke(app, [*forecast, "--out", str(tmp_path / "f.csv")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["notes"] is not None
    history = pd.read_parquet(history)
    (tmp_path / "months").mkdir()
    for at in range(2):
        history.iloc[at::2].to_parquet(tmp_path / "months" / f"{at}.parquet", index=False)
    forecast = ["forecast", "--history", str(tmp_path / "months"), "--forecaster", "seasonal_naive", "--horizon", "2"]
    result = CliRunner().invoke(app, [*forecast, "--out", str(tmp_path / "g.csv")])
    assert result.exit_code == 0, result.output
    both = (
        pd.read_csv(tmp_path / name, dtype={"item_id": str}).sort_values(["item_id", "date", "level"])
        for name in ("f.csv", "g.csv")
    )
    np.testing.assert_array_equal(*(frame["value"] for frame in both))
    result = CliRunner().invoke(app, [*forecast, "--out", str(tmp_path / "months" / "g.csv")])
    assert result.exit_code == 2
    assert "whose files this command reads, all of them; write elsewhere" in result.stderr
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["c.toml", "f.csv", "g.csv", "months", "o.parquet"]


def test_a_folder_of_files_is_known_again_by_what_its_files_hold(tmp_path):
    (tmp_path / "a").mkdir()
    for name, text in (("a/x", "1"), ("b", "2")):
        (tmp_path / name).write_text(text)
    before = sha256(tmp_path)
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = sha256(tmp_path)
    (tmp_path / "b").write_text("3")
    assert len({before, renamed, sha256(tmp_path)}) == 3
