"""The forecaster protocol, checked requests, options, and the sums over a history that forecasters share."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..arrays import MOST_PERIODS, FloatArray, IntArray
from ..errors import FractileError, did_you_mean
from .data.panel import SalesPanel
from .data.tables import house_names
from .forecast import DEFAULT_LEVELS, Dependence, QuantileForecast, interpolation_weights

logger = logging.getLogger(__name__)

Config = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
State = tuple[Config, Arrays]
"""A fitted forecaster on disk: numbers and texts that JSON can hold, and numeric arrays by name."""


@runtime_checkable
class Forecaster(Protocol):
    """Quantile forecasts from a sales history.

    `fit` takes sales of `panel.informative` item-periods for demand, and sales of a listed item that was out of stock
    for a lower bound of it. A forecast from origin t uses sales, stock flags and
    observed covariates of periods < t, known covariates of periods < t + horizon, and nothing else.
    """

    name: str

    def fit(self, panel: SalesPanel) -> Self:
        """Fit to a history and return the forecaster itself; nothing of an earlier fit remains."""
        ...

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast the demand of every item of the panel.

        Args:
            panel: the history; its items need not be those of `fit`.
            horizon: periods ahead. [H]
            levels: quantile levels, strictly increasing, in (0, 1), shape (Q,). [τ]
            origins: periods to forecast from, each in 1 ... panel.periods; the panel's end where None.
            future: known covariates beyond the panel's end, columns `item_id`, `date` (or `unique_id`, `ds`) and
                their names; what is missing is carried forward.

        Returns:
            quantiles of shape (items, origins, horizon, Q), in units.
        """
        ...

    def to_state(self) -> State:
        """Return everything that `from_state` needs for the same forecasts."""
        ...

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild a fitted forecaster."""
        ...


@dataclass(frozen=True, eq=False)
class Request:
    """A checked request for a forecast.

    Attributes:
        panel: the history, lengthened to the last origin's horizon where it ends earlier; sales and stock
            flags of the added periods mean nothing.
        horizon: periods ahead. [H]
        levels: shape (Q,). [τ]
        origins: shape (origins,).
    """

    panel: SalesPanel
    horizon: int
    levels: FloatArray
    origins: IntArray

    @property
    def targets(self) -> IntArray:
        """The period that each forecast is about, shape (origins, horizon)."""
        return self.origins[:, None] + np.arange(self.horizon)

    def forecast(self, values: FloatArray, dependence: Dependence) -> QuantileForecast:
        """Return quantiles of shape (items, origins, horizon, Q) as a forecast."""
        return QuantileForecast(
            levels=self.levels,
            values=values,
            origins=self.origins,
            item_ids=self.panel.item_ids,
            dates=self.panel.dates[self.origins],
            freq=self.panel.freq,
            dependence=dependence,
        )


@dataclass(frozen=True)
class Options:
    """Options of a forecaster, one a field: by name, changed one at a time, and as JSON."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `to_config()`."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        return cls(**options)

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    def with_options(self, owner: str, options: Mapping[str, Any]) -> Self:
        """Return the same with some options replaced.

        Raises:
            FractileError: names an option that the owner does not have.
        """
        for option in options:
            if option not in self.names():
                raise FractileError(f"{owner} has no option {option!r}{did_you_mean(option, self.names())}")
        return replace(self, **options)


def make_request(
    panel: SalesPanel,
    horizon: int,
    levels: ArrayLike,
    origins: Sequence[int] | IntArray | None,
    future: pd.DataFrame | None,
) -> Request:
    """Check the arguments of `predict` and extend the known covariates over the last origin's horizon.

    Raises:
        FractileError: naming the argument, the rule, the value and the remedy.
    """
    horizon = check_horizon(horizon)
    starts = check_origins(panel, origins)
    missing = int(starts.max()) + horizon - panel.periods
    if missing > 0:
        known = known_ahead(panel, missing, future)
        panel = panel.extended(np.zeros((panel.items, missing)), known)
    return Request(panel, horizon, check_levels(levels), starts)


def check_horizon(horizon: int) -> int:
    """Return the horizon where it is a whole number of periods from 1 to `MOST_PERIODS`."""
    number = isinstance(horizon, int | float | np.number) and not isinstance(horizon, bool)
    if not number or not 1 <= horizon < np.inf or int(horizon) != horizon:
        raise FractileError(f"horizon must be a whole number of periods >= 1, got {horizon}")
    if horizon > MOST_PERIODS:
        raise FractileError(f"horizon must be at most {MOST_PERIODS} periods, got {horizon}; use longer periods")
    return int(horizon)


def check_levels(levels: ArrayLike) -> FloatArray:
    """Return the levels as an array where they are two or more, increasing, in (0, 1)."""
    array = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    inside = np.all((array > 0) & (array < 1)) and np.all(np.diff(array) > 0)
    if array.ndim != 1 or len(array) < 2 or not inside:
        raise FractileError(f"levels must be two or more numbers, strictly increasing, between 0 and 1, got {levels!r}")
    return array


