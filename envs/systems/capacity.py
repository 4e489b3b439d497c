"""What items share: a production capacity, a budget or a store room, and the orders that fit into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...arrays import Array, FloatArray, IntArray
from ...errors import Faults
from ..core.backend import (
    cumulative,
    largest,
    like,
    positive_part,
    sorted_descending,
)

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
        curvature: money per unit², scalar or (items,): how much dearer each further unit is that an item goes
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
        chosen = {name: _columns(getattr(self, name), items) for name in ("use", "curvature")}
        return replace(self, **chosen)

    def left(self, position: Array) -> Array:
        """Return what orders may use, shape (paths, 1).

        Args:
            position: units on hand and under way, shape (paths, items); it counts where storage is limited.
        """
        limit = like(np.asarray(self.limit, dtype=np.float64), position) + 0.0 * position[:, :1]
        if self.limited == "orders":
            return limit
        return positive_part(limit - (like(self.use, position) * positive_part(position)).sum(-1, keepdims=True))


def project_orders(order: Array, position: Array, capacity: SharedCapacity) -> tuple[Array, Array]:
    """Return the nearest orders that fit, and the capacity's price.

    They solve `min Σ κᵢ/2 (qᵢ − q̂ᵢ)²` subject to `Σ aᵢ qᵢ ≤ C` and `q ≥ 0`: with the multiplier λ,
    `qᵢ = max(q̂ᵢ − λ aᵢ/κᵢ, 0)`. Sorted by `q̂ᵢ κᵢ/aᵢ`, the price at which an item would order nothing, λ is the
    largest of `(Σ_{i≤k} aᵢ q̂ᵢ − C) / Σ_{i≤k} aᵢ²/κᵢ` over k, and zero where the orders fit as they are.

    Args:
        order: units asked for, shape (paths, items), >= 0. [q̂]
        position: units on hand and under way, shape (paths, items).
        capacity: what the items share.

    Returns:
        orders, shape (paths, items), and the multiplier, money per unit of capacity, shape (paths, 1). [λ]

    >>> orders, price = project_orders(np.array([[4.0, 2.0]]), np.zeros((1, 2)), SharedCapacity(4.0))
    >>> orders.tolist(), price.item()
    ([[3.0, 1.0]], 1.0)
    """
    use, curvature = (like(_spread(x, order), order) for x in (capacity.use, capacity.curvature))
    needed, cut = use * order, use * use / curvature
    price_of_none = order * curvature / use
    needed, cut = sorted_descending(price_of_none, [needed + 0.0 * price_of_none, cut + 0.0 * price_of_none])
    excess = cumulative(needed) - capacity.left(position)
    price = positive_part(largest(excess / cumulative(cut)))
    return positive_part(order - price * use / curvature), price


def _spread(value: Any, order: Array) -> FloatArray:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (1, order.shape[-1])).copy()


def _columns(value: Any, items: IntArray) -> Any:
    return value if np.ndim(value) == 0 else np.asarray(value)[..., items]
