"""Demand that is drawn from a forecaster's own quantiles, with the forecast that was valid before each draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import FractileError
from ..forecasters.forecast import FloatArray, IntArray, QuantileForecast
from ..forecasters.panel import SalesPanel
from ..randomness import keyed_generator
from .types import Scenario


@dataclass(frozen=True, eq=False)
class ForecastDemand:
    """Demand drawn from quantile forecasts by inverse transform.

    In mode "fixed" one forecast is made at the panel's end; its errors depend on each other over the horizon, and
    in period t the policy sees what that forecast says of t and later. In mode "rolled" the forecaster is run
    again along each sampled path: the policy sees the forecast made from the path so far, and demand is drawn
    from that forecast's first period.

    Attributes:
        source: a fitted forecaster, or a QuantileForecast (mode "fixed"; its last origin counts).
        panel: the history that forecasts begin from; needed with a forecaster.
        mode: "fixed" or "rolled".
        integer: draw whole units; None = where the panel's sales are whole.
        start: the period that demand is drawn from, on (mode "rolled"); the panel's end where None. What the panel
            holds behind it is the calendar and the covariates known ahead, never sales.
    """

    source: Any
    panel: SalesPanel | None = None
    mode: Literal["fixed", "rolled"] = "fixed"
    integer: bool | None = None
    start: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("fixed", "rolled"):
            raise FractileError(f"mode must be 'fixed' or 'rolled', got {self.mode!r}")
        if isinstance(self.source, QuantileForecast):
            if self.mode == "rolled":
                raise FractileError("mode 'rolled' runs a forecaster again and again: give a fitted forecaster")
        elif self.panel is None:
            raise FractileError("a forecaster needs the panel that its forecasts begin from: panel=...")

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """One text an item."""
        return self.source.item_ids if self.panel is None else self.panel.item_ids

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""
        return np.asarray(self.scenario(rng, paths, periods, 1).demand)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand together with the forecasts that policies may see, each `span` periods ahead.

        The draws of an item depend on the generator's state and on the item's id alone.
        """
        root = int(rng.integers(2**62))
        normals = [keyed_generator(root, name).standard_normal((paths, periods)) for name in self.item_ids]
        normal = np.stack(normals, axis=1)
        if self.mode == "rolled":
            rows = np.tile(np.arange(self.items), paths)
            return _unfold(self._roll(rows, normal.reshape(-1, periods), span), paths, self.items)
        forecast = self.fixed_forecast(periods + span - 1)
        demand = self._whole(_first_periods(forecast, normal))
        return Scenario(np.swapaxes(demand, 1, 2), forecasts=_shifted(forecast, periods, span))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each.

        Args:
            rng: where the draws come from.
            item: which item a path holds, shape (paths,).
            periods: length of the paths.
            span: periods ahead that each forecast reaches.

        Returns:
            A scenario of len(item) paths and one item.
        """
        normal = rng.standard_normal((len(item), periods))
        if self.mode == "rolled":
            return self._roll(item, normal, span)
        forecast = self.fixed_forecast(periods + span - 1).take(item, np.zeros(len(item), dtype=np.int64))
        demand = self._whole(_first_periods(forecast, normal[None, None])[0, 0])
        return Scenario(demand[:, :, None], forecasts=_shifted(forecast, periods, span))

    def fixed_forecast(self, horizon: int) -> QuantileForecast:
        """Return the one forecast of mode "fixed", made at the panel's end."""
        if isinstance(self.source, QuantileForecast):
            return self.source.at_origin(-1).head(horizon)
        return self.source.predict(self.panel, horizon)

    def _roll(self, rows: IntArray, normal: FloatArray, span: int) -> Scenario:
        """Run the forecaster along paths of one item each."""
        periods = normal.shape[1]
        start, panel = self._canvas(rows, periods)
        every, nowhere = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
        forecasts = []
        for t in range(start, start + periods):
            forecast = self.source.predict(panel, span, origins=[t]).take(every, nowhere)
            today = replace(forecast.head(1), dependence=None).at_normals(normal[None, None, :, t - start, None])
            panel.sales[:, t] = self._whole(today[0, 0, :, 0])
            forecasts.append(forecast)
        return Scenario(panel.sales[:, start : start + periods, None], forecasts=forecasts)

    def _canvas(self, rows: IntArray, periods: int) -> tuple[int, SalesPanel]:
        """Return where demand begins, and a panel of these rows whose later sales are still to be written."""
        assert self.panel is not None
        start = self.panel.periods if self.start is None else self.start
        panel = self.panel.window(0, start + periods).select(rows)
        if panel.periods < start + periods:
            panel = panel.extended(np.zeros((len(rows), start + periods - panel.periods)))
        later = np.arange(panel.periods) >= start
        sales = np.where(later, 0.0, panel.sales)
        return start, replace(panel, sales=sales, in_stock=panel.in_stock | later, listed=panel.listed | later)

    def _whole(self, demand: FloatArray) -> FloatArray:
        integer = self.integer
        if integer is None:
            integer = self.panel is not None and self.panel.integer_demand
        return np.rint(demand) if integer else demand


def _first_periods(forecast: QuantileForecast, normal: FloatArray) -> FloatArray:
    """Demand of the first periods of a forecast: normal (paths, items, [origins,] periods) → the same shape."""
    shaped = normal if normal.ndim == 4 else normal[:, :, None]
    demand = forecast.head(normal.shape[-1]).at_normals(shaped)
    return demand if normal.ndim == 4 else demand[:, :, 0]


def _shifted(forecast: QuantileForecast, periods: int, span: int) -> list[QuantileForecast]:
    return [forecast.after(t).head(span) for t in range(periods)]


def _unfold(scenario: Scenario, paths: int, items: int) -> Scenario:
    """Turn paths of one item each, path-major, into paths of many items."""
    demand = scenario.demand.reshape(paths, items, -1).swapaxes(1, 2)
    return Scenario(demand, forecasts=[_unfolded(f, paths, items) for f in scenario.forecasts or ()])


def _unfolded(forecast: QuantileForecast, paths: int, items: int) -> QuantileForecast:
    values = forecast.values.reshape(paths, items, *forecast.values.shape[2:]).swapaxes(0, 1)
    dependence = forecast.dependence
    if dependence is not None:
        dependence = replace(dependence, band=dependence.band.reshape(paths, items).T)
    ids = tuple(f"item {i}" for i in range(items))
    origins = np.repeat(forecast.origins[:1], paths)
    return QuantileForecast(forecast.levels, values, origins, ids, dependence=dependence)
