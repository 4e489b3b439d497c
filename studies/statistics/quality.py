"""What a comparison's intervals are worth: how they were computed, whether they hold, and what would narrow them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..report.text import join_words
from .power import items_to_prove, weeks_to_prove
from .ranking import Ranking
from .variance import LASTING, count_lasting

METHODS = {
    "path": "t intervals by the jackknife over independent demand paths",
    "item_time": "t intervals on one history: the jackknife over items, and the long-run variance of what all items "
    "share, from a few equally weighted cosines",
}


@dataclass(frozen=True)
class Intervals:
    """How the intervals of a comparison were computed, and how far they hold.

    Attributes:
        method: in words.
        memory: periods that a shock lasts (`count_lasting`), the median of the policies; NaN where it is not known.
        trusted: whether shocks pass within a quarter of the periods.
        note: in words, where an interval cannot be trusted; else "".
        candidate: the cheapest policy beside the baseline; "" where there is none.
        weeks_to_prove: periods more that would prove the candidate's saving, with 80 % power; 0 where it is proven,
            None where no number up to twenty years of weeks would, or nothing is saved.
        items_to_prove: items more, likewise.
        proven: policies that save, though several were compared, and whose interval can be trusted.
        among_best: policies that cannot be told from the cheapest.
        sentences: both in words.
    """

    method: str
    memory: float
    trusted: bool
    note: str
    candidate: str
    weeks_to_prove: int | None
    items_to_prove: int | None
    proven: tuple[str, ...]
    among_best: tuple[str, ...]
    sentences: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        record = asdict(self)
        return record | {"memory": None if math.isnan(self.memory) else self.memory}


def describe_intervals(ranking: Ranking) -> Intervals:
    """Say how the intervals of a ranking were computed, how far they hold, and what would prove more."""
    rivals = {name: ranking.savings[name] for name in ranking.together}
    varied = {name: saving for name, saving in rivals.items() if saving.standard_error}
    any_saving = next(iter(ranking.savings.values()))
    phi = [saving.variance.autocorrelation for saving in varied.values()]
    known = [value for value in phi if not np.isnan(value)]
    memory = count_lasting(float(np.median(known))) if known else float("nan")
    one_history = any_saving.clusters == "item_time"
    trusted = not one_history or not varied or memory <= LASTING * any_saving.periods
    candidate = max(rivals, key=lambda name: rivals[name].saving, default="")
    weeks = items = None
    proven = tuple(name for name in ranking.proven if ranking.savings[name].trusted)
    if candidate in proven:
        weeks = items = 0
    elif candidate and one_history and rivals[candidate].saving > 0:
        weeks, items = weeks_to_prove(rivals[candidate]), items_to_prove(rivals[candidate])
    return Intervals(
        method=METHODS[any_saving.clusters],
        memory=memory,
        trusted=trusted,
        note=_note(ranking, trusted, memory, any_saving.periods),
        candidate=candidate,
        weeks_to_prove=weeks,
        items_to_prove=items,
        proven=proven,
        among_best=ranking.among_best,
        sentences=replace(ranking, proven=proven).sentences,
    )


def _note(ranking: Ranking, trusted: bool, memory: float, periods: int) -> str:
    """Return where intervals cannot be trusted, in words."""
    if not trusted and math.isnan(memory):
        return f"{periods} periods are too few to see how long shocks last: the intervals cannot be trusted."
    if not trusted:
        return (
            f"Shocks last about {memory:.0f} of the {periods} periods, more than a quarter: the intervals cannot be "
            "trusted; more periods are needed."
        )
    lasting = [name for name in ranking.together if not ranking.savings[name].trusted]
    if lasting:
        return (
            f"What shocks do to {join_words(lasting)} lasts more than a quarter of the {periods} periods: "
            f"the {'interval' if len(lasting) == 1 else 'intervals'} cannot be trusted."
        )
    return ""


def power_sentence(intervals: Intervals, saving: float) -> str:
    """Say what would prove the candidate's saving, where it is not proven; "" else.

    Args:
        intervals: of the comparison.
        saving: of the candidate, a share.
    """
    weeks, items = intervals.weeks_to_prove, intervals.items_to_prove
    if not intervals.candidate or weeks == 0 or saving <= 0 or intervals.method == METHODS["path"]:
        return ""
    ways = [f"{number:,} more {what}" for number, what in ((weeks, "periods"), (items, "items")) if number]
    if not ways:
        return f"No number of further periods or items would prove the {100 * saving:.1f} % of {intervals.candidate}."
    found = f"The {100 * saving:.1f} % of {intervals.candidate} would be proven by {' or '.join(ways)} (power 80 %)"
    missing = "" if len(ways) == 2 else "; no number of items would do" if weeks else "; no number of periods would do"
    return f"{found}{missing}."
