"""Actors of Stable-Baselines3 agents: small networks in numpy, read from weights; or the agent's own `predict`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..arrays import FloatArray
from ..envs.gym.discrete import ActionGrid
from ..errors import FractileError, did_you_mean

ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "leakyrelu": lambda x: np.where(x > 0.0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))),
    "sigmoid": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)),
    "silu": lambda x: x * 0.5 * (1.0 + np.tanh(0.5 * x)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "tanh_of_clipped": lambda x: np.tanh(np.clip(x, -2.0, 2.0)),  # SAC with state-dependent noise
}
"""By the lower-case name of torch's module, with its default arguments."""

NETWORKS = (
    # Hidden layers, the last layer, what follows it, and the usual activation, of each family of agents.
    (r"mlp_extractor\.policy_net\.(\d+)", r"action_net", "identity", "tanh"),  # PPO, A2C, TRPO
    (r"actor\.latent_pi\.(\d+)", r"actor\.mu", "tanh", "relu"),  # SAC, TQC
    (r"actor\.latent_pi\.(\d+)", r"actor\.mu\.0", "tanh_of_clipped", "relu"),
    (r"actor\.mu\.(\d+)", None, "tanh", "relu"),  # TD3, DDPG
    (r"q_net\.q_net\.(\d+)", None, "identity", "relu"),  # DQN
)


class Actor(Protocol):
    """Turns features into actions in [−1, 1]."""

    def act(self, features: FloatArray) -> FloatArray:
        """Return actions, shape (..., orders), for features (..., size)."""


@dataclass(frozen=True, eq=False)
class MlpActor:
    """A multi-layer perceptron; on a grid of actions, the one of highest value is taken.

    Attributes:
        layers: weight (inputs, outputs) and bias (outputs,) of each layer.
        activations: what follows each layer, a key of `ACTIVATIONS`.
        grid: the actions that the last layer values; None = it puts out actions, which are clipped to [−1, 1].

    Raises:
        FractileError: where an activation is unknown.
    """

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    activations: tuple[str, ...]
    grid: ActionGrid | None = None

    def __post_init__(self) -> None:
        for name in self.activations:
            if name not in ACTIVATIONS:
                raise FractileError(f"unknown activation {name!r}{did_you_mean(name, ACTIVATIONS)}")

    def __repr__(self) -> str:
        sizes = [len(self.layers[0][0]), *(len(bias) for _, bias in self.layers)]
        return f"MlpActor({' → '.join(map(str, sizes))})"

    def act(self, features: FloatArray) -> FloatArray:
        """Return actions, shape (..., orders), for features (..., size)."""
        x = features
        for (weight, bias), name in zip(self.layers, self.activations, strict=True):
            x = ACTIVATIONS[name](x @ weight + bias)
        return np.clip(x, -1.0, 1.0) if self.grid is None else self.grid.values[x.argmax(-1)]

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """Return what a file has to hold: settings and arrays."""
        config = {
            "activations": list(self.activations),
            "points": None if self.grid is None else int(self.grid.points),
            "orders": None if self.grid is None else self.grid.orders,
        }
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight_{i}": weight, f"bias_{i}": bias}
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> MlpActor:
        """Return the actor that `to_state` described."""
        layers = tuple((arrays[f"weight_{i}"], arrays[f"bias_{i}"]) for i in range(len(config["activations"])))
        grid = None if config["points"] is None else ActionGrid(config["points"], config["orders"])
        return cls(layers, tuple(config["activations"]), grid)

    @classmethod
    def from_weights(
        cls,
        weights: Mapping[str, Any],
        *,
        grid: ActionGrid | None = None,
        activation: str | None = None,
        squashed: bool = False,
    ) -> MlpActor | None:
        """Return the actor that an agent's weights hold; None where they are of no network that is known here.

        Args:
            weights: tensors or arrays by name, as `model.policy.state_dict()` gives them.
            grid: the actions that the agent chooses from, where they are discrete.
            activation: of hidden layers, a key of `ACTIVATIONS`; None = the usual one of the agent.
            squashed: PPO or A2C with `squash_output`.
        """
        if any("features_extractor" in name for name in weights):
            return None
        for hidden, last, after, usual in NETWORKS:
            numbers = [re.fullmatch(rf"{hidden}\.weight", name) for name in weights]
            found = sorted((int(m[1]), m[0].removesuffix(".weight")) for m in numbers if m)
            names = [name for _, name in found]
            if last is not None:
                names += [name for name in [last.replace("\\", "")] if f"{name}.weight" in weights]
            if not names or (last is not None and len(names) == len(found)):
                continue
            if after == "tanh_of_clipped" and not found:
                continue  # TD3's first layer has the same name
            # Rows one after another, as they come back from a file: products then agree to the last bit.
            layers = tuple(
                (np.ascontiguousarray(_array(weights[f"{name}.weight"]).T), _array(weights[f"{name}.bias"]))
                for name in names
            )
            end = "tanh" if squashed and after == "identity" else after
            return cls(layers, (*[activation or usual] * (len(layers) - 1), end), grid)
        return None


@dataclass(frozen=True, eq=False)
class ModelActor:
    """An agent's own `predict`: for networks that are no multi-layer perceptrons.

    Attributes:
        model: has Stable-Baselines3's `predict`.
        size: number of features.
        orders: actions of a row of features.
        grid: the actions that it chooses from; None = it puts out actions.
    """

    model: Any
    size: int
    orders: int
    grid: ActionGrid | None = None

    def act(self, features: FloatArray) -> FloatArray:
        """Return actions, shape (..., orders), for features (..., size)."""
        rows = np.asarray(features, dtype=np.float32).reshape(-1, self.size)
        chosen = self.model.predict(rows, deterministic=True)[0]
        action = np.asarray(chosen, dtype=np.float64) if self.grid is None else self.grid.values[chosen]
        return np.clip(action, -1.0, 1.0).reshape(*features.shape[:-1], self.orders)


def read_actor(model: Any, *, size: int, orders: int, grid: ActionGrid | None) -> MlpActor | ModelActor:
    """Return a trained agent's deterministic actor, in numpy where its network is known.

    What is read is compared with the agent's own `predict`: a network of one's own under a usual name is found out.

    Args:
        model: a Stable-Baselines3 agent.
        size: number of features.
        orders: actions of a row of features.
        grid: the actions that it chooses from; None = it puts out actions.
    """
    own = ModelActor(model, size, orders, grid)
    module = getattr(model.policy, "activation_fn", None)
    name = getattr(module, "__name__", "").lower() or None
    if name is not None and name not in ACTIVATIONS:
        return own
    squashed = bool(getattr(model.policy, "squash_output", False))
    read = MlpActor.from_weights(model.policy.state_dict(), grid=grid, activation=name, squashed=squashed)
    if read is None or len(read.layers[0][0]) != size:
        return own
    width = orders if grid is None else grid.size
    if len(read.layers[-1][1]) != width:
        return own
    rows = np.random.default_rng(0).normal(size=(64, size))
    apart = np.abs(read.act(rows) - own.act(rows))
    # Of two actions with nearly the same value, rounding may choose the other.
    return read if (apart < 1e-4).mean() > 0.95 else own


def _array(tensor: Any) -> FloatArray:
    """Return a tensor as an array of its own, which later training does not touch."""
    values = tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor
    array: FloatArray = np.array(values, dtype=np.float64)
    return array
