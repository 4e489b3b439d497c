"""Sales history of many items on one calendar, as arrays, and how it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import Faults, FractileError
from .attributes import item_table, join_attributes, name_covariates, name_import, take_attributes
from .calendar import Calendar, make_calendar
from .covariates import Covariates
from .laid_rows import LaidRows, find_covariates, lay_rows
from .matching import Rows, in_order, match_rows
from .oddities import oddities
from .read import Source
from .records import order_records
from .resample import Missing
from .rules import DISCONTINUED, NO_FEATURES
from .tables import (
    NIXTLA_NAMES,
    collect_history,
    collect_items,
    collect_state,
    house_names,
)


@dataclass(frozen=True, eq=False)
class SalesPanel:
    """What was sold, when, and whether it could be bought.

    Attributes:
        sales: units per period, shape (items, periods); 0 where the item was not listed.
        in_stock: False where the item ran out, or could not be bought all the time: demand was at least `sales`.
        listed: False before an item's first row, where it did not exist yet, and where it was taken off sale.
        dates: the first day of each period, shape (periods,).
        item_ids: one text an item, kept as written.
        freq: pandas frequency of the periods, e.g. "W-MON" or "D".
        known: covariates known ahead (price, promotion, calendar) by name, each (items, periods).
        observed: covariates known only once their period is over, by name, each (items, periods).
        static: what is known of the items, a row each, indexed by item_id: attributes, and their parameters.
        notes: what loading did that a reader should know, e.g. partial weeks that were dropped.
        availability: share of each period in which the item was in stock, in [0, 1], shape (items, periods): 1 where
            `in_stock`, below 1 elsewhere. None where no more is known than `in_stock` says.
        whole_units: whether every sale is a whole number of units, where that is known of a larger history of which
            the panel holds some items; None: its own sales say so.
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
    availability: FloatArray | None = None
    whole_units: bool | None = None

    def __post_init__(self) -> None:
        shape = (len(self.item_ids), len(self.dates))
        arrays = {"sales": self.sales, "in_stock": self.in_stock, "listed": self.listed}
        if self.availability is not None:
            arrays["availability"] = self.availability
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
            df: a row an item and date: item_id, date, sales (units >= 0), optional in_stock, availability and
                listed, covariates.
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
        """What forecasters may learn from in `static`: all but `rules.NO_FEATURES`.

        A forecast must not depend on lead times, costs and order rules: the same demand is forecast alike, whatever
        it costs to miss it. That an item is sold no more is what `listed` says, and no trait of its demand before.
        """
        return self.static.drop(columns=[name for name in self.static if name in NO_FEATURES])

    @property
    def informative(self) -> BoolArray:
        """True where sales are demand: the item was listed and in stock."""
        return self.in_stock & self.listed

    @property
    def ran_out(self) -> BoolArray:
        """True where sales are a lower bound of demand: the item was listed and out of stock."""
        return self.listed & ~self.in_stock

    @property
    def integer_demand(self) -> bool:
        """Whether every sale is a whole number of units."""
        return bool(np.all(self.sales == np.floor(self.sales))) if self.whole_units is None else self.whole_units

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
            availability=None if self.availability is None else self.availability[rows],
        )

    def extended(self, sales: FloatArray, known: Mapping[str, FloatArray] | None = None) -> SalesPanel:
        """Return the panel with further periods after its end, in stock and listed.

        An item that was taken off sale before the end, or is discontinued by the new periods (`static`), is listed
        again from the first new period with sales on only.

        Args:
            sales: units, shape (items, new periods).
            known: covariates of the new periods; carried forward where a name is missing. Observed-only
                covariates are carried forward.
        """
        new = sales.shape[1]
        pad = ((0, 0), (0, new))
        later = pd.date_range(self.dates[-1], periods=new + 1, freq=self.freq)[1:]
        true = np.ones(sales.shape, dtype=bool)
        known = known or {}
        off = np.repeat((self.listed.any(axis=1) & ~self.listed[:, -1])[:, None], new, axis=1)
        if DISCONTINUED in self.static:
            off |= later.to_numpy() >= pd.DatetimeIndex(self.static[DISCONTINUED]).to_numpy()[:, None]
        sold = np.logical_or.accumulate(sales > 0, axis=1)
        return replace(
            self,
            sales=np.concatenate([self.sales, sales], axis=1),
            in_stock=np.concatenate([self.in_stock, true], axis=1),
            listed=np.concatenate([self.listed, ~off | sold], axis=1),
            dates=pd.DatetimeIndex(self.dates.append(later)),
            known={k: np.concatenate([v, known.get(k, _carry_forward(v, new))], 1) for k, v in self.known.items()},
            observed={k: np.concatenate([v, _carry_forward(v, new)], 1) for k, v in self.observed.items()},
            availability=None if self.availability is None else np.pad(self.availability, pad, constant_values=1.0),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a row an item and period from the item's first one on: what `from_frame` reads.

        Columns: item_id, date, sales, in_stock, availability where it is known, listed where an item was taken off
        sale, then the covariates known ahead, then the observed ones.
        """
        begun = np.logical_or.accumulate(self.listed, axis=1)
        item, period = np.nonzero(begun)
        arrays = {"sales": self.sales, "in_stock": self.in_stock}
        if self.availability is not None:
            arrays["availability"] = self.availability
        if (begun & ~self.listed).any():
            arrays["listed"] = self.listed
        arrays |= {**self.known, **self.observed}
        keys = {"item_id": np.array(self.item_ids, dtype=object)[item], "date": self.dates[period]}
        return pd.DataFrame({**keys, **{name: array[item, period] for name, array in arrays.items()}})

    def to_nixtla(self, *, covariates: bool = False) -> pd.DataFrame:
        """Return `unique_id`, `ds`, `y`: a row an item and period where the item was listed.

        Args:
            covariates: whether all else of `to_frame` follows: periods off sale, `in_stock` and the covariates.
        """
        frame = self.to_frame().rename(columns=NIXTLA_NAMES)
        if covariates:
            return frame
        return frame.loc[frame["listed"] if "listed" in frame else slice(None), list(NIXTLA_NAMES.values())]

    def _periods(self, span: slice) -> SalesPanel:
        return replace(
            self,
            sales=self.sales[:, span],
            in_stock=self.in_stock[:, span],
            listed=self.listed[:, span],
            dates=self.dates[span],
            known={k: v[:, span] for k, v in self.known.items()},
            observed={k: v[:, span] for k, v in self.observed.items()},
            availability=None if self.availability is None else self.availability[:, span],
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
        records: `ordered` and `on_hand` where the history has them: see `order_records`.
        left_out: ids that items or state have and the history does not, where `Rows` leave them out.
        not_counted: ids that the state lacked, and has with what `Rows` say is on hand of them.
        notes: how items and state were read, where they are not CSV with commas in UTF-8.
    """

    panel: SalesPanel
    items: pd.DataFrame | None = None
    state: pd.DataFrame | None = None
    records: Mapping[str, FloatArray] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
        history: columns item_id, date, sales (units >= 0); optional in_stock, availability (share of the day or
            period in stock), listed (false: not on sale); any other column is a covariate, or an attribute of the items
            where it holds words that are the same in all rows of an item.
        items: column item_id and any others, optional discontinued (the date from which an item is no longer sold);
            all of them become `panel.static`, and those that are not in `rules.NO_FEATURES` are
            `panel.attributes`, which forecasters learn from.
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
    rows: Rows = Rows(),  # noqa: B008  # frozen
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
        rows: which rows items and state may have and must have.

    Raises:
        InputError: with one message a fault.
    """
    if missing not in get_args(Missing):
        raise FractileError(f"missing must be 'error', 'zero' or 'unknown', got {missing!r}")
    faults = Faults()
    notes: list[str] = []
    sales = collect_history(history, faults, columns, notes)
    sound = not faults.messages
    if not sound:
        name_import(history, faults, columns, missing)
    read: list[str] = []
    item_frame = None if items is None else collect_items(items, faults, read)
    state_frame = None if state is None else collect_state(state, faults, read)
    matched = match_rows(sales, item_frame, state_frame, rows, faults, {"items": items, "state": state})
    name = "history" if isinstance(history, pd.DataFrame) else str(history)
    panel, fixed = None, pd.DataFrame()
    if sound and sales is not None:
        found = len(faults.messages)
        sales, fixed = take_attributes(sales, known or (), notes)
        panel = _collect_panel(sales, matched.items, name, faults, freq, missing, known)
        if panel is None and len(faults.messages) > found:
            name_import(history, faults, columns, missing)
    faults.raise_if_any()
    if panel is None:
        raise FractileError(f"{name}: no panel could be built")
    item_frame, state_frame = (f if f is None else in_order(f, panel.item_ids) for f in (matched.items, matched.state))
    listed = panel.listed if sales is not None and "listed" in sales else None
    static = item_table(item_frame, panel.item_ids, panel.dates, listed)
    panel = replace(panel, static=join_attributes(static, fixed, panel.item_ids, notes))
    panel = replace(panel, notes=(*notes, *read, *panel.notes, *(oddities(panel) if check else ())))
    records = {} if sales is None else order_records(sales, panel.item_ids, panel.dates, panel.freq)
    return Inputs(panel, item_frame, state_frame, records, matched.left_out, matched.not_counted, tuple(read))


def _collect_panel(
    frame: pd.DataFrame,
    items: pd.DataFrame | None,
    name: str,
    faults: Faults,
    freq: str | None,
    missing: Missing,
    known: Collection[str] | None,
) -> SalesPanel | None:
    """Build the panel of a sound history, or add to `faults` why there is none."""
    covariates, ahead = name_covariates(frame, name, faults, known)
    try:
        calendar = make_calendar(pd.DatetimeIndex(frame["date"]), freq)
    except FractileError as error:
        faults.add(f"{name}: {error}")
        return None
    laid = lay_rows(frame, calendar, items, name, faults, missing)
    if faults.messages:
        return None
    found = find_covariates(laid, calendar, covariates, ahead, missing)
    return make_panel(
        laid, calendar, found, (*calendar.notes, *laid.counts.notes(missing, covariates=bool(covariates)))
    )


def make_panel(
    laid: LaidRows, calendar: Calendar, found: Covariates, notes: Sequence[str], whole_units: bool | None = None
) -> SalesPanel:
    """Return the panel of rows that are laid over a calendar.

    Args:
        laid: from `lay_rows`.
        calendar: their slots and periods.
        found: the covariates.
        notes: what was done to the rows; those of the covariates follow.
        whole_units: as in the panel.
    """
    return SalesPanel(
        sales=laid.cells.total(laid.cells.sales),
        in_stock=laid.stock.in_stock,
        listed=laid.stock.listed,
        dates=calendar.dates,
        item_ids=laid.rows.item_ids,
        freq=calendar.freq,
        known=found.known,
        observed=found.observed,
        notes=(*notes, *found.notes),
        availability=laid.stock.availability,
        whole_units=whole_units,
    )
