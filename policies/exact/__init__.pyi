"""Exact solutions, exact costs and bounds of small systems: `fr.exact`."""

from .bounds import transshipment_bound as transshipment_bound
from .clark_scarf import clark_scarf as clark_scarf
from .markov import exact_cost as exact_cost
from .markov_decisions import optimal_policy as optimal_policy
from .search import best_dual_sourcing as best_dual_sourcing, best_policy as best_policy
from .zheng_federgruen import zheng_federgruen as zheng_federgruen
