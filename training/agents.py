"""Reinforcement learning through Stable-Baselines3, on the native batched environment."""

from __future__ import annotations

import importlib.util
import inspect
import time
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise

from ..arrays import FloatArray
from ..envs.core.types import HistoryView
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import make_encoder
from ..envs.gym.sb3_env import InventorySB3Env
from ..envs.gym.sources import EpisodeSource
from ..envs.gym.standardise import feature_statistics, scale_free_weight
from ..errors import FractileError, did_you_mean
from ..policies.rollout import NO_HISTORY, roll
from ..policies.sb3 import SB3Policy
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .backprop import one_thread
from .checkpoint import Checkpoint, Tracking, restore_checkpoint, save_checkpoint
from .config import AGENTS, AgentConfig

ALGORITHMS = {
    "ppo": "stable_baselines3:PPO",
    "a2c": "stable_baselines3:A2C",
    "sac": "stable_baselines3:SAC",
    "td3": "stable_baselines3:TD3",
    "ddpg": "stable_baselines3:DDPG",
    "dqn": "stable_baselines3:DQN",
    "tqc": "sb3_contrib:TQC",
    "trpo": "sb3_contrib:TRPO",
    "crossq": "sb3_contrib:CrossQ",
}
"""Where each algorithm's class is; sb3_contrib has to be installed for the last ones."""


def train_agent(
    name: str,
    source: EpisodeSource,
    config: AgentConfig | None = None,
    *,
    validation: EpisodeSource | None = None,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    view: HistoryView = NO_HISTORY,
    progress: Progress = no_progress,
    track: Tracking | None = None,
) -> SB3Policy:
    """Train a Stable-Baselines3 agent and return its best actor.

    Args:
        name: of the algorithm, a key of `ALGORITHMS`.
        source: where training episodes come from.
        config: how to train; `AGENTS[name]` where None.
        validation: where the episodes that choose the best actor come from; `source` where None.
        level_scale: of the newsvendor that actions move around; see `TunedNewsvendor`.
        level_shift: likewise.
        view: what observations hold of the past.
        progress: called after every evaluation.
        track: learning curve, checkpoints, TensorBoard; nothing of it where None.

    Returns:
        The deterministic actor of least cost on the validation episodes, in numpy; Stable-Baselines3 is not needed to
        use it.

    Raises:
        FractileError: where the algorithm is unknown or not installed, an option is none of its own, or a checkpoint
            is of another training.
    """
    algorithm = algorithm_class(name)
    config, track = config or AGENTS.get(name, AgentConfig()), track or Tracking()
    _check_options(name, algorithm, config)
    encoder = make_encoder(
        source, action=config.action, memory=view.memory, level_scale=level_scale, level_shift=level_shift
    )
    judge = InventoryBatch(
        validation or source, paths=config.validation_paths, periods=config.periods, encoder=encoder, view=view
    )
    found = feature_statistics(judge, keyed_generator(config.seed, name, "statistics"), config.scale_free_reward)
    env = InventorySB3Env(
        source,
        config.num_envs,
        periods=config.periods,
        encoder=found.standardise(encoder),
        view=view,
        discrete=config.discrete,
        reward="scale_free" if config.scale_free_reward else "cost",
        reward_scale=config.mean_reward / max(found.cost, 1e-9),
        reward_shift=config.mean_reward,
    )
    env.seed(config.seed)
    judge.reset(keyed_generator(config.seed, name, "validation"))
    with one_thread(), torch.random.fork_rng():
        agent = _build(algorithm, env, config, track)
        run = _Evaluation(name, env, Validation(judge, config), config, progress, track)
        run.restore(agent)
        left = config.steps - agent.num_timesteps
        if left > 0:
            agent.learn(left, callback=run, reset_num_timesteps=not agent.num_timesteps)
            run.evaluate()
        agent.policy.load_state_dict(run.best)
        return SB3Policy(agent, env, algorithm=name)


def train_ppo(source: EpisodeSource, config: AgentConfig | None = None, **options: Any) -> SB3Policy:
    """Train an agent with proximal policy optimisation: `train_agent("ppo", ...)`."""
    return train_agent("ppo", source, config, **options)


def _build(algorithm: Any, env: InventorySB3Env, config: AgentConfig, track: Tracking) -> Any:
    """Return the untrained agent."""
    options = dict(config.options)
    if config.action_noise is not None:
        sigma = np.full(env.batch.orders, config.action_noise)
        options["action_noise"] = NormalActionNoise(np.zeros_like(sigma), sigma)
    if track.tensorboard is not None:
        if importlib.util.find_spec("tensorboard") is None:
            raise FractileError("TensorBoard is not installed: pip install 'fractile[track]'")
        options["tensorboard_log"] = str(track.tensorboard)
    agent = algorithm(
        "MlpPolicy",
        env,
        learning_rate=lambda left: config.learning_rate * (0.1 + 0.9 * left),
        gamma=config.discount,
        policy_kwargs={"net_arch": list(config.hidden), **config.policy_options},
        seed=config.seed,
        device="cpu",
        **options,
    )
    if track.tensorboard is None:
        agent.set_logger(Logger(folder=None, output_formats=[]))
    return agent


