"""What the user does today as a baseline: the (s, S) or base-stock levels in use, or the orders on record.

`own_levels` orders by the columns `reorder_point` and `order_up_to`, or `base_stock_level`, of the items file, and
starts like every policy with a target. `own_orders` replays the column `ordered` of the history on the held-out
periods: from the stock that the history's column `on_hand` gives for the last period before them, and with the orders
on the way that were placed before. Where `on_hand` is not on record, stock is the least that the recorded sales can
have come from, starting with none, and nothing is left where an item ran out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.period import StockState, system_of
from ..envs.core.types import ItemParams, Scenario, Trajectory
from ..errors import InputError
from ..policies.base import Policy
from ..policies.base_stock import BaseStock, ReorderPointOrderUpTo
from ..policies.recorded import RecordedOrders
from ..policies.rollout import simulate
from .config import StudyConfig
from .data import StudyData
from .sections import OWN_LEVELS, OWN_ORDERS


def own_policies(data: StudyData) -> tuple[str, ...]:
    """Return which of `own_levels` and `own_orders` the data has; the first one is the baseline."""
    static = data.panel.static
    levels = "order_up_to" in static or "base_stock_level" in static
    return (OWN_LEVELS,) * levels + (OWN_ORDERS,) * ("ordered" in data.records)


def with_own(config: StudyConfig, data: StudyData, *, compared: bool) -> StudyConfig:
    """Return the config of a study whose policies include those that the files describe.

    Args:
        config: as given.
        data: what its files hold.
        compared: whether policies are compared: for a training none is added.

    Raises:
        InputError: names each policy of the user's own for which the files have no columns.
    """
    needs = {
        OWN_LEVELS: "columns reorder_point and order_up_to, or base_stock_level, in the items file",
        OWN_ORDERS: "a column ordered in the history (units ordered in each period; --column ordered=YOURS)",
    }
    found, named = own_policies(data), config.policies
    wanted = {name for name in (*named.names, named.baseline) if name in needs}
    missing = [name for name in needs if name in wanted and name not in found]
    if missing:
        raise InputError(
            f"policies.names: {name!r} needs {needs[name]}; add it or leave the policy out" for name in missing
        )
    new = [name for name in found if name not in named.names] if compared else []
    return config.with_overrides({"policies.names": [*named.names, *new]}) if new else config


def own_policy(name: str, data: StudyData) -> Policy:
    """Return `own_levels`, or `own_orders` with a row for each period of the panel."""
    if name == OWN_ORDERS:
        return RecordedOrders(np.ascontiguousarray(data.records["ordered"].T))
    static = data.panel.static
    if "base_stock_level" in static:
        return BaseStock(static["base_stock_level"].to_numpy(dtype=np.float64))
    pair = (static[level].to_numpy(dtype=np.float64) for level in ("reorder_point", "order_up_to"))
    return ReorderPointOrderUpTo(*pair)


def own_note(name: str, data: StudyData) -> str:
    """Return what a reader should know of a policy of the user's own."""
    if name == OWN_LEVELS:
        return "orders by the levels of the items file"
    if "on_hand" in data.records:
        start = "the stock on record"
    else:
        start = "the least stock that recorded sales can have come from, since no column on_hand says what was there"
    return f"replays the orders on record from {start}; they do not react to another demand"


def stock_at(data: StudyData, period: int) -> StockState:
    """Return what was on hand and on the way when a period began, by the records, one path.

    Args:
        data: with `ordered` on record.
        period: counted from the panel's start.
    """
    panel, params, ordered = data.panel, data.params, data.records["ordered"]
    lead_time = np.broadcast_to(params.lead_time, (panel.items,)).astype(np.int64)
    items = np.arange(panel.items)

    def placed(when: IntArray) -> FloatArray:
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


def replay_orders(
    policy: RecordedOrders, data: StudyData, params: ItemParams, scenario: Scenario, first: int
) -> Trajectory:
    """Simulate the orders on record from the stock on record.

    Packs and limits do not bind: what was ordered was ordered.

    Args:
        policy: with a row for each period of the panel.
        data: with `ordered` on record.
        params: what costs are charged with.
        scenario: demand of the periods from `first` on.
        first: period of the panel.

    Returns:
        arrays (1, periods of the scenario, items).
    """
    orders = RecordedOrders(policy.orders[first : first + scenario.periods])
    params = replace(params, pack_size=None, minimum_order=None, maximum_order=None)
    return simulate(orders, scenario, params, initial_state=stock_at(replace(data, params=params), first))
