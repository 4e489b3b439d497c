"""A table as its file has it, each column coded by its distinct values.

All that is read of a column (numbers, dates, names) is read of its distinct values, which are few, and spread over the
rows by their codes: millions of rows cost no more than counting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, IntArray

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
"""Characters without width, which nobody sees and no equality forgives."""


@dataclass(frozen=True, eq=False)
class RawColumn:
    """One column.

    Attributes:
        name: as the header has it.
        codes: position in `values` of each row's cell, −1 where it is empty, shape (rows,).
        values: the distinct cells, text as written, numbers, dates, shape (distinct,).
    """

    name: str
    codes: IntArray
    values: NDArray[np.object_]

    @classmethod
    def of(cls, name: str, cells: pd.Series[Any]) -> RawColumn:
        """Code a column; cells that hold nothing or blanks alone are empty."""
        if isinstance(cells.dtype, pd.CategoricalDtype):
            codes = cells.cat.codes.to_numpy().astype(np.int64)
            values = np.asarray(cells.cat.categories, dtype=object)
            used = np.zeros(len(values) + 1, dtype=bool)
            used[codes] = True
            place = np.cumsum(used[:-1]) - 1
            codes, values = np.where(codes >= 0, place[codes] if len(place) else -1, -1), values[used[:-1]]
        else:
            codes, distinct = pd.factorize(cells, use_na_sentinel=True)
            values = np.asarray(distinct, dtype=object)
        if pd.api.types.infer_dtype(values, skipna=False) != "string":
            values = np.array([_plain_cell(value) for value in values] + [None], dtype=object)[:-1]
        blank = np.array([isinstance(value, str) and not value.strip() for value in values], dtype=bool)
        column = cls(name, np.asarray(codes, dtype=np.int64), values)
        return column.without(blank) if blank.any() else column

    @property
    def filled(self) -> BoolArray:
        """Rows whose cell is not empty."""
        return self.codes >= 0

    def rows(self, where: BoolArray | IntArray) -> RawColumn:
        """Return the column of some rows."""
        return replace(self, codes=self.codes[where])

    def without(self, dropped: BoolArray) -> RawColumn:
        """Return the column with some distinct values emptied."""
        place = np.append(np.where(dropped, -1, np.cumsum(~dropped) - 1), -1)
        return replace(self, codes=place[self.codes], values=self.values[~dropped])

    def compact(self) -> RawColumn:
        """Return the column without the distinct values that stand in no row."""
        unused = np.bincount(self.codes[self.filled], minlength=len(self.values)) == 0
        return self.without(unused) if unused.any() else self

    def spread(self, values: NDArray[Any], empty: Any) -> NDArray[Any]:
        """Return one value a row from one a distinct cell."""
        full = np.empty(len(values) + 1, dtype=np.result_type(values.dtype, np.asarray(empty).dtype))
        full[:-1], full[-1] = values, empty
        return full[self.codes]

    def with_nothing(self) -> NDArray[np.object_]:
        """Return the distinct values and, at position −1, None."""
        return np.array([*self.values, None], dtype=object)

    def present(self) -> NDArray[np.object_]:
        """Return the distinct values that stand in any row, in their order."""
        used = np.bincount(self.codes[self.filled], minlength=len(self.values)) > 0
        return self.values[used]


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table under the file's own names.

    Attributes:
        columns: in the file's order.
        rows: number of rows.
        lines: line (or row) number of each row, as an editor shows it, shape (rows,).
    """

    columns: tuple[RawColumn, ...]
    rows: int
    lines: IntArray

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> RawColumn:
        """Return the column of this name."""
        return self.columns[self.names.index(name)]

    def keep(self, where: BoolArray) -> RawTable:
        """Return the table of some rows; what stands in the others alone is gone."""
        columns = tuple(c.rows(where).compact() for c in self.columns)
        return replace(self, columns=columns, rows=int(where.sum()), lines=self.lines[where])

    def drop(self, names: list[str]) -> RawTable:
        """Return the table without some columns."""
        return replace(self, columns=tuple(c for c in self.columns if c.name not in names))

    def replaced(self, column: RawColumn) -> RawTable:
        """Return the table with a column of the same name replaced."""
        return replace(self, columns=tuple(column if c.name == column.name else c for c in self.columns))


def table_of(frame: pd.DataFrame, first: int) -> RawTable:
    """Code the columns of a frame; names that stand twice get a number.

    Args:
        frame: cells; column labels are the names.
        first: line number of its first row.
    """
    names: dict[str, int] = {}  # each with the number that a column of the same name gets next
    for label in frame.columns:
        name = known = " ".join(str(label).translate(INVISIBLE).split())
        while name in names:
            names[known] += 1
            name = f"{known}_{names[known]}"
        names[name] = 1
    columns = [RawColumn.of(name, frame.iloc[:, at]) for at, name in enumerate(names)]
    return RawTable(tuple(columns), len(frame), np.arange(len(frame), dtype=np.int64) + first)


def text_of(value: Any) -> str:
    """Return a cell as text: whole numbers without a point, text as written."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def _plain_cell(value: Any) -> Any:
    """Return a cell as text, int, float, date or period; truth values as the words."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        return value.item() if not isinstance(value, np.datetime64) else pd.Timestamp(value)
    return value
