"""Names of items: kept as written, joined where several columns make one, and twins that differ by nothing one sees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .findings import Findings
from .table import INVISIBLE, RawColumn, text_of

JOINTS = ("/", "|", "+", "//")
"""What stands between the parts of a composite key: the first of these that none of its parts holds."""
_CUT_SHORT = re.compile(r"\d(?:[.,]\d+)?E\+?\d{1,2}", re.IGNORECASE)
_MOST_LISTED = 3


def named_items(columns: Sequence[RawColumn], findings: Findings) -> RawColumn:
    """Return the items of all rows: one column as written, or several joined.

    Args:
        columns: one at least.
        findings: what was found.
    """
    texts = [_as_texts(column) for column in columns]
    texts = [_without_padding(column, findings) for column in texts]
    if len(texts) == 1:
        return replace(texts[0], name="item_id")
    sign = next((s for s in JOINTS if not any(s in value for c in texts for value in c.values)), JOINTS[-1])
    empty = np.zeros(len(texts[0].codes), dtype=bool)
    for column in texts:
        empty |= ~column.filled
    codes, pairs = pd.factorize(pd.MultiIndex.from_arrays([c.codes for c in texts]))
    names = [sign.join(c.values[k] if k >= 0 else "" for c, k in zip(texts, pair, strict=True)) for pair in pairs]
    shown = "+".join(c.name for c in columns)
    findings.say("key", f"items are {shown}, e.g. {names[0]!r}", columns=[c.name for c in columns], joint=sign)
    joined = RawColumn("item_id", np.where(empty, -1, codes).astype(np.int64), np.array(names, dtype=object))
    return joined


def _as_texts(column: RawColumn) -> RawColumn:
    texts = np.array([text_of(value) for value in column.values] + [""], dtype=object)[:-1]
    codes, values = pd.factorize(texts)
    place = np.append(codes, -1)
    return RawColumn(column.name, place[column.codes], np.asarray(values, dtype=object))


def _without_padding(column: RawColumn, findings: Findings) -> RawColumn:
    """Return a column without blanks at both ends where all its cells have them: the file's layout, and no name."""
    padded = [value for value in column.values if value != value.strip()]
    if not padded or len(padded) < len(column.values):
        return column
    findings.say("ids", f"blanks around every {column.name!r} left out", "rule")
    return _as_texts(replace(column, values=np.array([*(v.strip() for v in column.values), ""], dtype=object)[:-1]))


def fill_down(items: RawColumn, day: NDArray[np.datetime64], findings: Findings) -> RawColumn:
    """Return items with empty cells filled from above, where names stand in the first row of each item alone.

    That is how merged cells are exported. It is taken for that where more than half of the cells are empty, the first
    one is not, no item stands twice, and no item has a date twice after filling.

    Args:
        items: of all rows.
        day: of all rows.
        findings: what was found.
    """
    filled = items.filled
    if not len(filled) or filled.sum() * 2 > len(filled) or not filled[0] or filled.sum() != len(items.present()):
        return items
    latest = np.maximum.accumulate(np.where(filled, np.arange(len(filled)), 0))
    codes = items.codes[latest]
    if pd.DataFrame({"item": codes, "day": day}).duplicated().any():
        return items
    count = int((~filled).sum())
    findings.say("filled", f"{count:,} empty names of items filled from the row above (merged cells)", rows=count)
    return replace(items, codes=codes)


def report_twins(items: RawColumn, findings: Findings) -> None:
    """Say which items differ by blanks, case, accents' spelling, leading zeros or signs without width alone.

    Numbers that a spreadsheet cut short (4.0E+12) are said, too.

    Args:
        items: distinct names of items that have rows.
        findings: what was found.
    """
    names = sorted(str(name) for name in items.present())
    twins = find_twins(names)
    if twins:
        findings.say(
            "ids", f"kept apart as written, but are they the same? {describe_twins(twins)}", "rule", twins=twins
        )
    cut = find_cut_short(names)
    if cut:
        findings.say("ids", describe_cut_short(cut), "rule", cut_short=cut)


def find_twins(names: Sequence[str]) -> list[list[str]]:
    """Return the names that differ by blanks, case, accents' spelling, leading zeros or signs without width alone.

    Args:
        names: distinct ones.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def describe_twins(twins: Sequence[Sequence[str]]) -> str:
    r"""Return the first groups of `find_twins`, with what cannot be seen written out, and what they differ by.

    >>> describe_twins([["tea", "Tea", "tea\u200b"]])
    "'tea' and 'Tea' and 'tea\\u200b' (they differ by case, signs without width)"
    """
    shown = ", ".join(" and ".join(_shown(name) for name in group[:3]) for group in twins[:_MOST_LISTED])
    more = f" and {len(twins) - _MOST_LISTED} more" if len(twins) > _MOST_LISTED else ""
    return f"{shown}{more} ({_differences(twins)})"


def find_cut_short(names: Sequence[str]) -> list[str]:
    """Return the names that are numbers cut short by a spreadsheet (4.0E+12)."""
    return [name for name in names if _CUT_SHORT.fullmatch(name.strip())]


def describe_cut_short(cut: Sequence[str]) -> str:
    """Return the first names of `find_cut_short`, and the remedy."""
    shown = ", ".join(map(repr, cut[:_MOST_LISTED]))
    return f"cut short by a spreadsheet, as it looks: {shown} ({len(cut)} in all): export them again as text"


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name.translate(INVISIBLE)).casefold()
    plain = "".join(plain.split())
    return (plain.lstrip("0") or "0") if plain.isdigit() else plain


def _shown(name: str) -> str:
    """Return a name with what cannot be seen written out."""
    seen = [sign.isprintable() and ord(sign) not in INVISIBLE for sign in name]
    escaped = "".join(s if shown else f"\\u{ord(s):04x}" for s, shown in zip(name, seen, strict=True))
    composed = unicodedata.normalize("NFC", name) == name
    return f"'{escaped}'" + ("" if composed else " (accents apart)")


def _differences(groups: Sequence[Sequence[str]]) -> str:
    found = []
    for word, same in (
        ("blanks", lambda n: "".join(n.split())),
        ("case", str.casefold),
        ("signs without width", lambda n: n.translate(INVISIBLE)),
        ("composed and decomposed accents", lambda n: unicodedata.normalize("NFC", n)),
        ("leading zeros", lambda n: n.lstrip("0")),
    ):
        if any(len({same(name) for name in group}) < len(group) for group in groups):
            found.append(word)
    return "they differ by " + (", ".join(found) or "spelling")
