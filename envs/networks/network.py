"""Locations that supply each other: serial chains, warehouses and stores, two suppliers, transshipment.

A network is locations and links. A link brings units to a location from outside, or from another location; a policy
orders on links. What happens in a period is written in `network_dynamics`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Array, FloatArray, IntArray
from ...errors import Faults
from ..core.backend import (
    like,
)
from ..core.params import ItemParams

OUTSIDE = -1
"""As the source of a link: a supplier that always delivers."""


@dataclass(frozen=True)
class Link:
    """A way for units to reach a location.

    Attributes:
        source: index of the location that ships, or `OUTSIDE`.
        destination: index of the location that receives.
        lead_time: periods from order to receipt, an integer >= 0. [L]
        unit_cost: money per unit shipped. [c]
        fixed_order_cost: money per shipment. [K]
        maximum_order: largest order, units.
    """

    source: int
    destination: int
    lead_time: int = 0
    unit_cost: float = 0.0
    fixed_order_cost: float = 0.0
    maximum_order: float = np.inf


@dataclass(frozen=True, eq=False)
class Network:
    """Locations, links, and what they cost; locations and links are numbered from 0.

    Attributes:
        names: of the locations.
        links: how units reach them.
        holding_cost: money per unit on hand at a period's end, scalar or (locations,). [h]
        stockout_cost: money per unit short at a period's end, scalar or (locations,); only locations with demand are
            ever short. [b]
        unmet_demand: "lost", "backorder", or the share that is lost; one for all or per location.
        transit_cost: money per unit under way at a period's end, by where it goes, scalar or (locations,).
        price: money per unit of accepted demand, scalar or (locations,). [p]
        demand_at: the locations with demand of their own; those that supply no other where None.
        whole_units: ship whole units where stock is rationed.
        discount: factor a period on later costs, in (0, 1].

    Raises:
        FractileError: with every field that breaks its rule.
    """

    names: tuple[str, ...]
    links: tuple[Link, ...]
    holding_cost: Any = 1.0
    stockout_cost: Any = 9.0
    unmet_demand: Any = "backorder"
    transit_cost: Any = 0.0
    price: Any = 0.0
    demand_at: Any = None
    whole_units: bool = False
    discount: float = 1.0
    # Every order may be placed in every period, and nothing is sold off at the end.
    review_period: int = field(default=1, init=False)
    every_period: bool = field(default=True, init=False)
    salvage_value: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "links", tuple(self.links))
        _check_links(self)
        suppliers = {link.source for link in self.links}
        chosen = [i for i in range(len(self.names)) if i not in suppliers] if self.demand_at is None else self.demand_at
        object.__setattr__(self, "demand_at", np.asarray(chosen, dtype=np.int64))
        object.__setattr__(self, "transit_cost", np.asarray(self.transit_cost, dtype=np.float64))
        assert self.stock is not None  # costs are checked where the parameters of the locations are made

    @cached_property
    def stock(self) -> ItemParams:
        """What holds for the stock of each location: costs, and what becomes of unmet demand."""
        return ItemParams(
            holding_cost=self.holding_cost,
            stockout_cost=self.stockout_cost,
            unmet_demand=self.unmet_demand,
            price=self.price,
            discount=self.discount,
        )

    @property
    def locations(self) -> int:
        """Number of locations."""
        return len(self.names)

    @property
    def lost_share(self) -> Any:
        """Share of unmet demand that is lost, scalar or (locations,)."""
        return self.stock.lost_share

    @cached_property
    def slots(self) -> int:
        """Slots that the pipeline needs: the longest lead time."""
        return max((link.lead_time for link in self.links), default=0)

    @cached_property
    def source(self) -> IntArray:
        """Where each link comes from, `OUTSIDE` = −1, shape (links,)."""
        return np.array([link.source for link in self.links], dtype=np.int64)

    @cached_property
    def destination(self) -> IntArray:
        """Where each link goes, shape (links,)."""
        return np.array([link.destination for link in self.links], dtype=np.int64)

    @cached_property
    def lead_time(self) -> IntArray:
        """Lead time of each link, shape (links,). [L]"""
        return np.array([link.lead_time for link in self.links], dtype=np.int64)

    @cached_property
    def maximum_order(self) -> FloatArray:
        """Largest order of each link, shape (links,)."""
        return np.array([link.maximum_order for link in self.links])

    @cached_property
    def out_of(self) -> FloatArray:
        """Which location each link takes from, one-hot, shape (links, locations); zeros for links from outside."""
        return (self.source[:, None] == np.arange(self.locations)).astype(np.float64)

    @cached_property
    def into(self) -> FloatArray:
        """Which location each link brings to, one-hot, shape (links, locations)."""
        return (self.destination[:, None] == np.arange(self.locations)).astype(np.float64)

    @cached_property
    def downstream(self) -> FloatArray:
        """Which locations (columns) belong to the echelon of which (rows), itself included, 0 or 1.

        Shape (locations, locations). Transshipment makes no echelons.
        """
        supplies = (self.out_of * ~self.lateral[:, None]).T @ self.into
        reach = np.eye(self.locations)
        for _ in range(self.locations):
            reach = np.minimum(reach + supplies @ reach, 1.0)
        return reach

    @cached_property
    def onward(self) -> IntArray:
        """The longest lead time from each location on to a location with demand, shape (locations,)."""
        longest = np.zeros(self.locations, dtype=np.int64)
        for _ in range(self.locations):
            for link, lateral in zip(self.links, self.lateral, strict=True):
                if link.source != OUTSIDE and not lateral:
                    longest[link.source] = max(longest[link.source], link.lead_time + longest[link.destination])
        return longest

    @cached_property
    def lateral(self) -> NDArray[np.bool_]:
        """Which links move units between locations with demand (transshipment), shape (links,)."""
        return np.isin(self.source, self.demand_at) & np.isin(self.destination, self.demand_at)

    @property
    def horizon(self) -> int:
        """Periods that a forecast must reach: the longest way from outside to demand, and the period of review."""
        return int(np.max(self.lead_time + self.onward[self.destination])) + 1

    @cached_property
    def flow(self) -> FloatArray:
        """Units that pass each location for one unit of demand at each location with demand, (demands, locations).

        Locations that several others supply take the same share from each; transshipment carries nothing as a rule.
        """
        supply = self.into * ~self.lateral[:, None]
        shares = supply / np.maximum(supply.sum(0), 1.0)
        through = np.linalg.inv(np.eye(self.locations) - shares.T @ self.out_of)
        flow: FloatArray = through[np.asarray(self.demand_at)]
        return flow

    def ordering_cost(self, order: FloatArray) -> FloatArray:
        """Return what shipments cost, money, shape (..., locations), from units shipped (..., links)."""
        fixed, unit = self.link_costs
        cost: FloatArray = (fixed * (order > 0) + unit * order) @ self.into
        return cost

    @cached_property
    def link_costs(self) -> tuple[FloatArray, FloatArray]:
        """Fixed cost and unit cost of each link, each (links,)."""
        fixed, unit = ([getattr(link, name) for link in self.links] for name in ("fixed_order_cost", "unit_cost"))
        return np.array(fixed), np.array(unit)

    @cached_property
    def arrivals(self) -> FloatArray:
        """The links' lead times as arrivals, one-hot, shape (slots + 1, 1, links)."""
        return (np.arange(self.slots + 1)[:, None, None] == self.lead_time).astype(np.float64)

    @cached_property
    def earlier(self) -> FloatArray:
        """Whether links (rows) come no later than others (columns) of the same source, shape (links, links), 0 or 1."""
        shared = np.triu(self.out_of @ self.out_of.T)
        np.fill_diagonal(shared, 1.0)
        return shared

    def place(self, demand: Array) -> Array:
        """Spread demand (paths, periods, locations with demand) over all locations, (paths, periods, locations)."""
        demand_at = np.asarray(self.demand_at)
        return demand @ like(np.eye(self.locations)[demand_at], demand)


