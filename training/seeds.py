"""The same network from several training seeds: what it earns depends on the seed, and a study says by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..policies.base import Policy
from ..progress import portion
from ..randomness import keyed_generator
from .choice import follow
from .problem import TrainingProblem
from .train import train_network


def train_networks(
    name: str, problem: TrainingProblem, options: Mapping[str, Any] | None = None, seeds: int = 1
) -> tuple[Policy, ...]:
    """Train a network with several seeds.

    Args:
        name: of a policy that is trained.
        problem: what to train on.
        options: fields of the training configuration; a `seed` among them is the first one.
        seeds: how many; the first one is the problem's, those after it follow from it.

    Returns:
        The networks as they are, one a seed: see `follow_networks`.
    """
    rest = dict(options or {})
    chosen = training_seeds(rest, problem.seed, seeds)
    rest.pop("seed", None)
    report, networks = problem.progress, []
    for k, seed in enumerate(chosen):
        problem.progress = portion(report, k / seeds, (k + 1) / seeds)
        networks.append(train_network(name, problem, rest, seed=seed))
    problem.progress = report
    return tuple(networks)


def training_seeds(options: Mapping[str, Any], seed: int, number: int) -> tuple[int, ...]:
    """Return the seeds that a network is trained with.

    Args:
        options: fields of the training configuration; a `seed` among them is the first one.
        seed: the first one otherwise.
        number: how many; those after the first follow from it.
    """
    first = int(options.get("seed", seed))
    return (first, *(int(keyed_generator(first, "training seed", k).integers(2**31)) for k in range(1, number)))


def follow_networks(name: str, networks: Sequence[Policy], problem: TrainingProblem) -> tuple[Policy, ...]:
    """Follow each network as far as the periods kept for choosing bear out: see `choice.follow`.

    Notes say which seed they speak of where there are several, and are one where all seeds are put back.

    Args:
        name: of the learned policy.
        networks: one a training seed.
        problem: with periods kept for choosing.
    """
    followed, notes = [], []
    for network in networks:
        followed.append(follow(name, network, problem))
        notes.append(problem.notes.pop(name, []))
    number = len(networks)
    if number > 1 and problem.choosing is not None and all(policy is problem.reference[1] for policy in followed):
        against = problem.reference[0].replace("_", " ")
        problem.note(name, f"all {number} training seeds order as {against}, the cheapest where policies are chosen")
    for k, texts in enumerate(notes):
        for text in texts:
            problem.note(name, f"training seed {k + 1} of {number}: {text}" if number > 1 else text)
    return tuple(followed)
