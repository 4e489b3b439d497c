"""Exact optimal policies of small instances, by relative value iteration on the same `step` as everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..envs.demand import IndependentDemand
from ..envs.dynamics import step
from ..envs.types import InventoryState, ItemParams, Observation
from ..errors import Faults, FractileError
from ..forecasters.forecast import FloatArray, IntArray

TAIL = 1e-13
"""Probability of demand beyond the largest one that is enumerated."""


@dataclass(frozen=True, eq=False)
class DynamicProgramming:
    """The optimal policy of one item with discrete, independent demand and a constant lead time.

    Lost sales: the state is stock with this period's arrival, and the orders behind it; orders are bounded by the
    critical fractile of one period's demand, positions by that of L + 1 periods (Zipkin 2008). Backorders: the
    state is the inventory position, charged with the cost of the period L later, which the order decides.

    Attributes:
        demand: a discrete demand model of one item.
        params: lead time and costs; fixed and purchase cost count, order rules other than whole units do not.
        tolerance: on the average cost.

    Raises:
        FractileError: where the instance is not of this kind.

    >>> from fractile.envs.demand import Poisson
    >>> optimal = DynamicProgramming(Poisson(5.0), ItemParams(lead_time=1, holding_cost=1, stockout_cost=4))
    >>> round(optimal.average_cost, 4)
    4.0407
    """

    demand: IndependentDemand
    params: ItemParams
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        _check_instance(self.demand, self.params)

    @property
    def average_cost(self) -> float:
        """The least average cost per period, money."""
        return self._solution[0]

    @property
    def orders(self) -> IntArray:
        """The optimal order in each state, indexed as the class says."""
        return self._solution[1]

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        if self.params.lost_share == 0.0:
            state = [obs.inventory_position - self._lowest]
        elif self.params.slots:
            state = [obs.net_inventory + obs.pipeline[0], *obs.pipeline[1:]]
        else:
            state = [obs.net_inventory]
        index = [np.clip(np.rint(s).astype(np.int64), 0, n - 1) for s, n in zip(state, self.orders.shape, strict=True)]
        return self.orders[tuple(index)].astype(np.float64)

    @cached_property
    def _solution(self) -> tuple[float, IntArray]:
        if self.params.lost_share == 0.0:
            return self._solve_backorder()
        return self._solve_lost_sales() if self.params.slots else self._solve_at_once()

    @cached_property
    def _highest(self) -> int:
        """The largest inventory position: the newsvendor's level, and a generous lot where orders cost."""
        level = self.demand.quantile(self.params.critical_ratio, self.params.slots + 1)
        mean = self.demand.distribution().mean()
        lot = 2.0 * np.sqrt(2 * np.asarray(self.params.fixed_order_cost) * mean / self.params.holding_cost)
        return int(np.asarray(level).item() + np.ceil(np.asarray(lot).item()))

    @cached_property
    def _lowest(self) -> int:
        """The smallest inventory position of the backorder grid: below it an order is certain."""
        return -int(np.asarray(self.demand.quantile(1 - TAIL, self.params.slots + 1)).item())

    def _solve_lost_sales(self) -> tuple[float, IntArray]:
        """Value iteration over (stock with this arrival, orders that arrive later), for L >= 1."""
        highest, lead_time = self._highest, self.params.slots
        one_period = int(np.asarray(self.demand.quantile(self.params.critical_ratio)).item())
        most = highest if self.params.fixed_order_cost else one_period
        cost, transition = _stock_model(np.arange(highest + 1), self.demand, 1, self.params)
        grid = np.ix_(np.arange(highest + 1), *[np.arange(most + 1)] * lead_time)
        # From stock y after demand: y plus the next arrival, the orders behind it, and this period's order.
        following = (np.minimum(grid[0] + grid[1], highest), *grid[2:])
        position = np.asarray(sum(grid))
        feasible = (position <= highest) | (grid[-1] == 0)
        ordering = np.where(feasible, _ordering_cost(np.arange(most + 1), self.params), np.inf)
        charged = cost.reshape(-1, *[1] * (lead_time - 1))

        def update(value: FloatArray) -> tuple[FloatArray, IntArray]:
            after = value[following]
            expected = (transition @ after.reshape(len(after), -1)).reshape(after.shape) + ordering
            return charged + expected.min(-1), expected.argmin(-1)

        reachable = position[..., 0] <= highest
        return _relative_value_iteration(update, reachable, self.tolerance)

    def _solve_at_once(self) -> tuple[float, IntArray]:
        """Lost sales without lead time: the order is there before demand."""
        stock = np.arange(self._highest + 1)
        return self._solve_levels(*_stock_model(stock, self.demand, 1, self.params))

    def _solve_backorder(self) -> tuple[float, IntArray]:
        """Backorders: the position after ordering decides the cost of the period L later."""
        position = np.arange(self._lowest, self._highest + 1)
        later, _ = _stock_model(position, self.demand, self.params.slots + 1, self.params)
        _, transition = _stock_model(position, self.demand, 1, self.params)
        return self._solve_levels(later, transition)

    def _solve_levels(self, cost: FloatArray, transition: FloatArray) -> tuple[float, IntArray]:
        """Value iteration where an order moves at once from level i to i + q."""
        level = np.arange(len(cost))
        reached = np.minimum(level[:, None] + level, len(cost) - 1)
        ordering = _ordering_cost(level, self.params)
        ordering = np.where(level[:, None] + level < len(cost), ordering, np.inf)

        def update(value: FloatArray) -> tuple[FloatArray, IntArray]:
            expected = (cost + transition @ value)[reached] + ordering
            return expected.min(-1), expected.argmin(-1)

        return _relative_value_iteration(update, np.ones(len(cost), dtype=bool), self.tolerance)


