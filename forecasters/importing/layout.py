"""Tables cleaned of what is no data, and wide ones (a column a date, or an item) made long."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray
from .dates import readings
from .days import share_of_dates
from .findings import YOUR_DATE, Choice, Findings, Options, counted
from .numbers import is_nothing, looks_numeric, parse_numbers, share_of_numbers
from .table import RawColumn, RawTable, text_of
from .vocabulary import ROLES, calendar_part, is_covariate, is_money, is_place, is_total, strength

DATE, SALES, ITEM = "(date of the column)", "(units of the column)", "item_id"
"""Names of the columns that a wide table gets when it is made long."""
_FEWEST_DATES = 2
_FEWEST_ITEMS, _MOSTLY = 2, 0.9
"""Columns of numbers that may each be an item, and the share of numbers in each."""
_FEWEST_NUMBERED = 12
_FEWEST_NAMES = 2
_MOST_NAMED, _MOST_LINES, _FEW_COLUMNS = 8, 3, 3
_MOST_FOOTERS, _FEWEST_ROWS = 30, 20
_OVERLONG = ("", *(f"_{at}" for at in range(2, 20)))
"""Names of columns to the right of the header: nothing, and nothing again."""


def clean(table: RawTable, options: Options, findings: Findings) -> RawTable:
    """Leave out what is no data: columns that are empty, nameless or not wanted.

    Args:
        table: as read.
        options: columns to leave out.
        findings: what was found.
    """
    wanted = {*options.key, *options.columns.values(), *options.text}
    empty = [c for c in table.columns if not len(c.present()) and c.name not in wanted]
    nameless = [c for c in table.columns if c not in empty and _nameless(c.name) and c.name not in wanted]
    counts = [c for c in nameless if _counts_rows(c)]
    numbered = [c for c in table.columns if c.name not in wanted and c not in nameless and _steps_by_one(c)]
    shown = [repr(c.name) for c in empty if not _nameless(c.name)]
    if shown:
        findings.say("left_out", f"columns without any value: {', '.join(shown)}", names=shown)
    if counts:
        findings.say("left_out", "a nameless column that numbers the rows", names=[c.name for c in counts])
    if numbered:
        shown = [repr(c.name) for c in numbered]
        findings.say("left_out", f"{', '.join(shown)} (it numbers the rows)", names=shown)
    if options.leave_out:
        named = ", ".join(map(repr, options.leave_out))
        findings.say("left_out", f"as asked, {named}", "given", names=list(options.leave_out))
    gone = {id(c) for c in (*empty, *counts, *numbered)}
    _refuse_overlong_rows(table, [c for c in table.columns if id(c) not in gone], findings)
    kept = [c for c in table.columns if id(c) not in gone and c.name not in options.leave_out]
    # A nameless column that holds data is called by its place.
    named_columns = [replace(c, name=f"column_{at + 1}") if not c.name else c for at, c in enumerate(kept)]
    full = np.zeros(table.rows, dtype=bool)
    for column in named_columns:
        full |= column.filled
    cleaned = replace(table, columns=tuple(named_columns))
    again = _repeats_header(cleaned)
    if again.any():
        count = int(again.sum())
        findings.say("footers", f"{counted(count, 'row')} like the header", rows=count)
    return cleaned if (full & ~again).all() else cleaned.keep(full & ~again)


def _repeats_header(table: RawTable) -> BoolArray:
    """Return the rows whose cells are the names of their columns, as printed lists have on each page."""
    named = [
        np.array([isinstance(v, str) and v.strip() == c.name for v in c.values], dtype=bool) for c in table.columns
    ]
    again = np.zeros(table.rows, dtype=bool)
    if sum(bool(flags.any()) for flags in named) < _FEWEST_NAMES:
        return again
    at_first = next(at for at, flags in enumerate(named) if flags.any())
    again = table.columns[at_first].spread(named[at_first], False)
    for column, flags in zip(table.columns, named, strict=True):
        again &= column.spread(flags, True)
    return again


def _refuse_overlong_rows(table: RawTable, kept: Sequence[RawColumn], findings: Findings) -> None:
    """Add a fault for cells to the right of the last name of the header."""
    if not kept or kept[-1].name not in _OVERLONG or not any(c.name for c in kept):
        return
    at = int(np.flatnonzero(kept[-1].filled)[0])
    findings.fault(
        f"line {table.lines[at]} has more cells than the header has names; put texts and numbers that hold the "
        "separator in quotes, or name the columns"
    )


def _nameless(name: str) -> bool:
    return not name or bool(re.fullmatch(r"Unnamed: ?\d+(?:_level_\d+)?|_\d+|index|level_\d", name))


def _steps_by_one(column: RawColumn) -> bool:
    """Say whether a column with a name counts the rows one by one."""
    if len(column.codes) < _FEWEST_ROWS or len(column.values) != len(column.codes) or _has_role(column.name):
        return False
    first = column.values[column.codes[:_FEWEST_ROWS]] if column.filled.all() else [""]
    if not all(isinstance(v, int) or str(v).isdigit() for v in first) or not _counts_rows(column):
        return False
    numbers, _ = parse_numbers(column.values, ".")
    return bool((np.diff(numbers[column.codes]) == 1).all())


def _has_role(name: str) -> bool:
    return any(strength(name, role) for role in ROLES if role != "item_id")


def _counts_rows(column: RawColumn) -> bool:
    """Say whether a column counts the rows, from 0 or 1 on or anyhow upward."""
    if not column.filled.all() or len(column.values) != len(column.codes) or share_of_numbers(column) < 1:
        return False
    numbers, wrong = parse_numbers(column.values, ".")
    return not wrong.any() and bool((np.diff(numbers[column.codes]) > 0).all())


def drop_footers(table: RawTable, roles_used: Sequence[str], date: str, findings: Findings) -> RawTable:
    """Leave out totals and remarks: rows at the end with a total's word or a single cell, and totals in between.

    Args:
        table: cleaned.
        roles_used: columns that have a role.
        date: the column of dates; "" in a wide table.
        findings: what was found.
    """
    words = [c for c in table.columns if c.name in roles_used or share_of_numbers(c) < 1]
    total = np.zeros(table.rows, dtype=bool)
    for column in words:
        # Totals begin with a letter; dates and codes by the million do not.
        flags = np.array([isinstance(v, str) and v[:1].isalpha() and is_total(v) for v in column.values], dtype=bool)
        if flags.any():
            total |= column.spread(flags, False)
    if date and total.any():
        days = table.column(date)
        at = np.flatnonzero(total & days.filled)
        total[at] = [not _is_day(value) for value in days.values[days.codes[at]]]
    cells = sum((c.filled.astype(np.int64) for c in table.columns), np.zeros(table.rows, dtype=np.int64))
    single = (cells == 1) & (len(table.columns) > 2)
    tail = np.arange(table.rows) >= table.rows - _MOST_FOOTERS
    remark = single & tail & np.logical_and.accumulate((single | total)[::-1])[::-1]
    gone = total | remark
    if not gone.any():
        return table
    first = int(np.flatnonzero(gone)[0])
    example = next((text_of(c.values[c.codes[first]]) for c in table.columns if c.codes[first] >= 0), "")
    count = int(gone.sum())
    what = f"{counted(count, 'row')} of totals or remarks, e.g. {example[:40]!r}"
    findings.say("footers", what, rows=count)
    return table.keep(~gone)


def _is_day(value: object) -> bool:
    return (
        not isinstance(value, str) or bool(readings(value.split("T")[0].strip())) or bool(re.search(r"\d:\d\d", value))
    )


def join_calendar(table: RawTable, options: Options, findings: Findings) -> RawTable:
    """Make one column of dates of a year and a week, or a year, a month and maybe a day, where there is no other."""
    if "date" in options.columns or any(
        strength(c.name, "date") and share_of_dates(c, bare_numbers=False) > 0.9 for c in table.columns
    ):
        return table
    parts: dict[str, RawColumn] = {}
    for column in table.columns:
        part = calendar_part(column.name)
        named = part == "month" and all(_month(str(value)) for value in column.present())
        if part and part not in parts and (named or share_of_numbers(column) > 0.9):
            parts[part] = column
    if "year" not in parts or not ("week" in parts or "month" in parts):
        return table
    finer = ("week",) if "week" in parts else ("month", "day")
    used = [parts[part] for part in ("year", *finer) if part in parts]
    sign = "-W" if "week" in parts else "-"
    codes, pairs = pd.factorize(pd.MultiIndex.from_arrays([c.codes for c in used]))
    texts = []
    for pair in pairs:
        values = [text_of(c.values[k]) if k >= 0 else "" for c, k in zip(used, pair, strict=True)]
        texts.append(values[0] + sign + "-".join((_month(v) or v).zfill(2) for v in values[1:]))
    name = " and ".join(c.name for c in used)
    findings.say("joined_date", f"{name!r} make the date together", columns=[c.name for c in used])
    joined = RawColumn("date", np.asarray(codes, dtype=np.int64), np.array(texts, dtype=object))
    rest = table.drop([c.name for c in used])
    return replace(rest, columns=(joined, *rest.columns))


def _month(text: str) -> str:
    """Return the number of a month by its name, "" where it is none."""
    found = readings(f"{text} 2020").get("ym") if text[:1].isalpha() else None
    return str(found.month) if found else ""


def date_headers(table: RawTable, options: Options) -> dict[str, str]:
    """Return the columns whose names are dates, by name, each with the date's text: none in a long table.

    Args:
        table: cleaned.
        options: a layout there is kept.
    """
    if options.layout == "long":
        return {}
    found = {name: name for name in table.names if _dated(name)}
    if len(found) < _FEWEST_DATES:
        found = _after_a_word(table.names)
    few = len(found) < (_FEWEST_DATES if options.layout == "wide" else max(_FEWEST_DATES, 3))
    if few or (options.layout is None and any(strength(n, "date") >= 90 for n in table.names if n not in found)):
        return {}
    return found


def _dated(name: str) -> bool:
    text = name.removesuffix(" 00:00:00").strip()
    return bool(readings(text))


def _after_a_word(names: Sequence[str]) -> dict[str, str]:
    """Return columns named by a date after a word that is the same for all, e.g. `Sales 2022-01`."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        for cut in re.finditer(r"[\s:_-]+", name):
            if _dated(name[cut.end() :]):
                found.setdefault(name[: cut.start()], {})[name] = name[cut.end() :]
                break
    return next(iter(found.values())) if len(found) == 1 else {}


