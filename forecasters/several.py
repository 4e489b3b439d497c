"""What is computed of several forecasts together, at a fraction of what it costs one by one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ..arrays import FloatArray
from .demand_forecast import DemandForecast, check_span
from .forecast import QuantileForecast, join_dependence
from .interpolation import AT_ONCE, draws_of
from .totals import sum_quantiles

TOGETHER = 8_000_000
"""Quantiles of several forecasts that are summed together, at most."""
LINES = 4
"""Pieces whose demand is written together: memory is written in lines, of which one item is an eighth."""


def total_each(forecasts: Sequence[DemandForecast], span: ArrayLike) -> list[DemandForecast]:
    """Return the forecast of demand summed over the first `span` periods for each of several forecasts: see `total`.

    Those of one fitted forecaster that follow each other, from one origin after another, are summed together, which
    costs a fraction.

    Args:
        forecasts: of the same items.
        span: periods, an integer >= 1, or an array of them that broadcasts to (items, origins) of each forecast.
    """
    out: list[DemandForecast] = []
    while len(out) < len(forecasts):
        first = forecasts[len(out)]
        if type(first) is not QuantileForecast:
            out.append(first.total(span))
            continue
        most = max(1, TOGETHER // max(1, first.values.size))
        rest = forecasts[len(out) : len(out) + most]
        some = [cast(QuantileForecast, f) for f in takewhile(partial(_summed_alike, first), rest)]
        longest = int(check_span(first, span).max())
        spans = [np.broadcast_to(span, f.values.shape[:2])[..., None] for f in some]
        values = np.concatenate([f.values[:, :, :longest] for f in some], axis=1)
        dependence = join_dependence(some)
        sums = sum_quantiles(first.levels, values, dependence and dependence.over(0, longest), np.concatenate(spans, 1))
        parts = np.split(sums, np.cumsum([len(f.origins) for f in some])[:-1], axis=1)
        out += [f._with(values=part, dependence=None) for f, part in zip(some, parts, strict=True)]
    return out


def first_period_demand(forecasts: Sequence[DemandForecast], normal: FloatArray) -> FloatArray:
    """Return demand of the first period of each of several forecasts at standard normal scores.

    Args:
        forecasts: of the same items and from one origin each, one a period.
        normal: shape (items, periods, paths).

    Returns:
        units, shape (paths, periods, items): at (p, t, i) what `at_normals` gives for the score of (i, t, p).
    """
    items, periods, paths = normal.shape
    demand = np.empty((periods, paths, items)).swapaxes(0, 1)  # a simulation reads period after period
    levels = forecasts[0].levels
    if not all(type(f) is QuantileForecast and np.array_equal(f.levels, levels) for f in forecasts):
        for t, forecast in enumerate(forecasts):
            demand[:, t] = forecast.head(1).at_normals(normal[:, t].T[:, :, None, None])[:, :, 0, 0]
        return demand
    values = np.stack([f.values[:, 0, 0] for f in forecasts], axis=1)  # (items, periods, Q)
    size = max(1, AT_ONCE // max(1, paths * periods))
    for first in range(0, items, LINES * size):
        parts = [slice(k, k + size) for k in range(first, min(first + LINES * size, items), size)]
        drawn = np.concatenate([draws_of(levels, values[part], ndtr(normal[part])) for part in parts])
        demand[:, :, first : first + len(drawn)] = drawn.T
    return demand


def _summed_alike(first: QuantileForecast, other: DemandForecast) -> bool:
    """Whether both are plain quantiles at the same levels whose errors move together in the same way."""
    if type(other) is not QuantileForecast or first.values.shape[::2] != other.values.shape[::2]:
        return False
    one, two = first.dependence, other.dependence
    if one is None or two is None or one.method != two.method or (one.templates is None) != (two.templates is None):
        return one is two is None and np.array_equal(first.levels, other.levels)
    pairs = [(first.levels, other.levels), (one.correlation, two.correlation)]
    pairs += [] if one.templates is None or two.templates is None else [(one.templates, two.templates)]
    return all(np.array_equal(*pair) for pair in pairs)
