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
from .observation import ObservationEncoder


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
        scale, level, reach, _, rest = features.parts
        numbers = (scale, level, reach)
        self._scale, self._level, self._reach = (part.reshape(-1).tolist() for part in numbers)
        read = rest.reshape(len(rest), -1)
        self._rows = np.zeros((len(read), 2 + len(pipeline) + read.shape[1]), dtype=np.float32)
        self._rows[:, 2 + len(pipeline) :] = read
        return True

    def step(self, action: float) -> tuple[PeriodOutcome, float]:
        """Order what an action in [−1, 1] asks for, let a period happen, and return what it did, and its demand."""
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
