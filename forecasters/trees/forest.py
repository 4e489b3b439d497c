"""Random forests: a point forecast with its error distribution, and quantiles from the leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..base import Arrays, Request
from ..calibration.point_errors import Calibration, calibrated
from ..data.panel import SalesPanel
from ..forecast import (
    QuantileForecast,
)
from .boosting import ForestRows, Trees, grow_forest
from .config import ForestConfig, QuantileForestConfig, TreeConfig
from .examples import Examples, examples_of
from .features import FeatureBlock, feature_blocks
from .forecaster import Fitted, TreeForecaster
from .leaves import LeafStore
from .plan import FeaturePlan


class MeanForest:
    """A forest that predicts mean roots; `trees` holds all of it."""

    def __init__(self, trees: Trees) -> None:
        self.trees = trees

    def arrays(self) -> Arrays:
        """Return the model text."""
        return {"forest": self.trees.text}


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


class RandomForest(TreeForecaster[ForestConfig]):
    """A random forest (Breiman 2001) as point forecast, with the distribution of its past errors.

    Options: see `ForestConfig`.
    """

    name = "random_forest"
    config_type = ForestConfig
    errors_type = Calibration
    option_names = ForestConfig.names()

    def learn(self, panel: SalesPanel, plan: FeaturePlan, config: ForestConfig) -> MeanForest:
        """Grow the forest."""
        return MeanForest(grown(examples_of(panel, plan, config), plan, config))

    def restore(self, arrays: Arrays) -> MeanForest:
        """Rebuild from the model's arrays."""
        return MeanForest(Trees(arrays["forest"], self.config.threads))

    def _predict(self, request: Request, learnt: Fitted) -> QuantileForecast:
        """Return the point forecast dressed with its errors."""
        point = self.point(request, learnt.plan, learnt.model)
        forecast: QuantileForecast = learnt.errors.forecast(request, point)
        return forecast

    def point(self, request: Request, plan: FeaturePlan, model: MeanForest) -> FloatArray:
        """Return typical demand, the square of the mean root: units, shape (items, origins, horizon)."""
        panel, origins, horizon = request.panel, request.origins, request.horizon
        values = np.empty((panel.items, len(origins), horizon))
        for items, block in feature_blocks(panel, plan, origins, horizon):
            root = model.trees.predict(block.matrix()).reshape(block.shape)
            values[items] = np.maximum(root, 0.0) ** 2 * block.scale[..., None]
        return values

    def errors_of(self, panel: SalesPanel, request: Request, plan: FeaturePlan, model: MeanForest) -> Calibration:
        """Learn the distribution of the early forest's errors."""
        return calibrated(panel, request.origins, self.point(request, plan, model))


class QuantileForestForecaster(TreeForecaster[QuantileForestConfig]):
    """A quantile regression forest (Meinshausen 2006).

    Options: see `QuantileForestConfig`.
    """

    name = "quantile_forest"
    config_type = QuantileForestConfig
    option_names = QuantileForestConfig.names()

    def learn(self, panel: SalesPanel, plan: FeaturePlan, config: QuantileForestConfig) -> QuantileForest:
        """Grow the forest and fill its leaves."""
        rows = examples_of(panel, plan, config)
        trees = grown(rows, plan, config)
        store = LeafStore(trees.leaves, config.kept)
        rng = keyed_generator(config.seed, "leaves")
        store.add(trees.leaf(rows.features), rows.target, rows.weight, rng)
        return QuantileForest(trees, store)

    def restore(self, arrays: Arrays) -> QuantileForest:
        """Rebuild from the model's arrays."""
        return QuantileForest(Trees(arrays["forest"], self.config.threads), LeafStore.from_arrays(arrays))

    def ratios(self, model: QuantileForest, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, shape (rows, Q)."""
        return model.quantiles(block.matrix(), levels)


def grown(rows: Examples, plan: FeaturePlan, config: TreeConfig) -> Trees:
    """Return a forest grown on training rows."""
    return grow_forest(ForestRows(rows.features, rows.target, rows.weight, plan.categorical), config, config.trees)
