"""What an import decided, what it has to ask, and what is wrong: collected, so that all of it is said at once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...errors import FractileError, InputError, did_you_mean

Returns = Literal["net", "drop"]
Layout = Literal["long", "wide"]

TAB = "\t"
YOUR_DATE = "YYYY-MM-DD"
"""Where a command needs a date that only the caller knows."""
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": TAB, "\\t": TAB, "pipe": "|"}
"""Separators by the words that a shell takes more easily."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "layout": ("long", "wide"),
    "returns": ("net", "drop"),
    "decimal": (".", ","),
    "missing": ("zero", "unknown"),
    "duplicates": ("add", "drop"),
}


@dataclass(frozen=True)
class Options:
    """What the caller settled; None leaves a thing to be found in the file.

    Attributes:
        layout: "long" (a row an item and date) or "wide" (a column a date, or an item).
        item: the column that names the item, or several with "+" between them: a composite key.
        returns: negative rows are netted per item and period ("net"), or left out ("drop").
        date_format: "dmy", "mdy", "ymd", "yw" (weeks), "ym" (months), words like dd.mm.yyyy, or a strptime format.
        decimal: "." or ",".
        separator: of a text file, one character or a word of `SEPARATORS`.
        encoding: of a text file.
        columns: our names to the file's.
        time_zone: whose days count, where times have offsets from UTC.
        sheet: of a workbook, or the file in a zip.
        leave_out: columns of the file that are not wanted.
        text: columns of the file whose values are words, even where they look like numbers.
        missing: what a missing row means: "zero" (nothing was sold) or "unknown" (it could not be bought).
        duplicates: rows that stand twice are two sales ("add"), or one that was exported twice ("drop").
        freq: pandas frequency of the history; sales are added up to it.
        first_date: of the first of columns that only number their periods; `freq` says how far apart they are.
    """

    layout: str | None = None
    item: str | None = None
    returns: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    separator: str | None = None
    encoding: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None
    sheet: str | None = None
    leave_out: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    missing: str | None = None
    duplicates: str | None = None
    freq: str | None = None
    first_date: str | None = None

    def __post_init__(self) -> None:
        faults = []
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                faults.append(f"{flag_of(name)}: must be {' or '.join(map(repr, allowed))}, got {value!r}")
        separator = self.separator_sign
        if separator is not None and len(separator) != 1:
            words = ", ".join(repr(word) for word in SEPARATORS if word.isalpha())
            faults.append(f"--separator: must be one character, or {words}, got {self.separator!r}")
        if self.first_date is not None:
            try:
                date.fromisoformat(self.first_date)
            except ValueError:
                faults.append(f"--first-date: must be a date like 2024-01-29, got {self.first_date!r}")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                faults.append(f"--encoding: unknown {self.encoding!r}; write utf-8, cp1252, cp1250, utf-16 or another")
        if "item_id" in self.columns and self.item is not None:
            faults.append("--item and --column item_id=... name the same thing; give one of them")
        if faults:
            raise InputError(faults)

    @property
    def separator_sign(self) -> str | None:
        """The separator as a character."""
        return None if self.separator is None else SEPARATORS.get(self.separator, self.separator)

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that name the item, as the caller gave them; empty where that is to be found."""
        if self.item is not None:
            return tuple(part.strip() for part in self.item.split("+"))
        return (self.columns["item_id"],) if "item_id" in self.columns else ()


def flag_of(name: str) -> str:
    """Return the flag of an option, e.g. --date-format for date_format."""
    return "--column" if name == "columns" else f"--{name.replace('_', '-')}"


def counted(number: int, word: str) -> str:
    """Return a number with its noun: `1 row`, `2 rows`."""
    return f"{number:,} {word}{'s' * (number != 1)}"


class Decision(NamedTuple):
    """One thing that was decided.

    Attributes:
        topic: what it is about, e.g. "encoding".
        text: the decision in words.
        how: "given" by the caller, "recognised" in the file, or "rule" where a rule of the import holds for all files.
        values: numbers and names, for machines.
    """

    topic: str
    text: str
    how: str = "recognised"
    values: Mapping[str, Any] = {}


class Choice(NamedTuple):
    """One answer to a question: options by name, and what they mean."""

    options: Mapping[str, Any]
    meaning: str


class Question(NamedTuple):
    """What the file does not settle: what was found, and the answers that there are."""

    topic: str
    found: str
    choices: Sequence[Choice]


@dataclass(frozen=True)
class Findings:
    """Collects decisions, questions and faults of one import, in the order in which they were made.

    Attributes:
        source: what messages call the file.
        decisions: see `Decision`.
        questions: see `Question`.
        faults: messages, each with its remedy.
    """

    source: str
    decisions: list[Decision] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def say(self, topic: str, text: str, how: str = "recognised", **values: Any) -> None:
        """Keep a decision."""
        self.decisions.append(Decision(topic, text, how, values))

    def ask(self, topic: str, found: str, *choices: Choice) -> None:
        """Keep a question."""
        self.questions.append(Question(topic, found, choices))

    def fault(self, message: str) -> None:
        """Keep a fault."""
        self.faults.append(f"{self.source}: {message}")

    def stop(self) -> FractileError:
        """Return the error to raise for a file of which nothing can be read."""
        return InputError(self.faults)


def raise_if_open(findings: Findings, source: Any, out: str | None, options: Options) -> None:
    """Raise an `InputError` with all faults and questions; each question says what to type.

    Args:
        findings: of the import.
        source: the path, or a frame.
        out: the file to be written; None leaves a name to be put in.
        options: as given.
    """
    messages = list(findings.faults)
    questions = findings.questions
    for question in questions:
        answers = " or ".join(f"{as_flags(choice.options)} ({choice.meaning})" for choice in question.choices)
        messages.append(f"{findings.source}: {question.found}; give {answers}")
    if questions:
        messages[-1] += f"; type: {what_to_type(questions, source, out, options)}"
        if len(questions) > 1:
            messages[-1] += "   (with your own answers)"
    if messages:
        raise InputError(messages)


def what_to_type(questions: Sequence[Question], source: Any, out: str | None, options: Options) -> str:
    """Return the commands that import a source: one for each answer to a single question, else one that answers all.

    Args:
        questions: that the source leaves open.
        source: the path, or a frame.
        out: see `raise_if_open`.
        options: as given.
    """
    if len(questions) == 1:
        answers: list[Mapping[str, Any]] = [choice.options for choice in questions[0].choices]
    else:
        first: dict[str, Any] = {}
        for question in questions:
            first = merged(first, question.choices[0].options)
        answers = [first]
    return "   or: ".join(command(source, out, options, answer) for answer in answers)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with those of another answer laid over them; mappings and lists are joined."""
    result = dict(one)
    for name, value in other.items():
        known = result.get(name)
        if isinstance(known, Mapping):
            result[name] = {**known, **value}
        elif isinstance(known, tuple):
            result[name] = (*known, *value)
        else:
            result[name] = value
    return result


