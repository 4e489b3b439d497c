"""One fit of a network: train without the last periods, stop by them, then train on with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..panel import SalesPanel
from .checkpoint import Checkpoint
from .config import NetworkConfig
from .layers import NetworkInputs
from .network import Network
from .training import Examples, Progress, Schedule, Training, tensors

FEWEST = 12
"""Periods that must remain to train on for any to be held out."""
SLOWER = 0.4
"""Learning rate of the training with all periods, as a share of the first one."""


class Fit:
    """The two phases of a fit, each of which can be interrupted and go on exactly where it was.

    Args:
        config: how to train.
        network: changed in place.
        examples: of all periods.
        checkpoint: where the state is kept.
        progress: told now and then.
    """

    def __init__(
        self,
        config: NetworkConfig,
        network: Network,
        examples: Examples,
        checkpoint: Checkpoint,
        progress: Progress | None,
    ) -> None:
        self.config, self.network, self.examples = config, network, examples
        self.checkpoint, self.progress = checkpoint, progress
        self.generator = torch.Generator().manual_seed(config.seed)
        self.periods = len(examples.origins) + 1
        self.held = held_out(self.periods, config.hold_out)
        self.kept = checkpoint.load()

    def train(self) -> int:
        """Train on all but the held-out periods; return the best number of steps."""
        if self.kept is not None and self.kept["phase"] == "refit":
            self.network.load_state_dict(self.kept["early"])
            return int(self.kept["best"])
        last = self.periods - self.held
        stop_by = part_of(self.examples, last, self.periods) if self.held else None
        return self._run("train", part_of(self.examples, 1, last), stop_by, self.config.schedule)

    def go_on(self, best: int) -> None:
        """Train on, with the held-out periods and at a lower rate, for a share of the best number of steps."""
        if not self.held or self.config.refit == 0:
            return
        steps = max(1, round(best * self.config.refit))
        rate = self.config.learning_rate * SLOWER
        schedule = replace(self.config.schedule, steps=steps, learning_rate=rate, patience=0)
        early = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._run("refit", self.examples, None, schedule, best=best, early=early)

    def _run(self, phase: str, examples: Examples, stop_by: Examples | None, schedule: Schedule, **more: Any) -> int:
        training = Training(self.network, examples, stop_by, schedule, self.generator)
        if self.kept is not None and self.kept["phase"] == phase:
            training.restore(self.kept["state"])
        return training.run(self.progress, lambda state: self.checkpoint.save(phase, state, **more))


def held_out(periods: int, share: float) -> int:
    """Return how many of the last periods are held out; 0 where the history is too short to spare any."""
    held = round(share * periods)
    return held if periods - held >= FEWEST and held >= 2 else 0


def examples_of(panel: SalesPanel, inputs: NetworkInputs, config: NetworkConfig) -> Examples:
    """Return what there is to learn from a panel: demand of informative item-periods."""
    demand = np.where(panel.informative, panel.sales, np.nan)
    demand = np.concatenate([demand, np.full((panel.items, config.horizon), np.nan)], axis=1)
    weeks = panel.informative.sum(axis=1)
    scale = (panel.sales * panel.informative).sum(axis=1) / np.maximum(weeks, 1) + 0.1
    weight = scale**-config.scale_power
    arrays = {
        "demand": demand.astype(np.float32),
        "weight": (weight / (weight * scale).mean()).astype(np.float32),
        "origins": np.arange(1, panel.periods),
    }
    return Examples(inputs=inputs, **tensors(arrays, inputs.past.device))


def part_of(examples: Examples, first: int, last: int) -> Examples:
    """Return the origins and the demand of periods first … last − 1."""
    demand = torch.full_like(examples.demand, torch.nan)
    demand[:, first:last] = examples.demand[:, first:last]
    origins = torch.arange(first, last, device=demand.device)
    return replace(examples, demand=demand, origins=origins)
