"""What there is by name, a line each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ...envs.gym.catalogue import SYSTEMS
from ...envs.gym.registration import ENVIRONMENTS
from ...forecasters.registry import FORECASTERS
from ...policies.registry import POLICIES, TRAINED_BY


def catalogue() -> dict[str, dict[str, str]]:
    """Return the forecasters, policies and environments, each with one line about it."""
    environments = {name: SYSTEMS[system].description for name, system in ENVIRONMENTS.items()}
    policies = {**_lines(POLICIES), **TRAINED_BY}
    return {"forecasters": _lines(FORECASTERS), "policies": policies, "environments": environments}


def _lines(registry: Mapping[str, Any]) -> dict[str, str]:
    return {name: (inspect.getdoc(thing) or "").partition("\n")[0] for name, thing in registry.items()}


def as_text(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the catalogue as aligned lines under a title each."""
    width = max(len(name) for entries in found.values() for name in entries)
    blocks = [
        "\n".join([title, *(f"  {name:<{width}}  {line}" for name, line in entries.items())])
        for title, entries in found.items()
    ]
    return "\n\n".join(blocks)
