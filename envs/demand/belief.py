"""Belief apart from truth: policies that see other quantiles than demand is drawn from, or distorted ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...forecasters.calibration.dependence import Dependence, Method
from ...forecasters.data.nixtla import Style, long_frame, nixtla_frame
from ...forecasters.demand_forecast import DRAWS, DemandForecast, check_origin, correlated_uniforms, sample_forecast
from ...forecasters.interpolation import mean_weights
from ...randomness import draw_by_item, item_keys
from ..core.types import Scenario
from .distribution_forecast import ForecastsOnPaths
from .model import DemandModel, PreparedDemand
from .sampled import as_demand_model


@dataclass(frozen=True, eq=False)
class DistortedForecast:
    """A forecast whose quantiles, sums, means and draws are all distorted in the same way.

    A sum over periods is distorted about the median of the sum.

    Attributes:
        base: what is distorted.
        spread: factor on the distance from the median.
        factor: on the result, shape (items or 1, origins or 1); a factor of many origins spreads a base of one origin
            over them.
        values: the distorted quantiles, which follow from these, shape (items, origins, horizon, Q).
    """

    base: DemandForecast
    spread: float
    factor: FloatArray
    values: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        median, factor = self.base.quantile(0.5)[..., None], self.factor[:, :, None, None]
        object.__setattr__(self, "values", _distort(self.base.values, median, self.spread, factor))

    @property
    def levels(self) -> FloatArray:
        """Quantile levels, shape (Q,)."""
        return self.base.levels

    @property
    def origins(self) -> IntArray:
        """The period index of each origin."""
        return np.repeat(self.base.origins, self.values.shape[1]) if self._spread_over else self.base.origins

    @property
    def item_ids(self) -> tuple[str, ...]:
        """One text an item."""
        return self.base.item_ids

    @property
    def dates(self) -> pd.DatetimeIndex | None:
        """The date of each origin."""
        dates = self.base.dates
        return dates.repeat(self.values.shape[1]) if dates is not None and self._spread_over else dates

    @property
    def freq(self) -> str | None:
        """Pandas frequency of the periods."""
        return self.base.freq

    @property
    def dependence(self) -> Dependence | None:
        """How errors of successive horizons move together."""
        return self.base.dependence

    @property
    def horizon(self) -> int:
        """Periods ahead that are forecast."""
        return self.base.horizon

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the distorted quantile, shape (items, origins, horizon)."""
        exact = self._base_for(level).quantile(level)
        return _distort(exact, self.base.quantile(0.5), self.spread, self.factor[:, :, None])

    def mean(self) -> FloatArray:
        """Return the mean of the distorted distribution, shape (items, origins, horizon)."""
        median = self.base.quantile(0.5)
        centre = median + self.spread * (self.base.mean() - median)
        # What is cut off at zero raises the mean.
        raw = median[..., None] + self.spread * (self.base.values - median[..., None])
        lifted = np.maximum(-raw, 0.0) @ mean_weights(tuple(self.levels))
        return np.asarray(np.maximum(centre + lifted, 0.0) * self.factor[:, :, None])

    def sample(self, paths: int, rng: np.random.Generator, method: Method | None = None) -> FloatArray:
        """Draw distorted demand paths, shape (paths, items, origins, horizon)."""
        return sample_forecast(self, paths, rng, method)

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for independent standard normal draws: see `QuantileForecast.at_normals`."""
        return self.at_uniforms(correlated_uniforms(self.dependence, normal))

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by inverse transform, the shape of `uniform`."""
        drawn = self.base.at_uniforms(uniform)
        return _distort(drawn, self.base.quantile(0.5), self.spread, self.factor[:, :, None])

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return dependent quasi-random draws, shape (number, items, origins, horizon)."""
        drawn = self.base.draws(number, horizon)
        median = self.base.quantile(0.5)[:, :, : drawn.shape[-1]]
        return _distort(drawn, median, self.spread, self.factor[:, :, None])

    def total(self, span: ArrayLike) -> DistortedForecast:
        """Return the distorted forecast of demand summed over the first `span` periods."""
        return replace(self, base=self._base_for(span).total(span))

    def after(self, periods: int) -> DistortedForecast:
        """Return the forecast of the time from `periods` periods later on."""
        return replace(self, base=self.base.after(periods))

    def head(self, horizon: int) -> DistortedForecast:
        """Return the first `horizon` periods of the forecast."""
        return replace(self, base=self.base.head(horizon))

    def with_dependence(self, dependence: Dependence) -> DistortedForecast:
        """Return the same quantiles with another dependence over the horizon, where the base may have one."""
        return replace(self, base=self.base.with_dependence(dependence))

    def at_origin(self, index: int | IntArray) -> DistortedForecast:
        """Return the forecast of one origin or of several, by position; the origins axis stays."""
        chosen = check_origin(self, index)
        if not self._spread_over:
            return replace(self, base=self.base.at_origin(index), factor=self._factors[:, chosen])
        factor = self._factors[:, chosen]
        # A base of one origin stays so: one origin, or several that share it.
        return replace(self, factor=factor)

    def take(self, item: IntArray, origin: IntArray) -> DistortedForecast:
        """Return pairs of items and origins, side by side: see `QuantileForecast.take`."""
        base = self.base.take(item, np.zeros_like(origin) if self._spread_over else origin)
        return replace(self, base=base, factor=self._factors[item, origin][None])

    def select(self, items: IntArray) -> DistortedForecast:
        """Return the forecast of the items at these positions."""
        return replace(self, base=self.base.select(items), factor=self._factors[items])

    def to_frame(self) -> pd.DataFrame:
        """Return a long frame: see `QuantileForecast.to_frame`."""
        return long_frame(self)

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Return a wide frame: see `QuantileForecast.to_nixtla`."""
        return nixtla_frame(self, style, model)

    @property
    def _spread_over(self) -> bool:
        """Whether a base of one origin stands for many."""
        return self.values.shape[1] != self.base.values.shape[1]

    @property
    def _factors(self) -> FloatArray:
        return np.broadcast_to(self.factor, self.values.shape[:2])

    def _base_for(self, argument: ArrayLike) -> DemandForecast:
        """Return the base with an origin a path, where levels or spans differ between paths and it has but one."""
        shape = np.shape(argument)
        if not self._spread_over or len(shape) < 2 or shape[1] == 1:
            return self.base
        return self.base.at_origin(np.zeros(self.values.shape[1], dtype=np.int64))


