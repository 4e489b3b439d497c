"""The section of the next orders."""

from __future__ import annotations

from dataclasses import dataclass

from .answer import read_advice
from .read import Run
from .template import render_template
from .text import column, percent, the_policy, tick

LISTED_ORDERS = 10


def orders_section(run: Run) -> str:
    """Return the next orders, or why there are none."""
    return render_template("orders", orders=summarise_orders(run), own=run.manifest.get("policy") == "own_orders")


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
    last = run.manifest.get("data", {}).get("last_date")
    when = f" for the {run.periods(1)} after that of {last}" if last else f" for the next {run.periods(1)}"
    policy, why = _ordering_policy(run)
    sentence = (
        f"By {the_policy(policy)}, {why}: {tick(table['order'].sum())} units in all{when}; "
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


def _ordering_policy(run: Run) -> tuple[str, str]:
    """Return the policy that the orders are by, and whether it is proven."""
    if "advice" in run.manifest:
        advice = read_advice(run)
        if advice.action == "switch":
            return advice.policy, "whose saving is proven"
        return advice.policy, "the baseline, since no saving is proven"
    # Runs of before there was advice ordered with the cheapest policy, proven or not.
    policies = run.comparison[run.comparison["kind"] == "policy"].sort_values("cost", kind="stable")
    cheapest, low = str(policies["policy"].iloc[0]), float(policies["saving_low"].iloc[0])
    if cheapest == run.baseline:
        return cheapest, "the baseline and the cheapest one"
    return cheapest, "the cheapest one, whose saving is " + ("proven" if low > 0 else "not proven")
