"""Where an agent's training stands, on disk: weights, optimisers and replayed transitions, nothing pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from ..errors import FractileError
from ..files import save_arrays

STATE, WEIGHTS, REPLAY = "state.json", "weights-{}.pt", "replay-{}.safetensors"
"""Files of a checkpoint. The last two have its step in their names: the state names it, and is replaced last."""
REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of Stable-Baselines3's replay buffer."""


@dataclass(frozen=True)
class Tracking:
    """How a training is followed, and where it is kept meanwhile.

    Attributes:
        record: called after every evaluation with the learning curve's next point: `step`, `cost` (money a period of
            the validation episodes), `best`, the lowest so far, and `seconds` (of this process's CPU time).
        checkpoint: folder that the training is kept in at every evaluation, and continued from where it holds one.
        tensorboard: folder of TensorBoard's logs; the extra `track` installs it.
    """

    record: Callable[[Mapping[str, float]], None] | None = None
    checkpoint: Path | None = None
    tensorboard: Path | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What is needed to continue.

    Attributes:
        step: transitions so far.
        curve: points of the learning curve so far.
        best: weights of the best actor so far, by name.
        key: what it was trained with; only a training with the same one continues.
    """

    step: int
    curve: list[dict[str, float]]
    best: dict[str, torch.Tensor]
    key: str


def save_checkpoint(folder: Path, agent: Any, checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    """Write an agent and the state of its training; what stood there before stays until that is done.

    Args:
        folder: made where it does not exist.
        agent: of Stable-Baselines3.
        checkpoint: the rest.
        rng: of the episodes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _, variables = agent._get_torch_save_params()
    weights = {
        "best": checkpoint.best,
        "agent": agent.get_parameters(),
        "variables": {name: getattr(agent, name).detach() for name in variables if getattr(agent, name) is not None},
        "torch": torch.get_rng_state(),
    }
    names = {STATE, WEIGHTS.format(checkpoint.step), REPLAY.format(checkpoint.step)}
    torch.save(weights, folder / WEIGHTS.format(checkpoint.step))
    buffer = getattr(agent, "replay_buffer", None)
    size = 0 if buffer is None else (buffer.buffer_size if buffer.full else buffer.pos)
    if buffer is not None:
        arrays = {name: np.ascontiguousarray(getattr(buffer, name)[:size]) for name in REPLAYED}
        save_arrays(arrays, folder / REPLAY.format(checkpoint.step))
    state = {
        "step": checkpoint.step,
        "key": checkpoint.key,
        "curve": checkpoint.curve,
        "updates": agent._n_updates,
        "position": 0 if buffer is None else buffer.pos,
        "full": buffer is not None and buffer.full,
        "rng": rng.bit_generator.state,
    }
    (folder / f"{STATE}.tmp").write_text(json.dumps(state), encoding="utf-8")
    os.replace(folder / f"{STATE}.tmp", folder / STATE)  # from here on the new checkpoint holds
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def kept_step(folder: Path) -> int | None:
    """Return the step that a checkpoint was written at; None where there is none."""
    if not (folder / STATE).is_file():
        return None
    return int(json.loads((folder / STATE).read_text(encoding="utf-8"))["step"])


def restore_checkpoint(folder: Path, agent: Any, key: str, rng: np.random.Generator) -> Checkpoint | None:
    """Bring an agent and its episodes' generator to where a folder left them; None where it holds nothing.

    Args:
        folder: see `save_checkpoint`.
        agent: built with the same configuration.
        key: what it is trained with.
        rng: of the episodes; its state is set.

    Raises:
        FractileError: where the folder is of another training, or damaged.
    """
    if not (folder / STATE).is_file():
        return None
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if state["key"] != key:
            raise FractileError(f"{folder} holds a training with another configuration; give another folder")
        weights = torch.load(folder / WEIGHTS.format(int(state["step"])), map_location="cpu", weights_only=True)
        agent.set_parameters(weights["agent"])
        with torch.no_grad():
            for name, value in weights["variables"].items():
                getattr(agent, name).copy_(value)
        torch.set_rng_state(weights["torch"])
        buffer = getattr(agent, "replay_buffer", None)
        if buffer is not None:
            for name, array in load_file(folder / REPLAY.format(int(state["step"]))).items():
                getattr(buffer, name)[: len(array)] = array
            buffer.pos, buffer.full = state["position"], state["full"]
        agent.num_timesteps, agent._n_updates = state["step"], state["updates"]
        rng.bit_generator.state = state["rng"]
    except FractileError:
        raise
    except Exception as fault:
        raise FractileError(f"the training in {folder} cannot be read ({fault}); begin it anew") from fault
    return Checkpoint(state["step"], state["curve"], weights["best"], key)
