"""How forecast errors of successive horizons move together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .interpolation import FloatArray, IntArray


@dataclass(frozen=True)
class Dependence:
    """How forecast errors of successive horizons move together: a Gaussian copula for each band of items.

    Attributes:
        correlation: of the normal scores of the errors, shape (bands, horizon, horizon), positive definite.
        band: which band an item belongs to, integers that broadcast to (items, origins).
    """

    correlation: FloatArray
    band: IntArray

    @classmethod
    def independent(cls, horizon: int) -> Dependence:
        """Errors of different horizons that say nothing about each other."""
        return cls(np.eye(horizon)[None], np.zeros((1, 1), dtype=np.int64))

    def over(self, first: int, last: int) -> Dependence:
        """Return the dependence of horizons first ... last - 1 (counted from 0)."""
        return replace(self, correlation=self.correlation[:, first:last, first:last])
