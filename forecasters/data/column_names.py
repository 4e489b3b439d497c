"""The names that Nixtla's libraries give to the columns of a history."""

from __future__ import annotations

import pandas as pd

NIXTLA_NAMES = {"item_id": "unique_id", "date": "ds", "sales": "y"}
"""Our name of a column → theirs."""


def house_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with our names where it has theirs; `unique_id` may be its index."""
    if frame.index.name == "unique_id" and "unique_id" not in frame:
        frame = frame.reset_index()
    ours = {theirs: name for name, theirs in NIXTLA_NAMES.items() if theirs in frame and name not in frame}
    return frame.rename(columns=ours)
