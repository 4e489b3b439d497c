"""Dates of periods."""

from __future__ import annotations

from typing import Any

import pandas as pd


def later_dates(dates: pd.DatetimeIndex | None, freq: str | None, periods: int) -> pd.DatetimeIndex | None:
    """Return dates that lie some periods later, or None where there are none."""
    if dates is None or freq is None:
        return None
    offset: Any = pd.tseries.frequencies.to_offset(freq)
    return dates + periods * offset
