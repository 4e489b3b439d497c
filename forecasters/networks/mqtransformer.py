"""MQTransformer: attention from each horizon to the history, and to what the network forecast before.

Eisenach, Patel and Madeka (2020): horizon-specific decoder-encoder attention, decoder self-attention over past
forecasts, and position encoding from events and calendar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .base import NetworkForecaster
from .inputs import KNOWN, LEVEL, LOG_OVER_LEVEL, InputPlan
from .mqcnn import CausalEncoder, MQCNNConfig
from .network import NetworkInputs, QuantileNetwork, Reader, Sizes

OWN_FORECAST = 3.0
"""How much more the newest forecast of a period weighs at first than those before it, in the logits."""

MAX_ERROR = 4.0
"""Errors of log1p demand are cut off here."""


@dataclass(frozen=True)
class MQTransformerConfig(MQCNNConfig):
    """Options of MQTransformer beside those of MQ-CNN.

    Attributes:
        heads: of the attention from a horizon to the history.
    """

    heads: int = 2


class HistoryAttention(nn.Module):
    """Attention from each horizon of each origin to periods of the past that resemble the one it forecasts.

    Args:
        width: of the hidden channels.
        ahead: channels of what is known of a period ahead: its events and its place in the calendar.
        heads: of the attention.
    """

    def __init__(self, width: int, ahead: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, max(4, width // heads)
        inner = self.heads * self.size
        self.position = nn.Linear(ahead, width)
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.out = nn.Linear(inner, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, ahead: Tensor, encoded: Tensor, past: Tensor, origins: Tensor) -> Tensor:
        """Add the attended periods of the past to the hidden channels.

        Args:
            hidden: shape (items, origins, horizon, width).
            ahead: what is known of the periods that are forecast, shape (items, origins, horizon, channels).
            encoded: the encoder's output, shape (items, periods, width).
            past: what was known ahead of the past periods, shape (items, periods, channels).
            origins: shape (origins,).
        """
        # (items, heads, origins · horizon, size), and twice (items, heads, periods, size)
        query = self._split(self.query(hidden + self.position(ahead)).flatten(1, 2))
        key = self._split(self.key(encoded + self.position(past)))
        value = self._split(self.value(encoded))
        before = torch.arange(encoded.shape[1], device=origins.device) < origins[:, None]  # (origins, periods)
        mask = before.repeat_interleave(hidden.shape[2], dim=0)  # (origins · horizon, periods)
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return cast(Tensor, hidden + self.out(found.transpose(1, 2).flatten(2)).reshape(hidden.shape))

    def _split(self, channels: Tensor) -> Tensor:
        """Bring the heads before the sequence: (items, heads, length, size)."""
        return channels.reshape(*channels.shape[:-1], self.heads, self.size).transpose(1, 2)


class MQTransformerNetwork(QuantileNetwork):
    """An MQ-CNN whose decoder attends to the history, to its errors, and to its earlier forecasts.

    For an origin t and a horizon h, in this order: attention to the past (`HistoryAttention`); attention to what
    the origins before t forecast for period t − 1, and by how much they were wrong; and a weighted mean of the
    quantiles that origins t, t − 1, … give for the same period t + h. The weights come from attention, so that
    a forecast moves only as far as what is new bears out, which is what keeps the revisions' excess volatility low.

    Args:
        sizes: of the inputs.
        config: of the network.
    """

    consecutive = True

    def __init__(self, sizes: Sizes, config: MQTransformerConfig) -> None:
        reader = Reader(sizes)
        encoder = CausalEncoder(reader.past, config.width, config.dilations, config.dropout)
        width = config.width
        super().__init__(sizes, encoder, reader, config)
        self.lookback = 2 * config.horizon - 1
        self.passes = 2 * config.horizon
        self.history = HistoryAttention(width, reader.ahead, config.heads)
        self.error_query, self.error_key = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.error_value = nn.Linear(width + 2, width)
        nn.init.normal_(self.error_value.weight, std=0.02)
        self.own_query, self.own_key = (nn.Linear(width, width // 2, bias=False) for _ in range(2))
        first = torch.zeros(config.horizon)
        first[0] = OWN_FORECAST
        self.lag = nn.Parameter(first)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p quantiles, shape (items, origins, horizon, levels)."""
        # A forecast from t averages those from t − 1, … for the same period (`revised`), and each of these attends to
        # the errors of still earlier ones (`every`), so that origins share what is computed once an origin.
        revised = with_earlier(origins, self.horizon - 1)
        every = with_earlier(origins, self.lookback)
        place = positions(every)

        periods = int(every.max())
        encoded = self.encoder(self.reader.history(inputs, periods))  # (items, periods, width)
        ahead = self.reader.known(inputs, self.targets(every))  # (items, every, horizon, channels)
        past = self.reader.known(inputs, torch.arange(periods, device=every.device))  # (items, periods, channels)
        first = self.decoder(self.context(inputs, encoded, every), ahead)  # (items, every, horizon, width)
        first = self.history(first, ahead, encoded, past, every)

        hidden = first[:, place[revised]]  # (items, revised, horizon, width)
        hidden = hidden + self.attend_to_errors(inputs, first, place, revised)
        quantiles = self.head(hidden) + inputs.base(revised, self.targets(revised))[..., None]
        return self.average_revisions(hidden, quantiles, revised, origins)

    def attend_to_errors(self, inputs: NetworkInputs, first: Tensor, place: Tensor, origins: Tensor) -> Tensor:
        """Return attention from each origin t to earlier forecasts of period t − 1 and their errors.

        Args:
            inputs: tensors of the items.
            first: hidden channels of each earlier forecast, shape (items, every, horizon, width).
            place: of a period among these, shape (periods,).
            origins: shape (origins,).

        Returns:
            shape (items, origins, horizon, width).
        """
        step = torch.arange(self.horizon, device=origins.device)
        source = origins[:, None] - 1 - step  # (origins, horizon): the origin whose step `step` is period t − 1
        there = source >= 1
        source = torch.clamp(source, min=1)
        earlier = first[:, place[source], step]  # (items, origins, horizon, width)

        now = inputs.past[:, origins - 1]  # (items, origins, channels) of period t − 1
        known = now[..., KNOWN, None].expand(earlier.shape[:-1])
        actual = now[..., LOG_OVER_LEVEL] + now[..., LEVEL]  # log1p sales over lift
        forecast = self.head(earlier)[..., self.levels.shape[0] // 2] + inputs.level[:, source]  # the median
        error = torch.clamp(actual[..., None] - forecast, -MAX_ERROR, MAX_ERROR)

        value = self.error_value(torch.cat([earlier, torch.stack([error * known, known], dim=-1)], dim=-1))
        hidden = first[:, place[origins]]
        score = self.error_query(hidden) @ self.error_key(earlier).transpose(-1, -2) / math.sqrt(hidden.shape[-1])
        weight = torch.softmax(score.masked_fill(~there[:, None], -1e4), dim=-1)  # (items, origins, horizon, horizon)
        return (weight @ torch.relu(value)) * there.any(-1)[:, None, None]

    def average_revisions(self, hidden: Tensor, quantiles: Tensor, revised: Tensor, origins: Tensor) -> Tensor:
        """Return the weighted mean of what successive origins forecast for the same period.

        Args:
            hidden: shape (items, revised, horizon, width).
            quantiles: log1p, shape (items, revised, horizon, levels).
            revised: the origins and those before them, shape (revised,).
            origins: shape (origins,).

        Returns:
            shape (items, origins, horizon, levels).
        """
        place = positions(revised)
        lag = torch.arange(self.horizon, device=origins.device)
        # Origin t − lag forecasts period t + h as its step h + lag.
        source, ahead = origins[:, None] - lag, lag[:, None] + lag  # (origins, lags), (horizon, lags)
        there = (source >= 1)[:, None] & (ahead < self.horizon)  # (origins, horizon, lags)
        at = place[torch.clamp(source, min=1)][:, None].expand(there.shape)
        step = torch.clamp(ahead, max=self.horizon - 1).expand(there.shape)
        query = self.own_query(hidden[:, place[origins]])  # (items, origins, horizon, width / 2)
        key = self.own_key(hidden)[:, at, step]  # (items, origins, horizon, lags, width / 2)
        score = (query[..., None, :] * key).sum(-1) / math.sqrt(query.shape[-1]) + self.lag
        weight = torch.softmax(score.masked_fill(~there, -1e4), dim=-1)
        return (weight[..., None] * quantiles[:, at, step]).sum(-2)


class MQTransformer(NetworkForecaster):
    """Multi-horizon quantile forecasts by attention (Eisenach, Patel and Madeka 2020, MQTransformer).

    Arguments as in `NetworkForecaster`, options as in `MQTransformerConfig`.
    """

    name = "mqtransformer"
    config_type = MQTransformerConfig
    config: MQTransformerConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> MQTransformerNetwork:  # noqa: ARG002
        """Return the network."""
        return MQTransformerNetwork(sizes, self.config)


def with_earlier(origins: Tensor, number: int) -> Tensor:
    """Return the origins and up to `number` periods before each, in order, without repetition."""
    steps = torch.arange(number + 1, device=origins.device)
    return torch.unique(torch.clamp(origins[:, None] - steps, min=1))


def positions(every: Tensor) -> Tensor:
    """Return where each period stands among the origins, shape (latest origin + 1,)."""
    place = torch.zeros(int(every.max()) + 1, dtype=torch.int64, device=every.device)
    place[every] = torch.arange(len(every), device=every.device)
    return place
