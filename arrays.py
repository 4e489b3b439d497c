"""Array types, once for the whole package."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Float32Array: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

MOST = 1e15
"""Largest number of units, and amount of money a unit, that is taken: beyond it, sums and squares lose all meaning."""
MOST_PERIODS = 10_000
"""Longest lead time, review period and shelf life, likewise: a slot in memory each."""

Array: TypeAlias = Any
"""A numpy array or a torch tensor, where the same source serves both; numpy alone is spelt `FloatArray`."""
