"""Whether stock and forecasts cover what the critical ratio asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...envs.core.forecast_features import fractile_of
from ...envs.core.types import ItemParams, Scenario, Trajectory
from ..statistics import Clusters, Interval, mean_interval
from .retuning import SURE

MET = 1e-9
"""Shortfalls below it are rounding errors."""
LOW = 0.1587
"""A standard deviation below the middle of a normal distribution."""
FEWEST_ITEMS = 8
"""Items of each half that must sell a few units, so that their deviations have quantiles."""


@dataclass(frozen=True)
class Coverage:
    """A share of item-periods beside the share that was promised.

    Attributes:
        share: of item-periods that are covered.
        promised: mean critical ratio of the same item-periods.
        gap: share − promised, with its interval.
    """

    share: float
    promised: float
    gap: Interval

    def falls_short(self, by: float) -> bool:
        """Whether less is covered than promised, by more than this share and beyond chance."""
        return self.gap.mean < -by and self.gap.high < 0

    def exceeds(self, by: float) -> bool:
        """Whether more is covered than promised, by more than this share and beyond chance."""
        return self.gap.mean > by and self.gap.low > 0


def service(trajectory: Trajectory, params: ItemParams, *, clusters: Clusters = "auto") -> Coverage:
    """Compare the share of item-periods that end without a shortfall with the critical ratio.

    Under backorders, without order rules and fixed cost, the best order-up-to level ends a share of b / (b + h) of its
    periods without a shortfall, or more where demand comes in whole units. Lost sales leave fewer shortfalls.
    """
    met = (np.asarray(trajectory.shortfall) <= MET).astype(np.float64)
    return _coverage(met, params, clusters)


def forecast_coverage(
    scenario: Scenario, params: ItemParams, first: int, *, clusters: Clusters = "auto"
) -> tuple[Coverage, Coverage] | None:
    """Compare how often demand stays below the forecast's critical fractile with the critical ratio.

    The demand is that of the protection interval, whose fractile is bought. Demand in whole units has no fractile that
    is met with exactly that probability: a good forecast's covers the ratio from above and, without the unit that it
    falls into, from below.

    Args:
        scenario: demand and forecasts, with totals over the protection interval.
        params: lead times and costs.
        first: periods at the start that do not count.
        clusters: see `mean_interval`.

    Returns:
        Coverage with and without the unit that the fractile falls into; None where nothing is forecast or the
        scenario is too short.
    """
    most, least = [], []
    for _, level, needed in _protected(scenario, params, first):
        most.append(needed <= np.ceil(level - MET))
        least.append(needed < np.floor(level + MET))
    if not most:
        return None
    upper, lower = (_coverage(np.stack(x, axis=1).astype(np.float64), params, clusters) for x in (most, least))
    return upper, lower


def forecast_spread(scenario: Scenario, params: ItemParams, first: int) -> tuple[float, float] | None:
    """Compare how far items deviate from their forecasts with how far the forecasts say.

    Deviations of demand over the protection interval are divided by half the distance between the forecast's 16 and
    84 % quantiles; half the distance between the same quantiles of them, over the items of one period, is 1 where
    forecasts are right, averaged over periods. Shocks that all items share move a period's deviations together: they
    make it smaller, never larger, so that forecasts that are too sure of themselves are found in spite of them.

    Args:
        scenario: demand and forecasts, with totals over the protection interval.
        params: lead times.
        first: periods at the start that do not count.

    Returns:
        The average of each half of the items; None where nothing is forecast, or too few items sell a few units.
    """
    found = []
    for t, level, needed in _protected(scenario, params, first):
        total = scenario.protection_totals.totals[t]  # type: ignore[union-attr]  # else nothing is protected
        low, middle, high = (np.broadcast_to(fractile_of(total, q), level.shape) for q in (LOW, 0.5, 1 - LOW))
        scale = (high - low) / 2
        wide = (scale >= 1.0).all(0)
        halves = np.arange(level.shape[1]) % 2
        if min((wide & (halves == k)).sum() for k in (0, 1)) < FEWEST_ITEMS:
            return None
        score = (needed - middle) / np.maximum(scale, 1.0)
        parts = [score[:, wide & (halves == k)] for k in (0, 1)]
        found.append([float(np.mean(np.ptp(np.quantile(part, [LOW, 1 - LOW], axis=1), axis=0))) / 2 for part in parts])
    if not found:
        return None
    one, other = np.mean(found, axis=0)
    return float(one), float(other)


def _protected(scenario: Scenario, params: ItemParams, first: int) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Yield a period, the critical fractile of demand over its protection interval, and that demand; (paths, items)."""
    totals, demand = scenario.protection_totals, np.asarray(scenario.demand, dtype=np.float64)
    paths, _, items = demand.shape
    span = np.broadcast_to(np.asarray(params.protection_interval), (paths, items)).astype(np.int64)
    if totals is None:
        return
    until = np.concatenate([np.zeros((paths, 1, items)), np.cumsum(demand, axis=1)], axis=1)
    path, item = np.ogrid[:paths, :items]
    for t in range(first, scenario.periods - int(span.max()) + 1):
        needed = until[path, t + span, item] - until[:, t]
        yield t, np.broadcast_to(fractile_of(totals.totals[t], params.critical_ratio), needed.shape), needed


def _coverage(covered: FloatArray, params: ItemParams, clusters: Clusters) -> Coverage:
    promised = np.broadcast_to(np.asarray(params.critical_ratio), covered.shape[::2])[:, None]
    gap = mean_interval(covered - promised, level=SURE, clusters=clusters)
    return Coverage(float(covered.mean()), float(promised.mean()), gap)
