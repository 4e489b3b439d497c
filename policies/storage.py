"""Policies on disk: JSON for what is text or a number, safetensors for arrays."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ..forecasters.storage import load_state, save_state
from .registry import POLICIES


def save_policy(name: str, policy: Any, folder: Path) -> None:
    """Keep a policy in a folder, as `policy-<name>.json` and `.safetensors`.

    Args:
        name: under which it is registered.
        policy: has `to_state`, or is a dataclass of numbers and arrays.
        folder: where to.
    """
    config, arrays = policy.to_state() if hasattr(policy, "to_state") else _plain_state(policy)
    save_state(folder, f"policy-{name}", {"policy": name, "config": config}, arrays)


def load_policy(name: str, folder: Path) -> Any:
    """Return the policy that was kept under a name.

    Raises:
        FractileError: where it is missing or damaged.
    """
    state, arrays = load_state(folder, f"policy-{name}")
    cls = POLICIES.known(state["policy"])
    if hasattr(cls, "from_state"):
        return cls.from_state(state["config"], arrays)
    values = {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}
    return cls(**state["config"], **values)


def _plain_state(policy: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    values = {f.name: getattr(policy, f.name) for f in fields(policy)}
    # JSON has no infinity: a cap that never binds is kept as an array.
    infinite = {k: np.array(v) for k, v in values.items() if isinstance(v, float) and not np.isfinite(v)}
    arrays = {**{k: v for k, v in values.items() if isinstance(v, np.ndarray)}, **infinite}
    return {k: v for k, v in values.items() if k not in arrays}, arrays
