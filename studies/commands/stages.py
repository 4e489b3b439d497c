"""Stages of long work for people: a bar on a terminal, lines in a log file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ...progress import Progress, Stages, StageStatus

EVERY = 30.0
"""Seconds after which a stage that lasts is heard of again in a log file."""
REDRAWN = 0.25
"""Seconds between two pictures of a bar."""
MINUTE, HOUR = 60.0, 3600.0


@contextmanager
def write_lines(stream: TextIO, *, every: float = EVERY) -> Iterator[Progress]:
    """Give a progress callback that writes a line for each stage that was announced, and lines while one lasts.

    Args:
        stream: of the log.
        every: seconds between two lines of one stage.
    """
    last = time.monotonic()

    def write(line: str) -> None:
        nonlocal last
        last = time.monotonic()
        stream.write(f"{line}\n")
        stream.flush()

    stages = Stages(lambda status: write(ended_line(status)))

    def remind() -> None:
        status = stages.status()
        if status.name and time.monotonic() - last >= every:
            write(running_line(status))

    with _repeated(remind, every / 10.0):
        yield stages
    stages.end()


@contextmanager
def show_bar(stream: TextIO) -> Iterator[Progress]:
    """Give a progress callback that draws a bar, which is gone in the end.

    Args:
        stream: a terminal.
    """
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(bar_width=20),
        rich_progress.TaskProgressColumn(),
        rich_progress.TextColumn("{task.fields[left]}", markup=False),
        rich_progress.TimeElapsedColumn(),
    )
    stages = Stages()
    with rich_progress.Progress(*columns, console=Console(file=stream, stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")

        def draw() -> None:
            status = stages.status()
            done = status.done
            bar.update(
                task,
                description=describe_stage(status) or "starting",
                total=None if done is None else 1.0,
                completed=done or 0.0,
                left=left_words(status),
            )

        with _repeated(draw, REDRAWN):
            yield stages


def describe_stage(status: StageStatus) -> str:
    """Return which stage it is, and what was last reported from within it."""
    counted = f"[{status.number}/{status.total}] " if status.total and status.number else ""
    return counted + status.name + (f": {status.message}" if status.message else "")


def ended_line(status: StageStatus) -> str:
    """Return the line of a stage that is over.

    >>> ended_line(StageStatus(3, 9, "fitting mqcnn, fold 1 of 2", "", 1.0, 34.2, 130.0, False))
    '[3/9] fitting mqcnn, fold 1 of 2 ... 34 s; about 2 min left'
    """
    left = left_words(status) if status.number != status.total else ""
    return f"[{status.number}/{status.total}] {status.name} ... {duration(status.elapsed)}" + (
        f"; {left}" if left else ""
    )


def running_line(status: StageStatus) -> str:
    """Return the line of a stage that lasts.

    >>> running_line(StageStatus(3, 9, "fitting mqcnn", "step 300", 0.3, 34.2, 130.0, True))
    '[3/9] fitting mqcnn: step 300, 30 % ... 34 s so far; at least 2 min left'
    """
    share = "" if status.share is None else f", {status.share:.0%}".replace("%", " %")
    left = left_words(status)
    return f"{describe_stage(status)}{share} ... {duration(status.elapsed)} so far" + (f"; {left}" if left else "")


def left_words(status: StageStatus) -> str:
    """Return how long the rest takes, in words; "" where nothing is known of it, or it is less than a second."""
    if status.left is None or status.left < 1.0:
        return ""
    return f"{'at least' if status.at_least else 'about'} {duration(status.left)} left"


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    >>> duration(34.2), duration(130.0), duration(5400.0)
    ('34 s', '2 min', '1.5 h')
    """
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 1.5 * HOUR else f"{seconds / HOUR:.1f} h"


@contextmanager
def _repeated(action: Callable[[], None], every: float) -> Iterator[None]:
    """Call an action every so many seconds while the block lasts, in a thread of its own."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
