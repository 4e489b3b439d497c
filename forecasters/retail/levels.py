"""The hidden levels of the embedded retail panel: three autoregressions that log demand follows.

Each item has a slow level of its own, all items of a category share a shock, and the public's interest in an
item raises its demand one and two periods later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...arrays import FloatArray


class Autoregression(NamedTuple):
    """A stationary process `x_t = memory · x_{t−1} + noise`.

    Attributes:
        memory: in (−1, 1).
        deviation: its standard deviation.
    """

    memory: float
    deviation: float

    def of(self, noise: FloatArray) -> FloatArray:
        """Turn standard normal noise, time last, into values of the process."""
        levels = np.empty_like(noise)
        levels[..., 0] = noise[..., 0]
        for t in range(1, noise.shape[-1]):
            levels[..., t] = self.memory * levels[..., t - 1] + np.sqrt(1 - self.memory**2) * noise[..., t]
        return self.deviation * levels

    def spread(self, horizon: int) -> FloatArray:
        """Return the covariance of the next values given the last one, shape (horizon, horizon)."""
        step = np.arange(1, horizon + 1)
        apart, since = np.abs(np.subtract.outer(step, step)), np.add.outer(step, step)
        return np.asarray(self.deviation**2 * (self.memory**apart - self.memory**since))


LEVEL = Autoregression(0.9, 0.25)
SHOCK = Autoregression(0.7, 0.12)
INTEREST = Autoregression(0.5, 0.3)
INTEREST_SHARES = (0.7, 0.3)
"""How much of interest acts one period later, and two."""


@dataclass(frozen=True, eq=False)
class HiddenLevels:
    """What moved demand without being on record, all on the log of demand.

    Attributes:
        level: the item's own, shape (items, periods).
        shock: that of its category, shape (items, periods).
        interest: the public's, shape (items, 2 + periods): two periods before the first one are part of it.
        attention: how strongly log demand follows interest, shape (items,).
    """

    level: FloatArray
    shock: FloatArray
    interest: FloatArray
    attention: FloatArray

    @property
    def pull(self) -> FloatArray:
        """What past interest adds to log demand, shape (items, periods)."""
        soon, late = INTEREST_SHARES
        return self.attention[:, None] * (soon * self.interest[:, 1:-1] + late * self.interest[:, :-2])

    def state(self, origins: np.ndarray) -> FloatArray:
        """Return level, shock, and interest of one and of two periods ago: (items, origins, 4)."""
        at = np.asarray(origins)
        each = self.level[:, at - 1], self.shock[:, at - 1], self.interest[:, at + 1], self.interest[:, at]
        return np.stack(each, axis=-1)


def state_effects(attention: FloatArray, horizon: int) -> FloatArray:
    """Return how `HiddenLevels.state` acts on expected log demand from 1 to `horizon` periods later.

    Args:
        attention: shape (items,).
        horizon: periods ahead.

    Returns:
        shape (items, horizon, 4).
    """
    step = np.arange(1, horizon + 1)
    effects = np.zeros((len(attention), horizon, 4))
    effects[:, :, 0] = LEVEL.memory**step
    effects[:, :, 1] = SHOCK.memory**step
    # Interest of one period ago fades from then on; that of two periods ago acts once more, on the first period.
    recent = _interest_weights(horizon) @ INTEREST.memory ** np.arange(horizon)
    effects[:, :, 2] = attention[:, None] * recent
    effects[:, 0, 3] = attention * INTEREST_SHARES[1]
    return effects


def future_covariance(attention: FloatArray, horizon: int) -> FloatArray:
    """Return the covariance of log demand's hidden part over the horizon, given the state at the origin.

    Args:
        attention: shape (items,).
        horizon: periods ahead.

    Returns:
        shape (items, horizon, horizon).
    """
    spread = np.zeros((horizon, horizon))
    spread[1:, 1:] = INTEREST.spread(horizon)[:-1, :-1]
    weights = _interest_weights(horizon)
    pulled = weights @ spread @ weights.T
    own = LEVEL.spread(horizon) + SHOCK.spread(horizon)
    return np.asarray(own + (attention**2)[:, None, None] * pulled)


def _interest_weights(horizon: int) -> FloatArray:
    """Weights of interest, from one period before the origin on, in each period's log demand."""
    soon, late = INTEREST_SHARES
    return soon * np.eye(horizon) + late * np.eye(horizon, k=-1)
