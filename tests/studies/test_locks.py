"""One writer at a time: the second one is refused at once, and the lock of a dead process keeps nobody out."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.studies.folder import free_target
from fractile.studies.locks import is_locked, lock_path, lock_target, locks_target

HOLDER = (
    "import sys, time; from pathlib import Path; from fractile.studies.locks import lock_target\n"
    "with lock_target(Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Hold the lock of a target in another process, and return target and process."""
    target = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-P", "-c", HOLDER, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield target, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_process_is_refused_until_the_first_one_is_dead(holder):
    target, process = holder
    who = f"run: is being written by another process \\(process {process.pid} on {socket.gethostname()}\\); wait for it"
    with pytest.raises(fr.InputError, match=who), lock_target(target):
        raise AssertionError
    assert is_locked(target)
    assert free_target(target).name == "run-2"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lock_path(target).is_file(), "nobody was left to delete it"
    assert not is_locked(target)
    with lock_target(target):
        assert lock_path(target).is_file()
    assert not lock_path(target).exists()


COMMANDS = {
    "study": ["--policy", "newsvendor", "--out"],
    "impact": ["--out"],
    "lineage": ["--out"],
    "train": ["--out"],
    "train fractile/LostSales-v0": ["--policy", "newsvendor", "--out"],
    "resume": [],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_meets_the_lock_before_it_reads_data(command, holder, monkeypatch):
    for reader in ("studies.backtest.load_data", "studies.league.run.read_inputs", "studies.league.run.retail_panel"):
        monkeypatch.setattr(f"fractile.{reader}", lambda *_: pytest.fail("read"))
    target, _ = holder
    result = CliRunner().invoke(app, [*command.split(), *COMMANDS[command], str(target)])
    assert result.exit_code == 2, result.output
    assert "run: is being written by another process" in result.stderr


def test_threads_lock_each_other_out_and_a_block_within_a_block_passes(tmp_path):
    def other():
        with lock_target(tmp_path / "run"):
            return True

    with lock_target(tmp_path / "run"), lock_target(tmp_path / "run"), ThreadPoolExecutor(1) as threads:
        with pytest.raises(fr.InputError, match="is being written"):
            threads.submit(other).result()
        with lock_target(tmp_path / "run.csv"):
            pass
    assert other()
    assert list(tmp_path.iterdir()) == []


FORKING = (
    "import os, sys, time; from pathlib import Path; from fractile.studies.locks import lock_target\n"
    "with lock_target(Path(sys.argv[1])):\n"
    "    child = os.fork()\n"
    "    if child: print(child, flush=True)\n"
    "    time.sleep(60)\n"
)


def test_a_worker_that_outlives_its_killed_parent_does_not_keep_the_lock(tmp_path):
    command = [sys.executable, "-P", "-c", FORKING, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        try:
            assert is_locked(tmp_path / "run")
            process.kill()
            process.wait()
            os.kill(child, 0)  # it still runs
            with lock_target(tmp_path / "run"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def refuse(handle, how):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("holder", ["dead", "alive", "elsewhere"])
def test_without_locks_of_the_file_system_the_file_is_one(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refuse)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = "another-machine" if holder == "elsewhere" else socket.gethostname()
    record = {"fractile": "lock", "host": host, "process": os.getpid() if holder == "alive" else gone.pid}
    with lock_target(tmp_path / "free"):
        assert json.loads(lock_path(tmp_path / "free").read_text())["process"] == os.getpid()
    lock_path(tmp_path / "run").write_text(json.dumps(record))
    if holder == "dead":
        with lock_target(tmp_path / "run"):
            pass
        assert list(tmp_path.iterdir()) == []
        return
    remedy = r"this file system has no locks that would tell; if it no longer runs, delete .*\.run\.lock"
    with pytest.raises(fr.InputError, match=remedy), lock_target(tmp_path / "run"):
        raise AssertionError
    assert json.loads(lock_path(tmp_path / "run").read_text()) == record


def test_a_file_of_the_users_with_the_name_of_a_lock_stays(tmp_path):
    lock_path(tmp_path / "run").write_text("mine")
    with pytest.raises(fr.InputError, match="is none of Fractile's locks"), lock_target(tmp_path / "run"):
        raise AssertionError
    assert lock_path(tmp_path / "run").read_text() == "mine"


def test_a_lock_that_cannot_be_written_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(fr.InputError, match="cannot be made, since"), lock_target(tmp_path / "file/run"):
        raise AssertionError


def test_the_folder_is_an_argument_by_position_or_name(tmp_path):
    @locks_target
    def write(config, out, *, overwrite=False):
        return lock_path(out).is_file()

    assert write(None, tmp_path / "run")
    assert write(config=None, out=tmp_path / "run", overwrite=True)


@pytest.mark.parametrize("command", ["order", "forecast"])
def test_orders_and_forecasts_lock_their_file(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = "studies.commands.order.read_manifest" if command == "order" else "studies.kept_runs.load_data"
    found = []

    def read(*_):
        found.append(lock_path(tmp_path / "made.csv").is_file())
        raise fr.InputError(["enough was seen"])

    monkeypatch.setattr(f"fractile.{reader}", read)
    (tmp_path / ".0123abcd.made.csv").write_text("half")
    (tmp_path / ".0123abcd.made.csv.mine").write_text("mine")
    (tmp_path / ".made.csv.0123abcd.partial" / "parts").mkdir(parents=True)
    (tmp_path / "h.csv").write_text("item_id,date,sales\n")
    more = ["--run", "run"] if command == "order" else ["--horizon", "2"]
    result = CliRunner().invoke(app, [command, "--history", "h.csv", *more, "--out", "made.csv"])
    assert "enough was seen" in result.stderr
    assert found == [True]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".0123abcd.made.csv.mine", "h.csv"]
