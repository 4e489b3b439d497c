"""Demand models beyond the textbook ones, and forecasts that evolve: `fr.demand`."""

from .correlated import Correlated as Correlated
from .discrete import CompoundPoisson as CompoundPoisson, Discrete as Discrete, Rounded as Rounded
from .evolution import ForecastEvolution as ForecastEvolution
from .moving_mean import NewItemRamp as NewItemRamp, Promotions as Promotions
from .sampling_tables import DemandTable as DemandTable
