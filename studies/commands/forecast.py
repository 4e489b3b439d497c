"""`fractile forecast`: quantiles of demand beyond the end of a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ..locks import lock_output
from . import options as opt
from .target import check_table, need_file
from .terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from ..config import StudyConfig


def forecast(
    config: opt.ConfigFile = None,
    history: opt.History = None,
    items: opt.Items = None,
    forecaster: opt.Forecaster = None,
    horizon: opt.Horizon = None,
    levels: opt.Levels = None,
    out: opt.Table = None,
    quick: opt.Quick = False,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    seed: opt.Seed = None,
    engine: opt.Engine = None,
    workers: opt.Workers = None,
    address: opt.Address = None,
    blocks: opt.Blocks = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Forecast quantiles of demand beyond the history's end."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal, lock_output(out):
        check_table(out, [config, history, items])
        wanted = opt.parse_levels(levels)
        overrides = {
            **opt.file_overrides(history, items, None),
            "forecast.forecaster": forecaster,
            "forecast.horizon": opt.parse_number(horizon),
            **opt.reading_overrides(freq, missing, column, known),
            "seed": opt.parse_number(seed),
            **opt.scale_overrides(engine, workers, address, blocks),
        }
        made = opt.make_config(config, overrides, quick=quick)
        check_table(out, [config, *made.inputs])
        if made.forecast.horizon is None:
            raise InputError(["--horizon: is missing; say how many periods to forecast, e.g. --horizon 8"])
        from ..blocks.written import in_blocks

        if in_blocks(made.scale, made.data):
            _in_blocks(made, made.forecast.horizon, wanted, out, terminal)
            return
        from ..kept_runs import forecast_file

        with terminal.progress() as progress:
            progress("forecasting")
            table = forecast_file(made, made.forecast.horizon, wanted)
        terminal.emit_table(out, "forecast", table)


def _in_blocks(
    config: StudyConfig, horizon: int, levels: list[float] | None, out: Path | None, terminal: Terminal
) -> None:
    """Forecast in blocks of items, into a file."""
    from ..blocks.forecasts import forecast_in_blocks

    needed = need_file(out, "forecasts")
    with terminal.progress() as progress:
        found = forecast_in_blocks(config, horizon, levels, needed, progress=progress)
    terminal.note(*found.notes)
    document = {"out": needed, "rows": found.rows, "notes": found.notes}
    terminal.emit(document, f"Forecast: {needed} ({found.rows} rows)")
