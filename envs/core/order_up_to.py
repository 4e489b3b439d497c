"""The order-up-to level, and demand over the protection interval that it is a fractile of.

An order must last for L + R periods. Their demand together is what a level protects against: its forecast is computed
once a scenario (`types.with_protection_totals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from ...arrays import FloatArray, IntArray
from ...forecasters.demand_forecast import DemandForecast
from .forecast_features import distinct


def order_up_to_level(forecast: DemandForecast, params: Any, critical_ratio: Any = None) -> FloatArray:
    """Return the newsvendor's level: the critical fractile of demand over the protection interval.

    Args:
        forecast: values (items, origins, horizon, Q), reaching at least L + R periods ahead.
        params: lead times, review periods and costs.
        critical_ratio: another level in (0, 1), one for all or per item; b / (b + h) where None.

    Returns:
        units, shape (origins, items). [S]
    """
    ratio = params.critical_ratio if critical_ratio is None else critical_ratio
    return fractile_of(protection_total(forecast, params), ratio)


def protection_total(forecast: DemandForecast, params: Any) -> DemandForecast:
    """Return the forecast of demand summed over each item's protection interval, L + R periods; a horizon of one."""
    return forecast.total(by_origin(params.protection_interval))


def fractile_of(total: DemandForecast, critical_ratio: Any) -> FloatArray:
    """Return a fractile of a forecast with a horizon of one, one level for all or per item, shape (origins, items)."""
    return total.quantile(by_origin(critical_ratio))[:, :, 0].T


def by_origin(value: Any) -> Any:
    """Turn a parameter that broadcasts to (paths, items) into one that broadcasts to (items, origins)."""
    array = np.asarray(value)
    return array if array.ndim == 0 else array.reshape(-1, 1) if array.ndim == 1 else array.T


def shifted_ratio(ratio: Any, shift: float) -> Any:
    """Return a critical ratio whose log-odds are moved by `shift`."""
    return ratio if shift == 0 else np.clip(expit(logit(ratio) + shift), 1e-6, 1 - 1e-6)


@dataclass(frozen=True, eq=False)
class ProtectionTotals:
    """Forecasts of demand over the protection interval, one a period: see `types.with_protection_totals`.

    Attributes:
        forecasts: what they are the totals of.
        span: the protection intervals, periods, broadcasts to (items, origins). [L + R]
        totals: one forecast a period, with a horizon of one.
    """

    forecasts: Sequence[DemandForecast]
    span: IntArray
    totals: Sequence[DemandForecast]

    @classmethod
    def of(cls, forecasts: Sequence[DemandForecast], params: Any) -> ProtectionTotals:
        """Sum the forecasts of all periods; periods that share a forecast share its total."""
        different, which = distinct(forecasts)
        totals = [protection_total(forecast, params) for forecast in different]
        return cls(forecasts, by_origin(params.protection_interval), [totals[k] for k in which])

    def fits(self, params: Any) -> bool:
        """Whether these are the protection intervals of the parameters."""
        return np.array_equal(self.span, by_origin(params.protection_interval))

    def select(self, items: IntArray, forecasts: Sequence[DemandForecast]) -> ProtectionTotals:
        """Return those of the items at these positions, whose forecasts these are."""
        different, which = distinct(self.totals)
        some = [total.select(items) for total in different]
        span = self.span if self.span.ndim == 0 or len(self.span) == 1 else self.span[items]
        return ProtectionTotals(forecasts, span, [some[k] for k in which])
