"""Losses of quantile networks: the pinball loss in units, and how stock-outs enter it as bounds on demand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...arrays import FloatArray

MAX_LOG_QUANTILE = 14.0
"""Largest log1p quantile: a million units; keeps the first steps of training finite."""
BOUND_REACH = 1.5
"""A bound pulls quantiles up to this multiple of it: how far demand went beyond cannot be seen, and a network whose
quantiles are pulled further drifts away."""
MAX_BELOW = 0.95
"""Largest probability of demand below a bound; without it a bound far above the forecast would pull without limit."""


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


def censored_quantile_loss(
    log_quantiles: Tensor, demand: Tensor, *, bound: Tensor | None, weight: Tensor, levels: Tensor
) -> Tensor:
    """Return the quantile loss of known demand, with the gradient of demand that is only known to exceed a bound.

    During a stock-out sales are a lower bound of demand. Such a demand counts as drawn from the network's own
    distribution above the bound (self-consistency, Efron 1967; Portnoy 2003 for quantile regression). The pinball
    loss of level τ then has the derivative `max(τ − F, 0) / (1 − F) − τ`, where F is the network's probability of
    demand below the bound. Only this derivative is added; the value stays the loss of known demand.

    Args:
        log_quantiles: log1p of units, shape (items, origins, horizon, levels), increasing along the levels.
        demand: units, shape (items, origins, horizon), NaN where unknown.
        bound: units that demand was no less than, shape of `demand`, NaN where nothing is known; None masks
            stock-outs, so that they add nothing.
        weight: of each item, shape (items,).
        levels: increasing, shape (levels,). [τ]
    """
    loss = quantile_loss(log_quantiles, demand, weight=weight, levels=levels)
    if bound is None:
        return loss
    quantiles = torch.expm1(torch.clamp(log_quantiles, max=MAX_LOG_QUANTILE))
    fixed = quantiles.detach()
    units = torch.nan_to_num(bound)  # (items, origins, horizon)
    below = torch.clamp(probability_below(fixed, units, levels), max=MAX_BELOW)[..., None]  # F
    slope = torch.clamp((levels - below) / (1.0 - below), min=0.0) - levels  # (items, origins, horizon, levels)
    slope = slope * (fixed <= BOUND_REACH * (units[..., None] + 1.0))
    counted = (~torch.isnan(bound) * weight[:, None, None])[..., None]
    known = (~torch.isnan(demand)).sum().clamp(min=1)
    # `quantiles - fixed` is zero and has the gradient of the quantiles.
    return loss + (slope * (quantiles - fixed) * counted).sum() / len(levels) / known


def probability_below(quantiles: Tensor, bound: Tensor, levels: Tensor) -> Tensor:
    """Return the probability of demand below a bound, interpolated between the levels: the shape of `bound`."""
    at = torch.searchsorted(quantiles.contiguous(), bound[..., None].contiguous())[..., 0]
    high = torch.clamp(at, 1, len(levels) - 1)
    q0 = torch.gather(quantiles, -1, (high - 1)[..., None])[..., 0]
    q1 = torch.gather(quantiles, -1, high[..., None])[..., 0]
    share = torch.clamp((bound - q0) / torch.clamp(q1 - q0, min=1e-6), 0.0, 1.0)
    inside = levels[high - 1] + share * (levels[high] - levels[high - 1])
    return torch.where(at == 0, torch.zeros_like(inside), inside)


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
