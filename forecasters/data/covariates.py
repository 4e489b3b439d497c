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

from collections.abc import Collection, Iterator, Mapping
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


@dataclass(frozen=True, eq=False)
class CovariateFacts:
    """What is known of a covariate from all rows of a history only: a slice is read by the facts of the whole.

    Attributes:
        words: sorted; None where it holds numbers.
        is_flag: whether it holds zeros and ones alone.
        by_slot: the value of each slot that all items share, NaN where none has one; None where items differ.
        by_period: the same of each period, once rows are brought to periods.
    """

    words: tuple[str, ...] | None = None
    is_flag: bool = False
    by_slot: FloatArray | None = None
    by_period: FloatArray | None = None

    def to_record(self) -> dict[str, Any]:
        """Return all as JSON holds it."""
        shared = {
            name: None if values is None else [None if np.isnan(value) else value for value in values.tolist()]
            for name, values in (("by_slot", self.by_slot), ("by_period", self.by_period))
        }
        return {"words": self.words, "is_flag": self.is_flag, **shared}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CovariateFacts:
        """Return what `to_record` gave."""
        words, shared = record["words"], (record[name] for name in ("by_slot", "by_period"))
        arrays = (None if values is None else np.array(values, dtype=np.float64) for values in shared)
        return cls(None if words is None else tuple(words), record["is_flag"], *arrays)


@dataclass(frozen=True)
class HistoryFacts:
    """What is known of the covariates from all rows of a history only.

    Attributes:
        columns: facts by name; also of `price_paid`.
        records: whether rows stand where something was sold, and hardly anywhere else.
        paid: whether the price paid stands beside the price.
    """

    columns: Mapping[str, CovariateFacts]
    records: bool
    paid: bool