def as_flags(options: Mapping[str, Any]) -> str:
    """Return options as they are typed in a shell."""
    words: list[str] = []
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            for ours, theirs in value.items():
                words += ["--column", f"{ours}={theirs}"]
        elif isinstance(value, tuple | list):
            for each in value:
                words += [flag_of(name), str(each)]
        else:
            words += [flag_of(name), "tab" if value == TAB else str(value)]
    return " ".join(shlex.quote(word) for word in words)


def given_options(options: Options) -> dict[str, Any]:
    """Return the options that the caller settled, by name."""
    known = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in known.items() if value not in (None, (), {})}


def command(source: Any, out: str | None, options: Options, answer: Mapping[str, Any]) -> str:
    """Return the command, or the call for a frame, that imports a source with an answer added."""
    chosen = merged(given_options(options), answer)
    if not isinstance(source, str | Path):
        named = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        return f"import_sales(frame, {named})"
    flags = as_flags(chosen)
    target = "history.csv" if out is None else str(out)
    return f"fractile import {shlex.quote(str(source))} --out {shlex.quote(target)}{' ' + flags if flags else ''}"


def unknown_column(name: str, known: Sequence[str], what: str) -> str:
    """Return the fault of a column that was named and is not there."""
    return f"has no column {name!r}, named by {what}{did_you_mean(name, known)}"
