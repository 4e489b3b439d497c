"""Drawing for reports: SVG text whose colours are the page's, and the marks that several figures share."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...forecasters.plot import INK as INK, MUTED as MUTED, PAPER as PAPER, SKY as SKY
from .text import tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

GRID = "#dde3e9"
BLUE, ORANGE, TEAL, RED, PURPLE = "#0072b2", "#b87400", "#009e73", "#d55e00", "#a8578a"
ROLES = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "paper": PAPER,
    "blue": BLUE,
    "orange": ORANGE,
    "teal": TEAL,
    "red": RED,
    "purple": PURPLE,
    "sky": SKY,
}
"""Variable of the style sheet, and its colour in light mode. After Okabe and Ito: safe for the colour-blind."""

POINTS_PER_INCH = 72
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.fontsize": 10.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Neither date nor version in a figure: the same figure is the same text."""
SVG = "http://www.w3.org/2000/svg"
WORST_SAVING = -0.6
"""Savings below it are an arrow head at the edge of the scale."""


def draw(key: str, label: str, width: float, height: float, paint: Callable[[Figure], None]) -> str:
    """Return a figure as an SVG element, the same text for the same figure.

    Args:
        key: names the figure, once a page; its ids are hashed with it, and so differ from those of other figures.
        label: what the figure shows, for readers who do not see it.
        width: natural width, CSS pixels.
        height: natural height, CSS pixels.
        paint: draws on the empty figure.
    """
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with style.context(["default", {**STYLE, "svg.hashsalt": key}]):
        size = width / POINTS_PER_INCH, height / POINTS_PER_INCH
        engine = ConstrainedLayoutEngine()
        figure = Figure(figsize=size, layout=engine)
        FigureCanvasSVG(figure)
        paint(figure)
        # Laid out here and drawn once: `savefig` would draw the whole figure for its layout, and then again.
        figure.dpi = POINTS_PER_INCH
        engine.execute(figure)
        figure.set_layout_engine(None)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(buffer.getvalue())
    root.remove(root[0])  # a style element, which would hold for the whole page; report.css has the same for figures
    for group in root.iter(f"{{{SVG}}}g"):
        group.attrib.pop("id", None)  # counted anew in each figure, and nothing refers to them
    root.attrib = {
        "role": "img",
        "aria-label": label,
        "style": f"max-width:{1.25 * width:.0f}px",
        "viewBox": root.attrib["viewBox"],
    }
    svg = ElementTree.tostring(root, encoding="unicode")
    for role, colour in ROLES.items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg


def strip_axes(axes: Axes, *, grid: str = "both") -> None:
    """Leave out tick marks, and the grid lines of all axes but the named one ("x", "y" or "both")."""
    axes.tick_params(length=0)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if grid not in (name, "both"):
            axis.grid(visible=False)


def colour_of(policy: str, *, baseline: str, best: str, kind: str = "policy") -> str:
    """Return a policy's colour in every figure: the baseline orange, the best other blue, bounds grey, the rest ink."""
    if policy == baseline:
        return ORANGE
    return MUTED if kind == "bound" else BLUE if policy == best else INK


def colours_of(table: pd.DataFrame, baseline: str, best: str | None = None) -> list[str]:
    """Return the colour of each row of a comparison; see `colour_of`.

    Args:
        table: columns policy, kind, cost.
        baseline: the policy at zero.
        best: the policy that the report is about; the cheapest but the baseline where None.
    """
    rivals = table[(table["kind"] == "policy") & (table["policy"] != baseline)].sort_values("cost", kind="stable")
    best = best or (str(rivals["policy"].iloc[0]) if len(rivals) else baseline)
    pairs = zip(table["policy"], table["kind"], strict=True)
    return [colour_of(str(name), baseline=baseline, best=best, kind=str(kind)) for name, kind in pairs]


def format_thousands(*axes: Axis) -> None:
    """Write the numbers on these axes as the tables do: "1,400"."""
    from matplotlib.ticker import FuncFormatter

    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def draw_interval(
    axes: Axes, point: FloatArray, y: float, scale: tuple[float, float], colour: str, *, marker: str = "o"
) -> None:
    """Draw one dot with its interval, per cent; an arrow head at each end of the scale that it goes beyond.

    Args:
        axes: to draw on.
        point: low, middle and high.
        y: where.
        scale: first and last value of the axis.
        colour: of line and dot.
        marker: of the dot: hollow where the interval covers zero. A small diamond has a thin line.
    """
    low, middle, high = point
    (first, last), thin = scale, marker != "o"
    if low < last and high > first:
        line: dict[str, Any] = {"lw": 1.3 if thin else 2.2, "solid_capstyle": "butt"}
        axes.plot([max(low, first), min(high, last)], [y, y], color=colour, **line)
    if first <= middle <= last:
        sure = low > 0 or high < 0
        style: dict[str, Any] = {"mfc": colour if sure else PAPER, "mew": 1.3 if thin else 1.6, "ms": 5 if thin else 7}
        axes.plot(middle, y, marker, color=colour, zorder=3, **style)
    if low < first:
        axes.plot(first, y, "<", color=colour, ms=7, mew=0, zorder=2)
    if high > last:
        axes.plot(last, y, ">", color=colour, ms=7, mew=0, zorder=2)


