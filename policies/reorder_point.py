"""Reorder-point policies: wait until the inventory position has fallen to s, then order a lot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.backend import indicator, is_torch, like, minimum, positive_part
from ..envs.core.types import Observation
from .base import Rule, keep_parameters, per_item

NUMBER = Rule("a number", np.isfinite)


@dataclass(frozen=True, eq=False)
class ReorderPointOrderUpTo:
    """The (s, S) policy: order up to S when the inventory position is at or below s.

    `q = min(S − inventory position, r)` where the position is <= s, else 0. Optimal without the cap r for
    backorders and a fixed cost (Scarf 1960); with lost sales, the cap keeps single orders small. On whole units,
    s = S − 1 is the base-stock policy.

    Attributes:
        reorder_point: units, one for all or per item; may be negative where demand waits. [s]
        order_up_to: units, one for all or per item, at least the reorder point. [S]
        cap: the largest order, units, one for all or per item. [r]

    Raises:
        FractileError: where a parameter is out of its range.
    """

    reorder_point: Any
    order_up_to: Any
    cap: Any = np.inf

    def __post_init__(self) -> None:
        point = per_item(self.reorder_point)
        above = Rule(f"a number >= reorder_point ({point})", lambda x: np.isfinite(x) & (x >= point))
        cap = Rule("a number above 0; infinity is no cap", lambda x: x > 0)
        keep_parameters(self, reorder_point=NUMBER, order_up_to=above, cap=cap)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        position = obs.inventory_position
        lot = positive_part(like(self.order_up_to, position) - position)
        lot = minimum(lot, like(np.broadcast_to(self.cap, tuple(lot.shape)).astype(np.float64), lot))
        return indicator(position <= like(self.reorder_point, position), position) * lot

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units. [S]"""
        return np.broadcast_to(self.order_up_to, (1, obs.net_inventory.shape[1]))


@dataclass(frozen=True, eq=False)
class ReorderPointQuantity:
    """The (r, nQ) policy: at or below the reorder point, order the fewest lots of Q that lift the position above it.

    `q = Q·(⌊(s − inventory position) / Q⌋ + 1)` where the position is <= s, else 0.

    Attributes:
        reorder_point: units, one for all or per item; may be negative where demand waits. [s]
        quantity: units in a lot, one for all or per item. [Q]

    Raises:
        FractileError: where a parameter is out of its range.
    """

    reorder_point: Any
    quantity: Any

    def __post_init__(self) -> None:
        above_zero = Rule("a number above 0", lambda x: np.isfinite(x) & (x > 0))
        keep_parameters(self, reorder_point=NUMBER, quantity=above_zero)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        position, size = obs.inventory_position, like(self.quantity, obs.net_inventory)
        lots = (like(self.reorder_point, position) - position) / size
        return size * positive_part((lots.floor() if is_torch(lots) else np.floor(lots)) + 1.0)

    def target(self, obs: Observation) -> Array:
        """Return the highest position that an order leads to, s + Q, units."""
        return np.broadcast_to(self.reorder_point + self.quantity, (1, obs.net_inventory.shape[1]))
