"""The figures of what forecasts are worth: each takes a frame and returns an SVG element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..report.drawing import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEAL,
    draw,
    draw_interval,
    format_thousands,
    frame_intervals,
    scale_of,
    strip_axes,
)
from ..report.read import rows_of
from ..report.text import MINUS, label, money, percent
from .miscalibration import RIGHT
from .staircase import PERFECT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (ORANGE, BLUE, TEAL, PURPLE, RED, SKY, INK, MUTED)
"""Of policies, in their order."""
WIDTH = 430
"""Natural width of a figure, pixels."""
MISTAKES = {
    "bias": ("bias: factor on demand", 1.0),
    "spread": ("spread: factor on the distance from the median", 1.0),
    "noise": ("noise: deviation of a random factor", 0.0),
    "lateness": ("lateness: periods", 0.0),
}
"""Mistakes, the names of their axes, and the size that is none."""


def policy_colours(names: list[str]) -> dict[str, str]:
    """Return a colour a policy."""
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}


def draw_cells(cells: pd.DataFrame, policies: list[str], *, level: float, reference: str) -> str:
    """Draw the saving of each policy on each forecaster, the most valuable forecaster on top.

    Args:
        cells: columns forecaster, policy, saving, saving_low, saving_high.
        policies: in the order of their colours.
        level: of the intervals.
        reference: what savings are measured against, for readers.
    """

    def paint(figure: Figure) -> None:
        paint_cells(figure.subplots(), cells, policies, level=level, reference=reference)

    height = 100 + (22 * len(policies) + 8) * cells["forecaster"].nunique()
    return draw("impact-cells", "Saving by forecaster and policy", WIDTH, height, paint)


def paint_cells(axes: Axes, cells: pd.DataFrame, policies: list[str], *, level: float, reference: str) -> None:
    """Draw the figure of `draw_cells` on axes of matplotlib's."""
    order = list(cells.groupby("forecaster")["saving"].max().sort_values(kind="stable").index)
    scale = scale_of(100 * cells[["saving_low", "saving", "saving_high"]].to_numpy(dtype=float))
    colours = policy_colours(policies)
    apart = 0.8 / max(len(policies), 1)
    for k, policy in enumerate(policies):
        axes.plot([], [], "o-", color=colours[policy], lw=2.2, ms=7, label=label(policy))
        rows = cells[cells["policy"] == policy].set_index("forecaster")
        for y, name in enumerate(order):
            if name in rows.index:
                point = 100 * rows.loc[name, ["saving_low", "saving", "saving_high"]].to_numpy(dtype=float)
                draw_interval(axes, point, y + apart * ((len(policies) - 1) / 2 - k), scale, colours[policy])
    frame_intervals(axes, [label(str(name)) for name in order], scale)
    axes.set_xlabel(f"saving against {reference}, %,\n{percent(level, 0)} interval")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0, frameon=False)


def plot_cells(cells: pd.DataFrame, *, level: float, reference: str, ax: Axes | None = None) -> Axes:
    """Draw `paint_cells` on axes of matplotlib's, and return them.

    Args:
        cells: see `draw_cells`.
        level: of the intervals.
        reference: what savings are measured against, for readers.
        ax: to draw on; None: a new figure.
    """
    policies = sorted(set(cells["policy"]))
    if ax is None:
        from matplotlib import pyplot

        height = 1.2 + (0.24 * len(policies) + 0.1) * cells["forecaster"].nunique()
        ax = pyplot.subplots(figsize=(7.0, height), layout="constrained")[1]
    paint_cells(ax, cells, policies, level=level, reference=reference)
    return ax


def draw_money(points: pd.DataFrame, policies: list[str], *, period: str) -> str:
    """Draw cost against loss on the protection interval, a line a policy.

    Args:
        points: columns forecaster, policy, cost, protection_loss.
        policies: in the order of their colours.
        period: what a period is called.
    """
    colours, first = policy_colours(policies), points[points["policy"] == policies[0]].sort_values("protection_loss")

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for policy in policies:
            rows = points[points["policy"] == policy].sort_values("protection_loss")
            style: dict[str, Any] = {"color": colours[policy], "lw": 1.3, "ms": 5, "label": label(policy)}
            axes.plot(rows["protection_loss"], rows["cost"], "o-", **style)
        top = axes.get_ylim()[1]
        for row in rows_of(first):
            at = float(row.protection_loss)
            above: dict[str, Any] = {"textcoords": "offset points", "rotation": 40, "fontsize": 9, "color": MUTED}
            axes.annotate(label(str(row.forecaster)), (at, top), (-3, 3), annotation_clip=False, **above)
            axes.axvline(at, color=MUTED, lw=0.6, ls=(0, (2, 3)), zorder=0)
        axes.set_xlabel("weighted loss of demand summed over the protection interval")
        axes.set_ylabel(f"cost, money a {period}")
        axes.legend(loc="lower right")
        format_thousands(axes.yaxis)
        strip_axes(axes, grid="y")

    return draw("impact-money", "Cost against forecast loss", WIDTH, 330, paint)


