"""Random forests: a point forecast with its error distribution, and quantiles from the leaves.

Quantile forests (Meinshausen 2006): a row's predictive distribution gives each tree the same weight, and within
a tree each training target of the row's leaf its share of the leaf's weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ...arrays import Float32Array, FloatArray, IntArray
from ...errors import FractileError
from ...randomness import keyed_generator
from ..base import Arrays, Request
from ..calibration.point_errors import Calibration, calibrate
from ..censoring import History
from ..forecast import QuantileForecast
from .boosting import Trees, grow, make_dataset
from .features import FeatureBlock, FeaturePlan, feature_blocks
from .forecaster import FittedTrees, TrainingRows, TreeConfig, TreeForecaster, training_rows

UInt64Array = NDArray[np.uint64]

EMPTY = np.float32(2.0)
"""Key of a place that no target has taken; keys of targets lie in [0, 1)."""
WHOLE = 2.0**26
"""What the shares of a leaf's targets add up to."""
TOLERANCE = 1e-6
"""Of a share that is reached but for rounding."""
SAMPLES = 2_000_000
"""Kept targets that are merged at once."""


class ForestRows(NamedTuple):
    """What a forest grows on.

    Attributes:
        features: dense or CSR, shape (rows, features).
        target: shape (rows,).
        weight: above 0, shape (rows,).
        categorical: positions of the features that are categories.
    """

    features: Any
    target: FloatArray
    weight: FloatArray
    categorical: list[int]


def grow_forest(rows: ForestRows, config: TreeConfig, trees: int, options: Mapping[str, Any] | None = None) -> Trees:
    """Grow a random forest.

    Its splits lower the squared error of the target's square root (of its size, with its sign): counts then
    vary about as much everywhere, and a few large targets do not draw all splits to them.

    Args:
        rows: features, target, weight, and which features are categories.
        config: how the trees grow.
        trees: how many.
        options: of LightGBM, beside those of a forest.

    Returns:
        trees that predict the mean root.
    """
    settings = {
        "boosting": "rf",
        "objective": "regression",
        "bagging_fraction": min(config.bag, 0.999),  # LightGBM's forests need a true sub-sample
        "feature_fraction_bynode": config.features,
        **(options or {}),
    }
    root = np.sign(rows.target) * np.sqrt(np.abs(rows.target))
    return grow(make_dataset(rows.features, root, rows.weight, rows.categorical, settings), config, trees, settings)


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
        """Add a block of training rows.

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
        # Targets and their shares in one number each, so that sorting the numbers sorts the targets.
        total = self.weight.sum(axis=1, keepdims=True, dtype=np.float64)
        shares = np.rint(self.weight / np.maximum(total, 1e-30) * WHOLE).astype(np.uint64)
        bits = self.target.view(np.uint32)
        # A float's bits order like its value where it is positive, and in reverse where it is negative.
        ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(0x80000000)).astype(np.uint64)
        packed: UInt64Array = (ordered << np.uint64(32)) | shares
        out = np.zeros((len(leaf), len(levels)))
        for first in range(0, len(leaf), size):
            rows = slice(first, first + size)
            # Each row's distribution is the equal mixture of its leaves, one of each tree.
            flat = packed[leaf[rows] + self.offset[:-1]].reshape(len(leaf[rows]), -1)
            flat.sort(axis=1)
            # One running sum over all rows, and one search in it: a row's shares begin where the last row's end.
            share = np.cumsum((flat & np.uint64(0xFFFFFFFF)).ravel()).astype(np.float64)
            end = share[flat.shape[1] - 1 :: flat.shape[1]]
            start = np.concatenate([[0.0], end[:-1]])
            reach = start[:, None] + (levels - TOLERANCE) * (end - start)[:, None]
            at = np.searchsorted(share, reach.ravel())
            found = (flat.ravel()[np.minimum(at, flat.size - 1)] >> np.uint64(32)).astype(np.uint32)
            bits = np.where(found >> 31 == 1, found & np.uint32(0x7FFFFFFF), ~found).astype(np.uint32)
            out[rows] = bits.view(np.float32).reshape(reach.shape)
        return out

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        return {"leaf_offset": self.offset, "leaf_target": self.target, "leaf_weight": self.weight}

    @classmethod
    def from_arrays(cls, arrays: Arrays, leaves: IntArray) -> Self:
        """Rebuild from `arrays()`; the rebuilt store keeps no further targets.

        Args:
            arrays: of a file.
            leaves: of each of its trees, shape (trees,).

        Raises:
            FractileError: where the arrays are not those of such trees.
        """
        target, weight = arrays["leaf_target"], arrays["leaf_weight"]
        offset = np.concatenate([[0], np.cumsum(leaves)])
        shaped = target.ndim == 2 and target.shape == weight.shape == (offset[-1], target.shape[-1])
        typed = target.dtype == weight.dtype == np.float32
        if not np.array_equal(arrays["leaf_offset"], offset) or not shaped or not target.size or not typed:
            raise FractileError(f"leaf_target and leaf_weight must be float32 of shape ({offset[-1]}, kept), by leaf")
        if not np.isfinite(target).all() or not np.isfinite(weight).all() or (weight < 0).any():
            raise FractileError("leaf_target must be finite, and leaf_weight finite and >= 0")
        made = cls(leaves, target.shape[1])
        made.target, made.weight = target, weight
        made.key = np.where(weight > 0, 0.0, EMPTY).astype(np.float32)
        return made

    def _merge(self, place: IntArray, key: Float32Array, target: FloatArray, weight: FloatArray) -> None:
        """Keep the targets with the smallest keys among those of their leaves and the new ones."""
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


@dataclass(frozen=True)
class ForestConfig(TreeConfig):
    """A forest; the options are those of all trees."""

    trees: int = 64
    leaves: int = 1000
    fewest: int = 10
    power: float = 0.5


class MeanForest:
    """A forest that predicts mean roots; `trees` holds all of it."""

    def __init__(self, trees: Trees) -> None:
        self.trees = trees

    def arrays(self) -> Arrays:
        """Return the model text."""
        return {"forest": self.trees.text}


class RandomForest(TreeForecaster[ForestConfig]):
    """A random forest (Breiman 2001) as point forecast, with the distribution of its past errors.

    Options: see `ForestConfig`.
    """

    name = "random_forest"
    config_type = ForestConfig
    errors_type = Calibration
    option_names = ForestConfig.names()

    def fit_model(self, history: History, plan: FeaturePlan, config: ForestConfig) -> MeanForest:
        """Grow the forest."""
        return MeanForest(_grow_on(training_rows(history, plan, config), plan, config))

    def model_from_arrays(self, arrays: Arrays) -> MeanForest:
        """Rebuild from the model's arrays."""
        return MeanForest(Trees(arrays["forest"], self.config.threads))

    def _predict(self, request: Request, fitted: FittedTrees) -> QuantileForecast:
        """Put the distribution of past errors around the point forecast."""
        point = self.point(request, fitted.plan, fitted.model)
        forecast: QuantileForecast = fitted.errors.forecast(request, point)
        return forecast

    def point(self, request: Request, plan: FeaturePlan, model: MeanForest) -> FloatArray:
        """Return typical demand, the square of the mean root: units, shape (items, origins, horizon)."""
        panel, origins, horizon = request.panel, request.origins, request.horizon
        values = np.empty((panel.items, len(origins), horizon))
        for items, block in feature_blocks(panel, plan, origins, horizon):
            root = model.trees.predict(block.matrix()).reshape(block.shape)
            values[items] = np.maximum(root, 0.0) ** 2 * block.scale[..., None]
        return values

    def fit_errors(self, history: History, request: Request, plan: FeaturePlan, model: MeanForest) -> Calibration:
        """Estimate the distribution of the early forest's errors."""
        return calibrate(history, request.origins, self.point(request, plan, model))


