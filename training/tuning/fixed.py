"""Policies with fixed parameters: their coordinates, in which the untuned form is the origin.

A level is the fractile of demand over the protection interval that the costs ask for (a gamma distribution with the
mean and the variance of the stretch), and a number of standard deviations beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import gamma, norm

from ...arrays import BoolArray, FloatArray
from ...envs.core.params import ItemParams
from ...envs.core.types import Scenario
from ...envs.demand.distributions import Discrete
from ...envs.demand.independent import IndependentDemand
from ...errors import FractileError
from ...policies.base import Policy
from ...policies.base_stock import (
    BaseStock,
    CappedBaseStock,
    ConstantOrder,
    EstimatedWaste,
    ReorderPointOrderUpTo,
    ReorderPointQuantity,
)
from ...policies.newsvendor import ProjectedLevel
from .search import Axis

NO_CAP = float("inf")


@dataclass(frozen=True, eq=False)
class History:
    """What a stretch says about demand, item by item, and what its orders must protect against.

    Attributes:
        scenario: demand.
        params: lead times and costs.
        counts: which periods say something, (paths, periods, columns): see `candidates.selling`.
        mean: units a period, (columns,).
        deviation: standard deviation of a period's demand, units, at least that of a Poisson's half, (columns,).
        whole: demand comes in whole units.
    """

    scenario: Scenario
    params: Any
    counts: BoolArray
    mean: FloatArray = field(init=False)
    deviation: FloatArray = field(init=False)
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        demand = np.asarray(self.scenario.demand)
        number = np.maximum(self.counts.sum((0, 1)), 1)
        # What has no period that counts has no demand to come.
        mean = (demand * self.counts).sum((0, 1)) / number
        variance = (((demand - mean) ** 2) * self.counts).sum((0, 1)) / number
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "deviation", np.sqrt(np.maximum(variance, 0.25 * mean)))
        object.__setattr__(self, "whole", bool(np.all(demand == np.rint(demand))))

    def over(self, periods: Any) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of demand summed over some periods, units, each (columns,)."""
        span = np.broadcast_to(np.asarray(periods, dtype=np.float64), self.mean.shape)
        return self.mean * span, np.maximum(self.deviation * np.sqrt(span), 1e-6)

    def level(self, periods: Any, ratio: Any) -> FloatArray:
        """Return the fractile of demand summed over some periods, units, (columns,)."""
        mean, deviation = self.over(periods)
        shape = np.maximum(mean, 1e-9) ** 2 / deviation**2
        return np.where(mean > 0, gamma.ppf(np.clip(ratio, 0.01, 0.9999), shape, scale=deviation / np.sqrt(shape)), 0.0)

    def typical(self, periods: Any, holding: Any, stockout: Any) -> FloatArray:
        """Return the newsvendor's cost for normal demand over some periods, money, (columns,)."""
        both = np.asarray(stockout + holding, dtype=np.float64)
        ratio = np.divide(stockout, both, out=np.full(both.shape, 0.5), where=both > 0).clip(0.01, 0.9999)
        cost = (holding + stockout) * norm.pdf(norm.ppf(ratio)) * self.over(periods)[1]
        return np.maximum(np.broadcast_to(cost, self.mean.shape), 1e-9)


@dataclass(frozen=True, eq=False)
class Form:
    """How a policy's parameters follow from coordinates.

    Attributes:
        axes: the first grid.
        make: from coordinates (..., columns, k) to the policy.
        unit: units of a parameter that a step of one in each coordinate moves it by, (columns, k).
        typical: what costs of an item are divided by, money, (columns,).
        fine: parameters need not be whole units where demand is.
    """

    axes: tuple[Axis, ...]
    make: Callable[[FloatArray], Policy]
    unit: FloatArray
    typical: FloatArray
    fine: bool = False

    @property
    def origin(self) -> FloatArray:
        """The untuned form's coordinates, (k,)."""
        return np.array([axis.origin for axis in self.axes])


LEVELS = tuple(float(u) for u in np.round(np.arange(-3.0, 2.01, 0.25), 2))
COARSE_LEVELS = tuple(float(u) for u in np.round(np.arange(-2.5, 1.51, 0.5), 2))
PROJECTED = tuple(float(u) for u in np.round(np.arange(-1.5, 2.01, 0.25), 2))
CAPS = (*(float(v) for v in np.round(np.arange(-0.5, 2.01, 0.25), 2)), NO_CAP)
ORDERS = tuple(float(v) for v in np.round(np.arange(-1.0, 0.31, 0.05), 2))
TOPS = tuple(float(v) for v in np.round(np.arange(-2.0, 1.01, 0.25), 2))
SIZES = tuple(float(v) for v in np.round(np.arange(-1.0, 1.01, 0.25), 2))


def item_params(params: Any, name: str) -> ItemParams:
    """Return the parameters of items, or refuse a network."""
    if not isinstance(params, ItemParams):
        raise FractileError(f"{name} is tuned for items, got {type(params).__name__}; give ItemParams")
    return params


def base_stock(history: History, policy: Callable[[Any], Policy] = BaseStock) -> Form:
    """One level, S."""
    params = item_params(history.params, "base_stock")
    start = history.level(params.protection_interval, params.critical_ratio)
    deviation = history.over(params.protection_interval)[1]

    def make(u: FloatArray) -> Policy:
        return policy(_units(start + u[..., 0] * deviation, history))

    return Form((Axis("the level", LEVELS),), make, deviation[:, None], _typical(history, params))


def estimated_waste(history: History) -> Form:
    """One level, S."""
    return base_stock(history, EstimatedWaste)


