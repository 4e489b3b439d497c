"""The `fractile` command.

Each command is a function in its own module, `studies.commands.NAME`; heavy modules are imported inside the function,
so that help is instant.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from .studies.commands.bench import bench
from .studies.commands.forecast import forecast
from .studies.commands.impact import impact
from .studies.commands.importing import import_
from .studies.commands.init import init
from .studies.commands.lineage import lineage
from .studies.commands.list import list_
from .studies.commands.literature import literature
from .studies.commands.order import order
from .studies.commands.report import report
from .studies.commands.resume import resume
from .studies.commands.study import study
from .studies.commands.train import train
from .studies.commands.validate import validate

app = typer.Typer(
    name="fractile",
    help="Turn demand forecasts into buying decisions, and prove what those decisions save.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(given: bool) -> None:
    if given:
        from importlib.metadata import version

        typer.echo(f"fractile {version('fractile')}")
        raise typer.Exit


@app.callback()
def _fractile(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn demand forecasts into buying decisions, and prove what those decisions save."""


app.command()(study)
app.command()(train)
app.command()(order)
app.command()(forecast)
app.command()(lineage)
app.command()(impact)
app.command("import")(import_)
app.command()(init)
app.command()(resume)
app.command()(validate)
app.command()(report)
app.command()(literature)
app.command()(bench)
app.command("list")(list_)


def main() -> None:
    """Run the command line."""
    if os.getcwd() not in sys.path:
        sys.path.append(
            os.getcwd()
        )  # policies and forecasters of one's own, my_module:Mine; last, so that none hides ours
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that temporary folders go
    app(prog_name="fractile")
