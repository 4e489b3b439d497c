"""Exponential smoothing (ETS) of many items: parameters from statsforecast, states in one pass over time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError
from ..base import Arrays, Config, State
from ..data.calendar import season_of
from ..data.panel import SalesPanel
from .library import load_models
from .point import PointForecaster

logger = logging.getLogger(__name__)

PLAIN_MODELS = ("ZZN",)
SEASONAL_MODELS = ("ZZN", "ZZA")
"""Models that AutoETS chooses from: error, trend and season; Z is free, N none, A additive."""

LONGEST_SEASON = 24
"""Periods of the longest season that a single item's history can show."""
FEWEST = 12
"""Periods that an item needs for parameters of its own."""
FALLBACK_ALPHA = 0.1
UNFITTED = -2
"""First day of an item without parameters of its own: no day at all."""


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Fitted smoothing parameters of many items.

    All models are additive in level, trend and season, or have multiplicative errors, whose states follow the
    same recursion (Hyndman et al. 2008, ch. 2), with the error e = y − ŷ:
    `ℓ ← ℓ + φ b + α e`, `b ← φ b + β e`, `s ← s + γ e`.

    Attributes:
        item_ids: the fitted items.
        season: periods in a season; 1 where there is none. [m]
        parameters: α, β, φ, γ, shape (items, 4); β, φ = 0 without a trend, γ = 0 without a season.
        initial: ℓ, b and the season's m terms in the order of use, before the first period: (items, 2 + m).
        first: days since 1970 of the first informative period, shape (items,).
    """

    item_ids: tuple[str, ...]
    season: int
    parameters: FloatArray
    initial: FloatArray
    first: IntArray

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts of the panel's items, units, shape (items, origins, horizon).

        Items that were not fitted are fitted on what precedes the first origin.
        """
        models = self._covering(panel, int(origins.min()))
        rows = pd.Index(models.item_ids).get_indexer(pd.Index(panel.item_ids))
        # Initial states hold from an item's first informative period on. Where the panel begins elsewhere they
        # do not apply, and the level starts from the mean so far.
        plain = models.first[rows] != first_days(panel)
        start = np.where(plain[:, None], 0.0, models.initial[rows])
        parameters = models.parameters[rows]
        states = smooth(panel, parameters, start, plain, int(origins.max()))[:, origins]
        return project(states, parameters[:, 2], horizon)

    def _covering(self, panel: SalesPanel, first: int) -> Smoothing:
        """Return parameters of all of a panel's items, fitting those that are new on periods before `first`."""
        fitted = set(self.item_ids)
        new = [i for i, item in enumerate(panel.item_ids) if item not in fitted]
        if not new:
            return self
        other = fit_smoothing(panel.select(new).until(first), self.season)
        return replace(
            self,
            item_ids=self.item_ids + other.item_ids,
            parameters=np.concatenate([self.parameters, other.parameters]),
            initial=np.concatenate([self.initial, other.initial]),
            first=np.concatenate([self.first, other.first]),
        )

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {"season": self.season, "item_ids": list(self.item_ids)}
        arrays = {"parameters": self.parameters, "initial": self.initial, "first": self.first}
        return config, {f"smoothing_{key}": value for key, value in arrays.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        own = {key: arrays[f"smoothing_{key}"] for key in ("parameters", "initial", "first")}
        return cls(tuple(config["item_ids"]), config["season"], **own)


class ETS(PointForecaster[Smoothing]):
    """Exponential smoothing chosen by AICc (statsforecast's AutoETS), with empirical error quantiles.

    Level, optional (damped) trend, and additive seasonality where a season has at most 24 periods. Parameters
    are fitted once for each item; forecasts from many origins then cost one pass through the data. A period
    out of stock leaves the state as it was. An item that was not fitted is fitted on what precedes the first
    origin. Errors are those of parameters fitted without the last part of the history, in that part.

    Args:
        horizon: periods ahead over which errors are calibrated; a longer forecast keeps the last one's.
        season_length: periods in a season; 1 for none; by the panel's frequency where None.
        censoring: as in `PointForecaster`.
    """

    name = "ets"
    model_type = Smoothing

    def __init__(self, horizon: int = 12, season_length: int | None = None, *, censoring: str = "bound") -> None:
        super().__init__(horizon, censoring=censoring)
        self.season_length = check_season(season_length)

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        return {**super().options(), "season_length": self.season_length}

    def fit_model(self, panel: SalesPanel, before: Smoothing | None) -> Smoothing:  # noqa: ARG002
        """Choose and fit a model for each item."""
        return fit_smoothing(panel, choose_season(self.season_length, panel))


def check_season(season_length: int | None) -> int | None:
    """Return a season's length where it is short enough for a single item's history to show."""
    if season_length is not None and not 1 <= season_length <= LONGEST_SEASON:
        raise FractileError(f"season_length must be 1 ... {LONGEST_SEASON}, got {season_length}; pool longer seasons")
    return season_length


def choose_season(season_length: int | None, panel: SalesPanel) -> int:
    """Return the given season's length, else the frequency's, or 1 where that is too long for a single item."""
    season = season_of(panel.freq) if season_length is None else season_length
    return season if season <= LONGEST_SEASON else 1


def fit_smoothing(panel: SalesPanel, season: int) -> Smoothing:
    """Choose a model for each item by AICc and fit it; periods out of stock are interpolated first."""
    models, days = fallback_models(panel, season), first_days(panel)
    parameters, initial, first = models.parameters.copy(), models.initial.copy(), models.first.copy()
    for i in range(panel.items):
        fitted = _fit_one(fill_gaps(panel.sales[i], panel.informative[i]), season)
        if fitted is not None:
            parameters[i], initial[i] = fitted
            first[i] = days[i]
    logger.info("ets: %d of %d items have parameters of their own", int((first >= 0).sum()), panel.items)
    return replace(models, parameters=parameters, initial=initial, first=first)


def fallback_models(panel: SalesPanel, season: int = 1) -> Smoothing:
    """Return models for items with too short a record to fit: the mean so far, then exponential smoothing."""
    parameters = np.tile([FALLBACK_ALPHA, 0.0, 0.0, 0.0], (panel.items, 1))
    first = np.full(panel.items, UNFITTED, dtype=np.int64)
    return Smoothing(panel.item_ids, season, parameters, np.zeros((panel.items, 2 + season)), first)


def smooth(
    panel: SalesPanel, parameters: FloatArray, initial: FloatArray, plain: BoolArray, periods: int
) -> FloatArray:
    """Return the states before each period 0 ... periods, shape (items, periods + 1, states).

    Nothing moves before an item's first informative period. Where `plain` (items,), the level starts as the
    mean of what was sold so far, until the item's own α weighs more.
    """
    alpha, beta, phi, gamma = parameters.T
    known = panel.informative
    seen = np.cumsum(known, axis=1)
    states = np.empty((panel.items, periods + 1, initial.shape[1]))
    states[:, 0] = initial
    for t in range(periods):
        level, slope, season = states[:, t, 0], phi * states[:, t, 1], states[:, t, 2]
        error = np.where(known[:, t], panel.sales[:, t] - level - slope - season, 0.0)
        gain = np.where(plain, np.maximum(alpha, 1.0 / np.maximum(seen[:, t], 1)), alpha)
        following = np.concatenate([states[:, t, :2], states[:, t, 3:], states[:, t, 2:3]], axis=1)
        following[:, 0] = level + slope + gain * error
        following[:, 1] = slope + beta * error
        following[:, -1] = season + gamma * error
        states[:, t + 1] = np.where(seen[:, t, None] > 0, following, states[:, t])
    return states


def project(states: FloatArray, phi: FloatArray, horizon: int) -> FloatArray:
    """Return forecasts `ℓ + (φ + … + φ^h) b + s_h` from states (items, origins, states)."""
    growth = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)
    season = states.shape[-1] - 2
    cycle = states[:, :, 2 + np.arange(horizon) % season]
    point = states[:, :, :1] + growth[:, None] * states[:, :, 1:2] + cycle
    return np.maximum(point, 0.0)


