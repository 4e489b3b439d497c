"""The pictures of a league: each `paint_…` draws on axes, the others return an SVG element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...forecasters.plot import FAN
from ..report.drawing import (
    BLUE,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    TEAL,
    draw,
    format_thousands,
    label_beside,
    pad_limits,
    strip_axes,
)
from ..report.figures import WIDTH
from ..report.text import label, tick
from .task import ERAS, FORESTS, NETS, OUTSIDE, TEXTBOOK, TRUTH, era_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {TEXTBOOK: ORANGE, FORESTS: TEAL, NETS: BLUE, OUTSIDE: PURPLE}
"""Of the eras; a forecaster of no era is grey, the truth is ink."""
SMALL = 190
"""Natural width of one of many small figures, pixels."""


def era_colour(name: str) -> str:
    """Return the colour of a forecaster: its era's."""
    return INK if name == TRUTH else COLOURS.get(era_of(name), MUTED)


def losses(table: pd.DataFrame, level: float) -> str:
    """Draw each forecaster's mean weighted quantile loss with its interval, oldest on top.

    Args:
        table: of a league, without failures.
        level: of the intervals.
    """
    caption = f"Mean weighted quantile loss of each forecaster with its {level:.0%} interval"
    return _dots("losses", caption, table, "wql", "mean weighted quantile loss")


def protection(table: pd.DataFrame, level: float) -> str:
    """Draw each forecaster's loss of sums over the protection interval with its interval, oldest on top.

    Args:
        table: of a league, without failures.
        level: of the intervals.
    """
    caption = f"Loss of each forecaster on demand summed over the protection interval with its {level:.0%} interval"
    return _dots("protection", caption, table, "protection_loss", "loss of sums over the protection interval")


def volatility(table: pd.DataFrame, level: float) -> str:
    """Draw each forecaster's excess volatility with its interval; at zero a forecast moves as far as news justifies.

    Args:
        table: of a league, without failures.
        level: of the intervals.
    """
    caption = f"Excess volatility of each forecaster with its {level:.0%} interval"
    return _dots("volatility", caption, table, "volatility", "excess volatility")


def _dots(key: str, label: str, table: pd.DataFrame, column: str, axis: str) -> str:
    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        paint_dots(axes, table, column)
        axes.set_xlabel(axis)

    return draw(key, label, WIDTH, 64 + 22 * len(table), paint)


