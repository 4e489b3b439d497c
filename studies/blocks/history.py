"""A history of more items than memory holds, read in slices of items from Parquet.

`BlockedHistory.survey` goes once through the files: it finds where each item's rows stand (`layout`), checks every row
as the ordinary reader does, and keeps what slices must know of the whole. Then any slice can be read by itself, in any
process that sees the files and the survey's folder, and equals the slice of what `load_data` reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...arrays import IntArray
from ...envs.core.types import ItemParams
from ...envs.demand.model import uncensored
from ...errors import Faults, FractileError, InputError
from ...forecasters.data.calendar import Calendar, make_calendar
from ...forecasters.data.matching import Matched, Rows, in_order, match_rows
from ...forecasters.data.read import RawTable, Table
from ...forecasters.data.slices import Slice, WholeHistory, read_slice
from ...forecasters.data.tables import HISTORY_COLUMNS, collect_items, collect_state
from ...progress import Progress, no_progress
from ...randomness import keyed_generator
from ..config import DataConfig, DefaultsConfig
from ..data import StudyData, check_arrivals, params_of, read_stock
from .layout import ROWS_AT_ONCE, Layout, RowReader, lay_out, parquet_files, readable
from .survey import RawSlice, survey_slices

TILE = 256
"""Items that are computed together, at positions 256 k … 256 k + 255 of the whole: results depend on no larger unit."""
SURVEY, LAYOUT, ITEMS, STATE, PARAMS = "history.json", "layout", "items.parquet", "state.parquet", "params"
"""What a survey keeps in its folder."""
STAMPED = 1 << 16
"""Bytes at either end of a file by which it is known again."""
_ARRAYS = ("starts", "ends", "first_day", "groups")


def cut_tiles(first: int, end: int, tile: int) -> Iterator[IntArray]:
    """Yield the positions of the items of each tile of a run of items."""
    for begin in range(first, end, tile):
        yield np.arange(begin, min(end, begin + tile))


@dataclass(frozen=True, eq=False)
class BlockedHistory:
    """A surveyed history.

    Attributes:
        folder: of the survey; slices are read with what it holds.
        layout: where the rows of each item stand.
        whole: what slices must know of the whole.
        item_values: lead times, costs and order rules of all items, by the fields of `ItemParams`.
        has_items: whether there is an items file.
        has_state: whether there is a state.
        item_column: the files' name of the items.
        left_out: ids that items or state have and the history does not.
        uncounted: positions of the items that the state lacked, ascending, shape (those,).
        read_notes: how items and state were read, where they are not CSV with commas in UTF-8.
    """

    folder: Path
    layout: Layout
    whole: WholeHistory
    item_values: Mapping[str, Any]
    has_items: bool
    has_state: bool
    item_column: str
    left_out: tuple[str, ...] = ()
    uncounted: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    read_notes: tuple[str, ...] = ()

    @classmethod
    def survey(
        cls,
        data: DataConfig,
        defaults: DefaultsConfig,
        scratch: Path,
        progress: Progress = no_progress,
        *,
        rows: Rows = Rows(),  # noqa: B008  # frozen
    ) -> BlockedHistory:
        """Go through a history in Parquet, with its items and state files, in bounded memory.

        Args:
            data: names the files and says how they are read; the history is a Parquet file or a folder of them.
            defaults: parameters that the items file does not have.
            scratch: folder for what is kept, and for sorted rows where an item's do not stand together.
            progress: receives what is being done.
            rows: which rows items and state may have and must have.

        Raises:
            InputError: with the faults of all files.
        """
        history = data.history
        if history is None:
            raise InputError(["data.history: is missing; name a Parquet file of sales (--history)"])
        scratch.mkdir(parents=True, exist_ok=True)
        item_column, date_column = (data.columns.get(name, name) for name in ("item_id", "date"))
        faults = Faults()
        read: list[str] = []
        item_frame = None if data.items is None else collect_items(data.items, faults, read)
        state_frame = None if data.state is None else collect_state(data.state, faults, read)
        _check_columns(history, data.columns, faults)
        layout = lay_out(history, item_column, date_column, scratch, progress)
        ids = pd.DataFrame({"item_id": layout.item_ids.to_numpy(zero_copy_only=False)})
        found = match_rows(ids, item_frame, state_frame, rows, faults, {"items": data.items, "state": data.state})
        layout, calendar, dropped = _lay_periods(layout, data.freq, str(history), faults)
        whole = WholeHistory(str(history), calendar, data.missing, data.columns, notes=tuple(read))
        has_items = _keep_tables(scratch, found, layout)
        surveyed = cls(scratch, layout, whole, {}, has_items, False, item_column)
        schema = pq.read_schema(layout.files[0])
        known = survey_slices(whole, surveyed._raw_slices, schema, data.known, dropped, found.items, faults, progress)
        faults.raise_if_any()
        assert known is not None  # or there are faults
        item_ids = layout.item_ids.to_numpy(zero_copy_only=False)
        items = None if found.items is None else in_order(found.items, item_ids)
        params = params_of(item_ids, items, defaults, whole_units=bool(known.whole_units))
        if found.state is not None:
            check_arrivals(in_order(found.state, item_ids), params.lead_time)
        surveyed = replace(
            surveyed,
            whole=known,
            item_values={each.name: getattr(params, each.name) for each in fields(params) if each.init},
            has_state=found.state is not None,
            left_out=found.left_out,
            read_notes=tuple(read),
            uncounted=np.flatnonzero(pd.Index(item_ids).isin(found.not_counted)),
        )
        surveyed._keep()
        return surveyed

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.layout.starts)

    @property
    def params(self) -> ItemParams:
        """Lead times, costs and order rules of all items; they are put together and checked at every call."""
        return ItemParams(**self.item_values)

    def params_at(self, positions: IntArray) -> ItemParams:
        """Return the parameters of the items at these positions."""
        values: dict[str, Any] = {
            name: each[positions] if isinstance(each, np.ndarray) else each for name, each in self.item_values.items()
        }
        return ItemParams(**values)

    def item_ids(self, first: int, end: int) -> tuple[str, ...]:
        """Return the ids of the items at positions first … end − 1."""
        return tuple(self.layout.item_ids.slice(first, end - first).to_pylist())

    def read(self, first: int, end: int) -> StudyData:
        """Return the data of the items at positions first … end − 1, on the calendar of the whole."""
        return self.read_items(np.arange(first, end))

    def read_items(self, positions: IntArray) -> StudyData:
        """Return the data of the items at these positions, which ascend, on the calendar of the whole."""
        positions = np.asarray(positions, dtype=np.int64)
        found = self.slice(positions)
        params, state = self.params_at(positions), self.state_rows(positions)
        return StudyData(
            panel=found.panel,
            params=params,
            demand=uncensored(found.panel),
            state=None if state is None else read_stock(state, params),
            items=self.item_rows(positions),
            records=found.records,
        )

    def slice(self, positions: IntArray) -> Slice:
        """Return the sales of the items at these positions, which ascend, on the calendar of the whole."""
        faults, raw = Faults(), self._raw(positions)
        found = read_slice(raw.rows, raw.items, self.whole, faults)
        faults.raise_if_any()
        if found is None:  # there are faults then
            raise FractileError(f"{self.whole.name}: cannot be read any more")
        return found

    def item_rows(self, positions: IntArray) -> pd.DataFrame | None:
        """Return the rows of the items file at these positions; None where there is none."""
        return self._table(ITEMS, positions) if self.has_items else None

    def state_rows(self, positions: IntArray) -> pd.DataFrame | None:
        """Return what is on hand and under way of the items at these positions; None where it is not given."""
        return self._table(STATE, positions) if self.has_state else None

    def sample(self, number: int, seed: int) -> IntArray:
        """Return positions of a random sample of the items, ascending; all of them where there are no more.

        Args:
            number: of items.
            seed: of the draw, an integer >= 0.
        """
        if number >= self.items:
            return np.arange(self.items)
        drawn = keyed_generator(seed, "sample of items").choice(self.items, number, replace=False)
        return np.sort(drawn).astype(np.int64)

    def chunks(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield runs of whole tiles of about a million rows each, from position `first`, a tile's first, to `end`."""
        end = self.items if end is None else end
        rows = max(1.0, float((self.layout.ends[-1:] - self.layout.starts[:1])[0]) / self.items)
        step = TILE * max(1, int(ROWS_AT_ONCE / rows / TILE))
        for begin in range(first, end, step):
            yield begin, min(end, begin + step)

    def to_record(self) -> dict[str, Any]:
        """Return what a process that sees the same folders opens the history by, as JSON holds it."""
        return {"folder": str(self.folder)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BlockedHistory:
        """Open a surveyed history by what `to_record` gave; it does not know any more what was left out."""
        folder = Path(record["folder"])
        kept = json.loads((folder / SURVEY).read_text(encoding="utf-8"))
        files = {folder / path: stamp for path, stamp in kept["files"].items()}  # the survey's own move with it
        changed = [path for path, stamp in files.items() if _stamp(path) != stamp]
        if changed:
            raise FractileError(f"{changed[0]}: was changed or moved since the history was surveyed; run it again")
        arrays = {name: np.load(folder / LAYOUT / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        ids = pq.read_table(folder / LAYOUT / "ids.parquet", use_threads=False)["item_id"].combine_chunks()
        days = pd.DatetimeIndex([])
        layout = Layout(tuple(files), ids, **arrays, days=days)
        values = dict(kept["params"])
        values |= {path.stem: np.load(path, mmap_mode="r") for path in sorted((folder / PARAMS).glob("*.npy"))}
        names = ("has_items", "has_state", "item_column")
        return cls(
            folder,
            layout,
            WholeHistory.from_record(kept["whole"]),
            values,
            **{name: kept[name] for name in names},
            uncounted=np.load(folder / LAYOUT / "uncounted.npy", mmap_mode="r"),
        )

    def _keep(self) -> None:
        """Write what `from_record` reads."""
        for folder in (LAYOUT, PARAMS):
            (self.folder / folder).mkdir(exist_ok=True)
        for name in _ARRAYS:
            np.save(self.folder / LAYOUT / f"{name}.npy", getattr(self.layout, name))
        np.save(self.folder / LAYOUT / "uncounted.npy", self.uncounted)
        pq.write_table(pa.table({"item_id": self.layout.item_ids}), self.folder / LAYOUT / "ids.parquet")
        for name, value in self.item_values.items():
            if isinstance(value, np.ndarray):
                np.save(self.folder / PARAMS / f"{name}.npy", value)
        ours = {path: path.relative_to(self.folder) for path in self.layout.files if path.is_relative_to(self.folder)}
        kept = {
            "files": {str(ours.get(path, path.absolute())): _stamp(path) for path in self.layout.files},
            "whole": self.whole.to_record(),
            "params": {name: value for name, value in self.item_values.items() if not isinstance(value, np.ndarray)},
            **{name: getattr(self, name) for name in ("has_items", "has_state", "item_column")},
        }
        (self.folder / SURVEY).write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")

    def _raw(self, positions: IntArray, columns: list[str] | None = None) -> RawSlice:
        """Read the rows of some items as the files have them."""
        reader = RowReader(self.layout.files, self.item_column, groups=self.layout.groups)
        table, numbers = reader.read(self.layout.starts[positions], self.layout.ends[positions], columns)
        items = self.item_rows(positions)
        share = (int(positions[-1]) + 1) / self.items
        return RawSlice(RawTable(_to_frame(table), self.whole.name, "row", numbers), items, share)

    def _raw_slices(self, columns: list[str] | None) -> Iterator[RawSlice]:
        """Read all items in turn."""
        for first, end in self.chunks():
            yield self._raw(np.arange(first, end), columns)

    def _table(self, name: str, positions: IntArray) -> pd.DataFrame:
        """Return the rows of a kept table at some positions."""
        table, _ = RowReader((self.folder / name,)).read(positions, positions + 1)
        return table.to_pandas()


def _stamp(path: Path) -> str:
    """Return a hash of a file's size and of its two ends, by which a changed one is found; "" where it is gone.

    The end of a Parquet file holds where all parts lie, and what is least and most in each.
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        size = path.stat().st_size
        digest = hashlib.sha256(file.read(STAMPED) + str(size).encode())
        file.seek(max(0, size - STAMPED))
        digest.update(file.read())
    return digest.hexdigest()


def _lay_periods(
    layout: Layout, freq: str | None, name: str, faults: Faults
) -> tuple[Layout, Calendar, tuple[str, ...]]:
    """Return the calendar of all dates, the layout of the items that have rows before its end, and the other items."""
    try:
        calendar = make_calendar(layout.days, freq)
    except FractileError as error:
        faults.add(f"{name}: {error}")
        faults.raise_if_any()
        raise
    inside = layout.first_day <= calendar.slots.as_unit("ns")[-1].value
    dropped = layout.item_ids.filter(pa.array(~inside)).to_pylist()
    return layout.select(np.flatnonzero(inside)), calendar, tuple(dropped)


def _check_columns(history: Path, columns: Mapping[str, str], faults: Faults) -> None:
    """Raise an `InputError` where columns are missing that no row can be read without."""
    first = parquet_files(history)[0]
    with readable(first):
        names = pq.read_schema(first).names
    known = len(faults.messages)
    table = Table(RawTable(pd.DataFrame(columns=names), str(history), "row", np.zeros(0, dtype=np.int64)), faults)
    table.rename(columns)
    table.require(HISTORY_COLUMNS)
    if len(faults.messages) > known:
        faults.raise_if_any()


def _keep_tables(folder: Path, found: Matched, layout: Layout) -> bool:
    """Write the rows of items and state, in the order of the items; return whether each item has a row of items."""
    ids = layout.item_ids.to_numpy(zero_copy_only=False)
    rows = {}
    for name, frame in ((ITEMS, found.items), (STATE, found.state)):
        (folder / name).unlink(missing_ok=True)
        if frame is not None:
            ordered = in_order(frame, ids)
            rows[name] = len(ordered)
            ordered.to_parquet(folder / name, row_group_size=1 << 16, index=False)
    return rows.get(ITEMS) == len(ids)


def _to_frame(table: pa.Table) -> pd.DataFrame:
    """Return rows as a frame, without the nameless index that pandas writes."""
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    return table.select(names).replace_schema_metadata(None).to_pandas()
