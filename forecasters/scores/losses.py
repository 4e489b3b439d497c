"""Losses of quantiles and of draws against demand: arrays in, arrays out.

`pinball_loss` has no factor 2. `weighted_quantile_loss`, `quantile_error` and `crps` carry it, as their
definitions in the literature do: at the level 0.5 the weighted quantile loss is then the sum of absolute errors
over the sum of demand. Demand that is NaN is unknown and left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray
from ...errors import FractileError
from ..interpolation import increasing_inside

LEAST_DEMAND = 1e-200
"""Units in all that are next to nothing: no share of less is a number that can be worked with."""


def share_of(loss: ArrayLike, demand: float) -> FloatArray:
    """Return losses as shares of demand: where there was none, no number, but 0 where nothing was lost either.

    Args:
        loss: units.
        demand: all units together.

    >>> share_of([1.0, 0.0], 4.0).tolist(), share_of([1.0, 0.0], 0.0).tolist()
    ([0.25, 0.0], [nan, 0.0])
    """
    lost = np.asarray(loss, dtype=np.float64)
    if demand < LEAST_DEMAND:
        return np.where(lost == 0, 0.0, np.nan)
    return np.asarray(lost / demand)


def pinball_loss(demand: ArrayLike, quantile: ArrayLike, level: ArrayLike) -> FloatArray:
    """Return `ρ_τ(y − q) = max(τ (y − q), (τ − 1)(y − q))`, without a factor 2.

    Its expectation is least at the τ-quantile of y. With b = underage and h = overage cost,
    `(b + h) ρ_τ` at τ = b / (b + h) is the newsvendor's cost of having q units.

    Args:
        demand: units; shapes broadcast. [y]
        quantile: forecast, units. [q]
        level: in (0, 1). [τ]

    >>> float(pinball_loss(10.0, 7.0, 0.9))
    2.7
    """
    excess = np.asarray(demand, dtype=np.float64) - np.asarray(quantile, dtype=np.float64)
    level = np.asarray(level, dtype=np.float64)
    return np.asarray(np.maximum(level * excess, (level - 1.0) * excess))


def mean_quantile_loss(demand: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> FloatArray:
    """Return `2 ρ_τ(y − q_τ)` averaged over the levels, cell by cell.

    Args:
        demand: units, shape (...); NaN is passed on. [y]
        quantiles: units, shape (..., Q).
        levels: shape (Q,). [τ]

    Returns:
        units, the shape of `demand`.
    """
    loss = pinball_loss(np.asarray(demand, dtype=np.float64)[..., None], quantiles, levels)
    return np.asarray(2.0 * loss.mean(-1))


def weighted_quantile_loss(demand: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the mean over levels of `2 Σ ρ_τ(y − q_τ) / Σ |y|`; NaN demand is left out.

    The factor 2 is the literature's (GluonTS, M-competitions), so that the level 0.5 gives the weighted
    absolute percentage error.

    Args:
        demand: units, shape (...). [y]
        quantiles: units, shape (..., Q).
        levels: shape (Q,). [τ]

    >>> round(weighted_quantile_loss([10.0, 10.0], [[9.0, 12.0], [9.0, 12.0]], [0.5, 0.9]), 3)
    0.07
    """
    known, forecast = known_rows(demand, quantiles)
    return float(share_of(mean_quantile_loss(known, forecast, levels).sum(), np.abs(known).sum()))


def quantile_error(demand: ArrayLike, quantile: ArrayLike, level: float) -> float:
    """Return the weighted quantile loss at one level, `2 Σ ρ_τ(y − q) / Σ |y|`: the P50 or P90 error, and so on.

    Args:
        demand: units, shape (...). [y]
        quantile: units, the shape of `demand`. [q]
        level: in (0, 1). [τ]

    >>> quantile_error([10.0, 10.0], [9.0, 12.0], 0.5)  # (1 + 2) / 20
    0.15
    """
    return weighted_quantile_loss(demand, np.asarray(quantile, dtype=np.float64)[..., None], [level])


def crps(demand: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> FloatArray:
    """Return the continuous ranked probability score from quantiles, `2 ∫ ρ_τ(y − q_τ) dτ`.

    Each level stands for the levels nearest to it; at the midpoint levels (k − ½)/Q all weigh the same
    (Laio and Tamea 2007).

    Args:
        demand: units, shape (...). [y]
        quantiles: units, shape (..., Q).
        levels: shape (Q,). [τ]

    Returns:
        units, the shape of `demand`.
    """
    loss = pinball_loss(np.asarray(demand, dtype=np.float64)[..., None], quantiles, levels)
    return np.asarray(2.0 * loss @ level_widths(levels))


def level_widths(levels: ArrayLike) -> FloatArray:
    """Return how many of all levels each one stands for, those nearest to it; they add up to 1, shape (Q,)."""
    levels = np.asarray(levels, dtype=np.float64)
    return np.diff(np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]]))


