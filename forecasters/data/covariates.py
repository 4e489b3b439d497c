"""Covariates of a history as (items, periods) arrays: what is known ahead, and what is observed.

What is *known ahead* of a period may use nothing of the period's own sales, or a forecast would read the answer off
its inputs. So a price is the plain mean over the days of the period, never weighted by what was sold on them; which
days have a row at all, often only those with a sale, matters as little as can be:

- a day without a row has the value of the last row before it in the same period, or of the first one in the period;
- a period without a row has the last value of an earlier one;
- where a missing row means no sale (`missing="zero"`) and rows without a sale hardly exist, values are records of
  sales. An item with whole periods without a row then has, in every period, the last value of an earlier one.

What remains: a change of price within a period of which only some days have rows is seen on those days alone, and the
first value that an item has stands for the time before it, too.

What is *observed* is known once the period is over, and may be weighted by sales: `price` is, where it is not known
ahead, and otherwise stands beside it as `price_paid` where the two differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray, IntArray
from .calendar import Calendar
from .read import as_numbers
from .resample import Cells, HistoryRows
from .row_faults import listing

PRICE, PRICE_PAID = "price", "price_paid"
_CELLS_AT_ONCE = 1_000_000
"""Item-days that are held as numbers at a time."""
_FEW_ROWS = 0.01
"""Share of the item-days without a sale that have a row, below which rows are records of sales."""
_FEW_PERIODS = 0.05
"""Share of an item's periods without any row, up to which a record of sales shows prices well enough."""


@dataclass(frozen=True)
class Covariates:
    """Covariates by name, each (items, periods), and what was done to get them.

    Attributes:
        known: known ahead, in the caller's order.
        observed: known once their period is over.
        notes: what a reader should know.
    """

    known: Mapping[str, FloatArray]
    observed: Mapping[str, FloatArray]
    notes: tuple[str, ...] = ()


def covariate_arrays(
    rows: HistoryRows, cells: Cells, calendar: Calendar, columns: list[str], known: tuple[str, ...], lagged: BoolArray
) -> Covariates:
    """Turn columns of a history into (items, periods) arrays.

    Numbers are averaged over the days of a period; flags (0 and 1 only) take the largest, text the latest. Text becomes
    the position of its word among the sorted words. Holes take the period's value where it is the same for all items (a
    calendar), else the item's value before, else the one after.

    Args:
        rows: the rows of the history.
        cells: the cell of each row.
        calendar: slots and periods.
        columns: names of the covariates.
        known: those that are known ahead.
        lagged: items whose values are known ahead only from earlier periods on, shape (items,): see `sales_records`.
    """
    arrays: dict[str, FloatArray] = {}
    worded, filled, bare, late = [], [], [], []
    for name in columns:
        values, is_text = _as_codes(rows.frame[name])
        is_flag = not is_text and bool(np.isin(values[np.isfinite(values)], (0.0, 1.0)).all())
        how = "last" if is_text or not calendar.finer else "largest" if is_flag else "mean"
        if name in known:
            dense, shared = _known_ahead(values, rows, calendar, how, lagged)
            if lagged.any() and not shared:
                late.append(name)
        else:
            dense = _observed(values, cells, "paid" if name == PRICE and how == "mean" else how)
        arrays[name] = _fill_holes(dense)
        if name == PRICE and name in known and how == "mean" and PRICE_PAID not in columns:
            paid = _fill_holes(_observed(values, cells, "paid"))
            if not np.allclose(paid, arrays[name], rtol=1e-9, atol=0.0):
                arrays[PRICE_PAID] = paid
        if is_text:
            worded.append(name)
        if not np.isfinite(values).all():
            filled.append(name)
        if not np.isfinite(dense).any(axis=1).all():
            bare.append(name)
    notes = {
        "text covariates became category codes in alphabetical order": worded,
        "missing values were carried forward, then backward, within the item": filled,
        "items without any value took the median of the others": bare,
        f"rows stand only where something was sold, so that {int(lagged.sum()):,} slow items know ahead the last value "
        "of an earlier period (give a row for every day to have the period's own)": late,
    }
    return Covariates(
        known={name: arrays[name] for name in known},
        observed={name: array for name, array in arrays.items() if name not in known},
        notes=tuple(f"{note}: {listing(names)}" for note, names in notes.items() if names),
    )


