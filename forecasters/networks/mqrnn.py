"""MQ-RNN: a recurrent encoder and a decoder for all horizons and quantiles (Wen et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .base import NetworkForecaster
from .inputs import InputPlan
from .network import NetworkConfig, QuantileNetwork, Reader, Sizes


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """Options of a recurrent network beside those of every network.

    Attributes:
        layers: of the LSTM.
    """

    layers: int = 1


class RecurrentEncoder(nn.Module):
    """An LSTM over the history: output t depends on inputs up to t only."""

    def __init__(self, channels: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(channels, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, past: Tensor) -> Tensor:
        """Map (items, periods, channels) to (items, periods, width)."""
        hidden = torch.relu(self.first(past))  # (items, periods, width)
        return cast(Tensor, self.dropout(self.lstm(hidden)[0]))


class MQRNN(NetworkForecaster):
    """Multi-horizon quantile forecasts by an LSTM with forking sequences (Wen et al. 2017, MQ-RNN).

    Arguments as in `NetworkForecaster`, options as in `RecurrentConfig`.
    """

    name = "mqrnn"
    config_type = RecurrentConfig
    config: RecurrentConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = RecurrentEncoder(reader.past, c.width, c.layers, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
