"""What a run found, in sentences and small tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from .read import Run
from .words import column, interval, joined, label, number, percent

LISTED = 5
"""Items listed at either end."""
SAME = 1e-9
"""Costs that differ by less are the same."""


@dataclass(frozen=True)
class Answer:
    """The answer first.

    Attributes:
        headline: one sentence.
        details: what has to be said beside it.
        proven: whether the headline names a saving whose interval excludes zero.
    """

    headline: str
    details: tuple[str, ...]
    proven: bool


def answer(run: Run) -> Answer:
    """Say what the cheapest policy saves, or that nothing is shown to beat the baseline."""
    rivals, base = run.rivals, label(run.baseline)
    if not len(rivals):
        return Answer(f"Only the baseline, {base}, was simulated: there is nothing to compare it with.", (), False)
    best: Any = rivals.iloc[0]
    name, when = f"the {label(run.best)} policy", _held_out(run)
    within = interval(best["saving_low"], best["saving_high"])
    proven = bool(best["saving_low"] > 0)
    if proven:
        headline = f"{_capital(name)} saves {percent(best['saving'])} {within} of the {base}’s cost{when}."
    elif best["saving"] > SAME:
        headline = (
            f"No saving is proven: {name} cost {percent(best['saving'])} less than the {base}{when}, "
            f"but the interval {within} covers zero."
        )
    else:
        more = f"costs {percent(-best['saving'])} more" if best["saving"] < -SAME else "costs the same"
        headline = f"Nothing was cheaper than the {base}{when}: {name}, the next cheapest, {more} {_turned(best)}."
    return Answer(headline, tuple(_details(run, rivals, proven)), proven)


def _details(run: Run, rivals: pd.DataFrame, proven: bool) -> list[str]:
    details = []
    sure = rivals[rivals["saving_low"] > 0]
    if not proven and len(sure):
        said = [f"{label(r.policy)} {percent(r.saving)} {interval(r.saving_low, r.saving_high)}" for r in _rows(sure)]
        details.append(f"A smaller saving is proven: {joined(said)}.")
    worse = [label(r.policy) for r in _rows(rivals[rivals["saving_high"] < 0])]
    if worse:
        details.append(f"Proven to cost more than the {label(run.baseline)}: {joined(worse)}.")
    if len(rivals) > 1 and rivals["saving"].iloc[0] > SAME:
        details.append(
            f"The cheapest of {len(rivals)} policies was found on these very {run.periods()}, which flatters it a "
            "little; the intervals stand for one policy each."
        )
    for bound in _rows(run.comparison[run.comparison["kind"] == "bound"]):
        details.append(
            f"{_capital(label(bound.policy))} is shown the future and saves {percent(bound.saving)}: "
            "a bound that no policy can reach."
        )
    return details


def comparison_rows(run: Run) -> list[dict[str, Any]]:
    """Return the comparison's cells as text, cheapest first; `role` says what a row is."""
    table = run.comparison.sort_values("cost", kind="stable")
    names = ["cost", "holding", "stockout", "ordering"]
    money = column(table[names].to_numpy().reshape(-1))
    units = {name: money[i :: len(names)] for i, name in enumerate(names)}
    units |= {"mean_on_hand": column(table["mean_on_hand"]), "volatility_ratio": column(table["volatility_ratio"], 3)}
    rows = []
    for i, row in enumerate(_rows(table)):
        role = "baseline" if row.policy == run.baseline else "bound" if row.kind == "bound" else "policy"
        rows.append(
            {
                "policy": label(row.policy),
                "role": role,
                **{name: texts[i] for name, texts in units.items()},
                "fill_rate": percent(row.fill_rate),
                "saving": "baseline" if role == "baseline" else percent(row.saving),
                "interval": "" if role == "baseline" else interval(row.saving_low, row.saving_high),
            }
        )
    return rows


@dataclass(frozen=True, eq=False)
class WorseOff:
    """Who loses and who wins when the best policy replaces the baseline.

    Attributes:
        saving: money a period, by item.
        sentence: the share of items that are worse off, and what they lose.
        losers: rows of the items that lose most.
        winners: rows of the items that gain most.
    """

    saving: pd.Series[float]
    sentence: str
    losers: list[dict[str, str]]
    winners: list[dict[str, str]]


