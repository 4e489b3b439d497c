"""Tampered run folders through the commands: a right run, or exit code 2 with a clear fault, and nothing left behind.

Each number is one tampered folder: `check(place, np.random.default_rng([15, number]), commands)` runs it again.
"""

from __future__ import annotations

import numpy as np
import pytest
from fuzz_runs import RunPlace, check, clean
from fuzz_watch import run_command

from fractile.forecasters.data.panel import load_inputs
from fractile.studies import kept_orders

FAST, PIECE = 500, 100
"""Folders of the fast suite, and of one slow test."""
SLOW = {"order": 400, "report": 200, "resume": 200, "validate": 200}
"""Folders of the slow suite by the command that reads them."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return RunPlace.make(tmp_path_factory.mktemp("runs"))


def faulty(place, numbers, commands):
    """Return what is wrong with reading some tampered folders, by number."""
    found = {}
    for number in numbers:
        what, outcome, faults = check(place, np.random.default_rng([15, number]), commands)
        clean(place)
        if faults:
            found[number] = (what, faults, outcome.err[:500], outcome.raised[-1000:])
    return found


def test_tampered_runs_are_not_ordered_from(place, monkeypatch):
    """The inputs are sound and always the same: they are read once for all folders whose config reads them alike."""
    read = {}

    def read_once(*files, **reading):
        key = repr((files, reading))
        if key not in read:
            read[key] = load_inputs(*files, **reading)
        return read[key]

    monkeypatch.setattr(kept_orders, "load_inputs", read_once)
    monkeypatch.chdir(place.folder)
    assert faulty(place, range(FAST), ("order",)) == {}


def test_tampered_runs_are_not_read_otherwise(place, monkeypatch):
    monkeypatch.chdir(place.folder)
    assert faulty(place, range(FAST, FAST + 12), ("report", "resume", "validate")) == {}


def test_what_a_run_says_has_no_part_in_the_catalogue(place, monkeypatch):
    """`list` reads no run: what lies in the working folder changes nothing."""
    monkeypatch.chdir(place.runs["plain"])
    assert run_command("list", "--quiet").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "first"),
    [(name, first) for name, number in SLOW.items() for first in range(1_000, 1_000 + number, PIECE)],
)
def test_many_tampered_runs(place, monkeypatch, command, first):
    monkeypatch.chdir(place.folder)
    assert faulty(place, range(first, first + PIECE), (command,)) == {}
