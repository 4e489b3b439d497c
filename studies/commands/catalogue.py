"""The content of `fractile list` and `fractile validate`: names with a line each, and the content of sound files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ...envs.gym.catalogue import SYSTEMS
from ...envs.gym.registration import ENVIRONMENTS
from ...forecasters.data.rules import LEVEL_RULES
from ...forecasters.registry import FORECASTERS
from ...policies.registry import POLICIES, TRAINED_BY
from ..config import DataConfig, DefaultsConfig
from ..data import check_arrivals, item_params, read_inputs


def list_names() -> dict[str, dict[str, str]]:
    """Return the forecasters, policies and environments, each with one line about it."""
    forecasters, policies = (
        {name: (inspect.getdoc(found) or "").partition("\n")[0] for name, found in registry.items()}
        for registry in (FORECASTERS, POLICIES)
    )
    environments = {name: SYSTEMS[system].description for name, system in ENVIRONMENTS.items()}
    return {"forecasters": forecasters, "policies": {**policies, **TRAINED_BY}, "environments": environments}


def names_text(names: Mapping[str, Mapping[str, str]]) -> str:
    """Return names as aligned lines under a title each."""
    width = max(len(name) for entries in names.values() for name in entries)
    blocks = [
        "\n".join([title, *(f"  {name:<{width}}  {line}" for name, line in entries.items())])
        for title, entries in names.items()
    ]
    return "\n\n".join(blocks)


def validate_files(data: DataConfig) -> dict[str, Any]:
    """Check a config's files and describe them: counts, the calendar, shares of zero and out-of-stock periods.

    Stock is checked against the lead times of the items file alone, and not at all where that has none.

    Raises:
        InputError: with the faults of all files.
    """
    inputs = read_inputs(data)
    panel, items, state = inputs.panel, inputs.items, inputs.state
    if items is not None:
        item_params(panel, items, DefaultsConfig())
        if state is not None and "lead_time" in items:
            check_arrivals(state, items["lead_time"].to_numpy(float))
    listed, share = panel.listed, panel.availability
    return {
        "items": panel.items,
        "periods": panel.periods,
        "freq": panel.freq,
        "first": panel.dates[0].date(),
        "last": panel.dates[-1].date(),
        "units": float(panel.sales[listed].sum()),
        "zero_share": float((panel.sales[listed] == 0).mean()),
        "out_of_stock_share": float((~panel.in_stock[listed]).mean()),
        "partly_in_stock_share": None if share is None else float(((share > 0) & ~panel.in_stock)[listed].mean()),
        "off_sale": int((listed.any(axis=1) & ~listed[:, -1]).sum()),
        "known": list(panel.known),
        "observed": list(panel.observed),
        "static": [str(column) for column in panel.static.columns],
        "own": [*(name for name in LEVEL_RULES if name in panel.static), *inputs.records],
        "items_with_attributes": None if items is None else len(items),
        "items_with_state": None if state is None else len(state),
        "notes": list(panel.notes),
    }


def files_text(found: Mapping[str, Any]) -> str:
    """Return the description of `validate_files` as text."""
    lines = [
        f"items         {found['items']:,}",
        f"periods       {found['periods']:,} ({found['freq']}), {found['first']} to {found['last']}",
        f"units sold    {found['units']:,.0f}",
        f"zero sales    {found['zero_share']:.1%} of item-periods",
        f"out of stock  {found['out_of_stock_share']:.1%} of item-periods",
    ]
    if found["partly_in_stock_share"]:
        lines[-1] += f", {found['partly_in_stock_share']:.1%} in stock in part"
    if found["off_sale"]:
        lines.append(f"off sale      {found['off_sale']:,} of the items at the end")
    columns = {"known ahead": found["known"], "observed": found["observed"], "attributes": found["static"]}
    columns["yours today"] = found["own"]  # a baseline, and no feature of a forecaster
    lines += [f"{title:<13} {', '.join(names)}" for title, names in columns.items() if names]
    if found["items_with_state"] is not None:
        lines.append(f"state         {found['items_with_state']:,} items")
    return "\n".join([*lines, *(f"note: {note}" for note in found["notes"]), "no faults"])
