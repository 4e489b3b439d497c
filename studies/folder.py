"""Run folders and output files: written under a temporary name, and renamed once they are whole.

This is the only writer of run folders. `new_run` leaves all or nothing; `resumable_run` keeps unfinished work for a
later run. What stood at the target is replaced by a rename, once the new folder is whole, and never deleted before.
A manifest lists the files that the run wrote; others are the user's own, and are carried over into the folder that
replaces it.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import FractileError, InputError
from ..files import inside, read_json
from .integrity import check_manifest, with_checksums

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
"""A folder that holds this file is a run folder."""
COMPLETE, RUNNING, INTERRUPTED = "complete", "running", "interrupted"
"""Status of a run, in its manifest."""
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
FILES = "files"
"""The key of a manifest that lists the files of its run."""
ORDER_FILES = ("orders.csv", "orders.parquet")
"""Lists of orders, which may be written anew into the folder of their run."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run in progress.

    Attributes:
        path: the temporary folder; write here.
        target: its final path, once the run is over.
    """

    path: Path
    target: Path

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
    target = _absolute(target)
    check_target(target, overwrite=overwrite)
    path = _existing(target.parent) / f".{target.name}.{uuid4().hex[:8]}.partial"
    path.mkdir()
    try:
        yield RunFolder(path, target)
        check_target(target, overwrite=overwrite)
        _publish(path, target)
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
        InputError: where the target cannot be used, or an unfinished run is neither resumed nor overwritten.
    """
    target = _absolute(target)
    path, earlier = unfinished_folder(target), find_resumable(target)
    if resume and earlier is not None:
        read_manifest(earlier, unfinished=True)  # raises where it is no run folder
    else:
        check_target(target, overwrite=overwrite)
        if earlier == path and not overwrite:
            raise InputError(
                [
                    f"{target}: an interrupted run of it is kept; go on with it: {resume_command(target)}; or begin "
                    "anew: the same command with --overwrite"
                ]
            )
    if not resume or earlier != path:
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and earlier is not None:
            # Under a third name first: a copy that was cut short must not be taken for an unfinished run.
            copy = path.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
            own = set(own_files(earlier))  # they stay where they are until the copy replaces the run
            shutil.copytree(
                earlier,
                copy,
                ignore=lambda where, names: {n for n in names if Path(where, n).relative_to(earlier) in own},
            )
            copy.rename(path)
        else:
            path.mkdir()
    yield RunFolder(path, target)
    check_target(target, overwrite=overwrite or resume)
    _publish(path, target)


def find_resumable(target: Path | str) -> Path | None:
    """Return the folder that `resumable_run` continues from: the unfinished run, else what stands at the target."""
    target = _absolute(target)
    if (unfinished_folder(target) / MANIFEST).is_file():
        return unfinished_folder(target)
    return target if target.is_dir() and any(target.iterdir()) else None


def resume_command(target: Path) -> str:
    """Return the command that goes on with an interrupted run."""
    with suppress(ValueError):  # a short path where it lies below the working folder
        target = target.relative_to(Path.cwd())
    return f"fractile resume {shlex.quote(str(target))}"


def unfinished_folder(target: Path) -> Path:
    """Return where `resumable_run` keeps an unfinished run of a target."""
    return target.with_name(f".{target.name}.partial")


def _absolute(target: Path | str) -> Path:
    """Return the whole path of a target; of a link, that of the folder that it leads to, which is replaced."""
    path = Path(os.path.abspath(Path(target).expanduser()))
    return path.resolve() if path.is_symlink() else path


def check_target(target: Path, *, overwrite: bool = False) -> None:
    """Raise an `InputError` where a run folder cannot be written to `target`."""
    if target.is_dir():
        if not any(target.iterdir()) or (overwrite and _listed(target) is not None):
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
    parent = _existing(target.parent)
    if not parent.is_dir():
        raise InputError([f"{target}: cannot be made, since {parent} is a file; give another --out"])
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError([f"{target}: cannot be made, since {parent} is not writable; give another --out"])


def free_target(target: Path) -> Path:
    """Return `target`, or the first of target-2, target-3, … at which neither a file nor an unfinished run stands."""
    candidate, number = target, 2
    while os.path.lexists(candidate) or os.path.lexists(unfinished_folder(candidate)):
        candidate, number = target.with_name(f"{target.name}-{number}"), number + 1
    return candidate


def _existing(folder: Path) -> Path:
    """Return the nearest folder, upwards, that exists."""
    return next(p for p in (folder, *folder.parents) if os.path.lexists(p))


