"""What the user does today as a baseline: the (s, S) or base-stock levels in use, or the orders on record.

`own_levels` orders by the columns `reorder_point` and `order_up_to`, or `base_stock_level`, of the items file, and
starts like every policy with a target. `own_orders` replays the column `ordered` of the history on the held-out
periods: from the stock that the history's column `on_hand` gives for the last period before them, and with the orders
on the way that were placed before. Where `on_hand` is not on record, stock is the least that the recorded sales can
have come from, starting with none, and nothing is left where an item ran out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..envs.core.period import StockState, system_of
from ..envs.core.types import ItemParams, Scenario, Trajectory
from ..errors import InputError
from ..forecasters.data.panel import SalesPanel
from ..policies.base import Policy
from ..policies.base_stock import BaseStock, ReorderPointOrderUpTo
from ..policies.recorded import RecordedOrders
from ..policies.rollout import simulate
from .data import StudyData
from .sections import OWN_LEVELS, OWN_ORDERS


def own_policies(data: StudyData) -> tuple[str, ...]:
    """Return which of `own_levels` and `own_orders` the data has: the first one is the baseline."""
    static = data.panel.static
    levels = "order_up_to" in static or "base_stock_level" in static
    return (OWN_LEVELS,) * levels + (OWN_ORDERS,) * ("ordered" in data.records)


def check_own(names: tuple[str, ...], data: StudyData) -> None:
    """Refuse policies of the user's own for which the files have no columns.

    Raises:
        InputError: names each.
    """
    needs = {
        OWN_LEVELS: "columns reorder_point and order_up_to, or base_stock_level, in the items file",
        OWN_ORDERS: "a column ordered in the history (units ordered in each period; --column ordered=YOURS)",
    }
    missing = [name for name in needs if name in names and name not in own_policies(data)]
    if missing:
        raise InputError(f"policies.names: {name!r} needs {needs[name]}; add it or leave the policy out" for name in missing)


def own_levels(panel: SalesPanel) -> Policy:
    """Return the policy with the levels in use, one for each item."""
    static = panel.static
    if "base_stock_level" in static:
        return BaseStock(static["base_stock_level"].to_numpy(dtype=np.float64))
    pair = (static[name].to_numpy(dtype=np.float64) for name in ("reorder_point", "order_up_to"))
    return ReorderPointOrderUpTo(*pair)


def stock_at(data: StudyData, period: int) -> StockState:
    """Return what was on hand and on the way when a period began, by the records, one path.

    Args:
        data: with `ordered` on record.
        period: counted from the panel's start.
    """
    panel, params, ordered = data.panel, data.params, data.records["ordered"]
    lead_time = np.broadcast_to(params.lead_time, (panel.items,)).astype(np.int64)
    items = np.arange(panel.items)

    def placed(when: FloatArray) -> FloatArray:
        """Return units ordered in one period of each item; none before the history."""
        return np.where(when >= 0, ordered[items, np.maximum(when, 0)], 0.0)

    counted = data.records.get("on_hand", np.full(panel.sales.shape, np.nan))
    on_hand = np.zeros(panel.items)
    for t in range(period):
        left = np.maximum(on_hand + placed(t - lead_time) - panel.sales[:, t], 0.0)
        known = np.isfinite(counted[:, t])
        on_hand = np.where(known, counted[:, t], np.where(panel.ran_out[:, t], 0.0, left))
    slots = np.arange(params.slots)[:, None]
    pipeline = np.where(slots < lead_time, placed(period - lead_time + slots), 0.0)
    return system_of(params).fresh_state(on_hand[None], pipeline[:, None, :])


def replay_own_orders(data: StudyData, first: int, end: int, demand: FloatArray | None = None) -> Trajectory:
    """Simulate the orders on record from the stock on record.

    Packs and limits do not bind: what was ordered was ordered.

    Args:
        data: with `ordered` on record.
        first: first period that counts.
        end: the one after the last.
        demand: units, shape (items, periods) of the whole panel; the data's own where None.

    Returns:
        arrays (1, end − first, items).
    """
    demand = data.demand if demand is None else demand
    scenario = Scenario(np.ascontiguousarray(demand[:, first:end].T)[None])
    policy = RecordedOrders(np.ascontiguousarray(data.records["ordered"][:, first:end].T))
    return simulate(policy, scenario, _unlimited(data.params), initial_state=stock_at(data, first))


def _unlimited(params: ItemParams) -> ItemParams:
    return replace(params, pack_size=None, minimum_order=None, maximum_order=None)


def own_note(name: str, records: Mapping[str, FloatArray]) -> str:
    """Return what a reader should know of a policy of the user's own."""
    if name == OWN_LEVELS:
        return "orders by the levels of the items file"
    start = "the stock on record" if "on_hand" in records else (
        "the least stock that the recorded sales can have come from, for no column on_hand says what was there"
    )
    return f"replays the recorded orders from {start}; they do not react to the demand of a simulation"