def numbered_headers(table: RawTable, options: Options, findings: Findings) -> dict[str, str]:
    """Return columns that only number their periods (`d_1`, `d_2`, …) with the dates that follow from the first one's.

    Args:
        table: cleaned.
        options: with the date of the first; where it is not given and nothing else holds dates it is asked for.
        findings: what was found.

    Returns:
        The date of each such column by its name; none in a table of another kind.
    """
    series: dict[str, list[tuple[int, str]]] = {}
    for name in table.names:
        match = re.fullmatch(r"(.*?\D)(\d{1,5})", name)
        if match and not is_covariate(match[1]):
            series.setdefault(match[1], []).append((int(match[2]), name))
    word = max(series, key=lambda w: len(series[w]), default="")
    numbered = sorted(series.get(word, []))
    even = all(after[0] == before[0] + 1 for before, after in itertools.pairwise(numbered))
    if options.layout == "long" or len(numbered) < _FEWEST_NUMBERED or not even:
        if options.first_date is not None:
            findings.fault("has no columns that number their periods (d_1, d_2, …); leave --first-date out")
        return {}
    names = [name for _, name in numbered]
    if options.first_date is None:
        if any(share_of_dates(c, bare_numbers=strength(c.name, "date") > 0) > _MOSTLY for c in table.columns):
            return {}
        findings.ask(
            "first_date",
            f"columns {names[0]!r} to {names[-1]!r} number their periods, and no dates are there",
            Choice({"first_date": YOUR_DATE}, f"the date of {names[0]!r}, where they are days"),
            Choice({"first_date": YOUR_DATE, "freq": "W-MON"}, "where they are weeks"),
        )
    start = options.first_date or "2000-01-03"  # any, so that what else is open is asked at once
    days = pd.date_range(start, periods=len(names), freq=options.freq or "D")
    return {name: str(day.date()) for name, day in zip(names, days, strict=True)}


