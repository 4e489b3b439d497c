"""The columns of a plan as arrays, each period's from what is known at that period."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from ...arrays import BoolArray, FloatArray, IntArray
from ..data.calendar import year_angle
from ..data.panel import (
    SalesPanel,
)
from .plan import Occasion, Plan, phase_of

PRICE_CAP = 1.0
"""Largest log of a price against the regular one that is taken at its word."""
CUT = -0.03
"""Log price against the regular one below which an item counts as promoted."""


def columns_of(panel: SalesPanel, plan: Plan) -> FloatArray:
    """Return all columns but those of age, shape (items, periods, columns)."""
    shared = [*_waves(panel.dates, plan.harmonics), *_phases(panel.dates, plan.phases)]
    own = [_occasion(panel, one) for one in plan.occasions]
    own += [relative_price(panel, name, plan.window) for name in plan.prices]
    for name in plan.flags:
        flag = _known(panel, name) > 0
        own += [flag.astype(np.float64), (_before(flag) & ~flag).astype(np.float64)]
    shape = panel.sales.shape
    every = [*(np.broadcast_to(column, shape) for column in shared), *own]
    return np.stack(every, axis=-1) if every else np.zeros((*shape, 0))


def age_columns(age: IntArray, plan: Plan) -> FloatArray:
    """Return `exp(−age / τ)` for each pace τ of a launch, shape (..., paces)."""
    paces = np.asarray(plan.ages).reshape(1, -1)
    return np.exp(-np.maximum(age, 0)[..., None] / paces)


def relative_price(panel: SalesPanel, name: str, window: int) -> FloatArray:
    """Return the log of a price against its running median, that of the `window` periods up to this one."""
    price = np.maximum(_known(panel, name), 1e-9)
    padded = np.pad(price, ((0, 0), (window - 1, 0)), mode="edge")
    regular = np.median(sliding_window_view(padded, window, axis=1), axis=-1)
    return np.asarray(np.clip(np.log(price / regular), -PRICE_CAP, PRICE_CAP))


def promoted(panel: SalesPanel, plan: Plan) -> BoolArray:
    """Say where an item is promoted or its price cut, shape (items, periods)."""
    any_ = np.zeros(panel.sales.shape, dtype=bool)
    for name in plan.flags:
        any_ |= _known(panel, name) > 0
    for name in plan.prices:
        any_ |= relative_price(panel, name, plan.window) < CUT
    return any_


def launches(panel: SalesPanel) -> IntArray:
    """Return the first period in which each item was listed; the number of periods where it never was."""
    return np.where(panel.listed.any(axis=1), panel.listed.argmax(axis=1), panel.periods)


def _known(panel: SalesPanel, name: str) -> FloatArray:
    """A known covariate; where a panel lacks it, nothing ever happens."""
    return panel.known.get(name, np.zeros(panel.sales.shape))


def _waves(dates: pd.DatetimeIndex, harmonics: int) -> list[FloatArray]:
    angle = year_angle(dates)
    return [wave(k * angle) for k in range(1, harmonics + 1) for wave in (np.cos, np.sin)]


def _phases(dates: pd.DatetimeIndex, phases: int) -> list[FloatArray]:
    return [(phase_of(dates, phases) == k) - 1.0 / phases for k in range(phases)] if phases else []


def _occasion(panel: SalesPanel, one: Occasion) -> FloatArray:
    inside = (panel.dates.dayofyear.to_numpy() - one.first) % 366 < one.days
    return ((_known(panel, one.name) > 0) & inside).astype(np.float64)


def _before(flags: BoolArray) -> BoolArray:
    return np.pad(flags, ((0, 0), (1, 0)))[:, :-1]


def log_prices(panel: SalesPanel) -> FloatArray:
    """Return the log of what an item sells for, (items, periods): 0 where no price is known ahead."""
    price = panel.known.get("price")
    if price is None:
        return np.zeros(panel.sales.shape)
    return np.log(np.where(price > 0, price, 1.0))
