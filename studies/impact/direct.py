"""What forecasts are worth, in Python: forecasts that are there, and policies that are ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...envs.core.types import ItemParams, Scenario, with_protection_totals
from ...envs.demand.model import uncensored
from ...errors import FractileError
from ...forecasters.data.panel import SalesPanel
from ...forecasters.data.row_faults import listing
from ...forecasters.forecast import QuantileForecast
from ...forecasters.outside import estimate_dependence
from ...policies.base import Planner, Policy
from ...policies.exact.hindsight import Hindsight
from ...policies.rollout import simulate
from ..outside import independence_note, tail_notes
from ..report.text import saving_text
from .grid import Grid
from .plots import plot_cells
from .result import Impact, value_forecasts
from .words import impact_text, pair_text


@dataclass(frozen=True, eq=False)
class ForecastImpact(Impact):
    """What forecasts are worth, as `fr.impact` finds it: its tables, as text and as a figure.

    Attributes:
        freq: of the periods, for the text.
    """

    freq: str | None = None

    def to_text(self, currency: str | None = None) -> str:
        """Return tables and findings as text.

        Args:
            currency: written after amounts of money.
        """
        return impact_text(self, self.freq, currency)

    def describe_saving(self, forecaster: str, policy: str) -> str:
        """Return a pair's saving against the reference with its interval, as text: "21.8 % [13.8, 30.1]".

        Args:
            forecaster: its name.
            policy: its name.

        Raises:
            FractileError: where there is no such pair.
        """
        pairs = self.cells.set_index(["forecaster", "policy"])
        if (forecaster, policy) not in pairs.index:
            known = [f"{f}/{p}" for f, p in pairs.index]
            raise FractileError(f"there is no pair {forecaster}/{policy}; the pairs are: {', '.join(known)}")
        return saving_text(pairs.loc[(forecaster, policy)])

    def plot(self, ax: Any = None) -> Any:
        """Draw the saving of each policy on each forecast with its interval, and return matplotlib's axes.

        Args:
            ax: axes to draw on; None: a new figure.
        """
        return plot_cells(self.cells, level=self.level, reference=pair_text(*self.reference), ax=ax)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # what a notebook shows
        printer.text(self.to_text())


def impact(
    forecasts: Mapping[str, QuantileForecast],
    policies: Mapping[str, Policy],
    panel: SalesPanel,
    params: ItemParams,
    *,
    demand: FloatArray | None = None,
    reference: str | None = None,
    warm_up: int = 0,
    level: float = 0.95,
    periods: int | None = None,
) -> ForecastImpact:
    """Value forecasts in money: every one under every policy, beside its accuracy.

    Args:
        forecasts: by name, of the panel's items, from the same origins, each a period after the one before; made
            elsewhere (`QuantileForecast.from_frame`) or by a forecaster. An origin at the panel's end is left out.
        policies: by name, ready to order; each starts at its own target.
        panel: the history with the periods that were forecast.
        params: lead times, costs and order rules of its items.
        demand: true demand of the panel's items and periods, where it is known; sales where None, with what stands in
            for them in stock-outs.
        reference: the pair that savings are measured against, "forecast/policy"; the first of each where None.
        warm_up: periods at the start that do not count.
        level: of the intervals.
        periods: the last ones of the panel, which are held out; from forecasts of earlier origins it is estimated how
            errors of successive periods move together, where forecasts do not say it, as `fractile impact` does (whose
            `warm_up` is twice the longest protection interval). None: all origins are held out.

    Raises:
        FractileError: where forecasts have other items or origins, or do not reach over a protection interval.

    >>> import fractile as fr
    >>> retail = fr.retail_panel(items=5, periods=120, seed=0)
    >>> fitted = {name: fr.make_forecaster(name).fit(retail.panel.until(100)) for name in ("seasonal_naive", "croston")}
    >>> forecasts = {name: f.predict(retail.panel, 3, origins=range(100, 120)) for name, f in fitted.items()}
    >>> policies = {"newsvendor": fr.make_policy("newsvendor")}
    >>> found = fr.impact(forecasts, policies, retail.panel, fr.ItemParams(lead_time=2, stockout_cost=9.0))
    >>> sorted(found.cells["forecaster"])
    ['croston', 'seasonal_naive']
    """
    if not forecasts or not policies:
        raise FractileError("impact needs one forecast and one policy at least")
    if periods is not None and not 0 < periods < panel.periods:
        raise FractileError(f"periods must be from 1 to {panel.periods - 1}, fewer than the panel has, got {periods}")
    span = int(np.max(params.protection_interval))
    cutoff = None if periods is None else panel.periods - periods
    notes: list[str] = []
    held_out = {}
    for name, forecast in forecasts.items():
        if forecast.item_ids != panel.item_ids:
            raise FractileError(f"{name}: must forecast the panel's items, in its order; got other ones")
        held_out[name] = hold_out(name, forecast, panel, cutoff, warm_up)
        if held_out[name].dependence is None and span > 1:
            remedy = "give `periods` and earlier origins" if periods is None else "add earlier origins"
            notes.append(independence_note(name, remedy))
        notes += tail_notes(name, forecast, params)
    forecasts = held_out
    origins = next(iter(forecasts.values())).origins
    for name, forecast in forecasts.items():
        if not np.array_equal(forecast.origins, origins):
            raise FractileError(f"{name}: must forecast the panel's items from the same origins as the others")
    known = uncensored(panel) if demand is None else demand
    trajectories = {}
    for name, forecast in forecasts.items():
        near = forecast.head(span)
        seen = [near.at_origin(k) for k in range(len(origins))]
        scenario = with_protection_totals(Scenario(known[:, origins].T[None], forecasts=seen), params)
        for policy, ready in policies.items():
            trajectories[name, policy] = simulate(ready, scenario, params, warm_up=warm_up)
    bound = _bound(Scenario(known[:, origins[warm_up:]].T[None]), params)
    grid = Grid(trajectories, forecasts, hindsight=bound)
    found = value_forecasts(grid, panel, params, reference=reference, truth=demand, level=level)
    found = replace(found, forecast_notes=tuple(notes))
    return ForecastImpact(**{field.name: getattr(found, field.name) for field in fields(found)}, freq=panel.freq)


def hold_out(
    name: str, forecast: QuantileForecast, panel: SalesPanel, cutoff: int | None, warm_up: int
) -> QuantileForecast:
    """Return a forecast of the origins that are simulated, with its dependence where earlier origins show it.

    Args:
        name: of the forecast.
        forecast: of the panel's items.
        panel: the history.
        cutoff: the first held-out period; the first origin where None.
        warm_up: periods that are simulated ahead of a given cutoff.
    """
    first = int(forecast.origins[0]) if cutoff is None else cutoff - warm_up
    kept = np.flatnonzero((forecast.origins >= first) & (forecast.origins < panel.periods))
    origins = forecast.origins[kept]
    if not len(kept):
        raise FractileError(f"{name}: has no origin from period {first} to the panel's last, {panel.periods - 1}")
    if np.any(np.diff(origins) != 1):
        missing = np.setdiff1d(np.arange(origins[0], origins[-1]), origins)
        days = [str(panel.dates[t].date()) for t in missing]
        raise FractileError(
            f"{name}: origins must follow each other, every period one; those in between are missing: "
            f"{listing(days)}; forecast from them, too, or leave the earlier ones out"
        )
    found = forecast.at_origin(kept)
    earlier = np.flatnonzero(forecast.origins < (first if cutoff is None else cutoff))
    if found.dependence is not None or not len(earlier):
        return found
    assert cutoff is not None  # without one, no origin is earlier than the first
    errors = estimate_dependence(forecast.at_origin(earlier), panel.until(cutoff))
    return found.with_dependence(errors.at(panel, origins, forecast.horizon))


def _bound(scenario: Scenario, params: ItemParams) -> FloatArray | None:
    """Return what perfect information would have cost; None for items that it does not plan for."""
    planner: Planner = Hindsight()
    try:
        return np.asarray(simulate(planner, scenario, params).cost[0])
    except FractileError:
        return None
