"""`fractile study`: policies compared on held-out weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options as opt
from .target import command_line, fail_if, run_target
from .terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from ..study import StudyResult


def study(
    config: opt.ConfigFile = None,
    history: opt.History = None,
    items: opt.Items = None,
    state: opt.State = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    quick: opt.Quick = False,
    name: opt.Name = None,
    forecaster: opt.Forecaster = None,
    forecasts: opt.Forecasts = None,
    policy: opt.Policies = None,
    baseline: opt.Baseline = None,
    lineage: opt.LeagueInStudy = None,
    sweep: opt.Sweep = False,
    lead_time: opt.LeadTime = None,
    holding_cost: opt.HoldingCost = None,
    stockout_cost: opt.StockoutCost = None,
    periods: opt.Periods = None,
    folds: opt.Folds = None,
    validation: opt.Validation = None,
    currency: opt.Currency = None,
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
    """Compare buying policies on held-out weeks: what each saves, with an interval, and a report."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, state),
            "name": opt.run_name(name, out, config),
            "forecast.forecaster": forecaster,
            "forecast.files": opt.parse_forecasts(forecasts),
            "policies.names": opt.add_baseline(policy, config, baseline),
            "policies.baseline": baseline,
            "lineage.forecasters": opt.parse_names(lineage),
            "sweep.enabled": sweep or None,
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            **opt.backtest_overrides(periods, folds, validation),
            "report.currency": currency,
            **opt.reading_overrides(freq, missing, column, known),
            "seed": opt.parse_number(seed),
            **opt.scale_overrides(engine, workers, address, blocks),
        }
        made = opt.make_config(config, overrides, quick=quick, flags={"lineage.forecasters": "--lineage"})
        target = run_target(out, made.name, overwrite=overwrite, inputs=[config, *made.inputs])
        from ..blocks.dispatch import run_study

        with terminal.progress() as progress:
            result = run_study(made, target, command=command_line(), progress=progress, overwrite=overwrite)
        show_study(terminal, result)


def show_study(terminal: Terminal, result: StudyResult) -> None:
    """Print the outcome of a study."""
    terminal.emit(result.to_document(), result.to_text())
    fail_if(result.failed)
