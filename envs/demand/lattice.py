"""Distributions on a lattice, and their sums: what demand is where no closed form exists.

Discrete demand lies on 0, 1, 2, ... and its sums are exact. Continuous demand is put on a fine grid first, each cell
with the exact probability that demand falls into it; between the cells' ends the distribution function is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from .probability import ROUNDING

NEGLIGIBLE = 1e-19
"""Probability that the last value kept is exceeded."""

CELLS_PER_DEVIATION = 256
"""Cells of a grid per standard deviation of the sum it is made for."""

LONGEST = 2**22
"""Values that one distribution may hold."""


@dataclass(frozen=True, eq=False)
class LatticeDistribution:
    """Distributions on 0, 1, 2, ...

    Attributes:
        rows: probabilities of 0, 1, ..., one distribution a row, shape (rows, values).
        row: which row holds, integers of shape (..., items).
        below: P(demand <= 0, 1, ...) of each row, which follows from `rows`.
    """

    rows: FloatArray
    row: IntArray
    below: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "below", np.minimum(np.cumsum(self.rows, axis=-1), 1.0))

    @classmethod
    def of(cls, probabilities: Sequence[FloatArray], row: IntArray) -> LatticeDistribution:
        """Return distributions from vectors of any length."""
        rows = np.zeros((len(probabilities), max(map(len, probabilities))))
        for k, vector in enumerate(probabilities):
            rows[k, : len(vector)] = vector
        return cls(rows, row)

    def pmf(self, units: ArrayLike) -> FloatArray:
        """P(demand = units)."""
        units = np.asarray(units, dtype=np.float64)
        inside = (units == np.floor(units)) & (units >= 0) & (units < self.rows.shape[1])
        return np.where(inside, self._at(self.rows, units), 0.0)

    def cdf(self, units: ArrayLike) -> FloatArray:
        """P(demand <= units)."""
        units = np.asarray(units, dtype=np.float64)
        return np.where(units < 0, 0.0, self._at(self.below, units))

    def sf(self, units: ArrayLike) -> FloatArray:
        """P(demand > units), precise in the upper tail."""
        units = np.asarray(units, dtype=np.float64)
        above = np.cumsum(self.rows[:, ::-1], axis=-1)[:, ::-1]
        above = np.concatenate([above[:, 1:], np.zeros((len(above), 1))], axis=-1)
        return np.where(units < 0, 1.0, self._at(above, units))

    def ppf(self, level: ArrayLike) -> FloatArray:
        """The smallest demand that is exceeded with probability <= 1 − level."""
        level = np.asarray(level, dtype=np.float64) - ROUNDING
        row, level = np.broadcast_arrays(self.row, level)
        low, high = np.zeros(row.shape, dtype=np.int64), np.full(row.shape, self.rows.shape[1] - 1)
        for _ in range(int(self.rows.shape[1] - 1).bit_length()):
            middle = (low + high) // 2
            met = self.below[row, middle] >= level
            low, high = np.where(met, low, np.minimum(middle + 1, high)), np.where(met, middle, high)
        return low.astype(np.float64)

    def mean(self) -> FloatArray:
        """Expected demand, units."""
        return (self.rows @ np.arange(self.rows.shape[1]))[self.row]

    def var(self) -> FloatArray:
        """Variance of demand, units squared."""
        units = np.arange(self.rows.shape[1])
        gap = units - (self.rows @ units)[:, None]
        return np.einsum("rk,rk->r", self.rows, gap * gap)[self.row]

    def std(self) -> FloatArray:
        """Standard deviation of demand, units."""
        return np.sqrt(self.var())

    def _at(self, table: FloatArray, units: FloatArray) -> FloatArray:
        return table[self.row, np.clip(np.floor(units), 0, table.shape[1] - 1).astype(np.int64)]


@dataclass(frozen=True, eq=False)
class GridDistribution:
    """Continuous distributions on a fine grid.

    Attributes:
        lattice: cell k holds the probability of ((k − ½)·step, (k + ½)·step]; what cell 0 holds lies at zero.
        step: width of a cell of each row, units, shape (rows,).
    """

    lattice: LatticeDistribution
    step: FloatArray

    @property
    def _step(self) -> FloatArray:
        return self.step[self.lattice.row]

    def cdf(self, units: ArrayLike) -> FloatArray:
        """P(demand <= units)."""
        units = np.asarray(units, dtype=np.float64)
        position = units / self._step + 0.5
        cell = np.floor(position)
        share = np.where(cell < 1, 1.0, position - cell)
        inside = self.lattice.cdf(cell - 1) + share * self.lattice.pmf(cell)
        return np.where(units < 0, 0.0, inside)

    def sf(self, units: ArrayLike) -> FloatArray:
        """P(demand > units)."""
        return 1.0 - self.cdf(units)

    def ppf(self, level: ArrayLike) -> FloatArray:
        """The smallest demand that is exceeded with probability <= 1 − level."""
        cell = self.lattice.ppf(level)
        mass = self.lattice.pmf(cell)
        share = (np.asarray(level) - self.lattice.cdf(cell - 1)) / np.where(mass > 0, mass, 1.0)
        return np.where(cell < 1, 0.0, (cell - 0.5 + np.clip(share, 0.0, 1.0)) * self._step)

    def mean(self) -> FloatArray:
        """Expected demand, units."""
        return self.lattice.mean() * self._step

    def var(self) -> FloatArray:
        """Variance of demand, units squared."""
        return self.lattice.var() * self._step**2

    def std(self) -> FloatArray:
        """Standard deviation of demand, units."""
        return np.sqrt(self.var())


def lattice_of(distribution: Any, shape: tuple[int, ...]) -> LatticeDistribution:
    """Return discrete distributions on their lattice, a row each.

    Args:
        distribution: discrete, its parameters broadcast to `shape`.
        shape: (..., items).
    """
    if isinstance(distribution, LatticeDistribution):
        return LatticeDistribution(distribution.rows, np.broadcast_to(distribution.row, shape))
    units = np.arange(_needed(distribution, 1.0)).reshape(-1, *[1] * len(shape))
    mass = np.broadcast_to(distribution.pmf(units), (len(units), *shape))
    row = np.arange(int(np.prod(shape))).reshape(shape)
    return LatticeDistribution(np.ascontiguousarray(mass.reshape(len(units), -1).T), row)


def grid_cells(distribution: Any, step: float, shape: tuple[int, ...]) -> FloatArray:
    """Return the probabilities of the cells of a grid, shape (rows, cells): see `GridDistribution`."""
    ends = ((np.arange(_needed(distribution, step)) + 0.5) * step).reshape(-1, *[1] * len(shape))
    below, above = (np.broadcast_to(f(ends), (len(ends), *shape)) for f in (distribution.cdf, distribution.sf))
    # Differences are taken at the nearer end of (0, 1), where floats are finest.
    upward = np.diff(below, axis=0, prepend=0.0)
    cells = np.where(below < 0.5, upward, -np.diff(above, axis=0, prepend=1.0))
    return np.ascontiguousarray(cells.reshape(len(ends), -1).T)


def convolve(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the probabilities of a sum, without the negligible end; long vectors by fast Fourier transform."""
    if min(len(one), len(other)) > 512:
        from scipy.signal import fftconvolve  # slow to import

        return trim(np.maximum(fftconvolve(one, other), 0.0))
    return trim(np.convolve(one, other))


