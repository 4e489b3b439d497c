"""Networks that forecast all horizons at once from many origins in one pass (forking sequences)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from ..base import at_levels
from .layers import ForkingDecoder, MonotoneQuantiles, NetworkInputs, Reader, Sizes

if TYPE_CHECKING:
    from .config import NetworkConfig

OVERFLOW = 14.0
"""Largest log1p quantile: a million units; keeps the first steps of training finite."""
REACH = 1.5
"""A bound pulls quantiles up to this multiple of it: how far demand went beyond is not to be seen, and a network
that may imagine it drifts away."""
MOST_BELOW = 0.95
"""Largest probability that a bound is given: one that the network holds for hopeless must not pull without limit."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Items and origins to learn from.

    Attributes:
        inputs: tensors of the items.
        demand: units, shape (items, origins, horizon), NaN where unknown.
        weight: of each item in the loss, shape (items,).
        origins: periods to forecast from, increasing, shape (origins,).
        bound: units that demand was no less than, shape of `demand`, NaN where nothing is known; None where such
            bounds are not learnt from.
    """

    inputs: NetworkInputs
    demand: Tensor
    weight: Tensor
    origins: Tensor
    bound: Tensor | None = None


class Network(nn.Module):
    """What the training loop and the forecaster ask of a network.

    Args:
        horizon: periods ahead. [H]
    """

    consecutive = False
    """Whether the origins of a training step must follow each other."""
    most_pairs = 100_000
    """Items times origins that errors are learnt from, at most."""
    passes = 1
    """How many origins must be computed for each that is forecast, at most."""

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles in units, shape (items, origins, horizon, levels), not decreasing along the levels.

        Args:
            inputs: tensors of the items; `ahead` must reach the origins' horizons.
            origins: periods to forecast from, shape (origins,).
            levels: shape (levels,). [τ]
        """
        raise NotImplementedError


class Averaged(Network):
    """Networks whose quantiles are averaged.

    Args:
        networks: of one kind, trained from different seeds.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__(networks[0].horizon)
        self.networks = nn.ModuleList(networks)
        self.passes, self.most_pairs = networks[0].passes, networks[0].most_pairs

    def quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return the mean of the members' quantiles."""
        each = [cast(Network, network).quantiles(inputs, origins, levels) for network in self.networks]
        return np.asarray(np.mean(each, axis=0))


