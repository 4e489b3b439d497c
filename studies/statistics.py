"""Paired savings with intervals that hold under shocks common to all items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ..errors import FractileError
from ..forecasters.forecast import FloatArray

Clusters = Literal["auto", "path", "item_time"]

MANY_PATHS = 20
"""Independent paths from which on "auto" clusters by path."""
FEWEST_BLOCKS = 4


@dataclass(frozen=True)
class Saving:
    """What a policy saves, as a share of the baseline's cost.

    Attributes:
        saving: 1 − Σ cost / Σ baseline.
        low: lower end of the interval.
        high: upper end.
        standard_error: of the saving.
        degrees_of_freedom: of the t distribution behind the interval.
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
    """Return what a policy saves against a baseline that met the same demand.

    The saving is a ratio of sums; its error follows from the influence of each cell,
    `(ratio · baseline − cost) / Σ baseline` (delta method), summed over clusters. "path": paths are independent
    replications. "item_time": cells share shocks over the items of a time block and over the time of an item
    (two-way clusters, Cameron, Gelbach and Miller 2011), as in a backtest on one realised history.

    Args:
        baseline: money, shape (paths, periods, items).
        cost: of the policy, likewise.
        level: of the interval, in (0, 1).
        clusters: "path", "item_time", or "auto": by path where there are `MANY_PATHS`.
        block: periods in a time block; a twelfth of the periods where None, and four blocks at least.

    Raises:
        FractileError: where shapes differ or the baseline costs nothing.
    """
    if baseline.shape != cost.shape or baseline.ndim != 3:
        raise FractileError(
            f"costs must share one shape (paths, periods, items), got {baseline.shape} and {cost.shape}"
        )
    total = baseline.sum()
    if total <= 0:
        raise FractileError(f"the baseline costs {total:g} in all: a saving is a share of a positive cost")
    ratio = cost.sum() / total
    error, freedom, used = _standard_error((ratio * baseline - cost) / total, clusters, block)
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
    values: FloatArray, *, level: float = 0.95, clusters: Clusters = "auto", block: int | None = None
) -> Interval:
    """Return the mean of a cost with its interval; clusters as in `paired_saving`.

    Args:
        values: shape (paths, periods, items).
        level: of the interval.
        clusters: see `paired_saving`.
        block: likewise.
    """
    mean = float(values.mean())
    error, freedom, _ = _standard_error((values - mean) / values.size, clusters, block)
    reach = stats.t.ppf((1 + level) / 2, freedom) * error if freedom else np.inf
    return Interval(mean, float(mean - reach), float(mean + reach), error)


def _standard_error(influence: FloatArray, clusters: Clusters, block: int | None) -> tuple[float, int, str]:
    """Return the standard error of the summed influence, its degrees of freedom and the clusters used."""
    paths, _, items = influence.shape
    if clusters == "path" or (clusters == "auto" and paths >= MANY_PATHS):
        if paths < 2:
            raise FractileError("clusters='path' needs two or more paths; use 'item_time'")
        return float(np.sqrt(_one_way(influence.sum((1, 2))))), paths - 1, "path"
    cells = _by_block(influence.sum(0), block)
    by_item, by_block = cells.sum(0), cells.sum(1)
    if items == 1:
        return float(np.sqrt(_one_way(by_block))), len(by_block) - 1, "item_time"
    if len(by_block) == 1:
        return float(np.sqrt(_one_way(by_item))), items - 1, "item_time"
    parts = _one_way(by_item), _one_way(by_block)
    variance = max(sum(parts) - _one_way(cells.reshape(-1)), *parts)
    return float(np.sqrt(variance)), min(items, len(by_block)) - 1, "item_time"


def _by_block(cells: FloatArray, block: int | None) -> FloatArray:
    """Sum (periods, items) over blocks of periods; a short rest joins the last block."""
    periods = len(cells)
    size = max(1, min(block or periods // 12, periods // FEWEST_BLOCKS))
    return np.add.reduceat(cells, np.arange(0, periods - periods % size, size), axis=0)


def _one_way(sums: FloatArray) -> float:
    """The variance of a sum of independent clusters, with the small-sample factor G / (G − 1)."""
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))