def frame_intervals(
    axes: Axes, labels: list[str], scale: tuple[float, float], places: FloatArray | None = None
) -> None:
    """Name the rows, mark zero, and leave out what is not needed.

    Args:
        axes: to draw on.
        labels: one a row, from below.
        scale: first and last value of the axis.
        places: where the rows are; 0, 1, … where None.
    """
    margin = 0.04 * (scale[1] - scale[0])
    at = np.arange(len(labels), dtype=float) if places is None else places
    axes.axvline(0, color=INK, lw=1.0)
    axes.set_xlim(scale[0] - margin, scale[1] + margin)
    axes.set_ylim(at[0] - 0.6, at[-1] + 0.6)
    axes.set_yticks(at, labels)
    axes.spines["left"].set_visible(False)
    strip_axes(axes, grid="x")


def scale_of(points: FloatArray) -> tuple[float, float]:
    """Return where an axis of savings begins and ends, per cent: not wider than the policies that matter."""
    finite = points[np.isfinite(points)]
    if not len(finite):
        return -5.0, 5.0
    return max(100 * WORST_SAVING, min(-2.0, float(finite.min()))), min(100.0, max(2.0, float(finite.max())))


def pad_limits(points: FloatArray, least: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the limits of axes that show these points with some room around them.

    Args:
        points: shape (points, 2).
        least: the smallest range of each axis that counts, shape (2,).
    """
    room = 0.15 * np.maximum(np.ptp(points, axis=0), least)
    return points.min(0) - room, points.max(0) + room


def label_beside(axes: Axes, points: FloatArray, labels: list[str], low: FloatArray, high: FloatArray) -> None:
    """Write labels in a column right of the axes, each with a thin line to its point, and set the limits.

    Args:
        axes: what the points were drawn on.
        points: shape (points, 2), sorted by the second coordinate.
        labels: one a point.
        low: where the axes begin, shape (2,).
        high: where they end, shape (2,).
    """
    wide, tall = high - low
    edge = high[0] + 0.09 * wide
    beside: dict[str, Any] = {"textcoords": "offset points", "va": "center_baseline", "annotation_clip": False}
    for label, (x, y), place in zip(labels, points, spread(points[:, 1], 0.075 * tall), strict=True):
        axes.plot([x, edge], [y, place], color=MUTED, alpha=0.35, lw=0.8, zorder=1, clip_on=False)
        axes.annotate(label, (edge, place), (3, 0), **beside)
    axes.set_xlim(low[0] - 0.04 * wide, high[0] + 0.04 * wide)
    axes.set_ylim(low[1] - 0.06 * tall, high[1] + 0.06 * tall)


def spread(places: FloatArray, gap: float) -> FloatArray:
    """Push sorted places apart until they are a gap away from each other, up as far as down.

    >>> spread(np.array([0.0, 0.0, 5.0]), 1.0).tolist()
    [-0.5, 0.5, 5.0]
    """
    steps = gap * np.arange(len(places))
    low = np.maximum.accumulate(places - steps) + steps
    high = np.minimum.accumulate((places - steps)[::-1])[::-1] + steps
    return np.asarray((low + high) / 2)


def part_dots(points: FloatArray, size: FloatArray) -> FloatArray:
    """Shift dots sideways, as little as it takes, so that none hides another.

    Args:
        points: shape (dots, 2).
        size: of a dot in each direction, shape (2,).

    >>> part_dots(np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 0.0]]), np.array([1.0, 1.0])).round(9).tolist()
    [[0.0, 0.0], [1.1, 0.0], [9.0, 0.0]]
    """
    placed = points.copy()
    for i in range(1, len(placed)):
        taken = placed[:i][np.abs(placed[:i, 1] - points[i, 1]) < size[1], 0]
        steps = sorted(range(-i, i + 1), key=lambda step: (abs(step), -step))  # one of them is free
        places = [points[i, 0] + step * size[0] for step in steps]
        placed[i, 0] = next(x for x in places if not (np.abs(taken - x) < size[0] * (1 - 1e-9)).any())
    return placed
