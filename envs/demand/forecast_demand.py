"""Demand that is drawn from a forecaster's own quantiles, with the forecast that was valid before each draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtr

from ...arrays import FloatArray, IntArray
from ...errors import Faults
from ...forecasters.data.panel import SalesPanel
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.forecast import QuantileForecast
from ...randomness import keyed_generator
from ..core.types import Scenario
from .belief import Distortion, distort, shift
from .evolution import HORIZON, ForecastEvolution
from .evolved_forecasts import EvolvedForecasts
from .model import EpisodeForecasts

Mode = Literal["fixed", "rolled", "evolved"]


@dataclass(frozen=True, eq=False)
class ForecastDemand:
    """Demand drawn from quantile forecasts by inverse transform.

    In mode "fixed" one forecast is made at the panel's end; its errors depend on each other over the horizon, and
    in period t the policy sees the part of it that concerns t and later. In mode "rolled" the forecaster is run
    again along each sampled path: the policy sees the forecast made from the path so far, and demand is drawn
    from that forecast's first period. In mode "evolved" one forecast is carried along each path by random revisions
    as large, and as like each other over the horizon, as the forecaster's own were (`ForecastEvolution`); demand is
    drawn from the carried forecast's first period, and a surprise moves the revisions that follow. No forecaster is
    run along the paths, so covariates and the shape of the season stay as the first forecast saw them.

    The same generator gives the same random numbers to all three modes, and to every belief.

    Attributes:
        source: a fitted forecaster, or a QuantileForecast (modes "fixed" and "evolved"; its last origin counts).
        panel: the history that forecasts begin from; needed with a forecaster.
        mode: "fixed", "rolled" or "evolved".
        integer: draw whole units; None = where the panel's sales are whole.
        start: the period that demand is drawn from, on (modes "rolled" and "evolved"); the panel's end where None.
            What the panel holds after it is the calendar and the covariates known ahead, never sales.
        belief: what the policy sees instead of the truth that demand is drawn from: another fitted forecaster (run
            along the same paths in mode "rolled", carried by the same news in mode "evolved"), one QuantileForecast
            (carried likewise in mode "evolved"), or a `Distortion`. The truth where None.
        evolution: the model of revisions of mode "evolved"; fitted on the panel before `start` where None.
    """

    source: Any
    panel: SalesPanel | None = None
    mode: Mode = "fixed"
    integer: bool | None = None
    start: int | None = None
    belief: Any = None
    evolution: ForecastEvolution | None = None

    def __post_init__(self) -> None:
        faults, ready_made = Faults(), isinstance(self.source, DemandForecast)
        if self.mode not in get_args(Mode):
            faults.add(f"mode must be 'fixed' or 'rolled' or 'evolved', got {self.mode!r}")
        if ready_made and self.mode == "rolled":
            faults.add("mode 'rolled' runs a forecaster again and again: give a fitted forecaster")
        if ready_made and self.mode == "evolved" and self.evolution is None:
            faults.add("mode 'evolved' needs a fitted forecaster, or evolution=ForecastEvolution(...) with a forecast")
        if self.panel is None and not ready_made:
            faults.add("a forecaster needs the panel that its forecasts begin from: panel=...")
        if isinstance(self.belief, DemandForecast):
            if len(self.belief.values) != self.items:
                faults.add(
                    f"belief must forecast the {self.items} items that demand is drawn for, "
                    f"got {len(self.belief.values)}"
                )
        elif self.belief is not None and not isinstance(self.belief, Distortion):
            if not hasattr(self.belief, "predict"):
                faults.add(
                    "belief must be a fitted forecaster, a QuantileForecast or a Distortion, "
                    f"got {type(self.belief).__name__}; for another demand model use Believed(truth, belief)"
                )
            elif self.panel is None:
                faults.add("a forecaster as belief needs the panel that its forecasts begin from: panel=...")
        faults.raise_if_any()

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
        return self.prepare(periods, span).scenario(rng, paths)

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
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedFixed | PreparedEvolved | PreparedRolled:
        """Make the forecasts that every draw begins with; an environment does so once for all of its episodes.

        Args:
            periods: length of the paths.
            span: periods ahead that each forecast reaches.
        """
        if self.mode == "rolled":
            ready_made = isinstance(self.belief, DemandForecast)
            one = self._forecast_of(self.belief, periods + span - 1) if ready_made else None
            return PreparedRolled(self, periods, span, None if one is None else shift(one, periods, span))
        first = self.fixed_forecast(periods + span - 1)
        shown = first
        if self.belief is not None and not isinstance(self.belief, Distortion):
            shown = self._forecast_of(self.belief, first.horizon)
        if self.mode == "fixed":
            return PreparedFixed(self, periods, first, shift(shown, periods, span))
        # Not longer than the first forecast needs: networks forecast no further than they were trained for.
        evolution = self.fitted_evolution(min(HORIZON, max(1, periods + span - 2)))
        truth = EvolvedForecasts.of(first, evolution, periods, span)
        seen = truth if shown is first else EvolvedForecasts.of(shown, evolution, periods, span)
        return PreparedEvolved(self, periods, span, evolution, truth, seen)

    def fixed_forecast(self, horizon: int) -> DemandForecast:
        """Return the forecast that modes "fixed" and "evolved" begin with."""
        return self._forecast_of(self.source, horizon)

    def fitted_evolution(self, leads: int = HORIZON) -> ForecastEvolution:
        """Return the model of revisions of mode "evolved": the given one, or one fitted on the past.

        Args:
            leads: to fit, where the model is not given; the forecaster forecasts one period more.
        """
        if self.evolution is not None:
            return self.evolution
        assert self.panel is not None
        return ForecastEvolution.fit(self.source, self.panel.until(self._begin), horizon=leads)

    @property
    def _begin(self) -> int:
        """The period that demand is drawn from, on."""
        assert self.panel is not None
        return self.panel.periods if self.start is None or self.mode == "fixed" else self.start

    def _forecast_of(self, source: Any, horizon: int) -> DemandForecast:
        """Return one forecast of all items, of one origin."""
        if isinstance(source, DemandForecast):
            return source.at_origin(-1).head(horizon)
        return source.predict(self.panel, horizon, origins=[self._begin])

    def _whole(self, demand: FloatArray) -> FloatArray:
        integer = self.integer
        if integer is None:
            integer = self.panel is not None and self.panel.integer_demand
        return np.rint(demand) if integer else demand

    def _distort(self, scenario: Scenario, rng: np.random.Generator, item_ids: Sequence[str] | None = None) -> Scenario:
        """Distort what policies see, where that is the belief."""
        return distort(scenario, self.belief, rng, item_ids) if isinstance(self.belief, Distortion) else scenario


@dataclass(frozen=True, eq=False)
class PreparedFixed:
    """A `ForecastDemand` in mode "fixed" whose forecasts were made, once for all scenarios and episodes.

    Attributes:
        model: what is drawn from.
        periods: length of the paths.
        first: what demand is drawn from: the forecast of all periods.
        believed: what policies see before any `Distortion`, one forecast a period.
    """

    model: ForecastDemand
    periods: int
    first: DemandForecast
    believed: Sequence[DemandForecast]

    @property
    def forecasts(self) -> Sequence[DemandForecast] | None:
        """What policies see, one forecast a period of all items; None where noise makes it differ by path."""
        distortion = self.model.belief
        if not isinstance(distortion, Distortion):
            return self.believed
        return None if distortion.noise > 0 else [distortion.apply(forecast) for forecast in self.believed]

    def scenario(self, rng: np.random.Generator, paths: int) -> Scenario:
        """Draw paths of all items: see `ForecastDemand.scenario`."""
        normal = _normals(self.model.item_ids, int(rng.integers(2**62)), paths, self.periods)
        demand = self.first.head(self.periods).at_normals(normal.swapaxes(0, 1)[:, :, None])[:, :, 0]
        scenario = Scenario(np.swapaxes(self.model._whole(demand), 1, 2), forecasts=self.believed)
        return self.model._distort(scenario, rng, self.model.item_ids)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        normal = rng.standard_normal((len(item), self.periods))
        own = self.first.head(self.periods).take(item, np.zeros(len(item), dtype=np.int64))
        demand = self.model._whole(own.at_normals(normal[None, None])[0, 0])
        scenario = Scenario(demand[:, :, None], forecasts=EpisodeForecasts(self.believed, item))
        return self.model._distort(scenario, rng)


@dataclass(frozen=True, eq=False)
class PreparedEvolved:
    """A `ForecastDemand` in mode "evolved" whose first forecast was made and laid out, once for all paths.

    Attributes:
        model: what is drawn from.
        periods: length of the paths.
        span: periods ahead that each forecast reaches.
        evolution: how forecasts are revised.
        truth: the forecasts before revisions that demand is drawn from.
        seen: the forecasts before revisions that policies see.
    """

    model: ForecastDemand
    periods: int
    span: int
    evolution: ForecastEvolution
    truth: EvolvedForecasts
    seen: EvolvedForecasts

    @property
    def forecasts(self) -> None:
        """Forecasts depend on the path."""
        return

    def scenario(self, rng: np.random.Generator, paths: int) -> Scenario:
        """Draw paths of all items: see `ForecastDemand.scenario`."""
        names, root = self.model.item_ids, int(rng.integers(2**62))
        normal = _normals(names, root, paths, self.periods)
        generators = [keyed_generator(root, name, "revisions") for name in names]
        scenario = self._carry(np.arange(len(names))[:, None], normal, generators)
        return self.model._distort(scenario, rng, names)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        normal = rng.standard_normal((len(item), self.periods))
        return self.model._distort(self._carry(item[None], normal[None], [rng]), rng)

    def _carry(self, rows: IntArray, score: FloatArray, generators: Sequence[np.random.Generator]) -> Scenario:
        """Carry the first forecast along paths.

        Args:
            rows: the items of the paths, shape (items, 1) or (1, paths).
            score: standard normal draws that demand follows from, shape (items or 1, paths, periods).
            generators: where revisions come from, one for each of the first axis.
        """
        evolution, paths = self.evolution, score.shape[1]
        scale = np.broadcast_to(evolution.scale_of(self.model.item_ids)[rows], score.shape[:2])
        noise = (rng.standard_normal((paths, self.periods, evolution.horizon)) for rng in generators)
        carried = zip(score, noise, scale, strict=True)
        news = np.stack([evolution.carry(u, w, self.span, s) for u, w, s in carried])
        today = [self.truth.at(t, rows, news[:, :, t]) for t in range(self.periods)]
        demand = [self.model._whole(_first_period(f, score[:, :, t])) for t, f in enumerate(today)]
        forecasts = today
        if self.seen is not self.truth:
            forecasts = [self.seen.at(t, rows, news[:, :, t]) for t in range(self.periods)]
        return Scenario(np.stack(demand).transpose(2, 0, 1), forecasts=forecasts)


@dataclass(frozen=True, eq=False)
class PreparedRolled:
    """A `ForecastDemand` in mode "rolled": the forecaster runs along every path.

    Attributes:
        model: what is drawn from.
        periods: length of the paths.
        span: periods ahead that each forecast reaches.
        believed: what all paths see, one forecast a period, where one forecast is believed; None where a forecaster is.
    """

    model: ForecastDemand
    periods: int
    span: int
    believed: Sequence[DemandForecast] | None

    @property
    def forecasts(self) -> None:
        """Forecasts depend on the path."""
        return

    def scenario(self, rng: np.random.Generator, paths: int) -> Scenario:
        """Draw paths of all items: see `ForecastDemand.scenario`."""
        names = self.model.item_ids
        normal = _normals(names, int(rng.integers(2**62)), paths, self.periods)
        rows = np.tile(np.arange(len(names)), paths)
        demand, forecasts = self._roll(rows, normal.swapaxes(0, 1).reshape(-1, self.periods))
        # Paths of one item each, path-major, become paths of many items.
        demand = demand.reshape(paths, len(names), -1).swapaxes(1, 2)
        ids, unfolded = tuple(f"item {i}" for i in range(len(names))), []
        for forecast in forecasts:
            values = forecast.values.reshape(paths, len(names), *forecast.values.shape[2:]).swapaxes(0, 1)
            dependence, origins = forecast.dependence, np.repeat(forecast.origins[:1], paths)
            if dependence is not None:
                band = np.broadcast_to(dependence.band, (1, paths * len(names)))
                dependence = replace(dependence, band=band.reshape(paths, len(names)).T)
            unfolded.append(QuantileForecast.unchecked(forecast.levels, values, origins, ids, dependence))
        return self.model._distort(Scenario(demand, forecasts=unfolded), rng, names)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        demand, forecasts = self._roll(item, rng.standard_normal((len(item), self.periods)))
        return self.model._distort(Scenario(demand[:, :, None], forecasts=forecasts), rng)

    def _roll(self, rows: IntArray, normal: FloatArray) -> tuple[FloatArray, list[DemandForecast]]:
        """Run the forecaster, and the one that is believed, along paths of one item each.

        Returns:
            demand, shape (rows, periods), and what is seen in each period.
        """
        source, belief = self.model.source, self.model.belief
        other = belief if self.believed is None and not isinstance(belief, Distortion) else None
        panel, begin = self.model.panel, self.model._begin
        assert panel is not None  # the model's constructor saw to it
        # A panel of these rows whose later sales are still to be drawn; drawn demand counts, whatever the panel held.
        panel = panel.window(0, begin + self.periods).select(rows)
        if panel.periods < begin + self.periods:
            panel = panel.extended(np.zeros((len(rows), begin + self.periods - panel.periods)))
        later = np.arange(panel.periods) >= begin
        sales = np.where(later, 0.0, panel.sales)
        panel = replace(panel, sales=sales, in_stock=panel.in_stock | later, listed=panel.listed | later)
        every, nowhere = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
        forecasts = [forecast.take(rows, nowhere) for forecast in self.believed or ()]
        ahead = self.span if self.believed is None and other is None else 1
        for t in range(begin, begin + self.periods):
            forecast = source.predict(panel, ahead, origins=[t]).take(every, nowhere)
            if other is not None:
                forecasts.append(other.predict(panel, self.span, origins=[t]).take(every, nowhere))
            elif self.believed is None:
                forecasts.append(forecast)
            panel.sales[:, t] = self.model._whole(_first_period(forecast, normal[None, :, t - begin]))[0]
        return panel.sales[:, begin : begin + self.periods], forecasts


def _normals(item_ids: Sequence[str], root: int, paths: int, periods: int) -> FloatArray:
    """Standard normal draws, shape (items, paths, periods), each item's by its own key."""
    return np.stack([keyed_generator(root, name).standard_normal((paths, periods)) for name in item_ids])


def _first_period(forecast: DemandForecast, normal: FloatArray) -> FloatArray:
    """Demand of the first period of a forecast: normal (items, origins) → the same shape."""
    return forecast.head(1).at_uniforms(ndtr(normal[None, :, :, None]))[0, :, :, 0]
