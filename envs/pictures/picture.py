"""The picture of an episode: stock, the forecast ahead, what is under way, orders and what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray
from ...forecasters.forecast import (
    QuantileForecast,
)
from ..gym.batch import InventoryBatch
from .layout import place_grid, place_large, set_axes, set_scale, write_heading, write_title
from .marks import LARGE, SMALL, draw_ahead, draw_capacity, draw_costs, draw_orders, draw_stock
from .series import Capacity, Column, Episode, History, episode_of, fan_of, latest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 100
WIDTH, HEIGHT = 960, 600

SHOWN_LARGE, SHOWN_SMALL = 52, 40
"""Periods back that are in view; earlier ones are left out, so that the time ahead stays readable."""


def picture(batch: InventoryBatch, history: History) -> NDArray[np.uint8]:
    """Draw a batch's first path up to now: an item, items that share a capacity, or a network.

    Args:
        batch: in the period that comes next.
        history: demand (items or locations,) and outcome (1, items or locations) of every period before it.

    Returns:
        Red, green and blue, shape (600, 960, 3).
    """
    return pixels(draw(episode_of(batch, history)))


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
    width: int = WIDTH,
    height: int = HEIGHT,
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
    item = Column(
        "item 1", net_inventory, demand, None, on_hand, shortfall, {"order": order}, pipeline, fan_of(forecast)[:, 0]
    )
    costs = {"holding": holding, "stock-out": stockout}
    cost = float(np.sum(holding) + np.sum(stockout))
    return pixels(draw(Episode(period, (item,), 0, costs, cost, 0.0), width=width, height=height))


def draw(episode: Episode, *, width: int = WIDTH, height: int = HEIGHT) -> Figure:
    """Return the figure of an episode: one large panel, or a small one for each item or location.

    Args:
        episode: what there is to see.
        width: pixels.
        height: pixels.
    """
    from matplotlib.figure import Figure

    # A hundredth of a pixel more, so that rounding never takes one away.
    inches = ((width + 0.01) / DOTS_PER_INCH, (height + 0.01) / DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor="white")
    single = len(episode.columns) == 1 and episode.capacity is None
    (_draw_large if single else _draw_grid)(figure, latest(episode, SHOWN_LARGE if single else SHOWN_SMALL))
    return figure


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return red, green and blue of a figure, shape (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def align(figures: Sequence[Figure]) -> None:
    """Give figures of one episode the same axes, so that they can follow each other."""
    # Shape (figures, panels, across or upward, from or to).
    reach = np.array([[(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes] for figure in figures])
    low, high = reach[..., 0].min(0), reach[..., 1].max(0)
    for figure in figures:
        for axes, (left, bottom), (right, top) in zip(figure.axes, low, high, strict=True):
            axes.set_xlim(left, right)
            axes.set_ylim(bottom, top)


def _draw_large(figure: Figure, episode: Episode) -> None:
    (column,), period = episode.columns, episode.period
    above = figure.add_subplot()
    below = figure.add_subplot(sharex=above)
    draw_stock(above, column, period, LARGE)
    draw_ahead(above, column, period, LARGE)
    draw_orders(below, column.orders, period)
    money = below.twinx()
    draw_costs(money, episode.costs)
    for axes, label in ((above, "units"), (below, "order, units"), (money, "cost, money")):
        axes.set_ylabel(label)
    below.set_xlabel("period")
    above.tick_params(labelbottom=False)
    set_axes((above, below), episode, LARGE)
    set_scale(money, LARGE)
    money.spines["top"].set_visible(False)
    place_large(figure, (above, below, money))
    write_title(figure, f"Period {period}:  {_standing(column)} · {_paid(episode)}")


def _draw_grid(figure: Figure, episode: Episode) -> None:
    panels = len(episode.columns) + (episode.capacity is not None)
    wide = 2 if panels <= 4 else 3
    pairs = []
    for _ in range(panels):
        above = figure.add_subplot()
        pairs.append((above, figure.add_subplot(sharex=above)))
    for (above, below), column in zip(pairs, episode.columns, strict=False):
        _draw_small(above, below, column, episode.period)
    if episode.capacity is not None:
        _draw_shared(*pairs[-1], episode.capacity, episode.period)
    for pair in pairs:
        set_axes(pair, episode, SMALL)
        pair[0].tick_params(labelbottom=False)
    place_grid(figure, pairs, wide)
    left = f" · {episode.left_out} more not shown" if episode.left_out else ""
    write_title(figure, f"Period {episode.period}:  {_paid(episode)}{left}")


def _draw_small(above: Axes, below: Axes, column: Column, period: int) -> None:
    draw_stock(above, column, period, SMALL)
    draw_ahead(above, column, period, SMALL)
    draw_orders(below, column.orders, period)
    write_heading(above, f"{column.name}:  {_standing(column)}")
    above.set_ylabel("units")
    below.set_ylabel("order")


def _draw_shared(above: Axes, below: Axes, capacity: Capacity, period: int) -> None:
    draw_capacity(above, below, capacity, period, SMALL)
    now = f":  price {_number(capacity.price[-1])} · used {_number(capacity.used[-1])}" if len(capacity.price) else ""
    limit = f" of {_number(capacity.limit[-1])}" if now and capacity.limit is not None else ""
    write_heading(above, f"capacity{now}{limit}")
    above.set_ylabel("money a unit")
    below.set_ylabel("used")


def _standing(column: Column) -> str:
    """What is known of the stock that the period begins with, and what is under way."""
    on_order = f"on order {_number(float(np.sum(column.pipeline)))}"
    if column.net_inventory is not None:
        return f"net inventory {_number(column.net_inventory)} · {on_order}"
    return (f"on hand {_number(float(column.on_hand[-1]))} · " if len(column.on_hand) else "") + on_order


def _paid(episode: Episode) -> str:
    purchases = f" (purchases {_money(episode.purchases)})" if episode.purchases else ""
    return f"cost so far {_money(episode.cost)}{purchases}"


def _money(amount: float) -> str:
    return (f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}").replace("-", "−")


def _number(units: float) -> str:
    # Sums of parts of units are seldom zero to the last digit.
    return f"{round(units, 6) + 0.0:,.4g}".replace("-", "−")
