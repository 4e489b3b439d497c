"""The sparse quantile random forest: one forest over product lines that have different features.

A feature that a row does not have is absent from its sparse row. Absent is *missing*: at each split the
missing rows go where they lower the loss most. An entry that is there and is 0 is a value like any other.
Rows stream past in blocks, so that any number of them fits into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack

from ...arrays import Float32Array, FloatArray, IntArray
from ...errors import FractileError, did_you_mean
from ...randomness import keyed_generator
from ..base import Arrays
from ..censoring import History
from .boosting import Trees
from .features import FeatureBlock, FeaturePlan
from .forecaster import TreeForecaster, training_blocks
from .forest import ForestRows, LeafStore, QuantileForestConfig, grow_forest

TINY = np.float32(1e-30)
"""Stands for 0: LightGBM takes what is within 1e-35 of 0 for absent."""
SHARED = ("step", "seen", "age", "level")
"""Beginnings of features that mean the same in every product line."""


class Rows(NamedTuple):
    """Some training rows.

    Attributes:
        features: scipy CSR, shape (rows, features); what is not stored is missing.
        target: shape (rows,).
        weight: above 0, shape (rows,).
    """

    features: Any
    target: FloatArray
    weight: FloatArray


@dataclass(frozen=True)
class SparseForestConfig(QuantileForestConfig):
    """A sparse quantile forest; the other options are those of every quantile forest.

    Attributes:
        groups: of trees, each group grown on rows of its own.
        group_rows: of such a group, at most; the most in memory.
        lines: static attribute whose values have features of their own; the one with the fewest values where
            it is empty.
    """

    most_rows: int = 1_000_000
    groups: int = 4
    group_rows: int = 50_000
    lines: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("groups", "group_rows"):
            self.require(name, getattr(self, name) >= 1, ">= 1")


class SparseQuantileForest:
    """A quantile regression forest (Meinshausen 2006) on sparse rows that stream past.

    The rows are read twice, block by block. In the first pass each group of trees draws a uniform sample of
    bounded size, and grows on it. In the second one all rows fall through all trees, and each leaf keeps a
    uniform sample of its targets, bounded as well.

    Args:
        config: `groups`, `group_rows`, `kept` and what else forests have.
    """

    def __init__(self, config: SparseForestConfig) -> None:
        self.config = config
        self._groups: list[Trees] = []
        self._store: LeafStore | None = None

    def fit(self, blocks: Iterable[Rows]) -> Self:
        """Grow the trees and fill their leaves.

        Args:
            blocks: can be iterated over twice, with the same blocks each time.
        """
        if iter(blocks) is blocks:
            raise FractileError("blocks must be iterable more than once, got an iterator; give a list or a class")
        # One uniform sample of the rows for each group of trees.
        sampled = [RowSample(self.config.group_rows) for _ in range(self.config.groups)]
        for number, rows in enumerate(blocks):
            apart = rows._replace(features=mark_zeros(rows.features))
            for k, sample in enumerate(sampled):
                keys = keyed_generator(self.config.seed, "forest rows", k, number).random(len(rows.target))
                sample.add(apart, keys)
        samples = [sample.rows() for sample in sampled]
        number = min(self.config.trees, len(samples))
        sizes = [len(part) for part in np.array_split(np.arange(self.config.trees), number)]
        self._groups = []
        for group, size in enumerate(sizes):
            seed = int(keyed_generator(self.config.seed, "forest", group).integers(2**31 - 1))
            grown_on = ForestRows(*samples[group], categorical=[])
            options = {"zero_as_missing": True, "seed": seed}
            self._groups.append(grow_forest(grown_on, self.config, size, options))
        self._store = LeafStore(np.concatenate([trees.leaves for trees in self._groups]), self.config.kept)
        for number, rows in enumerate(blocks):
            rng = keyed_generator(self.config.seed, "leaves", number)
            self._store.add(self._leaf(mark_zeros(rows.features)), rows.target, rows.weight, rng)
        return self

    def quantiles(self, features: Any, levels: FloatArray) -> FloatArray:
        """Return quantiles of the target.

        Args:
            features: scipy CSR, shape (rows, features).
            levels: shape (Q,). [τ]

        Returns:
            shape (rows, Q).
        """
        if self._store is None:
            raise FractileError("the forest is not fitted; call fit(blocks) first")
        return self._store.quantiles(self._leaf(mark_zeros(features)), np.asarray(levels))

    def arrays(self) -> Arrays:
        """Return model texts and the leaves' targets."""
        if self._store is None:
            raise FractileError("the forest is not fitted; call fit(blocks) first")
        return {**{f"forest_{k}": trees.text for k, trees in enumerate(self._groups)}, **self._store.arrays()}

    @classmethod
    def from_arrays(cls, config: SparseForestConfig, arrays: Arrays) -> Self:
        """Rebuild from `arrays()`."""
        made = cls(config)
        number = sum(name.startswith("forest_") for name in arrays)
        made._groups = [Trees(arrays[f"forest_{k}"], config.threads) for k in range(number)]
        leaves = [trees.leaves for trees in made._groups]
        made._store = LeafStore.from_arrays(arrays, np.concatenate([np.zeros(0, dtype=np.int64), *leaves]))
        return made

    def _leaf(self, features: Any) -> IntArray:
        return np.concatenate([trees.leaf(features) for trees in self._groups], axis=1)


