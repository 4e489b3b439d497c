"""Paired savings with intervals that cover under shocks common to all items, and under the luck of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...errors import FractileError
from .estimates import Clusters, Estimate, Estimates, check_costs, check_level, estimate_savings, summarise_influences
from .variance import LASTING, Variance, count_lasting

__all__ = ["Clusters", "Interval", "Saving", "mean_interval", "paired_saving", "saving_of"]

NOT_KNOWN = Variance()


@dataclass(frozen=True)
class Saving:
    """The saving of a policy, as a share of the baseline's cost.

    Attributes:
        saving: 1 − Σ cost / Σ baseline.
        low: lower end of the interval.
        high: upper end.
        standard_error: of the saving.
        degrees_of_freedom: of the interval's t distribution.
        clusters: "path" or "item_time".
        seeds: training seeds whose mean the saving is.
        seed_sd: standard deviation between them; NaN with one.
        variance: by source.
        periods: of the history.
        items: of it.
        level: of the interval.
    """

    saving: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    clusters: str
    seeds: int = 1
    seed_sd: float = float("nan")
    variance: Variance = NOT_KNOWN
    periods: int = 0
    items: int = 0
    level: float = 0.95

    @property
    def memory(self) -> float:
        """Periods that a shock lasts, `count_lasting`, as estimated from one history; NaN where it cannot be."""
        phi = self.variance.autocorrelation
        return float("nan") if np.isnan(phi) else count_lasting(phi)

    @property
    def trusted(self) -> bool:
        """Whether shocks pass within a quarter of the periods, without which a t interval on them means little.

        Independent paths need no such thing; nor does what does not vary.
        """
        if self.clusters == "path" or not self.standard_error:
            return True
        return self.memory <= LASTING * self.periods


def paired_saving(
    baseline: FloatArray,
    cost: FloatArray,
    *,
    level: float = 0.95,
    clusters: Clusters = "auto",
    seeds: bool | None = None,
) -> Saving:
    """Estimate the saving of a policy against a baseline on the same demand.

    The saving is a ratio of sums; its error follows from the influence of each cell,
    `(ratio · baseline − cost) / Σ baseline` (delta method). "path": paths are independent replications. "item_time":
    one history, whose periods share shocks over all items, and whose shocks last (`variance`). Where a policy is
    learned, the saving is that of the mean over its training seeds, and the spread between them is a further source of
    variance, however few they are (Welch and Satterthwaite).

    Args:
        baseline: money, shape (paths, periods, items), or (seeds, paths, periods, items).
        cost: of the policy, likewise.
        level: of the interval, in (0, 1).
        clusters: "path", "item_time", or "auto": by path where there are `MANY_PATHS`.
        seeds: whether the first of three axes counts training seeds on one history, not paths; None: where baseline and
            cost have different numbers of them.

    Raises:
        FractileError: where shapes differ, a cost is not a number, the baseline costs nothing, or an option is unknown.
    """
    check_level(level)
    return saving_of(estimate_savings(baseline, [cost], clusters=clusters, seeds=seeds), 1, level)


def saving_of(estimates: Estimates, k: int, level: float) -> Saving:
    """Return the saving of estimate `k` against the baseline."""
    found = estimates.difference(k)
    below, above = found.reach(level)
    return Saving(
        saving=found.value,
        low=found.value - below,
        high=min(found.value + above, estimates.most),
        standard_error=float(np.sqrt(found.variance.total)),
        degrees_of_freedom=found.variance.degrees_of_freedom,
        clusters=estimates.clusters,
        seeds=estimates.seeds[k],
        seed_sd=float(estimates.seed_sd[k]),
        variance=found.variance,
        periods=estimates.periods,
        items=estimates.items,
        level=level,
    )


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: of all cells.
        low: lower end.
        high: upper end.
        standard_error: of the mean.
    """

    mean: float
    low: float
    high: float
    standard_error: float


def mean_interval(
    values: FloatArray,
    *,
    weight: FloatArray | None = None,
    level: float = 0.95,
    clusters: Clusters = "auto",
) -> Interval:
    """Return the mean of a cost with its interval; clusters as in `paired_saving`.

    Args:
        values: shape (paths, periods, items).
        weight: how much each cell counts, >= 0, the shape of `values`; all the same where None. A cell whose value
            is not known has a weight of 0, and any value.
        level: of the interval.
        clusters: see `paired_saving`.
    """
    weight = np.ones(values.shape) if weight is None else weight
    check_level(level)
    check_costs(clusters, values, weight)
    if weight.shape != values.shape or (weight < 0).any() or not weight.any():
        raise FractileError("weight must have the shape of values, none below 0 and one above; leave it out to average")
    share = weight / weight.sum()
    mean = float((share * values).sum())
    sampling, _ = summarise_influences([share * (values - mean)], share, clusters)
    found = Estimate(mean, sampling.variance(np.ones(1)))
    below, above = found.reach(level)
    return Interval(mean, mean - below, mean + above, float(np.sqrt(found.variance.total)))
