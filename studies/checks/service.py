"""Whether stock and forecasts cover what the critical ratio asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...envs.core.forecast_features import fractile_of
from ...envs.core.types import ItemParams, Scenario, Trajectory
from ..statistics import Clusters, Interval, mean_interval
from .retuning import SURE

MET = 1e-9
"""Shortfalls below it are rounding errors."""


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
    totals, demand = scenario.protection_totals, np.asarray(scenario.demand, dtype=np.float64)
    span = np.broadcast_to(np.asarray(params.protection_interval), demand.shape[::2]).astype(np.int64)
    last = scenario.periods - int(span.max())
    if totals is None or last < first:
        return None
    paths, _, items = demand.shape
    until = np.concatenate([np.zeros((paths, 1, items)), np.cumsum(demand, axis=1)], axis=1)
    most, least = [], []
    path, item = np.ogrid[:paths, :items]
    for t in range(first, last + 1):
        needed = until[path, t + span, item] - until[:, t]
        level = np.broadcast_to(fractile_of(totals.totals[t], params.critical_ratio), needed.shape)
        most.append(needed <= np.ceil(level - MET))
        least.append(needed < np.floor(level + MET))
    upper, lower = (_coverage(np.stack(x, axis=1).astype(np.float64), params, clusters) for x in (most, least))
    return upper, lower


def _coverage(covered: FloatArray, params: ItemParams, clusters: Clusters) -> Coverage:
    promised = np.broadcast_to(np.asarray(params.critical_ratio), covered.shape[::2])[:, None]
    gap = mean_interval(covered - promised, level=SURE, clusters=clusters)
    return Coverage(float(covered.mean()), float(promised.mean()), gap)
