"""A command under watch: what it prints, how it ends, how long it takes, and what it leaves on the disk."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import stat
import sys
import tempfile
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import typer

from fractile.cli import app

COMMAND = typer.main.get_command(app)
SECONDS, WAITING = 10, 120
"""CPU time that a command may take, and time on the clock: others may be at work on the machine."""
MEMORY = 3 * 2**30
"""Address space that a command may take beyond what the process has, bytes."""
LONGEST_LINE = 2500
"""Characters of a line on standard error; a longer one prints an input back."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
UNCLEAR = re.compile(r"Traceback|unexpected \w|Warning\b|Error\b.*Error\b|object at 0x|<class ")


class HangError(BaseException):
    """A command took too long; no `except Exception` catches it."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: the exit code; None where an exception came out of the command line.
        out: standard output.
        err: standard error.
        raised: the traceback of an exception that came out; "" where none.
        warned: warnings that were shown.
    """

    code: int | None
    out: str
    err: str
    raised: str
    warned: tuple[str, ...]


def run_command(*arguments, memory=MEMORY):
    """Run a command in this process, for at most `SECONDS` and within `memory`, and return its outcome."""
    out, err = io.StringIO(), io.StringIO()
    code, raised = None, ""
    with warnings.catch_warnings(record=True) as warned, _limits(memory), redirect_stdout(out), redirect_stderr(err):
        warnings.simplefilter("always")
        try:
            COMMAND.main([str(argument) for argument in arguments], prog_name="fractile")
        except SystemExit as end:
            code = end.code
        except BaseException:
            raised = traceback.format_exc()
    said = tuple(f"{w.category.__name__}: {w.message} ({Path(w.filename).name}:{w.lineno})" for w in warned)
    return Outcome(code, out.getvalue(), err.getvalue(), raised, said)


@contextmanager
def _limits(memory):
    def stop(*_):
        raise HangError(f"more than {SECONDS} s")

    if sys.platform == "win32":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    old = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    status = Path("/proc/self/statm")
    if status.exists():
        size = int(status.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, before[1]))
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in old.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def snapshot(*folders):
    """Return every path below folders, with the hash of a file, and what else it is."""
    found = {}
    for folder in folders:
        for where, below, names in os.walk(folder):
            for name in (*below, *names):
                path = os.path.join(where, name)
                about = os.lstat(path)
                regular = stat.S_ISREG(about.st_mode)
                found[path] = _digest(path, _Version.of(about)) if regular else stat.S_IFMT(about.st_mode)
    return found


class _Version(NamedTuple):
    """What a write changes: nobody can set the time of the last change of a file, other than that of the last write."""

    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, about):
        return cls(about.st_ino, about.st_size, about.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest(path, version):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def faults_of(outcome, before, after, written=()):
    """Return what is wrong with an outcome: neither a right run nor a clear fault.

    Args:
        outcome: of the command.
        before: `snapshot` before it.
        after: `snapshot` after it.
        written: paths that a run that ends with 0 may write, files or folders.
    """
    found = []
    if outcome.raised:
        found.append(f"raised: {outcome.raised.strip().splitlines()[-1][:300]}")
    elif outcome.code not in (0, 2):
        found.append(f"exit code {outcome.code}")
    found += [f"warned: {text[:300]}" for text in outcome.warned if not text.startswith("FractileWarning")]
    if outcome.code == 2 and "error:" not in outcome.err.lower().replace("─ error ─", "error:"):
        found.append("no fault named")
    for line in outcome.err.splitlines():
        if len(line) > LONGEST_LINE:
            found.append(f"a line of {len(line)} characters")
        if CONTROL.search(line) or UNCLEAR.search(line):
            found.append(f"unclear: {line[:300]!r}")
    if len(outcome.err) > 40_000:  # a hundred faults are shown, each with its path
        found.append(f"{len(outcome.err)} characters of faults")
    found += [f"changed: {path}" for path in before if after.get(path) != before[path]]
    allowed = tuple(map(str, written)) if outcome.code == 0 else ()
    found += [f"left over: {path}" for path in after if path not in before and not path.startswith(allowed or "\0")]
    return found


def faults_of_table(path, *, finite=(), at_least=0.0):
    """Return what is wrong with a table that a command wrote: numbers that are not finite, or too small."""
    frame = pd.read_csv(path) if str(path).endswith(".csv") else pd.read_parquet(path)
    found = [] if len(frame) else ["an empty table"]
    for name in finite:
        if name not in frame:
            found.append(f"no column {name}")
            continue
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
        if not np.isfinite(values).all() or (values < at_least).any():
            found.append(f"{name} holds {values[~np.isfinite(values) | (values < at_least)][:3]}")
    return found


@contextmanager
def own_temporary_folder(path):
    """Let temporary files go into a folder that is watched."""
    old = tempfile.tempdir
    tempfile.tempdir = str(path)
    try:
        yield
    finally:
        tempfile.tempdir = old
