"""The true distribution of the embedded panel's demand: period by period, and conditional on what an origin knows.

`TrueDemand` is what demand was drawn from. `Outlook` is the law several periods ahead: at an origin the hidden
levels are known up to the period before it, or believed with an error, and what they do afterwards is integrated
out. One period of it is a `CountMixture`, negative binomial demand whose log mean is normal: the normal is
integrated by Gauss–Hermite quadrature, and probabilities are added up from zero by the recursion of the negative
binomial, so that quantiles carry no simulation error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ..calibration.dependence import Dependence
from ..calibration.sampling import positive_definite
from ..forecast import QuantileForecast
from .market import LevelBelief, Market, Traits, future_covariance, state_effects

NODES = 21
BLOCK = 256
"""Cells of like size whose probabilities are added up together."""
TERMS = 4
"""Terms of the Hermite expansion that correlations are found from."""
REST = 1e-5
"""Upper tail that moments leave out."""
FEW = 4
"""Origins whose correlations stand for those of all."""


@dataclass(frozen=True, eq=False)
class TrueDemand:
    """The distribution that demand was drawn from: a negative binomial for each item and period.

    It is conditional on *everything* but the period's own noise: on what is known ahead (calendar, price,
    promotion, launch), and on the hidden levels of that very period as well (the item's slow level, the shock
    common to its category, the public's interest). No forecaster knows those levels, least of all several
    periods ahead, so its quantiles are an oracle's: a bound that no forecast reaches, not a target; what can
    be forecast at an origin is `RetailPanel.true_forecast`. Given these levels, demand is independent over
    items and periods.

    Attributes:
        mean: units, shape (items, periods); 0 before an item's launch, where demand is 0 for certain.
        dispersion: size of the negative binomial, shape (items, periods); variance = mean + mean**2 /
            dispersion.
    """

    mean: FloatArray
    dispersion: FloatArray

    @property
    def success(self) -> FloatArray:
        """The negative binomial's success probability, dispersion / (dispersion + mean)."""
        return self.dispersion / (self.dispersion + self.mean)

    def quantile(self, levels: Sequence[float] | FloatArray) -> FloatArray:
        """Return the smallest demand whose probability is at least each level: (items, periods, levels)."""
        from scipy.stats import nbinom  # slow to import, and not needed to make the panel

        values = nbinom.ppf(np.asarray(levels), self.dispersion[..., None], self.success[..., None])
        return np.where(self.mean[..., None] > 0, values, 0.0)

    def cdf(self, demand: FloatArray) -> FloatArray:
        """Return the probability of demand up to these units, shape (items, periods)."""
        from scipy.stats import nbinom

        inside = nbinom.cdf(demand, self.dispersion, self.success)
        return np.where(self.mean > 0, inside, (demand >= 0).astype(np.float64))

    def sample(self, rng: np.random.Generator, paths: int) -> FloatArray:
        """Draw demand in units, shape (paths, periods, items)."""
        shape = (paths, *self.mean.T.shape)
        return rng.negative_binomial(self.dispersion.T, self.success.T, size=shape).astype(np.float64)


@dataclass(frozen=True, eq=False)
class CountMixture:
    """Demand that is negative binomial given its mean, the logarithm of which is normal.

    Attributes:
        centre: expected log mean, shape (n,); −inf where demand is 0 for certain.
        deviation: standard deviation of the log mean, shape (n,).
        dispersion: size of the negative binomial, shape (n,); variance = mean + mean**2 / dispersion.
    """

    centre: FloatArray
    deviation: FloatArray
    dispersion: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Expected demand, units, shape (n,)."""
        return np.asarray(np.exp(self.centre + self.deviation**2 / 2))

    def of(self, cells: IntArray) -> Self:
        """Return some of the cells."""
        return type(self)(self.centre[cells], self.deviation[cells], self.dispersion[cells])

    def quantile(self, levels: FloatArray) -> FloatArray:
        """Return the smallest demand whose probability is at least each level, units, shape (n, Q)."""
        values = np.zeros((len(self.centre), len(levels)))
        for cells in self._blocks():
            for below in self.of(cells).cdf_until(float(levels[-1])):
                values[cells] += below[:, None] < levels
        return values

    def hermite(self) -> FloatArray:
        """Return `E[D h_k(Z)]` for k = 1 ... `TERMS`, with demand `D = F⁻¹(Φ(Z))`: shape (n, terms).

        h_k is the Hermite polynomial of degree k over √k!. Two demands whose normal scores have the
        correlation ρ have the covariance `Σ_k ρ^k c_k c'_k`.
        """
        terms = np.zeros((len(self.centre), TERMS))
        for cells in self._blocks():
            for below in self.of(cells).cdf_until(1.0 - REST):
                # `∫ h_k(z) φ(z) dz` above the score of a probability is `h_{k−1}(z) φ(z) / √k`.
                z = ndtri(np.clip(below, 1e-300, 1.0 - 1e-15))
                density = np.where(below < 1.0 - REST, np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), 0.0)
                polynomials = [np.ones_like(z), z, (z**2 - 1) / np.sqrt(2), (z**3 - 3 * z) / np.sqrt(6)]
                moments = [h * density / np.sqrt(k) for k, h in enumerate(polynomials, start=1)]
                terms[cells] += np.stack(moments, axis=-1)
        return terms

    def cdf_until(self, top: float) -> Iterator[FloatArray]:
        """Yield P(D ≤ 0), P(D ≤ 1), ..., each of shape (n,), until all of them have reached `top`."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        mean = np.exp(self.centre[:, None] + self.deviation[:, None] * nodes)
        size = self.dispersion[:, None]
        chance = np.exp(-size * np.log1p(mean / size)) * (weights / weights.sum())
        growth = mean / (size + mean)
        total, units = chance.sum(1), 0
        yield total
        while total.min() < top:
            chance = chance * growth * ((size + units) / (units + 1))
            total, units = total + chance.sum(1), units + 1
            yield total

    def _blocks(self) -> list[IntArray]:
        """Return cells of like size together, so that few additions are wasted on small demand beside large."""
        reach = self.centre + 3 * self.deviation + np.log1p(10 / self.dispersion)
        order = np.argsort(reach, kind="stable")
        return [order[i : i + BLOCK] for i in range(0, len(order), BLOCK)]


def score_correlation(terms: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the correlations of normal scores that give demand its covariances.

    Args:
        terms: `CountMixture.hermite`, shape (..., horizon, terms).
        covariance: of demand, shape (..., horizon, horizon); the diagonal is not read.

    Returns:
        shape (..., horizon, horizon), ones on the diagonal, zeros where demand is certain.
    """
    products = terms[..., :, None, :] * terms[..., None, :, :]
    low, high = np.full(covariance.shape, -0.99), np.full(covariance.shape, 0.99)
    power = np.arange(1, terms.shape[-1] + 1)
    for _ in range(30):
        middle = (low + high) / 2
        below = (products * middle[..., None] ** power).sum(-1) < covariance
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = np.where(products[..., 0] > 1e-12, (low + high) / 2, 0.0)
    diagonal = np.arange(covariance.shape[-1])
    found[..., diagonal, diagonal] = 1.0
    return np.asarray(found)


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
        # Correlations hardly differ between origins: the first, the last and some between them stand for all.
        number = self.centre.shape[1]
        chosen = np.unique(np.linspace(0, number - 1, min(number, FEW)).astype(np.int64))
        few = Outlook(self.centre[:, chosen], self.covariance[:, chosen], self.dispersion)
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

    def _cells(self) -> CountMixture:
        shape = self.centre.shape
        deviation = np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))
        dispersion = np.broadcast_to(self.dispersion[:, None, None], shape)
        return CountMixture(self.centre.reshape(-1), deviation.reshape(-1), dispersion.reshape(-1))


def outlook(traits: Traits, market: Market, origins: IntArray, horizon: int, belief: LevelBelief) -> Outlook:
    """Return the law of demand after each origin, given a belief about the hidden levels before it.

    Periods after the panel's end have the price, the season and the promotions of its last one.
    """
    targets = np.minimum(origins[:, None] + np.arange(horizon), market.fixed.shape[1] - 1)
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
    """Return an outlook as a quantile forecast; `dates` are those of the panel."""
    return QuantileForecast(
        levels=levels,
        values=law.quantiles(levels),
        origins=origins,
        item_ids=item_ids,
        dates=pd.DatetimeIndex(dates[origins]),
        freq=freq,
        dependence=law.dependence(),
    )
