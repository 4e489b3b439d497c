"""Which items a run is of: in its manifest, or beside it where there are very many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .folder import RunFolder
from .integrity import ITEM_IDS, read_table

MOST_IN_MANIFEST = 10_000
"""Ids that a manifest lists; more stand in a file of their own, for every command reads the whole manifest."""
SAMPLE = "models/sample.parquet"
"""File of the ids of the items that policies were tuned on, where these are a sample."""


def keep_item_ids(run: RunFolder, item_ids: Sequence[str]) -> list[str] | dict[str, str]:
    """Return what a manifest says of the ids of a run's items: all, or the file that they are written to."""
    if len(item_ids) <= MOST_IN_MANIFEST:
        return list(item_ids)
    run.write_frame(ITEM_IDS, pd.DataFrame({"item_id": pd.Series(item_ids, dtype=object)}))
    return {"file": ITEM_IDS}


def item_ids_of(run: Path, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the items of a kept run.

    Args:
        run: its folder.
        record: its manifest.
    """
    kept = record.get("data", {}).get("item_ids", ())
    return tuple(read_table(run, ITEM_IDS)["item_id"]) if isinstance(kept, dict) else tuple(kept)


def keep_sample(run: RunFolder, item_ids: Sequence[str]) -> None:
    """Write the ids of the items that policies were tuned on, in the order of their parameters."""
    run.write_frame(SAMPLE, pd.DataFrame({"item_id": pd.Series(item_ids, dtype=object)}))


def tuned_item_ids_of(run: Path, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the items that a run's policies were tuned on, in the order of their parameters.

    Args:
        run: its folder.
        record: its manifest.
    """
    if "blocks" in record:
        return tuple(read_table(run, SAMPLE)["item_id"])
    return item_ids_of(run, record)


def number_tuned(record: Mapping[str, Any]) -> int:
    """Return how many items a run's policies were tuned on, by its manifest."""
    return int(record["blocks"]["sample"] if "blocks" in record else record["data"]["items"])
