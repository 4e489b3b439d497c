"""The rule book of numbers: what a column, a field of `ItemParams` and a key of a config must be.

`ITEM_RULES` names the parameters of items (lead time, costs, order rules). Files, `ItemParams` and the config's
`[defaults]` read them here, and `SalesPanel.attributes` leaves them out of what forecasters may learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import MOST, MOST_PERIODS, BoolArray, FloatArray


@dataclass(frozen=True)
class NumberRule:
    """What a number must be.

    Attributes:
        low: the smallest one.
        remedy: what to do about one that breaks the rule.
        above: the number must exceed `low`.
        whole: the number must be whole.
        optional: a cell may be empty, a field None.
        unlimited: infinity stands for "no limit".
        high: the largest one.
    """

    low: float
    remedy: str
    above: bool = False
    whole: bool = False
    optional: bool = False
    unlimited: bool = False
    high: float = MOST

    @property
    def text(self) -> str:
        """The rule in words, e.g. "an integer >= 0"."""
        return f"{'an integer' if self.whole else 'a number'} {'>' if self.above else '>='} {self.low:g}"

    def holds(self, values: FloatArray) -> BoolArray:
        """Return whether each finite number keeps the rule; infinity is never too large."""
        enough: BoolArray = (values > self.low if self.above else values >= self.low) & ~self.exceeded(values)
        return enough & (values == np.floor(values)) if self.whole else enough

    def exceeded(self, values: FloatArray) -> BoolArray:
        """Return whether each finite number is too large."""
        large: BoolArray = (values > self.high) & (values < np.inf)
        return large

    def broken(self, value: float) -> str:
        """Return the part of the rule that a number breaks, in words."""
        return f"at most {self.high:g}" if self.high < value < np.inf else self.text


_NO_LIMIT = "leave it out (an empty cell, None) where there is no such limit"
_COST = NumberRule(0, "write the cost as a positive amount")

ITEM_RULES = {
    "lead_time": NumberRule(0, "round it or model it as random through arrivals", whole=True, high=MOST_PERIODS),
    "review_period": NumberRule(1, "give whole periods", whole=True, high=MOST_PERIODS),
    "holding_cost": _COST,
    "stockout_cost": _COST,
    "price": _COST,
    "unit_cost": _COST,
    "fixed_order_cost": _COST,
    "waste_cost": _COST,
    "salvage_value": NumberRule(0, "write the value as a positive amount"),
    "pack_size": NumberRule(0, _NO_LIMIT, above=True, optional=True),
    "minimum_order": NumberRule(0, _NO_LIMIT, optional=True),
    "maximum_order": NumberRule(0, _NO_LIMIT, above=True, optional=True, unlimited=True),
    "shelf_life": NumberRule(
        1,
        "leave it out (an empty cell, None) where nothing perishes",
        whole=True,
        optional=True,
        unlimited=True,
        high=MOST_PERIODS,
    ),
}
"""Parameters of items: a column of the items file and a field of `ItemParams` each."""

_LEVEL = NumberRule(0, "write units, the level that is in use")

LEVEL_RULES = {"reorder_point": _LEVEL, "order_up_to": _LEVEL, "base_stock_level": _LEVEL}
"""Levels that the items are ordered by today, columns of the items file: a baseline, and no features."""

ORDER_RECORDS = {
    "ordered": NumberRule(0, "write the units ordered in the period, 0 where none were"),
    "on_hand": NumberRule(0, "write the units on hand at the period's end"),
}
"""What was ordered, and what was on hand at the end, period by period: columns of the history, and no covariates."""

DISCONTINUED = "discontinued"
"""Column of the items: the date from which an item is no longer sold, empty where it is; no feature either."""

NO_FEATURES = (*ITEM_RULES, *LEVEL_RULES, DISCONTINUED)
"""Columns of the items that forecasters do not learn from."""


MOST_NAMED = 5
"""Items that faults name before they only count."""


def impossible_orders(
    names: Sequence[str] | None,
    minimum: ArrayLike | None,
    maximum: ArrayLike | None,
    pack_size: ArrayLike | None,
) -> list[tuple[int, str]]:
    """Return which items can never be ordered, and why, with the values and the remedy.

    Args:
        names: of the items, as messages call them; None: "item 0", "item 1", ….
        minimum: as in `no_order_possible`; where it has more axes than items, these stand last.
        maximum: likewise.
        pack_size: likewise.

    Returns:
        (position, message) of each such item; one position 0 where all values are single numbers.

    >>> impossible_orders(["'tea'", "'mug'"], 7, [11, 12], 6)
    [(0, "item 'tea' can never be ordered: pack_size 6 has no multiple in [7, 11]; correct pack_size, minimum_order or \
maximum_order")]
    """
    stuck = np.asarray(no_order_possible(minimum, maximum, pack_size))
    given = (pack_size, minimum, maximum)
    pack, low, high = (
        np.broadcast_to(np.asarray(np.nan if x is None else x, dtype=np.float64), stuck.shape) for x in given
    )
    found = {}
    for at in np.ndindex(stuck.shape):
        if not stuck[at] or (at or (0,))[-1] in found:
            continue
        position = (at or (0,))[-1]
        least = float(np.nan_to_num(low[at]))
        if least > high[at]:
            why = f"minimum_order {least:g} exceeds maximum_order {high[at]:g}; correct one of them"
        else:
            limits = f"({least:g}, {high[at]:g}]" if least == 0 else f"[{least:g}, {high[at]:g}]"
            why = (
                f"pack_size {pack[at]:g} has no multiple in {limits}; correct pack_size, minimum_order or maximum_order"
            )
        single = names is None and not stuck.shape
        name = "" if single else f"item {position if names is None else names[position]} "
        found[position] = f"{name}can never be ordered: {why}" if name else f"no order is possible: {why}"
    return sorted(found.items())


def no_order_possible(
    minimum: ArrayLike | None, maximum: ArrayLike | None, pack_size: ArrayLike | None
) -> BoolArray | np.bool_:
    """Return where the order rules leave no order but zero: no multiple of the pack lies between the limits.

    Args:
        minimum: smallest order that is not zero, units; None or NaN = none.
        maximum: largest order, units; None, NaN or infinity = none.
        pack_size: units; None or NaN = any quantity.
    """
    least = np.nan_to_num(np.asarray(0.0 if minimum is None else minimum, dtype=np.float64), nan=0.0)
    most = np.asarray(np.inf if maximum is None else maximum, dtype=np.float64)
    most = np.where(np.isnan(most), np.inf, most)
    if pack_size is None:
        return least > most
    pack = np.asarray(pack_size, dtype=np.float64)
    packed = np.isfinite(pack) & (pack > 0)
    pack = np.where(packed, pack, 1.0)
    # A quantity that is whole packs but for rounding counts as whole packs.
    up = np.maximum(np.ceil(least / pack - 1e-9), 1.0) * pack
    down = np.floor(most / pack + 1e-9) * pack
    return np.where(packed, up, least) > np.where(packed, down, most)
