"""Random problems of one item, thousands in a batch: what the generalist is trained on.

A pool holds problems of one lead time. Each has a law of demand, the forecast of it (mostly right, at times biased or
too narrow or too wide), costs and a share of unmet demand that is lost. What the policy reads of their forecasts is
computed once; an episode then costs a table look-up a period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr

from ..arrays import Array, BoolArray, Float32Array, FloatArray, IntArray
from ..envs.core.forecast_features import ForecastFeatures, protection_total
from ..envs.core.params import ItemParams
from ..envs.core.types import InventoryState, Scenario
from ..envs.demand.distributions import Discrete, Gamma, Geometric, NegativeBinomial, Normal, Poisson
from ..forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
from ..policies.generalist import MADE_FOR, ForecastSummary, summarise

CELLS = 2048
"""Equally likely values that stand for a law of demand in episodes."""

LARGEST_SIZE = 24
"""Units at most in a period of intermittent demand."""

FAMILIES = {
    "poisson": 0.2,
    "negative_binomial": 0.35,
    "geometric": 0.1,
    "intermittent": 0.2,
    "gamma": 0.1,
    "normal": 0.05,
}
"""Share of the problems whose demand is of each family."""

WRONG = 0.15
"""Share of problems with a wrong forecast: biased by up to ± 20 %, its spread 0.6 to 1.6 times the right one."""

ANY = 1e-6
"""The pack, in units, of what can be ordered in any quantity."""

PACKED = 0.1
"""Share of problems with packs of half a period's demand to five periods'."""

AUTOCORRELATED = 0.1
"""Share of problems whose errors are correlated from period to period, which the forecast does not say."""


@dataclass(frozen=True, eq=False)
class ProblemPool:
    """Problems of one lead time, all of them items of one table: an `EpisodeSource`.

    Attributes:
        params: lead time (one for all), costs, lost shares and packs.
        family: the name of each problem's family of demand, (problems,).
        cells: equally likely values of a period's demand, units, shape (problems, CELLS).
        factors: seasonal factors on them, shape (periods, problems); 1 where nothing moves.
        correlation: of the normal scores of successive periods, (problems,). [ρ]
        parts: what is read of forecasts by period, each (1 or periods, …, 1, problems).
        wrong: whether the forecast is wrong, (problems,).
    """

    params: ItemParams
    family: Array
    cells: Float32Array
    factors: Float32Array
    correlation: FloatArray
    parts: ForecastSummary
    wrong: BoolArray
    columns: int = field(default=1, init=False)

    @property
    def slots(self) -> int:
        """The lead time."""
        return self.params.slots

    @property
    def problems(self) -> int:
        """Number of problems."""
        return len(self.cells)

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes, each of a random problem, with features instead of forecasts."""
        return self.episodes(rng, rng.integers(0, self.problems, paths), periods)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes of these problems."""
        score = rng.standard_normal((len(item), periods))
        correlation = self.correlation[item]
        moving = np.flatnonzero(correlation)
        rho = correlation[moving]
        for t in range(1, periods):
            score[moving, t] = rho * score[moving, t - 1] + np.sqrt(1.0 - rho**2) * score[moving, t]
        cell = np.minimum((ndtr(score) * CELLS).astype(np.int64), CELLS - 1)
        demand = self.cells[item[:, None], cell]
        if len(self.factors) > 1:
            # Each episode begins in a season of its own.
            demand = demand * self.factors[:periods, item].T
        which = tuple(range(periods)) if len(self.factors) > 1 else (0,) * periods
        parts = ForecastSummary(*(np.take(part[:, ..., 0, :], item, axis=-1)[..., None] for part in self.parts))
        features = ForecastFeatures(None, which, parts, MADE_FOR)
        return Scenario(demand[:, :, None], features=features), self.params.per_path(item)

    def initial_state(self, rng: np.random.Generator, scenario: Scenario, item: IntArray) -> InventoryState:
        """Return stock on hand and under way of around what policies hold, units, in whole packs."""
        parts: ForecastSummary = scenario.features.at(0).parts  # type: ignore[union-attr]
        paths = scenario.paths
        pipeline = parts.mean[: self.slots] * rng.uniform(0.4, 1.2, (self.slots, paths, 1))
        on_hand = rng.uniform(0.0, 1.2, (paths, 1)) * np.maximum(parts.level - pipeline.sum(0), parts.served)
        size = np.asarray(self.params.pack_size)[item, None]
        return InventoryState(*(np.rint(x / size) * size for x in (on_hand, pipeline)))


def draw_pool(rng: np.random.Generator, lead_time: int, problems: int, *, periods: int = 1) -> ProblemPool:
    """Draw problems.

    Args:
        rng: where they come from.
        lead_time: of all of them. [L]
        problems: how many.
        periods: above 1, demand and its forecasts move with a season, and episodes have at most so many periods.
    """
    shares = np.array(list(FAMILIES.values()))
    family = np.sort(rng.choice(list(FAMILIES), problems, p=shares / shares.sum()))
    short = 2.0 * 50.0 ** rng.random(problems)
    lost = np.where(rng.random(problems) < 0.8, 1.0, rng.uniform(0.1, 1.0, problems))
    # Most items sell a few units a period.
    usual, any_size = 0.2 * 60.0 ** rng.random(problems), 0.05 * 20_000.0 ** rng.random(problems)
    mean = np.where(rng.random(problems) < 0.8, usual, any_size)
    wrong = rng.random(problems) < WRONG
    bias = np.where(wrong, rng.uniform(0.8, 1.2, problems), 1.0)
    widening = np.where(wrong, 0.6 * (1.6 / 0.6) ** rng.random(problems), 1.0)
    moved = rng.random(problems) < AUTOCORRELATED
    correlation = np.where(moved, rng.uniform(0.1, 0.7, problems), 0.0)
    factors = np.ones((1, problems)) if periods == 1 else seasons(rng, problems, periods + lead_time + 1)
    cells, parts = np.empty((problems, CELLS)), []
    whole = np.isin(family, ("gamma", "normal"), invert=True)
    # Users of whole units do not always say so.
    unit = np.where(whole & (rng.random(problems) < 0.85), 1.0, 0.0)
    packed = rng.random(problems) < PACKED
    packs = np.maximum(np.rint(rng.uniform(0.5, 5.0, problems) * np.maximum(mean, 0.5)), 1.0)
    unit = np.where(packed & whole, packs, np.maximum(unit, ANY))
    params = ItemParams(lead_time=lead_time, stockout_cost=short, unmet_demand=lost, pack_size=unit)
    for name in np.unique(family):
        here = np.flatnonzero(family == name)
        truth, forecast = draw_models(rng, name, mean[here], bias[here], widening[here])
        cells[here] = cells_of(rng, truth)
        some = params.select(here)
        # One forecast for all periods, or one a period: origins side by side.
        known = forecast.forecast(lead_time + 1)
        if periods > 1:
            known = seasonal_forecast(forecast, factors[:, here], periods, lead_time)
        found = summarise(known, protection_total(known, some), some)
        # (1 or periods, ..., 1, problems), as `ForecastFeatures` has them.
        parts.append([np.moveaxis(part, -2, 0)[..., None, :] for part in found])
    stacked = ForecastSummary(*(np.concatenate(x, axis=-1).astype(np.float32) for x in zip(*parts, strict=True)))
    values, seasonal = cells.astype(np.float32), factors.astype(np.float32)
    return ProblemPool(params, family, values, seasonal, correlation, stacked, wrong)


def draw_models(
    rng: np.random.Generator, family: str, mean: FloatArray, bias: FloatArray, widening: FloatArray
) -> tuple[Any, Any]:
    """Return the law of demand and the one that is forecast, a problem an item.

    Args:
        rng: where the other parameters come from.
        family: a key of `FAMILIES`.
        mean: units per period; intermittent demand has one of its own. All arrays have the shape (problems,).
        bias: factor on the forecast's mean.
        widening: factor on its spread, for families whose spread is free.
    """
    n = len(mean)
    if family == "poisson":
        return Poisson(mean), Poisson(bias * mean)
    if family == "geometric":
        mean = np.minimum(mean, 200.0)
        return Geometric(mean), Geometric(bias * mean)
    if family == "negative_binomial":
        ratio = 1.05 + 9.0 * rng.random(n) ** 2
        wider = np.maximum(1.0 + (ratio - 1.0) * widening**2, 1.02)
        return NegativeBinomial(mean, mean / (ratio - 1.0)), NegativeBinomial(bias * mean, bias * mean / (wider - 1.0))
    if family == "intermittent":
        busy = rng.uniform(0.03, 0.5, n)
        size, tail = rng.uniform(1.0, 6.0, n), rng.uniform(0.0, 0.8, n)
        units = np.arange(LARGEST_SIZE + 1)
        # Sizes of demand where there is any: 1, 2, ... around `size`, some with a long tail.
        weights = np.exp(-0.5 * ((units[None] - size[:, None]) / (0.3 + size[:, None] * tail[:, None])) ** 2)
        weights[:, 0] = 0.0
        weights /= weights.sum(1, keepdims=True)

        def law(share: FloatArray) -> Discrete:
            probabilities = weights * share[:, None]
            probabilities[:, 0] = 1.0 - share
            return Discrete(probabilities)

        return law(busy), law(np.minimum(bias * busy, 0.95))
    if family == "gamma":
        cv = 0.15 * 10.0 ** rng.random(n)
        return Gamma(mean, cv=cv), Gamma(bias * mean, cv=cv * widening)
    cv = rng.uniform(0.05, 0.4, n)
    return Normal(mean, cv * mean), Normal(bias * mean, bias * mean * cv * widening)


def cells_of(rng: np.random.Generator, model: Any) -> FloatArray:
    """Return equally likely values of a period's demand, one from each slice of its law, (items, CELLS)."""
    level = (np.arange(CELLS) + rng.uniform(0.02, 0.98, CELLS)) / CELLS
    return np.broadcast_to(model.quantile(level[:, None]), (CELLS, model.items)).T


