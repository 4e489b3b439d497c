"""The next orders of a kept run in blocks of items: what `kept_orders` gives, for a history of any size."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import FractileError, InputError
from ...files import damaged, inside, read_json
from ...forecasters.base import Forecaster
from ...forecasters.data.matching import Rows, escape_ids
from ...forecasters.data.rules import LEVEL_RULES
from ...forecasters.storage import load_forecaster
from ...parts import Parts
from ...policies.storage import load_policy
from ...policies.transfer import for_items, is_for_items
from ...progress import Progress, no_progress, portion
from ..assumptions import assumed_in_run
from ..config import load_config
from ..data import StudyData, read_stock, say_wrong_day, wrong_days
from ..kept_orders import (
    age_notes,
    check_common,
    check_given,
    item_notes,
    missing_counts,
    periods_behind,
    policy_that_orders,
    read_ordering_run,
    stock_notes,
)
from ..kept_runs import orders_at_end, pooled_parameters
from ..orders import label_orders, not_sold
from ..own import own_policy
from ..replacing import MANIFEST
from ..run_items import item_ids_of, number_tuned, tuned_item_ids_of
from ..scale_section import ScaleConfig
from ..sections import OWN_LEVELS
from ..windows import forecast_periods, shown_periods
from .history import ITEMS, TILE, BlockedHistory, cut_tiles
from .written import cut_blocks, open_workers, run_blocks, working_folder, write_joined

ORDERS, FOUND = "orders.parquet", "found.json"
"""Files of a block's part: its orders, and what is to be said of its items."""
MOST_KEPT = 20
"""Items that are kept by name for what is to be said of them."""


@dataclass
class Named:
    """The first few of some items, and the number of all.

    Attributes:
        names: of the first few.
        count: of all.
    """

    names: list[Any] = field(default_factory=list)
    count: int = 0

    def add(self, names: Sequence[Any], count: int | None = None) -> None:
        """Take further items, given by the first few and the number of all."""
        self.names = [*self.names, *names][:MOST_KEPT]
        self.count += len(names) if count is None else count


