"""Policies with fixed parameters: base-stock for items, perishables and networks; reorder points; constant orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.backend import indicator, is_torch, like, minimum, positive_part, zeros
from ..envs.core.types import Observation
from ..envs.networks.network import Network
from ..envs.systems.perishable import PerishableState, perishable_step
from ..errors import FractileError
from .base import LIMIT, NOT_NEGATIVE, Rule, keep_parameters, per_item, spread

NUMBER = Rule("a number", np.isfinite)


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
        return spread(self.level, obs)


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
        return spread(self.level, obs)


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
        return spread(self.level, obs)


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


@dataclass(frozen=True, eq=False)
class EchelonBaseStock:
    """Order each location's echelon position up to a level.

    The echelon position of a location is what it and everything downstream of it have on hand and under way, less
    backorders; its order is `max(S_i − position_i, 0)`, of which its suppliers ship what they have. In a serial system
    with backorders this is optimal, with the levels of `clark_scarf` (Clark and Scarf 1960); for a store, which
    supplies no other, it is the base-stock policy. Links into the same location take equal shares; transshipment links
    order nothing. Where several locations supply one, its stock counts in the echelon of each.

    Attributes:
        levels: units, one a location in the order of `Network.names`, or one for all, or (paths, locations);
            `clark_scarf` lists its own the other way round, downstream first. [S]

    >>> from fractile.envs.networks.shapes import serial
    >>> chain = serial([1, 1], [0.5, 1.0], 9.0)
    >>> obs = Observation(0, np.array([[6.0, -2.0]]), np.array([[[4.0, 3.0]]]), chain)
    >>> EchelonBaseStock([20.0, 10.0]).order(obs).tolist()
    [[9.0, 9.0]]
    """

    levels: Any

    def __post_init__(self) -> None:
        keep_parameters(self, levels=Rule("finite numbers", np.isfinite))

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, links)."""
        network, position = _network(obs), obs.inventory_position
        gap = like(self._by_location(network), position) - position @ like(network.downstream.T.copy(), position)
        # What each link takes of its destination's order, shape (locations, links).
        into = network.into * ~network.lateral[:, None]
        shares = np.ascontiguousarray((into / np.maximum(into.sum(0), 1.0)).T)
        return positive_part(gap) @ like(shares, position)

    def target(self, obs: Observation) -> Array:
        """Return each location's part of its echelon's level, units: what its own position is then."""
        network = _network(obs)
        levels = np.atleast_2d(self._by_location(network))
        return np.maximum(np.linalg.solve(network.downstream, levels.T).T, 0.0)

    def _by_location(self, network: Network) -> FloatArray:
        levels = np.asarray(self.levels, dtype=np.float64)
        if levels.shape[-1:] not in ((), (1,), (network.locations,)):
            raise FractileError(f"levels must be one number a location, {network.locations}, got {levels.shape[-1]}")
        return np.broadcast_to(levels, (*levels.shape[:-1], network.locations)).copy()


def _network(obs: Observation) -> Network:
    if not isinstance(obs.params, Network):
        raise FractileError(
            "echelon_base_stock is for a network: take fr.networks.serial(...) or fr.networks.distribution(...)"
        )
    return obs.params


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
        return spread(self.order_up_to, obs)


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
        return spread(self.reorder_point + self.quantity, obs)
