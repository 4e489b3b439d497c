"""`fractile init`: a config and tables for the user's own items, to be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as opt
from .terminal import open_terminal

Folder = Annotated[
    Path,
    typer.Option("--out", help="Folder to write to; here where not given.", metavar="FOLDER", show_default=False),
]


def init(
    history: opt.CheckedHistory = None,
    items: opt.Items = None,
    out: Folder = Path(),
    lead_time: opt.LeadTime = None,
    holding_cost: opt.HoldingCost = None,
    stockout_cost: opt.StockoutCost = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Write a commented config, and tables of your items and of stock to fill in; nothing is overwritten."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, None),
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            **opt.reading_overrides(freq, missing, column, known),
        }
        made = opt.make_config(None, overrides)
        from ..places import check_place
        from ..starter import CONFIG, plan_starter, write_starter

        if out.is_dir() or not out.exists():  # a file there has a fault of its own
            check_place(out / CONFIG)
        with terminal.progress() as progress:
            progress("reading")
            starter = plan_starter(made, out)
            write_starter(starter)
        terminal.emit(starter.to_document(), starter.to_text())
