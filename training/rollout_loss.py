"""The cost of simulated episodes as a function that gradients flow through: what `backprop` descends.

The physics is `roll`'s, as in every simulation. What does not depend on the state is computed for all periods at once:
demand and what the encoder reads of forecasts in float32, and the part of the first layer that they go into.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..arrays import Array, FloatArray
from ..envs.core.backend import LooseSlots
from ..envs.core.forecast_features import ForecastFeatures
from ..envs.core.period import system_of
from ..envs.core.types import InventoryState, Observation
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.observation import WIDEST_FEATURE, ItemFeatures, ObservationEncoder
from ..envs.networks.network import Network
from ..errors import FractileError
from ..policies.neural import ACTIVATIONS, NeuralPolicy
from ..policies.rollout import roll
from .config import BackpropConfig


class Episodes:
    """Drawn episodes in torch, float32: scenario, parameters, state, and the weight of each one's cost.

    Args:
        batch: after a `reset`.
        config: how many periods, in whole units or not, and how episodes are weighted.
        device: of the tensors.
        rounding: where the noise comes from that stands for the rounding to packs; None = orders are rounded.
    """

    def __init__(
        self,
        batch: InventoryBatch,
        config: BackpropConfig,
        device: str | torch.device = "cpu",
        rounding: np.random.Generator | None = None,
    ) -> None:
        def tensor(x: Array) -> torch.Tensor:
            return torch.as_tensor(x, dtype=torch.float32, device=device)

        self.params = batch.params if rounding is None else without_packs(batch.params)
        # The paths of a period lie side by side: each period's demand is read without a copy.
        demand = tensor(batch.scenario.demand[:, : config.periods]).movedim(1, 0).contiguous().movedim(0, 1)
        features = batch.scenario.features
        self.features = None if features is None else features.like(demand)
        self.scenario = replace(batch.scenario.window(0, config.periods), demand=demand)
        self.view, self.warm_up = batch.view, config.warm_up
        state: Any = type(batch.state)(*(tensor(x) for x in batch.state))
        if isinstance(state, InventoryState) and _moves_up(self.params, len(state.pipeline)):
            state = state._replace(pipeline=LooseSlots(tuple(state.pipeline)))
        self.state = state
        self.weight: torch.Tensor | float = 1.0
        parts = None if self.features is None else self.features.parts
        if config.weighting == "newsvendor" and batch.columns == 1 and isinstance(parts, ItemFeatures):
            self.weight = 1.0 / parts.cost.mean(0)
        value = unit_value(batch.params)
        self.unit_value = tensor(value) if np.any(value) else None
        network = isinstance(batch.params, Network)
        pack = float(batch.params.whole_units) if network else getattr(batch.params, "pack_size", None)
        self.noise: torch.Tensor | None = None
        if rounding is not None and pack is not None and np.any(np.asarray(pack) > 0):
            shape = (config.periods, batch.paths, batch.orders)
            self.half_pack = 0.5 * tensor(pack)
            self.noise = self.half_pack * tensor(2.0 * rounding.random(shape, dtype=np.float32) - 1.0)

    def cost(self, policy: NeuralPolicy) -> torch.Tensor:
        """Return the weighted cost per period after the warm-up, a scalar tensor: see `cost_of`."""
        return self.cost_of(self.play(policy))

    def cost_of(self, played: list[tuple[Any, Any]]) -> torch.Tensor:
        """Return the weighted cost per period after the warm-up of what was played, a scalar tensor.

        What is on hand and under way at the end is worth what its units cost, as it was at the end of the warm-up:
        without, orders near the end would be a mere expense.
        """
        counted = played[self.warm_up :]
        cost = torch.stack([outcome.cost for _, outcome in counted]).mean(0)
        if isinstance(self.unit_value, torch.Tensor):
            begun = played[self.warm_up - 1][0] if self.warm_up else self.state
            gained = (_position(played[-1][0]) - _position(begun)) * self.unit_value
            cost = cost - gained / len(counted)
        return (self.weight * cost).mean()

    def reorder_cost(self, policy: NeuralPolicy, temperature: float, rng: np.random.Generator) -> torch.Tensor:
        """Return a scalar tensor whose gradient is that of the cost per period of a policy that reorders at random.

        Whether to order has no derivative: the policy orders with probability σ(g/τ), where g is by how much the order
        exceeds the smallest one that is placed. The derivative of the average cost in the probabilities of a period
        is what ordering then costs in all later periods more than not ordering. Both are simulated, from the end of
        the warm-up on, with the same demand and the same chance afterwards (finite differences in place of the jumps
        that perturbation analysis smooths). The probability's own derivative goes back through the state, which
        earlier levels made. All other derivatives go through the simulation, with the orders placed when they were.

        Args:
            policy: with the head "reorder".
            temperature: of the probabilities, in units of a period's mean demand and a quarter of the lot. [τ]
            rng: of the orders placed.
        """
        first, features = self.first_review(), self.features
        if features is None:
            raise FractileError('the head "reorder" needs forecasts that are made beforehand: choose another head')
        shape = (len(self.scenario.demand[0]), *self.scenario.demand[:, 0].shape)
        chance = torch.as_tensor(rng.random(shape, dtype=np.float32), device=self.scenario.demand.device)
        found = [RandomReorders(policy, features, chance, temperature, first, orders) for orders in (True, False)]
        costs = [torch.stack([out.cost for _, out in self.play(policy, one)])[first:] for one in found]
        probability = found[0].probability
        with torch.no_grad():
            # Later periods count ever less: two cycles that are out of step for ever differ by nothing on average.
            later = torch.linspace(2.0, 0.0, len(costs[0]), device=chance.device).clamp(max=1.0)
            dearer = torch.tensordot(later, costs[0] - costs[1], 1)
        share = probability.detach()
        cost = share * costs[0].mean(0) + (1.0 - share) * costs[1].mean(0) + (probability - share) * dearer
        return (self.weight * cost).mean()

    def first_review(self) -> int:
        """Return the first period after the warm-up in which all items may be ordered, where there is one."""
        cycle = int(np.lcm.reduce(np.asarray(self.params.review_period).reshape(-1)))
        first = -(-self.warm_up // cycle) * cycle
        return first if first < self.scenario.periods else self.warm_up

    def play(self, policy: NeuralPolicy, player: Any = None) -> list[tuple[Any, Any]]:
        """Return the state after each period and what the period did, under a policy.

        Args:
            policy: in torch.
            player: what stands for it; None = itself.
        """
        features = self.features
        made_for = getattr(policy.encoder, "_made_for", None)
        scenario = self.scenario
        if isinstance(policy.encoder, ObservationEncoder) and features is not None and features.made_for == made_for:
            player, scenario = player or EpisodeNetwork(policy, features), replace(scenario, features=None)
        player = player or policy
        if self.noise is not None:
            player = NoisyOrders(player, self.noise, self.half_pack)
        return list(roll(player, scenario, self.params, self.state, self.view))


class NoisyOrders:
    """A policy whose orders are off by up to half a pack, as they will be when they are rounded.

    A network that is trained on any quantities would order, say, 2.4 units whatever the state, which rounds to 2 for
    ever. With noise it learns to make up for what rounding took away, and its gradient stays smooth.

    Args:
        policy: whose orders.
        noise: units, shape (periods, paths, items).
        half: of a pack, units, broadcasts to (paths, items).
    """

    def __init__(self, policy: Any, noise: torch.Tensor, half: torch.Tensor) -> None:
        self.policy, self.noise, self.half = policy, noise, half

    def order(self, obs: Observation) -> torch.Tensor:
        """Return units to order, shape (paths, items)."""
        order: torch.Tensor = self.policy.order(obs)
        # Nothing stays nothing, and no order becomes negative.
        return order + self.noise[obs.period] * (order.detach() / self.half).clamp(max=1.0)


class EpisodeNetwork:
    """The network of a policy on some episodes: all that the state does not enter is computed beforehand.

    It orders what the policy orders, up to rounding.

    Args:
        policy: in torch, with an `ObservationEncoder`.
        features: what it reads of the forecasts, in torch.
    """

    def __init__(self, policy: NeuralPolicy, features: ForecastFeatures) -> None:
        assert isinstance(policy.encoder, ObservationEncoder)
        self.policy, self.encoder, self.which, parts = policy, policy.encoder, features.which, features.parts
        self.found = [ItemFeatures(*(part[k] for part in parts)) for k in range(len(parts.scale))]
        self.scale = [found.scale[..., None] for found in self.found]
        weight, bias = policy.layers[0]
        state = policy.encoder.size - policy.encoder.of_forecast
        rest = slice(state, None)
        read = torch.isfinite(policy.spread)
        # Standardised features go into the first layer: instead, the layer takes in the standardisation.
        spread = torch.where(read, policy.spread, 1.0)
        folded = torch.where(read[:, None], weight / spread[:, None], 0.0)
        bias = bias - policy.shift @ folded
        low, high = policy.shift - WIDEST_FEATURE * spread, policy.shift + WIDEST_FEATURE * spread
        self.kept = [k for k in range(state) if bool(read[k])]
        self.low, self.high, self.weight = low[self.kept], high[self.kept], folded[self.kept]
        kept = torch.nonzero(read[rest]).flatten()
        self.first: list[torch.Tensor] = [bias] * len(self.found)
        if len(kept):
            values = parts.rest[:, kept].movedim(1, -1).clamp(low[rest][kept], high[rest][kept])
            self.first = list((values @ folded[rest][kept] + bias).flatten(1, -2))
        self.activate = ACTIVATIONS[policy.activation]

    def order(self, obs: Observation) -> torch.Tensor:
        """Return units to order, shape (paths, items)."""
        found = self.found[self.which[obs.period]]
        order: torch.Tensor = self.encoder.order_of(self.action(obs), obs, found)
        return order

    def action(self, obs: Observation) -> torch.Tensor:
        """Return the network's output: see `NeuralPolicy.action`."""
        k = self.which[obs.period]
        units, shares = self.encoder.of_state(obs, self.found[k])
        shape = units[0].shape
        x = self.first[k]
        if self.kept:
            x = torch.stack([units[i] for i in self.kept if i < len(units)], -1) / self.scale[k]
            if shares:
                x = torch.cat([x, *(shares[i - len(units)][..., None] for i in self.kept if i >= len(units))], -1)
            x = torch.addmm(self.first[k], x.clamp(self.low, self.high).flatten(0, -2), self.weight)
        elif x.ndim == 1 or len(x) != shape.numel():  # the same for all paths
            x = x.expand(shape.numel(), -1)
        for weight, bias in self.policy.layers[1:]:
            x = torch.addmm(bias, self.activate(x), weight)
        return self.encoder.collect(x.view(*shape, self.encoder.outputs))


