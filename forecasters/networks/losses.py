"""Losses of networks in units: the pinball loss, and its mean over known demand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...arrays import FloatArray

MAX_LOG_QUANTILE = 14.0
"""Largest log1p quantile: a million units; keeps the first steps of training finite."""
MOST_UNITS = float(np.expm1(MAX_LOG_QUANTILE))
"""The same in units."""


def quantile_loss(log_quantiles: Tensor, demand: Tensor, *, weight: Tensor, levels: Tensor) -> Tensor:
    """Return the weighted mean pinball loss in units, over known demand.

    Args:
        log_quantiles: log1p of units, shape (items, origins, horizon, levels).
        demand: units, shape (items, origins, horizon), NaN where unknown.
        weight: of each item, shape (items,).
        levels: shape (levels,). [τ]
    """
    quantiles = torch.expm1(torch.clamp(log_quantiles, max=MAX_LOG_QUANTILE))
    excess = torch.nan_to_num(demand)[..., None] - quantiles  # (items, origins, horizon, levels)
    loss = torch.maximum(levels * excess, (levels - 1.0) * excess).mean(-1)  # ρ_τ, mean over the levels
    return weighted_mean(loss, demand, weight)


def weighted_mean(loss: Tensor, demand: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over known demand, each item by its weight.

    Args:
        loss: shape (items, origins, horizon).
        demand: the same shape, NaN where unknown.
        weight: shape (items,).
    """
    known = ~torch.isnan(demand)
    return (loss * known * weight[:, None, None]).sum() / known.sum().clamp(min=1)


def to_units(log: Tensor) -> FloatArray:
    """Return units, not below zero, from log1p units."""
    units = np.expm1(np.minimum(log.detach().cpu().numpy().astype(np.float64), MAX_LOG_QUANTILE + 2.0))
    return np.asarray(np.maximum(units, 0.0))
