"""The bridge to Stable-Baselines3: any trained agent as a policy, kept without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.types import Observation, Scenario
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.discrete import ActionGrid
from ..envs.gym.encoders import FlatEncoder, StandardisedEncoder, encoder_from_config, level_of
from ..envs.gym.observation import Encoder, ForecastEncoder, ObservationEncoder
from ..errors import FractileError
from ..files import usable
from ..forecasters.storage import load_state, save_state
from .actors import Actor, MlpActor, read_actor

POLICY_FILE = "sb3-policy"
TRANSPARENT = {
    *("Monitor", "VecMonitor", "VecCheckNan", "VecVideoRecorder", "TimeLimit", "OrderEnforcing", "PassiveEnvChecker"),
    *("RecordEpisodeStatistics", "RecordVideo", "Autoreset", "NormalizeReward", "TransformReward", "ClipReward"),
}
"""Wrappers that change neither observations nor actions."""


class Reading(NamedTuple):
    """What a policy needs of an environment.

    Attributes:
        encoder: what its agents see, statistics of `VecNormalize` included, and what their actions mean.
        orders: actions of an episode.
        grid: the actions that agents choose from; None = any.
    """

    encoder: Encoder
    orders: int
    grid: ActionGrid | None


@dataclass(frozen=True, eq=False, init=False)
class SB3Policy:
    """A trained Stable-Baselines3 agent as a policy: `fr.simulate`, `fr.compare`, `fr.check_policy`, studies.

    Its deterministic actor orders. Multi-layer perceptrons are read into numpy, so that neither torch nor
    Stable-Baselines3 is needed to order, and are kept as safetensors and JSON; other networks order through the
    agent's own `predict` and cannot be kept.

    Args:
        model: a trained agent (`PPO`, `SAC`, …), or an actor that was read from one.
        env: the environment that it was trained on, in whatever wrappers; statistics of `VecNormalize` are carried,
            so give that wrapper, not what is in it: the agent would read features of another scale. None = the
            agent's own.
        encoder: with an actor, in place of an environment.
        algorithm: name of the agent's algorithm; its class's where None.
        share: factor on actions; below 1 where the full actions cost more on later periods, 0 is action 0.

    Attributes:
        model: the actor.

    Raises:
        FractileError: where the environment is none of this package, or a wrapper changes what agents see.
    """

    reads_protection_total: ClassVar[bool] = True

    model: Actor
    encoder: Encoder
    algorithm: str
    share: float

    def __init__(
        self,
        model: Any,
        env: Any = None,
        *,
        encoder: Encoder | None = None,
        algorithm: str | None = None,
        share: float = 1.0,
    ) -> None:
        if encoder is None:
            read = read_environment(env if env is not None else _environment_of(model))
            _check_model(model, read)
            name = type(model).__name__.lower()
            actor: Any = read_actor(model, size=read.encoder.size, orders=read.orders, grid=read.grid)
            encoder, algorithm = read.encoder, algorithm or name
        else:
            actor = model
        object.__setattr__(self, "model", actor)
        object.__setattr__(self, "encoder", encoder)
        object.__setattr__(self, "algorithm", algorithm or "sb3")
        object.__setattr__(self, "share", share)

    def __repr__(self) -> str:
        return f"SB3Policy({self.algorithm}, {self.model!r}, share={self.share:g})"

    @property
    def slots(self) -> int | None:
        """Pipeline slots of its training, the longest lead time there; None where its encoder does not say."""
        encoder: Any = self.encoder
        while isinstance(encoder, FlatEncoder | StandardisedEncoder):
            encoder = encoder.each if isinstance(encoder, FlatEncoder) else encoder.encoder
        return int(encoder.slots) if isinstance(encoder, ObservationEncoder) else None

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items), or (paths, links) in a network."""
        if isinstance(self.encoder, ForecastEncoder):
            obs = self.encoder.with_features(obs)  # read once, for features and orders
        return self.encoder.decode(self.action(obs), obs)

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with what the encoder reads of its forecasts, computed once for all periods."""
        return self.encoder.prepare(scenario, params) if isinstance(self.encoder, ForecastEncoder) else scenario

    def action(self, obs: Observation) -> FloatArray:
        """Return actions in [−1, 1], shape (paths, items), or (paths, links) in a network."""
        features = np.asarray(self.encoder.encode(obs))
        if features.shape[-1] != self.encoder.size:
            raise FractileError(f"the agent reads {self.encoder.size} features, got {features.shape[-1]}")
        action: FloatArray = self.share * self.encoder.collect(self.model.act(features))
        return action

    def target(self, obs: Observation) -> Array:
        """Return the level that actions move around, units, shape (1 or paths, items); nothing in a network."""
        return level_of(self.encoder, obs)

    def save(self, folder: str | Path) -> None:
        """Write the policy to a folder: weights as safetensors, everything else as JSON.

        Raises:
            FractileError: where its network or its encoder cannot be described so.
        """
        save_state(Path(folder), POLICY_FILE, *self.to_state())

    @classmethod
    def load(cls, folder: str | Path, *, encoder: Encoder | None = None) -> SB3Policy:
        """Return the policy that was written to a folder; neither torch nor Stable-Baselines3 is needed.

        Args:
            folder: that `save` wrote.
            encoder: of your own, where the policy was trained with one: no code is read from files.

        Raises:
            FractileError: where files are missing or damaged.
        """
        state = load_state(Path(folder), POLICY_FILE)
        with usable(Path(folder) / f"{POLICY_FILE}.json", "save it again"):
            return cls.from_state(*state, encoder=encoder)

    @classmethod
    def from_zip(cls, path: str | Path, env: Any) -> SB3Policy:
        """Return a policy from the zip file that `model.save` wrote, by weights alone: nothing in it is executed.

        Args:
            path: of the zip file.
            env: an environment like the one that the agent was trained on, wrapped in the same `VecNormalize`.

        Raises:
            FractileError: where the file is no such zip, holds another network than a multi-layer perceptron, or one
                for another environment.
        """
        import torch

        path, read = Path(path), read_environment(env)
        try:
            with ZipFile(path) as file:
                data = json.loads(file.read("data"))
                with file.open("policy.pth") as weights_file:
                    weights = torch.load(weights_file, map_location="cpu", weights_only=True)
        except (OSError, KeyError, BadZipFile, ValueError) as fault:
            raise FractileError(f"{path} is no zip file of a Stable-Baselines3 model ({fault})") from fault
        kwargs = data.get("policy_kwargs") or {}
        # "<class 'torch.nn.modules.activation.ReLU'>": what is written beside the pickled class, which stays unread.
        name = str(kwargs.get("activation_fn", "")).rstrip("'>").rpartition(".")[2].lower()
        squashed = bool(kwargs.get("squash_output", False))
        actor = MlpActor.from_weights(weights, grid=read.grid, activation=name or None, squashed=squashed)
        if actor is None:
            raise FractileError(
                f"{path} holds no multi-layer perceptron; load it with its own class and give SB3Policy(model, env)"
            )
        width = read.orders if read.grid is None else read.grid.size
        got = (len(actor.layers[0][0]), len(actor.layers[-1][1]))
        if got != (read.encoder.size, width):
            raise FractileError(
                f"{path} holds an agent that reads {got[0]} features and puts out {got[1]} numbers, the environment "
                f"has {read.encoder.size} and {width}; make it with the options of training"
            )
        policy_class = data.get("policy_class") or {}
        module = str(policy_class.get("__module__", "")) if isinstance(policy_class, dict) else ""
        return cls(actor, encoder=read.encoder, algorithm=_algorithm(module))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """Return what a file has to hold: settings and arrays.

        Raises:
            FractileError: where its network or its encoder cannot be described so.
        """
        if not isinstance(self.model, MlpActor):
            raise FractileError(
                f"this {self.algorithm} agent orders through a network of its own, which cannot be kept without "
                "executing code; keep the model with model.save(...), or train one with policy='MlpPolicy'"
            )
        config, arrays = self.model.to_state()
        try:
            encoder: dict[str, Any] | None = self.encoder.to_config()
            known = encoder is not None and encoder_from_config(encoder).size == self.encoder.size
        except (TypeError, KeyError, AttributeError):
            known = False
        named = type(self.encoder).__name__
        encoder = encoder if known else {"kind": "own", "name": named}
        return {"algorithm": self.algorithm, "share": self.share, "actor": config, "encoder": encoder}, arrays

    @classmethod
    def from_state(
        cls, config: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], *, encoder: Encoder | None = None
    ) -> SB3Policy:
        """Return the policy that `to_state` described."""
        if encoder is None:
            if config["encoder"].get("kind") == "own":
                raise FractileError(
                    f"the agent was trained with an encoder of its own, {config['encoder']['name']}: give it, "
                    "SB3Policy.load(folder, encoder=...)"
                )
            encoder = encoder_from_config(config["encoder"])
        actor = MlpActor.from_state(config["actor"], arrays)
        return cls(actor, encoder=encoder, algorithm=config["algorithm"], share=config["share"])


def read_environment(env: Any) -> Reading:
    """Return what a policy needs of an environment of this package, in whatever wrappers.

    Args:
        env: of `make_sb3_env`, `gymnasium.make` or `gymnasium.make_vec`; in a `DummyVecEnv`, `VecNormalize`, …

    Raises:
        FractileError: where it is another one, or a wrapper changes what agents see.
    """
    statistics: list[tuple[FloatArray, FloatArray, float]] = []
    while not isinstance(vars(env).get("batch", vars(env).get("_batch")), InventoryBatch):
        name = type(env).__name__
        inner = vars(env).get("venv", vars(env).get("env"))
        if name in ("VecNormalize", "NormalizeObservation"):
            if getattr(env, "norm_obs", True):
                rms = env.obs_rms
                widest = float(getattr(env, "clip_obs", np.finfo(np.float32).max))
                statistics.append((np.array(rms.mean), np.sqrt(np.array(rms.var) + env.epsilon), widest))
        elif name == "DummyVecEnv":
            inner = env.envs[0]
        elif inner is not None and name not in TRANSPARENT:
            raise FractileError(
                f"{name} may change what agents see or do, which a policy cannot repeat; leave it out, and give "
                "make_sb3_env(encoder=...) what it does"
            )
        if inner is None:
            raise FractileError(
                f"{name} is no environment of this package, or hides it in other processes; give one of make_sb3_env "
                "or gymnasium.make('fractile/...')"
            )
        env = inner
    batch = vars(env).get("batch", vars(env).get("_batch"))
    encoder: Encoder = batch.encoder
    for shift, spread, widest in reversed(statistics):
        encoder = StandardisedEncoder(encoder, shift, spread, widest)
    return Reading(encoder, batch.orders, env.grid)


def _environment_of(model: Any) -> Any:
    env = model.get_env() if hasattr(model, "get_env") else None
    if env is None:
        raise FractileError("the model has no environment: give SB3Policy(model, env)")
    return env


def _check_model(model: Any, read: Reading) -> None:
    if not hasattr(model, "predict") or not hasattr(model, "policy"):
        raise FractileError(f"model must be a Stable-Baselines3 agent, got a {type(model).__name__}")
    if "lstm" in type(model.policy).__name__.lower():
        raise FractileError("a recurrent agent keeps a state between periods, which a policy may not; use memory=...")
    shape, wanted = tuple(model.observation_space.shape or ()), (read.encoder.size,)
    if shape != wanted:
        raise FractileError(
            f"the agent reads observations of shape {shape}, the environment's have {wanted}; give the one that it was "
            "trained on"
        )


def _algorithm(module: str) -> str:
    """Return the algorithm's name from its policy's module, e.g. stable_baselines3.sac.policies."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 and parts[1] != "common" else "sb3"
