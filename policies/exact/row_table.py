"""Distinct rows of numbers, each with an index: how the states of a system are told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...randomness import keyed_generator

GRID = 2.0**20
"""Numbers count as equal when they agree to a millionth."""

UNKNOWN = -1
"""The index of a row that the table does not hold."""


class RowTable:
    """Distinct rows in the order in which they came; rows that are given again get their old index.

    Rows are found by a random 64-bit fingerprint, the same in every run. Two different rows share one with
    probability n² / 2⁶⁵ among n rows: once in a hundred thousand tables of twenty million rows.

    Args:
        width: numbers a row.

    >>> table = RowTable(2)
    >>> table.add(np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 2.0]])).tolist(), len(table)
    ([0, 1, 0], 2)
    >>> table.find(np.array([[0.0, 3.0], [5.0, 5.0]])).tolist()
    [1, -1]
    """

    def __init__(self, width: int) -> None:
        self._weights = keyed_generator(0, "rows").integers(1, 2**63, width, dtype=np.uint64)
        self._parts: list[FloatArray] = [np.empty((0, width))]
        # Fingerprints in ascending order, and the index of each.
        self._marks: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._indices: IntArray = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def rows(self) -> FloatArray:
        """All rows, by index, shape (rows, width)."""
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def find(self, rows: FloatArray) -> IntArray:
        """Return the index of each row, `UNKNOWN` where the table does not hold it."""
        return self._lookup(self._fingerprints(rows))

    def add(self, rows: FloatArray) -> IntArray:
        """Take in the rows that are new, in their order, and return the index of each."""
        marks, first, inverse = np.unique(self._fingerprints(rows), return_index=True, return_inverse=True)
        index = self._lookup(marks)
        new = np.flatnonzero(index == UNKNOWN)
        new = new[np.argsort(first[new])]
        index[new] = len(self) + np.arange(len(new))
        self._parts.append(rows[first[new]])
        self._insert(marks[new], index[new])
        return index[inverse.reshape(-1)]

    def _fingerprints(self, rows: FloatArray) -> NDArray[np.uint64]:
        whole = np.rint(rows * GRID).astype(np.int64).view(np.uint64)
        mark = np.zeros(len(rows), dtype=np.uint64)
        for column, weight in zip(whole.T, self._weights, strict=True):
            mark += column * weight  # wraps around, as it should
        return mark

    def _lookup(self, marks: NDArray[np.uint64]) -> IntArray:
        if not len(self):
            return np.full(len(marks), UNKNOWN)
        place = np.searchsorted(self._marks, marks).clip(0, len(self) - 1)
        return np.where(self._marks[place] == marks, self._indices[place], UNKNOWN)

    def _insert(self, marks: NDArray[np.uint64], indices: IntArray) -> None:
        order = np.argsort(marks)
        place = np.searchsorted(self._marks, marks[order])
        self._marks = np.insert(self._marks, place, marks[order])
        self._indices = np.insert(self._indices, place, indices[order])
