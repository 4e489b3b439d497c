"""RNN: a recurrent point forecast with the distribution of its errors around it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from ..base import Request
from ..calibration.point_errors import Calibration, calibrate
from ..censoring import History
from ..forecast import QuantileForecast
from .base import FittedNetwork, NetworkForecaster
from .inputs import InputPlan
from .losses import MAX_LOG_QUANTILE, to_units, weighted_mean
from .mqrnn import RecurrentConfig, RecurrentEncoder
from .network import Batch, ForkingNetwork, NetworkInputs, Reader, Sizes


class PointNetwork(ForkingNetwork):
    """A forking network with one output a horizon, trained on the absolute error in units: a median."""

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: RecurrentConfig) -> None:
        super().__init__(sizes, encoder, reader, config)
        self.head = nn.Linear(config.width, 1)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p units, shape (items, origins, horizon)."""
        above_base: Tensor = self.head(self.decode(inputs, origins))[..., 0]
        return above_base + inputs.base(origins, self.targets(origins))

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted mean absolute error."""
        units = torch.expm1(torch.clamp(self(batch.inputs, batch.origins), max=MAX_LOG_QUANTILE))
        error = torch.abs(torch.nan_to_num(batch.demand) - units)
        return weighted_mean(error, batch.demand, batch.weight)

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the point forecast, units, as the only level: shape (items, origins, horizon, 1)."""
        return to_units(self(inputs, origins))[..., None]


class RNN(NetworkForecaster):
    """A recurrent point forecast (LSTM), and quantiles from its own errors in held-out periods.

    Arguments as in `NetworkForecaster`, options as in `RecurrentConfig`; `levels` plays no part in training.
    """

    name = "rnn"
    config_type = RecurrentConfig
    errors_type = Calibration
    config: RecurrentConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> PointNetwork:  # noqa: ARG002
        """Return the network."""
        c, reader = self.config, Reader(sizes)
        encoder = RecurrentEncoder(reader.past, c.width, c.layers, c.dropout)
        return PointNetwork(sizes, encoder, reader, c)

    def _fit_errors(self, history: History, request: Request, values: FloatArray) -> Calibration:
        """Fit the distribution of point errors and their dependence over the horizon."""
        return calibrate(history, request.origins, values[..., 0])

    def _predict(self, request: Request, fitted: FittedNetwork) -> QuantileForecast:
        """Forecast the point, and quantiles from the distribution of past errors."""
        point = self._predict_quantiles(request, fitted.plan, fitted.network)[..., 0]
        return cast(Calibration, fitted.errors).forecast(request, point)
