"""Where episodes come from: a demand model, a scenario that was drawn before, items or locations taken together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...arrays import IntArray
from ...errors import FractileError
from ...forecasters.forecast import (
    QuantileForecast,
)
from ..core.params import ItemParams
from ..core.period import system_of
from ..core.types import Scenario
from ..demand.distributions import DemandModel

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


@dataclass(frozen=True, eq=False)
class DemandSource:
    """Episodes drawn from a demand model; each holds one item, chosen at random.

    Attributes:
        model: where demand comes from.
        params: costs and lead times of the model's items.
        item: always this item; None = a random one for every episode.
        arrivals: lead times and deliveries as data; the parameters' constant lead times where None.
    """

    model: DemandModel
    params: ItemParams
    item: int | None = None
    arrivals: ArrivalModel | None = None

    def __post_init__(self) -> None:
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
        item = np.full(paths, self.item) if self.item is not None else rng.integers(0, self.model.items, paths)
        span = int(np.max(self.params.protection_interval))
        scenario = self.model.episodes(rng, item, periods, span)
        if self.arrivals is not None:
            scenario = replace(scenario, arrivals=self.arrivals.episodes(rng, item, periods))
        return scenario, self.params.per_path(item)


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

    def cut(self, path: IntArray, item: IntArray, start: int, periods: int) -> tuple[Scenario, ItemParams]:
        """Return the episodes of these paths and items, from a starting period on."""
        demand = self.scenario.demand[path, start : start + periods, item][:, :, None]
        forecasts = [_rows(f, path, item) for f in (self.scenario.forecasts or ())[start : start + periods]]
        arrivals = self.scenario.arrivals
        if arrivals is not None:
            row = path if arrivals.shape[1] > 1 else np.zeros_like(path)
            # Paths and items are picked together, which numpy puts first.
            arrivals = np.moveaxis(arrivals[:, row, start : start + periods, item], 0, 1)[..., None]
        return Scenario(demand, forecasts=forecasts, arrivals=arrivals), self.params.per_path(item)


def _rows(forecast: QuantileForecast, path: IntArray, item: IntArray) -> QuantileForecast:
    return forecast.take(item, path if forecast.values.shape[1] > 1 else np.zeros_like(path))
