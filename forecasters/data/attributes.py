"""Columns of a history that are no sales: covariates, and attributes of items; and what a file needs to be one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import BoolArray
from ...errors import Faults, did_you_mean
from .read import Source
from .resample import CORE_COLUMNS
from .row_faults import listing
from .rules import DISCONTINUED
from .tables import KNOWN_AHEAD


def name_import(history: Source, faults: Faults, columns: Mapping[str, str] | None, missing: str) -> None:
    """Add to the latest fault of a file the command that imports it, where one does.

    Args:
        history: what was to be read; nothing is added for a frame.
        faults: with one fault at least.
        columns: our names to the file's.
        missing: what a missing row means; "error" where the caller did not say.
    """
    if not isinstance(history, pd.DataFrame):
        from ..importing.remedy import import_command

        said = None if missing == "error" else missing
        faults.messages[-1] += import_command(history, columns, said)


def name_covariates(
    frame: pd.DataFrame, name: str, faults: Faults, known: Collection[str] | None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of a history's covariates, and of those that are known ahead.

    Args:
        frame: its rows.
        name: what messages call it.
        faults: takes names in `known` that are no covariates.
        known: as in `load_panel`.
    """
    covariates = [str(column) for column in frame.columns if column not in CORE_COLUMNS]
    for column in () if known is None else known:
        if column not in covariates:
            hint = did_you_mean(column, covariates)
            faults.add(f"{name}: known names {column!r}, which is no covariate of the history{hint}")
    return covariates, tuple(column for column in (KNOWN_AHEAD if known is None else known) if column in covariates)


def take_attributes(
    sales: pd.DataFrame, known: Collection[str], notes: list[str], names: Collection[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a history without the columns of words that are the same in all rows of each item, and these by item.

    Args:
        sales: as `read_history` gives it.
        known: covariates that the caller names: they stay.
        notes: what was taken is added.
        names: of these columns, in the larger history of which this is a slice; None: it is all there is.
    """
    if names is None:
        names = [name for name in word_columns(sales, known) if is_attribute(sales["item_id"], sales[name])]
    fixed = {name: by_item(sales["item_id"], sales[name]) for name in names}
    if not fixed:
        return sales, pd.DataFrame()
    notes.append(f"columns that are constant within each item are its attributes: {listing(list(fixed))}")
    return sales.drop(columns=list(fixed)), pd.DataFrame(fixed)


def word_columns(sales: pd.DataFrame, known: Collection[str]) -> list[str]:
    """Return the columns of a history that may hold attributes: words that are not named as known ahead."""
    return [
        str(name)
        for name in sales.columns.difference([*CORE_COLUMNS, *KNOWN_AHEAD, *known], sort=False)
        if sales[name].dtype == np.dtype(object) or isinstance(sales[name].dtype, pd.CategoricalDtype)
    ]


def is_attribute(item: pd.Series[Any], column: pd.Series[Any]) -> bool:
    """Return whether a column holds texts alone, in any row at all, and the same in all rows of each item."""
    pairs = _pairs(item, column)
    words = pairs.iloc[:, 1]
    return len(pairs) > 0 and not pairs["item_id"].duplicated().any() and all(isinstance(word, str) for word in words)


def by_item(item: pd.Series[Any], column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the values of an attribute, indexed by the items that have one."""
    return _pairs(item, column).set_index("item_id").iloc[:, 0].astype(object)


def _pairs(item: pd.Series[Any], column: pd.Series[Any]) -> pd.DataFrame:
    there = column.notna()
    return pd.DataFrame({"item_id": item[there], "word": column[there]}).drop_duplicates()


def join_attributes(
    static: pd.DataFrame, fixed: pd.DataFrame, item_ids: Sequence[str], notes: list[str]
) -> pd.DataFrame:
    """Return what is known of the items, with the attributes that stand in the history; those of the items file win.

    Args:
        static: what the items file knows, a row an item; empty where there is none.
        fixed: from `take_attributes`.
        item_ids: of the panel.
        notes: what was left out is added.
    """
    if fixed.empty:
        return static
    both = [str(name) for name in fixed if name in static]
    note_both(both, notes)
    rows = fixed.drop(columns=both).reindex(list(item_ids)).rename_axis("item_id")
    return rows if static.empty else static.join(rows)


def note_both(both: Sequence[str], notes: list[str]) -> None:
    """Add a note on attributes that stand in both files, if there are any."""
    if both:
        notes.append(f"attributes that stand in both files are taken from the items: {listing(both)}")


def item_table(
    items: pd.DataFrame | None, item_ids: Sequence[str], dates: pd.DatetimeIndex, listed: BoolArray | None
) -> pd.DataFrame:
    """Return what is known of the items; dates from which they are no longer sold are, where the history tells.

    Args:
        items: the items file, a row an item in the order of `item_ids`; None where there is none.
        item_ids: of the panel.
        dates: of its periods.
        listed: whether items were on sale, shape (items, periods); None where the history does not say.
    """
    static = pd.DataFrame() if items is None else items.set_index("item_id")
    if listed is None:
        return static
    static = pd.DataFrame(index=pd.Index(item_ids, name="item_id")) if items is None else static
    # The first date after the last period on sale; an item that was never on sale has the panel's first.
    after = len(dates) - listed[:, ::-1].argmax(axis=1)
    after = np.where(listed.any(axis=1), after, 0)
    ended = pd.Series(dates.append(pd.DatetimeIndex([pd.NaT])).to_numpy()[after], index=static.index)
    given = static.get(DISCONTINUED, ended)
    return static.assign(**{DISCONTINUED: given.where(given.notna(), ended)})
