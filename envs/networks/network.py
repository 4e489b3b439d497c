"""Locations that supply each other: serial chains, warehouses and stores, two suppliers, transshipment.

A network is locations and links. A link brings units to a location from outside, or from another location; a policy
orders on links.

The period, for all locations of a `Network` at once:

1. the policy observes net inventory and what is under way to each location;
2. it orders on every link; a location with orders for more than it has, on hand and due now, ships what it has in
   proportion to what was ordered;
3. what is due arrives, links without lead time included; these units can be sold, but shipped on only from the next
   period on;
4. demand occurs at the locations that have any;
5. costs are charged on the period's end: holding at every location, stock-outs, what links cost by unit and by
   shipment, and, where asked for, units under way.

What was not shipped is not owed: the next order may ask for it again. So an echelon base-stock policy in a serial
system is that of Clark and Scarf (1960), and proportional rationing is the usual default among stores; orders that
fit are shipped as they are, so that a policy with a view of all stores allocates as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import Array, BoolArray, FloatArray, IntArray
from ...errors import Faults
from ..core.backend import concatenate, floor, indicator, like, minimum, positive_part, straight_through, zeros
from ..core.dynamics import meet_demand, stock_cost
from ..core.params import ItemParams
from ..core.system import System
from ..core.types import InventoryState, PeriodOutcome

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
class Network(System):
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
    _stock: ItemParams = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "links", tuple(self.links))
        faults, known = Faults(), range(len(self.names))
        if not self.links:
            faults.add("links must hold at least one Link, got none")
        for i, link in enumerate(self.links):
            _check_link(f"links[{i}]", link, len(known), faults)
        for i in self.demand_at if self.demand_at is not None else ():
            if i not in known:
                faults.add(f"demand_at must hold locations from 0 to {len(known) - 1}, got {i}")
        if np.any(np.asarray(self.transit_cost, dtype=np.float64) < 0):
            faults.add(f"transit_cost must be >= 0, got {self.transit_cost}")
        faults.raise_if_any()
        suppliers = {link.source for link in self.links}
        chosen = [i for i in range(len(self.names)) if i not in suppliers] if self.demand_at is None else self.demand_at
        object.__setattr__(self, "demand_at", np.asarray(chosen, dtype=np.int64))
        object.__setattr__(self, "transit_cost", np.asarray(self.transit_cost, dtype=np.float64))
        stock = ItemParams(
            holding_cost=self.holding_cost,
            stockout_cost=self.stockout_cost,
            unmet_demand=self.unmet_demand,
            price=self.price,
            discount=self.discount,
        )
        object.__setattr__(self, "_stock", stock)

    @property
    def stock(self) -> ItemParams:
        """What holds for the stock of each location: costs, and what becomes of unmet demand."""
        return self._stock

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
    def lateral(self) -> BoolArray:
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

    def step(
        self, state: Any, order: Array, demand: Array, arrivals: Array | None = None
    ) -> tuple[InventoryState, PeriodOutcome]:
        """Advance one period: see `network_step`."""
        return network_step(state, order, demand, self, arrivals)

    def columns(self, items: int = 0) -> int:  # noqa: ARG002  # a network knows its own
        """Return the number of locations."""
        return self.locations

    def orders(self, items: int = 0) -> int:  # noqa: ARG002
        """Return the number of links."""
        return len(self.links)

    def column_names(self, items: int = 0) -> list[str]:  # noqa: ARG002
        """Return the name of each location."""
        return list(self.names)

    def shipped_in(self, order: Array) -> Array:
        """Return the units that shipments (..., links) bring to each location, (..., locations)."""
        return order @ like(self.into, order)

    def shipped_out(self, order: Array) -> Array:
        """Return the units that shipments (..., links) take from each location, (..., locations)."""
        return order @ like(self.out_of, order)

    def order_costs(self, items: int = 0) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """Return the fixed cost and the unit cost of each link, each (links,)."""
        return self.link_costs

    def orders_by_kind(self, order: FloatArray, column: int) -> dict[str, FloatArray]:
        """Return shipments (links, periods) into a location by kind of link: the slowest are the regular ones."""
        into = self.destination == column
        usual = into & ~self.lateral
        slowest = self.lead_time == np.max(self.lead_time[usual], initial=0)
        kinds = {"expedited order": usual & ~slowest, "transshipment": into & self.lateral}
        others = {name: order[links].sum(0) for name, links in kinds.items() if links.any()}
        regular = "regular order" if "expedited order" in others else "order, as shipped"
        return {regular: order[usual & slowest].sum(0), **others}

    def place(self, demand: Array) -> Array:
        """Spread demand (paths, periods, locations with demand) over all locations, (paths, periods, locations)."""
        demand_at = np.asarray(self.demand_at)
        return demand @ like(np.eye(self.locations)[demand_at], demand)


def network_step(
    state: InventoryState,
    order: Array,
    demand: Array,
    params: Network,
    arrivals: Array | None = None,
) -> tuple[InventoryState, PeriodOutcome]:
    """Advance one period.

    With `available = max(net_inventory + due, 0)` and `share = min(available / asked, 1)` for each location that is
    asked for units, a link ships `share · order`. Stock then moves as in `dynamics.step`, with what was shipped on
    taken off before demand. Cost is `h·on_hand + b·shortfall + K·1[q > 0] + c·q + transit·under way −
    p·(demand − lost)`.

    Args:
        state: net inventory (paths, locations); pipeline (slots, paths, locations), by where units go.
        order: units requested on each link, shape (paths, links). [q]
        demand: units, shape (paths, locations); zero where a location has none. [D]
        params: the network.
        arrivals: share of each link's shipment that arrives k periods later, shape (slots + 1, paths or 1, links);
            the links' constant lead times where None.

    Returns:
        The state that the next period begins with, and what this one did: `order` is what was shipped (paths,
        links), `received`, `sales`, `shortfall`, `on_hand` and `cost` are (paths, locations).

    >>> import numpy as np
    >>> chain = Network(("warehouse", "store"), (Link(OUTSIDE, 0, 1), Link(0, 1, 1)), holding_cost=np.array([0.5, 1.0]))
    >>> state = InventoryState(np.array([[3.0, 4.0]]), np.array([[[1.0, 2.0]]]))
    >>> state, outcome = network_step(state, np.array([[5.0, 9.0]]), np.array([[0.0, 8.0]]), chain)
    >>> outcome.order.tolist(), state.net_inventory.tolist(), state.pipeline.tolist()
    ([[5.0, 4.0]], [[0.0, -2.0]], [[[5.0, 4.0]]])
    """
    due = state.pipeline[0] if len(state.pipeline) else zeros(tuple(state.net_inventory.shape), order)
    shipped = ration(order, positive_part(state.net_inventory + due), params)
    sent = shipped @ like(params.out_of, order)
    shares = like(params.arrivals if arrivals is None else arrivals, shipped)
    placed = (shares * shipped[None]) @ like(params.into, shipped)
    moving = concatenate([state.pipeline, zeros((1, *placed.shape[1:]), shipped)]) + placed
    received, pipeline = moving[0], moving[1:]
    after = meet_demand(state.net_inventory + received - sent, demand, params.stock)
    fixed, unit = (like(cost, order) for cost in params.link_costs)
    links = (fixed * indicator(shipped > 0, shipped) + unit * shipped) @ like(params.into, order)
    cost = stock_cost(after.on_hand, after.shortfall, demand, after.lost, params.stock) + links
    if len(pipeline) and np.any(params.transit_cost):
        cost = cost + like(params.transit_cost, order) * pipeline.sum(0)
    outcome = PeriodOutcome(shipped, received, after.sales, after.shortfall, after.on_hand, cost)
    return InventoryState(after.net_inventory, pipeline), outcome


def ration(order: Array, available: Array, params: Network) -> Array:
    """Return what is shipped on each link: what was ordered, or the sender's stock in proportion to it.

    Args:
        order: units requested, shape (paths, links).
        available: units that each location can ship, shape (paths, locations).
        params: the network.
    """
    wanted = minimum(positive_part(order), like(params.maximum_order, order) + 0.0 * order)
    out_of = like(params.out_of, order)
    asked = wanted @ out_of
    share = minimum(available, asked) / (asked + indicator(asked == 0, asked))
    outside = like((params.source == OUTSIDE).astype(np.float64), order)
    ideal = wanted * (share @ out_of.T + outside)
    if not params.whole_units:
        return ideal
    # Differences of rounded running totals: all that a location ships stays the same.
    running = ideal @ like(params.earlier, ideal)
    return straight_through(floor(running + 1e-6) - floor(running - ideal + 1e-6), ideal)


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
