"""From tables to a checked `SalesPanel`.

What a missing row means: before an item's first row the item did not exist yet (not listed). After it, up
to the panel's end, a missing row is a fault, unless the caller says `missing="zero"` (nothing was sold, the
item was in stock) or `"unknown"` (the item could not be bought, so sales say nothing).

Where the data is finer than the panel (days into weeks), sales are added up, and a period is in stock where
every day of it is. Days on which no item at all has a row count as closed, not as missing. Under
`"unknown"` a period with any missing day is out of stock: its sales are a lower bound of its demand. So is
the period in which an item starts later than the period does, except under `"zero"`. Partial periods at
either end of the panel are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ...arrays import BoolArray, IntArray
from ...errors import Faults, FractileError, did_you_mean
from .columns import listing
from .covariates import Cells, covariate_arrays, split_known
from .files import Source
from .panel import (
    SalesPanel,
)
from .resample import (
    Calendar,
    make_calendar,
)
from .tables import KNOWN_AHEAD, collect_history, collect_items, collect_state, cross_check, in_order

Missing = Literal["error", "zero", "unknown"]

_CORE = ["item_id", "date", "sales", "in_stock"]
_ABSURD_UNITS = 10_000
_ABSURD_RATIO = 100


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that a user gave, checked together.

    Attributes:
        panel: the sales history.
        items: a row an item in the panel's order, columns as `read_items` gives them, or None.
        state: the same for `read_state`.
    """

    panel: SalesPanel
    items: pd.DataFrame | None = None
    state: pd.DataFrame | None = None


def load_panel(
    history: Source,
    items: Source | None = None,
    freq: str | None = None,
    *,
    missing: Missing = "error",
    columns: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
    check: bool = True,
) -> SalesPanel:
    """Load a sales panel from a CSV or Parquet file, or from a frame.

    Args:
        history: columns item_id, date, sales (units >= 0); optional in_stock; any other column is a
            covariate.
        items: column item_id and any others; all of them become `panel.static`.
        freq: pandas frequency of the panel, named by the first day of a period: "W-MON" is weeks that start
            on Monday. Finer data is added up to it; None takes the data's own.
        missing: what a row missing after an item's first one means: "error", "zero" or "unknown".
        columns: our names to the file's, e.g. `{"item_id": "StockCode", "sales": "units"}`.
        known: covariates known ahead; None takes those of price, promotion and holiday that are there. All
            others are observed only.
        check: whether to note what is no fault but odd: absurd sales, items never sold.

    Raises:
        InputError: with one message a fault, all faults of both tables together.
    """
    given = load_inputs(history, items, freq=freq, missing=missing, columns=columns, known=known, check=check)
    return given.panel


def load_inputs(
    history: Source,
    items: Source | None = None,
    state: Source | None = None,
    *,
    freq: str | None = None,
    missing: Missing = "error",
    columns: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
    check: bool = True,
) -> Inputs:
    """Load history, items and state, and report the faults of all three together.

    Args:
        history: as in `load_panel`, like the other options.
        items: as in `load_panel`.
        state: columns item_id, on_hand, arriving_1 ... arriving_n, optional backorders (units).
        freq: as in `load_panel`.
        missing: as in `load_panel`.
        columns: as in `load_panel`.
        known: as in `load_panel`.
        check: as in `load_panel`.

    Raises:
        InputError: with one message a fault.
    """
    if missing not in get_args(Missing):
        raise FractileError(f"missing must be 'error', 'zero' or 'unknown', got {missing!r}")
    faults = Faults()
    sales = collect_history(history, faults, columns)
    sound = not faults.messages
    about = None if items is None else collect_items(items, faults)
    held = None if state is None else collect_state(state, faults)
    _cross(faults, sales, about, held)
    name = "history" if isinstance(history, pd.DataFrame) else str(history)
    panel = _collect_panel(sales, name, faults, freq, missing, known) if sound and sales is not None else None
    faults.raise_if_any()
    if panel is None:
        raise FractileError(f"{name}: no panel could be built")
    notes = (*panel.notes, *(_oddities(panel) if check else ()))
    about = None if about is None else in_order(about, panel.item_ids)
    held = None if held is None else in_order(held, panel.item_ids)
    static = pd.DataFrame() if about is None else about.set_index("item_id")
    return Inputs(replace(panel, static=static, notes=notes), about, held)


def _cross(faults: Faults, sales: pd.DataFrame | None, about: pd.DataFrame | None, held: pd.DataFrame | None) -> None:
    if sales is None:
        return
    items_ids = None if about is None else about["item_id"]
    state_ids = None if held is None else held["item_id"]
    for message in cross_check(sales["item_id"], items_ids, state_ids):
        faults.add(message)


def _collect_panel(
    frame: pd.DataFrame,
    name: str,
    faults: Faults,
    freq: str | None,
    missing: Missing,
    known: Collection[str] | None,
) -> SalesPanel | None:
    """Build the panel of a sound history, or add to `faults` why there is none."""
    ahead = _known_names(frame, name, faults, known)
    try:
        calendar = make_calendar(pd.DatetimeIndex(frame["date"]), freq)
    except FractileError as error:
        faults.add(f"{name}: {error}")
        return None
    rows = _placed(frame, calendar)
    if missing == "error" and _report_gaps(rows, calendar, name, faults):
        return None
    return _build(rows, calendar, missing, ahead)


