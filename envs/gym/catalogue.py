"""The named systems of the Gymnasium ids: which episodes they draw."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...errors import FractileError, did_you_mean
from ...forecasters.data.panel import SalesPanel
from ...forecasters.forecast import QuantileForecast
from ...registry import import_address
from ..arrivals.models import ArrivalModel
from ..core.params import ItemParams, params_from_items
from ..demand.belief import Believed
from ..demand.distributions import Discrete, Gamma, Normal, Poisson, Rounded
from ..demand.forecast_demand import ForecastDemand
from ..demand.model import DemandModel
from ..demand.sampled import as_demand_model
from ..networks.network import Network
from ..networks.shapes import distribution, dual_sourcing, serial
from ..systems.capacity import SharedCapacity
from .sources import DemandSource, EpisodeSource, JointSource

SHARED_MEANS = np.array([2.0, 4.0, 6.0, 8.0, 10.0])
"""Mean demand of the items that share a capacity."""


@dataclass(frozen=True)
class NamedSystem:
    """A named system: what it is, and the instance that stands where nothing else is given.

    Attributes:
        description: a line.
        defaults: arguments of `build`.
        demand: makes the demand model, given the system's parameters.
        build: makes the parameters of items, or the network.
        joint: episodes hold all items or locations together, not one at random.
    """

    description: str
    defaults: dict[str, Any]
    demand: Callable[[Any], DemandModel]
    build: Callable[..., Any] = ItemParams
    joint: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Names that `build` takes."""
        if self.build is ItemParams:
            return tuple(f.name for f in fields(ItemParams) if f.init)
        named = [p.name for p in inspect.signature(self.build).parameters.values() if p.kind is not p.VAR_KEYWORD]
        filled = {"names", "links", "holding_cost", "stockout_cost", "demand_at"}
        return (*named, *(f.name for f in fields(Network) if f.init and f.name not in filled))


def _poisson(mean: float) -> Callable[[Any], DemandModel]:
    return lambda _: Poisson(mean)


_RETAIL = {"lead_time": 2, "holding_cost": 1.0, "stockout_cost": 9.0, "pack_size": 1.0}

SYSTEMS: dict[str, NamedSystem] = {
    "lost_sales": NamedSystem(
        "one item, unmet demand is lost; Zipkin's (2008) instance L = 2, h = 1, b = 4, Poisson(5)",
        {"lead_time": 2, "holding_cost": 1.0, "stockout_cost": 4.0, "pack_size": 1.0},
        _poisson(5.0),
    ),
    "backorder": NamedSystem(
        "one item, unmet demand waits; L = 2, h = 1, b = 9, Poisson(5)",
        {**_RETAIL, "unmet_demand": "backorder"},
        _poisson(5.0),
    ),
    "forecast_driven": NamedSystem(
        "items of a panel, demand drawn from a forecaster's quantiles; an item an episode",
        _RETAIL,
        _poisson(5.0),
    ),
    "fixed_cost": NamedSystem(
        "one item, every order costs K; Bijvank et al. (2015): lost sales, L = 2, h = 1, b = 14, K = 5, Poisson(5)",
        {"lead_time": 2, "holding_cost": 1.0, "stockout_cost": 14.0, "fixed_order_cost": 5.0, "pack_size": 1.0},
        _poisson(5.0),
    ),
    "dual_sourcing": NamedSystem(
        "a cheap, slow and an expensive, fast supplier; Gijsbrechts et al. (2022): 2 and 0 periods, 100 and 105 a "
        "unit, h = 5, b = 495, demand 0 to 4",
        {"whole_units": True},
        lambda _: Discrete.uniform(4),
        dual_sourcing,
        joint=True,
    ),
    "perishable": NamedSystem(
        "stock keeps for two periods; De Moor et al. (2022): lost sales, L = 1, h = 1, b = 5, waste 7, unit 3, FIFO",
        {
            "lead_time": 1,
            "holding_cost": 1.0,
            "stockout_cost": 5.0,
            "unit_cost": 3.0,
            "waste_cost": 7.0,
            "shelf_life": 2,
            "pack_size": 1.0,
        },
        lambda _: Rounded(Gamma(4.0, cv=0.5)),
    ),
    "serial": NamedSystem(
        "a chain of four locations, demand at the last; Alvo et al. (2023): lead times 2, 4, 3, 4, h = 0.1 to 1, b = 9",
        {"lead_times": (2, 4, 3, 4), "holding_costs": (0.1, 0.2, 0.5, 1.0), "stockout_cost": 9.0},
        lambda _: Normal(5.0, 2.0),
        serial,
        joint=True,
    ),
    "distribution": NamedSystem(
        "a warehouse and three stores; lead times 3 and 2, h = 0.5 and 1, b = 9, unmet demand is lost",
        {"stores": 3, "unmet_demand": "lost", "whole_units": True},
        lambda network: Poisson(np.full(len(np.asarray(network.demand_at)), 5.0)),
        distribution,
        joint=True,
    ),
    "shared_capacity": NamedSystem(
        "five items that share a production capacity, a tenth above mean demand; L = 1, h = 1, b = 9, backorders",
        {
            "lead_time": 1,
            "holding_cost": 1.0,
            "stockout_cost": 9.0,
            "unmet_demand": "backorder",
            "pack_size": 1.0,
            "capacity": SharedCapacity(limit=33.0),
        },
        lambda _: Poisson(SHARED_MEANS),
        joint=True,
    ),
}
"""Every named system by name."""


