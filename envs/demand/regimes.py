"""Demand whose distribution follows a chain of regimes, seen or unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import Faults
from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.interpolation import sobol_uniforms
from ...randomness import draw_by_item, item_keys, keyed_generator
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast, ForecastsOnPaths, Pick, side_by_side
from .independent import IndependentDemand
from .lattice import GridDistribution, LatticeDistribution, convolve, grid_cells, lattice_of, trim
from .model import paths_first, take_root
from .probability import Distribution, Mixture

CELLS = 64
"""Cells of a grid per standard deviation of the regime with the least one."""


@dataclass(frozen=True, eq=False)
class MarkovModulated:
    """Demand whose distribution follows a Markov chain of regimes (Song and Zipkin 1993).

    The chain starts in its stationary state. Where regimes are seen, the forecast in period t is that given the
    regime of period t, not yet its demand. Where they are hidden, it is that given the demand so far alone: the
    belief about the regime follows from Bayes' rule, period by period, and the forecast is the mixture of the regimes
    with that belief.

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
        """Draw demand and regimes, both of shape (paths, periods, items); regimes are counted from 0.

        Items are keyed by their positions, the shared chain by its name.
        """
        root = take_root(rng)
        keys = ["shared chain"] if self.shared else [f"{key}, chain" for key in item_keys(self.items)]
        uniform = draw_by_item(root, keys, paths, periods, lambda one, _, number: one.random((periods, number)))
        generators = [keyed_generator(root, "regime", r) for r in range(len(self.regimes))]
        demand = (model.sample(one, paths, periods) for model, one in zip(self.regimes, generators, strict=True))
        return self._follow(paths_first(uniform), demand)

    def draw_paths(self, rng: np.random.Generator, periods: int) -> tuple[FloatArray, FloatArray]:
        """Draw one path of each item, demand and regimes (1, periods, items): see `IndependentDemand.draw_paths`."""
        uniform = rng.random((periods, 1, 1 if self.shared else self.items)).swapaxes(0, 1)
        return self._follow(uniform, (model.draw_paths(rng, periods)[None] for model in self.regimes))

    def _follow(self, uniform: FloatArray, demands: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Follow the chain of each item, and take the demand of the regimes it comes to.

        Args:
            uniform: in [0, 1), shape (paths, periods, items or 1).
            demands: of each regime, shape (paths, periods, items).
        """
        chain = np.cumsum(np.asarray(self.transition), axis=1)[:, :-1]
        now = (uniform[:, 0, :, None] >= np.cumsum(self.stationary)[:-1]).sum(-1)
        regime = [now]
        for u in np.moveaxis(uniform, 1, 0)[1:]:
            regime.append((u[..., None] >= chain[regime[-1]]).sum(-1))
        paths, periods, _ = uniform.shape
        # Periods first in memory, as demand is.
        visited = np.broadcast_to(np.stack(regime).swapaxes(0, 1), (paths, periods, self.items))
        demand = np.empty((periods, paths, self.items)).swapaxes(0, 1)
        for r, drawn in enumerate(demands):
            np.copyto(demand, drawn, where=visited == r)
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
            # Demand that no regime explains leaves the belief as it was.
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
        return self.prepare(1, span).outlook(regime, beliefs)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is its distribution, given the regime or the path so far."""
        demand, regime = self.draw(rng, paths, periods)
        return Scenario(demand, self.prepare(periods, span).forecasts_on(demand, regime))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each, in regimes of their own: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedRegimes:
        """Convolve the sums along the chain once for many episodes: see `PreparedDemand`."""
        tables, row = RegimeTables.of(self.regimes, np.asarray(self.transition), span)
        return PreparedRegimes(self, tables, row, periods, span)


@dataclass(frozen=True, eq=False)
class PreparedRegimes:
    """Demand in regimes with the tables that its forecasts are read from: see `PreparedDemand`.

    Attributes:
        model: what is drawn from.
        tables: what demand is like in each regime.
        row: the row of each of the model's items in the tables, shape (items,).
        periods: length of the paths.
        span: periods ahead that each forecast reaches.
    """

    model: MarkovModulated
    tables: RegimeTables
    row: IntArray
    periods: int
    span: int

    @property
    def forecasts(self) -> None:
        """Forecasts depend on the path."""
        return

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each, in regimes of their own."""
        alone = replace(self, model=replace(self.model.select(item), shared=False), row=self.row[item])
        demand, regime = alone.model.draw_paths(rng, self.periods)
        make = partial(side_by_side, alone.forecasts_on(demand, regime))
        return Scenario(demand[0].T[:, :, None], ForecastsOnPaths(make, range(self.periods)))

    def forecasts_on(self, demand: FloatArray, regime: FloatArray) -> ForecastsOnPaths:
        """Return the forecasts along paths of demand and regimes (paths, periods, items), each made when it is read."""
        known = self.model.beliefs(demand) if self.model.hidden else regime.astype(np.int8)
        return ForecastsOnPaths(partial(self._forecast, known), range(self.periods))

    def _forecast(self, known: Any, period: int) -> DistributionForecast:
        """Return the forecast of a period, from beliefs of all periods or from regimes (paths, periods, items)."""
        if self.model.hidden:
            outlook = self.outlook(None, known[:, period])
        else:
            outlook = self.outlook(known[:, period].astype(np.int64), None)
        return DistributionForecast.of(outlook, DEFAULT_LEVELS, period)

    def outlook(self, regime: IntArray | None, beliefs: FloatArray | None) -> RegimeOutlook:
        """Return what is known, given the first period's regime or beliefs about it: see `MarkovModulated.outlook`."""
        if beliefs is None:
            beliefs = np.eye(len(self.model.regimes))[:, :, None]
        return RegimeOutlook(self.tables, self.row[None], beliefs, regime, self.span)


@dataclass(frozen=True, eq=False)
class RegimeOutlook:
    """Demand of the periods ahead is that of a regime each; what is known is a belief about the first one's.

    Quantiles are those of mixtures, exactly. Sums are convolved along the chain, backwards: from regime r,
    `S_n(r) = F_r * Σ_j P_rj S_{n−1}(j)`; exact for discrete demand, on a grid for continuous demand.

    Attributes:
        tables: what demand is like in each regime.
        row: which row of the tables holds, integers of shape (origins or 1, items or 1).
        beliefs: probabilities of the first period's regime, shape (regimes, beliefs, items or 1).
        belief: which of the beliefs each origin holds, integers of shape (origins, items); None = each its own.
        horizon: periods ahead.
    """

    tables: RegimeTables
    row: IntArray
    beliefs: FloatArray
    belief: IntArray | None
    horizon: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items."""
        known: tuple[int, ...] = self.beliefs.shape if self.belief is None else self.belief.shape
        return self.horizon, known[-2], max(known[-1], self.row.shape[1])

    @property
    def dependence(self) -> None:
        """No Gaussian copula: draws take the periods as independent, `draws` and sums do not."""
        return

    def periods(self) -> Mixture:
        """Return the distribution of each period's demand."""
        ahead = [self.beliefs]
        for _ in range(self.horizon - 1):
            ahead.append(self._passed(ahead[-1]))
        return self._mixture(self.tables.periods(self.row), np.stack(ahead, axis=1), len(self.row))

    def total(self, span: IntArray) -> Mixture:
        """Return the distribution of sums, a component for each regime of the first period."""
        if np.all(span == 1):
            return self.window(0, 1).periods()  # exactly, where sums of continuous demand lie on a grid
        shape = np.broadcast_shapes(self.row.shape, span.shape[1:])
        components = self.tables.total(np.broadcast_to(self.row, shape), np.broadcast_to(span[0], shape))
        return self._mixture(components, self.beliefs[:, None], shape[0])

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws of regimes and demand, shape (number, horizon, origins, items)."""
        uniform = sobol_uniforms(number, 2 * self.horizon)[:, :, None, None]
        values = [np.maximum(one.ppf(uniform[:, : self.horizon]), 0.0) for one in self.tables.periods(self.row)]
        chain = np.cumsum(self.tables.transition, axis=1)[:, :-1]
        begin = np.cumsum(self._whole(self.beliefs[:, None])[:, 0], axis=0)[:-1]
        now = (uniform[:, self.horizon, None] >= begin).sum(1)
        if self.belief is not None:
            now = np.take_along_axis(now, np.broadcast_to(self.belief, (number, *self.belief.shape)), axis=1)
        drawn = []
        for h in range(self.horizon):
            if h:
                now = (uniform[:, self.horizon + h, :, :, None] >= chain[now]).sum(-1)
            drawn.append(np.select([now == r for r in range(len(values))], [value[:, h] for value in values]))
        return np.stack(drawn, axis=1)

    def window(self, first: int, last: int) -> RegimeOutlook:
        """Return what is known of periods first ... last - 1 ahead."""
        beliefs = self.beliefs
        for _ in range(first):
            beliefs = self._passed(beliefs)
        return replace(self, beliefs=beliefs, horizon=last - first)

    def take(self, pick: Pick, origins: int) -> RegimeOutlook:
        """Return what is known of some origins and items."""
        items = self.shape[2]

        def change(array: Any) -> Any:
            return pick(np.broadcast_to(array, (*array.shape[:-2], origins, items)))

        row = change(self.row)
        # Rows that all origins share are mixed once for all of them.
        row = row[:1] if (row == row[:1]).all() else row
        if self.belief is None:
            return replace(self, row=row, beliefs=change(self.beliefs))
        if self.beliefs.shape[2] == 1:
            return replace(self, row=row, belief=change(self.belief))
        whole = np.take_along_axis(self.beliefs, self.belief[None], axis=1)
        return replace(self, row=row, beliefs=change(whole), belief=None)

    def _mixture(self, components: Sequence[Distribution], beliefs: FloatArray, origins: int) -> Mixture:
        """Mix components, which belong to so many origins, or to all where that is 1."""
        weights, belief = self._whole(beliefs), self.belief
        if belief is not None and origins > 1:
            index = np.broadcast_to(belief, (*weights.shape[:2], *belief.shape))
            weights, belief = np.take_along_axis(weights, index, axis=-2), None
        return Mixture(components, list(weights), belief, self.tables.discrete)

    def _passed(self, beliefs: FloatArray) -> FloatArray:
        """Beliefs about the period after."""
        return np.einsum("roi,rs->soi", beliefs, self.tables.transition)

    def _whole(self, beliefs: FloatArray) -> FloatArray:
        """Beliefs with an axis for all items."""
        return np.broadcast_to(beliefs, (*beliefs.shape[:-1], self.shape[2]))


@dataclass(frozen=True, eq=False)
class RegimeTables:
    """What demand is like in each regime, and its sums along the chain; items of equal parameters share a row.

    Quantiles of periods are exact. Sums are convolved along the chain, backwards: from regime r,
    `S_n(r) = F_r * Σ_j P_rj S_{n−1}(j)`; exact for discrete demand, on a grid for continuous demand. They are computed
    once, for all forecasts of a scenario.

    Attributes:
        regimes: independent demand of each regime, an item a row.
        transition: probabilities from regime to regime, shape (regimes, regimes). [P]
        lattices: one period's distribution in each regime where demand is discrete.
        sums: probabilities of the sum over 1, 2, ... periods from each first regime: `sums[row][span − 1][regime]`.
        steps: distance between the values of each row's sums, units.
    """

    regimes: Sequence[IndependentDemand]
    transition: FloatArray
    lattices: Sequence[LatticeDistribution]
    sums: Sequence[Sequence[Sequence[FloatArray]]]
    steps: FloatArray

    @classmethod
    def of(
        cls, regimes: Sequence[IndependentDemand], transition: FloatArray, longest: int
    ) -> tuple[RegimeTables, IntArray]:
        """Return the tables of sums over up to `longest` periods, and the row of each item, shape (items,)."""
        items = max(regime.items for regime in regimes)
        columns = np.concatenate([regime.columns((items,)) for regime in regimes], axis=-1)
        _, first, row = np.unique(columns, axis=0, return_index=True, return_inverse=True)
        alone = [regime.select(first) for regime in regimes]
        discrete = regimes[0].discrete
        lattices = [lattice_of(one.distribution(), (len(first),)) for one in alone] if discrete else []
        sums, steps = [], []
        for k in range(len(first)):
            ones = [one.select(np.array([k])).distribution() for one in alone]
            found, step = _chained(ones, transition, longest, discrete)
            sums.append(found)
            steps.append(step)
        return cls(alone, transition, lattices, sums, np.array(steps)), row.reshape(-1)

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""
        return self.regimes[0].discrete

    def periods(self, row: IntArray) -> Sequence[Distribution]:
        """Return one period's distribution in each regime, shape (1, *row.shape)."""
        if self.discrete:
            return [LatticeDistribution(one.rows, one.row[row][None]) for one in self.lattices]
        return [regime.select(row[None]).distribution() for regime in self.regimes]

    def total(self, row: IntArray, span: IntArray) -> Sequence[Distribution]:
        """Return the distribution of sums from each first regime; row and span of one shape (origins, items)."""
        pairs, index = np.unique(np.stack([row.reshape(-1), span.reshape(-1)]), axis=1, return_inverse=True)
        found, index = [self.sums[k][n - 1] for k, n in pairs.T], index.reshape(1, *row.shape)
        lattices = [LatticeDistribution.of([sums[r] for sums in found], index) for r in range(len(self.regimes))]
        if self.discrete:
            return lattices
        return [GridDistribution(lattice, self.steps[pairs[0]]) for lattice in lattices]


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


def _chained(
    ones: list[Any], transition: FloatArray, longest: int, discrete: bool
) -> tuple[list[list[FloatArray]], float]:
    """Convolve one item's demand along the chain: for 1 ... longest periods, and the step between their values."""
    shape = (1, 1, 1)
    step = 1.0 if discrete else float(min(np.min(one.std()) for one in ones)) / CELLS
    rows = [lattice_of(one, shape).rows if discrete else grid_cells(one, step, shape) for one in ones]
    single = [trim(row[0]) for row in rows]
    sums = [single]
    for _ in range(longest - 1):
        later = np.zeros((len(single), max(map(len, sums[-1]))))
        for r, total in enumerate(sums[-1]):
            later[r, : len(total)] = total
        sums.append([convolve(one, mixed) for one, mixed in zip(single, transition @ later, strict=True)])
    return sums, step
