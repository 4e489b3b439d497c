"""The forecast of a known distribution: what the periods ahead hold, given all that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.calibration.dependence import Dependence, Method
from ...forecasters.data.calendar import later_dates
from ...forecasters.data.nixtla import Style, long_frame, nixtla_frame
from ...forecasters.demand_forecast import (
    DRAWS,
    DemandForecast,
    check_horizon,
    check_level,
    check_origin,
    check_span,
    correlated_uniforms,
    sample_forecast,
)
from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.interpolation import increasing_inside, sobol_uniforms
from .probability import Distribution

Pick = Callable[[NDArray[Any]], NDArray[Any]]
"""Picks along the last two axes of an array (..., origins, items)."""


class Outlook(Protocol):
    """What is known of demand in the periods ahead. Axes are (horizon, origins, items), each of length one at least."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items; origins is 1 where all paths know the same."""

    @property
    def dependence(self) -> Dependence | None:
        """How the periods' normal scores move together; None where that is no Gaussian copula, or nothing."""

    def periods(self) -> Distribution:
        """Return the distribution of each period's demand."""

    def total(self, span: IntArray) -> Distribution:
        """Return the distribution of demand summed over the first `span` periods, integers (1, origins, items)."""

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, the same at every call, shape (number, horizon, origins, items)."""

    def window(self, first: int, last: int) -> Self:
        """Return what is known of periods first ... last - 1 ahead."""

    def take(self, pick: Pick, origins: int) -> Self:
        """Return what is known of some origins and items, picked from so many origins and all items."""


@dataclass(frozen=True, eq=False)
class TotalOutlook:
    """What is known of demand summed over the first `span` periods of an outlook: a horizon of one.

    Attributes:
        whole: the periods that are summed.
        span: how many, integers of shape (1, origins or 1, items or 1).
        distribution: of the sum, which follows from both; convolved once, when the total is made.
    """

    whole: Outlook
    span: IntArray
    distribution: Distribution = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "distribution", self.whole.total(self.span))

    @property
    def shape(self) -> tuple[int, int, int]:
        """One period, origins, items."""
        return (1, *np.broadcast_shapes(self.whole.shape[1:], self.span.shape[1:]))

    @property
    def dependence(self) -> None:
        """One sum depends on nothing."""
        return

    def periods(self) -> Distribution:
        """Return the distribution of the sum."""
        return self.distribution

    def total(self, span: IntArray) -> Distribution:  # noqa: ARG002  # there is one period
        """Return the distribution of the sum."""
        return self.distribution

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, shape (number, 1, origins, items)."""
        return np.asarray(self.distribution.ppf(sobol_uniforms(number, 1)[:, :, None, None]))

    def window(self, first: int, last: int) -> TotalOutlook:  # noqa: ARG002
        """Return the same: there is one period."""
        return self

    def take(self, pick: Pick, origins: int) -> TotalOutlook:
        """Return the sums of some origins and items."""
        span = pick(np.broadcast_to(self.span, (1, origins, self.shape[2])))
        return TotalOutlook(self.whole.take(pick, origins), span)


