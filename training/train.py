"""From a policy's name to a policy that is ready to order: tuned or trained where it has parameters to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..envs.gym.sources import DemandSource, EpisodeSource, JointSource, PoolSource
from ..policies.base import Planner, Policy
from ..policies.registry import POLICIES, make_policy
from .choice import follow
from .config import AGENTS, AGENTS_ON_HISTORY, BACKPROP_ON_HISTORY, BackpropConfig, make_config
from .pieces import keep_network, network_key
from .problem import TrainingProblem
from .tune import TUNERS

# Where episodes come from is part of what a trainer needs: `fr.training` shows it beside the trainers.
__all__ = [
    "DemandSource",
    "EpisodeSource",
    "JointSource",
    "PoolSource",
    "TrainingProblem",
    "check_policy_options",
    "is_learned",
    "is_trained",
    "needs_training",
    "train_network",
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
    if name not in _TRAINERS:
        return problem.tune(name)
    network = train_network(name, problem, options)
    return network if problem.source is not None else follow(name, network, problem)


def check_policy_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that `train_policy` would refuse, before anything is fitted or drawn for it.

    Args:
        name: a key of `POLICIES`, or the address of a class of one's own.
        options: parameters of the policy, or fields of its training configuration.

    Raises:
        FractileError: where the name or an option is unknown.
    """
    POLICIES.known(name)
    if name == "backprop":
        make_config(BackpropConfig(), options)
    elif name in AGENTS:
        make_config(AGENTS[name], options)
    else:
        POLICIES.check_options(name, options)


def train_network(
    name: str, problem: TrainingProblem, options: Mapping[str, Any] | None = None, *, seed: int | None = None
) -> Policy:
    """Return a network trained on a problem, as it is: `train_policy` holds it against classical policies.

    Args:
        name: of a policy that is trained: see `is_trained`.
        problem: what to train on.
        options: fields of the training configuration.
        seed: of the network and its episodes, in place of the problem's.
    """
    chosen = problem.seed if seed is None else seed
    train = _TRAINERS[name]
    return keep_network(problem.parts, name, chosen, lambda: train(name, problem, dict(options or {}), chosen))


def needs_training(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a policy of this name has parameters to find that the options do not give."""
    return name in _TRAINERS or (name in TUNERS and not options)


def is_trained(name: str) -> bool:
    """Whether a policy of this name is a network that is trained here, so that a training seed decides on it, too."""
    return name in _TRAINERS


def is_learned(name: str) -> bool:
    """Whether a policy of this name is a network; all others are classical."""
    return name in _TRAINERS or name == "generalist"


def _train_backprop(_: str, problem: TrainingProblem, options: Mapping[str, Any], seed: int) -> Policy:
    from .backprop import train_backprop  # torch is loaded when a network is trained, not before

    checkpoint = problem.parts.checkpoint(network_key("backprop", seed))
    if problem.source is not None:
        config = make_config(BackpropConfig(seed=seed), options)
        return train_backprop(problem.source, config, progress=problem.progress, checkpoint=checkpoint)
    defaults = replace(
        BACKPROP_ON_HISTORY,
        steps=problem.backprop_steps,
        periods=problem.episode_periods,
        warm_up=problem.warm_up,
        seed=seed,
    )
    train, validation = problem.split_items()
    return train_backprop(
        train,
        make_config(defaults, options),
        validation=validation,
        level_scale=problem.newsvendor.scale,
        level_shift=problem.newsvendor.shift,
        progress=problem.progress,
        checkpoint=checkpoint,
    )


def _train_agent(name: str, problem: TrainingProblem, options: Mapping[str, Any], seed: int) -> Policy:
    from .agents import train_agent  # torch and Stable-Baselines3, likewise
    from .checkpoint import Tracking

    if problem.source is not None:
        config = make_config(replace(AGENTS[name], seed=seed), options)
        return train_agent(name, problem.source, config, progress=problem.progress)
    defaults = replace(
        AGENTS_ON_HISTORY[name],
        periods=problem.episode_periods,
        warm_up=problem.warm_up,
        seed=seed,
    )
    if name == "ppo":
        defaults = replace(defaults, steps=problem.ppo_steps)
    train, validation = problem.split_items()
    return train_agent(
        name,
        train,
        make_config(defaults, options),
        validation=validation,
        level_scale=problem.newsvendor.scale,
        level_shift=problem.newsvendor.shift,
        progress=problem.progress,
        track=Tracking(checkpoint=problem.parts.checkpoint(network_key(name, seed))),
    )


Trainer = Callable[[str, TrainingProblem, Mapping[str, Any], int], Policy]
"""From a policy's name, a problem, options and a seed to the network."""

_TRAINERS: dict[str, Trainer] = {"backprop": _train_backprop, **dict.fromkeys(AGENTS, _train_agent)}
