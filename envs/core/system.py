"""What a system is to the rest of the package: its physics, its columns, and what its orders and its stock cost.

`System` is the whole list. A `Network` is one; the parameters of items become one through `period.system_of`, which
chooses by what they hold: plain stock (`ItemSystem`, below), stock that perishes, or items that share a capacity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Array, FloatArray, IntArray
from ...errors import FractileError
from .dynamics import step
from .params import ItemParams
from .types import InventoryState

SIMULATED = ("slots", "every_period", "salvage_value")
"""What a simulation reads of a system of a user's own, beside its `step`."""
COMPARED = ("holding_cost", "stockout_cost", "ordering_cost")
"""What the columns of a comparison read besides."""
OBSERVED = ("lead_time", "protection_interval", "critical_ratio", "pack_size", "ages", "capacity")
"""What the observations and actions of an environment read besides."""


class System(ABC):
    """One inventory system; by default an order a column, demand in every column, and stock that keeps.

    Columns are the items, or the locations of a network. `items` in the methods is the number of items of a demand
    model or scenario: systems that know their own columns ignore it.
    """

    @abstractmethod
    def step(self, state: Any, order: Array, demand: Array, arrivals: Array | None = None) -> tuple[Any, Any]:
        """Advance one period, without changing what is passed in: see `dynamics.step`.

        Args:
            state: what the period begins with.
            order: units requested, shape (paths, orders). [q]
            demand: units, shape (paths, columns). [D]
            arrivals: share of this order that arrives k periods later, shape (slots + 1, paths or 1, orders).

        Returns:
            The state that the next period begins with, and the outcome of this one.
        """

    @property
    @abstractmethod
    def slots(self) -> int:
        """Pipeline slots that are needed: the longest lead time."""

    @property
    def plain(self) -> bool:
        """Whether `dynamics.step` is all of the physics."""
        return False

    @property
    def horizon(self) -> int:
        """Periods ahead that forecasts must reach."""
        return self.slots + 1

    @property
    def demand_at(self) -> IntArray | None:
        """The columns where demand occurs; None = all."""
        return None

    @property
    def stock(self) -> ItemParams | None:
        """What stock in each column costs, and what becomes of unmet demand; None where only `step` knows it."""
        return None

    @property
    def transit_cost(self) -> Any:
        """Money per unit under way at a period's end, scalar or (columns,)."""
        return 0.0

    def columns(self, items: int) -> int:
        """Return the number of columns of stock."""
        return items

    def orders(self, items: int) -> int:
        """Return the number of orders in a period: one a column, or one a link."""
        return items

    def column_names(self, items: int) -> list[str]:
        """Return the name of each column."""
        return [f"item {i + 1}" for i in range(items)]

    def place(self, demand: Array) -> Array:
        """Spread demand (paths, periods, demands) over the columns, (paths, periods, columns)."""
        return demand

    def empty_state(self, paths: int, items: int, slots: int | None = None) -> Any:
        """Return nothing on hand and nothing under way.

        Args:
            paths: number of paths.
            items: see the class.
            slots: of the pipeline; the system's own where None.
        """
        return InventoryState.empty(paths, self.columns(items), self.slots if slots is None else slots)

    def fresh_state(self, net_inventory: Array, pipeline: Array) -> Any:
        """Return the state with this net inventory and pipeline; stock that ages is fresh."""
        return InventoryState(net_inventory, pipeline)

    def shipped_in(self, order: Array) -> Array:
        """Return the units that orders (..., orders) bring to each column, (..., columns)."""
        return order

    def shipped_out(self, order: Array) -> Array:
        """Return the units that orders (..., orders) take from each column, (..., columns)."""
        return 0.0 * order

    def order_costs(self, items: int) -> tuple[FloatArray, FloatArray]:
        """Return the fixed cost and the unit cost of each order of the first path, each (orders,)."""
        return np.zeros(self.orders(items)), np.zeros(self.orders(items))

    def orders_by_kind(self, order: FloatArray, column: int) -> dict[str, FloatArray]:
        """Return the orders (orders, periods) that go into a column by what they are called, each (periods,)."""
        return {"order": order[column]}


