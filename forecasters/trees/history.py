"""What the sales, stock flags and covariates of past periods say at an origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import cumulated
from ..data.panel import SalesPanel
from .plan import Covariate

OFFSET = 0.2
"""Units that keep a ratio of sales finite."""

FAR = 999
"""Periods since something that has not happened."""

Columns = dict[str, FloatArray]
"""Features by name, each of a shape that broadcasts to (items, origins, horizon)."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """Sums over the informative periods before each period, arrays of shape (items, periods + 1).

    Attributes:
        known: whether sales were demand, shape (items, periods).
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
    def of(cls, panel: SalesPanel) -> Ledger:
        """Sum up a panel."""
        known = panel.informative.astype(np.float64)
        sales = np.where(panel.informative, panel.sales, 0.0)
        sums = (cumulated(each) for each in (sales, known, sales**2, known * (sales == 0)))
        return cls(known, sales, *sums)


def span(total: FloatArray, at: IntArray, width: int) -> FloatArray:
    """Return the sum over the `width` periods before each of `at`, shape (..., len(at))."""
    return np.asarray(total[..., at] - total[..., np.maximum(at - width, 0)])


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


def sales_columns(
    ledger: Ledger, panel: SalesPanel, at: IntArray, level: FloatArray, widths: tuple[int, ...]
) -> Columns:
    """Return what past sales say at the origins.

    Args:
        ledger: sums of the panel.
        panel: the items.
        at: origins, shape (origins,).
        level: running level there, units, shape (items, origins).
        widths: periods of the windows that sales are averaged over; the third, the fifth and the last also
            tell stock-outs, zeros and spread.
    """
    columns = {}
    for width in widths:
        count = span(ledger.count, at, width)
        columns[f"mean_{width}"] = log_ratio(mean_of(span(ledger.total, at, width), count), level)
        if width in (widths[2], widths[4]):
            columns[f"informative_{width}"] = count / width
        if width in (widths[4], widths[-1]):
            columns[f"zeros_{width}"] = mean_of(span(ledger.zeros, at, width), count)
            columns[f"spread_{width}"] = _spread(ledger, at, width) / (level + OFFSET)
    columns["level"] = np.log(level + OFFSET)
    columns["mean_ever"] = log_ratio(mean_of(ledger.total[:, at], ledger.count[:, at]), level)
    columns["trend"] = columns[f"mean_{widths[2]}"] - columns[f"mean_{widths[4]}"]
    columns["since_sale"] = _since(ledger.sales > 0, at)
    columns["since_stockout"] = _since(panel.listed & ~panel.in_stock, at)
    columns["seen"] = ledger.count[:, at]
    columns["age"] = cumulated(panel.listed.astype(np.float64))[:, at]
    return {name: values[..., None] for name, values in columns.items()}


def observed_columns(
    values: FloatArray, panel: SalesPanel, at: IntArray, name: str, widths: tuple[int, ...]
) -> Columns:
    """Return the last values of a covariate that was observed, against its own past.

    Args:
        values: shape (items, periods), NaN where there is none.
        panel: the items; periods before their launch do not count.
        at: origins, shape (origins,).
        name: of the covariate.
        widths: of the windows; the third and the one before the last are used.
    """
    there = panel.listed & np.isfinite(values)
    total, count = cumulated(np.where(there, values, 0.0)), cumulated(there.astype(np.float64))
    base = mean_of(span(total, at, widths[-2]), span(count, at, widths[-2]))
    columns = {f"{name}:base": base}
    for lag in (1, 2, 3):
        period = np.maximum(at - lag, 0)
        columns[f"{name}:lag_{lag}"] = np.where(there[:, period] & (at >= lag), values[:, period] - base, np.nan)
    columns[f"{name}:recent"] = mean_of(span(total, at, widths[2]), span(count, at, widths[2])) - base
    return {key: each[..., None] for key, each in columns.items()}


def known_columns(
    values: FloatArray, wanted: Covariate, at: IntArray, steps: IntArray, running: FloatArray, widths: tuple[int, ...]
) -> Columns:
    """Return a covariate known ahead: at the target, before it, and against its past.

    Args:
        values: shape (items, periods), NaN where there is none.
        wanted: its name and kind.
        at: origins, shape (origins,).
        steps: periods ahead, from 0, shape (horizon,).
        running: its running mean at the origins, weighted as the level is, shape (items, origins).
        widths: of the windows; the third and the last are used.
    """
    name, target = wanted.name, at[:, None] + steps
    there = np.isfinite(values)
    total, count = cumulated(np.where(there, values, 0.0)), cumulated(there.astype(np.float64))
    now, before = values[:, target], values[:, np.maximum(target - 1, 0)]
    year = mean_of(span(total, at, widths[-1]), span(count, at, widths[-1]))
    recent = mean_of(span(total, at, widths[2]), span(count, at, widths[2]))
    between = mean_of(total[:, target] - total[:, at, None], count[:, target] - count[:, at, None])
    columns = {
        f"{name}:against_level": now - running[..., None],
        f"{name}:against_year": now - year[..., None],
        f"{name}:step": now - before,
        f"{name}:between": between - running[..., None],
        f"{name}:recent": (recent - running)[..., None],
    }
    if wanted.kind == "plain":
        columns[f"{name}:target"] = now
    return columns


def _spread(ledger: Ledger, at: IntArray, width: int) -> FloatArray:
    count = span(ledger.count, at, width)
    mean, square = (mean_of(span(total, at, width), count) for total in (ledger.total, ledger.square))
    return np.sqrt(np.maximum(square - mean**2, 0.0))


def _since(flags: np.ndarray, at: IntArray) -> FloatArray:
    """Periods since a flag was last up, counted at each origin: 1 in the period right before it."""
    last = np.maximum.accumulate(np.where(flags, np.arange(flags.shape[1]), -FAR), axis=1)
    before = last[:, np.maximum(at - 1, 0)]
    return np.where(before >= 0, at - before, FAR).astype(np.float64)
