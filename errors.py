"""The errors that a user can cause, and a way to report all of them at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping


class FractileError(ValueError):
    """Input that cannot be used; the message names the rule, the value and the remedy."""


class FractileWarning(UserWarning):
    """A result that can be used, but has to be checked first; the message says what."""


class InputError(FractileError):
    """One or more faults in files, options or configuration; commands end with exit code 2.

    Args:
        faults: one message a fault, in the order in which they were found.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class WorkError(Exception):
    """Tasks that failed at every attempt, while others were done; commands end with exit code 1, and parts are kept.

    Args:
        failed: by the name of each task, why.
    """

    def __init__(self, failed: Mapping[str, str]) -> None:
        self.failed = dict(failed)
        self.faults = tuple(f"{name}: {why}" for name, why in self.failed.items())
        super().__init__("\n".join(self.faults))


class Faults:
    """Collect faults, so that a user sees all of them at once."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, message: str) -> None:
        """Keep one fault."""
        self.messages.append(message)

    def raise_if_any(self) -> None:
        """Raise an `InputError` with every fault so far; do nothing where there is none."""
        if self.messages:
            raise InputError(self.messages)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known word, and a list of all: `; did you mean 'ets'? known: arima, ets`."""
    names = sorted(shorten(name) for name in known)
    near = difflib.get_close_matches(shorten(word), names[:MOST_COMPARED], n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return f"{hint} known: {', '.join(names[:MOST_LISTED])}{more}"


MOST_COMPARED, MOST_LISTED = 1_000, 100
"""Known words that an unknown one is compared with, and those that are listed."""


def shorten(text: str, most: int = 60) -> str:
    """Return a text as it is, or its beginning and its end where it is long.

    >>> shorten("a" * 30 + "b" * 30, 20)
    'aaaaaaaaaaaa...bbbbb'
    """
    return text if len(text) <= most else f"{text[: most * 3 // 5]}...{text[-most // 4 :]}"


def missing_package(error: ImportError) -> str | None:
    """Return what to install where a package that Fractile requires is not there; None for any other import error.

    >>> missing_package(ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere"))
    """
    from importlib.metadata import PackageNotFoundError, requires

    module = (error.name or "").partition(".")[0]
    try:
        required = requires(__package__) or []
    except PackageNotFoundError:  # a source folder on the path, not installed
        required = []
    for requirement in required:
        found = re.match(r"[\w.-]+", requirement)
        if found and re.sub(r"[-_.]+", "_", found[0]).lower() == module.lower():
            wanted = requirement.partition(";")[0].strip()
            return f"this needs {found[0]}, which is not installed: pip install '{wanted}'"
    return None
