"""Dates of periods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray


def later_dates(dates: pd.DatetimeIndex | None, freq: str | None, periods: int) -> pd.DatetimeIndex | None:
    """Return dates that lie some periods later, or None where there are none."""
    if dates is None or freq is None:
        return None
    offset: Any = pd.tseries.frequencies.to_offset(freq)
    return dates + periods * offset


def year_angle(dates: pd.DatetimeIndex) -> FloatArray:
    """Return how far through the year each date is, in radians, shape (periods,)."""
    return np.asarray(2 * np.pi * dates.dayofyear.to_numpy() / 365.25)
