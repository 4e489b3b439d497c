"""Telling how far a training is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .training import Progress

ProgressOption = Progress | bool | None
"""A function that is told, True for a bar on the terminal, or nothing."""


@contextmanager
def shown(progress: ProgressOption, name: str) -> Iterator[Progress | None]:
    """Give the function to tell, and tidy up behind it."""
    if progress is not True:
        yield progress or None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True)) as bars:
        bar = bars.add_task(name, total=None)

        def tell(step: int, steps: int, loss: float) -> None:
            bars.update(bar, completed=step, total=steps, description=f"{name} loss {loss:.4g}")

        yield tell