def paint_dots(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw dots with intervals, a row each, on an axis that begins at zero."""
    rows = table.iloc[::-1]
    low, middle, high = (rows[name].to_numpy(dtype=float) for name in (f"{column}_low", column, f"{column}_high"))
    most = 1.5 * float(np.nanmax(middle))  # an interval that is not known must not squeeze the others
    for y, (a, b, c, name) in enumerate(zip(low, middle, high, rows["forecaster"], strict=True)):
        colour = era_colour(str(name))
        axes.plot([max(a, -most), min(c, most)], [y, y], color=colour, lw=2.2, solid_capstyle="butt", alpha=0.75)
        axes.plot(b, y, "o", color=colour, ms=6, zorder=3)
    axes.set_yticks(range(len(rows)), [label(str(name)) for name in rows["forecaster"]])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=min(0.0, 1.05 * float(np.nanmin(np.maximum(low, -most)))))
    axes.axvline(0, color=INK, lw=1.0)
    axes.spines["left"].set_visible(False)
    strip_axes(axes, grid="x")


def cost(table: pd.DataFrame) -> str:
    """Draw loss against the CPU-seconds of training: left and low is better.

    Args:
        table: of a league, without failures.
    """

    def paint(figure: Figure) -> None:
        paint_cost(figure.subplots(), table)

    return draw("cost", "Loss of each forecaster against the CPU-seconds that it trained", WIDTH, 340, paint)


def paint_cost(axes: Axes, table: pd.DataFrame) -> None:
    """Draw points of loss against training time on a logarithmic axis, with names."""
    rows = table[table["fit_seconds"].notna()].sort_values("wql", kind="stable")
    seconds = np.log10(np.maximum(rows["fit_seconds"].to_numpy(dtype=float), 0.01))
    points = np.stack([seconds, rows["wql"].to_numpy(dtype=float)], axis=1)
    low, high = pad_limits(points, np.array([1.0, 1e-6]))
    for (x, y), name in zip(points, rows["forecaster"], strict=True):
        axes.plot(x, y, "o", color=era_colour(str(name)), ms=6.5, zorder=3)
    label_beside(axes, points, [label(str(name)) for name in rows["forecaster"]], low, high)
    bound = table[table["forecaster"] == TRUTH]
    if len(bound):
        best = float(bound["wql"].iloc[0])
        axes.set_ylim(bottom=min(axes.get_ylim()[0], best - 0.04 * (high[1] - best)))
        axes.axhline(best, color=INK, lw=1.0, ls=(0, (4, 3)))
        axes.annotate(TRUTH, (low[0], best), (0, 3), textcoords="offset points", color=INK)
    powers = np.arange(np.ceil(axes.get_xlim()[0]), np.floor(axes.get_xlim()[1]) + 1)
    axes.set_xticks(powers, [tick(10.0**power) for power in powers])
    axes.set_xlabel("CPU-seconds of training")
    axes.set_ylabel("mean weighted quantile loss")
    strip_axes(axes)


def by_horizon(scores: pd.DataFrame, period: str) -> str:
    """Draw the loss of each forecaster by periods ahead.

    Args:
        scores: columns forecaster, horizon (1 …), wql: the mean over levels.
        period: what periods are called.
    """

    def paint(figure: Figure) -> None:
        paint_by_horizon(figure.subplots(), scores)
        figure.axes[0].set_xlabel(f"{period} ahead")

    return draw("horizon", "Loss of each forecaster by periods ahead", WIDTH, 340, paint)


def paint_by_horizon(axes: Axes, scores: pd.DataFrame) -> None:
    """Draw lines of loss by horizon, each with its name beside its end."""
    lines = {str(name): rows.sort_values("horizon") for name, rows in scores.groupby("forecaster", sort=False)}
    ends = sorted(lines, key=lambda name: float(lines[name]["wql"].iloc[-1]))
    for name, rows in lines.items():
        style: dict[str, Any] = {"ls": (0, (4, 3))} if name == TRUTH else {"marker": "o", "ms": 3}
        axes.plot(rows["horizon"], rows["wql"], color=era_colour(name), lw=1.4, **style)
    points = np.array([lines[name][["horizon", "wql"]].iloc[-1].to_numpy(dtype=float) for name in ends])
    whole = scores[["horizon", "wql"]].to_numpy(dtype=float)
    label_beside(axes, points, [label(name) for name in ends], whole.min(0), whole.max(0))
    axes.set_ylabel("mean weighted quantile loss")
    horizons = np.unique(whole[:, 0])
    axes.set_xticks(horizons[:: max(1, len(horizons) // 8)])
    strip_axes(axes, grid="y")


def calibration(scores: pd.DataFrame, name: str, key: str) -> str:
    """Draw one forecaster's observed shares against the nominal levels.

    Args:
        scores: columns level, coverage, share, share_low, share_high; a row a level.
        name: of the forecaster.
        key: names the figure.
    """

    def paint(figure: Figure) -> None:
        paint_calibration(figure.subplots(), scores, name)

    return draw(key, f"Observed shares of {label(name)} against nominal levels", SMALL, SMALL, paint)


def paint_calibration(axes: Axes, scores: pd.DataFrame, name: str) -> None:
    """Draw observed against nominal shares; on the diagonal the quantiles are right."""
    rows = scores.sort_values("level")
    axes.plot([0, 100], [0, 100], color=MUTED, lw=1.0, ls=(0, (4, 3)))
    level, colour = 100 * rows["level"], era_colour(name)
    axes.fill_between(level, 100 * rows["share_low"], 100 * rows["share_high"], color=colour, alpha=0.22, lw=0)
    axes.plot(level, 100 * rows["coverage"], "o", color=colour, mfc=PAPER, ms=2.6, mew=0.8, lw=0)
    axes.plot(level, 100 * rows["share"], "o-", color=colour, ms=2.8, lw=1.4)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 102)
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])
    axes.set_aspect("equal")
    strip_axes(axes)


def fan(frame: pd.DataFrame, history: pd.DataFrame, top: float, name: str, key: str) -> str:
    """Draw one item's history and one forecaster's quantiles from each origin.

    Args:
        frame: columns origin, date, level, value; of one item.
        history: columns date, demand (NaN: not known), in_stock; of the same item, the forecast periods as well.
        top: where the axis of units ends, the same for all forecasters.
        name: of the forecaster.
        key: names the figure.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        paint_fan(axes, frame, history, era_colour(name))
        axes.set_ylim(0, top)

    return draw(key, f"Forecasts of {label(name)} and what came, one item", 1.3 * SMALL, 0.85 * SMALL, paint)


def paint_fan(axes: Axes, frame: pd.DataFrame, history: pd.DataFrame, colour: str) -> None:
    """Draw bands between quantiles from each origin, the median, and the demand that followed."""
    from matplotlib import dates

    for _, rows in frame.groupby("origin"):
        table = rows.pivot(index="date", columns="level", values="value")
        have = {round(float(level), 6): level for level in table.columns}
        bands = [(have[low], have[high]) for low, high in FAN if low in have and high in have]
        for low, high in bands:
            axes.fill_between(table.index, table[low], table[high], color=colour, alpha=0.17, lw=0)
        axes.plot(table.index, table[have[0.5]], color=colour, lw=1.4)
        axes.axvline(rows["date"].min(), color=GRID, lw=1.0, zorder=0)
    axes.plot(history["date"], history["demand"], color=INK, lw=0.9, marker="o", ms=1.8)
    out = history[~history["in_stock"].astype(bool)]
    axes.plot(out["date"], out["sales"], "o", color=MUTED, mfc=PAPER, ms=2.6, lw=0)
    made: Any = dates  # its constructors have no types
    locator = made.AutoDateLocator(minticks=2, maxticks=4)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(made.ConciseDateFormatter(locator, show_offset=False))
    format_thousands(axes.yaxis)
    strip_axes(axes, grid="y")


def era_keys(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return which eras are there and the variable of each one's colour in the style sheet."""
    variables = {ORANGE: "orange", TEAL: "teal", BLUE: "blue", PURPLE: "purple", SKY: "sky"}
    present = {era_of(name) for name in names}
    keys = [(era, variables[COLOURS[era]]) for era in ERAS if era in present]
    return [*keys, *([(TRUTH, "ink")] if TRUTH in names else [])]


def axis_top(fans: FloatArray, came: FloatArray, before: FloatArray) -> float:
    """Return where the axis of an item's fans ends: all demand there, most of the forecasts and of the history.

    Args:
        fans: quantiles, units.
        came: demand of the forecast periods, units, NaN where it is not known.
        before: of those before them, likewise.
    """
    known, past = came[np.isfinite(came)], before[np.isfinite(before)]
    usual = [float(np.quantile(values, 0.97)) for values in (fans, past) if len(values)]
    return 1.08 * max([*known.tolist(), *usual, 1.0])