def _distort(value: FloatArray, median: FloatArray, spread: float, factor: Any) -> FloatArray:
    return np.asarray(np.maximum(median + spread * (value - median), 0.0) * factor)


@dataclass(frozen=True)
class Distortion:
    """A way of being wrong about demand, on purpose.

    The quantile q with median m becomes `(1 + bias) · exp(noise · z − ½ noise²) · max(m + spread · (q − m), 0)`.

    Attributes:
        bias: share by which demand is overstated, > −1; 0 = none. 0.2 shows 20 % too much.
        spread: factor on the distance of quantiles from the median, >= 0; below 1 = too sure, above 1 = too unsure.
        noise: standard deviation of the logarithm of a factor of mean one, z drawn anew for each item, path and
            period; 0 = none. Policies that are run on the same scenario see the same noise.

    Raises:
        FractileError: with every field that breaks its rule.
    """

    bias: float = 0.0
    spread: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        faults = Faults()
        if not (np.isfinite(self.bias) and self.bias > -1):
            faults.add(f"bias must be a finite number above -1, got {self.bias}; 0 means none")
        if not (np.isfinite(self.spread) and self.spread >= 0):
            faults.add(f"spread must be a finite number >= 0, got {self.spread}; 1 leaves it as it is")
        if not (np.isfinite(self.noise) and self.noise >= 0):
            faults.add(f"noise must be a finite number >= 0, got {self.noise}; 0 means none")
        faults.raise_if_any()

    @property
    def nothing(self) -> bool:
        """Whether forecasts stay as they are."""
        return (self.bias, self.spread, self.noise) == (0.0, 1.0, 0.0)

    def apply(self, forecast: DemandForecast, normal: FloatArray | None = None) -> DemandForecast:
        """Distort a forecast.

        Args:
            forecast: values (items, origins, horizon, Q).
            normal: standard normal draws of the noise, shape (items, origins or paths); none = no noise. [z]

        Returns:
            The forecast itself where nothing is distorted.
        """
        if self.nothing:
            return forecast
        noise = np.ones((1, 1)) if normal is None else np.exp(self.noise * normal - 0.5 * self.noise**2)
        return DistortedForecast(forecast, self.spread, (1.0 + self.bias) * noise)


