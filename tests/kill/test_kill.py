"""A run that is killed at any moment: what `fractile resume` makes of it is the run without a break, bit for bit."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")

_spec = importlib.util.spec_from_file_location("kill_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(_spec)
sys.modules["kill_harness"] = harness
_spec.loader.exec_module(harness)

CONFIG = """
[data]
embedded_items = 4
embedded_periods = 130
[backtest]
periods = 12
folds = 1
simulated_histories = 2
[forecast]
forecaster = "seasonal_naive"
also = []
[forecast.options.mqcnn]
steps = 24
width = 8
[forecast.options.lightgbm]
trees = 20
[policies]
names = ["newsvendor", "tuned_newsvendor"]
baseline = "newsvendor"
[policies.options.backprop]
steps = 20
evaluate_every = 4
[training]
simulated_paths = 1
[scale]
sample = 30
[impact]
forecasters = ["seasonal_naive", "truth"]
policies = ["newsvendor", "tuned_newsvendor"]
simulated_items = 0
"""
# Pages are drawn from the tables that are compared; they take longer than these runs.
NO_PAGES = """
from pathlib import Path
import fractile.studies.blocks.study, fractile.studies.impact.run, fractile.studies.league.page, fractile.studies.study
def page(folder):
    Path(folder, "page.html").write_text("page")
fractile.studies.study.build_report = fractile.studies.blocks.study.build_report = page
fractile.studies.impact.run.build_impact_page = page
fractile.studies.league.page.build_lineage_page = page
fractile.training.problem.DRAWN = 4000
"""
COMMANDS = {
    "study": ["study", "c.toml"],
    "impact": ["impact", "c.toml"],
    "lineage": ["lineage", "c.toml", "--forecasters", "seasonal_naive,croston"],
    "mqcnn": ["train", "c.toml", "--forecaster", "mqcnn", "--policy", "newsvendor"],
    "lightgbm": ["train", "c.toml", "--forecaster", "lightgbm", "--policy", "newsvendor"],
    "backprop": ["train", "c.toml", "--policy", "backprop"],
    "study in blocks": ["study", "c.toml", "--history", "../many.parquet", "--blocks", "3"],
    "study in blocks on processes": [
        *("study", "c.toml", "--history", "../many.parquet", "--blocks", "3"),
        *("--engine", "process", "--workers", "2"),
    ],
    "backprop on an environment": ["train", "fractile/LostSales-v0", "--policy", "backprop", "--steps", "20"],
}


def begin(folder):
    """Make a folder that a command runs in."""
    folder.mkdir(parents=True)
    (folder / "c.toml").write_text(CONFIG)
    return folder


def write_many(path):
    """Write a history of items in three tiles."""
    rng, weeks, items = np.random.default_rng(3), 90, 600
    sales = rng.poisson(rng.gamma(2.0, 3.0, (items, 1)), (items, weeks))
    days = pd.date_range("2022-01-03", periods=weeks, freq="W-MON")
    ids = np.repeat([f"item-{k}" for k in range(items)], weeks)
    pd.DataFrame({"item_id": ids, "date": np.tile(days, items), "sales": sales.ravel()}).to_parquet(path)


def command(arguments, folder, **how):
    return harness.run([*arguments, "--out", "run"], folder, statements=NO_PAGES, **how)


def resume(folder, **how):
    return harness.run(["resume", "run"], folder, statements=NO_PAGES, **how)


def moments(whole, number, seed):
    """Return at which change, or after how many seconds, a command is killed: two in three at a change, at random."""
    rng = np.random.default_rng(seed)
    timed = number // 3
    at = [{"at": int(change)} for change in rng.integers(1, whole.changes + 1, number - timed)]
    after = [{"after": float(share * whole.seconds)} for share in rng.uniform(0.05, 0.85, timed)]
    return [(at + after)[k] for k in rng.permutation(number)]


def finish(arguments, folder, again):
    """Resume a run until it is there, killed once more where `again` says when; begin anew where nothing was kept.

    Returns:
        whether work was kept.
    """
    if again is not None:
        resume(folder, **again)
    ended = resume(folder)
    if ended.code == 0:
        return True
    assert ended.code == 2, ended.text
    if (folder / "run").exists():  # the kill came after the end
        assert "the run is finished; there is nothing to go on with" in ended.text
        return True
    assert "there is no interrupted run of it" in ended.text, ended.text
    ended = command(arguments, folder)
    assert ended.code == 0, ended.text
    return False


def check_kills(name, number, tmp_path, seed=14, chosen=slice(None)):
    """Kill a command at moments spread over its duration, resume it, and compare; `chosen`: some of these moments."""
    arguments = COMMANDS[name]
    if "blocks" in name:
        write_many(tmp_path / "many.parquet")
    whole = command(arguments, begin(tmp_path / "whole"))
    assert whole.code == 0, whole.text
    went_on, killed = 0, 0
    tried = list(enumerate(moments(whole, number, seed)))[chosen]
    for k, moment in tried:
        folder = begin(tmp_path / f"broken-{k}")
        ended = command(arguments, folder, **moment)
        assert ended.code in (0, harness.KILLED), ended.text
        killed += ended.code == harness.KILLED
        again = {"at": 10 + 7 * k} if k % 3 == 2 else None
        went_on += finish(arguments, folder, again)
        assert harness.differences(tmp_path / "whole" / "run", folder / "run") == [], moment
        assert sorted(path.name for path in folder.iterdir()) == ["c.toml", "run"], moment
        shutil.rmtree(folder)
    print(f"{name}: {len(tried)} moments, {killed} kills, {went_on} went on or were whole")
    assert killed >= len(tried) // 2
    assert went_on >= len(tried) // 3


def test_a_study_that_is_killed_is_resumed_bit_for_bit(tmp_path):
    check_kills("study", 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 5, 10, 15])
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_killed_at_twenty_moments_is_resumed_bit_for_bit(name, first, tmp_path):
    check_kills(name, 20, tmp_path, seed=15, chosen=slice(first, first + 5))


@pytest.mark.slow
def test_an_agent_that_is_killed_goes_on_and_says_so(tmp_path):
    arguments = ["train", "fractile/LostSales-v0", "--policy", "a2c", "--steps", "4000"]
    whole = command(arguments, begin(tmp_path / "whole"))
    assert whole.code == 0, whole.text
    said = 0
    for k, moment in enumerate(moments(whole, 20, 16)):
        folder = begin(tmp_path / f"broken-{k}")
        command(arguments, folder, **moment)
        partial = folder / ".run.partial"
        held = (partial / "checkpoint" / "state.json").is_file()
        held = held and "files" not in json.loads((partial / "manifest.json").read_text())  # else it is whole
        finish(arguments, folder, None)
        notes = json.loads((folder / "run" / "manifest.json").read_text())["notes"].get("a2c", [])
        assert any("not bit for bit" in note for note in notes) == held
        said += held
        assert sorted(harness.content(folder / "run")) == sorted(harness.content(tmp_path / "whole" / "run"))
        assert sorted(path.name for path in folder.iterdir()) == ["c.toml", "run"], moment
    assert said >= 5


OVERWRITE = """
from pathlib import Path
from fractile.studies.folder import resumable_run
with resumable_run(Path("run"), overwrite=True) as run:
    run.write_json("manifest.json", {"status": "running"})
    Path(run.path, "parts", "fit-1").mkdir(parents=True)
    run.write_text("parts/fit-1/part.json", "{}")
    run.write_text("models/forecaster.json", NAME)
    run.write_text("new.txt", NAME)
    if NAME == "new":
        run.write_text("taken.txt", NAME)
    run.write_json("manifest.json", {"status": "complete", "name": NAME})
