"""What networks share: options, inputs, layers, and forecasts of all horizons from many origins in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ...arrays import FloatArray
from ...errors import FractileError
from ..base import Options, at_levels, check_levels
from ..censoring import check_censoring
from ..forecast import DEFAULT_LEVELS
from .losses import quantile_loss, to_units

WEEK_CHANNELS = 4
"""Channels of the week of the year."""
STATIC_CHANNELS = 8
"""Channels of the static attributes."""

AT_LEAST_ONE = ("horizon", "width", "steps", "batch_items", "batch_origins", "members")
SHARES = ("dropout", "hold_out", "averaging")


@dataclass(frozen=True)
class NetworkConfig(Options):
    """Options of every network: its size, and how it is trained.

    Attributes:
        horizon: periods ahead that are trained; a forecast reaches no further.
        levels: quantile levels that are trained; others are interpolated.
        width: channels of the hidden layers.
        dropout: share of channels left out in training.
        steps: gradient steps, whatever the number of items; fewer are quicker and coarser.
        batch_items: items in a step.
        batch_origins: forecast origins drawn for each step; all of them is forking sequences in full.
        learning_rate: at its peak; it rises over the first tenth and falls to almost nothing along a cosine.
        weight_decay: of AdamW.
        averaging: share of the old average that stays at each step in the average of the weights.
        scale_power: items weigh `scale ** −scale_power` in the loss: 0 is the loss in units, 1 relative.
        hold_out: share of the periods, the last ones, that validate the training and give the forecast errors.
        patience: checks without improvement before training stops; 0 never stops early.
        refit: steps of the training that follows with the held-out periods included, as a share of the best number.
        adjust: whether calendar and known covariates are taken out of the sales first by a log-linear model.
        censoring: how sales of a listed item count while it is out of stock: "bound", as a lower bound of demand;
            "mask", not at all.
        members: networks that are trained from seeds of their own; their quantiles are averaged.
        seed: of weights, batches and dropout.
        device: "cpu", "cuda", …; with "auto" "cuda" where there is one.
    """

    horizon: int = 12
    levels: tuple[float, ...] = DEFAULT_LEVELS
    width: int = 32
    dropout: float = 0.1
    steps: int = 800
    batch_items: int = 16
    batch_origins: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    averaging: float = 0.97
    scale_power: float = 0.5
    hold_out: float = 0.14
    patience: int = 6
    refit: float = 0.3
    adjust: bool = True
    censoring: str = "bound"
    members: int = 1
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_levels(self.levels)
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise FractileError(f"{name} must be at least 1, got {getattr(self, name)}; give a whole number")
        for name in SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise FractileError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        check_censoring(self.censoring)
        if self.learning_rate <= 0:
            raise FractileError(f"learning_rate must be above 0, got {self.learning_rate}")


@dataclass(frozen=True)
class Sizes:
    """Numbers of input channels.

    Attributes:
        past, ahead, static: channels of the inputs.
    """

    past: int
    ahead: int
    static: int


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """Tensors that a network reads; see `inputs.Inputs` for shapes and meaning."""

    past: Tensor
    ahead: Tensor
    week: Tensor
    static: Tensor
    level: Tensor
    lift: Tensor

    @property
    def sizes(self) -> Sizes:
        """Numbers of channels."""
        return Sizes(self.past.shape[-1], self.ahead.shape[-1], self.static.shape[-1])

    def rows(self, chosen: Tensor | slice) -> NetworkInputs:
        """Return some of the items."""
        return NetworkInputs(
            self.past[chosen], self.ahead[chosen], self.week, self.static[chosen], self.level[chosen], self.lift[chosen]
        )

    def double(self) -> NetworkInputs:
        """Return the same in double precision."""
        each = [getattr(self, field.name) for field in fields(self)]
        return NetworkInputs(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in each))

    def base(self, origins: Tensor, targets: Tensor) -> Tensor:
        """Return log1p of the level at each origin under the lift of each target, (items, *targets.shape).

        Args:
            origins: shape (origins,).
            targets: periods, shape (origins, …).
        """
        level = self.level[:, origins].reshape(-1, *origins.shape, *[1] * (targets.ndim - 1))
        return torch.log1p(torch.expm1(level) * torch.exp(self.lift[:, targets]))


@dataclass(frozen=True, eq=False)
class Batch:
    """Items and origins of one loss.

    Attributes:
        inputs: tensors of the items.
        demand: units, shape (items, origins, horizon), NaN where unknown.
        weight: of each item in the loss, shape (items,).
        origins: periods to forecast from, increasing, shape (origins,).
    """

    inputs: NetworkInputs
    demand: Tensor
    weight: Tensor
    origins: Tensor


class Network(nn.Module):
    """The interface between a network, its training and its forecaster.

    Args:
        horizon: periods ahead. [H]
    """

    consecutive = False
    """Whether the origins of a training step must follow each other."""
    max_pairs = 100_000
    """Items times origins whose forecast errors are estimated, at most."""
    passes = 1
    """How many origins must be computed for each that is forecast, at most."""

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles in units, shape (items, origins, horizon, levels), not decreasing along the levels.

        Args:
            inputs: tensors of the items; `ahead` must reach the origins' horizons.
            origins: periods to forecast from, shape (origins,).
            levels: shape (levels,). [τ]
        """
        raise NotImplementedError


