"""`fractile import`: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app

CASES = Path(fr.__file__).parents[1] / "shared" / "cases"
RUNNER = CliRunner()


def invoke(*arguments):
    return RUNNER.invoke(app, ["import", *(str(argument) for argument in arguments)])


@pytest.fixture
def german(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dates = pd.date_range("2023-01-02", periods=6, freq="7D").strftime("%d.%m.%Y")
    text = "Artikel;Datum;Menge\n" + "".join(f"Käse;{date};{at},0\n" for at, date in enumerate(dates))
    path = tmp_path / "german.csv"
    path.write_bytes(text.encode("cp1252"))
    return path


def test_it_writes_the_history_and_says_the_next_command(german):
    done = invoke(german, "--out", "h.csv")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "Next: fractile validate --history h.csv"
    assert len(done.stdout.splitlines()) <= 12
    assert fr.load_panel("h.csv").sales.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert german.read_bytes().startswith(b"Artikel")


def test_without_out_nothing_is_written(german):
    assert "nothing was written" in invoke(german).stdout
    assert [path.name for path in Path().iterdir()] == ["german.csv"]


def test_json_has_every_decision(german):
    record = json.loads(invoke(german, "--out", "h.parquet", "--json").stdout)
    assert (record["items"], record["periods"], record["units"], record["out"]) == (1, 6, 15.0, "h.parquet")
    topics = {decision["topic"] for decision in record["decisions"]}
    assert {"encoding", "separator", "decimal", "date_format", "columns", "result"} <= topics
    assert fr.load_panel("h.parquet").periods == 6


def test_it_never_writes_on_its_input(german):
    before = german.read_bytes()
    done = invoke(german, "--out", german)
    assert done.exit_code == 2
    assert german.read_bytes() == before


def test_questions_end_with_exit_code_2_and_a_command_that_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.csv").write_text(
        "sku,date,qty\n" + "".join(f"a,0{m}/03/2024,{m}\n" for m in range(1, 5)) + "a,01/03/2024,-1\n"
    )
    done = invoke("s.csv", "--out", "h.csv")
    assert done.exit_code == 2
    typed = done.stderr.split("type: fractile import ")[1].split("   ")[0]
    assert typed == "s.csv --out h.csv --date-format dmy --returns net"
    assert invoke(*typed.split()).exit_code == 0


@pytest.mark.skipif(not CASES.is_dir(), reason="no cases beside the checkout (../shared/cases)")
@pytest.mark.parametrize(
    ("name", "options", "items", "periods", "units"),
    [
        ("german.csv", {}, 12, 110, 24_389),
        ("wide.csv", {}, 12, 110, 24_389),
        ("daily.xlsx", {"returns": "net"}, 12, 280, None),
        ("daily_us.csv", {"returns": "drop"}, 12, 280, 8_941),
        ("stores.csv", {"item": "store+product"}, 12, 110, None),
        ("m5_two.csv", {"columns": {"item_id": "id"}}, 6, 50, None),
        ("money.csv", {"columns": {"sales": "units"}}, 1, 60, 300),
        ("rossmann.csv", {}, 3, 400, None),
        ("uci_pos.csv", {}, 3, 301, 11_749),
        ("unnamed.csv", {}, 2, 90, None),
    ],
)
def test_cases(name, options, items, periods, units):
    found = fr.import_sales(CASES / name, **options)
    panel = fr.load_panel(found.history)
    assert (panel.items, panel.periods) == (items, periods)
    assert units is None or panel.sales.sum() == units
    assert len(found.report.lines) <= 10
    assert panel.in_stock.all()
