"""From an observation to numbers that a network or an agent can read, and back from its action to an order.

This is the one place where observations are flattened. Everything is scale-free: units are divided by the item's
forecast demand per period, so that one network serves items that sell one a month and a thousand a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from ...arrays import Array
from ...errors import FractileError
from ...forecasters.forecast import DemandForecast
from ..core.backend import concatenate, is_torch, last, like, positive_part, zeros
from ..core.order_up_to import (
    ForecastFeatures,
    PeriodFeatures,
    are_made,
    by_origin,
    distinct,
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
        memory: periods of the past that are read; zeros where fewer are shown.
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
        """Return the order that an action asks for.

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
        found = scenario.features
        if found is not None and found.moved == self._moved:
            return scenario
        if scenario.forecasts is None or not are_made(scenario.forecasts):
            return scenario
        totals = scenario.protection_totals
        sums = totals.totals if totals is not None and totals.fits(params) else None
        shape = (scenario.paths, scenario.items)
        return replace(scenario, features=self._stacked(scenario.forecasts, params, shape, sums))

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> ForecastFeatures:
        """Return the features of forecasts that all paths share, which episodes of one item pick theirs from.

        Args:
            forecasts: one a period, of all items.
            params: lead times and costs of all items.
        """
        return replace(self._stacked(forecasts, params, (1, len(forecasts[0].values))), forecasts=None)

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast, for who encodes and decodes on the same one."""
        return replace(obs, features=self._features(obs))

    @property
    def _moved(self) -> tuple[float, float]:
        return self.level_scale, self.level_shift

    def _features(self, obs: Observation) -> PeriodFeatures:
        """Return what was computed beforehand, unless another newsvendor's; else compute it from the forecast."""
        found, now = obs.features, obs.net_inventory
        if found is None or found.moved != self._moved:
            found = self._of_forecast(obs.known_forecast(), obs.protection_total(), obs.params, tuple(now.shape))
        return found.like(now) if is_torch(now) else found

    def _stacked(
        self,
        forecasts: Sequence[DemandForecast],
        params: Any,
        shape: tuple[int, int],
        totals: Sequence[DemandForecast] | None = None,
    ) -> ForecastFeatures:
        different, which = distinct(forecasts)
        found = []
        for k, forecast in enumerate(different):
            total = protection_total(forecast, params) if totals is None else totals[which.index(k)]
            found.append(self._of_forecast(forecast, total, params, shape))
        # Some forecasts may be one for all paths and others one for each.
        parts = (np.stack(np.broadcast_arrays(*column)) for column in zip(*(f[:5] for f in found), strict=True))
        return ForecastFeatures(forecasts, tuple(which), *parts, self._moved)

    def _of_forecast(
        self, forecast: DemandForecast, total: DemandForecast, params: Any, shape: tuple[int, ...]
    ) -> PeriodFeatures:
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
        return PeriodFeatures(scale, level, reach, forecast.mean()[:, :, 0].T, np.stack(spread), self._moved)


def fit_slots(found: Array | None, number: int, now: Array) -> Array:
    """Fit slots to the number that is read: missing ones are zero, those beyond are added to the last.

    Args:
        found: shape (slots, paths, items), or None for none.
        number: slots that are read.
        now: an array (paths, items) in whose library the slots are.
    """
    slots = 0 if found is None else len(found)
    if slots > number:
        return concatenate([found[: number - 1], found[number - 1 :].sum(0)[None]]) if number else found[:0]
    missing = zeros((number - slots, *now.shape), now)
    if found is None:
        return missing
    return found if slots == number else concatenate([found, missing])


def capacity_used(wanted: Array, obs: Observation) -> Array:
    """Return the share of the capacity left that orders would use, shape (paths, 1); 2 at the most, 0 without one."""
    capacity = getattr(obs.params, "capacity", None)
    if capacity is None:
        return 0.0 * wanted[..., :1]
    used = (like(np.asarray(capacity.use, dtype=np.float64), wanted) * wanted).sum(-1, keepdims=True)
    left = capacity.left(obs.inventory_position)
    return 2.0 * used / (used + positive_part(left) + 1e-9)
