"""Fractile turns demand forecasts into buying decisions, and proves what those decisions save.

Every public name is loaded when it is first used, so that `import fractile` brings in neither torch nor
Stable-Baselines3. Importing the package registers its Gymnasium environments.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .envs.registration import make_sb3_env, register_environments
from .errors import FractileError, FractileWarning, InputError

if TYPE_CHECKING:
    from .envs.arrivals import ArrivalModel, ConstantLeadTime, RandomLeadTime, expected_lead_time, with_arrivals
    from .envs.autoregressive import AR1
    from .envs.belief import Believed, Distortion
    from .envs.capacity import SharedCapacity, project_orders
    from .envs.conformance import check_dynamics
    from .envs.correlated import Correlated
    from .envs.deliveries import LostDeliveries, ShortDeliveries, SplitDeliveries
    from .envs.demand import Gamma, Geometric, NegativeBinomial, Normal, Poisson
    from .envs.demand_model import DemandModel, draw_scenario
    from .envs.discrete import CompoundPoisson, Discrete, Rounded
    from .envs.dynamics import step
    from .envs.evolution import ForecastEvolution
    from .envs.fitted_arrivals import FittedArrivals
    from .envs.forecast_demand import ForecastDemand
    from .envs.instances import Instance, instances
    from .envs.moving_mean import NewItemRamp, Promotions, Seasonal
    from .envs.network import OUTSIDE, Link, Network
    from .envs.network_dynamics import network_step
    from .envs.network_shapes import distribution, dual_sourcing, serial
    from .envs.perishable import PerishableOutcome, PerishableState, perishable_step
    from .envs.regimes import MarkovModulated
    from .envs.replay import Replay
    from .envs.sampling_tables import DemandTable
    from .envs.shared_capacity import CapacityOutcome, shared_capacity_step
    from .envs.types import (
        InventoryState,
        ItemParams,
        Observation,
        PeriodOutcome,
        Scenario,
        Trajectory,
        View,
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
    from .policies.bounds import transshipment_bound
    from .policies.clark_scarf import clark_scarf
    from .policies.compiled import compile_rollout
    from .policies.conformance import check_policy
    from .policies.exact_search import best_dual_sourcing, best_policy
    from .policies.markov import exact_cost
    from .policies.markov_decisions import optimal_policy
    from .policies.registry import POLICIES, make_policy
    from .policies.rollout import simulate
    from .policies.streaming import stream
    from .policies.zheng_federgruen import zheng_federgruen
    from .studies.compare import Comparison, compare
    from .training.trainers import TrainingProblem, train_policy

_LAZY = {
    "DEFAULT_LEVELS": "forecasters.forecast",
    "FORECASTERS": "forecasters.registry",
    "OUTSIDE": "envs.network",
    "POLICIES": "policies.registry",
    "AR1": "envs.autoregressive",
    "ArrivalModel": "envs.arrivals",
    "Believed": "envs.belief",
    "CapacityOutcome": "envs.shared_capacity",
    "Comparison": "studies.compare",
    "CompoundPoisson": "envs.discrete",
    "ConstantLeadTime": "envs.arrivals",
    "Correlated": "envs.correlated",
    "DemandModel": "envs.demand_model",
    "DemandTable": "envs.sampling_tables",
    "Discrete": "envs.discrete",
    "Distortion": "envs.belief",
    "FittedArrivals": "envs.fitted_arrivals",
    "ForecastDemand": "envs.forecast_demand",
    "ForecastEvolution": "envs.evolution",
    "Forecaster": "forecasters.base",
    "Gamma": "envs.demand",
    "Geometric": "envs.demand",
    "Instance": "envs.instances",
    "InventoryState": "envs.types",
    "ItemParams": "envs.types",
    "Link": "envs.network",
    "LostDeliveries": "envs.deliveries",
    "MarkovModulated": "envs.regimes",
    "NegativeBinomial": "envs.demand",
    "Network": "envs.network",
    "NewItemRamp": "envs.moving_mean",
    "Normal": "envs.demand",
    "Observation": "envs.types",
    "PeriodOutcome": "envs.types",
    "PerishableOutcome": "envs.perishable",
    "PerishableState": "envs.perishable",
    "Poisson": "envs.demand",
    "Policy": "policies.base",
    "Promotions": "envs.moving_mean",
    "QuantileForecast": "forecasters.forecast",
    "RandomLeadTime": "envs.arrivals",
    "Replay": "envs.replay",
    "Rounded": "envs.discrete",
    "SalesPanel": "forecasters.panel",
    "Scenario": "envs.types",
    "Seasonal": "envs.moving_mean",
    "SharedCapacity": "envs.capacity",
    "ShortDeliveries": "envs.deliveries",
    "SplitDeliveries": "envs.deliveries",
    "TrainingProblem": "training.trainers",
    "Trajectory": "envs.types",
    "View": "envs.types",
    "best_dual_sourcing": "policies.exact_search",
    "best_policy": "policies.exact_search",
    "check_dynamics": "envs.conformance",
    "check_forecaster": "forecasters.conformance",
    "check_policy": "policies.conformance",
    "clark_scarf": "policies.clark_scarf",
    "zheng_federgruen": "policies.zheng_federgruen",
    "compare": "studies.compare",
    "compile_rollout": "policies.compiled",
    "distribution": "envs.network_shapes",
    "draw_scenario": "envs.demand_model",
    "dual_sourcing": "envs.network_shapes",
    "exact_cost": "policies.markov",
    "expected_lead_time": "envs.arrivals",
    "instances": "envs.instances",
    "load_panel": "forecasters.loading",
    "make_forecaster": "forecasters.registry",
    "make_policy": "policies.registry",
    "network_step": "envs.network_dynamics",
    "optimal_policy": "policies.markov_decisions",
    "perishable_step": "envs.perishable",
    "project_orders": "envs.capacity",
    "retail_panel": "forecasters.synthetic",
    "scores": "forecasters.scores",
    "serial": "envs.network_shapes",
    "shared_capacity_step": "envs.shared_capacity",
    "simulate": "policies.rollout",
    "step": "envs.dynamics",
    "stream": "policies.streaming",
    "train_policy": "training.trainers",
    "transshipment_bound": "policies.bounds",
    "with_arrivals": "envs.arrivals",
}
"""Public name → the module that holds it."""

_MODULES = ("scores",)
"""Public names that are modules themselves."""

__all__ = [
    "AR1",
    "DEFAULT_LEVELS",
    "FORECASTERS",
    "OUTSIDE",
    "POLICIES",
    "ArrivalModel",
    "Believed",
    "CapacityOutcome",
    "Comparison",
    "CompoundPoisson",
    "ConstantLeadTime",
    "Correlated",
    "DemandModel",
    "DemandTable",
    "Discrete",
    "Distortion",
    "FittedArrivals",
    "ForecastDemand",
    "ForecastEvolution",
    "Forecaster",
    "FractileError",
    "FractileWarning",
    "Gamma",
    "Geometric",
    "InputError",
    "Instance",
    "InventoryState",
    "ItemParams",
    "Link",
    "LostDeliveries",
    "MarkovModulated",
    "NegativeBinomial",
    "Network",
    "NewItemRamp",
    "Normal",
    "Observation",
    "PeriodOutcome",
    "PerishableOutcome",
    "PerishableState",
    "Poisson",
    "Policy",
    "Promotions",
    "QuantileForecast",
    "RandomLeadTime",
    "Replay",
    "Rounded",
    "SalesPanel",
    "Scenario",
    "Seasonal",
    "SharedCapacity",
    "ShortDeliveries",
    "SplitDeliveries",
    "TrainingProblem",
    "Trajectory",
    "View",
    "__version__",
    "best_dual_sourcing",
    "best_policy",
    "check_dynamics",
    "check_forecaster",
    "check_policy",
    "clark_scarf",
    "compare",
    "compile_rollout",
    "distribution",
    "draw_scenario",
    "dual_sourcing",
    "exact_cost",
    "expected_lead_time",
    "instances",
    "load_panel",
    "make_forecaster",
    "make_policy",
    "make_sb3_env",
    "network_step",
    "optimal_policy",
    "perishable_step",
    "project_orders",
    "retail_panel",
    "scores",
    "serial",
    "shared_capacity_step",
    "simulate",
    "step",
    "stream",
    "train_policy",
    "transshipment_bound",
    "with_arrivals",
    "zheng_federgruen",
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
