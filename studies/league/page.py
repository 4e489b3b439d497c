"""The page of a league, and its section in a study's report: sentences, tables and figures."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from ...forecasters.plot import FAN
from ..folder import read_manifest, replace_file
from ..report.text import MINUS, capitalise, column, interval, join_words, label, number, percent
from . import plots
from .table import LeagueFiles, read_league
from .task import ERAS, LOSS_LEVELS, TRUTH, era_of

SHARES = ("coverage_10", "coverage_50", "coverage_90", "inside_80")


def findings(run: LeagueFiles) -> list[str]:
    """Summarise a league: the forecaster of the least loss, and how sure that is against each baseline."""
    if not len(run.ranked):
        return ["No forecaster could be scored: all of them failed."]
    best: Any = run.ranked.iloc[0]
    name = str(best["forecaster"])
    sentences = [f"{capitalise(label(name))} loses least: mean weighted quantile loss {number(best['wql'], 4)}."]
    rows = run.differences
    against = rows[(rows["later"] == name) & (rows["why"] == "baseline")]
    for row in _rows(against):
        base, less, more = label(row.earlier), row.reduction, -row.reduction
        within = interval(row.reduction_low, row.reduction_high)
        if row.reduction_low > 0:
            sentence = f"It loses {percent(less)} {within} less than {base}."
        elif row.reduction_high < 0:  # of what it loses more, so the ends change places
            sentence = f"It loses {percent(more)} {interval(-row.reduction_high, -row.reduction_low)} more than {base}."
        else:
            sentence = f"Against {base} nothing is shown: {percent(less)} less, but {within} covers zero."
        sentences.append(sentence)
    sums = run.ranked.dropna(subset=["protection_loss"])
    if len(sums):
        least: Any = sums.sort_values("protection_loss", kind="stable").iloc[0]
        also = "also " if least["forecaster"] == name else ""
        sentences.append(
            f"On demand summed over the protection interval, which is what is bought on, "
            f"{label(str(least['forecaster']))} {also}loses least: {number(least['protection_loss'], 4)}."
        )
    truth = run.sound[run.sound["forecaster"] == TRUTH]
    if len(truth):
        over = float(best["wql"]) / float(truth["wql"].iloc[0]) - 1.0
        sentences.append(f"Its loss is {percent(over)} above that of the quantiles that demand was drawn from.")
    return sentences


def league_rows(run: LeagueFiles) -> list[dict[str, Any]]:
    """Return the league table's cells as text, in the order of history."""
    table = run.sound
    texts: dict[str, list[str]] = {"wql": [f"{value:.4f}" for value in table["wql"]]}
    texts["protection"] = ["–" if pd.isna(value) else f"{value:.4f}" for value in table["protection_loss"]]
    texts |= {name: column(table[name], 3) for name in ("p50", "p90")}
    texts |= {name: [f"{100 * share:.0f}" for share in table[name]] for name in SHARES}
    texts |= {
        "bias": column(100 * table["bias"], 3),
        "volatility": [f"{value:.4f}".replace("-", MINUS) for value in table["volatility"]],
    }
    for name in ("fit_seconds", "forecast_seconds"):  # decimals below a second, three digits above
        texts[name] = [
            number(value, 3) if value is not None and float(value) >= 1 else column([value], 1)[0]
            for value in table[name]
        ]
    best = run.ranked["forecaster"].iloc[0] if len(run.ranked) else None
    rows = []
    for i, row in enumerate(_rows(table)):
        role = "bound" if row.forecaster == TRUTH else "baseline" if row.forecaster == best else "policy"
        within = f"[{row.wql_low:.3f}, {row.wql_high:.3f}]"
        cells = {name: values[i] for name, values in texts.items()}
        rows.append({"forecaster": label(row.forecaster), "era": row.era, "role": role, "interval": within, **cells})
    return rows


def league_baselines(run: LeagueFiles) -> list[str]:
    """Return the baselines that are there."""
    against = run.differences[run.differences["why"] == "baseline"]
    return [str(name) for name in dict.fromkeys(against["earlier"])]


def against_rows(run: LeagueFiles) -> list[dict[str, Any]]:
    """Return the reduction of each forecaster's losses against each baseline, as text: of periods, and of sums."""
    rows, bases = run.differences[run.differences["why"] == "baseline"], league_baselines(run)
    cells = {}
    for row in _rows(rows):
        sums = row.protection_reduction, row.protection_reduction_low, row.protection_reduction_high
        periods = gain(row.reduction, row.reduction_low, row.reduction_high)
        cells[row.earlier, row.later] = periods, "–" if pd.isna(sums[0]) else gain(*sums)
    names = [str(name) for name in run.sound["forecaster"] if name != TRUTH]
    return [
        {"forecaster": label(name), "cells": [cell for base in bases for cell in cells.get((base, name), ("–", "–"))]}
        for name in names
        if any((base, name) in cells for base in bases)
    ]


