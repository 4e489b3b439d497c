"""What a run left for the record: the next orders, the data, and how it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .read import Run
from .words import column, label, percent, tick

LISTED = 10
"""Orders that are listed."""


@dataclass(frozen=True)
class NextOrders:
    """The orders of the period behind the history's end.

    Attributes:
        sentence: whose they are, and how much is ordered.
        rows: cells of the first items, as text.
        more: items that are not listed.
    """

    sentence: str
    rows: list[dict[str, str]]
    more: int


def next_orders(run: Run) -> NextOrders | None:
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
        f"something of {(table['order'] > 0).sum():,} of {len(table):,} items."
    )
    shown = table.head(LISTED)
    cells = {
        "item": shown["item_id"].astype(str),
        "order": [tick(units) for units in shown["order"]],
        "target": column(shown["order_up_to"]),
        "level": [percent(level) for level in shown["critical_quantile"]],
    }
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return NextOrders(sentence, rows, len(table) - len(rows))


def interval_method(run: Run) -> str:
    """Say how the intervals were computed."""
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
    """Return what data were used, name and text."""
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
    tuned, warm, weeks = test.get("validation_periods"), test.get("warm_up_periods"), run.periods()
    rows = [
        ("command", made.get("command")),
        ("seed", made.get("seed")),
        ("created", made.get("created")),
        ("forecaster", made.get("forecaster")),
        ("validation", tuned and f"policies were tuned on the {tuned} {weeks} before the held-out ones"),
        ("warm-up", warm and f"{warm} {weeks} were simulated before the held-out ones, and do not count"),
        ("versions", ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items())),
    ]
    return [(name, str(text)) for name, text in rows if text is not None and text != ""]
