"""A slice of a history: some of its items, read as they stand in the panel of the whole.

What is known from the whole only (`WholeHistory`) is found once, from slices of it that are read one after the other,
and held beside each slice that is read later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...errors import Faults
from .attributes import item_table, join_attributes, take_attributes
from .calendar import Calendar
from .covariates import CovariateFacts, HistoryFacts
from .laid_rows import LaidRows, find_covariates, lay_rows
from .panel import SalesPanel, make_panel
from .read import RawTable
from .records import order_records
from .resample import CORE_COLUMNS, Missing
from .tables import check_history

NO_FACTS = HistoryFacts({}, records=False, paid=False)


@dataclass(frozen=True, eq=False)
class WholeHistory:
    """What slices of a history must know of the whole.

    Attributes:
        name: what messages call it.
        calendar: its slots and periods.
        missing: what a missing row means.
        columns: our names of columns to the files'.
        known: covariates that are known ahead.
        attributes: columns of words that are the same in all rows of each item.
        facts: of the covariates.
        whole_units: whether every sale is a whole number of units.
        shares: whether there are shares of periods in stock: see `resample.stock_arrays`.
        notes: what reading it did that a reader should know.
    """

    name: str
    calendar: Calendar
    missing: Missing
    columns: Mapping[str, str]
    known: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    facts: HistoryFacts = NO_FACTS
    whole_units: bool | None = None
    shares: bool | None = None
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return all as JSON holds it."""
        calendar, facts = self.calendar, self.facts
        names = ("name", "missing", "known", "attributes", "whole_units", "shares", "notes")
        return {
            **{name: getattr(self, name) for name in names},
            "columns": dict(self.columns),
            "calendar": {
                "freq": calendar.freq,
                "dates": [day.isoformat() for day in calendar.dates],
                "slots": [day.isoformat() for day in calendar.slots],
                "period_of_slot": calendar.period_of_slot.tolist(),
                "finer": calendar.finer,
                "notes": calendar.notes,
            },
            "facts": {
                "columns": {name: each.to_record() for name, each in facts.columns.items()},
                "records": facts.records,
                "paid": facts.paid,
            },
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WholeHistory:
        """Return what `to_record` gave."""
        days, facts = record["calendar"], record["facts"]
        calendar = Calendar(
            days["freq"],
            pd.DatetimeIndex(days["dates"]).as_unit("ns"),
            pd.DatetimeIndex(days["slots"]).as_unit("ns"),
            np.array(days["period_of_slot"], dtype=np.int64),
            days["finer"],
            tuple(days["notes"]),
        )
        columns = {name: CovariateFacts.from_record(each) for name, each in facts["columns"].items()}
        return cls(
            name=record["name"],
            calendar=calendar,
            missing=record["missing"],
            columns=record["columns"],
            known=tuple(record["known"]),
            attributes=tuple(record["attributes"]),
            facts=HistoryFacts(columns, facts["records"], facts["paid"]),
            whole_units=record["whole_units"],
            shares=record["shares"],
            notes=tuple(record["notes"]),
        )


class LaidSlice(NamedTuple):
    """The rows of some items of a history, checked and laid over its calendar.

    Attributes:
        frame: the rows.
        laid: on the calendar.
        fixed: attributes that stand in the history, a row an item that has one.
        notes: what was done to columns.
    """

    frame: pd.DataFrame
    laid: LaidRows
    fixed: pd.DataFrame
    notes: list[str]

    @property
    def covariates(self) -> list[str]:
        """Names of the covariates."""
        return [str(name) for name in self.frame.columns if name not in CORE_COLUMNS]


class Slice(NamedTuple):
    """Some items of a history.

    Attributes:
        panel: their sales.
        records: as in `Inputs`.
    """

    panel: SalesPanel
    records: Mapping[str, FloatArray]


def lay_slice(raw: RawTable, items: pd.DataFrame | None, whole: WholeHistory, faults: Faults) -> LaidSlice | None:
    """Check all rows of some items of a history and lay them over its calendar; None where there are faults.

    Args:
        raw: the rows, as the files have them.
        items: rows of the items file, as `read_items` gives them; None where there is none.
        whole: what is known of the whole history so far.
        faults: collects what is wrong.
    """
    known = len(faults.messages)
    notes: list[str] = []
    frame = check_history(raw, faults, whole.columns, notes, slice_of_rows=True)
    if frame is None or len(faults.messages) > known:
        return None
    frame, fixed = take_attributes(frame, whole.known, notes, whole.attributes)
    laid = lay_rows(frame, whole.calendar, items, whole.name, faults, whole.missing, shares=whole.shares)
    return LaidSlice(frame, laid, fixed, notes) if len(faults.messages) == known else None


def read_slice(raw: RawTable, items: pd.DataFrame | None, whole: WholeHistory, faults: Faults) -> Slice | None:
    """Read all rows of some items of a history, or add to `faults` what is wrong with them and return None.

    Args:
        raw: the rows, as the files have them.
        items: rows of the items file, as `read_items` gives them; None where there is none.
        whole: what is known of the whole history.
        faults: collects what is wrong.
    """
    found = lay_slice(raw, items, whole, faults)
    if found is None:
        return None
    columns = found.covariates
    covariates = find_covariates(found.laid, whole.calendar, columns, whole.known, whole.missing, whole.facts)
    panel = make_panel(found.laid, whole.calendar, covariates, (), whole.whole_units)
    listed = panel.listed if "listed" in found.frame else None
    static = item_table(items, panel.item_ids, panel.dates, listed)
    static = join_attributes(static, found.fixed, panel.item_ids, [])
    records = order_records(found.frame, panel.item_ids, panel.dates, panel.freq)
    return Slice(replace(panel, static=static, notes=whole.notes), records)
