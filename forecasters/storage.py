"""Fitted models on disk: JSON for texts and numbers, safetensors for arrays; no code is ever stored or executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ..errors import FractileError
from .base import Arrays, Config, Forecaster, State
from .registry import FORECASTERS

FORECASTER_FILE = "forecaster"
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
    folder.mkdir(parents=True, exist_ok=True)
    # A safetensors file sorts its arrays; the order in which they were given may mean something to the reader.
    save_file(plain, folder / f"{name}.safetensors.tmp", metadata={"order": json.dumps(list(plain))})
    os.replace(folder / f"{name}.safetensors.tmp", folder / f"{name}.safetensors")
    (folder / f"{name}.json.tmp").write_text(text + "\n", encoding="utf-8")
    os.replace(folder / f"{name}.json.tmp", folder / f"{name}.json")


def load_state(folder: Path, name: str) -> State:
    """Read what `save_state` wrote, the arrays in the order in which they were given.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    text, tensors = folder / f"{name}.json", folder / f"{name}.safetensors"
    for path in (text, tensors):
        if not path.is_file():
            raise FractileError(f"{path} is missing: the folder holds no complete {name!r}; save it again")
    try:
        config: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
        arrays = load_file(tensors)
        with safe_open(tensors, framework="numpy") as file:
            order = (file.metadata() or {}).get("order")
        return config, {key: arrays[key] for key in (arrays if order is None else json.loads(order))}
    except Exception as fault:
        raise FractileError(f"{name!r} in {folder} cannot be read ({fault}); save it again") from fault


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write a fitted forecaster to a folder."""
    config, arrays = forecaster.to_state()
    name = FORECASTERS.name_of(type(forecaster)) or forecaster.name
    save_state(folder, FORECASTER_FILE, {"forecaster": name, "config": config}, arrays)


def load_forecaster(folder: Path) -> Forecaster:
    """Return a fitted forecaster that predicts what the saved one predicted, to the last bit."""
    state, arrays = load_state(folder, FORECASTER_FILE)
    return cast(Forecaster, FORECASTERS.known(state["forecaster"]).from_state(state["config"], arrays))
