"""Reinforcement learning through Stable-Baselines3, on the native batched environment."""

from __future__ import annotations

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
from ..envs.gym.sb3_env import InventorySB3Env
from ..envs.gym.sources import EpisodeSource
from ..policies.neural import WIDEST_FEATURE, NeuralPolicy, feature_statistics
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .backprop import one_thread
from .config import PPOConfig


def train_ppo(
    source: EpisodeSource,
    config: PPOConfig | None = None,
    *,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    progress: Progress = no_progress,
) -> NeuralPolicy:
    """Train an agent with proximal policy optimisation and return its actor.

    Args:
        source: where episodes come from.
        config: how to train.
        level_scale: of the newsvendor that actions move around; see `TunedNewsvendor`.
        level_shift: likewise.
        progress: called after every rollout.

    Returns:
        The agent's deterministic actor, in numpy; Stable-Baselines3 is not needed to use it.
    """
    config = config or PPOConfig()
    encoder = make_encoder(source, action=config.action, level_scale=level_scale, level_shift=level_shift)
    batch = InventoryBatch(source, paths=config.num_envs, periods=config.periods, encoder=encoder)
    batch.reset(keyed_generator(config.seed, "ppo", "statistics"))
    shift, spread = feature_statistics(encoder, batch)
    env = InventorySB3Env(
        source,
        config.num_envs,
        periods=config.periods,
        encoder=encoder,
        scale_free_reward=config.scale_free_reward,
        reward_scale=config.reward_scale,
    )
    env.seed(config.seed)
    with one_thread(), torch.random.fork_rng():
        agent = PPO(
            "MlpPolicy",
            _StandardisedEnv(env, shift, spread),
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
        agent.set_logger(Logger(folder=None, output_formats=[]))
        agent.learn(config.steps, callback=_ProgressCallback(progress, config.steps))
    actor: Any = agent.policy
    linear = [m for m in actor.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
    layers = tuple(
        (m.weight.detach().numpy().T.astype(np.float64), m.bias.detach().numpy().astype(np.float64))
        for m in (*linear, actor.action_net)
    )
    return NeuralPolicy(encoder, layers, shift, spread, activation="tanh", bounded=True)


class _StandardisedEnv(VecEnvWrapper):
    """Subtracts fixed means from observations, divides by fixed spreads, and clips: what `NeuralPolicy` does."""

    def __init__(self, venv: VecEnv, shift: FloatArray, spread: FloatArray) -> None:
        super().__init__(venv)
        self._shift, self._spread = shift, spread

    def reset(self) -> Any:
        """Begin all episodes."""
        return self._standardise(self.venv.reset())

    def step_wait(self) -> Any:
        """Standardise what the step returned, last observations of episodes too."""
        obs, reward, done, infos = self.venv.step_wait()
        if done.any():
            infos = [
                {**info, "terminal_observation": self._standardise(info["terminal_observation"])} for info in infos
            ]
        return self._standardise(obs), reward, done, infos

    def _standardise(self, obs: Any) -> Any:
        scaled = np.clip((obs - self._shift) / self._spread, -WIDEST_FEATURE, WIDEST_FEATURE)
        return scaled.astype(np.float32)


class _ProgressCallback(BaseCallback):
    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__()
        self._progress, self._steps = progress, steps

    def _on_rollout_end(self) -> None:
        # The last rollout is played to its end, so that more than `steps` transitions may be over.
        self._progress(f"ppo: step {self.num_timesteps} of {self._steps}", min(self.num_timesteps / self._steps, 1.0))

    def _on_step(self) -> bool:
        return True
