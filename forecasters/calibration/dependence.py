"""How forecast errors of successive horizons move together: a Gaussian copula, or the Schaake shuffle.

The Schaake shuffle puts draws of each period in the order of what happened before. Each period's demand is drawn by
itself, from its own quantiles. One past trajectory of errors, a template, is picked for each path, and the draws of
every period are dealt out in the order of the templates' values: the path whose template was highest in that period
gets the highest draw. Marginals stay as they are, and the dependence over the horizon is that of the past, whatever
its form (Clark et al. 2004; a Gaussian copula has but one form). Templates are errors rather than past demand, so
that trend, season and promotions of the past are not taken for dependence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..interpolation import sobol_uniforms

Method = Literal["copula", "schaake"]

TEMPLATES = 512
"""Past trajectories that are kept of each band."""
FEWEST_TEMPLATES = 50
"""Trajectories that a band needs of its own; with fewer it takes those of all items."""


@dataclass(frozen=True)
class Dependence:
    """How forecast errors of successive horizons move together, for each band of items.

    Attributes:
        correlation: of the normal scores of the errors, for a Gaussian copula: shape (bands, horizon, horizon),
            positive definite.
        band: which band an item belongs to, integers that broadcast to (items, origins).
        templates: past trajectories of errors, for the Schaake shuffle: shape (bands, templates, horizon);
            None where there are none.
        method: which of the two sums and samples go by.
    """

    correlation: FloatArray
    band: IntArray
    templates: FloatArray | None = None
    method: Method = "copula"

    @classmethod
    def independent(cls, horizon: int) -> Dependence:
        """Errors of different horizons that say nothing about each other."""
        return cls(np.eye(horizon)[None], np.zeros((1, 1), dtype=np.int64))

    def over(self, first: int, last: int) -> Dependence:
        """Return the dependence of horizons first ... last - 1 (counted from 0)."""
        templates = None if self.templates is None else self.templates[:, :, first:last]
        return replace(self, correlation=self.correlation[:, first:last, first:last], templates=templates)

    def of_items(self, items: IntArray) -> Dependence:
        """Return the dependence of the items at these positions."""
        return self if len(self.band) == 1 else replace(self, band=self.band[items])

    def of_origins(self, origins: slice | IntArray) -> Dependence:
        """Return the dependence of the origins at these positions."""
        return self if self.band.shape[-1] == 1 else replace(self, band=self.band[:, origins])

    def correlated(self, normal: FloatArray) -> FloatArray:
        """Turn independent standard normal draws, shape (paths, items, origins, horizon), into the copula's."""
        root = np.linalg.cholesky(self.over(0, normal.shape[-1]).correlation)[self.band]
        root = np.broadcast_to(root, (*normal.shape[1:], normal.shape[-1]))
        return np.asarray(np.einsum("iohk,piok->pioh", root, normal))

    def by(self, method: Method) -> Dependence:
        """Return the same dependence by the Gaussian copula or by the Schaake shuffle."""
        if method not in ("copula", "schaake"):
            raise FractileError(f'method must be "copula" or "schaake", got {method!r}')
        if method == "schaake" and self.templates is None:
            raise FractileError(
                "the Schaake shuffle needs templates, past trajectories of errors over the whole horizon, and there "
                'are none: take method="copula", or a dependence that was fitted with this horizon (`fit_dependence`)'
            )
        return replace(self, method=method)

    def uniforms(self, band: int, number: int) -> FloatArray:
        """Return dependent quasi-random levels of one band, the same at every call.

        Args:
            band: which one.
            number: how many, a power of two; the Schaake shuffle gives as many as there are templates.

        Returns:
            in (0, 1), shape (number, horizon).
        """
        if self.method == "schaake" and self.templates is not None:
            return template_uniforms(self.templates[band])
        root = np.linalg.cholesky(self.correlation[band])
        return np.asarray(ndtr(ndtri(sobol_uniforms(number, len(root))) @ root.T))


def fit_templates(errors: FloatArray, band: IntArray, bands: int) -> FloatArray:
    """Pick templates among the past trajectories of errors that are known throughout.

    Args:
        errors: anything that orders the errors of one period, shape (items, origins, horizon), NaN where unknown.
        band: which band each belongs to, shape (items, origins).
        bands: how many there are.

    Returns:
        shape (bands, `TEMPLATES`, horizon); zeros, which is independence, where nothing is known.
    """
    whole = ~np.isnan(errors).any(axis=-1)
    each = []
    for b in range(bands):
        own = errors[whole & (band == b)]
        own = own if len(own) >= FEWEST_TEMPLATES else errors[whole]
        if not len(own):
            each.append(np.zeros((TEMPLATES, errors.shape[-1])))
        elif len(own) >= TEMPLATES:
            each.append(own[np.linspace(0, len(own) - 1, TEMPLATES).astype(np.int64)])
        else:
            each.append(own[np.arange(TEMPLATES) % len(own)])  # some of them again
    return np.stack(each)


def template_uniforms(templates: FloatArray) -> FloatArray:
    """Return the templates' ranks as levels in (0, 1), shape (templates, horizon), the same at every call.

    Templates that are equal in a period stand in random order there.
    """
    ranks = _ranks(templates, np.random.default_rng(0).random(templates.shape))
    return (ranks + 0.5) / len(templates)


def shuffled_uniforms(templates: FloatArray, band: IntArray, paths: int, rng: np.random.Generator) -> FloatArray:
    """Draw levels that are uniform in each period and stand in the order of templates picked at random.

    Args:
        templates: shape (bands, templates, horizon).
        band: which band each item and origin belongs to, shape (items, origins).
        paths: how many.
        rng: where the draws come from.

    Returns:
        in (0, 1), shape (paths, items, origins, horizon).
    """
    picked = templates[band, rng.integers(templates.shape[1], size=(paths, *band.shape))]
    ranks = _ranks(picked, rng.random(picked.shape))
    ordered = np.sort(rng.random(picked.shape), axis=0)
    return np.asarray(np.take_along_axis(ordered, ranks, axis=0))


def _ranks(values: FloatArray, ties: FloatArray) -> NDArray[np.intp]:
    """Ranks along the first axis, from 0; equal values are ranked by `ties`."""
    order = np.lexsort((ties, values), axis=0)
    ranks = np.empty_like(order)
    positions = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    np.put_along_axis(ranks, order, np.broadcast_to(positions, order.shape), axis=0)
    return ranks