@dataclass(frozen=True, eq=False)
class BlockOrders:
    """What is to be said of orders that were written block by block.

    Attributes:
        rows: number of orders.
        assumed: what nobody gave, in a line; "" where all was given.
        groups: items that came or went, by what became of them: see `kept_orders.KeptOrders`.
        periods_behind: periods of the history after the end of the run's own.
        notes: all that is to be said, a sentence each.
    """

    rows: int
    assumed: str
    groups: Mapping[str, Named]
    periods_behind: int
    notes: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return what is known beside the table, for machines; of each group the first few items by name."""
        groups = {name: {"items": found.count, "first": found.names} for name, found in self.groups.items()}
        return {"assumed": self.assumed, **groups, "periods_behind": self.periods_behind, "notes": self.notes}


def order_in_blocks(
    run: Path,
    history: Path,
    out: Path,
    *,
    state: Path | None = None,
    items: Path | None = None,
    policy: str | None = None,
    on_hand: float | None = None,
    trusted: Collection[str] = (),
    scale: ScaleConfig | None = None,
    tile: int = TILE,
    progress: Progress = no_progress,
) -> BlockOrders:
    """Write the order of every item for the period after the history's end, by a kept run.

    Orders are those of `kept_orders.next_orders`, whatever the number of blocks and the engine: items are computed tile
    by tile.

    Args:
        run: as in `next_orders`, like the other arguments that have the same names.
        history: a Parquet file, or a folder of them.
        out: CSV or Parquet to write; nothing is written where anything is wrong.
        state: see there.
        items: see there.
        policy: see there.
        on_hand: see there.
        trusted: see there.
        scale: number of blocks, and where they are computed.
        tile: items that are computed together.
        progress: receives what is being done.

    Raises:
        InputError: as `next_orders`, and where forecasts were made elsewhere.
    """
    scale = scale or ScaleConfig()
    record = read_ordering_run(run)
    check_given(run, record, history, state, items, on_hand)
    files = {"data.history": history} | ({} if items is None else {"data.items": items})
    files |= {} if state is None else {"data.state": state}
    config = load_config(inside(run, "config.toml"), files, trusted=(*trusted, *filter(None, [policy])))
    name = policy_that_orders(run, record, config, policy)
    if record["forecaster"] in config.forecast.files:
        raise InputError(
            [
                f"{run}: orders by forecasts made elsewhere ({record['forecaster']}), which are not read in blocks; "
                "leave --blocks and --engine out"
            ]
        )
    with damaged(run / "models", "train again"):  # said before the history is read, not by its first block
        load_forecaster(run / "models")
        if name != OWN_LEVELS:
            load_policy(name, run / "models")
    with working_folder(out) as work:
        # Which items are discontinued, and need no count, is not known before the files are read.
        rows = Rows(leave_out=True, on_hand=0.0 if on_hand is None else on_hand)
        surveyed = BlockedHistory.survey(
            config.data, config.defaults, work / "survey", portion(progress, 0.0, 0.4), rows=rows
        )
        ours, ids = item_ids_of(run, record), surveyed.layout.item_ids.to_numpy(zero_copy_only=False)
        calendar = surveyed.whole.calendar
        behind = periods_behind(run, record, calendar.freq, calendar.dates, history)
        groups = _groups(ids, ours, surveyed.left_out)
        check_common(run, history, groups["new"].count, ids, ours)
        names = [] if not surveyed.has_items else pq.read_schema(work / "survey" / ITEMS).names
        if name == OWN_LEVELS and not {"order_up_to", "base_stock_level"} & set(names):
            levels = ", ".join(LEVEL_RULES)
            raise InputError([f"--items: has no levels ({levels}), and {OWN_LEVELS} orders by them; add them"])
        arguments = {
            "run": str(run.absolute()),
            "history": surveyed.to_record(),
            "policy": name,
            "shown": shown_periods(surveyed.params, forecast_periods(surveyed.params, config.forecast.horizon)),
            "counted": on_hand is not None,
            "tile": tile,
        }
        blocks = cut_blocks(surveyed.items, scale.blocks, tile)
        parts, rest = Parts(work / "parts"), portion(progress, 0.4, 1.0)
        with open_workers(scale) as executor:
            folders = run_blocks("orders", f"{__name__}:order_block", blocks, arguments, parts, executor, rest)
        ended, uncounted = _gather(folders, calendar.dates, calendar.freq)
        groups["discontinued"] = ended
        assumed = assumed_in_run(record, pd.DataFrame(columns=names) if items is not None else None)
        whole = surveyed.params.pack_size is not None and bool((np.asarray(surveyed.params.pack_size) % 1 == 0).all())

        def label(table: pd.DataFrame) -> pd.DataFrame:
            table = table.astype({"order": np.int64 if whole else np.float64})
            table = label_orders(table, policy=name, forecaster=record["forecaster"], assumed=assumed)
            return escape_ids(table) if Path(out).suffix == ".csv" else table

        progress("writing")
        number = write_joined(out, [folder / ORDERS for folder in folders], label)
    groups["not_counted"] = Named(list(ids[surveyed.uncounted[:MOST_KEPT]]), len(surveyed.uncounted))
    read = [] if items is not None or config.data.items is None else [f"items: {config.data.items}, as in the run"]
    every = len(surveyed.uncounted) == surveyed.items
    said = (groups[group] for group in ("new", "discontinued", "gone", "no_history"))
    notes = (
        *read,
        *surveyed.read_notes,
        *item_notes(*((each.names, each.count) for each in said)),
        *stock_notes(uncounted.names, uncounted.count, on_hand, every=every),
        *age_notes(record, calendar.dates, behind),
    )
    return BlockOrders(number, assumed, groups, behind, notes)


def order_block(
    folder: Path,
    *,
    run: str,
    history: Mapping[str, Any],
    policy: str,
    shown: int,
    counted: bool,
    tile: int,
    first: int,
    end: int,
) -> None:
    """Write the orders of a block of items, tile by tile.

    Args:
        folder: where `ORDERS` and `FOUND` are written.
        run: folder of the kept run.
        history: what `BlockedHistory.to_record` gave.
        policy: the kept policy that orders.
        shown: periods ahead that it is shown of the forecast.
        counted: whether items that the state does not name have a count by `--on-hand`.
        tile: items that are computed together.
        first: position of the first item, a tile's first.
        end: the one after the last.
    """
    surveyed, models = BlockedHistory.from_record(history), Path(run) / "models"
    forecaster = load_forecaster(models)
    ordering = _Ordering(Path(run), policy, forecaster, shown)
    dates, freq = surveyed.whole.calendar.dates, surveyed.whole.calendar.freq
    ended, uncounted, wrong = Named(), Named(), Named()
    writer: pq.ParquetWriter | None = None
    for begin, stop in surveyed.chunks(first, end):
        at = np.arange(begin, stop)
        found, state, items = surveyed.slice(at), surveyed.state_rows(at), surveyed.item_rows(at)
        no_count = surveyed.uncounted[slice(*np.searchsorted(surveyed.uncounted, [begin, stop]))]
        if state is None:  # the survey fills it in where no file was given
            raise FractileError("the survey of the history has no state")
        tables, of_chunk = [], surveyed.params_at(at)
        for rows in cut_tiles(0, len(at), tile):
            panel, params = found.panel.select(rows), of_chunk.select(rows)
            stock = state.iloc[rows].reset_index(drop=True)
            data = StudyData(
                panel=panel,
                params=params,
                demand=panel.sales,
                state=read_stock(stock, params),
                items=None if items is None else items.iloc[rows],
                records={name: values[rows] for name, values in found.records.items()},
            )
            over = not_sold(panel, params)
            ids = np.array(panel.item_ids, dtype=object)
            without = np.isin(at[rows], no_count) & ~over
            ended.add(list(ids[over]))
            uncounted.add(list(ids[without]))
            wrong.add([(name, day.isoformat()) for name, day in wrong_days(stock[~over], dates, freq)])
            tables.append(ordering.of(data))
        table = pa.Table.from_pandas(
            pd.concat(tables, ignore_index=True).astype({"order": np.float64}), preserve_index=False
        )
        writer = pq.ParquetWriter(folder / ORDERS, table.schema) if writer is None else writer
        writer.write_table(table)
    if writer is not None:
        writer.close()
    groups = {"discontinued": ended, "not_counted": uncounted, "wrong_day": wrong}
    record = {name: {"names": each.names, "count": each.count} for name, each in groups.items()}
    record["missing"] = {"names": [], "count": 0} if counted else record["not_counted"]
    (folder / FOUND).write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


class _Ordering:
    """A kept policy that orders one tile after the other."""

    def __init__(self, run: Path, name: str, forecaster: Forecaster, shown: int) -> None:
        self._name, self._forecaster, self._shown = name, forecaster, shown
        if name == OWN_LEVELS:
            return
        record = read_json(run / MANIFEST)  # checked before the blocks were cut
        self._loaded, self._pooled = load_policy(name, run / "models"), pooled_parameters(run / "models", name)
        self._ours: pd.Index[str] | None = None
        if is_for_items(self._loaded, number_tuned(record)):
            self._ours = pd.Index(np.array(tuned_item_ids_of(run, record), dtype=object))

    def of(self, data: StudyData) -> pd.DataFrame:
        """Return the orders of the items of a tile."""
        if self._name == OWN_LEVELS:
            return orders_at_end(data, self._forecaster, own_policy(self._name, data), self._shown)
        if self._ours is None:
            return orders_at_end(data, self._forecaster, self._loaded, self._shown)
        forecast = None
        if self._pooled and (self._ours.get_indexer(pd.Index(data.panel.item_ids)) < 0).any():
            forecast = self._forecaster.predict(data.panel, self._shown)
        ids = data.panel.item_ids
        ordering = for_items(self._loaded, self._ours, ids, data.params, pooled=self._pooled, forecast=forecast)
        return orders_at_end(data, self._forecaster, ordering, self._shown)


def _groups(ids: Sequence[str], ours: Sequence[str], left_out: Sequence[str]) -> dict[str, Named]:
    """Return which items are new, gone, or have no history."""
    now, then = pd.Index(ids), pd.Index(np.array(ours, dtype=object))
    new, gone = now[~now.isin(then)], then[~then.isin(now)]
    others = pd.Index(np.array(left_out, dtype=object))
    others = others[~others.isin(gone)]
    found = {}
    for name, each in (("new", new), ("gone", gone), ("no_history", others)):
        found[name] = Named(list(each[:MOST_KEPT]), len(each))
    return found


def _gather(folders: Sequence[Path], dates: pd.DatetimeIndex, freq: str) -> tuple[Named, Named]:
    """Return the items that are discontinued, and those without a count; refuse faults that blocks found."""
    groups = {name: Named() for name in ("discontinued", "not_counted", "wrong_day", "missing")}
    for folder in folders:
        record = json.loads((folder / FOUND).read_text(encoding="utf-8"))
        for name, found in groups.items():
            found.add(record[name]["names"], record[name]["count"])
    missing, wrong = groups["missing"], groups["wrong_day"]
    faults = missing_counts(missing.names, missing.count)
    days = [(name, pd.Timestamp(day)) for name, day in wrong.names]
    faults += [f"--state: {said}"] if (said := say_wrong_day(days, wrong.count, dates, freq)) else []
    if faults:
        raise InputError(faults)
    return groups["discontinued"], groups["not_counted"]
