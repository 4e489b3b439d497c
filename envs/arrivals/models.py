"""When orders arrive, and how much of them: lead times, split, short and lost deliveries as data.

A model draws shares of shape (slots + 1, paths, periods, items): which share of the order placed in period t arrives
k periods later, k = 0 … slots. The physics only multiplies. In the period, the order of k
periods ago arrives before demand occurs; k = 0: this period's order. The pipeline holds what will arrive, in the slot
in which it will: a policy that reads it knows how much of its last order comes, and when, before it orders again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...randomness import item_keys, keyed_generator, path_blocks
from ..core.types import Scenario


@runtime_checkable
class ArrivalModel(Protocol):
    """Anything that arrivals can be drawn from."""

    @property
    def slots(self) -> int:
        """Periods that the slowest delivery takes: pipeline slots that are needed."""

    @property
    def mean_shares(self) -> FloatArray:
        """Mean share of an order that arrives k periods later, shape (slots + 1, 1 or items)."""

    def sample(self, rng: np.random.Generator, paths: int, periods: int, items: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths or 1, periods, items)."""

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals of paths that hold one item each, shape (slots + 1, paths, periods, 1)."""


def with_arrivals(scenario: Scenario, model: ArrivalModel, seed: int) -> Scenario:
    """Return the scenario with arrivals that are keyed by a seed.

    The same seed gives the same arrivals whatever the demand; more items, paths and periods change none of them.

    Args:
        scenario: demand, and what else there is.
        model: where arrivals come from.
        seed: integer >= 0.

    >>> demand = np.zeros((2, 3, 1))
    >>> with_arrivals(Scenario(demand), ConstantLeadTime(1), 0).arrivals[:, 0, 0, 0]
    array([0., 1.])
    """
    rng = keyed_generator(seed, "arrivals")
    return replace(scenario, arrivals=model.sample(rng, scenario.paths, scenario.periods, scenario.items))


def expected_lead_time(arrivals: ArrivalModel | Scenario | FloatArray) -> FloatArray:
    """Return the mean lead time of a unit that is delivered, for policies that plan with one number.

    `Σ_k k a_k / Σ_k a_k` with a_k the mean share that arrives k periods later.

    Args:
        arrivals: a model, a scenario that has arrivals, or the array (slots + 1, paths or 1, periods, items).

    Returns:
        periods, shape (1 or items,). [E L]

    >>> expected_lead_time(RandomLeadTime([0.0, 0.5, 0.5]))
    array([1.5])
    """
    if isinstance(arrivals, Scenario):
        if arrivals.arrivals is None:
            raise FractileError("the scenario has no arrivals: its lead times are those of the parameters")
        arrivals = np.asarray(arrivals.arrivals)
    shares = arrivals.mean((1, 2)) if isinstance(arrivals, np.ndarray) else arrivals.mean_shares
    delivered = shares.sum(0)
    return np.asarray(np.arange(len(shares)) @ shares / np.where(delivered > 0, delivered, 1.0))


@dataclass(frozen=True, eq=False)
class ByItem:
    """Models that draw each item from generators of its own: see `randomness.draw_by_item`."""

    @property
    def slots(self) -> int:
        """Periods that the slowest delivery takes."""
        return len(self.mean_shares) - 1

    @property
    def mean_shares(self) -> FloatArray:
        """Mean share of an order that arrives k periods later, shape (slots + 1, 1 or items)."""
        raise NotImplementedError

    @property
    def constant(self) -> bool:
        """Whether nothing is random."""
        return False

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals of paths that hold one item each, shape (slots + 1, paths, periods).

        They are drawn period by period: the first periods are the same however many follow.
        """
        raise NotImplementedError

    def keys(self, items: int) -> Sequence[str]:
        """Return what the items' draws are keyed by: their ids, or their positions where the model has none."""
        return item_keys(items)

    def sample(self, rng: np.random.Generator, paths: int, periods: int, items: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods, items); paths are one where they are all alike.

        Neither more paths, more periods nor other items move the draws of a path, a period and an item.
        """
        known = self.mean_shares.shape[1]
        if known not in (1, items):
            raise FractileError(f"{type(self).__name__} has parameters of {known} items, {items} are asked for")
        root, drawn = int(rng.integers(2**62)), []
        wanted = 1 if self.constant else paths  # all paths are alike where nothing is random
        for i, key in enumerate(self.keys(items)):
            blocks = [
                self.draw(keyed_generator(root, key, first), np.full(last - first, i), periods)
                for first, last in path_blocks(max(wanted, 1))
            ]
            drawn.append(np.concatenate(blocks, axis=1)[:, :wanted])
        return np.stack(drawn, axis=-1)

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals of paths that hold one item each: `item` says which, shape (paths,).

        Returns:
            shape (slots + 1, paths, periods, 1).
        """
        return self.draw(rng, item, periods)[..., None]


