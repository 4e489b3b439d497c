"""How a run folder takes the place of another: by renames, in an order that a later command can complete or undo.

    .NAME.partial is whole: its manifest lists its files
    NAME → .NAME.1a2b3c4d.old                                the old run steps aside
    .NAME.partial → NAME                                     the new one takes its place
    .NAME.1a2b3c4d.old/notes.txt → NAME/notes.txt            files that the old run did not write, one by one
    .NAME.1a2b3c4d.old → .NAME.1a2b3c4d.gone                 nothing is left in it that anybody needs: it is deleted

`recover` finds what a process that was killed on the way has left. It touches only names of this form, which are ours,
and no folder `.old` that does not list the files of a run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

MANIFEST = "manifest.json"
"""A folder that holds this file is a run folder."""
FILES = "files"
"""The key of a manifest that lists the files of its run: written last, so that a folder with it is whole."""
COMPLETE, RUNNING, INTERRUPTED, FAILED = "complete", "running", "interrupted", "failed"
"""Status of a run, in its manifest."""
PARTS, CHECKPOINT, SCRATCH = "parts", "checkpoint", "scratch"
"""Folders of a run in progress alone: finished pieces, a training, what is made on the way."""
REQUEST, REQUEST_CONFIG = "request.json", "request.toml"
"""What a run was begun with; likewise."""
IN_PROGRESS = (PARTS, CHECKPOINT, SCRATCH, REQUEST, REQUEST_CONFIG)
PARTIAL, OLD, GONE, NEW = ".partial", ".old", ".gone", ".new"
"""Endings of folders beside a target: an unfinished run, one that is replaced, one to delete, one that is begun."""
TEMPORARY = re.compile(r"\.[0-9a-f]{8}\..+")
"""Names of files that are being written: see `folder.replace_file`."""


def unfinished_folder(target: Path) -> Path:
    """Return where an unfinished run of a target is kept."""
    return target.with_name(f".{target.name}{PARTIAL}")


def name_beside(target: Path, ending: str) -> Path:
    """Return a new name beside a target, e.g. `.NAME.1a2b3c4d.old`."""
    return target.with_name(f".{target.name}.{uuid4().hex[:8]}{ending}")


def leftovers(target: Path, *endings: str) -> list[Path]:
    """Return the folders beside a target that a process which was killed has left, the latest first."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}({'|'.join(map(re.escape, endings))})")
    with suppress(OSError):
        found = [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]
        return sorted((p for p in found if p.is_dir() and not p.is_symlink()), key=_modified, reverse=True)
    return []


def listed_files(folder: Path) -> set[str] | None:
    """Return the files that a run lists as its own; None where it is no run folder, or of a version before 0.2."""
    listed = _manifest(folder).get(FILES)
    return set(map(str, listed)) if isinstance(listed, list) else None


def is_whole(folder: Path) -> bool:
    """Whether a run was finished to its last file."""
    return listed_files(folder) is not None and _manifest(folder).get("status", COMPLETE) == COMPLETE


def own_files(folder: Path) -> list[Path]:
    """Return the files of a run folder that the run did not write, by their paths within it.

    They are the user's own: notes, orders of later weeks. Links count as files.
    """
    listed = listed_files(folder)
    if listed is None:
        return []
    return [path for path in files_below(folder) if path.as_posix() not in listed and not _is_of(path, listed)]


def files_below(folder: Path) -> list[Path]:
    """Return the files and links below a folder, by their paths within it, without those of a run in progress."""
    found = []
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        found += [Path(where, name).relative_to(folder) for name in (*links, *names)]
    return sorted(path for path in found if path.parts[0] not in IN_PROGRESS)


def publish(path: Path, target: Path) -> None:
    """Rename a folder that is whole to `target`; a run that stood there comes back if that fails.

    Args:
        path: its manifest lists its files.
        target: missing, empty, or a run folder, whose files that are the user's own are moved over.
    """
    for name in IN_PROGRESS:
        _delete(path / name)
    made = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    old = name_beside(target, OLD)
    try:
        if target.exists():
            target.rename(old)
        path.rename(target)
    except BaseException:
        if old.exists() and not os.path.lexists(target):
            old.rename(target)
        for folder in made:
            folder.rmdir()
        raise
    if old.exists():
        _carry_over(old, target)  # files that find no place stay in `old`, which the next command names


def recover(target: Path) -> list[str]:
    """Complete or undo what a process that was killed has left beside a target; the caller holds its lock.

    Returns:
        what was done, a sentence each; nothing of folders that were of no use.
    """
    said = []
    for old in leftovers(target, OLD):
        if listed_files(old) is None and any(old.iterdir()):
            said.append(f"{old}: does not list the files of a run, and stays as it is; move it away")
        elif not os.path.lexists(target) and not is_whole(unfinished_folder(target)):
            old.rename(target)
            said.append(f"{target}: another run was killed when it was to replace this one, which is back")
        else:
            if not os.path.lexists(target):
                publish(unfinished_folder(target), target)
            if listed_files(target) is not None and _carry_over(old, target):
                said.append(f"{target}: was killed when it replaced an older run; this is completed")
            else:
                said.append(f"{old}: holds files of yours that find no place in {target}; move them away")
    for useless in leftovers(target, GONE, NEW):
        shutil.rmtree(useless, ignore_errors=True)
    return said


def discard_run(folder: Path, target: Path) -> None:
    """Delete an unfinished run of a target; it loses its name first, so that it is never half there."""
    if folder.is_dir():
        gone = name_beside(target, GONE)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def discard_temporary(folder: Path) -> None:
    """Delete the files of a run in progress that were being written when it was killed."""
    for path in [path for path in folder.rglob(".*") if TEMPORARY.fullmatch(path.name)]:
        _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _carry_over(old: Path, target: Path) -> bool:
    """Move the user's own files of a replaced run into the folder that replaced it, and delete the rest.

    Each takes a free name. Where one finds no place, it stays with the folder.

    Returns:
        whether all found one.
    """
    for file in own_files(old):
        to = target / file
        number = 2
        while os.path.lexists(to):
            to, number = (target / file).with_stem(f"{file.stem}-{number}"), number + 1
        with suppress(OSError):  # a file of the new run stands where the folder of this one stood
            to.parent.mkdir(parents=True, exist_ok=True)
            (old / file).rename(to)
    if own_files(old):
        return False
    gone = old.with_suffix(GONE)
    old.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _is_of(path: Path, listed: set[str]) -> bool:
    """Whether a file is the lock of a file of the run, or what was to become one when its process was killed."""
    begun = re.fullmatch(r"\.(?:[0-9a-f]{8}\.(.+)|(.+)\.lock)", path.name)
    return begun is not None and path.with_name(begun[1] or begun[2]).as_posix() in listed


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder; empty where it has none that can be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _modified(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
