"""What a study took for granted: costs, lead times and order rules, and where each of them comes from.

A saving in money is only as good as the costs that it is counted in. What nobody gave is a default of Fractile's, and
is to be seen as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..envs.core.params import ItemParams
from .config import StudyConfig
from .data import StudyData
from .report.text import join_words, number, percent, tick

Source = Literal["items", "panel", "config", "default"]
SYMBOLS = {
    "lead_time": "L",
    "review_period": "R",
    "holding_cost": "h",
    "stockout_cost": "b",
    "fixed_order_cost": "K",
    "pack_size": "",
    "minimum_order": "",
    "maximum_order": "",
    "shelf_life": "m",
}
"""Parameters of items and their symbols, as they are listed."""
RULES = ("pack_size", "minimum_order", "maximum_order", "shelf_life")
"""Parameters that may be absent: no such rule holds then."""
ASKED_FOR = ("holding_cost", "stockout_cost", "lead_time")
"""Parameters that no result means anything without; every command that decides says where they are defaults."""


@dataclass(frozen=True)
class Assumption:
    """One thing that a study took for granted.

    Attributes:
        name: the key of `[defaults]`, or the column of the items file.
        symbol: in formulas, or "".
        low: its smallest value over the items; None where there is no such rule.
        high: its largest value.
        value: a text in place of numbers, e.g. "lost"; None where there are numbers.
        source: "items": the items file; "panel": the embedded panel; "config": the config file or an option;
            "default": nobody gave it.
    """

    name: str
    symbol: str
    low: float | None
    high: float | None
    value: str | None
    source: Source

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Assumption:
        """Return the assumption that a manifest keeps."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    def to_record(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        return asdict(self)

    @property
    def by_default(self) -> bool:
        """Whether nobody gave it, though the result depends on it."""
        return self.source == "default" and self.name not in RULES

    def describe(self) -> str:
        """Return the value for readers.

        >>> Assumption("holding_cost", "h", 0.2, 0.2, None, "default").describe()
        '0.2'
        >>> Assumption("lead_time", "L", 1.0, 3.0, None, "items").describe()
        '1 to 3'
        """
        if self.value is not None:
            return {"lost": "lost", "backorder": "backordered"}.get(self.value, self.value)
        if self.low is None or self.high is None:
            return "none"
        if self.name == "unmet_demand":
            return f"{percent(self.low, 0)} lost, the rest backordered"
        low, high = (number(v) if math.isinf(v) else tick(float(f"{v:.4g}")) for v in (self.low, self.high))
        return low if low == high else f"{low} to {high}"


def list_assumptions(config: StudyConfig, data: StudyData) -> tuple[Assumption, ...]:
    """Return what a study takes for granted of its items, each with its source.

    Args:
        config: of the study; what its `[defaults]` were given counts as given, whatever the value.
        data: of the study.
    """
    return assumptions_of(config, data.params, data.items)


def assumptions_of(config: StudyConfig, params: ItemParams, items: pd.DataFrame | None) -> tuple[Assumption, ...]:
    """Return what is taken for granted of items, each with its source.

    Args:
        config: as in `list_assumptions`.
        params: of the items.
        items: a row an item, or None.
    """
    given = config.defaults.model_fields_set if "defaults" in config.model_fields_set else set()
    table = pd.DataFrame() if items is None else items
    own_source: Source = "items" if config.data.history is not None else "panel"
    found = []
    for name, symbol in SYMBOLS.items():
        source: Source = "config" if name in given else "default"
        if _has_own(table, name):
            source = own_source
        values = getattr(params, name)
        low = high = None
        if values is not None:
            low, high = float(np.min(values)), float(np.max(values))
        found.append(Assumption(name, symbol, low, high, None, source))
    if {"price", "unit_cost"} <= set(table.columns) and np.isclose(
        table.get("stockout_cost", np.nan), table["price"] - table["unit_cost"]
    ).any():
        for name in ("price", "unit_cost"):  # charged through the stock-out cost, their difference
            found.append(_listed(name, table[name], own_source))
    if _has_own(table, "waste_cost") or params.shelf_life is not None:
        source = own_source if _has_own(table, "waste_cost") else "default"
        found.append(_listed("waste_cost", params.waste_cost, source))
    if _has_own(table, "salvage_value"):
        found.append(_listed("salvage_value", params.salvage_value, own_source))
    unmet = params.unmet_demand
    text = unmet if isinstance(unmet, str) else None
    share = None if text else float(np.max(np.asarray(unmet, dtype=float)))
    source = "config" if "unmet_demand" in given else "default"
    found.insert(5, Assumption("unmet_demand", "", share, share, text, source))
    return tuple(found)


def _listed(name: str, values: Any, source: Source) -> Assumption:
    return Assumption(name, "", float(np.nanmin(values)), float(np.nanmax(values)), None, source)


def _has_own(table: pd.DataFrame, name: str) -> bool:
    """Return whether a table of items has values of a parameter; of the stock-out cost, the margin is one."""
    if name in table:
        return bool(table[name].notna().any())
    return name == "stockout_cost" and {"price", "unit_cost"} <= set(table.columns)


def describe_defaults(assumptions: Sequence[Assumption]) -> str:
    """Return which costs and lead times nobody gave, and how to give them, in one line; "" where all were given.

    >>> describe_defaults([Assumption("lead_time", "L", 1.0, 1.0, None, "default")])
    "lead_time 1 is Fractile's default, not yours: give --lead-time, or columns of the items file (fractile init \
writes one)"
    """
    found = {a.name: a.describe() for a in assumptions if a.source == "default" and a.name in ASKED_FOR}
    if not found:
        return ""
    names = [name for name in ASKED_FOR if name in found]
    values = join_words([f"{name} {found[name]}" for name in names])
    flags = join_words([f"--{name.replace('_', '-')}" for name in names])
    are = "are Fractile's defaults" if len(names) > 1 else "is Fractile's default"
    return f"{values} {are}, not yours: give {flags}, or columns of the items file (fractile init writes one)"


def assumption_record(assumptions: Sequence[Assumption]) -> dict[str, Any]:
    """Return what a manifest keeps of assumptions: `assumptions`, and `assumed`, the line of `describe_defaults`."""
    return {"assumptions": [a.to_record() for a in assumptions], "assumed": describe_defaults(assumptions)}


def assumed_in_run(record: Mapping[str, Any], items: pd.DataFrame | None = None) -> str:
    """Return the line of `describe_defaults` of a kept run.

    Args:
        record: the run's manifest.
        items: the table of items that is used now, in place of the run's; what it has was given.
    """
    found = [Assumption.from_record(each) for each in record.get("assumptions") or ()]
    return describe_defaults([a for a in found if items is None or not _has_own(items, a.name)])


def begin_with(assumed: str, text: str) -> str:
    """Return a command's text with what nobody gave on its first line, where there is such a thing."""
    return f"{assumed}\n\n{text}" if assumed else text