@dataclass(frozen=True)
class QuantileForestConfig(ForestConfig):
    """A quantile forest; the other options are those of every forest.

    Attributes:
        kept: training targets that a leaf keeps, at most.
    """

    kept: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("kept", self.kept >= 1, ">= 1")


class QuantileForest:
    """A forest and what fell into its leaves."""

    def __init__(self, trees: Trees, store: LeafStore) -> None:
        self.trees, self.store = trees, store

    def quantiles(self, features: Any, levels: FloatArray) -> FloatArray:
        """Return quantiles of the target, shape (rows, Q)."""
        return self.store.quantiles(self.trees.leaf(features), levels)

    def arrays(self) -> Arrays:
        """Return the model text and the leaves' targets."""
        return {"forest": self.trees.text, **self.store.arrays()}


class QuantileForestForecaster(TreeForecaster[QuantileForestConfig]):
    """A quantile regression forest (Meinshausen 2006).

    Options: see `QuantileForestConfig`.
    """

    name = "quantile_forest"
    config_type = QuantileForestConfig
    option_names = QuantileForestConfig.names()

    def fit_model(self, history: History, plan: FeaturePlan, config: QuantileForestConfig) -> QuantileForest:
        """Grow the forest and fill its leaves."""
        rows = training_rows(history, plan, config)
        trees = _grow_on(rows, plan, config)
        store = LeafStore(trees.leaves, config.kept)
        rng = keyed_generator(config.seed, "leaves")
        store.add(trees.leaf(rows.features), rows.target, rows.weight, rng)
        return QuantileForest(trees, store)

    def model_from_arrays(self, arrays: Arrays) -> QuantileForest:
        """Rebuild from the model's arrays."""
        trees = Trees(arrays["forest"], self.config.threads)
        return QuantileForest(trees, LeafStore.from_arrays(arrays, trees.leaves))

    def predict_ratios(self, model: QuantileForest, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        return model.quantiles(block.matrix(), levels)


def _grow_on(rows: TrainingRows, plan: FeaturePlan, config: TreeConfig) -> Trees:
    return grow_forest(ForestRows(rows.features, rows.target, rows.weight, plan.categorical), config, config.trees)
