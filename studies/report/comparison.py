"""The section of the comparison: its tables, its folds, and how policies and the baseline came about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..advice import SAME
from .answer import has_simulated
from .read import Run, rows_of
from .savings import HELD_OUT, SIMULATED, draw_folds, followed, merge_alike
from .template import as_markup, render_template
from .text import capitalise, column, interval, join_words, label, number, percent

SEED = re.compile(r"^training seed \d+ of \d+: ")
"""What a note of one training seed begins with."""
ONE_SEED = re.compile(r"^(fold \d+: )?training seed \d+ of \d+: ")
"""Likewise, in one fold."""
FOLDS = ("policy", "fold", "seed", "saving")
"""Columns of `folds.parquet`."""


def comparison_section(run: Run) -> str:
    """Return the tables of policies, savings fold by fold, and how policies and the baseline came about."""
    table = run.comparison
    # Revenue and salvage are costs, too, but in none of the parts that the table shows.
    parts = table["holding"] + table["stockout"] + table["ordering"] + table.get("waste", 0.0)
    other_costs = bool(((table["cost"] - parts).abs() > 1e-6 * (1 + table["cost"].abs())).any())
    folds, drawn = comparison_figures(run).get("folds", pd.DataFrame()), None
    if len(folds):
        drawn = as_markup(draw_folds(folds, table, baseline=run.baseline, best=run.best))
    return render_template(
        "comparison",
        run=run,
        rows=comparison_rows(run),
        simulated=has_simulated(run),
        other_costs=other_costs,
        waste="waste" in table and bool(table["waste"].any()),
        alike=explain_alike(run),
        policy_notes=policy_notes(run),
        learning=describe_learning(run),
        folds=drawn,
        seeds=bool(len(folds)) and bool((folds.groupby(["policy", "fold"])["saving"].agg(np.ptp) > SAME).any()),
        fold_rows=fold_rows(run),
        policies_trained=run.manifest.get("backtest", {}).get("policies_trained"),
        baseline_sentence=describe_baseline(run),
    )


def comparison_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figure of folds is drawn from: none where there is one fold and one seed."""
    folds = run.frame("folds.parquet", FOLDS)
    if not len(folds) or (folds["fold"].nunique() < 2 and folds["seed"].nunique() < 2):
        return {}
    return {"folds": followed(folds, run.comparison, run.baseline)}


def comparison_rows(run: Run) -> list[dict[str, Any]]:
    """Return the comparison's cells as text, cheapest first, bounds last; policies alike in one row.

    `role` is what a row stands for: "baseline", "best", "bound" or "policy".
    """
    table = merge_alike(run.comparison.sort_values("cost", kind="stable"))
    table = pd.concat([table[table["kind"] == "policy"], table[table["kind"] != "policy"]])
    names = [name for name in ("cost", "holding", "stockout", "ordering", "waste") if name in table]
    money = column(table[names].to_numpy().reshape(-1))
    units = {name: money[i :: len(names)] for i, name in enumerate(names)}
    units |= {"mean_on_hand": column(table["mean_on_hand"]), "volatility_ratio": column(table["volatility_ratio"], 3)}
    rows = []
    for i, row in enumerate(rows_of(table)):
        role = "baseline" if run.baseline in row.policies else "bound" if row.kind == "bound" else "policy"
        others = [label(name) for name in row.policies if name != run.baseline]
        cells = row._asdict()
        rows.append(
            {
                "policies": [label(run.baseline), *others] if role == "baseline" else others,
                "role": "best" if run.best in row.policies and role == "policy" else role,
                **{name: texts[i] for name, texts in units.items()},
                "fill_rate": percent(row.fill_rate),
                "held_out": () if role == "baseline" else _saved(cells, HELD_OUT),
                "simulated": () if role == "baseline" else _saved(cells, SIMULATED),
                "seeds": _seeds(cells),
                "verdict": _verdict(cells, role),
            }
        )
    return rows


def _saved(cells: Mapping[str, Any], columns: list[str]) -> tuple[str, ...]:
    low, middle, high = (cells.get(name) for name in columns)
    return () if middle is None or pd.isna(middle) else (percent(middle), interval(low, high))


def _seeds(cells: Mapping[str, Any]) -> str:
    """Return how many training seeds a saving is the mean of, and how far they differ."""
    seeds, spread = cells.get("seeds"), cells.get("seed_sd")
    if not seeds or seeds < 2 or spread is None or pd.isna(spread):
        return ""
    return f"{int(seeds)} seeds, " + (f"± {percent(spread)}" if spread >= 0.0005 else "all alike")


def _verdict(cells: Mapping[str, Any], role: str) -> str:
    if role != "policy":
        return role
    sure = cells["proven"] if "proven" in cells else cells["saving_low"] > 0
    if sure and cells["saving"] > 0:
        return "proven"
    return "costs more" if cells["saving_high"] < 0 else "not proven"


def policy_notes(run: Run) -> list[tuple[str, str]]:
    """Return how each policy came about, its name and sentences, but for what `explain_alike` says."""
    said = {name for names in merge_alike(run.comparison)["policies"] if len(names) > 1 for name in names}
    notes = {
        name: [text for text in found if name not in said or text not in in_short(found)]
        for name, found in read_notes(run).items()
    }
    return [(label(name), "; ".join(found)) for name, found in notes.items() if found]


def read_notes(run: Run) -> dict[str, list[str]]:
    """Return what is known of how each policy came about; what holds for several training seeds is said once."""
    notes: Mapping[str, list[str]] = run.manifest.get("policy_notes") or {}
    return {name: list(dict.fromkeys(SEED.sub("", text) for text in found)) for name, found in notes.items()}


def in_short(notes: list[str]) -> list[str]:
    """Return what holds for all training seeds; everything where there is nothing of the kind."""
    return [text for text in notes if not ONE_SEED.match(text)] or notes


def explain_alike(run: Run) -> list[str]:
    """Return why policies placed the same orders, a sentence a group: what learned nothing better orders as others."""
    notes, sentences = {name: in_short(found) for name, found in read_notes(run).items()}, []
    for row in rows_of(merge_alike(run.comparison.sort_values("cost", kind="stable"))):
        if len(row.policies) < 2:
            continue
        why = [f"{capitalise(label(name))}: {'; '.join(notes[name])}." for name in row.policies if notes.get(name)]
        names = capitalise(join_words([label(name) for name in row.policies]))
        sentences.append(" ".join([f"{names} placed the same orders.", *why]))
    return sentences


def describe_learning(run: Run) -> str:
    """Return how much policies learned from, in a sentence; "" where the manifest does not say."""
    size, test = run.manifest.get("learning"), run.manifest.get("backtest", {})
    if not size:
        return ""
    refits = test.get("refits") or ()
    fits = (
        f", forecast by forecasters refitted {len(refits)} time{'s' * (len(refits) > 1)} along the way"
        if refits
        else ""
    )
    draws, simulated = size["history_paths"], size["simulated_paths"]
    beside = f" and {simulated} simulated one{'s' * (simulated > 1)} beside" if simulated else ""
    return (
        f"{size['items']:,} items × {size['periods']} {run.periods()}{fits}; {draws} path{'s' * (draws > 1)} of the "
        f"history{beside}: {size['item_periods']:,} item-{run.periods()} in all"
    )


def fold_rows(run: Run) -> list[dict[str, Any]]:
    """Return when the folds are and until when their forecasters were fitted; nothing where there is but one."""
    folds = run.manifest.get("backtest", {}).get("folds") or []
    return [dict(fold) for fold in folds] if len(folds) > 1 else []


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
