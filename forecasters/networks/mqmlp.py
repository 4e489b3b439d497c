"""MQ-MLP: a feed-forward network over the last periods, trained on the multi-horizon quantile loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from .base import NetworkForecaster
from .inputs import InputPlan
from .network import NetworkConfig, QuantileNetwork, Reader, Sizes


@dataclass(frozen=True)
class MQMLPConfig(NetworkConfig):
    """Options of MQ-MLP beside those of every network.

    Attributes:
        window: periods before the origin that it reads.
    """

    window: int = 13


class WindowEncoder(nn.Module):
    """A feed-forward network over the last periods: output t depends on inputs t − window + 1 … t only."""

    def __init__(self, channels: int, width: int, window: int, dropout: float) -> None:
        super().__init__()
        self.window = window
        # A dense layer over a window, at every period at once, is a convolution.
        self.layers = nn.Sequential(
            nn.Conv1d(channels, 2 * width, window),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(2 * width, width, 1),
            nn.ReLU(),
        )

    def forward(self, past: Tensor) -> Tensor:
        """Map (items, periods, channels) to (items, periods, width)."""
        padded = nn.functional.pad(past.transpose(1, 2), (self.window - 1, 0))  # (items, channels, …)
        return cast(Tensor, self.layers(padded).transpose(1, 2))


class MQMLP(NetworkForecaster):
    """Multi-horizon quantile forecasts by a feed-forward network over a window of the past.

    Arguments as in `NetworkForecaster`, options as in `MQMLPConfig`.
    """

    name = "mqmlp"
    config_type = MQMLPConfig
    config: MQMLPConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = WindowEncoder(reader.past, c.width, c.window, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
