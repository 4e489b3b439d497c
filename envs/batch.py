"""Many episodes that advance together: what the single, the vector and the Stable-Baselines3 environment share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import FractileError
from ..forecasters.forecast import FloatArray, IntArray, QuantileForecast
from .demand import DemandModel
from .observation import ObservationEncoder, order_up_to_level
from .system import advance
from .types import InventoryState, ItemParams, Observation, PeriodOutcome, Scenario


class EpisodeSource(Protocol):
    """Where episodes come from: demand, what is forecast of it, and the item's parameters."""

    @property
    def params(self) -> ItemParams:
        """Lead times, costs and order rules of all items that episodes may hold."""
        ...

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes of one item each: a scenario of (paths, periods, 1) and its parameters."""


@dataclass(frozen=True, eq=False)
class DemandSource:
    """Episodes drawn from a demand model; each holds one item, chosen at random.

    Attributes:
        model: where demand comes from.
        params: costs and lead times of the model's items.
        item: always this item; None = a random one for every episode.
    """

    model: DemandModel
    params: ItemParams
    item: int | None = None

    def __post_init__(self) -> None:
        if self.item is not None and not 0 <= self.item < self.model.items:
            raise FractileError(f"item must be from 0 to {self.model.items - 1}, got {self.item}")

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes."""
        item = np.full(paths, self.item) if self.item is not None else rng.integers(0, self.model.items, paths)
        span = int(np.max(self.params.protection_interval))
        return self.model.episodes(rng, item, periods, span), self.params.per_path(item)


@dataclass(frozen=True, eq=False)
class PoolSource:
    """Episodes cut from a scenario that was drawn before: a random path, item and starting period each.

    Attributes:
        scenario: demand (paths, periods, items) with forecasts.
        params: costs and lead times of its items.
    """

    scenario: Scenario
    params: ItemParams

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes; all of one call share their starting period."""
        if periods > self.scenario.periods:
            raise FractileError(f"episodes of {periods} periods do not fit a scenario of {self.scenario.periods}")
        start = int(rng.integers(0, self.scenario.periods - periods + 1))
        path, item = rng.integers(0, self.scenario.paths, paths), rng.integers(0, self.scenario.items, paths)
        return self.cut(path, item, start, periods)

    def cut(self, path: IntArray, item: IntArray, start: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Return the episodes of these paths and items, from a starting period on."""
        demand = self.scenario.demand[path, start : start + periods, item][:, :, None]
        forecasts = [_rows(f, path, item) for f in (self.scenario.forecasts or ())[start : start + periods]]
        return Scenario(demand, forecasts=forecasts), self.params.per_path(item)


class InventoryBatch:
    """Episodes of equal length, all in the same period; no Gymnasium in here.

    Args:
        source: where episodes come from.
        paths: how many run side by side.
        periods: length of an episode.
        encoder: what observations are turned into and actions mean; `ObservationEncoder(slots)` where None.
        start: "target" begins at a random point around the encoder's newsvendor level, "empty" with nothing.
    """

    def __init__(
        self,
        source: EpisodeSource,
        *,
        paths: int,
        periods: int,
        encoder: ObservationEncoder | None = None,
        start: str = "target",
    ) -> None:
        if periods < 1 or paths < 1:
            raise FractileError(f"an episode needs at least one period and one path, got {periods} and {paths}")
        if start not in ("target", "empty"):
            raise FractileError(f"start must be 'target' or 'empty', got {start!r}")
        self.source, self.paths, self.periods, self.start = source, paths, periods, start
        self.encoder = encoder or ObservationEncoder(source.params.slots)
        self.scenario: Scenario
        self.params: ItemParams
        self.state: InventoryState
        self.period = 0

    def reset(self, rng: np.random.Generator) -> Observation:
        """Draw new episodes and return what is known before their first order."""
        # One period more than is played: the last observation has a forecast, too.
        self.scenario, self.params = self.source.draw(rng, self.paths, self.periods + 1)
        self.period = 0
        self.state = self._initial_state(rng)
        return self.observe()

    def observe(self) -> Observation:
        """Return what is known before the order of this period."""
        forecast = self.scenario.forecast(self.period)
        return Observation(self.period, self.state.net_inventory, self.state.pipeline, self.params, forecast)

    def step(self, order: FloatArray) -> PeriodOutcome:
        """Place orders (paths, 1), let a period happen, and return what it did."""
        self.state, outcome = advance(self.state, order, self.scenario, self.period, self.params)
        self.period += 1
        return outcome

    @property
    def over(self) -> bool:
        """Whether the episodes have reached their length."""
        return self.period >= self.periods

    def _initial_state(self, rng: np.random.Generator) -> InventoryState:
        slots = self.source.params.slots
        if self.start == "empty":
            return InventoryState.empty(self.paths, 1, slots)
        forecast = self.scenario.forecast(0)
        if forecast is None:
            raise FractileError("start='target' needs a forecast; use start='empty'")
        level = self.encoder.level(forecast, self.params)
        state = target_state(forecast, self.params, self.paths, slots, level)
        around = rng.uniform(0.0, 1.5, (self.paths, 1))
        return InventoryState(_whole(state.net_inventory * around, self.params), state.pipeline)


def target_state(
    forecast: QuantileForecast, params: ItemParams, paths: int, slots: int, target: Any = None
) -> InventoryState:
    """Return a state at a target: mean demand in each pipeline slot, the rest of the target on hand.

    Args:
        forecast: made at the start, values (items, 1 or paths, horizon, Q).
        params: lead times and costs.
        paths: number of paths.
        slots: number of pipeline slots.
        target: inventory position, units, broadcasts to (paths, items); the newsvendor's level where None.
    """
    level = order_up_to_level(forecast, params) if target is None else target
    shape = (paths, forecast.values.shape[0])
    mean = _whole(np.broadcast_to(forecast.mean()[:, :, 0].T, shape), params)
    due = np.arange(slots)[:, None, None] < np.asarray(params.lead_time)
    pipeline = np.where(due, mean, 0.0)
    return InventoryState(_whole(np.maximum(level - pipeline.sum(0), 0.0), params), pipeline)


def _whole(units: FloatArray, params: ItemParams) -> FloatArray:
    """Round to whole units where orders come in packs."""
    return np.rint(units) if params.pack_size is not None else units


def _rows(forecast: QuantileForecast, path: IntArray, item: IntArray) -> QuantileForecast:
    return forecast.take(item, path if forecast.values.shape[1] > 1 else np.zeros_like(path))
