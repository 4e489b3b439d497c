"""Negative binomial demand whose log mean is normal: quantiles and sums, without simulation.

The normal is integrated by Gauss–Hermite quadrature, and probabilities are added up from zero by the
recursion of the negative binomial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray

NODES = 21
BLOCK = 256
"""Cells of like size whose probabilities are added up together."""
TERMS = 4
"""Terms of the Hermite expansion that correlations are found from."""
REST = 1e-5
"""Upper tail that moments leave out."""


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
            for below in self.of(cells).cumulated(float(levels[-1])):
                values[cells] += below[:, None] < levels
        return values

    def hermite(self) -> FloatArray:
        """Return `E[D h_k(Z)]` for k = 1 ... `TERMS`, with demand `D = F⁻¹(Φ(Z))`: shape (n, terms).

        h_k is the Hermite polynomial of degree k over √k!. Two demands whose normal scores have the
        correlation ρ have the covariance `Σ_k ρ^k c_k c'_k`.
        """
        terms = np.zeros((len(self.centre), TERMS))
        for cells in self._blocks():
            for below in self.of(cells).cumulated(1.0 - REST):
                terms[cells] += _tail_moments(below)
        return terms

    def cumulated(self, top: float) -> Iterator[FloatArray]:
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
        """Cells of like size, so that few additions are wasted on small demand beside large."""
        reach = self.centre + 3 * self.deviation + np.log1p(10 / self.dispersion)
        order = np.argsort(reach, kind="stable")
        return [order[i : i + BLOCK] for i in range(0, len(order), BLOCK)]


def _tail_moments(below: FloatArray) -> FloatArray:
    """`∫ h_k(z) φ(z) dz` above the score of a probability: `h_{k−1}(z) φ(z) / √k`, shape (n, terms)."""
    z = ndtri(np.clip(below, 1e-300, 1.0 - 1e-15))
    density = np.where(below < 1.0 - REST, np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), 0.0)
    polynomials = [np.ones_like(z), z, (z**2 - 1) / np.sqrt(2), (z**3 - 3 * z) / np.sqrt(6)]
    return np.stack([h * density / np.sqrt(k) for k, h in enumerate(polynomials, start=1)], axis=-1)


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