def melt(table: RawTable, dated: dict[str, str], decimal: str, findings: Findings) -> RawTable:
    """Make a table with a column a date long: a row a row and date, empty cells as well.

    Args:
        table: cleaned.
        dated: from `date_headers`.
        decimal: the decimal mark.
        findings: what was found.
    """
    columns = [table.column(name) for name in dated]
    units = read_units(table, columns, decimal, findings)
    others = [c for c in table.columns if c.name not in dated]
    row = np.repeat(np.arange(table.rows), len(columns))
    codes, values = pd.factorize(units.ravel(), use_na_sentinel=True)
    dates = RawColumn(DATE, np.tile(np.arange(len(columns)), table.rows), np.array(list(dated.values()), dtype=object))
    sales = RawColumn(SALES, np.asarray(codes, dtype=np.int64), np.asarray(values, dtype=object))
    names = list(dated)
    text = f"wide, {len(names):,} columns of dates from {names[0]} to {names[-1]}"
    findings.say("layout", text, layout="wide")
    return RawTable((*(c.rows(row) for c in others), dates, sales), len(row), table.lines[row])


def drop_total_columns(table: RawTable, dated: dict[str, str], findings: Findings) -> RawTable:
    """Leave out columns that add up the others of a wide table."""
    totals = [c.name for c in table.columns if c.name not in dated and is_total(c.name) and share_of_numbers(c) > 0.7]
    if totals:
        findings.say("left_out", f"columns of totals: {', '.join(map(repr, totals))}", names=totals)
    twice = [name for name in table.names if name.rpartition("_")[0] in dated and name not in dated]
    if twice:
        findings.fault(
            f"{twice[0].rpartition('_')[0]!r} stands {'twice' if len(twice) <= len(dated) else 'several times'} in the "
            f"header: keep the columns of units alone, or name each by its measure, e.g. 'units {next(iter(dated))}'"
        )
    return table.drop([*totals, *twice])


