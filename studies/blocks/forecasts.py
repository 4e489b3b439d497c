"""Quantile forecasts in blocks of items: what `kept_runs.forecast_file` gives, for a history of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.storage import load_forecaster, save_forecaster
from ...parts import Parts
from ...progress import Progress, no_progress, portion
from ..backtest import new_forecaster
from ..config import StudyConfig
from .history import TILE, BlockedHistory, cut_tiles
from .written import cut_blocks, open_workers, run_blocks, working_folder, write_joined

FORECASTS = "forecasts.parquet"
"""File of a block's part."""


@dataclass(frozen=True)
class BlockForecasts:
    """What is to be said of forecasts that were written block by block.

    Attributes:
        rows: number of quantiles.
        notes: what a reader should know, a sentence each.
    """

    rows: int
    notes: tuple[str, ...]


def forecast_in_blocks(
    config: StudyConfig,
    horizon: int,
    levels: list[float] | None,
    out: Path,
    *,
    tile: int = TILE,
    progress: Progress = no_progress,
) -> BlockForecasts:
    """Write quantile forecasts of every item beyond the history's end, a long frame.

    The forecaster is fitted on a sample of `scale.sample` items where there are more; one that fits each item by itself
    fits the other items when it forecasts them. Forecasts are the same whatever the number of blocks and the engine.

    Args:
        config: data, forecaster and scale.
        horizon: periods ahead.
        levels: quantile levels; `DEFAULT_LEVELS` where None.
        out: CSV or Parquet to write.
        tile: items that are computed together.
        progress: receives what is being done.
    """
    scale, name = config.scale, config.forecast.forecaster
    wanted = sorted(set(levels or DEFAULT_LEVELS))
    with working_folder(out) as work:
        surveyed = BlockedHistory.survey(config.data, config.defaults, work / "survey", portion(progress, 0.0, 0.3))
        sample = surveyed.sample(scale.sample, config.seed)
        progress(f"fitting {name}", 0.3)
        forecaster = new_forecaster(name, config.forecast.options.get(name, {}), horizon, config.seed)
        save_forecaster(forecaster.fit(surveyed.slice(sample).panel), work / "models")
        arguments = {
            "models": str(work / "models"),
            "history": surveyed.to_record(),
            "horizon": horizon,
            "levels": wanted,
            "tile": tile,
        }
        blocks = cut_blocks(surveyed.items, scale.blocks, tile)
        parts, rest = Parts(work / "parts"), portion(progress, 0.4, 1.0)
        with open_workers(scale) as executor:
            folders = run_blocks("forecasts", f"{__name__}:forecast_block", blocks, arguments, parts, executor, rest)
        progress("writing")
        rows = write_joined(out, [folder / FORECASTS for folder in folders], lambda table: table)
    notes = surveyed.whole.notes
    if len(sample) < surveyed.items:
        said = f"{name} is fitted on {len(sample):,} of {surveyed.items:,} items, drawn at random (scale.sample)"
        notes = (said, *notes)
    return BlockForecasts(rows, notes)


def forecast_block(
    folder: Path,
    *,
    models: str,
    history: Mapping[str, Any],
    horizon: int,
    levels: list[float],
    tile: int,
    first: int,
    end: int,
) -> None:
    """Write the forecasts of a block of items, tile by tile.

    Args:
        folder: where `FORECASTS` is written.
        models: folder of the fitted forecaster.
        history: what `BlockedHistory.to_record` gave.
        horizon: periods ahead.
        levels: quantile levels.
        tile: items that are computed together.
        first: position of the first item, a tile's first.
        end: the one after the last.
    """
    surveyed, forecaster = BlockedHistory.from_record(history), load_forecaster(Path(models))
    # The usual levels are always forecast, so that no value depends on which others are printed.
    predicted = sorted({*levels, *DEFAULT_LEVELS})
    writer: pq.ParquetWriter | None = None
    for begin, stop in surveyed.chunks(first, end):
        panel = surveyed.slice(np.arange(begin, stop)).panel
        for rows in cut_tiles(0, panel.items, tile):
            frame = forecaster.predict(panel.select(rows), horizon, predicted).to_frame(dependence=True)
            frame = frame[frame["level"].isin(levels)]
            table = pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=False)
            writer = pq.ParquetWriter(folder / FORECASTS, table.schema) if writer is None else writer
            writer.write_table(table)
    if writer is not None:
        writer.close()
