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
    from .envs.arrivals.deliveries import LostDeliveries, ShortDeliveries, SplitDeliveries
    from .envs.arrivals.fitted import FittedArrivals
    from .envs.arrivals.model import ArrivalModel, ConstantLeadTime, RandomLeadTime, expected_lead_time, with_arrivals
    from .envs.capacity import SharedCapacity, project_orders
    from .envs.conformance import check_dynamics
    from .envs.demand.autoregressive import AR1
    from .envs.demand.belief import Believed, Distortion
    from .envs.demand.correlated import Correlated
    from .envs.demand.discrete import CompoundPoisson, Discrete, Rounded
    from .envs.demand.distributions import Gamma, Geometric, NegativeBinomial, Normal, Poisson
    from .envs.demand.evolution import ForecastEvolution
    from .envs.demand.forecast_demand import ForecastDemand
    from .envs.demand.model import DemandModel, draw_scenario
    from .envs.demand.moving_mean import NewItemRamp, Promotions, Seasonal
    from .envs.demand.regimes import MarkovModulated
    from .envs.demand.replay import Replay
    from .envs.demand.sampling_tables import DemandTable
    from .envs.dynamics import step
    from .envs.instances import Instance, instances
    from .envs.network import OUTSIDE, Link, Network
    from .envs.network_dynamics import network_step
    from .envs.network_shapes import distribution, dual_sourcing, serial
    from .envs.perishable import PerishableOutcome, PerishableState, perishable_step
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
    from .policies.compiled import compile_rollout
    from .policies.conformance import check_policy
    from .policies.exact.bounds import transshipment_bound
    from .policies.exact.clark_scarf import clark_scarf
    from .policies.exact.markov import exact_cost
    from .policies.exact.markov_decisions import optimal_policy
    from .policies.exact.search import best_dual_sourcing, best_policy
    from .policies.exact.zheng_federgruen import zheng_federgruen
    from .policies.registry import POLICIES, make_policy
    from .policies.rollout import simulate
    from .policies.streaming import stream
    from .studies.compare import Comparison, compare
    from .training.trainers import TrainingProblem, train_policy

_LAZY = {
    "DEFAULT_LEVELS": "forecasters.forecast",
    "FORECASTERS": "forecasters.registry",
    "OUTSIDE": "envs.network",
    "POLICIES": "policies.registry",
    "AR1": "envs.demand.autoregressive",
    "ArrivalModel": "envs.arrivals.model",
    "Believed": "envs.demand.belief",
    "CapacityOutcome": "envs.shared_capacity",
    "Comparison": "studies.compare",
    "CompoundPoisson": "envs.demand.discrete",
    "ConstantLeadTime": "envs.arrivals.model",
    "Correlated": "envs.demand.correlated",
    "DemandModel": "envs.demand.model",
    "DemandTable": "envs.demand.sampling_tables",
    "Discrete": "envs.demand.discrete",
    "Distortion": "envs.demand.belief",
    "FittedArrivals": "envs.arrivals.fitted",
    "ForecastDemand": "envs.demand.forecast_demand",
    "ForecastEvolution": "envs.demand.evolution",
    "Forecaster": "forecasters.base",
    "Gamma": "envs.demand.distributions",
    "Geometric": "envs.demand.distributions",
    "Instance": "envs.instances",
    "InventoryState": "envs.types",
    "ItemParams": "envs.types",
    "Link": "envs.network",
    "LostDeliveries": "envs.arrivals.deliveries",
    "MarkovModulated": "envs.demand.regimes",
    "NegativeBinomial": "envs.demand.distributions",
    "Network": "envs.network",
    "NewItemRamp": "envs.demand.moving_mean",
    "Normal": "envs.demand.distributions",
    "Observation": "envs.types",
    "PeriodOutcome": "envs.types",
    "PerishableOutcome": "envs.perishable",
    "PerishableState": "envs.perishable",
    "Poisson": "envs.demand.distributions",
    "Policy": "policies.base",
    "Promotions": "envs.demand.moving_mean",
    "QuantileForecast": "forecasters.forecast",
    "RandomLeadTime": "envs.arrivals.model",
    "Replay": "envs.demand.replay",
    "Rounded": "envs.demand.discrete",
    "SalesPanel": "forecasters.panel",
    "Scenario": "envs.types",
    "Seasonal": "envs.demand.moving_mean",
    "SharedCapacity": "envs.capacity",
    "ShortDeliveries": "envs.arrivals.deliveries",
    "SplitDeliveries": "envs.arrivals.deliveries",
    "TrainingProblem": "training.trainers",
    "Trajectory": "envs.types",
    "View": "envs.types",
    "best_dual_sourcing": "policies.exact.search",
    "best_policy": "policies.exact.search",
    "check_dynamics": "envs.conformance",
    "check_forecaster": "forecasters.conformance",
    "check_policy": "policies.conformance",
    "clark_scarf": "policies.exact.clark_scarf",
    "zheng_federgruen": "policies.exact.zheng_federgruen",
    "compare": "studies.compare",
    "compile_rollout": "policies.compiled",
    "distribution": "envs.network_shapes",
    "draw_scenario": "envs.demand.model",
    "dual_sourcing": "envs.network_shapes",
    "exact_cost": "policies.exact.markov",
    "expected_lead_time": "envs.arrivals.model",
    "instances": "envs.instances",
    "load_panel": "forecasters.loading",
    "make_forecaster": "forecasters.registry",
    "make_policy": "policies.registry",
    "network_step": "envs.network_dynamics",
    "optimal_policy": "policies.exact.markov_decisions",
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
    "transshipment_bound": "policies.exact.bounds",
    "with_arrivals": "envs.arrivals.model",
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