class RandomReorders:
    """A network with the head "reorder" that orders at random where it is nearly indifferent.

    Args:
        policy: the network.
        features: what it reads of the forecasts, in torch.
        chance: uniform numbers, shape (periods, paths, items).
        temperature: see `Episodes.reorder_cost`.
        forced: the period in which all paths order, or none does.
        orders: which of the two.

    Attributes:
        probability: of an order in the period that is forced, shape (paths, items).
    """

    def __init__(
        self,
        policy: NeuralPolicy,
        features: ForecastFeatures,
        chance: torch.Tensor,
        temperature: float,
        forced: int,
        orders: bool,
    ) -> None:
        self.network, self.chance, self.temperature = EpisodeNetwork(policy, features), chance, temperature
        self.forced, self.orders = forced, orders
        self.probability: torch.Tensor

    def order(self, obs: Observation) -> torch.Tensor:
        """Return units to order, shape (paths, items)."""
        network = self.network
        found = network.found[network.which[obs.period]]
        gap, smallest = network.encoder.gap_and_smallest(network.action(obs), obs, found)
        order: torch.Tensor = gap.relu()
        if obs.period == self.forced:
            self.probability = torch.sigmoid((gap - smallest) / self._unit(found))
            return order if self.orders else 0.0 * order
        placed = torch.sigmoid((gap - smallest).detach() / self._unit(found)) > self.chance[obs.period]
        return order * placed

    def _unit(self, found: ItemFeatures) -> torch.Tensor:
        unit: torch.Tensor = self.temperature * (found.scale + 0.25 * found.lot)
        return unit


