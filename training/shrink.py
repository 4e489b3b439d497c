"""Held back by what came later: how far a network may move away from the newsvendor it started from."""

from __future__ import annotations

from dataclasses import replace

from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..policies.neural import NeuralPolicy
from ..policies.rollout import simulate

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def shrunk(policy: NeuralPolicy, scenario: Scenario, params: ItemParams, warm_up: int) -> NeuralPolicy:
    """Return the network with its actions multiplied by the share that costs least on periods it has not seen.

    What a network learns of some weeks need not hold in the next ones. Zero is the newsvendor; ties go to less.

    Args:
        policy: trained on earlier periods.
        scenario: later ones.
        params: lead times, costs and order rules.
        warm_up: periods at the start that do not count.
    """
    scenario = with_protection_totals(scenario, params)  # once for all candidates
    candidates = [replace(policy, share=share) for share in SHARES]
    costs = [simulate(candidate, scenario, params, warm_up=warm_up).mean_cost for candidate in candidates]
    return candidates[costs.index(min(costs))]
