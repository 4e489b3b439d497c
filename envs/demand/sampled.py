"""Demand of one's own that has `sample` alone: what all other parts ask of a demand model, made from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.calibration.dependence import Dependence
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
from ...randomness import keyed_generator
from ..core.types import Scenario

FORECAST_PATHS = 1024
"""Paths that stand for a model in the forecasts that are made from it."""
LARGEST_CORRELATION = 0.99


@runtime_checkable
class Samples(Protocol):
    """Anything that demand can be sampled from."""

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""


@dataclass(frozen=True, eq=False)
class SampledDemand:
    """A demand model made from an object that has `sample` alone.

    The forecast of a period holds the quantiles of paths that were drawn for the purpose, always the same ones, and
    how its periods move together (a Gaussian copula): what is known of demand without knowing its past.

    Attributes:
        model: draws demand.

    Raises:
        FractileError: where it has no `sample`, or that returns something else than (paths, periods, items).
    """

    model: Samples

    def __post_init__(self) -> None:
        if not isinstance(self.model, Samples):
            raise FractileError(
                f"a demand model must have sample(rng, paths, periods), {type(self.model).__name__} has none"
            )

    @property
    def items(self) -> int:
        """Number of items."""
        return int(self.sample(self._own_generator(), 1, 1).shape[2])

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        demand = np.asarray(self.model.sample(rng, paths, periods), dtype=np.float64)
        if demand.ndim != 3 or demand.shape[:2] != (paths, periods):
            raise FractileError(
                f"sample of {type(self.model).__name__} must return demand of shape (paths, periods, items) = "
                f"({paths}, {periods}, items), got {demand.shape}"
            )
        return demand

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand together with the forecasts that policies may see, each `span` periods ahead."""
        return Scenario(self.sample(rng, paths, periods), self.forecasts(periods, span))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: `item` says which, shape (paths,)."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedSampledDemand:
        """Make the forecasts of all items and periods once, for many episodes."""
        return PreparedSampledDemand(self, periods, self.forecasts(periods, span))

    def forecasts(self, periods: int, span: int) -> list[DemandForecast]:
        """Return a forecast a period, of all items, each `span` periods ahead."""
        drawn = self.sample(self._own_generator(), FORECAST_PATHS, periods + span - 1)
        names = tuple(f"item_{i + 1}" for i in range(drawn.shape[2]))
        levels = np.asarray(DEFAULT_LEVELS, dtype=np.float64)
        quantiles = np.moveaxis(np.quantile(drawn, levels, axis=0), 0, -1)  # (periods, items, levels)
        # Ties are broken at random, anew in each period: by position they would look like dependence.
        ties = self._own_generator().random(drawn.shape)
        ranks = np.lexsort((ties, drawn), axis=0).argsort(axis=0)
        scores = ndtri((ranks + 0.5) / FORECAST_PATHS)
        made: list[DemandForecast] = []
        for period in range(periods):
            ahead = slice(period, period + span)
            values = quantiles[ahead].swapaxes(0, 1)[:, None]
            moved = np.stack([np.atleast_2d(np.corrcoef(x, rowvar=False)) for x in np.moveaxis(scores[:, ahead], 2, 0)])
            correlation = LARGEST_CORRELATION * moved + (1.0 - LARGEST_CORRELATION) * np.eye(span)
            dependence = Dependence(correlation, np.arange(len(names))[:, None])
            made.append(QuantileForecast(levels, values, np.array([period]), names, dependence=dependence))
        return made

    def _own_generator(self) -> np.random.Generator:
        return keyed_generator(0, "forecasts of sampled demand")


@dataclass(frozen=True, eq=False)
class PreparedSampledDemand:
    """A `SampledDemand` whose forecasts were made once for all episodes.

    Attributes:
        demand: draws.
        periods: of every episode.
        forecasts: one a period, of all items.
    """

    demand: SampledDemand
    periods: int
    forecasts: list[DemandForecast]

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: `item` says which, shape (paths,)."""
        drawn = self.demand.sample(rng, len(item), self.periods)
        chosen = np.take_along_axis(drawn, item[:, None, None], axis=2)
        nowhere = np.zeros(len(item), dtype=np.int64)
        return Scenario(chosen, [forecast.take(item, nowhere) for forecast in self.forecasts])


def as_demand_model(model: Any) -> Any:
    """Return a demand model as it is, or one made from an object of one's own that has `sample` alone.

    Raises:
        FractileError: where it has not even that.
    """
    return model if hasattr(model, "scenario") and hasattr(model, "items") else SampledDemand(model)
