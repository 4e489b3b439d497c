"""Belief apart from truth: policies that see other quantiles than demand is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...forecasters.forecast import (
    QuantileForecast,
)
from ...randomness import keyed_generator
from ..core.types import Scenario
from .distorted_forecast import DistortedForecast
from .distribution_forecast import ForecastsOnPaths
from .model import DemandModel


@dataclass(frozen=True)
class Distortion:
    """A way of being wrong about demand, on purpose.

    The quantile q with median m becomes `(1 + bias) · exp(noise · z − ½ noise²) · max(m + spread · (q − m), 0)`.

    Attributes:
        bias: share by which demand is overstated, > −1; 0 = none. 0.2 shows 20 % too much.
        spread: factor on the distance of quantiles from the median, >= 0; below 1 = too sure, above 1 = too unsure.
        noise: standard deviation of the logarithm of a factor of mean one, z drawn anew for each item, path and
            period; 0 = none. Policies that meet the same scenario see the same noise.

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

    def apply(self, forecast: QuantileForecast, normal: FloatArray | None = None) -> QuantileForecast:
        """Distort a forecast.

        Args:
            forecast: values (items, origins, horizon, Q).
            normal: standard normal draws behind the noise, shape (items, origins or paths); none = no noise. [z]

        Returns:
            The forecast itself where nothing is distorted.
        """
        if self.nothing:
            return forecast
        noise = np.ones((1, 1)) if normal is None else np.exp(self.noise * normal - 0.5 * self.noise**2)
        return DistortedForecast.of(forecast, self.spread, (1.0 + self.bias) * noise)


@dataclass(frozen=True, eq=False)
class Believed:
    """Demand from one model, forecasts from another: what it costs to believe something else than the truth.

    Attributes:
        truth: where demand comes from.
        belief: where forecasts come from: another demand model whose forecasts do not depend on what happens (a
            distribution, or a `ForecastDemand` in mode "fixed"), one QuantileForecast, or a `Distortion` of the
            truth's.

    >>> from fractile import Poisson, draw_scenario
    >>> model = Believed(Poisson(5.0), Distortion(bias=0.2))
    >>> float(draw_scenario(model, 0, 1, 1).forecast(0).mean().item())
    6.0
    """

    truth: DemandModel
    belief: DemandModel | QuantileForecast | Distortion

    def __post_init__(self) -> None:
        if isinstance(self.belief, Distortion):
            return
        items = len(self.belief.values) if isinstance(self.belief, QuantileForecast) else self.belief.items
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
            return distorted(scenario, self.belief, rng)
        return replace(scenario, forecasts=self._believed(rng, periods, span))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: see `ForecastDemand.episodes`."""
        scenario = self.truth.episodes(rng, item, periods, span)
        if isinstance(self.belief, Distortion):
            return distorted(scenario, self.belief, rng)
        nowhere = np.zeros(len(item), dtype=np.int64)
        return replace(scenario, forecasts=[f.take(item, nowhere) for f in self._believed(rng, periods, span)])

    def _believed(self, rng: np.random.Generator, periods: int, span: int) -> Sequence[QuantileForecast]:
        """Return what is forecast whatever happens; two paths show whether anything else is."""
        if isinstance(self.belief, QuantileForecast):
            return shifted(self.belief.at_origin(-1), periods, span)
        forecasts = self.belief.scenario(aside(rng), 2, periods, span).forecasts  # type: ignore[union-attr]  # a model
        if forecasts is None or any(f.values.shape[1] > 1 for f in forecasts):
            raise FractileError(
                "belief must be a model whose forecasts do not depend on the path: they would belong to demand that "
                "did not happen; for a forecaster use ForecastDemand(truth, panel, mode='rolled', belief=forecaster)"
            )
        return forecasts


def distorted(
    scenario: Scenario, distortion: Distortion, rng: np.random.Generator, item_ids: Sequence[str] | None = None
) -> Scenario:
    """Return the scenario with distorted forecasts; demand stays.

    Args:
        scenario: with forecasts.
        distortion: how.
        rng: where the noise comes from, beside what is drawn from it: later draws do not move. The first paths are
            the same however many follow.
        item_ids: what the noise of each item is keyed by; "item 0", "item 1", … where None.

    Raises:
        FractileError: where the scenario has no forecasts.
    """
    if scenario.forecasts is None:
        raise FractileError("a distortion needs forecasts to distort: draw the scenario from a model that has them")
    if distortion.nothing:
        return scenario
    forecasts = scenario.forecasts
    normal = _noise(scenario, rng, item_ids) if distortion.noise > 0 else None

    def shown(period: int) -> QuantileForecast:
        return distortion.apply(forecasts[period], None if normal is None else normal[:, :, period])

    if isinstance(forecasts, ForecastsOnPaths):
        return replace(scenario, forecasts=ForecastsOnPaths(shown, range(scenario.periods)))
    if normal is not None:
        return replace(scenario, forecasts=[shown(t) for t in range(scenario.periods)])
    # Forecasts that are one object stay one: what was computed of it is kept.
    once = {id(f): distortion.apply(f) for f in {id(f): f for f in forecasts}.values()}
    return replace(scenario, forecasts=[once[id(f)] for f in forecasts])


def _noise(scenario: Scenario, rng: np.random.Generator, item_ids: Sequence[str] | None) -> FloatArray:
    """Standard normal draws, shape (items, paths, periods)."""
    root = int(aside(rng).integers(2**62))
    names = item_ids or [f"item {i}" for i in range(scenario.items)]
    shape = (scenario.paths, scenario.periods)
    return np.stack([keyed_generator(root, "belief", name).standard_normal(shape) for name in names])


def aside(rng: np.random.Generator) -> np.random.Generator:
    """Return a generator for what must not move the draws that come from `rng`."""
    return rng.spawn(1)[0]


def shifted(forecast: QuantileForecast, periods: int, span: int) -> list[QuantileForecast]:
    """Return what one forecast says in each period of the `span` periods from then on."""
    return [forecast.after(t).head(span) for t in range(periods)]