@dataclass(frozen=True, eq=False)
class ConstantLeadTime(ByItem):
    """Every order arrives whole, after a constant number of periods.

    Attributes:
        lead_time: periods, an integer >= 0, one for all or (items,). [L]
    """

    lead_time: int | IntArray

    def __post_init__(self) -> None:
        lead_time = np.asarray(self.lead_time, dtype=np.float64)
        if lead_time.ndim > 1 or not (np.isfinite(lead_time) & (lead_time >= 0) & (lead_time % 1 == 0)).all():
            raise FractileError(f"lead_time must be integers >= 0, one for all or one an item, got {self.lead_time}")

    @property
    def mean_shares(self) -> FloatArray:
        """One-hot in the lead time, shape (slots + 1, 1 or items)."""
        lead_time = np.atleast_1d(np.asarray(self.lead_time, dtype=np.int64))
        return (np.arange(lead_time.max() + 1)[:, None] == lead_time).astype(np.float64)

    @property
    def constant(self) -> bool:
        """Whether nothing is random."""
        return True

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:  # noqa: ARG002
        """Return arrivals, shape (slots + 1, paths, periods)."""
        shares = pick_items(self.mean_shares, item)
        return np.broadcast_to(shares[:, :, None], (*shares.shape, periods))


@dataclass(frozen=True, eq=False)
class RandomLeadTime(ByItem):
    """Every order arrives whole, after a random number of periods.

    With `crossing`, lead times are independent, and a later order may arrive before an earlier one. Without, orders
    never overtake each other (Kaplan 1970): in each period one number A is drawn, and all orders that were placed A
    or more periods ago arrive. An order's lead time is the first k with A_{t+k} <= k, so that
    `P(L > k) = Π_{j<=k} P(A > j)`; P(A <= k) is then the hazard P(L = k | L >= k) of the lead time that is asked for,
    and each order has just the probabilities given. Lead times of successive orders depend on each other.

    Source: Kaplan (1970), A dynamic inventory model with stochastic lead times, Management Science 16(7).

    Attributes:
        probabilities: P(L = k) for k = 0 … slots, shape (slots + 1,) or (items, slots + 1).
        crossing: whether orders may overtake each other. If not, hazards must not fall with k.

    Raises:
        FractileError: where probabilities are none, or cannot be had without crossing.
    """

    probabilities: ArrayLike
    crossing: bool = True

    def __post_init__(self) -> None:
        shares = check_shares("probabilities", self.probabilities)
        object.__setattr__(self, "probabilities", shares)
        if not self.crossing and (np.diff(hazard(shares), axis=-1) < -1e-9).any():
            raise FractileError(
                "probabilities of lead times without crossing need hazards P(L = k | L >= k) that do not fall with k, "
                f"got hazards {np.round(hazard(shares), 4).tolist()}; set crossing=True, or move mass to later periods"
            )

    @property
    def mean_shares(self) -> FloatArray:
        """The probabilities, shape (slots + 1, 1 or items)."""
        return np.atleast_2d(np.asarray(self.probabilities)).T

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        probabilities = pick_items(self.mean_shares, item)
        if self.crossing:
            lead_time = invert(np.cumsum(probabilities, axis=0), rng.random((periods, len(item))).T)
        else:
            ages = invert(hazard(probabilities.T).T, rng.random((periods + self.slots, len(item))).T)
            due = [ages[:, k : k + periods] <= k for k in range(self.slots + 1)]
            lead_time = np.argmax(np.stack(due), axis=0)
        return (np.arange(self.slots + 1)[:, None, None] == lead_time).astype(np.float64)


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
        object.__setattr__(self, "shares", check_shares("shares", self.shares))
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
        shares = pick_items(self.mean_shares, item)
        if self.concentration is None:
            return np.broadcast_to(shares[:, :, None], (*shares.shape, periods))
        alpha = np.broadcast_to(self.concentration * shares.T, (periods, len(item), len(shares)))
        return dirichlet(rng, alpha).transpose(2, 1, 0)


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

    def keys(self, items: int) -> Sequence[str]:
        """Return the keys of the model within."""
        return keys_of(self.model, items)

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        first, second = rng.spawn(2)
        mean = pick_items(np.atleast_1d(np.asarray(self.delivered, dtype=np.float64))[None], item)[0][:, None]
        share = np.broadcast_to(mean, (len(item), periods))
        if self.concentration is not None:
            weight = self.concentration
            drawn = second.beta(weight * share.T, np.where(share < 1, weight * (1 - share), 1.0).T).T
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

    def keys(self, items: int) -> Sequence[str]:
        """Return the keys of the model within."""
        return keys_of(self.model, items)

    def draw(self, rng: np.random.Generator, item: IntArray, periods: int) -> FloatArray:
        """Draw arrivals, shape (slots + 1, paths, periods)."""
        first, second = rng.spawn(2)
        lost = pick_items(np.atleast_1d(np.asarray(self.probability, dtype=np.float64))[None], item)[0][:, None]
        kept = lost <= second.random((periods, len(item))).T
        return self.model.episodes(first, item, periods)[..., 0] * kept


