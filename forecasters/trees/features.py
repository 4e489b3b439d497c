"""Features of direct forecasts for trees: a row for an item, an origin and a step ahead.

An origin t reads sales, stock flags and observed covariates of periods < t, and for the step h known
covariates of periods ≤ t + h − 1. Sales that were not demand never count. What is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from ...arrays import Float32Array, FloatArray, IntArray
from ..base import Arrays, cumulative_sums
from ..data.calendar import phase_of, season_of
from ..data.panel import SalesPanel
from ..features.history import (
    OFFSET,
    SalesSums,
    log_ratio,
    mean_of,
    periods_since,
    running_means,
    sum_between,
)
from ..features.kinds import (
    MOST_CODES,
    Covariate,
    Labels,
    classify_attributes,
    classify_covariates,
    codes_of,
    numbers_of,
    require_attributes,
    require_covariate,
    to_scale,
)
from ..features.season import SeasonIndex, fit_season_index, reach_of, seasons_ago, year_waves

WIDTHS, RATE = (1, 2, 4, 8, 13, 26, 52), 0.12
DAILY_WIDTHS, DAILY_RATE = (1, 3, 7, 14, 28, 56, 182), 0.05
"""Windows of whole weeks where the day of the week matters, and a level that hardly moves with it."""
YEAR = {"D": 364, "B": 260}
"""Periods in a year that begins on the same day of the week."""
CELLS = 200_000
"""Items times origins times steps in memory at once."""
HARMONICS = 2
QUICK = 3.0
"""How much more the newest period weighs in the quick level."""

Columns = dict[str, FloatArray]
"""Features by name, each of a shape that broadcasts to (items, origins, horizon)."""


@dataclass(frozen=True, eq=False)
class FeaturePlan:
    """What a row of features is made of, chosen from the training panel and kept with the trees.

    Attributes:
        horizon: the largest step ahead that is trained. [H]
        seasons: periods in each season that sales are looked back by, the shortest first.
        days: whether the day of the week matters.
        widths: periods of the windows that sales are averaged over, increasing.
        rate: weight of the newest period in running means, once there are enough of them.
        known: covariates known ahead.
        observed: covariates known once their period is over.
        categories: values of each attribute that is a category, by name.
        numeric: attributes that are codes or numbers.
        level: mean sales of all items: the level of an item without history, units per period.
        index: how the items of each category sold against their year, by date.
    """

    horizon: int
    seasons: tuple[int, ...]
    days: bool
    widths: tuple[int, ...]
    rate: float
    known: tuple[Covariate, ...]
    observed: tuple[Covariate, ...]
    categories: Mapping[str, Labels]
    numeric: tuple[str, ...]
    level: float
    index: SeasonIndex

    @property
    def categorical(self) -> list[int]:
        """Positions of the features that are categories: the first ones."""
        return list(range(len(self.categories)))

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "index"}
        own["known"], own["observed"] = ([asdict(c) for c in each] for each in (self.known, self.observed))
        return own

    def arrays(self) -> Arrays:
        """Return the numbers that JSON should not hold."""
        return self.index.arrays()

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from `to_config()` and `arrays()`."""
        covariates: dict[str, Any] = {k: tuple(Covariate(**c) for c in config[k]) for k in ("known", "observed")}
        tuples = {k: tuple(config[k]) for k in ("seasons", "widths", "numeric")}
        categories = {name: tuple(values) for name, values in config["categories"].items()}
        rest = {k: config[k] for k in ("horizon", "days", "rate", "level")}
        return cls(**{**rest, **covariates, **tuples}, categories=categories, index=SeasonIndex.from_arrays(arrays))


def plan_features(panel: SalesPanel, horizon: int) -> FeaturePlan:
    """Choose the features and estimate the season of each category from the training panel."""
    season = season_of(panel.freq)
    seasons = tuple(m for m in (season, YEAR.get(panel.freq[:1], 0)) if 1 < m < panel.periods)
    attributes = classify_attributes(panel.attributes)
    categories = {name: labels for name, (kind, labels) in attributes.items() if kind == "category"}
    groups = {"": np.zeros(panel.items, dtype=np.int64)}
    for name, labels in categories.items():
        if len(labels) <= MOST_CODES:  # with few items a category, the season of each would be noise
            groups[name] = codes_of(panel.attributes, name, labels)
    days = season in (5, 7)
    return FeaturePlan(
        horizon=horizon,
        seasons=seasons,
        days=days,
        widths=DAILY_WIDTHS if days else WIDTHS,
        rate=DAILY_RATE if days else RATE,
        known=classify_covariates(panel, ahead=True),
        observed=classify_covariates(panel, ahead=False),
        categories=categories,
        numeric=tuple(name for name, (kind, _) in attributes.items() if kind != "category"),
        level=float(panel.sales[panel.informative].mean()),
        index=fit_season_index(panel, groups, max(seasons, default=1), horizon),
    )


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """The features of some items from some origins.

    Attributes:
        plan: which features they are.
        shape: items, origins, steps.
        scale: what demand is divided by: the running level, raised a little, units, shape (items, origins).
        columns: every feature by name, each of a shape that broadcasts to `shape`.
    """

    plan: FeaturePlan
    shape: tuple[int, int, int]
    scale: FloatArray
    columns: Columns

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(self.columns)

    def matrix(self, rows: IntArray | None = None) -> Float32Array:
        """Return the features, a row an item, origin and step (the last varies quickest).

        Args:
            rows: positions of the rows to return; all where None.
        """
        number = int(np.prod(self.shape)) if rows is None else len(rows)
        table = np.empty((number, len(self.columns)), dtype=np.float32)
        where = None if rows is None else np.unravel_index(rows, self.shape)
        for k, values in enumerate(self.columns.values()):
            whole = np.broadcast_to(values, self.shape)
            table[:, k] = whole.ravel() if where is None else whole[where]
        return table


