"""The picture of an episode: stock, the forecast ahead, what is under way, orders and what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from .core.params import ItemParams
from .core.period import system_of
from .core.system import first_path
from .gym.batch import InventoryBatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[tuple[FloatArray, Any]]
"""Demand (columns,) and outcome (1, columns) of each period so far."""

FAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels that a forecast is drawn with, symmetric around the median."""

MOST_PANELS = 6
"""Panels that can be read in one picture; further items or locations are left out, and the title says how many."""

WIDTH, HEIGHT, DOTS_PER_INCH = 960, 600, 100
IN_VIEW = 52, 40
"""Periods back that are in view, of one item and of several; earlier ones would squeeze the time ahead."""

INK, GREY, PALE = "#1f2933", "#5a6775", "#838d98"
BLUE, AMBER, TEAL, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#a8578a", "#56b4e9"
"""After Okabe and Ito: the colour-blind can tell them apart, too."""
ORDER_COLOURS = {"expedited order": PURPLE, "transshipment": SKY}
COST_COLOURS = {"holding": TEAL, "stock-out": RED, "waste": PURPLE}


class Column(NamedTuple):
    """One item or location in units: the periods so far, each (periods,), and what is known of the time ahead."""

    name: str
    net_inventory: float  # that the current period begins with
    demand: FloatArray | None  # None where none occurs
    sent: FloatArray | None  # shipped on to other locations; None where it supplies none
    on_hand: FloatArray  # at each period's end
    shortfall: FloatArray  # at each period's end
    orders: dict[str, FloatArray]  # ordered, or shipped into it, by kind of order
    pipeline: FloatArray  # arrives in 0, 1, … periods, (slots,)
    fan: FloatArray | None = None  # forecast quantiles at `FAN_LEVELS`, (levels, horizon)
    by_life: FloatArray | None = None  # can be sold, by remaining life, the oldest first, (ages, periods)
    waste: FloatArray | None = None  # perished; None where nothing does


class Capacity(NamedTuple):
    """What items share, in each period so far, each (periods,)."""

    price: FloatArray  # money that a further unit of capacity would have been worth [λ]
    used: FloatArray  # capacity that orders took
    limit: FloatArray | None  # what there was; None where stock takes of it, too


class Episode(NamedTuple):
    """An episode up to now."""

    period: int  # periods that are over; the next order is placed in it [t]
    columns: tuple[Column, ...]  # items or locations in the picture
    left_out: int  # how many more there are
    costs: dict[str, FloatArray]  # what is paid for, e.g. "holding": money over all columns, (periods,)
    cost: float  # all that was paid so far, less revenue, money
    purchases: float  # of it, what units cost; it goes with demand and would dwarf the other costs: no line
    capacity: Capacity | None = None  # what items share

    @property
    def ahead(self) -> int:
        """Periods ahead that anything is known of, at least one."""
        fans = (0 if column.fan is None else column.fan.shape[1] for column in self.columns)
        return max(1, *fans, *(len(column.pipeline) for column in self.columns))

    def latest(self, periods: int) -> Episode:
        """Return an episode whose panels show the latest periods only; what it has cost stays whole."""

        def cut(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: units[-periods:] for name, units in value.items()}
            return None if value is None else value[..., -periods:]

        past = ("demand", "sent", "on_hand", "shortfall", "orders", "by_life", "waste")
        columns = tuple(c._replace(**{name: cut(getattr(c, name)) for name in past}) for c in self.columns)
        capacity = None if self.capacity is None else Capacity(*map(cut, self.capacity))
        return self._replace(columns=columns, capacity=capacity)


