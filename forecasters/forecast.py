"""Quantile forecasts as value objects: quantiles, dependent draws, and the demand summed over a lead time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ..arrays import FloatArray, IntArray
from ..errors import FractileError
from .calibration.dependence import Dependence, Method
from .calibration.schaake import shuffled_uniforms
from .data.calendar import later_dates
from .interpolation import (
    increasing_inside,
    interpolation_weights,
    mean_weights,
    quantiles_of,
    sorted_quantiles,
)

if TYPE_CHECKING:
    from .data.nixtla import Point, Style
    from .data.panel import SalesPanel

DEFAULT_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Quantile levels forecast where the caller names none."""

DRAWS = 1024
"""Quasi-random draws behind `total`; a power of two keeps the Sobol points balanced."""

BLOCK = 8_000_000
"""Draws that are held at once."""


@dataclass(frozen=True, eq=False)
class QuantileForecast:
    """Quantiles of future demand, from one or many origins.

    Between levels a quantile is interpolated linearly. Below the lowest level the first segment goes on, down to
    zero at most. Above the highest level the tail is exponential through the last two levels:
    `q(τ) = q_K + (q_K − q_{K−1}) · log((1 − τ_K)/(1 − τ)) / log((1 − τ_{K−1})/(1 − τ_K))`.

    Attributes:
        levels: strictly increasing, in (0, 1), shape (Q,). [τ]
        values: demand in units, shape (items, origins, horizon, Q), not decreasing along the last axis. Horizon 1
            is the period that begins at the origin.
        origins: the period index of each origin, shape (origins,): sales of periods < origin were known. Where a
            simulation has a forecast for each path, each path is an origin of its own.
        item_ids: one text an item.
        dates: the date of each origin, or None where periods have no dates.
        freq: pandas frequency of the periods, or None.
        dependence: how errors of successive horizons move together; independent where None.
    """

    levels: FloatArray
    values: FloatArray
    origins: IntArray
    item_ids: tuple[str, ...]
    dates: pd.DatetimeIndex | None = None
    freq: str | None = None
    dependence: Dependence | None = None
    _cumulative: dict[int, FloatArray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        levels = np.asarray(self.levels, dtype=np.float64)
        if levels.ndim != 1 or len(levels) < 2 or not increasing_inside(levels):
            raise FractileError(
                f"levels must be two or more numbers, strictly increasing, between 0 and 1, got {self.levels}"
            )
        if self.values.ndim != 4 or self.values.shape[-1] != len(levels):
            raise FractileError(
                "values must have the shape (items, origins, horizon, levels) with "
                f"{len(levels)} levels, got {self.values.shape}"
            )
        object.__setattr__(self, "levels", levels)

    @property
    def horizon(self) -> int:
        """Periods ahead that are forecast."""
        return int(self.values.shape[2])

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the demand that is exceeded with probability 1 − level.

        Args:
            level: in (0, 1); a scalar, or an array that broadcasts to (items, origins). [τ]

        Returns:
            units, shape (items, origins, horizon).
        """
        level = np.asarray(level, dtype=np.float64)
        if not np.all((level > 0) & (level < 1)):
            raise FractileError(f"a quantile level must lie strictly between 0 and 1, got {level}")
        if level.ndim == 0:
            return np.maximum(self.values @ interpolation_weights(self.levels, level), 0.0)
        if np.broadcast_shapes(level.shape, self.values.shape[:2]) != self.values.shape[:2]:
            raise FractileError(f"level must be one number or broadcast to (items, origins), got {level.shape}")
        weights = interpolation_weights(self.levels, np.broadcast_to(level, self.values.shape[:2]))
        return np.maximum(np.einsum("iohq,ioq->ioh", self.values, weights), 0.0)

    def mean(self) -> FloatArray:
        """Return the mean of the interpolated distribution, shape (items, origins, horizon)."""
        return np.maximum(self.values @ mean_weights(tuple(self.levels)), 0.0)

    def sample(self, paths: int, rng: np.random.Generator, method: Method | None = None) -> FloatArray:
        """Draw demand paths that are dependent over the horizon.

        Args:
            paths: how many.
            rng: where the draws come from.
            method: "copula" (Gaussian) or "schaake" (the order of past errors: see `calibration.schaake`); that
                of the dependence where None.

        Returns:
            units, shape (paths, items, origins, horizon).
        """
        shape = self.values.shape[:3]
        dependence = self.dependence or Dependence.independent(self.horizon)
        dependence = (dependence if method is None else dependence.by(method)).over(0, self.horizon)
        if dependence.method == "schaake" and dependence.templates is not None:
            band = np.broadcast_to(dependence.band, shape[:2])
            return self.at_uniforms(shuffled_uniforms(dependence.templates, band, paths, rng))
        return self.at_normals(rng.standard_normal((paths, *shape)))

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for independent standard normal draws: correlated over the horizon, then inverted.

        Args:
            normal: shape (paths, items, origins, horizon).

        Returns:
            units, the shape of `normal`.
        """
        dependence = self.dependence
        return self.at_uniforms(ndtr(normal if dependence is None else dependence.correlated(normal)))

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by inverse transform.

        Args:
            uniform: in (0, 1), shape (..., items, origins, horizon).

        Returns:
            units, the shape of `uniform`.
        """
        return quantiles_of(self.levels, self.values, uniform)

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return dependent quasi-random draws, the same at every call.

        They stand for the whole distribution where a sample average is wanted without noise: scrambled Sobol
        points with a fixed seed, shared by all items and origins.

        Args:
            number: how many draws, a power of two; as many as there are templates where the dependence goes by
                the Schaake shuffle.
            horizon: how many periods ahead; all of them where None.

        Returns:
            units, shape (number, items, origins, horizon).
        """
        horizon = self.horizon if horizon is None else horizon
        self._check_span(horizon)
        dependence = (self.dependence or Dependence.independent(self.horizon)).over(0, horizon)
        band = np.broadcast_to(dependence.band, self.values.shape[:2])
        uniforms = {b: dependence.uniforms(b, number) for b in np.unique(band).tolist()}
        out = np.empty((len(next(iter(uniforms.values()))), *band.shape, horizon))
        for b, uniform in uniforms.items():
            weights = interpolation_weights(self.levels, uniform)
            chosen = band == b
            out[:, chosen] = np.einsum("dhq,nhq->dnh", weights, self.values[chosen][:, :horizon], optimize=True)
        return np.maximum(out, 0.0)

    def total(self, span: ArrayLike) -> QuantileForecast:
        """Return the forecast of demand summed over the first `span` periods.

        Per-period quantiles do not add up; sums of dependent draws do.

        Args:
            span: periods, an integer >= 1, or an array of them that broadcasts to (items, origins).

        Returns:
            A forecast with a horizon of one: the sum.
        """
        span = np.asarray(span, dtype=np.int64)
        longest = int(span.max())
        if int(span.min()) < 1:
            raise FractileError(f"span must be at least 1 period, got {span.min()}")
        cumulative = self._cumulative_quantiles(longest)
        if span.ndim == 0:
            values = cumulative[:, :, longest - 1 : longest]
        else:
            index = np.broadcast_to(span, self.values.shape[:2])[:, :, None, None] - 1
            values = np.take_along_axis(cumulative, index, axis=2)
        return replace(self, values=values, dependence=None, _cumulative={})

    def after(self, periods: int) -> QuantileForecast:
        """Return what the same forecast says of the time from `periods` periods later on."""
        self._check_span(periods + 1)
        dependence = self.dependence and self.dependence.over(periods, self.horizon)
        return replace(
            self,
            values=self.values[:, :, periods:],
            origins=self.origins + periods,
            dates=later_dates(self.dates, self.freq, periods),
            dependence=dependence,
            _cumulative={},
        )

    def head(self, horizon: int) -> QuantileForecast:
        """Return the first `horizon` periods of the forecast."""
        self._check_span(horizon)
        return replace(
            self,
            values=self.values[:, :, :horizon],
            dependence=self.dependence and self.dependence.over(0, horizon),
            _cumulative={k: v for k, v in self._cumulative.items() if k <= horizon},
        )

    def at_origin(self, index: int) -> QuantileForecast:
        """Return the forecast of one origin, by its position; the origins axis stays, with length one."""
        chosen = slice(index, index + 1) if index != -1 else slice(-1, None)
        return replace(
            self,
            values=self.values[:, chosen],
            origins=self.origins[chosen],
            dates=None if self.dates is None else self.dates[chosen],
            dependence=self.dependence and self.dependence.of_origins(chosen),
            _cumulative={k: v[:, chosen] for k, v in self._cumulative.items()},
        )

    def take(self, item: IntArray, origin: IntArray) -> QuantileForecast:
        """Pick (item, origin) pairs and lay them side by side as the origins of one unnamed item.

        Args:
            item: indices, shape (n,).
            origin: indices, shape (n,).

        Returns:
            A forecast of one item with n origins; sums that were computed before are kept.
        """
        dependence = self.dependence
        if dependence is not None:
            band = np.broadcast_to(dependence.band, self.values.shape[:2])[item, origin][None]
            dependence = replace(dependence, band=band)
        return replace(
            self,
            values=self.values[item, origin][None],
            origins=self.origins[origin],
            item_ids=("*",),
            dates=None,
            dependence=dependence,
            _cumulative={k: v[item, origin][None] for k, v in self._cumulative.items()},
        )

    def select(self, items: IntArray) -> QuantileForecast:
        """Return the forecast of the items at these positions; sums that were computed before are kept."""
        return replace(
            self,
            values=self.values[items],
            item_ids=tuple(self.item_ids[i] for i in items),
            dependence=self.dependence and self.dependence.of_items(items),
            _cumulative={k: v[items] for k, v in self._cumulative.items()},
        )

    def with_dependence(self, dependence: Dependence) -> QuantileForecast:
        """Return the same quantiles with another dependence over the horizon."""
        return replace(self, dependence=dependence, _cumulative={})

    def to_frame(self) -> pd.DataFrame:
        """Return a long frame: `item_id, origin, horizon, level, value`, and `origin_date, date` where known."""
        from .data.frames import long_frame

        return long_frame(self)

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Return a wide frame as Nixtla's libraries give it: `unique_id, cutoff, ds`, and the quantiles.

        Args:
            style: "quantiles": a column `q<level>` a level. "statsforecast" (mlforecast has the same):
                `<model>` (the median), `<model>-lo-80`, `<model>-hi-80`, ...; "neuralforecast": `<model>-median`,
                `<model>-lo-80.0`, ... A level whose interval lacks the other end gets it by interpolation.
            model: name in the columns.
        """
        from .data.nixtla import nixtla_frame

        return nixtla_frame(self, style, model)

    @classmethod
    def from_nixtla(
        cls, df: pd.DataFrame, panel: SalesPanel, *, model: str | None = None, point: Point = "median"
    ) -> QuantileForecast:
        """Build a forecast from what Nixtla's `forecast`, `predict` or `cross_validation` returned.

        Args:
            df: `unique_id, ds`, `cutoff` where there are several, and a model's `-lo-<share>`, `-hi-<share>`,
                `-median`, `_ql<level>` columns, or `q<level>`. Quantiles that cross are sorted.
            panel: the history that was forecast; it says which period a date is.
            model: whose columns; the only one where None.
            point: whether a bare `<model>` column is the median, as it is of a Gaussian model.
        """
        from .data.nixtla import forecast_from_nixtla

        return forecast_from_nixtla(df, panel, model, point)

    def _check_span(self, span: int) -> None:
        if not 1 <= span <= self.horizon:
            raise FractileError(
                f"the forecast reaches {self.horizon} periods ahead, {span} are asked for; "
                "forecast with a longer horizon, or draw the scenario with a longer span"
            )

    def _sums(self, longest: int) -> FloatArray:
        """Quantiles of sums of draws, shape (items, origins, longest, Q)."""
        sums = np.cumsum(self.draws(horizon=longest), axis=-1)
        sums.sort(axis=0)
        quantiles = sorted_quantiles(sums, self.levels)
        quantiles[:, :, 0] = self.values[:, :, 0]
        return quantiles

    def _cumulative_quantiles(self, longest: int) -> FloatArray:
        """Quantiles of the sums over 1 ... longest periods, shape (items, origins, longest, Q)."""
        self._check_span(longest)
        if longest not in self._cumulative:
            if longest == 1:
                self._cumulative[1] = self.values[:, :, :1]
            else:
                size = max(1, BLOCK // (DRAWS * longest * max(1, self.values.shape[1])))
                items = np.arange(len(self.values))
                blocks = [self.select(items[i : i + size])._sums(longest) for i in range(0, len(items), size)]
                self._cumulative[longest] = np.concatenate(blocks)
        return self._cumulative[longest]


__all__ = [
    "DEFAULT_LEVELS",
    "DRAWS",
    "Dependence",
    "FloatArray",
    "IntArray",
    "QuantileForecast",
    "interpolation_weights",
]
