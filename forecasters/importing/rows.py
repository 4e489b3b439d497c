"""Rows of sales: which belong together, which stand twice, and which are returns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray, IntArray
from .findings import Choice, Findings, Options, counted
from .numbers import share_of_numbers
from .table import RawColumn
from .vocabulary import is_place

_FEW_VALUES = 0.2
"""A column that divides the rows of a day into items has far fewer distinct values than rows."""


@dataclass(frozen=True, eq=False)
class SalesRows:
    """A row a sale, or an item and date.

    Attributes:
        item: names of items, coded.
        day: of each row, shape (rows,).
        units: of each row, NaN where the cell held nothing, shape (rows,).
        others: the remaining columns.
        clock: whether rows carry a time of day.
        stamp: code of each row's date and time as written, shape (rows,).
        zero_rows: rows of the file that say that nothing was sold.
        nothing: rows whose cell of units stands there and holds nothing, shape (rows,).
    """

    item: RawColumn
    day: NDArray[np.datetime64]
    units: FloatArray
    others: tuple[RawColumn, ...]
    clock: bool
    stamp: IntArray
    zero_rows: int
    nothing: BoolArray

    @property
    def cell(self) -> IntArray:
        """A number for each item and day, shape (rows,)."""
        days = self.day.astype(np.int64)
        first = days.min() if len(days) else 0
        span = int(days.max() - first) + 1 if len(days) else 1
        return self.item.codes * span + (days - first)

    def keep(self, where: BoolArray) -> SalesRows:
        """Return some of the rows."""
        return replace(
            self,
            item=self.item.rows(where),
            day=self.day[where],
            units=self.units[where],
            others=tuple(column.rows(where) for column in self.others),
            stamp=self.stamp[where],
            nothing=self.nothing[where],
        )


def settle_repeats(rows: SalesRows, key: tuple[str, ...], options: Options, findings: Findings) -> SalesRows:
    """Find out why an item has several rows on a day: another part of its key, rows exported twice, or single sales.

    Args:
        rows: of sales.
        key: the columns that name the item.
        options: what the caller settled.
        findings: what was found.

    Returns:
        The rows that count.
    """
    cell = rows.cell
    distinct, counts = np.unique(cell, return_counts=True)
    if len(distinct) == len(cell):
        return rows
    asked = any(question.topic == "item" for question in findings.questions)
    if not options.key and key and not asked and _ask_for_key(rows, cell, distinct, counts, key, findings):
        return rows
    again = _repeated(rows)
    several = int((counts > 1).sum())
    if again.any():
        only = len(cell) - int(again.sum()) == len(distinct)
        count = int(again.sum())
        repeated = f"{counted(count, 'row')} that stood before in every column"
        if options.duplicates is None and only and not rows.clock:
            findings.ask(
                "duplicates",
                f"{repeated}: sales of their own, or exported twice",
                Choice({"duplicates": "drop"}, "left out"),
                Choice({"duplicates": "add"}, "added up"),
            )
        elif options.duplicates == "drop":
            findings.say("duplicates", f"{repeated}: dropped", "given", rows=count)
            return rows.keep(~again)
        else:
            how = "given" if options.duplicates else "rule"
            findings.say("duplicates", f"{repeated}: added up as sales of their own", how)
    if rows.clock:
        text = f"{len(cell):,} single sales with the time of day, added up to {len(distinct):,} item-days"
    else:
        text = f"several rows for {counted(several, 'item-date')}: added up ({len(cell):,} rows)"
    findings.say("added_up", text, rows=len(cell), cells=len(distinct))
    return rows


def _ask_for_key(
    rows: SalesRows, cell: IntArray, distinct: IntArray, counts: IntArray, key: tuple[str, ...], findings: Findings
) -> bool:
    """Ask whether another column is part of the item's key, where one of stores does, or any that leaves no repeats."""
    repeated = counts[np.searchsorted(distinct, cell)] > 1
    found = None
    for column in rows.others:
        codes = column.codes - column.codes.min()
        pairs = pd.unique(cell * (int(codes.max()) + 1) + codes)
        if len(pairs) == len(distinct):
            continue
        if is_place(column.name) or (
            not rows.clock
            and len(pairs) == len(cell)
            and len(column.values) <= max(2.0, _FEW_VALUES * repeated.sum())
            and share_of_numbers(column) < 1
        ):
            found = column
            break
    if found is None:
        return False
    name = "+".join(key)
    findings.ask(
        "item",
        f"an item of {name!r} has several rows for a date, and {found.name!r} tells them apart "
        f"({len(found.present()):,} of them)",
        Choice({"item": f"{found.name}+{name}"}, f"an item is one {name} of one {found.name}"),
        Choice({"item": name}, f"all {found.name} are added up"),
    )
    return True


def _repeated(rows: SalesRows) -> BoolArray:
    """Return the rows that have stood before in every column."""
    parts = {"cell": rows.cell, "stamp": rows.stamp, "units": rows.units}
    parts |= {f"column {at}": column.codes for at, column in enumerate(rows.others)}
    return pd.DataFrame(parts, copy=False).duplicated().to_numpy()


def settle_returns(rows: SalesRows, options: Options, findings: Findings) -> SalesRows:
    """Take returns for nothing sold where they are to be dropped; ask where nothing is said about them.

    Args:
        rows: of sales.
        options: what the caller settled.
        findings: what was found.
    """
    negative = rows.units < 0
    if not negative.any():
        return rows
    count, units = int(negative.sum()), -float(rows.units[negative].sum())
    what = f"{counted(count, 'row')} of negative units ({units:,.6g} in all)"
    if options.returns is None:
        findings.ask(
            "returns",
            what,
            Choice({"returns": "net"}, "they are returns: subtracted from the item's sales of the same period"),
            Choice({"returns": "drop"}, "left out: they are corrections, or goods that cannot be sold again"),
        )
        return rows
    if options.returns == "drop":
        findings.say("returns", f"{what}: dropped", "given", rows=count, units=units, returns="drop")
        # The row stays: on that day nothing is missing.
        return replace(rows, units=np.where(negative, 0.0, rows.units))
    return rows
