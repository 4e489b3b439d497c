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

UNREADABLE = (AttributeError, FractileError, KeyError, NotImplementedError, TypeError, ValueError)
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
        path = self.folder / _folder_name((*self.scope, *key))
        if self.holds(key):
            try:
                return load(path)
            except UNREADABLE:
                shutil.rmtree(path)  # of another version: the piece is made again
        piece = make()
        partial = self.folder / f".{uuid4().hex[:8]}.partial"
        partial.mkdir(parents=True)
        try:
            save(piece, partial)
            record = {"key": [*self.scope, *key], "hashes": _hashes(partial)}
            (partial / KEY).write_text(json.dumps(record), encoding="utf-8")
            partial.rename(path)
        except UNREADABLE:
            return piece
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(self.folder / CHECKPOINTS / path.name, ignore_errors=True)
        try:
            return load(path)
        except UNREADABLE:  # a forecaster of one's own, say, that saves and does not load
            shutil.rmtree(path)
            return piece

    def holds(self, key: tuple[str | int, ...]) -> bool:
        """Whether the piece of a key is kept and whole; a damaged one is discarded."""
        if self.folder is None:
            return False
        path = self.folder / _folder_name((*self.scope, *key))
        try:
            record = json.loads((path / KEY).read_text(encoding="utf-8"))
            if record["key"] == [*self.scope, *key] and record["hashes"] == _hashes(path):
                return True
        except (OSError, ValueError, KeyError, TypeError):
            pass
        shutil.rmtree(path, ignore_errors=True)
        return False

    def checkpoint(self, key: tuple[str | int, ...]) -> Path | None:
        """Return the folder for the state of a piece that is being made; it goes once the piece is kept."""
        return None if self.folder is None else self.folder / CHECKPOINTS / _folder_name((*self.scope, *key))


def sha256(path: Path | str) -> str:
    """Return the hash of a file's bytes, as hexadecimal text."""
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


def _hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != KEY]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}
