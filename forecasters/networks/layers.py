"""Building blocks of the multi-horizon networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

WEEKS = 4
"""Channels of the week of the year."""
STATIC = 8
"""Channels of the static attributes."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of channels that come in.

    Attributes:
        past, ahead, static: channels of the inputs.
    """

    past: int
    ahead: int
    static: int


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """Tensors that a network reads; see `inputs.Inputs` for shapes and meaning."""

    past: Tensor
    ahead: Tensor
    week: Tensor
    static: Tensor
    level: Tensor
    lift: Tensor

    @property
    def sizes(self) -> Sizes:
        """Numbers of channels."""
        return Sizes(self.past.shape[-1], self.ahead.shape[-1], self.static.shape[-1])

    def rows(self, chosen: Tensor | slice) -> NetworkInputs:
        """Return some of the items."""
        return NetworkInputs(
            self.past[chosen], self.ahead[chosen], self.week, self.static[chosen], self.level[chosen], self.lift[chosen]
        )

    def base(self, origins: Tensor, targets: Tensor) -> Tensor:
        """Return log1p of the level at each origin under the lift of each target, (items, *targets.shape).

        Args:
            origins: shape (origins,).
            targets: periods, shape (origins, …).
        """
        level = self.level[:, origins].reshape(-1, *origins.shape, *[1] * (targets.ndim - 1))
        return torch.log1p(torch.expm1(level) * torch.exp(self.lift[:, targets]))


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


class RecurrentEncoder(nn.Module):
    """An LSTM over the history: output t has seen inputs up to t only."""

    def __init__(self, channels: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(channels, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, past: Tensor) -> Tensor:
        """Map (items, periods, channels) to (items, periods, width)."""
        return cast(Tensor, self.dropout(self.lstm(torch.relu(self.first(past)))[0]))


class WindowEncoder(nn.Module):
    """A feed-forward network over the last periods: output t has seen inputs t − window + 1 … t only."""

    def __init__(self, channels: int, width: int, window: int, dropout: float) -> None:
        super().__init__()
        self.window = window
        self.layers = nn.Sequential(
            nn.Conv1d(channels, 2 * width, window),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(2 * width, width, 1),
            nn.ReLU(),
        )

    def forward(self, past: Tensor) -> Tensor:
        """Map (items, periods, channels) to (items, periods, width)."""
        padded = nn.functional.pad(past.transpose(1, 2), (self.window - 1, 0))
        return cast(Tensor, self.layers(padded).transpose(1, 2))


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
    """From an origin's context and what is known of each period ahead to hidden channels (Wen et al. 2017).

    A global layer makes one context for each horizon and one for all; a local network, shared by the
    horizons, joins them with what is known of that period.
    """

    def __init__(self, width: int, ahead: int, horizon: int, dropout: float) -> None:
        super().__init__()
        self.context = width // 2
        self.horizon = horizon
        self.globally = nn.Linear(width, (horizon + 1) * self.context)
        self.locally = nn.Sequential(
            nn.Linear(2 * self.context + ahead, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.ReLU(),
        )

    def forward(self, context: Tensor, ahead: Tensor) -> Tensor:
        """Map contexts (..., width) and periods ahead (..., horizon, channels) to (..., horizon, width)."""
        every = torch.relu(self.globally(context))
        every = every.reshape(*context.shape[:-1], self.horizon + 1, self.context)
        common = every[..., :1, :].expand(*every.shape[:-2], self.horizon, self.context)
        return cast(Tensor, self.locally(torch.cat([common, every[..., 1:, :], ahead], dim=-1)))


class Reader(nn.Module):
    """Joins what a network reads: the past with calendar and attributes, and what is known of periods ahead.

    Attributes:
        past: channels of `history`.
        ahead: channels of `known`.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.week = nn.Embedding(53, WEEKS)
        nn.init.normal_(self.week.weight, std=0.1)
        self.static = nn.Linear(sizes.static, STATIC)
        self.past = sizes.past + WEEKS + STATIC
        self.ahead = sizes.ahead + WEEKS

    def attributes(self, inputs: NetworkInputs) -> Tensor:
        """Return static attributes, shape (items, channels)."""
        return torch.relu(self.static(inputs.static))

    def history(self, inputs: NetworkInputs, first: int) -> Tensor:
        """Return what is known once each of the first periods is over, shape (items, first, channels)."""
        items = len(inputs.past)
        week = self.week(inputs.week[:first]).expand(items, first, WEEKS)
        static = self.attributes(inputs)[:, None].expand(items, first, STATIC)
        return torch.cat([inputs.past[:, :first], week, static], dim=-1)

    def known(self, inputs: NetworkInputs, targets: Tensor) -> Tensor:
        """Return what is known ahead of these periods, shape (items, *targets.shape, channels)."""
        week = self.week(inputs.week[targets]).expand(len(inputs.past), *targets.shape, WEEKS)
        return torch.cat([inputs.ahead[:, targets], week], dim=-1)
