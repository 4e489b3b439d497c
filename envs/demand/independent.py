"""Demand that is independent over periods, whether or not its mean moves: draws, true forecasts, and sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.interpolation import sobol_uniforms
from ...randomness import draw_by_item, item_keys
from ..core.types import Scenario
from .distribution_forecast import DistributionForecast, Pick
from .inversion import draw_discrete
from .lattice import (
    CELLS_PER_DEVIATION,
    GridDistribution,
    LatticeDistribution,
    convolve,
    grid_cells,
    lattice_of,
    trim,
)
from .model import DemandModel, paths_first, take_root
from .probability import Distribution
from .sampling_tables import sample_together


@dataclass(frozen=True)
class IndependentDemand:
    """Demand that is independent over periods and items, of a known distribution.

    Parameters are scalars or arrays of shape (items,). Arrays of shape (..., items) describe many distributions at
    once, e.g. (periods, items) where the mean moves (`during`).
    """

    discrete: ClassVar[bool] = True
    """Whether demand is in whole units."""

    vectors: ClassVar[tuple[str, ...]] = ()
    """Parameters that have an axis of their own after the items."""

    def distribution(self, span: ArrayLike = 1) -> Any:
        """Return the distribution of demand summed over `span` periods, one per item: `lattice.Distribution`."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand of any shape that the parameters broadcast to, units, in the order of the array.

        Numbers further on in the array change nothing of those before. `sample` is faster for many draws.
        """
        return self.quantile(np.broadcast_to(rng.random(shape), shape))

    def scaled(self, factor: ArrayLike) -> Self:  # noqa: ARG002
        """Return the model whose mean is `factor` times as high; factors broadcast to (..., items)."""
        raise FractileError(
            f"the mean of {type(self).__name__} demand cannot move: its values are fixed; "
            "use CompoundPoisson, NegativeBinomial or another one with a mean"
        )

    def cumulative(self) -> Self | None:
        """Return the model of running sums over the first axis of the parameters (periods, paths, items).

        None where such sums leave the family; they are convolved then.
        """
        return None

    @property
    def items(self) -> int:
        """Number of items."""
        return int(np.broadcast_shapes((1,), *(array.shape[-1:] for _, array in self.arrays()))[-1])

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items); items are keyed by their positions."""
        root = take_root(rng)
        return paths_first(
            draw_discrete(self, root, paths, periods) if self.discrete else draw_each(self, root, paths, periods)
        )

    def draw_paths(self, rng: np.random.Generator, periods: int) -> FloatArray:
        """Draw one path of each item from one generator, units, shape (periods, items); the fastest way to draw many.

        More items or periods move the draws.
        """
        return sample_together(self, rng, periods) if self.discrete else self.draw(rng, (periods, self.items))

    def cdf(self, units: ArrayLike, span: int = 1) -> FloatArray:
        """Return P(demand over `span` periods <= units)."""
        return np.asarray(self.distribution(span).cdf(units))

    def pmf(self, units: ArrayLike, span: int = 1) -> FloatArray:
        """Return P(demand over `span` periods = units).

        Raises:
            FractileError: where demand is continuous.
        """
        if not self.discrete:
            raise FractileError(f"{type(self).__name__} demand is continuous and has no pmf; use cdf")
        return np.asarray(self.distribution(span).pmf(units))

    def quantile(self, level: ArrayLike, span: ArrayLike = 1) -> FloatArray:
        """Return the smallest demand over `span` periods that is exceeded with probability <= 1 − level."""
        return np.maximum(self.distribution(span).ppf(level), 0.0)

    def likelihood(self, units: ArrayLike) -> FloatArray:
        """Return the probability of one period's demand, or its density where demand is continuous."""
        one = self.distribution()
        return np.asarray(one.pmf(units) if self.discrete else one.pdf(units))

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""
        return self.map_parameters(lambda parameter: parameter[..., item], 1)

    def map_parameters(self, change: Callable[[FloatArray], FloatArray], axes: int) -> Self:
        """Return the model whose parameters were changed.

        Args:
            change: is given arrays of shape (..., items) with at least so many axes; it may move and pick along the
                last `axes` of them.
            axes: how many; parameters are broadcast to the items, axes before them get length one.
        """
        shape = (*[1] * (axes - 1), self.items)
        changed: dict[str, Any] = {}
        for name, value in ((f.name, getattr(self, f.name)) for f in fields(self)):
            if isinstance(value, IndependentDemand):
                changed[name] = value.map_parameters(change, axes)
                continue
            array = np.asarray(value, dtype=np.float64)
            own = array.shape[-1:] if name in self.vectors else ()
            array = np.moveaxis(array, -1, 0) if own else array
            # The axis of a vector goes first, where `change` leaves it alone.
            array = array.reshape(*own, *[1] * (len(shape) + len(own) - array.ndim), *array.shape[len(own) :])
            array = change(np.broadcast_to(array, np.broadcast_shapes(array.shape, shape)))
            changed[name] = np.moveaxis(array, 0, -1) if own else array
        return replace(self, **changed)

    def columns(self, shape: tuple[int, ...]) -> FloatArray:
        """Return all parameters side by side, broadcast to `shape` (..., items) and one more axis."""
        arrays = [array if vector else array[..., None] for vector, array in self.arrays(whole=True)]
        return np.concatenate([np.broadcast_to(a, (*shape, a.shape[-1])) for a in arrays], axis=-1)

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS, *, period: int = 0) -> DistributionForecast:
        """Return the true distribution as a forecast, made when `period` begins."""
        return DistributionForecast.of(IndependentOutlook(self, horizon), levels, period)

    def during(self, first: int, periods: int) -> IndependentDemand:  # noqa: ARG002  # others' means move
        """Return the model of `periods` periods from `first` on, parameters (periods or 1, items)."""
        return self

    def price_path(self, periods: int) -> FloatArray | None:  # noqa: ARG002
        """Return prices, money per unit, shape (periods, items), or None where they play no part."""
        return None

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand; the forecast in every period is the truth."""
        return draw_independent(self, rng, paths, periods, span)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedIndependent:
        """Make the true forecasts of all periods once for many episodes: see `PreparedDemand`."""
        return prepare_independent(self, periods, span)

    def invert(self, uniform: FloatArray) -> FloatArray:
        """Return one period's quantiles at many levels: discrete ones are looked up, not searched one by one.

        Args:
            uniform: in (0, 1), shape (..., items).
        """
        if not self.discrete:
            return self.quantile(uniform)
        shape = np.broadcast_shapes((1,), *(array.shape for _, array in self.arrays()))
        return lattice_of(self.distribution(), shape).ppf(uniform)

    def arrays(self, whole: bool = False) -> list[tuple[bool, FloatArray]]:
        """Return whether a parameter is a vector, and the parameter; a vector without its own axis, or whole."""
        found: list[tuple[bool, FloatArray]] = []
        for f in fields(self):
            value, vector = getattr(self, f.name), f.name in self.vectors
            if isinstance(value, IndependentDemand):
                found += value.arrays(whole)
            else:
                array = np.asarray(value, dtype=np.float64)
                found.append((vector, array[..., 0] if vector and not whole else array))
        return found


@dataclass(frozen=True, eq=False)
class IndependentOutlook:
    """Demand of the periods ahead is independent, each of a known distribution.

    Attributes:
        model: parameters of shape (items,) or (1, origins, items) where the distribution stays, (horizon, origins,
            items) where it moves.
        horizon: periods ahead.
        moving: whether it moves.
    """

    model: IndependentDemand
    horizon: int
    moving: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items."""
        _, origins, items = _shape(self.model)
        return self.horizon, origins, items

    @property
    def dependence(self) -> None:
        """Independent."""
        return

    def periods(self) -> Distribution:
        """Return the distribution of each period's demand."""
        return self.model.distribution()

    def total(self, span: IntArray) -> Distribution:
        """Return the distribution of sums: in closed form where there is one, else convolved."""
        if not self.moving:
            return self.model.distribution(span)
        if np.all(span == 1):
            return self.window(0, 1).periods()
        running = self.model.cumulative()
        if running is None:
            return convolve_moving(
                self.model, np.broadcast_to(span, (1, *np.broadcast_shapes(self.shape[1:], span.shape[1:])))
            )

        def at_span(parameter: FloatArray) -> FloatArray:
            # From running sums over the third axis from the end; a vector's own axis, in front, stays.
            over = _over(parameter, self.horizon)
            shape = np.broadcast_shapes(over.shape[-2:], span.shape[-2:])
            full = np.broadcast_to(over, (*over.shape[:-2], *shape))
            index = np.broadcast_to(span - 1, (*full.shape[:-3], 1, *shape))
            return np.take_along_axis(full, index, axis=-3)

        return running.map_parameters(at_span, 3).distribution()

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws, shape (number, horizon, origins, items)."""
        return self.model.quantile(sobol_uniforms(number, self.horizon)[:, :, None, None])

    def window(self, first: int, last: int) -> IndependentOutlook:
        """Return what is known of periods first ... last - 1 ahead."""
        if not self.moving:
            return IndependentOutlook(self.model, last - first)
        model = self.model.map_parameters(lambda parameter: _over(parameter, self.horizon)[..., first:last, :, :], 3)
        return IndependentOutlook(model, last - first, moving=True)

    def take(self, pick: Pick, origins: int) -> IndependentOutlook:
        """Return what is known of some origins and items."""

        def change(parameter: FloatArray) -> FloatArray:
            return pick(np.broadcast_to(parameter, (*parameter.shape[:-2], origins, parameter.shape[-1])))

        return IndependentOutlook(self.model.map_parameters(change, 3), self.horizon, self.moving)


def convolve_moving(model: IndependentDemand, span: IntArray) -> Distribution:
    """Return the distribution of sums over the first periods of demand whose distribution moves.

    Discrete demand is convolved exactly, continuous demand on a grid (`lattice.CELLS_PER_DEVIATION`).

    Args:
        model: parameters of shape (periods, origins, items).
        span: periods to sum, integers of shape (1, origins, items).
    """
    horizon = int(span.max())
    columns = np.moveaxis(model.columns((_shape(model)[0], *span.shape[1:]))[:horizon], 0, -2)
    pairs = np.concatenate([columns.reshape(span.size, -1), span.reshape(-1, 1)], axis=1)
    # Origins and items of equal parameters share a row.
    _, first, row = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    sums = [_one_sum(model, divmod(int(k), span.shape[2]), int(span.flat[k])) for k in first]
    lattice = LatticeDistribution.of([total for total, _ in sums], row.reshape(span.shape))
    return lattice if model.discrete else GridDistribution(lattice, np.array([step for _, step in sums]))


def _one_sum(model: IndependentDemand, place: tuple[int, int], span: int) -> tuple[FloatArray, float]:
    """Probabilities of the sum of one origin and item, and the step between its values."""
    origin, item = place

    def change(parameter: FloatArray) -> FloatArray:
        at = min(origin, parameter.shape[-2] - 1)
        return parameter[..., :span, at : at + 1, item : item + 1]

    one: Any = model.map_parameters(change, 3).distribution()
    shape = (span, 1, 1)
    if model.discrete:
        lattice = lattice_of(one, shape)
        cells, step = lattice.rows[lattice.row.reshape(-1)], 1.0
    else:
        variance = np.broadcast_to(one.var(), shape)
        step = float(np.sqrt(variance.sum())) / CELLS_PER_DEVIATION
        cells = grid_cells(one, step, shape)
    total = np.ones(1)
    for period in cells:
        total = convolve(total, trim(period))
    return total, step


def _over(parameter: FloatArray, horizon: int) -> FloatArray:
    """Give each period ahead its parameter, the same one where it stays."""
    return np.broadcast_to(parameter, (*parameter.shape[:-3], horizon, *parameter.shape[-2:]))


def _shape(model: IndependentDemand) -> tuple[int, int, int]:
    """Of the parameters, (periods or 1, origins or 1, items)."""
    periods, origins, items = np.broadcast_shapes((1, 1, 1), *(array.shape for _, array in model.arrays()))
    return periods, origins, items


class IndependentModel(DemandModel, Protocol):
    """Demand that is independent over periods; its distribution may move."""

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""

    def during(self, first: int, periods: int) -> IndependentDemand:
        """Return the model of `periods` periods from `first` on, parameters (periods or 1, items)."""

    def forecast(self, horizon: int, levels: ArrayLike = DEFAULT_LEVELS, *, period: int = 0) -> DistributionForecast:
        """Return the true distribution as a forecast, made when `period` begins."""

    def price_path(self, periods: int) -> FloatArray | None:
        """Return prices, money per unit, shape (periods, items), or None where they play no part."""

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""

    def draw_paths(self, rng: np.random.Generator, periods: int) -> FloatArray:
        """Draw one path of each item from one generator, units, shape (periods, items)."""


def draw_each(model: IndependentDemand, root: int, paths: int, periods: int) -> FloatArray:
    """Draw each item by itself, by numpy: see `randomness.draw_by_item`.

    Args:
        model: parameters of shape (items,) or (periods, items).
        root: what the keys of all items begin with.
        paths: number of paths.
        periods: number of periods.

    Returns:
        units, shape (items, periods, paths).
    """
    alone = [model] if model.items == 1 else [model.select(np.array([i])) for i in range(model.items)]
    return draw_by_item(
        root, item_keys(model.items), paths, periods, lambda rng, i, number: alone[i].draw(rng, (periods, number))
    )


def draw_independent(
    model: IndependentModel, rng: np.random.Generator, paths: int, periods: int, span: int
) -> Scenario:
    """Draw demand that is independent over periods; the forecast in every period is the truth."""
    demand = model.sample(rng, paths, periods)
    prices = model.price_path(periods)
    return Scenario(
        demand, prepare_independent(model, periods, span).forecasts, prices=None if prices is None else prices[None]
    )


@dataclass(frozen=True, eq=False)
class PreparedIndependent:
    """An independent model with its true forecasts of so many periods: see `PreparedDemand`.

    Attributes:
        model: what is drawn from.
        periods: length of the paths.
        different: the forecasts that differ from each other, of all items.
        which: which of them is valid in each period, shape (periods,).
    """

    model: IndependentModel
    periods: int
    different: tuple[DistributionForecast, ...]
    which: tuple[int, ...]

    @property
    def forecasts(self) -> list[DistributionForecast]:
        """The true forecasts, one a period; periods that say the same share one object."""
        return [self.different[k] for k in self.which]

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        model, nowhere = self.model, np.zeros(len(item), dtype=np.int64)
        demand = model.select(item).draw_paths(rng, self.periods).T[:, :, None]
        taken = [forecast.take(item, nowhere) for forecast in self.different]
        prices = model.price_path(self.periods)
        if prices is not None:
            prices = np.broadcast_to(prices, (self.periods, model.items))[:, item].T[:, :, None]
        return Scenario(demand, [taken[k] for k in self.which], prices=prices)


def prepare_independent(model: IndependentModel, periods: int, span: int) -> PreparedIndependent:
    """Make the true forecasts of all periods, those that say the same once."""
    if model.during(0, 1) is model:
        return PreparedIndependent(model, periods, (model.forecast(span),), (0,) * periods)
    position: dict[bytes, int] = {}
    different: list[DistributionForecast] = []
    which: list[int] = []
    for period in range(periods):
        ahead = model.during(period, span)
        key = ahead.columns((span, ahead.items)).tobytes()
        if key not in position:
            position[key] = len(different)
            different.append(model.forecast(span, period=period))
        which.append(position[key])
    return PreparedIndependent(model, periods, tuple(different), tuple(which))