@dataclass(frozen=True, eq=False)
class DistributionForecast:
    """The forecast of a known distribution: quantiles, means, draws and sums are those of an outlook, exactly.

    How periods depend on each other is part of what is known, so that `with_dependence` is refused.

    Attributes:
        outlook: what is known of the periods ahead; one origin stands for all where they know the same.
        levels: quantile levels of `values`, strictly increasing, in (0, 1), shape (Q,). [τ]
        origins: the period index of each origin, shape (origins,).
        item_ids: one text an item.
        dates: the date of each origin, or None where periods have no dates.
        freq: pandas frequency of the periods, or None.
        values: the quantiles at the levels, which follow from the outlook, shape (items, origins, horizon, Q).
    """

    outlook: Outlook
    levels: FloatArray
    origins: IntArray
    item_ids: tuple[str, ...]
    dates: pd.DatetimeIndex | None = None
    freq: str | None = None
    values: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        levels, (horizon, _, items) = np.asarray(self.levels, dtype=np.float64), self.outlook.shape
        if levels.ndim != 1 or not increasing_inside(levels):
            raise FractileError(f"levels must be strictly increasing, between 0 and 1, got {self.levels}")
        object.__setattr__(self, "levels", levels)
        quantiles = np.maximum(self.outlook.periods().ppf(levels.reshape(-1, 1, 1, 1)), 0.0)
        full = np.broadcast_to(quantiles, (len(levels), horizon, len(self.origins), items))
        object.__setattr__(self, "values", full.transpose(3, 2, 1, 0))

    @classmethod
    def of(cls, outlook: Outlook, levels: ArrayLike = DEFAULT_LEVELS, period: int = 0) -> DistributionForecast:
        """Return the forecast of an outlook, made when `period` begins."""
        ids = tuple(f"item {i}" for i in range(outlook.shape[2]))
        return cls(outlook, np.asarray(levels), np.full(outlook.shape[1], period, dtype=np.int64), ids)

    @property
    def horizon(self) -> int:
        """Periods ahead that are forecast."""
        return int(self.values.shape[2])

    @property
    def dependence(self) -> Dependence | None:
        """How the periods' normal scores move together; None where that is no Gaussian copula, or nothing."""
        return self.outlook.dependence

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the exact quantile, shape (items, origins, horizon)."""
        level = check_level(level, self.values.shape[:2])
        return self._broadcast(np.maximum(self.outlook.periods().ppf(_by_item(level)), 0.0))

    def mean(self) -> FloatArray:
        """Return the exact mean, shape (items, origins, horizon)."""
        return self._broadcast(self.outlook.periods().mean())

    def sample(self, paths: int, rng: np.random.Generator, method: Method | None = None) -> FloatArray:
        """Draw demand paths, shape (paths, items, origins, horizon), their periods independent without a copula."""
        return sample_forecast(self, paths, rng, method)

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for independent standard normal draws: see `QuantileForecast.at_normals`."""
        return self.at_uniforms(correlated_uniforms(self.dependence, normal))

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by exact inverse transform: see `QuantileForecast.at_uniforms`."""
        quantiles = self.outlook.periods().ppf(np.swapaxes(uniform, -1, -3))
        return np.maximum(np.swapaxes(quantiles, -1, -3), 0.0)

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return quasi-random draws from the joint distribution, shape (number, items, origins, horizon)."""
        horizon = self.horizon if horizon is None else horizon
        check_horizon(self, horizon)
        drawn = self.outlook.window(0, horizon).draws(number)
        shape = (number, horizon, self.values.shape[1], self.values.shape[0])
        return np.broadcast_to(drawn, shape).transpose(0, 3, 2, 1)

    def total(self, span: ArrayLike) -> DistributionForecast:
        """Return the distribution of demand summed over the first `span` periods: see `QuantileForecast.total`."""
        outlook = TotalOutlook(self.outlook, np.atleast_2d(_by_item(check_span(self, span)))[None])
        return DistributionForecast(outlook, self.levels, self.origins, self.item_ids, self.dates, self.freq)

    def after(self, periods: int) -> DistributionForecast:
        """Return the forecast of the time from `periods` periods later on."""
        check_horizon(self, periods + 1)
        return self._with(
            outlook=self.outlook.window(periods, self.horizon),
            values=self.values[:, :, periods:],
            origins=self.origins + periods,
            dates=later_dates(self.dates, self.freq, periods),
        )

    def head(self, horizon: int) -> DistributionForecast:
        """Return the first `horizon` periods of the forecast."""
        check_horizon(self, horizon)
        return self._with(outlook=self.outlook.window(0, horizon), values=self.values[:, :, :horizon])

    def at_origin(self, index: int | IntArray) -> DistributionForecast:
        """Return the forecast of one origin or of several, by position; the origins axis stays."""
        chosen = check_origin(self, index)
        shared = self.outlook.shape[1] == 1
        return self._with(
            outlook=self.outlook if shared else self.outlook.take(lambda a: a[..., chosen, :], len(self.origins)),
            values=self.values[:, chosen],
            origins=self.origins[chosen],
            dates=None if self.dates is None else self.dates[chosen],
        )

    def take(self, item: IntArray, origin: IntArray) -> DistributionForecast:
        """Return pairs of items and origins, side by side: see `QuantileForecast.take`."""
        item, origin = np.asarray(item, dtype=np.int64), np.asarray(origin, dtype=np.int64)
        if self.outlook.shape[1] == 1 and np.size(item) and np.ptp(item) == 0:
            # One distribution serves all pairs.
            outlook = self.outlook if len(self.values) == 1 else self.outlook.take(lambda a: a[..., item[:1]], 1)
        else:
            outlook = self.outlook.take(lambda a: a[..., origin, item][..., None], len(self.origins))
        values = self.values[item, origin][None]
        return self._with(outlook=outlook, values=values, origins=self.origins[origin], item_ids=("*",), dates=None)

    def select(self, items: IntArray) -> DistributionForecast:
        """Return the forecast of the items at these positions."""
        return self._with(
            outlook=self.outlook.take(lambda a: a[..., items], self.outlook.shape[1]),
            values=self.values[items],
            item_ids=tuple(self.item_ids[i] for i in items),
        )

    def with_dependence(self, dependence: Dependence) -> DistributionForecast:  # noqa: ARG002  # it is refused
        """Refuse: how the periods of a known distribution depend on each other is known, too."""
        raise FractileError(
            "with_dependence cannot change a known distribution, whose sums follow from its law; take its quantiles "
            "as data first: QuantileForecast(f.levels, f.values, f.origins, f.item_ids, dependence=...)"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a long frame: see `QuantileForecast.to_frame`."""
        return long_frame(self)

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Return a wide frame: see `QuantileForecast.to_nixtla`."""
        return nixtla_frame(self, style, model)

    def _with(self, **changes: Any) -> DistributionForecast:
        """Return the forecast with another outlook and the values that belong to it, which are not computed again."""
        forecast = object.__new__(DistributionForecast)
        forecast.__dict__.update(self.__dict__, **changes)
        return forecast

    def _broadcast(self, found: ArrayLike) -> FloatArray:
        """Turn (horizon, origins, items) into (items, origins, horizon), each axis in full."""
        array = np.asarray(found, dtype=np.float64)
        full = array.reshape((1,) * (3 - array.ndim) + array.shape)
        return np.broadcast_to(full.T, self.values.shape[:3])


@dataclass(frozen=True, eq=False)
class ForecastsOnPaths(Sequence[DemandForecast]):
    """Forecasts that differ over paths, each made when it is read, and again when it is read again.

    All of them together would not fit into memory where paths and periods are many.

    Attributes:
        make: makes the forecast of a period.
        window: the periods that are shown.
    """

    make: Callable[[int], DemandForecast]
    window: range

    def __len__(self) -> int:
        return len(self.window)

    @overload
    def __getitem__(self, index: int) -> DemandForecast: ...
    @overload
    def __getitem__(self, index: slice) -> ForecastsOnPaths: ...
    def __getitem__(self, index: int | slice) -> DemandForecast | ForecastsOnPaths:
        if isinstance(index, slice):
            return ForecastsOnPaths(self.make, self.window[index])
        return self.make(self.window[index])


def side_by_side(whole: ForecastsOnPaths, period: int) -> DemandForecast:
    """Return forecasts of one path with an item for each episode, as forecasts of one item on many paths."""
    forecast = whole[period]
    items = np.arange(len(forecast.item_ids))
    return forecast.take(items, np.zeros_like(items))


def _by_item(values: NDArray[Any]) -> NDArray[Any]:
    """Turn what broadcasts to (items, origins) into what broadcasts to (origins, items)."""
    return values if values.ndim == 0 else np.atleast_2d(values).T
