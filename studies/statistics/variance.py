"""Variance of estimates that are sums over periods and items of one history, or over independent paths.

A saving, and any ratio of sums, moves with each of its cells by the cell's *influence* (delta method). How far the sum
of the influences may be off depends on what the cells share:

* *Items* differ, and an item keeps its ways: the jackknife over items.
* *Periods* bring shocks that all items share, and a shock lasts: the long-run variance of the periods' sums, from a
  few cosines (equally weighted cosines, Müller 2007; Lazarus, Lewis, Stock and Watson 2018). A cosine's weighted sum
  over the periods is one draw of the noise at a low frequency, so that B of them give a t distribution with B degrees
  of freedom, whatever the dependence in time, as long as the spectrum is flat over those frequencies. Where it is not,
  the spectrum of an AR(1) fitted to the series (and shrunk, because a series of weeks says little of it) carries the
  cosines to frequency zero.
* What is both an item's and a period's own is in both sums: it is taken off once (two-way clusters, Cameron, Gelbach
  and Miller 2011), cosine by cosine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import FloatArray

FEWEST_COSINES = 5
COSINES = 0.75
"""Cosines grow with periods ** (2 / 3) (Lazarus, Lewis, Stock and Watson 2018), times this."""
USUAL_MEMORY, SPREAD_OF_MEMORY = 0.5, 0.2
"""Mean and standard deviation of the AR(1) coefficient of a comparison's costs, which its estimate is shrunk to."""
LARGEST_MEMORY = 0.9
LEAST_OWN = 0.6
"""Share of the periods' variance that counts in the degrees of freedom though items' own noise may explain it."""
MOST_SKEWED = 0.4
LASTING = 0.25
"""Intervals cannot be trusted where shocks last longer than this share of the periods."""
NOTHING = 1e-12
"""Shares of the whole cost that are rounding errors."""


@dataclass(frozen=True)
class Variance:
    """The variance of an estimate, by source, with what its interval needs.

    Attributes:
        items: due to what lasts in an item: more items make it smaller, more periods do not.
        cells: due to what is an item's and a period's own: more of either make it smaller.
        common: due to what all items share: more periods make it smaller, more items do not.
        seeds: due to the training seeds.
        seed_terms: the parts of that with their degrees of freedom.
        total: of the estimate; at least the sum of the others.
        degrees_of_freedom: of the total (Welch and Satterthwaite).
        sampling_freedom: of the total without the seeds.
        skewness: standardised third moment of the estimate without the luck of seeds, as far as common shocks give it
            one.
        autocorrelation: AR(1) coefficient of the periods' sums, corrected for its bias; NaN where unknown.
    """

    items: float = 0.0
    cells: float = 0.0
    common: float = 0.0
    seeds: float = 0.0
    seed_terms: tuple[tuple[float, int], ...] = ()
    total: float = 0.0
    degrees_of_freedom: float = np.inf
    sampling_freedom: float = np.inf
    skewness: float = 0.0
    autocorrelation: float = float("nan")

    def with_seeds(self, variance: float, degrees_of_freedom: int) -> Variance:
        """Return this variance and that of training seeds, which is independent of it."""
        if not variance or self.degrees_of_freedom <= 0 or not np.isfinite(self.total):
            return self
        total = self.total + variance
        freedom = total**2 / (self.total**2 / self.degrees_of_freedom + variance**2 / degrees_of_freedom)
        return replace(
            self,
            seeds=self.seeds + variance,
            seed_terms=(*self.seed_terms, (variance, degrees_of_freedom)),
            total=total,
            degrees_of_freedom=freedom,
        )


def count_cosines(periods: int) -> int:
    """Return how many cosines the long-run variance of so many periods is taken from.

    >>> [count_cosines(n) for n in (2, 12, 26, 52)]
    [1, 5, 7, 10]
    """
    return max(0, min(periods - 1, max(FEWEST_COSINES, round(COSINES * periods ** (2 / 3)))))


def cosines(number: int, periods: int) -> FloatArray:
    """Return cosines of 1/2, 2/2, … periods over the window, shape (number, periods), orthonormal and of mean zero."""
    time = (np.arange(periods) + 0.5) / periods
    return np.asarray(np.sqrt(2 / periods) * np.cos(np.pi * np.outer(np.arange(1, number + 1), time)))


