"""Policies that cannot be compared on a sales history, and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ..envs.core.types import ItemParams
from ..errors import InputError
from .config import StudyConfig
from .sections import PoliciesConfig

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

NO_BOUND = "no bound is shown"
"""Beginning of the note on a bound that was left out."""


def refuse_policies(names: Iterable[str]) -> None:
    """Raise an `InputError` that names each policy that a sales history has nothing for."""
    reasons = {name: "needs a theoretical demand model, not a history" for name in NEEDS_A_MODEL}
    reasons |= {name: "orders on the links of a network, not for single items" for name in NEEDS_A_NETWORK}
    impossible = [name for name in names if name in reasons]
    if impossible:
        raise InputError(f"policies.names: {name!r} {reasons[name]}; leave it out" for name in impossible)


def without_bounds(config: StudyConfig, params: ItemParams) -> tuple[StudyConfig, tuple[str, ...]]:
    """Return a config without the bounds that cannot be planned for items, and what a reader should know of that.

    They are left out where no policies are named, and refused where they are named.

    Args:
        config: as given.
        params: of the items.

    Raises:
        InputError: where perfect information is asked for by name on stock that perishes.
    """
    names = config.policies.names
    if params.shelf_life is None or "hindsight" not in names:
        return config, ()
    why = "'hindsight' plans for stock that keeps, and items have a shelf_life"
    if not set(PoliciesConfig().names) <= set(names):
        raise InputError([f"policies.names: {why}; leave it out, or leave shelf_life out of the items file"])
    rest = [name for name in names if name != "hindsight"]
    return config.with_overrides({"policies.names": rest}), (f"{NO_BOUND}: {why}",)


def nothing_to_learn_from(name: str, first: date) -> InputError:
    """Return the error of forecasts made elsewhere that have no origins before the end.

    Args:
        name: of the forecasts.
        first: the earliest origin that would help.
    """
    return InputError(
        [
            f"forecasts {name}: no origins to learn from before the end; add forecasts from earlier ones (best "
            f"from {first} on), or take a policy without parameters to find, e.g. newsvendor"
        ]
    )
