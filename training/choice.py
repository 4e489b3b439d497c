"""How far a learned policy is followed: as far as the periods kept for choosing bear out.

What a network learns of some weeks need not hold in the next ones. It is held against the cheapest classical policy on
periods that neither learned from, with a margin for chance.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def follow(name: str, networks: Mapping[str, Policy], problem: TrainingProblem) -> Policy:
    """Return the policy between the cheapest classical one and networks that costs least on the periods kept.

    A network's orders are followed in full, in part (`Blended`), or not at all: where what they save there is less
    than `history.margin` standard errors, the classical policy itself is returned. The reason is noted.

    Args:
        name: of the learned policy, for the note.
        networks: candidates, by what a note may call them.
        problem: with periods kept for choosing; without them the first network is returned.
    """
    first = next(iter(networks.values()))
    if problem.choosing is None:
        return first
    base_name, baseline = problem.reference
    base_cost = problem.cost_on_kept(baseline)
    best, found, told = baseline, None, ""
    for called, network in networks.items():
        for share in problem.history.shares:
            if share == 0:
                continue
            candidate = network if share == 1 else Blended(baseline, network, share)
            saving = saving_of(problem.cost_on_kept(candidate), base_cost)
            if found is None or saving.share > found.share:
                told = "" if len(networks) == 1 else f" ({called})"
                best, found, weight = candidate, saving, share
    assert found is not None
    periods = problem.choosing[0].periods - problem.choosing[1]
    against = f"{base_name}, the cheapest classical policy on the {periods} periods kept for choosing"
    measured = f"{abs(found.share):.1%} ± {found.error:.1%}"
    if found.share <= problem.history.margin * found.error:
        verb = "cost" if found.share < 0 else "save only"
        more = " more" if found.share < 0 else ""
        problem.note(name, f"orders as {against}: there its own moves{told} {verb} {measured}{more}")
        return baseline
    way = "its own orders" if weight == 1 else f"{weight:.0%} of the way to its own orders"
    problem.note(name, f"{way}{told} save {measured} against {against}")
    problem.progress(f"{name}: {way} save {measured} on the periods kept for choosing")
    return best