def jackknife_moves(sums: FloatArray, weight: FloatArray) -> FloatArray:
    """Return how far the estimate moves without one cluster: its influence over the weight of the others.

    Where all weigh the same this is the usual factor G / (G − 1); where a few clusters carry most of the cost, that
    factor alone would make intervals too narrow.

    Args:
        sums: influence of each cluster, shape (..., clusters).
        weight: share of each cluster in the whole, shape (clusters,).
    """
    rest = np.broadcast_to(1.0 - weight, sums.shape)
    nothing_left = np.where(np.abs(sums) < NOTHING, 0.0, np.copysign(np.inf, sums))
    return np.divide(sums, rest, out=nothing_left, where=np.abs(rest) > NOTHING)


def jackknife_variance(moves: FloatArray) -> float:
    """Return the variance of a sum of independent clusters, by leaving out one at a time."""
    return float((moves**2).sum() * (len(moves) - 1) / len(moves))


def autocorrelation(series: FloatArray) -> float:
    """Return the AR(1) coefficient of a series of mean zero, corrected for its bias, −(1 + 3φ) / n (Kendall 1954)."""
    n, square = len(series), float((series**2).sum())
    if n < 5 or square <= 0:
        return float("nan")
    raw = float((series[1:] * series[:-1]).sum()) / square
    return float(np.clip((n * raw + 1) / (n - 3), -0.97, 0.97))


def count_lasting(coefficient: float) -> float:
    """Return how many periods in a row are as good as one, (1 + φ) / (1 − φ) of an AR(1); 1 at least.

    >>> [round(count_lasting(phi), 1) for phi in (-0.2, 0.0, 0.5)]
    [1.0, 1.0, 3.0]
    """
    return max(1.0, (1.0 + coefficient) / (1.0 - coefficient))


@dataclass(frozen=True, eq=False)
class OneHistory:
    """What the variance of estimates on one history is computed from.

    Attributes:
        moves: of the estimates without one item, shape (estimates, items).
        series: influence of each period, shape (estimates, periods).
        waves: influence weighted by each cosine, shape (estimates, cosines).
        own: products of two estimates' waves item by item, summed over items, shape (cosines, estimates, estimates).
    """

    moves: FloatArray
    series: FloatArray
    waves: FloatArray
    own: FloatArray = field(repr=False)

    @classmethod
    def of(cls, influences: list[FloatArray], weight: FloatArray) -> OneHistory:
        """Sum up influences.

        Args:
            influences: of each estimate, shape (periods, items).
            weight: share of each cell in the whole, likewise.
        """
        alive = (weight != 0).any(0) | np.any([(influence != 0).any(0) for influence in influences], axis=0)
        if not alive.all():  # an item that costs nothing is no cluster
            influences, weight = [influence[:, alive] for influence in influences], weight[:, alive]
        periods, items = weight.shape
        shapes = cosines(count_cosines(periods), periods)
        waves = np.stack([shapes @ influence for influence in influences])
        moves = jackknife_moves(np.stack([influence.sum(0) for influence in influences]), weight.sum(0))
        series = np.stack([influence.sum(1) for influence in influences])
        own = np.einsum("jbi,kbi->bjk", waves, waves, optimize=True)
        return cls(moves if items > 1 else moves[:, :0], series, waves.sum(2), own)

    def combined(self, weights: FloatArray) -> OneHistory:
        """Return the same of linear combinations of the estimates, `weights` of shape (combinations, estimates)."""
        own = np.einsum("cj,bjk,dk->bcd", weights, self.own, weights)
        return OneHistory(_combined(weights, self.moves), weights @ self.series, weights @ self.waves, own)

    def variance(self, contrast: FloatArray) -> Variance:
        """Return the variance of a combination of the estimates.

        Args:
            contrast: weight of each estimate, shape (estimates,).
        """
        used = np.flatnonzero(contrast)
        share = contrast[used]
        moves, series = _combined(share, self.moves[used]), share @ self.series[used]
        items, (number, periods) = self.moves.shape[1], (self.waves.shape[1], self.series.shape[1])
        of_items = jackknife_variance(moves) if items > 1 else 0.0
        if not number:
            freedom = float(items - 1) if items > 1 else 0.0
            return _sampled(Variance(of_items, total=of_items), freedom)
        phi = autocorrelation(series - series.mean())
        flat = _to_zero(phi, number, periods)
        power = (share @ self.waves[used]) ** 2
        own = np.einsum("j,bjk,k->b", share, self.own[:, used][:, :, used], share)
        of_time, of_cells = periods * float((flat * power).mean()), periods * float((flat * own).mean())
        common = max(0.0, of_time - of_cells) if items > 1 else of_time
        total = max(of_items + common, of_time)
        if not np.isfinite(total) or total <= 0:
            return _sampled(Variance(of_items, total=total, autocorrelation=phi), float(number))
        # Where the items' own noise explains the periods' sums, the few cosines hardly matter.
        counted = of_time * min(1.0, LEAST_OWN + common / of_time) if of_time > 0 else 0.0
        freedom = total**2 / (of_items**2 / max(items - 1, 1) + counted**2 / number)
        found = Variance(
            items=max(0.0, of_items - of_cells) if items > 1 else 0.0,
            cells=min(of_items, of_cells) if items > 1 else 0.0,
            common=common,
            total=total,
            skewness=_skewness(series, of_time, common, total),
            autocorrelation=phi,
        )
        return _sampled(found, float(freedom))

    def covariance(self) -> FloatArray:
        """Return the joint covariance of the estimates, shape (estimates, estimates), for their correlations.

        What items and periods share is counted in both, so that it stays a covariance.
        """
        moves = np.where(np.isfinite(self.moves), self.moves, 0.0)
        between = moves @ moves.T
        if not self.waves.shape[1]:
            return np.asarray(between)
        return np.asarray(between + self.series.shape[1] * self.waves @ self.waves.T / self.waves.shape[1])


