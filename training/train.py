"""From a policy's name to a policy that is ready to order: tuned or trained where it has parameters to find.

How far a network may move away from its baseline stands at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..envs.gym.sources import DemandSource, EpisodeSource, JointSource, PoolSource
from ..errors import FractileError
from ..policies.base import Planner, Policy
from ..policies.neural import NeuralPolicy
from ..policies.newsvendor import TunedNewsvendor
from ..policies.registry import POLICIES, make_policy
from ..policies.rollout import simulate
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .config import BACKPROP_ON_HISTORY, PPO_ON_HISTORY, HistoryConfig, make_config
from .tune import tune_base_stock, tune_constant_order, tune_newsvendor

# Where episodes come from is part of what a trainer needs: `fr.training` shows it beside the trainers.
__all__ = [
    "DemandSource",
    "EpisodeSource",
    "JointSource",
    "PoolSource",
    "TrainingProblem",
    "needs_training",
    "shrink_actions",
    "train_policy",
]


@dataclass(eq=False)
class TrainingProblem:
    """What policies are tuned and trained on.

    No value object: the newsvendor is tuned when it is first needed and kept, since every trainer starts from it.

    Attributes:
        scenario: demand and forecasts that networks are trained on, before anything that policies are later
            compared on.
        params: lead times, costs and order rules of its items.
        tuning: what classical policies are tuned on; `scenario` where None.
        seed: of everything random.
        backprop_steps: gradient steps of `backprop`.
        ppo_steps: transitions of `ppo`.
        progress: called as training moves on.
        history: how the scenario is divided.
    """

    scenario: Scenario
    params: ItemParams
    tuning: Scenario | None = None
    seed: int = 0
    backprop_steps: int = BACKPROP_ON_HISTORY.steps
    ppo_steps: int = PPO_ON_HISTORY.steps
    progress: Progress = no_progress
    history: HistoryConfig = field(default_factory=HistoryConfig)

    @cached_property
    def newsvendor(self) -> TunedNewsvendor:
        """The tuned newsvendor: the headline baseline, and the point that networks start from."""
        return tune_newsvendor(self.tuning_scenario, self.params)

    @property
    def tuning_scenario(self) -> Scenario:
        """What classical policies are tuned on."""
        return self.scenario if self.tuning is None else self.tuning

    @property
    def judging_start(self) -> int:
        """The first period of the training window's last part, which selects networks and trains none."""
        periods = self.scenario.periods
        if periods < 3:
            raise FractileError(f"training needs at least 3 periods before the held-out ones, got {periods}")
        return periods if periods < self.history.shortest_split else periods - periods // self.history.window_parts

    @property
    def episode_periods(self) -> int:
        """Length of a training episode: one period less than there are, since the last observation has a forecast."""
        return self.judging_start - 1

    @property
    def warm_up(self) -> int:
        """Periods of an episode whose cost is settled before the policy's orders arrive."""
        return min(self.params.slots, self.episode_periods - 1)

    def split_items(self) -> tuple[PoolSource, PoolSource]:
        """Return episodes of most items, and of the items that choose the best network: recorded ones only."""
        items = keyed_generator(self.seed, "validation items").permutation(self.scenario.items)
        held_out = max(1, round(self.history.validation_items * len(items)))
        training = self.scenario.window(0, self.judging_start)
        validation = self.tuning_scenario.window(0, self.judging_start)
        if held_out >= len(items):
            return PoolSource(training, self.params), PoolSource(validation, self.params)
        train, later = np.sort(items[held_out:]), np.sort(items[:held_out])
        return (
            PoolSource(training.select(train), self.params.select(train)),
            PoolSource(validation.select(later), self.params.select(later)),
        )

    def shrink(self, policy: NeuralPolicy) -> NeuralPolicy:
        """Return a network that moves as far from the newsvendor as the last part of the window bears out."""
        start, periods = self.judging_start, self.tuning_scenario.periods
        if start == periods:
            return policy
        first = max(0, start - 2 * int(np.max(self.params.protection_interval)))
        judging = self.tuning_scenario.window(first, periods)
        shrunk = shrink_actions(policy, judging, self.params, start - first, self.history)
        self.progress(f"the last part of the window bears out {shrunk.share:.0%} of the network's moves")
        return shrunk


