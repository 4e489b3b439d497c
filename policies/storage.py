"""Policies on disk: JSON for what is text or a number, safetensors for arrays; nothing is ever executed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..envs.core.params import ItemParams
from ..envs.demand.distributions import (
    CompoundPoisson,
    Discrete,
    Gamma,
    Geometric,
    NegativeBinomial,
    Normal,
    Poisson,
    Rounded,
)
from ..envs.systems.capacity import SharedCapacity
from ..errors import FractileError
from ..files import usable
from ..forecasters.storage import load_state, save_state
from ..registry import option_names
from .base import Planner, Policy
from .blended import Blended
from .registry import POLICIES

Config: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]

NESTED: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(CompoundPoisson, Discrete, Gamma, Geometric, NegativeBinomial, Normal, Poisson, Rounded),
        *(ItemParams, SharedCapacity),
    )
}
"""What a policy's parameter may be besides a number, a text or an array."""
BLENDED, PARTS = "blended", ("baseline", "policy")
"""What a `Blended` policy is kept as, and its parts."""


def save_policy(name: str, policy: Policy | Planner, folder: Path) -> None:
    """Keep a policy in a folder, as `policy-<name>.json` and `.safetensors`.

    The class need not be the name's own: a learned or tuned policy may have turned out to be a classical one, or one
    between both (`Blended`), whose parts are kept beside it.

    Args:
        name: under which it is kept.
        policy: has `to_state`, or is a dataclass of numbers, texts, arrays and what `NESTED` lists.
        folder: where to.

    Raises:
        FractileError: where a parameter is something else.
    """
    if isinstance(policy, Blended):
        for part in PARTS:
            save_policy(f"{name}-{part}", getattr(policy, part), folder)
        save_state(folder, _file(name), {"policy": BLENDED, "config": {"share": policy.share}}, {})
        return
    config, arrays = policy.to_state() if hasattr(policy, "to_state") else _split(policy, "")
    ours = name in POLICIES and POLICIES[name] is type(policy)
    kind = name if ours else POLICIES.name_of(type(policy)) or name
    save_state(folder, _file(name), {"policy": kind, "config": config}, arrays)


def load_policy(name: str, folder: Path) -> Any:
    """Return the policy that was kept under a name.

    Raises:
        FractileError: where it is missing or damaged, or of a class of one's own whose module was not imported: a file
            imports nothing.
    """
    state, arrays = load_state(folder, _file(name))
    with usable(folder / f"{_file(name)}.json", "make it again"):
        if state["policy"] == BLENDED:
            return Blended(*(load_policy(f"{name}-{part}", folder) for part in PARTS), **state["config"])
        cls = POLICIES.imported(state["policy"])
        if hasattr(cls, "from_state"):
            return cls.from_state(state["config"], arrays)
        return _join(cls, state["config"], arrays, "")


def is_kept(name: str, folder: Path) -> bool:
    """Whether a folder keeps a policy under a name."""
    return (folder / f"{_file(name)}.json").is_file()


def reload_policy(policy: Policy, folder: Path) -> Policy | None:
    """Return what comes back when a policy is kept in a folder and loaded again; None where it cannot be kept.

    Kept are policies of registered classes, and those of your own that have `to_state` and `from_state`.
    """
    name = BLENDED if isinstance(policy, Blended) else _name_of(policy)
    if name is not None:
        save_policy(name, policy, folder)
        loaded: Policy = load_policy(name, folder)
        return loaded
    if hasattr(policy, "to_state") and hasattr(policy, "from_state"):
        save_state(folder, "policy", *policy.to_state())
        loaded = type(policy).from_state(*load_state(folder, "policy"))
        return loaded
    return None


def _name_of(policy: Policy | Planner) -> str | None:
    """Return a name whose class a policy has; None where it has none."""
    return next((name for name, cls in POLICIES.items() if cls is type(policy)), None)


def _file(name: str) -> str:
    return f"policy-{name.replace(':', '-')}"  # a policy of one's own has an address, module:Class


def _parameters(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of a class's parameters: fields of a dataclass, or arguments kept under their own names."""
    return tuple(field.name for field in fields(cls) if field.init) if is_dataclass(cls) else option_names(cls)


def _split(owner: Any, prefix: str) -> tuple[Config, Arrays]:
    """Return a dataclass as what JSON can hold, and arrays by their path, e.g. `demand.mean`."""
    config: Config = {}
    arrays: Arrays = {}
    for name in _parameters(type(owner)):
        if not hasattr(owner, name):
            raise FractileError(
                f"{type(owner).__name__} cannot be kept on disk: it has no attribute {name!r} like its constructor's "
                "argument; keep each argument under its name, or give the class to_state and from_state"
            )
        value, path = getattr(owner, name), f"{prefix}{name}"
        if isinstance(value, np.ndarray) and value.ndim:
            arrays[path] = value
        elif isinstance(value, np.ndarray | np.generic | float | int) and not np.isfinite(value):
            config[name] = {"kind": "float", "value": str(float(value))}  # JSON has no infinity
        elif isinstance(value, np.ndarray | np.generic):
            config[name] = value.item()
        elif is_dataclass(value) and type(value) is NESTED.get(type(value).__name__):
            inner, more = _split(value, f"{path}.")
            config[name] = {"kind": type(value).__name__, "config": inner}
            arrays |= more
        elif value is None or isinstance(value, str | bool | int | float | list | tuple):
            config[name] = value
        else:
            raise FractileError(
                f"{path} of {type(owner).__name__} cannot be kept on disk: it is a {type(value).__name__}, and must be "
                f"a number, a text, an array or one of {', '.join(NESTED)}"
            )
    return config, arrays


def _join(cls: type[Any], config: Config, arrays: Arrays, prefix: str) -> Any:
    """Return the dataclass that `_split` took apart."""
    values: dict[str, Any] = {}
    for name in _parameters(cls):
        path = f"{prefix}{name}"
        value = config.get(name)
        if path in arrays:
            # A number in a file of an earlier version: infinity, kept as an array.
            values[name] = arrays[path].item() if arrays[path].ndim == 0 else arrays[path]
        elif isinstance(value, dict) and value["kind"] == "float":
            values[name] = float(value["value"])
        elif isinstance(value, dict):
            values[name] = _join(NESTED[value["kind"]], value["config"], arrays, f"{path}.")
        elif name in config:
            values[name] = value
    return cls(**values)