def make_source(
    system: str,
    *,
    source: EpisodeSource | None = None,
    demand: DemandModel | str | None = None,
    forecast: QuantileForecast | None = None,
    forecaster: Any = None,
    panel: SalesPanel | None = None,
    mode: str = "fixed",
    item: int | None = None,
    arrivals: ArrivalModel | None = None,
    belief: Any = None,
    evolution: Any = None,
    params: Any = None,
    **options: Any,
) -> EpisodeSource:
    """Return where the episodes of a system come from.

    Args:
        system: a key of `SYSTEMS`.
        source: episodes of the user's own; everything else is then left out.
        demand: a demand model of the items, or of the locations with demand, or the address of one of your own,
            `my_module:Mine`; the system's own where None.
        forecast: what demand is drawn from (forecast_driven).
        forecaster: a fitted forecaster that makes the forecast (forecast_driven); needs `panel`.
        panel: the history that the forecaster begins from; the embedded panel where neither is given.
        mode: "fixed", "rolled" or "evolved": see `ForecastDemand`.
        item: hold every episode to this item; None = a random one each.
        arrivals: lead times and deliveries as data; constant lead times where None.
        belief: what forecasts are made from instead of the truth: a demand model, a forecaster, a forecast, or a
            `Distortion`; see `Believed` and `ForecastDemand`.
        evolution: how forecasts evolve (forecast_driven, mode "evolved"); fitted where None.
        params: lead times and costs of the items, or the network.
        **options: single fields of `ItemParams`, or arguments of the network's constructor, in place of `params`, on
            top of the system's defaults.

    Raises:
        FractileError: on names that do not exist or options that exclude each other.
    """
    if system not in SYSTEMS:
        raise FractileError(f"unknown system {system!r}{did_you_mean(system, SYSTEMS)}")
    if source is not None:
        return source
    named, demand = SYSTEMS[system], _demand_model(demand)
    if system == "forecast_driven":
        if forecast is not None and mode != "fixed":
            raise FractileError(f"mode {mode!r} runs a forecaster again and again: give forecaster and panel")
        given, found = _forecast_demand(forecast, forecaster, panel, mode, belief, evolution, demand)
        demand, belief = given, None
        params = params or (found if not options else None)
    elif forecast is not None or forecaster is not None or panel is not None:
        raise FractileError(
            f"{system!r} takes a demand model; forecast, forecaster and panel go with 'forecast_driven'"
        )
    built = _make_params(named, params, options)
    model = named.demand(built) if demand is None else demand
    if belief is not None:
        model = Believed(model, belief)
    if not named.joint:
        return DemandSource(model, built, item, arrivals)
    if item is not None:
        raise FractileError(f"item chooses one of many, and {system!r} simulates all together: leave it out")
    return JointSource(model, built, arrivals)


def _demand_model(demand: Any) -> DemandModel | None:
    """Return a demand model of the user's, given as an object or by its address."""
    made = import_address(demand, "demand model")() if isinstance(demand, str) else demand
    model: DemandModel | None = None if made is None else as_demand_model(made)
    return model


def _make_params(system: NamedSystem, params: Any, options: dict[str, Any]) -> Any:
    for name in options:
        if name not in system.options:
            raise FractileError(f"unknown option {name!r}{did_you_mean(name, system.options)}")
    if params is not None:
        if options:
            raise FractileError(f"give either params or single fields, not both: {', '.join(options)}")
        return params
    return system.build(**{**system.defaults, **options})


def _forecast_demand(
    forecast: QuantileForecast | None,
    forecaster: Any,
    panel: SalesPanel | None,
    mode: str,
    belief: Any,
    evolution: Any,
    demand: DemandModel | None,
) -> tuple[DemandModel, ItemParams | None]:
    """Return the demand model, and the items' own parameters where they come with the embedded panel."""
    if demand is not None:
        return (demand if belief is None else Believed(demand, belief)), None
    options: dict[str, Any] = {"belief": belief, "evolution": evolution}
    if forecast is not None:
        return ForecastDemand(forecast, panel, **options), None
    if forecaster is not None and panel is None:
        raise FractileError("a forecaster needs the panel that its forecasts begin from: give panel=...")
    found = None
    if panel is None or forecaster is None:
        from ...forecasters.registry import make_forecaster
        from ...forecasters.retail.panel import retail_panel

        if panel is None:
            retail = retail_panel(items=40, periods=157, seed=0)
            panel, found = retail.panel, params_from_items(retail.items)
        forecaster = make_forecaster("seasonal_naive").fit(panel)
    return ForecastDemand(forecaster, panel, mode=mode, **options), found  # type: ignore[arg-type]  # checked there
