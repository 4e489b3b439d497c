"""How far a learned policy is followed: as far as the periods kept for choosing bear out.

What a network learns of some weeks need not hold in the next ones. It is held against the cheapest policy that was not
trained here, classical or shipped ready, on periods that neither learned from, with a margin for chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..policies.base import Policy
from ..policies.blended import Blended
from .problem import TrainingProblem

MANY_PATHS = 8
"""Fewer paths than that are draws of one history, not independent ones."""


@dataclass(frozen=True)
class Saving:
    """What a policy saves against another on the same periods, shares of the other's cost.

    Attributes:
        share: one minus the ratio of costs.
        error: its standard error, with paths as clusters where there are many, else items, else periods.
    """

    share: float
    error: float


def saving_of(cost: FloatArray, baseline: FloatArray) -> Saving:
    """Return the paired saving of costs of shape (paths, periods, items)."""
    total = float(baseline.sum())
    if total <= 0:
        return Saving(0.0 if cost.sum() <= 0 else -np.inf, 0.0)
    share = 1.0 - float(cost.sum()) / total
    # Each cluster's influence on the ratio (delta method).
    paths, _, items = cost.shape
    axes = (1, 2) if paths >= MANY_PATHS else (0, 1) if items > 1 else (0, 2)
    influence = ((1.0 - share) * baseline - cost).sum(axes) / total
    count = len(influence)
    error = float(np.sqrt(count / (count - 1) * (influence**2).sum())) if count > 1 else 0.0
    return Saving(share, error)


def follow(name: str, network: Policy, problem: TrainingProblem) -> Policy:
    """Return the policy between the cheapest one that needs no network trained here and a network.

    A network's orders are followed in full, in part (`Blended`), or not at all: the share is the one whose saving on
    the periods kept for choosing has the highest lower bound, `history.margin` standard errors below its estimate.
    Where no bound is above zero, the reference itself is returned. The reason is noted.

    Args:
        name: of the learned policy, for the note.
        network: trained on earlier periods.
        problem: with periods kept for choosing; without them the network is returned as it is.
    """
    if problem.choosing is None:
        return network
    base_name, baseline = problem.reference
    base_cost = problem.cost_on_kept(baseline)
    shares = [share for share in problem.history.shares if share > 0]
    candidates = [network if share == 1 else Blended(baseline, network, share) for share in shares]
    savings = [saving_of(problem.cost_on_kept(candidate), base_cost) for candidate in candidates]
    bounds = [saving.share - problem.history.margin * saving.error for saving in savings]
    k = int(np.argmax(bounds))
    share, saving = shares[k], savings[k]
    periods = problem.choosing[0].periods - problem.choosing[1]
    kept, against = f"on the {periods} periods kept for choosing", base_name.replace("_", " ")
    way = "following the network" + ("" if share == 1 else f" {share:.0%} of the way")
    change = f"{'saves' if saving.share >= 0 else 'costs'} {abs(saving.share):.1%}{' more' if saving.share < 0 else ''}"
    measured = f"{way} {change} (standard error {saving.error:.1%})"
    if bounds[k] <= 0:
        problem.note(name, f"orders as {against}, the cheapest there: {kept} {measured}, which proves nothing better")
        return baseline
    problem.note(name, f"{measured} {kept} against {against}, the cheapest there")
    problem.progress(f"{name}: {way} {change} {kept}")
    return candidates[k]
