"""Files of unknown origin: read with limits, kept within their folder, and never executed."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .errors import FractileError, WorkError

MOST_JSON = 256 * 2**20
"""Bytes of a JSON file."""
MOST_ARRAYS = 4 * 2**30
"""Bytes of a file of arrays."""


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file or folder within a folder.

    Args:
        folder: of the run, or of the models.
        name: relative, with slashes.

    Raises:
        FractileError: where it leaves the folder, by its name or through a link, or is a device, a pipe or a socket.
    """
    path = folder / name
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise FractileError(f"{folder}: the name {name!r} leaves the folder; get the whole folder anew")
    try:
        real = path.resolve()
        home = folder.resolve()
    except (OSError, RuntimeError) as fault:  # links in a circle
        raise FractileError(f"{path}: cannot be read ({fault}); get the whole folder anew") from None
    if not real.is_relative_to(home):
        raise FractileError(f"{path}: is a link out of its folder, to {real}; put the file itself there")
    if os.path.lexists(path) and not path.is_file() and not path.is_dir():
        raise FractileError(f"{path}: is neither a file nor a folder (a pipe, a device, a broken link); remove it")
    return path


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        FractileError: where it is no regular file, too large, no strict JSON (NaN, infinity), or nested too deep.
    """
    check_size(path, MOST_JSON)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise FractileError(f"{path}: is damaged (nested too deep)") from None
    except (OSError, ValueError) as fault:
        raise FractileError(f"{path}: is damaged ({fault})") from None


def check_size(path: Path, most: int) -> None:
    """Raise a `FractileError` where a path is no regular file, or one of more bytes than `most`."""
    if not path.is_file():
        raise FractileError(f"{path}: is missing, or no file")
    size = path.stat().st_size
    if size > most:
        raise FractileError(f"{path}: has {size:,} bytes, more than the {most:,} that such a file may have")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk on which nothing more can be written."""


def is_disk_fault(error: BaseException) -> bool:
    """Whether an error is the disk's, and no fault of what was being done."""
    return isinstance(error, OSError) and error.errno in FULL


def save_arrays(arrays: Mapping[str, NDArray[Any]], path: Path, about: dict[str, str] | None = None) -> None:
    """Write arrays as safetensors, with texts about them.

    Raises:
        OSError: where the disk is full, say; names the path.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(dict(arrays), path, metadata=about)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


@contextmanager
def usable(path: Path, remedy: str) -> Iterator[None]:
    """Turn whatever a file's content causes while the block lasts into one fault that names the file.

    Args:
        path: of the file or the folder.
        remedy: what to do about it.
    """
    try:
        with damaged(path, remedy):
            yield
    except FractileError as fault:
        if str(path) in str(fault):
            raise
        raise FractileError(f"{path}: cannot be used ({fault}); {remedy}") from fault


@contextmanager
def damaged(path: Path, remedy: str) -> Iterator[None]:
    """Turn errors that are no `FractileError` while the block lasts into one that names a file; see `usable`."""
    try:
        yield
    except (FractileError, WorkError, ImportError):
        raise
    except MemoryError:
        raise FractileError(f"{path}: needs more memory than there is, or is damaged; {remedy}") from None
    except Exception as fault:
        if isinstance(fault, OSError) and fault.errno is not None:  # of the disk, not of the file's content
            raise
        words = " ".join(f"{type(fault).__name__}: {fault}".split())[:400]
        # Of what Python says of wrong types, a reader learns nothing.
        text = "its values do not fit together" if isinstance(fault, TypeError | AttributeError) else words
        raise FractileError(f"{path}: is damaged, or of another version ({text}); {remedy}") from fault


def _refuse(token: str) -> Any:
    raise ValueError(f"{token} is no number of JSON")


def _finite(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise ValueError(f"the number {token} is too large")
    return number
