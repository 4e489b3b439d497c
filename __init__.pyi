"""Public names of `fractile`, each written once; `__init__.py` loads them when they are first used."""

from . import policies as policies, training as training
from .envs import arrivals as arrivals, demand as demand, networks as networks, systems as systems
from .envs.conformance import check_dynamics as check_dynamics
from .envs.core.dynamics import step as step
from .envs.core.params import ItemParams as ItemParams
from .envs.core.types import (
    HistoryView as HistoryView,
    InventoryState as InventoryState,
    Observation as Observation,
    PeriodOutcome as PeriodOutcome,
    Scenario as Scenario,
    Trajectory as Trajectory,
)
from .envs.demand.autoregressive import AR1 as AR1
from .envs.demand.belief import Believed as Believed, Distortion as Distortion
from .envs.demand.distributions import (
    Gamma as Gamma,
    Geometric as Geometric,
    NegativeBinomial as NegativeBinomial,
    Normal as Normal,
    Poisson as Poisson,
)
from .envs.demand.forecast_demand import ForecastDemand as ForecastDemand
from .envs.demand.model import DemandModel as DemandModel, Replay as Replay, draw_scenario as draw_scenario
from .envs.demand.modifiers import Seasonal as Seasonal
from .envs.demand.regimes import MarkovModulated as MarkovModulated
from .envs.demand.shocks import CommonShocks as CommonShocks
from .envs.gym.registration import make_sb3_env as make_sb3_env
from .envs.instances.catalogue import instances as instances
from .errors import FractileError as FractileError, FractileWarning as FractileWarning, InputError as InputError
from .forecasters import scores as scores
from .forecasters.base import Forecaster as Forecaster
from .forecasters.conformance import check_forecaster as check_forecaster
from .forecasters.data.panel import SalesPanel as SalesPanel, load_panel as load_panel
from .forecasters.forecast import (
    DEFAULT_LEVELS as DEFAULT_LEVELS,
    DemandForecast as DemandForecast,
    QuantileForecast as QuantileForecast,
)
from .forecasters.forecast_conformance import check_quantile_forecast as check_quantile_forecast
from .forecasters.importing.importer import import_sales as import_sales
from .forecasters.registry import FORECASTERS as FORECASTERS, make_forecaster as make_forecaster
from .forecasters.retail.panel import retail_panel as retail_panel
from .policies import exact as exact
from .policies.base import Policy as Policy
from .policies.conformance import check_policy as check_policy
from .policies.registry import POLICIES as POLICIES, make_policy as make_policy
from .policies.rollout import simulate as simulate
from .policies.sb3 import SB3Policy as SB3Policy
from .studies import league as league, statistics as statistics
from .studies.blocks.dispatch import run_study as run_study
from .studies.compare import Comparison as Comparison, compare as compare
from .studies.config import StudyConfig as StudyConfig, load_config as load_config
from .studies.data import StudyData as StudyData, load_data as load_data
from .studies.impact.direct import impact as impact
from .studies.orders import next_orders as next_orders
from .training.train import train_policy as train_policy

__version__: str
