"""Run many tasks on an engine, until the part of each is there: what `--engine` chooses.

| engine | where tasks run |
|---|---|
| `serial` | in this process, one after the other |
| `process` | in worker processes of this machine |
| `ray` | on a Ray cluster, or on one that is started here (extra `ray`) |

Results are the same, bit for bit: a task runs in one thread wherever it runs, and its result is what is read from its
part.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from .errors import FractileError, InputError, WorkError, did_you_mean
from .parts import Parts
from .progress import Progress, no_progress
from .tasks import Done, Executor, Task, run_task, usable_cores

__all__ = ["ENGINES", "Done", "Executor", "SerialExecutor", "Task", "open_executor", "run_tasks"]

ENGINES = ("serial", "process", "ray")
"""Names of the engines."""


class SerialExecutor:
    """Run tasks in this process, in the order in which they were submitted: see `Executor`."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Task, Parts]] = deque()

    def submit(self, task: Task, parts: Parts) -> None:
        """See `Executor`."""
        self._waiting.append((task, parts))

    def next_done(self) -> Done:
        """See `Executor`."""
        return run_task(*self._waiting.popleft())

    def close(self) -> None:
        """See `Executor`."""
        self._waiting.clear()


def open_executor(engine: str | None = "serial", workers: int | None = None, address: str | None = None) -> Executor:
    """Return an executor; whoever opens it closes it.

    Args:
        engine: "serial", "process" or "ray"; None is "serial".
        workers: tasks that run at once; None: one a core that this process may use, or all of a cluster's.
        address: of a Ray cluster; None: one is started on this machine, which listens on its loopback address alone.

    Raises:
        InputError: where there is no such engine, or Ray cannot be used.
    """
    if workers is not None and workers < 1:
        raise InputError([f"workers: must be a whole number >= 1, got {workers}"])
    if address is not None and engine != "ray":
        raise InputError([f"address: is of a Ray cluster; choose the engine 'ray' or leave it out, got {engine!r}"])
    if engine is None or engine == "serial":
        return SerialExecutor()
    if engine == "process":
        from .processes import ProcessExecutor

        return ProcessExecutor(workers or usable_cores())
    if engine == "ray":
        from .ray_cluster import RayExecutor

        return RayExecutor(workers, address)
    raise InputError([f"engine: unknown engine {engine!r}{did_you_mean(engine, ENGINES)}"])


def run_tasks(
    executor: Executor, tasks: Iterable[Task], parts: Parts, *, progress: Progress = no_progress, attempts: int = 3
) -> None:
    """Run tasks until the part of each is there; those whose part is there already are not run.

    Args:
        executor: where they run.
        tasks: in the order in which they are submitted.
        parts: where their parts are kept; on a cluster its folder is on storage that all machines share.
        progress: called with how many are done.
        attempts: how often a task is run at most that raises an error or whose worker dies; one that raises a
            `FractileError` is not run again.

    Raises:
        WorkError: after all others are done, naming the tasks that failed and why; the parts of the others are kept.
        FractileError: where two tasks have the same key, or parts no folder.
    """
    if parts.folder is None:
        raise FractileError("tasks need a folder for their parts; give one: Parts(folder)")
    tasks, parts = list(tasks), replace(parts, folder=parts.folder.absolute())  # workers may stand elsewhere
    twice = sorted(name for name, number in Counter(task.name for task in tasks).items() if number > 1)
    if twice:
        raise FractileError(f"each task needs a key of its own, got {', '.join(twice)} more than once")
    missing = [task for task in tasks if not parts.holds(task.key)]
    for task in missing:
        executor.submit(task, parts)
    failed: dict[str, str] = {}
    tried: Counter[str] = Counter()
    finished, total = len(tasks) - len(missing), len(tasks)
    while finished + len(failed) < total:
        done = executor.next_done()
        name = done.task.name
        tried[name] += bool(done.error)
        if not done.error:
            finished += 1
            progress(f"{finished} of {total} done", finished / total)
        elif done.final or tried[name] >= attempts:
            failed[name] = done.error
        else:
            progress(f"{name}: {done.error}; it is run again")
            executor.submit(done.task, parts)
    if failed:
        raise WorkError(failed)
