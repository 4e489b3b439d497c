"""Calendars: which period each date belongs to, which dates are missing, and dates of later periods.

A *period* is one step of the panel (a week), labelled by its first day. A *slot* is one step of the data as
it was recorded (a day of that week): where the data is as coarse as the panel, slots and periods are the
same.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError

_DAY = pd.Timedelta(days=1)
_MOST_EMPTY = 50
"""A calendar with this many times more periods than dates on record comes from a wrong date."""
SEASONS = {"D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1, "A": 1, "h": 24, "H": 24}
"""Periods in a season, by the first letter of the frequency."""


@dataclass(frozen=True)
class Calendar:
    """The periods of a panel and the slots that its rows fall in.

    Attributes:
        freq: pandas frequency of the periods.
        dates: the first day of each period, shape (periods,).
        slots: every date on which any item has a row, and the first day of each period in which none has,
            shape (slots,).
        period_of_slot: the period of each slot, shape (slots,).
        finer: whether the data is finer than the periods, so that rows must be added up.
        notes: what was dropped or assumed.
    """

    freq: str
    dates: pd.DatetimeIndex
    slots: pd.DatetimeIndex
    period_of_slot: IntArray
    finer: bool
    notes: tuple[str, ...] = ()

    @property
    def opens(self) -> BoolArray:
        """True for the first slot of each period, shape (slots,)."""
        return np.concatenate([[True], np.diff(self.period_of_slot) > 0])


def make_calendar(dates: pd.DatetimeIndex, freq: str | None) -> Calendar:
    """Lay periods over the distinct dates of a history.

    Args:
        dates: every row's date, in any order.
        freq: pandas frequency of the periods ("D", "W-MON", "MS"); None takes the data's own.

    Raises:
        FractileError: where the frequency is unknown, cannot be inferred or does not suit the dates.
    """
    distinct = dates.unique().sort_values()
    if freq is None:
        freq = infer_freq(distinct)
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # pandas warns of spellings that it has given up
                freq = str(pd.tseries.frequencies.to_offset(freq).freqstr)
        except (ValueError, FutureWarning, AttributeError) as error:
            rule = f"freq must be a pandas frequency, got {freq!r}"
            raise FractileError(f"{rule}; write 'D' (days), 'W-MON' (weeks from Monday) or 'MS' (months)") from error
    periods = _lay_periods(distinct, freq)
    finer = not bool(distinct.isin(periods).all())
    notes: tuple[str, ...] = ()
    if finer:
        if freq.split("-")[0].endswith("E"):
            rule = f"periods are named by their first day, got freq {freq!r}"
            raise FractileError(f"{rule}; write 'MS', 'QS' or 'YS'")
        # Dates as far apart as the periods are no finer data, but periods that start on another day.
        step = np.diff(distinct.to_numpy()).min() if len(distinct) > 1 else np.timedelta64(0)
        length = np.diff(periods.to_numpy()).min() if len(periods) > 1 else step + np.timedelta64(1)
        if len(distinct) > 1 and step >= length:
            own = f"dates such as {distinct[0].date()} ({distinct[0].day_name()})"
            rule = f"{own} do not begin a period of freq {freq!r}"
            raise FractileError(f"{rule}; leave freq out, or give the data's own")
        periods, distinct, notes = _drop_partial(distinct, periods, freq)
    place = _place(periods, distinct)
    empty = periods[np.setdiff1d(np.arange(len(periods)), place)]
    slots = pd.DatetimeIndex(distinct.append(empty).sort_values())
    return Calendar(freq, periods, slots, _place(periods, slots), finer, notes)


def infer_freq(distinct: pd.DatetimeIndex) -> str:
    """Return the pandas frequency of sorted distinct dates; holes in the calendar do no harm.

    Raises:
        FractileError: where there is no even step.
    """
    remedy = "; give freq, e.g. 'D' (days), 'W-MON' (weeks from Monday) or 'MS' (months)"
    if len(distinct) < 2:
        raise FractileError(f"freq cannot be inferred from a single date{remedy}")
    regular = pd.infer_freq(distinct) if len(distinct) > 2 else None
    if regular is not None:
        return regular
    steps = np.diff(distinct.to_numpy())
    least = pd.Timedelta(steps.min())
    if (distinct.day == 1).all() and least >= 28 * _DAY:
        return "MS"
    if (steps % least.to_timedelta64() == np.timedelta64(0)).all():
        if least == 7 * _DAY:
            return f"W-{distinct[0].day_name()[:3].upper()}"
        if least in (_DAY, pd.Timedelta(hours=1)):
            return "D" if least == _DAY else "h"
    shown = ", ".join(str(day.date()) for day in distinct[:4])
    raise FractileError(f"freq cannot be inferred from the dates {shown}, ...{remedy}")


def _lay_periods(distinct: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    offset = pd.tseries.frequencies.to_offset(freq)
    hours = isinstance(offset, pd.offsets.Tick) and pd.Timedelta(offset) < _DAY
    first = distinct[0].floor(freq) if hours else pd.Timestamp(offset.rollback(distinct[0].normalize()))
    try:
        periods = pd.date_range(first, distinct[-1], freq=freq)
    except (pd.errors.OutOfBoundsDatetime, OverflowError, MemoryError) as error:
        raise FractileError(f"dates run from {first.date()} to {distinct[-1].date()}; correct them") from error
    if len(periods) > _MOST_EMPTY * len(distinct) + 400:
        span = f"dates run from {distinct[0].date()} to {distinct[-1].date()}"
        few = f"{len(periods):,} periods of freq {freq!r}, but only {len(distinct):,} dates have rows"
        raise FractileError(f"{span}: {few}; correct the first or the last date")
    return periods


def _drop_partial(
    distinct: pd.DatetimeIndex, periods: pd.DatetimeIndex, freq: str
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex, tuple[str, ...]]:
    """Drop the first and the last period where a day that could have had sales lies outside the data."""
    ends = periods.append(pd.date_range(periods[-1], periods=2, freq=freq)[1:])
    days = pd.date_range(distinct[0].normalize(), distinct[-1], freq="D")
    closed = np.setdiff1d(days.dayofweek, distinct.dayofweek)
    head = _cut(periods[0], distinct[0], closed)
    tail = _cut(distinct[-1].normalize() + _DAY, ends[-1], closed)
    kept = periods[int(head) : len(periods) - int(tail)]
    if not len(kept):
        raise FractileError(f"the data covers no whole period of freq {freq!r}; give a finer freq or more dates")
    inside = distinct[(distinct >= kept[0]) & (distinct < ends[len(periods) - int(tail)])]
    lost = [periods[0]] * head + [periods[-1]] * tail
    notes = tuple(f"the partial period from {day.date()} was dropped" for day in lost)
    return kept, inside, notes


def _cut(first: pd.Timestamp, end: pd.Timestamp, closed: IntArray) -> bool:
    """Say whether first ... end - 1 day holds a weekday other than those on which nobody ever sells."""
    days = pd.date_range(first.normalize(), end.normalize() - _DAY, freq="D")
    return not bool(np.isin(days.dayofweek, closed).all())


def _place(periods: pd.DatetimeIndex, dates: pd.DatetimeIndex) -> IntArray:
    found: IntArray = periods.searchsorted(dates, side="right") - 1
    return found


def later_dates(dates: pd.DatetimeIndex | None, freq: str | None, periods: int) -> pd.DatetimeIndex | None:
    """Return dates that lie some periods later, or None where there are none.

    Raises:
        FractileError: where they lie beyond the last date that can be kept.
    """
    if dates is None or freq is None:
        return None
    offset: Any = pd.tseries.frequencies.to_offset(freq)
    try:
        if len(dates) and pd.notna(dates.max()):
            dates.max() + periods * offset  # a single date is refused where those of an index wrap around
        return dates + periods * offset
    except (pd.errors.OutOfBoundsDatetime, pd.errors.OutOfBoundsTimedelta, OverflowError):
        last = pd.Timestamp.max.date()
        where = f"{periods:,} periods of freq {freq!r} after {dates[-1].date()} lie beyond {last}"
        raise FractileError(f"{where}, the last date that can be kept; give fewer periods") from None


def year_angle(dates: pd.DatetimeIndex) -> FloatArray:
    """Return how far through the year each date is, in radians, shape (periods,)."""
    return np.asarray(2 * np.pi * dates.dayofyear.to_numpy() / 365.25)


def season_of(freq: str) -> int:
    """Return how many periods make a season; 1 for any other frequency.

    >>> season_of("W-MON"), season_of("D"), season_of("MS")
    (52, 7, 12)
    """
    return SEASONS.get(freq.lstrip("0123456789")[:1], 1)


def phase_of(dates: pd.DatetimeIndex, phases: int) -> IntArray:
    """Return the phase of a short season that each period is in, 0 ... phases − 1: weekday, month, quarter, hour."""
    calendar: dict[int, Any] = {4: dates.quarter - 1, 5: dates.dayofweek, 7: dates.dayofweek, 12: dates.month - 1}
    return np.asarray(calendar.get(phases, dates.hour), dtype=np.int64) % phases
