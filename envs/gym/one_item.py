"""An episode of one item, played in plain numbers: the same physics, thirty times as fast as on arrays of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Float32Array
from ..core.backend import positive_part
from ..core.dynamics import step
from ..core.params import ItemParams
from ..core.period import system_of
from ..core.slots import LooseSlots
from ..core.types import InventoryState, PeriodOutcome
from .batch import InventoryBatch
from .observation import ForecastPart, ObservationEncoder

_ONE = np.zeros((1, 1))
"""The shape of one path of one item."""


class OneItem:
    """Plays a batch of one episode period by period, as long as it holds one item and nothing unusual.

    The batch draws episodes and holds what was drawn; here its state goes from period to period as Python floats,
    through the same `step`, and observations are the same to the last bit.

    Args:
        batch: one path of one item; see `plays`.
    """

    def __init__(self, batch: InventoryBatch) -> None:
        self.batch = batch
        self._demand: list[float] = []
        self._state: Any = None
        self._given: ItemParams | None = None
        self._params: ItemParams
        self._part: _Numbers | None = None

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
            and params.every_period
        )

    def begin(self) -> bool:
        """Take over the episode that the batch has drawn; False where it holds what numbers do not play."""
        scenario, batch = self.batch.scenario, self.batch
        if scenario.arrivals is not None or scenario.prices is not None or scenario.forecasts is None:
            return False
        if self._given is not batch.params:
            self._given, self._params = batch.params, batch.params.as_numbers()
        if self._params.arrivals_into(len(batch.state.pipeline)) is not None:
            return False
        self._demand = scenario.demand[0, :, 0].tolist()
        net, pipeline = batch.state.net_inventory, batch.state.pipeline
        self._state = InventoryState(float(net[0, 0]), LooseSlots(tuple(pipeline[:, 0, 0].tolist())))
        self._look()
        return True

    def step(self, action: float) -> tuple[PeriodOutcome, float]:
        """Order what an action in [−1, 1] asks for, let a period happen, and return what it did, and its demand."""
        demand = self._demand[self.batch.period]
        self._state, outcome = step(self._state, self._order(action), demand, self._params)
        self.batch.period += 1
        self._look()
        return outcome, demand

    def features(self) -> Float32Array:
        """Return the observation, as `ObservationEncoder.encode` gives it."""
        part, state = self._known, self._state
        seen = [state.net_inventory, *state.pipeline.parts, part.level - self._position]
        row: Float32Array = part.row.copy()
        row[: len(seen)] = [units / part.scale for units in seen]
        return row

    def settle(self) -> None:
        """Give the state back to the batch, so that it can be looked at."""
        net, parts = self._state.net_inventory, self._state.pipeline.parts
        slots = np.array(parts, dtype=np.float64).reshape(len(parts), 1, 1)
        self.batch.put(InventoryState(np.full((1, 1), net), slots))

    @property
    def _known(self) -> _Numbers:
        assert self._part is not None
        return self._part

    @property
    def _position(self) -> float:
        parts: tuple[float, ...] = self._state.pipeline.parts
        return float(self._state.net_inventory + (sum(parts[1:], parts[0]) if parts else 0.0))

    def _order(self, action: float) -> float:
        """As `ObservationEncoder.decode`."""
        encoder, part = self.batch.encoder, self._known
        if encoder.action == "order":
            upward = (encoder.widest_order - 1.0) * positive_part(action)
            return float(positive_part(part.scale * (1.0 + upward - positive_part(-action))))
        return float(positive_part(part.level + part.reach * action - self._position))

    def _look(self) -> None:
        """Read this period's forecast; stationary demand has the same one in every period."""
        forecast = self.batch.scenario.forecast(self.batch.period)
        found = self.batch.encoder.part(forecast, self.batch.params, _ONE)
        if self._part is None or self._part.of is not found:
            self._part = _Numbers(found, 2 + len(self._state.pipeline))


class _Numbers:
    """A `ForecastPart` of one item as numbers, and the observation but for the state's features, which come first."""

    def __init__(self, part: ForecastPart, state_features: int) -> None:
        self.of = part
        self.scale, self.level, self.reach = (float(np.reshape(x, -1)[0]) for x in part[:3])
        self.row: Float32Array = np.zeros(state_features + len(part.rest), dtype=np.float32)
        self.row[state_features:] = np.reshape(part.rest, (len(part.rest), -1))[:, 0]
