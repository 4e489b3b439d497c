"""`fractile validate`: input files checked."""

from __future__ import annotations

from . import options as opt
from .terminal import open_terminal


def validate(
    config: opt.ConfigFile = None,
    history: opt.CheckedHistory = None,
    items: opt.Items = None,
    state: opt.State = None,
    run: opt.ComparedRun = None,
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
    """Check the input files: every fault of all of them, none fixed in silence, and what looks wrong."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, state),
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            **opt.reading_overrides(freq, missing, column, known),
        }
        made = opt.make_config(config, overrides)
        from .input_files import files_text, validate_files

        with terminal.progress() as progress:
            progress("reading")
            found = validate_files(made, run)
        terminal.emit(found, files_text(found))
