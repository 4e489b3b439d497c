"""The content of `fractile validate`: what sound files hold, and what of it is suspicious."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ...errors import Faults, FractileError, InputError
from ...files import inside
from ...forecasters.data.panel import Inputs
from ...forecasters.data.rules import LEVEL_RULES
from ..assumptions import assumed_in_run, assumptions_of, describe_defaults
from ..config import DefaultsConfig, StudyConfig, read_toml
from ..data import check_arrivals, item_params, read_inputs
from ..folder import read_manifest
from ..run_items import item_ids_of
from ..suspicious import compare_with_run, find_suspicious

READING = ("freq", "missing", "known", "columns")
"""Keys of `[data]` that say how files are read."""


def validate_files(config: StudyConfig, run: Path | None = None) -> dict[str, Any]:
    """Check a config's files and describe them: counts, the calendar, shares of zero and out-of-stock periods.

    Stock is checked against the lead times of the items file or of `[defaults]`, and not at all where neither has any.

    Args:
        config: names the files.
        run: folder of a kept run that the history is compared with, or None.

    Raises:
        InputError: with the faults of all files.
    """
    record = None if run is None else read_manifest(run)
    config = config if run is None else _as_in_run(config, run)
    inputs = read_inputs(config.data)
    panel, items, state = inputs.panel, inputs.items, inputs.state
    faults, params = Faults(), None
    try:
        params = item_params(panel, items, config.defaults)
    except FractileError as error:
        for fault in error.faults if isinstance(error, InputError) else (str(error),):
            faults.add(fault)
    _check_stock(inputs, config, faults)
    faults.raise_if_any()
    suspicious = []
    if params is not None:
        given = assumptions_of(config, params, items)
        assumed = describe_defaults(given) if record is None else assumed_in_run(record, items)
        suspicious += find_suspicious(inputs, params, config, assumed)
    if run is not None and record is not None:
        suspicious += compare_with_run(panel, record, item_ids_of(run, record))
    listed, share = panel.listed, panel.availability
    known = {oddity.text for oddity in suspicious}
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
        "notes": [note for note in panel.notes if note not in known],
        "suspicious": [{"code": oddity.code, "text": oddity.text} for oddity in suspicious],
    }


def _as_in_run(config: StudyConfig, run: Path) -> StudyConfig:
    """Return a config that reads files, and fills in costs, as a kept run did, where nothing else was given."""
    path = inside(run, "config.toml")
    raw = read_toml(path)  # of a run of unknown origin: what names code of its own is left out
    try:
        then = StudyConfig.from_mapping({name: raw[name] for name in ("data", "defaults") if name in raw})
    except InputError as error:
        raise InputError(f"{path}: {fault}" for fault in error.faults) from None
    given = config.data.model_fields_set
    reading = {f"data.{name}": getattr(then.data, name) for name in READING if name not in given}
    own = {
        f"defaults.{name}": getattr(then.defaults, name)
        for name in DefaultsConfig.model_fields
        if name not in config.defaults.model_fields_set
    }
    return config.with_overrides({key: value for key, value in (reading | own).items() if value is not None})


def _check_stock(inputs: Inputs, config: StudyConfig, faults: Faults) -> None:
    """Add a fault where something arrives later than the lead times that were given allow."""
    items, state = inputs.items, inputs.state
    if state is None:
        return
    lead_time: ArrayLike
    if items is not None and "lead_time" in items:
        lead_time = items["lead_time"].to_numpy(float)
    elif "lead_time" in config.defaults.model_fields_set:
        lead_time = config.defaults.lead_time
    else:
        return
    try:
        check_arrivals(state, lead_time)
    except InputError as error:
        for fault in error.faults:
            faults.add(fault)


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
    lines += [f"note: {note}" for note in found["notes"]]
    if found["suspicious"]:
        lines += ["suspicious:", *(f"  {each['code']}: {each['text']}" for each in found["suspicious"])]
    return "\n".join([*lines, "no faults"])
