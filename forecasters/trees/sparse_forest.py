"""A quantile forest over product lines with different features, held sparse, of any number of rows.

A feature that a row does not have is absent from its sparse row. Absent is *missing*: at each split the
missing rows go where they lower the loss most. An entry that is there and is 0 is a value like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...randomness import keyed_generator
from ..base import Arrays
from .boosting import ForestRows, Trees, grow_forest
from .config import SparseForestConfig
from .leaves import LeafStore

TINY = np.float32(1e-30)
"""Stands for 0: LightGBM takes what is within 1e-35 of 0 for absent."""


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
        samples = self._samples(blocks)
        number = min(self.config.trees, len(samples))
        sizes = [len(part) for part in np.array_split(np.arange(self.config.trees), number)]
        self._groups = [self._grown(k, samples[k], size) for k, size in enumerate(sizes)]
        self._store = LeafStore(np.concatenate([trees.leaves for trees in self._groups]), self.config.kept)
        for number, rows in enumerate(blocks):
            rng = keyed_generator(self.config.seed, "leaves", number)
            self._store.add(self._leaf(told_apart(rows.features)), rows.target, rows.weight, rng)
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
        return self._store.quantiles(self._leaf(told_apart(features)), np.asarray(levels))

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
        made._store = LeafStore.from_arrays(arrays)
        return made

    def _samples(self, blocks: Iterable[Rows]) -> list[Rows]:
        """One uniform sample of the rows for each group."""
        samples = [RowSample(self.config.group_rows) for _ in range(self.config.groups)]
        for number, rows in enumerate(blocks):
            apart = rows._replace(features=told_apart(rows.features))
            for k, sample in enumerate(samples):
                keys = keyed_generator(self.config.seed, "forest rows", k, number).random(len(rows.target))
                sample.add(apart, keys)
        return [sample.rows() for sample in samples]

    def _grown(self, group: int, sample: Rows, trees: int) -> Trees:
        seed = int(keyed_generator(self.config.seed, "forest", group).integers(2**31 - 1))
        rows = ForestRows(sample.features, sample.target, sample.weight, [])
        return grow_forest(rows, self.config, trees, {"zero_as_missing": True, "seed": seed})

    def _leaf(self, features: Any) -> IntArray:
        return np.concatenate([trees.leaf(features) for trees in self._groups], axis=1)


class RowSample:
    """A uniform sample of the rows of a stream.

    Every row comes with a random key, and those with the smallest keys stay.

    Args:
        most: rows that are kept; at most twice as many are held meanwhile.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._parts: list[Rows] = []
        self._keys = np.zeros(0)
        self._limit = 1.0

    def add(self, rows: Rows, keys: FloatArray) -> None:
        """Take in a block of rows with their keys, shape (rows,), uniform in [0, 1)."""
        chosen = np.flatnonzero(keys < self._limit)
        if len(chosen):
            self._parts.append(_taken(rows, chosen))
            self._keys = np.concatenate([self._keys, keys[chosen]])
        if len(self._keys) > 2 * self.most:
            self._cut()

    def rows(self) -> Rows:
        """Return the sample."""
        if len(self._keys) > self.most:
            self._cut()
        return _joined(self._parts)

    def _cut(self) -> None:
        self._limit = float(np.partition(self._keys, self.most)[self.most])
        chosen = np.flatnonzero(self._keys < self._limit)
        self._parts = [_taken(_joined(self._parts), chosen)]
        self._keys = self._keys[chosen]


def told_apart(features: Any) -> Any:
    """Return CSR rows whose stored zeros LightGBM does not take for absent entries."""
    data = features.data.astype(np.float32)
    data[data == 0] = TINY
    return csr_matrix((data, features.indices, features.indptr), shape=features.shape)


def _taken(rows: Rows, chosen: IntArray) -> Rows:
    return Rows(rows.features[chosen], rows.target[chosen], rows.weight[chosen])


def _joined(parts: list[Rows]) -> Rows:
    if not parts:
        raise FractileError("a forest needs at least one row, got none; give blocks that hold rows")
    features = parts[0].features if len(parts) == 1 else vstack([p.features for p in parts], format="csr")
    return Rows(features, *(np.concatenate([p[k] for p in parts]) for k in (1, 2)))
