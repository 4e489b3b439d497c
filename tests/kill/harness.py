"""Commands that are killed at any moment, and what they leave compared with a run that was never interrupted."""

from __future__ import annotations

import json
import multiprocessing
import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors.numpy import load_file

SCRIPT = str(Path(__file__).with_name("command.py"))
LOADED = ["studies.blocks.dispatch", "studies.impact.run", "studies.kept_runs", "studies.league.run", "cli"]
LOADED += ["studies.train_environment", "studies.league.page", "studies.impact.page"]
LOADED += ["training.backprop", "training.agents"]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([f"fractile.{module}" for module in LOADED])
"""Processes are forked from one that has loaded the package, and computed nothing: a command costs its own work."""

TIMED = ("created", "command", "sha256", "checksum", "seconds")
"""Ends of keys and columns that say when, how and how fast; and hashes of files that do, which are compared by content.
"""
KILLED = -9


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it printed, how often it changed its folder, and its seconds.

    The last two are -1 where it was killed.
    """

    code: int
    text: str
    changes: int
    seconds: float


def run(arguments, folder, *, at=None, after=None, statements=""):
    """Run a command in a folder, and kill it.

    Args:
        arguments: of the command; none: the statements alone are run.
        folder: where it runs; what it changes there is counted.
        at: the change before which it is killed; None: it is not.
        after: seconds after which it is killed; None: it is not.
        statements: Python, run before the command.
    """
    said = folder.with_name(f"{folder.name}.txt")
    known = {"arguments": list(map(str, arguments)), "folder": str(folder), "said": str(said)}
    known |= {"at": at, "statements": statements}
    process = PROCESSES.Process(target=runpy.run_path, args=(SCRIPT,), kwargs={"init_globals": known})
    process.start()
    process.join(after)
    if process.is_alive():
        process.kill()
    process.join()
    text = said.read_text() if said.is_file() else ""
    counted = re.search(r"\nchanges: (\d+), seconds: (\S+)\n$", text)
    return Ended(process.exitcode, text, *((int(counted[1]), float(counted[2])) if counted else (-1, -1.0)))


def content(folder):
    """Return every file of a run by its path, as bytes without what says when, how and how fast it was made."""
    return {
        path.relative_to(folder).as_posix(): plain(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or path.is_symlink()
    }


def plain(path):
    """Return what a file holds, but for what differs between two runs of the same command."""
    if path.suffix == ".json":
        return untimed(json.loads(path.read_text()))
    if path.name == "metrics.jsonl":  # seconds of stages, and points of learning curves
        points = [json.loads(line) for line in path.read_text().splitlines()]
        return [untimed(point) for point in points if "stage" not in point]
    if path.parent.name == "lineage" or path.name.startswith("league."):
        table = pd.read_csv(path)
        return table.drop(columns=[column for column in table if column.endswith(TIMED)]).to_csv()
    if path.parent.name == "entries":
        return {name: array.tobytes() for name, array in load_file(path).items()}
    return path.read_bytes()


def untimed(value):
    """Return a document without what says when, how and how fast."""
    if isinstance(value, dict):
        return {key: untimed(below) for key, below in value.items() if not key.endswith(TIMED)}
    return [untimed(below) for below in value] if isinstance(value, list) else value


def differences(one, other):
    """Return the names of files that only one of two runs has, or that differ."""
    first, second = content(one), content(other)
    return [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
