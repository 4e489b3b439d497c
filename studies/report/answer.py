"""The first screen of a report: what to do, what it is worth, what was assumed, and what to beware of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..advice import SAME, Advice, advise
from ..assumptions import Assumption
from .read import Run, rows_of
from .savings import HELD_OUT, SIMULATED, draw_savings
from .template import as_markup, render_template
from .text import (
    capitalise,
    interval,
    join_words,
    label,
    money,
    money_interval,
    percent,
    periods_a_year,
    saves,
    the_policy,
)

SOURCES = {
    "items": "items file",
    "panel": "embedded panel",
    "config": "config or option",
    "default": "by default",
}
UNITS = {
    "lead_time": "time",
    "review_period": "time",
    "shelf_life": "time",
    "holding_cost": "a unit and {}",
    "stockout_cost": "a unit short",
    "fixed_order_cost": "an order",
    "unit_cost": "a unit",
    "price": "a unit",
    "waste_cost": "a unit that perishes",
    "salvage_value": "a unit left at the end",
}
"""What the numbers of an assumption are; those in time are in periods."""
UNTOLD = (
    "What they cost differs by no more than chance does on so few periods, however far apart the means are: a policy "
    "whose cost swings widely needs more of them."
)
"""What it means that policies cannot be told apart."""
SHARE_THAT_SAYS_NOTHING = 0.9
"""A bound that saves at least so much bounds nothing."""


@dataclass(frozen=True)
class Tile:
    """One number of the first screen.

    Attributes:
        name: of the number.
        value: as text.
        beside: interval or comparison, as text.
    """

    name: str
    value: str
    beside: str


@dataclass(frozen=True)
class Assumed:
    """One assumption for readers.

    Attributes:
        name: with its symbol.
        value: with its unit.
        source: where it comes from.
        loud: whether nobody gave it, though the result depends on it.
    """

    name: str
    value: str
    source: str
    loud: bool


def answer_section(run: Run) -> str:
    """Return the first screen: advice, money, assumptions, warnings, and the saving of every policy."""
    compared: dict[str, Any] = {"baseline": run.baseline, "level": run.level, "best": run.best}
    advice, table = read_advice(run), run.comparison
    forest = narrow = None
    if len(run.rivals):
        forest = as_markup(draw_savings(table, **compared))
        narrow = as_markup(draw_savings(table, **compared, width=380, key="narrow"))
    assumed = list_assumed(run)
    return render_template(
        "answer",
        run=run,
        advice=advice,
        tiles=list_tiles(run),
        instead=describe_alternative(run, advice),
        setting=describe_setting(run),
        assumed=assumed,
        loud=sum(row.loud for row in assumed),
        warnings=list_warnings(run),
        details=list_findings(run),
        bounds=describe_bounds(run),
        simulated=has_simulated(run),
        forest=forest,
        narrow=narrow,
    )


def answer_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figure of savings is drawn from."""
    columns = ["policy", "kind", "cost", *HELD_OUT, *SIMULATED, "history_low", "history_high", "proven", "among_best"]
    return {"savings": run.comparison[[name for name in columns if name in run.comparison]]}


def read_advice(run: Run) -> Advice:
    """Return the advice of a run; where its manifest has none, that of its table."""
    record = run.manifest.get("advice")
    if record:
        return Advice.from_record(record)
    return advise(run.comparison, run.baseline, freq=run.manifest.get("data", {}).get("freq"))


def has_simulated(run: Run) -> bool:
    """Return whether savings in simulated demand are known."""
    table = run.comparison
    return SIMULATED[1] in table and bool(table[SIMULATED[1]].notna().any())


