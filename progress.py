"""Progress of long work: a callback, and the stages that a command counts.

Whatever takes long accepts a `Progress`, a function of a message and a share. A command passes `Stages`, which is one,
too, and counts: stage k of n, how long it took, how long the rest will take. Code that knows where a stage begins says
so with `begin_stage`, and need not know whether anybody counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Whatever long work reports to."""

    def __call__(self, message: str, share: float | None = None) -> None:
        """Report what is done now, and which share of the work is over, 0 to 1 (None: not known)."""


def no_progress(message: str, share: float | None = None) -> None:
    """Report nothing: the progress callback where none is given."""


def portion(progress: Progress, first: float, last: float) -> Progress:
    """Return a callback for a part of the work: its shares 0 to 1 are `first` to `last` of the whole.

    >>> portion(lambda message, share: print(message, share), 0.5, 1.0)("fitting", 0.5)
    fitting 0.75
    """

    def report(message: str, share: float | None = None) -> None:
        progress(message, None if share is None else first + (last - first) * share)

    return report


def plan_stages(progress: Progress, kinds: Sequence[str]) -> None:
    """Announce the stages that are to come, where they are counted.

    Args:
        progress: the callback of a command.
        kinds: of the stages, in order; those of one kind take about as long as each other.
    """
    if isinstance(progress, Stages):
        progress.plan(kinds)


def begin_stage(progress: Progress, name: str, kind: str | None = None, *, kept: bool = False) -> None:
    """Report that a stage begins.

    Args:
        progress: a callback; one that does not count stages is called with the name.
        name: for people.
        kind: as in `plan_stages`; the name where None.
        kept: whether its work was done by an earlier run, so that its time says nothing of others.
    """
    if isinstance(progress, Stages):
        progress.begin(f"{name} (kept)" if kept else name, name if kind is None else kind, kept=kept)
    else:
        progress(name)


@dataclass(frozen=True)
class StageStatus:
    """Where work stands.

    Attributes:
        number: of the stage, from 1; 0 before the first.
        total: stages in all; None where it is not known.
        name: of the stage.
        message: the last report from within it; "" where there was none.
        share: of the stage's work that is over; None where it is not known.
        elapsed: seconds since the stage began.
        left: seconds that the rest of the work takes, by what was measured so far; None where nothing was.
        at_least: whether some of the rest is not in `left`, since nothing like it was measured.
    """

    number: int
    total: int | None
    name: str
    message: str
    share: float | None
    elapsed: float
    left: float | None
    at_least: bool

    @property
    def done(self) -> float | None:
        """Share of the whole work that is over, stages counted alike; None where their number is not known."""
        if not self.total or not self.number:
            return None
        return (self.number - 1 + (self.share or 0.0)) / self.total


class Stages:
    """A progress callback that counts stages and measures them.

    Args:
        ended: called with the status of each stage that was announced, when it ends.
        clock: seconds.
    """

    def __init__(
        self, ended: Callable[[StageStatus], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ended, self._clock = ended, clock
        self._plan: list[str] = []
        self._measured: dict[str, list[float]] = {}
        self._position = -1
        self._name, self._message, self._kept = "", "", False
        self._kind: str | None = None
        self._share: float | None = None
        self._since = clock()

    def plan(self, kinds: Sequence[str]) -> None:
        """Announce the stages that follow the present one; see `plan_stages`."""
        self._plan = [*self._plan[: self._position + 1], *kinds]

    def begin(self, name: str, kind: str, *, kept: bool = False) -> None:
        """End the present stage, and begin one; stages announced before it are passed over. See `begin_stage`."""
        self.end()
        rest = self._plan[self._position + 1 :]
        self._position += 1 + (rest.index(kind) if kind in rest else 0)
        if kind not in rest:
            self._plan.insert(self._position, kind)
        self._name, self._kind, self._kept = name, kind, kept
        self._message, self._share, self._since = "", None, self._clock()

    def __call__(self, message: str, share: float | None = None) -> None:
        """Report from within a stage."""
        self._message = message
        self._share = self._share if share is None else min(max(share, 0.0), 1.0)

    def end(self) -> None:
        """End the present stage."""
        if self._kind is None:
            return
        if not self._kept:
            self._measured.setdefault(self._kind, []).append(self._clock() - self._since)
        self._share = 1.0
        if self._ended is not None:
            self._ended(self.status())
        self._kind = None

    def status(self) -> StageStatus:
        """Return where the work stands."""
        elapsed = self._clock() - self._since
        seconds, unknown = self._present(elapsed)
        for kind in self._plan[self._position + 1 :]:
            found = self._measured.get(kind, [])
            seconds += sum(found) / len(found) if found else 0.0
            unknown = unknown or not found
        return StageStatus(
            number=self._position + 1,
            total=len(self._plan) or None,
            name=self._name or self._message,
            message=self._message if self._name else "",
            share=self._share,
            elapsed=elapsed,
            left=seconds if seconds > 0.0 or not unknown else None,
            at_least=unknown,
        )

    def _present(self, elapsed: float) -> tuple[float, bool]:
        """Return how many seconds the present stage goes on as far as is known, and whether that is unknown."""
        if self._share:
            return elapsed * (1.0 - self._share) / self._share, False
        found = self._measured.get(self._kind or "", [])
        return (max(0.0, sum(found) / len(found) - elapsed), False) if found else (0.0, True)
