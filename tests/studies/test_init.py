"""`fractile init`: a config that cannot differ from the models, and tables that ask for what only the user knows."""

from __future__ import annotations

import json
import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fractile.cli import app
from fractile.studies.config import StudyConfig, load_config
from fractile.studies.templates import config_template, meanings

RUNNER = CliRunner()


def invoke(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dates = pd.date_range("2022-01-03", periods=80, freq="W-MON")
    sales = np.random.default_rng(0).poisson(5.0, (80, 3)) + 1
    frame = pd.DataFrame(sales, index=dates, columns=["007", "tea, green", "ü"]).rename_axis("date")
    frame = frame.melt(ignore_index=False, var_name="item_id", value_name="sales").reset_index()
    frame.to_csv(tmp_path / "h.csv", index=False)
    return tmp_path


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def uncommented(text):
    """A template whose every key is set to its default."""
    return re.sub(r"^# (\w+ = (?! # not set))", r"\1", text, flags=re.MULTILINE)


def test_every_key_stands_there_with_its_default_and_its_meaning():
    text = config_template({})
    assert tomllib.loads(text) == {name: {} for name in tomllib.loads(text)}  # nothing is set
    raw = tomllib.loads(uncommented(text))
    assert StudyConfig.from_mapping(raw) == StudyConfig()
    for section, model in [
        ("", StudyConfig),
        *((n, f.annotation) for n, f in StudyConfig.model_fields.items() if n in raw),
    ]:
        if not hasattr(model, "model_fields"):
            continue
        written = raw if not section else raw[section]
        for name, field in model.model_fields.items():
            assert name.startswith("embedded_") or name in meanings(model) or name in raw
            unset = field.get_default(call_default_factory=True) is None or name.startswith("embedded_")
            assert (name in written) != unset
            assert unset or f"# {name}: " in text or section == ""
    assert all(len(line) <= 120 for line in text.splitlines() if "names = [" not in line)


def test_what_is_given_is_set_and_read_back(here):
    given = {
        "data.history": 'it\'s "h".csv',
        "data.columns": {"sales": "units sold"},
        "data.known": ["price"],
        "seed": 3,
    }
    (here / "c.toml").write_text(config_template(given), encoding="utf-8")
    config = load_config(here / "c.toml")
    assert (config.data.history, config.data.columns) == (here / 'it\'s "h".csv', {"sales": "units sold"})
    assert (config.data.known, config.seed) == (("price",), 3)


def test_an_unfilled_template_is_refused_cell_by_cell_and_a_filled_one_is_sound(here):
    result = invoke("init", "--history", "h.csv", "--out", "mine")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Written: mine/fractile.toml, mine/items.csv, mine/state.csv (3 items)",
        "Fill in: mine/items.csv: holding_cost, stockout_cost, lead_time",
        "Fill in: mine/state.csv: on_hand, arriving_1",
        "arriving_1 is what arrives at the start of the next period, arriving_2 one period later, …: a column for each "
        "period of the longest lead time",
        "Then:",
        "  fractile validate mine/fractile.toml --state mine/state.csv",
        "  fractile study mine/fractile.toml",
        "  fractile train mine/fractile.toml --out runs/kept",
        "  fractile order --run runs/kept --history h.csv --state mine/state.csv --out orders.csv",
    ]
    check = ("validate", "mine/fractile.toml", "--state", "mine/state.csv")
    refused = invoke(*check)
    assert (refused.exit_code, refused.stdout) == (2, "")
    for column in ("lead_time", "holding_cost", "stockout_cost", "on_hand", "arriving_1"):
        assert re.search(
            rf"{column} must be .*, is missing for '007', 'tea, green', 'ü'; write the number", refused.stderr
        )
    items = pd.read_csv("mine/items.csv", dtype={"item_id": str}).assign(lead_time=1, holding_cost=0.1, stockout_cost=2)
    assert items["item_id"].tolist() == ["007", "tea, green", "ü"]
    items.to_csv("mine/items.csv", index=False)
    state = pd.read_csv("mine/state.csv", dtype={"item_id": str}).assign(on_hand=3, arriving_1=0)
    state.to_csv("mine/state.csv", index=False)
    assert json.loads(invoke(*check, "--json").stdout)["suspicious"] == []


def test_nothing_is_overwritten_and_then_nothing_is_written(here):
    (here / "items.csv").write_text("mine")
    (here / "state.csv").symlink_to("nowhere")
    before = files(here)
    result = invoke("init", "--history", "h.csv")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: {name}: is there already, and nothing is overwritten; give --out another folder, or move it away"
        for name in ("items.csv", "state.csv")
    ]
    assert files(here) == before
    assert "h.csv is a file; name a folder" in invoke("init", "--out", "h.csv").stderr
    assert files(here) == before