@dataclass(frozen=True, eq=False)
class Believed:
    """Demand from one model, forecasts from another: what it costs to believe something else than the truth.

    Attributes:
        truth: where demand comes from; an object of your own needs `sample` alone, here and as belief.
        belief: where forecasts come from: another demand model whose forecasts do not depend on what happens (a
            distribution, or a `ForecastDemand` in mode "fixed"), one forecast, or a `Distortion` of the
            truth's.

    >>> from fractile import Poisson, draw_scenario
    >>> model = Believed(Poisson(5.0), Distortion(bias=0.2))
    >>> float(draw_scenario(model, 0, 1, 1).forecast(0).mean().item())
    6.0
    """

    truth: DemandModel
    belief: DemandModel | DemandForecast | Distortion

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", as_demand_model(self.truth))
        if isinstance(self.belief, Distortion):
            return
        if not isinstance(self.belief, DemandForecast):
            object.__setattr__(self, "belief", as_demand_model(self.belief))
        items = len(self.belief.values) if isinstance(self.belief, DemandForecast) else self.belief.items
        if items != self.truth.items:
            raise FractileError(f"belief must be about the truth's {self.truth.items} items, got {items}")

    @property
    def items(self) -> int:
        """Number of items."""
        return self.truth.items

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand from the truth, units, shape (paths, periods, items)."""
        return self.truth.sample(rng, paths, periods)

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand from the truth, together with what is believed of it."""
        scenario = self.truth.scenario(rng, paths, periods, span)
        if isinstance(self.belief, Distortion):
            return distort(scenario, self.belief, rng)
        return replace(scenario, forecasts=self._believed(rng, periods, span))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        return self.prepare(periods, span).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedBelief:
        """Make what is believed once for many episodes: see `PreparedDemand`."""
        make = getattr(self.truth, "prepare", None)
        truth = None if make is None else make(periods, span)
        if isinstance(self.belief, Distortion):
            return PreparedBelief(self, periods, span, truth)
        # What is believed does not depend on the path, and so not on the generator either.
        return PreparedBelief(self, periods, span, truth, self._believed(np.random.default_rng(0), periods, span))

    def _believed(self, rng: np.random.Generator, periods: int, span: int) -> Sequence[DemandForecast]:
        """Return what is forecast whatever happens; two paths show whether anything else is."""
        if isinstance(self.belief, DemandForecast):
            return shift(self.belief.at_origin(-1), periods, span)
        forecasts = self.belief.scenario(aside(rng), 2, periods, span).forecasts  # type: ignore[union-attr]  # a model
        if forecasts is None or any(f.values.shape[1] > 1 for f in forecasts):
            raise FractileError(
                "belief must be a model whose forecasts do not depend on the path: they would belong to demand that "
                "did not happen; for a forecaster use ForecastDemand(truth, panel, mode='rolled', belief=forecaster)"
            )
        return forecasts


