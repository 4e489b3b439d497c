"""Gradients straight through the simulator: the whole episode is differentiated with respect to the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..arrays import FloatArray
from ..envs.core.period import StockState
from ..envs.core.types import HistoryView, Scenario
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import Encoder, make_encoder
from ..envs.gym.sources import EpisodeSource
from ..envs.networks.network import Network
from ..policies.neural import NeuralPolicy, initial_layers
from ..policies.rollout import NO_HISTORY, roll
from ..randomness import keyed_generator
from .recording import collect_features, one_thread

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, cost relative to the start)."""


@dataclass(frozen=True)
class BackpropConfig:
    """How the network is trained.

    Attributes:
        steps: gradient steps.
        paths: episodes in each step.
        periods: length of an episode.
        warm_up: first periods whose cost does not count; they wash out the start.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam, at its highest; it falls to a hundredth along a cosine.
        clip: largest norm of a gradient.
        evaluate_every: steps between evaluations on the validation episodes; the best network is kept.
        validation_paths: episodes that are kept for validation.
        whole_units: round orders to packs while training (gradients pass straight through).
        seed: of the network, the episodes and the validation episodes.
    """

    steps: int = 600
    paths: int = 256
    periods: int = 40
    warm_up: int = 8
    hidden: tuple[int, ...] = (32, 32)
    learning_rate: float = 1e-2
    clip: float = 1.0
    evaluate_every: int = 50
    validation_paths: int = 1024
    whole_units: bool = False
    seed: int = 0


def train_backprop(
    source: EpisodeSource,
    config: BackpropConfig | None = None,
    *,
    validation: EpisodeSource | None = None,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    view: HistoryView = NO_HISTORY,
    progress: Progress | None = None,
) -> NeuralPolicy:
    """Train a neural policy by gradient descent on the simulated cost (Madeka et al. 2022; Alvo et al. 2023).

    Args:
        source: where training episodes come from.
        config: how to train.
        validation: where the episodes that choose the best network come from; `source` where None.
        level_scale: of the newsvendor that training starts from; see `TunedNewsvendor`.
        level_shift: likewise.
        view: what the network is shown of the past.
        progress: told after every evaluation.

    Returns:
        The best network seen, in numpy.
    """
    config = config or BackpropConfig()
    rng = keyed_generator(config.seed, "backprop", "episodes")
    judge = keyed_generator(config.seed, "backprop", "validation")
    start: dict[str, Any] = {"level_scale": level_scale, "level_shift": level_shift}
    encoder = make_encoder(source, memory=view.memory, together=False, **start)
    setting: dict[str, Any] = {"periods": config.periods, "encoder": encoder, "view": view}
    batch = InventoryBatch(source, paths=config.paths, **setting)
    held = InventoryBatch(validation or source, paths=config.validation_paths, **setting)
    held.reset(judge)
    with one_thread():
        policy = _initial_policy(encoder, held, config)
        parameters = [p.requires_grad_(True) for layer in policy.layers for p in layer]
        optimiser = torch.optim.Adam(parameters, lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 100
        )
        first = lowest = _validation_cost(policy, held, config)
        best = _copied(policy)
        for step in range(1, config.steps + 1):
            batch.reset(rng)
            _descend(policy, batch, optimiser, parameters, config, first)
            schedule.step()
            if step % config.evaluate_every == 0 or step == config.steps:
                cost = _validation_cost(policy, held, config)
                if cost < lowest:
                    lowest, best = cost, _copied(policy)
                if progress is not None:
                    progress(step, config.steps, cost / first)
    return best


def rollout_cost(policy: NeuralPolicy, batch: InventoryBatch, config: BackpropConfig) -> torch.Tensor:
    """Return the cost per period of the batch's episodes, differentiable in the policy, a scalar tensor."""
    scenario, params, state = as_tensors(batch.scenario, batch.params, batch.state)
    if not config.whole_units:
        params = without_packs(params)
    scenario = scenario.window(0, config.periods)
    costs = [outcome.cost for _, outcome in roll(policy, scenario, params, state, batch.view)]
    return torch.stack(costs[config.warm_up :]).mean()


def without_packs(params: Any) -> Any:
    """Return the parameters for any quantity: no packs, and no whole units where stock is rationed."""
    if isinstance(params, Network):
        return replace(params, whole_units=False) if params.whole_units else params
    return replace(params, pack_size=None) if params.pack_size is not None else params


def as_tensors(scenario: Scenario, params: Any, state: StockState) -> tuple[Scenario, Any, Any]:
    """Bring demand and state to torch, float32; forecasts and parameters follow where they are used."""
    tensors = type(state)(*(torch.as_tensor(x, dtype=torch.float32) for x in state))
    return replace(scenario, demand=torch.as_tensor(scenario.demand, dtype=torch.float32)), params, tensors


def _descend(
    policy: NeuralPolicy,
    batch: InventoryBatch,
    optimiser: torch.optim.Optimizer,
    parameters: list[torch.Tensor],
    config: BackpropConfig,
    scale: float,
) -> None:
    loss = rollout_cost(policy, batch, config) / scale
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, config.clip)
    optimiser.step()


def _validation_cost(policy: NeuralPolicy, held: InventoryBatch, config: BackpropConfig) -> float:
    with torch.no_grad():
        return float(rollout_cost(policy, held, config))


def _initial_policy(encoder: Encoder, held: InventoryBatch, config: BackpropConfig) -> NeuralPolicy:
    """The newsvendor as a network, its features standardised over what the newsvendor meets."""
    rng = keyed_generator(config.seed, "backprop", "network")
    layers = initial_layers(rng, (encoder.size, *config.hidden, encoder.outputs))
    met = collect_features(encoder, held)
    shift, spread = met.mean(0), np.maximum(met.std(0), 1e-3)
    tensors = tuple(tuple(torch.as_tensor(x, dtype=torch.float32) for x in layer) for layer in layers)
    statistics = (torch.as_tensor(x, dtype=torch.float32) for x in (shift, spread))
    return NeuralPolicy(encoder, tensors, *statistics)  # type: ignore[arg-type]  # tuples of pairs


def _copied(policy: NeuralPolicy) -> NeuralPolicy:
    """The policy in numpy, apart from the one that is being trained."""

    def arrays(*tensors: torch.Tensor) -> tuple[FloatArray, ...]:
        return tuple(t.detach().numpy().astype(np.float64) for t in tensors)

    shift, spread = arrays(policy.shift, policy.spread)
    layers: list[Any] = [arrays(weight, bias) for weight, bias in policy.layers]
    return replace(policy, layers=tuple(layers), shift=shift, spread=spread)
