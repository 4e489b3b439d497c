"""The findings of a run, in sentences and small tables: comparison, items, forecasters, next orders, data, method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .read import Run
from .text import capitalise, column, interval, join_words, label, number, percent, tick

LISTED = 5
"""Items listed at either end."""
LISTED_ORDERS = 10
SAME = 1e-9
"""Costs that differ by less are the same."""


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
            f"{label(r.policy)} {percent(r.saving)} {interval(r.saving_low, r.saving_high)}" for r in _rows(sure)
        ]
        details.append(f"A smaller saving is proven: {join_words(smaller)}.")
    worse = [label(r.policy) for r in _rows(rivals[rivals["saving_high"] < 0])]
    if worse:
        details.append(f"Proven to cost more than the {label(run.baseline)}: {join_words(worse)}.")
    if len(rivals) > 1 and rivals["saving"].iloc[0] > SAME:
        details.append(
            f"The cheapest of {len(rivals)} policies was found on these very {run.periods()}, which flatters it a "
            "little; the intervals stand for one policy each."
        )
    for bound in _rows(run.comparison[run.comparison["kind"] == "bound"]):
        details.append(
            f"{capitalise(label(bound.policy))} knows the future and saves {percent(bound.saving)}: "
            "a bound that no policy can reach."
        )
    return details


def comparison_rows(run: Run) -> list[dict[str, Any]]:
    """Return the comparison's cells as text, cheapest first; `role` is what a row stands for."""
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
class ItemChanges:
    """Items whose cost rises or falls when the best policy replaces the baseline.

    Attributes:
        saving: money a period, by item.
        sentence: the share of items that are worse off, and what they lose.
        losers: rows of the items whose cost rises most.
        winners: rows of the items whose cost falls most.
    """

    saving: pd.Series[float]
    sentence: str
    losers: list[dict[str, str]]
    winners: list[dict[str, str]]


def compare_items(run: Run) -> ItemChanges | None:
    """Compare the best policy with the baseline item by item; None where the run has no trajectories."""
    kept = run.trajectories[run.trajectories["policy"].isin([run.baseline, run.best])]
    if kept["policy"].nunique() < 2:
        return None
    costs = kept.pivot_table(index="item_id", columns="policy", values="cost", aggfunc="mean")
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
    return ItemChanges(saving, sentence, losers, [row(item) for item in gaining.index[::-1][:LISTED]])


def describe_item(run: Run, changes: ItemChanges | None, item: Any) -> str:
    """Describe the saving of one item a period, its lead time and critical ratio."""
    about = _about(run.items.drop_duplicates("item_id").set_index("item_id"), item)
    if changes is None or item not in changes.saving.index:
        return about
    change = float(changes.saving[item])
    verb = f"saves {number(change, 3)}" if change >= 0 else f"costs {number(-change, 3)} more"
    return "; ".join(filter(None, [f"{verb} a {run.periods(1)}", about]))


def _about(facts: pd.DataFrame, item: Any) -> str:
    if item not in facts.index:
        return ""
    row: Any = facts.loc[item]
    shown = {"lead_time": "lead time {}", "critical_ratio": "critical ratio {}"}
    return ", ".join(t.format(f"{float(row[c]):.3g}") for c, t in shown.items() if c in facts)


def valued_policies(run: Run) -> list[str]:
    """Return the policies that forecasters were valued with."""
    return [str(name) for name in dict.fromkeys(run.forecast_value["policy"])]


