"""History, items and state: files or frames read into checked frames, every fault reported at once.

Each `read_…` function raises one `InputError` with all faults of its table. The `collect_…` functions add
them to a `Faults` instead, so that several tables can be reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray
from ...errors import Faults
from .matching import cross_check, in_order
from .read import RawTable, Source, Table, as_numbers, check_raw, own_name, read_raw
from .rules import DISCONTINUED, ITEM_RULES, LEVEL_RULES, MOST_NAMED, ORDER_RECORDS, NumberRule, impossible_orders
from .spreadsheets import is_localised, read_localised

NIXTLA_NAMES = {"item_id": "unique_id", "date": "ds", "sales": "y"}
"""Our name of a column → theirs."""

HISTORY_COLUMNS = ("item_id", "date", "sales")
KNOWN_AHEAD = ("price", "promotion", "holiday")
"""Covariates that are known ahead unless the caller says otherwise."""


_SALES = NumberRule(0, "take returns out of the sales")
_PRICE = NumberRule(0, "write the price of a unit, or nothing", optional=True)
_SHARE = NumberRule(0, "write the share of the period in which the item was in stock, or nothing", optional=True)
_UNITS = NumberRule(0, "write units, 0 where there are none")


def read_history(source: Source, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read sales history.

    Args:
        source: a .csv or .parquet file, or a frame.
        columns: our names to the file's, e.g. `{"item_id": "StockCode", "sales": "units"}`.

    Returns:
        A row an item and date, in the file's order: `item_id` (text as written), `date` (datetime64[ns]),
        `sales` (units, float64), `in_stock` (bool, True where the file has no such column and `availability`
        is not below 1), `availability` where the file has it (share of the period in stock, NaN where it is
        not known), `listed` (bool) where the file has it, then the file's other columns as they are.

    Raises:
        InputError: with one message a fault.
    """
    return _raise_faults(lambda faults: collect_history(source, faults, columns))


def read_items(source: Source) -> pd.DataFrame:
    """Read what is known of each item.

    `stockout_cost` is `price - unit_cost` where the file has both and no `stockout_cost`. An empty cell of
    `pack_size`, `minimum_order`, `maximum_order` or `shelf_life` stays NaN: the item has no such limit.

    Returns:
        A row an item, in the file's order: `item_id`, columns of `ITEM_RULES` that are there (`lead_time` and
        `review_period` int64, the rest float64), `discontinued` (datetime64[ns], NaT where the item is still sold)
        if it is there, and the attributes as they are.

    Raises:
        InputError: with one message a fault.
    """
    return _raise_faults(lambda faults: collect_items(source, faults))


