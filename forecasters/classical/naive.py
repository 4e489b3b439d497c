"""The seasonal naive method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Config, State, informative_sums
from ..data.calendar import season_of
from ..data.panel import SalesPanel
from .point import PointForecaster

RECENT = 4
"""Informative periods whose mean stands in where the period a season ago is not known."""


@dataclass(frozen=True)
class SeasonAgo:
    """The model of the seasonal naive method, which has no parameters."""

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts, units, shape (items, origins, horizon)."""
        return season_ago(panel, origins, horizon)

    def to_state(self) -> State:
        """Return an empty configuration and no arrays."""
        return {}, {}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:  # noqa: ARG003
        """Return the model."""
        return cls()


class SeasonalNaive(PointForecaster[SeasonAgo]):
    """The sales of the same period a season ago, or recent ones where there is no such period.

    The season is 52 weeks, 7 days, 12 months or 4 quarters by the panel's frequency. Where the item was not
    listed or out of stock a season ago, the mean of its last four informative periods stands in. Quantiles
    come from the method's own past errors.

    Args:
        horizon: periods ahead over which errors are calibrated; a longer forecast keeps the last one's.
    """

    name = "seasonal_naive"
    model_type = SeasonAgo

    def fit_model(self, panel: SalesPanel, before: SeasonAgo | None) -> SeasonAgo:  # noqa: ARG002
        """Return the model, which has no parameters."""
        return SeasonAgo()


def season_ago(panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
    """Return the seasonal naive point forecast, units, shape (items, origins, horizon)."""
    season = season_of(panel.freq)
    steps = np.arange(horizon)
    source = origins[:, None] + steps - season * (steps // season + 1)
    inside = np.maximum(source, 0)
    usable = panel.informative[:, inside] & (source >= 0)
    recent = last_mean(panel, origins, RECENT)[:, :, None]
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
