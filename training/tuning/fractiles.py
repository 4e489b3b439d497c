"""Policies that read forecasts: a scale and a shift of the fractile's log-odds, shared by all items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...envs.core.backend import positive_part
from ...envs.core.forecast_features import fractile_of, shifted_ratio
from ...envs.core.types import Observation, Scenario
from ...forecasters.demand_forecast import DemandForecast
from ...policies.base import Policy
from ...policies.newsvendor import demand_draws, fractile_served, projected_stock
from .candidates import Make

DRAWS = 32
"""Draws of demand that stock is projected with while candidates are compared."""


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels of all candidates: rows are candidates, each with all paths.

    Attributes:
        scale: factor on the fractile, (rows,).
        which: of the shifts in `table`, (rows,).
        path: which path each row is, (rows,).
        table: fractiles by shift, period and path, (shifts, periods, 1 or paths, items).
    """

    scale: FloatArray
    which: Any
    path: Any
    table: FloatArray

    def at(self, period: int) -> FloatArray:
        """Return the level of each row, units, (rows, items)."""
        now = self.table[:, period]
        found: FloatArray = now[self.which, self.path if now.shape[1] > 1 else 0] * self.scale[:, None]
        return found


@dataclass(frozen=True, eq=False)
class _Newsvendors:
    levels: _Levels

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (rows, items)."""
        return np.asarray(positive_part(self.levels.at(obs.period) - obs.inventory_position))

    def target(self, obs: Observation) -> FloatArray:
        """Return the order-up-to level, units, (rows, items)."""
        return self.levels.at(obs.period)


@dataclass(frozen=True, eq=False)
class _Projections:
    levels: _Levels

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (rows, items)."""
        return np.maximum(self.levels.at(obs.period) - projected_stock(obs, demand_draws(obs, DRAWS)), 0.0)


@dataclass(frozen=True, eq=False)
class _Apart:
    """Candidates that order one after the other, each for its own block of rows.

    Attributes:
        policies: one a candidate.
        scenario: forecasts and their totals.
        params: of the items.
    """

    policies: list[Any]
    scenario: Scenario
    params: Any

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (rows, items)."""
        return np.concatenate([p.order(self._of(obs, k)) for k, p in enumerate(self.policies)])

    def target(self, obs: Observation) -> FloatArray:
        """Return the order-up-to level, units, (rows, items)."""
        shape = (self.scenario.paths, self.scenario.items)
        levels = (p.target(self._of(obs, k)) for k, p in enumerate(self.policies))
        return np.concatenate([np.broadcast_to(level, shape) for level in levels])

    def _of(self, obs: Observation, candidate: int) -> Observation:
        rows = slice(candidate * self.scenario.paths, (candidate + 1) * self.scenario.paths)
        totals = self.scenario.protection_totals
        return Observation(
            obs.period,
            obs.net_inventory[rows],
            obs.pipeline[:, rows],
            self.params,
            self.scenario.forecast(obs.period),
            total=None if totals is None else totals.totals[obs.period],
        )


def one_by_one(make: Callable[[float, float], Policy], scenario: Scenario, params: Any) -> Make:
    """Return what makes candidates of a scale and a shift whose orders are too much work to be found together.

    Args:
        make: from scale and shift to the policy.
        scenario: with forecasts.
        params: of its items.
    """

    def rows(theta: FloatArray) -> Policy:
        points = theta[:: scenario.paths, 0]
        return _Apart([make(float(1.0 + scale), float(shift)) for scale, shift in points], scenario, params)

    return rows


@dataclass(eq=False)
class Fractiles:
    """Makes candidates of a scale and a shift; fractiles are computed once for each shift.

    Attributes:
        scenario: with forecasts; with totals over the protection interval where the newsvendor is tuned.
        params: lead times and costs.
        projected: candidates project stock, as `Projected`; else they are newsvendors.
        known: the fractiles of each shift so far, (periods, 1 or paths, items).
    """

    scenario: Scenario
    params: Any
    projected: bool = False
    known: dict[float, FloatArray] = field(default_factory=dict)

    @property
    def make(self) -> Make:
        """From coordinates (rows, columns, 2), scale − 1 and shift, to the policy of all rows."""
        return self._make

    def _make(self, theta: FloatArray) -> Policy:
        scale, shift = 1.0 + theta[:, 0, 0], np.round(theta[:, 0, 1], 9)
        shifts, which = np.unique(shift, return_inverse=True)
        table = np.stack([self._fractiles(float(s)) for s in shifts])
        levels = _Levels(scale, which, np.arange(len(theta)) % self.scenario.paths, table)
        return _Projections(levels) if self.projected else _Newsvendors(levels)

    def _fractiles(self, shift: float) -> FloatArray:
        if shift not in self.known:
            ratio = shifted_ratio(self.params.critical_ratio, shift)
            self.known[shift] = np.stack([self._at(period, ratio) for period in range(self.scenario.periods)])
        return self.known[shift]

    def _at(self, period: int, ratio: Any) -> FloatArray:
        totals = self.scenario.protection_totals
        if not self.projected and totals is not None:
            return fractile_of(totals.totals[period], ratio)
        forecasts: Sequence[DemandForecast] = self.scenario.forecasts or ()
        nothing = np.zeros((self.scenario.paths, self.scenario.items))
        obs = Observation(period, nothing, np.zeros((0, *nothing.shape)), self.params, forecasts[period])
        if self.projected:
            return fractile_served(obs, demand_draws(obs, DRAWS), ratio)
        return fractile_of(obs.protection_total(), ratio)
