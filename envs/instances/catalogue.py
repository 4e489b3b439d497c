"""Instances of the literature by name, each with what it is known to cost, where that is written, and its environment.

>>> instance = instances["zipkin2008-poisson-b4-L2"]
>>> instance.optimal, instance.known["base_stock"].parameters
(4.3953, {'level': 16})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ...errors import FractileError, did_you_mean
from ..core.params import ItemParams
from ..demand.distributions import Discrete, Gamma, Geometric, Normal, Poisson, Rounded
from ..demand.model import DemandModel
from ..demand.modifiers import Correlated
from ..gym.inventory_env import InventoryEnv
from ..networks.shapes import distribution, dual_sourcing, serial
from . import tables as table

Evidence = Literal["recomputed", "printed", "reported"]
"""Recomputed exactly for this library; printed in the source; reported by somebody else."""

RATES = (4, 9, 19, 39)
"""Stock-out costs b of most tables, at h = 1."""


@dataclass(frozen=True)
class Known:
    """What a policy is known to cost on an instance.

    Attributes:
        cost: money per period, on average.
        parameters: of the policy, by the names of `make_policy`; empty where the source does not give them.
        evidence: where the number comes from.
    """

    cost: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence = "recomputed"


@dataclass(frozen=True, eq=False)
class Instance:
    """One instance of the literature.

    Attributes:
        name: a key of `instances`.
        system: the kind of system, a key of `SYSTEMS`.
        demand: demand of the item, or of the locations with demand.
        params: lead times and costs of the item, or the network.
        citation: where the instance stands.
        optimal: the least cost per period, on average; None where it is not known.
        evidence: where `optimal` comes from.
        digits: decimals of `optimal` that are to be trusted, the last one to a unit.
        bound: a cost that no policy can be below, where there is one.
        known: costs of other policies, by name.
    """

    name: str
    system: str
    demand: DemandModel
    params: Any
    citation: str
    optimal: float | None = None
    evidence: Evidence = "recomputed"
    digits: int = 4
    bound: float | None = None
    known: Mapping[str, Known] = field(default_factory=dict)

    def make_env(self, **options: Any) -> InventoryEnv:
        """Return the Gymnasium environment of this instance.

        Args:
            **options: further arguments of `InventoryEnv`, e.g. periods.
        """
        return InventoryEnv(self.system, demand=self.demand, params=self.params, **options)


class Instances(Mapping[str, Instance]):
    """Every instance by name."""

    @cached_property
    def _all(self) -> dict[str, Instance]:
        families = (_lost_sales, _backorder, _dual_sourcing, _fixed_cost, _serial, _distribution, _perishable)
        return {instance.name: instance for family in families for instance in family()}

    def __getitem__(self, name: str) -> Instance:
        if name not in self._all:
            raise FractileError(f"unknown instance {name!r}{did_you_mean(name, self._all)}")
        return self._all[name]

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


instances = Instances()
"""Every instance of the literature, by name."""

ZIPKIN = "Zipkin (2008), Old and new methods for lost-sales inventory systems, Operations Research 56(5), Tables 3, 4"


def _lost_sales() -> Iterator[Instance]:
    def item(lead_time: int, stockout_cost: float) -> ItemParams:
        return ItemParams(lead_time=lead_time, holding_cost=1.0, stockout_cost=float(stockout_cost), pack_size=1.0)

    for (b, lead_time), (optimal, base, capped, projected) in table.LOST_SALES_POISSON.items():
        known = {
            "base_stock": Known(base[1], {"level": base[0]}),
            "capped_base_stock": Known(capped[2], {"level": capped[0], "cap": capped[1]}),
            "projected_level": Known(projected[1], {"level": projected[0]}),
        }
        if b in table.CONSTANT_ORDER_POISSON:
            known["constant_order"] = Known(table.CONSTANT_ORDER_POISSON[b], {"quantity": 4})
        names = ("myopic", "myopic-2", "standard base-stock", "better vector base-stock")
        printed = table.ZIPKIN_HEURISTICS[b, lead_time]
        known |= {name: Known(cost, evidence="printed") for name, cost in zip(names, printed, strict=True)}
        name, params = f"zipkin2008-poisson-b{b}-L{lead_time}", item(lead_time, b)
        yield Instance(name, "lost_sales", Poisson(5.0), params, ZIPKIN, optimal, digits=5, known=known)
    for (b, lead_time), (optimal, base_stock) in table.LOST_SALES_GEOMETRIC.items():
        known = {"base_stock": Known(base_stock, evidence="printed")}
        name, params = f"zipkin2008-geometric-b{b}-L{lead_time}", item(lead_time, b)
        yield Instance(name, "lost_sales", Geometric(5.0), params, ZIPKIN, optimal, known=known)
    source = "Temizöz et al. (2025), Deep controlled learning for inventory control, European Journal of OR 324(1)"
    for b, optimal in table.LONG_LEAD_TIME_POISSON.items():
        yield Instance(
            f"temizoz2025-poisson-b{b}-L6", "lost_sales", Poisson(5.0), item(6, b), source, optimal, digits=3
        )
    for (b, lead_time), (best, base_stock) in table.LONGEST_LEAD_TIMES_POISSON.items():
        known = {
            "best known": Known(best, evidence="printed"),
            "base_stock": Known(base_stock, evidence="printed"),
        }
        name, params = f"temizoz2025-poisson-b{b}-L{lead_time}", item(lead_time, b)
        yield Instance(name, "lost_sales", Poisson(5.0), params, source, known=known)


def _backorder() -> Iterator[Instance]:
    source = "Alvo, Russo and Kanoria (2023), Neural inventory control in networks, one store, backlogged"
    for lead_time, costs in table.BACKORDER_NORMAL.items():
        for b, optimal in zip(RATES, costs, strict=True):
            params = ItemParams(lead_time=lead_time, stockout_cost=float(b), unmet_demand="backorder")
            name = f"alvo2023-backorder-b{b}-L{lead_time}"
            yield Instance(name, "backorder", Normal(5.0, 1.6), params, source, optimal)
    source = "Snyder and Shen (2019), Fundamentals of supply chain theory, 2nd edition, example 4.3"
    numbers = table.NEWSVENDOR_NORMAL
    params = ItemParams(
        holding_cost=numbers["holding_cost"], stockout_cost=numbers["stockout_cost"], unmet_demand="backorder"
    )
    normal = Normal(numbers["mean"], numbers["standard_deviation"])
    yield Instance("snyder2019-newsvendor", "backorder", normal, params, source, numbers["cost"], digits=6)
    source = "Zipkin (2000), Foundations of inventory management: the fractile of demand over L + 1 periods"
    numbers = table.BACKORDER_POISSON
    params = ItemParams(lead_time=2, stockout_cost=numbers["stockout_cost"], unmet_demand="backorder", pack_size=1.0)
    known = {"base_stock": Known(numbers["cost"], {"level": numbers["level"]})}
    name, poisson = "zipkin2000-backorder-b9-L2", Poisson(numbers["mean"])
    yield Instance(name, "backorder", poisson, params, source, numbers["cost"], known=known)


def _dual_sourcing() -> Iterator[Instance]:
    source = "Gijsbrechts et al. (2022), Can deep reinforcement learning improve inventory management?, MSOM 24(3), 6.2"
    names = ("single_index", "dual_index", "capped_dual_index", "tailored_base_surge")
    for (lead_time, cost), (optimal, gaps) in table.DUAL_SOURCING.items():
        params = dual_sourcing(regular_lead_time=lead_time, expedited_cost=float(cost), whole_units=True)
        known = {name: Known(optimal * (1 + gap / 100)) for name, gap in zip(names, gaps or (), strict=False)}
        name = f"gijsbrechts2022-dual-L{lead_time}-c{cost}"
        yield Instance(name, "dual_sourcing", Discrete.uniform(4), params, source, optimal, known=known)


def _fixed_cost() -> Iterator[Instance]:
    source = "Bijvank, Bhulai and Huh (2015), Parametric replenishment policies, European Journal of OR 241(2), Table 1"
    numbers = table.FIXED_COST_LOST_SALES
    params = ItemParams(lead_time=2, stockout_cost=14.0, fixed_order_cost=5.0, pack_size=1.0)
    (s, top, plain), (point, lot, lots), (_, _, cap, capped) = numbers["ss"], numbers["rq"], numbers["capped ss"]
    known = {
        "ss": Known(plain, {"reorder_point": s, "order_up_to": top}, "printed"),
        "rq": Known(lots, {"reorder_point": point, "quantity": lot}, "printed"),
        "capped ss": Known(capped, {"reorder_point": s, "order_up_to": top, "cap": cap}, "printed"),
    }
    name, optimal = "bijvank2015-fixed-cost", numbers["optimal"]
    yield Instance(name, "fixed_cost", Poisson(5.0), params, source, optimal, digits=5, known=known)
    source = "Zheng and Federgruen (1991), Finding optimal (s, S) policies, Operations Research 39(4), Table 1"
    params = ItemParams(stockout_cost=9.0, fixed_order_cost=64.0, unmet_demand="backorder", pack_size=1.0)
    for mean, (s, top, optimal) in table.REORDER_POINT_ORDER_UP_TO.items():
        known = {"ss": Known(optimal, {"reorder_point": s, "order_up_to": top})}
        name = f"zheng1991-poisson-{mean}"
        yield Instance(name, "fixed_cost", Poisson(float(mean)), params, source, optimal, known=known)


def _serial() -> Iterator[Instance]:
    source = "Alvo, Russo and Kanoria (2023), Neural inventory control in networks, serial system"
    for last, costs in table.SERIAL.items():
        for b, optimal in zip(RATES, costs, strict=True):
            params = serial((2, 4, 3, last), (0.1, 0.2, 0.5, 1.0), float(b))
            name = f"alvo2023-serial-b{b}-L{last}"
            yield Instance(name, "serial", Normal(5.0, 2.0), params, source, optimal, digits=3)
    # The book watches stock all the time: its last lead time of one period is ours of none. Units on that way cost
    # their 4 for a period all the same: as what a unit shipped there costs.
    chain = serial((2, 1, 0), (2.0, 4.0, 7.0), 37.12, transit_cost=np.array([0.0, 2.0, 0.0]))
    params = replace(chain, links=(*chain.links[:-1], replace(chain.links[-1], unit_cost=4.0)))
    known = {"echelon_base_stock": Known(47.66, {"levels": (22.71, 12.02, 6.49)})}
    source = "Snyder and Shen (2019), Fundamentals of supply chain theory, 2nd edition, example 6.1"
    yield Instance("snyder2019-serial", "serial", Normal(5.0, 1.0), params, source, 47.66, digits=2, known=known)


def _distribution() -> Iterator[Instance]:
    source = "Alvo, Russo and Kanoria (2023), Neural inventory control in networks, transshipment"
    for (stores, lead_time, correlation), bounds in table.TRANSSHIPMENT.items():
        independent = Normal(np.array(table.STORE_MEANS[:stores]), np.array(table.STORE_DEVIATIONS[:stores]))
        demand: DemandModel = Correlated(independent, correlation) if correlation else independent
        for b, bound in zip(RATES, bounds, strict=False):
            params = distribution(stores, store_lead_time=lead_time, warehouse_holding_cost=1.0, stockout_cost=float(b))
            name = f"alvo2023-transshipment-{stores}-b{b}-L{lead_time}-rho{correlation:g}"
            yield Instance(name, "distribution", demand, params, source, bound=bound, digits=6)


def _perishable() -> Iterator[Instance]:
    source = "De Moor, Gijsbrechts and Boute (2022), Reward shaping to improve inventory management, EJOR 301(2)"
    for issuing, (optimal, level, base) in table.PERISHABLE.items():
        params = ItemParams(
            lead_time=1,
            stockout_cost=5.0,
            unit_cost=3.0,
            waste_cost=7.0,
            shelf_life=2,
            issuing=issuing,  # type: ignore[arg-type]  # a key of the table
            pack_size=1.0,
            maximum_order=10.0,
            discount=0.99,
        )
        known = {
            "optimal, discounted": Known(optimal, evidence="reported"),
            "base_stock, discounted": Known(base, {"level": level}, "reported"),
        }
        name = f"demoor2022-perishable-{issuing}"
        yield Instance(name, "perishable", Rounded(Gamma(4.0, cv=0.5)), params, source, known=known)
