"""Policies with fixed parameters: base-stock, capped base-stock, constant order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.backend import (
    like,
    minimum,
    positive_part,
    zeros,
)
from ..envs.core.types import Observation
from ..errors import FractileError
from .base import per_item


@dataclass(frozen=True, eq=False)
class BaseStock:
    """Order up to a fixed level: `q = max(S − inventory position, 0)`.

    Attributes:
        level: units, one for all or per item. [S]
    """

    level: Any

    def __post_init__(self) -> None:
        _keep(self, "level", self.level)

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
        _keep(self, "level", self.level)
        _keep(self, "cap", self.cap, unlimited=True)

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
        _keep(self, "quantity", self.quantity)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return zeros(tuple(obs.net_inventory.shape), obs.net_inventory) + like(self.quantity, obs.net_inventory)


def _keep(policy: Any, name: str, value: Any, unlimited: bool = False) -> None:
    number = per_item(value)
    if not ((np.asarray(number) >= 0) & (np.isfinite(number) | unlimited)).all():
        raise FractileError(f"{name} must be a number >= 0, got {value}")
    object.__setattr__(policy, name, number)
