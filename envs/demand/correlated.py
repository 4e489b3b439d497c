"""Items whose demand moves together within a period."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.forecast import DEFAULT_LEVELS
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast
from .independent import IndependentDemand, PreparedIndependent, draw_independent, prepare_independent


@dataclass(frozen=True, eq=False)
class Correlated:
    """Items that move together within a period, by a Gaussian copula over any independent marginals.

    In each period Z is normal with the given correlation, and D_i = F_i⁻¹(Φ(Z_i)). Each item's own distribution, its
    forecasts and its sums stay what they are in `base`. Demand's own correlation is that of Z for normal demand, and
    a little nearer to zero for other demand.

    Attributes:
        base: demand of each item on its own: an independent model, or one whose mean moves.
        correlation: of Z: one number for all pairs of items, or a matrix (items, items). [ρ]
    """

    base: Any
    correlation: ArrayLike

    def __post_init__(self) -> None:
        _check(np.asarray(self.correlation, dtype=np.float64), self.items)

    @property
    def items(self) -> int:
        """Number of items."""
        return int(self.base.items)

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return bool(self.base.discrete)

    @property
    def matrix(self) -> FloatArray:
        """The correlation of Z, shape (items, items)."""
        given = np.asarray(self.correlation, dtype=np.float64)
        return given if given.ndim else np.where(np.eye(self.items) > 0, 1.0, given)

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        # A matrix of less than full rank has no Cholesky factor, but has a root.
        value, vector = np.linalg.eigh(self.matrix)
        root = vector * np.sqrt(np.maximum(value, 0.0))
        normal = rng.standard_normal((paths, periods, self.items)) @ root.T
        return self.base.during(0, periods).invert(ndtr(normal))

    def cdf(self, units: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return P(demand <= units) of each item: see the base."""
        return np.asarray(self.base.cdf(units, span, **when))

    def pmf(self, units: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return P(demand = units) of each item: see the base."""
        return np.asarray(self.base.pmf(units, span, **when))

    def quantile(self, level: ArrayLike, span: int = 1, **when: int) -> FloatArray:
        """Return quantiles of each item: see the base."""
        return np.asarray(self.base.quantile(level, span, **when))

    def during(self, first: int, periods: int) -> IndependentDemand:
        """Return each item on its own: see the base."""
        alone: IndependentDemand = self.base.during(first, periods)
        return alone

    def price_path(self, periods: int) -> FloatArray | None:
        """Return prices: see the base."""
        path: FloatArray | None = self.base.price_path(periods)
        return path

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS, *, period: int = 0) -> DistributionForecast:
        """Return each item's true distribution as a forecast, made when `period` begins."""
        forecast: DistributionForecast = self.base.forecast(horizon, levels, period=period)
        return forecast

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        return replace(self, base=self.base.select(item), correlation=self.matrix[np.ix_(item, item)])

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is the truth about each item."""
        return draw_independent(self, rng, paths, periods, span)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each, on its own: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedIndependent:
        """Make the true forecasts of all periods once for many episodes, each of an item on its own."""
        return prepare_independent(self.base, periods, span)


def _check(correlation: FloatArray, items: int) -> None:
    if correlation.ndim == 0:
        lowest = -1.0 / (items - 1) if items > 1 else -1.0
        if not lowest <= correlation <= 1.0:
            raise FractileError(
                f"one correlation for {items} items must be from {lowest:.4g} (−1/(items − 1)) to 1, got {correlation}"
            )
        return
    if correlation.shape != (items, items):
        raise FractileError(
            f"correlation must be one number or a matrix of shape {(items, items)}, got {correlation.shape}"
        )
    unlike = np.abs(correlation - correlation.T).max(initial=0.0) + np.abs(np.diag(correlation) - 1.0).max(initial=0.0)
    if not unlike < 1e-9:
        raise FractileError("correlation must be symmetric, with ones on its diagonal")
    least = np.linalg.eigvalsh(correlation).min()
    if least < -1e-9:
        raise FractileError(
            f"correlation must be positive semi-definite, its least eigenvalue is {least:.3g}; "
            "move its entries towards zero"
        )
