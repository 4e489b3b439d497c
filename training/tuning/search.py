"""Search over scale-free coordinates: grids that widen where they end too early, pooling of items, refinement.

A policy's parameters are written in coordinates that mean the same for every item, e.g. standard deviations of its
demand around its untuned level; the untuned form is their origin. So a cost curve over coordinates can be averaged
over items, and an item with little data of its own is tuned by its own curve and the pool's:

    J_i(u) = own_i(u) / typical_i + k · mean_j(own_j(u) / typical_j)

with `typical` the newsvendor's cost for normal demand. The weight k of the pool is the one whose choices cost least on
the parts of the stretch that they were not made on; ties go to more pooling. One item alone has no pool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ...arrays import FloatArray, IntArray
from ..config import TuningConfig

Costs = Callable[[FloatArray], FloatArray]
"""From coordinates (candidates, columns, k) to money (candidates, folds, columns)."""

ALL = float("inf")
"""The weight of the pool where items have no say of their own."""

UNTUNED = -1.0
"""In place of a weight: every item keeps the untuned form."""


@dataclass(frozen=True, eq=False)
class Axis:
    """The first grid of a coordinate.

    Attributes:
        name: of the parameter, in notes.
        points: increasing; infinity may be the last one.
        lowest: that the coordinate can be.
        unit: what a step of one is called, in notes.
        origin: the coordinate of the untuned form; one of the points.
    """

    name: str
    points: tuple[float, ...]
    lowest: float = -np.inf
    unit: str = "standard deviations"
    origin: float = 0.0


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search.

    Attributes:
        theta: coordinates of each column, (columns, k).
        pooled: weight of the pool, 0 to infinity.
        notes: what is to be said of it.
        at_edge: parameters whose search ended at the edge of the widest grid.
    """

    theta: FloatArray
    pooled: float
    notes: tuple[str, ...] = ()
    at_edge: tuple[str, ...] = ()


def search(
    costs: Costs,
    axes: tuple[Axis, ...],
    typical: FloatArray,
    step: FloatArray,
    config: TuningConfig,
    *,
    recorded: bool,
    weights: tuple[float, ...] | None = None,
    money: bool = False,
) -> Found:
    """Return the coordinates of each column that cost least, its own costs and the pool's taken together.

    Args:
        costs: of candidates.
        axes: the first grid.
        typical: cost of each item that curves are divided by, (columns,).
        step: where refinement stops: the smallest step of each column and coordinate, (columns, k).
        config: how often grids widen, weights of the pool.
        recorded: the stretch is a history, one path or a few: what it is tuned to must hold on parts left out.
        weights: of the pool that are tried; those of the configuration where None.
        money: try, too, what costs least in total: the dear items decide.
    """
    columns = len(typical)
    if weights is None:
        weights = (0.0,) if columns == 1 else config.pooling
    edge = config.at_the_edge if min(weights) < ALL else 1.0
    points, paid, axes, notes, at_edge = _widened(costs, axes, typical, config.widenings, edge)
    weighings = [typical, np.full(columns, typical.mean())] if money and columns > 1 else [typical]
    pooled, typical, chosen = _choose(paid, weighings, weights, recorded)
    theta = points[chosen]
    if pooled == UNTUNED:
        note = "what parts of the stretch would choose costs more on the other parts than the untuned form: it is kept"
        return Found(theta, pooled, (*notes, note))
    if pooled in (0.0, ALL):
        first = np.array([_spacing(axis) / 2 for axis in axes])
        theta = refine(costs, theta, first, step, axes, typical, shared=pooled == ALL)
    if columns > 1 and len(weights) > 1:
        notes = (*notes, _pooling_note(pooled))
    return Found(theta, pooled, notes, at_edge)


