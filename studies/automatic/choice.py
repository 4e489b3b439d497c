"""The choice: every pair is played on the windows, averages of the best ones, too; the cheapest is taken.

    |…… history ……|… window 1 …|… window 2 …|… window 3 …|
                  ^ fit        ^ fit        ^ fit        ^ end of what is known

Each forecaster is fitted before every window and forecasts from all of its origins. First every forecaster is tried
with every policy, then averages of the forecasters that cost least, then safety settings of the cheapest pair of each
policy, then the best of these settings on the other forecasters, then the mean of two policies' orders. What is chosen
is the cheapest of all. The least of many noisy costs is too low: `Choice.cross_validated_cost` is what the same rule
costs on each window when it chooses on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...errors import FractileError
from ...progress import begin_stage
from ..backtest import Study
from ..statistics.ranking import rank_policies
from .candidates import FIRST_STEP, SMALLEST_STEP, Candidate, has_setting, is_fixed
from .scoring import Windows

AVERAGED = 2
"""Policies that averages of forecasters are tried with: the cheapest ones."""

NAMED = 5
"""Pairs that a sentence names at most."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What was tried, and what was chosen.

    Attributes:
        best: the pair that costs least.
        table: a row a pair, cheapest first: `forecaster`, `policy` (its setting or "a & b" in it), `cost` (money a
            period over all items), `cost_1` … (of each window), `more`, `more_low`, `more_high` (share that it costs
            more than the best, with an interval for it alone), `among_best` (cannot be told from the best, though all
            were compared).
        first: first date of each window.
        last: last date of the last window.
        periods: that count.
        cross_validated_cost: of the choosing, money a period over all items: each window's by what the others choose;
            None for a single window.
    """

    best: Candidate
    table: pd.DataFrame
    first: tuple[Any, ...]
    last: Any
    periods: int
    cross_validated_cost: float | None

    @property
    def close(self) -> list[str]:
        """Pairs that cannot be told from the best, cheapest first, the best one among them."""
        rows = self.table[self.table["among_best"]]
        return [" / ".join(filter(None, pair)) for pair in zip(rows["forecaster"], rows["policy"], strict=True)]

    @property
    def sentence(self) -> str:
        """How sure the choice is, in words."""
        cost, windows = float(self.table["cost"].iloc[0]), len(self.first)
        said = (
            f"{self.best.label} costs least of {len(self.table)} pairs on the last {self.periods} periods of the "
            f"history ({windows} window{'s' * (windows > 1)}): {cost:,.2f} a period"
        )
        if self.cross_validated_cost is not None:
            said += f"; chosen on the other windows, each window costs {self.cross_validated_cost:,.2f}"
        close = len(self.close)
        if close > 1:
            names = ", ".join(self.close[1:NAMED]) + (f" and {close - NAMED} more" if close > NAMED else "")
            return f"{said}. {close} pairs cannot be told apart: beside it {names}."
        return f"{said}. It is cheaper than every other pair, beyond chance."

    def to_record(self) -> dict[str, Any]:
        """Return it as a manifest keeps it; the table is a file of its own."""
        return {
            "forecaster": self.best.forecaster,
            "policy": self.best.order,
            "cost": float(self.table["cost"].iloc[0]),
            "cross_validated_cost": self.cross_validated_cost,
            "tried": len(self.table),
            "among_best": self.close,
            "windows": [str(date) for date in self.first],
            "last_date": str(self.last),
            "periods": self.periods,
            "sentence": self.sentence,
        }


def choose(study: Study, forecasters: Sequence[str], policies: Sequence[str], *, members: int | None = None) -> Choice:
    """Return the pair that costs least on the windows before a study's cutoff.

    A forecaster or policy that is not for these items is left out, and that is reported as progress.

    Args:
        study: with its data; nothing of periods after its first cutoff is looked at.
        forecasters: names that are tried.
        policies: likewise.
        members: forecasters at most that are averaged; as configured where None.

    Raises:
        InputError: where the history is too short.
        FractileError: where nothing is left to choose from.
    """
    search = Search(Windows.of(study), {})
    options, settings = study.config.policies.options, study.config.choice
    for name in policies:
        if is_fixed(name, options.get(name, {})):
            search.score(Candidate((), name))
            continue
        for forecaster in forecasters:
            search.score(Candidate((forecaster,), name))
    if not search.costs:
        raise FractileError("auto: none of the forecasters and policies is for these items; name both instead")
    begin_stage(study.progress, "choosing")
    _score_averages(search, settings.members if members is None else members)
    for name, candidate in {each.policy: each for each in reversed(search.ranked())}.items():
        if has_setting(name, options.get(name, {})):
            search.setting(candidate, settings.steps)
    best = search.ranked()[0]
    for tried in {each.members: None for each in search.ranked() if each.members and best.members}:
        search.score(replace(best, members=tried))
    _score_means(search)
    return _conclude(search)


@dataclass(frozen=True, eq=False)
class Search:
    """Costs of the pairs that were tried so far.

    Attributes:
        windows: where they are played.
        costs: by pair, money, shape (1, periods, items); pairs are added as they are tried.
    """

    windows: Windows
    costs: dict[Candidate, FloatArray]

    def score(self, candidate: Candidate) -> float:
        """Return what a pair costs, and keep it; infinity where it is not for these items."""
        if candidate not in self.costs:
            try:
                self.costs[candidate] = self.windows.cost(candidate)
            except FractileError as fault:
                self.windows.study.progress(f"{candidate.label} is left out: {fault}")
                return float("inf")
        return float(self.costs[candidate].mean())

    def ranked(self, which: Callable[[Candidate], bool] | None = None) -> list[Candidate]:
        """Return the pairs that were tried, or those that are wanted, cheapest first; of equal ones the first tried."""
        return sorted(filter(which, self.costs), key=lambda candidate: float(self.costs[candidate].mean()))

    def setting(self, candidate: Candidate, steps: int) -> None:
        """Move a pair's safety setting while that saves, in halving steps."""
        at, step = candidate, FIRST_STEP
        for _ in range(steps):
            sides = [replace(at, shift=round(at.shift + sign * step, 6)) for sign in (-1, 1)]
            best = min((at, *sides), key=self.score)
            if best == at:
                step /= 2
            at = best
            if step < SMALLEST_STEP:
                return


