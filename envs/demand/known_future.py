"""What a panel holds of the time that demand is drawn for: the calendar and what is known ahead, and nothing else.

Covariates that are observed only are drawn from past stretches: the same past periods for all items of a path, so that
what moved together then moves together again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ...forecasters.base import cumulative_sums, known_ahead
from ...forecasters.data.calendar import season_of
from ...forecasters.data.panel import SalesPanel
from ...forecasters.features.kinds import classify_covariates, to_scale
from ...randomness import draw_by_item, keyed_generator

logger = logging.getLogger(__name__)

YEARS = {"D": 364, "B": 260, "W": 52, "M": 12, "Q": 4}
"""Periods in a year of whole weeks, by the first letter of the frequency."""
LEVEL = 26
"""Periods whose mean is an item's level of a covariate."""
STRETCH = 8
"""Periods of a past stretch."""
SHIFT = 6
"""Periods that a stretch may begin before or after its place in an earlier year."""
RELATIVE = ("price", "counts")
"""Kinds of covariates that are compared with their own level."""


def known_at(panel: SalesPanel, begin: int, end: int, future: pd.DataFrame | None = None) -> SalesPanel:
    """Return the panel as it is known when a period begins, with what is known ahead of the periods after it.

    Nothing that happened from `begin` on is left: sales are zero, items in stock, and listed where they were last. An
    item that was never listed comes new; one that was taken off sale before stays so, and one with a date in the
    static column `discontinued` goes then (`SalesPanel.extended`). Observed covariates are carried forward.

    Beyond the panel's end, covariates known ahead are those of `future`, else those of the same periods a year ago,
    prices relative to the item's level of then and now; with less than a year of history, of a season ago, else the
    last ones. The log names them.

    Args:
        panel: the history, which may reach beyond `begin`.
        begin: the first period that is not known.
        end: the first period that is not needed.
        future: known covariates beyond the panel's end: see `Forecaster.predict`.
    """
    ahead = panel.known
    if end > panel.periods and panel.known:
        beyond = _known_beyond(panel, end - panel.periods, future)
        ahead = {name: np.concatenate([values, beyond[name]], axis=1) for name, values in panel.known.items()}
    past = panel.until(begin)
    known = {name: values[:, begin:end] for name, values in ahead.items()}
    return past.extended(np.zeros((panel.items, end - begin)), known)