def list_tiles(run: Run) -> list[Tile]:
    """Return the money and the service of the policy that the advice is about, against the baseline."""
    if run.best == run.baseline:
        return []
    table = run.comparison.set_index("policy")
    best, base, currency = table.loc[run.best], table.loc[run.baseline], run.manifest.get("currency")
    saved = base["cost"] * best[["saving", "saving_low", "saving_high"]].to_numpy(dtype=float)
    word, year = run.periods(1), periods_a_year(run.manifest.get("data", {}).get("freq"))
    dearer = bool(saved[0] < 0)
    what, (middle, low, high) = ("extra cost", -saved[[0, 2, 1]]) if dearer else ("saved", saved)
    tiles = [Tile(f"{what} a {word}", money(middle, currency), money_interval(low, high))]
    if year:
        tiles.append(Tile(f"{what} a year", money(year * middle, currency), money_interval(year * low, year * high)))
    if has_simulated(run):
        tiles.append(Tile("in simulated demand", percent(best[SIMULATED[1]]), _within(best, SIMULATED)))
    tiles.append(Tile("on held-out demand", percent(best["saving"]), _within(best, HELD_OUT)))
    tiles.append(Tile(f"cost a {word}", money(best["cost"], currency), f"baseline {money(base['cost'])}"))
    tiles.append(Tile("fill rate", percent(best["fill_rate"]), f"baseline {percent(base['fill_rate'])}"))
    return tiles


def describe_alternative(run: Run, advice: Advice) -> str:
    """Return whose numbers the first screen shows where they are not those of the advised policy; else ""."""
    if advice.policy == run.best:
        return ""
    best, base = the_policy(run.best), the_policy(run.baseline)
    return (
        f"The numbers below are those of {best}, which is not advised: what it made of the held-out "
        f"{run.periods()} against {base}, not proven."
    )


def describe_setting(run: Run) -> str:
    """Return over what the numbers hold: policy, baseline, held-out periods, folds, seeds and items."""
    test, data = run.manifest.get("backtest", {}), run.manifest.get("data", {})
    periods, items = test.get("periods"), data.get("items")
    parts = []
    if periods:
        span = f" ({test['first_date']} to {test['last_date']})" if test.get("first_date") else ""
        parts.append(f"{periods} held-out {run.periods(periods)}{span}")
    folds, seeds = test.get("folds") or (), test.get("training_seeds") or 0
    if len(folds) > 1:
        parts.append(f"{len(folds)} folds")
    if items:
        parts.append(f"{items:,} item{'s' * (items != 1)}")
    if seeds:
        parts.append(f"{seeds} training seed{'s' * (seeds != 1)} of each learned policy")
    about = (
        "" if run.best == run.baseline else f"{capitalise(the_policy(run.best))} against {the_policy(run.baseline)}: "
    )
    return f"{about}{', '.join(parts)}." if parts else ""


def list_assumed(run: Run) -> list[Assumed]:
    """Return what the study took for granted; nothing where the manifest does not say."""
    rows = []
    for record in run.manifest.get("assumptions") or []:
        assumption = Assumption.from_record(record)
        if assumption.low is None and assumption.value is None:
            continue  # no such rule: nothing to show
        name = label(assumption.name) + (f" {assumption.symbol}" if assumption.symbol else "")
        source = SOURCES.get(assumption.source, assumption.source)
        rows.append(Assumed(name, _valued(run, assumption), source, assumption.by_default))
    return rows


def _valued(run: Run, assumption: Assumption) -> str:
    value, unit = assumption.describe(), UNITS.get(assumption.name, "")
    if unit == "time":
        return f"{value} {run.periods(1 if assumption.high == 1 else 2)}"
    currency = run.manifest.get("currency")
    priced = f"{value} {currency}" if currency and unit else value
    return f"{priced} {unit.format(run.periods(1))}".rstrip()


def list_warnings(run: Run) -> list[str]:
    """Return what must be known before a saving is believed, a sentence each."""
    texts = [str(warning["text"]) for warning in run.manifest.get("warnings") or []]
    return [capitalise(text) if text.endswith((".", "?")) else f"{capitalise(text)}." for text in texts]


