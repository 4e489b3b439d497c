"""What perfect information would have cost: a bound, not a policy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...envs.core.types import InventoryState, ItemParams, Scenario
from ...errors import Faults, FractileError
from ..base_stock import ConstantOrder
from ..rollout import roll
from .lot_sizing import MOST_STATES, LotRules, are_whole, plan_lots, states_needed

MEMORY = 8_000_000
"""Numbers that one block of paths and items may hold at once."""


@dataclass(frozen=True, eq=False)
class Hindsight:
    """The cheapest orders for demand that is known beforehand (Wagner and Whitin 1958, with stock-outs).

    Time is cut into intervals, each served by one arrival at most; a unit of demand is served by its interval's
    arrival, from stock or, where it can wait, late, or not at all, whichever is cheapest. Dynamic programming over
    the cuts is exact without rules on orders.

    Where packs, a minimum or a maximum order bind, orders are whole lots, found by dynamic programming over stock
    (`lot_sizing`): exact where demand, stock and rules are whole numbers and unmet demand is lost or waits. For all
    other items, and where items share a capacity, these rules are ignored: a relaxation, so that no admissible policy
    costs less. `exact_items` tells which is which.
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
        if not isinstance(params, ItemParams) or params.shelf_life is not None:
            raise FractileError("hindsight plans for items whose stock keeps: it covers no networks and no shelf_life")
        faults = Faults()
        if scenario.arrivals is not None:
            faults.add("hindsight needs constant lead times: leave out Scenario.arrivals")
        for name in ("unit_cost", "price", "salvage_value"):
            if np.any(getattr(params, name)):
                faults.add(f"hindsight bounds holding, stock-out and fixed cost: {name} must be 0")
        if scenario.prices is not None:
            faults.add("hindsight bounds holding, stock-out and fixed cost: leave out Scenario.prices")
        faults.raise_if_any()
        shape = (scenario.paths, scenario.items)
        lots = _series_in_lots(scenario, params, state)
        orders = np.zeros((scenario.periods, scenario.paths * scenario.items))
        for rules, chosen in lots:
            orders[:, chosen] = plan_lots(*_by_series(scenario, state, chosen), rules)
        rest = np.ones(orders.shape[1], dtype=bool)
        for _, chosen in lots:
            rest[chosen] = False
        if rest.any():
            params = self.relaxed(params)
            owed, residual = _unmet_demand(scenario, params, state)
            series = residual.transpose(1, 0, 2).reshape(scenario.periods, -1)
            orders[:, rest] = _plan_without_rules(
                owed.reshape(-1)[rest], series[:, rest], _columns(params, shape, rest)
            )
        return orders.reshape(scenario.periods, *shape).transpose(1, 0, 2)

    def exact_items(self, scenario: Scenario, params: ItemParams, state: InventoryState) -> BoolArray:
        """Return for which items the plan is the cheapest of all, shape (items,); for the others it costs no more.

        Args:
            scenario: see `plan`.
            params: likewise.
            state: likewise.
        """
        shape = (scenario.paths, scenario.items)
        lost = np.broadcast_to(np.asarray(params.lost_share, dtype=np.float64), shape)
        exact = ((lost == 0.0) | (lost == 1.0)) & ~_bound_by_rules(params, shape) & (params.capacity is None)
        if params.order_rules:  # packs of one change no plan for whole demand
            pack = 1.0 if params.pack_size is None else params.pack_size
            whole = are_whole(*_by_series(scenario, state, np.arange(exact.size))).reshape(shape)
            exact = exact & whole & (np.asarray(pack) == 1.0)
        exact = exact.reshape(-1)
        for _, chosen in _series_in_lots(scenario, params, state):
            exact[chosen] = params.capacity is None
        found: BoolArray = exact.reshape(shape).all(0)
        return found

    def relaxed(self, params: ItemParams) -> ItemParams:
        """Return the parameters without pack size, minimum and maximum order, and capacity."""
        return replace(params, pack_size=None, minimum_order=None, maximum_order=None, capacity=None)


