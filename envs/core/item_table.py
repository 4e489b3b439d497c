"""The parameters of items from a table, a row each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...forecasters.data.rules import ITEM_RULES
from .params import ItemParams

_IN_THE_MARGIN = ("price", "unit_cost")
"""Columns that a table of items sets through the stock-out cost, their difference."""


def params_from_items(items: Any, defaults: dict[str, Any] | None = None) -> ItemParams:
    """Return the parameters of a table of items, a row each.

    Args:
        items: a frame; the columns of `rules.ITEM_RULES` count. Where `stockout_cost` is missing, it is
            the lost margin, `price − unit_cost`.
        defaults: fields for columns, or single entries, that the table lacks.

    Raises:
        FractileError: with every field that breaks its rule.
    """
    table = items.copy()
    if {"price", "unit_cost"} <= set(table.columns):
        margin = table["price"] - table["unit_cost"]
        table["stockout_cost"] = table["stockout_cost"].fillna(margin) if "stockout_cost" in table else margin
    values = dict(defaults or {})
    for name in ITEM_RULES:
        # The margin is in the stock-out cost: price and purchase are not charged a second time.
        if name in table.columns and name not in _IN_THE_MARGIN:
            values[name] = _column(table[name], values.get(name))
    return ItemParams(**values)


def _column(column: Any, default: Any) -> Any:
    """An array, or None where the column says nothing; entries that are missing mean the default."""
    if column.isna().all():
        return default
    # A limit that an item does not have is one that never binds.
    unlimited = {"maximum_order": np.inf, "minimum_order": 0.0, "shelf_life": np.inf}.get(str(column.name))
    filled = column.fillna(unlimited if default is None else default) if column.isna().any() else column
    return filled.to_numpy(dtype="float64")
