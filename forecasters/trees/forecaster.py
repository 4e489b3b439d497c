"""What all tree forecasters share: options, training rows, fitting, forecasting block by block, and their state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from ...arrays import Float32Array, FloatArray
from ...errors import FractileError
from ...progress import Progress, no_progress
from ...randomness import keyed_generator
from ..base import (
    Arrays,
    Config,
    Options,
    Request,
    State,
    calibration_origins,
    targets_of,
)
from ..calibration.point_errors import Calibration
from ..calibration.sampling import ErrorDependence, fit_errors
from ..censoring import History, check_censoring
from ..forecast import DEFAULT_LEVELS, QuantileForecast
from ..forecaster import BaseForecaster
from .features import CELLS, FeatureBlock, FeaturePlan, build_features, feature_blocks, plan_features


@dataclass(frozen=True)
class TreeConfig(Options):
    """What all trees have.

    Attributes:
        horizon: periods ahead that are trained; a forecast reaches no further. [H]
        trees: grown for each quantile level (boosting) or in all (forests).
        leaves: of a tree, at most.
        fewest: rows in a leaf, at least.
        features: share of the features that a tree (boosting) or a split (forests) may choose from.
        bag: share of the rows that a tree is grown on.
        power: rows weigh `level ** power`: 1 is the loss in units, 0 relative to the item's level.
        most_rows: of the training table; beyond it they are drawn at random.
        censoring: how stock-outs count, "bound" (sales are a lower bound of demand) or "mask" (not at all).
        seed: of rows, bags and features.
        threads: of LightGBM; more are quicker, and the trees the same.
    """

    horizon: int = 12
    trees: int = 100
    leaves: int = 15
    fewest: int = 100
    features: float = 0.4
    bag: float = 0.6
    power: float = 0.4
    most_rows: int = 100_000
    censoring: str = "bound"
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("horizon", "trees", "fewest", "most_rows", "threads"):
            self.require(name, getattr(self, name) >= 1 and int(getattr(self, name)) == getattr(self, name), ">= 1")
        check_censoring(self.censoring)
        self.require("leaves", self.leaves >= 2, ">= 2")
        for name in ("features", "bag"):
            self.require(name, 0 < getattr(self, name) <= 1, "in (0, 1]")
        self.require("power", 0 <= self.power <= 1, "in [0, 1]")

    def require(self, name: str, holds: bool, rule: str) -> None:
        """Refuse an option that breaks its rule."""
        if not holds:
            raise FractileError(f"{name} must be {rule}, got {getattr(self, name)}; change it")


OptionsT = TypeVar("OptionsT", bound=TreeConfig)

CALIBRATION = 26
"""Most origins whose errors are estimated."""


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Rows to train on.

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


def training_blocks(history: History, plan: FeaturePlan, config: TreeConfig) -> Iterator[TrainingRows]:
    """Yield training rows of a history block by block of items, at most about `most_rows` in all.

    Each item draws its rows from a generator of its own. Where the panel has many more rows than are kept,
    each block of items also draws its origins, so that the work is bounded by what is kept.
    """
    horizon, panel, targets = config.horizon, history.expected, history.drawn
    longer = panel.extended(np.zeros((panel.items, horizon)))
    # Period t is a known target of min(t + 1, horizon) origins.
    possible = (panel.informative.sum(axis=0) * np.minimum(np.arange(panel.periods) + 1, horizon)).sum()
    share = min(1.0, config.most_rows / max(int(possible), 1))
    number = int(np.ceil(panel.periods * min(1.0, 4.0 * share)))
    size = max(1, CELLS // (number * horizon))
    for first in range(0, panel.items, size):
        items = np.arange(first, min(first + size, panel.items))
        part = targets.select(items)
        rng = keyed_generator(config.seed, "tree origins", panel.item_ids[first])
        origins = np.sort(rng.choice(panel.periods, number, replace=False))
        demand = targets_of(part, origins, horizon)
        kept, kept_share = ~np.isnan(demand), share * panel.periods / number
        if kept_share < 1.0:
            generators = (keyed_generator(config.seed, "tree rows", item) for item in part.item_ids)
            draws = [rng.random(demand.shape[1:], dtype=np.float32) for rng in generators]
            kept &= np.stack(draws) < kept_share
        rows = np.flatnonzero(kept)
        if len(rows):
            block = build_features(longer.select(items), plan, origins, horizon)
            scale = block.scale.ravel()[rows // horizon]
            yield TrainingRows(block.matrix(rows), demand.ravel()[rows] / scale, scale**config.power, block.names)


def training_rows(history: History, plan: FeaturePlan, config: TreeConfig) -> TrainingRows:
    """Return the training rows of a history in one table."""
    parts = list(training_blocks(history, plan, config))
    features, target, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "target", "weight")
    )
    return TrainingRows(features, target, weight, parts[0].names)


@dataclass(frozen=True, eq=False)
class FittedTrees:
    """The result of a fit: which features, the trees on them, and the errors of past forecasts."""

    plan: FeaturePlan
    model: Any
    errors: Any


class TreeForecaster(BaseForecaster[FittedTrees], Generic[OptionsT]):
    """Trees for all items and all steps ahead, on the features of `features.build_features`.

    Demand is divided by the item's running level, so that one model serves fast and slow items.

    Args:
        config: all options at once.
        progress: called as trees grow, with a message and the share of them that is grown; not kept.
        **options: single options of the config, over those of `config`.
    """

    config_type: ClassVar[type[TreeConfig]]
    errors_type: ClassVar[type[ErrorDependence | Calibration]] = ErrorDependence
    option_names: ClassVar[tuple[str, ...]]

    def __init__(self, config: OptionsT | None = None, *, progress: Progress | None = None, **options: Any) -> None:
        base: Any = config or self.config_type()
        self.progress = progress or no_progress
        self.config: OptionsT = base.with_options(self.name, options)

    @property
    def censoring(self) -> str:
        """How stock-outs count."""
        return self.config.censoring

    def fit_model(self, history: History, plan: FeaturePlan, config: OptionsT) -> Any:
        """Grow the trees of a history."""
        raise NotImplementedError

    def model_from_arrays(self, arrays: Arrays) -> Any:
        """Rebuild a model from its arrays."""
        raise NotImplementedError

    def predict_ratios(self, model: Any, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, a row an item, origin and step: shape (rows, Q)."""
        raise NotImplementedError

    def early_config(self) -> OptionsT:
        """Return the options of the early model, which only shows how errors move together."""
        return replace(self.config, trees=max(1, self.config.trees // 2))

    def _fit(self, history: History) -> FittedTrees:
        """Grow the trees, and estimate the errors of trees that were grown without the last periods."""
        panel, horizon = history.expected, self.config.horizon
        origins = calibration_origins(panel, CALIBRATION)
        before = history.until(int(origins[0]))
        early = before if before.expected.informative.any() else history
        early_plan = plan_features(early.expected, horizon)
        early_model = self.fit_model(early, early_plan, self.early_config())
        longer = panel.extended(np.zeros((panel.items, horizon)))
        request = Request(longer, horizon, np.asarray(DEFAULT_LEVELS), origins)
        errors = self.fit_errors(history, request, early_plan, early_model)
        plan = plan_features(panel, horizon)
        return FittedTrees(plan, self.fit_model(history, plan, self.config), errors)

    @property
    def max_horizon(self) -> int:
        """The trained horizon."""
        return self.config.horizon

    def _predict(self, request: Request, fitted: FittedTrees) -> QuantileForecast:
        """Forecast with the trees and the dependence of past errors."""
        errors: ErrorDependence = fitted.errors
        finer = replace(request, levels=errors.levels(request.levels))
        return errors.forecast(request, self.quantiles(finer, fitted.plan, fitted.model))

    def quantiles(self, request: Request, plan: FeaturePlan, model: Any) -> FloatArray:
        """Return quantiles in units, shape (items, origins, horizon, Q)."""
        panel, origins, levels = request.panel, request.origins, request.levels
        values = np.empty((panel.items, len(origins), request.horizon, len(levels)))
        for items, block in feature_blocks(panel, plan, origins, request.horizon):
            ratios = self.predict_ratios(model, block, levels).reshape(*block.shape, len(levels))
            values[items] = np.maximum(ratios, 0.0) * block.scale[..., None, None]
        return np.maximum.accumulate(values, axis=-1)

    def fit_errors(self, history: History, request: Request, plan: FeaturePlan, model: Any) -> Any:
        """Estimate the errors of an early model, from the forecasts that it makes beyond its history."""
        values = self.quantiles(request, plan, model)
        past = QuantileForecast(request.levels, values, request.origins, request.panel.item_ids)
        # The early trees are fewer and coarser than those that forecast.
        return fit_errors(past, history, relative=True)

    def _to_state(self, fitted: FittedTrees) -> State:
        """Return configuration and arrays."""
        config = {"config": self.config.to_config(), "plan": fitted.plan.to_config()}
        return config, {**fitted.plan.arrays(), **fitted.model.arrays(), **fitted.errors.arrays()}

    @classmethod
    def _from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `_to_state()`."""
        options: Any = cls.config_type.from_config(config["config"])
        made = cls(options)
        plan = FeaturePlan.from_state(config["plan"], arrays)
        made._fitted = FittedTrees(plan, made.model_from_arrays(arrays), cls.errors_type.from_arrays(arrays))
        return made
