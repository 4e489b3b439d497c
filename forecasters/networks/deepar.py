"""DeepAR: a recurrent network that forecasts by drawing paths (Salinas et al. 2020)."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..interpolation import sorted_quantiles
from .base import NetworkForecaster
from .config import DeepARConfig
from .inputs import KNOWN, LEVEL, LEVEL_RATE, LOG_OVER_LEVEL, SEEN, SEEN_MOST, SEEN_SCALE, InputPlan
from .layers import STATIC, NetworkInputs, Reader, Sizes
from .network import OVERFLOW, Batch, Network

LAST = (LOG_OVER_LEVEL, LEVEL, KNOWN, SEEN)
"""Channels of `inputs.past` that a drawn path can carry on."""
LEAST_MEAN = 0.02
PASSES = 8
"""Drawn paths take memory: fewer items are forecast in one pass than by other networks."""


class Walk(NamedTuple):
    """Where drawn paths stand, each of shape (rows,): rows are items times origins times paths.

    Attributes:
        last: the network's view of the last period, shape (rows, channels).
        level: mean sales so far, weighted, units.
        seen: informative periods so far.
    """

    last: Tensor
    level: Tensor
    seen: Tensor


class DeepARNetwork(Network):
    """An LSTM that puts a negative binomial on the next period, given the last one and what is known ahead.

    Trained on the likelihood of the next period, at origins all over the history. A forecast draws paths: each
    drawn demand is the last period of the next step. Observed-only covariates are not read, since nobody knows
    them along a path.

    Args:
        sizes: of the inputs.
        config: of the network.
        unit: step that demand is counted in.
    """

    most_pairs = 3000

    def __init__(self, sizes: Sizes, config: DeepARConfig, unit: float) -> None:
        super().__init__(config.horizon)
        self.passes = PASSES
        self.reader = Reader(sizes)
        self.unit, self.paths = unit, config.paths
        self.first = nn.Linear(len(LAST) + self.reader.ahead + STATIC, config.width)
        self.lstm = nn.LSTM(config.width, config.width, config.layers, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean negative log likelihood of the period that begins at each origin."""
        first = int(batch.origins.max())
        hidden = self.lstm(self._steps(batch.inputs, 1, first + 1))[0][:, batch.origins - 1]
        level = torch.expm1(batch.inputs.base(batch.origins, batch.origins))
        mean, size = self._distribution(hidden, level)
        demand = batch.demand[..., 0]
        known = ~torch.isnan(demand)
        count = torch.nan_to_num(demand) / self.unit
        return -(_log_likelihood(count, mean / self.unit, size) * known).sum() / known.sum().clamp(min=1)

    def quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles of drawn paths, in units."""
        # In double precision a draw does not depend on how many rows are computed side by side.
        exact = copy.deepcopy(self).double()
        inputs = NetworkInputs(*(each.double() if each.is_floating_point() else each for each in _parts(inputs)))
        hidden, cell = exact._states(inputs, origins)
        paths = exact._drawn(inputs, origins, hidden, cell)
        return sorted_quantiles(np.sort(paths, axis=0), levels)

    def _steps(self, inputs: NetworkInputs, first: int, last: int) -> Tensor:
        """Return what the LSTM reads in the steps that forecast periods first … last − 1."""
        periods = torch.arange(first, last, device=inputs.past.device)
        before = inputs.past[:, periods - 1][..., list(LAST)]
        return self._read(before, self.reader.known(inputs, periods), inputs)

    def _read(self, before: Tensor, known: Tensor, inputs: NetworkInputs) -> Tensor:
        static = self.reader.attributes(inputs)
        static = static.reshape(len(static), *[1] * (before.ndim - 2), STATIC).expand(*before.shape[:-1], STATIC)
        return torch.relu(self.first(torch.cat([before, known, static], dim=-1)))

    def _distribution(self, hidden: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean in units and the size of the negative binomial, (…) each."""
        raw = self.head(self.dropout(hidden))
        mean = (level + LEAST_MEAN) * torch.exp(torch.clamp(raw[..., 0], -6.0, 6.0))
        return mean, nn.functional.softplus(raw[..., 1]) + 0.02

    def _states(self, inputs: NetworkInputs, origins: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's states before each origin's first step, (layers, items, origins, width) each."""
        items, width = len(inputs.past), self.lstm.hidden_size
        nothing = torch.zeros(self.lstm.num_layers, items, width, dtype=inputs.past.dtype, device=inputs.past.device)
        state, at, kept = (nothing, nothing), 1, {}
        for origin in sorted(int(o) for o in origins):
            if origin > at:
                state, at = self.lstm(self._steps(inputs, at, origin), state)[1], origin
            kept[origin] = state
        chosen = [kept[int(o)] for o in origins]
        return torch.stack([h for h, _ in chosen], 2), torch.stack([c for _, c in chosen], 2)

    def _drawn(self, inputs: NetworkInputs, origins: Tensor, hidden: Tensor, cell: Tensor) -> FloatArray:
        """Return paths of demand, units, shape (paths, items, origins, horizon)."""
        items, number = len(inputs.past), len(origins)
        shape = (items, number, self.paths)
        uniforms = shared_uniforms(self.paths, self.horizon)
        state = _for_paths(hidden, self.paths), _for_paths(cell, self.paths)
        walk = self._start(inputs, origins)
        out = np.empty((self.horizon, items, number, self.paths))
        for step in range(self.horizon):
            known = self.reader.known(inputs, origins + step)[:, :, None].expand(*shape, self.reader.ahead)
            read = self._read(walk.last.reshape(*shape, len(LAST)), known, inputs)
            output, state = self.lstm(read.reshape(-1, 1, read.shape[-1]), state)
            lift = torch.exp(inputs.lift[:, origins + step]).flatten().repeat_interleave(self.paths)
            mean, size = self._distribution(output[:, 0], walk.level * lift)
            out[step] = self._inverted(uniforms[:, step], mean, size).reshape(shape)
            walk = _moved(walk, torch.from_numpy(out[step].reshape(-1)).to(mean.device) / lift)
        return np.moveaxis(out, (0, 3), (3, 0))

    def _start(self, inputs: NetworkInputs, origins: Tensor) -> Walk:
        last = inputs.past[:, origins - 1][..., list(LAST)]
        level, seen = torch.expm1(inputs.level[:, origins]), torch.expm1(SEEN_SCALE * last[..., 3])
        return Walk(*(each.flatten(0, 1).repeat_interleave(self.paths, dim=0) for each in (last, level, seen)))

    def _inverted(self, uniform: FloatArray, mean: Tensor, size: Tensor) -> FloatArray:
        """Return demand in units by inverse transform: rows are pairs times paths."""
        from scipy.stats import nbinom

        n, m = size.cpu().numpy(), mean.cpu().numpy() / self.unit
        drawn = nbinom.ppf(np.tile(uniform, len(n) // len(uniform)), n, n / (n + m))
        return np.asarray(np.minimum(drawn * self.unit, np.expm1(OVERFLOW)))


class DeepAR(NetworkForecaster):
    """Forecasts by drawn paths of a recurrent network with negative binomial demand (Salinas et al. 2020, DeepAR).

    Demand is counted in the steps that sales move in (1, 0.1, …). Arguments as in `NetworkForecaster`, options as
    in `DeepARConfig`; `levels` and `scale_power` play no part in training.
    """

    name = "deepar"
    config_type = DeepARConfig
    censorings = ("mask",)
    config: DeepARConfig

    def build(self, sizes: Sizes, plan: InputPlan) -> DeepARNetwork:
        """Return the network."""
        return DeepARNetwork(sizes, self.config, plan.unit)


def shared_uniforms(paths: int, horizon: int) -> FloatArray:
    """Return stratified uniforms that all items and origins share, shape (paths, horizon).

    Every step holds the midpoints of `paths` equal strata in an order of its own: quantiles are smooth in the
    parameters, and revisions of a forecast do not move by chance alone.
    """
    rng = keyed_generator(0, "deepar uniforms", str(paths))
    order = np.stack([rng.permutation(paths) for _ in range(horizon)], axis=1)
    return (order + 0.5) / paths


def _log_likelihood(count: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    """Return log probabilities of a negative binomial; counts between whole ones are interpolated by Γ."""
    total = torch.log(size + mean)
    return (
        torch.lgamma(count + size)
        - torch.lgamma(size)
        - torch.lgamma(count + 1.0)
        + size * (torch.log(size) - total)
        + count * (torch.log(mean) - total)
    )


def _moved(walk: Walk, demand: Tensor) -> Walk:
    """Carry on what the network sees of the past, as `history.running_level` does; demand is that over lift."""
    seen = walk.seen + 1.0
    level = walk.level + torch.clamp(1.0 / seen, min=LEVEL_RATE) * (demand - walk.level)
    after = torch.log1p(level)
    known = torch.ones_like(level)
    last = [torch.log1p(demand) - after, after, known, torch.log1p(torch.clamp(seen, max=SEEN_MOST)) / SEEN_SCALE]
    return Walk(torch.stack(last, dim=-1), level, seen)


def _for_paths(state: Tensor, paths: int) -> Tensor:
    """Repeat states (layers, items, origins, width) for each path: (layers, rows, width)."""
    return state.flatten(1, 2).repeat_interleave(paths, dim=1).contiguous()


def _parts(inputs: NetworkInputs) -> tuple[Tensor, ...]:
    return inputs.past, inputs.ahead, inputs.week, inputs.static, inputs.level, inputs.lift
