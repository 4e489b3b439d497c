"""Excess forecast volatility: how much more a forecast is revised than new knowledge can justify.

A rational forecaster's belief in an event is a martingale: it moves only as news comes in, and the squares of
its moves add up, on average, to the uncertainty that it began with (Augenblick and Rabin 2021). What moves
more than that is noise, revised away later: orders that follow it are a bullwhip. Eisenach, Patel and Madeka
(2020) measure demand forecasters by it.

For one target period, forecast from K successive origins up to the period itself, with q the p-quantile of the
first forecast, the beliefs are `π_k = P_k(D ≤ q)`, and the last one is the outcome, `π_{K+1} = 1{D ≤ q}`:

    excess = Σ_k (π_{k+1} − π_k)² − π_1 (1 − π_1)

Its expectation is 0 for the true conditional distribution. Noise in the beliefs raises it; so does a first
belief that is wrong.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..data.panel import SalesPanel
from ..forecast import QuantileForecast
from ..interpolation import cdf_at
from .tables import actual_demand, quantiles_at

VOLATILITY_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels p of the first forecast whose quantiles are followed."""


class VolatilityCells(NamedTuple):
    """The measure's two halves, averaged over the levels, NaN where demand is not known.

    Attributes:
        movement: `Σ_k (π_{k+1} − π_k)²`, shape (items, targets).
        uncertainty: `π_1 (1 − π_1)`, shape (items, targets).
        targets: the period that each column is about, shape (targets,).
    """

    movement: FloatArray
    uncertainty: FloatArray
    targets: IntArray

    @property
    def excess(self) -> FloatArray:
        """Movement beyond the initial uncertainty, shape (items, targets)."""
        return self.movement - self.uncertainty


def excess_volatility(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    levels: ArrayLike = VOLATILITY_LEVELS,
    revisions: int | None = None,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
) -> float:
    """Return the mean excess over items, target periods and levels; arguments as in `volatility_cells`."""
    excess = volatility_cells(
        forecast, panel, levels=levels, revisions=revisions, truth=truth, whole_units=whole_units
    ).excess
    known = ~np.isnan(excess)
    return float(excess[known].mean()) if known.any() else float("nan")


def volatility_cells(
    forecast: QuantileForecast,
    panel: SalesPanel,
    *,
    levels: ArrayLike = VOLATILITY_LEVELS,
    revisions: int | None = None,
    truth: FloatArray | None = None,
    whole_units: bool | None = None,
) -> VolatilityCells:
    """Return movement and initial uncertainty of each item and target period.

    Demand in whole units makes probabilities jump. The event is then `D ≤ ⌊q⌋`, and its probability is read
    half a unit above, in the middle of the forecast's step. A forecast of coarse levels knows that step only
    up to the distance of its levels: ask for levels at most 0.02 apart where slow items matter.

    Args:
        forecast: of the panel's items, from successive origins (each one period after the one before).
        panel: the demand that followed; item-periods that were out of stock or not listed are left out.
        levels: p, shape (P,), interpolated where they were not forecast.
        revisions: how many successive origins each target period is followed from, the last of which is the
            target period itself. [K] As many as there are, up to the horizon, where None.
        truth: demand to compare with instead of sales, shape (items, periods).
        whole_units: whether demand is counted; as the panel's sales are where None.
    """
    number = _check_revisions(forecast, revisions)
    targets = forecast.origins[number - 1 :]
    demand = actual_demand(forecast, panel, truth)[:, number - 1 :, 0]
    whole = panel.integer_demand if whole_units is None else whole_units
    # A target is first forecast `number - 1` periods ahead, and one period less from each origin after that.
    ahead = [number - 1 - k for k in range(number)]
    seen = [forecast.values[:, k : k + len(targets), steps] for k, steps in enumerate(ahead)]
    first = QuantileForecast(forecast.levels, seen[0][:, :, None], forecast.origins[: len(targets)], forecast.item_ids)
    _, quantiles = quantiles_at(first, levels)
    movement, uncertainty = np.zeros(demand.shape), np.zeros(demand.shape)
    for q in np.moveaxis(quantiles[:, :, 0], -1, 0):
        threshold = np.floor(q + 1e-9) + 0.5 if whole else q
        beliefs = [cdf_at(forecast.levels, values, threshold) for values in seen]
        beliefs.append((demand <= threshold).astype(np.float64))
        movement += sum((after - before) ** 2 for before, after in pairwise(beliefs))
        uncertainty += beliefs[0] * (1.0 - beliefs[0])
    unknown = np.where(np.isnan(demand), np.nan, 1.0 / quantiles.shape[-1])
    return VolatilityCells(movement * unknown, uncertainty * unknown, targets)


def _check_revisions(forecast: QuantileForecast, revisions: int | None) -> int:
    most = min(forecast.horizon, len(forecast.origins))
    number = most if revisions is None else revisions
    if np.any(np.diff(forecast.origins) != 1):
        raise FractileError(
            f"volatility needs successive origins, each one period after the one before, got {forecast.origins}; "
            "forecast from every period of a window"
        )
    if not 1 <= number <= most:
        raise FractileError(
            f"revisions must be in 1 ... {most} for a forecast of {len(forecast.origins)} origins and a horizon of "
            f"{forecast.horizon}, got {revisions}"
        )
    return int(number)
