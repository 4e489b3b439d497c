"""Which column is which: by the caller's word, by its name, or by its content where one column alone fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from .days import share_of_dates
from .findings import Choice, Findings, Options, unknown_column
from .numbers import share_of_numbers
from .table import RawColumn, RawTable
from .vocabulary import ROLES, is_covariate, is_money, is_place, strength

_CLOSE = 15
"""Names whose strengths lie this close are rivals."""
_ENOUGH = 0.75
"""Share of a column's distinct values that must be dates or numbers; the rest may be totals and remarks."""
_SURE, _SOME = 95, 0.2
"""A column that is surely named needs this share alone: what does not fit is a fault of its cells."""
_MOST_CHOICES, _MOST_NAMED = 4, 12
_NUMBERED = re.compile(r".+_\d")


@dataclass(frozen=True)
class Roles:
    """Columns of a table by what they are.

    Attributes:
        key: columns that name the item together; empty where the file is about one item.
        date: the column of dates; "" in a wide table.
        sales: the column of units; "" in a wide table.
        optional: our names to the file's, of the columns that need not be there.
    """

    key: tuple[str, ...]
    date: str
    sales: str
    optional: Mapping[str, str]

    @property
    def used(self) -> tuple[str, ...]:
        """All columns that have a role."""
        return tuple(name for name in (*self.key, self.date, self.sales, *self.optional.values()) if name)


def check_names(table: RawTable, options: Options, findings: Findings) -> bool:
    """Add a fault for each column that the caller names and that is not there; return whether all are."""
    named = [(theirs, f"--column {ours}={theirs}") for ours, theirs in options.columns.items()]
    named += [(name, f"--item {options.item}") for name in options.key if options.item is not None]
    named += [(name, "--leave-out") for name in options.leave_out] + [(name, "--text") for name in options.text]
    wrong = [(name, what) for name, what in named if name not in table.names]
    for name, what in wrong:
        findings.fault(unknown_column(name, [known for known in table.names if known], what))
    return not wrong


def find_roles(
    table: RawTable, options: Options, findings: Findings, *, wide: Sequence[str] = (), turned: Sequence[str] = ()
) -> Roles:
    """Return the roles of a table's columns; what is not settled is asked.

    Args:
        table: as read.
        options: what the caller settled.
        findings: what was found.
        wide: columns of a wide table that are dates; then neither dates nor sales are looked for.
        turned: columns that may each be an item, which is asked where no other column is sure to be the units.
    """
    free = [c for c in table.columns if c.name not in wide and c.name not in options.columns.values()]
    free = [c for c in free if c.name not in options.key]
    date = sales = ""
    if not wide:
        date = options.columns.get("date") or _find_date(free, table, findings)
        sales = options.columns.get("sales") or _find_sales(
            [c for c in free if c.name != date], table, findings, turned
        )
    optional = find_optional([c for c in free if c.name not in (date, sales)], options, findings)
    taken = (date, sales, *optional.values())
    key = options.key or _find_item([c for c in free if c.name not in taken], table, date, findings)
    roles = Roles(tuple(key), date, sales, optional)
    _say(roles, options, findings)
    return roles


def named_candidates(columns: Sequence[RawColumn], role: str) -> list[tuple[int, RawColumn]]:
    """Return columns whose names have a role, the surest first."""
    names = {column.name for column in columns}
    # The second of two columns of one name is numbered.
    bare = [column.name.rpartition("_")[0] if _NUMBERED.fullmatch(column.name) else "" for column in columns]
    found = [(strength(b if b in names else c.name, role), c) for b, c in zip(bare, columns, strict=True)]
    return sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])


def _find_date(columns: Sequence[RawColumn], table: RawTable, findings: Findings) -> str:
    named = [
        (s, c)
        for s, c in named_candidates(columns, "date")
        if share_of_dates(c, bare_numbers=True) >= (_ENOUGH if s < _SURE else _SOME)
    ]
    if named:
        return _take(named, "date", "dates", findings, table)
    dated = [c for c in columns if share_of_dates(c, bare_numbers=False) >= _ENOUGH]
    if len(dated) == 1:
        findings.say("by_content", f"{dated[0].name!r} holds the only dates", column=dated[0].name)
    maybe = [c for c in columns if share_of_dates(c, bare_numbers=True) > 0]
    return _take([(1, c) for c in dated], "date", "dates", findings, table, others=maybe)


def _find_sales(columns: Sequence[RawColumn], table: RawTable, findings: Findings, turned: Sequence[str] = ()) -> str:
    numeric = [c for c in columns if share_of_numbers(c) >= _ENOUGH]
    named = [
        (s, c)
        for s, c in named_candidates(columns, "sales")
        if share_of_numbers(c) >= (_ENOUGH if s < _SURE else _SOME)
    ]
    if named:
        return _take(named, "sales", "units sold", findings, table)
    left = [
        c for c in numeric
        if c.name and not (is_money(c.name) or is_covariate(c.name) or is_place(c.name))
        and not any(strength(c.name, role) for role in ROLES if role != "sales")
    ]  # fmt: skip
    if len(left) == 1:
        findings.say("by_content", f"{left[0].name!r} is the only column of numbers left", column=left[0].name)
    maybe = [c for c in columns if share_of_numbers(c) >= _SOME and not is_covariate(c.name)]
    return _take([(1, c) for c in left], "sales", "units sold", findings, table, others=maybe, turned=turned)


def _take(
    found: Sequence[tuple[int, RawColumn]],
    role: str,
    what: str,
    findings: Findings,
    table: RawTable,
    others: Sequence[RawColumn] = (),
    turned: Sequence[str] = (),
) -> str:
    """Return the surest column; ask where others are as sure, or none is there."""
    wide = [Choice({"layout": "wide"}, f"each of {len(turned):,} columns is an item, {_few(turned)}")] if turned else []
    if not found:
        choices = [Choice({"columns": {role: c.name}}, _glance(c)) for c in others if c.name][:_MOST_CHOICES]
        if choices:
            findings.ask("columns", f"no column is recognised as {what}", *wide, *choices)
        else:
            names = ", ".join(repr(c.name) for c in table.columns[:_MOST_NAMED])
            findings.fault(
                f"no column holds {what} (columns {names}{' …' * (len(table.columns) > _MOST_NAMED)}); add one"
            )
        return ""
    best = found[0][0]
    rivals = [column for points, column in found if best - points <= _CLOSE]
    # Two of one name and one content are one.
    rivals = [c for c in rivals if c is rivals[0] or not (_same_name(c, rivals[0]) and _alike(c, rivals[0]))]
    if len(rivals) > 1:
        names = ", ".join(repr(column.name) for column in rivals[:_MOST_NAMED])
        choices = [Choice({"columns": {role: c.name}}, _glance(c)) for c in rivals[:_MOST_CHOICES]]
        names += " …" * (len(rivals) > _MOST_NAMED)
        findings.ask("columns", f"columns {names} may all be {what}", *wide, *choices)
    return found[0][1].name


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + " …" * (len(names) > 3)


def _same_name(one: RawColumn, other: RawColumn) -> bool:
    """Say whether the header has a name twice; the second is then numbered."""
    return one.name.rpartition("_")[0] == other.name and _NUMBERED.fullmatch(one.name) is not None


def _alike(one: RawColumn, other: RawColumn) -> bool:
    return bool((one.with_nothing()[one.codes] == other.with_nothing()[other.codes]).all())


def _glance(column: RawColumn) -> str:
    return "it holds " + ", ".join(str(value)[:20] for value in column.values[:3])


