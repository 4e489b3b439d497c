"""Defaults of every trainer, once: how long, on how many episodes, over which grids.

`train_backprop` and `train_ppo` draw fresh episodes from a demand model without end, and start from `BackpropConfig()`
and `PPOConfig()`. `train_policy` and studies train on a recorded history, which ends: they start from
`BACKPROP_ON_HISTORY` and `PPO_ON_HISTORY`, whose smaller steps fit less of its noise. Nothing in here loads torch or
Stable-Baselines3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import FractileError, did_you_mean

if TYPE_CHECKING:  # study configs read defaults from here: pandas and scipy would take a second of every command
    from ..envs.gym.observation import ActionMode

ConfigT = TypeVar("ConfigT", "BackpropConfig", "PPOConfig")


@dataclass(frozen=True)
class BackpropConfig:
    """How a network is trained by gradients through the simulator.

    Attributes:
        steps: gradient steps.
        paths: episodes in each step.
        periods: length of an episode.
        warm_up: first periods whose cost does not count; they wash out the start.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam, at its highest; it falls to a hundredth along a cosine.
        clip: largest norm of a gradient.
        evaluate_every: steps between evaluations on the validation episodes; the best network is kept.
        validation_paths: episodes that are kept for validation.
        whole_units: round orders to packs while training (gradients pass straight through).
        seed: of the network, the episodes and the validation episodes.
    """

    steps: int = 600
    paths: int = 256
    periods: int = 40
    warm_up: int = 8
    hidden: tuple[int, ...] = (32, 32)
    learning_rate: float = 1e-2
    clip: float = 1.0
    evaluate_every: int = 50
    validation_paths: int = 1024
    whole_units: bool = False
    seed: int = 0


@dataclass(frozen=True)
class PPOConfig:
    """How an agent is trained by proximal policy optimisation.

    Attributes:
        steps: transitions in all.
        num_envs: episodes side by side.
        periods: length of an episode.
        action: what an action moves; see `ObservationEncoder`.
        hidden: sizes of the hidden layers of actor and critic.
        rollout: transitions of each episode between updates.
        batch_size: transitions in a gradient step.
        epochs: passes over a rollout.
        learning_rate: at the start; it falls linearly to a tenth.
        discount: of rewards; short, since an order acts within a few lead times. [γ]
        gae_lambda: of generalised advantage estimation. [λ]
        log_std: of the actions at the start.
        reward_scale: factor on rewards.
        scale_free_reward: weigh items of any size alike; False = money.
        seed: of the network and the episodes.
    """

    steps: int = 400_000
    num_envs: int = 256
    periods: int = 100
    action: ActionMode = "order_up_to"
    hidden: tuple[int, ...] = (64, 64)
    rollout: int = 32
    batch_size: int = 2048
    epochs: int = 4
    learning_rate: float = 1e-3
    discount: float = 0.95
    gae_lambda: float = 0.9
    log_std: float = -2.0
    reward_scale: float = 0.1
    scale_free_reward: bool = False
    seed: int = 0


@dataclass(frozen=True)
class TuningConfig:
    """How classical policies are tuned; the grids of fixed parameters stand with their coordinates, `tuning.fixed`.

    Attributes:
        scale_steps: scales of a fractile that are tried first, less one.
        shifts: shifts of its log-odds that are tried first.
        widenings: how often a grid goes on by half its reach where it ended too early.
        at_the_edge: share of the items whose own best point may lie at the edge of a grid.
        folds: parts of the stretch; what is chosen on all others must hold on each.
        pooling: weights of the pool's cost curve that are tried; infinity = one setting for all items.
        projected_periods: path-item-periods that `tuned_projected` is tuned on at most: it draws demand in each.
    """

    scale_steps: tuple[float, ...] = (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    shifts: tuple[float, ...] = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    widenings: int = 3
    at_the_edge: float = 0.1
    folds: int = 4
    pooling: tuple[float, ...] = (0.0, 0.5, 2.0, 8.0, float("inf"))
    projected_periods: int = 4_000


@dataclass(frozen=True)
class HistoryConfig:
    """How a recorded history is divided for the training of networks.

    Attributes:
        validation_items: share of the items that choose the best network and that gradients never see.
        window_parts: equal parts of the window, the last of which judges how far a network may move; it trains on the
            others.
        shortest_split: periods from which on a window is divided so.
        mean_reward: size to which `ppo`'s mean reward is brought: what its critic fits best.
        shares: of a network's moves away from the newsvendor that are tried on the last part of the window.
        longest_episode: periods of a training episode at most; longer windows give more starting periods instead.
    """

    validation_items: float = 0.2
    window_parts: int = 3
    shortest_split: int = 9
    mean_reward: float = 0.1
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    longest_episode: int = 40


BACKPROP_ON_HISTORY = BackpropConfig(learning_rate=3e-3)
"""Where `train_policy` and studies start from; episodes are as long as the history allows."""

PPO_ON_HISTORY = PPOConfig(learning_rate=3e-4)
"""Likewise."""

STUDY_PPO_STEPS = 600_000
"""Transitions of `ppo` in a study: half as many again as in `train_policy`, for its headline depends on them."""


def make_config(defaults: ConfigT, options: Mapping[str, Any]) -> ConfigT:
    """Return a configuration with some fields replaced.

    Args:
        defaults: what holds where the options say nothing.
        options: values by field name; lists stand for tuples.

    Raises:
        FractileError: where a name is unknown; it lists the known ones.
    """
    known = [field.name for field in fields(defaults)]
    for name in options:
        if name not in known:
            raise FractileError(f"unknown training option {name!r}{did_you_mean(name, known)}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return replace(defaults, **given)
