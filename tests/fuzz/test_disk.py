"""Disks on which nothing can be written: exit code 2, the path and the remedy, and nothing left behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
from fuzz_inputs import Place
from fuzz_watch import faults_of, run_command, snapshot

from fractile.studies import places

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place.make(tmp_path_factory.mktemp("disk"))


@pytest.fixture(autouse=True)
def _clean(place, monkeypatch):
    monkeypatch.chdir(place.folder)
    yield
    shutil.rmtree(place.work)
    place.work.mkdir()


ORDER = [*("order", "--run", "run", "--history", "history.csv", "--items", "items.csv", "--state", "state.csv")]
LEAGUE = ["lineage", "config.toml", "--forecasters", "seasonal_naive"]
TABLES = {
    "import": ["import", "history.csv"],
    "forecast": ["forecast", "--history", "history.csv", "--forecaster", "seasonal_naive", "--horizon", "3"],
    "order": ORDER,
}
RUNS = {
    "train": ["train", "config.toml", "--policy", "newsvendor", "--forecaster", "seasonal_naive"],
    "study": ["study", "config.toml"],
    "impact": ["impact", "config.toml", "--forecasters", "seasonal_naive", "--policies", "newsvendor"],
    "lineage": LEAGUE,
}
FOLDERS = RUNS | {"init": ["init", "--history", "history.csv"]}
ALL = {name: (command, "out.csv") for name, command in TABLES.items()} | {
    name: (command, "out") for name, command in FOLDERS.items()
}


def refused(place, command, out, pattern):
    """Run a command, which must refuse its output and leave nothing."""
    before = snapshot(place.folder)
    outcome = run_command(*command, "--out", out)
    assert faults_of(outcome, before, snapshot(place.folder)) == []
    assert outcome.code == 2, outcome
    assert pattern in outcome.err
    return outcome.err


@pytest.mark.parametrize("limit", [0, 300, 3000])
@pytest.mark.parametrize("name", ["import", "forecast", "order", "init", "train", "impact"])
def test_a_file_that_may_not_grow(place, name, limit):
    resource = pytest.importorskip("resource")
    command, out = ALL[name]
    before, old = snapshot(place.folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        outcome = run_command(*command, "--out", place.work / out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert faults_of(outcome, before, snapshot(place.folder), [place.work]) == []
    assert outcome.code == 2 or (outcome.code == 0 and limit > 100)
    assert outcome.code == 0 or "large" in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 300, 3000, 30_000])
@pytest.mark.parametrize("name", ["study", "lineage"])
def test_a_file_of_a_run_that_may_not_grow(place, name, limit):
    resource = pytest.importorskip("resource")
    before, old = snapshot(place.folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        outcome = run_command(*RUNS[name], "--out", place.work / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    kept = [place.work] if "kept:" in outcome.err else []
    left = [
        fault for fault in faults_of(outcome, before, snapshot(place.folder)) if not (kept and "left over" in fault)
    ]
    assert (outcome.code, left) == (2, [])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("name", ["import", "order", "init", "train"])
def test_a_disk_that_fails_at_the_rename(place, name, number, monkeypatch):
    def fail(*paths, **_):
        raise OSError(number, os.strerror(number), str(paths[0]))

    monkeypatch.setattr(os, "replace", fail)
    command, out = ALL[name]
    said = refused(place, command, place.work / out, str(place.work))
    assert ("make room" in said) == (number == errno.ENOSPC)
    assert "give another" in said


@pytest.mark.parametrize("name", ALL)
def test_places_where_nothing_can_be_written_are_refused_before_any_work(place, name, monkeypatch):
    command, out = ALL[name]
    for reader in ("forecasters.importing.importer.read_source", "forecasters.data.tables.read_raw"):
        monkeypatch.setattr(f"fractile.{reader}", lambda *_, **__: pytest.fail("the work was begun"))
    suffix = out.removeprefix("out")
    # Longer than …: the operating system says it where it is asked first, else `check_place`.
    refused(place, command, place.work / f"{'x' * 255}{suffix}", " than ")
    refused(place, command, place.work / "x" / f"{'y' * 250}{suffix}", " than ")
    deep = place.work.joinpath(*["d" * 200] * 25)
    refused(place, command, deep / out, " than ")
    refused(place, command, place.path("history") / out, "history.csv is a file")
    with monkeypatch.context() as patch:
        patch.setattr(places.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 0))
        refused(place, command, place.work / out, "make room")
    with monkeypatch.context() as patch:  # the user may be root, whom permissions do not bind
        patch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
        refused(place, command, place.work / out, "is not writable; give another")


@pytest.mark.parametrize("name", TABLES)
def test_a_folder_where_a_file_belongs(place, name):
    (place.work / "out.csv").mkdir()
    refused(place, TABLES[name], place.work / "out.csv", "is a folder; give the name of a file")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_where_a_folder_belongs(place, name):
    (place.work / "out").write_text("mine")
    refused(place, FOLDERS[name], place.work / "out", "is a file")


def run_process(*command, redirected="", **environment):
    """Run a command in a shell of its own."""
    words = " ".join([sys.executable, "-P", "-m", "fractile", *command])
    shell = ["bash", "-c", f"set -o pipefail; {words} {redirected}"]
    return subprocess.run(shell, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100)


@pytest.mark.slow
def test_output_that_nobody_reads(place):
    for redirected in (">&-", "| true", "> /dev/full"):
        if redirected.endswith("full") and not os.path.exists("/dev/full"):
            continue
        ended = run_process("forecast", *TABLES["forecast"][1:], redirected=redirected)
        assert "Traceback" not in ended.stderr, (redirected, ended)
        assert "Exception ignored" not in ended.stderr, (redirected, ended)


@pytest.mark.slow
def test_no_home_and_no_place_for_temporary_files(place):
    nowhere = str(place.folder / "gone")
    ended = run_process(*RUNS["train"], "--out", "work/out", HOME=nowhere, TMPDIR=nowhere, MPLCONFIGDIR=nowhere)
    assert (ended.returncode, ended.stdout.count("Traceback")) == (0, 0), ended.stderr
    assert not (place.folder / "gone").exists() or os.access(nowhere, os.W_OK)
