"""One forecaster of a league: fitted once, asked from every origin, scored, and kept."""

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

from ...arrays import FloatArray
from ...errors import FractileError
from ...forecasters.base import Arrays
from ...forecasters.forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from ...forecasters.scores import bias, calibration_table, crps, score_forecast, sharpness
from ...forecasters.storage import load_state, save_state
from ..backtest import new_forecaster
from ..folder import plain
from .names import TRUTH
from .scores import Cells, followed_cells, loss_cells
from .task import Contest

Options = Mapping[str, Any]
FINE_LEVELS = tuple(k / 50 for k in range(1, 50))
"""Levels of the forecasts that are followed: their distance decides how well the chance of a small count is known."""


@dataclass(frozen=True, eq=False)
class Entry:
    """What became of one forecaster.

    Attributes:
        name: of the forecaster, or `TRUTH`.
        key: a hash of everything that the entry depends on.
        error: why there are no scores; None where there are.
        numbers: single scores and CPU-seconds by name.
        scores: a row a horizon (0: all) and level: see `score_forecast`.
        calibration: a row a level: see `calibration_table`.
        cells: losses and demand, volatility: arrays that intervals are computed from.
        fans: quantiles of the telling items, shape (telling items, origins, horizon, levels).
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
    def volatility(self) -> Cells:
        """Excess volatility of each followed forecast."""
        return Cells(self.cells["volatility"], self.cells["volatility_weight"])


def key_of(contest: Contest, name: str, options: Options) -> str:
    """Return a hash of the contest, a forecaster and its options."""
    text = json.dumps(plain([contest.fingerprint, name, dict(options)]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def entered(contest: Contest, name: str, options: Options) -> Entry:
    """Fit, ask and score a forecaster; what goes wrong becomes the entry's error.

    Args:
        contest: what is asked.
        name: of the forecaster, or `TRUTH`.
        options: of the forecaster.
    """
    key = key_of(contest, name, options)
    try:
        return _scored(contest, name, key, *_asked(contest, name, options))
    except Exception as fault:  # whatever a forecaster raises, the others must not go down with it
        return Entry(name, key, " ".join(f"{type(fault).__name__}: {fault}".split()))


@dataclass(frozen=True, eq=False)
class _Answers:
    """Forecasts of all items from the origins, and of the followed items from successive ones."""

    main: QuantileForecast
    followed: QuantileForecast


def _asked(contest: Contest, name: str, options: Options) -> tuple[_Answers, dict[str, float]]:
    """Fit and ask; the CPU-seconds are those of the fit and of the forecasts that losses are taken of."""
    if name == TRUTH:
        return _truth(contest), {}
    forecaster = new_forecaster(name, options, contest.horizon, contest.seed)
    history, panel, followed = contest.history, contest.panel, contest.followed
    began = cpu_seconds()
    forecaster.fit(history)
    fitted = cpu_seconds()
    main = forecaster.predict(panel, contest.horizon, DEFAULT_LEVELS, origins=contest.origins)
    seconds = {"fit_seconds": fitted - began, "forecast_seconds": cpu_seconds() - fitted}
    few = panel if len(followed) == panel.items else panel.select(followed)
    return _Answers(main, forecaster.predict(few, contest.horizon, FINE_LEVELS, origins=contest.successive)), seconds


def _truth(contest: Contest) -> _Answers:
    if contest.reference is None:
        raise FractileError("the true quantiles of this panel are not known; leave them out")
    main = contest.reference(contest.horizon, DEFAULT_LEVELS, contest.origins)
    return _Answers(main, contest.reference(contest.horizon, FINE_LEVELS, contest.successive).select(contest.followed))


def _scored(contest: Contest, name: str, key: str, answers: _Answers, seconds: dict[str, float]) -> Entry:
    forecast = answers.main
    if not all(np.isfinite(given.values).all() for given in (forecast, answers.followed)):
        raise FloatingPointError("the forecast holds values that are not finite numbers")
    loss, volatility = loss_cells(forecast, contest), followed_cells(answers.followed, contest)
    parts = {"loss": loss.value, "demand": loss.weight}
    return Entry(
        name,
        key,
        numbers={
            **seconds,
            "forecasts": float(forecast.values[..., 0, 0].size),
            **_numbers(contest.demand(), forecast),
        },
        scores=score_forecast(forecast, contest.panel, truth=contest.truth),
        calibration=calibration_table(forecast, contest.panel, truth=contest.truth, confidence=contest.level),
        cells={**parts, "volatility": volatility.value, "volatility_weight": volatility.weight},
        fans=forecast.values[[item.position for item in contest.telling]],
    )


def _numbers(demand: FloatArray, forecast: QuantileForecast) -> dict[str, float]:
    known = ~np.isnan(demand)
    low, high = forecast.quantile(0.1), forecast.quantile(0.9)
    score = crps(demand, forecast.values, forecast.levels)[known].sum()
    return {
        "crps": float(score / np.abs(demand[known]).sum()),
        "sharpness": sharpness(demand, low, high),
        "inside_80": float(np.mean((low <= demand)[known] & (demand <= high)[known])),
        "bias": bias(demand, forecast.mean()),
    }


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
    save_state(folder, file_of(entry.name), plain(about), {**entry.cells, **arrays})


def load_entry(folder: Path, name: str) -> Entry:
    """Return an entry that `save_entry` kept.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    about, arrays = load_state(folder, file_of(name))
    fans = arrays.pop("fans", None)
    numbers = {k: np.nan if v is None else float(v) for k, v in about["numbers"].items()}
    frames = pd.DataFrame(about["scores"]), pd.DataFrame(about["calibration"])
    return Entry(about["name"], about["key"], about["error"], numbers, *frames, arrays, fans)


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(column): values.tolist() for column, values in frame.items()}


def file_of(name: str) -> str:
    """Return the name of an entry's files, without an ending."""
    return name.replace(" ", "_")
