"""Orders that were placed, replayed as they are on record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..envs.core.backend import are_quantities
from ..envs.core.types import Observation
from ..errors import FractileError


@dataclass(frozen=True, eq=False)
class RecordedOrders:
    """Place the orders on record, whatever happens: they do not react to another demand or to other stock.

    Attributes:
        orders: units placed in each period of the scenario, shape (periods, items).
    """

    orders: FloatArray

    def __post_init__(self) -> None:
        if self.orders.ndim != 2 or not are_quantities(self.orders):
            raise FractileError("orders must be finite numbers >= 0 of shape (periods, items)")

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items).

        Raises:
            FractileError: where nothing is on record for the period.
        """
        if obs.period >= len(self.orders):
            raise FractileError(f"orders are on record for {len(self.orders)} periods, none for {obs.period}")
        return np.broadcast_to(self.orders[obs.period], obs.net_inventory.shape).astype(np.float64)
