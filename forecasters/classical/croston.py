"""Croston's method for intermittent demand, and its corrections, for all items in one pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, Self, get_args

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import FractileError, did_you_mean
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel
from .point import PointForecaster

Variant = Literal["classic", "sba", "tsb"]


@dataclass(frozen=True)
class Rates:
    """Smoothing rates of Croston's method.

    Attributes:
        variant: "classic" (Croston 1972), "sba" (Syntetos and Boylan 2005), "tsb" (Teunter, Syntetos and Babai 2011).
        size_rate: of the size of a demand. [α]
        chance_rate: of the time between demands, or of the chance of one (tsb). [β]
    """

    variant: str
    size_rate: float
    chance_rate: float

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return flat forecasts, units, shape (items, origins, horizon)."""
        return np.repeat(croston_levels(panel, self)[:, origins, None], horizon, axis=2)

    def to_state(self) -> State:
        """Return the rates as configuration."""
        return asdict(self), {}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:  # noqa: ARG003
        """Rebuild the rates."""
        return cls(**config)


class Croston(PointForecaster[Rates]):
    """Exponential smoothing of the size of demands and of the time between them (Croston 1972).

    The forecast is size / interval; "sba" takes the share β/2 off, which removes most of its bias, and "tsb"
    smooths the chance of a demand in every period, so that a forecast falls while nothing is sold. Periods out
    of stock leave everything as it was. An item without any demand is forecast at zero. Quantiles come from the
    method's own past errors.

    Args:
        horizon: periods ahead over which errors are calibrated; a longer forecast keeps the last one's.
        variant: "classic", "sba" or "tsb".
        size_rate: smoothing of sizes, in (0, 1]. [α]
        chance_rate: smoothing of intervals or chances, in (0, 1]. [β]
        censoring: as in `PointForecaster`.
    """

    name = "croston"
    model_type = Rates

    def __init__(
        self,
        horizon: int = 12,
        *,
        variant: str = "sba",
        size_rate: float = 0.1,
        chance_rate: float = 0.1,
        censoring: str = "bound",
    ) -> None:
        super().__init__(horizon, censoring=censoring)
        if variant not in get_args(Variant):
            raise FractileError(f"unknown variant {variant!r}{did_you_mean(variant, get_args(Variant))}")
        for name, rate in (("size_rate", size_rate), ("chance_rate", chance_rate)):
            if not 0 < rate <= 1:
                raise FractileError(f"{name} must be in (0, 1], got {rate}; 0.1 is usual")
        self.rates = Rates(variant, size_rate, chance_rate)

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        return {**super().options(), **asdict(self.rates)}

    def fit_model(self, panel: SalesPanel, before: Rates | None) -> Rates:  # noqa: ARG002
        """Return the rates, which are given and not fitted."""
        return self.rates


def croston_levels(panel: SalesPanel, rates: Rates) -> FloatArray:
    """Return the forecast before each period 0 … periods, units, shape (items, periods + 1)."""
    size, interval, chance = (np.zeros(panel.items) for _ in range(3))
    gap, seen = np.ones(panel.items), np.zeros(panel.items, dtype=bool)
    levels = np.zeros((panel.items, panel.periods + 1))
    for t in range(panel.periods):
        sales, known = panel.sales[:, t], panel.informative[:, t]
        sold, first = known & (sales > 0), size == 0
        size = np.where(sold, np.where(first, sales, size + rates.size_rate * (sales - size)), size)
        interval = np.where(sold, np.where(first, gap, interval + rates.chance_rate * (gap - interval)), interval)
        moved = np.where(seen, chance + rates.chance_rate * (sold - chance), sold)
        chance, seen = np.where(known, moved, chance), seen | known
        gap = np.where(sold, 1.0, gap + known)
        if rates.variant == "tsb":
            levels[:, t + 1] = size * chance
        else:
            share = 1.0 - rates.chance_rate / 2 if rates.variant == "sba" else 1.0
            levels[:, t + 1] = share * size / np.maximum(interval, 1.0)
    return levels
