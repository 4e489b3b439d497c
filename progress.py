"""The one shape of a progress callback."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Whatever long work reports to."""

    def __call__(self, message: str, share: float | None = None) -> None:
        """Report what is done now, and which share of the work is over, 0 to 1 (None: not known)."""


def no_progress(message: str, share: float | None = None) -> None:
    """Report nothing: the progress callback where none is given."""
