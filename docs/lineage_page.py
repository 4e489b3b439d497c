"""The page of the league tables, from leagues and hand-written notes; `docs/lineage.py` calls it."""

from __future__ import annotations

import re
import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

from fractile.studies.league import League, plots
from fractile.studies.league.table import check_history_order, describe_task
from fractile.studies.league.task import NETS, TRUTH, era_of, sort_by_history
from fractile.studies.report.drawing import STYLE
from fractile.studies.report.text import interval, join_words, label, percent, period_of


def page_of(leagues: dict[str, League], titles: dict[str, str], notes: str) -> str:
    """Return the page.

    Args:
        leagues: by panel.
        titles: what each panel is.
        notes: hand-written text, a section a panel, and one called summary.
    """
    written = fragments(notes)
    parts = [INTRODUCTION, written.get("summary", ""), summary(leagues)]
    for panel, league in leagues.items():
        parts += [f"## {panel}", wrapped(f"{titles[panel][:1].upper()}{titles[panel][1:]}. {about(league)}")]
        parts += [league_table(league), failures(league), pictures_of(panel), *differences(league)]
        parts.append(written.get(panel, ""))
    return "\n\n".join(part for part in parts if part) + "\n"


def wrapped(text: str) -> str:
    """Return a paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


INTRODUCTION = """\
# The forecast lineage

<!-- Made by docs/lineage.py; the explanations come from docs/lineage_notes.md. -->

Every forecaster of the history, asked the same: fitted once, on what was on record before the first of three origins,
and asked for a horizon from each of them; the windows touch and end with the panel. No options were chosen on these
windows. `fractile lineage` makes the same table of your own history; this page was made by
`python docs/lineage.py --data FOLDER --work FOLDER`.

*wql*: mean weighted quantile loss over the levels 0.1 … 0.9 with its 95 % interval, `2 Σ ρ / Σ demand`; *P50* and *P90*
are it at one level. An item-period out of stock says that demand was at least what was sold, and is scored as such
(Powell 1986; Honoré, Khan and Powell 2002; the rule is stated in `forecasters/scores/outcomes.py`). *Sums*: the same
loss of what is bought on, demand summed over the protection interval, at the critical ratio, from successive origins.
*10, 50, 90*: per cent of demand at or below that quantile; *80 %*: between the quantiles 0.1 and
0.9. *Bias*: of the mean, per cent of demand. *Volatility*: excess volatility. *Fit* and *ask*: CPU-seconds of one core.
Intervals are paired where two forecasters are compared, by the jackknife over items and the
long-run variance of what the items share (docs/statistics.md).

Excess volatility is by how much the belief that demand stays below a quantile moves from origin to origin beyond what
news can justify; it is 0 for the truth. In the pictures of calibration, filled dots are the observed share at each
level, the jump at a whole number split, with its interval; hollow dots are demand at or below the quantile as it is."""


def fragments(text: str) -> dict[str, str]:
    """Return the hand-written sections by their headings."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return {name.strip(): body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def summary(leagues: dict[str, League]) -> str:
    """The losses of every forecaster on every panel: of periods, and of sums over the protection interval."""
    if not leagues:
        return "No panel has been run yet."
    return "\n\n".join(
        losses(leagues, column, title) for column, title in (("wql", "wql"), ("protection_loss", "sums"))
    )


