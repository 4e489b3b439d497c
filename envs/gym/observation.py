"""From an observation to numbers that a network or an agent can read, and back from its action to an order.

This is the one place where observations are flattened. Everything is scale-free: units are divided by the item's
forecast demand per period, so that one network serves items that sell one a month and a thousand a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy.special import expit, logit

from ...arrays import Array, FloatArray
from ...errors import FractileError
from ...forecasters.forecast import (
    QuantileForecast,
)
from ..core.backend import (
    concatenate,
    last,
    like,
    positive_part,
    zeros,
)
from ..core.types import ItemParams, Observation

ActionMode = Literal["order_up_to", "order"]

FEATURE_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
"""Levels of the quantiles that agents see."""

SMALLEST_SCALE = 0.05
"""Units per period; an item that hardly sells is scaled by this."""


def by_origin(value: Any) -> Any:
    """Turn a parameter that broadcasts to (paths, items) into one that broadcasts to (items, origins)."""
    array = np.asarray(value)
    return array if array.ndim == 0 else array.reshape(-1, 1) if array.ndim == 1 else array.T


def order_up_to_level(forecast: QuantileForecast, params: ItemParams, critical_ratio: Any = None) -> FloatArray:
    """Return the newsvendor's level: the critical fractile of demand over the protection interval.

    Args:
        forecast: values (items, origins, horizon, Q), reaching at least L + R periods ahead.
        params: lead times, review periods and costs.
        critical_ratio: another level in (0, 1), one for all or per item; b / (b + h) where None.

    Returns:
        units, shape (origins, items). [S]
    """
    ratio = params.critical_ratio if critical_ratio is None else critical_ratio
    total = forecast.total(by_origin(params.protection_interval))
    return total.quantile(by_origin(ratio))[:, :, 0].T


class ForecastPart(NamedTuple):
    """What observations of the same forecast have in common.

    Attributes:
        scale: forecast demand per period, units, shape (1 or paths, items).
        level: the newsvendor's level that actions move around, units, of that shape.
        reach: how far an action of 1 moves it, units, of that shape.
        rest: the features that depend on nothing else, shape (features, paths, items).
    """

    scale: Array
    level: Array
    reach: Array
    rest: Array


@dataclass
class ObservationEncoder:
    """Turns observations into features, shape (paths, items, features), and actions into orders.

    Attributes:
        slots: pipeline slots that are read; shorter pipelines are padded with zeros.
        action: what an action in [−1, 1] moves: "order_up_to", the newsvendor's level by up to one protection
            interval's mean demand either way; or "order", the order itself, from none to `widest_order` times the
            mean demand of a period, 0 standing for the mean.
        widest_order: see `action`.
        level_scale: factor on the newsvendor's level that actions move around.
        level_shift: added to the log-odds of its fractile; both as in a tuned newsvendor.
        ages: slots of stock by remaining life that are read; 0 where nothing perishes.
        memory: periods of the past that are read.
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
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.action not in get_args(ActionMode):
            raise FractileError(f"action must be 'order_up_to' or 'order', got {self.action!r}")

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}

    def __getstate__(self) -> dict[str, Any]:
        # What is remembered goes by address, which means nothing in another process.
        return {**self.__dict__, "_memo": {}}

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

    def level(self, forecast: QuantileForecast, params: ItemParams) -> FloatArray:
        """Return the newsvendor's level that actions move around, units, shape (origins, items)."""
        ratio = shifted_ratio(params.critical_ratio, self.level_shift)
        return self.level_scale * order_up_to_level(forecast, params, ratio)

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, items, features), in the library of the observation."""
        now = obs.net_inventory
        part = self.part(obs.known_forecast(), obs.params, now)
        gap = part.level - obs.inventory_position
        seen = [now[None], obs.pipeline, *self._past(obs, now), gap[None]]
        features = [concatenate(seen) / part.scale, part.rest]
        if self.shared:
            used = capacity_used(positive_part(gap), obs) + zeros(tuple(now.shape), now)
            features.insert(1, used[None])
        return last(concatenate(features))

    def _past(self, obs: Observation, now: Array) -> list[Array]:
        """Slots that not every observation has: pipelines are padded with zeros."""
        missing = self.slots - len(obs.pipeline)
        slots = [zeros((missing, *now.shape), now)] if missing else []
        for number, found in ((self.ages, obs.stock), (self.memory, obs.history)):
            if number:
                slots.append(zeros((number, *now.shape), now) if found is None else found[:number])
        return slots

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
        part = self.part(obs.known_forecast(), obs.params, obs.net_inventory)
        if self.action == "order":
            upward = (self.widest_order - 1.0) * positive_part(action)
            return positive_part(part.scale * (1.0 + upward - positive_part(-action)))
        return positive_part(part.level + part.reach * action - obs.inventory_position)

    def part(self, forecast: QuantileForecast, params: ItemParams, now: Array) -> ForecastPart:
        """Return what observations of a forecast have in common, in the library and shape of `now` (paths, items)."""
        key = (id(forecast), id(params), now.shape, now.dtype)
        if key not in self._memo:
            if len(self._memo) > 256:
                self._memo.clear()
            part = self._forecast_features(forecast, params, tuple(now.shape))
            # The forecast is kept beside its features, so that its id is not given to another one.
            self._memo[key] = (forecast, params, ForecastPart(*(like(p, now) for p in part)))
        return self._memo[key][2]

    def _forecast_features(
        self, forecast: QuantileForecast, params: ItemParams, shape: tuple[int, ...]
    ) -> ForecastPart:
        span = by_origin(params.protection_interval)
        total = forecast.total(span)
        scale = np.maximum((total.mean()[:, :, 0] / span).T, SMALLEST_SCALE)
        level = self.level(forecast, params)
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
        return ForecastPart(scale, level, reach, np.stack(spread))


def capacity_used(wanted: Array, obs: Observation) -> Array:
    """Return the share of the capacity left that orders would use, shape (paths, 1); 2 at the most."""
    capacity = obs.params.capacity
    used = (like(np.asarray(capacity.use, dtype=np.float64), wanted) * wanted).sum(-1, keepdims=True)
    left = capacity.left(obs.inventory_position)
    return 2.0 * used / (used + positive_part(left) + 1e-9)


def shifted_ratio(ratio: Any, shift: float) -> Any:
    """Return a critical ratio whose log-odds are moved by `shift`."""
    return ratio if shift == 0 else np.clip(expit(logit(ratio) + shift), 1e-6, 1 - 1e-6)
