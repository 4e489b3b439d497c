"""Demand that is drawn from a forecaster's own quantiles, with the forecast that was valid before each draw."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ...arrays import FloatArray, IntArray
from ...errors import Faults
from ...forecasters.data.panel import SalesPanel
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.forecast import QuantileForecast
from ...randomness import draw_by_item, keyed_generator
from ..core.types import Scenario
from .belief import Distortion, distort, shift
from .evolution import HORIZON, ForecastEvolution
from .evolved_forecasts import EvolvedForecasts
from .known_future import STRETCH, Stretches, known_at, sample_observed
from .model import EpisodeForecasts
from .shocks import CommonShocks, ShockedItems

logger = logging.getLogger(__name__)

Mode = Literal["fixed", "rolled", "evolved"]


@dataclass(frozen=True, eq=False)
class ForecastDemand:
    """Demand drawn from quantile forecasts by inverse transform.

    In mode "fixed" one forecast is made at `start`; its errors depend on each other over the horizon, and in period t
    the policy sees the part of it that concerns t and later. In mode "rolled" the forecaster is run again along each
    sampled path: the policy sees the forecast made from the path so far, and demand is drawn from that forecast's
    first period. In mode "evolved" one forecast is carried along each path by random revisions as large, and as like
    each other over the horizon, as the forecaster's own were (`ForecastEvolution`); demand is drawn from the carried
    forecast's first period, and a surprise moves the revisions that follow. No forecaster is run along the paths, so
    covariates and the shape of the season stay as the first forecast saw them.

    Items share shocks (`CommonShocks`): the normal scores that demand is drawn by have common, group and item factors.
    In mode "rolled" these last over time as the forecaster's past one-step errors did. In mode "fixed" the factors of
    successive periods are independent, and each item's own copula over the horizon makes them last: two items of one
    copula have their scores' correlation in every period. In mode "evolved" they are independent over time, too, since
    a forecast that is a martingale has no news that could have been foreseen; news moves revisions, so that forecasts
    of many items are revised together. Paths of one item (`episodes`) have the same law as that item has in
    `scenario`.

    Nothing that the panel holds of `start` and later is read but the calendar and the covariates known ahead, as far
    as forecasts reach. In mode "rolled" covariates that are observed only are drawn from past stretches, the same
    ones for all items of a path, relative to each item's level; they do not depend on the path's demand. A forecaster
    that reads none is not touched by them.

    The same generator gives the same random numbers to all three modes, and to every belief. What is drawn of an item
    and a path does not move when other items, paths or periods are added, shocks and evolution being given;
    shocks that are fitted depend on all items of the panel.

    Attributes:
        source: a fitted forecaster, or a QuantileForecast (modes "fixed" and "evolved"; its last origin counts).
        panel: the history that forecasts begin from; needed with a forecaster.
        mode: "fixed", "rolled" or "evolved".
        integer: draw whole units; None = where the panel's sales before `start` are whole.
        start: the period that demand is drawn from, on; the panel's end where None.
        belief: what the policy sees instead of the truth that demand is drawn from: another fitted forecaster (run
            along the same paths in mode "rolled", carried by the same news in mode "evolved"), one QuantileForecast
            (carried likewise in mode "evolved"), or a `Distortion`. The truth where None.
        evolution: the model of revisions of mode "evolved"; fitted on the panel before `start` where None.
        shocks: "fitted": to the forecaster's past one-step scores before `start` (`CommonShocks.fit`); a forecast that
            was handed over has no past to fit to, and its items are independent. "none": independent items, and scores
            without memory. Or `CommonShocks(...)`.
        future: covariates known ahead beyond the panel's end, columns `item_id`, `date` and their names, as in
            `Forecaster.predict`. Where it lacks one, that of the same period a year ago stands in (`known_at`), and
            the log says so.
    """

    source: Any
    panel: SalesPanel | None = None
    mode: Mode = "fixed"
    integer: bool | None = None
    start: int | None = None
    belief: Any = None
    evolution: ForecastEvolution | None = None
    shocks: CommonShocks | Literal["fitted", "none"] = "fitted"
    future: pd.DataFrame | None = None

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
        if not (isinstance(self.shocks, CommonShocks) or self.shocks in ("fitted", "none")):
            faults.add(f"shocks must be 'fitted', 'none' or CommonShocks(...), got {self.shocks!r}")
        if self.panel is not None and self.start is not None and not 1 <= self.start <= self.panel.periods:
            faults.add(f"start must be a period of the panel, 1 ... {self.panel.periods}, got {self.start}")
        self._check_belief(faults)
        faults.raise_if_any()

    def _check_belief(self, faults: Faults) -> None:
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
            believed = None if one is None else shift(one, periods, span)
            assert self.panel is not None  # the constructor saw to it
            known = known_at(self.panel, self._begin, self._begin + periods + span - 1, self.future)
            return PreparedRolled(self, periods, span, self._shocked_items(), known, believed)
        first = self._forecast_of(self.source, periods + span - 1)
        shown = first
        if self.belief is not None and not isinstance(self.belief, Distortion):
            shown = self._forecast_of(self.belief, first.horizon)
        if self.mode == "fixed":
            return PreparedFixed(self, periods, first, shift(shown, periods, span))
        evolution = self._evolution_for(periods + span - 1)
        truth = EvolvedForecasts.of(first, evolution, periods, span)
        seen = truth if shown is first else EvolvedForecasts.of(shown, evolution, periods, span)
        return PreparedEvolved(self, periods, span, evolution, truth, seen)

    def fitted_evolution(self, leads: int = HORIZON) -> ForecastEvolution:
        """Return the model of revisions of mode "evolved": the given one, or one fitted on the past.

        Args:
            leads: to fit, where the model is not given; the forecaster forecasts one period more.
        """
        if self.evolution is not None:
            return self.evolution
        assert self.panel is not None
        return ForecastEvolution.fit(self.source, self.panel.until(self._begin), horizon=leads)

    def fitted_shocks(self) -> CommonShocks:
        """Return the shocks that items share: the given ones, those fitted on the past, or none."""
        if isinstance(self.shocks, CommonShocks):
            return self.shocks
        if self.shocks == "none":
            return CommonShocks()
        if self.panel is None or isinstance(self.source, DemandForecast):
            logger.info("a forecast that was handed over has no past to fit shocks to: items are independent")
            return CommonShocks()
        return CommonShocks.fit(self.source, self.panel, before=self._begin)

    def fitted(self, periods: int, span: int) -> ForecastDemand:
        """Return the model with shocks and evolution fitted, for those who draw many scenarios; as for `prepare`."""
        evolution = self._evolution_for(periods + span - 1) if self.mode == "evolved" else self.evolution
        return replace(self, shocks=self.fitted_shocks(), evolution=evolution)

    def _evolution_for(self, reach: int) -> ForecastEvolution:
        """Return the model of revisions; networks forecast no further than they were trained for."""
        longest = getattr(self.source, "max_horizon", reach)
        return self.fitted_evolution(HORIZON if longest is None else min(HORIZON, max(1, longest - 1)))

    def _shocked_items(self) -> ShockedItems:
        """Return the items with the shocks that they share."""
        shocks = self.fitted_shocks()
        attributes = None if self.panel is None or shocks.attribute is None else self.panel.attributes
        return shocks.of(self.item_ids, attributes)

    @property
    def _begin(self) -> int:
        """The period that demand is drawn from, on."""
        assert self.panel is not None
        return self.panel.periods if self.start is None else self.start

    def _forecast_of(self, source: Any, horizon: int) -> DemandForecast:
        """Return one forecast of all items, of one origin."""
        if isinstance(source, DemandForecast):
            return source.at_origin(-1).head(horizon)
        assert self.panel is not None
        known = known_at(self.panel, self._begin, self._begin + horizon, self.future)
        return source.predict(known, horizon, origins=[self._begin])

    def _whole(self, demand: FloatArray) -> FloatArray:
        integer = self.integer
        if integer is None:
            integer = self.panel is not None and self.panel.until(self._begin).integer_demand
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
        items = self.model._shocked_items()
        normal = items.sample(int(rng.integers(2**62)), paths, self.periods, lasting=False)
        demand = self.first.head(self.periods).at_normals(normal.swapaxes(0, 1)[:, :, None])[:, :, 0]
        scenario = Scenario(np.swapaxes(self.model._whole(demand), 1, 2), forecasts=self.believed)
        return self.model._distort(scenario, rng, self.model.item_ids)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        # Without memory an item's factors add up to one of its own.
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
        # Each lead of an item by its own key: revisions of so many leads do not move when there are more of them.
        leads = self.evolution.horizon
        keys = [f"{lead} {name}" for name in names for lead in range(leads)]
        own_root = int(keyed_generator(root, "revisions").integers(2**62))
        noise = draw_by_item(
            own_root, keys, paths, self.periods, lambda own, _, n: own.standard_normal((self.periods, n))
        )
        noise = noise.reshape(len(names), leads, self.periods, paths).transpose(0, 3, 2, 1)
        score = self.model._shocked_items().sample(root, paths, self.periods, lasting=False)
        scenario = self._carry(np.arange(len(names))[:, None], score, noise)
        return self.model._distort(scenario, rng, names)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        score = rng.standard_normal((1, len(item), self.periods))
        noise = rng.standard_normal((1, len(item), self.periods, self.evolution.horizon))
        return self.model._distort(self._carry(item[None], score, noise), rng)

    def _carry(self, rows: IntArray, score: FloatArray, noise: FloatArray) -> Scenario:
        """Carry the first forecast along paths.

        Args:
            rows: the items of the paths, shape (items, 1) or (1, paths).
            score: standard normal draws that demand follows from, shape (items or 1, paths, periods).
            noise: standard normal draws that revisions follow from, shape (items or 1, paths, periods, leads).
        """
        evolution = self.evolution
        scale = np.broadcast_to(evolution.scale_of(self.model.item_ids)[rows], score.shape[:2])
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
        items: the shocks that the items share.
        known: the panel as it is known at the start, with what is known ahead of all periods.
        believed: what all paths see, one forecast a period, where one forecast is believed; None where a forecaster is.
    """

    model: ForecastDemand
    periods: int
    span: int
    items: ShockedItems
    known: SalesPanel
    believed: Sequence[DemandForecast] | None

    @property
    def forecasts(self) -> None:
        """Forecasts depend on the path."""
        return

    def scenario(self, rng: np.random.Generator, paths: int) -> Scenario:
        """Draw paths of all items: see `ForecastDemand.scenario`."""
        names, root, past = self.model.item_ids, int(rng.integers(2**62)), self._past
        normal = self.items.sample(root, paths, self.periods).swapaxes(0, 1).reshape(-1, self.periods)
        rows = np.tile(np.arange(len(names)), paths)
        stretches = Stretches.draw(root, past, paths, self.periods) if past.observed else None
        demand, forecasts = self._roll(rows, np.repeat(np.arange(paths), len(names)), normal, stretches)
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
        normal, past, stretches = self.items.episodes(rng, item, self.periods), self._past, None
        if past.observed:
            stretches = Stretches.at(rng.random((len(item), -(-self.periods // STRETCH), 2)), past, self.periods)
        demand, forecasts = self._roll(item, np.arange(len(item)), normal, stretches)
        return self.model._distort(Scenario(demand[:, :, None], forecasts=forecasts), rng)

    @property
    def _past(self) -> SalesPanel:
        """What was on record when the first period began."""
        return self.known.until(self.model._begin)

    def _roll(
        self, rows: IntArray, path: IntArray, normal: FloatArray, stretches: Stretches | None
    ) -> tuple[FloatArray, list[DemandForecast]]:
        """Run the forecaster, and the one that is believed, along paths of one item each.

        Args:
            rows: which item each row holds, shape (rows,).
            path: which path each row belongs to, shape (rows,).
            normal: scores of demand, shape (rows, periods).
            stretches: where covariates that are observed only are drawn from; None where there are none.

        Returns:
            demand, shape (rows, periods), and what is seen in each period.
        """
        source, belief, begin = self.model.source, self.model.belief, self.model._begin
        other = belief if self.believed is None and not isinstance(belief, Distortion) else None
        # A panel of these rows whose later sales are still to be drawn.
        panel = self.known.select(rows)
        if stretches is not None:
            drawn = sample_observed(self._past, stretches, rows, path)
            observed = {name: values.copy() for name, values in panel.observed.items()}
            for name, values in drawn.items():
                observed[name][:, begin : begin + self.periods] = values
            panel = replace(panel, observed=observed)
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


def _first_period(forecast: DemandForecast, normal: FloatArray) -> FloatArray:
    """Demand of the first period of a forecast: normal (items, origins) → the same shape."""
    return forecast.head(1).at_uniforms(ndtr(normal[None, :, :, None]))[0, :, :, 0]
