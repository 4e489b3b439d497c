"""DeepAR: a recurrent network that forecasts by drawing paths (Salinas et al. 2020)."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import nbinom
from torch import Tensor, nn

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..interpolation import sorted_quantiles
from .base import NetworkForecaster
from .inputs import KNOWN, LEVEL, LEVEL_RATE, LOG_OVER_LEVEL, SEEN, SEEN_MOST, SEEN_SCALE, InputPlan
from .losses import MAX_LOG_QUANTILE
from .network import STATIC_CHANNELS, Batch, Network, NetworkConfig, NetworkInputs, Reader, Sizes

LAST = (LOG_OVER_LEVEL, LEVEL, KNOWN, SEEN)
"""Channels of `inputs.past` that can be computed along a drawn path."""
LEAST_MEAN = 0.02
PASSES = 8
"""Drawn paths take memory: fewer items are forecast in one pass than by other networks."""


@dataclass(frozen=True)
class DeepARConfig(NetworkConfig):
    """Options of DeepAR beside those of every network.

    Attributes:
        layers: of the LSTM.
        paths: sample paths whose quantiles are the forecast.
    """

    layers: int = 1
    paths: int = 100


class DeepARNetwork(Network):
    """An LSTM whose output is a negative binomial of the next period, given the last one and what is known ahead.

    Trained on the likelihood of the next period, at origins all over the history. A forecast draws paths: each
    drawn demand is the last period of the next step. Observed-only covariates are not read, since they are
    unknown along a path.

    Args:
        sizes: of the inputs.
        config: of the network.
        unit: step that demand is counted in.
    """

    max_pairs = 3000

    def __init__(self, sizes: Sizes, config: DeepARConfig, unit: float) -> None:
        super().__init__(config.horizon)
        self.passes = PASSES
        self.reader = Reader(sizes)
        self.unit, self.paths = unit, config.paths
        self.first = nn.Linear(len(LAST) + self.reader.ahead + STATIC_CHANNELS, config.width)
        self.lstm = nn.LSTM(config.width, config.width, config.layers, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean negative log likelihood of the period that begins at each origin."""
        last = int(batch.origins.max())
        hidden = self.lstm(self.history(batch.inputs, 1, last + 1))[0]  # (items, last, width)
        level = torch.expm1(batch.inputs.base(batch.origins, batch.origins))  # (items, origins), units
        mean, size = self.distribution(hidden[:, batch.origins - 1], level)
        demand = batch.demand[..., 0]  # (items, origins): the first period of each horizon
        known = ~torch.isnan(demand)
        count = torch.nan_to_num(demand) / self.unit
        return -(log_likelihood(count, mean / self.unit, size) * known).sum() / known.sum().clamp(min=1)

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles of drawn paths, in units."""
        # In double precision a draw does not depend on how many rows are computed side by side.
        paths = copy.deepcopy(self).double().draw_paths(inputs.double(), origins)
        return sorted_quantiles(np.sort(paths, axis=0), levels)

    def history(self, inputs: NetworkInputs, first: int, last: int) -> Tensor:
        """Return the LSTM's input in the steps that forecast periods first … last − 1, (items, steps, width)."""
        periods = torch.arange(first, last, device=inputs.past.device)
        return self.read(inputs, inputs.past[:, periods - 1][..., list(LAST)], self.reader.known(inputs, periods))

    def read(self, inputs: NetworkInputs, before: Tensor, known: Tensor) -> Tensor:
        """Join the period before (items, …, channels) with what is known of this one: (items, …, width)."""
        static = self.reader.attributes(inputs)
        static = static.reshape(len(static), *[1] * (before.ndim - 2), STATIC_CHANNELS)
        static = static.expand(*before.shape[:-1], STATIC_CHANNELS)
        return torch.relu(self.first(torch.cat([before, known, static], dim=-1)))

    def distribution(self, hidden: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean in units and the size of the negative binomial, (…) each."""
        raw = self.head(self.dropout(hidden))
        mean = (level + LEAST_MEAN) * torch.exp(torch.clamp(raw[..., 0], -6.0, 6.0))
        return mean, nn.functional.softplus(raw[..., 1]) + 0.02

    def draw_paths(self, inputs: NetworkInputs, origins: Tensor) -> FloatArray:
        """Return paths of demand, units, shape (paths, items, origins, horizon).

        A row below is a pair of item and origin and one of its paths.
        """
        shape = (len(inputs.past), len(origins), self.paths)
        state = self._states(inputs, origins)
        last = inputs.past[:, origins - 1][..., list(LAST)].flatten(0, 1)  # (items · origins, channels)
        last = last.repeat_interleave(self.paths, dim=0)  # (rows, channels)
        level = torch.expm1(inputs.level[:, origins]).flatten().repeat_interleave(self.paths)  # (rows,), units
        seen = torch.expm1(SEEN_SCALE * last[:, LAST.index(SEEN)])  # (rows,), informative periods so far
        uniforms = shared_uniforms(self.paths, self.horizon)
        out = np.empty((self.horizon, *shape))
        for step in range(self.horizon):
            known = self.reader.known(inputs, origins + step)[:, :, None].expand(*shape, self.reader.ahead)
            read = self.read(inputs, last.reshape(*shape, len(LAST)), known)  # (items, origins, paths, width)
            hidden, state = self.lstm(read.reshape(-1, 1, read.shape[-1]), state)  # (rows, 1, width)
            lift = torch.exp(inputs.lift[:, origins + step]).flatten().repeat_interleave(self.paths)
            mean, size = self.distribution(hidden[:, 0], level * lift)

            # By inverse transform, so that demand moves with the parameters and not by chance.
            n, m = size.cpu().numpy(), mean.cpu().numpy() / self.unit
            drawn = nbinom.ppf(np.tile(uniforms[:, step], len(n) // self.paths), n, n / (n + m))  # (rows,)
            out[step] = np.minimum(drawn * self.unit, np.expm1(MAX_LOG_QUANTILE)).reshape(shape)

            # The past as `history.running_level` and `sales_columns` compute it, from demand over its lift.
            demand = torch.from_numpy(out[step].reshape(-1)).to(mean.device) / lift
            seen = seen + 1.0
            level = level + torch.clamp(1.0 / seen, min=LEVEL_RATE) * (demand - level)
            after = torch.log1p(level)
            age = torch.log1p(torch.clamp(seen, max=SEEN_MOST)) / SEEN_SCALE
            last = torch.stack([torch.log1p(demand) - after, after, torch.ones_like(level), age], dim=-1)
        return np.moveaxis(out, (0, 3), (3, 0))

    def _states(self, inputs: NetworkInputs, origins: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's states before each origin's first step, (layers, rows, width) each.

        One pass over the history serves all origins.
        """
        items, width = len(inputs.past), self.lstm.hidden_size
        zeros = torch.zeros(self.lstm.num_layers, items, width, dtype=inputs.past.dtype, device=inputs.past.device)
        state, at, kept = (zeros, zeros), 1, {}
        for origin in sorted(int(o) for o in origins):
            if origin > at:
                state, at = self.lstm(self.history(inputs, at, origin), state)[1], origin
            kept[origin] = state
        hidden, cell = (
            torch.stack([kept[int(o)][part] for o in origins], 2)  # (layers, items, origins, width)
            .flatten(1, 2)
            .repeat_interleave(self.paths, dim=1)
            .contiguous()
            for part in (0, 1)
        )
        return hidden, cell


class DeepAR(NetworkForecaster):
    """Forecasts by drawn paths of a recurrent network with negative binomial demand (Salinas et al. 2020, DeepAR).

    Demand is counted in the steps that sales move in (1, 0.1, …). Arguments as in `NetworkForecaster`, options as
    in `DeepARConfig`; `levels` and `scale_power` play no part in training.
    """

    name = "deepar"
    config_type = DeepARConfig
    config: DeepARConfig

    def build_network(self, sizes: Sizes, plan: InputPlan) -> DeepARNetwork:
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


def log_likelihood(count: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    """Return log probabilities of a negative binomial; counts between whole ones are interpolated by Γ."""
    total = torch.log(size + mean)
    return (
        torch.lgamma(count + size)
        - torch.lgamma(size)
        - torch.lgamma(count + 1.0)
        + size * (torch.log(size) - total)
        + count * (torch.log(mean) - total)
    )