def check_origins(panel: SalesPanel, origins: Sequence[int] | IntArray | None) -> IntArray:
    """Return the origins as an array where each lies in the panel; its end where None."""
    if origins is None:
        return np.asarray([panel.periods], dtype=np.int64)
    array = np.asarray(origins)
    whole = np.issubdtype(array.dtype, np.integer)
    if array.ndim != 1 or not len(array) or not whole or array.min() < 1 or array.max() > panel.periods:
        raise FractileError(
            f"origins must be whole numbers in 1 ... {panel.periods} (origin t knows the periods before t), "
            f"got {origins}"
        )
    return array.astype(np.int64)


def known_ahead(panel: SalesPanel, periods: int, future: pd.DataFrame | None) -> dict[str, FloatArray]:
    """Return the known covariates of the `periods` after the panel's end, each (items, periods).

    A value that `future` lacks is carried forward from the period before, and the log says so.
    """
    given = set() if future is None else set(panel.known) & set(future.columns)
    absent = sorted(set(panel.known) - given)
    if absent:
        why = "no future values were given" if future is None else "future has no such column"
        logger.info("carried forward beyond the panel's end (%s): %s", why, ", ".join(absent))
    tables = {name: np.full((panel.items, periods), np.nan) for name in panel.known}
    if future is not None:
        rows, columns = _positions(panel, periods, future)
        needed = columns >= 0
        for name in panel.known:
            if name not in given:
                continue
            tables[name][rows[needed], columns[needed]] = future[name].to_numpy(dtype=np.float64)[needed]
            gaps = int(np.isnan(tables[name]).sum())
            if gaps:
                logger.info("carried forward in %d item-periods that future lacks: %s", gaps, name)
    ahead = {}
    for name, past in panel.known.items():
        whole = np.concatenate([past[:, -1:], tables[name]], axis=1)
        ahead[name] = pd.DataFrame(whole).ffill(axis=1).to_numpy()[:, 1:]
    return ahead


def _positions(panel: SalesPanel, periods: int, future: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Return row and column of each line of `future` among the added periods; column −1 where it is not needed."""
    future = house_names(future)
    for column in ("item_id", "date"):
        if column not in future.columns:
            raise FractileError(f"future needs a column {column!r}, it has: {', '.join(map(str, future.columns))}")
    item = pd.Index(panel.item_ids).get_indexer(pd.Index(future["item_id"].astype(str)))
    if (item < 0).any():
        word = str(future["item_id"].iloc[int(np.argmax(item < 0))])
        hint = did_you_mean(word, panel.item_ids) if panel.items <= 20 else ""
        raise FractileError(f"future names an item that the panel lacks: {word!r}{hint}")
    days = pd.to_datetime(future["date"])
    later = pd.date_range(panel.dates[-1], periods=periods + 1, freq=panel.freq)[1:]
    position = later.get_indexer(pd.Index(days))
    stray = (position < 0) & (days > panel.dates[-1]).to_numpy() & (days <= later[-1]).to_numpy()
    if stray.any():
        day = days.iloc[int(np.argmax(stray))].date()
        raise FractileError(f"future has the date {day}, which begins no period of frequency {panel.freq}")
    return item.astype(np.int64), position.astype(np.int64)


def at_levels(trained: FloatArray, values: FloatArray, levels: FloatArray) -> FloatArray:
    """Return quantiles at other levels by the interpolation and tail rules of `QuantileForecast`.

    Args:
        trained: levels of the last axis of `values`, shape (K,).
        values: shape (..., K).
        levels: to return, shape (Q,).

    Returns:
        shape (..., Q), not below zero and not decreasing.
    """
    if len(levels) == len(trained) and np.array_equal(levels, trained):
        return values
    other = np.maximum(values @ interpolation_weights(trained, levels).T, 0.0)
    return np.maximum.accumulate(other, axis=-1)


def velocity(panel: SalesPanel, origins: IntArray) -> FloatArray:
    """Return mean sales of informative periods before each origin, shape (items, origins); 0 where none."""
    sales, weeks = informative_sums(panel)
    return np.asarray(sales[:, origins] / np.maximum(weeks[:, origins], 1.0))


def informative_sums(panel: SalesPanel) -> tuple[FloatArray, FloatArray]:
    """Return sales and number of informative periods before each period, both (items, periods + 1)."""
    weeks = panel.informative.astype(np.float64)
    return cumulative_sums(np.where(panel.informative, panel.sales, 0.0)), cumulative_sums(weeks)


def cumulative_sums(values: FloatArray) -> FloatArray:
    """Return sums of what precedes each period, shape (..., periods + 1)."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=total[..., 1:])
    return total


def targets_of(panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
    """Return sales of the horizon where they were demand, else NaN: shape (items, origins, horizon)."""
    demand = np.where(panel.informative, panel.sales, np.nan)
    padded = np.concatenate([demand, np.full((panel.items, horizon), np.nan)], axis=1)
    return np.asarray(padded[:, origins[:, None] + np.arange(horizon)])


def calibration_origins(panel: SalesPanel, most: int) -> IntArray:
    """Return origins in the last part of a history, whose forecasts can be compared with later demand."""
    first = max(1, panel.periods - max(2, min(most, panel.periods // 3)))
    return np.arange(first, panel.periods)


def require_history(panel: SalesPanel) -> None:
    """Raise where a panel is too short or too empty to fit anything to."""
    if panel.periods < 2 or not panel.informative.any():
        raise FractileError(
            f"fit needs at least 2 periods and one item-period that was listed and in stock, got a panel of "
            f"{panel.items} items and {panel.periods} periods with {int(panel.informative.sum())} of them"
        )
