"""One fit of a network: train without the last periods, stop by them, then train on with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...arrays import BoolArray
from ..data.panel import (
    SalesPanel,
)
from .checkpoint import Checkpoint
from .config import NetworkConfig
from .layers import NetworkInputs
from .network import Network
from .training import Examples, Progress, Schedule, Training, tensors

FEWEST = 12
"""Periods that must remain to train on for any to be held out."""
SEED_STEP = 7919
"""How far the seeds of an ensemble's members lie apart."""
SLOWER = 0.4
"""Learning rate of the training with all periods, as a share of the first one."""


class Fit:
    """The two phases of a fit, each of which can be interrupted and go on exactly where it was.

    Args:
        config: how to train.
        member: which network of the ensemble it is.
        network: changed in place.
        examples: of all periods.
        checkpoint: where the state is kept.
        progress: told now and then.
    """

    def __init__(
        self,
        config: NetworkConfig,
        member: int,
        network: Network,
        examples: Examples,
        checkpoint: Checkpoint,
        progress: Progress | None,
    ) -> None:
        self.config, self.network, self.examples = config, network, examples
        self.checkpoint, self.progress = checkpoint, progress
        self.seed = config.seed + SEED_STEP * member
        self.generator = torch.Generator().manual_seed(self.seed)
        self.best = 0
        self.periods = len(examples.origins) + 1
        self.held = held_out(self.periods, config.hold_out)
        self.kept = checkpoint.load()

    def train(self) -> None:
        """Train on all but the held-out periods, and leave the best weights in the network."""
        if self.kept is not None and self.kept["phase"] == "refit":
            self.network.load_state_dict(self.kept["early"])
            self.network.eval()
            self.best = int(self.kept["best"])
            return
        last = self.periods - self.held
        stop_by = part_of(self.examples, last, self.periods) if self.held else None
        self.best = self._run("train", part_of(self.examples, 1, last), stop_by, self.config.schedule)

    def go_on(self) -> None:
        """Train on, with the held-out periods and at a lower rate, for a share of the best number of steps."""
        if not self.held or self.config.refit == 0:
            return
        steps = max(1, round(self.best * self.config.refit))
        rate = self.config.learning_rate * SLOWER
        schedule = replace(self.config.schedule, steps=steps, learning_rate=rate, patience=0)
        early = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._run("refit", self.examples, None, schedule, best=self.best, early=early)

    def _run(self, phase: str, examples: Examples, stop_by: Examples | None, schedule: Schedule, **more: Any) -> int:
        torch.manual_seed(self.seed + (phase == "refit"))
        training = Training(self.network, examples, stop_by, schedule, self.generator)
        if self.kept is not None and self.kept["phase"] == phase:
            training.restore(self.kept["state"])
        return training.run(self.progress, lambda state: self.checkpoint.save(phase, state, **more))


def held_out(periods: int, share: float) -> int:
    """Return how many of the last periods are held out; 0 where the history is too short to spare any."""
    held = round(share * periods)
    return held if periods - held >= FEWEST and held >= 2 else 0


def examples_of(panel: SalesPanel, inputs: NetworkInputs, config: NetworkConfig) -> Examples:
    """Return what there is to learn from a panel: demand of informative item-periods, and bounds of others."""
    weeks = panel.informative.sum(axis=1)
    scale = (panel.sales * panel.informative).sum(axis=1) / np.maximum(weeks, 1) + 0.1
    weight = scale**-config.scale_power
    arrays = {
        "demand": _lengthened(panel, panel.informative, config.horizon),
        "weight": (weight / (weight * scale).mean()).astype(np.float32),
        "origins": np.arange(1, panel.periods),
    }
    if config.censoring == "bound":
        arrays["bound"] = _lengthened(panel, panel.listed & ~panel.in_stock, config.horizon)
    return Examples(inputs=inputs, **tensors(arrays, inputs.past.device))


def part_of(examples: Examples, first: int, last: int) -> Examples:
    """Return the origins and the demand of periods first … last − 1."""
    origins = torch.arange(first, last, device=examples.demand.device)
    bound = None if examples.bound is None else _only(examples.bound, first, last)
    return replace(examples, demand=_only(examples.demand, first, last), bound=bound, origins=origins)


def _only(values: Tensor, first: int, last: int) -> Tensor:
    kept = torch.full_like(values, torch.nan)
    kept[:, first:last] = values[:, first:last]
    return kept


def _lengthened(panel: SalesPanel, where: BoolArray, horizon: int) -> NDArray[np.float32]:
    """Return sales where they count, else NaN, and NaN for the periods behind the end."""
    sales = np.where(where, panel.sales, np.nan)
    return np.pad(sales, ((0, 0), (0, horizon)), constant_values=np.nan).astype(np.float32)
