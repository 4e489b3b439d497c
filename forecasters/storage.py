"""Fitted models on disk: JSON for texts and numbers, safetensors for arrays; no code is ever stored or executed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from ..errors import FractileError
from ..files import MOST_ARRAYS, check_size, inside, read_json, save_arrays, usable
from ..parts import sha256
from .base import Arrays, Config, Forecaster, State
from .registry import FORECASTERS

FORECASTER_FILE = "forecaster"
CHECKSUM = "sha256"
"""Key under which the JSON file holds the hash of the arrays' file, and that file the configuration's."""
ABOUT = "about"
"""What a file of arrays says of itself: the order of its arrays, and the hash of the configuration."""
CHANGED = "not as it was saved (its SHA-256 differs); save it again, or copy it anew"
STORABLE = tuple(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)
"""Types of arrays that safetensors holds."""


def save_state(folder: Path, name: str, config: Config, arrays: Arrays) -> None:
    """Write `<name>.json` and `<name>.safetensors`, each to a temporary name first.

    Args:
        folder: made where it does not exist.
        name: of both files, without an ending.
        config: what JSON can hold.
        arrays: numeric or boolean arrays by name, of any shape, memory layout and byte order.

    Raises:
        FractileError: names the array or the value that cannot be stored.
    """
    plain = {}
    for key, value in arrays.items():
        # safetensors writes memory as it lies: rows one after another, in this machine's byte order. `asarray` keeps
        # the shape () of a scalar, which `ascontiguousarray` would turn into (1,).
        array = np.asarray(value, order="C")
        plain[key] = array.astype(array.dtype.newbyteorder("="), copy=False)
        if plain[key].dtype.name not in STORABLE:
            raise FractileError(
                f"{name}: array {key!r} must be numeric to be saved, got {plain[key].dtype}; known: "
                f"{', '.join(STORABLE)}"
            )
    try:
        text = json.dumps(config, indent=2, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise FractileError(
            f"{name}: the configuration cannot be written as JSON ({fault}); store arrays and NaN as arrays"
        ) from fault
    if CHECKSUM in config:
        raise FractileError(f"{name}: the configuration may have no key {CHECKSUM!r}; call it something else")
    folder.mkdir(parents=True, exist_ok=True)
    # A safetensors file sorts its arrays; the order in which they were given may mean something to the reader.
    # One text, since safetensors writes several in any order.
    about = json.dumps({"order": list(plain), CHECKSUM: _config_sum(json.loads(text))})
    save_arrays(plain, folder / f"{name}.safetensors.tmp", {ABOUT: about})
    text = json.dumps({**config, CHECKSUM: sha256(folder / f"{name}.safetensors.tmp")}, indent=2, allow_nan=False)
    os.replace(folder / f"{name}.safetensors.tmp", folder / f"{name}.safetensors")
    (folder / f"{name}.json.tmp").write_text(text + "\n", encoding="utf-8")
    os.replace(folder / f"{name}.json.tmp", folder / f"{name}.json")


def load_state(folder: Path, name: str) -> State:
    """Read what `save_state` wrote, the arrays in the order in which they were given.

    Files of versions before 0.3 hold no hashes: they are read without that check.

    Raises:
        FractileError: where a file is missing, damaged, no longer what was written, or leads out of the folder.
    """
    text, tensors = inside(folder, f"{name}.json"), inside(folder, f"{name}.safetensors")
    for path in (text, tensors):
        if not path.is_file():
            raise FractileError(f"{path} is missing: the folder holds no complete {name!r}; save it again")
    check_size(tensors, MOST_ARRAYS)
    with usable(folder / name, "save it again"):
        config = read_json(text)
        if not isinstance(config, dict):
            raise FractileError(f"{text}: is damaged (no JSON object); save it again")
        stored = config.pop(CHECKSUM, None)
        if stored is not None and stored != sha256(tensors):
            raise FractileError(f"{tensors}: {CHANGED}")
        try:
            with safe_open(tensors, framework="numpy") as file:
                metadata = file.metadata() or {}
            arrays = load_file(tensors)
            about = json.loads(metadata[ABOUT]) if ABOUT in metadata else {}
            names = about["order"] if about else json.loads(metadata.get("order", json.dumps(list(arrays))))
            if sorted(names) != sorted(arrays):
                raise FractileError(f"its order of arrays is {names}, its arrays are {list(arrays)}")
        except Exception as fault:
            raise FractileError(f"{tensors}: cannot be read ({fault}); save it again") from fault
        if (stored is None) != (not about) or (about and about[CHECKSUM] != _config_sum(config)):
            raise FractileError(f"{text}: {CHANGED}")
        return config, {key: arrays[key] for key in names}


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write a fitted forecaster to a folder."""
    config, arrays = forecaster.to_state()
    name = FORECASTERS.name_of(type(forecaster)) or forecaster.name
    save_state(folder, FORECASTER_FILE, {"forecaster": name, "config": config}, arrays)


def load_forecaster(folder: Path) -> Forecaster:
    """Return a fitted forecaster that predicts what the saved one predicted, to the last bit.

    Raises:
        FractileError: where files are missing or damaged, or name a class of one's own whose module was not imported:
            a file imports nothing.
    """
    state, arrays = load_state(folder, FORECASTER_FILE)
    with usable(folder / f"{FORECASTER_FILE}.json", "fit and save it again"):
        found = FORECASTERS.imported(state["forecaster"])
        return cast(Forecaster, found.from_state(state["config"], arrays))


def _config_sum(config: Config) -> str:
    """Return the hash of a configuration as JSON holds it."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
