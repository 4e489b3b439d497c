"""The named systems behind the Gymnasium ids: which episodes they draw."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import FractileError, did_you_mean
from ..forecasters.forecast import QuantileForecast
from ..forecasters.panel import SalesPanel
from .batch import DemandSource, EpisodeSource
from .demand import DemandModel, Poisson
from .forecast_demand import ForecastDemand
from .types import ItemParams

SYSTEMS = {
    "lost_sales": "one item, unmet demand is lost; Zipkin's (2008) instance L = 2, h = 1, b = 4, Poisson(5)",
    "backorder": "one item, unmet demand waits; L = 2, h = 1, b = 9, Poisson(5)",
    "forecast_driven": "items of a panel, demand drawn from a forecaster's quantiles; an item an episode",
}

_ZIPKIN = {"lead_time": 2, "holding_cost": 1.0, "stockout_cost": 4.0, "pack_size": 1.0}
_BACKORDER = {
    "lead_time": 2,
    "holding_cost": 1.0,
    "stockout_cost": 9.0,
    "unmet_demand": "backorder",
    "pack_size": 1.0,
}
_RETAIL = {"lead_time": 2, "holding_cost": 1.0, "stockout_cost": 9.0, "pack_size": 1.0}


def make_source(
    system: str,
    *,
    source: EpisodeSource | None = None,
    demand: DemandModel | None = None,
    forecast: QuantileForecast | None = None,
    forecaster: Any = None,
    panel: SalesPanel | None = None,
    mode: str = "fixed",
    item: int | None = None,
    params: ItemParams | None = None,
    **options: Any,
) -> EpisodeSource:
    """Return where the episodes of a system come from.

    Args:
        system: a key of `SYSTEMS`.
        source: episodes of the user's own; everything else is then left out.
        demand: a demand model; Poisson(5) where None.
        forecast: what demand is drawn from (forecast_driven).
        forecaster: a fitted forecaster that makes the forecast (forecast_driven); needs `panel`.
        panel: the history that the forecaster begins from; the embedded panel where neither is given.
        mode: "fixed" or "rolled": see `ForecastDemand`.
        item: hold every episode to this item; None = a random one each.
        params: lead times and costs of the items.
        **options: single fields of `ItemParams`, in place of `params`, on top of the system's defaults.

    Raises:
        FractileError: on names that do not exist or options that exclude each other.
    """
    if system not in SYSTEMS:
        raise FractileError(f"unknown system {system!r}{did_you_mean(system, SYSTEMS)}")
    if source is not None:
        return source
    if system == "forecast_driven":
        if forecast is not None and mode == "rolled":
            raise FractileError("mode 'rolled' runs a forecaster again and again: give forecaster and panel")
        demand, found = _forecast_demand(demand, forecast, forecaster, panel, mode)
        return DemandSource(demand, _params(params or (found if not options else None), _RETAIL, options), item)
    if forecast is not None or forecaster is not None or panel is not None:
        raise FractileError(
            f"{system!r} takes a demand model; forecast, forecaster and panel go with 'forecast_driven'"
        )
    defaults = _ZIPKIN if system == "lost_sales" else _BACKORDER
    return DemandSource(demand or Poisson(5.0), _params(params, defaults, options), item)


def _params(params: ItemParams | None, defaults: dict[str, Any], options: dict[str, Any]) -> ItemParams:
    known = [f.name for f in fields(ItemParams) if f.init]
    for name in options:
        if name not in known:
            raise FractileError(f"unknown option {name!r}{did_you_mean(name, known)}")
    if params is not None:
        if options:
            raise FractileError(f"give either params or single fields, not both: {', '.join(options)}")
        return params
    return ItemParams(**{**defaults, **options})


def _forecast_demand(
    demand: DemandModel | None,
    forecast: QuantileForecast | None,
    forecaster: Any,
    panel: SalesPanel | None,
    mode: str,
) -> tuple[DemandModel, ItemParams | None]:
    """Return the demand model, and the items' own parameters where they come with the embedded panel."""
    if demand is not None:
        return demand, None
    if forecast is not None:
        return ForecastDemand(forecast, panel), None
    if forecaster is not None and panel is None:
        raise FractileError("a forecaster needs the panel that its forecasts begin from: give panel=...")
    if panel is not None and forecaster is not None:
        return ForecastDemand(forecaster, panel, mode=mode), None  # type: ignore[arg-type]  # checked by the class
    return _embedded_demand(panel, mode)


def _embedded_demand(panel: SalesPanel | None, mode: str) -> tuple[DemandModel, ItemParams | None]:
    from ..forecasters.registry import make_forecaster
    from ..forecasters.synthetic import retail_panel

    found = None
    if panel is None:
        retail = retail_panel(items=40, periods=157, seed=0)
        panel, found = retail.panel, params_from_items(retail.items)
    fitted = make_forecaster("seasonal_naive").fit(panel)
    return ForecastDemand(fitted, panel, mode=mode), found  # type: ignore[arg-type]  # checked by the class


def params_from_items(items: Any, defaults: dict[str, Any] | None = None) -> ItemParams:
    """Return the parameters of a table of items, a row each.

    Args:
        items: a frame; columns named like fields of `ItemParams` count. Where `stockout_cost` is missing, it is
            the lost margin, `price − unit_cost`.
        defaults: fields for columns, or single entries, that the table lacks.

    Raises:
        FractileError: with every field that breaks its rule.
    """
    table = items.copy()
    if {"price", "unit_cost"} <= set(table.columns):
        margin = table["price"] - table["unit_cost"]
        table["stockout_cost"] = table["stockout_cost"].fillna(margin) if "stockout_cost" in table else margin
    values = dict(defaults or {})
    for name in (f.name for f in fields(ItemParams) if f.init):
        # The margin is in the stock-out cost: price and purchase are not charged a second time.
        if name in table.columns and name not in ("price", "unit_cost", "shelf_life"):
            values[name] = _column(table[name], values.get(name))
    return ItemParams(**values)


def _column(column: Any, default: Any) -> Any:
    """An array, or None where the column says nothing; entries that are missing mean the default."""
    if column.isna().all():
        return default
    # A limit that an item does not have is one that never binds.
    unlimited = {"maximum_order": np.inf, "minimum_order": 0.0}.get(str(column.name))
    filled = column.fillna(unlimited if default is None else default) if column.isna().any() else column
    return filled.to_numpy(dtype="float64")