def seasons(rng: np.random.Generator, problems: int, periods: int) -> FloatArray:
    """Return seasonal factors with mean about 1: weeks, years, and trends, shape (periods, problems)."""
    length = rng.choice([4.0, 7.0, 12.0, 26.0, 52.0], problems)
    phase, swing = rng.random(problems), 0.7 * rng.random(problems)
    t = np.arange(periods)[:, None]
    wave = 1.0 + swing * np.sin(2 * np.pi * (t / length + phase))
    # Days of the week have no smooth shape.
    rough = np.exp(0.4 * rng.standard_normal((7, problems)))[np.arange(periods) % 7]
    trend = np.exp(rng.normal(0.0, 0.006, problems) * t)
    return np.asarray(np.where(length == 7.0, rough / rough.mean(0), wave) * trend)


def seasonal_forecast(model: Any, factors: FloatArray, periods: int, lead_time: int) -> QuantileForecast:
    """Return quantile forecasts that know the season, one an origin, values (items, periods, L + 1, Q)."""
    levels = np.array(DEFAULT_LEVELS)
    quantiles = np.broadcast_to(model.quantile(levels[:, None]), (len(levels), model.items))
    ahead = np.lib.stride_tricks.sliding_window_view(factors, lead_time + 1, axis=0)[:periods]
    values = np.einsum("tih,qi->ithq", ahead, quantiles)
    return QuantileForecast(levels, values, np.arange(periods), tuple(map(str, range(model.items))))
