"""The one family of errors that a user can cause, and a way to report all of them at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FractileError(ValueError):
    """Something the user gave cannot be used; the message names the rule, the value and the remedy."""


class FractileWarning(UserWarning):
    """A result that can be used, but not without a second look; the message says at what."""


class InputError(FractileError):
    """One or more faults in files, options or configuration; commands end with exit code 2.

    Args:
        faults: one message a fault, in the order in which they were found.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Faults:
    """Collects faults, so that a user meets all of them in one go."""

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
    """Say which known word is near, and list all of them: `; did you mean 'ets'? known: arima, ets`."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(names)}"
