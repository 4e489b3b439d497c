"""Where episodes come from: a demand model, a scenario that was drawn before, items or locations taken together.

What all episodes of a source share is made once, when an environment is built (`prepare`): the forecasts, and what the
environment's encoder reads of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from ...arrays import IntArray
from ...errors import FractileError
from ...forecasters.demand_forecast import DemandForecast
from ..core.forecast_features import ForecastFeatures, ProtectionTotals, by_origin, distinct
from ..core.params import ItemParams
from ..core.period import system_of
from ..core.types import Scenario, with_protection_totals
from ..demand.model import DemandModel, PreparedDemand
from ..demand.sampled import as_demand_model
from .observation import Encoder, ForecastEncoder

if TYPE_CHECKING:
    from ..arrivals.models import ArrivalModel


class EpisodeSource(Protocol):
    """Where episodes come from: demand, what is forecast of it, and the parameters of its items."""

    @property
    def params(self) -> Any:
        """Lead times, costs and order rules of all items that episodes may hold; or the network."""
        ...

    @property
    def columns(self) -> int:
        """Items, or locations, that an episode holds."""
        ...

    @property
    def slots(self) -> int:
        """Pipeline slots that what is under way needs."""
        ...

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, Any]:
        """Draw episodes: a scenario of (paths, periods, columns) and the parameters of its columns."""


@runtime_checkable
class PreparableSource(EpisodeSource, Protocol):
    """A source that makes what all its episodes share once, for an environment."""

    def prepare(self, periods: int, encoder: Encoder) -> EpisodeSource:
        """Return the source of the same episodes, draw for draw, for scenarios of so many periods."""


@dataclass(frozen=True, eq=False)
class DemandSource:
    """Episodes drawn from a demand model; each holds one item, chosen at random.

    Attributes:
        model: where demand comes from; an object of your own needs `sample` alone.
        params: costs and lead times of the model's items.
        item: always this item; None = a random one for every episode.
        arrivals: lead times and deliveries as data; the parameters' constant lead times where None.
    """

    model: DemandModel
    params: ItemParams
    item: int | None = None
    arrivals: ArrivalModel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", as_demand_model(self.model))
        if self.item is not None and not 0 <= self.item < self.model.items:
            raise FractileError(f"item must be from 0 to {self.model.items - 1}, got {self.item}")

    @property
    def columns(self) -> int:
        """One item an episode."""
        return 1

    @property
    def slots(self) -> int:
        """The longest lead time, or the longest delay of the arrivals."""
        return self.params.slots if self.arrivals is None else self.arrivals.slots

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes."""
        item = self.choose(rng, paths)
        return self.complete(self.model.episodes(rng, item, periods, self.span), rng, item)

    def choose(self, rng: np.random.Generator, paths: int) -> IntArray:
        """Return the item of each episode, shape (paths,)."""
        return np.full(paths, self.item) if self.item is not None else rng.integers(0, self.model.items, paths)

    def complete(self, scenario: Scenario, rng: np.random.Generator, item: IntArray) -> tuple[Scenario, ItemParams]:
        """Return drawn demand with its arrivals, and the parameters of the items."""
        if self.arrivals is not None:
            scenario = replace(scenario, arrivals=self.arrivals.episodes(rng, item, scenario.periods))
        return scenario, self.params.per_path(item)

    @property
    def span(self) -> int:
        """Periods ahead that forecasts must reach: the longest protection interval."""
        return int(np.max(self.params.protection_interval))

    def prepare(self, periods: int, encoder: Encoder) -> EpisodeSource:
        """Make the forecasts of all items and periods, and the encoder's features of them, once.

        Args:
            periods: of the scenarios that will be drawn.
            encoder: what will read them.
        """
        prepare = getattr(self.model, "prepare", None)
        if prepare is None:
            return self
        demand: PreparedDemand = prepare(periods, self.span)
        table, forecasts = None, demand.forecasts
        if forecasts is not None and isinstance(encoder, ForecastEncoder):
            if self.item is not None:
                chosen = np.array([self.item])
                forecasts = [f.select(chosen) for f in forecasts]
            table = encoder.table(forecasts, self.params if self.item is None else self.params.select(chosen))
        return PreparedDemandSource(self, demand, periods, table)


