"""Finished pieces of long work, kept on disk: what an interrupted run need not do again.

A piece is kept under a key that says what it is, e.g. ("fit", "mqcnn", 104). It must follow from the key and from what
the whole work is made from (its data and configuration), which whoever resumes the work has to check. What is read
back is what is used, in a run that was never interrupted, too: so both go on from the same bits.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from .errors import FractileError

Piece = TypeVar("Piece")

KEY = "part.json"
"""Holds the key of a piece and the hashes of its files; a folder with it is whole."""
CHECKPOINTS = "checkpoints"
"""Folder of pieces that are not finished."""

UNREADABLE = (
    *(AttributeError, FractileError, LookupError, NotImplementedError, OverflowError, RecursionError),
    *(TypeError, ValueError),
)
"""What saving and loading raise where a piece cannot be kept, or was kept by another version."""


@dataclass(frozen=True)
class Parts:
    """The finished pieces of one work.

    Attributes:
        folder: they are kept here, each in a folder of its own; None: nothing is kept, and every piece is made.
        scope: begins the key of every piece.
    """

    folder: Path | None = None
    scope: tuple[str | int, ...] = ()

    def under(self, *scope: str | int) -> Parts:
        """Return the same store for keys that begin with a further scope."""
        return replace(self, scope=(*self.scope, *scope))

    def get(
        self,
        key: tuple[str | int, ...],
        make: Callable[[], Piece],
        *,
        save: Callable[[Piece, Path], object],
        load: Callable[[Path], Piece],
    ) -> Piece:
        """Return the piece of a key: read where it is kept and whole, else made and kept.

        A piece that cannot be saved, or not be loaded again, is not kept.

        Args:
            key: what kind of piece it is, and which one.
            make: the work.
            save: writes a piece into a folder.
            load: reads it back.
        """
        if self.folder is None:
            return make()
        path = self.path_of(key)
        if self.holds(key):
            try:
                return load(path)
            except UNREADABLE:
                _discard(path)  # of another version: the piece is made again
        piece = make()
        try:
            self.write(key, lambda folder: save(piece, folder))
        except UNREADABLE:
            return piece
        try:
            return load(path)
        except UNREADABLE:  # a forecaster of one's own, say, that saves and does not load
            _discard(path)
            return piece

    def write(self, key: tuple[str | int, ...], write: Callable[[Path], object]) -> Path:
        """Keep the piece of a key, and return its folder; a piece that is there already is not written again.

        The piece appears at once, with the hashes of its files. Where two processes write the same piece, that of the
        first one is kept.

        Args:
            key: what kind of piece it is, and which one.
            write: writes the files of the piece into a folder.
        """
        path = self.path_of(key)
        if self.holds(key):
            return path
        partial = path.parent / f".{uuid4().hex[:8]}.partial"
        partial.mkdir(parents=True)
        try:
            write(partial)
            record = {"key": [*self.scope, *key], "hashes": _hashes(partial)}
            (partial / KEY).write_text(json.dumps(record), encoding="utf-8")
            try:
                partial.rename(path)
            except OSError:
                if not self.holds(key):  # nobody else was first
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(path.parent / CHECKPOINTS / path.name, ignore_errors=True)
        return path

    def path_of(self, key: tuple[str | int, ...]) -> Path:
        """Return the folder that the piece of a key has, whether it is there or not."""
        if self.folder is None:
            raise FractileError("these parts have no folder, so that nothing is kept; give one: Parts(folder)")
        return self.folder / _folder_name((*self.scope, *key))

    def folder_of(self, key: tuple[str | int, ...]) -> Path:
        """Return the folder of a piece that is kept, after its files were checked.

        Raises:
            FractileError: where it is not there, or damaged.
        """
        path, name = self.path_of(key), " ".join(map(str, (*self.scope, *key)))
        if not path.is_dir():
            raise FractileError(f"{path.parent}: holds no part {name!r}; resume the run, and it is made")
        fault = _fault(path, (*self.scope, *key))
        if fault:
            raise FractileError(f"{path}: {fault}; remove the folder and resume the run, and it is made again")
        return path

    def holds(self, key: tuple[str | int, ...]) -> bool:
        """Whether the piece of a key is kept and whole; a damaged one is discarded."""
        if self.folder is None:
            return False
        path = self.path_of(key)
        if not path.exists():
            return False  # and nothing is discarded: another process may write it at this moment
        if _fault(path, (*self.scope, *key)):
            _discard(path)
            return False
        return True

    def checkpoint(self, key: tuple[str | int, ...]) -> Path | None:
        """Return the folder for the state of a piece that is being made; it goes once the piece is kept."""
        return None if self.folder is None else self.folder / CHECKPOINTS / _folder_name((*self.scope, *key))


def sha256(path: Path | str) -> str:
    """Return the hash of a file's bytes, or of all files of a folder and their names, as hexadecimal text."""
    if Path(path).is_dir():
        files = sorted(each for each in Path(path).rglob("*") if each.is_file())
        lines = [f"{each.relative_to(path).as_posix()} {sha256(each)}\n" for each in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_parts(folder: Path) -> Counter[str]:
    """Return how many pieces a folder holds, by the first text of their keys, and how many checkpoints."""
    found: Counter[str] = Counter()
    for path in sorted(folder.glob(f"*/{KEY}")):
        found[path.parent.name.partition("-")[0]] += 1
    found["checkpoint"] = sum(1 for path in folder.glob(f"{CHECKPOINTS}/*") if any(path.iterdir()))
    return +found


def _folder_name(key: tuple[str | int, ...]) -> str:
    """Return a name that people can read, and that no other key has."""
    readable = re.sub(r"[^\w.-]+", "_", "-".join(map(str, key)))[:60]
    return f"{readable}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}"


def _fault(path: Path, key: tuple[str | int, ...]) -> str:
    """Return what is wrong with the folder of a piece; "" where it is whole."""
    try:
        record = json.loads((path / KEY).read_text(encoding="utf-8"))
        if record["key"] != list(key):
            return "is the part of another key"
        found, kept = _hashes(path), dict(record["hashes"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return f"has no {KEY} that can be read"
    wrong = [name for name in sorted({*found, *kept}) if found.get(name) != kept.get(name)]
    return f"{wrong[0]} is not as it was written" if wrong else ""


def _discard(path: Path) -> None:
    """Remove the folder of a piece; under another name first, so that nobody reads it half removed."""
    aside = path.with_name(f".{uuid4().hex[:8]}.discarded")
    try:
        path.rename(aside)
    except OSError:
        return  # another process was first
    shutil.rmtree(aside, ignore_errors=True)


def _hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != KEY]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}
