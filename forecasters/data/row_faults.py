"""Messages on rows of a table that know their parts, so that those of the slices of a table can be put together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Self

from ...errors import shorten

MOST_LISTED = 3
"""How many lines, values or items a message names before it only counts."""
MOST_OTHERS = 15
"""Messages without parts that are kept of all slices."""


def listing(names: Collection[str], count: int | None = None) -> str:
    """Name the first few and count the rest: `'a', 'b', 'c' and 4 more`.

    Args:
        names: all, or the first few.
        count: of all; `len(names)` where None.
    """
    count = len(names) if count is None else count
    shown = ", ".join(repr(shorten(str(name))) for name in list(names)[:MOST_LISTED])
    return shown + (f" and {count - MOST_LISTED:,} more" if count > MOST_LISTED else "")


class RowFault(str):
    """A fault of some rows of a table.

    Args:
        name: what messages call the table.
        unit: "line" or "row".
        rule: that the rows break.
        remedy: what to do.
        rows: numbers of the first few.
        count: of all.
        got: the first few values, as they are shown; None where none are.
        whose: items of the rows; none where they are not named.
    """

    def __new__(
        cls,
        name: str,
        unit: str,
        rule: str,
        remedy: str,
        rows: tuple[int, ...],
        count: int,
        got: tuple[str, ...] | None,
        whose: tuple[str, ...] = (),
    ) -> Self:
        """Write the message."""
        where = f"{unit}{'s' if count > 1 else ''} {', '.join(map(str, rows))}"
        where += f" ({count:,} in all)" if count > MOST_LISTED else ""
        items = f" for {listing(whose)}" if whose else ""
        shown = "" if got is None else ", got " + ", ".join(got)
        made = super().__new__(cls, f"{name}: {where}: {rule}{items}{shown}; {remedy}")
        made.parts = (name, unit, rule, remedy, rows, count, got, whose)
        return made

    parts: tuple[str, str, str, str, tuple[int, ...], int, tuple[str, ...] | None, tuple[str, ...]]

    @property
    def key(self) -> tuple[Any, ...]:
        """What faults of the same kind have in common."""
        return self.parts[:4]

    def with_later(self, other: Self) -> Self:
        """Return the fault of the rows of both; the other's come later."""
        name, unit, rule, remedy, rows, count, got, whose = self.parts
        rows = tuple(sorted((*rows, *other.parts[4]))[:MOST_LISTED])
        if got is not None and other.parts[6] is not None:
            got = tuple(dict.fromkeys((*got, *other.parts[6])))[:MOST_LISTED]
        items = tuple(dict.fromkeys((*whose, *other.parts[7])))
        return type(self)(name, unit, rule, remedy, rows, count + other.parts[5], got, items)


@dataclass(frozen=True)
class Gaps:
    """Rows that are missing after the first ones of items.

    Attributes:
        shown: of the first few items, each with the day of its first missing row and the number of all.
        items: number of all items with missing rows.
        rows: number of all missing rows.
        at_end: whether rows are missing up to the history's end.
    """

    shown: tuple[tuple[str, Any, int], ...]
    items: int
    rows: int
    at_end: bool


class GapFault(str):
    """The fault of missing rows.

    Args:
        name: what messages call the table.
        gaps: what is missing.
    """

    def __new__(cls, name: str, gaps: Gaps) -> Self:
        """Write the message."""
        shown = ", ".join(
            f"item {shorten(item)!r} from {day} on ({count:,})" for item, day, count in gaps.shown[:MOST_LISTED]
        )
        more = f" and {gaps.items - MOST_LISTED:,} more items" if gaps.items > MOST_LISTED else ""
        what = f"{gaps.rows:,} rows are missing after the items' first ones: {shown}{more}"
        remedy = 'add them, or set missing to "zero" (nothing was sold) or "unknown" (it could not be bought)'
        if gaps.at_end:
            remedy += "; items that are sold no more have their date in the items' column 'discontinued'"
        made = super().__new__(cls, f"{name}: {what}; {remedy}")
        made.name, made.gaps = name, gaps
        return made

    name: str
    gaps: Gaps

    @property
    def key(self) -> tuple[Any, ...]:
        """What faults of the same kind have in common."""
        return (self.name, "gaps")

    def with_later(self, other: Self) -> Self:
        """Return the fault of the items of both; the other's come later."""
        mine, theirs = self.gaps, other.gaps
        shown = (*mine.shown, *theirs.shown)[:MOST_LISTED]
        gaps = Gaps(shown, mine.items + theirs.items, mine.rows + theirs.rows, mine.at_end or theirs.at_end)
        return type(self)(self.name, gaps)


def join_faults(messages: Iterable[str]) -> list[str]:
    """Return the faults of a table from those of its slices, which are given in order.

    Faults of rows and missing rows are added up; any other message stands once, and beyond `MOST_OTHERS` they are only
    counted.

    >>> early, late = (RowFault("h", "row", "sales must be >= 0", "mend", (row,), 1, ("-1",)) for row in (3, 9))
    >>> join_faults([early, "h: something else", late])
    ['h: rows 3, 9: sales must be >= 0, got -1; mend', 'h: something else']
    """
    found: dict[Any, str] = {}
    for message in messages:
        key = message.key if isinstance(message, RowFault | GapFault) else message
        if key not in found:
            found[key] = message
        elif isinstance(message, RowFault | GapFault):
            found[key] = found[key].with_later(message)  # type: ignore[attr-defined]
    others = [key for key in found if isinstance(key, str)]
    left_out = others[MOST_OTHERS:]
    unsaid = set(left_out)
    joined = [message for key, message in found.items() if key not in unsaid]
    return [*joined, *([f"{len(left_out):,} more faults of other items"] if left_out else [])]
