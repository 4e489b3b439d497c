"""From rows of sales to a whole history: a row for every period from an item's first to the file's last one.

What a missing row means: where the file has no rows without a sale, rows are records of sales, and a missing row is a
period in which nothing was sold. Where it has both rows without a sale and gaps, it does not say what a gap means, and
the caller is asked; days on which no item at all has a row are closed days either way, and nothing was sold on them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import BoolArray
from ...errors import FractileError
from ..data.calendar import Calendar, infer_freq, make_calendar
from ..data.low_end import describe_low_end
from .columns import Roles
from .extras import Cells, extra_columns
from .findings import Choice, Findings, Options, counted
from .layout import DATE
from .rows import SalesRows
from .vocabulary import words_of

_WEEK_END = re.compile(r"\b(?:ending|end|ended|ende|wochenende|bis|finissant|fin|koniec)\b")
_BY_READING = {"yw": "W-MON", "ym": "MS", "yq": "QS-JAN"}
_MOST_CELLS = 40_000_000
_FEW_ZERO_ROWS = 0.01
"""Share of the gaps below which rows without a sale are strays in a record of sales."""
_MOST_CLOSED, _FEWEST_DAYS = 3, 14
"""Weekdays that may be closed every week, and days on record before any is taken for that."""
WORD = {"D": "days", "W": "weeks", "M": "months", "Q": "quarters", "h": "hours", "Y": "years"}


def lay_out(
    rows: SalesRows, roles: Roles, reading: str, decimal: str, options: Options, findings: Findings
) -> pd.DataFrame | None:
    """Return the history: `item_id, date, sales`, then the other columns; None where there are faults.

    Args:
        rows: of sales, those that count.
        roles: of the file's columns.
        reading: how dates were read.
        decimal: the decimal mark.
        options: what the caller settled.
        findings: what was found.
    """
    if any(question.topic == "date_format" for question in findings.questions):
        return None  # gaps and periods follow from the dates
    rows = _first_days(rows, roles.date, findings)
    calendar = _calendar(rows, reading, options, findings)
    if calendar is None:
        return None
    slot = calendar.slots.get_indexer(_index(rows.day))
    rows, slot = rows.keep(slot >= 0), slot[slot >= 0]
    period = calendar.period_of_slot[slot]
    there = np.isfinite(rows.units)
    known = np.zeros(len(rows.item.values) + 1, dtype=bool)
    known[rows.item.codes[there]] = True
    order = pd.unique(rows.item.codes[there])
    place = np.full(len(known), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    rows, period = rows.keep(known[rows.item.codes]), period[known[rows.item.codes]]
    there = np.isfinite(rows.units)
    item = place[rows.item.codes]
    shape = (len(order), len(calendar.dates))
    if not len(order):
        findings.fault("holds no item with a number of units; look at the column of sales")
        return None
    if shape[0] * shape[1] > _MOST_CELLS:
        findings.ask(
            "freq",
            f"{shape[0]:,} items by {shape[1]:,} periods are more rows than can be written",
            Choice({"freq": "W-MON"}, "weeks"),
            Choice({"freq": "MS"}, "months"),
        )
        return None
    flat = item * shape[1] + period
    present = np.zeros(shape, dtype=bool)
    present.ravel()[flat[there]] = True
    first = present.argmax(axis=1)
    begun = np.arange(shape[1]) >= first[:, None]
    gaps = begun & ~present
    said = np.zeros(shape, dtype=bool)
    said.ravel()[flat[rows.nothing]] = True
    unknown = _settle_gaps(rows, calendar, present, gaps, said & gaps, options, findings)
    written = np.flatnonzero(begun)
    cells = Cells(flat, written, written // shape[1], shape, len(pd.unique(flat)) < len(flat))
    sales = np.bincount(flat[there], rows.units[there], shape[0] * shape[1])
    sales = _net(sales, rows, calendar.freq, options, findings)
    low = describe_low_end(sales.reshape(shape), calendar.dates)
    sales = sales[written]
    frame: dict[str, Any] = {
        "item_id": rows.item.values[order][cells.item],
        "date": calendar.dates[written % shape[1]],
        "sales": sales.astype(np.int64) if (sales == np.floor(sales)).all() and sales.max() < 1e15 else sales,
    }
    extra = extra_columns(rows, cells, roles, decimal, options, findings)
    if unknown is not None:
        stocked = extra.pop("in_stock", np.ones(len(written), dtype=bool))
        extra = {"in_stock": stocked & ~unknown.ravel()[written], **extra}
    _say_result(calendar, shape, frame, rows, findings)
    if low:
        remedy = "leave its column out (--leave-out)" if roles.date == DATE else "leave its rows out"
        findings.say("low_end", f"{low} Where it is not, {remedy}", "rule")
    return pd.DataFrame({**frame, **extra})


def _first_days(rows: SalesRows, date_name: str, findings: Findings) -> SalesRows:
    """Return rows with months, quarters and weeks that are named by their last day named by their first."""
    distinct = _index(rows.day).unique().sort_values()
    if len(distinct) > 1 and distinct.is_month_end.all():
        findings.say("date_format", "months are named by their last day: written by their first", "rule")
        return replace(rows, day=rows.day.astype("datetime64[M]").astype("datetime64[D]"))
    if len(distinct) > 2 and distinct[0].day > 1 and len(distinct.day.unique()) == 1:
        findings.say("date_format", f"months are named by their day {distinct[0].day}: written by their first", "rule")
        return replace(rows, day=rows.day.astype("datetime64[M]").astype("datetime64[D]"))
    weekly = len(distinct) > 1 and len(distinct.dayofweek.unique()) == 1
    if weekly and _WEEK_END.search(words_of(date_name)):
        findings.say("date_format", "weeks are named by their last day: written by their first", "rule")
        return replace(rows, day=rows.day - np.timedelta64(6, "D"))
    return rows


def _calendar(rows: SalesRows, reading: str, options: Options, findings: Findings) -> Calendar | None:
    distinct = _index(rows.day).unique().sort_values()
    freq = options.freq or _BY_READING.get(reading)
    try:
        if freq is None:
            freq = _own(distinct, single=rows.clock)
        calendar = make_calendar(_with_closed_end(distinct) if freq == "D" else distinct, freq)
    except FractileError as error:
        findings.ask(
            "freq",
            str(error).split(";")[0],
            Choice({"freq": "D"}, "days"),
            Choice({"freq": "W-MON"}, "weeks from Monday"),
            Choice({"freq": "MS"}, "months"),
        )
        return None
    if options.freq is not None:
        findings.say("freq", f"added up to {period_words(calendar.freq)}", "given", freq=calendar.freq)
        if options.missing == "unknown" and calendar.finer:
            findings.fault("--missing unknown goes with the file's own periods; leave --freq out, and give it to study")
    for note in calendar.notes:
        findings.say("freq", note, "rule")
    return calendar


def _with_closed_end(distinct: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return days with those after the last one that are closed every week, so that the last week is whole."""
    open_days = set(distinct.dayofweek)
    if len(distinct) < _FEWEST_DAYS or len(open_days) < 7 - _MOST_CLOSED:
        return distinct
    after = pd.date_range(distinct[-1], periods=_MOST_CLOSED + 1)[1:]
    shut = np.logical_and.accumulate([day.dayofweek not in open_days for day in after])
    return pd.DatetimeIndex(distinct.append(after[shut])) if shut.any() else distinct


