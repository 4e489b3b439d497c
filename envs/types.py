"""The types that everything about stock is written in: state, parameters, scenario, observation, trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import FractileError, Faults
from ..forecasters.forecast import FloatArray, IntArray, QuantileForecast
from .backend import Array


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


Number = float | FloatArray


@dataclass(frozen=True, eq=False)
class ItemParams:
    """Lead times, costs and order rules; each a scalar or an array that broadcasts to (paths, items).

    Attributes:
        lead_time: periods from order to receipt, integers >= 0. [L]
        review_period: an order may be placed in periods 0, R, 2R, …; integers >= 1. [R]
        holding_cost: money per unit on hand at a period's end. [h]
        stockout_cost: money per unit short at a period's end. [b]
        fixed_order_cost: money per order placed. [K]
        unit_cost: money per unit ordered. [c]
        price: money per unit of demand that is accepted (sold at once or backordered); 0 where costs are
            minimised and the lost margin is in `stockout_cost`. [p]
        unmet_demand: "lost", "backorder", or the share of unmet demand that is lost, in [0, 1].
        pack_size: orders are multiples of it; None = any quantity. 1 = whole units.
        minimum_order: smallest order that is not zero; None = none.
        maximum_order: largest order; None or infinity = none.
        shelf_life: periods until stock perishes; only None is simulated here.
        discount: factor a period on later costs, in (0, 1].
        salvage_value: money back per unit on hand behind the last period.

    Raises:
        FractileError: with every field that breaks its rule.
    """

    lead_time: int | IntArray = 0
    review_period: int | IntArray = 1
    holding_cost: Number = 1.0
    stockout_cost: Number = 9.0
    fixed_order_cost: Number = 0.0
    unit_cost: Number = 0.0
    price: Number = 0.0
    unmet_demand: Literal["lost", "backorder"] | Number = "lost"
    pack_size: Number | None = None
    minimum_order: Number | None = None
    maximum_order: Number | None = None
    shelf_life: int | None = None
    discount: float = 1.0
    salvage_value: Number = 0.0
    _arrivals: dict[int, FloatArray | None] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        faults = Faults()
        for name, low, whole in _RULES:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _checked(name, value, low, whole, faults))
        object.__setattr__(self, "unmet_demand", _checked_unmet(self.unmet_demand, faults))
        if self.shelf_life is not None:
            faults.add("shelf_life must be None: stock that ages is not simulated by this system")
        if not 0 < self.discount <= 1:
            faults.add(f"discount must lie in (0, 1], got {self.discount}; 1 means no discount")
        faults.raise_if_any()
        _check_order_rules(self)

    @property
    def critical_ratio(self) -> Number:
        """The share of periods in which demand should be met: b / (b + h)."""
        return self.stockout_cost / (self.stockout_cost + self.holding_cost)

    @property
    def protection_interval(self) -> Any:
        """Periods of demand that an order must last for: L + R."""
        return self.lead_time + self.review_period

    @cached_property
    def lost_share(self) -> Number:
        """Share of unmet demand that is lost: 1 for lost sales, 0 for backorders."""
        named = {"lost": 1.0, "backorder": 0.0}
        return named[self.unmet_demand] if isinstance(self.unmet_demand, str) else self.unmet_demand

    @cached_property
    def slots(self) -> int:
        """Slots that the pipeline needs: the longest lead time."""
        return int(np.max(self.lead_time))

    def arrivals_into(self, slots: int) -> FloatArray | None:
        """Return one-hot arrivals (slots + 1, ..., items), or None where every order goes to the last slot."""
        if slots not in self._arrivals:
            slot = np.arange(slots + 1).reshape(-1, *[1] * max(np.ndim(self.lead_time), 2))
            last = np.min(self.lead_time) == slots
            self._arrivals[slots] = None if last else (slot == np.asarray(self.lead_time)).astype(np.float64)
        return self._arrivals[slots]

    @cached_property
    def order_rules(self) -> bool:
        """Whether any of pack size, minimum and maximum order applies."""
        return any(x is not None for x in (self.pack_size, self.minimum_order, self.maximum_order))

    def select(self, items: Array) -> ItemParams:
        """Return the parameters of some items; scalars stay scalars."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return replace(self, **{k: v[..., items] for k, v in arrays.items() if isinstance(v, np.ndarray)})

    def per_path(self, items: IntArray) -> ItemParams:
        """Return parameters for paths that hold one item each: shape (len(items), 1)."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return replace(self, **{k: v[items, None] for k, v in arrays.items() if isinstance(v, np.ndarray)})


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
    """

    demand: Array
    forecasts: Sequence[QuantileForecast] | None = None
    arrivals: Array | None = None
    prices: Array | None = None

    def __post_init__(self) -> None:
        if self.demand.ndim != 3:
            raise FractileError(f"demand must have the shape (paths, periods, items), got {tuple(self.demand.shape)}")
        if self.forecasts is not None and len(self.forecasts) != self.periods:
            raise FractileError(
                f"forecasts must be one a period: {self.periods} periods, {len(self.forecasts)} forecasts"
            )

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

    def forecast(self, period: int) -> QuantileForecast | None:
        """Return the forecast that is valid when `period` begins."""
        return None if self.forecasts is None else self.forecasts[period]


