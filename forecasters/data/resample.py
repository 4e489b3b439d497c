"""From the rows of a history to (items, periods) arrays.

What a missing row means: before an item's first row the item did not exist yet (not listed). After it, up
to the panel's end, a missing row is a fault, unless the caller says `missing="zero"` (nothing was sold, the
item was in stock) or `"unknown"` (the item could not be bought, so sales say nothing).

An item is off sale where its latest row says `listed` = false, and from the first period that begins on or after
the date `discontinued` of the items: nothing is missing there.

Where the data is finer than the panel (days into weeks), sales are added up, and a period is in stock where
every day of it is. Days on which no item at all has a row count as closed, not as missing. Under
`"unknown"` a period with any missing day is out of stock: its sales are a lower bound of its demand. So is
the period in which an item starts later than the period does, except under `"zero"`, and one in which it is taken off
sale. Partial periods at either end of the panel are dropped.

How much of such a period the item was in stock is its `availability`: the share of its open days in stock. A day out
of stock on which something was sold counts as half a day, for it sold as long as stock lasted: with days wholly in
stock alone, sales divided by that share came to 1.8 times demand on a panel of fresh food, with half days to 1.07
times. A column `availability` of the history knows better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import Faults
from .calendar import Calendar
from .row_faults import MOST_LISTED, GapFault, Gaps, listing
from .rules import ORDER_RECORDS

Missing = Literal["error", "zero", "unknown"]

CORE_COLUMNS = ("item_id", "date", "sales", "in_stock", "availability", "listed", *ORDER_RECORDS)
"""Columns of a history that are no covariates."""
_HALF_DAY = 0.5


@dataclass(frozen=True, eq=False)
class HistoryRows:
    """The rows of a history inside the calendar, sorted by date.

    Attributes:
        frame: the rows.
        item_ids: the items on record inside the calendar, in the order of their first row in the file.
        item: position of each row's item, shape (rows,).
        slot: position of each row's slot, shape (rows,).
        first_slot: the slot in which each item starts, 0 for one from before the calendar, shape (items,).
        dropped: items whose every row lies after the calendar's end.
    """

    frame: pd.DataFrame
    item_ids: tuple[str, ...]
    item: IntArray
    slot: IntArray
    first_slot: IntArray
    dropped: tuple[str, ...]

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_ids)


def place_rows(frame: pd.DataFrame, calendar: Calendar) -> HistoryRows:
    """Find the item and the slot of each row of a history; rows outside the calendar are left out."""
    codes, names = pd.factorize(frame["item_id"])
    first = pd.Series(frame["date"].to_numpy()).groupby(codes).min()
    first_slot = calendar.slots.searchsorted(pd.DatetimeIndex(first))
    kept = first_slot < len(calendar.slots)
    slot = calendar.slots.get_indexer(pd.DatetimeIndex(frame["date"]))
    inside = np.flatnonzero((slot >= 0) & kept[codes])
    inside = inside[np.argsort(slot[inside], kind="stable")]
    renumbered = np.cumsum(kept) - 1
    return HistoryRows(
        frame=frame.iloc[inside],
        item_ids=tuple(names[kept]),
        item=renumbered[codes[inside]],
        slot=slot[inside],
        first_slot=first_slot[kept],
        dropped=tuple(names[~kept]),
    )


def find_on_sale(rows: HistoryRows, calendar: Calendar, discontinued: pd.DatetimeIndex | None) -> BoolArray:
    """Return whether each item was on sale: there already and not taken off, shape (items, slots).

    Args:
        rows: the rows of the history; its column `listed`, if any, holds from each row to the item's next.
        calendar: slots and periods.
        discontinued: of each item, the date from which it is no longer sold, NaT where it still is; None where
            nothing is known.
    """
    slot = np.arange(len(calendar.slots), dtype=np.int32)
    on_sale: BoolArray = slot >= rows.first_slot[:, None]
    if "listed" in rows.frame:
        written, flag = np.zeros_like(on_sale), np.zeros_like(on_sale)
        written[rows.item, rows.slot] = True
        flag[rows.item, rows.slot] = rows.frame["listed"].to_numpy(dtype=bool)
        latest = np.maximum.accumulate(np.where(written, slot, np.int32(-1)), axis=1)
        on_sale &= (latest < 0) | np.take_along_axis(flag, np.maximum(latest, 0), axis=1)
    if discontinued is not None:
        dates = discontinued.to_numpy()[:, None]
        off = calendar.slots.to_numpy() >= dates
        # The period that the date lies in still counts, and with it what was sold in the rest of it.
        begun = calendar.dates.to_numpy()[calendar.period_of_slot] < dates
        sold = (rows.frame["sales"].to_numpy() > 0) & begun[rows.item, rows.slot]
        off[rows.item[sold], rows.slot[sold]] = False
        on_sale &= ~off
    return on_sale


def find_gaps(rows: HistoryRows, on_sale: BoolArray) -> BoolArray:
    """Return True where an item that is on sale has no row, shape (items, slots)."""
    gaps = on_sale.copy()
    gaps[rows.item, rows.slot] = False
    return gaps


def report_gaps(rows: HistoryRows, calendar: Calendar, gaps: BoolArray, name: str, faults: Faults) -> None:
    """Add a fault that names the first items with missing rows."""
    counts = gaps.sum(axis=1)
    bad = np.flatnonzero(counts)
    if not len(bad):
        return
    first = calendar.slots[gaps[bad[:MOST_LISTED]].argmax(axis=1)]
    shown = tuple(
        (rows.item_ids[at], day.date(), int(counts[at])) for at, day in zip(bad[:MOST_LISTED], first, strict=True)
    )
    faults.add(GapFault(name, Gaps(shown, len(bad), int(counts.sum()), bool(gaps[:, -1].any()))))


def report_sold_after(
    rows: HistoryRows, calendar: Calendar, discontinued: pd.DatetimeIndex, name: str, faults: Faults
) -> None:
    """Add a fault that names the first items with rows on sale in periods that begin after they were discontinued."""
    begins = calendar.dates.to_numpy()[calendar.period_of_slot[rows.slot]]
    after = begins >= discontinued.to_numpy()[rows.item]
    wrong = {"has sales": rows.frame["sales"].to_numpy() > 0}
    if "listed" in rows.frame:
        wrong["is listed"] = rows.frame["listed"].to_numpy(dtype=bool) & ~wrong["has sales"]
    for what, where in wrong.items():
        bad = np.flatnonzero(after & where)
        items, first, count = np.unique(rows.item[bad], return_index=True, return_counts=True)
        shown = [
            f"item {rows.item_ids[at]!r} {what} on {calendar.slots[rows.slot[bad[row]]].date()} ({many:,} such rows) "
            f"but was discontinued on {discontinued[at].date()}"
            for at, row, many in zip(items[:MOST_LISTED], first, count, strict=False)
        ]
        if shown:
            more = f" and {len(items) - MOST_LISTED:,} more items" if len(items) > MOST_LISTED else ""
            remedy = (
                "correct the date in the items' column 'discontinued', or leave it empty where the item is still sold"
            )
            faults.add(f"{name}: {'; '.join(shown)}{more}; {remedy}")


def row_notes(gaps: int, dropped: tuple[str, ...], missing: Missing, covariates: bool) -> list[str]:
    """Return what was assumed of missing rows and dropped items, a note each."""
    notes = []
    if gaps:
        meaning = "as no sales" if missing == "zero" else "as not in stock"
        carried = "; their covariates were carried forward" if covariates else ""
        notes.append(f"{gaps:,} missing rows were taken {meaning}{carried}")
    if dropped:
        notes.append(f"items with rows in the dropped last period only were left out: {listing(dropped)}")
    return notes


@dataclass(frozen=True)
class Cells:
    """Which cell of the panel each row of the history goes to.

    Attributes:
        flat: item * periods + period of each row, shape (rows,), rows in the order of their dates.
        shape: (items, periods).
        sales: units of each row, shape (rows,).
    """

    flat: IntArray
    shape: tuple[int, int]
    sales: FloatArray

    def total(self, values: FloatArray) -> FloatArray:
        """Add the rows of each cell up."""
        size = self.shape[0] * self.shape[1]
        sums: FloatArray = np.bincount(self.flat, weights=values, minlength=size).astype(np.float64)
        return sums.reshape(self.shape)

    def mean(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Average the rows of each cell that have a value; NaN where none has or the weights are zero."""
        there = np.isfinite(values)
        weights = np.where(there, weights, 0.0)
        share = self.total(weights)
        summed = self.total(np.where(there, values, 0.0) * weights)
        average = np.full(self.shape, np.nan)
        np.divide(summed, share, out=average, where=share > 0)
        return average

    def largest(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each cell; NaN where there is none."""
        cells = np.full(self.shape[0] * self.shape[1], -np.inf)
        there = np.isfinite(values)
        np.maximum.at(cells, self.flat[there], values[there])
        return np.where(np.isfinite(cells), cells, np.nan).reshape(self.shape)

    def last(self, values: FloatArray) -> FloatArray:
        """Return the latest value of each cell; NaN where there is none."""
        cells = np.full(self.shape[0] * self.shape[1], np.nan)
        there = np.isfinite(values)
        cells[self.flat[there]] = values[there]
        return cells.reshape(self.shape)


class StockCounts(NamedTuple):
    """Item-periods out of stock.

    Attributes:
        out: all.
        partly: those in stock in part.
        half: item-slots out of stock that had sales, and count as half in stock.
    """

    out: int = 0
    partly: int = 0
    half: int = 0

    def notes(self, *, finer: bool) -> tuple[str, ...]:
        """Return what was assumed of them, a note each; `finer` says that the data is finer than the periods."""
        notes = []
        if self.partly:
            notes.append(f"{self.partly:,} of the {self.out:,} item-periods out of stock were in stock in part")
        if self.half:
            unit = "days" if finer else "periods"
            notes.append(
                f"{self.half:,} item-{unit} out of stock had sales and count as half in stock; a column "
                "availability would tell the share"
            )
        return tuple(notes)


@dataclass(frozen=True)
class Stock:
    """When items could be bought, arrays of shape (items, periods).

    Attributes:
        listed: whether the item was on sale at any time of the period.
        in_stock: False where it was listed but could not be bought all the time.
        availability: share of the period in stock, 1 where `in_stock`; None where no more is known than that.
        counts: of the item-periods out of stock.
    """

    listed: BoolArray
    in_stock: BoolArray
    availability: FloatArray | None
    counts: StockCounts


def stock_arrays(
    rows: HistoryRows,
    calendar: Calendar,
    cells: Cells,
    on_sale: BoolArray,
    gaps: BoolArray,
    missing: Missing,
    *,
    shares: bool | None = None,
) -> Stock:
    """Bring flags, gaps and shares of a history to the periods of its panel: see the module's rules.

    Args:
        rows: the rows of the history.
        calendar: slots and periods.
        cells: the cell of each row.
        on_sale: as `find_on_sale` gives it.
        gaps: as `find_gaps` gives it.
        missing: what a missing row means.
        shares: whether there are shares of periods in stock; None: where any item ran out, and more is known than that.
    """
    starts = np.flatnonzero(calendar.opens)
    listed: BoolArray = np.logical_or.reduceat(on_sale, starts, axis=1)
    early = np.arange(len(calendar.slots)) < rows.first_slot[:, None]
    stocked = rows.frame["in_stock"].to_numpy(dtype=bool)
    there = on_sale[rows.item, rows.slot]
    out = cells.total((there & ~stocked).astype(np.float64)) > 0
    out |= np.logical_or.reduceat(~on_sale & ~early, starts, axis=1)
    if missing == "unknown":
        out |= np.logical_or.reduceat(gaps, starts, axis=1)
    if missing != "zero":
        late = np.flatnonzero(~calendar.opens[rows.first_slot])
        out[late, calendar.period_of_slot[rows.first_slot[late]]] = True
    out &= listed
    given = "availability" in rows.frame
    if not (out.any() and (given or calendar.finer) if shares is None else shares):
        return Stock(listed, ~out, None, StockCounts(int(out.sum())))
    half = there & ~stocked & (cells.sales > 0)
    share = np.where(stocked, 1.0, np.where(half, _HALF_DAY, 0.0))
    if given:
        told = rows.frame["availability"].to_numpy(dtype=np.float64)
        half &= np.isnan(told)
        share = np.where(np.isnan(told), share, told)
    days = cells.total(np.where(there, share, 0.0))
    if missing == "zero":
        days += np.add.reduceat(gaps | early, starts, axis=1, dtype=np.int64)
    availability = np.where(out, days / np.diff([*starts, len(calendar.slots)]), 1.0)
    partly = out & (availability > 0)
    counts = StockCounts(int(out.sum()), int(partly.sum()), int(half.sum()))
    return Stock(listed, ~out, availability, counts)
