"""MQTransformer: attention from each horizon to the history, and to what the network forecast before.

Eisenach, Patel and Madeka (2020): horizon-specific decoder-encoder attention, decoder self-attention over past
forecasts, and position encoding from events and calendar.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from .base import NetworkForecaster
from .config import MQTransformerConfig
from .inputs import KNOWN, LEVEL, LOG_OVER_LEVEL, InputPlan
from .layers import CausalEncoder, NetworkInputs, Reader, Sizes
from .network import QuantileNetwork

OWN_FORECAST = 3.0
"""How much more the newest forecast of a period weighs at first than those before it, in the logits."""

LARGEST_ERROR = 4.0
"""Errors of log1p demand are cut off here."""


class HistoryAttention(nn.Module):
    """Each horizon of each origin looks for periods of the past that resemble the one it forecasts.

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
        """Return hidden channels with what was found in the past.

        Args:
            hidden: shape (items, origins, horizon, width).
            ahead: what is known of the periods that are forecast, shape (items, origins, horizon, channels).
            encoded: the encoder's output, shape (items, periods, width).
            past: what was known ahead of the past periods, shape (items, periods, channels).
            origins: shape (origins,).
        """
        query = self._split(self.query(hidden + self.position(ahead)).flatten(1, 2))
        key = self._split(self.key(encoded + self.position(past)))
        value = self._split(self.value(encoded))
        seen = torch.arange(encoded.shape[1], device=origins.device) < origins[:, None]
        mask = seen.repeat_interleave(hidden.shape[2], dim=0)
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
        every = _with_earlier(origins, self.lookback)
        revised = _with_earlier(origins, self.horizon - 1)
        first = self._looked_back(inputs, every)
        hidden = first[:, _places(every)[revised]]
        hidden = hidden + self._from_errors(inputs, first, every, revised)
        quantiles = self.head(hidden) + inputs.base(revised, self.targets(revised))[..., None]
        return self._revised(hidden, quantiles, revised, origins)

    def _looked_back(self, inputs: NetworkInputs, every: Tensor) -> Tensor:
        """Return hidden channels that have attended to the past, shape (items, origins, horizon, width)."""
        periods = int(every.max())
        encoded = self.encoder(self.reader.history(inputs, periods))
        ahead = self.reader.known(inputs, self.targets(every))
        hidden = self.decoder(self.context(inputs, encoded, every), ahead)
        past = self.reader.known(inputs, torch.arange(periods, device=every.device))
        return cast(Tensor, self.history(hidden, ahead, encoded, past, every))

    def _from_errors(self, inputs: NetworkInputs, first: Tensor, every: Tensor, origins: Tensor) -> Tensor:
        """Return what the errors of the last period teach, shape (items, origins, horizon, width)."""
        step = torch.arange(self.horizon, device=every.device)
        source = origins[:, None] - 1 - step
        there = source >= 1
        places = _places(every)
        hidden, earlier = first[:, places[origins]], first[:, places[torch.clamp(source, min=1)], step]
        value = self.error_value(torch.cat([earlier, self._errors(inputs, earlier, source, origins)], dim=-1))
        score = self.error_query(hidden) @ self.error_key(earlier).transpose(-1, -2) / math.sqrt(hidden.shape[-1])
        weight = torch.softmax(score.masked_fill(~there[:, None], -1e4), dim=-1)
        return (weight @ torch.relu(value)) * there.any(-1)[:, None, None]

    def _errors(self, inputs: NetworkInputs, earlier: Tensor, source: Tensor, origins: Tensor) -> Tensor:
        """Return by how much forecasts of the last period were wrong, and whether that is known."""
        past = inputs.past[:, origins - 1]
        known = past[..., KNOWN, None].expand(earlier.shape[:-1])
        actual = past[..., LOG_OVER_LEVEL] + past[..., LEVEL]
        middle = self.head(earlier)[..., self.levels.shape[0] // 2]
        forecast = middle + inputs.level[:, torch.clamp(source, min=1)]
        wrong = torch.clamp(actual[..., None] - forecast, -LARGEST_ERROR, LARGEST_ERROR)
        return torch.stack([wrong * known, known], dim=-1)

    def _revised(self, hidden: Tensor, quantiles: Tensor, revised: Tensor, origins: Tensor) -> Tensor:
        """Return the weighted mean of what successive origins give for the same period."""
        place = _places(revised)
        lag = torch.arange(self.horizon, device=origins.device)
        source, ahead = origins[:, None] - lag, lag[:, None] + lag
        there = (source >= 1)[:, None] & (ahead < self.horizon)
        at = place[torch.clamp(source, min=1)][:, None].expand(there.shape)
        step = torch.clamp(ahead, max=self.horizon - 1).expand(there.shape)
        query = self.own_query(hidden[:, place[origins]])
        key = self.own_key(hidden)[:, at, step]
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

    def build(self, sizes: Sizes, plan: InputPlan) -> MQTransformerNetwork:  # noqa: ARG002
        """Return the network."""
        return MQTransformerNetwork(sizes, self.config)


def _with_earlier(origins: Tensor, number: int) -> Tensor:
    """Return the origins and up to `number` periods before each, in order, without repetition."""
    steps = torch.arange(number + 1, device=origins.device)
    return torch.unique(torch.clamp(origins[:, None] - steps, min=1))


def _places(every: Tensor) -> Tensor:
    """Return where each period stands among the origins, shape (latest origin + 1,)."""
    place = torch.zeros(int(every.max()) + 1, dtype=torch.int64, device=every.device)
    place[every] = torch.arange(len(every), device=every.device)
    return place
