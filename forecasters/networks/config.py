"""What an MQ-CNN is and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import FractileError
from ..base import checked_levels
from ..forecast import DEFAULT_LEVELS
from .training import Schedule


@dataclass(frozen=True)
class MQCNNConfig:
    """What an MQ-CNN is and how it is trained.

    Attributes:
        horizon: periods ahead that are trained; a forecast reaches no further.
        levels: quantile levels that are trained; others are interpolated.
        width: channels of the encoder.
        dilations: of its layers; the receptive field is 1 + their sum periods.
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
        seed: of weights, batches and dropout.
        device: "cpu", "cuda", …; "cuda" where there is one with "auto".
    """

    horizon: int = 12
    levels: tuple[float, ...] = DEFAULT_LEVELS
    width: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
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
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        checked_levels(self.levels)
        for name in ("horizon", "width", "steps", "batch_items", "batch_origins"):
            if getattr(self, name) < 1:
                raise FractileError(f"mqcnn: {name} must be at least 1, got {getattr(self, name)}")
        for name in ("dropout", "hold_out", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise FractileError(f"mqcnn: {name} must be in [0, 1), got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise FractileError(f"mqcnn: learning_rate must be above 0, got {self.learning_rate}")

    @property
    def schedule(self) -> Schedule:
        """How long and how fast to train."""
        return Schedule(**{f.name: getattr(self, f.name) for f in fields(Schedule)})
