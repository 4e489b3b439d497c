"""Which features trees read, learnt once from the training panel and kept with the trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...errors import FractileError
from ..base import Arrays, season_of
from ..data.panel import SalesPanel
from .season import SeasonIndex, fit_season_index

MOST_CATEGORIES = 60
"""Values of an attribute beyond which no category's season is pooled."""

WIDTHS, RATE = (1, 2, 4, 8, 13, 26, 52), 0.12
DAILY_WIDTHS, DAILY_RATE = (1, 3, 7, 14, 28, 56, 182), 0.05
"""Windows of whole weeks where the day of the week matters, and a level that hardly moves with it."""

YEAR = {"D": 364, "B": 260}
"""Periods in a year that begins on the same day of the week."""


@dataclass(frozen=True)
class Covariate:
    """One covariate: logs of "price", log1p of "counts", "plain" as it is; `shared`: the same for all items."""

    name: str
    kind: str
    shared: bool


@dataclass(frozen=True, eq=False)
class FeaturePlan:
    """What a row of features is made of.

    Attributes:
        horizon: the largest step ahead that is trained. [H]
        seasons: periods in each season that sales are looked back by, the shortest first.
        days: whether the day of the week matters.
        widths: periods of the windows that sales are averaged over, increasing.
        rate: weight of the newest period in running means, once there are enough of them.
        known: covariates known ahead.
        observed: covariates known once their period is over.
        categories: values of each static attribute that is text, by name.
        numeric: static attributes that are numbers.
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
    categories: Mapping[str, tuple[str, ...]]
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
    def restored(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from `to_config()` and `arrays()`."""
        covariates: dict[str, Any] = {k: tuple(Covariate(**c) for c in config[k]) for k in ("known", "observed")}
        tuples = {k: tuple(config[k]) for k in ("seasons", "widths", "numeric")}
        categories = {name: tuple(values) for name, values in config["categories"].items()}
        rest = {k: config[k] for k in ("horizon", "days", "rate", "level")}
        return cls(**{**rest, **covariates, **tuples}, categories=categories, index=SeasonIndex.from_arrays(arrays))


def plan_features(panel: SalesPanel, horizon: int) -> FeaturePlan:
    """Learn names, kinds, categories and the season of each category from the training panel."""
    season = season_of(panel.freq)
    seasons = tuple(m for m in (season, YEAR.get(panel.freq[:1], 0)) if 1 < m < panel.periods)
    categories, numeric = _attributes(panel.attributes)
    pooled = {name: values for name, values in categories.items() if len(values) <= MOST_CATEGORIES}
    groups = {"": np.zeros(panel.items, dtype=np.int64)}
    groups |= {name: codes_of(panel, name, values) for name, values in pooled.items()}
    return FeaturePlan(
        horizon=horizon,
        seasons=seasons,
        days=season in (5, 7),
        widths=DAILY_WIDTHS if season in (5, 7) else WIDTHS,
        rate=DAILY_RATE if season in (5, 7) else RATE,
        known=tuple(_covariate(name, values, "price") for name, values in sorted(panel.known.items())),
        observed=tuple(_covariate(name, values, "counts") for name, values in sorted(panel.observed.items())),
        categories=categories,
        numeric=numeric,
        level=float(panel.sales[panel.informative].mean()),
        index=fit_season_index(panel, groups, max(seasons, default=1), horizon),
    )


def codes_of(panel: SalesPanel, name: str, values: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return the position of each item's attribute among the known values, −1 for another, shape (items,)."""
    text = attribute(panel, name).astype(str)
    return pd.Index(values).get_indexer(pd.Index(text)).astype(np.int64)


def attribute(panel: SalesPanel, name: str) -> pd.Series[Any]:
    """Return a static attribute of each item.

    Raises:
        FractileError: where the panel lacks it.
    """
    if name not in panel.attributes.columns:
        raise FractileError(f"the panel lacks the static attribute {name!r} that the trees were fitted with; add it")
    return panel.attributes[name]


def covariate(table: Mapping[str, FloatArray], wanted: Covariate, what: str) -> FloatArray:
    """Return a covariate on the scale that it is compared on, shape (items, periods).

    Raises:
        FractileError: where the panel lacks it.
    """
    if wanted.name not in table:
        raise FractileError(f"the panel lacks the {what} covariate {wanted.name!r} that the trees were fitted with")
    values = table[wanted.name]
    if wanted.kind == "price":
        return np.log(np.maximum(values, 1e-6))
    return np.log1p(np.maximum(values, 0.0)) if wanted.kind == "counts" else values


def _attributes(static: pd.DataFrame) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Attributes that are text, with their values, and those that are numbers.

    Constants say nothing, and a text that differs from item to item is a name, not a category.
    """
    values = {str(name): tuple(sorted(static[name].astype(str).unique())) for name in static.columns}
    measured = {n: pd.api.types.is_numeric_dtype(static[n]) and static[n].dtype != np.dtype(bool) for n in values}
    words = {n: v for n, v in values.items() if not measured[n] and 1 < len(v) <= max(len(static) / 2, 2)}
    return words, tuple(n for n, v in values.items() if measured[n] and len(v) > 1)


def _covariate(name: str, values: FloatArray, wide: str) -> Covariate:
    finite = values[np.isfinite(values)]
    varied = len(np.unique(finite)) > 5
    positive = varied and finite.min() >= 0 and (wide == "counts" or finite.min() > 0)
    shared = bool(len(values) > 1 and not varied and np.all(values == values[:1]))
    return Covariate(name, wide if positive else "plain", shared)
