"""Quantile forecasts as plain data: quantiles, dependent draws, and the demand summed over a lead time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..arrays import MOST, FloatArray, IntArray
from ..errors import Faults, FractileError
from .calibration.dependence import Dependence, Method
from .data.calendar import later_dates
from .data.long import collect_long, correlation_columns
from .data.nixtla import Point, Style, long_frame, nixtla_frame, read_nixtla
from .data.panel import SalesPanel
from .demand_forecast import (
    DRAWS,
    DemandForecast,
    check_count,
    check_horizon,
    check_level,
    check_origin,
    check_span,
    correlated_uniforms,
    sample_forecast,
)
from .interpolation import (
    CROSSING,
    increasing_inside,
    interpolation_weights,
    level_weights,
    mean_weights,
    quantiles_of,
)
from .plot import FAN_LEVELS, check_plotted, plot_forecast
from .totals import sum_quantiles

DEFAULT_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Quantile levels forecast where the caller names none."""


@dataclass(frozen=True, eq=False)
class QuantileForecast:
    """Quantiles of future demand, from one or many origins.

    Between levels a quantile is interpolated linearly. Below the lowest level the first segment goes on, down to
    zero at most. Above the highest level the tail is exponential through the last two levels:
    `q(τ) = q_K + (q_K − q_{K−1}) · log((1 − τ_K)/(1 − τ)) / log((1 − τ_{K−1})/(1 − τ_K))`.

    Attributes:
        levels: strictly increasing, in (0, 1), shape (Q,). [τ]
        values: demand in units, finite and not negative, shape (items, origins, horizon, Q), not decreasing along the
            last axis (but for rounding: `CROSSING`). Horizon 1 is the period that begins at the origin.
        origins: the period index of each origin, shape (origins,): sales of periods < origin were known. Where a
            simulation has a forecast for each path, each path is an origin of its own.
        item_ids: one text an item.
        dates: the date of each origin, or None where periods have no dates.
        freq: pandas frequency of the periods, or None.
        dependence: how errors of successive horizons move together; independent where None.

    Raises:
        FractileError: names the item, origin, step and level of the first value that breaks a rule.
    """

    levels: FloatArray
    values: FloatArray
    origins: IntArray
    item_ids: tuple[str, ...]
    dates: pd.DatetimeIndex | None = None
    freq: str | None = None
    dependence: Dependence | None = None

    def __post_init__(self) -> None:
        levels = _numbers("levels", self.levels).astype(np.float64, copy=False)
        values = _numbers("values", self.values)
        if levels.ndim != 1 or len(levels) < 2 or not increasing_inside(levels):
            raise FractileError(
                f"levels must be two or more numbers, strictly increasing, between 0 and 1, got {self.levels}"
            )
        if values.ndim != 4 or values.shape[-1] != len(levels):
            raise FractileError(
                "values must have the shape (items, origins, horizon, levels) with "
                f"{len(levels)} levels, got {values.shape}"
            )
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "values", values)
        self._check_values()

    @classmethod
    def unchecked(
        cls,
        levels: FloatArray,
        values: FloatArray,
        origins: IntArray,
        item_ids: tuple[str, ...],
        dependence: Dependence | None = None,
    ) -> Self:
        """Return a forecast whose values are right by construction, without looking at them.

        Cuts, sums and revisions of right forecasts are right. Simulations make thousands of them a second, and the
        check reads every value; whoever brings values from elsewhere takes the constructor.
        """
        forecast = object.__new__(cls)
        fields = {"levels": levels, "values": values, "origins": origins, "item_ids": item_ids}
        forecast.__dict__.update(fields, dates=None, freq=None, dependence=dependence)
        return forecast

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
        level = check_level(level, self.values.shape[:2])
        if level.ndim == 0:
            return np.maximum(self.values @ level_weights(tuple(self.levels.tolist()), level.item()), 0.0)
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
            method: "copula" (Gaussian) or "schaake" (the order of past errors: see `calibration.dependence`); that
                of the dependence where None.

        Returns:
            units, shape (paths, items, origins, horizon).
        """
        return sample_forecast(self, paths, rng, method)

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for independent standard normal draws: correlated over the horizon, then inverted.

        Args:
            normal: shape (paths, items, origins, horizon).

        Returns:
            units, the shape of `normal`.
        """
        return self.at_uniforms(correlated_uniforms(self.dependence, normal))

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

        They stand for the whole distribution where a sample average must have no noise: scrambled Sobol
        points with a fixed seed, shared by all items and origins.

        Args:
            number: how many draws, a power of two; as many as there are templates where the dependence goes by
                the Schaake shuffle.
            horizon: how many periods ahead; all of them where None.

        Returns:
            units, shape (number, items, origins, horizon).
        """
        check_count("number", number)
        horizon = self.horizon if horizon is None else horizon
        check_horizon(self, horizon)
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

        Per-period quantiles do not add up; sums of dependent draws do. Nothing is kept: whoever needs a sum again and
        again holds on to it, or computes those of all spans at once with `totals`.

        Args:
            span: periods, an integer >= 1, or an array of them that broadcasts to (items, origins).

        Returns:
            A forecast with a horizon of one: the sum.
        """
        span = check_span(self, span)
        spans = np.broadcast_to(span, self.values.shape[:2])[..., None]
        return self._with(values=sum_quantiles(self.levels, self.values, self.dependence, spans), dependence=None)

    def totals(self, longest: int) -> FloatArray:
        """Return the quantiles of demand summed over the first 1, 2, … `longest` periods, all at once.

        Args:
            longest: periods, an integer >= 1, at most the horizon.

        Returns:
            units, shape (items, origins, longest, Q): what `total(k).values` holds for k = 1 … longest.
        """
        check_span(self, longest)
        spans = np.broadcast_to(np.arange(1, longest + 1), (*self.values.shape[:2], longest))
        return sum_quantiles(self.levels, self.values, self.dependence, spans)

    def after(self, periods: int) -> QuantileForecast:
        """Return the forecast of the time from `periods` periods later on, made at the same origins' later dates."""
        check_horizon(self, periods + 1)
        return self._with(
            values=self.values[:, :, periods:],
            origins=self.origins + periods,
            dates=later_dates(self.dates, self.freq, periods),
            dependence=self.dependence and self.dependence.over(periods, self.horizon),
        )

    def head(self, horizon: int) -> QuantileForecast:
        """Return the first `horizon` periods of the forecast."""
        check_horizon(self, horizon)
        dependence = self.dependence and self.dependence.over(0, horizon)
        return self._with(values=self.values[:, :, :horizon], dependence=dependence)

    def at_origin(self, index: int | IntArray) -> QuantileForecast:
        """Return the forecast of one origin or of several, by position; the origins axis stays."""
        chosen = check_origin(self, index)
        return self._with(
            values=self.values[:, chosen],
            origins=self.origins[chosen],
            dates=None if self.dates is None else self.dates[chosen],
            dependence=self.dependence and self.dependence.of_origins(chosen),
        )

    def take(self, item: IntArray, origin: IntArray) -> QuantileForecast:
        """Return pairs of items and origins, side by side as the origins of one unnamed item.

        Args:
            item: positions, shape (n,).
            origin: positions, shape (n,).

        Returns:
            A forecast of one item with n origins, without dates.
        """
        dependence = self.dependence
        if dependence is not None:
            band = np.broadcast_to(dependence.band, self.values.shape[:2])[item, origin][None]
            dependence = replace(dependence, band=band)
        values, origins = self.values[item, origin][None], self.origins[origin]
        return self._with(values=values, origins=origins, item_ids=("*",), dates=None, dependence=dependence)

    def select(self, items: IntArray) -> QuantileForecast:
        """Return the forecast of the items at these positions."""
        return self._with(
            values=self.values[items],
            item_ids=tuple(self.item_ids[i] for i in items),
            dependence=self.dependence and self.dependence.of_items(items),
        )

    def with_dependence(self, dependence: Dependence | None) -> QuantileForecast:
        """Return the same quantiles with another dependence over the horizon; independent where None."""
        return self._with(dependence=dependence)

    def to_frame(self, *, dependence: bool = False) -> pd.DataFrame:
        """Return a long frame: `item_id, origin, horizon, level, value`, and `origin_date, date` where known.

        Args:
            dependence: whether columns `correlation_1 … correlation_H` follow: the copula of each step's error with
                that of every step, so that `from_frame` gives back sums over periods, too.
        """
        frame = long_frame(self)
        if dependence:
            columns = correlation_columns(self.dependence, self.values.shape[:3])
            each = {name: np.repeat(cells.reshape(-1), len(self.levels)) for name, cells in columns.items()}
            frame = pd.concat([frame, pd.DataFrame(each, index=frame.index)], axis=1)
        return frame

    @classmethod
    def from_frame(cls, df: pd.DataFrame, panel: SalesPanel) -> Self:
        """Build a forecast from a long frame of quantiles that were made elsewhere.

        Args:
            df: a row for each item, origin, date and level: `item_id, origin_date, date, level, value`, as `to_frame`
                gives it. `origin_date` is the date of the first forecast period: sales before it were known.
                `correlation_1 …` are read where they are there (see `to_frame`), other columns are ignored. An item
                needs no rows of origins at which it was not listed yet: it is forecast at zero there.
            panel: the history that was forecast; it gives the period of each date.

        Raises:
            InputError: with every fault of the frame.
        """
        faults = Faults()
        found = collect_long(df, panel, faults)
        faults.raise_if_any()
        if found is None:
            raise FractileError("the frame holds no forecast")
        return cls(*found)

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Return a wide frame as Nixtla's libraries give it: `unique_id, cutoff, ds`, and the quantiles.

        Args:
            style: "quantiles": a column `q<level>` a level. "statsforecast" (mlforecast has the same):
                `<model>` (the median), `<model>-lo-80`, `<model>-hi-80`, ...; "neuralforecast": `<model>-median`,
                `<model>-lo-80.0`, ... A level whose interval lacks the other end gets it by interpolation.
            model: name in the columns.
        """
        return nixtla_frame(self, style, model)

    @classmethod
    def from_nixtla(
        cls, df: pd.DataFrame, panel: SalesPanel, *, model: str | None = None, point: Point = "median"
    ) -> Self:
        """Build a forecast from what Nixtla's `forecast`, `predict` or `cross_validation` returned.

        Args:
            df: `unique_id, ds`, `cutoff` where there are several, and a model's `-lo-<share>`, `-hi-<share>`,
                `-median`, `_ql<level>` columns, or `q<level>`. Quantiles that cross are sorted.
            panel: the history that was forecast; it gives the period of each date.
            model: whose columns; the only one where None.
            point: whether a bare `<model>` column is the median, as it is of a Gaussian model.
        """
        return cls(*read_nixtla(df, panel, model, point))

    def plot(self, item: str, panel: SalesPanel | None = None, *, origin: int = -1, ax: Any = None) -> Any:
        """Draw the fan chart of one item on matplotlib's axes, and return them.

        Args:
            item: its id.
            panel: the history, whose sales before and after the origin are drawn; None: the forecast alone.
            origin: position of the origin.
            ax: axes to draw on; None: a new figure.
        """
        check_plotted(item, self.item_ids, panel)
        one = self.select(np.array([self.item_ids.index(item)])).at_origin(range(len(self.origins))[origin])
        levels = np.array([level for level in FAN_LEVELS if one.levels[0] <= level <= one.levels[-1]])
        fan = one._with(levels=levels, values=np.stack([one.quantile(level) for level in levels], axis=-1))
        return plot_forecast(fan.to_frame(), panel, item, ax)

    def _with(self, **changes: Any) -> QuantileForecast:
        """Return the forecast with other fields, whose values are right because these are: see `unchecked`."""
        forecast = object.__new__(QuantileForecast)
        forecast.__dict__.update(self.__dict__, **changes)
        return forecast

    def _check_values(self) -> None:
        values, levels = self.values, self.levels
        # One pass, where all is right; NaN makes a comparison false, too.
        if (
            (values[..., 0] >= 0).all()
            and (values[..., -1] <= MOST).all()
            and (values[..., 1:] >= values[..., :-1]).all()
        ):
            return
        if values.size and not (values.min() >= 0 and values.max() <= MOST):
            at = np.argwhere(~((values >= 0) & (values <= MOST)))[0]
            rule = f"demand of at most {MOST:g} units" if MOST < values[tuple(at)] < np.inf else "finite demand >= 0"
            raise FractileError(
                f"values must be {rule}, got {values[tuple(at)]} at {self._place(at[:3])}, level "
                f"{levels[at[3]]:g}; fill gaps before the forecast is built, and clip at zero with np.maximum"
            )
        falls = values[..., :-1] - values[..., 1:] > CROSSING * np.maximum(values[..., :-1], 1.0)
        if falls.any():
            at = np.argwhere(falls)[0]
            low, high = values[tuple(at)], values[(*at[:3], at[3] + 1)]
            raise FractileError(
                f"values must not fall as the level rises, got {low:g} at level {levels[at[3]]:g} and {high:g} at "
                f"{levels[at[3] + 1]:g} at {self._place(at[:3])}; quantiles that cross are sorted with "
                "np.sort(values, axis=-1)"
            )

    def _place(self, at: IntArray) -> str:
        item, origin, step = at.tolist()
        named = repr(self.item_ids[item]) if item < len(self.item_ids) else str(item)
        day = "" if self.dates is None else f" ({self.dates[origin].date()})"
        return f"item {named}, origin {self.origins[origin]}{day}, step {step + 1} of the horizon"


def _numbers(name: str, given: object) -> FloatArray:
    """Return numbers as they are, or texts and objects as float64; refuse what is no real number."""
    array = np.asarray(given)
    if array.dtype.kind not in "fiu":
        try:
            array = array.astype(np.float64, casting="unsafe" if array.dtype.kind != "c" else "safe")
        except (TypeError, ValueError):
            raise FractileError(f"{name} must be real numbers, got an array of {array.dtype}") from None
    return array


def concatenate_origins(forecasts: Sequence[DemandForecast]) -> QuantileForecast:
    """Lay forecasts of the same items, levels and horizon side by side along the origins axis, as plain quantiles.

    All of them come from one fitted forecaster: the dependence of the first one holds for all.
    """
    first = forecasts[0]
    dates = None
    if all(f.dates is not None for f in forecasts):
        dates = pd.DatetimeIndex(np.concatenate([f.dates.to_numpy() for f in forecasts if f.dates is not None]))
    values = np.concatenate([f.values for f in forecasts], axis=1)
    origins = np.concatenate([f.origins for f in forecasts])
    return QuantileForecast(
        first.levels, values, origins, first.item_ids, dates, first.freq, join_dependence(forecasts)
    )


def join_dependence(forecasts: Sequence[DemandForecast]) -> Dependence | None:
    """Return the dependence of forecasts side by side along the origins axis: the first one's, with all bands."""
    dependence = forecasts[0].dependence
    if dependence is None:
        return None
    bands = [np.broadcast_to(f.dependence.band, f.values.shape[:2]) for f in forecasts if f.dependence is not None]
    return replace(dependence, band=np.concatenate(bands, axis=1))


__all__ = [
    "DEFAULT_LEVELS",
    "DRAWS",
    "DemandForecast",
    "Dependence",
    "QuantileForecast",
    "concatenate_origins",
    "interpolation_weights",
    "join_dependence",
]
