"""Forecasts that evolve: one forecast carried along paths, its spread shrinking as periods come nearer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...forecasters.calibration.dependence import Dependence, Method
from ...forecasters.data.nixtla import Style
from ...forecasters.demand_forecast import DRAWS, DemandForecast, check_origin, check_span
from ...forecasters.forecast import QuantileForecast
from ...forecasters.interpolation import interpolation_weights, mean_weights, sorted_quantiles
from .evolution import ForecastEvolution

POWERS = 2.0 ** np.linspace(-4.0, 2.0, 25)
"""Powers that relative demand may be raised to; 1 is one of them."""
GRID = 2048


@dataclass(frozen=True, eq=False)
class EvolvedForecasts:
    """What is forecast in each period, up to the news that a path brings.

    Let V_k be the log-variance `log(1 + cv²)` of period k under the first forecast, and R_j the log-variance that
    revisions take away between lead j and the period itself. When period k begins, `r_k` is left of it, with
    `r_k = max(V_k − R_k, min(V_k, V_0))`; seen from j periods before, `r_k + R_j`. So the first forecast is seen as
    it is, uncertainty shrinks as the period comes nearer, and what is left is what demand is drawn with. Where past
    revisions were larger than the first forecast's own spread admits, forecasts are that much wider instead,
    so that a period which begins is never surer than the first forecast was of it or of its own first period.

    The shape is that of the first forecast with relative demand raised to a power, scaled to the right mean: exact for
    lognormal demand; otherwise mean and variance are right at every lead, and at lead 0 everything is.

    Attributes:
        levels: shape (Q,). [τ]
        base: quantiles of period t + k as of the beginning of t, before news, units, shape (items, periods, span, Q).
        correlation: how demand of the periods seen moves together, shape (periods, items, span, span).
        origin: of the first forecast.
        item_ids: one text an item.
    """

    levels: FloatArray
    base: FloatArray
    correlation: FloatArray
    origin: int
    item_ids: tuple[str, ...]

    @classmethod
    def of(cls, first: DemandForecast, evolution: ForecastEvolution, periods: int, span: int) -> EvolvedForecasts:
        """Lay out the forecasts of all periods.

        Args:
            first: one origin, reaching at least periods + span − 1 periods ahead.
            evolution: the model of revisions.
            periods: length of the paths.
            span: periods ahead that forecasts are seen.
        """
        targets = periods + span - 1
        scale = evolution.scale_of(first.item_ids)
        mean = first.mean()[:, 0, :targets]
        relative = first.values[:, 0, :targets] / np.where(mean > 0, mean, 1.0)[..., None]
        table = _log_variances(relative, first.levels)
        resolved = scale[:, None] ** 2 * evolution.resolved(targets)
        # What is left of each period when it begins [r]. Zeros are not resolved by factors: what the smallest power
        # leaves is left in any case.
        total = table[..., np.flatnonzero(POWERS == 1.0)[0]]
        least = np.maximum(np.minimum(total, total[:, :1]), table[..., 0])
        left = np.maximum(total - resolved[:, :targets], least) + 1e-12
        seen = np.arange(periods)[:, None] + np.arange(span)
        wanted = left[:, seen] + resolved[:, None, :span]
        # The powers whose log-variances are as wanted: standard deviations are interpolated.
        root, target = np.sqrt(table[:, seen]), np.sqrt(wanted)[..., None]
        below = np.clip((root <= target).sum(-1, keepdims=True) - 1, 0, len(POWERS) - 2)
        low, high = (np.take_along_axis(root, below + k, -1) for k in (0, 1))
        share = np.clip((target - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        power = (POWERS[below] + share * (POWERS[below + 1] - POWERS[below]))[..., 0]
        shape = relative[:, seen] ** power[..., None]
        middle = shape @ mean_weights(tuple(first.levels))
        base = shape * (mean[:, seen] / np.where(middle > 0, middle, 1.0))[..., None]
        correlation = np.stack([evolution.demand_correlation(left[:, row], scale) for row in seen])
        return cls(first.levels, base, correlation, int(first.origins[0]), first.item_ids)

    def at(self, period: int, rows: IntArray, log_factor: FloatArray) -> CarriedForecast:
        """Return the forecast that is valid in a period.

        Args:
            period: t, counted from 0.
            rows: which item each path holds, shape (items, 1), or (1, paths) where every path has one of its own.
            log_factor: the news so far, shape (items or 1, paths, span).

        Returns:
            values (items or 1, paths, span, Q).
        """
        every = np.arange(len(self.item_ids))[:, None]
        dependence = Dependence(self.correlation[period], every)
        origin = np.array([self.origin + period], dtype=np.int64)
        unit = QuantileForecast.unchecked(self.levels, self.base[:, period, None], origin, self.item_ids, dependence)
        ids = self.item_ids if rows.shape[1] == 1 and len(rows) == len(self.item_ids) else ("*",)
        factor = np.exp(log_factor)
        return CarriedForecast(unit, np.broadcast_to(rows, factor.shape[:2]), factor, ids)


@dataclass(frozen=True, eq=False)
class CarriedForecast:
    """A forecast of each item, multiplied on each path by what news has done to it.

    All paths of an item share the draws of its forecast before news, so that sums cost a matrix product and a sort.

    Attributes:
        unit: the forecasts before news, values (all items, 1, horizon, Q).
        rows: which of them a path carries, integers of shape (items, paths).
        factor: what it has been multiplied by, shape (items, paths, horizon).
        item_ids: one text an item.
        shown: the quantiles as they have become, which follow from these.
    """

    unit: QuantileForecast
    rows: IntArray
    factor: FloatArray
    item_ids: tuple[str, ...]
    shown: QuantileForecast = field(init=False, repr=False)

    def __post_init__(self) -> None:
        unit, dependence = self.unit, self.unit.dependence
        if dependence is not None:
            bands = np.broadcast_to(dependence.band, unit.values.shape[:2])
            dependence = replace(dependence, band=bands[self.rows, 0])
        values = unit.values[self.rows, 0] * self.factor[..., None]
        origins = np.repeat(unit.origins, self.rows.shape[1])
        shown = QuantileForecast.unchecked(unit.levels, values, origins, self.item_ids, dependence)
        object.__setattr__(self, "shown", shown)

    @property
    def levels(self) -> FloatArray:
        """Quantile levels, shape (Q,)."""
        return self.shown.levels

    @property
    def values(self) -> FloatArray:
        """Quantiles, units, shape (items, paths, horizon, Q)."""
        return self.shown.values

    @property
    def origins(self) -> IntArray:
        """The period index of each origin; every path is one."""
        return self.shown.origins

    @property
    def dates(self) -> None:
        """Simulated periods have no dates."""
        return

    @property
    def freq(self) -> None:
        """Simulated periods have no dates."""
        return

    @property
    def dependence(self) -> Dependence | None:
        """How demand of successive periods moves together."""
        return self.shown.dependence

    @property
    def horizon(self) -> int:
        """Periods ahead that are forecast."""
        return self.shown.horizon

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return a quantile: see `QuantileForecast.quantile`."""
        return self.shown.quantile(level)

    def mean(self) -> FloatArray:
        """Return the mean, shape (items, paths, horizon)."""
        return self.shown.mean()

    def sample(self, paths: int, rng: np.random.Generator, method: Method | None = None) -> FloatArray:
        """Draw demand: see `QuantileForecast.sample`."""
        return self.shown.sample(paths, rng, method)

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for normal draws: see `QuantileForecast.at_normals`."""
        return self.shown.at_normals(normal)

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by inverse transform: see `QuantileForecast.at_uniforms`."""
        return self.shown.at_uniforms(uniform)

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return quasi-random draws: see `QuantileForecast.draws`."""
        return self.shown.draws(number, horizon)

    def total(self, span: ArrayLike) -> QuantileForecast:
        """Return the forecast of demand summed over the first `span` periods: see `QuantileForecast.total`."""
        spans = np.broadcast_to(check_span(self, span), self.rows.shape).ravel()
        drawn = self.unit.draws(horizon=int(spans.max()))[:, :, 0]
        owner, factor = self.rows.ravel(), self.factor.reshape(len(spans), -1)
        # The sum over one period is that period, without the error of draws.
        out = self.values[:, :, 0].reshape(len(spans), -1).copy()
        order = np.lexsort((spans, owner))
        new = (np.diff(owner[order]) != 0) | (np.diff(spans[order]) != 0)
        for cells in np.split(order, np.flatnonzero(new) + 1):
            many = spans[cells[0]]
            if many > 1:
                sums = factor[cells, :many] @ drawn[:, owner[cells[0]], :many].T
                sums.sort(axis=1)
                out[cells] = sorted_quantiles(sums.T[:, None, :, None], self.levels)[0, :, 0]
        values = out.reshape(*self.rows.shape, 1, -1)
        return QuantileForecast.unchecked(self.levels, values, self.origins, self.item_ids)

    def after(self, periods: int) -> CarriedForecast:
        """Return the forecast of the time from `periods` periods later on."""
        return replace(self, unit=self.unit.after(periods), factor=self.factor[..., periods:])

    def head(self, horizon: int) -> CarriedForecast:
        """Return the first `horizon` periods of the forecast."""
        return replace(self, unit=self.unit.head(horizon), factor=self.factor[..., :horizon])

    def at_origin(self, index: int | IntArray) -> CarriedForecast:
        """Return the forecast of one origin or of several, by position; the origins axis stays."""
        chosen = check_origin(self, index)
        return replace(self, rows=self.rows[:, chosen], factor=self.factor[:, chosen])

    def take(self, item: IntArray, origin: IntArray) -> CarriedForecast:
        """Return pairs of items and origins, side by side: see `QuantileForecast.take`."""
        rows, factor = self.rows[item, origin][None], self.factor[item, origin][None]
        return replace(self, rows=rows, factor=factor, item_ids=("*",))

    def select(self, items: IntArray) -> CarriedForecast:
        """Return the forecast of the items at these positions."""
        ids = tuple(self.item_ids[i] for i in items)
        return replace(self, rows=self.rows[items], factor=self.factor[items], item_ids=ids)

    def with_dependence(self, dependence: Dependence) -> QuantileForecast:
        """Return the same quantiles with another dependence over the horizon."""
        return self.shown.with_dependence(dependence)

    def to_frame(self) -> pd.DataFrame:
        """Return a long frame: see `QuantileForecast.to_frame`."""
        return self.shown.to_frame()

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Refuse, as `QuantileForecast.to_nixtla` does where there are no dates."""
        return self.shown.to_nixtla(style, model)


def _log_variances(relative: FloatArray, levels: FloatArray) -> FloatArray:
    """Log-variance of relative demand raised to each of the powers, shape (items, targets, powers)."""
    weights = interpolation_weights(levels, (np.arange(GRID) + 0.5) / GRID)
    square = weights.T @ weights / GRID
    out = np.empty((*relative.shape[:2], len(POWERS)))
    for n, power in enumerate(POWERS):
        shape = relative**power
        mean = shape @ mean_weights(tuple(levels))
        second = np.einsum("itp,pq,itq->it", shape, square, shape, optimize=True)
        out[..., n] = np.where(mean > 0, np.log(np.maximum(second / np.where(mean > 0, mean, 1.0) ** 2, 1.0)), 0.0)
    return np.maximum.accumulate(out, axis=-1)