def fill_gaps(sales: FloatArray, known: BoolArray) -> FloatArray:
    """Return the record from the first known period on, with gaps filled by straight lines."""
    where = np.flatnonzero(known)
    if not len(where):
        return np.zeros(0)
    return np.interp(np.arange(where[0], len(sales)), where, sales[where])


def first_days(panel: SalesPanel) -> IntArray:
    """Return days since 1970 of each item's first informative period; −1 where it has none."""
    known = panel.informative
    days = panel.dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(known.any(axis=1), days[np.argmax(known, axis=1)], -1)


def _fit_one(history: FloatArray, season: int) -> tuple[FloatArray, FloatArray] | None:
    """Return parameters and initial states of one item, or None where its record is too short or empty."""
    if len(history) < FEWEST or not history.any():
        return None
    library = load_models()
    best: dict[str, Any] | None = None
    for kind in PLAIN_MODELS if season == 1 or len(history) <= 2 * season else SEASONAL_MODELS:
        try:
            model = library.AutoETS(season_length=season, model=kind).fit(history).model_
        except Exception as fault:  # the library raises bare exceptions where no model fits
            logger.debug("ets %s: %s", kind, fault)
            continue
        if best is None or model["aicc"] < best["aicc"]:
            best = model
    return None if best is None else _unpack(best, season)


def _unpack(model: dict[str, Any], season: int) -> tuple[FloatArray, FloatArray]:
    """Lay out statsforecast's parameters (α, β, γ, φ, ℓ, b, s_m … s_1 reversed) as `Smoothing` holds them."""
    _, trend, seasonal, damped = model["components"]
    alpha, beta, gamma, phi = model["par"][:4]
    states = model["par"][4:]
    parameters = np.array([alpha, 0.0, 0.0, 0.0])
    initial = np.zeros(2 + season)
    initial[0] = states[0]
    if trend == "A":
        parameters[1:3] = beta, phi if damped == "D" else 1.0
        initial[1] = states[1]
    if seasonal == "A":
        parameters[3] = gamma
        initial[2:] = states[-season:][::-1]
    return parameters, initial
