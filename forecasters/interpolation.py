"""The arithmetic of quantile functions: interpolation with tails, means, quasi-random points, sample quantiles."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import qmc

from ..arrays import FloatArray, IntArray

SOBOL_BUNDLE = 64
"""Dimensions that quasi-random points are drawn in at once: horizons up to it share their points."""
AT_ONCE = 32_768
"""Draws that are read at once, so that they stay in the processor's cache."""
FEW_LEVELS = 32
"""Levels up to which comparing with each of them finds a draw's place faster than a search."""
CROSSING = 1e-9
"""How far a quantile may lie below that of a lower level, as a share of it (of one unit where it is less than one):
what rounding does to forecasts that were sorted. Anything beyond is a fault of the forecaster."""


def interpolation_weights(levels: FloatArray, level: ArrayLike) -> FloatArray:
    """Return weights w with `q(level) = Σ_k w_k q_k`, shape (..., Q): the tail rules of `QuantileForecast`."""
    level = np.asarray(level, dtype=np.float64)
    below, share, tail = segments(levels, level)
    share = np.where(tail, share + 1.0, share)
    weights = np.zeros((*level.shape, len(levels)))
    np.put_along_axis(weights, below[..., None], (1.0 - share)[..., None], -1)
    np.put_along_axis(weights, below[..., None] + 1, share[..., None], -1)
    return weights


def segments(levels: FloatArray, level: FloatArray) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """The segment each level lies in, how far along it, and whether it lies in the exponential upper tail."""
    below = np.clip(np.searchsorted(levels, level, side="right") - 1, 0, len(levels) - 2)
    tail = level > levels[-1]
    linear = (level - levels[below]) / (levels[below + 1] - levels[below])
    scale = np.log((1 - levels[-2]) / (1 - levels[-1]))
    exponential = np.log((1 - levels[-1]) / np.where(tail, 1 - level, 1.0)) / scale
    return below, np.where(tail, exponential, linear), tail


def quantiles_of(levels: FloatArray, values: FloatArray, uniform: FloatArray) -> FloatArray:
    """Return demand at a level for each cell, by the interpolation and tail rules of `QuantileForecast`.

    Args:
        levels: shape (Q,). [τ]
        values: quantiles, units; shape (..., Q) that broadcasts to the shape of `uniform` and (Q,).
        uniform: levels to read, in (0, 1), any shape.

    Returns:
        units, the shape of `uniform`.
    """
    while values.ndim > 1 and values.shape[0] == 1 and uniform.ndim >= values.ndim:
        values = values[0]
    lead = uniform.ndim + 1 - values.ndim
    # The first axes of `uniform` are draws that share their quantiles; all others are cells with their own.
    cells = np.ascontiguousarray(np.broadcast_to(values, (*uniform.shape[lead:], len(levels)))).reshape(-1, len(levels))
    drawn = uniform.reshape(math.prod(uniform.shape[:lead]), len(cells))
    out = np.empty(drawn.shape)
    size = max(1, AT_ONCE // max(1, len(drawn)))
    for first in range(0, len(cells), size):
        part = slice(first, first + size)
        out[:, part] = draws_of(levels, cells[part], drawn[:, part].T).T
    return out.reshape(uniform.shape)


def draws_of(levels: FloatArray, values: FloatArray, uniform: FloatArray) -> FloatArray:
    """Return draws of demand by inverse transform: `quantiles_of` with the draws of a cell along the last axis.

    Args:
        levels: shape (Q,). [τ]
        values: quantiles of each cell, units, shape (..., Q).
        uniform: levels to read, in (0, 1), shape (..., draws).

    Returns:
        units, shape (..., draws).
    """
    values, cells = np.ascontiguousarray(values), values[..., 0].size
    below = np.zeros(uniform.shape, dtype=np.int64)
    if len(levels) <= FEW_LEVELS:
        count = np.zeros(uniform.shape, dtype=np.int8)
        for level in levels[1:-1]:
            count += uniform >= level
        below += count
    else:
        below += np.clip(np.searchsorted(levels, uniform, side="right") - 1, 0, len(levels) - 2)
    share = uniform - levels.take(below)
    share /= np.diff(levels).take(below)
    tail = uniform > levels[-1]
    if tail.any():
        scale = np.log((1 - levels[-2]) / (1 - levels[-1]))
        share[tail] = np.log((1 - levels[-1]) / (1 - uniform[tail])) / scale + 1.0
    rise = np.diff(values, axis=-1, append=0.0)  # the last one is never read
    below += np.arange(0, cells * len(levels), len(levels)).reshape(*values.shape[:-1], 1)
    drawn = rise.take(below)
    drawn *= share
    drawn += values.take(below)
    return np.maximum(drawn, 0.0, out=drawn)


def cdf_at(levels: FloatArray, values: FloatArray, demand: FloatArray, *, from_left: bool = False) -> FloatArray:
    """Return P(D ≤ d) under the interpolation and tail rules of `QuantileForecast`.

    Args:
        levels: shape (Q,). [τ]
        values: quantiles, units, shape (..., Q).
        demand: units, shape (...). [d]
        from_left: P(D < d) instead.

    Returns:
        in [0, 1], the shape of `demand`.
    """
    point = demand[..., None]
    reached = (values < point) if from_left else (values <= point)
    below = np.clip(reached.sum(-1) - 1, 0, len(levels) - 2)
    q0 = np.take_along_axis(values, below[..., None], -1)[..., 0]
    q1 = np.take_along_axis(values, below[..., None] + 1, -1)[..., 0]
    step = q1 - q0
    along = (demand - q0) / np.where(step > 0, step, 1.0)
    along = np.where(step > 0, along, np.where(reached[..., 0], np.inf, -np.inf))
    linear = levels[below] + np.clip(along, -1e6, 1.0) * (levels[below + 1] - levels[below])
    rate = np.log((1 - levels[-2]) / (1 - levels[-1]))
    tail = 1.0 - (1.0 - levels[-1]) * np.exp(-np.clip((along - 1.0) * rate, 0.0, 700.0))
    beyond = reached[..., -1] & (along > 1.0)
    return np.asarray(np.clip(np.where(beyond, tail, linear), 0.0, 1.0))


@lru_cache(maxsize=256)
def level_weights(levels: tuple[float, ...], level: float) -> FloatArray:
    """Return `interpolation_weights` of one level, shape (Q,): simulations read the same one in every period."""
    weights = interpolation_weights(np.asarray(levels), level)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=64)
