"""The sparse quantile random forest: one forest over product lines that have different features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ...arrays import Float32Array, FloatArray
from ...errors import FractileError, did_you_mean
from ..base import Arrays
from ..data.panel import SalesPanel
from .config import SparseForestConfig
from .examples import example_blocks
from .features import (
    FeatureBlock,
)
from .forecaster import TreeForecaster
from .plan import FeaturePlan
from .sparse_forest import Rows, SparseQuantileForest

SHARED = ("step", "seen", "age", "level")
"""Beginnings of features that mean the same in every product line."""


@dataclass(frozen=True)
class SparseLayout:
    """Which column of the sparse table a feature goes to.

    First the numbers, then a column for each value of each category, then the numbers that matter by product
    line once more for each line, in a block of columns of its own.

    Attributes:
        sizes: values of each category.
        numbers: how many features are numbers.
        crossed: positions, among the numbers, of those that each line has for itself.
        line: position of the category that tells the product line; −1 where there is none.
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
        return cls(sizes, len(numbers), crossed, _line(plan, lines))

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
        return _assembled(parts, (len(features), self.width))


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """The training rows of a panel, made anew each time they are gone through."""

    panel: SalesPanel
    plan: FeaturePlan
    config: SparseForestConfig

    def __iter__(self) -> Iterator[Rows]:
        """Yield them block by block of items."""
        for rows in example_blocks(self.panel, self.plan, self.config):
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

    def learn(self, panel: SalesPanel, plan: FeaturePlan, config: SparseForestConfig) -> SparseQuantileForest:
        """Grow the forest and fill its leaves."""
        return SparseQuantileForest(config).fit(EncodedRows(panel, plan, config))

    def restore(self, arrays: Arrays) -> SparseQuantileForest:
        """Rebuild from the model's arrays."""
        return SparseQuantileForest.from_arrays(self.config, arrays)

    def ratios(self, model: SparseQuantileForest, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        layout = SparseLayout.of(block.plan, block.names, self.config.lines)
        return model.quantiles(layout.encode(block.matrix()), levels)


def _line(plan: FeaturePlan, lines: str) -> int:
    """Position of the category that tells product lines apart."""
    names = list(plan.categories)
    if lines and lines not in names:
        hint = did_you_mean(lines, names)
        raise FractileError(f"lines must be a static attribute that is text and varies, got {lines!r}{hint}")
    if not names:
        return -1
    return names.index(lines) if lines else int(np.argmin([len(values) for values in plan.categories.values()]))


def _column(codes: Float32Array, offset: int) -> NDArray[np.int64]:
    return (np.nan_to_num(codes).astype(np.int64) + offset)[:, None]


def _assembled(parts: list[tuple[Float32Array, NDArray[np.int64]]], shape: tuple[int, int]) -> csr_matrix:
    values = np.concatenate([value for value, _ in parts], axis=1)
    columns = np.concatenate([np.broadcast_to(column, value.shape) for value, column in parts], axis=1)
    there = ~np.isnan(values)
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return csr_matrix((values[there].astype(np.float32), columns[there].astype(np.int32), ends), shape=shape)
