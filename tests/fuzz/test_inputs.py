"""Mutated inputs through the commands: a right run, or exit code 2 with a clear fault, and nothing left behind.

Each number is one input: `check(place, np.random.default_rng([14, number]), kinds)` runs it again.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from fuzz_inputs import FAST_KINDS, KINDS, Place, check, clean
from fuzz_watch import snapshot

FAST, SLOW, PIECE = 500, 10_000, 500
"""Inputs of the fast and of the slow suite, and of one test."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place.make(tmp_path_factory.mktemp("fuzz"))


def faulty(place, numbers, kinds=KINDS):
    """Return what is wrong with the runs of some inputs, by number."""
    found = {}
    for number in numbers:
        what, outcome, faults = check(place, np.random.default_rng([14, number]), kinds)
        clean(place)
        if faults:
            found[number] = (what, faults, outcome.err[:500])
    return found


def test_a_snapshot_sees_a_change_that_keeps_size_and_time(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    about, before = path.stat(), snapshot(tmp_path)
    time.sleep(0.05)
    path.write_text("two")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert snapshot(tmp_path) != before
    time.sleep(0.05)
    path.write_text("one")
    assert snapshot(tmp_path) == before


def test_mutated_inputs(place, monkeypatch):
    monkeypatch.chdir(place.folder)
    assert faulty(place, range(FAST), FAST_KINDS) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, SLOW, PIECE))
def test_many_mutated_inputs(place, monkeypatch, first):
    monkeypatch.chdir(place.folder)
    assert faulty(place, range(first, first + PIECE)) == {}
