"""Levels of the items: followed from sale to sale, and, where an item has no history, those of items like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...arrays import BoolArray, FloatArray
from ..base import Arrays, Config, State
from ..features.kinds import Labels, classify_attributes, codes_of, frequent_labels, numbers_of
from .effects import DISPERSION

CLIP = 4.0
"""Standard deviations above its forecast at which a sale stops raising a settled level further."""
ODD = 6.0
"""The same for the dispersion."""
SETTLED = 0.3
"""Variance of a log level below which an item is known well enough for errors to be called odd."""
DISPERSION_WEIGHT = 20.0
"""Periods that the usual dispersion is worth against an item's own."""
NEWTON_STEPS = 3
MOST_LABELS, MOST_COLUMNS = 50, 150
"""Values of an attribute, the most frequent ones, and columns of values in all, that a level is explained by."""
LARGEST = 4.0
"""Standard deviations at which a number of an item is cut off."""
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0, 1e6)
"""Ridge penalties to choose from, in items; the last leaves the mean alone."""
FEWEST_PERIODS, FEWEST_ITEMS = 4, 10
UNCERTAIN = 0.1
"""Least variance of a new item's log level around what is expected of it."""


class Levels(NamedTuple):
    """What is known of each item before each period 0 ... periods, arrays of shape (items, periods + 1).

    Attributes:
        log_level: logarithm of demand over its factors.
        variance: of `log_level`.
        dispersion: variance of demand = mean + dispersion · mean².
    """

    log_level: FloatArray
    variance: FloatArray
    dispersion: FloatArray


class Start(NamedTuple):
    """Prior of the items before their first sale.

    Attributes:
        log_level: shape (items,).
        variance: of `log_level`, shape (items,).
        dispersion: of all items.
    """

    log_level: FloatArray
    variance: FloatArray
    dispersion: float


def filter_levels(sales: FloatArray, known: FloatArray, factor: FloatArray, start: Start, drift: float) -> Levels:
    """Follow every item's level through its record.

    The log level is a random walk seen through negative binomial demand. A sale y moves it from η₀, of
    variance P, to the posterior mode, `(η − η₀) / P = (y − μ) / (1 + α μ)` with `μ = factor · exp(η)`: near
    η₀ that is exponential smoothing with weight `P / (P + 1/μ + α)`, larger the less is known of the item and
    the more informative its sales are. An uninformative period lets the variance grow, nothing else. Sales far above
    their forecast count as if they were nearer.

    Args:
        sales: units, shape (items, periods). [y]
        known: 1.0 where sales were demand, the same shape.
        factor: what season, price and launch multiply demand by, the same shape.
        start: before the first sale.
        drift: variance that a log level gains in a period.
    """
    items, periods = sales.shape
    now = _State.before(start, items)
    kept = Levels(*(np.empty((items, periods + 1)) for _ in range(3)))
    # Periods first, so that what one step reads lies side by side.
    sales, factor = (np.ascontiguousarray(each.T) for each in (sales, factor))
    informative = np.ascontiguousarray((known > 0).T)
    for t in range(periods + 1):
        dispersion = now.dispersion
        kept.log_level[:, t], kept.variance[:, t], kept.dispersion[:, t] = now.log_level, now.variance, dispersion
        if t < periods:
            now = now.after(sales[t], factor[t], informative[t], drift, dispersion)
    return kept


class _State(NamedTuple):
    """Where each item stands, arrays of shape (items,); the dispersion is `excess / weight`."""

    log_level: FloatArray
    variance: FloatArray
    excess: FloatArray
    weight: FloatArray
    seen: BoolArray

    @classmethod
    def before(cls, start: Start, items: int) -> _State:
        """Return where items stand before their first sale."""
        weight = np.full(items, DISPERSION_WEIGHT)
        return cls(start.log_level, start.variance, start.dispersion * weight, weight, np.zeros(items, dtype=bool))

    @property
    def dispersion(self) -> FloatArray:
        """Variance of demand = mean + dispersion · mean²."""
        return np.minimum(np.maximum(self.excess / self.weight, DISPERSION[0]), DISPERSION[1])

    def after(
        self, sales: FloatArray, factor: FloatArray, informative: BoolArray, drift: float, dispersion: FloatArray
    ) -> _State:
        """Return where items stand after a period; a level drifts from its item's first sale on.

        Panels are short of items beside the steps that they take: what several lines read is computed once.
        """
        mean = np.exp(self.log_level) * factor
        square_mean, inflation = mean**2, 1 + dispersion * mean
        blur = np.expm1(np.minimum(self.variance, 3.0))
        expected = mean * inflation + square_mean * blur
        settled = self.variance < SETTLED
        square = np.minimum((sales - mean) ** 2, ODD**2 * expected) - mean
        # An error is evidence on the dispersion where the mean is not small.
        evidence = (mean / inflation) ** 2
        share = evidence / (0.1 + evidence) * (informative & settled)
        likely = np.where(settled, np.minimum(sales, mean + CLIP * np.sqrt(expected)), sales)
        # The posterior mode, by Newton's method with steps of at most one.
        precision, likely_inflation = 1 / self.variance, 1 + dispersion * likely
        moved, now = self.log_level, mean
        for step in range(NEWTON_STEPS):
            slope = (likely - now) / inflation
            if step:
                slope -= (moved - self.log_level) / self.variance
            bend = now * likely_inflation / inflation**2 + precision
            moved = moved + np.minimum(np.maximum(slope / bend, -1.0), 1.0)
            now = np.exp(moved) * factor
            inflation = 1 + dispersion * now
        information = np.where(informative, now / inflation, 0.0)
        seen = self.seen | informative
        return _State(
            log_level=np.where(informative, moved, self.log_level),
            variance=self.variance / (1 + self.variance * information) + np.where(seen, drift, 0.0),
            excess=self.excess + share * (square / np.maximum(square_mean, 1e-4) - blur),
            weight=self.weight + share,
            seen=seen,
        )


