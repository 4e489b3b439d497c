"""Interrupted runs: what is kept, what is refused, and that a resumed run gives the same bits as a whole one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.parts import Parts, count_parts
from fractile.progress import Stages
from fractile.studies.commands.terminal import open_terminal
from fractile.studies.config import load_config
from fractile.studies.folder import read_manifest
from fractile.studies.impact.run import impact_run
from fractile.studies.interrupted import PARTS, interruptible_run
from fractile.studies.kept_runs import train_run
from fractile.studies.resume import resume_run
from fractile.studies.study import run_study

RUNNER = CliRunner()
SMALL = {
    "data.embedded_items": 6,
    "data.embedded_periods": 130,
    "backtest.periods": 12,
    "backtest.folds": 2,
    "backtest.simulated_histories": 4,
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": [],
    "policies.names": ["newsvendor", "tuned_newsvendor"],
    "policies.baseline": "newsvendor",
    "training.simulated_paths": 1,
}
NETWORK = {
    "forecast.forecaster": "mqcnn",
    "forecast.options.mqcnn": {"steps": 24, "width": 8},
}


def silent(message, share=None):
    pass


def stop_at(text, times=1):
    """Return a progress callback that is interrupted when a text is reported the given number of times."""
    left = [times]

    def progress(message, share=None):
        if text in message:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

    return progress


def tables(folder):
    """Return every table of a run, and the weights that it keeps, as bytes."""
    found = {path.name: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    models = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted((folder / "models").rglob("*.*"))}
    return found, models


def assert_same(one, other):
    (expected, weights), (found, other_weights) = tables(one), tables(other)
    assert expected.keys() == found.keys()
    assert weights or expected
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True, obj=name)
    assert other_weights == weights


@pytest.fixture
def no_pages(monkeypatch):
    """Draw no pages: they take longer than these runs, and say nothing that the tables do not."""
    monkeypatch.setattr("fractile.studies.study.build_report", lambda folder: None)
    monkeypatch.setattr("fractile.studies.impact.run.build_impact_page", lambda folder: None)


def assert_announced(ended):
    """Every stage was announced, and none of those was left out."""
    assert [status.number for status in ended] == list(range(1, len(ended) + 1))
    assert {status.total for status in ended} == {len(ended)}
    assert [status.name for status in ended[:5]] == [
        "fitting seasonal_naive, fold 1 of 2",
        "fitting seasonal_naive, fold 2 of 2",
        "training tuned_newsvendor on seasonal_naive, fold 1 of 2",
        "training tuned_newsvendor on seasonal_naive, fold 2 of 2",
        "simulating histories",
    ]


def test_a_study_that_is_interrupted_and_resumed_gives_the_same_bits(no_pages, tmp_path):
    moments = ["training tuned_newsvendor", "training tuned_newsvendor", "checking"]
    config = load_config(None, SMALL)
    ended = []
    stages = Stages(ended.append)
    run_study(config, tmp_path / "whole", command="fractile study", progress=stages)
    stages.end()
    assert_announced(ended)
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt) as stop:
        run_study(config, broken, command="fractile study", progress=stop_at(moments[0]))
    assert stop.value.__notes__[1].startswith("go on: fractile resume ")
    for moment in moments[1:]:
        with pytest.raises(KeyboardInterrupt):
            resume_run(broken, progress=stop_at(moment))
        kept = tmp_path / ".broken.partial"
        assert read_manifest(kept, unfinished=True)["status"] == "interrupted"
    made = []
    done = resume_run(broken, progress=lambda message, share=None: made.append(message))
    assert done.result.folder == broken
    assert not any("tuning" in message for message in made), "what is finished is read, not done again"
    assert_same(tmp_path / "whole", broken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "whole"]
    assert not (broken / PARTS).exists()
    assert read_manifest(broken)["status"] == "complete"
    assert load_config(broken / "config.toml") == load_config(tmp_path / "whole" / "config.toml")


def test_an_impact_run_that_is_interrupted_and_resumed_gives_the_same_bits(no_pages, tmp_path):
    few = {"impact.forecasters": ["seasonal_naive", "truth"], "impact.policies": ["newsvendor", "tuned_newsvendor"]}
    small = {"impact.simulated_items": 0, "backtest.folds": 1}
    config = load_config(None, SMALL | few | small)
    impact_run(config, tmp_path / "whole", command="fractile impact", progress=silent)
    with pytest.raises(KeyboardInterrupt):
        impact_run(config, tmp_path / "broken", command="fractile impact", progress=stop_at("training tuned", 2))
    with pytest.raises(KeyboardInterrupt):
        resume_run(tmp_path / "broken", progress=stop_at("valuing"))
    resume_run(tmp_path / "broken", progress=silent)
    assert_same(tmp_path / "whole", tmp_path / "broken")


TRAININGS = {
    "backprop": (["backprop"], {"data.embedded_items": 20, "training.backprop_steps": 20}),
    "auto": (["fitting croston"], {}),
    "newsvendor": (["train step 2", "refit step"], NETWORK),
}


@pytest.mark.parametrize(
    "policy", [pytest.param(name, marks=[pytest.mark.slow] * (name == "backprop")) for name in TRAININGS]
)
def test_a_training_that_is_interrupted_and_resumed_gives_the_same_bits(policy, tmp_path):
    moments, overrides = TRAININGS[policy]
    choice = {"choice.forecasters": ["seasonal_naive", "croston"], "choice.policies": ["newsvendor"]}
    config = load_config(None, SMALL | choice | {"choice.windows": 1} | overrides)
    how = {"policy": policy, "any_forecaster": policy == "auto"}
    train_run(config, tmp_path / "whole", command="fractile train", progress=silent, **how)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "broken", command="fractile train", progress=stop_at(moments[0]), **how)
    for moment in moments[1:]:
        with pytest.raises(KeyboardInterrupt):
            resume_run(tmp_path / "broken", progress=stop_at(moment))
    made = []
    done = resume_run(tmp_path / "broken", progress=lambda message, share=None: made.append(message))
    assert (done.kind, done.policy) == ("train", policy)
    assert not any("train step" in message for message in made), "training goes on from its checkpoint"
    assert_same(tmp_path / "whole", tmp_path / "broken")


@pytest.fixture
def history(tmp_path):
    """Write a history of two items and return its path."""
    days = pd.date_range("2022-01-03", periods=120, freq="W-MON")
    frame = pd.DataFrame({"item_id": "tea", "date": days, "sales": [(7 * k * k + 3 * k) % 11 for k in range(120)]})
    path = tmp_path / "data" / "sales.csv"
    path.parent.mkdir()
    pd.concat([frame, frame.assign(item_id="jam")]).to_csv(path, index=False)
    return path


def interrupted(history, out, moment="simulating policies"):
    config = load_config(None, SMALL | {"data.history": history, "backtest.folds": 1})
    with pytest.raises(KeyboardInterrupt) as stop:
        run_study(config, out, command="fractile study --out run", progress=stop_at(moment))
    return stop.value


def test_an_interruption_says_what_is_kept_and_how_to_go_on(history, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop = interrupted(history, tmp_path / "run")
    kept, on, anew = stop.__notes__
    assert re.fullmatch(r"kept: \d+ fits, \d+ forecasts and 1 policy, in \.run\.partial", kept)
    assert on == "go on: fractile resume run"
    assert anew == "begin anew: the same command with --overwrite"


def test_an_interruption_before_anything_is_finished_leaves_nothing(history, tmp_path):
    stop = interrupted(history, tmp_path / "deep" / "run", "fitting")
    assert stop.__notes__ == ["nothing was finished, and nothing is kept"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_error_leaves_nothing_behind(tmp_path):
    config = load_config(None, SMALL)

    def fail():
        with interruptible_run(tmp_path / "deep" / "run", config, kind="study", command="") as run:
            (run.path / PARTS / "fit-x").mkdir(parents=True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_orders_and_reports_refuse_an_interrupted_run(history, tmp_path):
    interrupted(history, tmp_path / "run")
    for folder in (tmp_path / "run", tmp_path / ".run.partial"):
        result = RUNNER.invoke(app, ["report", str(folder)])
        assert result.exit_code == 2
        assert "finish it: fractile resume" in result.stderr
    again = RUNNER.invoke(app, ["study", "--history", str(history), "--out", str(tmp_path / "run")])
    assert again.exit_code == 2
    assert re.search(r"interrupted run of it is kept; go on with it: fractile resume .* --overwrite", again.stderr)


def test_a_run_is_not_resumed_on_other_data(history, tmp_path):
    interrupted(history, tmp_path / "run")
    history.write_text(history.read_text().replace(",0\n", ",1\n", 1))
    result = RUNNER.invoke(app, ["resume", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert re.search(
        r"sales\.csv: was changed since .*; begin anew: fractile study --out run --overwrite", result.stderr
    )
    history.unlink()
    with pytest.raises(fr.InputError, match=r"sales\.csv: is gone"):
        resume_run(tmp_path / "run", progress=silent)


def test_a_run_is_not_resumed_with_another_config(history, tmp_path):
    interrupted(history, tmp_path / "run")
    path = tmp_path / ".run.partial" / "request.toml"
    path.write_text(path.read_text() + "\n[training]\nseeds = 2\n")
    with pytest.raises(fr.InputError, match=r"request\.toml: was changed"):
        resume_run(tmp_path / "run", progress=silent)


@pytest.mark.parametrize("kept", ["finished", "missing"])
def test_where_nothing_was_interrupted_there_is_nothing_to_resume(kept, tmp_path):
    config = load_config(None, SMALL)
    if kept == "finished":
        with interruptible_run(tmp_path / "run", config, kind="study", command="x") as run:
            run.write_json("manifest.json", {"status": "complete"})
    result = RUNNER.invoke(app, ["resume", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert {"finished": "the run is finished", "missing": "there is no interrupted run"}[kept] in result.stderr


def test_ctrl_c_ends_a_command_with_its_code_and_no_traceback(history, tmp_path):
    program = (
        "import signal, sys, time\n"
        "from fractile.cli import main; from fractile.studies import study\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "def slow(*_):\n"
        "    open('started', 'w').close(); time.sleep(60)\n"
        "study.check_study = slow\n"
        "sys.argv = ['fractile', *sys.argv[1:]]; main()"
    )
    arguments = ["study", "--history", history, "--out", "run", "--forecaster", "seasonal_naive", "--periods", "10"]
    arguments += ["--folds", "1", "--policy", "newsvendor", "--baseline", "newsvendor"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        while not (tmp_path / "started").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted: go on: fractile resume run" in said
    assert json.loads((tmp_path / ".run.partial" / "manifest.json").read_text())["status"] == "interrupted"


def test_a_terminated_command_ends_with_its_code(capsys):
    with pytest.raises(typer.Exit) as ended, open_terminal(as_json=True, quiet=False, debug=False):
        raise SystemExit(143)
    assert ended.value.exit_code == 143
    out, err = capsys.readouterr()
    assert err == "interrupted: nothing was written\n"
    assert json.loads(out) == {"error": "interrupted", "faults": ["interrupted: nothing was written"]}


def test_a_part_is_made_once_and_a_damaged_one_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return "tea"

    def get(parts):
        return parts.get(
            ("word", 1), make, save=lambda t, to: (to / "t").write_text(t), load=lambda p: (p / "t").read_text()
        )

    parts = Parts(tmp_path)
    assert [get(parts), get(parts), get(parts.under("other"))] == ["tea"] * 3
    assert len(made) == 2
    assert count_parts(tmp_path) == {"word": 1, "other": 1}
    next(tmp_path.glob("word-*/t")).write_text("jam")
    assert get(parts) == "tea"
    assert len(made) == 3
    assert get(Parts()) == "tea"
    assert len(made) == 4


def test_a_part_that_cannot_be_kept_is_made_each_time(tmp_path):
    def refuse(piece, folder):
        raise fr.FractileError("too large")

    def fail(folder):
        raise KeyError("state")

    parts = Parts(tmp_path)
    assert parts.get(("x",), lambda: 1, save=refuse, load=lambda p: 2) == 1
    assert parts.get(("x",), lambda: 1, save=lambda piece, folder: None, load=fail) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")
def test_a_run_without_a_folder_of_its_own_says_that_one_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / ".embedded.partial").mkdir(parents=True)
    (tmp_path / "runs" / ".embedded.partial" / "manifest.json").write_text("{}")
    from fractile.studies.commands.target import run_target

    assert run_target(None, "embedded", overwrite=False).name == "embedded-2"


def test_a_run_that_fails_keeps_what_was_finished_and_goes_on(history, tmp_path, monkeypatch):
    arguments = ["study", "--history", str(history), "--out", str(tmp_path / "run"), "--forecaster", "seasonal_naive"]
    arguments += ["--periods", "10", "--folds", "1", "--policy", "newsvendor", "--baseline", "newsvendor"]

    def full(*_):
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as patched:
        patched.setattr("fractile.studies.study.check_study", full)
        failed = RUNNER.invoke(app, arguments)
    assert failed.exit_code != 0
    assert re.search(r"error: kept: \d fits?.*\nerror: go on: fractile resume .*run\n", failed.stderr)
    assert json.loads((tmp_path / ".run.partial" / "manifest.json").read_text())["status"] == "failed"
    monkeypatch.setattr("fractile.studies.study.build_report", lambda folder: None)
    assert RUNNER.invoke(app, ["resume", str(tmp_path / "run")]).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_a_run_is_not_resumed_by_other_versions(history, tmp_path):
    interrupted(history, tmp_path / "run")
    path = tmp_path / ".run.partial" / "manifest.json"
    record = json.loads(path.read_text())
    new = record["versions"]["fractile"]
    record["versions"] |= {"fractile": "0.0.1", "gone-package": "1.0"}
    path.write_text(json.dumps(record))
    with pytest.raises(
        fr.InputError, match=rf"fractile was 0\.0\.1, and is {new}; gone-package was 1\.0, and is gone\)"
    ):
        resume_run(tmp_path / "run", progress=silent)
