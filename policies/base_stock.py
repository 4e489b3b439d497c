"""Policies with fixed parameters: base-stock, capped base-stock, constant order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.backend import like, minimum, positive_part, zeros
from ..envs.core.types import Observation
from .base import LIMIT, NOT_NEGATIVE, keep_parameters


@dataclass(frozen=True, eq=False)
class BaseStock:
    """Order up to a fixed level: `q = max(S − inventory position, 0)`.

    Attributes:
        level: units, one for all or per item. [S]
    """

    level: Any

    def __post_init__(self) -> None:
        keep_parameters(self, level=NOT_NEGATIVE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return positive_part(like(self.level, obs.net_inventory) - obs.inventory_position)

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units. [S]"""
        return np.broadcast_to(self.level, (1, obs.net_inventory.shape[1]))


@dataclass(frozen=True, eq=False)
class CappedBaseStock:
    """Order up to a fixed level, but never more than a cap at once (Xin 2021).

    `q = min(max(S − inventory position, 0), r)`. With an infinite cap it is the base-stock policy.

    Attributes:
        level: units, one for all or per item. [S]
        cap: units, one for all or per item. [r]
    """

    level: Any
    cap: Any

    def __post_init__(self) -> None:
        keep_parameters(self, level=NOT_NEGATIVE, cap=LIMIT)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        wanted = positive_part(like(self.level, obs.net_inventory) - obs.inventory_position)
        return minimum(wanted, zeros(tuple(wanted.shape), wanted) + like(self.cap, wanted))

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units. [S]"""
        return np.broadcast_to(self.level, (1, obs.net_inventory.shape[1]))


@dataclass(frozen=True, eq=False)
class ConstantOrder:
    """Order the same quantity in every period.

    Attributes:
        quantity: units, one for all or per item. [q]
    """

    quantity: Any

    def __post_init__(self) -> None:
        keep_parameters(self, quantity=NOT_NEGATIVE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return zeros(tuple(obs.net_inventory.shape), obs.net_inventory) + like(self.quantity, obs.net_inventory)
