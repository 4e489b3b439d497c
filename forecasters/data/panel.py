"""Sales history of many items on one calendar, as arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import FractileError
from .column_names import NIXTLA_NAMES, house_names


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
        static: attributes of the items, a row each, indexed by item_id.
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
        missing: Literal["error", "zero", "unknown"] = "error",
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
        from .loading import load_panel

        return load_panel(df, items, freq, missing=missing, columns=columns, known=known, check=check)

    @classmethod
    def from_nixtla(
        cls,
        df: pd.DataFrame,
        static: pd.DataFrame | None = None,
        known: Collection[str] | None = (),
        freq: str | None = None,
        *,
        missing: Literal["error", "zero", "unknown"] = "error",
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
        """Return the panel with further periods behind its end, all listed and in stock.

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
            known={k: np.concatenate([v, known.get(k, _carried(v, new))], 1) for k, v in self.known.items()},
            observed={k: np.concatenate([v, _carried(v, new)], 1) for k, v in self.observed.items()},
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


def _carried(values: FloatArray, periods: int) -> FloatArray:
    return np.repeat(values[:, -1:], periods, axis=1)
