"""Runs that may be interrupted: what is finished is kept beside the target, and `fractile resume` goes on with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import FractileError, InputError
from ..files import inside, read_json
from ..parts import count_parts, sha256
from .config import StudyConfig, load_config
from .folder import (
    MANIFEST,
    RunFolder,
    absolute_target,
    check_target,
    check_versions,
    manifest,
    read_manifest,
    resumable_run,
    resume_command,
    unfinished_folder,
)
from .places import check_not_input
from .replacing import FAILED, INTERRUPTED, PARTS as PARTS, REQUEST as REQUEST, REQUEST_CONFIG as CONFIG, RUNNING

PIECES = {"fit": "fit", "forecast": "forecast", "policy": "policy", "histories": "set of simulated histories"}
PIECES |= {"history": "survey of the history", "plan": "plan", "block": "block of items", "orders": "block of orders"}
"""Kinds of finished pieces, as they are called; others are pieces of work."""
REQUESTED = {
    "kind": str,
    "command": str,
    "config": str,
    "overwrite": bool,
    "options": dict,
    "inputs": dict,
    "seconds": dict,
}
"""What `REQUEST` holds."""
OPTIONS: dict[str, dict[str, type]] = {
    "study": {},
    "train": {"policy": str, "any_forecaster": bool},
    "impact": {"in_memory": bool},
}
"""What each kind of run is begun with beside its config."""
LEAGUE = "league"
"""Folder of a study's league entries, beside the parts."""


@contextmanager
def interruptible_run(
    target: Path | str,
    config: StudyConfig,
    *,
    kind: str,
    command: str,
    overwrite: bool = False,
    resume: bool = False,
    seconds: dict[str, float] | None = None,
    **options: Any,
) -> Iterator[RunFolder]:
    """Give a temporary folder that becomes `target` when the block ends, and stays where it is interrupted.

    Finished pieces belong into its folder `PARTS`, which is gone when the block ends. Where the block raises an error,
    what was finished stays, too, as a run that failed; nothing where nothing was, or where the input is at fault.

    Args:
        target: the run folder; it may be missing or empty.
        config: that the run is begun with.
        kind: "study", "impact" or "train".
        command: the command line, for the record.
        overwrite: replace a run folder that stands there, and discard an interrupted run.
        resume: go on with an interrupted run; see `read_request`.
        seconds: CPU time by stage; it is kept with an interrupted run, and read by one that is resumed.
        **options: what the run is begun with beside its config; what JSON can hold.

    Raises:
        InputError: where the target cannot be used, or is being written by another process.
    """
    target = absolute_target(target)
    check_not_input(target, config.inputs)
    seconds = {} if seconds is None else seconds
    with resumable_run(target, overwrite=overwrite, resume=resume) as run:
        request: dict[str, Any] = {
            "kind": kind,
            "command": command,
            "overwrite": overwrite,
            "options": options,
            "inputs": _hashes(config),
            "seconds": {},
        }
        if resume:
            if not (run.path / REQUEST).is_file():  # another process has finished it meanwhile
                raise InputError([f"{target}: there is no interrupted run of it"])
            request = _read_request(run.path)
            for stage, spent in request["seconds"].items():
                seconds[stage] = seconds.get(stage, 0.0) + spent
        try:
            with resume_hint(run, lambda: kept_sentence(run.path / PARTS)):
                run.write_text(CONFIG, config.to_toml(unset=False))
                request["config"] = sha256(run.path / CONFIG)
                run.write_json(REQUEST, request)
                record = manifest(config.name, command=command, seed=config.seed, status=RUNNING) | {"kind": kind}
                run.write_json(MANIFEST, record)
                yield run
        except BaseException:
            if run.path.exists():
                with suppress(OSError):  # a full disk, say
                    run.write_json(REQUEST, {**request, "seconds": {k: round(v, 3) for k, v in seconds.items()}})
            raise


@contextmanager
def resume_hint(run: RunFolder, kept: Callable[[], str]) -> Iterator[None]:
    """Note on an interruption or an error what is kept of a run, where, and how to go on with it.

    A run of which nothing is kept is discarded, and one whose input is at fault.

    Args:
        run: in progress.
        kept: says what is kept; "" where nothing is.
    """
    try:
        yield
    except BaseException as stop:
        interrupted = isinstance(stop, KeyboardInterrupt | SystemExit)
        said = "" if isinstance(stop, InputError) and not run.resumed else kept()
        if said:
            failed = {"status": FAILED, "error": f"{type(stop).__name__}: {stop}"}
            status = {"status": INTERRUPTED} if interrupted else failed
            with suppress(OSError):  # a full disk, say: its status stays that of a run that was killed
                run.write_json(MANIFEST, read_manifest(run.path, unfinished=True) | status)
            stop.add_note(f"kept: {said}, in {_short(run.path)}")
            stop.add_note(f"go on: {resume_command(run.target)}")
            stop.add_note("begin anew: the same command with --overwrite")
        else:
            shutil.rmtree(run.path, ignore_errors=True)
            if interrupted:
                stop.add_note("nothing was finished, and nothing is kept")
        raise


