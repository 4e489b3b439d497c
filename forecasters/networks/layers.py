"""Building blocks of the multi-horizon quantile networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Sizes:
    """Numbers of channels, and of what comes out.

    Attributes:
        past, ahead, static: channels of the inputs.
        horizon: periods ahead. [H]
        levels: quantile levels. [Q]
    """

    past: int
    ahead: int
    static: int
    horizon: int
    levels: int


class CausalEncoder(nn.Module):
    """Dilated causal convolutions with residual connections: output t has seen inputs up to t only.

    Args:
        channels: of the input.
        width: of the output.
        dilations: of the layers, one each; the receptive field is 1 + their sum.
        dropout: share of channels left out in training.
    """

    def __init__(self, channels: int, width: int, dilations: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(channels, width)
        self.now = nn.ModuleList(nn.Linear(width, width) for _ in dilations)
        self.before = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in dilations)
        self.dilations = tuple(dilations)
        self.dropout = nn.Dropout(dropout)

    def forward(self, past: Tensor) -> Tensor:
        """Map (items, periods, channels) to (items, periods, width)."""
        hidden = self.first(past)
        for now, before, dilation in zip(self.now, self.before, self.dilations, strict=True):
            older = nn.functional.pad(hidden, (0, 0, dilation, 0))[:, : hidden.shape[1]]
            hidden = hidden + self.dropout(torch.relu(now(hidden) + before(older)))
        return cast(Tensor, hidden)


class MonotoneQuantiles(nn.Module):
    """A head whose outputs never cross: the lowest level, and steps upwards that are never negative."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, levels)
        nn.init.normal_(self.linear.weight, std=0.02)
        with torch.no_grad():
            self.linear.bias.fill_(-2.0)
            self.linear.bias[0] = -1.0

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (..., width) to (..., levels), not decreasing."""
        raw = self.linear(hidden)
        steps = torch.cumsum(nn.functional.softplus(raw[..., 1:]), dim=-1)
        return torch.cat([raw[..., :1], raw[..., :1] + steps], dim=-1)


class ForkingDecoder(nn.Module):
    """From an origin's context and what is known of each period ahead to quantiles (Wen et al. 2017).

    A global layer makes one context for each horizon and one for all; a local network, shared by the
    horizons, joins them with what is known of that period.
    """

    def __init__(self, width: int, ahead: int, sizes: Sizes, dropout: float) -> None:
        super().__init__()
        self.context = width // 2
        self.horizon = sizes.horizon
        self.globally = nn.Linear(width, (sizes.horizon + 1) * self.context)
        self.locally = nn.Sequential(
            nn.Linear(2 * self.context + ahead, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.ReLU(),
        )
        self.head = MonotoneQuantiles(width, sizes.levels)

    def forward(self, context: Tensor, ahead: Tensor) -> Tensor:
        """Map contexts (..., width) and periods ahead (..., horizon, channels) to (..., horizon, levels)."""
        every = torch.relu(self.globally(context))
        every = every.reshape(*context.shape[:-1], self.horizon + 1, self.context)
        common = every[..., :1, :].expand(*every.shape[:-2], self.horizon, self.context)
        local = self.locally(torch.cat([common, every[..., 1:, :], ahead], dim=-1))
        return cast(Tensor, self.head(local))


class MQCNNNetwork(nn.Module):
    """Quantiles of log1p demand at many origins of many items in one pass.

    Args:
        sizes: of inputs and outputs.
        width: channels of the encoder.
        dilations: of its layers.
        dropout: in encoder and decoder.
    """

    def __init__(self, sizes: Sizes, width: int, dilations: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.horizon = sizes.horizon
        self.week = nn.Embedding(53, 4)
        nn.init.normal_(self.week.weight, std=0.1)
        self.static = nn.Linear(sizes.static, 8)
        self.encoder = CausalEncoder(sizes.past + 4 + 8, width, dilations, dropout)
        self.mixed = nn.Sequential(nn.Linear(width + 8 + sizes.past, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.decoder = ForkingDecoder(width, sizes.ahead + 4, sizes, dropout)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p quantiles, shape (items, origins, horizon, levels).

        Args:
            inputs: tensors of the items.
            origins: periods to forecast from, shape (origins,); `ahead` must reach their horizons.
        """
        items, first = len(inputs.past), int(origins.max())
        static = torch.relu(self.static(inputs.static))
        week = self.week(inputs.week)
        repeated = static[:, None].expand(items, first, static.shape[-1])
        past = inputs.past[:, :first]
        seen = torch.cat([past, week[:first].expand(items, first, 4), repeated], dim=-1)
        encoded = self.encoder(seen)[:, origins - 1]
        own = static[:, None].expand(items, len(origins), static.shape[-1])
        context = self.mixed(torch.cat([encoded, own, past[:, origins - 1]], dim=-1))
        targets = origins[:, None] + torch.arange(self.horizon, device=origins.device)
        calendar = week[targets].expand(items, *targets.shape, 4)
        ahead = torch.cat([inputs.ahead[:, targets], calendar], dim=-1)
        return cast(Tensor, self.decoder(context, ahead)) + inputs.level[:, origins, None, None]


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """Tensors that a network reads; see `inputs.Inputs` for shapes and meaning."""

    past: Tensor
    ahead: Tensor
    week: Tensor
    static: Tensor
    level: Tensor

    def rows(self, chosen: Tensor | slice) -> NetworkInputs:
        """Return some of the items."""
        return NetworkInputs(self.past[chosen], self.ahead[chosen], self.week, self.static[chosen], self.level[chosen])
