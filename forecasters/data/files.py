"""Raw tables from CSV, Parquet or memory, with the row numbers that messages name."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import Faults

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
    if raw is None or _repeated_column(raw, faults):
        return None
    if raw.frame.empty:
        faults.add(f"{raw.name}: has no rows; write at least one below the header")
        return None
    return raw


def _numbered(frame: pd.DataFrame, name: str) -> RawTable:
    named = any(level is not None for level in frame.index.names)
    whole = frame.reset_index() if named else frame.reset_index(drop=True)
    whole.columns = whole.columns.astype(str)
    return RawTable(whole, name, "row", np.arange(len(whole), dtype=np.int64))


def _repeated_column(raw: RawTable, faults: Faults) -> bool:
    repeated = raw.frame.columns[raw.frame.columns.duplicated()].unique()
    for column in repeated:
        faults.add(f"{raw.name}: column {column!r} stands more than once; rename or remove all but one")
    return len(repeated) > 0


def _read_file(path: Path, faults: Faults, text: Collection[str], attributes: bool) -> RawTable | None:
    problem = _unusable(path)
    if problem:
        faults.add(f"{path}: {problem}")
        return None
    try:
        if path.suffix.lower() == ".parquet":
            return _numbered(pd.read_parquet(path), str(path))
        return _read_csv(path, text, attributes)
    except UnicodeDecodeError as error:
        faults.add(f"{path}: is not UTF-8 text (byte {error.start}); save it as a CSV in UTF-8")
    except (OSError, ValueError, NotImplementedError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:200]
        faults.add(f"{path}: cannot be read: {reason}; write it anew as a CSV with commas or as Parquet")
    return None


def _unusable(path: Path) -> str | None:
    if path.is_dir():
        return "is a directory; name a .csv or .parquet file"
    if not path.exists():
        return "no such file; check the path"
    if path.suffix.lower() not in (".csv", ".parquet"):
        return f"the extension must be .csv or .parquet, got {path.suffix!r}; convert or rename the file"
    if path.stat().st_size == 0:
        return "is empty (0 bytes); write a header and at least one row"
    return None


def _read_csv(path: Path, text: Collection[str], attributes: bool) -> RawTable:
    header = _csv_header(path)
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
    return _without_blank_lines(frame, str(path))


def _csv_header(path: Path) -> list[str]:
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
    return header


def _without_blank_lines(frame: pd.DataFrame, name: str) -> RawTable:
    lines = np.arange(len(frame), dtype=np.int64) + 2
    first = frame.iloc[:, 0]
    suspects = np.flatnonzero((first.isna() | first.eq("")).to_numpy())
    cells = frame.iloc[suspects]
    blank = suspects[(cells.isna() | (cells == "")).to_numpy().all(axis=1)]
    kept = np.setdiff1d(np.arange(len(frame)), blank, assume_unique=True)
    return RawTable(frame.iloc[kept].reset_index(drop=True), name, "line", lines[kept])
