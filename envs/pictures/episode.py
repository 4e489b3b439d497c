"""What the picture of an episode shows: numbers by item or location, from a batch and what it has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from ..core.params import ItemParams
from ..core.period import system_of
from ..core.system import first_path
from ..gym.batch import InventoryBatch

History = Sequence[tuple[FloatArray, Any]]
"""Demand (columns,) and outcome (1, columns) of each period so far."""

FAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels that a forecast is drawn with, symmetric around the median."""

MOST_PANELS = 6
"""Panels that can be read in one picture; further items or locations are left out, and that is said."""


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
    columns: tuple[Column, ...]  # items or locations that are shown
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
    order = _past(history, "order", batch.orders)
    on_hand, shortfall = _past(history, "on_hand", columns), _past(history, "shortfall", columns)
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
        waste, life = _past(history, "waste", columns), stock_by_life(params, history, columns)
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
        capacity = Capacity(_past(history, "capacity_price", 1)[0], used, limits)
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


def _past(history: History, name: str, columns: int) -> FloatArray:
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
