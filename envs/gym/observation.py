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
from ..core.backend import concatenate, is_torch, last, like, positive_part, zeros
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

FEATURE_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
"""Levels of the quantiles that agents see."""

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
    """

    scale: Array
    level: Array
    reach: Array
    mean: Array
    rest: Array


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
            mean demand of a period, 0 standing for the mean.
        widest_order: see `action`.
        level_scale: factor on the newsvendor's level that actions move around.
        level_shift: added to the log-odds of its fractile; both as in a tuned newsvendor.
        ages: slots of stock by remaining life that are read, likewise; 0 where nothing perishes.
        memory: periods of the past that are read; zeros where there are fewer.
        shared: read how much of the shared capacity the newsvendor's orders of all items would use.
    """

    slots: int
    action: ActionMode = "order_up_to"
    widest_order: float = 3.0
    level_scale: float = 1.0
    level_shift: float = 0.0
    ages: int = 0
    memory: int = 0
    shared: bool = False

    def __post_init__(self) -> None:
        if self.action not in get_args(ActionMode):
            raise FractileError(f"action must be 'order_up_to' or 'order', got {self.action!r}")

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

    def level(self, obs: Observation) -> Array:
        """Return the newsvendor's level that actions move around, units, shape (1 or paths, items)."""
        return self._features(obs).level

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, items, features), in the library of the observation."""
        now, found = obs.net_inventory, self._features(obs)
        gap = found.level - obs.inventory_position
        seen = [now[None], fit_slots(obs.pipeline, self.slots, now)]
        if self.ages:
            seen.append(fit_slots(obs.stock, self.ages, now))
        if self.memory:
            # What lies further back than the encoder remembers is not read.
            past = None if obs.history is None else obs.history[: self.memory]
            seen.append(fit_slots(past, self.memory, now))
        features = [concatenate([*seen, gap[None]]) / found.scale, found.rest]
        if self.shared:
            used = capacity_used(positive_part(gap), obs) + zeros(tuple(now.shape), now)
            features.insert(1, used[None])
        return last(concatenate(features))

    def collect(self, action: Array) -> Array:
        """Return a network's output (paths, items, 1) as actions (paths, items)."""
        return action[..., 0]

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""
        return 1

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return the order that an action stands for.

        Args:
            action: shape (paths, items), any real; [−1, 1] covers the usual range.
            obs: what the action was chosen on.

        Returns:
            units, shape (paths, items). [q]
        """
        found = self._features(obs)
        if self.action == "order":
            upward = (self.widest_order - 1.0) * positive_part(action)
            return positive_part(found.scale * (1.0 + upward - positive_part(-action)))
        return positive_part(found.level + found.reach * action - obs.inventory_position)

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
        return ItemFeatures(scale, level, reach, np.array(forecast.mean()[:, :, 0].T), np.stack(spread))


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
