"""A small system as states and demands that can be listed: the same `step` as in simulations, on every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from ...envs.core.period import StockState, system_of
from ...envs.core.types import InventoryState, Observation
from ...envs.demand.distributions import IndependentDemand
from ...envs.systems.perishable import PerishableState
from ...errors import Faults, FractileError

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
    held = probability > 0
    return DemandPoints(units[held], probability[held] / probability.sum())


@dataclass(frozen=True, eq=False)
class SmallSystem:
    """One path of a system, with its states as rows of numbers.

    Attributes:
        demand: discrete and independent over periods, of the one item, or of the one location with demand.
        params: of one item, of a `Network` with demand at one location, or an object with `step`.

    Raises:
        FractileError: where the system is not of this kind.
    """

    demand: IndependentDemand
    params: Any

    def __post_init__(self) -> None:
        faults = Faults()
        where = system_of(self.params).demand_at
        sources = 1 if where is None else len(where)
        if sources != 1:
            faults.add(f"states can be listed with demand at one location, got {sources}: simulate instead")
        if np.any(np.asarray(self.params.review_period) != 1):
            faults.add(f"review_period must be 1 where states are listed, got {self.params.review_period}")
        faults.raise_if_any()

    @cached_property
    def points(self) -> DemandPoints:
        """What demand can be."""
        return demand_points(self.demand)

    def fractile(self, level: float, span: int = 1) -> int:
        """Return the fractile of demand over `span` periods, units."""
        return int(np.asarray(self.demand.quantile(level, span)).item())

    @cached_property
    def empty(self) -> StockState:
        """Nothing on hand, nothing under way; one path."""
        return system_of(self.params).empty_state(1, 1)

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
        return Observation(0, state.net_inventory, state.pipeline, self.params, self._forecast, stock)

    def advance(self, rows: FloatArray, order: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Let one period happen with every demand.

        Args:
            rows: states, shape (paths, width).
            order: units asked for, shape (paths, items or links).

        Returns:
            The states that follow, shape (paths · points, width), with the demands of a path side by side; and the
            expected cost of the period, money, shape (paths,).
        """
        units, probability = self.points
        system = system_of(self.params)
        demand = system.place(np.tile(units, len(rows))[:, None, None])[:, 0]
        state = self.state(np.repeat(rows, len(units), axis=0))
        after, outcome = system.step(state, np.repeat(order, len(units), axis=0), demand)
        cost = outcome.cost.sum(1).reshape(len(rows), len(units)) @ probability
        return self.rows(after), cost

    def receive(self, state: StockState) -> StockState:
        """Return the state once what is due has arrived: the period from there on is the same.

        Systems with a `step` of their own are left as they are.
        """
        if not len(state.pipeline) or system_of(self.params).stock is None:
            return state
        due = state.pipeline[:1]
        pipeline = np.concatenate([0.0 * due, state.pipeline[1:]])
        if isinstance(state, InventoryState):
            return InventoryState(state.net_inventory + due[0], pipeline)
        life = np.asarray(getattr(self.params, "shelf_life", None))
        fresh = np.arange(len(state.stock))[:, None, None] == life - 1
        return PerishableState(state.stock + fresh * due, pipeline, state.backorders)

    @cached_property
    def _forecast(self) -> Any:
        span = max(system_of(self.params).horizon, int(self.params.slots) + 1)
        return self.demand.forecast(span)