def _stock_model(
    levels: IntArray, demand: IndependentDemand, span: int, params: ItemParams
) -> tuple[FloatArray, FloatArray]:
    """Return the expected cost of meeting `span` periods' demand from each level, and where stock goes from there.

    Returns:
        cost (levels,) and transition probabilities (levels, levels), both through `step`.
    """
    largest = int(np.asarray(demand.quantile(1 - TAIL, span)).item())
    units = np.arange(largest + 1)
    probability = np.asarray(demand.pmf(units, span), dtype=np.float64).reshape(-1)
    probability = probability / probability.sum()
    plain = replace(params, lead_time=0, fixed_order_cost=0.0, unit_cost=0.0, pack_size=None)
    shape = (len(levels), len(units))
    state = InventoryState(np.broadcast_to(levels[:, None], shape).astype(np.float64), np.zeros((0, *shape)))
    after, outcome = step(state, np.zeros(shape), np.broadcast_to(units, shape).astype(np.float64), plain)
    index = np.clip(np.rint(after.net_inventory).astype(np.int64) - levels[0], 0, len(levels) - 1)
    transition = np.zeros((len(levels), len(levels)))
    np.add.at(transition, (np.arange(len(levels))[:, None], index), np.broadcast_to(probability, shape))
    return outcome.cost @ probability, transition


def _ordering_cost(order: IntArray, params: ItemParams) -> FloatArray:
    cost: FloatArray = np.asarray(params.fixed_order_cost) * (order > 0) + np.asarray(params.unit_cost) * order
    return cost


def _relative_value_iteration(
    update: Callable[[FloatArray], tuple[FloatArray, IntArray]],
    reachable: NDArray[np.bool_],
    tolerance: float,
    iterations: int = 100_000,
) -> tuple[float, IntArray]:
    """Iterate until the change of the value function is the same in all reachable states: the average cost."""
    value = np.zeros(reachable.shape)
    for _ in range(iterations):
        new, orders = update(value)
        change = (new - value)[reachable]
        if np.ptp(change) < tolerance:
            return float(change.min() + change.max()) / 2, orders
        value = new - new.flat[0]
    raise FractileError(f"value iteration did not reach a tolerance of {tolerance} in {iterations} iterations")


def _check_instance(demand: IndependentDemand, params: ItemParams) -> None:
    faults = Faults()
    if demand.items != 1 or not demand.discrete:
        faults.add("dynamic_programming needs discrete demand of one item: Poisson, NegativeBinomial or Geometric")
    if np.ndim(params.lead_time) or np.any(np.asarray(params.review_period) != 1):
        faults.add("dynamic_programming needs one constant lead time and review_period = 1")
    if params.lost_share not in (0.0, 1.0):
        faults.add(f"dynamic_programming needs unmet_demand 'lost' or 'backorder', got {params.unmet_demand}")
    if params.minimum_order is not None or params.maximum_order is not None or params.pack_size not in (None, 1.0):
        faults.add("dynamic_programming orders whole units without minimum or maximum: leave out order rules")
    if params.discount != 1:
        faults.add("dynamic_programming minimises the average cost: leave discount at 1")
    faults.raise_if_any()
