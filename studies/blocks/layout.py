"""Where the rows of each item stand in Parquet files.

Rows of one item have to stand together, so that a block of items is a run of rows. Files in which they do are read as
they are; others (sorted by date, a file a month) are sorted once into a file of the work's own, in memory that does not
grow with the history: rows go to as many files as are needed for each of them to be sorted in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...arrays import IntArray
from ...errors import Faults, InputError
from ...forecasters.data.read import RawTable, Table
from ...progress import Progress

ROWS_AT_ONCE = 1_000_000
"""Rows that are held in memory at a time, about."""
LARGEST_GROUP = 4 * ROWS_AT_ONCE
"""Rows of a row group, beyond which a file is written anew: a row group is read as a whole."""
MOST_PILES = 200
"""Files that rows are distributed to at most while they are sorted."""
ROW = "fractile row number"
"""Column of sorted files: the number of the row in the files given, for messages."""
NO_DATE = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the rows of each item stand.

    Attributes:
        files: Parquet files, read one after the other, in which the rows of each item stand together.
        item_ids: a text an item, in the order of their first rows.
        starts: the first row of each item in all files together, shape (items,).
        ends: the row after its last one, shape (items,).
        first_day: the earliest date of each item, nanoseconds since 1970, `NO_DATE` where it has none; shape (items,).
        days: every date on which any item has a row, sorted.
        groups: of each row group: its file, its number in there, and how many rows it has, shape (3, groups).
    """

    files: tuple[Path, ...]
    item_ids: pa.StringArray
    starts: IntArray
    ends: IntArray
    first_day: IntArray
    days: pd.DatetimeIndex
    groups: IntArray

    def select(self, items: IntArray) -> Layout:
        """Return the layout of some items, given by their positions."""
        return replace(
            self,
            item_ids=self.item_ids.take(pa.array(items)),
            starts=self.starts[items],
            ends=self.ends[items],
            first_day=self.first_day[items],
        )


def parquet_files(history: Path) -> tuple[Path, ...]:
    """Return the Parquet files of a history: the file itself, or those of a folder, sorted by their paths.

    Raises:
        InputError: where there is none, or the history is not Parquet.
    """
    if history.is_dir():
        found = sorted(path for path in history.rglob("*.parquet") if not path.name.startswith((".", "_")))
        if not found:
            raise InputError([f"{history}: holds no .parquet file; name a file, or a folder of Parquet files"])
        return tuple(found)
    if not history.exists():
        raise InputError([f"{history}: no such file; check the path"])
    if history.suffix.lower() != ".parquet":
        raise InputError(
            [
                f"{history}: only Parquet is read in blocks of items, got {history.suffix!r}; convert the file "
                "(pyarrow.csv.open_csv reads it and pyarrow.parquet.ParquetWriter writes it, a batch of rows at a "
                "time), or leave --blocks out"
            ]
        )
    return (history,)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of a Parquet file that is read within the block into a fault that names it."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError([f"{path}: cannot be read: {reason}; write it anew as Parquet"]) from None


def has_more_items(history: Path, item_column: str, most: int) -> bool:
    """Return whether a history has more than so many items; False where it is not Parquet, or cannot be read.

    Args:
        history: a file, or a folder of Parquet files.
        item_column: the files' name of the items.
        most: items.
    """
    if not history.is_dir() and history.suffix.lower() != ".parquet":
        return False
    found: set[str] = set()
    try:
        files = parquet_files(history)
        if sum(pq.read_metadata(path).num_rows for path in files) <= most:
            return False
        for batch in _batches(files, [item_column], item_column):
            found.update(encode_ids(batch.column(0))[1])
            if len(found) > most + 1:  # one is the text of an empty cell
                return True
    except (InputError, KeyError, OSError, pa.ArrowException):
        return False  # whoever reads the file says what is wrong
    return False


def lay_out(history: Path, item_column: str, date_column: str, scratch: Path, progress: Progress) -> Layout:
    """Find the rows of each item, and sort them into a file of `scratch` where they do not stand together.

    Args:
        history: a Parquet file, or a folder of them.
        item_column: the files' name of the items.
        date_column: the files' name of the dates.
        scratch: folder for a sorted file.
        progress: receives what is being done.

    Raises:
        InputError: where files cannot be read, or do not go together.
    """
    files = parquet_files(history)
    groups = _check_files(files, history)
    scan = _Scan(str(history))
    rows, total = 0, int(groups.sum())
    for batch in _batches(files, [item_column, date_column], item_column):
        scan.add(batch.column(0), batch.column(1))
        rows += batch.num_rows
        progress("reading the history's items", rows / total)
    if scan.together and groups.max() <= LARGEST_GROUP:
        return scan.layout(files)
    sorted_file = scratch / "sorted.parquet"
    _sort_rows(files, item_column, scan, sorted_file, progress, total)
    return scan.layout((sorted_file,))


