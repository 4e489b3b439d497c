"""Where panels, headings and legends stand in a picture: pixels from its upper left corner, the same every time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .marks import INK, LARGE, Size
from .series import Episode, reach_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = "#dde3e9"

TITLE, ROW, HEADING = 27.0, 20.0, 18.0
"""Height of the title, of a row of a legend, and of a panel's heading, pixels."""

LETTER, MARK = 7.0, 33.0
"""Width of a letter of a legend, and of the mark and the space around it, pixels."""


def place_large(figure: Figure, axes: tuple[Axes, Axes, Axes]) -> None:
    """Put a large panel above a lower one that has a second axis at its right, each under its legend."""
    above, below, money = axes
    width, height = _size(figure)
    left, right, bottom, gap = 66.0, 66.0, 46.0, 14.0
    upper = _legend(figure, _entries([above]), left, TITLE)
    lower = _rows(_entries([below, money]), width - left) * ROW
    free = height - TITLE - upper - gap - lower - bottom
    tall = free * 0.68
    _put(above, left, TITLE + upper, width - left - right, tall)
    top = TITLE + upper + tall + gap
    _legend(figure, _entries([below, money]), left, top)
    for panel in (below, money):
        _put(panel, left, top + lower, width - left - right, free - tall)


def place_grid(figure: Figure, pairs: Sequence[tuple[Axes, Axes]], wide: int) -> None:
    """Put pairs of panels, the lower one a third as tall, into rows, under one legend.

    Args:
        figure: that holds them.
        pairs: upper and lower panel.
        wide: pairs in a row.
    """
    width, height = _size(figure)
    left, right, bottom, gap, ticks = 57.0, 8.0, 20.0, 7.0, 24.0
    top = TITLE + _legend(figure, _entries(axes for pair in pairs for axes in pair), 8.0, TITLE)
    across, down = width / wide, (height - top - bottom) / -(-len(pairs) // wide)
    free = down - HEADING - gap - ticks
    for i, (above, below) in enumerate(pairs):
        x, y = i % wide * across + left, top + i // wide * down + HEADING
        _put(above, x, y, across - left - right, 0.7 * free)
        _put(below, x, y + 0.7 * free + gap, across - left - right, 0.3 * free)
        if i + wide >= len(pairs):
            below.set_xlabel("period", fontsize=LARGE.text)


def set_axes(panels: Iterable[Axes], episode: Episode, size: Size) -> None:
    """Draw the line of now, and set what panels that share their periods have in common."""
    from matplotlib.ticker import MaxNLocator

    now = episode.period - 0.5
    first = now - max(len(column.on_hand) for column in episode.columns)
    for axes in panels:
        axes.axvline(now, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, lw=0.7)
        axes.set_axisbelow(True)
        set_scale(axes, size)
        axes.set_xlim(first - 0.1, now + reach_of(episode) + 0.1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def set_scale(axes: Axes, size: Size) -> None:
    """Set the numbers and the label of a panel's vertical axis."""
    from matplotlib.ticker import FuncFormatter

    axes.tick_params(labelsize=size.text + 0.5)
    axes.yaxis.label.set_fontsize(size.text + 1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.5g}".replace("-", "−")))


def write_title(figure: Figure, text: str) -> None:
    """Write the line at the top."""
    width, height = _size(figure)
    figure.text(9 / width, 1 - 5 / height, text, va="top", fontsize=12, color=INK, fontweight="bold")


def write_heading(axes: Axes, text: str) -> None:
    """Write the line above a panel."""
    axes.set_title(text, fontsize=LARGE.text, loc="left", color=INK, pad=3)


def _legend(figure: Figure, found: dict[str, Any], left: float, top: float) -> float:
    """Write rows of entries, where nothing is covered, and return their height, pixels."""
    width, height = _size(figure)
    rows = _rows(found, width - left)
    place: dict[str, Any] = {"bbox_to_anchor": (left / width, 1 - top / height), "borderaxespad": 0.0, "borderpad": 0.2}
    text: dict[str, Any] = {"fontsize": LARGE.text, "handlelength": 1.3, "columnspacing": 1.2, "handletextpad": 0.5}
    columns = -(-len(found) // rows)
    figure.legend(found.values(), found.keys(), loc="upper left", ncols=columns, frameon=False, **place, **text)
    return rows * ROW


def _rows(found: dict[str, Any], width: float) -> int:
    """Rows that a legend needs."""
    return max(1, -int(-sum(MARK + LETTER * len(label) for label in found) // width))


def _entries(panels: Iterable[Axes]) -> dict[str, Any]:
    """Handles by label, each label once."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found


def _put(axes: Axes, left: float, top: float, across: float, down: float) -> None:
    width, height = _size(axes.get_figure())
    axes.set_position((left / width, 1 - (top + down) / height, across / width, down / height))


def _size(figure: Any) -> tuple[float, float]:
    """Width and height, pixels."""
    width, height = figure.get_size_inches() * figure.dpi
    return float(width), float(height)
