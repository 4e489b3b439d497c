"""Whether a run folder is what its run wrote: checksums of its files, and the shape of its manifest.

Checksums find damage: a flipped bit, a file cut short, one of another run. They are no signature: whoever changes a
file on purpose can write a hash that fits. So whatever a file says is checked again where it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FractileError, InputError
from ..files import inside
from ..forecasters.data.parquet import read_parquet
from ..parts import sha256

if TYPE_CHECKING:
    import pandas as pd

CHECKSUMS, OWN = "sha256", "checksum"
"""Keys of a manifest: the hashes of its run's files, and its own hash."""
REWRITTEN = ("manifest.json", "orders.csv", "orders.parquet", "report.html", "lineage.html", "impact.html")
"""Files of a run that are written anew after it, and have no hash."""
FIGURES = "figures"
"""Folder of figures' data, likewise."""
ITEM_IDS = "item_ids.parquet"
"""File of the items' ids, where they are too many for a manifest."""
ORDERING = ("config.toml", "models", ITEM_IDS)
"""What orders of a kept run are made from."""
REMEDY = "copy the run folder anew from where it was made, or make the run again"


def with_checksums(folder: Path, record: Mapping[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Return a manifest with the hash of each file that stays as it is, and with its own.

    Args:
        folder: of the run.
        record: the manifest.
        files: of the run, by their paths within the folder.
    """
    kept = [name for name in files if _is_fixed(name) and (folder / name).is_file()]
    found = {**record, CHECKSUMS: {name: sha256(folder / name) for name in kept}}
    found.pop(OWN, None)
    return {**found, OWN: _hash(found)}


def check_manifest(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without its own hash, where it is as it was written.

    Args:
        path: of the file, for messages.
        record: its content.

    Raises:
        InputError: where the hash is another one, or a key holds what it cannot hold.
    """
    found = {key: value for key, value in record.items() if key != OWN}
    if (OWN in record) != (CHECKSUMS in record) or record.get(OWN, "") not in ("", _hash(found)):
        raise InputError([f"{path}: is not as it was written (its SHA-256 differs); {REMEDY}"])
    faults = [f"{path}: {name} {rule}, got {_short(value)}; {REMEDY}" for name, rule, value in _faults(found, KINDS)]
    if faults:
        raise InputError(faults)
    return found


def check_files(folder: Path, record: Mapping[str, Any], wanted: Iterable[str] | None = None) -> None:
    """Compare the files of a run with their hashes, all at once.

    A run of a version before 0.3 has no hashes: of its files no more is checked than that they stay in the folder.

    Args:
        folder: of the run.
        record: its manifest.
        wanted: files and folders that are to be used, by their paths within it; None: all that is listed, but models.

    Raises:
        InputError: names every file that is missing, not as it was written, a link out of the folder or no file.
    """
    listed: Mapping[str, str] = record.get(CHECKSUMS) or {}
    faults = []
    below = tuple(wanted or ())
    for name in below:
        faults += _fault(folder, name, None)
    for name, known in listed.items():
        used = any(name == start or name.startswith(f"{start}/") for start in below)
        if used or (wanted is None and not name.startswith("models/")):
            faults += _fault(folder, name, known)
    if faults:
        raise InputError(dict.fromkeys(faults))


def read_table(folder: Path, name: str, remedy: str = "make the run again") -> pd.DataFrame:
    """Return a table of a run, Parquet or CSV.

    Args:
        folder: of the run.
        name: of the file, by its path within the folder.
        remedy: what to do where it cannot be read.

    Raises:
        FractileError: where it leads out of the folder, is damaged, or too large for this machine.
    """
    import pandas as pd

    path = inside(folder, name)
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, converters={"item_id": str})
        return read_parquet(path)
    except (Exception, MemoryError) as fault:  # whatever the reader of a damaged file raises
        raise FractileError(f"{path}: cannot be read ({fault}); {remedy}") from None


def _fault(folder: Path, name: str, known: str | None) -> list[str]:
    try:
        path = inside(folder, name)
        if known is None:
            return []
        if not path.is_file():
            return [f"{path}: is missing; {REMEDY}"]
        return [] if sha256(path) == known else [f"{path}: is not as it was written (its SHA-256 differs); {REMEDY}"]
    except (FractileError, OSError) as fault:
        return [str(fault)]


def _is_fixed(name: str) -> bool:
    return name not in REWRITTEN and not name.startswith(f"{FIGURES}/")


def _hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


Kind = Callable[[Any], bool]
Rule = tuple[str, Kind]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_item_ids(value: Any) -> bool:
    return _texts(value) or value == {"file": ITEM_IDS}


def _are_assumptions(value: Any) -> bool:
    if not _records(value):
        return False
    texts = all(isinstance(each.get(key), str) for each in value for key in ("name", "symbol", "source"))
    return texts and all(
        {"low", "high", "value"} <= set(each)
        and all(each[key] is None or _is_number(each[key]) for key in ("low", "high"))
        and (each["value"] is None or isinstance(each["value"], str))
        for each in value
    )


def _mapping_of(kind: Kind) -> Kind:
    return lambda value: isinstance(value, dict) and all(map(kind, value.values()))


def _records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _or_none(kind: Kind) -> Kind:
    return lambda value: value is None or kind(value)


TEXT: Rule = ("must be a text", lambda value: isinstance(value, str))
TEXTS: Rule = ("must be a list of texts", _texts)
COUNT: Rule = ("must be a whole number >= 0", _is_count)
NUMBER: Rule = ("must be a number", _is_number)
DAY: Rule = ("must be a day, e.g. 2024-01-29", _is_day)
RECORD: Rule = ("must be a table", lambda value: isinstance(value, dict))
RECORDS: Rule = ("must be a list of tables", _records)
KINDS: Mapping[str, Rule] = {
    **dict.fromkeys(("name", "command", "created", "kind", "status", "policy", "baseline", "forecaster"), TEXT),
    **dict.fromkeys(("baseline_rule", "assumed", "advice.sentence", "choice.sentence", "environment"), TEXT),
    **dict.fromkeys(("data.source", "data.freq", "advice.action", "advice.policy", "advice.candidate"), TEXT),
    **dict.fromkeys(("files", "timeline", "data.notes", "config_policies"), TEXTS),
    **dict.fromkeys(("seed", "data.items", "data.periods", "backtest.periods", "backtest.validation_periods"), COUNT),
    **dict.fromkeys(("backtest.warm_up_periods", "backtest.learning_periods", "backtest.simulated_histories"), COUNT),
    **dict.fromkeys(("data.first_date", "data.last_date", "backtest.first_date", "backtest.last_date"), DAY),
    **dict.fromkeys(("data", "backtest", "advice", "choice", "sweep", "settings", "reference", "options"), RECORD),
    **dict.fromkeys(("warnings", "backtest.folds"), RECORDS),
    **dict.fromkeys(("blocks.items", "blocks.sample", "blocks.blocks"), COUNT),
    **{"blocks": RECORD, "blocks.notes": TEXTS},
    "data.item_ids": ("must be a list of texts, or name their file", _are_item_ids),
    "assumptions": ("must be a list of assumptions: name, symbol, low, high, value, source", _are_assumptions),
    "level": ("must be a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1),
    "block": NUMBER,
    "currency": TEXT,
    "versions": ("must be a table of texts", _mapping_of(TEXT[1])),
    CHECKSUMS: ("must be a table of texts", _mapping_of(TEXT[1])),
    "cpu_seconds": ("must be a table of numbers", _mapping_of(_is_number)),
    "kept_cost": ("must be a table of numbers", _mapping_of(_or_none(_is_number))),
    "policy_notes": ("must be a table of lists of texts", _mapping_of(_texts)),
}
"""What a manifest's keys hold, where it has them and they are not null."""


def _faults(record: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[tuple[str, str, Any]]:
    """Return the name, the rule and the value of each key that breaks its rule."""
    found = []
    for name, (rule, kind) in rules.items():
        head, _, key = name.partition(".")
        table = record.get(head) if key else record
        if not isinstance(table, Mapping):
            continue
        value = table.get(key or head)
        if value is not None and not kind(value):
            found.append((name, rule, value))
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