def crps_ensemble(demand: ArrayLike, draws: ArrayLike, *, fair: bool = False) -> FloatArray:
    """Return the continuous ranked probability score of draws, `E|X − y| − ½ E|X − X'|`.

    Args:
        demand: units, shape (...). [y]
        draws: units, shape (paths, ...), the paths first as `QuantileForecast.sample` gives them. [X]
        fair: divide by m (m − 1) in the second term, so that the expected score of m draws is that of the
            distribution they came from (Ferro 2014); by m² otherwise, which is the score of the m points.

    Returns:
        units, the shape of `demand`.

    >>> float(crps_ensemble(3.0, [2.0, 6.0]))  # (1 + 3) / 2 − ½ (0 + 4 + 4 + 0) / 4
    1.0
    """
    ordered = np.sort(np.asarray(draws, dtype=np.float64), axis=0)
    number = len(ordered)
    if number < 1 + fair:
        raise FractileError(f"draws must be {1 + fair} or more along the first axis, got {number}; draw more paths")
    distance = np.abs(ordered - np.asarray(demand, dtype=np.float64)).mean(0)
    # Σ_j Σ_k |x_j − x_k| / 2 = Σ_k (2k − m − 1) x_(k) over the ordered draws, k from 1.
    rank = 2.0 * np.arange(1, number + 1) - number - 1.0
    pairs = number * (number - 1.0) if fair else number**2
    return np.asarray(distance - np.tensordot(rank, ordered, axes=1) / pairs)


def interval_score(demand: ArrayLike, low: ArrayLike, high: ArrayLike, share: ArrayLike) -> FloatArray:
    """Return the interval score, `(u − l) + 2/α · ((l − y)⁺ + (y − u)⁺)` with α = 1 − share.

    The width of a central interval, and a fine where demand lies outside it (Gneiting and Raftery 2007,
    equation 43).

    Args:
        demand: units; shapes broadcast. [y]
        low: lower end, the (α/2)-quantile. [l]
        high: upper end, the (1 − α/2)-quantile. [u]
        share: nominal coverage of the interval, in (0, 1). [1 − α]
    """
    y, lower, upper = (np.asarray(x, dtype=np.float64) for x in (demand, low, high))
    alpha = 1.0 - np.asarray(share, dtype=np.float64)
    outside = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    return np.asarray(upper - lower + 2.0 / alpha * outside)


def sharpness(demand: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return `Σ (high − low) / Σ |demand|` over known demand: the mean width of an interval relative to demand.

    Args:
        demand: units, shape (...). [y]
        low: lower end of the interval, units, broadcasts to `demand`.
        high: upper end, likewise.

    >>> sharpness([10.0, 30.0], [8.0, 20.0], [12.0, 40.0])
    0.6
    """
    y, lower, upper = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (demand, low, high)))
    known = ~np.isnan(y)
    return float(share_of((upper[known] - lower[known]).sum(), np.abs(y[known]).sum()))


def coverage(demand: ArrayLike, quantile: ArrayLike) -> float:
    """Return the share of known demand that is at or below the forecast quantile."""
    demand, quantile = np.broadcast_arrays(np.asarray(demand, dtype=np.float64), quantile)
    known = ~np.isnan(demand)
    return float(np.mean(demand[known] <= quantile[known]))


def bias(demand: ArrayLike, forecast: ArrayLike) -> float:
    """Return `Σ (forecast − demand) / Σ |demand|` over known demand: above zero where forecasts are high."""
    demand, forecast = np.broadcast_arrays(np.asarray(demand, dtype=np.float64), forecast)
    known = ~np.isnan(demand)
    return float(share_of((forecast[known] - demand[known]).sum(), np.abs(demand[known]).sum()))


def known_rows(demand: ArrayLike, quantiles: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the known demands and their quantiles in a row: (n,) and (n, Q)."""
    demand, quantiles = np.asarray(demand, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    known = ~np.isnan(demand)
    return demand[known], quantiles[known]


def check_score_levels(levels: ArrayLike) -> FloatArray:
    """Return levels to score at, shape (Q,): one or more, strictly increasing, in (0, 1)."""
    array = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if array.ndim != 1 or not len(array) or not increasing_inside(array):
        raise FractileError(f"levels must be strictly increasing numbers between 0 and 1, got {levels!r}")
    return array