def forecaster_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row a forecaster: its scores, and what `valued_policies` that use it pay and save."""
    value, scores, rows = run.forecast_value, all_horizons(run.scores), []
    for name in dict.fromkeys([*value["forecaster"], *scores["forecaster"]]):
        own = scores[scores["forecaster"] == name]
        gap = 100 * (own["coverage"] - own["level"]).abs().mean()
        cells = {
            row.policy: (number(row.cost), f"{percent(row.saving)} {interval(row.saving_low, row.saving_high)}")
            for row in _rows(value[value["forecaster"] == name])
        }
        rows.append(
            {
                "forecaster": str(name),
                "wql": column([own["wql"].mean()], 3)[0],
                "protection": column([own["protection_loss"].mean()], 3)[0] if "protection_loss" in own else "–",
                "gap": column([gap], 2)[0],
                "valued": [cells.get(policy, ("–", "–")) for policy in valued_policies(run)],
            }
        )
    return rows


def describe_forecasters(run: Run) -> str:
    """Return which forecaster is worth most, and whether it is the one that scores best."""
    value, scores = run.forecast_value, all_horizons(run.scores)
    if not len(value):
        return "The run holds no valuation of forecasters (forecast_value.parquet)."
    top: Any = value.sort_values("cost", kind="stable").iloc[0]
    text = (
        f"Decisions were cheapest on {top['forecaster']}: with the {label(str(top['policy']))} they cost "
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


@dataclass(frozen=True)
class NextOrders:
    """The orders of the period after the history's end.

    Attributes:
        sentence: by which policy, and how much is ordered.
        rows: cells of the first items, as text.
        more: items that are not listed.
    """

    sentence: str
    rows: list[dict[str, str]]
    more: int


def summarise_orders(run: Run) -> NextOrders | None:
    """Sum up `orders.csv`; None where the run has none."""
    table = run.orders
    if not len(table):
        return None
    policies = run.comparison[run.comparison["kind"] == "policy"]
    cheapest = str(policies.sort_values("cost", kind="stable")["policy"].iloc[0])
    last = run.manifest.get("data", {}).get("last_date")
    when = f" for the {run.periods(1)} after that of {last}" if last else f" for the next {run.periods(1)}"
    sentence = (
        f"The cheapest policy here, {label(cheapest)}, orders {tick(table['order'].sum())} units in all{when}: "
        f"{(table['order'] > 0).sum():,} of {len(table):,} items are ordered."
    )
    shown = table.head(LISTED_ORDERS)
    cells = {
        "item": shown["item_id"].astype(str),
        "order": [tick(units) for units in shown["order"]],
        "target": column(shown["order_up_to"]),
        "level": [percent(level) for level in shown["critical_quantile"]],
    }
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return NextOrders(sentence, rows, len(table) - len(rows))


def describe_intervals(run: Run) -> str:
    """Return how the intervals were computed, in a sentence or two."""
    block, clusters = run.manifest.get("block"), run.manifest.get("clusters", "auto")
    start = (
        f"The intervals have a level of {percent(run.level, 0)}. A saving is one minus the ratio of summed costs "
        "over the same demand; its error follows from each cell’s influence on that ratio (delta method)"
    )
    if clusters == "path":
        return f"{start}, with demand paths as independent clusters, each left out once (jackknife), and Student’s t."
    blocks = f"blocks of {block} {run.periods(int(block))}" if block else f"blocks of {run.periods()}"
    return (
        f"{start}, with two-way clusters over items × {blocks}, so that shocks common to all items and shocks that "
        "last within an item count (Cameron, Gelbach and Miller 2011), each cluster left out once (jackknife), and "
        "Student’s t with one degree of freedom less than the smaller number of clusters."
    )


def data_rows(run: Run) -> list[tuple[str, str]]:
    """Describe the data, name and text."""
    data: Mapping[str, Any] = run.manifest.get("data", {})
    test: Mapping[str, Any] = run.manifest.get("backtest", {})
    rows = [
        ("source", data.get("source")),
        ("items", data.get("items") and f"{data['items']:,}"),
        ("history", data.get("periods") and f"{data['periods']:,} {run.periods()}"),
        ("from", data.get("first_date")),
        ("to", data.get("last_date")),
        ("frequency", data.get("freq")),
        ("out of stock", data.get("stockout_share") is not None and percent(data["stockout_share"])),
        ("no sale", data.get("zero_share") is not None and percent(data["zero_share"])),
        ("held out", test.get("periods") and f"{test['periods']} {run.periods()}"),
        ("held out from", test.get("first_date")),
        ("held out to", test.get("last_date")),
    ]
    return [(name, str(text)) for name, text in rows if text]


def method_rows(run: Run) -> list[tuple[str, str]]:
    """Return how the run was computed, name and text."""
    made, test = run.manifest, run.manifest.get("backtest", {})
    warm, weeks = test.get("warm_up_periods"), run.periods()
    rows = [
        ("command", made.get("command")),
        ("seed", made.get("seed")),
        ("created", made.get("created")),
        ("forecaster", made.get("forecaster")),
        ("learning", _learning(run)),
        ("validation", _validation(run)),
        ("warm-up", warm and f"{warm} {weeks} were simulated before the held-out ones, and do not count"),
        ("versions", ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items())),
    ]
    return [(name, str(text)) for name, text in rows if text is not None and text != ""]


def _learning(run: Run) -> str | None:
    """Return how much policies learned from, in a sentence; None where the manifest does not say."""
    size, test = run.manifest.get("learning"), run.manifest.get("backtest", {})
    if not size:
        return None
    refits = test.get("refits") or ()
    fits = f", forecast by forecasters refitted {len(refits)} times along the way" if refits else ""
    draws, simulated = size["history_paths"], size["simulated_paths"]
    beside = f" and {simulated} simulated one{'s' * (simulated > 1)} beside" if simulated else ""
    return (
        f"{size['items']:,} items × {size['periods']} {run.periods()}{fits}; {draws} path{'s' * (draws > 1)} of the "
        f"history{beside}: {size['item_periods']:,} item-{run.periods()} in all"
    )


def _validation(run: Run) -> str | None:
    """Return what the periods before the held-out ones were for."""
    test, size = run.manifest.get("backtest", {}), run.manifest.get("learning") or {}
    periods, weeks = test.get("validation_periods"), run.periods()
    if not periods:
        return None
    if size.get("kept_periods") == 0 or not test.get("refits"):
        return f"policies were tuned on the {periods} {weeks} before the held-out ones"
    return f"policies were chosen on the {periods} {weeks} before the held-out ones, which nothing was trained on"


def policy_notes(run: Run) -> list[tuple[str, str]]:
    """Return how each policy came about, its name and sentences; those with nothing to say are left out."""
    notes: Mapping[str, list[str]] = run.manifest.get("policy_notes") or {}
    return [(label(name), "; ".join(found)) for name, found in notes.items() if found]


def describe_baseline(run: Run) -> str:
    """Return why the baseline is the one that it is."""
    base, costs = label(run.baseline), run.manifest.get("kept_cost") or {}
    if run.manifest.get("baseline_rule") != "cheapest" or run.baseline not in costs:
        return f"The baseline, {base}, was named beforehand."
    test = run.manifest.get("backtest", {})
    when = f"the {test['validation_periods']} {run.periods()} before the held-out ones" if test else "earlier periods"
    return (
        f"The baseline, {base}, is the classical policy that cost least on {when}: {number(costs[run.baseline])} a "
        f"{run.periods(1)}."
    )


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
