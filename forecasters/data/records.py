"""What the user ordered and had on hand, period by period: records of decisions, never features of a forecaster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from .rules import ORDER_RECORDS


def order_records(
    frame: pd.DataFrame, item_ids: Sequence[str], dates: pd.DatetimeIndex, freq: str
) -> dict[str, FloatArray]:
    """Lay the columns `ordered` and `on_hand` of a history over the periods of its panel.

    Orders of a period are added up; stock is that of the period's last row.

    Args:
        frame: the checked rows: item_id, date, and the columns that are there.
        item_ids: of the panel.
        dates: the first day of each period.
        freq: pandas frequency of the periods.

    Returns:
        By column name, units, shape (items, periods): `ordered` is 0 where nothing is on record, `on_hand` NaN.
    """
    names = [name for name in ORDER_RECORDS if name in frame]
    if not names:
        return {}
    ends = dates.append(pd.date_range(dates[-1], periods=2, freq=freq)[1:])
    rows = frame.sort_values("date", kind="stable")
    period = ends.searchsorted(pd.DatetimeIndex(rows["date"]), side="right") - 1
    item = pd.Index(np.array(item_ids, dtype=object)).get_indexer(rows["item_id"])
    inside = (period >= 0) & (period < len(dates)) & (item >= 0)
    found = {}
    for name in names:
        values = rows[name].to_numpy(dtype=np.float64)[inside]
        at = item[inside], period[inside]
        table = np.full((len(item_ids), len(dates)), np.nan if name == "on_hand" else 0.0)
        if name == "on_hand":
            table[at] = values  # rows stand in the order of their dates: the last one stays
        else:
            np.add.at(table, at, values)
        found[name] = table
    return found


__all__ = ["order_records"]
