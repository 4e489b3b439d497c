"""Forecasters that give one number a period, and quantiles from the distribution of their own past errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .base import Arrays, Config, State, calibration_origins, checked_horizon, checked_request, require_history
from .calibration import CALIBRATION, Calibration, calibrated, fitted
from .forecast import DEFAULT_LEVELS, FloatArray, IntArray, QuantileForecast
from .panel import SalesPanel

Model = TypeVar("Model")


class PointForecaster(Generic[Model]):
    """A point forecast made whole by the distribution of its past errors.

    Errors are learnt in the last part of the history, with a model that has not seen it. A forecaster of this
    kind says what it learns, what it forecasts, and how its model is kept.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
    """

    name: ClassVar[str]

    def __init__(self, horizon: int = 12) -> None:
        self.horizon = checked_horizon(horizon)
        self._calibration: Calibration | None = None
        self._model: Model | None = None

    def learn(self, panel: SalesPanel, before: Model | None) -> Model:
        """Return a model of a history; `before` is the one of its first part, where there is one."""
        raise NotImplementedError

    def points(self, model: Model, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts, units, shape (items, origins, horizon)."""
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
        self._calibration = calibrated(panel, origins, self.points(early, panel, origins, self.horizon))
        self._model = self.learn(panel, early)
        return self

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast; see `Forecaster.predict`."""
        model, calibration = fitted(self._model, self.name), fitted(self._calibration, self.name)
        request = checked_request(panel, horizon, levels, origins, future)
        model = self.with_new_items(model, panel, int(request.origins.min()))
        return calibration.forecast(request, self.points(model, request.panel, request.origins, request.horizon))

    def with_new_items(self, model: Model, panel: SalesPanel, first: int) -> Model:  # noqa: ARG002
        """Return a model that knows the panel's items, learning new ones from periods before `first`."""
        return model

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config, arrays = self.model_state(fitted(self._model, self.name))
        own = fitted(self._calibration, self.name).arrays()
        return {"options": self.options(), "model": config}, {**arrays, **own}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls(**config["options"])
        made._model = cls.model_from(config["model"], arrays)
        made._calibration = Calibration.from_arrays(arrays)
        return made


class Nothing:
    """The model of a forecaster that learns nothing but its errors."""


def at_origins(states: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Return a flat forecast from what stands before each period (items, periods + 1)."""
    return np.repeat(states[:, origins][:, :, None], horizon, axis=2)
