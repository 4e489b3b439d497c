"""A neural policy: a small network that moves the newsvendor's level, the same in numpy and in torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.backend import (
    clip,
    positive_part,
    tanh,
)
from ..envs.core.types import Observation
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import encoder_from_config
from ..envs.gym.observation import WIDEST_FEATURE, Encoder, ForecastEncoder, ObservationEncoder
from ..errors import FractileError
from .rollout import roll

ACTIVATIONS = {"tanh": tanh, "relu": positive_part}


@dataclass(frozen=True, eq=False)
class NeuralPolicy:
    """Features → hidden layers → an action → an order (`ObservationEncoder.decode`).

    With its last layer at zero, where training starts, it is the newsvendor, or orders the mean ("direct").

    Attributes:
        encoder: how observations become features and actions orders.
        layers: weight (inputs, outputs) and bias (outputs,) of each layer, numpy or torch.
        shift: subtracted from features, shape (features,).
        spread: features are then divided by it, shape (features,); infinite where a feature is not read.
        activation: "tanh" or "relu".
        bounded: hold actions within [−1, 1], as a Stable-Baselines3 agent's are.
        share: factor on actions, or on orders where actions are "direct"; below 1 where the full actions cost more on
            later periods, 0 is the newsvendor.
    """

    reads_protection_total: ClassVar[bool] = True

    encoder: Encoder
    layers: tuple[tuple[Array, Array], ...]
    shift: Array
    spread: Array
    activation: str = "tanh"
    bounded: bool = False
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise FractileError(f"activation must be one of {sorted(ACTIVATIONS)}, got {self.activation!r}")

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        if isinstance(self.encoder, ForecastEncoder):
            obs = self.encoder.with_features(obs)  # read once, for features and orders
        action = self.action(obs)
        order = self.encoder.decode(clip(action, -1.0, 1.0) if self.bounded else action, obs)
        if self.share != 1.0 and getattr(self.encoder, "action", None) == "direct":
            # Action 0 is no newsvendor here: the orders themselves are mixed.
            return self.share * order + (1.0 - self.share) * positive_part(self.target(obs) - obs.inventory_position)
        return order

    def target(self, obs: Observation) -> Array:
        """Return the newsvendor's level that the network moves, units, shape (1 or paths, items).

        In a network of locations it is nothing: actions move the levels of links, not of locations.
        """
        level = getattr(self.encoder, "level", None)
        return np.zeros((1, 1)) if level is None else level(obs)

    def action(self, obs: Observation) -> Array:
        """Return the network's output, shape (paths, items), or (paths, links) in a network."""
        x = clip((self.encoder.encode(obs) - self.shift) / self.spread, -WIDEST_FEATURE, WIDEST_FEATURE)
        shape = tuple(x.shape)[:-1]
        x = x.reshape(-1, self.encoder.size)  # one product of two matrices, not one for each path
        activate = ACTIVATIONS[self.activation]
        for weight, bias in self.layers[:-1]:
            x = activate(x @ weight + bias)
        weight, bias = self.layers[-1]
        share = 1.0 if getattr(self.encoder, "action", None) == "direct" else self.share
        return share * self.encoder.collect((x @ weight + bias).reshape(*shape, self.encoder.outputs))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """Return what a file has to hold: settings and arrays."""
        config = {
            "encoder": self.encoder.to_config(),
            "activation": self.activation,
            "bounded": self.bounded,
            "share": self.share,
        }
        arrays = {"shift": np.asarray(self.shift), "spread": np.asarray(self.spread)}
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight_{i}": np.asarray(weight), f"bias_{i}": np.asarray(bias)}
        return config, arrays

    @classmethod
    def from_state(cls, config: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> NeuralPolicy:
        """Return the policy that `to_state` described."""
        depth = sum(name.startswith("weight_") for name in arrays)
        layers = tuple((arrays[f"weight_{i}"], arrays[f"bias_{i}"]) for i in range(depth))
        encoder = encoder_from_config(config["encoder"])
        rest = {k: v for k, v in config.items() if k != "encoder"}
        return cls(encoder, layers, arrays["shift"], arrays["spread"], **rest)


def initial_layers(rng: np.random.Generator, sizes: tuple[int, ...]) -> tuple[tuple[Array, Array], ...]:
    """Return layers drawn as He et al. (2015) do, the last one zero: the policy starts as the newsvendor."""
    layers = [(rng.normal(0.0, np.sqrt(2.0 / n), (n, m)), np.zeros(m)) for n, m in pairwise(sizes[:-1])]
    return (*layers, (np.zeros(sizes[-2:]), np.zeros(sizes[-1])))


def feature_statistics(encoder: Encoder, batch: InventoryBatch) -> tuple[FloatArray, FloatArray]:
    """Return mean and spread of the features in a batch's episodes when the newsvendor (action 0) orders.

    Training standardises features by them: what a network is fed then has about unit size from the first step on. The
    spread of a forecast's feature that is the same throughout is infinite: it is not read, and says nothing where it
    moves later. What depends on the state is always read: another policy moves it.
    """
    rows: list[FloatArray] = []
    usual = replace(encoder, action="order_up_to") if isinstance(encoder, ObservationEncoder) else encoder

    class _ActionZero:
        def order(self, obs: Observation) -> FloatArray:
            rows.append(encoder.encode(obs).reshape(-1, encoder.size))
            order: FloatArray = usual.decode(np.zeros((len(obs.net_inventory), batch.orders)), obs)
            return order

    for _ in roll(_ActionZero(), batch.scenario, batch.params, batch.state, batch.view):
        pass
    features = np.concatenate(rows)
    mean, spread = features.mean(0), features.std(0)
    of_state = np.arange(encoder.size) < encoder.size - getattr(encoder, "of_forecast", 0)
    constant = (spread <= 1e-9 * (1.0 + np.abs(mean))) & ~of_state
    return mean, np.where(constant, np.inf, np.maximum(spread, np.where(of_state, 0.1, 1e-3)))