def capped_base_stock(history: History) -> Form:
    """A level S and a cap r, which the untuned form has not."""
    params = item_params(history.params, "capped_base_stock")
    start = history.level(params.protection_interval, params.critical_ratio)
    deviation = history.over(params.protection_interval)[1]
    mean, spread = history.over(params.review_period)

    def make(u: FloatArray) -> Policy:
        cap = np.where(np.isfinite(u[..., 1]), mean + np.where(np.isfinite(u[..., 1]), u[..., 1], 0.0) * spread, np.inf)
        return CappedBaseStock(_units(start + u[..., 0] * deviation, history), _units(cap, history))

    axes = (Axis("the level", LEVELS), Axis("the cap", CAPS, origin=NO_CAP))
    return Form(axes, make, np.stack([deviation, spread], axis=-1), _typical(history, params))


def constant_order(history: History) -> Form:
    """One quantity; untuned it is mean demand from review to review."""
    params = item_params(history.params, "constant_order")
    mean = history.over(params.review_period)[0]

    def make(u: FloatArray) -> Policy:
        quantity = np.maximum(mean * (1.0 + u[..., 0]), 0.0)
        return ConstantOrder(np.rint(quantity) if params.pack_size is not None else quantity)

    axis = Axis("the quantity", ORDERS, lowest=-1.0, unit="times mean demand beyond it")
    return Form((axis,), make, np.maximum(mean, 1e-6)[:, None], _typical(history, params))


def _lots(history: History, params: ItemParams) -> tuple[FloatArray, FloatArray]:
    """Return the economic order quantity, at least one unit, and the reorder point that goes with it."""
    demand, holding = np.maximum(history.mean, 1e-9), np.maximum(np.asarray(params.holding_cost, np.float64), 1e-9)
    size = np.sqrt(2.0 * np.asarray(params.fixed_order_cost) * demand / holding)
    if params.minimum_order is not None:
        size = np.maximum(size, np.where(np.isfinite(params.minimum_order), params.minimum_order, 0.0))
    size = np.maximum(size, 1.0 if history.whole else 1e-6)
    # A cycle of Q/μ periods ends in a stock-out as often as makes another unit worth its holding (Silver et al. 2017).
    # A cycle is a review at least.
    cycle = np.maximum(size, demand * np.asarray(params.review_period))
    ratio = 1.0 - holding * cycle / (np.asarray(params.stockout_cost) * demand + holding * cycle)
    return size, history.level(params.protection_interval, ratio)


def ss(history: History) -> Form:
    """A reorder point s and a level S; untuned the reorder point of the economic order quantity, and that above it."""
    params = item_params(history.params, "ss")
    size, start = _lots(history, params)
    deviation = history.over(params.protection_interval)[1]
    least, reach = 1.0 if history.whole else 0.0, np.maximum(size, deviation)

    def make(u: FloatArray) -> Policy:
        # The best s for a given S is one valley: the level moves by itself.
        level = start - least + size + reach * u[..., 1]
        level = np.maximum(np.rint(level) if history.whole else level, least)
        point = _signed(start - least + u[..., 0] * deviation, history, params)
        return ReorderPointOrderUpTo(np.minimum(point, level - least), level)

    axes = (Axis("the reorder point", COARSE_LEVELS), Axis("the level", TOPS, unit="lots"))
    return Form(axes, make, np.stack([deviation, reach], axis=-1), _typical(history, params))


def rq(history: History) -> Form:
    """A reorder point s and a lot Q; untuned the economic order quantity and its reorder point."""
    params = item_params(history.params, "rq")
    size, start = _lots(history, params)
    deviation = history.over(params.protection_interval)[1]

    def make(u: FloatArray) -> Policy:
        point = _signed(start - 1.0 * history.whole + u[..., 0] * deviation, history, params)
        lot = np.maximum(size * (1.0 + u[..., 1]), 0.02 * size)
        return ReorderPointQuantity(point, np.maximum(np.rint(lot), 1.0) if history.whole else lot)

    axes = (Axis("the reorder point", COARSE_LEVELS), Axis("the lot", SIZES, lowest=-1.0, unit="lots"))
    return Form(axes, make, np.stack([deviation, size], axis=-1), _typical(history, params))


def projected_level(history: History, demand: IndependentDemand | None = None) -> Form:
    """One level of expected stock, U; demand is the stretch's own frequencies where no model is given."""
    params = item_params(history.params, "projected_level")
    if demand is None:
        seen = np.asarray(history.scenario.demand)
        if not history.whole:
            raise FractileError("projected_level needs demand in whole units; round it, or tune 'tuned_projected'")
        demand = Discrete.empirical(seen.reshape(-1, seen.shape[2]))
    known = demand
    start = history.level(params.review_period, params.critical_ratio)
    deviation = history.over(params.review_period)[1]

    def make(u: FloatArray) -> Policy:
        return ProjectedLevel(np.maximum(start + u[..., 0] * deviation, 0.0), known)

    return Form((Axis("the level", PROJECTED),), make, deviation[:, None], _typical(history, params), fine=True)


def _typical(history: History, params: ItemParams) -> FloatArray:
    return history.typical(params.protection_interval, params.holding_cost, params.stockout_cost)


def _units(level: FloatArray, history: History) -> FloatArray:
    """Levels that are not negative, whole where demand is."""
    level = np.maximum(level, 0.0)
    return np.rint(level) if history.whole else level


def _signed(level: FloatArray, history: History, params: ItemParams) -> FloatArray:
    """Reorder points: below zero only where demand waits."""
    level = level if np.all(np.asarray(params.lost_share) < 1) else np.maximum(level, -1.0)
    return np.rint(level) if history.whole else level
