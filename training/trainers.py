"""From a policy's name to a policy that is ready to buy: tuned or trained where it has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..envs.core.types import ItemParams, Scenario
from ..envs.gym.sources import PoolSource
from ..errors import FractileError, did_you_mean
from ..policies.neural import NeuralPolicy
from ..policies.newsvendor import TunedNewsvendor
from ..policies.registry import POLICIES, make_policy
from ..policies.rollout import simulate
from ..randomness import keyed_generator
from .shrink import shrunk
from .tune import tune_base_stock, tune_constant_order, tune_newsvendor

Progress = Callable[[str], None]

VALIDATION_SHARE = 0.2
"""Share of the items that choose the best network and that gradients never see."""
USUAL_REWARD = 0.1
"""Size of a usual reward of `ppo`."""
SHORTEST_SPLIT = 9
"""Periods from which on the last third of the training window is kept to judge networks by."""


@dataclass(frozen=True, eq=False)
class TrainingProblem:
    """What policies are tuned and trained on.

    Attributes:
        scenario: demand and forecasts that networks are trained on, before anything that policies are later
            compared on.
        params: lead times, costs and order rules of its items.
        tuning: what classical policies are tuned on; `scenario` where None.
        seed: of everything random.
        backprop_steps: gradient steps of `backprop`.
        ppo_steps: transitions of `ppo`.
        progress: told what goes on.
    """

    scenario: Scenario
    params: ItemParams
    tuning: Scenario | None = None
    seed: int = 0
    backprop_steps: int = 600
    ppo_steps: int = 400_000
    progress: Progress = lambda _: None

    @cached_property
    def newsvendor(self) -> TunedNewsvendor:
        """The tuned newsvendor: the headline baseline, and the point that networks start from."""
        return tune_newsvendor(self.tuned_on, self.params)

    @cached_property
    def usual_cost(self) -> float:
        """What an item costs a period under the tuned newsvendor, money."""
        return simulate(self.newsvendor, self.tuned_on, self.params, warm_up=self.warm_up).mean_cost

    @property
    def tuned_on(self) -> Scenario:
        """What classical policies are tuned on."""
        return self.scenario if self.tuning is None else self.tuning

    @property
    def later(self) -> int:
        """The period from which on the training window judges networks, and teaches them no more."""
        periods = self.scenario.periods
        if periods < 3:
            raise FractileError(f"training needs at least 3 periods before the held-out ones, got {periods}")
        return periods if periods < SHORTEST_SPLIT else periods - periods // 3

    @property
    def episode(self) -> int:
        """Periods of a training episode: one less than there are, since the last observation has a forecast."""
        return self.later - 1

    @property
    def warm_up(self) -> int:
        """Periods of an episode whose cost is settled before the policy's orders arrive."""
        return min(self.params.slots, self.episode - 1)

    def split(self) -> tuple[PoolSource, PoolSource]:
        """Return episodes of most items, and of the items that choose the best network: real ones only."""
        items = keyed_generator(self.seed, "validation items").permutation(self.scenario.items)
        held = max(1, round(VALIDATION_SHARE * len(items)))
        learn, choose = self.scenario.window(0, self.later), self.tuned_on.window(0, self.later)
        if held >= len(items):
            return PoolSource(learn, self.params), PoolSource(choose, self.params)
        train = _pool(learn, self.params, np.sort(items[held:]))
        return train, _pool(choose, self.params, np.sort(items[:held]))

    def held_back(self, policy: NeuralPolicy) -> NeuralPolicy:
        """Return a network that moves as far from the newsvendor as the last part of the window bears out."""
        if self.later == self.tuned_on.periods:
            return policy
        first = max(0, self.later - 2 * int(np.max(self.params.protection_interval)))
        judging = self.tuned_on.window(first, self.tuned_on.periods)
        kept = shrunk(policy, judging, self.params, self.later - first)
        self.progress(f"the last part of the window bears out {kept.share:.0%} of the network's moves")
        return kept


def train_policy(name: str, problem: TrainingProblem, options: Mapping[str, Any] | None = None) -> Any:
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
    if not is_trained(name, options):
        return make_policy(name, **options)
    return _NETWORKS[name](problem, options) if name in _NETWORKS else _TUNERS[name](problem)


def is_trained(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy of this name has parameters to find that the options do not give."""
    return name in _NETWORKS or (name in _TUNERS and not options)


def _backprop(problem: TrainingProblem, options: dict[str, Any]) -> Any:
    from .backprop import BackpropConfig, train_backprop

    defaults = BackpropConfig(
        steps=problem.backprop_steps,
        paths=256,
        periods=problem.episode,
        warm_up=problem.warm_up,
        learning_rate=3e-3,
        seed=problem.seed,
    )
    train, held = problem.split()
    policy = train_backprop(
        train,
        configured(defaults, options),
        validation=held,
        **_start(problem),
        progress=lambda step, steps, cost: problem.progress(f"backprop: step {step} of {steps}, cost {cost:.3f}"),
    )
    return problem.held_back(policy)


def _ppo(problem: TrainingProblem, options: dict[str, Any]) -> Any:
    from .rl import PPOConfig, train_ppo

    defaults = PPOConfig(
        steps=problem.ppo_steps,
        periods=problem.episode,
        learning_rate=3e-4,
        # Rewards are money, brought to the size that the critic likes.
        reward_scale=USUAL_REWARD / max(problem.usual_cost, 1e-9),
        seed=problem.seed,
    )
    policy = train_ppo(
        PoolSource(problem.scenario.window(0, problem.later), problem.params),
        configured(defaults, options),
        **_start(problem),
        progress=lambda step, steps, _: problem.progress(f"ppo: step {step} of {steps}"),
    )
    return problem.held_back(policy)


_NETWORKS: dict[str, Callable[[TrainingProblem, dict[str, Any]], Any]] = {"backprop": _backprop, "ppo": _ppo}

_TUNERS: dict[str, Callable[[TrainingProblem], Any]] = {
    "tuned_newsvendor": lambda problem: problem.newsvendor,
    "base_stock": lambda problem: tune_base_stock(problem.tuned_on, problem.params),
    "constant_order": lambda problem: tune_constant_order(problem.tuned_on, problem.params),
}


def _start(problem: TrainingProblem) -> dict[str, Any]:
    return {"level_scale": problem.newsvendor.scale, "level_shift": problem.newsvendor.shift}


def configured(config: Any, options: Mapping[str, Any]) -> Any:
    """Return a configuration with some fields replaced; an unknown name lists the known ones."""
    known = [f.name for f in fields(config)]
    for name in options:
        if name not in known:
            raise FractileError(f"unknown training option {name!r}{did_you_mean(name, known)}")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return replace(config, **plain)


def _pool(scenario: Scenario, params: ItemParams, items: Any) -> PoolSource:
    return PoolSource(scenario.select(items), params.select(items))
