"""What stands in a picture's panels: stock, the forecast, what is under way, orders, costs, a shared capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from .series import FAN_LEVELS, Capacity, Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PALE = "#1f2933", "#5a6775"
BLUE, AMBER, TEAL, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#a8578a", "#56b4e9"
"""After Okabe and Ito: told apart by the colour-blind, too."""

OLDEST, FRESHEST = 0.65, 0.2
"""Depth of the colour of stock that perishes next, and of stock that has just arrived."""

ORDER_COLOURS = {"expedited order": PURPLE, "transshipment": SKY}
"""Of orders that are not the usual ones."""

COST_LINES = {"holding": (TEAL, "-"), "stock-out": (RED, (0, (5, 2))), "waste": (PURPLE, (0, (1, 1)))}
"""Colour and dashes of what is paid for."""


FAN_DEPTHS = (0.22, 0.39, 0.53)
"""Depth of the colour of the forecast's bands, the widest first."""


class Size(NamedTuple):
    """How large text and marks are, points."""

    text: float
    line: float
    dot: float


LARGE, SMALL = Size(text=9.0, line=1.6, dot=3.2), Size(text=8.0, line=1.2, dot=2.0)


def tint(colour: str, depth: float) -> tuple[float, ...]:
    """Return red, green and blue of a colour mixed with white; nothing shows through it, as it would through a veil."""
    return tuple(1.0 - depth * (1.0 - int(colour[i : i + 2], 16) / 255.0) for i in (1, 3, 5))


def draw_stock(axes: Axes, column: Column, period: int, size: Size) -> None:
    """Stock at each period's end, what was short or perished below zero, and what was asked for."""
    axes.axhline(0.0, color=PALE, lw=0.8)
    if column.by_life is None:
        units, edges = _past(column.on_hand, period)
        axes.stairs(units, edges, fill=True, color=tint(TEAL, 0.18))
        axes.stairs(units, edges, baseline=None, color=TEAL, lw=size.line, label="on hand")
    else:
        _draw_lives(axes, column.by_life, period)
    for lost, label, colour in ((column.shortfall, "shortfall", RED), (column.waste, "perished", PURPLE)):
        if lost is not None:
            units, edges = _past(lost, period)
            axes.stairs(-units, edges, fill=True, color=tint(colour, 0.75), label=label)
    for asked, label, face in ((column.demand, "demand", INK), (column.sent, "shipped on", "white")):
        if asked is not None:
            line: dict[str, Any] = {"color": INK, "lw": 0.6 * size.line, "ms": size.dot, "mfc": face, "mew": 0.7}
            axes.plot(period - len(asked) + np.arange(len(asked)), asked, marker="o", label=label, **line)


def _draw_lives(axes: Axes, by_life: FloatArray, period: int) -> None:
    """Layers of what can be sold, the oldest units at the bottom."""
    layers, edges = _past(by_life, period)
    base = np.zeros(layers.shape[1])
    for age, units in enumerate(layers):
        colour = tint(TEAL, OLDEST + age / max(len(layers) - 1, 1) * (FRESHEST - OLDEST))
        named = {len(layers) - 1: "on hand, just arrived", 0: "on hand, last period"}.get(age)
        axes.stairs(base + units, edges, baseline=base, fill=True, color=colour, lw=0, label=named)
        base = base + units


def draw_ahead(axes: Axes, column: Column, period: int, size: Size) -> None:
    """The forecast's fan and the arrivals due, from the current period on."""
    if column.fan is not None:
        _draw_fan(axes, column.fan, period, size)
    if len(column.pipeline):
        due = period + np.arange(float(len(column.pipeline)))
        _bars(axes, due, column.pipeline, width=0.5, color=AMBER, zorder=3, label="due to arrive")


def _draw_fan(axes: Axes, fan: FloatArray, period: int, size: Size) -> None:
    edges = period + np.arange(fan.shape[1] + 1) - 0.5
    middle = len(FAN_LEVELS) // 2
    for i, depth in enumerate(FAN_DEPTHS):
        label = "forecast 5–95 %" if i == 1 else None
        axes.stairs(fan[-1 - i], edges, baseline=fan[i], fill=True, color=tint(BLUE, depth), lw=0, label=label)
    axes.hlines(fan[middle], edges[:-1], edges[1:], color=BLUE, lw=1.25 * size.line, label="median")


def draw_orders(axes: Axes, orders: Mapping[str, FloatArray], period: int) -> None:
    """Bars of what was ordered, the kinds on top of each other."""
    base = np.zeros(1)
    for name, placed in orders.items():
        units, edges = _past(placed, period)
        colour = tint(ORDER_COLOURS.get(name, PALE), 0.75)
        _bars(axes, edges[:-1] + 0.5, units, base=base, width=0.7, color=colour, label=name)
        base = base + units
    axes.set_ylim(0.0, 1.2 * max(1.0, float(np.max(base))))


def draw_costs(axes: Axes, costs: Mapping[str, FloatArray]) -> None:
    """Lines of what each kind of cost has come to."""
    highest = 1.0
    for name, cost in costs.items():
        # Cost is known at a period's end: the lines begin at zero where the first period does.
        so_far = np.concatenate([[0.0], np.cumsum(cost)])
        colour, dashes = COST_LINES.get(name, (INK, (0, (4, 1.5, 1, 1.5))))
        axes.plot(np.arange(len(so_far)) - 0.5, so_far, color=colour, ls=dashes, lw=1.8, label=f"{name} cost so far")
        highest = max(highest, float(so_far[-1]))
    axes.set_ylim(0.0, 1.25 * highest)


def draw_capacity(above: Axes, below: Axes, capacity: Capacity, period: int, size: Size) -> None:
    """The price of capacity, and below how much orders took of it."""
    (price, edges), (used, _) = (_past(row, period) for row in (capacity.price, capacity.used))
    above.axhline(0.0, color=PALE, lw=0.8)
    above.stairs(price, edges, baseline=None, color=BLUE, lw=size.line, label="price of capacity")
    _bars(below, edges[:-1] + 0.5, used, width=0.7, color=tint(PALE, 0.75))
    if capacity.limit is not None:
        limit, edges = _past(capacity.limit, period)
        below.stairs(limit, edges, baseline=None, color=RED, lw=size.line, label="limit")
    below.set_ylim(0.0, 1.2 * max(1.0, float(np.max(used))))


def _past(units: FloatArray, period: int) -> tuple[FloatArray, FloatArray]:
    """Return units (..., periods) of the periods just before the current one, and the edges of these periods.

    Before the first period a zero of no width stands for the entry in the legend.
    """
    count = units.shape[-1]
    if not count:
        return np.zeros((*units.shape[:-1], 1)), np.full(2, period - 0.5)
    return units, period - count + np.arange(count + 1) - 0.5


def _bars(
    axes: Axes, periods: FloatArray, units: FloatArray, *, width: float, base: FloatArray | float = 0.0, **style: Any
) -> None:
    """Bars as one shape: a picture of many panels is drawn in half the time."""
    edges = np.stack([periods - width / 2, periods + width / 2], axis=1).ravel()
    floor = np.broadcast_to(base, units.shape)
    top, bottom = (np.stack([row, floor], axis=1).ravel()[:-1] for row in (floor + units, floor))
    axes.stairs(top, edges, baseline=bottom, fill=True, lw=0, **style)