def _by_series(
    scenario: Scenario, state: InventoryState, chosen: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return net inventory (n,), old orders by the period they arrive in and demand (periods, n) of some series."""
    demand = np.asarray(scenario.demand, dtype=np.float64).transpose(1, 0, 2).reshape(scenario.periods, -1)[:, chosen]
    pipeline = np.asarray(state.pipeline, dtype=np.float64)[: scenario.periods]
    arriving = np.zeros_like(demand)
    arriving[: len(pipeline)] = pipeline.reshape(len(pipeline), scenario.paths * scenario.items)[:, chosen]
    return np.asarray(state.net_inventory, dtype=np.float64).reshape(-1)[chosen], arriving, demand


def _bound_by_rules(params: ItemParams, shape: tuple[int, int]) -> BoolArray:
    """Return where orders cannot be any whole number of units, shape (paths, items)."""
    pack = 0.0 if params.pack_size is None else params.pack_size
    least, most = params.order_range
    rules = (np.asarray(pack) > 1.0) | (np.asarray(least) > np.maximum(pack, 1.0)) | np.isfinite(most)
    bound: BoolArray = np.broadcast_to(rules, shape)
    return bound


def _series_in_lots(scenario: Scenario, params: ItemParams, state: InventoryState) -> list[tuple[LotRules, IntArray]]:
    """Return the series that are planned in whole lots, together with those of the same rules."""
    shape = (scenario.paths, scenario.items)
    if not params.order_rules or not _bound_by_rules(params, shape).any():
        return []
    pack = np.asarray(1.0 if params.pack_size is None else params.pack_size)
    least, most = params.order_range
    least = np.maximum(least, pack)
    names = ("lead_time", "review_period", "holding_cost", "stockout_cost", "lost_share", "fixed_order_cost")
    values = [*(getattr(params, name) for name in names), pack, least, most]
    table = np.stack([np.broadcast_to(np.asarray(v, dtype=np.float64), shape).reshape(-1) for v in values])
    net, arriving, demand = _by_series(scenario, state, np.arange(table.shape[1]))
    lost = table[4]
    possible = _bound_by_rules(params, shape).reshape(-1) & ((lost == 0.0) | ((lost == 1.0) & (net >= 0)))
    possible &= are_whole(net, arriving, demand, *table[6:8], np.where(np.isfinite(table[8]), table[8], 0.0))
    found = []
    for kind in np.unique(table[:, possible], axis=1).T:
        chosen = np.flatnonzero(possible & (table == kind[:, None]).all(0))
        rules = LotRules(
            int(kind[0]), int(kind[1]), kind[2], kind[3], kind[4] == 1.0, kind[5], int(kind[6]), int(kind[7]), kind[8]
        )
        few = states_needed(net[chosen], arriving[:, chosen], demand[:, chosen], rules) <= MOST_STATES
        if few.any():
            found.append((rules, chosen[few]))
    return found


def _columns(params: ItemParams, shape: tuple[int, int], chosen: BoolArray) -> _Columns:
    """Return the parameters of some series, of length 1 where all are the same."""
    names = ("lead_time", "review_period", "holding_cost", "stockout_cost", "lost_share", "fixed_order_cost")
    values = [np.asarray(getattr(params, name), dtype=np.float64) for name in names]
    if all(value.ndim == 0 for value in values):
        return _Columns(*(value.reshape(1) for value in values))
    return _Columns(*(np.broadcast_to(value, shape).reshape(-1)[chosen] for value in values))


def _plan_without_rules(owed: FloatArray, series: FloatArray, columns: _Columns) -> FloatArray:
    """Plan where an order may be any quantity; series (periods, n) in, orders of that shape out."""
    if not columns.fixed.any():
        return _plan_free(owed, series, columns)
    periods, n = series.shape
    whole = columns.over(n)
    block = max(1, MEMORY // (periods + 1) ** 2)
    cuts = [slice(i, i + block) for i in range(0, n, block)]
    return np.concatenate([_plan_block(owed[cut], series[:, cut], whole.part(cut)) for cut in cuts], axis=1)


def _unmet_demand(scenario: Scenario, params: ItemParams, state: InventoryState) -> tuple[FloatArray, FloatArray]:
    """Return what the stock and orders of the start leave unmet.

    Orders of before the start arrive before period L, and new ones from L on: which units the old ones serve
    changes no cost that the plan can change, so they serve what waits longest.

    Returns:
        Backorders of the start (paths, items), and demand by period (paths, periods, items).
    """
    before = owed = np.maximum(-np.asarray(state.net_inventory), 0.0)
    lost_share = np.broadcast_to(np.asarray(params.lost_share, dtype=np.float64), owed.shape)
    residual, late = np.zeros(scenario.demand.shape), np.zeros(owed.shape)
    for period, (after, outcome) in enumerate(roll(ConstantOrder(0.0), scenario, params, state)):
        unmet = np.asarray(scenario.demand[:, period] - outcome.sales)
        short = np.maximum(-np.asarray(after.net_inventory), 0.0)
        residual[:, period] = unmet
        late = late + np.maximum(owed + (1 - lost_share) * unmet - short, 0.0)
        owed = short
    # A unit of unmet demand leaves 1 − θ of itself waiting.
    served = np.maximum(late - before, 0.0) / np.where(lost_share < 1, 1 - lost_share, 1.0)
    waiting = np.maximum(np.cumsum(residual, axis=1) - served[:, None], 0.0)
    return np.maximum(before - late, 0.0), np.diff(waiting, axis=1, prepend=0.0)


@dataclass(frozen=True)
class _Columns:
    """Lead time, review period, h, b, lost share and K, each (1,) or one a demand series (n,)."""

    lead_time: FloatArray
    review: FloatArray
    holding: FloatArray
    stockout: FloatArray
    lost: FloatArray
    fixed: FloatArray

    @property
    def stacked(self) -> FloatArray:
        """All of them, shape (6, n)."""
        return np.stack([getattr(self, f.name) for f in fields(self)])

    def over(self, n: int) -> _Columns:
        """Return columns of length n."""
        return _Columns(*(np.broadcast_to(column, n) for column in self.stacked))

    def part(self, cut: slice) -> _Columns:
        """Return the columns of some series."""
        return _Columns(*self.stacked[:, cut])


def _unit_costs(periods: int, of: _Columns) -> tuple[FloatArray, FloatArray]:
    """Return what it costs to serve a unit by an arrival; the last "arrival" stands for never.

    Returns:
        Of demand of each period, shape (arrivals + 1, periods, n), and of backorders of the start,
        (arrivals + 1, n).
    """
    arrival, due = np.arange(periods)[:, None, None], np.arange(periods)[None, :, None]
    waits, rest = arrival - due, periods - due
    possible = (arrival >= of.lead_time) & ((arrival - of.lead_time) % of.review == 0)
    never = of.stockout * (1 + (1 - of.lost) * (rest - 1))
    cost = np.where(waits > 0, of.stockout * (1 + (1 - of.lost) * (waits - 1)), -of.holding * waits)
    cost = np.where(possible, np.minimum(cost, never), never)
    old = np.where(possible[:, 0], of.stockout * arrival[:, 0], of.stockout * periods)
    return np.concatenate([cost, never]), np.concatenate([old, [of.stockout * periods]])


def _plan_free(owed: FloatArray, residual: FloatArray, of: _Columns) -> FloatArray:
    """Plan where orders cost nothing: every unit has its own cheapest arrival."""
    periods, n = residual.shape
    orders = np.zeros((periods, n))
    for kind in np.unique(of.stacked, axis=1).T:
        alike = np.broadcast_to((of.stacked == kind[:, None]).all(0), n)
        unit, old = _unit_costs(periods, _Columns(*kind[:, None]))
        arrival = np.broadcast_to(unit.argmin(0), (periods, int(alike.sum())))
        first = np.broadcast_to(old.argmin(0), int(alike.sum()))
        columns = _Columns(*kind[:, None]).over(int(alike.sum()))
        orders[:, alike] = _place_orders(owed[alike], residual[:, alike], unit, old, arrival, first, columns)
    return orders


def _place_orders(
    owed: FloatArray,
    residual: FloatArray,
    unit: FloatArray,
    old: FloatArray,
    arrival: IntArray,
    first: IntArray,
    of: _Columns,
) -> FloatArray:
    """Return the orders (periods, n) that make the arrivals of each period's demand and of the start's backorders."""
    periods, n = residual.shape
    orders, column = np.zeros((periods, n)), np.arange(n)
    every = np.arange(periods)[:, None]
    single = unit.shape[2] == 1
    cost = unit[arrival, every, 0 if single else column]
    served = (arrival < periods) & (cost < unit[periods])
    quantity = residual * np.where(arrival > every, 1 - of.lost, 1.0)
    lead_time = of.lead_time.astype(np.int64)
    np.add.at(orders, (np.where(served, arrival - lead_time, 0), column), np.where(served, quantity, 0.0))
    helped = (first < periods) & (old[first, 0 if single else column] < old[periods])
    np.add.at(orders, (np.where(helped, first - lead_time, 0), column), np.where(helped, owed, 0.0))
    return orders


def _plan_block(owed: FloatArray, residual: FloatArray, of: _Columns) -> FloatArray:
    """Plan demand series where orders cost something, shape (periods, n); returns orders of that shape."""
    periods, n = residual.shape
    unit, old = _unit_costs(periods, of)
    cost_of_due = unit * residual
    cost_of_due[:, 0] += old * owed
    # total[a, e] − total[a, i]: cost of serving all demand of periods i ... e − 1 by the arrival in a.
    total = np.concatenate([np.zeros((periods + 1, 1, n)), np.cumsum(cost_of_due, axis=1)], axis=1)
    setup = np.concatenate([np.broadcast_to(of.fixed, (periods, n)), np.zeros((1, n))])
    best = np.zeros((periods + 1, n))
    cut, by = np.zeros((periods + 1, n), dtype=np.int64), np.zeros((periods + 1, n), dtype=np.int64)
    for end in range(1, periods + 1):
        options = [best[i] + (setup + total[:, end] - total[:, i]) for i in range(end)]
        cost = np.stack(options).reshape(end * (periods + 1), n)
        choice = cost.argmin(0)
        best[end] = np.take_along_axis(cost, choice[None], 0)[0]
        cut[end], by[end] = np.divmod(choice, periods + 1)
    # The arrival that serves each period: the cuts are read from the end backwards.
    column, arrival = np.arange(n), np.empty((periods, n), dtype=np.int64)
    until, current = np.full(n, periods), by[periods]
    for due in range(periods - 1, -1, -1):
        entered = until == due + 1
        current = np.where(entered, by[due + 1, column], current)
        until = np.where(entered, cut[due + 1, column], until)
        arrival[due] = current
    return _place_orders(owed, residual, unit, old, arrival, arrival[0], of)
