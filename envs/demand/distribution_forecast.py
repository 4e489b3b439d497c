"""The forecast of someone who knows the distribution: what the periods ahead hold, given all that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.calibration.dependence import Dependence
from ...forecasters.forecast import DEFAULT_LEVELS, DRAWS, QuantileForecast
from ...forecasters.interpolation import (
    sobol_uniforms,
)
from .lattice import Distribution

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

    def picked(self, pick: Pick, origins: int) -> Self:
        """Return what is known of some origins and items, picked from so many origins and all items."""


@dataclass(frozen=True, eq=False)
class TotalOutlook:
    """What is known of demand summed over the first `span` periods of an outlook: a horizon of one.

    Attributes:
        whole: the periods that are summed.
        span: how many, integers of shape (1, origins or 1, items or 1).
    """

    whole: Outlook
    span: IntArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """One period, origins, items."""
        return (1, *np.broadcast_shapes(self.whole.shape[1:], self.span.shape[1:]))

    @property
    def dependence(self) -> None:
        """One sum depends on nothing."""
        return

    @cached_property
    def _distribution(self) -> Distribution:
        return self.whole.total(self.span)

    def periods(self) -> Distribution:
        """Return the distribution of the sum."""
        return self._distribution

    def total(self, span: IntArray) -> Distribution:  # noqa: ARG002  # there is one period
        """Return the distribution of the sum."""
        return self._distribution

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, shape (number, 1, origins, items)."""
        return np.asarray(self._distribution.ppf(sobol_uniforms(number, 1)[:, :, None, None]))

    def window(self, first: int, last: int) -> TotalOutlook:  # noqa: ARG002
        """Return the same: there is one period."""
        return self

    def picked(self, pick: Pick, origins: int) -> TotalOutlook:
        """Return the sums of some origins and items."""
        span = pick(np.broadcast_to(self.span, (1, origins, self.shape[2])))
        return TotalOutlook(self.whole.picked(pick, origins), span)


