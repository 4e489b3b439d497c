"""Policies for stock that perishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.backend import like, positive_part, zeros
from ..envs.core.types import Observation
from ..envs.systems.perishable import PerishableState, perishable_step
from ..errors import FractileError
from .base import NOT_NEGATIVE, keep_parameters


@dataclass(frozen=True, eq=False)
class EstimatedWaste:
    """Order up to a fixed level, with the units added that will perish before they can be of use.

    `q = max(S − inventory position + W, 0)`, where W is what perishes during the L + R − 1 periods from now on when
    each period's demand is its mean and nothing more is ordered: Broekmeulen and van Donselaar (2009), "A heuristic
    to manage perishable inventory with batch ordering, positive lead-times, and time-varying demand", Computers &
    Operations Research 36(11), with a fixed level. Units that perish later still serve the protection interval. Where
    nothing perishes in time, it is the base-stock policy.

    Attributes:
        level: units, one for all or per item. [S]
    """

    level: Any

    def __post_init__(self) -> None:
        keep_parameters(self, level=NOT_NEGATIVE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        position = obs.inventory_position
        return positive_part(like(self.level, position) - position + estimated_waste(obs))

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units. [S]"""
        return np.broadcast_to(self.level, (1, obs.net_inventory.shape[1]))


def estimated_waste(obs: Observation) -> Array:
    """Return the units that perish during L + R − 1 periods of mean demand, shape (paths, items). [W]

    Args:
        obs: of stock that perishes, with a forecast.
    """
    if obs.stock is None:
        raise FractileError("estimated_waste is for stock that perishes: give the items a shelf_life")
    periods = np.asarray(obs.params.protection_interval) - 1
    span = int(np.max(periods))
    demand = obs.known_forecast().mean()
    if demand.shape[2] < span:
        raise FractileError(f"the forecast must reach L + R − 1 = {span} periods, got {demand.shape[2]}")
    state = PerishableState(obs.stock, obs.pipeline, obs.stock.sum(0) - obs.net_inventory)
    nothing = zeros(tuple(obs.net_inventory.shape), obs.net_inventory)
    waste = nothing
    # Not `roll`: this runs in every order, on mean demand and without orders, whatever the review period is.
    for k in range(span):
        state, outcome = perishable_step(state, nothing, nothing + like(demand[:, :, k].T.copy(), nothing), obs.params)
        waste = waste + outcome.waste * like(np.asarray(periods > k, dtype=np.float64), nothing)
    return waste
