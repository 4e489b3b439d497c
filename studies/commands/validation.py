"""What `fractile validate` finds in sound input; faults are raised, all together, by the loading itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...forecasters.data.panel import Inputs, load_inputs

if TYPE_CHECKING:
    from ..config import DataConfig


def read_inputs(data: DataConfig) -> Inputs:
    """Return the files that a config names, checked together.

    Raises:
        InputError: with the faults of all files.
    """
    if data.history is None:
        raise InputError(["data.history: is missing; name a file of sales (--history)"])
    return load_inputs(
        data.history,
        data.items,
        data.state,
        freq=data.freq,
        missing=data.missing,
        columns=data.columns,
        known=data.known,
    )


def found_in(data: DataConfig) -> dict[str, Any]:
    """Return what a config's files hold: counts, the calendar, shares of zero and out-of-stock periods."""
    inputs = read_inputs(data)
    if inputs.state is not None and inputs.items is not None and "lead_time" in inputs.items:
        from ..data import item_params, read_stock
        from ..sections import DefaultsConfig

        read_stock(inputs.state, item_params(inputs.panel, inputs.items, DefaultsConfig()))
    panel = inputs.panel
    listed = panel.listed
    return {
        "items": panel.items,
        "periods": panel.periods,
        "freq": panel.freq,
        "first": panel.dates[0].date(),
        "last": panel.dates[-1].date(),
        "units": float(panel.sales[listed].sum()),
        "zero_share": float((panel.sales[listed] == 0).mean()),
        "out_of_stock_share": float((~panel.in_stock[listed]).mean()),
        "known": list(panel.known),
        "observed": list(panel.observed),
        "static": [str(column) for column in panel.static.columns],
        "items_with_attributes": None if inputs.items is None else len(inputs.items),
        "items_with_state": None if inputs.state is None else len(inputs.state),
        "notes": list(panel.notes),
    }


def described(found: dict[str, Any]) -> str:
    """Return `found_in`'s counts as text."""
    lines = [
        f"items         {found['items']:,}",
        f"periods       {found['periods']:,} ({found['freq']}), {found['first']} to {found['last']}",
        f"units sold    {found['units']:,.0f}",
        f"zero sales    {found['zero_share']:.1%} of item-periods",
        f"out of stock  {found['out_of_stock_share']:.1%} of item-periods",
        *_listed("known ahead  ", found["known"]),
        *_listed("observed     ", found["observed"]),
        *_listed("attributes   ", found["static"]),
        *(f"state         {n:,} items" for n in [found["items_with_state"]] if n is not None),
        *(f"note: {note}" for note in found["notes"]),
    ]
    return "\n".join([*lines, "no faults"])


def _listed(title: str, names: list[str]) -> list[str]:
    return [f"{title} {', '.join(names)}"] if names else []
