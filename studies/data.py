"""The data of a study: panel, parameters, starting stock, and the demand of replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..envs.core.params import params_from_items
from ..envs.core.period import StockState, system_of
from ..envs.core.types import ItemParams
from ..envs.demand.model import uncensored
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.data.panel import Inputs, SalesPanel, load_inputs
from ..forecasters.data.row_faults import listing
from ..forecasters.data.rules import MOST_NAMED
from .config import DataConfig, DefaultsConfig, StudyConfig

NEXT_TO_NOTHING = 1e-15
"""Share of the larger one of two costs that is lost in rounding: with it a critical ratio would be 0 or 1."""


@dataclass(frozen=True, eq=False)
class StudyData:
    """The data of a study.

    Attributes:
        panel: the sales history.
        params: lead times, costs and order rules of its items, in its order.
        demand: of replays, units, shape (items, periods): sales, with what stands in for them in
            stock-outs, or the truth where the panel is synthetic.
        state: what is on hand and under way at the history's end; None where it is not given.
        items: the items file as read, a row an item in the panel's order; None where there is none.
        given: forecasters that no registry has, by name: forecasts made elsewhere. They are copied before each fit.
        records: `ordered` and `on_hand`, units, shape (items, periods), where the history has them.
    """

    panel: SalesPanel
    params: ItemParams
    demand: FloatArray
    state: StockState | None = None
    items: pd.DataFrame | None = None
    given: Mapping[str, Forecaster] = field(default_factory=dict)
    records: Mapping[str, FloatArray] = field(default_factory=dict)


def load_data(config: StudyConfig) -> StudyData:
    """Load the data that a config names: its files, or the embedded panel.

    Args:
        config: of a file (`load_config`), or `StudyConfig.from_mapping({"data": {"history": "history.csv", …}})`.

    Raises:
        InputError: with the faults of all files.

    >>> config = StudyConfig.from_mapping({"data": {"embedded_items": 3}})
    >>> data = load_data(config)  # data.panel, data.params and data.state are what `fr.next_orders` takes
    >>> data.panel.items, data.state.net_inventory.shape
    (3, (1, 3))
    """
    if config.data.history is None:
        from ..forecasters.retail.panel import retail_panel

        retail = retail_panel(config.data.embedded_items, config.data.embedded_periods, config.seed)
        params = item_params(retail.panel, retail.items, config.defaults)
        return StudyData(retail.panel, params, retail.demand, read_stock(retail.state, params), retail.items)
    inputs = read_inputs(config.data)
    refuse_uncountable(inputs.panel)
    params = item_params(inputs.panel, inputs.items, config.defaults)
    state = None if inputs.state is None else read_stock(inputs.state, params)
    return StudyData(inputs.panel, params, uncensored(inputs.panel), state, inputs.items, records=inputs.records)


def read_inputs(data: DataConfig) -> Inputs:
    """Read the files that a config names, checked together.

    Raises:
        InputError: with the faults of all files.
    """
    if data.history is None:
        raise InputError(["data.history: is missing; name a file of sales (--history)"])
    return load_inputs(
        data.history,
        data.items,
        data.state,
        freq=data.freq,
        missing=data.missing,
        columns=data.columns,
        known=data.known,
    )


MOST_UNITS = 2.0**53
"""Units beyond which one more makes no difference to a float64, and sums of squares overflow before long."""


def refuse_uncountable(panel: SalesPanel) -> None:
    """Raise an `InputError` where an item sold more units in a period than can be counted; `validate` lists less, too.

    Args:
        panel: the history.
    """
    faults = find_uncountable(panel.sales, panel.item_ids, panel.dates)
    if len(faults) > MOST_NAMED:
        faults[MOST_NAMED:] = [f"history: so did {len(faults) - MOST_NAMED:,} more items"]
    if faults:
        raise InputError(faults)


def find_uncountable(sales: FloatArray, item_ids: Sequence[str], dates: pd.DatetimeIndex) -> list[str]:
    """Return a fault for each item that sold more units in a period than can be counted.

    Args:
        sales: units, shape (items, periods).
        item_ids: a text an item.
        dates: of the periods.
    """
    faults = []
    for at in np.flatnonzero(sales.max(axis=1) > MOST_UNITS).tolist():
        period = int(sales[at].argmax())
        sold = f"item {item_ids[at]!r} sold {sales[at, period]:g} units on {dates[period].date()}"
        faults.append(f"history: {sold}, more than can be counted ({MOST_UNITS:.0g}); correct it")
    return faults


def item_params(panel: SalesPanel, items: pd.DataFrame | None, defaults: DefaultsConfig) -> ItemParams:
    """Return the parameters of a panel's items: the table's, and the defaults where it has none.

    Orders are whole units where demand is and no pack size is given.
    """
    return params_of(panel.item_ids, items, defaults, whole_units=panel.integer_demand)


def params_of(
    item_ids: Sequence[str], items: pd.DataFrame | None, defaults: DefaultsConfig, *, whole_units: bool
) -> ItemParams:
    """Return the parameters of items: see `item_params`.

    Args:
        item_ids: a text an item.
        items: the items file as read, a row an item in this order; None where there is none.
        defaults: what holds where the file has no value.
        whole_units: whether demand comes in whole units.
    """
    values = defaults.model_dump()
    if values["pack_size"] is None and whole_units:
        values["pack_size"] = 1.0
    params = params_from_items(pd.DataFrame() if items is None else items, values)
    smaller, larger = (pick(params.stockout_cost, params.holding_cost) for pick in (np.minimum, np.maximum))
    free = np.broadcast_to(np.asarray(smaller) <= NEXT_TO_NOTHING * np.asarray(larger), (len(item_ids),))
    if free.any():
        whose = listing([item_ids[at] for at in np.flatnonzero(free).tolist()])
        rule = "items: holding_cost and stockout_cost must both be above 0, or no quantity is the best; set them"
        raise InputError([f"{rule} ({whose})"])
    return params


def read_stock(state: pd.DataFrame, params: ItemParams) -> StockState:
    """Return the state that a table of on_hand, arriving_1 … arriving_n and backorders describes, one path.

    The table does not hold the age of stock: where it perishes, it is taken to be fresh.

    Raises:
        InputError: where something arrives later than an order placed now would.
    """
    check_arrivals(state, params.lead_time)
    backorders = state["backorders"].to_numpy(float) if "backorders" in state else 0.0
    _, arriving = _arrivals(state)
    pipeline = np.zeros((params.slots, 1, len(state)))
    used = min(params.slots, len(arriving))
    pipeline[:used, 0] = arriving[:used]
    return system_of(params).fresh_state((state["on_hand"].to_numpy(float) - backorders)[None], pipeline)


def check_arrivals(state: pd.DataFrame, lead_time: ArrayLike) -> None:
    """Raise an `InputError` where a table of stock has something arrive later than an order placed now would.

    Args:
        state: columns item_id, arriving_1 … arriving_n.
        lead_time: of each item or of all, periods.
    """
    names, arriving = _arrivals(state)
    lead_times = np.broadcast_to(lead_time, (len(state),))
    late = (np.arange(len(names))[:, None] >= lead_times) & (arriving > 0)
    if late.any():
        slot, item = np.argwhere(late)[0]
        raise InputError(
            [
                f"state: item {state['item_id'].iloc[item]!r} has {names[slot]} = {arriving[slot, item]:g}, but with "
                f"its lead time of {lead_times[item]:g} it would be due after an order placed now "
                f"({int(late.sum())} such entries); correct the state or the lead time"
            ]
        )


def describe_wrong_day(state: pd.DataFrame, panel: SalesPanel) -> str:
    """Return that stock was counted before the history's last period was over, or after the next one; "" where not.

    Args:
        state: with a column date, the days of the counts, or without; NaT where a day is not known.
        panel: the history.
    """
    wrong = wrong_days(state, panel.dates, panel.freq)
    return say_wrong_day(wrong, len(wrong), panel.dates, panel.freq)


def wrong_days(state: pd.DataFrame, dates: pd.DatetimeIndex, freq: str) -> list[tuple[str, pd.Timestamp]]:
    """Return the items whose stock was counted on a wrong day, with the day: see `describe_wrong_day`.

    Args:
        state: as there.
        dates: of the history's periods.
        freq: pandas frequency of these.
    """
    if "date" not in state:
        return []
    days = pd.DatetimeIndex(state["date"])
    nexts = pd.date_range(dates[-1], periods=3, freq=freq)[1:]
    wrong = np.flatnonzero((days < nexts[0] - pd.Timedelta(days=1)) | (days >= nexts[1]))
    return [(state["item_id"].iloc[at], days[at]) for at in wrong.tolist()]


def say_wrong_day(wrong: Sequence[tuple[str, pd.Timestamp]], count: int, dates: pd.DatetimeIndex, freq: str) -> str:
    """Return the sentence of `describe_wrong_day` on the first few such items and the number of all."""
    if not wrong:
        return ""
    begin, day = pd.date_range(dates[-1], periods=2, freq=freq)[1], wrong[0][1]
    early = day < begin - pd.Timedelta(days=1)
    what = "before the history's last period was over" if early else "after the period that is ordered for"
    whose = listing([name for name, _ in wrong], count)
    return (
        f"item{'s' if count > 1 else ''} {whose}: stock was counted on {day.date()}, {what} (the history "
        f"ends with {dates[-1].date()}); count it when {begin.date()} begins, or give a history that ends then"
    )


def _arrivals(state: pd.DataFrame) -> tuple[list[str], FloatArray]:
    """Return the names arriving_1 … arriving_n that a table has, and their units, shape (n, items)."""
    names = [f"arriving_{k}" for k in range(1, len(state.columns)) if f"arriving_{k}" in state]
    return names, np.array([state[name].to_numpy(float) for name in names]).reshape(len(names), len(state))
