"""Fractile turns demand forecasts into buying decisions, and proves what those decisions save.

Every public name is loaded when it is first used, so that `import fractile` brings in neither torch nor
Stable-Baselines3. Importing the package registers its Gymnasium environments.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .envs.registration import make_sb3_env, register_environments
from .errors import FractileError, InputError

if TYPE_CHECKING:
    from .envs.conformance import check_dynamics
    from .envs.demand import Geometric, NegativeBinomial, Normal, Poisson, draw_scenario
    from .envs.dynamics import step
    from .envs.forecast_demand import ForecastDemand
    from .envs.replay import Replay
    from .envs.types import (
        InventoryState,
        ItemParams,
        Observation,
        PeriodOutcome,
        Scenario,
        Trajectory,
    )
    from .forecasters import scores
    from .forecasters.base import Forecaster
    from .forecasters.conformance import check_forecaster
    from .forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
    from .forecasters.loading import load_panel
    from .forecasters.panel import SalesPanel
    from .forecasters.registry import FORECASTERS, make_forecaster
    from .forecasters.synthetic import retail_panel
    from .policies.base import Policy
    from .policies.conformance import check_policy
    from .policies.registry import POLICIES, make_policy
    from .policies.rollout import simulate
    from .studies.compare import Comparison, compare
    from .training.trainers import TrainingProblem, train_policy

_LAZY = {
    "DEFAULT_LEVELS": "forecasters.forecast",
    "FORECASTERS": "forecasters.registry",
    "POLICIES": "policies.registry",
    "Comparison": "studies.compare",
    "ForecastDemand": "envs.forecast_demand",
    "Forecaster": "forecasters.base",
    "Geometric": "envs.demand",
    "InventoryState": "envs.types",
    "ItemParams": "envs.types",
    "NegativeBinomial": "envs.demand",
    "Normal": "envs.demand",
    "Observation": "envs.types",
    "PeriodOutcome": "envs.types",
    "Poisson": "envs.demand",
    "Policy": "policies.base",
    "QuantileForecast": "forecasters.forecast",
    "Replay": "envs.replay",
    "SalesPanel": "forecasters.panel",
    "Scenario": "envs.types",
    "TrainingProblem": "training.trainers",
    "Trajectory": "envs.types",
    "check_dynamics": "envs.conformance",
    "check_forecaster": "forecasters.conformance",
    "check_policy": "policies.conformance",
    "compare": "studies.compare",
    "draw_scenario": "envs.demand",
    "load_panel": "forecasters.loading",
    "make_forecaster": "forecasters.registry",
    "make_policy": "policies.registry",
    "retail_panel": "forecasters.synthetic",
    "scores": "forecasters.scores",
    "simulate": "policies.rollout",
    "step": "envs.dynamics",
    "train_policy": "training.trainers",
}
"""Public name → the module that holds it."""

_MODULES = ("scores",)
"""Public names that are modules themselves."""

__all__ = [
    "DEFAULT_LEVELS",
    "FORECASTERS",
    "POLICIES",
    "Comparison",
    "ForecastDemand",
    "Forecaster",
    "FractileError",
    "Geometric",
    "InputError",
    "InventoryState",
    "ItemParams",
    "NegativeBinomial",
    "Normal",
    "Observation",
    "PeriodOutcome",
    "Poisson",
    "Policy",
    "QuantileForecast",
    "Replay",
    "SalesPanel",
    "Scenario",
    "TrainingProblem",
    "Trajectory",
    "__version__",
    "check_dynamics",
    "check_forecaster",
    "check_policy",
    "compare",
    "draw_scenario",
    "load_panel",
    "make_forecaster",
    "make_policy",
    "make_sb3_env",
    "retail_panel",
    "scores",
    "simulate",
    "step",
    "train_policy",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name == "__version__":
        return _version()
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_LAZY[name]}", __name__)
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def _version() -> str:
    try:
        return version("fractile")
    except PackageNotFoundError:
        return "0+unknown"


register_environments()
