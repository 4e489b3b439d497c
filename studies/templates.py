"""Files for a user to fill in: a config with every key, its default and its meaning, and tables of the user's items.

The config is made from the models of its sections, so that it cannot differ from them. Cells that nobody can guess
(lead time, costs, stock) are left empty: what is not filled in is a fault that names the items, and no default.
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .assumptions import ASKED_FOR
from .config import StudyConfig

WIDTH = 116
"""Columns of comments."""
MOST_STEPS_UP = 2
"""Folders up that a relative path may go; a file further away is named by its absolute path."""
EXAMPLES = "embedded_"
"""Beginning of the keys of `[data]` that are for the embedded panel alone."""
HEAD = (
    "A study of your own sales. Each key stands with its default behind a '#': take the '#' away and write your value. "
    "Paths are relative to this file's folder."
)
COSTS_NOTE = (
    "Note: lead_time, holding_cost and stockout_cost are asked for in items.csv, item by item. A value here holds "
    "where the items file has no such column: take the empty column out of it then."
)


def config_template(given: Mapping[str, Any], examples: Mapping[str, Any] | None = None) -> str:
    r"""Return a commented config: every key with its meaning and its default, and what is given as values.

    Args:
        given: values by dotted key; all other keys are comments.
        examples: values by dotted key that stand in place of defaults, as comments.

    >>> template = config_template({"data.history": "sales.csv"})
    >>> print(*template.split("[data]")[1].splitlines()[1:4], sep="\n")
    # Which files, and how to read them; without a history the embedded panel is used.
    # history: sales by item and date, CSV or Parquet. [the path of a file]
    history = "sales.csv"
    """
    blocks = [_comment(HEAD)]
    fields = StudyConfig.model_fields
    sections = {name: model for name, field in fields.items() if (model := _section_of(field)) is not None}
    keys = {name: field for name, field in fields.items() if name not in sections}
    blocks.append(_section(StudyConfig, "", keys, given, examples or {}))
    for name, model in sections.items():
        chosen = {key: field for key, field in model.model_fields.items() if not key.startswith(EXAMPLES)}
        said = _comment(COSTS_NOTE) + "\n" if name == "defaults" else ""
        text = _comment(_summary(model))
        blocks.append(f"[{name}]\n{text}\n{said}{_section(model, f'{name}.', chosen, given, examples or {})}")
    return "\n\n".join(blocks) + "\n"


def items_template(item_ids: Sequence[str], known: pd.DataFrame | None, given: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of items with empty cells for the lead time and the costs that are not known.

    Args:
        item_ids: of the history.
        known: columns that are there already, a row an item in the same order, or None.
        given: values that hold for all items, by column.
    """
    table = pd.DataFrame({"item_id": list(item_ids)}) if known is None else known.reset_index(drop=True)
    has_margin = {"price", "unit_cost"} <= set(table.columns)
    for name in ("lead_time", "holding_cost", "stockout_cost"):
        if name not in table and not (name == "stockout_cost" and has_margin and name not in given):
            table[name] = given.get(name, np.nan)
    return table


def state_template(item_ids: Sequence[str], lead_time: int | None) -> pd.DataFrame:
    """Return a table of stock with empty cells: on hand, and what arrives at the start of each period to come.

    Args:
        item_ids: of the history.
        lead_time: the longest one, periods; None where it is not known: one column of arrivals.
    """
    arrivals = [f"arriving_{k}" for k in range(1, 1 + (1 if lead_time is None else lead_time))]
    return pd.DataFrame({"item_id": list(item_ids), **{name: np.nan for name in ("on_hand", *arrivals)}})


def empty_cells(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table that lack values and are to be filled in."""
    asked = (*ASKED_FOR, "on_hand", *(str(name) for name in table if str(name).startswith("arriving_")))
    return [name for name in dict.fromkeys(asked) if name in table and bool(table[name].isna().any())]


def relative(path: Path, folder: Path) -> str:
    """Return a path as it is named from a folder: relative to it where they are near, absolute elsewhere."""
    try:
        near = Path(os.path.relpath(path.absolute(), folder.absolute()))
    except ValueError:  # another drive
        return path.absolute().as_posix()
    return (path.absolute() if near.parts.count("..") > MOST_STEPS_UP else near).as_posix()


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what each key of a section means, by the section's documentation."""
    block = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", block, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _summary(model: type[BaseModel]) -> str:
    """Return what a section is about, by the first line of its documentation without its name."""
    first = (inspect.getdoc(model) or "").partition("\n")[0]
    text = re.sub(r"^`\[\w+\]`: ", "", first)
    return text[:1].upper() + text[1:]


def _section(
    model: type[BaseModel],
    prefix: str,
    keys: Mapping[str, FieldInfo],
    given: Mapping[str, Any],
    examples: Mapping[str, Any],
) -> str:
    said, lines = meanings(model), []
    for name, field in keys.items():
        default = examples.get(prefix + name, field.get_default(call_default_factory=True))
        lines.append(_comment(f"{name}: {_plain(said[name])} [{field.description or _rule(field)}]"))
        if prefix + name in given:
            lines.append(_assign(name, given[prefix + name]))
        elif default is None:
            lines.append(f"# {name} =  # not set")
        else:
            lines.append(f"# {_assign(name, default)}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a meaning in words of a config file, in which nothing is called None, and without a formula's symbol."""
    text = re.sub(r" \[\w\]$", "", text)
    return text.replace("; None: ", "; not set: ").replace("None ", "not set ").replace(" where None", " where not set")


def _rule(field: FieldInfo) -> str:
    found = [meta.description for meta in field.metadata if getattr(meta, "description", None)]
    return str(found[-1]) if found else ""


def _assign(name: str, value: Any) -> str:
    """Return a line of TOML, tables and lists on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(_assign(f'"{key}"', each) for key, each in value.items())
        return f"{name} = {{{inner}}}" if inner else f"{name} = {{}}"
    if isinstance(value, list | tuple):
        return f"{name} = [{', '.join(_literal(each) for each in value)}]"
    return f"{name} = {_literal(value)}"


def _literal(value: Any) -> str:
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _comment(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False))


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a section; None for a key."""
    model: Any = field.annotation
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None
