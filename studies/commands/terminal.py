"""Output of the commands: results as text or one JSON document, errors with exit codes, progress on standard error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import FractileError, InputError, missing_package
from ...progress import Progress
from ..folder import json_text, write_frame

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

    def emit_table(self, out: Path | None, title: str, table: pd.DataFrame, *, note: str = "") -> None:
        """Write a table to a file and print where; without a file print the table itself.

        Args:
            out: the file, or None.
            title: what the rows are.
            table: to be written.
            note: what a reader should know of it: on standard error, or `note` of the document.
        """
        if note and not self.as_json:
            typer.echo(f"note: {note}", err=True)
        more = {"note": note} if note else {}
        if out is None:
            self.emit({title: records(table), **more}, table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
            return
        write_frame(out, table)
        self.emit({"out": out, "rows": len(table), **more}, f"{title.capitalize()}: {out} ({len(table)} rows)")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Open a progress bar while work lasts; what libraries print meanwhile goes to standard error.

        The bar appears on a terminal only, and never with `--json`.
        """
        from rich import progress as rich_progress
        from rich.console import Console

        columns = (
            rich_progress.SpinnerColumn(),
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.TimeElapsedColumn(),
        )
        silent = self.as_json or self.quiet or not sys.stderr.isatty()
        bar = rich_progress.Progress(*columns, console=Console(stderr=True), disable=silent, transient=True)
        task = bar.add_task("starting", total=None)

        def show(message: str, share: float | None = None) -> None:
            bar.update(task, description=message, total=None if share is None else 1.0, completed=share or 0.0)

        with redirect_stdout(sys.stderr), bar:
            yield show


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
        if isinstance(error, FractileError):
            faults, code = error.faults if isinstance(error, InputError) else (str(error),), BAD_INPUT
        else:
            if debug:
                traceback.print_exc()
            message = " ".join(f"{type(error).__name__}: {error}".split())
            missing = missing_package(error) if isinstance(error, ImportError) else None
            faults, code = (missing or f"unexpected {message} (--debug shows where)",), FAILED
        if as_json:
            typer.echo(json_text({"error": "; ".join(faults), "faults": faults}))
        for fault in faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(code) from None


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a mapping for each row; a named index counts as columns."""
    named = any(name is not None for name in frame.index.names)
    rows = (frame.reset_index() if named else frame).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]
