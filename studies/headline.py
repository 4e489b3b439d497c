"""Which policy savings are measured against."""

from __future__ import annotations

from ..training.train import is_learned
from .backtest import Trained
from .sections import CHEAPEST, OWN


def choose_baseline(rule: str, trained: Trained) -> str:
    """Return the baseline: the one that is named, or the classical policy that costs least on the validation window.

    What the user does today (`own_levels`, `own_orders`) is the baseline where the files say it. Where no policy is
    classical it is the cheapest of all. Nothing of the held-out periods is looked at.

    Args:
        rule: a policy's name, or "cheapest".
        trained: the policies, with what they cost on the validation window.
    """
    if rule != CHEAPEST:
        return rule
    own = [name for name in OWN if name in trained.policies]
    if own:
        return own[0]
    # A class of the user's own (`module:Class`) is what is to be compared, not what to compare with.
    classical = [name for name in trained.kept_cost if not is_learned(name) and ":" not in name]
    return min(classical or trained.kept_cost or trained.policies, key=lambda name: trained.kept_cost.get(name, 0.0))
