"""`fractile lineage`: the league table of forecasters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from . import options as opt
from .target import command_line, fail_if, run_target
from .terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from ..league.table import League


def lineage(
    config: opt.ConfigFile = None,
    history: opt.History = None,
    items: opt.Items = None,
    forecasters: opt.Forecasters = None,
    forecasts: opt.Forecasts = None,
    horizon: opt.Horizon = None,
    origins: opt.Origins = None,
    spacing: opt.Spacing = None,
    lead_time: opt.LeadTime = None,
    holding_cost: opt.HoldingCost = None,
    stockout_cost: opt.StockoutCost = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    resume: opt.Resume = False,
    quick: opt.Quick = False,
    name: opt.Name = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    seed: opt.Seed = None,
    engine: opt.Engine = None,
    workers: opt.Workers = None,
    address: opt.Address = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare forecasters on the last weeks: a league table in the order of history, with intervals, and a page."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, None),
            "lineage.forecasters": opt.parse_names(forecasters),
            "forecast.files": opt.parse_forecasts(forecasts),
            "lineage.horizon": opt.parse_number(horizon),
            "lineage.origins": opt.parse_number(origins),
            "lineage.spacing": opt.parse_number(spacing),
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            "name": opt.run_name(name, out, config),
            **opt.reading_overrides(freq, missing, column, known),
            "seed": opt.parse_number(seed),
            **opt.scale_overrides(engine, workers, address),
        }
        made = opt.make_config(config, overrides, quick=quick)
        if resume and out is None:
            raise InputError(["--resume: needs the folder to go on in; give --out, too"])
        inputs = [config, *made.inputs]
        target = out if resume and out else run_target(out, f"{made.name}-lineage", overwrite=overwrite, inputs=inputs)
        from ..league.run import lineage_run

        with terminal.progress() as progress:
            flags = {"resume": True} if resume else {"overwrite": overwrite}
            found = lineage_run(made, target, command=command_line(), progress=progress, **flags)
        show_league(terminal, target, found)


def show_league(terminal: Terminal, folder: Path, found: League) -> None:
    """Print a league."""
    from ..league.run import command_document, command_text

    terminal.emit(command_document(folder, found), command_text(folder, found))
    fail_if(found.failed)
