"""How commands speak: errors and exit codes, progress on standard error, one JSON document if asked for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, Protocol

import typer

from ...errors import FractileError, InputError
from ..folder import json_text
from .options import Given, Option, signature

if TYPE_CHECKING:
    import pandas as pd

FAILED, BAD_INPUT = 1, 2
"""Exit codes; 0 is done."""


class Progress(Protocol):
    """Tells the user what is being done."""

    def __call__(self, message: str, share: float | None = None) -> None:
        """Say what is done now, and which share of it is over (0 to 1; None: not known)."""
        ...


def command(app: typer.Typer, *options: Option) -> Callable[[Callable[[Given], None]], Callable[..., None]]:
    """Register a function as a command of its name, with these options, `--json` and `--debug`."""

    def register(function: Callable[[Given], None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            _guarded(function, Given(options, values))

        described: Any = run
        described.__name__, described.__doc__ = function.__name__, function.__doc__
        described.__signature__ = signature(options)
        described.__annotations__ = {p.name: p.annotation for p in described.__signature__.parameters.values()}
        app.command(function.__name__.rstrip("_"))(described)
        return run

    return register


def _guarded(function: Callable[[Given], None], given: Given) -> None:
    try:
        function(given)
    except (typer.Exit, typer.Abort):
        raise
    except FractileError as error:
        faults = error.faults if isinstance(error, InputError) else (str(error),)
        raise _failure(faults, BAD_INPUT, given) from None
    except Exception as error:
        if given["debug"]:
            traceback.print_exc()
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise _failure((f"unexpected {message} (--debug shows where)",), FAILED, given) from None


def _failure(faults: tuple[str, ...], code: int, given: Given) -> typer.Exit:
    if given.as_json:
        typer.echo(json_text({"error": "; ".join(faults), "faults": faults}))
    for fault in faults:
        typer.echo(f"error: {fault}", err=True)
    return typer.Exit(code)


def emit(given: Given, document: Any, text: str) -> None:
    """Print a command's result: the document as JSON where that was asked for, else the text."""
    typer.echo(json_text(document) if given.as_json else text)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a mapping for each row; a named index counts as columns."""
    named = any(name is not None for name in frame.index.names)
    rows = (frame.reset_index() if named else frame).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


@contextmanager
def working(given: Given) -> Iterator[Progress]:
    """Give a progress object while work lasts; what libraries print meanwhile goes to standard error.

    The bar is shown on a terminal only, and never with `--json`.
    """
    from rich import progress as rich_progress
    from rich.console import Console

    console = Console(stderr=True)
    silent = given.as_json or not sys.stderr.isatty()
    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    bar = rich_progress.Progress(*columns, console=console, disable=silent, transient=True)
    task = bar.add_task("starting", total=None)

    def show(message: str, share: float | None = None) -> None:
        bar.update(task, description=message, total=None if share is None else 1.0, completed=share or 0.0)

    with redirect_stdout(sys.stderr), bar:
        yield show
