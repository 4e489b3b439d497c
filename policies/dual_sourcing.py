"""Policies for items that a cheap, slow and a dear, fast supplier deliver: see `envs.networks.shapes.dual_sourcing`.

Every policy here places regular orders, then expedited ones. With IN the net inventory and l_r > l_e the lead times,

- the *regular position* is IN and everything under way, with the expedited order of this period, which goes first;
- the *expedited position* is IN and what is under way and arrives within l_e periods, so that an expedited order
  placed now comes no earlier than any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..envs.core.backend import concatenate, like, minimum, positive_part
from ..envs.core.types import Observation
from ..envs.networks.network import OUTSIDE, Network
from ..errors import FractileError
from .base import FINITE, LIMIT, NOT_NEGATIVE, keep_parameters, spread


@dataclass(frozen=True, eq=False)
class SingleIndex:
    """Both suppliers order up to a level of the same, regular position.

    `q_e = max(S_e − IP, 0)`, `q_r = max(S_r − IP − q_e, 0)` with IP all that is on hand and under way. From the first
    time that IP is at S_r, orders add up to the last demand D, and of that `max(D − (S_r − S_e), 0)` is expedited:
    Scheller-Wolf, Veeraraghavan and van Houtum (2007), "Effective dual sourcing with a single index policy".

    Attributes:
        regular_level: units, one for all or per item. [S_r]
        expedited_level: units, one for all or per item; not above the regular one. [S_e]
    """

    regular_level: Any
    expedited_level: Any

    def __post_init__(self) -> None:
        keep_parameters(self, regular_level=FINITE, expedited_level=FINITE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, 2 · items): from the regular supplier, then from the expedited one."""
        check_suppliers(obs)
        position = obs.inventory_position
        expedited = positive_part(like(self.expedited_level, position) - position)
        regular = positive_part(like(self.regular_level, position) - position - expedited)
        return concatenate([regular, expedited], axis=1)

    def target(self, obs: Observation) -> Array:
        """Return the regular level, units. [S_r]"""
        return spread(self.regular_level, obs)


@dataclass(frozen=True, eq=False)
class DualIndex:
    """Each supplier orders up to a level of its own position.

    `q_e = max(S_e − IP_e, 0)`, `q_r = max(S_r − IP_r, 0)`: Veeraraghavan and Scheller-Wolf (2008), "Now or later: a
    simple policy for effective dual sourcing in capacitated systems", Operations Research 56(4). The positions are
    those of this module.

    Attributes:
        regular_level: units, one for all or per item. [S_r]
        expedited_level: units, one for all or per item. [S_e]
    """

    regular_level: Any
    expedited_level: Any

    def __post_init__(self) -> None:
        keep_parameters(self, regular_level=FINITE, expedited_level=FINITE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, 2 · items): from the regular supplier, then from the expedited one."""
        expedited = _surge(self.expedited_level, obs)
        return concatenate([_up_to(self.regular_level, obs, expedited), expedited], axis=1)

    def target(self, obs: Observation) -> Array:
        """Return the regular level, units. [S_r]"""
        return spread(self.regular_level, obs)


@dataclass(frozen=True, eq=False)
class CappedDualIndex:
    """The dual-index policy with a cap on regular orders.

    `q_e = max(S_e − IP_e, 0)`, `q_r = min(max(S_r − IP_r, 0), r)`: Sun and Van Mieghem (2019), "Robust dual sourcing
    inventory management: optimality of capped dual index policies and smoothing", Manufacturing & Service Operations
    Management 21(4). As in the dual-index policy, this period's expedited order counts in the regular position. A cap
    that never binds makes it the dual-index policy; a regular level that is never reached, a tailored base-surge.

    Attributes:
        regular_level: units, one for all or per item. [S_r]
        expedited_level: units, one for all or per item. [S_e]
        cap: the largest regular order, units, one for all or per item. [r]
    """

    regular_level: Any
    expedited_level: Any
    cap: Any

    def __post_init__(self) -> None:
        keep_parameters(self, regular_level=FINITE, expedited_level=FINITE, cap=LIMIT)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, 2 · items): from the regular supplier, then from the expedited one."""
        expedited = _surge(self.expedited_level, obs)
        wanted = _up_to(self.regular_level, obs, expedited)
        cap = like(np.broadcast_to(np.asarray(self.cap), tuple(wanted.shape)).copy(), wanted)
        return concatenate([minimum(wanted, cap), expedited], axis=1)

    def target(self, obs: Observation) -> Array:
        """Return the regular level, units. [S_r]"""
        return spread(self.regular_level, obs)


@dataclass(frozen=True, eq=False)
class TailoredBaseSurge:
    """The slow supplier delivers the base, the same in every period; the fast one the surges.

    `q_r = Q`, `q_e = max(S_e − IP_e, 0)`: Allon and Van Mieghem (2010), "Global dual sourcing: tailored base-surge
    allocation to near- and offshore production", Management Science 56(1). Q stays below mean demand, or stock grows
    without end.

    Attributes:
        quantity: units a period, one for all or per item. [Q]
        expedited_level: units, one for all or per item. [S_e]
    """

    quantity: Any
    expedited_level: Any

    def __post_init__(self) -> None:
        keep_parameters(self, quantity=NOT_NEGATIVE, expedited_level=FINITE)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, 2 · items): from the regular supplier, then from the expedited one."""
        expedited = _surge(self.expedited_level, obs)
        return concatenate([0.0 * expedited + like(self.quantity, expedited), expedited], axis=1)

    def target(self, obs: Observation) -> Array:
        """Return the expedited level, units. [S_e]"""
        return spread(self.expedited_level, obs)


def check_suppliers(obs: Observation) -> None:
    """Raise a `FractileError` where a system is not one of items with a regular and an expedited supplier."""
    network = obs.params
    if isinstance(network, Network) and len(network.links) == 2 * network.locations:
        slow, fast = np.split(network.lead_time, 2)
        same = np.array_equal(network.destination, np.tile(np.arange(network.locations), 2))
        if same and (network.source == OUTSIDE).all() and (slow > fast).all():
            return
    raise FractileError(
        "this policy needs a slow and a fast supplier for every item: take fr.networks.dual_sourcing(...) as the system"
    )


def expedited_position(obs: Observation) -> Array:
    """Return net inventory and what arrives within the expedited lead time, units, shape (paths, items). [IP_e]"""
    check_suppliers(obs)
    fast = obs.params.lead_time[obs.params.locations :]
    position = obs.net_inventory
    # Where deliveries are data, the pipeline may be shorter than the expedited lead time.
    for k in range(min(int(fast.max()) + 1, len(obs.pipeline))):
        position = position + like((k <= fast).astype(np.float64), position) * obs.pipeline[k]
    return position


def _surge(level: Any, obs: Observation) -> Array:
    position = expedited_position(obs)
    return positive_part(like(level, position) - position)


def _up_to(level: Any, obs: Observation, expedited: Array) -> Array:
    return positive_part(like(level, expedited) - obs.inventory_position - expedited)
