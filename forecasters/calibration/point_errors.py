"""Point forecasts made whole: the distribution of their past errors, and how those move together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Request, targets_of, velocity
from ..data.panel import SalesPanel
from ..forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from .error_distribution import ErrorDistribution, fit_error_distribution
from .sampling import ErrorDependence, fit_error_dependence

CALIBRATION = 40
"""Most origins whose errors are learnt from."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What past point forecasts taught about their errors: how large they are, and how they move together."""

    errors: ErrorDistribution
    dependence: ErrorDependence

    def forecast(self, request: Request, point: FloatArray) -> QuantileForecast:
        """Turn point forecasts (items, origins, horizon) into quantiles."""
        speed = velocity(request.panel, request.origins)
        values = self.errors.quantiles(point, speed, request.levels)
        return request.forecast(values, self.dependence.at(request.panel, request.origins, request.horizon))

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {**self.errors.arrays(), **self.dependence.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Calibration:
        """Rebuild from `arrays()`."""
        return cls(ErrorDistribution.from_arrays(arrays), ErrorDependence.from_arrays(arrays))


def calibrated(panel: SalesPanel, origins: IntArray, point: FloatArray) -> Calibration:
    """Learn the errors of point forecasts (items, origins, horizon) that did not know what came."""
    horizon = point.shape[-1]
    speed = velocity(panel, origins)
    errors = fit_error_distribution(point, targets_of(panel, origins, horizon), speed)
    request = Request(panel, horizon, np.asarray(DEFAULT_LEVELS), origins)
    past = replace(request, panel=panel.extended(np.zeros((panel.items, horizon))))
    values = errors.quantiles(point, speed, request.levels)
    forecast = QuantileForecast(request.levels, values, origins, panel.item_ids, past.panel.dates[origins], panel.freq)
    return Calibration(errors, fit_error_dependence(forecast, panel))
