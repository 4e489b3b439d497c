"""The section of the next orders."""

from __future__ import annotations

from dataclasses import dataclass

from .read import Run
from .template import render_template
from .text import column, label, percent, tick

LISTED_ORDERS = 10


def orders_section(run: Run) -> str:
    """Return the next orders, or why there are none."""
    return render_template("orders", orders=summarise_orders(run))


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
