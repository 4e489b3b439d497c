"""From the rows of a history to (items, periods) arrays.

What a missing row means: before an item's first row the item did not exist yet (not listed). After it, up
to the panel's end, a missing row is a fault, unless the caller says `missing="zero"` (nothing was sold, the
item was in stock) or `"unknown"` (the item could not be bought, so sales say nothing).

Where the data is finer than the panel (days into weeks), sales are added up, and a period is in stock where
every day of it is. Days on which no item at all has a row count as closed, not as missing. Under
`"unknown"` a period with any missing day is out of stock: its sales are a lower bound of its demand. So is
the period in which an item starts later than the period does, except under `"zero"`. Partial periods at
either end of the panel are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import Faults
from .calendar import Calendar
from .read import as_numbers, listing

Missing = Literal["error", "zero", "unknown"]

CORE_COLUMNS = ["item_id", "date", "sales", "in_stock"]


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


def find_gaps(rows: HistoryRows, calendar: Calendar) -> BoolArray:
    """Return True where an item that exists already has no row, shape (items, slots)."""
    gaps = np.arange(len(calendar.slots)) >= rows.first_slot[:, None]
    gaps[rows.item, rows.slot] = False
    return gaps


def report_gaps(rows: HistoryRows, calendar: Calendar, name: str, faults: Faults) -> bool:
    """Add a fault that names the first items with missing rows, and return whether there are any."""
    gaps = find_gaps(rows, calendar)
    counts = gaps.sum(axis=1)
    bad = np.flatnonzero(counts)
    if not len(bad):
        return False
    first = calendar.slots[gaps[bad[:3]].argmax(axis=1)]
    shown = ", ".join(
        f"item {rows.item_ids[at]!r} from {day.date()} on ({counts[at]:,})"
        for at, day in zip(bad[:3], first, strict=True)
    )
    more = f" and {len(bad) - 3:,} more items" if len(bad) > 3 else ""
    what = f"{counts.sum():,} rows are missing after the items' first ones: {shown}{more}"
    remedy = 'add them, or set missing to "zero" (nothing was sold) or "unknown" (it could not be bought)'
    faults.add(f"{name}: {what}; {remedy}")
    return True


def row_notes(rows: HistoryRows, gaps: int, missing: Missing, covariates: bool) -> list[str]:
    """Return what was assumed of missing rows and dropped items, a note each."""
    notes = []
    if gaps:
        meaning = "as no sales" if missing == "zero" else "as not in stock"
        carried = "; their covariates were carried forward" if covariates else ""
        notes.append(f"{gaps:,} missing rows were taken {meaning}{carried}")
    if rows.dropped:
        notes.append(f"items with rows in the dropped last period only were left out: {listing(rows.dropped)}")
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


def covariate_arrays(frame: pd.DataFrame, cells: Cells) -> tuple[dict[str, FloatArray], list[str]]:
    """Turn every column of `frame` (a row as in `cells`) into an (items, periods) array, and say how.

    Numbers are averaged over the rows of a period, `price` weighted by sales where there are any; flags (0
    and 1 only) take the largest, text the latest. Text becomes the position of its word among the sorted
    words. Holes take the period's value where it is the same for all items (a calendar), else the item's
    value before, else the one after.
    """
    arrays, worded, filled, bare = {}, [], [], []
    single_rows = len(cells.flat) == len(np.unique(cells.flat))
    for name in frame.columns:
        values, is_text = _as_codes(frame[name])
        if is_text:
            worded.append(str(name))
        if is_text or single_rows:
            dense = cells.last(values)
        elif np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
            dense = cells.largest(values)
        else:
            dense = cells.mean(values, np.ones_like(values))
            if name == "price":
                paid = cells.mean(values, cells.sales)
                dense = np.where(np.isfinite(paid), paid, dense)
        arrays[str(name)] = _fill_holes(dense)
        if not np.isfinite(values).all():
            filled.append(str(name))
        if not np.isfinite(dense).any(axis=1).all():
            bare.append(str(name))
    notes = {
        "text covariates became category codes in alphabetical order": worded,
        "missing values were carried forward, then backward, within the item": filled,
        "items without any value took the median of the others": bare,
    }
    return arrays, [f"{note}: {listing(names)}" for note, names in notes.items() if names]


def split_known(
    arrays: Mapping[str, FloatArray], known: tuple[str, ...]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the covariates known ahead, in the order of `known`, and the others."""
    return {name: arrays[name] for name in known}, {k: v for k, v in arrays.items() if k not in known}


def _as_codes(column: pd.Series[Any]) -> tuple[FloatArray, bool]:
    """Return a column as numbers, and whether it was text."""
    numbers = as_numbers(column) if not isinstance(column.dtype, pd.CategoricalDtype) else None
    if numbers is not None and not (np.isnan(numbers) & column.notna().to_numpy()).any():
        return np.where(np.isfinite(numbers), numbers, np.nan), False
    codes, _ = pd.factorize(column.astype(object).map(str, na_action="ignore"), sort=True)
    return np.where(codes >= 0, codes, np.nan).astype(np.float64), True


def _fill_holes(values: FloatArray) -> FloatArray:
    holes = ~np.isfinite(values)
    if not holes.any():
        return values
    # Where all items have one value in each period, a hole is filled from another item.
    low = np.where(holes, np.inf, values).min(axis=0)
    high = np.where(holes, -np.inf, values).max(axis=0)
    several = (~holes).sum(axis=0) > 1
    if several.any() and (low[several] == high[several]).all():
        shared = np.nanmax(np.where(holes, -np.inf, values), axis=0)
        values = np.where(holes & np.isfinite(shared), shared, values)
    values = _carry(_carry(values)[:, ::-1])[:, ::-1]
    rest = np.isfinite(values)
    return np.where(rest, values, np.median(values[rest]) if rest.any() else 0.0)


def _carry(values: FloatArray) -> FloatArray:
    """Put each row's latest value into the holes after it."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    latest = np.maximum.accumulate(at, axis=1)
    return np.take_along_axis(values, latest, axis=1)