def find_optional(columns: Sequence[RawColumn], options: Options, findings: Findings) -> dict[str, str]:
    """Return optional columns by our name; of rivals none is taken, for a covariate does as well under its own name."""
    found = {ours: theirs for ours, theirs in options.columns.items() if ours not in ("item_id", "date", "sales")}
    for role in ROLES[3:]:
        named = named_candidates(columns, role)
        if role == "price":
            named = [(points, c) for points, c in named if share_of_numbers(c) >= _ENOUGH]
        if role in found or not named:
            continue
        rivals = [column for points, column in named if named[0][0] - points <= 5]
        if len(rivals) == 1:
            found[role] = rivals[0].name
        else:
            names = ", ".join(repr(column.name) for column in rivals[:_MOST_CHOICES])
            findings.say("rivals", f"{names} may each be {role}: none is taken for it (--column {role}=... names one)")
    return found


def _find_item(columns: Sequence[RawColumn], table: RawTable, date: str, findings: Findings) -> tuple[str, ...]:
    # A long table repeats its items; what differs in every row is a number of the row.
    named = [(s, c) for s, c in named_candidates(columns, "item_id") if not (date and _all_different(c, table))]
    if named:
        return _item_of(named, findings)
    places = [c for c in columns if is_place(c.name)]
    texts = [c for c in columns if share_of_numbers(c) < _ENOUGH and not is_place(c.name)]
    if len(places) == 1 and (not texts or _unique_by(places[0], table, date)):
        return (places[0].name,)
    texts = [c for c in texts if not (date and determines(table.column(date), c))] if len(texts) > 1 else texts
    if len(texts) == 1:
        findings.say("by_content", f"{texts[0].name!r} is the only column of words left", column=texts[0].name)
        return (texts[0].name,)
    candidates = [*texts, *places]
    if candidates:
        names = ", ".join(repr(c.name) for c in candidates[:_MOST_CHOICES])
        choices = [Choice({"item": c.name}, _glance(c)) for c in candidates[:_MOST_CHOICES]]
        findings.ask("item", f"columns {names} may all name the item, alone or together", *choices)
        return (candidates[0].name,)
    if date and _all_different(table.column(date), table):
        return ()
    numbers = [c for c in columns if c.name][:_MOST_CHOICES]
    if numbers:
        choices = [Choice({"item": c.name}, _glance(c)) for c in numbers]
        findings.ask("item", "no column is recognised as the item", *choices)
    else:
        findings.fault("has no column that names the item, and dates stand more than once; add one")
    return ()


def _item_of(named: Sequence[tuple[int, RawColumn]], findings: Findings) -> tuple[str, ...]:
    """Return the item's column; of rivals one is enough where both divide the rows alike, else it is asked."""
    best, first = named[0]
    rivals = [c for points, c in named[1:] if best - points <= _CLOSE]
    unlike = [c for c in rivals if not (determines(first, c) and determines(c, first))]
    if unlike:
        names = " and ".join(repr(c.name) for c in (first, *unlike))
        choices = [
            Choice({"columns": {"item_id": c.name}}, f"{len(c.present()):,} items")
            for c in (first, *unlike)[:_MOST_CHOICES]
        ]
        findings.ask("item", f"columns {names} may all name the item", *choices)
    return (first.name,)


def determines(one: RawColumn, other: RawColumn) -> bool:
    """Say whether the cell of one column settles that of the other."""
    pairs = one.codes * (len(other.values) + 1) + other.codes + 1
    return len(pd.unique(pairs)) == len(pd.unique(one.codes))


def _all_different(column: RawColumn, table: RawTable) -> bool:
    return table.rows > 1 and len(column.values) == table.rows


def _unique_by(column: RawColumn, table: RawTable, date: str) -> bool:
    if not date:
        return False
    day = table.column(date)
    return len(pd.unique(column.codes * (len(day.values) + 1) + day.codes + 1)) == table.rows


def _say(roles: Roles, options: Options, findings: Findings) -> None:
    shown = {"item_id": "+".join(roles.key), "date": roles.date, "sales": roles.sales, **roles.optional}
    shown = {ours: theirs for ours, theirs in shown.items() if theirs}
    how = "given" if set(options.columns) >= set(shown) else "recognised"
    text = ", ".join(f"{ours} = {theirs}" if ours != theirs else ours for ours, theirs in shown.items())
    findings.say("columns", text or "one item", how, columns=shown)
