"""What is known of covariates from the whole of a history only, found from slices of it that are read in turn.

Three times through the slices: which words there are, and whether they are attributes of the items (`WordSurvey`); what
rows hold (`RowSurvey`); what periods hold, once rows are brought to them (`PeriodSurvey`). Each time rests on what the
times before it found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from ...arrays import IntArray
from ...errors import Faults
from .attributes import is_attribute, word_columns
from .calendar import Calendar
from .covariates import (
    PRICE,
    PRICE_PAID,
    CovariateFacts,
    HistoryFacts,
    SharedValues,
    are_flags,
    are_records,
    covariate_notes,
    fill_holes,
    read_covariate,
    sales_records,
    unsold_rows,
)
from .laid_rows import LaidRows
from .read import MOST_CATEGORIES, as_numbers
from .resample import Missing
from .row_faults import RowFault, join_faults

MOST_WORDS = 1_000_000
"""Different words of a column that are held at most."""


class WordSurvey:
    """Finds out which words the columns of a history hold, and which of them are attributes of the items.

    Args:
        name: what messages call the history.
        known: covariates that the caller names as known ahead.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self._known = name, known
        self.words: dict[str, Counter[str]] = {}
        self._text: set[str] = set()
        self._attribute: dict[str, bool] = {}
        self._wrong: dict[str, list[str]] = {}

    def add(self, frame: pd.DataFrame, numbers: IntArray) -> None:
        """Take the rows of a slice: `item_id` and columns of words under our names, and the number of each row."""
        may = set(word_columns(frame, self._known))
        for name in frame.columns.drop("item_id"):
            column = frame[name]
            if isinstance(column.dtype, pd.CategoricalDtype):
                self._text.add(name)
            there = column.dropna()
            if name in may and len(there):
                self._attribute[name] = self._attribute.get(name, True) and is_attribute(frame["item_id"], column)
            counted = self.words.setdefault(name, Counter())
            for word, rows in there.astype(object).map(str).value_counts().items():
                counted[str(word)] += rows
            wrong = np.isnan(as_numbers(column.astype(object))) & column.notna().to_numpy()
            if wrong.any() and len(self._wrong.setdefault(name, [])) < MOST_WORDS:
                at = np.flatnonzero(wrong)
                got = tuple(dict.fromkeys(map(repr, column.iloc[at[:100]].astype(object))))[:3]
                rule, remedy = f"{name} must be a number, as it is in most rows", "write numbers alone, or leave the "
                fault = RowFault(
                    self.name, "row", rule, f"{remedy}column out", tuple(numbers[at[:3]].tolist()), len(at), got
                )
                self._wrong[name] = join_faults([*self._wrong[name], fault])

    def attributes(self) -> tuple[str, ...]:
        """Return the columns that are attributes of the items."""
        return tuple(name for name, constant in self._attribute.items() if constant)

    def facts(self, faults: Faults) -> dict[str, CovariateFacts]:
        """Return facts of the columns that are no attributes; add faults of words among numbers to `faults`."""
        found = {}
        for name, counted in self.words.items():
            if name in self.attributes():
                continue
            if len(counted) > MOST_WORDS:
                faults.add(f"{self.name}: column {name!r} holds more than {MOST_WORDS:,} different words; leave it out")
            texts = list(counted)
            numbers = as_numbers(pd.Series(texts, dtype=object))
            words, rows = np.isnan(numbers), np.array([counted[text] for text in texts], dtype=np.int64)
            few = 0 < rows[words].sum() < rows.sum() / 2 and name not in self._text
            if few and len(np.unique(numbers[np.isfinite(numbers)])) > MOST_CATEGORIES and name != PRICE:
                for message in self._wrong[name]:
                    faults.add(message)
            is_text = name in self._text or words.any()
            found[name] = CovariateFacts(tuple(sorted(texts)) if is_text else None)
        return found