def _widened(
    costs: Costs, axes: tuple[Axis, ...], typical: FloatArray, widenings: int, edge: float
) -> tuple[FloatArray, FloatArray, tuple[Axis, ...], tuple[str, ...], tuple[str, ...]]:
    """Evaluate a grid, and wider ones as long as the best points of the pool or of many items lie at its edge.

    Returns:
        Points, what they cost, the widest axes, notes, and the names of parameters that ended at the edge.
    """
    points, columns = _grid(axes), len(typical)
    paid = costs(np.broadcast_to(points[:, None], (len(points), columns, len(axes))))
    names: list[str] = []
    for _ in range(widenings):
        wider = _wider(axes, points, paid, typical, edge)
        if wider == axes:
            break
        names += [b.name for a, b in zip(axes, wider, strict=True) if a != b and b.name not in names]
        grid = _grid(wider)
        known = {tuple(point) for point in np.round(points, 9)}
        new = np.array([point for point in grid if tuple(np.round(point, 9)) not in known])
        if not len(new):
            break
        more = costs(np.broadcast_to(new[:, None], (len(new), columns, len(axes))))
        points, paid, axes = np.concatenate([points, new]), np.concatenate([paid, more]), wider
    notes, at_edge = [], []
    for axis, after in zip(axes, _wider(axes, points, paid, typical, edge), strict=True):
        reach = f"{axis.points[0]:g} … {_last(axis):g} {axis.unit}"
        if axis != after:
            at_edge.append(axis.name)
            notes.append(
                f"the search of {axis.name} ended at the edge of its grid, {reach}: a better value may lie beyond"
            )
        elif axis.name in names:
            notes.append(f"the search of {axis.name} came to the edge of its grid, which was widened to {reach}")
    return points, paid, axes, tuple(notes), tuple(at_edge)


