"""Exact solutions, exact costs and bounds of small systems: `fr.exact`."""

from .backorders import (
    clark_scarf as clark_scarf,
    transshipment_bound as transshipment_bound,
    zheng_federgruen as zheng_federgruen,
)
from .markov_decision import optimal_policy as optimal_policy
from .policy_evaluation import (
    best_dual_sourcing as best_dual_sourcing,
    best_policy as best_policy,
    exact_cost as exact_cost,
)
