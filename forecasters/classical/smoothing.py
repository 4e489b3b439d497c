"""Exponential smoothing of many items: parameters from statsforecast, states in one pass over time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel

logger = logging.getLogger(__name__)

PLAIN_MODELS = ("ZZN",)
SEASONAL_MODELS = ("ZZN", "ZZA")
"""What AutoETS may choose from: error, trend and season; Z is free, N none, A additive."""

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

    @cached_property
    def position(self) -> dict[str, int]:
        """Row of each item."""
        return {item: row for row, item in enumerate(self.item_ids)}

    def joined(self, other: Smoothing) -> Smoothing:
        """Return the parameters of both."""
        return replace(
            self,
            item_ids=self.item_ids + other.item_ids,
            parameters=np.concatenate([self.parameters, other.parameters]),
            initial=np.concatenate([self.initial, other.initial]),
            first=np.concatenate([self.first, other.first]),
        )

    def covering(self, panel: SalesPanel, first: int) -> Smoothing:
        """Return parameters for all of a panel's items, fitting those that are new on periods before `first`."""
        new = [i for i, item in enumerate(panel.item_ids) if item not in self.position]
        return self.joined(fit_smoothing(panel.select(new).until(first), self.season)) if new else self

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts of the panel's items, units, shape (items, origins, horizon).

        Items that were not fitted are fitted on what precedes the first origin.
        """
        models = self.covering(panel, int(origins.min()))
        rows = np.array([models.position[item] for item in panel.item_ids])
        parameters, plain = models.parameters[rows], models.first[rows] != first_days(panel)
        start = np.where(plain[:, None], 0.0, models.initial[rows])
        states = smoothed(panel, parameters, start, plain, int(origins.max()))[:, origins]
        return projected(states, parameters[:, 2], horizon)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {"season": self.season, "item_ids": list(self.item_ids)}
        arrays = {"parameters": self.parameters, "initial": self.initial, "first": self.first}
        return config, {f"smoothing_{key}": value for key, value in arrays.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Smoothing:
        """Rebuild from `to_state()`."""
        own = {key: arrays[f"smoothing_{key}"] for key in ("parameters", "initial", "first")}
        return cls(tuple(config["item_ids"]), config["season"], **own)


def fit_smoothing(panel: SalesPanel, season: int) -> Smoothing:
    """Choose a model for each item by AICc and fit it; periods out of stock are interpolated first."""
    bare = unfitted(panel, season)
    parameters, initial, first = bare.parameters, bare.initial, bare.first
    days = first_days(panel)
    for i in range(panel.items):
        fitted = _fit_one(filled(panel.sales[i], panel.informative[i]), season)
        if fitted is not None:
            parameters[i], initial[i] = fitted
            first[i] = days[i]
    logger.info("ets: %d of %d items have parameters of their own", int((first >= 0).sum()), panel.items)
    return Smoothing(panel.item_ids, season, parameters, initial, first)


def unfitted(panel: SalesPanel, season: int = 1) -> Smoothing:
    """Return models without parameters of their own: the mean so far, then exponential smoothing."""
    parameters = np.tile([FALLBACK_ALPHA, 0.0, 0.0, 0.0], (panel.items, 1))
    first = np.full(panel.items, UNFITTED, dtype=np.int64)
    return Smoothing(panel.item_ids, season, parameters, np.zeros((panel.items, 2 + season)), first)


def smoothed(
    panel: SalesPanel, parameters: FloatArray, initial: FloatArray, plain: NDArray[np.bool_], periods: int
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


def projected(states: FloatArray, phi: FloatArray, horizon: int) -> FloatArray:
    """Return forecasts `ℓ + (φ + … + φ^h) b + s_h` from states (items, origins, states)."""
    growth = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)
    season = states.shape[-1] - 2
    cycle = states[:, :, 2 + np.arange(horizon) % season]
    point = states[:, :, :1] + growth[:, None] * states[:, :, 1:2] + cycle
    return np.maximum(point, 0.0)


def filled(sales: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return the record from the first known period on, with gaps filled by straight lines."""
    where = np.flatnonzero(known)
    if not len(where):
        return np.zeros(0)
    return np.interp(np.arange(where[0], len(sales)), where, sales[where])


def first_days(panel: SalesPanel) -> IntArray:
    """Days since 1970 of each item's first informative period; −1 where it has none."""
    known = panel.informative
    days = panel.dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(known.any(axis=1), days[np.argmax(known, axis=1)], -1)


def _fit_one(history: FloatArray, season: int) -> tuple[FloatArray, FloatArray] | None:
    """Return parameters and initial states of one item, or None where its record is too short or empty."""
    if len(history) < FEWEST or not history.any():
        return None
    from statsforecast.models import AutoETS

    best: dict[str, Any] | None = None
    for kind in PLAIN_MODELS if season == 1 or len(history) <= 2 * season else SEASONAL_MODELS:
        try:
            model = AutoETS(season_length=season, model=kind).fit(history).model_
        except Exception as fault:  # the library raises bare exceptions where no model fits
            logger.debug("ets %s: %s", kind, fault)
            continue
        if best is None or model["aicc"] < best["aicc"]:
            best = model
    return None if best is None else _unpacked(best, season)


def _unpacked(model: dict[str, Any], season: int) -> tuple[FloatArray, FloatArray]:
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
