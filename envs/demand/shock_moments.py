"""Moments of normal scores that many items share: how much is common, how much a group's, and how long each lasts.

A score is known up to an interval where demand is in whole units or an item was out of stock. The conditional mean of
a score in its interval keeps the share κ of its variance, and to first order the product of two of them keeps κ_i κ_j
of their covariance (the first term of the Hermite expansion of a bivariate normal). So covariances are sums of
products of conditional means over sums of products of κ; this weighs pairs by their information, too.

A common factor shows in products of *different* items alone, which item noise does not enter; the same holds for its
lag-1 products. Estimates are shrunk by their sampling error: `1 − se² / estimate²` for a moment of all items (James and
Stein, positive part), and `τ² / (τ² + se²)` for an item against all, with the moment estimate of τ² by DerSimonian and
Laird (1986), Controlled Clinical Trials 7(3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import FloatArray, IntArray

FEWEST_PERIODS = 20
"""Periods below which covariances over time say too little to be used."""
FEWEST_PAIRS = 200.0
"""Pairs of items and periods, weighed by what intervals keep, below which no factor is looked for."""
SCALE_WEIGHT = 20.0
"""Periods that the variance of all items' scores is worth against an item's own."""
CENTRE_WEIGHT = 5.0
"""Periods that a mean score of zero is worth against an item's own mean."""
LAGS = 4
"""Lags of the errors' covariance over time (Newey and West 1987, Bartlett weights)."""
MEMORY = (-0.5, 0.95)
"""Range of memories: beyond it a history of two years cannot tell a shock from a level."""
LARGEST_SHARE = 0.95
"""Most of a score's variance that factors may take."""
CLEAR = 2.0
"""Standard errors by which items of a group must be more alike than others for the group to count."""


class ShockMoments(NamedTuple):
    """What is estimated; loadings of all items together, then each item's own, shape (items,).

    Attributes:
        common: loading on the common factor. [a]
        group: loading on the group's factor. [b]
        common_memory: lag-1 autocorrelation of the common factor. [φ_c]
        group_memory: of the groups' factors. [φ_g]
        item_memory: of what is left to the items. [φ]
        item_common: a_i.
        item_group: b_i.
        item_own_memory: φ_i.
    """

    common: float
    group: float
    common_memory: float
    group_memory: float
    item_memory: float
    item_common: FloatArray
    item_group: FloatArray
    item_own_memory: FloatArray


class GroupGain(NamedTuple):
    """How much more alike items of a group are than others.

    Attributes:
        covariance: of two items of one group, beyond that of others.
        error: its standard error.
        gain: by how much the squared error of all pair covariances falls when groups are told apart.
    """

    covariance: float
    error: float
    gain: float


class _Moment(NamedTuple):
    """A ratio of sums over periods, the weight of all, and what each period adds to its error."""

    value: float
    weight: float
    error: FloatArray


class _Factor(NamedTuple):
    """A factor of all items: loading and memory, and the covariance of two items that it explains before shrinkage."""

    loading: float
    memory: float
    covariance: float


NO_FACTOR = _Factor(0.0, 0.0, 0.0)


def standardise(mean: FloatArray, kept: FloatArray) -> FloatArray:
    """Return conditional means of scores, each item's centred and scaled to the variance that intervals keep.

    A bias that never ends is no shock, and forecasts that are too sure or too unsure are no correlation.

    Args:
        mean: conditional means, 0 where nothing is known, shape (items, periods).
        kept: share of the score's variance that they keep, 0 where nothing is known, shape (items, periods). [κ]
    """
    total = kept.sum(1)
    centred = mean - kept * (mean.sum(1) / (total + CENTRE_WEIGHT))[:, None]
    square = (centred**2).sum(1)
    pooled = square.sum() / max(float(total.sum()), 1e-12)
    ratio = (square + SCALE_WEIGHT * pooled) / (total + SCALE_WEIGHT)
    return centred / np.sqrt(np.where(ratio > 0, ratio, 1.0))[:, None]


def group_gain(score: FloatArray, kept: FloatArray, group: IntArray, weight: FloatArray) -> GroupGain:
    """Compare pairs of items inside groups with all other pairs; arguments as in `estimate_moments`."""
    inside, outside = _pair_moments(score * weight[:, None], kept * weight[:, None], group, 0)
    if min(inside.weight, outside.weight) < FEWEST_PAIRS:
        return GroupGain(0.0, np.inf, 0.0)
    difference = inside.value - outside.value
    size = inside.weight * outside.weight / (inside.weight + outside.weight)
    return GroupGain(difference, _error(inside.error - outside.error), size * difference**2)


