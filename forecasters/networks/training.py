"""One training loop for all networks: forking sequences, averaged weights, early stopping, exact resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .layers import NetworkInputs
from .network import Batch, Network

Progress = Callable[[int, int, float], None]
"""Told the step, the number of steps and the loss (of held-out periods where there are any)."""

Keep = Callable[[Mapping[str, Any]], None]
"""Given the state of a training at every check, to be kept."""

CHECKS = 20
"""How often a training is looked at."""

CHECKED_PAIRS = 4096
"""Items times origins whose held-out loss is computed in one pass; bounds the memory."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: gradient steps.
        batch_items: items in a step.
        batch_origins: origins drawn for each step; all of them is forking sequences in full.
        learning_rate: at its peak; it rises over the first tenth and falls to almost nothing along a cosine.
        weight_decay: of AdamW.
        averaging: share of the old average that stays at each step in the average of the weights.
        patience: checks without an improvement before training stops; 0 never stops early.
    """

    steps: int
    batch_items: int
    batch_origins: int
    learning_rate: float
    weight_decay: float
    averaging: float
    patience: int


@dataclass(frozen=True, eq=False)
class Examples:
    """What a network learns from.

    Attributes:
        inputs: tensors of all items.
        demand: units, shape (items, periods + horizon), NaN where unknown.
        weight: of each item in the loss, shape (items,).
        origins: periods to forecast from, shape (origins,).
        bound: units that demand was no less than, the shape of `demand`, NaN where nothing is known; None where
            such bounds are not learnt from.
    """

    inputs: NetworkInputs
    demand: Tensor
    weight: Tensor
    origins: Tensor
    bound: Tensor | None = None

    def batch(self, rows: Tensor | slice, origins: Tensor, horizon: int) -> Batch:
        """Return some items and origins with the demand of their horizons."""
        targets = origins[:, None] + torch.arange(horizon, device=origins.device)
        bound = None if self.bound is None else self.bound[rows][:, targets]
        return Batch(self.inputs.rows(rows), self.demand[rows][:, targets], self.weight[rows], origins, bound)


class Training:
    """A training under way, which can be stopped at any check and go on exactly where it was.

    Dropout draws from torch's global generator; the caller seeds and restores it.

    Args:
        network: changed in place.
        examples: to learn from.
        held_out: to stop by; the last step counts where None.
        schedule: how long and how fast.
        generator: where the order of items and the origins come from.
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        held_out: Examples | None,
        schedule: Schedule,
        generator: torch.Generator,
    ) -> None:
        self.network, self.examples, self.held_out, self.schedule = network, examples, held_out, schedule
        decay = schedule.weight_decay
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=decay)
        self.rates = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: _rate(step, schedule.steps))
        self.average = copy.deepcopy(network).eval()
        self.best = _Best()
        self.order = _Order(len(examples.demand), generator)
        self.step = 0

    def run(self, progress: Progress | None = None, keep: Keep | None = None) -> int:
        """Train, leave the best averaged weights in the network, and return the best number of steps."""
        steps, every = self.schedule.steps, max(1, self.schedule.steps // CHECKS)
        self.network.train()
        while self.step < steps and not self._gave_up:
            loss = self._advance()
            if self.step % every and self.step < steps:
                continue
            loss = self._checked(loss)
            if keep is not None:
                keep(self.state())
            if progress is not None:
                progress(self.step, steps, loss)
        self.network.load_state_dict(self.best.weights or self.average.state_dict())
        self.network.eval()
        return self.best.step or self.step

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the training depends on."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer", "rates")}
        return {**parts, "best": self.best.state(), "order": self.order.state(), "step": self.step, **_random_states()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another training was that left this state."""
        for name in ("network", "average", "optimizer", "rates"):
            getattr(self, name).load_state_dict(state[name])
        self.best.restore(state["best"])
        self.order.restore(state["order"])
        self.step = state["step"]
        _restore_random(state)

    @property
    def _gave_up(self) -> bool:
        return 0 < self.schedule.patience <= self.best.waited

    def _advance(self) -> float:
        """Take one gradient step and return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.network.loss(self._batch())
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.rates.step()
        self.step += 1
        _average(self.average, self.network, min(self.schedule.averaging, self.step / (self.step + 9.0)))
        return float(loss.detach())

    def _batch(self) -> Batch:
        """Draw items in random order, and origins: any, or a run of them where the network wants that."""
        device = self.examples.demand.device
        rows = self.order.next(self.schedule.batch_items).to(device)
        chosen = self.order.origins(len(self.examples.origins), self.schedule.batch_origins, self.network.consecutive)
        return self.examples.batch(rows, self.examples.origins[chosen.to(device)], self.network.horizon)

    def _checked(self, loss: float) -> float:
        if self.held_out is not None and self.step > self.schedule.steps // 3:
            loss = evaluate(self.average, self.held_out)
            self.best.offer(self.step, loss, self.average)
        return loss


def evaluate(network: Network, examples: Examples) -> float:
    """Return the loss over all items and origins, a block of items at a time."""
    size = max(1, CHECKED_PAIRS // len(examples.origins))
    total, number = 0.0, 0.0
    with torch.no_grad():
        for first in range(0, len(examples.demand), size):
            batch = examples.batch(slice(first, first + size), examples.origins, network.horizon)
            known = float((~torch.isnan(batch.demand)).sum())
            total += float(network.loss(batch)) * known
            number += known
    return total / max(number, 1.0)


def tensors(arrays: dict[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Return arrays as tensors on a device."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}


class _Best:
    """Keeps the weights with the least held-out loss."""

    def __init__(self) -> None:
        self.loss, self.step, self.waited = math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, step: int, loss: float, network: nn.Module) -> None:
        if loss < self.loss:
            self.loss, self.step, self.waited = loss, step, 0
            self.weights = {name: value.clone() for name, value in network.state_dict().items()}
        else:
            self.waited += 1

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


class _Order:
    """Draws items without repetition until all were seen, and origins anew for each step."""

    def __init__(self, items: int, generator: torch.Generator) -> None:
        self.items, self.generator = items, generator
        self.waiting = torch.empty(0, dtype=torch.int64)

    def next(self, number: int) -> Tensor:
        if len(self.waiting) < min(number, self.items):
            self.waiting = torch.cat([self.waiting, torch.randperm(self.items, generator=self.generator)])
        rows, self.waiting = self.waiting[:number], self.waiting[number:]
        return rows

    def origins(self, available: int, number: int, consecutive: bool) -> Tensor:
        if not consecutive:
            return torch.randperm(available, generator=self.generator)[:number].sort().values
        first = int(torch.randint(max(1, available - number + 1), (1,), generator=self.generator))
        return torch.arange(first, min(first + number, available))

    def state(self) -> dict[str, Any]:
        return {"waiting": self.waiting.clone(), "generator": self.generator.get_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.waiting = state["waiting"]
        self.generator.set_state(state["generator"])


def _random_states() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu_random": torch.get_rng_state(), "cuda_random": cuda}


def _restore_random(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])


def _average(average: nn.Module, network: nn.Module, share: float) -> None:
    with torch.no_grad():
        for old, new in zip(average.parameters(), network.parameters(), strict=True):
            old.lerp_(new, 1.0 - share)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
