"""A backtest: the last periods are held out, and every decision uses only what was known at its time.

    |…… history ……|…… validation ……|…… held out ……|
                  ^ start           ^ cutoff         ^ end

A first forecaster, fitted before `start`, forecasts from every origin of the validation window. On these forecasts,
on what then happened, and on demand sampled from the forecaster along the same weeks, policies are tuned and
trained. A second one, fitted before `cutoff`, forecasts from every held-out origin; there policies are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..envs.core.types import Scenario, Trajectory
from ..envs.demand.forecast_demand import ForecastDemand
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import QuantileForecast
from ..forecasters.joining import concatenate_origins
from ..forecasters.registry import FORECASTERS, make_forecaster
from ..policies.base import OrderUpToPolicy, Planner
from ..policies.rollout import simulate, starting_state
from ..randomness import keyed_generator
from ..registry import option_names
from .data import StudyData

SHORTEST_HISTORY = 8
"""Periods that a forecaster is at least given to learn from."""
USUAL_HORIZON = 8
"""Periods that are forecast where decisions ask for fewer, so that scores and pictures show something."""


@dataclass(frozen=True)
class Windows:
    """Where the validation window and the held-out periods begin.

    Attributes:
        start: first period of the validation window.
        cutoff: first held-out period.
        end: the panel's number of periods.
        span: the longest protection interval: periods ahead that decisions ask for.
        horizon: periods ahead that are forecast.
        notes: what a reader should know, e.g. that the validation window had to be shortened.
    """

    start: int
    cutoff: int
    end: int
    span: int
    horizon: int
    notes: tuple[str, ...] = ()

    @property
    def warm_up(self) -> int:
        """Periods before the cutoff that a comparison runs through first, so that the start does not count."""
        return min(2 * self.span, self.cutoff - self.start)


def windows(data: StudyData, periods: int, validation: int, horizon: int | None) -> Windows:
    """Return the windows of a backtest; `periods` = 0 holds nothing out.

    Raises:
        InputError: where the history is too short.
    """
    end, span = data.panel.periods, int(np.max(data.params.protection_interval))
    cutoff = end - periods
    fits = min(validation, cutoff - max(SHORTEST_HISTORY, cutoff // 2))
    if fits < span + 1:
        least = periods + 2 * max(SHORTEST_HISTORY, span + 1)
        raise InputError(
            [
                f"history: has {end} periods; {periods} held out and protection intervals of {span} need about "
                f"{least}; give a longer history, hold out fewer (backtest.periods) or use finer periods (data.freq)"
            ]
        )
    notes: tuple[str, ...] = ()
    if fits < validation:
        notes = (f"the history is short: policies were tuned on {fits} periods, not on {validation}",)
    return Windows(cutoff - fits, cutoff, end, span, max(horizon or USUAL_HORIZON, span), notes)


def fit_forecaster(
    name: str, options: Mapping[str, Any], data: StudyData, until: int, horizon: int, seed: int
) -> Forecaster:
    """Fit a forecaster on the periods before `until`."""
    return new_forecaster(name, options, horizon, seed).fit(data.panel.until(until))


def new_forecaster(name: str, options: Mapping[str, Any], horizon: int, seed: int) -> Forecaster:
    """Build a forecaster that is told horizon and seed, where it asks for them and options do not say."""
    known = option_names(FORECASTERS.known(name))
    defaults = {k: v for k, v in {"horizon": horizon, "seed": seed}.items() if k in known}
    return make_forecaster(name, **{**defaults, **options})


def forecasts_from(forecaster: Forecaster, data: StudyData, first: int, last: int, horizon: int) -> QuantileForecast:
    """Forecast from each of the origins first … last − 1."""
    return forecaster.predict(data.panel, horizon, origins=np.arange(first, last))


def replay(data: StudyData, forecast: QuantileForecast, span: int) -> Scenario:
    """Return what happened in the periods that a forecast has origins for, with those forecasts; one path."""
    demand = data.demand[:, forecast.origins].T[None]
    near = forecast.head(span)
    near.total(span)  # once for all origins: each keeps its share
    return Scenario(demand, forecasts=[near.at_origin(i) for i in range(len(forecast.origins))])


def with_imagined(
    data: StudyData, forecaster: Forecaster, window: Windows, real: Scenario, paths: int, seed: int
) -> Scenario:
    """Return the validation window as it was and, beside it, as the forecaster could imagine it.

    Args:
        data: the study's data.
        forecaster: fitted before the window.
        window: where it begins and ends.
        real: the window as it was.
        paths: imagined paths.
        seed: of the imagined demand.
    """
    model = ForecastDemand(forecaster, data.panel.until(window.cutoff), mode="rolled", start=window.start)
    imagined = model.scenario(keyed_generator(seed, "training demand"), paths, real.periods, window.span)
    pairs = zip(real.forecasts or (), imagined.forecasts or (), strict=True)
    both = [concatenate_origins([a, b]) for a, b in pairs]
    for forecast in both:
        forecast.total(window.span)  # once for all rows: each keeps its share
    return Scenario(np.concatenate([real.demand, imagined.demand]), forecasts=both)


def held_out_scenario(data: StudyData, before: Scenario, after: QuantileForecast, window: Windows) -> Scenario:
    """Return the last periods before the cutoff, as a warm-up, and the held-out ones.

    Args:
        data: the study's data.
        before: the validation window as it was.
        after: forecasts from the held-out origins.
        window: how long the warm-up is.
    """
    warm = before.window(before.periods - window.warm_up, before.periods)
    held = replay(data, after, window.span)
    demand = np.concatenate([warm.demand, held.demand], axis=1)
    return Scenario(demand, forecasts=[*(warm.forecasts or ()), *(held.forecasts or ())])


def run_held_out(policy: Any, scenario: Scenario, data: StudyData, window: Windows, baseline: Any) -> Trajectory:
    """Let a policy meet the held-out periods, behind the warm-up.

    A policy with a target of its own starts there, any other at the baseline's. A bound needs no warm-up and begins
    at the cutoff.
    """
    if isinstance(policy, Planner):
        return simulate(policy, scenario.window(window.warm_up, scenario.periods), data.params)
    start = starting_state(policy if isinstance(policy, OrderUpToPolicy) else baseline, scenario, data.params)
    return simulate(policy, scenario, data.params, initial_state=start, warm_up=window.warm_up)
