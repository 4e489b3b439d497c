"""Policies that cannot be compared on a sales history, and why."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError

NEEDS_A_MODEL = ("dynamic_programming", "projected_level")
"""Policies that need a theoretical demand model; a sales history is none."""
NEEDS_A_NETWORK = (
    "single_index",
    "dual_index",
    "capped_dual_index",
    "tailored_base_surge",
    "echelon_base_stock",
)
"""Policies that order on the links of a network, which a sales history of single items is not."""


def refuse_policies(names: Iterable[str]) -> None:
    """Raise an `InputError` that names each policy that a sales history has nothing for."""
    reasons = {name: "needs a theoretical demand model, not a history" for name in NEEDS_A_MODEL}
    reasons |= {name: "orders on the links of a network, not for single items" for name in NEEDS_A_NETWORK}
    impossible = [name for name in names if name in reasons]
    if impossible:
        raise InputError(f"policies.names: {name!r} {reasons[name]}; leave it out" for name in impossible)
