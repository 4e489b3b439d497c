"""The `fractile` command. Heavy modules are imported inside the commands, so that help is instant."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import InputError
from .studies.commands import options as opt
from .studies.commands.options import Given, number
from .studies.commands.terminal import FAILED, command, emit, records, working
from .studies.folder import (
    FRAME_ENDINGS,
    check_output,
    check_target,
    free_target,
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


def _print_version(asked: bool) -> None:
    if asked:
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


@command(
    app,
    opt.CONFIG,
    opt.HISTORY,
    opt.ITEMS,
    opt.STATE,
    opt.OUT,
    opt.OVERWRITE,
    opt.QUICK,
    opt.NAME,
    opt.FORECASTER,
    opt.POLICIES,
    opt.BASELINE,
    opt.LINEAGE,
    *opt.COSTS,
    *opt.WINDOWS,
    *opt.READING,
    opt.SEED,
)
def study(given: Given) -> None:
    """Compare buying policies on held-out weeks: what each saves, with an interval, and a report."""
    config = given.config()
    out = _run_target(given, config.name)
    from .studies.run import run_study

    with working(given) as progress:
        result = run_study(config, out, command=_command_line(), progress=progress, **_overwrite(given))
    report = Path(result.folder) / "report.html"
    document = {
        "folder": result.folder,
        "report": report,
        "baseline": config.policies.baseline,
        "table": records(result.comparison.table),
    }
    emit(given, document, f"{result.comparison.to_text()}\n\nReport: {report}")
    _fail_if(result.failed)


@command(
    app,
    opt.CONFIG,
    opt.HISTORY,
    opt.ITEMS,
    opt.STATE,
    opt.OUT,
    opt.OVERWRITE,
    opt.QUICK,
    opt.NAME,
    opt.FORECASTER,
    opt.POLICY,
    *opt.COSTS,
    *opt.WINDOWS,
    *opt.READING,
    opt.SEED,
)
def train(given: Given) -> None:
    """Fit a forecaster, tune or train a policy on it, and keep both for `fractile order`."""
    policy = given["policy"]
    config = given.config()
    out = _run_target(given, f"{config.name}-{policy}")
    from .studies.run import train_run

    with working(given) as progress:
        folder = train_run(config, out, policy=policy, command=_command_line(), progress=progress, **_overwrite(given))
    emit(given, {"folder": folder, "policy": policy}, f"Run: {folder}")


@command(app, opt.RUN, opt.NEEDED_HISTORY, opt.STATE, opt.ITEMS, opt.TABLE)
def order(given: Given) -> None:
    """Give the next period's order of every item, from a kept run."""
    out = _table_target(given)
    read_manifest(given["run"])
    from .studies.orders import next_orders

    with working(given) as progress:
        progress("ordering")
        orders = next_orders(given["run"], given["history"], given["state"], given["items"])
    _emit_table(given, out, "orders", orders)


@command(
    app,
    opt.CONFIG,
    opt.HISTORY,
    opt.ITEMS,
    opt.FORECASTER,
    opt.HORIZON,
    opt.LEVELS,
    opt.TABLE,
    opt.QUICK,
    *opt.READING,
    opt.SEED,
)
def forecast(given: Given) -> None:
    """Forecast quantiles of demand behind the history's end."""
    out, levels = _table_target(given), _levels(given["levels"])
    config = given.config()
    if config.forecast.horizon is None:
        raise InputError(["--horizon: is missing; say how many periods to forecast, e.g. --horizon 8"])
    from .studies.run import forecast_file

    with working(given) as progress:
        progress("forecasting")
        table = forecast_file(config, config.forecast.horizon, levels)
    _emit_table(given, out, "forecast", table)


@command(
    app,
    opt.CONFIG,
    opt.HISTORY,
    opt.ITEMS,
    opt.CONTESTANTS,
    *opt.QUESTIONS,
    opt.OUT,
    opt.OVERWRITE,
    opt.RESUME,
    opt.QUICK,
    opt.NAME,
    *opt.READING,
    opt.SEED,
)
def lineage(given: Given) -> None:
    """Compare forecasters on the last weeks: a league table in the order of history, with intervals, and a page."""
    config = given.config()
    if given["resume"] and given["out"] is None:
        raise InputError(["--resume: needs the folder to go on in; give --out, too"])
    out = Path(given["out"]) if given["resume"] else _run_target(given, f"{config.name}-lineage")
    from .studies.league.run import command_document, lineage_run

    with working(given) as progress:
        flags = {"resume": True} if given["resume"] else _overwrite(given)
        found = lineage_run(config, out, command=_command_line(), progress=progress, **flags)
    emit(given, command_document(out, found), f"{found.to_text()}\n\nPage: {out / 'lineage.html'}")
    _fail_if(found.failed)


