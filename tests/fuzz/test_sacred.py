"""No command writes on what it reads: every command with an output, every input, every way to name it."""

from __future__ import annotations

import os
import shutil

import pytest
from fuzz_inputs import Place
from fuzz_watch import faults_of, run_command, snapshot

from fractile import InputError
from fractile.progress import no_progress
from fractile.studies.config import load_config
from fractile.studies.folder import MANIFEST
from fractile.studies.impact.run import impact_run
from fractile.studies.kept_runs import train_run
from fractile.studies.league.run import lineage_run
from fractile.studies.study import run_study


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("pipe.csv"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sacred")
    Place.make(folder)
    # A config that ends like a table, so that a table could be written on it.
    (folder / "config.csv").write_bytes((folder / "config.toml").read_bytes())
    return folder


def same(path):
    return path


def relative(path):
    return os.path.relpath(path)


def roundabout(path):
    return path.parent / "work" / ".." / path.name


def symbolic(path):
    link = path.with_name(f"link-{path.name}")
    link.symlink_to(path, target_is_directory=path.is_dir())
    return link


def hard(path):
    link = path.with_name(f"hard-{path.name}")
    os.link(path, link)
    return link


def upper(path):
    other = path.with_name(path.name.upper())
    if not other.exists():
        pytest.skip("the file system tells upper from lower case: another file")
    return other


TABLES = {
    "import": (["import", "history.csv"], ["history.csv"]),
    "forecast": (["forecast", "--history", "history.csv", "--items", "items.csv"], ["history.csv", "items.csv"]),
    "forecast, config": (["forecast", "config.csv"], ["config.csv", "history.csv", "items.csv", "state.csv"]),
    "order": (
        [
            *("order", "--run", "outside", "--history", "history.csv", "--items", "items.csv", "--state", "state.csv"),
            *("--forecasts", "mine=forecasts.csv"),
        ],
        ["history.csv", "items.csv", "state.csv", "forecasts.csv"],
    ),
}
MORE = {"forecast": ["--forecaster", "seasonal_naive", "--horizon", "2"]}
NAMES = [(name, file) for name, (_, files) in TABLES.items() for file in files]


@pytest.mark.parametrize("called", [same, relative, roundabout, symbolic, hard, upper])
@pytest.mark.parametrize(("name", "file"), NAMES)
def test_no_table_is_written_on_an_input(place, name, file, called):
    out = called(place / file)
    before = snapshot(place)
    outcome = run_command(*TABLES[name][0], *MORE.get(name, []), "--out", out)
    assert faults_of(outcome, before, snapshot(place)) == []
    assert outcome.code == 2
    assert "is read by this command" in outcome.err or "is a link" in outcome.err


RUNS = {
    "study": [],
    "impact": ["--forecasters", "seasonal_naive", "--policies", "newsvendor"],
    "train": ["--policy", "newsvendor", "--forecaster", "seasonal_naive"],
    "lineage": ["--forecasters", "seasonal_naive"],
}


def inside_a_run(place):
    """The history lies in a run folder, which would be replaced."""
    shutil.move(place / "history.csv", place / "run" / "history.csv")
    return place / "run" / "history.csv", place / "run"


def beside_as_unfinished(place):
    """The history lies in the folder that an unfinished run of the target would be kept in."""
    (place / ".new.partial").mkdir()
    shutil.move(place / "history.csv", place / ".new.partial" / "history.csv")
    return place / ".new.partial" / "history.csv", place / "new"


def linked(place):
    """The target is a link to the folder of the history."""
    history, run = inside_a_run(place)
    (place / "link").symlink_to(run, target_is_directory=True)
    return history, place / "link"


def the_file_itself(place):
    return place / "history.csv", place / "history.csv"


@pytest.mark.parametrize("flags", [["--overwrite"], []])
@pytest.mark.parametrize("arranged", [inside_a_run, beside_as_unfinished, linked, the_file_itself])
@pytest.mark.parametrize("name", RUNS)
def test_no_run_replaces_the_folder_of_an_input(place, name, arranged, flags):
    history, out = arranged(place)
    before = snapshot(place)
    outcome = run_command(name, "config.toml", "--history", history, *RUNS[name], "--out", out, *flags)
    assert faults_of(outcome, before, snapshot(place)) == []
    assert outcome.code == 2


def test_a_league_that_is_resumed_does_not_replace_the_folder_of_its_history(place, monkeypatch):
    monkeypatch.setattr("fractile.studies.league.page.build_lineage_page", lambda _: None)  # it takes seconds
    assert run_command("lineage", "config.toml", *RUNS["lineage"], "--out", "league").code == 0
    shutil.move(place / "history.csv", place / "league" / "history.csv")
    before = snapshot(place)
    given = ["--history", place / "league" / "history.csv", *RUNS["lineage"], "--out", "league", "--resume"]
    outcome = run_command("lineage", "config.toml", *given)
    assert faults_of(outcome, before, snapshot(place)) == []
    assert "which this command reads" in outcome.err


@pytest.mark.parametrize("arranged", [inside_a_run, beside_as_unfinished, linked])
@pytest.mark.parametrize("name", RUNS)
def test_functions_refuse_what_commands_refuse(place, name, arranged):
    history, out = arranged(place)
    config = load_config(place / "config.toml", {"data.history": history})
    functions = {"study": run_study, "impact": impact_run, "train": train_run, "lineage": lineage_run}
    more = {"policy": "newsvendor"} if name == "train" else {}
    before = snapshot(place)
    with pytest.raises(InputError, match="which this command reads"):
        functions[name](config, out, command="none", progress=no_progress, overwrite=True, **more)
    assert snapshot(place) == before


@pytest.mark.parametrize("name", ["fractile.toml", "items.csv", "state.csv"])
@pytest.mark.parametrize("link", [False, True])
def test_init_replaces_nothing(place, name, link):
    (place / "mine").mkdir()
    if link:
        (place / "mine" / name).symlink_to(place / "nowhere")
    else:
        (place / "mine" / name).write_text("mine")
    before = snapshot(place)
    outcome = run_command("init", "--history", "history.csv", "--out", "mine")
    assert faults_of(outcome, before, snapshot(place)) == []
    assert "is there already, and nothing is overwritten" in outcome.err


def test_no_order_is_written_on_a_file_of_its_run(place):
    order = [*("order", "--run", "run", "--history", "history.csv", "--items", "items.csv", "--state", "state.csv")]
    (place / "run" / "notes.csv").write_text("mine")
    before = snapshot(place)
    for out in ("run/notes.csv", place / "run" / "notes.csv"):
        outcome = run_command(*order, "--out", out)
        assert faults_of(outcome, before, snapshot(place)) == []
        assert "is a file of the run" in outcome.err
    assert run_command(*order, "--out", "run/orders.csv").code == 0


def test_links_and_pipes_are_not_replaced(place):
    (place / "elsewhere.csv").write_text("mine")
    (place / "link.csv").symlink_to(place / "elsewhere.csv")
    (place / "dangling.csv").symlink_to(place / "nowhere.csv")
    os.mkfifo(place / "pipe.csv")
    before = snapshot(place)
    for name, reason in (("link", "is a link"), ("dangling", "is a link"), ("pipe", "is a device or a pipe")):
        outcome = run_command("import", "history.csv", "--out", f"{name}.csv")
        assert faults_of(outcome, before, snapshot(place)) == []
        assert reason in outcome.err


def test_the_users_folder_of_a_name_like_ours_stays(place):
    (place / ".new.partial").mkdir()
    (place / ".new.partial" / "thesis.txt").write_text("mine")
    before = snapshot(place)
    for flags in ([], ["--overwrite"]):
        outcome = run_command("train", "config.toml", *RUNS["train"], "--out", "new", *flags)
        assert faults_of(outcome, before, snapshot(place)) == []
        assert "move it away" in outcome.err
    assert not (place / ".new.partial" / MANIFEST).exists()