def sales_records(rows: HistoryRows, gaps: BoolArray, calendar: Calendar, columns: list[str]) -> BoolArray:
    """Return the items whose rows are records of sales with whole periods between them, shape (items,).

    A row without a sale and without any covariate was filled in: it counts as missing.

    Args:
        rows: the rows of the history.
        gaps: True where a row is missing, and that means that nothing was sold, shape (items, slots).
        calendar: slots and periods.
        columns: names of the covariates.
    """
    zero = rows.frame["sales"].to_numpy() == 0
    silent = zero & rows.frame[columns].isna().all(axis=1).to_numpy() if columns else np.zeros_like(zero)
    gaps = gaps.copy()
    gaps[rows.item[silent], rows.slot[silent]] = True
    unsold = int((zero & ~silent).sum())
    if unsold >= _FEW_ROWS * (unsold + gaps.sum()):
        return np.zeros(rows.items, dtype=bool)
    starts = np.flatnonzero(calendar.opens)
    empty = np.logical_and.reduceat(gaps, starts, axis=1).sum(axis=1)
    there = np.maximum(len(starts) - calendar.period_of_slot[rows.first_slot], 1)
    few: BoolArray = empty > _FEW_PERIODS * there
    return few


def _known_ahead(
    values: FloatArray, rows: HistoryRows, calendar: Calendar, how: str, lagged: BoolArray
) -> tuple[FloatArray, bool]:
    """Return what is known ahead, shape (items, periods), and whether all items share it.

    It is NaN before an item's first value.
    """
    starts = np.flatnonzero(calendar.opens)
    shared = _shared_by_slot(values, rows.slot, len(calendar.slots))
    there = np.flatnonzero(np.isfinite(values))
    there = there[np.argsort(rows.item[there], kind="stable")]
    parts = []
    for first, last in _blocks(rows.items, len(calendar.slots)):
        chosen = there[slice(*np.searchsorted(rows.item[there], [first, last]))]
        days = np.full((last - first, len(calendar.slots)), np.nan)
        days[rows.item[chosen] - first, rows.slot[chosen]] = values[chosen]
        if shared is not None:
            days = np.where(np.isfinite(days), days, shared)
        latest = _carry(days)
        ends = latest[:, [*(starts[1:] - 1), -1]]
        before = np.concatenate([np.full((last - first, 1), np.nan), ends[:, :-1]], axis=1)
        part = _by_period(_fill_within(days, calendar), starts, how)
        part = np.where(np.isfinite(part), part, before)
        if shared is None:
            # Without an earlier value the period's own one stands, as it does for the periods before.
            own = lagged[first:last, None] & np.isfinite(before)
            part = np.where(own, before, part)
        parts.append(part)
    return np.concatenate(parts), shared is not None


def _fill_within(days: FloatArray, calendar: Calendar) -> FloatArray:
    """Fill the days of a period that has any value: with the value before, else with the first one."""
    ahead, back = _carry(days), _carry(days[:, ::-1])[:, ::-1]
    period = calendar.period_of_slot
    known = np.isfinite(days)
    slots = np.arange(days.shape[1])
    previous = np.maximum.accumulate(np.where(known, slots, -1), axis=1)
    following = np.minimum.accumulate(np.where(known, slots, len(slots))[:, ::-1], axis=1)[:, ::-1]
    same_before = (previous >= 0) & (period[previous] == period)
    same_after = (following < len(slots)) & (period[np.minimum(following, len(slots) - 1)] == period)
    return np.where(same_before, ahead, np.where(same_after, back, np.nan))


def _by_period(days: FloatArray, starts: IntArray, how: str) -> FloatArray:
    """Bring filled days, all or none of a period known, to one value a period; NaN where none is known."""
    if how == "last":
        return days[:, [*(starts[1:] - 1), -1]]
    if how == "largest":
        return np.maximum.reduceat(days, starts, axis=1)
    return np.add.reduceat(days, starts, axis=1) / np.diff([*starts, days.shape[1]])


def _shared_by_slot(values: FloatArray, slot: IntArray, slots: int) -> FloatArray | None:
    """Return the value of each slot that all items share (a calendar), shape (slots,), or None where they differ."""
    there = np.isfinite(values)
    low, high = np.full(slots, np.inf), np.full(slots, -np.inf)
    np.minimum.at(low, slot[there], values[there])
    np.maximum.at(high, slot[there], values[there])
    several = np.bincount(slot[there], minlength=slots) > 1
    if not several.any() or (low[several] != high[several]).any():
        return None
    return np.where(np.isfinite(low), low, np.nan)


def _blocks(items: int, slots: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CELLS_AT_ONCE // max(1, slots))
    for first in range(0, items, step):
        yield first, min(items, first + step)


def _observed(values: FloatArray, cells: Cells, how: str) -> FloatArray:
    """Bring the rows of each period to one value: "last", "largest", "mean", or "paid" (for a unit sold)."""
    if how in ("last", "largest"):
        return cells.last(values) if how == "last" else cells.largest(values)
    plain = cells.mean(values, np.ones_like(values))
    if how == "mean":
        return plain
    paid = cells.mean(values, cells.sales)
    return np.where(np.isfinite(paid), paid, plain)


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
