"""What every forecast of demand offers, and what all kinds of forecasts share: checks of arguments, and draws."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ..arrays import FloatArray, IntArray
from ..errors import FractileError
from .calibration.dependence import Dependence, Method, shuffled_uniforms
from .data.nixtla import Style

DRAWS = 1024
"""Quasi-random draws that stand for a distribution in `total`; a power of two keeps the Sobol points balanced."""


@runtime_checkable
class DemandForecast(Protocol):
    """A forecast of demand from one or many origins: what policies, encoders and demand models read.

    `QuantileForecast` is the forecast as plain data. A forecast that is more than its quantiles (a known
    distribution, for one) keeps the same promises, which `fr.check_quantile_forecast` tests: `quantile`, `total`,
    `draws` and all cuts come from the same distribution as `values`, the same at every call.
    """

    @property
    def levels(self) -> FloatArray:
        """Quantile levels, strictly increasing, in (0, 1), shape (Q,). [τ]"""

    @property
    def values(self) -> FloatArray:
        """Quantiles, units, shape (items, origins, horizon, Q)."""

    @property
    def origins(self) -> IntArray:
        """The period index of each origin, shape (origins,)."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """One text an item."""

    @property
    def dates(self) -> pd.DatetimeIndex | None:
        """The date of each origin, or None where periods have no dates."""

    @property
    def freq(self) -> str | None:
        """Pandas frequency of the periods, or None."""

    @property
    def dependence(self) -> Dependence | None:
        """How errors of successive horizons move together; None where they do not, or by no copula."""

    @property
    def horizon(self) -> int:
        """Periods ahead that are forecast."""

    def quantile(self, level: ArrayLike) -> FloatArray:
        """Return the demand that is exceeded with probability 1 − level: see `QuantileForecast.quantile`."""

    def mean(self) -> FloatArray:
        """Return the mean, units, shape (items, origins, horizon)."""

    def sample(self, paths: int, rng: np.random.Generator, method: Method | None = None) -> FloatArray:
        """Draw demand paths, units, shape (paths, items, origins, horizon): see `QuantileForecast.sample`."""

    def at_normals(self, normal: FloatArray) -> FloatArray:
        """Return demand for independent standard normal draws (paths, items, origins, horizon), of that shape."""

    def at_uniforms(self, uniform: FloatArray) -> FloatArray:
        """Return demand by inverse transform of levels (..., items, origins, horizon), of that shape."""

    def draws(self, number: int = DRAWS, horizon: int | None = None) -> FloatArray:
        """Return dependent quasi-random draws, shape (number, items, origins, horizon), the same at every call."""

    def total(self, span: ArrayLike) -> DemandForecast:
        """Return the forecast of demand summed over the first `span` periods, with a horizon of one."""

    def after(self, periods: int) -> DemandForecast:
        """Return the forecast of the time from `periods` periods later on."""

    def head(self, horizon: int) -> DemandForecast:
        """Return the first `horizon` periods of the forecast."""

    def at_origin(self, index: int | IntArray) -> DemandForecast:
        """Return the forecast of one origin or of several, by position; the origins axis stays."""

    def take(self, item: IntArray, origin: IntArray) -> DemandForecast:
        """Return pairs of items and origins, side by side as the origins of one unnamed item."""

    def select(self, items: IntArray) -> DemandForecast:
        """Return the forecast of the items at these positions."""

    def with_dependence(self, dependence: Dependence) -> DemandForecast:
        """Return the same quantiles with another dependence over the horizon, or refuse where it is known."""

    def to_frame(self) -> pd.DataFrame:
        """Return a long frame: see `QuantileForecast.to_frame`."""

    def to_nixtla(self, style: Style = "quantiles", model: str = "Fractile") -> pd.DataFrame:
        """Return a wide frame as Nixtla's libraries give it: see `QuantileForecast.to_nixtla`."""


