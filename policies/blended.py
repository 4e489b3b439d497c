"""Orders between those of two policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arrays import Array
from ..envs.core.types import Observation
from ..errors import FractileError
from .base import Policy


@dataclass(frozen=True, eq=False)
class Blended:
    """Order a weighted mean of what two policies order.

    `q = (1 − share) · q_baseline + share · q_policy`. A learned policy whose full orders overshoot on periods that it
    was not trained on is held back so to a classical one.

    Attributes:
        baseline: the policy that counts with 1 − share.
        policy: the one that counts with share.
        share: in [0, 1].
    """

    reads_protection_total: ClassVar[bool] = True

    baseline: Policy
    policy: Policy
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise FractileError(f"share must be a number from 0 to 1, got {self.share}")

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return (1.0 - self.share) * self.baseline.order(obs) + self.share * self.policy.order(obs)
