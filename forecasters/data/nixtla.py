"""Forecasts as data frames: long ones, and wide ones as Nixtla's libraries give and take them."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ...errors import FractileError, did_you_mean
from .calendar import later_dates
from .panel import SalesPanel

Style = Literal["quantiles", "statsforecast", "neuralforecast"]
Point = Literal["median", "ignore"]

KEYS = ("unique_id", "ds", "cutoff", "y")
_SUFFIX = re.compile(r"(?P<model>.*?)(?P<side>-lo-|-hi-|[-_]ql-?|-median$)(?P<number>\d*\.?\d*)$")
_PLAIN = re.compile(r"q(?P<level>0?\.\d+)$")


class Quantiles(Protocol):
    """What a frame reads of a forecast: see `forecast.DemandForecast`."""

    @property
    def levels(self) -> FloatArray:
        """Quantile levels, shape (Q,)."""

    @property
    def values(self) -> FloatArray:
        """Quantiles, units, shape (items, origins, horizon, Q)."""

    @property
    def origins(self) -> IntArray:
        """The period index of each origin."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """One text an item."""

    @property
    def dates(self) -> pd.DatetimeIndex | None:
        """The date of each origin."""

    @property
    def freq(self) -> str | None:
        """Pandas frequency of the periods."""

    def quantile(self, level: float) -> FloatArray:
        """Return a quantile, shape (items, origins, horizon)."""


class QuantileTable(NamedTuple):
    """The fields of a `QuantileForecast`, as they stand in a frame."""

    levels: FloatArray
    values: FloatArray
    origins: IntArray
    item_ids: tuple[str, ...]
    dates: pd.DatetimeIndex | None
    freq: str | None


def long_frame(forecast: Quantiles) -> pd.DataFrame:
    """Return a row for each item, origin, horizon and level: see `QuantileForecast.to_frame`."""
    _, origins, horizon, _ = forecast.values.shape
    index = pd.MultiIndex.from_product(
        [forecast.item_ids, range(origins), range(1, horizon + 1), forecast.levels],
        names=["item_id", "origin", "horizon", "level"],
    )
    frame = pd.DataFrame({"value": forecast.values.reshape(-1)}, index=index).reset_index()
    position = frame["origin"].to_numpy()
    frame["origin"] = forecast.origins[position]
    if forecast.dates is not None and forecast.freq is not None:
        calendar = [pd.date_range(day, periods=horizon, freq=forecast.freq) for day in forecast.dates]
        table = np.stack([days.to_numpy() for days in calendar])
        frame.insert(1, "origin_date", forecast.dates.to_numpy()[position])
        frame.insert(3, "date", table[position, frame["horizon"].to_numpy() - 1])
    return frame


def nixtla_frame(forecast: Quantiles, style: Style, model: str) -> pd.DataFrame:
    """Return a row for each item, origin and horizon: see `QuantileForecast.to_nixtla`.

    Raises:
        FractileError: where the forecast has no dates, or the style is none of ours.
    """
    if forecast.dates is None or forecast.freq is None:
        raise FractileError("to_nixtla needs dates: forecast from a panel that has them")
    columns = _columns(forecast, style, model)
    long = long_frame(forecast)
    first = long[:: len(forecast.levels)]
    # Nixtla's cutoff is the last known period, one before our origin.
    cutoff = later_dates(pd.DatetimeIndex(first["origin_date"]), forecast.freq, -1)
    keys = {"unique_id": first["item_id"].to_numpy(), "cutoff": cutoff, "ds": first["date"].to_numpy()}
    frame = pd.DataFrame({**keys, **{name: values.reshape(-1) for name, values in columns.items()}})
    return frame.sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def read_nixtla(df: pd.DataFrame, panel: SalesPanel, model: str | None, point: Point) -> QuantileTable:
    """Read the forecast of a panel's items: see `QuantileForecast.from_nixtla`."""
    frame = df.reset_index() if df.index.name == "unique_id" else df
    for column in ("unique_id", "ds"):
        if column not in frame:
            raise FractileError(f"the frame needs a column {column!r}, it has: {', '.join(map(str, frame.columns))}")
    columns = _level_columns(frame, model, point)
    levels = np.array(sorted(columns))
    item, origin, step = _positions(frame, panel)
    origins = np.unique(origin)
    values = np.full((panel.items, len(origins), int(step.max()) + 1, len(levels)), np.nan)
    read = frame[[columns[level] for level in levels]].to_numpy(dtype=np.float64)
    values[item, np.searchsorted(origins, origin), step] = read
    holes = np.argwhere(np.isnan(values))
    if len(holes):
        hole = holes[0]
        cutoff = panel.dates[origins[hole[1]] - 1].date()
        raise FractileError(
            f"every item of the panel needs a forecast from every cutoff, over the same horizon: "
            f"{panel.item_ids[hole[0]]!r} lacks step {hole[2] + 1} from {cutoff}; take panel.select(...) of the items "
            "that were forecast, or cutoffs that all have"
        )
    # Separate models of a level may cross, and Gaussian intervals reach below zero.
    values = np.maximum(np.sort(values, axis=-1), 0.0)
    starts = later_dates(panel.dates[origins - 1], panel.freq, 1)
    return QuantileTable(levels, values, origins, panel.item_ids, starts, panel.freq)


