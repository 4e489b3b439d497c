"""The other columns of a file: attributes of items, covariates, and what cannot be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from .columns import Roles, determines
from .findings import Findings, Options, counted
from .numbers import looks_numeric, parse_numbers, share_of_numbers
from .rows import SalesRows
from .table import RawColumn, text_of
from .vocabulary import ROLES, is_money

TRUE = frozenset(
    [
        *("true", "yes", "y", "1", "1.0", "ja", "j", "wahr", "oui", "o", "vrai", "si", "sí", "s", "vero", "verdadero"),
        *("tak", "t", "prawda", "x", "on", "sim", "✓", "✔", "waar"),
    ]
)
FALSE = frozenset(
    [
        *("false", "no", "n", "0", "0.0", "nein", "falsch", "non", "faux", "falso", "nie", "f", "fałsz", "off", "não"),
        *("nee", "onwaar"),
    ]
)
_MOST_WORDS = 500
"""A column with more distinct words, or with words in more than half of the rows, is free text."""
_NOT_KEPT = "not kept: "
_MOST_SHOWN = 4
_FLAGS = ("in_stock", "listed", "promotion", "holiday")


_LARGEST = 1e150
"""Numbers beyond which sums and products with units may overflow."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the rows of sales go: an item and a period each.

    Attributes:
        flat: item * periods + period of each row, shape (rows,).
        written: the flat cells that are written, in their order.
        item: of each cell that is written.
        shape: (items, periods).
        several: whether any cell has more than one row.
    """

    flat: IntArray
    written: IntArray
    item: IntArray
    shape: tuple[int, int]
    several: bool

    def _full(self) -> int:
        return self.shape[0] * self.shape[1]

    def mean(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the weighted mean of each written cell, the plain one where weights are zero, NaN without values."""
        there = np.isfinite(values)
        share = np.bincount(self.flat[there], weights[there], self._full())
        summed = np.bincount(self.flat[there], values[there] * weights[there], self._full())
        counts = np.bincount(self.flat[there], None, self._full())
        plain = np.bincount(self.flat[there], values[there], self._full())
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(share > 0, summed / share, plain / counts)[self.written]
        return np.asarray(means)

    def total(self, values: FloatArray) -> FloatArray:
        """Return the sum of each written cell, NaN without values."""
        there = np.isfinite(values)
        counts = np.bincount(self.flat[there], None, self._full())
        sums = np.bincount(self.flat[there], values[there], self._full())
        return np.asarray(np.where(counts > 0, sums, np.nan)[self.written])

    def largest(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each written cell, NaN without values."""
        cells = np.full(self._full(), -np.inf)
        there = np.isfinite(values)
        np.maximum.at(cells, self.flat[there], values[there])
        return np.where(np.isfinite(cells), cells, np.nan)[self.written]

    def any_word(self, column: RawColumn) -> NDArray[np.object_]:
        """Return the last word of each written cell, None without any."""
        codes = np.full(self._full(), -1, dtype=np.int64)
        there = column.filled
        codes[self.flat[there]] = column.codes[there]
        return column.with_nothing()[codes[self.written]]

    def agree(self, column: RawColumn) -> bool:
        """Say whether the rows of each cell have one value."""
        if not self.several:
            return True
        there = column.filled
        pairs = self.flat[there] * (len(column.values) + 1) + column.codes[there]
        return len(pd.unique(pairs)) == len(pd.unique(self.flat[there]))


def extra_columns(
    rows: SalesRows, cells: Cells, roles: Roles, decimal: str, options: Options, findings: Findings
) -> dict[str, NDArray[Any]]:
    """Return the other columns by name, one value a written cell each.

    Args:
        rows: of sales.
        cells: where they go.
        roles: of the file's columns; the parts of a composite key are words.
        decimal: the decimal mark.
        options: columns that are text.
        findings: what was found.
    """
    ours = {theirs: name for name, theirs in roles.optional.items()}
    words = (*options.text, *roles.key)
    found: dict[str, NDArray[Any]] = {}
    notes: dict[str, list[str]] = {}
    for column in rows.others:
        if not column.filled.any():
            words_left = ", ".join(text_of(value) for value in column.values[:_MOST_SHOWN])
            left = f" ({words_left}{' …' if len(column.values) > _MOST_SHOWN else ''})" if words_left else ""
            notes.setdefault(_NOT_KEPT + "nothing in it beside sales", []).append(f"{column.name!r}{left}")
            continue
        name = ours.get(column.name) or _free_name(column.name, found)
        values, note = _one(column, name, rows, cells, decimal, words, findings)
        if values is not None:
            found[name] = values
        shown = repr(column.name) if name in (column.name, ours.get(column.name)) else f"{column.name!r} as {name!r}"
        if note or name != ours.get(column.name, column.name):
            notes.setdefault(note or "renamed", []).append(shown)
    for note, names in notes.items():
        shown = f"{', '.join(names[:6])}{' …' if len(names) > 6 else ''}"
        if note.startswith(_NOT_KEPT):
            findings.say("left_out", f"{shown} ({note.removeprefix(_NOT_KEPT)})", "rule", names=names)
        else:
            findings.say("others", f"{shown} {note}", "rule", names=names)
    return found


def _one(
    column: RawColumn, name: str, rows: SalesRows, cells: Cells, decimal: str, words: Sequence[str], findings: Findings
) -> tuple[NDArray[Any] | None, str]:
    """Return one column's values, or None, and what to say of it."""
    if name in _FLAGS or (column.name not in words and _is_flag(column)):
        return _flags(column, name, cells, findings), ""
    numeric = name == "price" or (column.name not in words and share_of_numbers(column) == 1)
    if not numeric:
        return _words(column, rows, cells, named=column.name in words)
    numbers, wrong = parse_numbers(column.values, decimal)
    if wrong.any():
        findings.fault(f"column {column.name!r} must hold numbers, got {column.values[wrong][0]!r}; correct it")
        return None, ""
    large = np.abs(np.nan_to_num(numbers)) > _LARGEST
    if large.any():
        shown = f"{numbers[large][0]:g}"
        findings.fault(f"column {column.name!r} holds {shown}, too large to be added up; correct it, or leave it out")
        return None, ""
    values = column.spread(numbers, np.nan)
    if name == "price":
        below = values < 0
        if below.any():
            text = f"{counted(int(below.sum()), 'price')} below zero in {column.name!r}: taken as not known"
            findings.say("others", text, "rule", rows=int(below.sum()))
            values = np.where(below, np.nan, values)
        weights = np.where(np.isfinite(rows.units), np.maximum(rows.units, 0), 0.0)
        note = "is the mean, weighted by units, where an item has several rows" * cells.several
        return cells.mean(values, weights), note
    if cells.agree(column):
        return _whole(cells.mean(values, np.ones_like(values))), ""
    if is_money(column.name):
        return cells.total(values), "added up"
    return None, _NOT_KEPT + "they differ between the rows of an item and period"


def _is_flag(column: RawColumn) -> bool:
    if len(column.values) > len(TRUE) + len(FALSE):
        return False
    words = {str(value).strip().casefold() for value in column.values}
    if not words or not words <= TRUE | FALSE or all(looks_numeric(word) for word in words):
        return False
    return bool(words & TRUE and words & FALSE) or words == {"x"}


def _flags(column: RawColumn, name: str, cells: Cells, findings: Findings) -> NDArray[Any]:
    """Return a column of yes and no as 1 and 0; `in_stock` and `listed` as truth values, true where nothing is said."""
    words = [text_of(value).strip().casefold() for value in column.values]
    wrong = [value for value, word in zip(column.values, words, strict=True) if word not in TRUE | FALSE]
    if wrong and name in ("in_stock", "listed"):
        findings.fault(
            f"column {column.name!r} ({name}) must be yes or no, got {wrong[0]!r}; correct it, or leave it out"
        )
    flags = np.array([1.0 if word in TRUE else 0.0 for word in words], dtype=np.float64)
    if wrong and name not in ("in_stock", "listed"):
        # A share, a name of an action: anything but nothing counts as yes.
        flags = np.array([float(word not in FALSE) for word in words], dtype=np.float64)
    values = column.spread(flags, 0.0 if words == ["x"] else np.nan)
    if name in ("in_stock", "listed"):
        return np.nan_to_num(-cells.largest(-values), nan=1.0) > 0
    return _whole(cells.largest(values))


def _whole(values: FloatArray) -> NDArray[Any]:
    """Return whole numbers as integers where none is missing."""
    if np.isfinite(values).all() and (values == np.floor(values)).all() and np.abs(values).max(initial=0) < 2**53:
        return values.astype(np.int64)
    return values


def _words(column: RawColumn, rows: SalesRows, cells: Cells, *, named: bool) -> tuple[NDArray[Any] | None, str]:
    values = np.array([text_of(value) for value in column.values] + [""], dtype=object)[:-1]
    if all(looks_numeric(value) for value in values):
        # A reader would take digits alone for numbers again.
        values = np.array([f"{column.name} {value}" for value in values] + [""], dtype=object)[:-1]
    texts = RawColumn(column.name, column.codes, values)
    there = texts.filled
    if determines(rows.item.rows(there), texts.rows(there)):
        first = np.full(cells.shape[0], -1, dtype=np.int64)
        first[(cells.flat // cells.shape[1])[there]] = texts.codes[there]
        return texts.with_nothing()[first[cells.item]], "constant within each item: an attribute"
    codes, days = pd.factorize(rows.day)
    day = RawColumn("day", codes.astype(np.int64), np.asarray(days, dtype=object))
    if not named and determines(day, texts) and determines(texts, day):
        return None, _NOT_KEPT + "it says what the date says"
    if not named and (len(values) > _MOST_WORDS or len(values) > there.sum() / 2):
        return None, _NOT_KEPT + "free text"
    if not cells.agree(texts):
        return None, _NOT_KEPT + "they differ between the rows of an item and period"
    return cells.any_word(texts), "a category"


def _free_name(name: str, found: Mapping[str, Any]) -> str:
    """Return a column's own name, or another where ours is like it."""
    core = {"itemid", "date", "sales", "ordered", "onhand", *(role.replace("_", "") for role in ROLES)}
    free = name
    if re.sub(r"[^a-z0-9]", "", name.lower()) in core:
        free = f"file_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
    while free in found:
        free += "_2"
    return free
