"""Exact optimal policies of small instances, by value iteration on the same `step` as everything else."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...envs.core.dynamics import feasible_order
from ...envs.core.types import InventoryState, ItemParams, Observation
from ...envs.demand.independent import IndependentDemand
from ...errors import FractileError, FractileWarning
from ..base import Policy
from .single_item import SingleItem
from .value_iteration import Solution, solve, stationary

TOUCHED = 1e-7
"""Share of periods at a bound from which on it is said that the bound may matter."""


@dataclass(frozen=True, eq=False)
class DynamicProgramming:
    """The optimal policy of one item with discrete, independent demand and a constant lead time.

    It minimises the average cost, or, where `params.discount` is below 1, the expected discounted cost.

    Lost sales: the state is stock with this period's arrival, and the orders that arrive later, oldest first. Without
    fixed cost and order rules, no optimal order exceeds the critical fractile of one period's demand and no position
    that of L + 1 periods, so these are the bounds of the grid (Zipkin 2008). Backorders, and lost sales without lead
    time: the state is the inventory position, charged with the cost of the period L later, which the order decides.
    Where orders cost money or obey rules, the bounds are wider by rules of thumb, and a `FractileWarning` says where
    the optimal policy runs into them.

    Attributes:
        demand: a discrete demand model of one item.
        params: lead time, costs, discount, and order rules in whole units.
        tolerance: on the average or discounted cost, money.
        order_bound: the largest order that is considered, units; None = as above.
        position_bound: the largest inventory position that is considered, units; None = as above.

    Raises:
        FractileError: where the instance is not of this kind, or too large.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> optimal = DynamicProgramming(Poisson(5.0), ItemParams(lead_time=1, holding_cost=1, stockout_cost=4))
    >>> round(optimal.average_cost, 4)
    4.0407
    """

    demand: IndependentDemand
    params: ItemParams
    tolerance: float = 1e-7
    order_bound: int | None = None
    position_bound: int | None = None

    def __post_init__(self) -> None:
        _ = self._item  # faults are found here, not when the policy is first asked

    @property
    def average_cost(self) -> float:
        """The least average cost per period, money.

        Raises:
            FractileError: where later costs are discounted.
        """
        self._require_average()
        return self._solution.average_cost - self._item.steady_revenue

    @cached_property
    def orders(self) -> IntArray:
        """The optimal order in each state, units, indexed as the class says."""
        return self._item.quantities[self._solution.choice].T

    @property
    def values(self) -> FloatArray:
        """The value of each state, money, indexed like `orders`: relative to the first, or discounted."""
        return self._solution.value.T

    @cached_property
    def occupancy(self) -> FloatArray:
        """Share of periods that begin in each state under the optimal policy, indexed like `orders`."""
        return stationary(self._item.model, self._solution.choice).T

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items); states beyond the grid count as its edge."""
        index, _ = self._index(obs)
        return self.orders[index].astype(np.float64)

    def discounted_value(self, state: InventoryState) -> FloatArray:
        """Return the expected discounted cost of the optimal policy, seen from the start of a period.

        `E Σ_t γ^t cost_t`, t = 0, 1, …, with the costs of `step`.

        Args:
            state: what that period begins with, in whole units.

        Returns:
            money, shape (paths, 1).

        Raises:
            FractileError: where nothing is discounted, or a state lies beyond the grid.
        """
        gamma = self.params.discount
        if gamma == 1:
            raise FractileError("discount is 1, and undiscounted costs grow for ever: ask average_cost")
        index, inside = self._index(state)
        if not inside.all():
            raise FractileError(
                f"a state lies beyond the grid: positions from {self._item.lowest} to {self._item.highest}, orders up "
                f"to {self._item.quantities[-1]}; raise position_bound or order_bound"
            )
        value = self.values[index] - self._item.steady_revenue / (1 - gamma)
        return value + self._item.committed(state) if self._item.backorder else value

    def average_cost_of(self, policy: Policy) -> float:
        """Return the exact average cost of another policy on this instance, money per period.

        Args:
            policy: orders whole units; with backorders, it looks at the inventory position alone.

        Raises:
            FractileError: where later costs are discounted, or it orders what the grid does not hold.
        """
        self._require_average()
        model, wanted = self._item.model, self._asked(policy)
        room = np.minimum(wanted, np.maximum(model.highest - model.position, 0))
        choice = np.searchsorted(model.quantities, room, side="right") - 1
        held = model.quantities[choice] == wanted
        probability = stationary(model, choice)
        if probability[~held].sum() > TOUCHED:
            raise FractileError(
                f"{type(policy).__name__} orders what the grid does not hold: orders up to {model.quantities[-1]}, "
                f"positions up to {self._item.highest}; raise order_bound or position_bound"
            )
        return model.mean_cost(probability, choice) - self._item.steady_revenue

    @cached_property
    def _item(self) -> SingleItem:
        return SingleItem(self.demand, self.params, self.order_bound, self.position_bound)

    @cached_property
    def _solution(self) -> Solution:
        found = solve(self._item.model, self.tolerance)
        if not self._item.vouched:
            _warn_at_bounds(self._item, found.choice)
        return found

    def _require_average(self) -> None:
        if self.params.discount < 1:
            raise FractileError(f"discount is {self.params.discount}: ask discounted_value, or set it to 1")

    def _index(self, state: Observation | InventoryState) -> tuple[tuple[IntArray, ...], Any]:
        """Return the index into `orders` of each path, and whether the grid holds its state."""
        item, pipeline = self._item, state.pipeline
        later = list(pipeline[1:]) if item.in_pipeline else []
        level = state.net_inventory + (pipeline[0] if item.in_pipeline else pipeline.sum(0)) - item.lowest
        stock = np.clip(np.rint(level).astype(np.int64), 0, item.highest - item.lowest)
        last = len(item.quantities) - 1
        slots = [np.searchsorted(item.quantities, np.rint(order)).clip(0, last) for order in later]
        inside = np.all([stock == level, *(item.quantities[s] == o for s, o in zip(slots, later, strict=True))], 0)
        return (stock, *slots), inside

    def _asked(self, policy: Policy) -> IntArray:
        """What a policy orders in each state of the grid, units, in the shape of the model's values."""
        item, params = self._item, self.params
        shape = item.model.reachable.T.shape
        stock, *later = (index.ravel() for index in np.indices(shape))
        pipeline = np.zeros((params.slots, stock.size, 1))
        for k, index in enumerate(later, start=1):
            pipeline[k, :, 0] = item.quantities[index]
        net_inventory = (stock + item.lowest).astype(np.float64)[:, None]
        obs = Observation(0, net_inventory, pipeline, params, self.demand.forecast(params.slots + 1))
        order = np.asarray(feasible_order(policy.order(obs), params))
        return np.rint(order).astype(np.int64).reshape(shape).T


def _warn_at_bounds(item: SingleItem, choice: IntArray) -> None:
    """Say where a policy runs into a bound that theory does not vouch for."""
    model, quantities = item.model, item.quantities
    probability = stationary(model, choice)
    limited = feasible_order(np.array([1e12]), item.params).item() == quantities[-1]
    at_most = (choice == len(quantities) - 1) & (not limited) & (item.largest < model.highest)
    following = np.append(quantities[1:], 0 if limited else np.iinfo(np.int64).max // 2)[choice]
    touched = {
        "order_bound": at_most,
        "position_bound": (choice > 0) & ~at_most & (model.position + following > model.highest),
    }
    shares = {name: float(probability[where].sum()) for name, where in touched.items()}
    said = " and ".join(f"{name} in {share:.2g}" for name, share in shares.items() if share > TOUCHED)
    if said:
        message = (
            f"the optimal policy runs into {said} of all periods: raise what binds, and see whether the cost falls"
        )
        warnings.warn(message, FractileWarning, stacklevel=5)
