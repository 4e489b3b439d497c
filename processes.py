"""Worker processes on this machine, each a fresh interpreter with two pipes.

A worker that dies costs the task that it was running, and no more: a new one takes its place. Workers end with the
process that started them, however that ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, BinaryIO

from .parts import Parts
from .tasks import ONE_THREAD, Done, Task, run_task

START = "import sys; sys.path[:] = {path!r}; from fractile.processes import serve; serve()"
"""What a worker runs: it finds the modules that this process finds."""


class ProcessExecutor:
    """Run tasks in worker processes of this machine: see `Executor`.

    Args:
        workers: how many; a worker is started with the first task that it is needed for.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waiting: SimpleQueue[tuple[Task, Parts] | None] = SimpleQueue()
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._threads: list[Thread] = []
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._closing = Event()

    def submit(self, task: Task, parts: Parts) -> None:
        """See `Executor`."""
        self._waiting.put((task, parts))
        if len(self._threads) < self._workers:
            thread = Thread(target=self._drive, args=(len(self._threads),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def next_done(self) -> Done:
        """See `Executor`."""
        return self._done.get()

    def close(self) -> None:
        """See `Executor`."""
        self._closing.set()
        for _ in self._threads:
            self._waiting.put(None)
        for process in list(self._running.values()):
            process.kill()
        for thread in self._threads:
            thread.join(timeout=10)

    def _drive(self, number: int) -> None:
        """Hand one task after the other to a worker, which is replaced where it dies."""
        process: subprocess.Popen[bytes] | None = None
        while (work := self._waiting.get()) is not None and not self._closing.is_set():
            try:
                if process is None or process.poll() is not None:
                    process = self._running[number] = _start()
                if self._closing.is_set():  # while the worker started
                    break
                assert process.stdin is not None
                assert process.stdout is not None
                _send(process.stdin, work)
                done = pickle.load(process.stdout)  # of a process of our own
                if not isinstance(done, Done):
                    raise EOFError
            except (OSError, EOFError, pickle.UnpicklingError):
                done = Done(work[0], _how_it_ended(process))
                process = None
            except Exception as error:  # arguments that cannot be pickled
                done = Done(work[0], f"{type(error).__name__}: {error}", final=True)
            self._done.put(done)
        if process is not None:
            _end(process)


def serve() -> None:
    """Run tasks that arrive on standard input, in a worker process, until it is closed."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the messages
    waiting: SimpleQueue[Any] = SimpleQueue()

    def read() -> None:
        # A thread of its own: where the pipe ends, the process that started this one is gone, and so is the need.
        while True:
            try:
                waiting.put(pickle.load(source))  # of the process that started this one
            except (EOFError, OSError):
                os._exit(0)
            except Exception as error:  # a module that cannot be imported here
                waiting.put(error)

    Thread(target=read, daemon=True).start()
    while True:
        work = waiting.get()
        if isinstance(work, Exception):
            os._exit(70)
        _send(target, run_task(*work))


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", START.format(path=sys.path)]
    # A session of its own: Ctrl-C reaches the process that started the workers, and it ends them.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD}, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # of a worker that died with a message half read
                pipe.close()


def _how_it_ended(process: subprocess.Popen[bytes] | None) -> str:
    """Return how a worker ended that no longer answers; it is ended for certain."""
    if process is None:
        return "a worker process could not be started"
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        _end(process)
        return "its worker process closed its pipe"
    _end(process)
    if code < 0:
        return f"its worker process was ended by {signal.Signals(-code).name}"
    return f"its worker process ended with exit code {code}"


def _send(pipe: BinaryIO | Any, message: object) -> None:
    pipe.write(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))
    pipe.flush()
