"""The order-up-to level, and demand over the protection interval that it is a fractile of.

An order must last for L + R periods. Their demand together is what a level protects against: its forecast is computed
once a scenario (`types.with_protection_totals`), and so are the numbers that encoders read of forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, logit

from ...arrays import Array, FloatArray, IntArray
from ...forecasters.forecast import DemandForecast
from .backend import like


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


class PeriodFeatures(NamedTuple):
    """What an encoder reads of one period's forecast, whatever the state.

    Attributes:
        scale: forecast demand per period, units, shape (1 or paths, items).
        level: the newsvendor's level that actions move around, units, of that shape.
        reach: how far an action of 1 moves it, units, of that shape.
        mean: forecast demand of the period itself, units, of that shape; episodes begin around it.
        rest: the features that depend on nothing else, shape (features, paths, items).
        moved: how the level was moved from the plain newsvendor's: its factor, and the shift of its log-odds.
    """

    scale: Array
    level: Array
    reach: Array
    mean: Array
    rest: Array
    moved: tuple[float, float]

    def like(self, reference: Array) -> PeriodFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return PeriodFeatures(*(like(part, reference) for part in self[:5]), self.moved)


@dataclass(frozen=True, eq=False)
class ForecastFeatures:
    """What an encoder reads of the forecasts of all periods: `PeriodFeatures` of each forecast that differs, stacked.

    Attributes:
        forecasts: what they were computed of, one a period; None where they are a table of all items.
        which: which of the stacked ones is each period's, (periods,).
        scale, level, reach, mean: shape (different, 1 or paths, items).
        rest: shape (different, features, paths, items).
        moved: see `PeriodFeatures`.
    """

    forecasts: Sequence[DemandForecast] | None
    which: tuple[int, ...]
    scale: Array
    level: Array
    reach: Array
    mean: Array
    rest: Array
    moved: tuple[float, float]

    def at(self, period: int) -> PeriodFeatures:
        """Return the features of a period's forecast."""
        k = self.which[period]
        return PeriodFeatures(self.scale[k], self.level[k], self.reach[k], self.mean[k], self.rest[k], self.moved)

    def per_path(self, item: IntArray, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Pick paths of one item each from a table of all items.

        Args:
            item: which item each path holds, shape (paths,).
            forecasts: the paths' own.
        """
        picked = (part[..., 0, item][..., None] for part in self.parts)
        return ForecastFeatures(forecasts, self.which, *picked, self.moved)

    def window(self, first: int, last: int, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Return those of periods first ... last - 1, whose forecasts these are."""
        return replace(self, which=self.which[first:last], forecasts=forecasts)

    def like(self, reference: Array) -> ForecastFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return ForecastFeatures(self.forecasts, self.which, *(like(x, reference) for x in self.parts), self.moved)

    @property
    def parts(self) -> tuple[Array, ...]:
        """The arrays: scale, level, reach, mean, rest."""
        return self.scale, self.level, self.reach, self.mean, self.rest


def are_made(forecasts: Sequence[DemandForecast] | None) -> bool:
    """Whether forecasts are there, all of them: not none, and not made one by one as they are read."""
    return isinstance(forecasts, (list, tuple))


def distinct(forecasts: Sequence[DemandForecast]) -> tuple[list[DemandForecast], list[int]]:
    """Return the forecasts that are objects of their own, and which of them each period's is."""
    different: list[DemandForecast] = []
    which = []
    for forecast in forecasts:
        k = next((k for k in reversed(range(len(different))) if different[k] is forecast), len(different))
        different += [forecast] * (k == len(different))
        which.append(k)
    return different, which
