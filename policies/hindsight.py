"""What perfect information would have cost: a bound, not a policy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..envs.dynamics import advance
from ..envs.types import InventoryState, ItemParams, Scenario
from ..errors import Faults
from ..forecasters.forecast import FloatArray, IntArray

MEMORY = 8_000_000
"""Numbers that one block of paths and items may hold at once."""


@dataclass(frozen=True, eq=False)
class Hindsight:
    """The cheapest orders for demand that is known beforehand (Wagner and Whitin 1958, with stock-outs).

    Time is cut into intervals, each served by one arrival at most; a unit of demand is served by its interval's
    arrival, from stock or, where it can wait, late, or not at all, whichever is cheapest. Dynamic programming over
    the cuts is exact. Pack sizes, minimum and maximum orders are ignored, so that no admissible policy costs less.
    """

    def plan(self, scenario: Scenario, params: ItemParams, state: InventoryState) -> FloatArray:
        """Return the orders, units, shape (paths, periods, items).

        Args:
            scenario: demand (paths, periods, items).
            params: lead times and costs.
            state: what the first period begins with.

        Raises:
            FractileError: where lead times are random or the objective is not holding, stock-out and fixed cost.
        """
        _check(scenario, params)
        params = self.relaxed(params)
        residual = _residual_demand(scenario, params, state)
        paths, periods, items = residual.shape
        series = residual.transpose(1, 0, 2).reshape(periods, -1)
        columns = _columns(params, paths, items)
        if not np.any(params.fixed_order_cost):
            orders = _plan_free(series, *columns)
        else:
            columns = [np.broadcast_to(c, series.shape[1]) for c in columns]
            block = max(1, MEMORY // (periods + 1) ** 2)
            cuts = range(0, series.shape[1], block)
            parts = [_plan_block(series[:, i : i + block], *(c[i : i + block] for c in columns)) for i in cuts]
            orders = np.concatenate(parts, axis=1)
        return orders.reshape(periods, paths, items).transpose(1, 0, 2)

    def relaxed(self, params: ItemParams) -> ItemParams:
        """Return the parameters without pack size, minimum and maximum order."""
        return replace(params, pack_size=None, minimum_order=None, maximum_order=None)


def _columns(params: ItemParams, paths: int, items: int) -> list[FloatArray]:
    """Lead time, review period, h, b, lost share and K: a value each, or one a (path, item) where any differs."""
    names = ("lead_time", "review_period", "holding_cost", "stockout_cost", "lost_share", "fixed_order_cost")
    values = [np.asarray(getattr(params, name), dtype=np.float64) for name in names]
    if all(value.ndim == 0 for value in values):
        return [value.reshape(1) for value in values]
    return [np.broadcast_to(value, (paths, items)).reshape(-1) for value in values]


def _residual_demand(scenario: Scenario, params: ItemParams, state: InventoryState) -> FloatArray:
    """Demand that the stock and orders of the start leave unmet, shape (paths, periods, items).

    Backorders of the start count as demand of the first period.
    """
    residual = np.zeros(scenario.demand.shape)
    nothing = np.zeros(scenario.demand[:, 0].shape)
    owed = nothing
    for period in range(scenario.periods):
        state, outcome = advance(state, nothing, scenario, period, params)
        # Late service by units that were already under way is not residual: what is owed may shrink.
        lost = np.asarray(params.lost_share) * (scenario.demand[:, period] - outcome.sales)
        short = np.maximum(-np.asarray(state.net_inventory), 0.0)
        residual[:, period] = short - owed + lost
        owed = short
    return _without_late_service(residual)


def _without_late_service(residual: FloatArray) -> FloatArray:
    """Take units that the pipeline serves late off the demand that waits longest.

    Only orders of before the start arrive before period L, and none later: which units they serve changes no
    cost that the plan can change.
    """
    late = -np.minimum(residual, 0.0).sum(axis=1, keepdims=True)
    waiting = np.maximum(np.cumsum(np.maximum(residual, 0.0), axis=1) - late, 0.0)
    return np.diff(waiting, axis=1, prepend=0.0)


def _unit_costs(
    periods: int,
    lead_time: FloatArray,
    review: FloatArray,
    holding: FloatArray,
    stockout: FloatArray,
    lost: FloatArray,
) -> FloatArray:
    """Cost of a unit of demand in s, served by an arrival in a: shape (arrivals + 1, periods, n); the last is none."""
    arrival, due = np.arange(periods)[:, None, None], np.arange(periods)[None, :, None]
    kept, late = np.maximum(due - arrival, 0), np.maximum(arrival - due, 0)
    waits = stockout * np.where(late > 0, 1 + (1 - lost) * (late - 1), 0.0)
    never = stockout * (1 + (1 - lost) * (periods - 1 - due))
    cost = np.where(kept > 0, holding * kept, waits)
    placed = arrival - lead_time
    possible = (placed >= 0) & (placed % review == 0)
    cost = np.where(possible, np.minimum(cost, never), never)
    return np.concatenate([cost, never])


def _plan_free(
    residual: FloatArray,
    lead_time: FloatArray,
    review: FloatArray,
    holding: FloatArray,
    stockout: FloatArray,
    lost: FloatArray,
    fixed: FloatArray,  # noqa: ARG001  # nothing: that is when this plan is the cheapest
) -> FloatArray:
    """Plan where orders cost nothing: every unit has its own cheapest arrival."""
    periods, n = residual.shape
    orders = np.zeros((periods, n))
    for column in np.unique(np.stack([lead_time, review, holding, stockout, lost]), axis=1).T:
        same = (np.stack([lead_time, review, holding, stockout, lost]) == column[:, None]).all(0)
        chosen = np.broadcast_to(same, n)
        unit = _unit_costs(periods, *(np.array([value]) for value in column))[:, :, 0]
        arrival = unit.argmin(0)
        served = unit[arrival, np.arange(periods)] < unit[periods]
        placed = np.where(served, arrival - int(column[0]), 0)
        part = np.zeros((periods, int(chosen.sum())))
        np.add.at(part, placed, np.where(served[:, None], residual[:, chosen], 0.0))
        orders[:, chosen] = part
    return orders


def _plan_block(
    residual: FloatArray,
    lead_time: FloatArray,
    review: FloatArray,
    holding: FloatArray,
    stockout: FloatArray,
    lost: FloatArray,
    fixed: FloatArray,
) -> FloatArray:
    """Plan a block of demand series, shape (periods, n); returns orders of that shape."""
    periods, n = residual.shape
    unit = _unit_costs(periods, lead_time, review, holding, stockout, lost)
    start = np.zeros((periods + 1, 1, n))
    # total[a, e] − total[a, i]: cost of serving all demand of periods i ... e − 1 by the arrival in a.
    total = np.concatenate([start, np.cumsum(unit * residual, axis=1)], axis=1)
    setup = np.concatenate([np.broadcast_to(fixed, (periods, n)), np.zeros((1, n))])
    best = np.zeros((periods + 1, n))
    cut, by = np.zeros((periods + 1, n), dtype=np.int64), np.zeros((periods + 1, n), dtype=np.int64)
    for end in range(1, periods + 1):
        options = [best[i] + (setup + total[:, end] - total[:, i]) for i in range(end)]
        cost = np.stack(options).reshape(end * (periods + 1), n)
        choice = cost.argmin(0)
        best[end] = np.take_along_axis(cost, choice[None], 0)[0]
        cut[end], by[end] = np.divmod(choice, periods + 1)
    return _orders(residual, unit, lead_time.astype(np.int64), cut, by)


def _orders(residual: FloatArray, unit: FloatArray, lead_time: IntArray, cut: IntArray, by: IntArray) -> FloatArray:
    """Read the orders off the cuts, from the end backwards."""
    periods, n = residual.shape
    column = np.arange(n)
    orders = np.zeros((periods, n))
    end, arrival = np.full(n, periods), by[periods]
    for due in range(periods - 1, -1, -1):
        end, arrival = _enter(end, due + 1, cut, by, arrival, column)
        served = (arrival < periods) & (unit[arrival, due, column] < unit[periods, due, column])
        placed = np.where(served, arrival - lead_time, 0)
        np.add.at(orders, (placed, column), np.where(served, residual[due], 0.0))
    return orders


def _enter(
    end: IntArray, boundary: int, cut: IntArray, by: IntArray, arrival: IntArray, column: IntArray
) -> tuple[IntArray, IntArray]:
    """Step into the interval that ends at `boundary` where one does."""
    first = end == boundary
    arrival = np.where(first, by[boundary, column], arrival)
    return np.where(first, cut[boundary, column], end), arrival


def _check(scenario: Scenario, params: ItemParams) -> None:
    faults = Faults()
    if scenario.arrivals is not None:
        faults.add("hindsight needs constant lead times: leave out Scenario.arrivals")
    for name in ("unit_cost", "price", "salvage_value"):
        if np.any(getattr(params, name)):
            faults.add(f"hindsight bounds holding, stock-out and fixed cost: {name} must be 0")
    if scenario.prices is not None:
        faults.add("hindsight bounds holding, stock-out and fixed cost: leave out Scenario.prices")
    faults.raise_if_any()
