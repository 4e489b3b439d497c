"""Run folders and output files: written under a temporary name, and renamed once they are whole.

This is the only writer of run folders. `new_run` leaves all or nothing; `resumable_run` keeps unfinished work for a
later run. What stood at the target is replaced by a rename, once the new folder is whole, and never deleted before
(see `replacing`). A manifest lists the files that the run wrote; others are the user's own, and are carried over into
the folder that replaces it.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import FractileError, InputError
from ..files import inside, read_json
from .integrity import CHECKSUMS, check_manifest, with_checksums
from .locks import is_locked, lock_target
from .places import check_output, check_place, nearest_folder
from .replacing import (
    COMPLETE,
    FILES,
    IN_PROGRESS,
    MANIFEST as MANIFEST,
    NEW,
    OLD,
    RUNNING,
    TEMPORARY,
    discard_run,
    discard_temporary,
    files_below,
    leftovers,
    listed_files,
    name_beside,
    own_files,
    publish,
    recover,
    unfinished_folder as unfinished_folder,
)

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = (
    "fractile",
    "numpy",
    "pandas",
    "scipy",
    "torch",
    "gymnasium",
    "stable-baselines3",
    "statsforecast",
)
"""Packages whose versions a manifest keeps."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run in progress.

    Attributes:
        path: the temporary folder; write here.
        target: its final path, once the run is over.
        resumed: whether it goes on with an unfinished run.
    """

    path: Path
    target: Path
    resumed: bool = False

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file and return its path."""
        return replace_file(self.path / name, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))

    def write_json(self, name: str, value: Any) -> Path:
        """Write anything made of mappings, sequences, numbers, arrays, paths and dates; NaN becomes null."""
        return self.write_text(name, json_text(value) + "\n")

    def write_frame(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a frame as CSV or Parquet, as the name ends."""
        return write_frame(self.path / name, frame)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to `metrics.jsonl`."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.write(json_text(record, indent=None) + "\n")


@contextmanager
def new_run(target: Path | str, *, overwrite: bool = False) -> Iterator[RunFolder]:
    """Give a temporary folder that becomes `target` when the block ends, and vanishes when it raises.

    The temporary folder stands beside the target, or in its nearest folder that exists: missing parents are
    made at the end only.

    Args:
        target: the run folder; it may be missing or empty.
        overwrite: replace a run folder that stands there (nothing else is ever replaced); the user's own files in it
            are carried over.

    Raises:
        InputError: where the target cannot be used, before any work and again before the rename.
    """
    target = absolute_target(target)
    check_target(target, overwrite=overwrite)
    path = name_beside(nearest_folder(target.parent) / target.name, NEW)
    path.mkdir()
    try:
        yield RunFolder(path, target)
        check_target(target, overwrite=overwrite)
        _list_files(path)
        publish(path, target)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def resumable_run(target: Path | str, *, overwrite: bool = False, resume: bool = False) -> Iterator[RunFolder]:
    """Give a temporary folder that becomes `target` when the block ends, and stays for a later run when it raises.

    It stands beside the target as `.NAME.partial`. Write a manifest into it first: a partial folder without one holds
    no work, and is discarded. `find_resumable` finds the others, so that a caller can check what they were made from.

    Args:
        target: the run folder; it may be missing or empty.
        overwrite: replace a run folder that stands there, and discard an unfinished run.
        resume: continue an unfinished run, or a copy of the run folder that stands there; where there is neither,
            begin a new run.

    Raises:
        InputError: where the target cannot be used, is being written by another process, or an unfinished run is
            neither resumed nor overwritten, or was begun with other versions.
    """
    target = absolute_target(target)
    with lock_target(target):
        recover(target)
        path, earlier = unfinished_folder(target), find_resumable(target)
        if resume and earlier is not None:
            read_manifest(earlier, unfinished=True)  # raises where it is no run folder
        else:
            check_target(target, overwrite=overwrite)
            if earlier == path and not overwrite:
                raise InputError(
                    [
                        f"{target}: an interrupted run of it is kept; go on with it: {resume_command(target)}; or "
                        "begin anew: the same command with --overwrite"
                    ]
                )
        if resume and earlier == path:
            check_versions(path)
            discard_temporary(path)
        else:
            _check_ours(path)
            discard_run(path, target)
            if resume and earlier is not None:
                _copy_run(earlier, path, target)
            else:
                path.mkdir()
        yield RunFolder(path, target, resumed=resume and earlier == path)
        check_target(target, overwrite=overwrite or resume)
        _list_files(path)
        publish(path, target)


def check_versions(folder: Path) -> None:
    """Raise an `InputError` where a run was begun with other versions than those installed: its bits would differ."""
    record = read_manifest(folder, unfinished=True)
    begun, now = record.get("versions", {}), installed_versions()
    apart = [f"{name} was {old}, and is {now.get(name, 'gone')}" for name, old in begun.items() if now.get(name) != old]
    if apart:
        anew = "install those versions, or begin anew: the same command with --overwrite"
        raise InputError([f"{folder}: was begun with other versions ({'; '.join(apart)}); {anew}"])


def _check_ours(path: Path) -> None:
    """Refuse to delete a folder that has the name of an unfinished run, and holds what no run writes."""
    if not path.is_dir() or (path / MANIFEST).is_file():
        return
    known = (*IN_PROGRESS, "config.toml")
    other = [p.name for p in path.iterdir() if p.name not in known and not TEMPORARY.fullmatch(p.name)]
    if other:
        raise InputError(
            [f"{path}: has the name of an unfinished run, and is none (it holds {other[0]}); move it away"]
        )


def _copy_run(earlier: Path, path: Path, target: Path) -> None:
    """Copy a run folder without the user's own files, which stay where they are until the copy replaces the run."""
    copy, own = name_beside(target, NEW), set(own_files(earlier))
    shutil.copytree(
        earlier,
        copy,
        ignore=lambda where, names: {n for n in names if Path(where, n).relative_to(earlier) in own},
    )
    record = read_manifest(copy, unfinished=True) | {"status": RUNNING}
    for name in (FILES, CHECKSUMS):
        record.pop(name, None)
    RunFolder(copy, copy).write_json(MANIFEST, record)
    copy.rename(path)  # whole from here on: one that was cut short must not be taken for an unfinished run


def find_resumable(target: Path | str) -> Path | None:
    """Return the folder that `resumable_run` continues from: the unfinished run, else what stands at the target."""
    target = absolute_target(target)
    if (unfinished_folder(target) / MANIFEST).is_file():
        return unfinished_folder(target)
    return target if target.is_dir() and any(target.iterdir()) else None


def resume_command(target: Path) -> str:
    """Return the command that goes on with an interrupted run."""
    with suppress(ValueError):  # a short path where it lies below the working folder
        target = target.relative_to(Path.cwd())
    return f"fractile resume {shlex.quote(str(target))}"


def absolute_target(target: Path | str) -> Path:
    """Return the whole path of a target; of a link, that of the folder that it leads to, which is replaced."""
    path = Path(os.path.abspath(Path(target).expanduser()))
    return path.resolve() if path.is_symlink() else path


def check_target(target: Path, *, overwrite: bool = False) -> None:
    """Raise an `InputError` where a run folder cannot be written to `target`."""
    check_place(target)
    if target.is_dir():
        if not any(target.iterdir()) or (overwrite and listed_files(target) is not None):
            return
        reason = f"is not a run folder (it holds no {MANIFEST}), and only those are overwritten"
        if (target / MANIFEST).is_file():
            reason = f"has a {MANIFEST} that does not list the files of the run, so that yours cannot be told from them"
            reason += "; give another --out, or move the folder away"
        if not overwrite:
            reason = "exists and is not empty; give another --out, or --overwrite to replace a run folder"
        raise InputError([f"{target}: {reason}"])
    if os.path.lexists(target):
        raise InputError([f"{target}: is a file; give --out a folder that does not exist yet"])


def free_target(target: Path) -> Path:
    """Return `target`, or the first of target-2, target-3, … at which neither a file nor an unfinished run stands."""

    def is_taken(path: Path) -> bool:
        there = os.path.lexists(path) or os.path.lexists(unfinished_folder(path))
        return there or bool(leftovers(path, OLD)) or is_locked(path)

    candidate, number = target, 2
    while is_taken(candidate):
        candidate, number = target.with_name(f"{target.name}-{number}"), number + 1
    return candidate


def _list_files(path: Path) -> None:
    """Write the names of a run's files into its manifest, where it has one."""
    if (path / MANIFEST).is_file():
        files = [file.as_posix() for file in files_below(path)]
        record = plain(read_manifest(path, unfinished=True) | {FILES: files})
        RunFolder(path, path).write_json(MANIFEST, with_checksums(path, record, files))


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a temporary file beside `path`, rename it to `path`, and return that.

    Where `write` raises, nothing is left and what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        write(partial)
        os.replace(partial, path)
    except OSError as error:  # libraries name no file, or the temporary one
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_frame(path: Path | str, frame: pd.DataFrame, encoding: str = "utf-8") -> Path:
    """Write a frame as CSV or Parquet, as the name ends, without its index, and return the path."""
    path = check_output(path)
    if path.suffix == ".csv":
        return replace_file(path, lambda part: frame.to_csv(part, index=False, lineterminator="\n", encoding=encoding))
    return replace_file(path, lambda partial: frame.to_parquet(partial, index=False))


def manifest(name: str, *, command: str, seed: int, status: str = COMPLETE, **details: Any) -> dict[str, Any]:
    """Return what a run was made from, the versions of `PACKAGES` that are installed included.

    Args:
        name: the study's name.
        command: the command line.
        seed: the study's seed.
        status: "complete" once everything is written.
        **details: what else a reader needs, e.g. hashes of the files, the timeline, the items.
    """
    return {
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": seed,
        "status": status,
        "versions": installed_versions(),
        **details,
    }


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of those of `PACKAGES` that are installed."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def read_manifest(folder: Path | str, *, unfinished: bool = False) -> dict[str, Any]:
    """Return the manifest of a finished run.

    Args:
        folder: of the run.
        unfinished: whether one that is not finished will do.

    Raises:
        InputError: where the folder is missing, is not a run folder, or the run is not finished.
    """
    folder, path = Path(folder), Path(folder) / MANIFEST
    if not folder.exists():
        kept = unfinished_folder(absolute_target(folder))
        if leftovers(absolute_target(folder), OLD):
            finish = resume_command(folder)
            raise InputError([f"{folder}: a run was killed when it was to replace another one; finish it: {finish}"])
        if (kept / MANIFEST).is_file():
            raise InputError([f"{folder}: the run was interrupted; finish it: {resume_command(folder)}"])
        raise InputError([f"{folder}: there is no such run folder; `fractile study` or `fractile train` makes one"])
    if not folder.is_dir():
        raise InputError([f"{folder}: is a file; give a run folder"])
    if not path.is_file():
        raise InputError([f"{folder}: is not a run folder: it holds no {MANIFEST}"])
    try:
        content = read_json(inside(folder, MANIFEST))
    except FractileError as error:
        raise InputError([f"{error}; make the run again"]) from None
    if not isinstance(content, dict):
        raise InputError([f"{path}: is damaged (no JSON object); make the run again"])
    content = check_manifest(path, content)
    if not unfinished and content.get("status", COMPLETE) != COMPLETE:
        raise InputError([f"{folder}: the run is not finished; finish it: {resume_command(folder)}"])
    return content


def json_text(value: Any, indent: int | None = 2) -> str:
    """Return strict JSON; see `plain` for what may stand in it."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value in JSON's types: arrays as lists, paths and dates as text, NaN and infinities as None.

    >>> plain({"folder": Path("runs"), "saving": (0.1, float("nan"))})
    {'folder': 'runs', 'saving': [0.1, None]}
    """
    if hasattr(value, "tolist"):  # a numpy array or number
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(below) for below in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