@dataclass(frozen=True)
class ItemColumns:
    """A table with a column an item: its column of dates, its items, and columns that tell of the day.

    Attributes:
        date: the column of dates.
        items: columns of units.
        others: columns that hold for all items.
        sure: whether names and content leave no other reading.
    """

    date: str
    items: tuple[str, ...]
    others: tuple[str, ...]
    sure: bool


def items_as_columns(table: RawTable, options: Options) -> ItemColumns | None:
    """Return how a table may be read with a column an item, or None.

    Args:
        table: cleaned.
        options: with layout "wide" or none.
    """
    if options.layout == "long" or options.key or "sales" in options.columns:
        return None
    named_date = options.columns.get("date")
    dates = [c for c in table.columns if c.name == named_date] or [
        c for c in table.columns if share_of_dates(c, bare_numbers=strength(c.name, "date") > 0) > 0.9
    ]
    if len(dates) != 1 or len(dates[0].present()) != int(dates[0].filled.sum()):
        return None
    rest = [c for c in table.columns if c is not dates[0]]
    others = [c for c in rest if is_covariate(c.name) or c.name in (*options.text, *options.columns.values())]
    rest = [c for c in rest if c not in others]
    units = [c for c in rest if not (is_money(c.name) or is_place(c.name))]
    items = [c for c in units if share_of_numbers(c) > _MOSTLY or _mostly_numbers(c)]
    roles = ("sales", "item_id", "price", "in_stock", "availability", "listed")
    sure = len(items) == len(rest) and not any(strength(c.name, role) for c in rest for role in roles)
    if len(items) < _FEWEST_ITEMS:
        return None
    others += [c for c in rest if c not in items]
    kept = tuple(c.name for c in table.columns if c in others)
    return ItemColumns(dates[0].name, tuple(c.name for c in items), kept, sure or options.layout == "wide")


