"""From a policy's name to a policy that is ready to buy: tuned or trained where it has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..envs.batch import PoolSource
from ..envs.types import ItemParams, Scenario
from ..errors import FractileError, did_you_mean
from ..policies.newsvendor import TunedNewsvendor
from ..policies.registry import POLICIES, make_policy
from ..randomness import keyed_generator
from .tune import tune_base_stock, tune_constant_order, tune_newsvendor

Progress = Callable[[str], None]

VALIDATION_SHARE = 0.2
"""Share of the items that choose the best network and that gradients never see."""


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

    @property
    def tuned_on(self) -> Scenario:
        """What classical policies are tuned on."""
        return self.scenario if self.tuning is None else self.tuning

    @property
    def episode(self) -> int:
        """Periods of a training episode: one less than there are, since the last observation has a forecast."""
        if self.scenario.periods < 3:
            raise FractileError(
                f"training needs at least 3 periods before the held-out ones, got {self.scenario.periods}"
            )
        return min(26, self.scenario.periods - 1)

    @property
    def warm_up(self) -> int:
        """Periods of an episode whose cost is settled before the policy's orders arrive."""
        return min(self.params.slots, self.episode - 1)

    def split(self) -> tuple[PoolSource, PoolSource]:
        """Return episodes of most items, and of the items that validate."""
        items = keyed_generator(self.seed, "validation items").permutation(self.scenario.items)
        held = max(1, round(VALIDATION_SHARE * len(items)))
        if held >= len(items):
            return (PoolSource(self.scenario, self.params),) * 2
        return _pool(self, np.sort(items[held:])), _pool(self, np.sort(items[:held]))


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
    if name in _NETWORKS:
        return _NETWORKS[name](problem, options)
    if name in _TUNERS and not options:
        return _TUNERS[name](problem)
    return make_policy(name, **options)


def is_trained(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy of this name has parameters to find that the options do not give."""
    return name in _NETWORKS or (name in _TUNERS and not options)


def _backprop(problem: TrainingProblem, options: dict[str, Any]) -> Any:
    from .backprop import BackpropConfig, train_backprop

    defaults = BackpropConfig(
        steps=problem.backprop_steps,
        paths=512,
        periods=problem.episode,
        warm_up=problem.warm_up,
        learning_rate=3e-3,
        seed=problem.seed,
    )
    train, held = problem.split()
    return train_backprop(
        train,
        configured(defaults, options),
        validation=held,
        **_start(problem),
        progress=lambda step, steps, cost: problem.progress(f"backprop: step {step} of {steps}, cost {cost:.3f}"),
    )


def _ppo(problem: TrainingProblem, options: dict[str, Any]) -> Any:
    from .rl import PPOConfig, train_ppo

    defaults = PPOConfig(steps=problem.ppo_steps, periods=problem.episode, scale_free_reward=True, seed=problem.seed)
    return train_ppo(
        PoolSource(problem.scenario, problem.params),
        configured(defaults, options),
        **_start(problem),
        progress=lambda step, steps, _: problem.progress(f"ppo: step {step} of {steps}"),
    )


_NETWORKS: dict[str, Callable[[TrainingProblem, dict[str, Any]], Any]] = {"backprop": _backprop, "ppo": _ppo}

_TUNERS: dict[str, Callable[[TrainingProblem], Any]] = {
    "tuned_newsvendor": lambda problem: problem.newsvendor,
    "base_stock": lambda problem: tune_base_stock(problem.tuned_on, problem.params),
    "constant_order": lambda problem: tune_constant_order(problem.tuned_on, problem.params),
}


def _start(problem: TrainingProblem) -> dict[str, float]:
    return {"level_scale": problem.newsvendor.scale, "level_shift": problem.newsvendor.shift}


def configured(config: Any, options: Mapping[str, Any]) -> Any:
    """Return a configuration with some fields replaced; an unknown name lists the known ones."""
    known = [f.name for f in fields(config)]
    for name in options:
        if name not in known:
            raise FractileError(f"unknown training option {name!r}{did_you_mean(name, known)}")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return replace(config, **plain)


def _pool(problem: TrainingProblem, items: Any) -> PoolSource:
    forecasts = [f.select(items) for f in problem.scenario.forecasts or ()]
    demand = problem.scenario.demand[:, :, items]
    return PoolSource(Scenario(demand, forecasts=forecasts), problem.params.select(items))
