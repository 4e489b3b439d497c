"""What the picture of an episode shows: numbers by location or item, taken from a batch and what it has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from ...forecasters.forecast import (
    QuantileForecast,
)
from ..core.params import ItemParams
from ..core.period import system_of
from ..gym.batch import InventoryBatch
from ..networks.network import Network
from ..systems.perishable import perishable_step

History = Sequence[tuple[FloatArray, Any]]
"""Demand (columns,) and outcome (1, columns) of each period so far."""

FAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels that a forecast is drawn with, symmetric around the median."""

MOST_PANELS = 6
"""Panels that can be read in one picture; further items or locations are left out, and that is said."""


class Column(NamedTuple):
    """One item or location: what it has done in each period so far, and what is known of the time ahead.

    Attributes:
        name: of the item or location.
        net_inventory: units that the current period begins with. None = not known apart from the last period's end.
        demand: units, shape (periods,); None where none occurs.
        sent: units shipped on to other locations, shape (periods,); None where it supplies none.
        on_hand: units at each period's end, shape (periods,).
        shortfall: units short at each period's end, shape (periods,).
        orders: units ordered, or shipped into it, by kind of order, each of shape (periods,).
        pipeline: units that arrive in 0, 1, … periods, shape (slots,).
        fan: forecast quantiles at `FAN_LEVELS`, units, shape (levels, horizon); None where nothing is forecast.
        by_life: units that can be sold in each period, by remaining life, the oldest first, shape (ages, periods);
            None where nothing perishes.
        waste: units that perished, shape (periods,); None where nothing does.
    """

    name: str
    net_inventory: float | None
    demand: FloatArray | None
    sent: FloatArray | None
    on_hand: FloatArray
    shortfall: FloatArray
    orders: dict[str, FloatArray]
    pipeline: FloatArray
    fan: FloatArray | None = None
    by_life: FloatArray | None = None
    waste: FloatArray | None = None


class Capacity(NamedTuple):
    """What items share, in each period so far.

    Attributes:
        price: money that a further unit of capacity would have been worth, shape (periods,). [λ]
        used: capacity that orders took, shape (periods,).
        limit: what there was, shape (periods,); None where stock takes of it, too.
    """

    price: FloatArray
    used: FloatArray
    limit: FloatArray | None


class Episode(NamedTuple):
    """An episode up to now.

    Attributes:
        period: periods that are over; the next order is placed in it. [t]
        columns: items or locations that are shown.
        left_out: how many more there are.
        costs: what is paid for, e.g. "holding": money in each period over all columns, shape (periods,).
        cost: all that was paid so far, less revenue, money.
        purchases: of it, what units cost, money; 0 where they are free.
        capacity: what items share; None = nothing.
    """

    period: int
    columns: tuple[Column, ...]
    left_out: int
    costs: dict[str, FloatArray]
    cost: float
    purchases: float
    capacity: Capacity | None = None


def episode_of(batch: InventoryBatch, history: History) -> Episode:
    """Return what there is to see of a batch's first path.

    Args:
        batch: in the period that comes next.
        history: demand and outcome of every period before it.
    """
    capacity = _capacity(batch, history)
    shown = min(batch.columns, MOST_PANELS - (capacity is not None))
    costs, purchases = _costs(batch.params, history, batch.columns)
    return Episode(
        period=batch.period,
        columns=_columns(batch, history, shown),
        left_out=batch.columns - shown,
        costs=costs,
        cost=float(sum(np.sum(outcome.cost) for _, outcome in history)),
        purchases=purchases,
        capacity=capacity,
    )


def fan_of(forecast: QuantileForecast) -> FloatArray:
    """Return a forecast's quantiles at `FAN_LEVELS`, units, shape (levels, items, horizon); of its first origin."""
    return np.stack([forecast.quantile(level)[:, 0] for level in FAN_LEVELS])


def reach_of(episode: Episode) -> int:
    """Return how many periods ahead anything is known of, at least one."""
    forecast = max(0 if column.fan is None else column.fan.shape[1] for column in episode.columns)
    return max(forecast, 1, *(len(column.pipeline) for column in episode.columns))