"""
RECOVER = """
from pathlib import Path
from fractile.studies.folder import absolute_target, unfinished_folder
from fractile.studies.locks import lock_target
from fractile.studies.replacing import recover
with lock_target(Path("run")):
    recover(absolute_target("run"))
"""
OWN = {"notes.txt": "mine", "models/orders-2.csv": "mine, too", "taken.txt": "mine before theirs"}


def old_run(folder):
    """Make a run with files of the user's own beside those that it wrote."""
    folder.mkdir()
    made = harness.run([], folder, statements=f"NAME = 'old'\n{OVERWRITE.replace('new.txt', 'old.txt')}")
    assert made.code == 0, made.text
    for name, text in OWN.items():
        (folder / "run" / name).write_text(text)
    return folder


def check_whole(folder, where):
    """Check that the old or the new run is whole, and no file of the user's own lost; return which run it is."""
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert all(texts.count(text) == 1 for text in OWN.values()), where
    name = json.loads((folder / "run" / "manifest.json").read_text())["name"]
    assert (folder / "run" / f"{name}.txt").read_text() == name, where
    assert (folder / "run" / "models" / "forecaster.json").read_text() == name, where
    return name


def overwrite(folder, **how):
    return harness.run([], folder, statements=f"NAME = 'new'\n{OVERWRITE}", **how)


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_an_overwrite_that_is_killed_at_any_change_is_completed_or_undone(step, tmp_path):
    original = old_run(tmp_path / "original")
    whole = overwrite(Path(shutil.copytree(original, tmp_path / "whole")))
    assert (whole.code, check_whole(tmp_path / "whole", "whole")) == (0, "new"), whole.text
    assert whole.changes > 25
    found = []
    for at in range(1, whole.changes + 1, step):
        folder = Path(shutil.copytree(original, tmp_path / "broken", dirs_exist_ok=True))
        assert overwrite(folder, at=at).code == harness.KILLED
        if at // step % 2:  # recovery may be killed, too
            harness.run([], folder, statements=RECOVER, at=1 + at % 5)
        ended = harness.run([], folder, statements=RECOVER)
        assert ended.code == 0, ended.text
        found.append(check_whole(folder, at))
        assert [p.name for p in folder.iterdir() if p.name not in ("run", ".run.partial")] == [], at
        ended = overwrite(folder)
        assert ended.code == 0, ended.text
        assert check_whole(folder, at) == "new"
        assert sorted(p.name for p in folder.iterdir()) == ["run"], at
        shutil.rmtree(folder)
    assert found == sorted(found, reverse=True), "old until the renames, new from then on"
    assert set(found) == {"old", "new"}
