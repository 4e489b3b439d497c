"""A block of items: its tiles one after the other, and the part that it leaves. A task of its own on any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...arrays import FloatArray, IntArray
from ...envs.core.types import ItemParams
from ...forecasters.storage import load_state, save_state
from ..data import StudyData
from ..statistics.sums import CostSums
from .history import BlockedHistory, cut_tiles
from .plan import BlockPlan
from .tile import FIGURES, TileSums, simulate_tile

SUMS, ITEMS, ITEM_COSTS = "sums", "items.parquet", "item_costs.parquet"
"""Files of a block's part: its sums, the parameters of its items, and what each costs under each policy."""
ITEM_COLUMNS = ("lead_time", "review_period", "holding_cost", "stockout_cost", "fixed_order_cost", "critical_ratio")
EACH = FIGURES[:8]
"""What is kept of each item under each policy, a period's mean."""
COUNTS = ("listed", "out_of_stock", "without_sales", "held_out", "held_out_of_stock")
"""Item-periods that are counted: in all, out of stock, without sales; held out, and out of stock among these."""


@dataclass(frozen=True, eq=False)
class BlockSums:
    """The sums of the tiles of a block, or of several blocks one after the other.

    Attributes:
        tiles: of each tile what adds up, without its items' own figures.
        figures: of each tile, shape (tiles, `FIGURES`, policies).
        counts: item-periods, shape (`COUNTS`,).
        seconds: CPU time by stage.
    """

    tiles: tuple[TileSums, ...]
    figures: FloatArray
    counts: IntArray
    seconds: Mapping[str, float]

    @classmethod
    def join(cls, parts: Sequence[BlockSums]) -> BlockSums:
        """Return the sums of blocks that follow each other; what adds up is added tile by tile, whatever the blocks."""
        seconds: dict[str, float] = {}
        for part in parts:
            for stage, spent in part.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + spent
        return cls(
            tuple(tile for part in parts for tile in part.tiles),
            np.concatenate([part.figures for part in parts]),
            np.sum([part.counts for part in parts], axis=0),
            seconds,
        )

    def save(self, folder: Path) -> None:
        """Write the sums into a folder."""
        first, tiles = self.tiles[0].costs, self.tiles
        arrays = {
            "items": np.concatenate([tile.costs.items for tile in tiles], axis=1),
            "alive": np.concatenate([tile.costs.alive for tile in tiles]),
            "sizes": np.array([tile.costs.items.shape[1] for tile in tiles]),
            "periods": np.stack([tile.costs.periods for tile in tiles]),
            "products": np.stack([tile.costs.products for tile in tiles]),
            "positive": np.array([tile.costs.positive for tile in tiles]),
            "figures": self.figures,
            "counts": self.counts,
        }
        for k, name in enumerate(first.names):
            arrays[f"periods {k}"] = np.stack([tile.periods[name] for tile in tiles])
            if name in tiles[0].histories:
                arrays[f"histories {k}"] = np.stack([tile.histories[name] for tile in tiles])
        save_state(folder, SUMS, {"names": first.names, "seconds": dict(self.seconds)}, arrays)

    @classmethod
    def load(cls, folder: Path) -> BlockSums:
        """Read the sums of a block from its folder."""
        record, arrays = load_state(folder, SUMS)
        names = tuple(record["names"])
        edges = np.concatenate([[0], np.cumsum(arrays["sizes"])])
        tiles = []
        for at in range(len(arrays["sizes"])):
            chosen = slice(edges[at], edges[at + 1])
            periods = {name: arrays[f"periods {k}"][at] for k, name in enumerate(names)}
            costs = CostSums(
                names,
                arrays["items"][:, chosen],
                arrays["periods"][at],
                arrays["products"][at],
                arrays["alive"][chosen],
                {name: cost.sum(1) for name, cost in periods.items()},
                bool(arrays["positive"][at]),
            )
            drawn = {name: arrays[f"histories {k}"][at] for k, name in enumerate(names) if f"histories {k}" in arrays}
            tiles.append(TileSums(costs, np.zeros((len(FIGURES), len(names), 0)), periods, drawn))
        return cls(tuple(tiles), arrays["figures"], arrays["counts"], record["seconds"])