def _index(days: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(days).as_unit("ns")


def _own(distinct: pd.DatetimeIndex, *, single: bool) -> str:
    """Return the frequency of dates; working days count as daily, for holidays are no sale either.

    Args:
        distinct: sorted dates.
        single: whether rows are single sales with the time of day: where days have no even step, they are daily.
    """
    try:
        freq = infer_freq(distinct)
    except FractileError:
        if single and len(distinct) > 1:
            return "D"
        raise
    return "D" if freq == "B" else freq


def period_words(freq: str) -> str:
    """Return what the periods of a frequency are called, e.g. weeks from Monday."""
    kind = f"periods of {freq}" if freq[:1].isdigit() else WORD.get(freq[:1], f"periods of {freq}")
    day = freq.partition("-")[2].capitalize()
    full = {name[:3]: name for name in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")}
    return f"{kind} from {full[day]}" if kind == "weeks" and day in full else kind


def _settle_gaps(
    rows: SalesRows,
    calendar: Calendar,
    present: BoolArray,
    gaps: BoolArray,
    said: BoolArray,
    options: Options,
    findings: Findings,
) -> BoolArray | None:
    """Return where it is unknown what was sold, shape (items, periods); None where that is known everywhere.

    Args:
        rows: of sales.
        calendar: their periods.
        present: where there is a number of units.
        gaps: where there is none after an item's first one.
        said: gaps for which the file has a row that holds nothing.
        options: what the caller settled.
        findings: what was found.
    """
    if not gaps.any():
        return None
    closed: BoolArray = np.logical_not((present | said).any(axis=0))
    open_gaps = gaps & ~closed
    kind = period_words(calendar.freq).split(" ")[0]
    if closed.any():
        days, shut = _weekdays(calendar.dates, closed)
        what = f"{'never on ' + ' and '.join(days) if days else ''}"
        count = int((gaps & closed).sum())
        alone = int((closed & ~shut).sum())
        more = f"{counted(alone, kind.removesuffix('s'))} without any row" if alone else ""
        text = " and ".join(part for part in (what, more) if part)
        findings.say(
            "closed", f"{text}: taken as closed, {counted(count, 'row')} of 0", "rule", weekdays=days, periods=alone
        )
    if not open_gaps.any():
        return None
    count = int(open_gaps.sum())
    if options.missing is not None:
        meaning = "0 (nothing was sold)" if options.missing == "zero" else "not in stock (it could not be bought)"
        findings.say("missing", f"{count:,} item-{kind} without a row or a number: {meaning}", "given", rows=count)
        return open_gaps if options.missing == "unknown" else None
    zeros = rows.zero_rows
    if said.any():
        _ask_missing(f"{counted(int(said.sum()), 'row')} without a number of units", findings)
        return None
    if zeros < _FEW_ZERO_ROWS * (zeros + count):
        few = f"the file has {'no' if not zeros else f'only {zeros:,}'} rows without a sale"
        findings.say("missing", f"{count:,} item-{kind} without a row or a number: 0, for {few}", "rule", rows=count)
        return None
    where = np.argwhere(open_gaps)[0]
    example = f"item {rows.item.values[pd.unique(rows.item.codes)[where[0]]]!r} on {calendar.dates[where[1]].date()}"
    found = f"{counted(count, 'row')} missing, e.g. {example}, and {counted(zeros, 'row')} of 0 units"
    _ask_missing(f"{found}, so that the file does not say what a missing one means", findings)
    return None


def _ask_missing(found: str, findings: Findings) -> None:
    zero, unknown = Choice({"missing": "zero"}, "nothing was sold"), Choice({"missing": "unknown"}, "not for sale")
    findings.ask("missing", found, zero, unknown)


def _weekdays(dates: pd.DatetimeIndex, closed: BoolArray) -> tuple[list[str], BoolArray]:
    """Return the weekdays that are closed throughout daily data, and the dates on them."""
    none = np.zeros(len(dates), dtype=bool)
    if len(dates) < _FEWEST_DAYS or (dates[1] - dates[0]).days != 1:
        return [], none
    weekday = dates.dayofweek.to_numpy()
    names = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"]
    shut = [day for day in range(7) if closed[weekday == day].all()]
    shown = [names[day] for day in shut]
    if len(shut) > _MOST_CLOSED:
        shown = ["any day but " + " and ".join(names[day] for day in range(7) if day not in shut)]
    return shown, np.isin(weekday, shut)


def _net(sales: Any, rows: SalesRows, freq: str, options: Options, findings: Findings) -> Any:
    negative = rows.units < 0
    if not negative.any():
        return sales
    below = sales < 0
    units, lost = -float(rows.units[negative].sum()), -float(sales[below].sum())
    text = f"{counted(int(negative.sum()), 'row')} of returns ({units:,.6g} units) netted"
    if below.any():
        where = counted(int(below.sum()), "item-period")
        text += f"; more came back than was sold for {where} ({lost:,.6g} units): 0 there"
        text += ", and --freq W-MON nets within the week" * (freq == "D")
    how = "given" if options.returns else "rule"
    findings.say("returns", text, how, rows=int(negative.sum()), units=units, below=int(below.sum()), lost=lost)
    return np.maximum(sales, 0.0)


def _say_result(
    calendar: Calendar, shape: tuple[int, int], frame: dict[str, Any], rows: SalesRows, findings: Findings
) -> None:
    units, written = float(np.nansum(rows.units)), float(frame["sales"].sum())
    kind = period_words(calendar.freq)
    total = f"{written:,.10g} units" + ("" if np.isclose(units, written) else f" (the rows add up to {units:,.10g})")
    text = (
        f"{shape[0]:,} item{'s' * (shape[0] > 1)}, {shape[1]:,} {kind}, {calendar.dates[0].date()} to "
        f"{calendar.dates[-1].date()}, {len(frame['sales']):,} rows, {total}"
    )
    findings.say(
        "result", text, "rule",
        items=shape[0], periods=shape[1], rows=len(frame["sales"]), freq=calendar.freq, units=written,
        first=str(calendar.dates[0].date()), last=str(calendar.dates[-1].date()),
    )  # fmt: skip