def own_files(folder: Path) -> list[Path]:
    """Return the files of a run folder that the run did not write, by their paths within it.

    They are the user's own: notes, orders of later weeks. Links count as files.
    """
    listed = _listed(folder)
    return [] if listed is None else [path for path in _files(folder) if path.as_posix() not in listed]


def _listed(folder: Path) -> set[str] | None:
    """Return the files that a run lists as its own; None where it is no run folder, or of a version before 0.2."""
    with suppress(InputError):
        record = read_manifest(folder, unfinished=True)
        return set(record[FILES]) if FILES in record else None
    return None


def _files(folder: Path) -> list[Path]:
    """Return the files and links below a folder, by their paths within it."""
    found = []
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        found += [Path(where, name).relative_to(folder) for name in (*links, *names)]
    return sorted(found)


def _list_files(path: Path) -> None:
    """Write the names of a run's files into its manifest, where it has one."""
    if (path / MANIFEST).is_file():
        files = [file.as_posix() for file in _files(path)]
        record = plain(read_manifest(path, unfinished=True) | {FILES: files})
        RunFolder(path, path).write_json(MANIFEST, with_checksums(path, record, files))


def _carry_over(own: Sequence[Path], old: Path, target: Path) -> None:
    """Move the user's own files of a replaced run into the folder that replaces it, under a free name each."""
    for file in own:
        to = target / file
        number = 2
        while os.path.lexists(to):
            to, number = (target / file).with_stem(f"{file.stem}-{number}"), number + 1
        to.parent.mkdir(parents=True, exist_ok=True)
        (old / file).rename(to)


def _publish(path: Path, target: Path) -> None:
    """Rename `path` to `target`; what stood there comes back if that fails.

    The user's own files are moved over; should that fail, the replaced folder stays beside the target with what is left
    of them.
    """
    _list_files(path)
    own = own_files(target) if target.exists() else []
    made = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    old = path.with_name(f".{target.name}.{uuid4().hex[:8]}.old")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if target.exists():
            target.rename(old)
        path.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        for folder in made:
            folder.rmdir()
        raise
    _carry_over(own, old, target)
    shutil.rmtree(old, ignore_errors=True)


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a temporary file beside `path`, rename it to `path`, and return that.

    Where `write` raises, nothing is left and what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_frame(path: Path | str, frame: pd.DataFrame, encoding: str = "utf-8") -> Path:
    """Write a frame as CSV or Parquet, as the name ends, without its index, and return the path."""
    path = check_output(path)
    if path.suffix == ".csv":
        return replace_file(path, lambda part: frame.to_csv(part, index=False, lineterminator="\n", encoding=encoding))
    return replace_file(path, lambda partial: frame.to_parquet(partial, index=False))


FRAME_ENDINGS = (".csv", ".parquet")
"""Suffixes of files of frames."""


def check_output(path: Path | str, endings: Sequence[str] = FRAME_ENDINGS) -> Path:
    """Return the path of a file to write, or raise an `InputError` where none can be written there.

    Args:
        path: of the file.
        endings: of which its name must have one.
    """
    path = Path(path)
    if path.suffix not in endings:
        known = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise InputError([f"{path}: must end in {known}; rename the output file"])
    if path.is_dir():
        raise InputError([f"{path}: is a folder; give the name of a file"])
    if not _existing(Path(os.path.abspath(path)).parent).is_dir():
        raise InputError([f"{path}: stands below a file; give another output file"])
    return path


def check_not_input(out: Path | str | None, inputs: Iterable[Path | str | None], flag: str = "--out") -> None:
    """Raise where a command would write on a file that it reads.

    Paths are compared as the file system knows them: links, symbolic or hard, lead to the same file. The folder of a
    run is an input whole: within it a command may write lists of orders and new files only. As the target of a run, a
    folder must not hold an input, since the run replaces it.

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
        elif where.is_relative_to(whole) and os.path.lexists(written) and written.name not in ORDER_FILES:
            faults.append(f"{flag}: {out} is a file of the run {path}, which this command reads; give another name")
    if faults:
        raise InputError(dict.fromkeys(faults))


def manifest(name: str, *, command: str, seed: int, status: str = COMPLETE, **details: Any) -> dict[str, Any]:
    """Return what a run was made from, the versions of `PACKAGES` that are installed included.

    Args:
        name: the study's name.
        command: the command line.
        seed: the study's seed.
        status: "complete" once everything is written.
        **details: what else a reader needs, e.g. hashes of the files, the timeline, the items.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": seed,
        "status": status,
        "versions": versions,
        **details,
    }


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
        kept = unfinished_folder(_absolute(folder))
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
