"""Defaults of every trainer, once: how long, on how many episodes, over which grids.

`train_backprop` and `train_agent` draw fresh episodes from a demand model without end, and start from
`BackpropConfig()` and `AGENTS[name]`. `train_policy` and studies train on a recorded history, which ends: they start
from `BACKPROP_ON_HISTORY` and `PPO_ON_HISTORY`, whose smaller steps fit less of its noise. Nothing in here loads torch
or Stable-Baselines3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..errors import FractileError, did_you_mean

if TYPE_CHECKING:  # study configs read defaults from here: pandas and scipy would take a second of every command
    from ..envs.gym.observation import ActionMode, Head

ConfigT = TypeVar("ConfigT", "BackpropConfig", "AgentConfig")


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
        whole_units: round orders to packs while training (gradients pass straight through); off, orders are of any
            size, and noise of up to half a pack stands for the rounding. Validation rounds either way.
        head: what the network's output moves: see `ObservationEncoder.action`; "auto" chooses by the system, and
            where sales are lost tries "direct" and "order_up_to" and goes on with the one that costs less.
        trial_steps: gradient steps of each head that is tried.
        activation: of the hidden layers, "tanh" or "relu"; "auto": relu for items, tanh for networks of locations.
        weighting: "newsvendor" divides the costs of each episode by what its newsvendor costs by the forecast, in
            training and in validation, so that dear items do not own the network; "money" adds costs as they are, as
            always where items share a capacity or form a network.
        device: of the tensors, "cpu" or "cuda".
        seed: of the network, the episodes and the validation episodes.
    """

    steps: int = 250
    paths: int = 256
    periods: int = 60
    warm_up: int = 12
    hidden: tuple[int, ...] = (32, 32)
    learning_rate: float = 1e-2
    clip: float = 1.0
    evaluate_every: int = 25
    validation_paths: int = 2048
    whole_units: bool = False
    head: Head | Literal["auto"] = "auto"
    trial_steps: int = 25
    activation: Literal["auto", "tanh", "relu"] = "auto"
    weighting: Literal["newsvendor", "money"] = "newsvendor"
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True)
class AgentConfig:
    """How a Stable-Baselines3 agent is trained; `AGENTS` holds each algorithm's own defaults.

    Attributes:
        steps: transitions in all.
        num_envs: episodes side by side.
        periods: length of an episode.
        warm_up: first periods of a validation episode whose cost does not count.
        action: what an action moves; see `ObservationEncoder`.
        discrete: number of equally spaced actions of each order; None = any.
        hidden: sizes of the hidden layers of actor and critic.
        learning_rate: at the start; it falls linearly to a tenth.
        discount: of rewards; short, since an order acts within a few lead times. [γ]
        mean_reward: size to which rewards are brought: that of the newsvendor's mean reward.
        scale_free_reward: weigh items of any size alike; False = money.
        evaluations: on the validation episodes, evenly over the training; the best actor is returned.
        validation_paths: episodes that are kept for validation.
        action_noise: standard deviation of the normal noise that explores, added to actions (`td3`, `ddpg`); None =
            the algorithm's own way to explore.
        options: other arguments of the algorithm's class, e.g. {"n_steps": 32, "gae_lambda": 0.9} for PPO.
        policy_options: arguments of its network (`policy_kwargs`), e.g. {"log_std_init": -1.0}.
        seed: of the network and the episodes.
    """

    steps: int = 400_000
    num_envs: int = 256
    periods: int = 100
    warm_up: int = 10
    action: ActionMode = "order_up_to"
    discrete: int | None = None
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 1e-3
    discount: float = 0.95
    mean_reward: float = 1.0
    scale_free_reward: bool = False
    evaluations: int = 12
    validation_paths: int = 512
    action_noise: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    policy_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


_REPLAYED = {"gradient_steps": 4, "batch_size": 256, "learning_starts": 1000, "buffer_size": 50_000}

