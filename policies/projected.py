"""The projected-inventory-level policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.order_up_to import by_origin
from ..envs.core.types import ItemParams, Observation
from ..forecasters.demand_forecast import DemandForecast
from .base import check_fractile

DRAWS = 128
"""Demand draws that stock is projected with."""


@dataclass(frozen=True, eq=False)
class Projected:
    """Project stock to the period in which the order arrives, then order up to a fractile of what it must serve.

    `q = max(U − E[stock when the order arrives], 0)`: stock is carried through the lead time with lost sales, so
    that demand that was lost on the way is not bought a second time. U is the critical fractile of demand over the
    R periods that the order serves, times `scale`. The form is van Jaarsveld and Arts' projected inventory level.

    Attributes:
        critical_ratio: the fractile, in (0, 1); b / (b + h) where None.
        scale: factor on U.
    """

    critical_ratio: Any = None
    scale: Any = 1.0

    def __post_init__(self) -> None:
        check_fractile(self.critical_ratio, self.scale)

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        demand = _demand_draws(obs.known_forecast(), obs.params)
        stock = _projected_stock(obs, demand)
        level = self._level(obs, demand)
        return np.maximum(level - stock, 0.0)

    def fractile(self, params: ItemParams) -> Any:
        """Return the fractile that is bought."""
        return params.critical_ratio if self.critical_ratio is None else self.critical_ratio

    def _level(self, obs: Observation, demand: FloatArray) -> FloatArray:
        """The fractile of demand over the periods that this order serves, shape (1 or paths, items)."""
        if _unlike(obs.params):
            return self._mixed_level(obs, demand)
        lead_time, review = int(np.max(obs.params.lead_time)), int(np.max(obs.params.review_period))
        served = obs.known_forecast().after(lead_time).total(review)
        return np.asarray(self.scale) * served.quantile(by_origin(self.fractile(obs.params)))[:, :, 0].T

    def _mixed_level(self, obs: Observation, demand: FloatArray) -> FloatArray:
        """The same where lead times or review periods differ over items: fractiles of the draws."""
        first, last = np.asarray(obs.params.lead_time), np.asarray(obs.params.protection_interval)
        period = np.arange(demand.shape[1])[:, None, None]
        served = np.where((period >= first) & (period < last), demand, 0.0).sum(1)
        level = np.broadcast_to(self.fractile(obs.params), served.shape[1:])
        return np.asarray(self.scale) * _fractile(served, level)


def _unlike(params: ItemParams) -> bool:
    return bool(np.ptp(params.lead_time) or np.ptp(params.review_period))


def _demand_draws(forecast: DemandForecast, params: ItemParams) -> FloatArray:
    """Quasi-random demand over the longest protection interval, shape (draws, horizon, 1 or paths, items)."""
    longest = int(np.max(params.protection_interval))
    return forecast.draws(DRAWS, longest).transpose(0, 3, 2, 1)


def _projected_stock(obs: Observation, demand: FloatArray) -> FloatArray:
    """Expected stock at the start of the period in which an order placed now arrives, shape (paths, items)."""
    lead_time = np.broadcast_to(obs.params.lead_time, obs.net_inventory.shape)
    lost_share = obs.params.lost_share
    stock = np.broadcast_to(obs.net_inventory, (len(demand), *obs.net_inventory.shape))
    expected = np.array(obs.net_inventory, dtype=np.float64)
    for k in range(len(obs.pipeline)):
        gap = stock + obs.pipeline[k] - demand[:, k]
        stock = gap + lost_share * np.minimum(np.maximum(-gap, 0.0), demand[:, k])
        expected = np.where(lead_time == k + 1, stock.mean(0), expected)
    return expected


def _fractile(draws: FloatArray, level: FloatArray) -> FloatArray:
    """Quantiles along the first axis, each at a level of its own."""
    ordered = np.sort(draws, axis=0)
    position = np.clip(np.broadcast_to(level, draws.shape[1:]) * len(draws) - 0.5, 0, len(draws) - 1)
    low = np.floor(position).astype(np.int64)
    pair = [np.take_along_axis(ordered, np.minimum(low + k, len(draws) - 1)[None], 0)[0] for k in (0, 1)]
    result: FloatArray = pair[0] + (position - low) * (pair[1] - pair[0])
    return result
