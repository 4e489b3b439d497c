"""The physics of locations that supply each other: serial chains, warehouses and stores, two suppliers, transshipment.

The period, for all locations of a `Network` at once:

1. the policy observes net inventory and what is under way to each location;
2. it orders on every link; a location that is asked for more than it has, on hand and due now, ships what it has in
   proportion to what was asked;
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

import numpy as np

from ...arrays import Array
from ..core.backend import (
    concatenate,
    floor,
    indicator,
    like,
    minimum,
    positive_part,
    straight_through,
    zeros,
)
from ..core.dynamics import settle, stock_cost
from ..core.types import InventoryState, PeriodOutcome
from .network import OUTSIDE, Link, Network

__all__ = ["OUTSIDE", "Link", "Network", "network_step", "ration"]


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
        order: units asked for on each link, shape (paths, links). [q]
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
    received, pipeline = _move(state.pipeline, shipped, params, arrivals)
    after = settle(state.net_inventory + received - sent, demand, params.stock)
    fixed, unit = (like(cost, order) for cost in params.link_costs)
    links = (fixed * indicator(shipped > 0, shipped) + unit * shipped) @ like(params.into, order)
    cost = stock_cost(after.on_hand, after.shortfall, demand, after.lost, params.stock) + links
    if len(pipeline) and np.any(params.transit_cost):
        cost = cost + like(params.transit_cost, order) * pipeline.sum(0)
    outcome = PeriodOutcome(shipped, received, after.sales, after.shortfall, after.on_hand, cost)
    return InventoryState(after.net_inventory, pipeline), outcome


def ration(order: Array, available: Array, params: Network) -> Array:
    """Return what is shipped on each link: what was asked for, or the sender's stock in proportion to it.

    Args:
        order: units asked for, shape (paths, links).
        available: units that each location can ship, shape (paths, locations).
        params: the network.
    """
    wanted = minimum(positive_part(order), like(params.maximum_order, order) + 0.0 * order)
    out_of = like(params.out_of, order)
    asked = wanted @ out_of
    share = minimum(available, asked) / (asked + indicator(asked == 0, asked))
    outside = like((params.source == OUTSIDE).astype(np.float64), order)
    ideal = wanted * (share @ out_of.T + outside)
    return straight_through(_whole(ideal, params), ideal) if params.whole_units else ideal


def _whole(ideal: Array, params: Network) -> Array:
    """Round so that all that a location ships stays the same: differences of rounded running totals."""
    running = ideal @ like(params.earlier, ideal)
    return floor(running + 1e-6) - floor(running - ideal + 1e-6)


def _move(pipeline: Array, shipped: Array, params: Network, arrivals: Array | None) -> tuple[Array, Array]:
    """Return what arrives now, and the pipeline of the next period, both by destination."""
    shares = like(params.arrivals if arrivals is None else arrivals, shipped)
    placed = (shares * shipped[None]) @ like(params.into, shipped)
    due = concatenate([pipeline, zeros((1, *placed.shape[1:]), shipped)]) + placed
    return due[0], due[1:]
