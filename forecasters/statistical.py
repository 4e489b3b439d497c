"""Textbook point forecasts dressed with the distribution of their own past errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import FractileError
from .base import (
    Arrays,
    Config,
    State,
    calibration_origins,
    checked_horizon,
    checked_request,
    informative_sums,
    require_history,
    season_of,
)
from .calibration import CALIBRATION, Calibration, calibrated, fitted
from .forecast import DEFAULT_LEVELS, FloatArray, IntArray, QuantileForecast
from .panel import SalesPanel
from .smoothing import Smoothing, fit_smoothing


class SeasonalNaive:
    """What was sold in the same period a season ago, or of late where there is no such period.

    The season is 52 weeks, 7 days, 12 months or 4 quarters by the panel's frequency. Where the item was not
    listed or out of stock a season ago, the mean of its last four informative periods stands in. Quantiles
    come from the method's own past errors.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
    """

    name = "seasonal_naive"

    def __init__(self, horizon: int = 12) -> None:
        self.horizon = checked_horizon(horizon)
        self._calibration: Calibration | None = None

    def fit(self, panel: SalesPanel) -> Self:
        """Learn the distribution of past errors."""
        require_history(panel)
        origins = calibration_origins(panel, CALIBRATION)
        self._calibration = calibrated(panel, origins, season_ago(panel, origins, self.horizon))
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
        calibration = fitted(self._calibration, self.name)
        request = checked_request(panel, horizon, levels, origins, future)
        point = season_ago(request.panel, request.origins, request.horizon)
        return calibration.forecast(request, point)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        return {"horizon": self.horizon}, fitted(self._calibration, self.name).arrays()

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls(**config)
        made._calibration = Calibration.from_arrays(arrays)
        return made


class ETS:
    """Exponential smoothing chosen by AICc (statsforecast's AutoETS), with empirical error quantiles.

    Level, optional (damped) trend, and additive seasonality where a season has at most 24 periods. Parameters
    are fitted once for each item; forecasts from many origins then cost one pass through the data. A period
    out of stock leaves the state as it was. An item that was not fitted is fitted on what precedes the first
    origin. Errors are learnt in the last part of the history with parameters that have not seen it.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
        season_length: periods in a season; 1 for none; by the panel's frequency where None.
    """

    name = "ets"

    def __init__(self, horizon: int = 12, season_length: int | None = None) -> None:
        self.horizon = checked_horizon(horizon)
        if season_length is not None and not 1 <= season_length <= 24:
            raise FractileError(f"season_length must be 1 ... 24, got {season_length}; pool longer seasons")
        self.season_length = season_length
        self._calibration: Calibration | None = None
        self._smoothing: Smoothing | None = None

    def fit(self, panel: SalesPanel) -> Self:
        """Choose and fit a model for each item, and learn the distribution of its past errors."""
        require_history(panel)
        season = self._season(panel)
        origins = calibration_origins(panel, CALIBRATION)
        early = fit_smoothing(panel.until(int(origins[0])), season)
        self._calibration = calibrated(panel, origins, early.forecast(panel, origins, self.horizon))
        self._smoothing = fit_smoothing(panel, season)
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
        calibration = fitted(self._calibration, self.name)
        request = checked_request(panel, horizon, levels, origins, future)
        smoothing = self._known_items(panel, int(request.origins.min()))
        point = smoothing.forecast(request.panel, request.origins, request.horizon)
        return calibration.forecast(request, point)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        smoothing = fitted(self._smoothing, self.name)
        config, arrays = smoothing.to_state()
        own = {"horizon": self.horizon, "season_length": self.season_length}
        return {**own, "smoothing": config}, {**arrays, **fitted(self._calibration, self.name).arrays()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls(horizon=config["horizon"], season_length=config["season_length"])
        made._smoothing = Smoothing.from_state(config["smoothing"], arrays)
        made._calibration = Calibration.from_arrays(arrays)
        return made

    def _season(self, panel: SalesPanel) -> int:
        if self.season_length is not None:
            return self.season_length
        season = season_of(panel.freq)
        return season if season <= 24 else 1

    def _known_items(self, panel: SalesPanel, first: int) -> Smoothing:
        """Return parameters for the panel's items, fitting those that are new on periods before `first`."""
        smoothing = fitted(self._smoothing, self.name)
        new = [i for i, item in enumerate(panel.item_ids) if item not in smoothing.position]
        if new:
            smoothing = smoothing.joined(fit_smoothing(panel.select(new).until(first), smoothing.season))
        return smoothing


def season_ago(panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
    """Return the seasonal naive point forecast, units, shape (items, origins, horizon)."""
    season = season_of(panel.freq)
    steps = np.arange(horizon)
    source = origins[:, None] + steps - season * (steps // season + 1)
    inside = np.maximum(source, 0)
    usable = panel.informative[:, inside] & (source >= 0)
    recent = last_mean(panel, origins, 4)[:, :, None]
    return np.where(usable, panel.sales[:, inside], recent)


def last_mean(panel: SalesPanel, origins: IntArray, number: int) -> FloatArray:
    """Return the mean of the last `number` informative periods before each origin, shape (items, origins)."""
    sales, weeks = informative_sums(panel)
    count = weeks.astype(np.int64)
    rows = np.arange(panel.items)[:, None]
    # `start[i, k]` is the first period before which k informative periods lie.
    start = np.zeros((panel.items, panel.periods + 1), dtype=np.int64)
    reversed_periods = np.arange(panel.periods, -1, -1)
    start[rows, count[:, ::-1]] = reversed_periods
    now = count[:, origins]
    past = np.maximum(now - number, 0)
    span = sales[:, origins] - sales[rows, start[rows, past]]
    return np.asarray(span / np.maximum(now - past, 1))
