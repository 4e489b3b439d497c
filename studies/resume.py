"""`fractile resume`: an interrupted run, finished."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import inside
from ..parts import CHECKPOINTS, sha256
from .folder import MANIFEST, check_target, read_manifest
from .interrupted import PARTS, REQUEST, find_interrupted, read_request, resumed_target
from .locks import lock_target
from .own_code import check_own_code
from .replacing import REQUEST_CONFIG, is_whole, publish, recover, unfinished_folder

if TYPE_CHECKING:
    from ..progress import Progress


AGENT = (
    "an agent's training went on from its last checkpoint with fresh episodes: its policy is not bit for bit that of a "
    "training without a break"
)
ENVIRONMENT = ("policy", "seed", "options", "tensorboard", "settings")
"""What the manifest of a training on an environment says of it."""
STATE = "state.json"
"""File that an agent's checkpoint holds."""


@dataclass(frozen=True)
class Resumed:
    """A run that was finished.

    Attributes:
        kind: "study", "impact", "train", "environment" or "lineage"; "finished" where it had only to take its place.
        folder: of the run.
        result: what its own command returns; None where it had only to take its place.
        policy: of a training, as it was asked for.
        note: what the user should know; "" where nothing.
    """

    kind: str
    folder: Path
    result: Any
    policy: str = ""
    note: str = ""


def resume_run(run: Path, *, progress: Progress, trusted: Collection[str] = ()) -> Resumed:
    """Go on with an interrupted run: what is finished is read, the rest is done.

    The result is that of a run that was never interrupted, to the last bit; but for agents, whose training goes on
    from its last checkpoint with fresh episodes.

    Args:
        run: the run folder, or the one that its unfinished run is kept in.
        progress: receives what is being done.
        trusted: classes of one's own, `my_module:Mine`, that the run may import; see `own_code`.

    Raises:
        InputError: where there is no interrupted run, or its data or its config are no longer the same.
    """
    if said := _finish(resumed_target(run)):
        return Resumed("finished", resumed_target(run), None, note=said)
    target, folder = find_interrupted(run)
    record = read_manifest(folder, unfinished=True)
    rest: dict[str, Any] = {"command": record.get("command", "fractile resume"), "progress": progress, "resume": True}
    if not (folder / REQUEST).is_file():
        if "environment" in record:
            check_own_code(folder / MANIFEST, record, trusted)
            return _resume_environment(target, record, rest)
        return _resume_lineage(target, folder, rest, trusted)
    target, config, request = read_request(run, trusted)
    options = request["options"]
    agents = any((folder / PARTS / CHECKPOINTS).glob(f"policy*network-*/{STATE}"))
    note = AGENT if agents else ""
    if request["kind"] == "study":
        from .blocks.dispatch import run_study

        return Resumed("study", target, run_study(config, target, **rest), note=note)
    if request["kind"] == "train":
        from .kept_runs import train_run

        return Resumed("train", target, train_run(config, target, **options, **rest), options["policy"], note)
    if options["in_memory"]:
        raise InputError([f"{run}: was made from data in memory; go on with impact_run(..., resume=True)"])
    from .impact.run import impact_run

    return Resumed("impact", target, impact_run(config, target, **rest), note=note)


def _finish(target: Path) -> str:
    """Put a run that is whole in its place, where a killed process has not come to it; "" where there is none."""
    with lock_target(target):
        said, folder = recover(target), unfinished_folder(target)
        if is_whole(folder):
            check_target(target, overwrite=True)
            publish(folder, target)
            said.append(f"{target}: was killed when it was whole; it is in its place now")
        elif (folder / MANIFEST).is_file():
            return ""  # there is more to do
    return "; ".join(said)


def _resume_environment(target: Path, record: dict[str, Any], rest: dict[str, Any]) -> Resumed:
    from .train_environment import train_environment

    lacking = [name for name in ENVIRONMENT if record.get(name) is None]
    if lacking:
        raise InputError([f"{target}: the manifest of its unfinished run lacks {', '.join(lacking)}; begin anew"])
    known = {name: record[name] for name in ("policy", "seed", "options", "tensorboard")}
    result = train_environment(record["environment"], target, environment=record["settings"], **known, **rest)
    return Resumed("environment", target, result, record["policy"])  # its notes say how it went on


def _resume_lineage(target: Path, folder: Path, rest: dict[str, Any], trusted: Collection[str]) -> Resumed:
    from .config import load_config
    from .league.run import lineage_run

    if not (folder / "config.toml").is_file():
        raise InputError([f"{folder / MANIFEST}: is of a run that cannot be resumed; begin anew, with --overwrite"])
    record = read_manifest(folder, unfinished=True)
    if record.get("config_hash") != sha256(folder / "config.toml"):
        raise InputError([f"{folder / 'config.toml'}: was changed; begin anew: the same command with --overwrite"])
    config = load_config(inside(folder, REQUEST_CONFIG), trusted=trusted)
    if config.to_toml() != (folder / "config.toml").read_text(encoding="utf-8"):
        raise InputError([f"{folder / REQUEST_CONFIG}: was changed; begin anew: the same command with --overwrite"])
    known = record["data"]["hashes"]
    faults = [
        f"{path}: " + ("was changed since the run was begun" if path.is_file() else "is gone")
        for path in config.inputs
        if path.name in known and (not path.exists() or sha256(path) != known[path.name])
    ]
    if faults:
        raise InputError(f"{fault}; begin anew: the same command with --overwrite" for fault in faults)
    return Resumed("lineage", target, lineage_run(config, target, **rest))