def keys_of(model: ArrivalModel, items: int) -> Sequence[str]:
    """Return what a model's draws are keyed by; a model that does not say so has no ids."""
    return model.keys(items) if isinstance(model, ByItem) else item_keys(items)


def pick_items(table: FloatArray, item: IntArray) -> FloatArray:
    """Return the columns of a table (n, 1 or items) that the paths' items have, shape (n, paths)."""
    return table[:, np.zeros_like(item) if table.shape[1] == 1 else item]


def invert(cdf: FloatArray, uniform: FloatArray) -> IntArray:
    """Return the smallest k with uniform < cdf[k].

    Args:
        cdf: shape (slots + 1, paths).
        uniform: in [0, 1), shape (paths, periods).

    Returns:
        periods, the shape of `uniform`.
    """
    steps = (uniform[None] >= cdf[:-1, :, None]).sum(0)
    return np.asarray(steps, dtype=np.int64)


def hazard(probabilities: FloatArray) -> FloatArray:
    """Return P(L = k | L >= k) along the last axis; 1 beyond the last k that is possible."""
    left = 1.0 - np.cumsum(probabilities, axis=-1) + probabilities
    possible = left > 1e-12
    return np.where(possible, np.clip(probabilities / np.where(possible, left, 1.0), 0.0, 1.0), 1.0)


def dirichlet(rng: np.random.Generator, alpha: FloatArray) -> FloatArray:
    """Return Dirichlet draws along the last axis; in logarithms, as small parameters underflow. 0 stays 0."""
    first, second = rng.spawn(2)
    boost = np.log(1.0 - second.random(alpha.shape)) / np.where(alpha > 0, alpha, 1.0)
    logs = np.where(alpha > 0, np.log(first.standard_gamma(alpha + 1.0)) + boost, -np.inf)
    parts = np.exp(logs - logs.max(-1, keepdims=True))
    return np.asarray(parts / parts.sum(-1, keepdims=True))


def check_shares(name: str, value: Any) -> FloatArray:
    """Return shares (slots + 1,) or (items, slots + 1) that are >= 0 and add up to 1 along the last axis."""
    shares, faults = np.asarray(value, dtype=np.float64), Faults()
    if shares.ndim not in (1, 2) or shares.shape[-1] == 0:
        raise FractileError(f"{name} must have the shape (slots + 1,) or (items, slots + 1), got {shares.shape}")
    if not (np.isfinite(shares) & (shares >= 0)).all():
        faults.add(f"{name} must be finite numbers >= 0, got {shares[~(shares >= 0)].tolist() or shares.tolist()}")
    elif (np.abs(shares.sum(-1) - 1.0) > 1e-6).any():
        faults.add(
            f"{name} must add up to 1, got {np.ravel(shares.sum(-1)).tolist()}; "
            "for what never arrives use ShortDeliveries or LostDeliveries"
        )
    faults.raise_if_any()
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def check_concentration(value: float | None) -> None:
    """Raise a `FractileError` where a concentration is neither None nor above 0."""
    if value is not None and not (np.isfinite(value) and value > 0):
        raise FractileError(f"concentration must be a finite number above 0, got {value}; None means constant")


def check_probability(name: str, value: Any, *, allow_zero: bool) -> None:
    """Raise a `FractileError` where a probability, or one of many, lies outside [0, 1] (or is 0)."""
    array = np.asarray(value, dtype=np.float64)
    inside = (array >= 0) if allow_zero else (array > 0)
    if array.ndim > 1 or not (inside & (array <= 1)).all():
        left = "[" if allow_zero else "("
        raise FractileError(f"{name} must lie in {left}0, 1], one number or one an item, got {value}")