AGENTS: dict[str, AgentConfig] = {
    "ppo": AgentConfig(
        steps=1_000_000,
        options={"n_steps": 16, "batch_size": 1024, "n_epochs": 4, "gae_lambda": 0.9},
        policy_options={"log_std_init": -2.0},
    ),
    "a2c": AgentConfig(steps=600_000, options={"n_steps": 8, "gae_lambda": 0.9}, policy_options={"log_std_init": -2.0}),
    "sac": AgentConfig(steps=24_000, num_envs=16, options={**_REPLAYED, "ent_coef": "auto_0.1"}),
    "td3": AgentConfig(
        steps=24_000,
        num_envs=16,
        action_noise=0.1,
        evaluations=24,
        options={**_REPLAYED, "target_policy_noise": 0.05, "target_noise_clip": 0.1},
    ),
    "ddpg": AgentConfig(steps=32_000, num_envs=16, action_noise=0.1, options=_REPLAYED),
    "dqn": AgentConfig(
        steps=100_000,
        num_envs=16,
        discrete=31,
        options={**_REPLAYED, "gradient_steps": 8, "exploration_fraction": 0.3, "exploration_final_eps": 0.02},
    ),
}
"""Defaults of each algorithm; those that are not listed start from `AgentConfig()`."""


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
        newsvendor_periods: path-item-periods that `tuned_newsvendor` is tuned on at most: all items share its setting.
        projected_periods: likewise for `tuned_projected`, which draws demand in each.
        lookahead_periods: likewise for `lookahead`.
    """

    scale_steps: tuple[float, ...] = (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    shifts: tuple[float, ...] = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    widenings: int = 3
    at_the_edge: float = 0.1
    folds: int = 4
    pooling: tuple[float, ...] = (0.0, 0.5, 2.0, 8.0, float("inf"))
    newsvendor_periods: int = 100_000
    projected_periods: int = 4_000
    lookahead_periods: int = 1_500


@dataclass(frozen=True)
class HistoryConfig:
    """How a recorded history is divided for the training of networks.

    Attributes:
        validation_items: share of the items that choose the best network and that gradients never see.
        window_parts: equal parts of the window, the last of which judges how far a network may move; it trains on the
            others.
        shortest_split: periods from which on a window is divided so.
        shares: of the way from the cheapest reference to a network's orders that are tried on the periods kept for
            choosing.
        margin: standard errors by which a network must be cheaper there to be followed.
        references: the policies that networks are held against.
        longest_episode: periods of a training episode at most; longer windows give more starting periods instead.
    """

    validation_items: float = 0.2
    window_parts: int = 3
    shortest_split: int = 9
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    margin: float = 2.0
    references: tuple[str, ...] = (
        *("newsvendor", "projected", "tuned_newsvendor", "tuned_projected", "base_stock"),
        "generalist",
    )
    longest_episode: int = 40


BACKPROP_ON_HISTORY = BackpropConfig(learning_rate=3e-3)
"""Where `train_policy` and studies start from; episodes are as long as the history allows."""

AGENTS_ON_HISTORY = {name: replace(agent, learning_rate=0.3 * agent.learning_rate) for name, agent in AGENTS.items()}
"""Likewise."""

PPO_ON_HISTORY = AGENTS_ON_HISTORY["ppo"]
"""Likewise."""

STUDY_PPO_STEPS = 600_000
"""Transitions of `ppo` in a study: half as many again as in `train_policy`, for its headline depends on them."""


AGENT_OPTIONS = (
    *("n_steps", "batch_size", "n_epochs", "gae_lambda", "clip_range", "ent_coef", "vf_coef", "max_grad_norm"),
    *("normalize_advantage", "target_kl", "use_rms_prop", "rms_prop_eps", "use_sde", "sde_sample_freq"),
    *("buffer_size", "learning_starts", "tau", "train_freq", "gradient_steps", "target_entropy"),
    *("policy_delay", "target_policy_noise", "target_noise_clip", "target_update_interval"),
    *("exploration_fraction", "exploration_initial_eps", "exploration_final_eps", "top_quantiles_to_drop_per_net"),
)
"""Arguments of Stable-Baselines3's classes that may stand beside the fields of `AgentConfig`."""


def make_config(defaults: ConfigT, options: Mapping[str, Any]) -> ConfigT:
    """Return a configuration with some fields replaced.

    Args:
        defaults: what holds where the options say nothing.
        options: values by field name; lists stand for tuples. For an agent, arguments of its Stable-Baselines3 class,
            too: they go into `AgentConfig.options`.

    Raises:
        FractileError: where a name is unknown; it lists the known ones.
    """
    names: list[str] = [field.name for field in fields(defaults)]
    own: tuple[str, ...] = AGENT_OPTIONS if isinstance(defaults, AgentConfig) else ()
    for name in options:
        if name not in names and name not in own:
            raise FractileError(f"unknown training option {name!r}{did_you_mean(name, [*names, *own])}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if k in names}
    more = {k: v for k, v in options.items() if k not in names}
    if more:
        given["options"] = {**getattr(defaults, "options", {}), **given.get("options", {}), **more}
    return replace(defaults, **given)
