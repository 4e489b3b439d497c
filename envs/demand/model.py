"""What every demand model offers, how its paths are keyed, and the simplest model: the history itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...forecasters.censoring import draw_demand
from ...forecasters.data.panel import SalesPanel
from ...forecasters.demand_forecast import DemandForecast
from ...randomness import draw_by_item, keyed_generator
from ..core.types import Scenario
from .sampled import Samples, as_demand_model


class DemandModel(Protocol):
    """Anything that demand can be drawn from.

    What `sample` and `scenario` draw depends on the generator's state, on the item and on the path, and comes period by
    period: more items, more paths and more periods change nothing of what is drawn without them. Items are known by
    their ids, or, where they have none, by their positions; those may be added after the last one. An item's draws may
    depend on items before it where demand of items moves together. (`Replay` says what it does instead.) Of `episodes`
    it is said alone that the same generator and the same arguments give the same.
    """

    @property
    def items(self) -> int:
        """Number of items."""

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw demand, units, shape (paths, periods, items)."""

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:
        """Draw demand together with the forecasts that policies may see, each `span` periods ahead."""

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:
        """Draw paths that hold one item each: `item` says which, shape (paths,)."""


class PreparedDemand(Protocol):
    """A demand model that is ready for many episodes of so many periods: what `prepare(periods, span)` returns.

    A model may offer `prepare`; episodes of the prepared model equal `model.episodes(rng, item, periods, span)`, draw
    for draw, without making the forecasts again.
    """

    @property
    def forecasts(self) -> Sequence[DemandForecast] | None:
        """What policies see: one forecast a period, of all items; None where forecasts depend on the path."""

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw paths that hold one item each: `item` says which, shape (paths,)."""


@dataclass(frozen=True, eq=False)
class EpisodeForecasts(Sequence[DemandForecast]):
    """Forecasts of paths that hold one item each, picked from those of all items as they are read.

    An environment whose encoder was prepared reads few of them.

    Attributes:
        whole: one forecast a period, of all items, of one origin.
        item: which item each path holds, shape (paths,).
    """

    whole: Sequence[DemandForecast]
    item: IntArray

    def __len__(self) -> int:
        return len(self.whole)

    @overload
    def __getitem__(self, index: int) -> DemandForecast: ...
    @overload
    def __getitem__(self, index: slice) -> EpisodeForecasts: ...
    def __getitem__(self, index: int | slice) -> DemandForecast | EpisodeForecasts:
        if isinstance(index, slice):
            return EpisodeForecasts(self.whole[index], self.item)
        return self.whole[index].take(self.item, np.zeros(len(self.item), dtype=np.int64))


def draw_scenario(model: DemandModel | Samples, seed: int, paths: int, periods: int, span: int = 1) -> Scenario:
    """Draw a scenario that is keyed by its seed.

    The same seed gives the same demand; more items, more paths and more periods change nothing of it: see
    `DemandModel`.

    Args:
        model: where demand comes from; an object of your own needs `sample(rng, paths, periods)` alone.
        seed: integer >= 0.
        paths: number of demand paths.
        periods: number of periods.
        span: periods ahead that each forecast reaches; at least the longest protection interval.
    """
    scenario: Scenario = as_demand_model(model).scenario(keyed_generator(seed, "demand"), paths, periods, span)
    return scenario


def take_root(rng: np.random.Generator) -> int:
    """Return the number that all keys of a scenario begin with: all that demand models take from a generator.

    Whatever is drawn from the generator later is the same then, however much was drawn before.
    """
    return int(rng.integers(2**62))


def paths_first(drawn: FloatArray) -> FloatArray:
    """Return draws (items, periods, paths) as (paths, periods, items); each period's lie together in memory."""
    return np.ascontiguousarray(np.moveaxis(drawn, 0, 2)).swapaxes(0, 1)


