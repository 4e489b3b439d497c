"""A grid of actions, for agents that choose one of a few: `DQN`, and any other on a `Discrete` space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray
from ...errors import FractileError

MOST_ACTIONS = 4096
"""Actions that a grid may hold; an agent puts out a number for each."""


@dataclass(frozen=True)
class ActionGrid:
    """Equally spaced actions in [−1, 1] for each order; every combination of them has a number.

    Attributes:
        points: actions of one order, from −1 to 1; an odd number has the middle, the newsvendor or the mean order.
        orders: orders of an episode, one an item or a link.

    Raises:
        FractileError: where there are fewer than two points, or too many combinations.
    """

    points: int
    orders: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.points, int | np.integer) or self.points < 2:
            raise FractileError(f"discrete must be an integer >= 2, the number of actions, got {self.points!r}")
        if self.size > MOST_ACTIONS:
            raise FractileError(
                f"discrete={self.points} has {self.size} combinations for {self.orders} orders, at most {MOST_ACTIONS} "
                "are possible; take fewer points, or an agent with continuous actions"
            )

    @property
    def size(self) -> int:
        """Number of combinations: n of `Discrete(n)`."""
        return int(self.points) ** self.orders

    @property
    def values(self) -> FloatArray:
        """Each combination's actions, shape (combinations, orders); the last order moves fastest."""
        line = np.linspace(-1.0, 1.0, self.points)
        grid: FloatArray = np.stack(np.meshgrid(*[line] * self.orders, indexing="ij"), axis=-1)
        return grid.reshape(-1, self.orders)

    def chosen(self, action: NDArray[Any]) -> NDArray[np.integer]:
        """Return numbers of combinations, checked.

        Raises:
            FractileError: where one is no number of a combination.
        """
        number = np.asarray(action)
        if number.dtype.kind not in "iu" or (number < 0).any() or (number >= self.size).any():
            raise FractileError(f"action must be an integer from 0 to {self.size - 1}, got {action}")
        return number
