"""Whole orders for demand that is known, under packs, minimum and maximum orders: dynamic programming over stock.

Once the last of the old orders has arrived, every unit that comes was ordered by the plan, and the order of period
t − L arrives in t: lot sizing without a lead time. With V the cost to go over net inventory x,

    V_t(x) = min(G_t(x), K + min{G_t(x + q): q whole packs, minimum <= q <= maximum})
    G_t(y) = h·max(y − D_t, 0) + b·max(D_t − y, 0) + V_{t+1}(y − D_t, or its positive part where demand is lost)

The inner minimum runs over suffixes (windows, where there is a maximum) of every pack-th state, so that a period costs
as much as there are states. No plan gains by stock beyond all demand to come, the smallest order and a pack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import minimum_filter1d

from ...arrays import BoolArray, FloatArray, IntArray

MEMORY = 8_000_000
"""Numbers that one block of series may hold at once."""
MOST_STATES = 40_000
"""Levels of stock from which on a series is left to the relaxation."""


@dataclass(frozen=True)
class LotRules:
    """What one order may be and cost; whole numbers of units.

    Attributes:
        lead_time: periods. [L]
        review: periods between orders. [R]
        holding: money per unit on hand at a period's end. [h]
        stockout: money per unit short at a period's end. [b]
        lost: whether unmet demand is lost; else it waits.
        fixed: money per order. [K]
        pack: units in a pack.
        least: the smallest order that is not zero, whole packs.
        most: the largest order, whole packs; infinity is no limit.
    """

    lead_time: int
    review: int
    holding: float
    stockout: float
    lost: bool
    fixed: float
    pack: int
    least: int
    most: float


def states_needed(net: FloatArray, arriving: FloatArray, demand: FloatArray, rules: LotRules) -> IntArray:
    """Return the levels of stock that the plan of each series moves among, shape (n,)."""
    top, bottom = _range(net, arriving, demand, rules)
    return top - bottom + 1


def plan_lots(net: FloatArray, arriving: FloatArray, demand: FloatArray, rules: LotRules) -> FloatArray:
    """Return the orders of each series that cost least, units, shape (periods, n).

    Args:
        net: net inventory at the start, whole units, shape (n,); none below 0 where demand is lost.
        arriving: old orders by the period they arrive in, whole units, shape (periods, n).
        demand: whole units, shape (periods, n).
        rules: of all series.
    """
    size = states_needed(net, arriving, demand, rules)
    order = np.argsort(size, kind="stable")
    plan = np.zeros(demand.shape)
    first = 0
    while first < len(order):  # series of like size share arrays
        size_of = size[order[first:]]
        alike = np.searchsorted(size_of, 2 * size_of[0], side="right")
        block = max(1, min(alike, int(MEMORY // (size_of[min(alike, len(size_of)) - 1] * len(demand)))))
        some = order[first : first + block]
        plan[:, some] = _plan(net[some], arriving[:, some], demand[:, some], rules)
        first += block
    return plan


def _range(net: FloatArray, arriving: FloatArray, demand: FloatArray, rules: LotRules) -> tuple[IntArray, IntArray]:
    """Return the highest and the lowest stock of each series."""
    total = demand.sum(0)
    top = np.maximum(net, 0) + arriving.sum(0)
    top = np.maximum(top, total + rules.least + rules.pack) + rules.pack
    bottom = np.zeros_like(net) if rules.lost else np.minimum(net, 0) - total
    return top.astype(np.int64), bottom.astype(np.int64)


def _plan(net: FloatArray, arriving: FloatArray, demand: FloatArray, rules: LotRules) -> FloatArray:
    periods, n = demand.shape
    plan, row = np.zeros((periods, n)), np.arange(n)
    top, bottom = (int(f(x)) for f, x in zip((np.max, np.min), _range(net, arriving, demand, rules), strict=True))
    rows = -(-(top - bottom + 1) // rules.pack)
    stock = bottom + np.arange(rows * rules.pack, dtype=np.float64)  # a whole number of packs
    needs, coming = demand.astype(np.int64), arriving.astype(np.int64)
    possible = [t >= rules.lead_time and (t - rules.lead_time) % rules.review == 0 for t in range(periods)]
    after = np.zeros((n, len(stock)))
    going: list[FloatArray] = [after] * periods
    for t in range(periods - 1, -1, -1):
        gap = stock - demand[t, :, None]
        left = np.maximum(gap, 0.0)
        then = (left if rules.lost else gap).astype(np.int64) - bottom
        cost = rules.holding * left + rules.stockout * (left - gap)
        going[t] = cost + np.take_along_axis(after, np.maximum(then, 0), axis=1)
        after = going[t]
        if possible[t]:
            after = np.minimum(after, rules.fixed + _cheapest_lot(after.reshape(n, rows, rules.pack), rules))
        if coming[t].any():  # old orders arrive before the decision, whatever it is
            moved = np.minimum(np.arange(len(stock)) + coming[t, :, None], len(stock) - 1)
            after = np.take_along_axis(after, moved, axis=1)
    lots = np.arange(rules.least, min(rules.most, top - bottom) + 1, rules.pack, dtype=np.int64)
    at = net.astype(np.int64) - bottom
    for t in range(periods):
        at = at + coming[t]
        if possible[t] and len(lots):
            to = at[:, None] + lots
            paid = np.where(
                to < len(stock), going[t][row[:, None], np.minimum(to, len(stock) - 1)] + rules.fixed, np.inf
            )
            best = paid.argmin(1)
            placed = np.where(paid[row, best] < going[t][row, at] - 1e-9, lots[best], 0)
            plan[t - rules.lead_time] = placed
            at = at + placed
        at = at - needs[t]
        if rules.lost:
            at = np.maximum(at, -bottom)
    return plan


def _cheapest_lot(cost: FloatArray, rules: LotRules) -> FloatArray:
    """Return the least of `cost` over all lots added to each stock: (n, rows, pack) in, (n, rows · pack) out."""
    n, rows, _ = cost.shape
    skipped = rules.least // rules.pack
    best = np.full(cost.shape, np.inf)
    if skipped < rows:
        ahead = cost[:, skipped:]
        if np.isfinite(rules.most):
            width = int(rules.most - rules.least) // rules.pack + 1
            if width > 0:
                width = min(width, rows)
                padded = np.concatenate([ahead, np.full((n, width, rules.pack), np.inf)], axis=1)
                low = minimum_filter1d(padded, width, axis=1, origin=-(width // 2))
                best[:, : rows - skipped] = low[:, : rows - skipped]
        else:
            best[:, : rows - skipped] = np.minimum.accumulate(ahead[:, ::-1], axis=1)[:, ::-1]
    return best.reshape(n, -1)


def are_whole(*quantities: FloatArray) -> BoolArray:
    """Return which series (last axis) hold whole numbers alone."""
    whole = [np.atleast_2d(np.abs(q - np.rint(q)) < 1e-9).all(0) for q in quantities]
    found: BoolArray = np.logical_and.reduce(whole)
    return found