def in_torch(policy: NeuralPolicy, device: str | torch.device = "cpu") -> NeuralPolicy:
    """Return a policy with its arrays as tensors, float32."""

    def tensor(x: Array) -> torch.Tensor:
        return torch.as_tensor(np.array(x), dtype=torch.float32, device=device)

    layers = tuple((tensor(weight), tensor(bias)) for weight, bias in policy.layers)
    return replace(policy, layers=layers, shift=tensor(policy.shift), spread=tensor(policy.spread))


def unit_value(params: Any) -> FloatArray:
    """Return what a unit on hand or under way cost to bring there, money, broadcasts to (paths, columns).

    In a network that is the cheapest way into each location. Where only `step` knows it, nothing.
    """
    if not isinstance(params, Network):
        return np.asarray(getattr(params, "unit_cost", 0.0), dtype=np.float64)
    value = np.zeros(params.locations)
    for _ in range(params.locations):
        through = [(0.0 if link.source < 0 else value[link.source]) + link.unit_cost for link in params.links]
        ways = [
            [cost for link, cost in zip(params.links, through, strict=True) if link.destination == i]
            for i in range(params.locations)
        ]
        value = np.array([min(costs, default=0.0) for costs in ways])
    return value


def _position(state: Any) -> torch.Tensor:
    """Units on hand and under way, less backorders, shape (paths, columns)."""
    position: torch.Tensor = state.net_inventory + state.pipeline.sum(0) if len(state.pipeline) else state.net_inventory
    return position


def without_packs(params: Any) -> Any:
    """Return the parameters for any quantity: no packs, and no whole units where stock is rationed."""
    if isinstance(params, Network):
        return replace(params, whole_units=False) if params.whole_units else params
    return replace(params, pack_size=None) if params.pack_size is not None else params


def _moves_up(params: Any, slots: int) -> bool:
    """Whether every order enters the last slot of the pipeline, so that slots may be tensors of their own."""
    return slots > 0 and system_of(params).plain and params.arrivals_into(slots) is None
