"""Which kind of number a covariate or an attribute is: one rule for all families of forecasters.

An *attribute* of the items (a column of `panel.attributes`) is

- `constant`, where fewer than two values are on record (an empty cell is no value): left out;
- a `category`, where it is text or true/false: each value stands for itself. Text whose values are shared by
  fewer than two items on average is a `name`: left out, since no item shares it;
- a `code`, where it is a whole number of at most 60 values, shared by two items or more on average: its order
  may mean something or nothing. Trees read it as a number, which they can cut anywhere; networks and the
  patchwork give each value a coefficient of its own;
- a `number` in all other cases: many whole numbers, and amounts with fractions.

Columns of integers are whole numbers, and so are floats where a cell is empty (pandas cannot keep integers
beside an empty cell) or where they are 0 and 1 only (a flag). Other floats are amounts.

A *covariate* (an array of items and periods) is classified by its values in informative item-periods:

- `constant`: fewer than two values; left out;
- `flag`: 0 and 1 only;
- `code`: at most 5 values, all whole;
- `counts`: observed only, never below 0, beyond 5 at times: logs of 1 + value;
- `price`: always above 0: logs; a covariate of the name "price" is one even where it has few values;
- `plain`: all others, as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError
from ..data.panel import SalesPanel

MOST_CODES = 60
"""Values of a whole-number attribute beyond which it is a number."""
FEW = 5
"""Values of a covariate up to which whole numbers are codes, and the largest count of something seldom."""
SMALLEST = 1e-6
"""What a price is raised to before its logarithm is taken."""

Labels = tuple[str, ...]


class Attribute(NamedTuple):
    """What an attribute is: its kind, and its values as text, sorted; a number's values are not kept."""

    kind: str
    labels: Labels


@dataclass(frozen=True)
class Covariate:
    """One covariate: its kind, and whether it is a `calendar`, a flag or code that all items share."""

    name: str
    kind: str
    calendar: bool


def classify_attributes(static: pd.DataFrame) -> dict[str, Attribute]:
    """Return the attributes that are kept, in the order of their columns; see the head of this module."""
    found = {}
    for name in static.columns:
        labels = tuple(sorted({label for label in labels_of(static[name]) if label is not None}))
        kind = _attribute_kind(static[name], labels)
        if kind not in ("constant", "name"):
            found[str(name)] = Attribute(kind, () if kind == "number" else labels)
    return found


def _attribute_kind(column: pd.Series[Any], labels: Labels) -> str:
    if len(labels) < 2:
        return "constant"
    shared = len(labels) <= max(len(column) / 2, 2)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return "category" if shared else "name"
    counted = pd.api.types.is_integer_dtype(column) or column.isna().any() or set(labels) == {"0", "1"}
    amounts = column.dropna().to_numpy(dtype=np.float64)
    whole = counted and np.array_equal(amounts, np.floor(amounts))
    return "code" if whole and shared and len(labels) <= MOST_CODES else "number"


def labels_of(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Return an attribute as text, None where there is no value; 3, 3.0 and "3" are the same.

    >>> labels_of(pd.Series([3.0, float("nan"), 2.5])).tolist()
    ['3', None, '2.5']
    """
    text = column.astype(object).map(_label, na_action="ignore").to_numpy(dtype=object).copy()
    text[column.isna().to_numpy()] = None
    return text


def _label(value: Any) -> str:
    whole = isinstance(value, float | np.floating) and value == np.floor(value) and np.isfinite(value)
    return str(int(value)) if whole else str(value)


def codes_of(static: pd.DataFrame, name: str, labels: Labels) -> IntArray:
    """Return the position of each item's attribute among the labels, −1 for another or none, shape (items,)."""
    return pd.Index(labels, dtype=object).get_indexer(pd.Index(labels_of(static[name]), dtype=object)).astype(np.int64)


def numbers_of(static: pd.DataFrame, name: str) -> FloatArray:
    """Return a number of each item, NaN where there is none, shape (items,)."""
    return pd.to_numeric(static[name], errors="coerce").to_numpy(dtype=np.float64)


def frequent_labels(static: pd.DataFrame, name: str, labels: Labels, most: int) -> Labels:
    """Return the labels that most items have, at most `most` of them, in the order of `labels`."""
    if len(labels) <= most:
        return labels
    codes = codes_of(static, name, labels)
    count = np.bincount(codes[codes >= 0], minlength=len(labels))
    return tuple(labels[k] for k in np.sort(np.argsort(-count, kind="stable")[:most]))


def classify_covariates(panel: SalesPanel, *, ahead: bool) -> tuple[Covariate, ...]:
    """Return the covariates that are kept, by name; see the head of this module.

    Args:
        panel: the history.
        ahead: whether those known ahead are meant, or those that are observed only.
    """
    found = []
    for name, values in sorted((panel.known if ahead else panel.observed).items()):
        kind = _covariate_kind(name, values[panel.informative], ahead=ahead)
        # With a single item, its promotions and everyone's holidays look alike: nothing counts as shared.
        shared = len(values) > 1 and bool(np.all(values == values[:1]))
        if kind != "constant":
            found.append(Covariate(name, kind, calendar=shared and kind in ("flag", "code")))
    return tuple(found)


def _covariate_kind(name: str, values: FloatArray, *, ahead: bool) -> str:
    found = np.unique(values[np.isfinite(values)])
    if len(found) < 2:
        return "constant"
    if np.isin(found, (0.0, 1.0)).all():
        return "flag"
    if len(found) <= FEW and np.all(found == np.floor(found)) and name != "price":
        return "code"
    if not ahead and found[0] >= 0 and found[-1] > FEW:
        return "counts"
    return "price" if found[0] > 0 else "plain"


def require_covariate(panel: SalesPanel, name: str, *, ahead: bool) -> FloatArray:
    """Return a covariate that the forecaster was fitted with, shape (items, periods).

    Raises:
        FractileError: where the panel lacks it.
    """
    table: Mapping[str, FloatArray] = panel.known if ahead else panel.observed
    if name not in table:
        what = "known" if ahead else "observed"
        raise FractileError(
            f"the panel lacks the {what} covariate {name!r} that the forecaster was fitted with; add it"
        )
    return table[name]


def require_attributes(panel: SalesPanel, names: Iterable[str]) -> pd.DataFrame:
    """Return the attributes of the items, of which the forecaster was fitted with `names`.

    Raises:
        FractileError: where the panel lacks one.
    """
    for name in names:
        if name not in panel.attributes.columns:
            raise FractileError(
                f"the panel lacks the static attribute {name!r} that the forecaster was fitted with; add it"
            )
    return panel.attributes


def to_scale(values: FloatArray, kind: str) -> FloatArray:
    """Return a covariate on the scale that it is compared on: logs of prices and counts."""
    if kind == "price":
        return np.log(np.maximum(values, SMALLEST))
    return np.log1p(np.maximum(values, 0.0)) if kind == "counts" else values


def fill_gaps(values: FloatArray, otherwise: float) -> FloatArray:
    """Put the item's last value before each hole into it, else its first one, else `otherwise`."""
    there: BoolArray = np.isfinite(values)
    if there.all():
        return values
    frame = pd.DataFrame(np.where(there, values, np.nan))
    return frame.ffill(axis=1).bfill(axis=1).fillna(otherwise).to_numpy()
