"""Items and state beside a history: rows that go together, and items that are in one table only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import Faults
from .read import Source
from .row_faults import MOST_LISTED, listing
from .spreadsheets import find_broken_letters

FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that spreadsheets read as a formula."""


@dataclass(frozen=True)
class Rows:
    """Which rows the tables of items and of the state may have and must have.

    Attributes:
        leave_out: leave rows out whose item the history lacks; such a row is a fault otherwise.
        on_hand: units on hand of items that the state lacks, with nothing under way; such an item is a fault where
            None.
        uncounted: what to do about an item that the state lacks, for the fault.
    """

    leave_out: bool = False
    on_hand: float | None = None
    uncounted: str = "add a row to the state or remove the item from the history"


class Matched(NamedTuple):
    """Items and state that go with a history.

    Attributes:
        items: as `read_items` returns it, or None.
        state: as `read_state` returns it, or None.
        left_out: ids that they had and the history does not, where `Rows` leave them out.
        not_counted: ids that the state lacked, and has with `Rows.on_hand` now.
    """

    items: pd.DataFrame | None
    state: pd.DataFrame | None
    left_out: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = ()


def cross_check(
    history_ids: Collection[str],
    items_ids: Collection[str] | None = None,
    state_ids: Collection[str] | None = None,
    *,
    uncounted: str = Rows.uncounted,
) -> tuple[str, ...]:
    """Return one message for each pair of tables in which an item is in one only.

    Args:
        history_ids: every item of the history; repeats do no harm, here and below.
        items_ids: every item of the items file, None where there is none.
        state_ids: every item of the state file, None where there is none.
        uncounted: as in `Rows`.
    """
    messages = []
    for name, ids in (("items", items_ids), ("state", state_ids)):
        if ids is not None:
            remedy = uncounted if name == "state" else "add a row to the items or remove the item from the history"
            messages += _one_sided("history", history_ids, name, ids, remedy)
            remedy = f"add a row to the history or remove the item from the {name}"
            messages += _one_sided(name, ids, "history", history_ids, remedy)
    return tuple(messages)


def in_order(frame: pd.DataFrame, item_ids: Sequence[str]) -> pd.DataFrame:
    """Return the rows of these items in this order; an item without a row is left out."""
    single = frame.drop_duplicates("item_id")
    place = _index(single["item_id"]).get_indexer(_index(item_ids))
    return single.iloc[place[place >= 0]].reset_index(drop=True)


def match_rows(
    history: pd.DataFrame | None,
    items: pd.DataFrame | None,
    state: pd.DataFrame | None,
    rows: Rows,
    faults: Faults,
    files: Mapping[str, Source | None] | None = None,
) -> Matched:
    """Return items and state with the rows that go with a history.

    Ids that were escaped for a spreadsheet are taken for the history's: see `unescape_ids`.

    Args:
        history: as `read_history` returns it; None where it could not be read.
        items: as `read_items` returns it, or None.
        state: as `read_state` returns it, or None.
        rows: what the two may have and must have.
        faults: takes a message for each pair of tables in which an item is in one only.
        files: what "items" and "state" were read from; messages begin with the path.
    """
    if history is None:
        return Matched(items, state)
    there = list(dict.fromkeys(history["item_id"]))
    paths = {name: str(source) for name, source in (files or {}).items() if isinstance(source, str | Path)}
    given = {
        name: unescape_ids(frame, there) for name, frame in (("items", items), ("state", state)) if frame is not None
    }
    for name, frame in given.items():
        given[name] = _mend_letters(frame, there, paths.get(name, name), faults)
    left_out: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = ()
    if rows.leave_out:
        ids = [frame["item_id"] for frame in given.values()]
        left_out = tuple(dict.fromkeys(name for column in ids for name in column[~column.isin(there)]))
        given = {name: frame[frame["item_id"].isin(there)] for name, frame in given.items()}
    if rows.on_hand is not None:
        known = set(given["state"]["item_id"]) if "state" in given else set()
        not_counted = tuple(name for name in there if name not in known)
        given["state"] = fill_state(given.get("state"), there, rows.on_hand)
    for name, frame in given.items():
        begin = f"{paths[name]}: " if name in paths else ""
        for message in cross_check(there, **{f"{name}_ids": frame["item_id"]}, uncounted=rows.uncounted):
            faults.add(begin + message)
    return Matched(given.get("items"), given.get("state"), left_out, not_counted)


def _mend_letters(frame: pd.DataFrame, known: Collection[str], name: str, faults: Faults) -> pd.DataFrame:
    """Return a frame with ids as the history has them, and a fault for those whose letters beyond ASCII are broken."""
    broken = find_broken_letters(known, frame["item_id"])
    if broken:
        shown = ", ".join(f"{bad!r} for {good!r}" for bad, good in list(broken.items())[:MOST_LISTED])
        more = f" and {len(broken) - MOST_LISTED:,} more" if len(broken) > MOST_LISTED else ""
        faults.add(
            f"{name}: has ids with broken letters ({shown}{more}): a file in UTF-8 was opened as one in another "
            "encoding, and saved; take the original, import it into the spreadsheet as UTF-8, and save it as .xlsx"
        )
    return frame.assign(item_id=frame["item_id"].replace(broken)) if broken else frame


def fill_state(state: pd.DataFrame | None, item_ids: Collection[str], on_hand: float) -> pd.DataFrame:
    """Return a state with a row for every item: so many units on hand, and nothing under way, where it had none.

    Args:
        state: as `read_state` returns it; None where no item has a row.
        item_ids: the items.
        on_hand: units.
    """
    columns = ["item_id", "on_hand", "backorders"] if state is None else list(state.columns)
    known = set() if state is None else set(state["item_id"])
    absent = [name for name in item_ids if name not in known]
    units = {name: np.full(len(absent), on_hand if name == "on_hand" else 0.0) for name in columns[1:]}
    if "date" in units:  # nobody counted them
        units["date"] = np.full(len(absent), np.datetime64("NaT", "ns"))
    rows = pd.DataFrame({"item_id": np.array(absent, dtype=object), **units})[columns]
    return rows if state is None else pd.concat([state, rows], ignore_index=True) if absent else state


def escape_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose ids a spreadsheet does not take for formulas: a ' stands in front of those that it would."""
    ids = frame["item_id"].astype(str)
    return frame.assign(item_id=ids.where(~ids.str.startswith(FORMULA_MARKS), "'" + ids))


def unescape_ids(frame: pd.DataFrame, known: Collection[str]) -> pd.DataFrame:
    """Return a frame with ids as the history has them, where they were escaped for a spreadsheet.

    Args:
        frame: with a column item_id.
        known: ids of the history; an id that is one of them stays.
    """
    ids = frame["item_id"].astype(str)
    bare = ids.str[1:]
    escaped = ids.str.startswith("'") & bare.str.startswith(FORMULA_MARKS) & ~ids.isin(known) & bare.isin(known)
    return frame.assign(item_id=ids.where(~escaped, bare)) if escaped.any() else frame


def _one_sided(here: str, ids: Collection[str], there: str, others: Collection[str], remedy: str) -> list[str]:
    absent = list(_index(ids).unique().difference(_index(others), sort=False))
    if not absent or absent == [""]:
        return []
    word = "item is" if len(absent) == 1 else "items are"
    return [f"{len(absent):,} {word} in the {here} but not in the {there}: {listing(absent)}; {remedy}"]


def _index(ids: Collection[str]) -> pd.Index[str]:
    index: pd.Index[str] = pd.Index(np.array(list(ids), dtype=object))
    return index
