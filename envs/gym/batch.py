"""Many episodes that advance together: what the single, the vector and the Stable-Baselines3 environment share.

An episode of one item is played in plain numbers: the same physics, thirty times as fast as on arrays of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Float32Array, FloatArray
from ...errors import FractileError
from ...forecasters.demand_forecast import DemandForecast
from ..core.backend import LooseSlots, positive_part
from ..core.dynamics import step
from ..core.forecast_features import order_up_to_level
from ..core.period import StockState, advance, observation, system_of
from ..core.types import HistoryView, InventoryState, ItemParams, Observation, PeriodOutcome, Scenario
from ..networks.network import Network
from .encoders import make_encoder
from .observation import Encoder, ForecastEncoder, ItemFeatures, ObservationEncoder
from .sources import EpisodeSource, PreparableSource


class InventoryBatch:
    """Episodes of equal length, all in the same period; no Gymnasium in here.

    Args:
        source: where episodes come from.
        paths: how many run side by side.
        periods: length of an episode.
        encoder: what observations are turned into and actions mean; `make_encoder(source)` where None.
        start: "target" begins at a random point around the encoder's newsvendor level, "empty" with nothing.
        view: what is seen of the past.
    """

    def __init__(
        self,
        source: EpisodeSource,
        *,
        paths: int,
        periods: int,
        encoder: Encoder | None = None,
        start: str = "target",
        view: HistoryView | None = None,
    ) -> None:
        if periods < 1 or paths < 1:
            raise FractileError(f"an episode needs at least one period and one path, got {periods} and {paths}")
        if start not in ("target", "empty"):
            raise FractileError(f"start must be 'target' or 'empty', got {start!r}")
        self.source, self.paths, self.periods, self.start = source, paths, periods, start
        self.view = view or HistoryView()
        self.encoder = encoder or make_encoder(source, memory=self.view.memory)
        self.columns = source.columns
        self.orders = system_of(source.params).orders(self.columns)
        # One period more than is played: the last observation has a forecast, too.
        self._drawn = periods + 1
        self._episodes = source.prepare(self._drawn, self.encoder) if isinstance(source, PreparableSource) else source
        self._prepares = self.encoder if isinstance(self.encoder, ForecastEncoder) else None
        self.scenario: Scenario
        self.params: Any
        self.state: StockState
        self.period = 0
        self._history: Any = None
        self._observed: Observation | None = None

    def reset(self, rng: np.random.Generator) -> Observation:
        """Draw new episodes and return what is known before their first order."""
        self.scenario, self.params = self._episodes.draw(rng, self.paths, self._drawn)
        if self._prepares is not None:
            self.scenario = self._prepares.prepare(self.scenario, self.params)
        self.period = 0
        self.state = self._initial_state(rng)
        self._history, self._observed = self.view.begin(self.state.net_inventory), None
        return self.observe()

    def observe(self) -> Observation:
        """Return what is known before the order of this period."""
        if self._observed is None:
            obs = observation(self.state, self.period, self.params, self.scenario, self._history)
            if obs.features is None and obs.forecast is not None and self._prepares is not None:
                obs = self._prepares.with_features(obs)
            self._observed = obs
        return self._observed

    def step(self, order: FloatArray) -> Any:
        """Place orders (paths, orders), let a period happen, and return what it did."""
        self.state, outcome = advance(self.state, order, self.scenario, self.period, self.params)
        self._history = self.view.after(self._history, self.scenario.demand[:, self.period], outcome.sales)
        self.period += 1
        self._observed = None
        return outcome

    def put(self, state: StockState) -> None:
        """Go on from another state."""
        self.state, self._observed = state, None

    @property
    def over(self) -> bool:
        """Whether the episodes have reached their length."""
        return self.period >= self.periods

    def _initial_state(self, rng: np.random.Generator) -> StockState:
        params = self.source.params
        slots = self.source.slots
        if self.start == "empty":
            return system_of(params).empty_state(self.paths, self.columns, slots)
        if self.scenario.forecasts is None:
            raise FractileError("start='target' needs a forecast; use start='empty'")
        if isinstance(params, Network):
            # Mean demand under way on the slowest regular link into each location, and up to three periods' on hand.
            flow = self.scenario.forecasts[0].mean()[:, :, 0].T @ params.flow * np.ones((self.paths, 1))
            regular = params.into * np.where(params.lateral, -1, params.lead_time)[:, None]
            due = np.arange(slots)[:, None, None] < regular.max(0)
            stock = (flow * rng.uniform(0.0, 3.0, (self.paths, params.locations)), np.where(due, flow, 0.0))
            return InventoryState(*(np.rint(units) if params.whole_units else units for units in stock))
        read = None if self.scenario.features is None else self.scenario.features.at(0).parts
        if isinstance(read, ItemFeatures):
            level, mean = read.level, read.mean
        else:
            forecast = self.scenario.forecasts[0]
            level, mean = order_up_to_level(forecast, self.params), forecast.mean()[:, :, 0].T
        state = _state_at(level, mean, self.params, (self.paths, self.columns), slots)
        around = rng.uniform(0.0, 1.5, (self.paths, self.columns))
        on_hand = _whole(state.net_inventory * around, self.params)
        return system_of(self.params).fresh_state(on_hand, state.pipeline)


def target_state(
    forecast: DemandForecast, params: ItemParams, paths: int, slots: int, target: Any = None
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
    return _state_at(level, forecast.mean()[:, :, 0].T, params, (paths, forecast.values.shape[0]), slots)


def _state_at(level: Any, mean: FloatArray, params: ItemParams, shape: tuple[int, int], slots: int) -> InventoryState:
    mean = _whole(np.broadcast_to(mean, shape), params)
    due = np.arange(slots)[:, None, None] < np.asarray(params.lead_time)
    pipeline = np.where(due, mean, 0.0)
    return InventoryState(_whole(np.maximum(level - pipeline.sum(0), 0.0), params), pipeline)


def _whole(units: FloatArray, params: ItemParams) -> FloatArray:
    """Round to whole units where orders come in packs."""
    return np.rint(units) if params.pack_size is not None else units


class OneItem:
    """Plays a batch of one episode period by period, as long as it holds one item and nothing unusual.

    The batch draws episodes and holds what was drawn; here its state goes from period to period as Python floats,
    through the same `step`, and observations are the same to the last bit.

    Args:
        batch: one path of one item; see `plays`.
    """

    def __init__(self, batch: InventoryBatch) -> None:
        assert isinstance(batch.encoder, ObservationEncoder)
        self.batch, self._encoder = batch, batch.encoder
        self._demand: list[float] = []
        self._state: Any = None
        self._given: ItemParams | None = None
        self._params: ItemParams
        self._later: list[float] = []
        # What is read of each forecast, and the observation but for the state's features, which come first in a row.
        self._which: tuple[int, ...] = ()
        self._scale: list[float] = []
        self._level: list[float] = []
        self._reach: list[float] = []
        self._rows: Float32Array

    @staticmethod
    def plays(batch: InventoryBatch) -> bool:
        """Whether a batch can be played in numbers: one item that keeps, seen without its past.

        Lead times, costs and order rules may be any; arrivals as data, reviews, prices that move and networks go
        through arrays.
        """
        params, encoder = batch.source.params, batch.encoder
        return (
            system_of(params).plain
            and isinstance(encoder, ObservationEncoder)
            and batch.paths == batch.columns == 1
            and encoder.slots == batch.source.slots
            and not encoder.memory
            and encoder.action in ("order_up_to", "order")
            and params.every_period
        )

    def begin(self) -> bool:
        """Take over the episode that the batch has drawn; False where it holds what numbers do not play."""
        scenario, batch = self.batch.scenario, self.batch
        features = scenario.features
        if scenario.arrivals is not None or scenario.prices is not None or features is None:
            return False
        if self._given is not batch.params:
            self._given, self._params = batch.params, batch.params.as_numbers()
        self._demand = scenario.demand[0, :, 0].tolist()
        net, pipeline = batch.state.net_inventory, batch.state.pipeline
        # The item's own slots; later ones, which items with longer lead times have, are and stay empty.
        parts, own = pipeline[:, 0, 0].tolist(), int(self._params.lead_time)
        self._later = parts[own:]
        if any(self._later):
            return False
        self._state = InventoryState(float(net[0, 0]), LooseSlots(tuple(parts[:own])))
        self._which = features.which
        rest, numbers = features.parts.rest, (features.parts.scale, features.parts.level, features.parts.reach)
        self._scale, self._level, self._reach = (part.reshape(-1).tolist() for part in numbers)
        read = rest.reshape(len(rest), -1)
        self._rows = np.zeros((len(read), 2 + len(pipeline) + read.shape[1]), dtype=np.float32)
        self._rows[:, 2 + len(pipeline) :] = read
        return True

    def step(self, action: float) -> tuple[PeriodOutcome, float]:
        """Place the order of an action in [−1, 1], let a period happen, and return what it did, and its demand."""
        encoder, demand, k = self._encoder, self._demand[self.batch.period], self._which[self.batch.period]
        # As `ObservationEncoder.decode`.
        if encoder.action == "order":
            upward = (encoder.widest_order - 1.0) * positive_part(action)
            wanted = self._scale[k] * (1.0 + upward - positive_part(-action))
        else:
            wanted = self._level[k] + self._reach[k] * action - self._position
        self._state, outcome = step(self._state, float(positive_part(wanted)), demand, self._params)
        self.batch.period += 1
        return outcome, demand

    def features(self) -> Float32Array:
        """Return the observation, as `ObservationEncoder.encode` gives it."""
        k, state = self._which[self.batch.period], self._state
        scale = self._scale[k]
        seen = [state.net_inventory, *state.pipeline.parts, *self._later, self._level[k] - self._position]
        row: Float32Array = self._rows[k].copy()
        row[: len(seen)] = [units / scale for units in seen]
        return row

    def settle(self) -> None:
        """Give the state back to the batch, so that it can be looked at."""
        net, parts = self._state.net_inventory, [*self._state.pipeline.parts, *self._later]
        slots = np.array(parts, dtype=np.float64).reshape(len(parts), 1, 1)
        self.batch.put(InventoryState(np.full((1, 1), net), slots))

    @property
    def _position(self) -> float:
        parts: tuple[float, ...] = self._state.pipeline.parts
        return float(self._state.net_inventory + (sum(parts[1:], parts[0]) if parts else 0.0))