def _known_names(frame: pd.DataFrame, name: str, faults: Faults, known: Collection[str] | None) -> tuple[str, ...]:
    covariates = [str(column) for column in frame.columns if column not in _CORE]
    if known is None:
        return tuple(column for column in KNOWN_AHEAD if column in covariates)
    for column in known:
        if column not in covariates:
            hint = did_you_mean(column, covariates)
            faults.add(f"{name}: known names {column!r}, which is no covariate of the history{hint}")
    return tuple(column for column in known if column in covariates)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a history inside the calendar, sorted by date.

    Attributes:
        frame: the rows.
        item_ids: the items on record inside the calendar, in the order of their first row in the file.
        item: position of each row's item, shape (rows,).
        slot: position of each row's slot, shape (rows,).
        first_slot: the slot in which each item starts, 0 for one from before the calendar, shape (items,).
        dropped: items whose every row lies behind the calendar's end.
    """

    frame: pd.DataFrame
    item_ids: tuple[str, ...]
    item: IntArray
    slot: IntArray
    first_slot: IntArray
    dropped: tuple[str, ...]

    @property
    def items(self) -> int:
        return len(self.item_ids)


def _placed(frame: pd.DataFrame, calendar: Calendar) -> _Rows:
    codes, names = pd.factorize(frame["item_id"])
    first = pd.Series(frame["date"].to_numpy()).groupby(codes).min()
    first_slot = calendar.slots.searchsorted(pd.DatetimeIndex(first))
    kept = first_slot < len(calendar.slots)
    slot = calendar.slots.get_indexer(pd.DatetimeIndex(frame["date"]))
    inside = np.flatnonzero((slot >= 0) & kept[codes])
    inside = inside[np.argsort(slot[inside], kind="stable")]
    renumbered = np.cumsum(kept) - 1
    return _Rows(
        frame=frame.iloc[inside],
        item_ids=tuple(names[kept]),
        item=renumbered[codes[inside]],
        slot=slot[inside],
        first_slot=first_slot[kept],
        dropped=tuple(names[~kept]),
    )


def _gaps(rows: _Rows, calendar: Calendar) -> BoolArray:
    """True where an item that exists already has no row, shape (items, slots)."""
    gaps = np.arange(len(calendar.slots)) >= rows.first_slot[:, None]
    gaps[rows.item, rows.slot] = False
    return gaps


def _report_gaps(rows: _Rows, calendar: Calendar, name: str, faults: Faults) -> bool:
    gaps = _gaps(rows, calendar)
    counts = gaps.sum(axis=1)
    bad = np.flatnonzero(counts)
    if not len(bad):
        return False
    first = calendar.slots[gaps[bad[:3]].argmax(axis=1)]
    shown = ", ".join(
        f"item {rows.item_ids[at]!r} from {day.date()} on ({counts[at]:,})"
        for at, day in zip(bad[:3], first, strict=True)
    )
    more = f" and {len(bad) - 3:,} more items" if len(bad) > 3 else ""
    what = f"{counts.sum():,} rows are missing after the items' first ones: {shown}{more}"
    remedy = 'add them, or set missing to "zero" (nothing was sold) or "unknown" (it could not be bought)'
    faults.add(f"{name}: {what}; {remedy}")
    return True


def _build(rows: _Rows, calendar: Calendar, missing: Missing, known: tuple[str, ...]) -> SalesPanel:
    shape = (rows.items, len(calendar.dates))
    period = calendar.period_of_slot
    cells = Cells(rows.item * shape[1] + period[rows.slot], shape, rows.frame["sales"].to_numpy())
    out = cells.total(1.0 - rows.frame["in_stock"].to_numpy(dtype=np.float64)) > 0
    gaps = _gaps(rows, calendar)
    if missing == "unknown":
        out |= np.logical_or.reduceat(gaps, np.flatnonzero(calendar.opens), axis=1)
    if missing != "zero":
        late = np.flatnonzero(~calendar.opens[rows.first_slot])
        out[late, period[rows.first_slot[late]]] = True
    arrays, notes = covariate_arrays(rows.frame.drop(columns=_CORE), cells)
    ahead, observed = split_known(arrays, known)
    return SalesPanel(
        sales=cells.total(cells.sales),
        in_stock=~out,
        listed=np.arange(shape[1]) >= period[rows.first_slot][:, None],
        dates=calendar.dates,
        item_ids=rows.item_ids,
        freq=calendar.freq,
        known=ahead,
        observed=observed,
        notes=(*calendar.notes, *_row_notes(rows, int(gaps.sum()), missing, bool(arrays)), *notes),
    )


def _row_notes(rows: _Rows, gaps: int, missing: Missing, covariates: bool) -> list[str]:
    notes = []
    if gaps:
        meaning = "as no sales" if missing == "zero" else "as not in stock"
        carried = "; their covariates were carried forward" if covariates else ""
        notes.append(f"{gaps:,} missing rows were taken {meaning}{carried}")
    if rows.dropped:
        notes.append(f"items with rows in the dropped last period only were left out: {listing(rows.dropped)}")
    return notes


def _oddities(panel: SalesPanel) -> list[str]:
    """Return what is no fault but looks like one: absurd sales, items never sold."""
    notes = []
    sold = panel.sales > 0
    never = [panel.item_ids[at] for at in np.flatnonzero(~sold.any(axis=1))]
    if never:
        notes.append(f"never sold: {listing(never)}")
    suspects = np.flatnonzero(panel.sales.max(axis=1) > _ABSURD_UNITS)
    for at in suspects:
        typical = float(np.median(panel.sales[at][sold[at]]))
        peak = int(panel.sales[at].argmax())
        if panel.sales[at, peak] > _ABSURD_RATIO * typical:
            amount = f"{panel.sales[at, peak]:,.0f} units on {panel.dates[peak].date()}"
            notes.append(f"absurd sale? item {panel.item_ids[at]!r}: {amount}, {typical:g} in a typical period")
    return notes
