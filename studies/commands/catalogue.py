"""The content of `fractile list`: names with a line each."""

from __future__ import annotations

from collections.abc import Mapping

from ...envs.gym.catalogue import SYSTEMS
from ...envs.gym.registration import ENVIRONMENTS
from ...forecasters.registry import FORECASTERS
from ...policies.registry import POLICIES, TRAINED_BY


def list_names() -> dict[str, dict[str, str]]:
    """Return the forecasters, policies and environments, each with one line about it."""
    forecasters, policies = (
        {name: registry.summary(name) for name in registry} for registry in (FORECASTERS, POLICIES)
    )
    environments = {name: SYSTEMS[system].description for name, system in ENVIRONMENTS.items()}
    return {"forecasters": forecasters, "policies": {**policies, **TRAINED_BY}, "environments": environments}


def names_text(names: Mapping[str, Mapping[str, str]]) -> str:
    """Return names as aligned lines under a title each."""
    width = max(len(name) for entries in names.values() for name in entries)
    blocks = [
        "\n".join([title, *(f"  {name:<{width}}  {line}" for name, line in entries.items())])
        for title, entries in names.items()
    ]
    return "\n\n".join(blocks)
