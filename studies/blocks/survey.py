"""What is known from the whole of a history only, found from its slices: see `forecasters.data.covariate_survey`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ...errors import Faults
from ...forecasters.data.attributes import name_covariates, note_both
from ...forecasters.data.covariate_survey import PeriodSurvey, RowSurvey, WordSurvey, is_paid_apart
from ...forecasters.data.laid_rows import LaidRows, RowCounts
from ...forecasters.data.read import RawTable, Table
from ...forecasters.data.resample import CORE_COLUMNS
from ...forecasters.data.row_faults import join_faults
from ...forecasters.data.slices import WholeHistory, lay_slice
from ...progress import Progress
from ..data import find_uncountable


class RawSlice(NamedTuple):
    """Some items of a history as the files have them.

    Attributes:
        rows: all of them, or some columns.
        items: their rows of the items file; None where there is none.
        share: of the history that is over with them, 0 to 1.
    """

    rows: RawTable
    items: pd.DataFrame | None
    share: float


Slices = Callable[[list[str] | None], Iterator[RawSlice]]
"""Yields all slices in turn, with some of the files' columns, or all where None."""


def survey_slices(
    whole: WholeHistory,
    slices: Slices,
    schema: pa.Schema,
    known: Collection[str] | None,
    dropped: tuple[str, ...],
    items: pd.DataFrame | None,
    faults: Faults,
    progress: Progress,
) -> WholeHistory | None:
    """Return what slices must know of a history; add the faults of all rows, and return None where there are any.

    Args:
        whole: what is known so far: the calendar, and how files are read.
        slices: of the history.
        schema: of its files.
        known: as in `load_panel`.
        dropped: items that lie after the calendar's end.
        items: rows of the items file; None where there is none.
        faults: collects what is wrong.
        progress: receives what is being done.
    """
    words = _read_words(whole, slices, schema, known, faults, progress)
    whole = replace(whole, attributes=words.attributes())
    found = Faults()
    by_word = words.facts(found)
    rows: RowSurvey | None = None
    totals = _Totals()
    notes: list[str] = []
    covariates: list[str] = []
    for raw in slices(None):
        progress("checking the history", raw.share)
        each = lay_slice(raw.rows, raw.items, whole, found)
        if each is None:
            continue
        if rows is None:  # the first sound slice has the columns of all
            covariates, ahead = name_covariates(each.frame, whole.name, found, known)
            whole, notes = replace(whole, known=ahead), each.notes
            rows = RowSurvey(whole.calendar, whole.missing, covariates, ahead, by_word)
        if each.covariates != covariates:
            odd = ", ".join(sorted({*covariates} ^ {*each.covariates})) or "the columns' order"
            found.add(f"{whole.name}: some rows lack columns that others have ({odd}); give all rows the same columns")
            continue
        rows.add(each.laid)
        totals.add(each.laid, whole.calendar.dates, found)
    for message in join_faults(found.messages):
        faults.add(message)
    if faults.messages or rows is None or totals.counts is None:
        return None
    shares = totals.ran_out and totals.has_shares
    whole = replace(whole, facts=rows.facts(), whole_units=totals.whole_units, shares=shares)
    said: tuple[str, ...] = ()
    if covariates:
        whole, said = _read_periods(whole, slices, rows.filled, faults, progress)
    if items is not None:
        note_both([name for name in whole.attributes if name in items], notes)
    counted = replace(totals.counts, dropped=dropped).notes(whole.missing, covariates=bool(covariates))
    all_notes = (*notes, *whole.notes, *whole.calendar.notes, *counted, *said)
    return replace(whole, notes=all_notes)


class _Totals:
    """What is added up over slices."""

    def __init__(self) -> None:
        self.counts: RowCounts | None = None
        self.whole_units, self.ran_out, self.has_shares = True, False, False

    def add(self, laid: LaidRows, dates: pd.DatetimeIndex, faults: Faults) -> None:
        """Take a slice; `faults` takes sales that cannot be counted."""
        self.counts = laid.counts if self.counts is None else self.counts + laid.counts
        sales = laid.cells.total(laid.cells.sales)
        for message in find_uncountable(sales, laid.rows.item_ids, dates):
            faults.add(message)
        self.whole_units &= bool(np.all(sales == np.floor(sales)))
        self.ran_out |= bool((laid.stock.listed & ~laid.stock.in_stock).any())
        self.has_shares |= laid.stock.availability is not None


def _read_words(
    whole: WholeHistory,
    slices: Slices,
    schema: pa.Schema,
    known: Collection[str] | None,
    faults: Faults,
    progress: Progress,
) -> WordSurvey:
    """Find out which words there are."""
    survey = WordSurvey(whole.name, tuple(known or ()))
    theirs = whole.columns
    core = {theirs.get(name, name) for name in CORE_COLUMNS}
    texts = []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if field.name in core or field.name.startswith("__index_level_"):
            continue
        if pa.types.is_nested(kind):
            faults.add(f"{whole.name}: column {field.name!r} holds {kind}, neither numbers nor words; leave it out")
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            texts += [] if pa.types.is_timestamp(kind) else [field.name]
    if texts:
        item_column = theirs.get("item_id", "item_id")
        for raw in slices([item_column, *texts]):
            progress("reading the words of the history", raw.share)
            table = Table(raw.rows, Faults())
            table.rename({ours: name for ours, name in whole.columns.items() if name in table.frame})
            frame = table.frame.assign(item_id=table.ids())
            survey.add(frame, raw.rows.numbers)
    return survey


def _read_periods(
    whole: WholeHistory, slices: Slices, filled: set[str], faults: Faults, progress: Progress
) -> tuple[WholeHistory, tuple[str, ...]]:
    """Find out what the periods of covariates hold; return also what was done to them."""
    survey = PeriodSurvey(whole.calendar, whole.missing, whole.known, whole.facts)
    for raw in slices(None):
        progress("reading the covariates", raw.share)
        each = lay_slice(raw.rows, raw.items, whole, faults)
        if each is not None:
            survey.add(each.laid)
    facts = survey.facts(whole.name, faults)
    faults.raise_if_any()
    if survey.has_paid:
        for raw in slices(None):
            progress("reading the prices paid", raw.share)
            each = lay_slice(raw.rows, raw.items, whole, faults)
            if each is not None and is_paid_apart(each.laid, whole.calendar, whole.missing, facts):
                facts = replace(facts, paid=True)
                break
    return replace(whole, facts=facts), survey.notes(filled)