def _check_files(files: tuple[Path, ...], history: Path) -> IntArray:
    """Return the number of rows of each row group; refuse files that cannot be read or have other columns."""
    faults, groups = Faults(), []
    first: list[str] | None = None
    for path in files:
        try:
            with readable(path), pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                groups += [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        except InputError as error:
            faults.add(str(error))
            continue
        first = names if first is None else first
        for column in sorted({name for name in names if names.count(name) > 1}):
            faults.add(f"{path}: column {column!r} stands more than once; rename or remove all but one")
        if set(names) != set(first):
            other = ", ".join(repr(name) for name in sorted(set(names) ^ set(first))[:5])
            faults.add(f"{path}: has other columns than {files[0]} ({other}); give all files the same columns")
    faults.raise_if_any()
    if not sum(groups):
        raise InputError([f"{history}: has no rows; write at least one below the header"])
    return np.array(groups, dtype=np.int64)


def _batches(files: tuple[Path, ...], columns: list[str] | None, item_column: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all files, `ROWS_AT_ONCE` at most at a time; ids are encoded as a dictionary."""
    for path in files:
        with readable(path), pq.ParquetFile(path, read_dictionary=[item_column]) as file:
            for group in range(file.num_row_groups):
                yield from file.iter_batches(ROWS_AT_ONCE, [group], columns, use_threads=False)


def encode_ids(column: pa.Array) -> tuple[IntArray, list[str]]:
    """Return ids as codes, shape (rows,), and the text of each code; the last text, "", is that of an empty cell."""
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    texts = ["" if name is None else str(name) for name in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, len(texts)) if encoded.null_count else encoded.indices
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), [*texts, ""]


class _Scan:
    """What is found out about items, row by row, in the order of the files.

    Args:
        name: what messages call the history.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: dict[str, int] = {}
        self.together = True
        self.rows = 0
        self._last = -1
        self._starts = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._first_day = np.zeros(0, dtype=np.int64)
        self._days: set[int] = set()

    def add(self, ids: pa.Array, dates: pa.Array) -> None:
        """Take the next rows."""
        codes, texts = encode_ids(ids)
        place = self.place(codes, texts)
        day = self._parse(dates)
        begins = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1])
        run = place[codes[begins]]
        new = len(self.positions) - len(self._counts)
        self._starts = np.concatenate([self._starts, np.full(new, -1, dtype=np.int64)])
        self._counts = np.concatenate([self._counts, np.zeros(new, dtype=np.int64)])
        self._first_day = np.concatenate([self._first_day, np.full(new, NO_DATE, dtype=np.int64)])
        # An item whose rows are together begins a run once, right after the item before it.
        follows = np.concatenate([[self._last], run[:-1]]) + 1
        goes_on = int(run[0] == self._last)
        self.together &= bool((run[goes_on:] == follows[goes_on:]).all())
        np.add.at(self._counts, run, np.diff([*begins, len(codes)]))
        np.minimum.at(self._first_day, run, np.minimum.reduceat(day, begins))
        fresh = begins[goes_on:] if self.together else begins[:0]
        self._starts[run[goes_on:][: len(fresh)]] = fresh + self.rows
        self._last = int(run[-1])
        self.rows += len(codes)

    def place(self, codes: IntArray, texts: list[str]) -> IntArray:
        """Return the position of each code's item; an item that is new comes after all others, in the rows' order."""
        place = np.full(len(texts), -1, dtype=np.int64)
        for code in pd.unique(codes):
            place[code] = self.positions.setdefault(texts[code], len(self.positions))
        return place

    def layout(self, files: tuple[Path, ...]) -> Layout:
        """Return where the rows are, in these files."""
        ends = np.cumsum(self._counts)
        starts = self._starts if self.together else ends - self._counts
        days = pd.DatetimeIndex(np.array(sorted(self._days - {NO_DATE}), dtype="datetime64[ns]"))
        ids = pa.array(list(self.positions), type=pa.string())
        return Layout(files, ids, starts, starts + self._counts, self._first_day, days, row_groups(files))

    @property
    def counts(self) -> IntArray:
        """Number of rows of each item."""
        return self._counts

    def _parse(self, dates: pa.Array) -> IntArray:
        """Return dates as nanoseconds, `NO_DATE` where a cell holds none, and collect them."""
        encoded = dates if pa.types.is_dictionary(dates.type) else pc.dictionary_encode(dates)
        cells = pd.DataFrame({"date": encoded.dictionary.to_pandas()})
        raw = RawTable(cells, self.name, "row", np.arange(len(cells), dtype=np.int64))
        parsed = Table(raw, Faults()).dates() if len(cells) else pd.DatetimeIndex([])  # faults are found row by row
        days = np.where(parsed.isna(), NO_DATE, parsed.to_numpy().astype(np.int64))
        days = np.append(days, NO_DATE)
        codes = pc.fill_null(encoded.indices, len(days) - 1) if encoded.null_count else encoded.indices
        self._days.update(days.tolist())
        return days[codes.to_numpy(zero_copy_only=False)]