class NetworkEnsemble(Network):
    """Networks whose quantiles are averaged.

    Args:
        networks: of one kind, trained from different seeds.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__(networks[0].horizon)
        self.networks = nn.ModuleList(networks)
        self.passes, self.max_pairs = networks[0].passes, networks[0].max_pairs

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return the mean of the members' quantiles."""
        each = [cast(Network, network).predict_quantiles(inputs, origins, levels) for network in self.networks]
        return np.asarray(np.mean(each, axis=0))


class Reader(nn.Module):
    """The input layer: past periods and periods ahead, each joined with its week, items with their attributes.

    Attributes:
        past: channels of `history`.
        ahead: channels of `known`.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.week = nn.Embedding(53, WEEK_CHANNELS)
        nn.init.normal_(self.week.weight, std=0.1)
        self.static = nn.Linear(sizes.static, STATIC_CHANNELS)
        self.past = sizes.past + WEEK_CHANNELS + STATIC_CHANNELS
        self.ahead = sizes.ahead + WEEK_CHANNELS

    def attributes(self, inputs: NetworkInputs) -> Tensor:
        """Return static attributes, shape (items, channels)."""
        return torch.relu(self.static(inputs.static))

    def history(self, inputs: NetworkInputs, first: int) -> Tensor:
        """Return what is known once each of the first periods is over, shape (items, first, channels)."""
        items = len(inputs.past)
        week = self.week(inputs.week[:first]).expand(items, first, WEEK_CHANNELS)
        static = self.attributes(inputs)[:, None].expand(items, first, STATIC_CHANNELS)
        return torch.cat([inputs.past[:, :first], week, static], dim=-1)

    def known(self, inputs: NetworkInputs, targets: Tensor) -> Tensor:
        """Return what is known ahead of these periods, shape (items, *targets.shape, channels)."""
        week = self.week(inputs.week[targets]).expand(len(inputs.past), *targets.shape, WEEK_CHANNELS)
        return torch.cat([inputs.ahead[:, targets], week], dim=-1)


class ForkingDecoder(nn.Module):
    """From an origin's context and what is known of each period ahead to hidden channels (Wen et al. 2017).

    A global layer makes one context for each horizon and one for all; a local network, shared by the
    horizons, joins them with what is known of that period.
    """

    def __init__(self, width: int, ahead: int, horizon: int, dropout: float) -> None:
        super().__init__()
        self.context = width // 2
        self.horizon = horizon
        self.globally = nn.Linear(width, (horizon + 1) * self.context)
        self.locally = nn.Sequential(
            nn.Linear(2 * self.context + ahead, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.ReLU(),
        )

    def forward(self, context: Tensor, ahead: Tensor) -> Tensor:
        """Map contexts (..., width) and periods ahead (..., horizon, channels) to (..., horizon, width)."""
        every = torch.relu(self.globally(context))  # (..., (horizon + 1) · width / 2)
        every = every.reshape(*context.shape[:-1], self.horizon + 1, self.context)
        common = every[..., :1, :].expand(*every.shape[:-2], self.horizon, self.context)
        return cast(Tensor, self.locally(torch.cat([common, every[..., 1:, :], ahead], dim=-1)))


class MonotoneQuantiles(nn.Module):
    """A head whose outputs never cross: the lowest level, and steps upwards that are never negative."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, levels)
        nn.init.normal_(self.linear.weight, std=0.02)
        with torch.no_grad():
            self.linear.bias.fill_(-2.0)
            self.linear.bias[0] = -1.0

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (..., width) to (..., levels), not decreasing."""
        raw = self.linear(hidden)
        steps = torch.cumsum(nn.functional.softplus(raw[..., 1:]), dim=-1)
        return torch.cat([raw[..., :1], raw[..., :1] + steps], dim=-1)


class ForkingNetwork(Network):
    """An encoder of the history and a decoder for all horizons, at many origins in one pass (Wen et al. 2017).

    Args:
        sizes: of the inputs.
        encoder: maps (items, periods, channels) to (items, periods, width), causally.
        reader: the input layer.
        config: `width` of the encoder's output, `horizon`, `dropout` in the decoder.
    """

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: NetworkConfig) -> None:
        super().__init__(config.horizon)
        self.reader = reader
        self.encoder = encoder
        width = config.width
        mixed = width + STATIC_CHANNELS + sizes.past
        self.mixed = nn.Sequential(nn.Linear(mixed, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.decoder = ForkingDecoder(width, reader.ahead, config.horizon, config.dropout)

    def targets(self, origins: Tensor) -> Tensor:
        """Return the periods that are forecast, shape (origins, horizon)."""
        return origins[:, None] + torch.arange(self.horizon, device=origins.device)

    def decode(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return hidden channels of each forecast, shape (items, origins, horizon, width)."""
        encoded = self.encoder(self.reader.history(inputs, int(origins.max())))  # (items, periods, width)
        context = self.context(inputs, encoded, origins)  # (items, origins, width)
        ahead = self.reader.known(inputs, self.targets(origins))  # (items, origins, horizon, channels)
        return cast(Tensor, self.decoder(context, ahead))

    def context(self, inputs: NetworkInputs, encoded: Tensor, origins: Tensor) -> Tensor:
        """Return the context of each origin from the periods before it, shape (items, origins, width)."""
        static = self.reader.attributes(inputs)[:, None]
        static = static.expand(len(encoded), len(origins), static.shape[-1])
        joined = torch.cat([encoded[:, origins - 1], static, inputs.past[:, origins - 1]], dim=-1)
        return cast(Tensor, self.mixed(joined))


