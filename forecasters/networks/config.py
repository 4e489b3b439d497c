"""What networks have in common: how large they are, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import FractileError
from ..base import checked_levels
from ..forecast import DEFAULT_LEVELS
from ..options import Options
from .training import Schedule

WHOLE = ("horizon", "width", "steps", "batch_items", "batch_origins", "members")
SHARES = ("dropout", "hold_out", "averaging")
CENSORINGS = ("mask", "bound")


@dataclass(frozen=True)
class NetworkConfig(Options):
    """What every network has, and how it is trained.

    Attributes:
        horizon: periods ahead that are trained; a forecast reaches no further.
        levels: quantile levels that are trained; others are interpolated.
        width: channels of the hidden layers.
        dropout: share of channels left out in training.
        steps: gradient steps, whatever the number of items; fewer are quicker and coarser.
        batch_items: items in a step.
        batch_origins: forecast origins in a step, drawn anew for each.
        learning_rate: at its peak.
        weight_decay: of AdamW.
        averaging: how slowly the averaged weights follow.
        scale_power: items weigh `scale ** −scale_power` in the loss: 0 is the loss in units, 1 relative.
        hold_out: share of the periods that training is stopped by and errors are learnt from.
        patience: checks without improvement before it stops; 0 never stops early.
        refit: share of the steps that go on afterwards with the held-out periods included.
        adjust: whether calendar and known covariates are taken out of the sales first by a log-linear model.
        censoring: what sales of a listed item teach while it is out of stock: "mask", nothing; "bound", that demand
            was no less.
        members: networks that are trained from seeds of their own; their quantiles are averaged.
        seed: of weights, batches and dropout.
        device: "cpu", "cuda", …; "cuda" where there is one with "auto".
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
    censoring: str = "mask"
    members: int = 1
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        checked_levels(self.levels)
        for name in WHOLE:
            if getattr(self, name) < 1:
                raise FractileError(f"{name} must be at least 1, got {getattr(self, name)}; give a whole number")
        for name in SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise FractileError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.censoring not in CENSORINGS:
            raise FractileError(f"censoring must be one of {', '.join(CENSORINGS)}, got {self.censoring!r}")
        if self.learning_rate <= 0:
            raise FractileError(f"learning_rate must be above 0, got {self.learning_rate}")

    @property
    def schedule(self) -> Schedule:
        """How long and how fast to train."""
        return Schedule(**{f.name: getattr(self, f.name) for f in fields(Schedule)})


@dataclass(frozen=True)
class MQCNNConfig(NetworkConfig):
    """An MQ-CNN; the other options are those of every network.

    Attributes:
        dilations: of the encoder's layers; the receptive field is 1 + their sum periods.
    """

    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class MQMLPConfig(NetworkConfig):
    """A feed-forward network; the other options are those of every network.

    Attributes:
        window: periods before the origin that it reads.
    """

    window: int = 13


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """A recurrent network; the other options are those of every network.

    Attributes:
        layers: of the LSTM.
    """

    layers: int = 1


@dataclass(frozen=True)
class DeepARConfig(RecurrentConfig):
    """A DeepAR; the other options are those of every recurrent network.

    Attributes:
        paths: sample paths that its quantiles are read from.
    """

    paths: int = 100


@dataclass(frozen=True)
class MQTransformerConfig(MQCNNConfig):
    """An MQTransformer; the other options are those of MQ-CNN.

    Attributes:
        heads: of the attention from a horizon to the history.
    """

    heads: int = 2


@dataclass(frozen=True)
class QuantileFunctionConfig(MQCNNConfig):
    """A quantile-function network; the other options are those of MQ-CNN.

    Attributes:
        pieces: linear pieces of the spline between two knots.
        random_levels: quantile levels drawn anew for each step, beside the knots.
    """

    levels: tuple[float, ...] = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    pieces: int = 3
    random_levels: int = 16
