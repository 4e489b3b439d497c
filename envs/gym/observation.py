"""From an observation to numbers that a network or an agent can read, and back from its action to an order.

This is the one place where observations are flattened. Everything is scale-free: units are divided by the item's
forecast demand per period, so that one network serves items that sell one a month and a thousand a day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np

from ...arrays import Array
from ...errors import FractileError
from ...forecasters.demand_forecast import DemandForecast
from ..core.backend import concatenate, indicator, is_torch, last, like, positive_part, softplus, zeros
from ..core.forecast_features import (
    ForecastFeatures,
    PeriodFeatures,
    are_made,
    by_origin,
    fractile_of,
    protection_total,
    shifted_ratio,
)
from ..core.types import Observation, Scenario

ActionMode = Literal["order_up_to", "order"]
"""What an agent's action in [−1, 1] moves."""

Head = Literal["order_up_to", "order", "direct", "reorder"]
"""What a network's output moves: an agent's modes, and two for outputs of any size."""

FEATURE_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
"""Levels of the quantiles that agents see."""

LEVEL_WEIGHTS = np.array([0.2, 0.2, 0.2, 0.2, 0.125, 0.045, 0.03])
"""The probability that each of `FEATURE_LEVELS` stands for: up to halfway to its neighbours."""

SOFTPLUS_ONE = float(np.log(np.expm1(1.0)))
"""softplus of it is 1: a network that puts out 0 orders the mean."""

WIDEST_FEATURE = 8.0
"""Standardised features are clipped to ± this, so that an outlier among items cannot throw a network."""

SMALLEST_SCALE = 0.05
"""Units per period; an item that hardly sells is scaled by this."""


class Encoder(Protocol):
    """Turns observations into features and actions into orders: one of ours, or a class of your own."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is."""

    @property
    def size(self) -> int:
        """Number of features."""

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, [items,] features)."""

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return orders, units, from actions, shape (paths, items or links)."""

    def collect(self, action: Array) -> Array:
        """Return a network's output as actions, shape (paths, items or links)."""

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""


class ItemFeatures(NamedTuple):
    """What `ObservationEncoder` reads of a forecast.

    Attributes:
        scale: forecast demand per period, units, shape (1 or paths, items).
        level: the newsvendor's level that actions move around, units, of that shape.
        reach: how far an action of 1 moves it, units, of that shape.
        mean: forecast demand of the period itself, units, of that shape; episodes begin around it.
        rest: the features that depend on nothing else, shape (features, paths, items).
        lot: the quantity worth a fixed cost, or the minimum order where it is more, units, of the shape of `scale`;
            0 where orders cost nothing fixed and may be of any size.
        cost: what the newsvendor costs per period by the forecast, money, of that shape; it weighs episodes alike.
    """

    scale: Array
    level: Array
    reach: Array
    mean: Array
    rest: Array
    lot: Array
    cost: Array


@runtime_checkable
class ForecastEncoder(Protocol):
    """What an `Encoder` may offer: to compute what it reads of forecasts beforehand, for many steps or episodes."""

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with the features of its forecasts."""

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> ForecastFeatures:
        """Return the features of forecasts of all items, which episodes pick theirs from."""

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast."""