def episode_of(batch: InventoryBatch, history: History) -> Episode:
    """Return what there is to see of a batch's first path.

    Args:
        batch: in the period that comes next.
        history: demand and outcome of every period before it.
    """
    obs, params, columns = batch.observe(), batch.params, batch.columns
    system, shared = system_of(params), getattr(params, "capacity", None)
    order = _outcomes(history, "order", batch.orders)
    on_hand, shortfall = _outcomes(history, "on_hand", columns), _outcomes(history, "shortfall", columns)
    demand = np.stack([row for row, _ in history], axis=1) if history else np.zeros((columns, 0))
    where = np.arange(columns) if system.demand_at is None else system.demand_at
    fans: dict[int, FloatArray] = {}
    if obs.forecast is not None:
        fan = np.stack([obs.forecast.quantile(level)[:, 0] for level in FAN_LEVELS])
        fans = {int(column): fan[:, i] for i, column in enumerate(where)}
    supplies, sent = system.shipped_out(np.ones(batch.orders)) > 0, system.shipped_out(order.T).T
    waste = life = None
    paid = {"holding": ("holding_cost", on_hand), "stock-out": ("stockout_cost", shortfall)}
    if obs.stock is not None:
        waste, life = _outcomes(history, "waste", columns), stock_by_life(params, history, columns)
        paid["waste"] = ("waste_cost", waste)
    rates = system.stock or params  # a system of a user's own may name its costs, or not
    costs = {k: first_path(getattr(rates, rate), columns) @ x for k, (rate, x) in paid.items() if hasattr(rates, rate)}
    fixed, unit = system.order_costs(columns)
    if np.any(fixed):
        costs["fixed order"] = fixed @ (order > 0)
    capacity = None
    if shared is not None:
        limit: Any = np.ravel(shared.limit)[0]
        if batch.scenario.capacity is not None:
            limit = batch.scenario.capacity[0, : len(history)]
        limits = np.broadcast_to(limit, len(history)) if shared.limited == "orders" else None
        used = first_path(shared.use, batch.orders) @ order
        capacity = Capacity(_outcomes(history, "capacity_price", 1)[0], used, limits)
    shown = [
        Column(
            name=system.column_names(columns)[i],
            net_inventory=float(obs.net_inventory[0, i]),
            demand=demand[i] if i in where else None,
            sent=sent[i] if supplies[i] else None,
            on_hand=on_hand[i],
            shortfall=shortfall[i],
            orders=system.orders_by_kind(order, i),
            pipeline=obs.pipeline[:, 0, i],
            fan=fans.get(i),
            by_life=None if life is None else life[:, i],
            waste=None if waste is None else waste[i],
        )
        for i in range(min(columns, MOST_PANELS - (shared is not None)))
    ]
    return Episode(
        period=batch.period,
        columns=tuple(shown),
        left_out=columns - len(shown),
        costs=costs,
        cost=float(sum(np.sum(outcome.cost) for _, outcome in history)),
        purchases=float(np.sum(unit @ order)),
        capacity=capacity,
    )


def _outcomes(history: History, name: str, columns: int) -> FloatArray:
    """Return a field of the outcomes, shape (columns, periods)."""
    rows = [getattr(outcome, name)[0] for _, outcome in history]
    return np.stack(rows, axis=1) if rows else np.zeros((columns, 0))


def stock_by_life(params: ItemParams, history: History, items: int) -> FloatArray:
    """Return the units that could be sold in each period, by remaining life, shape (ages, items, periods).

    Outcomes do not hold them: the physics is run again on what arrived, from the fresh stock that episodes begin with.

    Args:
        params: of items whose stock perishes.
        history: demand and outcome of every period of the episode.
        items: number of items.
    """
    if not history:
        return np.zeros((params.ages, items, 0))
    # What arrived is ordered without lead time, and no rule about orders changes it.
    system = system_of(replace(params, lead_time=0, pack_size=None, minimum_order=None, maximum_order=None))
    none, (demand, out) = np.zeros((0, 1, 1)), history[0]
    state = system.fresh_state(out.on_hand - out.shortfall + out.waste - out.received + demand, none)
    seen = []
    for demand, out in history:
        seen.append((state.stock + system.fresh_state(out.received, none).stock)[:, 0])
        state, _ = system.step(state, out.received, demand[None])
    return np.stack(seen, axis=-1)