def losses(leagues: dict[str, League], column: str, title: str) -> str:
    """A table of one loss: a row a forecaster, a column a panel."""
    tables = {panel: league.table.set_index("forecaster")[column] for panel, league in leagues.items()}
    whole = pd.DataFrame(tables)
    whole = whole.loc[
        [*sort_by_history(name for name in whole.index if name != TRUTH), *(n for n in whole.index if n == TRUTH)]
    ]
    best = whole.drop(index=TRUTH, errors="ignore").min()
    lines = [f"| {title} | {' | '.join(tables)} |", f"|---|{'---:|' * len(tables)}"]
    for name, row in whole.iterrows():
        cells = [bold(f"{value:.4f}", value == best[panel]) if value == value else "–" for panel, value in row.items()]
        lines.append(f"| {label(str(name))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def about(league: League) -> str:
    """What the panel is made of, and what was asked."""
    said, freq = describe_task(league.task), str(league.task.panel.freq)
    weeks, days = period_of(freq), join_words([str(origin) for origin in said["origins"]])
    scored = "true demand, whether it was in stock or not" if said["truth"] else "listed item-periods"
    bounds = f", {percent(said['bound_share'])} of them bounds" if said["bound_share"] else ""
    return (
        f"{said['items']:,} items, {said['periods']} {weeks} ({said['first_date']} to {said['last_date']}); origins "
        f"{days}, horizon {said['horizon']} {weeks}. Out of stock, so that demand is unknown: "
        f"{percent(said['unknown_share'])} of listed item-{weeks}; no sale: {percent(said['zero_share'])} of the "
        f"others. Scored on {scored}: {said['scored']:,} item-{weeks}{bounds}. Sums are "
        f"over {said['protection'].replace(', ', ', at ')}, from {said['protection_origins']} origins."
    )


def league_table(league: League) -> str:
    table = league.table[league.table["error"].isna()]
    best = table[table["forecaster"] != TRUTH]["wql"].min()
    lines = [
        "| forecaster | wql | interval | sums | P50 | P90 | 10 | 50 | 90 | 80 % | bias | volatility | fit | ask |",
        f"|---|{'---:|' * 13}",
    ]
    for row in table.itertuples(index=False):
        shares = [f"{100 * value:.0f}" for value in (row.coverage_10, row.coverage_50, row.coverage_90, row.inside_80)]
        cells = [
            *(label(row.forecaster), bold(f"{row.wql:.4f}", row.wql == best), f"{row.wql_low:.3f}–{row.wql_high:.3f}"),
            "–" if row.protection_loss != row.protection_loss else f"{row.protection_loss:.4f}",
            *(f"{row.p50:.3f}", f"{row.p90:.3f}", *shares, f"{100 * row.bias:+.1f}".replace("-", "−")),
            *(f"{row.volatility:.4f}".replace("-", "−"), seconds(row.fit_seconds), seconds(row.forecast_seconds)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(value: float) -> str:
    return "–" if value != value else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def bold(text: str, yes: bool) -> str:
    return f"**{text}**" if yes else text


def failures(league: League) -> str:
    return "\n".join(f"**{label(name)} failed:** {error}" for name, error in league.failed.items())


def pictures_of(panel: str) -> str:
    calibration, cost = (f"pictures/lineage-{panel}-{kind}.png" for kind in ("calibration", "cost"))
    return f"![Calibration on {panel}]({calibration})\n\n![Loss against training time on {panel}]({cost})"


def differences(league: League) -> list[str]:
    """The paired differences: best network against the baselines, each against the one before, the expected order."""
    rows = league.differences
    sound = league.table[league.table["error"].isna()].sort_values("wql")
    nets = [name for name in sound["forecaster"] if era_of(name) == NETS]
    parts = []
    if nets:
        against = rows[(rows["why"] == "baseline") & (rows["later"] == nets[0])]
        said = [f"{gain(row)} than {label(row.earlier)}" for row in against.itertuples(index=False)]
        parts.append(f"The best network here, {label(nets[0])}, loses {join_words(said)}." if said else "")
    truth = sound[sound["forecaster"] == TRUTH]
    if len(truth) and len(sound) > 1:
        best = sound[sound["forecaster"] != TRUTH].iloc[0]
        over = best["wql"] / truth["wql"].iloc[0] - 1
        parts.append(f"The best forecaster, {label(best['forecaster'])}, is {percent(over)} above the true quantiles.")
    return [wrapped(" ".join(part for part in parts if part)), steps(rows), wrapped(order(rows))]


def gain(row: Any) -> str:
    if row.reduction < 0:
        return f"{percent(-row.reduction)} {interval(-row.reduction_high, -row.reduction_low)} more"
    return f"{percent(row.reduction)} {interval(row.reduction_low, row.reduction_high)} less"


def steps(rows: pd.DataFrame) -> str:
    """Each forecaster against the one before it."""
    chosen = rows[rows["why"] == "step"]
    if not len(chosen):
        return ""
    lines = ["| step | loss lower by | of sums | volatility lower by |", "|---|---:|---:|---:|"]
    for row in chosen.itertuples(index=False):
        calmer = f"{row.calmer:.4f} [{row.calmer_low:.4f}, {row.calmer_high:.4f}]".replace("-", "−")
        less = f"{percent(row.reduction)} {interval(row.reduction_low, row.reduction_high)}"
        ends = interval(row.protection_reduction_low, row.protection_reduction_high)
        sums = (
            "–"
            if row.protection_reduction != row.protection_reduction
            else f"{percent(row.protection_reduction)} {ends}"
        )
        lines.append(f"| {label(row.earlier)} → {label(row.later)} | {less} | {sums} | {calmer} |")
    return "\n".join(lines)


def order(rows: pd.DataFrame) -> str:
    """Where the order that history claims holds, and where not."""
    titles = {"holds": "The history’s order holds", "open": "It is not shown", "fails": "It does not hold"}
    found, lines = check_history_order(rows), []
    for verdict, title in titles.items():
        chosen = found[found["verdict"] == verdict]
        pairs = [
            f"{label(row.later)} after {label(row.earlier)}{' in volatility' if row.what == 'volatility' else ''}"
            for row in chosen.itertuples(index=False)
        ]
        lines += [f"{title}: {join_words(pairs)}."] if pairs else []
    return " ".join(lines)


def draw_calibration(league: League, path: Path) -> None:
    scores = league.calibration
    names = list(dict.fromkeys(scores["forecaster"]))
    columns = min(6, len(names))
    lines = -(-len(names) // columns)
    with style.context(["default", {**STYLE, "xtick.labelsize": 8, "ytick.labelsize": 8}]):
        figure = Figure(figsize=(1.7 * columns, 1.85 * lines), layout="constrained")
        places = np.atleast_1d(figure.subplots(lines, columns)).reshape(-1)
        for axes in places[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(places, names, strict=False):
            plots.paint_calibration(axes, scores[scores["forecaster"] == name], name)
            axes.set_title(label(name), fontsize=9)
        save(figure, path)


def draw_cost(league: League, path: Path) -> None:
    table = league.table[league.table["error"].isna()]
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        plots.paint_cost(figure.subplots(), table)
        save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG: a drawing has few colours."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130, facecolor="white")
    image = Image.open(buffer).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
