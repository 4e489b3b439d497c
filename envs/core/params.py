"""Lead times, costs and order rules of items, and what items share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from ...arrays import Array, FloatArray, IntArray
from ...errors import Faults, FractileError, InputError
from ...forecasters.data.rules import ITEM_RULES, MOST_NAMED, NumberRule, impossible_orders
from .backend import like, positive_part

Number = float | FloatArray

Limited = Literal["orders", "storage"]


@dataclass(frozen=True, eq=False)
class SharedCapacity:
    """A limit on what the orders of all items use together, `Σ aᵢ qᵢ ≤ C`.

    Attributes:
        limit: capacity in a period, its own unit; a number, or an array that broadcasts to (paths, 1). [C]
        use: capacity that a unit takes, scalar or (items,): hours, volume, or `unit_cost` where the limit is a
            budget. [a]
        limited: "orders": what is ordered in a period shares the limit (production, transport, budget). "storage":
            what is on hand and under way takes of it, too, so that stock never exceeds it, whatever demand does.
        curvature: money per unit², scalar or (items,): how much more each further unit costs that an item goes
            without. Orders that do not fit are cut where that costs least. For a newsvendor it is (h + b) times the
            density of demand at its level; then the multiplier is the capacity's price in money. [κ]

    Raises:
        FractileError: with every field that breaks its rule.
    """

    limit: Any
    use: Any = 1.0
    limited: Limited = "orders"
    curvature: Any = 1.0

    def __post_init__(self) -> None:
        faults = Faults()
        for name, rule in (("limit", ">= 0"), ("use", "> 0"), ("curvature", "> 0")):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            allowed = value >= 0 if name == "limit" else value > 0
            if not (allowed & np.isfinite(value)).all():
                faults.add(f"capacity.{name} must be finite and {rule}, got {getattr(self, name)}")
            object.__setattr__(self, name, value.item() if value.ndim == 0 else value)
        if self.limited not in ("orders", "storage"):
            faults.add(f"capacity.limited must be 'orders' or 'storage', got {self.limited!r}")
        faults.raise_if_any()

    def select(self, items: IntArray) -> SharedCapacity:
        """Return the capacity with the columns of some items; they share the same limit."""
        values = {name: getattr(self, name) for name in ("use", "curvature")}
        return replace(self, **{name: value[..., items] for name, value in values.items() if np.ndim(value)})

    def left(self, position: Array) -> Array:
        """Return what orders may use, shape (paths, 1).

        Args:
            position: units on hand and under way, shape (paths, items); it counts where storage is limited.
        """
        limit = like(np.asarray(self.limit, dtype=np.float64), position) + 0.0 * position[:, :1]
        if self.limited == "orders":
            return limit
        return positive_part(limit - (like(self.use, position) * positive_part(position)).sum(-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class ItemParams:
    """Lead times, costs and order rules; each a scalar or an array that broadcasts to (paths, items).

    Attributes:
        lead_time: periods from order to receipt, integers >= 0. [L]
        review_period: an order may be placed in periods 0, R, 2R, …; integers >= 1. [R]
        holding_cost: money per unit on hand at a period's end. [h]
        stockout_cost: money per unit short at a period's end. [b]
        fixed_order_cost: money per order placed. [K]
        unit_cost: money per unit ordered. [c]
        price: money per unit of demand that is accepted (sold at once or backordered); 0 where costs are
            minimised and the lost margin is in `stockout_cost`. [p]
        unmet_demand: "lost", "backorder", or the share of unmet demand that is lost, in [0, 1].
        pack_size: orders are multiples of it; None = any quantity. 1 = whole units.
        minimum_order: smallest order that is not zero; None = none.
        maximum_order: largest order; None or infinity = none.
        shelf_life: periods in which a unit can be sold, the one of its arrival included, integers >= 1, infinity for
            an item that keeps; None = no stock perishes. [m]
        waste_cost: money per unit that perishes. [w]
        issuing: "fifo", the oldest unit is sold first, or "lifo", the freshest.
        capacity: what all items share; None = nothing.
        discount: factor a period on later costs, in (0, 1].
        salvage_value: money back per unit on hand after the last period.
        slots: slots that the pipeline needs: the longest lead time (derived, as all below).
        one_lead_time: whether all items have the same lead time.
        lost_share: share of unmet demand that is lost: 1 for lost sales, 0 for backorders.
        every_period: whether all items may be ordered in every period.
        priced: whether accepted demand brings a price, for any item.
        order_rules: whether any of pack size, minimum and maximum order applies.
        order_range: the smallest order that is not zero and the largest one, units: the rules' own, in whole packs.
        order_charges: whether orders cost a fixed amount, and whether they cost by the unit, for any item.
        ages: slots that stock by remaining life needs: the longest shelf life that ends; 0 where nothing perishes.

    Raises:
        FractileError: with every field that breaks its rule.
    """

    lead_time: int | IntArray = 0
    review_period: int | IntArray = 1
    holding_cost: Number = 1.0
    stockout_cost: Number = 9.0
    fixed_order_cost: Number = 0.0
    unit_cost: Number = 0.0
    price: Number = 0.0
    unmet_demand: Literal["lost", "backorder"] | Number = "lost"
    pack_size: Number | None = None
    minimum_order: Number | None = None
    maximum_order: Number | None = None
    shelf_life: int | Number | IntArray | None = None
    discount: float = 1.0
    salvage_value: Number = 0.0
    waste_cost: Number = 0.0
    issuing: Literal["fifo", "lifo"] = "fifo"
    capacity: SharedCapacity | None = None
    # Derived once, in the constructor: `step` reads them in every period.
    slots: int = field(init=False, repr=False)
    one_lead_time: bool = field(init=False, repr=False)
    lost_share: Number = field(init=False, repr=False)
    every_period: bool = field(init=False, repr=False)
    priced: bool = field(init=False, repr=False)
    order_rules: bool = field(init=False, repr=False)
    order_range: tuple[Number, Number] = field(init=False, repr=False)
    order_charges: tuple[bool, bool] = field(init=False, repr=False)
    ages: int = field(init=False, repr=False)
    _one_hot: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        faults = Faults()
        for name, rule in ITEM_RULES.items():
            value = getattr(self, name)
            if value is not None or not rule.optional:
                object.__setattr__(self, name, _check_number(name, value, rule, faults))
        object.__setattr__(self, "unmet_demand", _check_unmet_demand(self.unmet_demand, faults))
        if self.issuing not in ("fifo", "lifo"):
            faults.add(f"issuing must be 'fifo' or 'lifo', got {self.issuing!r}")
        if self.capacity is not None and self.shelf_life is not None:
            faults.add("capacity and shelf_life exclude each other: leave one of them out")
        if not isinstance(self.discount, int | float | np.number) or not 0 < self.discount <= 1:
            faults.add(f"discount must lie in (0, 1], got {self.discount}; 1 means no discount")
        faults.raise_if_any()
        _check_spans(self)
        _check_order_rules(self)
        self._derive()
        _check_capacity(self)

    def _derive(self) -> None:
        named = {"lost": 1.0, "backorder": 0.0}
        share = named[self.unmet_demand] if isinstance(self.unmet_demand, str) else self.unmet_demand
        slots = int(np.max(self.lead_time))
        slot = np.arange(slots + 1).reshape(-1, *[1] * max(np.ndim(self.lead_time), 2))
        least = 0.0 if self.minimum_order is None else self.minimum_order
        most = np.inf if self.maximum_order is None else self.maximum_order
        if self.pack_size is not None:
            # A quantity that is whole packs but for rounding counts as whole packs.
            up, down = np.ceil(least / self.pack_size - 1e-9), np.floor(most / self.pack_size + 1e-9)
            least, most = _plain(up * self.pack_size), _plain(down * self.pack_size)
        life = np.asarray(np.nan if self.shelf_life is None else self.shelf_life, dtype=np.float64)
        derived = {
            "slots": slots,
            "one_lead_time": bool(np.min(self.lead_time) == slots),
            "lost_share": share,
            "every_period": bool(np.all(np.asarray(self.review_period) == 1)),
            "priced": bool(np.any(self.price)),
            "order_rules": any(x is not None for x in (self.pack_size, self.minimum_order, self.maximum_order)),
            "order_range": (least, most),
            "order_charges": (bool(np.any(self.fixed_order_cost)), bool(np.any(self.unit_cost))),
            "ages": 0 if self.shelf_life is None else int(np.max(life, where=np.isfinite(life), initial=1.0)),
            "_one_hot": (slot == np.asarray(self.lead_time)).astype(np.float64),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def critical_ratio(self) -> Number:
        """The share of periods in which demand should be met: b / (b + h).

        Raises:
            FractileError: where an item costs neither in stock nor short, so that there is no such share.
        """
        free = np.asarray((np.asarray(self.stockout_cost) == 0) & (np.asarray(self.holding_cost) == 0))
        if free.any():
            which = f" of item {int(np.argwhere(np.atleast_1d(free))[0][-1])}" if free.ndim else ""
            raise FractileError(
                f"the critical ratio b / (b + h){which} is not defined: holding_cost and stockout_cost are 0; give one"
            )
        return self.stockout_cost / (self.stockout_cost + self.holding_cost)

    @property
    def protection_interval(self) -> Any:
        """Periods of demand that an order must last for: L + R."""
        return self.lead_time + self.review_period

    def ordering_cost(self, order: FloatArray) -> FloatArray:
        """Return what orders cost, fixed and by the unit, money; of the shape of `order` (..., items)."""
        cost: FloatArray = self.fixed_order_cost * (order > 0) + self.unit_cost * order
        return cost

    def arrivals_into(self, slots: int) -> FloatArray | None:
        """Return one-hot arrivals (slots + 1, ..., items), or None where every order goes to the last slot."""
        if slots == self.slots and self.one_lead_time:
            return None
        if slots <= self.slots:
            return self._one_hot[: slots + 1]
        return np.concatenate([self._one_hot, np.zeros((slots - self.slots, *self._one_hot.shape[1:]))])

    def select(self, items: Array) -> ItemParams:
        """Return the parameters of some items; scalars stay scalars."""
        chosen = self._map(lambda array: array[..., items])
        return chosen if self.capacity is None else replace(chosen, capacity=self.capacity.select(items))

    def per_path(self, items: IntArray) -> ItemParams:
        """Return parameters for paths that hold one item each: shape (len(items), 1).

        Raises:
            FractileError: where items share a capacity: they have no episodes of their own.
        """
        if self.capacity is not None:
            raise FractileError("items that share a capacity are simulated together: episodes of one item need none")
        return self._map(lambda array: array[items, None])

    def as_numbers(self) -> ItemParams:
        """Return the parameters of a single item as plain numbers."""
        return self._map(lambda array: array.reshape(-1)[0].item())

    def _map(self, change: Callable[[Any], Any]) -> ItemParams:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        changed = {k: change(v) for k, v in values.items() if isinstance(v, np.ndarray)}
        if not changed:
            return self
        # What is picked from checked values breaks no rule: every episode would pay for checking it again.
        mapped = object.__new__(type(self))
        mapped.__dict__.update({**values, **changed})
        mapped._derive()
        return mapped


_IN_THE_MARGIN = ("price", "unit_cost")
"""Columns that a table of items sets through the stock-out cost, their difference."""


def params_from_items(items: Any, defaults: dict[str, Any] | None = None) -> ItemParams:
    """Return the parameters of a table of items, a row each.

    Args:
        items: a frame; the columns of `rules.ITEM_RULES` count. Where `stockout_cost` is missing, it is
            the lost margin, `price − unit_cost`.
        defaults: fields for columns, or single entries, that the table lacks.

    Raises:
        FractileError: with every field that breaks its rule, and items that can never be ordered by their `item_id`.
    """
    table = items.copy()
    if {"price", "unit_cost"} <= set(table.columns):
        margin = table["price"] - table["unit_cost"]
        table["stockout_cost"] = table["stockout_cost"].fillna(margin) if "stockout_cost" in table else margin
    values = dict(defaults or {})
    for name in ITEM_RULES:
        # The margin is in the stock-out cost: price and purchase are not charged a second time.
        if name in table.columns and name not in _IN_THE_MARGIN:
            column, default = table[name], values.get(name)
            if column.isna().all():
                values[name] = default
                continue
            # Entries that are missing mean the default; a limit that an item does not have is one that never binds.
            unlimited = {"maximum_order": np.inf, "minimum_order": 0.0, "shelf_life": np.inf}.get(name)
            filled = column.fillna(unlimited if default is None else default) if column.isna().any() else column
            values[name] = filled.to_numpy(dtype="float64")
    if "item_id" in table:  # here they can be called by their names
        rules = (values.get(name) for name in ("minimum_order", "maximum_order", "pack_size"))
        messages = impossible_orders([repr(name) for name in table["item_id"]], *rules)
        _raise_impossible([f"items: {message}" for _, message in messages])
    return ItemParams(**values)


def _plain(value: Any) -> Any:
    """Return a Python float where there is one number."""
    return float(value) if np.ndim(value) == 0 else value


def _check_number(name: str, value: Any, rule: NumberRule, faults: Faults) -> Any:
    """Return a Python number or a numpy array of the right type; keep a fault where the rule is broken."""
    try:
        array = np.asarray(np.nan if value is None else value, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        faults.add(f"{name} must be {rule.text}, got {value!r}")
        return value
    finite = np.isfinite(array)
    bad = ~np.where(finite, rule.holds(np.where(finite, array, rule.low + 1.0)), (array == np.inf) & rule.unlimited)
    if bad.any():
        worst = float(array[bad].flat[0])
        faults.add(f"{name} must be {rule.broken(worst)}, got {worst:g}; {rule.remedy}")
        return value
    array = array.astype(np.int64) if rule.whole and finite.all() else array
    return array.item() if array.ndim == 0 else array


def _check_unmet_demand(value: Any, faults: Faults) -> Any:
    if isinstance(value, str):
        if value not in ("lost", "backorder"):
            faults.add(f"unmet_demand must be 'lost', 'backorder' or a share in [0, 1], got {value!r}")
        return value
    share = _check_number("unmet_demand", value, NumberRule(0, "give the share that is lost, in [0, 1]"), faults)
    if np.any(np.asarray(share, dtype=np.float64) > 1):
        faults.add(f"unmet_demand as a share that is lost must be at most 1, got {value}")
    return share


MOST_PERIODS = 10_000
"""Periods beyond which a lead time is a misprint: the pipeline has a slot for each of them."""


def _check_spans(params: ItemParams) -> None:
    """Raise where a span has more periods than any item waits or lasts."""
    faults = Faults()
    for name in ("lead_time", "review_period", "shelf_life"):
        value = getattr(params, name)
        spans = np.asarray(0.0 if value is None else value, dtype=np.float64)
        longest = np.max(spans, where=np.isfinite(spans), initial=0.0)
        if longest > MOST_PERIODS:
            faults.add(f"{name} must be at most {MOST_PERIODS:,} periods, got {longest:g}; correct it")
    faults.raise_if_any()


def _check_order_rules(params: ItemParams) -> None:
    """Refuse limits, packs and a shared capacity that leave no order to place."""
    messages = impossible_orders(None, params.minimum_order, params.maximum_order, params.pack_size)
    _raise_impossible([message for _, message in messages])


def _check_capacity(params: ItemParams) -> None:
    """Refuse a shared capacity that not even an item's smallest order fits into."""
    if params.capacity is None or (params.pack_size is None and params.minimum_order is None):
        return
    least = np.asarray(params.order_range[0], dtype=np.float64)
    if params.pack_size is not None:
        least = np.maximum(least, params.pack_size)
    needed = np.atleast_2d(least * params.capacity.use).max(axis=0)
    most = float(np.max(params.capacity.limit))
    _raise_impossible(
        [
            f"item {at} can never be ordered: its smallest order takes {needed[at]:g} of the capacity {most:g}; "
            "correct capacity.limit, capacity.use, pack_size or minimum_order"
            for at in np.flatnonzero(needed > most + 1e-9)
        ]
    )


def _raise_impossible(messages: list[str]) -> None:
    """Raise an `InputError` that names the first items that can never be ordered and counts the rest."""
    if messages:
        more = len(messages) - MOST_NAMED
        raise InputError([*messages[:MOST_NAMED], *([f"{more:,} more items can never be ordered"] if more > 0 else [])])
