"""A forecast that is wrong on purpose, in the same way in everything that may be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.forecast import (
    DRAWS,
    Dependence,
    QuantileForecast,
)
from ...forecasters.interpolation import mean_weights


@dataclass(frozen=True, eq=False)
class DistortedForecast(QuantileForecast):
    """A forecast whose quantiles, sums, means and draws are all distorted in the same way.

    A sum over periods is distorted about the median of the sum.

    Attributes:
        base: what is distorted.
        spread: factor on the distance from the median.
        factor: on the result, shape (items or 1, origins or 1).
    """

    base: QuantileForecast = None  # type: ignore[assignment]  # dataclass fields behind defaults need one
    spread: float = 1.0
    factor: FloatArray = None  # type: ignore[assignment]

    @classmethod
    def of(cls, base: QuantileForecast, spread: float, factor: FloatArray) -> DistortedForecast:
        """Distort a forecast; a factor of many origins spreads a forecast of one over them."""
        median = base.quantile(0.5)
        values = _distorted(base.values, median[..., None], spread, factor[:, :, None, None])
        many = values.shape[1] != base.values.shape[1]
        return cls(
            base.levels,
            values,
            np.repeat(base.origins[:1], values.shape[1]) if many else base.origins,
            base.item_ids,
            None if many else base.dates,
            base.freq,
            base.dependence,
            base=base,
            spread=spread,
            factor=factor,
        )

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the distorted quantile, shape (items, origins, horizon)."""
        exact = self._spread_out(level).quantile(level)
        return _distorted(exact, self.base.quantile(0.5), self.spread, self.factor[:, :, None])

    def mean(self) -> FloatArray:
        """Return the mean of the distorted distribution, shape (items, origins, horizon)."""
        median = self.base.quantile(0.5)
        centre = median + self.spread * (self.base.mean() - median)
        # What is cut off at zero raises the mean.
        raw = median[..., None] + self.spread * (self.base.values - median[..., None])
        lifted = np.maximum(-raw, 0.0) @ mean_weights(tuple(self.levels))
        return np.asarray(np.maximum(centre + lifted, 0.0) * self.factor[:, :, None])

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by inverse transform, the shape of `uniform`."""
        drawn = self.base.at_uniforms(uniform)
        return _distorted(drawn, self.base.quantile(0.5), self.spread, self.factor[:, :, None])

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return dependent quasi-random draws, shape (number, items, origins, horizon)."""
        drawn = self.base.draws(number, horizon)
        median = self.base.quantile(0.5)[:, :, : drawn.shape[-1]]
        return _distorted(drawn, median, self.spread, self.factor[:, :, None])

    def total(self, span: ArrayLike) -> QuantileForecast:
        """Return the distorted forecast of demand summed over the first `span` periods."""
        return self._like(self._spread_out(span).total(span))

    def after(self, periods: int) -> QuantileForecast:
        """Return what the same forecast says of the time from `periods` periods later on."""
        return self._like(self.base.after(periods))

    def head(self, horizon: int) -> QuantileForecast:
        """Return the first `horizon` periods of the forecast."""
        return self._like(self.base.head(horizon))

    def with_dependence(self, dependence: Dependence) -> QuantileForecast:
        """Return the same quantiles with another dependence over the horizon."""
        return self._like(self.base.with_dependence(dependence))

    def at_origin(self, index: int) -> QuantileForecast:
        """Return the forecast of one origin, by its position; the origins axis stays, with length one."""
        origin = np.arange(self.values.shape[1])[[index]]
        base = self.base.at_origin(int(origin[0]) if self.base.values.shape[1] > 1 else 0)
        return DistortedForecast.of(base, self.spread, self._factors()[:, origin])

    def take(self, item: IntArray, origin: IntArray) -> QuantileForecast:
        """Pick pairs of items and origins: see `QuantileForecast.take`."""
        base = self.base.take(item, origin if self.base.values.shape[1] > 1 else np.zeros_like(origin))
        return DistortedForecast.of(base, self.spread, self._factors()[item, origin][None])

    def select(self, items: IntArray) -> QuantileForecast:
        """Return the forecast of the items at these positions."""
        return DistortedForecast.of(self.base.select(items), self.spread, self._factors()[items])

    def _like(self, base: QuantileForecast) -> DistortedForecast:
        return DistortedForecast.of(base, self.spread, self.factor)

    def _factors(self) -> FloatArray:
        return np.broadcast_to(self.factor, self.values.shape[:2])

    def _spread_out(self, argument: ArrayLike) -> QuantileForecast:
        """The base with an origin a path, where the argument asks for something else on each path."""
        items, origins = self.values.shape[:2]
        argument = np.asarray(argument)
        if argument.ndim < 2 or argument.shape[1] == 1 or self.base.values.shape[1] == origins:
            return self.base
        values = np.broadcast_to(self.base.values, self.values.shape)
        if type(self.base) is QuantileForecast:
            return replace(self.base, values=values, origins=self.origins, dates=None, _cumulative={})
        raise FractileError(
            f"levels and spans that differ between paths need a forecast a path: pick {items} items and "
            f"{origins} paths with take(item, path) first"
        )


def _distorted(value: FloatArray, median: FloatArray, spread: float, factor: Any) -> FloatArray:
    return np.asarray(np.maximum(median + spread * (value - median), 0.0) * factor)