def _columns(forecast: Quantiles, style: Style, model: str) -> dict[str, FloatArray]:
    """Return values by column, each (items, origins, horizon)."""
    if style == "quantiles":
        return {f"q{level:g}": forecast.values[..., k] for k, level in enumerate(forecast.levels)}
    if style not in ("statsforecast", "neuralforecast"):
        raise FractileError(f'style must be "quantiles", "statsforecast" or "neuralforecast", got {style!r}')
    median, number = (model, "{:g}") if style == "statsforecast" else (f"{model}-median", "{:.1f}")
    shares = np.unique(np.round(100 * np.abs(1 - 2 * forecast.levels), 6))
    shares = shares[shares > 0]
    columns = {median: forecast.quantile(0.5)}
    for share in shares[::-1]:
        columns[f"{model}-lo-{number.format(share)}"] = forecast.quantile((100 - share) / 200)
    for share in shares:
        columns[f"{model}-hi-{number.format(share)}"] = forecast.quantile((100 + share) / 200)
    return columns


def _level_columns(frame: pd.DataFrame, model: str | None, point: Point) -> dict[float, str]:
    """Return the column of each quantile level that the frame holds of a model."""
    if point not in ("median", "ignore"):
        raise FractileError(f'point must be "median" or "ignore", got {point!r}')
    names = [str(column) for column in frame.columns if column not in KEYS]
    found = {round(float(m["level"]), 8): name for name in names if (m := _PLAIN.match(name))}
    if model is not None or not found:
        models = list(dict.fromkeys(m["model"] if (m := _SUFFIX.match(name)) else name for name in names))
        if model is None and len(models) == 1:
            model = models[0]
        elif model is None or model not in models:
            hint = did_you_mean(model, models) if model is not None else ""
            among = ", ".join(models) or "none"
            raise FractileError(f"model must be one of the frame's models ({among}), got {model!r}{hint}")
        found = {level: name for name in names if (level := _parse_level(name, model, point)) is not None}
        if point == "median" and f"{model}-median" in names:
            found[0.5] = f"{model}-median"
    if len(found) < 2:
        raise FractileError(
            f"a quantile forecast needs two or more levels, the frame has {sorted(found)} of {model!r}; ask the "
            "library for prediction intervals (level=[80, 90]) or quantiles"
        )
    return found


def _parse_level(name: str, model: str, point: Point) -> float | None:
    """Return the quantile level that a column stands for, None where it is not one of the model's."""
    if name == model:
        return 0.5 if point == "median" else None
    match = _SUFFIX.match(name)
    if match is None or match["model"] != model:
        return None
    if match["side"] == "-median":
        return 0.5
    number = float(match["number"])
    level = {"-lo-": (100 - number) / 200, "-hi-": (100 + number) / 200}.get(match["side"], number)
    return round(level, 8)


def _positions(frame: pd.DataFrame, panel: SalesPanel) -> tuple[IntArray, IntArray, IntArray]:
    """Return item, origin and step of the horizon of each row."""
    ids = frame["unique_id"].astype(str)
    item = pd.Index(panel.item_ids).get_indexer(pd.Index(ids))
    if (item < 0).any():
        raise FractileError(f"the frame forecasts an item that the panel lacks: {ids.iloc[int(np.argmax(item < 0))]!r}")
    days = pd.DatetimeIndex(pd.to_datetime(frame["ds"]))
    ahead = pd.date_range(panel.dates[-1], periods=days.nunique() + 1, freq=panel.freq)[1:]
    target = panel.dates.append(ahead).get_indexer(days)
    if "cutoff" in frame:
        origin = panel.dates.get_indexer(pd.DatetimeIndex(pd.to_datetime(frame["cutoff"]))) + 1
    else:
        origin = np.full(len(frame), target.min())
    wrong = (target < 0) | (origin < 1) | (target < origin)
    if wrong.any():
        row = frame.iloc[int(np.argmax(wrong))]
        raise FractileError(
            f"ds must begin a period of the panel (frequency {panel.freq}) after the cutoff, and the cutoff one of its "
            f"own, got ds {row['ds']} and cutoff {row.get('cutoff')}"
        )
    return item.astype(np.int64), origin.astype(np.int64), (target - origin).astype(np.int64)