@dataclass(frozen=True, eq=False)
class PreparedDemandSource:
    """A `DemandSource` whose forecasts of so many periods were made, and read by an encoder, once for all episodes.

    Attributes:
        source: where episodes come from.
        demand: its model with the forecasts of all items.
        periods: of every scenario.
        features: what the encoder reads of them, a table of all items (or of the source's only one); None where
            forecasts depend on the path.
    """

    source: DemandSource
    demand: PreparedDemand
    periods: int
    features: ForecastFeatures | None = None

    @property
    def params(self) -> ItemParams:
        """Costs and lead times of the model's items."""
        return self.source.params

    @property
    def columns(self) -> int:
        """One item an episode."""
        return self.source.columns

    @property
    def slots(self) -> int:
        """The longest lead time, or the longest delay of the arrivals."""
        return self.source.slots

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes, those that the source would draw."""
        if periods != self.periods:
            raise FractileError(f"episodes were prepared for {self.periods} periods, got {periods}; prepare them anew")
        item = self.source.choose(rng, paths)
        scenario = self.demand.episodes(rng, item)
        if self.features is not None:
            row = item if self.source.item is None else np.zeros_like(item)
            scenario = replace(scenario, features=self.features.per_path(row, scenario.forecasts))
        return self.source.complete(scenario, rng, item)


@dataclass(frozen=True, eq=False)
class JointSource:
    """Episodes that hold all items of a demand model together: a network, or items that share a capacity.

    Attributes:
        model: demand of the items, or of the network's locations with demand, in their order.
        params: of the items, or the network.
        arrivals: lead times and deliveries as data; the constant lead times where None.
    """

    model: DemandModel
    params: Any
    arrivals: ArrivalModel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", as_demand_model(self.model))
        where = system_of(self.params).demand_at
        if where is not None and len(where) != self.model.items:
            raise FractileError(
                f"demand must be of {len(where)} items, one for each location with demand, got {self.model.items}"
            )

    @property
    def columns(self) -> int:
        """All items, or locations."""
        return system_of(self.params).columns(self.model.items)

    @property
    def slots(self) -> int:
        """The longest lead time, or the longest delay of the arrivals."""
        return int(self.params.slots) if self.arrivals is None else self.arrivals.slots

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, Any]:
        """Draw episodes."""
        system = system_of(self.params)
        scenario = self.model.scenario(rng, paths, periods, system.horizon)
        scenario = replace(scenario, demand=system.place(scenario.demand))
        if self.arrivals is not None:
            orders = system.orders(scenario.items)
            scenario = replace(scenario, arrivals=self.arrivals.sample(rng, paths, periods, orders))
        return scenario, self.params

    def prepare(self, periods: int, encoder: Encoder) -> JointSource:  # noqa: ARG002  # any will do
        """Fit what the demand model fits to the past once for all episodes."""
        fitted = getattr(self.model, "fitted", None)
        return self if fitted is None else replace(self, model=fitted(periods, system_of(self.params).horizon))


@dataclass(frozen=True, eq=False)
class PoolSource:
    """Episodes cut from a scenario that was drawn before: a random path, item and starting period each.

    Attributes:
        scenario: demand (paths, periods, items) with forecasts.
        params: costs and lead times of its items.
    """

    scenario: Scenario
    params: ItemParams

    @property
    def columns(self) -> int:
        """One item an episode."""
        return 1

    @property
    def slots(self) -> int:
        """The longest lead time, or the longest delay of the scenario's arrivals."""
        return self.params.slots if self.scenario.arrivals is None else len(self.scenario.arrivals) - 1

    def draw(self, rng: np.random.Generator, paths: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Draw episodes; all of one call share their starting period."""
        if periods > self.scenario.periods:
            raise FractileError(f"episodes of {periods} periods do not fit a scenario of {self.scenario.periods}")
        start = int(rng.integers(0, self.scenario.periods - periods + 1))
        path, item = rng.integers(0, self.scenario.paths, paths), rng.integers(0, self.scenario.items, paths)
        return self.cut(path, item, start, periods)

    def prepare(self, periods: int, encoder: Encoder) -> PoolSource:  # noqa: ARG002  # any will do
        """Sum the forecasts over the protection intervals once: episodes pick theirs from these totals."""
        return replace(self, scenario=with_protection_totals(self.scenario, self.params))

    def cut(self, path: IntArray, item: IntArray, start: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Return the episodes of these paths and items, from a starting period on."""
        whole, params = self.scenario.window(start, start + periods), self.params.per_path(item)
        forecasts = _take_pairs(whole.forecasts or (), path, item)
        totals = whole.protection_totals
        if totals is not None:
            span = by_origin(params.protection_interval)
            totals = ProtectionTotals(forecasts, span, _take_pairs(totals.totals, path, item))
        arrivals = whole.arrivals
        if arrivals is not None:
            row = path if arrivals.shape[1] > 1 else np.zeros_like(path)
            # Paths and items are picked together, which numpy puts first.
            arrivals = np.moveaxis(arrivals[:, row, :, item], 0, 1)[..., None]
        demand = whole.demand[path, :, item][:, :, None]
        return Scenario(demand, forecasts, arrivals, protection_totals=totals), params


def _take_pairs(forecasts: Sequence[DemandForecast], path: IntArray, item: IntArray) -> list[DemandForecast]:
    """Return forecasts of these paths and items; periods that share a forecast share what is picked from it."""
    different, which = distinct(forecasts)
    nowhere = np.zeros_like(path)
    picked = [f.take(item, path if f.values.shape[1] > 1 else nowhere) for f in different]
    return [picked[k] for k in which]
