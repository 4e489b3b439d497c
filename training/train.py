"""From a policy's name to a policy that is ready to order: tuned or trained where it has parameters to find.

How far a network may move away from its baseline stands at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..envs.gym.sources import DemandSource, EpisodeSource, JointSource, PoolSource
from ..policies.base import Planner, Policy
from ..policies.neural import NeuralPolicy
from ..policies.registry import POLICIES, make_policy
from ..policies.rollout import simulate
from ..policies.sb3 import SB3Policy
from .config import AGENTS, AGENTS_ON_HISTORY, BACKPROP_ON_HISTORY, BackpropConfig, HistoryConfig, make_config
from .problem import TrainingProblem
from .tune import tune_base_stock, tune_constant_order

# Where episodes come from is part of what a trainer needs: `fr.training` shows it beside the trainers.
__all__ = [
    "DemandSource",
    "EpisodeSource",
    "JointSource",
    "PoolSource",
    "TrainingProblem",
    "is_learned",
    "needs_training",
    "shrink_actions",
    "train_policy",
]


def train_policy(name: str, problem: TrainingProblem, options: Mapping[str, Any] | None = None) -> Policy | Planner:
    """Return the policy of a name, tuned or trained on a problem where it has parameters to find.

    What a reader should know of how it came about is added to `problem.notes[name]`.

    Args:
        name: a key of `POLICIES`.
        problem: what to train on.
        options: parameters that are given, or fields of the training configuration (`backprop`, agents).

    Raises:
        FractileError: where the name or an option is unknown.
    """
    options = dict(options or {})
    POLICIES.known(name)
    if not needs_training(name, options):
        made: Policy | Planner = make_policy(name, **options)
        return made
    return _TRAINERS[name](name, problem, options) if name in _TRAINERS else _TUNERS[name](problem)


def needs_training(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy of this name has parameters to find that the options do not give."""
    return name in _TRAINERS or (name in _TUNERS and not options)


def is_learned(name: str) -> bool:
    """Whether a policy of this name is a network; all others are classical."""
    return name in _TRAINERS


def _train_backprop(name: str, problem: TrainingProblem, options: Mapping[str, Any]) -> Policy:
    from .backprop import train_backprop  # torch is loaded when a network is trained, not before

    if problem.source is not None:
        config = make_config(BackpropConfig(seed=problem.seed), options)
        return train_backprop(problem.source, config, progress=problem.progress)
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
    return _shrink(name, policy, problem)


def _train_agent(name: str, problem: TrainingProblem, options: Mapping[str, Any]) -> Policy:
    from .agents import train_agent  # torch and Stable-Baselines3, likewise

    if problem.source is not None:
        config = make_config(replace(AGENTS[name], seed=problem.seed), options)
        return train_agent(name, problem.source, config, progress=problem.progress)
    defaults = replace(
        AGENTS_ON_HISTORY[name],
        periods=problem.episode_periods,
        warm_up=problem.warm_up,
        seed=problem.seed,
    )
    if name == "ppo":
        defaults = replace(defaults, steps=problem.ppo_steps)
    train, validation = problem.split_items()
    policy = train_agent(
        name,
        train,
        make_config(defaults, options),
        validation=validation,
        level_scale=problem.newsvendor.scale,
        level_shift=problem.newsvendor.shift,
        progress=problem.progress,
    )
    return _shrink(name, policy, problem)


NetworkT = TypeVar("NetworkT", NeuralPolicy, SB3Policy)

Trainer = Callable[[str, TrainingProblem, Mapping[str, Any]], Policy]
"""From a policy's name, a problem and options to the policy."""

_TRAINERS: dict[str, Trainer] = {"backprop": _train_backprop, **dict.fromkeys(AGENTS, _train_agent)}

_TUNERS: dict[str, Callable[[TrainingProblem], Policy]] = {
    "tuned_newsvendor": lambda problem: problem.newsvendor,
    "base_stock": lambda problem: tune_base_stock(problem.tuning_scenario, problem.params),
    "constant_order": lambda problem: tune_constant_order(problem.tuning_scenario, problem.params),
}


def _shrink(name: str, policy: NetworkT, problem: TrainingProblem) -> NetworkT:
    """Return a network that moves as far from the newsvendor as the periods kept for choosing bear out."""
    found = problem.choosing
    if found is None:
        return policy
    scenario, warm_up = found
    shrunk = shrink_actions(policy, scenario, problem.params, warm_up, problem.history)
    problem.progress(f"the last part of the window bears out {shrunk.share:.0%} of the network's moves")
    problem.note(name, f"{shrunk.share:.0%} of its moves away from the newsvendor pay on the periods kept for choosing")
    return shrunk


def shrink_actions(
    policy: NetworkT, scenario: Scenario, params: ItemParams, warm_up: int, config: HistoryConfig | None = None
) -> NetworkT:
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
