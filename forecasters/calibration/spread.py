"""How wide each item's forecasts must be, learned from their own past errors and pooled as far as these are few.

A model of all items knows an item's spread only as far as its features tell. Two items of the same mean, one steady
and one volatile, can get one distribution, too wide for the one and too narrow for the other. The normal scores of an
item's past errors say so: their mean square is one where forecasts are as wide as they should be. Each item's is
drawn to that of all items by how much such mean squares differ by chance (empirical Bayes: Efron and Morris 1973).
With s its root, the quantile at level τ is read at Φ(s Φ⁻¹(τ)) where s is below one; where it is above, quantiles move
away from the median by the factor s.

Where the model that forecasts is the one whose errors are known, the errors of all items together also say at which
level each quantile must be read to cover what it promises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray
from ..base import Arrays
from ..forecast import DEFAULT_LEVELS
from ..interpolation import AT_ONCE, interpolation_weights, lift_crossings, mean_weights

LEVELS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
"""Levels whose reading is moved for all items alike; beyond the first and the last as there."""
MOVE_ORIGINS = 10.0
"""Origins that forecasts as they are are worth against what past errors say of all items together."""
EDGE = 1e-4
LIMITS = (0.25, 1.6)
"""Within which a spread may lie."""
LARGEST_SCORE = 3.0
"""Score at which an error stops counting further: one odd week should not widen an item's forecasts."""
LEAST_INFORMATION = 0.05
"""Share of a score that intervals must leave known, on average, for an item's own errors to speak."""
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
        spread: of each, relative to all of them, shape (items,). [s]
        moves: by how much the normal score at each of `LEVELS` is moved for all items, shape (levels,).
        rows: position of each item on record (derived: a forecast of few items must not pay for all of them).
    """

    item_ids: tuple[str, ...]
    spread: FloatArray
    moves: FloatArray
    rows: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", {item: row for row, item in enumerate(self.item_ids)})

    def of(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the spread of each item, 1 where it is not on record, shape (items,)."""
        rows = [self.rows.get(item, -1) for item in item_ids]
        return np.append(self.spread, 1.0)[rows]

    def widen(self, item_ids: Sequence[str], trained: FloatArray, values: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles at other levels, read where `moves` say, each item's as far apart as its spread says.

        The spread of an item corrects its spread alone: quantiles are scaled so that the mean stays what it was without
        it. Widened about its median, lumpy demand, which is mostly zero, would have a far larger mean, and a forecaster
        that is run along its own paths would lift it further from period to period.

        Args:
            item_ids: of the forecast.
            trained: levels of the last axis of `values`, shape (K,).
            values: units, shape (items, origins, horizon, K).
            levels: to return, shape (Q,). [τ]

        Returns:
            units, shape (items, origins, horizon, Q), not below zero and not decreasing.
        """
        spread, out = self.of(item_ids), np.empty((*values.shape[:3], len(levels)))
        # Means are those of the usual levels, so that a level more or less does not move the others.
        usual = np.isin(trained, DEFAULT_LEVELS)
        usual = usual if usual.sum() > 1 else np.ones(len(trained), dtype=bool)
        few, average = trained[usual], mean_weights(tuple(trained[usual]))
        size = max(1, AT_ONCE // max(1, values[:1].size))
        for first in range(0, len(values), size):
            part = slice(first, first + size)
            own, cells = spread[part], values[part]
            wide = self._read(own, trained, cells, levels)
            if not (own == 1.0).all():
                before, after = (
                    self._read(each, few, cells[..., usual], few) @ average for each in (np.ones_like(own), own)
                )
                wide *= np.divide(before, after, out=np.ones_like(after), where=after > 0)[..., None]
            out[part] = lift_crossings(wide)
        return out

    def _read(self, spread: FloatArray, trained: FloatArray, values: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles at the moved levels, as far from the median as a spread of each item says."""
        score = np.append(ndtri(levels), 0.0)
        score = score + np.interp(score, ndtri(LEVELS), self.moves)
        # Nothing is read beyond the last level: there a tail is extrapolated, and errors of it would multiply.
        score = np.minimum(score, ndtri(trained[-1]))
        weights = interpolation_weights(trained, ndtr(np.minimum(spread, 1.0)[:, None] * score))  # (items, Q + 1, K)
        read = np.einsum("iohk,iqk->iohq", values, weights, optimize=True)
        median, wide = read[..., -1:], read[..., :-1]
        wide -= median
        wide *= np.maximum(spread, 1.0)[:, None, None, None]
        wide += median
        return np.maximum(wide, 0.0, out=wide)

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        names = np.frombuffer("\n".join(self.item_ids).encode(), dtype=np.uint8)
        return {"spread": self.spread, "spread_items": names, "spread_moves": self.moves}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ItemSpread:
        """Rebuild from `arrays()`."""
        names = arrays["spread_items"].tobytes().decode().split("\n")
        return cls(tuple(names), arrays["spread"], arrays["spread_moves"])


def fit_item_spread(item_ids: tuple[str, ...], mean: FloatArray, variance: FloatArray) -> ItemSpread:
    """Estimate the spread of each item from the normal scores of its past errors.

    Args:
        item_ids: the items.
        mean: conditional mean of each score, in the interval that it is known to lie in, shape (items, origins,
            horizon); NaN where nothing is known.
        variance: the same of its conditional variance.
    """
    known = ~np.isnan(mean)
    square = np.where(known, np.minimum(mean**2 + variance, LARGEST_SCORE**2), 0.0)
    # An interval hides part of a score: as much of a square that is not one is hidden, too.
    information = np.where(known, 1.0 - variance, 0.0).sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
    information = np.maximum(information, LEAST_INFORMATION)
    # Errors of forecasts that overlap are alike: means over stretches of origins tell how much is chance.
    number = min(known.shape[1], max(STRETCHES, known.shape[1] // known.shape[2]))
    parts = np.array_split(np.arange(known.shape[1]), number)
    count, sums = (np.stack([each[:, part].sum(axis=(1, 2)) for part in parts], axis=1) for each in (known, square))
    full = count > 0
    stretches = full.sum(axis=1)
    each = np.where(full, 1.0 + (sums / np.maximum(count, 1) - 1.0) / information[:, None], 0.0)
    own = each.sum(1) / np.maximum(stretches, 1)
    counted = (stretches >= LEAST_STRETCHES) & (information > LEAST_INFORMATION)
    if counted.sum() < LEAST_ITEMS:
        return ItemSpread(item_ids, np.ones(len(item_ids)), np.zeros(len(LEVELS)))
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
    pooled = (usual + share * (own - usual)) / usual
    low, high = (limit**2 for limit in LIMITS)
    return ItemSpread(item_ids, np.sqrt(np.clip(pooled, low, high)), np.zeros(len(LEVELS)))


def fit_moves(low: FloatArray, high: FloatArray) -> FloatArray:
    """Estimate where the quantiles of all items must be read for them to cover what they promise.

    Args:
        low: probability below each past demand under its forecast, shape (items, origins, horizon); NaN where nothing
            is known.
        high: probability up to and with it; 1 where demand is only known to be no less.

    Returns:
        by how much the normal score at each of `LEVELS` is moved, drawn to nothing where origins are few.
    """
    known = ~np.isnan(low)
    if not known.any():
        return np.zeros(len(LEVELS))
    # The randomised transform (Czado, Gneiting and Held 2009), with the same uniforms for every fit.
    uniform = np.random.default_rng(0).random(low.shape)
    transform = (low + uniform * (high - low))[known]
    scores = ndtri(np.clip(np.quantile(transform, LEVELS), EDGE, 1 - EDGE))
    origins = int(known.any(axis=(0, 2)).sum())
    return np.asarray(origins / (origins + MOVE_ORIGINS) * (scores - ndtri(LEVELS)))
