"""Hand-made features of direct forecasts: a row for an item, an origin and a step ahead.

An origin t reads sales, stock flags and observed covariates of periods < t, and for the step h known
covariates of periods ≤ t + h − 1. Sales that were not demand never count. What is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd

from ...arrays import Float32Array, FloatArray, IntArray
from ..data.calendar import year_angle
from ..data.panel import SalesPanel
from .history import OFFSET, Columns, Ledger, known_columns, log_ratio, observed_columns, running_means, sales_columns
from .plan import FeaturePlan, attribute, codes_of, covariate
from .season import reach_of, seasons_ago

CELLS = 200_000
"""Items times origins times steps that are held at once."""

HARMONICS = 2
QUICK = 3.0
"""How much more the newest period weighs in the quick level."""


class FeatureBlock:
    """The features of some items from some origins.

    Args:
        panel: the items, with the periods up to the last origin's last step.
        plan: which features.
        origins: periods to forecast from, shape (origins,).
        horizon: steps ahead.
    """

    def __init__(self, panel: SalesPanel, plan: FeaturePlan, origins: IntArray, horizon: int) -> None:
        self.panel, self.plan, self.origins = panel, plan, origins
        self.steps = np.arange(horizon)
        self.target = origins[:, None] + self.steps
        self.ledger = Ledger.of(panel)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, origins, steps."""
        return self.panel.items, len(self.origins), len(self.steps)

    @cached_property
    def scale(self) -> FloatArray:
        """What demand is divided by: the running level, raised a little, units, shape (items, origins)."""
        return np.asarray(self._running["level"] + OFFSET)

    @cached_property
    def columns(self) -> Columns:
        """Every feature by name, each of a shape that broadcasts to `shape`."""
        level = self._running["level"]
        columns = self._static()
        columns["step"] = np.asarray(self.steps + 1.0)[None, None]
        columns |= sales_columns(self.ledger, self.panel, self.origins, level, self.plan.widths)
        columns["quick"] = log_ratio(self._quick, level)[..., None]
        for wanted in self.plan.known:
            values = self._known[wanted.name]
            running = self._running[f"{wanted.name}:"]
            columns |= known_columns(values, wanted, self.origins, self.steps, running, self.plan.widths)
        for wanted in self.plan.observed:
            values = covariate(self.panel.observed, wanted, "observed")
            columns |= observed_columns(values, self.panel, self.origins, wanted.name, self.plan.widths)
        for season, back in self._sources:
            columns[f"season_{season}:{back}"] = self._seasons_ago(season, back)
        for name, values in self._seasonal.items():
            columns[name] = values[:, self.target] - self._running[name][..., None]
        return {**columns, **self._calendar()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(self.columns)

    def matrix(self, rows: IntArray | None = None) -> Float32Array:
        """Return the features, a row an item, origin and step (the last varies quickest).

        Args:
            rows: positions of the wanted rows; all where None.
        """
        number = int(np.prod(self.shape)) if rows is None else len(rows)
        table = np.empty((number, len(self.columns)), dtype=np.float32)
        where = None if rows is None else np.unravel_index(rows, self.shape)
        for k, values in enumerate(self.columns.values()):
            whole = np.broadcast_to(values, self.shape)
            table[:, k] = whole.ravel() if where is None else whole[where]
        return table

    @cached_property
    def _known(self) -> dict[str, FloatArray]:
        return {wanted.name: covariate(self.panel.known, wanted, "known") for wanted in self.plan.known}

    @cached_property
    def _running(self) -> dict[str, FloatArray]:
        """Running means at the origins: of sales, and of what drives them, with the same weights."""
        known = {f"{name}:": values for name, values in self._known.items()}
        series = {"level": self.ledger.sales, **known, **self._seasonal}
        means = running_means(self.ledger.known, np.stack(list(series.values())), self.plan.rate)[..., self.origins]
        means[0] = np.where(np.isnan(means[0]), self.plan.level, means[0])
        return dict(zip(series, means, strict=True))

    @cached_property
    def _quick(self) -> FloatArray:
        rate = QUICK * self.plan.rate
        return running_means(self.ledger.known, self.ledger.sales[None], rate)[0][:, self.origins]

    @cached_property
    def _sources(self) -> dict[tuple[int, int], IntArray]:
        """The period that stands for each one, seasons ago, shape (items, periods), by season and number."""
        calendar = [self._known[c.name] for c in self.plan.known if c.shared]
        return {
            (season, back): seasons_ago(self.panel, calendar, season * back, reach_of(season))
            for season in self.plan.seasons
            for back in range(1, 5 if season < 10 else 3)
        }

    @cached_property
    def _seasonal(self) -> dict[str, FloatArray]:
        """The categories' season at each period as it was a season before, by name, each (items, periods)."""
        if not self.plan.seasons:
            return {}
        source = self._sources[max(self.plan.seasons), 1]
        series = {}
        for name in self.plan.index.values:
            values = self.plan.index.at(name, self._codes(name), self.panel.dates)
            series[f"season:{name}"] = _taken(values, source)
        return series

    def _codes(self, name: str) -> IntArray:
        if not name:
            return np.zeros(self.panel.items, dtype=np.int64)
        return codes_of(self.panel, name, self.plan.categories[name])

    def _seasons_ago(self, season: int, back: int) -> FloatArray:
        """Sales some seasons ago against those of the season around them, as far as the origin knows it."""
        source, origins = self._sources[season, back][:, self.target], self.origins[:, None]
        near = 1 if season >= 10 else 0
        mean, count = self._mean(source - near, source + near + 1, origins)
        around, _ = self._mean(source - season // 2, source + (season + 1) // 2, origins)
        there = (source >= 0) & (source < origins) & (count > 0)
        return np.where(there, log_ratio(mean, around), np.nan)

    def _mean(self, first: IntArray, last: IntArray, limit: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean informative sales of periods first ... last − 1 below the limit, and how many there are."""
        item = np.arange(self.panel.items)[:, None, None]
        low, high = np.clip(first, 0, limit), np.clip(last, 0, limit)
        count = self.ledger.count[item, high] - self.ledger.count[item, low]
        total = self.ledger.total[item, high] - self.ledger.total[item, low]
        return total / np.maximum(count, 1.0), count

    def _calendar(self) -> Columns:
        dates = self.panel.dates
        angle = year_angle(dates)
        columns = {"day_of_year": dates.dayofyear.to_numpy().astype(np.float64)}
        for k in range(1, HARMONICS + 1):
            columns |= {f"sin_{k}": np.sin(k * angle), f"cos_{k}": np.cos(k * angle)}
        if self.plan.days:
            columns["day_of_week"] = dates.dayofweek.to_numpy().astype(np.float64)
        return {name: values[self.target][None] for name, values in columns.items()}

    def _static(self) -> Columns:
        columns: Columns = {}
        for name, values in self.plan.categories.items():
            codes = codes_of(self.panel, name, values).astype(np.float64)
            columns[f"static:{name}"] = np.where(codes >= 0, codes, np.nan)[:, None, None]
        for name in self.plan.numeric:
            measured = pd.to_numeric(attribute(self.panel, name), errors="coerce").to_numpy(dtype=np.float64)
            columns[f"static:{name}"] = measured[:, None, None]
        return columns


def feature_blocks(
    panel: SalesPanel, plan: FeaturePlan, origins: IntArray, horizon: int
) -> Iterator[tuple[slice, FeatureBlock]]:
    """Yield the features block by block of items, with the items' positions."""
    size = max(1, CELLS // (len(origins) * horizon))
    for first in range(0, panel.items, size):
        items = slice(first, min(first + size, panel.items))
        yield items, FeatureBlock(panel.select(np.arange(items.start, items.stop)), plan, origins, horizon)


def _taken(values: FloatArray, source: IntArray) -> FloatArray:
    """Values at the source periods, NaN where there is none, shape (items, periods)."""
    return np.where(source >= 0, np.take_along_axis(values, np.maximum(source, 0), axis=1), np.nan)
