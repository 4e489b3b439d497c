"""What commands that write run folders share: where to, how they were called, and how they end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from ...errors import InputError
from ..folder import (
    absolute_target,
    check_target,
    find_resumable,
    free_target,
    resume_command,
    unfinished_folder,
)
from ..locks import lock_target
from ..places import check_not_input, check_output
from ..replacing import GONE, NEW, OLD, leftovers, recover
from .terminal import FAILED


def run_target(out: Path | None, name: str, *, overwrite: bool, inputs: Iterable[Path | None] = ()) -> Path:
    """Return the run folder to write: the one asked for, or a free one in runs/.

    Args:
        out: as it was typed, or None.
        name: of the folder in runs/.
        overwrite: replace a run folder that stands there.
        inputs: files that the command reads; the folder must not hold any of them.
    """
    check_not_input(out, inputs)
    usual = Path("runs") / name
    recover_target(usual if out is None else out)
    target = free_target(usual) if out is None else out
    if out is None and find_resumable(usual) == unfinished_folder(usual.absolute()):
        typer.echo(f"note: an interrupted run is kept; go on with it: {resume_command(usual)}", err=True)
    check_target(target.absolute(), overwrite=overwrite)
    return target


def recover_target(target: Path) -> None:
    """Complete or undo what a process that was killed has left of a run, and say so on standard error."""
    target = absolute_target(target)
    if leftovers(target, OLD, GONE, NEW):
        with lock_target(target):
            for said in recover(target):
                typer.echo(f"note: {said}", err=True)


def check_table(out: Path | None, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse the name of an output file, or that of a file which the command reads, before any work."""
    check_not_input(out, inputs)
    if out is not None:
        check_output(out)


def need_file(out: Path | None, what: str) -> Path:
    """Return the file to write, or refuse where none is named: what is computed in blocks is too long to be printed."""
    if out is None:
        raise InputError([f"--out: is missing, and {what} of a history that is read in blocks go to a file; name one"])
    return out


def fail_if(failed: Mapping[str, str]) -> None:
    """End with exit code 1 where forecasters failed; the results of the others are written and printed."""
    for name, error in failed.items():
        typer.echo(f"error: {name} failed: {error}", err=True)
    if failed:
        raise typer.Exit(FAILED)


def command_line() -> str:
    """Return how the command was called, for the record."""
    return shlex.join(["fractile", *sys.argv[1:]])