def _mostly_numbers(column: RawColumn) -> bool:
    """Say whether nearly all rows hold numbers, however few different ones."""
    numbers = np.array([not isinstance(v, str) or looks_numeric(v) or is_nothing(v) for v in column.values], dtype=bool)
    return bool(column.spread(numbers, True).mean() > _MOSTLY and numbers.any())


def stack(table: RawTable, wide: ItemColumns, decimal: str, findings: Findings) -> RawTable:
    """Make a table with a column an item long.

    Args:
        table: cleaned.
        wide: from `items_as_columns`.
        decimal: the decimal mark.
        findings: what was found.
    """
    kept = [name for name in wide.items if not is_total(name)]
    if len(kept) < len(wide.items):
        gone = [name for name in wide.items if name not in kept]
        findings.say("left_out", f"columns of totals: {', '.join(map(repr, gone))}", names=gone)
    columns = [table.column(name) for name in kept]
    units = read_units(table, columns, decimal, findings).T
    codes, values = pd.factorize(units.ravel(), use_na_sentinel=True)
    days = table.column(wide.date)
    also = ""
    if wide.others:
        shown = ", ".join(map(repr, wide.others[:_MOST_NAMED])) + " …" * (len(wide.others) > _MOST_NAMED)
        also = f"; {shown} hold{'s' * (len(wide.others) == 1)} for all items"
    text = f"wide, a column an item ({len(kept):,}), a row a date{also}"
    findings.say("layout", text, layout="wide", others=list(wide.others))
    repeated = [table.column(name) for name in wide.others]
    return RawTable(
        (
            RawColumn(ITEM, np.repeat(np.arange(len(kept)), table.rows), np.array(kept, dtype=object)),
            RawColumn(DATE, np.tile(days.codes, len(kept)), days.values),
            RawColumn(SALES, np.asarray(codes, dtype=np.int64), np.asarray(values, dtype=object)),
            *(replace(c, codes=np.tile(c.codes, len(kept))) for c in repeated),
        ),
        len(kept) * table.rows,
        np.tile(table.lines, len(kept)),
    )


def read_units(table: RawTable, columns: Sequence[RawColumn], decimal: str, findings: Findings) -> FloatArray:
    """Read columns of units; all cells that are no numbers are one fault.

    Args:
        table: with the lines of the file.
        columns: of units.
        decimal: the decimal mark.
        findings: what was found.

    Returns:
        Units, NaN for nothing, shape (rows, columns).
    """
    units = np.empty((table.rows, len(columns)))
    at_fault: list[str] = []
    shown: list[str] = []
    rows = np.zeros(table.rows, dtype=bool)
    for at, column in enumerate(columns):
        numbers, wrong = parse_numbers(column.values, decimal)
        units[:, at] = column.spread(numbers, np.nan)
        if wrong.any():
            at_fault.append(column.name)
            rows |= column.spread(wrong, False)
            shown += [repr(v) for v in column.values[wrong] if repr(v) not in shown]
    if at_fault:
        names = ", ".join(map(repr, at_fault[:_MOST_NAMED])) + " …" * (len(at_fault) > _MOST_NAMED)
        remedy = "correct them, or empty the cells"
        if len(at_fault) <= _FEW_COLUMNS and len(at_fault) < len(columns):
            flags = " ".join(f"--leave-out {shlex.quote(name)}" for name in at_fault)
            remedy += f", or leave the column{'s' * (len(at_fault) > 1)} out: {flags}"
        where = line_words(table, rows)
        values = ", ".join(shown[:3]) + " …" * (len(shown) > 3)
        findings.fault(f"{where}: units must be numbers, got {values} in {names}; {remedy}")
    return units


def line_words(table: RawTable, where: BoolArray) -> str:
    """Return the lines of some rows in words: `lines 3, 7, 9 (12 in all)`."""
    lines = pd.unique(table.lines[where])
    shown = ", ".join(str(line) for line in lines[:_MOST_LINES])
    more = f" ({len(lines):,} in all)" if len(lines) > _MOST_LINES else ""
    return f"line{'s' * (len(lines) > 1)} {shown}{more}"
