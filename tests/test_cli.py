"""The command line: options reach the config, results come out as text or JSON, errors have exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from fractile import (
    FractileError,
    InputError,
)
from fractile.cli import app
from fractile.studies import kept_orders, kept_runs as kept_module
from fractile.studies.blocks import dispatch as study_module
from fractile.studies.config import PoliciesConfig
from fractile.studies.folder import new_run
from fractile.studies.report import page as page_module
from fractile.training.train import is_learned

RUNNER = CliRunner()


def invoke(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


def write_history(path, items=("a", "b"), weeks=10):
    dates = pd.date_range("2024-01-01", periods=weeks, freq="W-MON").strftime("%Y-%m-%d")
    rows = [(item, date, week % 3) for item in items for week, date in enumerate(dates)]
    pd.DataFrame(rows, columns=["item_id", "date", "sales"]).to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def studied(monkeypatch):
    """Stands in for the study; keeps what it was called with."""
    calls = []

    def run_study(config, out, **rest):
        calls.append(SimpleNamespace(config=config, out=out, **rest))
        rest["progress"]("halfway", 0.5)
        print("a library prints this")
        return SimpleNamespace(
            to_document=lambda: {"folder": out, "table": [{"policy": "a", "saving": float("nan")}]},
            to_text=lambda: f"policy saving\n\nReport: {out}/report.html",
            failed={},
        )

    monkeypatch.setattr(study_module, "run_study", run_study)
    return calls


def test_options_reach_the_study(studied, tmp_path):
    (tmp_path / "c.toml").write_text('seed = 1\nname = "mine"\n[backtest]\nperiods = 3\nvalidation = 4\n')
    result = invoke(
        *("study", "c.toml", "--seed", 7, "--history", "h.csv", "--lead-time", 2, "--holding-cost", 0.5),
        *("--column", "sales=units", "--column", "item_id=sku", "--known", "price", "--validation", 5),
        *(
            "--policy",
            "newsvendor",
            "--policy",
            "base_stock",
            "--baseline",
            "newsvendor",
            "--forecaster",
            "ets",
        ),
        *("--out", "here", "--freq", "W-MON", "--missing", "zero"),
    )
    assert result.exit_code == 0, result.output
    (call,) = studied
    config = call.config
    assert (config.name, config.seed, config.defaults.lead_time, config.defaults.holding_cost) == (
        "mine",
        7,
        2,
        0.5,
    )
    assert (config.backtest.periods, config.backtest.validation) == (3, 5)
    assert config.data.history == tmp_path / "h.csv"
    assert config.data.columns == {"sales": "units", "item_id": "sku"}
    assert (config.data.known, config.data.freq, config.data.missing) == (("price",), "W-MON", "zero")
    assert (config.policies.names, config.policies.baseline) == (("newsvendor", "base_stock"), "newsvendor")
    assert config.forecast.forecaster == "ets"
    assert str(call.out) == "here"


def test_a_policy_alone_is_compared_with_the_baseline(studied, tmp_path):
    (tmp_path / "c.toml").write_text('[policies]\nnames = ["projected"]\nbaseline = "projected"\n')
    for arguments in (
        ["--policy", "newsvendor"],
        ["c.toml", "--policy", "newsvendor"],
        ["--policy", "base_stock", "--policy", "tuned_newsvendor"],
        ["c.toml", "--seed", "1"],
    ):
        assert invoke("study", *arguments).exit_code == 0
    found = [(call.config.policies.names, call.config.policies.baseline) for call in studied]
    # The baseline is the cheapest classical policy: one name alone is compared with those of the default study.
    classical = {name for name in PoliciesConfig().names if name != "hindsight" and not is_learned(name)}
    assert (set(found[0][0]), found[0][1]) == (classical, "cheapest")
    assert found[1:] == [
        (("newsvendor", "projected"), "projected"),
        (("base_stock", "tuned_newsvendor"), "cheapest"),
        (("projected",), "projected"),
    ]


def test_a_baseline_that_is_typed_is_compared_too(studied, tmp_path):
    (tmp_path / "c.toml").write_text('[policies]\nnames = ["projected"]\n')
    for arguments in (
        ["--policy", "newsvendor", "--baseline", "ppo"],
        ["--policy", "newsvendor", "--policy", "projected", "--baseline", "cheapest"],
        ["c.toml", "--baseline", "base_stock"],
        ["--baseline", "capped_base_stock"],
        ["--baseline", "base_stock"],
    ):
        result = invoke("study", *arguments)
        assert result.exit_code == 0, result.output
    found = [(call.config.policies.names, call.config.policies.baseline) for call in studied]
    assert found == [
        (("newsvendor", "ppo"), "ppo"),
        (("newsvendor", "projected"), "cheapest"),
        (("projected", "base_stock"), "base_stock"),
        ((*PoliciesConfig().names, "capped_base_stock"), "capped_base_stock"),
        (PoliciesConfig().names, "base_stock"),
    ]
    given = invoke("study", "--policy", "newsvendor", "--baseline", "nosuch")
    assert (given.exit_code, given.stderr.partition(":")[0]) == (2, "error")
    assert "--baseline: " in given.stderr
    assert "'nosuch'" in given.stderr


def test_a_run_without_a_name_is_called_by_its_folder(studied, tmp_path):
    (tmp_path / "c.toml").write_text('name = "mine"\n')
    for arguments in (
        ["--out", "runs/first"],
        ["c.toml", "--out", "runs/first"],
        ["--out", "runs/first", "--name", "x"],
    ):
        assert invoke("study", *arguments).exit_code == 0
    assert [call.config.name for call in studied] == ["first", "mine", "x"]


def test_study_prints_the_table_and_where_the_report_is(studied):
    result = invoke("study", "--out", "here")
    assert result.stdout == "policy saving\n\nReport: here/report.html\n"


def test_json_is_one_document_and_nothing_else(studied):
    result = invoke("study", "--json", "--out", "here")
    assert json.loads(result.stdout) == {"folder": "here", "table": [{"policy": "a", "saving": None}]}


def test_without_out_runs_are_numbered(studied, tmp_path):
    (tmp_path / "runs" / "embedded").mkdir(parents=True)
    (tmp_path / "runs" / "embedded" / "x").write_text("")
    invoke("study")
    assert studied[0].out.as_posix() == "runs/embedded-2"


def test_quick_is_the_quick_config(studied):
    invoke("study", "--quick", "--seed", 4)
    assert studied[0].config.training.ppo_steps == 20_000
    assert studied[0].config.seed == 4


def test_a_taken_out_is_refused_before_any_work(studied, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine").write_text("")
    result = invoke("study", "--out", "here")
    assert (result.exit_code, studied) == (2, [])
    assert "exists and is not empty" in result.stderr


def test_overwrite_is_passed_on(studied, tmp_path):
    with new_run(tmp_path / "here") as run:
        run.write_json("manifest.json", {})
    assert invoke("study", "--out", "here", "--overwrite").exit_code == 0
    assert studied[0].overwrite is True


def test_train_keeps_one_policy(monkeypatch):
    calls = []

    def train_run(config, out, **rest):
        calls.append(SimpleNamespace(config=config, out=out, **rest))
        with new_run(out) as run:
            run.write_json("manifest.json", {"assumed": "L is a default"})
        return out

    monkeypatch.setattr(kept_module, "train_run", train_run)
    result = invoke("train", "--policy", "ppo", "--forecaster", "ets", "--json")
    assert json.loads(result.stdout) == {
        "folder": "runs/embedded-ppo",
        "policy": "ppo",
        "assumed": "L is a default",
    }
    assert invoke("train", "--policy", "ppo").stdout == "L is a default\n\nRun: runs/embedded-ppo-2\n"
    assert calls[0].policy == "ppo"
    assert calls[0].config.policies.names == ("ppo",)


def test_train_chooses_where_it_is_told_auto(monkeypatch):
    calls = []

    def train_run(config, out, **rest):
        calls.append(SimpleNamespace(config=config, out=out, **rest))
        with new_run(out) as run:
            run.write_json("manifest.json", {"assumed": "L is a default"})
        return out

    monkeypatch.setattr(kept_module, "train_run", train_run)
    assert invoke("train", "--policy", "auto", "--forecaster", "auto").exit_code == 0
    assert invoke("train", "--policy", "auto", "--forecaster", "ets").exit_code == 0
    assert [(c.policy, c.any_forecaster) for c in calls] == [("auto", True), ("auto", False)]
    assert calls[1].config.forecast.forecaster == "ets"


@pytest.fixture
def ordered(monkeypatch):
    """Stands in for the orders of a kept run, and keeps what they were asked with."""
    rows = {"item_id": ["007", "=1+1"], "order": [3, 0], "order_up_to": [5.5, 0.0]}
    frame = pd.DataFrame(rows).assign(date=pd.Timestamp("2024-03-04"), assumed="L is a default")
    found = kept_orders.KeptOrders(frame, ("007",), ("=1+1",), (), (), (), 2, ("1 item is new", "2 periods old"))
    calls = []

    def next_orders(run, history, state, items, **rest):
        calls.append(SimpleNamespace(run=run, history=history, state=state, items=items, **rest))
        return found

    with new_run("r") as run:
        run.write_json("manifest.json", {"policy": "newsvendor", "forecaster": "ets"})
    monkeypatch.setattr(kept_orders, "next_orders", next_orders)
    return calls


ORDERS = """item_id,order,order_up_to,date,assumed
007,3,5.5,2024-03-04,L is a default
'=1+1,0,0.0,2024-03-04,L is a default
"""


def test_orders_are_written_to_a_file(ordered, tmp_path):
    result = invoke("order", "--run", "r", "--history", "h.csv", "--out", "deep/orders.csv")
    assert (result.exit_code, result.stdout) == (0, "L is a default\n\nOrders: deep/orders.csv (2 rows)\n")
    assert (tmp_path / "deep" / "orders.csv").read_text() == ORDERS
    said = ["ordered by newsvendor on forecasts of ets", "1 item is new", "2 periods old"]
    assert result.stderr.splitlines() == [f"note: {text}" for text in said]


def test_orders_without_a_file_are_printed(ordered):
    plain = invoke("order", "--run", "r", "--history", "h.csv")
    assert plain.stdout == ORDERS
    document = json.loads(invoke("order", "--run", "r", "--history", "h.csv", "--json").stdout)
    assert (document["orders"][1]["item_id"], document["orders"][1]["date"]) == ("=1+1", "2024-03-04")
    assert {key: document[key] for key in ("new", "discontinued", "gone", "periods_behind", "assumed")} == {
        "new": ["007"],
        "discontinued": ["=1+1"],
        "gone": [],
        "periods_behind": 2,
        "assumed": "L is a default",
    }


def test_parquet_keeps_ids_as_they_are(ordered, tmp_path):
    assert invoke("order", "--run", "r", "--history", "h.csv", "--out", "orders.parquet").exit_code == 0
    assert pd.read_parquet(tmp_path / "orders.parquet")["item_id"].tolist() == ["007", "=1+1"]


def test_what_is_on_hand_and_the_policy_can_be_given(ordered):
    given = ["--on-hand", "2.5", "--policy", "ss", "--forecasts", "mine=f.csv"]
    result = invoke("order", "--run", "r", "--history", "h.csv", *given)
    assert result.exit_code == 0
    assert (ordered[0].on_hand, ordered[0].policy, ordered[0].forecasts) == (2.5, "ss", {"mine": Path("f.csv")})
    assert "ordered by ss on forecasts of ets, as named; the run itself orders by newsvendor" in result.stderr


@pytest.mark.parametrize("units", ["-1", "many", "inf", "nan"])
def test_what_is_no_number_of_units_is_refused(ordered, units):
    result = invoke("order", "--run", "r", "--history", "h.csv", "--on-hand", units)
    assert (result.exit_code, ordered) == (2, [])
    assert f"--on-hand: must be a number >= 0, units of each item, got '{units}'" in result.stderr


@pytest.mark.parametrize("out", ["h.csv", "state.csv", "items.csv", "f.csv", "./deep/../h.csv"])
def test_orders_are_not_written_on_an_input(ordered, out):
    files = ["--history", "h.csv", "--state", "state.csv", "--items", "items.csv", "--forecasts", "mine=f.csv"]
    result = invoke("order", "--run", "r", *files, "--out", out)
    assert (result.exit_code, ordered) == (2, [])
    assert f"--out: {Path(out)} is read by this command; give another name" in result.stderr


def test_a_bad_name_for_the_orders_is_refused_before_any_work(tmp_path):
    result = invoke("order", "--run", "r", "--history", "h.csv", "--out", "orders.txt")
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert result.stderr == "error: orders.txt: must end in .csv or .parquet; rename the output file\n"


def test_forecast_takes_horizon_and_levels(monkeypatch):
    calls = []

    def forecast_file(config, horizon, levels):
        calls.append((config, horizon, levels))
        return pd.DataFrame({"item_id": ["a"], "0.5": [1.0]})

    monkeypatch.setattr(kept_module, "forecast_file", forecast_file)
    result = invoke("forecast", "--horizon", 8, "--levels", "0.9, 0.1", "--forecaster", "ets")
    assert result.stdout == "item_id,0.5\na,1.0\n"
    config, horizon, levels = calls[0]
    assert (config.forecast.forecaster, horizon, levels) == ("ets", 8, [0.1, 0.9])


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        (["forecast"], ["--horizon: is missing; say how many periods to forecast, e.g. --horizon 8"]),
        (
            ["forecast", "--horizon", "0"],
            ["--horizon: must be a whole number of periods >= 1 (100,000 at most), got 0"],
        ),
        (
            ["forecast", "--horizon", "2", "--levels", "0,x"],
            [f"--levels: must lie between 0 and 1, e.g. 0.1,0.5,0.9, got {got}" for got in ("0", "'x'")],
        ),
        (["study", "--column", "sales"], ["--column: must be OURS=THEIRS, e.g. sales=units, got 'sales'"]),
        (
            ["study", "--lead-time", "two", "--seed", "-1"],
            [
                "--seed: must be a whole number from 0 to 4294967295, got -1",
                "--lead-time: must be a whole number of periods >= 0 (round a mean lead time), got 'two'",
            ],
        ),
    ],
)
def test_bad_options_are_named_by_their_flags(arguments, faults):
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [f"error: {fault}" for fault in faults]
    document = json.loads(invoke(*arguments, "--json").stdout)
    assert document == {"error": "; ".join(faults), "faults": faults}


@pytest.mark.parametrize("error", [FractileError("cannot: do this"), InputError(["cannot: do this"])])
def test_what_the_user_can_mend_is_exit_code_2(monkeypatch, error):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(study_module, "run_study", failing)
    result = invoke("study")
    assert (result.exit_code, result.stderr) == (2, "error: cannot: do this\n")


def test_what_nobody_expected_is_exit_code_1(monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(study_module, "run_study", failing)
    result = invoke("study")
    assert result.exit_code == 1
    assert result.stderr == "error: unexpected RuntimeError: two lines (--debug shows where)\n"
    assert "Traceback (most recent call last)" in invoke("study", "--debug").stderr


def test_an_unknown_option_is_exit_code_2():
    assert invoke("study", "--colum", "a").exit_code == 2
    assert invoke("stud").exit_code == 2


def test_validate_counts(tmp_path):
    history = write_history(tmp_path / "h.csv")
    found = json.loads(invoke("validate", "--history", history, "--json").stdout)
    assert (found["items"], found["periods"], found["freq"]) == (2, 10, "W-MON")
    assert (found["first"], found["last"], found["units"]) == ("2024-01-01", "2024-03-04", 18.0)
    assert (found["zero_share"], found["out_of_stock_share"]) == (0.4, 0.0)
    text = invoke("validate", "--history", history).stdout
    assert "periods       10 (W-MON), 2024-01-01 to 2024-03-04" in text
    assert text.endswith("no faults\n")


def test_validate_counts_weeks_in_stock_in_part_and_items_off_sale(tmp_path):
    days = pd.date_range("2024-01-01", periods=28)
    rows = [{"item_id": item, "date": day, "sales": 1, "in_stock": True} for item in "ab" for day in days]
    frame = pd.DataFrame(rows)
    frame.loc[3, ["sales", "in_stock"]] = [0, False]
    frame[(frame["item_id"] == "a") | (frame["date"] < "2024-01-22")].to_csv(tmp_path / "h.csv", index=False)
    (tmp_path / "i.csv").write_text("item_id,discontinued\na,\nb,2024-01-22\n")
    files = ("validate", "--history", tmp_path / "h.csv", "--items", tmp_path / "i.csv", "--freq", "W-MON")
    found = json.loads(invoke(*files, "--json").stdout)
    assert (found["out_of_stock_share"], found["partly_in_stock_share"], found["off_sale"]) == (1 / 7, 1 / 7, 1)
    text = invoke(*files).stdout
    assert "out of stock  14.3% of item-periods, 14.3% in stock in part" in text
    assert "off sale      1 of the items at the end" in text


def test_validate_checks_what_the_files_say_and_nothing_else(tmp_path):
    history = write_history(tmp_path / "h.csv")
    state, items = tmp_path / "s.csv", tmp_path / "i.csv"
    state.write_text("item_id,on_hand,arriving_1,arriving_2\na,1,0,4\nb,1,0,0\n")

    def validate(text):
        items.write_text(text)
        return invoke("validate", "--history", history, "--items", items, "--state", state)

    assert validate("item_id,lead_time\na,2\nb,1\n").exit_code == 0
    assert validate("item_id,size\na,1\nb,2\n").exit_code == 0  # no lead times: nothing can be too late
    assert "with its lead time of 1 it would be due after" in validate("item_id,lead_time\na,1\nb,1\n").stderr
    items.write_text("item_id,holding_cost\na,0\nb,1\n")
    without_state = invoke("validate", "--history", history, "--items", items)
    assert (without_state.exit_code, without_state.stdout) == (2, "")
    assert "holding_cost and stockout_cost must both be above 0" in without_state.stderr


def test_report_builds_anew(monkeypatch, tmp_path):
    with new_run(tmp_path / "run") as run:
        run.write_json("manifest.json", {"name": "run"})
    monkeypatch.setattr(page_module, "build_report", lambda folder: folder / "report.html")
    assert invoke("report", "run").stdout == "Report: run/report.html\n"
    assert invoke("report", "gone").exit_code == 2


def test_list_has_a_line_for_each():
    found = json.loads(invoke("list", "--json").stdout)
    assert set(found) == {"forecasters", "policies", "environments"}
    assert "ets" in found["forecasters"]
    assert "newsvendor" in found["policies"]
    assert "fractile/LostSales-v0" in found["environments"]
    lines = [line for entries in found.values() for line in entries.values()]
    assert all(lines)
    assert lines == [line.strip() for line in lines]
    assert "  newsvendor " in invoke("list").stdout


COMMANDS = [
    "study",
    "train",
    "order",
    "forecast",
    "lineage",
    "init",
    "validate",
    "report",
    "literature",
    "bench",
    "list",
]


def test_version_and_help():
    assert invoke("--version").stdout.startswith("fractile 0.")
    for command in COMMANDS:
        assert invoke(command, "--help").exit_code == 0


def test_help_loads_no_heavy_library():
    program = (
        "import sys; from fractile.cli import app\n"
        "for command in ([], *([name] for name in sys.argv[1:])):\n"
        "    app([*command, '--help'], standalone_mode=False)\n"
        "assert not {'torch', 'stable_baselines3', 'statsforecast', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *COMMANDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(COMMANDS) + 1


def test_the_module_runs_as_a_command(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "fractile", "validate", "--history", "gone.csv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: {tmp_path / 'gone.csv'}: no such file; check the path\n"


@pytest.mark.parametrize("command", ["study", "impact", "train", "lineage", "forecast"])
def test_no_command_writes_where_it_reads(command, tmp_path):
    path = tmp_path / "data" / "sales.csv"
    path.parent.mkdir()
    path.write_text("item_id,date,sales\n")
    out = path if command == "forecast" else path.parent
    arguments = ["--history", str(path), "--out", str(out), *(["--horizon", "4"] if command == "forecast" else [])]
    result = RUNNER.invoke(app, [command, *arguments, *(["--overwrite"] if command != "forecast" else [])])
    assert result.exit_code == 2
    assert "which this command reads" in result.stderr or "is read by this command" in result.stderr
    assert path.read_text() == "item_id,date,sales\n"


def test_a_terminated_run_leaves_no_folder(tmp_path):
    program = (
        "import sys, time, types\n"
        "from fractile.cli import main; from fractile.studies.folder import new_run\n"
        "def slow(config, out, **_):\n"
        "    with new_run(out):\n"
        "        open('started', 'w').close(); time.sleep(60)\n"
        "sys.modules['fractile.studies.blocks.dispatch'] = types.SimpleNamespace(run_study=slow)\n"
        "sys.argv = ['fractile', 'study', '--out', 'here']; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    try:
        while not (tmp_path / "started").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    finally:
        process.kill()
        process.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["started"]


def test_impact_says_that_no_number_depends_on_a_state(monkeypatch, tmp_path):
    def stopped(*_, **__):
        raise InputError(["stopped here"])

    monkeypatch.setattr("fractile.studies.impact.run.impact_run", stopped)
    write_history(tmp_path / "h.csv")
    (tmp_path / "s.csv").write_text("item_id,on_hand,arriving_1\na,1,0\nb,2,0\n")
    said = "no number here depends on the state"
    assert said in invoke("impact", "--history", "h.csv", "--state", "s.csv").stderr
    assert said not in invoke("impact", "--history", "h.csv").stderr
