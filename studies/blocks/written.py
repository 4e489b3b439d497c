"""Blocks of items: cut, run as tasks, and their tables put together into one file, of any size in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...executor import Executor, Task, open_executor, run_tasks
from ...parts import Parts
from ...progress import Progress
from ..config import DataConfig
from ..folder import replace_file
from ..scale_section import ScaleConfig
from .history import TILE
from .layout import has_more_items

ITEMS_OF_A_BLOCK = 4_096
"""Items of a block, where nobody said how many blocks there are."""
ROWS_OF_A_GROUP = 1 << 17
"""Rows of a row group of what is written."""


def cut_blocks(items: int, blocks: int | None, tile: int = TILE) -> list[tuple[int, int]]:
    """Return the first position of each block and the one after its last: runs of whole tiles, as even as can be.

    Args:
        items: number of all items.
        blocks: how many; fewer where there are fewer tiles; None: so many that each holds `ITEMS_OF_A_BLOCK` or fewer.
        tile: items that are computed together.

    >>> cut_blocks(1000, 3)
    [(0, 256), (256, 512), (512, 1000)]
    """
    tiles = -(-items // tile)
    number = min(tiles, blocks or -(-items // ITEMS_OF_A_BLOCK))
    cuts = [tile * (tiles * k // number) for k in range(number)] + [items]
    return list(pairwise(cuts))


def in_blocks(scale: ScaleConfig, data: DataConfig) -> bool:
    """Return whether a history is computed in blocks of items.

    That is where their number or an engine was chosen, where it is a folder of Parquet files, and where there are more
    items than `scale.whole`.

    Args:
        scale: as configured.
        data: names the history.
    """
    if scale.blocks is not None or scale.engine is not None:
        return True
    if data.history is None:
        return False
    item_column = data.columns.get("item_id", "item_id")
    return data.history.is_dir() or has_more_items(data.history, item_column, scale.whole)


def open_workers(scale: ScaleConfig) -> closing[Executor]:
    """Return an executor that is closed at the end of its block, so that several stages start workers once.

    Args:
        scale: where tasks run.
    """
    return closing(open_executor(scale.engine, scale.workers, scale.address))


def run_blocks(
    kind: str,
    function: str,
    blocks: Sequence[tuple[int, int]],
    arguments: Mapping[str, Any],
    parts: Parts,
    executor: Executor,
    progress: Progress,
) -> list[Path]:
    """Run a task for each block, and return the folders of their parts in the order of the items.

    Args:
        kind: of the parts.
        function: "package.module:name", called as `function(folder, first=…, end=…, **arguments)`.
        blocks: as `cut_blocks` returns them.
        arguments: the same for all.
        parts: where parts are kept; blocks whose part is there are not run.
        executor: where tasks run.
        progress: receives how many are done.

    Raises:
        WorkError: where some failed at every attempt; the others are kept.
    """
    tasks = [Task((kind, first, end), function, {**arguments, "first": first, "end": end}) for first, end in blocks]
    run_tasks(executor, tasks, parts, progress=progress)
    return [parts.folder_of(task.key) for task in tasks]


@contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside a file that is to be written, for surveys and parts; it goes at the end."""
    out = Path(out).absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent / f".{out.name}.{uuid4().hex[:8]}.partial"
    folder.mkdir()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def write_joined(out: Path, parts: Sequence[Path], change: Callable[[pd.DataFrame], pd.DataFrame]) -> int:
    """Write the tables of blocks one after the other into a CSV or Parquet file, and return the number of rows.

    Args:
        out: the file.
        parts: Parquet files, in order.
        change: what is done to each row group of them.
    """
    rows = 0

    def frames() -> Iterator[pd.DataFrame]:
        nonlocal rows
        for path in parts:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    frame = change(file.read_row_group(group, use_threads=False).to_pandas())
                    rows += len(frame)
                    yield frame

    def write_csv(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            for at, frame in enumerate(frames()):
                frame.to_csv(file, index=False, lineterminator="\n", header=at == 0)

    def write_parquet(path: Path) -> None:
        writer: pq.ParquetWriter | None = None
        waiting: list[pa.Table] = []
        try:
            for frame in frames():
                table = pa.Table.from_pandas(frame, None if writer is None else writer.schema, preserve_index=False)
                writer = pq.ParquetWriter(path, table.schema) if writer is None else writer
                # Row groups of one size, so that the file does not depend on the blocks.
                whole = pa.concat_tables([*waiting, table])
                full = whole.num_rows - whole.num_rows % ROWS_OF_A_GROUP
                writer.write_table(whole.slice(0, full), ROWS_OF_A_GROUP) if full else None
                waiting = [whole.slice(full)]
            if writer is not None and waiting[0].num_rows:
                writer.write_table(waiting[0])
        finally:
            if writer is not None:
                writer.close()

    replace_file(Path(out), write_csv if Path(out).suffix == ".csv" else write_parquet)
    return rows