def draw_staircase(rows: pd.DataFrame, *, period: str, currency: str | None) -> str:
    """Draw what each step saves against the one before it, from the first cost down to that of perfect information.

    Args:
        rows: of one policy: columns step, cost, saved, saved_low, saved_high.
        period: what a period is called.
        currency: of the amounts.
    """
    names, costs = [str(step) for step in rows["step"]], rows["cost"].to_numpy(dtype=float)
    saved = rows["saved"].to_numpy(dtype=float)
    places = np.arange(len(rows))[::-1]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(places[0], costs[0], color=MUTED, height=0.62, alpha=0.55)
        for k in range(1, len(rows)):
            sure = rows["saved_low"].iloc[k] > 0 or rows["saved_high"].iloc[k] < 0
            colour = MUTED if names[k] == PERFECT else BLUE if saved[k] >= 0 else ORANGE
            axes.barh(places[k], saved[k], left=costs[k], color=colour, height=0.62, alpha=1.0 if sure else 0.45)
            axes.plot([costs[k - 1]] * 2, [places[k] - 0.31, places[k - 1] + 0.31], color=INK, lw=0.7)
        edge = max(costs)
        for k, y in enumerate(places):
            sign = "" if k == 0 else MINUS if saved[k] >= 0 else "+"
            text = f"{sign}{money(costs[0] if k == 0 else abs(saved[k]), currency)}"
            beside: dict[str, Any] = {"textcoords": "offset points", "va": "center_baseline", "annotation_clip": False}
            axes.annotate(text, (edge, y), (6, 0), **beside)
        axes.set_xlim(0, edge)
        axes.set_yticks(places, [label(name) for name in names])
        axes.set_xlabel(f"cost, money a {period}; pale: the step's interval covers zero")
        format_thousands(axes.xaxis)
        strip_axes(axes, grid="x")

    return draw("impact-staircase", "Cost from step to step", WIDTH, 80 + 30 * len(rows), paint)


def draw_split(split: pd.DataFrame) -> str:
    """Draw the parts of the saving that forecast and policy gave, a row a pair, the largest saving on top.

    Args:
        split: columns forecaster, policy, saving, forecast_effect, policy_effect.
    """
    rows = split.sort_values("saving", kind="stable")
    labels = [f"{label(f)} / {label(p)}" for f, p in zip(rows["forecaster"], rows["policy"], strict=True)]
    forecast, policy = (100 * rows[name].to_numpy(dtype=float) for name in ("forecast_effect", "policy_effect"))
    places = np.arange(len(rows))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for shift, values, colour, name in ((0.19, forecast, BLUE, "forecast"), (-0.19, policy, ORANGE, "policy")):
            axes.barh(places + shift, values, height=0.36, color=colour, label=name)
        axes.plot(forecast + policy, places, "d", color=INK, ms=4.5, label="both together")
        axes.axvline(0, color=INK, lw=1.0)
        axes.set_yticks(places, labels)
        axes.set_xlabel("saving, % of the reference's cost")
        figure.legend(loc="outside upper right", ncols=3)
        strip_axes(axes, grid="x")

    return draw("impact-split", "Saving split into forecast and policy", WIDTH, 90 + 26 * len(rows), paint)


def draw_mistakes(table: pd.DataFrame, kind: str, policies: list[str]) -> str:
    """Draw what one kind of mistake costs under each policy, with intervals; dashed where it was tuned anew with it.

    Args:
        table: columns mistake, size, policy, retuned, extra, extra_low, extra_high.
        kind: which mistake.
        policies: in the order of their colours.
    """
    name, nothing = MISTAKES[kind]
    colours = policy_colours(policies)

    def line(axes: Axes, rows: pd.DataFrame, colour: str, text: str, *, dashed: bool) -> None:
        rows = rows.sort_values("size")
        size = rows["size"].to_numpy(dtype=float)
        extra = 100 * rows[["extra_low", "extra", "extra_high"]].to_numpy(dtype=float)
        axes.fill_between(size, extra[:, 0], extra[:, 2], color=colour, alpha=0.15, lw=0)
        axes.plot(size, extra[:, 1], "s--" if dashed else "o-", color=colour, lw=1.6, ms=4, label=text)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        own = table[(table["mistake"] == kind) | (table["mistake"] == RIGHT)].copy()
        own.loc[own["mistake"] == RIGHT, "size"] = nothing
        for policy in policies:
            rows = own[own["policy"] == policy]
            if rows["retuned"].any():
                line(axes, rows[rows["retuned"]], colours[policy], f"{label(policy)}, tuned anew", dashed=True)
            else:
                line(axes, rows, colours[policy], label(policy), dashed=False)
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_xlabel(name)
        axes.set_ylabel("extra cost, %")
        axes.legend(loc="upper left", fontsize=9)
        format_thousands(axes.yaxis)
        strip_axes(axes, grid="y")

    return draw(f"impact-{kind}", f"Extra cost by {kind} of the forecast", WIDTH, 290, paint)
