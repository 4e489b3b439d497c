"""From what is known of a network to numbers that an agent can read, and back from its actions to orders on links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from ...arrays import Array, FloatArray
from ...errors import FractileError
from ...forecasters.demand_forecast import DemandForecast
from ..core.backend import (
    concatenate,
    floor,
    like,
    positive_part,
    straight_through,
)
from ..core.forecast_features import ForecastFeatures, PeriodFeatures
from ..core.types import Observation, Scenario
from ..gym.observation import SMALLEST_SCALE, ActionMode, features_of, fit_slots, needs_features
from .network import Link, Network

SPREAD_LEVELS = (0.1587, 0.8413)
"""One standard deviation below and above the mean of a normal distribution."""


class NetworkFeatures(NamedTuple):
    """What `NetworkEncoder` reads of a forecast.

    Attributes:
        flow: demand per period that passes each location, units, shape (1 or paths, locations).
        level: each link's echelon order-up-to level, units, shape (1 or paths, links).
        logs: log mean demand, shape (1 or paths, locations with demand).
    """

    flow: Array
    level: Array
    logs: Array


@dataclass(frozen=True, eq=False)
class NetworkEncoder:
    """Turns observations of a network into features, shape (paths, features), and actions into orders on links.

    An action in [−1, 1] a link. With "order_up_to" it moves the level that the link orders its destination's echelon
    up to, by as much as the demand of its lead time and a period; 0 is the newsvendor's level of that echelon. The
    position counts what is on hand and under way in the echelon as far as the link's own lead time reaches, and what
    faster links order now: two links from outside are a dual-index policy. Transshipment links order nothing at
    0 and below, and up to a period's demand at 1. With "order" an action sets the order itself: 0 is the mean demand
    that passes the link, −1 nothing, 1 `widest_order` times as much.

    Attributes:
        network: locations and links.
        slots: pipeline slots that are read; the network's own where None. What is due later is added to the last one.
        action: what an action moves.
        widest_order: see above.
        memory: periods of the past that are read.
    """

    network: Network
    slots: int | None = None
    action: ActionMode = "order_up_to"
    widest_order: float = 3.0
    memory: int = 0

    def __post_init__(self) -> None:
        if self.action not in ("order_up_to", "order"):
            raise FractileError(f"action must be 'order_up_to' or 'order', got {self.action!r}")

    def to_config(self) -> dict[str, Any]:
        """Return what a file has to hold, as text and numbers."""
        network = {f.name: getattr(self.network, f.name) for f in fields(Network) if f.init}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in network.items()}
        # JSON has no infinity: a limit that never binds is none.
        plain["links"] = [
            {**asdict(link), "maximum_order": link.maximum_order if np.isfinite(link.maximum_order) else None}
            for link in self.network.links
        ]
        rest = {"slots": self.slots, "action": self.action, "widest_order": self.widest_order, "memory": self.memory}
        return {"kind": "network", "network": plain, **rest}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NetworkEncoder:
        """Return the encoder that `to_config` described."""
        rows = config["network"]["links"]
        links = [Link(**{**row, "maximum_order": row["maximum_order"] or np.inf}) for row in rows]
        rest = {k: v for k, v in config.items() if k not in ("kind", "network")}
        network: dict[str, Any] = dict(config["network"], links=links)
        numbers = {k: np.asarray(v) for k, v in network.items() if isinstance(v, list) and k not in ("names", "links")}
        return cls(Network(**{**network, **numbers}), **rest)

    @property
    def orders(self) -> int:
        """Actions: one a link."""
        return len(self.network.links)

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is; units are divided by the demand per period that passes the location."""
        where = self.network.names
        links = [
            f"{'outside' if link.source < 0 else where[link.source]} to {where[link.destination]} in {link.lead_time}"
            for link in self.network.links
        ]
        slots = [f"arriving_{k + 1}" for k in range(self._slots)]
        past = [f"past_{k + 1}" for k in range(self.memory)]
        gaps = [f"order_up_to_gap, {link}" for link in links]
        demands = [f"log_mean_demand, {where[i]}" for i in np.asarray(self.network.demand_at)]
        return (*(f"{name}, {place}" for name in ("net_inventory", *slots, *past) for place in where), *gaps, *demands)

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.names)

    @property
    def of_forecast(self) -> int:
        """Number of features, the last ones of `names`, that depend on the forecast alone."""
        return len(np.asarray(self.network.demand_at))

    def encode(self, obs: Observation) -> Array:
        """Return features, shape (paths, features), in the library of the observation."""
        flow, level, logs = self._features(obs)
        now = obs.net_inventory
        seen = [now, *fit_slots(obs.pipeline, self._slots, now)]
        if self.memory:
            past = None if obs.history is None else obs.history[: self.memory]
            seen += [*fit_slots(past, self.memory, now)]
        gap = (level - self._positions(obs)) / (flow @ like(self.network.into.T, flow))
        return concatenate([*(x / flow for x in seen), gap, logs + 0.0 * obs.net_inventory[:, :1]], axis=-1)

    def decode(self, action: Array, obs: Observation) -> Array:
        """Return the orders that actions stand for.

        Args:
            action: shape (paths, links), any real; [−1, 1] covers the usual range.
            obs: what the action was chosen on.

        Returns:
            units, shape (paths, links). [q]
        """
        flow, level, _ = self._features(obs)
        through = flow @ like(self.network.into.T, flow)
        lateral = like(self.network.lateral.astype(np.float64), action)
        shares = like(self._shares, action)
        if self.action == "order":
            upward = (self.widest_order - 1.0) * positive_part(action)
            usual = positive_part(through * shares * (1.0 + upward - positive_part(-action)))
        else:
            reach = through * like(self.network.lead_time + 1.0, action)
            gap = level + reach * action - self._positions(obs)
            usual = 0.0 * gap
            for rank, faster in self._ranks:
                # What faster links bring to the same location counts as under way.
                coming = usual @ like(faster, usual)
                usual = usual + like(rank, usual) * shares * positive_part(gap - coming)
        order = usual * (1.0 - lateral) + positive_part(action) * through * lateral
        # What is shipped in whole units is rounded down: the nearest whole number is ordered.
        return straight_through(floor(order + 0.5), order) if obs.params.whole_units else order

    def collect(self, action: Array) -> Array:
        """Return a network's output (paths, links) as actions: it is that already."""
        return action

    @property
    def outputs(self) -> int:
        """Numbers that a network puts out for a row of features."""
        return self.orders

    def _positions(self, obs: Observation) -> Array:
        """Units on hand and under way that each link's level counts, shape (paths, links)."""
        network = self.network
        echelon = obs.net_inventory @ like(network.downstream.T @ network.into.T, obs.net_inventory)
        if not len(obs.pipeline):
            return echelon
        below = (network.downstream - np.eye(network.locations)).T @ network.into.T
        echelon = echelon + obs.pipeline.sum(0) @ like(below, echelon)
        reached = np.arange(len(obs.pipeline))[:, None] <= network.lead_time
        due = [
            (pipeline @ like(network.into.T, echelon)) * like(counts.astype(np.float64), echelon)
            for pipeline, counts in zip(obs.pipeline, reached, strict=True)
        ]
        return echelon + sum(due)

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with the features of all its forecasts: see `ObservationEncoder.prepare`."""
        return (
            replace(scenario, features=self.table(scenario.forecasts or (), params))
            if needs_features(scenario, self.network)
            else scenario
        )

    def table(self, forecasts: Sequence[DemandForecast], params: Any) -> ForecastFeatures:  # noqa: ARG002  # its own
        """Return the features of forecasts of all locations with demand."""
        return ForecastFeatures.of(forecasts, lambda forecast, _: self._levels(forecast), self.network)

    def with_features(self, obs: Observation) -> Observation:
        """Return the observation with the features of its forecast: see `ObservationEncoder.with_features`."""
        return replace(obs, features=PeriodFeatures(self._features(obs), self.network))

    def _features(self, obs: Observation) -> NetworkFeatures:
        found = features_of(obs, self.network, lambda: self._levels(obs.known_forecast()))
        assert isinstance(found, NetworkFeatures)
        return found

    def _levels(self, forecast: DemandForecast) -> NetworkFeatures:
        """Each link's echelon level: mean demand of the way to the customers and a period, and safety for as long."""
        network, demand_at = self.network, np.asarray(self.network.demand_at)
        span = network.horizon
        mean = (forecast.total(span).mean()[:, :, 0] / span).T
        low, high = (forecast.quantile(level)[:, :, 0].T for level in SPREAD_LEVELS)
        flow = np.maximum(mean @ network.flow, SMALLEST_SCALE)
        spread = np.sqrt(((high - low) / 2) ** 2 @ network.flow)
        ratio = np.broadcast_to(network.stock.critical_ratio, network.locations)[demand_at].mean()
        periods = network.lead_time + network.onward[network.destination] + 1.0
        into = network.into.T
        level = flow @ into * periods + ndtri(ratio) * spread @ into * np.sqrt(periods)
        return NetworkFeatures(flow, level, np.log(np.maximum(mean, SMALLEST_SCALE)))

    @property
    def _slots(self) -> int:
        return self.network.slots if self.slots is None else self.slots

    @cached_property
    def _shares(self) -> FloatArray:
        """Share of a location's need that each of its links takes: equal among links as fast as each other."""
        network = self.network
        alike = (network.destination[:, None] == network.destination) & (
            network.lead_time[:, None] == network.lead_time
        )
        return 1.0 / (alike & ~network.lateral).sum(1).clip(1)

    @cached_property
    def _ranks(self) -> list[tuple[FloatArray, FloatArray]]:
        """Links from the fastest on: which belong to a rank (links,), and which come before which (links, links)."""
        network = self.network
        same = (network.destination[:, None] == network.destination) & ~network.lateral[:, None]
        faster = same & (network.lead_time[:, None] < network.lead_time)
        times = np.unique(network.lead_time[~network.lateral])
        return [((network.lead_time == time) * 1.0, faster * 1.0) for time in times]
