"""Means and spreads of features in episodes that the newsvendor orders in, and what these cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..core.types import HistoryView
from .batch import InventoryBatch
from .encoders import StandardisedEncoder
from .observation import SMALLEST_SCALE, Encoder
from .sources import EpisodeSource

MEASURED_PATHS = 256
"""Episodes that features are measured in."""

SMALLEST_SPREAD = 1e-3
"""Features that hardly vary are divided by this."""


class FeatureStatistics(NamedTuple):
    """What is known of episodes before any training.

    Attributes:
        shift: mean of each feature, shape (features,).
        spread: standard deviation of each feature, shape (features,).
        cost: of the newsvendor (action 0), per period, summed over items, money.
    """

    shift: FloatArray
    spread: FloatArray
    cost: float

    def standardise(self, encoder: Encoder) -> StandardisedEncoder:
        """Return the encoder with standardised features."""
        return StandardisedEncoder(encoder, self.shift, self.spread)


def feature_statistics(batch: InventoryBatch, rng: np.random.Generator, scale_free: bool = False) -> FeatureStatistics:
    """Return mean and spread of the features while action 0 orders, and what that costs.

    Args:
        batch: episodes, begun anew; its encoder's features are meant.
        rng: of the episodes.
        scale_free: weigh costs as scale-free rewards do.
    """
    encoder, rows, cost = batch.encoder, [], 0.0
    first = batch.reset(rng)
    weight = scale_free_weight(batch, first) if scale_free else np.ones(batch.paths)
    nothing = np.zeros((batch.paths, batch.orders))
    while not batch.over:
        obs = batch.observe()
        rows.append(np.asarray(encoder.encode(obs), dtype=np.float64).reshape(-1, encoder.size))
        cost += float(weight @ batch.step(encoder.decode(nothing, obs)).cost.sum(1))
    features = np.concatenate(rows)
    return FeatureStatistics(
        features.mean(0), np.maximum(features.std(0), SMALLEST_SPREAD), cost / (batch.paths * batch.periods)
    )


def measure_features(
    encoder: Encoder,
    source: EpisodeSource,
    *,
    periods: int,
    start: str = "target",
    view: HistoryView | None = None,
    seed: int = 0,
    scale_free: bool = False,
) -> FeatureStatistics:
    """Return the statistics of an encoder's features and costs in episodes of a source.

    Args:
        encoder: whose features are meant.
        source: where episodes come from.
        periods: length of an episode.
        start: see `InventoryBatch`.
        view: what is seen of the past.
        seed: of the episodes.
        scale_free: see `feature_statistics`.
    """
    batch = InventoryBatch(source, paths=MEASURED_PATHS, periods=periods, encoder=encoder, start=start, view=view)
    return feature_statistics(batch, keyed_generator(seed, "features"), scale_free)


def scale_free_weight(batch: InventoryBatch, obs: Any) -> FloatArray:
    """Return one over each episode's highest holding cost times its mean demand, shape (paths,)."""
    mean = np.maximum(obs.known_forecast().mean()[:, :, 0].T.sum(1), SMALLEST_SCALE)
    holding = np.broadcast_to(batch.params.holding_cost, batch.state.net_inventory.shape)
    weight: FloatArray = 1.0 / (mean * holding.max(1) * np.ones(batch.paths))
    return weight