def _wider(
    axes: tuple[Axis, ...], points: FloatArray, paid: FloatArray, typical: FloatArray, edge: float
) -> tuple[Axis, ...]:
    """Return axes that go on by half their reach where the pool's best point, or many items' own, lies at the end."""
    own = paid.sum(1)
    best = points[np.argmin(own, axis=0)]
    centre = points[np.argmin((own / typical).mean(1))]
    wider = []
    for k, axis in enumerate(axes):
        inside = [p for p in axis.points if np.isfinite(p)]
        low = centre[k] <= inside[0] or np.mean(best[:, k] <= inside[0]) > edge
        high = centre[k] == inside[-1] or np.mean(best[:, k] == inside[-1]) > edge
        spacing, more = _spacing(axis), max(2, len(inside) // 2)
        grid = list(axis.points)
        if low and inside[0] > axis.lowest:
            below = inside[0] - spacing * np.arange(more, 0, -1)
            grid = [*(float(p) for p in below if p >= axis.lowest - 1e-9), *grid]
        if high:
            beyond = [float(p) for p in inside[-1] + spacing * np.arange(1, more + 1)]
            grid = sorted({*grid, *beyond})
        wider.append(replace(axis, points=tuple(grid)))
    return tuple(a if a.points == b.points else b for a, b in zip(axes, wider, strict=True))


def _grid(axes: tuple[Axis, ...]) -> FloatArray:
    """Return all points, the untuned form first, those nearest to it next: ties go to it."""
    if len(axes) > 3:  # all coordinates together; refinement moves each
        longest = max((axis.points for axis in axes), key=len)
        points = np.array([[p] * len(axes) for p in longest])
    else:
        points = np.array(list(product(*(axis.points for axis in axes))))
    origin = np.array([axis.origin for axis in axes])
    with np.errstate(invalid="ignore"):
        apart = np.where(points == origin, 0.0, np.minimum(np.abs(points - origin), 1e3))
    order = np.lexsort((apart.sum(1), (apart > 0).sum(1) > 0))
    ordered: FloatArray = points[order]
    return ordered


def _choose(
    paid: FloatArray, weighings: list[FloatArray], weights: tuple[float, ...], recorded: bool
) -> tuple[float, FloatArray, IntArray]:
    """Return the weight of the pool whose choices cost least where they were not made, and all columns' points.

    The untuned form, the first point, is one of the candidates on a history.
    """
    tried = [(weight, typical) for weight in sorted(weights, reverse=True) for typical in weighings]
    columns = np.arange(paid.shape[2])
    (best, scale), lowest = tried[0], np.inf
    if recorded:
        best, lowest = UNTUNED, float(paid[0].sum())
    for weight, typical in tried if recorded or len(tried) > 1 else ():
        cost = 0.0
        for fold in range(paid.shape[1]):
            chosen = _points(np.delete(paid, fold, axis=1).sum(1), typical, weight)
            cost += float(paid[chosen, fold, columns].sum())
        if cost < lowest * (1 - 1e-9):
            best, scale, lowest = weight, typical, cost
    if best == UNTUNED:
        return best, scale, np.zeros(len(columns), dtype=np.int64)
    return best, scale, _points(paid.sum(1), scale, best)


def _points(own: FloatArray, typical: FloatArray, weight: float) -> IntArray:
    """Return each column's best point, (columns,), from costs (points, columns)."""
    scaled = own / typical
    pool = scaled.mean(1, keepdims=True)
    if weight == ALL:
        return np.full(own.shape[1], int(np.argmin(pool)))
    chosen: IntArray = np.argmin(scaled + weight * pool, axis=0)
    return chosen


def refine(
    costs: Costs,
    theta: FloatArray,
    first: FloatArray,
    least: FloatArray,
    axes: tuple[Axis, ...],
    typical: FloatArray,
    *,
    shared: bool = False,
) -> FloatArray:
    """Return coordinates (columns, k) after moves to cheaper neighbours, with steps that halve where none is cheaper.

    Args:
        costs: of candidates.
        theta: where the search starts, (columns, k).
        first: the first step of each coordinate, (k,).
        least: the last step of each column and coordinate, (columns, k).
        axes: lowest values.
        typical: cost of each item that costs are divided by where all columns move together.
        shared: all columns have the same coordinates.
    """
    columns, k = theta.shape
    lowest = np.array([axis.lowest for axis in axes])
    # Valleys of two parameters run aslant: steps of several sizes at once.
    sizes = (-2, -1, 0, 1, 2) if k < 3 else (-1, 0, 1)
    moves = np.array([move for move in product(sizes, repeat=k) if any(move)] if k < 4 else _crosses(k))
    step = np.broadcast_to(first, (columns, k)).copy()

    def paid(candidates: FloatArray) -> FloatArray:
        money = costs(candidates).sum(1)
        if not shared:
            return money
        return np.broadcast_to((money / typical).sum(1, keepdims=True), money.shape)

    best, index = paid(theta[None])[0], np.arange(columns)
    least = least.min(0, keepdims=True) if shared else least
    for _ in range(60):
        if not (step > least).any():
            break
        around = np.maximum(theta + moves[:, None] * step, lowest)
        cost = paid(around)
        to = np.argmin(cost, axis=0)
        better = cost[to, index] < best * (1 - 1e-9)
        theta = np.where(better[:, None], around[to, index], theta)
        best = np.where(better, cost[to, index], best)
        step = np.where(better[:, None], step, step / 2)
    return theta


def _crosses(k: int) -> list[tuple[int, ...]]:
    """Steps along one coordinate, along neighbours together, and along all together."""
    rows = np.concatenate(
        [np.eye(k, dtype=int), np.eye(k, dtype=int) + np.eye(k, k=1, dtype=int), np.ones((1, k), int)]
    )
    return [tuple(sign * row) for row in rows for sign in (-1, 1)]


def _spacing(axis: Axis) -> float:
    inside = [p for p in axis.points if np.isfinite(p)]
    return inside[1] - inside[0]


def _last(axis: Axis) -> float:
    return max(p for p in axis.points if np.isfinite(p))


def _pooling_note(weight: float) -> str:
    if weight == ALL:
        return "all items share one setting: their own histories choose worse on parts of the stretch left out"
    if weight == 0:
        return "each item has a setting of its own"
    return f"each item's setting follows its own costs and, with {weight:g} times their weight, the pool's"
