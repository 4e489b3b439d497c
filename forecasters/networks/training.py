"""The training of a network: what it is trained on, one loop of gradient steps, and its exact resumption."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import FractileError
from ...progress import Progress
from ..data.fingerprint import panel_fingerprint
from ..data.panel import SalesPanel
from .network import Batch, Network, NetworkConfig, NetworkInputs

CHECKPOINT = "checkpoint.pt"
CHECKS = 20
"""How often a training is validated, kept and reported."""
VALIDATION_PAIRS = 4096
"""Items times origins whose loss is computed in one pass; bounds the memory."""
LEAST_TRAINING_PERIODS = 12
"""Periods that must remain to train on for any to be held out."""
REFIT_RATE = 0.4
"""Learning rate of the training with all periods, as a share of the first one."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What a network is trained on.

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

    def batch(self, rows: Tensor | slice, origins: Tensor, horizon: int) -> Batch:
        """Return some items and origins with the demand of their horizons."""
        targets = origins[:, None] + torch.arange(horizon, device=origins.device)
        return Batch(self.inputs.rows(rows), self.demand[rows][:, targets], self.weight[rows], origins)

    def between(self, first: int, last: int) -> Examples:
        """Return the origins and the demand of periods first … last − 1; all other demand is unknown."""
        kept = torch.full_like(self.demand, torch.nan)
        kept[:, first:last] = self.demand[:, first:last]
        origins = torch.arange(first, last, device=self.demand.device)
        return replace(self, demand=kept, origins=origins)


def make_examples(panel: SalesPanel, inputs: NetworkInputs, config: NetworkConfig) -> Examples:
    """Return the examples of a panel: the demand of its informative item-periods."""
    weeks = panel.informative.sum(axis=1)
    scale = (panel.sales * panel.informative).sum(axis=1) / np.maximum(weeks, 1) + 0.1
    weight = scale**-config.scale_power

    # NaN where nothing is known, and for the horizon beyond the end.
    demand = np.where(panel.informative, panel.sales, np.nan)
    longer = np.pad(demand, ((0, 0), (0, config.horizon)), constant_values=np.nan).astype(np.float32)
    arrays = {
        "demand": longer,
        # weight · scale is 1 on average at any scale_power, so that one learning rate suits all of them.
        "weight": (weight / (weight * scale).mean()).astype(np.float32),
        "origins": np.arange(1, panel.periods),
    }
    return Examples(inputs=inputs, **to_tensors(arrays, inputs.past.device))


def validation_periods(periods: int, share: float) -> int:
    """Return how many of the last periods are held out; 0 where the history is too short to spare any."""
    held_out = round(share * periods)
    return held_out if periods - held_out >= LEAST_TRAINING_PERIODS and held_out >= 2 else 0


