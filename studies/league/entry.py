"""One forecaster of a league: fitted once, forecasting from every origin, scored with intervals, and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...files import is_disk_fault
from ...forecasters.base import Arrays
from ...forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
from ...forecasters.scores import (
    bias,
    calibration_table,
    protection_interval_cells,
    quantile_loss_cells,
    score_forecast,
    sharpness,
    volatility_cells,
)
from ...forecasters.scores.losses import level_widths
from ...forecasters.scores.outcomes import follow, transform
from ...forecasters.storage import load_state, save_state
from ...progress import Progress, no_progress
from ..backtest import new_forecaster
from ..folder import plain
from ..statistics import Interval, Saving, mean_interval, paired_saving
from .task import LOSS_LEVELS, TRUTH, LeagueTask


@dataclass(frozen=True, eq=False)
class Cells:
    """Values and their weights; both 0 where nothing is known.

    Attributes:
        value: shape (periods, items).
        weight: likewise.
    """

    value: FloatArray
    weight: FloatArray


def loss_cells(forecast: QuantileForecast, task: LeagueTask) -> Cells:
    """Return twice the quantile loss, averaged over `LOSS_LEVELS`, and demand, by target period and item."""
    loss, demand = quantile_loss_cells(forecast, task.panel, LOSS_LEVELS, truth=task.truth)
    known = ~np.isnan(demand)
    parts = (np.where(known, loss, 0.0), np.where(known, np.abs(demand), 0.0))
    return Cells(*(by_target(part, task.origins) for part in parts))


def followed_cells(forecast: QuantileForecast, task: LeagueTask) -> Cells:
    """Return the excess volatility of the followed items, by target period and item; every known cell weighs 1."""
    rows = task.followed
    truth = None if task.truth is None else task.truth[rows]
    excess = volatility_cells(forecast, task.panel.select(rows), truth=truth).excess.T
    known = np.isfinite(excess)
    return Cells(np.where(known, excess, 0.0), known.astype(np.float64))


def protection_cells(forecast: QuantileForecast, task: LeagueTask) -> Cells:
    """Return twice the loss of sums over the protection interval, and their demand, by origin and followed item.

    Items whose protection interval is longer than the horizon do not count.
    """
    rows, items = task.followed, task.panel.items
    span, ratio = (np.broadcast_to(each, (items,))[rows] for each in (task.span, task.critical_ratio))
    truth = None if task.truth is None else task.truth[rows]
    panel, short = task.panel.select(rows), np.minimum(span, task.horizon)
    loss, demand = protection_interval_cells(forecast, panel, short, ratio, truth=truth)
    known = ~np.isnan(loss) & (span <= task.horizon)[:, None]
    return Cells(np.where(known, 2.0 * loss, 0.0).T, np.where(known, np.abs(demand), 0.0).T)


def by_target(values: FloatArray, origins: IntArray) -> FloatArray:
    """Add up values of the same target period.

    Args:
        values: shape (items, origins, horizon).
        origins: shape (origins,).

    Returns:
        shape (targets, items), the periods in order.
    """
    targets, position = np.unique(origins[:, None] + np.arange(values.shape[2]), return_inverse=True)
    out = np.zeros((len(targets), len(values)))
    np.add.at(out, position.reshape(-1), values.reshape(len(values), -1).T)
    return out


def ratio(cells: Cells, task: LeagueTask) -> Interval:
    """Return Σ value / Σ weight with its interval (one history); NaN without weight."""
    if not cells.weight.any():
        return Interval(np.nan, np.nan, np.nan, np.nan)
    found = paired_saving(cells.weight[None], cells.value[None], **_how(task))
    return Interval(1.0 - found.saving, 1.0 - found.high, 1.0 - found.low, found.standard_error)


def reduction(earlier: Cells, later: Cells, task: LeagueTask) -> Saving:
    """Return by which share the later forecaster's summed loss is below the earlier one's, with its interval."""
    if not earlier.value.any():
        return Saving(np.nan, np.nan, np.nan, np.nan, 0, "item_time")
    return paired_saving(earlier.value[None], later.value[None], **_how(task))


def mean(cells: Cells, task: LeagueTask) -> Interval:
    """Return the weighted mean of the values with its interval; NaN without weight."""
    if not cells.weight.any():
        return Interval(np.nan, np.nan, np.nan, np.nan)
    return mean_interval(cells.value[None], weight=cells.weight[None], **_how(task))


def change(earlier: Cells, later: Cells, task: LeagueTask) -> Interval:
    """Return the weighted mean of what the later values are below the earlier ones, with its interval."""
    known = (earlier.weight > 0) & (later.weight > 0)
    return mean(Cells(earlier.value - later.value, np.where(known, later.weight, 0.0)), task)


def _how(task: LeagueTask) -> dict[str, Any]:
    return {"level": task.level, "clusters": "item_time"}


Options = Mapping[str, Any]
FINE_LEVELS = tuple(k / 50 for k in range(1, 50))
"""Levels of the forecasts whose volatility is measured: as fine as the chance of a small count has to be known."""


@dataclass(frozen=True, eq=False)
class Entry:
    """Scores and forecasts of one forecaster, or its error.

    Attributes:
        name: of the forecaster, or `TRUTH`.
        key: a hash of everything that the entry depends on.
        error: why there are no scores; None where there are.
        numbers: single scores and CPU-seconds by name.
        scores: a row a horizon (0: all) and level: see `score_forecast`.
        calibration: a row a level: see `calibration_table`.
        cells: losses and demand, of periods and of sums, and volatility: arrays that intervals are computed from.
        fans: quantiles of the example items, shape (example items, origins, horizon, levels).
    """

    name: str
    key: str
    error: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    cells: Arrays = field(default_factory=dict)
    fans: FloatArray | None = None

    @property
    def loss(self) -> Cells:
        """Twice the quantile loss, averaged over levels, and the demand that it is weighed with."""
        return Cells(self.cells["loss"], self.cells["demand"])

    @property
    def protection(self) -> Cells:
        """Twice the loss of sums over the protection interval at the critical ratio, and their demand."""
        return Cells(self.cells["protection_loss"], self.cells["protection_demand"])

    @property
    def volatility(self) -> Cells:
        """Excess volatility of each followed forecast."""
        return Cells(self.cells["volatility"], self.cells["volatility_weight"])


def entry_key(task: LeagueTask, name: str, options: Options) -> str:
    """Return a hash of the task, a forecaster and its options, or of forecasts made elsewhere."""
    text = json.dumps(plain([task.fingerprint, name, dict(options)]), sort_keys=True)
    digest = hashlib.sha256(text.encode())
    if name in task.given:
        _, arrays = task.given[name].to_state()
        for key in sorted(arrays):
            digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()


def make_entry(
    task: LeagueTask, name: str, options: Options, *, progress: Progress = no_progress, checkpoint: Path | None = None
) -> Entry:
    """Fit a forecaster, forecast and score; what goes wrong becomes the entry's error.

    Args:
        task: the panel, origins and horizon.
        name: of the forecaster, or `TRUTH`.
        options: of the forecaster.
        progress: receives how far the fit is, where the forecaster says so.
        checkpoint: where its training is kept meanwhile, where it has one.
    """
    key = entry_key(task, name, options)
    try:
        main, followed, seconds = _forecast(task, name, options, progress=progress, checkpoint=checkpoint)
        return _score(task, name, key, main, followed, seconds)
    except Exception as fault:  # whatever a forecaster raises, the others must not go down with it
        if is_disk_fault(fault):
            raise
        return Entry(name, key, " ".join(f"{type(fault).__name__}: {fault}".split()))


def _forecast(
    task: LeagueTask, name: str, options: Options, **more: Any
) -> tuple[QuantileForecast, QuantileForecast, dict[str, float]]:
    """Fit, and forecast all items from the origins and the followed items from successive ones.

    The CPU-seconds are those of the fit and of the first forecasts, of which losses are taken.
    """
    followed = task.followed
    if name == TRUTH:
        if task.reference is None:
            raise FractileError("the true quantiles of this panel are not known; leave them out")
        truth = task.reference(task.horizon, DEFAULT_LEVELS, task.origins)
        return truth, task.reference(task.horizon, FINE_LEVELS, task.successive).select(followed), {}
    forecaster = new_forecaster(name, options, task.horizon, task.seed, task.given, **more)
    history, panel = task.history, task.panel
    began = cpu_seconds()
    forecaster.fit(history)
    fitted = cpu_seconds()
    main = forecaster.predict(panel, task.horizon, DEFAULT_LEVELS, origins=task.origins)
    seconds = {"fit_seconds": fitted - began, "forecast_seconds": cpu_seconds() - fitted}
    few = panel if len(followed) == panel.items else panel.select(followed)
    return main, forecaster.predict(few, task.horizon, FINE_LEVELS, origins=task.successive), seconds


def _score(
    task: LeagueTask,
    name: str,
    key: str,
    forecast: QuantileForecast,
    followed: QuantileForecast,
    seconds: Mapping[str, float],
) -> Entry:
    if not (np.isfinite(forecast.values).all() and np.isfinite(followed.values).all()):
        raise FloatingPointError("the forecast holds values that are not finite numbers")
    loss, volatility, sums = (
        loss_cells(forecast, task),
        followed_cells(followed, task),
        protection_cells(followed, task),
    )
    outcomes = follow(forecast, task.panel, truth=task.truth)
    found = transform(forecast, outcomes, whole_units=task.panel.integer_demand)
    low, high = forecast.quantile(0.1), forecast.quantile(0.9)
    losses = outcomes.pinball_losses(forecast.values, forecast.levels)
    inside = found.covered(high) - found.covered(np.nextafter(low, -1.0))  # at or above the lower end
    crps = np.nansum(2.0 * losses @ level_widths(forecast.levels))
    return Entry(
        name,
        key,
        numbers={
            **seconds,
            "forecasts": float(forecast.values[..., 0, 0].size),
            "crps": float(crps / np.nansum(np.abs(outcomes.sales))),
            "sharpness": sharpness(outcomes.sales, low, high),
            "inside_80": float(np.nanmean(inside)),
            "bias": bias(found.expected_demand(), forecast.mean()),
        },
        scores=score_forecast(forecast, task.panel, truth=task.truth),
        calibration=calibration_table(forecast, task.panel, truth=task.truth, confidence=task.level),
        cells=_kept_order(
            loss=loss.value,
            demand=loss.weight,
            protection_loss=sums.value,
            protection_demand=sums.weight,
            volatility=volatility.value,
            volatility_weight=volatility.weight,
        ),
        fans=forecast.values[[item.position for item in task.examples]],
    )


def _kept_order(**cells: FloatArray) -> Arrays:
    """Return arrays in the memory order in which an entry is read again: sums depend on it in their last bits."""
    return {name: np.ascontiguousarray(values) for name, values in cells.items()}


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def save_entry(folder: Path, entry: Entry) -> None:
    """Keep an entry as `<name>.json` and `<name>.safetensors`."""
    about = {
        "name": entry.name,
        "key": entry.key,
        "error": entry.error,
        "numbers": dict(entry.numbers),
        "scores": _columns(entry.scores),
        "calibration": _columns(entry.calibration),
    }
    arrays = {} if entry.fans is None else {"fans": entry.fans}
    save_state(folder, entry_file(entry.name), plain(about), {**entry.cells, **arrays})


def load_entry(folder: Path, name: str) -> Entry:
    """Return an entry that `save_entry` kept.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    about, arrays = load_state(folder, entry_file(name))
    fans = arrays.pop("fans", None)
    numbers = {k: np.nan if v is None else float(v) for k, v in about["numbers"].items()}
    frames = pd.DataFrame(about["scores"]), pd.DataFrame(about["calibration"])
    return Entry(about["name"], about["key"], about["error"], numbers, *frames, arrays, fans)


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(column): values.tolist() for column, values in frame.items()}


def entry_file(name: str) -> str:
    """Return the name of an entry's files, without an ending."""
    return name.replace(" ", "_").replace(":", "-")  # an own forecaster has an address, module:Class
