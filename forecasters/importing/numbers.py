"""Numbers as people write them: decimal commas, thousands, minus signs at either end, currencies, percent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from .findings import Choice, Findings
from .table import RawColumn

NOTHING = frozenset(
    [
        *("", "-", "--", "–", "—", ".", "/", "n/a", "na", "n.a.", "#n/a", "#nv", "nan", "null", "none", "nil", "<na>"),
        *(
            "geschlossen",
            "geschl.",
            "ruhetag",
            "closed",
            "fermé",
            "cerrado",
            "chiuso",
            "zamknięte",
            "gesloten",
            "fechado",
        ),
        *("k.a.", "k. a.", "missing", "leer", "empty", "keine", "(blank)", "(leer)", "s/d", "n.d.", "nd", "brak", "?"),
    ]
)
"""Words that stand for nothing where a number or a date should be, in small letters."""
_UNITS = (
    r"(?:stk|stck|stück|st|pcs|pc|units?|ea|uds?|pz|szt|x|kg|l|%|€|\$|£|¥|₹|zł|kr|chf|eur|usd|gbp|pln|sek|dkk|nok|czk)"
)
_MONEY = re.compile(rf"^{_UNITS}\.?\s*|\s*{_UNITS}\.?$", re.IGNORECASE)
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2009\u202f'’´](?=\d{3}(?!\d))")
_PLAIN = re.compile(
    r"[+-]?(?:\d+[.,]?|\d*[.,]\d+|\d{1,3}(?:\.\d{3})+(?:,\d*)?|\d{1,3}(?:,\d{3})+(?:\.\d*)?)(?:e[+-]?\d+)?",
    re.IGNORECASE,
)
_UNSETTLED = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_MOST_READ = 3_000
"""Distinct values that are looked at to tell what a column holds."""


class Marks(NamedTuple):
    """What the values of a file tell of its decimal mark: how many prove a point, a comma, or leave it open."""

    point: int = 0
    comma: int = 0
    unsettled: int = 0
    example: str = ""


def bare(text: str) -> str:
    """Return a number as digits with a leading minus, without currency, units and blanks between thousands."""
    text = text.strip().replace("\u2212", "-").replace("–", "-").replace("\u00a0", " ")
    negative = text.startswith("(") and text.endswith(")")
    text = text[1:-1].strip() if negative else text
    if text.endswith("-") and len(text) > 1:
        negative, text = True, text[:-1].rstrip()
    if text.startswith(("-", "+")):
        negative, text = negative or text[0] == "-", text[1:].lstrip()
    if text and not (text[0].isdigit() and text[-1].isdigit()):
        text = _MONEY.sub("", text).strip()
        if text.startswith(("-", "+")):
            negative, text = negative or text[0] == "-", text[1:].lstrip()
    return ("-" if negative else "") + _SPACES.sub("", text)


def looks_numeric(text: str) -> bool:
    """Say whether a text is a number, whichever its decimal mark."""
    return bool(_PLAIN.fullmatch(bare(text)))


def is_nothing(text: str) -> bool:
    """Say whether a text stands for nothing."""
    return text.strip().casefold() in NOTHING


def share_of_numbers(column: RawColumn) -> float:
    """Return the share of the distinct values, those for nothing left out, that are numbers."""
    values = [value for value in column.values[:_MOST_READ] if not (isinstance(value, str) and is_nothing(value))]
    if not values:
        return 0.0
    good = sum(looks_numeric(v) if isinstance(v, str) else isinstance(v, int | float) for v in values)
    return good / len(values)


def marks_of(values: Iterable[Any]) -> Marks:
    """Return what the distinct values of columns of numbers tell of the decimal mark."""
    point = comma = unsettled = 0
    example = ""
    for value in values:
        if not isinstance(value, str) or not ("." in value or "," in value):
            continue
        text = bare(value)
        signs = [sign for sign in text if sign in ".,"]
        if not signs or not _PLAIN.fullmatch(text):
            continue
        if len(set(signs)) == 2:
            decimal = signs[-1]
        elif _UNSETTLED.fullmatch(text):
            unsettled, example = unsettled + 1, example or value
            continue
        elif len(signs) > 1:
            decimal = "," if signs[0] == "." else "."
        else:
            decimal = signs[0]
        point, comma = point + (decimal == "."), comma + (decimal == ",")
    return Marks(point, comma, unsettled, example)


def find_decimal(columns: Iterable[RawColumn], given: str | None, findings: Findings) -> str:
    """Return the decimal mark of a file, from all its columns of numbers together.

    Args:
        columns: of numbers.
        given: what the caller says; None leaves it to be found.
        findings: what was found.
    """
    if given is not None:
        findings.say("decimal", f"decimal {_word(given)}", "given", decimal=given)
        return given
    each = {column.name: marks_of(column.values) for column in columns}
    point, comma = sum(m.point for m in each.values()), sum(m.comma for m in each.values())
    unsettled = next(((name, m.example) for name, m in each.items() if m.unsettled), None)
    if point and comma:
        here = next(name for name, m in each.items() if m.comma)
        there = next(name for name, m in each.items() if m.point)
        findings.fault(
            f"{here!r} has decimal commas and {there!r} decimal points ({comma} and {point} distinct values); give "
            "--decimal for the file's own, or write one of them"
        )
    elif unsettled is not None and not (point or comma):
        name, example = unsettled
        digits = bare(example)
        sign = "," if "," in digits else "."
        part, whole = digits.replace(",", "."), re.sub("[.,]", "", digits)
        other = "." if sign == "," else ","
        findings.ask(
            "decimal",
            f"{name!r} has {example!r}, which may be {float(part):g} or {int(whole):,}, and nothing in it decides",
            Choice({"decimal": other}, f"{int(whole)}"),
            Choice({"decimal": sign}, f"{float(part):g}"),
        )
        return other
    decimal = "," if comma > point else "."
    if comma > point:
        findings.say("decimal", "decimal comma", decimal=",")
    elif point:
        findings.say("decimal", "decimal point", decimal=".")
    return decimal


def _word(decimal: str) -> str:
    return "comma" if decimal == "," else "point"


def parse_numbers(values: NDArray[np.object_], decimal: str) -> tuple[FloatArray, BoolArray]:
    """Read distinct values as numbers.

    Args:
        values: text, numbers or anything else.
        decimal: the mark.

    Returns:
        The numbers, NaN for nothing, and True where a value is neither a number nor nothing, each (distinct,).
    """
    wrong = np.zeros(len(values), dtype=bool)
    # Most are plain digits, read at once; a mark that may be one of thousands is not.
    numbers = np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), dtype=np.float64)
    numbers[np.isinf(numbers)] = np.nan
    rest = np.isnan(numbers) if decimal == "." else np.isnan(numbers) | (numbers != np.floor(numbers))
    if decimal == ",":
        rest |= np.array([isinstance(value, str) and "." in value for value in values], dtype=bool)
    for at, value in zip(np.flatnonzero(rest), values[rest], strict=True):
        numbers[at] = np.nan
        if isinstance(value, float | int):
            numbers[at], wrong[at] = float(value), np.isinf(value)
        elif isinstance(value, str):
            number = parse_number(value, decimal)
            wrong[at] = number is None
            numbers[at] = np.nan if number is None else number
        else:
            wrong[at] = True
    return numbers, wrong


def parse_number(value: str, decimal: str) -> float | None:
    """Return a text as a number, NaN for nothing, None for anything else.

    >>> parse_number("1.234,5", ","), parse_number("(5)", "."), parse_number("12 %", "."), parse_number("1'234-", ".")
    (1234.5, -5.0, 0.12, -1234.0)
    """
    try:  # most are plain
        if decimal == "." and "_" not in value:
            return float(value) if "inf" not in value.lower() else None
    except ValueError:
        pass
    if is_nothing(value):
        return np.nan
    text = bare(value)
    if not _PLAIN.fullmatch(text):
        return None
    other = "," if decimal == "." else "."
    if text.count(other) and not _grouped(text.lstrip("-"), decimal, other):
        return None
    text = text.replace(other, "").replace(",", ".")
    if text.count(".") > 1:
        return None
    number = float(text)
    return number / 100 if "%" in value else number


def _grouped(text: str, decimal: str, other: str) -> bool:
    """Say whether the other mark stands between groups of three digits before the decimal mark alone."""
    whole, _, part = text.partition(decimal)
    groups = whole.split(other)
    return other not in part and 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
