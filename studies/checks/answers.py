"""Questions that a careful reader has, and their answers, in sentences and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from ..report.text import capitalise, interval, label, number, percent, period_of
from ..statistics import Saving
from .baseline import OFF, TOO_SURE, WEAK, WORTH_SAYING, BaselineChecks
from .held_out import ItemsWorseOff, Pair, StockOuts

Verdict = Literal["good", "note", "warning"]
HIDDEN = 0.1
"""Share of the baseline's cost in item-periods without a record of demand that is said in the terminal."""
MOVED = 0.01
"""Change of a saving that is worth saying."""
NEAR = 0.05
"""Distance of a service from the critical ratio that is worth saying."""


@dataclass(frozen=True)
class Answer:
    """One question that a careful reader has, and its answer.

    Attributes:
        code: of the check.
        question: as a reader would ask it.
        answer: a sentence without its full stop.
        verdict: "good", "note" (worth knowing) or "warning".
        figures: its numbers.
        aloud: whether it is said in the terminal, too.
    """

    code: str
    question: str
    answer: str
    verdict: Verdict
    figures: Mapping[str, Any] = field(default_factory=dict)
    aloud: bool = False

    @property
    def sentence(self) -> str:
        """The answer as a sentence of its own."""
        return f"{capitalise(self.answer)}."


def describe_baseline(found: BaselineChecks, name: str) -> list[Answer]:
    """Answer whether the baseline is set well, and what it and the forecasts cover.

    Args:
        found: what was checked.
        name: of the baseline.
    """
    codes = {warning.code for warning in found.warnings}
    again, met = found.retuning, found.service
    if again.shift == 0:
        text = "no other safety stock would have cost less"
    elif again.saving > 0:
        text = (
            f"{again.amount} would have cost {percent(again.saving)} less {interval(again.low, again.high)} on cells "
            "that it was not chosen on"
        )
    else:
        text = f"{again.amount} looked cheaper, and was not on cells that it was not chosen on"
    bad = bool({"retuning", WEAK} & codes)
    answers = [
        Answer(
            "retuning",
            f"Would another safety stock make the baseline, {label(name)}, cheaper?",
            text,
            "warning" if bad else "note" if again.saving > WORTH_SAYING else "good",
            asdict(again),
        ),
        Answer(
            "service",
            "Does the baseline cover what its critical ratio asks for?",
            f"{percent(met.share)} of item-periods end without a shortfall; the mean critical ratio is "
            f"{percent(met.promised)}",
            "warning" if "service" in codes else "note" if abs(met.gap.mean) > NEAR else "good",
            {"share": met.share, "promised": met.promised, "low": met.gap.low, "high": met.gap.high},
        ),
    ]
    if found.coverage is not None:
        most, least = found.coverage
        off = most.falls_short(OFF) or least.exceeds(OFF)
        answers.append(
            Answer(
                "forecast_coverage",
                "Does demand stay below the critical fractile that is forecast as often as it should?",
                f"in {percent(least.share)} to {percent(most.share)} of cases (without and with the unit that the "
                f"fractile falls into), where {percent(most.promised)} is right",
                "warning" if "forecast_coverage" in codes else "note" if off else "good",
                {"low": least.share, "high": most.share, "promised": most.promised},
            )
        )
    if found.spread is not None:
        times = float(np.mean(found.spread))
        sure = min(found.spread) > TOO_SURE
        answers.append(
            Answer(
                "forecast_spread",
                "Are forecasts as unsure as they should be?",
                f"within a period items deviate from their forecasts {times:.2f} times as far as these say (1 is "
                "right; less where items share shocks)",
                "warning" if "forecast_spread" in codes else "note" if sure else "good",
                {"times": times},
            )
        )
    return answers


def describe_stock_outs(found: StockOuts, pair: Pair, *, known: bool) -> Answer:
    """Answer how much rests on demand that is not on record.

    Args:
        found: what was measured.
        pair: the baseline and its rival.
        known: whether that demand is known all the same, as in a synthetic panel.
    """
    share, rest, draws = found.cost_shares[pair.baseline], found.informative, found.draws
    text = (
        f"{percent(share)} of the baseline's cost falls in {percent(found.share)} of the item-periods, where the item "
        f"was out of stock and demand is {'known only because the panel is synthetic' if known else 'made up'}"
    )
    if rest is not None:
        within = interval(rest.low, rest.high)
        text += f"; on all others the saving of {label(pair.rival)} is {percent(rest.saving)} {within}"
    text += (
        f", and {percent(draws.mean())} on average over {len(draws)} draws of the hidden demand "
        f"({percent(draws.min())} to {percent(draws.max())})"
    )
    loud = share > HIDDEN
    figures = {
        "share": found.share,
        "cost_shares": found.cost_shares,
        "informative": _record(rest),
        "draws": [float(saving) for saving in draws],
    }
    verdict: Verdict = "warning" if is_lost(pair.saving(), rest) else "note" if loud else "good"
    return Answer("stock_outs", "How much rests on demand that is not on record?", text, verdict, figures, loud)


