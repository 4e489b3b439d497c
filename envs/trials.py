"""Calls of a step function with random inputs, for the checks of `conformance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import Array, FloatArray, IntArray
from ..errors import FractileError
from ..randomness import keyed_generator
from .core.params import ItemParams
from .core.slots import LooseSlots
from .core.system import columns_of, empty_state
from .core.types import InventoryState
from .networks.network import Network
from .networks.shapes import distribution, dual_sourcing, serial
from .systems.capacity import SharedCapacity
from .systems.perishable import PerishableState

PATHS, ITEMS, SLOTS = 12, 4, 3

StepFunction = Callable[..., tuple[Any, Any]]

ITEM_CASES: Mapping[str, ItemParams] = {
    "lost sales, no lead time": ItemParams(lead_time=0),
    "lost sales": ItemParams(lead_time=2, holding_cost=np.array([1.0, 2.0, 0.5, 1.0]), price=3.0),
    "backorders": ItemParams(lead_time=1, unmet_demand="backorder", fixed_order_cost=5.0, unit_cost=2.0),
    "partial backorders": ItemParams(lead_time=3, unmet_demand=np.array([0.0, 0.3, 0.8, 1.0]), price=2.0),
    "mixed lead times": ItemParams(lead_time=np.array([0, 1, 3, 2]), stockout_cost=np.array([4.0, 9.0, 19.0, 1.0])),
    "order rules": ItemParams(lead_time=1, pack_size=4.0, minimum_order=8.0, maximum_order=20.0),
}
"""Parameters of four items whose stock keeps."""

OTHER_CASES: Mapping[str, Any] = {
    "perishable, FIFO": ItemParams(lead_time=1, shelf_life=3, waste_cost=7.0, unit_cost=3.0),
    "perishable, LIFO": ItemParams(lead_time=2, shelf_life=2, waste_cost=7.0, issuing="lifo", pack_size=2.0),
    "perishable, mixed": ItemParams(
        lead_time=np.array([0, 1, 2, 1]), shelf_life=np.array([1, 2, 3, np.inf]), unmet_demand=0.5, price=2.0
    ),
    "shared capacity": ItemParams(
        lead_time=1, unmet_demand="backorder", capacity=SharedCapacity(20.0, use=np.array([1.0, 2.0, 0.5, 1.0]))
    ),
    "shared storage": ItemParams(
        lead_time=2, pack_size=2.0, minimum_order=4.0, capacity=SharedCapacity(60.0, limited="storage")
    ),
    "dual sourcing": dual_sourcing(regular_lead_time=3, items=2),
    "serial": serial((2, 0, 3), (0.1, 0.5, 1.0), 9.0, transit_cost=np.array([0.0, 0.1, 0.5])),
    "distribution": distribution(3, unmet_demand="lost", whole_units=True),
    "two warehouses, transshipment": distribution(3, warehouses=2, transshipment_cost=0.5, unmet_demand=0.5, price=2.0),
}
"""Parameters of every other system."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One call: a step function, its inputs, and what it says.

    Attributes:
        step: `(state, order, demand, params, arrivals) -> (state, outcome)`.
        name: of the case, for messages.
        state: a NamedTuple of arrays (..., paths, columns).
        order: units asked for, shape (paths, columns or links).
        demand: units, shape (paths, columns).
        params: of the system.
        arrivals: shape (slots + 1, paths, columns or links), or None.
    """

    step: StepFunction
    name: str
    state: Any
    order: Array
    demand: Array
    params: Any
    arrivals: Array | None = None

    def run(self) -> tuple[Any, Any]:
        """Call the step function; loose slots are put together."""
        after, outcome = self.step(self.state, self.order, self.demand, self.params, self.arrivals)
        return type(after)(*(x.stacked() if isinstance(x, LooseSlots) else x for x in after)), outcome

    @property
    def separable(self) -> bool:
        """Whether items do not meet, so that any of them can be simulated alone."""
        return isinstance(self.params, ItemParams) and self.params.capacity is None

    def converted(self, convert: Callable[[Array], Array]) -> Trial:
        """Return the call with other arrays."""
        state = type(self.state)(*map(convert, self.state))
        arrivals = None if self.arrivals is None else convert(self.arrivals)
        return replace(self, state=state, order=convert(self.order), demand=convert(self.demand), arrivals=arrivals)

    def paths(self, chosen: IntArray) -> Trial:
        """Return the call for these paths alone."""
        return self.converted(lambda x: x[..., chosen, :])

    def items(self, chosen: IntArray) -> Trial:
        """Return the call for these items alone, or in this order."""
        return replace(self.converted(lambda x: x[..., chosen]), params=self.params.select(chosen))

    def require(self, holds: bool, check: str, message: str) -> None:
        """Raise a `FractileError` where a check does not hold."""
        if not holds:
            raise FractileError(f"the step function fails the check {check!r} ({self.name}): {message}")

    def equal(self, got: Array, expected: Array, check: str, tolerance: float = 1e-9) -> None:
        """Raise a `FractileError` where arrays differ."""
        self.require(np.shape(got) == np.shape(expected), check, f"shapes {np.shape(got)} and {np.shape(expected)}")
        gap = np.abs(np.asarray(got) - np.asarray(expected))
        if gap.size and not gap.max() <= tolerance:
            worst = np.unravel_index(int(gap.argmax()), gap.shape)
            shown = f"expected {np.asarray(expected)[worst]:.9g}, got {np.asarray(got)[worst]:.9g}"
            self.require(False, check, f"{shown} at {tuple(int(i) for i in worst)}")

    def same(self, got: tuple[Any, Any], expected: tuple[Any, Any], check: str, tolerance: float) -> None:
        """Compare all of (state, outcome)."""
        names = (*type(expected[0])._fields, *type(expected[1])._fields)
        for name, a, b in zip(names, (*got[0], *got[1]), (*expected[0], *expected[1]), strict=True):
            self.equal(a, b, f"{check} ({name})", tolerance)


def trials(step: StepFunction, name: str, params: Any, seed: int) -> Iterator[Trial]:
    """Yield calls with random inputs: with constant lead times, and with arrivals as data."""
    known = isinstance(params, ItemParams | Network)
    for shares in (False, True) if known else (False,):
        yield _trial(step, f"{name}, arrivals as data" if shares else name, params, shares, seed)


def _trial(step: StepFunction, name: str, params: Any, shares: bool, seed: int) -> Trial:
    """Random inputs in whole units."""
    rng = keyed_generator(seed, "dynamics", name)
    columns, orders = columns_of(params, ITEMS)
    mixed = isinstance(params, ItemParams) and np.ndim(params.lead_time) > 0
    slots = max(SLOTS, params.slots) if shares or mixed else params.slots
    order = rng.integers(0, 15, (PATHS, orders)).astype(np.float64)
    demand = rng.integers(0, 12, (PATHS, columns)).astype(np.float64)
    if isinstance(params, Network):
        demand = demand * np.isin(np.arange(columns), np.asarray(params.demand_at))
    arrivals = rng.dirichlet(np.ones(slots + 2), order.shape).transpose(2, 0, 1)[: slots + 1] if shares else None
    trial = Trial(step, name, _state(rng, params, columns, slots), order, demand, params, arrivals)
    return trial if isinstance(params, ItemParams | Network) else _rolled(trial, rng)


def _state(rng: np.random.Generator, params: Any, columns: int, slots: int) -> Any:
    shape = (PATHS, columns)
    pipeline = rng.integers(0, 8, (slots, *shape)).astype(np.float64)
    if isinstance(params, ItemParams) and params.shelf_life is not None:
        life = np.broadcast_to(np.asarray(params.shelf_life), (columns,))
        alive = np.where(np.isfinite(life), np.arange(params.ages)[:, None, None] < life, False)
        alive[-1] |= ~np.isfinite(life)
        stock = rng.integers(0, 5, (params.ages, *shape)) * alive
        owed = rng.integers(0, 6, shape) * (np.broadcast_to(params.lost_share, (columns,)) < 1) * (stock.sum(0) == 0)
        return PerishableState(stock.astype(np.float64), pipeline, owed.astype(np.float64))
    if not isinstance(params, ItemParams | Network):
        return empty_state(params, PATHS, columns)
    lowest = np.where(np.broadcast_to(params.lost_share, (columns,)) < 1, -6, 0)
    if isinstance(params, Network):
        lowest = lowest * np.isin(np.arange(columns), np.asarray(params.demand_at))
    return InventoryState(rng.integers(lowest, 12, shape).astype(np.float64), pipeline)


def _rolled(trial: Trial, rng: np.random.Generator) -> Trial:
    """A system of a user's own: from nothing, a few periods of random orders and demand."""
    for _ in range(6):
        order: FloatArray = rng.integers(0, 15, trial.order.shape).astype(np.float64)
        demand: FloatArray = rng.integers(0, 12, trial.demand.shape).astype(np.float64)
        trial = replace(trial, state=trial.run()[0], order=order, demand=demand)
    return trial