def estimate_moments(score: FloatArray, kept: FloatArray, group: IntArray, weight: FloatArray) -> ShockMoments:
    """Estimate common, group and item factors.

    With a_i, b_i the loadings, φ the memories and i, j items of different groups (k of i's own):
    `cov(z_it, z_jt) = a_i a_j`, `cov(z_it, z_j,t+1) = a_i a_j φ_c`, `cov(z_it, z_kt) = a_i a_k + b_i b_k` and
    `cov(z_it, z_i,t+1) = a_i² φ_c + b_i² φ_g + (1 − a_i² − b_i²) φ_i`. What centring takes from them is given back.

    Args:
        score: from `standardise`, shape (items, periods).
        kept: shape (items, periods). [κ]
        group: which group an item belongs to, −1 for none, shape (items,).
        weight: how much an item counts in what is said of all, of mean 1, shape (items,).
    """
    periods = score.shape[1]
    heavy, heavy_kept = score * weight[:, None], kept * weight[:, None]
    inside, outside = _pair_moments(heavy, heavy_kept, group, 0)
    inside_next, outside_next = _pair_moments(heavy, heavy_kept, group, 1)
    pairs = (kept[:, 1:] * kept[:, :-1]).sum(1)
    own = (score[:, 1:] * score[:, :-1]).sum(1)
    every, left = _uncentred(1.0, float(own.sum() / max(float(pairs.sum()), 1e-12)), periods)
    # Common factor: pairs of different groups. Group factors: pairs of one group, beyond the common part.
    common = _factor(outside, outside_next, periods, left)
    block = _factor(_difference(inside, outside), _difference(inside_next, outside_next), periods, left)
    # Each item follows both more or less than others do.
    response = _responses(score, kept, group, weight, (common, block))
    item_common, item_group = _feasible(response * common.loading, response * block.loading)
    # What is left to the item of its own autocorrelation.
    free = 1.0 - item_common**2 - item_group**2
    of_factors = item_common**2 * common.memory + item_group**2 * block.memory
    pooled = (every - float(of_factors.mean())) / float(free.mean())
    pooled *= _trust(pooled, 1.0 / np.sqrt(max(float(pairs.sum()), 1e-12)))
    known = pairs > 1e-9
    own = np.where(known, own / np.where(known, pairs, 1.0), 0.0) * left + (1.0 - left)
    remaining = (own - of_factors) / free
    error = np.where(known, 1.0 / np.where(known, pairs, 1.0) / free**2, np.inf)
    memory = np.clip(_shrink(remaining, error, pooled), *MEMORY)
    return ShockMoments(
        common=common.loading,
        group=block.loading,
        common_memory=common.memory,
        group_memory=block.memory,
        item_memory=float(np.clip(pooled, *MEMORY)),
        item_common=item_common,
        item_group=item_group,
        item_own_memory=memory,
    )