def _score_averages(search: Search, most: int) -> None:
    """Try averages of the two, three, … forecasters that cost least, with the two policies that cost least."""
    singles = search.ranked(lambda candidate: len(candidate.members) == 1)
    order = tuple(dict.fromkeys(candidate.members[0] for candidate in singles))
    policies = tuple(dict.fromkeys(candidate.policy for candidate in singles))[:AVERAGED]
    for number in range(2, min(most, len(order)) + 1):
        for name in policies:
            search.score(Candidate(order[:number], name))


def _score_means(search: Search) -> None:
    """Try the mean of the orders of the two cheapest policies on the cheapest forecaster."""
    reading = search.ranked(lambda candidate: bool(candidate.members))
    if not reading:
        return
    same = [candidate for candidate in reading if candidate.members == reading[0].members]
    others = [candidate for candidate in same if candidate.policy != same[0].policy]
    if others:
        search.score(replace(same[0], other=replace(others[0], members=())))


def _conclude(search: Search) -> Choice:
    """Return the cheapest pair, with the table of all and how far apart they are."""
    ranked, windows = search.ranked(), search.windows
    costs = {candidate.label: search.costs[candidate] for candidate in ranked}
    starts = np.array(windows.starts)
    by_period = np.stack([cost.sum(2)[0] for cost in costs.values()])
    sums = np.add.reduceat(by_period, starts, axis=1)
    lengths = np.diff([*starts, by_period.shape[1]])
    table = pd.DataFrame(
        {
            "forecaster": [candidate.forecaster for candidate in ranked],
            "policy": [candidate.order for candidate in ranked],
            "cost": by_period.mean(1),
            **{f"cost_{k + 1}": sums[:, k] / lengths[k] for k in range(len(starts))},
            **_differences(costs),
        }
    )
    dates, first = windows.study.data.panel.dates, windows.bounds[0] + windows.run_in
    return Choice(
        ranked[0],
        table,
        tuple(dates[first + start].date() for start in starts),
        dates[windows.bounds[-1] - 1].date(),
        by_period.shape[1],
        _cross_validated(sums) / by_period.shape[1] if len(starts) > 1 else None,
    )


def _cross_validated(sums: FloatArray) -> float:
    """Return the sum over windows of what costs least on the others; sums of shape (pairs, windows)."""
    others = sums.sum(1, keepdims=True) - sums
    return float(sums[others.argmin(0), np.arange(sums.shape[1])].sum())


def _differences(costs: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Return what pairs cost more than the first one, with intervals, and which cannot be told from it."""
    names = list(costs)
    try:
        ranking = rank_policies(costs, baseline=names[0])
    except FractileError:  # nothing costs anything
        return {"more": 0.0, "more_low": 0.0, "more_high": 0.0, "among_best": True}
    savings = [ranking.savings[name] for name in names]
    return {
        "more": [-saving.saving for saving in savings],
        "more_low": [-saving.high for saving in savings],
        "more_high": [-saving.low for saving in savings],
        "among_best": [name in ranking.among_best or name == names[0] for name in names],
    }
