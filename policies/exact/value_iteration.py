"""Value iteration, for average and for discounted cost, and the distribution over states that a policy leads to."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from .stock_models import StockModel

ITERATIONS = 50_000
"""Sweeps after which an iteration is given up."""


class ValueModel(Protocol):
    """States with orders to choose from: `stock_models` holds two kinds, others may have their own.

    Value functions have the shape of `reachable`.
    """

    @property
    def discount(self) -> float:
        """Factor a period on later costs, in (0, 1]; 1 = average cost. [γ]"""

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """States that the bounds on the value are taken over; no choice leaves them."""

    def update(self, value: FloatArray) -> FloatArray:
        """Return the least expected cost of this period and the discounted value of what follows. [Tv]"""

    def choose(self, value: FloatArray) -> IntArray:
        """Return the index of the choice that attains it, in each state."""


class Solution(NamedTuple):
    """What value iteration found.

    Attributes:
        average_cost: money per period; NaN where later costs are discounted.
        value: relative to the first state of the grid (average cost), or discounted cost, money.
        choice: index of the optimal order, the shape of `value`.
    """

    average_cost: float
    value: FloatArray
    choice: IntArray


def solve(model: ValueModel, tolerance: float, iterations: int = ITERATIONS) -> Solution:
    """Iterate until the optimum is known to within a tolerance.

    With δ = Tv − v over the reachable states, the least average cost lies between min δ and max δ (Odoni 1969), the
    least discounted cost between Tv + γ/(1−γ) min δ and Tv + γ/(1−γ) max δ (MacQueen 1966): the middle is returned
    when the two are close enough.

    Args:
        model: states, orders, costs.
        tolerance: money between lower and upper bound.
        iterations: sweeps after which it is given up.

    Raises:
        FractileError: where the bounds have not met by then.
    """
    averaged = model.discount == 1.0
    factor = 1.0 if averaged else model.discount / (1.0 - model.discount)
    value = np.zeros(model.reachable.shape)
    for _ in range(iterations):
        new = model.update(value)
        change = np.subtract(new, value, out=value)
        low = float(change.min(where=model.reachable, initial=np.inf))
        high = float(change.max(where=model.reachable, initial=-np.inf))
        value = new - float(new.flat[0]) if averaged else new
        if factor * (high - low) < tolerance:
            middle = (low + high) / 2
            value = value if averaged else value + factor * middle
            return Solution(middle if averaged else np.nan, value, model.choose(value))
    raise FractileError(
        f"value iteration did not reach a tolerance of {tolerance:g} in {iterations} iterations; "
        "demand that hardly varies makes costs cycle: raise the tolerance"
    )


def stationary(
    model: StockModel, choice: IntArray, tolerance: float = 1e-12, iterations: int = ITERATIONS
) -> FloatArray:
    """Return the share of periods that begin in each state under a policy, from an empty system.

    Args:
        model: states and orders.
        choice: index of the order in each state.
        tolerance: on the change of the distribution from sweep to sweep, summed over states.
        iterations: sweeps after which it is given up.

    Raises:
        FractileError: where the distribution has not settled by then.
    """
    probability = np.zeros(model.reachable.shape)
    probability.flat[0] = 1.0
    for _ in range(iterations):
        # Half of the mass waits a period: that leaves the shares alone, and cycles die out.
        following = (probability + model.push(probability, choice)) / 2
        if np.abs(following - probability).sum() < tolerance:
            return following / following.sum()
        probability = following
    raise FractileError(f"the distribution over states did not settle in {iterations} periods; raise the tolerance")
