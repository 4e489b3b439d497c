"""Forecasts made elsewhere as a forecaster: it answers for the origins that a file has, and for no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import Faults, FractileError
from .base import Arrays, Config, State, at_levels, check_horizon, check_levels, check_origins
from .calibration.dependence import Dependence
from .calibration.sampling import ErrorDependence, fit_error_dependence
from .censoring import History
from .data.calendar import later_dates
from .data.long import collect_long
from .data.panel import SalesPanel
from .data.row_faults import listing
from .forecast import QuantileForecast


class OutsideForecaster:
    """Quantile forecasts that were made elsewhere.

    `fit` looks at the errors of the forecasts from origins within the panel: how those of successive periods move
    together is taken from them, where the file does not say it. Quantiles stay as they are. `predict` reads the
    forecasts of the origins that are asked for, by their dates, and the levels asked for by the rules of
    `QuantileForecast`; the file's own levels where none are named.

    Args:
        name: what it is called.
        forecast: what was forecast, with dates.
    """

    option_names = ("name", "forecast")

    def __init__(self, name: str, forecast: QuantileForecast) -> None:
        if forecast.dates is None or forecast.freq is None:
            raise FractileError(
                f"{name}: forecasts made elsewhere need dates; build them with QuantileForecast.from_frame"
            )
        self.name, self.forecast = name, forecast
        self._errors: ErrorDependence | None = None

    @classmethod
    def read(cls, name: str, path: Path | str, panel: SalesPanel, faults: Faults) -> Self | None:
        """Read a file of forecasts (`data.long`), or add to `faults` all that is wrong with it and return None."""
        found = collect_long(path, panel, faults, name)
        return None if found is None else cls(name, QuantileForecast(*found))

    @property
    def max_horizon(self) -> int:
        """Periods ahead that are forecast."""
        return self.forecast.horizon

    def origins(self, panel: SalesPanel) -> IntArray:
        """Return the periods of the panel that are forecast from, the one after its end included."""
        return np.flatnonzero(self._known(_dates_from(panel)))

    def fit(self, panel: SalesPanel) -> Self:
        """Estimate how errors of successive periods move together, where the forecasts do not say it."""
        self._errors = None
        starts = self.origins(panel)
        starts = starts[starts < panel.periods]
        if self.forecast.dependence is None and len(starts):
            past = self._of(panel, panel.dates[starts])
            self._errors = estimate_dependence(replace(past, origins=starts), panel)
        return self

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike | None = None,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,  # noqa: ARG002
    ) -> QuantileForecast:
        """Return the forecasts of these origins; see `Forecaster.predict`.

        Raises:
            FractileError: where an origin, an item or a part of the horizon was not forecast.
        """
        horizon, starts = check_horizon(horizon), check_origins(panel, origins)
        if horizon > self.max_horizon:
            raise FractileError(
                f"{self.name} forecasts {self.max_horizon} periods ahead, {horizon} are needed; make the forecasts "
                f"again with a horizon of {horizon}"
            )
        dates = _dates_from(panel)[starts]
        self.require(dates)
        own = self._of(panel, dates).head(horizon)
        dependence = own.dependence
        if dependence is None:
            errors = self._errors
            dependence = Dependence.independent(horizon) if errors is None else errors.at(panel, starts, horizon)
        wanted = own.levels if levels is None else check_levels(levels)
        return QuantileForecast(
            levels=wanted,
            values=at_levels(own.levels, own.values, wanted),
            origins=starts,
            item_ids=panel.item_ids,
            dates=dates,
            freq=panel.freq,
            dependence=dependence,
        )

    def require(self, dates: pd.DatetimeIndex) -> None:
        """Raise a `FractileError` that names the origins among these that were not forecast from."""
        missing = dates[~self._known(dates)]
        if len(missing):
            days, own = [str(day.date()) for day in missing], self._dates
            raise FractileError(
                f"{self.name}: no forecast was made at {len(missing)} of {len(dates)} origins: {listing(days)}; "
                f"there are forecasts from {own.min().date()} to {own.max().date()} ({len(own)} origins); add rows "
                "with these dates as origin_date"
            )

    def to_state(self) -> State:
        """Return configuration and arrays."""
        own = self.forecast
        arrays: dict[str, Any] = {"levels": own.levels, "values": own.values, "origins": own.origins}
        if own.dependence is not None:
            band = np.broadcast_to(own.dependence.band, own.values.shape[:2])
            arrays |= {"own_correlation": own.dependence.correlation, "own_band": band}
        if self._errors is not None:
            arrays |= self._errors.arrays()
        dates = [day.isoformat() for day in self._dates]
        return {"name": self.name, "item_ids": list(own.item_ids), "dates": dates, "freq": own.freq}, arrays

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        dependence = None
        if "own_correlation" in arrays:
            dependence = Dependence(arrays["own_correlation"], arrays["own_band"])
        fields: Mapping[str, Any] = {name: arrays[name] for name in ("levels", "values", "origins")}
        made = cls(
            config["name"],
            QuantileForecast(
                **fields,
                item_ids=tuple(config["item_ids"]),
                dates=pd.DatetimeIndex(config["dates"]),
                freq=config["freq"],
                dependence=dependence,
            ),
        )
        if "correlation" in arrays:
            made._errors = ErrorDependence.from_arrays(arrays)
        return made

    @property
    def _dates(self) -> pd.DatetimeIndex:
        assert self.forecast.dates is not None  # the constructor saw to it
        return self.forecast.dates

    def _known(self, dates: pd.DatetimeIndex) -> BoolArray:
        return np.asarray(self._dates.get_indexer(dates) >= 0)

    def _of(self, panel: SalesPanel, dates: pd.DatetimeIndex) -> QuantileForecast:
        """Return the forecasts of a panel's items from these dates."""
        item = pd.Index(self.forecast.item_ids).get_indexer(pd.Index(panel.item_ids))
        if (item < 0).any():
            absent = [name for name, at in zip(panel.item_ids, item, strict=True) if at < 0]
            raise FractileError(f"{self.name}: items were not forecast: {listing(absent)}; add their forecasts")
        found = self.forecast.at_origin(self._dates.get_indexer(dates).astype(np.int64))
        if panel.item_ids == found.item_ids:
            return found
        return found.select(item.astype(np.int64))


def _dates_from(panel: SalesPanel) -> pd.DatetimeIndex:
    """Return the first dates of a panel's periods and of the one after its end."""
    after = later_dates(panel.dates[-1:], panel.freq, 1)
    assert after is not None
    return pd.DatetimeIndex(panel.dates.append(after))


def estimate_dependence(past: QuantileForecast, panel: SalesPanel) -> ErrorDependence:
    """Estimate how errors of successive periods move together, from forecasts made elsewhere.

    Args:
        past: from origins within the panel; their `origins` are its periods.
        panel: the history up to where the estimate is made.
    """
    return fit_error_dependence(past, History.of(panel, "bound"))


def tail_levels(forecast: QuantileForecast, critical_ratio: ArrayLike) -> FloatArray:
    """Return the critical ratios that lie beyond the levels of a forecast, where its tail rules answer.

    Args:
        forecast: of any levels.
        critical_ratio: one number or one an item.
    """
    ratios = np.unique(np.asarray(critical_ratio, dtype=np.float64))
    return ratios[(ratios < forecast.levels[0]) | (ratios > forecast.levels[-1])]
