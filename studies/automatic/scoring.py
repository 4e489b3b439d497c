"""What a pair costs on the windows: forecasts by earlier fits, and a policy played along them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import FloatArray
from ...envs.core.types import Scenario, with_protection_totals
from ...envs.demand.model import uncensored
from ...errors import FractileError, InputError
from ...forecasters.forecast import QuantileForecast
from ...policies.base import Policy
from ...policies.blended import Blended
from ...policies.registry import make_policy
from ...policies.rollout import simulate
from ...training.tune import tune_policy
from ..backtest import Study
from ..folds import follow_each_other
from ..own import own_policy
from ..sections import OWN
from ..windows import SHORTEST_HISTORY
from .candidates import SAFE, Candidate, has_setting, is_fixed

RECENT = 2
"""Levels of fixed policies are tuned on so many times the periods of a window."""


def place_choice(end: int, windows: int, periods: int, span: int) -> tuple[int, ...]:
    """Return the first period of each window and the end of the last one.

    At least half of the history, and `SHORTEST_HISTORY` periods, come before the first window.

    Args:
        end: periods on record.
        windows: wanted; fewer where each could not hold a protection interval and one more period.
        periods: of a window at most.
        span: the longest protection interval.

    Raises:
        InputError: where the history is too short for one window.
    """
    room = end - max(SHORTEST_HISTORY, end // 2)
    number = min(windows, room // (span + 1))
    if number < 1:
        least = 2 * max(SHORTEST_HISTORY, span + 1)
        raise InputError(
            [f"history: has {end} periods; auto needs about {least} to choose on; name forecaster and policy instead"]
        )
    length = min(periods, room // number)
    return tuple(end - k * length for k in range(number, -1, -1))


@dataclass(eq=False)
class Windows:
    """Windows of the history that pairs are played on, one after the other with the stock carried on.

    No value object: forecasts and costs are made when they are first needed, and kept, since many pairs share them.

    Attributes:
        study: whose history they are the end of; nothing of periods after its cutoff is looked at.
        bounds: first period of each window, and the end of the last one.
    """

    study: Study
    bounds: tuple[int, ...]
    _forecasts: dict[str, tuple[QuantileForecast, ...]] = field(default_factory=dict, init=False, repr=False)
    _scenarios: dict[tuple[str, ...], Scenario] = field(default_factory=dict, init=False, repr=False)
    _fixed: dict[str, tuple[Policy, ...]] = field(default_factory=dict, init=False, repr=False)
    _costs: dict[Candidate, FloatArray] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, study: Study) -> Windows:
        """Place windows at the end of what is known before a study's cutoff."""
        settings, window = study.config.choice, study.window
        return cls(study, place_choice(window.cutoff, settings.windows, settings.periods, window.span))

    @property
    def run_in(self) -> int:
        """Periods of the first window that do not count: they wash out the start."""
        return min(2 * self.study.window.span, (self.bounds[1] - self.bounds[0]) // 2)

    @property
    def starts(self) -> tuple[int, ...]:
        """First period of each window, counted from the first one that counts."""
        first = self.bounds[0] + self.run_in
        return tuple(max(0, bound - first) for bound in self.bounds[:-1])

    def forecast(self, name: str) -> tuple[QuantileForecast, ...]:
        """Return forecasts from every origin of each window, by the fit before it."""
        if name not in self._forecasts:
            refits, shown = self.study.refits(name), self.study.shown
            refits.begin(self.bounds[:-1])
            stretches = zip(self.bounds[:-1], self.bounds[1:], strict=True)
            self._forecasts[name] = tuple(refits.forecast(first, end).head(shown) for first, end in stretches)
        return self._forecasts[name]

    def scenario(self, members: tuple[str, ...]) -> Scenario:
        """Return demand of the windows with the mean of forecasters' quantiles; no forecasts where none is named."""
        if members not in self._scenarios:
            panel, (first, end) = self.study.data.panel, (self.bounds[0], self.bounds[-1])
            demand = np.ascontiguousarray(uncensored(panel.until(end))[:, first:end].T)[None]
            if members:
                each = zip(*(self.forecast(name) for name in members), strict=True)
                means = [replace(w[0], values=np.mean([one.values for one in w], axis=0)) for w in each]
                forecasts = [mean.at_origin(k) for mean in means for k in range(len(mean.origins))]
                scenario = with_protection_totals(Scenario(demand, forecasts), self.study.data.params)
            else:
                scenario = Scenario(demand)
            self._scenarios[members] = scenario
        return self._scenarios[members]

    def cost(self, candidate: Candidate) -> FloatArray:
        """Return what a pair costs, money, shape (1, periods that count, items).

        Raises:
            FractileError: where the policy is not for these items.
        """
        if candidate not in self._costs:
            params, scenario = self.study.data.params, self.scenario(candidate.members)
            with self.study.stage("scoring pairs"):
                policies = self.policies(candidate)
                ends = [bound - self.bounds[0] for bound in self.bounds[1:]]
                policy, state = follow_each_other(policies, ends, scenario, params)
                played = simulate(policy, scenario, params, initial_state=state, warm_up=self.run_in)
            self._costs[candidate] = played.cost
        return self._costs[candidate]

    def policies(self, candidate: Candidate) -> tuple[Policy, ...]:
        """Return the policy of a candidate before each window: another one where levels are tuned again."""
        options = self.study.config.policies.options.get(candidate.policy, {})
        if is_fixed(candidate.policy, options):
            return self.tuned(candidate.policy)
        return (policy_of(candidate, self.study),) * (len(self.bounds) - 1)

    def tuned(self, name: str) -> tuple[Policy, ...]:
        """Return a policy with fixed levels, tuned on the periods before each window."""
        if name not in self._fixed:
            self._fixed[name] = tuple(tune_levels(name, self.study, bound) for bound in self.bounds[:-1])
        return self._fixed[name]


def tune_levels(name: str, study: Study, end: int) -> Policy:
    """Return a policy with fixed levels, tuned on the demand of the last `choice.periods` × `RECENT` periods.

    Args:
        name: of the policy.
        study: whose history it is.
        end: periods that are known.
    """
    first = max(0, end - RECENT * study.config.choice.periods)
    demand = np.ascontiguousarray(uncensored(study.data.panel.until(end))[:, first:].T)[None]
    with study.stage(f"training {name}"):
        return tune_policy(name, Scenario(demand), study.data.params, seed=study.config.seed).policy


def final_policy(candidate: Candidate, study: Study) -> Policy:
    """Return the policy of a candidate for the periods after everything that is known."""
    if is_fixed(candidate.policy, study.config.policies.options.get(candidate.policy, {})):
        return tune_levels(candidate.policy, study, study.window.cutoff)
    return policy_of(candidate, study)


def policy_of(candidate: Candidate, study: Study) -> Policy:
    """Return the policy of a candidate whose parameters are not tuned on demand."""
    options = study.config.policies.options.get(candidate.policy, {})
    if has_setting(candidate.policy, options):
        policy = SAFE[candidate.policy](1.0, candidate.shift)
    else:
        policy = (
            own_policy(candidate.policy, study.data)
            if candidate.policy in OWN
            else make_policy(candidate.policy, **options)
        )
    if not isinstance(policy, Policy):
        raise FractileError(f"{candidate.policy} is a bound that knows the future; choose a policy")
    return policy if candidate.other is None else Blended(policy, policy_of(candidate.other, study), 0.5)
