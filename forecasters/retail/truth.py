"""The true conditional distribution of the embedded panel's demand, several periods ahead.

At an origin the hidden levels are known up to the period before it, or believed with an error; what they do
afterwards is integrated out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ..calibration.dependence import Dependence
from ..calibration.sampling import positive_definite
from ..forecast import (
    QuantileForecast,
)
from .count_mixture import CountMixture, score_correlation
from .levels import future_covariance, state_effects
from .market import Market, Traits

FEW = 4
"""Origins whose correlations stand for those of all."""


@dataclass(frozen=True, eq=False)
class LevelBelief:
    """What is known of the hidden levels before each origin: a normal distribution of `HiddenLevels.state`.

    Attributes:
        mean: shape (items, origins, 4).
        covariance: shape (items, origins, 4, 4), or None where the levels are known.
    """

    mean: FloatArray
    covariance: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Outlook:
    """The law of demand after each origin: negative binomial around a mean whose logarithm is normal.

    Attributes:
        centre: expected log mean, shape (items, origins, horizon); −inf before an item's launch.
        covariance: of the log means of an item, shape (items, origins, horizon, horizon).
        dispersion: size of the negative binomial, shape (items,).
    """

    centre: FloatArray
    covariance: FloatArray
    dispersion: FloatArray

    def quantiles(self, levels: FloatArray) -> FloatArray:
        """Return the smallest demand whose probability is at least each level: (items, origins, horizon, Q)."""
        return self._cells().quantile(levels).reshape(*self.centre.shape, len(levels))

    def dependence(self) -> Dependence:
        """Return a Gaussian copula, one an item, under which demand has its true covariances over the horizon."""
        few = self._few_origins()
        cells = few._cells()
        mean = cells.mean.reshape(few.centre.shape)
        terms = cells.hermite().reshape(*few.centre.shape, -1)
        covariance = mean[..., :, None] * mean[..., None, :] * np.expm1(few.covariance)
        correlation = score_correlation(terms, covariance).mean(axis=1)
        each = np.stack([positive_definite(one) for one in correlation])
        return Dependence(each, np.arange(len(each))[:, None])

    def sample(self, paths: int, rng: np.random.Generator) -> FloatArray:
        """Draw demand, items by themselves, units, shape (paths, items, origins, horizon)."""
        root = np.linalg.cholesky(self.covariance)
        noise = np.einsum("iohk,piok->pioh", root, rng.standard_normal((paths, *self.centre.shape)))
        mean = np.exp(self.centre + noise)
        size = self.dispersion[:, None, None]
        return rng.negative_binomial(size, size / (size + mean)).astype(np.float64)

    def _few_origins(self) -> Outlook:
        """The first, the last and some origins between them: correlations hardly differ."""
        number = self.centre.shape[1]
        chosen = np.unique(np.linspace(0, number - 1, min(number, FEW)).astype(np.int64))
        return Outlook(self.centre[:, chosen], self.covariance[:, chosen], self.dispersion)

    def _cells(self) -> CountMixture:
        shape = self.centre.shape
        deviation = np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))
        dispersion = np.broadcast_to(self.dispersion[:, None, None], shape)
        return CountMixture(self.centre.reshape(-1), deviation.reshape(-1), dispersion.reshape(-1))


def outlook(traits: Traits, market: Market, origins: IntArray, horizon: int, belief: LevelBelief) -> Outlook:
    """Return the law of demand after each origin, given a belief about the hidden levels before it."""
    targets = origins[:, None] + np.arange(horizon)
    effects = state_effects(traits.attention, horizon)
    centre = market.fixed[:, targets] + np.einsum("ihs,ios->ioh", effects, belief.mean)
    centre = np.where(market.listed[:, targets], centre, -np.inf)
    covariance = np.repeat(future_covariance(traits.attention, horizon)[:, None], len(origins), axis=1)
    if belief.covariance is not None:
        covariance = covariance + np.einsum("ihs,iost,ikt->iohk", effects, belief.covariance, effects)
    return Outlook(centre, covariance, traits.dispersion)


def as_forecast(
    law: Outlook, levels: FloatArray, origins: IntArray, item_ids: tuple[str, ...], dates: pd.DatetimeIndex, freq: str
) -> QuantileForecast:
    """Dress an outlook as a quantile forecast; `dates` are those of the panel."""
    return QuantileForecast(
        levels=levels,
        values=law.quantiles(levels),
        origins=origins,
        item_ids=item_ids,
        dates=pd.DatetimeIndex(dates[origins]),
        freq=freq,
        dependence=law.dependence(),
    )
