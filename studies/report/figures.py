"""The figures of a report: each takes a frame and returns an SVG element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...forecasters.plot import draw_demand, draw_fan, draw_sales
from .drawing import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEAL,
    colour_of,
    colours_of,
    draw,
    draw_interval,
    format_thousands,
    frame_intervals,
    label_beside,
    pad_limits,
    part_dots,
    scale_of,
    strip_axes,
)
from .savings import LINES, WIDTH as WIDTH, join_labels, merge_alike, row_places, shorten_labels
from .text import label, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR = 3.0
"""Costs beyond so many times the baseline's are cut off or left out, so that the others can be compared."""
NEAR = 1.6
"""Likewise, where costs are compared by their height."""
COSTS = {
    "holding": ("holding", TEAL),
    "stockout": ("stock-out", RED),
    "ordering": ("ordering", PURPLE),
    "waste": ("waste", SKY),
}
"""Name and colour of each column of costs."""
FORECASTERS = (PURPLE, TEAL, RED, INK, SKY, MUTED)
MARKERS = "osD^vP"


def draw_cost_split(table: pd.DataFrame, *, baseline: str, period: str) -> str:
    """Draw the cost of each policy, split into holding, stock-outs, ordering and waste, cheapest on top.

    Args:
        table: columns policy, cost, holding, stockout, ordering, and waste where there is any (money a period).
        baseline: its name is set bold.
        period: what a period is called, e.g. "week".
    """
    rows = merge_alike(table).sort_values("cost", ascending=False, kind="stable")
    labels = [join_labels(names) for names in rows["policies"]]
    places = row_places(labels)
    rows = rows.assign(waste=0.0) if "waste" not in rows else rows
    paid = rows[list(COSTS)].to_numpy(dtype=float)
    costs = paid.sum(1)
    far = FAR * float(table.loc[table["policy"] == baseline, "cost"].iloc[0])
    limit = float(costs[costs <= far].max()) if (costs <= far).any() else float(costs.max())

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        left = np.zeros(len(rows))
        for column, (name, colour) in COSTS.items():
            part = rows[column].to_numpy(dtype=float)
            if part.any():
                axes.barh(places, part, left=left, color=colour, height=0.66, label=name)
            left = left + part
        for y, total in zip(places, costs, strict=True):
            shown = number(total) + (" →" if total > limit else "")
            axes.annotate(shown, (min(total, limit), y), (4, 0), textcoords="offset points", va="center_baseline")
        axes.set_xlim(0, 1.2 * limit)
        axes.set_xlabel(f"money a {period}, all items")
        format_thousands(axes.xaxis)
        axes.set_yticks(places, labels)
        for text, names in zip(axes.get_yticklabels(), rows["policies"], strict=True):
            text.set_fontweight("bold" if baseline in names else "normal")
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=4,
            borderaxespad=0,
            handlelength=1.0,
            columnspacing=1.2,
            handletextpad=0.5,
        )
        strip_axes(axes, grid="x")

    lines = sum(text.count("\n") for text in labels)
    return draw("split", "Cost of each policy, split by cause", WIDTH, 84 + 26 * len(rows) + 13 * lines, paint)


