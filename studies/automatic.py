"""`auto`: the pair of forecaster and policy that costs least on earlier windows of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import FractileError
from ..training.config import HistoryConfig
from .backtest import Learning, Study, Trained

AUTO = "auto"
"""In place of a forecaster's or a policy's name."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A forecaster and a policy that were chosen.

    Attributes:
        forecaster: its name.
        policy: likewise.
        trained: that policy, ready.
        learning: what it was tuned and chosen on.
        costs: of every pair that was tried, by "forecaster / policy", money a period over all items.
    """

    forecaster: str
    policy: str
    trained: Trained
    learning: Learning
    costs: dict[str, float]


def choose_pair(study: Study, forecasters: Sequence[str], policies: Sequence[str] = ()) -> Pair:
    """Return the pair that costs least on the periods kept for choosing.

    Args:
        study: with its windows placed; nothing of periods after the cutoff is looked at.
        forecasters: names that are tried.
        policies: likewise; the classical policies that networks are held against, and the one that is shipped ready,
            where none are named.
    """
    best: tuple[float, Pair] | None = None
    costs: dict[str, float] = {}
    for forecaster in forecasters:
        learning = study.learn(forecaster, study.config.training.simulated_paths)
        for name in policies or HistoryConfig().references:
            try:
                trained = study.train([name], learning)
            except FractileError as fault:
                if policies:
                    raise
                study.progress(f"{name} is left out: {fault}")  # not for these items
                continue
            cost = costs[f"{forecaster} / {name}"] = trained.kept_cost[name]
            if best is None or cost < best[0]:
                best = cost, Pair(forecaster, name, trained, learning, costs)
    assert best is not None
    return best[1]
