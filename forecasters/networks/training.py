"""Training of multi-horizon quantile networks: forking sequences, pinball loss, averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .layers import MQCNNNetwork, NetworkInputs

Progress = Callable[[int, int, float], None]
"""Told the step, the number of steps and the loss (of held-out periods where there are any)."""

CHECKS = 20
"""How often a training is looked at."""

OVERFLOW = 14.0
"""Largest log1p quantile: a million units; keeps the first steps of training finite."""


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
    """

    inputs: NetworkInputs
    demand: Tensor
    weight: Tensor
    origins: Tensor


def quantile_loss(log_quantiles: Tensor, demand: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Return the weighted mean pinball loss in units, over known demand.

    Args:
        log_quantiles: log1p of units, shape (items, origins, horizon, levels).
        demand: units, shape (items, origins, horizon), NaN where unknown.
        weight: of each item, shape (items,).
        levels: shape (levels,).
    """
    known = ~torch.isnan(demand)
    quantiles = torch.expm1(torch.clamp(log_quantiles, max=OVERFLOW))
    excess = torch.nan_to_num(demand)[..., None] - quantiles
    loss = torch.maximum(levels * excess, (levels - 1.0) * excess).mean(-1)
    counted = known * weight[:, None, None]
    return (loss * counted).sum() / known.sum().clamp(min=1)


def train(
    network: MQCNNNetwork,
    examples: Examples,
    held_out: Examples | None,
    levels: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> int:
    """Train a network in place, leave the averaged weights in it, and return the best number of steps.

    Args:
        network: changed in place.
        examples: to learn from.
        held_out: to stop by; the last step counts where None.
        levels: shape (levels,).
        schedule: how long and how fast.
        generator: where the order of items and the origins come from.
        progress: told now and then.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, schedule.steps))
    average = copy.deepcopy(network).eval()
    keeper = _BestKeeper(schedule.patience)
    network.train()
    every = max(1, schedule.steps // CHECKS)
    for step, batch in enumerate(_batches(examples, schedule, network.horizon, generator), start=1):
        loss = _step(network, batch, levels, optimizer)
        rates.step()
        _average(average, network, min(schedule.averaging, step / (step + 9.0)))
        if step % every and step < schedule.steps:
            continue
        if held_out is not None and step > schedule.steps // 3:
            loss = evaluate(average, held_out, levels)
            keeper.offer(step, loss, average)
        if progress is not None:
            progress(step, schedule.steps, loss)
        if keeper.gave_up:
            break
    network.load_state_dict(keeper.state or average.state_dict())
    network.eval()
    return keeper.step or schedule.steps


def evaluate(network: MQCNNNetwork, examples: Examples, levels: Tensor) -> float:
    """Return the loss over all items and origins."""
    with torch.no_grad():
        outputs = network(examples.inputs, examples.origins)
        demand = _targets(examples.demand, examples.origins, network.horizon)
        return float(quantile_loss(outputs, demand, examples.weight, levels))


def tensors(arrays: dict[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Return arrays as tensors on a device."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}


class _BestKeeper:
    """Keeps the weights with the least held-out loss."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.loss = math.inf
        self.step = 0
        self.waited = 0
        self.state: dict[str, Tensor] | None = None

    def offer(self, step: int, loss: float, network: nn.Module) -> None:
        if loss < self.loss:
            self.loss, self.step, self.waited = loss, step, 0
            self.state = {name: value.clone() for name, value in network.state_dict().items()}
        else:
            self.waited += 1

    @property
    def gave_up(self) -> bool:
        return 0 < self.patience <= self.waited


def _batches(examples: Examples, schedule: Schedule, horizon: int, generator: torch.Generator) -> Iterator[Examples]:
    """Yield batches of items in random order, each with origins of its own and their targets."""
    device, items = examples.demand.device, len(examples.demand)
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(schedule.steps):
        if len(waiting) < min(schedule.batch_items, items):
            waiting = torch.cat([waiting, torch.randperm(items, generator=generator)])
        rows, waiting = waiting[: schedule.batch_items].to(device), waiting[schedule.batch_items :]
        chosen = torch.randperm(len(examples.origins), generator=generator)[: schedule.batch_origins]
        origins = examples.origins[chosen.sort().values.to(device)]
        demand = _targets(examples.demand[rows], origins, horizon)
        yield Examples(examples.inputs.rows(rows), demand, examples.weight[rows], origins)


def _step(network: MQCNNNetwork, batch: Examples, levels: Tensor, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = quantile_loss(network(batch.inputs, batch.origins), batch.demand, batch.weight, levels)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _targets(demand: Tensor, origins: Tensor, horizon: int) -> Tensor:
    return demand[:, origins[:, None] + torch.arange(horizon, device=demand.device)]


def _average(average: nn.Module, network: nn.Module, share: float) -> None:
    with torch.no_grad():
        for old, new in zip(average.parameters(), network.parameters(), strict=True):
            old.lerp_(new, 1.0 - share)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
