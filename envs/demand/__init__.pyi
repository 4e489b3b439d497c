"""Demand models beyond the textbook ones, and forecasts that evolve: `fr.demand`."""

from .distributions import CompoundPoisson as CompoundPoisson, Discrete as Discrete, Rounded as Rounded
from .evolution import ForecastEvolution as ForecastEvolution
from .modifiers import Correlated as Correlated, NewItemRamp as NewItemRamp, Promotions as Promotions
from .sampling_tables import DemandTable as DemandTable
from .shocks import CommonShocks as CommonShocks, ItemShocks as ItemShocks
