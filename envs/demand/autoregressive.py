"""Autocorrelated demand: a first-order autoregression, with the true forecasts given its level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray, IntArray
from ...forecasters.calibration.dependence import Dependence
from ...forecasters.demand_forecast import DRAWS
from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.interpolation import sobol_uniforms
from ...randomness import draw_by_item, item_keys
from ..core.params import Number
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast, ForecastsOnPaths, Pick, side_by_side
from .model import paths_first, require, take_root
from .probability import ClippedNormal, Distribution, SampleDistribution

RARE = 1e-4
"""Probability of a clipped period up to which sums are taken as normal."""


@dataclass(frozen=True, eq=False)
class AR1:
    """First-order autoregressive demand: D_t = max(X_t, 0) with `X_t = μ + φ (X_{t−1} − μ) + ε_t`.

    X starts in its stationary state, normal with standard deviation σ/√(1 − φ²). The forecast in period t is that given
    X_{t−1}, which is the demand of the period before wherever it was not clipped, and with it everything: each period
    ahead is a clipped normal, exactly. Sums are clipped normals, too, where a period is clipped with a probability of
    at most `RARE`, and those of quasi-random paths where clipping is more frequent.

    Attributes:
        mean: of X, units per period, scalar or (items,). [μ]
        autocorrelation: of X over one period, in (−1, 1), scalar or (items,). [φ]
        noise_deviation: standard deviation of the noise, units, scalar or (items,). [σ]
    """

    mean: Number
    autocorrelation: Number
    noise_deviation: Number

    def __post_init__(self) -> None:
        require(self, mean="positive", autocorrelation="(-1, 1)", noise_deviation="positive")

    @property
    def items(self) -> int:
        """Number of items."""
        return int(np.broadcast(*self._parameters, np.zeros(1)).size)

    @property
    def stationary_deviation(self) -> FloatArray:
        """Standard deviation of X, units: σ/√(1 − φ²)."""
        _, autocorrelation, deviation = self._parameters
        return deviation / np.sqrt(1.0 - autocorrelation**2)

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        mean, autocorrelation, deviation = (np.broadcast_to(p, (self.items,))[item] for p in self._parameters)
        return replace(self, mean=mean, autocorrelation=autocorrelation, noise_deviation=deviation)

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items); items are keyed by their positions."""
        return np.maximum(self.levels(rng, paths, periods)[:, 1:], 0.0)

    def levels(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw X from the period before the first on, shape (paths, periods + 1, items); see `sample`."""
        return self._recursion(
            paths_first(
                draw_by_item(
                    take_root(rng),
                    item_keys(self.items),
                    paths,
                    periods + 1,
                    lambda one, _, number: one.standard_normal((periods + 1, number)),
                )
            )
        )

    def _recursion(self, level: FloatArray) -> FloatArray:
        """Turn standard normal draws (paths, periods + 1, items) into X, in place."""
        mean, autocorrelation, deviation = self._parameters
        level[:, 0] *= self.stationary_deviation
        for t in range(1, level.shape[1]):
            level[:, t] = autocorrelation * level[:, t - 1] + deviation * level[:, t]
        return mean + level

    def outlook(self, level: FloatArray, span: int) -> GaussianOutlook:
        """Return what is known of `span` periods once X of the period before is known, shape (origins, items)."""
        mean, autocorrelation, deviation = self._parameters
        ahead = np.arange(1, span + 1).reshape(-1, 1, 1)
        location = mean + autocorrelation**ahead * (level - mean)
        # What noise k periods ahead adds to X h periods ahead.
        lag = np.subtract.outer(np.arange(span), np.arange(span))[:, :, None, None]
        shape = (span, span, 1, self.items)
        weight = np.where(lag >= 0, deviation * autocorrelation ** np.maximum(lag, 0), 0.0)
        return GaussianOutlook(location, np.broadcast_to(weight, shape))

    def forecast(self, level: FloatArray, span: int, *, period: int = 0) -> DistributionForecast:
        """Return what is known of `span` periods as a forecast: see `outlook`."""
        return DistributionForecast.of(self.outlook(level, span), DEFAULT_LEVELS, period)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is its distribution, given the path so far."""
        level = self.levels(rng, paths, periods)
        make = partial(_from_level, self, level, span)
        return Scenario(np.maximum(level[:, 1:], 0.0), ForecastsOnPaths(make, range(periods)))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        model = self.select(item)
        level = model._recursion(rng.standard_normal((1, periods + 1, model.items)))
        demand = np.maximum(level[0, 1:], 0.0).T[:, :, None]
        whole = ForecastsOnPaths(partial(_from_level, model, level, span), range(periods))
        return Scenario(demand, ForecastsOnPaths(partial(side_by_side, whole), range(periods)))

    @property
    def _parameters(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        mean, autocorrelation, deviation = (
            np.asarray(value, dtype=np.float64) for value in (self.mean, self.autocorrelation, self.noise_deviation)
        )
        return mean, autocorrelation, deviation


@dataclass(frozen=True, eq=False)
class GaussianOutlook:
    """Demand of the periods ahead is max(X, 0), with X jointly normal.

    Attributes:
        location: mean of X, units, shape (horizon, origins, items).
        weight: X = location + weight @ independent standard normals, shape (horizon, normals, origins or 1, items).
    """

    location: FloatArray
    weight: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items."""
        horizon, origins, items = self.location.shape
        return horizon, origins, items

    @property
    def dependence(self) -> Dependence:
        """A Gaussian copula for each item, and for each origin where origins know different things."""
        root = self.weight / self._deviation[:, None]
        correlation = np.einsum("hnoi,knoi->iohk", root, root)
        items, origins, horizon, _ = correlation.shape
        return Dependence(correlation.reshape(-1, horizon, horizon), np.arange(items * origins).reshape(items, origins))

    def periods(self) -> Distribution:
        """Return the distribution of each period's demand."""
        return ClippedNormal(self.location, self._deviation)

    def total(self, span: IntArray) -> Distribution:
        """Return the distribution of sums, shape (1, origins, items)."""
        longest = int(span.max())
        if longest > 1 and (ndtr(-self.location[:longest] / self._deviation[:longest]) > RARE).any():
            each = []
            for n in np.unique(span):
                weight = self.weight[:n]
                towards = weight.sum(0)
                towards = towards / np.sqrt((towards**2).sum(0))
                # Reflected normals are normals: the first one then decides the sum, but for clipping, and is spread
                # evenly by the quasi-random draws.
                towards[0] += np.copysign(1.0, towards[0])
                along = np.einsum("hnoi,noi->hoi", weight, towards) * (2.0 / (towards**2).sum(0))
                reflected = GaussianOutlook(self.location[:n], weight - along[:, None] * towards)
                each.append(np.where(span == n, reflected.draws(DRAWS).sum(1, keepdims=True), 0.0))
            return SampleDistribution.of(np.sum(each, axis=0))
        shape = np.broadcast_shapes(self.shape[1:], span.shape[1:])
        index = np.broadcast_to(span - 1, (1, *shape))
        deviation = np.sqrt((np.cumsum(self.weight, axis=0) ** 2).sum(1))
        running = [np.broadcast_to(x, (len(x), *shape)) for x in (np.cumsum(self.location, axis=0), deviation)]
        return ClippedNormal(*(np.take_along_axis(x, index, axis=0) for x in running))

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, shape (number, horizon, origins, items)."""
        normal = ndtri(sobol_uniforms(number, self.weight.shape[1]))
        moved = np.einsum("dn,hnoi->dhoi", normal, self.weight)
        return np.maximum(self.location + moved, 0.0)

    def window(self, first: int, last: int) -> GaussianOutlook:
        """Return what is known of periods first ... last - 1 ahead."""
        return GaussianOutlook(self.location[first:last], self.weight[first:last])

    def take(self, pick: Pick, origins: int) -> GaussianOutlook:
        """Return what is known of some origins and items."""
        location, weight = (
            pick(np.broadcast_to(array, (*array.shape[:-2], origins, array.shape[-1])))
            for array in (self.location, self.weight)
        )
        return GaussianOutlook(location, weight)

    @property
    def _deviation(self) -> FloatArray:
        """Of X, shape (horizon, origins or 1, items)."""
        return np.sqrt((self.weight**2).sum(1))


def _from_level(model: AR1, level: FloatArray, span: int, period: int) -> DistributionForecast:
    """The forecast of a period on paths whose X is known, shape (paths, periods + 1, items)."""
    return model.forecast(level[:, period], span, period=period)
