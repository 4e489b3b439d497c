"""Policies by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from ..errors import FractileError, did_you_mean

POLICIES = {
    "newsvendor": "newsvendor:Newsvendor",
    "tuned_newsvendor": "newsvendor:TunedNewsvendor",
    "projected": "projected:Projected",
    "base_stock": "base_stock:BaseStock",
    "capped_base_stock": "base_stock:CappedBaseStock",
    "constant_order": "base_stock:ConstantOrder",
    "dynamic_programming": "dynamic_programming:DynamicProgramming",
    "hindsight": "hindsight:Hindsight",
    "backprop": "neural:NeuralPolicy",
    "ppo": "neural:NeuralPolicy",
}
"""Name → module and class; `backprop` and `ppo` are two ways to train the same network."""


def policy_class(name: str) -> type[Any]:
    """Return the class behind a name.

    Raises:
        FractileError: where the name is unknown.
    """
    if name not in POLICIES:
        raise FractileError(f"unknown policy {name!r}{did_you_mean(name, POLICIES)}")
    module, _, class_name = POLICIES[name].partition(":")
    found: type[Any] = getattr(import_module(f".{module}", __package__), class_name)
    return found


def make_policy(name: str, **options: Any) -> Any:
    """Return a policy by name.

    Args:
        name: a key of `POLICIES`.
        **options: its parameters.

    Raises:
        FractileError: where the name or an option is unknown, or a parameter is missing or out of its range.

    >>> make_policy("base_stock", level=20).level
    20.0
    """
    cls = policy_class(name)
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            raise FractileError(f"policy {name!r} has no parameter {option!r}{did_you_mean(option, known)}")
    required = [k for k, p in inspect.signature(cls).parameters.items() if p.default is p.empty]
    missing = [k for k in required if k not in options]
    if missing:
        raise FractileError(f"policy {name!r} needs {', '.join(missing)}; train or tune it, or name the values")
    return cls(**options)
