"""Textbook point forecasts dressed with the distribution of their own past errors."""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..base import Arrays, Config, State, informative_sums, season_of
from ..data.panel import SalesPanel
from ..point import EmptyModel, PointForecaster
from .smoothing import Smoothing, fit_smoothing

LONGEST_SEASON = 24
"""Periods of the longest season that a single item's history can tell."""


class SeasonalNaive(PointForecaster[EmptyModel]):
    """What was sold in the same period a season ago, or of late where there is no such period.

    The season is 52 weeks, 7 days, 12 months or 4 quarters by the panel's frequency. Where the item was not
    listed or out of stock a season ago, the mean of its last four informative periods stands in. Quantiles
    come from the method's own past errors.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
    """

    name = "seasonal_naive"

    def learn(self, panel: SalesPanel, before: EmptyModel | None) -> EmptyModel:  # noqa: ARG002
        """Return nothing: there are only errors to learn."""
        return EmptyModel()

    def points(self, model: EmptyModel, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:  # noqa: ARG002
        """Return point forecasts, units, shape (items, origins, horizon)."""
        return season_ago(panel, origins, horizon)

    def model_state(self, model: EmptyModel) -> State:  # noqa: ARG002
        """Return nothing."""
        return {}, {}

    @classmethod
    def model_from(cls, config: Config, arrays: Arrays) -> EmptyModel:  # noqa: ARG003
        """Rebuild nothing."""
        return EmptyModel()


class ETS(PointForecaster[Smoothing]):
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
        super().__init__(horizon)
        self.season_length = checked_season(season_length)

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        return {**super().options(), "season_length": self.season_length}

    def learn(self, panel: SalesPanel, before: Smoothing | None) -> Smoothing:  # noqa: ARG002
        """Choose and fit a model for each item."""
        return fit_smoothing(panel, season_or_none(self.season_length, panel))

    def points(self, model: Smoothing, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts, units, shape (items, origins, horizon)."""
        return model.forecast(panel, origins, horizon)

    def model_state(self, model: Smoothing) -> State:
        """Return what `model_from` needs."""
        return model.to_state()

    @classmethod
    def model_from(cls, config: Config, arrays: Arrays) -> Smoothing:
        """Rebuild the models."""
        return Smoothing.from_state(config, arrays)


def checked_season(season_length: int | None) -> int | None:
    """Return a season's length where it is short enough for a single item's history to tell."""
    if season_length is not None and not 1 <= season_length <= LONGEST_SEASON:
        raise FractileError(f"season_length must be 1 ... {LONGEST_SEASON}, got {season_length}; pool longer seasons")
    return season_length


def season_or_none(season_length: int | None, panel: SalesPanel) -> int:
    """Return the season's length that is asked for, else the frequency's, or 1 where that is too long to tell."""
    season = season_of(panel.freq) if season_length is None else season_length
    return season if season <= LONGEST_SEASON else 1


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
