"""The section of the comparison: its table, and how policies and the baseline came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .read import Run, rows_of
from .template import render_template
from .text import column, interval, label, number, percent


def comparison_section(run: Run) -> str:
    """Return the table of policies, and how they and the baseline came about."""
    table = run.comparison
    # Waste, revenue and salvage are costs, too, but in none of the three parts that the table shows.
    parts = table["holding"] + table["stockout"] + table["ordering"]
    other_costs = bool(((table["cost"] - parts).abs() > 1e-6 * (1 + table["cost"].abs())).any())
    return render_template(
        "comparison",
        run=run,
        rows=comparison_rows(run),
        other_costs=other_costs,
        policy_notes=policy_notes(run),
        baseline_sentence=describe_baseline(run),
    )


def comparison_rows(run: Run) -> list[dict[str, Any]]:
    """Return the comparison's cells as text, cheapest first; `role` is what a row stands for."""
    table = run.comparison.sort_values("cost", kind="stable")
    names = ["cost", "holding", "stockout", "ordering"]
    money = column(table[names].to_numpy().reshape(-1))
    units = {name: money[i :: len(names)] for i, name in enumerate(names)}
    units |= {"mean_on_hand": column(table["mean_on_hand"]), "volatility_ratio": column(table["volatility_ratio"], 3)}
    rows = []
    for i, row in enumerate(rows_of(table)):
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
