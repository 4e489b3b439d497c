"""The sections of single items: demand, stock and orders of a few, and which items cost more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from . import figures as plots
from .read import Run
from .template import as_markup, render_template
from .text import label, money, number, percent

if TYPE_CHECKING:
    from markupsafe import Markup

LISTED = 5
"""Items listed at either end."""
SAME = 1e-9
"""Costs that differ by less are the same."""


@dataclass(frozen=True)
class ItemPicture:
    """The figure of one item.

    Attributes:
        item: its id.
        facts: its saving, lead time and critical ratio.
        svg: the figure.
    """

    item: str
    facts: str
    svg: Markup


def items_section(run: Run) -> str:
    """Return the figures of a few items, and the items whose cost rises or falls most."""
    changes = compare_items(run)
    savings = plots.draw_item_savings(changes.saving, period=run.periods(1)) if changes else ""
    return render_template(
        "items", run=run, items=list(_pictures(run, changes)), worse_off=changes, item_savings=as_markup(savings)
    )


def items_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return the items' savings, and the series and forecasts of those drawn."""
    changes, drawn = compare_items(run), drawn_items(run)
    shown = run.trajectories["item_id"].isin(drawn) & run.trajectories["policy"].isin([run.baseline, run.best])
    return {
        "item_savings": pd.DataFrame() if changes is None else changes.saving.rename("saving").reset_index(),
        "item_series": run.trajectories[shown],
        "item_forecasts": run.fans[run.fans["item_id"].isin(drawn)],
    }


def drawn_items(run: Run) -> list[Any]:
    """Return the items that the run kept forecasts or history of, under both policies that are drawn."""
    under = run.trajectories.groupby("item_id", sort=False)["policy"].agg(set)
    named = dict.fromkeys([*run.fans["item_id"], *run.history["item_id"]])
    return [item for item in named if item in under.index and {run.baseline, run.best} <= under[item]]


def _pictures(run: Run, changes: ItemChanges | None) -> Iterator[ItemPicture]:
    drawn = drawn_items(run)
    paths = run.trajectories[run.trajectories["item_id"].isin(drawn)]
    for i, item in enumerate(drawn):
        fan = run.fans[run.fans["item_id"] == item]
        svg = plots.draw_item(
            f"item{i}",
            paths[paths["item_id"] == item],
            fan[fan["origin_date"] == fan["origin_date"].min()],
            run.history[run.history["item_id"] == item],
            baseline=run.baseline,
            best=run.best,
            period=run.periods(1),
        )
        yield ItemPicture(str(item), describe_item(run, changes, item), as_markup(svg))


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
    currency = run.manifest.get("currency")
    costs = kept.pivot_table(index="item_id", columns="policy", values="cost", aggfunc="mean")
    saving = (costs[run.baseline] - costs[run.best]).sort_values(kind="stable")
    losing, gaining = saving[saving < -SAME], saving[saving > SAME]
    more, less = (money(total, currency, 4) for total in (-losing.sum(), gaining.sum()))
    sentence = (
        f"Under {label(run.best)}, {len(losing)} of {len(saving)} items ({percent(len(losing) / len(saving), 0)}) "
        f"cost more than under the {label(run.baseline)}: together {more} a {run.periods(1)} more. "
        f"{len(gaining)} cost less: together {less} less."
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
    change, currency = float(changes.saving[item]), run.manifest.get("currency")
    amount = money(abs(change), currency)
    verb = f"saves {amount}" if change >= 0 else f"costs {amount} more"
    return "; ".join(filter(None, [f"{verb} a {run.periods(1)}", about]))


def _about(facts: pd.DataFrame, item: Any) -> str:
    if item not in facts.index:
        return ""
    row: Any = facts.loc[item]
    shown = {"lead_time": "lead time {}", "critical_ratio": "critical ratio {}"}
    return ", ".join(t.format(f"{float(row[c]):.3g}") for c, t in shown.items() if c in facts)
