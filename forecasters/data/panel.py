"""Sales history of many items on one calendar, as arrays, and how it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import Faults, FractileError, did_you_mean
from .calendar import Calendar, make_calendar
from .read import Source, listing
from .resample import (
    CORE_COLUMNS,
    Cells,
    HistoryRows,
    Missing,
    covariate_arrays,
    find_gaps,
    place_rows,
    report_gaps,
    row_notes,
    split_known,
)
from .rules import ITEM_RULES
from .tables import (
    KNOWN_AHEAD,
    NIXTLA_NAMES,
    collect_history,
    collect_items,
    collect_state,
    cross_check,
    house_names,
    in_order,
)

_ABSURD_UNITS = 10_000
_ABSURD_RATIO = 100


@dataclass(frozen=True, eq=False)
class SalesPanel:
    """What was sold, when, and whether it could be bought.

    Attributes:
        sales: units per period, shape (items, periods); 0 where the item was not listed.
        in_stock: False where the item could not be bought, so that sales say nothing about demand.
        listed: False before an item's first row: it did not exist yet.
        dates: the first day of each period, shape (periods,).
        item_ids: one text an item, kept as written.
        freq: pandas frequency of the periods, e.g. "W-MON" or "D".
        known: covariates known ahead (price, promotion, calendar) by name, each (items, periods).
        observed: covariates known only once their period is over, by name, each (items, periods).
        static: what is known of the items, a row each, indexed by item_id: attributes, and their parameters.
        notes: what loading did that a reader should know, e.g. partial weeks that were dropped.
    """

    sales: FloatArray
    in_stock: BoolArray
    listed: BoolArray
    dates: pd.DatetimeIndex
    item_ids: tuple[str, ...]
    freq: str
    known: Mapping[str, FloatArray] = field(default_factory=dict)
    observed: Mapping[str, FloatArray] = field(default_factory=dict)
    static: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.item_ids), len(self.dates))
        arrays = {"sales": self.sales, "in_stock": self.in_stock, "listed": self.listed}
        for name, array in {**arrays, **self.known, **self.observed}.items():
            if array.shape != shape:
                raise FractileError(f"{name} must have the shape (items, periods) = {shape}, got {array.shape}")

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        items: pd.DataFrame | None = None,
        known: Collection[str] | None = (),
        freq: str | None = None,
        *,
        missing: Missing = "error",
        columns: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> SalesPanel:
        """Build a panel from a long frame, checked as `load_panel` checks a file.

        Args:
            df: a row an item and date: item_id, date, sales (units >= 0), optional in_stock, covariates.
            items: a row an item: item_id and anything static.
            known: covariates known ahead; all others are observed only. None takes those of price, promotion
                and holiday that are there.
            freq: pandas frequency of the periods; None takes the dates' own.
            missing: what a row missing after an item's first one means: "error", "zero" or "unknown".
            columns: our names to the frame's, e.g. `{"sales": "units"}`.
            check: whether to note what is no fault but odd.

        Raises:
            InputError: with one message a fault.

        >>> dates = pd.date_range("2024-01-01", periods=3, freq="W-MON")
        >>> frame = pd.DataFrame({"item_id": "tea", "date": dates, "sales": [2, 0, 1]})
        >>> SalesPanel.from_frame(frame).sales
        array([[2., 0., 1.]])
        """
        return load_panel(df, items, freq, missing=missing, columns=columns, known=known, check=check)

    @classmethod
    def from_nixtla(
        cls,
        df: pd.DataFrame,
        static: pd.DataFrame | None = None,
        known: Collection[str] | None = (),
        freq: str | None = None,
        *,
        missing: Missing = "error",
        check: bool = True,
    ) -> SalesPanel:
        """Build a panel from the frames that Nixtla's libraries take.

        Args:
            df: `unique_id` (a column or the index), `ds`, `y`, optional `in_stock`, exogenous columns.
            static: a row an item, `unique_id` and attributes: neuralforecast's `static_df`.
            known: exogenous columns known ahead (neuralforecast's `futr_exog_list`); the others are observed only.
            freq: as in `from_frame`.
            missing: as in `from_frame`.
            check: as in `from_frame`.

        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> SalesPanel.from_nixtla(pd.DataFrame({"unique_id": "tea", "ds": days, "y": [2, 0, 1]})).sales
        array([[2., 0., 1.]])
        """
        items = None if static is None else house_names(static)
        return cls.from_frame(house_names(df), items, known, freq, missing=missing, check=check)

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def periods(self) -> int:
        """Number of periods."""
        return len(self.dates)

    @property
    def attributes(self) -> pd.DataFrame:
        """What forecasters may learn from in `static`: all but the parameters of `rules.ITEM_RULES`.

        A forecast must not depend on lead times, costs and order rules: the same demand is forecast alike, whatever
        it costs to miss it.
        """
        return self.static.drop(columns=[name for name in self.static.columns if name in ITEM_RULES])

    @property
    def informative(self) -> BoolArray:
        """True where sales are demand: the item was listed and in stock."""
        return self.in_stock & self.listed

    @property
    def integer_demand(self) -> bool:
        """Whether every sale is a whole number of units."""
        return bool(np.all(self.sales == np.floor(self.sales)))

    def until(self, period: int) -> SalesPanel:
        """Return what was on record before `period` began: the first `period` periods."""
        return self._periods(slice(0, period))

    def window(self, first: int, last: int) -> SalesPanel:
        """Return periods first ... last - 1."""
        return self._periods(slice(first, last))

    def select(self, items: Sequence[int] | NDArray[np.int64]) -> SalesPanel:
        """Return the items at these positions, in this order; a position may stand more than once."""
        rows = np.asarray(items, dtype=np.int64)
        return replace(
            self,
            sales=self.sales[rows],
            in_stock=self.in_stock[rows],
            listed=self.listed[rows],
            item_ids=tuple(self.item_ids[i] for i in rows),
            known={k: v[rows] for k, v in self.known.items()},
            observed={k: v[rows] for k, v in self.observed.items()},
            static=self.static.iloc[rows] if len(self.static) else self.static,
        )

    def extended(self, sales: FloatArray, known: Mapping[str, FloatArray] | None = None) -> SalesPanel:
        """Return the panel with further periods after its end, all listed and in stock.

        Args:
            sales: units, shape (items, new periods).
            known: covariates of the new periods; carried forward where a name is missing. Observed-only
                covariates are carried forward.
        """
        new = sales.shape[1]
        later = pd.date_range(self.dates[-1], periods=new + 1, freq=self.freq)[1:]
        true = np.ones(sales.shape, dtype=bool)
        known = known or {}
        return replace(
            self,
            sales=np.concatenate([self.sales, sales], axis=1),
            in_stock=np.concatenate([self.in_stock, true], axis=1),
            listed=np.concatenate([self.listed, true], axis=1),
            dates=pd.DatetimeIndex(self.dates.append(later)),
            known={k: np.concatenate([v, known.get(k, _carry_forward(v, new))], 1) for k, v in self.known.items()},
            observed={k: np.concatenate([v, _carry_forward(v, new)], 1) for k, v in self.observed.items()},
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a row an item and period where the item was listed: what `from_frame` reads.

        Columns: item_id, date, sales, in_stock, then the covariates known ahead, then the observed ones.
        """
        item, period = np.nonzero(self.listed)
        arrays = {"sales": self.sales, "in_stock": self.in_stock, **self.known, **self.observed}
        keys = {"item_id": np.array(self.item_ids, dtype=object)[item], "date": self.dates[period]}
        return pd.DataFrame({**keys, **{name: array[item, period] for name, array in arrays.items()}})

    def to_nixtla(self, *, covariates: bool = False) -> pd.DataFrame:
        """Return `unique_id`, `ds`, `y`: a row an item and period where the item was listed.

        Args:
            covariates: whether `in_stock` and the covariates follow, those known ahead first.
        """
        frame = self.to_frame().rename(columns=NIXTLA_NAMES)
        return frame if covariates else frame[list(NIXTLA_NAMES.values())]

    def _periods(self, span: slice) -> SalesPanel:
        return replace(
            self,
            sales=self.sales[:, span],
            in_stock=self.in_stock[:, span],
            listed=self.listed[:, span],
            dates=self.dates[span],
            known={k: v[:, span] for k, v in self.known.items()},
            observed={k: v[:, span] for k, v in self.observed.items()},
        )


def _carry_forward(values: FloatArray, periods: int) -> FloatArray:
    return np.repeat(values[:, -1:], periods, axis=1)


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
        items: column item_id and any others; all of them become `panel.static`, and those that are no item
            parameters (`rules.ITEM_RULES`) `panel.attributes`, which forecasters learn from.
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
    item_frame = None if items is None else collect_items(items, faults)
    state_frame = None if state is None else collect_state(state, faults)
    if sales is not None:
        ids = [None if frame is None else frame["item_id"] for frame in (item_frame, state_frame)]
        for message in cross_check(sales["item_id"], *ids):
            faults.add(message)
    name = "history" if isinstance(history, pd.DataFrame) else str(history)
    panel = _collect_panel(sales, name, faults, freq, missing, known) if sound and sales is not None else None
    faults.raise_if_any()
    if panel is None:
        raise FractileError(f"{name}: no panel could be built")
    notes = (*panel.notes, *(_oddities(panel) if check else ()))
    item_frame = None if item_frame is None else in_order(item_frame, panel.item_ids)
    state_frame = None if state_frame is None else in_order(state_frame, panel.item_ids)
    static = pd.DataFrame() if item_frame is None else item_frame.set_index("item_id")
    return Inputs(replace(panel, static=static, notes=notes), item_frame, state_frame)


def _collect_panel(
    frame: pd.DataFrame,
    name: str,
    faults: Faults,
    freq: str | None,
    missing: Missing,
    known: Collection[str] | None,
) -> SalesPanel | None:
    """Build the panel of a sound history, or add to `faults` why there is none."""
    covariates = [str(column) for column in frame.columns if column not in CORE_COLUMNS]
    for column in () if known is None else known:
        if column not in covariates:
            hint = did_you_mean(column, covariates)
            faults.add(f"{name}: known names {column!r}, which is no covariate of the history{hint}")
    ahead = tuple(column for column in (KNOWN_AHEAD if known is None else known) if column in covariates)
    try:
        calendar = make_calendar(pd.DatetimeIndex(frame["date"]), freq)
    except FractileError as error:
        faults.add(f"{name}: {error}")
        return None
    rows = place_rows(frame, calendar)
    if missing == "error" and report_gaps(rows, calendar, name, faults):
        return None
    return _build(rows, calendar, missing, ahead)


def _build(rows: HistoryRows, calendar: Calendar, missing: Missing, known: tuple[str, ...]) -> SalesPanel:
    shape = (rows.items, len(calendar.dates))
    period = calendar.period_of_slot
    cells = Cells(rows.item * shape[1] + period[rows.slot], shape, rows.frame["sales"].to_numpy())
    out = cells.total(1.0 - rows.frame["in_stock"].to_numpy(dtype=np.float64)) > 0
    gaps = find_gaps(rows, calendar)
    if missing == "unknown":
        out |= np.logical_or.reduceat(gaps, np.flatnonzero(calendar.opens), axis=1)
    if missing != "zero":
        late = np.flatnonzero(~calendar.opens[rows.first_slot])
        out[late, period[rows.first_slot[late]]] = True
    arrays, notes = covariate_arrays(rows.frame.drop(columns=CORE_COLUMNS), cells)
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
        notes=(*calendar.notes, *row_notes(rows, int(gaps.sum()), missing, bool(arrays)), *notes),
    )


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


def panel_fingerprint(panel: SalesPanel) -> str:
    """Return a hash of all that forecasters may learn from: everything but notes and item parameters."""
    names = (panel.item_ids, panel.freq, list(panel.known), list(panel.observed), list(panel.attributes.columns))
    digest = hashlib.sha256(repr((names, panel.dates.astype(str).tolist())).encode())
    for array in (panel.sales, panel.in_stock, panel.listed, *panel.known.values(), *panel.observed.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    if len(panel.static):
        digest.update(pd.util.hash_pandas_object(panel.attributes.astype(str)).to_numpy().tobytes())
    return digest.hexdigest()