@dataclass(frozen=True, eq=False)
class ItemSystem(System):
    """Items whose stock keeps, each by itself.

    Attributes:
        params: lead times, costs and order rules of the items.
    """

    params: ItemParams

    def step(self, state: Any, order: Array, demand: Array, arrivals: Array | None = None) -> tuple[Any, Any]:
        """Advance one period: see `dynamics.step`."""
        return step(state, order, demand, self.params, arrivals)

    @property
    def slots(self) -> int:
        """The longest lead time."""
        return self.params.slots

    @property
    def plain(self) -> bool:
        """Whether stock keeps and nothing is shared."""
        return self.params.shelf_life is None and self.params.capacity is None

    @property
    def horizon(self) -> int:
        """The longest protection interval."""
        return int(np.max(self.params.protection_interval))

    @property
    def stock(self) -> ItemParams:
        """The parameters themselves."""
        return self.params

    def order_costs(self, items: int) -> tuple[FloatArray, FloatArray]:
        """Return the fixed cost and the unit cost of each item's order on the first path, each (items,)."""
        fixed, unit = (first_path(cost, items) for cost in (self.params.fixed_order_cost, self.params.unit_cost))
        return fixed, unit


@dataclass(frozen=True, eq=False)
class OwnSystem(System):
    """An object of a user's own with `step(state, order, demand, params, arrivals)` and `slots`.

    Attributes:
        own: the object; with `empty_state(paths, items)` where its state is not an `InventoryState`.
    """

    own: Any

    def step(self, state: Any, order: Array, demand: Array, arrivals: Array | None = None) -> tuple[Any, Any]:
        """Advance one period: the object's own `step`."""
        after, outcome = self.own.step(state, order, demand, self.own, arrivals)
        return after, outcome

    @property
    def slots(self) -> int:
        """The object's own."""
        return int(self.own.slots)

    @property
    def horizon(self) -> int:
        """The longest protection interval, where there is one."""
        return int(np.max(getattr(self.own, "protection_interval", self.slots + 1)))

    def empty_state(self, paths: int, items: int, slots: int | None = None) -> Any:
        """Return the object's own state with nothing in it."""
        if hasattr(self.own, "empty_state"):
            return self.own.empty_state(paths, items)
        return super().empty_state(paths, items, slots)

    def order_costs(self, items: int) -> tuple[FloatArray, FloatArray]:
        """Return the fixed cost and the unit cost of each order, zero where the object names none, each (items,)."""
        names = ("fixed_order_cost", "unit_cost")
        fixed, unit = (first_path(getattr(self.own, name, 0.0), items) for name in names)
        return fixed, unit


def first_path(value: Any, columns: int) -> FloatArray:
    """Return a parameter that broadcasts to (paths, columns) as the first path has it, shape (columns,)."""
    return np.broadcast_to(np.atleast_2d(np.asarray(value, dtype=np.float64))[0], (columns,))


def check_attributes(own: Any, names: Iterable[str], reader: str) -> None:
    """Refuse a system of a user's own that lacks attributes.

    Args:
        own: an object with `step`; parameters of items have all.
        names: of the attributes; `review_period` is asked for where not every period is one of review.
        reader: who reads them, for the message.

    Raises:
        FractileError: names all that are missing.
    """
    if isinstance(own, ItemParams):
        return
    wanted = [*names] if getattr(own, "every_period", True) else [*names, "review_period"]
    missing = [name for name in wanted if not hasattr(own, name)]
    if missing:
        raise FractileError(
            f"a {type(own).__name__} lacks {', '.join(missing)}, which {reader} reads; give the class these "
            "attributes: the page 'Add a system' says what each means"
        )


@contextmanager
def naming_what_lacks(own: Any, reader: str) -> Iterator[None]:
    """Turn the `AttributeError` of a system of a user's own into a message that says who read the attribute.

    Args:
        own: the object; errors of any other one stay as they are.
        reader: who is at work, for the message, e.g. the name of a policy.

    Raises:
        FractileError: where the object lacks what is read of it.
    """
    try:
        yield
    except AttributeError as error:
        if error.obj is not own or isinstance(own, ItemParams):
            raise
        raise FractileError(
            f"a {type(own).__name__} lacks {error.name}, which is read where {reader} orders for it; take a policy "
            "that does not read it, e.g. base_stock or one of your own, or give a system of your own the attribute"
        ) from error
