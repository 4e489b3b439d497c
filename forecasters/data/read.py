"""Raw tables from CSV, Parquet or memory, and checks of their columns.

Each fault is one line: file, lines, field, rule, value, remedy.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import Faults, did_you_mean, shorten
from .parquet import read_parquet
from .row_faults import MOST_LISTED, RowFault
from .rules import NumberRule

Source = str | Path | pd.DataFrame
"""A file's path, or a frame that is already in memory."""

BLANK = ["", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"]
"""What stands for a missing value in a CSV; never in item_id, and only the empty cell in text."""


@dataclass(frozen=True)
class RawTable:
    """A table as its file has it.

    Attributes:
        frame: the file's columns under the file's names.
        name: what messages call it: the path, or what the caller calls the frame.
        unit: "line" of a CSV (the header is line 1), or "row" of anything else (the first is row 0).
        numbers: the line or row number of each row, shape (rows,).
    """

    frame: pd.DataFrame
    name: str
    unit: str
    numbers: NDArray[np.int64]


def read_raw(
    source: Source, faults: Faults, *, name: str, text: Collection[str], attributes: bool = False
) -> RawTable | None:
    """Read a table, or add to `faults` why it cannot be read and return None.

    Args:
        source: a path that ends in .csv or .parquet, or a frame.
        faults: collects what is wrong.
        name: what messages call a frame; a file goes by its path.
        text: the file's columns that are kept as text exactly as written.
        attributes: whether other columns may be text in which "NA" is a word.
    """
    if isinstance(source, pd.DataFrame):
        raw: RawTable | None = _numbered(source, name)
    else:
        raw = _read_file(Path(source), faults, text, attributes)
    return None if raw is None else check_raw(raw, faults)


def check_raw(raw: RawTable, faults: Faults) -> RawTable | None:
    """Return a table of plain cells, or None and a fault: a column that stands twice or holds lists, or no rows."""
    repeated = list(raw.frame.columns[raw.frame.columns.duplicated()].unique())
    for column in repeated[:MOST_NAMED]:
        faults.add(f"{raw.name}: column {shorten(column)!r} stands more than once; rename or remove all but one")
    if len(repeated) > MOST_NAMED:
        faults.add(f"{raw.name}: {len(repeated) - MOST_NAMED:,} more columns stand more than once")
    if repeated:
        return None
    if raw.frame.empty:
        faults.add(f"{raw.name}: has no rows; write at least one below the header")
        return None
    return _plain_cells(raw, faults)


def _plain_cells(raw: RawTable, faults: Faults) -> RawTable | None:
    """Return a table with bytes as text; None and a fault where cells hold what is neither text, number nor date."""
    texts: dict[str, pd.Series[Any]] = {}
    known = len(faults.messages)
    for column in raw.frame.columns:
        cells = raw.frame[column]
        if cells.dtype.kind == "m":
            faults.add(f"{raw.name}: column {shorten(column)!r} holds durations; write numbers, or leave it out")
        if cells.dtype != np.dtype(object):
            continue
        kind = pd.api.types.infer_dtype(cells, skipna=True)
        if kind == "bytes":
            texts[column] = cells.map(lambda cell: cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell)
        elif kind in ("mixed", "time"):
            nested = any(isinstance(cell, Collection) and not isinstance(cell, str | bytes) for cell in cells)
            if nested or kind == "time":
                what = "lists or structures" if nested else "times of day"
                fault = f"column {shorten(column)!r} holds {what}; write one value a cell, or leave it out"
                faults.add(f"{raw.name}: {fault}")
    if len(faults.messages) > known:
        return None
    return replace(raw, frame=raw.frame.assign(**texts)) if texts else raw


def _numbered(frame: pd.DataFrame, name: str) -> RawTable:
    named = any(level is not None for level in frame.index.names)
    whole = frame.reset_index() if named else frame.reset_index(drop=True)
    whole.columns = whole.columns.astype(str)
    return RawTable(whole, name, "row", np.arange(len(whole), dtype=np.int64))


def _read_file(path: Path, faults: Faults, text: Collection[str], attributes: bool) -> RawTable | None:
    problem = ""
    if path.is_dir():
        problem = "is a directory; name a .csv or .parquet file"
    elif not path.exists():
        problem = "no such file; check the path"
    elif path.suffix.lower() not in (".csv", ".parquet"):
        problem = f"the extension must be .csv or .parquet, got {path.suffix!r}; convert or rename the file"
    elif path.stat().st_size == 0:
        problem = "is empty (0 bytes); write a header and at least one row"
    if problem:
        faults.add(f"{path}: {problem}")
        return None
    try:
        if path.suffix.lower() == ".parquet":
            return _numbered(read_parquet(path), str(path))
        return _read_csv(path, text, attributes)
    except UnicodeDecodeError as error:
        faults.add(f"{path}: is not UTF-8 text (byte {error.start}); save it as a CSV in UTF-8")
    except (OSError, ValueError, NotImplementedError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:200]
        faults.add(f"{path}: cannot be read: {reason}; write it anew as a CSV with commas or as Parquet")
    return None


def _read_csv(path: Path, text: Collection[str], attributes: bool) -> RawTable:
    # The header is read by itself, because pandas would rename columns that stand twice.
    first = pd.read_csv(
        path,
        header=None,
        nrows=1,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        skip_blank_lines=False,
    )
    header = [str(column).strip() for column in first.iloc[0]]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ValueError(f"its columns are not separated by commas but as in {header[0]!r}")
    blank = [""] if attributes else BLANK
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path,
            header=None,
            names=[str(at) for at in range(len(header))],
            skiprows=1,
            index_col=False,
            encoding="utf-8-sig",
            dtype={str(at): str for at, column in enumerate(header) if column in text},
            keep_default_na=False,
            na_values={str(at): blank for at, column in enumerate(header) if column not in text},
            skip_blank_lines=False,
            float_precision="round_trip",
            low_memory=False,
        )
    frame.columns = pd.Index(header, dtype=object)
    # Blank lines are dropped only now, so that messages name the lines of the file.
    lines = np.arange(len(frame), dtype=np.int64) + 2
    leading = frame.iloc[:, 0]
    suspects = np.flatnonzero((leading.isna() | leading.eq("")).to_numpy())
    cells = frame.iloc[suspects]
    empty = suspects[(cells.isna() | (cells == "")).to_numpy().all(axis=1)]
    filled = np.setdiff1d(np.arange(len(frame)), empty, assume_unique=True)
    return RawTable(frame.iloc[filled].reset_index(drop=True), str(path), "line", lines[filled])


