"""A last period that looks as if it were not over."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...arrays import FloatArray

_FEWEST_BEFORE, _MOST_BEFORE = 6, 13
"""Periods before the last one that it is compared with."""
_LOW, _MOST_ITEMS = 0.5, 0.8
"""Share of the least period before, for all items together, and share of items that have to lie far below."""


def describe_low_end(sales: FloatArray, dates: pd.DatetimeIndex) -> str:
    """Return in words how far the last period of weeks or months lies below all before; "" where it does not.

    Data that is given by days says itself whether its last week or month is over. Data by weeks or months does not:
    a last period below half of each of the thirteen before it, for nearly all items, is likely one that still runs.

    Args:
        sales: units, shape (items, periods).
        dates: first day of each period, shape (periods,).
    """
    if len(dates) <= _FEWEST_BEFORE or (dates[-1] - dates[-2]).days <= 1:
        return ""
    before, last = np.nan_to_num(sales[:, -1 - _MOST_BEFORE : -1]), np.nan_to_num(sales[:, -1])
    usual = before.mean(axis=1)
    sold = usual > 0
    if not sold.any() or last.sum() >= _LOW * before.sum(axis=0).min():
        return ""
    if (last < _LOW * usual)[sold].mean() < _MOST_ITEMS:
        return ""
    share = float(last.sum() / usual.sum())
    few = f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
    return f"the last period ({dates[-1].date()}) has {few} of the usual sales: is it over?"
