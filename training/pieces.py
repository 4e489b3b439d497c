"""Tuned policies and trained networks on disk: what an interrupted training goes on with; see `parts`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..forecasters.storage import load_state, save_state
from ..parts import Parts
from ..policies.base import Policy
from ..policies.storage import load_policy, save_policy

PIECE = "piece"
"""Name of the files of what is known of a policy."""


@dataclass(frozen=True)
class TunedPiece:
    """A classical policy that is ready, and what was found on the way.

    Attributes:
        policy: with its parameters.
        notes: a sentence each.
        at_edge: parameters whose search ended at the edge of its grid.
    """

    policy: Policy
    notes: tuple[str, ...] = ()
    at_edge: tuple[str, ...] = ()


def keep_tuned(parts: Parts, name: str, tune: Callable[[], TunedPiece]) -> TunedPiece:
    """Return a policy that was tuned, read where it is kept.

    Args:
        parts: where finished pieces are kept.
        name: of the policy.
        tune: the work.
    """

    def save(found: TunedPiece, folder: Path) -> None:
        save_policy(name, found.policy, folder)
        save_state(folder, PIECE, {"notes": list(found.notes), "at_edge": list(found.at_edge)}, {})

    def load(folder: Path) -> TunedPiece:
        known, _ = load_state(folder, PIECE)
        return TunedPiece(load_policy(name, folder), tuple(known["notes"]), tuple(known["at_edge"]))

    return parts.get(("tuned", name), tune, save=save, load=load)


def network_key(name: str, seed: int) -> tuple[str | int, ...]:
    """Return the key of a network that is trained with a seed."""
    return "network", name, seed


def keep_network(parts: Parts, name: str, seed: int, train: Callable[[], Policy]) -> Policy:
    """Return a network that was trained, read where it is kept.

    Args:
        parts: where finished pieces are kept.
        name: of the policy.
        seed: that it is trained with.
        train: the work.
    """
    return parts.get(
        network_key(name, seed),
        train,
        save=lambda policy, folder: save_policy(name, policy, folder),
        load=lambda folder: load_policy(name, folder),
    )
