"""Output of the commands: results as text or one JSON document, errors with exit codes, progress on standard error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import FractileError, InputError, WorkError, missing_package
from ...progress import Progress, no_progress
from ..folder import json_text, write_frame
from .clear import describe_os_error, visible, visible_faults
from .stages import show_bar, write_lines

if TYPE_CHECKING:
    import pandas as pd

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes; 0 is done, 143 ended by SIGTERM."""


@dataclass(frozen=True)
class Terminal:
    """Where the output of a command goes.

    Attributes:
        as_json: print one JSON document, and no progress.
        quiet: report no progress.
    """

    as_json: bool
    quiet: bool = False

    def emit(self, document: Any, text: str) -> None:
        """Print a command's result: the document as JSON where that was chosen, else the text."""
        typer.echo(json_text(document) if self.as_json else text)

    def note(self, *texts: str) -> None:
        """Print what a reader should know of a result on standard error; with JSON it belongs into the document."""
        if not self.as_json:
            for text in filter(None, texts):
                typer.echo(f"note: {visible(text)}", err=True)

    def emit_table(self, out: Path | None, title: str, table: pd.DataFrame, *, note: str = "") -> None:
        """Write a table to a file and print where; without a file print the table itself.

        Args:
            out: the file, or None.
            title: what the rows are.
            table: to be written.
            note: what a reader should know of it: on standard error, or `note` of the document.
        """
        self.note(note)
        more = {"note": note} if note else {}
        if out is None:
            self.emit({title: records(table), **more}, table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
            return
        write_frame(out, table)
        self.emit({"out": out, "rows": len(table), **more}, f"{title.capitalize()}: {out} ({len(table)} rows)")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress on standard error while work lasts; what libraries print meanwhile goes there, too.

        On a terminal it is a bar, in a log file a line a stage; nothing with `--quiet` or `--json`.
        """
        if self.as_json or self.quiet:
            shown: AbstractContextManager[Progress] = nullcontext(no_progress)
        else:
            shown = show_bar(sys.stderr) if sys.stderr.isatty() else write_lines(sys.stderr)
        with redirect_stdout(sys.stderr), shown as progress:
            yield progress


@contextmanager
def open_terminal(*, as_json: bool, quiet: bool, debug: bool) -> Iterator[Terminal]:
    """Open the terminal of a command, and turn errors into messages and an exit code.

    Args:
        as_json: see `Terminal`; faults become a JSON document, too.
        quiet: see `Terminal`.
        debug: show the traceback of an unexpected error.
    """
    try:
        yield Terminal(as_json, quiet)
    except (typer.Exit, typer.Abort):
        raise
    except (KeyboardInterrupt, SystemExit) as stop:
        code = INTERRUPTED if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)
        said = [f"interrupted: {line}" for line in getattr(stop, "__notes__", ["nothing was written"])]
        if as_json:
            typer.echo(json_text({"error": "interrupted", "faults": said}))
        for line in said:
            typer.echo(line, err=True)
        raise typer.Exit(code) from None
    except Exception as error:
        if isinstance(error, BrokenPipeError):  # whoever reads the output has seen enough
            raise
        if debug and (not isinstance(error, FractileError) or error.__cause__ is not None):
            traceback.print_exc()
        faults, code = _describe(error)
        if as_json:
            typer.echo(json_text({"error": "; ".join(faults), "faults": faults}))
        for fault in faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(code) from None


def _describe(error: Exception) -> tuple[list[str], int]:
    """Return the faults of an error, and the exit code."""
    kept = tuple(getattr(error, "__notes__", ()))  # what is kept of a run, and how to go on
    if isinstance(error, FractileError):
        return visible_faults((*(error.faults if isinstance(error, InputError) else (str(error),)), *kept)), BAD_INPUT
    if isinstance(error, WorkError):
        return visible_faults((*error.faults, *kept)), FAILED
    path = describe_os_error(error) if isinstance(error, OSError) else None
    if path is not None:
        return visible_faults((path, *kept)), BAD_INPUT
    message = f"unexpected {' '.join(f'{type(error).__name__}: {error}'.split())} (--debug shows where)"
    if isinstance(error, MemoryError):
        message = "not enough memory; use a machine with more, or fewer items, periods or paths"
    missing = missing_package(error) if isinstance(error, ImportError) else None
    return visible_faults((missing or message, *kept)), FAILED


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a mapping for each row; a named index counts as columns."""
    named = any(name is not None for name in frame.index.names)
    rows = (frame.reset_index() if named else frame).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]
