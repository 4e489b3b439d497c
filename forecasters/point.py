"""Forecasters that give one number a period, and quantiles from the distribution of their own past errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np

from ..arrays import FloatArray, IntArray
from .base import Arrays, BaseForecaster, Config, Request, State, calibration_origins, checked_horizon, require_history
from .calibration.point_errors import CALIBRATION, Calibration, calibrated
from .data.panel import SalesPanel
from .forecast import (
    QuantileForecast,
)

Model = TypeVar("Model")


@dataclass(frozen=True, eq=False)
class PointFit(Generic[Model]):
    """What a fit leaves behind: a model for points, and what its past errors taught."""

    model: Model
    calibration: Calibration


class PointForecaster(BaseForecaster[PointFit[Model]], Generic[Model]):
    """A point forecast made whole by the distribution of its past errors.

    Errors are learnt in the last part of the history, with a model that has not seen it. A forecaster of this
    kind says what it learns, what it forecasts, and how its model is kept.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
    """

    def __init__(self, horizon: int = 12) -> None:
        self.horizon = checked_horizon(horizon)

    def learn(self, panel: SalesPanel, before: Model | None) -> Model:
        """Return a model of a history; `before` is the one of its first part, where there is one."""
        raise NotImplementedError

    def points(self, model: Model, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts, units, shape (items, origins, horizon).

        Items that the model does not know are learnt from what precedes the first origin.
        """
        raise NotImplementedError

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        return {"horizon": self.horizon}

    def model_state(self, model: Model) -> State:
        """Return what `model_from` needs."""
        raise NotImplementedError

    @classmethod
    def model_from(cls, config: Config, arrays: Arrays) -> Model:
        """Rebuild a model."""
        raise NotImplementedError

    def fit(self, panel: SalesPanel) -> Self:
        """Fit a model, and learn the distribution of its past errors."""
        require_history(panel)
        origins = calibration_origins(panel, CALIBRATION)
        early = self.learn(panel.until(int(origins[0])), None)
        calibration = calibrated(panel, origins, self.points(early, panel, origins, self.horizon))
        self._fitted = PointFit(self.learn(panel, early), calibration)
        return self

    def _predict(self, request: Request, learnt: PointFit[Model]) -> QuantileForecast:
        """Forecast what was asked for."""
        points = self.points(learnt.model, request.panel, request.origins, request.horizon)
        return learnt.calibration.forecast(request, points)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        learnt = self.fitted
        config, arrays = self.model_state(learnt.model)
        return {"options": self.options(), "model": config}, {**arrays, **learnt.calibration.arrays()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls(**config["options"])
        made._fitted = PointFit(cls.model_from(config["model"], arrays), Calibration.from_arrays(arrays))
        return made


class EmptyModel:
    """The model of a forecaster that learns nothing but its errors."""


def at_origins(states: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Return a flat forecast from what stands before each period (items, periods + 1)."""
    return np.repeat(states[:, origins][:, :, None], horizon, axis=2)
