"""Past sales and covariates before each period: sums, windows, running means, times since an event.

Everything here counts informative item-periods alone: sales of an item that was listed and in stock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ..base import cumulative_sums
from ..data.panel import SalesPanel

OFFSET = 0.2
"""Units that keep a ratio of sales finite."""

FAR = 999
"""Periods since something that has not happened."""


@dataclass(frozen=True, eq=False)
class SalesSums:
    """Sums over the informative periods before each period, arrays of shape (items, periods + 1).

    Attributes:
        known: 1 where sales were demand, shape (items, periods).
        sales: units, 0 where they were not demand, shape (items, periods).
        total: units.
        count: periods.
        square: squared units.
        zeros: periods without a sale.
    """

    known: FloatArray
    sales: FloatArray
    total: FloatArray
    count: FloatArray
    square: FloatArray
    zeros: FloatArray

    @classmethod
    def of(cls, panel: SalesPanel) -> Self:
        """Sum up a panel."""
        known = panel.informative.astype(np.float64)
        sales = np.where(panel.informative, panel.sales, 0.0)
        sums = (cumulative_sums(each) for each in (sales, known, sales**2, known * (sales == 0)))
        return cls(known, sales, *sums)

    def mean(self, first: IntArray, last: IntArray) -> FloatArray:
        """Return mean sales of periods first … last − 1, NaN where none is informative; as in `sum_between`."""
        return mean_of(sum_between(self.total, first, last), sum_between(self.count, first, last))

    def spread(self, first: IntArray, last: IntArray) -> FloatArray:
        """Return the standard deviation of these sales, NaN where none is informative."""
        count = sum_between(self.count, first, last)
        mean, square = (mean_of(sum_between(each, first, last), count) for each in (self.total, self.square))
        return np.sqrt(np.maximum(square - mean**2, 0.0))


def sum_between(total: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    """Return sums over periods first … last − 1, of which those on record count.

    Args:
        total: sums before each period, shape (items, periods + 1).
        first: shape (n,), the same for all items, or (items, …).
        last: the same shape.

    Returns:
        shape (items, n) or (items, …).
    """
    low, high = (np.clip(each, 0, total.shape[-1] - 1) for each in (first, last))
    if low.ndim == 1:
        return np.asarray(total[..., high] - total[..., low])
    item = np.arange(len(total)).reshape(-1, *[1] * (low.ndim - 1))
    return np.asarray(total[item, high] - total[item, low])


def mean_of(total: FloatArray, count: FloatArray) -> FloatArray:
    """Return total over count, NaN where nothing was counted."""
    return np.where(count > 0, total / np.maximum(count, 1e-9), np.nan)


def running_means(known: FloatArray, series: FloatArray, rate: float) -> FloatArray:
    """Return weighted means over the known periods before each period, the newest weighing most.

    A period weighs `max(rate, 1/n)` when it comes as the n-th known one, so that the mean begins as a plain
    one. All series share the weights; where one has no value (NaN) the others' weights stay as they are.

    Args:
        known: 1 where a period counts, shape (items, periods).
        series: shape (series, items, periods).
        rate: weight of the newest period.

    Returns:
        shape (series, items, periods + 1); NaN before the first value.
    """
    number, items, periods = series.shape
    means = np.full((number, items, periods + 1), np.nan)
    there = np.isfinite(series) & (known > 0)
    filled = np.where(there, series, 0.0)
    total, weight, seen = np.zeros((number, items)), np.zeros((number, items)), np.zeros(items)
    for t in range(periods):
        seen += known[:, t]
        kept = 1.0 - np.maximum(rate, 1.0 / np.maximum(seen, 1.0)) * known[:, t]
        total = kept * total + (1.0 - kept) * filled[..., t]
        weight = kept * weight + (1.0 - kept) * there[..., t]
        means[..., t + 1] = np.where(weight > 0, total / np.maximum(weight, 1e-300), np.nan)
    return means


def log_ratio(value: FloatArray, base: FloatArray) -> FloatArray:
    """Return the log of one amount of sales over another, both raised by `OFFSET`."""
    return np.asarray(np.log((value + OFFSET) / (base + OFFSET)))


def periods_since(flags: BoolArray, at: IntArray) -> FloatArray:
    """Return periods since a flag was last up, counted at each origin: 1 in the period right before it."""
    last = np.maximum.accumulate(np.where(flags, np.arange(flags.shape[1]), -FAR), axis=1)
    before = last[:, np.maximum(at - 1, 0)]
    return np.where(before >= 0, at - before, FAR).astype(np.float64)


def launches(panel: SalesPanel) -> IntArray:
    """Return the first period in which each item was listed; the number of periods where it never was."""
    return np.where(panel.listed.any(axis=1), panel.listed.argmax(axis=1), panel.periods)


def against_past(log: FloatArray) -> FloatArray:
    """Return each log against the mean of the item's logs up to and with it, NaN where it is missing."""
    known = np.isfinite(log)
    total = np.cumsum(np.where(known, log, 0.0), axis=1)
    return np.asarray(log - total / np.maximum(np.cumsum(known, axis=1), 1))
