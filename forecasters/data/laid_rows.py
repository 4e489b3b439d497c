"""The rows of a history laid over the slots of its calendar: stock, gaps, covariates, and what was counted on the way.

A slice of a history is laid over the calendar of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...arrays import BoolArray
from ...errors import Faults
from .calendar import Calendar
from .covariates import Covariates, HistoryFacts, covariate_arrays, sales_records
from .resample import (
    Cells,
    HistoryRows,
    Missing,
    Stock,
    StockCounts,
    find_gaps,
    find_on_sale,
    place_rows,
    report_gaps,
    report_sold_after,
    row_notes,
    stock_arrays,
)
from .rules import DISCONTINUED


@dataclass(frozen=True)
class RowCounts:
    """What was counted while rows were laid; those of slices add up.

    Attributes:
        gaps: missing rows.
        dropped: items whose every row lies after the calendar's end.
        stock: item-periods out of stock.
        finer: whether the data is finer than the periods.
    """

    gaps: int
    dropped: tuple[str, ...]
    stock: StockCounts
    finer: bool

    def notes(self, missing: Missing, *, covariates: bool) -> tuple[str, ...]:
        """Return what was assumed, a note each.

        Args:
            missing: what a missing row means.
            covariates: whether the history has any.
        """
        return (*row_notes(self.gaps, self.dropped, missing, covariates), *self.stock.notes(finer=self.finer))

    def __add__(self, other: RowCounts) -> RowCounts:
        """Return the counts of both."""
        stock = StockCounts(*(mine + theirs for mine, theirs in zip(self.stock, other.stock, strict=True)))
        return RowCounts(self.gaps + other.gaps, (*self.dropped, *other.dropped), stock, self.finer)


@dataclass(frozen=True, eq=False)
class LaidRows:
    """The rows of a history on a calendar.

    Attributes:
        rows: with the item and the slot of each.
        cells: the cell of the panel that each goes to.
        gaps: True where a row is missing, shape (items, slots).
        stock: when items could be bought.
        counts: what was counted.
    """

    rows: HistoryRows
    cells: Cells
    gaps: BoolArray
    stock: Stock
    counts: RowCounts

    def unsold(self, missing: Missing) -> BoolArray:
        """Return the gaps that mean that nothing was sold, shape (items, slots)."""
        return self.gaps if missing == "zero" else np.zeros_like(self.gaps)


def lay_rows(
    frame: pd.DataFrame,
    calendar: Calendar,
    items: pd.DataFrame | None,
    name: str,
    faults: Faults,
    missing: Missing,
    *,
    shares: bool | None = None,
) -> LaidRows:
    """Lay the checked rows of a history over a calendar.

    Args:
        frame: as `read_history` gives it.
        calendar: of the history, or of the larger one that it is a slice of.
        items: as `read_items` gives it; None where there is none.
        name: what messages call the history.
        faults: takes missing rows, and sales after an item was discontinued.
        missing: what a missing row means.
        shares: as in `stock_arrays`.
    """
    rows = place_rows(frame, calendar)
    ended = None
    if items is not None and DISCONTINUED in items:
        dates = items.drop_duplicates("item_id").set_index("item_id")[DISCONTINUED]
        ended = pd.DatetimeIndex(dates.reindex(list(rows.item_ids)))
        report_sold_after(rows, calendar, ended, name, faults)
    on_sale = find_on_sale(rows, calendar, ended)
    gaps = find_gaps(rows, on_sale)
    if missing == "error":
        report_gaps(rows, calendar, gaps, name, faults)
    shape = (rows.items, len(calendar.dates))
    period = calendar.period_of_slot[rows.slot]
    cells = Cells(rows.item * shape[1] + period, shape, rows.frame["sales"].to_numpy())
    stock = stock_arrays(rows, calendar, cells, on_sale, gaps, missing, shares=shares)
    counts = RowCounts(int(gaps.sum()), rows.dropped, stock.counts, calendar.finer)
    return LaidRows(rows, cells, gaps, stock, counts)


def find_covariates(
    laid: LaidRows,
    calendar: Calendar,
    columns: list[str],
    known: tuple[str, ...],
    missing: Missing,
    facts: HistoryFacts | None = None,
) -> Covariates:
    """Return the covariates of a history: see `covariate_arrays`.

    Args:
        laid: its rows.
        calendar: their slots and periods.
        columns: names of the covariates.
        known: those that are known ahead.
        missing: what a missing row means.
        facts: of the larger history of which these are a slice; None: the rows are all there are.
    """
    records = None if facts is None else facts.records
    lagged = sales_records(laid.rows, laid.unsold(missing), calendar, columns, records)
    return covariate_arrays(laid.rows, laid.cells, calendar, columns, known, lagged, facts)