class QuantileNetwork(ForkingNetwork):
    """A forking network with one output a quantile level, trained on the quantile loss.

    Args:
        sizes, encoder, reader: see `ForkingNetwork`.
        config: the same, and the `levels` that are trained.
    """

    levels: Tensor

    def __init__(self, sizes: Sizes, encoder: nn.Module, reader: Reader, config: NetworkConfig) -> None:
        super().__init__(sizes, encoder, reader, config)
        self.head = MonotoneQuantiles(config.width, len(config.levels))
        self.trained_levels = np.asarray(config.levels)
        self.register_buffer("levels", torch.tensor(config.levels, dtype=torch.float32), persistent=False)

    def forward(self, inputs: NetworkInputs, origins: Tensor) -> Tensor:
        """Return log1p quantiles, shape (items, origins, horizon, levels)."""
        above_base: Tensor = self.head(self.decode(inputs, origins))
        return above_base + inputs.base(origins, self.targets(origins))[..., None]

    def loss(self, batch: Batch) -> Tensor:
        """Return the weighted mean pinball loss."""
        log_quantiles = self(batch.inputs, batch.origins)
        return quantile_loss(log_quantiles, batch.demand, weight=batch.weight, levels=self.levels)

    def predict_quantiles(self, inputs: NetworkInputs, origins: Tensor, levels: FloatArray) -> FloatArray:
        """Return quantiles in units; levels that are not trained are interpolated."""
        return at_levels(self.trained_levels, to_units(self(inputs, origins)), levels)
