"""A recurrent point forecast with a distribution of its errors around it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from ..base import Request
from ..calibration.point_errors import Calibration, calibrated
from ..data.panel import SalesPanel
from ..forecast import (
    QuantileForecast,
)
from .base import Fitted, NetworkForecaster
from .config import RecurrentConfig
from .inputs import InputPlan
from .layers import NetworkInputs, Reader, RecurrentEncoder, Sizes
from .network import OVERFLOW, Batch, ForkingNetwork, in_units, weighted_mean


class PointNetwork(ForkingNetwork):
    """A forking network with one output a horizon, trained on the absolute error in units: a median."""

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: RecurrentConfig) -> None:
        super().__init__(sizes, encoder, reader, config)
        self.head = nn.Linear(config.width, 1)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p units, shape (items, origins, horizon)."""
        return cast(Tensor, self.head(self.decoded(inputs, origins))[..., 0]) + inputs.base(
            origins, self.targets(origins)
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted mean absolute error."""
        units = torch.expm1(torch.clamp(self(batch.inputs, batch.origins), max=OVERFLOW))
        error = torch.abs(torch.nan_to_num(batch.demand) - units)
        return weighted_mean(error, batch.demand, batch.weight)

    def quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the point forecast, units, as the only level: shape (items, origins, horizon, 1)."""
        return in_units(self(inputs, origins))[..., None]


class RNN(NetworkForecaster):
    """A recurrent point forecast (LSTM), and quantiles from its own errors in held-out periods.

    Arguments as in `NetworkForecaster`, options as in `RecurrentConfig`; `levels` plays no part in training.
    """

    name = "rnn"
    config_type = RecurrentConfig
    errors_type = Calibration
    censorings = ("mask",)
    config: RecurrentConfig

    def build(self, sizes: Sizes, plan: InputPlan) -> PointNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = RecurrentEncoder(reader.past, c.width, c.layers, c.dropout)
        return PointNetwork(sizes, encoder, reader, c)

    def errors_of(self, panel: SalesPanel, request: Request, values: FloatArray) -> Calibration:
        """Learn how large errors are, and how they move together."""
        return calibrated(panel, request.origins, values[..., 0])

    def _predict(self, request: Request, learnt: Fitted) -> QuantileForecast:
        """Forecast what was asked for: the point, and errors around it."""
        point = self.quantiles(request, learnt.plan, learnt.network)[..., 0]
        return cast(Calibration, learnt.errors).forecast(request, point)
