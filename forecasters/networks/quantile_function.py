"""A network whose output is a complete monotone quantile function (Park et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from .base import NetworkForecaster
from .inputs import InputPlan
from .losses import quantile_loss, to_units
from .mqcnn import CausalEncoder, MQCNNConfig
from .network import Batch, ForkingNetwork, MonotoneQuantiles, NetworkInputs, Reader, Sizes

FIXED_LEVELS = 19
"""Evenly spaced levels that a held-out loss is averaged over, besides the knots."""


@dataclass(frozen=True)
class QuantileFunctionConfig(MQCNNConfig):
    """Options of a quantile-function network beside those of MQ-CNN.

    Attributes:
        levels: of the knots.
        pieces: linear pieces of the spline between two knots.
        random_levels: quantile levels drawn anew for each step, beside the knots.
    """

    levels: tuple[float, ...] = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    pieces: int = 3
    random_levels: int = 16


class Curve(NamedTuple):
    """A quantile function: knots, a monotone linear spline between each two, and two exponential tails.

    Attributes:
        knots: values at the trained levels, (..., K).
        place: cumulative shares of each stretch of levels where the spline bends, (..., K − 1, pieces + 1),
            from 0 to 1.
        rise: cumulative shares of the stretch's rise at these places, the same shape, from 0 to 1.
        tails: slope of the lower and of the upper tail in the logarithm of the level, (..., 2), above 0.
    """

    knots: Tensor
    place: Tensor
    rise: Tensor
    tails: Tensor


class CurveHead(nn.Module):
    """A head whose output is a curve: it cannot cross, since every step upwards is a positive share.

    Args:
        width: of the hidden channels.
        levels: of the knots. [K]
        pieces: linear pieces between two knots.
    """

    def __init__(self, width: int, levels: int, pieces: int) -> None:
        super().__init__()
        self.knots = MonotoneQuantiles(width, levels)
        self.shape = (levels - 1, pieces)
        self.shares = nn.Linear(width, 2 * (levels - 1) * pieces)
        self.tails = nn.Linear(width, 2)
        for layer in (self.shares, self.tails):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.tails.bias.fill_(-1.5)

    def forward(self, hidden: Tensor) -> Curve:
        """Map (..., width) to a curve."""
        shares = self.shares(hidden).reshape(*hidden.shape[:-1], 2, *self.shape)  # (..., 2, K − 1, pieces)
        shares = torch.cumsum(torch.softmax(shares, dim=-1), dim=-1)
        place, rise = nn.functional.pad(shares, (1, 0)).unbind(-3)  # (..., K − 1, pieces + 1) each, from 0 to 1
        return Curve(self.knots(hidden), place, rise, nn.functional.softplus(self.tails(hidden)))


def evaluate_curve(curve: Curve, knots: Tensor, levels: Tensor) -> Tensor:
    """Return a curve's values at any levels, shape (..., levels).

    Between the knots α_k and α_{k+1} the spline runs through the curve's own bends. Below the lowest knot
    `q(α) = q_1 + β log(α / α_1)`, above the highest `q(α) = q_K − β log((1 − α) / (1 − α_K))`.

    Args:
        curve: of shape (...).
        knots: levels of the knots, shape (K,).
        levels: in (0, 1), shape (levels,).
    """
    inside = torch.clamp(levels, knots[0], knots[-1])
    stretch = torch.clamp(torch.searchsorted(knots, inside, right=True) - 1, 0, len(knots) - 2)
    along = (inside - knots[stretch]) / (knots[stretch + 1] - knots[stretch])
    low, high = curve.knots[..., stretch], curve.knots[..., stretch + 1]
    place, rise = curve.place[..., stretch, :], curve.rise[..., stretch, :]  # (..., levels, pieces + 1)
    # How far a level has passed through each piece, 0 … 1, and how far up the stretch has risen by then.
    passed = (along[:, None] - place[..., :-1]) / torch.clamp(place[..., 1:] - place[..., :-1], min=1e-6)
    risen = (torch.clamp(passed, 0.0, 1.0) * (rise[..., 1:] - rise[..., :-1])).sum(-1)
    middle = low + (high - low) * risen
    below = curve.tails[..., :1] * torch.log(torch.clamp(levels / knots[0], max=1.0))
    above = curve.tails[..., 1:] * torch.log(torch.clamp((1.0 - levels) / (1.0 - knots[-1]), max=1.0))
    return middle + below - above


class QuantileFunctionNetwork(ForkingNetwork):
    """A forking network whose output is a quantile function, trained on its CRPS.

    The loss is the pinball loss at the knots and at levels drawn anew for each step, which estimates the CRPS.

    Args:
        sizes: of the inputs.
        config: of the network.
    """

    knots: Tensor

    def __init__(self, sizes: Sizes, config: QuantileFunctionConfig) -> None:
        reader = Reader(sizes)
        encoder = CausalEncoder(reader.past, config.width, config.dilations, config.dropout)
        super().__init__(sizes, encoder, reader, config)
        self.head = CurveHead(config.width, len(config.levels), config.pieces)
        self.random_levels = config.random_levels
        self.register_buffer("knots", torch.tensor(config.levels, dtype=torch.float32), persistent=False)

    def forward(self, inputs: NetworkInputs, origins: Tensor, levels: Tensor) -> Tensor:
        """Return log1p quantiles at any levels, shape (items, origins, horizon, levels)."""
        curve = self.head(self.decode(inputs, origins))
        return evaluate_curve(curve, self.knots, levels) + inputs.base(origins, self.targets(origins))[..., None]

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted mean pinball loss over the knots and other levels."""
        if self.training:
            other = torch.rand(self.random_levels, device=self.knots.device).clamp(0.002, 0.998)
        else:
            other = torch.linspace(0.05, 0.95, FIXED_LEVELS, device=self.knots.device)
        levels = torch.cat([self.knots, other]).sort().values
        log_quantiles = self(batch.inputs, batch.origins, levels)
        return quantile_loss(log_quantiles, batch.demand, weight=batch.weight, levels=levels)

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles in units at exactly these levels."""
        wanted = torch.tensor(levels, dtype=torch.float32, device=self.knots.device)
        return np.maximum.accumulate(to_units(self(inputs, origins, wanted)), axis=-1)


class QuantileFunction(NetworkForecaster):
    """A complete quantile function without crossing (Park et al. 2022, incremental spline quantile functions).

    The encoder is that of `mqcnn`. Any level comes from the curve itself; none is interpolated between trained ones.
    Arguments as in `NetworkForecaster`, options as in `QuantileFunctionConfig`.
    """

    name = "quantile_function"
    config_type = QuantileFunctionConfig
    config: QuantileFunctionConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> QuantileFunctionNetwork:  # noqa: ARG002
        """Return the network."""
        return QuantileFunctionNetwork(sizes, self.config)
