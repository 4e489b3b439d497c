"""Tables that hold several measures (units, revenue, stock) one below or beside the other: units are kept."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from .dates import readings
from .findings import Findings, Options
from .table import RawColumn, RawTable, text_of
from .vocabulary import is_other_measure, strength

_MOST_MEASURES, _FEWEST_DATES = 12, 3


def keep_units(table: RawTable, options: Options, findings: Findings) -> RawTable:
    """Leave out the rows and the columns of other measures, where their names say which are units and which are not.

    Args:
        table: cleaned.
        options: columns that the caller named stay.
        findings: what was found.
    """
    wanted = {*options.key, *options.columns.values(), *options.text}
    for column in table.columns:
        if column.name in wanted or not 2 <= len(column.values) <= _MOST_MEASURES:
            continue
        units = _units_among([text_of(value) for value in column.present()])
        if units:
            kept = np.array([text_of(value) == units for value in column.values], dtype=bool)
            others = ", ".join(repr(text_of(v)) for v in column.values[~kept])
            findings.say("left_out", f"rows of {others} in {column.name!r}: {units!r} are the units", measure=units)
            return table.keep(column.spread(kept, False)).drop([column.name])
    return _keep_columns(table, findings)


def _units_among(words: list[str]) -> str:
    """Return the one word for units among words for measures; "" where they are not that."""
    units = [word for word in words if strength(word, "sales") and not is_other_measure(word)]
    rest = [word for word in words if word not in units]
    return units[0] if len(units) == 1 and rest and all(map(is_other_measure, rest)) else ""


def _keep_columns(table: RawTable, findings: Findings) -> RawTable:
    """Keep the columns of units of a table with several measures a date, and name them by their dates."""
    groups: dict[str, dict[str, str]] = {}
    for name in table.names:
        for cut in re.finditer(r"[\s:_|/-]+", name):
            for word, day in ((name[: cut.start()], name[cut.end() :]), (name[cut.end() :], name[: cut.start()])):
                if word and not any(sign.isdigit() for sign in word) and readings(day):
                    groups.setdefault(word, {})[name] = day
    groups = {word: named for word, named in groups.items() if len(named) >= _FEWEST_DATES}
    units = _units_among(list(groups))
    if not units:
        return table
    gone = [name for word, named in groups.items() if word != units for name in named]
    others = ", ".join(repr(word) for word in groups if word != units)
    findings.say("left_out", f"{len(gone):,} columns of {others}: {units!r} are the units", measure=units, names=gone)
    renamed: list[RawColumn] = [replace(c, name=groups[units].get(c.name, c.name)) for c in table.drop(gone).columns]
    return replace(table, columns=tuple(renamed))
