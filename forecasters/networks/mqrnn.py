"""MQ-RNN: a recurrent encoder and a decoder for all horizons and quantiles (Wen et al. 2017)."""

from __future__ import annotations

from .base import NetworkForecaster
from .config import RecurrentConfig
from .inputs import InputPlan
from .layers import Reader, RecurrentEncoder, Sizes
from .network import QuantileNetwork


class MQRNN(NetworkForecaster):
    """Multi-horizon quantile forecasts by an LSTM with forking sequences (Wen et al. 2017, MQ-RNN).

    Arguments as in `NetworkForecaster`, options as in `RecurrentConfig`.
    """

    name = "mqrnn"
    config_type = RecurrentConfig
    config: RecurrentConfig

    def build(self, sizes: Sizes, plan: InputPlan) -> QuantileNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = RecurrentEncoder(reader.past, c.width, c.layers, c.dropout)
        return QuantileNetwork(sizes, encoder, reader, c)
