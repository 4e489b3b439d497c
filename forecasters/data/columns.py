"""Checks of one table's columns; each fault is one line: file, lines, field, rule, value, remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import Faults, did_you_mean
from .files import RawTable

SHOWN = 3
"""How many lines, values or items a message names before it only counts."""

_FLAGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "yes": True,
    "false": False,
    "0": False,
    "0.0": False,
    "no": False,
}
_ZONE = re.compile(r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$")


@dataclass(frozen=True)
class NumberRule:
    """What the numbers of a column must be.

    Attributes:
        text: the rule in words, e.g. "a number >= 0".
        holds: whether finite numbers keep the rule, elementwise.
        remedy: what to do about one that does not.
        optional: whether a cell may be empty.
    """

    text: str
    holds: Callable[[FloatArray], BoolArray]
    remedy: str
    optional: bool = False


class Table:
    """One table under check.

    Args:
        raw: the table as read.
        faults: collects what is wrong with it.
    """

    def __init__(self, raw: RawTable, faults: Faults) -> None:
        self.raw = raw
        self.frame = raw.frame
        self.name = raw.name
        self.faults = faults

    def rename(self, columns: Mapping[str, str]) -> None:
        """Give columns our names; `columns` maps our name to the file's."""
        held = [str(column) for column in self.frame.columns]
        for ours, theirs in columns.items():
            if theirs not in held:
                hint = did_you_mean(theirs, held)
                self.faults.add(f"{self.name}: has no column {theirs!r}, which was to be {ours!r}{hint}")
        back = {theirs: ours for ours, theirs in columns.items()}
        names = [back.get(column, column) for column in held]
        clash = {name for name in names if names.count(name) > 1}
        for name in sorted(clash):
            both = " and ".join(repr(column) for column in held if back.get(column, column) == name)
            self.faults.add(f"{self.name}: columns {both} both end up as {name!r}; rename or remove one of them")
        first = [at for at, name in enumerate(names) if name not in names[:at]]
        self.frame = self.frame.iloc[:, first].set_axis([names[at] for at in first], axis=1)

    def require(self, names: Collection[str]) -> bool:
        """Say whether all these columns are there; add a fault for each that is not."""
        missing = [name for name in names if name not in self.frame]
        for name in missing:
            hint = did_you_mean(name, self.frame.columns)
            self.faults.add(f"{self.name}: has no column {name!r}; rename one or map it{hint}")
        return not missing

    def refuse_lookalikes(self, names: Collection[str]) -> None:
        """Add a fault for a column that is one of `names` but for case, spaces and underscores."""
        plain = {_plain(name): name for name in names if name not in self.frame}
        for column in self.frame.columns:
            if _plain(column) in plain and column not in names:
                ours = plain[_plain(column)]
                self.faults.add(f"{self.name}: column {column!r} must be called {ours!r} to be used; rename it")

    def fault(self, bad: BoolArray, rule: str, remedy: str, values: NDArray[Any] | None = None) -> None:
        """Add one fault for all rows in `bad`, shape (rows,); do nothing where there is none."""
        at = np.flatnonzero(bad)
        if not len(at):
            return
        got = "" if values is None else ", got " + ", ".join(_shown(value) for value in _distinct(values, at))
        self.faults.add(f"{self.name}: {self._lines(at)}: {rule}{got}; {remedy}")

    def ids(self, column: str = "item_id") -> NDArray[np.object_]:
        """Return a column as text, exactly as written; an empty cell is a fault."""
        values = self.frame[column]
        if pd.api.types.is_float_dtype(values.dtype):
            self.fault(values.notna().to_numpy(), f"{column} must be text", "write it as text", _objects(values))
        codes, names = pd.factorize(values.to_numpy(dtype=object), use_na_sentinel=True)
        written = np.array([str(name) for name in names] + [""], dtype=object)
        empty = np.array([not name.strip() for name in written], dtype=bool)
        self.fault(empty[codes], f"{column} must not be empty", "name the item or remove the row")
        texts: NDArray[np.object_] = written[codes]
        return texts

    def numbers(self, column: str, rule: NumberRule) -> FloatArray:
        """Return a column as float64; text, empty cells, infinities and broken rules are faults."""
        raw = self.frame[column]
        values = as_numbers(raw)
        missing = raw.isna().to_numpy()
        must = f"{column} must be {rule.text}"
        self.fault(np.isnan(values) & ~missing, must, "write digits with a point, no text", _objects(raw))
        if not rule.optional:
            self.fault(missing, f"{must}, is missing", "write the number")
        self.fault(np.isinf(values), f"{must} and finite", rule.remedy, values)
        finite = np.isfinite(values)
        broken = finite & ~rule.holds(np.where(finite, values, 1.0))
        self.fault(broken, must, rule.remedy, values)
        return values

    def covariate(self, column: str) -> None:
        """Add a fault for words where most rows hold numbers; words throughout are categories."""
        raw = self.frame[column]
        if raw.dtype != np.dtype(object):
            return
        words = np.isnan(as_numbers(raw)) & raw.notna().to_numpy()
        if 0 < words.sum() < (raw.notna().sum() / 2):
            self.fault(words, f"{column} must be a number, as it is in most rows", "correct it", _objects(raw))

    def dates(self, column: str = "date") -> pd.DatetimeIndex:
        """Return a column as dates without a time zone; what is not YYYY-MM-DD is a fault."""
        raw = self.frame[column]
        parsed = _parsed_dates(raw)
        self.fault(np.asarray(parsed.isna()), f"{column} must be a date", "write it as YYYY-MM-DD", _objects(raw))
        return parsed

    def flags(self, column: str) -> BoolArray:
        """Return a column of true/false, 1/0 or yes/no, in any case, as bool."""
        raw = self.frame[column]
        if raw.dtype == np.dtype(bool):
            return raw.to_numpy(dtype=bool)
        codes, words = pd.factorize(raw.to_numpy(dtype=object), use_na_sentinel=True)
        read = [_FLAGS.get(str(word).strip().lower()) for word in words] + [None]
        unread = np.array([value is None for value in read], dtype=bool)
        remedy = "write true or false, 1 or 0, yes or no"
        self.fault(unread[codes], f"{column} must be true or false", remedy, _objects(raw))
        return np.array([bool(value) for value in read], dtype=bool)[codes]

    def unique(self, ids: NDArray[np.object_], remedy: str) -> None:
        """Add a fault where an item has more than one row."""
        again = pd.Series(ids).duplicated().to_numpy() & (ids != "")
        self.fault(again, "item_id must stand once", remedy, ids)

    def _lines(self, at: NDArray[np.int64]) -> str:
        shown = ", ".join(str(number) for number in self.raw.numbers[at[:SHOWN]])
        unit = self.raw.unit if len(at) == 1 else f"{self.raw.unit}s"
        return f"{unit} {shown}" + (f" ({len(at):,} in all)" if len(at) > SHOWN else "")


