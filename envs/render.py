"""The picture of an episode: stock, the forecast ahead, what is under way, orders and what it has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..forecasters.forecast import FloatArray, QuantileForecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = ((0.05, 0.95), (0.1, 0.9), (0.25, 0.75))
"""Pairs of quantile levels that the fan is drawn between, the widest first."""

INK, PALE = "#22303c", "#5b6b7a"
BLUE, TEAL, RED, AMBER = "#2f6db3", "#1f8a70", "#c8443a", "#d99a1c"
DOTS_PER_INCH = 100

SHOWN = 52
"""Periods back that are in view; earlier ones are left out, so that the time ahead stays readable."""


def render_episode(
    *,
    demand: FloatArray,
    order: FloatArray,
    on_hand: FloatArray,
    shortfall: FloatArray,
    holding: FloatArray,
    stockout: FloatArray,
    pipeline: FloatArray,
    forecast: QuantileForecast,
    period: int,
    net_inventory: float | None = None,
    width: int = 960,
    height: int = 600,
) -> NDArray[np.uint8]:
    """Draw one item's episode up to now, and what is known of the time ahead.

    Above: demand, stock on hand and shortfall so far; behind the line of now the forecast's quantile bands and
    what is due to arrive. Below: orders, and what holding and stock-outs have cost in all.

    Args:
        demand: units in each period so far, shape (period,). [D]
        order: units ordered, shape (period,). [q]
        on_hand: units in stock at each period's end, shape (period,).
        shortfall: units short at each period's end, shape (period,).
        holding: holding cost of each period, money, shape (period,).
        stockout: stock-out cost of each period, money, shape (period,).
        pipeline: units that arrive in 0, 1, … periods, shape (slots,).
        forecast: made before this period's demand; its first item and origin are drawn.
        period: periods that are over; the next order is placed in it. [t]
        net_inventory: units with which the period begins; the title shows the last stock on hand where None, since
            a shortfall may be lost or outstanding.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        Red, green and blue, shape (height, width, 3).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A hundredth of a pixel more, so that rounding never takes one away.
    inches = ((width + 0.01) / DOTS_PER_INCH, (height + 0.01) / DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.1, 1.0])
    _draw_stock(above, demand, on_hand, shortfall)
    _draw_ahead(above, pipeline, forecast, period)
    _draw_costs(below, order, holding, stockout)
    _set_frame(above, below, period, max(forecast.horizon, len(pipeline)))
    standing = _standing(on_hand, net_inventory)
    _set_title(figure, period, standing, float(np.sum(pipeline)), float(np.sum(holding) + np.sum(stockout)))
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _draw_stock(axes: Axes, demand: FloatArray, on_hand: FloatArray, shortfall: FloatArray) -> None:
    past = np.arange(len(demand))
    edges = np.arange(len(demand) + 1) - 0.5
    if len(past):
        axes.stairs(on_hand, edges, fill=True, color=TEAL, alpha=0.16)
        axes.stairs(on_hand, edges, baseline=None, color=TEAL, lw=1.6, label="on hand")
        axes.stairs(-shortfall, edges, fill=True, color=RED, alpha=0.55, label="shortfall")
        axes.plot(past, demand, color=INK, lw=1.1, marker="o", ms=3.2, label="demand")
    axes.axhline(0.0, color=PALE, lw=0.8)


def _draw_ahead(axes: Axes, pipeline: FloatArray, forecast: QuantileForecast, period: int) -> None:
    """The forecast's fan and the arrivals due, from the current period on."""
    edges = period + np.arange(forecast.horizon + 1) - 0.5
    for low, high in BANDS:
        lower, upper = (forecast.quantile(level)[0, 0] for level in (low, high))
        axes.stairs(upper, edges, baseline=lower, fill=True, color=BLUE, alpha=0.22, lw=0)
    axes.fill_between([], [], [], color=BLUE, alpha=0.4, lw=0, label="forecast 5–95, 10–90, 25–75 %")
    middle = forecast.quantile(0.5)[0, 0]
    axes.hlines(middle, edges[:-1], edges[1:], color=BLUE, lw=2.0, label="median")
    if len(pipeline):
        due = period + np.arange(len(pipeline))
        style: dict[str, Any] = {
            "width": 0.34,
            "color": AMBER,
            "alpha": 0.85,
            "edgecolor": "white",
            "lw": 0.6,
            "zorder": 3,
        }
        axes.bar(due, pipeline, label="due to arrive", **style)


def _draw_costs(axes: Axes, order: FloatArray, holding: FloatArray, stockout: FloatArray) -> None:
    past = np.arange(len(order))
    # Before the first order a bar of height zero stands for its entry in the legend.
    axes.bar(
        past if len(past) else [0], order if len(past) else [0.0], width=0.7, color=PALE, alpha=0.55, label="order"
    )
    money: Any = axes.twinx()
    # Cost is known at a period's end: the lines begin at zero where the first period does.
    ends = np.arange(len(past) + 1) - 0.5
    held, short = (np.concatenate([[0.0], np.cumsum(cost)]) for cost in (holding, stockout))
    money.plot(ends, held, color=TEAL, lw=1.8, label="holding cost so far")
    money.plot(ends, short, color=RED, lw=1.8, label="stock-out cost so far")
    axes.set_ylabel("order, units")
    money.set_ylabel("cost, money")
    axes.set_ylim(0.0, 1.25 * max(1.0, float(np.max(order, initial=0.0))))
    money.set_ylim(0.0, 1.25 * max(1.0, float(held[-1]), float(short[-1])))
    money.spines["top"].set_visible(False)
    _legend(axes, *(a + b for a, b in zip(_entries(axes), _entries(money), strict=True)))


def _set_frame(above: Axes, below: Axes, period: int, ahead: int) -> None:
    from matplotlib.ticker import MaxNLocator

    above.set_ylabel("units")
    above.margins(y=0.08)
    below.set_xlabel("period")
    below.set_xlim(max(0, period - SHOWN) - 0.6, period + max(ahead, 1) - 0.4)
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, below):
        axes.axvline(period - 0.5, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.spines["top"].set_visible(False)
        axes.grid(axis="y", color="#e3e8ec", lw=0.7)
        axes.set_axisbelow(True)
    above.spines["right"].set_visible(False)
    _legend(above, *_entries(above))


def _set_title(figure: Figure, period: int, standing: str, on_order: float, cost: float) -> None:
    text = f"Period {period}:  {standing}on order {on_order:,.4g} · holding and stock-out cost {cost:,.6g}"
    figure.suptitle(text, x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")


def _standing(on_hand: FloatArray, net_inventory: float | None) -> str:
    """What is known of the stock that the period begins with."""
    if net_inventory is not None:
        return f"net inventory {net_inventory:,.4g} · "
    return f"on hand {float(on_hand[-1]):,.4g} · " if len(on_hand) else ""


def _entries(axes: Axes) -> tuple[list[Any], list[Any]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(handles), list(labels)


def _legend(axes: Axes, handles: list[Any], labels: list[Any]) -> None:
    """A row of entries above the panel, where nothing is covered."""
    place: dict[str, Any] = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "borderaxespad": 0.2,
        "ncols": len(labels),
    }
    spacing: dict[str, Any] = {"handlelength": 1.4, "columnspacing": 1.3}
    legend = axes.legend(handles, labels, frameon=False, fontsize=9, **place, **spacing)
    # The layout leaves room above for it, and would make the panel narrower for a long row.
    legend.set_in_layout(False)
    axes.set_title(" ", fontsize=12)
