"""The calendar: waves of the year, phases of short seasons, where a period's season stood before and how it sold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ..base import Arrays, informative_sums
from ..data.calendar import year_angle
from ..data.panel import SalesPanel
from .history import mean_of, sum_between

SHRINK = 4.0
"""Items of average size that a category's index is drawn to the index of all items by."""
FEWEST = 8
"""Informative periods of an item that its own mean needs."""
LONGEST_RUN = 30
"""Periods after which it no longer matters for how long a calendar flag has been up."""


def year_waves(dates: pd.DatetimeIndex, harmonics: int) -> list[tuple[FloatArray, FloatArray]]:
    """Return sine and cosine of each harmonic of the year, the slowest first, each of shape (periods,)."""
    angle = year_angle(dates)
    return [(np.sin(k * angle), np.cos(k * angle)) for k in range(1, harmonics + 1)]


def week_of_year(dates: pd.DatetimeIndex) -> IntArray:
    """Return the week of the year of each period, 0 ... 52."""
    return np.asarray(np.minimum((dates.dayofyear.to_numpy() - 1) // 7, 52), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SeasonIndex:
    """How the items of each category sold in a period against the year around it.

    Attributes:
        days: date of each period, nanoseconds since 1970, shape (periods,).
        values: by attribute ("" for all items), log of sales over the items' means, shape (categories, periods),
            NaN where no item had both.
    """

    days: IntArray
    values: dict[str, FloatArray]

    def at(self, name: str, codes: IntArray, dates: pd.DatetimeIndex) -> FloatArray:
        """Return the index of each item's category at each date, NaN where it is not on record.

        Args:
            name: the attribute; "" for all items.
            codes: category of each item, −1 for an unknown one, shape (items,).
            dates: shape (periods,).

        Returns:
            shape (items, periods).
        """
        position = pd.Index(self.days).get_indexer(pd.Index(dates.as_unit("ns").asi8))
        table = np.where(position >= 0, self.values[name][:, position], np.nan)
        everyone = np.where(position >= 0, self.values[""][:, position], np.nan)
        return np.where(codes[:, None] >= 0, table[codes], everyone)

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {"index_days": self.days, **{f"index_values.{name}": table for name, table in self.values.items()}}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Rebuild from `arrays()`."""
        prefix = "index_values."
        values = {key.removeprefix(prefix): table for key, table in arrays.items() if key.startswith(prefix)}
        return cls(arrays["index_days"], values)


def fit_season_index(panel: SalesPanel, groups: dict[str, IntArray], season: int, horizon: int) -> SeasonIndex:
    """Estimate how categories sold in each period.

    An item's sales are divided by their mean over the year around the period. The year reaches no further
    ahead than an origin knows that forecasts the same period of the next year.

    Args:
        panel: the history.
        groups: category of each item, −1 for none, shape (items,), by attribute; "" holds all items.
        season: periods in a year.
        horizon: largest step ahead. [H]
    """
    ahead = int(np.clip(season - horizon - reach_of(season), 0, season // 2))
    total, count = informative_sums(panel)
    at = np.arange(panel.periods)
    first, last = at - (season - ahead), at + ahead
    base = np.nan_to_num(mean_of(sum_between(total, first, last), sum_between(count, first, last)))
    known = panel.informative
    usable = known & (base > 0) & (known.sum(axis=1, keepdims=True) >= FEWEST)
    sold, mean = np.where(usable, panel.sales, 0.0), np.where(usable, base, 0.0)
    average = mean.sum() / max(int(usable.sum()), 1)
    everyone = _log_share(sold.sum(0), mean.sum(0))
    prior = np.where(np.isfinite(everyone), np.exp(everyone), 1.0) * SHRINK * average
    values = {"": everyone[None]}
    for name, codes in groups.items():
        if name:
            member = (codes[None] == np.arange(codes.max() + 1)[:, None]).astype(np.float64)
            values[name] = _log_share(member @ sold + prior, member @ mean + SHRINK * average)
    return SeasonIndex(np.asarray(panel.dates.as_unit("ns").asi8), values)


def _log_share(sold: FloatArray, mean: FloatArray) -> FloatArray:
    """Return the log of what was sold over its mean, a tenth at least; NaN where the mean is 0."""
    least = np.maximum(mean, 1e-9)
    return np.where(mean > 0, np.log(np.maximum(sold, 0.1 * least) / least), np.nan)


def reach_of(season: int) -> int:
    """Return how many periods a holiday may move from one season to the next."""
    return min(season // 10, 10)


def seasons_ago(panel: SalesPanel, calendar: list[FloatArray], back: int, reach: int) -> IntArray:
    """Return the period that stands for each one some periods ago, shape (items, periods); below 0: none.

    Holidays move: where a calendar flag is up, it is the nearest period within `reach` whose flags, and the
    periods since they changed, are the same; elsewhere the nearest one with the same flags.

    Args:
        panel: the items.
        calendar: flags, each (items, periods).
        back: periods that the season lies back.
        reach: how far from there it may be.
    """
    at = np.arange(panel.periods)
    plain = np.broadcast_to(at - back, (panel.items, panel.periods))
    if not calendar or reach < 1:
        return plain
    # A number for each combination of flags and, where one is up, of the periods since they changed.
    flags: IntArray = sum((each != 0).astype(np.int64) << k for k, each in enumerate(calendar)) + np.int64(0)
    changed = np.diff(flags, axis=1, prepend=-1) != 0
    since = np.maximum.accumulate(np.where(changed, at, 0), axis=1)
    sign = np.where(flags > 0, (flags << 5) + np.minimum(at - since, LONGEST_RUN), 0)
    source = np.full(plain.shape, -1, dtype=np.int64)
    for shift in sorted(range(-reach, reach + 1), key=lambda k: (abs(k), k)):
        candidate = at - back + shift
        inside = (candidate >= 0) & (candidate < at)
        same = sign[:, np.clip(candidate, 0, panel.periods - 1)] == sign
        source = np.where((source < 0) & inside & same, candidate, source)
    return np.where(source < 0, plain, source)
