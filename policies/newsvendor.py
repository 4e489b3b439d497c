"""Newsvendor policies: order up to a fractile of demand over the protection interval.

The level itself is computed in `envs.core.order_up_to`, below policies, because environments start from it and let
actions move it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from ..arrays import Array
from ..envs.core.backend import like, positive_part
from ..envs.core.order_up_to import fractile_of, shifted_ratio
from ..envs.core.types import ItemParams, Observation
from ..envs.demand.distributions import Normal
from .base import check_fractile


@dataclass(frozen=True, eq=False)
class Newsvendor:
    """Order up to the critical fractile of demand over the protection interval, on the inventory position.

    `q = max(scale · F⁻¹(critical ratio) − inventory position, 0)` with F the forecast of demand summed over L + R
    periods. Optimal for backorders without fixed cost; too high for lost sales, where not all of the demand that
    it protects against can happen to the stock.

    Attributes:
        critical_ratio: the fractile, in (0, 1), one for all or per item; b / (b + h) where None.
        scale: factor on the level, one for all or per item.
    """

    reads_protection_total: ClassVar[bool] = True

    critical_ratio: Any = None
    scale: Any = 1.0

    def __post_init__(self) -> None:
        check_fractile(self.critical_ratio, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return positive_part(like(self.target(obs), obs.net_inventory) - obs.inventory_position)

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units, shape (1 or paths, items). [S]"""
        return np.asarray(self.scale) * fractile_of(obs.protection_total(), self.fractile(obs.params))

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return params.critical_ratio if self.critical_ratio is None else self.critical_ratio


@dataclass(frozen=True, eq=False)
class TunedNewsvendor:
    """The newsvendor with a scale and a safety factor found by simulation: the headline baseline.

    `S = scale · F⁻¹(σ(logit(b / (b + h)) + shift))`: the two numbers absorb what the formula leaves out, such as lost
    sales, packs and a forecaster that is too sure of itself. `training.tune` finds them.

    Attributes:
        scale: factor on the level.
        shift: added to the critical ratio's log-odds.
    """

    reads_protection_total: ClassVar[bool] = True

    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_fractile(None, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return self._newsvendor(obs.params).order(obs)

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units, shape (1 or paths, items). [S]"""
        return self._newsvendor(obs.params).target(obs)

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return shifted_ratio(params.critical_ratio, self.shift)

    def _newsvendor(self, params: ItemParams) -> Newsvendor:
        return Newsvendor(critical_ratio=self.fractile(params), scale=self.scale)


def normal_newsvendor(demand: Normal, params: ItemParams) -> tuple[float, float]:
    """Return the optimal level and its cost per period for normal demand with backorders and no fixed cost.

    `S = (L + R) μ + z σ √(L + R)` and cost `(h + b) φ(z) σ √(L + R)` with `z = Φ⁻¹(b/(b + h))`: demand is taken as
    normal, below zero as well (Snyder and Shen 2019, section 4.3).

    Args:
        demand: of one item.
        params: lead time and costs; backorders, or one period without lead time.

    >>> level, cost = normal_newsvendor(Normal(50.0, 8.0), ItemParams(holding_cost=0.18, stockout_cost=0.70))
    >>> round(level, 4), round(cost, 4)
    (56.604, 1.9976)
    """
    span = float(params.protection_interval)
    z = float(ndtri(params.critical_ratio))
    spread = float(np.asarray(demand.standard_deviation).item()) * np.sqrt(span)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    level = span * float(np.asarray(demand.mean).item()) + z * spread
    return float(level), float((params.holding_cost + params.stockout_cost) * density * spread)
