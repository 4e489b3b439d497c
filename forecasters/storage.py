"""Fitted models on disk: JSON for texts and numbers, safetensors for arrays; nothing is ever executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import load_file, save_file

from ..errors import FractileError
from .base import Arrays, Config, Forecaster, State
from .registry import FORECASTERS

FORECASTER_FILE = "forecaster"


def save_state(folder: Path, name: str, config: Config, arrays: Arrays) -> None:
    """Write `<name>.json` and `<name>.safetensors`, each to a temporary name first.

    Args:
        folder: made where it does not exist.
        name: of both files, without an ending.
        config: what JSON can hold.
        arrays: numeric or boolean arrays by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = {key: _plain(name, key, value) for key, value in arrays.items()}
    tensors = folder / f"{name}.safetensors.tmp"
    save_file(plain, tensors)
    os.replace(tensors, folder / f"{name}.safetensors")
    text = folder / f"{name}.json.tmp"
    text.write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(text, folder / f"{name}.json")


def load_state(folder: Path, name: str) -> State:
    """Read what `save_state` wrote.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    text, tensors = folder / f"{name}.json", folder / f"{name}.safetensors"
    for path in (text, tensors):
        if not path.is_file():
            raise FractileError(f"{path} is missing: the folder holds no complete {name!r}; save it again")
    try:
        config: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
        return config, dict(load_file(tensors))
    except Exception as fault:
        raise FractileError(f"{name!r} in {folder} cannot be read ({fault}); save it again") from fault


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Keep a fitted forecaster in a folder."""
    config, arrays = forecaster.to_state()
    save_state(folder, FORECASTER_FILE, {"forecaster": forecaster.name, "config": config}, arrays)


def load_forecaster(folder: Path) -> Forecaster:
    """Return a fitted forecaster that predicts what the saved one predicted, to the last bit."""
    state, arrays = load_state(folder, FORECASTER_FILE)
    return cast(Forecaster, FORECASTERS.known(state["forecaster"]).from_state(state["config"], arrays))


def _plain(name: str, key: str, value: Any) -> np.ndarray[Any, Any]:
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "fiub":
        raise FractileError(f"{name}: array {key!r} must be numeric to be saved, got {array.dtype}")
    return array
