"""Scores as cells by period and item, so that their ratios and differences have intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...forecasters.forecast import (
    QuantileForecast,
)
from ...forecasters.scores import quantile_loss_cells, volatility_cells
from ..statistics import Interval, Saving, mean_interval, paired_saving
from .task import LOSS_LEVELS, Contest


@dataclass(frozen=True, eq=False)
class Cells:
    """Values and what they are weighed with; both 0 where nothing is known.

    Attributes:
        value: shape (periods, items).
        weight: likewise.
    """

    value: FloatArray
    weight: FloatArray


def loss_cells(forecast: QuantileForecast, contest: Contest) -> Cells:
    """Return twice the quantile loss, averaged over `LOSS_LEVELS`, and demand, by target period and item."""
    loss, demand = quantile_loss_cells(forecast, contest.panel, LOSS_LEVELS, truth=contest.truth)
    known = ~np.isnan(demand)
    parts = (np.where(known, loss, 0.0), np.where(known, np.abs(demand), 0.0))
    return Cells(*(by_target(part, contest.origins) for part in parts))


def followed_cells(forecast: QuantileForecast, contest: Contest) -> Cells:
    """Return the excess volatility of the followed items, by target period and item; every known cell weighs 1."""
    rows = contest.followed
    truth = None if contest.truth is None else contest.truth[rows]
    excess = volatility_cells(forecast, contest.panel.select(rows), truth=truth).excess.T
    known = np.isfinite(excess)
    return Cells(np.where(known, excess, 0.0), known.astype(np.float64))


def by_target(values: FloatArray, origins: IntArray) -> FloatArray:
    """Add up values of the same target period.

    Args:
        values: shape (items, origins, horizon).
        origins: shape (origins,).

    Returns:
        shape (targets, items), the periods in order.
    """
    targets, position = np.unique(origins[:, None] + np.arange(values.shape[2]), return_inverse=True)
    out = np.zeros((len(targets), len(values)))
    np.add.at(out, position.reshape(-1), values.reshape(len(values), -1).T)
    return out


def ratio(cells: Cells, contest: Contest) -> Interval:
    """Return Σ value / Σ weight with its interval (two-way clusters: items × blocks of periods)."""
    found = paired_saving(cells.weight[None], cells.value[None], **_how(contest))
    return Interval(1.0 - found.saving, 1.0 - found.high, 1.0 - found.low, found.standard_error)


def reduction(earlier: Cells, later: Cells, contest: Contest) -> Saving:
    """Return by which share the later forecaster's summed loss is below the earlier one's, with its interval."""
    return paired_saving(earlier.value[None], later.value[None], **_how(contest))


def mean(cells: Cells, contest: Contest) -> Interval:
    """Return the weighted mean of the values with its interval."""
    return mean_interval(cells.value[None], weight=cells.weight[None], **_how(contest))


def change(earlier: Cells, later: Cells, contest: Contest) -> Interval:
    """Return the weighted mean of what the later values are below the earlier ones, with its interval."""
    known = (earlier.weight > 0) & (later.weight > 0)
    return mean(Cells(earlier.value - later.value, np.where(known, later.weight, 0.0)), contest)


def _how(contest: Contest) -> dict[str, Any]:
    return {"level": contest.level, "clusters": "item_time", "block": contest.block}