class RowSample:
    """A uniform sample of the rows of a stream.

    Every row comes with a random key, and those with the smallest keys stay.

    Args:
        most: rows that are kept; at most twice as many are in memory.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._parts: list[Rows] = []
        self._keys = np.zeros(0)
        self._limit = 1.0

    def add(self, rows: Rows, keys: FloatArray) -> None:
        """Add a block of rows with their keys, shape (rows,), uniform in [0, 1)."""
        chosen = np.flatnonzero(keys < self._limit)
        if len(chosen):
            self._parts.append(_select(rows, chosen))
            self._keys = np.concatenate([self._keys, keys[chosen]])
        if len(self._keys) > 2 * self.most:
            self._cut()

    def rows(self) -> Rows:
        """Return the sample."""
        if len(self._keys) > self.most:
            self._cut()
        return _concatenate(self._parts)

    def _cut(self) -> None:
        self._limit = float(np.partition(self._keys, self.most)[self.most])
        chosen = np.flatnonzero(self._keys < self._limit)
        self._parts = [_select(_concatenate(self._parts), chosen)]
        self._keys = self._keys[chosen]


def mark_zeros(features: Any) -> Any:
    """Return CSR rows in which stored zeros are tiny numbers: LightGBM takes zeros for absent entries."""
    data = features.data.astype(np.float32)
    data[data == 0] = TINY
    return csr_matrix((data, features.indices, features.indptr), shape=features.shape)


def _select(rows: Rows, chosen: IntArray) -> Rows:
    return Rows(rows.features[chosen], rows.target[chosen], rows.weight[chosen])


def _concatenate(parts: list[Rows]) -> Rows:
    if not parts:
        raise FractileError("a forest needs at least one row, got none; give blocks that hold rows")
    features = parts[0].features if len(parts) == 1 else vstack([p.features for p in parts], format="csr")
    return Rows(features, *(np.concatenate([p[k] for p in parts]) for k in (1, 2)))


@dataclass(frozen=True)
class SparseLayout:
    """Which column of the sparse table a feature goes to.

    First the numbers, then a column for each value of each category, then the numbers that matter by product
    line once more for each line, in a block of columns of its own.

    Attributes:
        sizes: values of each category.
        numbers: how many features are numbers.
        crossed: positions, among the numbers, of those that each line has for itself.
        line: position of the category that is the product line; −1 where there is none.
    """

    sizes: tuple[int, ...]
    numbers: int
    crossed: tuple[int, ...]
    line: int

    @classmethod
    def of(cls, plan: FeaturePlan, names: tuple[str, ...], lines: str) -> SparseLayout:
        """Lay out the features of a plan; `lines` names the attribute, the one with fewest values where empty."""
        sizes = tuple(len(values) for values in plan.categories.values())
        numbers = names[len(sizes) :]
        crossed = tuple(k for k, name in enumerate(numbers) if not name.startswith(SHARED) and "static:" not in name)
        attributes = list(plan.categories)
        if lines and lines not in attributes:
            hint = did_you_mean(lines, attributes)
            raise FractileError(f"lines must be a static attribute that is text and varies, got {lines!r}{hint}")
        line = -1
        if attributes:
            line = attributes.index(lines) if lines else int(np.argmin(sizes))
        return cls(sizes, len(numbers), crossed, line)

    @property
    def width(self) -> int:
        """Columns in all."""
        lines = self.sizes[self.line] if self.line >= 0 else 0
        return self.numbers + sum(self.sizes) + lines * len(self.crossed)

    def encode(self, features: Float32Array) -> csr_matrix:
        """Return the sparse form of dense features; NaN is absent, 0 is stored."""
        codes, numbers = features[:, : len(self.sizes)], features[:, len(self.sizes) :]
        offsets = self.numbers + np.concatenate([[0], np.cumsum(self.sizes)])
        parts = [(numbers, np.arange(self.numbers)[None])]
        for category, first in zip(codes.T, offsets[:-1], strict=True):
            parts.append((np.where(np.isnan(category), category, 1.0)[:, None], _column(category, first)))
        if self.line >= 0:
            line = codes[:, self.line]
            own = np.where(np.isnan(line)[:, None], np.nan, numbers[:, self.crossed])
            begin = _column(line * len(self.crossed), int(offsets[-1]))
            parts.append((own, begin + np.arange(len(self.crossed))))
        values = np.concatenate([value for value, _ in parts], axis=1)
        columns = np.concatenate([np.broadcast_to(column, value.shape) for value, column in parts], axis=1)
        there = ~np.isnan(values)
        ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        stored = values[there].astype(np.float32), columns[there].astype(np.int32), ends
        return csr_matrix(stored, shape=(len(features), self.width))


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """The training rows of a history in sparse form, built anew in each pass over them."""

    history: History
    plan: FeaturePlan
    config: SparseForestConfig

    def __iter__(self) -> Iterator[Rows]:
        """Yield them block by block of items."""
        for rows in training_blocks(self.history, self.plan, self.config):
            layout = SparseLayout.of(self.plan, rows.names, self.config.lines)
            yield Rows(layout.encode(rows.features), rows.target, rows.weight)


class SQRF(TreeForecaster[SparseForestConfig]):
    """The sparse quantile random forest.

    One forest over all product lines. A feature that an item does not have is absent, not 0; each value of a
    category is a column, and each product line has columns of its own for what works differently there.
    Training rows stream past in blocks, so that memory is bounded. Options: see `SparseForestConfig`.
    """

    name = "sqrf"
    config_type = SparseForestConfig
    option_names = SparseForestConfig.names()

    def fit_model(self, history: History, plan: FeaturePlan, config: SparseForestConfig) -> SparseQuantileForest:
        """Grow the forest and fill its leaves."""
        return SparseQuantileForest(config).fit(EncodedRows(history, plan, config))

    def model_from_arrays(self, arrays: Arrays) -> SparseQuantileForest:
        """Rebuild from the model's arrays."""
        return SparseQuantileForest.from_arrays(self.config, arrays)

    def predict_ratios(self, model: SparseQuantileForest, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        layout = SparseLayout.of(block.plan, block.names, self.config.lines)
        return model.quantiles(layout.encode(block.matrix()), levels)


def _column(codes: Float32Array, offset: int) -> IntArray:
    return (np.nan_to_num(codes).astype(np.int64) + offset)[:, None]
