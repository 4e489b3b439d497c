"""The `fractile` command. Heavy modules are imported inside the commands, so that help is instant."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import InputError
from .studies.commands import options as opt
from .studies.commands.impact import impact
from .studies.commands.kept import order_basis, training_document
from .studies.commands.options import make_config, parse_columns, parse_levels, parse_names, parse_number
from .studies.commands.target import command_line, fail_if, run_target
from .studies.commands.terminal import open_terminal, records
from .studies.commands.training import history_overrides, is_environment, train_on
from .studies.folder import (
    FRAME_ENDINGS,
    check_output,
    read_manifest,
    replace_file,
    write_frame,
)

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


@app.command()
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
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare buying policies on held-out weeks: what each saves, with an interval, and a report."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        overrides = {
            "data.history": history,
            "data.items": items,
            "data.state": state,
            "name": name,
            "forecast.forecaster": forecaster,
            "forecast.files": opt.parse_forecasts(forecasts),
            "policies.names": policy if baseline is not None else opt.add_baseline(policy, config),
            "policies.baseline": baseline,
            "lineage.forecasters": parse_names(lineage),
            "sweep.enabled": sweep or None,
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
        made = make_config(config, overrides, quick=quick, flags={"lineage.forecasters": "--lineage"})
        target = run_target(out, made.name, overwrite=overwrite)
        from .studies.study import run_study

        with terminal.progress() as progress:
            result = run_study(made, target, command=command_line(), progress=progress, overwrite=overwrite)
        terminal.emit(result.to_document(), result.to_text())
        fail_if(result.failed)


@app.command()
def train(
    environment_or_config: opt.EnvironmentOrConfig = None,
    history: opt.History = None,
    items: opt.Items = None,
    state: opt.State = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    quick: opt.Quick = False,
    name: opt.Name = None,
    forecaster: opt.Forecaster = None,
    forecasts: opt.Forecasts = None,
    policy: opt.Policy = "newsvendor",
    steps: opt.Steps = None,
    track: opt.Track = False,
    resume: opt.ResumeTraining = False,
    lead_time: opt.LeadTime = None,
    holding_cost: opt.HoldingCost = None,
    stockout_cost: opt.StockoutCost = None,
    periods: opt.Periods = None,
    validation: opt.Validation = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Train a policy on a history, and keep it with its forecaster for `fractile order`; or on an environment id."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        named = None if policy == opt.AUTO else policy
        overrides = {
            "data.history": history,
            "data.items": items,
            "data.state": state,
            "name": name,
            "forecast.forecaster": None if forecaster == opt.AUTO else forecaster,
            "forecast.files": opt.parse_forecasts(forecasts),
            "policies.names": named and [named],
            "policies.baseline": named,
            "defaults.lead_time": parse_number(lead_time),
            "defaults.holding_cost": parse_number(holding_cost),
            "defaults.stockout_cost": parse_number(stockout_cost),
            "backtest.periods": parse_number(periods),
            "backtest.validation": parse_number(validation),
            "data.freq": freq,
            "data.missing": missing,
            "data.columns": parse_columns(column),
            "data.known": known,
            "seed": parse_number(seed),
        }
        long: dict[str, Any] = {"policy": policy, "steps": parse_number(steps), "track": track, "resume": resume}
        if is_environment(environment_or_config):
            rest: dict[str, Any] = {"quick": quick, "out": out, "overwrite": overwrite, "command": command_line()}
            return train_on(terminal, str(environment_or_config), overrides, **long, **rest)
        overrides |= history_overrides(**long)
        config = None if environment_or_config is None else Path(environment_or_config)
        made = make_config(config, overrides, quick=quick, flags={"policies.baseline": "--policy"})
        target = run_target(out, f"{made.name}-{policy}", overwrite=overwrite)
        from .studies.kept_runs import train_run

        with terminal.progress() as progress:
            command = command_line()
            rest = {"command": command, "progress": progress, "overwrite": overwrite}
            folder = train_run(made, target, policy=policy, any_forecaster=forecaster == opt.AUTO, **rest)
        terminal.emit(*training_document(folder, policy))
    return None


@app.command()
def order(
    run: opt.Run,
    history: opt.NeededHistory,
    state: opt.State = None,
    items: opt.Items = None,
    out: opt.Table = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Give the next period's order of every item, from a kept run."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        _check_table(out)
        basis = order_basis(read_manifest(run))
        from .studies.kept_runs import next_orders

        with terminal.progress() as progress:
            progress("ordering")
            orders = next_orders(run, history, state, items)
        terminal.emit_table(out, "orders", orders, note=basis)


@app.command()
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
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Forecast quantiles of demand beyond the history's end."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        _check_table(out)
        wanted = parse_levels(levels)
        overrides = {
            "data.history": history,
            "data.items": items,
            "forecast.forecaster": forecaster,
            "forecast.horizon": parse_number(horizon),
            "data.freq": freq,
            "data.missing": missing,
            "data.columns": parse_columns(column),
            "data.known": known,
            "seed": parse_number(seed),
        }
        made = make_config(config, overrides, quick=quick)
        if made.forecast.horizon is None:
            raise InputError(["--horizon: is missing; say how many periods to forecast, e.g. --horizon 8"])
        from .studies.kept_runs import forecast_file

        with terminal.progress() as progress:
            progress("forecasting")
            table = forecast_file(made, made.forecast.horizon, wanted)
        terminal.emit_table(out, "forecast", table)


@app.command()
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
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare forecasters on the last weeks: a league table in the order of history, with intervals, and a page."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        overrides = {
            "data.history": history,
            "data.items": items,
            "lineage.forecasters": parse_names(forecasters),
            "forecast.files": opt.parse_forecasts(forecasts),
            "lineage.horizon": parse_number(horizon),
            "lineage.origins": parse_number(origins),
            "lineage.spacing": parse_number(spacing),
            "defaults.lead_time": parse_number(lead_time),
            "defaults.holding_cost": parse_number(holding_cost),
            "defaults.stockout_cost": parse_number(stockout_cost),
            "name": name,
            "data.freq": freq,
            "data.missing": missing,
            "data.columns": parse_columns(column),
            "data.known": known,
            "seed": parse_number(seed),
        }
        made = make_config(config, overrides, quick=quick)
        if resume and out is None:
            raise InputError(["--resume: needs the folder to go on in; give --out, too"])
        target = out if resume and out else run_target(out, f"{made.name}-lineage", overwrite=overwrite)
        from .studies.league.run import command_document, lineage_run

        with terminal.progress() as progress:
            flags = {"resume": True} if resume else {"overwrite": overwrite}
            found = lineage_run(made, target, command=command_line(), progress=progress, **flags)
        terminal.emit(command_document(target, found), f"{found.to_text()}\n\nPage: {target / 'lineage.html'}")
        fail_if(found.failed)


app.command()(impact)


@app.command()
def validate(
    history: opt.NeededHistory,
    items: opt.Items = None,
    state: opt.State = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Check the input files: every fault of all of them, none fixed in silence."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        overrides = {
            "data.history": history,
            "data.items": items,
            "data.state": state,
            "data.freq": freq,
            "data.missing": missing,
            "data.columns": parse_columns(column),
            "data.known": known,
        }
        made = make_config(None, overrides)
        from .studies.commands.catalogue import files_text, validate_files

        with terminal.progress() as progress:
            progress("reading")
            found = validate_files(made.data)
        terminal.emit(found, files_text(found))


@app.command()
def report(run: opt.RunToReport, as_json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Write the report of a run folder anew."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        read_manifest(run)
        from .studies.report.page import build_report

        with terminal.progress() as progress:
            progress("drawing")
            path = build_report(run)
        terminal.emit({"report": path}, f"Report: {path}")


@app.command()
def literature(
    only: opt.Only = "*",
    out: opt.Page = None,
    quick: opt.Quick = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Solve and simulate the instances of the literature, and compare with what is known of them."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        if out is not None:
            check_output(out, (".md", *FRAME_ENDINGS))
        from .studies.literature import PATHS, literature_page, literature_table

        with terminal.progress() as progress:
            table = literature_table(only, paths=PATHS // 20 if quick else PATHS, progress=progress)
        if out is None:
            return terminal.emit({"literature": records(table)}, literature_page(table))
        if out.suffix in FRAME_ENDINGS:
            write_frame(out, table)
        else:
            page = literature_page(table)
            replace_file(out, lambda partial: partial.write_text(page, encoding="utf-8", newline="\n"))
        apart = int((~table["agrees"]).sum())
        terminal.emit({"out": out, "rows": len(table), "apart": apart}, f"{out}: {len(table)} rows, {apart} apart")
    return None


@app.command()
def bench(quick: opt.Quick = False, as_json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Measure what this machine simulates in a CPU-second, beside a memory copy of the same run."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from .studies.bench import PATHS, QUICK_PATHS, as_document, as_table, benchmark

        with terminal.progress() as progress:
            rates = benchmark(QUICK_PATHS if quick else PATHS, repeats=3 if quick else 7, progress=progress)
        document = as_document(rates)
        terminal.emit(document, as_table(document))


@app.command("list")
def list_(as_json: opt.Json = False, debug: opt.Debug = False) -> None:
    """List the forecasters, policies and environments that there are."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from .studies.commands.catalogue import list_names, names_text

        with terminal.progress():
            names = list_names()
        terminal.emit(names, names_text(names))


def main() -> None:
    """Run the command line."""
    if os.getcwd() not in sys.path:
        sys.path.append(
            os.getcwd()
        )  # policies and forecasters of one's own, my_module:Mine; last, so that none hides ours
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that temporary folders go
    app(prog_name="fractile")


def _check_table(out: Path | None) -> None:
    """Refuse the name of an output file before any work."""
    if out is not None:
        check_output(out)
