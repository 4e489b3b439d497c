"""Demand whose distribution follows a chain of regimes, seen or unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import Faults
from ...forecasters.forecast import DEFAULT_LEVELS
from ...randomness import PATH_BLOCK
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast, ForecastsOnPaths
from .independent import IndependentDemand
from .model import in_blocks
from .regime_outlook import RegimeOutlook


@dataclass(frozen=True, eq=False)
class MarkovModulated:
    """Demand whose distribution follows a Markov chain of regimes (Song and Zipkin 1993).

    The chain starts in its stationary state. Where regimes are seen, the forecast in period t knows the regime of
    period t, not yet its demand. Where they are hidden, it knows the demand so far alone: the belief about the regime
    is Bayes' rule, period by period, and the forecast is the mixture of the regimes with that belief.

    Attributes:
        regimes: independent demand of each regime, all discrete or all continuous.
        transition: probability that regime s follows regime r, shape (regimes, regimes). [P_rs]
        hidden: whether policies do not see the regime.
        shared: whether all items are in the same regime; else each item has a chain of its own.
    """

    regimes: Sequence[IndependentDemand]
    transition: ArrayLike
    hidden: bool = False
    shared: bool = False
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        matrix = np.asarray(self.transition, dtype=np.float64)
        _check(self.regimes, matrix)
        items = max(regime.items for regime in self.regimes)
        whole = [r.select(np.zeros(items, dtype=np.int64)) if r.items < items else r for r in self.regimes]
        object.__setattr__(self, "regimes", tuple(whole))
        object.__setattr__(self, "transition", matrix)

    @property
    def items(self) -> int:
        """Number of items."""
        return self.regimes[0].items

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return self.regimes[0].discrete

    @property
    def stationary(self) -> FloatArray:
        """Share of periods in each regime, shape (regimes,): the solution of π P = π."""
        matrix = np.asarray(self.transition)
        equations = np.vstack([matrix.T - np.eye(len(matrix)), np.ones(len(matrix))])
        return np.maximum(np.linalg.lstsq(equations, np.append(np.zeros(len(matrix)), 1.0), rcond=None)[0], 0.0)

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        return replace(self, regimes=[regime.select(item) for regime in self.regimes])

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        return self.draw(rng, paths, periods)[0]

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[FloatArray, FloatArray]:
        """Draw demand and regimes, both of shape (paths, periods, items); regimes are counted from 0."""
        uniform = rng.random((periods, paths, 1 if self.shared else self.items))
        chain = np.cumsum(np.asarray(self.transition), axis=1)[:, :-1]
        now = (uniform[0][..., None] >= np.cumsum(self.stationary)[:-1]).sum(-1)
        regime = [now]
        for u in uniform[1:]:
            regime.append((u[..., None] >= chain[regime[-1]]).sum(-1))
        visited = np.broadcast_to(np.stack(regime, axis=1), (paths, periods, self.items))
        demand = np.empty(visited.shape)
        for r, model in enumerate(self.regimes):
            np.copyto(demand, model.sample(rng, paths, periods), where=visited == r)
        return demand, visited.astype(np.float64)

    def beliefs(self, demand: FloatArray) -> FloatArray:
        """Return what demand so far tells of hidden regimes: P(regime in t | demand before t).

        Args:
            demand: units, shape (paths, periods, items).

        Returns:
            probabilities, shape (regimes, periods, paths, items or 1).
        """
        likelihood = np.stack([np.broadcast_to(r.likelihood(demand), demand.shape) for r in self.regimes])
        if self.shared:
            with np.errstate(divide="ignore"):
                logarithm = np.log(likelihood).sum(-1, keepdims=True)
            highest = logarithm.max(0)
            likelihood = np.exp(logarithm - np.where(np.isfinite(highest), highest, 0.0))
        shape = likelihood.shape[1], likelihood.shape[3]
        belief = np.broadcast_to(self.stationary[:, None, None], (len(self.regimes), *shape))
        found = []
        for t in range(demand.shape[1]):
            found.append(belief)
            seen = belief * likelihood[:, :, t]
            total = seen.sum(0)
            # What no regime explains says nothing about them.
            seen = np.where(total > 0, seen / np.where(total > 0, total, 1.0), belief)
            belief = np.einsum("rpi,rs->spi", seen, np.asarray(self.transition))
        return np.stack(found, axis=1)

    def outlook(self, span: int, *, regime: IntArray | None = None, beliefs: FloatArray | None = None) -> RegimeOutlook:
        """Return what is known of `span` periods, given the first one's regime or beliefs about it.

        Args:
            span: periods ahead.
            regime: regime of the first period, counted from 0, shape (origins, items).
            beliefs: its probabilities, shape (regimes, origins, items or 1).
        """
        if beliefs is None:
            beliefs = np.eye(len(self.regimes))[:, :, None]
        return RegimeOutlook(self.regimes, np.asarray(self.transition), beliefs, regime, span, self._kept)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is its distribution, given the regime or the path so far."""
        demand, regime = in_blocks(rng, paths, lambda block: self.draw(block, PATH_BLOCK, periods))
        return Scenario(demand, ForecastsOnPaths(self._forecaster(demand, regime, span), range(periods)))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each, in regimes of their own: see `ForecastDemand.episodes`."""
        alone = replace(self.select(item), shared=False, _kept=self._kept)
        demand, regime = alone.draw(rng, 1, periods)
        make = partial(_side_by_side, alone._forecaster(demand, regime, span))
        return Scenario(demand[0].T[:, :, None], ForecastsOnPaths(make, range(periods)))

    def _forecaster(self, demand: FloatArray, regime: FloatArray, span: int) -> partial[DistributionForecast]:
        known = self.beliefs(demand) if self.hidden else regime.astype(np.int8)
        return partial(_forecast, self, known, span)


def _forecast(model: MarkovModulated, known: Any, span: int, period: int) -> DistributionForecast:
    """The forecast of a period: known are beliefs of all periods, or regimes (paths, periods, items)."""
    if model.hidden:
        outlook = model.outlook(span, beliefs=known[:, period])
    else:
        outlook = model.outlook(span, regime=known[:, period].astype(np.int64))
    return DistributionForecast.of(outlook, DEFAULT_LEVELS, period)


def _side_by_side(make: partial[DistributionForecast], period: int) -> DistributionForecast:
    """Forecasts of one path with an item for each episode, as forecasts of one item on many paths."""
    forecast = make(period)
    items = np.arange(len(forecast.item_ids))
    return forecast.take(items, np.zeros_like(items))


def _check(regimes: Sequence[IndependentDemand], matrix: FloatArray) -> None:
    faults = Faults()
    if not regimes or not all(isinstance(regime, IndependentDemand) for regime in regimes):
        faults.add(f"regimes must be independent demand models such as Poisson(5.0), one or more, got {regimes!r}")
    elif len({regime.discrete for regime in regimes}) > 1:
        faults.add("regimes must be all discrete or all continuous; wrap continuous ones in Rounded")
    elif len({regime.items for regime in regimes} - {1}) > 1:
        faults.add(f"regimes must have the same items, got {[regime.items for regime in regimes]}")
    count = len(regimes)
    if matrix.shape != (count, count):
        faults.add(f"transition must have the shape {(count, count)}, a row and a column a regime, got {matrix.shape}")
    elif not ((matrix >= 0).all() and np.allclose(matrix.sum(1), 1.0, rtol=0, atol=1e-9)):
        faults.add(f"transition must hold probabilities, each row adding up to 1, got rows of {matrix.sum(1)}")
    elif np.linalg.matrix_rank(matrix - np.eye(count), tol=1e-10) < count - 1:
        faults.add("transition must lead to one set of regimes from wherever it starts, so that shares are defined")
    faults.raise_if_any()
