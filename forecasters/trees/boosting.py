"""LightGBM, loaded when it is needed, and its models as arrays of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray
from .config import TreeConfig

ByteArray = NDArray[np.uint8]

MOST_BINS = 127


class Trees:
    """The trees that LightGBM grew, kept as the text it writes.

    Args:
        text: the model file's bytes, shape (bytes,).
        threads: that predictions run on.
    """

    def __init__(self, text: ByteArray, threads: int) -> None:
        self.text, self.threads = text, threads

    @cached_property
    def booster(self) -> Any:
        """LightGBM's own object."""
        import lightgbm

        return lightgbm.Booster(model_str=self.text.tobytes().decode())

    @property
    def number(self) -> int:
        """How many trees there are."""
        return int(self.booster.num_trees())

    @cached_property
    def leaves(self) -> NDArray[np.int64]:
        """Leaves of each tree, shape (trees,)."""
        found = [line for line in self.text.tobytes().decode().splitlines() if line.startswith("num_leaves=")]
        return np.array([int(line.partition("=")[2]) for line in found], dtype=np.int64)

    def predict(self, features: Any) -> FloatArray:
        """Return the trees' prediction for each row, shape (rows,)."""
        return np.asarray(self.booster.predict(features, num_threads=self.threads), dtype=np.float64)

    def leaf(self, features: Any) -> NDArray[np.int64]:
        """Return the leaf that each row falls into in each tree, shape (rows, trees)."""
        found = self.booster.predict(features, num_threads=self.threads, pred_leaf=True)
        return np.asarray(found, dtype=np.int64).reshape(features.shape[0], -1)


def dataset(
    features: Any,
    target: FloatArray,
    weight: FloatArray,
    categorical: list[int],
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Return LightGBM's binned form of training rows."""
    import lightgbm

    settings = {**_common(1), **(options or {})}
    return lightgbm.Dataset(features, target, weight=weight, categorical_feature=categorical, params=settings)


def grow(data: Any, config: TreeConfig, trees: int, options: Mapping[str, Any]) -> Trees:
    """Grow trees on a `dataset`."""
    import lightgbm

    own = {
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.fewest,
        "bagging_fraction": config.bag,
        "bagging_freq": 1,
        "seed": config.seed,
    }
    booster = lightgbm.train({**_common(config.threads), **own, **options}, data, trees)
    return Trees(np.frombuffer(booster.model_to_string().encode(), dtype=np.uint8), config.threads)


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
    settings = {**forest_options(config), **(options or {})}
    root = np.sign(rows.target) * np.sqrt(np.abs(rows.target))
    return grow(dataset(rows.features, root, rows.weight, rows.categorical, settings), config, trees, settings)


def forest_options(config: TreeConfig) -> dict[str, Any]:
    """Return what makes LightGBM grow a random forest on squared errors."""
    bag = min(config.bag, 0.999)  # LightGBM's forests need a true sub-sample
    return {
        "boosting": "rf",
        "objective": "regression",
        "bagging_fraction": bag,
        "feature_fraction_bynode": config.features,
    }


def _common(threads: int) -> dict[str, Any]:
    return {
        "verbosity": -1,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "max_bin": MOST_BINS,
        "min_data_per_group": 50,
        "cat_smooth": 20.0,
        "feature_pre_filter": False,
    }
