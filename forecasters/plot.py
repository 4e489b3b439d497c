"""The fan chart of a forecast: its median, bands between its quantiles, and the sales around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import FractileError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .data.panel import SalesPanel

INK, MUTED, PAPER, SKY = "#1f2933", "#5a6775", "#fefefe", "#56b4e9"
"""Colours of demand, of what was before, of the page, and of forecasts."""
FAN = ((0.05, 0.95), (0.1, 0.9), (0.2, 0.8), (0.3, 0.7), (0.4, 0.6))
"""Pairs of levels that a fan is drawn between, as far as the forecast has them."""
FAN_LEVELS = tuple(sorted({0.5, *(level for pair in FAN for level in pair)}))
"""All levels of a fan, with the median."""
PAST = 3
"""Horizons of history that are drawn before a forecast."""


def draw_fan(axes: Axes, fan: pd.DataFrame, *, x: str = "date") -> None:
    """Draw the median of a forecast and bands between its quantiles.

    Args:
        axes: to draw on.
        fan: of one item and origin, columns `level`, `value` (units) and the one named by `x`; may be empty.
        x: column of the periods: dates or numbers.
    """
    table = fan.pivot(index=x, columns="level", values="value") if len(fan) else pd.DataFrame()
    have = {round(float(level), 6): level for level in table.columns}
    for low, high in FAN:
        if low in have and high in have:
            axes.fill_between(table.index, table[have[low]], table[have[high]], color=SKY, alpha=0.2, lw=0)
    if 0.5 in have:
        axes.plot(table.index, table[have[0.5]], color=SKY, lw=1.6, label="forecast")


def draw_sales(axes: Axes, history: pd.DataFrame, *, x: str = "date") -> None:
    """Draw sales before a forecast; a hollow dot where the item was out of stock.

    Args:
        axes: to draw on.
        history: of one item, columns `sales` (units), `in_stock` and the one named by `x`; may be empty.
        x: column of the periods.
    """
    if not len(history):
        return
    axes.plot(history[x], history["sales"], color=MUTED, lw=1.0, label="sales before")
    out = history[~history["in_stock"].astype(bool)]
    axes.plot(out[x], out["sales"], "o", color=MUTED, mfc=PAPER, ms=4)


def draw_demand(axes: Axes, periods: Any, demand: Any, *, name: str = "demand") -> None:
    """Draw what came, period by period.

    Args:
        axes: to draw on.
        periods: dates or numbers.
        demand: units, as many.
        name: for a legend.
    """
    axes.plot(periods, demand, color=INK, lw=1.3, marker="o", ms=3.2, label=name)


def check_plotted(item: str, items: Sequence[str], panel: SalesPanel | None) -> None:
    """Raise a `FractileError` where a forecast, or its panel, has no such item."""
    for place, known in (("the forecast", items), ("the panel", panel.item_ids if panel else (item,))):
        if item not in known:
            raise FractileError(f"item {item!r} is none of {place}'s{did_you_mean(item, known)}")


def plot_forecast(fan: pd.DataFrame, panel: SalesPanel | None, item: str, ax: Axes | None) -> Axes:
    """Draw the fan chart of one item and origin: see `QuantileForecast.plot`.

    Args:
        fan: `to_frame` of one item and origin.
        panel: the history, or None.
        item: its id.
        ax: to draw on; None: a new figure.
    """
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=(7.0, 3.5), layout="constrained")[1]
    fan = fan.assign(period=fan["origin"] + fan["horizon"] - 1)
    first, last = int(fan["period"].min()), int(fan["period"].max())
    x = "date" if "date" in fan and panel is not None else "period"
    draw_fan(ax, fan, x=x)
    if x == "date":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        short = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # whole dates would cover each other
        ax.xaxis.set_major_formatter(short)
    if panel is not None:
        begin, row = max(0, first - PAST * (last - first + 1)), panel.item_ids.index(item)
        periods = np.arange(begin, min(last + 1, panel.periods))
        own = {"period": periods, "date": panel.dates[periods]}
        sales = pd.DataFrame(own | {name: getattr(panel, name)[row, periods] for name in ("sales", "in_stock")})
        draw_sales(ax, sales[sales["period"] < first], x=x)
        after = sales[sales["period"] >= first]
        if len(after):
            draw_demand(ax, after[x], after["sales"], name="sales after")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("units")
    ax.set_title(item)
    ax.legend(frameon=False)
    return ax