def latest(episode: Episode, periods: int) -> Episode:
    """Return an episode whose panels show the latest periods only; what it has cost stays whole."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: units[-periods:] for name, units in value.items()}
        return None if value is None else value[..., -periods:]

    past = ("demand", "sent", "on_hand", "shortfall", "orders", "by_life", "waste")
    columns = tuple(c._replace(**{name: cut(getattr(c, name)) for name in past}) for c in episode.columns)
    capacity = None if episode.capacity is None else Capacity(*map(cut, episode.capacity))
    return episode._replace(columns=columns, capacity=capacity)


def total(history: History, name: str, columns: int) -> FloatArray:
    """Return a field of the outcomes, shape (columns, periods)."""
    rows = [getattr(outcome, name)[0] for _, outcome in history]
    return np.stack(rows, axis=1) if rows else np.zeros((columns, 0))


def _columns(batch: InventoryBatch, history: History, shown: int) -> tuple[Column, ...]:
    obs, params, every = batch.observe(), batch.params, batch.columns
    names, placed = _names(params, every), total(history, "order", batch.orders)
    demand = np.stack([row for row, _ in history], axis=1) if history else np.zeros((every, 0))
    on_hand, shortfall = (total(history, name, every) for name in ("on_hand", "shortfall"))
    waste = total(history, "waste", every) if obs.stock is not None else None
    life = stock_by_life(params, history) if obs.stock is not None else None
    fans, sent = _fans(obs.forecast, params), _sent(params, placed)
    return tuple(
        Column(
            name=names[i],
            net_inventory=float(obs.net_inventory[0, i]),
            demand=None if isinstance(params, Network) and i not in np.asarray(params.demand_at) else demand[i],
            sent=sent.get(i),
            on_hand=on_hand[i],
            shortfall=shortfall[i],
            orders=_orders(params, placed, i),
            pipeline=obs.pipeline[:, 0, i],
            fan=fans.get(i),
            by_life=None if life is None else life[:, i],
            waste=None if waste is None else waste[i],
        )
        for i in range(shown)
    )


def _names(params: Any, columns: int) -> list[str]:
    return list(params.names) if isinstance(params, Network) else [f"item {i + 1}" for i in range(columns)]


def _fans(forecast: QuantileForecast | None, params: Any) -> dict[int, FloatArray]:
    """The fan of each column that has a forecast: every item, or the locations with demand."""
    if forecast is None:
        return {}
    fan = fan_of(forecast)
    where = np.asarray(params.demand_at) if isinstance(params, Network) else range(fan.shape[1])
    return {int(column): fan[:, i] for i, column in enumerate(where)}


def _sent(params: Any, placed: FloatArray) -> dict[int, FloatArray]:
    """What each location that supplies others has shipped on, (periods,)."""
    if not isinstance(params, Network):
        return {}
    sent = params.out_of.T @ placed
    return {i: sent[i] for i in range(params.locations) if params.out_of[:, i].any()}


def _orders(params: Any, placed: FloatArray, column: int) -> dict[str, FloatArray]:
    """Orders of an item, or into a location by kind of link: the slowest are the regular ones."""
    if not isinstance(params, Network):
        return {"order": placed[column]}
    into = params.destination == column
    usual = into & ~params.lateral
    slowest = params.lead_time == np.max(params.lead_time[usual], initial=0)
    kinds = {"expedited order": usual & ~slowest, "transshipment": into & params.lateral}
    others = {name: placed[links].sum(0) for name, links in kinds.items() if links.any()}
    regular = "regular order" if "expedited order" in others else "order, as shipped"
    return {regular: placed[usual & slowest].sum(0), **others}


def stock_by_life(params: ItemParams, history: History) -> FloatArray:
    """Return the units that could be sold in each period, by remaining life, shape (ages, items, periods).

    Outcomes do not hold them: the physics is run again on what arrived and what was asked for, from the fresh stock
    that episodes begin with.

    Args:
        params: of items whose stock perishes.
        history: demand and outcome of every period of the episode.
    """
    # What arrived is ordered without lead time, and no rule about orders changes it.
    arriving = replace(params, lead_time=0, pack_size=None, minimum_order=None, maximum_order=None)
    state, seen, none = None, [], np.zeros((0, 1, 1))
    for demand, out in history:
        if state is None:
            opening = out.on_hand - out.shortfall + out.waste - out.received + demand
            state = system_of(arriving).fresh_state(opening, none)
        seen.append((state.stock + system_of(arriving).fresh_state(out.received, none).stock)[:, 0])  # type: ignore[union-attr]
        state, _ = perishable_step(state, out.received, demand[None], arriving)  # type: ignore[arg-type]
    items = np.size(history[0][0]) if history else 1
    return np.stack(seen, axis=-1) if seen else np.zeros((params.ages, items, 0))


def _costs(params: Any, history: History, columns: int) -> tuple[dict[str, FloatArray], float]:
    """What is paid for by the period, and what purchases have cost; only what the parameters name.

    Purchases go with demand and would dwarf the rest: they are a number, not a line.
    """
    orders = len(params.links) if isinstance(params, Network) else columns
    order = total(history, "order", orders)
    rates = {"holding": ("holding_cost", "on_hand"), "stock-out": ("stockout_cost", "shortfall")}
    if getattr(params, "ages", 0):
        rates["waste"] = ("waste_cost", "waste")
    costs = {
        name: _each(getattr(params, rate), columns) @ total(history, units, columns)
        for name, (rate, units) in rates.items()
        if hasattr(params, rate)
    }
    fixed, unit = params.link_costs if isinstance(params, Network) else _order_costs(params, columns)
    if np.any(fixed):
        costs["fixed order"] = fixed @ (order > 0)
    return costs, float(np.sum(unit @ order))


def _order_costs(params: Any, columns: int) -> tuple[FloatArray, FloatArray]:
    fixed, unit = (_each(getattr(params, name, 0.0), columns) for name in ("fixed_order_cost", "unit_cost"))
    return fixed, unit


def _each(value: Any, columns: int) -> FloatArray:
    """Spread a parameter that broadcasts to (paths, columns) over the first path's columns."""
    return np.broadcast_to(np.atleast_2d(np.asarray(value, dtype=np.float64))[0], (columns,))


def _capacity(batch: InventoryBatch, history: History) -> Capacity | None:
    shared = getattr(batch.params, "capacity", None)
    if shared is None:
        return None
    used = _each(shared.use, batch.orders) @ total(history, "order", batch.orders)
    limit: Any = batch.scenario.capacity
    limit = np.ravel(shared.limit)[0] if limit is None else limit[0, : len(history)]
    limits = np.broadcast_to(limit, len(history)) if shared.limited == "orders" else None
    return Capacity(total(history, "capacity_price", 1)[0], used, limits)