def train_policy(name: str, problem: TrainingProblem, options: Mapping[str, Any] | None = None) -> Policy | Planner:
    """Return the policy of a name, tuned or trained on a problem where it has parameters to find.

    Args:
        name: a key of `POLICIES`.
        problem: what to train on.
        options: parameters that are given, or fields of the training configuration (`backprop`, `ppo`).

    Raises:
        FractileError: where the name or an option is unknown.
    """
    options = dict(options or {})
    POLICIES.known(name)
    if not needs_training(name, options):
        made: Policy | Planner = make_policy(name, **options)
        return made
    return _NETWORKS[name](problem, options) if name in _NETWORKS else _TUNERS[name](problem)


def needs_training(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy of this name has parameters to find that the options do not give."""
    return name in _NETWORKS or (name in _TUNERS and not options)


def _train_backprop(problem: TrainingProblem, options: Mapping[str, Any]) -> NeuralPolicy:
    from .backprop import train_backprop  # torch is loaded when a network is trained, not before

    defaults = replace(
        BACKPROP_ON_HISTORY,
        steps=problem.backprop_steps,
        periods=problem.episode_periods,
        warm_up=problem.warm_up,
        seed=problem.seed,
    )
    train, validation = problem.split_items()
    policy = train_backprop(
        train,
        make_config(defaults, options),
        validation=validation,
        level_scale=problem.newsvendor.scale,
        level_shift=problem.newsvendor.shift,
        progress=problem.progress,
    )
    return problem.shrink(policy)


def _train_ppo(problem: TrainingProblem, options: Mapping[str, Any]) -> NeuralPolicy:
    from .rl import train_ppo  # torch and Stable-Baselines3, likewise

    newsvendor, tuning = problem.newsvendor, problem.tuning_scenario
    cost = simulate(newsvendor, tuning, problem.params, warm_up=problem.warm_up).mean_cost
    defaults = replace(
        PPO_ON_HISTORY,
        steps=problem.ppo_steps,
        periods=problem.episode_periods,
        reward_scale=problem.history.mean_reward / max(cost, 1e-9),
        seed=problem.seed,
    )
    policy = train_ppo(
        PoolSource(problem.scenario.window(0, problem.judging_start), problem.params),
        make_config(defaults, options),
        level_scale=newsvendor.scale,
        level_shift=newsvendor.shift,
        progress=problem.progress,
    )
    return problem.shrink(policy)


_NETWORKS: dict[str, Callable[[TrainingProblem, Mapping[str, Any]], NeuralPolicy]] = {
    "backprop": _train_backprop,
    "ppo": _train_ppo,
}

_TUNERS: dict[str, Callable[[TrainingProblem], Policy]] = {
    "tuned_newsvendor": lambda problem: problem.newsvendor,
    "base_stock": lambda problem: tune_base_stock(problem.tuning_scenario, problem.params),
    "constant_order": lambda problem: tune_constant_order(problem.tuning_scenario, problem.params),
}


def shrink_actions(
    policy: NeuralPolicy, scenario: Scenario, params: ItemParams, warm_up: int, config: HistoryConfig | None = None
) -> NeuralPolicy:
    """Return the network with the share of its actions that costs least on periods after those it was trained on.

    What a network learns of some weeks need not hold in the next ones. Zero is the newsvendor; ties go to less.

    Args:
        policy: trained on earlier periods.
        scenario: later ones.
        params: lead times, costs and order rules.
        warm_up: periods at the start that do not count.
        config: the shares that are tried.
    """
    scenario = with_protection_totals(scenario, params)  # once for all candidates
    candidates = [replace(policy, share=share) for share in (config or HistoryConfig()).shares]
    costs = [simulate(candidate, scenario, params, warm_up=warm_up).mean_cost for candidate in candidates]
    return candidates[costs.index(min(costs))]
