"""Next period's orders: a policy, a fitted forecaster, the history, and what is on hand and arriving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import BoolArray, FloatArray, IntArray
from ..envs.core.dynamics import feasible_order
from ..envs.core.forecast_features import by_origin
from ..envs.core.params import ItemParams
from ..envs.core.period import StockState, observation, system_of
from ..envs.core.types import Scenario
from ..errors import FractileError
from ..forecasters.base import Forecaster
from ..forecasters.data.calendar import later_dates
from ..forecasters.data.discontinued import discontinued
from ..forecasters.data.matching import escape_ids
from ..forecasters.data.panel import SalesPanel
from ..forecasters.data.rules import DISCONTINUED
from ..forecasters.demand_forecast import DemandForecast
from ..policies.base import OrderUpToPolicy, Policy
from .data import MOST_UNITS
from .folder import write_frame

GRID = np.linspace(0.001, 0.999, 999)
"""Quantile levels that an order is read as."""


def next_orders(
    policy: Policy,
    forecaster: Forecaster,
    panel: SalesPanel,
    params: ItemParams,
    state: StockState | None = None,
    *,
    horizon: int | None = None,
) -> pd.DataFrame:
    """Return the order of every item for the period after the history's end.

    Items that are no longer sold (`not_sold`) are not ordered, whatever the policy says. Without a state, orders are
    those of an empty shop with nothing under way: give what is counted, e.g. that of a file,
    `data = fr.load_data(fr.StudyConfig.from_mapping(…))` and `data.state`.

    Args:
        policy: turns observations into orders.
        forecaster: fitted.
        panel: sales up to the end of the last period.
        params: lead times, costs and order rules of its items.
        state: units on hand and arriving at the start of the next period, one path; None = none on hand and
            nothing under way, as `fractile order --on-hand 0` has it.
        horizon: periods ahead that the policy is shown of the forecast; the longest protection interval where None.

    Returns:
        A row an item in the panel's order: `item_id`, `date` of the period that the order is placed in, `order`
        (units; whole numbers where packs are whole, as those of whole units are), `order_up_to` (units) and
        `critical_quantile`: the highest level whose quantile of the forecast demand over the protection interval (L + R
        periods) `order_up_to` covers; 0 where it covers none.

    Raises:
        FractileError: where an order is no number, negative, or larger than can be counted; it names the item.

    >>> import fractile as fr
    >>> retail = fr.retail_panel(items=3, periods=120, seed=0)
    >>> forecaster = fr.make_forecaster("seasonal_naive").fit(retail.panel)
    >>> orders = next_orders(fr.make_policy("newsvendor"), forecaster, retail.panel, fr.ItemParams(lead_time=1))
    >>> list(orders.columns)
    ['item_id', 'date', 'order', 'order_up_to', 'critical_quantile']
    """
    forecast = forecaster.predict(panel, horizon or int(np.max(params.protection_interval)))
    begin = state or system_of(params).empty_state(1, panel.items, int(params.slots))
    obs = observation(begin, 0, params, Scenario(np.zeros((1, 1, panel.items)), forecasts=[forecast]))
    wanted = np.asarray(policy.order(obs))
    wrong = ~(np.isfinite(wanted) & (wanted >= 0))
    if wanted.shape != (1, panel.items) or wrong.any():
        got = str(wanted.shape)
        if wanted.shape == (1, panel.items):
            item = int(np.argmax(wrong[0]))
            got = f"{wanted[0, item]:g} for item {panel.item_ids[item]}"
        raise FractileError(f"{type(policy).__name__} must order a number >= 0 for each item, got {got}")
    wanted = np.where(not_sold(panel, params), 0.0, wanted)
    order = np.asarray(feasible_order(wanted, params))[0]
    if (order > MOST_UNITS).any():
        item = int(np.argmax(order))
        raise FractileError(
            f"{type(policy).__name__} orders {order[item]:g} units of item {panel.item_ids[item]}, more than can be "
            "counted; correct the item's sales, or its minimum order and pack size"
        )
    # The level that orders go up to: the policy's target where that is its rule, else the position they reach.
    level: FloatArray = np.asarray(obs.inventory_position) + wanted
    if isinstance(policy, OrderUpToPolicy):
        target: FloatArray = np.broadcast_to(policy.target(obs), wanted.shape)
        follows = np.isclose(np.maximum(target - obs.inventory_position, 0.0), wanted)
        level = np.where(follows, target, level)
    level = level[0]
    total = forecast.total(by_origin(params.protection_interval))
    covered = _count_covered(total, level)
    packs = np.asarray(np.nan if params.pack_size is None else params.pack_size)
    date = later_dates(panel.dates[-1:], panel.freq, 1)
    table = {
        "item_id": panel.item_ids,
        "date": np.repeat(np.asarray(date), panel.items),
        "order": order.astype(np.int64) if (packs % 1 == 0).all() else order,
        "order_up_to": level.round(6),
        "critical_quantile": np.where(covered == 0, 0.0, GRID[np.maximum(covered, 1) - 1]).round(4),
    }
    return pd.DataFrame(table)


def _count_covered(total: DemandForecast, level: FloatArray) -> IntArray:
    """Return how many levels of `GRID` have quantiles that a level of stock covers, shape (items,).

    Quantiles rise with the level, so that the last one is found by halving: ten of them are computed, not all.

    Args:
        total: demand over the protection interval, one origin.
        level: units, shape (items,).
    """
    low, high = np.zeros(len(level), dtype=np.int64), np.full(len(level), len(GRID))
    while (low < high).any():
        middle = (low + high + 1) // 2
        covers = total.quantile(GRID[np.maximum(middle, 1) - 1][:, None])[:, -1, 0] <= level + 1e-9
        low, high = np.where(covers & (low < high), middle, low), np.where(covers | (low == high), high, middle - 1)
    return low


def not_sold(panel: SalesPanel, params: ItemParams) -> BoolArray:
    """Return which items an order placed after the history's end comes too late for, shape (items,).

    They are discontinued by then (`forecasters.data.discontinued`), or will be when the order arrives.
    """
    ended = discontinued(panel, np.array([panel.periods]))[:, 0]
    if DISCONTINUED not in panel.static:
        return ended
    lead_time = np.broadcast_to(params.lead_time, (panel.items,))
    dates = pd.DatetimeIndex(panel.static[DISCONTINUED])
    for wait in np.unique(lead_time):
        arrival = later_dates(panel.dates[-1:], panel.freq, int(wait) + 1)
        ended = ended | ((lead_time == wait) & np.asarray(dates <= np.asarray(arrival)[0]))
    return ended


def label_orders(table: pd.DataFrame, *, policy: str, forecaster: str, assumed: str) -> pd.DataFrame:
    """Return orders with what they rest on, the same in each row: names, and what nobody gave (`assumed`)."""
    return table.assign(policy=policy, forecaster=forecaster, assumed=assumed)


def orders_csv(table: pd.DataFrame) -> str:
    """Return orders as the text of a CSV file; ids that a spreadsheet would take for formulas have a ' in front."""
    return escape_ids(table).to_csv(index=False, lineterminator="\n")


def write_orders(path: Path | str, table: pd.DataFrame) -> Path:
    """Write orders as CSV, ids as `orders_csv` has them, or as Parquet, ids as they are; return the path."""
    return write_frame(path, escape_ids(table) if Path(path).suffix == ".csv" else table)