def _sampled(variance: Variance, degrees_of_freedom: float) -> Variance:
    """Return a variance without seeds with its degrees of freedom."""
    return replace(variance, degrees_of_freedom=degrees_of_freedom, sampling_freedom=degrees_of_freedom)


def _combined(share: FloatArray, moves: FloatArray) -> FloatArray:
    """Return moves of combinations of estimates; what is infinite in one of them has no known end in any of its."""
    finite = np.isfinite(moves)
    unknown = (share != 0).astype(float) @ (~finite).astype(float) > 0
    return np.asarray(np.where(unknown, np.inf, share @ np.where(finite, moves, 0.0)))


def _to_zero(phi: float, number: int, periods: int) -> FloatArray:
    """Return the spectrum of an AR(1) at frequency zero over that at each cosine's, the coefficient shrunk."""
    if np.isnan(phi):
        return np.ones(number)
    trust = periods * SPREAD_OF_MEMORY**2
    phi = float(np.clip((trust * phi + USUAL_MEMORY) / (trust + 1), 0.0, LARGEST_MEMORY))
    frequency = np.pi * np.arange(1, number + 1) / periods
    return np.asarray((1 - 2 * phi * np.cos(frequency) + phi**2) / (1 - phi) ** 2)


def _skewness(series: FloatArray, of_time: float, common: float, total: float) -> float:
    """Return the standardised third moment of the estimate that shocks common to all items give it.

    A shock that lasts for some periods counts as one: the sum of their third powers grows with the square of the ratio
    of the long-run variance to that of a period.
    """
    square = float((series**2).sum())
    if square <= 0 or of_time <= 0:
        return 0.0
    third = float((series**3).sum()) * (of_time / square) ** 2 * common / of_time
    return float(np.clip(third / total**1.5, -MOST_SKEWED, MOST_SKEWED))


@dataclass(frozen=True, eq=False)
class IndependentPaths:
    """What the variance of estimates on independent paths is computed from.

    Attributes:
        moves: of the estimates without one path, shape (estimates, paths).
    """

    moves: FloatArray

    def combined(self, weights: FloatArray) -> IndependentPaths:
        """Return the same of linear combinations of the estimates, `weights` of shape (combinations, estimates)."""
        return IndependentPaths(_combined(weights, self.moves))

    def variance(self, contrast: FloatArray) -> Variance:
        """Return the variance of a combination of the estimates, of weights `contrast`."""
        used = np.flatnonzero(contrast)
        total = jackknife_variance(_combined(contrast[used], self.moves[used]))
        return _sampled(Variance(total=total), float(self.moves.shape[1] - 1))

    def covariance(self) -> FloatArray:
        """Return the joint covariance of the estimates."""
        moves = np.where(np.isfinite(self.moves), self.moves, 0.0)
        return np.asarray(moves @ moves.T)
