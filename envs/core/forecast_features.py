"""What policies and encoders read of forecasts: order-up-to levels, protection totals and features.

None of it depends on the state: it is computed once a scenario. An order must last for L + R periods; the demand of
these together is what a level protects against (`types.with_protection_totals`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, logit

from ...arrays import Array, FloatArray, IntArray
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.several import total_each
from .backend import like


class PeriodFeatures(NamedTuple):
    """What an encoder reads of one period's forecast.

    Attributes:
        parts: arrays, a NamedTuple of the encoder's own, e.g. `ItemFeatures`.
        made_for: what they depend on besides; an encoder with another one computes its own.
    """

    parts: Any
    made_for: Any

    def like(self, reference: Array) -> PeriodFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return PeriodFeatures(type(self.parts)(*(like(part, reference) for part in self.parts)), self.made_for)


@dataclass(frozen=True, eq=False)
class ForecastFeatures:
    """What an encoder reads of the forecasts of all periods.

    Attributes:
        forecasts: what they were computed of, one a period; None where they are a table of all items.
        which: which of the different forecasts each period's is, (periods,).
        parts: see `PeriodFeatures`; those of the different forecasts, stacked along a new first axis.
        made_for: see `PeriodFeatures`.
    """

    forecasts: Sequence[DemandForecast] | None
    which: tuple[int, ...]
    parts: Any
    made_for: Any

    @classmethod
    def of(
        cls, forecasts: Sequence[DemandForecast], read: Callable[[DemandForecast, int], Any], made_for: Any
    ) -> ForecastFeatures:
        """Read forecasts, each once.

        Args:
            forecasts: one a period.
            read: returns the parts of a forecast, given a period that it is valid in.
            made_for: see `PeriodFeatures`.
        """
        different, which = distinct(forecasts)
        found = [read(forecast, which.index(k)) for k, forecast in enumerate(different)]
        # Some forecasts may be one for all paths and others one for each.
        stacked = (np.stack(np.broadcast_arrays(*column)) for column in zip(*found, strict=True))
        return cls(forecasts, tuple(which), type(found[0])(*stacked), made_for)

    def at(self, period: int) -> PeriodFeatures:
        """Return the features of a period's forecast."""
        k = self.which[period]
        return PeriodFeatures(type(self.parts)(*(part[k] for part in self.parts)), self.made_for)

    def per_path(self, item: IntArray, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Pick paths of one item each from a table of all items, parts (..., 1, items).

        Args:
            item: which item each path holds, shape (paths,).
            forecasts: the paths' own.
        """
        # `take` keeps paths last in memory; fancy indexing would put them first, which slows every later read.
        return self._map(lambda part: np.take(part[..., 0, :], item, axis=-1)[..., None], forecasts)

    def window(self, first: int, last: int, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Return those of periods first ... last - 1, whose forecasts these are."""
        return replace(self, which=self.which[first:last], forecasts=forecasts)

    def like(self, reference: Array) -> ForecastFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return self._map(lambda part: like(part, reference), self.forecasts)

    def _map(self, change: Callable[[Array], Array], forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        parts = type(self.parts)(*map(change, self.parts))
        return ForecastFeatures(forecasts, self.which, parts, self.made_for)


def are_made(forecasts: Sequence[DemandForecast]) -> bool:
    """Whether all forecasts are there: they are not made one by one as they are read."""
    return isinstance(forecasts, (list, tuple))


def distinct(forecasts: Sequence[DemandForecast]) -> tuple[list[DemandForecast], list[int]]:
    """Return the forecasts that are objects of their own, and which of them each period's is."""
    different: list[DemandForecast] = []
    which = []
    for forecast in forecasts:
        # Periods that share a forecast follow each other, or come back with the season.
        k = next((k for k in reversed(range(len(different))) if different[k] is forecast), len(different))
        different += [forecast] * (k == len(different))
        which.append(k)
    return different, which


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
        span = by_origin(params.protection_interval)
        totals = total_each(different, span)
        return cls(forecasts, span, [totals[k] for k in which])

    def fits(self, params: Any) -> bool:
        """Whether these are the protection intervals of the parameters."""
        return np.array_equal(self.span, by_origin(params.protection_interval))

    def select(self, items: IntArray, forecasts: Sequence[DemandForecast]) -> ProtectionTotals:
        """Return those of the items at these positions, whose forecasts these are."""
        different, which = distinct(self.totals)
        some = [total.select(items) for total in different]
        span = self.span if self.span.ndim == 0 or len(self.span) == 1 else self.span[items]
        return ProtectionTotals(forecasts, span, [some[k] for k in which])
