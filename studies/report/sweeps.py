"""The section of sweeps: service against stock, what the saving depends on, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..sweeps import BREAK_EVEN, FRONTIER, GAINS, TORNADO, break_even_line
from .drawing import BLUE, INK, MUTED, ORANGE, PAPER, PURPLE, TEAL, colour_of, draw, format_thousands, strip_axes
from .read import Run
from .template import as_markup, render_template
from .text import label, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 430
"""Natural width of the figures, CSS pixels."""
MINUS = "\N{MINUS SIGN}"
ROW = 34
"""Height of a parameter's row."""


def sweeps_section(run: Run) -> str:
    """Return the figures of a study's sweep; nothing where it made none."""
    frames = _frames(run)
    if not len(frames["tornado"]):
        return ""
    swept = run.manifest.get("sweep") or {}
    best = str(swept.get("policy", run.best))
    gains = frames["frontier_gains"]
    rows = [
        {"policy": label(str(row["policy"])), "stock": _share(row["stock_saved"]), "fill": _share(row["fill_gained"])}
        for row in gains.to_dict("records")
        if row["policy"] != run.baseline
    ]
    return render_template(
        "sweeps",
        best=label(best),
        baseline=label(run.baseline),
        rows=rows,
        frontier=as_markup(draw_frontier(frames["frontier"], run.baseline, best)),
        tornado=as_markup(draw_tornado(frames["tornado"])),
        grid=as_markup(draw_break_even(frames["break_even"], label(best), label(run.baseline))),
        crosses=len(break_even_line(frames["break_even"])) > 0,
        notes=list(swept.get("notes", ())),
    )


def sweeps_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figures of a sweep are drawn from."""
    return _frames(run)


def draw_frontier(frontier: pd.DataFrame, baseline: str, best: str) -> str:
    """Draw mean stock against fill rate, a line a policy along the stock-out costs that it decides under.

    Args:
        frontier: see `Sweep.frontier`.
        baseline: in its colour.
        best: likewise.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        names = list(dict.fromkeys(frontier["policy"].astype(str)))
        others = iter([TEAL, PURPLE, INK, MUTED] * len(names))
        for name in names:
            points = frontier[frontier["policy"] == name].sort_values("factor")
            colour = colour_of(name, baseline=baseline, best=best)
            colour = next(others) if colour == INK else colour
            fill, stock = 100 * points["fill_rate"].to_numpy(float), points["mean_on_hand"].to_numpy(float)
            axes.plot(fill, stock, "o-", color=colour, ms=4, lw=1.4, label=label(name))
            given = points["factor"].to_numpy(float) == 1.0
            axes.plot(fill[given], stock[given], "o", color=colour, ms=8.5, zorder=3)
        axes.set_xlabel("fill rate, % of demanded units met at once")
        axes.set_ylabel("mean stock, units over all items")
        format_thousands(axes.yaxis)
        axes.legend(loc="upper left")
        strip_axes(axes)

    return draw("frontier", "Mean stock and fill rate of policies under other stock-out costs", WIDTH, 330, paint)


def draw_tornado(tornado: pd.DataFrame) -> str:
    """Draw the saving where one parameter is lower or higher than given, the widest parameter on top.

    Args:
        tornado: see `Sweep.tornado`.
    """
    base = float(tornado.loc[tornado["side"] == "base", "saving"].iloc[0])
    moved = tornado[tornado["side"] != "base"].dropna(subset=["saving"])
    reach = (moved["saving"] - base).abs().groupby(moved["parameter"]).max().sort_values(kind="stable")
    names = list(reach.index)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for k, name in enumerate(names):
            for row in moved[moved["parameter"] == name].itertuples():
                _draw_side(axes, k, base, row)
        axes.axvline(100 * base, color=INK, lw=1)
        axes.axvline(0.0, color=MUTED, lw=0.8, ls=(0, (3, 3)))
        axes.set_yticks(np.arange(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel("saving, %; teal: parameter lower, blue: higher")
        strip_axes(axes, grid="x")
        axes.margins(x=0.45)  # room for the values in words

    return draw(
        "tornado", "The saving under parameters lower or higher than given", WIDTH, 90 + ROW * len(names), paint
    )


def _draw_side(axes: Axes, place: int, base: float, row: Any) -> None:
    """Draw the bar of one side of a parameter, with its value in words."""
    end, colour = 100 * row.saving, TEAL if row.side == "low" else BLUE
    height = 0.3 if row.side == "low" else -0.3
    axes.barh(place + height / 2, end - 100 * base, left=100 * base, height=0.28, color=colour)
    right = end >= 100 * base
    axes.annotate(
        row.value,
        (end, place + height / 2),
        (4 if right else -4, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=8.5,
    )


def draw_break_even(grid: pd.DataFrame, best: str, baseline: str) -> str:
    """Draw the saving over cost ratio and forecast bias, with the line on which both policies cost the same.

    Args:
        grid: see `Sweep.break_even`.
        best: the policy whose saving it is.
        baseline: what it is measured against.
    """
    table = grid.pivot(index="ratio", columns="bias", values="saving")
    line = break_even_line(grid)
    ratios, biases = (np.asarray(axis, dtype=np.float64) for axis in (table.index, table.columns))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for y, ratio in enumerate(ratios):
            for x, bias in enumerate(biases):
                saving = float(table.loc[ratio, bias])
                if np.isfinite(saving):
                    axes.plot(x, y, "s", ms=28, color=BLUE if saving > 0 else ORANGE, alpha=0.25, mec=PAPER)
                    axes.text(x, y, f"{100 * saving:.1f}".replace("-", MINUS), ha="center", va="center", fontsize=9.5)
        places = np.interp(line["bias"], table.columns.to_numpy(dtype=float), np.arange(len(biases)))
        rows = np.interp(line["ratio"], table.index.to_numpy(dtype=float), np.arange(len(ratios)))
        axes.plot(places, rows, "o-", color=INK, ms=4, lw=1.2, zorder=4)
        axes.set_xticks(
            np.arange(len(biases)), [f"{bias:+.0%}".replace("-", MINUS) if bias else "none" for bias in biases]
        )
        axes.set_yticks(np.arange(len(ratios)), [f"× {ratio:g}" for ratio in ratios])
        axes.set_xlim(-0.6, len(biases) - 0.4)
        axes.set_ylim(-0.6, len(ratios) - 0.4)
        axes.set_xlabel("forecasts overstate demand by")
        axes.set_ylabel("stock-out to holding cost, on the ratio given")
        strip_axes(axes)

    name = f"Saving of {best} against {baseline} over cost ratio and forecast bias"
    return draw("break-even", name, WIDTH, 80 + 46 * len(ratios), paint)


def _share(value: float) -> str:
    """Return a share as text; a dash where there is none."""
    return percent(value) if np.isfinite(value) else "–"


def _frames(run: Run) -> dict[str, pd.DataFrame]:
    columns = {"frontier": FRONTIER, "frontier_gains": GAINS, "tornado": TORNADO, "break_even": BREAK_EVEN}
    found = {name: run.frame(f"{name}.parquet", wanted) for name, wanted in columns.items()}
    return found if all(len(frame) for frame in found.values()) else {name: pd.DataFrame() for name in found}
