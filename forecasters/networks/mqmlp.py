"""MQ-MLP: a feed-forward network over the last periods, trained on the multi-horizon quantile loss."""

from __future__ import annotations

from .base import NetworkForecaster
from .config import MQMLPConfig
from .inputs import InputPlan
from .layers import Reader, Sizes, WindowEncoder
from .network import QuantileNetwork


class MQMLP(NetworkForecaster):
    """Multi-horizon quantile forecasts by a feed-forward network over a window of the past.

    Arguments as in `NetworkForecaster`, options as in `MQMLPConfig`.
    """

    name = "mqmlp"
    config_type = MQMLPConfig
    config: MQMLPConfig

    def build(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = WindowEncoder(reader.past, c.width, c.window, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
