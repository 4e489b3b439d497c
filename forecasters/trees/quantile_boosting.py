"""Gradient-boosted trees on the quantile loss: what practitioners hold every forecaster against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ..base import Arrays, at_levels
from ..data.panel import SalesPanel
from .boosting import Trees, dataset, grow
from .config import BoostingConfig
from .examples import examples_of
from .features import FeatureBlock
from .forecaster import TreeForecaster
from .plan import FeaturePlan

EARLY_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


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


class LightGBM(TreeForecaster[BoostingConfig]):
    """LightGBM on the quantile loss, one sequence of trees for each level.

    The loss is that of demand in units, weighed by the item's level. Options: see `BoostingConfig`.
    """

    name = "lightgbm"
    config_type = BoostingConfig
    option_names = BoostingConfig.names()

    def early_config(self) -> BoostingConfig:
        """Return fewer levels and fewer trees, each with a larger step."""
        rate = min(2.0 * self.config.learning_rate, 1.0)
        return replace(super().early_config(), levels=EARLY_LEVELS, learning_rate=rate)

    def learn(self, panel: SalesPanel, plan: FeaturePlan, config: BoostingConfig) -> BoostedQuantiles:
        """Train one level after another on the same rows."""
        rows = examples_of(panel, plan, config)
        data = dataset(rows.features, rows.target, rows.weight, plan.categorical, options={"seed": config.seed})
        shared = {"objective": "quantile", "learning_rate": config.learning_rate, "feature_fraction": config.features}
        boosters = [grow(data, config, config.trees, {**shared, "alpha": level}) for level in config.levels]
        return BoostedQuantiles(np.asarray(config.levels), boosters)

    def restore(self, arrays: Arrays) -> BoostedQuantiles:
        """Rebuild from the model's arrays."""
        levels = arrays["booster_levels"]
        boosters = [Trees(arrays[f"booster_{k}"], self.config.threads) for k in range(len(levels))]
        return BoostedQuantiles(levels, boosters)

    def ratios(self, model: BoostedQuantiles, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        return model.quantiles(block.matrix(), levels)