@dataclass(frozen=True, eq=False)
class LaunchLevels:
    """A ridge regression of log levels on attributes and the log price.

    Attributes:
        labels: the values of each category and code, a column each.
        numbers: mean and standard deviation of each attribute that is a number, a column each.
        weights: of the columns, the price's last, shape (columns,).
        price: mean log price, and its standard deviation.
        mean: of log levels.
        variance: of log levels around what the attributes say, left-one-out.
    """

    labels: dict[str, Labels]
    numbers: dict[str, tuple[float, float]]
    weights: FloatArray
    price: tuple[float, float]
    mean: float
    variance: float

    def of(self, static: pd.DataFrame, log_price: FloatArray) -> FloatArray:
        """Return expected log levels of items with these attributes and log prices (items,)."""
        return self.mean + _launch_columns(static, self.labels, self.numbers, log_price, self.price) @ self.weights

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {name: getattr(self, name) for name in ("labels", "numbers", "price", "mean", "variance")}
        return config, {"launch_weights": self.weights}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> LaunchLevels:
        """Rebuild from `to_state()`."""
        labels, numbers = ({name: tuple(each) for name, each in config[key].items()} for key in ("labels", "numbers"))
        weights, price = arrays["launch_weights"], tuple(config["price"])
        return cls(labels, numbers, weights, price, config["mean"], config["variance"])


def fit_launch_levels(
    log_level: FloatArray, periods: FloatArray, static: pd.DataFrame, log_price: FloatArray
) -> LaunchLevels:
    """Fit how levels go with attributes; the penalty is chosen by leaving one item out.

    Args:
        log_level: of each item, effects aside, shape (items,).
        periods: how many an item's level rests on; few ones do not count.
        static: attributes of the items.
        log_price: shape (items,).
    """
    used = periods >= FEWEST_PERIODS
    used = used if used.any() else np.ones(len(used), dtype=bool)
    price = float(log_price[used].mean()), max(float(log_price[used].std()), 1e-3)
    labels, numbers = _choose_attributes(static, used)
    columns = _launch_columns(static, labels, numbers, log_price, price)[used]
    mean = float(log_level[used].mean())
    fits = [_ridge(columns, log_level[used] - mean, penalty) for penalty in PENALTIES]
    weights, variance = min(fits, key=lambda fit: fit[1]) if used.sum() >= FEWEST_ITEMS else fits[-1]
    return LaunchLevels(labels, numbers, weights, price, mean, variance + UNCERTAIN)


def _choose_attributes(
    static: pd.DataFrame, used: BoolArray
) -> tuple[dict[str, Labels], dict[str, tuple[float, float]]]:
    """Return labels of categories and codes, those with few labels first, and mean and spread of numbers."""
    attributes = classify_attributes(static)
    rows = static.iloc[used.nonzero()[0]] if len(static) else static
    candidates: dict[str, Labels] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for name, (kind, labels) in attributes.items():
        if kind == "number":
            values = numbers_of(rows, name)
            values = values[np.isfinite(values)]
            if len(values) and values.min() < values.max():
                numbers[name] = float(values.mean()), float(values.std())
        else:
            codes = codes_of(rows, name, labels)
            present = tuple(labels[k] for k in np.unique(codes[codes >= 0]))
            candidates[name] = frequent_labels(rows, name, present, MOST_LABELS)
    chosen: dict[str, Labels] = {}
    for name, labels in sorted(candidates.items(), key=lambda entry: len(entry[1])):
        if len(labels) >= 2 and sum(map(len, chosen.values())) + len(labels) <= MOST_COLUMNS:
            chosen[name] = labels
    return chosen, numbers


def _launch_columns(
    static: pd.DataFrame,
    labels: dict[str, Labels],
    numbers: dict[str, tuple[float, float]],
    log_price: FloatArray,
    price: tuple[float, float],
) -> FloatArray:
    """Return what levels are explained by, shape (items, columns); 0 where an item or the panel lacks a value."""
    blocks = [np.zeros((len(log_price), len(values))) for values in labels.values()]
    for block, (name, values) in zip(blocks, labels.items(), strict=True):
        if name in static:
            block[:] = codes_of(static, name, values)[:, None] == np.arange(len(values))
    for name, (mean, spread) in numbers.items():
        amounts = numbers_of(static, name) if name in static else np.full(len(log_price), mean)
        blocks.append(np.clip(np.nan_to_num((amounts - mean) / spread), -LARGEST, LARGEST)[:, None])
    return np.concatenate([*blocks, ((log_price - price[0]) / price[1])[:, None]], axis=1)


def _ridge(columns: FloatArray, target: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """Return weights, and the mean squared error of each item predicted from the others."""
    gram = columns.T @ columns + penalty * np.eye(columns.shape[1])
    hat = np.linalg.solve(gram, columns.T)
    weights = hat @ target
    # The mean is estimated, too: it takes up 1/n of each item's own weight.
    own = np.minimum((columns * hat.T).sum(1) + 1 / len(target), 0.9)
    left_out = (target - columns @ weights) / (1 - own)
    return weights, float((left_out**2).mean())
