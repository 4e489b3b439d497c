"""Reinforcement learning through Stable-Baselines3, on the native batched environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from ..arrays import FloatArray
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import make_encoder
from ..envs.gym.observation import ActionMode, Encoder
from ..envs.gym.sb3_env import InventorySB3Env
from ..envs.gym.sources import EpisodeSource
from ..policies.neural import WIDEST_FEATURE, NeuralPolicy
from ..randomness import keyed_generator
from .recording import collect_features, one_thread

Progress = Callable[[int, int, float], None]
"""Called with (steps, all steps, mean reward of the last rollout)."""


@dataclass(frozen=True)
class PPOConfig:
    """How the agent is trained.

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


def train_ppo(
    source: EpisodeSource,
    config: PPOConfig | None = None,
    *,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    progress: Progress | None = None,
) -> NeuralPolicy:
    """Train an agent with proximal policy optimisation and return its actor.

    Args:
        source: where episodes come from.
        config: how to train.
        level_scale: of the newsvendor that actions move around; see `TunedNewsvendor`.
        level_shift: likewise.
        progress: told after every rollout.

    Returns:
        The agent's deterministic actor, in numpy; Stable-Baselines3 is not needed to use it.
    """
    config = config or PPOConfig()
    encoder = make_encoder(source, action=config.action, level_scale=level_scale, level_shift=level_shift)
    shift, spread = _statistics(source, encoder, config)
    env = _Standardised(_environment(source, encoder, config), shift, spread)
    with one_thread(), torch.random.fork_rng():
        agent = _agent(env, config)
        agent.set_logger(Logger(folder=None, output_formats=[]))
        agent.learn(config.steps, callback=None if progress is None else _Report(progress, config.steps))
    return NeuralPolicy(encoder, _actor_layers(agent), shift, spread, activation="tanh", bounded=True)


def _environment(source: EpisodeSource, encoder: Encoder, config: PPOConfig) -> InventorySB3Env:
    env = InventorySB3Env(
        source,
        config.num_envs,
        periods=config.periods,
        encoder=encoder,
        scale_free_reward=config.scale_free_reward,
        reward_scale=config.reward_scale,
    )
    env.seed(config.seed)
    return env


def _agent(env: VecEnv, config: PPOConfig) -> PPO:
    return PPO(
        "MlpPolicy",
        env,
        learning_rate=lambda left: config.learning_rate * (0.1 + 0.9 * left),
        n_steps=config.rollout,
        batch_size=config.batch_size,
        n_epochs=config.epochs,
        gamma=config.discount,
        gae_lambda=config.gae_lambda,
        policy_kwargs={"net_arch": list(config.hidden), "log_std_init": config.log_std},
        seed=config.seed,
        device="cpu",
    )


def _statistics(source: EpisodeSource, encoder: Encoder, config: PPOConfig) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of the features over what the newsvendor meets."""
    batch = InventoryBatch(source, paths=config.num_envs, periods=config.periods, encoder=encoder)
    batch.reset(keyed_generator(config.seed, "ppo", "statistics"))
    met = collect_features(encoder, batch)
    return met.mean(0), np.maximum(met.std(0), 1e-3)


def _actor_layers(agent: PPO) -> tuple[tuple[Any, Any], ...]:
    policy: Any = agent.policy
    linear = [m for m in policy.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
    return tuple(
        (m.weight.detach().numpy().T.astype(np.float64), m.bias.detach().numpy().astype(np.float64))
        for m in (*linear, policy.action_net)
    )


class _Standardised(VecEnvWrapper):
    """Subtracts fixed means from observations, divides by fixed spreads, and holds the result within bounds."""

    def __init__(self, venv: VecEnv, shift: FloatArray, spread: FloatArray) -> None:
        super().__init__(venv)
        self._shift, self._spread = shift, spread

    def reset(self) -> Any:
        """Begin all episodes."""
        return self._standardised(self.venv.reset())

    def step_wait(self) -> Any:
        """Standardise what the step returned, last observations of episodes too."""
        obs, reward, done, infos = self.venv.step_wait()
        if done.any():
            infos = [
                {**info, "terminal_observation": self._standardised(info["terminal_observation"])} for info in infos
            ]
        return self._standardised(obs), reward, done, infos

    def _standardised(self, obs: Any) -> Any:
        scaled = np.clip((obs - self._shift) / self._spread, -WIDEST_FEATURE, WIDEST_FEATURE)
        return scaled.astype(np.float32)


class _Report(BaseCallback):
    """Passes progress on."""

    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__()
        self._progress, self._steps = progress, steps

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        self._progress(self.num_timesteps, self._steps, float(model.rollout_buffer.rewards.mean()))

    def _on_step(self) -> bool:
        return True
