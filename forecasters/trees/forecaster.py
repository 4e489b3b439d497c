"""What all tree forecasters share: fitting, forecasting block by block, and their state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from ...arrays import FloatArray
from ..base import Arrays, BaseForecaster, Config, Request, State, calibration_origins, require_history
from ..calibration.point_errors import Calibration
from ..calibration.sampling import ErrorDependence, fit_error_dependence
from ..data.panel import SalesPanel
from ..forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from .config import TreeConfig
from .features import FeatureBlock, feature_blocks
from .plan import FeaturePlan, plan_features

OptionsT = TypeVar("OptionsT", bound=TreeConfig)

CALIBRATION = 26
"""Most origins whose errors are learnt from."""


class Model(Protocol):
    """Fitted trees."""

    def arrays(self) -> Arrays:
        """Return all that the model is."""
        ...


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit leaves behind: which features, the trees on them, and what past errors taught."""

    plan: FeaturePlan
    model: Any
    errors: Any


class TreeForecaster(BaseForecaster[Fitted], Generic[OptionsT]):
    """Trees for all items and all steps ahead, on hand-made features.

    Demand is divided by the item's running level, so that one model serves fast and slow items.

    Args:
        config: all options at once.
        **options: single options of the config, over those of `config`.
    """

    config_type: ClassVar[type[TreeConfig]]
    errors_type: ClassVar[type[ErrorDependence | Calibration]] = ErrorDependence
    option_names: ClassVar[tuple[str, ...]]

    def __init__(self, config: OptionsT | None = None, **options: Any) -> None:
        base: Any = config or self.config_type()
        self.config: OptionsT = base.changed(self.name, options)

    def learn(self, panel: SalesPanel, plan: FeaturePlan, config: OptionsT) -> Any:
        """Return the model of a panel."""
        raise NotImplementedError

    def restore(self, arrays: Arrays) -> Any:
        """Rebuild a model from its arrays."""
        raise NotImplementedError

    def ratios(self, model: Any, block: FeatureBlock, levels: FloatArray) -> FloatArray:
        """Return quantiles over the items' scale, a row an item, origin and step: shape (rows, Q)."""
        raise NotImplementedError

    def early_config(self) -> OptionsT:
        """Return the options of the early model, which only shows how errors move together."""
        return replace(self.config, trees=max(1, self.config.trees // 2))

    def fit(self, panel: SalesPanel) -> Self:
        """Grow the trees, and learn about their errors where they had not seen the demand."""
        require_history(panel)
        errors = self._learn_errors(panel)
        plan = plan_features(panel, self.config.horizon)
        self._fitted = Fitted(plan, self.learn(panel, plan, self.config), errors)
        return self

    @property
    def max_horizon(self) -> int:
        """The trained horizon."""
        return self.config.horizon

    def _predict(self, request: Request, learnt: Fitted) -> QuantileForecast:
        """Return the forecast that was asked for."""
        values = self.quantiles(request, learnt.plan, learnt.model)
        return request.forecast(values, learnt.errors.at(request.panel, request.origins, request.horizon))

    def quantiles(self, request: Request, plan: FeaturePlan, model: Any) -> FloatArray:
        """Return quantiles in units, shape (items, origins, horizon, Q)."""
        panel, origins, levels = request.panel, request.origins, request.levels
        values = np.empty((panel.items, len(origins), request.horizon, len(levels)))
        for items, block in feature_blocks(panel, plan, origins, request.horizon):
            ratios = self.ratios(model, block, levels).reshape(*block.shape, len(levels))
            values[items] = np.maximum(ratios, 0.0) * block.scale[..., None, None]
        return np.maximum.accumulate(values, axis=-1)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        known = self.fitted
        config = {"config": self.config.to_config(), "plan": known.plan.to_config()}
        return config, {**known.plan.arrays(), **known.model.arrays(), **known.errors.arrays()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        restored: Any = cls.config_type.restored(config["config"])
        made = cls(restored)
        plan = FeaturePlan.restored(config["plan"], arrays)
        made._fitted = Fitted(plan, made.restore(arrays), cls.errors_type.from_arrays(arrays))
        return made

    def errors_of(self, panel: SalesPanel, request: Request, plan: FeaturePlan, model: Any) -> Any:
        """Learn from forecasts of an early model that had not seen what came."""
        values = self.quantiles(request, plan, model)
        past = QuantileForecast(request.levels, values, request.origins, panel.item_ids)
        return fit_error_dependence(past, panel)

    def _learn_errors(self, panel: SalesPanel) -> Any:
        origins = calibration_origins(panel, CALIBRATION)
        early = panel.until(int(origins[0]))
        plan = plan_features(early if early.informative.any() else panel, self.config.horizon)
        config = self.early_config()
        model = self.learn(early if early.informative.any() else panel, plan, config)
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        request = Request(longer, self.config.horizon, np.asarray(DEFAULT_LEVELS), origins)
        return self.errors_of(panel, request, plan, model)