def _sort_rows(
    files: tuple[Path, ...], item_column: str, scan: _Scan, target: Path, progress: Progress, total: int
) -> None:
    """Write the rows of all files into one, each item's together, in the order in which they stand in the files."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / "unsorted"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ends = np.cumsum(scan.counts)
    pile_of_item = (ends - 1) // max(2 * ROWS_AT_ONCE, total // MOST_PILES)
    schema = pq.read_schema(files[0]).remove_metadata()
    place = "fractile item"
    written = schema.append(pa.field(ROW, pa.int64()))
    piles: dict[int, pq.ParquetWriter] = {}
    rows = 0
    try:
        for batch in _batches(files, schema.names, item_column):
            codes, texts = encode_ids(batch.column(schema.names.index(item_column)))
            item = scan.place(codes, texts)[codes]
            pile = pile_of_item[item]
            order = np.argsort(pile, kind="stable")
            table = pa.Table.from_batches([batch]).cast(schema)
            table = table.append_column(ROW, pa.array(np.arange(rows, rows + len(item))))
            table = table.append_column(place, pa.array(item)).take(pa.array(order))
            cuts = np.searchsorted(pile[order], np.unique(pile))
            for number, first, last in zip(np.unique(pile), cuts, [*cuts[1:], len(order)], strict=True):
                if number not in piles:
                    piles[number] = pq.ParquetWriter(folder / f"{number}.parquet", table.schema, compression="zstd")
                piles[number].write_table(table.slice(first, last - first))
            rows += len(item)
            progress("sorting the history by items", rows / total)
    finally:
        for writer in piles.values():
            writer.close()
    with pq.ParquetWriter(target, written, compression="zstd") as writer:
        for number in sorted(piles):
            path = folder / f"{number}.parquet"
            table = pq.read_table(path, use_threads=False)
            order = np.argsort(table[place].to_numpy(), kind="stable")
            writer.write_table(table.drop_columns([place]).take(pa.array(order)), row_group_size=ROWS_AT_ONCE // 2)
            path.unlink()
    shutil.rmtree(folder)


def row_groups(files: tuple[Path, ...]) -> IntArray:
    """Return of each row group its file, its number in there, and how many rows it has, shape (3, groups)."""
    groups = []
    for number, path in enumerate(files):
        with readable(path), pq.ParquetFile(path) as file:
            groups += [(number, at, file.metadata.row_group(at).num_rows) for at in range(file.num_row_groups)]
    return np.array(groups, dtype=np.int64).reshape(-1, 3).T


class RowReader:
    """Reads rows of Parquet files by their numbers, files taken one after the other.

    Args:
        files: with the same columns.
        dictionaries: columns of texts that stand in many rows.
        groups: as in `Layout`; found out where None.
    """

    def __init__(self, files: tuple[Path, ...], *dictionaries: str, groups: IntArray | None = None) -> None:
        self._files, self._dictionaries = files, list(dictionaries)
        self._groups = row_groups(files) if groups is None else groups
        self._ends = np.cumsum(self._groups[2])

    def read(self, starts: IntArray, ends: IntArray, columns: list[str] | None = None) -> tuple[pa.Table, IntArray]:
        """Return the rows of some ranges, and the number of each, shape (rows,); row groups are read one by one.

        Args:
            starts: the first row of each range, ascending, shape (ranges,).
            ends: the row after the last one of each, shape (ranges,).
            columns: those that are read; all where None.
        """
        apart = np.concatenate([[True], starts[1:] != ends[:-1]])
        starts, ends = starts[apart], ends[np.append(apart[1:], True)]
        parts, numbers = [], []
        schema: pa.Schema | None = None
        for group in range(len(self._ends)):
            first, last = int(self._ends[group - 1]) if group else 0, int(self._ends[group])
            inside = slice(np.searchsorted(ends, first, side="right"), np.searchsorted(starts, last))
            if inside.start >= inside.stop:
                continue
            low, high = np.maximum(starts[inside], first), np.minimum(ends[inside], last)
            path, at = self._files[self._groups[0, group]], int(self._groups[1, group])
            with readable(path), pq.ParquetFile(path, read_dictionary=self._dictionaries) as file:
                names = columns
                if names is not None and ROW in file.schema_arrow.names:
                    names = [*names, ROW]
                table = file.read_row_group(at, names, use_threads=False)
            if len(low) == 1:
                rows, table = np.arange(low[0], high[0]), table.slice(low[0] - first, high[0] - low[0])
            else:
                rows = np.concatenate([np.arange(*each) for each in zip(low, high, strict=True)])
                table = table.take(pa.array(rows - first))
            schema = table.schema if schema is None else schema
            with readable(path):
                parts.append(table.select(schema.names).cast(schema))
            numbers.append(rows)
        whole = pa.concat_tables(parts).unify_dictionaries()
        row = np.concatenate(numbers)
        if ROW in whole.column_names:
            return whole.drop_columns([ROW]), whole[ROW].to_numpy()
        return whole, row