def step_rows(run: LeagueFiles) -> list[dict[str, str]]:
    """Return each step of history as text: the pair, the expected gain, and whether it holds."""
    verdicts = {"holds": "holds", "open": "not shown", "fails": "does not hold"}
    rows = []
    for row in _rows(run.order):
        shown = gain(row.gain, row.gain_low, row.gain_high)
        if row.what != "loss":  # volatility is no share
            shown = f"{number(row.gain, 3)} [{number(row.gain_low, 3)}, {number(row.gain_high, 3)}]"
        pair = f"{label(row.later)} after {label(row.earlier)}"
        rows.append({"pair": pair, "what": row.what, "gain": shown, "verdict": verdicts[row.verdict]})
    return rows


def gain(value: float, low: float, high: float) -> str:
    """Return a share with its interval as text."""
    return f"{percent(value)} {interval(low, high)}"


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


PAGE = "lineage.html"
SIDE_BY_SIDE = 4
"""Forecasters whose fans are drawn beside each other."""
VOLATILITY = (
    "By how much the belief that demand stays below a quantile moves from origin to origin beyond what news can "
    "justify. At zero nothing is revised in vain; a first belief that is wrong counts, too."
)
CALIBRATION = (
    "Filled dots: where demand is counted, the jump at a whole number is split, so that a right forecast lies on the "
    "line; band: interval. Hollow dots: demand at or below the quantile as it is."
)


def build_lineage_page(folder: Path) -> Path:
    """Write `lineage.html` from the files of a league's folder, the same bytes for the same files."""
    from markupsafe import Markup

    run, made = read_league(folder), read_manifest(folder, unfinished=True)
    css = (files("fractile.studies.report") / "report.css").read_text(encoding="utf-8")
    section = Markup(lineage_section(run))
    page = _template("page.html.j2").render(css=Markup(css), section=section, manifest=made, run=run)
    return replace_file(folder / PAGE, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))


def lineage_section(run: LeagueFiles) -> str:
    """Return the section as HTML."""
    from markupsafe import Markup

    coverage = run.calibration
    calibrations = [
        {
            "name": label(name),
            "svg": Markup(plots.calibration(coverage[coverage["forecaster"] == name], name, f"calibration{i}")),
        }
        for i, name in enumerate(map(str, run.sound["forecaster"]))
    ]
    return _template("league.html.j2").render(
        run=run,
        rows=league_rows(run),
        failures=run.table[run.table["error"].notna()].to_dict("records"),
        sentences=findings(run),
        bases=league_baselines(run),
        against=against_rows(run),
        steps=step_rows(run),
        volatility_note=VOLATILITY,
        calibration_note=CALIBRATION,
        figures=_figures(run),
        calibrations=calibrations,
        fans=_fans(run),
        eras=plots.era_keys([str(name) for name in run.sound["forecaster"]]),
    )


def _template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"label": label, "percent": percent, "number": number, "joined": join_words}
    return environment.from_string((files(__package__ or "") / name).read_text(encoding="utf-8"))


def _figures(run: LeagueFiles) -> dict[str, Any]:
    from markupsafe import Markup

    if not len(run.ranked):
        return {}
    level, scores = float(run.description["level"]), run.scores
    ahead = scores[(scores["horizon"] > 0) & scores["level"].isin(LOSS_LEVELS)]
    horizon = ahead.groupby(["forecaster", "horizon"], sort=False)["wql"].mean().reset_index()
    drawn = {
        "losses": plots.losses(run.sound, level),
        "protection": plots.protection(run.sound, level) if run.sound["protection_loss"].notna().any() else "",
        "volatility": plots.volatility(run.sound, level),
        "cost": plots.cost(run.sound),
        "horizon": plots.by_horizon(horizon, run.periods()) if run.description["horizon"] > 1 else "",
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def shown_forecasters(run: LeagueFiles) -> list[str]:
    """Return the best forecaster of each era, in the order of the eras: those whose fans are drawn."""
    best = {era_of(str(name)): str(name) for name in run.ranked["forecaster"][::-1]}
    eras = [best[era] for era in (*ERAS, "") if era in best]
    return eras[:SIDE_BY_SIDE]


def _fans(run: LeagueFiles) -> list[dict[str, Any]]:
    """Draw a row of pictures for each example item."""
    from markupsafe import Markup

    rows, names = [], shown_forecasters(run)
    for i, item in enumerate(run.examples):
        past = run.history[run.history["item_id"] == item["item_id"]]
        own = run.fans[(run.fans["item_id"] == item["item_id"]) & run.fans["forecaster"].isin(names)]
        if not len(own):
            continue
        drawn = own[own["level"] <= FAN[0][1]]["value"].to_numpy(dtype=float)
        demand, later = past["demand"].to_numpy(dtype=float), (past["date"] >= own["date"].min()).to_numpy()
        top = plots.axis_top(drawn, demand[later], demand[~later])
        frames = {name: own[own["forecaster"] == name] for name in names}
        svgs = [
            {"name": label(name), "svg": Markup(plots.fan(frame, past, top, name, f"fan{i}x{k}"))}
            for k, (name, frame) in enumerate(frames.items())
        ]
        rows.append({"item": item["item_id"], "rule": item["rule"], "pictures": svgs})
    return rows