def power(one: FloatArray, number: int) -> FloatArray:
    """Return the probabilities of the sum of `number` independent draws."""
    result, square = np.ones(1), one
    while number:
        if number & 1:
            result = convolve(result, square)
        number >>= 1
        if number:
            square = convolve(square, square)
    return result


def sum_over(lattice: LatticeDistribution, span: ArrayLike) -> LatticeDistribution:
    """Return the distributions of sums of `span` independent draws; spans broadcast to (..., items)."""
    row, number = np.broadcast_arrays(lattice.row, np.asarray(span, dtype=np.int64))
    pairs, index = np.unique(np.stack([row.reshape(-1), number.reshape(-1)]), axis=1, return_inverse=True)
    rows = [power(trim(lattice.rows[k]), int(n)) for k, n in pairs.T]
    return LatticeDistribution.of(rows, index.reshape(row.shape))


def trim(probabilities: FloatArray) -> FloatArray:
    """Return probabilities without the end that holds less than `NEGLIGIBLE`."""
    beyond = np.cumsum(probabilities[::-1])[::-1]
    return probabilities[: max(1, int(np.count_nonzero(beyond > NEGLIGIBLE)))]


def _needed(distribution: Any, step: float) -> int:
    """How many values, a step apart, leave no more than a negligible tail in any of the distributions."""
    number = 64
    while np.max(distribution.sf((number - 1) * step)) > NEGLIGIBLE:
        number *= 2
        if number > LONGEST:
            raise FractileError(
                f"demand takes more than {LONGEST:,} values, too many to sum them up; count it in larger units"
            )
    return number
