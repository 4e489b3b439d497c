"""Gradients straight through the simulator: the whole episode is differentiated with respect to the policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..arrays import FloatArray
from ..envs.core.types import HistoryView
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import make_encoder
from ..envs.gym.sources import EpisodeSource
from ..envs.networks.network import Network
from ..policies.neural import NeuralPolicy, feature_statistics, initial_layers
from ..policies.rollout import NO_HISTORY, roll
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .config import BackpropConfig


def train_backprop(
    source: EpisodeSource,
    config: BackpropConfig | None = None,
    *,
    validation: EpisodeSource | None = None,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    view: HistoryView = NO_HISTORY,
    progress: Progress = no_progress,
) -> NeuralPolicy:
    """Train a neural policy by gradient descent on the simulated cost (Madeka et al. 2022; Alvo et al. 2023).

    Args:
        source: where training episodes come from.
        config: how to train.
        validation: where the episodes that choose the best network come from; `source` where None.
        level_scale: of the newsvendor that training starts from; see `TunedNewsvendor`.
        level_shift: likewise.
        view: what observations hold of the past.
        progress: called after every evaluation, with the cost as a share of the start's.

    Returns:
        The best network of all evaluations, in numpy.
    """
    config = config or BackpropConfig()
    rng = keyed_generator(config.seed, "backprop", "episodes")
    encoder = make_encoder(source, memory=view.memory, together=False, level_scale=level_scale, level_shift=level_shift)
    batch = InventoryBatch(source, paths=config.paths, periods=config.periods, encoder=encoder, view=view)
    judge = InventoryBatch(
        validation or source, paths=config.validation_paths, periods=config.periods, encoder=encoder, view=view
    )
    judge.reset(keyed_generator(config.seed, "backprop", "validation"))
    # The newsvendor as a network in torch, its features standardised over the validation episodes.
    network_rng = keyed_generator(config.seed, "backprop", "network")
    layers = initial_layers(network_rng, (encoder.size, *config.hidden, encoder.outputs))
    with one_thread():
        shift, spread = (torch.as_tensor(x, dtype=torch.float32) for x in feature_statistics(encoder, judge))
        tensors = tuple(tuple(torch.as_tensor(x, dtype=torch.float32) for x in layer) for layer in layers)
        policy = NeuralPolicy(encoder, tensors, shift, spread)  # type: ignore[arg-type]  # tuples of pairs
        parameters = [p.requires_grad_(True) for layer in policy.layers for p in layer]
        optimiser = torch.optim.Adam(parameters, lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 100
        )
        with torch.no_grad():
            first = lowest = float(rollout_cost(policy, judge, config))
        best = _to_numpy(policy)
        for step in range(1, config.steps + 1):
            batch.reset(rng)
            # Costs differ by orders of magnitude between histories: relative to the start, one clip fits all.
            loss = rollout_cost(policy, batch, config) / first
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, config.clip)
            optimiser.step()
            schedule.step()
            if step % config.evaluate_every and step < config.steps:
                continue
            with torch.no_grad():
                cost = float(rollout_cost(policy, judge, config))
            if cost < lowest:
                lowest, best = cost, _to_numpy(policy)
            progress(f"backprop: step {step} of {config.steps}, cost {cost / first:.3f}", step / config.steps)
    return best


def rollout_cost(policy: NeuralPolicy, batch: InventoryBatch, config: BackpropConfig) -> torch.Tensor:
    """Return the cost per period of the batch's episodes, differentiable in the policy, a scalar tensor."""
    params = batch.params if config.whole_units else without_packs(batch.params)
    # Demand, features and state in float32; forecasts and parameters follow where they are used.
    demand = torch.as_tensor(batch.scenario.demand, dtype=torch.float32)
    features = None if batch.scenario.features is None else batch.scenario.features.like(demand)
    scenario = replace(batch.scenario, demand=demand, features=features)
    state = type(batch.state)(*(torch.as_tensor(x, dtype=torch.float32) for x in batch.state))
    rollout = roll(policy, scenario.window(0, config.periods), params, state, batch.view)
    costs = [outcome.cost for _, outcome in rollout]
    return torch.stack(costs[config.warm_up :]).mean()


def without_packs(params: Any) -> Any:
    """Return the parameters for any quantity: no packs, and no whole units where stock is rationed."""
    if isinstance(params, Network):
        return replace(params, whole_units=False) if params.whole_units else params
    return replace(params, pack_size=None) if params.pack_size is not None else params


def _to_numpy(policy: NeuralPolicy) -> NeuralPolicy:
    """A copy in numpy, which the training of the original does not touch."""

    def arrays(*tensors: torch.Tensor) -> tuple[FloatArray, ...]:
        return tuple(t.detach().numpy().astype(np.float64) for t in tensors)

    shift, spread = arrays(policy.shift, policy.spread)
    layers: list[Any] = [arrays(weight, bias) for weight, bias in policy.layers]
    return replace(policy, layers=tuple(layers), shift=shift, spread=spread)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, where small networks are fastest; the setting from before returns afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
