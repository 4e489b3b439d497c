"""The arithmetic of arrival shares: draws, hazards, and the rules that parameters keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError


def row(table: FloatArray, item: IntArray) -> FloatArray:
    """Return the columns of a table (n, 1 or items) that the paths' items have, shape (n, paths)."""
    return table[:, np.zeros_like(item) if table.shape[1] == 1 else item]


def inverted(cdf: FloatArray, uniform: FloatArray) -> IntArray:
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
    """Return P(L = k | L >= k) along the last axis; 1 behind the last k that is possible."""
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


def checked_shares(name: str, value: Any) -> FloatArray:
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
