"""Training rows: features and scale-free targets, as many as are wanted, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...arrays import Float32Array, FloatArray, IntArray
from ...randomness import keyed_generator
from ..base import targets_of
from ..data.panel import SalesPanel
from .config import TreeConfig
from .features import (
    CELLS,
    FeatureBlock,
)
from .plan import FeaturePlan


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to learn from.

    Attributes:
        features: shape (rows, features).
        target: demand over the item's scale, shape (rows,).
        weight: of each row in the loss, shape (rows,).
        names: of the features.
    """

    features: Float32Array
    target: FloatArray
    weight: FloatArray
    names: tuple[str, ...]

    @classmethod
    def joined(cls, parts: list[Examples]) -> Examples:
        """Put the rows of all parts in one table."""
        return cls(
            np.concatenate([p.features for p in parts]),
            np.concatenate([p.target for p in parts]),
            np.concatenate([p.weight for p in parts]),
            parts[0].names,
        )


def example_blocks(panel: SalesPanel, plan: FeaturePlan, config: TreeConfig) -> Iterator[Examples]:
    """Yield training rows of the panel, at most about `most_rows` in all.

    Each item draws its rows from a generator of its own. Where the panel has many more rows than are wanted,
    each block of items also draws its origins, so that the work is bounded by what is kept.
    """
    horizon = config.horizon
    longer = panel.extended(np.zeros((panel.items, horizon)))
    share = min(1.0, config.most_rows / max(_rows_in_all(panel, horizon), 1))
    number = int(np.ceil(panel.periods * min(1.0, 4.0 * share)))
    size = max(1, CELLS // (number * horizon))
    for first in range(0, panel.items, size):
        items = np.arange(first, min(first + size, panel.items))
        rng = keyed_generator(config.seed, "tree origins", panel.item_ids[first])
        origins = np.sort(rng.choice(panel.periods, number, replace=False))
        rows = _drawn(panel.select(items), origins, horizon, share * panel.periods / number, config.seed)
        if len(rows):
            block = FeatureBlock(longer.select(items), plan, origins, horizon)
            yield _examples(block, panel.select(items), rows, config.power)


def examples_of(panel: SalesPanel, plan: FeaturePlan, config: TreeConfig) -> Examples:
    """Return the training rows of a panel in one table."""
    return Examples.joined(list(example_blocks(panel, plan, config)))


def _examples(block: FeatureBlock, panel: SalesPanel, rows: IntArray, power: float) -> Examples:
    horizon = block.shape[2]
    demand = targets_of(panel, block.origins, horizon).ravel()[rows]
    scale = block.scale.ravel()[rows // horizon]
    return Examples(block.matrix(rows), demand / scale, scale**power, block.names)


def _drawn(panel: SalesPanel, origins: IntArray, horizon: int, share: float, seed: int) -> IntArray:
    """Positions of the rows that are kept, among items × origins × steps; only those with a known target."""
    known = ~np.isnan(targets_of(panel, origins, horizon))
    if share < 1.0:
        shape = known.shape[1:]
        draws = [keyed_generator(seed, "tree rows", item).random(shape, dtype=np.float32) for item in panel.item_ids]
        known &= np.stack(draws) < share
    return np.flatnonzero(known)


def _rows_in_all(panel: SalesPanel, horizon: int) -> int:
    """Origins and steps whose target is known: period t is one for min(t + 1, horizon) origins."""
    return int((panel.informative.sum(axis=0) * np.minimum(np.arange(panel.periods) + 1, horizon)).sum())
