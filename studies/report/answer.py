"""The first screen of a report: what the study found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import figures as plots
from .read import Run, rows_of
from .template import as_markup, render_template
from .text import capitalise, interval, join_words, label, percent

SAME = 1e-9
"""Costs that differ by less are the same."""


def answer_section(run: Run) -> str:
    """Return the first screen: the answer, its qualifications, and the saving of every policy."""
    compared: dict[str, Any] = {"baseline": run.baseline, "level": run.level}
    table = run.comparison
    forest = narrow = None
    if len(table) > 1:
        forest = as_markup(plots.draw_savings(table, **compared))
        narrow = as_markup(plots.draw_savings(table, **compared, width=380, key="narrow"))
    return render_template("answer", run=run, answer=summarise(run), forest=forest, narrow=narrow)


def answer_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figure of savings is drawn from."""
    return {"savings": run.comparison[["policy", "kind", "saving", "saving_low", "saving_high"]]}


@dataclass(frozen=True)
class Summary:
    """The findings of a study, in a few sentences.

    Attributes:
        headline: one sentence.
        details: sentences that qualify it.
        proven: whether the headline names a saving whose interval excludes zero.
    """

    headline: str
    details: tuple[str, ...]
    proven: bool


def summarise(run: Run) -> Summary:
    """Summarise the saving of the cheapest policy, or that no policy is proven to beat the baseline."""
    rivals, base = run.rivals, label(run.baseline)
    if not len(rivals):
        return Summary(f"Only the baseline, {base}, was simulated: there is nothing to compare it with.", (), False)
    best: Any = rivals.iloc[0]
    periods = run.manifest.get("backtest", {}).get("periods")
    when = f" over the {periods} held-out {run.periods(periods)}" if periods else ""
    name = f"the {label(run.best)} policy"
    within = interval(best["saving_low"], best["saving_high"])
    proven = bool(best["saving_low"] > 0)
    if proven:
        headline = f"{capitalise(name)} saves {percent(best['saving'])} {within} of the {base}’s cost{when}."
    elif best["saving"] > SAME:
        headline = (
            f"No saving is proven: {name} cost {percent(best['saving'])} less than the {base}{when}, "
            f"but the interval {within} covers zero."
        )
    else:
        more = f"costs {percent(-best['saving'])} more" if best["saving"] < -SAME else "costs the same"
        extra = interval(-best["saving_high"], -best["saving_low"])  # of what it costs more, so the ends change places
        headline = f"Nothing was cheaper than the {base}{when}: {name}, the next cheapest, {more} {extra}."
    return Summary(headline, tuple(_details(run, rivals, proven)), proven)


def _details(run: Run, rivals: pd.DataFrame, proven: bool) -> list[str]:
    details = []
    sure = rivals[rivals["saving_low"] > 0]
    if not proven and len(sure):
        smaller = [
            f"{label(r.policy)} {percent(r.saving)} {interval(r.saving_low, r.saving_high)}" for r in rows_of(sure)
        ]
        details.append(f"A smaller saving is proven: {join_words(smaller)}.")
    worse = [label(r.policy) for r in rows_of(rivals[rivals["saving_high"] < 0])]
    if worse:
        details.append(f"Proven to cost more than the {label(run.baseline)}: {join_words(worse)}.")
    if len(rivals) > 1 and rivals["saving"].iloc[0] > SAME:
        details.append(
            f"The cheapest of {len(rivals)} policies was found on these very {run.periods()}, which flatters it a "
            "little; the intervals stand for one policy each."
        )
    for bound in rows_of(run.comparison[run.comparison["kind"] == "bound"]):
        details.append(
            f"{capitalise(label(bound.policy))} knows the future and saves {percent(bound.saving)}: "
            "a bound that no policy can reach."
        )
    return details