class ForkingNetwork(Network):
    """An encoder of the history and a decoder for all horizons (Wen et al. 2017).

    Args:
        sizes: of the inputs.
        encoder: maps (items, periods, channels) to (items, periods, width), causally.
        reader: joins the inputs.
        config: `width` of the encoder's output, `horizon`, `dropout` in the decoder.
    """

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: NetworkConfig) -> None:
        super().__init__(config.horizon)
        self.reader = reader
        self.encoder = encoder
        width = config.width
        mixed = width + reader.static.out_features + sizes.past
        self.mixed = nn.Sequential(nn.Linear(mixed, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.decoder = ForkingDecoder(width, reader.ahead, config.horizon, config.dropout)

    def targets(self, origins: Tensor) -> Tensor:
        """Return the periods that are forecast, shape (origins, horizon)."""
        return origins[:, None] + torch.arange(self.horizon, device=origins.device)

    def decoded(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return hidden channels of each forecast, shape (items, origins, horizon, width)."""
        encoded = self.encoder(self.reader.history(inputs, int(origins.max())))
        context = self.context(inputs, encoded, origins)
        return cast(Tensor, self.decoder(context, self.reader.known(inputs, self.targets(origins))))

    def context(self, inputs: NetworkInputs, encoded: Tensor, origins: Tensor) -> Tensor:
        """Return what each origin knows, shape (items, origins, width)."""
        static = self.reader.attributes(inputs)[:, None]
        own = static.expand(len(encoded), len(origins), static.shape[-1])
        joined = torch.cat([encoded[:, origins - 1], own, inputs.past[:, origins - 1]], dim=-1)
        return cast(Tensor, self.mixed(joined))


class QuantileNetwork(ForkingNetwork):
    """A forking network with one output a quantile level, trained on the quantile loss.

    Args:
        sizes, encoder, reader: see `ForkingNetwork`.
        config: the same, and the `levels` that are trained.
    """

    levels: Tensor

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: NetworkConfig) -> None:
        super().__init__(sizes, encoder, reader, config)
        self.head = MonotoneQuantiles(config.width, len(config.levels))
        self.trained = np.asarray(config.levels)
        self.register_buffer("levels", torch.tensor(config.levels, dtype=torch.float32), persistent=False)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p quantiles, shape (items, origins, horizon, levels)."""
        return (
            cast(Tensor, self.head(self.decoded(inputs, origins)))
            + inputs.base(origins, self.targets(origins))[..., None]
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted mean pinball loss."""
        return censored_loss(self(batch.inputs, batch.origins), batch, self.levels)

    def quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles in units; levels that are not trained are interpolated."""
        return at_levels(self.trained, in_units(self(inputs, origins)), levels)


def quantile_loss(log_quantiles: Tensor, demand: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Return the weighted mean pinball loss in units, over known demand.

    Args:
        log_quantiles: log1p of units, shape (items, origins, horizon, levels).
        demand: units, shape (items, origins, horizon), NaN where unknown.
        weight: of each item, shape (items,).
        levels: shape (levels,).
    """
    quantiles = torch.expm1(torch.clamp(log_quantiles, max=OVERFLOW))
    excess = torch.nan_to_num(demand)[..., None] - quantiles
    loss = torch.maximum(levels * excess, (levels - 1.0) * excess).mean(-1)
    return weighted_mean(loss, demand, weight)


def censored_loss(log_quantiles: Tensor, batch: Batch, levels: Tensor) -> Tensor:
    """Return the quantile loss, with the pull of demand that is only known to be no less than a bound.

    Such a demand is thought of as drawn from the network's own distribution above the bound (self-consistency,
    Efron 1967; Portnoy 2003 for quantile regression). The pinball loss of level τ then has the derivative
    `max(τ − F, 0) / (1 − F) − τ`, where F is the network's probability of demand below the bound; the derivative
    alone is added, and the loss keeps the value that it has on known demand.

    Args:
        log_quantiles: log1p of units, shape (items, origins, horizon, levels), increasing along the levels.
        batch: what was demanded, and what is known of demand that was not met.
        levels: increasing, shape (levels,).
    """
    loss = quantile_loss(log_quantiles, batch.demand, batch.weight, levels)
    if batch.bound is None:
        return loss
    quantiles = torch.expm1(torch.clamp(log_quantiles, max=OVERFLOW))
    now = quantiles.detach()
    there = ~torch.isnan(batch.bound)
    below = torch.clamp(_probability(now, torch.nan_to_num(batch.bound), levels), max=MOST_BELOW)[..., None]
    pull = torch.clamp((levels - below) / (1.0 - below), min=0.0) - levels
    pull = pull * (now <= REACH * (torch.nan_to_num(batch.bound)[..., None] + 1.0))
    counted = (there * batch.weight[:, None, None])[..., None]
    known = (~torch.isnan(batch.demand)).sum().clamp(min=1)
    return loss + (pull * (quantiles - now) * counted).sum() / len(levels) / known


def _probability(quantiles: Tensor, bound: Tensor, levels: Tensor) -> Tensor:
    """Return the probability of demand below a bound, interpolated between the levels: the shape of `bound`."""
    at = torch.searchsorted(quantiles.contiguous(), bound[..., None].contiguous())[..., 0]
    high = torch.clamp(at, 1, len(levels) - 1)
    q0 = torch.gather(quantiles, -1, (high - 1)[..., None])[..., 0]
    q1 = torch.gather(quantiles, -1, high[..., None])[..., 0]
    share = torch.clamp((bound - q0) / torch.clamp(q1 - q0, min=1e-6), 0.0, 1.0)
    inside = levels[high - 1] + share * (levels[high] - levels[high - 1])
    return torch.where(at == 0, torch.zeros_like(inside), inside)


def weighted_mean(loss: Tensor, demand: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over known demand, each item by its weight.

    Args:
        loss: shape (items, origins, horizon).
        demand: the same shape, NaN where unknown.
        weight: shape (items,).
    """
    known = ~torch.isnan(demand)
    return (loss * known * weight[:, None, None]).sum() / known.sum().clamp(min=1)


def in_units(log: Tensor) -> FloatArray:
    """Return units, not below zero, from log1p units."""
    units = np.expm1(np.minimum(log.detach().cpu().numpy().astype(np.float64), OVERFLOW + 2.0))
    return np.asarray(np.maximum(units, 0.0))
