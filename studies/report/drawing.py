"""Figures as SVG text whose colours are the page's, so that they can be read in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1f2933", "#5a6775", "#dde3e9", "#fefefe"
BLUE, ORANGE, TEAL, RED, PURPLE, SKY = "#0072b2", "#b87400", "#009e73", "#d55e00", "#a8578a", "#56b4e9"
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
"""Variable of the style sheet, and its colour in light. After Okabe and Ito: safe for the colour-blind."""

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


def draw(key: str, label: str, width: float, height: float, paint: Callable[[Figure], None]) -> str:
    """Return a figure as an SVG element, the same text for the same figure.

    Args:
        key: names the figure, once a page; all its ids begin with it.
        label: what the figure shows, for readers who do not see it.
        width: natural width, CSS pixels.
        height: natural height, CSS pixels.
        paint: draws on the empty figure.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", {**STYLE, "svg.hashsalt": key}]):
        figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), key, label, width)


def bare(axes: Axes, *, grid: str = "both") -> None:
    """Leave out tick marks, and the grid lines of all axes but the named one ("x", "y" or "both")."""
    axes.tick_params(length=0)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if grid not in (name, "both"):
            axis.grid(visible=False)


def _inline(svg: str, key: str, label: str, width: float) -> str:
    """Keep the element alone, its ids unique in the page and its colours the page's."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"\s*<defs>\s*<style.*?</defs>", "", svg, count=1, flags=re.DOTALL)
    for role, colour in ROLES.items():
        svg = svg.replace(colour, f"var(--{role})")
    head = f'<svg role="img" aria-label="{_escaped(label)}" style="max-width:{1.25 * width:.0f}px"'
    return re.sub(r'<svg( xmlns:xlink="[^"]*")? width="[^"]*" height="[^"]*"', rf"{head}\1", svg, count=1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("\\", "")