def run_block(folder: Path, *, plan: str, history: Mapping[str, Any], first: int, end: int) -> None:
    """Forecast and simulate the items of a block, and write what is kept of them.

    Args:
        folder: where `SUMS`, `ITEMS` and `ITEM_COSTS` are written.
        plan: the folder of the study's `BlockPlan`.
        history: what `BlockedHistory.to_record` gave.
        first: position of the first item, a tile's first.
        end: the one after the last.
    """
    made, surveyed = BlockPlan.load(Path(plan)), BlockedHistory.from_record(history)
    began, cutoff = process_time(), made.windows[0].cutoff
    tiles, figures, counts = list[TileSums](), list[FloatArray](), np.zeros(len(COUNTS), dtype=np.int64)
    parameters, costs = list[pd.DataFrame](), list[pd.DataFrame]()
    seconds: dict[str, float] = {"reading": 0.0}
    for begin, stop in surveyed.chunks(first, end):
        data = surveyed.read(begin, stop)
        seconds["reading"] += process_time() - began
        for rows in cut_tiles(begin, stop, made.tile):
            each = select_items(data, rows - begin)
            found = simulate_tile(made, each, seconds)
            counts += _count(each, cutoff)
            figures.append(found.figures.sum(2))
            parameters.append(_parameters(each))
            costs.append(_item_costs(made, each, found))
            tiles.append(replace(found, figures=found.figures[:, :, :0]))
        began = process_time()
    write_frames(folder / ITEMS, parameters)
    write_frames(folder / ITEM_COSTS, costs)
    BlockSums(tuple(tiles), np.stack(figures), counts, seconds).save(folder)


def select_items(data: StudyData, rows: IntArray) -> StudyData:
    """Return the data of some items; what was on hand at the end is left out."""
    return StudyData(
        panel=data.panel.select(rows),
        params=data.params.select(rows),
        demand=data.demand[rows],
        items=None if data.items is None else data.items.iloc[rows],
        records={name: values[rows] for name, values in data.records.items()},
    )


def _count(data: StudyData, cutoff: int) -> IntArray:
    panel = data.panel
    held_out = panel.listed[:, cutoff:]
    out = panel.ran_out
    found = (panel.listed, out, panel.listed & (panel.sales == 0), held_out, out[:, cutoff:])
    return np.array([np.count_nonzero(cells) for cells in found], dtype=np.int64)


def _parameters(data: StudyData) -> pd.DataFrame:
    params: ItemParams = data.params
    columns = {name: np.broadcast_to(getattr(params, name), (data.panel.items,)) for name in ITEM_COLUMNS}
    return pd.DataFrame({"item_id": data.panel.item_ids, **columns})


def _item_costs(plan: BlockPlan, data: StudyData, found: TileSums) -> pd.DataFrame:
    """Return a row a policy and item, a period's means of `EACH`."""
    periods, items = found.costs.periods.shape[1], data.panel.items
    means = found.figures[: len(EACH)] / periods
    keys = {
        "policy": pd.Categorical.from_codes(np.repeat(np.arange(len(plan.names)), items), pd.Index(plan.names)),
        "item_id": np.tile(np.array(data.panel.item_ids, dtype=object), len(plan.names)),
    }
    return pd.DataFrame(keys | {name: means[k].reshape(-1) for k, name in enumerate(EACH)})


def write_frames(path: Path, frames: Sequence[pd.DataFrame]) -> None:
    """Write frames one after the other as a Parquet file, without what pandas adds to it."""
    table = pa.concat_tables([pa.Table.from_pandas(frame, preserve_index=False) for frame in frames])
    pq.write_table(table.replace_schema_metadata(None), path)