@dataclass(frozen=True)
class ObservationEncoder:
    """Turns observations into features, shape (paths, items, features), and actions into orders.

    Attributes:
        slots: pipeline slots that are read; shorter pipelines are padded with zeros, and what is due later than the
            last slot is added to it, so that a network keeps its meaning for lead times that it was not built for.
        action: what an action in [−1, 1] moves: "order_up_to", the newsvendor's level by up to one protection
            interval's mean demand either way; or "order", the order itself, from none to `widest_order` times the
            mean demand of a period, 0 standing for the mean. Two more are for networks that are trained through the
            simulator, whose outputs have no bounds: "direct", the order as softplus times the mean demand of a
            period, 0 standing for the mean; and "reorder", two outputs, the level that is ordered up to and the
            smallest order that is placed, 0 standing for the newsvendor's level plus half of `ItemFeatures.lot` and
            for the lot.
        widest_order: see `action`.
        level_scale: factor on the newsvendor's level that actions move around.
        level_shift: added to the log-odds of its fractile; both as in a tuned newsvendor.
        ages: slots of stock by remaining life that are read, likewise; 0 where nothing perishes.
        memory: periods of the past that are read; zeros where there are fewer.
        shared: read how much of the shared capacity the newsvendor's orders of all items would use.
    """

    slots: int
    action: Head = "order_up_to"
    widest_order: float = 3.0
    level_scale: float = 1.0
    level_shift: float = 0.0
    ages: int = 0
    memory: int = 0
    shared: bool = False

    def __post_init__(self) -> None:
        if self.action not in get_args(Head):
            raise FractileError(f"action must be one of {', '.join(map(repr, get_args(Head)))}, got {self.action!r}")

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is; units are divided by mean demand per period."""
        quantiles = [f"quantile_{level:g}" for level in FEATURE_LEVELS]
        return (
            "net_inventory",
            *(f"arriving_{k + 1}" for k in range(self.slots)),
            *(f"perishing_{k + 1}" for k in range(self.ages)),
            *(f"past_{k + 1}" for k in range(self.memory)),
            "order_up_to_gap",
            *(["capacity_used"] if self.shared else []),
            *(f"protection_{name}" for name in quantiles),
            *(f"next_period_{name}" for name in quantiles),
            "order_up_to_level",
            "log_mean_demand",
            "critical_ratio",
            "lead_time",
        )

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.names)

    @property
    def of_forecast(self) -> int:
        """Number of features, the last ones of `names`, that depend on the forecast and the parameters alone."""
        return 2 * len(FEATURE_LEVELS) + 4

    def level(self, obs: Observation) -> Array:
        """Return the newsvendor's level that actions move around, units, shape (1 or paths, items)."""
        return self._features(obs).level

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, items, features), in the library of the observation."""
        found = self._features(obs)
        units, shares = self.of_state(obs, found)
        of_state = last(concatenate([x[None] for x in units])) / found.scale[..., None]
        return concatenate([of_state, *(x[..., None] for x in shares), last(found.rest)], axis=-1)

    def of_state(self, obs: Observation, found: ItemFeatures) -> tuple[list[Array], list[Array]]:
        """Return the features that depend on the state, the first ones of `names`, each of shape (paths, items).

        Args:
            obs: what is known.
            found: what was read of its forecast.

        Returns:
            Those in units, which are divided by `found.scale` yet, and those that are shares.
        """
        now = obs.net_inventory
        gap = found.level - obs.inventory_position
        units = [now, *fit_slots(obs.pipeline, self.slots, now)]
        if self.ages:
            units += [*fit_slots(obs.stock, self.ages, now)]
        if self.memory:
            # What lies further back than the encoder remembers is not read.
            past = None if obs.history is None else obs.history[: self.memory]
            units += [*fit_slots(past, self.memory, now)]
        shares = [capacity_used(positive_part(gap), obs) + zeros(tuple(now.shape), now)] if self.shared else []
        return [*units, gap], shares

    def collect(self, action: Array) -> Array:
        """Return a network's output (paths, items, outputs) as actions (paths, items), or (paths, items, 2)."""
        return action if self.outputs > 1 else action[..., 0]

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""
        return 2 if self.action == "reorder" else 1

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return the order that an action stands for.

        Args:
            action: shape (paths, items), any real; [−1, 1] covers the usual range. "reorder": (paths, items, 2).
            obs: what the action was chosen on.

        Returns:
            units, shape (paths, items). [q]
        """
        return self.order_of(action, obs, self._features(obs))

    def order_of(self, action: Array, obs: Observation, found: ItemFeatures) -> Array:
        """Return the order that an action stands for, given what was read of the forecast: see `decode`."""
        if self.action == "direct":
            return found.scale * softplus(action + SOFTPLUS_ONE)
        if self.action == "reorder":
            gap, smallest = self.gap_and_smallest(action, obs, found)
            return positive_part(gap) * indicator(gap >= smallest, gap)
        if self.action == "order":
            upward = (self.widest_order - 1.0) * positive_part(action)
            return positive_part(found.scale * (1.0 + upward - positive_part(-action)))
        return positive_part(found.level + found.reach * action - obs.inventory_position)

    def gap_and_smallest(self, action: Array, obs: Observation, found: ItemFeatures) -> tuple[Array, Array]:
        """Return the order up to the level, and the smallest order that is placed, from the actions of "reorder".

        Both in units, of shape (paths, items). With a constant S and Δ it is the (s, S) policy with s = S − Δ.
        """
        level = found.level + 0.5 * found.lot + (found.reach + found.lot) * action[..., 0]
        smallest = found.lot + (found.scale + found.lot) * action[..., 1]
        return level - obs.inventory_position, smallest

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with the features of all its forecasts, computed once for all steps.

        Args:
            scenario: with forecasts. Where it has none, or they are made one by one as they are read, it stays as it
                is: the features of such a forecast are computed from the observation.
            params: lead times and costs of its items.
        """
        if not needs_features(scenario, self._made_for):
            return scenario
        totals = scenario.protection_totals
        known = totals.totals if totals is not None and totals.fits(params) else None

        def read(forecast: DemandForecast, period: int) -> ItemFeatures:
            total = protection_total(forecast, params) if known is None else known[period]
            return self._read(forecast, total, params, (scenario.paths, scenario.items))

        return replace(scenario, features=ForecastFeatures.of(scenario.forecasts or (), read, self._made_for))

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> ForecastFeatures:
        """Return the features of forecasts that all paths share, which episodes of one item pick theirs from.

        Args:
            forecasts: one a period, of all items.
            params: lead times and costs of all items.
        """

        def read(forecast: DemandForecast, _: int) -> ItemFeatures:
            return self._read(forecast, protection_total(forecast, params), params, (1, len(forecast.values)))

        return replace(ForecastFeatures.of(forecasts, read, self._made_for), forecasts=None)

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast, for who encodes and decodes on the same one."""
        return replace(obs, features=PeriodFeatures(self._features(obs), self._made_for))

    @property
    def _made_for(self) -> tuple[float, float]:
        return self.level_scale, self.level_shift

    def _features(self, obs: Observation) -> ItemFeatures:
        def read() -> ItemFeatures:
            shape = tuple(obs.net_inventory.shape)
            return self._read(obs.known_forecast(), obs.protection_total(), obs.params, shape)

        found = features_of(obs, self._made_for, read)
        assert isinstance(found, ItemFeatures)
        return found

    def _read(
        self, forecast: DemandForecast, total: DemandForecast, params: Any, shape: tuple[int, ...]
    ) -> ItemFeatures:
        """Return the features of one forecast and its protection total, spread over `shape` (paths, items)."""
        span = by_origin(params.protection_interval)
        scale = np.maximum((total.mean()[:, :, 0] / span).T, SMALLEST_SCALE)
        level = self.level_scale * fractile_of(total, shifted_ratio(params.critical_ratio, self.level_shift))
        protection = [total.quantile(q)[:, :, 0].T / scale for q in FEATURE_LEVELS]
        nearest = [forecast.quantile(q)[:, :, 0].T / scale for q in FEATURE_LEVELS]
        rest = [
            level / scale,
            np.log(scale),
            params.critical_ratio,
            np.asarray(params.lead_time, dtype=np.float64),
        ]
        spread = [np.broadcast_to(x, shape) for x in (*protection, *nearest, *rest)]
        reach = scale * np.asarray(params.protection_interval, dtype=np.float64)
        lot, cost = lot_and_cost(params, scale, level, [scale * x for x in protection])
        return ItemFeatures(scale, level, reach, np.array(forecast.mean()[:, :, 0].T), np.stack(spread), lot, cost)


def lot_and_cost(params: Any, mean: Array, level: Array, quantiles: Sequence[Array]) -> tuple[Array, Array]:
    """Return the quantity that is worth a fixed cost, and what the newsvendor costs per period by the forecast.

    The lot is the economic order quantity with backorders, `√(2Kμ(h + b)/(hb))`, or the minimum order where it is
    more. The cost is `h·E(S − D)⁺ + b·E(D − S)⁺` over the protection interval, plus the lot's `√(2Kμhb/(h + b))`, and
    at least a tenth of holding a period's demand, so that no item weighs without end.

    Args:
        params: costs and order rules of the items.
        mean: demand per period, units, shape (1 or paths, items). [μ]
        level: the newsvendor's level, units, of that shape. [S]
        quantiles: of demand over the protection interval at `FEATURE_LEVELS`, units, each of that shape.

    Returns:
        units and money, each of that shape, or with a row for each path where parameters have one.
    """
    names = ("holding_cost", "stockout_cost", "fixed_order_cost")
    h, b, fixed = (np.asarray(getattr(params, name, 0.0), dtype=np.float64) for name in names)  # own systems lack K
    both = np.maximum(h * b / np.maximum(h + b, 1e-9), 1e-9)
    cost = np.sqrt(2.0 * fixed * mean * both)
    for weight, quantile in zip(LEVEL_WEIGHTS, quantiles, strict=True):
        cost = cost + weight * (h * positive_part(level - quantile) + b * positive_part(quantile - level))
    smallest = (
        0.0 if getattr(params, "minimum_order", None) is None else np.asarray(params.order_range[0], dtype=np.float64)
    )
    lot = np.maximum(np.sqrt(2.0 * fixed * mean / both), smallest)
    cost = np.maximum(cost, 0.1 * np.maximum(h, 1e-9) * mean)
    return lot, cost


def needs_features(scenario: Scenario, made_for: Any) -> bool:
    """Whether an encoder has forecasts to read beforehand: they are there, and were not read for the same yet."""
    found = scenario.features
    if scenario.forecasts is None or not are_made(scenario.forecasts):
        return False
    return found is None or bool(found.made_for != made_for)


def features_of(obs: Observation, made_for: Any, compute: Callable[[], Any]) -> Any:
    """Return what was read of the forecast beforehand, unless for something else; else compute it.

    Args:
        obs: with or without `features`.
        made_for: see `PeriodFeatures`.
        compute: returns the parts.

    Returns:
        The parts, in the library of the observation.
    """
    found = obs.features
    if found is None or found.made_for != made_for:
        found = PeriodFeatures(compute(), made_for)
    return found.like(obs.net_inventory).parts if is_torch(obs.net_inventory) else found.parts


def fit_slots(found: Array | None, number: int, now: Array) -> Array:
    """Fit slots to the number that is read: missing ones are zero, those beyond are added to the last.

    Args:
        found: shape (slots, paths, items), or None for none.
        number: slots that are read.
        now: an array (paths, items) in whose library the slots are.
    """
    if found is None:
        return zeros((number, *now.shape), now)
    if len(found) > number:
        return concatenate([found[: number - 1], found[number - 1 :].sum(0)[None]]) if number else found[:0]
    return found if len(found) == number else concatenate([found, zeros((number - len(found), *now.shape), now)])


def capacity_used(wanted: Array, obs: Observation) -> Array:
    """Return the share of the capacity left that orders would use, shape (paths, 1); 2 at the most, 0 without one."""
    capacity = getattr(obs.params, "capacity", None)
    if capacity is None:
        return 0.0 * wanted[..., :1]
    used = (like(np.asarray(capacity.use, dtype=np.float64), wanted) * wanted).sum(-1, keepdims=True)
    left = capacity.left(obs.inventory_position)
    return 2.0 * used / (used + positive_part(left) + 1e-9)
