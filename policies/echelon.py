"""The echelon base-stock policy: every location orders for itself and for all that it supplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.backend import like, positive_part
from ..envs.core.types import Observation
from ..envs.networks.network import Network
from ..errors import FractileError
from .base import Rule, keep_parameters


@dataclass(frozen=True, eq=False)
class EchelonBaseStock:
    """Order each location's echelon position up to a level.

    The echelon position of a location is what it and everything downstream of it have on hand and under way, less
    backorders; its order is `max(S_i − position_i, 0)`, of which its suppliers ship what they have. In a serial system
    with backorders this is optimal, with the levels of `clark_scarf` (Clark and Scarf 1960); for a store, which
    supplies no other, it is the base-stock policy. Links into the same location take equal shares; transshipment links
    order nothing. Where several locations supply one, its stock counts in the echelon of each.

    Attributes:
        levels: units, one a location in the order of `Network.names`, or one for all; `clark_scarf` lists its own the
            other way round, downstream first. [S]

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
        return np.maximum(np.linalg.solve(network.downstream, self._by_location(network)), 0.0)[None]

    def _by_location(self, network: Network) -> FloatArray:
        if np.size(self.levels) not in (1, network.locations):
            raise FractileError(
                f"levels must be one number a location, {network.locations}, got {np.size(self.levels)}"
            )
        return np.broadcast_to(np.asarray(self.levels, dtype=np.float64), network.locations).copy()


def _network(obs: Observation) -> Network:
    if not isinstance(obs.params, Network):
        raise FractileError(
            "echelon_base_stock is for a network: take fr.networks.serial(...) or fr.networks.distribution(...)"
        )
    return obs.params