def covariate_arrays(
    rows: HistoryRows,
    cells: Cells,
    calendar: Calendar,
    columns: list[str],
    known: tuple[str, ...],
    lagged: BoolArray,
    facts: HistoryFacts | None = None,
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
        facts: of the larger history of which the rows are a slice; None: the rows are all there are.
    """
    arrays: dict[str, FloatArray] = {}
    worded, filled, bare, late = [], [], [], []
    for name in columns:
        column = read_covariate(
            name, rows, calendar, None if facts is None else facts.columns[name], ahead=name in known
        )
        if name in known:
            dense = column.known_ahead(rows, calendar, lagged)
            if lagged.any() and column.by_slot is None:
                late.append(name)
        else:
            dense = column.observed(cells, name)
        arrays[name] = fill_holes(dense, None if facts is None else column.facts.by_period, whole=facts is None)
        if name == PRICE and name in known and column.how == "mean" and PRICE_PAID not in columns:
            paid = column.observed(cells, name)
            shared = None if facts is None else facts.columns[PRICE_PAID].by_period
            paid = fill_holes(paid, shared, whole=facts is None)
            if (not np.allclose(paid, arrays[name], rtol=1e-9, atol=0.0)) if facts is None else facts.paid:
                arrays[PRICE_PAID] = paid
        if column.facts.words is not None:
            worded.append(name)
        if not np.isfinite(column.values).all():
            filled.append(name)
        if not np.isfinite(dense).any(axis=1).all():
            bare.append(name)
    return Covariates(
        known={name: arrays[name] for name in known},
        observed={name: array for name, array in arrays.items() if name not in known},
        notes=covariate_notes(worded, filled, bare, late, int(lagged.sum())),
    )


def covariate_notes(
    worded: Collection[str], filled: Collection[str], bare: Collection[str], late: Collection[str], lagged: int
) -> tuple[str, ...]:
    """Return what was done to covariates, a note each.

    Args:
        worded: names of those that hold words.
        filled: of those with rows without a value.
        bare: of those that some item has no value of.
        late: of those that are known ahead from earlier periods on.
        lagged: number of the items for which they are.
    """
    notes = {
        "text covariates became category codes in alphabetical order": worded,
        "missing values were carried forward, then backward, within the item": filled,
        "items without any value took the median of the others": bare,
        f"rows stand only where something was sold, so that {lagged:,} slow items know ahead the last value "
        "of an earlier period (give a row for every day to have the period's own)": late,
    }
    return tuple(f"{note}: {listing(names)}" for note, names in notes.items() if names)


@dataclass(frozen=True, eq=False)
class Covariate:
    """A covariate row by row.

    Attributes:
        values: shape (rows,), NaN where there is none; words are their positions.
        how: the rows of a period become one value: "last", "largest" or "mean".
        by_slot: the value of each slot that all items share; None where they differ.
        facts: of the larger history; what the rows say themselves where there is none.
    """

    values: FloatArray
    how: str
    by_slot: FloatArray | None
    facts: CovariateFacts

    def known_ahead(self, rows: HistoryRows, calendar: Calendar, lagged: BoolArray) -> FloatArray:
        """Return what is known ahead, shape (items, periods); see `covariate_arrays`."""
        return _known_ahead(self.values, rows, calendar, self.how, lagged, self.by_slot)

    def observed(self, cells: Cells, name: str) -> FloatArray:
        """Return what is known once a period is over, shape (items, periods)."""
        return _observed(self.values, cells, "paid" if name == PRICE and self.how == "mean" else self.how)


def read_covariate(
    name: str, rows: HistoryRows, calendar: Calendar, facts: CovariateFacts | None, *, ahead: bool
) -> Covariate:
    """Read a column as numbers.

    Args:
        name: of the column.
        rows: of the history, or of a slice.
        calendar: slots and periods.
        facts: of the larger history; None: the rows are all there are.
        ahead: whether it is known ahead.
    """
    if facts is None:
        values, words = _as_codes(rows.frame[name])
        shared = SharedValues(len(calendar.slots))
        if ahead:
            shared.add(values, rows.slot)
        facts = CovariateFacts(words, words is None and are_flags(values), shared.values)
    elif facts.words is None:
        numbers = as_numbers(rows.frame[name])
        values = np.where(np.isfinite(numbers), numbers, np.nan)
    else:
        texts = rows.frame[name].astype(object).map(str, na_action="ignore")
        codes = pd.Index(np.array(facts.words, dtype=object)).get_indexer(pd.Index(texts))
        values = np.where(codes >= 0, codes, np.nan).astype(np.float64)
    how = "last" if facts.words is not None or not calendar.finer else "largest" if facts.is_flag else "mean"
    return Covariate(values, how, facts.by_slot, facts)


def are_flags(values: FloatArray) -> bool:
    """Return whether all values that there are are zeros and ones."""
    return bool(np.isin(values[np.isfinite(values)], (0.0, 1.0)).all())


def sales_records(
    rows: HistoryRows, gaps: BoolArray, calendar: Calendar, columns: list[str], records: bool | None = None
) -> BoolArray:
    """Return the items whose rows are records of sales with whole periods between them, shape (items,).

    A row without a sale and without any covariate was filled in: it counts as missing.

    Args:
        rows: the rows of the history.
        gaps: True where a row is missing, and that means that nothing was sold, shape (items, slots).
        calendar: slots and periods.
        columns: names of the covariates.
        records: whether rows are records of sales in the larger history of which these are a slice; None: these are
            all there are.
    """
    gaps, unsold = unsold_rows(rows, gaps, columns)
    if not (are_records(unsold, int(gaps.sum())) if records is None else records):
        return np.zeros(rows.items, dtype=bool)
    starts = np.flatnonzero(calendar.opens)
    empty = np.logical_and.reduceat(gaps, starts, axis=1).sum(axis=1)
    there = np.maximum(len(starts) - calendar.period_of_slot[rows.first_slot], 1)
    few: BoolArray = empty > _FEW_PERIODS * there
    return few


def unsold_rows(rows: HistoryRows, gaps: BoolArray, columns: list[str]) -> tuple[BoolArray, int]:
    """Return gaps with the rows that were filled in among them, and the number of other rows without a sale."""
    zero = rows.frame["sales"].to_numpy() == 0
    silent = zero & rows.frame[columns].isna().all(axis=1).to_numpy() if columns else np.zeros_like(zero)
    gaps = gaps.copy()
    gaps[rows.item[silent], rows.slot[silent]] = True
    return gaps, int((zero & ~silent).sum())


def are_records(unsold: int, gaps: int) -> bool:
    """Return whether rows stand where something was sold, by the number of rows without a sale and of gaps."""
    return unsold < _FEW_ROWS * (unsold + gaps)


def _known_ahead(
    values: FloatArray,
    rows: HistoryRows,
    calendar: Calendar,
    how: str,
    lagged: BoolArray,
    shared: FloatArray | None,
) -> FloatArray:
    """Return what is known ahead, shape (items, periods); it is NaN before an item's first value."""
    starts = np.flatnonzero(calendar.opens)
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
    return np.concatenate(parts)


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


class SharedValues:
    """Finds out whether all items have one value in each slot or period, from some of them after the other.

    Args:
        places: number of slots or periods.
    """

    def __init__(self, places: int) -> None:
        self._low, self._high = np.full(places, np.inf), np.full(places, -np.inf)
        self._count = np.zeros(places, dtype=np.int64)

    def add(self, values: FloatArray, place: IntArray) -> None:
        """Take values and where they stand, both of one shape; those that are NaN are none."""
        there = np.isfinite(values)
        np.minimum.at(self._low, place[there], values[there])
        np.maximum.at(self._high, place[there], values[there])
        self._count += np.bincount(place[there], minlength=len(self._count))

    @property
    def any(self) -> bool:
        """Whether there is any value."""
        return bool(self._count.any())

    @property
    def values(self) -> FloatArray | None:
        """The value that all items share in each place, NaN where none has one; None where they differ."""
        several = self._count > 1
        if not several.any() or (self._low[several] != self._high[several]).any():
            return None
        return np.where(np.isfinite(self._low), self._low, np.nan)


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


def _as_codes(column: pd.Series[Any]) -> tuple[FloatArray, tuple[str, ...] | None]:
    """Return a column as numbers, and its sorted words where it was text, of which the numbers are the positions."""
    numbers = as_numbers(column) if not isinstance(column.dtype, pd.CategoricalDtype) else None
    if numbers is not None and not (np.isnan(numbers) & column.notna().to_numpy()).any():
        return np.where(np.isfinite(numbers), numbers, np.nan), None
    codes, words = pd.factorize(column.astype(object).map(str, na_action="ignore"), sort=True)
    return np.where(codes >= 0, codes, np.nan).astype(np.float64), tuple(words)


def fill_holes(values: FloatArray, shared: FloatArray | None, *, whole: bool) -> FloatArray:
    """Fill the holes of a covariate, shape (items, periods).

    Args:
        values: NaN where there are holes.
        shared: the value that all items of the larger history share in each period.
        whole: whether the items are all there are: they say themselves what they share.
    """
    holes = ~np.isfinite(values)
    if not holes.any():
        return values
    if whole:
        found = SharedValues(values.shape[1])
        found.add(values, np.broadcast_to(np.arange(values.shape[1]), values.shape))
        shared = found.values
    if shared is not None:  # a hole is filled from another item
        values = np.where(holes & np.isfinite(shared), shared, values)
    values = _carry(_carry(values)[:, ::-1])[:, ::-1]
    rest = np.isfinite(values)
    return np.where(rest, values, np.median(values[rest]) if rest.any() else 0.0)


def _carry(values: FloatArray) -> FloatArray:
    """Put each row's latest value into the holes after it."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    latest = np.maximum.accumulate(at, axis=1)
    return np.take_along_axis(values, latest, axis=1)
