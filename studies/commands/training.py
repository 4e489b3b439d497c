"""`fractile train ENV_ID`: which options it takes, and what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...envs.gym.registration import ENVIRONMENTS
from ...errors import InputError, did_you_mean
from ..folder import check_target, find_resumable, free_target
from .target import recover_target
from .terminal import Terminal, records

if TYPE_CHECKING:
    from ..train_environment import EnvironmentRun

PREFIX = "fractile/"
"""What every environment's id begins with."""
SETTINGS = ("lead_time", "holding_cost", "stockout_cost")
"""Options that change an environment as they change a history's items."""


def is_environment(text: str | None) -> bool:
    """Whether a command's argument is an environment's id, not the path of a config file."""
    return text is not None and (text in ENVIRONMENTS or (text.startswith(PREFIX) and not text.endswith(".toml")))


def history_overrides(*, policy: str, steps: Any, track: bool, resume: bool) -> dict[str, Any]:
    """Return the config values of a training on a history, and refuse what goes with environments alone.

    Raises:
        InputError: names each option.
    """
    given = [flag for flag, value in {"--track": track, "--resume": resume}.items() if value]
    if given:
        raise InputError(f"{flag}: goes with an environment, not with a history; leave it out" for flag in given)
    return {} if steps is None else {f"policies.options.{policy}.steps": steps}


def train_on(
    terminal: Terminal,
    id: str,  # Gymnasium's own name for it
    overrides: Mapping[str, Any],
    *,
    policy: str,
    steps: Any,
    track: bool,
    resume: bool,
    quick: bool,
    out: Path | None,
    overwrite: bool,
    command: str,
) -> None:
    """Train a policy on an environment, and print how it compares.

    Args:
        terminal: where the output goes.
        id: of the environment.
        overrides: typed values by dotted config key; those of a history are refused.
        policy: its name.
        steps: see `train_environment`.
        track: log to TensorBoard.
        resume: see `train_environment`.
        quick: likewise.
        out: the run folder; runs/NAME where None.
        overwrite: replace a run folder that stands there.
        command: the command line, for the record.

    Raises:
        InputError: where the id is unknown, or an option goes with a history.
    """
    allowed = {"policies.names", "policies.baseline", "seed", "name", *(f"defaults.{name}" for name in SETTINGS)}
    typed = {key: value for key, value in overrides.items() if value is not None}
    faults = [
        f"--{key.rpartition('.')[2].rstrip('s').replace('_', '-')}: goes with a history, not with an environment; "
        f"leave it out, or leave {id} out to train on a history"
        for key in typed
        if key not in allowed
    ]
    if id not in ENVIRONMENTS:
        faults.append(f"unknown environment {id!r}{did_you_mean(id, ENVIRONMENTS)}")
    seed = typed.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        faults.append(f"--seed: must be a whole number >= 0, got {seed!r}")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        faults.append(f"--steps: must be a whole number >= 1, got {steps!r}")
    if resume and out is None:
        faults.append("--resume: needs the folder to go on in; give --out, too")
    if faults:
        raise InputError(faults)
    name = typed.get("name") or f"{id.removeprefix(PREFIX).lower()}-{policy.replace(':', '-')}"
    target = free_target(Path("runs") / name) if out is None else out
    recover_target(target)
    if not (resume and find_resumable(target)):
        check_target(target.absolute(), overwrite=overwrite)
    from ..train_environment import train_environment

    with terminal.progress() as progress:
        run = train_environment(
            id,
            target,
            policy=policy,
            steps=steps,
            seed=seed,
            environment={key: typed[f"defaults.{key}"] for key in SETTINGS if f"defaults.{key}" in typed},
            quick=quick,
            tensorboard=track,
            command=command,
            progress=progress,
            overwrite=overwrite,
            resume=resume,
        )
    show_environment(terminal, run)


def show_environment(terminal: Terminal, run: EnvironmentRun) -> None:
    """Print how a policy that was trained on an environment compares."""
    document = {
        "folder": run.folder,
        "policy": run.policy,
        "environment": run.environment,
        "optimum": run.optimum,
        "table": records(run.comparison.table),
        "notes": run.notes,
    }
    terminal.emit(document, f"{run.to_text()}\n\nRun: {run.folder}")
