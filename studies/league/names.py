"""The forecasters in the order of their history, and which of them stands against which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Ancestor:
    """Where a forecaster stands in the history.

    Attributes:
        era: what was usual then.
        source: who published the method first, where that is known.
    """

    era: str
    source: str = ""


TEXTBOOK, FORESTS, NETS, OUTSIDE = "textbook series", "forests", "networks", "outside reference"
ERAS = (TEXTBOOK, FORESTS, NETS, OUTSIDE)
LINEAGE = {
    "seasonal_naive": Ancestor(TEXTBOOK),
    "ets": Ancestor(TEXTBOOK, "Hyndman et al. 2002"),
    "arima": Ancestor(TEXTBOOK, "Box and Jenkins 1970"),
    "croston": Ancestor(TEXTBOOK, "Croston 1972"),
    "patchwork": Ancestor(TEXTBOOK),
    "random_forest": Ancestor(FORESTS, "Breiman 2001"),
    "quantile_forest": Ancestor(FORESTS, "Meinshausen 2006"),
    "sqrf": Ancestor(FORESTS),
    "mqmlp": Ancestor(NETS),
    "rnn": Ancestor(NETS),
    "deepar": Ancestor(NETS, "Salinas et al. 2017"),
    "mqrnn": Ancestor(NETS, "Wen et al. 2017"),
    "mqcnn": Ancestor(NETS, "Wen et al. 2017"),
    "mqtransformer": Ancestor(NETS, "Eisenach et al. 2020"),
    "quantile_function": Ancestor(NETS, "Park et al. 2022"),
    "ensemble": Ancestor(OUTSIDE, "a structural model, a network and trees"),
    "lightgbm": Ancestor(OUTSIDE, "Ke et al. 2017"),
}
"""Every forecaster of the history, oldest first; what came from outside stands at the end."""

BASELINES = ("ets", "lightgbm")
"""Forecasters that every other is measured against."""

STEPS = (
    ("ets", "patchwork"),
    ("patchwork", "sqrf"),
    ("sqrf", "mqmlp"),
    ("mqmlp", "mqcnn"),
    ("mqcnn", "mqtransformer"),
)
"""Pairs of which the second is expected to lose less."""

CALMER = ("mqcnn", "mqtransformer")
"""A pair of which the second's forecasts are expected to be less volatile."""

TRUTH = "true quantiles"
"""Name of the row of the quantiles that demand was drawn from."""


def sort_by_history(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in the order of history; strangers stand behind, as they came."""
    known = list(LINEAGE)
    return tuple(sorted(dict.fromkeys(names), key=lambda n: known.index(n) if n in LINEAGE else len(known)))


def era_of(name: str) -> str:
    """Return the era of a forecaster; "" for strangers."""
    return LINEAGE[name].era if name in LINEAGE else ""


def comparison_pairs(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return which forecasters are compared: (earlier or baseline, other, why).

    Why is "baseline", or "step" where the first is the other's predecessor in history: the one before it in
    the order of history among these names, or its rival in `STEPS`.
    """
    present = [name for name in sort_by_history(names) if name != TRUTH]
    against = [(base, name, "baseline") for base in BASELINES if base in present for name in present if name != base]
    chain = [name for name in present if era_of(name) != OUTSIDE]
    steps = [*pairwise(chain), *(pair for pair in STEPS if set(pair) <= set(chain))]
    return [*against, *((*pair, "step") for pair in dict.fromkeys(steps))]