@dataclass(frozen=True, eq=False)
class DistributionForecast(QuantileForecast):
    """The forecast of someone who knows the distribution: quantiles and sums are those of an outlook.

    Attributes:
        outlook: what is known of the periods ahead; one origin stands for all where they know the same.
    """

    outlook: Outlook = None  # type: ignore[assignment]  # dataclass fields behind defaults need one
    # Stationary demand has one forecast for all periods: what is asked of it again and again is kept.
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, outlook: Outlook, levels: ArrayLike = DEFAULT_LEVELS, period: int = 0) -> DistributionForecast:
        """Return the forecast of an outlook, made when `period` begins."""
        level = np.asarray(levels, dtype=np.float64)
        origins = np.full(outlook.shape[1], period, dtype=np.int64)
        ids = tuple(f"item {i}" for i in range(outlook.shape[2]))
        return cls(level, _values(outlook, level), origins, ids, dependence=outlook.dependence, outlook=outlook)

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the exact quantile, shape (items, origins, horizon)."""
        return self._kept("quantile", self._quantile, np.asarray(level, dtype=np.float64))

    def mean(self) -> FloatArray:
        """Return the exact mean, shape (items, origins, horizon)."""
        return self._kept("mean", lambda _: self._broadcast(self._distribution.mean()), np.zeros(0))

    def total(self, span: ArrayLike) -> DistributionForecast:
        """Return the distribution of demand summed over the first `span` periods: see `QuantileForecast.total`."""
        return self._kept("total", self._total, np.asarray(span, dtype=np.int64))

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return quasi-random draws from the joint distribution, shape (number, items, origins, horizon)."""
        horizon = self.horizon if horizon is None else horizon
        self._check_span(horizon)
        drawn = self.outlook.window(0, horizon).draws(number)
        shape = (number, horizon, self.values.shape[1], self.values.shape[0])
        return np.broadcast_to(drawn, shape).transpose(0, 3, 2, 1)

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by exact inverse transform: see `QuantileForecast.at_uniforms`."""
        quantiles = self._distribution.ppf(np.swapaxes(uniform, -1, -3))
        return np.maximum(np.swapaxes(quantiles, -1, -3), 0.0)

    def take(self, item: IntArray, origin: IntArray) -> DistributionForecast:
        """Pick pairs of items and origins: see `QuantileForecast.take`."""
        item, origin = np.asarray(item, dtype=np.int64), np.asarray(origin, dtype=np.int64)
        return self._kept("take", lambda pair: self._take(*pair), np.stack([item, origin]))

    def select(self, items: IntArray) -> DistributionForecast:
        """Return the forecast of the items at these positions."""
        return self._with(super().select(items), lambda array: array[..., items])

    def at_origin(self, index: int) -> DistributionForecast:
        """Return the forecast of one origin, by its position; the origins axis stays, with length one."""
        return self.at_origins(np.array([index]))

    def at_origins(self, index: IntArray) -> DistributionForecast:
        """Return the forecast of the origins at these positions."""
        dependence = self.dependence
        if dependence is not None and dependence.band.shape[-1] > 1:
            dependence = replace(dependence, band=dependence.band[:, index])
        some = replace(self, values=self.values[:, index], origins=self.origins[index], dependence=dependence)
        return self._with(some, lambda array: array[..., index, :])

    def after(self, periods: int) -> DistributionForecast:
        """Return what the same forecast says of the time from `periods` periods later on."""
        later = super().after(periods)
        return replace(later, outlook=self.outlook.window(periods, self.horizon), _memo={})  # type: ignore[call-arg,return-value]

    def head(self, horizon: int) -> DistributionForecast:
        """Return the first `horizon` periods of the forecast."""
        return replace(super().head(horizon), outlook=self.outlook.window(0, horizon), _memo={})  # type: ignore[call-arg,return-value]

    @cached_property
    def _distribution(self) -> Distribution:
        return self.outlook.periods()

    def _kept(self, name: str, compute: Any, argument: NDArray[Any]) -> Any:
        key = (name, argument.shape, argument.tobytes())
        if key not in self._memo:
            self._memo[key] = compute(argument)
        return self._memo[key]

    def _broadcast(self, found: ArrayLike) -> FloatArray:
        """Turn (horizon, origins, items) into (items, origins, horizon), each axis in full."""
        array = np.asarray(found, dtype=np.float64)
        full = array.reshape((1,) * (3 - array.ndim) + array.shape)
        return np.broadcast_to(full.T, self.values.shape[:3])

    def _quantile(self, level: FloatArray) -> FloatArray:
        if not np.all((level > 0) & (level < 1)):
            raise FractileError(f"a quantile level must lie strictly between 0 and 1, got {level}")
        return self._broadcast(np.maximum(self._distribution.ppf(_by_item(level)), 0.0))

    def _total(self, span: IntArray) -> DistributionForecast:
        if int(span.min()) < 1:
            raise FractileError(f"span must be at least 1 period, got {span.min()}")
        self._check_span(int(span.max()))
        outlook = TotalOutlook(self.outlook, np.atleast_2d(_by_item(span))[None])
        values = _values(outlook, self.levels)
        full = np.broadcast_to(values, (*self.values.shape[:2], *values.shape[2:]))
        return replace(self, values=full, dependence=None, outlook=outlook, _memo={})

    def _take(self, item: IntArray, origin: IntArray) -> DistributionForecast:
        if self.values.shape[1] == 1 and np.size(item) and np.ptp(item) == 0:
            # One distribution serves all: it is asked once, and what it says is broadcast.
            one = self.select(item[:1])
            values = np.broadcast_to(one.values, (1, len(item), *one.values.shape[2:]))
            return replace(one, values=values, origins=self.origins[origin], item_ids=("*",))
        return self._with(super().take(item, origin), lambda array: array[..., origin, item][..., None])

    def _with(self, some: QuantileForecast, pick: Pick) -> DistributionForecast:
        """Return the forecast of some origins and items, with their outlook."""
        alike = self.outlook.shape[1] == 1 and self.values.shape[1] == len(some.origins)
        outlook = self.outlook.picked(pick, 1 if alike else self.values.shape[1])
        return replace(some, outlook=outlook, _memo={})  # type: ignore[call-arg,return-value]


@dataclass(frozen=True, eq=False)
class ForecastsOnPaths(Sequence[QuantileForecast]):
    """Forecasts that differ over paths, each made when it is asked for; the last one is kept.

    Attributes:
        make: makes the forecast of a period.
        window: the periods that are shown.
    """

    make: Callable[[int], QuantileForecast]
    window: range
    _last: dict[int, QuantileForecast] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.window)

    @overload
    def __getitem__(self, index: int) -> QuantileForecast: ...
    @overload
    def __getitem__(self, index: slice) -> ForecastsOnPaths: ...
    def __getitem__(self, index: int | slice) -> QuantileForecast | ForecastsOnPaths:
        if isinstance(index, slice):
            return ForecastsOnPaths(self.make, self.window[index])
        period = self.window[index]
        if period not in self._last:
            self._last.clear()
            self._last[period] = self.make(period)
        return self._last[period]


def _by_item(values: NDArray[Any]) -> NDArray[Any]:
    """Turn what broadcasts to (items, origins) into what broadcasts to (origins, items)."""
    return values if values.ndim == 0 else np.atleast_2d(values).T


def _values(outlook: Outlook, level: FloatArray) -> FloatArray:
    """Quantiles at the levels, shape (items, origins, horizon, levels)."""
    quantiles = np.maximum(outlook.periods().ppf(level.reshape(-1, 1, 1, 1)), 0.0)
    full = np.broadcast_to(quantiles, (len(level), *outlook.shape))
    return full.transpose(3, 2, 1, 0)