MOST_CATEGORIES = 50
"""Numbers that stand beside words in a column of categories; where there are more, the words are misprints."""

MOST_NAMED = 15
"""Columns of a table that a message names."""

_FLAGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "yes": True,
    "false": False,
    "0": False,
    "0.0": False,
    "no": False,
}
_ZONE = re.compile(r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$")


class Table:
    """One table under check.

    Args:
        raw: the table as read.
        faults: collects what is wrong with it.
    """

    def __init__(self, raw: RawTable, faults: Faults) -> None:
        self.raw = raw
        self.frame = raw.frame
        self.name = raw.name
        self.faults = faults

    def rename(self, columns: Mapping[str, str]) -> None:
        """Give columns our names; `columns` maps our name to the file's.

        A column of the file that has one of our names, but is not the one that is meant, becomes `own_name`.
        """
        own = [str(column) for column in self.frame.columns]
        for ours, theirs in columns.items():
            if theirs not in own:
                hint = did_you_mean(theirs, own)
                self.faults.add(f"{self.name}: has no column {theirs!r}, which was to be {ours!r}{hint}")
        back = {theirs: ours for ours, theirs in columns.items()}
        names = [back.get(column, column) for column in own]
        for at, column in enumerate(own):
            if column in columns and column not in back:  # the caller's word wins over a column of the same name
                names[at] = own_name(column, own)
        self.frame = self.frame.set_axis(names, axis=1)

    def require(self, names: Collection[str]) -> bool:
        """Say whether all these columns are there; add a fault for each that is not."""
        missing = [name for name in names if name not in self.frame]
        for name in missing:
            known = [str(column) for column in self.frame.columns]
            hint = did_you_mean(name, known[:MOST_NAMED]) + (" …" if len(known) > MOST_NAMED else "")
            self.faults.add(f"{self.name}: has no column {name!r}; rename one or map it{hint}")
        return not missing

    def refuse_lookalikes(self, names: Collection[str]) -> None:
        """Add a fault for a column that is one of `names` but for case, spaces and underscores."""
        plain = {_plain(name): name for name in names if name not in self.frame}
        for column in self.frame.columns:
            if _plain(column) in plain and column not in names:
                ours = plain[_plain(column)]
                self.faults.add(f"{self.name}: column {column!r} must be called {ours!r} to be used; rename it")

    def fault(
        self,
        bad: BoolArray,
        rule: str,
        remedy: str,
        values: NDArray[Any] | pd.Series[Any] | None = None,
        *,
        whose: Collection[str] = (),
    ) -> None:
        """Add one fault for all rows in `bad`, shape (rows,), of the items `whose`; do nothing where there is none."""
        at = np.flatnonzero(bad)
        if not len(at):
            return
        got: tuple[str, ...] | None = None
        if values is not None:
            # Of these rows alone: to make objects of millions of sound values would cost more than all checks.
            wrong = values.iloc[at].astype(object) if isinstance(values, pd.Series) else values[at]
            distinct = list(pd.unique(pd.Series(wrong, dtype=object)))
            got = tuple(_format_value(value) for value in distinct[:MOST_LISTED])
        rows = tuple(int(number) for number in self.raw.numbers[at[:MOST_LISTED]])
        self.faults.add(RowFault(self.name, self.raw.unit, rule, remedy, rows, len(at), got, tuple(whose)))

    def ids(self, column: str = "item_id") -> NDArray[np.object_]:
        """Return a column as text, exactly as written; an empty cell is a fault."""
        values = self.frame[column]
        if pd.api.types.is_float_dtype(values.dtype):
            self.fault(values.notna().to_numpy(), f"{column} must be text", "write it as text", values)
        codes: NDArray[Any]
        names: Iterable[Any]
        if isinstance(values.dtype, pd.CategoricalDtype):
            codes, names = values.cat.codes.to_numpy(), values.cat.categories
        else:
            codes, names = pd.factorize(values.to_numpy(dtype=object), use_na_sentinel=True)
        written = np.array([str(name) for name in names] + [""], dtype=object)
        empty = np.array([not name.strip() for name in written], dtype=bool)
        self.fault(empty[codes], f"{column} must not be empty", "name the item or remove the row")
        texts: NDArray[np.object_] = written[codes]
        return texts

    def numbers(self, column: str, rule: NumberRule) -> FloatArray:
        """Return a column as float64; text, empty cells, infinities and broken rules are faults."""
        raw = self.frame[column]
        values = as_numbers(raw)
        missing = raw.isna().to_numpy()
        must = f"{column} must be {rule.text}"
        self.fault(np.isnan(values) & ~missing, must, "write digits with a point, no text", raw)
        if not rule.optional:
            whose = self.frame["item_id"][missing].unique() if "item_id" in self.frame else ()
            self.fault(missing, f"{must}, is missing", "write the number", whose=whose)
        self.fault(np.isinf(values), f"{must} and finite", rule.remedy, values)
        finite = np.isfinite(values)
        large = rule.exceeded(values)
        self.fault(large, f"{column} must be at most {rule.high:g}", "correct it, or count in larger units", values)
        broken = finite & ~large & ~rule.holds(np.where(finite, values, 1.0))
        self.fault(broken, must, rule.remedy, values)
        return values

    def covariate(self, column: str) -> None:
        """Add a fault for words among more numbers than a category has; words beside few numbers are categories."""
        raw = self.frame[column]
        if raw.dtype != np.dtype(object):
            return
        numbers = as_numbers(raw)
        words = np.isnan(numbers) & raw.notna().to_numpy()
        if 0 < words.sum() < raw.notna().sum() / 2 and len(np.unique(numbers[np.isfinite(numbers)])) > MOST_CATEGORIES:
            remedy = "write numbers alone, or leave the column out"
            self.fault(words, f"{column} must be a number, as it is in most rows", remedy, raw)

    def dates(self, column: str = "date", *, optional: bool = False) -> pd.DatetimeIndex:
        """Return a column as dates without a time zone; what is not YYYY-MM-DD, or nothing if optional, is a fault."""
        raw = self.frame[column]
        if isinstance(raw.dtype, pd.DatetimeTZDtype):
            parsed = pd.DatetimeIndex(raw.dt.tz_localize(None)).as_unit("ns")
        elif pd.api.types.is_datetime64_dtype(raw.dtype):
            # Coarser units reach further than nanoseconds do.
            low, high = raw.min(), raw.max()
            if low <= pd.Timestamp.min or high >= pd.Timestamp.max:
                raw = raw.where((raw > pd.Timestamp.min) & (raw < pd.Timestamp.max))
            parsed = pd.DatetimeIndex(raw).as_unit("ns")
        else:
            codes, values = pd.factorize(raw.to_numpy(dtype=object), use_na_sentinel=True)
            texts = [None if isinstance(value, (int, float)) else _ZONE.sub(r"\1", str(value)) for value in values]
            known = pd.to_datetime(pd.Series([*texts, None], dtype=object), format="ISO8601", errors="coerce")
            parsed = pd.DatetimeIndex(known.to_numpy()[codes]).as_unit("ns")
        empty = (raw.isna() | raw.eq("")).to_numpy() if optional else np.zeros(len(raw), dtype=bool)
        remedy = "write it as YYYY-MM-DD" + (", or nothing" if optional else "")
        self.fault(np.asarray(parsed.isna()) & ~empty, f"{column} must be a date", remedy, self.frame[column])
        return parsed

    def flags(self, column: str) -> BoolArray:
        """Return a column of true/false, 1/0 or yes/no, in any case, as bool."""
        raw = self.frame[column]
        if raw.dtype == np.dtype(bool):
            return raw.to_numpy(dtype=bool)
        codes, words = pd.factorize(raw.to_numpy(dtype=object), use_na_sentinel=True)
        read = [_FLAGS.get(str(word).strip().lower()) for word in words] + [None]
        unread = np.array([value is None for value in read], dtype=bool)
        remedy = "write true or false, 1 or 0, yes or no"
        self.fault(unread[codes], f"{column} must be true or false", remedy, raw)
        return np.array([bool(value) for value in read], dtype=bool)[codes]

    def unique(self, ids: NDArray[np.object_], remedy: str) -> None:
        """Add a fault where an item has more than one row."""
        again = pd.Series(ids).duplicated().to_numpy() & (ids != "")
        self.fault(again, "item_id must stand once", remedy, ids)


def own_name(column: str, others: Collection[str]) -> str:
    """Return what a column of the file is called where another one has its name: `file_sales` for `sales`."""
    name = f"file_{column}"
    while name in others:
        name += "_2"
    return name


def as_numbers(values: pd.Series[Any]) -> FloatArray:
    """Return a column as float64, NaN where it holds no number."""
    if values.dtype.kind in "mM":  # days are no numbers, though they are kept as such
        return np.full(len(values), np.nan)
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _format_value(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, float):
        return f"{value:g}"
    return "nothing" if value is None or value is pd.NaT else shorten(str(value))


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
