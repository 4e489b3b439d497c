"""One writer at a time: the lock of a run folder or of an output file.

It stands beside its target as `.NAME.lock`, says who holds it, and is held by the operating system (`flock`): it goes
with its process, however that ends, so that the lock of a dead process keeps nobody out. On file systems without such
locks (some NFS servers) the file itself is the lock; there a process that was killed on another machine has to be
named by the user.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from ..errors import InputError
from .places import check_place

P = ParamSpec("P")
R = TypeVar("R")

LARGEST = 4096
"""Bytes of a lock file that are read; ours have less."""

_held: ContextVar[tuple[Path, ...]] = ContextVar("held", default=())
_open: set[int] = set()


def _close_in_child() -> None:
    """Close the locks in a process that was forked, so that they end with this one."""
    for handle in _open:
        os.close(handle)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def lock_path(target: Path) -> Path:
    """Return where the lock of a target stands."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def lock_target(target: Path | str | None) -> Iterator[None]:
    """Hold the lock of a run folder or of an output file while the block lasts.

    A block within a block of the same target passes. Missing parents are made, and go where nothing was written.

    Args:
        target: what is written; None: nothing is.

    Raises:
        InputError: where another process holds the lock, or no lock can be written.
    """
    if target is None:
        yield
        return
    path = Path(os.path.abspath(Path(target).expanduser())).resolve()
    if path in _held.get() or sys.platform == "win32":
        yield
        return
    check_place(path)
    missing = [folder for folder in (path.parent, *path.parent.parents) if not os.path.lexists(folder)]
    lock = lock_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _acquire(lock, path)
    except OSError as error:
        _remove_empty(missing)
        reason = f"{error.strerror or error}: {error.filename or lock}"
        raise InputError([f"{target}: cannot be written ({reason}); give another --out"]) from None
    _open.add(handle)
    token = _held.set((*_held.get(), path))
    try:
        yield
    finally:
        _held.reset(token)
        lock.unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile finds that it is gone
        _open.discard(handle)
        os.close(handle)
        _remove_empty(missing)


@contextmanager
def lock_output(path: Path | None) -> Iterator[None]:
    """Hold the lock of an output file while the block lasts, and delete what a killed process has left of it.

    Args:
        path: of the file; None: nothing is written. A folder, or a path below a file, is left to those who refuse it.
    """
    there = None if path is None else next(p for p in Path(os.path.abspath(path)).parents if os.path.lexists(p))
    if path is None or path.is_dir() or not (there and there.is_dir()):
        yield
        return
    with lock_target(path):
        name = re.escape(path.name)
        half_written = re.compile(rf"\.[0-9a-f]{{8}}\.{name}|\.{name}\.[0-9a-f]{{8}}\.partial")
        folder = Path(os.path.abspath(path)).parent
        for left in [p for p in folder.iterdir() if half_written.fullmatch(p.name)]:
            if left.is_dir() and not left.is_symlink():  # of the work in blocks of items
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
        yield


def locks_target(run: Callable[P, R]) -> Callable[P, R]:
    """Hold the lock of the run folder `out`, an argument, before anything else is done."""
    named = signature(run)

    @wraps(run)
    def locked(*args: P.args, **kwargs: P.kwargs) -> R:
        with lock_target(named.bind(*args, **kwargs).arguments["out"]):
            return run(*args, **kwargs)

    return locked


def is_locked(target: Path) -> bool:
    """Whether another process writes a target just now."""
    if not lock_path(target).is_file():
        return False
    try:
        with lock_target(target):
            return False
    except InputError:
        return True


def _acquire(lock: Path, target: Path) -> int:
    """Return the handle of the lock file once it is held.

    Raises:
        InputError: where another process holds it, or the file is none of ours.
        OSError: where it cannot be written.
    """
    import fcntl

    while True:
        try:
            handle, new = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), True
        except FileExistsError:
            try:
                handle, new = os.open(lock, os.O_RDWR | os.O_NOFOLLOW), False
            except FileNotFoundError:
                continue  # it was released just now
        try:
            holder = _read_holder(handle, lock)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError([_busy(target, holder)]) from None
            except OSError:  # a file system without locks: the file itself is one
                if not new and not _is_dead(holder):
                    raise InputError([_perhaps_busy(target, holder, lock)]) from None
            with suppress(FileNotFoundError):
                if os.stat(lock).st_ino == os.fstat(handle).st_ino:
                    me = {"fractile": "lock", "host": socket.gethostname(), "process": os.getpid(), "id": uuid4().hex}
                    try:
                        os.ftruncate(handle, 0)
                        os.pwrite(handle, json.dumps(me).encode(), 0)
                    except OSError:  # a full disk, say
                        lock.unlink()  # it is held: nobody else's
                        raise
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # released and deleted between our opening it and our holding it


def _read_holder(handle: int, lock: Path) -> dict[str, Any]:
    """Return who holds a lock; empty where its file is, as it is for a moment after it was made."""
    content = os.pread(handle, LARGEST, 0)
    if not content:
        return {}
    with suppress(ValueError):
        found = json.loads(content)
        if isinstance(found, dict) and found.get("fractile") == "lock":
            return found
    raise InputError([f"{lock}: is none of Fractile's locks, but has the name of one; move it away"])


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether a holder is known to have ended: a process of this machine that is gone."""
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("process"), int):
        return False
    try:
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's
        pass
    return False


def _who(holder: dict[str, Any]) -> str:
    return f"process {holder['process']} on {holder['host']}" if {"process", "host"} <= holder.keys() else "another one"


def _busy(target: Path, holder: dict[str, Any]) -> str:
    return f"{target}: is being written by another process ({_who(holder)}); wait for it, or give another --out"


def _perhaps_busy(target: Path, holder: dict[str, Any], lock: Path) -> str:
    return (
        f"{target}: is being written by another process ({_who(holder)}), or was when that was killed: this file "
        f"system has no locks that would tell; if it no longer runs, delete {lock}"
    )


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