def build_features(panel: SalesPanel, plan: FeaturePlan, origins: IntArray, horizon: int) -> FeatureBlock:
    """Build the features of all items of a panel.

    Args:
        panel: the items, with the periods up to the last origin's last step.
        plan: which features.
        origins: periods to forecast from, shape (origins,).
        horizon: steps ahead.
    """
    target = origins[:, None] + np.arange(horizon)
    static = require_attributes(panel, (*plan.categories, *plan.numeric))
    sums = SalesSums.of(panel)
    known = {c.name: to_scale(require_covariate(panel, c.name, ahead=True), c.kind) for c in plan.known}
    calendar = [known[c.name] for c in plan.known if c.calendar]
    # The period that stands for each one, seasons ago, (items, periods), by season and how many of them.
    sources = {
        (season, back): seasons_ago(panel, calendar, season * back, reach_of(season))
        for season in plan.seasons
        for back in range(1, 5 if season < 10 else 3)
    }
    # The categories' season at each period as it was a year before, each (items, periods).
    index = {}
    if plan.seasons:
        source = sources[max(plan.seasons), 1]
        for name in plan.index.values:
            groups = codes_of(static, name, plan.categories[name]) if name else np.zeros(panel.items, np.int64)
            values = plan.index.at(name, groups, panel.dates)
            before = np.take_along_axis(values, np.maximum(source, 0), axis=1)
            index[f"season:{name}"] = np.where(source >= 0, before, np.nan)
    # Sales are compared with what drove them: running means of both, with the same weights.
    series = {"level": sums.sales, **{f"{name}:": values for name, values in known.items()}, **index}
    means = running_means(sums.known, np.stack(list(series.values())), plan.rate)[..., origins]
    means[0] = np.where(np.isnan(means[0]), plan.level, means[0])
    running = dict(zip(series, means, strict=True))
    level = running["level"]
    quick = running_means(sums.known, sums.sales[None], QUICK * plan.rate)[0][:, origins]

    columns: Columns = {}
    for name, labels in plan.categories.items():
        codes = codes_of(static, name, labels)
        columns[f"static:{name}"] = np.where(codes >= 0, codes, np.nan)[:, None, None]
    columns |= {f"static:{name}": numbers_of(static, name)[:, None, None] for name in plan.numeric}
    columns["step"] = np.asarray(np.arange(horizon) + 1.0)[None, None]
    columns |= _sales_columns(sums, panel, origins, level, plan.widths)
    columns["quick"] = log_ratio(quick, level)[..., None]
    for one in plan.known:
        columns |= _known_columns(known[one.name], one, origins, target, running[f"{one.name}:"], plan.widths)
    for one in plan.observed:
        columns |= _observed_columns(panel, one, origins, plan.widths)
    for (season, back), source in sources.items():
        columns[f"season_{season}:{back}"] = _sales_seasons_ago(sums, source[:, target], origins[:, None], season)
    columns |= {name: values[:, target] - running[name][..., None] for name, values in index.items()}
    days = {"day_of_year": panel.dates.dayofyear.to_numpy().astype(np.float64)}
    for k, (sine, cosine) in enumerate(year_waves(panel.dates, HARMONICS), start=1):
        days |= {f"sin_{k}": sine, f"cos_{k}": cosine}
    if plan.days:
        days["day_of_week"] = phase_of(panel.dates, 7).astype(np.float64)
    columns |= {name: values[target][None] for name, values in days.items()}
    return FeatureBlock(plan, (panel.items, len(origins), horizon), np.asarray(level + OFFSET), columns)