def mean_weights(levels: tuple[float, ...]) -> FloatArray:
    """Return weights w with `mean = Σ_k w_k q_k`: `interpolation_weights` averaged over all levels."""
    grid = (np.arange(2048) + 0.5) / 2048
    return interpolation_weights(np.asarray(levels), grid).mean(0)


@lru_cache(maxsize=64)
def sobol_uniforms(number: int, horizon: int) -> FloatArray:
    """Return scrambled Sobol points in (0, 1), shape (number, horizon), the same at every call."""
    # The points of one dimension depend on how many there are in all: dimensions come in bundles, so that a sum
    # over three periods is the same whether or not another item asks for four.
    dimensions = -(-horizon // SOBOL_BUNDLE) * SOBOL_BUNDLE
    points = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(0)).random(number)
    return np.clip(points[:, :horizon], 1e-9, 1 - 1e-9)


def sorted_quantiles(ordered: FloatArray, levels: FloatArray) -> FloatArray:
    """Return quantiles of draws sorted along axis 0 (midpoint rule), any other axes before them, the levels last."""
    return OrderStatistics.of(levels, len(ordered)).read(np.moveaxis(ordered, 0, -1))


class OrderStatistics(NamedTuple):
    """Which of some sorted draws give quantiles at levels by the midpoint rule.

    Attributes:
        places: of the draws below each level, then of those above, shape (2 · Q,).
        share: how far on from the one to the other, shape (Q,).
    """

    places: IntArray
    share: FloatArray

    @classmethod
    def of(cls, levels: FloatArray, draws: int) -> OrderStatistics:
        """Find the places of levels among so many draws."""
        position = np.clip(levels * draws - 0.5, 0, draws - 1)
        low = np.floor(position).astype(np.int64)
        return cls(np.concatenate([low, np.minimum(low + 1, draws - 1)]), position - low)

    def read(self, ordered: FloatArray) -> FloatArray:
        """Return the quantiles of draws sorted along the last axis, shape (..., draws) → (..., Q)."""
        found = ordered[..., self.places]
        number = len(self.share)
        return np.asarray(found[..., :number] * (1 - self.share) + found[..., number:] * self.share)


def lift_crossings(values: FloatArray) -> FloatArray:
    """Lift every quantile to the highest one of a lower level, in place, and return the array; levels last."""
    for k in range(1, values.shape[-1]):
        # A column at a time: numpy's running maximum along a short axis costs several times as much.
        np.maximum(values[..., k], values[..., k - 1], out=values[..., k])
    return values


def increasing_inside(levels: FloatArray) -> bool:
    """Whether levels increase strictly and lie in (0, 1)."""
    return bool(np.all(np.diff(levels) > 0) and levels[0] > 0 and levels[-1] < 1)
