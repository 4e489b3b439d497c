"""The section *Forecast lineage* of a report, and the page of a league that stands alone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from ..folder import read_manifest, replace_file
from ..report.figures import FAN
from ..report.words import joined, label, number, percent
from . import plots, words as said
from .names import ERAS, era_of
from .read import LineageRun, read_lineage
from .task import LOSS_LEVELS

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

    run, made = read_lineage(folder), read_manifest(folder)
    css = (files("fractile.studies.report") / "report.css").read_text(encoding="utf-8")
    section = Markup(lineage_section(run))
    page = _template("page.html.j2").render(css=Markup(css), section=section, manifest=made, run=run)
    return replace_file(folder / PAGE, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))


def lineage_section(run: LineageRun) -> str:
    """Return the section as HTML."""
    return _template("league.html.j2").render(
        run=run,
        rows=said.league_rows(run),
        failures=run.table[run.table["error"].notna()].to_dict("records"),
        sentences=said.findings(run),
        bases=said.bases_of(run),
        against=said.against_rows(run),
        steps=said.step_rows(run),
        volatility_note=VOLATILITY,
        calibration_note=CALIBRATION,
        figures=_figures(run),
        calibrations=_calibrations(run),
        fans=_fans(run),
        eras=plots.key_of_eras([str(name) for name in run.sound["forecaster"]]),
    )


def _template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"label": label, "percent": percent, "number": number, "joined": joined}
    return environment.from_string((files(__package__ or "") / name).read_text(encoding="utf-8"))


def _figures(run: LineageRun) -> dict[str, Any]:
    from markupsafe import Markup

    if not len(run.ranked):
        return {}
    level, scores = float(run.asked["level"]), run.scores
    ahead = scores[(scores["horizon"] > 0) & scores["level"].isin(LOSS_LEVELS)]
    horizon = ahead.groupby(["forecaster", "horizon"], sort=False)["wql"].mean().reset_index()
    drawn = {
        "losses": plots.losses(run.sound, level),
        "volatility": plots.volatility(run.sound, level),
        "cost": plots.cost(run.sound),
        "horizon": plots.by_horizon(horizon, run.periods()) if run.asked["horizon"] > 1 else "",
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def _calibrations(run: LineageRun) -> list[dict[str, Any]]:
    from markupsafe import Markup

    rows, names = run.calibration, [str(name) for name in run.sound["forecaster"]]
    return [
        {
            "name": label(name),
            "svg": Markup(plots.calibration(rows[rows["forecaster"] == name], name, f"calibration{i}")),
        }
        for i, name in enumerate(names)
    ]


def shown_forecasters(run: LineageRun) -> list[str]:
    """Return the best forecaster of each era, in the order of the eras: those whose fans are drawn."""
    best = {era_of(str(name)): str(name) for name in run.ranked["forecaster"][::-1]}
    eras = [best[era] for era in (*ERAS, "") if era in best]
    return eras[:SIDE_BY_SIDE]


def _fans(run: LineageRun) -> list[dict[str, Any]]:
    """A row of pictures for each telling item."""
    from markupsafe import Markup

    rows, names = [], shown_forecasters(run)
    for i, item in enumerate(run.telling):
        past = run.history[run.history["item_id"] == item["item_id"]]
        own = run.fans[(run.fans["item_id"] == item["item_id"]) & run.fans["forecaster"].isin(names)]
        if not len(own):
            continue
        drawn = own[own["level"] <= FAN[0][1]]["value"].to_numpy(dtype=float)
        demand, later = past["demand"].to_numpy(dtype=float), (past["date"] >= own["date"].min()).to_numpy()
        top = plots.top_of(drawn, demand[later], demand[~later])
        frames = {name: own[own["forecaster"] == name] for name in names}
        svgs = [
            {"name": label(name), "svg": Markup(plots.fan(frame, past, top, name, f"fan{i}x{k}"))}
            for k, (name, frame) in enumerate(frames.items())
        ]
        rows.append({"item": item["item_id"], "rule": item["rule"], "pictures": svgs})
    return rows