def check_level(level: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return quantile levels as an array; each must lie in (0, 1), and they must broadcast to (items, origins)."""
    try:
        level = np.asarray(level, dtype=np.float64)
    except (TypeError, ValueError):
        raise FractileError(f"a quantile level must be a number between 0 and 1, got {level!r}") from None
    if not (0 < level < 1 if not level.ndim else np.all((level > 0) & (level < 1))):
        inside = (level > 0) & (level < 1)
        where = f" for item {int(np.argwhere(~inside)[0][0])}" if level.ndim else ""
        raise FractileError(
            f"a quantile level must lie strictly between 0 and 1, got {float(level[~inside].flat[0])}{where}; a "
            "critical ratio b / (b + h) is 1 where the holding cost is next to nothing, 0 where the stock-out cost is"
        )
    if not level.ndim:
        return level
    fits = level.ndim <= 2 and all(n in (1, m) for n, m in zip(level.shape[::-1], shape[::-1], strict=False))
    if not fits:
        remedy = "; for one level an item, give level[:, None]" if level.shape == shape[:1] else ""
        raise FractileError(
            f"level must be one number or broadcast to (items, origins) = {shape}, got {level.shape}{remedy}"
        )
    return level


def check_horizon(forecast: DemandForecast, horizon: int) -> None:
    """Refuse periods that the forecast does not reach."""
    if not 1 <= horizon <= forecast.horizon:
        raise FractileError(
            f"the forecast has a horizon of {forecast.horizon} periods, {horizon} are needed; "
            "forecast with a longer horizon, or draw the scenario with a longer span"
        )


def check_span(forecast: DemandForecast, span: ArrayLike) -> IntArray:
    """Return spans as an array; each must be at least 1 and at most the horizon."""
    try:
        array = np.asarray(span, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        raise FractileError(f"span must be whole periods, got {span!r}") from None
    if not array.size or not (np.isfinite(array) & (array == np.floor(array))).all():
        raise FractileError(f"span must be whole periods, got {array}")
    span = np.minimum(array, np.iinfo(np.int32).max).astype(np.int64)
    if int(span.min()) < 1:
        raise FractileError(f"span must be at least 1 period, got {span.min()}")
    check_horizon(forecast, int(span.max()))
    return span


def check_count(name: str, number: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if not isinstance(number, int | np.integer) or number < 1:
        raise FractileError(f"{name} must be a whole number >= 1, got {number!r}")


def check_origin(forecast: DemandForecast, index: int | IntArray) -> slice | IntArray:
    """Return what picks origins by position and keeps their axis; each must be there."""
    count, array = len(forecast.origins), np.asarray(index)
    if not np.all((array >= -count) & (array < count)):
        raise FractileError(f"the forecast has {count} origins, at positions 0 to {count - 1}, got {index}")
    return array if array.ndim else slice(int(array) % count, int(array) % count + 1)


def sample_forecast(
    forecast: DemandForecast, paths: int, rng: np.random.Generator, method: Method | None
) -> FloatArray:
    """Draw demand paths from any forecast by its dependence: see `QuantileForecast.sample`."""
    check_count("paths", paths)
    shape, horizon = forecast.values.shape[:3], forecast.horizon
    dependence = forecast.dependence or Dependence.independent(horizon)
    dependence = (dependence if method is None else dependence.by(method)).over(0, horizon)
    if dependence.method == "schaake" and dependence.templates is not None:
        band = np.broadcast_to(dependence.band, shape[:2])
        return forecast.at_uniforms(shuffled_uniforms(dependence.templates, band, paths, rng))
    return forecast.at_normals(rng.standard_normal((paths, *shape)))


def correlated_uniforms(dependence: Dependence | None, normal: FloatArray) -> FloatArray:
    """Return levels in (0, 1) for independent standard normal draws (paths, items, origins, horizon)."""
    return np.asarray(ndtr(normal if dependence is None else dependence.correlated(normal)))