def draw_service(table: pd.DataFrame, *, baseline: str, period: str, best: str | None = None) -> str:
    """Draw fill rate against cost: right and low is better. Policies alike share a dot, others never hide each other.

    Args:
        table: columns policy, kind, cost (money a period), fill_rate, mean_on_hand.
        baseline: drawn in its own colour; what is far from it, bounds too, is set at the edge with its numbers.
        period: what a period is called.
        best: drawn in blue; the cheapest other policy where None.
    """
    rows = merge_alike(table).sort_values("cost", kind="stable")
    values = np.stack([100 * rows["fill_rate"].to_numpy(dtype=float), rows["cost"].to_numpy(dtype=float)], axis=1)
    near = values[:, 1] <= NEAR * float(table.loc[table["policy"] == baseline, "cost"].iloc[0])
    low, high = pad_limits(values[near & (rows["kind"] == "policy").to_numpy()], np.array([0.5, 1e-6]))
    points = np.clip(values, low, high)
    off = (points != values).any(1)
    own = dict(zip(table["policy"].astype(str), colours_of(table, baseline, best), strict=True))
    colours = [next((own[name] for name in names if own[name] != INK), INK) for names in rows["policies"]]
    labels = [
        shorten_labels(names) + (f": {percent(fill / 100)}, {number(cost)}" if away else "")
        for names, (fill, cost), away in zip(rows["policies"], values, off, strict=True)
    ]
    # Dots closer than their size stand side by side: label and line lead to where the dot really is.
    shown = part_dots(points, (high - low) * np.array([0.03, 0.035]))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for (x, y), colour, away in zip(shown, colours, off, strict=True):
            axes.plot(x, y, "s" if away else "o", color=colour, ms=6.5, zorder=3)
        label_beside(axes, shown, labels, low, high)
        axes.set_xlabel("fill rate, % of demanded units met at once")
        axes.set_ylabel(f"cost, money a {period}")
        format_thousands(axes.yaxis)
        axes.locator_params(axis="x", nbins=5)
        strip_axes(axes)

    return draw("service", "Fill rate and cost of each policy", WIDTH, 310, paint)


def draw_item(
    key: str, paths: pd.DataFrame, fan: pd.DataFrame, history: pd.DataFrame, *, baseline: str, best: str, period: str
) -> str:
    """Draw one item: demand with the forecast made at the first held-out period, stock on hand, and orders.

    Args:
        key: names the figure.
        paths: columns policy, date, demand, on_hand, order; of one item.
        fan: columns date, level, value; one origin of one item; may be empty.
        history: columns date, sales, in_stock; of one item; may be empty.
        baseline: drawn in orange.
        best: drawn in blue.
        period: what a period is called.
    """
    from matplotlib import dates
    from matplotlib.ticker import FixedLocator

    own = [paths[paths["policy"] == name].sort_values("date") for name in dict.fromkeys((baseline, best))]

    def paint(figure: Figure) -> None:
        above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[2.1, 1.2, 1.0])
        _draw_demand(above, own[0], fan, history)
        for place, (rows, colour) in enumerate(zip(own, (ORANGE, BLUE), strict=False)):
            middle.step(rows["date"], rows["on_hand"], where="mid", color=colour, lw=1.7)
            width = 0.38 * _step(rows["date"])
            below.bar(rows["date"] + (place - 0.5) * width, rows["order"], width=width, color=colour)
        above.set_ylabel(f"units a {period}")
        middle.set_ylabel("on hand")
        below.set_ylabel("order")
        for axes in (above, middle, below):
            axes.set_ylim(bottom=0)
            format_thousands(axes.yaxis)
            strip_axes(axes, grid="y")
        made: Any = dates  # what it offers has no types
        locator = made.AutoDateLocator(minticks=3, maxticks=6)
        ticks = locator.tick_values(*made.num2date(below.get_xlim()))
        below.xaxis.set_major_locator(FixedLocator(ticks))  # found once, not at every look at the axis
        below.xaxis.set_major_formatter(made.ConciseDateFormatter(locator))
        figure.align_ylabels()

    return draw(key, "Demand, forecast, stock on hand and orders of one item", WIDTH, 330, paint)


