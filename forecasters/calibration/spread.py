"""How wide each item's forecasts must be, learned from their own past errors and pooled as far as these are few.

A model of all items knows an item's spread only as far as its features tell. Two items of the same mean, one steady
and one volatile, can get one distribution, too wide for the one and too narrow for the other. The normal scores of an
item's past errors say so: their mean square is one where forecasts are as wide as they should be. Each item's is
drawn to that of all items by how much such mean squares differ by chance (empirical Bayes: Efron and Morris 1973),
and the quantile at level τ is then read at Φ(s Φ⁻¹(τ)), where s is its root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray
from ..base import Arrays
from ..forecast import DEFAULT_LEVELS
from ..interpolation import interpolation_weights, mean_weights

LIMITS = (0.25, 2.5)
"""Within which a spread may lie."""
LARGEST_SCORE = 3.0
"""Score at which an error stops counting further: one odd week should not widen an item's forecasts."""
LEAST_TOLD = 0.05
"""Share of a score that must be told, on average, for an item's own errors to speak."""
STRETCHES = 4
"""Of origins, at least, whose means are compared; of a horizon's length where there are more."""
OVERLAP = 2.0
"""How much less such means differ than they would if the horizons at their ends did not overlap."""
LEAST_STRETCHES = 3
"""That an item's own errors must span."""
LEAST_ITEMS = 4
"""Items that tell how much spreads differ between items at all."""


@dataclass(frozen=True, eq=False)
class ItemSpread:
    """By how much the forecasts of each item are widened.

    Attributes:
        item_ids: the items on record.
        spread: of each, shape (items,). [s]
        usual: that of an item without a record.
    """

    item_ids: tuple[str, ...]
    spread: FloatArray
    usual: float

    def of(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the spread of each item, `usual` where it is not on record, shape (items,)."""
        known = dict(zip(self.item_ids, self.spread, strict=True))
        return np.array([known.get(item, self.usual) for item in item_ids], dtype=np.float64)

    def widen(self, item_ids: Sequence[str], trained: FloatArray, values: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles at other levels, each item's as far from the median as its spread says.

        The spread corrects the spread alone: quantiles are scaled so that the mean stays what it was. Widened about its
        median, lumpy demand, which is mostly zero, would have a far larger mean, and a forecaster that is run along
        its own paths would lift it further from period to period.

        Args:
            item_ids: of the forecast.
            trained: levels of the last axis of `values`, shape (K,).
            values: units, shape (items, origins, horizon, K).
            levels: to return, shape (Q,). [τ]

        Returns:
            units, shape (items, origins, horizon, Q), not below zero and not decreasing.
        """
        spread = self.of(item_ids)[:, None]

        def read(given: FloatArray, known: FloatArray, at: FloatArray) -> FloatArray:
            weights = interpolation_weights(known, ndtr(spread * ndtri(at)))  # (items, levels, K)
            return np.maximum(np.einsum("iohk,iqk->iohq", given, weights, optimize=True), 0.0)

        # Means are those of the usual levels, so that a level more or less does not move the others.
        usual = np.isin(trained, DEFAULT_LEVELS)
        usual = usual if usual.sum() > 1 else np.ones(len(trained), dtype=bool)
        few, average = values[..., usual], mean_weights(tuple(trained[usual]))
        before, after = np.maximum(few, 0.0) @ average, read(few, trained[usual], trained[usual]) @ average
        scale = np.divide(before, after, out=np.ones_like(after), where=after > 0)
        return np.asarray(np.maximum.accumulate(read(values, trained, levels) * scale[..., None], axis=-1))

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        names = np.frombuffer("\n".join(self.item_ids).encode(), dtype=np.uint8)
        return {"spread": self.spread, "spread_items": names, "spread_usual": np.array([self.usual])}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ItemSpread:
        """Rebuild from `arrays()`."""
        names = arrays["spread_items"].tobytes().decode().split("\n")
        return cls(tuple(names), arrays["spread"], float(arrays["spread_usual"][0]))


def fit_item_spread(
    item_ids: tuple[str, ...], mean: FloatArray, variance: FloatArray, *, relative: bool = False
) -> ItemSpread:
    """Estimate the spread of each item from the normal scores of its past errors.

    Args:
        item_ids: the items.
        mean: conditional mean of each score, in the interval that it is known to lie in, shape (items, origins,
            horizon); NaN where nothing is known.
        variance: the same of its conditional variance.
        relative: whether only differences between items count, and the mean over all of them is left at one.
    """
    known = ~np.isnan(mean)
    square = np.where(known, np.minimum(mean**2 + variance, LARGEST_SCORE**2), 0.0)
    # An interval hides part of a score: as much of a square that is not one is hidden, too.
    told = np.where(known, 1.0 - variance, 0.0)
    # Errors of forecasts that overlap are alike: means over stretches of origins tell how much is chance.
    number = min(known.shape[1], max(STRETCHES, known.shape[1] // known.shape[2]))
    parts = np.array_split(np.arange(known.shape[1]), number)
    count, sums, share_told = (
        np.stack([each[:, part].sum(axis=(1, 2)) for part in parts], axis=1) for each in (known, square, told)
    )
    full = count > 0
    stretches = full.sum(axis=1)
    hidden = np.maximum(share_told.sum(1) / np.maximum(count.sum(1), 1), LEAST_TOLD)
    each = np.where(full, 1.0 + (sums / np.maximum(count, 1) - 1.0) / hidden[:, None], 0.0)
    own = each.sum(1) / np.maximum(stretches, 1)
    counted = (stretches >= LEAST_STRETCHES) & (hidden > LEAST_TOLD)
    if counted.sum() < LEAST_ITEMS:
        return ItemSpread(item_ids, np.ones(len(item_ids)), 1.0)
    overlap = OVERLAP * max(1.0, known.shape[2] * number / known.shape[1])
    chance = (
        overlap
        * np.where(full, (each - own[:, None]) ** 2, 0.0).sum(1)
        / np.maximum(stretches - 1, 1)
        / stretches.clip(1)
    )
    usual = float(own[counted].mean())
    # Chance grows with what it blurs: an item's is that of all items, relative to the square of its own estimate.
    relative_chance = float(chance[counted].sum() / (own[counted] ** 2).sum())
    noise = relative_chance * np.maximum(own, usual / 4) ** 2
    between = max(float(((own[counted] - usual) ** 2 - noise[counted]).mean()), 0.0)
    share = np.where(counted, between / np.maximum(between + noise, 1e-300), 0.0)
    pooled = usual + share * (own - usual)
    if relative:
        usual, pooled = 1.0, pooled / usual
    low, high = (limit**2 for limit in LIMITS)
    return ItemSpread(item_ids, np.sqrt(np.clip(pooled, low, high)), float(np.sqrt(np.clip(usual, low, high))))
