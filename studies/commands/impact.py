"""`fractile impact`: what forecasts are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options as opt
from .target import command_line, fail_if, run_target
from .terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from ..impact.run import ImpactResult


def impact(
    config: opt.ConfigFile = None,
    history: opt.History = None,
    items: opt.Items = None,
    state: opt.State = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    quick: opt.Quick = False,
    name: opt.Name = None,
    forecasters: opt.ValuedForecasters = None,
    forecasts: opt.Forecasts = None,
    policies: opt.CrossedPolicies = None,
    reference: opt.Reference = None,
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
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Value forecasters in money: each under each policy on held-out weeks, beside their accuracy, and a page."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, state),
            "name": opt.run_name(name, out, config),
            "forecast.files": opt.parse_forecasts(forecasts),
            "impact.forecasters": opt.parse_names(forecasters),
            "impact.policies": opt.parse_names(policies),
            "impact.reference": reference,
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            **opt.backtest_overrides(periods, folds, validation),
            "report.currency": currency,
            **opt.reading_overrides(freq, missing, column, known),
            "seed": opt.parse_number(seed),
            **opt.scale_overrides(engine, workers, address),
        }
        made = opt.make_config(config, overrides, quick=quick)
        target = run_target(out, f"{made.name}-impact", overwrite=overwrite, inputs=[config, *made.inputs])
        if made.data.state is not None:
            terminal.note(
                "every policy begins with stock of its own level, so that no number here depends on the state; it is "
                "for orders: fractile order, and orders.csv of fractile study"
            )
        from ..impact.run import impact_run

        with terminal.progress() as progress:
            found = impact_run(made, target, command=command_line(), progress=progress, overwrite=overwrite)
        show_impact(terminal, found)


def show_impact(terminal: Terminal, found: ImpactResult) -> None:
    """Print what forecasters are worth."""
    terminal.emit(found.to_document(), found.to_text())
    fail_if(found.impact.failed)
