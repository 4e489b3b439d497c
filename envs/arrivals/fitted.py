"""Arrivals as they were: order lines of a receipts log, drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from .models import ByItem

FEWEST = 20
"""Order lines that an item needs for its own arrivals to be drawn from them alone."""


@dataclass(frozen=True, eq=False)
class FittedArrivals(ByItem):
    """Whole order lines of the past, drawn with replacement: delays, splits, short and lost deliveries as they came.

    An item with few lines of its own draws from those of all items. Lines are drawn independently over periods and
    items: that a supplier is late for weeks on end, or with a whole order of many items, is left out.

    Attributes:
        shares: which share of a line arrived k periods after it was ordered, shape (lines, slots + 1), sorted by owner.
        owners: the item of each line, sorted, shape (lines,).
        item_ids: the items that are drawn for, in their order.
        fewest: lines that an item needs to be drawn from alone.
    """

    shares: FloatArray
    owners: NDArray[np.str_]
    item_ids: tuple[str, ...]
    fewest: int = FEWEST

    @classmethod
    def fit(
        cls,
        receipts: pd.DataFrame,
        *,
        freq: str | None = None,
        item_ids: Sequence[str] | None = None,
        end: Any = None,
        over: Literal["error", "cap"] = "error",
        fewest: int = FEWEST,
    ) -> Self:
        """Read a log of receipts.

        Lines that were placed less than the longest delay before the log's end are left out, whether they are
        complete or not: what never comes is not known of those yet.

        Args:
            receipts: a row a receipt: order_id, item_id, ordered (units of the line, the same in all its rows),
                received (units), and order_period with receipt_period (integers) or order_date with receipt_date.
                A line that never arrived has one row with received 0 and no receipt. Receipts in the order's own
                period are of lead time 0.
            freq: pandas frequency of the periods, e.g. "W-MON"; needed with dates.
            item_ids: the items to draw for, in the order of the scenario's; those of the log, sorted, where None.
            end: the last period (or date) that the log covers; the last one in it where None.
            over: what more units than were ordered mean: "error", or "cap": as many as were ordered, each receipt
                scaled down.
            fewest: see the class.

        Raises:
            InputError: with one message a fault.
        """
        log = _read_log(receipts, freq, end, over)
        delay, units = log["delay"].to_numpy(np.int64), log["received"].to_numpy(np.float64)
        keys = ["order_id", "item_id"]
        line, first = log.groupby(keys, sort=False).ngroup().to_numpy(np.int64), log.drop_duplicates(keys)
        table = np.zeros((len(first), int(delay.max()) + 1))
        np.add.at(table, (line, delay), units / log["ordered"].to_numpy(np.float64))
        table = table / np.maximum(table.sum(1, keepdims=True), 1.0)
        owner, placed = first["item_id"].to_numpy(dtype=str), first["placed"].to_numpy(np.int64)
        closed = placed + table.shape[1] - 1 <= int(log["end"].iloc[0])
        if not closed.any():
            raise FractileError(
                f"receipts must reach {table.shape[1] - 1} periods, the longest delay, beyond an order, and none is "
                "that old; give a longer log, or its true end=..."
            )
        table, owner = table[closed], owner[closed]
        order = np.argsort(owner, kind="stable")
        names = tuple(map(str, item_ids)) if item_ids is not None else tuple(sorted(set(owner)))
        return cls(table[order], owner[order], names, fewest)

    def for_items(self, item_ids: Sequence[str]) -> Self:
        """Return the model that draws for these items, in this order; items without lines draw from all."""
        return replace(self, item_ids=tuple(map(str, item_ids)))

    @property
    def mean_shares(self) -> FloatArray:
        """Mean share that arrives k periods later, shape (slots + 1, items)."""
        start, number = self._pools()
        total = np.concatenate([np.zeros((1, self.shares.shape[1])), np.cumsum(self.shares, axis=0)])
        return np.asarray(((total[start + number] - total[start]) / number[:, None]).T)

    def keys(self, items: int) -> Sequence[str]:  # noqa: ARG002
        """Return the items' ids."""
        return self.item_ids

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        start, number = (pool[item][:, None] for pool in self._pools())
        line = start + np.floor(rng.random((periods, len(item))).T * number).astype(np.int64)
        return np.moveaxis(self.shares[line], 2, 0)

    def _pools(self) -> tuple[IntArray, IntArray]:
        """First line, and number of lines, that each item draws from."""
        names = np.asarray(self.item_ids, dtype=str)
        low, high = (np.searchsorted(self.owners, names, side=side) for side in ("left", "right"))
        own = high - low >= self.fewest
        return np.where(own, low, 0), np.where(own, high - low, len(self.owners))


