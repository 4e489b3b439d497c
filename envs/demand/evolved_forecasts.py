"""Forecasts that evolve: one forecast carried along paths, its spread shrinking as periods come nearer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...forecasters.forecast import (
    Dependence,
    QuantileForecast,
)
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
    `r_k = max(V_k − R_k, min(V_k, V_0))`; seen from j periods before, `r_k + R_j`. So the first forecast is shown as
    it is, uncertainty shrinks as the period comes nearer, and what is left is what demand is drawn with. Where past
    revisions were larger than the first forecast's own spread admits, forecasts are shown that much wider instead,
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
    def of(cls, first: QuantileForecast, evolution: ForecastEvolution, periods: int, span: int) -> EvolvedForecasts:
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
        left = _left(table, resolved[:, :targets])
        seen = np.arange(periods)[:, None] + np.arange(span)
        wanted = left[:, seen] + resolved[:, None, :span]
        power = _powers(table[:, seen], wanted)
        shape = relative[:, seen] ** power[..., None]
        middle = shape @ mean_weights(tuple(first.levels))
        base = shape * (mean[:, seen] / np.where(middle > 0, middle, 1.0))[..., None]
        correlation = np.stack([evolution.demand_correlation(left[:, row], scale) for row in seen])
        return cls(first.levels, base, correlation, int(first.origins[0]), first.item_ids)

    def at(self, period: int, rows: IntArray, log_factor: FloatArray) -> QuantileForecast:
        """Return the forecast that is valid in a period.

        Args:
            period: t, counted from 0.
            rows: which item each path holds, shape (items, 1), or (1, paths) where every path has one of its own.
            log_factor: the news so far, shape (items or 1, paths, span).

        Returns:
            values (items or 1, paths, span, Q).
        """
        values = self.base[rows, period] * np.exp(log_factor)[..., None]
        ids = self.item_ids if rows.shape[1] == 1 and len(rows) == len(self.item_ids) else ("*",)
        origins = np.full(values.shape[1], self.origin + period, dtype=np.int64)
        dependence = Dependence(self.correlation[period], rows)
        every = np.arange(len(self.item_ids))[:, None]
        unit = QuantileForecast(
            self.levels,
            self.base[:, period, None],
            origins[:1],
            self.item_ids,
            dependence=replace(dependence, band=every),
        )
        return CarriedForecast(
            self.levels, values, origins, ids, dependence=dependence, unit=unit, rows=rows, factor=np.exp(log_factor)
        )


@dataclass(frozen=True, eq=False)
class CarriedForecast(QuantileForecast):
    """A forecast of an item, multiplied on each path by what news has done to it.

    All paths of an item share the draws behind `total`, so that sums cost a matrix product and a sort.

    Attributes:
        unit: the forecasts before news, values (all items, 1, horizon, Q).
        rows: which of them a path carries: see `EvolvedForecasts.at`.
        factor: what it has been multiplied by, shape (items or 1, paths, horizon).
    """

    unit: QuantileForecast = None  # type: ignore[assignment]  # dataclass fields behind defaults need one
    rows: IntArray = None  # type: ignore[assignment]
    factor: FloatArray = None  # type: ignore[assignment]

    def total(self, span: ArrayLike) -> QuantileForecast:
        """Return the forecast of demand summed over the first `span` periods: see `QuantileForecast.total`."""
        longest = int(np.max(span))
        if 1 < longest <= self.horizon and longest not in self._cumulative:
            self._cumulative[longest] = self._sums(longest)
        return self._plain.total(span)

    def after(self, periods: int) -> QuantileForecast:
        """Return what the same forecast says of the time from `periods` periods later on."""
        return self._plain.after(periods)

    def head(self, horizon: int) -> QuantileForecast:
        """Return the first `horizon` periods of the forecast."""
        return self._plain.head(horizon)

    def at_origin(self, index: int) -> QuantileForecast:
        """Return the forecast of one origin, by its position; the origins axis stays, with length one."""
        return self._plain.at_origin(index)

    def take(self, item: IntArray, origin: IntArray) -> QuantileForecast:
        """Pick pairs of items and origins: see `QuantileForecast.take`."""
        return self._plain.take(item, origin)

    def select(self, items: IntArray) -> QuantileForecast:
        """Return the forecast of the items at these positions; sums that were computed before are kept."""
        return self._plain.select(items)

    def with_dependence(self, dependence: Dependence) -> QuantileForecast:
        """Return the same quantiles with another dependence over the horizon."""
        return self._plain.with_dependence(dependence)

    @property
    def _plain(self) -> QuantileForecast:
        """The same forecast without knowing where it came from; the sums that are kept are the same object."""
        return QuantileForecast(
            self.levels,
            self.values,
            self.origins,
            self.item_ids,
            dependence=self.dependence,
            _cumulative=self._cumulative,
        )

    def _sums(self, longest: int) -> FloatArray:
        """Quantiles of sums over 1 ... longest periods, shape (items, origins, longest, Q)."""
        drawn = self.unit.draws(horizon=longest)[:, :, 0]
        owner = np.broadcast_to(self.rows, self.values.shape[:2]).ravel()
        factor = self.factor[..., :longest].reshape(-1, longest)
        out = np.empty((len(owner), longest, len(self.levels)))
        out[:, 0] = self.values[:, :, 0].reshape(len(owner), -1)
        order = np.argsort(owner, kind="stable")
        for cells in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
            own = drawn[:, owner[cells[0]]]
            for span in range(2, longest + 1):
                sums = factor[cells, :span] @ own[:, :span].T
                sums.sort(axis=1)
                out[cells, span - 1] = sorted_quantiles(sums.T[:, None, :, None], self.levels)[0, :, 0]
        return out.reshape(*self.values.shape[:2], longest, -1)


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


def _left(table: FloatArray, resolved: FloatArray) -> FloatArray:
    """Log-variance that is left of each period when it begins, shape (items, targets). [r]"""
    total = table[..., np.flatnonzero(POWERS == 1.0)[0]]
    # Zeros are not resolved by factors: what the smallest power leaves is left in any case.
    least = np.maximum(np.minimum(total, total[:, :1]), table[..., 0])
    return np.maximum(total - resolved, least) + 1e-12


def _powers(table: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return the powers at which log-variances (..., powers) are as wanted (...): standard deviations interpolated."""
    root, target = np.sqrt(table), np.sqrt(wanted)[..., None]
    below = np.clip((root <= target).sum(-1, keepdims=True) - 1, 0, len(POWERS) - 2)
    low, high = (np.take_along_axis(root, below + k, -1) for k in (0, 1))
    share = np.clip((target - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return np.asarray((POWERS[below] + share * (POWERS[below + 1] - POWERS[below]))[..., 0])
