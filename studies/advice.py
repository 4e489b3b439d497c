"""What to do after a comparison, in one sentence: keep the baseline, switch to a policy, or wait for more periods."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from .report.text import interval, join_words, label, percent, period_of, periods_a_year, saves, the_policy

Action = Literal["keep", "switch", "wait"]
PATIENCE = 2.0
"""Years at most that are worth waiting for a proof; where more are needed, the saving is too small to decide on."""
USUAL_PATIENCE = 104
"""Periods, likewise, where it is not known how many a year has."""
ON_THE_BASELINE = ("retuning", "service", "weak_baseline")
"""Codes of warnings that the baseline is poorly set."""
FRAIL = {
    "stock_outs": "where demand is on record",
    "end": "where stock left at the end counts",
    "start": "without the first periods",
    "decile": "on the items that lost most at first",
}
"""Codes of answers to a careful reader that lose a saving, and where they lose it."""
SAME = 1e-9
"""Savings that differ from zero by less are none."""


@dataclass(frozen=True)
class Advice:
    """What to do after a comparison.

    Attributes:
        action: "keep" the baseline; "switch" to a policy whose saving is proven; or "wait": keep the baseline until
            there are enough held-out periods to prove the saving that was seen.
        policy: the one to order with: the baseline but where the advice is to switch.
        candidate: the policy that the advice is about; the baseline where there is no other.
        periods: held-out periods more until the saving seen is proven; None but where the advice is to wait.
        sentence: the advice for readers.
    """

    action: Action
    policy: str
    candidate: str
    periods: int | None
    sentence: str

    def to_record(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Advice:
        """Return the advice that a manifest keeps."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


def advise(
    table: pd.DataFrame,
    baseline: str,
    *,
    freq: str | None = None,
    periods_to_prove: float | None = None,
    trusted: bool = True,
    doubts: Collection[str] = (),
) -> Advice:
    """Advise on a comparison.

    A switch is advised only to a policy whose saving is proven although several were compared (column `proven`, a
    simultaneous interval); without that column, to one whose interval lies above zero.

    Args:
        table: a row a policy: `policy`, `kind`, `cost`, `saving`, `saving_low`, `saving_high` (shares of the
            baseline's cost), `proven`, and `simulated_saving`, `simulated_low`, `simulated_high` where known: what
            costs more in simulated demand, beyond chance, is not worth waiting for.
        baseline: the policy that savings are measured against.
        freq: pandas frequency of the periods.
        periods_to_prove: held-out periods more that would prove the largest saving seen; None: not known.
        trusted: whether the intervals hold; nothing is proven where they do not.
        doubts: codes of the warnings that were raised, and of the checks that the saving did not stand; those on the
            baseline, and those of `FRAIL`, qualify a switch.

    >>> rows = [("tuned", "policy", 96.0, 0.04, 0.01, 0.07), ("plain", "policy", 100.0, 0.0, 0.0, 0.0)]
    >>> names = ["policy", "kind", "cost", "saving", "saving_low", "saving_high"]
    >>> advise(pd.DataFrame(rows, columns=names), "plain").action
    'switch'
    """
    rivals, base = rivals_of(table, baseline), the_policy(baseline)
    if not len(rivals):
        alone = not ((table["kind"] == "policy") & (table["policy"] != baseline)).any()
        why = "there is no other to compare it with" if alone else "every other one placed the same orders"
        return Advice("keep", baseline, baseline, None, f"Keep {base}: {why}.")
    best: Any = rivals.iloc[0]
    name, seen = the_policy(str(best["policy"])), f"{percent(best['saving'])} {_interval(best)}"
    if not trusted:
        why = "shocks outlast the held-out periods, so that no interval can be trusted and nothing is proven"
        return Advice("keep", baseline, str(best["policy"]), None, f"Keep {base}: {why}.")
    proven = rivals[_proven(rivals) & (rivals["saving"] > SAME)]
    if len(proven):
        return _switch(rivals, proven, baseline, doubts)
    if best["saving"] <= SAME:
        return Advice("keep", baseline, str(best["policy"]), None, f"Keep {base}: no other was cheaper.")
    against = _in_simulation(best)
    if against:
        sentence = f"Keep {base}: the saving of {name}, {seen}, is not proven, and in simulated demand {against}."
        return Advice("keep", baseline, str(best["policy"]), None, sentence)
    year, word = periods_a_year(freq), period_of(freq)
    patience = PATIENCE * year if year else USUAL_PATIENCE
    if periods_to_prove is not None and math.isfinite(periods_to_prove) and periods_to_prove <= patience:
        wait = max(1, math.ceil(periods_to_prove))
        sentence = (
            f"Keep {base} for now and compare again after {wait} more {period_of(freq, wait)}: {name} saves {seen}, "
            "which is not proven yet."
        )
        return Advice("wait", baseline, str(best["policy"]), wait, sentence)
    long = f"more {word} would not settle it soon" if periods_to_prove is not None else "it may be chance"
    sentence = f"Keep {base}: the saving of {name}, {seen}, is not proven, and {long}."
    return Advice("keep", baseline, str(best["policy"]), None, sentence)


def rivals_of(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the policies that a baseline is compared with, cheapest first: neither bounds, nor those like it.

    Args:
        table: see `advise`.
        baseline: the policy that savings are measured against.
    """
    rivals = table[(table["kind"] == "policy") & (table["policy"] != baseline)]
    # A saving of nothing without any error: the same orders.
    alike = (rivals["saving"].abs() <= SAME) & ((rivals["saving_high"] - rivals["saving_low"]).abs() <= SAME)
    return rivals[~alike].sort_values("cost", kind="stable")


def _switch(rivals: pd.DataFrame, proven: pd.DataFrame, baseline: str, doubts: Collection[str]) -> Advice:
    chosen: Any = proven.iloc[0]
    several = f", proven although {len(rivals)} policies were compared" if len(rivals) > 1 else ", which is proven"
    sentence = (
        f"Switch to {the_policy(str(chosen['policy']))}: it saves {percent(chosen['saving'])} {_interval(chosen)} of "
        f"the cost of {the_policy(baseline)}{several}."
    )
    cheaper = rivals[rivals["cost"] < chosen["cost"] - SAME]
    if len(cheaper):
        names = join_words([label(str(name)) for name in cheaper["policy"]])
        sentence += f" Cheaper still, but not proven: {names}."
    against = _in_simulation(chosen)
    if against:
        sentence += f" But in simulated demand {against}: find out why before you switch."
    lost = [where for code, where in FRAIL.items() if code in doubts]
    if lost:
        sentence += f" But the saving is lost {join_words(lost)}: see what a careful reader would ask."
    if any(code in ON_THE_BASELINE for code in doubts):
        sentence += " But the baseline looks poorly set, see the warnings: savings against it come easy."
    return Advice("switch", str(chosen["policy"]), str(chosen["policy"]), None, sentence)


def _in_simulation(row: Any) -> str:
    """Return that a policy costs more in simulated demand, where it does so beyond chance; else ""."""
    high = row.get("simulated_high")
    if high is None or not high < 0:
        return ""
    return f"it {saves(row['simulated_saving'], row['simulated_low'], high)}"


def _proven(rivals: pd.DataFrame) -> pd.Series[bool]:
    return rivals["proven"].astype(bool) if "proven" in rivals else rivals["saving_low"] > 0


def _interval(row: Any) -> str:
    return interval(row["saving_low"], row["saving_high"])
