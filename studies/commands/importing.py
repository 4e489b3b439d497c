"""`fractile import`: a file of sales as people have them, turned into a history."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as opt
from .target import check_table
from .terminal import open_terminal


def _option(flag: str, help_text: str, metavar: str | None = "TEXT") -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, show_default=False)


Source = Annotated[
    Path,
    typer.Argument(
        help="CSV (also packed or zipped), xlsx or Parquet, in almost any shape.", metavar="FILE", show_default=False
    ),
]
Table = Annotated[
    Path | None, _option("--out", "CSV or Parquet to write; without it what would be done is said.", "FILE")
]
Layout = Annotated[str | None, _option("--layout", "long: a row an item and date; wide: a column a date, or an item.")]
Item = Annotated[
    str | None, _option("--item", "The column that names the item; store+product for a composite key.", "COLUMNS")
]
Returns = Annotated[str | None, _option("--returns", "Negative rows: net (subtracted), or drop (left out).")]
DateFormat = Annotated[
    str | None, _option("--date-format", "dmy, mdy, ymd, ym (months), yw (weeks), or a pattern such as %d.%m.%y.")
]
Decimal = Annotated[str | None, _option("--decimal", "The decimal mark: . or ,")]
Separator = Annotated[str | None, _option("--separator", "Between columns: comma, semicolon, tab, pipe.")]
Encoding = Annotated[str | None, _option("--encoding", "Of a text file, e.g. cp1252.")]
TimeZone = Annotated[str | None, _option("--time-zone", "Whose days count, e.g. Europe/Berlin, or UTC.", "ZONE")]
Sheet = Annotated[str | None, _option("--sheet", "Of a workbook; or the file in a zip.", "NAME")]
LeaveOut = Annotated[
    list[str] | None, _option("--leave-out", "A column that is not wanted; may be repeated.", "COLUMN")
]
Text = Annotated[
    list[str] | None,
    _option("--text", "A column of words, even where they look like numbers; may be repeated.", "COLUMN"),
]
Missing = Annotated[
    str | None,
    _option("--missing", "A row missing from the file: zero (nothing was sold) or unknown (not for sale)."),
]
Duplicates = Annotated[str | None, _option("--duplicates", "Rows that stand twice: add them up, or drop one.")]
Freq = Annotated[str | None, _option("--freq", "Periods of the history, e.g. W-MON; sales are summed up.")]
FirstDate = Annotated[
    str | None,
    _option("--first-date", "Of columns that only number their periods (d_1, d_2, ...): the first one's.", "DATE"),
]


def import_(
    source: Source,
    out: Table = None,
    layout: Layout = None,
    item: Item = None,
    column: opt.Columns = None,
    returns: Returns = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    separator: Separator = None,
    encoding: Encoding = None,
    time_zone: TimeZone = None,
    sheet: Sheet = None,
    leave_out: LeaveOut = None,
    text: Text = None,
    missing: Missing = None,
    duplicates: Duplicates = None,
    freq: Freq = None,
    first_date: FirstDate = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Turn a file of sales into a history that every other command reads, and say what was done to it."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        from ..folder import write_frame

        check_table(out, [source])
        from ...forecasters.importing.importer import import_sales

        with terminal.progress() as progress:
            progress("importing")
            found = import_sales(
                source,
                layout=layout,
                item=item,
                returns=returns,
                date_format=date_format,
                decimal=decimal,
                separator=separator,
                encoding=encoding,
                columns=opt.parse_columns(column),
                time_zone=time_zone,
                sheet=sheet,
                leave_out=leave_out or (),
                text=text or (),
                missing=missing,
                duplicates=duplicates,
                freq=freq,
                first_date=first_date,
                out=out,
            )
            if out is not None:
                progress("writing")
                write_frame(out, found.history)
        document: dict[str, Any] = found.report.to_record()
        lines = found.report.lines
        if out is None:
            lines = [*lines, "nothing was written: give --out history.csv"]
        else:
            following = f"fractile validate --history {shlex.quote(str(out))}"
            document |= {"out": out, "next": following}
            lines = [*lines, f"History: {out} ({len(found.history):,} rows)", f"Next: {following}"]
        terminal.emit(document, "\n".join(lines))