def list_findings(run: Run) -> list[str]:
    """Return sentences that qualify the advice: the gap of both figures, and who is alike, proven or dear."""
    rivals = run.rivals
    told = describe_gap(run), describe_ranking(run), describe_power(run), describe_trust(run)
    notes = (run.document("checks.json") or {}).get("notes") or []
    found = [sentence for sentence in (*told, *notes) if sentence]
    proven = rivals["proven"].astype(bool) if "proven" in rivals else rivals["saving_low"] > 0
    others = rivals[proven & (rivals["saving"] > SAME) & (rivals["policy"] != read_advice(run).policy)]
    if len(others):
        named = [f"{label(r.policy)} {percent(r.saving)} {_within(r._asdict(), HELD_OUT)}" for r in rows_of(others)]
        found.append(f"{'Also proven' if proven.sum() > len(others) else 'Proven'} to save: {join_words(named)}.")
    worse = [label(r.policy) for r in rows_of(rivals[rivals["saving_high"] < 0])]
    if worse:
        found.append(f"Cost more than the {label(run.baseline)}, and not by chance: {join_words(worse)}.")
    if "proven" not in rivals and len(rivals) > 1 and rivals["saving"].iloc[0] > SAME:
        found.append(
            f"The cheapest of {len(rivals)} policies was found on these very {run.periods()}, which flatters it a "
            "little; the intervals stand for one policy each."
        )
    return found


def describe_gap(run: Run) -> str:
    """Return how the saving in simulated demand and the one on held-out demand go together; "" where not known."""
    if not has_simulated(run) or run.best == run.baseline:
        return ""
    row: Any = run.comparison.set_index("policy").loc[run.best]
    if not pd.notna(row[SIMULATED[1]]):
        return ""
    text = (
        f"In demand simulated from its forecasts {the_policy(run.best)} "
        f"{saves(row[SIMULATED[1]], row[SIMULATED[0]], row[SIMULATED[2]])}; on the held-out {run.periods()} it "
        f"{saves(row['saving'], row['saving_low'], row['saving_high'])}"
    )
    if "history_low" not in row or not pd.notna(row["history_low"]):
        return f"{text}."
    inside = row["history_low"] <= row[SIMULATED[1]] <= row["history_high"]
    spread = interval(row["history_low"], row["history_high"])
    if inside:
        return f"{text}: a gap that one history of this length gives by chance, {spread}."
    return (
        f"{text}: a gap beyond what one history of this length gives by chance, {spread}. The simulator and the "
        "history differ in something that matters to this policy."
    )


def describe_ranking(run: Run) -> str:
    """Return which policies cannot be told from the cheapest; "" where the table does not say."""
    table = run.comparison
    if "among_best" not in table:
        return ""
    best = table[(table["kind"] == "policy") & table["among_best"].astype(bool)].sort_values("cost", kind="stable")
    names = [label(str(name)) for name in best["policy"]]
    if len(names) < 2:
        return f"The {names[0]} policy is cheaper than every other one, and not by chance." if names else ""
    return f"{capitalise(join_words(names))} cannot be told apart: any of them may be the cheapest. {UNTOLD}"


def describe_power(run: Run) -> str:
    """Return how many more periods or items would prove the saving seen; "" where it is proven or nothing is known."""
    known = run.manifest.get("intervals") or {}
    periods, items, name = known.get("weeks_to_prove"), known.get("items_to_prove"), str(known.get("candidate"))
    seen: float = run.rivals.set_index("policy")["saving"].get(name, 0.0)
    if seen <= SAME or name in known.get("proven", ()):
        return ""
    ways = [f"{count:,} more {what}" for count, what in ((periods, run.periods()), (items, "items")) if count]
    saving = f"The {percent(seen)} of the {label(name)} policy"
    if not ways:
        return f"{saving} would not be proven by any sensible number of further {run.periods()} or items."
    return f"{saving} would be proven, with a chance of four in five, by {' or '.join(ways)} like these."


def describe_trust(run: Run) -> str:
    """Return where intervals cannot be trusted; "" where they can."""
    return str((run.manifest.get("intervals") or {}).get("note") or "").replace("_", " ")


def describe_bounds(run: Run) -> str:
    """Return what perfect information would save; "" where that says nothing."""
    bounds = run.comparison[run.comparison["kind"] == "bound"]
    said = [
        f"{label(row.policy)} would save {percent(row.saving)}"
        for row in rows_of(bounds)
        if row.saving < SHARE_THAT_SAYS_NOTHING
    ]
    return f"A bound, for scale: with the future known, {join_words(said)}; no policy can reach it." if said else ""


def _within(row: Any, columns: list[str]) -> str:
    return interval(row[columns[0]], row[columns[2]])
