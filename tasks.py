"""Tasks of long work and what runs them: every engine follows one protocol of three methods.

A task is a function by name with its arguments; it writes its result into a folder, which becomes a part of the work
(see `parts`). What a task writes must follow from its key, its arguments and what the whole work is made from: then it
does not matter where it runs, in which order, or whether it runs twice.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from .errors import FractileError
from .parts import Parts

ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
"""Environment in which libraries that are loaded later compute in one thread."""


@dataclass(frozen=True)
class Task:
    """One piece of work that can be done anywhere.

    Attributes:
        key: of the part that holds its result; unique in its work, and named in messages.
        function: where it is defined, "package.module:name"; called as `function(folder, **arguments)`, it writes its
            files into the folder.
        arguments: what it is called with; what pickle can hold. Large data belong into files or parts, and their paths
            in here.
    """

    key: tuple[str | int, ...]
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the task is called in messages."""
        return " ".join(map(str, self.key))


@dataclass(frozen=True)
class Done:
    """One attempt at a task that has ended.

    Attributes:
        task: the task.
        error: why it failed; "" where its part is whole.
        final: whether another attempt would fail in the same way.
    """

    task: Task
    error: str = ""
    final: bool = False


class Executor(Protocol):
    """Run tasks somewhere: `serial` in this process, `process` in several, `ray` on a cluster."""

    def submit(self, task: Task, parts: Parts) -> None:
        """Accept a task, to be run once; its result becomes a part of `parts`, which have a folder."""

    def next_done(self) -> Done:
        """Return a submitted task that has ended, in whatever order; wait until there is one."""

    def close(self) -> None:
        """End everything that still runs; parts that are whole stay."""


def run_task(task: Task, parts: Parts) -> Done:
    """Run a task here, in one thread, and keep its part; what it raises is returned in words."""
    try:
        module, _, name = task.function.partition(":")
        function: Callable[..., object] = getattr(importlib.import_module(module), name)
        with one_thread():
            parts.write(task.key, partial(function, **task.arguments))
    except Exception as error:  # whatever a task raises, the others must not go down with it
        said = str(error) if isinstance(error, FractileError) else f"{type(error).__name__}: {error}"
        return Done(task, " ".join(said.split()) or type(error).__name__, final=isinstance(error, FractileError))
    return Done(task)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries compute in one thread: sums of floating-point numbers depend on how many there are.

    It holds for libraries loaded within, too.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    try:
        from threadpoolctl import threadpool_limits  # where it is installed, BLAS that is loaded already is limited
    except ImportError:
        limits = None
    else:
        limits = threadpool_limits(1)
    try:
        yield
    finally:
        if limits is not None:
            limits.restore_original_limits()
        if torch is not None and threads is not None:
            torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
