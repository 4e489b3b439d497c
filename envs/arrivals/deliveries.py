"""Deliveries in parts, deliveries that are short, deliveries that never come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from .model import ArrivalModel, ByItem
from .shares import check_concentration, check_probability, checked_shares, dirichlet, row


@dataclass(frozen=True, eq=False)
class SplitDeliveries(ByItem):
    """Orders arrive in parts.

    Attributes:
        shares: mean share that arrives k periods later, k = 0 … slots, adding up to 1, shape (slots + 1,) or
            (items, slots + 1).
        concentration: > 0; shares are Dirichlet with parameters concentration · shares, the smaller the more random,
            drawn anew for each order. None = constant shares.
    """

    shares: ArrayLike
    concentration: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", checked_shares("shares", self.shares))
        check_concentration(self.concentration)

    @property
    def mean_shares(self) -> FloatArray:
        """The shares, shape (slots + 1, 1 or items)."""
        return np.atleast_2d(np.asarray(self.shares)).T

    @property
    def constant(self) -> bool:
        """Whether nothing is random."""
        return self.concentration is None

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        shares = row(self.mean_shares, item)
        if self.concentration is None:
            return np.broadcast_to(shares[:, :, None], (*shares.shape, periods))
        alpha = np.broadcast_to(self.concentration * shares.T[:, None], (len(item), periods, len(shares)))
        return np.moveaxis(dirichlet(rng, alpha), 2, 0)


@dataclass(frozen=True, eq=False)
class ShortDeliveries(ByItem):
    """Suppliers deliver only a part of what was ordered; the rest never comes, nor does it enter the pipeline.

    Attributes:
        model: when what is delivered arrives.
        delivered: mean share of an order that is delivered, in (0, 1], one for all or (items,).
        concentration: > 0; the share is beta distributed with parameters (concentration · mean,
            concentration · (1 − mean)), drawn anew for each order. None = always the mean.
    """

    model: ArrivalModel
    delivered: float | FloatArray
    concentration: float | None = None

    def __post_init__(self) -> None:
        check_probability("delivered", self.delivered, allow_zero=False)
        check_concentration(self.concentration)

    @property
    def mean_shares(self) -> FloatArray:
        """Mean share that arrives k periods later, shape (slots + 1, 1 or items)."""
        return self.model.mean_shares * np.atleast_1d(self.delivered)

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        first, second = rng.spawn(2)
        mean = row(np.atleast_1d(np.asarray(self.delivered, dtype=np.float64))[None], item)[0][:, None]
        share = np.broadcast_to(mean, (len(item), periods))
        if self.concentration is not None:
            weight = self.concentration
            drawn = second.beta(weight * share, np.where(share < 1, weight * (1 - share), 1.0))
            share = np.where(share < 1, drawn, 1.0)
        return self.model.episodes(first, item, periods)[..., 0] * share


@dataclass(frozen=True, eq=False)
class LostDeliveries(ByItem):
    """Some orders never arrive; they never enter the pipeline, so that a policy orders their units again.

    Attributes:
        model: when the others arrive.
        probability: that an order is lost, in [0, 1], one for all or (items,).
    """

    model: ArrivalModel
    probability: float | FloatArray

    def __post_init__(self) -> None:
        check_probability("probability", self.probability, allow_zero=True)

    @property
    def mean_shares(self) -> FloatArray:
        """Mean share that arrives k periods later, shape (slots + 1, 1 or items)."""
        return self.model.mean_shares * (1.0 - np.atleast_1d(self.probability))

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        first, second = rng.spawn(2)
        lost = row(np.atleast_1d(np.asarray(self.probability, dtype=np.float64))[None], item)[0][:, None]
        kept = second.random((len(item), periods)) >= lost
        return self.model.episodes(first, item, periods)[..., 0] * kept
