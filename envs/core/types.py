"""The types that everything about stock is written in: state, parameters, scenario, observation, trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...arrays import MOST, Array, FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.demand_forecast import DemandForecast
from .backend import are_quantities, concatenate, first_fault, zeros
from .forecast_features import (
    ForecastFeatures,
    PeriodFeatures,
    ProtectionTotals,
    are_made,
    distinct,
    fractile_of,
    protection_total,
)
from .params import ItemParams, Number


class InventoryState(NamedTuple):
    """What a period begins with, before the order.

    Attributes:
        net_inventory: on hand minus backorders, units, shape (paths, items). [IN]
        pipeline: orders under way, units, shape (slots, paths, items); slot k arrives in k periods.
    """

    net_inventory: Array
    pipeline: Array

    @classmethod
    def empty(cls, paths: int, items: int, slots: int) -> InventoryState:
        """Nothing on hand, nothing under way."""
        return cls(np.zeros((paths, items)), np.zeros((slots, paths, items)))


class PeriodOutcome(NamedTuple):
    """What one period did, each in units and of shape (paths, items), the cost in money.

    Attributes:
        order: the feasible order that was placed. [q]
        received: units that arrived.
        sales: demand met from stock at once.
        shortfall: units short at the period's end: lost, or outstanding as backorders.
        on_hand: units in stock at the period's end.
        cost: holding + stock-out + ordering + purchase − revenue.
    """

    order: Array
    received: Array
    sales: Array
    shortfall: Array
    on_hand: Array
    cost: Array


@dataclass(frozen=True, eq=False)
class Scenario:
    """Everything that the policy cannot change.

    Attributes:
        demand: units, shape (paths, periods, items). [D]
        forecasts: one forecast a period, made before that period's demand; values (items, 1 or paths, horizon, Q).
            None where nothing is forecast.
        arrivals: the share of the order placed in period t that arrives k periods later, shape
            (slots + 1, paths or 1, periods, items); None = the constant lead times of the parameters.
        prices: money per unit, shape (paths or 1, periods, items); replaces the parameters' price.
        capacity: what all items share in each period, shape (paths or 1, periods); replaces the limit of the
            parameters' capacity.
        protection_totals: forecasts of demand over each item's protection interval, one a period, where they were
            computed beforehand: see `with_protection_totals`. Those of other forecasts are left out.
        features: what an encoder reads of the forecasts, where it was computed beforehand: see
            `ObservationEncoder.prepare`; likewise.

    Raises:
        FractileError: where shapes do not fit, or demand is negative, larger than `MOST` or not a number.
    """

    demand: Array
    forecasts: Sequence[DemandForecast] | None = None
    arrivals: Array | None = None
    prices: Array | None = None
    capacity: Array | None = None
    protection_totals: ProtectionTotals | None = field(default=None, repr=False)
    features: ForecastFeatures | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.demand.ndim != 3:
            raise FractileError(f"demand must have the shape (paths, periods, items), got {tuple(self.demand.shape)}")
        if isinstance(self.demand, np.ndarray) and not are_quantities(self.demand):
            path, period, item = first_fault(self.demand)
            wrong = "at most 1e+15" if MOST < self.demand[path, period, item] < np.inf else "finite and >= 0"
            raise FractileError(
                f"demand must be {wrong}, got {self.demand[path, period, item]:g} on path {path} in period "
                f"{period} of item {item}; clip it, or draw it from a distribution that is not negative"
            )
        if self.forecasts is not None and len(self.forecasts) != self.periods:
            raise FractileError(
                f"forecasts must be one a period: {self.periods} periods, {len(self.forecasts)} forecasts"
            )
        for name in ("protection_totals", "features"):
            found = getattr(self, name)
            if found is not None and found.forecasts is not self.forecasts:
                object.__setattr__(self, name, None)  # replace(scenario, forecasts=...) brings those of the old ones

    @property
    def paths(self) -> int:
        """Number of demand paths."""
        return int(self.demand.shape[0])

    @property
    def periods(self) -> int:
        """Number of periods."""
        return int(self.demand.shape[1])

    @property
    def items(self) -> int:
        """Number of items."""
        return int(self.demand.shape[2])

    def window(self, first: int, last: int) -> Scenario:
        """Return periods first ... last - 1."""
        span = slice(first, last)
        forecasts = None if self.forecasts is None else self.forecasts[span]
        totals = self.protection_totals
        if totals is not None and forecasts is not None:
            totals = replace(totals, forecasts=forecasts, totals=totals.totals[span])
        return Scenario(
            self.demand[:, span],
            forecasts,
            None if self.arrivals is None else self.arrivals[:, :, span],
            None if self.prices is None else self.prices[:, span],
            None if self.capacity is None else self.capacity[:, span],
            totals,
            None if self.features is None else self.features.window(first, last, forecasts),
        )

    def select(self, items: IntArray) -> Scenario:
        """Return the items at these positions; totals over the protection interval that were computed are kept."""
        if self.forecasts is None:
            forecasts, totals = None, None
        else:
            different, which = distinct(self.forecasts)
            some = [forecast.select(items) for forecast in different]
            forecasts = [some[k] for k in which]
            totals = None if self.protection_totals is None else self.protection_totals.select(items, forecasts)
        arrivals, prices = (None if x is None else x[..., items] for x in (self.arrivals, self.prices))
        return Scenario(self.demand[:, :, items], forecasts, arrivals, prices, self.capacity, totals)

    def forecast(self, period: int) -> DemandForecast | None:
        """Return the forecast that is valid when `period` begins."""
        return None if self.forecasts is None else self.forecasts[period]


def with_protection_totals(scenario: Scenario, params: Any) -> Scenario:
    """Sum the forecasts of all periods over each item's protection interval, once for all policies that read them.

    `fr.simulate` does so for policies that say so (`reads_protection_total`), and `fr.compare` once for all of them.

    Args:
        scenario: with or without forecasts.
        params: lead times and review periods of its items.

    Returns:
        The scenario itself where nothing is forecast, where it holds these totals, or where its forecasts are made
        one by one as they are read (`ForecastsOnPaths`): then so are their totals.
    """
    totals = scenario.protection_totals
    if totals is not None and totals.fits(params):
        return scenario
    if scenario.forecasts is None or not are_made(scenario.forecasts):
        return scenario
    return replace(scenario, protection_totals=ProtectionTotals.of(scenario.forecasts, params))


@dataclass(frozen=True)
class HistoryView:
    """What a policy sees of the past.

    Attributes:
        memory: periods that `Observation.history` holds.
        censored: show sales where demand was not met, instead of demand.
    """

    memory: int = 0
    censored: bool = False

    def __post_init__(self) -> None:
        if self.memory < 0:
            raise FractileError(f"memory must be an integer >= 0, got {self.memory}")

    def begin(self, like: Array) -> Array | None:
        """Return the history before the first period: zeros in the shape (memory, *like.shape), or None."""
        return zeros((self.memory, *like.shape), like) if self.memory else None

    def after(self, history: Array | None, demand: Array, sales: Array) -> Array | None:
        """Return the history after one more period."""
        if history is None:
            return None
        return concatenate([(sales if self.censored else demand)[None], history[:-1]])


@dataclass(frozen=True, eq=False)
class Observation:
    """What a policy may know when period t begins: nothing of that period's demand.

    Attributes:
        period: t, counted from 0.
        net_inventory: units, shape (paths, items). [IN]
        pipeline: units, shape (slots, paths, items); slot k arrives in k periods.
        params: costs, lead times and order rules of the items, or the network.
        forecast: made before D_t, values (items, 1 or paths, horizon, Q); horizon 1 is period t.
        stock: units on hand by remaining life, shape (ages, paths, items), where stock perishes; else None.
        history: what was seen of the periods just before, the last one first, shape (memory, paths, items): demand,
            or sales where demand is censored; zeros where nothing was before. None where nothing is remembered.
        total: the forecast of demand over the protection interval, where it was computed beforehand: read it with
            `protection_total`.
        features: what an encoder reads of the forecast, where it was computed beforehand.
    """

    period: int
    net_inventory: Array
    pipeline: Array
    params: Any
    forecast: DemandForecast | None = None
    stock: Array | None = None
    history: Array | None = None
    total: DemandForecast | None = field(default=None, repr=False)
    features: PeriodFeatures | None = field(default=None, repr=False)

    @property
    def on_order(self) -> Array:
        """Units under way, shape (paths, items)."""
        return self.pipeline.sum(0)

    @cached_property
    def inventory_position(self) -> Array:
        """Net inventory plus units under way, shape (paths, items). [IP]"""
        return self.net_inventory + self.on_order if len(self.pipeline) else self.net_inventory

    def known_forecast(self) -> DemandForecast:
        """Return the forecast.

        Raises:
            FractileError: where the scenario has none.
        """
        if self.forecast is None:
            raise FractileError(
                "this policy needs a forecast: give Scenario(forecasts=...), "
                "or draw the scenario from a demand model (model.scenario(...))"
            )
        return self.forecast

    def protection_total(self) -> DemandForecast:
        """Return the forecast of demand over each item's protection interval, L + R periods; a horizon of one.

        Raises:
            FractileError: where the scenario has no forecast.
        """
        return protection_total(self.known_forecast(), self.params) if self.total is None else self.total

    def protection_quantile(self, level: Any = None) -> FloatArray:
        """Return a quantile of demand over each item's protection interval, units, shape (1 or paths, items).

        Args:
            level: in (0, 1), one for all, or broadcasts to (paths, items); the critical ratio where None. [τ]

        Raises:
            FractileError: where the scenario has no forecast.
        """
        return fractile_of(self.protection_total(), self.params.critical_ratio if level is None else level)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What happened when a policy met a scenario, each array of shape (paths, periods − warm_up, items).

    Attributes:
        order, received, sales, shortfall, on_hand: units.
        cost: money.
        demand: units.
        params: what the costs were charged with.
        extra: what the system's outcomes hold besides, by name, e.g. `waste`.
    """

    order: FloatArray
    received: FloatArray
    sales: FloatArray
    shortfall: FloatArray
    on_hand: FloatArray
    cost: FloatArray
    demand: FloatArray
    params: Any = field(repr=False)
    extra: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)

    @property
    def mean_cost(self) -> float:
        """Cost per period and item."""
        return float(self.cost.mean())

    @property
    def holding(self) -> FloatArray:
        """Holding cost, money."""
        return self.params.holding_cost * self.on_hand

    @property
    def stockout(self) -> FloatArray:
        """Stock-out cost, money."""
        return self.params.stockout_cost * self.shortfall

    @property
    def ordering(self) -> FloatArray:
        """Fixed order cost plus purchase cost, money."""
        return np.asarray(self.params.ordering_cost(self.order))

    @property
    def waste(self) -> FloatArray:
        """Units that perished."""
        return self.extra.get("waste", np.zeros_like(self.on_hand))

    @property
    def waste_cost(self) -> FloatArray:
        """What perished units cost, money."""
        return getattr(self.params, "waste_cost", 0.0) * self.waste

    @property
    def fill_rate(self) -> float:
        """Share of demanded units met from stock at once."""
        return float(self.sales.sum() / self.demand.sum()) if self.demand.any() else 1.0

    @property
    def volatility_ratio(self) -> float:
        """Variance of orders over variance of demand, over time, averaged over paths and items."""
        variance = self.demand.var(1).mean()
        return float(self.order.var(1).mean() / variance) if variance > 0 else float("nan")

    @property
    def discounted_cost(self) -> FloatArray:
        """Cost of each path and item, discounted to the first period, shape (paths, items)."""
        weights = self.params.discount ** np.arange(self.cost.shape[1])
        return np.einsum("pti,t->pi", self.cost, weights)


__all__ = [
    "HistoryView",
    "InventoryState",
    "ItemParams",
    "Number",
    "Observation",
    "PeriodOutcome",
    "Scenario",
    "Trajectory",
    "with_protection_totals",
]