@dataclass(frozen=True, eq=False)
class Observation:
    """What a policy may know when period t begins: nothing of that period's demand.

    Attributes:
        period: t, counted from 0.
        net_inventory: units, shape (paths, items). [IN]
        pipeline: units, shape (slots, paths, items); slot k arrives in k periods.
        params: costs, lead times and order rules.
        forecast: made before D_t, values (items, 1 or paths, horizon, Q); horizon 1 is period t.
    """

    period: int
    net_inventory: Array
    pipeline: Array
    params: ItemParams
    forecast: QuantileForecast | None = None

    @property
    def on_order(self) -> Array:
        """Units under way, shape (paths, items)."""
        return self.pipeline.sum(0)

    @property
    def inventory_position(self) -> Array:
        """Net inventory plus units under way, shape (paths, items). [IP]"""
        return self.net_inventory + self.on_order if len(self.pipeline) else self.net_inventory

    def known_forecast(self) -> QuantileForecast:
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


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What happened when a policy met a scenario, each array of shape (paths, periods − warm_up, items).

    Attributes:
        order, received, sales, shortfall, on_hand: units.
        cost: money.
        demand: units.
        params: what the costs were charged with.
    """

    order: FloatArray
    received: FloatArray
    sales: FloatArray
    shortfall: FloatArray
    on_hand: FloatArray
    cost: FloatArray
    demand: FloatArray
    params: ItemParams = field(repr=False)

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
        return self.params.fixed_order_cost * (self.order > 0) + self.params.unit_cost * self.order

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


# Field, smallest value, whether whole numbers only.
_RULES = (
    ("lead_time", 0, True),
    ("review_period", 1, True),
    ("holding_cost", 0, False),
    ("stockout_cost", 0, False),
    ("fixed_order_cost", 0, False),
    ("unit_cost", 0, False),
    ("price", 0, False),
    ("pack_size", 0, False),
    ("minimum_order", 0, False),
    ("maximum_order", 0, False),
    ("salvage_value", 0, False),
)


def _checked(name: str, value: Any, low: float, whole: bool, faults: Faults) -> Any:
    """Return a Python number or a numpy array of the right type; keep a fault where the rule is broken."""
    kind = "an integer" if whole else "a number"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        faults.add(f"{name} must be {kind} >= {low}, got {value!r}")
        return value
    finite = np.isfinite(array) | ((array == np.inf) & (name == "maximum_order"))
    bad = ~finite | (array < low) | (whole & (array != np.floor(array)))
    if bad.any():
        shown = array[bad].flat[0]
        faults.add(f"{name} must be {kind} >= {low}, got {shown:g}" + _remedy(name, shown))
        return value
    array = array.astype(np.int64) if whole else array
    return array.item() if array.ndim == 0 else array


def _remedy(name: str, value: float) -> str:
    if name == "lead_time" and np.isfinite(value) and value > 0:
        return "; round it or model it as random through arrivals"
    return ""


def _checked_unmet(value: Any, faults: Faults) -> Any:
    if isinstance(value, str):
        if value not in ("lost", "backorder"):
            faults.add(f"unmet_demand must be 'lost', 'backorder' or a share in [0, 1], got {value!r}")
        return value
    share = _checked("unmet_demand", value, 0, False, faults)
    if np.any(np.asarray(share, dtype=np.float64) > 1):
        faults.add(f"unmet_demand as a share that is lost must be at most 1, got {value}")
    return share


def _check_order_rules(params: ItemParams) -> None:
    faults = Faults()
    for name in ("pack_size", "maximum_order"):
        value = getattr(params, name)
        if value is not None and np.any(np.asarray(value) <= 0):
            faults.add(f"{name} must be above 0, got {np.min(value):g}; use None for none")
    if params.minimum_order is not None and params.maximum_order is not None:
        if np.any(np.asarray(params.minimum_order) > np.asarray(params.maximum_order)):
            faults.add("minimum_order must not exceed maximum_order")
    faults.raise_if_any()


