"""Where a command may write: not on what it reads, and only where writing can succeed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError, shorten
from .replacing import unfinished_folder

ORDER_FILES = ("orders.csv", "orders.parquet")
"""Lists of orders, which may be written anew into the folder of their run."""
FRAME_ENDINGS = (".csv", ".parquet")
"""Suffixes of files of frames."""
BESIDE = len(".12345678..partial")
"""Characters that the longest temporary name has beyond its target's."""
USUAL_LONGEST = 255
"""Bytes of a name on most file systems."""
LEAST_FREE = 1_000_000
"""Bytes on a disk below which it counts as full before any work."""


def nearest_folder(folder: Path) -> Path:
    """Return the nearest folder, upwards, that exists."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


def check_place(path: Path | str, remedy: str = "give another --out") -> None:
    """Raise an `InputError` where nothing can be written at a path, whatever stands there: before any work.

    Args:
        path: of a file or a folder.
        remedy: what to do.
    """
    whole = Path(os.path.abspath(path))
    parent = nearest_folder(whole.parent)
    reason = ""
    if "\0" in str(whole):
        reason = "holds a character that no name can have"
    elif any(len(os.fsencode(name)) > _longest(parent) for name in whole.relative_to(parent).parts):
        reason = f"has a name of more than {_longest(parent)} bytes, temporary files included"
    elif len(os.fsencode(whole)) + BESIDE > _longest_path(parent):
        reason = f"is a path of more than {_longest_path(parent)} bytes, temporary files included"
    elif not parent.is_dir():
        reason = f"cannot be made, since {parent} is a file"
    elif not os.access(parent, os.W_OK | os.X_OK):
        reason = f"cannot be made, since {parent} is not writable"
    elif shutil.disk_usage(parent).free < LEAST_FREE:
        reason, remedy = f"cannot be made, since the disk of {parent} is full", f"make room, or {remedy}"
    if reason:
        raise InputError([f"{shorten(str(path), 200)}: {reason}; {remedy}"])


def check_output(path: Path | str, endings: Sequence[str] = FRAME_ENDINGS) -> Path:
    """Return the path of a file to write, or raise an `InputError` where none can be written there.

    Args:
        path: of the file.
        endings: of which its name must have one.
    """
    path = Path(path)
    check_place(path, "give another output file")
    if path.suffix not in endings:
        known = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise InputError([f"{path}: must end in {known}; rename the output file"])
    if path.is_dir():
        raise InputError([f"{path}: is a folder; give the name of a file"])
    if path.is_symlink():  # it would be replaced; and in a run of unknown origin it may lead anywhere
        raise InputError([f"{path}: is a link; give the name of the file that it leads to"])
    if path.exists() and not path.is_file():
        raise InputError([f"{path}: is a device or a pipe; give the name of a file"])
    return path


def check_not_input(out: Path | str | None, inputs: Iterable[Path | str | None], flag: str = "--out") -> None:
    """Raise where a command would write on a file that it reads.

    Links, symbolic or hard, lead to the same file. The folder of a run is an input whole: within it a command may write
    lists of orders and new files only, and within a history that is a folder nothing. As the target of a run, a folder
    must not hold an input, since the run replaces it; nor must the one that an unfinished run is kept in.

    Args:
        out: the file or run folder to write; None: nothing is written.
        inputs: files, and folders of runs, that the command reads; None among them: not given.
        flag: the option that `out` was given with.

    Raises:
        InputError: names `out` and each input that stands there.
    """
    if out is None:
        return
    written, faults = Path(out), []
    for path in (Path(given) for given in inputs if given is not None):
        where, whole = written.resolve(), path.resolve()
        if where == whole or (written.exists() and path.exists() and written.samefile(path)):
            faults.append(f"{flag}: {out} is read by this command; give another name")
        elif whole.is_relative_to(where):
            faults.append(f"{flag}: {out} holds {path}, which this command reads; give another folder")
        elif whole.is_relative_to(unfinished_folder(where)):
            faults.append(
                f"{flag}: an unfinished run of {out} is kept in the folder of {path}, which this command reads; give "
                "another name"
            )
        elif where.is_relative_to(whole) and whole.is_dir() and not (whole / "manifest.json").exists():
            faults.append(f"{flag}: {out} lies in {path}, whose files this command reads, all of them; write elsewhere")
        elif where.is_relative_to(whole) and os.path.lexists(written) and written.name not in ORDER_FILES:
            faults.append(f"{flag}: {out} is a file of the run {path}, which this command reads; give another name")
    if faults:
        raise InputError(dict.fromkeys(faults))


def _longest(folder: Path) -> int:
    """Return how many bytes the name of a target may have, so that its temporary names fit, too."""
    return _limit(folder, "PC_NAME_MAX", USUAL_LONGEST) - BESIDE


def _longest_path(folder: Path) -> int:
    return _limit(folder, "PC_PATH_MAX", 4096)


def _limit(folder: Path, name: str, usual: int) -> int:
    try:
        return os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):
        return usual
