"""Which encoder a system has, and items of a path read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Array, FloatArray
from ...forecasters.demand_forecast import DemandForecast
from ..core.backend import clip, like
from ..core.forecast_features import ForecastFeatures
from ..core.system import OBSERVED, SIMULATED, check_attributes
from ..core.types import Observation, Scenario
from ..networks.encoder import NetworkEncoder
from ..networks.network import Network
from .observation import WIDEST_FEATURE, ActionMode, Encoder, ForecastEncoder, ObservationEncoder
from .sources import EpisodeSource


def make_encoder(
    source: EpisodeSource,
    *,
    action: ActionMode = "order_up_to",
    memory: int = 0,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    together: bool = True,
) -> Encoder:
    """Return the encoder of a system.

    Args:
        source: where episodes come from.
        action: what an action moves.
        memory: periods of the past that are read.
        level_scale: of the newsvendor that actions move around (items).
        level_shift: likewise.
        together: read all items of an episode together, as an agent does; False = each by itself, by one network.
    """
    params = source.params
    if isinstance(params, Network):
        return NetworkEncoder(params, slots=source.slots, action=action, memory=memory)
    check_attributes(params, (*SIMULATED[:2], *OBSERVED), "an environment")
    each = ObservationEncoder(
        source.slots,
        action=action,
        level_scale=level_scale,
        level_shift=level_shift,
        ages=getattr(params, "ages", 0),
        memory=memory,
        shared=getattr(params, "capacity", None) is not None,
    )
    return FlatEncoder(each, source.columns) if together and source.columns > 1 else each


@dataclass(frozen=True, eq=False)
class FlatEncoder:
    """Reads all items of a path together: what a Stable-Baselines3 agent sees of items that share a capacity.

    Attributes:
        each: the encoder of a single item.
        columns: number of items.
    """

    each: ObservationEncoder
    columns: int

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is."""
        return tuple(f"{name}, item {column + 1}" for column in range(self.columns) for name in self.each.names)

    @property
    def size(self) -> int:
        """Number of features."""
        return self.columns * self.each.size

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""
        return self.columns

    def level(self, obs: Observation) -> Array:
        """Return the newsvendor's level of every item: see `ObservationEncoder`."""
        return self.each.level(obs)

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with the features of all its forecasts: see `ObservationEncoder`."""
        return self.each.prepare(scenario, params)

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> ForecastFeatures:
        """Return the features of forecasts of all items: see `ObservationEncoder`."""
        return self.each.table(forecasts, params)

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast: see `ObservationEncoder`."""
        return self.each.with_features(obs)

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, items · features)."""
        features = self.each.encode(obs)
        return features.reshape(len(features), -1)

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return orders (paths, items) from actions (paths, items)."""
        return self.each.decode(action, obs)

    def collect(self, action: Array) -> Array:
        """Return a network's output (paths, items) as actions: it is that already."""
        return action

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""
        return {"kind": "flat", "each": self.each.to_config(), "columns": self.columns}


@dataclass(frozen=True, eq=False)
class StandardisedEncoder:
    """Another encoder's features, less their means, divided by their spreads and clipped: what agents learn from.

    Attributes:
        encoder: whose features they are; orders are its own, too.
        shift: subtracted from features, shape (features,).
        spread: features are then divided by it, shape (features,).
        widest: the largest size of a feature after that, so that an outlier among items cannot throw a network.
    """

    encoder: Encoder
    shift: FloatArray
    spread: FloatArray
    widest: float = WIDEST_FEATURE

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is."""
        return self.encoder.names

    @property
    def size(self) -> int:
        """Number of features."""
        return self.encoder.size

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""
        return self.encoder.outputs

    def level(self, obs: Observation) -> Array:
        """Return the level that actions move around: see `ObservationEncoder`."""
        return level_of(self.encoder, obs)

    def encode(self, obs: Observation) -> Array:
        """Return standardised features, shape (paths, [items,] features)."""
        raw = self.encoder.encode(obs)
        return clip((raw - like(self.shift, raw)) / like(self.spread, raw), -self.widest, self.widest)

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return orders from actions: the encoder's own."""
        return self.encoder.decode(action, obs)

    def collect(self, action: Array) -> Array:
        """Return a network's output as actions: the encoder's own."""
        return self.encoder.collect(action)

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with what the encoder reads of its forecasts, where it offers that."""
        inner = self.encoder
        return inner.prepare(scenario, params) if isinstance(inner, ForecastEncoder) else scenario

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> Any:
        """Return the features of forecasts of all items, where the encoder offers that; else None."""
        inner = self.encoder
        return inner.table(forecasts, params) if isinstance(inner, ForecastEncoder) else None

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast, where the encoder offers that."""
        inner = self.encoder
        return inner.with_features(obs) if isinstance(inner, ForecastEncoder) else obs

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""
        shift, spread = (np.asarray(x, dtype=np.float64).tolist() for x in (self.shift, self.spread))
        return {
            "kind": "standardised",
            "encoder": self.encoder.to_config(),
            "shift": shift,
            "spread": spread,
            "widest": self.widest,
        }


def level_of(encoder: Encoder, obs: Observation) -> Array:
    """Return the level that an encoder's actions move around, units, shape (1 or paths, items).

    In a network, or with an encoder that knows no level, it is nothing.
    """
    level = getattr(encoder, "level", None)
    return np.zeros((1, 1)) if level is None else level(obs)


def encoder_from_config(config: dict[str, Any]) -> Encoder:
    """Return the encoder that its `to_config` described."""
    kind = config.get("kind")
    if kind == "standardised":
        shift, spread = (np.asarray(config[name], dtype=np.float64) for name in ("shift", "spread"))
        return StandardisedEncoder(encoder_from_config(config["encoder"]), shift, spread, config["widest"])
    if kind == "network":
        return NetworkEncoder.from_config(config)
    if kind == "flat":
        return FlatEncoder(ObservationEncoder(**config["each"]), config["columns"])
    return ObservationEncoder(**config)