def kept_sentence(parts: Path) -> str:
    """Return how many pieces of each kind a folder of parts holds, in words."""
    found, league = count_parts(parts), kept_entries(parts / LEAGUE)
    running = found.pop("checkpoint", 0)
    named = [_number(number, PIECES.get(kind, "piece of work")) for kind, number in found.items()]
    named += [league] if league else []
    named += ["a training in progress"] if running else []
    return ", ".join(named[:-1]) + " and " * (len(named) > 1) + "".join(named[-1:])


def kept_entries(folder: Path) -> str:
    """Return how many entries of a league a folder holds, in words; "" where it holds none."""
    number = len(list(folder.glob("*.json")))
    return _number(number, "forecaster of the league") if number else ""


def read_request(run: Path, trusted: Collection[str] = ()) -> tuple[Path, StudyConfig, dict[str, Any]]:
    """Return the target of an interrupted run, its config, and what else it was begun with.

    Args:
        run: the run folder, or the one that its unfinished run is kept in.
        trusted: classes of one's own, `my_module:Mine`, that the run may import; see `own_code`.

    Raises:
        InputError: where there is no interrupted run, or its data or its config are no longer the same.
    """
    target, folder = find_interrupted(run)
    request = _read_request(folder)
    command, inputs = request["command"], request["inputs"]
    path = inside(folder, CONFIG)
    changed = [] if path.is_file() and sha256(path) == request["config"] else [f"{path}: was changed"]
    anew = f"begin anew: {command}" + (" --overwrite" if "--overwrite" not in command else "")
    if changed:
        raise InputError(f"{fault}; {anew}" for fault in changed)
    config = load_config(inside(folder, CONFIG), trusted=trusted)
    now = _hashes(config, missing="")
    faults = [
        f"{name}: is gone" if not now.get(name) else f"{name}: was changed since the run was begun"
        for name, known in inputs.items()
        if now.get(name) != known
    ]
    if faults:
        raise InputError(f"{fault}; {anew}" for fault in faults)
    check_target(target, overwrite=bool(request["overwrite"]))
    return target, config, request


def find_interrupted(run: Path) -> tuple[Path, Path]:
    """Return the target of an interrupted run, and the folder that it is kept in.

    Args:
        run: either of them.

    Raises:
        InputError: where there is no interrupted run.
    """
    path = resumed_target(run)
    folder = unfinished_folder(path)
    if not (folder / MANIFEST).is_file():
        if path.exists():
            read_manifest(path)
            raise InputError([f"{run}: the run is finished; there is nothing to go on with"])
        raise InputError([f"{run}: there is no interrupted run of it"])
    check_versions(folder)
    return path, folder


def resumed_target(run: Path) -> Path:
    """Return the target of a run, of which it or the folder of its unfinished run is given."""
    path = absolute_target(run)
    if path.name.startswith(".") and path.name.endswith(".partial"):
        return path.with_name(path.name[1 : -len(".partial")])
    return path


def _hashes(config: StudyConfig, missing: str | None = None) -> dict[str, str]:
    """Return the hash of each file that a config names, by path; `missing` in place of those that are not there."""
    found = {}
    for path in config.inputs:
        if missing is None or path.exists():
            found[str(path)] = sha256(path)
        else:
            found[str(path)] = missing
    return found


def _read_request(folder: Path) -> dict[str, Any]:
    """Return what an interrupted run was begun with, or refuse a file that is damaged or says something else."""
    try:
        request = read_json(inside(folder, REQUEST))
        whole = isinstance(request, dict) and all(isinstance(request.get(key), kind) for key, kind in REQUESTED.items())
        kinds = OPTIONS.get(request["kind"], {"": str}) if whole else {"": str}
        whole = whole and all(isinstance(request["options"].get(key), kind) for key, kind in kinds.items())
        texts = [*request["inputs"].values()] if whole else []
        numbers = [*request["seconds"].values()] if whole else []
        if not whole or set(request["options"]) != set(kinds):
            raise FractileError(f"{folder / REQUEST}: does not say what the run was begun with")
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(n, int | float) for n in numbers):
            raise FractileError(f"{folder / REQUEST}: has other values than it was written with")
    except FractileError as fault:
        raise InputError([f"{fault}; begin anew: the same command with --overwrite"]) from None
    found: dict[str, Any] = request
    return found


def _number(number: int, name: str) -> str:
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    if " of " in name:
        head, _, rest = name.partition(" of ")
        plural = f"{head}s of {rest}"
    return f"{number} {name if number == 1 else plural}"


def _short(path: Path) -> str:
    """Return a path relative to the working folder, where it lies below it."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
