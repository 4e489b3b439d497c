"""Savings of several policies against one baseline, with their joint law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from ...arrays import FloatArray
from ...errors import FractileError, did_you_mean
from .variance import IndependentPaths, OneHistory, Variance, jackknife_moves

Clusters = Literal["auto", "path", "item_time"]

LEAST_COST = 1e-200
"""Costs of a baseline that are next to nothing: no share of less is a number that can be worked with."""
MANY_PATHS = 20
"""Independent paths from which on "auto" clusters by path."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its variance.

    Attributes:
        value: the estimate.
        variance: of it, by source.
    """

    value: float
    variance: Variance

    def reach(self, level: float) -> tuple[float, float]:
        """Return how far the interval reaches below and above the estimate.

        The interval is a t interval; where shocks are skewed (rare, dear weeks), the side of the long tail reaches as
        much further as the Cornish-Fisher expansion of a studentised mean says (Hall 1992), and the other no less.
        Training seeds reach with a t of their own, so that two that agree by chance do not pass for many: the squares
        of both reaches add up (Zou and Donner 2008). With Welch's one t for the sum, intervals of two seeds cover 90 %.
        """
        found = self.variance
        freedom = found.sampling_freedom
        if not np.isfinite(found.total) or freedom <= 0:
            return np.inf, np.inf
        quantile = float(stdtrit(freedom, (1 + level) / 2))
        further = found.skewness * (2 * quantile**2 + 1) / 6
        sampled = found.total - found.seeds
        of_seeds = sum(variance * float(stdtrit(few, (1 + level) / 2)) ** 2 for variance, few in found.seed_terms)
        below, above = quantile + max(0.0, -further), quantile + max(0.0, further)
        return float(np.sqrt(sampled * below**2 + of_seeds)), float(np.sqrt(sampled * above**2 + of_seeds))

    def score(self, level: float) -> float:
        """Return the standard normal score of the evidence that the value is above 0.

        Args:
            level: at which a skewed side's further reach is taken.
        """
        error = np.sqrt(self.variance.total)
        if error == 0:
            return float(np.sign(self.value) * np.inf) if self.value else 0.0
        below, above = self.reach(level)
        if not np.isfinite(below):
            return 0.0
        freedom = self.variance.degrees_of_freedom
        stretched = (below if self.value > 0 else above) / float(stdtrit(freedom, (1 + level) / 2))
        return float(np.copysign(ndtri(stdtr(freedom, -abs(self.value) / stretched)), self.value))


@dataclass(frozen=True, eq=False)
class Estimates:
    """Savings as shares of the baseline's cost, the baseline's own (0) first, with their joint law.

    Attributes:
        values: shape (estimates,).
        sampling: their variance due to demand.
        seed_variance: of each mean over training seeds, shape (estimates,); 0 with one seed.
        seeds: of each, shape (estimates,).
        seed_sd: standard deviation between the seeds of each; NaN with one seed.
        clusters: "path" or "item_time".
        periods: of the history.
        items: of it.
        most: the largest saving there can be: 1 where no cost is negative.
    """

    values: FloatArray
    sampling: OneHistory | IndependentPaths
    seed_variance: FloatArray
    seeds: tuple[int, ...]
    seed_sd: FloatArray
    clusters: str
    periods: int
    items: int
    most: float = np.inf

    def difference(self, one: int, other: int = 0) -> Estimate:
        """Return by how much one saving is above another."""
        contrast = np.zeros(len(self.values))
        contrast[one] += 1.0
        contrast[other] -= 1.0
        variance = self.sampling.variance(contrast)
        for k in {one, other} if one != other else set():
            variance = variance.with_seeds(float(self.seed_variance[k]), self.seeds[k] - 1)
        return Estimate(float(self.values[one] - self.values[other]), variance)

    def covariance(self) -> FloatArray:
        """Return the joint covariance of the savings, shape (estimates, estimates)."""
        return self.sampling.covariance() + np.diag(self.seed_variance)


def estimate_savings(
    baseline: FloatArray,
    costs: Sequence[FloatArray],
    *,
    clusters: Clusters = "auto",
    seeds: bool | None = None,
) -> Estimates:
    """Estimate savings against a baseline on the same demand.

    Args:
        baseline: money, shape (paths, periods, items), or (seeds, paths, periods, items).
        costs: of the policies, likewise.
        clusters: see `paired_saving`.
        seeds: whether the first of three axes counts training seeds; see `paired_saving`.

    Raises:
        FractileError: where shapes differ, a cost is not a number, the baseline costs nothing, or an option is unknown.
    """
    check_costs(clusters, baseline, *costs)
    if seeds is None:
        seeds = len({len(cost) for cost in (baseline, *costs)}) > 1
    if any(cost.ndim not in (3, 4) for cost in (baseline, *costs)):
        raise FractileError("costs must have the shape (paths, periods, items), with training seeds before it or not")
    each = [cost if cost.ndim == 4 else cost[:, None] if seeds else cost[None] for cost in (baseline, *costs)]
    cells = each[0].shape[1:]
    if any(cost.shape[1:] != cells for cost in each):
        found = " and ".join(dict.fromkeys(str(cost.shape) for cost in (baseline, *costs)))
        raise FractileError(f"costs must share one shape (paths, periods, items), got {found}")
    means = [cost.mean(0) for cost in each]
    total = float(means[0].sum())
    if total < LEAST_COST:
        raise FractileError(
            f"the baseline costs {total:g} in all: a saving is a share of a positive cost; choose another baseline, or "
            "give the difference of the costs to mean_interval"
        )
    ratios = np.array([mean.sum() for mean in means]) / total
    influences = [(ratio * means[0] - mean) / total for ratio, mean in zip(ratios, means, strict=True)]
    sampling, used = summarise_influences(influences, means[0] / total, clusters)
    number = [len(cost) for cost in each]
    spread = [float((cost.sum((1, 2, 3)) / total).std(ddof=1)) if len(cost) > 1 else np.nan for cost in each]
    variance = np.nan_to_num(np.square(spread)) / number
    most = 1.0 if all((cost >= 0).all() for cost in costs) else np.inf
    periods, items = cells[1:]
    return Estimates(1 - ratios, sampling, variance, tuple(number), np.array(spread), used, periods, items, most)


def summarise_influences(
    influences: Sequence[FloatArray], weight: FloatArray, clusters: Clusters
) -> tuple[OneHistory | IndependentPaths, str]:
    """Sum influences up by clusters, and say which.

    Args:
        influences: of each estimate, shape (paths, periods, items).
        weight: share of each cell in the whole, likewise.
        clusters: see `paired_saving`.
    """
    paths = len(weight)
    if clusters == "path" or (clusters == "auto" and paths >= MANY_PATHS):
        if paths < 2:
            raise FractileError("clusters='path' needs two or more paths; use 'item_time'")
        sums = np.stack([influence.sum((1, 2)) for influence in influences])
        return IndependentPaths(jackknife_moves(sums, weight.sum((1, 2)))), "path"
    return OneHistory.of([influence.sum(0) for influence in influences], weight.sum(0)), "item_time"


def check_costs(clusters: str, *costs: FloatArray) -> None:
    """Raise where clusters are unknown or a cost is not a number."""
    if clusters not in get_args(Clusters):
        raise FractileError(f"unknown clusters {clusters!r}{did_you_mean(clusters, get_args(Clusters))}")
    if not all(np.isfinite(cost).all() for cost in costs):
        raise FractileError("costs must be finite numbers; leave out the item-periods without one")


def check_level(level: float) -> None:
    """Raise where a level is none."""
    if not 0 < level < 1:
        raise FractileError(f"level must lie between 0 and 1, got {level}; 0.95 is usual")
