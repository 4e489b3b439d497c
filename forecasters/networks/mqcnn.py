"""MQ-CNN: a convolutional encoder and a decoder for all horizons and quantiles (Wen et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .base import NetworkForecaster
from .inputs import InputPlan
from .network import NetworkConfig, QuantileNetwork, Reader, Sizes


@dataclass(frozen=True)
class MQCNNConfig(NetworkConfig):
    """Options of MQ-CNN beside those of every network.

    Attributes:
        dilations: of the encoder's layers; the receptive field is 1 + their sum periods.
    """

    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)


class CausalEncoder(nn.Module):
    """Dilated causal convolutions with residual connections: output t depends on inputs up to t only.

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
        hidden = self.first(past)  # (items, periods, width)
        for now, before, dilation in zip(self.now, self.before, self.dilations, strict=True):
            # A kernel of two taps: this period and the one `dilation` periods ago, zeros before the first.
            older = nn.functional.pad(hidden, (0, 0, dilation, 0))[:, : hidden.shape[1]]
            hidden = hidden + self.dropout(torch.relu(now(hidden) + before(older)))
        return cast(Tensor, hidden)


class MQCNN(NetworkForecaster):
    """Multi-horizon quantile forecasts by dilated causal convolutions (Wen et al. 2017, MQ-CNN).

    Its quantiles are log1p demand above the item's running level and never cross. Arguments as in
    `NetworkForecaster`, options as in `MQCNNConfig`.
    """

    name = "mqcnn"
    config_type = MQCNNConfig
    config: MQCNNConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = CausalEncoder(reader.past, c.width, c.dilations, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
