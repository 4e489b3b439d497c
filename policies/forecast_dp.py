"""Exact dynamic programming on the forecast's distribution, for items whose forecast hardly changes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..envs.core.params import ItemParams
from ..envs.core.types import Observation
from ..envs.demand.distributions import Discrete
from ..errors import Faults
from .exact.dynamic_programming import DynamicProgramming
from .lookahead import Lookahead


@dataclass(frozen=True, eq=False)
class ForecastDynamicProgramming:
    """The optimal order for independent demand of one distribution a period; `lookahead` where demand is not like that.

    An item is solved once, for the distribution that its forecast had on average; `tune_policy("forecast_dp", ...)`
    says for which items that is reasonable. In every period, the optimal order of an item's state is placed as long
    as its forecast of demand over the protection interval has a mean within `tolerance` of what was solved; otherwise,
    and for items that are not solved, the order is that of `Lookahead`.

    Attributes:
        probabilities: of a period's demand of 0, 1, … units, shape (items, n + 1).
        solved: which items are solved, shape (items,); 1 or 0.
        params: lead times, costs and order rules of the items.
        tolerance: share of the mean by which a forecast may differ from what was solved.
        solutions: of the items that are solved, by position; solved when the policy is made.

    Raises:
        FractileError: where an item cannot be solved, or a field breaks its rule.
    """

    probabilities: FloatArray
    solved: FloatArray
    params: ItemParams
    tolerance: float = 0.2
    solutions: dict[int, DynamicProgramming] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        probabilities, solved = np.asarray(self.probabilities, np.float64), np.asarray(self.solved, np.float64)
        faults = Faults()
        if probabilities.ndim != 2 or solved.shape != probabilities.shape[:1]:
            faults.add(
                "probabilities must be (items, units + 1) and solved (items,), "
                f"got {probabilities.shape} and {solved.shape}"
            )
        if not 0 <= self.tolerance < np.inf:
            faults.add(f"tolerance must be a number >= 0, got {self.tolerance}")
        faults.raise_if_any()
        solutions = {}
        for item in np.flatnonzero(solved).tolist():
            units = np.flatnonzero(probabilities[item])
            demand = Discrete(probabilities[item, : units[-1] + 1])
            solutions[item] = DynamicProgramming(demand, self.params.select(np.array([item])).as_numbers())
            solutions[item].solution  # noqa: B018  # solved here, not in the first period
        object.__setattr__(self, "probabilities", probabilities)
        object.__setattr__(self, "solved", solved)
        object.__setattr__(self, "solutions", solutions)

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        alike = self._alike(obs)
        order = Lookahead().order(obs)
        for item, optimal in self.solutions.items():
            rows = np.flatnonzero(alike[:, item])
            if len(rows):
                state = Observation(
                    obs.period, obs.net_inventory[rows, item, None], obs.pipeline[:, rows, item, None], optimal.params
                )
                order[rows, item] = optimal.order(state)[:, 0]
        return order

    def target(self, obs: Observation) -> FloatArray:
        """Return the newsvendor's level, units, shape (1 or paths, items). [S]"""
        return Lookahead().target(obs)

    def _alike(self, obs: Observation) -> BoolArray:
        """Where the forecast is like what was solved, (paths, items)."""
        usual = (
            self.probabilities @ np.arange(self.probabilities.shape[1]) * np.asarray(self.params.protection_interval)
        )
        mean = obs.protection_total().mean()[:, :, 0].T
        return np.broadcast_to(np.abs(mean - usual) <= self.tolerance * usual, obs.net_inventory.shape)
