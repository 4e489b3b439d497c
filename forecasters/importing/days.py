"""A column of dates: which of its readings holds for all of it, time of day and time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from .dates import plain, readings
from .findings import Choice, Findings, Options
from .numbers import is_nothing
from .table import RawColumn

WORDS = {
    "ymd": "year-month-day",
    "dmy": "dd.mm.yyyy",
    "mdy": "mm/dd/yyyy",
    "named": "days with the month's name",
    "ym": "months",
    "yw": "ISO weeks, each from its Monday",
    "yq": "quarters",
    "serial": "days as spreadsheets count them",
    "epoch": "seconds since 1970",
    "typed": "dates",
    "given": "as given",
}
_CLOCK = r"^\s*(?P<day>.*?)(?:(?:[ T]|,)\s*(?P<clock>\d{1,2}:\d{2}.*))?\s*$"
_TIME = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap])?\.?(?:m\.?)?\s*(z|utc|gmt|[+-]\d{2}:?(?:\d{2})?)?(?:\[.*\])?",
    re.IGNORECASE,
)
_SECONDS = 86_400
_LOOKED_AT = 400


class Times(NamedTuple):
    """Distinct cells read as dates.

    Attributes:
        day: of each cell, datetime64[D], NaT where there is none.
        clock: whether any cell has a time of day other than midnight.
        wrong: cells that are neither a date nor nothing.
        reading: see `WORDS`.
    """

    day: NDArray[np.datetime64]
    clock: bool
    wrong: BoolArray
    reading: str


class _Read(NamedTuple):
    day: NDArray[np.datetime64]
    seconds: NDArray[np.int64]
    offset: FloatArray  # seconds east of UTC, NaN where none is written
    wrong: BoolArray
    reading: str


_FIRST_DAY, _LAST_DAY = np.datetime64("1678-01-01"), np.datetime64("2261-12-31")
"""What a time in nanoseconds reaches to; other days are wrong ones."""


def share_of_dates(column: RawColumn, *, bare_numbers: bool) -> float:
    """Return the share of a column's distinct values, of the first few hundred, that can be dates.

    Args:
        column: any.
        bare_numbers: whether numbers may be dates, too (20240131, 45322): so where the column's name says so.
    """
    values = [v for v in column.values[:_LOOKED_AT] if not (isinstance(v, str) and is_nothing(v))]
    if not values:
        return 0.0
    return sum(_may_be_date(value, bare_numbers) for value in values) / len(values)


def _may_be_date(value: Any, bare_numbers: bool) -> bool:
    if isinstance(value, date | datetime | pd.Timestamp | pd.Period):
        return True
    if isinstance(value, int | float):
        return bare_numbers and float(value).is_integer() and bool(readings(str(int(value))))
    text = re.match(_CLOCK, str(value))
    day = text.group("day") if text else str(value)
    if not bare_numbers and re.fullmatch(r"\d+(?:\.\d+)?", day):
        return False
    return bool(readings(day))


def is_clock(column: RawColumn) -> bool:
    """Say whether a column holds times of day alone."""
    if len(column.values) > _SECONDS:
        return False
    values = [value for value in column.values if not (isinstance(value, str) and is_nothing(value))]
    words = [value.isoformat() if isinstance(value, time) else value for value in values]
    return bool(words) and all(isinstance(word, str) and _TIME.fullmatch(word.strip()) for word in words)


def read_days(column: RawColumn, options: Options, findings: Findings) -> Times:
    """Read a column of dates, ask where it can be read in two ways, and keep the days of the right time zone.

    Args:
        column: of dates.
        options: a date format and a time zone there are taken.
        findings: what was found.
    """
    found = _read(column, options, findings)
    day, seconds = found.day, found.seconds
    zoned = np.isfinite(found.offset)
    if zoned.any():
        day, seconds = _local(found, zoned, options, findings)
    elif options.time_zone is not None:
        findings.say("time_zone", "times carry no offset from UTC: their days stand as written", "rule")
    there = ~np.isnat(day)
    clock = bool((seconds[there] != 0).any())
    outside = there & ((day < _FIRST_DAY) | (day > _LAST_DAY))
    return Times(np.where(outside, np.datetime64("NaT", "D"), day), clock, found.wrong | outside, found.reading)


def _read(column: RawColumn, options: Options, findings: Findings) -> _Read:
    values = column.values
    size, words = len(values), pd.api.types.infer_dtype(values, skipna=False) == "string"
    typed = np.zeros(size, dtype=bool)
    if not words:
        typed[:] = [isinstance(v, date | datetime | pd.Timestamp | pd.Period) for v in values]
    day = np.full(size, "NaT", dtype="datetime64[D]")
    seconds, offset = np.zeros(size, dtype=np.int64), np.full(size, np.nan)
    wrong = np.zeros(size, dtype=bool)
    reading = "typed"
    if typed.any():
        day[typed], seconds[typed], offset[typed] = _typed(values[typed])
    if not typed.all():
        texts = list(values) if words else [_as_text(value) for value in values[~typed]]
        part = _read_texts(texts, column.name, options, findings)
        day[~typed], seconds[~typed], offset[~typed], wrong[~typed] = part[:4]
        reading = part.reading
        if typed.any() and reading in ("dmy", "mdy"):
            findings.say("mixed_dates", f"{int((~typed).sum())} dates stood as text among real dates", "recognised")
    elif typed.all() and size and isinstance(values[0], pd.Period):
        findings.say("date_format", f"{column.name!r}: periods, each named by its first day", reading="typed")
    return _Read(day, seconds, offset, wrong, reading)


def _as_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _typed(values: NDArray[np.object_]) -> tuple[NDArray[np.datetime64], NDArray[np.int64], FloatArray]:
    """Return day, seconds of the day and offset from UTC of dates, timestamps and periods."""
    stamps = [value.start_time if isinstance(value, pd.Period) else pd.Timestamp(value) for value in values]
    east = [stamp.utcoffset() for stamp in stamps]
    offsets = np.array([np.nan if zone is None else zone.total_seconds() for zone in east], dtype=np.float64)
    wall = np.array([s.tz_localize(None).to_datetime64() for s in stamps], dtype="datetime64[s]")
    day: NDArray[np.datetime64] = wall.astype("datetime64[D]")
    seconds: NDArray[np.int64] = (wall - day).astype(np.int64)
    return day, seconds, offsets


def _read_texts(texts: Sequence[str], name: str, options: Options, findings: Findings) -> _Read:
    if options.date_format is not None and "%" in options.date_format:
        return _by_format(texts, options.date_format, name, findings)
    cut = pc.extract_regex(pa.array(texts, type=pa.string()), pattern=_CLOCK)
    days, clocks = (pd.Series(cut.field(part).to_pandas()) for part in ("day", "clock"))
    day_codes, day_words = pd.factorize(days.fillna(""))
    clock_codes, clock_words = pd.factorize(clocks.fillna(""))
    seconds, offset, bad_clock = _clocks(list(clock_words))
    reading, day, bad_day = _choose(list(day_words), name, options, findings)
    wrong = bad_day[day_codes] | bad_clock[clock_codes]
    fraction = _fractions(list(day_words), reading)
    if reading == "epoch":  # which counts in UTC
        offset = np.zeros_like(offset)
    return _Read(day[day_codes], fraction[day_codes] + seconds[clock_codes], offset[clock_codes], wrong, reading)


def _by_format(texts: Sequence[str], pattern: str, name: str, findings: Findings) -> _Read:
    parsed = pd.to_datetime(pd.Series(texts), format=pattern, errors="coerce")
    nothing = np.array([is_nothing(text) for text in texts], dtype=bool)
    wall = parsed.to_numpy(dtype="datetime64[s]")
    day = wall.astype("datetime64[D]")
    seconds = np.where(np.isnat(day), 0, (wall - day).astype(np.int64))
    findings.say("date_format", f"dates {_in(name)} as {pattern}", "given", reading="given")
    wrong = parsed.isna().to_numpy() & ~nothing
    return _Read(day, seconds, np.full(len(texts), np.nan), wrong, "given")


def _clocks(words: Sequence[str]) -> tuple[NDArray[np.int64], FloatArray, BoolArray]:
    seconds = np.zeros(len(words), dtype=np.int64)
    offset = np.full(len(words), np.nan)
    wrong = np.zeros(len(words), dtype=bool)
    for at, word in enumerate(words):
        if not word:
            continue
        match = _TIME.fullmatch(word.strip())
        if match is None:
            wrong[at] = True
            continue
        hour, minute, second, half, zone = match.groups()
        hours = int(hour) % 12 + 12 * (half.lower() == "p") if half else int(hour)
        seconds[at] = hours * 3600 + int(minute) * 60 + int(second or 0)
        if zone:
            digits = re.sub(r"\D", "", zone).ljust(4, "0")
            sign = -1 if zone.startswith("-") else 1
            offset[at] = 0 if zone[0].isalpha() else sign * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)
    return seconds, offset, wrong


def _choose(
    words: Sequence[str], name: str, options: Options, findings: Findings
) -> tuple[str, NDArray[np.datetime64], BoolArray]:
    """Return the reading that holds for all words, their days, and the words that are no dates."""
    found = [readings(word) for word in words]
    some = [each for each in found if each]
    day = np.full(len(words), "NaT", dtype="datetime64[D]")
    nothing = np.array([is_nothing(word) for word in words], dtype=bool)
    if not some:
        return "ymd", day, ~nothing
    possible = set.intersection(*(set(each) for each in some))
    reading = _given(options.date_format)
    if reading is None:
        reading = _settle(words, some, possible, name, findings)
    else:
        findings.say("date_format", f"dates {_in(name)} as {options.date_format}", "given", reading=reading)
    if reading is None:
        return "mixed", day, ~nothing
    for at, each in enumerate(found):
        if reading in each:
            day[at] = np.datetime64(each[reading], "D")
    return reading, day, np.isnat(day) & ~nothing


def _given(text: str | None) -> str | None:
    if text is None:
        return None
    letters = plain(text)
    order = "".join(dict.fromkeys(sign for sign in letters if sign in "ymdwqjtak")).replace("j", "y").replace("t", "d")
    for sign, reading in (("w", "yw"), ("k", "yw"), ("q", "yq")):
        if sign in order:
            return reading
    order = order.replace("a", "y") if "y" not in order else order.replace("a", "")
    return {"ym": "ym", "my": "ym"}.get(order, order) if order in ("ym", "my", "ymd", "dmy", "mdy") else letters


def _settle(
    words: Sequence[str], some: Sequence[Mapping[str, date]], possible: set[str], name: str, findings: Findings
) -> str | None:
    """Return the one reading of all dates, or ask; None where no reading holds for all."""
    example = next(word for word in words if readings(word))
    telling = next((w for w in words if len(set(readings(w).values())) > 1), example)
    if not possible:
        shown = _contrast(words)
        findings.fault(
            f"the dates {_in(name)} are written in more than one way, e.g. {shown}; write them in one, or name the one "
            "that counts with --date-format"
        )
        return None
    if len(possible) == 1:
        reading = next(iter(possible))
        proof = next((word for word in words if len(readings(word)) == 1), example)
        findings.say("date_format", f"dates {_in(name)} are {_written(reading, proof)}, e.g. {proof}", reading=reading)
        return reading
    if possible == {"ym", "yw"}:
        return _month_or_week(words, some, name, findings)
    if "dmy" in possible and all("." in word for word in words if readings(word)):
        text = f"dates {_in(name)} are dd.mm.yyyy, e.g. {example} (with points the day comes first)"
        findings.say("date_format", text, "rule", reading="dmy")
        return "dmy"
    choices = [
        Choice({"date_format": reading}, f"{telling} is {readings(telling)[reading]:%-d %B %Y}")
        for reading in ("dmy", "mdy", "ymd", "ym", "yw", "serial", "named")
        if reading in possible
    ]
    findings.ask(
        "date_format",
        f"dates {_in(name)} such as {telling} allow more than one reading, and no date among them decides",
        *choices,
    )
    return str(choices[0].options["date_format"])


def _in(name: str) -> str:
    """Return where dates stand: in a column, or in the header of a wide table."""
    return "of the columns" if name.startswith("(") else f"in {name!r}"


def _written(reading: str, example: str) -> str:
    if reading in ("dmy", "mdy"):
        between = re.search(r"\d ?([./ -]) ?\d", example)
        sign = between.group(1) if between else ""
        year = "yyyy" if re.search(r"\d{4}", example) else "yy"
        return sign.join(("dd", "mm") if reading == "dmy" else ("mm", "dd")) + sign + year
    return WORDS[reading]


def _contrast(words: Sequence[str]) -> str:
    first: str = next(word for word in words if readings(word))
    common = set(readings(first))
    for word in words:
        if readings(word) and not common & set(readings(word)):
            return f"{first} and {word}"
        common &= set(readings(word)) or common
    return first


def _month_or_week(words: Sequence[str], some: Sequence[Mapping[str, date]], name: str, findings: Findings) -> str:
    """Settle 2022-01 and 202201, which may be months or weeks where no number exceeds twelve."""
    example = next(word for word in words if readings(word))
    years = {each["ym"].year for each in some}
    months = {each["ym"].month for each in some}
    whole_years = len(years) > 1 and max(months) == 12
    if whole_years or not example.strip().isdigit():
        why = "no number exceeds 12" if whole_years else "as ISO 8601 writes months"
        findings.say("date_format", f"dates {_in(name)} are months, e.g. {example} ({why})", reading="ym")
        return "ym"
    findings.ask(
        "date_format",
        f"{name!r} holds {example}, which may be a month or an ISO week",
        Choice({"date_format": "ym"}, "months"),
        Choice({"date_format": "yw"}, "weeks"),
    )
    return "ym"


def _fractions(words: Sequence[str], reading: str) -> NDArray[np.int64]:
    """Return the seconds of the day in serial numbers with a fraction, and in seconds since 1970."""
    seconds = np.zeros(len(words), dtype=np.int64)
    for at, word in enumerate(words):
        if reading == "serial" and "." in word:
            seconds[at] = round(float(word) % 1 * _SECONDS)
        elif reading == "epoch" and word.isdigit():
            seconds[at] = int(word) // (1000 if len(word) == 13 else 1) % _SECONDS
    return seconds


def _local(
    found: _Read, zoned: BoolArray, options: Options, findings: Findings
) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    """Return local days and seconds of times with an offset from UTC."""
    utc = bool((found.offset[zoned] == 0).all())
    if options.time_zone is None:
        if not utc:
            text = "times have offsets from UTC: the local day of each counts, the offset was dropped"
            findings.say("time_zone", text, "rule", zone="local")
        elif (found.seconds[zoned] != 0).any():
            hours = np.unique(found.seconds[zoned] // 3600)
            hint = ""
            if len(hours) <= 2 and (found.seconds[zoned] % 3600 == 0).all():
                shown = " or ".join(f"{hour}:00" for hour in hours)
                hint = f" (all at {shown}, as midnights of another time zone are)"
            findings.ask(
                "time_zone",
                f"all times are in UTC{hint}, so that sales near midnight may belong to another day where they were "
                "made",
                Choice({"time_zone": "Europe/Berlin"}, "or your own time zone: its days count"),
                Choice({"time_zone": "UTC"}, "days of UTC count"),
            )
        return found.day, found.seconds
    wall = found.day.astype("datetime64[s]") + found.seconds.astype("timedelta64[s]")
    universal = wall - np.where(zoned, found.offset, 0.0).astype("timedelta64[s]")
    try:
        moved = pd.DatetimeIndex(universal).tz_localize("UTC").tz_convert(options.time_zone).tz_localize(None)
    except (KeyError, ValueError, TypeError, OSError):
        findings.fault(f"--time-zone: unknown {options.time_zone!r}; write a name such as Europe/Berlin, or UTC")
        return found.day, found.seconds
    findings.say("time_zone", f"days of {options.time_zone} count", "given", zone=options.time_zone)
    local = np.where(zoned, moved.to_numpy().astype("datetime64[s]"), wall)
    day = local.astype("datetime64[D]")
    return day, (local - day).astype(np.int64)