def picture(batch: InventoryBatch, history: History) -> NDArray[np.uint8]:
    """Draw a batch's first path up to now: an item, items that share a capacity, or a network.

    Args:
        batch: in the period that comes next.
        history: demand (items or locations,) and outcome (1, items or locations) of every period before it.

    Returns:
        Red, green and blue, shape (600, 960, 3).
    """
    return pixels(draw(episode_of(batch, history)))


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return red, green and blue of a figure, shape (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def draw(episode: Episode, *, width: int = WIDTH, height: int = HEIGHT) -> Figure:
    """Return the figure of an episode: for each item or location stock above orders, and a panel for what they share.

    Args:
        episode: what there is to see.
        width: pixels.
        height: pixels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    single = len(episode.columns) == 1 and episode.capacity is None
    episode = episode.latest(IN_VIEW[not single])
    panels, now = len(episode.columns) + (episode.capacity is not None), episode.period - 0.5
    wide = 1 if single else 2 if panels <= 4 else 3
    tall = -(-panels // wide)
    # A hundredth of a pixel more, so that rounding never takes one away.
    inches = ((width + 0.01) / DOTS_PER_INCH, (height + 0.01) / DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
    grid = figure.subplots(2 * tall, wide, squeeze=False, height_ratios=[7, 3] * tall, sharex=True)
    pairs = grid.reshape(tall, 2, wide).transpose(0, 2, 1).reshape(-1, 2)
    for unused in pairs[panels:].flat:
        unused.remove()
    for (above, below), column in zip(pairs, episode.columns, strict=False):
        _draw_stock(above, column, episode.period)
        _draw_orders(below, column.orders, episode.period)
        if not single:
            above.set_title(f"{column.name}:  {_standing(column)}", fontsize=9, loc="left", color=INK, pad=3)
    if episode.capacity is not None:
        above, below = pairs[panels - 1]
        _draw_capacity(above, below, episode)
    for axes in pairs[:panels].flat:
        axes.axvline(now, color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dde3e9", lw=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8.5)
    for i, (_, below) in enumerate(pairs[:panels]):
        below.tick_params(labelbottom=True)
        below.set_xlabel("period" if i + wide >= panels else "", fontsize=9)
    first = now - max(len(column.on_hand) for column in episode.columns)
    grid[0, 0].set_xlim(first - 0.1, now + episode.ahead + 0.1)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if single:
        pairs[0][1].set_ylabel("order, units")
        _draw_costs(pairs[0][1].twinx(), episode.costs)
    _write_legend(figure, episode, f"{_standing(episode.columns[0])} · " if single else "")
    return figure


def align(figures: Sequence[Figure]) -> None:
    """Give figures of one episode the same axes, so that they can follow each other."""
    # Shape (figures, panels, across or upward, from or to).
    reach = np.array([[(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes] for figure in figures])
    low, high = reach[..., 0].min(0), reach[..., 1].max(0)
    for figure in figures:
        for axes, (left, bottom), (right, top) in zip(figure.axes, low, high, strict=True):
            axes.set_xlim(left, right)
            axes.set_ylim(bottom, top)


def _write_legend(figure: Figure, episode: Episode, standing: str) -> None:
    """Write the title, and below it every kind of line or area once."""
    purchases = f" (purchases {_money(episode.purchases)})" if episode.purchases else ""
    left_out = f" · {episode.left_out} more not shown" if episode.left_out else ""
    title = f"Period {episode.period}:  {standing}cost so far {_money(episode.cost)}{purchases}{left_out}"
    found: dict[str, Any] = {}
    for axes in figure.axes:
        found |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    place: dict[str, Any] = {"loc": "outside upper left", "ncols": 5, "frameon": False, "borderaxespad": 0.2}
    text: dict[str, Any] = {"fontsize": 9, "handlelength": 1.3, "columnspacing": 1.2, "handletextpad": 0.5}
    legend = figure.legend(found.values(), found, title=title, alignment="left", **place, **text)
    legend.get_title().set(fontsize=12, fontweight="bold", color=INK)


def _draw_stock(axes: Axes, column: Column, period: int) -> None:
    """Draw stock at each period's end, what was short or perished below zero, demand, and the time ahead."""
    axes.axhline(0.0, color=GREY, lw=0.8)
    units, edges = _past(column.on_hand, period)
    if column.by_life is None:
        axes.stairs(units, edges, fill=True, color=TEAL, alpha=0.18, lw=0)
        axes.stairs(units, edges, baseline=None, color=TEAL, lw=1.4, label="on hand")
    else:
        layers, base = _past(column.by_life, period)[0], 0.0 * units
        depths = np.linspace(0.65, 0.2, len(layers))
        for age, (layer, depth) in enumerate(zip(layers, depths, strict=True)):
            label = {len(layers) - 1: "on hand, just arrived", 0: "on hand, last period"}.get(age)
            axes.stairs(base + layer, edges, baseline=base, fill=True, color=TEAL, alpha=depth, lw=0, label=label)
            base = base + layer
    for lost, label, colour in ((column.shortfall, "shortfall", RED), (column.waste, "perished", PURPLE)):
        if lost is not None:
            axes.stairs(-_past(lost, period)[0], edges, fill=True, color=colour, alpha=0.75, lw=0, label=label)
    for asked, label, face in ((column.demand, "demand", INK), (column.sent, "shipped on", "white")):
        if asked is not None:
            periods = period - len(asked) + np.arange(len(asked))
            axes.plot(periods, asked, color=INK, lw=0.8, marker="o", ms=2.6, mfc=face, mew=0.7, label=label)
    if column.fan is not None:
        ahead, middle = period + np.arange(column.fan.shape[1] + 1) - 0.5, len(column.fan) // 2
        for i in range(middle):
            label = "forecast 5–95 %" if i == 0 else None
            band = {"baseline": column.fan[i], "fill": True, "color": BLUE, "alpha": 0.22, "lw": 0, "label": label}
            axes.stairs(column.fan[-1 - i], ahead, **band)
        axes.hlines(column.fan[middle], ahead[:-1], ahead[1:], color=BLUE, lw=1.8, label="median")
    if len(column.pipeline):
        due = period + np.arange(float(len(column.pipeline)))
        _bars(axes, due, column.pipeline, width=0.5, color=AMBER, zorder=3, label="due to arrive")
    axes.set_ylabel("units", fontsize=9)


def _draw_orders(axes: Axes, orders: dict[str, FloatArray], period: int) -> None:
    """Draw what was ordered in each period, the kinds on top of each other."""
    base = np.zeros(1)
    for name, placed in orders.items():
        units, edges = _past(placed, period)
        colour = ORDER_COLOURS.get(name, PALE)
        _bars(axes, edges[:-1] + 0.5, units, base, width=0.7, color=colour, label=name)
        base = base + units
    axes.set_ylim(0.0, 1.2 * max(1.0, float(np.max(base))))
    axes.set_ylabel("order", fontsize=9)


def _draw_costs(axes: Axes, costs: dict[str, FloatArray]) -> None:
    """Draw what each kind of cost has come to."""
    for (name, cost), dashes in zip(costs.items(), ("-", "--", ":", "-."), strict=False):
        # Cost is known at a period's end: the lines begin at zero where the first period does.
        so_far = np.concatenate([[0.0], np.cumsum(cost)])
        label, colour = f"{name} cost so far", COST_COLOURS.get(name, INK)
        axes.plot(np.arange(len(so_far)) - 0.5, so_far, color=colour, ls=dashes, lw=1.8, label=label)
    axes.set_ylim(0.0, 1.25 * max(1.0, *(float(np.sum(cost)) for cost in costs.values())) if costs else 1.0)
    axes.set_ylabel("cost, money", fontsize=9)
    axes.tick_params(labelsize=8.5)
    axes.spines["top"].set_visible(False)


def _draw_capacity(above: Axes, below: Axes, episode: Episode) -> None:
    """Draw the price of capacity, and below how much orders took of it."""
    shared, heading = episode.capacity, "capacity"
    assert shared is not None
    if len(shared.price):
        limit = "" if shared.limit is None else f" of {_number(shared.limit[-1])}"
        heading += f":  price {_number(shared.price[-1])} · used {_number(shared.used[-1])}{limit}"
    (price, edges), (used, _) = (_past(row, episode.period) for row in (shared.price, shared.used))
    above.axhline(0.0, color=GREY, lw=0.8)
    above.stairs(price, edges, baseline=None, color=BLUE, lw=1.4, label="price of capacity")
    _bars(below, edges[:-1] + 0.5, used, width=0.7, color=PALE)
    if shared.limit is not None:
        below.stairs(_past(shared.limit, episode.period)[0], edges, baseline=None, color=RED, lw=1.4, label="limit")
    above.set_title(heading, fontsize=9, loc="left", color=INK, pad=3)
    above.set_ylabel("money a unit", fontsize=9)
    below.set_ylabel("used", fontsize=9)


def _bars(
    axes: Axes, periods: FloatArray, units: FloatArray, base: FloatArray | float = 0.0, *, width: float, **style: Any
) -> None:
    """Draw bars as one shape, with gaps between them: that takes half the time of a patch for each."""
    edges = np.stack([periods - width / 2, periods + width / 2], axis=1).ravel()
    floor = np.repeat(np.broadcast_to(base, units.shape), 2)[:-1]
    top = floor.copy()
    top[::2] += units
    axes.stairs(top, edges, baseline=floor, fill=True, lw=0, **style)


def _past(units: FloatArray, period: int) -> tuple[FloatArray, FloatArray]:
    """Return units (..., periods) of the periods just before the current one, and the edges of these periods.

    Before the first period a zero of no width stands for the entry in the legend.
    """
    count = units.shape[-1]
    if not count:
        return np.zeros((*units.shape[:-1], 1)), np.full(2, period - 0.5)
    return units, period - count + np.arange(count + 1) - 0.5


def _standing(column: Column) -> str:
    return f"net inventory {_number(column.net_inventory)} · on order {_number(float(np.sum(column.pipeline)))}"


def _money(amount: float) -> str:
    return (f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}").replace("-", "−")


def _number(units: float) -> str:
    # Sums of parts of units are seldom zero to the last digit.
    return f"{round(units, 6) + 0.0:,.4g}".replace("-", "−")
