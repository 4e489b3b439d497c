"""Numbers, names and periods as text for readers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any

UNITS = {"W": "week", "D": "day", "B": "business day", "M": "month", "Q": "quarter", "Y": "year", "H": "hour"}
"""First letter of a pandas frequency, and what a period is called then."""
PERIODS_A_YEAR = {"W": 365.25 / 7, "D": 365.25, "B": 365.25 * 5 / 7, "M": 12.0, "Q": 4.0, "Y": 1.0, "H": 24 * 365.25}
"""Periods that a year has, by the first letter of their pandas frequency."""
MINUS, NO_BREAK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def label(name: str) -> str:
    """Return a name for readers: without underscores, and of a class of the user's own only its name.

    >>> label("tuned_newsvendor"), label("my_company.buying:MyPolicy")
    ('tuned newsvendor', 'MyPolicy')
    """
    return name.rpartition(":")[2] if ":" in name else name.replace("_", " ")


def the_policy(name: str) -> str:
    """Return a policy in a sentence; what the user does today is theirs.

    >>> the_policy("tuned_newsvendor"), the_policy("own_orders")
    ('the tuned newsvendor policy', 'your own orders')
    """
    return f"your {label(name)}" if name.startswith("own_") else f"the {label(name)} policy"


def note_lines(notes: Iterable[str], width: int = 100) -> list[str]:
    """Return notes as paragraphs for a terminal.

    >>> note_lines(["mine: no forecasts before the held-out periods"])
    ['note: mine: no forecasts before the held-out periods']
    """
    return [textwrap.fill(f"note: {note}", width) for note in notes]


def period_of(freq: str | None, number: int = 2) -> str:
    """Return the word for periods of a frequency.

    >>> period_of("W-MON"), period_of("D", 1), period_of(None)
    ('weeks', 'day', 'periods')
    """
    word = UNITS.get((freq or "?").lstrip("0123456789")[:1].upper(), "period")
    return word if number == 1 else f"{word}s"


def periods_a_year(freq: str | None) -> float | None:
    """Return how many periods of a frequency a year has; None where that is not known.

    >>> round(periods_a_year("W-MON"), 2), periods_a_year("MS"), periods_a_year("2D"), periods_a_year(None)
    (52.18, 12.0, 182.625, None)
    """
    text = freq or ""
    name = text.lstrip("0123456789")
    year = PERIODS_A_YEAR.get(name[:1].upper())
    return None if year is None else year / int(text[: len(text) - len(name)] or 1)


def money(value: Any, currency: str | None = None, digits: int = 3) -> str:
    r"""Return an amount for readers, rounded to so many digits, with its currency where one is known.

    >>> money(1234.4, "EUR"), money(-0.5), money(float("nan"), "EUR")
    ('1,230\xa0EUR', '−0.5', '–')
    """
    shown = number(_rounded(value, digits), digits)
    return f"{shown}{NO_BREAK}{currency}" if currency and shown != "–" else shown


def money_interval(low: Any, high: Any, digits: int = 3) -> str:
    """Return an interval of amounts.

    >>> money_interval(-12.34, 1234.0)
    '[−12.3, 1,230]'
    """
    return f"[{money(low, digits=digits)}, {money(high, digits=digits)}]"


def number(value: Any, digits: int = 4) -> str:
    """Return a number with thousands separators and about so many digits; a dash where there is none.

    >>> number(1234567.8), number(12.3456), number(-0.5), number(float("nan"))
    ('1,234,568', '12.35', '−0.5', '–')
    """
    value = float("nan") if value is None else float(value)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    text = f"{abs(value):,.{min(places, 6)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text and abs(value) < 1 else text
    return MINUS + text if value < 0 and float(text.replace(",", "")) else text


def column(values: Iterable[Any], digits: int = 5) -> list[str]:
    """Return numbers for one column, all with the same decimals: two at most, more where all are small.

    >>> column([1328.04, 743.61, 0.0]), column([0.0123, 0.5], 3)
    (['1,328.0', '743.6', '0.0'], ['0.012', '0.500'])
    """
    numbers = [float("nan") if value is None else float(value) for value in values]
    top = max((abs(value) for value in numbers if math.isfinite(value)), default=0.0)
    places = digits - 1 - math.floor(math.log10(top)) if top else 0
    places = max(0, min(places, 2 if top >= 1 else 6))
    return [_fixed(value, places) if math.isfinite(value) else number(value) for value in numbers]


def tick(value: float) -> str:
    """Return a number on an axis.

    >>> tick(-1400.0), tick(0.1 + 0.2)
    ('−1,400', '0.3')
    """
    return f"{value:,.10g}".replace("-", MINUS)


def percent(share: Any, places: int = 1) -> str:
    r"""Return a share as text, with a space that does not break.

    >>> percent(0.1234), percent(-0.02), percent(float("-inf"))
    ('12.3\xa0%', '−2.0\xa0%', '−∞\xa0%')
    """
    return f"{_points(share, places)}{NO_BREAK}%"


def interval(low: Any, high: Any) -> str:
    """Return an interval of shares as text, in per cent.

    >>> interval(-0.103, 0.186)
    '[−10.3, 18.6]'
    """
    return f"[{_points(low)}, {_points(high)}]"


def saving_text(row: Any) -> str:
    """Return the saving of a row with its interval, in per cent, as tables and prose in plain text have it.

    Args:
        row: with saving, saving_low and saving_high, shares.

    >>> saving_text({"saving": 0.09, "saving_low": 0.086, "saving_high": 0.094})
    '9.0 % [8.6, 9.4]'
    """
    saving, low, high = (100 * float(row[name]) for name in ("saving", "saving_low", "saving_high"))
    return f"{saving:.1f} % [{low:.1f}, {high:.1f}]"


def saves(share: float, low: float, high: float) -> str:
    r"""Return that something saves a share, or costs one more, with its interval.

    >>> saves(0.05, 0.01, 0.09), saves(-0.05, -0.09, -0.01)
    ('saves 5.0\xa0% [1.0, 9.0]', 'costs 5.0\xa0% [1.0, 9.0] more')
    """
    if share >= 0:
        return f"saves {percent(share)} {interval(low, high)}"
    return f"costs {percent(-share)} {interval(-high, -low)} more"  # the ends change places


def capitalise(text: str) -> str:
    """Return a text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


def join_words(words: Sequence[str]) -> str:
    """Return words as a list.

    >>> join_words(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def align_columns(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Return a table in text as lines: the heading, a rule, and the rows.

    Args:
        rows: cells, the heading first.
        left: columns that begin at their left edge; all others end at their right one.

    >>> align_columns([("policy", "cost"), ("ss", "10")])
    ['policy  cost', '------------', 'ss        10']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        lines.append("  ".join(c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _rounded(value: Any, digits: int) -> float:
    return float(f"{float('nan') if value is None else float(value):.{digits}g}")


def _points(share: Any, places: int = 1) -> str:
    value = float("nan") if share is None else 100.0 * float(share)
    if not math.isfinite(value):
        return number(value)
    return _fixed(value, places)


def _fixed(value: float, places: int) -> str:
    text = f"{abs(value):,.{places}f}"
    return MINUS + text if value < 0 and float(text.replace(",", "")) else text
