"""MQ-CNN: a convolutional encoder and a decoder for all horizons and quantiles (Wen et al. 2017)."""

from __future__ import annotations

from .base import NetworkForecaster
from .config import MQCNNConfig
from .inputs import InputPlan
from .layers import CausalEncoder, Reader, Sizes
from .network import QuantileNetwork


class MQCNN(NetworkForecaster):
    """Multi-horizon quantile forecasts by dilated causal convolutions (Wen et al. 2017, MQ-CNN).

    Its quantiles are log1p demand above the item's running level and never cross. Arguments as in
    `NetworkForecaster`, options as in `MQCNNConfig`.
    """

    name = "mqcnn"
    config_type = MQCNNConfig
    config: MQCNNConfig

    def build(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = CausalEncoder(reader.past, c.width, c.dilations, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
