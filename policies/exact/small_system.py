"""Small systems as states and demands that can be listed; every transition is that of the system's own `step`.

Exact methods play one period from very many states with every demand at once: this is the one loop around `step` that
`roll` cannot serve, for it has no next period.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...envs.core.params import ItemParams
from ...envs.core.period import StockState, system_of
from ...envs.core.system import System
from ...envs.core.types import InventoryState, Observation
from ...envs.demand.independent import IndependentDemand
from ...envs.systems.perishable import PerishableState
from ...errors import Faults, FractileError
from ...forecasters.forecast import QuantileForecast
from ...randomness import keyed_generator
from ..base import fit_pipeline

TAIL = 1e-12
"""Probability of demand beyond the largest one that is listed."""


class DemandPoints(NamedTuple):
    """The demands of a period.

    Attributes:
        units: ascending, shape (points,).
        probability: of each, shape (points,); they sum to 1.
    """

    units: FloatArray
    probability: FloatArray

    @property
    def mean(self) -> float:
        """Of demand, units. [μ]"""
        return float(self.units @ self.probability)


def demand_points(demand: IndependentDemand, tail: float = TAIL) -> DemandPoints:
    """List what demand can be in a period.

    Args:
        demand: discrete, of one item.
        tail: probability beyond the largest demand of the list, which is spread over the list.

    Raises:
        FractileError: where demand is continuous, or of several items.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> points = demand_points(Poisson(5.0))
    >>> int(points.units[-1]), round(points.mean, 9)
    (27, 5.0)
    """
    if demand.items != 1 or not demand.discrete:
        raise FractileError(f"states can be listed for discrete demand of one item, not for {demand!r}")
    units = np.arange(float(np.asarray(demand.quantile(1.0 - tail)).item()) + 1.0)
    probability = np.asarray(demand.pmf(units), dtype=np.float64).reshape(-1)
    if len(probability) != len(units):
        raise FractileError(f"states can be listed where demand is the same in all periods, not for {demand!r}")
    possible = probability > 0
    return DemandPoints(units[possible], probability[possible] / probability.sum())


@dataclass(frozen=True, eq=False)
class SmallSystem:
    """One path of a system, with its states as rows of numbers.

    Attributes:
        demand: discrete and independent over periods, of the one item, or of the one location with demand.
        params: of one item, of a `Network` with demand at one location, or an object with `step`.
        system: its physics.
        points: what demand can be in a period.
        empty: nothing on hand, nothing under way; one path.
        forecast: the true distribution, as policies see it.

    Raises:
        FractileError: where the system is not of this kind.
    """

    demand: IndependentDemand
    params: Any  # a `System` says nothing of reviews and discounts; items, networks and own objects have them
    system: System = field(init=False, repr=False)
    points: DemandPoints = field(init=False)
    empty: StockState = field(init=False)
    forecast: QuantileForecast = field(init=False)

    def __post_init__(self) -> None:
        system, faults = system_of(self.params), Faults()
        sources = 1 if system.demand_at is None else len(system.demand_at)
        if sources != 1:
            faults.add(f"states can be listed with demand at one location, got {sources}: simulate instead")
        if np.any(np.asarray(self.params.review_period) != 1):
            faults.add(f"review_period must be 1 where states are listed, got {self.params.review_period}")
        faults.raise_if_any()
        object.__setattr__(self, "system", system)
        object.__setattr__(self, "points", demand_points(self.demand))
        object.__setattr__(self, "empty", system.empty_state(1, 1))
        object.__setattr__(self, "forecast", self.demand.forecast(max(system.horizon, system.slots + 1)))

    def fractile(self, level: float, span: int = 1) -> int:
        """Return the fractile of demand over `span` periods, units."""
        return int(np.asarray(self.demand.quantile(level, span)).item())

    @property
    def width(self) -> int:
        """Numbers in a state."""
        return sum(part.size for part in self.empty)

    def rows(self, state: StockState) -> FloatArray:
        """Return states as rows, shape (paths, width)."""
        paths = state.pipeline.shape[-2]
        return np.concatenate([np.moveaxis(part, -2, 0).reshape(paths, -1) for part in state], axis=1)

    def state(self, rows: FloatArray) -> StockState:
        """Return rows as states, a path each."""
        parts, first = [], 0
        for part in self.empty:
            shape = (len(rows), *part.shape[:-2], part.shape[-1])
            parts.append(np.moveaxis(rows[:, first : first + part.size].reshape(shape), 0, -2))
            first += part.size
        return type(self.empty)(*parts)

    def observe(self, state: StockState) -> Observation:
        """Return what a policy sees, with the true distribution as its forecast."""
        stock = state.stock if isinstance(state, PerishableState) else None
        return Observation(0, state.net_inventory, state.pipeline, self.params, self.forecast, stock)

    def observed(self, obs: Observation) -> StockState:
        """Return the state that an observation shows, in this system's pipeline slots (`fit_pipeline`)."""
        net, pipeline = np.asarray(obs.net_inventory), np.asarray(obs.pipeline)
        pipeline = fit_pipeline(pipeline, len(self.empty.pipeline))
        if obs.stock is None:
            return InventoryState(net, pipeline)
        stock = np.asarray(obs.stock)
        return PerishableState(stock, pipeline, stock.sum(0) - net)

    def advance(self, rows: FloatArray, order: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Let one period happen with every demand.

        Args:
            rows: states, shape (paths, width).
            order: units ordered, shape (paths, items or links).

        Returns:
            The states that follow, shape (paths · points, width), with the demands of a path side by side; and the
            expected cost of the period, money, shape (paths,).
        """
        units, probability = self.points
        demand = self.system.place(np.tile(units, len(rows))[:, None, None])[:, 0]
        state = self.state(np.repeat(rows, len(units), axis=0))
        after, outcome = self.system.step(state, np.repeat(order, len(units), axis=0), demand)
        cost = outcome.cost.sum(1).reshape(len(rows), len(units)) @ probability
        return self.rows(after), cost

    def receive(self, state: StockState) -> StockState:
        """Return the state once what is due has arrived: the period from there on is the same.

        Systems with a `step` of their own are left as they are.
        """
        if not len(state.pipeline) or self.system.stock is None:
            return state
        due = state.pipeline[:1]
        pipeline = np.concatenate([0.0 * due, state.pipeline[1:]])
        if isinstance(state, InventoryState):
            return InventoryState(state.net_inventory + due[0], pipeline)
        life = np.asarray(getattr(self.params, "shelf_life", None))
        fresh = np.arange(len(state.stock))[:, None, None] == life - 1
        return PerishableState(state.stock + fresh * due, pipeline, state.backorders)


GRID = 2.0**20
"""Numbers count as equal when they agree to a millionth."""

UNKNOWN = -1
"""The index of a row that the table does not hold."""


class RowTable:
    """Distinct rows in the order in which they came; rows that are given again get their old index.

    Rows are found by a random 64-bit fingerprint, the same in every run. Two different rows share one with
    probability n² / 2⁶⁵ among n rows: once in a hundred thousand tables of twenty million rows.

    Args:
        width: numbers a row.

    >>> table = RowTable(2)
    >>> table.add(np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 2.0]])).tolist(), len(table)
    ([0, 1, 0], 2)
    >>> table.find(np.array([[0.0, 3.0], [5.0, 5.0]])).tolist()
    [1, -1]
    """

    def __init__(self, width: int) -> None:
        self._weights = keyed_generator(0, "rows").integers(1, 2**63, width, dtype=np.uint64)
        self._parts: list[FloatArray] = [np.empty((0, width))]
        # Fingerprints in ascending order, and the index of each.
        self._marks: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._indices: IntArray = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def rows(self) -> FloatArray:
        """All rows, by index, shape (rows, width)."""
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def find(self, rows: FloatArray) -> IntArray:
        """Return the index of each row, `UNKNOWN` where the table does not hold it."""
        return self._lookup(self._fingerprints(rows))

    def add(self, rows: FloatArray) -> IntArray:
        """Take in the rows that are new, in their order, and return the index of each."""
        marks, first, inverse = np.unique(self._fingerprints(rows), return_index=True, return_inverse=True)
        index = self._lookup(marks)
        new = np.flatnonzero(index == UNKNOWN)
        new = new[np.argsort(first[new])]
        index[new] = len(self) + np.arange(len(new))
        self._parts.append(rows[first[new]])
        order = np.argsort(marks[new])
        place = np.searchsorted(self._marks, marks[new][order])
        self._marks = np.insert(self._marks, place, marks[new][order])
        self._indices = np.insert(self._indices, place, index[new][order])
        return index[inverse.reshape(-1)]

    def _fingerprints(self, rows: FloatArray) -> NDArray[np.uint64]:
        whole = np.rint(rows * GRID).astype(np.int64).view(np.uint64)
        mark = np.zeros(len(rows), dtype=np.uint64)
        for column, weight in zip(whole.T, self._weights, strict=True):
            mark += column * weight  # wraps around, as it should
        return mark

    def _lookup(self, marks: NDArray[np.uint64]) -> IntArray:
        if not len(self):
            return np.full(len(marks), UNKNOWN)
        place = np.searchsorted(self._marks, marks).clip(0, len(self) - 1)
        return np.where(self._marks[place] == marks, self._indices[place], UNKNOWN)


ONE_ITEM_TAIL = 1e-13
"""Probability of demand beyond what the methods for one item list."""

DISCRETE_ITEM = "discrete demand of one item, independent over periods: Poisson, NegativeBinomial, Geometric, …"
"""What `is_discrete_item` requires, in messages."""


def fractile(demand: IndependentDemand, level: float, span: int) -> int:
    """Return the fractile of demand over `span` periods, units."""
    return int(np.asarray(demand.quantile(level, span)).item())


def number(value: Any) -> float:
    """Return a parameter of one item as a number; None, which is no rule, as 0."""
    return 0.0 if value is None else float(np.asarray(value).item())


def mean_of(demand: IndependentDemand) -> float:
    """Return mean demand a period of one item, units. [μ]"""
    return number(demand.distribution().mean())


def is_discrete_item(demand: Any) -> bool:
    """Whether demand is independent over periods, in whole units, and of one item with a constant distribution."""
    return isinstance(demand, IndependentDemand) and demand.discrete and np.size(demand.distribution().mean()) == 1


def check_one_item(params: ItemParams, name: str) -> None:
    """Raise a `FractileError` where a parameter has more than one value."""
    several = [f.name for f in fields(params) if f.init and np.size(getattr(params, f.name)) > 1]
    if several:
        raise FractileError(f"{name} is for one item: give one constant {several[0].replace('_', ' ')}")