@dataclass(frozen=True, eq=False)
class Replay:
    """Demand as it was: the history itself, from random starting periods.

    Where an item was out of stock its sales are a lower bound of demand: a draw above them stands in (`uncensored`).

    Attributes:
        panel: the history.
    """

    panel: SalesPanel

    @property
    def items(self) -> int:
        """Number of items."""
        return self.panel.items

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw windows of the history, units, shape (paths, periods, items); items keep their common weeks.

        More paths or other items change no window. With more periods, windows that still fit into the history stay
        where they are; the others have to start elsewhere.
        """
        latest = self._latest(periods)
        # Each path ranks all periods, and starts at the one of lowest rank from which its window fits.
        (start,) = draw_by_item(
            take_root(rng),
            ["start"],
            paths,
            1,
            lambda block, _, n: block.random((self.panel.periods, n))[: latest + 1].argmin(0)[None],
        )
        return uncensored(self.panel).T[start.T.astype(np.int64) + np.arange(periods)]

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:  # noqa: ARG002
        """Draw windows of the history; nothing is forecast."""
        return Scenario(self.sample(rng, paths, periods))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:  # noqa: ARG002
        """Draw windows of single items: see `ForecastDemand.episodes`."""
        return self.prepare(periods, 1).episodes(rng, item)

    def prepare(self, periods: int, span: int) -> PreparedReplay:  # noqa: ARG002
        """Draw what stands in for stock-outs once, for all episodes of an environment."""
        return PreparedReplay(uncensored(self.panel), periods, self._latest(periods))

    def _latest(self, periods: int) -> int:
        """The last period that a window may start at."""
        latest = self.panel.periods - periods
        if latest < 0:
            raise FractileError(f"the history has {self.panel.periods} periods, {periods} are needed; replay fewer")
        return latest


@dataclass(frozen=True, eq=False)
class PreparedReplay:
    """A `Replay` whose demand was made once for all episodes.

    Attributes:
        demand: of the history, units, shape (items, periods).
        periods: length of the paths.
        latest: the last period that a window may start at.
    """

    demand: FloatArray
    periods: int
    latest: int

    @property
    def forecasts(self) -> None:
        """Nothing is forecast."""
        return

    def episodes(self, rng: np.random.Generator, item: IntArray) -> Scenario:
        """Draw windows of single items: see `ForecastDemand.episodes`."""
        start = rng.integers(0, self.latest + 1, len(item))
        return Scenario(self.demand[item[:, None], start[:, None] + np.arange(self.periods), None])


def uncensored(panel: SalesPanel, seed: int = 0) -> FloatArray:
    """Return demand as the history tells it, units, shape (items, periods).

    Where a listed item was out of stock, a draw of D | D >= sales stands in (`forecasters.censoring.draw_demand`), the
    same at every call with the same seed: with what was sold last in its place, whoever forecasts demand as it was
    would seem to forecast too much. What stands in comes from the past, so that demand in t holds nothing of later
    periods; before an item's first period in stock it is what was sold then, or there.
    """
    drawn = draw_demand(panel, seed=seed)
    first = np.argmax(panel.informative, axis=1)[:, None]
    start = np.maximum(panel.sales, np.take_along_axis(panel.sales, first, axis=1))
    return np.where(panel.listed, np.where(drawn.in_stock, drawn.sales, start), 0.0)


def require(model: Any, *, same_items: bool = True, **rules: str) -> None:
    """Check parameters of a demand model, all of them at once.

    Args:
        model: a dataclass with the fields named.
        same_items: whether their last axes must fit each other.
        **rules: for each field "positive", or the interval of its numbers: "(-1, 1)", "[0, inf)".

    Raises:
        FractileError: names every field that breaks its rule, with its value.
    """
    faults, lengths = Faults(), {}
    for name, rule in rules.items():
        value = getattr(model, name)
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            faults.add(f"{name} of demand must be a number, or one an item, got {value!r}")
            continue
        lengths[name] = array.shape[-1] if array.ndim else 1
        low, high = (0.0, np.inf) if rule == "positive" else map(float, rule.strip("([])").split(","))
        inside = (array >= low if rule.startswith("[") else array > low) & (array < high) & np.isfinite(array)
        if not (array.size and inside.all()):
            wanted = "a finite number above 0" if rule == "positive" else f"a number in {rule}"
            faults.add(f"{name} of demand must be {wanted}, got {value}")
    if same_items and len({*lengths.values()} - {1}) > 1:
        counts = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        faults.add(f"{' and '.join(lengths)} of demand must be of the same items, got {counts}")
    faults.raise_if_any()
