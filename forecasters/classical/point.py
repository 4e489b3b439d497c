"""Point forecasters: a model of the series, and quantiles from the distribution of its past errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, Self, TypeVar, cast

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Config, Request, State, calibration_origins, check_horizon
from ..calibration.point_errors import CALIBRATION, Calibration, calibrate
from ..censoring import History, check_censoring
from ..data.panel import SalesPanel
from ..forecast import QuantileForecast
from ..forecaster import BaseForecaster


class PointModel(Protocol):
    """A fitted model of many series."""

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts of the panel's items, units, shape (items, origins, horizon).

        Items that were not fitted are fitted on what precedes the first origin.
        """
        ...

    def to_state(self) -> State:
        """Return configuration and arrays."""
        ...

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        ...


Model = TypeVar("Model", bound=PointModel)


@dataclass(frozen=True, eq=False)
class PointFit(Generic[Model]):
    """A fitted model and the calibration of its errors."""

    model: Model
    calibration: Calibration


class PointForecaster(BaseForecaster[PointFit[Model]], Generic[Model]):
    """A point forecast with the distribution of its past errors around it.

    Errors are those of a model fitted without the last part of the history, in that part. A subclass names its
    `model_type`, fits it in `fit_model`, and returns the arguments of its constructor in `options`.

    Args:
        horizon: periods ahead over which errors are calibrated; a longer forecast keeps the last one's.
        censoring: how stock-outs count, "bound" (sales are a lower bound of demand) or "mask" (not at all).
    """

    model_type: ClassVar[type[PointModel]]
    reads_covariates = False

    def __init__(self, horizon: int = 12, *, censoring: str = "bound") -> None:
        self.horizon = check_horizon(horizon)
        self._censoring = check_censoring(censoring)

    @property
    def censoring(self) -> str:
        """How stock-outs count."""
        return self._censoring

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        return {"horizon": self.horizon, "censoring": self.censoring}

    def fit_model(self, panel: SalesPanel, before: Model | None) -> Model:
        """Fit the model to a history; `before` is the model of its first part, where there is one."""
        raise NotImplementedError

    def _fit(self, history: History) -> PointFit[Model]:
        """Fit the model and calibrate its errors."""
        panel = history.expected
        origins = calibration_origins(panel, CALIBRATION)
        early = self.fit_model(panel.until(int(origins[0])), None)
        calibration = calibrate(history, origins, early.forecast(panel, origins, self.horizon))
        return PointFit(self.fit_model(panel, early), calibration)

    def _predict(self, request: Request, fitted: PointFit[Model]) -> QuantileForecast:
        """Forecast a checked request from the model and the calibration."""
        point = fitted.model.forecast(request.panel, request.origins, request.horizon)
        return fitted.calibration.forecast(request, point)

    def _to_state(self, fitted: PointFit[Model]) -> State:
        """Return configuration and arrays."""
        config, arrays = fitted.model.to_state()
        return {"options": self.options(), "model": config}, {**arrays, **fitted.calibration.arrays()}

    @classmethod
    def _from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `_to_state()`."""
        made = cls(**config["options"])
        model = cast(Model, cls.model_type.from_state(config["model"], arrays))
        made._fitted = PointFit(model, Calibration.from_arrays(arrays))
        return made