class Stretches(NamedTuple):
    """Which past period stands in for each of the next ones.

    Attributes:
        period: position in the history, shape (paths, periods).
    """

    period: IntArray

    @classmethod
    def draw(cls, root: int, past: SalesPanel, paths: int, periods: int) -> Stretches:
        """Draw stretches of all items' past by their own key; paths or periods added change no others."""
        root = int(keyed_generator(root, "past stretches").integers(2**62))
        number = -(-periods // STRETCH)
        keys = ["year", "shift"]
        uniform = draw_by_item(root, keys, paths, number, lambda rng, _, n: rng.random((number, n)))
        return cls.at(uniform.transpose(2, 1, 0), past, periods)

    @classmethod
    def at(cls, uniform: FloatArray, past: SalesPanel, periods: int) -> Stretches:
        """Return the stretches of uniform draws, shape (paths, stretches, 2).

        A stretch stands near its own place in an earlier year, picked at random among those on record; with less than
        a year of history it begins anywhere.
        """
        begin, year = past.periods, _year_of(past)
        length = min(STRETCH, begin)
        first = STRETCH * np.arange(uniform.shape[1])
        latest = begin - length
        # Whole years that bring a stretch back into the past, the nearest one and those before it.
        nearest = -(-(first + length) // year)
        years = np.maximum((begin + first) // year - nearest + 1, 0)
        back = year * (nearest + np.floor(uniform[..., 0] * np.maximum(years, 1)).astype(np.int64))
        shifted = begin + first - back + np.rint((2.0 * uniform[..., 1] - 1.0) * SHIFT).astype(np.int64)
        anywhere = np.floor(uniform[..., 1] * (latest + 1)).astype(np.int64)
        start = np.where(years > 0, np.clip(shifted, 0, latest), anywhere)
        period = start[..., None] + np.minimum(np.arange(STRETCH), length - 1)
        return cls(period.reshape(len(uniform), -1)[:, :periods])


def sample_observed(past: SalesPanel, stretches: Stretches, row: IntArray, path: IntArray) -> Mapping[str, FloatArray]:
    """Return observed covariates drawn from the past, each of shape (rows, periods).

    Counts and prices go with the item's level: `level now · x / level then`, on the scale of `to_scale`. Before an
    item was listed there is no past of its own; its own periods are gone through again instead.

    Args:
        past: what is known.
        stretches: which past periods stand in for the next ones.
        row: which item each row holds, shape (rows,).
        path: which path each row belongs to, shape (rows,).
    """
    begin = past.periods
    kinds = {one.name: one.kind for one in classify_covariates(past, ahead=False)}
    first = np.where(past.listed.any(axis=1), np.argmax(past.listed, axis=1), 0)
    own = np.arange(begin) - first[:, None]
    own = np.where(own >= 0, own, own % (begin - first)[:, None]) + first[:, None]
    chosen = stretches.period[path]
    drawn = {}
    for name, values in past.observed.items():
        kind = kinds.get(name)
        if kind is None:
            drawn[name] = np.repeat(values[row, -1:], chosen.shape[1], axis=1)
            continue
        table = np.take_along_axis(values, own, axis=1)
        if kind in RELATIVE:
            table = _at_level(table, values, kind, first, own)
            if kind == "counts" and np.array_equal(values, np.rint(values)):
                table = np.rint(table)
        drawn[name] = table[row[:, None], chosen]
    return drawn


def _at_level(table: FloatArray, values: FloatArray, kind: str, first: IntArray, own: IntArray) -> FloatArray:
    """Return past values as they would be at each item's level of now, the shape of `table`."""
    scaled = to_scale(values, kind)
    level = _running_level(scaled, first)
    now = to_scale(table, kind) - np.take_along_axis(level, own, axis=1) + level[:, -1:]
    return np.maximum(np.expm1(now), 0.0) if kind == "counts" else np.exp(now)


def _running_level(scaled: FloatArray, first: IntArray) -> FloatArray:
    """Mean of the last `LEVEL` periods up to each one, since an item's first one, shape (items, periods)."""
    period = np.arange(scaled.shape[1])
    since = np.minimum(np.maximum(period + 1 - LEVEL, first[:, None]), period)
    sums = cumulative_sums(scaled)
    return np.asarray((sums[:, 1:] - np.take_along_axis(sums, since, axis=1)) / (period + 1 - since))


def _known_beyond(panel: SalesPanel, periods: int, future: pd.DataFrame | None) -> dict[str, FloatArray]:
    """Return covariates known ahead of the `periods` after the panel's end, each (items, periods)."""
    given = set() if future is None else set(panel.known) & set(future.columns)
    out = known_ahead(replace(panel, known={name: panel.known[name] for name in given}), periods, future)
    rest = sorted(set(panel.known) - given)
    year = _year_of(panel)
    back = year if year <= panel.periods else season_of(panel.freq)
    if not rest:
        return out
    if back > panel.periods or back < 2:
        logger.info("carried forward beyond the panel's end, for want of a season of history: %s", ", ".join(rest))
        return out | {name: np.repeat(panel.known[name][:, -1:], periods, axis=1) for name in rest}
    logger.info("beyond the panel's end as %d periods before (give future=...): %s", back, ", ".join(rest))
    source = panel.periods - back + np.arange(periods) % back
    first = np.where(panel.listed.any(axis=1), np.argmax(panel.listed, axis=1), 0)
    kinds = {one.name: one for one in classify_covariates(panel, ahead=True)}
    for name in rest:
        values, one = panel.known[name], kinds.get(name)
        if one is None:
            out[name] = np.repeat(values[:, -1:], periods, axis=1)
            continue
        table = values
        if one.kind in RELATIVE:
            own = np.broadcast_to(np.arange(panel.periods), values.shape)
            table = _at_level(values, values, one.kind, first, np.asarray(own))
        if not one.calendar:
            # An item that was not listed then has no such period: its usual value stands in.
            usual = np.array([np.median(v[f:]) for v, f in zip(table, first, strict=True)])
            table = np.where(np.arange(panel.periods) >= first[:, None], table, usual[:, None])
        out[name] = table[:, source]
    return out


def _year_of(panel: SalesPanel) -> int:
    """Periods in a year, or in a season where the frequency has no whole number of them."""
    return YEARS.get(panel.freq.lstrip("0123456789")[:1], season_of(panel.freq))