def _pair_moments(score: FloatArray, kept: FloatArray, group: IntArray, lag: int) -> tuple[_Moment, _Moment]:
    """Mean products of two items of one group, and of two items of different groups, `lag` periods apart."""

    def pairs(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        first, second = values[:, : values.shape[1] - lag], values[:, lag:]
        same = (first * second).sum(0)
        grouped = [(first[group == g].sum(0), second[group == g].sum(0)) for g in np.unique(group[group >= 0])]
        inside = sum((a * b for a, b in grouped), np.zeros(len(same))) - same
        inside += (first * second)[group < 0].sum(0)
        return inside, first.sum(0) * second.sum(0) - same - inside

    out = []
    for product, weight in zip(pairs(score), pairs(kept), strict=True):
        total = float(weight.sum())
        value = float(product.sum()) / total if total > 1e-9 else 0.0
        out.append(_Moment(value, max(total, 0.0), (product - value * weight) / max(total, 1e-9)))
    return out[0], out[1]


def _total(values: FloatArray) -> FloatArray:
    """Sum over all items, shape (1, periods)."""
    return values.sum(0, keepdims=True)


def _total_of(values: FloatArray, group: IntArray) -> FloatArray:
    """Sum over the items of each item's group, the item included, shape (items, periods)."""
    out = values.copy()
    for g in np.unique(group[group >= 0]):
        out[group == g] = values[group == g].sum(0)
    return out


def _difference(one: _Moment, other: _Moment) -> _Moment:
    """What one moment is above another; it rests on the first."""
    return _Moment(one.value - other.value, one.weight, one.error - other.error)


def _factor(now: _Moment, after: _Moment, periods: int, left: float) -> _Factor:
    """Return the factor behind a covariance of different items and its lag-1 companion.

    Args:
        now: covariance of one period.
        after: of successive periods.
        periods: how many.
        left: what centring leaves of the variance of all.
    """
    if now.weight < FEWEST_PAIRS or now.value <= 0:
        return NO_FACTOR
    share = _trust(now.value, _error(now.error))
    if share <= 0:
        return NO_FACTOR
    memory, given = _uncentred(now.value, after.value, periods)
    # The standard error of a ratio of two moments.
    error = _error(after.error - memory * now.error[: len(after.error)]) / now.value
    variance = min(share * now.value * left / given, LARGEST_SHARE / 2)
    return _Factor(float(np.sqrt(variance)), memory * _trust(memory, error), now.value)


def _responses(
    score: FloatArray, kept: FloatArray, group: IntArray, weight: FloatArray, factors: tuple[_Factor, _Factor]
) -> FloatArray:
    """Return how much each item follows the factors, 1 for one that does as all do, shape (items,). [s_i]

    Its loadings are `a_i = s_i a` and `b_i = s_i b`: one number an item is what two years can tell. It comes from the
    covariance with the other items, those of its own group weighing as much more as they tell more of its factors:
    `Σ_j w_ij cov(z_i, z_j) = s_i Σ_j w_ij²`, `w_ij = a² + b²` in one group and `a²` otherwise.
    """

    def others(values: FloatArray, of_all: float, of_group: float) -> FloatArray:
        grouped = _total_of(values, group) - values
        return of_all * (_total(values) - values) + of_group * grouped

    a, b = (factor.covariance for factor in factors)
    rest = others(score * weight[:, None], a, b)
    expected = (kept * others(kept * weight[:, None], a**2, 2 * a * b + b**2)).sum(1)
    known = expected > 1e-12
    safe = np.where(known, expected, 1.0)
    own = np.where(known, (score * rest).sum(1) / safe, 1.0)
    error = np.where(known, (kept * rest**2).sum(1) / safe**2, np.inf)
    return _shrink(own, error, 1.0)


def _shrink(own: FloatArray, error: FloatArray, pooled: float) -> FloatArray:
    """Draw estimates with these squared errors to one of all, by how little they differ beyond their errors."""
    weight = np.where(np.isfinite(error), 1.0 / np.maximum(error, 1e-12), 0.0)
    total, count = float(weight.sum()), int((weight > 0).sum())
    if count < 2:
        return np.full(len(own), pooled)
    surplus = float((weight * (own - pooled) ** 2).sum()) - count
    between = max(0.0, surplus / max(total - float((weight**2).sum()) / total, 1e-12))
    share = between / (between + 1.0 / np.maximum(weight, 1e-12))
    return np.asarray(pooled + share * (own - pooled))


def _uncentred(variance: float, next_covariance: float, periods: int) -> tuple[float, float]:
    """Return a memory, and the share of the variance that centring leaves.

    Taking the mean of T periods away takes τ/T, `τ = (1 + φ)/(1 − φ)`, of variance and covariance alike.
    """
    if variance <= 0:
        return 0.0, 1.0
    ratio = float(np.clip(next_covariance / variance, -1.0, 1.0))
    memory, taken = ratio, 0.0
    for _ in range(20):
        taken = min((1.0 + memory) / (1.0 - memory) / periods, 0.5) if memory < 1.0 else 0.5
        memory = float(np.clip(ratio * (1.0 - taken) + taken, *MEMORY))
    return memory, 1.0 - taken


def _error(parts: FloatArray) -> float:
    """Standard error of a sum of parts in the order of time."""
    variance = float(parts @ parts)
    for lag in range(1, min(LAGS, len(parts) - 1) + 1):
        variance += 2.0 * (1.0 - lag / (LAGS + 1.0)) * float(parts[lag:] @ parts[:-lag])
    return float(np.sqrt(max(variance, 0.25 * float(parts @ parts))))


def _trust(value: float, error: float) -> float:
    """Share of an estimate to keep; for a variance, none where it is not above zero."""
    return 0.0 if value == 0.0 else max(0.0, 1.0 - (error / value) ** 2)


def _feasible(common: FloatArray, group: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scale loadings down where their squares take more than `LARGEST_SHARE` of the variance."""
    total = common**2 + group**2
    down = np.sqrt(np.minimum(1.0, LARGEST_SHARE / np.maximum(total, 1e-12)))
    return common * down, group * down