class RowSurvey:
    """Finds out what the rows of a history hold.

    Args:
        calendar: slots and periods.
        missing: what a missing row means.
        columns: names of the covariates.
        known: those that are known ahead.
        words: facts of the columns that hold words.
    """

    def __init__(
        self,
        calendar: Calendar,
        missing: Missing,
        columns: list[str],
        known: tuple[str, ...],
        words: Mapping[str, CovariateFacts],
    ) -> None:
        self._calendar, self._missing, self._columns, self._known = calendar, missing, columns, known
        self._facts = {name: words.get(name, CovariateFacts()) for name in columns}
        self._shared = {name: SharedValues(len(calendar.slots)) for name in known}
        self._flags = dict.fromkeys(columns, True)
        self.filled: set[str] = set()
        self._unsold = self._gaps = 0

    def add(self, laid: LaidRows) -> None:
        """Take a slice."""
        if not self._columns:
            return
        for name in self._columns:
            values = read_covariate(name, laid.rows, self._calendar, self._facts[name], ahead=False).values
            self._flags[name] &= are_flags(values)
            if name in self._shared:
                self._shared[name].add(values, laid.rows.slot)
            if not np.isfinite(values).all():
                self.filled.add(name)
        gaps, unsold = unsold_rows(laid.rows, laid.unsold(self._missing), self._columns)
        self._unsold, self._gaps = self._unsold + unsold, self._gaps + int(gaps.sum())

    def facts(self) -> HistoryFacts:
        """Return what was found in the rows."""
        columns = {
            name: replace(
                facts,
                is_flag=facts.words is None and self._flags[name],
                by_slot=self._shared[name].values if name in self._shared else None,
            )
            for name, facts in self._facts.items()
        }
        return HistoryFacts(columns, are_records(self._unsold, self._gaps), paid=False)


class PeriodSurvey:
    """Finds out what the periods of a history hold.

    Args:
        calendar: slots and periods.
        missing: what a missing row means.
        known: covariates that are known ahead.
        facts: of the rows.
    """

    def __init__(self, calendar: Calendar, missing: Missing, known: tuple[str, ...], facts: HistoryFacts) -> None:
        self._calendar, self._missing, self._known, self._facts = calendar, missing, known, facts
        names = [*facts.columns, *([PRICE_PAID] if PRICE in known and PRICE_PAID not in facts.columns else [])]
        self._shared = {name: SharedValues(len(calendar.dates)) for name in names}
        self._bare: dict[str, list[str]] = {name: [] for name in names}
        self._lagged = 0
        self.has_paid = False

    def add(self, laid: LaidRows) -> None:
        """Take a slice."""
        rows, columns = laid.rows, list(self._facts.columns)
        lagged = sales_records(rows, laid.unsold(self._missing), self._calendar, columns, self._facts.records)
        self._lagged += int(lagged.sum())
        for name in columns:
            column = read_covariate(name, rows, self._calendar, self._facts.columns[name], ahead=name in self._known)
            ahead = name in self._known
            found = {
                name: column.known_ahead(rows, self._calendar, lagged) if ahead else column.observed(laid.cells, name)
            }
            if name == PRICE and ahead and column.how == "mean" and PRICE_PAID not in columns:
                found[PRICE_PAID] = column.observed(laid.cells, name)
                self.has_paid = True
            for each, dense in found.items():
                place = np.broadcast_to(np.arange(dense.shape[1]), dense.shape)
                self._shared[each].add(dense, place)
                bare = ~np.isfinite(dense).any(axis=1)
                self._bare[each] += [rows.item_ids[at] for at in np.flatnonzero(bare)[:3]] if bare.any() else []

    def facts(self, name: str, faults: Faults) -> HistoryFacts:
        """Return what was found in rows and periods; add faults of items without any value to `faults`.

        Args:
            name: what messages call the history.
            faults: collects what is wrong.
        """
        columns = {}
        for each, shared in self._shared.items():
            columns[each] = replace(self._facts.columns.get(each, CovariateFacts()), by_period=shared.values)
            if self._bare[each] and shared.any and shared.values is None:
                faults.add(
                    f"{name}: column {each!r} has no value in any row of item {self._bare[each][0]!r} or others; in a "
                    "history that is read in blocks, give each item a value of it, or leave the column out"
                )
        return replace(self._facts, columns=columns)

    def notes(self, filled: set[str]) -> tuple[str, ...]:
        """Return what was done to covariates, a note each; `filled` are those with rows without a value."""
        columns = self._facts.columns
        late = [each for each in columns if each in self._known and self._lagged and columns[each].by_slot is None]
        return covariate_notes(
            [each for each, facts in columns.items() if facts.words is not None],
            [each for each in columns if each in filled],
            [each for each in columns if self._bare[each]],
            late,
            self._lagged,
        )


def is_paid_apart(laid: LaidRows, calendar: Calendar, missing: Missing, facts: HistoryFacts) -> bool:
    """Return whether the price paid differs from the price that is known ahead, for any item of a slice."""
    rows, columns = laid.rows, [name for name in facts.columns if name != PRICE_PAID]
    lagged = sales_records(rows, laid.unsold(missing), calendar, columns, facts.records)
    column = read_covariate(PRICE, rows, calendar, facts.columns[PRICE], ahead=True)
    known = fill_holes(column.known_ahead(rows, calendar, lagged), facts.columns[PRICE].by_period, whole=False)
    paid = fill_holes(column.observed(laid.cells, PRICE), facts.columns[PRICE_PAID].by_period, whole=False)
    return not np.allclose(paid, known, rtol=1e-9, atol=0.0)