def _check_links(network: Network) -> None:
    faults, known = Faults(), range(len(network.names))
    if not network.links:
        faults.add("links must hold at least one Link, got none")
    for i, link in enumerate(network.links):
        _check_link(f"links[{i}]", link, len(known), faults)
    for i in network.demand_at if network.demand_at is not None else ():
        if i not in known:
            faults.add(f"demand_at must hold locations from 0 to {len(known) - 1}, got {i}")
    if np.any(np.asarray(network.transit_cost, dtype=np.float64) < 0):
        faults.add(f"transit_cost must be >= 0, got {network.transit_cost}")
    faults.raise_if_any()


def _check_link(name: str, link: Link, locations: int, faults: Faults) -> None:
    if link.source != OUTSIDE and not 0 <= link.source < locations:
        faults.add(f"{name}.source must be OUTSIDE or a location from 0 to {locations - 1}, got {link.source}")
    if not 0 <= link.destination < locations or link.destination == link.source:
        faults.add(f"{name}.destination must be another location from 0 to {locations - 1}, got {link.destination}")
    if link.lead_time < 0 or link.lead_time != int(link.lead_time):
        faults.add(f"{name}.lead_time must be an integer >= 0, got {link.lead_time}")
    for field_ in ("unit_cost", "fixed_order_cost", "maximum_order"):
        if not getattr(link, field_) >= 0:
            faults.add(f"{name}.{field_} must be a number >= 0, got {getattr(link, field_)}")