@dataclass(frozen=True, eq=False)
class PreparedBelief:
    """A belief apart from the truth, ready for many episodes: see `PreparedDemand`.

    Attributes:
        model: truth and belief.
        periods: length of the paths.
        span: periods ahead that each forecast reaches.
        truth: the prepared truth, or None where it offers nothing of the kind.
        believed: what is forecast whatever happens; None where the truth's forecasts are distorted.
    """

    model: Believed
    periods: int
    span: int
    truth: PreparedDemand | None
    believed: Sequence[DemandForecast] | None = None

    @property
    def forecasts(self) -> Sequence[DemandForecast] | None:
        """What policies see, one forecast a period of all items; None where it depends on the path."""
        distortion = self.model.belief
        if not isinstance(distortion, Distortion):
            return self.believed
        known = None if self.truth is None else self.truth.forecasts
        return None if known is None or distortion.noise > 0 else each_once(known, distortion.apply)

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each."""
        if self.truth is None:
            scenario = self.model.truth.episodes(rng, item, self.periods, self.span)
        else:
            scenario = self.truth.episodes(rng, item)
        if isinstance(self.model.belief, Distortion):
            return distort(scenario, self.model.belief, rng)
        nowhere = np.zeros(len(item), dtype=np.int64)
        forecasts = each_once(self.believed or (), lambda forecast: forecast.take(item, nowhere))
        return replace(scenario, forecasts=forecasts)


def distort(
    scenario: Scenario, distortion: Distortion, rng: np.random.Generator, item_ids: Sequence[str] | None = None
) -> Scenario:
    """Return the scenario with distorted forecasts; demand stays.

    Args:
        scenario: with forecasts.
        distortion: how.
        rng: where the noise comes from, beside what is drawn from it: later draws do not move. More items, paths or
            periods change nothing.
        item_ids: what the noise of each item is keyed by; "item 0", "item 1", … where None.

    Raises:
        FractileError: where the scenario has no forecasts.
    """
    if scenario.forecasts is None:
        raise FractileError("a distortion needs forecasts to distort: draw the scenario from a model that has them")
    if distortion.nothing:
        return scenario
    forecasts = scenario.forecasts
    normal = None
    if distortion.noise > 0:
        periods = scenario.periods
        normal = draw_by_item(
            int(aside(rng).integers(2**62)),
            item_ids or item_keys(scenario.items),
            scenario.paths,
            periods,
            lambda one, _, number: one.standard_normal((periods, number)),
        ).swapaxes(1, 2)

    shown = partial(_shown, forecasts, distortion, normal)
    if isinstance(forecasts, ForecastsOnPaths):
        return replace(scenario, forecasts=ForecastsOnPaths(shown, range(scenario.periods)))
    if normal is not None:
        return replace(scenario, forecasts=[shown(t) for t in range(scenario.periods)])
    return replace(scenario, forecasts=each_once(forecasts, distortion.apply))


def each_once(
    forecasts: Sequence[DemandForecast], change: Callable[[DemandForecast], DemandForecast]
) -> list[DemandForecast]:
    """Return changed forecasts, one a period; periods that share a forecast share what becomes of it."""
    different: list[tuple[DemandForecast, DemandForecast]] = []
    found = []
    for forecast in forecasts:
        # Periods that share a forecast follow each other, or come back with the season: there are few to look through.
        made = next((new for old, new in different if old is forecast), None)
        if made is None:
            made = change(forecast)
            different.append((forecast, made))
        found.append(made)
    return found


def _shown(
    forecasts: Sequence[DemandForecast], distortion: Distortion, normal: FloatArray | None, period: int
) -> DemandForecast:
    return distortion.apply(forecasts[period], None if normal is None else normal[:, :, period])


def aside(rng: np.random.Generator) -> np.random.Generator:
    """Return a generator for what must not move the draws that come from `rng`."""
    return rng.spawn(1)[0]


def shift(forecast: DemandForecast, periods: int, span: int) -> list[DemandForecast]:
    """Return one forecast's next `span` periods as seen from each period."""
    return [forecast.after(t).head(span) for t in range(periods)]