def read_state(source: Source, item_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """Read what is on hand and on order at the end of the history.

    Args:
        source: a .csv or .parquet file, or a frame.
        item_ids: the items of the history; rows come back in this order, and an item in one of the two only
            is a fault. None keeps the file's items and order.

    Returns:
        A row an item: `item_id`, `on_hand`, `arriving_1` ... `arriving_n`, `backorders` (0 where the file has
        none), float64 units, and `date`, the day on which stock was counted, if it is there.

    Raises:
        InputError: with one message a fault.
    """

    def collect(faults: Faults) -> pd.DataFrame | None:
        state = collect_state(source, faults)
        if state is None or item_ids is None:
            return state
        for message in cross_check(item_ids, state_ids=state["item_id"]):
            faults.add(message)
        return in_order(state, item_ids)

    return _raise_faults(collect)


def collect_history(
    source: Source, faults: Faults, columns: Mapping[str, str] | None = None, notes: list[str] | None = None
) -> pd.DataFrame | None:
    """Read sales history as `read_history` does; faults are added, None means that there is no frame.

    Args:
        source: as in `read_history`.
        faults: collects what is wrong.
        columns: as in `read_history`.
        notes: collects what a reader should know of columns that were renamed or left out.
    """
    text = [(columns or {}).get(name, name) for name in ("item_id", "date")]
    raw = read_raw(source, faults, name="history", text=text)
    return None if raw is None else check_history(raw, faults, columns, notes)


def check_history(
    raw: RawTable,
    faults: Faults,
    columns: Mapping[str, str] | None = None,
    notes: list[str] | None = None,
    *,
    slice_of_rows: bool = False,
) -> pd.DataFrame | None:
    """Check sales history that is read already, or some rows of it: see `collect_history`.

    Args:
        raw: the rows.
        faults: as in `collect_history`, like `columns` and `notes`.
        columns: see there.
        notes: see there.
        slice_of_rows: whether the rows are not all there are: words among the numbers of a covariate are no fault then,
            for they may be many in the whole.
    """
    columns = columns or {}
    notes = [] if notes is None else notes
    table = Table(raw, faults)
    _leave_out_row_numbers(table, columns, notes)
    own = {str(column) for column in table.frame}
    table.rename(columns)
    for ours, theirs in columns.items():
        if ours in own and theirs != ours and ours not in columns.values():
            notes.append(f"the file's own column {ours!r} is called {own_name(ours, own)!r}: {theirs!r} is {ours!r}")
    table.refuse_lookalikes(["in_stock", "availability", "listed", "ordered", *KNOWN_AHEAD])
    if not table.require(HISTORY_COLUMNS):
        return None
    optional = [name for name in ("in_stock", "availability", "listed") if name in table.frame]
    core = {
        "item_id": table.ids(),
        "date": table.dates(),
        "sales": table.numbers("sales", _SALES),
        "in_stock": table.flags("in_stock") if "in_stock" in optional else np.ones(len(table.frame), dtype=bool),
    }
    frame = pd.DataFrame(core)
    if "availability" in optional:
        frame["availability"] = table.numbers("availability", _SHARE)
        _agree_on_stock(table, frame, "in_stock" in optional)
    again = _repeated(frame)
    pairs = np.full(len(frame) if again.any() else 0, "", dtype=object)
    pairs[again[: len(pairs)]] = [
        f"{item} on {day.date()}" for item, day in zip(frame["item_id"][again], frame["date"][again], strict=True)
    ]
    table.fault(again, "item_id and date must stand together once", "keep one row or add the sales up", pairs)
    if "listed" in optional:
        frame["listed"] = table.flags("listed")
        sold = ~frame["listed"].to_numpy() & (frame["sales"] > 0).to_numpy()
        table.fault(sold, "sales must be 0 where listed is false", "correct one of them", frame["sales"].to_numpy())
    records = [name for name in ORDER_RECORDS if name in table.frame]
    for name in records:
        frame[name] = table.numbers(name, ORDER_RECORDS[name])
    others = table.frame.drop(columns=[*HISTORY_COLUMNS, *optional, *records])
    for column in () if slice_of_rows else others.columns.difference(["price"]):
        table.covariate(column)
    if "price" in others:
        others["price"] = table.numbers("price", _PRICE)
    return pd.concat([frame, others], axis=1)


def collect_items(source: Source, faults: Faults, notes: list[str] | None = None) -> pd.DataFrame | None:
    """Read items as `read_items` does; faults are added, None means that there is no frame.

    Args:
        source: as in `read_items`.
        faults: collects what is wrong.
        notes: takes a sentence on a file that is no CSV with commas in UTF-8, and how it was read.
    """
    table = _item_table(source, faults, "items", notes, attributes=True)
    if table is None:
        return None
    table.refuse_lookalikes([*ITEM_RULES, *LEVEL_RULES, DISCONTINUED])
    frame = table.frame.assign(item_id=_unique_ids(table))
    for column in [name for name in ITEM_RULES if name in frame]:
        frame[column] = table.numbers(column, ITEM_RULES[column])
    if DISCONTINUED in frame:
        frame[DISCONTINUED] = table.dates(DISCONTINUED, optional=True)
    _collect_levels(table, frame)
    _refuse_impossible_orders(table, frame)
    if "stockout_cost" not in frame and {"price", "unit_cost"} <= set(frame.columns):
        frame["stockout_cost"] = frame["price"] - frame["unit_cost"]
        rule = "price must exceed unit_cost, because stockout_cost is their difference"
        lost = (frame["stockout_cost"] <= 0).to_numpy()
        table.fault(lost, rule, "add a column stockout_cost or correct the price", frame["price"].to_numpy())
    for column in ("lead_time", "review_period"):
        # A faulty cell may be NaN or infinite; the fault is on record.
        if column in frame and np.isfinite(frame[column]).all():
            frame[column] = frame[column].astype(np.int64)
    return frame


def collect_state(source: Source, faults: Faults, notes: list[str] | None = None) -> pd.DataFrame | None:
    """Read the state as `read_state` does; faults are added, None means that there is no frame.

    Args:
        source: as in `read_state`.
        faults: collects what is wrong.
        notes: as in `collect_items`.
    """
    table = _item_table(source, faults, "state", notes)
    if table is None or not table.require(["on_hand"]):
        return None
    table.refuse_lookalikes(["backorders"])
    state: dict[str, NDArray[Any]] = {"item_id": _unique_ids(table)}
    arrivals = {str(column) for column in table.frame.columns if str(column).lower().startswith("arriving")}
    if arrivals != {f"arriving_{k}" for k in range(1, len(arrivals) + 1)}:
        names = ", ".join(repr(name) for name in sorted(arrivals))
        rule = f"columns of arrivals must be arriving_1, arriving_2, ... without a hole, got {names}"
        faults.add(f"{table.name}: {rule}; add the missing one, with 0 where nothing arrives")
    numbered = sorted((name for name in arrivals if name[9:].isdigit()), key=lambda name: int(name[9:]))
    for column in ["on_hand", *numbered, "backorders"]:
        known = column in table.frame
        state[column] = table.numbers(column, _UNITS) if known else np.zeros(len(table.frame))
    frame = pd.DataFrame(state)
    if "date" in table.frame:
        frame["date"] = table.dates("date", optional=True)
    return frame


def _repeated(frame: pd.DataFrame) -> BoolArray:
    """Return True where an item and a date have stood together in an earlier row, shape (rows,)."""
    item, day = pd.factorize(frame["item_id"])[0], frame["date"].to_numpy()
    together = np.flatnonzero(item[1:] == item[:-1]) + 1
    rows = np.zeros(len(frame), dtype=bool)
    if (np.diff(day.astype(np.int64))[together - 1] > 0).all() and len(frame) - len(together) == item.max() + 1:
        return rows  # each item's rows are together, in the order of their dates: no need to sort
    keys = pd.DataFrame({"item": item, "date": day})
    return (keys.duplicated() & frame["date"].notna() & (frame["item_id"] != "")).to_numpy()


def _raise_faults(collect: Callable[[Faults], pd.DataFrame | None]) -> pd.DataFrame:
    faults = Faults()
    frame = collect(faults)
    faults.raise_if_any()
    return pd.DataFrame() if frame is None else frame


def _leave_out_row_numbers(table: Table, columns: Mapping[str, str], notes: list[str]) -> None:
    """Leave out a nameless column that counts the rows, as a frame's index does where it is written along."""
    for name in [str(name) for name in table.frame if str(name) not in columns.values()]:
        if name and not name.startswith("Unnamed: "):
            continue
        numbers = as_numbers(table.frame[name])
        if np.isfinite(numbers).all() and (np.diff(numbers) > 0).all():
            table.frame = table.frame.drop(columns=name)
            notes.append("a nameless column that numbers the rows was left out")


def _agree_on_stock(table: Table, frame: pd.DataFrame, flagged: bool) -> None:
    """Set `in_stock` where `availability` alone is given, or add a fault where the two contradict each other."""
    share = frame["availability"].to_numpy()
    shown = table.frame["availability"].to_numpy(dtype=object)
    table.fault(
        share > 1, "availability must be a share of the period, at most 1", "divide hours or days by all", shown
    )
    if not flagged:
        frame["in_stock"] = ~(share < 1)
        return
    stocked = frame["in_stock"].to_numpy()
    remedy = "correct one of them, or leave in_stock out"
    table.fault(stocked & (share < 1), "availability must be 1 or empty where in_stock is true", remedy, shown)
    table.fault(~stocked & (share == 1), "availability must be below 1 where in_stock is false", remedy, shown)


def _item_table(
    source: Source, faults: Faults, name: str, notes: list[str] | None, attributes: bool = False
) -> Table | None:
    if not isinstance(source, pd.DataFrame) and is_localised(Path(source)):
        said = [] if notes is None else notes
        dates = ["date", DISCONTINUED]
        raw = read_localised(Path(source), faults, text=["item_id"], dates=dates, is_number=_is_number, notes=said)
        raw = None if raw is None else check_raw(raw, faults)
    else:
        raw = read_raw(source, faults, name=name, text=["item_id"], attributes=attributes)
    table = None if raw is None else Table(raw, faults)
    return table if table is not None and table.require(["item_id"]) else None


def _is_number(column: str) -> bool:
    """Whether a column of items or of the state must hold numbers."""
    return column in {*ITEM_RULES, *LEVEL_RULES, "on_hand", "backorders"} or column.startswith("arriving_")


def _unique_ids(table: Table) -> NDArray[np.object_]:
    ids = table.ids()
    table.unique(ids, "keep one row an item")
    return ids


def _refuse_impossible_orders(table: Table, frame: pd.DataFrame) -> None:
    """Add a fault where minimum, maximum and pack size leave no order to place."""
    minimum, maximum, pack = (
        frame[name].to_numpy(dtype=np.float64) if name in frame else np.full(len(frame), np.nan)
        for name in ("minimum_order", "maximum_order", "pack_size")
    )
    # What breaks a rule of its own is on record already.
    minimum, maximum, pack = (np.where(values > 0, values, np.nan) for values in (minimum, maximum, pack))
    names = [repr(name) for name in frame["item_id"]]
    stuck = impossible_orders(names, minimum, maximum, pack)
    for at, message in stuck[:MOST_NAMED]:
        rule, _, remedy = message.partition("; ")
        table.fault(np.arange(len(frame)) == at, rule, remedy)
    if len(stuck) > MOST_NAMED:
        table.faults.add(f"{table.name}: {len(stuck) - MOST_NAMED:,} more items can never be ordered")


def _collect_levels(table: Table, frame: pd.DataFrame) -> None:
    """Check the levels that items are ordered by today: (s, S), or a base-stock level, for every item."""
    names = [name for name in LEVEL_RULES if name in frame]
    for name in names:
        frame[name] = table.numbers(name, LEVEL_RULES[name])
    pair = [name for name in ("reorder_point", "order_up_to") if name in names]
    if len(pair) == 1:
        other = "order_up_to" if pair == ["reorder_point"] else "reorder_point"
        table.faults.add(f"{table.name}: {pair[0]} needs a column {other}, too; add it, or give base_stock_level alone")
    elif pair and "base_stock_level" in names:
        rule = "reorder_point and order_up_to, or base_stock_level, are the levels in use, not both"
        table.faults.add(f"{table.name}: {rule}; leave one of them out")
    elif pair:
        crossed = (frame["reorder_point"] > frame["order_up_to"]).to_numpy()
        rule = "reorder_point must not exceed order_up_to"
        table.fault(crossed, rule, "correct one of them", frame["reorder_point"].to_numpy() if crossed.any() else None)


def house_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with our names where it has theirs; `unique_id` may be its index."""
    if frame.index.name == "unique_id" and "unique_id" not in frame:
        frame = frame.reset_index()
    ours = {theirs: name for name, theirs in NIXTLA_NAMES.items() if theirs in frame and name not in frame}
    return frame.rename(columns=ours)
