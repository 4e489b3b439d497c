"""LightGBM: trees as the bytes of a model file, how they grow, and gradient boosting on the quantile loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...progress import portion
from ..base import Arrays, at_levels, check_levels
from ..censoring import History
from .features import FeatureBlock, FeaturePlan
from .forecaster import TreeConfig, TreeForecaster, training_rows
from .model_text import check_model

COMMON = {
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "max_bin": 127,
    "min_data_per_group": 50,
    "cat_smooth": 20.0,
    "feature_pre_filter": False,
}
"""Options of LightGBM that all trees have."""
EARLY_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
EARLY_SHARE = 0.2
"""Share of a fit that the early model takes: half as many levels, half as many trees."""


class Trees:
    """The trees that LightGBM grew, kept as the text it writes.

    Args:
        text: the model file's bytes, shape (bytes,).
        threads: that predictions run on.

    Attributes:
        leaves: of each tree, shape (trees,).

    Raises:
        FractileError: where the text is no whole model, see `check_model`.
    """

    def __init__(self, text: NDArray[np.uint8], threads: int) -> None:
        import lightgbm  # heavy, and not needed before trees grow

        self.text, self.threads = text, threads
        checked = check_model(text.tobytes())  # it may come from a file that somebody changed
        self.leaves = checked.leaves
        self.booster = lightgbm.Booster(model_str=checked.text)

    @property
    def number(self) -> int:
        """How many trees there are."""
        return int(self.booster.num_trees())

    def predict(self, features: Any) -> FloatArray:
        """Return the trees' prediction for each row, shape (rows,)."""
        return np.asarray(self.booster.predict(features, num_threads=self.threads), dtype=np.float64)

    def leaf(self, features: Any) -> IntArray:
        """Return the leaf that each row falls into in each tree, shape (rows, trees)."""
        found = self.booster.predict(features, num_threads=self.threads, pred_leaf=True)
        return np.asarray(found, dtype=np.int64).reshape(features.shape[0], -1)


def make_dataset(
    features: Any,
    target: FloatArray,
    weight: FloatArray,
    categorical: list[int],
    options: Mapping[str, Any],
) -> Any:
    """Return LightGBM's binned form of training rows.

    Args:
        features: dense or CSR, shape (rows, features).
        target: shape (rows,).
        weight: above 0, shape (rows,).
        categorical: positions of the features that are categories.
        options: of LightGBM, beside those of all trees.
    """
    import lightgbm

    settings = {**COMMON, "num_threads": 1, **options}
    return lightgbm.Dataset(features, target, weight=weight, categorical_feature=categorical, params=settings)


def grow(data: Any, config: TreeConfig, trees: int, options: Mapping[str, Any]) -> Trees:
    """Grow trees on a dataset of `make_dataset`."""
    import lightgbm

    own = {
        "num_threads": config.threads,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.fewest,
        "bagging_fraction": config.bag,
        "bagging_freq": 1,
        "seed": config.seed,
    }
    booster = lightgbm.train({**COMMON, **own, **options}, data, trees)
    return Trees(np.frombuffer(booster.model_to_string().encode(), dtype=np.uint8), config.threads)


class BoostedQuantiles:
    """A sequence of trees for each level.

    Args:
        levels: shape (K,). [τ]
        boosters: one a level.
    """

    def __init__(self, levels: FloatArray, boosters: list[Trees]) -> None:
        self.levels, self.boosters = levels, boosters

    def quantiles(self, features: Any, levels: FloatArray) -> FloatArray:
        """Return quantiles of the target, shape (rows, Q); sorted, for separate models may cross."""
        each = np.stack([booster.predict(features) for booster in self.boosters], axis=-1)
        return at_levels(self.levels, np.sort(np.maximum(each, 0.0), axis=-1), levels)

    def arrays(self) -> Arrays:
        """Return levels and model texts."""
        texts = {f"booster_{k}": booster.text for k, booster in enumerate(self.boosters)}
        return {"booster_levels": self.levels, **texts}


@dataclass(frozen=True)
class BoostingConfig(TreeConfig):
    """Boosted trees, one sequence for each level; the other options are those of all trees.

    Attributes:
        levels: quantile levels that are trained; others are interpolated.
        learning_rate: share of each tree's step that is taken.
    """

    trees: int = 200
    levels: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
    learning_rate: float = 0.06

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.levels)
        self.require("learning_rate", 0 < self.learning_rate <= 1, "in (0, 1]")


class LightGBM(TreeForecaster[BoostingConfig]):
    """LightGBM on the quantile loss, one sequence of trees for each level.

    The loss is that of demand in units, weighted by the item's level. Options: see `BoostingConfig`.
    """

    name = "lightgbm"
    config_type = BoostingConfig
    option_names = (*BoostingConfig.names(), "progress")

    def early_config(self) -> BoostingConfig:
        """Return fewer levels and fewer trees, each with a larger step."""
        rate = min(2.0 * self.config.learning_rate, 1.0)
        return replace(super().early_config(), levels=EARLY_LEVELS, learning_rate=rate)

    def fit_model(self, history: History, plan: FeaturePlan, config: BoostingConfig) -> BoostedQuantiles:
        """Train one level after another on the same rows."""
        rows = training_rows(history, plan, config)
        data = make_dataset(rows.features, rows.target, rows.weight, plan.categorical, {"seed": config.seed})
        shared = {"objective": "quantile", "learning_rate": config.learning_rate, "feature_fraction": config.features}
        first, last = (EARLY_SHARE, 1.0) if config is self.config else (0.0, EARLY_SHARE)
        progress, boosters = portion(self.progress, first, last), []
        for k, level in enumerate(config.levels):
            boosters.append(grow(data, config, config.trees, {**shared, "alpha": level}))
            progress(f"{self.name}: level {level:g} is grown", (k + 1) / len(config.levels))
        return BoostedQuantiles(np.asarray(config.levels), boosters)

    def model_from_arrays(self, arrays: Arrays) -> BoostedQuantiles:
        """Rebuild from the model's arrays."""
        levels = check_levels(arrays["booster_levels"])
        boosters = [Trees(arrays[f"booster_{k}"], self.config.threads) for k in range(len(levels))]
        return BoostedQuantiles(levels, boosters)

    def predict_ratios(self, model: BoostedQuantiles, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        return model.quantiles(block.matrix(), levels)