def draw_item_savings(saving: pd.Series[float], *, period: str) -> str:
    """Draw the saving of every item, sorted: below zero are those that are worse off.

    Args:
        saving: money a period, one value an item.
        period: what a period is called.
    """
    values = np.sort(saving.to_numpy(dtype=float))
    rank = np.arange(1, len(values) + 1)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        style: dict[str, Any] = {"step": "mid", "lw": 0, "alpha": 0.85}
        axes.fill_between(rank, np.minimum(values, 0), color=ORANGE, **style)
        axes.fill_between(rank, np.maximum(values, 0), color=BLUE, **style)
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.text(0.98, 0.04, "worse off", transform=axes.transAxes, color=ORANGE, ha="right")
        axes.text(0.02, 0.96, "better off", transform=axes.transAxes, color=BLUE, va="top")
        axes.set_xlim(0.5, len(values) + 0.5)
        axes.set_xlabel("items, from the greatest loss to the greatest gain")
        axes.set_ylabel(f"saving, money a {period}")
        format_thousands(axes.yaxis)
        strip_axes(axes, grid="y")

    return draw("items", "Saving of every item, sorted", WIDTH, 280, paint)


def draw_forecast_value(value: pd.DataFrame, *, baseline: str, best: str, level: float) -> str:
    """Draw the saving of each policy on each forecaster.

    Args:
        value: columns forecaster, policy, saving, saving_low, saving_high.
        baseline: drawn in orange.
        best: drawn in blue.
        level: of the intervals.
    """
    order = value.groupby("forecaster")["saving"].max().sort_values(kind="stable")
    policies = list(dict.fromkeys(value["policy"]))
    scale = scale_of(100 * value[["saving_low", "saving", "saving_high"]].to_numpy(dtype=float))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for i, policy in enumerate(policies):
            own = colour_of(str(policy), baseline=baseline, best=best)
            colour, shift = LINES[i % len(LINES)] if own == INK else own, 0.26 * (i - (len(policies) - 1) / 2)
            axes.plot([], [], "o-", color=colour, lw=2.2, ms=7, label=label(str(policy)))
            rows = value[value["policy"] == policy].set_index("forecaster")
            for y, name in enumerate(order.index):
                if name in rows.index:
                    point = 100 * rows.loc[name, ["saving_low", "saving", "saving_high"]].to_numpy(dtype=float)
                    draw_interval(axes, point, y + shift, scale, colour)
        frame_intervals(axes, [label(str(name)) for name in order.index], scale)
        axes.set_xlabel(f"saving, % of the headline baseline’s cost, {percent(level, 0)} interval")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0)

    return draw("value", "Saving by forecaster and policy", WIDTH, 90 + 46 * len(order), paint)


def draw_calibration(scores: pd.DataFrame) -> str:
    """Draw the share of demand at or below each forecast quantile; on the diagonal the quantiles are right.

    Args:
        scores: columns forecaster, level, coverage; one row each.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=MUTED, lw=1.0, ls=(0, (4, 3)))
        for i, (name, rows) in enumerate(scores.groupby("forecaster", sort=False)):
            rows = rows.sort_values("level")
            mark: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "ms": 4.5, "lw": 1.5}
            axes.plot(
                100 * rows["level"], 100 * rows["coverage"], label=label(str(name)), color=FORECASTERS[i % 6], **mark
            )
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 102)
        axes.set_xlabel("quantile level, %")
        axes.set_ylabel("demand at or below it, %")
        axes.legend(loc="lower right")
        strip_axes(axes)

    return draw("calibration", "Coverage of the forecast quantiles against their level", WIDTH, 330, paint)


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["policy"].astype(str), rows["kind"].astype(str), strict=True))


def _draw_demand(axes: Axes, rows: pd.DataFrame, fan: pd.DataFrame, history: pd.DataFrame) -> None:
    draw_fan(axes, fan)
    start = rows["date"].min()
    axes.axvline(start - _step(rows["date"]) / 2, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    if len(history):
        draw_sales(axes, history[history["date"] < start].sort_values("date").tail(len(rows)))
    draw_demand(axes, rows["date"], rows["demand"])


def _step(dates: pd.Series[pd.Timestamp]) -> Any:
    return (dates.iloc[-1] - dates.iloc[0]) / max(len(dates) - 1, 1) if len(dates) > 1 else pd.Timedelta(days=1)
