"""Files opened: text, workbooks, Parquet, packed ones, and frames."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FractileError
from ..data.parquet import read_parquet
from .findings import Choice, Findings, Options
from .header import Header, apply_header, find_header
from .table import RawTable, table_of
from .text import read_text

_PACKED: dict[bytes, tuple[str, Callable[[io.BytesIO], io.BufferedIOBase]]] = {
    b"\x1f\x8b": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ": ("xz", lzma.LZMAFile),
}
_LEAST_REFUSED, _MOST_PACKED = 100_000_000, 200
"""Bytes that any file may unpack to, and times its own size that a larger one may: tables shrink to a tenth or less."""
_DEEPEST = 3
"""Packed files within packed files."""
_SAMPLE_ROWS = 100


def read_source(source: str | Path | pd.DataFrame, options: Options, findings: Findings) -> RawTable:
    """Read a table from a file of any kind, which its first bytes tell, or from a frame.

    Args:
        source: a path or a frame.
        options: see `Options`.
        findings: what was found.

    Raises:
        InputError: where there is no table in it.
    """
    if isinstance(source, pd.DataFrame):
        return _from_frame(source)
    path = Path(source)
    problem = ""
    if path.is_dir():
        problem = "is a directory; name a file"
    elif not path.exists():
        problem = "no such file; check the path"
    elif path.stat().st_size == 0:
        problem = "is empty (0 bytes); export it again"
    if problem:
        findings.fault(problem)
        raise findings.stop()
    return _from_bytes(path.read_bytes(), options, findings)


def _from_bytes(data: bytes, options: Options, findings: Findings, depth: int = 0) -> RawTable:
    if depth > _DEEPEST:
        findings.fault("is packed several times over; unpack it first")
        raise findings.stop()
    for mark, (word, opened) in _PACKED.items():
        if data.startswith(mark):
            findings.say("packed", f"packed with {word}", packed=word)
            most = _most_unpacked(data)
            try:
                with opened(io.BytesIO(data)) as file:
                    inner = file.read(most + 1)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                findings.fault(f"cannot be unpacked: {error}; export it again")
                raise findings.stop() from None
            _check_size(len(inner), data, findings)
            return _from_bytes(inner, options, findings, depth + 1)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _from_zip(data, options, findings, depth)
    if data.startswith(b"PAR1"):
        findings.say("format", "Parquet", format="parquet")
        try:
            return _from_frame(read_parquet(io.BytesIO(data)))
        except ValueError as error:
            findings.fault(f"cannot be read as Parquet: {' '.join(str(error).split())[:160]}; write it anew")
            raise findings.stop() from None
    refused = {
        b"\xd0\xcf\x11\xe0": "an old Excel file (.xls), or one with a password",
        b"%PDF": "a PDF",
        b"<": "a web page or XML",
    }
    for mark, what in refused.items():
        if data.lstrip()[: len(mark)] == mark:
            findings.fault(f"is {what}; open it in a spreadsheet and save it as .xlsx or CSV")
            raise findings.stop()
    return read_text(data, options, findings)


def _most_unpacked(data: bytes) -> int:
    return max(_LEAST_REFUSED, _MOST_PACKED * len(data))


def _check_size(size: int, data: bytes, findings: Findings) -> None:
    """Raise where a packed file holds so much more than its own size that it is no table, but fills the memory."""
    if size > _most_unpacked(data):
        more = f"its {len(data):,} bytes unpack to more than {_most_unpacked(data):,}"
        findings.fault(f"{more}, as no table does; unpack it first, or export it again")
        raise findings.stop()


def _from_frame(frame: pd.DataFrame) -> RawTable:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    if isinstance(frame.columns, pd.MultiIndex):
        labels = [" ".join(str(part) for part in label if str(part)) for label in frame.columns]
        frame = frame.set_axis(labels, axis=1)
    frame = frame.set_axis([_label(label) for label in frame.columns], axis=1)
    plain = [at for at in range(frame.shape[1]) if not _is_nested(frame.iloc[:, at])]
    return table_of(frame.iloc[:, plain], 0)


def _label(label: Any) -> Any:
    """Return the name of a column; of a period or a midnight its day."""
    stamp = label.start_time if isinstance(label, pd.Period) else label
    return str(stamp.date()) if isinstance(stamp, datetime) and stamp == pd.Timestamp(stamp).normalize() else label


def _is_nested(cells: pd.Series[Any]) -> bool:
    """Whether a column holds lists or structures, which no history has, or durations."""
    if cells.dtype.kind == "m":
        return True
    if cells.dtype != object or pd.api.types.infer_dtype(cells, skipna=True) != "mixed":
        return False
    return any(isinstance(cell, list | dict | set | tuple | np.ndarray) for cell in cells)


def _from_zip(data: bytes, options: Options, findings: Findings, depth: int) -> RawTable:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _from_archive(archive, data, options, findings, depth)
    except FractileError:
        raise
    # A password is a RuntimeError, XML that is none a SyntaxError.
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, RuntimeError, ValueError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:160]
        findings.fault(f"is a damaged or locked zip or workbook: {reason}; export it again, without a password")
        raise findings.stop() from None


def _from_archive(archive: zipfile.ZipFile, data: bytes, options: Options, findings: Findings, depth: int) -> RawTable:
    names = [i.filename for i in archive.infolist() if not i.is_dir() and i.file_size > 0]
    if "[Content_Types].xml" in names or "xl/workbook.xml" in names:
        _check_size(sum(info.file_size for info in archive.infolist()), data, findings)
        return _from_workbook(data, options, findings)
    if "mimetype" in names or "content.xml" in names:
        findings.fault("is an OpenDocument file; save it as .xlsx or CSV")
        raise findings.stop()
    names = [n for n in names if not n.startswith("__MACOSX/") and not Path(n).name.startswith(".")]
    name = _one_of(names, "files", options, findings)
    _check_size(archive.getinfo(name).file_size, data, findings)  # no more than that is read of it
    return _from_bytes(archive.read(name), options, findings, depth + 1)


def _one_of(names: Sequence[str], what: str, options: Options, findings: Findings, *, empty: int = 0) -> str:
    """Return the one sheet or file there is, or the one that was named; ask where there are several.

    Args:
        names: of those with data.
        what: "sheets" or "files".
        options: a name there is taken.
        findings: what was found.
        empty: how many more there are, without data.
    """
    if options.sheet is not None:
        if options.sheet in names:
            findings.say("sheet", f"{options.sheet!r} of {len(names) + empty} {what}", "given", sheet=options.sheet)
            return options.sheet
        findings.fault(f"has no {what[:-1]} {options.sheet!r}; it has {', '.join(map(repr, names))}")
        raise findings.stop()
    if not names:
        findings.fault(f"holds no {what} with data; export it again")
        raise findings.stop()
    if len(names) > 1:
        shown = ", ".join(repr(name) for name in names[:6])
        choices = [Choice({"sheet": name}, "that one") for name in names[:4]]
        findings.ask("sheet", f"holds {len(names)} {what} with data: {shown}", *choices)
    elif what == "files":
        findings.say("packed", f"the file {names[0]!r} of a zip", packed="zip")
    return names[0]


def _from_workbook(data: bytes, options: Options, findings: Findings) -> RawTable:
    try:
        import openpyxl
    except ImportError:
        findings.fault('workbooks need openpyxl: type: pip install "fractile[excel]"   (or save the sheet as CSV)')
        raise findings.stop() from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        try:
            sheets = {sheet.title: _cells(sheet) for sheet in book.worksheets}
        finally:
            book.close()
    # A style, a word or an attribute that is not there.
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    tables = {name: rows for name, rows in sheets.items() if _is_table(rows)}
    skipped = [name for name in sheets if name not in tables]
    name = _one_of(list(tables), "sheets", options, findings, empty=len(skipped))
    more = f", others hold no table: {', '.join(map(repr, skipped[:3]))}" if skipped else ""
    if options.sheet is None:
        findings.say("format", f"workbook, sheet {name!r}{more}", format="xlsx", sheet=name)
    rows = tables[name]
    head = find_header(rows[:_SAMPLE_ROWS])
    _refuse_formulas(data, name, rows, head, findings)
    width = max(map(len, rows))
    body = [row + [None] * (width - len(row)) for row in rows[head.last + 1 :]]
    frame = pd.DataFrame({at: pd.Series([row[at] for row in body], dtype=object) for at in range(width)})
    return apply_header(frame, rows[:_SAMPLE_ROWS], head, findings, first=head.last + 2)


def _refuse_formulas(data: bytes, name: str, rows: Sequence[Sequence[Any]], head: Header, findings: Findings) -> None:
    """Raise where a column holds formulas whose results the file lacks, as programs write them."""
    import openpyxl

    body = rows[head.last + 1 :][:_SAMPLE_ROWS]
    labels = list(rows[head.last]) if head.last >= head.first else []
    empty = [at for at, label in enumerate(labels) if label and all(len(row) <= at or row[at] is None for row in body)]
    if not empty:
        return
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    try:
        first, last = head.last + 2, head.last + 1 + _SAMPLE_ROWS
        cells = [[cell.value for cell in row] for row in book[name].iter_rows(min_row=first, max_row=last)]
    finally:
        book.close()
    formulas = [
        repr(labels[at])
        for at in empty
        if any(len(row) > at and isinstance(row[at], str) and row[at].startswith("=") for row in cells)
    ]
    if formulas:
        findings.fault(
            f"columns {', '.join(formulas)} hold formulas without their results; open it in a spreadsheet and save it "
            "there, or write values"
        )
        raise findings.stop()


def _cells(sheet: Any) -> list[list[Any]]:
    """Return the cells of a sheet, without the empty ones at its right and lower edge."""
    sheet.reset_dimensions()
    rows = [[_cell(cell) for cell in row] for row in sheet.iter_rows()]
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    width = max((max((k + 1 for k, cell in enumerate(row) if cell is not None), default=0) for row in rows), default=0)
    return [row[:width] for row in rows]


def _cell(cell: Any) -> Any:
    """Return the value of a cell; a whole number that is shown with leading zeros as the text that is shown."""
    value = cell.value
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and set(cell.number_format) == {"0"}:
        return str(value).zfill(len(cell.number_format))
    if isinstance(value, datetime) and value.year < 1950:
        return None
    return value


def _is_table(rows: Sequence[Sequence[Any]]) -> bool:
    return sum(sum(cell is not None for cell in row) >= 2 for row in rows) >= 2
