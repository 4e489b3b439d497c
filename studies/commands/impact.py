"""`fractile impact`: what forecasts are worth."""

from __future__ import annotations

from . import options as opt
from .options import make_config, parse_columns, parse_names, parse_number
from .target import command_line, fail_if, run_target
from .terminal import open_terminal


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
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Value forecasters in money: each under each policy on held-out weeks, beside their accuracy, and a page."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        overrides = {
            "data.history": history,
            "data.items": items,
            "data.state": state,
            "name": name,
            "forecast.files": opt.parse_forecasts(forecasts),
            "impact.forecasters": parse_names(forecasters),
            "impact.policies": parse_names(policies),
            "impact.reference": reference,
            "defaults.lead_time": parse_number(lead_time),
            "defaults.holding_cost": parse_number(holding_cost),
            "defaults.stockout_cost": parse_number(stockout_cost),
            "backtest.periods": parse_number(periods),
            "backtest.folds": parse_number(folds),
            "backtest.validation": parse_number(validation),
            "report.currency": currency,
            "data.freq": freq,
            "data.missing": missing,
            "data.columns": parse_columns(column),
            "data.known": known,
            "seed": parse_number(seed),
        }
        made = make_config(config, overrides, quick=quick)
        target = run_target(out, f"{made.name}-impact", overwrite=overwrite)
        from ..impact.run import impact_run

        with terminal.progress() as progress:
            found = impact_run(made, target, command=command_line(), progress=progress, overwrite=overwrite)
        terminal.emit(found.to_document(), found.to_text())
        fail_if(found.impact.failed)
