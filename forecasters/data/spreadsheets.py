"""Items and state as spreadsheets save them: other separators, decimal commas, code pages, workbooks.

They are read like a CSV with commas wherever the file decides how, by the readers that `fractile import` has for sales;
what it leaves open is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import Faults, InputError
from ..importing.days import read_days
from ..importing.findings import Findings, Options
from ..importing.numbers import find_decimal, parse_numbers
from ..importing.sources import read_source
from ..importing.table import RawColumn, text_of
from .read import RawTable

SUFFIXES = (".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xls")
"""Of files that a spreadsheet saves."""
REMEDY = "save it as a CSV with commas in UTF-8, or as .xlsx"
_LOCAL = re.compile(
    r'"\s*[-+]?[\d.\s]*,\d+[^",\n]{0,4}"|(?:^|[,"])\d{1,2}[./]\d{1,2}[./]\d{4}(?=[,"\r\n]|$)', re.MULTILINE
)
"""Quoted decimal commas, and dates that do not begin with the year, in a CSV with commas."""
_DIGITS = re.compile(r"[-+]?\d[\d.,'\s]*")
_TRUTH = {"true": True, "false": False}
_SAID = ("packed", "format", "sheet", "encoding", "separator", "title", "decimal", "date_format")
_PLAIN = {"encoding": ("utf_8", "utf_8_sig"), "separator": (",",), "decimal": (".",), "format": ("parquet",)}
"""Decisions that a CSV with commas needs no note for."""


def is_localised(path: Path) -> bool:
    """Whether a file is one that a spreadsheet saved, and no CSV with commas in UTF-8."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or not path.is_file():
        return False
    data = path.read_bytes()
    if suffix != ".csv" or not data:
        return bool(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return True
    head = text.partition("\n")[0]
    return "\0" in head or max(map(head.count, ";\t|")) > head.count(",") or bool(_LOCAL.search(text))


def read_localised(
    path: Path,
    faults: Faults,
    *,
    text: Collection[str],
    dates: Collection[str],
    is_number: Callable[[str], bool],
    notes: list[str],
) -> RawTable | None:
    """Read a table that a spreadsheet saved, or add to `faults` why it cannot be read and return None.

    Args:
        path: of the file.
        faults: collects what is wrong.
        text: columns that are kept as text exactly as written.
        dates: columns of dates.
        is_number: whether a column of this name must hold numbers; any other one holds them where all cells do.
        notes: takes a sentence on what the file was read as.
    """
    findings = Findings(str(path))
    try:
        raw = read_source(path, Options(), findings)
    except InputError:
        raw = None
    decimal = "."
    if raw is not None:
        numbers = [column for column in raw.columns if is_number(column.name)]
        others = [c for c in raw.columns if c not in numbers and c.name not in (*text, *dates)]
        decimal = _decimal_mark(numbers, others, findings)
    for message in (*findings.faults, *(f"{path}: {question.found}" for question in findings.questions)):
        faults.add(_without_options(message))
    if raw is None or findings.faults or findings.questions:
        return None
    twice = _repeated(raw.names, lambda name: is_number(name) or name in text)
    if twice:
        faults.add(f"{path}: column {twice[0]!r} stands more than once; rename or remove all but one")
        return None
    columns: dict[str, NDArray[Any] | pd.Series[Any]] = {}
    for column in raw.columns:
        if column.name in text:
            columns[column.name] = column.spread(_objects(map(text_of, column.values)), "")
        elif column.name in dates:
            columns[column.name] = _dates(column, findings)
        else:
            columns[column.name] = _cells(column, decimal, must=is_number(column.name))
    said = [d.text for d in findings.decisions if d.topic in _SAID and not _is_plain(d.topic, d.values)]
    if said:
        notes.append(f"{path}: read as {', '.join(said)}")
    unit = "line" if path.suffix.lower() in (".csv", ".txt", ".tsv") else "row"
    # Cells that are empty in all columns are rows that a spreadsheet kept when their content was deleted.
    filled = np.any([column.filled for column in raw.columns], axis=0)
    frame = pd.DataFrame(columns).loc[filled].reset_index(drop=True)
    return RawTable(frame, str(path), unit, raw.lines[filled])


def find_broken_letters(names: Collection[str], others: Collection[str]) -> dict[str, str]:
    """Return which of some names stand in others as UTF-8 that was read in another encoding: `HÃ¤hnchen` → `Hähnchen`.

    Args:
        names: as they should be.
        others: as a file has them.
    """
    there = set(others) - set(names)
    strange = [name for name in set(names) - set(others) if not name.isascii()]
    return {bad: name for name in strange for bad in _misread(name) if bad in there}


def _misread(name: str) -> list[str]:
    """Return what a name looks like where its bytes in UTF-8 are read as those of another encoding."""
    data = name.encode()
    found = []
    for page in ("cp1252", "mac_roman", "cp850", "cp1250"):
        # A code page leaves a few bytes undefined, which spreadsheets keep as they are.
        found.append("".join(bytes([byte]).decode(page, "ignore") or chr(byte) for byte in data))
    return found


def _repeated(names: Collection[str], matters: Callable[[str], bool]) -> list[str]:
    """Return which columns that matter stand more than once: the reader numbers the second, `on_hand_2`."""
    parts = [name.rpartition("_") for name in names]
    return [first for first, _, number in parts if number.isdigit() and first in names and matters(first)]


def _decimal_mark(numbers: list[RawColumn], others: list[RawColumn], findings: Findings) -> str:
    """Return the decimal mark: by the columns that must hold numbers; by others where these leave it open."""
    mark = find_decimal(numbers, None, findings)
    if findings.faults or findings.questions or any(d.topic == "decimal" for d in findings.decisions):
        return mark
    apart = Findings(findings.source)
    digits = [c for c in others if all(not isinstance(v, str) or _DIGITS.fullmatch(v.strip()) for v in c.values)]
    mark = find_decimal(digits, None, apart)
    if apart.faults or apart.questions:
        return "."
    findings.decisions.extend(apart.decisions)
    return mark


def _dates(column: RawColumn, findings: Findings) -> NDArray[Any]:
    """Return a column of dates as YYYY-MM-DD; what is none, or may be one of two days, stays as it is written."""
    apart = Findings(findings.source)
    found = read_days(column, Options(), apart)
    if apart.questions or apart.faults:
        return column.spread(_objects(map(text_of, column.values)), None)
    if found.reading in ("dmy", "mdy"):
        findings.decisions.extend(d for d in apart.decisions if d.topic == "date_format")
    cells = [
        text_of(value) if wrong else None if np.isnat(day) else str(day)
        for value, day, wrong in zip(column.values, found.day, found.wrong, strict=True)
    ]
    return column.spread(_objects(cells), None)


def _cells(column: RawColumn, decimal: str, *, must: bool) -> pd.Series[Any]:
    """Return a column as numbers, truth values or text, as a reader of CSV infers them.

    Args:
        column: of the file.
        decimal: its mark.
        must: whether it must hold numbers: cells that are none stay as text among them, for a fault to name.
    """
    numbers, wrong = parse_numbers(column.values, decimal)
    words = [value for value in column.values if isinstance(value, str)]
    if must:
        wrong |= np.array([isinstance(value, str) and "%" in value for value in column.values], dtype=bool)
    elif wrong.any() or not all(_DIGITS.fullmatch(word.strip()) for word in words):
        texts = [str(value.date()) if isinstance(value, datetime) else text_of(value) for value in column.values]
        spread = pd.Series(column.spread(_objects(texts), np.nan), dtype=object)
        truth = spread.str.lower().map(_TRUTH)
        return spread if truth.isna().any() else truth.astype(bool)
    if wrong.any():
        mixed = [value if bad else number for value, number, bad in zip(column.values, numbers, wrong, strict=True)]
        return pd.Series(column.spread(_objects(mixed), np.nan), dtype=object)
    spread = pd.Series(column.spread(numbers, np.nan))
    whole = spread.notna().all() and (spread == np.floor(spread)).all() and spread.abs().max() < 2**53
    return spread.astype(np.int64) if whole and not any("." in w or "," in w for w in words) else spread


def _is_plain(topic: str, values: Any) -> bool:
    return any(value in _PLAIN.get(topic, ()) for value in values.values())


def _without_options(message: str) -> str:
    """Return a fault with a remedy for files that are read without options."""
    rule, mark, remedy = message.partition("; ")
    own = "keep one of them" if " sheets with data" in rule else REMEDY
    return f"{rule}; {own}" if not mark or "--" in remedy else message


def _objects(values: Iterable[Any]) -> NDArray[np.object_]:
    found = list(values)
    return np.array([*found, None], dtype=object)[: len(found)]
