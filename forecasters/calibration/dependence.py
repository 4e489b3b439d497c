"""How forecast errors of successive horizons move together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..interpolation import (
    sobol_uniforms,
)
from .schaake import template_uniforms

Method = Literal["copula", "schaake"]


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
