"""What is tried: forecasters and their averages, policies, and safety settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...forecasters.base import Forecaster
from ...forecasters.ensemble import Ensemble
from ...policies.base import Policy
from ...policies.lookahead import Lookahead
from ...policies.newsvendor import TunedNewsvendor, TunedProjected
from ...training.tune import TUNERS
from ..refits import accepted

AUTO = "auto"
"""In place of a forecaster's or a policy's name."""

SAFE: Mapping[str, Callable[[float, float], Policy]] = {
    "newsvendor": TunedNewsvendor,
    "tuned_newsvendor": TunedNewsvendor,
    "projected": TunedProjected,
    "tuned_projected": TunedProjected,
    "lookahead": Lookahead,
}
"""Policies with a safety setting that is tried: a shift of the critical ratio's log-odds. From scale and shift."""

FIRST_STEP = 0.3
"""First step of a shift: a critical ratio of .83 becomes .79 or .87."""

SMALLEST_STEP = 0.1
"""Steps of a shift below it decide nothing that a year of weeks could show."""


@dataclass(frozen=True)
class Candidate:
    """A pair that can be chosen, or the average of two.

    Attributes:
        members: forecasters whose quantiles are averaged; one, or none where the policy reads no forecast.
        policy: name of the policy.
        shift: safety setting, added to the critical ratio's log-odds.
        other: a second candidate on the same forecasters; orders are the mean of both. None: orders of the policy.
    """

    members: tuple[str, ...]
    policy: str
    shift: float = 0.0
    other: Candidate | None = None

    @property
    def forecaster(self) -> str:
        """The forecaster, "a + b" for an average; empty where none is read."""
        return " + ".join(self.members)

    @property
    def order(self) -> str:
        """The policy with its setting, "a & b" for the mean of two orders."""
        own = self.policy + (f" {self.shift:+.2g}" if self.shift else "")
        return own if self.other is None else f"{own} & {self.other.order}"

    @property
    def label(self) -> str:
        """Forecaster and policy, as tables name them."""
        return f"{self.forecaster} / {self.order}" if self.members else self.order


def has_setting(policy: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy's safety setting is tried: it has one, and the config does not give its parameters."""
    return policy in SAFE and not options


def is_fixed(policy: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy has levels that are tuned on demand alone, and reads no forecast."""
    return policy in TUNERS and not options and not has_setting(policy, options)


def average(members: tuple[str, ...], horizon: int, options: Mapping[str, Mapping[str, Any]], seed: int) -> Forecaster:
    """Return the unfitted average of forecasters, each built as it is on its own.

    Args:
        members: two or more names.
        horizon: periods ahead.
        options: keyword arguments by name.
        seed: of those that take one.
    """
    own = {name: {**accepted(name, seed=seed), **options.get(name, {})} for name in members}
    return Ensemble(horizon, members=members, options=own)
