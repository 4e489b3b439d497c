"""Paired savings with intervals that hold under shocks common to all items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import stats

from ..arrays import FloatArray
from ..errors import FractileError, did_you_mean

Clusters = Literal["auto", "path", "item_time"]

MANY_PATHS = 20
"""Independent paths from which on "auto" clusters by path."""
FEWEST_BLOCKS = 4
NOTHING = 1e-12
"""Shares of the whole cost that are rounding errors."""


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
    """

    saving: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: int
    clusters: str


def paired_saving(
    baseline: FloatArray,
    cost: FloatArray,
    *,
    level: float = 0.95,
    clusters: Clusters = "auto",
    block: int | None = None,
) -> Saving:
    """Estimate the saving of a policy against a baseline on the same demand.

    The saving is a ratio of sums; its error follows from the influence of each cell,
    `(ratio · baseline − cost) / Σ baseline` (delta method), summed over clusters. "path": paths are independent
    replications. "item_time": cells share shocks over the items of a time block and over the time of an item
    (two-way clusters, Cameron, Gelbach and Miller 2011), as in a backtest on one realised history. Each one-way
    variance is that of the jackknife over clusters; where the two-way one is smaller than either, the larger holds.

    Args:
        baseline: money, shape (paths, periods, items).
        cost: of the policy, likewise.
        level: of the interval, in (0, 1).
        clusters: "path", "item_time", or "auto": by path where there are `MANY_PATHS`.
        block: periods in a time block; a twelfth of the periods where None, and four blocks at least.

    Raises:
        FractileError: where shapes differ, a cost is not a number, the baseline costs nothing, or an option is unknown.
    """
    _check(level, clusters, baseline, cost)
    if baseline.shape != cost.shape or baseline.ndim != 3:
        raise FractileError(
            f"costs must share one shape (paths, periods, items), got {baseline.shape} and {cost.shape}"
        )
    total = baseline.sum()
    if total <= 0:
        raise FractileError(
            f"the baseline costs {total:g} in all: a saving is a share of a positive cost; choose another baseline, or "
            "give the difference of the costs to mean_interval"
        )
    ratio = cost.sum() / total
    error, freedom, used = _standard_error((ratio * baseline - cost) / total, baseline / total, clusters, block)
    reach = stats.t.ppf((1 + level) / 2, freedom) * error if freedom else np.inf
    return Saving(float(1 - ratio), float(1 - ratio - reach), float(1 - ratio + reach), error, freedom, used)


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
    block: int | None = None,
) -> Interval:
    """Return the mean of a cost with its interval; clusters as in `paired_saving`.

    Args:
        values: shape (paths, periods, items).
        weight: how much each cell counts, >= 0, the shape of `values`; all the same where None. A cell whose value
            is not known has a weight of 0, and any value.
        level: of the interval.
        clusters: see `paired_saving`.
        block: likewise.
    """
    weight = np.ones(values.shape) if weight is None else weight
    _check(level, clusters, values, weight)
    if weight.shape != values.shape or (weight < 0).any() or not weight.any():
        raise FractileError("weight must have the shape of values, none below 0 and one above; leave it out to average")
    share = weight / weight.sum()
    mean = float((share * values).sum())
    error, freedom, _ = _standard_error(share * (values - mean), share, clusters, block)
    reach = stats.t.ppf((1 + level) / 2, freedom) * error if freedom else np.inf
    return Interval(mean, float(mean - reach), float(mean + reach), error)


def _check(level: float, clusters: str, *costs: FloatArray) -> None:
    if not 0 < level < 1:
        raise FractileError(f"level must lie between 0 and 1, got {level}; 0.95 is usual")
    if clusters not in get_args(Clusters):
        raise FractileError(f"unknown clusters {clusters!r}{did_you_mean(clusters, get_args(Clusters))}")
    if not all(np.isfinite(cost).all() for cost in costs):
        raise FractileError("costs must be finite numbers; leave out the item-periods without one")


def _standard_error(
    influence: FloatArray, weight: FloatArray, clusters: Clusters, block: int | None
) -> tuple[float, int, str]:
    """Return the standard error of the summed influence, its degrees of freedom and the clusters used."""
    paths, _, items = influence.shape
    both = np.stack([influence, weight])
    if clusters == "path" or (clusters == "auto" and paths >= MANY_PATHS):
        if paths < 2:
            raise FractileError("clusters='path' needs two or more paths; use 'item_time'")
        return float(np.sqrt(_one_way(both.sum((2, 3))))), paths - 1, "path"
    periods = both.shape[2]
    size = max(1, min(block or periods // 12, periods // FEWEST_BLOCKS))
    # Sums over blocks of periods, shape (2, blocks, items); a short rest joins the last block.
    cells = np.add.reduceat(both.sum(1), np.arange(0, periods - periods % size, size), axis=1)
    by_item, by_block = cells.sum(1), cells.sum(2)
    blocks = by_block.shape[1]
    if items == 1:
        return float(np.sqrt(_one_way(by_block))), blocks - 1, "item_time"
    if blocks == 1:
        return float(np.sqrt(_one_way(by_item))), items - 1, "item_time"
    parts = _one_way(by_item), _one_way(by_block)
    two_way = sum(parts) - _one_way(cells.reshape(2, -1))
    return float(np.sqrt(np.nanmax([two_way, *parts]))), min(items, blocks) - 1, "item_time"


def _one_way(sums: FloatArray) -> float:
    """Return the variance of a sum of independent clusters, by leaving out one cluster at a time.

    Without cluster g, with its influence s_g and its share w_g of the weight, the estimate moves by s_g / (1 − w_g).
    Where all weigh the same this is the usual factor G / (G − 1); where a few clusters carry most of the cost, that
    factor alone would make intervals too narrow.

    Args:
        sums: influence and weight of each cluster, shape (2, clusters).
    """
    influence, rest = sums[0], 1.0 - sums[1]
    nothing_left = np.where(np.abs(influence) < NOTHING, 0.0, np.inf)
    moves = np.divide(influence, rest, out=nothing_left, where=np.abs(rest) > NOTHING)
    return float((moves**2).sum() * (len(moves) - 1) / len(moves))
