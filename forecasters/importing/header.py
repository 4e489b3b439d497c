"""Where a table begins: title lines above its header, headers of two lines, or none at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import pandas as pd

from .dates import readings
from .findings import Findings, counted
from .numbers import looks_numeric
from .table import RawTable, table_of

_MONTH_ALONE = re.compile(r"[a-zäéûç]{3,10}\.?|\d{1,2}|(?:kw|w|wk|week|q) ?\d{1,2}", re.IGNORECASE)


class Header(NamedTuple):
    """The rows of the header: `first` … `last`; `last` is −1 where there is none."""

    first: int
    last: int


def find_header(rows: Sequence[Sequence[Any]]) -> Header:
    """Return where the header stands among the first rows of a table.

    Args:
        rows: cells, text or values; "" and None are empty.
    """
    counts = [sum(not _empty(cell) for cell in row) for row in rows]
    typical = max(Counter(count for count in counts if count).items(), key=lambda p: (p[1], p[0]), default=(0, 0))[0]
    at = next((k for k, row in enumerate(rows) if _may_head(row, counts[k], typical)), 0)
    if _is_data(rows, at):
        return Header(at, at - 1)
    above = at - 1
    if above >= 0 and counts[above] >= 1 and _needs_above(rows[at]) and _years(rows[above]):
        return Header(above, at)
    return Header(at, at)


def apply_header(
    body: pd.DataFrame, rows: Sequence[Sequence[Any]], head: Header, findings: Findings, *, first: int
) -> RawTable:
    """Give the columns of a table their names.

    Args:
        body: the rows below the header.
        rows: the first rows, with the header.
        head: where it is.
        findings: what was found.
        first: line number of the body's first row.
    """
    width = body.shape[1]
    if head.last < head.first:
        names = [f"column_{at + 1}" for at in range(width)]
        shown = ", ".join(_label(cell) for cell in rows[head.first][:4])
        findings.say("header", f"the first line is data already ({shown}): columns are numbered", names=names)
    else:
        names = _names(rows, head, width)
    if head.first > 0:
        findings.say("title", f"{counted(head.first, 'line')} above the header left out", lines=head.first)
    return table_of(body.set_axis(pd.Index(names, dtype=object), axis=1), first)


def _names(rows: Sequence[Sequence[Any]], head: Header, width: int) -> list[str]:
    lowest = [_label(cell) for cell in rows[head.last]]
    lowest += [""] * (width - len(lowest))
    if head.first == head.last:
        return lowest
    upper, latest = [], ""
    for cell in [*rows[head.first], *[""] * width][:width]:
        latest = _label(cell) or latest
        upper.append(latest)
    return [f"{low} {high}" if high and low else low or high for low, high in zip(lowest, upper, strict=True)]


def _label(cell: Any) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell == datetime(cell.year, cell.month, cell.day) else cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()


def _empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _may_head(row: Sequence[Any], count: int, typical: int) -> bool:
    if count >= max(typical, 1):
        return True
    # A nameless first column, as pandas writes its index.
    return count == typical - 1 >= 1 and len(row) >= typical and _empty(row[0]) and not _empty(row[-1])


def _kind(cell: Any) -> str:
    if isinstance(cell, datetime | date) or (_dated := readings(_label(cell))):
        return "date"
    return "number" if looks_numeric(_label(cell)) else "text"


def _is_data(rows: Sequence[Sequence[Any]], at: int) -> bool:
    """Say whether the row that should be the header is like the one below it, with numbers where that has some."""
    below = next((row for row in rows[at + 1 :] if any(not _empty(cell) for cell in row)), None)
    if below is None:
        return False
    pairs = [(_kind(a), _kind(b)) for a, b in zip(rows[at], below, strict=False) if not (_empty(a) or _empty(b))]
    alike = bool(pairs) and all(one == other for one, other in pairs)
    return alike and any(one == "number" for one, _ in pairs)


def _needs_above(row: Sequence[Any]) -> bool:
    names = [_label(cell) for cell in row if not _empty(cell)]
    short = sum(bool(_MONTH_ALONE.fullmatch(name)) for name in names)
    return short >= max(2, len(names) // 2)


def _years(row: Sequence[Any]) -> bool:
    names = [_label(cell) for cell in row if not _empty(cell)]
    return sum(bool(re.search(r"\b(?:19|20)\d\d\b", name)) for name in names) >= max(1, len(names) // 2)
