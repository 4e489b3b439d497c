"""`import_sales`: a file of sales as people have them → the history that everything else reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...arrays import MOST, BoolArray
from ...errors import InputError
from .columns import Roles, check_names, find_optional, find_roles
from .days import is_clock, read_days
from .findings import Findings, Options, raise_if_open
from .ids import fill_down, named_items, report_twins
from .layout import (
    DATE,
    ITEM,
    SALES,
    clean,
    date_headers,
    drop_footers,
    drop_total_columns,
    items_as_columns,
    join_calendar,
    line_words,
    melt,
    numbered_headers,
    stack,
)
from .measures import keep_units
from .numbers import find_decimal, parse_numbers, share_of_numbers
from .periods import lay_out
from .report import ImportedSales, ImportReport
from .rows import SalesRows, settle_repeats, settle_returns
from .sources import read_source
from .table import RawColumn, RawTable

_MOST_SHOWN = 3


def import_sales(
    source: str | Path | pd.DataFrame,
    *,
    layout: str | None = None,
    item: str | None = None,
    returns: str | None = None,
    date_format: str | None = None,
    decimal: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    sheet: str | None = None,
    leave_out: Sequence[str] = (),
    text: Sequence[str] = (),
    missing: str | None = None,
    duplicates: str | None = None,
    freq: str | None = None,
    first_date: str | None = None,
    out: str | Path | None = None,
) -> ImportedSales:
    """Turn sales in almost any shape into the history that everything else reads.

    CSV of any encoding, separator, decimal mark and date format, also packed; workbooks, Parquet, frames; a row a sale,
    a row an item and date, or a column a date. What the file decides is decided and said in the report; what it leaves
    open is asked for: nothing is guessed.

    Args:
        source: a path, or a frame.
        layout: "long" or "wide".
        item: the column that names the item, or several with "+" between them.
        returns: negative rows: "net" subtracts them from the item's sales of the period, "drop" leaves them out.
        date_format: "dmy", "mdy", "ymd", "ym" (months), "yw" (weeks), dd.mm.yyyy and the like, or a strptime format.
        decimal: "." or ",".
        separator: of a text file.
        encoding: of a text file.
        columns: our names to the file's, e.g. `{"sales": "units"}`; they win over any of the same name.
        time_zone: whose days count, where times have offsets from UTC, e.g. "Europe/Berlin".
        sheet: of a workbook, or the file in a zip.
        leave_out: columns that are not wanted.
        text: columns whose values are words, even where they look like numbers.
        missing: a missing row means "zero" (nothing was sold) or "unknown" (it could not be bought).
        duplicates: rows that stand twice: "add" them up, or "drop" one.
        freq: pandas frequency of the history, e.g. "W-MON"; None keeps the file's own.
        first_date: of the first of columns that only number their periods (d_1, d_2, …), e.g. "2011-01-29"; they are
            days, or periods of `freq`.
        out: where the history will be written: named in the commands that questions end with.

    Returns:
        The history and the report.

    Raises:
        InputError: with all faults, and with everything that the file leaves open; each says what to type.

    >>> rows = [("tea", "29.01.2024", "2,0"), ("tea", "05.02.2024", "3,0")]
    >>> frame = pd.DataFrame(rows, columns=["Artikel", "Datum", "Menge"])
    >>> print(import_sales(frame).history.to_string(index=False))
    item_id       date  sales
        tea 2024-01-29      2
        tea 2024-02-05      3
    """
    options = Options(
        layout=layout,
        item=item,
        returns=returns,
        date_format=date_format,
        decimal=decimal,
        separator=separator,
        encoding=encoding,
        columns=dict(columns or {}),
        time_zone=time_zone,
        sheet=sheet,
        leave_out=tuple(leave_out),
        text=tuple(text),
        missing=missing,
        duplicates=duplicates,
        freq=freq,
        first_date=first_date,
    )
    findings = Findings("frame" if isinstance(source, pd.DataFrame) else str(source))
    history = make_history(source, options, findings)
    raise_if_open(findings, source, None if out is None else str(out), options)
    if history is None:
        raise InputError([f"{findings.source}: no history could be made"])
    return ImportedSales(history, ImportReport(findings.source, tuple(findings.decisions)))


def make_history(source: str | Path | pd.DataFrame, options: Options, findings: Findings) -> pd.DataFrame | None:
    """Return the history of a source, None where it cannot be made; faults and questions are in `findings`."""
    table = read_source(source, options, findings)
    if not check_names(table, options, findings):
        return None
    table = clean(table, options, findings)
    if not table.rows:
        findings.fault("has no rows; write at least one below the header")
        return None
    table, roles, decimal = _long(table, options, findings)
    if not (roles.date and roles.sales):
        return None
    rows, reading = _rows(table, roles, decimal, options, findings)
    if rows is None or not len(rows.units):
        return None
    report_twins(rows.item, findings)
    if findings.faults:
        return None
    rows = settle_returns(rows, options, findings)
    rows = settle_repeats(rows, roles.key, options, findings)
    return lay_out(rows, roles, reading, decimal, options, findings)


def _long(table: RawTable, options: Options, findings: Findings) -> tuple[RawTable, Roles, str]:
    """Return a long table, the roles of its columns and the decimal mark of its numbers."""
    table = keep_units(table, options, findings)
    dated = date_headers(table, options) or numbered_headers(table, options, findings)
    if dated:
        table = drop_total_columns(table, dated, findings)
        roles = find_roles(table, options, findings, wide=list(dated))
        table = drop_footers(table, roles.used, "", findings)
        decimal = find_decimal([table.column(name) for name in dated], options.decimal, findings)
        table = melt(table, dated, decimal, findings)
        return table, Roles(roles.key, DATE, SALES, roles.optional), decimal
    turned = items_as_columns(table, options)
    if turned is not None and turned.sure:
        table = drop_footers(table, [turned.date], turned.date, findings)
        others = [table.column(name) for name in turned.others]
        numeric = [table.column(name) for name in turned.items] + [c for c in others if share_of_numbers(c) == 1]
        decimal = find_decimal(numeric, options.decimal, findings)
        optional = find_optional(others, options, findings)
        return stack(table, turned, decimal, findings), Roles((ITEM,), DATE, SALES, optional), decimal
    if options.layout == "wide":
        findings.fault(
            "has neither columns that are dates nor a column of dates, each once, beside a column an item; leave "
            "--layout out, or name the columns by their dates or items"
        )
    table = join_calendar(table, options, findings)
    roles = find_roles(table, options, findings, turned=turned.items if turned else ())
    table = drop_footers(table, roles.used, roles.date, findings)
    units = (roles.sales, roles.optional.get("price"))
    numeric = [c for c in table.columns if c.name in units or (c.name not in roles.used and share_of_numbers(c) == 1)]
    return table, roles, find_decimal(numeric, options.decimal, findings)


def _rows(
    table: RawTable, roles: Roles, decimal: str, options: Options, findings: Findings
) -> tuple[SalesRows | None, str]:
    """Read items, dates and units of a long table; what cannot be read is a fault."""
    dates = table.column(roles.date)
    times = read_days(dates, options, findings)
    units = table.column(roles.sales)
    numbers, wrong = parse_numbers(units.values, decimal)
    _fault(table, units, wrong, "sales must be numbers", findings)
    _fault(table, units, np.abs(np.nan_to_num(numbers)) > MOST, f"sales must be at most {MOST:g}", findings)
    written = "" if options.date_format is None else f" written as {options.date_format} (--date-format)"
    _fault(table, dates, times.wrong, f"dates must be dates{written}", findings)
    items = _items(table, roles, findings)
    day = dates.spread(times.day, np.datetime64("NaT", "D"))
    sales = units.spread(numbers, np.nan)
    empty = np.isnat(day) & dates.spread(~times.wrong, True) & np.isfinite(sales)
    if empty.any():
        where = line_words(table, empty)
        findings.fault(f"{where}: no date beside {int(empty.sum()):,} numbers of units; write it, or remove the rows")
    items = fill_down(items, day, findings)
    nameless = ~items.filled & np.isfinite(sales) & ~np.isnat(day)
    if nameless.any():
        where = line_words(table, nameless)
        findings.fault(f"{where}: the item's name is empty; fill it down from the row above, or remove the rows")
    sound = ~np.isnat(day) & items.filled
    used = {*roles.key, roles.date, roles.sales} if len(roles.key) == 1 else {roles.date, roles.sales}
    others = [c for c in table.columns if c.name not in used]
    clocks = [c for c in others if is_clock(c)]
    if clocks:
        names = [repr(c.name) for c in clocks]
        findings.say("left_out", f"{', '.join(names)} (times of day: sales are added up to days)", "rule", names=names)
    others = [c for c in others if c not in clocks]
    nothing = np.isnan(sales) & (units.filled | (roles.sales != SALES))
    rows = SalesRows(
        items, day, sales, tuple(others), times.clock or bool(clocks), dates.codes, int((sales == 0).sum()), nothing
    )
    return (rows if sound.all() else rows.keep(sound)), times.reading


def _items(table: RawTable, roles: Roles, findings: Findings) -> RawColumn:
    if roles.key:
        return named_items([table.column(name) for name in roles.key], findings)
    name = Path(findings.source).stem
    findings.say("key", f"no column names an item and no date stands twice: one item, {name!r}")
    return RawColumn("item_id", np.zeros(table.rows, dtype=np.int64), np.array([name], dtype=object))


def _fault(table: RawTable, column: RawColumn, wrong: BoolArray, rule: str, findings: Findings) -> None:
    if wrong.any():
        rows = column.spread(wrong, False)
        shown = ", ".join(repr(value) for value in column.values[wrong][:_MOST_SHOWN])
        where = line_words(table, rows)
        findings.fault(f"{where}: {rule}, got {shown} in {column.name!r}; correct or remove them")