def feature_blocks(
    panel: SalesPanel, plan: FeaturePlan, origins: IntArray, horizon: int
) -> Iterator[tuple[slice, FeatureBlock]]:
    """Yield the features block by block of items, with the items' positions."""
    size = max(1, CELLS // (len(origins) * horizon))
    for first in range(0, panel.items, size):
        items = slice(first, min(first + size, panel.items))
        yield items, build_features(panel.select(np.arange(items.start, items.stop)), plan, origins, horizon)


def _sales_columns(
    sums: SalesSums, panel: SalesPanel, at: IntArray, level: FloatArray, widths: tuple[int, ...]
) -> Columns:
    """Return features of past sales at the origins `at`, against the running level (items, origins) there."""
    columns = {}
    for width in widths:
        count = sum_between(sums.count, at - width, at)
        columns[f"mean_{width}"] = log_ratio(sums.mean(at - width, at), level)
        if width in (widths[2], widths[4]):
            columns[f"informative_{width}"] = count / width
        if width in (widths[4], widths[-1]):
            columns[f"zeros_{width}"] = mean_of(sum_between(sums.zeros, at - width, at), count)
            columns[f"spread_{width}"] = sums.spread(at - width, at) / (level + OFFSET)
    columns["level"] = np.log(level + OFFSET)
    columns["mean_ever"] = log_ratio(sums.mean(np.zeros_like(at), at), level)
    columns["trend"] = columns[f"mean_{widths[2]}"] - columns[f"mean_{widths[4]}"]
    columns["since_sale"] = periods_since(sums.sales > 0, at)
    columns["since_stockout"] = periods_since(panel.ran_out, at)
    columns["seen"] = sums.count[:, at]
    columns["age"] = cumulative_sums(panel.listed.astype(np.float64))[:, at]
    return {name: values[..., None] for name, values in columns.items()}


def _known_columns(
    values: FloatArray, one: Covariate, at: IntArray, target: IntArray, running: FloatArray, widths: tuple[int, ...]
) -> Columns:
    """Return a covariate known ahead: at the target, before it, and against its past.

    Args:
        values: shape (items, periods), NaN where there is none.
        one: its name and kind.
        at: origins, shape (origins,).
        target: periods that are forecast, shape (origins, horizon).
        running: its running mean at the origins, weighted as the level is, shape (items, origins).
        widths: of the windows; the third and the last are used.
    """
    there = np.isfinite(values)
    total, count = cumulative_sums(np.where(there, values, 0.0)), cumulative_sums(there.astype(np.float64))
    now, before = values[:, target], values[:, np.maximum(target - 1, 0)]
    recent, year = (
        mean_of(sum_between(total, at - width, at), sum_between(count, at - width, at))
        for width in (widths[2], widths[-1])
    )
    between = mean_of(total[:, target] - total[:, at, None], count[:, target] - count[:, at, None])
    columns = {
        f"{one.name}:against_level": now - running[..., None],
        f"{one.name}:against_year": now - year[..., None],
        f"{one.name}:step": now - before,
        f"{one.name}:between": between - running[..., None],
        f"{one.name}:recent": (recent - running)[..., None],
    }
    if one.kind != "price":  # prices of different items are not compared
        columns[f"{one.name}:target"] = now
    return columns


def _observed_columns(panel: SalesPanel, one: Covariate, at: IntArray, widths: tuple[int, ...]) -> Columns:
    """Return the last values of a covariate that was observed, against its own past; NaN before a launch."""
    values = to_scale(require_covariate(panel, one.name, ahead=False), one.kind)
    there = panel.listed & np.isfinite(values)
    total, count = cumulative_sums(np.where(there, values, 0.0)), cumulative_sums(there.astype(np.float64))
    recent, base = (
        mean_of(sum_between(total, at - width, at), sum_between(count, at - width, at))
        for width in (widths[2], widths[-2])
    )
    columns = {f"{one.name}:base": base}
    for lag in (1, 2, 3):
        period = np.maximum(at - lag, 0)
        columns[f"{one.name}:lag_{lag}"] = np.where(there[:, period] & (at >= lag), values[:, period] - base, np.nan)
    columns[f"{one.name}:recent"] = recent - base
    return {key: each[..., None] for key, each in columns.items()}


def _sales_seasons_ago(sums: SalesSums, source: IntArray, limit: IntArray, season: int) -> FloatArray:
    """Return sales some seasons ago against those of the season around them, as far as the origin knows it.

    Args:
        sums: of the panel.
        source: the period that stands for each target, shape (items, origins, horizon).
        limit: the origins, shape (origins, 1).
        season: periods in the season.
    """
    near = 1 if season >= 10 else 0
    first, last = np.minimum(source - near, limit), np.minimum(source + near + 1, limit)
    # Where nothing counts, the mean is taken for 0: the period itself is then missing, the year before it is not.
    mean = np.nan_to_num(sums.mean(first, last))
    around = np.minimum(source - season // 2, limit), np.minimum(source + (season + 1) // 2, limit)
    there = (source >= 0) & (source < limit) & (sum_between(sums.count, first, last) > 0)
    return np.where(there, log_ratio(mean, np.nan_to_num(sums.mean(*around))), np.nan)