def _read_log(receipts: pd.DataFrame, freq: str | None, end: Any, over: str) -> pd.DataFrame:
    """Return order_id, item_id, placed, delay, ordered, received, end; or every fault of the log."""
    kind = "date" if "order_date" in receipts.columns else "period"
    wanted = ["order_id", "item_id", f"order_{kind}", f"receipt_{kind}", "ordered", "received"]
    faults = Faults()
    for name in wanted:
        if name not in receipts.columns:
            faults.add(f"receipts needs a column {name!r}, it has: {', '.join(map(str, receipts.columns))}")
    if over not in ("error", "cap"):
        faults.add(f"over must be 'error' or 'cap', got {over!r}")
    if kind == "date" and freq is None:
        faults.add("freq must be given where receipts have dates, e.g. freq='W-MON'")
    if not len(receipts):
        faults.add("receipts must hold at least one row")
    faults.raise_if_any()
    log = pd.DataFrame({name: receipts[name].to_numpy() for name in ("order_id", "item_id")})
    columns = [receipts[f"order_{kind}"], receipts[f"receipt_{kind}"]]
    log["placed"], log["receipt"] = _periods(columns, kind, freq, faults)
    for name in ("ordered", "received"):
        log[name] = pd.to_numeric(receipts[name], errors="coerce").to_numpy(dtype=np.float64)
    log.loc[log["receipt"].isna() & log["received"].isna(), "received"] = 0.0
    _check_rows(log, over, faults)
    faults.raise_if_any()
    log["delay"] = (log["receipt"] - log["placed"]).fillna(0.0)
    last = log[["placed", "receipt"]].max(axis=None)
    if end is not None and kind == "date":
        days = [*(pd.to_datetime(column, errors="coerce") for column in columns), pd.Series([pd.Timestamp(end)])]
        last = _calendar(days, freq).searchsorted(pd.Timestamp(end), side="right") - 1
    log["end"] = last if end is None or kind == "date" else float(end)
    return log


def _periods(columns: list[Any], kind: str, freq: str | None, faults: Faults) -> list[FloatArray]:
    """Periods as floats, NaN where there is none."""
    if kind == "period":
        return [pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64) for column in columns]
    days = [pd.to_datetime(column, errors="coerce") for column in columns]
    for column, day in zip(columns, days, strict=True):
        if (day.isna() & column.notna().to_numpy()).any():
            faults.add(f"{column.name} must be dates, got {column[day.isna() & column.notna()].iloc[0]!r}")
    calendar = _calendar(days, freq)
    places = [calendar.searchsorted(day.to_numpy(), side="right") - 1.0 for day in days]
    return [np.where(day.isna(), np.nan, place) for day, place in zip(days, places, strict=True)]


def _calendar(days: list[Any], freq: str | None) -> pd.DatetimeIndex:
    first, last = min(day.min() for day in days), max(day.max() for day in days)
    if pd.isna(first):
        return pd.DatetimeIndex([])
    offset: Any = pd.tseries.frequencies.to_offset(freq)
    return pd.date_range(offset.rollback(first.normalize()), last, freq=offset)


def _check_rows(log: pd.DataFrame, over: str, faults: Faults) -> None:
    """Keep a fault for every rule that rows break, with their number and the first of them."""
    receipt, received, ordered = log["receipt"], log["received"], log["ordered"]
    line = log.groupby(["order_id", "item_id"], dropna=False)
    total, asked = line["received"].transform("sum"), line["ordered"].transform("first")
    rules = {
        "order_id and item_id must be given": log["order_id"].isna() | log["item_id"].isna(),
        "the order's period must be a whole number, or a date": ~_whole(log["placed"]),
        "the receipt's period must be a whole number, a date, or missing": ~(_whole(receipt) | receipt.isna()),
        "ordered must be a finite number above 0": ~(np.isfinite(ordered) & (ordered > 0)),
        "received must be a finite number >= 0": ~(np.isfinite(received) & (received >= 0)),
        "a row with units received must say when": receipt.isna() & (received > 0),
        "nothing can arrive before it is ordered": receipt < log["placed"],
        "ordered must be the same in all rows of a line": ordered != asked,
        "the order's period must be the same in all rows of a line": log["placed"] != line["placed"].transform("first"),
    }
    if over == "error":
        rules["a line cannot receive more than was ordered; over='cap' scales it down"] = total > asked * (1 + 1e-9)
    for rule, broken in rules.items():
        if broken.any():
            example = log[broken].iloc[0]
            faults.add(
                f"receipts: {rule}: {int(broken.sum())} rows, the first is row {int(np.argmax(broken))}, "
                f"order {example['order_id']}, item {example['item_id']}"
            )


def _whole(values: pd.Series) -> Any:
    return np.isfinite(values) & (values == np.floor(values))
