"""A slice of a history: some of its items, read as they stand in the panel of the whole.

What only the whole can tell (`WholeHistory`) is found out once, from slices of it that are read one after the other,
and held beside each slice that is read later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from ...arrays import FloatArray
from ...errors import Faults
from .attributes import item_table
from .calendar import Calendar
from .covariates import Covariates
from .laid_rows import RowCounts, lay_rows
from .panel import SalesPanel, make_panel
from .read import RawTable
from .records import order_records
from .resample import CORE_COLUMNS, Missing
from .row_faults import listing
from .tables import check_history


@dataclass(frozen=True, eq=False)
class WholeHistory:
    """What slices of a history must know of the whole.

    Attributes:
        name: what messages call it.
        calendar: its slots and periods.
        missing: what a missing row means.
        columns: our names of columns to the files'.
        whole_units: whether every sale is a whole number of units.
        shares: whether there are shares of periods in stock: see `resample.stock_arrays`.
        notes: what reading it did that a reader should know.
    """

    name: str
    calendar: Calendar
    missing: Missing
    columns: Mapping[str, str]
    whole_units: bool | None = None
    shares: bool | None = None
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return all as JSON holds it."""
        calendar = self.calendar
        return {
            "name": self.name,
            "freq": calendar.freq,
            "dates": calendar.dates.strftime("%Y-%m-%dT%H:%M:%S").tolist(),
            "slots": calendar.slots.strftime("%Y-%m-%dT%H:%M:%S").tolist(),
            "period_of_slot": calendar.period_of_slot.tolist(),
            "finer": calendar.finer,
            "calendar_notes": list(calendar.notes),
            "missing": self.missing,
            "columns": dict(self.columns),
            "whole_units": self.whole_units,
            "shares": self.shares,
            "notes": list(self.notes),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WholeHistory:
        """Return what `to_record` gave."""
        days = {name: pd.DatetimeIndex(record[name]).as_unit("ns") for name in ("dates", "slots")}
        place = pd.array(record["period_of_slot"], dtype="int64").to_numpy()
        calendar = Calendar(record["freq"], **days, period_of_slot=place, finer=record["finer"])
        names = ("name", "missing", "columns", "whole_units", "shares")
        calendar = replace(calendar, notes=tuple(record["calendar_notes"]))
        return cls(calendar=calendar, **{name: record[name] for name in names}, notes=tuple(record["notes"]))


class Slice(NamedTuple):
    """Some items of a history.

    Attributes:
        panel: their sales.
        records: as in `Inputs`.
        counts: what was counted while their rows were laid.
    """

    panel: SalesPanel
    records: Mapping[str, FloatArray]
    counts: RowCounts


def read_slice(raw: RawTable, items: pd.DataFrame | None, whole: WholeHistory, faults: Faults) -> Slice | None:
    """Read all rows of some items of a history, or add to `faults` what is wrong with them and return None.

    Args:
        raw: the rows, as the files have them.
        items: rows of the items file, as `read_items` gives them; None where there is none.
        whole: what is known of the whole history.
        faults: collects what is wrong.
    """
    known = len(faults.messages)
    frame = check_history(raw, faults, whole.columns)
    if frame is None or len(faults.messages) > known:
        return None
    covariates = [str(name) for name in frame.columns if name not in CORE_COLUMNS]
    if covariates:
        faults.add(
            f"{whole.name}: has the columns {listing(covariates)}; covariates are not read in blocks of items: leave "
            "them out"
        )
        return None
    laid = lay_rows(frame, whole.calendar, items, whole.name, faults, whole.missing, shares=whole.shares)
    if len(faults.messages) > known:
        return None
    panel = make_panel(laid, whole.calendar, Covariates({}, {}), whole.notes, whole.whole_units)
    listed = panel.listed if "listed" in frame else None
    static = item_table(items, panel.item_ids, panel.dates, listed)
    records = order_records(frame, panel.item_ids, panel.dates, panel.freq)
    return Slice(replace(panel, static=static), records, laid.counts)
