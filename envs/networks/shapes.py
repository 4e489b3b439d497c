"""The networks that scientists study, by name: serial, distribution, dual sourcing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import FractileError
from .network import OUTSIDE, Link, Network


def serial(lead_times: Sequence[int], holding_costs: Sequence[float], stockout_cost: float, **options: Any) -> Network:
    """Return a chain: outside → first location → … → last location, which has the demand (Clark and Scarf 1960).

    Args:
        lead_times: of the link into each location, upstream to downstream. [L]
        holding_costs: of each location, money per unit on hand. [h]
        stockout_cost: of the last location. [b]
        **options: further fields of `Network`.
    """
    if len(lead_times) != len(holding_costs):
        raise FractileError(
            f"lead_times and holding_costs must be one a location, got {len(lead_times)} and {len(holding_costs)}"
        )
    links = tuple(Link(i - 1 if i else OUTSIDE, i, lead_time) for i, lead_time in enumerate(lead_times))
    names = tuple(f"stage {i + 1}" for i in range(len(links)))
    return Network(names, links, holding_cost=np.asarray(holding_costs), stockout_cost=stockout_cost, **options)


def distribution(
    stores: int,
    *,
    warehouses: int = 1,
    warehouse_lead_time: int = 3,
    store_lead_time: int | Sequence[int] = 2,
    warehouse_holding_cost: float = 0.5,
    store_holding_cost: Any = 1.0,
    stockout_cost: Any = 9.0,
    transshipment_cost: float | None = None,
    transshipment_lead_time: int = 0,
    **options: Any,
) -> Network:
    """Return warehouses, each supplied from outside, and stores, each supplied by every warehouse.

    Links come in this order: outside → warehouses; warehouse 1 → stores; warehouse 2 → stores …; and, with
    transshipment, every store → every other store.

    Args:
        stores: number of stores; demand occurs there.
        warehouses: number of warehouses.
        warehouse_lead_time: from outside.
        store_lead_time: from a warehouse, one for all or per store.
        warehouse_holding_cost: money per unit on hand.
        store_holding_cost: likewise, one for all or per store.
        stockout_cost: one for all stores or per store.
        transshipment_cost: money per unit moved between stores; None = stores do not supply each other.
        transshipment_lead_time: from store to store.
        **options: further fields of `Network`.
    """
    if stores < 1 or warehouses < 1:
        raise FractileError(f"a distribution system needs stores and warehouses, got {stores} and {warehouses}")
    depots, shops = range(warehouses), range(warehouses, warehouses + stores)
    lead_times = np.broadcast_to(store_lead_time, stores).tolist()
    links = [Link(OUTSIDE, depot, warehouse_lead_time) for depot in depots]
    links += [Link(depot, shop, lead_times[shop - warehouses]) for depot in depots for shop in shops]
    if transshipment_cost is not None:
        pairs = [(a, b) for a in shops for b in shops if a != b]
        links += [Link(a, b, transshipment_lead_time, transshipment_cost) for a, b in pairs]
    return Network(
        (*(f"warehouse {i + 1}" for i in range(warehouses)), *(f"store {i + 1}" for i in range(stores))),
        tuple(links),
        holding_cost=_join(warehouses, warehouse_holding_cost, stores, store_holding_cost),
        stockout_cost=_join(warehouses, 0.0, stores, stockout_cost),
        demand_at=tuple(shops),
        **options,
    )


def dual_sourcing(
    *,
    regular_lead_time: int = 2,
    expedited_lead_time: int = 0,
    regular_cost: float = 100.0,
    expedited_cost: float = 105.0,
    holding_cost: Any = 5.0,
    stockout_cost: Any = 495.0,
    items: int = 1,
    **options: Any,
) -> Network:
    """Return items that a cheap, slow and an expensive, fast supplier deliver (Veeraraghavan and Scheller-Wolf 2008).

    Links: the regular supplier's for every item, then the expedited supplier's for every item. The defaults are the
    first instance of Gijsbrechts et al. (2022), section 6.2.

    Args:
        regular_lead_time: periods. [l_r]
        expedited_lead_time: periods, shorter. [l_e]
        regular_cost: money per unit. [c_r]
        expedited_cost: money per unit. [c_e]
        holding_cost: scalar or (items,). [h]
        stockout_cost: scalar or (items,). [b]
        items: number of items.
        **options: further fields of `Network`.
    """
    if not 0 <= expedited_lead_time < regular_lead_time:
        raise FractileError(
            f"expedited_lead_time must be shorter than regular_lead_time and >= 0, got {expedited_lead_time} and "
            f"{regular_lead_time}"
        )
    suppliers = ((regular_lead_time, regular_cost), (expedited_lead_time, expedited_cost))
    links = tuple(Link(OUTSIDE, i, lead_time, cost) for lead_time, cost in suppliers for i in range(items))
    names = tuple(f"item {i + 1}" for i in range(items))
    return Network(names, links, holding_cost=holding_cost, stockout_cost=stockout_cost, **options)


def _join(first: int, one: Any, second: int, other: Any) -> Any:
    return np.concatenate([np.broadcast_to(one, first), np.broadcast_to(other, second)]).astype(np.float64)
