"""What past sales say once their period is over: levels, windows and seasonal lags of every item and period."""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray
from ..base import cumulated
from ..data.panel import SalesPanel

LEVEL_RATE = 0.12
"""Weight of the newest period in an item's running level, once there are enough of them."""
LOG_OVER_LEVEL, LEVEL, KNOWN, SEEN = 0, 1, 6, 8
"""Channels of `Inputs.past`, as `sales_columns` orders them: log sales above the level, the level, whether they are
known, and for how long the item has been seen."""
SEEN_MOST, SEEN_SCALE = 104.0, 4.0


def sales_columns(panel: SalesPanel, level: FloatArray) -> list[FloatArray]:
    """Return what a period's sales say, each (items, periods); unknown sales count as the level."""
    known = panel.informative
    seen = np.cumsum(known, axis=1)
    after = level[:, 1:]
    log = np.where(known, np.log1p(panel.sales), level[:, :-1])
    ever = _running_mean(panel, panel.periods)
    return [
        log - after,
        after,
        np.log1p(_running_mean(panel, 4)) - after,
        np.log1p(_running_mean(panel, 52)) - after,
        np.log1p(ever) - after,
        np.where(known, panel.sales == 0, 0.0),
        known.astype(np.float64),
        panel.listed.astype(np.float64),
        np.log1p(np.minimum(seen, SEEN_MOST)) / SEEN_SCALE,
        np.log1p(np.sqrt(_running_square(panel, 26))) - after,
    ]


def running_level(panel: SalesPanel, start: float) -> FloatArray:
    """Return log1p of the weighted mean sales before each period, shape (items, periods + 1)."""
    mean = np.zeros(panel.items)
    seen = np.zeros(panel.items)
    level = np.full((panel.items, panel.periods + 1), start)
    for t in range(panel.periods):
        known = panel.informative[:, t]
        seen += known
        rate = np.maximum(LEVEL_RATE, 1.0 / np.maximum(seen, 1.0))
        mean = np.where(known, mean + rate * (panel.sales[:, t] - mean), mean)
        level[:, t + 1] = np.where(seen > 0, np.log1p(mean), start)
    return level


def seasonal_lag(panel: SalesPanel, shift: int) -> list[FloatArray]:
    """Return how sales `shift` periods ago stood against the year before them, and whether it is known."""
    total, count = _window_sums(panel, 3, 1)
    trailing = np.log1p(_running_mean(panel, 52))
    known = (count > 0) & (np.cumsum(panel.informative, axis=1) >= 8)
    stand = np.where(known, np.log1p(total / np.maximum(count, 1)) - trailing, 0.0)
    return [_shifted(stand, shift), _shifted(known.astype(np.float64), shift)]


def _window_sums(panel: SalesPanel, width: int, later: int) -> tuple[FloatArray, FloatArray]:
    """Sales and informative periods in windows of `width` that end `later` periods after each period."""
    known = panel.informative.astype(np.float64)
    return _windowed(panel.sales * known, width, later), _windowed(known, width, later)


def _windowed(values: FloatArray, width: int, later: int) -> FloatArray:
    periods = values.shape[1]
    total = cumulated(values)
    last = np.minimum(np.arange(periods) + 1 + later, periods)
    return np.asarray(total[:, last] - total[:, np.maximum(np.arange(periods) + 1 + later - width, 0)])


def _running_mean(panel: SalesPanel, width: int) -> FloatArray:
    total, count = _window_sums(panel, width, 0)
    return np.asarray(total / np.maximum(count, 1))


def _running_square(panel: SalesPanel, width: int) -> FloatArray:
    known = panel.informative.astype(np.float64)
    square = _windowed(panel.sales**2 * known, width, 0)
    return np.asarray(square / np.maximum(_windowed(known, width, 0), 1))


def _shifted(values: FloatArray, by: int) -> FloatArray:
    moved = np.zeros_like(values)
    moved[:, by:] = values[:, : max(values.shape[1] - by, 0)]
    return moved
