"""Where an item without a history stands: the level at which items like it sell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ..base import Arrays, Config
from .effects import categorical, codes_of

MOST_LABELS, MOST_COLUMNS = 50, 150
"""Values of an attribute, and columns in all, that a level is explained by."""
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0, 1e6)
"""Ridge penalties to choose from, in items; the last leaves the mean alone."""
FEWEST_PERIODS, FEWEST_ITEMS = 4, 10
UNCERTAIN = 0.1
"""Least variance of a new item's log level around what is expected of it."""


@dataclass(frozen=True, eq=False)
class LaunchLevels:
    """A ridge regression of log levels on attributes and the log price.

    Attributes:
        labels: the values of each attribute, a column each.
        weights: of the columns, the price's last, shape (columns,).
        price: mean log price, and its standard deviation, shape (2,).
        mean: of log levels, a scalar array.
        variance: of log levels around what the attributes say, left-one-out, a scalar array.
    """

    labels: dict[str, tuple[str, ...]]
    weights: FloatArray
    price: FloatArray
    mean: FloatArray
    variance: FloatArray

    def of(self, static: pd.DataFrame, log_price: FloatArray) -> FloatArray:
        """Return expected log levels of items with these attributes and log prices (items,)."""
        columns = _columns(static, self.labels, (log_price - self.price[0]) / self.price[1])
        return self.mean + columns @ self.weights

    def arrays(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        own = {"weights": self.weights, "price": self.price, "mean": self.mean, "variance": self.variance}
        return {f"launch_{name}": array for name, array in own.items()}

    def config(self) -> Config:
        """Return the configuration that `from_state` needs."""
        return {name: list(labels) for name, labels in self.labels.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> LaunchLevels:
        """Rebuild from `config()` and `arrays()`."""
        own = {name: arrays[f"launch_{name}"] for name in ("weights", "price", "mean", "variance")}
        return cls({name: tuple(labels) for name, labels in config.items()}, **own)


def fit_launch_levels(
    log_level: FloatArray, periods: FloatArray, static: pd.DataFrame, log_price: FloatArray
) -> LaunchLevels:
    """Learn how levels go with attributes; the penalty is chosen by leaving one item out.

    Args:
        log_level: of each item, effects aside, shape (items,).
        periods: how many an item's level rests on; few ones do not count.
        static: attributes of the items.
        log_price: shape (items,).
    """
    used = periods >= FEWEST_PERIODS
    used = used if used.any() else np.ones(len(used), dtype=bool)
    price = np.array([log_price[used].mean(), max(float(log_price[used].std()), 1e-3)])
    labels = _chosen_labels(static.iloc[used.nonzero()[0]]) if len(static) else {}
    columns = _columns(static, labels, (log_price - price[0]) / price[1])[used]
    mean = log_level[used].mean()
    fits = [_ridge(columns, log_level[used] - mean, penalty) for penalty in PENALTIES]
    weights, variance = min(fits, key=_variance_of) if used.sum() >= FEWEST_ITEMS else fits[-1]
    return LaunchLevels(labels, weights, price, np.asarray(mean), np.asarray(variance + UNCERTAIN))


def _columns(static: pd.DataFrame, labels: dict[str, tuple[str, ...]], price: FloatArray) -> FloatArray:
    blocks = [
        codes_of(static, name, values, len(price))[:, None] == np.arange(len(values)) for name, values in labels.items()
    ]
    return np.concatenate([*blocks, price[:, None]], axis=1).astype(np.float64)


def _chosen_labels(static: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for name, values in sorted(categorical(static, MOST_LABELS).items(), key=_number_of_labels):
        if sum(map(len, chosen.values())) + len(values) <= MOST_COLUMNS:
            chosen[name] = values
    return chosen


def _number_of_labels(entry: tuple[str, tuple[str, ...]]) -> int:
    return len(entry[1])


def _ridge(columns: FloatArray, target: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """Weights, and the mean squared error of each item foretold by the others."""
    gram = columns.T @ columns + penalty * np.eye(columns.shape[1])
    hat = np.linalg.solve(gram, columns.T)
    weights = hat @ target
    # The mean is estimated, too: it takes up 1/n of each item's own weight.
    own = np.minimum((columns * hat.T).sum(1) + 1 / len(target), 0.9)
    left_out = (target - columns @ weights) / (1 - own)
    return weights, float((left_out**2).mean())


def _variance_of(fit: tuple[Any, float]) -> float:
    return fit[1]
