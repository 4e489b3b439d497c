"""Numbers, names and periods as text for readers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

UNITS = {"W": "week", "D": "day", "B": "business day", "M": "month", "Q": "quarter", "Y": "year", "H": "hour"}
"""First letter of a pandas frequency, and what a period is called then."""
MINUS, NO_BREAK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def label(name: str) -> str:
    """Return a name without underscores: "tuned newsvendor"."""
    return name.replace("_", " ")


def period_of(freq: str | None, number: int = 2) -> str:
    """Return the word for periods of a frequency.

    >>> period_of("W-MON"), period_of("D", 1), period_of(None)
    ('weeks', 'day', 'periods')
    """
    word = UNITS.get((freq or "?").lstrip("0123456789")[:1].upper(), "period")
    return word if number == 1 else f"{word}s"


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


def capitalise(text: str) -> str:
    """Return a text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


def join_words(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _points(share: Any, places: int = 1) -> str:
    value = float("nan") if share is None else 100.0 * float(share)
    if not math.isfinite(value):
        return number(value)
    return _fixed(value, places)


def _fixed(value: float, places: int) -> str:
    text = f"{abs(value):,.{places}f}"
    return MINUS + text if value < 0 and float(text.replace(",", "")) else text
