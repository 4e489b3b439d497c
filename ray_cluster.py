"""Tasks on a Ray cluster, or on a small one that is started on this machine for the run.

Ray carries tasks to machines and says when they ended; results do not pass through its object store, but are written
to the parts' folder, which all machines of the cluster must see. Whoever reaches a cluster's ports can run code on its
machines: the one that is started here listens on the loopback address alone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from .errors import InputError
from .parts import Parts
from .tasks import ONE_THREAD, Done, Task, run_task, usable_cores

LOOPBACK = "127.0.0.1"
"""What a cluster that is started here listens on."""
LOCAL_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable that, set to 0 before Ray is loaded, keeps it from putting the machine's own address in place of that."""
OBJECT_STORE = 100_000_000
"""Bytes of memory for Ray's objects where it is started here: arguments of tasks, which are small."""
UNSEEN = "unseen"
"""What a machine returns that does not see the folder."""
PATIENCE = 60.0
"""Seconds at most until a part that another machine has written is seen here: network file systems keep listings."""


class RayExecutor:
    """Run tasks with Ray: see `Executor`.

    Args:
        workers: tasks that run at once; None: as many as the cluster has cores.
        address: of a cluster to join, e.g. "auto" or "10.0.0.5:6379"; None: one is started on this machine.

    Raises:
        InputError: where Ray is not installed, or no cluster is found at the address.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        if address is not None:
            _check_address(address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.update({} if address else {LOCAL_ONLY: "0"})
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning about devices
        try:
            import ray
        except ImportError:
            raise InputError(["engine: 'ray' needs Ray, which is not installed: pip install 'fractile[ray]'"]) from None
        self._ray: Any = ray
        self._workers = workers
        self._own = not ray.is_initialized()
        if self._own:
            _connect(ray, workers, address)
        self._remote = ray.remote(run_remotely).options(max_retries=0, num_cpus=1, runtime_env={"env_vars": ONE_THREAD})
        self._waiting: deque[tuple[Task, Parts]] = deque()
        self._running: dict[Any, tuple[Task, Parts]] = {}
        self._probes: dict[Path, Path] = {}

    def submit(self, task: Task, parts: Parts) -> None:
        """See `Executor`."""
        assert parts.folder is not None
        folder = parts.folder.absolute()
        if folder not in self._probes:
            folder.mkdir(parents=True, exist_ok=True)
            self._probes[folder] = folder / f".{uuid4().hex[:8]}.probe"
            self._probes[folder].touch()
        self._waiting.append((task, replace(parts, folder=folder)))

    def next_done(self) -> Done:
        """See `Executor`.

        Raises:
            InputError: where a machine does not see the folder of the parts.
        """
        at_once = self._workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        while self._waiting and len(self._running) < at_once:
            task, parts = self._waiting.popleft()
            assert parts.folder is not None
            self._running[self._remote.remote(task, parts, self._probes[parts.folder], sys.path)] = task, parts
        (reference, *_), _ = self._ray.wait(list(self._running), num_returns=1)
        task, parts = self._running.pop(reference)
        try:
            error, final = self._ray.get(reference)
        except self._ray.exceptions.RayError as lost:  # its worker or its machine died, or ran out of memory
            lines = [line for line in str(lost).splitlines() if line.strip()]
            return Done(task, f"{type(lost).__name__}: {lines[-1].strip() if lines else 'its worker is gone'}")
        if error == UNSEEN:
            raise InputError(
                [
                    f"{parts.folder}: machine {final} of the Ray cluster does not see this folder; put the run folder "
                    "(--out) and the input files on storage that all machines share, under the same path"
                ]
            )
        if not error:
            _await(parts.path_of(task.key))
        return Done(task, error, final)

    def close(self) -> None:
        """See `Executor`."""
        for probe in self._probes.values():
            probe.unlink(missing_ok=True)
        self._waiting.clear()
        if self._ray.is_initialized():
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            if self._own:
                self._ray.shutdown()
        self._running.clear()


def run_remotely(task: Task, parts: Parts, probe: Path, path: Sequence[str] = ()) -> tuple[str, Any]:
    """Run a task on a machine of the cluster; return its error, and whether that is final.

    Args:
        task: the task.
        parts: where its part is kept.
        probe: a file of that folder: a machine that does not see it returns `UNSEEN` and its name.
        path: where modules are looked for beyond the machine's own places: a user's own forecaster, say.
    """
    sys.path += [folder for folder in path if folder not in sys.path]
    if not probe.is_file():
        return UNSEEN, socket.gethostname()
    done = run_task(task, parts)
    return done.error, done.final


def _check_address(address: str) -> None:
    """Raise an `InputError` where nothing can be at an address; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if "://" in address or not host or not port.isdigit():
        raise InputError(
            [f"address: must be 'auto' or HOST:PORT of a Ray cluster that this machine joined, got {address!r}"]
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError([_no_cluster(address, str(error))]) from None


def _no_cluster(address: str, why: str) -> str:
    return f"address: no Ray cluster can be joined at {address!r} ({why}); start one with `ray start --head`"


def _connect(ray: Any, workers: int | None, address: str | None) -> None:
    """Start a cluster on this machine, or join one."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if main else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray's own
            if address is None:
                local = {"include_dashboard": False, "_node_ip_address": LOOPBACK}
                size = {"num_cpus": workers or usable_cores(), "object_store_memory": OBJECT_STORE}
                ray.init(address="local", **local, **size, **quiet)
            else:
                ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        if address is None:
            raise
        raise InputError([_no_cluster(address, str(error).strip().partition("\n")[0])]) from None
    except SystemExit:  # SIGTERM while Ray's own handler stood there, which has other exit codes
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
    where = ray.get_runtime_context().gcs_address
    if address is None and where.rpartition(":")[0] != LOOPBACK:
        ray.shutdown()
        raise InputError(
            [
                f"engine: Ray would listen on {where} instead of {LOOPBACK} alone, since it was loaded before; start "
                f"with {LOCAL_ONLY}=0 in the environment, or join a cluster of your own with the address"
            ]
        )


def _await(path: Path) -> None:
    """Wait until a part that another machine has written is seen here."""
    until = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < until:
        os.listdir(path.parent)  # makes a network file system look again
        time.sleep(0.1)