def worse_off(run: Run) -> WorseOff | None:
    """Compare the best policy with the baseline item by item; None where the run has no trajectories."""
    costs = _item_costs(run)
    if costs is None:
        return None
    saving = (costs[run.baseline] - costs[run.best]).sort_values(kind="stable")
    losing, gaining = saving[saving < -SAME], saving[saving > SAME]
    sentence = (
        f"Under {label(run.best)}, {len(losing)} of {len(saving)} items ({percent(len(losing) / len(saving), 0)}) "
        f"cost more than under the {label(run.baseline)}: together {number(-losing.sum())} a {run.periods(1)} more. "
        f"{len(gaining)} cost less: together {number(gaining.sum())} less."
    )
    facts = run.items.drop_duplicates("item_id").set_index("item_id")

    def row(item: Any) -> dict[str, str]:
        pair = {"baseline": number(costs.at[item, run.baseline], 3), "best": number(costs.at[item, run.best], 3)}
        return {"item": str(item), **pair, "saving": number(saving[item], 3), "about": _about(facts, item)}

    losers = [row(item) for item in losing.index[:LISTED]]
    return WorseOff(saving, sentence, losers, [row(item) for item in gaining.index[::-1][:LISTED]])


def facts_of(run: Run, changes: WorseOff | None, item: Any) -> str:
    """Return what one item saves a period, and its lead time and critical ratio."""
    about = _about(run.items.drop_duplicates("item_id").set_index("item_id"), item)
    if changes is None or item not in changes.saving.index:
        return about
    change = float(changes.saving[item])
    verb = f"saves {number(change, 3)}" if change >= 0 else f"costs {number(-change, 3)} more"
    return "; ".join(filter(None, [f"{verb} a {run.periods(1)}", about]))


def _item_costs(run: Run) -> pd.DataFrame | None:
    """Cost a period by item (rows) under the baseline and the best policy (columns)."""
    kept = run.trajectories[run.trajectories["policy"].isin([run.baseline, run.best])]
    if kept["policy"].nunique() < 2:
        return None
    return kept.pivot_table(index="item_id", columns="policy", values="cost", aggfunc="mean")


def _about(facts: pd.DataFrame, item: Any) -> str:
    if item not in facts.index:
        return ""
    row: Any = facts.loc[item]
    shown = {"lead_time": "lead time {}", "critical_ratio": "critical ratio {}"}
    return ", ".join(t.format(f"{float(row[c]):.3g}") for c, t in shown.items() if c in facts)


def forecaster_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row a forecaster: its scores, and what `valued_policies` that use it pay and save."""
    value, scores = run.forecast_value, all_horizons(run.scores)
    names = dict.fromkeys([*value["forecaster"], *scores["forecaster"]])
    return [_forecaster_row(str(name), value, scores, valued_policies(run)) for name in names]


def valued_policies(run: Run) -> list[str]:
    """Return the policies that forecasters were valued with."""
    return [str(name) for name in dict.fromkeys(run.forecast_value["policy"])]


def _forecaster_row(name: str, value: pd.DataFrame, scores: pd.DataFrame, policies: list[str]) -> dict[str, Any]:
    mine = scores[scores["forecaster"] == name]
    gap = (mine["coverage"] - mine["level"]).abs().mean()
    cells = {
        row.policy: (number(row.cost), f"{percent(row.saving)} {interval(row.saving_low, row.saving_high)}")
        for row in _rows(value[value["forecaster"] == name])
    }
    met = [cells.get(policy, ("–", "–")) for policy in policies]
    return {"forecaster": name, "wql": column([mine["wql"].mean()], 3)[0], "gap": column([100 * gap], 2)[0], "met": met}


def forecaster_sentence(run: Run) -> str:
    """Say which forecaster is worth most, and whether it is the one that scores best."""
    value, scores = run.forecast_value, all_horizons(run.scores)
    if not len(value):
        return "The run holds no valuation of forecasters (forecast_value.parquet)."
    top: Any = value.sort_values("cost", kind="stable").iloc[0]
    text = (
        f"Decisions were cheapest on {top['forecaster']}: in the hands of the {label(str(top['policy']))} they cost "
        f"{number(top['cost'])} a {run.periods(1)}."
    )
    if not len(scores) or scores["forecaster"].nunique() < 2:
        return text
    sharp = str(scores.groupby("forecaster")["wql"].mean().idxmin())
    if sharp == top["forecaster"]:
        return f"{text} It is also the most accurate one (weighted quantile loss)."
    return f"{text} The most accurate one is another: {sharp} (weighted quantile loss)."


def all_horizons(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row a forecaster and level: the rows over all horizons (0), or the mean where there are none."""
    if (scores["horizon"] == 0).any():
        return scores[scores["horizon"] == 0]
    columns = ["pinball", "wql", "coverage"]
    return scores.groupby(["forecaster", "level"], sort=False, as_index=False)[columns].mean()


def _held_out(run: Run) -> str:
    periods = run.manifest.get("backtest", {}).get("periods")
    return f" over the {periods} held-out {run.periods(periods)}" if periods else ""


def _turned(row: Any) -> str:
    """The interval of what a policy costs more."""
    return interval(-row["saving_high"], -row["saving_low"])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
