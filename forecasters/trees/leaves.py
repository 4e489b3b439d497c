"""Quantile forests' memory: the training targets that fell into each leaf.

Meinshausen (2006): a row's predictive distribution gives each tree the same weight, and within a tree each
training target of the row's leaf its share of the leaf's weight.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ..base import Arrays

UInt64Array = NDArray[np.uint64]

EMPTY = np.float32(2.0)
"""Key of a place that no target has taken; keys of targets lie in [0, 1)."""

WHOLE = 2.0**26
"""What the shares of a leaf's targets add up to."""

TOLERANCE = 1e-6
"""Of a share that is reached but for rounding."""

SAMPLES = 2_000_000
"""Kept targets that are merged at once."""


class LeafStore:
    """Up to `kept` targets of each leaf, drawn uniformly from all that came.

    Each target comes with a random key; a leaf keeps those with the smallest keys, so that the blocks may come
    in any number and what is kept is a uniform sample.

    Args:
        leaves: of each tree, shape (trees,).
        kept: targets that a leaf keeps, at most.
    """

    def __init__(self, leaves: IntArray, kept: int) -> None:
        self.offset = np.concatenate([[0], np.cumsum(leaves)])
        shape = (int(self.offset[-1]), kept)
        self.key = np.full(shape, EMPTY, dtype=np.float32)
        self.target = np.zeros(shape, dtype=np.float32)
        self.weight = np.zeros(shape, dtype=np.float32)

    @property
    def trees(self) -> int:
        """How many trees there are."""
        return len(self.offset) - 1

    def add(self, leaf: IntArray, target: FloatArray, weight: FloatArray, rng: np.random.Generator) -> None:
        """Take in a block of training rows.

        Args:
            leaf: that each row falls into in each tree, shape (rows, trees).
            target: shape (rows,).
            weight: above 0, shape (rows,).
            rng: where the keys come from.
        """
        keys = rng.random((self.trees, len(target)), dtype=np.float32)
        for tree in range(self.trees):
            place = leaf[:, tree] + self.offset[tree]
            rows = np.flatnonzero(keys[tree] < self.key[place, -1])
            if len(rows):
                self._merge(place[rows], keys[tree, rows], target[rows], weight[rows])

    def quantiles(self, leaf: IntArray, levels: FloatArray) -> FloatArray:
        """Return the smallest targets whose share is at least each level.

        Args:
            leaf: shape (rows, trees).
            levels: shape (Q,). [τ]

        Returns:
            shape (rows, Q).
        """
        size = max(1, SAMPLES // (self.trees * self.key.shape[1]))
        table = self._packed()
        parts = [_merged(table[leaf[k : k + size] + self.offset[:-1]], levels) for k in range(0, len(leaf), size)]
        return np.concatenate(parts) if parts else np.zeros((0, len(levels)))

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {"leaf_offset": self.offset, "leaf_target": self.target, "leaf_weight": self.weight}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Rebuild from `arrays()`; the rebuilt one takes nothing in any more."""
        target, weight = arrays["leaf_target"], arrays["leaf_weight"]
        made = cls(np.diff(arrays["leaf_offset"]), target.shape[1])
        made.target, made.weight = target, weight
        made.key = np.where(weight > 0, 0.0, EMPTY).astype(np.float32)
        return made

    def _merge(self, place: IntArray, key: Any, target: FloatArray, weight: FloatArray) -> None:
        """Let targets compete for the places of their leaves."""
        touched, at = np.unique(place, return_inverse=True)
        kept = self.key.shape[1]
        old = np.repeat(np.arange(len(touched)), kept)
        leaf = np.concatenate([old, at])
        columns = [
            np.concatenate([table[touched].ravel(), new.astype(np.float32)])
            for table, new in ((self.key, key), (self.target, target), (self.weight, weight))
        ]
        order = np.lexsort((columns[0], leaf))
        rank = np.arange(len(order)) - np.searchsorted(leaf[order], np.arange(len(touched)))[leaf[order]]
        best = order[rank < kept]
        shape = (len(touched), kept)
        for table, column in zip((self.key, self.target, self.weight), columns, strict=True):
            table[touched] = column[best].reshape(shape)

    def _packed(self) -> UInt64Array:
        """Targets and their shares in one number each, so that sorting the numbers sorts the targets."""
        total = self.weight.sum(axis=1, keepdims=True, dtype=np.float64)
        share = np.rint(self.weight / np.maximum(total, 1e-30) * WHOLE).astype(np.uint64)
        bits = self.target.view(np.uint32)
        # A float's bits order like its value where it is positive, and in reverse where it is negative.
        ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(0x80000000)).astype(np.uint64)
        return np.asarray((ordered << np.uint64(32)) | share, dtype=np.uint64)


def _merged(packed: UInt64Array, levels: FloatArray) -> FloatArray:
    """Quantiles of the equal mixture of the leaves (rows, trees, kept), shape (rows, Q)."""
    flat = packed.reshape(len(packed), -1)
    flat.sort(axis=1)
    # One running sum over all rows, and one search in it: a row's shares begin where the last row's end.
    share = np.cumsum((flat & np.uint64(0xFFFFFFFF)).ravel()).astype(np.float64)
    end = share[flat.shape[1] - 1 :: flat.shape[1]]
    start = np.concatenate([[0.0], end[:-1]])
    wanted = start[:, None] + (levels - TOLERANCE) * (end - start)[:, None]
    at = np.searchsorted(share, wanted.ravel())
    return _unpacked(flat.ravel()[np.minimum(at, flat.size - 1)].reshape(wanted.shape))


def _unpacked(packed: UInt64Array) -> FloatArray:
    bits = (packed >> np.uint64(32)).astype(np.uint32)
    bits = np.where(bits >> 31 == 1, bits & np.uint32(0x7FFFFFFF), ~bits).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)
