"""What `fractile init` writes: a config, the user's items without what only the user knows, and a state to fill in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from .assumptions import ASKED_FOR
from .config import StudyConfig
from .data import read_inputs
from .folder import replace_file, write_frame
from .templates import config_template, empty_cells, items_template, relative, state_template

CONFIG, ITEMS, STATE, HISTORY = "fractile.toml", "items.csv", "state.csv", "history.csv"
ARRIVALS = (
    "arriving_1 is what arrives at the start of the next period, arriving_2 one period later, …: a column for each "
    "period of the longest lead time"
)
READING = ("freq", "missing", "known", "columns")
"""Keys of `[data]` that say how the history is read."""


@dataclass(frozen=True, eq=False)
class Starter:
    """Files to write.

    Attributes:
        folder: where to.
        config: text of the config.
        tables: by file name, what is to be filled in.
        history: the history of the items, as the config names it from the working folder.
        items: items that the tables have.
    """

    folder: Path
    config: str
    tables: Mapping[str, pd.DataFrame]
    history: Path
    items: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, the config first."""
        return (self.folder / CONFIG, *(self.folder / name for name in self.tables))

    @property
    def fill(self) -> dict[str, list[str]]:
        """By file, the columns with empty cells."""
        found = {str(self.folder / name): empty_cells(table) for name, table in self.tables.items()}
        return {name: columns for name, columns in found.items() if columns}

    @property
    def commands(self) -> list[str]:
        """What to type next, in order."""
        config, state, history = (
            shlex.quote(str(path)) for path in (self.folder / CONFIG, self.folder / STATE, self.history)
        )
        return [
            f"fractile validate {config} --state {state}",
            f"fractile study {config}",
            f"fractile train {config} --out runs/kept",
            f"fractile order --run runs/kept --history {history} --state {state} --out orders.csv",
        ]

    def to_document(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"written": list(self.paths), "items": self.items, "fill": self.fill, "next": self.commands}

    def to_text(self) -> str:
        """Return what was written, what is to be filled in, and what to type next."""
        lines = [f"Written: {', '.join(map(str, self.paths))} ({self.items} items)"]
        if not self.items:
            made = f"`fractile import FILE --out {self.history}` makes one"
            lines.append(f"Fill in: {self.history} (item_id, date, sales; {made}), and a row an item in the tables")
        lines += [f"Fill in: {name}: {', '.join(columns)}" for name, columns in self.fill.items()]
        if "arriving_1" in self.tables[STATE]:
            lines.append(ARRIVALS)
        return "\n".join([*lines, "Then:", *(f"  {command}" for command in self.commands)])


def plan_starter(config: StudyConfig, folder: Path) -> Starter:
    """Return the files for a config's history, or for no history yet.

    Args:
        config: names the history, if there is one, an items file whose columns are taken over, and how to read them;
            lead time and costs that `[defaults]` gives are filled in for every item.
        folder: to write to.

    Raises:
        InputError: with the faults of the files.
    """
    data, defaults = config.data, config.defaults
    costs = {name: getattr(defaults, name) for name in ASKED_FOR if name in defaults.model_fields_set}
    item_ids: tuple[str, ...] = ()
    known = None
    if data.history is not None:
        inputs = read_inputs(data)
        item_ids, known = inputs.panel.item_ids, inputs.items
    items = items_template(item_ids, known, costs)
    longest = int(items["lead_time"].max()) if items["lead_time"].notna().any() else None
    tables = {ITEMS: items, STATE: state_template(item_ids, longest)}
    own_items = data.items
    if known is not None and list(items.columns) == list(known.columns):
        del tables[ITEMS]  # nothing is missing from the user's own
    else:
        own_items = folder / ITEMS
    history = folder / HISTORY if data.history is None else data.history
    given: dict[str, Any] = {
        "data.history": relative(history, folder),
        "data.items": relative(Path(str(own_items)), folder),
    }
    read = data.model_dump(mode="json", include=set(READING) & data.model_fields_set)
    given |= {f"data.{name}": value for name, value in read.items() if value is not None}
    text = config_template(given, {"data.state": STATE, "name": config.name if data.history else folder.resolve().name})
    return Starter(folder, text, tables, Path(relative(history, Path())), len(item_ids))


def write_starter(starter: Starter) -> None:
    """Write the files of a starter.

    Raises:
        InputError: names each file that is there already; nothing is written then.
    """
    there = [path for path in starter.paths if path.exists() or path.is_symlink()]
    if starter.folder.exists() and not starter.folder.is_dir():
        raise InputError([f"--out: {starter.folder} is a file; name a folder"])
    if there:
        remedy = "give --out another folder, or move it away"
        raise InputError(f"{path}: is there already, and nothing is overwritten; {remedy}" for path in there)
    folder = Path(os.path.abspath(starter.folder))
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / CONFIG, lambda path: path.write_text(starter.config, encoding="utf-8", newline="\n"))
        for name, table in starter.tables.items():
            # Spreadsheets take letters beyond ASCII for those of another encoding unless a mark at the start says
            # UTF-8.
            write_frame(folder / name, table, "utf-8" if table.to_csv().isascii() else "utf-8-sig")
    except BaseException:  # all files or none
        for path in starter.paths:
            path.unlink(missing_ok=True)  # none was there before
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise
