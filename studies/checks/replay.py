"""A baseline that is simulated again: with another safety stock, on fewer paths, or on demand as forecasts have it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...envs.core.period import StockState
from ...envs.core.types import ItemParams, Scenario, Trajectory
from ...policies.base import Policy
from ...policies.rollout import prepare_scenario, simulate
from ...randomness import keyed_generator
from .retuning import shift_stock

CELLS = 30_000
"""Path-item-periods that a policy is simulated on again, at most: whole paths are left out beyond."""
BELIEVED_PATHS = 20
"""Paths that are drawn from forecasts."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What a baseline can be simulated on again, with another safety stock.

    Attributes:
        policy: the baseline.
        scenario: demand and forecasts.
        params: lead times, costs and order rules.
        warm_up: periods at the start that do not count.
        initial_state: what the first period begins with; None = the policy's own target.
    """

    policy: Policy
    scenario: Scenario
    params: ItemParams
    warm_up: int = 0
    initial_state: StockState | None = None

    def shifted(self, periods: float) -> Trajectory:
        """Simulate the baseline with a safety stock of so many periods of mean demand more."""
        policy = shift_stock(self.policy, periods * self.mean_demand) if periods else self.policy
        state = self.initial_state
        return simulate(policy, self.scenario, self.params, initial_state=state, warm_up=self.warm_up)

    def on_demand(self, demand: FloatArray) -> Trajectory:
        """Simulate the policy on other demand, with the same forecasts.

        Args:
            demand: units, shape (paths, periods, items).
        """
        state = self.initial_state
        if state is not None:
            state = _repeat(state, len(demand))
        world = replace(self.scenario, demand=demand)
        return simulate(self.policy, world, self.params, initial_state=state, warm_up=self.warm_up)

    @property
    def mean_demand(self) -> FloatArray:
        """What an item's demand is a period, units, shape (items,): the unit of shifts."""
        return np.asarray(self.scenario.demand, dtype=np.float64).mean((0, 1))

    def first_paths(self, paths: int) -> Replay:
        """Return the same on the first paths alone."""
        scenario, state = self.scenario, self.initial_state
        some = np.arange(paths)
        forecasts = None
        if scenario.forecasts is not None:
            forecasts = [f if len(f.origins) == 1 else f.at_origin(some) for f in scenario.forecasts]
        prices, capacity = (x if x is None or len(x) == 1 else x[:paths] for x in (scenario.prices, scenario.capacity))
        arrivals = scenario.arrivals
        if arrivals is not None and arrivals.shape[1] > 1:
            arrivals = arrivals[:, :paths]
        fewer = Scenario(scenario.demand[:paths], forecasts, arrivals, prices, capacity)
        if state is not None:
            state = type(state)(*(part[..., :paths, :] for part in state))
        return Replay(self.policy, prepare_scenario(self.policy, fewer, self.params), self.params, self.warm_up, state)

    def believed(self) -> Replay | None:
        """Return the same on demand that is drawn from the forecasts: each period's from the one made before it.

        None where nothing is forecast, or where forecasts depend on the path.
        """
        scenario, state = self.scenario, self.initial_state
        forecasts = scenario.forecasts
        if not isinstance(forecasts, (list, tuple)) or any(len(f.origins) != 1 for f in forecasts):
            return None
        paths = int(np.clip(CELLS // (scenario.periods * scenario.items), 2, BELIEVED_PATHS))
        rng = keyed_generator(0, "demand as forecast")
        levels = rng.uniform(size=(scenario.periods, paths, scenario.items, 1, 1))
        drawn = [f.head(1).at_uniforms(u)[..., 0, 0] for f, u in zip(forecasts, levels, strict=True)]
        demand = np.stack(drawn, axis=1)
        if np.array_equal(scenario.demand, np.rint(scenario.demand)):
            demand = np.rint(demand)
        if state is not None:
            state = _repeat(state, paths)
        prices, capacity = (None if x is None else x[:1] for x in (scenario.prices, scenario.capacity))
        arrivals = None if scenario.arrivals is None else scenario.arrivals[:, :1]
        world = Scenario(demand, forecasts, arrivals, prices, capacity, scenario.protection_totals)
        return replace(self, scenario=prepare_scenario(self.policy, world, self.params), initial_state=state)


def _repeat(state: StockState, paths: int) -> StockState:
    """Return the state of the first path, as often as there are paths."""
    return type(state)(*(np.repeat(part[..., :1, :], paths, axis=-2) for part in state))