def _check_options(name: str, algorithm: Any, config: AgentConfig) -> None:
    known = inspect.signature(algorithm).parameters
    for option in config.options:
        if option not in known:
            raise FractileError(f"{name} has no option {option!r}{did_you_mean(option, known)}")
    if config.action_noise is not None and "action_noise" not in known:
        raise FractileError(f"{name} takes no action_noise: it explores by itself")
    if name in ("dqn", "qrdqn") and config.discrete is None:
        raise FractileError(f"{name} chooses one of a few actions: give discrete, e.g. 31")


def algorithm_class(name: str) -> Any:
    """Return the class of an algorithm.

    Raises:
        FractileError: where the name is unknown, or its package is not installed.
    """
    if name not in ALGORITHMS:
        raise FractileError(f"unknown algorithm {name!r}{did_you_mean(name, ALGORITHMS)}")
    module, _, attribute = ALGORITHMS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as fault:
        raise FractileError(f"{name} needs the package {module}: pip install {module.replace('_', '-')}") from fault


@dataclass(frozen=True, eq=False)
class Validation:
    """Episodes that actors are compared on, the same for all of them.

    Attributes:
        batch: episodes that have begun and are never played on.
        config: periods, warm-up, and whether items of any size weigh alike.
    """

    batch: InventoryBatch
    config: AgentConfig
    weight: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        free = self.config.scale_free_reward
        weight = scale_free_weight(self.batch, self.batch.observe()) if free else np.ones(self.batch.paths)
        object.__setattr__(self, "weight", weight)

    def cost(self, policy: Any) -> float:
        """Return a policy's cost per period, summed over items and averaged over episodes."""
        batch, config = self.batch, self.config
        scenario = batch.scenario.window(0, config.periods)
        rolled = roll(policy, scenario, batch.params, batch.state, batch.view)
        warm_up = min(config.warm_up, config.periods - 1)
        costs = [float(self.weight @ outcome.cost.sum(1)) for _, outcome in rolled][warm_up:]
        return float(np.mean(costs) / batch.paths)


class _Evaluation(BaseCallback):
    """Evaluates the actor every so many transitions, and keeps the best one's weights."""

    def __init__(
        self,
        name: str,
        env: InventorySB3Env,
        validation: Validation,
        config: AgentConfig,
        progress: Progress,
        track: Tracking,
    ) -> None:
        super().__init__()
        self._name, self._env, self._validation, self._config = name, env, validation, config
        self._progress, self._track = progress, track
        self._every = max(1, config.steps // max(config.evaluations, 1))
        self._next = self._every
        self._start = time.process_time()
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}

    @property
    def lowest(self) -> float:
        """The lowest cost so far."""
        return min((point["cost"] for point in self.curve), default=np.inf)

    def restore(self, agent: Any) -> None:
        """Continue from the checkpoint, where there is one."""
        folder = self._track.checkpoint
        found = None if folder is None else restore_checkpoint(folder, agent, self._key, self._env.rng)
        if found is not None:
            self.curve, self.best = found.curve, found.best
            self._start -= self.curve[-1]["seconds"]
            self._next = found.step + self._every

    def _on_training_start(self) -> None:
        if not self.curve:
            self.evaluate()

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self._every
            self.evaluate()
        return True

    def evaluate(self) -> None:
        """Simulate the actor on the validation episodes."""
        step = int(self.model.num_timesteps)
        if self.curve and step == self.curve[-1]["step"]:
            return
        cost = self._validation.cost(SB3Policy(self.model, self._env))
        if not np.isfinite(cost):
            raise FractileError(f"{self._name} has diverged at step {step}; lower its learning_rate")
        if cost < self.lowest:
            self.best = deepcopy(self.model.policy.state_dict())
        point = {"step": float(step), "cost": cost, "best": min(cost, self.lowest)}
        self.curve.append({**point, "seconds": time.process_time() - self._start})
        if self._track.record is not None:
            self._track.record(self.curve[-1])
        if self._track.tensorboard is not None and self.model.logger is not None:
            self.model.logger.record("eval/cost", cost)
        if self._track.checkpoint is not None:
            kept = Checkpoint(step, self.curve, self.best, self._key)
            save_checkpoint(self._track.checkpoint, self.model, kept, self._env.rng)
        done = min(step / self._config.steps, 1.0)
        self._progress(f"{self._name}: step {step} of {self._config.steps}, cost {cost:.4g}", done)

    @property
    def _key(self) -> str:
        return f"{self._name} {self._config} {self._env.batch.encoder.size}"