def test_costs_that_are_given_fill_the_cells_and_lead_times_make_columns(here):
    result = invoke("init", "--history", "h.csv", "--lead-time", 2, "--holding-cost", 0.1, "--json")
    document = json.loads(result.stdout)
    assert document["fill"] == {"items.csv": ["stockout_cost"], "state.csv": ["on_hand", "arriving_1", "arriving_2"]}
    assert document["next"][0] == "fractile validate fractile.toml --state state.csv"
    assert (here / "items.csv").read_text(encoding="utf-8-sig").splitlines()[:2] == [
        "item_id,lead_time,holding_cost,stockout_cost",
        "007,2,0.1,",
    ]


def test_an_items_file_is_taken_over_and_a_whole_one_is_used_as_it_is(here):
    (here / "own.csv").write_text(
        'item_id,shelf,lead_time,price,unit_cost\nü,3,2,5,1\n007,1,1,4,1\n"tea, green",2,3,9,1\n'
    )
    assert invoke("init", "--history", "h.csv", "--items", "own.csv", "--out", "part").exit_code == 0
    table = pd.read_csv("part/items.csv", dtype={"item_id": str})
    assert table["item_id"].tolist() == ["007", "tea, green", "ü"]
    assert table["lead_time"].tolist() == [1, 3, 2]
    assert table["holding_cost"].isna().all()
    assert table["stockout_cost"].tolist() == [3, 8, 4]  # the margin
    assert list(pd.read_csv("part/state.csv")) == ["item_id", "on_hand", "arriving_1", "arriving_2", "arriving_3"]
    whole = (here / "own.csv").read_text().replace("shelf", "holding_cost")
    (here / "whole.csv").write_text(whole)
    assert invoke("init", "--history", "h.csv", "--items", "whole.csv", "--out", "whole").exit_code == 0
    assert sorted(files(here / "whole")) == ["fractile.toml", "state.csv"]
    assert load_config(here / "whole" / "fractile.toml").data.items == here / "whole.csv"


def test_how_the_history_is_read_is_kept(here):
    text = (here / "h.csv").read_text().replace("sales", "units")
    (here / "h.csv").write_text(text.replace("2022-01-10,007", "2021-12-20,007"))  # which leaves two holes
    options = ("--column", "sales=units", "--missing", "zero", "--freq", "W-MON")
    assert invoke("init", "--history", "h.csv", *options, "--out", "mine").exit_code == 0
    data = load_config(here / "mine" / "fractile.toml").data
    assert (data.columns, data.missing, data.freq) == ({"sales": "units"}, "zero", "W-MON")


def test_a_faulty_history_is_refused_as_everywhere_and_nothing_is_written(here):
    (here / "h.csv").write_text((here / "h.csv").read_text() + "2022-01-03,007,3\n2022-01-03,new,-1\n")
    before = files(here)
    found, known = invoke("init", "--history", "h.csv", "--out", "mine"), invoke("validate", "--history", "h.csv")
    assert (found.exit_code, found.stdout, found.stderr) == (2, "", known.stderr)
    assert (files(here), (here / "mine").exists()) == (before, False)


def test_without_a_history_it_is_asked_for(here):
    result = invoke("init", "--out", "mine")
    assert (
        "Fill in: mine/history.csv (item_id, date, sales; `fractile import FILE --out mine/history.csv`"
        in result.stdout
    )
    assert (here / "mine" / "items.csv").read_text() == "item_id,lead_time,holding_cost,stockout_cost\n"
    refused = invoke("study", "mine/fractile.toml")
    assert refused.exit_code == 2
    assert "history.csv: no such file" in refused.stderr
    assert "items.csv: has no rows" in refused.stderr


def test_the_example_of_a_name_is_the_one_that_a_run_gets(here):
    assert invoke("init", "--history", "h.csv", "--out", "mine").exit_code == 0
    assert f'# name = "{here.name}"' in (here / "mine" / "fractile.toml").read_text(encoding="utf-8")
    assert load_config(here / "mine" / "fractile.toml").name == here.name
    assert invoke("init", "--out", "bare").exit_code == 0
    assert '# name = "bare"' in (here / "bare" / "fractile.toml").read_text(encoding="utf-8")
    assert load_config(here / "bare" / "fractile.toml").name == "bare"


def test_letters_beyond_ascii_are_marked_as_utf8_for_spreadsheets(here):
    """Excel reads Hähnchen as HÃ¤hnchen in a file without a mark; a file of ASCII has none."""
    assert invoke("init", "--history", "h.csv", "--out", "marked").exit_code == 0
    assert {(here / "marked" / name).read_bytes()[:3] for name in ("items.csv", "state.csv")} == {b"\xef\xbb\xbf"}
    plain = pd.read_csv(here / "h.csv").replace({"item_id": {"ü": "u"}})
    plain.to_csv(here / "plain.csv", index=False)
    assert invoke("init", "--history", "plain.csv", "--out", "plain").exit_code == 0
    assert (here / "plain" / "items.csv").read_bytes().startswith(b"item_id")