@command(app, opt.NEEDED_HISTORY, opt.ITEMS, opt.STATE, *opt.READING)
def validate(given: Given) -> None:
    """Check the input files: every fault of all of them, none fixed in silence."""
    config = given.config()
    from .studies.commands.validation import described, found_in

    with working(given) as progress:
        progress("reading")
        found = found_in(config.data)
    emit(given, found, described(found))


@command(app, opt.REPORTED_RUN)
def report(given: Given) -> None:
    """Write the report of a run folder anew."""
    folder = given["run"]
    read_manifest(folder)
    from .studies.report.build import build_report

    with working(given) as progress:
        progress("drawing")
        path = build_report(folder)
    emit(given, {"report": path}, f"Report: {path}")


@command(app, opt.ONLY, opt.PAGE, opt.QUICK)
def literature(given: Given) -> None:
    """Solve and simulate the instances of the literature, and compare with what is known of them."""
    out = None if given["out"] is None else check_output(given["out"], (".md", *FRAME_ENDINGS))
    from .studies.literature import PATHS, literature_page, literature_table

    with working(given) as progress:
        paths = PATHS // 20 if given["quick"] else PATHS
        table = literature_table(given["only"], paths=paths, progress=progress)
    if out is None:
        return emit(given, {"literature": records(table)}, literature_page(table))
    if out.suffix in FRAME_ENDINGS:
        write_frame(out, table)
    else:
        replace_file(out, lambda partial: partial.write_text(literature_page(table), encoding="utf-8", newline="\n"))
    apart = int((~table["agrees"]).sum())
    return emit(given, {"out": out, "rows": len(table), "apart": apart}, f"{out}: {len(table)} rows, {apart} apart")


@command(app, opt.QUICK)
def bench(given: Given) -> None:
    """Measure what this machine simulates in a CPU-second, beside a memory copy of the same run."""
    from .studies.bench import PATHS, QUICK_PATHS, as_document, as_table, benchmark

    with working(given) as progress:
        quick = bool(given["quick"])
        rates = benchmark(QUICK_PATHS if quick else PATHS, repeats=3 if quick else 7, progress=progress)
    document = as_document(rates)
    emit(given, document, as_table(document))


@command(app)
def list_(given: Given) -> None:
    """List the forecasters, policies and environments that there are."""
    from .studies.commands.catalogue import as_text, catalogue

    with working(given):
        found = catalogue()
    emit(given, found, as_text(found))


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that temporary folders go
    app(prog_name="fractile")


def _run_target(given: Given, name: str) -> Path:
    out = given["out"]
    target = free_target(Path("runs") / name) if out is None else Path(out)
    check_target(target.absolute(), overwrite=given["overwrite"])
    return target


def _overwrite(given: Given) -> dict[str, Any]:
    return {"overwrite": True} if given["overwrite"] else {}


def _table_target(given: Given) -> Path | None:
    return None if given["out"] is None else check_output(given["out"])


def _emit_table(given: Given, out: Path | None, title: str, table: Any) -> None:
    if out is None:
        emit(given, {title: records(table)}, table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    write_frame(out, table)
    emit(given, {"out": out, "rows": len(table)}, f"{title.capitalize()}: {out} ({len(table)} rows)")


def _fail_if(failed: Mapping[str, str]) -> None:
    """End with exit code 1 where forecasters failed; what the others did is written and shown."""
    for name, error in failed.items():
        typer.echo(f"error: {name} failed: {error}", err=True)
    if failed:
        raise typer.Exit(FAILED)


def _levels(text: str | None) -> list[float] | None:
    if text is None:
        return None
    levels = [number(part.strip()) for part in text.split(",")]
    wrong = [level for level in levels if isinstance(level, str) or not 0 < level < 1]
    if wrong:
        raise InputError(f"--levels: must lie between 0 and 1, e.g. 0.1,0.5,0.9, got {level!r}" for level in wrong)
    return sorted({float(level) for level in levels})


def _command_line() -> str:
    return shlex.join(["fractile", *sys.argv[1:]])