def as_numbers(values: pd.Series[Any]) -> FloatArray:
    """Return a column as float64, NaN where it holds no number."""
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def listing(names: Collection[str]) -> str:
    """Name the first few and count the rest: `'a', 'b', 'c' and 4 more`."""
    shown = ", ".join(repr(name) for name in list(names)[:SHOWN])
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _parsed_dates(raw: pd.Series[Any]) -> pd.DatetimeIndex:
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        return pd.DatetimeIndex(raw.dt.tz_localize(None)).as_unit("ns")
    if pd.api.types.is_datetime64_dtype(raw.dtype):
        held = (raw > pd.Timestamp.min) & (raw < pd.Timestamp.max)
        return pd.DatetimeIndex(raw.where(held)).as_unit("ns")
    codes, values = pd.factorize(raw.to_numpy(dtype=object), use_na_sentinel=True)
    texts = [None if isinstance(value, (int, float)) else _ZONE.sub(r"\1", str(value)) for value in values]
    known = pd.to_datetime(pd.Series([*texts, None], dtype=object), format="ISO8601", errors="coerce")
    return pd.DatetimeIndex(known.to_numpy()[codes]).as_unit("ns")


def _objects(values: pd.Series[Any]) -> NDArray[np.object_]:
    return values.to_numpy(dtype=object)


def _distinct(values: NDArray[Any], at: NDArray[np.int64]) -> list[Any]:
    return list(pd.unique(pd.Series(values[at], dtype=object)))[:SHOWN]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, float):
        return f"{value:g}"
    return "nothing" if value is None or value is pd.NaT else str(value)


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