def describe_end(whole: Saving, valued: Mapping[str, Saving]) -> Answer:
    """Answer whether stock that is left at the end decides.

    Args:
        whole: the saving.
        valued: the saving where what is left is worth something, by what a unit is worth, in words.
    """
    parts = [f"{percent(saving.saving)} where a unit is worth {name}" for name, saving in valued.items()]
    lost = any(is_lost(whole, saving) for saving in valued.values())
    moved = any(abs(saving.saving - whole.saving) > MOVED for saving in valued.values())
    return Answer(
        "end",
        "Is stock that is left at the end worth something?",
        f"the saving is {percent(whole.saving)}; {', '.join(parts)}",
        "warning" if lost else "note" if moved else "good",
        {name: _record(saving) for name, saving in valued.items()},
    )


def describe_start(whole: Saving, later: Saving, span: int, freq: str | None) -> Answer:
    """Answer whether the start decides.

    Args:
        whole: the saving.
        later: the saving without the first periods.
        span: how many these are.
        freq: pandas frequency of the periods.
    """
    return Answer(
        "start",
        "Does the start decide?",
        f"without the first {span} {period_of(freq, span)}, a protection interval, the saving is "
        f"{percent(later.saving)} {interval(later.low, later.high)}",
        "warning" if is_lost(whole, later) else "note" if abs(later.saving - whole.saving) > MOVED else "good",
        {"periods": span, **(_record(later) or {})},
    )


def describe_items(found: ItemsWorseOff, pair: Pair, freq: str | None) -> list[Answer]:
    """Answer which items are worse off, and how those fare that lost most at first.

    Args:
        found: what was found.
        pair: the baseline and its rival.
        freq: pandas frequency of the periods.
    """
    again = (
        f"of those that lost in the first half, {percent(found.again, 0)} lost in the second, of the others "
        f"{percent(found.gained, 0)}"
    )
    answers = [
        Answer(
            "items",
            f"Which items are worse off under {label(pair.rival)}?",
            f"{percent(found.share, 0)} of them, by {number(found.money)} a {period_of(freq, 1)} together; {again}",
            "note" if found.again > found.gained + 0.1 else "good",
            {name: value for name, value in asdict(found).items() if name != "decile"},
        )
    ]
    if found.decile is not None:
        saving, whole = found.decile, pair.saving()
        saves = whole is not None and whole.saving > 0
        answers.append(
            Answer(
                "decile",
                "How does the tenth of the items fare that lost most at first?",
                f"{found.decile_items} items, named by the first half of the held-out time: in the second half the "
                f"saving on them is {percent(saving.saving)} {interval(saving.low, saving.high)}",
                "warning" if saves and saving.high < 0 else "note" if saving.saving < 0 else "good",
                _record(saving) or {},
            )
        )
    return answers


def describe_bound(left: float, exact: int, items: int) -> Answer:
    """Answer what is the most that any policy could save.

    Args:
        left: the bound's saving, share of the baseline's cost.
        exact: items whose bound is the cheapest plan of all.
        items: all of them.
    """
    limits = "" if exact == items else f" (exact for {exact} of {items} items; the others are freed of order rules)"
    return Answer(
        "bound",
        "What is the most that any policy could save?",
        f"{percent(left)} of the baseline's cost, by orders that know all demand to come, from the same stock, in the "
        f"same packs and lead times{limits}",
        "good",
        {"saving": left, "exact_items": exact, "items": items},
    )


def is_lost(whole: Saving | None, part: Saving | None) -> bool:
    """Return whether a saving whose interval lies above zero no longer does."""
    return whole is not None and part is not None and whole.low > 0 >= part.low


def _record(saving: Saving | None) -> dict[str, float] | None:
    return None if saving is None else {"saving": saving.saving, "low": saving.low, "high": saving.high}