class Checkpoint:
    """The state of an unfinished fit in a folder, one file that is replaced at every check.

    Args:
        folder: made where it does not exist; None keeps nothing.
        fingerprint: of what is fitted to what.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self.path = None if folder is None else folder / CHECKPOINT
        self.fingerprint = fingerprint

    def load(self) -> Mapping[str, Any]:
        """Return the content that was kept; empty where there is none.

        Raises:
            FractileError: where it belongs to another fit, or cannot be read.
        """
        if self.path is None or not self.path.is_file():
            return {}
        try:
            content: Mapping[str, Any] = torch.load(self.path, weights_only=True)
        except Exception as fault:
            raise FractileError(f"{self.path} cannot be read ({fault}); delete it to begin anew") from fault
        if content["fingerprint"] != self.fingerprint:
            raise FractileError(
                f"{self.path} belongs to a fit with other options or other data; "
                "give another checkpoint folder, or delete it to begin anew"
            )
        return content

    def save(self, content: Mapping[str, Any]) -> None:
        """Keep the content, in place of the one before."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".tmp")
        torch.save({"fingerprint": self.fingerprint, **content}, partial)
        os.replace(partial, self.path)

    def remove(self) -> None:
        """Remove the file once the fit has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def fit_fingerprint(name: str, config: NetworkConfig, panel: SalesPanel) -> str:
    """Return a text that differs where a fit's options or data do."""
    content = [name, config.to_config(), panel_fingerprint(panel)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class Best(NamedTuple):
    """The averaged weights with the least validation loss so far.

    Attributes:
        loss: the validation loss.
        step: gradient steps that led to it; 0 before the first validation.
        waited: validations since then.
        weights: the state of the network.
    """

    loss: float = math.inf
    step: int = 0
    waited: int = 0
    weights: Mapping[str, Tensor] = {}


class Trainer:
    """The training of one network, which can be interrupted at any check and resumed to the last bit.

    First on all but the last periods, which validate it (`train`), then with them, at a lower rate, for a share of
    the best number of steps (`refit`); in between the network forecasts periods that it was not trained on.

    Args:
        network: changed in place.
        examples: of all periods.
        config: how to train.
        seed: of batches and dropout. Dropout draws from torch's global generator; the caller restores that.
        checkpoint: where the state is kept.
    """

    def __init__(
        self, network: Network, examples: Examples, config: NetworkConfig, *, seed: int, checkpoint: Checkpoint
    ) -> None:
        self.network, self.examples, self.config = network, examples, config
        self.seed, self.checkpoint = seed, checkpoint
        self.saved = checkpoint.load()
        self.generator = torch.Generator().manual_seed(seed)
        self.best_step = 0
        periods = len(examples.origins) + 1
        self.first_held_out = periods - validation_periods(periods, config.hold_out)
        self.periods = periods

    def train(self, progress: Progress) -> None:
        """Train on all but the held-out periods, and leave the best averaged weights in the network."""
        if self.saved.get("phase") == "refit":
            self.network.load_state_dict(self.saved["early"])
            self.network.eval()
            self.best_step = int(self.saved["best"])
            return
        torch.manual_seed(self.seed)
        examples = self.examples.between(1, self.first_held_out)
        validation = None
        if self.first_held_out < self.periods:
            validation = self.examples.between(self.first_held_out, self.periods)
        content = {"phase": "train"}
        self.best_step = self._optimise(
            self.config, examples, validation=validation, content=content, progress=progress
        )

    def refit(self, progress: Progress) -> None:
        """Train further with the held-out periods; without any, `train` has used all periods already."""
        if self.first_held_out == self.periods or self.config.refit == 0:
            return
        torch.manual_seed(self.seed + 1)
        steps = max(1, round(self.best_step * self.config.refit))
        config = replace(self.config, steps=steps, learning_rate=self.config.learning_rate * REFIT_RATE, patience=0)
        early = {name: value.clone() for name, value in self.network.state_dict().items()}
        content = {"phase": "refit", "best": self.best_step, "early": early}
        self._optimise(config, self.examples, validation=None, content=content, progress=progress)

    def _optimise(
        self,
        config: NetworkConfig,
        examples: Examples,
        *,
        validation: Examples | None,
        content: Mapping[str, Any],
        progress: Progress,
    ) -> int:
        """Take `config.steps` gradient steps or fewer, and return how many led to the weights that are left.

        Args:
            config: how to train in this phase.
            examples: to train on.
            validation: to choose the weights and stop by; the last step's averaged weights are left where None.
            content: what the checkpoint holds of this phase beside the state of the loop.
            progress: called at every check.
        """
        network, generator, items, device = self.network, self.generator, len(examples.demand), examples.demand.device
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, config.steps))
        average = copy.deepcopy(network).eval()
        parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer, "rates": rates}
        best, step, waiting = Best(), 0, torch.empty(0, dtype=torch.int64)
        if self.saved.get("phase") == content["phase"]:
            state = self.saved["state"]
            for name, part in parts.items():
                part.load_state_dict(state[name])
            best, step, waiting = Best(**state["best"]), state["step"], state["order"]["waiting"]
            generator.set_state(state["order"]["generator"])
            restore_random_states(state)

        network.train()
        while step < config.steps and not 0 < config.patience <= best.waited:
            # A batch: items without repetition until all were drawn, and origins anew for each step.
            if len(waiting) < min(config.batch_items, items):
                waiting = torch.cat([waiting, torch.randperm(items, generator=generator)])
            rows, waiting = waiting[: config.batch_items], waiting[config.batch_items :]
            drawn = draw_origins(
                len(examples.origins), config.batch_origins, consecutive=network.consecutive, generator=generator
            )
            batch = examples.batch(rows.to(device), examples.origins[drawn.to(device)], network.horizon)

            optimizer.zero_grad(set_to_none=True)
            tensor = network.loss(batch)
            torch.autograd.backward(tensor)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rates.step()
            step += 1

            # The average follows quickly at first, since the weights that it began with are random.
            kept = min(config.averaging, step / (step + 9.0))
            with torch.no_grad():
                for old, new in zip(average.parameters(), network.parameters(), strict=True):
                    old.lerp_(new, 1.0 - kept)

            if step % max(1, config.steps // CHECKS) and step < config.steps:
                continue
            loss = float(tensor.detach())
            # In the first third the average still holds early weights: a check would only use up the patience.
            if validation is not None and step > config.steps // 3:
                loss = mean_loss(average, validation)
                if loss < best.loss:
                    best = Best(loss, step, 0, {name: value.clone() for name, value in average.state_dict().items()})
                else:
                    best = best._replace(waited=best.waited + 1)
            # Kept before it is reported, so that whoever interrupts `progress` finds this check on disk.
            state = {name: part.state_dict() for name, part in parts.items()}
            order = {"waiting": waiting.clone(), "generator": generator.get_state()}
            state |= {"best": best._asdict(), "order": order, "step": step, **random_states()}
            self.checkpoint.save({**content, "state": state})
            progress(f"{content['phase']} step {step} of {config.steps}, loss {loss:.4g}", step / config.steps)

        network.load_state_dict(best.weights or average.state_dict())
        network.eval()
        return best.step or step


def rate_factor(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of its peak: a linear rise, then a cosine down to 2 %."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def draw_origins(available: int, number: int, *, consecutive: bool, generator: torch.Generator) -> Tensor:
    """Return positions of origins, increasing: any of them, or a run where they must follow each other."""
    if not consecutive:
        return torch.randperm(available, generator=generator)[:number].sort().values
    first = int(torch.randint(max(1, available - number + 1), (1,), generator=generator))
    return torch.arange(first, min(first + number, available))


def mean_loss(network: Network, examples: Examples) -> float:
    """Return the loss over all items and origins, a block of items at a time."""
    size = max(1, VALIDATION_PAIRS // len(examples.origins))
    total, number = 0.0, 0.0
    with torch.no_grad():
        for first in range(0, len(examples.demand), size):
            batch = examples.batch(slice(first, first + size), examples.origins, network.horizon)
            known = float((~torch.isnan(batch.demand)).sum())
            total += float(network.loss(batch)) * known
            number += known
    return total / max(number, 1.0)


def to_tensors(arrays: Mapping[str, NDArray[Any]], device: torch.device) -> dict[str, Tensor]:
    """Return arrays as tensors on a device."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}


def random_states() -> dict[str, Any]:
    """Return the states of torch's global generators."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu_random": torch.get_rng_state(), "cuda_random": cuda}


def restore_random_states(state: Mapping[str, Any]) -> None:
    """Set torch's global generators to the result of `random_states`."""
    torch.set_rng_state(state["cpu_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])
